"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._check import complain
from lrax._schedule import ScheduleRule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.finder._result import Found


def plot(schedules: Any | Sequence[Any] | Mapping[str, Any], steps: int | None = None, axes: "Axes | None" = None) -> "Axes":
    """Draws the rates of one or more schedules over the update count.

    Args:
      schedules: a schedule or any callable `count -> rate`; a list of them; or a dict of them by label.
      steps: how many updates to draw; by default the longest length, a tenth more to show what is held, or 1000 if all are
        endless.
      axes: where to draw; by default new axes.

    Returns: the axes.

    Raises: ImportError if matplotlib is not installed; TypeError for something that is no schedule.
    """
    if callable(schedules):
        schedules = [schedules]
    named = schedules if isinstance(schedules, Mapping) else dict(zip(_labels(schedules), schedules, strict=True))
    lines = {label: ScheduleRule().convert("plot", label, schedule) for label, schedule in named.items()}
    if steps is None:
        lengths = [int(line.length) for line in lines.values() if line.length is not None]
        steps = max(lengths) + max(max(lengths) // 10, 1) if lengths else 1000
    if not isinstance(steps, int) or steps < 1:
        raise complain(ValueError, "plot", "steps", "an integer of at least 1", steps)
    axes = _axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    for label, line in lines.items():
        axes.plot(counts, np.asarray(jax.jit(jax.vmap(line))(counts)), label=label, drawstyle="steps-post")
    axes.set_xlabel("update count")
    axes.set_ylabel("rate")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(alpha=0.3)
    if len(lines) > 1 or isinstance(schedules, Mapping):
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


def _labels(schedules: Sequence[Any]) -> list[str]:
    """A short label for each schedule: its call, or its kind and its place in the list."""
    calls = [repr(schedule) for schedule in schedules]
    return [
        call if len(call) <= 60 and calls.count(call) == 1 else f"{type(schedule).__name__} [{i}]"
        for i, (call, schedule) in enumerate(zip(calls, schedules, strict=True))
    ]


def _axes() -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'lrax[plot]'") from error
    return plt.subplots(layout="constrained")[1]
