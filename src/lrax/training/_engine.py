"""How updates are run: one update, one carry, one definition of stopping, and two drivers, for one lane or several abreast.

`run_compiled` is a loop of blocks, each a `lax.scan` over a few updates, which ends when every lane has stopped; it may be
jitted and vmapped. `run_from_host` calls the same update, jitted, once a batch: for data from Python iterables, for progress
bars, and for convolutions on the CPU, whose gradients XLA runs many times slower inside any loop or branch. Both give the same
curve.
"""

import collections
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.training._batches import ENDED
from lrax.training._programs import Program
from lrax.training._reason import CODES, RUNNING, Reason

BLOCK = 4
"""Updates to a block: the loop asks whether it may end after every block, so a lane that stops wastes at most one less.

A loop whose trip count is known needs no word with the host on an accelerator; one that asks whether to go on does. On two
cores blocks of 1 to 64 take the same time an update (`benchmarks/blocks.py`), so the size is one that wastes little.
"""

EVERY, LATE = 8, 4
"""Once in how many batches the host reads whether lanes have stopped, and of how many batches before: the device never waits.

Reading at every update costs 3 % of one of LeNet's on two cores, where the host takes its time from the device.
"""


class Axes(enum.Enum):
    """How lanes run in one program: one alone, or several abreast, on the same batches or each on its own."""

    ALONE = "alone"
    SAME_BATCHES = "same batches"
    OWN_BATCHES = "own batches"


def unsmoothed(count: Any) -> jax.Array:
    """Smoothing that leaves every loss as it is."""
    return jnp.ones((), jnp.float32)


def unstopped(carry: Any) -> jax.Array:
    """Stops nothing; a loss that is not finite always does."""
    return jnp.zeros((), jnp.bool_)


class Rules(NamedTuple):
    """What a lane is run by: pytrees, so that other numbers make no other trace.

    Attributes:
      schedule: count -> rate.
      smoothing: count -> weight of the new loss in the smoothed one.
      stop: carry -> whether to stop.
    """

    schedule: Callable[[Any], jax.Array]
    smoothing: Callable[[Any], jax.Array] = jax.tree_util.Partial(unsmoothed)  # type: ignore[no-untyped-call]  # jax
    stop: Callable[[Any], jax.Array] = jax.tree_util.Partial(unstopped)  # type: ignore[no-untyped-call]  # leaves it untyped


class Carry(NamedTuple):
    """Where a lane stands after some updates, in scalars; the learner's state goes beside it.

    Attributes:
      updates: how many updates were made, int32.
      loss, smoothed: the last loss and the smoothed loss up to it, float32.
      first: the first loss.
      lowest: the lowest smoothed loss so far.
      reason: why the lane has stopped, or -1.
      part: how many batches of the next update were seen, int32; 0 without accumulation.
      total: the sum of their losses.
      undefined: whether the last loss was NaN, which counts as infinite.
    """

    updates: jax.Array
    loss: jax.Array
    smoothed: jax.Array
    first: jax.Array
    lowest: jax.Array
    reason: jax.Array
    part: jax.Array
    total: jax.Array
    undefined: jax.Array


class Lane(NamedTuple):
    """One run, or several abreast, stacked.

    Attributes:
      state: of the learner.
      carry: where it stands.
      rules: what it is run by.
      order: what its batches are drawn by; None where they come from an iterator.
      rows: what its updates measured, NumPy float32 of shape (updates, 3): rate, loss, smoothed loss. Kept beside the programs.
      evaluations: where it was evaluated, NumPy float32 of shape (evaluations, 2): how many updates were made, and the metric.
    """

    state: Any
    carry: Carry
    rules: Rules
    order: Any
    rows: np.ndarray[Any, Any] = np.empty((0, 3), np.float32)
    evaluations: np.ndarray[Any, Any] = np.empty((0, 2), np.float32)


START = Carry(
    updates=np.int32(0),  # type: ignore[arg-type]  # NumPy's numbers are arrays to JAX
    loss=np.float32(0),  # type: ignore[arg-type]
    smoothed=np.float32(0),  # type: ignore[arg-type]
    first=np.float32(0),  # type: ignore[arg-type]
    lowest=np.float32(np.inf),  # type: ignore[arg-type]
    reason=np.int32(RUNNING),  # type: ignore[arg-type]
    part=np.int32(0),  # type: ignore[arg-type]
    total=np.float32(0),  # type: ignore[arg-type]
    undefined=np.bool_(False),  # type: ignore[arg-type]
)
"""The carry before the first update."""


def advance(
    program: Program, accumulate: int, consts: list[Any], state: Any, carry: Carry, rules: Rules, source: Any, until: Any
) -> tuple[Any, Carry, jax.Array]:
    """One batch, of `accumulate` to an update: what a lane does, wherever it is run.

    A lane that has stopped, or whose count is `until`, stays as it is. So does the state of one that stops now, so that what
    blew up is not carried on.

    Args:
      program: `(consts, state, rate, source) -> (state, loss)`.
      source: a batch, or what it is drawn from.

    Returns: the state, the carry, and what was measured: the rate, the loss and the smoothed loss, float32 of shape (3,),
      infinite where no update was completed.
    """
    going = (carry.reason == RUNNING) & (carry.updates < until)
    rate = jnp.asarray(rules.schedule(carry.updates), jnp.float32)
    moved, loss = program(consts, state, rate, source)
    part, total = carry.part + 1, carry.total + jnp.asarray(loss, jnp.float32)
    completed = going & (part >= accumulate)
    begun, measured = carry._replace(part=part, total=total), record(rules, carry, rate, total / accumulate)
    after = jax.tree.map(lambda new, now, old: jnp.where(completed, new, jnp.where(going, now, old)), measured, begun, carry)
    moves = going & (after.reason == RUNNING)
    state = jax.tree.map(lambda new, old: jnp.where(moves, new, old), moved, state)
    return state, after, jnp.where(completed, jnp.stack([rate, after.loss, after.smoothed]), jnp.inf)


def record(rules: Rules, carry: Carry, rate: jax.Array, loss: jax.Array) -> Carry:
    """The carry after an update at `rate` that measured `loss`; one that is no number counts as infinite."""
    count, undefined = carry.updates, jnp.isnan(loss)
    loss = jnp.where(undefined, jnp.inf, loss)
    past = jnp.where(count == 0, loss, carry.smoothed)
    finite = jnp.isfinite(loss) & jnp.isfinite(past)
    smoothed = jnp.where(finite, past + rules.smoothing(count) * jnp.where(finite, loss - past, 0), jnp.inf)
    measured = Carry(
        updates=count + 1,
        loss=loss,
        smoothed=smoothed,
        first=jnp.where(count == 0, loss, carry.first),
        lowest=jnp.minimum(smoothed, carry.lowest),
        reason=carry.reason,
        part=jnp.zeros_like(carry.part),
        total=jnp.zeros_like(carry.total),
        undefined=undefined,
    )
    stopped = jnp.where(rules.stop(measured), CODES[Reason.DIVERGED], RUNNING)
    reason = jnp.where(jnp.isfinite(loss), stopped, CODES[Reason.NON_FINITE])
    return measured._replace(reason=reason.astype(jnp.int32))


def run_compiled(
    program: Program, room: int, accumulate: int, axes: Axes, consts: list[Any], state: Any, rest: Any, arrays: Any, until: Any
) -> tuple[Any, Carry, jax.Array]:
    """Updates until the count is `until`, in blocks, until the lane has stopped, or every lane of several.

    Lanes that run abreast stand at the same count, or have stopped before.

    Args:
      room: the most updates that are measured; what does not fit is left out.
      state, rest: of the lanes: their state; their carry, rules and order.
      arrays: what batches are drawn from.

    Returns: the state, the carry, and the rows of what was measured, float32 of shape (room, 3), infinite where nothing was;
      each with the axis of lanes in front, where there are several.
    """
    carry, rules, order = jax.tree.map(jnp.asarray, rest)
    begun = jnp.max(carry.updates)
    lanes = () if axes is Axes.ALONE else carry.updates.shape

    def batch(progress: Any, _: None) -> tuple[Any, jax.Array]:
        count, state, carry = progress
        state, carry, row = _advance_all(program, accumulate, axes, consts, state, carry, rules, (arrays, order, count), until)
        return (count + 1, state, carry), row

    def block(progress: Any) -> Any:
        count, rows, state, carry = progress
        (after, state, carry), found = jax.lax.scan(batch, (count, state, carry), length=BLOCK * accumulate)
        place = count // accumulate - begun
        return after, jax.lax.dynamic_update_slice_in_dim(rows, found[accumulate - 1 :: accumulate], place, 0), state, carry

    def going(progress: Any) -> jax.Array:
        count, _, _, carry = progress
        return (count < until * accumulate) & jnp.any(carry.reason == RUNNING)

    rows = jnp.full((room + BLOCK, *lanes, 3), jnp.inf, jnp.float32)
    start = begun * accumulate, rows, jax.tree.map(strong, state), carry
    _, rows, state, carry = jax.lax.while_loop(going, block, start)
    return state, carry, jnp.moveaxis(rows[:room], 0, -2)


def run_from_host(
    programs: Callable[[Any], tuple[Program, list[Any]]],
    lanes: Sequence[Lane],
    batches: Any,
    until: int,
    accumulate: int = 1,
    axes: Axes = Axes.ALONE,
    donate: bool = False,
    report: Callable[[int, Carry, Sequence[Any]], None] = lambda place, carry, rows: None,
) -> list[tuple[Any, Carry, np.ndarray[Any, Any]]]:
    """As `run_compiled`, but every batch is a call; all `lanes` see a batch before the next one is drawn.

    `programs` gives the program for a batch, and the arrays that it closes over: batches of an iterable may differ in shape.
    `report` is given every carry, with its place in `lanes` and the rows that were measured so far. The host runs ahead of the
    device and reads a stop a few updates after it happened; the updates in between change nothing, and their batches, if they
    come from an iterator, are dropped. Every update reuses the memory of the state before it; the caller's state is copied
    first, unless it is donated.
    """
    states = [lane.state if donate else copied(lane.state) for lane in lanes]
    carries, rows = [lane.carry for lane in lanes], [[] for _ in lanes]  # type: list[Carry], list[list[Any]]
    pending: collections.deque[list[Any]] = collections.deque(maxlen=1 + LATE)
    begun, ended = max(int(np.max(carry.updates)) for carry in carries), False
    for count in range(begun * accumulate, until * accumulate):
        batch = next(batches, ENDED) if isinstance(batches, Iterator) else None
        if batch is ENDED:
            ended = True
            break
        program, consts = programs(batch)
        step = program.jitted(_advance_all, accumulate, axes, donated=1)
        for place, lane in enumerate(lanes):
            source = (batches, lane.order, np.int32(count)) if batch is None else batch
            states[place], carries[place], row = step(
                consts, states[place], carries[place], lane.rules, source, np.int32(until)
            )
            if (count + 1) % accumulate == 0:
                rows[place].append(row)
            report(place, carries[place], rows[place])
        pending.append([carry.reason for carry in carries])
        looks = count % EVERY == 0 and len(pending) > LATE
        if looks and not any((np.asarray(reason) == RUNNING).any() for reason in pending[0]):
            break
    carries = jax.device_get(carries)
    if ended:
        carries = [finish(carry, Reason.DATA_ENDED) for carry in carries]
    return [(state, carry, stacked(its, carry)) for state, carry, its in zip(states, carries, rows, strict=True)]


def stacked(rows: Sequence[Any], carry: Carry) -> np.ndarray[Any, Any]:
    """Rows that were measured one by one, (3,) or (lanes, 3) each, as (updates, 3) or (lanes, updates, 3)."""
    return np.stack(jax.device_get(list(rows)), axis=-2) if rows else np.empty((*np.shape(carry.reason), 0, 3), np.float32)


def finish(carry: Carry, reason: Reason) -> Carry:
    """A carry on the host with its reason: that of one that has not stopped, or its own."""
    code: Any = np.where(carry.reason == RUNNING, CODES[reason], carry.reason).astype(np.int32)
    return carry._replace(reason=code)


def strong(leaf: Any) -> Any:
    """An array without JAX's weak type, so that a state has one type before and after an update."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else array.astype(array.dtype)


@jax.jit
def copied(state: Any) -> Any:
    """A state in memory of its own, by one program."""
    return jax.tree.map(lambda leaf: jnp.copy(strong(leaf)), state)


def _advance_all(
    program: Program,
    accumulate: int,
    axes: Axes,
    consts: list[Any],
    state: Any,
    carry: Carry,
    rules: Rules,
    source: Any,
    until: Any,
) -> tuple[Any, Carry, jax.Array]:
    """One batch of one lane or of several."""

    def one(state: Any, carry: Carry, rules: Rules, source: Any) -> tuple[Any, Carry, jax.Array]:
        return advance(program, accumulate, consts, state, carry, rules, source, until)

    if axes is Axes.ALONE:
        return one(state, carry, rules, source)
    drawn = (None, 0, None) if axes is Axes.OWN_BATCHES else None
    return jax.vmap(one, in_axes=(0, 0, 0, drawn))(state, carry, rules, source)
