"""The update of `Learner.create`: a loss, its gradient, and an optimizer whose rate is an argument."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from lrax.optimizers._recorded import RatedOptimizer
from lrax.training._notes import calling, shapes_of

ValueAndGrad: TypeAlias = Callable[[Callable[[Any, Any], Any], Any, Any], Any]
"""`(loss, params, batch) -> (loss, gradients)`, where `loss(params, batch)` has everything else bound."""


class TrainingState(NamedTuple):
    """What `Learner.create` trains: a pytree."""

    params: Any
    opt_state: Any
    aux: Any = None
    key: Any = None


@dataclasses.dataclass(frozen=True)
class LossUpdate:
    """The update of `Learner.create`; equal for equal parts, so that learners made twice share a compiled program.

    Attributes:
      loss_fn: the loss, called with `(params, [aux], batch, [key])`.
      optimizer: what makes an update of gradients.
      keeps_aux: whether the loss takes and returns an auxiliary state.
      has_key: whether the loss takes a random key.
      has_metrics: whether the loss returns metrics, which are dropped.
      value_and_grad: how the gradient is taken; None for `jax.value_and_grad`.
      caller: who complains.
    """

    loss_fn: Callable[..., Any]
    optimizer: RatedOptimizer
    keeps_aux: bool
    has_key: bool
    has_metrics: bool = False
    value_and_grad: ValueAndGrad | None = None
    caller: str = dataclasses.field(default="Learner.create", compare=False)

    def __call__(self, state: TrainingState, batch: Any, rate: jax.Array) -> tuple[TrainingState, jax.Array]:
        key, used = jax.random.split(state.key) if self.has_key else (None, None)
        before = (state.aux,) if self.keeps_aux else ()
        last = (used,) if self.has_key else ()

        def loss_of(params: Any, batch: Any) -> Any:
            with calling(self._form, f"`loss_fn` of {self.caller}", params=params, batch=batch):
                returned = self.loss_fn(params, *before, batch, *last)
            loss, aux = self._read(returned)
            return (loss, aux) if self.keeps_aux else loss

        def value(params: Any, grad_fn: Any = None, obj_fn: Any = None) -> Any:  # line searches hand on what they do not know
            return loss_of(params, batch)[0] if self.keeps_aux else loss_of(params, batch)

        def grad(params: Any, *_: Any) -> Any:
            return self._gradient(loss_of, params, batch)[2]

        loss, aux, grads = self._gradient(loss_of, state.params, batch)
        extra = {"value": loss, "grad": grads, "value_fn": value, "grad_fn": grad, "obj_fn": value}  # optax's words
        with calling("optimizer(learning_rate).update", f"`optimizer` of {self.caller}", params=state.params):
            params, opt_state = self.optimizer.apply(grads, state.opt_state, state.params, rate, extra)
        return TrainingState(params, opt_state, aux if self.keeps_aux else state.aux, key), loss

    @property
    def _form(self) -> str:
        """How the loss function is called."""
        return f"loss_fn(params, {'aux, ' * self.keeps_aux}batch{', key' * self.has_key})"

    def _gradient(self, loss_of: Callable[[Any, Any], Any], params: Any, batch: Any) -> tuple[jax.Array, Any, Any]:
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

    def _read(self, returned: Any) -> tuple[jax.Array, Any]:
        """The loss and the auxiliary state of what the loss function returned; raises if it is not of that form."""
        if not (self.keeps_aux or self.has_metrics):
            return self._scalar("loss_fn", returned), None
        loss, second = self._pair(returned, "(loss, aux)" if not self.has_metrics else "(loss, metrics)")
        if self.keeps_aux and self.has_metrics:
            second, _ = self._pair(second, "(loss, (aux, metrics))")
        return self._scalar("loss_fn", loss), second if self.keeps_aux else None

    def _pair(self, returned: Any, form: str) -> tuple[Any, Any]:
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
