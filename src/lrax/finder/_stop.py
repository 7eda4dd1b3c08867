"""While a range test runs: the weights of its smoothed loss, and when it stops. All are small pytrees.

A smoother is a function of the 0-based number of the step: the weight of its loss in the running mean. A stop rule is a
function of the run (`steps`, `smoothed`, `first`, `lowest`, ...). Thresholds are measured from a loss in units of the curve's
own scale, so that they also make sense for losses that are negative or near zero. A loss that is not finite always stops.
"""

import dataclasses
from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import is_concrete
from lrax.fields._rules import Converted, Delay, Float, Number, Rate, Rule, default
from lrax.fields._value import Value
from lrax.training._core import Run

BELOW_1 = float(np.nextafter(np.float32(1), np.float32(0)))
Weight = Annotated[Converted[Number, Float], Rule("a weight in [0, 1)", low=0, high=BELOW_1)]
Factor = Annotated[Converted[Number, Float], Rule("a finite number above 1", low=1, open=True)]

UNREACHED = float(np.finfo(np.float32).max)
"""A loss that no loss passes; finite, so that no arithmetic with it is NaN."""


@final
class RunningMean(Value):
    """Smoothing by a running mean that begins at the first loss: `past` of the mean so far, the rest of the new loss.

    Args:
      past: weight of the past, in [0, 1).

    Raises: ValueError if `past` is outside [0, 1).

    >>> print(RunningMean(past=0.3)(jnp.arange(3)))
    [1.  0.7 0.7]
    """

    past: Weight = default(0.3)

    def __call__(self, count: jax.Array) -> jax.Array:
        return jnp.where(count == 0, 1.0, 1.0 - self.past)


@final
class DebiasedMean(Value):
    r"""Smoothing by an exponential average without the bias of its start: the weighted mean of all losses so far.

    The weight of the new loss is $(1 - past) / (1 - past^{k + 1})$ at the 0-based step $k$, so the mean of a constant loss is
    that loss from the first step on.

    Args:
      past: weight of the past, in [0, 1).

    Raises: ValueError if `past` is outside [0, 1).

    Source: Kingma & Ba 2015, section 3; fastai's and Lightning's finders use past = 0.98.

    >>> print(DebiasedMean(past=0.5)(jnp.arange(3)))
    [1.        0.6666667 0.5714286]
    """

    past: Weight = default(0.98)

    def __call__(self, count: jax.Array) -> jax.Array:
        total = -jnp.expm1((count + 1).astype(jnp.float32) * jnp.log(jnp.maximum(self.past, 1e-30)))
        return (1.0 - self.past) / total


@final
class TimesFirst(Value):
    r"""Stops when the smoothed loss is more than `factor` times the first loss, after at least `min_steps` steps.

    $$smoothed > first + (factor - 1)\,\max(|first|,\; first - lowest)$$

    For a positive loss that is exactly `factor` times the first. `lowest` is the lowest smoothed loss so far.

    Args:
      factor: above 1.
      min_steps: no stop before this many steps.

    Raises: ValueError if `factor` is not above 1 or `min_steps` is negative.

    Source: MXNet's tutorial "Learning Rate Finder".

    >>> TimesFirst()
    TimesFirst(factor=2.0, min_steps=20)
    """

    factor: Factor = default(2.0)
    min_steps: Delay = default(20)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.abs(run.first), run.first - run.lowest)
        return (run.smoothed > run.first + (self.factor - 1) * scale) & (run.steps >= self.min_steps)


@final
class TimesMedian(Value):
    r"""Stops when the smoothed loss is more than `factor` times the median of the first losses.

    $$smoothed > median + (factor - 1)\,\max(|median|,\; spread,\; median - lowest)$$

    This is the default. `TimesFirst` compares with the loss of the first batch alone, which may be a tenth of the next one
    where batches are small or rare examples matter. `spread` is how far the highest of the first losses is above their
    median. A range test reads both off the first `min_steps` losses, with `from_losses`; until then the rule stops nothing.

    Args:
      factor: above 1.
      min_steps: no stop before this many steps.
      median: the median of the first losses.
      spread: how far losses are above it.

    Raises: ValueError if `factor` is not above 1 or `min_steps` is negative.
    """

    factor: Factor = default(2.0)
    min_steps: Delay = default(20)
    median: Rate = default(UNREACHED)
    spread: Rate = default(0.0)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.maximum(jnp.abs(self.median), self.spread), self.median - run.lowest)
        return (run.smoothed > self.median + (self.factor - 1) * scale) & (run.steps >= self.min_steps)

    def from_losses(self, losses: npt.NDArray[np.float32] | jax.Array) -> "TimesMedian":
        """This rule with the numbers of the first losses of a ramp.

        If the last quarter of them is higher than all of their first half, the loss already diverges there, and only this half
        counts.
        """
        xp: Any = np if is_concrete(losses) else jnp
        half, last = losses[: -(-len(losses) // 2)], losses[3 * len(losses) // 4 :]
        diverges = last.min() > half.max()
        median = xp.where(diverges, xp.median(half), xp.median(losses))
        highest = xp.where(diverges, half.max(), losses.max())
        return dataclasses.replace(self, median=median, spread=xp.minimum(highest - median, UNREACHED))

    @property
    def limit(self) -> float:
        """The loss that stops a run which has not dropped."""
        return float(self.median) + (float(self.factor) - 1) * max(abs(float(self.median)), float(self.spread))


@final
class TimesBest(Value):
    r"""Stops when the smoothed loss is more than `factor` times its lowest value, after at least `min_steps` steps.

    $$smoothed > lowest + (factor - 1)\,\max\!\left(|lowest|,\; \tfrac{1}{10}(first - lowest)\right)$$

    For a positive loss that is exactly `factor` times the lowest, until the loss has dropped to a tenth of its drop. From there
    on the drop is the scale, so that noise around zero stops nothing.

    Args:
      factor: above 1.
      min_steps: no stop before this many steps.

    Raises: ValueError if `factor` is not above 1 or `min_steps` is negative.

    Source: fastai's and Lightning's finders stop at 4 times the best smoothed loss, torch-lr-finder's at 5 times.

    >>> TimesBest(factor=5)
    TimesBest(factor=5.0, min_steps=10)
    """

    factor: Factor = default(4.0)
    min_steps: Delay = default(10)

    def __call__(self, run: Run) -> jax.Array:
        scale = jnp.maximum(jnp.abs(run.lowest), (run.first - run.lowest) / 10)
        return (run.smoothed > run.lowest + (self.factor - 1) * scale) & (run.steps >= self.min_steps)
