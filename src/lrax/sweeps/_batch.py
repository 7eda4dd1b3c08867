"""A batch of schedules, and the other arguments of the training function, each with one leading axis for the runs."""

import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, final

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_call, is_concrete
from lrax.fields._rules import Int, Offset
from lrax.fields._value import is_batch, ranks
from lrax.schedules._base import Function, Schedule, ScheduleRule, Schedules
from lrax.schedules._check import warn_of
from lrax.theory._bound import lrs_at
from lrax.training._core import part_of
from lrax.training._driver import Execution

Tree = TypeVar("Tree")


class Batch(NamedTuple):
    """The runs of a sweep or a race.

    Attributes:
      schedules: one schedule whose leaves all have a leading axis of length `runs`.
      others: pytrees whose leaves all have that axis.
      runs: their number.
      listed: the schedules as they were listed, or None if they came as one batch.
    """

    schedules: Schedule
    others: tuple[Any, ...]
    runs: int
    listed: tuple[Schedule, ...] | None

    def each(self) -> tuple[Schedule, ...]:
        """The schedule of each run."""
        return tuple(map(self.one, range(self.runs)))

    def one(self, run: int) -> Schedule:
        """The schedule of one run."""
        return take(self.schedules, run) if self.listed is None else self.listed[run]


@final
class Either(Schedule):
    """One of several schedules, chosen by its index: a list of schedules of different classes in a compiled program.

    >>> options = (lrax.Constant(0.1), lrax.Cosine(0.2, 0.0, 10))
    >>> print(jax.vmap(lambda index: Either(options, index)(0))(jnp.arange(2)))
    [0.1 0.2]
    """

    options: Schedules
    index: Offset

    def rate(self, count: jax.Array) -> jax.Array:
        branches = [lambda count, option=option: jnp.broadcast_to(option(count), count.shape) for option in self.options]
        return jax.lax.switch(self.index, branches, count)

    @property
    def length(self) -> Int | None:
        lengths = [option.length for option in self.options]
        if any(length is None for length in lengths):
            return None
        return jnp.stack([jnp.asarray(length) for length in lengths])[self.index]


MOST, POINTS = 64, 256
"""How many plans of a sweep are looked at for mistakes, and at how many steps."""


def warn_of_plans(caller: str, batch: Batch, stacklevel: int) -> None:
    """Warns of the first plan with a length and a negative learning rate. How long the runs are is not known."""
    plans = [batch.one(i) for i in range(min(batch.runs, MOST))]
    lengths = {i: int(one.length) for i, one in enumerate(plans) if one.length is not None and np.ndim(one.length) == 0}
    if not lengths:
        return
    counts = np.stack([np.linspace(0, length - 1, POINTS).astype(np.int32) for length in lengths.values()])
    schedules = jax.tree.map(lambda leaf: leaf[np.array(list(lengths))], batch.schedules)
    for i, its, values in zip(lengths, counts, np.asarray(_values(schedules, counts)), strict=True):
        if warn_of(f"{caller}: `schedules[{i}]`", plans[i], lengths[i], its, values, ("negative",), stacklevel + 1):
            return


_values = jax.jit(jax.vmap(lrs_at))
"""The learning rates of each schedule of a batch at its own counts."""


def as_batch(caller: str, schedules: object, others: tuple[Any, ...] = ()) -> Batch:
    """`schedules`, one batch or a list, and `others`, checked and with one leading axis in every leaf.

    Raises: TypeError or ValueError that names the argument.
    """
    for i, other in enumerate(others):
        check_arrays(caller, f"others[{i}]", other)
    others, listed = tuple(jax.tree.map(_on_host, other) for other in others), None
    if isinstance(schedules, list | tuple):
        if not schedules:
            raise argument_error(ValueError, caller, "schedules", "at least one schedule", schedules)
        convert = ScheduleRule().convert
        listed = tuple(convert(caller, f"schedules[{i}]", schedule) for i, schedule in enumerate(schedules))
        for i, schedule in enumerate(listed):
            _check_single(caller, f"schedules[{i}]", schedule)
        batch, runs = stack(listed), len(listed)
    elif isinstance(schedules, Schedule):
        batch, runs = spread(caller, schedules, others)
    else:
        needs = "a schedule with batched fields, or a list of schedules"
        raise argument_error(TypeError, caller, "schedules", needs, schedules)
    for i, other in enumerate(others):
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(other)]
        if {shape[:1] for shape in shapes} - {(runs,)}:
            needs = f"arrays with one leading axis, one entry for each run ({runs})"
            remedy = "make an array of the list with jnp.asarray" if isinstance(other, list) and () in shapes else ""
            raise argument_error(ValueError, caller, f"others[{i}]", needs, shapes, remedy)
    return Batch(jax.tree.map(_on_host, batch), others, runs, listed)


def _check_single(caller: str, name: str, schedule: Schedule) -> None:
    """Raises if an item of a list is a batch, or a function that does not return one learning rate."""
    if is_batch(schedule):
        remedy = "give the batch by itself, or its schedules one by one"
        raise argument_error(ValueError, caller, name, "one schedule, not a batch", schedule, remedy)
    if not isinstance(schedule, Function):
        return
    try:
        lr = jax.eval_shape(schedule, np.int32(0))
    except Exception as error:  # whatever the function raises
        reason = str(error).strip().partition("\n")[0]
        raise argument_error(TypeError, caller, name, "a function count -> learning rate, in jnp", schedule, reason) from error
    if lr.shape:
        needs, remedy = "a function count -> one learning rate", f"it returned shape {lr.shape}"
        raise argument_error(ValueError, caller, name, needs, schedule, remedy)


def stack(schedules: Sequence[Schedule]) -> Schedule:
    """One schedule whose leaves have a leading axis, from several: of one class, or an `Either` of their classes.

    >>> stack([lrax.Constant(0.1), lrax.Constant(0.2)])
    Constant(value=[0.1, 0.2])
    """
    groups: dict[Any, list[int]] = collections.defaultdict(list)
    for i, schedule in enumerate(schedules):
        shapes = tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(schedule))
        groups[jax.tree.structure(schedule), shapes].append(i)
    if len(groups) == 1 and jax.tree.leaves(schedules):
        return jax.tree.map(_stack, *schedules)
    index = np.zeros(len(schedules), np.int32)
    for option, members in enumerate(groups.values()):
        index[members] = option
    options = []
    for option, members in enumerate(groups.values()):
        places = np.where(index == option, np.arange(len(schedules)), members[0])  # runs of other options: unused
        options.append(jax.tree.map(_stack, *(schedules[i] for i in places)))
    return Either(tuple(options), index)


def spread(caller: str, schedule: Schedule, others: tuple[Any, ...] = ()) -> tuple[Schedule, int]:
    """`schedule` with the axis of the runs in front of every leaf, also of those that all runs share; and their number."""
    leaves, structure = jax.tree.flatten(schedule)
    expected = ranks(schedule)
    known = [(jnp.shape(leaf), rank) for leaf, rank in zip(leaves, expected, strict=True) if rank is not None]
    counts = {shape[0] for shape, rank in known if len(shape) == rank + 1}
    if not counts:  # the leaves have one value each, or unknown ranks: the other arguments say how many runs there are
        counts = {shape[0] for leaf in jax.tree.leaves(others) if (shape := jnp.shape(leaf))}
    if not counts and not known:
        counts = {shape[0] for leaf in leaves if (shape := jnp.shape(leaf))}
    if len(counts) != 1 or 0 in counts or any(len(shape) > rank + 1 for shape, rank in known):
        remedy = "make a batch with jax.vmap over the numbers that differ, or give a list"
        raise argument_error(ValueError, caller, "schedules", "a batch whose fields have one leading axis", schedule, remedy)
    runs = counts.pop()

    def spread_leaf(leaf: Any, rank: int | None) -> Any:
        shape = jnp.shape(leaf)
        batched = shape[:1] == (runs,) if rank is None else len(shape) == rank + 1
        array = np if isinstance(leaf, np.ndarray | np.generic) else jnp
        return leaf if batched else array.broadcast_to(leaf, (runs, *shape))

    return jax.tree.unflatten(structure, map(spread_leaf, leaves, expected)), runs


@check_call
def grid(schedules: Schedule | Sequence[Schedule], *others: Any) -> tuple[Any, ...]:
    """Combines every schedule with every seed, as arguments of `sweep`; the schedule changes slowest.

    Args:
      schedules: one schedule whose fields have a leading axis, or a list of schedules; S of them.
      *others: pytrees of arrays with one leading axis of length K, such as random keys.

    Returns: `(schedules, *others)` with a leading axis of S·K runs; a list stays a list.

    Raises: TypeError or ValueError for what cannot be swept, or if the others' leading axes differ.

    >>> schedules, seeds = grid(lrax.Constant(jnp.array([0.1, 0.2])), jnp.arange(3))
    >>> print(schedules, seeds)
    Constant(value=[0.1, 0.1, 0.1, 0.2, 0.2, 0.2]) [0 1 2 0 1 2]
    """
    batch = as_batch("grid", schedules)
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(others)]
    sizes = {shape[:1] for shape in shapes}
    if len(sizes) != 1 or () in sizes:
        remedy = "give jax.random.split(key, 5)"
        raise argument_error(ValueError, "grid", "others", "arrays with one leading axis", shapes, remedy)
    seeds = sizes.pop()[0]
    slow, fast = np.repeat(np.arange(batch.runs), seeds), np.tile(np.arange(seeds), batch.runs)
    chosen = [batch.listed[i] for i in slow] if batch.listed is not None else take(batch.schedules, slow)
    return (chosen, *(take(other, fast) for other in others))


def check_arrays(caller: str, name: str, tree: object) -> None:
    """Raises if a leaf of a pytree is not a number or an array of numbers; the message has its path."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        known = isinstance(leaf, jax.Array | bool | int | float | complex | jax.ShapeDtypeStruct)
        if not known and np.asarray(leaf).dtype.kind in "OSUMm":
            place, needs = f"{name}{jax.tree_util.keystr(path)}", "a number or an array of numbers"
            remedy = "leave out what holds no numbers, or bind it with functools.partial"
            raise argument_error(TypeError, caller, place, needs, leaf, remedy)


def check_execution(caller: str, execution: object, *refused: str) -> Execution:
    """`execution`, by default without options; raises for an option that the caller has no use for."""
    execution = Execution() if execution is None else execution
    if not isinstance(execution, Execution):
        remedy = "such as lrax.Execution(max_parallel=8)"
        raise argument_error(TypeError, caller, "execution", "an lrax.Execution", execution, remedy)
    for name in refused:
        if value := getattr(execution, name):
            raise argument_error(ValueError, caller, f"execution.{name}", f"left out of {caller}", value)
    return execution


def check_part(caller: str, part: object, folder: object) -> tuple[int, int] | None:
    """`part` as two integers, or None; raises if it is not a part, or has no folder to put its runs."""
    if part is None:
        return None
    needs, remedy = "(index, count) with 0 <= index < count", "such as (0, 4) for the first of four jobs"
    if not isinstance(part, tuple | list) or len(part) != 2 or not all(isinstance(one, int | np.integer) for one in part):
        raise argument_error(TypeError, caller, "part", needs, part, remedy)
    index, count = map(int, part)
    if not 0 <= index < count:
        raise argument_error(ValueError, caller, "part", needs, part, remedy)
    if folder is None:
        raise argument_error(ValueError, caller, "folder", "given with `part`", folder, "the parts put their runs there")
    return index, count


def check_rungs(caller: str, rungs: object) -> tuple[int, ...]:
    """`rungs` as one or more numbers of steps; raises for anything else."""
    lengths = tuple(rungs) if isinstance(rungs, Iterable) else (rungs,)
    whole = all(isinstance(length, int | np.integer) and not isinstance(length, bool) and length > 0 for length in lengths)
    if not lengths or not whole:
        raise argument_error(ValueError, caller, "rungs", "one or more numbers of steps, each at least 1", rungs)
    return tuple(int(length) for length in lengths)


def rung_sizes(runs: int, rungs: int, keep: float) -> list[int]:
    """How many runs each rung trains.

    >>> rung_sizes(9, 3, 0.5)
    [9, 5, 3]
    """
    return list(itertools.accumulate(range(1, rungs), lambda size, _: part_of(size, keep), initial=runs))


def chosen_runs(runs: int, size: int, part: tuple[int, int] | None) -> npt.NDArray[np.intp]:
    """The runs of a part: every `count`-th group of `size` runs; all runs without a part.

    >>> chosen_runs(10, 2, (1, 3)).tolist()
    [2, 3, 8, 9]
    """
    numbers = np.arange(runs)
    return numbers if part is None else numbers[numbers // size % part[1] == part[0]]


def take(tree: Tree, runs: npt.NDArray[np.intp] | int) -> Tree:
    """The leaves of some runs, or of one."""
    found: Tree = jax.tree.map(lambda leaf: leaf[runs], tree)
    return found


def _on_host(leaf: Any) -> Any:
    """A leaf as a NumPy array of JAX's dtype; what cannot be one (tracers, keys, parts on other hosts) as it is."""
    if not is_concrete(leaf) or jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.extended):
        return leaf
    return np.asarray(leaf).astype(jax.dtypes.canonicalize_dtype(np.asarray(leaf).dtype), copy=False)


def _stack(*leaves: Any) -> Any:
    on_host = all(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves)
    return np.stack(leaves) if on_host else jnp.stack(leaves)
