"""Schedules made of schedules."""

import dataclasses
from typing import Annotated, Any, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._rules import Choice
from lrax.fields._types import Delay, MaybePositive, Rate, Steps, default
from lrax.fields._words import argument_error, check_call
from lrax.schedules._algebra import fill_with, shown
from lrax.schedules._base import RateFunction, Schedule, ScheduleLike, Schedules
from lrax.schedules._counting import add_lengths, fractions
from lrax.schedules._modes import Mode, ShapeName
from lrax.schedules._shapes import SHAPES, logarithm, way


def check_power(caller: str, mode: str, power: Any) -> None:
    """Raises ValueError where a power is given to a way that is no sum of two weighted rates."""
    if power is not None and mode in ("constant", "geometric"):
        raise argument_error(ValueError, caller, "power", f"left out in mode {mode!r}", power, "use mode 'linear' or another")


def check_geometric(caller: str, mode: str, name: str, rate: Any) -> None:
    """Raises ValueError where a geometric way would start or end at a rate that is not above 0."""
    if mode == "geometric" and is_concrete(rate) and np.any(np.asarray(rate) <= 0):
        raise argument_error(ValueError, caller, name, "above 0 in mode 'geometric'", rate, "use mode 'relaxation'")


@final
class Sequence(Schedule):
    """One schedule after another, each from its own count 0.

    The boundaries follow from the lengths: at count `schedules[0].length` the second schedule is at its count 0. The last may
    be endless; if it has a length, it holds its end.

    Args:
      *schedules: schedules, or callables `count -> rate`; all but the last with a length.

    Raises: ValueError if there is none, or one before the last has no length; TypeError if one is not a schedule.

    >>> warmed = Sequence(Linear(start=0.0, end=0.1, steps=10), Cosine(start=0.1, end=0.0, steps=90))
    >>> print(warmed(jnp.array([5, 10, 100])))
    [0.05 0.1  0.  ]
    """

    schedules: Schedules

    @check_call
    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill_with(self, parts or schedules)

    __repr__ = shown

    def check(self) -> None:
        for i, schedule in enumerate(self.schedules[:-1]):
            if schedule.length is None:
                remedy = "put it last, or give it a length with lrax.Sequence's other phases (Hold, Linear, ...)"
                raise argument_error(ValueError, "Sequence", f"schedules[{i}]", "a schedule with a length", schedule, remedy)

    @property
    def landmarks(self) -> list[int]:
        found, begin = [], 0
        for schedule in self.schedules:
            found += [begin + mark for mark in schedule.landmarks]
            begin += int(schedule.length or 0)
        return found

    def rate(self, count: jax.Array) -> jax.Array:
        first, *others = self.schedules
        rate, length, here = first.rate(count), first.length, jnp.ones_like(count, jnp.bool_)
        for schedule in others:
            here = here & (count >= length)  # a part of length 0 is over at once, but not before it has begun
            count = jnp.maximum(count - jnp.maximum(length, 0), 0)  # one length after the other: their sum could wrap
            rate, length = jnp.where(here, schedule.rate(count), rate), schedule.length
        return rate

    @property
    def length(self) -> Any:
        return add_lengths(*(schedule.length for schedule in self.schedules))


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


WarmupMode: TypeAlias = Annotated[ShapeName | Literal["constant", "logarithmic"], Choice(("constant", "logarithmic", *SHAPES))]
"""A static field that holds the name of the shape of a warm-up."""


@final
class Warmup(Schedule):
    r"""Leads from `start` to the first rate of a schedule, and then follows the schedule from its own count 0.

    $$\eta(t) = start + (\eta_0 - start)\, t / warmup\_steps \quad (t < warmup\_steps), \qquad
    \eta(t) = schedule(t - warmup\_steps) \quad (t \ge warmup\_steps)$$

    The schedule begins after the warm-up, so what it does at its count 250 comes at `warmup_steps + 250`. A warm-up over a
    schedule that begins at once, and whose boundaries stay where they are, is `lrax.schedules.warmed`: it multiplies.

    A warm-up from 0 wastes the first update. To begin at the first rate that is not zero and still be at the top at count
    `warmup_steps`, skip it: `Shift(Warmup(schedule, warmup_steps + 1), 1)`, as `lrax.warmup_cosine` does.

    Args:
      schedule: what follows; a schedule or a callable `count -> rate`.
      warmup_steps: length of the warm-up in updates, an integer >= 0.
      start: rate at count 0.
      mode: `"linear"`, `"constant"` (`start` until the schedule begins), `"logarithmic"` (the way climbed is
        ln(t + 1) / ln(warmup_steps + 1)), `"cosine"` or another shape (see `Cooldown`): the climb is the mirror image of the
        fall of that name. For a shape with other numbers, or of your own, put a phase first in a `Sequence`.
      power: exponent of the way climbed, > 0, or None: in mode `"linear"`, (t / warmup_steps) to that power. Not in modes
        `"constant"` and `"geometric"`. The value is within `12 + 4 * power` float32 ulp of the formula.

    Raises: ValueError if `warmup_steps` is negative, `start` not finite (or not above 0 in mode `"geometric"`), `mode`
      unknown, or `power` not positive or not for that mode.

    Source: Goyal et al. 2017, section 2.2; DeepSpeed, `WarmupLR` (logarithmic: its default).

    >>> print(Warmup(Constant(1.0), warmup_steps=250)(jnp.array([0, 125, 250])))
    [0.  0.5 1. ]
    >>> print(Warmup(Constant(1.0), warmup_steps=4, power=2)(jnp.arange(5)))
    [0.     0.0625 0.25   0.5625 1.    ]
    """

    schedule: ScheduleLike
    warmup_steps: Delay
    start: Rate = default(0.0)
    mode: WarmupMode = "linear"
    power: MaybePositive = default(None)

    def check(self) -> None:
        check_geometric("Warmup", self.mode, "start", self.start)
        check_power("Warmup", self.mode, self.power)

    @property
    def landmarks(self) -> list[int]:
        begin = int(self.warmup_steps)
        return [begin, *(begin + mark for mark in self.schedule.landmarks or [begin])]

    def rate(self, count: jax.Array) -> jax.Array:
        early = count < self.warmup_steps
        rate = self.schedule.rate(jnp.maximum(count - self.warmup_steps, 0))  # its first one as long as it is early
        if self.mode == "constant":
            return jnp.where(early, self.start, rate)
        peak = jnp.where(early, rate, 1.0)  # what is not selected must not yield NaN
        if self.mode == "logarithmic":
            climbed, ahead = logarithm(count, self.warmup_steps)
            return jnp.where(early, way("linear", self.power, peak, self.start, ahead, climbed), rate)
        done, left = fractions(count, self.warmup_steps)  # the fall from the peak, run backwards
        return jnp.where(early, way(self.mode, self.power, peak, self.start, left, done), rate)

    @property
    def length(self) -> Any:
        return add_lengths(self.warmup_steps, self.schedule.length)

    def resized(self, length: Any) -> "Warmup | None":
        inner = self.schedule.resized(jnp.maximum(length - self.warmup_steps, 1))
        return None if inner is None else dataclasses.replace(self, schedule=inner)


@final
class Cooldown(Schedule):
    r"""Follows a schedule up to count `begin`, leads from its rate there to `end`, and then holds `end`.

    $$\eta(t) = schedule(t) \quad (t \le begin), \qquad
    \eta(t) = \eta_{begin} + (end - \eta_{begin})\,\tfrac{t - begin}{steps} \quad (begin \le t \le begin + steps)$$

    Args:
      schedule: what is followed before; a schedule or a callable `count -> rate`.
      begin: count at which the cool-down starts, an integer >= 0.
      steps: length of the cool-down in updates, an integer > 0.
      end: rate from count `begin + steps` on.
      mode: shape of the cool-down, named after the phase that has it: `"linear"`, `"cosine"`, `"polynomial"` (power 2),
        `"geometric"` (both rates above 0, or the result is NaN), `"one_minus_sqrt"`, `"one_minus_square"`, `"relaxation"`,
        `"rex"` or `"tanh"`, with the accuracy and the default numbers of that phase.
      power: exponent of the way that is left, > 0, or None: in mode `"linear"`, the fraction that is left to that power. Not in
        mode `"geometric"`. The value is within `12 + 4 * power` float32 ulp of the formula.

    Raises: ValueError if `begin` is negative, `steps` not positive, `end` not finite (or not above 0 in mode `"geometric"`),
      `mode` unknown, or `power` not positive or not for that mode.

    >>> print(Cooldown(Constant(0.1), begin=1000, steps=500, end=0.0)(jnp.array([999, 1250, 2000])))
    [0.1  0.05 0.  ]
    >>> print(Cooldown(Constant(0.1), begin=1000, steps=500, end=0.0, power=3)(1250))
    0.0125
    """

    schedule: ScheduleLike
    begin: Delay
    steps: Steps
    end: Rate
    mode: Mode = "linear"
    power: MaybePositive = default(None)

    def check(self) -> None:
        check_geometric("Cooldown", self.mode, "end", self.end)
        check_power("Cooldown", self.mode, self.power)

    @property
    def landmarks(self) -> list[int]:
        begin = int(self.begin)
        return [*(mark for mark in self.schedule.landmarks if mark < begin), begin, begin + int(self.steps)]

    def rate(self, count: jax.Array) -> jax.Array:
        late = count >= self.begin
        rate = self.schedule.rate(jnp.minimum(count, self.begin))  # its last one as soon as it is late
        last = jnp.where(late, rate, 1.0)  # what is not selected must not yield NaN
        done, left = fractions(jnp.maximum(count - self.begin, 0), self.steps)
        return jnp.where(late, way(self.mode, self.power, last, self.end, done, left), rate)

    @property
    def length(self) -> Any:
        return add_lengths(self.begin, self.steps)
