"""How updates are run: one update, one carry, one definition of stopping, and two drivers, for one lane or several abreast.

`run_compiled` is one `lax.while_loop`, which may be jitted and vmapped and ends when every lane has stopped. `run_from_host`
calls the same update, jitted, once an update: for data from Python iterables, for progress bars, and for convolutions on the
CPU, whose gradients XLA runs many times slower inside any loop or branch. Both give the same curve.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.training._batches import ENDED, CompiledBatches
from lrax.training._learner import Update
from lrax.training._reason import CODES, RUNNING, Reason

EVERY, LATE = 8, 4
"""Once in how many updates the host reads whether lanes have stopped, and of how many updates before: the device never waits.

Reading at every update costs 3 % of one of LeNet's on two cores, where the host takes its time from the device.
"""

Axes = tuple[int, int | None] | None
"""How lanes run abreast: the axis of lanes, and that of their batches."""
ALONE: Axes = None
SAME_BATCHES: Axes = (0, None)
OWN_BATCHES: Axes = (0, 0)


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
    """Where a lane stands after some updates; the learner's state goes beside it. Scalars but for the three curves.

    Attributes:
      updates: how many updates were made, int32.
      loss, smoothed: the last loss and the smoothed loss up to it, float32.
      first: the first loss.
      lowest: the lowest smoothed loss so far.
      reason: why the lane has stopped, or -1.
      part: how many batches of the next update were seen, int32; 0 without accumulation.
      total: the sum of their losses.
      rates, losses, smooths: float32 of shape (most updates,), NaN where no update was made.
    """

    updates: jax.Array
    loss: jax.Array
    smoothed: jax.Array
    first: jax.Array
    lowest: jax.Array
    reason: jax.Array
    part: jax.Array
    total: jax.Array
    rates: jax.Array
    losses: jax.Array
    smooths: jax.Array


class Lane(NamedTuple):
    """One run, or several abreast, stacked: where it stands, what it is run by, and the key that draws its batches."""

    state: Any
    carry: Carry
    rules: Rules
    key: Any


def begin(updates: int) -> Carry:
    """The carry before the first of at most so many updates."""
    unknown, curve, zero = np.float32(np.nan), np.full(updates, np.nan, np.float32), np.int32(0)
    scalars: dict[str, Any] = dict.fromkeys(("loss", "smoothed", "first", "lowest"), unknown)
    curves: dict[str, Any] = dict.fromkeys(("rates", "losses", "smooths"), curve)
    counts: dict[str, Any] = {"updates": zero, "reason": np.int32(RUNNING), "part": zero, "total": np.float32(0)}
    return Carry(**counts, **scalars, **curves)


def advance(update: Update, accumulate: int, rules: Rules, state: Any, carry: Carry, batch: Any) -> tuple[Any, Carry]:
    """One batch, of `accumulate` to an update: what a lane does, wherever it is run. Once stopped, it records nothing more."""
    rate = jnp.asarray(rules.schedule(carry.updates), jnp.float32)
    state, loss = update(state, batch, rate)
    part, total = carry.part + 1, carry.total + jnp.asarray(loss, jnp.float32)
    whole = part >= accumulate
    measured = record(rules, carry, rate, total / accumulate)
    begun = carry._replace(part=part, total=total)
    going = carry.reason == RUNNING
    kept = jax.tree.map(lambda new, now, old: jnp.where(going, jnp.where(whole, new, now), old), measured, begun, carry)
    return jax.tree.map(strong, state), kept


def record(rules: Rules, carry: Carry, rate: jax.Array, loss: jax.Array) -> Carry:
    """The carry after an update at `rate` that measured `loss`."""
    count = carry.updates
    past = jnp.where(count == 0, loss, carry.smoothed)
    smoothed = past + rules.smoothing(count) * (loss - past)
    measured = Carry(
        updates=count + 1,
        loss=loss,
        smoothed=smoothed,
        first=jnp.where(count == 0, loss, carry.first),
        lowest=jnp.fmin(smoothed, carry.lowest),
        reason=carry.reason,
        part=jnp.zeros_like(carry.part),
        total=jnp.zeros_like(carry.total),
        rates=carry.rates.at[count].set(rate, mode="drop"),
        losses=carry.losses.at[count].set(loss, mode="drop"),
        smooths=carry.smooths.at[count].set(smoothed, mode="drop"),
    )
    stopped = jnp.where(rules.stop(measured), CODES[Reason.DIVERGED], RUNNING)
    reason = jnp.where(jnp.isfinite(loss), stopped, CODES[Reason.NON_FINITE])
    return measured._replace(reason=reason.astype(jnp.int32))


def strong(leaf: Any) -> Any:
    """An array without JAX's weak type, so that a state has one type before and after an update."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else array.astype(array.dtype)


def finish(carry: Carry, reason: Reason = Reason.COMPLETED) -> Carry:
    """The carry with its reason: what has not stopped has completed, or ended otherwise."""
    return carry._replace(reason=jnp.where(carry.reason == RUNNING, CODES[reason], carry.reason))


def run_compiled(
    update: Update, lane: Lane, batches: CompiledBatches, until: Any, accumulate: int = 1, axes: Axes = ALONE
) -> tuple[Any, Carry]:
    """Updates until the count is `until`, in one loop that ends when the lane has stopped, or every lane of several.

    Lanes that run abreast stand at the same count, or have stopped before.
    """
    order = _order(batches, lane.key, axes)

    def going(progress: tuple[jax.Array, Any, Carry]) -> jax.Array:
        count, _, carry = progress
        return (count < until * accumulate) & jnp.any(carry.reason == RUNNING)

    def body(progress: tuple[jax.Array, Any, Carry]) -> tuple[jax.Array, Any, Carry]:
        count, state, carry = progress
        return count + 1, *_advance_all(update, accumulate, axes, lane.rules, state, carry, _fetch(batches, order, count, axes))

    carry = jax.tree.map(jnp.asarray, lane.carry)
    count = jnp.max(carry.updates) * accumulate + jnp.max(carry.part)
    return jax.lax.while_loop(going, body, (count, jax.tree.map(strong, lane.state), carry))[1:]


def run_from_host(
    update: Update,
    lanes: Sequence[Lane],
    batches: CompiledBatches | Iterator[Any],
    until: int,
    accumulate: int = 1,
    axes: Axes = ALONE,
    donate: bool = False,
    report: Callable[[int, Carry], None] = lambda place, carry: None,
) -> list[tuple[Any, Carry]]:
    """As `run_compiled`, but every update is called; all `lanes` see a batch before the next one is drawn.

    `report` is given every carry, with its place in `lanes`, and may keep it. The host runs ahead of the device and reads a
    stop a few updates after it happened; the updates in between are dropped, and so are their batches if they come from an
    iterator. Every update reuses the memory of the state before it; the caller's state is copied first, unless it is donated.
    """
    copied = strong if donate else lambda leaf: jnp.copy(strong(leaf))
    lanes = [lane._replace(state=jax.tree.map(copied, lane.state)) for lane in lanes]
    if not isinstance(batches, Iterator):
        orders = [_order_jitted(batches, lane.key, axes) for lane in lanes]
    pending: collections.deque[list[Any]] = collections.deque(maxlen=1 + LATE)
    begun = max(int(np.max(lane.carry.updates)) for lane in lanes)
    for count in range(begun * accumulate, until * accumulate):
        if isinstance(batches, Iterator):
            batch = next(batches, ENDED)
            if batch is ENDED:
                lanes = [lane._replace(carry=finish(lane.carry, Reason.DATA_ENDED)) for lane in lanes]
                break
            after = [_step(update, accumulate, axes, lane.rules, lane.state, lane.carry, batch) for lane in lanes]
        else:
            after = [
                _step_drawn(update, accumulate, axes, batches, order, np.int32(count), lane.rules, lane.state, lane.carry)
                for lane, order in zip(lanes, orders, strict=True)
            ]
        lanes = [lane._replace(state=state, carry=carry) for lane, (state, carry) in zip(lanes, after, strict=True)]
        for place, lane in enumerate(lanes):
            report(place, lane.carry)
        pending.append([lane.carry.reason for lane in lanes])
        looks = count % EVERY == 0 and len(pending) > LATE
        if looks and not any((np.asarray(reason) == RUNNING).any() for reason in pending[0]):
            break
    return [(lane.state, lane.carry) for lane in lanes]


def _advance_all(
    update: Update, accumulate: int, axes: Axes, rules: Rules, state: Any, carry: Carry, batch: Any
) -> tuple[Any, Carry]:
    """One batch of one lane or of several."""

    def one(lane: tuple[Rules, Any, Carry], batch: Any) -> tuple[Any, Carry]:
        return advance(update, accumulate, *lane, batch)

    return (one if axes is None else jax.vmap(one, in_axes=axes))((rules, state, carry), batch)


def _order(batches: CompiledBatches, key: Any, axes: Axes) -> Any:
    if axes != OWN_BATCHES:
        return batches.order(key)
    return jax.lax.map(batches.order, key)  # not vmap, under which keys of some implementations give other bits


def _fetch(batches: CompiledBatches, order: Any, count: Any, axes: Axes) -> Any:
    return (jax.vmap(batches.fetch, (0, None)) if axes == OWN_BATCHES else batches.fetch)(order, count)


def _advance_drawn(
    update: Update, accumulate: int, axes: Axes, batches: Any, order: Any, count: Any, rules: Rules, state: Any, carry: Carry
) -> tuple[Any, Carry]:
    return _advance_all(update, accumulate, axes, rules, state, carry, _fetch(batches, order, count, axes))


_order_jitted = jax.jit(_order, static_argnames="axes")
_step = jax.jit(_advance_all, static_argnames=("update", "accumulate", "axes"), donate_argnames="state")
_step_drawn = jax.jit(_advance_drawn, static_argnames=("update", "accumulate", "axes"), donate_argnames="state")
