"""Recipes: schedules that only combine other schedules."""

import abc
import dataclasses
import typing
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import Shown, argument_error, choice, is_concrete
from lrax.fields._rules import LARGEST, Ratio
from lrax.fields._shares import (
    CountsOrShares,
    DelayOrShare,
    EndsOrShares,
    MaybeDelayOrShare,
    MaybeStepsOrShare,
    StepsOrShare,
    Total,
    updates,
)
from lrax.fields._types import (
    DELAY,
    Fraction,
    LengthFactor,
    MaybePositive,
    MaybeRate,
    MaybeSteps,
    Part,
    Positive,
    Rate,
    Steps,
    default,
)
from lrax.fields._value import decimal
from lrax.schedules._base import MaybeSchedule, Schedule, ScheduleLike, Schedules
from lrax.schedules._combinators import (
    Cooldown,
    Cycle,
    Dips,
    Minimum,
    Product,
    Repeat,
    Sequence,
    Shift,
    Sum,
    Until,
    Warmup,
    WarmupMode,
)
from lrax.schedules._decays import Constant, InverseSqrt, Power, StepDecay
from lrax.schedules._intmath import add_lengths
from lrax.schedules._phases import Cosine, Linear, Triangle
from lrax.schedules._recipe import LONG_RUN, Recipe, shared_out
from lrax.schedules._shapes import Mode
from lrax.schedules._tables import check_rising, counts_of


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
    >>> print(plan.with_total_steps(20)(4) == schedule(4))
    True
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


@final
class one_cycle(Recipe):  # noqa: N801  # a recipe is called as a function
    """Three phases: from `low` up to `high`, back to `low`, and on to `end`, which is held.

    Args:
      low: rate at count 0 and at count `cycle_steps`.
      high: rate at the peak.
      cycle_steps: length of the first two phases together, in updates.
      cooldown_steps: length of the third phase in updates; None or 0 for none, then `low` is held.
      end: rate from count `cycle_steps + cooldown_steps` on.
      rise: fraction of `cycle_steps` spent climbing.
      mode: shape of all phases, such as `"linear"` or `"cosine"` (see `Cooldown`).

    Made of a `Triangle`, or a `Cooldown` of one.

    Raises: ValueError if only one of `cooldown_steps` and `end` is given, or a number is out of range.

    Source: Smith & Topin 2017, Super-convergence.

    >>> schedule = one_cycle(low=0.1, high=0.5, cycle_steps=500, cooldown_steps=750, end=0.001)
    >>> print(schedule(jnp.array([0, 250, 500, 1250])))
    [0.1   0.5   0.1   0.001]
    """

    low: Rate
    high: Rate
    cycle_steps: Steps
    cooldown_steps: Part = default(None)
    end: MaybeRate = default(None)
    rise: Fraction = default(0.5)
    mode: Mode = "linear"

    def made(self) -> Schedule:
        triangle = Triangle(self.low, self.high, self.cycle_steps, self.rise, self.mode)
        if self.cooldown_steps is None:
            if self.end is not None:
                remedy = "give its length in updates"
                raise argument_error(ValueError, "one_cycle", "cooldown_steps", "above 0 where `end` is given", 0, remedy)
            return triangle
        if self.end is None:
            needs, remedy = "a rate where `cooldown_steps` is given", "give the last rate"
            raise argument_error(ValueError, "one_cycle", "end", needs, None, remedy)
        return Cooldown(triangle, self.cycle_steps, self.cooldown_steps, self.end, self.mode)


@final
class one_cycle_two_phase(Recipe):  # noqa: N801  # a recipe is called as a function
    """Two phases: from `start` up to `peak`, and down to `end`, which is held.

    Args:
      start: rate at count 0.
      peak: rate at count `warmup_steps`.
      end: rate from count `total_steps` on.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the climb, >= 0: in updates, or as a share of the total.
      mode: shape of both phases, such as `"cosine"` or `"linear"` (see `Cooldown`).

    Made of `Warmup`, `Cooldown` and `Constant`.

    Raises: ValueError if the climb leaves no update of the total, or a number is out of range.

    Source: fastai, `fit_one_cycle`; PyTorch, `OneCycleLR`.

    >>> schedule = one_cycle_two_phase(start=0.01, peak=0.25, end=1e-5, total_steps=100, warmup_steps=30)
    >>> print([f"{rate:.5f}" for rate in schedule(jnp.array([0, 15, 30, 100]))])
    ['0.01000', '0.13000', '0.25000', '0.00001']
    """

    start: Rate
    peak: Rate
    end: Rate
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    mode: Mode = "cosine"

    def made(self) -> Schedule:
        steps, warm = shared_out("one_cycle_two_phase", self.total_steps, warmup_steps=self.warmup_steps)
        fall = Cooldown(Constant(self.peak), 0, steps, self.end, self.mode)
        return Warmup(fall, warm, self.start, self.mode)


@final
class one_cycle_momentum(Recipe):  # noqa: N801  # a recipe is called as a function
    """The momentum that goes with a one-cycle rate: down from `high` to `low` while the rate climbs, and back, then held.

    With `one_cycle`, give it the same `cycle_steps`, `rise` and `mode`. With `one_cycle_two_phase`, give it
    `cycle_steps=total_steps`, `rise=warmup_steps / total_steps` and the same `mode`.

    Args:
      low: momentum at the peak of the rate.
      high: momentum at count 0 and from count `cycle_steps` on.
      cycle_steps: length of the climb and the fall together, in updates.
      rise: fraction of `cycle_steps` for which the rate climbs.
      mode: shape of both phases (see `Cooldown`).

    Made of a `Triangle` upside down.

    Raises: ValueError if a number is out of range or `mode` is unknown.

    Source: Smith 2018, A disciplined approach to neural network hyper-parameters.

    >>> momentum = one_cycle_momentum(low=0.85, high=0.95, cycle_steps=500)
    >>> sgd = optax.inject_hyperparams(optax.sgd, hyperparam_dtype=jnp.float32)  # also where parameters are bfloat16
    >>> optimizer = sgd(learning_rate=one_cycle(0.1, 0.5, 500), momentum=momentum)
    >>> print(momentum(jnp.array([0, 250, 500])))
    [0.95 0.85 0.95]
    """

    low: Rate
    high: Rate
    cycle_steps: Steps
    rise: Fraction = default(0.5)
    mode: Mode = "linear"

    def made(self) -> Schedule:
        return Triangle(self.high, self.low, self.cycle_steps, self.rise, self.mode)


@final
class cyclical(Recipe):  # noqa: N801  # a recipe is called as a function
    """Triangles between `low` and `high`, for ever.

    The cycles may get lower as a whole (`value_factor`), or lower above a `low` that stays: by a factor from cycle to cycle
    (`height_factor`; 0.5 is "triangular2"), or by any schedule of the update count (`height`; `Exponential(1.0, 0.9999)` is
    "exp_range", and `Stretch(function, cycle_steps)` makes a function of the cycle's index of it).

    Args:
      low: rate at the start of each cycle.
      high: rate at the peak of the first cycle.
      cycle_steps: length of a cycle in updates: twice the "step size" of the paper.
      value_factor: what both rates are multiplied by from cycle to cycle; 1 if None.
      rise: fraction of a cycle spent climbing.
      mode: shape of the fall (see `Cooldown`); the climb is its mirror image.
      height_factor: what the height above `low` is multiplied by from cycle to cycle, or None.
      height: a schedule or a callable that multiplies the height above `low`, or None.

    Made of a `Cycle` of a `Triangle`; where the height changes, a `Sum` of it and `low`, and a `Product` within.

    Raises: ValueError if a number is out of range, or `value_factor` is given with `height_factor` or `height`.

    Source: Smith 2015, Cyclical learning rates for training neural networks.

    >>> print(cyclical(low=0.5, high=2.0, cycle_steps=500)(jnp.array([0, 250, 500, 750])))
    [0.5 2.  0.5 2. ]
    >>> print(cyclical(low=1.0, high=2.0, cycle_steps=500, height_factor=0.5)(jnp.array([0, 250, 500, 750])))
    [1.  2.  1.  1.5]
    """

    low: Rate
    high: Rate
    cycle_steps: Steps
    value_factor: MaybePositive = default(None)
    rise: Fraction = default(0.5)
    mode: Mode = "linear"
    height_factor: MaybePositive = default(None)
    height: MaybeSchedule = default(None)

    def made(self) -> Schedule:
        if self.height_factor is None and self.height is None:
            triangle = Triangle(self.low, self.high, self.cycle_steps, self.rise, self.mode)
            return Cycle(triangle, 1, 1.0 if self.value_factor is None else self.value_factor)
        if self.value_factor is not None:
            raise argument_error(ValueError, "cyclical", "value_factor", "left out where the height changes", self.value_factor)
        triangle = Triangle(0.0, self.high - self.low, self.cycle_steps, self.rise, self.mode)
        cycles = Cycle(triangle, 1, 1.0 if self.height_factor is None else self.height_factor)
        return Sum(Constant(self.low), cycles if self.height is None else Product(cycles, self.height))


@final
class sgdr(Recipe):  # noqa: N801  # a recipe is called as a function
    """Cosine decay with warm restarts: from `peak` to `end`, again and again, each cycle longer than the last.

    Args:
      peak: rate at the top of the first cycle.
      end: rate that the first cycle falls to.
      cycle_steps: length of the first cycle in updates, its warm-up included.
      length_factor: what the length is multiplied by from cycle to cycle: the length of cycle k is the integer nearest to
        `cycle_steps * length_factor**k` (`Cycle` has another rule, too).
      value_factor: what both rates are multiplied by from cycle to cycle.
      warmup_steps: length of the warm-up at the start of each cycle, the same for all, whose first rate is above zero: in
        updates, or as a share of `cycle_steps`; None or 0 for none.
      min_steps: the smallest length of a cycle, for a `length_factor` below 1; see `Cycle`.

    Made of a `Cycle` of a `Cosine`, with a `Warmup` within if asked.

    Raises: ValueError if a number is out of range.

    Source: Loshchilov & Hutter 2017, SGDR.

    >>> print(sgdr(peak=2.0, end=0.0, cycle_steps=250, value_factor=0.5)(jnp.array([0, 250, 750])))
    [2.  1.  0.5]
    >>> print(sgdr(peak=1.0, end=0.0, cycle_steps=10, warmup_steps=3)(jnp.array([0, 3, 10, 13])))
    [0.25 1.   0.25 1.  ]
    """

    peak: Rate
    end: Rate
    cycle_steps: Steps
    length_factor: LengthFactor = default(2)
    value_factor: Positive = default(1.0)
    warmup_steps: MaybeDelayOrShare = default(None)
    min_steps: Steps = default(1)

    def made(self) -> Schedule:
        if is_concrete(self.min_steps) and is_concrete(self.cycle_steps) and np.any(self.min_steps > self.cycle_steps):
            raise argument_error(ValueError, "sgdr", "min_steps", f"at most `cycle_steps` ({self.cycle_steps})", self.min_steps)
        if self.warmup_steps is None:
            phase: Schedule = Cosine(self.peak, self.end, self.cycle_steps)
        else:
            steps, warm = shared_out("sgdr", self.cycle_steps, warmup_steps=self.warmup_steps)
            phase = first_rate(Cosine(self.peak, self.end, steps), warm)
        return Cycle(phase, self.length_factor, self.value_factor, min_steps=self.min_steps)


@final
class wsd_s(Recipe):  # noqa: N801  # a recipe is called as a function
    """Warm-up, stable, decay, again and again: before each end it falls to `end`, and from there on it is back at `peak`.

    One run gives finished models of several lengths, each of which goes on from the last: nothing is trained twice. The first
    update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate between the falls.
      total_steps: the whole length in updates, the last end; None for a plan that waits for it.
      ends: where the models before the last one are finished, rising: in updates, or as shares of the total; shape (n,). At an
        end the rate is `peak` again.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      cooldown_steps: length of each fall, > 0: in updates, or as a share of the total.
      end: rate that each fall leads to, and from count `total_steps` on.
      mode: shape of the falls (see `Cooldown`).

    Made of `Shift`, `Warmup` and `Constant`, with the falls put in.

    Raises: ValueError if the parts do not fit before the ends, or a number is out of range.

    Source: Wen et al. 2024, Understanding warmup-stable-decay learning rates: a river valley loss landscape perspective.

    >>> schedule = wsd_s(peak=0.5, total_steps=100, ends=[0.4], warmup_steps=4, cooldown_steps=10)
    >>> print(schedule(jnp.array([0, 30, 35, 40, 95, 100])))
    [0.1  0.5  0.25 0.5  0.25 0.  ]
    """

    peak: Rate
    total_steps: Total = default(None)
    ends: EndsOrShares = default(...)
    warmup_steps: DelayOrShare = default(...)
    cooldown_steps: StepsOrShare = default(...)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def sample(self) -> Schedule:
        shares = [isinstance(length, Ratio) for length in (self.ends, self.warmup_steps, self.cooldown_steps)]
        only = shares[0] and is_concrete(self.ends.denominator) and np.all(np.asarray(self.ends.denominator) > 1)
        if not self.needs_total_steps or not any(shares) or only:
            return Recipe.sample(self)
        # ends at counts beside shares of the total fit some totals only: they are checked once there is one
        return Recipe.sample(self.unchecked(ends=np.zeros(0, np.int32)))

    def made(self) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "cooldown_steps": self.cooldown_steps}
        left, warm, cool = shared_out("wsd_s", self.total_steps, **lengths)
        total = left + warm + cool
        parts = self.ends if isinstance(self.ends, Ratio) else (self.ends,)
        array: Any = np if all(map(is_concrete, (total, *parts))) else jnp
        total = array.expand_dims(total, -1)
        ends = updates(self.ends, total)
        batch = np.broadcast_shapes(ends.shape[:-1], total.shape[:-1])
        ends = array.concatenate([array.broadcast_to(one, (*batch, one.shape[-1])) for one in (ends, total)], axis=-1)
        self._check(ends, warm, cool)
        return Dips(first_rate(Constant(self.peak), warm), ends, cool, self.end, self.mode)

    def _check(self, ends: Any, warm: Any, cool: Any) -> None:
        """Raises ValueError if an end is not before the total, or a fall begins before the peak is reached."""
        if not all(map(is_concrete, (ends, warm, cool))):
            return
        between = np.diff(ends, axis=-1, prepend=0)
        if np.any(between <= 0):
            given = decimal(self.ends).tolist() if isinstance(self.ends, Ratio) else self.ends
            raise argument_error(ValueError, "wsd_s", "ends", f"rising, and less than the total ({ends[..., -1]})", given)
        first, others = between[..., 0] - warm, between[..., 1:].min(axis=-1, initial=LARGEST)
        if np.any(np.asarray(cool) > np.minimum(first, others)):
            distance: Any = np.minimum(first, others)
            if np.all(ends[..., -1] == LONG_RUN):  # no total yet
                distance = Shown(f"{np.min(distance) / LONG_RUN:.4g} of the total")
            needs = f"at most the distance between ends ({distance}), the first of which begins after the warm-up"
            raise argument_error(ValueError, "wsd_s", "cooldown_steps", needs, self.cooldown_steps)


@final
class tri_stage(Recipe):  # noqa: N801  # a recipe is called as a function
    """Three stages: up in a straight line, hold, and down by the same factor at every update; as in speech recognition.

    Args:
      peak: rate after the warm-up, above 0.
      total_steps: the whole length in updates, all parts included; None for a plan that waits for it.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      hold_steps: how long the peak is held, >= 0: in updates, or as a share of the total.
      start_factor: what the peak is multiplied by for the rate at count 0, > 0.
      end_factor: what the peak is multiplied by for the rate from count `total_steps` on, > 0.

    Made of `Warmup`, `Cooldown` and `Constant`.

    Raises: ValueError if the parts leave no update of the total, or a number is out of range.

    Source: Park et al. 2019, SpecAugment, section 3.1; fairseq, `tri_stage`.

    >>> schedule = tri_stage(peak=0.5, total_steps=100, warmup_steps=0.1, hold_steps=0.4)
    >>> print(schedule(jnp.array([0, 10, 50, 75, 100])))
    [0.005 0.5   0.5   0.05  0.005]
    """

    peak: Positive
    total_steps: Total = default(None)
    warmup_steps: DelayOrShare = default(...)
    hold_steps: DelayOrShare = default(...)
    start_factor: Positive = default(0.01)
    end_factor: Positive = default(0.01)

    def made(self) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "hold_steps": self.hold_steps}
        steps, warm, hold = shared_out("tri_stage", self.total_steps, **lengths)
        fall = Cooldown(Constant(self.peak), hold, steps, self.peak * self.end_factor, "geometric")
        return Warmup(fall, warm, self.peak * self.start_factor)


@final
class power(MayEnd):  # noqa: N801  # a recipe is called as a function
    r"""A power of the tokens that were seen, at most `peak`: one setting for every length of a run.

    $$\eta(t) = \min\!\left(peak,\; batch\_size \cdot amplitude \cdot (t \cdot step\_tokens)^{exponent}\right)$$

    after a straight warm-up to it, and at last, if asked, down to `end`. The first update has a rate already.

    Args:
      peak: the largest rate.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the total.
      batch_size: examples an update, > 0.
      step_tokens: tokens that one count stands for, > 0: those of an update, or the `unit` of the clock that reads this.
      amplitude: a number that is found on a small model and carries over, > 0.
      exponent: of the tokens, below 0 for a rate that falls.
      total_steps: the whole length in updates, if there is a cool-down; None for a plan that waits for it, or has no end.
      cooldown_steps: length of the cool-down, > 0: in updates, or as a share of the total; None for none.
      end: rate from count `total_steps` on.
      mode: shape of the cool-down (see `Cooldown`).

    Made of `Shift`, `Warmup`, `Minimum`, `Power` and `Cooldown`.

    Raises: ValueError if only one of `total_steps` and a length that needs it is given, the parts leave no update, or a
      number is out of range.

    Source: Shen et al. 2024, Power scheduler: a batch size and token number agnostic learning rate scheduler; the defaults are
      theirs, for models in the maximal update parametrization.

    >>> schedule = power(peak=0.02, warmup_steps=100, batch_size=128, step_tokens=128 * 4096)
    >>> print([f"{rate:.4f}" for rate in schedule(jnp.array([0, 100, 100_000]))])
    ['0.0002', '0.0200', '0.0020']
    """

    peak: Rate
    warmup_steps: DelayOrShare
    batch_size: Positive
    step_tokens: Positive
    amplitude: Positive = default(4.6)
    exponent: Rate = default(-0.51)
    total_steps: Total = default(None)
    cooldown_steps: MaybeStepsOrShare = default(None)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def decay(self, warmup_steps: Any) -> Schedule:
        array: Any = np if is_concrete(self.step_tokens) and is_concrete(self.exponent) else jnp
        first = self.batch_size * self.amplitude * array.power(self.step_tokens, self.exponent)
        return Minimum(Constant(self.peak), Shift(Power(first, self.exponent), warmup_steps - 1))


@final
class joined(Recipe):  # noqa: N801  # a recipe is called as a function
    """One schedule after another, each from its own count 0, joined where you say, whatever their own lengths.

    Args:
      schedules: a list of schedules, or callables `count -> rate`.
      boundaries: counts at which the next one begins, that rise strictly, one fewer: in updates, integers >= 0, or as shares
        of the total; shape (n,).
      total_steps: the whole length in updates; None for the end of the last schedule, or for a plan with shares that waits.

    Made of a `Sequence`; that alone is enough where the boundaries follow from the lengths.

    Raises: ValueError if `boundaries` is not one shorter than `schedules`, unsorted or negative; TypeError if a part is no
      schedule.

    Source: optax, `join_schedules`; maxtext and axlearn join theirs so.

    >>> parts = [Constant(0.1), Constant(0.5), Linear(0.5, 0.0, 10)]
    >>> print(joined(parts, boundaries=[5, 20])(jnp.array([4, 5, 20, 25])))
    [0.1  0.5  0.5  0.25]
    >>> print(joined(parts, boundaries=[5, 0.5]).with_total_steps(40)(jnp.array([4, 5, 20, 25])))
    [0.1  0.5  0.5  0.25]
    """

    schedules: Schedules
    boundaries: CountsOrShares
    total_steps: Total = default(None)

    @property
    def needs_total_steps(self) -> bool:
        return isinstance(self.boundaries, Ratio) and self.total_steps is None

    def check(self) -> None:
        Recipe.check(self)
        if not self.needs_total_steps:
            check_rising("joined", "boundaries", self.boundaries, counts_of(self.boundaries, self.total_steps))

    def made(self) -> Schedule:
        if len(self.schedules) != jax.tree.leaves(self.boundaries)[0].shape[-1] + 1:
            needs = f"one shorter than `schedules` ({len(self.schedules)})"
            raise argument_error(ValueError, "joined", "boundaries", needs, self.boundaries)
        boundaries = counts_of(self.boundaries, self.total_steps)
        array: Any = np if is_concrete(boundaries) else jnp
        begins = array.concatenate([array.zeros((*boundaries.shape[:-1], 1), np.int32), boundaries], axis=-1)
        steps = array.maximum(array.diff(begins, axis=-1), 0)
        *others, last = self.schedules
        if self.total_steps is not None:
            left = self.total_steps - begins[..., -1]
            last = Until(last, (np if is_concrete(left) else jnp).maximum(left, 0))
        return Sequence(*(Until(one, steps[..., k]) for k, one in enumerate(others)), last)

    def resized(self, length: Any) -> Schedule | None:
        return dataclasses.replace(self, total_steps=length) if self.needs_total_steps or self.total_steps is not None else None


@final
class warmed(Recipe):  # noqa: N801  # a recipe is called as a function
    """A schedule times a factor that first climbs to 1: a warm-up that multiplies, and leaves the schedule where it is.

    `Warmup` begins the schedule after the warm-up, so all its boundaries come later; here the schedule begins at once, and a
    boundary at 250 stays at 250. detectron2, mmdetection, ultralytics and darknet warm up so.

    Args:
      schedule: what is multiplied; a schedule or a callable `count -> rate`.
      warmup_steps: length of the warm-up, >= 0: in updates, or as a share of the length of the schedule.
      start_factor: what the rate of count 0 is multiplied by; None for the first above zero, `1 / (warmup_steps + 1)`.
      mode: shape of the climb (see `Warmup`).
      power: exponent of the way climbed, > 0, or None (see `Warmup`).

    Made of a `Product` of the schedule and a `Warmup` of a `Constant`.

    Raises: ValueError if `warmup_steps` is a share and the schedule has no length, or a number is out of range.

    Source: Goyal et al. 2017, section 2.2; detectron2, `WarmupMultiStepLR`.

    >>> schedule = warmed(MultiStep(0.5, factor=0.5, boundaries=[4, 6]), warmup_steps=5, start_factor=0.2)
    >>> print(schedule(jnp.array([0, 3, 5, 6])))
    [0.1   0.34  0.25  0.125]
    """

    schedule: ScheduleLike
    warmup_steps: DelayOrShare
    start_factor: MaybeRate = default(None)
    mode: WarmupMode = "linear"
    power: MaybePositive = default(None)

    @property
    def needs_total_steps(self) -> bool:
        return self.schedule.needs_total_steps

    def sample(self) -> Schedule:
        if self.needs_total_steps:  # how long a share is is seen once there is a total
            steps = np.int32(1) if isinstance(self.warmup_steps, Ratio) else self.warmup_steps
            return self.unchecked(warmup_steps=steps).made()
        return Recipe.sample(self)

    def made(self) -> Schedule:
        steps = self.warmup_steps
        if isinstance(steps, Ratio):
            if self.schedule.length is None:
                needs = "a number of updates, for the schedule has no length that it could be a share of"
                raise argument_error(ValueError, "warmed", "warmup_steps", needs, decimal(steps).tolist())
            steps = updates(steps, self.schedule.length)
        return Product(self.schedule, warm(Constant(1.0), steps, self.start_factor, self.mode, self.power))

    @property
    def length(self) -> Any:
        return self.schedule.length

    @property
    def landmarks(self) -> list[int]:
        steps: Any = self.warmup_steps
        return [int(updates(steps, self.length) if isinstance(steps, Ratio) else steps), *self.schedule.landmarks]

    def resized(self, length: Any) -> Schedule | None:
        inner = self.schedule.resized(length)
        return None if inner is None else dataclasses.replace(self, schedule=inner)


@final
class faded(Recipe):  # noqa: N801  # a recipe is called as a function
    """A schedule times a factor that at last goes from 1 to `end_factor`: a cool-down that multiplies.

    `warmed` is the same at the start. Where `Cooldown` leaves the schedule and leads from its rate there straight to an
    end, this one stays with it, whatever it does, and lets it fade.

    Args:
      schedule: what is multiplied; a schedule or a callable `count -> rate`.
      total_steps: the whole length in updates, the cool-down included; None for a plan that waits for it.
      cooldown_steps: length of the cool-down, >= 0: in updates, or as a share of the total; 0 for none.
      end_factor: what the schedule is multiplied by at count `total_steps`; that rate is held.
      mode: shape of the factor (see `Cooldown`).

    Made of a `Product` of the schedule and a `Cooldown` of a `Constant`, once.

    Raises: ValueError if the cool-down leaves no update of the total, or a number is out of range.

    Source: Zhai et al. 2022, Scaling vision transformers; big_vision, `cooldown_steps`.

    >>> schedule = faded(InverseSqrt(1.0), total_steps=24, cooldown_steps=9)
    >>> print(schedule(jnp.array([0, 15, 24])))
    [1.   0.25 0.  ]
    """

    schedule: ScheduleLike
    total_steps: Total = default(None)
    cooldown_steps: DelayOrShare = default(...)
    end_factor: Rate = default(0.0)
    mode: Mode = "linear"

    def made(self) -> Schedule:
        begin, cool = shared_out("faded", self.total_steps, cooldown_steps=self.cooldown_steps)
        factor = cooled(Constant(1.0), begin, cool, self.end_factor, np.float32(1), self.mode)
        return Repeat(Until(Product(self.schedule, factor), add_lengths(begin, cool)), 1)  # holds its end


NEEDS = {
    "constant": ("value",),
    "linear_warmup": ("warmup_steps",),
    "rsqrt_decay": ("warmup_steps",),
    "rsqrt_normalized_decay": ("warmup_steps",),
    "rsqrt_hidden_size": ("model_size",),
    "decay_every": ("factor", "every"),
    "cosine_decay": ("warmup_steps", "cycle_steps"),
}
"""The factors by name, and the numbers that each needs."""


MOST_FACTORS = 32


@final
class factors(Recipe):  # noqa: N801  # a recipe is called as a function
    r"""A product that is written as a text of factors, as T5's and Flax's examples have it, rate for rate.

    `"constant"` is `value`; `"linear_warmup"` climbs from 0 to 1 at `warmup_steps`; `"rsqrt_decay"` is one over the square root
    of the count, or of `warmup_steps` where that is more, and `"rsqrt_normalized_decay"` the same times the square root of
    `warmup_steps`; `"rsqrt_hidden_size"` is one over the square root of `model_size`; `"decay_every"` multiplies by `factor`
    every `every` updates; `"cosine_decay"` falls from 1 to 0 along half a cosine in `cycle_steps`, again and again, after
    `warmup_steps`. As there, a warm-up begins at 0: `Shift(schedule, 1)` begins one update later.

    Args:
      text: names of factors with `*` between them.
      value: the constant, any finite number.
      warmup_steps: length of the warm-up in updates, an integer > 0.
      factor: what `"decay_every"` multiplies by, > 0.
      every: updates between its changes, an integer > 0.
      cycle_steps: length of a cycle of `"cosine_decay"` in updates, an integer > 0.
      model_size: width of the model, > 0.

    Made of a `Product` of `Constant`, `Linear`, `InverseSqrt`, `StepDecay`, `Cycle` and `Cosine`.

    Raises: ValueError if a factor is not known (with what was meant), or a number that it needs is missing or out of range.

    Source: Raffel et al. 2020, Exploring the limits of transfer learning, section 3.1.2; t5x, `create_learning_rate_scheduler`.

    >>> schedule = factors("constant * linear_warmup * rsqrt_decay", value=0.5, warmup_steps=100)
    >>> print(schedule(jnp.array([0, 50, 100, 400])))
    [0.    0.025 0.05  0.025]
    """

    text: str
    value: MaybeRate = default(None)
    warmup_steps: MaybeSteps = default(None)
    factor: MaybePositive = default(None)
    every: MaybeSteps = default(None)
    cycle_steps: MaybeSteps = default(None)
    model_size: MaybePositive = default(None)

    def made(self) -> Schedule:
        if not isinstance(self.text, str):
            raise argument_error(TypeError, "factors", "text", "names of factors, as in 'constant * linear_warmup'", self.text)
        if self.text.count("*") >= MOST_FACTORS:
            raise argument_error(ValueError, "factors", "text", f"of at most {MOST_FACTORS} factors", self.text)
        names = [choice("factors", "text", name.strip(), tuple(NEEDS)) for name in self.text.split("*")]
        for name in names:
            for needed in NEEDS[name]:
                if getattr(self, needed) is None:
                    raise argument_error(ValueError, "factors", needed, f"given where {name!r} is a factor", None)
        return Product(*map(self._factor, names))

    def _factor(self, name: str) -> Schedule:
        """The factor of a name, whose numbers are there."""
        numbers: Any = self
        if name == "constant":
            return Constant(numbers.value)
        if name == "linear_warmup":
            return Linear(0.0, 1.0, numbers.warmup_steps)
        if name == "rsqrt_decay":
            return Shift(InverseSqrt(_rsqrt(numbers.warmup_steps), numbers.warmup_steps), -numbers.warmup_steps)
        if name == "rsqrt_normalized_decay":
            return Shift(InverseSqrt(1.0, numbers.warmup_steps), -numbers.warmup_steps)
        if name == "rsqrt_hidden_size":
            return Constant(_rsqrt(numbers.model_size))
        if name == "decay_every":
            return StepDecay(1.0, numbers.factor, numbers.every)
        return Shift(Cycle(Cosine(1.0, 0.0, numbers.cycle_steps)), -numbers.warmup_steps)


def _rsqrt(number: Any) -> Any:
    """One over the square root of a number."""
    return 1 / (np if is_concrete(number) else jnp).sqrt(number.astype(np.float32))
