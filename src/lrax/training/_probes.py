"""Questions to a learner's step: is it scale invariant, and how does it train groups of parameters at different rates."""

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
    """The state of a learner, and what the learning rate of each of its groups of parameters is multiplied with.

    Attributes:
      inner: the learner's state.
      factors: float32 of shape (1 + groups,); the first is of all that is in no group.
    """

    inner: PyTree
    factors: PyTree


@dataclasses.dataclass(frozen=True)
class GroupStep:
    """A step that trains each group at its multiple of the learning rate; the multiples are in the state, so that runs of
    different ones share a program.

    The learner's step is mapped over the learning rates, and each leaf is taken from the one of its group. What does not depend
    on the learning rate, such as the gradients, is not mapped and computed once. So it is exact for any optimizer, also where a
    step is not proportional to the learning rate.

    Attributes:
      step: the learner's.
      places: for each leaf of its state the place in `factors`; 0 for what does not belong to a parameter (counts, random keys,
        statistics).
    """

    step: StepFn
    places: tuple[int, ...]

    def __call__(self, state: GroupState, batch: PyTree, lr: jax.Array) -> tuple[GroupState, jax.Array]:
        new, losses = jax.vmap(self.step, in_axes=(None, None, 0))(state.inner, batch, lr * state.factors)
        leaves, structure = jax.tree.flatten(new)
        chosen = [leaf[place] for place, leaf in zip(self.places, leaves, strict=True)]
        return GroupState(jax.tree.unflatten(structure, chosen), state.factors), losses[0]


def in_groups(caller: str, learner: Learner, groups: Sequence[str]) -> tuple[Learner, bool]:
    """The learner with a multiple of the learning rate for each group, all 1 at first, and whether some parameters have none.

    A leaf of the optimizer's state belongs to the parameter that its path ends with, as momentum does.

    Raises: ValueError for a pattern that is not one, or names no parameter.
    """
    state = learner.state
    params = state if getattr(state, "params", None) is None else state.params
    patterns = dict.fromkeys(groups)
    for pattern in patterns:
        check_pattern(caller, pattern)
    numbers = {pattern: i for i, pattern in enumerate(groups, 1)}
    labels = jax.tree.leaves_with_path(labels_of(caller, params, patterns))
    of = {_keys(path): numbers.get(label, 0) for path, label in labels}

    def place(path: PyTree, leaf: PyTree) -> int:
        if not jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact):
            return 0
        keys = _keys(path)
        return next((of[keys[i:]] for i in range(len(keys)) if keys[i:] in of), 0)

    places = tuple(place(path, leaf) for path, leaf in jax.tree.leaves_with_path(state))
    factors = np.ones(1 + len(groups), np.float32)
    grouped = Learner(GroupState(state, factors), GroupStep(learner.step, places), learner.optimizer)
    return grouped, 0 in of.values()


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
