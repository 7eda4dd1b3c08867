"""A learner: a state, and the update that trains it at a given rate."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias, final

import jax

from lrax.fields._rules import Leaf, Static
from lrax.fields._value import Value
from lrax.fields._words import check_arity, complain
from lrax.optimizers._rated import OptimizerFactory, RatedOptimizer
from lrax.training._programs import call

Update: TypeAlias = Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]]
"""`(state, batch, rate) -> (state, loss)`: one optimizer update; the loss is that of `batch` before the update."""


class TrainingState(NamedTuple):
    """What `Learner.create` trains: a pytree."""

    params: Any
    opt_state: Any
    aux: Any = None
    key: Any = None


@final
class Learner(Value):
    """A state and the update that trains it: all that the finder and the sweeps know of a model.

    A pytree: the state's arrays are leaves, `update` is static.

    Args:
      state: any pytree of arrays.
      update: a pure function `(state, batch, rate) -> (state, loss)`, where `rate` is a float32 scalar, the new state has
        the structure, shapes and dtypes of the old, and `loss` is a scalar, measured on `batch` before the update.

    Raises: TypeError if `update` cannot be called with three arguments.

    >>> def update(weight, batch, rate):
    ...     loss, slope = jax.value_and_grad(lambda w: jnp.mean((w - batch) ** 2))(weight)
    ...     return weight - rate * slope, loss
    >>> learner = Learner(jnp.zeros(()), update)
    >>> print(learner.update(learner.state, jnp.ones(4), 0.25))
    (Array(0.5, dtype=float32), Array(1., dtype=float32))
    """

    state: Annotated[Any, Leaf()]
    update: Annotated[Update, Static()]

    def check(self) -> None:
        if not callable(self.update):
            raise complain(TypeError, "Learner", "update", "a function (state, batch, rate) -> (state, loss)", self.update)
        check_arity("Learner", "update", self.update, "(state, batch, rate) -> (state, loss)", 3)

    @staticmethod
    def create(
        loss_fn: Callable[..., Any],
        params: Any,
        optimizer: OptimizerFactory,
        *,
        opt_state: Any = None,
        aux: Any = None,
        key: jax.Array | None = None,
        hyperparameter: str = "learning_rate",
    ) -> "Learner":
        """A learner from a loss, parameters and an optimizer that is made from a rate.

        Args:
          loss_fn: `loss_fn(params, batch)` returns a scalar loss. With `aux` it is `loss_fn(params, aux, batch)` and returns
            `(loss, aux)`; with `key`, a fresh key comes last.
          params: pytree of arrays, any floating dtype.
          optimizer: `rate -> optax.GradientTransformation`, such as `optax.adamw` or
            `functools.partial(optax.sgd, momentum=0.9)`. The rate is a traced float32 scalar.
          opt_state: the optimizer's state, half-way through a run; by default a fresh one. States of optimizers that were made
            with a number, with a schedule, or by `optax.inject_hyperparams` are all taken.
          aux: pytree of arrays that the loss updates, such as batch statistics.
          key: random key for dropout and the like, split once an update.
          hyperparameter: the name that is overridden in a state of `inject_hyperparams`.

        Returns: a learner whose state is a `TrainingState(params, opt_state, aux, key)`.

        Raises: TypeError if `optimizer` is not a factory; ValueError if `opt_state` is of another optimizer.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = Learner.create(loss_fn, jnp.zeros(3), optax.adam)
        >>> state, loss = learner.update(learner.state, jnp.ones((4, 3)), 0.1)
        >>> print(f"{state.params[0]:.3f} {loss}")
        0.100 1.0
        """
        given = ["params", *(["aux"] if aux is not None else []), "batch", *(["key"] if key is not None else [])]
        if not callable(loss_fn):
            raise complain(TypeError, "Learner.create", "loss_fn", f"a function loss_fn({', '.join(given)})", loss_fn)
        check_arity("Learner.create", "loss_fn", loss_fn, f"loss_fn({', '.join(given)})", len(given))
        rated = RatedOptimizer.matching(optimizer, params, opt_state, hyperparameter)
        if opt_state is None:
            opt_state = call(rated.init, params)  # one program, not one for every leaf
        update = LossUpdate(loss_fn, rated, aux is not None, key is not None)
        return Learner(TrainingState(params, opt_state, aux, key), update)


@dataclasses.dataclass(frozen=True)
class LossUpdate:
    """The update of `Learner.create`; equal for equal parts, so that learners made twice share a compiled program."""

    loss_fn: Callable[..., Any]
    optimizer: "RatedOptimizer"
    has_aux: bool
    has_key: bool

    def __call__(self, state: TrainingState, batch: Any, rate: jax.Array) -> tuple[TrainingState, jax.Array]:
        key, used = jax.random.split(state.key) if self.has_key else (None, None)
        last = (used,) if self.has_key else ()
        if self.has_aux:
            (loss, aux), grads = jax.value_and_grad(self.loss_fn, has_aux=True)(state.params, state.aux, batch, *last)
        else:
            loss, grads = jax.value_and_grad(self.loss_fn)(state.params, batch, *last)
            aux = state.aux
        params, opt_state = self.optimizer.apply(grads, state.opt_state, state.params, rate)
        return TrainingState(params, opt_state, aux, key), loss
