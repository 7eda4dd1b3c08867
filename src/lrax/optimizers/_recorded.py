"""An optimizer that follows a schedule and records the learning rate of its last step."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lrax.fields._rules import LARGEST
from lrax.fields._words import Shown, argument_error, check_call, choice
from lrax.optimizers._places import common, counts_in, places_of
from lrax.optimizers._rated import OptimizerFactory, check_factory, make_optimizer, update_with
from lrax.schedules._base import Schedule, ScheduleRule


class RecordedState(NamedTuple):
    """The state of `lrax.recorded`.

    The number of steps is not among the fields: the optimizer's own state counts them, and `lrax.count_of` reads it. So
    `optax.tree_utils.tree_set(opt_state, count=...)` moves the count that the learning rate follows.

    Attributes:
      rate: the learning rate of the last step, float32; 0 before the first step, which `lrax.last_lr` reports as NaN.
      step: the 0-based number of that step, int32; -1 before the first step.
      counter: `optax.ScaleByScheduleState(count)` for an optimizer that does not count its steps, else `()`.
      inner_state: the optimizer's own state.
      gradient_norm: the norm of the gradients of the last step, float32, NaN before the first; None if it is not recorded.
    """

    rate: jax.Array
    step: jax.Array
    counter: Any
    inner_state: Any
    gradient_norm: Any = None


class Scheduled(optax.GradientTransformationExtraArgs):  # type: ignore[misc]  # optax has no types for mypy
    """An optax transformation that knows its schedules: what `recorded` and `by_path` return.

    Attributes:
      schedules: one schedule, or by label those of groups, None for a frozen group.
    """

    schedules: Schedule | Mapping[str, Schedule | None] | None = None

    @staticmethod
    def made(init: Any, update: Any, schedules: Schedule | Mapping[str, Schedule | None]) -> "Scheduled":
        """The transformation of two functions."""
        transformation = Scheduled(init, update)
        transformation.schedules = schedules
        return transformation


@check_call
def recorded(
    optimizer: OptimizerFactory, schedule: Any, *, norm: Literal["l2", "l1"] | None = None
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that follows a schedule and records the learning rate of its last step, for `last_lr(opt_state)`.

    It is `optimizer(schedule)`, and its updates are the same bit for bit. The state has one count, the optimizer's own: a count
    that is set by hand, a restored state or another schedule takes effect with the next step. The learning rate is right inside
    and around `optax.MultiSteps`, with `optax.inject_hyperparams`, and in every dtype. Of schedule-free optimizers it is the
    learning rate of the optimizer inside.

    Args:
      optimizer: `schedule -> optax.GradientTransformation`, such as `optax.adamw` or
        `functools.partial(optax.sgd, momentum=0.9)`.
      schedule: a schedule or a callable `count -> learning rate`.
      norm: records the norm of the gradients of each step as `gradient_norm`: `"l2"` is the root of the sum of squares, `"l1"`
        the sum of absolute values. `lrax.theory.refined` makes a schedule of the norms of a run.

    Returns: a transformation whose state is a `RecordedState(rate, step, counter, inner_state, gradient_norm)`. The learning
      rate is float32 whatever the parameters are. It is NaN where parts of the optimizer have different counts.

    Raises: TypeError if `optimizer` is not a factory, or accepts numbers only, or if `schedule` is not a schedule; ValueError
      for another norm. `update` raises TypeError for the state of another optimizer: see `lrax.convert_state`.

    >>> tx = recorded(optax.adamw, lrax.Linear(0.5, 0.0, steps=10))
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> print(state.rate, state.step, lrax.count_of(state))
    0.45 1 2
    """
    if norm is not None:
        choice("recorded", "norm", norm, ("l2", "l1"))
    return record("recorded", optimizer, ScheduleRule().convert("recorded", "schedule", schedule), norm)


def record(
    caller: str, optimizer: OptimizerFactory, schedule: Schedule, norm: str | None = None
) -> optax.GradientTransformationExtraArgs:
    """`recorded`, under the name of the function that is to blame."""
    check_factory(caller, optimizer)
    inner = _with_words(caller, optimizer, lambda: make_optimizer(caller, optimizer, schedule))

    def init(params: Any) -> RecordedState:
        inner_state = _with_words(caller, optimizer, lambda: inner.init(params))
        counts = counts_in(places_of(caller, inner_state))
        counter = () if counts else optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))
        count, _ = _count(caller, inner_state, counter)
        norm_before = None if norm is None else jnp.full((), jnp.nan, jnp.float32)
        # 0 and not NaN: a fresh state must pass `jax_debug_nans`
        return RecordedState(jnp.zeros_like(schedule(count)), jnp.full_like(count, -1), counter, inner_state, norm_before)

    def update(updates: Any, state: RecordedState, params: Any = None, **extra: Any) -> tuple[Any, RecordedState]:
        if not isinstance(state, RecordedState):
            raise wrong_state(caller, state, f"a state of {caller}")
        before, agreed = _count(caller, state.inner_state, state.counter)
        call = functools.partial(update_with, inner, updates, state.inner_state, params, extra)
        moved, inner_state = _with_words(caller, optimizer, call, "lrax.schedules")
        counter = jax.tree.map(lambda count: jnp.minimum(count, LARGEST - 1) + 1, state.counter)
        after, agree = _count(caller, inner_state, counter)
        is_step = after != before  # accumulation and skipped gradients leave the count as it is
        rate = jnp.where(is_step, schedule(before), state.rate)
        step = jnp.where(is_step, before, state.step)
        rate, step = (jnp.where(agreed & agree, new, none) for new, none in ((rate, jnp.nan), (step, -1)))
        return moved, RecordedState(rate, step, counter, inner_state, None if norm is None else _norm(updates, norm))

    return Scheduled.made(init, update, schedule)


def wrong_state(caller: str, state: Any, needs: str) -> Exception:
    """The error for the state of another optimizer, with the call that converts it."""
    shown = Shown(type(state).__name__)
    remedy = "convert the state of the optimizer that made it: lrax.convert_state(opt_state, optimizer, params)"
    return argument_error(TypeError, caller, "opt_state", needs, shown, remedy)


def _count(caller: str, inner_state: Any, counter: Any) -> tuple[jax.Array, Any]:
    """The count of a state, and whether its parts have the same one."""
    counts = counts_in(places_of(caller, (inner_state, counter)))
    if not counts:
        raise argument_error(TypeError, caller, "opt_state", "a state whose count is an integer", inner_state)
    count, agree = common(counts)
    return count.astype(jnp.int32), agree


def _norm(gradients: Any, norm: str) -> jax.Array:
    """The norm of a pytree, in float32; squares are taken of what is at most 1, so that none overflows."""
    sizes = [jnp.abs(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(gradients)]
    if norm == "l1":
        return sum((jnp.sum(size) for size in sizes), jnp.zeros((), jnp.float32))
    highest = jnp.max(jnp.stack([jnp.max(size, initial=0) for size in sizes]))
    unit = jnp.where((highest > 0) & jnp.isfinite(highest), highest, 1)
    return unit * jnp.sqrt(sum((jnp.sum((size / unit) ** 2) for size in sizes), jnp.zeros((), jnp.float32)))


def _with_words(caller: str, optimizer: Any, make: Callable[[], Any], sign: str = "") -> Any:
    """What `make` returns; if it fails because it expects a number, with `sign` in the error, words that say what to give."""
    try:
        return make()
    except TypeError as error:
        if f"{caller}:" in str(error) or sign not in str(error):
            raise
        remedy = "for one that takes a number, give lambda rate: optax.inject_hyperparams(optimizer)(learning_rate=rate)"
        raise argument_error(TypeError, caller, "optimizer", "a function that takes a schedule", optimizer, remedy) from error
