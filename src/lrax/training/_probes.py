"""Questions to a learner's step: is it scale invariant, and what does it do to one group of parameters alone."""

import dataclasses
import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._rules import PyTree
from lrax.optimizers._groups import check_pattern, labels_of
from lrax.optimizers._recorded import RatedOptimizer
from lrax.training._core import StepFn
from lrax.training._learner import Learner, LossStep
from lrax.training._programs import call

SIZE = 0.1
"""The norm of the gradients that are tried: below those that are clipped, above what keeps a division from failing."""


class GroupState(NamedTuple):
    """The state of a learner, and which of its groups is trained."""

    inner: PyTree
    group: PyTree


@dataclasses.dataclass(frozen=True)
class GroupStep:
    """A step of one group; which one is a number of the state, so that all groups share a program.

    Attributes:
      step: the learner's.
      places: for each leaf of its state the number of the group that it belongs to, -1 for one that is in none of them, or None
        for what does not belong to a parameter (counts, random keys, statistics) and is always updated.
      frozen_lr: the learning rate of the other parameters; 0 to leave them, and their optimizer state, as they are.
    """

    step: StepFn
    places: tuple[int | None, ...]
    frozen_lr: float

    def __call__(self, state: GroupState, batch: PyTree, lr: jax.Array) -> tuple[GroupState, jax.Array]:
        new, loss = self.step(state.inner, batch, lr)
        frozen = self.step(state.inner, batch, jnp.float32(self.frozen_lr))[0] if self.frozen_lr else state.inner
        leaves, structure = jax.tree.flatten(new)
        chosen = [
            moved if place is None else jnp.where(state.group == place, moved, still)
            for place, moved, still in zip(self.places, leaves, jax.tree.leaves(frozen), strict=True)
        ]
        return GroupState(jax.tree.unflatten(structure, chosen), state.group), loss


def in_group(caller: str, learner: Learner, groups: Sequence[str], number: int, frozen_lr: float) -> Learner:
    """The learner with one of its groups trained.

    A leaf of the optimizer's state belongs to the parameter that its path ends with, as momentum does.

    Raises: ValueError for a pattern that is not one, or names no parameter.
    """
    state = learner.state
    params = state if getattr(state, "params", None) is None else state.params
    patterns = dict.fromkeys(groups)
    for pattern in patterns:
        check_pattern(caller, pattern)
    numbers = {pattern: i for i, pattern in enumerate(groups)}
    labels = jax.tree.leaves_with_path(labels_of(caller, params, patterns))
    of = {_keys(path): numbers.get(label, -1) for path, label in labels}

    def place(path: PyTree, leaf: PyTree) -> int | None:
        if not jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact):
            return None
        keys = _keys(path)
        return next((of[keys[i:]] for i in range(len(keys)) if keys[i:] in of), None)

    places = tuple(place(path, leaf) for path, leaf in jax.tree.leaves_with_path(state))
    return Learner(GroupState(state, np.int32(number)), GroupStep(learner.step, places, frozen_lr), learner.optimizer)


def _keys(path: PyTree) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def scale_invariant(learner: Learner) -> bool | None:
    """Whether the step stays the same when the gradients are multiplied by two, as with Adam or Lion, and not with SGD.

    Tried on one small matrix, and if the optimizer refuses that, or leaves it, on small arrays in the place of the parameters.

    Returns: None if that is unknown: for a learner without an optimizer, or an optimizer that needs the loss.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learners = [lrax.Learner.create(loss_fn, jnp.zeros(3), optimizer) for optimizer in (optax.sgd, optax.adam, optax.lbfgs)]
    >>> [scale_invariant(learner) for learner in learners]
    [False, True, None]
    """
    step, state = learner.step, learner.state
    while isinstance(step, GroupStep):
        step, state = step.step, state.inner
    factory = learner.optimizer
    for tried in (np.ones((2, 2), np.float32), *_params(state)):
        try:
            # arrays of ones with the structure of the parameters, each axis at most 2 long
            params = jax.tree.map(
                lambda leaf: np.ones([min(size, 2) for size in np.shape(leaf)], jax.dtypes.result_type(leaf)), tried
            )
            if isinstance(step, LossStep):
                rated = step.optimizer
            elif factory is not None:
                rated = RatedOptimizer.matching("Learner", factory, params, None, "learning_rate")
            else:
                return None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                once, twice = map(float, call(functools.partial(_lengths, rated), params))
        except Exception:  # whatever a user's factory raises: then it is unknown
            continue
        if np.isfinite(once) and once > 0:
            return twice <= 1.5 * once
    return None


def _params(state: PyTree) -> list[PyTree]:
    """What may be the parameters in a learner's state: those that it calls so, or else each of its parts."""
    if getattr(state, "params", None) is not None:
        return [state.params]
    return list(state.values() if isinstance(state, Mapping) else state) if isinstance(state, Mapping | tuple | list) else []


def _lengths(optimizer: RatedOptimizer, params: PyTree) -> list[jax.Array]:
    """How far a first step goes, for gradients and for twice those."""
    leaves, structure = jax.tree.flatten(params)
    number = max(sum(leaf.size for leaf in leaves), 1)
    shapes = [jnp.cos(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape) for leaf in leaves]
    lengths = []
    for size in (SIZE, 2 * SIZE):
        grads = [(shape * (size / number**0.5)).astype(leaf.dtype) for shape, leaf in zip(shapes, leaves, strict=True)]
        after, _ = optimizer.apply(
            jax.tree.unflatten(structure, grads), optimizer.init(params), params, jnp.float32(1), {"value": jnp.float32(1)}
        )
        moved = [jnp.sum((new - old).astype(jnp.float32) ** 2) for new, old in zip(jax.tree.leaves(after), leaves, strict=True)]
        lengths.append(jnp.sqrt(jnp.sum(jnp.stack(moved))))
    return lengths
