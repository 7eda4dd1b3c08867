"""The host driver: trains runs of a learner on any data, as far as its caller asks.

It calls `train` of `_core` in segments, or its `step` from Python once a batch: for iterables, for progress bars, and for
convolutions on the CPU, whose gradients XLA runs many times slower inside any loop or branch. Both give the same curves.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lrax.fields._errors import argument_error, choice
from lrax.fields._rules import PyTree, whole_number
from lrax.schedules._base import RateFunction
from lrax.training._batches import BEFORE, ENDED, ArrayBatches, DataNotes, SampledBatches, Stream, as_batches, fault_of
from lrax.training._core import (
    NEVER,
    PROGRESS,
    RUNNING,
    UNSMOOTHED,
    Floats,
    Reason,
    Run,
    StopRule,
    finish,
    measured_by,
    start,
    step_all,
    strong,
    train,
)
from lrax.training._evaluating import Evaluation, Evaluator, make_evaluator
from lrax.training._learner import Learner
from lrax.training._memory import (
    Plan,
    check_mesh,
    even,
    everywhere,
    on_host,
    plan_runs,
    put,
    run_side_by_side,
    spans_devices,
    tree_bytes,
)
from lrax.training._programs import Consts, Program, call, has_convolution
from lrax.training._steps import Steps, check_accumulate

Loop: TypeAlias = Literal["scan", "python"]

EVERY, LATE = 8, 4
"""How often, in batches, the host reads whether runs have stopped, and of how many batches before: the device never waits.

Reading at every step costs 3 % of one of LeNet's on two cores, where the host takes its time from the device.
"""

FEW = 16
"""How many states are stacked by one program: one with an argument for each of a thousand would compile for a minute."""


Rows: TypeAlias = list[list[jax.Array]]
"""By stack what its steps measured, one array a step."""


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt while runs were trained.

    Attributes:
      runs: the runs so far, without their states.
      found: the result so far, for whoever catches it.
    """

    def __init__(self, runs: Sequence[Run] = (), found: object = None) -> None:
        super().__init__()
        self.runs, self.found = list(runs), found


@dataclasses.dataclass(frozen=True)
class Source:
    """Where batches come from.

    Attributes:
      data: a pytree of arrays with a common leading axis, with `batch_size`; a sampler `key -> batch`; an iterable of batches.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays.
      transform: a function of every batch.
      accumulate: batches to one optimizer step.
    """

    data: PyTree
    key: jax.Array | None = None
    batch_size: int | None = None
    transform: Callable[[PyTree], PyTree] | None = None
    accumulate: int = 1


@dataclasses.dataclass(frozen=True)
class Execution:
    """How runs are executed; this changes their speed and memory, not their results.

    Args:
      loop: `"scan"` runs all steps in one program, `"python"` calls the compiled step; None for what suits the data and the
        platform.
      max_parallel: how many runs are trained at a time under `vmap`, the rest in turn; None for what is fast and fits.
      donate: whether the memory of the learner's state is given away.
      mesh: a device mesh over which runs are divided.
      axis: the axis of the mesh.

    Raises: TypeError or ValueError for an option that is not one of these.

    >>> Execution(max_parallel=8).max_parallel
    8
    """

    loop: Loop | None = None
    max_parallel: int | None = None
    donate: bool = False
    mesh: Mesh | None = None
    axis: str = "runs"

    def __post_init__(self) -> None:
        if self.loop is not None:
            choice("Execution", "loop", self.loop, ("scan", "python"))
        if self.max_parallel is not None:
            object.__setattr__(self, "max_parallel", whole_number("Execution", "max_parallel", self.max_parallel))
        check_mesh("Execution", self.mesh, self.axis)


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What stays the same between the runs of one call: the learner's step, its data, and how steps are executed.

    Attributes:
      steps: the learner's step, with the drawing of its batch; None if an iterable yields nothing.
      states: of the learners, where runs begin.
      batches: drawn inside programs, or a `Stream`.
      accumulate: batches to one optimizer step.
      capacity: the most steps of a run that a program measures.
      execution: how runs are executed.
      python: whether steps are called from Python.
      in_turn: whether runs are slow under vmap.
      one_program: whether only one program may run at a time.
      evaluator: how runs are evaluated, if they are.
      notes: what results report about the data.
      report: called with how many more batches are done, as training goes on.
      looked: batches that were examined because their loss was not finite: their number, and the order that drew them.
    """

    steps: Steps | None
    states: list[PyTree]
    batches: Any
    accumulate: int
    capacity: int
    execution: Execution
    python: bool
    in_turn: bool
    one_program: bool
    evaluator: Evaluator | None
    report: Callable[[int], None]
    notes: DataNotes
    looked: set[tuple[int, int]] = dataclasses.field(default_factory=set)

    @property
    def reads_on(self) -> bool:
        """Whether the batches come from an iterable, which cannot be read twice."""
        return isinstance(self.batches, Iterator)

    def order(self, key: jax.Array | None) -> PyTree:
        """What the batches of a run are drawn by: runs with the same object see the same batches."""
        return None if self.reads_on else self.batches.order(key)

    def start(
        self,
        schedule: RateFunction,
        *,
        state: PyTree = None,
        smoothing: RateFunction = UNSMOOTHED,
        stop: StopRule = NEVER,
        order: PyTree = None,
    ) -> Run:
        """A run before its first step, by default from the state of the first learner."""
        return start(self.states[0] if state is None else state, schedule, smoothing=smoothing, stop=stop, order=order)

    def evaluated_at_end(self) -> "Trainer":
        """The same, evaluating only where it trains to."""
        return dataclasses.replace(self, evaluator=self.evaluator and dataclasses.replace(self.evaluator, every=None))

    def score(self, run: Run, tail: float, since: int = 0) -> float:
        """What runs are ranked by, lower is better: their metric at the end if they are evaluated, else their end loss."""
        loss = run.end_loss(tail, since)
        if self.evaluator is None or math.isinf(loss):
            return loss
        return self.evaluator.score(run.end_metric(tail, since))

    def plan(self, runs: Sequence[Run]) -> Plan:
        """How many of these runs are trained at a time."""
        if self.execution.mesh is not None:
            axis = self.execution.axis
            places = self.execution.mesh.shape[axis]
            return Plan(-(-len(runs) // places) * places, 1, f"divided over the {places} places of axis {axis!r}")
        if self.execution.max_parallel is not None:
            return Plan(min(self.execution.max_parallel, len(runs)), 1, "as given")
        return plan_runs(tree_bytes(runs[0].state), len(runs), self.in_turn, self.one_program)

    def train(self, runs: Sequence[Run], until: int) -> list[Run]:
        """The runs after `until` steps, or where they stopped before, with their histories and evaluations.

        Runs of the same `order` see the same batches; those of an iterable are what it yields next, the same for all runs that
        have made the same number of steps.

        Raises: Interrupted for a KeyboardInterrupt, with the runs so far.
        """
        if self.steps is None:
            return [finish(run, Reason.DATA_ENDED) for run in runs]
        after = list(runs)
        due: dict[int, list[int]] = {}
        for i, run in enumerate(runs):
            if run.why is None and run.steps < until:
                due.setdefault(int(run.steps), []).append(i)
        for begun, indices in sorted(due.items()):
            plan = self.plan([runs[i] for i in indices])
            for stop in [until] if self.evaluator is None else self.evaluator.stops(begun, until):
                try:  # runs that stop on the way stay in their group, so that the next segment has the same program
                    group = self._segment([after[i] for i in indices], stop, plan)
                    group = group if self.evaluator is None else self.evaluator(group)
                except Interrupted as interrupt:
                    by_index = dict(zip(indices, interrupt.runs, strict=True))
                    interrupt.runs = [by_index.get(i, run) for i, run in enumerate(after)]
                    raise
                for i, run in zip(indices, group, strict=True):
                    after[i] = run
        return after

    def _segment(self, runs: list[Run], until: int, plan: Plan) -> list[Run]:
        """`train` for runs that have made the same number of steps, or have stopped before."""
        size = even(len(runs), plan.runs) if self.execution.mesh is None else plan.runs
        same = size > 1 and all(run.order is runs[0].order for run in runs)
        groups = [runs[begin : begin + size] for begin in range(0, len(runs), size)]
        going = [group for group in groups if any(run.why is None for run in group)]
        if not going:
            return runs
        stacks = [self._placed(stacked(group, size, same), size, same) for group in going]
        begun, read = max(int(run.steps) for run in runs), self.batches.read if self.reads_on else 0
        sizes = list(map(len, going))
        interrupt = None
        try:
            ended = (self._python if self.python else self._scan)(stacks, sizes, begun, until, same, plan.programs)
        except Interrupted as caught:
            ended, interrupt = caught.runs, caught
        for group, stack in zip(going, ended, strict=True):
            parts = [stack] if size == 1 else unstacked(stack, size, same)
            for i, (before, part) in enumerate(zip(list(group), parts, strict=False)):
                group[i] = _continued(before, part)
                if before.why is None and interrupt is None:
                    self._look_at_batch(group[i], read - begun * self.accumulate)
        if interrupt is not None:
            interrupt.runs = [run for group in groups for run in group]
            raise interrupt
        return [run for group in groups for run in group]

    def _placed(self, run: Run, size: int, same: bool) -> Run:
        """A stack on the mesh, if there is one: its runs divided, their common order everywhere."""
        mesh, axis = self.execution.mesh, self.execution.axis
        if mesh is None or size == 1:
            return run
        placed: Run = put(run._replace(order=None), mesh, axis)
        return placed._replace(order=put(run.order, mesh, *([] if same else [axis])))

    def _scan(self, stacks: list[Run], sizes: list[int], begun: int, until: int, same: bool, programs: int) -> list[Run]:
        """Each stack trained by one program."""
        assert self.steps is not None
        program, consts = self.steps.of()
        donated = 1 if self.execution.donate or jnp.ndim(stacks[0].steps) else None  # a stack is a copy of its runs
        jitted = program.jitted(train_program, self.capacity, self.accumulate, same, donated=donated)
        arrays = jax.tree.leaves(self.batches)

        def arguments(run: Run) -> tuple[PyTree, ...]:
            return consts, run.state, run._replace(state=None), arrays, np.int32(until)

        found: list[Run] = [_measured(run._replace(state=None), []) for run in stacks]  # until it is trained
        programs = min(programs, len(stacks))
        # threads do not see the caller's configuration of JAX
        train_one = jitted if programs == 1 else jitted.lower(*arguments(stacks[0])).compile()

        def run_one(place: int) -> None:
            state, progress, history = train_one(*arguments(stacks[place]))
            progress, history = on_host((progress, history))
            self.report((until - begun) * self.accumulate * sizes[place])
            found[place] = stacks[place]._replace(state=state, history=history, **progress)

        try:
            for _ in run_side_by_side(run_one, range(len(stacks)), programs):
                pass
        except KeyboardInterrupt as interrupt:
            raise Interrupted(found) from interrupt
        return found

    def _python(self, stacks: list[Run], sizes: list[int], begun: int, until: int, same: bool, programs: int) -> list[Run]:
        """Each stack trained by a call a batch; all see a batch of an iterable before the next one is read."""
        rounds = [range(len(stacks))] if self.reads_on else [range(i, i + 1) for i in range(len(stacks))]
        copies = not (self.execution.donate or jnp.ndim(stacks[0].steps))
        found = [run._replace(state=copied(run.state)) if copies else run for run in stacks]
        rows: Rows = [[] for _ in stacks]
        ended = False
        try:
            for members in rounds:
                ended = self._one_round(found, members, rows, sizes, begun, until, same)
        except KeyboardInterrupt as interrupt:
            raise Interrupted(
                [_measured(run._replace(state=None), its) for run, its in zip(found, rows, strict=True)]
            ) from interrupt
        found = [_measured(run, its) for run, its in zip(found, rows, strict=True)]
        return [finish(run, Reason.DATA_ENDED) for run in found] if ended else found

    def _one_round(
        self, found: list[Run], members: range, rows: Rows, sizes: list[int], begun: int, until: int, same: bool
    ) -> bool:
        """Trains some of the stacks; `found` and `rows` grow. Returns whether the data ended.

        The host runs ahead of the device and reads a stop a few steps after it happened; the steps in between change nothing,
        and their batches, if they come from an iterable, are dropped. Every step reuses the memory of the state before it.
        """
        assert self.steps is not None
        arrays = None if self.reads_on else jax.tree.leaves(self.batches)
        pending: collections.deque[list[jax.Array]] = collections.deque(maxlen=1 + LATE)
        for number in range(begun * self.accumulate, until * self.accumulate):
            batch = next(self.batches, ENDED) if self.reads_on else None
            if batch is ENDED:
                return True
            program, consts = self.steps.of(batch, self.batches.place if self.reads_on else "")
            jitted = program.jitted(step_program, self.accumulate, same, not self.reads_on, donated=1)
            source = batch if arrays is None else arrays
            for i in members:
                run = found[i]
                state, progress, row = jitted(
                    consts, run.state, run._replace(state=None), source, np.int32(number), np.int32(until)
                )
                found[i] = run._replace(state=state, **progress)
                if (number + 1) % self.accumulate == 0:
                    rows[i].append(row)
                self.report(sizes[i])
            pending.append([found[i].reason for i in members])
            looks = number % EVERY == 0 and len(pending) > LATE
            if looks and not any((on_host(reason) == RUNNING).any() for reason in pending[0]):
                break
        return False

    def _look_at_batch(self, run: Run, skipped: int) -> None:
        """Notes where the batch is not finite at which a run has stopped, if its loss had not begun to rise before.

        Args:
          skipped: what is added to a count of batches to get the number of one of an iterable.
        """
        if run.why is not Reason.NON_FINITE or self.notes.fault or is_rising(run.losses):
            return
        last = len(run.history) * self.accumulate
        if (last, id(run.order)) in self.looked:
            return
        self.looked.add((last, id(run.order)))
        numbers = range(max(last - self.accumulate - BEFORE, 0), last)
        if self.reads_on:
            found = [self.batches.recent(skipped + number) for number in numbers]
        else:
            found = [(f"batch {number + 1}", self.fetch(run.order, number)) for number in numbers]
        split = len(numbers) - self.accumulate
        self.notes.fault = fault_of(list(filter(None, found[split:])), list(filter(None, found[:split])))

    def fetch(self, order: PyTree, number: int) -> PyTree:
        """A drawn batch."""
        leaves, structure = jax.tree.flatten(self.batches)

        def fetch(leaves: PyTree, order: PyTree, number: jax.Array) -> PyTree:
            return jax.tree.unflatten(structure, leaves).fetch(order, number)

        return call(fetch, leaves, order, np.int32(number))


def make_trainer(
    caller: str,
    learners: Sequence[Learner],
    source: Source,
    *,
    capacity: int,
    execution: Execution = Execution(),
    evaluation: Evaluation | None = None,
    report: Callable[[int], None] = lambda batches: None,
) -> Trainer:
    """Checks the data and the learners, which share a step function, before anything is compiled."""
    batches = as_batches(caller, source.data, source.batch_size, source.transform)
    drawn, mesh, loop = isinstance(batches, ArrayBatches | SampledBatches), execution.mesh, execution.loop
    if loop == "scan" and not drawn:
        remedy = "leave it out: the data is an iterable, which only Python can read"
        raise argument_error(ValueError, caller, "loop", "'python' for an iterable", loop, remedy)
    if drawn and source.key is None:
        raise argument_error(ValueError, caller, "key", "given with arrays and samplers", None, "give jax.random.key(0)")
    batch, notes = None, DataNotes()
    if not isinstance(batches, ArrayBatches | SampledBatches):
        batches = Stream(caller, batches, source.transform, notes)
        batch = batches.peek()
    steps = None if batch is ENDED else Steps(caller, learners, batches, batch, source.key, mesh)
    states = [learner.state for learner in learners] if steps is None else steps.states
    accumulate = source.accumulate if steps is None else check_accumulate(caller, steps, source.accumulate)
    _check_donated(caller, states[0], execution.donate)
    evaluator = make_evaluator(caller, evaluation, states[0])
    traced = [] if steps is None else steps.traced
    in_turn = jax.default_backend() == "cpu" and any(has_convolution(one.closed.jaxpr) for one in traced)
    python = loop == "python" or not drawn or (loop is None and in_turn)
    inside = [one.consts for one in traced]
    return Trainer(
        steps=steps,
        states=states,
        batches=everywhere(batches, mesh) if drawn and mesh is not None else batches,
        accumulate=accumulate,
        capacity=capacity,
        execution=execution,
        python=python,
        in_turn=in_turn,
        one_program=python or mesh is not None or spans_devices((states[0], batches if drawn else None, inside)),
        evaluator=evaluator,
        report=report,
        notes=notes,
    )


def _check_donated(caller: str, state: PyTree, donate: bool) -> None:
    """Raises if memory that two leaves share would be given away twice."""
    leaves = [id(leaf) for leaf in jax.tree.leaves(state)]
    if donate and len(set(leaves)) < len(leaves):
        remedy = "copy one of them with jnp.copy"
        raise argument_error(ValueError, caller, "donate", "False where two leaves of the state are one array", donate, remedy)


def train_program(
    program: Program,
    capacity: int,
    accumulate: int,
    same_batches: bool,
    consts: Consts,
    state: PyTree,
    rest: Run,
    arrays: list[PyTree],
    until: jax.Array,
) -> tuple[PyTree, dict[str, jax.Array], jax.Array]:
    """`train` of a run in two parts, its state and the rest: what changed, and the history."""
    run = train(
        functools.partial(program, consts),
        rest._replace(state=state),
        lambda order, number: (arrays, order, number),
        until,
        capacity=capacity,
        accumulate=accumulate,
        same_batches=same_batches,
    )
    return run.state, {name: getattr(run, name) for name in PROGRESS}, run.history


def step_program(
    program: Program,
    accumulate: int,
    same_batches: bool,
    draws: bool,
    consts: Consts,
    state: PyTree,
    rest: Run,
    source: PyTree,
    number: jax.Array,
    until: jax.Array,
) -> tuple[PyTree, dict[str, jax.Array], jax.Array]:
    """`step` of a run in two parts, its state and the rest: what changed, and the row of the history."""

    def draw(order: PyTree, number: jax.Array) -> PyTree:
        return (source, order, number) if draws else source

    run = rest._replace(state=state)
    run = step_all(functools.partial(program, consts), run, draw, number, until, accumulate, same_batches)
    return run.state, {name: getattr(run, name) for name in PROGRESS}, measured_by(run)


def stacked(runs: list[Run], size: int, same: bool) -> Run:
    """Runs stacked, the last repeated to make `size`, without their histories; their order stays one if they share it."""
    plain = [run._replace(history=None, evaluations=None, order=None if same else run.order) for run in runs]
    if size == 1:
        return plain[0]
    plain += plain[-1:] * (size - len(runs))
    stack = Run(*(_stacked(parts) for parts in zip(*plain, strict=True)))
    return stack._replace(order=runs[0].order) if same else stack


def _stacked(trees: Sequence[PyTree]) -> PyTree:
    """Pytrees with a leading axis: on the host if they are there, else by programs of few arguments, which compile fast."""
    if all(isinstance(leaf, np.ndarray | np.generic) for leaf in jax.tree.leaves(trees)):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    if len(trees) <= FEW:
        return _stack(list(trees))
    return _join([_stacked(trees[begin : begin + FEW]) for begin in range(0, len(trees), FEW)])


@jax.jit
def _stack(trees: PyTree) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def _join(trees: PyTree) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def unstacked(run: Run, size: int, same: bool) -> list[Run]:
    """The runs of a stack: what changed in them."""
    parts = {name: getattr(run, name) for name in ("state", "history", *PROGRESS)}
    rest = run._replace(schedule=None, smoothing=None, stop=None, order=None)  # type: ignore[arg-type]  # they are not read
    return [rest._replace(**jax.tree.map(lambda leaf, i=i: leaf[i], parts)) for i in range(size)]


def _continued(run: Run, after: Run) -> Run:
    """A run with what its training has changed; its history grows by the steps that were made."""
    made = int(after.steps) - int(run.steps)
    changed = {name: getattr(after, name) for name in ("state", *PROGRESS)}
    return run._replace(history=np.concatenate([run.history, after.history[:made]]), **changed)


def _measured(run: Run, rows: list[jax.Array]) -> Run:
    """On the host: a run with the rows of its steps, (3,) or (runs, 3) each, as its history."""
    progress = on_host({name: getattr(run, name) for name in PROGRESS})
    none: Floats = np.empty((*np.shape(progress["reason"]), 0, 3), np.float32)
    return run._replace(history=np.stack(on_host(rows), axis=-2) if rows else none, **progress)


def is_rising(losses: Floats) -> bool:
    """Whether the loss before the last one was far above those before it, as it is where training diverges."""
    before = losses[:-2]
    return len(before) > 0 and bool(losses[-2] - before.max() > max(np.ptp(before), abs(before.max()) / 2))


@jax.jit
def copied(state: PyTree) -> PyTree:
    """A copy of a state, made by one program."""
    return jax.tree.map(lambda leaf: jnp.copy(strong(leaf)), state)
