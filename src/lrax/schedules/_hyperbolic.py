"""Decays along a hyperbola, whose start hardly depends on how long they take."""

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._types import Positive, Rate, Steps
from lrax.fields._words import argument_error
from lrax.schedules._base import Phase
from lrax.schedules._counting import fractions
from lrax.schedules._shapes import geometric


def check_horizon(phase: Any) -> None:
    """Raises ValueError if a phase would end after its horizon."""
    if is_concrete(phase.horizon) and is_concrete(phase.steps) and np.any(np.asarray(phase.horizon) < np.asarray(phase.steps)):
        needs = f"at least `steps` ({phase.steps})"
        raise argument_error(
            ValueError, type(phase).__name__, "horizon", needs, phase.horizon, "give the longest run you think of"
        )


def hyperbola(done: jax.Array, left: jax.Array, steps: Any, horizon: Any) -> tuple[jax.Array, jax.Array]:
    """The weights of the start and of the rate at the horizon; they add up to 1, and each is a sum of parts of one sign.

    With `part = steps / horizon` and `rest = 1 - part`, the height is `f = sqrt(r ** 2 - rest ** 2)` at
    `r = 1 - done * part`, and the weights are `1 - f0 + f` and `f0 - f`, where `f0` is the height at the start.
    """
    part, rest = fractions(jnp.maximum(steps, 1), jnp.maximum(horizon, 1))
    ahead, past = left * part, done * part
    first = jnp.sqrt(part * (part + 2 * rest))
    height = jnp.sqrt(ahead * (ahead + 2 * rest))  # of lengths alone: it has no gradient that could be infinite
    falling = jnp.where(past > 0, rest * rest / (1 + first) + height, 1.0)
    return falling, past * (2 - past) / (first + height)


@final
class Hyperbolic(Phase):
    r"""Falls along a hyperbola whose first part hardly depends on the length: tune short, train long.

    $$\eta(t) = start - (start - low)\,(f(0) - f(t)), \quad
    f(t) = \sqrt{\tfrac{N - t}{U}\left(2 - \tfrac{N + t}{U}\right)}, \quad N = steps,\; U = horizon$$

    Runs of different `steps` with one `horizon` begin alike. At count `steps` the rate is `start - (start - low) f(0)`, which
    is `low` only where `steps` equals `horizon`; it is held from there on.

    Args:
      start: rate at count 0.
      low: the rate at which a run as long as the horizon ends.
      steps: length of this run in updates, an integer > 0.
      horizon: length of the longest run that is thought of, an integer of at least `steps`; a smaller one that was not known
        counts as `steps`.

    Raises: ValueError if `steps` is not positive, `horizon` below it, or a rate is not finite.

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
      start: rate at count 0, > 0.
      low: the rate at which a run as long as the horizon ends, > 0.
      steps: length of this run in updates, an integer > 0.
      horizon: length of the longest run that is thought of, an integer of at least `steps`; a smaller one that was not known
        counts as `steps`.

    Raises: ValueError if `steps`, `start` or `low` is not positive, or `horizon` below `steps`.

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
