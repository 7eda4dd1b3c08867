"""Learners from Flax: a linen `TrainState`, or an NNX model with its optimizer. Needs flax (the extra `flax`).

A training step of your own is an update in four lines, if it makes its updates with the optimizer in the state:

>>> from flax.training.train_state import TrainState
>>> def train_step(state, batch):
...     loss_fn = lambda params: jnp.mean((state.apply_fn(params, batch) - 1) ** 2)
...     loss, grads = jax.value_and_grad(loss_fn)(state.params)
...     return state.apply_gradients(grads=grads), {"loss": loss}
>>> def update(state, batch, rate):
...     at_rate = state.replace(tx=optax.adam(lambda count: rate))  # a schedule, for a state that was made with one
...     after, metrics = train_step(at_rate, batch)
...     return after.replace(tx=state.tx), metrics["loss"]
>>> schedule = lrax.warmup_cosine(0.1, total_steps=100, warmup_steps=9)
>>> apply_fn = lambda params, inputs: inputs @ params["kernel"]
>>> state = TrainState.create(apply_fn=apply_fn, params={"kernel": jnp.zeros(3)}, tx=optax.adam(schedule))
>>> learner = lrax.Learner(state, update)
>>> after, loss = learner.update(learner.state, jnp.eye(3), 0.5)
>>> print(after.params["kernel"].round(3), loss)
[0.5 0.5 0.5] 1.0

After `import lrax.flax`, `flax.serialization` saves and restores schedules of every kind, your own included:

>>> from flax import serialization
>>> saved = serialization.to_bytes({"schedule": lrax.warmup_cosine(0.1, 100, 10)})
>>> serialization.from_bytes({"schedule": lrax.warmup_cosine(0.5, 50, 5)}, saved)
{'schedule': warmup_cosine(peak=0.1, total_steps=100, warmup_steps=10)}
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

try:
    from flax import nnx
except ImportError as error:
    raise ImportError("lrax.flax needs flax: pip install 'lrax[flax]'") from error

from lrax.fields._words import check_arity, complain, spelt
from lrax.optimizers._rated import OptimizerFactory
from lrax.schedules import _flax_state as _flax_state  # tells flax.serialization of schedules
from lrax.training._learner import Learner, make_learner
from lrax.training._loss import ValueAndGrad
from lrax.training._notes import calling

__all__ = ["from_nnx", "from_train_state"]


@spelt
def from_train_state(
    state: Any,
    loss_fn: Callable[..., Any],
    optimizer: OptimizerFactory,
    *,
    aux: str | None = None,
    key: jax.Array | None = None,
    has_aux: bool = False,
    value_and_grad: ValueAndGrad | None = None,
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
      has_aux: whether the loss returns metrics besides, as for `lrax.Learner.create`.
      value_and_grad: how gradients are taken, as for `lrax.Learner.create`: there is how to name the axis of batch norm.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner; `state` itself is never changed.

    Raises: TypeError if `state` is no train state or lacks the field `aux`; ValueError if `optimizer` does not make states like
      `state.opt_state`, or if `state` is replicated over devices.

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
    if np.ndim(getattr(state, "step", 0)):
        remedy = "give flax.jax_utils.unreplicate(state)"
        raise complain(ValueError, "from_train_state", "state", "one state, not one a device", state.step, remedy)
    return make_learner(
        "from_train_state",
        loss_fn,
        state.params,
        optimizer,
        opt_state=state.opt_state,
        aux=getattr(state, aux) if aux else None,
        key=key,
        has_aux=has_aux,
        value_and_grad=value_and_grad,
        hyperparameter=hyperparameter,
    )


@spelt
def from_nnx(
    model: nnx.Module,
    loss_fn: Callable[..., Any],
    optimizer: OptimizerFactory,
    *,
    state: nnx.Optimizer[Any] | None = None,
    wrt: Any = nnx.Param,
    key: jax.Array | None = None,
    has_aux: bool = False,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from an NNX model; the model and its optimizer are read and never changed.

    Args:
      model: an `nnx.Module`, in the mode that it trains in. Batch statistics, random streams and all other variables go along.
      loss_fn: `loss_fn(model, batch)` returns a scalar loss; it may change the model's variables, as batch norm and dropout do.
        With `key`, a fresh key comes last.
      optimizer: `rate -> optax.GradientTransformation`.
      state: the run's `nnx.Optimizer`, to start half-way through a run with its momenta; by default a fresh one.
      wrt: which variables are trained, as for `nnx.Optimizer`.
      key: random key for models that get their random streams from outside, split once an update: `nnx.Rngs(key)` in the loss.
      has_aux: whether the loss returns `(loss, metrics)`; the metrics are dropped.
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
    form = "loss_fn(model, batch)" if key is None else "loss_fn(model, batch, key)"
    check_arity("from_nnx", "loss_fn", loss_fn, form, 2 if key is None else 3)
    parts: Any = nnx.split(model, wrt, ...)
    graph, trained, others = parts
    return make_learner(
        "from_nnx",
        ModelLoss(loss_fn, graph, wrt, has_aux),
        pure(trained),
        optimizer,
        opt_state=None if state is None else pure(state.opt_state),
        aux=pure(others),
        key=key,
        has_aux=has_aux,
        hyperparameter=hyperparameter,
    )


COPIES = {"copy": True} if "copy" in inspect.signature(nnx.merge).parameters else {}
"""Flax before 0.12 makes variables of their own without being asked."""


@dataclasses.dataclass(frozen=True)
class ModelLoss:
    """The loss of an NNX model as a pure function of its arrays; equal for equal parts."""

    loss_fn: Callable[..., Any]
    graph: Any
    wrt: Any
    has_metrics: bool = False

    def __call__(self, trained: Any, others: Any, batch: Any, *key: jax.Array) -> tuple[Any, Any]:
        """The loss, and the other variables after it, with metrics beside them if the loss has some."""
        model = nnx.merge(self.graph, trained, others, **COPIES)
        with calling(f"loss_fn(model, batch{', key' * len(key)})", "`loss_fn` of from_nnx", batch=batch):
            returned = self.loss_fn(model, batch, *key)
        parts: Any = nnx.split(model, self.wrt, ...)
        after = pure(parts[2])
        if self.has_metrics and isinstance(returned, tuple | list) and len(returned) == 2:
            return returned[0], (after, returned[1])
        return returned, ((after, None) if self.has_metrics else after)


def pure(state: Any) -> Any:
    """An NNX state as a pytree of plain arrays."""
    return jax.tree.map(lambda node: node[...] if is_variable(node) else node, state, is_leaf=is_variable)


def is_variable(node: Any) -> bool:
    """Whether a node of a state is an NNX variable."""
    return isinstance(node, nnx.Variable)
