"""What the peers' schedules are put together from, beside lrax's own kinds."""

import math
from collections.abc import Sequence as Many
from typing import Any

import numpy as np

from lrax.fields._known import is_known
from lrax.fields._rules import LARGEST
from lrax.fields._types import DELAY
from lrax.fields._words import complain
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Until
from lrax.schedules._decays import Exponential, StepDecay
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
