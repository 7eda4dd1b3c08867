"""How high a schedule goes for a rate that was found: between shapes by theory, between lengths by what was measured."""

from typing import Any

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

POWERS: dict[bool | None, float] = {True: 0.1, False: 0.4, None: 0.25}
"""Best rates fall with the length of a run to this power, by whether updates grow with gradients; None if that is not known.

Gradients fall as a run goes on, and with them the updates of SGD; those of Adam or Lion do not, and by theory it is 0.5 there.
"""


def suggested(peak: float, updates: int, ratio: float, power: float) -> float:
    """The suggestion, when runs of so many updates train best at `peak`, whose shape stands so much higher than a constant."""
    return peak * (updates / REFERENCE) ** power * MIDDLE / ratio


def raced(suggestion: float, updates: int, ratio: float, power: float) -> float:
    """The peak at which runs of so many updates should train best: what `suggested` undoes."""
    return suggestion / suggested(1.0, updates, ratio, power)


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


def scaled(suggestion: float, shape: Any, total_steps: Any, power: float) -> Schedule:
    """`shape` at the height at which it should train best, for a suggestion; see `Found.schedule`."""
    shape = ScheduleRule().convert("Found.schedule", "shape", shape)
    if total_steps is not None and isinstance(shape, Recipe) and shape.waits:
        shape = shape.over(total_steps)
    rates = rates_of("Found.schedule", "shape", shape, total_steps)
    constant = suggestion / MIDDLE * (REFERENCE / len(rates)) ** power
    height = constant * float(rate_ratio(np.ones(len(rates), np.float32), rates))
    return Scale(shape, height / float(rates.max()))
