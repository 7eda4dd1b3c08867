"""A learner: a state, and the update that trains it at a given rate."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, final

import jax

from lrax.fields._errors import argument_error, check_arity, check_call, name_of, plural
from lrax.fields._rules import Leaf, Static
from lrax.fields._types import default
from lrax.fields._value import Value
from lrax.optimizers._recorded import OptimizerFactory, RatedOptimizer, check_factory
from lrax.training._inputs import check_params
from lrax.training._loss import LossUpdate, TrainingState, ValueAndGrad
from lrax.training._programs import call

Update: TypeAlias = Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]]
"""`(state, batch, rate) -> (state, loss)`: one optimizer update; the loss is that of `batch` before the update."""


@final
class Learner(Value):
    """A state and the update that trains it: all that the finder and the sweeps know of a model.

    A pytree: the state's arrays are leaves, `update` is static.

    Args:
      state: any pytree of arrays.
      update: a pure function `(state, batch, learning_rate) -> (state, loss)`, where `learning_rate` is a float32 scalar, the
        new state has the structure, shapes and dtypes of the old, and `loss` is a scalar, measured on `batch` before the step.
        A leaf of `state` that is a Python number, or weakly typed, may become of another dtype, as in `jax.lax.scan`.
      optimizer: the factory of the optimizer in `update`, `learning_rate -> optax.GradientTransformation`, if it has one. The
        finder measures on it how the best learning rate moves with the length of a run. Without it, `found.grows` is None.

    Raises: TypeError if `update` cannot be called with three arguments, or if `optimizer` is not a factory.

    >>> def update(weight, batch, rate):
    ...     loss, slope = jax.value_and_grad(lambda w: jnp.mean((w - batch) ** 2))(weight)
    ...     return weight - rate * slope, loss
    >>> learner = Learner(jnp.zeros(()), update)
    >>> print(learner.update(learner.state, jnp.ones(4), 0.25))
    (Array(0.5, dtype=float32), Array(1., dtype=float32))

    An update with an optimizer uses `lrax.at_lr`, which fits any state of it:

    >>> def update(state, batch, learning_rate):
    ...     weight, opt_state = state
    ...     loss, grads = jax.value_and_grad(lambda w: jnp.mean((w - batch) ** 2))(weight)
    ...     changes, opt_state = lrax.at_lr(optax.adam, learning_rate).update(grads, opt_state, weight)
    ...     return (weight + changes, opt_state), loss
    >>> state = jnp.zeros(()), optax.adam(0.001).init(jnp.zeros(()))
    >>> learner = Learner(state, update, optimizer=optax.adam)
    >>> (weight, _), loss = learner.update(learner.state, jnp.ones(4), 0.25)
    >>> print(f"{weight:.3f} {loss}")
    0.250 1.0
    """

    state: Annotated[Any, Leaf()]
    update: Annotated[Update, Static()]
    optimizer: Annotated[OptimizerFactory | None, Static()] = default(None)

    __eq__ = object.__eq__  # by identity: to compare the states would read all parameters, and a state that trains goes on
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        what, trained, update, optimizer = "a state of", self.state, self.update, factory_of(self)
        how = name_of(update)
        if isinstance(trained, TrainingState):
            what, trained = "parameters:", trained.params
        if isinstance(update, LossUpdate):
            how = name_of(update.loss_fn)
        how += "" if optimizer is None else f" by {name_of(optimizer)}"
        leaves = jax.tree.leaves(trained)
        numbers, arrays = sum(int(getattr(leaf, "size", 1)) for leaf in leaves), len(leaves)
        return f"<Learner: {how}, {what} {plural(numbers, 'number')} in {plural(arrays, 'array')}>"

    def check(self) -> None:
        if not callable(self.update):
            raise argument_error(
                TypeError, "Learner", "update", "a function (state, batch, rate) -> (state, loss)", self.update
            )
        check_arity("Learner", "update", self.update, "(state, batch, rate) -> (state, loss)", 3)
        if self.optimizer is not None:
            check_factory("Learner", self.optimizer)

    @staticmethod
    @check_call
    def create(
        loss_fn: Callable[..., Any],
        params: Any,
        optimizer: OptimizerFactory,
        *,
        opt_state: Any = None,
        aux: Any = None,
        key: jax.Array | None = None,
        has_aux: bool = False,
        value_and_grad: ValueAndGrad | None = None,
        hyperparameter: str = "learning_rate",
    ) -> "Learner":
        """A learner from a loss, parameters and an optimizer that is made from a rate.

        Args:
          loss_fn: `loss_fn(params, batch)` returns a scalar loss. With `aux` it is `loss_fn(params, aux, batch)` and returns
            `(loss, aux)`; with `key`, a fresh key comes last.
          params: pytree of arrays, any floating dtype.
          optimizer: `rate -> optax.GradientTransformation`, such as `optax.adamw` or
            `functools.partial(optax.sgd, momentum=0.9)`. The rate is a traced float32 scalar. Optimizers that need the loss
            get it, as optax calls it: `value`, `grad`, `value_fn`, `grad_fn` and `obj_fn`, all on the update's own batch.
          opt_state: the optimizer's state, half-way through a run; by default a fresh one. States of optimizers that were made
            with a number, with a schedule, or by `optax.inject_hyperparams` are all taken.
          aux: pytree of arrays that the loss updates, such as batch statistics.
          key: random key for dropout and the like, split once an update.
          has_aux: whether the loss returns metrics besides, as `(loss, metrics)`, or `(loss, (aux, metrics))` with `aux`.
            They are dropped.
          value_and_grad: `(loss, params, batch) -> (loss, gradients)`: how gradients are taken, by default with
            `jax.value_and_grad`. `loss(params, batch)` is `loss_fn` with the rest bound; with `aux` it returns `(loss, aux)`,
            and so must the first part of what is returned. For gradients of single examples, of part of the parameters, or
            averaged over devices (below).
          hyperparameter: the name that is overridden in a state of `inject_hyperparams`.

        Returns: a learner whose state is a `TrainingState(params, opt_state, aux, key)`.

        Raises: TypeError if `optimizer` is not a factory, or if `params` is a model, or has a leaf that is no floating-point
          array; ValueError if `opt_state` is of another optimizer, or replicated over devices. When the update is traced:
          TypeError or ValueError if the loss is no scalar.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = Learner.create(loss_fn, jnp.zeros(3), optax.adam)
        >>> state, loss = learner.update(learner.state, jnp.ones((4, 3)), 0.1)
        >>> print(f"{state.params[0]:.3f} {loss}")
        0.100 1.0

        Gradients of single examples, for DP-SGD:

        >>> def of_each(loss, params, batch):
        ...     one = lambda example: jax.value_and_grad(loss)(params, example[None])
        ...     losses, grads = jax.vmap(one)(batch)
        ...     return losses.mean(), grads
        >>> private = lambda rate: optax.chain(optax.contrib.differentially_private_aggregate(1.0, 0.1, 0), optax.sgd(rate))
        >>> learner = Learner.create(loss_fn, jnp.zeros(3), private, value_and_grad=of_each)
        >>> print(learner.update(learner.state, jnp.ones((4, 3)), 0.1)[1])
        1.0

        Gradients of the fast half of `optax.lookahead`'s parameters:

        >>> lookahead = lambda rate: optax.lookahead(optax.sgd(rate), sync_period=5, slow_step_size=0.5)
        >>> fast = lambda loss, params, batch: jax.value_and_grad(loss)(params.fast, batch)
        >>> both = optax.LookaheadParams.init_synced(jnp.zeros(3))
        >>> learner = Learner.create(loss_fn, both, lookahead, value_and_grad=fast)
        >>> print(learner.update(learner.state, jnp.ones((4, 3)), 0.1)[1])
        1.0

        Gradients averaged over the devices of a mesh:

        >>> from jax.sharding import Mesh, PartitionSpec
        >>> mesh = Mesh(np.array(jax.devices()[:1]), "devices")
        >>> def averaged(loss, params, batch):
        ...     mean = lambda *args: jax.lax.pmean(jax.value_and_grad(loss)(*args), "devices")
        ...     whole, split = PartitionSpec(), PartitionSpec("devices")
        ...     return jax.shard_map(mean, mesh=mesh, in_specs=(whole, split), out_specs=whole)(params, batch)
        >>> learner = Learner.create(loss_fn, jnp.zeros(3), optax.sgd, value_and_grad=averaged)
        >>> print(learner.update(learner.state, jnp.ones((4, 3)), 0.1)[1])
        1.0

        The same axis on one device, where a model was written for many (`axis_name` of batch norm):

        >>> def named(loss, params, batch):
        ...     once = jax.vmap(lambda _: jax.value_and_grad(loss)(params, batch), out_axes=None, axis_name="devices")
        ...     return once(jnp.zeros(1))
        >>> global_mean = lambda params, batch: jax.lax.pmean(loss_fn(params, batch), "devices")
        >>> learner = Learner.create(global_mean, jnp.zeros(3), optax.sgd, value_and_grad=named)
        >>> print(learner.update(learner.state, jnp.ones((4, 3)), 0.1)[1])
        1.0
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
    """The factory of a learner's optimizer, if it is known."""
    update = learner.update
    return update.optimizer.factory if isinstance(update, LossUpdate) else learner.optimizer


def make_learner(
    caller: str,
    loss_fn: Callable[..., Any],
    params: Any,
    optimizer: OptimizerFactory,
    *,
    opt_state: Any = None,
    aux: Any = None,
    key: jax.Array | None = None,
    has_aux: bool = False,
    value_and_grad: ValueAndGrad | None = None,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """`Learner.create`, under the name of the function that is to blame."""
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
    update = LossUpdate(loss_fn, rated, aux is not None, key is not None, bool(has_aux), value_and_grad, caller)
    return Learner(TrainingState(params, opt_state, aux, key), update, optimizer)
