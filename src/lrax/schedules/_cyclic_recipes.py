"""Named compositions that climb and fall: one cycle, and cycles for ever."""

from typing import final

import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._shares import DelayOrShare, MaybeDelayOrShare, Total
from lrax.fields._types import (
    Fraction,
    LengthFactor,
    MaybePositive,
    MaybeRate,
    Part,
    Positive,
    Rate,
    Steps,
    default,
)
from lrax.fields._words import argument_error
from lrax.schedules._algebra import Product, Sum
from lrax.schedules._base import MaybeSchedule, Schedule
from lrax.schedules._combinators import Cooldown, Warmup
from lrax.schedules._cycles import Cycle
from lrax.schedules._decays import Constant
from lrax.schedules._modes import Mode
from lrax.schedules._phases import Cosine, Triangle
from lrax.schedules._recipe import Recipe, shared_out
from lrax.schedules._recipes import first_rate


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
