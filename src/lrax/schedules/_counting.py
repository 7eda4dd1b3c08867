"""Arithmetic of counts and lengths: integers until the last moment, and nothing wraps near 2**31 - 1."""

import functools
import operator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_traced
from lrax.fields._rules import LARGEST
from lrax.fields._words import argument_error


def as_count(caller: str, value: Any) -> jax.Array:
    """`value`, the number of an update, as int32 in [0, 2**31 - 1]: what lies outside is brought to the nearer end."""
    if isinstance(value, int) and not isinstance(value, bool):
        return jnp.asarray(np.int32(min(max(value, 0), LARGEST)))
    array = as_array(value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        remedy = "use count.astype(jnp.int32)" if is_traced(array) or np.ndim(array) else "use int(count)"
        raise argument_error(TypeError, caller, "count", "an integer, the 0-based number of the update", value, remedy)
    array = array if array.dtype.kind in "iu" else array.astype(np.int32)  # int4 is no integer to NumPy
    largest = min(LARGEST, int(np.iinfo(array.dtype).max))
    if isinstance(array, np.ndarray):
        return jnp.asarray(np.clip(array, 0, largest).astype(np.int32))
    return jnp.clip(array, 0, largest).astype(jnp.int32)


Count: TypeAlias = jax.Array | np.ndarray[Any, Any] | np.integer[Any] | int


def fractions(count: jax.Array, length: Any) -> tuple[jax.Array, jax.Array]:
    """The fractions of `length` updates that are done and left at `count`: each an integer difference, divided once.

    >>> fractions(jnp.asarray(1), 4)
    (Array(0.25, dtype=float32), Array(0.75, dtype=float32))
    """
    whole = jnp.maximum(length, 1)
    past = jnp.where(jnp.asarray(length) > 0, jnp.minimum(count, whole), 1)
    return share(past, whole - past, whole.astype(jnp.float32)), share(whole - past, past, whole.astype(jnp.float32))


def broadcast(*numbers: Any) -> tuple[jax.Array, ...]:
    """Integers as int32 arrays of one shape that vary over devices alike, as the carry of a loop has to (`jax.shard_map`)."""
    shape = jnp.broadcast_shapes(*map(jnp.shape, numbers))
    wide = [jnp.broadcast_to(number, shape).astype(jnp.int32) for number in numbers]
    nothing = functools.reduce(operator.add, (number * 0 for number in wide))
    return tuple(number + nothing for number in wide)


def share(part: jax.Array, rest: jax.Array, whole: jax.Array) -> jax.Array:
    """`part / whole`, and exactly 1 where nothing rests: a compiler may multiply by the reciprocal, which can miss it."""
    return jnp.where(rest == 0, 1.0, part.astype(jnp.float32) / whole)


def add_lengths(*lengths: Any) -> Any:
    """The sum of lengths, at most 2**31 - 1; None if one of them is."""
    if any(length is None for length in lengths):
        return None
    total: Any = np.int32(0)
    largest = np.int32(LARGEST)  # with a Python int, NumPy before 2.0 would go on in int64
    for length in lengths:
        array = np if isinstance(total, np.generic | np.ndarray) and isinstance(length, np.generic | np.ndarray) else jnp
        fits = total <= largest - array.maximum(length, np.int32(0))
        total = array.where(fits, total + array.minimum(length, largest - total), largest)
    return total


def multiply_lengths(length: Any, times: Any) -> Any:
    """A length taken `times` times, at most 2**31 - 1; None if it is."""
    if length is None:
        return None
    known = isinstance(length, np.generic | np.ndarray) and isinstance(times, np.generic | np.ndarray)
    array: Any = np if known else jnp
    zero, one, largest = np.array([0, 1, LARGEST], np.int32)
    length, times = array.maximum(length, zero), array.maximum(times, one)
    fits = length <= largest // times
    return array.where(fits, array.where(fits, length, zero) * times, largest)


def times_ratio(number: Any, numerator: Any, denominator: Any, up: bool = False) -> Any:
    """`number * numerator / denominator` rounded down, or up; at most 2**31 - 1. The two make an int32 product.

    >>> print(*(times_ratio(np.int32(7), np.int32(2), np.int32(3), up) for up in (False, True)))
    4 5
    """
    known = all(isinstance(one, np.generic | np.ndarray) for one in (number, numerator, denominator))
    array: Any = np if known else jnp
    zero, one, largest = np.array([0, 1, LARGEST], np.int32)
    numerator, denominator = array.maximum(numerator, one), array.maximum(denominator, one)
    rest = number % denominator * numerator
    rest = rest // denominator + (up & (rest % denominator > 0)).astype(np.int32)
    fits = number // denominator <= (largest - rest) // numerator
    return array.where(fits, array.where(fits, number // denominator, zero) * numerator + rest, largest)


@jax.jit  # so that a call outside jit finds the compiled loop again
def multiply_divide(a: jax.Array, b: jax.Array, divisor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The quotient and the remainder of `a * b / divisor`, where the product may need 62 bits.

    Doubles and adds, bit by bit of `a`, and keeps the remainder below the divisor, so nothing wraps.

    Args:
      a: int32, >= 0.
      b: int32, from 0 to `divisor`.
      divisor: int32, >= 1.

    >>> multiply_divide(jnp.int32(2**31 - 2), jnp.int32(2**31 - 3), jnp.int32(2**31 - 1))
    (Array(2147483644, dtype=int32), Array(2, dtype=int32))
    """
    times, number, modulus = (wide.astype(jnp.uint32) for wide in broadcast(a, b, divisor))

    def reduced(quotient: jax.Array, remainder: jax.Array) -> tuple[jax.Array, jax.Array]:
        over = remainder >= modulus
        return quotient + over.astype(jnp.uint32), jnp.where(over, remainder - modulus, remainder)

    def one_bit(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        quotient, remainder = reduced(carry[0] * 2, carry[1] * 2)
        bit = (times >> (30 - i).astype(jnp.uint32)) & 1
        return reduced(quotient, remainder + bit * number)

    quotient, remainder = jax.lax.fori_loop(0, 31, one_bit, (times * 0, times * 0))
    return quotient.astype(jnp.int32), remainder.astype(jnp.int32)
