"""Schedules with a length and one formula."""

from typing import final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Fraction, Int, Positive, Rate, Steps, default
from lrax.schedules._base import Phase
from lrax.schedules._intmath import fractions, peak_fractions
from lrax.schedules._shapes import (
    SHAPES,
    Mode,
    cosine,
    geometric,
    linear,
    one_minus_sqrt,
    one_minus_square,
    polynomial,
    relaxation,
    rex,
    tanh,
)


@final
class Hold(Phase):
    r"""Stays at `value`; the length says how long, for `Sequence` and `Cycle`.

    $$\eta(s) = value$$

    Args:
      value: learning rate at every count.
      steps: length in steps, an integer > 0.

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
      start: learning rate at count 0.
      end: learning rate from count `steps` on.
      steps: length in steps, an integer > 0.

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

    `Cooldown(Constant(start), 0, steps, end, mode="cosine", power=...)` is a power of it.

    Args:
      start, end, steps: see `Linear`.

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
class Polynomial(Phase):
    r"""Falls (or climbs) from `start` to `end` as a power of the fraction that is left, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - s)^{power}, \quad s = count / steps$$

    The value is within `8 + power` float32 ulp of the formula: the fraction's rounding is raised to the power with it.

    Args:
      start, end, steps: see `Linear`.
      power: exponent, > 0; 1 is `Linear`, 2 starts steeply and lands flat.

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
    r"""Multiplies the learning rate by the same factor in every step, from `start` to `end`, then holds `end`.

    $$\eta(s) = start^{1 - s}\, end^{s}, \quad s = count / steps$$

    A straight line on a logarithmic axis: the ramp of a range test. The value is within
    $4 + \tfrac12 |\ln(end / start)|$ float32 ulp of the formula.

    Args:
      start: learning rate at count 0, > 0.
      end: learning rate from count `steps` on, > 0.
      steps: length in steps, an integer > 0.

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

    A `rise` below one half is the slanted triangle. Where `rise * steps` is not whole, the peak lies between two steps.

    Args:
      low: learning rate at count 0 and from count `steps` on.
      high: peak learning rate.
      steps: length in steps, an integer > 0.
      rise: fraction of the steps spent climbing, between 0 and 1, both excluded (those are `Linear`).
      mode: curve of the fall, `"linear"`, `"cosine"` or another (see `Cooldown`); the climb is its mirror image.

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

    @property
    def landmarks(self) -> list[int]:
        return [round(float(self.rise) * int(self.steps)), int(self.steps)]

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:  # fractions of the distance from the peak to an end
        return SHAPES[self.mode](self.high, self.low, done, left)


@final
class OneMinusSqrt(Phase):
    r"""Falls (or climbs) from `start` to `end` as a square root, steeply at first, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - \sqrt{s}), \quad s = count / steps$$

    Args:
      start, end, steps: see `Linear`.

    Source: Hägele et al. 2024, Scaling laws and compute-optimal training beyond fixed training durations.

    >>> print(OneMinusSqrt(start=0.1, end=0.0, steps=100)(25))
    0.05
    """

    start: Rate
    end: Rate
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return one_minus_sqrt(self.start, self.end, done, left)


@final
class OneMinusSquare(Phase):
    r"""Falls (or climbs) from `start` to `end` as a square, most steeply at the end, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - s^2), \quad s = count / steps$$

    Args:
      start, end, steps: see `Linear`.

    Source: Hägele et al. 2024, Scaling laws and compute-optimal training beyond fixed training durations.

    >>> print(OneMinusSquare(start=0.1, end=0.0, steps=100)(50))
    0.075
    """

    start: Rate
    end: Rate
    steps: Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return one_minus_square(self.start, self.end, done, left)


@final
class Rex(Phase):
    r"""Falls (or climbs) from `start` to `end`, slowly at first and then more steeply, then holds `end`.

    $$\eta(s) = end + (start - end)\,\tfrac{1 - s}{1 - s\,(1 - beta)}, \quad s = count / steps$$

    Args:
      start, end, steps: see `Linear`.
      beta: slope at first compared with a straight line, > 0; at its end it is 1 / beta times as steep as the line. 1 is
        `Linear`, and above 1 it falls steeply at first.

    Source: Chen et al. 2021, REX: revisiting budgeted training with an improved schedule (beta = 1/2); Naganuma et al. 2026,
      arXiv 2603.10301 (any beta).

    >>> print(f"{Rex(start=0.3, end=0.0, steps=100)(50):.2f}")
    0.20
    """

    start: Rate
    end: Rate
    steps: Steps
    beta: Positive = default(0.5)

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return rex(self.start, self.end, done, left, self.beta)


@final
class Relaxation(Phase):
    r"""Falls (or climbs) from `start` to `end` exponentially, then holds `end`; unlike `Geometric`, either may be zero.

    $$\eta(s) = end + (start - end)\,\tfrac{r^s - r}{1 - r}, \quad s = count / steps,\; r = ratio$$

    The value is within $8 + |\ln ratio|$ float32 ulp of the formula.

    Args:
      start, end, steps: see `Linear`.
      ratio: the fraction of a pure exponential that is left at the end, between 0 and 1, both excluded; a small ratio bends
        sharply.

    Source: Wightman 2026, timm, the `exp` decay of its WSD scheduler.

    >>> print(f"{Relaxation(start=0.1, end=0.0, steps=100, ratio=0.01)(50):.4f}")
    0.0091
    """

    start: Rate
    end: Rate
    steps: Steps
    ratio: Fraction = default(0.1)

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return relaxation(self.start, self.end, done, left, self.ratio)


@final
class Tanh(Phase):
    r"""Falls (or climbs) from `start` to `end` along a piece of a hyperbolic tangent, then holds `end`.

    $$\eta(s) = end + (start - end)\,\tfrac{\tanh b - \tanh(a (1 - s) + b s)}{\tanh b - \tanh a}, \quad
    s = count / steps,\; a = first,\; b = last$$

    The piece is scaled to meet both ends exactly (the paper's curve misses them by a little). The value is within
    $8 + 2\,(|first| + |last|)$ float32 ulp of the formula.

    Args:
      start, end, steps: see `Linear`.
      first: argument of the tangent at count 0.
      last: argument of the tangent at count `steps`; above `first`.

    Raises: ValueError if a number is out of range or `last` is not above `first`.

    Source: Hsueh et al. 2018, Stochastic gradient descent with hyperbolic-tangent decay.

    >>> print(f"{Tanh(start=0.1, end=0.0, steps=100)(70):.4f}")
    0.0499
    """

    start: Rate
    end: Rate
    steps: Steps
    first: Rate = default(-7.0)
    last: Rate = default(3.0)

    def check(self) -> None:
        if is_concrete(self.first) and is_concrete(self.last) and np.any(np.asarray(self.last) <= np.asarray(self.first)):
            raise argument_error(ValueError, "Tanh", "last", "above `first`", self.last, "swap them")

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return tanh(self.start, self.end, done, left, self.first, self.last)


def check_horizon(phase: "Hyperbolic | ExpHyperbolic") -> None:
    """Raises ValueError if a phase would end after its horizon."""
    steps, horizon = phase.steps, phase.horizon
    if is_concrete(horizon) and is_concrete(steps) and np.any(np.asarray(horizon) < np.asarray(steps)):
        remedy = "give the longest run you think of"
        raise argument_error(ValueError, type(phase).__name__, "horizon", f"at least `steps` ({steps})", horizon, remedy)


def hyperbola(done: jax.Array, left: jax.Array, steps: Int, horizon: Int) -> tuple[jax.Array, jax.Array]:
    """The weights of the start and of the learning rate at the horizon; they add up to 1.

    With `part = steps / horizon` and `rest = 1 - part`, the curve is `f = sqrt(r ** 2 - rest ** 2)` at `r = 1 - done * part`,
    and the weights are `1 - f0 + f` and `f0 - f`, where `f0` is `f` at the start. Each is computed as a sum of terms of one
    sign.
    """
    part, rest = fractions(jnp.maximum(steps, 1), jnp.maximum(horizon, 1))
    ahead, past = left * part, done * part
    first = jnp.sqrt(part * (part + 2 * rest))
    here = jnp.sqrt(ahead * (ahead + 2 * rest))  # of lengths alone: it has no gradient that could be infinite
    falling = jnp.where(past > 0, rest * rest / (1 + first) + here, 1.0)
    return falling, past * (2 - past) / (first + here)


@final
class Hyperbolic(Phase):
    r"""Falls along a hyperbola whose first part hardly depends on the length: tune short, train long.

    $$\eta(t) = start - (start - low)\,(f(0) - f(t)), \quad
    f(t) = \sqrt{\tfrac{N - t}{U}\left(2 - \tfrac{N + t}{U}\right)}, \quad N = steps,\; U = horizon$$

    Runs of different `steps` with one `horizon` begin alike. From count `steps` on the learning rate is
    `start - (start - low) f(0)`, which is `low` only where `steps` equals `horizon`.

    Args:
      start: learning rate at count 0.
      low: the learning rate at which a run as long as the horizon ends.
      steps: length of this run in steps, an integer > 0.
      horizon: length of the longest run planned, an integer of at least `steps`; a smaller traced one counts as `steps`.

    Source: Kim 2024, HyperbolicLR: epoch insensitive learning rate scheduler, arXiv 2407.15200.

    >>> short, long = (Hyperbolic(start=0.1, low=0.0, steps=n, horizon=1000) for n in (100, 1000))
    >>> print([f"{rate:.4f}" for rate in (short(0), short(50), long(50), short(100), long(1000))])
    ['0.1000', '0.0868', '0.0950', '0.0564', '0.0000']
    """

    start: Rate
    low: Rate
    steps: Steps
    horizon: Steps

    check = check_horizon

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        falling, rising = hyperbola(done, left, self.steps, self.horizon)
        return self.start * falling + self.low * rising


@final
class ExpHyperbolic(Phase):
    r"""Falls along a hyperbola on a logarithmic axis; its first part hardly depends on the length.

    $$\eta(t) = start \left(\tfrac{low}{start}\right)^{f(0) - f(t)}, \quad
    f(t) = \sqrt{\tfrac{N - t}{U}\left(2 - \tfrac{N + t}{U}\right)}, \quad N = steps,\; U = horizon$$

    The value is within $8 + 2\,|\ln(low / start)|$ float32 ulp of the formula.

    Args:
      start: learning rate at count 0, > 0.
      low: the learning rate at which a run as long as the horizon ends, > 0.
      steps: length of this run in steps, an integer > 0.
      horizon: length of the longest run planned; see `Hyperbolic`.

    Source: Kim 2024, HyperbolicLR: epoch insensitive learning rate scheduler, arXiv 2407.15200.

    >>> print(f"{ExpHyperbolic(start=0.1, low=1e-5, steps=1000, horizon=1000)(1000):.5f}")
    0.00001
    """

    start: Positive
    low: Positive
    steps: Steps
    horizon: Steps

    check = check_horizon

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        falling, rising = hyperbola(done, left, self.steps, self.horizon)
        return geometric(self.start, self.low, rising, falling)
