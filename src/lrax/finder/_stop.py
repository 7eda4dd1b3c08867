"""When a range test stops: rules are small pytrees, called with the engine's carry."""

from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax._check import Delay, Rule
from lrax._value import Value


@final
class TimesFirst(Value):
    r"""Stops when the smoothed loss passes `factor` times the first loss, after at least `min_updates`.

    The threshold is measured from the first loss in units of the curve's own scale, so that it also makes sense for negative
    losses and for those near zero:

    $$first + (factor - 1)\,\max(|first|,\; first - lowest)$$

    For a positive loss that is exactly `factor` times the first.

    Args:
      factor: > 1.
      min_updates: no stop before this many updates.
    """

    factor: Annotated[Any, Rule("a finite number above 1", low=1, open=True)] = 2.0
    min_updates: Delay = 20

    def __call__(self, carry: Any) -> jax.Array:
        scale = jnp.maximum(jnp.abs(carry.first), carry.first - carry.lowest)
        return (carry.smoothed > carry.first + (self.factor - 1) * scale) & (carry.updates >= self.min_updates)


@final
class NeverStop(Value):
    """Stops only when a loss is not finite."""

    def __call__(self, carry: Any) -> jax.Array:
        return jnp.zeros((), jnp.bool_)


@final
class RunningMean(Value):
    """Smoothing by a running mean, seeded with the first loss: `past` of the mean so far, the rest of the new loss.

    A smoother is a function of the 0-based number of the update: the weight of its loss in the mean.

    Args:
      past: weight of the past, in [0, 1).
    """

    past: Annotated[Any, Rule("a weight in [0, 1)", low=0, high=float(np.nextafter(np.float32(1), np.float32(0))))] = 0.3

    def __call__(self, count: jax.Array) -> jax.Array:
        return jnp.where(count == 0, 1.0, 1.0 - self.past)
