"""Runs of the finder: checked once, then repeated with other ramps, over seeds, by the driver that suits them."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax._batches import ArrayBatches, SampledBatches, as_batches, endless
from lrax._check import choice, complain, is_known, is_traced
from lrax._engine import Carry, Rules, begin, finish, prefers_host, run_compiled, run_from_host
from lrax._learner import Learner, check_update
from lrax._schedule import CallableRule, Schedule, ScheduleRule
from lrax.finder._smooth import RunningMean
from lrax.finder._stop import TimesFirst

SMALL = 1_000_000
"""On the CPU, states of up to this many numbers in all lanes are trained side by side; larger ones in turn."""


ENDED = object()
"""Stands for the first batch of an iterable without batches."""


class Lane(NamedTuple):
    """One run: where it stands, the rules that it goes on by, and the key that draws its batches."""

    state: Any
    carry: Carry
    rules: Rules
    key: Any


@dataclasses.dataclass(frozen=True)
class Runner:
    """What stays the same between the runs of one call: the learners of all seeds, the data, and how updates are driven.

    Attributes:
      update: the learners' update.
      states: the state of each seed.
      keys: the key of each seed, or None for iterables.
      batches: drawn inside compiled programs, or an iterator.
      accumulate: batches to one optimizer update.
      host: whether updates are called from Python.
      donate: whether the state's memory is given away.
      report: called with the carry after every batch that the host drives.
    """

    update: Callable[..., Any]
    states: list[Any]
    keys: list[Any]
    batches: Any
    accumulate: int
    host: bool
    donate: bool
    report: Callable[[Carry], None]

    def ramps(self, rules: list[Rules], length: int) -> list[Carry]:
        """The last carry of a test of each seed by its own rules; `length` is that of the curves, at least the limits."""
        lanes = [Lane(*each) for each in zip(self.states, [begin(length)] * len(rules), rules, self.keys, strict=True)]
        return [finish(lane.carry) for lane in self.advance(lanes)]

    def advance(self, lanes: list[Lane]) -> list[Lane]:
        """The lanes at the limits of their rules, or where they stopped before."""
        if self.host:
            after = [self._from_host(lane) for lane in lanes]
        elif len(lanes) == 1 or not self._side_by_side(lanes):
            run = _run_donated if self.donate else _run
            after = [run(self.update, lane.state, lane._replace(state=()), self.batches, self.accumulate) for lane in lanes]
        else:
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *lanes)
            states, carries = _run_lanes(self.update, stacked, self.batches, self.accumulate)
            after = [jax.tree.map(lambda leaf, i=i: leaf[i], (states, carries)) for i in range(len(lanes))]
        return [lane._replace(state=state, carry=carry) for lane, (state, carry) in zip(lanes, after, strict=True)]

    def _from_host(self, lane: Lane) -> tuple[Any, Carry]:
        state, carry, rules, key = lane
        return run_from_host(self.update, state, carry, self.batches, rules, key, self.accumulate, self.donate, self.report)

    def _side_by_side(self, lanes: list[Lane]) -> bool:
        numbers = sum(np.size(leaf) for lane in lanes for leaf in jax.tree.leaves(lane.state))
        return jax.default_backend() != "cpu" or numbers <= SMALL


def _advance(update: Any, state: Any, lane: Lane, batches: Any, accumulate: int) -> tuple[Any, Carry]:
    return run_compiled(update, state, lane.carry, batches, lane.rules, lane.key, accumulate)


def _advance_lanes(update: Any, lanes: Lane, batches: Any, accumulate: int) -> tuple[Any, Carry]:
    return jax.vmap(lambda lane: _advance(update, lane.state, lane, batches, accumulate))(lanes)


_run = jax.jit(_advance, static_argnames=("update", "accumulate"))
_run_donated = jax.jit(_advance, static_argnames=("update", "accumulate"), donate_argnames="state")
_run_lanes = jax.jit(_advance_lanes, static_argnames=("update", "accumulate"))


def make_runner(
    owner: str,
    learner: Learner,
    data: Any,
    *,
    key: jax.Array | None,
    batch_size: int | None,
    transform: Callable[[Any], Any] | None,
    accumulate: int,
    seeds: int,
    initialize: Callable[[jax.Array], Learner] | None,
    driver: str | None,
    donate: bool,
    report: Callable[[Carry], None],
) -> Runner:
    """Checks everything about a learner and its data before anything is compiled."""
    if any(is_traced(leaf) for leaf in jax.tree.leaves((key, getattr(learner, "state", None)))):
        remedy = "inside jit, vmap and scan use lrax.range_test, which is pure"
        raise complain(TypeError, owner, "learner and key", "arrays, not traced", learner, remedy)
    batches = as_batches(owner, data, batch_size, transform)
    drawn = isinstance(batches, ArrayBatches | SampledBatches)
    if driver is not None:
        choice(owner, "driver", driver, ("compiled", "host"))
    if driver == "compiled" and not drawn:
        remedy = "leave it out: the data is an iterable, which only the host can read"
        raise complain(ValueError, owner, "driver", "'host' for an iterable", driver, remedy)
    if key is None and (drawn or initialize is not None):
        raise complain(ValueError, owner, "key", "given with arrays, samplers and initializers", None, "give jax.random.key(0)")
    if key is not None:
        check_key(owner, key)
    keys: list[Any] = [None] * seeds if key is None else [key] if seeds == 1 else list(jax.random.split(key, seeds))
    learners = [learner if initialize is None else initialize(jax.random.fold_in(each, 1)) for each in keys]
    if isinstance(batches, ArrayBatches | SampledBatches):
        batch = batch_shape(batches, keys[0])
    else:
        batches = endless(batches, transform)
        batch = next(batches, ENDED)
        batches = batches if batch is ENDED else itertools.chain([batch], batches)
    if batch is not ENDED:
        for each in learners:
            check_update(owner, each, batch)
    check_accumulate(owner, learners[0].state, accumulate)
    if driver is None and drawn:
        rate = jnp.zeros((), jnp.float32)
        driver = "host" if prefers_host(learners[0].update, learners[0].state, batch, rate) else "compiled"
    return Runner(
        learners[0].update,
        [each.state for each in learners],
        keys,
        batches,
        accumulate,
        driver != "compiled",
        donate,
        report,
    )


def check_key(owner: str, key: Any) -> None:
    """Raises if something is no random key."""
    try:
        jax.random.fold_in(key, 0)
    except (TypeError, ValueError) as error:
        raise complain(TypeError, owner, "key", "a random key", key, "give jax.random.key(0)") from error


def check_accumulate(owner: str, state: Any, accumulate: int) -> None:
    """Raises if gradients are accumulated by the optimizer and the test does not know, or the other way round."""
    check_whole(owner, "accumulate", accumulate)
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, optax.MultiStepsState))
    accumulates = any(isinstance(node, optax.MultiStepsState) for node in nodes)
    if accumulates and accumulate == 1:
        remedy = "give the number of batches to one optimizer update, every_k_schedule of optax.MultiSteps"
        raise complain(ValueError, owner, "accumulate", "above 1 where the optimizer accumulates gradients", accumulate, remedy)


def check_whole(owner: str, name: str, value: Any) -> None:
    """Raises if a value is not an integer of at least 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise complain(TypeError, owner, name, "an integer of at least 1", value)
    if value < 1:
        raise complain(ValueError, owner, name, "an integer of at least 1", value)


def make_rules(owner: str, ramp: Any, updates: int | None, smoothing: Any, stop: Any, accumulate: int) -> tuple[Rules, int]:
    """The rules of a test as pytrees, and the number of its updates."""
    ramp = ScheduleRule().convert(owner, "ramp", ramp)
    if updates is None:
        if ramp.length is None or not is_known(ramp.length) or np.ndim(ramp.length):
            raise complain(ValueError, owner, "updates", "given where the ramp's length is not one known number", None)
        updates = int(ramp.length) + 1
    check_whole(owner, "updates", updates)
    check_whole(owner, "accumulate", accumulate)
    check_rising(owner, ramp, int(updates))
    wrap = CallableRule()
    smoothing = wrap.convert(owner, "smoothing", RunningMean() if smoothing is None else smoothing)
    stop = wrap.convert(owner, "stop", TimesFirst() if stop is None else stop)
    return Rules(ramp, smoothing, stop, np.int32(updates), np.int32(accumulate)), int(updates)


def check_rising(owner: str, ramp: Schedule, updates: int) -> None:
    """Raises if the rates of a ramp whose numbers are known do not rise or are not above 0."""
    if not all(is_known(leaf) and np.ndim(leaf) == 0 for leaf in jax.tree.leaves(ramp)):
        return
    with jax.ensure_compile_time_eval():
        rates = np.asarray(ramp(np.arange(updates)))
    if not (rates > 0).all() or (np.diff(rates) < 0).any():
        remedy = "give lrax.Geometric(1e-6, 10.0, steps), the lower rate first"
        raise complain(ValueError, owner, "ramp", "a schedule of rising rates above 0", ramp, remedy)


def batch_shape(batches: ArrayBatches | SampledBatches, key: jax.Array) -> Any:
    """The shapes and dtypes of a batch, without drawing one."""
    if isinstance(batches, SampledBatches):
        return jax.eval_shape(batches.fetch, key)
    return jax.eval_shape(type(batches).fetch, batches, jnp.zeros(batches.batch_size, jnp.int32))
