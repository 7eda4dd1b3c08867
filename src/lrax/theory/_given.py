"""What the functions of this room take: a schedule and a number of updates, or the rates themselves."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_concrete
from lrax.fields._rules import LARGEST, whole_number
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule, ScheduleRule

LONG = 2**20
"""The learning rates of a longer schedule are sampled: all of them would take seconds and gigabytes."""

EVEN = 2**16
"""How many samples of a long schedule are taken at equal distances, where only its shape over the whole length counts."""

CELLS, MARKS, EACH = 2**15, 32, 4
"""How many cells a long schedule is divided into, about; around how many of its landmarks they are small; samples in each."""


class Sampled(NamedTuple):
    """A long schedule in cells of neighbouring steps.

    Attributes:
      widths: steps of each cell, float64 of shape (cells,).
      rates: learning rates at some steps of each cell, float32 of shape (cells, `EACH`).
    """

    widths: np.ndarray[Any, Any]
    rates: np.ndarray[Any, Any]


def sampled(schedule: Schedule, steps: int) -> Sampled:
    """The learning rates of a schedule whose numbers are concrete, in `CELLS` cells or a few more.

    Cells are single steps at both ends and at landmarks (where the formula changes), and grow with the distance from these, so
    that a short warm-up, a narrow peak and a last descent are resolved. The steps inside a cell are drawn, with a fixed seed:
    samples at equal distances would see cycles as something else. A peak of a few steps away from all landmarks may be missed.
    """
    with jax.ensure_compile_time_eval():
        marks = np.unique([mark for mark in schedule.landmarks if 0 < mark < steps])
        marks = marks[np.linspace(0, len(marks) - 1, min(len(marks), MARKS)).astype(int)]
        each = CELLS // 4 // (len(marks) + 2)
        away = np.append(0, np.geomspace(1, steps, each).astype(np.int64))
        near = [mark + side * away for mark in (0, *marks, steps) for side in (-1, 1)]
        edges = np.concatenate([*near, np.linspace(0, steps, CELLS // 2).astype(np.int64)])
        edges = np.unique(edges[(edges >= 0) & (edges <= steps)])
        widths = np.diff(edges).astype(np.float64)
        inside = (np.arange(EACH) + np.random.default_rng(0).random((len(widths), EACH))) / EACH
        counts = np.minimum(edges[:-1, None] + (inside * widths[:, None]).astype(np.int64), steps - 1)
        padded = np.pad(counts.ravel(), (0, -counts.size % (CELLS * EACH)), mode="edge")  # so that all lengths share a program
        rates = np.asarray(_rates_at(schedule, padded.astype(np.int32)))
    return Sampled(widths, rates[: counts.size].reshape(counts.shape))


def evenly(schedule: Schedule, steps: int) -> np.ndarray[Any, Any]:
    """The learning rates of a long schedule at `EVEN` steps at equal distances, float32 of shape (EVEN,)."""
    with jax.ensure_compile_time_eval():
        return np.asarray(_rates_at(schedule, ((np.arange(EVEN) + 0.5) * (steps / EVEN)).astype(np.int32)))


@jax.jit
def _rates_at(schedule: Schedule, counts: jax.Array) -> jax.Array:
    return jnp.broadcast_to(schedule(counts), counts.shape)


def scheduled(caller: str, name: str, given: Any, total_steps: Any) -> tuple[Schedule, int]:
    """A schedule or a callable as a schedule, and its number of steps.

    Raises: TypeError or ValueError if it is neither, or its number of steps is not known or does not fit.
    """
    schedule = ScheduleRule().convert(caller, name, given)
    steps = whole_number(caller, "total_steps", _length(caller, schedule) if total_steps is None else total_steps)
    if steps > LARGEST:
        raise argument_error(ValueError, caller, "total_steps", f"at most {LARGEST}, the largest count", steps)
    return schedule, steps


def is_long(schedule: Schedule, steps: int) -> bool:
    """Whether a schedule is to be sampled: it is long, and its numbers are concrete."""
    return steps > LONG and all(is_concrete(leaf) for leaf in jax.tree.leaves(schedule))


def planned(caller: str, name: str, given: Any, total_steps: Any) -> jax.Array:
    """The rates of a schedule's updates, or rates as they were given, float32 of shape (updates,).

    Raises: TypeError or ValueError if it is neither, or how many updates there are cannot be told or does not fit.
    """
    if callable(given):
        return _rates(*scheduled(caller, name, given, total_steps))
    needs = "a schedule, a function count -> rate, or its rates: real numbers of shape (updates,)"
    rates = as_array(given)
    if rates.ndim != 1 or rates.dtype.kind not in "iuf":
        raise argument_error(TypeError, caller, name, needs, given, "use jax.vmap for many" if rates.ndim > 1 else "")
    if total_steps is not None and whole_number(caller, "total_steps", total_steps) != rates.size:
        raise argument_error(ValueError, caller, "total_steps", f"left out, or the number of rates ({rates.size})", total_steps)
    if not rates.size or (is_concrete(rates) and not np.all(np.isfinite(rates) & (np.asarray(rates) >= 0))):
        raise argument_error(ValueError, caller, name, "at least one rate, finite and none below 0", given)
    return jnp.asarray(rates, jnp.float32)


def _length(caller: str, schedule: Schedule) -> Any:
    length = schedule.length
    if length is None or not is_concrete(length) or np.ndim(length):
        remedy = "give it: the schedule does not say its length as one number that is known"
        raise argument_error(ValueError, caller, "total_steps", "a whole number of updates", None, remedy)
    return length


@functools.partial(jax.jit, static_argnums=1)
def _rates(schedule: Schedule, updates: int) -> jax.Array:
    """In one program; a batch of schedules is for `jax.vmap`, and fails here."""
    return jnp.broadcast_to(schedule(jnp.arange(updates, dtype=jnp.int32)), (updates,))
