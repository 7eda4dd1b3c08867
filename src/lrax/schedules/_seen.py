"""How much was seen, past 2**31: whole numbers below 2**62 as two int32 words, with the arithmetic that a clock needs.

JAX has no 64-bit integers unless they are switched on for the whole process, and float32 knows whole numbers up to 2**24 only.
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_concrete
from lrax.fields._rules import LARGEST
from lrax.fields._words import argument_error
from lrax.schedules._counting import as_count, broadcast


class Seen(NamedTuple):
    """A whole number from 0 up to 2**62, as `high * 2**31 + low`: two int32 numbers, or arrays, from 0 to 2**31 - 1.

    >>> Seen(np.int32(1), np.int32(2)), int(Seen(np.int32(1), np.int32(2)))
    (2147483650, 2147483650)
    """

    high: Any
    low: Any

    def number(self) -> np.ndarray[Any, Any]:
        """The number, or array, in NumPy's int64; outside jit."""
        if not all(map(is_concrete, self)):
            raise argument_error(TypeError, "Seen", "number", "known", self.high, "inside jit, read `high` and `low`")
        return np.asarray(self.high).astype(np.int64) * 2**31 + np.asarray(self.low)

    def __int__(self) -> int:
        return int(self.number())

    def __repr__(self) -> str:
        return repr(self.number().tolist()) if all(map(is_concrete, self)) else f"Seen({self.high!r}, {self.low!r})"


def as_seen(caller: str, name: str, value: Any) -> Seen:
    """A number of examples or tokens, rounded up to a whole one, as two words; a traced integer is its low word."""
    if isinstance(value, Seen):
        return value
    needs = "a number from 0 up to 2**62"
    array = as_array(value)
    if not is_concrete(array):
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise argument_error(
                TypeError, caller, name, needs, value, "a traced one is an integer, or what `Clock.seen` gives"
            )
        low = as_count(caller, array)
        return Seen(low * 0, low)
    if isinstance(value, str | bool) or array.dtype.kind not in "iufO":
        raise argument_error(TypeError, caller, name, needs, value)
    numbers = [whole_amount(number) for number in array.ravel().tolist()]
    if any(number is None or not 0 <= number < 2**62 for number in numbers):
        raise argument_error(ValueError, caller, name, needs, value)
    whole = np.array(numbers, np.int64).reshape(array.shape)
    return Seen((whole >> 31).astype(np.int32)[()], (whole & LARGEST).astype(np.int32)[()])


def whole_amount(value: Any) -> int | None:
    """A known number as it is written, rounded up to a whole one; None if it is not finite."""
    try:
        return math.ceil(Fraction(str(value)))
    except ValueError:  # inf, nan, or no number
        return None


def reached(seen: Seen, amount: Seen) -> jax.Array:
    """Whether `seen` is at least `amount`."""
    return (seen.high > amount.high) | ((seen.high == amount.high) & (seen.low >= amount.low))


def total(numbers: Any, times: Any) -> Seen:
    """The sum over the last axis of products of int32 numbers from 0 on, exactly, if it is below 2**62.

    Each product is taken in digits of 16 bits, of which up to 2**15 can be added before they are carried.
    """
    shape = jnp.broadcast_shapes(jnp.shape(numbers), jnp.shape(times))
    a, b = (jnp.broadcast_to(number, shape).astype(jnp.uint32) for number in (numbers, times))
    (a_high, a_low), (b_high, b_low) = ((word >> 16, word & 0xFFFF) for word in (a, b))
    lowest, middle, highest = a_low * b_low, a_high * b_low + a_low * b_high, a_high * b_high
    digits = [lowest & 0xFFFF, (lowest >> 16) + (middle & 0xFFFF), (middle >> 16) + (highest & 0xFFFF), highest >> 16]
    first, second, third, fourth = (digit.sum(axis=-1, dtype=jnp.uint32) for digit in digits)
    second = second + (first >> 16)
    third = third + (second >> 16)
    fourth = fourth + (third >> 16)
    low = (first & 0xFFFF) | (second << 16)
    high = ((third & 0xFFFF) | (fourth << 16)) << 1 | low >> 31
    return Seen(high.astype(jnp.int32), (low & LARGEST).astype(jnp.int32))


def product(number: Any, times: Any) -> Seen:
    """The product of two int32 numbers from 0 on."""
    return total(jnp.asarray(number)[..., None], jnp.asarray(times)[..., None])


@jax.jit  # so that a call outside jit finds the compiled loop again
def divided(seen: Seen, divisor: Any) -> jax.Array:
    """`seen // divisor`, at most 2**31 - 1, bit by bit; a divisor below 1 counts as 1."""
    high, low, divisor = (word.astype(jnp.uint32) for word in broadcast(*seen, jnp.maximum(divisor, 1)))

    def one_bit(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        quotient, rest = carry
        rest = rest * 2 + ((low >> (30 - i).astype(jnp.uint32)) & 1)  # below 2**32, for the rest is below the divisor
        over = rest >= divisor
        return quotient * 2 + over.astype(jnp.uint32), jnp.where(over, rest - divisor, rest)

    fits = high < divisor
    quotient, _ = jax.lax.fori_loop(0, 31, one_bit, (high * 0, jnp.where(fits, high, 0)))
    return jnp.where(fits, quotient.astype(jnp.int32), LARGEST)
