"""When a range test stops: rules are functions of the run; these are small pytrees.

Both thresholds are measured from a loss in units of the curve's own scale, so that they also make sense for losses that are
negative or near zero. A loss that is not finite stops a test under every rule.
"""

import dataclasses
from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._rules import Delay, Rate, Rule, default
from lrax.fields._value import Value
from lrax.training._core import Run

Factor = Annotated[Any, Rule("a finite number above 1", low=1, open=True)]

UNREACHED = float(np.finfo(np.float32).max)
"""A loss that no loss passes; finite, so that no arithmetic with it is NaN."""


@final
class TimesFirst(Value):
    r"""Stops when the smoothed loss passes `factor` times the first loss, after at least `min_updates`.

    $$smoothed > first + (factor - 1)\,\max(|first|,\; first - lowest)$$

    For a positive loss that is exactly `factor` times the first. `lowest` is the lowest smoothed loss so far.

    Args:
      factor: > 1.
      min_updates: no stop before this many updates.

    Raises: ValueError if `factor` is not above 1 or `min_updates` is negative.

    Source: MXNet's tutorial "Learning Rate Finder".

    >>> TimesFirst()
    TimesFirst(factor=2.0, min_updates=20)
    """

    factor: Factor = 2.0
    min_updates: Delay = default(20)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.abs(run.first), run.first - run.lowest)
        return (run.smoothed > run.first + (self.factor - 1) * scale) & (run.steps >= self.min_updates)


@final
class TimesUsual(Value):
    r"""Stops when the smoothed loss passes `factor` times the usual loss of the start, after at least `min_updates`.

    $$smoothed > usual + (factor - 1)\,\max(|usual|,\; spread,\; usual - lowest)$$

    This is the default of `lrax.find_lr`. `TimesFirst` compares with the loss of the first batch alone. That may be a tenth of
    the next one where batches are small, or where most of them lack the rare examples. Here `usual` is the median of the first
    losses, and `spread` is how far the highest of them is above it. `from_losses` reads both off the first `min_updates` losses
    of a ramp. Until then it stops nothing.

    Args:
      factor: > 1.
      min_updates: no stop before this many steps.
      usual: the usual loss of the start.
      spread: how far losses of the start lie above it.

    Raises: ValueError if `factor` is not above 1 or `min_updates` is negative.
    """

    factor: Factor = 10.0
    min_updates: Delay = default(20)
    usual: Rate = default(UNREACHED)
    spread: Rate = default(0.0)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.maximum(jnp.abs(self.usual), self.spread), self.usual - run.lowest)
        return (run.smoothed > self.usual + (self.factor - 1) * scale) & (run.steps >= self.min_updates)

    def from_losses(self, losses: np.ndarray[Any, Any]) -> "TimesUsual":
        """This rule with `usual` and `spread` of losses that a ramp measured; itself if none of them is finite.

        `usual` is the median of the first `min_updates` of them, `spread` is read off all. If the last of those first losses
        are all higher than the highest of their first half, the loss already diverges there, and only this half counts.
        """
        losses = losses[np.isfinite(losses)].astype(np.float64)
        first = losses[: int(self.min_updates)]
        if not len(first):
            return self
        half, last = first[: -(-len(first) // 2)], first[3 * len(first) // 4 :]
        if last.min() > half.max():
            first = losses = half
        usual = float(np.median(first))
        return dataclasses.replace(self, usual=usual, spread=min(float(losses.max()) - usual, UNREACHED))


@final
class TimesBest(Value):
    r"""Stops when the smoothed loss passes `factor` times its lowest value, after at least `min_updates`.

    $$smoothed > lowest + (factor - 1)\,\max\!\left(|lowest|,\; \tfrac{1}{10}(first - lowest)\right)$$

    For a positive loss that is exactly `factor` times the lowest, until the loss has fallen to a tenth of how far it fell; from
    there on the distance it fell is the measure, so that noise around zero stops nothing.

    Args:
      factor: > 1.
      min_updates: no stop before this many updates.

    Raises: ValueError if `factor` is not above 1 or `min_updates` is negative.

    Source: fastai's and Lightning's finders stop at 4 times the best smoothed loss, torch-lr-finder's at 5 times.

    >>> TimesBest(factor=5)
    TimesBest(factor=5.0, min_updates=10)
    """

    factor: Factor = 4.0
    min_updates: Delay = default(10)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.abs(run.lowest), (run.first - run.lowest) / 10)
        return (run.smoothed > run.lowest + (self.factor - 1) * scale) & (run.steps >= self.min_updates)


@final
class NeverStop(Value):
    """Stops only when a loss is not finite.

    >>> NeverStop()
    NeverStop()
    """

    def __call__(self, run: Run) -> jax.Array:
        return jnp.zeros((), jnp.bool_)
