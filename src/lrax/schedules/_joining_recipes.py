"""Named compositions of schedules that are given: one after the other, times a warm-up or a cool-down, a product by names."""

import dataclasses
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._shares import CountsOrShares, DelayOrShare, Total, updates
from lrax.fields._types import MaybePositive, MaybeRate, MaybeSteps, Rate, default
from lrax.fields._value import decimal
from lrax.fields._words import argument_error, choice
from lrax.schedules._algebra import Product
from lrax.schedules._base import Schedule, ScheduleLike, Schedules
from lrax.schedules._combinators import Sequence, Until, WarmupMode
from lrax.schedules._counting import add_lengths
from lrax.schedules._cycles import Cycle, Repeat
from lrax.schedules._decays import Constant, InverseSqrt, StepDecay
from lrax.schedules._modes import Mode
from lrax.schedules._phases import Cosine, Linear
from lrax.schedules._recipe import Recipe, shared_out
from lrax.schedules._recipes import cooled, warm
from lrax.schedules._tables import check_rising, counts_of
from lrax.schedules._time import Shift


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
