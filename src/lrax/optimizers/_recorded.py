"""An optimizer that follows a schedule and keeps its rates in its state."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lrax.fields._rules import LARGEST
from lrax.fields._words import choice, complain, spelt
from lrax.optimizers._places import common, counts_in, places_of
from lrax.optimizers._rated import OptimizerFactory, check_factory, make_optimizer, update_with
from lrax.schedules._base import Schedule, ScheduleRule


class RecordedState(NamedTuple):
    """The state of `lrax.recorded`.

    Attributes:
      count: how many updates were done, as the schedule counts them, int32.
      rate: of the last update, float32; before the first one, of the first.
      next_rate: of the next update, float32.
      inner_state: the optimizer's own state.
      gradient_norm: of the gradients of the last update, float32, NaN before the first; None if it is not kept.
    """

    count: jax.Array  # type: ignore[assignment]  # optax's word, though tuples have a method of that name
    rate: jax.Array
    next_rate: jax.Array
    inner_state: Any
    gradient_norm: Any = None


@spelt
def recorded(
    optimizer: OptimizerFactory, schedule: Any, *, norm: Literal["l2", "l1"] | None = None
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that follows a schedule and keeps its rates in its state, for `last_rate(opt_state)`.

    It is `optimizer(schedule)`, whose updates pass through unchanged; the rates are read off its count. So they are right
    inside and around `optax.MultiSteps`, with `optax.inject_hyperparams`, and in every dtype. Of schedule-free optimizers they
    are those of the optimizer inside.

    Args:
      optimizer: `schedule -> optax.GradientTransformation`, such as `optax.adamw` or
        `functools.partial(optax.sgd, momentum=0.9)`.
      schedule: a schedule or a callable `count -> rate`.
      norm: keeps the norm of the gradients that each update is given, as `gradient_norm`: the root of the sum of their
        squares, or the sum of their sizes. A run of them is what `lrax.theory.refined` makes a schedule of.

    Returns: a transformation whose state is a `RecordedState(count, rate, next_rate, inner_state, gradient_norm)`; the numbers
      are float32 whatever the parameters are. Rates are NaN where parts of the optimizer have counts that differ.

    Raises: TypeError if `optimizer` is not a factory, or takes numbers only, or if `schedule` is not a schedule; ValueError for
      another norm.

    >>> tx = recorded(optax.adamw, lrax.Linear(0.5, 0.0, steps=10))
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> print(state.count, state.rate, state.next_rate)
    2 0.45 0.4
    """
    if norm is not None:
        choice("recorded", "norm", norm, ("l2", "l1"))
    return record("recorded", optimizer, ScheduleRule().convert("recorded", "schedule", schedule), norm)


def record(
    owner: str, optimizer: OptimizerFactory, schedule: Schedule, norm: str | None = None
) -> optax.GradientTransformationExtraArgs:
    """`recorded`, under the name of the function that is to blame."""
    check_factory(owner, optimizer)
    inner = _with_words(owner, optimizer, lambda: make_optimizer(owner, optimizer, schedule))

    def state_after(updates_done: Any, inner_state: Any, gradient_norm: Any) -> RecordedState:
        counts = counts_in(places_of(owner, inner_state))
        count, agree = common(counts) if counts else (updates_done, True)
        last, following = (jnp.where(agree, schedule(moment), jnp.nan) for moment in (count - 1, count))
        return RecordedState(jnp.where(agree, count, updates_done), last, following, inner_state, gradient_norm)

    def init(params: Any) -> RecordedState:
        nothing = None if norm is None else jnp.full((), jnp.nan, jnp.float32)
        return state_after(jnp.zeros((), jnp.int32), _with_words(owner, optimizer, lambda: inner.init(params)), nothing)

    def update(updates: Any, state: RecordedState, params: Any = None, **extra: Any) -> tuple[Any, RecordedState]:
        call = functools.partial(update_with, inner, updates, state.inner_state, params, extra)
        moved, inner_state = _with_words(owner, optimizer, call, "lrax.schedules")
        measured = None if norm is None else _norm(updates, norm)
        return moved, state_after(jnp.minimum(state.count, LARGEST - 1) + 1, inner_state, measured)

    return optax.GradientTransformationExtraArgs(init, update)


def _norm(gradients: Any, norm: str) -> jax.Array:
    """The norm of a pytree, in float32; squares are taken of what is at most 1, so that none overflows."""
    sizes = [jnp.abs(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(gradients)]
    if norm == "l1":
        return sum((jnp.sum(size) for size in sizes), jnp.zeros((), jnp.float32))
    highest = jnp.max(jnp.stack([jnp.max(size, initial=0) for size in sizes]))
    unit = jnp.where((highest > 0) & jnp.isfinite(highest), highest, 1)
    return unit * jnp.sqrt(sum((jnp.sum((size / unit) ** 2) for size in sizes), jnp.zeros((), jnp.float32)))


def _with_words(owner: str, optimizer: Any, make: Callable[[], Any], sign: str = "") -> Any:
    """What `make` returns; if it fails because it expects a number, with `sign` in the error, words that say what to give."""
    try:
        return make()
    except TypeError as error:
        if f"{owner}:" in str(error) or sign not in str(error):
            raise
        remedy = "for one that takes a number, give lambda rate: optax.inject_hyperparams(optimizer)(learning_rate=rate)"
        raise complain(TypeError, owner, "optimizer", "a function that takes a schedule", optimizer, remedy) from error
