"""Schedules in `flax.serialization`: `to_bytes`, `from_bytes` and the state dicts. Imported by `lrax.flax` alone.

Flax looks a handler up by the exact class, so every kind is registered, and each that is made later as it is made. Nothing is
registered, and Flax is not imported, before `import lrax.flax`.
"""

from collections.abc import Mapping
from typing import Any

import jax
from flax import serialization

from lrax.fields._value import NEW_KIND
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule


def state_of(schedule: Schedule) -> dict[str, Any]:
    """The numbers of a schedule, each under its place in it; words and flags are left to the target.

    >>> state_of(lrax.Scale(lrax.Constant(0.5), 2)).keys()
    dict_keys(['schedule.value', 'factor'])
    """
    return {jax.tree_util.keystr(path)[1:]: leaf for path, leaf in jax.tree.leaves_with_path(schedule)}


def restored(schedule: Schedule, state: Mapping[str, Any]) -> Schedule:
    """`schedule` with the numbers of `state`; raises ValueError if they are of another kind of schedule."""
    names = list(state_of(schedule))
    if set(names) != set(state):
        needs = f"that of a schedule like {schedule!r}, with the entries {names}"
        raise argument_error(
            ValueError, "from_state_dict", "state", needs, list(state), "give a target of the kind that was saved"
        )
    again: Schedule = jax.tree.unflatten(jax.tree.structure(schedule), [state[name] for name in names])
    return again


def register(kind: type) -> None:
    """Tells Flax how to save the schedules of a kind."""
    if issubclass(kind, Schedule):
        registry: Any = serialization  # flax leaves it untyped
        registry.register_serialization_state(kind, state_of, restored, override=True)
        for below in kind.__subclasses__():
            register(below)


register(Schedule)
NEW_KIND.append(register)
