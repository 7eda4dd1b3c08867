"""Pictures of range tests and of searches."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lrax._pictures import (
    ANSWER,
    BLACK,
    BLUE,
    GONE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STYLES,
    legend_below,
    new_axes,
    set_loss_axis,
    set_plain_log,
)
from lrax.finder._rules import Numbers, clip_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = tuple[Numbers, Numbers]
"""Learning rates and losses, float32 of shape (n,) each."""


class Curve(Protocol):
    """The parts of a `lrax.finder.Curve` that a picture shows. The curve calls this module."""

    @property
    def losses(self) -> Numbers: ...
    @property
    def evaluations(self) -> Numbers: ...
    @property
    def goal(self) -> str: ...
    def paired(self) -> Points: ...
    def smooth(self) -> Points: ...


OTHERS = (GREEN, PURPLE, ORANGE, BLACK, SKY)
"""Colours of suggestion rules, which also differ in the style of their lines."""

MANY = 6
"""More entries of a legend than these are below the axes, not in front of the curve."""

TIMES = 6.0
"""The picture of losses above 0 goes up to this many times the first; what is above is marked at its edge."""


def plot_curves(
    curves: Sequence[Curve],
    axes: "Axes | None" = None,
    suggestions: Sequence[tuple[str, float | None]] = (),
    ends: Points | None = None,
    title: str = "",
) -> "Axes":
    """Draws the loss over the learning rate; see `Curve.plot`.

    Args:
      curves: range tests, without room for more steps.
      axes: where to draw; by default new axes.
      suggestions: names of rules, and the learning rates that they suggest.
      ends: peaks and end losses of runs, which the axes should hold too.
      title: above the axes.
    """
    return _draw(curves, axes, suggestions, ends, title)[0]


def _draw(
    curves: Sequence[Curve],
    axes: "Axes | None",
    suggestions: Sequence[tuple[str, float | None]],
    ends: Points | None,
    title: str,
    metrics: Numbers | None = None,
) -> "tuple[Axes, Axes]":
    """The axes of losses and those of the metric, which are the same without one; `metrics` should fit into the latter."""
    axes = new_axes() if axes is None else axes
    drawn = [curve.paired() for curve in curves]
    everything = [*drawn, *([] if ends is None else [ends])]
    losses = np.concatenate([its for _, its in everything])
    several = len(curves) > 1
    for i, (rates, its) in enumerate(drawn):
        size, alpha = (1.5, 0.35) if several else (3.0, 0.8)
        axes.plot(rates, its, "o", color="0.55", markersize=size, alpha=alpha, label=None if i else "each loss of the ramp")
    for i, curve in enumerate(curves):
        colour, width = (SKY, 1) if several else (BLUE, 2)
        axes.plot(*_line(curve), color=colour, linewidth=width, label=None if i else "smoothed")
    right = _draw_evaluations(axes, curves, metrics)
    for i, (name, rate) in enumerate(suggestions):
        style: dict[str, Any] = {"color": OTHERS[i % len(OTHERS)], "linestyle": STYLES[i % len(STYLES)], "linewidth": 1.8}
        if rate is None:
            axes.plot([], [], label=f"{name}: no suggestion", **style)
        else:
            axes.axvline(rate, label=f"{name} {rate:.3g}", **style)
    set_plain_log(axes.xaxis)
    top = set_loss_axis(axes, losses, _highest(losses))
    beyond = np.concatenate([rates[~(its <= top)] for rates, its in everything])
    if len(beyond):
        place, label = axes.get_xaxis_transform(), "above the axes, or not finite"
        axes.plot(beyond, np.full(len(beyond), 0.985), "^", color=GONE, markersize=4, transform=place, label=label)
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss after a step")
    axes.grid(alpha=0.3)
    _legend(axes)
    return axes, right


def plot_search(
    curves: Sequence[Curve],
    ends: Points,
    evaluated: bool,
    steps: npt.NDArray[np.int32],
    peak: float | None,
    interval: tuple[float, float] | None,
    groups: Mapping[str, float],
    title: str,
    axes: "Axes | None",
) -> "Axes":
    """Draws a search; see `FinderResult.plot`.

    Args:
      ends: the peaks of the short runs, and their end losses; or metrics if they were `evaluated`, on the axis at the right.
    """
    axes, right = _draw(curves, axes, (), None if evaluated else ends, title, ends[1] if evaluated else None)
    if interval is not None:
        axes.axvspan(*interval, color=ANSWER, alpha=0.12, label="80 % interval")
    if len(steps):
        for i, length in enumerate(np.unique(steps)):
            its = steps == length
            look: dict[str, Any] = {"color": ORANGE, "markersize": 6, "linewidth": 1, "zorder": 4}
            look |= {"marker": "Dsov^P"[i % 6], "label": f"ends of runs of {length} steps"}
            right.plot(ends[0][its], ends[1][its], **look)
            if evaluated:
                axes.plot([], [], **look)
        axes.set_xlabel("learning rate of the ramp, peak of the plan")
        axes.set_ylabel("loss")
    if peak is not None:
        axes.axvline(peak, color=ANSWER, linestyle="--", label=f"peak {peak:.3g}")
        look = {"color": ANSWER, "fontweight": "bold", "ha": "right", "va": "top"}
        axes.annotate(f"{peak:.3g}", (peak, 0.97), (-4, 0), axes.get_xaxis_transform(), "offset points", **look)
    for i, (name, lr) in enumerate(groups.items()):
        axes.axvline(lr, color=OTHERS[i % len(OTHERS)], linestyle=STYLES[i % len(STYLES)], label=f"{name} {lr:.2g}")
    _legend(axes)
    return axes


def _legend(axes: "Axes") -> None:
    entries = len(axes.get_legend_handles_labels()[0])
    if entries > MANY:
        legend_below(axes, fontsize="x-small")
    elif entries:  # below a level that the loss drops from there is room
        axes.legend(fontsize="small", loc="lower left")


def _highest(losses: npt.NDArray[np.float32]) -> float:
    """How high a picture goes for the first losses of a curve to be seen, and a rise above them."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return 0.0
    first = float(np.median(finite[: max(1, len(finite) // 10)]))
    return TIMES * first if finite.min() > 0 else 2 * first - float(finite.min())


def _draw_evaluations(axes: "Axes", curves: Sequence[Curve], others: Numbers | None) -> "Axes":
    """Metrics, on an axis at the right, which `others` should fit into; returns it, or `axes` if there are none."""
    metrics = np.concatenate([curve.evaluations[:, 1] for curve in curves] + ([] if others is None else [others]))
    if not len(metrics):
        return axes
    right = axes.twinx()
    look: dict[str, Any] = {"marker": "s", "markersize": 3.5, "linewidth": 1, "color": PURPLE}
    for curve in curves:
        right.plot(*curve.evaluations.T, alpha=0.45 if len(curves) > 1 else 1.0, **look)
    set_loss_axis(right, metrics, _highest(metrics) if curves[0].goal == "min" else np.inf)
    right.set_ylabel("metric of the evaluation, after a step", color=PURPLE)
    axes.plot([], [], label="evaluated (right axis)", **look)
    return right


def _line(curve: Curve) -> Points:
    """The line through a curve's losses: smoothed, and the losses themselves where a rise at the end is clipped."""
    rates, means = curve.smooth()
    losses = curve.losses[1:]
    clipped = ~(losses <= clip_level(rates, losses))
    rising = np.logical_and.accumulate(clipped[::-1])[::-1]  # from the end back to the last loss that is not clipped
    return rates, np.where(rising & np.isfinite(losses), losses, means)
