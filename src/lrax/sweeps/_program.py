"""The compiled program of a sweep: some lanes at a time, on one device or over the axis of a mesh."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from lrax.fields._errors import argument_error, is_key
from lrax.sweeps._batch import Lanes, check_arrays, shaped, take
from lrax.training._memory import Plan, even, fit, is_placed, needed_bytes, plan, put, spans_devices, spec

Train = Callable[..., Any]


class Program:
    """A training function with the lanes it is for: traced when made, compiled once for a number of lanes.

    Attributes:
      traced: the program of one lane.
      plan: how many lanes run at a time.
      shared: what all lanes share: the leaves of a training function that is a pytree, such as a `jax.tree_util.Partial`.
    """

    def __init__(self, train: Train, lanes: Lanes, at_a_time: int | None, mesh: Mesh | None, axis: str) -> None:
        self.shared, self._function = _parts(train, mesh)
        self._lanes, self._mesh, self._axis = lanes, mesh, axis
        one = jax.tree.map(lambda leaf: shaped(jnp.shape(leaf)[1:], leaf.dtype), (lanes.schedules, *lanes.others))
        self.traced = _jitted(self._function).trace(self.shared, *one)
        devices = 1 if mesh is None else mesh.shape[axis]
        if at_a_time is not None:
            given = min(at_a_time, -(-lanes.number // devices) * devices)
            self.plan = Plan(-(-given // devices) * devices, 1, "as given")
            self._compiled = self._compile()
            return
        one_program = spans_devices((self.shared, lanes.others, self.traced.jaxpr.consts))
        self.plan = plan(self.traced.jaxpr.jaxpr, -(-lanes.number // devices), one_program)
        if mesh is not None:
            self.plan = Plan(self.plan.runs * devices, 1, f"over {devices} places of the mesh axis {axis!r}")
        self._compiled = self._compile()
        fitting = fit(self.plan, needed_bytes(self._compiled))
        if fitting.runs < self.plan.runs:
            self.plan = fitting._replace(runs=max(devices, even(lanes.number, fitting.runs) // devices * devices))
            self._compiled = self._compile()
        self.plan = self.plan._replace(programs=fitting.programs)

    def arguments(self, indices: np.ndarray[Any, Any]) -> Any:
        """What one call takes for these lanes, at most `plan.runs`; the last is repeated where there are fewer."""
        padded = np.minimum(np.arange(self.plan.runs), len(indices) - 1)
        chosen = take((self._lanes.schedules, *self._lanes.others), indices[padded])
        if self.plan.runs == 1 and self._mesh is None:
            chosen = jax.tree.map(lambda leaf: leaf[0], chosen)
        return put(chosen, self._mesh, self._axis)

    def call(self, arguments: Any, number: int) -> list[Any]:
        """The leaves of the metrics of so many lanes, as NumPy arrays; random keys as their data."""
        leaves = jax.tree.leaves(jax.device_get(self._compiled(self.shared, *arguments)))
        if self.plan.runs == 1 and self._mesh is None:
            return [leaf[None] for leaf in leaves]
        return [leaf[:number] for leaf in leaves]

    def _compile(self) -> Any:
        function = _grouped(self._function, self.plan.runs, self._mesh, self._axis)
        first = self.arguments(np.arange(min(self.plan.runs, self._lanes.number)))
        return function.lower(self.shared, *first).compile()


@dataclasses.dataclass(frozen=True)
class Parted:
    """A training function whose own arrays are its first argument; equal for equal parts, so that programs are shared."""

    train: Train | None
    structure: Any

    def __call__(self, shared: Any, *arguments: Any) -> Any:
        """The metrics of one lane."""
        train: Any = self.train if self.structure is None else jax.tree.unflatten(self.structure, shared)
        return checked_metrics(train(*arguments))


def checked_metrics(metrics: Any) -> Any:
    """What a training function returned; raises if that is not made of arrays."""
    for path, leaf in jax.tree.leaves_with_path(metrics):
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
            place = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise argument_error(TypeError, "sweep", "train", f"a function whose metrics are arrays{place}", leaf)
    return metrics


def _parts(train: Train, mesh: Mesh | None) -> tuple[list[Any], Parted]:
    """The arrays of a training function, on the mesh if there is one, and the rest of it."""
    if jax.tree_util.all_leaves([train]):
        return [], Parted(train, None)
    check_arrays("sweep", "train", train)
    leaves, structure = jax.tree.flatten(train)
    return [leaf if is_placed(leaf) else put(leaf, mesh) for leaf in leaves], Parted(None, structure)


@functools.lru_cache(maxsize=8)
def _jitted(function: Parted) -> Any:
    """The training function under jit: traced once, whatever it is mapped over."""
    return jax.jit(function)


@functools.lru_cache(maxsize=8)
def _grouped(function: Parted, lanes: int, mesh: Mesh | None, axis: str) -> Any:
    """The program of so many lanes. On a mesh each place trains its lanes on its own, and every process gets all metrics."""
    one = _jitted(function)

    def group(shared: Any, *arguments: Any) -> Any:
        def plain(*arguments: Any) -> Any:
            return jax.tree.map(_without_keys, one(shared, *arguments))

        if lanes > (1 if mesh is None else mesh.shape[axis]):
            return jax.vmap(plain)(*arguments)
        if mesh is None:
            return plain(*arguments)
        metrics = plain(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: leaf[None], metrics)

    if mesh is None:
        return jax.jit(group)

    def divided(shared: Any, *arguments: Any) -> Any:
        specs = (spec(), *[spec(axis)] * len(arguments))
        local = jax.shard_map(group, mesh=mesh, in_specs=specs, out_specs=spec(axis), axis_names={axis}, check_vma=False)
        return local(shared, *arguments)

    return jax.jit(divided, out_shardings=NamedSharding(mesh, spec()))


def _without_keys(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf
