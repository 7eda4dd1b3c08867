"""What the functions of this room take: a schedule and a number of updates, or the rates themselves."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_known
from lrax.fields._rules import whole_number
from lrax.fields._words import complain
from lrax.schedules._base import Schedule, ScheduleRule


def planned(owner: str, name: str, given: Any, total_steps: Any) -> jax.Array:
    """The rates of a schedule's updates, or rates as they were given, float32 of shape (updates,).

    Raises: TypeError or ValueError if it is neither, or how many updates there are cannot be told or does not fit.
    """
    if callable(given):
        schedule = ScheduleRule().convert(owner, name, given)
        steps = whole_number(owner, "total_steps", _length(owner, schedule) if total_steps is None else total_steps)
        return _rates(schedule, steps)
    needs = "a schedule, a function count -> rate, or its rates: real numbers of shape (updates,)"
    rates = as_array(given)
    if rates.ndim != 1 or rates.dtype.kind not in "iuf":
        raise complain(TypeError, owner, name, needs, given, "use jax.vmap for many" if rates.ndim > 1 else "")
    if total_steps is not None and whole_number(owner, "total_steps", total_steps) != rates.size:
        raise complain(ValueError, owner, "total_steps", f"left out, or the number of rates ({rates.size})", total_steps)
    if not rates.size or (is_known(rates) and not np.all(np.isfinite(rates) & (np.asarray(rates) >= 0))):
        raise complain(ValueError, owner, name, "at least one rate, finite and none below 0", given)
    return jnp.asarray(rates, jnp.float32)


def _length(owner: str, schedule: Schedule) -> Any:
    length = schedule.length
    if length is None or not is_known(length) or np.ndim(length):
        remedy = "give it: the schedule does not say its length as one number that is known"
        raise complain(ValueError, owner, "total_steps", "a whole number of updates", None, remedy)
    return length


@functools.partial(jax.jit, static_argnums=1)
def _rates(schedule: Schedule, updates: int) -> jax.Array:
    """In one program; a batch of schedules is for `jax.vmap`, and fails here."""
    return jnp.broadcast_to(schedule(jnp.arange(updates, dtype=jnp.int32)), (updates,))
