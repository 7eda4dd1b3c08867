"""Optimizers that record their learning rate, and converted states."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from lrax.fields._errors import NEEDS_NUMBERS, Shown, any_traced, argument_error, check_call, choice
from lrax.fields._rules import LARGEST, Int, Number, PyTree, Rule, Whole
from lrax.optimizers._difference import children, each_difference
from lrax.optimizers._rates import Flag, Scheduled, common, counts_in, places_of
from lrax.schedules._base import RateFunction, Schedule, ScheduleRule

Made = TypeVar("Made")
OptimizerFactory: TypeAlias = Callable[[Any], optax.GradientTransformation]
"""`learning_rate -> optimizer`: `optax.adamw`, `functools.partial(optax.sgd, momentum=0.9)`, a lambda with a chain inside."""


def check_factory(caller: str, factory: object, name: str = "optimizer") -> None:
    """Raises TypeError if `factory` is not a function that makes an optimizer of a learning rate."""
    if isinstance(factory, Schedule):
        remedy = "give the optimizer's function, such as optax.sgd, not a schedule"
    elif not callable(factory) or isinstance(factory, optax.GradientTransformation):
        remedy = "give optax.sgd or functools.partial(optax.sgd, momentum=0.9), not optax.sgd(0.1)"
    else:
        return
    raise argument_error(TypeError, caller, name, "a function learning_rate -> optimizer", factory, remedy)


def make_optimizer(caller: str, factory: OptimizerFactory, learning_rate: object) -> optax.GradientTransformation:
    """The optimizer that `factory` makes of a learning rate or of a schedule."""
    optimizer = factory(learning_rate)
    if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
        needs = "a function learning_rate -> optax.GradientTransformation"
        remedy = f"it returned {type(optimizer).__name__}; give optax.sgd, for example"
        raise argument_error(TypeError, caller, "optimizer", needs, factory, remedy)
    return optimizer


def update_with(
    optimizer: optax.GradientTransformation, grads: PyTree, opt_state: PyTree, params: PyTree, extra: Mapping[str, object]
) -> tuple[PyTree, PyTree]:
    """The optimizer's update, with the extra arguments that it accepts.

    Only a call shows which: chains pass everything on, and members such as `optax.contrib.sam` may refuse some.
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
    optimizer: OptimizerFactory, learning_rate: Number, *, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """The optimizer at one learning rate, for a state that may have been made in any way.

    `optax.adam(0.1)`, `optax.adam(schedule)` and `optax.inject_hyperparams(optax.adam)(learning_rate=0.1)` have states of
    different structure, and each fails on a state of the others. `at_lr` accepts and returns any of them, so a train step can
    be called at any learning rate in the middle of a run.

    Args:
      optimizer: the factory of the state's optimizer, `learning_rate -> optax.GradientTransformation`, such as `optax.adamw` or
        `functools.partial(optax.sgd, momentum=0.9)`.
      learning_rate: a number, or a scalar array of any floating dtype; it may be traced.
      hyperparameter: the name that is overridden in a state of `optax.inject_hyperparams`.

    Returns: a transformation. `update(grads, opt_state, params)` makes the step at `learning_rate`, keeps the structure of
      `opt_state`, and advances its counts by one. `init(params)` makes the state of `optimizer(learning_rate)`.

    Raises: TypeError if `optimizer` is not a factory or `learning_rate` is not a scalar. From `update`: ValueError if
      `opt_state` is not a state of `optimizer`.

    >>> params, grads = jnp.zeros(3), jnp.ones(3)
    >>> for made_with in (0.001, lrax.warmup_cosine(0.001, warmup_steps=9, total_steps=100)):
    ...     opt_state = optax.sgd(made_with).init(params)
    ...     updates, opt_state = at_lr(optax.sgd, 0.5).update(grads, opt_state, params)
    ...     print(updates)
    [-0.5 -0.5 -0.5]
    [-0.5 -0.5 -0.5]
    """
    check_factory("at_lr", optimizer)
    given: object = learning_rate
    if callable(given):
        remedy = "make an optimizer that follows a schedule with optimizer(schedule)"
        raise argument_error(TypeError, "at_lr", "learning_rate", "a number, or a scalar array", learning_rate, remedy)
    if np.shape(learning_rate) != ():
        shown = Shown(f"shape {np.shape(learning_rate)}")
        raise argument_error(TypeError, "at_lr", "learning_rate", "a scalar", shown, "use jax.vmap for several learning rates")
    return optimizer_at("at_lr", optimizer, learning_rate, hyperparameter)


def optimizer_at(
    caller: str, factory: OptimizerFactory, learning_rate: ArrayLike, hyperparameter: str = "learning_rate"
) -> optax.GradientTransformationExtraArgs:
    """`at_lr`, for another caller in its errors."""

    def init(params: PyTree) -> PyTree:
        return make_optimizer(caller, factory, learning_rate).init(params)

    def update(grads: PyTree, opt_state: PyTree, params: PyTree = None, **extra: object) -> tuple[PyTree, PyTree]:
        shapes = grads if params is None else params  # gradients have the structure and shapes of the parameters
        rated = RatedOptimizer.matching(caller, factory, shapes, opt_state, hyperparameter)
        return rated.update(grads, opt_state, params, learning_rate, extra)

    return optax.GradientTransformationExtraArgs(init, update)


@dataclasses.dataclass(frozen=True)
class RatedOptimizer:
    """An optimizer whose learning rate is an argument of `update`.

    `optax.sgd(0.1)`, `optax.sgd(schedule)` and an injected `sgd` have states of different structure: the factory is called in
    the way that gives the structure at hand.

    Attributes:
      factory: `learning_rate -> optimizer`.
      by: what the factory is called with: a "number", or a "schedule".
      injected: whether the learning rate is also written into the hyper-parameters of `optax.inject_hyperparams`.
      hyperparameter: which of these.
      caller: who raises errors.
    """

    factory: OptimizerFactory
    by: str = "number"
    injected: bool = False
    hyperparameter: str = "learning_rate"
    caller: str = dataclasses.field(default="Learner.create", compare=False)

    @staticmethod
    def matching(
        caller: str, factory: OptimizerFactory, params: PyTree, opt_state: PyTree, hyperparameter: str
    ) -> "RatedOptimizer":
        """The way to call `factory` that fits `opt_state`."""
        check_factory(caller, factory)
        first = RatedOptimizer(factory, "number", False, hyperparameter, caller)
        candidates = (first, dataclasses.replace(first, by="schedule"))
        others: list[PyTree] = []
        failed: Exception | None = None
        for candidate in candidates:
            try:
                fresh: PyTree = jax.eval_shape(candidate.init, params)
            except (TypeError, ValueError) as error:  # some factories take only numbers, some only schedules
                failed = failed or error
                if candidate is candidates[-1] and not others:
                    raise _not_made(caller, factory, failed) from failed.__cause__  # with a number, which most take
                continue
            structure: object = jax.tree.structure(fresh)
            if opt_state is None or structure == jax.tree.structure(opt_state):
                if opt_state is not None:
                    _check_shapes(caller, opt_state, fresh)
                injected = any(is_hyperparameter(path, hyperparameter) for path, _ in jax.tree.leaves_with_path(fresh))
                return dataclasses.replace(candidate, injected=injected)
            others.append(fresh)
        found = min((list(each_difference(opt_state, other, "it")) for other in others), key=len)
        remedy = "give the factory of the optimizer that the run uses"
        given = Shown(f"another: {found[0] if found else 'it has another structure'}")
        raise argument_error(ValueError, caller, "opt_state", "a state of `optimizer`", given, remedy)

    def init(self, params: PyTree) -> PyTree:
        """A fresh optimizer state."""
        return self._make(jnp.zeros((), jnp.float32)).init(params)

    def update(
        self, grads: PyTree, opt_state: PyTree, params: PyTree, lr: ArrayLike, extra: Mapping[str, object] | None = None
    ) -> tuple[PyTree, PyTree]:
        """The updates of the parameters, and the next optimizer state; `extra` is for optimizers that need the loss."""
        if self.injected:
            opt_state = jax.tree.map_with_path(
                lambda path, leaf: jnp.asarray(lr, leaf.dtype) if is_hyperparameter(path, self.hyperparameter) else leaf,
                opt_state,
            )
        return update_with(self._make(lr), grads, opt_state, params, extra or {})

    def apply(
        self, grads: PyTree, opt_state: PyTree, params: PyTree, lr: ArrayLike, extra: Mapping[str, object] | None = None
    ) -> tuple[PyTree, PyTree]:
        """The next parameters and the next optimizer state."""
        updates, opt_state = self.update(grads, opt_state, params, lr, extra)
        return optax.apply_updates(params, updates), opt_state

    def _make(self, lr: ArrayLike) -> optax.GradientTransformation:
        return make_optimizer(self.caller, self.factory, (lambda count: lr) if self.by == "schedule" else lr)


def _not_made(caller: str, factory: OptimizerFactory, error: Exception) -> Exception:
    """The error of a factory, or the reason if it asked for the number of a traced learning rate."""
    if not isinstance(error, NEEDS_NUMBERS):
        return error
    reason = str(error).strip().partition("\n")[0]
    remedy = f"it raised: {reason}; compute with jnp, without float(), int() or `if` on the learning rate"
    return argument_error(TypeError, caller, "optimizer", "a function of a traced learning rate", factory, remedy)


def _check_shapes(caller: str, opt_state: PyTree, fresh: PyTree) -> None:
    """Raises if a state has the right parts in other shapes, as one that is replicated over devices."""
    leaves = zip(jax.tree.leaves_with_path(opt_state), jax.tree.leaves(fresh), strict=True)
    for (path, leaf), expected in leaves:
        if np.shape(leaf) != expected.shape:
            place = jax.tree_util.keystr(path)
            remedy = "take one of several copies first: flax.jax_utils.unreplicate, or leaf[0] of every leaf"
            needs = f"`opt_state{place}` must have the shape {expected.shape}"
            raise ValueError(f"{caller}: {needs}, got {np.shape(leaf)}; {remedy}")


def is_hyperparameter(path: tuple[object, ...], name: str) -> bool:
    """Whether a path in an optimizer state leads to hyper-parameter `name` of `optax.inject_hyperparams`."""
    keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
    return len(keys) >= 2 and keys[-1] == name and keys[-2] == "hyperparams"


class RecordedState(NamedTuple):
    """The state of `lrax.recorded`.

    It does not store the number of steps: the optimizer's own state counts them, and `lrax.count_of` reads it. So
    `optax.tree_utils.tree_set(opt_state, count=...)` moves the count that the learning rate follows.

    Attributes:
      lr: the learning rate of the last step, float32; 0 before the first step, which `lrax.last_lr` reports as NaN.
      step: the 0-based number of that step, int32; -1 before the first step.
      counter: `optax.ScaleByScheduleState(count)` for an optimizer that does not count its steps, else `()`.
      inner_state: the optimizer's own state.
      gradient_norm: the norm of the gradients of the last call, float32; 0 before the first, None if it is not recorded.
    """

    lr: jax.Array
    step: jax.Array
    counter: PyTree
    inner_state: PyTree
    gradient_norm: jax.Array | None = None


@check_call
def recorded(
    optimizer: OptimizerFactory, schedule: RateFunction, *, norm: Literal["l2", "l1"] | None = None
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that follows a schedule and records the learning rate of its last step, for `last_lr(opt_state)`.

    It is `optimizer(schedule)`, and its updates are the same bit for bit. The state has one count, the optimizer's own: a count
    that you set, a restored state or another schedule takes effect with the next step. The learning rate is right inside and
    around `optax.MultiSteps`, with `optax.inject_hyperparams`, and in every dtype. For schedule-free optimizers it is the
    learning rate of the optimizer inside.

    Args:
      optimizer: `learning_rate -> optax.GradientTransformation`, such as `optax.adamw` or
        `functools.partial(optax.sgd, momentum=0.9)`.
      schedule: a schedule or a callable `count -> learning rate`.
      norm: records the norm of the gradients as `gradient_norm`: `"l2"` is the root of the sum of squares, `"l1"` the sum of
        absolute values. `lrax.theory.refined` makes a schedule of the norms of a run.

    Returns: a transformation whose state is a `RecordedState(lr, step, counter, inner_state, gradient_norm)`. The learning rate
      is float32 whatever the parameters are. It is NaN where parts of the optimizer have different counts.

    Raises: TypeError if `optimizer` is not a factory, or accepts numbers only, or if `schedule` is not a schedule; ValueError
      for another norm. `update` raises TypeError for the state of another optimizer: see `lrax.convert_state`.

    >>> tx = recorded(optax.adamw, lrax.Linear(0.5, 0.0, steps=10))
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> print(state.lr, state.step, lrax.count_of(state))
    0.45 1 2
    """
    if norm is not None:
        choice("recorded", "norm", norm, ("l2", "l1"))
    return record("recorded", optimizer, ScheduleRule().convert("recorded", "schedule", schedule), norm)


def record(
    caller: str, optimizer: OptimizerFactory, schedule: Schedule, norm: str | None = None
) -> optax.GradientTransformationExtraArgs:
    """`recorded`, for another caller in its errors."""
    check_factory(caller, optimizer)
    inner = _taking_schedules(caller, optimizer, lambda: make_optimizer(caller, optimizer, schedule))

    def init(params: PyTree) -> RecordedState:
        inner_state = _taking_schedules(caller, optimizer, lambda: inner.init(params))
        counts = counts_in(places_of(caller, inner_state))
        counter = () if counts else optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))
        count, _ = _count(caller, inner_state, counter)
        # 0 and not NaN: a fresh state must pass `jax_debug_nans`
        lr, norm_before = jnp.zeros_like(schedule(count)), None if norm is None else jnp.zeros((), jnp.float32)
        return RecordedState(lr, jnp.full_like(count, -1), counter, inner_state, norm_before)

    def update(updates: PyTree, state: RecordedState, params: PyTree = None, **extra: object) -> tuple[PyTree, RecordedState]:
        if not isinstance(state, RecordedState):
            raise wrong_state(caller, state, f"a state of {caller}")
        before, agreed = _count(caller, state.inner_state, state.counter)
        call = functools.partial(update_with, inner, updates, state.inner_state, params, extra)
        moved, inner_state = _taking_schedules(caller, optimizer, call, "lrax.schedules")
        counter = jax.tree.map(lambda count: jnp.minimum(count, LARGEST - 1) + 1, state.counter)
        after, agree = _count(caller, inner_state, counter)
        is_step = after != before  # accumulation and skipped gradients leave the count as it is
        lr = jnp.where(agreed & agree, jnp.where(is_step, schedule(before), state.lr), jnp.nan)
        step = jnp.where(agreed & agree, jnp.where(is_step, before, state.step), -1)
        return moved, RecordedState(lr, step, counter, inner_state, None if norm is None else _norm(updates, norm))

    return Scheduled.made(init, update, schedule)


def wrong_state(caller: str, state: object, needs: str) -> Exception:
    """The error for the state of another optimizer, with the call that converts it."""
    shown = Shown(type(state).__name__)
    remedy = "convert the state of the optimizer that made it: lrax.convert_state(opt_state, optimizer, params)"
    return argument_error(TypeError, caller, "opt_state", needs, shown, remedy)


def _count(caller: str, inner_state: PyTree, counter: PyTree) -> tuple[jax.Array, Flag]:
    """The count of a state, and whether its parts have the same one."""
    counts = counts_in(places_of(caller, (inner_state, counter)))
    if not counts:
        raise argument_error(TypeError, caller, "opt_state", "a state whose count is an integer", inner_state)
    count, agree = common(counts)
    return count.astype(jnp.int32), agree


def _norm(gradients: PyTree, norm: str) -> jax.Array:
    """The norm of a pytree, in float32; squares are taken of what is at most 1, so that none overflows."""
    sizes = [jnp.abs(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(gradients)]
    if norm == "l1":
        return sum((jnp.sum(size) for size in sizes), jnp.zeros((), jnp.float32))
    highest = jnp.max(jnp.stack([jnp.max(size, initial=0) for size in sizes]))
    unit = jnp.where((highest > 0) & jnp.isfinite(highest), highest, 1)
    return unit * jnp.sqrt(sum((jnp.sum((size / unit) ** 2) for size in sizes), jnp.zeros((), jnp.float32)))


def _taking_schedules(caller: str, optimizer: OptimizerFactory, make: Callable[[], Made], sign: str = "") -> Made:
    """What `make` returns; if it fails because it expects a number, with `sign` in the error, an error with the remedy."""
    try:
        return make()
    except TypeError as error:
        if f"{caller}:" in str(error) or sign not in str(error):
            raise
        remedy = "for one that takes a number, give lambda lr: optax.inject_hyperparams(optimizer)(learning_rate=lr)"
        raise argument_error(TypeError, caller, "optimizer", "a function that takes a schedule", optimizer, remedy) from error


COUNT = Rule("a whole number of steps, at least 0", np.int32, low=0, remedy="give an int such as 1000")


@check_call
def convert_state(
    opt_state: PyTree, optimizer: optax.GradientTransformation, params: PyTree, count: Whole | None = None
) -> PyTree:
    """Converts the state of a run for an optimizer with `recorded` or `by_path` around it, without them, or with other groups.

    Call it once, before the first step with the new optimizer. Moments and counts are copied. Where the learning rates are the
    same, the run continues bit for bit.

    Args:
      opt_state: the state to convert, such as that of `optax.adamw(schedule)` or of `optax.adamw(0.1)`.
      optimizer: the new optimizer, such as `lrax.recorded(optax.adamw, schedule)`, also inside chains and other wrappers that
        `opt_state` has too.
      params: the parameters, or their shapes.
      count: the number of steps made, for a state that does not count them, such as that of `optax.sgd(0.1)`.

    Returns: a state of `optimizer`. Its `recorded` parts have recorded no step yet. Moments of groups that become frozen are
      dropped; those of a group that was frozen begin as `optimizer.init(params)` makes them, which needs the parameters.

    Raises: TypeError if `opt_state` is the state of another optimizer, with the first parts that differ; ValueError if it does
      not count its steps and `count` is not given, if a shape differs, or if groups that become one have different values.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> _, state = optax.adamw(0.1).update(params, optax.adamw(0.1).init(params), params)
    >>> tx = lrax.by_path(optax.adamw, lrax.Linear(0.1, 0.0, steps=10), {"head": 0.5})
    >>> state = convert_state(state, tx, params)
    >>> print(lrax.count_of(state), f"{lrax.next_lr(state, tx, path='head'):.3f}")
    1 0.045
    """
    if not callable(getattr(optimizer, "init", None)):
        raise argument_error(TypeError, "convert_state", "optimizer", "an optax optimizer", optimizer, "the state comes first")
    wanted = jax.eval_shape(optimizer.init, params)
    parts = list(_parts(wanted))
    given: dict[str, list[jax.Array]] = {}
    for part in _parts(opt_state):
        if not part.is_own:
            given.setdefault(part.name, []).append(part.leaf)
    names = {part.name for part in parts if not part.is_own}
    lacking = [part.name for part in parts if not part.is_own and not part.is_count and part.name not in given]
    if lacking and _has_frozen(opt_state) and all(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree.leaves(params)):
        fresh = [(part.name, leaf) for part, leaf in zip(parts, jax.tree.leaves(optimizer.init(params)), strict=True)]
        given |= {name: [leaf] for name, leaf in fresh if name in lacking}
        lacking = []
    left = [] if _has_frozen(wanted) else [name for name in given if name not in names and not name.endswith("count")]
    if lacking or left:
        remedy = f"it has no {lacking[0]}" if lacking else f"it has {left[0]} too"
        needs = "the state of the same optimizer, with other wrappers of lrax or none"
        raise argument_error(TypeError, "convert_state", "opt_state", needs, Shown(type(opt_state).__name__), remedy)
    steps = _steps_made(opt_state, count)
    leaves = [_converted(part, given.get(part.name, []), steps) for part in parts]
    return jax.tree.unflatten(jax.tree.structure(wanted), leaves)


def _steps_made(opt_state: PyTree, count: object) -> Int | None:
    """The number of steps that a state has made; None if its parts have different ones."""
    counts = counts_in(places_of("convert_state", opt_state))
    if counts and count is not None:
        raise argument_error(ValueError, "convert_state", "count", "left out for a state that counts its steps", count)
    if not counts:
        return None if count is None else COUNT.convert("convert_state", "count", count)
    first, agree = common(counts)
    return first if agree is not False else None


class _Part(NamedTuple):
    """A leaf of a state: the names on the way to it without the wrappers of lrax, and whether it belongs to one of these."""

    name: str
    leaf: jax.Array
    is_own: bool

    @property
    def is_count(self) -> bool:
        return self.name.endswith(".count") and bool(jnp.issubdtype(jnp.result_type(self.leaf), jnp.integer))


def _converted(part: _Part, given: list[jax.Array], steps: Int | None) -> jax.Array:
    """The leaf of the new state: that of the old one, or the value before a step is recorded."""
    shape, dtype = part.leaf.shape, part.leaf.dtype
    if part.is_count and not given:
        if steps is None:
            needs, remedy = "given where the state has no count", "give the number of steps made, such as count=1000"
            raise argument_error(ValueError, "convert_state", "count", needs, steps, remedy)
        return jnp.asarray(steps, dtype)
    if part.is_own:
        return jnp.full(shape, -1 if part.name.endswith(".step") else 0, dtype)
    if any(np.shape(leaf) != shape for leaf in given):
        needs = f"of the shape {shape} at {part.name}"
        raise argument_error(ValueError, "convert_state", "opt_state", needs, Shown(str(np.shape(given[0]))))
    if not any_traced(given) and any(not np.array_equal(given[0], leaf) for leaf in given[1:]):
        values = Shown(" and ".join(str(np.asarray(leaf)) for leaf in given))
        raise argument_error(ValueError, "convert_state", "opt_state", f"of groups that agree at {part.name}", values)
    return given[0]


def _parts(node: PyTree, name: str = "", is_own: bool = False) -> Iterator[_Part]:
    """The leaves of a state in the order of `jax.tree.leaves`."""
    if jax.tree_util.all_leaves([node]):
        yield _Part(name, node, is_own)
    elif _is_by_path(node):
        for label in sorted(node.inner_states):
            yield from _parts(node.inner_states[label].inner_state, name, is_own)
    elif isinstance(node, RecordedState):
        for key, child in children(node):
            yield from _parts(child, *((name, is_own) if key == ".inner_state" else (name + key, True)))
    else:
        for key, child in children(node):
            yield from _parts(child, name + key, is_own)


def _is_by_path(node: PyTree) -> bool:
    """Whether a node is a state of `by_path`: groups that are recorded or frozen."""
    groups = getattr(node, "inner_states", {})
    types = {type(getattr(group, "inner_state", None)) for group in groups.values()}
    return RecordedState in types and types <= {RecordedState, optax.EmptyState}


def _has_frozen(state: PyTree) -> bool:
    """Whether a state is, or contains, one of `by_path` with a frozen group."""
    nodes = jax.tree.leaves(state, is_leaf=_is_by_path)
    frozen = optax.MaskedState(optax.EmptyState())
    return any(frozen in node.inner_states.values() for node in nodes if _is_by_path(node))
