"""Factors that react to a metric."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import argument_error, check_call, choice, is_concrete
from lrax.fields._rules import Rule
from lrax.fields._types import STEPS, Maybe

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


class PlateauState(NamedTuple):
    """The state of `lrax.reduce_on_plateau`: seven scalars, to be saved with the rest of the optimizer's state.

    Attributes:
      scale: what the updates are multiplied by, float32.
      best: the best value so far, float32; infinite before there is one.
      plateau_count: judgements without improvement in a row, int32.
      cooldown_count: judgements that are still to be ignored, int32.
      total: sum of the values since the last judgement, float32.
      seen: how many values are in the sum, int32.
      waited: updates since the last judgement, int32.
    """

    scale: jax.Array
    best: jax.Array
    plateau_count: jax.Array
    cooldown_count: jax.Array
    total: jax.Array
    seen: jax.Array
    waited: jax.Array


@check_call
def reduce_on_plateau(
    factor: Any = 0.1,
    patience: Any = 10,
    *,
    mode: Literal["min", "max"] = "min",
    rtol: Any = 1e-4,
    atol: Any = 0.0,
    every: Any = 1,
    cooldown: Any = 0,
    min_scale: Any = 0.0,
    nonfinite: Literal["count", "skip"] = "count",
) -> optax.GradientTransformationExtraArgs:
    r"""Multiplies the updates by `factor` each time a value has not improved for `patience` judgements.

    Put it last in a chain, after an optimizer with any schedule, and give `update` the value to watch:
    `tx.update(grads, opt_state, params, value=loss)`. A judgement is made every `every` updates, of the mean of the values
    since the last one. A value is an improvement if it is better than the best so far by more than $rtol\,|best| + atol$,
    whatever its sign. The lowered scale holds from the update whose value was one too many.

    In the optimizer of a range test it lowers the ramp wherever the loss is level: leave it out there, or give it a `patience`
    longer than the test.

    Args:
      factor: what the scale is multiplied by, in (0, 1).
      patience: judgements in a row without improvement after which the scale is lowered, an integer >= 1.
      mode: `"min"` where a smaller value is better, such as a loss; `"max"` for an accuracy.
      rtol: improvement needed, as a part of the absolute value of the best, >= 0.
      atol: improvement needed, absolute, >= 0; both are added up.
      every: updates between judgements, an integer >= 1.
      cooldown: judgements after a lowering that cannot count as plateau, an integer >= 0.
      min_scale: the scale never falls below this, in [0, 1].
      nonfinite: what a value that is NaN or infinite means. It is never the best, and no part of a mean. `"count"`: the
        judgement it falls in counts as one without improvement, so a run that diverges gets a lower rate. `"skip"`: it is
        left out, and a judgement that has no other value is not made.

    Every number may be traced, and vmapped; a bad one that is known raises. The state is float32 and int32 whatever the
    parameters are, and the updates keep their dtypes.

    Returns: a transformation whose state is a `PlateauState`; `update` needs `value`, a scalar.

    Raises: ValueError if a number is out of range or a word unknown; TypeError if `update` gets no `value`.

    >>> tx = optax.chain(optax.sgd(lrax.Constant(1.0)), reduce_on_plateau(factor=0.5, patience=2))
    >>> state = tx.init(jnp.zeros(()))
    >>> for loss in (-1.0, -2.0, -2.0, -2.0):
    ...     update, state = tx.update(jnp.ones(()), state, value=loss)
    ...     print(update)
    -1.0
    -1.0
    -1.0
    -0.5
    """
    caller = "reduce_on_plateau"
    sign = {"min": 1.0, "max": -1.0}[choice(caller, "mode", mode, ("min", "max"))]  # what is watched becomes a loss
    counts = choice(caller, "nonfinite", nonfinite, ("count", "skip")) == "count"
    factor, min_scale = FACTOR.convert(caller, "factor", factor), FLOOR.convert(caller, "min_scale", min_scale)
    rtol, atol = TOLERANCE.convert(caller, "rtol", rtol), TOLERANCE.convert(caller, "atol", atol)
    patience, every = JUDGEMENTS.convert(caller, "patience", patience), STEPS.convert(caller, "every", every)
    cooldown = WAIT.convert(caller, "cooldown", cooldown)

    def init(params: Any) -> PlateauState:
        del params
        rates = (jnp.float32(1.0), jnp.float32(sign * jnp.inf))
        return PlateauState(*rates, jnp.int32(0), jnp.int32(0), jnp.float32(0.0), jnp.int32(0), jnp.int32(0))

    def judge(state: PlateauState) -> PlateauState:
        mean, better, made = judged(state, sign, counts, rtol, atol)
        cooling = state.cooldown_count > 0
        plateau = jnp.where(better | cooling, 0, state.plateau_count + 1)
        lowered = made & (plateau >= patience)
        return PlateauState(
            jnp.where(lowered, jnp.maximum(state.scale * factor, min_scale), state.scale),
            jnp.where(better, mean, state.best),
            jnp.where(made, jnp.where(lowered, 0, plateau), state.plateau_count),
            jnp.where(made, jnp.where(lowered, cooldown, jnp.maximum(state.cooldown_count - 1, 0)), state.cooldown_count),
            *(jnp.float32(0.0), jnp.int32(0), jnp.int32(0)),
        )

    return watching(caller, init, judge, every)


CEILING = Rule("a finite number, at least 1", low=1)
RESTART = Maybe(Rule("a whole number of lowerings, at least 1", np.int32, low=1, remedy="give an int such as 500, or None"))


class GreedyState(NamedTuple):
    """The state of `lrax.greedy`: nine scalars, to be saved with the rest of the optimizer's state.

    Attributes:
      scale: what the updates are multiplied by, float32.
      best: the best value so far, float32; infinite before there is one.
      worse_count: judgements without improvement in a row, int32.
      better_count: judgements with one in a row, int32.
      cooldown_count: judgements that are still to be ignored, int32.
      floor_count: lowerings at `min_scale` since the last raising, int32.
      total: sum of the values since the last judgement, float32.
      seen: how many values are in the sum, int32.
      waited: updates since the last judgement, int32.
    """

    scale: jax.Array
    best: jax.Array
    worse_count: jax.Array
    better_count: jax.Array
    cooldown_count: jax.Array
    floor_count: jax.Array
    total: jax.Array
    seen: jax.Array
    waited: jax.Array


@check_call
def greedy(
    factor: Any = 0.95,
    patience: Any = 11,
    *,
    mode: Literal["min", "max"] = "min",
    rtol: Any = 0.0,
    atol: Any = 1e-6,
    every: Any = 1,
    cooldown: Any = 0,
    raise_cooldown: Any = 0,
    min_scale: Any = 0.01,
    max_scale: Any = 10.0,
    restart: Any = None,
    nonfinite: Literal["count", "skip"] = "count",
) -> optax.GradientTransformationExtraArgs:
    r"""Divides the updates by `factor` after `patience` improvements in a row, multiplies them by it after as many failures.

    Put it last in a chain, after an optimizer with any schedule, and give `update` the value to watch:
    `tx.update(grads, opt_state, params, value=loss)`. A judgement is made every `every` updates, of the mean of the values
    since the last one. A value is an improvement if it is better than the best so far by more than $rtol\,|best| + atol$,
    whatever its sign. The new scale holds from the update whose value was one too many. `lrax.reduce_on_plateau` never raises.

    A loss that is noisy is seldom the best many times in a row: average it with `every`. With a schedule that falls to 0 the
    product still does; with `lrax.Constant` the rate is what the rule makes of it.

    Args:
      factor: what the scale is multiplied by, or divided by, in (0, 1).
      patience: judgements in a row, of one sort, after which the scale changes, an integer >= 1.
      mode: `"min"` where a smaller value is better, such as a loss; `"max"` for an accuracy.
      rtol: improvement needed, as a part of the absolute value of the best, >= 0.
      atol: improvement needed, absolute, >= 0; both are added up.
      every: updates between judgements, an integer >= 1.
      cooldown: judgements after a lowering that are ignored, an integer >= 0; the best is not moved by them either.
      raise_cooldown: the same after a raising.
      min_scale: the scale never falls below this, in [0, 1].
      max_scale: the scale never rises above this, >= 1.
      restart: lowerings at `min_scale` (the one that reaches it is the first) without a raising between, after which the scale
        is 1 again and the best forgotten, an integer >= 1; None: never.
      nonfinite: what a value that is NaN or infinite means. It is never the best, and no part of a mean. `"count"`: the
        judgement it falls in counts as one without improvement. `"skip"`: it is left out, and a judgement that has no other
        value is not made.

    Every number may be traced, and vmapped; a bad one that is known raises. The state is float32 and int32 whatever the
    parameters are, and the updates keep their dtypes.

    Returns: a transformation whose state is a `GreedyState`; `update` needs `value`, a scalar.

    Raises: ValueError if a number is out of range or a word unknown; TypeError if `update` gets no `value`.

    Source: Subramanian et al. 2025, Dynamic learning rate scheduling based on loss changes, arXiv 2512.14527 (GreedyLR).
      With the numbers of its first program: `lrax.compat.transformers.get_greedy_schedule`.

    >>> tx = optax.chain(optax.sgd(lrax.Constant(1.0)), greedy(factor=0.5, patience=2))
    >>> state = tx.init(jnp.zeros(()))
    >>> for loss in (4.0, 3.0, 2.0, 2.0, 2.0):
    ...     update, state = tx.update(jnp.ones(()), state, value=loss)
    ...     print(update)
    -1.0
    -2.0
    -2.0
    -2.0
    -1.0
    """
    caller = "greedy"
    sign = {"min": 1.0, "max": -1.0}[choice(caller, "mode", mode, ("min", "max"))]  # what is watched becomes a loss
    counts = choice(caller, "nonfinite", nonfinite, ("count", "skip")) == "count"
    factor, min_scale = FACTOR.convert(caller, "factor", factor), FLOOR.convert(caller, "min_scale", min_scale)
    max_scale, restart = CEILING.convert(caller, "max_scale", max_scale), RESTART.convert(caller, "restart", restart)
    rtol, atol = TOLERANCE.convert(caller, "rtol", rtol), TOLERANCE.convert(caller, "atol", atol)
    patience, every = JUDGEMENTS.convert(caller, "patience", patience), STEPS.convert(caller, "every", every)
    cooldown = WAIT.convert(caller, "cooldown", cooldown)
    raise_cooldown = WAIT.convert(caller, "raise_cooldown", raise_cooldown)
    if restart is not None and is_concrete(min_scale) and np.any(np.asarray(min_scale) == 0):
        raise argument_error(
            ValueError, caller, "min_scale", "above 0 where `restart` is given", min_scale, "it is never reached"
        )
    none = jnp.int32(0)

    def init(params: Any) -> GreedyState:
        del params
        return GreedyState(jnp.float32(1.0), jnp.float32(sign * jnp.inf), none, none, none, none, jnp.float32(0.0), none, none)

    def judge(state: GreedyState) -> GreedyState:
        mean, better, made = judged(state, sign, counts, rtol, atol)
        live = made & (state.cooldown_count == 0)
        better = better & live
        good = jnp.where(better, state.better_count + 1, 0)
        bad = jnp.where(live & ~better, state.worse_count + 1, 0)
        raised, lowered = good >= patience, bad >= patience
        lower = jnp.maximum(state.scale * factor, min_scale)
        stuck = jnp.where(lowered & (lower <= min_scale), state.floor_count + 1, jnp.where(raised, 0, state.floor_count))
        again = jnp.bool_(False) if restart is None else lowered & (stuck >= restart)
        scale = jnp.where(raised, jnp.minimum(state.scale / factor, max_scale), jnp.where(lowered, lower, state.scale))
        waiting = jnp.where(raised, raise_cooldown, jnp.where(lowered, cooldown, jnp.maximum(state.cooldown_count - 1, 0)))
        return GreedyState(
            jnp.where(again, 1.0, scale),
            jnp.where(again, sign * jnp.inf, jnp.where(better, mean, state.best)),
            jnp.where(made, jnp.where(lowered, 0, bad), state.worse_count),
            jnp.where(made, jnp.where(raised, 0, good), state.better_count),
            jnp.where(made, waiting, state.cooldown_count),
            jnp.where(again, 0, stuck),
            *(jnp.float32(0.0), none, none),
        )

    return watching(caller, init, judge, every)
