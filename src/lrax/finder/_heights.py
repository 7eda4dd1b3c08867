"""How high a schedule goes for a rate that was found: between shapes by theory, between lengths by what was measured."""

from typing import Any, NamedTuple

import numpy as np

from lrax.fields._words import complain
from lrax.schedules._algebra import Scale
from lrax.schedules._base import Schedule, ScheduleRule
from lrax.schedules._recipe import Recipe
from lrax.theory._bound import rate_ratio
from lrax.theory._given import planned

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
    return float(rate_ratio(np.ones(REFERENCE, np.float32), shape_of(plan, REFERENCE)))


def rates_of(owner: str, name: str, shape: Any, total_steps: Any) -> np.ndarray[Any, Any]:
    """The rates of a whole run, float32 of shape (updates,), at least one above 0; an error of ours for what has none."""
    rates = np.asarray(planned(owner, name, shape, total_steps))
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
        remedy = "any height will do: its shape counts"
        raise complain(ValueError, owner, name, "a schedule with rates above 0, and none below", shape, remedy)
    return rates


def scaled(suggestion: float, shape: Any, total_steps: Any, powers: Powers) -> Schedule:
    """`shape` at the height at which it should train best, for a suggestion; see `Found.schedule`."""
    shape = ScheduleRule().convert("Found.schedule", "shape", shape)
    if total_steps is not None and isinstance(shape, Recipe) and shape.waits:
        shape = shape.over(total_steps)
    rates = rates_of("Found.schedule", "shape", shape, total_steps)
    ratio = float(rate_ratio(np.ones(len(rates), np.float32), rates))
    height = suggestion * (REFERENCE / len(rates)) ** powers.length * (ratio / MIDDLE) ** powers.ratio
    return Scale(shape, height / float(rates.max()))
