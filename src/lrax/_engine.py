"""How the updates of a range test are run: one update, one carry, one definition of stopping, and two drivers.

`run_compiled` is one `lax.while_loop`, which may be jitted and vmapped and ends when every lane has stopped. `run_from_host`
calls the same update, jitted, once an update: for data from Python iterables, for progress bars, and for convolutions on the
CPU, whose gradients XLA runs many times slower inside any loop or branch. Both give the same curve.
"""

import collections
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax._batches import CompiledBatches
from lrax._learner import Update
from lrax._reason import CODES, RUNNING, Reason

LATE = 8
"""How many updates late the host reads whether the test has stopped, so that the device never waits for it."""


class Rules(NamedTuple):
    """What a range test is run by: pytrees, so that other numbers make no other trace.

    Attributes:
      ramp: count -> rate.
      smoothing: count -> weight of the new loss in the smoothed one.
      stop: carry -> whether to stop.
      limit: how many updates to make at most, int32.
      accumulate: batches to one optimizer update, int32.
    """

    ramp: Callable[[Any], jax.Array]
    smoothing: Callable[[Any], jax.Array]
    stop: Callable[[Any], jax.Array]
    limit: Any
    accumulate: Any = np.int32(1)


class Carry(NamedTuple):
    """Where a range test stands after some updates; the learner's state goes beside it. Scalars but for the three curves.

    Attributes:
      updates: how many updates were made, int32.
      loss, smoothed: the last loss and the smoothed loss up to it, float32.
      first: the first loss.
      lowest: the lowest smoothed loss so far.
      reason: why the test has stopped, or -1.
      part: how many batches of the next update were seen, int32; 0 without accumulation.
      total: the sum of their losses.
      rates, losses, smooths: float32 of shape (updates of the ramp,), NaN where no update was made.
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


def begin(updates: int) -> Carry:
    """The carry before the first update."""
    unknown, curve = jnp.full((), jnp.nan, jnp.float32), jnp.full((updates,), jnp.nan, jnp.float32)
    zero = jnp.zeros((), jnp.int32)
    scalars = {"loss": unknown, "smoothed": unknown, "first": unknown, "lowest": unknown, "total": jnp.zeros((), jnp.float32)}
    return Carry(updates=zero, reason=zero + RUNNING, part=zero, rates=curve, losses=curve, smooths=curve, **scalars)


def advance(update: Update, rules: Rules, state: Any, carry: Carry, batch: Any) -> tuple[Any, Carry]:
    """One batch: what a range test does, wherever it is run. Once stopped, nothing is recorded any more."""
    rate = jnp.asarray(rules.ramp(carry.updates), jnp.float32)
    state, loss = update(state, batch, rate)
    part, total = carry.part + 1, carry.total + jnp.asarray(loss, jnp.float32)
    whole = part >= rules.accumulate
    measured = record(rules, carry, rate, total / rules.accumulate.astype(jnp.float32))
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
    update: Update, state: Any, carry: Carry, batches: CompiledBatches, rules: Rules, key: jax.Array, accumulate: int = 1
) -> tuple[Any, Carry]:
    """All updates in one loop, which ends when the test has stopped: under vmap, when every lane has.

    A carry that stands at its limit goes on from there under rules with a higher one.
    """
    draws = batches.draws(key, carry.rates.shape[-1] * accumulate)

    def going(progress: tuple[Any, Carry]) -> jax.Array:
        return (progress[1].reason == RUNNING) & (progress[1].updates < rules.limit)

    def body(progress: tuple[Any, Carry]) -> tuple[Any, Carry]:
        return advance(update, rules, *progress, batches.fetch(draw_of(draws, progress[1], accumulate)))

    return jax.lax.while_loop(going, body, (jax.tree.map(strong, state), carry))


def draw_of(draws: Any, carry: Carry, accumulate: int) -> Any:
    """What the next batch is fetched by; past a stop, the same one again."""
    return jax.tree.map(lambda leaf: leaf[carry.updates * accumulate + carry.part], draws)


def run_from_host(
    update: Update,
    state: Any,
    carry: Carry,
    batches: CompiledBatches | Iterator[Any],
    rules: Rules,
    key: jax.Array | None,
    accumulate: int = 1,
    donate: bool = False,
    report: Callable[[Carry], None] = lambda carry: None,
) -> tuple[Any, Carry]:
    """All updates, called one by one; `report` is given every carry and may keep it.

    The host runs ahead of the device and reads the stop `LATE` updates after it happened; the updates in between are dropped.
    Every update reuses the memory of the state before it; the caller's state is copied first, unless it is donated.
    """
    state = jax.tree.map(lambda leaf: strong(leaf) if donate else jnp.copy(strong(leaf)), state)
    inputs: Iterator[tuple[Any, ...]]
    if isinstance(batches, Iterator):
        step, inputs = functools.partial(_advance, update, rules), ((batch,) for batch in batches)
    else:
        draws = _draws(batches, key, carry.rates.shape[-1] * accumulate)
        step, inputs = functools.partial(_advance_drawn, update, accumulate, rules, batches, draws), itertools.repeat(())
    pending: collections.deque[jax.Array] = collections.deque()
    for _ in range((int(rules.limit) - int(carry.updates)) * accumulate):
        batch = next(inputs, None)
        if batch is None:
            return state, finish(carry, Reason.DATA_ENDED)
        state, carry = step(state, carry, *batch)
        report(carry)
        pending.append(carry.reason)
        if len(pending) > LATE and int(pending.popleft()) != RUNNING:
            break
    return state, carry


@functools.partial(jax.jit, static_argnames="count")
def _draws(batches: CompiledBatches, key: jax.Array, count: int) -> Any:
    return batches.draws(key, count)


def _drawn(
    update: Update, accumulate: int, rules: Rules, batches: CompiledBatches, draws: Any, state: Any, carry: Carry
) -> tuple[Any, Carry]:
    return advance(update, rules, state, carry, batches.fetch(draw_of(draws, carry, accumulate)))


_advance = jax.jit(advance, static_argnames="update", donate_argnames="state")
_advance_drawn = jax.jit(_drawn, static_argnames=("update", "accumulate"), donate_argnames="state")


def prefers_host(update: Update, *arguments: Any) -> bool:
    """Whether `update` runs faster when it is called from Python: on the CPU, if it takes gradients of convolutions."""
    if jax.default_backend() != "cpu":
        return False
    return _has_convolution(jax.make_jaxpr(update)(*arguments).jaxpr)


def _has_convolution(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        inner = jax.tree.leaves(equation.params, is_leaf=lambda value: _jaxpr_in(value) is not None)
        if any(_has_convolution(_jaxpr_in(value)) for value in inner if _jaxpr_in(value) is not None):
            return True
    return False


def _jaxpr_in(value: Any) -> Any:
    """The program that a parameter of an equation holds, open or closed; None for other parameters."""
    value = getattr(value, "jaxpr", value)
    return value if getattr(value, "eqns", None) is not None else None
