"""Where batches come from: arrays, a sampler, or a Python iterable.

Arrays are shuffled without a permutation in memory: which examples a batch contains is computed when the batch is drawn.
`jax.random.permutation` sorts, which on a CPU takes 2 ms for 5,000 examples, once an epoch: as long as ten steps of a small
net. For a million examples, of which a range test sees 16,000, it takes half a second. The shuffle here takes a microsecond a
batch, whatever the number of examples.
"""

import collections
import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import AxisType, NamedSharding

from lrax.fields._errors import Shown, argument_error, check_arity, is_concrete, is_traced, plural
from lrax.fields._rules import PyTree, whole_number
from lrax.training._core import placed
from lrax.training._memory import tree_bytes
from lrax.training._notes import called_by, calling

ENDED = object()
"""Represents the next batch of an iterable that has ended."""


AGAIN = "give a list or a loader that can be iterated again"
"""The remedy for data that ended."""

BEFORE = 3
"""Batches with finite losses that one whose loss is not finite is compared with."""

RECENT, RECENT_BYTES = 64, 2**26
"""Batches of an iterable that are kept for a look at those whose loss is not finite: the latest, in number and in bytes.

The host reads that a run has stopped up to a dozen batches later. Large batches are not kept: the memory may be needed.
"""


@dataclasses.dataclass
class DataNotes:
    """What a result reports about its data.

    Attributes:
      left_out: how many partial batches at the ends of passes were left out.
      ended: whether the data ended before all steps were made.
      fault: which batch has made a loss that is not finite, and where in it; "" if none has.
    """

    left_out: int = 0
    ended: bool = False
    fault: str = ""


def told(left_out: int, ended: bool, fault: str) -> str:
    """What a result reports about its data, as clauses, each after a semicolon; "" for nothing.

    >>> print(told(2, False, "batch 3 holds NaN at [0]"))
    ; 2 partial last batches were left out; batch 3 holds NaN at [0]: look at the data
    """
    left = (
        f"{plural(left_out, 'partial last batch').replace('batchs', 'batches')} {'was' if left_out == 1 else 'were'} left out"
    )
    parts = (
        (ended, f"the data ended before all steps were made: {AGAIN}"),
        (left_out, left),
        (fault, f"{fault}: look at the data"),
    )
    return "".join(f"; {text}" for said, text in parts if said)


ROUNDS = 32
"""An example that no round moves, and a pair that every round moves together, have a probability of 2 to the power of -32."""


def random_keys(key: jax.Array) -> Any:
    """What shuffles are made of: uint32 of shape (ROUNDS, 2), mixed from the words of a random key.

    On the host, without a program of JAX, unless the key is traced; the numbers are the same.
    """
    data = jax.random.key_data(key)
    words = np.asarray(data) if is_concrete(data) else data
    bits = np.arange(2 * ROUNDS, dtype=np.uint32) * np.uint32(0x9E3779B9)
    for word in words.reshape(-1):
        bits = _mixed(_mixed(bits ^ word) + np.uint32(0x85EBCA6B))
    return bits.reshape(ROUNDS, 2)


def shuffled(places: jax.Array, length: int, keys: npt.ArrayLike, epoch: jax.Array | int) -> jax.Array:
    """Which of `length` examples stand at these places of an epoch's order: a permutation, another one every epoch.

    The swap-or-not shuffle: in every round all places are paired by a random pivot, and a random bit says of each pair
    whether it swaps.

    Args:
      places: integers below `length`, of any shape.
      length: how many examples there are, up to 2**31 - 1.
      keys: from `random_keys`.
      epoch: an integer.

    Returns: int32 of the shape of `places`.

    Source: Hoang, Morris & Rogaway 2012, An enciphering scheme based on a card shuffle.

    >>> keys = random_keys(jax.random.key(0))
    >>> print(shuffled(jnp.arange(8), 8, keys, 0), shuffled(jnp.arange(8), 8, keys, 1))
    [7 5 6 0 3 1 4 2] [0 3 6 2 7 4 5 1]
    """
    size = jnp.uint32(length)

    def swap_or_not(place: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        pivot = key[0] % size
        partner = jnp.where(place > pivot, pivot + (size - place), pivot - place)
        swaps = _mixed(jnp.maximum(place, partner) ^ key[1]) >> 31
        return jnp.where(swaps == 1, partner, place), None

    epoch_keys = _mixed(keys ^ _mixed(jnp.asarray(epoch).astype(jnp.uint32)))
    return jax.lax.scan(swap_or_not, jnp.asarray(places).astype(jnp.uint32), epoch_keys)[0].astype(jnp.int32)


def _mixed(bits: Any) -> Any:
    """Every bit of a uint32 spread over all of its bits, one to one; Wellons 2018, Prospecting for hash functions."""
    bits = (bits ^ (bits >> 16)) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * np.uint32(0x846CA68B)
    return bits ^ (bits >> 16)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class ArrayBatches:
    """Batches of arrays with a common leading axis, drawn without replacement, epoch after epoch.

    Every epoch has its own order. What is left of an epoch when no full batch remains is dropped for that epoch. A batch
    is never larger than the data.
    """

    arrays: PyTree
    batch_size: int = dataclasses.field(metadata={"static": True})
    transform: Callable[[PyTree], PyTree] | None = dataclasses.field(default=None, metadata={"static": True})

    def order(self, key: jax.Array) -> jax.Array:
        """The keys that every epoch is shuffled by."""
        return random_keys(key)

    def fetch(self, order: jax.Array, count: jax.Array | int) -> PyTree:
        """The examples of one batch, transformed."""
        examples = jax.tree.leaves(self.arrays)[0].shape[0]
        epoch, batch = jnp.divmod(count, examples // self.batch_size)
        places = batch * self.batch_size + jnp.arange(self.batch_size, dtype=jnp.int32)
        chosen = shuffled(places, examples, order, epoch)
        found = jax.tree.map(lambda array: array.at[chosen].get(mode="promise_in_bounds"), self.arrays)
        return found if self.transform is None else transformed(self.transform, found)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class SampledBatches:
    """Batches from a function of a random key."""

    sampler: Callable[[jax.Array], PyTree] = dataclasses.field(metadata={"static": True})
    transform: Callable[[PyTree], PyTree] | None = dataclasses.field(default=None, metadata={"static": True})

    def order(self, key: jax.Array) -> jax.Array:
        """The key that those of all batches are made from."""
        return key

    def fetch(self, order: jax.Array, count: jax.Array | int) -> PyTree:
        """The sampler's batch, transformed."""
        with calling("data(key)", "sampler `data`"):
            batch = self.sampler(jax.random.fold_in(order, count))
        return batch if self.transform is None else transformed(self.transform, batch)


def transformed(transform: Callable[[PyTree], PyTree], batch: PyTree) -> PyTree:
    """A batch after the user's function of every batch."""
    with calling("transform(batch)", "argument `transform`", batch=batch):
        return transform(batch)


def as_batches(
    caller: str, data: PyTree, batch_size: int | None, transform: Callable[[PyTree], PyTree] | None = None
) -> ArrayBatches | SampledBatches | Iterable[PyTree]:
    """`data` as a source of batches.

    With `batch_size`, `data` is a pytree of arrays with a common leading axis. Without, it is a sampler if it can be called,
    or else an iterable of batches. `transform` is applied to every batch: inside the compiled program where batches are drawn
    there, on the host where they come from an iterable.
    """
    if transform is not None and not callable(transform):
        raise argument_error(TypeError, caller, "transform", "a function batch -> batch", transform)
    if batch_size is not None:
        return _array_batches(caller, data, batch_size, transform)
    if callable(data):
        _check_sampler(caller, data)
        return SampledBatches(data, transform)
    if isinstance(data, tuple | dict | np.ndarray | jax.Array):
        raise argument_error(ValueError, caller, "batch_size", "given with arrays", None, "say how many examples make a batch")
    if not isinstance(data, Iterable):
        raise argument_error(TypeError, caller, "data", "arrays, a sampler key -> batch, or an iterable of batches", data)
    return data


def _check_sampler(caller: str, data: Callable[..., Any]) -> None:
    """Raises if a function cannot be called as a sampler, such as one that makes a generator."""
    remedy = "call it: give data(), or list(data()), which can be iterated more than once"
    inner = data
    while hasattr(inner, "func"):  # of partial functions
        inner = inner.func
    if inspect.isgeneratorfunction(inner):
        raise argument_error(
            TypeError, caller, "data", "batches, or a sampler key -> batch, not a generator function", data, remedy
        )
    try:
        inspect.signature(data).bind()
        takes_none = not inspect.signature(data).parameters
    except (TypeError, ValueError):
        takes_none = False
    if takes_none:
        raise argument_error(
            TypeError, caller, "data", "batches, or a sampler key -> batch, not a function of nothing", data, remedy
        )
    check_arity(caller, "data", data, "a sampler: data(key) -> batch", 1)


def _check_arrays(caller: str, data: PyTree, batch_size: int) -> list[Any]:
    """The leaves of data that `batch_size` was given for; raises if they are not arrays, or are batches already."""
    needs = "arrays where `batch_size` is given"
    if _holds_batches(data, batch_size):
        shown = Shown(f"a list of {len(data)} batches")
        raise argument_error(
            TypeError, caller, "data", needs, shown, "leave out `batch_size`: an iterable makes its own batches"
        )
    leaves = [data] if isinstance(data, Iterator) else jax.tree.leaves(data)
    if leaves and all(isinstance(leaf, int | float | complex | np.generic) for leaf in leaves):
        remedy = "make arrays of lists of numbers with np.asarray"
        raise argument_error(TypeError, caller, "data", needs, data, remedy)
    if not leaves or not all(isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves):
        remedy = "leave `batch_size` out for a sampler or for an iterable that makes its own batches"
        if any(isinstance(leaf, int | float | complex) for leaf in leaves):
            remedy = f"make arrays of lists of numbers with np.asarray, or {remedy}"
        raise argument_error(TypeError, caller, "data", needs, data, remedy)
    return leaves


def _holds_batches(data: PyTree, batch_size: int) -> bool:
    """Whether a list holds batches: tuples or dicts of one structure, or arrays that differ at most in their leading axes.

    Two arrays in a list may be alike as well; they count as batches if they have no more examples than one batch has.
    """
    if not isinstance(data, list) or not data:
        return False
    structures, lengths = set(), []
    for part in data:
        leaves, structure = jax.tree.flatten(part)
        if not leaves or not all(isinstance(leaf, np.ndarray | jax.Array) and leaf.ndim for leaf in leaves):
            return False
        nested = not jax.tree_util.all_leaves([part])
        structures.add((structure, None if nested else tuple((leaf.shape[1:], leaf.dtype) for leaf in leaves)))
        lengths += [leaf.shape[0] for leaf in leaves]
    return len(structures) == 1 and ((nested and len(data) > 1) or max(lengths) <= batch_size)


def _array_batches(caller: str, data: PyTree, batch_size: int, transform: Callable[[PyTree], PyTree] | None) -> ArrayBatches:
    batch_size = whole_number(caller, "batch_size", batch_size)
    leaves = _check_arrays(caller, data, batch_size)
    if any(isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSUMm" for leaf in leaves):
        raise argument_error(TypeError, caller, "data", "arrays of numbers", [str(leaf.dtype) for leaf in leaves])
    lengths = {leaf.shape[0] for leaf in leaves if leaf.ndim}
    if len(lengths) != 1 or not all(leaf.ndim for leaf in leaves):
        shapes = ", ".join(str(leaf.shape) for leaf in leaves)
        raise ValueError(f"{caller}: `data` must be arrays with a common leading axis, got shapes {shapes}")
    if any(map(_is_explicit, leaves)):
        remedy = "make the mesh with jax.sharding.Mesh(devices, names)"
        raise argument_error(
            ValueError, caller, "data", "arrays that are divided over a mesh whose axes are Auto", data, remedy
        )
    examples = int(lengths.pop())
    if examples == 0:
        raise ValueError(f"{caller}: `data` must hold at least one example, got none")
    return ArrayBatches(jax.tree.map(placed, data), min(batch_size, examples), transform)


def _is_explicit(leaf: object) -> bool:
    """Whether an array is divided over axes that the compiler may not divide further."""
    sharding = None if is_traced(leaf) else getattr(leaf, "sharding", None)
    if not isinstance(sharding, NamedSharding) or sharding.is_fully_replicated:
        return False
    return any(axis != AxisType.Auto for axis in sharding.mesh.axis_types)


class Stream(Iterator[PyTree]):
    """The batches of an iterable, transformed; it is iterated again whenever it ends, until a pass yields nothing.

    Batches may differ in all their shapes. The last one of a pass is left out if it is partial: smaller than the first in its
    leading axes, and the same otherwise. So a data set whose size is not a multiple of the batch size compiles one program.

    Attributes:
      notes: what a result reports about the data.
      read: how many batches were given out.
      place: which batch was given out last, such as "batch 3 of pass 2".

    Raises: TypeError for a batch that holds something else than arrays of numbers.
    """

    def __init__(
        self,
        caller: str,
        data: Iterable[PyTree],
        transform: Callable[[PyTree], PyTree] | None = None,
        notes: DataNotes | None = None,
    ) -> None:
        self.notes = DataNotes() if notes is None else notes
        self.read, self.place = 0, ""
        self._caller, self._data, self._transform = caller, data, transform
        self._first: tuple[Any, list[Any]] | None = None
        self._ahead: list[tuple[str, PyTree]] = []
        self._recent: collections.deque[tuple[int, str, Any, int]] = collections.deque()
        self._kept_bytes = 0
        self._batches = (batch for turn in self._passes() for batch in turn)

    def __next__(self) -> PyTree:
        self.place, batch = self._ahead.pop() if self._ahead else next(self._batches)
        self._keep(batch)
        self.read += 1
        return batch

    def peek(self) -> PyTree:
        """The next batch, which stays the next one; `ENDED` if there is none."""
        if not self._ahead:
            self._ahead = list(itertools.islice(self._batches, 1))
        return self._ahead[0][1] if self._ahead else ENDED

    def recent(self, number: int) -> tuple[str, PyTree] | None:
        """The place and the batch of that number, if it is kept; 0 is the first that was given out."""
        return next(((place, batch) for known, place, batch, _ in self._recent if known == number), None)

    def _keep(self, batch: PyTree) -> None:
        size = tree_bytes(batch)
        self._kept_bytes += size
        self._recent.append((self.read, self.place, batch, size))
        while len(self._recent) > RECENT or self._kept_bytes > RECENT_BYTES:
            self._kept_bytes -= self._recent.popleft()[-1]

    def _passes(self) -> Iterator[Iterator[tuple[str, PyTree]]]:
        """The passes over the data, until one yields nothing."""
        for turn in itertools.count(1):
            batches = self._pass(turn)
            first = next(batches, None)
            if first is None:
                self.notes.ended = True
                return
            yield itertools.chain([first], batches)

    def _pass(self, turn: int) -> Iterator[tuple[str, PyTree]]:
        """The batches of a pass and their places, without a partial one at its end."""
        found, waiting = False, None
        for number, batch in enumerate(self._data, 1):
            if waiting is not None:
                yield waiting
            place = f"batch {number}" + (f" of pass {turn}" if turn > 1 else "")
            ready = self._ready(batch, place)
            waiting = (place, ready) if found and self._is_partial(ready) else None
            found = True
            if waiting is None:
                yield place, ready
        self.notes.left_out += waiting is not None

    def _ready(self, batch: PyTree, place: str) -> PyTree:
        with called_by(self._caller, f"{place} of `data`"):
            ready = batch if self._transform is None else transformed(self._transform, batch)
        _check_batch(self._caller, ready, place)
        leaves, structure = jax.tree.flatten(ready)
        self._first = self._first or (structure, [(np.shape(leaf), jax.dtypes.result_type(leaf)) for leaf in leaves])
        return ready

    def _is_partial(self, batch: PyTree) -> bool:
        """Whether a batch is like the first, but for fewer examples."""
        assert self._first is not None
        structure, first = self._first
        leaves = jax.tree.leaves(batch)
        shapes = [np.shape(leaf) for leaf in leaves]
        if shapes == [shape for shape, _ in first] or jax.tree.structure(batch) != structure:
            return False
        return all(
            (mine == shape or (mine[1:] == shape[1:] and 0 < len(mine) == len(shape) and mine[0] < shape[0]))
            and jax.dtypes.result_type(leaf) == dtype
            for leaf, mine, (shape, dtype) in zip(leaves, shapes, first, strict=True)
        )


def fault_of(batches: list[tuple[str, PyTree]], before: list[tuple[str, PyTree]]) -> str:
    """Where in which batch numbers are not finite that were finite in the batches before; "" if all are.

    Numbers that were not finite there either have made no loss so, as those that a mask hides.
    """
    usual = {where for _, batch in before for where in _not_finite(batch)}
    for place, batch in batches:
        for where, what in _not_finite(batch).items():
            if where not in usual:
                return f"{place} holds {what}{where}"
    return ""


def _not_finite(batch: PyTree) -> dict[str, str]:
    """Where a batch holds numbers that are not finite, and of which sort, or no numbers, whose mean is NaN."""
    found = {}
    for path, leaf in jax.tree.leaves_with_path(batch):
        if jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact):
            array, where = np.asarray(leaf), f" at {jax.tree_util.keystr(path)}" if path else ""
            if not np.isfinite(array).all():
                found[where] = "NaN" if np.isnan(array).any() else "inf"
            elif not array.size:
                found[where] = "no numbers"
    return found


def _check_batch(caller: str, batch: PyTree, number: str) -> None:
    """Raises if a batch holds what JAX does not take for an array."""
    for path, leaf in jax.tree.leaves_with_path(batch):
        if isinstance(leaf, jax.Array) or (isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMm"):
            continue
        if not isinstance(leaf, int | float | complex):
            place, remedy = (
                f"data{jax.tree_util.keystr(path)}",
                f"give NumPy arrays: transform=lambda batch: jax.tree.map(np.asarray, batch) ({number})",
            )
            raise argument_error(TypeError, caller, place, "an array of numbers", leaf, remedy)
