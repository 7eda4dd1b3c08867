"""Scores over rates, drawn; and what the pictures of sweeps and races share. matplotlib is imported when something is drawn."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import new_axes
from lrax.schedules._named import kind_of
from lrax.sweeps._settings import Setting, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("C0", "C1", "C4", "C5", "C6", "C7", "C8", "C9")
"""Of kinds of schedules; the others are those of the best and of what diverged."""


def plot_scores(
    settings: Sequence[Setting], peaks: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], axes: "Axes | None" = None
) -> "Axes":
    """Draws scores over peak rates; see `Sweep.plot`."""
    axes = new_axes() if axes is None else axes
    diverged = np.isnan(scores)
    kinds: dict[str, list[Setting]] = {}
    for setting in sorted(settings, key=lambda setting: setting.peak):
        kinds.setdefault(kind_of(setting.schedule), []).append(setting)
    for (kind, members), colour in zip(kinds.items(), itertools.cycle(COLOURS), strict=False):
        shown = [setting for setting in members if np.isfinite(setting.score)]
        label = "median over seeds" if len(kinds) == 1 else kind
        axes.plot([setting.peak for setting in shown], [setting.score for setting in shown], color=colour, label=label)
        lanes = [lane for setting in members for lane in setting.lanes if not diverged[lane]]
        label = "lane" if len(kinds) == 1 else "_"
        axes.plot(peaks[lanes], scores[lanes], "o", color=colour, markersize=4, alpha=0.5, label=label)
    if diverged.any():
        place = axes.get_xaxis_transform()  # at the top, whatever the scores are
        axes.plot(peaks[diverged], [0.97] * diverged.sum(), "x", color="C3", transform=place, label="diverged")
    if best := next(iter(ranked(settings)), None):
        axes.axvline(best.peak, color="C2", linestyle="--", label=f"best {best.peak:.3g}")
    if (peaks > 0).all():
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
    log_if_wide(axes, scores[~diverged])
    axes.set_xlabel("peak rate")
    axes.set_ylabel("score")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return axes


def rate_colours(peaks: np.ndarray[Any, Any], diverged: np.ndarray[Any, Any]) -> Any:
    """Colours of rates, from low to high: a map without its pale end, which is faint on white.

    Rates that diverged, and may be absurd, do not stretch it.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    peaks = peaks if diverged.all() else peaks[~diverged]
    dark = LinearSegmentedColormap.from_list("rates", colormaps["plasma"](np.linspace(0.0, 0.82, 64)))
    kind = LogNorm if (peaks > 0).all() and peaks.max() > peaks.min() else Normalize
    return ScalarMappable(kind(peaks.min(), peaks.max()), dark)


def colour_bar(axes: "Axes", colours: Any) -> None:
    """A bar beside the axes that says which rate has which colour; none where all have the same."""
    low, high = colours.get_clim()
    if low < high:
        bar = axes.figure.colorbar(colours, ax=axes, label="peak rate")
        if low > 0:
            plain_ticks(bar.ax.yaxis)


def log_if_wide(axes: "Axes", values: np.ndarray[Any, Any]) -> None:
    """A logarithmic axis for values that are far apart."""
    if values.size and values.min() > 0 and values.max() > 5 * values.min():
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)


def plain_ticks(axis: Any) -> None:
    """Numbers as one writes them, 0.03, on a logarithmic axis, which by itself has powers of ten; enough on a short one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    class Spaced(LogLocator):
        """As many numbers in a decade as leave room between them."""

        def tick_values(self, vmin: float, vmax: float) -> Any:
            decades = abs(math.log10(vmax / vmin)) if vmin > 0 and vmax > 0 else 9.0
            self.set_params(
                subs=(1,) if decades > 4 else (1, 3) if decades > 2 else (1, 2, 5) if decades > 0.8 else range(1, 10)
            )
            return super().tick_values(vmin, vmax)

    axis.set_major_locator(Spaced())
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:.6g}"))
    axis.set_minor_formatter(NullFormatter())
