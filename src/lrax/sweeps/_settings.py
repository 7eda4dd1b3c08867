"""Settings: the schedules of a sweep with their seeds, ranked, and how sure the ranking is."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lrax.schedules._base import Schedule
from lrax.schedules._display import kind_of


class Setting(NamedTuple):
    """One schedule of a sweep with all its lanes: its seeds.

    Attributes:
      schedule: the schedule.
      peak: its highest rate.
      lanes: the lanes that were trained with it.
      score: the median of its lanes' scores; infinite if one of them diverged.
      low, high: the least and the greatest of its finite scores, NaN if there is none.
      diverged: how many of its lanes diverged.
    """

    schedule: Schedule
    peak: float
    lanes: tuple[int, ...]
    score: float
    low: float
    high: float
    diverged: int


class Margin(NamedTuple):
    """How far the best setting is ahead of the next.

    Attributes:
      ahead: the next one's score less the best one's: the mean of the differences, seed by seed.
      error: its standard error over the seeds, NaN for one seed.
      seeds: how many seeds each has.
    """

    ahead: float
    error: float
    seeds: int


def settings_of(
    schedules: Sequence[Schedule],
    peaks: np.ndarray[Any, Any],
    scores: np.ndarray[Any, Any],
    diverged: np.ndarray[Any, Any],
) -> tuple[Setting, ...]:
    """The different schedules of all lanes, in the order of their first lanes."""
    groups: dict[int, list[int]] = {}
    for lane, first in enumerate(first_lanes(schedules)):
        groups.setdefault(first, []).append(lane)

    def setting(lanes: tuple[int, ...]) -> Setting:
        of_lanes, lost = scores[list(lanes)], int(diverged[list(lanes)].sum())
        finite = of_lanes[np.isfinite(of_lanes)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
        score = math.inf if lost else float(np.median(finite))
        return Setting(schedules[lanes[0]], float(peaks[lanes[0]]), lanes, score, low, high, lost)

    return tuple(setting(tuple(lanes)) for lanes in groups.values())


def first_lanes(schedules: Sequence[Schedule]) -> list[int]:
    """Of each lane, the first that has an equal schedule.

    >>> first_lanes([lrax.Constant(0.1), lrax.Constant(0.2), lrax.Constant(0.1)])
    [0, 1, 0]
    """
    first: dict[Any, int] = {}
    found = []
    for lane, schedule in enumerate(schedules):
        leaves = tuple((np.shape(leaf), np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(schedule))
        found.append(first.setdefault((jax.tree.structure(schedule), leaves), lane))
    return found


def ranked(settings: Sequence[Setting]) -> list[Setting]:
    """Those settings none of whose lanes diverged, from best to worst."""
    return sorted((setting for setting in settings if math.isfinite(setting.score)), key=lambda setting: setting.score)


def margin_of(settings: Sequence[Setting], scores: np.ndarray[Any, Any]) -> Margin | None:
    """How far the best is ahead of the next; None if there is no other without a lane that diverged."""
    best = ranked(settings)[:2]
    if len(best) < 2:
        return None
    first, second = (scores[list(setting.lanes)] for setting in best)
    if len(first) == len(second):  # the same seeds in the same order: what is common to both drops out
        differences = second - first
        error = float(np.std(differences, ddof=1) / math.sqrt(len(first))) if len(first) > 1 else math.nan
        return Margin(float(np.mean(differences)), error, len(first))
    spread = [np.var(part, ddof=1) / len(part) if len(part) > 1 else math.nan for part in (first, second)]
    return Margin(float(np.mean(second) - np.mean(first)), float(np.sqrt(sum(spread))), min(len(first), len(second)))


def end_of_range(schedules: Sequence[Schedule], peaks: Sequence[float], best: int) -> str | None:
    """Whether the best peak rate is the "highest" or the "lowest" of its kind that was tried; None if it is between others.

    Two rates are a comparison and no range: nothing is said of fewer than three.

    >>> end_of_range([lrax.Constant(rate) for rate in (0.1, 0.2, 0.3)], [0.1, 0.2, 0.3], best=2)
    'highest'
    """
    kind = kind_of(schedules[best])
    tried = sorted({float(f"{peak:.4g}") for one, peak in zip(schedules, peaks, strict=True) if kind_of(one) == kind})
    found = float(f"{peaks[best]:.4g}")
    if len(tried) < 3 or tried[0] < found < tried[-1]:
        return None
    return "highest" if found == tried[-1] else "lowest"
