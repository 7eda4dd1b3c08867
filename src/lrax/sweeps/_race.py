"""A race: all schedules train for a rung from the same start on the same batches, the best go on."""

import concurrent.futures
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lrax._batches import ArrayBatches, SampledBatches, as_batches, endless
from lrax._check import choice, complain
from lrax._engine import prefers_host, strong
from lrax._learner import Learner, Update, check_update
from lrax._progress import progress_bar
from lrax._schedule import Schedule
from lrax.sweeps._batch import Lanes, as_lanes, take
from lrax.sweeps._fit import Plan, even, plan_for_state, tree_bytes
from lrax.sweeps._race_result import Race
from lrax.sweeps._result import end_loss, peak_rate


def race(
    learner: Learner,
    data: Any,
    schedules: Schedule | Sequence[Schedule],
    *,
    rungs: int | Sequence[int],
    keep: float = 0.5,
    tail: float = 0.25,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    lanes: int | None = None,
    driver: Literal["compiled", "host"] | None = None,
    progress: bool = False,
) -> Race:
    """Trains with all schedules for a rung, keeps the best, and goes on with fewer.

    Every lane starts from the learner's state and sees the same batches, so that the schedule is all that differs. Those that
    go on keep their states. A lane whose loss was not finite is out. Nothing is touched: the learner's state is what it was.

    Args:
      learner: a state and its update.
      data: as for `lrax.find_lr`: arrays with `batch_size`, a sampler `key -> batch`, or an iterable of batches.
      schedules: one schedule some of whose fields have a leading axis, or a list of schedules of any kinds.
      rungs: updates of each rung; one number for a single rung, after which nothing more is trained.
      keep: the part of the lanes that goes on after a rung, in (0, 1], rounded up.
      tail: the part of a rung's updates whose mean loss ranks the lanes, in (0, 1]; see `lrax.end_loss`.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays.
      lanes: how many are trained at a time under vmap, the rest in turn; by default as in `lrax.run_sweep`.
      driver: `"compiled"` runs a rung as one program, one compilation for each number of lanes; `"host"` calls the compiled
        update from Python, which is faster for convolutions on the CPU. By default what suits the data and the platform.
      progress: shows a progress bar (needs tqdm).

    Returns: a `Race`. With an iterable that ends and cannot be begun again, the race ends there.

    Raises: TypeError or ValueError for arguments that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> rates = lrax.Constant(jnp.array([0.001, 0.01, 0.1, 10.0]))
    >>> result = race(learner, jnp.ones((8, 3)), rates, rungs=(16, 16), batch_size=4, key=jax.random.key(0))
    >>> print(result.schedules[result.best], result.updates)
    Constant(value=0.1) 96
    """
    lengths = _check_rungs(rungs, keep, tail, lanes)
    batch = as_lanes("race", schedules)
    batches = as_batches("race", data, batch_size)
    if driver is not None:
        choice("race", "driver", driver, ("compiled", "host"))
    runner: Callable[..., tuple[list[Any], np.ndarray[Any, Any]]]
    state = jax.tree.map(strong, learner.state) if isinstance(learner, Learner) else None
    if isinstance(batches, ArrayBatches | SampledBatches):
        if key is None:
            raise complain(ValueError, "race", "key", "given with arrays and samplers", None, "give jax.random.key(0)")
        draws = _draws(batches, key, sum(lengths))
        first = jax.eval_shape(_fetch_first, batches, draws)
    else:
        if driver == "compiled":
            remedy = "leave it out: the data is an iterable, which only the host can read"
            raise complain(ValueError, "race", "driver", "'host' for an iterable", driver, remedy)
        batches = endless(batches)
        first = next(batches, None)
        if first is None:
            raise complain(ValueError, "race", "data", "an iterable of at least one batch", data)
        batches = itertools.chain([first], batches)
    check_update("race", learner, first)
    in_turn = prefers_host(learner.update, state, first, jnp.zeros((), jnp.float32))
    plan = _plan(tree_bytes(state), batch.number, lanes, in_turn)
    if isinstance(batches, Iterator) or driver == "host" or (driver is None and in_turn):
        if not isinstance(batches, Iterator):
            batches = _drawn(batches, draws)
        runner = functools.partial(_run_from_host, learner.update, batches)
    else:
        runner = functools.partial(_run_compiled, learner.update, plan.programs, batches, draws)
    with progress_bar(sum(lengths), "race", progress) as show:
        return _run(runner, batch, state, lengths, keep, tail, plan, show)


def _run(
    runner: Callable[..., Any],
    batch: Lanes,
    state: Any,
    lengths: Sequence[int],
    keep: float,
    tail: float,
    plan: Plan,
    show: Callable[[], None],
) -> Race:
    """All rungs. The states of the lanes that are still in are a list."""
    losses = np.full((batch.number, sum(lengths)), np.nan, np.float32)
    end_losses = np.full(batch.number, np.inf, np.float32)
    rungs = np.zeros(batch.number, np.int32)
    racing, states, begin, spent = np.arange(batch.number), [state] * batch.number, 0, 0
    for number, length in enumerate(lengths):
        size = even(len(racing), plan.lanes)
        states, found = runner(take(batch.schedules, racing), states, size, begin, length, show)
        made = found.shape[1]
        losses[racing, begin : begin + made] = found
        rungs[racing] += 1
        spent += made * len(racing)
        finite = np.isfinite(found).all(axis=1) & (made > 0)
        if made:
            end_losses[racing] = np.where(finite, np.asarray(end_loss(np.where(finite[:, None], found, 0), tail)), np.inf)
        begin += made
        ranked = np.argsort(end_losses[racing], kind="stable")
        staying = ranked[: math.ceil(keep * len(racing))] if number + 1 < len(lengths) else ranked
        staying = np.sort(staying[finite[staying]])
        racing, states = racing[staying], [states[i] for i in staying]
        if made < length or not len(racing):
            break
    order = np.lexsort((end_losses, -rungs, np.isinf(end_losses)))
    winner = states[int(np.flatnonzero(racing == order[0])[0])] if order[0] in racing else None
    peaks = np.asarray(jax.jit(jax.vmap(peak_rate))(batch.schedules))
    schedules = tuple(batch.one(lane) for lane in range(batch.number))
    return Race(schedules, losses[:, :begin], end_losses, rungs, peaks, order, spent, winner, str(plan))


def _run_compiled(
    update: Update,
    programs: int,
    batches: Any,
    draws: Any,
    schedules: Any,
    states: list[Any],
    size: int,
    begin: int,
    length: int,
    show: Callable[[], None],
) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """One rung, a program for each group of lanes, so many of them side by side."""
    here = jax.tree.map(lambda leaf: leaf[begin : begin + length], draws)
    groups = list(_groups(len(states), size))
    gathered = [_gather(schedules, states, lanes, size) for lanes in groups]
    shared = batches, here, jnp.int32(begin)
    compiled = _rung.lower(update, size > 1, *gathered[0], *shared).compile()

    def run(group: tuple[Any, Any]) -> tuple[Any, np.ndarray[Any, Any]]:
        state, losses = compiled(*group, *shared)
        return state, np.asarray(losses).reshape(size, length)

    with concurrent.futures.ThreadPoolExecutor(programs) as pool:
        found = list(pool.map(run, gathered))
    for _ in range(length):
        show()
    ended = [state for lanes, (group, _) in zip(groups, found, strict=True) for state in _split(group, len(lanes), size)]
    return ended, np.concatenate([losses[: len(lanes)] for lanes, (_, losses) in zip(groups, found, strict=True)])


def _run_from_host(
    update: Update,
    batches: Iterator[Any],
    schedules: Any,
    states: list[Any],
    size: int,
    begin: int,
    length: int,
    show: Callable[[], None],
) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """One rung, update by update, every group of lanes on the same batch. The host runs ahead of the device."""
    groups = list(_groups(len(states), size))
    chosen = [_gather(schedules, states, lanes, size) for lanes in groups]
    curves: list[list[Any]] = [[] for _ in groups]
    for count in range(begin, begin + length):
        batch = next(batches, None)
        if batch is None:
            break
        for i, (schedule, state) in enumerate(chosen):
            state, loss = _step(update, size > 1, schedule, state, batch, np.int32(count))
            chosen[i] = schedule, state
            curves[i].append(loss)
        show()
    ended = [state for lanes, (_, group) in zip(groups, chosen, strict=True) for state in _split(group, len(lanes), size)]
    made = [np.stack(jax.device_get(curve)).reshape(len(curve), size).T for curve in curves if curve]
    losses = [curve[: len(lanes)] for lanes, curve in zip(groups, made, strict=False)]
    return ended, np.concatenate(losses) if losses else np.zeros((len(states), 0), np.float32)


def _advance(update: Update, schedule: Schedule, state: Any, batch: Any, count: jax.Array) -> tuple[Any, jax.Array]:
    state, loss = update(state, batch, schedule(count))
    return jax.tree.map(strong, state), jnp.asarray(loss, jnp.float32)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(update: Update, together: bool, schedule: Schedule, state: Any, batch: Any, count: jax.Array) -> Any:
    """One update, of one lane or of several."""
    one = functools.partial(_advance, update)
    return (
        jax.vmap(one, in_axes=(0, 0, None, None))(schedule, state, batch, count)
        if together
        else one(schedule, state, batch, count)
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _rung(update: Update, together: bool, schedule: Schedule, state: Any, batches: Any, draws: Any, begin: jax.Array) -> Any:
    """One rung of one lane or of several; a batch is fetched once for all."""

    def one(schedule: Schedule, state: Any) -> tuple[Any, jax.Array]:
        def body(carry: tuple[Any, jax.Array], draw: Any) -> tuple[tuple[Any, jax.Array], jax.Array]:
            state, count = carry
            state, loss = _advance(update, schedule, state, batches.fetch(draw), count)
            return (state, count + 1), loss

        (state, _), losses = jax.lax.scan(body, (state, begin), draws)
        return state, losses

    return jax.vmap(one)(schedule, state) if together else one(schedule, state)


@functools.partial(jax.jit, static_argnums=2)
def _draws(batches: Any, key: jax.Array, updates: int) -> Any:
    return batches.draws(key, updates)


@jax.jit
def _fetch_first(batches: Any, draws: Any) -> Any:
    return batches.fetch(jax.tree.map(lambda leaf: leaf[0], draws))


@jax.jit
def _fetch(batches: Any, draws: Any, place: jax.Array) -> Any:
    return batches.fetch(jax.tree.map(lambda leaf: leaf[place], draws))


def _drawn(batches: Any, draws: Any) -> Iterator[Any]:
    """The batches, one after the other, as arrays."""
    for place in range(len(jax.tree.leaves(draws)[0])):
        yield _fetch(batches, draws, np.int32(place))


def _groups(count: int, size: int) -> Iterator[np.ndarray[Any, Any]]:
    return (np.arange(begin, min(begin + size, count)) for begin in range(0, count, size))


def _gather(schedules: Any, states: list[Any], lanes: np.ndarray[Any, Any], size: int) -> tuple[Any, Any]:
    """The schedules and states of a group, stacked if it is more than one lane; the last is repeated to fill it."""
    if size == 1:
        return take(schedules, lanes[0]), states[lanes[0]]
    filled = lanes[np.minimum(np.arange(size), len(lanes) - 1)]
    return take(schedules, filled), jax.tree.map(lambda *leaves: jnp.stack(leaves), *(states[i] for i in filled))


def _split(states: Any, count: int, size: int) -> list[Any]:
    if size == 1:
        return [states]
    return [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(count)]


def _plan(state_bytes: int, count: int, lanes: int | None, in_turn: bool) -> Plan:
    if lanes is not None:
        return Plan(min(lanes, count), 1, "as given")
    if in_turn:
        return Plan(1, 1, "convolutions on the CPU")
    if jax.default_backend() != "cpu":
        return Plan(count, 1, "all of them")
    return plan_for_state(state_bytes, count)


def _check_rungs(rungs: Any, keep: float, tail: float, lanes: int | None) -> tuple[int, ...]:
    lengths = (rungs,) if isinstance(rungs, int | np.integer) else tuple(rungs)
    whole = all(isinstance(length, int | np.integer) and not isinstance(length, bool) and length > 0 for length in lengths)
    if not lengths or not whole:
        raise complain(ValueError, "race", "rungs", "one or more whole numbers of updates, each at least 1", rungs)
    for name, value in (("keep", keep), ("tail", tail)):
        if not 0 < value <= 1:
            raise complain(ValueError, "race", name, "above 0 and at most 1", value)
    if lanes is not None and (not isinstance(lanes, int | np.integer) or isinstance(lanes, bool) or lanes < 1):
        raise complain(ValueError, "race", "lanes", "an integer of at least 1", lanes)
    return tuple(int(length) for length in lengths)
