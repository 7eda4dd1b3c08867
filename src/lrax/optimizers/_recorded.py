"""Optimizers that keep their learning rate."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import NEEDS_NUMBERS, Shown, argument_error, check_call, choice
from lrax.fields._rules import LARGEST
from lrax.optimizers._difference import difference
from lrax.optimizers._rates import Scheduled, common, counts_in, places_of
from lrax.schedules._base import Schedule, ScheduleRule

OptimizerFactory: TypeAlias = Callable[[Any], optax.GradientTransformation]
"""`rate -> optimizer`: `optax.adamw`, `functools.partial(optax.sgd, momentum=0.9)`, a lambda with a chain inside."""


def check_factory(caller: str, factory: Any) -> None:
    """Raises TypeError if `factory` is no function that makes an optimizer of a rate."""
    if isinstance(factory, Schedule):
        remedy = "give the optimizer's function, such as optax.sgd, not a schedule"
    elif not callable(factory) or isinstance(factory, optax.GradientTransformation):
        remedy = "give optax.sgd or functools.partial(optax.sgd, momentum=0.9), not optax.sgd(0.1)"
    else:
        return
    raise argument_error(TypeError, caller, "optimizer", "a function rate -> optimizer", factory, remedy)


def make_optimizer(caller: str, factory: OptimizerFactory, rate: Any) -> optax.GradientTransformation:
    """The optimizer that `factory` makes of a rate or of a schedule."""
    optimizer = factory(rate)
    if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
        needs = "a function rate -> optax.GradientTransformation"
        raise argument_error(
            TypeError, caller, "optimizer", needs, factory, f"it returned {type(optimizer).__name__}; give optax.sgd, say"
        )
    return optimizer


def update_with(
    optimizer: Any, grads: Any, opt_state: Any, params: Any, extra: Mapping[str, Any]
) -> tuple[optax.Updates, optax.OptState]:
    """The optimizer's update, with what it takes of the extra arguments.

    Only a call tells what it takes: chains hand everything on, and members (`optax.contrib.sam`) may refuse what is not theirs.
    """
    extra = dict(extra)
    while True:
        try:
            return optimizer.update(grads, opt_state, params, **extra)
        except TypeError as error:
            refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if refused is None or refused[1] not in extra:
                raise
            del extra[refused[1]]


@check_call
def at_lr(
    optimizer: OptimizerFactory, learning_rate: Any, *, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """The optimizer at one learning rate, for a state that may have been made in any way.

    `optax.adam(0.1)`, `optax.adam(schedule)` and `optax.inject_hyperparams(optax.adam)(learning_rate=0.1)` have states of
    different structure, and each fails on a state of the others. The update of `at_lr` takes the structure that it is given,
    and returns the same one. So a train step can be called at any learning rate, in the middle of a run.

    Args:
      optimizer: the factory that the state's optimizer was made with, `learning_rate -> optax.GradientTransformation`, such
        as `optax.adamw` or `functools.partial(optax.sgd, momentum=0.9)`.
      learning_rate: a number, or a scalar array of any floating dtype; it may be traced.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a transformation. `update(grads, opt_state, params)` makes the step at `learning_rate`, keeps the structure of
      `opt_state`, and advances its counts by one. `init(params)` makes the state of `optimizer(learning_rate)`.

    Raises: TypeError if `optimizer` is not a factory or `learning_rate` is not a scalar. From `update`: ValueError if
      `opt_state` is not a state of `optimizer`.

    >>> params, grads = jnp.ones(3), jnp.ones(3)
    >>> for made_with in (0.001, lrax.warmup_cosine(0.001, total_steps=100, warmup_steps=9)):
    ...     opt_state = optax.sgd(made_with).init(params)
    ...     updates, opt_state = at_lr(optax.sgd, 0.5).update(grads, opt_state, params)
    ...     print(updates)
    [-0.5 -0.5 -0.5]
    [-0.5 -0.5 -0.5]
    """
    check_factory("at_lr", optimizer)
    if callable(learning_rate):
        remedy = "an optimizer that follows a schedule is made with it: optimizer(schedule)"
        raise argument_error(TypeError, "at_lr", "learning_rate", "a number, or a scalar array", learning_rate, remedy)
    if np.shape(learning_rate) != ():
        shown = Shown(f"shape {np.shape(learning_rate)}")
        raise argument_error(TypeError, "at_lr", "learning_rate", "a scalar", shown, "use jax.vmap for several learning rates")
    return optimizer_at("at_lr", optimizer, learning_rate, hyperparameter)


def optimizer_at(
    caller: str, factory: OptimizerFactory, rate: Any, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """`at_lr`, under the name of the function that is to blame."""

    def init(params: Any) -> Any:
        return make_optimizer(caller, factory, rate).init(params)

    def update(grads: Any, opt_state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        shapes = grads if params is None else params  # gradients have the structure and shapes of the parameters
        rated = RatedOptimizer.matching(caller, factory, shapes, opt_state, hyperparameter)
        return rated.update(grads, opt_state, params, rate, extra)

    return optax.GradientTransformationExtraArgs(init, update)


@dataclasses.dataclass(frozen=True)
class RatedOptimizer:
    """An optimizer whose rate is an argument of every update.

    `optax.sgd(0.1)`, `optax.sgd(schedule)` and an injected `sgd` have states of different structure; the factory is called in
    the way that gives the structure at hand.

    Attributes:
      factory: `rate -> optimizer`.
      by: how the rate goes into the factory: as a "number", or as a "schedule".
      injected: whether it goes into the state's hyper-parameters, too: those of `optax.inject_hyperparams` with a number.
      hyperparameter: which of the state's hyper-parameters.
      caller: who complains.
    """

    factory: OptimizerFactory
    by: str = "number"
    injected: bool = False
    hyperparameter: str = "learning_rate"
    caller: str = dataclasses.field(default="Learner.create", compare=False)

    @staticmethod
    def matching(caller: str, factory: OptimizerFactory, params: Any, opt_state: Any, hyperparameter: str) -> "RatedOptimizer":
        """The way to call `factory` that fits `opt_state`."""
        check_factory(caller, factory)
        first = RatedOptimizer(factory, "number", False, hyperparameter, caller)
        candidates = (first, dataclasses.replace(first, by="schedule"))
        differences: list[tuple[int, str]] = []
        failed: Exception | None = None
        for candidate in candidates:
            try:
                fresh: Any = jax.eval_shape(candidate.init, params)
            except (TypeError, ValueError) as error:  # some factories take only numbers, some only schedules
                failed = failed or error
                if candidate is candidates[-1] and not differences:
                    raise _not_made(caller, factory, failed) from failed.__cause__  # of a number, which most factories take
                continue
            structure: Any = jax.tree.structure(fresh)
            if opt_state is None or structure == jax.tree.structure(opt_state):
                if opt_state is not None:
                    _check_shapes(caller, opt_state, fresh)
                injected = any(is_hyperparameter(path, hyperparameter) for path, _ in jax.tree.leaves_with_path(fresh))
                return dataclasses.replace(candidate, injected=injected)
            differences.append(difference(opt_state, fresh))
        _, found = max(differences)  # of the way of calling that fits for longest
        remedy = "give the factory of the optimizer that the run uses"
        raise ValueError(f"{caller}: `opt_state` must be a state of `optimizer`, got {found}; {remedy}")

    def init(self, params: Any) -> Any:
        """A fresh optimizer state."""
        return self._make(jnp.zeros((), jnp.float32)).init(params)

    def update(
        self, grads: Any, opt_state: Any, params: Any, rate: jax.Array, extra: Mapping[str, Any] | None = None
    ) -> tuple[Any, Any]:
        """What is added to the parameters, and the optimizer state after it; `extra` is for optimizers that need the loss."""
        if self.injected:
            opt_state = jax.tree.map_with_path(
                lambda path, leaf: jnp.asarray(rate, leaf.dtype) if is_hyperparameter(path, self.hyperparameter) else leaf,
                opt_state,
            )
        return update_with(self._make(rate), grads, opt_state, params, extra or {})

    def apply(
        self, grads: Any, opt_state: Any, params: Any, rate: jax.Array, extra: Mapping[str, Any] | None = None
    ) -> tuple[Any, Any]:
        """The parameters and the optimizer state after one update at `rate`."""
        updates, opt_state = self.update(grads, opt_state, params, rate, extra)
        return optax.apply_updates(params, updates), opt_state

    def _make(self, rate: jax.Array) -> optax.GradientTransformation:
        return make_optimizer(self.caller, self.factory, (lambda count: rate) if self.by == "schedule" else rate)


def _not_made(caller: str, factory: OptimizerFactory, error: Exception) -> Exception:
    """What a factory raised, or why, where it asked for the number of a traced learning rate."""
    if not isinstance(error, NEEDS_NUMBERS):
        return error
    reason = str(error).strip().partition("\n")[0]
    remedy = f"it raised: {reason}; compute with jnp, without float(), int() or `if` on the learning rate"
    return argument_error(TypeError, caller, "optimizer", "a function of a traced learning rate", factory, remedy)


def _check_shapes(caller: str, opt_state: Any, fresh: Any) -> None:
    """Raises if a state has the right parts in the wrong shapes, as states have that are replicated over devices."""
    leaves = zip(jax.tree.leaves_with_path(opt_state), jax.tree.leaves(fresh), strict=True)
    for (path, leaf), expected in leaves:
        if np.shape(leaf) != expected.shape:
            place = jax.tree_util.keystr(path)
            remedy = "take one of several copies first: flax.jax_utils.unreplicate, or leaf[0] of every leaf"
            raise ValueError(
                f"{caller}: `opt_state{place}` must have the shape {expected.shape}, got {np.shape(leaf)}; {remedy}"
            )


def is_hyperparameter(path: tuple[Any, ...], name: str) -> bool:
    """Whether a path in an optimizer state leads to hyper-parameter `name` of `optax.inject_hyperparams`."""
    keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
    return len(keys) >= 2 and keys[-1] == name and keys[-2] == "hyperparams"


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
