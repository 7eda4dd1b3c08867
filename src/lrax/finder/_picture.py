"""The picture of a range test. Takes curves and numbers, and knows nothing of results."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

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
from lrax.finder._curve import Curve
from lrax.finder._fall import Crossed
from lrax.finder._runs import Runs
from lrax.finder._smooth import cap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS = (GREEN, PURPLE, ORANGE, BLACK, SKY)
"""Colours of other rules; with their lines' styles they are told apart."""

MANY = 6
"""More entries of a legend than these stand below the axes, not in front of the curve."""

LINE = 72
"""Letters of a line of the title."""

TIMES = 6.0
"""The picture of losses above 0 goes up to so many times the first; what lies above is marked at its edge."""


class Marks(NamedTuple):
    """What is marked on a curve.

    Attributes:
      suggestion: a rate, or None.
      band: what the seeds' suggestions span, or None.
      read_from: where each curve has made the shares of its fall that the suggestion was read from; empty if another rule
        read it.
      others: names of other rules and what they suggest, or None.
      too_soon: the rate at which the ramp ended while the loss still fell, or None.
      runs: the short runs of each seed.
      refined: the longer runs, or None.
    """

    suggestion: float | None = None
    band: tuple[float, float] | None = None
    read_from: Sequence[Crossed] = ()
    others: Sequence[tuple[str, float | None]] = ()
    too_soon: float | None = None
    runs: Sequence[Runs] = ()
    refined: Runs | None = None


def plot_test(curves: Sequence[Curve], marks: Marks, title: str, axes: "Axes | None" = None) -> "Axes":
    """Draws loss over rate with what is marked; see `FinderResult.plot`."""
    axes = new_axes() if axes is None else axes
    several = len(curves) > 1
    drawn = [curve.paired() for curve in curves]
    ends = [(runs.peaks, runs.losses) for runs in (*marks.runs, *filter(None, [marks.refined]))]
    losses = np.concatenate([losses for _, losses in (*drawn, *ends)])
    size, alpha = (1.5, 0.35) if several else (3.0, 0.8)
    for i, (rates, its) in enumerate(drawn):
        axes.plot(rates, its, "o", color="0.55", markersize=size, alpha=alpha, label=None if i else "each loss")
    lines = [line_of(curve) for curve in curves]
    for i, (rates, line) in enumerate(lines if several else ()):
        axes.plot(rates, line, color=SKY, linewidth=1, label=None if i else "each seed, smoothed")
    axes.plot(*median_of(lines), color=BLUE, linewidth=2, label="median of the seeds" if several else "smoothed")
    _evaluations(axes, curves)
    _mark(axes, marks, lines)
    set_plain_log(axes.xaxis)
    if marks.too_soon is not None:
        axes.set_xlim(right=3 * marks.too_soon)
    top = set_loss_axis(axes, losses, highest(losses))
    beyond = np.concatenate([rates[~(its <= top)] for rates, its in (*drawn, *ends)])
    if len(beyond):
        place = axes.get_xaxis_transform()  # at the upper edge, whatever the losses are
        label = "above the axes, or not finite"
        axes.plot(beyond, np.full(len(beyond), 0.985), "^", color=GONE, markersize=4, transform=place, label=label)
    lines_needed = -(-len(title) // LINE)
    axes.set_title("\n".join(textwrap.wrap(title, len(title) // lines_needed + 10)), fontsize="small")
    axes.set_xlabel("rate")
    axes.set_ylabel("loss after an update, or a run" if ends else "loss after an update at that rate")
    axes.grid(alpha=0.3)
    entries = len(axes.get_legend_handles_labels()[0])
    nothing = "no suggestion" if marks.suggestion is None else None
    if entries > MANY:
        legend_below(axes, fontsize="x-small", title=nothing)
    elif entries:  # below a level that the loss falls from there is room
        axes.legend(fontsize="small", loc="lower left" if nothing is None else "best", title=nothing)
    return axes


def highest(losses: np.ndarray[Any, Any]) -> float:
    """How high a picture goes for the first losses of a curve to be seen, and a rise above them."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return 0.0
    first = float(np.median(finite[: max(1, len(finite) // 10)]))
    return TIMES * first if finite.min() > 0 else 2 * first - float(finite.min())


def _evaluations(axes: "Axes", curves: Sequence[Curve]) -> None:
    """What `evaluate` gave, on an axis at the right."""
    metrics = np.concatenate([curve.evaluated()[1] for curve in curves])
    if not len(metrics):
        return
    right = axes.twinx()
    look: dict[str, Any] = {"marker": "s", "markersize": 3.5, "linewidth": 1, "color": PURPLE}
    for curve in curves:
        right.plot(*curve.evaluated(), **look, alpha=0.45 if len(curves) > 1 else 1.0)
    set_loss_axis(right, metrics, highest(metrics) if curves[0].mode == "min" else np.inf)
    right.set_ylabel("metric of evaluate, after an update at that rate", color=PURPLE)
    axes.plot([], [], **look, label="evaluated (right axis)")


def _mark(axes: "Axes", marks: Marks, lines: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> None:
    """The suggestion, what it was read from, its band, other rules, and what the ramp did not reach."""
    if marks.band is not None:
        axes.axvspan(
            *marks.band, color=ANSWER, alpha=0.15, label=f"the best may lie from {marks.band[0]:.2g} to {marks.band[1]:.2g}"
        )
    for i, (crossed, (rates, line)) in enumerate(zip(marks.read_from, lines, strict=bool(marks.read_from))):
        few = len(marks.read_from) == 1
        look: dict[str, Any] = {"color": ANSWER, "markeredgecolor": "white", "markersize": 8 if few else 5, "zorder": 5}
        height = np.interp(np.log(crossed.rate), np.log(rates), line)  # on the line: the rule sees a wider mean of its own
        axes.plot(crossed.rate, height, "D", **look, label=None if i else "95 % of the fall, read for it")
    for i, runs in enumerate(marks.runs):
        name = None if i else f"ends of runs of {runs.updates} updates, by peak"
        size, marker = (6, "D-") if len(marks.runs) == 1 else (3, "D")
        axes.plot(runs.peaks, runs.losses, marker, color=ORANGE, markersize=size, linewidth=1, label=name, zorder=4)
    if marks.refined is not None:
        name = f"ends of runs of {marks.refined.updates} updates"
        axes.plot(marks.refined.peaks, marks.refined.losses, "s-", color=GREEN, markersize=6, linewidth=1, label=name, zorder=4)
    if marks.suggestion is not None:
        axes.axvline(marks.suggestion, color=ANSWER, linestyle="--", label=f"suggestion {marks.suggestion:.3g}")
    if marks.too_soon is not None:
        label = f"not tried: the ramp ended at {marks.too_soon:.3g}, the loss still fell"
        axes.axvspan(
            marks.too_soon, 10 * marks.too_soon, facecolor="none", edgecolor="0.6", hatch="///", linewidth=0, label=label
        )
    for i, (name, rate) in enumerate(marks.others):
        style: dict[str, Any] = {"color": OTHERS[i % len(OTHERS)], "linestyle": STYLES[i % len(STYLES)], "linewidth": 1.8}
        if rate is None:
            axes.plot([], [], **style, label=f"{name}: no suggestion")
        else:
            axes.axvline(rate, **style, label=f"{name} {rate:.3g}")


def line_of(curve: Curve) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rates and the line through a curve's losses: smoothed, and the losses themselves where a rise at the end is cut."""
    rates, means = curve.smooth()
    losses = curve.losses[1:]
    cut = ~(losses <= cap(rates, losses))
    rising = np.logical_and.accumulate(cut[::-1])[::-1]  # from the end back to the last loss that is not cut
    return rates, np.where(rising & np.isfinite(losses), losses, means)


def median_of(
    lines: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]],
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The median of lines over rates of their own, where at least half of them are."""
    lines = [(rates[np.isfinite(line)], line[np.isfinite(line)]) for rates, line in lines]
    lines = [line for line in lines if len(line[0])]
    if len(lines) <= 1:
        return lines[0] if lines else (np.zeros(0), np.zeros(0))
    grid = np.unique(np.concatenate([rates for rates, _ in lines]))
    logs = np.log(grid)
    rows = np.array([np.interp(logs, np.log(rates), line, left=np.nan, right=np.nan) for rates, line in lines])
    covered = 2 * np.isfinite(rows).sum(0) >= len(rows)
    return grid[covered], np.nanmedian(rows[:, covered], axis=0)
