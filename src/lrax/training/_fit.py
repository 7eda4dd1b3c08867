"""How many lanes run at a time: what fits into memory, and what is fast.

On an accelerator that is all lanes, if they fit. On the CPU, XLA is slower under vmap for convolutions, and for every loop
whose state no longer fits into the caches, so lanes run in smaller groups there, one group a core, side by side.
"""

import functools
import math
import os
import pathlib
from typing import Any, NamedTuple

import jax

from lrax.training._jaxprs import has_convolution, loop_state_bytes

CACHE = 4 * 2**20
"""Bytes of loop state that the lanes of one CPU program may have together before vmap gets slow: about a core's caches.

Measured on two cores with MLPs on 784 pixels, 32 lanes, momentum: one hidden layer of 64 (0.4 MB a lane) is fastest in groups
of 4 to 16, one of 128 (0.8 MB) in groups of 4 to 8, two of 256 (2.1 MB) one or two at a time; beyond that it takes up to 4
times as long as one at a time.
"""


STATES = 4
"""How often the state of a lane must fit the free memory of an accelerator: before and after, gradients, activations."""


class Plan(NamedTuple):
    """How the lanes of a sweep are run.

    Attributes:
      lanes: how many one program trains, under vmap if more than one.
      programs: how many programs run at the same time.
      why: what set the number.
    """

    lanes: int
    programs: int
    why: str

    def __str__(self) -> str:
        beside = f", {self.programs} programs side by side" if self.programs > 1 else ""
        return f"{self.lanes} {'lane' if self.lanes == 1 else 'lanes'} at a time{beside} ({self.why})"


def plan(jaxpr: Any, count: int, one_program: bool) -> Plan:
    """How to run `count` lanes of the program `jaxpr`, as far as can be said before it is compiled.

    `one_program` if only one may run at a time.
    """
    if jax.default_backend() != "cpu":
        return Plan(count, 1, "all of them")
    programs = 1 if one_program else cores()
    if has_convolution(jaxpr):
        return Plan(1, min(programs, count), "convolutions on the CPU")
    return plan_for_state(loop_state_bytes(jaxpr), count, programs)


def plan_for_state(state_bytes: int, count: int, programs: int) -> Plan:
    """How to run `count` lanes on the CPU, each with a state of so many bytes, by so many programs at a time."""
    share = -(-count // programs)
    fast = max(1, CACHE // max(state_bytes, 1))
    if fast >= share:
        return Plan(share, -(-count // share), "an equal share for each core" if share < count else "all of them")
    lanes = even(count, fast)
    return Plan(lanes, min(programs, -(-count // lanes)), f"{state_bytes / 2**20:.1f} MB of state a lane, to fit the caches")


def plan_lanes(state_bytes: int, count: int, in_turn: bool, one_program: bool) -> Plan:
    """How to run `count` lanes of a learner with a state of so many bytes.

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
    """The size of equal groups of at most `most`, with as few lanes of padding as can be.

    >>> even(32, 10), even(33, 16)
    (8, 11)
    """
    return -(-count // -(-count // max(most, 1)))


def fit(plan: Plan, needed: int) -> Plan:
    """The plan, with fewer lanes if a program that needs so many bytes does not fit into the memory that is free."""
    free = free_bytes()
    if free is None or needed * plan.programs <= free:
        return plan
    programs = max(1, min(plan.programs, free // max(needed, 1)))
    if programs * needed <= free:
        return plan._replace(programs=programs, why=f"{needed / 2**20:.0f} MB a program, to fit the memory")
    lanes = max(1, math.floor(plan.lanes * free / needed))
    return Plan(lanes, 1, f"{needed / plan.lanes / 2**20:.0f} MB a lane, to fit the memory")


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


def tree_bytes(tree: Any) -> int:
    """The size of a pytree of arrays, in bytes."""
    return sum(math.prod(jax.numpy.shape(leaf)) * jax.dtypes.result_type(leaf).itemsize for leaf in jax.tree.leaves(tree))


def spans_devices(tree: Any) -> bool:
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
