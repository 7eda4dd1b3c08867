"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._check import complain
from lrax._lanes import longest_length, named_schedules

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.finder._result import Found

MOST_LABELS = 10
"""Up to so many lines have colours and labels of their own; more are shaded in their order."""


def plot(
    schedules: Any | Sequence[Any] | Mapping[str, Any],
    steps: int | None = None,
    axes: "Axes | None" = None,
    *,
    log: bool = False,
) -> "Axes":
    """Draws the rates of one or more schedules over the update count.

    Args:
      schedules: a schedule or any callable `count -> rate`; a list of them; or a dict of them by label. A batch of schedules
        (fields with a leading axis) is drawn as a line a lane.
      steps: how many updates to draw; by default the longest length, a tenth more to show what is held, or 1000 if all are
        endless.
      axes: where to draw; by default new axes.
      log: whether the axis of rates is logarithmic.

    Returns: the axes.

    Raises: ImportError if matplotlib is not installed; TypeError for something that is no schedule.
    """
    lines = named_schedules("plot", schedules)
    if steps is None:
        length = longest_length(lines.values())
        steps = length + max(length // 10, 1) if length else 1000
    if not isinstance(steps, int) or steps < 1:
        raise complain(ValueError, "plot", "steps", "an integer of at least 1", steps)
    axes = _axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    for i, (label, line) in enumerate(lines.items()):
        color = None if len(lines) <= MOST_LABELS else _shade(i / (len(lines) - 1))
        axes.plot(counts, np.asarray(jax.jit(jax.vmap(line))(counts)), label=label, drawstyle="steps-post", color=color)
    axes.set_xlabel("update count")
    axes.set_ylabel("rate")
    if log:
        axes.set_yscale("log")
    elif axes.get_ylim()[0] > 0:
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.grid(alpha=0.3)
    if (len(lines) > 1 or isinstance(schedules, Mapping)) and len(lines) <= MOST_LABELS:
        axes.legend(fontsize="small")
    return axes


def plot_found(found: "Found", axes: "Axes | None" = None, rules: Sequence[Any] = ()) -> "Axes":
    """Draws loss over rate on logarithmic axes, with the suggestion, its band and other rules' marks; see `Found.plot`."""
    axes = _axes() if axes is None else axes
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


def _shade(fraction: float) -> Any:
    """A colour between the ends of a map, for lines in an order."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](fraction)


def _set_loss_axis(axes: "Axes", losses: np.ndarray[Any, Any]) -> None:
    """Logarithmic where all losses are positive, and cut so that an explosion does not hide the valley."""
    from matplotlib.ticker import LogFormatter

    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return
    first, lowest = finite[0], finite.min()
    if lowest > 0:
        axes.set_yscale("log")
        plain = LogFormatter(minor_thresholds=(2, 0.5))  # 2 and 3 rather than powers of ten
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(plain)
        axes.set_ylim(lowest * 0.8, max(first * 4, lowest * 1.3))
    else:
        scale = max(first - lowest, abs(first), 1e-6)
        axes.set_ylim(lowest - 0.1 * scale, first + scale)


def _axes() -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'lrax[plot]'") from error
    return plt.subplots(layout="constrained")[1]
