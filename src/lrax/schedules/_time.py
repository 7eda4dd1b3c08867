"""Schedules whose time runs otherwise: earlier or later, slower, or as a power."""

import dataclasses
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._rules import LARGEST
from lrax.fields._types import Offset, Positive, TimeFactor
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule, ScheduleLike, has_curve
from lrax.schedules._counting import add_lengths, fractions, times_ratio
from lrax.schedules._exact import power_complement


@final
class Shift(Schedule):
    r"""A schedule that begins at its count `offset`, or later if `offset` is negative.

    $$\eta(t) = schedule(\max(0, t + offset))$$

    Texts that count iterations from 1 evaluate a formula at `t + 1`: an offset of 1 gives their trajectory. With a negative
    offset the schedule's first rate is held until it begins. `t + offset` stops at the largest count, 2³¹−1.

    Args:
      schedule: a schedule or a callable `count -> rate`.
      offset: updates to skip (positive) or to wait (negative), an integer.

    Raises: TypeError if `offset` is not an integer.

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
    def length(self) -> Any:
        length = self.schedule.length  # asked for once: it may take as long as the schedule is deep
        if length is None:
            return None
        array: Any = np if isinstance(length, np.generic | np.ndarray) and is_concrete(self.offset) else jnp
        offset, zero = array.asarray(self.offset), np.int32(0)
        waited = add_lengths(length, -array.minimum(offset, zero))
        return array.maximum(waited - array.maximum(offset, zero), zero)

    def resized(self, length: Any) -> "Shift | None":
        skipped, waited = jnp.maximum(self.offset, 0), jnp.maximum(-self.offset, 0)
        inner = self.schedule.resized(jnp.maximum(add_lengths(length, skipped) - waited, 1))
        return None if inner is None else dataclasses.replace(self, schedule=inner)


@final
class Stretch(Schedule):
    r"""A schedule whose time runs slower: counted in epochs, say, or a whole plan at 1.5 times its length.

    $$\eta(t) = schedule(\lfloor t / every \rfloor)$$

    Each rate is held for `every` updates; where that is not whole, for as many as bring the mean to it. What happens at count
    b happens at b times `every`, rounded up. Below 1, time runs faster and rates are skipped. A phase is as well given
    other `steps`.

    Args:
      schedule: a schedule or a callable `count -> rate`.
      every: updates for which each of its rates is held, > 0; any whole number up to 2³¹−1. Another is taken as its nearest
        ratio of two integers whose product is below 2³¹ (one that is traced, of integers of at most 32768), and counts are
        divided by that exactly.

    Raises: ValueError if `every` is not positive.

    Source: MosaicML's composer, scale schedule ratio (what is not whole).

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
    def length(self) -> Any:
        length, every = self.schedule.length, self.every
        return None if length is None else times_ratio(length, every.numerator, every.denominator, up=True)


@final
class Warp(Schedule):
    r"""A phase whose time runs as a power of the fraction that is done: k-decay, for any shape.

    $$\eta(s) = phase(s^{power}), \quad s = count / steps$$

    A power above 1 stays near the start for longer and falls later; one below 1 falls at once. The value is within
    `12 + power` float32 ulp of the formula.

    Args:
      phase: a phase with a curve, such as `Cosine`, `Polynomial` or one of your own.
      power: exponent, > 0; the k of k-decay.

    Raises: ValueError if `power` is not positive; TypeError if `phase` is not a phase.

    Source: Zhang & Li 2020, k-decay: a new method for learning rate schedule.

    >>> print(f"{Warp(Cosine(start=0.1, end=0.0, steps=100), power=2.0)(50):.4f}")
    0.0854
    """

    phase: ScheduleLike
    power: Positive

    def check(self) -> None:
        if not has_curve(self.phase):
            raise argument_error(
                TypeError, "Warp", "phase", "a phase with a curve", self.phase, "use Linear, Cosine, Polynomial, ..."
            )

    def rate(self, count: jax.Array) -> jax.Array:
        phase: Any = self.phase  # a phase, as `check` saw to
        return phase.curve(*power_complement(*fractions(count, self.phase.length), self.power))

    @property
    def length(self) -> Any:
        return self.phase.length

    def resized(self, length: Any) -> "Warp":
        phase: Any = self.phase.resized(length)
        return dataclasses.replace(self, phase=phase)
