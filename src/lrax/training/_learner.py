"""A learner: a state, and the step function that trains it at a given learning rate."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import Shown, argument_error, check_arity, check_call, is_key, name_of, plural
from lrax.fields._rules import Leaf, PyTree, Static, default
from lrax.fields._value import Value
from lrax.optimizers._recorded import OptimizerFactory, RatedOptimizer, check_factory
from lrax.training._core import StepFn
from lrax.training._notes import calling, shapes_of
from lrax.training._programs import call

ValueAndGrad: TypeAlias = Callable[[Callable[[PyTree, PyTree], PyTree], PyTree, PyTree], Any]
"""`(loss, params, batch) -> (loss, gradients)`, where `loss(params, batch)` has everything else bound."""


class TrainingState(NamedTuple):
    """What `Learner.create` trains: a pytree."""

    params: PyTree
    opt_state: PyTree
    aux: PyTree = None
    key: PyTree = None


@dataclasses.dataclass(frozen=True)
class LossStep:
    """The step function of `Learner.create`; equal for equal parts, so that learners made twice share a compiled program.

    Attributes:
      loss_fn: the loss, called with `(params, [aux], batch, [key])`.
      optimizer: what makes a change of the parameters of gradients.
      keeps_aux: whether the loss takes and returns an auxiliary state.
      has_key: whether the loss takes a random key.
      has_metrics: whether the loss returns metrics, which are dropped.
      value_and_grad: how the gradient is taken; None for `jax.value_and_grad`.
      caller: the function that errors name.
    """

    loss_fn: Callable[..., PyTree]
    optimizer: RatedOptimizer
    keeps_aux: bool
    has_key: bool
    has_metrics: bool = False
    value_and_grad: ValueAndGrad | None = None
    caller: str = dataclasses.field(default="Learner.create", compare=False)

    def __call__(self, state: TrainingState, batch: PyTree, lr: jax.Array) -> tuple[TrainingState, jax.Array]:
        key, used = jax.random.split(state.key) if self.has_key else (None, None)
        before = (state.aux,) if self.keeps_aux else ()
        last = (used,) if self.has_key else ()
        form = f"loss_fn(params, {'aux, ' * self.keeps_aux}batch{', key' * self.has_key})"

        def loss_of(params: PyTree, batch: PyTree) -> Any:
            with calling(form, f"`loss_fn` of {self.caller}", params=params, batch=batch):
                returned = self.loss_fn(params, *before, batch, *last)
            loss, aux = self._read(returned)
            return (loss, aux) if self.keeps_aux else loss

        def value(params: PyTree, grad_fn: object = None, obj_fn: object = None) -> Any:  # optax asks for both
            return loss_of(params, batch)[0] if self.keeps_aux else loss_of(params, batch)

        def grad(params: PyTree, *_: object) -> PyTree:
            return self._gradient(loss_of, params, batch)[2]

        loss, aux, grads = self._gradient(loss_of, state.params, batch)
        extra = {"value": loss, "grad": grads, "value_fn": value, "grad_fn": grad, "obj_fn": value}  # optax's words
        with calling("optimizer(learning_rate).update", f"`optimizer` of {self.caller}", params=state.params):
            params, opt_state = self.optimizer.apply(grads, state.opt_state, state.params, lr, extra)
        return TrainingState(params, opt_state, aux if self.keeps_aux else state.aux, key), loss

    def _gradient(
        self, loss_of: Callable[[PyTree, PyTree], PyTree], params: PyTree, batch: PyTree
    ) -> tuple[jax.Array, PyTree, PyTree]:
        """The loss, the auxiliary state after it, and the gradients."""
        if self.value_and_grad is None:
            found, grads = jax.value_and_grad(loss_of, has_aux=self.keeps_aux)(params, batch)
        else:
            form, origin = "value_and_grad(loss, params, batch)", f"`value_and_grad` of {self.caller}"
            with calling(form, origin, params=params, batch=batch):
                returned: Any = self.value_and_grad(loss_of, params, batch)
            if not isinstance(returned, tuple) or len(returned) != 2:
                form = "((loss, aux), gradients)" if self.keeps_aux else "(loss, gradients)"
                raise TypeError(f"{self.caller}: `value_and_grad` must return {form}, got {shapes_of(returned)}")
            found, grads = returned
        loss, aux = found if self.keeps_aux else (found, None)
        return self._scalar("value_and_grad", loss), aux, grads

    def _read(self, returned: object) -> tuple[jax.Array, PyTree]:
        """The loss and the auxiliary state of what the loss function returned; raises if it is not of that form."""
        if not (self.keeps_aux or self.has_metrics):
            return self._scalar("loss_fn", returned), None
        loss, second = self._pair(returned, "(loss, aux)" if not self.has_metrics else "(loss, metrics)")
        if self.keeps_aux and self.has_metrics:
            second, _ = self._pair(second, "(loss, (aux, metrics))")
        return self._scalar("loss_fn", loss), second if self.keeps_aux else None

    def _pair(self, returned: object, form: str) -> tuple[Any, Any]:
        if isinstance(returned, tuple | list) and len(returned) == 2:
            return returned[0], returned[1]
        form = "(loss, (aux, metrics))" if self.keeps_aux and self.has_metrics else form
        why = " and ".join(word for word, given in (("aux", self.keeps_aux), ("has_aux", self.has_metrics)) if given)
        raise TypeError(f"{self.caller}: with `{why}`, `loss_fn` must return {form}, got {shapes_of(returned)}")

    def _scalar(self, name: str, loss: Any) -> jax.Array:
        mistake = f"{self.caller}: `{name}` must return a scalar loss, got {shapes_of(loss)}"
        if isinstance(loss, tuple | list) and len(loss) == 2:
            remedy = "give has_aux=True, and what it returns besides is dropped; what the loss updates goes in as `aux`"
            raise TypeError(f"{mistake}; {remedy}")
        if not isinstance(loss, jax.Array | float | int) and not hasattr(loss, "dtype"):
            raise TypeError(f"{mistake}; return the loss alone")
        loss = jnp.asarray(loss)
        if loss.shape:
            raise ValueError(f"{mistake}; average it over the batch: loss.mean()")
        if not jnp.issubdtype(loss.dtype, jnp.floating):
            remedy = "take its real part or its absolute value" if jnp.iscomplexobj(loss) else "make it a float"
            raise TypeError(f"{mistake}; {remedy}")
        return loss


@final
class Learner(Value):
    """A state and the step function that trains it: all that the finder and the sweeps need of a model.

    A pytree: the state's arrays are leaves, `step` is static.

    Args:
      state: any pytree of arrays.
      step: a pure function `(state, batch, lr) -> (state, loss)`, where `lr` is a float32 scalar, the new state has the
        structure, shapes and dtypes of the old, and `loss` is a scalar, measured on `batch` before the step. A leaf of `state`
        that is a Python number, or weakly typed, may become of another dtype, as in `jax.lax.scan`.
      optimizer: the factory of the optimizer in `step`, `learning_rate -> optax.GradientTransformation`, if it has one. The
        finder measures on it how the best learning rate changes with the length of a run.

    Raises: TypeError if `step` cannot be called with three arguments, or if `optimizer` is not a factory.

    A step function with an optimizer uses `lrax.at_lr`, which fits any state of it:

    >>> def step(state, batch, lr):
    ...     weight, opt_state = state
    ...     loss, grads = jax.value_and_grad(lambda w: jnp.mean((w - batch) ** 2))(weight)
    ...     changes, opt_state = lrax.at_lr(optax.adam, lr).update(grads, opt_state, weight)
    ...     return (weight + changes, opt_state), loss
    >>> state = jnp.zeros(()), optax.adam(0.001).init(jnp.zeros(()))
    >>> learner = Learner(state, step, optimizer=optax.adam)
    >>> (weight, _), loss = learner.step(learner.state, jnp.ones(4), 0.25)
    >>> print(f"{weight:.3f} {loss}")
    0.250 1.0
    """

    state: Annotated[PyTree, Leaf()]
    step: Annotated[StepFn, Static()]
    optimizer: Annotated[OptimizerFactory | None, Static()] = default(None)

    __eq__ = object.__eq__  # by identity: to compare the states would read all parameters, and a state that trains goes on
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        what, trained, step, optimizer = "a state of", self.state, self.step, factory_of(self)
        how = name_of(step)
        if isinstance(trained, TrainingState):
            what, trained = "parameters:", trained.params
        if isinstance(step, LossStep):
            how = name_of(step.loss_fn)
        how += "" if optimizer is None else f" by {name_of(optimizer)}"
        leaves = jax.tree.leaves(trained)
        numbers, arrays = sum(int(getattr(leaf, "size", 1)) for leaf in leaves), len(leaves)
        return f"<Learner: {how}, {what} {plural(numbers, 'number')} in {plural(arrays, 'array')}>"

    def check(self) -> None:
        if not callable(self.step):
            raise argument_error(TypeError, "Learner", "step", "a function (state, batch, lr) -> (state, loss)", self.step)
        check_arity("Learner", "step", self.step, "(state, batch, lr) -> (state, loss)", 3)
        if self.optimizer is not None:
            check_factory("Learner", self.optimizer)

    @staticmethod
    @check_call
    def create(
        loss_fn: Callable[..., PyTree],
        params: PyTree,
        optimizer: OptimizerFactory,
        *,
        opt_state: PyTree = None,
        aux: PyTree = None,
        key: jax.Array | None = None,
        has_aux: bool = False,
        value_and_grad: ValueAndGrad | None = None,
        hyperparameter: str = "learning_rate",
    ) -> "Learner":
        """A learner from a loss, parameters and an optimizer that is made from a learning rate.

        Args:
          loss_fn: `loss_fn(params, batch)` returns a scalar loss. With `aux` it is `loss_fn(params, aux, batch)` and returns
            `(loss, aux)`; with `key`, a fresh key comes last.
          params: pytree of arrays, any floating dtype.
          optimizer: `lr -> optax.GradientTransformation`, such as `optax.adamw`; `lr` is a traced float32 scalar. Optimizers
            that need the loss get it, as optax calls it: `value`, `grad`, `value_fn`, `grad_fn` and `obj_fn`, all on the step's
            own batch.
          opt_state: the optimizer's state, half-way through a run; by default a fresh one. States of optimizers that were made
            with a number, with a schedule, or by `optax.inject_hyperparams` are all taken.
          aux: pytree of arrays that the loss updates, such as batch statistics.
          key: random key for dropout and the like, split once a step.
          has_aux: whether the loss returns metrics besides, as `(loss, metrics)`, or `(loss, (aux, metrics))` with `aux`.
            They are dropped.
          value_and_grad: `(loss, params, batch) -> (loss, gradients)`: how gradients are taken, by default with
            `jax.value_and_grad`. `loss(params, batch)` is `loss_fn` with the rest bound; with `aux` it returns `(loss, aux)`,
            and so must the first part of what is returned. For gradients of single examples, of part of the parameters, or
            averaged over devices: [the FAQ](../faq.md) has an example of each.
          hyperparameter: the name that is overridden in a state of `inject_hyperparams`.

        Returns: a learner whose state is a `TrainingState(params, opt_state, aux, key)`.

        Raises: TypeError if `optimizer` is not a factory, or if `params` is a model, or has a leaf that is not a floating-point
          array; ValueError if `opt_state` is of another optimizer, or replicated over devices. When the step is traced:
          TypeError or ValueError if the loss is not a scalar.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = Learner.create(loss_fn, jnp.zeros(3), optax.adam)
        >>> state, loss = learner.step(learner.state, jnp.ones((4, 3)), 0.1)
        >>> print(f"{state.params[0]:.3f} {loss}")
        0.100 1.0
        """
        return make_learner(
            "Learner.create",
            loss_fn,
            params,
            optimizer,
            opt_state=opt_state,
            aux=aux,
            key=key,
            has_aux=has_aux,
            value_and_grad=value_and_grad,
            hyperparameter=hyperparameter,
        )


def factory_of(learner: Learner) -> OptimizerFactory | None:
    """The factory of a learner's optimizer, or None."""
    step = learner.step
    return step.optimizer.factory if isinstance(step, LossStep) else learner.optimizer


def make_learner(
    caller: str,
    loss_fn: Callable[..., PyTree],
    params: PyTree,
    optimizer: OptimizerFactory,
    *,
    opt_state: PyTree = None,
    aux: PyTree = None,
    key: jax.Array | None = None,
    has_aux: bool = False,
    value_and_grad: ValueAndGrad | None = None,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """`Learner.create`, under the name of the function that errors name."""
    given = ["params", *(["aux"] if aux is not None else []), "batch", *(["key"] if key is not None else [])]
    if not callable(loss_fn):
        raise argument_error(TypeError, caller, "loss_fn", f"a function loss_fn({', '.join(given)})", loss_fn)
    check_arity(caller, "loss_fn", loss_fn, f"loss_fn({', '.join(given)})", len(given))
    if value_and_grad is not None:
        form = "value_and_grad(loss, params, batch)"
        if not callable(value_and_grad):
            raise argument_error(TypeError, caller, "value_and_grad", f"a function {form}", value_and_grad)
        check_arity(caller, "value_and_grad", value_and_grad, form, 3)
    check_params(caller, params)
    rated = RatedOptimizer.matching(caller, optimizer, params, opt_state, hyperparameter)
    if opt_state is None:
        opt_state = call(rated.init, params)  # one program, not one for every leaf
    step = LossStep(loss_fn, rated, aux is not None, key is not None, bool(has_aux), value_and_grad, caller)
    return Learner(TrainingState(params, opt_state, aux, key), step, optimizer)


MODELS = {
    ("flax.nnx", "Module"): "give the model itself to lrax.flax.from_nnx(model, loss_fn, optimizer)",
    ("flax.nnx", "Optimizer"): "give the model and this to lrax.flax.from_nnx(model, loss_fn, optimizer, state=...)",
    ("flax.linen", "Module"): "give model.init(key, inputs)['params'], and call model.apply in the loss",
    ("flax.training.train_state", "TrainState"): "give it to lrax.flax.from_train_state(state, loss_fn, optimizer)",
    ("keras", "Model"): "give it to lrax.keras.from_keras(model, loss, optimizer)",
}
"""Models of other libraries by module and class, looked for only where the library is loaded, and what to do with them."""

PARTS = "train the arrays and close over the rest: params, static = eqx.partition(model, eqx.is_inexact_array), for one"


def check_params(caller: str, params: PyTree) -> None:
    """Raises TypeError if `params` contains what cannot be trained: a model, or a leaf that is not a floating-point array."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params, is_leaf=lambda node: _model_remedy(node) is not None):
        place = "params" + jax.tree_util.keystr(path)
        remedy = _model_remedy(leaf)
        if remedy is not None:
            shown = Shown(f"a {type(leaf).__module__.partition('.')[0]} {type(leaf).__name__}")
            raise argument_error(TypeError, caller, place, "a pytree of arrays", shown, remedy)
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex):
            raise argument_error(TypeError, caller, place, "an array", leaf, PARTS)
        numbers = isinstance(leaf, jax.Array) or np.asarray(leaf).dtype.kind in "biufcV"  # V: bfloat16 in NumPy
        if not numbers or is_key(leaf):
            raise argument_error(TypeError, caller, place, "an array of numbers", leaf, PARTS)
        dtype = jax.dtypes.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            remedy = "only floating-point numbers are trained; give it in `aux`, or close over it in the loss"
            raise argument_error(TypeError, caller, place, "a floating-point array", Shown(str(dtype)), remedy)


def _model_remedy(node: object) -> str | None:
    for (module, name), remedy in MODELS.items():
        model = getattr(sys.modules.get(module), name, None)
        if isinstance(model, type) and isinstance(node, model):
            return remedy
    return None
