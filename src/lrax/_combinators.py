"""Schedules made of schedules."""

import dataclasses
from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax._check import LARGEST, Choice, Delay, LengthFactor, Offset, Positive, Rate, Ratio, Steps, complain, is_known
from lrax._exact import whole_power
from lrax._phases import SHAPES
from lrax._schedule import Schedule, ScheduleLike, Schedules, add_lengths, fractions


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

    def __init__(self, *parts: Any, schedules: Any = ()) -> None:
        object.__setattr__(self, "schedules", parts or schedules)  # by name for dataclasses.replace
        self.__post_init__()

    def check(self) -> None:
        for i, schedule in enumerate(self.schedules[:-1]):
            if schedule.length is None:
                remedy = "put it last, or give it a length with lrax.Sequence's other phases (Hold, Linear, ...)"
                raise complain(ValueError, "Sequence", f"schedules[{i}]", "a schedule with a length", schedule, remedy)

    def rate(self, count: jax.Array) -> jax.Array:
        first, *others = self.schedules
        rate, length = first.rate(count), first.length
        for schedule in others:
            here = count >= length
            count = jnp.maximum(count - jnp.maximum(length, 0), 0)  # one length after the other: their sum could wrap
            rate, length = jnp.where(here, schedule.rate(count), rate), schedule.length
        return rate

    @property
    def length(self) -> Any:
        return add_lengths(*(schedule.length for schedule in self.schedules))

    def __repr__(self) -> str:
        return f"Sequence({', '.join(map(repr, self.schedules))})"


@final
class Cycle(Schedule):
    r"""A phase again and again, each cycle longer (or shorter) and higher (or lower) than the last.

    $$\eta(t) = value\_factor^{k} \cdot phase_{L_k}\!\left(t - \textstyle\sum_{j<k} L_j\right), \quad
    L_{k+1} = \lceil L_k \cdot length\_factor \rceil$$

    At a boundary the next cycle is at its start. The cycle is found in integers, exactly for every count; the compiled size
    does not depend on the number of cycles, and the time of an evaluation grows with it only while lengths change.

    Args:
      phase: a schedule with a length. If the lengths change, one that can be resized: a phase, or a `Warmup` of one, whose
        warm-up then keeps its length.
      length_factor: what the length is multiplied by from cycle to cycle, > 0, rounded up to a whole number of updates. A
        number is taken as its nearest ratio of integers of at most 32768 (1.2 is 6/5).
      value_factor: what the rates are multiplied by from cycle to cycle, > 0.

    Raises: ValueError if a factor is not positive, `phase` has no length, or has one that cannot change as asked.

    Source: Loshchilov & Hutter 2017, SGDR; Smith 2015, Cyclical learning rates.

    >>> sgdr = Cycle(Cosine(start=2.0, end=0.01, steps=250), length_factor=2, value_factor=0.5)
    >>> print(sgdr(jnp.array([0, 250, 750])))
    [2.  1.  0.5]
    """

    phase: ScheduleLike
    length_factor: LengthFactor = 1
    value_factor: Positive = 1.0

    def check(self) -> None:
        if self.phase.length is None:
            raise complain(
                ValueError, "Cycle", "phase", "a schedule with a length", self.phase, "give it a phase such as Cosine"
            )
        factor: Ratio = self.length_factor
        same = is_known(factor.numerator) and np.all(np.asarray(factor.numerator) == np.asarray(factor.denominator))
        if not same and self.phase.resized(self.phase.length) is None:
            needs = f"1 for a {type(self.phase).__name__}, whose length cannot change"
            remedy = "cycle a phase such as Cosine, or a Warmup of one"
            raise complain(ValueError, "Cycle", "length_factor", needs, factor, remedy)

    def rate(self, count: jax.Array) -> jax.Array:
        index, local, length = find_cycle(count, jnp.maximum(self.phase.length, 1), self.length_factor)
        phase = self.phase.resized(length) or self.phase
        return whole_power(self.value_factor, index) * phase.rate(local)


@jax.jit  # so that a call outside jit finds the compiled loop again
def find_cycle(count: jax.Array, length: jax.Array, factor: Ratio) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The index of the cycle that `count` falls in, the count within it, and its length, by integer arithmetic."""
    shape = jnp.broadcast_shapes(count.shape, length.shape, jnp.shape(factor.numerator), jnp.shape(factor.denominator))
    start = (jnp.zeros(shape, jnp.int32), jnp.broadcast_to(count, shape), jnp.broadcast_to(length, shape).astype(jnp.int32))

    def following(length: jax.Array) -> jax.Array:  # the ceiling of length * numerator / denominator, at most 2**31 - 1
        whole, rest = length // factor.denominator, length % factor.denominator
        rest = (rest * factor.numerator + factor.denominator - 1) // factor.denominator
        fits = whole <= (LARGEST - rest) // factor.numerator
        return jnp.where(fits, jnp.where(fits, whole, 0) * factor.numerator + rest, LARGEST)

    def going(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, local, length = carry
        return (local >= length) & (following(length) != length)

    def advance(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        index, local, length = carry
        here = going(carry)
        return (
            jnp.where(here, index + 1, index),
            jnp.where(here, local - length, local),
            jnp.where(here, following(length), length),
        )

    index, local, length = jax.lax.while_loop(lambda carry: going(carry).any(), advance, start)
    return index + local // length, local % length, length  # from here on, all cycles have the same length


@final
class Warmup(Schedule):
    r"""Leads from `start` to the first rate of a schedule, and then follows the schedule from its own count 0.

    $$\eta(t) = start + (\eta_0 - start)\, t / warmup\_steps \quad (t < warmup\_steps), \qquad
    \eta(t) = schedule(t - warmup\_steps) \quad (t \ge warmup\_steps)$$

    A warm-up from 0 wastes the first update. To begin at the first rate that is not zero and still be at the top at count
    `warmup_steps`, skip it: `Shift(Warmup(schedule, warmup_steps + 1), 1)`, as `lrax.warmup_cosine` does.

    Args:
      schedule: what follows; a schedule or a callable `count -> rate`.
      warmup_steps: length of the warm-up in updates, an integer >= 0.
      start: rate at count 0.
      mode: `"linear"`, `"constant"` (`start` until the schedule begins) or `"cosine"`.

    Raises: ValueError if `warmup_steps` is negative, `start` not finite or `mode` unknown.

    Source: Goyal et al. 2017, section 2.2.

    >>> print(Warmup(Constant(1.0), warmup_steps=250)(jnp.array([0, 125, 250])))
    [0.  0.5 1. ]
    """

    schedule: ScheduleLike
    warmup_steps: Delay
    start: Rate = 0.0
    mode: Annotated[str, Choice(("linear", "constant", "cosine"))] = "linear"

    def rate(self, count: jax.Array) -> jax.Array:
        peak = self.schedule.rate(jnp.zeros_like(count))
        done, left = fractions(count, self.warmup_steps)
        warming = (
            self.start + jnp.zeros_like(done) if self.mode == "constant" else SHAPES[self.mode](self.start, peak, done, left)
        )
        return jnp.where(count < self.warmup_steps, warming, self.schedule.rate(jnp.maximum(count - self.warmup_steps, 0)))

    @property
    def length(self) -> Any:
        return add_lengths(self.warmup_steps, self.schedule.length)

    def resized(self, length: Any) -> "Warmup | None":
        inner = self.schedule.resized(jnp.maximum(length - self.warmup_steps, 1))
        return inner and dataclasses.replace(self, schedule=inner)


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
      mode: shape of the cool-down, `"linear"` or `"cosine"`.

    Raises: ValueError if `begin` is negative, `steps` not positive, `end` not finite or `mode` unknown.

    >>> print(Cooldown(Constant(0.1), begin=1000, steps=500, end=0.0)(jnp.array([999, 1250, 2000])))
    [0.1  0.05 0.  ]
    """

    schedule: ScheduleLike
    begin: Delay
    steps: Steps
    end: Rate
    mode: Annotated[str, Choice(tuple(SHAPES))] = "linear"

    def rate(self, count: jax.Array) -> jax.Array:
        last = self.schedule.rate(jnp.zeros_like(count) + self.begin)
        cooling = SHAPES[self.mode](last, self.end, *fractions(jnp.maximum(count - self.begin, 0), self.steps))
        return jnp.where(count < self.begin, self.schedule.rate(jnp.minimum(count, self.begin)), cooling)

    @property
    def length(self) -> Any:
        return add_lengths(self.begin, self.steps)


@final
class Shift(Schedule):
    r"""A schedule that begins at its count `offset`, or later if `offset` is negative.

    $$\eta(t) = schedule(\max(0, t + offset))$$

    With a negative offset the schedule's first rate is held until it begins. `t + offset` stops at the largest count, 2³¹−1.

    Args:
      schedule: a schedule or a callable `count -> rate`.
      offset: updates to skip (positive) or to wait (negative), an integer.

    Raises: TypeError if `offset` is not an integer.

    >>> print(Shift(Linear(start=0.0, end=1.0, steps=4), offset=1)(jnp.array([0, 3])))
    [0.25 1.  ]
    """

    schedule: ScheduleLike
    offset: Offset

    def rate(self, count: jax.Array) -> jax.Array:
        skipped = jnp.minimum(count, LARGEST - jnp.maximum(self.offset, 0)) + self.offset  # never past 2**31 - 1
        return self.schedule.rate(jnp.maximum(skipped, 0))

    @property
    def length(self) -> Any:
        if self.schedule.length is None:
            return None
        waited = add_lengths(self.schedule.length, -jnp.minimum(self.offset, 0))
        return jnp.maximum(waited - jnp.maximum(self.offset, 0), 0)


@final
class Scale(Schedule):
    r"""A schedule times a factor.

    $$\eta(t) = factor \cdot schedule(t)$$

    Args:
      schedule: a schedule or a callable `count -> rate`.
      factor: any finite number.

    Raises: ValueError if `factor` is not finite.

    >>> print(Scale(Constant(0.1), factor=0.5)(0))
    0.05
    """

    schedule: ScheduleLike
    factor: Rate

    def rate(self, count: jax.Array) -> jax.Array:
        return self.factor * self.schedule.rate(count)

    @property
    def length(self) -> Any:
        return self.schedule.length

    def resized(self, length: Any) -> "Scale | None":
        inner = self.schedule.resized(length)
        return inner and dataclasses.replace(self, schedule=inner)


@final
class Clip(Schedule):
    r"""A schedule kept between two rates.

    $$\eta(t) = \min(high, \max(low, schedule(t)))$$

    Args:
      schedule: a schedule or a callable `count -> rate`.
      low, high: the smallest and the largest rate.

    Raises: ValueError if a bound is not finite or `low` is above `high`.

    >>> print(Clip(Linear(start=0.0, end=1.0, steps=10), low=0.2, high=0.6)(jnp.array([0, 5, 10])))
    [0.2 0.5 0.6]
    """

    schedule: ScheduleLike
    low: Rate
    high: Rate

    def check(self) -> None:
        if is_known(self.low) and is_known(self.high) and np.any(np.asarray(self.low) > np.asarray(self.high)):
            raise complain(ValueError, "Clip", "low", "at most `high`", self.low, "swap them")

    def rate(self, count: jax.Array) -> jax.Array:
        return jnp.clip(self.schedule.rate(count), self.low, self.high)

    @property
    def length(self) -> Any:
        return self.schedule.length

    def resized(self, length: Any) -> "Clip | None":
        inner = self.schedule.resized(length)
        return inner and dataclasses.replace(self, schedule=inner)
