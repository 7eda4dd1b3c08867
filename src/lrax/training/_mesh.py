"""Arrays on the devices of a mesh."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lrax.fields._errors import argument_error, is_key


def check_mesh(caller: str, mesh: Mesh | None, axis: str) -> None:
    """Raises if `axis` is no axis of `mesh` that the compiler may divide."""
    if mesh is None:
        return
    if not isinstance(mesh, Mesh):
        raise argument_error(TypeError, caller, "mesh", "a jax.sharding.Mesh", mesh)
    if axis not in mesh.shape:
        raise argument_error(ValueError, caller, "axis", f"an axis of the mesh, {' or '.join(map(repr, mesh.shape))}", axis)
    if any(kind != AxisType.Auto for kind in mesh.axis_types):
        remedy = "make it with jax.sharding.Mesh(devices, names)"
        raise argument_error(ValueError, caller, "mesh", "a mesh whose axes are Auto", mesh, remedy)


def spec(*axes: str) -> PartitionSpec:
    """How an array is divided: its first axes over these axes of a mesh."""
    return PartitionSpec(*axes)  # type: ignore[no-untyped-call]  # jax leaves it untyped


def is_placed(leaf: Any) -> bool:
    """Whether an array is on a mesh already."""
    return isinstance(leaf, jax.Array) and isinstance(leaf.sharding, NamedSharding)


def put(tree: Any, mesh: Mesh | None, *axes: str) -> Any:
    """Arrays on the default device, or on the mesh: their first axis divided over `axes`, or a copy on each device."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    sharding = NamedSharding(mesh, spec(*axes))

    def placed(leaf: Any) -> Any:
        if not is_key(leaf):
            return jax.device_put(leaf, sharding)
        data = jax.device_put(np.asarray(jax.random.key_data(leaf)), sharding)  # keys cannot be put on other processes' devices
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))

    return jax.tree.map(placed, tree)


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """Arrays on all devices of a mesh, but for those that are on one already."""
    return jax.tree.map(lambda leaf: leaf if is_placed(leaf) else put(leaf, mesh), tree)
