"""Exact integer arithmetic for counts and lengths."""

import functools
import math
import operator
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, array_module, as_array, is_concrete, is_traced
from lrax.fields._rules import LARGEST, Float, Int, Ints, Ratio


def as_count(caller: str, value: object) -> jax.Array:
    """The number of a step as int32, clipped to [0, 2**31 - 1]."""
    if isinstance(value, int) and not isinstance(value, bool):
        return jnp.asarray(np.int32(min(max(value, 0), LARGEST)))
    array = as_array(value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        remedy = "use count.astype(jnp.int32)" if is_traced(array) or np.ndim(array) else "use int(count)"
        raise argument_error(TypeError, caller, "count", "an integer, the 0-based number of the step", value, remedy)
    array = array if array.dtype.kind in "iu" else array.astype(np.int32)  # int4 is not an integer for NumPy
    largest = min(LARGEST, int(np.iinfo(array.dtype).max))
    if isinstance(array, np.ndarray):
        return jnp.asarray(np.clip(array, 0, largest).astype(np.int32))
    return jnp.clip(array, 0, largest).astype(jnp.int32)


def fractions(count: jax.Array, length: Int) -> tuple[jax.Array, jax.Array]:
    """The fractions of `length` steps that are done and left at `count`: each an integer difference, divided once.

    >>> fractions(jnp.asarray(1), 4)
    (Array(0.25, dtype=float32), Array(0.75, dtype=float32))
    """
    whole = jnp.maximum(length, 1)
    past = jnp.where(jnp.asarray(length) > 0, jnp.minimum(count, whole), 1)
    return fraction_of(past, whole - past, whole.astype(jnp.float32)), fraction_of(
        whole - past, past, whole.astype(jnp.float32)
    )


def broadcast(*numbers: Int | Ints) -> tuple[jax.Array, ...]:
    """Integers as int32 arrays of one shape that vary over devices alike, as the carry of a loop has to (`jax.shard_map`)."""
    shape = jnp.broadcast_shapes(*map(jnp.shape, numbers))
    wide = [jnp.broadcast_to(number, shape).astype(jnp.int32) for number in numbers]
    nothing = functools.reduce(operator.add, (number * 0 for number in wide))
    return tuple(number + nothing for number in wide)


def fraction_of(part: jax.Array, rest: jax.Array, whole: jax.Array) -> jax.Array:
    """`part / whole`, exactly 1 if `rest` is 0: a compiler may multiply by the reciprocal, which can miss it."""
    return jnp.where(rest == 0, 1.0, part.astype(jnp.float32) / whole)


def add_lengths(*lengths: Int | None) -> Any:
    """The sum of lengths, at most 2**31 - 1; None if one of them is."""
    if any(length is None for length in lengths):
        return None
    xp, total = array_module(*lengths), np.int32(0)
    largest = np.int32(LARGEST)  # with a Python int, NumPy before 2.0 would go on in int64
    for length in lengths:
        fits = total <= largest - xp.maximum(length, np.int32(0))
        total = xp.where(fits, total + xp.minimum(length, largest - total), largest)[()]
    return total


def multiply_lengths(length: Int, times: Int) -> Int:
    """A length taken `times` times, at most 2**31 - 1; in few operations, for nested schedules ask for it at each level."""
    array = array_module(length, times)
    zero, one, largest = np.array([0, 1, LARGEST], np.int32)
    length, times = array.maximum(length, zero), array.maximum(times, one)
    fits = length <= largest // times
    return array.where(fits, array.where(fits, length, zero) * times, largest)


def times_ratio(number: Int, numerator: Int | Ints, denominator: Int | Ints, up: bool = False) -> Any:
    """`number * numerator / denominator` rounded down or up, at most 2**31 - 1; `numerator * denominator` fits int32.

    >>> print(*(times_ratio(np.int32(7), np.int32(2), np.int32(3), up) for up in (False, True)))
    4 5
    """
    xp = array_module(number, numerator, denominator)
    zero, one, largest = np.array([0, 1, LARGEST], np.int32)
    number, numerator, denominator = xp.maximum(number, zero), xp.maximum(numerator, one), xp.maximum(denominator, one)
    rest = number % denominator * numerator
    rest = rest // denominator + (up & (rest % denominator > 0)).astype(np.int32)
    fits = number // denominator <= (largest - rest) // numerator
    return xp.where(fits, xp.where(fits, number // denominator, zero) * numerator + rest, largest)[()]


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


def power_complement(base: jax.Array, rest: jax.Array, power: Float | float) -> tuple[jax.Array, jax.Array]:
    """`base ** power` and `1 - base ** power`, where `base + rest == 1`, each accurate where it nears zero.

    Gradients are finite for every base in [0, 1].

    >>> print(f"{power_complement(jnp.float32(1 - 2**-20), jnp.float32(2**-20), 3)[1] * 2**20:.5f}")
    3.00000
    """
    inside = base > 0
    base, rest = (
        jnp.where(inside, base, 0.5),
        jnp.where(inside, rest, 0.5),
    )  # no NaN where it is not selected
    # from the smaller of the two, which has the smaller rounding error
    logarithm = jnp.where(rest < 0.5, jnp.log1p(-jnp.minimum(rest, 0.5)), jnp.log(base))
    return jnp.where(inside, jnp.power(base, power), 0.0), jnp.where(inside, -jnp.expm1(power * logarithm), 1.0)


def whole_power(base: Float, exponent: jax.Array) -> jax.Array:
    """`base ** exponent` for int32 exponents from 0 to 2**31 - 1, which need not be float32 numbers.

    An exponent past 2**24 loses its last digits as a float32, so it is split in two that have them all.

    >>> print(f"{whole_power(jnp.float32(1 - 2**-24), jnp.int32(2**24 + 1)):.7f}")  # 1 / e
    0.3678794
    """
    low = exponent & 0xFFFF
    high = exponent - low
    return jnp.power(base, high.astype(jnp.float32)) * jnp.power(base, low.astype(jnp.float32))


@jax.jit  # so that a call outside jit is one program
def times_power(start: Float, base: Float, exponent: jax.Array) -> jax.Array:
    """`start * base ** exponent` for int32 exponents from 0 on: finite where it is, even if the power alone is not.

    The power is multiplied in parts of 2**120 at most, nearly always in one, so that a small start times a power that
    overflows and a large one times a power that underflows keep their digits; 0 stays 0.

    >>> print(times_power(0.0, 2.0, jnp.int32(200)), f"{times_power(1e30, 0.5, jnp.int32(200)):.4g}")
    0.0 6.223e-31
    """
    bits = jnp.abs(jnp.log2(jnp.abs(jax.lax.stop_gradient(jnp.asarray(base, jnp.float32)))))
    # for 0 one part is enough, and its derivative must not overflow either
    most = jnp.clip(jnp.where(start == 0, 64, 120) / bits, 1, 2.0**30).astype(jnp.int32)
    exponent = jnp.where(start == 0, jnp.minimum(exponent, most), exponent)
    for now in (jnp.minimum(exponent, most), jnp.clip(exponent - most, 0, most), jnp.maximum(exponent - most - most, 0)):
        start = start * whole_power(base, now)
    return jnp.asarray(start)


def peak_fractions(count: jax.Array, steps: Int, rise: Float) -> tuple[jax.Array, jax.Array]:
    """The distance of a triangle from its peak and from its ends, as fractions that add up to 1, each accurate near zero.

    The peak is at `rise * steps`, which is rarely whole. From `steps` on (and where `steps` is below 1) it is at its end.
    """
    rise = jnp.asarray(rise, jnp.float32)  # NumPy before version 2 would make 1 - rise a float64
    done, left = fractions(count, steps)
    length = jnp.maximum(steps, 1)
    reached = jnp.where(jnp.asarray(steps) > 0, jnp.minimum(count, length), length)
    past = scaled_difference(rise, length, reached)  # > 0 while climbing
    climbing = past > 0
    side, near = jnp.where(climbing, rise, 1 - rise), jnp.where(climbing, done, left)
    far = jnp.abs(past) / length.astype(jnp.float32)
    return jnp.where(near == 0, 1.0, far / side), jnp.where(past == 0, 1.0, near / side)  # exact at both ends and the peak


@jax.jit  # so that a call outside jit is one program
def scaled_difference(fraction: Float, steps: Int, count: jax.Array) -> jax.Array:
    """`fraction * steps - count` to float32 accuracy also where the two nearly cancel.

    A float32 fraction is an integer of 24 bits over a power of two, so this is the difference of two integers of at most 64
    bits, which is taken exactly in pairs of uint32. Where nothing cancels, plain float32 is as good and is used.

    Args:
      fraction: float32 in (0, 1).
      steps: int32, > 0.
      count: int32 in [0, 2**31 - 1].

    >>> scaled_difference(jnp.float32(0.2), jnp.int32(1000), jnp.int32(200))  # 0.2 is 0.200000003 as a float32
    Array(2.9802322e-06, dtype=float32)
    """
    fraction, steps = jnp.asarray(fraction, jnp.float32), jnp.asarray(steps, jnp.int32)
    plain = fraction * steps.astype(jnp.float32) - count.astype(jnp.float32)
    mantissa, exponent = jnp.frexp(jax.lax.stop_gradient(fraction))
    close = count.astype(jnp.float32) <= 2 * fraction * steps.astype(jnp.float32)  # else nothing cancels
    high, low = _multiply((mantissa * 2.0**24).astype(jnp.uint32), steps.astype(jnp.uint32))
    places = jnp.clip(24 - exponent, 24, 63)
    count_high, count_low = _shift_left(jnp.where(close, count, 0).astype(jnp.uint32), places.astype(jnp.uint32))
    negative = (high < count_high) | ((high == count_high) & (low < count_low))
    above_high, above_low = jnp.where(negative, count_high, high), jnp.where(negative, count_low, low)
    below_high, below_low = jnp.where(negative, high, count_high), jnp.where(negative, low, count_low)
    difference_low = above_low - below_low
    difference_high = above_high - below_high - (above_low < below_low).astype(jnp.uint32)
    magnitude = jnp.ldexp(difference_high.astype(jnp.float32), 32 - places) + jnp.ldexp(
        difference_low.astype(jnp.float32), -places
    )
    exact = jnp.where(close, jnp.where(negative, -magnitude, magnitude), jax.lax.stop_gradient(plain))
    return exact + (plain - jax.lax.stop_gradient(plain))  # the value of the one, the gradient of the other


def _multiply(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The high and low 32 bits of a product of two uint32, `a` below 2**24 and `b` below 2**31."""
    a_high, a_low, b_high, b_low = a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF
    middle = a_high * b_low + a_low * b_high  # below 2**32: 2**24 + 2**31
    lowest = a_low * b_low
    low = lowest + (middle << 16)
    return a_high * b_high + (middle >> 16) + (low < lowest).astype(jnp.uint32), low


def _shift_left(value: jax.Array, places: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The high and low 32 bits of `value << places`, for 24 <= places < 64."""
    short = places < 32
    within = jnp.where(short, places, places - 32)  # XLA leaves shifts by 32 and more undefined
    low = jnp.where(short, value << within, 0).astype(jnp.uint32)
    return jnp.where(short, value >> (32 - within), value << within), low


Wide: TypeAlias = tuple[jax.Array, ...]
"""A number from 0 up to 2**32, a multiple of 2**-64: six words of 16 bits in uint32 arrays, the first two before the point.

Words of 16 bits, because a product of two of them fits uint32, which is all that JAX has without x64.
"""


def as_wide(number: jax.Array) -> Wide:
    """An integer (int32, at least 0) as a wide number."""
    number = number.astype(jnp.uint32)
    return number >> 16, number & 0xFFFF, *(number * 0,) * 4


def wide_times(number: Wide, numerator: jax.Array, denominator: jax.Array) -> Wide:
    """`number * numerator / denominator`, rounded down to a multiple of 2**-64; the largest wide number if it is more.

    The result is exact if it is a multiple of 2**-64. Both integers are uint32, from 1 to 2**15.
    """
    carry, products = number[0] * 0, []
    for word in reversed(number):
        product = word * numerator + carry
        products.append(product & 0xFFFF)
        carry = product >> 16
    fits, rest, quotients = carry < denominator, carry, []
    for product in reversed(products):
        dividend = (rest << 16) | product
        quotient = jax.lax.div(dividend, denominator)
        rest = dividend - quotient * denominator
        quotients.append(jnp.where(fits, quotient, 0xFFFF).astype(jnp.uint32))
    return tuple(quotients)


def wide_minus(number: Wide, other: Wide) -> tuple[Wide, jax.Array]:
    """`number - other`, and whether it is at least 0; if not, the difference is meaningless."""
    borrow, words = number[0] * 0, []
    for word, taken in zip(reversed(number), reversed(other), strict=True):
        difference = word - taken - borrow
        words.append(difference & 0xFFFF)
        borrow = difference >> 31
    return tuple(reversed(words)), borrow == 0


def wide_whole(number: Wide, rounding: Literal["down", "nearest", "up"]) -> jax.Array:
    """A wide number as the int32 below, nearest (a half is rounded up) or above; at most 2**31 - 1.

    >>> half = wide_times(as_wide(jnp.int32(5)), jnp.uint32(1), jnp.uint32(2))
    >>> print(*(wide_whole(half, rounding) for rounding in ("down", "nearest", "up")))
    2 3 3
    """
    whole, rest = (number[0] << 16) | number[1], number[2] * 0
    if rounding == "nearest":
        rest = number[2] >> 15
    if rounding == "up":
        rest = ((number[2] | number[3] | number[4] | number[5]) > 0).astype(jnp.uint32)
    return jnp.minimum(jnp.minimum(whole, LARGEST) + rest, LARGEST).astype(jnp.int32)


def wide_float(number: Wide) -> jax.Array:
    """A wide number as float32, to an ulp."""
    high, middle, low = ((number[i] << 16) | number[i + 1] for i in (0, 2, 4))
    return (low.astype(jnp.float32) * 2.0**-64 + middle.astype(jnp.float32) * 2.0**-32) + high.astype(jnp.float32)


Rounding: TypeAlias = Literal["nearest", "each", "none"]


@functools.partial(jax.jit, static_argnames="rounding")  # so that a call outside jit finds the compiled loop again
def find_cycle(
    count: jax.Array, length: jax.Array, factor: Ratio, least: jax.Array, rounding: Rounding
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The index of the cycle at `count`, the count within it, and its length, by integer arithmetic.

    The exact length is carried as a multiple of 2**-64, rounded down at every cycle. Where it has 64 binary places it is
    exact, so a length that ends in exactly one half is rounded as it should be: `length * (p / q) ** k` can only do so if `q`
    to the power `k` divides twice the length. The error of any other is below `2**-64` times the sum of the powers of the
    factor so far: at most 2**-33 where the factor is above 1 (all counts are below 2**31), and `2**-64 / (1 - factor)`
    otherwise. Only a length that is nearer to a half than that could be off by one.
    """
    count, length, least, *ratio = broadcast(count, jnp.maximum(length, least), least, *factor)
    numerator, denominator = (part.astype(jnp.uint32) for part in ratio)
    shrinks = numerator < denominator

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        going, index, local, length, exact = carry
        following = wide_times(exact, numerator, denominator)
        if rounding == "each":
            following = as_wide(wide_whole(following, "up"))
        size, rest = jnp.maximum(wide_whole(following, "nearest"), least), local - length
        stays = size == length if rounding == "each" else shrinks & (size == least)
        following = tuple(jnp.where(going, new, old) for new, old in zip(following, exact, strict=True))
        index, local, length = (jnp.where(going, new, old) for new, old in ((index + 1, index), (rest, local), (size, length)))
        return going & (rest >= size) & ~stays, index, local, length, following

    going = (count >= length) & (numerator != denominator) & ~(shrinks & (length == least))
    start = going, count * 0, count, length, as_wide(length)
    _, index, local, length, _ = jax.lax.while_loop(lambda carry: carry[0].any(), advance, start)
    return index + local // length, local % length, length  # all cycles that are left have the same length


@jax.jit  # so that a call outside jit finds the compiled loop again
def find_real_cycle(count: jax.Array, length: jax.Array, factor: Ratio, least: jax.Array) -> tuple[jax.Array, Wide, Wide]:
    """The index of the cycle at `count`, the time within it, and its length; neither of the latter need be whole.

    To a multiple of 2**-64, and exact where `find_cycle` is: a cycle that begins at a count begins there.
    """
    count, length, least, *ratio = broadcast(count, jnp.maximum(length, least), least, *factor)
    numerator, denominator = (part.astype(jnp.uint32) for part in ratio)
    shrinks, lowest = numerator < denominator, as_wide(least)

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        going, index, past, length = carry
        following, rest = wide_times(length, numerator, denominator), wide_minus(past, length)[0]
        ends = shrinks & ~wide_minus(following, lowest)[1]
        following = tuple(jnp.where(ends, small, new) for small, new in zip(lowest, following, strict=True))
        index = jnp.where(going, index + 1, index)
        past, length = (
            tuple(jnp.where(going, new, old) for new, old in zip(*pair, strict=True))
            for pair in ((rest, past), (following, length))
        )
        return going & wide_minus(rest, following)[1] & ~ends, index, past, length

    going = (count >= length) & (numerator != denominator) & ~(shrinks & (length == least))
    start = going, count * 0, as_wide(count), as_wide(length)
    _, index, past, real = jax.lax.while_loop(lambda carry: carry[0].any(), advance, start)
    whole, size = wide_whole(past, "down"), wide_whole(real, "down")
    more = jnp.where(wide_minus(past, real)[1], whole // size, 0)  # all cycles that are left have the same, whole length
    rest = as_wide(whole - more * size)[:2] + past[2:]
    return index + more, rest, real


def real_fractions(past: Wide, length: Wide) -> tuple[jax.Array, jax.Array]:
    """The fractions of a length that are done and left; neither the time nor the length need be whole."""
    done, left, whole = wide_float(past), wide_float(wide_minus(length, past)[0]), wide_float(length)
    return fraction_of(done, left, whole), fraction_of(left, done, whole)


class Seen(NamedTuple):
    """A whole number from 0 up to 2**62, as `high * 2**31 + low`: two int32 numbers, or arrays, from 0 to 2**31 - 1.

    >>> Seen(np.int32(1), np.int32(2)), int(Seen(np.int32(1), np.int32(2)))
    (2147483650, 2147483650)
    """

    high: Int | Ints
    low: Int | Ints

    def number(self) -> npt.NDArray[np.int64]:
        """The number, or array, in NumPy's int64; outside jit."""
        if not all(map(is_concrete, self)):
            raise argument_error(TypeError, "Seen", "number", "concrete", self.high, "inside jit, read `high` and `low`")
        return np.asarray(self.high).astype(np.int64) * 2**31 + np.asarray(self.low)

    def __int__(self) -> int:
        return int(self.number())

    def __repr__(self) -> str:
        return repr(self.number().tolist()) if all(map(is_concrete, self)) else f"Seen({self.high!r}, {self.low!r})"


def as_seen(caller: str, name: str, value: object) -> Seen:
    """A number of examples or tokens, rounded up, as two words; a traced integer is its low word."""
    if isinstance(value, Seen):
        return value
    needs = "a number from 0 up to 2**62"
    array = as_array(value)
    if not is_concrete(array):
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise argument_error(
                TypeError, caller, name, needs, value, "a traced one is an integer, or the result of `Clock.seen`"
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


def whole_amount(value: object) -> int | None:
    """A concrete number as it is written, rounded up; None if it is not finite."""
    try:
        return math.ceil(Fraction(str(value)))
    except ValueError:  # inf, nan, or no number
        return None


def reached(seen: Seen, amount: Seen) -> jax.Array:
    """Whether `seen` is at least `amount`."""
    return jnp.asarray(seen.high > amount.high) | ((seen.high == amount.high) & (seen.low >= amount.low))


def total(numbers: Int | Ints, times: Int | Ints) -> Seen:
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


def product(number: Int, times: Int) -> Seen:
    """The product of two int32 numbers from 0 on."""
    return total(jnp.asarray(number)[..., None], jnp.asarray(times)[..., None])


@jax.jit  # so that a call outside jit finds the compiled loop again
def divided(seen: Seen, divisor: Int) -> jax.Array:
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
