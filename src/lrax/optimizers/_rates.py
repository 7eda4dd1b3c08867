"""What is my rate: the last and the next rate of a run, read from its optimizer state."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._words import spelt
from lrax.optimizers._places import REST, Place, at_path, common, counts_in, outermost, places_of, plateau_scale
from lrax.schedules._base import ScheduleRule


@spelt
def last_rate(opt_state: Any, schedule: Any = None, path: str = "") -> jax.Array:
    """The rate of the last update of a run.

    A `reduce_on_plateau` in the state (ours or optax's) counts in: its scale multiplies the rate.

    Args:
      opt_state: a state of any optax optimizer; for gradient accumulation (`optax.MultiSteps`) optimizer updates count, not
        batches.
      schedule: the schedule of the run, or a callable `count -> rate`. Not needed if the state keeps the rate: states of
        `lrax.recorded`, of `lrax.by_path`, and of `optax.inject_hyperparams` with a `learning_rate`.
      path: where several rates are in the state, a piece of the place to look at: a label of `lrax.by_path` or of
        `optax.multi_transform`, such as `"head"`. If the state keeps the rate there, that is the answer, with `schedule` and
        without.

    Returns: float32, a scalar (or of the shape of the state's counts). Before the first update it is the first rate. Works
      under jit too: there, NaN where the state's places disagree.

    Raises: ValueError if there is no count (or no rate, without `schedule`) in the state, or if there are several that
      disagree, which the message lists; TypeError if `opt_state` is no state.

    >>> schedule = lrax.Linear(0.5, 0.0, steps=10)
    >>> tx = optax.adamw(schedule)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), jnp.zeros(2))
    >>> print(last_rate(state, schedule), next_rate(state, schedule))
    0.5 0.45
    """
    places = places_of("last_rate", opt_state)
    kept = outermost([place for place in at_path(places, path) if place.is_rate])
    if schedule is None or (path and kept):
        rate, agree = _agreed("last_rate", "rate", kept, places, path)
    else:
        count, agree = _agreed("last_rate", "count", counts_in(at_path(places, path)), places, path)
        rate = ScheduleRule().convert("last_rate", "schedule", schedule)(count - 1)
    return jnp.where(agree, rate.astype(jnp.float32) * plateau_scale("last_rate", places, path), jnp.nan)


@spelt
def next_rate(opt_state: Any, schedule: Any = None, path: str = "") -> jax.Array:
    """The rate of the next update of a run, before a plateau that it may find.

    Args:
      opt_state: see `last_rate`.
      schedule: the schedule of the run, or a callable `count -> rate`. Not needed for states of `lrax.recorded` and
        `lrax.by_path`, which keep the rate that their own schedule goes on with.
      path: see `last_rate`.

    Returns: float32, a scalar (or of the shape of the state's counts). Under jit, NaN where the state's counts differ.

    Raises: ValueError if there is no count (or no rate, without `schedule`) in the state, or there are several that differ,
      which the message lists; TypeError if `opt_state` is no state.

    >>> schedule = lrax.warmup_cosine(peak=0.5, total_steps=100, warmup_steps=4)
    >>> print(next_rate(optax.sgd(schedule).init(jnp.zeros(2)), schedule))
    0.1
    """
    places = places_of("next_rate", opt_state)
    kept = outermost([place for place in at_path(places, path) if place.is_next_rate])
    if schedule is None or (path and kept):
        rate, agree = _agreed("next_rate", "rate", kept, places, path)
    else:
        count, agree = _agreed("next_rate", "count", counts_in(at_path(places, path)), places, path)
        rate = ScheduleRule().convert("next_rate", "schedule", schedule)(count)
    return jnp.where(agree, rate * plateau_scale("next_rate", places, path), jnp.nan)


@spelt
def group_rates(opt_state: Any) -> dict[str, jax.Array]:
    """The rate of the last update for each group of parameters, to be logged.

    Args:
      opt_state: a state that keeps its rates: of `lrax.by_path`, of `optax.multi_transform` over `lrax.recorded` or
        `optax.inject_hyperparams`, or of one of these alone.

    Returns: by label, float32 as `last_rate` gives it; a state without groups has the one entry `"rest"`. Frozen groups have
      no rate. Works under jit too.

    Raises: ValueError if the state keeps no rate; TypeError if `opt_state` is no state.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> tx = lrax.by_path(optax.adamw, lrax.Constant(0.5), {"head": 0.1})
    >>> print({label: f"{rate:.2f}" for label, rate in group_rates(tx.init(params)).items()})
    {'head': '0.05', 'rest': '0.50'}
    """
    places = places_of("group_rates", opt_state)
    labels = sorted({place.group for place in places if place.is_rate and place.group is not None})
    if not labels:
        return {REST: last_rate(opt_state)}
    return {label: last_rate(opt_state, path=label) for label in labels}


@spelt
def count_of(opt_state: Any, path: str = "") -> jax.Array:
    """How many updates an optimizer state has seen: the count of the next one.

    Args:
      opt_state: see `last_rate`.
      path: see `last_rate`.

    Returns: int32, a scalar (or of the shape of the state's counts). Under jit, -1 where the state's counts differ.

    Raises: ValueError if there is no count in the state, or there are several that differ, which the message lists; TypeError
      if `opt_state` is no state.

    >>> tx = optax.adam(0.1)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))
    >>> print(count_of(state))
    1
    """
    places = places_of("count_of", opt_state)
    count, agree = _agreed("count_of", "count", counts_in(at_path(places, path)), places, path)
    return jnp.where(agree, count, -1)


def _agreed(owner: str, what: str, found: Sequence[Place], places: Sequence[Place], path: str) -> tuple[jax.Array, Any]:
    """The one value of the places that were found, and whether they have one (known at run time only under jit)."""
    if not found:
        remedy = "wrap the optimizer in lrax.recorded, or give the schedule" if what == "rate" else "use lrax.recorded"
        where = ""
        if path:
            where = f" at a place with {path!r} in it"
            others = [place for place in places if place.is_rate] if what == "rate" else counts_in(places)
            names = list(dict.fromkeys(place.path if place.group is None else repr(place.group) for place in others))
            remedy = f"there is one at {', '.join(names[:8])}" if names else remedy
        raise ValueError(f"{owner}: `opt_state` must hold a {what}{where}, got none; {remedy}")
    value, agree = common(found)
    if agree is False:
        shown = ", ".join(f"{place.path} = {np.asarray(place.value)}" for place in found)
        raise ValueError(f"{owner}: `path` must choose one where a state holds several, got {path!r} for {shown}")
    return value, agree
