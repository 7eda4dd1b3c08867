"""The compiled program of a sweep: some lanes at a time, on one device or over the axis of a mesh."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lrax._check import complain
from lrax.sweeps._batch import Lanes, shaped, take
from lrax.sweeps._fit import Plan, even, fit, needed_bytes, plan

Train = Callable[..., Any]


class Program:
    """A training function with the lanes it is for: traced when made, compiled once for a number of lanes.

    Attributes:
      traced: the program of one lane.
      plan: how many lanes run at a time.
    """

    def __init__(self, train: Train, lanes: Lanes, at_a_time: int | None, mesh: Mesh | None, axis: str) -> None:
        self._train, self._mesh, self._axis = train, mesh, axis
        self._lanes = lanes
        one = jax.tree.map(lambda leaf: shaped(jnp.shape(leaf)[1:], leaf.dtype), (lanes.schedules, *lanes.others))
        self.traced = _jitted(train).trace(*one)
        devices = 1 if mesh is None else mesh.shape[axis]
        if at_a_time is not None:
            given = min(at_a_time, -(-lanes.number // devices) * devices)
            self.plan = Plan(-(-given // devices) * devices, 1, "as given")
            self._compiled = self._compile()
            return
        self.plan = plan(self.traced.jaxpr.jaxpr, -(-lanes.number // devices))
        if mesh is not None:
            self.plan = Plan(self.plan.lanes * devices, 1, f"over {devices} places of the mesh axis {axis!r}")
        self._compiled = self._compile()
        fitting = fit(self.plan, needed_bytes(self._compiled))
        if fitting.lanes < self.plan.lanes:
            self.plan = fitting._replace(lanes=max(devices, even(lanes.number, fitting.lanes) // devices * devices))
            self._compiled = self._compile()
        self.plan = self.plan._replace(programs=fitting.programs)

    def arguments(self, indices: np.ndarray[Any, Any]) -> Any:
        """What one call takes for these lanes, at most `plan.lanes`; the last is repeated where there are fewer."""
        padded = np.minimum(np.arange(self.plan.lanes), len(indices) - 1)
        chosen = take((self._lanes.schedules, *self._lanes.others), indices[padded])
        if self.plan.lanes == 1 and self._mesh is None:
            chosen = jax.tree.map(lambda leaf: leaf[0], chosen)
        if self._mesh is not None:
            return jax.device_put(chosen, NamedSharding(self._mesh, _spec(self._axis)))
        return jax.tree.map(jnp.asarray, chosen)

    def call(self, arguments: Any, count: int) -> list[Any]:
        """The leaves of the metrics of `count` lanes, as NumPy arrays; random keys as their data."""
        leaves = jax.tree.leaves(jax.device_get(self._compiled(*arguments)))
        if self.plan.lanes == 1 and self._mesh is None:
            return [leaf[None] for leaf in leaves]
        return [leaf[:count] for leaf in leaves]

    def _compile(self) -> Any:
        function = _grouped(self._train, self.plan.lanes, self._mesh, self._axis)
        return function.lower(*self.arguments(np.arange(min(self.plan.lanes, self._lanes.number)))).compile()


@functools.lru_cache(maxsize=8)
def _jitted(train: Train) -> Any:
    """The training function under jit: traced once, whatever it is mapped over."""
    return jax.jit(train)


@functools.lru_cache(maxsize=8)
def _grouped(train: Train, lanes: int, mesh: Mesh | None, axis: str) -> Any:
    """The program of so many lanes. On a mesh each place trains its lanes on its own, and every process gets all metrics."""
    one = _jitted(train)

    def plain(*arguments: Any) -> Any:
        return jax.tree.map(_without_keys, one(*arguments))

    def first(*arguments: Any) -> Any:
        metrics = plain(*jax.tree.map(lambda leaf: leaf[0], arguments))
        return jax.tree.map(lambda leaf: leaf[None], metrics)

    if mesh is None:
        return jax.jit(plain if lanes == 1 else jax.vmap(plain))
    local = first if lanes == mesh.shape[axis] else jax.vmap(plain)
    spec = _spec(axis)
    shared = jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec, axis_names={axis}, check_vma=False)
    return jax.jit(shared, out_shardings=NamedSharding(mesh, _spec()))


def check_mesh(owner: str, mesh: Mesh | None, axis: str) -> None:
    """Raises if `axis` is no axis of `mesh` that the compiler may divide."""
    if mesh is None:
        return
    if not isinstance(mesh, Mesh):
        raise complain(TypeError, owner, "mesh", "a jax.sharding.Mesh", mesh)
    if axis not in mesh.shape:
        raise complain(ValueError, owner, "axis", f"an axis of the mesh, {' or '.join(map(repr, mesh.shape))}", axis)


def _without_keys(leaf: Any) -> Any:
    is_key = jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def _spec(*axes: str) -> PartitionSpec:
    return PartitionSpec(*axes)  # type: ignore[no-untyped-call]  # jax leaves it untyped
