"""What is my rate: the last and the next rate of a run, read from its optimizer state."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._known import is_known
from lrax.fields._rules import LARGEST
from lrax.fields._words import complain
from lrax.optimizers._rated import OptimizerFactory
from lrax.schedules._base import ScheduleRule


class RecordedState(NamedTuple):
    """The state of `lrax.recorded`: how many updates were done, the rate of the last one, and the optimizer's own state."""

    count: jax.Array  # type: ignore[assignment]  # optax's word, though tuples have a method of that name
    rate: jax.Array
    inner_state: Any


def recorded(optimizer: OptimizerFactory, schedule: Any) -> optax.GradientTransformationExtraArgs:
    """An optimizer that follows a schedule and keeps the rate it used in its state, for `last_rate(opt_state)`.

    The updates are those of `optimizer(schedule)`; the rate is float32 whatever the parameters are.

    Args:
      optimizer: `rate -> optax.GradientTransformation`, such as `optax.adamw` or
        `functools.partial(optax.sgd, momentum=0.9)`. It is called with a float32 scalar, traced under jit.
      schedule: a schedule or a callable `count -> rate`.

    Returns: a transformation whose state is a `RecordedState(count, rate, inner_state)`. Before the first update `rate` is
      the first rate.

    Raises: TypeError if `optimizer` is not a factory or `schedule` not a schedule.

    >>> tx = recorded(optax.adamw, lrax.Linear(0.5, 0.0, steps=10))
    >>> state = tx.init(jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> _, state = tx.update(jnp.ones(2), state, jnp.zeros(2))
    >>> print(state.count, state.rate)
    2 0.45
    """
    if not callable(optimizer) or isinstance(optimizer, optax.GradientTransformation):
        remedy = "give optax.sgd or functools.partial(optax.sgd, momentum=0.9), not optax.sgd(0.1)"
        raise complain(TypeError, "recorded", "optimizer", "a function rate -> optimizer", optimizer, remedy)
    rate_of = ScheduleRule().convert("recorded", "schedule", schedule)

    def init(params: Any) -> RecordedState:
        rate = rate_of(0)
        return RecordedState(jnp.zeros((), jnp.int32), rate, optimizer(rate).init(params))

    def update(updates: Any, state: RecordedState, params: Any = None, **extra: Any) -> tuple[Any, RecordedState]:
        rate = rate_of(state.count)
        inner = optax.with_extra_args_support(optimizer(rate))
        moved, inner_state = inner.update(updates, state.inner_state, params, **extra)
        moved = jax.tree.map(lambda new, old: new.astype(old.dtype), moved, updates)  # as optax keeps it for schedules
        return moved, RecordedState(jnp.minimum(state.count, LARGEST - 1) + 1, rate, inner_state)

    return optax.GradientTransformationExtraArgs(init, update)


def last_rate(opt_state: Any, schedule: Any = None, path: str = "") -> jax.Array:
    """The rate of the last update of a run.

    A `reduce_on_plateau` in the state (ours or optax's) counts in: its scale multiplies the rate.

    Args:
      opt_state: a state of any optax optimizer; for gradient accumulation (`optax.MultiSteps`) optimizer updates count, not
        batches.
      schedule: the schedule of the run, or a callable `count -> rate`. Not needed if the state keeps the rate: states of
        `lrax.recorded`, and of `optax.inject_hyperparams` with a `learning_rate`.
      path: a piece of the place in the state to look at, where several disagree: a label of `lrax.by_path` or of
        `optax.multi_transform`, such as `"head"`.

    Returns: float32, a scalar (or of the shape of the state's counts). Before the first update it is the first rate. Works
      under jit too: there, NaN where the state's places disagree.

    Raises: ValueError if there is no count (or no rate, without `schedule`) in the state, or if there are several that
      disagree, which the message lists.

    >>> schedule = lrax.Linear(0.5, 0.0, steps=10)
    >>> tx = optax.adamw(schedule)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), jnp.zeros(2))
    >>> print(last_rate(state, schedule), next_rate(state, schedule))
    0.5 0.45
    """
    leaves = _leaves(opt_state, path)
    if schedule is None:
        rate, agree = _agreed("last_rate", "rate", [leaf for leaf in leaves if leaf.is_rate], path)
        rate = rate.astype(jnp.float32)
    else:
        count, agree = _agreed("last_rate", "count", _counts(leaves), path)
        rate = ScheduleRule().convert("last_rate", "schedule", schedule)(count - 1)
    return jnp.where(agree, rate * _plateau_scale("last_rate", leaves, path), jnp.nan)


def next_rate(opt_state: Any, schedule: Any, path: str = "") -> jax.Array:
    """The rate of the next update of a run, before a plateau that it may find.

    Args:
      opt_state: see `last_rate`.
      schedule: the schedule of the run, or a callable `count -> rate`.
      path: see `last_rate`.

    Returns: float32, a scalar (or of the shape of the state's counts). Under jit, NaN where the state's counts differ.

    Raises: ValueError if there is no count in the state, or there are several that differ, which the message lists.

    >>> schedule = lrax.warmup_cosine(peak=0.5, total_steps=100, warmup_steps=4)
    >>> print(next_rate(optax.sgd(schedule).init(jnp.zeros(2)), schedule))
    0.1
    """
    leaves = _leaves(opt_state, path)
    count, agree = _agreed("next_rate", "count", _counts(leaves), path)
    rate = ScheduleRule().convert("next_rate", "schedule", schedule)(count)
    return jnp.where(agree, rate * _plateau_scale("next_rate", leaves, path), jnp.nan)


def count_of(opt_state: Any, path: str = "") -> jax.Array:
    """How many updates an optimizer state has seen: the count of the next one.

    Args:
      opt_state: see `last_rate`.
      path: see `last_rate`.

    Returns: int32, a scalar (or of the shape of the state's counts). Under jit, -1 where the state's counts differ.

    Raises: ValueError if there is no count in the state, or there are several that differ, which the message lists.

    >>> tx = optax.adam(0.1)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))
    >>> print(count_of(state))
    1
    """
    count, agree = _agreed("count_of", "count", _counts(_leaves(opt_state, path)), path)
    return jnp.where(agree, count, -1)


class _Leaf(NamedTuple):
    """A leaf of an optimizer state, the names on the way to it joined by `/`, and the names of what stands beside it."""

    path: str
    siblings: set[str]
    value: Any

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_whole(self) -> bool:
        return jnp.issubdtype(jnp.asarray(self.value).dtype, jnp.integer)

    @property
    def is_schedule_count(self) -> bool:
        """A count that a schedule is called with: optax's state for schedules holds nothing else, wrappers a rate."""
        beside = self.siblings - {"count"}
        return self.name == "count" and self.is_whole and (not beside or bool(beside & {"rate", "hyperparams"}))

    @property
    def is_other_count(self) -> bool:
        """A count of updates for other ends. Those of plateaus and of `optax.apply_every` start again and again."""
        starts_again = self.siblings & {"plateau_count", "grad_acc"}
        return self.name in ("count", "gradient_step") and self.is_whole and not starts_again

    @property
    def is_rate(self) -> bool:
        return (self.name == "rate" and "count" in self.siblings) or self.path.endswith("hyperparams/learning_rate")

    @property
    def is_plateau_scale(self) -> bool:
        return self.name == "scale" and "plateau_count" in self.siblings


def _leaves(opt_state: Any, path: str) -> list[_Leaf]:
    """The leaves of a state whose place holds `path`. Flax NNX wraps each leaf: its `value` is left off."""
    places = [
        (jax.tree_util.keystr(keys, simple=True, separator="/").removesuffix("/value"), leaf)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(opt_state)
    ]
    children: dict[str, set[str]] = {}
    for place, _ in places:
        parts = place.split("/")
        for i, part in enumerate(parts):
            children.setdefault("/".join(parts[:i]), set()).add(part)
    return [_Leaf(place, children[place.rpartition("/")[0]], leaf) for place, leaf in places if path in place]


def _counts(leaves: list[_Leaf]) -> list[_Leaf]:
    """The counts that schedules are called with; where there are none, those of the moments and of accumulation."""
    return [leaf for leaf in leaves if leaf.is_schedule_count] or [leaf for leaf in leaves if leaf.is_other_count]


def _agreed(owner: str, what: str, leaves: list[_Leaf], path: str) -> tuple[jax.Array, Any]:
    """The one value of `leaves`, and whether they have one (known at run time only under jit)."""
    if not leaves:
        where = f" at a place with {path!r} in it" if path else ""
        remedy = "wrap the optimizer in lrax.recorded, or give the schedule" if what == "rate" else "use lrax.recorded"
        raise ValueError(f"{owner}: `opt_state` must hold a {what}{where}, got none; {remedy}")
    first, *others = (jnp.asarray(leaf.value) for leaf in leaves)
    if not all(is_known(leaf.value) for leaf in leaves):
        equal = [first == other for other in others if other.shape == first.shape]
        same_shapes = len(equal) == len(others)
        return first, jnp.stack([*equal, jnp.ones_like(first, jnp.bool_)]).all(axis=0) & same_shapes
    if not all(np.array_equal(np.asarray(first), np.asarray(other)) for other in others):
        shown = ", ".join(f"{leaf.path} = {np.asarray(leaf.value)}" for leaf in leaves)
        raise ValueError(f"{owner}: `path` must choose one where a state holds several, got {path!r} for {shown}")
    return first, True


def _plateau_scale(owner: str, leaves: list[_Leaf], path: str) -> Any:
    """The product of the scales of the plateaus in a state; a group's own plateau is no part of other groups' rates."""
    scales = [leaf for leaf in leaves if leaf.is_plateau_scale]
    if not path and any("inner_states/" in leaf.path for leaf in scales):
        remedy = "a piece of " + " or ".join(leaf.path for leaf in scales)
        raise complain(ValueError, owner, "path", "given where groups of parameters have plateaus of their own", path, remedy)
    total: Any = jnp.ones((), jnp.float32)
    for leaf in scales:
        total = total * jnp.asarray(leaf.value).astype(jnp.float32)
    return total
