"""Many schedules trained side by side in one compiled program."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lrax._check import complain
from lrax._schedule import Schedule


def stack(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule whose fields have a leading axis, from several of one kind.

    >>> stack([lrax.Constant(0.1), lrax.Constant(0.2)])
    Constant(value=[0.1, 0.2])
    """
    structures = {str(jax.tree.structure(schedule)) for schedule in schedules}
    if len(structures) != 1:
        raise ValueError(f"sweep: `schedules` must be of one kind, got {', '.join(sorted(structures))}")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *schedules)


def sweep(train: Callable[[Any], Any], schedules: Schedule | Sequence[Schedule]) -> Any:
    """Trains with many schedules side by side: one compiled program, one compilation.

    Args:
      train: a pure function that trains with one schedule and returns metrics, a pytree of arrays.
      schedules: one schedule whose fields are arrays with a leading axis, or a list of schedules of one kind.

    Returns: the metrics, each with the lane axis in front.

    Raises: TypeError if `schedules` holds something else than schedules; ValueError if there is none, their kinds differ, or
      their fields have no common leading axis.

    >>> def train(schedule):
    ...     def update(weight, count):
    ...         return weight - schedule(count) * 2 * weight, weight**2
    ...     return jax.lax.scan(update, 1.0, jnp.arange(10))[1][-1]
    >>> schedules = jax.vmap(lambda rate: lrax.Constant(rate))(jnp.array([0.0, 0.1, 0.5]))
    >>> print(sweep(train, schedules))
    [1.         0.01801439 0.        ]
    """
    if isinstance(schedules, list | tuple):
        if not schedules:
            raise complain(ValueError, "sweep", "schedules", "at least one schedule", schedules)
        for i, schedule in enumerate(schedules):
            if not isinstance(schedule, Schedule):
                raise complain(TypeError, "sweep", f"schedules[{i}]", "a schedule", schedule)
        schedules = stack(schedules)
    if not isinstance(schedules, Schedule):
        raise complain(TypeError, "sweep", "schedules", "a schedule with batched fields, or a list of schedules", schedules)
    lanes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(schedules)}
    if len(lanes) != 1 or () in lanes:
        remedy = "make a batch with jax.vmap over the numbers that differ, or give a list"
        raise complain(ValueError, "sweep", "schedules", "a batch whose fields have one leading axis", schedules, remedy)
    return jax.jit(jax.vmap(train))(schedules)
