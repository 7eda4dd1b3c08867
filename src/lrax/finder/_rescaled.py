"""A schedule times a number, written as a schedule of its own class with other learning rates."""

import dataclasses
from typing import Any

import jax
import numpy as np

from lrax.fields._errors import is_concrete
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Product, Scale
from lrax.schedules._recipes import noam

RATES = ("peak", "start", "end", "low", "high", "value", "values", "floor")
"""Fields of the schedules of lrax that hold learning rates."""

INNER = ("schedule", "phase", "schedules")
"""Fields that hold schedules of learning rates."""

POINTS = 2**12
"""At how many steps, about, the two are compared."""


def rescaled(schedule: Schedule, factor: float, steps: int) -> Schedule:
    """`schedule` times a number: with its own learning rates multiplied where that is the same, else a `Scale` of it.

    For the classes of lrax, the names of the fields tell which to multiply. The result is then compared with the product at
    `POINTS` steps of the run and around the landmarks.

    >>> rescaled(lrax.warmup_cosine(1.0, warmup_steps=100, total_steps=1000), 0.02, 1000)
    warmup_cosine(peak=0.02, warmup_steps=100, total_steps=1000)
    >>> print(rescaled(lrax.Function(lambda count: 1.0), 0.02, 1000).factor)
    0.02
    """
    plain = Scale(schedule, factor)
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves(schedule)):
        return plain
    try:
        found = _times(schedule, float(plain.factor))
    except (TypeError, ValueError):  # a product that float32 does not hold, or a field that does not allow it
        return plain
    marks = np.array([mark for mark in schedule.landmarks if mark < steps][: POINTS // 4], np.int64)
    counts = np.concatenate([np.linspace(0, steps - 1, POINTS), *(marks + side for side in (-1, 0, 1))])
    counts = np.resize(np.clip(counts, 0, steps - 1), 2 * POINTS).astype(np.int32)  # one shape, so that lengths share a program
    one, other = (np.asarray(_rates_at(each, counts)) for each in (found, plain))
    return found if np.allclose(one, other, rtol=1e-5, atol=1e-7 * np.max(np.abs(other))) else plain


def _times(schedule: Schedule, factor: float) -> Schedule:
    """A schedule with its learning rates, as its fields name them, multiplied."""
    if not type(schedule).__module__.startswith("lrax."):  # of a custom schedule the names of its fields say nothing
        return Scale(schedule, factor)
    if isinstance(schedule, Scale):
        return _times(schedule.schedule, factor * float(schedule.factor))
    if isinstance(schedule, Product):  # one learning rate, and factors
        return Product(_times(schedule.schedules[0], factor), *schedule.schedules[1:])
    changed: dict[str, Any] = {}
    for name in schedule._rules:
        field = getattr(schedule, name)
        if field is None or name not in (*RATES, *INNER, *(["factor"] if isinstance(schedule, noam) else [])):
            continue
        if name not in INNER:
            changed[name] = (np.asarray(field, np.float64) * factor).astype(np.float32)
        elif isinstance(field, tuple):
            changed[name] = tuple(_times(part, factor) for part in field)
        else:
            changed[name] = _times(field, factor)
    return dataclasses.replace(schedule, **changed) if changed else Scale(schedule, factor)


@jax.jit
def _rates_at(schedule: Schedule, counts: Any) -> jax.Array:
    return schedule(counts)
