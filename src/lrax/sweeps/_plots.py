"""Sweeps and races, drawn. matplotlib is imported when something is drawn."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrax._pictures import (
    ANSWER,
    BLACK,
    GONE,
    colour_bar,
    in_order,
    legend_below,
    log_if_wide,
    look_of,
    new_axes,
    set_plain_log,
)
from lrax.schedules._base import Schedule
from lrax.schedules._display import composition
from lrax.sweeps._score import Setting, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


TIMES = 20
"""The axis goes up to this many times the spread of the better half of the scores, not to runs that barely stayed finite."""

MANY = 4
"""More schedule classes than these have a legend below the axes, not in front of the lines."""

FEW = 10
"""At most this many curves have a legend; more have a colour bar."""

DASHES = ("-", "--", ":", "-.")
"""Of schedule classes."""

BEST = {"color": BLACK, "linestyle": "-", "linewidth": 2.2, "zorder": 5}


Array = npt.NDArray[np.number]


def plot_scores(settings: Sequence[Setting], peaks: Array, scores: Array, axes: "Axes | None") -> "Axes":
    """See `SweepResult.plot`."""
    axes, diverged, best = new_axes() if axes is None else axes, np.isnan(scores), next(iter(ranked(settings)), None)
    classes: dict[str, list[Setting]] = {}
    for setting in sorted(settings, key=lambda setting: setting.peak):
        classes.setdefault(composition(setting.schedule), []).append(setting)
    for place, (name, members) in enumerate(classes.items()):
        look, one_class = look_of(place), len(classes) == 1
        shown = [setting for setting in members if np.isfinite(setting.score)]
        label = "median over seeds" if one_class else name
        axes.plot([setting.peak for setting in shown], [setting.score for setting in shown], **look, label=label)
        runs = [run for setting in members for run in setting.runs if not diverged[run]]
        label = "run" if one_class else "_"
        axes.plot(peaks[runs], scores[runs], "o", color=look["color"], markersize=4, alpha=0.5, label=label)
    if diverged.any():
        lost, top = peaks[diverged], axes.get_xaxis_transform()  # at the top, whatever the scores are
        axes.plot(lost, [0.97] * len(lost), "x", color=GONE, transform=top, label="diverged")
    if best is not None:
        axes.axvline(best.peak, color=ANSWER, linestyle="--", label=f"best {best.peak:.3g}")
    if (peaks > 0).all():
        set_plain_log(axes.xaxis)
    _set_score_axis(axes, scores[np.isfinite(scores)])
    axes.set_xlabel("peak learning rate")
    axes.set_ylabel("score")
    axes.grid(alpha=0.3)
    if len(classes) > MANY:
        legend_below(axes, fontsize="x-small")
    else:
        axes.legend(fontsize="small")
    return axes


def _set_score_axis(axes: "Axes", scores: Array) -> None:
    """A logarithmic axis for scores of different orders of magnitude; absurdly high scores do not stretch it."""
    if not scores.size:
        return
    low, middle, highest = (float(one) for one in (scores.min(), np.median(scores), scores.max()))
    if low > 0:
        top = 10 * middle * (middle / low) ** 3
        if log_if_wide(axes, np.minimum(scores, top)):
            axes.set_ylim(top=min(top, 1.5 * highest))
            return
    top = low + TIMES * (middle - low)
    if middle > low and highest > top:
        axes.set_ylim(low - 0.05 * (top - low), top)


def plot_settings(settings: Sequence[Setting], losses: Array, axes: "Axes | None") -> "Axes":
    """See `SweepResult.plot_curves`."""
    axes, best = new_axes() if axes is None else axes, next(iter(ranked(settings)), None)
    peaks = np.array([setting.peak for setting in settings])
    looks = _Looks([one.schedule for one in settings], peaks, np.array([one.diverged > 0 for one in settings]))
    few = len(settings) <= FEW
    means = np.array([np.median([running_mean(losses[run]) for run in setting.runs], axis=0) for setting in settings])
    for i, (setting, mean) in enumerate(zip(settings, means, strict=True)):
        style = looks.style(i)
        for curve in losses[list(setting.runs)] if few else ():
            known = np.flatnonzero(np.isfinite(curve))  # a metric may be measured at every fifth step alone
            axes.plot(known, curve[known], color=style["color"], linewidth=0.8, alpha=0.15)
        style["label"] = looks.name(i) if few else "_"
        if setting is best:
            style |= {**BEST, "label": f"best: {looks.name(i)}"}
        axes.plot(mean, marker="o" if losses.shape[1] == 1 else None, **style)
    if not few:
        looks.label_classes(axes)
    title = "peak" if few and len(looks.dashes) == 1 else None
    return _finished(axes, means, losses[:, 0], None if few else looks.colours, title)


def plot_race(
    schedules: Sequence[Schedule],
    peaks: Array,
    losses: Array,
    end_losses: Array,
    rungs: Array,
    ends: Sequence[int],
    winner: int | None,
    axes: "Axes | None",
) -> "Axes":
    """See `RaceResult.plot`."""
    axes = new_axes() if axes is None else axes
    lost, means = ~np.isfinite(end_losses), np.array([running_mean(curve) for curve in losses])
    looks = _Looks(schedules, peaks, lost)
    for run, mean in enumerate(means):
        axes.plot(mean, **looks.style(run, best=run == winner))
    looks.label_classes(axes)
    for end in ends[:-1]:
        axes.axvline(end - 0.5, color="grey", linestyle=":", linewidth=1, label="a rung ends" if end == ends[0] else "_")
    _finished(axes, means, losses[:, 0], looks.colours)
    top = axes.get_ylim()[1]
    left = ~lost & (rungs < len(ends))
    for marker, colour, chosen, label in (("o", "dimgrey", left, "did not go on"), ("x", GONE, lost, "diverged")):
        curves = [(np.flatnonzero(np.isfinite(means[run])), means[run]) for run in np.flatnonzero(chosen)]
        dots = [(known[-1], min(mean[known[-1]], top)) for known, mean in curves if known.size]
        if dots:
            style: dict[str, Any] = {
                "markerfacecolor": "white",
                "color": colour,
                "zorder": 4,
                "clip_on": False,
                "markersize": 5,
            }
            axes.plot(*zip(*dots, strict=True), marker, label=label, **style)
    _count_runs(axes, rungs, ends)
    axes.legend(fontsize="small")
    return axes


def plot_evaluations(
    schedules: Sequence[Schedule], peaks: Array, evaluated: Array, metrics: Array, winner: int | None, axes: "Axes | None"
) -> "Axes":
    """See `RaceResult.plot_evaluations`."""
    axes = new_axes() if axes is None else axes
    looks = _Looks(schedules, peaks, np.array([not np.isfinite(curve).any() for curve in metrics]))
    for run, curve in enumerate(metrics):
        known = np.isfinite(curve)
        axes.plot(evaluated[known], curve[known], marker="o", markersize=3, **looks.style(run, best=run == winner))
    looks.label_classes(axes)
    _finished(axes, metrics, metrics[:, 0] if len(evaluated) else np.zeros(0), looks.colours)
    axes.set_xlabel("steps made")
    axes.set_ylabel("metric")
    return axes


class _Looks:
    """The looks of curves: colours by peak learning rate, dashes by schedule class."""

    def __init__(self, schedules: Sequence[Schedule], peaks: Array, lost: npt.NDArray[np.bool_]) -> None:
        self.classes, self.peaks = list(map(composition, schedules)), peaks
        self.dashes = dict(zip(dict.fromkeys(self.classes), itertools.cycle(DASHES), strict=False))
        shown = peaks if lost.all() else peaks[~lost]  # those that diverged, and may be absurd, do not stretch the colours
        self.colours = in_order(float(shown.min()), float(shown.max()))

    def name(self, i: int) -> str:
        return f"{self.peaks[i]:.3g}" if len(self.dashes) == 1 else f"{self.classes[i]} {self.peaks[i]:.3g}"

    def style(self, i: int, best: bool = False) -> dict[str, Any]:
        if best:
            one_class = len(self.dashes) == 1
            return {**BEST, "label": f"winner: {'' if one_class else self.classes[i] + ', '}peak {self.peaks[i]:.3g}"}
        return {"color": self.colours.to_rgba(self.peaks[i]), "linestyle": self.dashes[self.classes[i]], "linewidth": 1.2}

    def label_classes(self, axes: "Axes") -> None:
        for name, dashes in self.dashes.items() if len(self.dashes) > 1 else ():
            axes.plot([], [], color="grey", linestyle=dashes, label=name)


def _count_runs(axes: "Axes", rungs: Array, ends: Sequence[int]) -> None:
    """How many runs each rung had, above it, where there is space."""
    axes.set_xlim(-0.03 * ends[-1], 1.03 * ends[-1])
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": "small", "color": "dimgrey"}
    for rung, (begin, end) in enumerate(itertools.pairwise((0, *ends)), 1):
        if end - begin > 0.05 * ends[-1]:
            runs = int((rungs >= rung).sum())
            text = f"{runs} {'run' if runs == 1 else 'runs'}" if end - begin > 0.2 * ends[-1] else str(runs)
            axes.text((begin + end) / 2, 1.01, text, transform=axes.get_xaxis_transform(), **style)


def _finished(axes: "Axes", means: Array, first: Any, colours: Any, title: str | None = None) -> "Axes":
    """Scales, labels, legend and colour bar of axes with curves."""
    finite, first = means[np.isfinite(means)], first[np.isfinite(first)]
    if finite.size:
        log_if_wide(axes, finite)
        if first.size and finite.max() > 4 * abs(first.max()) + 1e-6:  # curves that blow up must not flatten the rest
            axes.set_ylim(top=4 * abs(first.max()) + 1e-6)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(title=title, fontsize="small")
    if colours is not None:
        colour_bar(axes, colours, "peak learning rate")
    return axes


def running_mean(curve: Array) -> Array:
    """The mean of the finite losses in a thirtieth of the steps around each; on a line between them, NaN before and after.

    >>> print(running_mean(np.array([1.0, 3.0, np.nan])), running_mean(np.arange(90.0))[:3])
    [ 1.  3. nan] [0.5 1.  2. ]
    >>> print(running_mean(np.array([np.inf, 1.0, np.nan, 3.0, np.nan])))
    [nan  1.  2.  3. nan]
    """
    known, window = np.isfinite(curve), np.ones(1 + len(curve) // 60 * 2)
    if not known.any():
        return np.full(len(curve), math.nan)
    sums, counts = (np.convolve(part, window, "same") for part in (np.where(known, curve, 0.0), known))
    places = np.flatnonzero(known)
    return np.interp(np.arange(len(curve)), places, (sums / np.maximum(counts, 1))[places], left=math.nan, right=math.nan)
