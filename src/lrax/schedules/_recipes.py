"""Recipes: schedules that only combine other schedules.

A recipe is a value like any other schedule: its fields are the arguments of its call, and its parts are built from them
whenever a learning rate is computed. So it shows, saves, compares, batches and checks the arguments of its call, by the code
for any other schedule. `dataclasses.replace(schedule, peak=0.2)` moves everything that depends on the peak, and a batch is one
of peaks, not of parts that have to agree. Two alternatives were rejected: functions whose call is recovered from what they
built (`noam` loses its arguments, and a `Triangle` has three possible calls), and a wrapper of both the call and the parts,
which can disagree. For the same reason a fraction of the total stays a fraction: it is resolved when the parts are built.
"""

import abc
import copy
import dataclasses
import functools
import typing
from typing import Any, Protocol, TypeVar, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import Shown, argument_error, array_module, choice, is_concrete
from lrax.fields._rules import (
    DELAY,
    LARGEST,
    STEPS,
    CountsOrFractions,
    DelayOrFraction,
    EndsOrFractions,
    Float,
    Fraction,
    Int,
    Ints,
    LengthFactor,
    MaybeDelayOrFraction,
    MaybePositive,
    MaybeRate,
    MaybeSteps,
    Part,
    Positive,
    Rate,
    Ratio,
    Steps,
    StepsOrFraction,
    Total,
    default,
    to_steps,
)
from lrax.fields._value import Value, checked, decimal, unchecked
from lrax.schedules._base import MaybeSchedule, Schedule, ScheduleLike, Schedules, length_of
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
from lrax.schedules._shapes import Mode
from lrax.schedules._tables import check_rising, counts_of, missing_total

LONG_RUN = np.int32(10**9)
"""The total length with which a plan without one is checked."""

ZERO, ONE = np.float32(0), np.float32(1)
SAME_LENGTH = Ratio(np.int32(1), np.int32(1))
S = TypeVar("S", bound=Value)


class Build(Protocol):
    """How a recipe builds a part: `checked` when the recipe is made, `unchecked` inside the trace of a learning rate."""

    def __call__(self, value_class: type[S], *args: object, **fields: object) -> S:
        """The part of that class with these fields."""


@functools.partial(jax.jit, inline=True)
def _built(recipe: "Recipe") -> Schedule:
    """The parts of a recipe as a function of its numbers: one program, whether they are concrete or traced."""
    return recipe.built(unchecked)


class Recipe(Schedule):
    """A schedule that is built of others: the fields are the arguments of the recipe, and `built` is its body.

    Errors are raised when it is made. Numbers that were traced then, or changed in its leaves, are used as they are.
    A recipe without its `total_steps` has neither learning rates nor a length until `with_total_steps` gives it one.
    """

    @abc.abstractmethod
    def built(self, new: Build) -> Schedule:
        """The schedule of these arguments, whose parts `new` builds."""

    @property
    def needs_total_steps(self) -> bool:
        return getattr(self, "total_steps", 0) is None

    def check(self) -> None:
        self.sample()

    def sample(self) -> Schedule:
        """The parts, with their checks; without a total, over a long run."""
        with np.errstate(all="ignore"):  # a number that overflows is refused as infinite, by name
            return (self.changed(total_steps=LONG_RUN) if self.needs_total_steps else self).built(checked)

    def changed(self, **fields: object) -> "Recipe":
        """This recipe with other fields, stored as they are."""
        other = copy.copy(self)
        vars(other).update(fields)
        return other

    def rate(self, count: jax.Array) -> jax.Array:
        return self._whole().rate(count)

    @property
    def length(self) -> Int | None:
        return self._whole().length

    @property
    def landmarks(self) -> list[int]:
        return self._whole().landmarks

    def resized(self, length: Int) -> Schedule | None:
        if not hasattr(self, "total_steps"):
            return self._whole().resized(length)
        return dataclasses.replace(self, total_steps=length)  # type: ignore[call-arg]  # it has the field

    def _whole(self) -> Schedule:
        if self.needs_total_steps:
            raise missing_total(type(self).__name__)
        return _built(self)


def split_total(caller: str, total_steps: Int | None, **parts: Int | Ratio) -> list[Int]:
    """The steps that parts leave of a total, and the parts in steps, each less than those before it leave.

    If numbers are traced, at least one step is left.

    Raises: ValueError that names the part that does not fit.
    """
    total: Any = STEPS.convert(caller, "total_steps", total_steps) if is_concrete(total_steps) else total_steps
    left = total
    resolved = []
    for name, given in parts.items():
        steps = to_steps(given, total)
        xp = array_module(left, steps)
        if xp is np and np.any(np.asarray(steps) >= np.asarray(left)):
            remedy = "`total_steps` is the whole length, all parts included"
            if name == "warmup_steps" and steps.size == 1:
                remedy += f"; a run that ends in its warm-up is lrax.Warmup(lrax.Constant(peak), {steps})"
            fraction = isinstance(given, Ratio)
            needs = f"of the total ({left / total:.4g})" if fraction else f"of `total_steps` ({left})"
            raise argument_error(ValueError, caller, name, f"less than what is left {needs}", given, remedy)
        left = np.asarray(left) - np.asarray(steps) if xp is np else jnp.maximum(left - steps, 1)
        resolved.append(steps)
    return [left, *resolved]


def warm(
    new: Build,
    schedule: Schedule,
    warmup_steps: Int,
    start: Float | None = None,
    mode: str = "linear",
    power: Float | None = None,
) -> Schedule:
    """A warm-up that is over at count `warmup_steps`: from `start`, or, if that is None, from its first value above zero."""
    if start is not None:
        return new(Warmup, schedule, warmup_steps, start, mode, power)
    if is_concrete(warmup_steps):
        warmup_steps = DELAY.convert("Warmup", "warmup_steps", warmup_steps)
    return new(Shift, new(Warmup, schedule, warmup_steps + 1, ZERO, mode, power), 1)


def cooled(new: Build, schedule: Schedule, begin: Int, steps: Int, end: Float, stays: Float, mode: str) -> Schedule:
    """A cool-down from `begin` on to `end`; one of no steps leads to the learning rate that stays."""
    xp = array_module(begin, steps, end, stays)
    fall = xp.maximum(steps, 1)
    return new(Cooldown, schedule, begin + steps - fall, fall, xp.where(steps > 0, end, stays), mode)


def decayed(recipe: "warmup_cosine | warmup_linear", new: Build, phase: type[Cosine | Linear]) -> Schedule:
    """A warm-up and a phase from `peak` to `end`, which may be over before the run is."""
    parts = {} if recipe.end_steps is None else {"end_steps": recipe.end_steps}
    name = type(recipe).__name__
    steps, warmup, *rest = split_total(name, recipe.total_steps, warmup_steps=recipe.warmup_steps, **parts)
    fall: Schedule = new(phase, recipe.peak, recipe.end, steps)
    if rest:
        fall = new(Sequence, fall, new(Until, new(Constant, recipe.end), *rest))
    return warm(new, fall, warmup, recipe.start)


class MayEnd(Recipe):
    """A recipe that warms up and decays, without an end or with a final cool-down.

    It has the fields `warmup_steps`, `total_steps`, `cooldown_steps` and `end`, and may have `mode`.
    """

    @abc.abstractmethod
    def decay(self, new: Build, warmup_steps: Int) -> Schedule:
        """The schedule after the warm-up."""

    @property
    def needs_total_steps(self) -> bool:
        fields: Any = self
        return fields.total_steps is None and (fields.cooldown_steps is not None or isinstance(fields.warmup_steps, Ratio))

    def built(self, new: Build) -> Schedule:
        caller, fields = type(self).__name__, typing.cast(Any, self)
        warmup, total, cool = fields.warmup_steps, fields.total_steps, fields.cooldown_steps
        if total is None:
            return warm(new, self.decay(new, warmup), warmup)
        if cool is None:
            _, warmup = split_total(caller, total, warmup_steps=warmup)
            return new(Until, warm(new, self.decay(new, warmup), warmup), total)
        begin, warmup, cool = split_total(caller, total, warmup_steps=warmup, cooldown_steps=cool)
        fall = new(Cooldown, self.decay(new, warmup), begin, cool, fields.end, getattr(self, "mode", "linear"))
        return warm(new, fall, warmup)


@final
class warmup_cosine(Recipe):  # noqa: N801
    """Rises linearly to `peak`, then falls to `end` along half a cosine, and holds it.

    The learning rate of the first step is `start`, or `peak / (warmup_steps + 1)`: not 0.

    Args:
      peak: learning rate at count `warmup_steps`.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the total.
      total_steps: the whole length in steps, all parts included; None to set it later.
      end: learning rate from count `total_steps` on, or from `total_steps - end_steps` on.
      start: learning rate of the first step; None for `peak / (warmup_steps + 1)`.
      end_steps: how long `end` is held at the end of the run: in steps, or as a fraction of the total; None or 0 for none.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    >>> schedule = warmup_cosine(peak=0.5, warmup_steps=4, total_steps=20)
    >>> print(schedule(jnp.array([0, 2, 4, 20])))
    [0.1 0.3 0.5 0. ]
    >>> plan = warmup_cosine(peak=0.5, warmup_steps=0.2)
    >>> print(plan.with_total_steps(20)(4) == schedule(4))
    True
    """

    peak: Rate
    warmup_steps: DelayOrFraction
    total_steps: Total = default(None)
    end: Rate = default(0.0)
    start: MaybeRate = default(None)
    end_steps: MaybeDelayOrFraction = default(None)

    def built(self, new: Build) -> Schedule:
        return decayed(self, new, Cosine)


@final
class warmup_linear(Recipe):  # noqa: N801
    """Rises linearly to `peak`, then falls linearly to `end`, 0 by default, and holds it.

    The learning rate of the first step is `start`, or `peak / (warmup_steps + 1)`: not 0.

    Args:
      peak, warmup_steps, total_steps, end, start, end_steps: see `warmup_cosine`.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Bergsma et al. 2025, Straight to zero: why linearly decaying the learning rate to zero works best for LLMs.

    >>> print(warmup_linear(peak=0.5, warmup_steps=0.2, total_steps=20)(jnp.array([0, 4, 12, 20])))
    [0.1  0.5  0.25 0.  ]
    """

    peak: Rate
    warmup_steps: DelayOrFraction
    total_steps: Total = default(None)
    end: Rate = default(0.0)
    start: MaybeRate = default(None)
    end_steps: MaybeDelayOrFraction = default(None)

    def built(self, new: Build) -> Schedule:
        return decayed(self, new, Linear)


@final
class wsd(Recipe):  # noqa: N801
    """Warm-up, stable, decay: climbs to `peak`, stays there, and falls to `end`, which is held.

    The learning rate of the first step is `start`, or `peak / (warmup_steps + 1)`: not 0.

    Args:
      peak: learning rate from count `warmup_steps` to count `total_steps - cooldown_steps`.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the total.
      cooldown_steps: length of the fall, >= 0: in steps, or as a fraction of the total; 0 for none, then `peak` stays.
      total_steps: the whole length in steps, all parts included; None to set it later.
      end: learning rate from count `total_steps` on.
      mode: curve of the fall, such as `"linear"`, `"cosine"` or `"one_minus_sqrt"` (see `Cooldown`).
      start: learning rate of the first step; None for `peak / (warmup_steps + 1)`.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Hu et al. 2024, MiniCPM, section 4.

    >>> print(wsd(peak=0.5, warmup_steps=4, cooldown_steps=20, total_steps=100)(jnp.array([0, 4, 80, 90, 100])))
    [0.1  0.5  0.5  0.25 0.  ]
    >>> plan = wsd(peak=0.5, warmup_steps=0.04, cooldown_steps=0.2)  # for every length
    >>> print(plan.with_total_steps(100)(90), plan.with_total_steps(1000)(900))
    0.25 0.25
    """

    peak: Rate
    warmup_steps: DelayOrFraction
    cooldown_steps: DelayOrFraction
    total_steps: Total = default(None)
    end: Rate = default(0.0)
    mode: Mode = "linear"
    start: MaybeRate = default(None)

    def built(self, new: Build) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "cooldown_steps": self.cooldown_steps}
        left, warmup, cool = split_total("wsd", self.total_steps, **lengths)
        fall = cooled(new, new(Constant, self.peak), left, cool, self.end, self.peak, self.mode)
        return warm(new, fall, warmup, self.start)


@final
class flat_cosine(Recipe):  # noqa: N801
    """Stays at `peak`, then falls to `end` along half a cosine, and holds it.

    Args:
      peak: learning rate up to count `flat_steps`.
      flat_steps: how long `peak` is held, >= 0: in steps, or as a fraction of the total.
      total_steps: the whole length in steps, all parts included; None to set it later.
      end: learning rate from count `total_steps` on.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: fastai, `fit_flat_cos`.

    >>> print(f"{flat_cosine(peak=0.1, flat_steps=50, total_steps=100)(75):.2f}")
    0.05
    """

    peak: Rate
    flat_steps: DelayOrFraction
    total_steps: Total = default(None)
    end: Rate = default(0.0)

    def built(self, new: Build) -> Schedule:
        steps, flat = split_total("flat_cosine", self.total_steps, flat_steps=self.flat_steps)
        return new(Sequence, new(Until, new(Constant, self.peak), flat), new(Cosine, self.peak, self.end, steps))


@final
class warmup_inverse_sqrt(MayEnd):  # noqa: N801
    """Rises linearly to `peak`, falls as one over the square root, and may cool down linearly to `end`.

    The learning rate of the first step is `peak / (warmup_steps + 1)`, not 0.

    Args:
      peak: learning rate at count `warmup_steps`.
      warmup_steps: length of the warm-up, > 0 (or 0 if `timescale` is given): in steps, or as a fraction of the total.
      timescale: in steps: the learning rate is halved after three times as many; the length of the warm-up if None.
      total_steps: the whole length in steps; None for no end, or to set it later.
      cooldown_steps: length of the cool-down: in steps, or as a fraction of the total; None or 0 for none.
      end: learning rate from count `total_steps` on.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Zhai et al. 2022, Scaling vision transformers.

    >>> schedule = warmup_inverse_sqrt(peak=0.1, warmup_steps=100, total_steps=1000, cooldown_steps=600)
    >>> print(schedule(jnp.array([100, 400, 1000])))
    [0.1  0.05 0.  ]
    """

    peak: Rate
    warmup_steps: DelayOrFraction
    timescale: MaybePositive = default(None)
    total_steps: Total = default(None)
    cooldown_steps: MaybeDelayOrFraction = default(None)
    end: Rate = default(0.0)

    def decay(self, new: Build, warmup_steps: Int) -> Schedule:
        timescale = warmup_steps.astype(np.float32) if self.timescale is None else self.timescale
        return new(InverseSqrt, self.peak, timescale)


@final
class noam(Recipe):  # noqa: N801
    r"""The Transformer's schedule: rises linearly, then falls as one over the square root.

    $$\eta(t) = factor \cdot model\_size^{-1/2} \min\!\left((t + 1)^{-1/2},\; (t + 1)\, warmup\_steps^{-3/2}\right)$$

    Args:
      model_size: width of the model, > 0.
      warmup_steps: number of the step with the largest learning rate, counted from 1; an integer > 0.
      factor: multiplies the learning rate.

    Source: Vaswani et al. 2017, Attention is all you need, eq. 3.

    >>> print(f"{noam(model_size=512, warmup_steps=4000)(3999):.6f}")
    0.000699
    """

    model_size: Positive
    warmup_steps: Steps
    factor: Rate = default(1.0)

    def built(self, new: Build) -> Schedule:
        xp, steps = array_module(self.model_size, self.warmup_steps), self.warmup_steps.astype(np.float32)
        peak = self.factor / (xp.sqrt(self.model_size) * xp.sqrt(steps))
        return new(Shift, new(Warmup, new(InverseSqrt, peak, steps), self.warmup_steps), 1)


@final
class one_cycle(Recipe):  # noqa: N801
    """Three phases: from `low` up to `high`, back to `low`, and on to `end`, which is held.

    Args:
      low: learning rate at count 0 and at count `cycle_steps`.
      high: learning rate at the peak.
      cycle_steps: length of the first two phases together, in steps.
      cooldown_steps: length of the third phase in steps; None or 0 for none, then `low` is held.
      end: learning rate from count `cycle_steps + cooldown_steps` on.
      rise: fraction of `cycle_steps` spent climbing.
      mode: curve of all phases, such as `"linear"` or `"cosine"` (see `Cooldown`).

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

    def built(self, new: Build) -> Schedule:
        triangle = new(Triangle, self.low, self.high, self.cycle_steps, self.rise, self.mode)
        if self.cooldown_steps is None:
            if self.end is not None:
                remedy = "give its length in steps"
                raise argument_error(ValueError, "one_cycle", "cooldown_steps", "above 0 where `end` is given", 0, remedy)
            return triangle
        if self.end is None:
            needs, remedy = "a learning rate where `cooldown_steps` is given", "give the last one"
            raise argument_error(ValueError, "one_cycle", "end", needs, None, remedy)
        return new(Cooldown, triangle, self.cycle_steps, self.cooldown_steps, self.end, self.mode)


@final
class one_cycle_two_phase(Recipe):  # noqa: N801
    """Two phases: from `start` up to `peak`, and down to `end`, which is held.

    Args:
      start: learning rate at count 0.
      peak: learning rate at count `warmup_steps`.
      end: learning rate from count `total_steps` on.
      warmup_steps: length of the climb, >= 0: in steps, or as a fraction of the total.
      total_steps: the whole length in steps, all parts included; None to set it later.
      mode: curve of both phases, such as `"cosine"` or `"linear"` (see `Cooldown`).

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: fastai, `fit_one_cycle`; PyTorch, `OneCycleLR`.

    >>> schedule = one_cycle_two_phase(start=0.01, peak=0.25, end=1e-5, warmup_steps=30, total_steps=100)
    >>> print([f"{rate:.5f}" for rate in schedule(jnp.array([0, 15, 30, 100]))])
    ['0.01000', '0.13000', '0.25000', '0.00001']
    """

    start: Rate
    peak: Rate
    end: Rate
    warmup_steps: DelayOrFraction
    total_steps: Total = default(None)
    mode: Mode = "cosine"

    def built(self, new: Build) -> Schedule:
        steps, warmup = split_total("one_cycle_two_phase", self.total_steps, warmup_steps=self.warmup_steps)
        fall = new(Cooldown, new(Constant, self.peak), np.int32(0), steps, self.end, self.mode)
        return new(Warmup, fall, warmup, self.start, self.mode)


@final
class one_cycle_momentum(Recipe):  # noqa: N801
    """The momentum for a one-cycle learning rate: down from `high` to `low` while that climbs, and back, then held.

    With `one_cycle`, give it the same `cycle_steps`, `rise` and `mode`. With `one_cycle_two_phase`, give it
    `cycle_steps=total_steps`, `rise=warmup_steps / total_steps` and the same `mode`.

    Args:
      low: momentum at the peak learning rate.
      high: momentum at count 0 and from count `cycle_steps` on.
      cycle_steps: length of the climb and the fall together, in steps.
      rise: fraction of `cycle_steps` for which the learning rate climbs.
      mode: curve of both phases (see `Cooldown`).

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

    def built(self, new: Build) -> Schedule:
        return new(Triangle, self.high, self.low, self.cycle_steps, self.rise, self.mode)


@final
class cyclical(Recipe):  # noqa: N801
    """Triangles between `low` and `high`, repeated without an end.

    Both learning rates may change from cycle to cycle (`value_factor`), or the amplitude `high - low` above a fixed `low`: by a
    factor from cycle to cycle (`amplitude_factor`; 0.5 is "triangular2"), or by any schedule of the step count (`amplitude`;
    `Exponential(1.0, 0.9999)` is "exp_range", and `Stretch(function, cycle_steps)` is a function of the cycle's index).

    Args:
      low: learning rate at the start of each cycle.
      high: learning rate at the peak of the first cycle.
      cycle_steps: length of a cycle in steps: twice the "step size" of the paper.
      value_factor: what both learning rates are multiplied by from cycle to cycle; 1 if None.
      rise: fraction of a cycle spent climbing.
      mode: curve of the fall (see `Cooldown`); the climb is its mirror image.
      amplitude_factor: what the amplitude is multiplied by from cycle to cycle, or None.
      amplitude: a schedule or a callable that multiplies the amplitude, or None.

    Raises: ValueError if a number is out of range, or `value_factor` is given with `amplitude_factor` or `amplitude`.

    Source: Smith 2015, Cyclical learning rates for training neural networks.

    >>> print(cyclical(low=0.5, high=2.0, cycle_steps=500)(jnp.array([0, 250, 500, 750])))
    [0.5 2.  0.5 2. ]
    >>> print(cyclical(low=1.0, high=2.0, cycle_steps=500, amplitude_factor=0.5)(jnp.array([0, 250, 500, 750])))
    [1.  2.  1.  1.5]
    """

    low: Rate
    high: Rate
    cycle_steps: Steps
    value_factor: MaybePositive = default(None)
    rise: Fraction = default(0.5)
    mode: Mode = "linear"
    amplitude_factor: MaybePositive = default(None)
    amplitude: MaybeSchedule = default(None)

    def built(self, new: Build) -> Schedule:
        changes = self.amplitude_factor is not None or self.amplitude is not None
        if changes and self.value_factor is not None:
            needs = "left out where the amplitude changes"
            raise argument_error(ValueError, "cyclical", "value_factor", needs, self.value_factor)
        low, high = (ZERO, self.high - self.low) if changes else (self.low, self.high)
        factor = self.amplitude_factor if changes else self.value_factor
        triangle = new(Triangle, low, high, self.cycle_steps, self.rise, self.mode)
        cycles: Schedule = new(Cycle, triangle, SAME_LENGTH, ONE if factor is None else factor)
        if self.amplitude is not None:
            cycles = new(Product, cycles, self.amplitude)
        return new(Sum, new(Constant, self.low), cycles) if changes else cycles


@final
class sgdr(Recipe):  # noqa: N801
    """Cosine decay with warm restarts: repeated from `peak` to `end`, each cycle longer than the one before.

    Args:
      peak: learning rate at the top of the first cycle.
      end: learning rate that the first cycle falls to.
      cycle_steps: length of the first cycle in steps, its warm-up included.
      length_factor: what the length is multiplied by from cycle to cycle: the length of cycle k is the integer nearest to
        `cycle_steps * length_factor**k` (`Cycle` has another rule, too).
      value_factor: what both learning rates are multiplied by from cycle to cycle.
      warmup_steps: length of the warm-up at the start of each cycle, the same for all, which begins above 0: in steps,
        or as a fraction of `cycle_steps`; None or 0 for none.
      min_steps: the smallest length of a cycle, for a `length_factor` below 1; see `Cycle`.

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
    warmup_steps: MaybeDelayOrFraction = default(None)
    min_steps: Steps = default(1)

    def built(self, new: Build) -> Schedule:
        if is_concrete(self.min_steps) and is_concrete(self.cycle_steps) and np.any(self.min_steps > self.cycle_steps):
            raise argument_error(ValueError, "sgdr", "min_steps", f"at most `cycle_steps` ({self.cycle_steps})", self.min_steps)
        if self.warmup_steps is None:
            phase: Schedule = new(Cosine, self.peak, self.end, self.cycle_steps)
        else:
            steps, warmup = split_total("sgdr", self.cycle_steps, warmup_steps=self.warmup_steps)
            phase = warm(new, new(Cosine, self.peak, self.end, steps), warmup)
        return new(Cycle, phase, self.length_factor, self.value_factor, min_steps=self.min_steps)


@final
class wsd_s(Recipe):  # noqa: N801
    """Repeated warm-up, stable, decay: falls to `end` before each of `ends`, then returns to `peak`.

    One run gives finished models of several lengths, and trains nothing twice. The learning rate of the first step is
    `peak / (warmup_steps + 1)`, not 0.

    Args:
      peak: learning rate between the falls.
      ends: counts at which the models before the last one are finished, rising: in steps, or as fractions of the total; shape
        (n,). At an end the learning rate is `peak` again.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the total.
      cooldown_steps: length of each fall, > 0: in steps, or as a fraction of the total.
      total_steps: the whole length in steps, the last end; None to set it later.
      end: learning rate that each fall leads to, and from count `total_steps` on.
      mode: curve of the falls (see `Cooldown`).

    Raises: ValueError if the parts do not fit before the ends, or a number is out of range.

    Source: Wen et al. 2024, Understanding warmup-stable-decay learning rates: a river valley loss landscape perspective.

    >>> schedule = wsd_s(peak=0.5, ends=[0.4], warmup_steps=4, cooldown_steps=10, total_steps=100)
    >>> print(schedule(jnp.array([0, 30, 35, 40, 95, 100])))
    [0.1  0.5  0.25 0.5  0.25 0.  ]
    """

    peak: Rate
    ends: EndsOrFractions
    warmup_steps: DelayOrFraction
    cooldown_steps: StepsOrFraction
    total_steps: Total = default(None)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def sample(self) -> Schedule:
        ends = self.ends
        fractional = isinstance(ends, Ratio) and is_concrete(ends.denominator) and np.all(np.asarray(ends.denominator) > 1)
        mixed = any(isinstance(length, Ratio) for length in (ends, self.warmup_steps, self.cooldown_steps)) and not fractional
        # ends at counts next to fractions of the total fit some totals only: they are checked when there is one
        return Recipe.sample(self.changed(ends=np.zeros(0, np.int32)) if self.needs_total_steps and mixed else self)

    def built(self, new: Build) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "cooldown_steps": self.cooldown_steps}
        left, warmup, cool = split_total("wsd_s", self.total_steps, **lengths)
        total = left + warmup + cool
        xp = array_module(total, *(self.ends if isinstance(self.ends, Ratio) else (self.ends,)))
        total = xp.expand_dims(total, -1)
        ends = to_steps(self.ends, total)
        batch = np.broadcast_shapes(ends.shape[:-1], total.shape[:-1])
        ends = xp.concatenate([xp.broadcast_to(one, (*batch, one.shape[-1])) for one in (ends, total)], axis=-1)
        self._check_ends(ends, warmup, cool)
        return new(Dips, warm(new, new(Constant, self.peak), warmup), ends, cool, self.end, self.mode)

    def _check_ends(self, ends: Ints, warmup: Int, cool: Int) -> None:
        """Raises ValueError if an end is not before the total, or a fall begins before the peak is reached."""
        if array_module(ends, warmup, cool) is not np:
            return
        between = np.diff(ends, axis=-1, prepend=0)
        if np.any(between <= 0):
            given = decimal(self.ends).tolist() if isinstance(self.ends, Ratio) else self.ends
            raise argument_error(ValueError, "wsd_s", "ends", f"rising, and less than the total ({ends[..., -1]})", given)
        first, others = between[..., 0] - warmup, between[..., 1:].min(axis=-1, initial=LARGEST)
        if np.any(np.asarray(cool) > np.minimum(first, others)):
            distance: object = np.minimum(first, others)
            if np.all(ends[..., -1] == LONG_RUN):  # no total yet
                distance = Shown(f"{np.min(np.minimum(first, others)) / LONG_RUN:.4g} of the total")
            needs = f"at most the distance between ends ({distance}), the first of which begins after the warm-up"
            raise argument_error(ValueError, "wsd_s", "cooldown_steps", needs, self.cooldown_steps)


@final
class tri_stage(Recipe):  # noqa: N801
    """Three stages, as in speech recognition: a linear climb, a hold, and a decay by the same factor in every step.

    Args:
      peak: learning rate after the warm-up, above 0.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the total.
      hold_steps: how long the peak is held, >= 0: in steps, or as a fraction of the total.
      total_steps: the whole length in steps, all parts included; None to set it later.
      start_factor: the learning rate at count 0, as a multiple of the peak, > 0.
      end_factor: the learning rate from count `total_steps` on, as a multiple of the peak, > 0.

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Park et al. 2019, SpecAugment, section 3.1; fairseq, `tri_stage`.

    >>> schedule = tri_stage(peak=0.5, warmup_steps=0.1, hold_steps=0.4, total_steps=100)
    >>> print(schedule(jnp.array([0, 10, 50, 75, 100])))
    [0.005 0.5   0.5   0.05  0.005]
    """

    peak: Positive
    warmup_steps: DelayOrFraction
    hold_steps: DelayOrFraction
    total_steps: Total = default(None)
    start_factor: Positive = default(0.01)
    end_factor: Positive = default(0.01)

    def built(self, new: Build) -> Schedule:
        lengths = {"warmup_steps": self.warmup_steps, "hold_steps": self.hold_steps}
        steps, warmup, hold = split_total("tri_stage", self.total_steps, **lengths)
        fall = new(Cooldown, new(Constant, self.peak), hold, steps, self.peak * self.end_factor, "geometric")
        return new(Warmup, fall, warmup, self.peak * self.start_factor)


@final
class warmup_power(MayEnd):  # noqa: N801
    r"""A power of the number of tokens seen, at most `peak`: one setting for every length of a run.

    $$\eta(t) = \min\!\left(peak,\; batch\_size \cdot amplitude \cdot (t \cdot step\_tokens)^{exponent}\right)$$

    after a linear warm-up to it. With `cooldown_steps`, it decays to `end` at the end of the run.

    Args:
      peak: the largest learning rate.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the total.
      batch_size: examples in a batch, > 0.
      step_tokens: tokens of one count, > 0: those of a step, or the `unit` of the clock that reads this.
      amplitude: a number that is tuned on a small model and transfers, > 0.
      exponent: of the tokens, below 0 for a learning rate that falls.
      total_steps: the whole length in steps; None for no end, or to set it later.
      cooldown_steps: length of the cool-down: in steps, or as a fraction of the total; None or 0 for none.
      end: learning rate from count `total_steps` on.
      mode: curve of the cool-down (see `Cooldown`).

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Shen et al. 2024, Power scheduler: a batch size and token number agnostic learning rate scheduler; the defaults are
      the paper's, for models in the maximal update parametrization.

    >>> schedule = warmup_power(peak=0.02, warmup_steps=100, batch_size=128, step_tokens=128 * 4096)
    >>> print([f"{rate:.4f}" for rate in schedule(jnp.array([0, 100, 100_000]))])
    ['0.0002', '0.0200', '0.0020']
    """

    peak: Rate
    warmup_steps: DelayOrFraction
    batch_size: Positive
    step_tokens: Positive
    amplitude: Positive = default(4.6)
    exponent: Rate = default(-0.51)
    total_steps: Total = default(None)
    cooldown_steps: MaybeDelayOrFraction = default(None)
    end: Rate = default(0.0)
    mode: Mode = "linear"

    def decay(self, new: Build, warmup_steps: Int) -> Schedule:
        tokens = array_module(self.step_tokens, self.exponent).power(self.step_tokens, self.exponent)
        first = self.batch_size * self.amplitude * tokens
        return new(Minimum, new(Constant, self.peak), new(Shift, new(Power, first, self.exponent), warmup_steps - 1))


@final
class joined(Recipe):  # noqa: N801
    """One schedule after another, each from its own count 0, joined at the counts you give, whatever their own lengths.

    Args:
      schedules: a list of schedules, or callables `count -> learning rate`.
      boundaries: counts at which the next one begins, that rise strictly, one fewer: in steps, integers >= 0, or as fractions
        of the total; shape (n,).
      total_steps: the whole length in steps; None for the end of the last schedule, or to set it later.

    Raises: ValueError if `boundaries` is not one shorter than `schedules`, unsorted or negative; TypeError if a part is not a
      schedule.

    Source: optax, `join_schedules`; maxtext and axlearn do the same.

    >>> parts = [Constant(0.1), Constant(0.5), Linear(0.5, 0.0, 10)]
    >>> print(joined(parts, boundaries=[5, 20])(jnp.array([4, 5, 20, 25])))
    [0.1  0.5  0.5  0.25]
    >>> print(joined(parts, boundaries=[5, 0.5]).with_total_steps(40)(jnp.array([4, 5, 20, 25])))
    [0.1  0.5  0.5  0.25]
    """

    schedules: Schedules
    boundaries: CountsOrFractions
    total_steps: Total = default(None)

    @property
    def needs_total_steps(self) -> bool:
        return isinstance(self.boundaries, Ratio) and self.total_steps is None

    def check(self) -> None:
        Recipe.check(self)
        if not self.needs_total_steps:
            check_rising("joined", "boundaries", self.boundaries, counts_of(self.boundaries, self.total_steps))

    def built(self, new: Build) -> Schedule:
        if len(self.schedules) != jax.tree.leaves(self.boundaries)[0].shape[-1] + 1:
            needs = f"one shorter than `schedules` ({len(self.schedules)})"
            raise argument_error(ValueError, "joined", "boundaries", needs, self.boundaries)
        boundaries = counts_of(self.boundaries, self.total_steps)
        xp = array_module(boundaries)
        begins = xp.concatenate([xp.zeros((*boundaries.shape[:-1], 1), np.int32), boundaries], axis=-1)
        steps = xp.maximum(xp.diff(begins, axis=-1), 0)
        *others, last = self.schedules
        if self.total_steps is not None:
            left = self.total_steps - begins[..., -1]
            last = new(Until, last, array_module(left).maximum(left, 0))
        return new(Sequence, *(new(Until, one, steps[..., k]) for k, one in enumerate(others)), last)

    def resized(self, length: Int) -> Schedule | None:
        return dataclasses.replace(self, total_steps=length) if self.needs_total_steps or self.total_steps is not None else None


@final
class warmed(Recipe):  # noqa: N801
    """A schedule times a factor that first climbs to 1: a warm-up that does not delay the schedule.

    `Warmup` begins the schedule after the warm-up, so all its boundaries come later; here the schedule begins at once, and a
    boundary at 250 stays at 250, as in detectron2, mmdetection, ultralytics and darknet.

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      warmup_steps: length of the warm-up, >= 0: in steps, or as a fraction of the length of the schedule.
      start_factor: the factor at count 0; None for the first above zero, `1 / (warmup_steps + 1)`.
      mode: curve of the climb (see `Warmup`).
      power: exponent of the fraction climbed, > 0, or None (see `Warmup`).

    Raises: ValueError if `warmup_steps` is a fraction and the schedule has no length, or a number is out of range.

    Source: Goyal et al. 2017, section 2.2; detectron2, `WarmupMultiStepLR`.

    >>> schedule = warmed(MultiStep(0.5, factor=0.5, boundaries=[4, 6]), warmup_steps=5, start_factor=0.2)
    >>> print(schedule(jnp.array([0, 3, 5, 6])))
    [0.1   0.34  0.25  0.125]
    """

    schedule: ScheduleLike
    warmup_steps: DelayOrFraction
    start_factor: MaybeRate = default(None)
    mode: WarmupMode = "linear"
    power: MaybePositive = default(None)

    @property
    def needs_total_steps(self) -> bool:
        return self.schedule.needs_total_steps

    def sample(self) -> Schedule:
        unknown = self.needs_total_steps and isinstance(self.warmup_steps, Ratio)  # of a total that is not set
        return Recipe.sample(self.changed(warmup_steps=np.int32(1)) if unknown else self)

    def built(self, new: Build) -> Schedule:
        steps = self.warmup_steps
        if isinstance(steps, Ratio):
            if self.schedule.length is None:
                needs = "a number of steps, because the schedule has no length"
                raise argument_error(ValueError, "warmed", "warmup_steps", needs, decimal(steps).tolist())
            steps = to_steps(steps, self.schedule.length)
        factor = warm(new, new(Constant, ONE), steps, self.start_factor, self.mode, self.power)
        return new(Product, self.schedule, factor)

    @property
    def length(self) -> Int | None:
        return self.schedule.length

    @property
    def landmarks(self) -> list[int]:
        steps = to_steps(self.warmup_steps, length_of(self)) if isinstance(self.warmup_steps, Ratio) else self.warmup_steps
        return [int(steps), *self.schedule.landmarks]

    def resized(self, length: Int) -> Schedule | None:
        inner = self.schedule.resized(length)
        return None if inner is None else dataclasses.replace(self, schedule=inner)


@final
class faded(Recipe):  # noqa: N801
    """A schedule times a factor that goes from 1 to `end_factor` at the end: a multiplicative cool-down.

    `warmed` is the same at the start. `Cooldown` leaves the schedule and goes straight to an end; this one keeps following it.

    Args:
      schedule: a schedule or a callable `count -> learning rate`.
      cooldown_steps: length of the cool-down, >= 0: in steps, or as a fraction of the total; 0 for none.
      total_steps: the whole length in steps, the cool-down included; None to set it later.
      end_factor: the factor at count `total_steps`; that learning rate is held.
      mode: curve of the factor (see `Cooldown`).

    Raises: ValueError if the parts leave no step of the total, or a number is out of range.

    Source: Zhai et al. 2022, Scaling vision transformers; big_vision, `cooldown_steps`.

    >>> schedule = faded(InverseSqrt(1.0), cooldown_steps=9, total_steps=24)
    >>> print(schedule(jnp.array([0, 15, 24])))
    [1.   0.25 0.  ]
    """

    schedule: ScheduleLike
    cooldown_steps: DelayOrFraction
    total_steps: Total = default(None)
    end_factor: Rate = default(0.0)
    mode: Mode = "linear"

    def built(self, new: Build) -> Schedule:
        begin, cool = split_total("faded", self.total_steps, cooldown_steps=self.cooldown_steps)
        factor = cooled(new, new(Constant, ONE), begin, cool, self.end_factor, ONE, self.mode)
        until = new(Until, new(Product, self.schedule, factor), add_lengths(begin, cool))
        return new(Repeat, until, np.int32(1))  # holds its end

    @property
    def needs_total_steps(self) -> bool:
        return self.total_steps is None or self.schedule.needs_total_steps

    def resized(self, length: Int) -> Schedule | None:
        inner = self.schedule.resized(length) if self.schedule.needs_total_steps else self.schedule
        return None if inner is None else dataclasses.replace(self, schedule=inner, total_steps=length)


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
class factors(Recipe):  # noqa: N801
    r"""A product of named factors, given as text, as in the examples of T5 and Flax.

    `"constant"` is `value`; `"linear_warmup"` climbs from 0 to 1 at `warmup_steps`; `"rsqrt_decay"` is one over the square root
    of the count, or of `warmup_steps` where that is more, and `"rsqrt_normalized_decay"` the same times the square root of
    `warmup_steps`; `"rsqrt_hidden_size"` is one over the square root of `model_size`; `"decay_every"` multiplies by `factor`
    every `every` steps; `"cosine_decay"` falls from 1 to 0 along half a cosine in `cycle_steps`, again and again, after
    `warmup_steps`. As there, a warm-up begins at 0. `Shift(schedule, 1)` begins one step later.

    Args:
      text: names of factors with `*` between them.
      value: the constant, any finite number.
      warmup_steps: length of the warm-up in steps, an integer > 0.
      factor: what `"decay_every"` multiplies by, > 0.
      every: steps between its changes, an integer > 0.
      cycle_steps: length of a cycle of `"cosine_decay"` in steps, an integer > 0.
      model_size: width of the model, > 0.

    Raises: ValueError if a factor is unknown, or a number that it needs is missing or out of range.

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

    def built(self, new: Build) -> Schedule:
        if not isinstance(self.text, str):
            raise argument_error(TypeError, "factors", "text", "names of factors, as in 'constant * linear_warmup'", self.text)
        if self.text.count("*") >= MOST_FACTORS:
            raise argument_error(ValueError, "factors", "text", f"of at most {MOST_FACTORS} factors", self.text)
        names = [choice("factors", "text", name.strip(), tuple(NEEDS)) for name in self.text.split("*")]
        for name in names:
            for needed in NEEDS[name]:
                if getattr(self, needed) is None:
                    raise argument_error(ValueError, "factors", needed, f"given where {name!r} is a factor", None)
        return new(Product, *(self._factor(new, name) for name in names))

    def _factor(self, new: Build, name: str) -> Schedule:
        """The factor of a name, whose numbers are given."""
        numbers: Any = self
        if name == "constant":
            return new(Constant, numbers.value)
        if name == "linear_warmup":
            return new(Linear, ZERO, ONE, numbers.warmup_steps)
        if name == "rsqrt_hidden_size":
            return new(Constant, _rsqrt(numbers.model_size))
        if name == "decay_every":
            return new(StepDecay, ONE, numbers.factor, numbers.every)
        if name == "cosine_decay":
            decay: Schedule = new(Cycle, new(Cosine, ONE, ZERO, numbers.cycle_steps))
        else:
            first = _rsqrt(numbers.warmup_steps) if name == "rsqrt_decay" else ONE
            decay = new(InverseSqrt, first, numbers.warmup_steps.astype(np.float32))
        return new(Shift, decay, -numbers.warmup_steps)


def _rsqrt(number: Int) -> Float:
    """One over the square root of a number."""
    return 1 / array_module(number).sqrt(number.astype(np.float32))
