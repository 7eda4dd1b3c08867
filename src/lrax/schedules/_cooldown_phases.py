"""Further schedules with a length: shapes most of which are used to cool a run down."""

from typing import final

import jax
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._types import Fraction, Positive, Rate, Steps, default
from lrax.fields._words import argument_error
from lrax.schedules._base import Phase
from lrax.schedules._shapes import one_minus_sqrt, one_minus_square, relaxation, rex, tanh


@final
class OneMinusSqrt(Phase):
    r"""Falls (or climbs) from `start` to `end` as a square root, steeply at first, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - \sqrt{s}), \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps` is not positive or a rate is not finite.

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
    r"""Falls (or climbs) from `start` to `end` as a square, steeply at last, then holds `end`.

    $$\eta(s) = end + (start - end)\,(1 - s^2), \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.

    Raises: ValueError if `steps` is not positive or a rate is not finite.

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
    r"""Falls (or climbs) from `start` to `end`, slowly at first and ever more steeply, then holds `end`.

    $$\eta(s) = end + (start - end)\,\tfrac{1 - s}{1 - s\,(1 - beta)}, \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      beta: how steeply it falls at first, beside a straight line, > 0; at its end it is 1 / beta times as steep as the line.
        1 is `Linear`, and above 1 it falls steeply at first.

    Raises: ValueError if `steps` or `beta` is not positive or a rate is not finite.

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
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      ratio: how much of a pure exponential would be left at the end, between 0 and 1, both excluded; small bends sharply.

    Raises: ValueError if `steps` is not positive, `ratio` not inside (0, 1), or a rate not finite.

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
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      first: argument of the tangent at count 0.
      last: argument of the tangent at count `steps`; above `first`.

    Raises: ValueError if `steps` is not positive, `last` is not above `first`, or a number is not finite.

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
        known = is_concrete(self.first) and is_concrete(self.last)
        if known and np.any(np.asarray(self.last) <= np.asarray(self.first)):
            raise argument_error(ValueError, "Tanh", "last", "above `first`", self.last, "swap them")

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        return tanh(self.start, self.end, done, left, self.first, self.last)
