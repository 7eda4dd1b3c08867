"""Learners from Flax: a linen `TrainState`, or an NNX model with its optimizer. Needs flax (the extra `flax`)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

try:
    from flax import nnx
except ImportError as error:
    raise ImportError("lrax.flax needs flax: pip install 'lrax[flax]'") from error

from lrax.fields._words import complain
from lrax.optimizers._rated import OptimizerFactory
from lrax.training._learner import Learner


def from_train_state(
    state: Any,
    loss_fn: Callable[..., Any],
    optimizer: OptimizerFactory,
    *,
    aux: str | None = None,
    key: jax.Array | None = None,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from a linen `TrainState`, at whatever moment of a run: parameters, optimizer state and all.

    Args:
      state: a `flax.training.train_state.TrainState`, or anything with `params` and `opt_state`.
      loss_fn: `loss_fn(params, batch)` returns a scalar loss. With `aux` it is `loss_fn(params, aux, batch)` and returns
        `(loss, aux)`; with `key`, a fresh key for dropout comes last.
      optimizer: `rate -> optax.GradientTransformation`, the factory of the optimizer in `state.tx`.
      aux: name of the field of `state` that holds what the loss updates, such as `"batch_stats"`.
      key: random key for dropout and the like, split once an update.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner; `state` itself is never changed.

    Raises: TypeError if `state` is no train state or lacks the field `aux`; ValueError if `optimizer` does not make states like
      `state.opt_state`.

    >>> import flax.linen as nn
    >>> from flax.training.train_state import TrainState
    >>> model = nn.Dense(1)
    >>> params = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    >>> learner = from_train_state(state, lambda params, batch: jnp.mean(model.apply(params, batch) ** 2), optax.adam)
    >>> print(learner.update(learner.state, jnp.zeros((4, 3)), 0.1)[1])
    0.0
    """
    for field in ("params", "opt_state", *([aux] if aux else [])):
        if getattr(state, field, None) is None:
            remedy = "name the field of the state that the loss updates" if field == aux else "give a TrainState"
            raise complain(TypeError, "from_train_state", "state", f"something with a field `{field}`", type(state), remedy)
    held = getattr(state, aux) if aux else None
    return Learner.create(
        loss_fn, state.params, optimizer, opt_state=state.opt_state, aux=held, key=key, hyperparameter=hyperparameter
    )


def from_nnx(
    model: nnx.Module,
    loss_fn: Callable[[Any, Any], jax.Array],
    optimizer: OptimizerFactory,
    *,
    state: nnx.Optimizer[Any] | None = None,
    wrt: Any = nnx.Param,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from an NNX model; the model and its optimizer are read and never changed.

    Args:
      model: an `nnx.Module`, in the mode that it trains in. Batch statistics, random streams and all other variables go along.
      loss_fn: `loss_fn(model, batch)` returns a scalar loss; it may change the model's variables, as batch norm and dropout do.
      optimizer: `rate -> optax.GradientTransformation`.
      state: the run's `nnx.Optimizer`, to start half-way through a run with its momenta; by default a fresh one.
      wrt: which variables are trained, as for `nnx.Optimizer`.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner whose state is pure arrays.

    Raises: TypeError if `model` is no NNX module; ValueError if `optimizer` does not make states like that of `state`.

    >>> from flax import nnx
    >>> model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
    >>> learner = from_nnx(model, lambda model, batch: jnp.mean(model(batch) ** 2), optax.adam)
    >>> print(learner.update(learner.state, jnp.zeros((4, 3)), 0.1)[1])
    0.0
    """
    if not isinstance(model, nnx.Module):
        raise complain(TypeError, "from_nnx", "model", "an nnx.Module", model, "give the model itself, not its state")
    parts: Any = nnx.split(model, wrt, ...)
    graph, trained, others = parts
    opt_state = None if state is None else pure(state.opt_state)
    return Learner.create(
        ModelLoss(loss_fn, graph, wrt),
        pure(trained),
        optimizer,
        opt_state=opt_state,
        aux=pure(others),
        hyperparameter=hyperparameter,
    )


@dataclasses.dataclass(frozen=True)
class ModelLoss:
    """The loss of an NNX model as a pure function of its arrays; equal for equal parts."""

    loss_fn: Callable[[Any, Any], jax.Array]
    graph: Any
    wrt: Any

    def __call__(self, trained: Any, others: Any, batch: Any) -> tuple[jax.Array, Any]:
        """The loss, and the other variables after it."""
        model = nnx.merge(self.graph, trained, others, copy=True)
        loss = self.loss_fn(model, batch)
        parts: Any = nnx.split(model, self.wrt, ...)
        return loss, pure(parts[2])


def pure(state: Any) -> Any:
    """An NNX state as a pytree of plain arrays."""
    return jax.tree.map(lambda node: node[...] if is_variable(node) else node, state, is_leaf=is_variable)


def is_variable(node: Any) -> bool:
    """Whether a node of a state is an NNX variable."""
    return isinstance(node, nnx.Variable)
