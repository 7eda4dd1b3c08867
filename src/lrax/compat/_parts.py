"""What the peers' schedules are put together from, beside lrax's own kinds."""

import math
from collections.abc import Sequence as Many
from typing import Any, final

import jax

from lrax.fields._rules import LARGEST
from lrax.fields._types import Delay
from lrax.fields._words import complain
from lrax.schedules._base import Schedule, ScheduleLike
from lrax.schedules._combinators import Sequence, Stretch
from lrax.schedules._decays import Exponential, StepDecay


@final
class Until(Schedule):
    """The first `steps` updates of a schedule, so that another can follow it in a `Sequence`.

    Args:
      schedule: a schedule or a callable `count -> rate`, endless or longer or shorter than `steps`.
      steps: length in updates, an integer >= 0.

    Raises: ValueError if `steps` is negative.

    >>> print(Until(Constant(0.1), steps=3).length)
    3
    """

    schedule: ScheduleLike
    steps: Delay

    def rate(self, count: jax.Array) -> jax.Array:
        return self.schedule.rate(count)

    @property
    def length(self) -> Any:
        return self.steps


def join(owner: str, name: str, schedules: Many[Any], boundaries: Many[int]) -> Schedule:
    """Schedules one after the other, each from its own count 0, changing at `boundaries` whatever their lengths.

    >>> print(join("join", "boundaries", [Constant(0.1), Linear(1.0, 0.0, 10)], [5])(jnp.array([4, 5, 10])))
    [0.1 1.  0.5]
    """
    at = [int(boundary) for boundary in boundaries]
    if len(at) != len(schedules) - 1:
        needs = f"one shorter than the list of schedules ({len(schedules)})"
        raise complain(ValueError, owner, name, needs, boundaries)
    if at != sorted(at) or min(at, default=0) < 0:
        raise complain(ValueError, owner, name, "counts in rising order, none below 0", boundaries, "sort them")
    parts = [Until(schedule, end - begin) for schedule, begin, end in zip(schedules[:-1], [0, *at], at, strict=False)]
    return Sequence(*parts, schedules[-1])


def exponential(start: Any, factor: Any, every: Any = 1, floor: Any = 0.0) -> Exponential:
    """Multiplies by `factor` over every `every` updates; a Python float keeps the digits that float32 would lose.

    As a float32, 0.9999 is off by 2e-8, and its power to 100,000 by 2e-3. So the factor of as many updates as halve (or
    double) the rate is stored, and their number.

    >>> print(exponential(0.1, 0.9999))
    Exponential(start=0.1, factor=0.50000626, every=6931, floor=0.0)
    """
    known = isinstance(factor, float | int) and isinstance(every, int) and factor > 0 and factor != 1
    times = round(abs(math.log(2) / math.log(factor))) if known else 1
    times = max(1, min(times, LARGEST // every)) if known else 1
    return Exponential(start, factor**times, every * times, floor)


def step_decay(start: Any, factor: Any, every: Any, floor: Any = 0.0) -> Schedule:
    """Multiplies by `factor` every `every` updates; a Python float near 1, of which many are multiplied, keeps its digits.

    >>> print(step_decay(0.1, 0.5, 30))
    StepDecay(start=0.1, factor=0.5, every=30, floor=0.0)
    >>> print(step_decay(0.1, 0.99, 30))
    Stretch(schedule=Exponential(start=0.1, factor=0.49983704, every=69, floor=0.0), every=30)
    """
    if isinstance(factor, float) and 0.95 < factor < 1:
        return Stretch(exponential(start, factor, floor=floor), every)
    return StepDecay(start, factor, every, floor)
