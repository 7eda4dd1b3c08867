"""Whether the updates of an optimizer grow with the gradients, asked of the optimizer itself."""

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.optimizers._recorded import OptimizerFactory, RatedOptimizer
from lrax.training._grouped import GroupUpdate
from lrax.training._loss import LossUpdate
from lrax.training._programs import call

SIZE = 0.1
"""The norm of the gradients that are tried: below those that are clipped, above what keeps a division from failing."""


def grows(learner: Any) -> bool | None:
    """Whether twice the gradients make about twice the update, as with SGD, and not the same one, as with Adam or Lion.

    Tried on one small matrix, and if the optimizer refuses that, or leaves it, on small arrays in the place of the parameters.

    Returns: None if that cannot be said: for a learner without an optimizer, or an optimizer that wants to see the loss.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> [grows(lrax.Learner.create(loss_fn, jnp.zeros(3), optimizer)) for optimizer in (optax.sgd, optax.adam, optax.lbfgs)]
    [True, False, None]
    """
    update, state = learner.update, learner.state
    while isinstance(update, GroupUpdate):
        update, state = update.update, state.inner
    if learner.optimizer is None and not isinstance(update, LossUpdate):
        return None
    for tried in (np.ones((2, 2), np.float32), *_params(state)):
        try:
            params = _small(tried)
            rated = update.optimizer if isinstance(update, LossUpdate) else _rated(learner.optimizer, params)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                once, twice = map(float, call(functools.partial(_lengths, rated), params))
        except Exception:  # whatever a user's factory raises: then it is not known
            continue
        if np.isfinite(once) and once > 0:
            return twice > 1.5 * once
    return None


def _rated(optimizer: OptimizerFactory, params: Any) -> RatedOptimizer:
    return RatedOptimizer.matching("Learner", optimizer, params, None, "learning_rate")


def _params(state: Any) -> list[Any]:
    """What may be the parameters in a learner's state: those that it calls so, or else each of its parts."""
    if getattr(state, "params", None) is not None:
        return [state.params]
    return list(state.values() if isinstance(state, Mapping) else state) if isinstance(state, Mapping | tuple | list) else []


def _small(params: Any) -> Any:
    """Arrays of ones with the structure of the parameters, each axis at most 2 long."""
    return jax.tree.map(lambda leaf: np.ones([min(size, 2) for size in np.shape(leaf)], jax.dtypes.result_type(leaf)), params)


def _lengths(optimizer: RatedOptimizer, params: Any) -> list[jax.Array]:
    """How far a first update goes, for gradients and for twice those."""
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
