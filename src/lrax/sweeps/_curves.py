"""Losses over updates, drawn: the settings of a sweep, the lanes of a race. matplotlib is imported when something is drawn."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import BLACK, GONE, colour_bar, log_if_wide, new_axes
from lrax.schedules._display import kind_of
from lrax.sweeps._picture import rate_colours
from lrax.sweeps._settings import Setting, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 10
"""So many curves have a legend; more have a colour bar."""

DASHES = ("-", "--", ":", "-.")
"""Of kinds of schedules."""

BEST = {"color": BLACK, "linestyle": "-", "linewidth": 2.2, "zorder": 5}


def plot_curves(settings: Sequence[Setting], losses: np.ndarray[Any, Any], axes: "Axes | None" = None) -> "Axes":
    """Draws losses of shape (lanes, updates); see `SweepResult.plot_curves`."""
    axes = new_axes() if axes is None else axes
    peaks, best = np.array([setting.peak for setting in settings]), next(iter(ranked(settings)), None)
    colours = rate_colours(peaks, np.array([setting.diverged > 0 for setting in settings]))
    few = len(settings) <= FEW
    kinds = dict(zip(dict.fromkeys(kind_of(setting.schedule) for setting in settings), itertools.cycle(DASHES), strict=False))
    means = np.array([np.median([running_mean(losses[lane]) for lane in setting.lanes], axis=0) for setting in settings])
    for setting, mean in zip(settings, means, strict=True):
        colour, kind = colours.to_rgba(setting.peak), kind_of(setting.schedule)
        for curve in losses[list(setting.lanes)] if few else ():
            known = np.flatnonzero(np.isfinite(curve))  # a metric may be measured at every fifth step alone
            axes.plot(known, curve[known], color=colour, linewidth=0.8, alpha=0.15)
        name = f"{setting.peak:.3g}" if len(kinds) == 1 else f"{kind} {setting.peak:.3g}"
        style: dict[str, Any] = {"color": colour, "linestyle": kinds[kind], "linewidth": 1.2, "label": name if few else "_"}
        if setting is best:
            style |= {**BEST, "label": f"best: {name}"}
        axes.plot(mean, marker="o" if losses.shape[1] == 1 else None, **style)
    for kind, dashes in kinds.items() if not few and len(kinds) > 1 else ():
        axes.plot([], [], color="grey", linestyle=dashes, label=kind)
    return _finished(axes, means, losses[:, 0], None if few else colours, "peak rate" if few and len(kinds) == 1 else None)


def plot_race(
    schedules: Sequence[Any],
    peaks: np.ndarray[Any, Any],
    losses: np.ndarray[Any, Any],
    end_losses: np.ndarray[Any, Any],
    rungs: np.ndarray[Any, Any],
    ends: Sequence[int],
    best: int | None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draws losses of shape (lanes, updates); see `RaceResult.plot`."""
    axes = new_axes() if axes is None else axes
    lost, means = ~np.isfinite(end_losses), np.array([running_mean(curve) for curve in losses])
    colours = rate_colours(peaks, lost)
    kinds = dict(zip(dict.fromkeys(map(kind_of, schedules)), itertools.cycle(DASHES), strict=False))
    for lane, mean in enumerate(means):
        kind = kind_of(schedules[lane])
        style: dict[str, Any] = {"color": colours.to_rgba(peaks[lane]), "linestyle": kinds[kind], "linewidth": 1.2}
        if lane == best:
            style |= {**BEST, "label": f"winner: {'' if len(kinds) == 1 else kind + ', '}peak {peaks[lane]:.3g}"}
        axes.plot(mean, **style)
    for kind, dashes in kinds.items() if len(kinds) > 1 else ():
        axes.plot([], [], color="grey", linestyle=dashes, label=kind)
    for end in ends[:-1]:
        axes.axvline(end - 0.5, color="grey", linestyle=":", linewidth=1, label="a rung ends" if end == ends[0] else "_")
    _finished(axes, means, losses[:, 0], colours)
    top = axes.get_ylim()[1]
    out = ~lost & (rungs < len(ends))
    for marker, colour, chosen, label in (("o", "dimgrey", out, "did not go on"), ("x", GONE, lost, "diverged")):
        places = [(np.flatnonzero(np.isfinite(means[lane])), means[lane]) for lane in np.flatnonzero(chosen)]
        dots = [(known[-1], min(mean[known[-1]], top)) for known, mean in places if known.size]
        if dots:
            style = {"markerfacecolor": "white", "color": colour, "zorder": 4, "clip_on": False, "markersize": 5}
            axes.plot(*zip(*dots, strict=True), marker, label=label, **style)
    _count_lanes(axes, rungs, ends)
    axes.legend(fontsize="small")
    return axes


def plot_metrics(
    schedules: Sequence[Any],
    peaks: np.ndarray[Any, Any],
    counts: np.ndarray[Any, Any],
    metrics: np.ndarray[Any, Any],
    best: int | None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draws metrics of shape (lanes, evaluations) over their counts; see `RaceResult.plot_evaluations`."""
    axes = new_axes() if axes is None else axes
    colours = rate_colours(peaks, ~np.isfinite(metrics).any(axis=1))
    kinds = dict(zip(dict.fromkeys(map(kind_of, schedules)), itertools.cycle(DASHES), strict=False))
    for lane, its in enumerate(metrics):
        kind, known = kind_of(schedules[lane]), np.isfinite(its)
        style: dict[str, Any] = {"color": colours.to_rgba(peaks[lane]), "linestyle": kinds[kind], "linewidth": 1.2}
        if lane == best:
            style |= {**BEST, "label": f"winner: {'' if len(kinds) == 1 else kind + ', '}peak {peaks[lane]:.3g}"}
        axes.plot(counts[known], its[known], marker="o", markersize=3, **style)
    for kind, dashes in kinds.items() if len(kinds) > 1 else ():
        axes.plot([], [], color="grey", linestyle=dashes, label=kind)
    _finished(axes, metrics, metrics[:, 0] if len(counts) else np.zeros(0), colours)
    axes.set_xlabel("updates made")
    axes.set_ylabel("metric")
    return axes


def _count_lanes(axes: "Axes", rungs: np.ndarray[Any, Any], ends: Sequence[int]) -> None:
    """How many lanes each rung had, above it, where there is room."""
    place = axes.get_xaxis_transform()
    axes.set_xlim(-0.03 * ends[-1], 1.03 * ends[-1])
    for rung, (begin, end) in enumerate(itertools.pairwise((0, *ends)), 1):
        if end - begin > 0.05 * ends[-1]:
            lanes = int((rungs >= rung).sum())
            text = f"{lanes} {'lane' if lanes == 1 else 'lanes'}" if end - begin > 0.2 * ends[-1] else str(lanes)
            axes.text(
                (begin + end) / 2, 1.01, text, transform=place, ha="center", va="bottom", fontsize="small", color="dimgrey"
            )


def _finished(axes: "Axes", means: np.ndarray[Any, Any], first: Any, colours: Any, title: str | None = None) -> "Axes":
    """Scales, labels, legend and bar of axes with curves."""
    finite, first = means[np.isfinite(means)], first[np.isfinite(first)]
    if finite.size:
        log_if_wide(axes, finite)
        if first.size and finite.max() > 4 * abs(first.max()) + 1e-6:  # what blows up must not flatten the rest
            axes.set_ylim(top=4 * abs(first.max()) + 1e-6)
    axes.set_xlabel("update count")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(title=title, fontsize="small")
    if colours is not None:
        colour_bar(axes, colours, "peak rate")
    return axes


def running_mean(curve: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
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
