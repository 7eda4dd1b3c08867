"""Lower rates where a metric no longer improves, as an optax transformation that goes with any schedule."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lrax.fields._types import STEPS
from lrax.fields._words import check_call, choice
from lrax.optimizers._judging import FACTOR, FLOOR, JUDGEMENTS, TOLERANCE, WAIT, judged, watching


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
