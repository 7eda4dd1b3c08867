"""Where batches come from: arrays, a sampler, or a Python iterable."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding

from lrax.fields._known import is_traced
from lrax.fields._words import check_arity, check_whole, complain
from lrax.training._shuffle import random_keys, shuffled

ENDED = object()
"""Stands for the next batch of an iterable that has no more."""


MOST_SKIPPED = 500
"""So many batches after one another may be smaller than the first; a data set has one such an epoch."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ArrayBatches:
    """Batches of arrays with a common leading axis, drawn without replacement, epoch after epoch.

    Every epoch has an order of its own. What is left of an epoch when no full batch remains is dropped for that epoch. A batch
    is never larger than the data.
    """

    arrays: Any
    batch_size: int = dataclasses.field(metadata={"static": True})
    transform: Callable[[Any], Any] | None = dataclasses.field(default=None, metadata={"static": True})

    def order(self, key: jax.Array) -> jax.Array:
        """The keys that every epoch is shuffled by."""
        return random_keys(key)

    def fetch(self, order: jax.Array, count: Any) -> Any:
        """The examples of one batch, transformed."""
        examples = jax.tree.leaves(self.arrays)[0].shape[0]
        epoch, batch = jnp.divmod(count, examples // self.batch_size)
        places = batch * self.batch_size + jnp.arange(self.batch_size, dtype=jnp.int32)
        chosen = shuffled(places, examples, order, epoch)
        found = jax.tree.map(lambda array: array.at[chosen].get(mode="promise_in_bounds"), self.arrays)
        return found if self.transform is None else self.transform(found)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class SampledBatches:
    """Batches from a function of a random key."""

    sampler: Callable[[jax.Array], Any] = dataclasses.field(metadata={"static": True})
    transform: Callable[[Any], Any] | None = dataclasses.field(default=None, metadata={"static": True})

    def order(self, key: jax.Array) -> jax.Array:
        """The key that those of all batches are made from."""
        return key

    def fetch(self, order: jax.Array, count: Any) -> Any:
        """The sampler's batch, transformed."""
        batch = self.sampler(jax.random.fold_in(order, count))
        return batch if self.transform is None else self.transform(batch)


def as_batches(
    owner: str, data: Any, batch_size: int | None, transform: Callable[[Any], Any] | None = None
) -> ArrayBatches | SampledBatches | Iterable[Any]:
    """`data` as a source of batches.

    With `batch_size`, `data` is a pytree of arrays with a common leading axis. Without, it is a sampler if it can be called,
    or else an iterable of batches. `transform` is applied to every batch: inside the compiled program where batches are drawn
    there, on the host where they come from an iterable.
    """
    if transform is not None and not callable(transform):
        raise complain(TypeError, owner, "transform", "a function batch -> batch", transform)
    if batch_size is not None:
        return _array_batches(owner, data, batch_size, transform)
    if callable(data):
        check_arity(owner, "data", data, "a sampler: data(key) -> batch", 1)
        return SampledBatches(data, transform)
    if isinstance(data, tuple | dict | np.ndarray | jax.Array):
        raise complain(ValueError, owner, "batch_size", "given with arrays", None, "say how many examples make a batch")
    if not isinstance(data, Iterable):
        raise complain(TypeError, owner, "data", "arrays, a sampler key -> batch, or an iterable of batches", data)
    return data


def _array_batches(owner: str, data: Any, batch_size: int, transform: Callable[[Any], Any] | None) -> ArrayBatches:
    check_whole(owner, "batch_size", batch_size)
    leaves = jax.tree.leaves(data)
    if not leaves or not all(isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves):
        remedy = "leave `batch_size` out for a sampler or for an iterable that makes its own batches"
        raise complain(TypeError, owner, "data", "arrays where `batch_size` is given", data, remedy)
    if any(isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSUMm" for leaf in leaves):
        raise complain(TypeError, owner, "data", "arrays of numbers", [str(leaf.dtype) for leaf in leaves])
    lengths = {leaf.shape[0] for leaf in leaves if leaf.ndim}
    if len(lengths) != 1 or not all(leaf.ndim for leaf in leaves):
        shapes = ", ".join(str(leaf.shape) for leaf in leaves)
        raise ValueError(f"{owner}: `data` must be arrays with a common leading axis, got shapes {shapes}")
    if any(map(_is_explicit, leaves)):
        remedy = "make the mesh with jax.sharding.Mesh(devices, names)"
        raise complain(ValueError, owner, "data", "arrays that are divided over a mesh whose axes are Auto", data, remedy)
    examples = int(lengths.pop())
    if examples == 0:
        raise ValueError(f"{owner}: `data` must hold at least one example, got none")
    return ArrayBatches(jax.tree.map(jnp.asarray, data), min(int(batch_size), examples), transform)


def _is_explicit(leaf: Any) -> bool:
    """Whether an array is divided over axes that the compiler may not divide further."""
    sharding = None if is_traced(leaf) else getattr(leaf, "sharding", None)
    if not isinstance(sharding, NamedSharding) or sharding.is_fully_replicated:
        return False
    return any(kind != AxisType.Auto for kind in sharding.mesh.axis_types)


def endless(owner: str, data: Iterable[Any], transform: Callable[[Any], Any] | None = None) -> Iterator[Any]:
    """The batches of an iterable, transformed, begun again whenever it ends, until it yields nothing.

    A batch with fewer examples than the first (the last one of an epoch, mostly) is left out, so that nothing is compiled for
    its shape.

    Raises: ValueError if batch after batch is smaller than the first; TypeError for a batch that holds no arrays of numbers.
    """
    size, skipped = None, 0
    while True:
        found = False
        for batch in data:
            leaves = [leaf for leaf in jax.tree.leaves(batch) if np.ndim(leaf)]
            examples = leaves[0].shape[0] if leaves else None
            size = examples if size is None else size
            skipped = skipped + 1 if examples is not None and size is not None and examples < size else 0
            if not skipped:
                found = True
                ready = batch if transform is None else transform(batch)
                _check_batch(owner, ready)
                yield ready
            elif skipped > MOST_SKIPPED:
                needs = f"batches of one size: the first has {size} examples, and {skipped} after one another had fewer"
                raise complain(
                    ValueError, owner, "data", needs, f"{examples} examples", "begin it with a batch of the usual size"
                )
        if not found:
            return


def _check_batch(owner: str, batch: Any) -> None:
    """Raises if a batch holds what JAX does not take for an array."""
    for path, leaf in jax.tree.leaves_with_path(batch):
        if isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMm"):
            continue
        if not isinstance(leaf, int | float | complex):
            place, remedy = (
                f"data{jax.tree_util.keystr(path)}",
                "give NumPy arrays: transform=lambda batch: jax.tree.map(np.asarray, batch)",
            )
            raise complain(TypeError, owner, place, "an array of numbers", leaf, remedy)
