"""A learner of which one group of parameters is trained at the rate that it is given, and the others are held."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.optimizers._groups import check_pattern, labels_of
from lrax.training._learner import Learner


class GroupState(NamedTuple):
    """The state of a learner, and which of its groups is trained."""

    inner: Any
    group: Any


@dataclasses.dataclass(frozen=True)
class GroupUpdate:
    """An update of one group; which one is a number of the state, so that all groups share a program.

    Attributes:
      update: the learner's.
      places: for each leaf of its state the number of the group that it belongs to, -1 for one that is in none of them, or None
        for what is no parameter's (counts, random keys, statistics) and is always updated.
      held: the rate of the other parameters; 0 to leave them, and what the optimizer keeps of them, as they are.
    """

    update: Callable[..., Any]
    places: tuple[int | None, ...]
    held: float

    def __call__(self, state: GroupState, batch: Any, rate: jax.Array) -> tuple[GroupState, jax.Array]:
        new, loss = self.update(state.inner, batch, rate)
        held = self.update(state.inner, batch, jnp.float32(self.held))[0] if self.held else state.inner
        leaves, structure = jax.tree.flatten(new)
        chosen = [
            moved if place is None else jnp.where(state.group == place, moved, still)
            for place, moved, still in zip(self.places, leaves, jax.tree.leaves(held), strict=True)
        ]
        return GroupState(jax.tree.unflatten(structure, chosen), state.group), loss


def in_group(caller: str, learner: Learner, groups: Sequence[str], number: int, held: float) -> Learner:
    """The learner with one of its groups trained.

    A leaf of the optimizer's state belongs to the parameter that its path ends with, as momenta do.

    Raises: ValueError for a pattern that is none, or names no parameter.
    """
    whole = learner.state
    params = getattr(whole, "params", None)
    params = whole if params is None else params
    patterns = dict.fromkeys(groups)
    for pattern in patterns:
        check_pattern(caller, pattern)
    named = labels_of(caller, params, patterns)
    numbers = {pattern: i for i, pattern in enumerate(groups)}
    of = {_keys(path): numbers.get(label, -1) for path, label in jax.tree.leaves_with_path(named)}

    def place(path: Any, leaf: Any) -> int | None:
        if not jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact):
            return None
        keys = _keys(path)
        ends = [keys[i:] for i in range(len(keys))]
        return next((of[end] for end in ends if end in of), None)

    places = tuple(place(path, leaf) for path, leaf in jax.tree.leaves_with_path(whole))
    return Learner(GroupState(whole, np.int32(number)), GroupUpdate(learner.update, places, held), learner.optimizer)


def _keys(path: Any) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)
