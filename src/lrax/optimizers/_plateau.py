"""Factors of the learning rate that react to a metric."""

from typing import Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import argument_error, check_call, choice, is_concrete
from lrax.fields._rules import STEPS, Maybe, Number, PyTree, Rule, Whole

TOLERANCE = Rule("a finite number, at least 0", low=0)
CHECKS = Rule("a whole number of checks, at least 1", np.int32, low=1, remedy="give an int such as 5")
WAIT = Rule("a whole number of checks, at least 0", np.int32, low=0, remedy="give an int such as 5")
RESTART = Rule("a whole number of reductions, at least 1", np.int32, low=1, remedy="give an int such as 500, or None")
RULES: dict[str, Rule | Maybe] = {
    "factor": Rule("a number between 0 and 1, both excluded", low=0, high=1, open=True),
    "patience": CHECKS,
    "rtol": TOLERANCE,
    "atol": TOLERANCE,
    "every": STEPS,
    "cooldown": WAIT,
    "raise_cooldown": WAIT,
    "min_scale": Rule("a number from 0 to 1", low=0, high=1),
    "max_scale": Rule("a finite number, at least 1", low=1),
    "restart": Maybe(RESTART),
}


class PlateauState(NamedTuple):
    """The state of `lrax.reduce_on_plateau` and of `lrax.greedy`: nine scalars, saved with the rest of the optimizer's state.

    Attributes:
      scale: the factor of the updates, float32.
      best: the best value so far, float32; infinite before there is one.
      plateau_count: checks without improvement in a row, int32.
      better_count: checks with an improvement in a row, int32.
      cooldown_count: checks that will still be ignored, int32.
      floor_count: reductions at `min_scale` since the last increase, int32.
      total: sum of the values since the last check, float32.
      seen: how many values are in the sum, int32.
      waited: steps since the last check, int32.
    """

    scale: jax.Array
    best: jax.Array
    plateau_count: jax.Array
    better_count: jax.Array
    cooldown_count: jax.Array
    floor_count: jax.Array
    total: jax.Array
    seen: jax.Array
    waited: jax.Array


class _Rule(NamedTuple):
    """The arguments of a plateau rule, checked. The rule is `reduce_on_plateau`, or `greedy` if it `raises` the scale too."""

    caller: str
    goal: str
    nonfinite: str
    raises: bool
    factor: jax.Array
    patience: jax.Array
    rtol: jax.Array
    atol: jax.Array
    every: jax.Array
    cooldown: jax.Array
    raise_cooldown: jax.Array
    min_scale: jax.Array
    max_scale: jax.Array
    restart: jax.Array | None

    @classmethod
    def checked(cls, caller: str, goal: str, nonfinite: str, raises: bool, **numbers: object) -> "_Rule":
        """A rule of these arguments, once they are checked."""
        choice(caller, "goal", goal, ("min", "max"))
        choice(caller, "nonfinite", nonfinite, ("count", "skip"))
        checked = {name: cast(jax.Array, RULES[name].convert(caller, name, value)) for name, value in numbers.items()}
        return cls(caller, goal, nonfinite, raises, **checked)

    @property
    def sign(self) -> float:
        """What turns the value into a loss."""
        return 1.0 if self.goal == "min" else -1.0

    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """The transformation of this rule."""

        def init(params: PyTree) -> PlateauState:
            del params
            best = jnp.float32(self.sign * jnp.inf)
            zeros = [jnp.int32(0) for _ in range(6)]  # six buffers, because a state may be donated
            return PlateauState(
                jnp.float32(1),
                best,
                zeros[0],
                zeros[1],
                zeros[2],
                zeros[3],
                total=jnp.float32(0),
                seen=zeros[4],
                waited=zeros[5],
            )

        def update(
            updates: PyTree, state: PlateauState, params: PyTree = None, *, value: object = None, **extra: object
        ) -> tuple[PyTree, PlateauState]:
            del params, extra
            state = self._with_value(state, value)
            due = state.waited >= self.every
            state = jax.tree.map(lambda new, old: jnp.where(due, new, old), self._after_check(state), state)
            return jax.tree.map(lambda one: one * state.scale.astype(one.dtype), updates), state

        return optax.GradientTransformationExtraArgs(init, update)

    def _with_value(self, state: PlateauState, value: object) -> PlateauState:
        """The state with one value more; a value that is not finite is not part of the sum."""
        if value is None:
            remedy = "call tx.update(grads, opt_state, params, value=loss)"
            raise argument_error(TypeError, self.caller, "value", "given to update", value, remedy)
        number = jnp.asarray(value).astype(jnp.float32)
        if number.ndim:
            raise argument_error(ValueError, self.caller, "value", "a scalar", value, "give its mean")
        finite = jnp.isfinite(number)
        total, seen = state.total + jnp.where(finite, number, 0.0), state.seen + finite.astype(jnp.int32)
        return state._replace(total=total, seen=seen, waited=state.waited + 1)

    def _after_check(self, state: PlateauState) -> PlateauState:
        """The state after a check of the mean of the values since the last one."""
        counts = self.nonfinite == "count"
        mean, best = self.sign * state.total / jnp.maximum(state.seen, 1).astype(jnp.float32), self.sign * state.best
        margin = self.atol + self.rtol * jnp.where(jnp.isfinite(best), jnp.abs(best), 0.0)
        made = jnp.bool_(True) if counts else state.seen > 0
        # where values that are not finite count, a mean that leaves one out is never better
        usable = (state.seen == state.waited if counts else state.seen > 0) & jnp.isfinite(mean)
        cooling = state.cooldown_count > 0
        better = usable & (mean < best - margin) & ~(self.raises & cooling)  # greedy's best does not move in a cool-down
        good = jnp.where(better, state.better_count + 1, 0)
        bad = jnp.where(better | cooling, 0, state.plateau_count + 1)
        raised, lowered = self.raises & (good >= self.patience), made & (bad >= self.patience)
        lower = jnp.maximum(state.scale * self.factor, self.min_scale)
        at_floor = jnp.where(
            lowered & (lower <= self.min_scale), state.floor_count + 1, jnp.where(raised, 0, state.floor_count)
        )
        again = jnp.bool_(False) if self.restart is None else lowered & (at_floor >= self.restart)
        scale = jnp.where(
            raised, jnp.minimum(state.scale / self.factor, self.max_scale), jnp.where(lowered, lower, state.scale)
        )
        waiting = jnp.where(lowered, self.cooldown, jnp.maximum(state.cooldown_count - 1, 0))
        return PlateauState(
            scale=jnp.where(again, 1.0, scale),
            best=jnp.where(again, self.sign * jnp.inf, jnp.where(better, self.sign * mean, state.best)),
            plateau_count=jnp.where(made, jnp.where(lowered, 0, bad), state.plateau_count),
            better_count=jnp.where(made, jnp.where(raised, 0, good), state.better_count),
            cooldown_count=jnp.where(made, jnp.where(raised, self.raise_cooldown, waiting), state.cooldown_count),
            floor_count=jnp.where(again, 0, at_floor),
            total=jnp.float32(0.0),
            seen=jnp.int32(0),
            waited=jnp.int32(0),
        )


@check_call
def reduce_on_plateau(
    factor: Number = 0.1,
    patience: Whole = 10,
    *,
    goal: Literal["min", "max"] = "min",
    rtol: Number = 1e-4,
    atol: Number = 0.0,
    every: Whole = 1,
    cooldown: Whole = 0,
    min_scale: Number = 0.0,
    nonfinite: Literal["count", "skip"] = "count",
) -> optax.GradientTransformationExtraArgs:
    r"""Multiplies the updates by `factor` each time a value has not improved for `patience` checks.

    Put it last in a chain, after an optimizer with any schedule, and give `update` the value to watch:
    `tx.update(grads, opt_state, params, value=loss)`. It checks the mean of the values every `every` steps. A value improves if
    it is better than the best so far by more than $rtol\,|best| + atol$, whatever its sign. The reduced scale already holds for
    the step that reduced it. Do not use it in a range test: it lowers the ramp where the loss is level.

    Args:
      factor: what the scale is multiplied by, in (0, 1).
      patience: checks in a row without improvement after which the scale is reduced, an integer >= 1.
      goal: `"min"` if smaller values are better, such as a loss; `"max"` for an accuracy.
      rtol: the improvement needed, as a fraction of the absolute value of the best, >= 0.
      atol: the improvement needed, absolute, >= 0; added to the other.
      every: steps between checks, an integer >= 1.
      cooldown: checks after a reduction that cannot count as a plateau, an integer >= 0.
      min_scale: the smallest scale, in [0, 1].
      nonfinite: what a NaN or infinite value means; it is never the best, and not part of a mean. `"count"`: its check
        counts as one without improvement, so the learning rate of a diverging run falls. `"skip"`: it is left out, and a
        check without other values is not made.

    Every number may be traced and vmapped. The state is float32 and int32, and updates keep their dtypes.

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
    numbers = {"factor": factor, "patience": patience, "rtol": rtol, "atol": atol, "every": every, "cooldown": cooldown}
    bounds = {"raise_cooldown": 0, "min_scale": min_scale, "max_scale": 1.0, "restart": None}
    return _Rule.checked("reduce_on_plateau", goal, nonfinite, False, **numbers, **bounds).transformation()


@check_call
def greedy(
    factor: Number = 0.95,
    patience: Whole = 11,
    *,
    goal: Literal["min", "max"] = "min",
    rtol: Number = 0.0,
    atol: Number = 1e-6,
    every: Whole = 1,
    cooldown: Whole = 0,
    raise_cooldown: Whole = 0,
    min_scale: Number = 0.01,
    max_scale: Number = 10.0,
    restart: Whole | None = None,
    nonfinite: Literal["count", "skip"] = "count",
) -> optax.GradientTransformationExtraArgs:
    """Divides the updates by `factor` after `patience` improvements in a row, multiplies them by it after as many failures.

    It is used as `lrax.reduce_on_plateau`, which never raises the scale. A noisy loss is rarely the best many times in a row:
    average it with `every`. A schedule that falls to 0 still ends at 0; with `lrax.Constant` the rule alone decides.

    Args:
      factor: what the scale is multiplied by, or divided by, in (0, 1).
      patience: equal checks in a row after which the scale changes, an integer >= 1.
      goal, rtol, atol, every, nonfinite: see `lrax.reduce_on_plateau`.
      cooldown: checks after a reduction that are ignored, an integer >= 0; they do not move the best either.
      raise_cooldown: the same after an increase.
      min_scale: the smallest scale, in [0, 1].
      max_scale: the largest scale, >= 1.
      restart: reductions at `min_scale` (the one that reaches it is the first) without an increase between them, after which
        the scale is 1 again and the best forgotten, an integer >= 1; None: never.

    Returns: a transformation whose state is a `PlateauState`; `update` needs `value`, a scalar.

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
    numbers = {"factor": factor, "patience": patience, "rtol": rtol, "atol": atol, "every": every, "cooldown": cooldown}
    bounds = {"raise_cooldown": raise_cooldown, "min_scale": min_scale, "max_scale": max_scale, "restart": restart}
    rule = _Rule.checked("greedy", goal, nonfinite, True, **numbers, **bounds)
    if restart is not None and is_concrete(rule.min_scale) and np.any(np.asarray(rule.min_scale) == 0):
        needs = "above 0 where `restart` is given"
        raise argument_error(ValueError, "greedy", "min_scale", needs, min_scale, "it is never reached")
    return rule.transformation()
