"""What rules that watch a value share: how it is given, gathered into means, and compared."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._rules import Rule
from lrax.fields._words import argument_error

FACTOR = Rule("a number between 0 and 1, both excluded", low=0, high=1, open=True)
TOLERANCE = Rule("a finite number, at least 0", low=0)
FLOOR = Rule("a number from 0 to 1", low=0, high=1)
JUDGEMENTS = Rule("a whole number of judgements, at least 1", np.int32, low=1, remedy="give an int such as 5")
WAIT = Rule("a whole number of judgements, at least 0", np.int32, low=0, remedy="give an int such as 5")


def gathered(caller: str, state: Any, value: Any) -> Any:
    """The state with one value more, which must be a scalar; one that is not finite is no part of the sum."""
    if value is None:
        raise argument_error(
            TypeError, caller, "value", "given to update", value, "call tx.update(grads, opt_state, params, value=loss)"
        )
    value = jnp.asarray(value).astype(jnp.float32)
    if value.ndim:
        raise argument_error(ValueError, caller, "value", "a scalar", value, "give its mean")
    finite = jnp.isfinite(value)
    total, seen = state.total + jnp.where(finite, value, 0.0), state.seen + finite.astype(jnp.int32)
    return state._replace(total=total, seen=seen, waited=state.waited + 1)


def judged(state: Any, sign: float, counts: bool, rtol: Any, atol: Any) -> tuple[jax.Array, jax.Array, Any]:
    """The mean of the values, whether it is better than the best, and whether there is anything to judge.

    Where values that are not finite count, a mean with one of them left out is never better.
    """
    mean, best = sign * state.total / jnp.maximum(state.seen, 1).astype(jnp.float32), sign * state.best
    margin = atol + rtol * jnp.where(jnp.isfinite(best), jnp.abs(best), 0.0)
    made = True if counts else state.seen > 0
    has_mean = (state.seen == state.waited if counts else state.seen > 0) & jnp.isfinite(mean)
    return sign * mean, has_mean & (mean < best - margin), made


def scaled(updates: Any, scale: jax.Array) -> Any:
    """Updates times a scale, each in its own dtype."""
    return jax.tree.map(lambda update: update * scale.astype(update.dtype), updates)


def watching(caller: str, init: Any, judge: Any, every: Any) -> optax.GradientTransformationExtraArgs:
    """A transformation whose state is judged every `every` updates, and whose scale holds from that update on."""

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = None, **extra: Any) -> tuple[Any, Any]:
        del params, extra
        state = gathered(caller, state, value)
        due = state.waited >= every
        state = jax.tree.map(lambda new, old: jnp.where(due, new, old), judge(state), state)
        return scaled(updates, state.scale), state

    return optax.GradientTransformationExtraArgs(init, update)
