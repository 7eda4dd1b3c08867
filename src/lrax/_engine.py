"""How the updates of a range test are run: one update, one carry, one definition of stopping, and two drivers.

`run_compiled` is one `lax.while_loop`, which may be jitted and vmapped and stops when every lane has stopped. `run_from_host`
calls the same update, jitted, once an update: for data from Python iterables, for progress bars, and for convolutions on the
CPU, whose gradients XLA runs many times slower inside any loop or branch. Both give the same curve.
"""

import collections
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

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
    """

    ramp: Callable[[Any], jax.Array]
    smoothing: Callable[[Any], jax.Array]
    stop: Callable[[Any], jax.Array]


class Carry(NamedTuple):
    """Where a range test stands after some updates. All scalars but the state and the three curves are of shape ().

    Attributes:
      state: the learner's state.
      updates: how many updates were made, int32.
      loss, smoothed: the last loss and the smoothed loss up to it, float32.
      first: the first loss.
      lowest: the lowest smoothed loss so far.
      reason: why the test has stopped, or -1.
      rates, losses, smooths: float32 of shape (updates of the ramp,), NaN where no update was made.
    """

    state: Any
    updates: jax.Array
    loss: jax.Array
    smoothed: jax.Array
    first: jax.Array
    lowest: jax.Array
    reason: jax.Array
    rates: jax.Array
    losses: jax.Array
    smooths: jax.Array


def begin(state: Any, updates: int) -> Carry:
    """The carry before the first update."""
    unknown, curve = jnp.full((), jnp.nan, jnp.float32), jnp.full((updates,), jnp.nan, jnp.float32)
    number = jnp.zeros((), jnp.int32)
    return Carry(
        state=jax.tree.map(strong, state),
        updates=number,
        loss=unknown,
        smoothed=unknown,
        first=unknown,
        lowest=unknown,
        reason=number + RUNNING,
        rates=curve,
        losses=curve,
        smooths=curve,
    )


def advance(update: Update, rules: Rules, carry: Carry, batch: Any) -> Carry:
    """One update: what a range test does, wherever it is run. Once stopped, nothing is recorded any more."""
    count = carry.updates
    rate = jnp.asarray(rules.ramp(count), jnp.float32)
    state, loss = update(carry.state, batch, rate)
    state = jax.tree.map(strong, state)
    loss = jnp.asarray(loss, jnp.float32)
    first = jnp.where(count == 0, loss, carry.first)
    past = jnp.where(count == 0, loss, carry.smoothed)
    smoothed = past + rules.smoothing(count) * (loss - past)
    measured = carry._replace(
        updates=count + 1,
        loss=loss,
        smoothed=smoothed,
        first=first,
        lowest=jnp.fmin(smoothed, carry.lowest),
        rates=carry.rates.at[count].set(rate, mode="drop"),
        losses=carry.losses.at[count].set(loss, mode="drop"),
        smooths=carry.smooths.at[count].set(smoothed, mode="drop"),
    )
    stopped = jnp.where(rules.stop(measured), CODES[Reason.DIVERGED], RUNNING)
    reason = jnp.where(jnp.isfinite(loss), stopped, CODES[Reason.NON_FINITE]).astype(jnp.int32)
    going = carry.reason == RUNNING
    new, old = measured._replace(reason=reason, state=()), carry._replace(state=())
    return jax.tree.map(lambda new, old: jnp.where(going, new, old), new, old)._replace(state=state)


def strong(leaf: Any) -> Any:
    """An array without JAX's weak type, so that a state has one type before and after an update."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else array.astype(array.dtype)


def finish(carry: Carry) -> Carry:
    """The carry with its reason: what has not stopped has completed."""
    return carry._replace(reason=jnp.where(carry.reason == RUNNING, CODES[Reason.COMPLETED], carry.reason))


def run_compiled(update: Update, state: Any, batches: CompiledBatches, rules: Rules, updates: int, key: jax.Array) -> Carry:
    """All updates in one loop, which ends when the test has stopped: under vmap, when every lane has."""
    draws = batches.draws(key, updates)

    def going(carry: Carry) -> jax.Array:
        return (carry.reason == RUNNING) & (carry.updates < updates)

    def body(carry: Carry) -> Carry:
        draw = jax.tree.map(lambda leaf: leaf[carry.updates], draws)
        return advance(update, rules, carry, batches.fetch(draw))

    return finish(jax.lax.while_loop(going, body, begin(state, updates)))


def run_from_host(
    update: Update,
    state: Any,
    batches: CompiledBatches | Iterator[Any],
    rules: Rules,
    updates: int,
    key: jax.Array | None,
    report: Callable[[Carry], None],
) -> Carry:
    """All updates, called one by one; `report` is given every carry and may keep it.

    The host runs ahead of the device and reads the stop `LATE` updates after it happened; the updates in between are dropped.
    """
    if isinstance(batches, Iterator):
        step = functools.partial(_advance, update, rules)
        inputs: Iterator[tuple[Any, ...]] = ((batch,) for batch in batches)
    else:
        step = functools.partial(_advance_drawn, update, rules)
        inputs = ((batches, draws) for draws in [_draws(batches, key, updates)] for _ in range(updates))
    carry = _begin(state, updates)
    pending: collections.deque[jax.Array] = collections.deque()
    for _ in range(updates):
        arguments = next(inputs, None)
        if arguments is None:
            ended = carry.reason + CODES[Reason.DATA_ENDED] - RUNNING
            return carry._replace(reason=jnp.where(carry.reason == RUNNING, ended, carry.reason))
        carry = step(carry, *arguments)
        report(carry)
        pending.append(carry.reason)
        if len(pending) > LATE and int(pending.popleft()) != RUNNING:
            break
    return finish(carry)


_begin = jax.jit(begin, static_argnames="updates")
_advance = jax.jit(advance, static_argnames="update")


@functools.partial(jax.jit, static_argnames="updates")
def _draws(batches: CompiledBatches, key: jax.Array, updates: int) -> Any:
    return batches.draws(key, updates)


@functools.partial(jax.jit, static_argnames="update")
def _advance_drawn(update: Update, rules: Rules, carry: Carry, batches: CompiledBatches, draws: Any) -> Carry:
    draw = jax.tree.map(lambda leaf: leaf[carry.updates], draws)  # past a stop, the same one again
    return advance(update, rules, carry, batches.fetch(draw))


def prefers_host(update: Update, *arguments: Any) -> bool:
    """Whether `update` runs faster when it is called from Python: on the CPU, if it takes gradients of convolutions."""
    if jax.default_backend() != "cpu":
        return False
    return _has_convolution(jax.make_jaxpr(update)(*arguments).jaxpr)


def _has_convolution(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        if any(_has_convolution(inner) for inner in jaxprs_in_params(equation.params)):
            return True
    return False
