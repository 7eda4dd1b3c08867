"""Schedules in Keras 3, and learners from Keras models. Needs keras (the extra `keras`) on its JAX backend.

Say so before Keras is imported: `KERAS_BACKEND=jax` in the environment.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from lrax.fields._errors import argument_error, check_call, missing_extra

try:
    import keras
except Exception as error:  # Keras raises ImportError or ValueError where its backend cannot be had
    if isinstance(error, ImportError) and error.name == "keras":
        raise missing_extra("lrax.keras", "keras", "keras") from error
    backend = "lrax.keras needs Keras on JAX: set KERAS_BACKEND=jax in the environment before Keras is imported"
    raise ImportError(f"{backend} ({error})") from error
if keras.backend.backend() != "jax":
    raise ImportError(
        f"lrax.keras needs Keras on JAX, got the backend {keras.backend.backend()!r}: set KERAS_BACKEND=jax in the environment "
        "before Keras is imported"
    )

from lrax.fields._rules import PyTree
from lrax.optimizers._recorded import OptimizerFactory
from lrax.schedules._base import RateFunction, ScheduleRule
from lrax.schedules._base import Schedule as LraxSchedule
from lrax.schedules._serialise import from_json, to_json
from lrax.training._learner import Learner, make_learner

__all__ = ["Schedule", "from_keras"]


@keras.saving.register_keras_serializable(package="lrax")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras is untyped
    """A schedule as Keras takes it: for `learning_rate` of any Keras optimizer.

    It is saved with the model as JSON; import `lrax.keras` before you load such a model.

    Args:
      schedule: a schedule, or the text that `lrax.to_json` made of one. To be saved it must consist of classes of lrax.

    Raises: TypeError if `schedule` is not a schedule; ValueError for another text.

    >>> schedule = lrax.keras.Schedule(lrax.warmup_cosine(peak=0.1, warmup_steps=9, total_steps=100))
    >>> optimizer = keras.optimizers.Adam(schedule)
    >>> print(f"{float(optimizer.learning_rate):.4f}")
    0.0100
    """

    def __init__(self, schedule: RateFunction | str) -> None:
        if isinstance(schedule, str):
            schedule = from_json(schedule)
        self.schedule: LraxSchedule = ScheduleRule().convert("lrax.keras.Schedule", "schedule", schedule)

    def __call__(self, step: jax.typing.ArrayLike) -> jax.Array:
        """The learning rate of a step, counted from 0."""
        return self.schedule(keras.ops.cast(step, "int32"))

    def get_config(self) -> dict[str, str]:
        """The schedule as JSON text."""
        return {"schedule": to_json(self.schedule)}


@check_call
def from_keras(
    model: keras.Model,
    loss: str | Callable[..., jax.Array],
    optimizer: OptimizerFactory,
    *,
    opt_state: PyTree = None,
    hyperparameter: str = "learning_rate",
) -> Learner:
    """A learner from a Keras model on the JAX backend; the model is read and never changed.

    The learner holds the model's own arrays, which `model.fit` donates: make it again after that.

    Args:
      model: a built `keras.Model`, with its batch statistics, seeds of dropout and other non-trainable variables.
      loss: the name of a loss, a `keras.losses.Loss`, or a function `(targets, outputs)`, whose mean is taken; losses that
        layers add (regularizers) are added.
      optimizer: `learning_rate -> optax.GradientTransformation`, such as `optax.adam`; not a Keras optimizer.
      opt_state: the state of an optax optimizer to start from, for the trainable values in the model's order.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a learner on batches `(inputs, targets)` or `(inputs, targets, sample_weights)`; its parameters are the list of the
      values of `model.trainable_variables`.

    Raises: TypeError if `model` is not a Keras model or `optimizer` is one of Keras; ValueError if the model is not built, or
      `opt_state` is of another optimizer.

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> learner = from_keras(model, "mse", optax.adam)
    >>> print(learner.step(learner.state, (jnp.eye(3), jnp.ones((3, 1))), 0.1)[1])
    1.0
    """
    if not isinstance(model, keras.Model):
        raise argument_error(TypeError, "from_keras", "model", "a keras.Model", model)
    if not model.built:
        remedy = "begin it with keras.Input, or call it on a batch once"
        raise argument_error(ValueError, "from_keras", "model", "built", model.name, remedy)
    if issubclass(optimizer if isinstance(optimizer, type) else type(optimizer), keras.optimizers.Optimizer):
        raise argument_error(TypeError, "from_keras", "optimizer", "of optax", optimizer, "give optax.adam or the like")
    return make_learner(
        "from_keras",
        KerasLoss(model, keras.losses.get(loss)),
        [variable.value for variable in model.trainable_variables],
        optimizer,
        opt_state=opt_state,
        aux=[variable.value for variable in model.non_trainable_variables],
        hyperparameter=hyperparameter,
    )


@dataclasses.dataclass(frozen=True)
class KerasLoss:
    """The loss of a Keras model as a pure function of its variables."""

    model: keras.Model
    loss: Callable[..., jax.Array]

    def __call__(self, trained: PyTree, others: PyTree, batch: PyTree) -> tuple[jax.Array, PyTree]:
        """The loss, and the other variables after it."""
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            needs = "(inputs, targets) or (inputs, targets, weights)"
            raise argument_error(TypeError, "from_keras", "batch", needs, type(batch))
        inputs, targets, *weights = batch
        outputs, after, added = self.model.stateless_call(trained, others, inputs, training=True, return_losses=True)
        loss = jnp.mean(self.loss(targets, outputs, *weights))
        return sum(added, loss), after
