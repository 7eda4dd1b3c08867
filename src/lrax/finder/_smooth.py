"""Smoothing: weights for the loss while a test runs, and a smoother without lag for the finished curve."""

from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Rule
from lrax.fields._value import Value
from lrax.finder._arrays import as_curve, median, silent, window_means

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


@silent
def smooth(rates: Any, losses: Any, width: float = 0.5) -> Any:
    """A finished curve without its noise and without lag: a mean over the rates within `width` decades to either side.

    The weights fall in a straight line with the distance on the logarithmic axis. What lies higher above the lowest loss than
    twice the first losses (the median of a tenth of them, of five at least) is cut there, so that an explosion does not reach
    back into the curve before it.

    Args:
      rates: float (n,), > 0.
      losses: float (n,); what is not finite has no weight.
      width: half the width of the window, in decades, > 0.

    Returns: float32 (n,), NaN where a rate or a loss is missing. Memory is linear in n.

    Raises: ValueError if the two are not of one shape (n,), or `width` is not above 0.

    >>> smoothed = smooth(jnp.geomspace(1e-3, 1.0, 5), jnp.array([3.0, 3.0, 3.0, 1.0, 1.0]), width=1.0)
    >>> print(" ".join(f"{loss:.2f}" for loss in smoothed))
    3.00 3.00 2.67 1.33 1.00
    """
    if is_concrete(width) and not width > 0:
        raise argument_error(ValueError, "smooth", "width", "a number of decades above 0", width)
    length = np.size(rates)
    xp, rates, losses = as_curve("smooth", rates, losses)
    known = xp.isfinite(losses) & xp.isfinite(rates)
    means = window_means(xp, rates, known, xp.minimum(losses, _cap(xp, losses, known)), width)
    return xp.where(known, means, xp.nan)[:length]


@silent
def cap(rates: Any, losses: Any) -> Any:
    """Where `smooth` cuts the losses of a curve, float32 of shape ()."""
    xp, rates, losses = as_curve("smooth", rates, losses)
    return _cap(xp, losses, xp.isfinite(losses) & xp.isfinite(rates))


def _cap(xp: Any, losses: Any, known: Any) -> Any:
    early = known & (xp.cumsum(known) <= xp.maximum(5, xp.sum(known) // 10))
    lowest = xp.min(xp.where(known, losses, xp.inf))
    return lowest + 2 * (median(xp, losses, early) - lowest)
