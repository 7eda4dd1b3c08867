"""Schedules that come again: for ever, or a number of times."""

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._ratio import Ratio
from lrax.fields._rules import LARGEST
from lrax.fields._types import LengthFactor, Positive, Steps, default
from lrax.fields._words import complain
from lrax.schedules._base import Schedule, ScheduleLike
from lrax.schedules._counting import broadcast, multiply_lengths
from lrax.schedules._exact import times_power


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
    length_factor: LengthFactor = default(1)
    value_factor: Positive = default(1.0)

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

    @property
    def landmarks(self) -> list[int]:
        found, begin, factor = [], 0, self.length_factor
        length = max(int(self.phase.length), 1)
        for _ in range(4):
            begin += length
            found.append(begin)
            length = -(-length * int(factor.numerator) // int(factor.denominator))
        return found

    def rate(self, count: jax.Array) -> jax.Array:
        index, local, length = find_cycle(count, jnp.maximum(self.phase.length, 1), self.length_factor)
        phase = self.phase.resized(length) or self.phase
        return times_power(phase.rate(local), self.value_factor, index)


@jax.jit  # so that a call outside jit finds the compiled loop again
def find_cycle(count: jax.Array, length: jax.Array, factor: Ratio) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The index of the cycle that `count` falls in, the count within it, and its length, by integer arithmetic."""
    count, length, numerator, denominator = broadcast(count, length, *factor)

    def following(length: jax.Array) -> jax.Array:  # the ceiling of length * numerator / denominator, at most 2**31 - 1
        whole, rest = length // denominator, length % denominator
        rest = (rest * numerator + denominator - 1) // denominator
        fits = whole <= (LARGEST - rest) // numerator
        return jnp.where(fits, jnp.where(fits, whole, 0) * numerator + rest, LARGEST)

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

    index, local, length = jax.lax.while_loop(lambda carry: going(carry).any(), advance, (count * 0, count, length))
    return index + local // length, local % length, length  # from here on, all cycles have the same length


@final
class Repeat(Schedule):
    r"""A schedule a number of times, which then holds its end.

    $$\eta(t) = schedule(t \bmod L) \quad (t < times \cdot L), \qquad \eta(t) = schedule(L) \quad (t \ge times \cdot L)$$

    Unlike a `Cycle`, it has a length, so that other schedules can follow it in a `Sequence`.

    Args:
      schedule: a schedule with a length L.
      times: how often it runs, an integer > 0.

    Raises: ValueError if `times` is not positive or `schedule` has no length.

    >>> print(Repeat(Linear(start=1.0, end=0.0, steps=4), times=2)(jnp.array([0, 3, 4, 7, 8, 9])))
    [1.   0.25 1.   0.25 0.   0.  ]
    """

    schedule: ScheduleLike
    times: Steps

    def check(self) -> None:
        if self.schedule.length is None:
            remedy = "give it a phase such as Cosine"
            raise complain(ValueError, "Repeat", "schedule", "a schedule with a length", self.schedule, remedy)

    @property
    def landmarks(self) -> list[int]:
        return [int(self.schedule.length) * i for i in range(1, min(int(self.times), 16))] + [int(self.length)]

    def rate(self, count: jax.Array) -> jax.Array:
        length = jnp.maximum(self.schedule.length, 1)
        ended = count // length >= self.times
        return self.schedule.rate(jnp.where(ended, length, count % length))

    @property
    def length(self) -> Any:
        return multiply_lengths(self.schedule.length, self.times)
