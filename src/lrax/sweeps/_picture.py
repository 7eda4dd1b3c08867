"""Pictures of sweeps and races. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._plot import _axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.sweeps._result import Sweep

FEW = 10
"""So many curves have a legend; more have a colour bar."""


def plot_scores(sweep: "Sweep", axes: "Axes | None" = None) -> "Axes":
    """Draws scores over peak rates; see `Sweep.plot`."""
    axes = _axes() if axes is None else axes
    going = ~sweep.diverged
    settings = sorted((s for s in sweep.settings if np.isfinite(s.score)), key=lambda setting: setting.peak)
    axes.plot([s.peak for s in settings], [s.score for s in settings], color="C0", label="median over seeds")
    axes.plot(sweep.peaks[going], sweep.scores[going], "o", color="C0", markersize=4, alpha=0.5, label="lane")
    if sweep.diverged.any():
        place = axes.get_xaxis_transform()  # at the top, whatever the scores are
        axes.plot(
            sweep.peaks[sweep.diverged], [0.97] * sweep.diverged.sum(), "x", color="C3", transform=place, label="diverged"
        )
    if sweep.best is not None:
        axes.axvline(sweep.best.peak, color="C2", linestyle="--", label=f"best {sweep.best.peak:.3g}")
    if (sweep.peaks > 0).all():
        axes.set_xscale("log")
    _log_if_wide(axes, sweep.scores[going])
    axes.set_xlabel("peak rate")
    axes.set_ylabel("score")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return axes


def plot_curves(losses: np.ndarray[Any, Any], peaks: np.ndarray[Any, Any], axes: "Axes | None" = None) -> "Axes":
    """Draws the losses of every lane, float (lanes, updates), over the updates."""
    axes = _axes() if axes is None else axes
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    kind = LogNorm if (peaks > 0).all() and peaks.max() > peaks.min() else Normalize
    colours = ScalarMappable(kind(peaks.min(), peaks.max()), colormaps["viridis"])
    for curve, peak in zip(losses, peaks, strict=True):
        shown = np.where(np.isfinite(curve), curve, np.nan)
        axes.plot(shown, color=colours.to_rgba(peak), linewidth=1, label=f"{peak:.3g}")
    finite = losses[np.isfinite(losses)]
    if finite.size:
        _log_if_wide(axes, finite)
        first = losses[:, 0][np.isfinite(losses[:, 0])]
        if first.size and finite.max() > 4 * abs(first.max()) + 1e-6:  # what blows up must not flatten the rest
            axes.set_ylim(top=4 * abs(first.max()) + 1e-6)
    axes.set_xlabel("update count")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if len(losses) <= FEW:
        axes.legend(title="peak rate", fontsize="small")
    else:
        axes.figure.colorbar(colours, ax=axes, label="peak rate")
    return axes


def _log_if_wide(axes: "Axes", values: np.ndarray[Any, Any]) -> None:
    if values.size and values.min() > 0 and values.max() > 5 * values.min():
        axes.set_yscale("log")
