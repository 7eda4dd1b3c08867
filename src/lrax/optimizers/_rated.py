"""Optimizers that are made from a rate: the factory, and one whose rate is an argument of every update."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from lrax.fields._words import complain

OptimizerFactory: TypeAlias = Callable[[Any], optax.GradientTransformation]
"""`rate -> optimizer`: `optax.adamw`, `functools.partial(optax.sgd, momentum=0.9)`, a lambda with a chain inside."""


@dataclasses.dataclass(frozen=True)
class RatedOptimizer:
    """An optimizer whose rate is an argument of every update.

    `optax.sgd(0.1)`, `optax.sgd(schedule)` and an injected `sgd` have states of different structure; the factory is called in
    the way that gives the structure at hand.

    Attributes:
      factory: `rate -> optimizer`.
      by: how the rate goes in: as a "number", as a "schedule", or into the state's hyper-parameters ("injected").
      hyperparameter: which of the state's hyper-parameters, where they are injected.
    """

    factory: OptimizerFactory
    by: str = "number"
    hyperparameter: str = "learning_rate"

    @staticmethod
    def matching(factory: OptimizerFactory, params: Any, opt_state: Any, hyperparameter: str) -> "RatedOptimizer":
        """The way to call `factory` that fits `opt_state`."""
        if not callable(factory) or isinstance(factory, optax.GradientTransformation):
            remedy = "give optax.sgd or functools.partial(optax.sgd, momentum=0.9), not optax.sgd(0.1)"
            raise complain(TypeError, "Learner.create", "optimizer", "a function rate -> optimizer", factory, remedy)
        candidates = [RatedOptimizer(factory, by, hyperparameter) for by in ("number", "schedule")]
        structures: list[Any] = []
        for candidate in candidates:
            try:
                fresh = jax.eval_shape(candidate.init, params)
            except (TypeError, ValueError):  # some factories take only numbers, some only schedules
                if candidate is candidates[-1] and not structures:
                    raise
                continue
            structure: Any = jax.tree.structure(fresh)
            if opt_state is None or structure == jax.tree.structure(opt_state):
                injected = any(is_hyperparameter(path, hyperparameter) for path, _ in jax.tree.leaves_with_path(fresh))
                return dataclasses.replace(candidate, by="injected" if injected else candidate.by)
            structures.append(structure)
        shown = " or ".join(map(str, structures))
        raise ValueError(
            f"Learner.create: `opt_state` must be a state of `optimizer`, got {jax.tree.structure(opt_state)}, where "
            f"`optimizer` makes {shown}; give the factory of the optimizer that the run uses"
        )

    def init(self, params: Any) -> Any:
        """A fresh optimizer state."""
        return self._make(jnp.zeros((), jnp.float32)).init(params)

    def apply(self, grads: Any, opt_state: Any, params: Any, rate: jax.Array) -> tuple[Any, Any]:
        """The parameters and the optimizer state after one update at `rate`."""
        if self.by == "injected":
            opt_state = jax.tree.map_with_path(
                lambda path, leaf: jnp.asarray(rate, leaf.dtype) if is_hyperparameter(path, self.hyperparameter) else leaf,
                opt_state,
            )
        updates, opt_state = self._make(rate).update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def _make(self, rate: jax.Array) -> optax.GradientTransformation:
        optimizer = self.factory((lambda count: rate) if self.by == "schedule" else rate)
        if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
            raise complain(
                TypeError, "Learner.create", "optimizer", "a function rate -> optax.GradientTransformation", optimizer
            )
        return optimizer


def is_hyperparameter(path: tuple[Any, ...], name: str) -> bool:
    """Whether a path in an optimizer state leads to hyper-parameter `name` of `optax.inject_hyperparams`."""
    keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
    return len(keys) >= 2 and keys[-1] == name and keys[-2] == "hyperparams"
