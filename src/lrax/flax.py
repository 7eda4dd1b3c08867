"""Learners from Flax: a linen `TrainState`, or an NNX model with its optimizer. Needs flax (the extra `flax`).

`from_train_step` uses a train step that you have already, at the learning rates of the finder or of a race.

>>> from flax.training.train_state import TrainState
>>> def train_step(state, batch):
...     loss_fn = lambda params: jnp.mean((state.apply_fn(params, batch) - 1) ** 2)
...     loss, grads = jax.value_and_grad(loss_fn)(state.params)
...     return state.apply_gradients(grads=grads), {"loss": loss}
>>> apply_fn = lambda params, inputs: inputs @ params["kernel"]
>>> state = TrainState.create(apply_fn=apply_fn, params={"kernel": jnp.zeros(3)}, tx=optax.adam(1e-3))
>>> learner = lrax.flax.from_train_step(state, train_step, optax.adam)
>>> after, loss = learner.step(learner.state, jnp.eye(3), 0.5)
>>> print(after.params["kernel"].round(3), loss)
[0.5 0.5 0.5] 1.0

After `import lrax.flax`, `flax.serialization` saves and restores schedules, custom ones included:

>>> from flax import serialization
>>> saved = serialization.to_bytes({"schedule": lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100)})
>>> serialization.from_bytes({"schedule": lrax.warmup_cosine(0.5, warmup_steps=5, total_steps=50)}, saved)
{'schedule': warmup_cosine(peak=0.1, warmup_steps=10, total_steps=100)}
"""

import abc
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax.typing import ArrayLike

from lrax.fields._errors import Shown, argument_error, check_arity, check_call, missing_extra, name_of

try:
    import flax.errors
    from flax import nnx, serialization
except ImportError as error:
    raise missing_extra("lrax.flax", "flax", "flax") from error

from lrax.fields._rules import PyTree
from lrax.fields._value import NEW_CLASS_HOOKS
from lrax.optimizers._recorded import OptimizerFactory, check_factory, optimizer_at
from lrax.schedules._base import Schedule
from lrax.training._learner import Learner, ValueAndGrad, make_learner
from lrax.training._notes import calling, shapes_of
from lrax.training._programs import call

__all__ = ["from_nnx", "from_train_state", "from_train_step"]


@check_call
def from_train_state(
    state: PyTree,
    loss_fn: Callable[..., PyTree],
    optimizer: OptimizerFactory,
    *,
    aux: str | None = None,
    key: jax.Array | None = None,
    has_aux: bool = False,
    value_and_grad: ValueAndGrad | None = None,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from a linen `TrainState`, at any moment of a run: parameters, optimizer state and all.

    Args:
      state: a `flax.training.train_state.TrainState`, or any object with `params` and `opt_state`; it is never changed.
      loss_fn: `loss_fn(params, batch)` returns a scalar loss. With `aux` it is `loss_fn(params, aux, batch)` and returns
        `(loss, aux)`; with `key`, a fresh key for dropout comes last.
      optimizer: `learning_rate -> optax.GradientTransformation`, the factory of the optimizer in `state.tx`.
      aux: name of the field of `state` that the loss updates, such as `"batch_stats"`.
      key: random key for dropout and the like, split once a step.
      has_aux, value_and_grad, hyperparameter: as for `lrax.Learner.create`, which shows how to name the axis of batch norm.

    Raises: TypeError if `state` is not a train state or lacks the field `aux`; ValueError if `optimizer` does not make states
      like `state.opt_state`, or if `state` is replicated over devices.

    >>> import flax.linen as nn
    >>> from flax.training.train_state import TrainState
    >>> model = nn.Dense(1)
    >>> params = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    >>> learner = from_train_state(state, lambda params, batch: jnp.mean(model.apply(params, batch) ** 2), optax.adam)
    >>> print(learner.step(learner.state, jnp.zeros((4, 3)), 0.1)[1])
    0.0
    """
    for field in ("params", "opt_state", *([aux] if aux else [])):
        if getattr(state, field, None) is None:
            remedy = "name the field of the state that the loss updates" if field == aux else "give a TrainState"
            needs = f"something with a field `{field}`"
            raise argument_error(TypeError, "from_train_state", "state", needs, type(state), remedy)
    check_one("from_train_state", state)
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


@check_call
def from_nnx(
    model: nnx.Module,
    loss_fn: Callable[..., PyTree],
    optimizer: OptimizerFactory,
    *,
    state: nnx.Optimizer[nnx.Module] | None = None,
    wrt: Any = nnx.Param,
    key: jax.Array | None = None,
    has_aux: bool = False,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from an NNX model; the model and its optimizer are read and never changed.

    Args:
      model: an `nnx.Module` in training mode, with its batch statistics, random streams and all other variables.
      loss_fn: `loss_fn(model, batch)` returns a scalar loss; it may change the model's variables, as batch norm and dropout do.
        With `key`, a fresh key comes last.
      optimizer: `learning_rate -> optax.GradientTransformation`.
      state: the `nnx.Optimizer` of a run, to start from its moments; by default a fresh one.
      wrt: which variables are trained, as for `nnx.Optimizer`.
      key: random key for models that get their random streams from outside, split once a step: `nnx.Rngs(key)` in the loss.
      has_aux: whether the loss returns `(loss, metrics)`; the metrics are dropped.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner whose state is pure arrays.

    Raises: TypeError if `model` is not an NNX module; ValueError if `optimizer` does not make states like that of `state`.

    >>> from flax import nnx
    >>> model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
    >>> learner = from_nnx(model, lambda model, batch: jnp.mean(model(batch) ** 2), optax.adam)
    >>> print(learner.step(learner.state, jnp.zeros((4, 3)), 0.1)[1])
    0.0
    """
    if not isinstance(model, nnx.Module):
        raise argument_error(TypeError, "from_nnx", "model", "an nnx.Module", model, "give the model itself, not its state")
    form = "loss_fn(model, batch)" if key is None else "loss_fn(model, batch, key)"
    check_arity("from_nnx", "loss_fn", loss_fn, form, 2 if key is None else 3)
    graph, (trained, others) = Graph.of(model, wrt, ...)
    return make_learner(
        "from_nnx",
        ModelLoss(loss_fn, graph, has_aux),
        trained,
        optimizer,
        opt_state=None if state is None else pure(state.opt_state),
        aux=others,
        key=key,
        has_aux=has_aux,
        hyperparameter=hyperparameter,
    )


@check_call
def from_train_step(
    state: PyTree,
    train_step: Callable[..., PyTree],
    optimizer: OptimizerFactory,
    *,
    loss: str | Callable[[PyTree], ArrayLike] = "loss",
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from a train step that you have already, of linen or of NNX.

    The step is called with `state`, in which `optimizer` at the learning rate to try replaces the optimizer. That one may have
    been made with a number, with a schedule or by `optax.inject_hyperparams`. The step may be jitted, and may donate its
    arguments. `state` itself is never changed.

    Args:
      state: a linen `TrainState`, or any dataclass with the fields `tx` and `opt_state`; or the NNX objects of the step in the
        order of its arguments, such as `(model, optimizer)`, one of which is or contains an `nnx.Optimizer`.
      train_step: `train_step(state, batch)`, which returns the new state together with the loss or with metrics; or for NNX
        `train_step(model, optimizer, batch)`, which returns the loss or metrics. Bind other arguments:
        `lambda state, batch: train_step(state, batch, dropout_key)`.
      optimizer: `learning_rate -> optax.GradientTransformation`, the factory of the optimizer in `state`.
      loss: where the loss is in what the step returns. A name is looked for in each dict, dataclass and named tuple; if the
        step returns only one scalar, that is the loss. A function gets all that the step returned:
        `lambda returned: returned[1]["train"]["loss"]`.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner. Its state is `state`, or an `nnx.State` of the arrays of the NNX objects.

    Raises: TypeError if `state` is not one of these, or `train_step` does not take these arguments. When the step is traced:
      ValueError if it does not use the optimizer in its state, if `optimizer` does not make states like the one there, or if
      the loss is not found.

    >>> from flax import nnx
    >>> @nnx.jit
    ... def train_step(model, optimizer, batch):
    ...     loss, grads = nnx.value_and_grad(lambda model: jnp.mean(model(batch) ** 2))(model)
    ...     optimizer.update(model, grads)
    ...     return loss
    >>> model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
    >>> optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    >>> learner = from_train_step((model, optimizer), train_step, optax.adam)
    >>> print(learner.step(learner.state, jnp.zeros((4, 3)), 0.1)[1])
    0.0
    """
    check_factory(CALLER, optimizer)
    if not callable(loss) and not isinstance(loss, str):
        raise argument_error(TypeError, CALLER, "loss", "a name, or a function of what the step returns", loss)
    parts = tuple(state) if type(state) in (tuple, list) else (state,)
    is_nnx = any(isinstance(part, nnx.Module | nnx.Optimizer) for part in parts)
    form = "(state, batch)" if not is_nnx or len(parts) == 1 else "(*state, batch)"
    form = "(model, optimizer, batch)" if is_nnx and len(parts) == 2 else form
    if not callable(train_step):
        raise argument_error(TypeError, CALLER, "train_step", f"a function train_step{form}", train_step)
    check_arity(CALLER, "train_step", train_step, f"train_step{form}", 1 + len(parts) if is_nnx else 2)
    step = TrainStep(train_step, optimizer, loss, hyperparameter)
    if is_nnx:
        found = sum(isinstance(part, nnx.Optimizer) for _, part in nnx.iter_graph(parts))
        if found != 1:
            raise argument_error(TypeError, CALLER, "state", "NNX objects with one nnx.Optimizer", Shown(f"{found} of them"))
        graph, (arrays,) = Graph.of(parts)
        return Learner(arrays, ObjectsStep(step, graph), optimizer)
    if any(getattr(state, field, None) is None for field in ("tx", "opt_state")):
        remedy = "give a TrainState or (model, optimizer), or write the step: lrax.Learner(state, step)"
        raise argument_error(TypeError, CALLER, "state", "something with the fields `tx` and `opt_state`", type(state), remedy)
    check_one(CALLER, state)
    return Learner(state, StateStep(step), optimizer)


CALLER = "from_train_step"


def check_one(caller: str, state: PyTree) -> None:
    """Raises ValueError if a train state is replicated over devices."""
    if np.ndim(getattr(state, "step", 0)):
        remedy = "give flax.jax_utils.unreplicate(state)"
        raise argument_error(ValueError, caller, "state", "one state, not one a device", state.step, remedy)


@dataclasses.dataclass(frozen=True)
class TrainStep:
    """A user's train step, and where its loss is; equal for equal parts."""

    train_step: Callable[..., PyTree]
    optimizer: OptimizerFactory
    loss: str | Callable[[PyTree], ArrayLike]
    hyperparameter: str

    def __call__(self, rate: jax.Array, make_args: Callable[[optax.GradientTransformation], tuple[PyTree, ...]]) -> PyTree:
        """What the step returns for the arguments that `make_args` makes with an optimizer at this learning rate."""
        inner, used = optimizer_at(CALLER, self.optimizer, rate, self.hyperparameter), []

        def update(*args: PyTree, **extra: object) -> tuple[PyTree, PyTree]:
            used.append(True)
            return inner.update(*args, **extra)

        args = make_args(optax.GradientTransformationExtraArgs(inner.init, update))
        with calling(f"train_step({'*' * (len(args) > 2)}state, batch)", "`train_step` of from_train_step", batch=args[-1]):
            returned = self.train_step(*args)
        if not used:
            needs = "a step with the optimizer in its state"
            remedy = "use state.apply_gradients, state.tx.update or optimizer.update of the arguments"
            raise argument_error(ValueError, CALLER, "train_step", needs, self.train_step, remedy)
        return returned

    def loss_in(self, returned: PyTree, outputs: Sequence[PyTree]) -> jax.Array:
        """The loss in what the step returned; `outputs` are its parts without the state."""
        if callable(self.loss):
            found, what = self.loss(returned), "a function that returns a scalar"
        else:
            found, what = self._named(self.loss, outputs), "the name of a scalar"
        if not isinstance(found, jax.Array | np.ndarray | np.generic | float | int) or np.ndim(found):
            shown = Shown(f"{shapes_of(found)} for {self.loss if isinstance(self.loss, str) else name_of(self.loss)!r}")
            remedy = "average it over the batch, or give a function: loss=lambda returned: ..."
            raise argument_error(TypeError, CALLER, "loss", what, shown, remedy)
        return found  # type: ignore[return-value]

    def _named(self, name: str, outputs: Sequence[PyTree]) -> PyTree:
        entries = [_entries(output) for output in outputs]
        named = [those[name] for those in entries if name in those]
        scalars = [output for output in outputs if hasattr(output, "dtype") and np.ndim(output) == 0]
        if named or (name == "loss" and len(scalars) == 1):
            return (named or scalars)[0]
        needs = "a name in what `train_step` returns"
        if there := [repr(key) for those in entries for key in those]:
            remedy = f"give one of {', '.join(there)}, or a function: loss=lambda returned: returned[1]['train']['loss']"
        elif outputs:
            shown = ", ".join(map(shapes_of, outputs))
            remedy = f"it returned {shown} besides the state: give a function, such as loss=lambda returned: returned[1]"
        else:
            remedy = "it returned nothing besides the state: return the loss, too"
        raise argument_error(ValueError, CALLER, "loss", needs, name, remedy)


def _entries(output: PyTree) -> dict[str, PyTree]:
    """The named parts of a dict, a dataclass or a named tuple."""
    if isinstance(output, Mapping):
        return {key: value for key, value in output.items() if isinstance(key, str)}
    names = getattr(output, "_fields", ())
    if dataclasses.is_dataclass(output):
        names = [field.name for field in dataclasses.fields(output)]
    return {name: getattr(output, name) for name in names}


@dataclasses.dataclass(frozen=True)
class FlaxStep(abc.ABC):
    """The step function of a train step; equal for equal parts."""

    step: TrainStep

    @property
    def __name__(self) -> str:
        return name_of(self.step.train_step)

    def __call__(self, state: PyTree, batch: PyTree, lr: jax.Array) -> tuple[PyTree, jax.Array]:
        # inside a program, where a step that donates its state cannot take the caller's arrays
        return call(self._step, state, batch, lr)

    @abc.abstractmethod
    def _step(self, state: PyTree, batch: PyTree, lr: jax.Array) -> tuple[PyTree, jax.Array]:
        """The state and the loss after a step."""


@dataclasses.dataclass(frozen=True)
class StateStep(FlaxStep):
    """The step function of a train step that returns its state."""

    def _step(self, state: PyTree, batch: PyTree, lr: jax.Array) -> tuple[PyTree, jax.Array]:
        returned = self.step(lr, lambda tx: (_with(state, tx), batch))
        parts = list(returned) if type(returned) in (tuple, list) else [returned]
        places = [i for i, part in enumerate(parts) if isinstance(part, type(state))]
        if len(places) != 1:
            shown = Shown(f"({', '.join(map(shapes_of, parts))})")
            raise argument_error(TypeError, CALLER, "train_step", "a function that returns the new state", shown)
        after = parts.pop(places[0])
        return _with(after, state.tx), self.step.loss_in(returned, parts)


def _with(state: PyTree, tx: optax.GradientTransformation) -> PyTree:
    """A train state with another optimizer."""
    return state.replace(tx=tx) if hasattr(state, "replace") else dataclasses.replace(state, tx=tx)


@dataclasses.dataclass(frozen=True)
class ObjectsStep(FlaxStep):
    """The step function of a train step that changes the NNX objects that it is given."""

    graph: "Graph"

    def _step(self, state: PyTree, batch: PyTree, lr: jax.Array) -> tuple[PyTree, jax.Array]:
        objects = self.graph.merged(state)

        def arguments(tx: optax.GradientTransformation) -> tuple[PyTree, ...]:
            (optimizer,) = (part for _, part in nnx.iter_graph(objects) if isinstance(part, nnx.Optimizer))
            optimizer.tx = tx
            return (*objects, batch)

        try:
            returned = self.step(lr, arguments)
        except flax.errors.TraceContextError as error:
            reason = f"it raised: {str(error).partition(' (')[0]}"
            needs = "a function that changes only its arguments"
            raise argument_error(ValueError, CALLER, "train_step", needs, self.step.train_step, reason) from error
        (after,) = self.graph.states(objects)
        outputs = returned if type(returned) in (tuple, list) else [] if returned is None else [returned]
        return after, self.step.loss_in(returned, outputs)


COPIES = {"copy": True} if "copy" in inspect.signature(nnx.merge).parameters else {}
"""Flax before 0.12 always copies variables."""

RAW = "get_raw_value" in dir(nnx.Variable)
"""Flax before 0.12 has the attribute `raw_value` instead."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """The structure of NNX objects without their arrays; equal for equal structures."""

    graph: Any  # the graph definition of Flax
    filters: tuple[Any, ...]  # what the variables are divided by

    @staticmethod
    def of(node: Any, *filters: Any) -> "tuple[Graph, list[PyTree]]":
        """The structure of NNX objects, and their states as pytrees of arrays, one for each filter.

        The objects stay as they are. Sown variables are left out: they belong to the call that sowed them.
        """
        copied = nnx.clone(node)
        nnx.pop(copied, nnx.Intermediate)
        graph, *states = nnx.split(copied, *filters)
        return Graph(graph, filters), [pure(state) for state in states]

    def merged(self, *states: PyTree) -> Any:
        """New objects with these states."""
        return nnx.merge(self.graph, *map(flat, states), **COPIES)

    def states(self, node: Any) -> list[PyTree]:
        """The states of such objects after a step, without sown variables."""
        nnx.pop(node, nnx.Intermediate)
        parts: Any = nnx.split(node, *self.filters)
        return [pure(state) for state in parts[1:]]


@dataclasses.dataclass(frozen=True)
class ModelLoss:
    """The loss of an NNX model as a pure function of its arrays; equal for equal parts."""

    loss_fn: Callable[..., PyTree]
    graph: Graph
    has_metrics: bool = False

    def __call__(self, trained: PyTree, others: PyTree, batch: PyTree, *key: jax.Array) -> tuple[PyTree, PyTree]:
        """The loss, and the other variables after it, with the metrics if the loss has some."""
        model = self.graph.merged(trained, others)
        with calling(f"loss_fn(model, batch{', key' * len(key)})", "`loss_fn` of from_nnx", batch=batch):
            returned = self.loss_fn(model, batch, *key)
        _, after = self.graph.states(model)
        if self.has_metrics and isinstance(returned, tuple | list) and len(returned) == 2:
            return returned[0], (after, returned[1])
        return returned, ((after, None) if self.has_metrics else after)


class Whole(nnx.Variable[Any]):
    """The value of a variable that is not one array, such as a tuple or a dict.

    A bare dict would be one more level of the state. `nnx.update` puts the value into the variable of a model.
    """


def pure(state: PyTree) -> PyTree:
    """An NNX state as a pytree of plain arrays, with one node for each variable."""
    return jax.tree.map(lambda node: _value(node) if is_variable(node) else node, state, is_leaf=is_variable)


def _value(variable: nnx.Variable[Any]) -> PyTree:
    value = raw(variable)
    arrays = jax.tree.map(lambda leaf: leaf[...] if isinstance(leaf, jax.Array) else leaf, value)  # mutable ones are read so
    return arrays if jax.tree_util.all_leaves([value]) else Whole(arrays)


def raw(variable: Any) -> Any:
    """The value of a variable as `nnx.merge` takes it: its hooks act when a model reads it."""
    return variable.get_raw_value() if RAW else variable.raw_value


def flat(state: PyTree) -> PyTree:
    """A state that `pure` made as Flax merges it: paths and values."""
    return jax.tree.map(lambda leaf: raw(leaf) if is_variable(leaf) else leaf, nnx.to_flat_state(state), is_leaf=is_variable)


def is_variable(node: object) -> bool:
    """Whether a node of a state is an NNX variable."""
    return isinstance(node, nnx.Variable)


def state_of(schedule: Schedule) -> dict[str, jax.Array]:
    """The numbers of a schedule by their paths; words and flags are left to the target."""
    return {jax.tree_util.keystr(path)[1:]: leaf for path, leaf in jax.tree.leaves_with_path(schedule)}


def restored(schedule: Schedule, state: Mapping[str, jax.Array]) -> Schedule:
    """`schedule` with the numbers of `state`; raises ValueError if they belong to another class of schedule."""
    names = list(state_of(schedule))
    if set(names) != set(state):
        needs = f"that of a schedule like {schedule!r}, with the entries {names}"
        remedy = "give a target of the class that was saved"
        raise argument_error(ValueError, "from_state_dict", "state", needs, list(state), remedy)
    again: Schedule = jax.tree.unflatten(jax.tree.structure(schedule), [state[name] for name in names])
    return again


def _register(cls: type) -> None:
    """Makes `flax.serialization` save schedules of a class and its subclasses."""
    if issubclass(cls, Schedule):
        registry: Any = serialization  # flax leaves it untyped
        registry.register_serialization_state(cls, state_of, restored, override=True)
        for subclass in cls.__subclasses__():
            _register(subclass)


_register(Schedule)
NEW_CLASS_HOOKS.append(_register)
