"""The search: which short runs to make within a budget of steps, and what peak learning rate they support. NumPy only.

A ramp says where the loss drops and where it diverges, and no more: its curve at a learning rate depends on all those before.
Short runs say which peak trains best. Each is a whole schedule, warm-up and descent, squeezed into a few steps: what the noise
of a high learning rate leaves behind shows at once where the learning rate comes down.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lrax.finder._rules import FEWEST, center

Train = Callable[[Sequence[float], int], Sequence[float]]
"""`(peaks, steps) -> scores`: trains whole schedules of the plan's shape, of this many steps, at each peak, all from one state
and on common batches. A lower score is better; a run that diverged has an infinite one."""

RAMP, USUAL, SHORTEST = 100, 100, 10
"""Steps of the ramp; of a short run, where the budget allows it; and of the shortest one."""

FEW, MOST = 4, 6
"""The fewest and the most short runs. With a larger budget the runs are longer."""

ABOVE = 10**0.5
"""The best peak of a short run over the learning rate at 75 % of the ramp's drop: the median of the choosing tasks."""

BELOW = 0.1
"""The same over the learning rate where the ramp diverged: where its drop is lost in the noise, short runs begin from there."""

GRID = 0.25
"""Peaks are on a grid of this many decades around the middle."""

WIDE = 2
"""How many places of the grid the first runs are apart."""

FLAT = 0.05
"""Scores within this part of the highest of them are not significantly different: runs that have not left a plateau, say."""

BAND = 4.0, 5.0
"""How many times below and above the answer the best peaks were for four tasks in five."""

BEYOND = 3.0
"""How much further the best may be where the best run was the last one tried, or where all runs ended about the same."""


POWERS = {False: 0.15, True: 0.4, None: 0.25}
"""Best peaks fall with the length of a run to this power, by whether the optimizer is scale-invariant (None: not known).

The gradients of a run get smaller as it goes on, and with them the steps of SGD, but not those of Adam or Lion.
"""


class Answer(NamedTuple):
    """The peak for the plan, NaN if all short runs diverged; the best peak may be from `low` to `high`."""

    peak: float
    low: float
    high: float


def ramp_steps(budget: int) -> int:
    """The steps of the ramp within a budget."""
    return min(RAMP, max(budget // 3, FEWEST + 2))


def middle_of(learning_rates: npt.NDArray[np.float32], losses: npt.NDArray[np.float32]) -> float:
    """Where short runs should begin: above the drop of a ramp, or, where that is lost in the noise, below its end."""
    at_center = float(center(learning_rates, losses))
    return ABOVE * at_center if math.isfinite(at_center) else BELOW * float(learning_rates[np.isfinite(losses)][-1])


def find_peak(
    learning_rates: npt.NDArray[np.float32],
    losses: npt.NDArray[np.float32],
    budget: int,
    total_steps: int,
    train: Train,
    scale_invariant: bool | None = None,
) -> Answer:
    """Makes short runs around the drop of a ramp, and reads the peak for the plan off their ends.

    First a few, evenly apart. Then one after the other, where it tells most: beyond the best if that is outermost, else next to
    the best. The answer is the bottom of the parabola through the best score and its neighbours, in the logarithm of the peak.

    Args:
      learning_rates: of a ramp, up to where it stopped, float (n,), rising, > 0.
      losses: the loss after a step at each, not finite where the ramp diverged, float (n,).
      budget: the steps of the ramp and all short runs.
      total_steps: of the plan.
      train: makes runs.
      scale_invariant: whether a step does not change with the scale of the gradients; None if that is not known.
    """
    middle = middle_of(learning_rates, losses)
    left = max(budget - len(learning_rates), 2)
    number = min(max(left // USUAL, FEW), MOST, max(left // SHORTEST, 2))
    steps = min(left // number, total_steps)
    first = (-WIDE // 2, WIDE // 2) if number == 2 else (-WIDE, 0, WIDE)
    scores: dict[int, float] = {}
    while len(scores) < number:
        places = list(first) if not scores else [_next(scores)]
        found = train([middle * 10 ** (GRID * place) for place in places], steps)
        scores |= {place: float(score) for place, score in zip(places, found, strict=True)}
    places = sorted(scores)
    ordered = [scores[place] for place in places]
    lowest = bottom(places, ordered)
    if lowest is None:
        return Answer(math.nan, math.nan, math.nan)
    peak = middle * 10 ** (GRID * lowest) * (steps / total_steps) ** POWERS[scale_invariant]
    best, flat = int(np.argmin(ordered)), are_flat(ordered)
    further = [BEYOND if flat or best == end else 1.0 for end in (0, len(places) - 1)]
    return Answer(peak, peak / BAND[0] / further[0], peak * BAND[1] * further[1])


def _next(scores: dict[int, float]) -> int:
    """Where one more run tells most; on a plateau, higher."""
    tried = sorted(scores)
    best = min(tried, key=scores.__getitem__)
    flat = are_flat([score for score in scores.values() if math.isfinite(score)])
    if best == tried[0] or not math.isfinite(scores[best]):
        return tried[0] - WIDE
    if best == tried[-1]:
        return best + WIDE * (2 if flat else 1)
    below, above = (tried[tried.index(best) + side] for side in (-1, 1))
    near, far = (above, below) if flat or scores[above] < scores[below] else (below, above)
    between = [place for place in ((best + near) // 2, (best + far) // 2) if place not in scores]
    return between[0] if between else tried[-1] + WIDE if near > best else tried[0] - WIDE


def are_flat(scores: Sequence[float] | npt.NDArray[np.float32]) -> bool:
    """Whether there are scores, all finite, within a twentieth of the highest of them."""
    return bool(len(scores) and np.isfinite(scores).all() and np.ptp(scores) <= FLAT * np.max(np.abs(scores)))


def bottom(places: Sequence[float], scores: Sequence[float]) -> float | None:
    """Where the parabola through the lowest score and its two neighbours is lowest, half-way to either at most.

    Scores above 0 are compared on a logarithmic scale. A neighbour that diverged counts as twice as far above the lowest as the
    other would be at its distance. Without two neighbours it is the place of the lowest; None if all diverged.

    >>> bottom([-2, 0, 2], [4.0, 1.0, 4.0]), bottom([0, 1, 2], [3.0, 2.0, 1.0]), bottom([0, 1], [float("inf")] * 2)
    (0.0, 2, None)
    """
    i = int(np.argmin(scores))
    if not math.isfinite(scores[i]):
        return None
    if not 0 < i < len(places) - 1:
        return places[i]
    left, right = places[i] - places[i - 1], places[i + 1] - places[i]
    three = np.array(scores[i - 1 : i + 2])
    below, _, above = np.log(three) - np.log(three[1]) if three[1] > 0 else three - three[1]
    if not math.isfinite(below) and not math.isfinite(above):
        return places[i]
    above = above if math.isfinite(above) else 2 * below * right / left
    below = below if math.isfinite(below) else 2 * above * left / right
    if left * above + right * below <= 0:
        return places[i]
    moved = 0.5 * (right**2 * below - left**2 * above) / (left * above + right * below)
    return float(places[i] + moved)  # at most half-way, because both rises are at least 0
