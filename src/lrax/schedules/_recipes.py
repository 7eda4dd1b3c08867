"""Named compositions: kinds that only put other kinds together. Every argument may be traced, or a batch."""

from typing import Any, final

import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._types import DELAY, STEPS, Delay, MaybePositive, MaybeSteps, Positive, Rate, Steps, default
from lrax.fields._words import complain
from lrax.schedules._base import Recipe, Schedule
from lrax.schedules._combinators import Cooldown, Sequence, Warmup
from lrax.schedules._decays import Constant, InverseSqrt
from lrax.schedules._modes import Mode
from lrax.schedules._phases import Cosine, Hold
from lrax.schedules._time import Shift


def remaining(owner: str, total_steps: Any, **used: Any) -> Any:
    """`total_steps` less the lengths in `used`, which must leave at least one update (if traced, one is left)."""
    left = STEPS.convert(owner, "total_steps", total_steps)
    for name, given in used.items():
        steps = DELAY.convert(owner, name, given)
        known = is_known(left) and is_known(steps)
        if known and np.any(np.asarray(steps) >= np.asarray(left)):
            needs = f"less than what is left of `total_steps` ({left})"
            raise complain(ValueError, owner, name, needs, given, "`total_steps` is the whole length, warm-up included")
        left = np.asarray(left) - np.asarray(steps) if known else jnp.maximum(left - steps, 1)
    return left


def first_rate(schedule: Schedule, warmup_steps: Any) -> Schedule:
    """A straight warm-up that begins at its first rate above zero and is over at count `warmup_steps`."""
    return Shift(Warmup(schedule, DELAY.convert("Warmup", "warmup_steps", warmup_steps) + 1), 1)


@final
class warmup_cosine(Recipe):  # noqa: N801  # a recipe is called as a function
    """Climbs in a straight line to `peak`, then falls to `end` along half a cosine, and holds it.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      total_steps: the whole length in updates, warm-up included.
      warmup_steps: length of the warm-up in updates, an integer >= 0, less than `total_steps`.
      end: rate from count `total_steps` on.

    Made of `Shift`, `Warmup` and `Cosine`.

    Raises: ValueError if `warmup_steps` is not less than `total_steps`, or a number is out of range.

    >>> schedule = warmup_cosine(peak=0.5, total_steps=20, warmup_steps=4)
    >>> print(schedule(jnp.array([0, 2, 4, 20])))
    [0.1 0.3 0.5 0. ]
    """

    peak: Rate
    total_steps: Steps
    warmup_steps: Delay
    end: Rate = default(0.0)

    def made(self) -> Schedule:
        steps = remaining("warmup_cosine", self.total_steps, warmup_steps=self.warmup_steps)
        return first_rate(Cosine(self.peak, self.end, steps), self.warmup_steps)


@final
class wsd(Recipe):  # noqa: N801  # a recipe is called as a function
    """Warm-up, stable, decay: climbs to `peak`, stays there, and falls to `end`, which is held.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate from count `warmup_steps` to count `total_steps - cooldown_steps`.
      total_steps: the whole length in updates.
      warmup_steps: length of the warm-up in updates, an integer >= 0.
      cooldown_steps: length of the fall in updates, an integer > 0.
      end: rate from count `total_steps` on.
      mode: shape of the fall, such as `"linear"`, `"cosine"` or `"one_minus_sqrt"` (see `Cooldown`).

    Made of `Shift`, `Warmup`, `Cooldown` and `Constant`.

    Raises: ValueError if warm-up and cool-down leave no update of `total_steps`, or a number is out of range.

    Source: Hu et al. 2024, MiniCPM, section 4.

    >>> print(wsd(peak=0.5, total_steps=100, warmup_steps=4, cooldown_steps=20)(jnp.array([0, 4, 80, 90, 100])))
    [0.1  0.5  0.5  0.25 0.  ]
    """

    peak: Rate
    total_steps: Steps
    warmup_steps: Delay
    cooldown_steps: Steps
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def made(self) -> Schedule:
        steps = remaining("wsd", self.total_steps, warmup_steps=self.warmup_steps, cooldown_steps=self.cooldown_steps)
        return first_rate(Cooldown(Constant(self.peak), steps, self.cooldown_steps, self.end, self.mode), self.warmup_steps)


@final
class flat_cosine(Recipe):  # noqa: N801  # a recipe is called as a function
    """Stays at `peak`, then falls to `end` along half a cosine, and holds it.

    Args:
      peak: rate up to count `flat_steps`.
      total_steps: the whole length in updates.
      flat_steps: how long the rate stays, an integer > 0, less than `total_steps`.
      end: rate from count `total_steps` on.

    Made of `Sequence`, `Hold` and `Cosine`.

    Raises: ValueError if `flat_steps` is not less than `total_steps`, or a number is out of range.

    Source: fastai, `fit_flat_cos`.

    >>> print(f"{flat_cosine(peak=0.1, total_steps=100, flat_steps=50)(75):.2f}")
    0.05
    """

    peak: Rate
    total_steps: Steps
    flat_steps: Steps
    end: Rate = default(0.0)

    def made(self) -> Schedule:
        steps = remaining("flat_cosine", self.total_steps, flat_steps=self.flat_steps)
        return Sequence(Hold(self.peak, self.flat_steps), Cosine(self.peak, self.end, steps))


@final
class inverse_sqrt(Recipe):  # noqa: N801  # a recipe is called as a function
    """Climbs in a straight line to `peak`, then falls as one over the square root, and at last, if asked, straight to `end`.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      warmup_steps: length of the warm-up in updates, an integer > 0 (0 if `timescale` is given).
      timescale: in updates: the rate is halved after three times as many; `warmup_steps` if None.
      total_steps: the whole length in updates, if there is a cool-down.
      cooldown_steps: length of the cool-down in updates, an integer > 0, or None for none.
      end: rate from count `total_steps` on.

    Made of `Shift`, `Warmup`, `InverseSqrt` and `Cooldown`.

    Raises: ValueError if only one of `total_steps` and `cooldown_steps` is given, they leave no update, or a number is out of
      range.

    Source: Zhai et al. 2022, Scaling vision transformers.

    >>> schedule = inverse_sqrt(peak=0.1, warmup_steps=100, total_steps=1000, cooldown_steps=600)
    >>> print(schedule(jnp.array([100, 400, 1000])))
    [0.1  0.05 0.  ]
    """

    peak: Rate
    warmup_steps: Delay
    timescale: MaybePositive = default(None)
    total_steps: MaybeSteps = default(None)
    cooldown_steps: MaybeSteps = default(None)
    end: Rate = default(0.0)

    def made(self) -> Schedule:
        total, warm, cool = self.total_steps, self.warmup_steps, self.cooldown_steps
        decay: Schedule = InverseSqrt(self.peak, warm if self.timescale is None else self.timescale)
        if total is not None and cool is not None:
            begin = remaining("inverse_sqrt", total, warmup_steps=warm, cooldown_steps=cool)
            decay = Cooldown(decay, begin, cool, self.end)
        elif total is not None or cool is not None:
            name = "total_steps" if total is None else "cooldown_steps"
            raise complain(ValueError, "inverse_sqrt", name, "given where the other length is", None, "give both or neither")
        return first_rate(decay, warm)


@final
class noam(Recipe):  # noqa: N801  # a recipe is called as a function
    r"""The Transformer's schedule: climbs in a straight line, then falls as one over the square root.

    $$\eta(t) = factor \cdot model\_size^{-1/2} \min\!\left((t + 1)^{-1/2},\; (t + 1)\, warmup\_steps^{-3/2}\right)$$

    Args:
      model_size: width of the model, > 0.
      warmup_steps: the rate is largest at the update of this number, counted from 1; an integer > 0.
      factor: multiplies the rate.

    Made of `Shift`, `Warmup` and `InverseSqrt`.

    Raises: ValueError if a number is out of range.

    Source: Vaswani et al. 2017, Attention is all you need, eq. 3.

    >>> print(f"{noam(model_size=512, warmup_steps=4000)(3999):.6f}")
    0.000699
    """

    model_size: Positive
    warmup_steps: Steps
    factor: Rate = default(1.0)

    def made(self) -> Schedule:
        array: Any = np if is_known(self.warmup_steps) and is_known(self.model_size) else jnp
        peak = self.factor / (array.sqrt(self.model_size) * array.sqrt(self.warmup_steps.astype(np.float32)))
        return Shift(Warmup(InverseSqrt(peak, self.warmup_steps), self.warmup_steps), 1)
