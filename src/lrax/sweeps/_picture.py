"""Pictures of sweeps and races. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import new_axes
from lrax.schedules._named import kind_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.sweeps._result import Setting, Sweep

COLOURS = ("C0", "C1", "C4", "C5", "C6", "C7", "C8", "C9")
"""Of kinds of schedules; the others are those of the best and of what diverged."""

FEW = 10
"""So many curves have a legend; more have a colour bar."""


def plot_scores(sweep: "Sweep", axes: "Axes | None" = None) -> "Axes":
    """Draws scores over peak rates; see `Sweep.plot`."""
    axes = new_axes() if axes is None else axes
    going = ~sweep.diverged
    kinds: dict[str, list[Setting]] = {}
    for setting in sorted(sweep.settings, key=lambda setting: setting.peak):
        kinds.setdefault(kind_of(setting.schedule), []).append(setting)
    for (kind, settings), colour in zip(kinds.items(), itertools.cycle(COLOURS), strict=False):
        shown = [setting for setting in settings if np.isfinite(setting.score)]
        label = "median over seeds" if len(kinds) == 1 else kind
        axes.plot([setting.peak for setting in shown], [setting.score for setting in shown], color=colour, label=label)
        lanes = [lane for setting in settings for lane in setting.lanes if going[lane]]
        label = "lane" if len(kinds) == 1 else "_"
        axes.plot(sweep.peaks[lanes], sweep.scores[lanes], "o", color=colour, markersize=4, alpha=0.5, label=label)
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
    """Draws the losses of every lane, float (lanes, updates): running means, and the losses themselves of a few lanes."""
    axes = new_axes() if axes is None else axes
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    kind = LogNorm if (peaks > 0).all() and peaks.max() > peaks.min() else Normalize
    colours = ScalarMappable(kind(peaks.min(), peaks.max()), colormaps["viridis"])
    means = np.array([running_mean(curve) for curve in losses])
    names = [f"{peak:.3g}" for peak in peaks]
    names = [name if names.count(name) == 1 else f"{name} (lane {lane})" for lane, name in enumerate(names)]
    marker = "o" if losses.shape[1] == 1 else None
    for curve, mean, peak, name in zip(losses, means, peaks, names, strict=True):
        if len(losses) <= FEW:
            axes.plot(np.where(np.isfinite(curve), curve, np.nan), color=colours.to_rgba(peak), linewidth=1, alpha=0.2)
        axes.plot(mean, marker=marker, color=colours.to_rgba(peak), linewidth=1, label=name)
    finite = means[np.isfinite(means)]
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


def running_mean(curve: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean of a thirtieth of the updates around each, as far as they are finite; NaN where the curve is not.

    >>> print(running_mean(np.array([1.0, 3.0, np.nan])), running_mean(np.arange(90.0))[:3])
    [ 1.  3. nan] [0.5 1.  2. ]
    """
    known, window = np.isfinite(curve), np.ones(1 + len(curve) // 60 * 2)
    if not known.any():
        return np.full(len(curve), np.nan)
    sums, counts = (np.convolve(part, window, "same") for part in (np.where(known, curve, 0.0), known))
    return np.where(known, sums / np.maximum(counts, 1), np.nan)


def _log_if_wide(axes: "Axes", values: np.ndarray[Any, Any]) -> None:
    if values.size and values.min() > 0 and values.max() > 5 * values.min():
        axes.set_yscale("log")
