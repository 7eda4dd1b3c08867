"""How high a schedule goes for a rate that was found: between shapes by theory, between lengths by what was measured."""

from typing import Any, NamedTuple

import numpy as np

from lrax.fields._errors import argument_error
from lrax.finder._rescaled import rescaled
from lrax.schedules._base import Schedule, ScheduleRule
from lrax.schedules._decays import Constant
from lrax.theory._bound import evenly, is_long, lr_ratio, planned, sampled, scheduled

REFERENCE = 500
"""The updates of the run that a suggestion is for, where no length is given."""

MIDDLE = 1.6
"""The suggestion over the best constant rate: in the middle, on a log scale, between that and the best peak of a cosine."""

COSINE = 2.65
"""The best peak of a warm-up-cosine over the best constant rate, by theory, at the reference length; a test holds it."""


class Powers(NamedTuple):
    """How best rates move.

    Attributes:
      length: they fall with the length of a run to this power.
      ratio: between shapes they rise with what theory says to this power.
    """

    length: float
    ratio: float


POWERS = {True: Powers(0.15, 0.5), False: Powers(0.4, 1.0), None: Powers(0.25, 1.0)}
"""By whether updates grow with gradients; None if that is not known.

Gradients fall as a run goes on, and with them the updates of SGD: its best rates hardly fall, and stand near an edge that no
peak goes above. Updates of Adam or Lion do not: by theory the powers are 0.5 and 1 there.
"""


def suggested(peak: float, updates: int, ratio: float, powers: Powers) -> float:
    """The suggestion, when runs of so many updates train best at `peak`, whose shape stands so much higher than a constant."""
    return peak * (updates / REFERENCE) ** powers.length * (MIDDLE / ratio) ** powers.ratio


def raced(suggestion: float, updates: int, ratio: float, powers: Powers) -> float:
    """The peak at which runs of so many updates should train best: what `suggested` undoes."""
    return suggestion / suggested(1.0, updates, ratio, powers)


def shape_of(plan: np.ndarray[Any, Any] | None, updates: int) -> np.ndarray[Any, Any]:
    """The rates of a run of so many updates with the shape of a plan's rates, the highest 1; without one a warm-up-cosine."""
    count = np.arange(updates)
    if plan is not None:
        shape = plan[((count + 0.5) * len(plan) / updates).astype(int)]
        return np.asarray(shape / shape.max(), np.float32)
    warmup = updates // 10
    falling = 0.5 + 0.5 * np.cos(np.pi * (count - warmup) / (updates - warmup))
    return np.where(count < warmup, (count + 1) / max(warmup, 1), falling).astype(np.float32)


def ratio_of(plan: np.ndarray[Any, Any] | None) -> float:
    """How much higher than a constant a plan of these rates stands at its best, at the reference length."""
    if plan is None:
        return COSINE
    return float(lr_ratio(np.ones(REFERENCE, np.float32), shape_of(plan, REFERENCE)))


def rates_of(caller: str, name: str, shape: Any, total_steps: Any) -> np.ndarray[Any, Any]:
    """The learning rates of a whole run, float32 of shape (steps,); of a long run `EVEN` of them at equal distances.

    Raises: ValueError for a schedule without a learning rate above 0, or with one below 0.
    """
    schedule, steps = scheduled(caller, name, shape, total_steps)
    return _checked(
        caller, name, shape, evenly(schedule, steps) if is_long(schedule, steps) else planned(caller, name, schedule, steps)
    )


def _checked(caller: str, name: str, shape: Any, rates: Any) -> np.ndarray[Any, Any]:
    rates = np.asarray(rates)
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
        remedy = "any peak will do: only its shape counts"
        raise argument_error(ValueError, caller, name, "a schedule with rates above 0, and none below", shape, remedy)
    return rates


def scaled(suggestion: float, shape: Any, total_steps: Any, powers: Powers) -> Schedule:
    """`shape` at the peak at which it should train best, for a suggestion; see `FinderResult.schedule`."""
    caller = "FinderResult.schedule"
    shape = ScheduleRule().convert(caller, "shape", shape)
    if total_steps is not None and shape.needs_total_steps:
        shape = shape.with_total_steps(total_steps)
    _, steps = scheduled(caller, "shape", shape, total_steps)
    seen = sampled(shape, steps).rates if is_long(shape, steps) else planned(caller, "shape", shape, steps)
    rates = _checked(caller, "shape", shape, seen)
    ratio = float(lr_ratio(Constant(1.0), shape, steps))
    peak = suggestion * (REFERENCE / steps) ** powers.length * (ratio / MIDDLE) ** powers.ratio
    return rescaled(shape, peak / float(rates.max()), steps)
