"""The picture of a range test."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_found(found: Any, axes: "Axes | None" = None, rules: Sequence[Any] = ()) -> "Axes":
    """Draws loss over rate on logarithmic axes, with the suggestion, its band and other rules' marks; see `Found.plot`."""
    axes = new_axes() if axes is None else axes
    for i, curve in enumerate(found.fast):
        axes.plot(*curve.paired(), ".", color="0.85", markersize=3, label=None if i else "fast ramp, each loss")
    for i, curve in enumerate(found.curves):
        axes.plot(*curve.paired(), ".", color="0.6", markersize=3, label=None if i else "each loss")
        if len(found.curves) > 1:
            axes.plot(*curve.smooth(), color="C0", alpha=0.3, linewidth=1, label=None if i else "each seed, smoothed")
    median = type(found.curves[0])(found.rates, found.losses, found.smoothed, found.reason)
    axes.plot(*median.smooth(), color="C0", label="smoothed" if len(found.curves) == 1 else "median, smoothed")
    if found.band is not None:
        axes.axvspan(*found.band, color="C3", alpha=0.12, label="band of the seeds")
    if found.suggestion is not None:
        axes.axvline(found.suggestion, color="C3", linestyle="--", label=f"suggestion {found.suggestion:.3g}")
    for i, rule in enumerate(rules):
        rate = found.suggest(rule)
        if rate is not None:
            name = getattr(rule, "__name__", repr(rule))
            axes.axvline(rate, color=f"C{i + 4}", linestyle=":", label=f"{name} {rate:.3g}")
    axes.set_xscale("log")
    _set_loss_axis(axes, np.concatenate([curve.losses for curve in (*found.fast, *found.curves)]))
    axes.set_title(f"range test: {found.spent} updates, {found.reason}", fontsize="medium")
    axes.set_xlabel("rate")
    axes.set_ylabel("loss after an update at that rate")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return axes


def _set_loss_axis(axes: "Axes", losses: np.ndarray[Any, Any]) -> None:
    """Logarithmic where all losses are positive, and cut so that an explosion does not hide the valley."""
    from matplotlib.ticker import LogLocator, NullFormatter

    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return
    first, lowest = finite[0], finite.min()
    if lowest > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # a loss seldom spans many decades
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(lowest * 0.8, max(first * 4, lowest * 1.3))
    else:
        scale = max(first - lowest, abs(first), 1e-6)
        axes.set_ylim(lowest - 0.1 * scale, first + scale)
