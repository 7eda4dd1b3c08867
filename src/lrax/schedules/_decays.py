"""Schedules without a length: decays without an end, and constants."""

from typing import Annotated, Literal, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Choice, CountsOrFractions, Float, Integer, Positive, Rate, Steps, Total, default
from lrax.schedules._base import Schedule
from lrax.schedules._intmath import fraction_of, times_power
from lrax.schedules._shapes import polynomial
from lrax.schedules._tables import Table, passed


def check_floor(schedule: "StepDecay | Exponential") -> None:
    """Raises ValueError if the floor of a decay is further from 0 than its start, on the same side."""
    if not is_concrete(schedule.start) or not is_concrete(schedule.floor):
        return
    start, floor = np.asarray(schedule.start), np.asarray(schedule.floor)
    if np.any((start >= 0) & (floor > start)):
        raise argument_error(ValueError, type(schedule).__name__, "floor", "at most `start`", schedule.floor, "lower it")
    if np.any((start < 0) & (floor < start)):
        raise argument_error(
            ValueError, type(schedule).__name__, "floor", "at least a `start` below 0", schedule.floor, "raise it"
        )


def not_past(floor: Float, start: Float, decayed: jax.Array) -> jax.Array:
    """A learning rate that decays towards 0 from either side, but not past `floor`."""
    return jnp.where(start < 0, jnp.minimum(floor, decayed), jnp.maximum(floor, decayed))


def growth(count: jax.Array, timescale: Float) -> tuple[jax.Array, jax.Array]:
    """`1 + count / timescale` as a product of two factors, because it overflows for the smallest timescales.

    The second factor is exactly 1 for every timescale from 2**-64 on.
    """
    tiny = timescale < 2.0**-64
    slower = 1 + count.astype(jnp.float32) / jnp.where(tiny, 2.0**-64, timescale)
    return slower, jnp.where(tiny & (count > 0), 2.0**-64 / jnp.where(tiny, timescale, 2.0**-64), 1.0)


@final
class Constant(Schedule):
    r"""Stays at `value` at every count.

    $$\eta(t) = value$$

    Args:
      value: learning rate at every count.

    >>> print(Constant(value=0.1)(12345))
    0.1
    """

    value: Rate

    def rate(self, count: jax.Array) -> jax.Array:
        return self.value + jnp.zeros_like(count, jnp.float32)


@final
class StepDecay(Schedule):
    r"""Multiplies the learning rate by `factor` every `every` steps, down to `floor`.

    $$\eta(t) = \max(floor,\; start \cdot factor^{\lfloor t / every \rfloor})$$

    With a `start` below 0 it is the smaller of the two, so that it never rises above `floor`.

    A factor near 1 loses digits as a float32, and each of many drops loses them again: 1.0001 to the power 100,000 is off by
    2e-3. `Stretch(Exponential(start, factor**n, every=n), every)` is the same staircase, and exact if `factor**n` is a number
    that float32 has, or is about 2 or one half.

    Args:
      start: learning rate of the first `every` steps.
      factor: what the learning rate is multiplied by at counts `every`, `2 * every`, ...; > 0.
      every: steps between changes, an integer > 0.
      floor: the learning rate never falls below this; at most `start` (at least `start` where that is below 0).

    Raises: ValueError if a number is out of range or `floor` is further from 0 than `start`.

    >>> print(StepDecay(start=1.0, factor=0.5, every=250)(jnp.array([249, 250, 500])))
    [1.   0.5  0.25]
    """

    start: Rate
    factor: Positive
    every: Steps
    floor: Rate = default(0.0)

    check = check_floor

    @property
    def landmarks(self) -> list[int]:
        return [drop * int(self.every) for drop in range(1, 7)]

    def rate(self, count: jax.Array) -> jax.Array:
        drops = count // jnp.maximum(self.every, 1)
        return not_past(self.floor, self.start, times_power(self.start, self.factor, drops))


@final
class MultiStep(Table):
    r"""Multiplies the learning rate by `factor` at each of the `boundaries`.

    $$\eta(t) = start \cdot factor^{|\{b \in boundaries : b \le t\}|}$$

    The compiled size does not depend on the number of boundaries.

    Args:
      start: learning rate before the first boundary.
      factor: what the learning rate is multiplied by at each boundary, > 0.
      boundaries: strictly increasing counts at which it changes: in steps, integers >= 0, or as fractions of the total;
        shape (n,), and n may be 0.
      total_steps: the whole length in steps; None for no end, or to set it later if there are fractions.

    Raises: ValueError if `boundaries` is unsorted or a number is out of range.

    >>> print(MultiStep(start=1.0, factor=0.5, boundaries=[250, 750, 900])(jnp.array([249, 250, 900])))
    [1.    0.5   0.125]
    >>> print(MultiStep(start=1.0, factor=0.5, boundaries=[0.25, 0.75, 900]).with_total_steps(1000)(jnp.array([249, 250, 900])))
    [1.    0.5   0.125]
    """

    start: Rate
    factor: Positive
    boundaries: CountsOrFractions
    total_steps: Total = default(None)

    def rate(self, count: jax.Array) -> jax.Array:
        drops = passed(self.at(), count)
        return times_power(self.start, self.factor, drops.astype(jnp.int32))


@final
class Exponential(Schedule):
    r"""Multiplies the learning rate by `factor` over every `every` steps, smoothly, down to `floor`.

    $$\eta(t) = \max(floor,\; start \cdot factor^{t / every})$$

    With a `start` below 0 it is the smaller of the two, so that it never rises above `floor`.

    Slow decays need `every`: as a float32, 0.9999999 is 0.99999988, but `factor=0.9, every=1_000_000` is exact. A half-life
    of n steps is `factor=0.5, every=n`. The value is within $4 + |\ln factor|$ float32 ulp of the formula.

    Args:
      start: learning rate at count 0.
      factor: what the learning rate is multiplied by over `every` steps, > 0.
      every: in steps, an integer > 0.
      floor: the learning rate never falls below this; at most `start` (at least `start` where that is below 0).

    Raises: ValueError if a number is out of range or `floor` is further from 0 than `start`.

    >>> print(f"{Exponential(start=2.0, factor=0.9, floor=0.01)(1):.2f}")
    1.80
    >>> half_life = Exponential(start=1.0, factor=0.5, every=1000)
    >>> print(half_life(jnp.array([0, 1000, 2000])))
    [1.   0.5  0.25]
    """

    start: Rate
    factor: Positive
    every: Steps = default(1)
    floor: Rate = default(0.0)

    check = check_floor

    def rate(self, count: jax.Array) -> jax.Array:
        every = jnp.maximum(self.every, 1)
        part = (count % every).astype(jnp.float32) / every.astype(jnp.float32)
        decayed = times_power(self.start * jnp.power(self.factor, part), self.factor, count // every)
        return not_past(self.floor, self.start, decayed)


@final
class InverseSqrt(Schedule):
    r"""Falls as one over the square root of the count.

    $$\eta(t) = start\,(1 + t / timescale)^{-1/2}$$

    Args:
      start: learning rate at count 0.
      timescale: in steps, > 0: it is halved at three times this count.

    >>> print(InverseSqrt(start=0.1)(3))
    0.05
    """

    start: Rate
    timescale: Positive = default(1.0)

    def rate(self, count: jax.Array) -> jax.Array:
        slower, rest = growth(count, self.timescale)
        return self.start / jnp.sqrt(slower) / jnp.sqrt(rest)


@final
class InverseTime(Schedule):
    r"""Falls as one over the count.

    $$\eta(t) = start / (1 + t / timescale)$$

    Args:
      start: learning rate at count 0.
      timescale: in steps, > 0: it is halved at this count.

    Source: Robbins & Monro 1951, the decay whose steps add up to infinity while their squares do not.

    >>> print(InverseTime(start=0.1, timescale=100)(300))
    0.025
    """

    start: Rate
    timescale: Positive = default(1.0)

    def rate(self, count: jax.Array) -> jax.Array:
        slower, rest = growth(count, self.timescale)
        return self.start / slower / rest


@final
class Power(Schedule):
    r"""Falls (or climbs) as a power of the count.

    $$\eta(t) = start\,(1 + t / timescale)^{power}$$

    `InverseSqrt` is power -0.5 and `InverseTime` power -1, without the logarithm. The value is within $4 + 2\,|power|$ float32
    ulp of the formula.

    Args:
      start: learning rate at count 0.
      power: exponent; below 0 it falls.
      timescale: in steps, > 0.

    Source: Shen et al. 2024, Power scheduler.

    >>> print(f"{Power(start=4.6, power=-0.51)(999):.4f}")
    0.1358
    """

    start: Rate
    power: Rate
    timescale: Positive = default(1.0)

    def rate(self, count: jax.Array) -> jax.Array:
        slower, rest = growth(count, self.timescale)
        return self.start * jnp.power(slower, self.power) * jnp.power(rest, self.power)


@final
class PolynomialRestarts(Schedule):
    r"""A `Polynomial` whose horizon moves on by `steps` each time it is reached, so that the learning rate climbs back in part.

    $$\eta(t) = end + (start - end)\,(1 - t / H)^{power}, \quad H = steps \cdot \max(1, \lceil t / steps \rceil)$$

    At counts `steps`, `2 * steps`, ... the learning rate is `end`. The value is within `8 + power` float32 ulp of the formula.

    Args:
      start: learning rate at count 0.
      end: learning rate at each horizon.
      steps: steps between horizons, an integer > 0.
      power: exponent, > 0.

    Source: Keras, `PolynomialDecay(cycle=True)`.

    >>> print(PolynomialRestarts(start=1.0, end=0.0, steps=4, power=1.0)(jnp.array([2, 4, 6, 8])))
    [0.5  0.   0.25 0.  ]
    """

    start: Rate
    end: Rate
    steps: Steps
    power: Positive = default(2.0)

    @property
    def landmarks(self) -> list[int]:
        return [restart * int(self.steps) for restart in range(1, 5)]

    def rate(self, count: jax.Array) -> jax.Array:
        steps = jnp.maximum(self.steps, 1)
        past = count % steps
        ahead = jnp.where((past > 0) | (count == 0), steps - past, 0)
        horizons = jnp.maximum(count // steps + (past > 0).astype(jnp.int32), 1)
        horizon = horizons.astype(jnp.float32) * steps.astype(jnp.float32)  # as an integer it could wrap
        done, left = fraction_of(count, ahead, horizon), fraction_of(ahead, count, horizon)
        return polynomial(self.start, self.end, done, left, self.power)


@final
class Noise(Schedule):
    r"""A random factor around 1 for every count, the same for the same seed. Multiply a schedule by it.

    $$\eta(t) = 1 + z_t, \quad |z_t| < spread$$

    The number depends on `seed` and the count alone, so a resumed run sees the same. Numbers of different counts and of
    different seeds are independent. The seed is a leaf: it may be traced and vmapped.

    Args:
      spread: how far from 1 the factor may be, > 0; from 1 on it may be negative.
      seed: an integer.
      deviation: standard deviation of the normal distribution, > 0. If it is large compared with `spread`, the truncated
        distribution is nearly uniform.
      mode: distribution of $z_t$: `"normal"` (with mean 0 and this deviation, truncated to `spread`) or
        `"uniform"` (between `-spread` and `spread`; `deviation` is not used).

    Raises: ValueError if a number is out of range or `mode` is unknown; TypeError if `seed` is not an integer.

    Source: Wightman 2020, timm, the noise of its schedulers (which draw it from PyTorch's generator).

    >>> noisy = Product(Cosine(start=0.1, end=0.0, steps=100), Noise(spread=0.2, seed=3))
    >>> print(noisy(50) == noisy(jnp.arange(100))[50])
    True
    """

    spread: Positive
    seed: Integer = default(0)
    deviation: Positive = default(1.0)
    mode: Annotated[Literal["normal", "uniform"], Choice(("normal", "uniform"))] = "normal"

    def rate(self, count: jax.Array) -> jax.Array:
        return 1 + jnp.vectorize(self._draw)(count, self.spread, self.seed, self.deviation)

    def _draw(self, count: jax.Array, spread: jax.Array, seed: jax.Array, deviation: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(seed), count)
        if self.mode == "uniform":
            return spread * jax.random.uniform(key, (), jnp.float32, -1, 1)
        within = spread / deviation
        drawn = deviation * jax.random.truncated_normal(key, -within, within, (), jnp.float32)
        return jnp.clip(drawn, -spread, spread)
