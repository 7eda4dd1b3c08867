"""A learner's step on its data: traced and checked before anything is compiled, once for each shape of batch."""

import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax.extend.core import ClosedJaxpr
from jax.sharding import Mesh

from lrax.fields._errors import NEEDS_NUMBERS, Shown, any_traced, argument_error, is_key, is_traced
from lrax.fields._rules import PyTree, whole_number
from lrax.optimizers._difference import differences
from lrax.training._batches import ArrayBatches, SampledBatches
from lrax.training._core import StepFn, strong
from lrax.training._learner import Learner, LossStep
from lrax.training._memory import everywhere
from lrax.training._notes import called_by, calling, shapes_of
from lrax.training._probes import GroupStep
from lrax.training._programs import Consts, Program, Traced, reaches, same_program, trace

MOST = 32
"""Shapes that the batches of one call may have.

Each compiles a program, which takes a second or more, so data of endlessly many lengths would never end. Sorted into buckets
whose lengths grow by a fifth, batches from 8 to 2,000 long have 31 shapes.
"""

LONGEST = 256
"""Batches that are tried, at most, to find how many make a step of `optax.MultiSteps`."""

ROUNDS = 4
"""Traces in which the weakly typed leaves of a state get their dtypes; each may change those of others."""

NNX = (
    "take values that a call of the model makes, such as sown ones, out of it in the loss: nnx.pop(model, nnx.Intermediate), "
    "or the class of the variable"
)
NNX_MISSING = "remove it from the model, too, before the learner is made: nnx.pop"
"""What to do where a step adds variables to an NNX state, or removes them."""


@dataclasses.dataclass(frozen=True)
class DrawnStep:
    """A step together with the drawing of its batch, as a pure function of arrays; equal for equal parts.

    Attributes:
      step: the learner's.
      draws: whether batches are drawn, or given.
      structure: that of the `ArrayBatches` or `SampledBatches`, whose leaves are given at each call.
    """

    step: StepFn
    draws: bool
    structure: PyTree

    def __call__(self, state: PyTree, source: PyTree, lr: jax.Array) -> tuple[PyTree, jax.Array]:
        """The state and the loss after a step on a batch, or on one that is drawn from `(arrays, order, number)`."""
        if self.draws:
            arrays, order, number = source
            source = jax.tree.unflatten(self.structure, arrays).fetch(order, number)
        inner = self.step
        while isinstance(inner, GroupStep):
            inner = inner.step
        notes = calling("step(state, batch, lr)", "`step` of the learner", state=state, batch=source)
        with contextlib.nullcontext() if isinstance(inner, LossStep) else notes:  # it adds notes about what it calls itself
            returned: Any = self.step(state, source, lr)
        if isinstance(returned, tuple) and len(returned) == 2:
            return jax.tree.map(strong, returned[0]), returned[1]
        return returned


def signature(batch: PyTree) -> Hashable:
    """What programs for a batch are chosen by: its structure, and the shapes, dtypes and weak types in it."""
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple(map(jax.typeof, leaves))


class Steps:
    """The step that some learners share, traced for each shape of batch that it meets.

    Attributes:
      states: of the learners. Leaves that were weakly typed, such as a Python 0, have the dtypes that the step gives them.
      first: the step of the first learner on the first batch.
      traced: the same of all different learners.

    Raises: TypeError or ValueError if a step does not return a state like the one it got, and a loss; ValueError if learners
      have different steps.
    """

    def __init__(
        self, caller: str, learners: Sequence[Learner], batches: PyTree, batch: PyTree, key: PyTree, mesh: Mesh | None = None
    ) -> None:
        self._caller, self._learners, self._batches, self._key, self._mesh = caller, learners, batches, key, mesh
        self._drawn = isinstance(batches, ArrayBatches | SampledBatches)
        for learner in learners:
            _check_state(caller, learner)
        self._states = {id(learner): learner.state for learner in learners}
        self._first_batch = batch
        self._programs: dict[Hashable, tuple[Program, Consts]] = {}
        self.traced = self._trace(batch, "drawn from `data`" if self._drawn else "batch 1 of `data`", settle=True)
        self.first = self.traced[0]
        self.states = [self._states[id(learner)] for learner in learners]
        self._add(batch, self.traced)

    def of(self, batch: PyTree = None, place: str = "") -> tuple[Program, Consts]:
        """The program `(consts, state, source, lr) -> (state, loss)` for a batch, and the arrays that it closes over.

        Args:
          batch: of an iterable; drawn batches have one program.
          place: which batch it is, for errors.

        Raises: ValueError if it is of another shape than `MOST` before.
        """
        shape = None if self._drawn else signature(batch)
        if shape not in self._programs:
            if len(self._programs) == MOST:
                remedy = "pad batches to a few lengths (buckets), for each shape compiles a program"
                shown = Shown(f"{shapes_of(batch)} as {place}")
                needs = f"batches of at most {MOST} different shapes"
                raise argument_error(ValueError, self._caller, "data", needs, shown, remedy)
            self._add(batch, self._trace(batch, f"{place} of `data`", settle=False))
        return self._programs[shape]

    def of_first(self) -> tuple[Program, Consts]:
        """The same for the first batch."""
        return self.of(self._first_batch)

    def source(self, number: int) -> PyTree:
        """What the program for the first batch draws a batch of any number from."""
        if not self._drawn:
            return self._first_batch
        return jax.tree.leaves(self._batches), self._batches.order(self._key), np.int32(number)

    def _add(self, batch: PyTree, traced: list[Traced]) -> None:
        if not all(same_program(one.closed, traced[0].closed) for one in traced[1:]):
            remedy = "put what differs into its state, or make it with lrax.Learner.create"
            needs = "a function whose learners have one step function"
            raise argument_error(ValueError, self._caller, "initialize", needs, list(self._learners), remedy)
        program, consts = traced[0].program, traced[0].consts
        shape = None if self._drawn else signature(batch)
        self._programs[shape] = program, consts if self._mesh is None else everywhere(consts, self._mesh)

    def _trace(self, batch: PyTree, source: str, settle: bool) -> list[Traced]:
        """The step of each different learner on a batch."""
        was = first = ""
        if not settle and not self._drawn:
            first = f", where the first was {shapes_of(self._first_batch)}"
            was = f"; this was {source}, {shapes_of(batch)}{first}"
        different = {id(one): one for one in self._learners}
        with called_by(self._caller, source + first):
            return [self._trace_one(one, batch, was, settle) for one in different.values()]

    def _trace_one(self, learner: Learner, batch: PyTree, was: str, settle: bool) -> Traced:
        step = DrawnStep(learner.step, self._drawn, jax.tree.structure(self._batches if self._drawn else ()))
        source = self.source(0) if self._drawn else batch
        for _ in range(ROUNDS if settle else 1):
            before = self._states[id(learner)]
            state = jax.tree.map(jnp.asarray, before)
            traced = _traced(self._caller, learner, step, state, source)
            self._states[id(learner)] = settled(before, traced.returned) if settle else before
            if signature(self._states[id(learner)]) == signature(before):
                break
        check_returned(self._caller, self._states[id(learner)], traced.returned, was)
        if settle:
            _check_lr(self._caller, traced.closed, len(jax.tree.leaves(state)))
        return traced


def settled(state: PyTree, returned: PyTree) -> PyTree:
    """A state whose weakly typed leaves have the dtypes of those that a step returned, as in the carry of `jax.lax.scan`."""
    new = returned[0] if isinstance(returned, tuple) and len(returned) == 2 else None
    before: jax.tree_util.PyTreeDef = jax.tree.structure(state)
    if before != jax.tree.structure(new):
        return state

    def one(old: npt.ArrayLike, after: jax.ShapeDtypeStruct) -> npt.ArrayLike:
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
        needs, shown = "a learner whose state still has its memory", Shown("deleted arrays")
        remedy = "a run with donate=True has given it away; make a learner from fresh arrays"
        raise argument_error(ValueError, caller, "learner", needs, shown, remedy)


def _traced(caller: str, learner: Learner, step: DrawnStep, state: PyTree, source: PyTree) -> Traced:
    """The step of a learner at a traced learning rate; raises TypeError if it needs a concrete one."""
    lr = jax.ShapeDtypeStruct((), jnp.float32)  # type: ignore[no-untyped-call]  # jax
    try:
        return trace(step, state, source, lr, caller=learner)
    except NEEDS_NUMBERS as error:
        try:
            jax.eval_shape(lambda state, source: step(state, source, np.float32(1e-3)), state, source)  # type: ignore[arg-type]
        except Exception:  # whatever a user's step raises: then it asks for other numbers too
            raise error from None
        reason = str(error).strip().partition("\n")[0]
        raise TypeError(
            f"{caller}: the learner's step must take a traced learning rate, and it raised: {reason}; "
            "compute with jnp, without float(), int(), NumPy or `if` on the learning rate"
        ) from error


def _check_lr(caller: str, closed: ClosedJaxpr, leaves: int) -> None:
    """Raises if the learning rate cannot reach a state of that many leaves: every learning rate would train alike."""
    if not reaches(closed, [len(closed.jaxpr.invars) - 1], range(leaves), carried=leaves):
        raise ValueError(
            f"{caller}: the learner's new state must depend on the learning rate, and it does not: all would train alike; "
            "make the optimizer from what its factory is given: optax.adam or lambda lr: optax.adam(lr, b1=0.8)"
        )


def check_returned(caller: str, state: PyTree, returned: PyTree, was: str = "") -> None:
    """Raises if a step does not return a state like `state`, and a loss; `was` describes the batch."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"{caller}: the learner's step must return (state, loss), got {type(returned).__name__}{was}")
    new, loss = returned
    if not hasattr(loss, "shape"):
        found = type(loss).__name__
        raise TypeError(f"{caller}: the learner's step must return (state, loss), got {found} in place of the loss{was}")
    if loss.shape != ():
        raise ValueError(f"{caller}: the loss must be a scalar, got shape {loss.shape}; average it over the batch{was}")
    if jnp.issubdtype(loss.dtype, jnp.complexfloating):
        raise TypeError(f"{caller}: the loss must be real, got {loss.dtype}; give its absolute value, say{was}")
    before: jax.tree_util.PyTreeDef = jax.tree.structure(state)
    if before != jax.tree.structure(new):
        found = differences(new, state, "state")
        remedies = {"is new": f"; {NNX}", "is missing": f"; {NNX_MISSING}"} if _is_nnx(new) else {}
        remedy = next((remedy for sign, remedy in remedies.items() if sign in found), "")
        raise ValueError(f"{caller}: the learner's step must return a state of the same structure: {found}{remedy}{was}")
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(new), strict=True)
    if any((np.shape(old), jax.dtypes.result_type(old)) != (changed.shape, changed.dtype) for old, changed in pairs):
        found = differences(new, state, "state")
        raise ValueError(f"{caller}: the learner's step must keep the state's shapes and dtypes: {found}{was}")


def _is_nnx(state: PyTree) -> bool:
    """Whether a state contains one of Flax NNX."""
    state_class = getattr(sys.modules.get("flax.nnx"), "State", None)
    return state_class is not None and any(
        isinstance(node, state_class) for node in jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, state_class))
    )


def check_learner(caller: str, learner: Learner, key: object) -> None:
    """Raises if a learner or a key is not one, or is traced: the driver chooses loops and reads results on the host."""
    if any_traced((key, getattr(learner, "state", None))):
        remedy = "inside jit, vmap and scan use lrax.range_test, which is pure"
        raise argument_error(TypeError, caller, "learner and key", "arrays, not traced", learner, remedy)
    if key is None:
        return
    try:
        jax.eval_shape(jax.random.fold_in, key, 0)
    except (TypeError, ValueError) as error:
        raise argument_error(TypeError, caller, "key", "a random key", key, "give jax.random.key(0)") from error


Pair: TypeAlias = tuple[int | jax.Array, int | jax.Array]
"""The two counts of an `optax.MultiSteps`."""


class Counts(NamedTuple):
    """Where an `optax.MultiSteps` is.

    Attributes:
      place: of its state.
      mini_step, gradient_step: its counts.
      outer: whether there is another inside it, whose steps count in place of those of this one.
      inner: whether it is inside another.
      skips: whether it may skip batches.
    """

    place: str
    mini_step: int | jax.Array
    gradient_step: int | jax.Array
    outer: bool
    inner: bool
    skips: bool

    def has_made(self, begun: "Counts") -> bool:
        """Whether a round of batches that began there has ended here, with one step."""
        return bool(self.mini_step == begun.mini_step and self.gradient_step - begun.gradient_step == 1)


def check_accumulate(caller: str, steps: Steps, accumulate: int) -> int:
    """`accumulate` as an integer; raises unless each `optax.MultiSteps` in the state makes one step of that many batches.

    After that many batches its `gradient_step` must have grown by 1 and its `mini_step` be where it was. Where one is inside
    another, the inner one has to have made one step. The counts go on from the state at hand, so a number of batches that
    changes along the run is checked for the first step alone. One that skips a batch by its own rule, or that the step does
    not call, passes.
    """
    accumulate = whole_number(caller, "accumulate", accumulate)
    begun = _concrete(multi_steps(steps.states[0], "state"))
    if not begun:
        return accumulate
    rounds, counts_after = [begun], _counter(steps)
    for number in range(accumulate):
        rounds.append(counts_after(rounds[-1], number))
    whole = 0  # the index of the outermost of those that are inside one another
    for i, before in enumerate(begun):
        whole = whole if before.inner else i
        still = [one[whole] == last[whole] for last, one in itertools.pairwise(rounds)]
        after = rounds[accumulate][i]
        right = after.has_made(before) if not before.outer else after.mini_step == before.mini_step
        if right or all(still) or (begun[whole].skips and any(still)):
            continue
        innermost = next(j for j in range(i, len(begun)) if not begun[j].outer)
        while not any(one[innermost].has_made(begun[innermost]) for one in rounds[1:]) and len(rounds) <= LONGEST:
            rounds.append(counts_after(rounds[-1], len(rounds) - 1))
        made = (str(n) for n, one in enumerate(rounds) if n and one[innermost].has_made(begun[innermost]))
        needs = f"{next(made, f'more than {LONGEST}')}, the batches of step {begun[innermost].gradient_step} of the "
        remedy = "give the number of batches to one optimizer step"
        raise argument_error(ValueError, caller, "accumulate", f"{needs}optax.MultiSteps at {before.place}", accumulate, remedy)
    return accumulate


def _concrete(counts: list[Counts]) -> list[Counts]:
    """Counts as integers; those of traced states count as 0, as in a fresh state."""
    pairs = [[0 if is_traced(count) else int(count) for count in (one.mini_step, one.gradient_step)] for one in counts]
    return [one._replace(mini_step=mini, gradient_step=step) for one, (mini, step) in zip(counts, pairs, strict=True)]


def _counter(steps: Steps) -> Callable[[list[Counts], int], list[Counts]]:
    """A function of counts and the number of a batch: the counts after it. Traced arrays count as zeros. Nothing is trained."""
    program, consts = steps.of_first()
    with jax.ensure_compile_time_eval():
        consts, state = jax.tree.map(_stand_in, (consts, steps.states[0]))
    counted = program.jitted(_counted)

    def after(counts: list[Counts], number: int) -> list[Counts]:
        pairs = [(one.mini_step, one.gradient_step) for one in counts]
        with jax.ensure_compile_time_eval():
            found = jax.device_get(counted(consts, state, pairs, jax.tree.map(_stand_in, steps.source(number))))
        both = zip(counts, found, strict=True)
        return [one._replace(mini_step=int(mini), gradient_step=int(step)) for one, (mini, step) in both]

    return after


def multi_steps(tree: PyTree, place: str, inner: bool = False) -> list[Counts]:
    """The states of `optax.MultiSteps` in a pytree, each followed by those inside it."""
    found = []
    for path, node in jax.tree.leaves_with_path(tree, is_leaf=_is_multi_steps):
        if _is_multi_steps(node):
            where = place + jax.tree_util.keystr(path)
            inside = multi_steps(node.inner_opt_state, f"{where}.inner_opt_state", inner=True)
            skips = bool(jax.tree.leaves(node.skip_state))
            found += [Counts(where, node.mini_step, node.gradient_step, bool(inside), inner, skips), *inside]
    return found


def _is_multi_steps(node: object) -> bool:
    return isinstance(node, optax.MultiStepsState)


def _counted(program: Program, consts: Consts, state: PyTree, pairs: list[Pair], source: PyTree) -> list[Pair]:
    """The counts after a batch, begun from `pairs`. The compiler drops the rest of the step, which they do not depend on."""
    rest = iter(pairs)

    def put(node: PyTree) -> PyTree:
        if not _is_multi_steps(node):
            return node
        mini_step, gradient_step = (jnp.asarray(new, old.dtype) for new, old in zip(next(rest), node[:2], strict=True))
        inner = jax.tree.map(put, node.inner_opt_state, is_leaf=_is_multi_steps)
        return node._replace(mini_step=mini_step, gradient_step=gradient_step, inner_opt_state=inner)

    new, _ = program(consts, jax.tree.map(put, state, is_leaf=_is_multi_steps), source, jnp.zeros((), jnp.float32))
    return [(one.mini_step, one.gradient_step) for one in multi_steps(new, "")]


def _stand_in(leaf: jax.Array) -> jax.Array:
    """A concrete array, or zeros in the place of a traced one."""
    if not is_traced(leaf):
        return leaf
    return jax.random.key(0, impl=jax.random.key_impl(leaf)) if is_key(leaf) else jnp.zeros(leaf.shape, leaf.dtype)
