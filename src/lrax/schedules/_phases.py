"""Schedules with a length: one formula each on the fractions of a phase that are done and left."""

from typing import final

import jax
import jax.numpy as jnp

from lrax.fields._types import Fraction, Positive, Rate, Steps, default
from lrax.schedules._base import Phase
from lrax.schedules._exact import peak_fractions, power_complement
from lrax.schedules._modes import Mode
from lrax.schedules._shapes import SHAPES, cosine, geometric, linear, polynomial


@final
class Hold(Phase):
    r"""Stays at `value`; the length says how long, for `Sequence` and `Cycle`.

    $$\eta(s) = value$$

    Args:
      value: the rate, at every count.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps` is not positive or `value` is not finite.

    >>> print(Hold(value=0.1, steps=100)(50))
    0.1
    """

    value: Rate
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return self.value + jnp.zeros_like(done)


@final
class Linear(Phase):
    r"""Falls (or climbs) from `start` to `end` in a straight line, then holds `end`.

    $$\eta(s) = start\,(1 - s) + end\,s, \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps` is not positive or a rate is not finite.

    >>> print(Linear(start=0.1, end=0.0, steps=100)(50))
    0.05
    """

    start: Rate
    end: Rate
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return linear(self.start, self.end, done, left)


@final
class Cosine(Phase):
    r"""Falls (or climbs) from `start` to `end` along half a cosine, then holds `end`.

    $$\eta(s) = end + (start - end)\,\tfrac{1 + \cos \pi s}{2}, \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps` is not positive or a rate is not finite.

    Source: Loshchilov & Hutter 2017, SGDR, eq. 5.

    >>> print(f"{Cosine(start=0.1, end=0.0, steps=100)(50):.4f}")
    0.0500
    """

    start: Rate
    end: Rate
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return cosine(self.start, self.end, done, left)


@final
class CosinePower(Phase):
    r"""Falls from `start` to `end` along a power of half a cosine, then holds `end`.

    $$\eta(s) = end + (start - end)\left(\tfrac{1 + \cos \pi s}{2}\right)^{power}, \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      power: exponent, > 0.

    Raises: ValueError if `steps` or `power` is not positive, or a rate is not finite.

    >>> print(f"{CosinePower(start=1.0, end=0.0, steps=2, power=2.0)(1):.4f}")
    0.2500
    """

    start: Rate
    end: Rate
    steps: Steps
    power: Positive

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        falling, rising = jnp.sin(jnp.pi / 2 * left), jnp.sin(jnp.pi / 2 * done)
        remaining, complement = power_complement(falling * falling, rising * rising, self.power)
        return self.start * remaining + self.end * complement


@final
class Polynomial(Phase):
    r"""Falls (or climbs) from `start` to `end` as a power of the fraction that is left, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - s)^{power}, \quad s = count / steps$$

    The value is within `8 + power` float32 ulp of the formula: the fraction's rounding is raised to the power with it.

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      power: exponent, > 0; 1 is `Linear`, 2 starts steeply and lands flat.

    Raises: ValueError if `steps` or `power` is not positive, or a rate is not finite.

    >>> print(f"{Polynomial(start=1.0, end=0.0, steps=1000, power=2)(1):.6f}")
    0.998001
    """

    start: Rate
    end: Rate
    steps: Steps
    power: Positive = default(2.0)

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return polynomial(self.start, self.end, done, left, self.power)


@final
class Geometric(Phase):
    r"""Multiplies the rate by the same factor at every update, from `start` to `end`, then holds `end`.

    $$\eta(s) = start^{1 - s}\, end^{s}, \quad s = count / steps$$

    A straight line on a logarithmic axis: the ramp of a range test. The value is within
    $4 + \tfrac12 |\ln(end / start)|$ float32 ulp of the formula.

    Args:
      start: rate at count 0, > 0.
      end: rate from count `steps` on, > 0.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps`, `start` or `end` is not positive.

    >>> print(f"{Geometric(start=1e-4, end=1.0, steps=4)(1):.4f}")
    0.0010
    """

    start: Positive
    end: Positive
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return geometric(self.start, self.end, done, left)


@final
class Triangle(Phase):
    r"""Climbs from `low` to `high` in a straight line, falls back to `low`, then holds `low`.

    $$\eta(s) = low + (high - low)\,\min\!\left(\tfrac{s}{rise}, \tfrac{1 - s}{1 - rise}\right), \quad s = count / steps$$

    A `rise` below one half is the slanted triangle. Where `rise * steps` is not whole, the peak lies between two updates.

    Args:
      low: rate at count 0 and from count `steps` on.
      high: rate at the peak.
      steps: length in updates, an integer > 0.
      rise: fraction of the updates spent climbing, between 0 and 1, both excluded (those are `Linear`).
      mode: shape of the fall, `"linear"`, `"cosine"` or another (see `Cooldown`); the climb is its mirror image.

    Raises: ValueError if `steps` is not positive, `rise` not inside (0, 1), a rate not finite, or `mode` unknown.

    Source: Smith 2015, Cyclical learning rates, fig. 2; Howard & Ruder 2018, ULMFiT, eq. 3 (slanted).

    >>> print(Triangle(low=1.0, high=2.0, steps=1000, rise=0.2)(600))
    1.5
    """

    low: Rate
    high: Rate
    steps: Steps
    rise: Fraction = default(0.5)
    mode: Mode = "linear"

    def rate(self, count: jax.Array) -> jax.Array:
        return self.curve(*peak_fractions(count, self.steps, self.rise))

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:  # of the way between the peak and either end
        return SHAPES[self.mode](self.high, self.low, done, left)
