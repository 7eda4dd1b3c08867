"""A learner's update on its data: traced and checked before anything is compiled."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._known import any_traced, is_traced
from lrax.fields._words import check_whole, complain
from lrax.training._batches import ArrayBatches, SampledBatches
from lrax.training._depends import reaches
from lrax.training._engine import strong
from lrax.training._learner import Learner
from lrax.training._programs import Traced, trace


@dataclasses.dataclass(frozen=True)
class Step:
    """An update together with the drawing of its batch, as a pure function of arrays; equal for equal parts.

    Attributes:
      update: the learner's.
      draws: whether batches are drawn, or given.
      drawn: the structure of what they are drawn from, whose leaves are given at each call.
    """

    update: Callable[..., Any]
    draws: bool
    drawn: Any

    def __call__(self, state: Any, rate: jax.Array, source: Any) -> Any:
        """The state and the loss after an update on a batch, or on one that is drawn from `(arrays, order, count)`."""
        if self.draws:
            arrays, order, count = source
            source = jax.tree.unflatten(self.drawn, arrays).fetch(order, count)
        returned = self.update(state, source, rate)
        if isinstance(returned, tuple) and len(returned) == 2:
            return jax.tree.map(strong, returned[0]), returned[1]
        return returned


def trace_update(owner: str, learner: Learner, batches: Any, batch: Any, key: Any) -> Traced:
    """The learner's update on its batches.

    Args:
      batches: drawn inside compiled programs, or else an iterator.
      batch: one of an iterator.
      key: draws the batches.

    Raises: TypeError or ValueError if the update does not return a state like the one it got, and a loss.
    """
    if not isinstance(learner, Learner):
        raise complain(TypeError, owner, "learner", "a lrax.Learner", learner, "make one with lrax.Learner.create")
    arrays = [leaf for leaf in jax.tree.leaves(learner.state) if isinstance(leaf, jax.Array) and not is_traced(leaf)]
    if any(leaf.is_deleted() for leaf in arrays):
        remedy = "a run with donate=True has given it away; make a learner from fresh arrays"
        raise complain(ValueError, owner, "learner", "a learner whose state still has its memory", "deleted arrays", remedy)
    state = jax.tree.map(jnp.asarray, learner.state)
    drawn = isinstance(batches, ArrayBatches | SampledBatches)
    source = (jax.tree.leaves(batches), batches.order(key), np.int32(0)) if drawn else batch
    step = Step(learner.update, drawn, jax.tree.structure(batches if drawn else ()))
    rate = jax.ShapeDtypeStruct((), jnp.float32)  # type: ignore[no-untyped-call]  # jax
    traced = trace(step, state, rate, source, owner=learner)
    check_returned(owner, state, traced.returned)
    check_rate(owner, traced.closed, len(jax.tree.leaves(state)))
    return traced


def check_rate(owner: str, closed: Any, leaves: int) -> None:
    """Raises if no rate, given at any update, can reach a state of so many leaves: every rate would train alike."""
    if not reaches(closed, [leaves], range(leaves), carried=leaves):
        raise ValueError(
            f"{owner}: the learner's new state must depend on the rate, and it does not, so that all rates would train alike; "
            "make the optimizer from the rate that its factory is given: optax.adam or lambda rate: optax.adam(rate, b1=0.8)"
        )


def check_returned(owner: str, state: Any, returned: Any) -> None:
    """Raises if an update does not return a state like `state`, and a loss."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"{owner}: the learner's update must return (state, loss), got {type(returned).__name__}")
    new, loss = returned
    if not hasattr(loss, "shape"):
        found = type(loss).__name__
        raise TypeError(f"{owner}: the learner's update must return (state, loss), got {found} in place of the loss")
    if loss.shape != ():
        raise ValueError(f"{owner}: the loss must be a scalar, got shape {loss.shape}; average it over the batch")
    if jnp.issubdtype(loss.dtype, jnp.complexfloating):
        raise TypeError(f"{owner}: the loss must be real, got {loss.dtype}; give its absolute value, say")
    before: Any = jax.tree.structure(state)
    after: Any = jax.tree.structure(new)
    if before != after:
        raise ValueError(f"{owner}: the learner's update must return a state of the same structure, got {after} from {before}")
    for (path, old), changed in zip(jax.tree.leaves_with_path(state), jax.tree.leaves(new), strict=True):
        if (old.shape, old.dtype) != (changed.shape, changed.dtype):
            place = jax.tree_util.keystr(path)
            raise ValueError(
                f"{owner}: the learner's update must keep the state's shapes and dtypes, but state{place} was "
                f"{old.dtype}{list(old.shape)} and became {changed.dtype}{list(changed.shape)}"
            )


def check_learner(owner: str, learner: Learner, key: Any) -> None:
    """Raises if a learner or a key is none, or is traced: a runner chooses drivers and reads results on the host."""
    if any_traced((key, getattr(learner, "state", None))):
        remedy = "inside jit, vmap and scan use lrax.range_test, which is pure"
        raise complain(TypeError, owner, "learner and key", "arrays, not traced", learner, remedy)
    if key is None:
        return
    try:
        jax.eval_shape(jax.random.fold_in, key, 0)
    except (TypeError, ValueError) as error:
        raise complain(TypeError, owner, "key", "a random key", key, "give jax.random.key(0)") from error


def check_accumulate(owner: str, state: Any, accumulate: int) -> None:
    """Raises if gradients are accumulated by the optimizer and the caller does not know."""
    check_whole(owner, "accumulate", accumulate)
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, optax.MultiStepsState))
    accumulates = any(isinstance(node, optax.MultiStepsState) for node in nodes)
    if accumulates and accumulate == 1:
        remedy = "give the number of batches to one optimizer update, every_k_schedule of optax.MultiSteps"
        raise complain(ValueError, owner, "accumulate", "above 1 where the optimizer accumulates gradients", accumulate, remedy)


def check_donated(owner: str, state: Any, donate: bool) -> None:
    """Raises if memory that two leaves share would be given away twice."""
    leaves = [id(leaf) for leaf in jax.tree.leaves(state)]
    if donate and len(set(leaves)) < len(leaves):
        remedy = "copy one of them with jnp.copy"
        raise complain(ValueError, owner, "donate", "False where two leaves of the state are one array", donate, remedy)
