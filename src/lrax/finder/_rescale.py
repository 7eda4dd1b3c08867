"""Between plans: the peak of another schedule by theory, and a schedule written with other learning rates."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, is_concrete
from lrax.finder._policy import POWERS
from lrax.schedules._base import RateFunction, Schedule, ScheduleRule
from lrax.schedules._check import SURE, warn_of
from lrax.schedules._combinators import Product, Scale
from lrax.schedules._phases import Cosine
from lrax.schedules._recipes import noam
from lrax.theory._bound import evenly, is_long, lr_ratio, lrs_at, rates_of, sampled, scheduled

FIELDS = ("peak", "start", "end", "low", "high", "value", "values", "floor")
"""Fields of the schedules of lrax that hold learning rates."""

INNER = ("schedule", "phase", "schedules")
"""Fields that hold schedules of learning rates."""

POINTS = 2**12
"""At about this many steps a rescaled schedule is compared with the product."""


RATIO_POWERS = {False: 0.5, True: 1.0, None: 1.0}
"""Between shapes, best peaks move by the ratio of the theory to this power, by whether the optimizer is scale-invariant.

The best peaks of SGD, whose gradients and steps get smaller as a run goes on, are near an edge that no peak goes above.
"""


class Plan(NamedTuple):
    """The schedule that will be trained.

    Attributes:
      schedule: of any peak: only its shape counts.
      steps: its length.
      highest: its peak.
      rates: its learning rates at all steps, or at many equal distances, float32 of shape (n,).
    """

    schedule: Schedule
    steps: int
    highest: float
    rates: npt.NDArray[np.float32]

    def warn_of_mistakes(self, caller: str, stacklevel: int) -> None:
        """Warns of what is surely not meant."""
        counts = ((np.arange(len(self.rates)) + 0.5) * self.steps / len(self.rates)).astype(int)
        warn_of(caller, self.schedule, self.steps, counts, self.rates.astype(np.float64), SURE, stacklevel + 1)

    def squeezed(self, steps: int) -> npt.NDArray[np.float32]:
        """The learning rates of a run of this many steps with the shape of the plan, the highest of them 1."""
        shape = self.rates[((np.arange(steps) + 0.5) * len(self.rates) / steps).astype(int)]
        return np.asarray(shape / (shape.max() or 1.0), np.float32)  # 0 where all the plan does is over in its first steps

    def at(self, peak: float) -> Schedule:
        """The plan at a peak."""
        return rescaled(self.schedule, peak / self.highest, self.steps)

    def peak_from(self, other: "Plan", peak: float, scale_invariant: bool | None) -> float:
        """The peak of this plan where `peak` is that of the other."""
        ratio = round(self._above_cosine() / other._above_cosine(), 6)  # 1 for one shape at two peaks, whose roundings differ
        length = (other.steps / self.steps) ** POWERS[scale_invariant]
        return float(peak * length * ratio ** RATIO_POWERS[scale_invariant])

    def _above_cosine(self) -> float:
        """By how much the best peak is above that of a cosine of the same length, by theory."""
        return float(lr_ratio(Cosine(1.0, 0.0, self.steps), self.schedule, self.steps))


def plan_of(caller: str, name: str, schedule: RateFunction, total_steps: int | None, otherwise: int | None = None) -> Plan:
    """A schedule or callable as a plan of `total_steps`; without these, of its own length, or else of `otherwise`.

    Raises: TypeError or ValueError if it is neither, has no length, a learning rate below 0, or none above 0.
    """
    plan = ScheduleRule().convert(caller, name, schedule)
    if total_steps is None and otherwise is not None and (plan.needs_total_steps or plan.length is None):
        total_steps = otherwise
    if total_steps is not None and plan.needs_total_steps:
        plan = plan.with_total_steps(total_steps)
    plan, steps = scheduled(caller, name, plan, total_steps)
    if is_long(plan, steps):
        rates, highest = evenly(plan, steps), float(sampled(plan, steps).rates.max())
    else:
        rates = np.asarray(rates_of(plan, steps))
        highest = float(rates.max())
    if not np.isfinite(rates).all() or rates.min() < 0 or highest <= 0:
        needs, remedy = "a schedule with learning rates above 0, and none below", "any peak will do: only its shape counts"
        raise argument_error(ValueError, caller, name, needs, schedule, remedy)
    return Plan(plan, steps, highest, rates)


def rescaled(schedule: Schedule, factor: float, steps: int) -> Schedule:
    """`schedule` times a number: with its own learning rates multiplied where that is the same, else a `Scale` of it.

    For the classes of lrax, the names of the fields tell which to multiply. The result is then compared with the product at
    `POINTS` steps of the run and around the landmarks.

    >>> print(rescaled(lrax.Cosine(1.0, 0.0, 1000), 0.02, 1000))
    Cosine(start=0.02, end=0.0, steps=1000)
    >>> print(rescaled(lrax.Function(lambda count: 1.0), 0.02, 1000).factor)
    0.02
    """
    plain = Scale(schedule, factor)
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves(schedule)):
        return plain
    try:
        found = _times(schedule, factor)
    except (TypeError, ValueError):  # a product that float32 does not hold, or a field that does not allow it
        return plain
    marks = np.array([mark for mark in schedule.landmarks if mark < steps][: POINTS // 4], np.int64)
    counts = np.concatenate([np.linspace(0, steps - 1, POINTS), *(marks + side for side in (-1, 0, 1))])
    counts = np.resize(np.clip(counts, 0, steps - 1), 2 * POINTS).astype(np.int32)  # one shape, so that lengths share a program
    one, other = (np.asarray(lrs_at(each, counts)) for each in (found, plain))
    return found if np.allclose(one, other, rtol=1e-5, atol=1e-7 * np.max(np.abs(other))) else plain


def _times(schedule: Schedule, factor: float) -> Schedule:
    """A schedule with its learning rates, as its fields name them, multiplied."""
    if not type(schedule).__module__.startswith("lrax."):  # of a custom schedule the names of its fields say nothing
        return Scale(schedule, factor)
    if isinstance(schedule, Scale):
        return _times(schedule.schedule, factor * float(schedule.factor))
    if isinstance(schedule, Product):  # one learning rate, and factors
        return Product(_times(schedule.schedules[0], factor), *schedule.schedules[1:])
    changed: dict[str, object] = {}
    for name in schedule._rules:
        field = getattr(schedule, name)
        if field is None or name not in (*FIELDS, *INNER, *(["factor"] if isinstance(schedule, noam) else [])):
            continue
        if name not in INNER:
            changed[name] = (np.asarray(field, np.float64) * factor).astype(np.float32)
        elif isinstance(field, tuple):
            changed[name] = tuple(_times(part, factor) for part in field)
        else:
            changed[name] = _times(field, factor)
    return dataclasses.replace(schedule, **changed) if changed else Scale(schedule, factor)
