"""Lanes: a batch of schedules, and what the training function takes beside them, each with one leading axis."""

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_call, is_concrete
from lrax.fields._types import Offset
from lrax.fields._value import is_batch, ranks
from lrax.schedules._base import Function, Schedule, ScheduleRule, Schedules


class Lanes(NamedTuple):
    """What the lanes of a sweep are made of.

    Attributes:
      schedules: one schedule whose leaves all have a leading axis of length `number`.
      others: pytrees whose leaves all have that axis.
      number: of lanes.
      listed: the schedules as they were listed, or None if they came as one batch.
    """

    schedules: Schedule
    others: tuple[Any, ...]
    number: int
    listed: tuple[Schedule, ...] | None

    def one(self, lane: int) -> Schedule:
        """The schedule of one lane."""
        if self.listed is not None:
            return self.listed[lane]
        return jax.tree.map(lambda leaf: leaf[lane], self.schedules)


@final
class Either(Schedule):
    """One of several kinds, chosen by its place: what stands for a list of different kinds in a compiled program.

    >>> kinds = (lrax.Constant(0.1), lrax.Cosine(0.2, 0.0, 10))
    >>> print(jax.vmap(lambda index: Either(kinds, index)(0))(jnp.arange(2)))
    [0.1 0.2]
    """

    kinds: Schedules
    index: Offset

    def rate(self, count: jax.Array) -> jax.Array:
        branches = [lambda count, kind=kind: jnp.broadcast_to(kind(count), count.shape) for kind in self.kinds]
        return jax.lax.switch(self.index, branches, count)

    @property
    def length(self) -> Any:
        lengths = [kind.length for kind in self.kinds]
        if any(length is None for length in lengths):
            return None
        return jnp.stack([jnp.asarray(length) for length in lengths])[self.index]


def as_lanes(caller: str, schedules: Any, others: tuple[Any, ...] = ()) -> Lanes:
    """`schedules`, one batch or a list, and `others`, checked and with one leading axis in every leaf.

    Raises: TypeError or ValueError that names the argument.
    """
    for i, other in enumerate(others):
        check_arrays(caller, f"others[{i}]", other)
    others = tuple(jax.tree.map(_on_host, other) for other in others)
    listed = None
    if isinstance(schedules, list | tuple):
        if not schedules:
            raise argument_error(ValueError, caller, "schedules", "at least one schedule", schedules)
        convert = ScheduleRule().convert
        listed = tuple(convert(caller, f"schedules[{i}]", schedule) for i, schedule in enumerate(schedules))
        for i, schedule in enumerate(listed):
            _check_single(caller, f"schedules[{i}]", schedule)
        batch, count = stack(listed), len(listed)
    elif isinstance(schedules, Schedule):
        batch, count = spread(caller, schedules, others)
    else:
        raise argument_error(
            TypeError, caller, "schedules", "a schedule with batched fields, or a list of schedules", schedules
        )
    for i, other in enumerate(others):
        shapes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(other)}
        if shapes - {(count,)}:
            needs, found = f"arrays with one leading axis, one entry a lane ({count})", jax.tree.leaves(other)
            remedy = "make an array of the list with jnp.asarray" if isinstance(other, list) and () in shapes else ""
            raise argument_error(ValueError, caller, f"others[{i}]", needs, [jnp.shape(leaf) for leaf in found], remedy)
    return Lanes(jax.tree.map(_on_host, batch), others, count, listed)


def _check_single(caller: str, name: str, schedule: Schedule) -> None:
    """Raises if what stands in a list is a batch, or a function that gives no rate."""
    if is_batch(schedule):
        remedy = "give the batch by itself, or its schedules one by one"
        raise argument_error(ValueError, caller, name, "one schedule, not a batch", schedule, remedy)
    if not isinstance(schedule, Function):
        return
    try:
        rate = jax.eval_shape(schedule, np.int32(0))
    except Exception as error:  # whatever the function raises
        reason = str(error).strip().partition("\n")[0]
        raise argument_error(TypeError, caller, name, "a function count -> rate, in jnp", schedule, reason) from error
    if rate.shape:
        raise argument_error(
            ValueError, caller, name, "a function count -> one rate", schedule, f"it returned shape {rate.shape}"
        )


def stack(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule whose leaves have a leading axis, from several: of one kind, or an `Either` of their kinds.

    >>> stack([lrax.Constant(0.1), lrax.Constant(0.2)])
    Constant(value=[0.1, 0.2])
    """
    groups: dict[Any, list[int]] = collections.defaultdict(list)
    for i, schedule in enumerate(schedules):
        shapes = tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(schedule))
        groups[jax.tree.structure(schedule), shapes].append(i)
    if len(groups) == 1 and jax.tree.leaves(schedules):
        return jax.tree.map(_stack, *schedules)
    kinds, index = [], np.zeros(len(schedules), np.int32)
    for kind, members in enumerate(groups.values()):
        index[members] = kind
        place = dict(zip(members, members, strict=True))  # lanes of other kinds hold this kind's first member, unused
        kinds.append(jax.tree.map(_stack, *(schedules[place.get(i, members[0])] for i in range(len(schedules)))))
    return Either(tuple(kinds), index)


def spread(caller: str, schedule: Schedule, others: tuple[Any, ...] = ()) -> tuple[Schedule, int]:
    """`schedule` with the lane axis in front of every leaf, also of those that are the same in all lanes; and the lanes."""
    leaves, structure = jax.tree.flatten(schedule)
    expected = ranks(schedule)
    known = [(jnp.shape(leaf), rank) for leaf, rank in zip(leaves, expected, strict=True) if rank is not None]
    counts = {shape[0] for shape, rank in known if len(shape) == rank + 1}
    if not counts:  # leaves of unknown rank and what stands beside the schedule
        counts = {shape[0] for leaf in jax.tree.leaves(others) if (shape := jnp.shape(leaf))}
    if not counts and not known:
        counts = {shape[0] for leaf in leaves if (shape := jnp.shape(leaf))}
    if len(counts) != 1 or 0 in counts or any(len(shape) > rank + 1 for shape, rank in known):
        remedy = "make a batch with jax.vmap over the numbers that differ, or give a list"
        raise argument_error(ValueError, caller, "schedules", "a batch whose fields have one leading axis", schedule, remedy)
    count = counts.pop()

    def spread_leaf(leaf: Any, rank: int | None) -> Any:
        shape = jnp.shape(leaf)
        batched = shape[:1] == (count,) if rank is None else len(shape) == rank + 1
        array = np if isinstance(leaf, np.ndarray | np.generic) else jnp
        return leaf if batched else array.broadcast_to(leaf, (count, *shape))

    return jax.tree.unflatten(structure, map(spread_leaf, leaves, expected)), count


@check_call
def grid(schedules: Any, *others: Any) -> tuple[Any, ...]:
    """Every schedule with every seed: what `sweep` takes, the schedule moving slowest.

    Args:
      schedules: one schedule whose fields have a leading axis, or a list of schedules; S of them.
      *others: pytrees of arrays with one leading axis of length K, such as random keys.

    Returns: `(schedules, *others)` with a leading axis of S·K lanes; a list stays a list.

    Raises: TypeError or ValueError for what cannot be swept, or if the others' leading axes differ.

    >>> schedules, seeds = grid(lrax.Constant(jnp.array([0.1, 0.2])), jnp.arange(3))
    >>> print(schedules, seeds)
    Constant(value=[0.1, 0.1, 0.1, 0.2, 0.2, 0.2]) [0 1 2 0 1 2]
    """
    lanes = as_lanes("grid", schedules)
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(others)}
    if len(sizes) != 1 or () in sizes:
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(others)]
        raise argument_error(
            ValueError, "grid", "others", "arrays with one leading axis", shapes, "give jax.random.split(key, 5)"
        )
    seeds = sizes.pop()[0]
    slow, fast = np.repeat(np.arange(lanes.number), seeds), np.tile(np.arange(seeds), lanes.number)
    batch = [lanes.listed[i] for i in slow] if lanes.listed is not None else take(lanes.schedules, slow)
    return (batch, *(take(other, fast) for other in others))


def check_lanes(caller: str, lanes: Any) -> None:
    """Raises if a number of lanes at a time is given and is none."""
    if lanes is not None and (not isinstance(lanes, int | np.integer) or isinstance(lanes, bool) or lanes < 1):
        raise argument_error(ValueError, caller, "lanes", "an integer of at least 1", lanes)


def check_arrays(caller: str, name: str, tree: Any) -> None:
    """Raises if a leaf of a pytree is nothing that JAX can compute with; the message has its path."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        known = isinstance(leaf, jax.Array | bool | int | float | complex | jax.ShapeDtypeStruct)
        if not known and np.asarray(leaf).dtype.kind in "OSUMm":
            remedy = "leave out what holds no numbers, or bind it with functools.partial"
            raise argument_error(
                TypeError, caller, f"{name}{jax.tree_util.keystr(path)}", "a number or an array of numbers", leaf, remedy
            )


def take(tree: Any, lanes: np.ndarray[Any, Any] | int) -> Any:
    """The leaves of some lanes, or of one."""
    return jax.tree.map(lambda leaf: leaf[lanes], tree)


def _on_host(leaf: Any) -> Any:
    """A leaf as a NumPy array of JAX's dtype; what cannot be one (tracers, keys, parts on other hosts) as it is."""
    if not is_concrete(leaf) or jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.extended):
        return leaf
    return np.asarray(leaf).astype(jax.dtypes.canonicalize_dtype(np.asarray(leaf).dtype), copy=False)


def _stack(*leaves: Any) -> Any:
    on_host = all(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves)
    return np.stack(leaves) if on_host else jnp.stack(leaves)


def shaped(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    """The shape and dtype of an array that is not there yet."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]  # jax leaves it untyped
