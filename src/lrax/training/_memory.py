"""Where runs are trained: how many at a time fit and are fast, on which devices, and on which threads.

On an accelerator all runs are trained at a time, if they fit. On the CPU, XLA is slower under vmap for convolutions, and for
every loop whose state no longer fits into the caches, so runs are trained in smaller groups there, one group a core.
"""

import concurrent.futures
import functools
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lrax.fields._errors import argument_error, is_key
from lrax.fields._rules import PyTree
from lrax.training._programs import has_convolution, loop_state_bytes

Item = TypeVar("Item")
Result = TypeVar("Result")

CACHE = 4 * 2**20
"""Bytes of loop state that the runs of one CPU program may have together before vmap gets slow: about a core's caches.

Measured on two cores with MLPs on 784 pixels, 32 runs, momentum: one hidden layer of 64 (0.4 MB a run) is fastest in groups
of 4 to 16, one of 128 (0.8 MB) in groups of 4 to 8, two of 256 (2.1 MB) one or two at a time; beyond that it takes up to 4
times as long as one at a time.
"""


STATES = 4
"""How often the state of a run must fit the free memory of an accelerator: before and after, gradients, activations."""


class Plan(NamedTuple):
    """How many runs are trained at a time.

    Attributes:
      runs: how many one program trains, under vmap if more than one.
      programs: how many programs run at the same time.
      why: what set the number.
    """

    runs: int
    programs: int
    why: str

    def __str__(self) -> str:
        parallel = f", {self.programs} programs in parallel" if self.programs > 1 else ""
        return f"{self.runs} {'run' if self.runs == 1 else 'runs'} at a time{parallel} ({self.why})"


def plan(jaxpr: Any, count: int, one_program: bool) -> Plan:
    """How to train `count` runs of the program `jaxpr`, as far as can be said before it is compiled.

    `one_program` if only one may run at a time.
    """
    if jax.default_backend() != "cpu":
        return Plan(count, 1, "all of them")
    programs = 1 if one_program else cores()
    if has_convolution(jaxpr):
        return Plan(1, min(programs, count), "convolutions on the CPU")
    return plan_for_state(loop_state_bytes(jaxpr), count, programs)


def plan_for_state(state_bytes: int, count: int, programs: int) -> Plan:
    """How to train `count` runs on the CPU, each with a state of `state_bytes`, by `programs` programs at a time."""
    share = -(-count // programs)
    fast = max(1, CACHE // max(state_bytes, 1))
    if fast >= share:
        return Plan(share, -(-count // share), "an equal share for each core" if share < count else "all of them")
    runs = even(count, fast)
    return Plan(runs, min(programs, -(-count // runs)), f"{state_bytes / 2**20:.1f} MB of state a run, to fit the caches")


def plan_runs(state_bytes: int, count: int, in_turn: bool, one_program: bool) -> Plan:
    """How to train `count` runs of a learner with a state of `state_bytes`.

    `in_turn` if its updates are slow under vmap, `one_program` if only one may run at a time.
    """
    if in_turn:
        return Plan(1, 1, "convolutions on the CPU")
    if jax.default_backend() != "cpu":
        free = free_bytes()
        most = count if free is None else max(1, free // max(1, STATES * state_bytes))
        return Plan(count, 1, "all of them") if most >= count else Plan(even(count, most), 1, "to fit the memory")
    return plan_for_state(state_bytes, count, 1 if one_program else cores())


def even(count: int, most: int) -> int:
    """The size of equal groups of at most `most`, with as few runs of padding as can be.

    >>> even(32, 10), even(33, 16)
    (8, 11)
    """
    return -(-count // -(-count // max(most, 1)))


def fit(plan: Plan, needed: int) -> Plan:
    """The plan, with fewer runs if a program that needs this many bytes does not fit into the free memory."""
    free = free_bytes()
    if free is None or needed * plan.programs <= free:
        return plan
    programs = max(1, min(plan.programs, free // max(needed, 1)))
    if programs * needed <= free:
        return plan._replace(programs=programs, why=f"{needed / 2**20:.0f} MB a program, to fit the memory")
    runs = max(1, math.floor(plan.runs * free / needed))
    return Plan(runs, 1, f"{needed / plan.runs / 2**20:.0f} MB a run, to fit the memory")


def needed_bytes(compiled: Any) -> int:
    """The memory that one call of a compiled program takes, its arguments left out; 0 where the platform does not say."""
    analysis = compiled.memory_analysis()
    return 0 if analysis is None else int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)


def free_bytes() -> int | None:
    """Nine tenths of what is free on the accelerator, or half of what is free on the host; None where it is not said."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return None
        return int(0.9 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    free = [found for found in (_free_on_host(), _free_in_group()) if found is not None]
    return min(free) // 2 if free else None


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def tree_bytes(tree: PyTree) -> int:
    """The size of a pytree of arrays, in bytes."""
    return sum(math.prod(jnp.shape(leaf)) * jax.dtypes.result_type(leaf).itemsize for leaf in jax.tree.leaves(tree))


def spans_devices(tree: PyTree) -> bool:
    """Whether an array of a pytree is on several devices: programs that exchange data must not run side by side."""
    return any(isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1 for leaf in jax.tree.leaves(tree))


def _free_on_host() -> int | None:
    information = pathlib.Path("/proc/meminfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


@functools.cache
def _group_limit() -> int | None:
    """The limit of this process's control group, where containers are limited."""
    limit = pathlib.Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return int(text) if text.isdigit() else None


def _free_in_group() -> int | None:
    used, limit = pathlib.Path("/sys/fs/cgroup/memory.current"), _group_limit()
    return None if limit is None or not used.exists() else max(0, limit - int(used.read_text()))


def run_side_by_side(run: Callable[[Item], Result], items: Iterable[Item], programs: int) -> Iterator[Result]:
    """What `run` gives for each of `items`, as it ends: in their order if one runs at a time, else in any.

    Items are taken as they are needed, in the caller's thread, so that they are never all there at once. Threads do not see the
    caller's configuration of JAX: what `run` calls must have been compiled before. If a run raises, or whoever asks stops
    asking, those that are under way end and no other begins; the first error is the one that is raised.

    Args:
      run: called once for each item, in a thread of its own where `programs` is above 1.
      items: any iterable, which may be endless.
      programs: how many run at the same time, at least 1.

    >>> sorted(run_side_by_side(lambda number: number**2, range(5), programs=2))
    [0, 1, 4, 9, 16]
    """
    if programs == 1:
        yield from map(run, items)
        return
    waiting = iter(items)
    pool = concurrent.futures.ThreadPoolExecutor(programs, thread_name_prefix="lrax")
    try:
        ahead = itertools.islice(waiting, programs + 1)  # one more, so that no thread waits for its item to be made
        under_way = {pool.submit(run, item) for item in ahead}
        while under_way:
            ended, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                result = future.result()
                under_way |= {pool.submit(run, item) for item in itertools.islice(waiting, 1)}
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


def check_mesh(caller: str, mesh: Mesh | None, axis: str) -> None:
    """Raises if `axis` is not an axis of `mesh` that the compiler may divide."""
    if mesh is None:
        return
    if not isinstance(mesh, Mesh):
        raise argument_error(TypeError, caller, "mesh", "a jax.sharding.Mesh", mesh)
    if axis not in mesh.shape:
        raise argument_error(ValueError, caller, "axis", f"an axis of the mesh, {' or '.join(map(repr, mesh.shape))}", axis)
    if any(axis_type != AxisType.Auto for axis_type in mesh.axis_types):
        remedy = "make it with jax.sharding.Mesh(devices, names)"
        raise argument_error(ValueError, caller, "mesh", "a mesh whose axes are Auto", mesh, remedy)


def spec(*axes: str) -> PartitionSpec:
    """How an array is divided: its first axes over these axes of a mesh."""
    return PartitionSpec(*axes)  # type: ignore[no-untyped-call]  # jax leaves it untyped


def is_placed(leaf: object) -> bool:
    """Whether an array is on a mesh already."""
    return isinstance(leaf, jax.Array) and isinstance(leaf.sharding, NamedSharding)


def put(tree: PyTree, mesh: Mesh | None, *axes: str) -> PyTree:
    """Arrays on the default device, or on the mesh: their first axis divided over `axes`, or a copy on each device."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    sharding = NamedSharding(mesh, spec(*axes))

    def placed(leaf: jax.Array) -> jax.Array:
        if not is_key(leaf):
            return jax.device_put(leaf, sharding)
        data = jax.device_put(np.asarray(jax.random.key_data(leaf)), sharding)  # keys cannot be put on other processes' devices
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))

    return jax.tree.map(placed, tree)


def on_host(tree: PyTree) -> Any:
    """Arrays in NumPy. Those that are divided over several processes are gathered by all, which call this together."""

    def gathered(leaf: Any) -> Any:
        divided = isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated)
        return multihost_utils.process_allgather(leaf, tiled=True) if divided else leaf

    return jax.device_get(jax.tree.map(gathered, tree))


def everywhere(tree: PyTree, mesh: Mesh) -> PyTree:
    """Arrays on all devices of a mesh, but for those that are on one already."""
    return jax.tree.map(lambda leaf: leaf if is_placed(leaf) else put(leaf, mesh), tree)
