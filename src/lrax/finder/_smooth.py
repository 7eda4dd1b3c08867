"""Smoothing: weights for the loss while a test runs, and a smoother without lag for the finished curve."""

from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._rules import Rule
from lrax.fields._value import Value

Weight = Annotated[Any, Rule("a weight in [0, 1)", low=0, high=float(np.nextafter(np.float32(1), np.float32(0))))]


@final
class RunningMean(Value):
    """Smoothing by a running mean, seeded with the first loss: `past` of the mean so far, the rest of the new loss.

    A smoother is a function of the 0-based number of the update: the weight of its loss in the mean.

    Args:
      past: weight of the past, in [0, 1).

    Raises: ValueError if `past` is outside [0, 1).

    >>> print(RunningMean(past=0.3)(jnp.arange(3)))
    [1.  0.7 0.7]
    """

    past: Weight = 0.3

    def __call__(self, count: jax.Array) -> jax.Array:
        return jnp.where(count == 0, 1.0, 1.0 - self.past)


@final
class DebiasedMean(Value):
    r"""Smoothing by an exponential average without the bias of its start: the weighted mean of all losses so far.

    The weight of the new loss is $(1 - past) / (1 - past^{k + 1})$ at the 0-based update $k$, so a constant loss reads as
    itself from the first update on.

    Args:
      past: weight of the past, in [0, 1).

    Raises: ValueError if `past` is outside [0, 1).

    Source: Kingma & Ba 2015, section 3; fastai's and Lightning's finders use past = 0.98.

    >>> print(DebiasedMean(past=0.5)(jnp.arange(3)))
    [1.        0.6666667 0.5714286]
    """

    past: Weight = 0.98

    def __call__(self, count: jax.Array) -> jax.Array:
        kept = -jnp.expm1((count + 1).astype(jnp.float32) * jnp.log(jnp.maximum(self.past, 1e-30)))
        return (1.0 - self.past) / kept


def smooth(rates: Any, losses: Any, width: float = 0.5) -> jax.Array:
    """A finished curve without its noise and without lag: a mean over the rates within `width` decades to either side.

    The weights fall in a straight line with the distance on the logarithmic axis. What lies higher above the lowest loss than
    twice the first losses (the median of a tenth of them, of five at least) is cut there, so that an explosion does not reach
    back into the curve before it.

    Args:
      rates: float (n,), > 0.
      losses: float (n,); what is not finite has no weight.
      width: half the width of the window, in decades.

    Returns: float32 (n,), NaN where a rate or a loss is missing.

    >>> smoothed = smooth(jnp.geomspace(1e-3, 1.0, 5), jnp.array([3.0, 3.0, 3.0, 1.0, 1.0]), width=1.0)
    >>> print(" ".join(f"{loss:.2f}" for loss in smoothed))
    3.00 3.00 2.67 1.33 1.00
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    known = jnp.isfinite(losses) & jnp.isfinite(rates)
    places = jnp.log10(jnp.where(known, rates, 1.0))
    first = jnp.nanmedian(jnp.where(known, losses, jnp.nan)[: max(5, losses.size // 10)])
    lowest = jnp.min(jnp.where(known, losses, jnp.inf))
    capped = jnp.where(known, jnp.minimum(losses, lowest + 2 * (first - lowest)), 0.0)
    weights = jnp.where(known[None, :], jnp.maximum(1 - jnp.abs(places[:, None] - places[None, :]) / width, 0), 0.0)
    means = (weights @ capped) / jnp.maximum(jnp.sum(weights, axis=1), 1e-9)
    return jnp.where(known, means, jnp.nan)
