"""Learners' updates on their data: traced and checked before anything is compiled, once for each shape of batch."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lrax.fields._errors import NEEDS_NUMBERS, Shown, any_traced, argument_error, is_traced
from lrax.optimizers._difference import differences
from lrax.training._batches import ArrayBatches, SampledBatches
from lrax.training._depends import reaches
from lrax.training._engine import strong
from lrax.training._grouped import GroupUpdate
from lrax.training._learner import Learner
from lrax.training._loss import LossUpdate
from lrax.training._mesh import everywhere
from lrax.training._notes import called_by, calling, shapes_of
from lrax.training._programs import Program, Traced, trace

MOST = 32
"""Shapes that the batches of one call may have.

Each compiles a program, which takes a second or more, so data of endlessly many lengths would never end. Sorted into buckets
whose lengths grow by a fifth, batches from 8 to 2,000 long have 31 shapes.
"""

NNX = (
    "take values that a call of the model makes, such as sown ones, out of it in the loss: nnx.pop(model, nnx.Intermediate), "
    "or the class of the variable"
)
"""What is said of an NNX state to which an update adds variables."""

NNX_MISSING = "remove it from the model, too, before the learner is made: nnx.pop"
"""What is said of an NNX state from which an update removes variables."""

ROUNDS = 4
"""Traces in which the weakly typed leaves of a state get their dtypes; each may change those of others."""


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
        inner = self.update
        while isinstance(inner, GroupUpdate):
            inner = inner.update
        noted = isinstance(inner, LossUpdate)  # which makes notes of what it calls itself
        arguments = {"state": state, "batch": source}
        with (
            contextlib.nullcontext() if noted else calling("update(state, batch, rate)", "`update` of the learner", **arguments)
        ):
            returned = self.update(state, source, rate)
        if isinstance(returned, tuple) and len(returned) == 2:
            return jax.tree.map(strong, returned[0]), returned[1]
        return returned


def signature(batch: Any) -> Hashable:
    """What programs for a batch are chosen by: its structure, and the shapes, dtypes and weak types in it."""
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple(map(jax.typeof, leaves))


class Updates:
    """The update that some learners share, traced for each shape of batch that it meets.

    Attributes:
      states: of the learners. Leaves that were weakly typed, such as a Python 0, have the dtypes that the update gives them.
      first: the update of the first learner on the first batch.
      traced: the same of all different learners.

    Raises: TypeError or ValueError if an update does not return a state like the one it got, and a loss; ValueError if learners
      have other updates.
    """

    def __init__(self, caller: str, learners: Sequence[Learner], batches: Any, batch: Any, key: Any, mesh: Mesh | None = None):
        self._owner, self._learners, self._batches, self._key, self._mesh = caller, learners, batches, key, mesh
        self._drawn = isinstance(batches, ArrayBatches | SampledBatches)
        for learner in learners:
            _check_state(caller, learner)
        self._states = {id(learner): learner.state for learner in learners}
        self._first_batch = batch
        self._programs: dict[Hashable, tuple[Program, list[Any]]] = {}
        source = "drawn from `data`" if self._drawn else "batch 1 of `data`"
        self.traced = self._trace(batch, source, settle=True)
        self.first = self.traced[0]
        self.states = [self._states[id(learner)] for learner in learners]
        self._add(batch, self.traced)

    def of(self, batch: Any = None, place: str = "") -> tuple[Program, list[Any]]:
        """The program for a batch of an iterable, and the arrays that it closes over; for drawn batches, the one there is.

        Args:
          place: which batch it is, for errors.

        Raises: ValueError if it is of another shape than `MOST` before.
        """
        kind = None if self._drawn else signature(batch)
        if kind not in self._programs:
            if len(self._programs) == MOST:
                remedy = "pad batches to a few lengths (buckets), for each shape compiles a program"
                shown = Shown(f"{shapes_of(batch)} as {place}")
                raise argument_error(
                    ValueError, self._owner, "data", f"batches of at most {MOST} different shapes", shown, remedy
                )
            self._add(batch, self._trace(batch, f"{place} of `data`", settle=False))
        return self._programs[kind]

    def first_call(self) -> tuple[Program, list[Any], Callable[[int], Any]]:
        """The program for the first batch, the arrays that it closes over, and what it draws a batch of any number from."""
        program, consts = self.of(self._first_batch)
        if not self._drawn:
            return program, consts, lambda number: self._first_batch
        arrays, order = jax.tree.leaves(self._batches), self._batches.order(self._key)
        return program, consts, lambda number: (arrays, order, np.int32(number))

    def _add(self, batch: Any, traced: list[Traced]) -> None:
        if not all(one.outline.same(traced[0].outline) for one in traced[1:]):
            remedy = "put what differs into its state, or make it with lrax.Learner.create"
            needs = "a function whose learners have one update"
            raise argument_error(ValueError, self._owner, "initialize", needs, list(self._learners), remedy)
        program, consts = traced[0].program, traced[0].consts
        kind = None if self._drawn else signature(batch)
        self._programs[kind] = program, consts if self._mesh is None else everywhere(consts, self._mesh)

    def _trace(self, batch: Any, source: str, settle: bool) -> list[Traced]:
        """The update of each different learner on a batch."""
        was = first = ""
        if not settle and not self._drawn:
            first = f", where the first was {shapes_of(self._first_batch)}"
            was = f"; this was {source}, {shapes_of(batch)}{first}"
        different = {id(one): one for one in self._learners}
        with called_by(self._owner, source + first):
            return [self._trace_one(one, batch, was, settle) for one in different.values()]

    def _trace_one(self, learner: Learner, batch: Any, was: str, settle: bool) -> Traced:
        step = Step(learner.update, self._drawn, jax.tree.structure(self._batches if self._drawn else ()))
        source = (jax.tree.leaves(self._batches), self._batches.order(self._key), np.int32(0)) if self._drawn else batch
        for _ in range(ROUNDS if settle else 1):
            before = self._states[id(learner)]
            state = jax.tree.map(jnp.asarray, before)
            traced = _traced(self._owner, learner, step, state, source)
            self._states[id(learner)] = settled(before, traced.returned) if settle else before
            if signature(self._states[id(learner)]) == signature(before):
                break
        check_returned(self._owner, self._states[id(learner)], traced.returned, was)
        if settle:
            check_rate(self._owner, traced.closed, len(jax.tree.leaves(state)))
        return traced


def settled(state: Any, returned: Any) -> Any:
    """A state whose weakly typed leaves have the dtypes of those that an update returned, as in the carry of `jax.lax.scan`."""
    new = returned[0] if isinstance(returned, tuple) and len(returned) == 2 else None
    before: Any = jax.tree.structure(state)
    if before != jax.tree.structure(new):
        return state

    def one(old: Any, after: Any) -> Any:
        if not jax.typeof(old).weak_type or np.shape(old) != after.shape:
            return old
        changes = jax.dtypes.result_type(old) != after.dtype == jnp.result_type(old, after.dtype)
        return jnp.asarray(old, after.dtype) if changes else old

    return jax.tree.map(one, state, new)


def _check_state(caller: str, learner: Learner) -> None:
    """Raises for what is not a learner, or for one whose memory was given away."""
    if not isinstance(learner, Learner):
        raise argument_error(TypeError, caller, "learner", "a lrax.Learner", learner, "make one with lrax.Learner.create")
    arrays = [leaf for leaf in jax.tree.leaves(learner.state) if isinstance(leaf, jax.Array) and not is_traced(leaf)]
    if any(leaf.is_deleted() for leaf in arrays):
        remedy = "a run with donate=True has given it away; make a learner from fresh arrays"
        raise argument_error(
            ValueError, caller, "learner", "a learner whose state still has its memory", "deleted arrays", remedy
        )


def _traced(caller: str, learner: Learner, step: Step, state: Any, source: Any) -> Traced:
    """The update of a learner at a traced learning rate.

    Raises: TypeError if it asks for the number of the learning rate.
    """
    rate = jax.ShapeDtypeStruct((), jnp.float32)  # type: ignore[no-untyped-call]  # jax
    try:
        return trace(step, state, rate, source, caller=learner)
    except NEEDS_NUMBERS as error:
        if not _takes_numbers(step, state, source):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TypeError(
            f"{caller}: the learner's update must take a traced learning rate, and it raised: {reason}; "
            "compute with jnp, without float(), int(), NumPy or `if` on the learning rate"
        ) from error


def _takes_numbers(step: Step, state: Any, source: Any) -> bool:
    """Whether an update runs at a learning rate that is a number, so that what it asks of a traced one is to blame."""
    try:
        jax.eval_shape(lambda state, source: step(state, np.float32(1e-3), source), state, source)  # type: ignore[arg-type]
    except Exception:  # whatever a user's update raises: then it asks for other numbers too
        return False
    return True


def check_rate(caller: str, closed: Any, leaves: int) -> None:
    """Raises if no rate, given at any update, can reach a state of so many leaves: every rate would train alike."""
    if not reaches(closed, [leaves], range(leaves), carried=leaves):
        raise ValueError(
            f"{caller}: the learner's new state must depend on the rate, and it does not, so that all rates would train alike; "
            "make the optimizer from the rate that its factory is given: optax.adam or lambda rate: optax.adam(rate, b1=0.8)"
        )


def check_returned(caller: str, state: Any, returned: Any, was: str = "") -> None:
    """Raises if an update does not return a state like `state`, and a loss; `was` tells of the batch."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"{caller}: the learner's update must return (state, loss), got {type(returned).__name__}{was}")
    new, loss = returned
    if not hasattr(loss, "shape"):
        found = type(loss).__name__
        raise TypeError(f"{caller}: the learner's update must return (state, loss), got {found} in place of the loss{was}")
    if loss.shape != ():
        raise ValueError(f"{caller}: the loss must be a scalar, got shape {loss.shape}; average it over the batch{was}")
    if jnp.issubdtype(loss.dtype, jnp.complexfloating):
        raise TypeError(f"{caller}: the loss must be real, got {loss.dtype}; give its absolute value, say{was}")
    before: Any = jax.tree.structure(state)
    if before != jax.tree.structure(new):
        found = differences(new, state, "state")
        remedies = {"is new": f"; {NNX}", "is missing": f"; {NNX_MISSING}"} if _is_nnx(new) else {}
        remedy = next((remedy for sign, remedy in remedies.items() if sign in found), "")
        raise ValueError(f"{caller}: the learner's update must return a state of the same structure: {found}{remedy}{was}")
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(new), strict=True)
    if any((np.shape(old), jax.dtypes.result_type(old)) != (changed.shape, changed.dtype) for old, changed in pairs):
        found = differences(new, state, "state")
        raise ValueError(f"{caller}: the learner's update must keep the state's shapes and dtypes: {found}{was}")


def _is_nnx(state: Any) -> bool:
    """Whether a state holds one of Flax NNX."""
    kind = getattr(sys.modules.get("flax.nnx"), "State", None)
    found = []

    def look(node: Any) -> bool:
        found.append(kind is not None and isinstance(node, kind))
        return False

    jax.tree.leaves(state, is_leaf=look)
    return any(found)


def check_learner(caller: str, learner: Learner, key: Any) -> None:
    """Raises if a learner or a key is none, or is traced: a runner chooses drivers and reads results on the host."""
    if any_traced((key, getattr(learner, "state", None))):
        remedy = "inside jit, vmap and scan use lrax.range_test, which is pure"
        raise argument_error(TypeError, caller, "learner and key", "arrays, not traced", learner, remedy)
    if key is None:
        return
    try:
        jax.eval_shape(jax.random.fold_in, key, 0)
    except (TypeError, ValueError) as error:
        raise argument_error(TypeError, caller, "key", "a random key", key, "give jax.random.key(0)") from error


def check_donated(caller: str, state: Any, donate: bool) -> None:
    """Raises if memory that two leaves share would be given away twice."""
    leaves = [id(leaf) for leaf in jax.tree.leaves(state)]
    if donate and len(set(leaves)) < len(leaves):
        remedy = "copy one of them with jnp.copy"
        raise argument_error(ValueError, caller, "donate", "False where two leaves of the state are one array", donate, remedy)
