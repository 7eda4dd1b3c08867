"""One definition of a rule: in NumPy where the numbers are known, which compiles nothing, and in jnp inside jit and vmap.

A rule asks for its namespace, `xp`, and is written once. The few things that the two spell differently stand here.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_call, is_concrete

FEWEST = 5
"""A curve of fewer points supports no suggestion."""

ELEMENTS = 2**17
"""So many weights of a mean over rates stand in memory at a time; few enough to stay in a processor's cache."""

Scalar = jax.Array | np.ndarray[Any, Any] | np.floating[Any]
"""What a rule returns: a NumPy scalar, or an array of JAX where it is traced."""

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
State = TypeVar("State")


def namespace(*values: Any) -> ModuleType:
    """NumPy if all numbers can be read now, `jax.numpy` if some are traced."""
    return np if all(is_concrete(leaf) for leaf in jax.tree.leaves(values)) else jnp


def silent(rule: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """A rule under which NumPy, as JAX, says nothing of infinities and of what has no value: rules take care of both."""

    @functools.wraps(rule)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        with np.errstate(all="ignore"):
            return rule(*args, **kwargs)

    return check_call(call)


def as_curve(caller: str, rates: Any, losses: Any) -> tuple[Any, Any, Any]:
    """The namespace of a curve, and its rates and losses as float32; a curve of fewer points than any rule needs ends in NaN.

    Raises: ValueError if the two are not one-dimensional arrays of one length.
    """
    xp = namespace(rates, losses)
    rates, losses = xp.asarray(rates, xp.float32), xp.asarray(losses, xp.float32)
    if rates.ndim != 1 or rates.shape != losses.shape:
        needs = "arrays of shape (n,) each"
        raise argument_error(
            ValueError, caller, "rates and losses", needs, (rates.shape, losses.shape), "vmap the rule over batches"
        )
    if (missing := FEWEST - rates.size) > 0:
        nothing = xp.full(missing, xp.nan, xp.float32)
        rates, losses = xp.concatenate([rates, nothing]), xp.concatenate([losses, nothing])
    return xp, rates, losses


def median(xp: Any, values: Any, known: Any) -> Any:
    """The median of the values that are known; NaN if none is."""
    ordered = xp.sort(xp.where(known, values, xp.inf))
    count = xp.sum(known)
    low, high = ordered[xp.maximum((count - 1) // 2, 0)], ordered[xp.minimum(count // 2, values.size - 1)]
    return xp.where(count > 0, 0.5 * low + 0.5 * high, xp.nan)


def window_means(xp: Any, rates: Any, known: Any, values: Any, width: float) -> Any:
    """At each rate the mean of the known values under a triangle of `width` decades to either side, shape (n,).

    Rows of weights are made a few at a time, so that memory does not grow with the square of the length.
    """
    places = xp.log10(xp.where(known, rates, 1.0)) / width
    counted, weighable = known.astype(xp.float32), xp.where(known, values, 0.0)

    def means(rows: Any) -> Any:
        near = _indices(xp, known & (places >= xp.min(rows) - 1) & (places <= xp.max(rows) + 1))
        weights = xp.maximum(1 - xp.abs(rows[:, None] - places[near][None, :]), 0) * counted[near][None, :]
        return xp.sum(weights * weighable[near][None, :], axis=1) / xp.maximum(xp.sum(weights, axis=1), 1e-6)

    return _in_parts(xp, means, places, max(1, ELEMENTS // values.size))


def put(xp: Any, array: Any, place: Any, value: Any) -> Any:
    """`array`, which the caller made, with a value at a place."""
    if xp is jnp:
        return array.at[place].set(value)
    array[place] = value
    return array


def repeat(xp: Any, times: int, body: Callable[[Any, State], State], state: State) -> State:
    """The state after `state = body(i, state)` for every i below `times`."""
    if xp is jnp:
        return jax.lax.fori_loop(0, times, body, state)
    for i in range(times):
        state = body(i, state)
    return state


def _indices(xp: Any, mask: Any) -> Any:
    """Where a mask holds, if that is known; everywhere if not, for shapes must be."""
    return slice(None) if xp is jnp else np.flatnonzero(mask)


def _in_parts(xp: Any, function: Callable[[Any], Any], rows: Any, size: int) -> Any:
    """`function` of `rows`, of so many at a time."""
    if len(rows) <= size:
        return function(rows)
    if xp is jnp:
        return jax.lax.map(lambda row: function(row[None])[0], rows, batch_size=size)
    return np.concatenate([function(rows[i : i + size]) for i in range(0, len(rows), size)])
