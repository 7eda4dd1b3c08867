"""The runner: a learner and its data, checked once, and lanes that are trained as far as one asks, by the driver that suits."""

import concurrent.futures
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._known import any_traced
from lrax.fields._words import check_whole, choice, complain
from lrax.training._batches import ENDED, ArrayBatches, SampledBatches, as_batches, endless, trace_batch
from lrax.training._engine import ALONE, OWN_BATCHES, SAME_BATCHES, Axes, Carry, Lane, run_compiled, run_from_host
from lrax.training._fit import Plan, even, has_convolution, plan_lanes, spans_devices, tree_bytes
from lrax.training._learner import Learner, check_update, program_text
from lrax.training._reason import RUNNING

Report = Callable[[Carry, int], None]
"""Called with a carry, of several lanes stacked where they run abreast, and how many batches were seen since the last call."""


FEW = 16
"""So many states are stacked by one program: one with an argument for each of a thousand would compile for a minute."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """What stays the same between the runs of one call: how the learner is updated, on what, and how updates are driven.

    Attributes:
      update: the learner's update.
      batches: drawn inside compiled programs, or an iterator.
      accumulate: batches to one optimizer update.
      host: whether updates are called from Python.
      in_turn: whether lanes are slow abreast.
      one_program: whether only one program may run at a time.
      abreast: how many lanes to run abreast, or None for what suits.
      donate: whether the states' memory is given away.
      report: called as the updates go on: after every batch if the host calls them, else after every group of lanes.
    """

    update: Callable[..., Any]
    batches: Any
    accumulate: int
    host: bool
    in_turn: bool
    one_program: bool
    abreast: int | None
    donate: bool
    report: Report

    def plan(self, lanes: Sequence[Lane]) -> Plan:
        """How these lanes are run."""
        if self.abreast is not None:
            return Plan(min(self.abreast, len(lanes)), 1, "as given")
        return plan_lanes(tree_bytes(lanes[0].state), len(lanes), self.in_turn, self.one_program)

    def advance(self, lanes: Sequence[Lane], until: int) -> list[Lane]:
        """The lanes when their counts are `until`, or where they stopped before.

        Lanes with the same key see the same batches; those of an iterator are what it yields next, the same for all lanes that
        stand at the same count.
        """
        after = list(lanes)
        counts, reasons = jax.device_get(([lane.carry.updates for lane in lanes], [lane.carry.reason for lane in lanes]))
        todo = [i for i in range(len(lanes)) if reasons[i] == RUNNING and counts[i] < until]
        for _, places in itertools.groupby(sorted(todo, key=lambda i: counts[i]), key=lambda i: counts[i]):
            members = list(places)
            for i, lane in zip(members, self._together([lanes[i] for i in members], until), strict=True):
                after[i] = lane
        return after

    def _together(self, lanes: list[Lane], until: int) -> list[Lane]:
        """`advance` for lanes that stand at the same count."""
        plan = self.plan(lanes)
        size = even(len(lanes), plan.lanes)
        shared = all(lane.key is lanes[0].key for lane in lanes)
        axes: Axes = ALONE if size == 1 else SAME_BATCHES if shared else OWN_BATCHES
        members = [lanes[begin : begin + size] for begin in range(0, len(lanes), size)]
        groups, numbers = [_grouped(group, size, axes) for group in members], list(map(len, members))
        if self.host:
            ended = self._run_from_host(groups, numbers, until, axes)
        else:
            ended = self._run_compiled(groups, numbers, until, axes, plan.programs)
        parts = ended if axes is ALONE else [part for states, carries in ended for part in _split(states, carries, size)]
        return [lane._replace(state=state, carry=carry) for lane, (state, carry) in zip(lanes, parts, strict=False)]

    def _run_from_host(self, groups: list[Lane], numbers: list[int], until: int, axes: Axes) -> list[Any]:
        def run(groups: list[Lane], numbers: list[int]) -> list[Any]:
            def report(group: int, carry: Carry) -> None:
                self.report(carry, numbers[group])

            donate = self.donate or axes is not ALONE
            return run_from_host(self.update, groups, self.batches, until, self.accumulate, axes, donate, report)

        if isinstance(self.batches, Iterator):
            return run(groups, numbers)
        return [ended for group, number in zip(groups, numbers, strict=True) for ended in run([group], [number])]

    def _run_compiled(self, groups: list[Lane], numbers: list[int], until: int, axes: Axes, programs: int) -> list[Any]:
        donate = self.donate or axes is not ALONE  # a group is a copy of its lanes
        jitted = _run_donated if donate else _run
        fixed = self.update, self.accumulate, axes
        count = int(np.asarray(groups[0].carry.updates).max())

        def arguments(group: Lane) -> tuple[Any, ...]:
            return group.state, group._replace(state=()), self.batches, np.int32(until)

        def run(call: Callable[..., Any], group: Lane, number: int) -> Any:
            state, carry = call(*arguments(group))
            carry.reason.block_until_ready()
            self.report(carry, (until - count) * self.accumulate * number)
            return state, carry

        if programs == 1 or len(groups) == 1:
            return [run(functools.partial(jitted, *fixed), *each) for each in zip(groups, numbers, strict=True)]
        compiled = jitted.lower(*fixed, *arguments(groups[0])).compile()  # threads do not see the caller's configuration of JAX
        with concurrent.futures.ThreadPoolExecutor(programs, thread_name_prefix="lrax") as pool:
            return list(pool.map(functools.partial(run, compiled), groups, numbers))


def run_lane(update: Callable[..., Any], lane: Lane, batches: Any, until: int, accumulate: int) -> tuple[Any, Carry]:
    """One lane, compiled; may be called inside other programs."""
    return _run(update, accumulate, ALONE, lane.state, lane._replace(state=()), batches, np.int32(until))


def _advance(update: Any, accumulate: int, axes: Axes, state: Any, rest: Lane, batches: Any, until: Any) -> tuple[Any, Carry]:
    return run_compiled(update, rest._replace(state=state), batches, until, accumulate, axes)


_run = jax.jit(_advance, static_argnames=("update", "accumulate", "axes"))
_run_donated = jax.jit(_advance, static_argnames=("update", "accumulate", "axes"), donate_argnames="state")


def _grouped(lanes: list[Lane], size: int, axes: Axes) -> Lane:
    """Lanes stacked, the last repeated to make `size`; their key stays one if they share it."""
    if axes is ALONE:
        return lanes[0]
    filled = [*lanes, *[lanes[-1]] * (size - len(lanes))]
    key = lanes[0].key if axes == SAME_BATCHES else _stacked([lane.key for lane in filled])
    states, carries, rules = ([getattr(lane, part) for lane in filled] for part in ("state", "carry", "rules"))
    return Lane(_stacked(states), _stacked(carries), _stacked(rules), key)


def _stacked(trees: list[Any]) -> Any:
    """Pytrees with a leading axis: on the host if they are there, else by programs of few arguments, which compile fast."""
    if all(isinstance(leaf, np.ndarray | np.generic) for leaf in jax.tree.leaves(trees)):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    if len(trees) <= FEW:
        return _stack(trees)
    return _join([_stacked(trees[begin : begin + FEW]) for begin in range(0, len(trees), FEW)])


def _split(states: Any, carries: Carry, size: int) -> list[tuple[Any, Carry]]:
    """The lanes of a group: their states on the device, where each stands on the host."""
    carries = jax.device_get(carries)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], (states, carries)) for i in range(size)]


@jax.jit
def _stack(trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def _join(trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def make_runner(
    owner: str,
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
) -> Runner:
    """Checks everything about the data, and the learners, which share an update, before anything is compiled."""
    batches = as_batches(owner, data, batch_size, transform)
    drawn = isinstance(batches, ArrayBatches | SampledBatches)
    if driver is not None:
        choice(owner, "driver", driver, ("compiled", "host"))
    if driver == "compiled" and not drawn:
        remedy = "leave it out: the data is an iterable, which only the host can read"
        raise complain(ValueError, owner, "driver", "'host' for an iterable", driver, remedy)
    consts: list[Any] = []
    if isinstance(batches, ArrayBatches | SampledBatches):
        if key is None:
            raise complain(ValueError, owner, "key", "given with arrays and samplers", None, "give jax.random.key(0)")
        batch, consts = trace_batch(batches, key)
    else:
        batches = endless(batches, transform)
        batch = next(batches, ENDED)
        batches = batches if batch is ENDED else itertools.chain([batch], batches)
    programs = [] if batch is ENDED else [check_update(owner, learner, batch) for learner in learners]
    if not all(_same_program(program, programs[0]) for program in programs):
        remedy = "put what differs into its state, or make it with lrax.Learner.create"
        raise complain(ValueError, owner, "initialize", "a function whose learners have one update", learners, remedy)
    check_accumulate(owner, learners[0].state, accumulate)
    check_donated(owner, learners[0].state, donate)
    in_turn = jax.default_backend() == "cpu" and any(has_convolution(program.jaxpr) for program in programs)
    host = driver == "host" or not drawn or (driver is None and in_turn)
    closed_over = [consts, *(program.consts for program in programs)]
    one_program = host or spans_devices((learners[0].state, batches, closed_over))
    return Runner(learners[0].update, batches, int(accumulate), host, in_turn, one_program, abreast, donate, report)


def _same_program(one: Any, other: Any) -> bool:
    """Whether two updates do the same: functions that are made twice are not equal, what they trace to is."""
    if one is other:
        return True
    pairs = zip(one.consts, other.consts, strict=False)
    return program_text(one) == program_text(other) and all(bool(jnp.array_equal(mine, its)) for mine, its in pairs)


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
