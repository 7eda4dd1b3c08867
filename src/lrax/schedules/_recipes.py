"""Named compositions: kinds that only put other kinds together. Every argument may be traced, or a batch.

Where a recipe has a total length, the length of a part is a number of updates (an int, or a whole float from 2.0 on), or a
share of the total (a float between 0 and 1), which is rounded up to whole updates; 0 is none. The total may be left out: such a
plan waits for `over(total_steps)`.
"""

import abc
import typing
from collections.abc import Callable
from typing import Any, final

import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._shares import DelayOrShare, MaybeDelayOrShare, MaybeStepsOrShare, Total
from lrax.fields._types import DELAY, MaybePositive, MaybeRate, Positive, Rate, Steps, default
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Cooldown, Sequence, Until, Warmup
from lrax.schedules._decays import Constant, InverseSqrt
from lrax.schedules._modes import Mode
from lrax.schedules._phases import Cosine, Linear
from lrax.schedules._recipe import Recipe, shared_out
from lrax.schedules._time import Shift


def warm(schedule: Schedule, warmup_steps: Any, start: Any, mode: Any = "linear", power: Any = None) -> Schedule:
    """A warm-up that is over at count `warmup_steps`: from `start`, or, if that is None, from its first rate above zero."""
    if start is not None:
        return Warmup(schedule, warmup_steps, start, mode, power)
    return Shift(Warmup(schedule, DELAY.convert("Warmup", "warmup_steps", warmup_steps) + 1, 0.0, mode, power), 1)


def cooled(schedule: Schedule, begin: Any, steps: Any, end: Any, stays: Any, mode: Any) -> Schedule:
    """A cool-down from `begin` on to `end`; one of no update leads to the rate that stays."""
    array: Any = np if all(map(is_concrete, (begin, steps, end, stays))) else jnp
    fall = array.maximum(steps, 1)
    return Cooldown(schedule, begin + steps - fall, fall, array.where(steps > 0, end, stays), mode)


def first_rate(schedule: Schedule, warmup_steps: Any) -> Schedule:
    """A straight warm-up that begins at its first rate above zero and is over at count `warmup_steps`."""
    return warm(schedule, warmup_steps, None)


def decayed(recipe: Any, phase: Callable[..., Schedule]) -> Schedule:
    """A warm-up and a phase from `peak` to `end`, which may be over before the run is."""
    held = {} if recipe.end_steps is None else {"end_steps": recipe.end_steps}
    steps, warmup, *rest = shared_out(type(recipe).__name__, recipe.total_steps, warmup_steps=recipe.warmup_steps, **held)
    fall = phase(recipe.peak, recipe.end, steps)
    return warm(Sequence(fall, Until(Constant(recipe.end), *rest)) if rest else fall, warmup, recipe.start)


class MayEnd(Recipe):
    """A recipe that warms up and decays for ever, or is cooled down at last: where it has no cool-down it needs no total.

    It has the fields `warmup_steps`, `total_steps`, `cooldown_steps` and `end`, and may have `mode`.
    """

    @abc.abstractmethod
    def decay(self, warmup_steps: Any) -> Schedule:
        """What follows the warm-up, from its own count 0 on."""

    @property
    def needs_total_steps(self) -> bool:
        return getattr(self, "total_steps", None) is None and self._needs_total

    @property
    def _needs_total(self) -> bool:
        lengths: Any = self
        return lengths.cooldown_steps is not None or isinstance(lengths.warmup_steps, Ratio)

    def made(self) -> Schedule:
        caller, lengths = type(self).__name__, typing.cast(Any, self)
        warm, total, cool = lengths.warmup_steps, lengths.total_steps, lengths.cooldown_steps
        if total is None:
            return first_rate(self.decay(warm), warm)
        if not self._needs_total:
            needs, remedy = "given with `total_steps`", "give both or neither"
            raise argument_error(ValueError, caller, "cooldown_steps", needs, None, remedy)
        if cool is None:
            _, warm = shared_out(caller, total, warmup_steps=warm)
            return first_rate(self.decay(warm), warm)
        begin, warm, cool = shared_out(caller, total, warmup_steps=warm, cooldown_steps=cool)
        return first_rate(Cooldown(self.decay(warm), begin, cool, lengths.end, getattr(self, "mode", "linear")), warm)


@final
class warmup_cosine(Recipe):  # noqa: N801  # a recipe is called as a function
    """Climbs in a straight line to `peak`, then falls to `end` along half a cosine, and holds it.

    The first update has a rate already: `start`, or `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      end: rate from count `total_steps` on, or from `total_steps - end_steps` on.
      start: rate of the first update; None for `peak / (warmup_steps + 1)`.
      end_steps: for how long `end` is held before the run is over: in updates, or as a share of the total; None or 0 for none.

    Made of `Shift`, `Warmup` and `Cosine`; if `end` is held, of a `Sequence` too.

    Raises: ValueError if the other parts leave no update of the total, or a number is out of range.

    >>> schedule = warmup_cosine(peak=0.5, total_steps=20, warmup_steps=4)
    >>> print(schedule(jnp.array([0, 2, 4, 20])))
    [0.1 0.3 0.5 0. ]
    >>> plan = warmup_cosine(peak=0.5, warmup_steps=0.2)
    >>> print(plan.with_total_steps(20) == warmup_cosine(peak=0.5, total_steps=20, warmup_steps=0.2),
    plan.with_total_steps(20)(4) == schedule(4))
    True True
    """

    peak: Rate
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    end: Rate = default(0.0)
    start: MaybeRate = default(None)
    end_steps: MaybeDelayOrShare = default(None)

    def made(self) -> Schedule:
        return decayed(self, Cosine)


@final
class warmup_linear(Recipe):  # noqa: N801  # a recipe is called as a function
    """Climbs in a straight line to `peak`, then falls in a straight line to `end`, which is held: straight to zero.

    The first update has a rate already: `start`, or `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      end: rate from count `total_steps` on, or from `total_steps - end_steps` on.
      start: rate of the first update; None for `peak / (warmup_steps + 1)`.
      end_steps: for how long `end` is held before the run is over: in updates, or as a share of the total; None or 0 for none.

    Made of `Shift`, `Warmup` and `Linear`; if `end` is held, of a `Sequence` too.

    Raises: ValueError if the other parts leave no update of the total, or a number is out of range.

    Source: Bergsma et al. 2025, Straight to zero: why linearly decaying the learning rate to zero works best for LLMs.

    >>> print(warmup_linear(peak=0.5, total_steps=20, warmup_steps=0.2)(jnp.array([0, 4, 12, 20])))
    [0.1  0.5  0.25 0.  ]
    """

    peak: Rate
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    end: Rate = default(0.0)
    start: MaybeRate = default(None)
    end_steps: MaybeDelayOrShare = default(None)

    def made(self) -> Schedule:
        return decayed(self, Linear)


@final
class wsd(Recipe):  # noqa: N801  # a recipe is called as a function
    """Warm-up, stable, decay: climbs to `peak`, stays there, and falls to `end`, which is held.

    The first update has a rate already: `start`, or `peak / (warmup_steps + 1)`.

    Args:
      peak: rate from count `warmup_steps` to count `total_steps - cooldown_steps`.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      cooldown_steps: length of the fall, >= 0: in updates, or as a share of the total; 0 for none, then `peak` stays.
      end: rate from count `total_steps` on.
      mode: shape of the fall, such as `"linear"`, `"cosine"` or `"one_minus_sqrt"` (see `Cooldown`).
      start: rate of the first update; None for `peak / (warmup_steps + 1)`.

    Made of `Shift`, `Warmup`, `Cooldown` and `Constant`.

    Raises: ValueError if warm-up and cool-down leave no update of `total_steps`, or a number is out of range.

    Source: Hu et al. 2024, MiniCPM, section 4.

    >>> print(wsd(peak=0.5, total_steps=100, warmup_steps=4, cooldown_steps=20)(jnp.array([0, 4, 80, 90, 100])))
    [0.1  0.5  0.5  0.25 0.  ]
    >>> plan = wsd(peak=0.5, warmup_steps=0.04, cooldown_steps=0.2)  # for every length
    >>> print(plan.with_total_steps(100)(90), plan.with_total_steps(1000)(900))
    0.25 0.25
    """

    peak: Rate
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    cooldown_steps: DelayOrShare = default(...)
    end: Rate = default(0.0)
    mode: Mode = "linear"
    start: MaybeRate = default(None)

    def made(self) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "cooldown_steps": self.cooldown_steps}
        left, warmup, cool = shared_out("wsd", self.total_steps, **lengths)
        return warm(cooled(Constant(self.peak), left, cool, self.end, self.peak, self.mode), warmup, self.start)


@final
class flat_cosine(Recipe):  # noqa: N801  # a recipe is called as a function
    """Stays at `peak`, then falls to `end` along half a cosine, and holds it.

    Args:
      peak: rate up to count `flat_steps`.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      flat_steps: how long the rate stays, >= 0: in updates, or as a share of the total.
      end: rate from count `total_steps` on.

    Made of `Sequence`, `Constant` and `Cosine`.

    Raises: ValueError if the flat part leaves no update of the total, or a number is out of range.

    Source: fastai, `fit_flat_cos`.

    >>> print(f"{flat_cosine(peak=0.1, total_steps=100, flat_steps=50)(75):.2f}")
    0.05
    """

    peak: Rate
    total_steps: Total = default(None)
    flat_steps: DelayOrShare = default(...)
    end: Rate = default(0.0)

    def made(self) -> Schedule:
        steps, flat = shared_out("flat_cosine", self.total_steps, flat_steps=self.flat_steps)
        return Sequence(Until(Constant(self.peak), flat), Cosine(self.peak, self.end, steps))


@final
class inverse_sqrt(MayEnd):  # noqa: N801  # a recipe is called as a function
    """Climbs in a straight line to `peak`, then falls as one over the square root, and at last, if asked, straight to `end`.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      warmup_steps: length of the warm-up, > 0 (or 0 if `timescale` is given): in updates, or as a share of the total.
      timescale: in updates: the rate is halved after three times as many; the length of the warm-up if None.
      total_steps: the whole length in updates, if there is a cool-down; None for a plan that waits for it, or has no end.
      cooldown_steps: length of the cool-down, > 0: in updates, or as a share of the total; None for none.
      end: rate from count `total_steps` on.

    Made of `Shift`, `Warmup`, `InverseSqrt` and `Cooldown`.

    Raises: ValueError if `total_steps` is given and nothing that needs it is, if the parts leave no update of it, or if a
      number is out of range.

    Source: Zhai et al. 2022, Scaling vision transformers.

    >>> schedule = inverse_sqrt(peak=0.1, warmup_steps=100, total_steps=1000, cooldown_steps=600)
    >>> print(schedule(jnp.array([100, 400, 1000])))
    [0.1  0.05 0.  ]
    """

    peak: Rate
    warmup_steps: DelayOrShare
    timescale: MaybePositive = default(None)
    total_steps: Total = default(None)
    cooldown_steps: MaybeStepsOrShare = default(None)
    end: Rate = default(0.0)

    def decay(self, warmup_steps: Any) -> Schedule:
        return InverseSqrt(self.peak, warmup_steps if self.timescale is None else self.timescale)


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
        array: Any = np if is_concrete(self.warmup_steps) and is_concrete(self.model_size) else jnp
        peak = self.factor / (array.sqrt(self.model_size) * array.sqrt(self.warmup_steps.astype(np.float32)))
        return Shift(Warmup(InverseSqrt(peak, self.warmup_steps), self.warmup_steps), 1)
