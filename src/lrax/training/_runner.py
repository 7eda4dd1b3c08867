"""The runner: a learner and its data, checked once, and lanes that are trained as far as one asks, by the driver that suits."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lrax.fields._errors import argument_error, choice
from lrax.training._abreast import grouped, moved, split
from lrax.training._accumulation import check_accumulate
from lrax.training._batches import BEFORE, ENDED, ArrayBatches, DataNotes, SampledBatches, Stream, as_batches, fault_of
from lrax.training._engine import START, Axes, Carry, Lane, Rules, finish, run_compiled, run_from_host
from lrax.training._evaluating import Evaluating
from lrax.training._fit import Plan, even, plan_lanes, spans_devices, tree_bytes
from lrax.training._jaxprs import has_convolution
from lrax.training._learner import Learner
from lrax.training._mesh import everywhere, put
from lrax.training._pool import run_side_by_side
from lrax.training._programs import Program, call
from lrax.training._reason import CODES, RUNNING, Reason
from lrax.training._updates import Updates, check_donated

Report = Callable[[Carry, int, Any], None]
"""Called with a carry, of several lanes stacked where they run abreast, how many batches were seen since the last call, and the
rows that were measured so far."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """What stays the same between the runs of one call: how the learner is updated, on what, and how updates are driven.

    Attributes:
      updates: the learner's update, with the drawing of its batch; None if an iterator yields nothing.
      states: of the learners, where runs begin.
      batches: drawn inside compiled programs, or a `Stream`.
      accumulate: batches to one optimizer update.
      host: whether updates are called from Python.
      in_turn: whether lanes are slow abreast.
      one_program: whether only one program may run at a time.
      abreast: how many lanes to run abreast, or None for what suits.
      donate: whether the states' memory is given away.
      mesh, axis: the mesh over whose axis lanes are divided, if any.
      evaluating: how lanes are evaluated beside their training, if they are.
      notes: what results tell about the data.
      looked: which batches were looked at whose loss was not finite: their last number, and the order that they were drawn by.
      report: called as the updates go on: after every batch if the host calls them, else after every group of lanes.
    """

    updates: Updates | None
    states: list[Any]
    batches: Any
    accumulate: int
    host: bool
    in_turn: bool
    one_program: bool
    abreast: int | None
    donate: bool
    report: Report
    mesh: Mesh | None = None
    axis: str = "lanes"
    evaluating: Evaluating | None = None
    notes: DataNotes = dataclasses.field(default_factory=DataNotes)
    looked: set[tuple[int, int]] = dataclasses.field(default_factory=set)

    @property
    def closed(self) -> Any:
        """The traced update, as a closed jaxpr; None if an iterator yields nothing."""
        return None if self.updates is None else self.updates.first.closed

    def program(self, batch: Any = None) -> tuple[Program, list[Any]]:
        """The program for a batch, the one that was read last, and the arrays that it closes over."""
        assert self.updates is not None
        return self.updates.of(batch, self.batches.place if self.reads_on else "")

    @property
    def reads_on(self) -> bool:
        """Whether the batches come from an iterator, which cannot be read twice."""
        return isinstance(self.batches, Iterator)

    def order(self, key: jax.Array | None) -> Any:
        """What the batches of a lane are drawn by."""
        return None if self.reads_on else self.batches.order(key)

    def plan(self, lanes: Sequence[Lane]) -> Plan:
        """How these lanes are run."""
        if self.mesh is not None:
            places = self.mesh.shape[self.axis]
            return Plan(-(-len(lanes) // places) * places, 1, f"divided over the {places} places of axis {self.axis!r}")
        if self.abreast is not None:
            return Plan(min(self.abreast, len(lanes)), 1, "as given")
        return plan_lanes(tree_bytes(lanes[0].state), len(lanes), self.in_turn, self.one_program)

    def advance(self, lanes: Sequence[Lane], until: int, most: int) -> list[Lane]:
        """The lanes when their counts are `until`, or where they stopped before; of at most `most` updates in all their runs.

        Lanes of the same order see the same batches; those of an iterator are what it yields next, the same for all lanes that
        stand at the same count.
        """
        if self.updates is None:
            return [lane._replace(carry=finish(lane.carry, Reason.DATA_ENDED)) for lane in lanes]
        after = list(lanes)
        todo = [i for i, lane in enumerate(lanes) if lane.carry.reason == RUNNING and lane.carry.updates < until]
        for _, places in itertools.groupby(
            sorted(todo, key=lambda i: lanes[i].carry.updates), key=lambda i: lanes[i].carry.updates
        ):
            members = list(places)
            for i, lane in zip(members, self._evaluated([lanes[i] for i in members], until, most), strict=True):
                after[i] = lane
        return after

    def _evaluated(self, lanes: list[Lane], until: int, most: int) -> list[Lane]:
        """`advance` for lanes that stand at the same count, with a halt wherever they are evaluated.

        Those that stop on the way stay in their group, so that the next part is run by the same program.
        """
        plan = self.plan(lanes)
        if self.evaluating is None:
            return self._together(lanes, until, most, plan)
        for stop in self.evaluating.stops(int(lanes[0].carry.updates), until):
            lanes = self.evaluating(self._together(lanes, stop, most, plan))
        return lanes

    def _together(self, lanes: list[Lane], until: int, most: int, plan: Plan) -> list[Lane]:
        """`advance` for lanes that stand at the same count, or have stopped before."""
        size = even(len(lanes), plan.lanes) if self.mesh is None else plan.lanes
        shared = all(lane.order is lanes[0].order for lane in lanes)
        axes = Axes.ALONE if size == 1 else Axes.SAME_BATCHES if shared else Axes.OWN_BATCHES
        members = [lanes[begin : begin + size] for begin in range(0, len(lanes), size)]
        going = [group for group in members if any(lane.carry.reason == RUNNING for lane in group)]
        if not going:
            return lanes
        groups, numbers = [self._placed(grouped(group, size, axes), axes) for group in going], list(map(len, going))
        begun, read = max(int(lane.carry.updates) for lane in lanes), self.batches.read if self.reads_on else 0
        if self.host:
            ended = self._run_from_host(groups, numbers, until, axes)
        else:
            ended = self._run_compiled(groups, numbers, until, most, axes, plan.programs)
        parts = [[part] for part in ended] if axes is Axes.ALONE else [split(group, size) for group in ended]
        for group, its in zip(going, parts, strict=True):
            for i, (lane, part) in enumerate(zip(list(group), its, strict=False)):
                group[i] = moved(lane, *part)
                if lane.carry.reason == RUNNING:
                    self._look_at_batch(group[i], read - begun * self.accumulate)
        return [lane for group in members for lane in group]

    def _look_at_batch(self, lane: Lane, skipped: int) -> None:
        """Notes where the batch is not finite at which a lane has stopped, if its loss had not begun to rise before.

        Args:
          skipped: what is added to a count of batches to get the number of one of an iterable.
        """
        if int(lane.carry.reason) != CODES[Reason.NON_FINITE] or self.notes.fault or rises(lane.rows[:, 1]):
            return
        last = len(lane.rows) * self.accumulate
        if (last, id(lane.order)) in self.looked:
            return
        self.looked.add((last, id(lane.order)))
        numbers = range(max(last - self.accumulate - BEFORE, 0), last)
        if self.reads_on:
            found = [self.batches.recent(skipped + number) for number in numbers]
        else:
            found = [(f"batch {number + 1}", self.fetch(lane.order, number)) for number in numbers]
        split = len(numbers) - self.accumulate
        self.notes.fault = fault_of(list(filter(None, found[split:])), list(filter(None, found[:split])))

    def fetch(self, order: Any, number: int) -> Any:
        """A drawn batch."""
        leaves, structure = jax.tree.flatten(self.batches)

        def fetch(leaves: Any, order: Any, count: Any) -> Any:
            return jax.tree.unflatten(structure, leaves).fetch(order, count)

        return call(fetch, leaves, order, np.int32(number))

    def _placed(self, group: Lane, axes: Axes) -> Lane:
        """A group on the mesh, if there is one: its lanes divided, their common order everywhere."""
        if self.mesh is None or axes is Axes.ALONE:
            return group
        order = put(group.order, self.mesh, *([self.axis] if axes is Axes.OWN_BATCHES else []))
        state, carry, rules = put((group.state, group.carry, group.rules), self.mesh, self.axis)
        return group._replace(state=state, carry=carry, rules=rules, order=order)

    def _run_from_host(self, groups: list[Lane], numbers: list[int], until: int, axes: Axes) -> list[Any]:
        batches = self.batches if self.reads_on else jax.tree.leaves(self.batches)
        donate = self.donate or axes is not Axes.ALONE

        def run(groups: list[Lane], numbers: list[int]) -> list[Any]:
            def report(group: int, carry: Carry, rows: Any) -> None:
                self.report(carry, numbers[group], rows)

            return run_from_host(self.program, groups, batches, until, self.accumulate, axes, donate, report)

        if self.reads_on:
            return run(groups, numbers)
        return [ended for group, number in zip(groups, numbers, strict=True) for ended in run([group], [number])]

    def _run_compiled(
        self, groups: list[Lane], numbers: list[int], until: int, most: int, axes: Axes, programs: int
    ) -> list[Any]:
        donate = self.donate or axes is not Axes.ALONE  # a group is a copy of its lanes
        program, consts = self.program()
        jitted = program.jitted(run_compiled, most, self.accumulate, axes, donated=1 if donate else None)
        count = int(np.max(jax.device_get(groups[0].carry.updates)))

        def arguments(group: Lane) -> tuple[Any, ...]:
            rest = group.carry, group.rules, group.order
            return consts, group.state, rest, jax.tree.leaves(self.batches), np.int32(until)

        def run(call: Callable[..., Any], group: Lane, number: int) -> Any:
            state, carry, rows = call(*arguments(group))
            carry, rows = jax.device_get((carry, rows))
            self.report(carry, (until - count) * self.accumulate * number, rows)
            return state, carry, rows

        if programs == 1 or len(groups) == 1:
            return [run(jitted, *each) for each in zip(groups, numbers, strict=True)]
        compiled = jitted.lower(*arguments(groups[0])).compile()  # threads do not see the caller's configuration of JAX
        found: list[Any] = [None] * len(groups)

        def keep(place: int) -> None:
            found[place] = run(compiled, groups[place], numbers[place])

        for _ in run_side_by_side(keep, range(len(groups)), programs):
            pass
        return found


def rises(losses: np.ndarray[Any, Any]) -> bool:
    """Whether the loss before the last one was far above those before it, as it is where training diverges."""
    before = losses[:-2]
    return len(before) > 0 and bool(losses[-2] - before.max() > max(np.ptp(before), abs(before.max()) / 2))


def begin(state: Any, rules: Rules, order: Any) -> Lane:
    """A lane before its first update."""
    return Lane(state, START, rules, order)


def make_runner(
    caller: str,
    learners: Sequence[Learner],
    data: Any,
    *,
    key: jax.Array | None,
    batch_size: int | None,
    transform: Callable[[Any], Any] | None,
    accumulate: int,
    driver: str | None,
    report: Report,
    abreast: int | None = None,
    donate: bool = False,
    mesh: Mesh | None = None,
    axis: str = "lanes",
    evaluate: Callable[[Any], Any] | None = None,
    every: int | None = None,
    mode: str = "min",
) -> Runner:
    """Checks everything about the data, and the learners, which share an update, before anything is compiled."""
    batches = as_batches(caller, data, batch_size, transform)
    drawn = isinstance(batches, ArrayBatches | SampledBatches)
    if driver is not None:
        choice(caller, "driver", driver, ("compiled", "host"))
    if driver == "compiled" and not drawn:
        remedy = "leave it out: the data is an iterable, which only the host can read"
        raise argument_error(ValueError, caller, "driver", "'host' for an iterable", driver, remedy)
    if drawn and key is None:
        raise argument_error(ValueError, caller, "key", "given with arrays and samplers", None, "give jax.random.key(0)")
    batch, notes = None, DataNotes()
    if not isinstance(batches, ArrayBatches | SampledBatches):
        batches = Stream(caller, batches, transform, notes)
        batch = batches.peek()
    updates = None if batch is ENDED else Updates(caller, learners, batches, batch, key, mesh)
    states = [learner.state for learner in learners] if updates is None else updates.states
    if updates is not None:
        check_accumulate(caller, updates, accumulate)
    check_donated(caller, states[0], donate)
    evaluating = Evaluating.checked(caller, evaluate, every, mode, states[0])
    traced = [] if updates is None else updates.traced
    in_turn = jax.default_backend() == "cpu" and any(has_convolution(one.closed.jaxpr) for one in traced)
    host = driver == "host" or not drawn or (driver is None and in_turn)
    inside = [one.outline.consts for one in traced]
    one_program = host or spans_devices((states[0], batches if drawn else None, inside))
    return Runner(
        updates=updates,
        states=states,
        batches=everywhere(batches, mesh) if drawn and mesh is not None else batches,
        accumulate=int(accumulate),
        host=host,
        in_turn=in_turn,
        one_program=one_program or mesh is not None,
        abreast=abreast,
        donate=donate,
        report=report,
        mesh=mesh,
        axis=axis,
        evaluating=evaluating,
        notes=notes,
    )
