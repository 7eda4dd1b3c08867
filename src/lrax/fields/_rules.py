"""Rules that check and convert what is put into a field."""

import dataclasses
import fractions
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import NO_QUOTES, argument_error, as_array, choice, is_concrete, is_number_text, shown

LARGEST = 2**31 - 1
"""The largest count and the largest length, in updates."""

SMALLEST = 2.0**-126
"""The smallest float32 number that processors tell from 0."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """What one field of a schedule may hold.

    Attributes:
      needs: the sentence's middle, after "must be".
      dtype: of the leaf.
      low, high: the smallest and the largest value allowed.
      open: whether `low` and `high` themselves are not allowed.
      remedy: what to do instead.
      rank: of one schedule's field: 0 for a number, 1 for a list. A leading axis more makes a batch of schedules.
      increasing: whether the numbers along the last axis must rise strictly; such a list may be empty.
      beyond: what to do instead of a number past int32.
    """

    needs: str
    dtype: type[np.float32] | type[np.int32] = np.float32
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    remedy: str = ""
    rank: int = 0
    increasing: bool = False
    beyond: str = ""

    def convert(self, caller: str, name: str, value: object) -> Any:
        """`value` as a leaf: a NumPy scalar or array, or a jax array where it was one."""
        array = self._as_array(caller, name, value)
        if array.ndim < self.rank:
            raise self._mistake(ValueError, caller, name, value, f"give a list: [{shown(value)}]")
        if array.size == 0 and not (self.increasing and 0 not in array.shape[:-1]):
            raise self._mistake(ValueError, caller, name, value)
        if is_concrete(array):
            self._check_values(caller, name, np.asarray(array), value)
        leaf = array.astype(self.dtype)
        return leaf[()] if isinstance(leaf, np.ndarray) else leaf

    def _mistake(self, error: type[Exception], caller: str, name: str, value: object, remedy: str | None = None) -> Exception:
        return argument_error(error, caller, name, self.needs, value, self.remedy if remedy is None else remedy)

    def _as_array(self, caller: str, name: str, value: object) -> np.ndarray[Any, Any] | jax.Array:
        given = value
        if isinstance(value, int) and not isinstance(value, bool) and self.dtype is np.float32:
            value = float(value) if abs(value) < 2**1023 else math.inf  # NumPy knows integers of 64 bits only
        try:
            array = as_array(value)
        except ValueError as error:  # a ragged list
            raise self._mistake(TypeError, caller, name, given) from error
        except jax.errors.TracerArrayConversionError:  # a list that holds tracers
            array = jnp.asarray(value)
        if array.size == 0 and not isinstance(value, np.ndarray | jax.Array):
            return array  # an empty list has no dtype of its own; its shape is what is wrong
        wanted = jnp.integer if self.dtype is np.int32 and not is_concrete(array) else jnp.number
        if jnp.issubdtype(array.dtype, wanted) and not jnp.issubdtype(array.dtype, jnp.complexfloating):
            return array
        if array.dtype == object and all(type(one) is int for one in np.ravel(array)):  # past 64 bits
            raise self._mistake(ValueError, caller, name, given, self._too_large)
        remedy = "give [] for none" if self.increasing and given is None else NO_QUOTES if is_number_text(given) else None
        raise self._mistake(TypeError, caller, name, given, remedy)

    def _check_values(self, caller: str, name: str, array: np.ndarray[Any, Any], value: object) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, which is refused
            stored = array.astype(np.float64) if self.dtype is np.int32 else array.astype(np.float32)
        remedy = self._remedy_for(stored)
        if remedy is not None:
            raise self._mistake(ValueError, caller, name, value, remedy)

    def _remedy_for(self, stored: np.ndarray[Any, Any]) -> str | None:
        """What to do about numbers that do not fit; None for numbers that do."""
        if not np.isfinite(stored).all():
            return self.remedy
        if self.open and self.low == 0 and ((stored > 0) & (stored < SMALLEST)).any():
            return f"what is below {SMALLEST:.2g} counts as 0 in float32"
        outside = (stored <= self.low) | (stored >= self.high) if self.open else (stored < self.low) | (stored > self.high)
        if outside.any():
            return f"counts begin at {self.low}" if self.increasing else self.remedy
        if self.dtype is not np.int32:
            return None
        if (np.abs(stored) > LARGEST).any():
            return self._too_large
        if (parts := stored[stored != np.floor(stored)]).size:
            return f"{parts[0]:g} is not whole: round it" if self.increasing else self.remedy
        if self.increasing and (steps := np.diff(stored, axis=-1)).min(initial=1) <= 0:
            return "sort it" if (steps < 0).any() else "drop the repeats"
        return None

    @property
    def _too_large(self) -> str:
        """The remedy for a number that int32 does not hold."""
        return f"the largest is {LARGEST}" + (f"; {self.beyond}" if self.beyond else "")


def whole_number(caller: str, name: str, value: Any, low: int = 1, high: float = math.inf) -> int:
    """`value` as a Python integer: a number that is known and whole, such as 140 or 140.0.

    >>> whole_number("plot", "steps", 140.0)
    140
    """
    needs = f"an integer of at least {low}" if high == math.inf else f"an integer from {low} to {high}"
    array = as_array(value)
    if array.ndim or not is_concrete(array) or array.dtype.kind not in "iuf":
        raise argument_error(TypeError, caller, name, needs, value)
    number = array.item()
    if not math.isfinite(number) or number != math.floor(number) or not low <= number <= high:
        raise argument_error(ValueError, caller, name, needs, value)
    return int(number)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A static field that holds one of a few words."""

    words: tuple[str, ...]

    def convert(self, caller: str, name: str, value: object) -> str:
        return choice(caller, name, value, self.words)


@dataclasses.dataclass(frozen=True)
class Static:
    """A static field: any hashable value, compared when jit looks for a trace."""

    def convert(self, caller: str, name: str, value: object) -> object:
        try:
            hash(value)
        except TypeError as error:
            raise argument_error(TypeError, caller, name, "hashable, because it is static under jit", value) from error
        return value


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A field that holds any pytree, as it is."""

    def convert(self, caller: str, name: str, value: object) -> object:
        return value


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
