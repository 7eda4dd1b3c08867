"""Schedules that come again: for ever, or a number of times."""

import dataclasses
import functools
import math
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._rules import Choice
from lrax.fields._types import LengthFactor, MaybeSteps, Positive, Rate, Steps, Times, default
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule, ScheduleLike, has_curve
from lrax.schedules._counting import broadcast, fractions, multiply_divide, multiply_lengths, share
from lrax.schedules._exact import Wide, as_wide, times_power, wide_float, wide_minus, wide_times, wide_whole
from lrax.schedules._shapes import cosine

Rounding: TypeAlias = Literal["nearest", "each", "none"]


@final
class Cycle(Schedule):
    r"""A phase again and again, each cycle longer (or shorter) and higher (or lower) than the last.

    $$\eta(t) = value\_factor^{k} \cdot phase_{L_k}\!\left(t - \textstyle\sum_{j<k} L_j\right), \quad
    L_k = \max\!\left(min\_steps,\; \lfloor L_0 \cdot length\_factor^k + \tfrac12 \rfloor\right)$$

    At a boundary the next cycle is at its start. The cycle is found in integers, exactly for every count; the compiled size
    does not depend on the number of cycles, and the time of an evaluation grows with it only while lengths change.

    A `length_factor` below 1 makes cycles shorter until they are as short as they may be; all later ones have that length. A
    cycle of one step has only the first learning rate of the phase: with the default `min_steps` the learning rate ends up at
    the peak in every step. So give `min_steps` with such a factor. A cycle is never shorter than the warm-up of its phase and
    one step more.

    Args:
      phase: a schedule with a length. If the lengths change, one that can be resized: a phase, or a `Warmup` of one, whose
        warm-up then keeps its length.
      length_factor: what the length is multiplied by from cycle to cycle, > 0. A number is taken as its nearest ratio of
        integers of at most 32768 (1.2 is 6/5).
      value_factor: what the learning rates are multiplied by from cycle to cycle, > 0.
      rounding: what a length is that is not whole. `"nearest"`: each length is the integer nearest to the first one times a
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
            raise argument_error(
                ValueError, "Cycle", "phase", "a schedule with a length", self.phase, "give it a phase such as Cosine"
            )
        factor: Ratio = self.length_factor
        same = is_concrete(factor.numerator) and np.all(np.asarray(factor.numerator) == np.asarray(factor.denominator))
        if not same and self.phase.resized(self.phase.length) is None:
            needs = f"1 for a {type(self.phase).__name__}, whose length cannot change"
            remedy = "cycle a phase such as Cosine, or a Warmup of one"
            raise argument_error(ValueError, "Cycle", "length_factor", needs, factor, remedy)
        if self.rounding == "none" and not has_curve(self.phase):
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
        found, begin, length = [], Fraction(0), Fraction(max(int(self.phase.length), least))
        for _ in range(4):
            begin += Fraction(math.floor(length + Fraction(1, 2))) if self.rounding == "nearest" else length
            found.append(math.ceil(begin))
            following = length * factor
            length = max(Fraction(math.ceil(following)) if self.rounding == "each" else following, Fraction(least))
        return found

    def rate(self, count: jax.Array) -> jax.Array:
        length, least = jnp.maximum(self.phase.length, 1), jnp.maximum(self.min_steps, shortest(self.phase))
        if self.rounding == "none":
            phase: Any = self.phase  # one with a curve, as `check` saw to
            index, past, whole = find_real_cycle(count, length, self.length_factor, least)
            rate = phase.curve(*real_fractions(past, whole))
        else:
            index, local, length = find_cycle(count, length, self.length_factor, least, self.rounding)
            rate = (self.phase.resized(length) or self.phase).rate(local)
        return times_power(rate, self.value_factor, index)


@functools.partial(jax.jit, inline=True)  # lengths are then traced, and a recipe does not refuse one that is too short
def shortest(phase: Schedule) -> jax.Array:
    """The smallest length that a phase can have: its warm-up and one step more."""
    resized = phase.resized(jnp.int32(1))
    return jnp.int32(1) if resized is None or resized.length is None else jnp.asarray(resized.length, jnp.int32)


@functools.partial(jax.jit, static_argnames="rounding")  # so that a call outside jit finds the compiled loop again
def find_cycle(
    count: jax.Array, length: jax.Array, factor: Ratio, least: jax.Array, rounding: Rounding
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The index of the cycle that `count` is in, the count within it, and its length, by integer arithmetic.

    The exact length is carried as a multiple of 2**-64, rounded down at every cycle. Where it has 64 binary places it is
    exact, so a length that ends in exactly one half is rounded as it should be: `length * (p / q) ** k` can only do so if `q`
    to the power `k` divides twice the length. The error of any other is below `2**-64` times the sum of the powers of the
    factor so far: at most 2**-33 where the factor is above 1 (all counts are below 2**31), and `2**-64 / (1 - factor)`
    otherwise. Only a length that is nearer to a half than that could be off by one.
    """
    count, length, least, *ratio = broadcast(count, jnp.maximum(length, least), least, *factor)
    numerator, denominator = (part.astype(jnp.uint32) for part in ratio)
    shrinks = numerator < denominator

    def advance(carry: Any) -> Any:
        going, index, local, length, exact = carry
        following = wide_times(exact, numerator, denominator)
        if rounding == "each":
            following = as_wide(wide_whole(following, "up"))
        size, rest = jnp.maximum(wide_whole(following, "nearest"), least), local - length
        stays = size == length if rounding == "each" else shrinks & (size == least)
        following = tuple(jnp.where(going, new, old) for new, old in zip(following, exact, strict=True))
        index, local, length = (jnp.where(going, new, old) for new, old in ((index + 1, index), (rest, local), (size, length)))
        return going & (rest >= size) & ~stays, index, local, length, following

    going = (count >= length) & (numerator != denominator) & ~(shrinks & (length == least))
    start = going, count * 0, count, length, as_wide(length)
    _, index, local, length, _ = jax.lax.while_loop(lambda carry: carry[0].any(), advance, start)
    return index + local // length, local % length, length  # if some are left, all of them have the same length


@jax.jit  # so that a call outside jit finds the compiled loop again
def find_real_cycle(count: jax.Array, length: jax.Array, factor: Ratio, least: jax.Array) -> tuple[jax.Array, Wide, Wide]:
    """The index of the cycle that `count` is in, the time within it, and its length, neither of which need be whole.

    To a multiple of 2**-64, and exact where `find_cycle` is: a cycle that begins at a count begins there.
    """
    count, length, least, *ratio = broadcast(count, jnp.maximum(length, least), least, *factor)
    numerator, denominator = (part.astype(jnp.uint32) for part in ratio)
    shrinks, lowest = numerator < denominator, as_wide(least)

    def advance(carry: Any) -> Any:
        going, index, past, length = carry
        following, rest = wide_times(length, numerator, denominator), wide_minus(past, length)[0]
        ends = shrinks & ~wide_minus(following, lowest)[1]
        following = tuple(jnp.where(ends, small, new) for small, new in zip(lowest, following, strict=True))
        index = jnp.where(going, index + 1, index)
        past, length = (
            tuple(jnp.where(going, new, old) for new, old in zip(*pair, strict=True))
            for pair in ((rest, past), (following, length))
        )
        return going & wide_minus(rest, following)[1] & ~ends, index, past, length

    going = (count >= length) & (numerator != denominator) & ~(shrinks & (length == least))
    start = going, count * 0, as_wide(count), as_wide(length)
    _, index, past, real = jax.lax.while_loop(lambda carry: carry[0].any(), advance, start)
    whole, size = wide_whole(past, "down"), wide_whole(real, "down")
    more = jnp.where(wide_minus(past, real)[1], whole // size, 0)  # if some are left, all of them have the same, whole length
    rest = as_wide(whole - more * size)[:2] + past[2:]
    return index + more, rest, real


def real_fractions(past: Wide, length: Wide) -> tuple[jax.Array, jax.Array]:
    """The fractions of a length that are done and left, where neither the time nor the length need be whole."""
    done, left, whole = wide_float(past), wide_float(wide_minus(length, past)[0]), wide_float(length)
    return share(done, left, whole), share(left, done, whole)


@final
class Repeat(Schedule):
    r"""A schedule a number of times, which then holds its end.

    $$\eta(t) = schedule(t \bmod L) \quad (t < times \cdot L), \qquad \eta(t) = schedule(L) \quad (t \ge times \cdot L)$$

    Unlike a `Cycle`, it has a length, so that other schedules can follow it in a `Sequence`.

    Args:
      schedule: a schedule with a length L.
      times: how often it runs, an integer > 0.
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
        if self.total_steps is not None and not has_curve(self.schedule):
            needs = "a phase with a curve where `total_steps` is given"
            raise argument_error(ValueError, "Repeat", "schedule", needs, self.schedule, remedy)

    @property
    def landmarks(self) -> list[int]:
        times, length = int(self.times), int(self.length)
        return [-(-length * i // times) for i in range(1, min(times, 16))] + [length]

    def rate(self, count: jax.Array) -> jax.Array:
        if self.total_steps is not None:
            phase: Any = self.schedule  # one with a curve, as `check` saw to
            total = jnp.maximum(self.total_steps, 1)
            past = jnp.where(count < total, multiply_divide(jnp.minimum(count, total), self.times % total, total)[1], total)
            return phase.curve(*fractions(past, total))
        length = jnp.maximum(self.schedule.length, 1)
        ended = count // length >= self.times
        return self.schedule.rate(jnp.where(ended, length, count % length))

    @property
    def length(self) -> Any:
        return multiply_lengths(self.schedule.length, self.times) if self.total_steps is None else self.total_steps

    def resized(self, length: Any) -> "Repeat | None":
        return None if self.total_steps is None else dataclasses.replace(self, total_steps=length)


@final
class Wave(Schedule):
    r"""A cosine wave for ever, from `high` to `low` and back, whose period need not be whole.

    $$\eta(t) = low + (high - low)\,\tfrac{1 + \cos 2 \pi s}{2}, \quad s = waves \cdot t / steps$$

    The position in the wave is found in integers, exactly for every count, and so are the counts at which it is at `low`.

    Args:
      high: learning rate at count 0 and at the end of each wave.
      low: learning rate in the middle of each wave.
      steps: the number of steps in which there are `waves` whole waves, an integer > 0.
      waves: how many, an integer > 0. A period of 2.5 steps is `steps=5, waves=2`.

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
        near = jnp.minimum(past, steps - past)  # to the nearest top; the rest of the way to the bottom is half of `far`
        far, whole = steps - near - near, steps.astype(jnp.float32)
        return cosine(self.high, self.low, share(near, far, whole / 2), share(far, near, whole))
