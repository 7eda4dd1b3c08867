"""Factors of lengths as fractions of small integers, so that lengths can be multiplied exactly."""

import dataclasses
import fractions
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_concrete
from lrax.fields._rules import LARGEST, Rule
from lrax.fields._words import argument_error

LARGEST_RATIO = 32768
"""The largest numerator and denominator of a `Ratio`: their product times anything below it stays within int32."""


class Ratio(NamedTuple):
    """A factor as a fraction of two int32 numbers of at most 32768, so that lengths can be multiplied by it exactly."""

    numerator: Any
    denominator: Any

    def __repr__(self) -> str:
        if isinstance(self.numerator, np.int32) and isinstance(self.denominator, np.int32):
            return f"{self.numerator / self.denominator:.6g}"
        return f"Ratio({self.numerator!r}, {self.denominator!r})"


FACTOR = Rule("a positive number of at most 32768", low=0, open=True, high=LARGEST_RATIO + 1)
TIME_FACTOR = Rule("a number of updates above 0", low=0, open=True, high=LARGEST + 1)
WHOLE = Rule("a number of updates above 0", np.int32, low=1, remedy="give a number such as 1000")


@dataclasses.dataclass(frozen=True)
class RatioRule:
    """A field that holds a positive factor: a number becomes its nearest ratio of small integers.

    Attributes:
      of_time: whether counts are divided by the factor, which may then be any whole number, or a ratio of integers whose
        product is an int32 number; a factor of lengths has integers of at most 32768.
    """

    of_time: bool = False

    def convert(self, caller: str, name: str, value: object) -> Ratio:
        if isinstance(value, Ratio):
            self._check_parts(caller, name, value)
            return value
        if isinstance(value, fractions.Fraction):
            value = value.numerator / value.denominator if value < 2**1023 else math.inf
        if self.of_time and _is_whole(value):
            leaf = WHOLE.convert(caller, name, value)
            return Ratio(leaf, leaf * np.int32(0) + np.int32(1))  # NumPy 1 makes int64 of a plain 0
        leaf = (TIME_FACTOR if self.of_time else FACTOR).convert(caller, name, value)
        if not is_concrete(leaf):
            return traced_ratio(leaf)
        nearest = np.vectorize(nearest_time_factor if self.of_time else nearest_ratio, otypes=[np.int32, np.int32])
        numerator, denominator = nearest(np.asarray(value, dtype=np.float64))
        if not np.all(numerator):
            raise argument_error(ValueError, caller, name, f"at least 1/{LARGEST if self.of_time else LARGEST_RATIO}", value)
        return Ratio(numerator[()], denominator[()])

    def _check_parts(self, caller: str, name: str, ratio: Ratio) -> None:
        if not all(map(is_concrete, ratio)):
            return
        parts = [np.asarray(part, np.float64) for part in ratio]
        largest = LARGEST if self.of_time else LARGEST_RATIO
        if any((part < 1).any() or (part > largest).any() for part in parts) or np.any(parts[0] * parts[1] > LARGEST):
            raise argument_error(ValueError, caller, name, f"a ratio of integers from 1 to {largest}", ratio)


def _is_whole(value: object) -> bool:
    """Whether a number, known or not, has an integer type."""
    try:
        return jnp.issubdtype(as_array(value).dtype, jnp.integer)
    except (ValueError, jax.errors.TracerArrayConversionError):  # a list: what is wrong with it is told by the rule
        return False


def nearest_ratio(value: float) -> tuple[int, int]:
    """The nearest fraction to `value` with numerator and denominator of at most 32768.

    >>> nearest_ratio(1.2)
    (6, 5)
    """
    return nearest_fraction(value, LARGEST_RATIO if value <= 1 else max(1, int(LARGEST_RATIO / value)))


def nearest_time_factor(value: float) -> tuple[int, int]:
    """The nearest fraction to `value` whose numerator and denominator have a product below 2**31.

    >>> nearest_time_factor(50_000.5)
    (100001, 2)
    """
    return nearest_fraction(value, max(1, int(((LARGEST - 2**17) / value) ** 0.5)))


def nearest_fraction(value: float, limit: int) -> tuple[int, int]:
    """The nearest fraction to `value` whose denominator is at most `limit`.

    It is what `fractions.Fraction.limit_denominator` finds, in a tenth of its time: a batch has thousands of them.

    >>> nearest_fraction(3.14159, 1000)
    (355, 113)
    """
    numerator, denominator = float(value).as_integer_ratio()
    if denominator <= limit:
        return numerator, denominator
    (before, below_before), (last, below), rest, divisor = (0, 1), (1, 0), numerator, denominator
    while below_before + (whole := rest // divisor) * below <= limit:
        before, below_before, last, below = last, below, before + whole * last, below_before + whole * below
        rest, divisor = divisor, rest - whole * divisor
    steps = (limit - below_before) // below
    if 2 * divisor * (below_before + steps * below) <= denominator:  # the last convergent is the nearer of the two
        return last, below
    return before + steps * last, below_before + steps * below


TERMS = 24
"""Terms of a continued fraction. Convergents grow least for the golden ratio, whose 22nd has a denominator of 28,657."""


def traced_ratio(value: jax.Array) -> Ratio:
    """`nearest_ratio` by continued fractions, for a factor that is known only at run time (float32 resolution)."""

    def expand(_: int, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        rest, before, last, below_before, below, going = carry
        whole = jnp.floor(jnp.minimum(rest, LARGEST_RATIO + 1.0)).astype(jnp.int32)
        above = whole * jnp.minimum(last, 32768) + before
        under = whole * jnp.minimum(below, 32768) + below_before
        fits = going & (above <= LARGEST_RATIO) & (under <= LARGEST_RATIO) & (above >= 0) & (under >= 0)
        fraction = rest - whole.astype(rest.dtype)
        return (
            jnp.where(fraction > 1e-6, 1.0 / jnp.maximum(fraction, 1e-6), LARGEST_RATIO * 2.0),
            jnp.where(fits, last, before),
            jnp.where(fits, above, last),
            jnp.where(fits, below, below_before),
            jnp.where(fits, under, below),
            fits,
        )

    value = jax.lax.stop_gradient(value)
    zero = (value * 0).astype(jnp.int32)  # varies over devices as the value does, as the carry of a loop has to
    one = zero + 1
    start = (value, zero, one, one, zero, one > 0)
    found = jax.lax.fori_loop(0, TERMS, expand, start)
    return Ratio(jnp.maximum(found[2], 1), jnp.maximum(found[4], 1))
