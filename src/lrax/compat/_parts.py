"""What the peers' schedules are put together from, beside lrax's own kinds."""

import math
from collections.abc import Callable
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Any

import numpy as np

from lrax.fields._known import is_known
from lrax.fields._rules import LARGEST
from lrax.fields._types import DELAY
from lrax.fields._words import complain
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Until
from lrax.schedules._cycles import Cycle
from lrax.schedules._decays import Constant, Exponential, StepDecay
from lrax.schedules._phases import Cosine
from lrax.schedules._tables import Knots
from lrax.schedules._time import Stretch


def join(owner: str, name: str, schedules: Many[Any], boundaries: Many[Any]) -> Schedule:
    """Schedules one after the other, each from its own count 0, changing at `boundaries` whatever their lengths.

    >>> print(join("join", "boundaries", [Constant(0.1), Linear(1.0, 0.0, 10)], [5])(jnp.array([4, 5, 10])))
    [0.1 1.  0.5]
    """
    at = [DELAY.convert(owner, name, boundary) for boundary in boundaries]
    if len(at) != len(schedules) - 1:
        needs = f"one shorter than the list of schedules ({len(schedules)})"
        raise complain(ValueError, owner, name, needs, boundaries)
    begins = [np.int32(0), *at[:-1]]
    if any(is_known(begin) and is_known(end) and np.any(begin > end) for begin, end in zip(begins, at, strict=False)):
        raise complain(ValueError, owner, name, "counts in rising order, none below 0", boundaries, "sort them")
    parts = [Until(schedule, end - begin) for schedule, begin, end in zip(schedules[:-1], begins, at, strict=False)]
    return Sequence(*parts, schedules[-1])


def exponential(start: Any, factor: Any, every: Any = 1, floor: Any = 0.0) -> Exponential:
    """Multiplies by `factor` over every `every` updates; a Python float keeps the digits that float32 would lose.

    As a float32, 0.9999 is off by 2e-8, and its power to 100,000 by 2e-3. So the factor of as many updates as halve (or
    double) the rate is stored, and their number.

    >>> print(exponential(0.1, 0.9999))
    Exponential(start=0.1, factor=0.50000626, every=6931)
    """
    known = isinstance(factor, float | int) and isinstance(every, int) and factor > 0 and factor != 1
    times = round(abs(math.log(2) / math.log(factor))) if known else 1
    times = max(1, min(times, LARGEST // every)) if known else 1
    return Exponential(start, factor**times, every * times, floor)


def step_decay(start: Any, factor: Any, every: Any, floor: Any = 0.0) -> Schedule:
    """Multiplies by `factor` every `every` updates; a Python float near 1, of which many are multiplied, keeps its digits.

    >>> print(step_decay(0.1, 0.5, 30))
    StepDecay(start=0.1, factor=0.5, every=30)
    >>> print(step_decay(0.1, 0.99, 30))
    Stretch(schedule=Exponential(start=0.1, factor=0.49983704, every=69), every=30)
    """
    if isinstance(factor, float) and 0.95 < factor < 1:
        return Stretch(exponential(start, factor, floor=floor), every)
    return StepDecay(start, factor, every, floor)


def wave(high: Any, low: Any, steps: Any, cycles: Any = 0.5) -> Schedule:
    """A cosine wave for ever, `cycles` of it in `steps` updates, which are to be known unless it is half a one.

    >>> print([f"{rate:.2f}" for rate in wave(1.0, 0.0, 10, cycles=0.4)(jnp.array([0, 10, 25]))])
    ['1.00', '0.10', '1.00']
    """
    if cycles == 0:
        return Constant(high)
    if cycles == 0.5:
        return Cycle(Sequence(Cosine(high, low, steps), Cosine(low, high, steps)))
    half = Fraction(steps) / (2 * Fraction(cycles).limit_denominator(1000))
    if half.denominator == 1:
        return wave(high, low, int(half))
    turns = half.denominator * (1 + half.denominator % 2)  # so many, and it begins anew at a count
    places = [half * turn for turn in range(turns + 1)]
    return Cycle(knots([low if turn % 2 else high for turn in range(turns + 1)], places, int(places[-1])))


def restarts(highs: Callable[[int], Any], low: Any, first: int, factor: float, limit: int | None = None) -> Schedule:
    """Half a cosine again and again, whose lengths are multiplied by a `factor` and not rounded: one table to the last count.

    Args:
      highs: the rate at which a cycle begins, from its index.
      low: the rate at which each ends.
      first: the length of the first cycle.
      factor: of the lengths, at least 1.
      limit: how many cycles there are, of all that fit.

    >>> print([f"{rate:.2f}" for rate in restarts(lambda i: 1.0, 0.0, 5, 1.5)(jnp.array([4, 5, 12, 13]))])
    ['0.10', '1.00', '0.01', '1.00']
    """
    by, begin, size, i = Fraction(factor).limit_denominator(10**6), Fraction(0), Fraction(first), 0
    values, places = [], []
    while begin <= LARGEST and (limit is None or i < limit):
        values += [highs(i), low]
        places += [begin, begin + size]
        begin, size, i = begin + size, size * by, i + 1
    return knots(values, places, min(int(begin), LARGEST))


def knots(values: list[Any], places: Many[Any], steps: int) -> Schedule:
    """Values at places between counts, half a cosine between each two; of two at one place the later holds."""
    whole = [min(int(place), LARGEST) for place in places]
    return Knots(values, whole, [float(place - int(place)) for place in places], steps, "cosine")
