"""Schedules made of other schedules."""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, array_module, check_call, is_concrete
from lrax.fields._rules import (
    LARGEST,
    Boundaries,
    Choice,
    Delay,
    Float,
    Int,
    LengthFactor,
    MaybePositive,
    MaybeSteps,
    Offset,
    Positive,
    Rate,
    Steps,
    TimeFactor,
    Times,
    default,
)
from lrax.fields._value import fill
from lrax.schedules._base import RateFunction, Schedule, ScheduleLike, Schedules, Wrapper, curve_of, length_of
from lrax.schedules._intmath import (
    Rounding,
    add_lengths,
    find_cycle,
    find_real_cycle,
    fraction_of,
    fractions,
    multiply_divide,
    multiply_lengths,
    power_complement,
    real_fractions,
    times_power,
    times_ratio,
)
from lrax.schedules._shapes import SHAPES, Mode, ShapeName, cosine, interpolate, logarithm
from lrax.schedules._tables import passed, picked


class Several(Schedule):
    """A schedule made of several others, which are given one after the other."""

    schedules: Schedules

    _variadic: ClassVar[str] = "schedules"

    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill(self, {"schedules": parts or schedules})  # by name for `dataclasses.replace`

    def __init_subclass__(cls, **options: bool) -> None:
        super().__init_subclass__(**options)
        cls.__init__ = check_call(Several.__init__, cls.__name__)  # type: ignore[method-assign]  # errors name the class

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.schedules))})"


class Together(Several, init=False):
    """Schedules at the same count, whose learning rates are combined."""

    schedules: Schedules

    _combine: ClassVar[Callable[..., jax.Array]]

    def rate(self, count: jax.Array) -> jax.Array:
        return functools.reduce(type(self)._combine, (schedule.rate(count) for schedule in self.schedules))

    @property
    def length(self) -> Int | None:
        """That of the longest; None if one has no end."""
        lengths = [schedule.length for schedule in self.schedules]
        if any(length is None for length in lengths):
            return None
        return functools.reduce(array_module(*lengths).maximum, lengths)

    def resized(self, length: Int) -> Schedule | None:
        """With the total length for the plans among them that need it."""
        if not self.needs_total_steps:
            return None
        return type(self)(*(part.with_total_steps(length) if part.needs_total_steps else part for part in self.schedules))


@final
class Sum(Together, init=False):
    r"""The sum of schedules.

    $$\eta(t) = \sum_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> learning rate`.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Sum(Constant(0.1), Linear(start=0.0, end=1.0, steps=10))(5))
    0.6
    """

    schedules: Schedules

    _combine = operator.add


@final
class Product(Together, init=False):
    r"""The product of schedules: a learning rate times factors that change.

    $$\eta(t) = \prod_i schedule_i(t)$$

    Cycles whose amplitude decays in every step, or by any function of their index, are products (see `lrax.cyclical`).

    Args:
      *schedules: one or more schedules or callables `count -> learning rate`.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Product(InverseSqrt(0.1), Linear(start=1.0, end=0.0, steps=6))(3))
    0.025
    """

    schedules: Schedules

    _combine = operator.mul


@final
class Maximum(Together, init=False):
    r"""The largest learning rate of several schedules.

    $$\eta(t) = \max_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> learning rate`.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Maximum(Constant(0.05), InverseSqrt(0.1))(jnp.array([0, 99])))
    [0.1  0.05]
    """

    schedules: Schedules

    _combine = jnp.maximum


@final
class Minimum(Together, init=False):
    r"""The smallest learning rate of several schedules.

    $$\eta(t) = \min_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> learning rate`.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Minimum(Linear(start=0.0, end=1.0, steps=10), InverseSqrt(1.0))(jnp.array([1, 24])))
    [0.1 0.2]
    """

    schedules: Schedules

    _combine = jnp.minimum


@final
class Scale(Wrapper):
    r"""A schedule times a factor.

    $$\eta(t) = factor \cdot schedule(t)$$

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      factor: any finite number.

    >>> print(Scale(Constant(0.1), factor=0.5)(0))
    0.05
    """

    schedule: ScheduleLike
    factor: Rate

    def rate(self, count: jax.Array) -> jax.Array:
        return self.factor * self.schedule.rate(count)

    def resized(self, length: Int) -> Schedule | None:
        return self.around(self.schedule.resized(length))


@final
class Clip(Wrapper):
    r"""A schedule clipped to the range between two learning rates.

    $$\eta(t) = \min(high, \max(low, schedule(t)))$$

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      low, high: the smallest and the largest learning rate.

    Raises: ValueError if a bound is not finite or `low` is above `high`.

    >>> print(Clip(Linear(start=0.0, end=1.0, steps=10), low=0.2, high=0.6)(jnp.array([0, 5, 10])))
    [0.2 0.5 0.6]
    """

    schedule: ScheduleLike
    low: Rate
    high: Rate

    def check(self) -> None:
        if is_concrete(self.low) and is_concrete(self.high) and np.any(np.asarray(self.low) > np.asarray(self.high)):
            raise argument_error(ValueError, "Clip", "low", "at most `high`", self.low, "swap them")

    def rate(self, count: jax.Array) -> jax.Array:
        return jnp.clip(self.schedule.rate(count), self.low, self.high)

    def resized(self, length: Int) -> Schedule | None:
        return self.around(self.schedule.resized(length))


@final
class Shift(Wrapper):
    r"""A schedule that begins at its count `offset`, or later if `offset` is negative.

    $$\eta(t) = schedule(\max(0, t + offset))$$

    Texts that count iterations from 1 evaluate a formula at `t + 1`: an offset of 1 gives their trajectory. With a negative
    offset the first learning rate is held until the schedule begins. `t + offset` stops at the largest count, 2³¹−1.

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      offset: steps to skip (positive) or to wait (negative), an integer.

    >>> print(Shift(Linear(start=0.0, end=1.0, steps=4), offset=1)(jnp.array([0, 3])))
    [0.25 1.  ]
    """

    schedule: ScheduleLike
    offset: Offset

    @property
    def landmarks(self) -> list[int]:
        return [max(mark - int(self.offset), 0) for mark in self.schedule.landmarks]

    def rate(self, count: jax.Array) -> jax.Array:
        skipped = jnp.minimum(count, LARGEST - jnp.maximum(self.offset, 0)) + self.offset  # never past 2**31 - 1
        return self.schedule.rate(jnp.maximum(skipped, 0))

    @property
    def length(self) -> Int | None:
        length = self.schedule.length  # asked for once: it may take as long as the schedule is deep
        if length is None:
            return None
        xp, zero = array_module(length, self.offset), np.int32(0)
        waited = add_lengths(length, -xp.minimum(self.offset, zero))
        return xp.maximum(waited - xp.maximum(self.offset, zero), zero)

    def resized(self, length: Int) -> Schedule | None:
        skipped, waited = jnp.maximum(self.offset, 0), jnp.maximum(-self.offset, 0)
        return self.around(self.schedule.resized(jnp.maximum(add_lengths(length, skipped) - waited, 1)))


@final
class Stretch(Wrapper):
    r"""A schedule in slower time, such as one in epochs, or a whole schedule at 1.5 times its length.

    $$\eta(t) = schedule(\lfloor t / every \rfloor)$$

    Each learning rate is held for `every` steps, on average if that is not whole: count b comes at b times `every`, rounded up.
    Below 1, time runs faster and learning rates are skipped. A phase can be given other `steps` instead.

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      every: steps for which each of its learning rates is held, > 0; any whole number up to 2³¹−1. Another number is taken as
        its nearest ratio of two integers whose product is below 2³¹ (a traced one, of integers of at most 32768), and counts
        are divided by that exactly.

    Source: MosaicML's composer, scale schedule ratio (a factor that is not whole).

    >>> by_epoch = Stretch(Cosine(start=0.1, end=0.0, steps=2), every=500)
    >>> print([f"{rate:.3f}" for rate in by_epoch(jnp.array([0, 499, 500, 1000]))])
    ['0.100', '0.100', '0.050', '0.000']
    >>> longer = Stretch(MultiStep(1.0, factor=0.5, boundaries=[250, 500]), every=1.5)
    >>> print(longer(jnp.array([374, 375, 749, 750])))
    [1.   0.5  0.5  0.25]
    """

    schedule: ScheduleLike
    every: TimeFactor

    @property
    def landmarks(self) -> list[int]:
        up, down = int(self.every.numerator), int(self.every.denominator)
        return [-(-mark * up // down) for mark in self.schedule.landmarks or [10]]

    def rate(self, count: jax.Array) -> jax.Array:
        every = self.every
        return self.schedule.rate(times_ratio(count, every.denominator, every.numerator))

    @property
    def length(self) -> Int | None:
        length, every = self.schedule.length, self.every
        return None if length is None else times_ratio(length, every.numerator, every.denominator, up=True)


def with_curve(phase: Schedule) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The curve of a phase that `check` found to have one."""
    curve = curve_of(phase)
    assert curve is not None
    return curve


@final
class Warp(Schedule):
    r"""A phase as a function of a power of the fraction done: k-decay, for any shape.

    $$\eta(s) = phase(s^{power}), \quad s = count / steps$$

    A power above 1 stays near the start for longer and falls later; one below 1 falls at once. The value is within
    `12 + power` float32 ulp of the formula.

    Args:
      phase: a phase with a curve, such as `Cosine`, `Polynomial` or a custom one.
      power: exponent, > 0; the k of k-decay.

    Raises: ValueError if `power` is not positive; TypeError if `phase` is not a phase.

    Source: Zhang & Li 2020, k-decay: a new method for learning rate schedule.

    >>> print(f"{Warp(Cosine(start=0.1, end=0.0, steps=100), power=2.0)(50):.4f}")
    0.0854
    """

    phase: ScheduleLike
    power: Positive

    def check(self) -> None:
        if curve_of(self.phase) is None:
            remedy = "use Linear, Cosine, Polynomial, ..."
            raise argument_error(TypeError, "Warp", "phase", "a phase with a curve", self.phase, remedy)

    def rate(self, count: jax.Array) -> jax.Array:
        return with_curve(self.phase)(*power_complement(*fractions(count, length_of(self.phase)), self.power))

    @property
    def length(self) -> Int | None:
        return self.phase.length

    def resized(self, length: Int) -> "Warp | None":
        phase = self.phase.resized(length)
        return None if phase is None else dataclasses.replace(self, phase=phase)


@final
class Cycle(Schedule):
    r"""Repeats a phase; each cycle may be longer or shorter, and higher or lower, than the one before.

    $$\eta(t) = value\_factor^{k} \cdot phase_{L_k}\!\left(t - \textstyle\sum_{j<k} L_j\right), \quad
    L_k = \max\!\left(min\_steps,\; \lfloor L_0 \cdot length\_factor^k + \tfrac12 \rfloor\right)$$

    At a boundary the next cycle is at its start. The cycle is found in integers, exactly for every count; the compiled size
    does not depend on the number of cycles, and the time of an evaluation grows with it only while lengths change.

    A `length_factor` below 1 makes cycles shorter until they reach `min_steps`; all later ones have that length. A
    cycle of one step has only the first learning rate of the phase: with the default `min_steps` the learning rate ends up at
    the peak in every step. So give `min_steps` with such a factor. A cycle is never shorter than the warm-up of its phase and
    one step more.

    Args:
      phase: a schedule with a length. If the lengths change, one that can be resized: a phase, or a `Warmup` of one, whose
        warm-up then keeps its length.
      length_factor: what the length is multiplied by from cycle to cycle, > 0. A number is taken as its nearest ratio of
        integers of at most 32768 (1.2 is 6/5).
      value_factor: what the learning rates are multiplied by from cycle to cycle, > 0.
      rounding: how lengths are rounded. `"nearest"`: each length is the integer nearest to the first one times a
        power of the factor, halves rounded up, so that rounding does not add up. `"each"`: each length is the factor times the
        length before it, rounded up, as a loop over cycles computes it. `"none"`: nothing is rounded, and a cycle may end
        between two steps, as in Keras and timm; only for a phase with a curve, such as `Cosine`.
      min_steps: the smallest length of a cycle in steps, at least 1 and at most the length of the first.

    Raises: ValueError if a factor is not positive, `phase` has no length, or has one that cannot change as asked, or
      `min_steps` is longer than the first cycle.

    Source: Loshchilov & Hutter 2017, SGDR; Smith 2015, Cyclical learning rates.

    >>> sgdr = Cycle(Cosine(start=2.0, end=0.01, steps=250), length_factor=2, value_factor=0.5)
    >>> print(sgdr(jnp.array([0, 250, 750])))
    [2.  1.  0.5]
    >>> shrinking = Cycle(Linear(start=1.0, end=0.0, steps=8), length_factor=0.5, min_steps=2)  # 8, 4, 2, 2, ... steps
    >>> print(shrinking(jnp.array([0, 8, 12, 14, 15, 16])))
    [1.  1.  1.  1.  0.5 1. ]
    """

    phase: ScheduleLike
    length_factor: LengthFactor = default(1)
    value_factor: Positive = default(1.0)
    rounding: Annotated[Rounding, Choice(("nearest", "each", "none"))] = "nearest"
    min_steps: Steps = default(1)

    def check(self) -> None:
        if self.phase.length is None:
            remedy = "give it a phase such as Cosine"
            raise argument_error(ValueError, "Cycle", "phase", "a schedule with a length", self.phase, remedy)
        factor = self.length_factor
        same = is_concrete(factor.numerator) and np.all(np.asarray(factor.numerator) == np.asarray(factor.denominator))
        if not same and self.phase.resized(self.phase.length) is None:
            needs = f"1 for a {type(self.phase).__name__}, whose length cannot change"
            remedy = "cycle a phase such as Cosine, or a Warmup of one"
            raise argument_error(ValueError, "Cycle", "length_factor", needs, factor, remedy)
        if self.rounding == "none" and curve_of(self.phase) is None:
            needs = f"'nearest' or 'each' for a {type(self.phase).__name__}"
            remedy = "only a phase with a curve, such as Cosine, can end between two steps"
            raise argument_error(ValueError, "Cycle", "rounding", needs, self.rounding, remedy)
        length = self.phase.length
        if is_concrete(length) and is_concrete(self.min_steps) and np.any(np.asarray(self.min_steps) > np.maximum(length, 1)):
            raise argument_error(ValueError, "Cycle", "min_steps", f"at most the first length ({length})", self.min_steps)

    @property
    def landmarks(self) -> list[int]:
        factor = Fraction(int(self.length_factor.numerator), int(self.length_factor.denominator))
        least = max(int(self.min_steps), int(shortest(self.phase)))
        found, begin, length = [], Fraction(0), Fraction(max(int(length_of(self.phase)), least))
        for _ in range(4):
            begin += Fraction(math.floor(length + Fraction(1, 2))) if self.rounding == "nearest" else length
            found.append(math.ceil(begin))
            following = length * factor
            length = max(Fraction(math.ceil(following)) if self.rounding == "each" else following, Fraction(least))
        return found

    def rate(self, count: jax.Array) -> jax.Array:
        length, least = jnp.maximum(length_of(self.phase), 1), jnp.maximum(self.min_steps, shortest(self.phase))
        if self.rounding == "none":
            index, past, whole = find_real_cycle(count, length, self.length_factor, least)
            rate = with_curve(self.phase)(*real_fractions(past, whole))
        else:
            index, local, length = find_cycle(count, length, self.length_factor, least, self.rounding)
            rate = (self.phase.resized(length) or self.phase).rate(local)
        return times_power(rate, self.value_factor, index)


@functools.partial(jax.jit, inline=True)  # lengths are then traced, and a recipe does not refuse one that is too short
def shortest(phase: Schedule) -> jax.Array:
    """The smallest length that a phase can have: its warm-up and one step more."""
    resized = phase.resized(jnp.int32(1))
    return jnp.int32(1) if resized is None or resized.length is None else jnp.asarray(resized.length, jnp.int32)


@final
class Repeat(Wrapper):
    r"""Repeats a schedule a number of times, then holds its end.

    $$\eta(t) = schedule(t \bmod L) \quad (t < times \cdot L), \qquad \eta(t) = schedule(L) \quad (t \ge times \cdot L)$$

    Unlike a `Cycle`, it has a length, so that other schedules can follow it in a `Sequence`.

    Args:
      schedule: a schedule with a length L.
      times: number of runs, an integer > 0.
      total_steps: the whole length in steps, or None for `times` times L. If given, the schedule is a phase with a curve, such
        as `Cosine`; it runs `times` times in these steps, whatever its own length is, and may end between two of them.

    Raises: ValueError if `times` or `total_steps` is not positive, `schedule` has no length, or `total_steps` is given for a
      schedule that is not a phase with a curve.

    >>> print(Repeat(Linear(start=1.0, end=0.0, steps=4), times=2)(jnp.array([0, 3, 4, 7, 8, 9])))
    [1.   0.25 1.   0.25 0.   0.  ]
    >>> print(Repeat(Linear(start=1.0, end=0.0, steps=1), times=2, total_steps=5)(jnp.arange(6)))
    [1.  0.6 0.2 0.8 0.4 0. ]
    """

    schedule: ScheduleLike
    times: Times
    total_steps: MaybeSteps = default(None)

    def check(self) -> None:
        remedy = "give it a phase such as Cosine"
        if self.schedule.length is None:
            raise argument_error(ValueError, "Repeat", "schedule", "a schedule with a length", self.schedule, remedy)
        if self.total_steps is not None and curve_of(self.schedule) is None:
            needs = "a phase with a curve where `total_steps` is given"
            raise argument_error(ValueError, "Repeat", "schedule", needs, self.schedule, remedy)

    @property
    def landmarks(self) -> list[int]:
        times, length = int(self.times), int(length_of(self))
        return [-(-length * i // times) for i in range(1, min(times, 16))] + [length]

    def rate(self, count: jax.Array) -> jax.Array:
        if self.total_steps is not None:
            total = jnp.maximum(self.total_steps, 1)
            past = jnp.where(count < total, multiply_divide(jnp.minimum(count, total), self.times % total, total)[1], total)
            return with_curve(self.schedule)(*fractions(past, total))
        length = jnp.maximum(length_of(self.schedule), 1)
        ended = count // length >= self.times
        return self.schedule.rate(jnp.where(ended, length, count % length))

    @property
    def length(self) -> Int | None:
        if self.total_steps is not None:
            return self.total_steps
        length = self.schedule.length
        return None if length is None else multiply_lengths(length, self.times)

    def resized(self, length: Int) -> "Repeat | None":
        return None if self.total_steps is None else dataclasses.replace(self, total_steps=length)


@final
class Wave(Schedule):
    r"""An endless cosine wave from `high` to `low` and back. Its period need not be a whole number.

    $$\eta(t) = low + (high - low)\,\tfrac{1 + \cos 2 \pi s}{2}, \quad s = waves \cdot t / steps$$

    The position in the wave is found in integers, exactly for every count, and so are the counts at which it is at `low`.

    Args:
      high: learning rate at count 0 and at the end of each wave.
      low: learning rate in the middle of each wave.
      steps: the number of steps in which there are `waves` whole waves, an integer > 0.
      waves: number of waves, an integer > 0. A period of 2.5 steps is `steps=5, waves=2`.

    Raises: ValueError if `steps` or `waves` is not positive, or a learning rate is not finite.

    Source: PyTorch, `CosineAnnealingLR`; transformers, `num_cycles`.

    >>> print([f"{rate:.3f}" for rate in Wave(high=1.0, low=0.0, steps=5, waves=2)(jnp.arange(6))])
    ['1.000', '0.095', '0.655', '0.655', '0.095', '1.000']
    """

    high: Rate
    low: Rate
    steps: Steps
    waves: Steps = default(1)

    @property
    def landmarks(self) -> list[int]:
        return [-(-int(self.steps) * half // (2 * int(self.waves))) for half in range(1, 9)]

    def rate(self, count: jax.Array) -> jax.Array:
        steps = jnp.maximum(self.steps, 1)
        past = multiply_divide(count % steps, self.waves % steps, steps)[1]
        near = jnp.minimum(past, steps - past)  # to the nearest top; to the bottom it is half of `far`
        far, whole = steps - near - near, steps.astype(jnp.float32)
        return cosine(self.high, self.low, fraction_of(near, far, whole / 2), fraction_of(far, near, whole))


def check_power(caller: str, mode: str, power: Float | None) -> None:
    """Raises ValueError if a power is given for a curve that is not a weighted sum of both ends."""
    if power is not None and mode in ("constant", "geometric"):
        raise argument_error(ValueError, caller, "power", f"left out in mode {mode!r}", power, "use mode 'linear' or another")


def check_geometric(caller: str, mode: str, name: str, rate: Float) -> None:
    """Raises ValueError if a geometric curve would start or end at a learning rate that is not above 0."""
    if mode == "geometric" and is_concrete(rate) and np.any(np.asarray(rate) <= 0):
        raise argument_error(ValueError, caller, name, "above 0 in mode 'geometric'", rate, "use mode 'relaxation'")


@final
class Sequence(Several, init=False):
    """One schedule after another, each from its own count 0.

    The boundaries follow from the lengths: at count `schedules[0].length` the second schedule is at its count 0. The last may
    be endless; if it has a length, it holds its end.

    Args:
      *schedules: schedules, or callables `count -> learning rate`; all but the last with a length.

    Raises: ValueError if there is none, or one before the last has no length; TypeError if one is not a schedule.

    >>> warmed = Sequence(Linear(start=0.0, end=0.1, steps=10), Cosine(start=0.1, end=0.0, steps=90))
    >>> print(warmed(jnp.array([5, 10, 100])))
    [0.05 0.1  0.  ]
    """

    schedules: Schedules

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
        rate, here = self.schedules[0].rate(count), jnp.ones_like(count, jnp.bool_)
        for before, schedule in itertools.pairwise(self.schedules):
            length = length_of(before)
            here = here & (count >= length)  # a part of length 0 is over at once, but not before it has begun
            count = jnp.maximum(count - jnp.maximum(length, 0), 0)  # one length after the other: their sum could wrap
            rate = jnp.where(here, schedule.rate(count), rate)
        return rate

    @property
    def length(self) -> Int | None:
        return add_lengths(*(schedule.length for schedule in self.schedules))


@final
class Until(Wrapper):
    """The first `steps` steps of a schedule, so that another can follow it in a `Sequence`.

    Args:
      schedule: a schedule or a callable `count -> learning rate`, endless or longer or shorter than `steps`.
      steps: length in steps, an integer >= 0.

    >>> print(Until(Constant(0.1), steps=3).length)
    3
    """

    schedule: ScheduleLike
    steps: Delay

    def rate(self, count: jax.Array) -> jax.Array:
        return self.schedule.rate(count)

    @property
    def length(self) -> Int | None:
        return self.steps


WarmupMode: TypeAlias = Annotated[ShapeName | Literal["constant", "logarithmic"], Choice(("constant", "logarithmic", *SHAPES))]
"""A static field that holds the name of the curve of a warm-up."""


@final
class Warmup(Wrapper):
    r"""Climbs from `start` to the first learning rate of a schedule, which then begins at its own count 0.

    $$\eta(t) = start + (\eta_0 - start)\, t / warmup\_steps \quad (t < warmup\_steps), \qquad
    \eta(t) = schedule(t - warmup\_steps) \quad (t \ge warmup\_steps)$$

    The schedule begins after the warm-up, so a boundary at its count 250 comes at `warmup_steps + 250`. `lrax.schedules.warmed`
    multiplies a schedule that begins at once, and leaves its boundaries where they are.

    A warm-up from 0 wastes the first step. To begin above zero and still reach the top at count `warmup_steps`, skip it:
    `Shift(Warmup(schedule, warmup_steps + 1), 1)`, as `lrax.warmup_cosine` does.

    Args:
      schedule: what follows; a schedule or a callable `count -> learning rate`.
      warmup_steps: length of the warm-up in steps, an integer >= 0.
      start: learning rate at count 0.
      mode: `"linear"`, `"constant"` (`start` until the schedule begins), `"logarithmic"` (the fraction climbed is
        ln(t + 1) / ln(warmup_steps + 1)), `"cosine"` or another curve (see `Cooldown`): the climb is the mirror image of the
        fall of that name. For a curve with other numbers, or a custom one, put a phase first in a `Sequence`.
      power: exponent of the fraction climbed, > 0, or None: in mode `"linear"`, (t / warmup_steps) to that power. Not in modes
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
        rate = self.schedule.rate(jnp.maximum(count - self.warmup_steps, 0))  # its first one during the warm-up
        if self.mode == "constant":
            return jnp.where(early, self.start, rate)
        peak = jnp.where(early, rate, 1.0)  # no NaN where it is not selected
        if self.mode == "logarithmic":
            climbed, ahead = logarithm(count, self.warmup_steps)
            return jnp.where(early, interpolate("linear", self.power, peak, self.start, ahead, climbed), rate)
        done, left = fractions(count, self.warmup_steps)  # the fall from the peak, run backwards
        return jnp.where(early, interpolate(self.mode, self.power, peak, self.start, left, done), rate)

    @property
    def length(self) -> Int | None:
        return add_lengths(self.warmup_steps, self.schedule.length)

    def resized(self, length: Int) -> Schedule | None:
        return self.around(self.schedule.resized(jnp.maximum(length - self.warmup_steps, 1)))


@final
class Cooldown(Wrapper):
    r"""Follows a schedule up to count `begin`, falls from its learning rate there to `end`, and then holds `end`.

    $$\eta(t) = schedule(t) \quad (t \le begin), \qquad
    \eta(t) = \eta_{begin} + (end - \eta_{begin})\,\tfrac{t - begin}{steps} \quad (begin \le t \le begin + steps)$$

    Args:
      schedule: the schedule before; a schedule or a callable `count -> learning rate`.
      begin: count at which the cool-down starts, an integer >= 0.
      steps: length of the cool-down in steps, an integer > 0.
      end: learning rate from count `begin + steps` on.
      mode: curve of the cool-down, named after the phase that has it: `"linear"`, `"cosine"`, `"polynomial"` (power 2),
        `"geometric"` (both ends above 0, or the result is NaN), `"one_minus_sqrt"`, `"one_minus_square"`, `"relaxation"`,
        `"rex"` or `"tanh"`, with the accuracy and the default numbers of that phase.
      power: exponent of the remaining fraction, > 0, or None: in mode `"linear"`, the fraction that is left to that power. Not
        in mode `"geometric"`. The value is within `12 + 4 * power` float32 ulp of the formula.

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
        rate = self.schedule.rate(jnp.minimum(count, self.begin))  # its last one during the cool-down
        last = jnp.where(late, rate, 1.0)  # no NaN where it is not selected
        done, left = fractions(jnp.maximum(count - self.begin, 0), self.steps)
        return jnp.where(late, interpolate(self.mode, self.power, last, self.end, done, left), rate)

    @property
    def length(self) -> Int | None:
        return add_lengths(self.begin, self.steps)


@final
class Dips(Wrapper):
    r"""Follows a schedule, and falls to `end` before each of `ends`; at the last one it stays. Made by `lrax.wsd_s`.

    $$\eta(t) = shape\!\left(schedule(b_k), end, \tfrac{t - b_k}{steps}\right) \quad (b_k \le t < ends_k), \qquad
    b_k = ends_k - steps$$

    At count `ends[k]` the schedule continues as if there had been no fall. The compiled size does not depend on their number.

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      ends: counts at which a cool-down is over, integers > 0 that rise strictly; shape (n,).
      steps: length of each cool-down in steps, an integer > 0, at most the distance between ends.
      end: learning rate at the end of each.
      mode: curve of the fall (see `Cooldown`).

    Raises: ValueError if a cool-down does not fit before its end, or a number is out of range.

    >>> print(Dips(lrax.Constant(1.0), ends=[10, 20], steps=4, end=0.0)(jnp.array([6, 8, 10, 18, 20])))
    [1.  0.5 1.  0.5 0. ]
    """

    schedule: ScheduleLike
    ends: Boundaries
    steps: Steps
    end: Rate
    mode: Mode = "linear"

    def check(self) -> None:
        check_geometric("Dips", self.mode, "end", self.end)
        if is_concrete(self.ends) and is_concrete(self.steps):
            ends = np.asarray(self.ends)
            between = np.diff(ends, axis=-1, prepend=0).min(axis=-1)
            if np.any(np.asarray(self.steps) > between):
                raise argument_error(ValueError, "Dips", "steps", f"at most the distance between ends ({between})", self.steps)

    @property
    def landmarks(self) -> list[int]:
        return [mark for end in np.asarray(self.ends).tolist() for mark in (end - int(self.steps), end)]

    def rate(self, count: jax.Array) -> jax.Array:
        following = picked(self.ends, jnp.minimum(passed(self.ends, count), self.ends.shape[-1] - 1))
        begin = jnp.maximum(following - self.steps, 0)
        late = count >= begin
        rate = self.schedule.rate(jnp.minimum(count, begin))  # its last one during the cool-down
        last = jnp.where(late, rate, 1.0)  # no NaN where it is not selected
        cooling = SHAPES[self.mode](last, self.end, *fractions(jnp.maximum(count - begin, 0), self.steps))
        return jnp.where(late, cooling, rate)

    @property
    def length(self) -> Any:
        return self.ends[..., -1]
