"""Field types: rules that check and convert what is put into a field, and the annotations that carry them.

An annotation has two sides. A type checker sees `Converted`: the types that may be given, and the type that is read. A schedule
class sees the rule, which converts the one into the other.

A length may be a fraction of a total. It is stored as a ratio of two small integers, so that 0.1 is a tenth, not the float32
next to it. Its number of steps is rounded up by one rule (`to_steps`), whether the total is concrete or traced. In a list of
counts and fractions a count is a ratio over 1, and the whole total is 2/2.
"""

import dataclasses
import fractions
import math
from collections.abc import Sequence
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import NO_QUOTES, argument_error, array_module, as_array, choice, is_concrete, is_number_text, shown

PyTree: TypeAlias = Any
"""A pytree of unknown structure."""
Array: TypeAlias = npt.NDArray[np.number] | jax.Array
Floats: TypeAlias = npt.NDArray[np.float32] | jax.Array
Ints: TypeAlias = npt.NDArray[np.int32] | jax.Array
Float: TypeAlias = np.float32 | jax.Array
"""What a field that takes a number holds: a float32 scalar, or an array of them for a batch of schedules."""
Int: TypeAlias = np.int32 | jax.Array
Number: TypeAlias = float | np.number | npt.NDArray[np.number] | jax.Array
Whole: TypeAlias = int | np.integer | npt.NDArray[np.number] | jax.Array
Numbers: TypeAlias = Sequence[Number] | Sequence[Sequence[Number]] | Array
Wholes: TypeAlias = Sequence[Whole] | Sequence[Sequence[Whole]] | Array

Given = TypeVar("Given", contravariant=True)
Read = TypeVar("Read", covariant=True)


class Converted(Generic[Given, Read]):
    """A descriptor for type checkers that takes one type and returns another. It is never instantiated."""

    def __get__(self, instance: object, owner: object = None, /) -> Read:
        raise NotImplementedError

    def __set__(self, instance: object, value: Given, /) -> None:
        raise NotImplementedError


def default(value: object) -> Any:
    """`value`, as the default of a field: `end: lrax.fields.Rate = lrax.fields.default(0.0)`.

    mypy and pyright refuse a bare `0.0` here, because they compare it with the type that is read.
    """
    return value


class Converter(Protocol):
    """A rule of a field."""

    def convert(self, caller: str, name: str, value: object) -> object:
        """`value` as the field holds it; raises an `argument_error` that names `caller` and `name` if it is not allowed."""


LARGEST = 2**31 - 1
"""The largest count and the largest length, in steps."""

SMALLEST = 2.0**-126
"""The smallest float32 number that processors distinguish from 0."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """The numbers that a field may hold.

    Attributes:
      needs: what the value must be, for messages.
      dtype: of the leaf.
      low, high: the smallest and the largest value allowed.
      open: whether `low` and `high` themselves are not allowed.
      remedy: what to do instead.
      rank: of the field of one schedule: 0 for a number, 1 for a list. One more leading axis makes a batch of schedules.
      increasing: whether the numbers along the last axis must rise strictly; such a list may be empty.
      beyond: what to do instead of a number past int32.
      reads: the type in the signature that an editor shows, if it is not the plain one.
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
    reads: str = ""

    def convert(self, caller: str, name: str, value: object) -> Any:
        """`value` as a leaf: a NumPy scalar or array, or a jax array if it was one."""
        if type(value) is self.dtype and not self.rank and self.low < value < self.high and abs(value) >= SMALLEST:
            return value  # as most numbers are in the parts of recipes, which are checked again
        array = self._as_array(caller, name, value)
        if array.ndim < self.rank:
            raise self._error(ValueError, caller, name, value, f"give a list: [{shown(value)}]")
        if array.size == 0 and not (self.increasing and 0 not in array.shape[:-1]):
            raise self._error(ValueError, caller, name, value)
        if is_concrete(array):
            self._check_values(caller, name, np.asarray(array), value)
        leaf = array.astype(self.dtype)
        return leaf[()] if isinstance(leaf, np.ndarray) else leaf

    def _error(self, error: type[Exception], caller: str, name: str, value: object, remedy: str | None = None) -> Exception:
        return argument_error(error, caller, name, self.needs, value, self.remedy if remedy is None else remedy)

    def _as_array(self, caller: str, name: str, value: object) -> npt.NDArray[np.generic] | jax.Array:
        given = value
        if isinstance(value, int) and not isinstance(value, bool) and self.dtype is np.float32:
            value = float(value) if abs(value) < 2**1023 else math.inf  # NumPy has integers of 64 bits only
        try:
            array = as_array(value)
        except ValueError as error:  # a ragged list
            raise self._error(TypeError, caller, name, given) from error
        except jax.errors.TracerArrayConversionError:  # a list that holds tracers
            array = jnp.asarray(value)
        if array.size == 0 and not isinstance(value, np.ndarray | jax.Array):
            return array  # an empty list has no dtype; its shape is the mistake
        wanted = jnp.integer if self.dtype is np.int32 and not is_concrete(array) else jnp.number
        if jnp.issubdtype(array.dtype, wanted) and not jnp.issubdtype(array.dtype, jnp.complexfloating):
            return array
        if array.dtype == object and all(type(one) is int for one in np.ravel(array)):  # past 64 bits
            raise self._error(ValueError, caller, name, given, self._too_large)
        remedy = "give [] for none" if self.increasing and given is None else NO_QUOTES if is_number_text(given) else None
        raise self._error(TypeError, caller, name, given, remedy)

    def _check_values(self, caller: str, name: str, array: npt.NDArray[np.number], value: object) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # a number that does not fit becomes infinite and is refused
            stored = array.astype(np.float64) if self.dtype is np.int32 else array.astype(np.float32)
        remedy = self._remedy_for(stored)
        if remedy is not None:
            raise self._error(ValueError, caller, name, value, remedy)

    def _remedy_for(self, stored: npt.NDArray[np.number]) -> str | None:
        """What to do about numbers that are not allowed; None if all are."""
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
        return not_rising(stored) if self.increasing else None

    @property
    def _too_large(self) -> str:
        """The remedy for a number that int32 cannot hold."""
        return f"the largest is {LARGEST}" + (f"; {self.beyond}" if self.beyond else "")


def not_rising(numbers: npt.NDArray[np.number]) -> str | None:
    """What to do about lists that do not rise strictly; None if they do."""
    steps = np.diff(numbers, axis=-1)
    return None if steps.min(initial=1) > 0 else "sort it" if (steps < 0).any() else "drop the repeats"


def whole_number(caller: str, name: str, value: object, low: int = 1, high: float = math.inf) -> int:
    """`value` as a Python integer: a concrete whole number, such as 140 or 140.0.

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
    """A static field: any hashable value, which jit compares when it looks for a trace."""

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


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A field that may hold None.

    Attributes:
      rule: for any other value.
      zero: whether the number 0 means None; an array or a traced 0 does not.
    """

    rule: Converter
    zero: bool = False

    def convert(self, caller: str, name: str, value: object) -> object:
        is_zero = isinstance(value, int | float | np.number) and value == 0 and value is not False
        return None if value is None or (self.zero and is_zero) else self.rule.convert(caller, name, value)


LARGEST_RATIO = 32768
"""The largest numerator and denominator of a `Ratio`: their product times anything below it stays within int32."""


class Ratio(NamedTuple):
    """A factor or a fraction as two int32 numbers of at most 32768, so that lengths can be multiplied by it exactly."""

    numerator: Int | Ints
    denominator: Int | Ints

    def __repr__(self) -> str:
        if isinstance(self.numerator, np.int32) and isinstance(self.denominator, np.int32):
            return f"{self.numerator / self.denominator:.6g}"
        return f"Ratio({self.numerator!r}, {self.denominator!r})"


FACTOR = Rule("a positive number of at most 32768", low=0, open=True, high=LARGEST_RATIO + 1)
TIME_FACTOR = Rule("a number of steps above 0", low=0, open=True, high=LARGEST + 1)
WHOLE = Rule("a number of steps above 0", np.int32, low=1, remedy="give a number such as 1000")


@dataclasses.dataclass(frozen=True)
class RatioRule:
    """A field that holds a positive factor: a number becomes its nearest ratio of small integers.

    Attributes:
      of_time: whether counts are divided by the factor. It may then be any whole number, or a ratio of integers whose product
        is an int32 number. A factor of lengths has integers of at most 32768.
    """

    of_time: bool = False
    reads: str = "float | Array"

    def convert(self, caller: str, name: str, value: object) -> Ratio:
        largest = LARGEST if self.of_time else LARGEST_RATIO
        if isinstance(value, Ratio):
            if all(map(is_concrete, value)):
                parts = [np.asarray(part, np.float64) for part in value]
                small = all((part >= 1).all() and (part <= largest).all() for part in parts)
                if not small or np.any(parts[0] * parts[1] > LARGEST):
                    raise argument_error(ValueError, caller, name, f"a ratio of integers from 1 to {largest}", value)
            return value
        if isinstance(value, fractions.Fraction):
            value = value.numerator / value.denominator if value < 2**1023 else math.inf
        if self.of_time and _has_integers(value):
            leaf = WHOLE.convert(caller, name, value)
            return Ratio(leaf, leaf * np.int32(0) + np.int32(1))  # NumPy 1 makes int64 of a plain 0
        leaf = (TIME_FACTOR if self.of_time else FACTOR).convert(caller, name, value)
        if not is_concrete(leaf):
            return traced_ratio(leaf)
        nearest = np.vectorize(nearest_time_factor if self.of_time else nearest_ratio, otypes=[np.int32, np.int32])
        numerator, denominator = nearest(np.asarray(value, dtype=np.float64))
        if not np.all(numerator):
            raise argument_error(ValueError, caller, name, f"at least 1/{largest}", value)
        return Ratio(numerator[()], denominator[()])


def _has_integers(value: object) -> bool:
    """Whether a number, concrete or traced, has an integer type."""
    try:
        return jnp.issubdtype(as_array(value).dtype, jnp.integer)
    except (ValueError, jax.errors.TracerArrayConversionError):  # a list, about which the rule says more
        return False


def nearest_ratio(value: float) -> tuple[int, int]:
    """The nearest fraction to `value` with numerator and denominator of at most 32768: (6, 5) for 1.2."""
    return nearest_fraction(value, LARGEST_RATIO if value <= 1 else max(1, int(LARGEST_RATIO / value)))


def nearest_time_factor(value: float) -> tuple[int, int]:
    """The nearest fraction to `value` whose numerator and denominator have a product below 2**31."""
    return nearest_fraction(value, max(1, int(((LARGEST - 2**17) / value) ** 0.5)))


def nearest_fraction(value: float, limit: int) -> tuple[int, int]:
    """The nearest fraction to `value` whose denominator is at most `limit`.

    As `fractions.Fraction.limit_denominator`, in a tenth of its time: a batch has thousands of them.

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
    """`nearest_ratio` of a traced number by continued fractions (float32 resolution)."""

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
    found = jax.lax.fori_loop(0, TERMS, expand, (value, zero, one, one, zero, one > 0))
    return Ratio(jnp.maximum(found[2], 1), jnp.maximum(found[4], 1))


@dataclasses.dataclass(frozen=True)
class LengthRule(Rule):
    """A length in steps (int32), or a fraction of a total (a `Ratio`). A float below 1 is a fraction."""

    reads: str = "int | float | Array"

    def convert(self, caller: str, name: str, value: object) -> Any:
        if isinstance(value, Ratio):
            listed = np.ndim(value.numerator) >= self.rank and np.shape(value.numerator) == np.shape(value.denominator)
            if not listed or (all(map(is_concrete, value)) and not self._allows(*map(np.asarray, value))):
                raise self._error(ValueError, caller, name, value)
            return value
        try:
            array = as_array(value)
        except (ValueError, jax.errors.TracerArrayConversionError):  # a ragged list, or one that holds tracers
            return Rule.convert(self, caller, name, value)
        if not jnp.issubdtype(array.dtype, jnp.floating) or array.size == 0:
            return Rule.convert(self, caller, name, value)
        if not is_concrete(array):
            return _traced_fraction(jnp.asarray(array).astype(jnp.float32))
        return self._convert_floats(caller, name, np.asarray(array), value)

    def _allows(self, part: npt.NDArray[np.number], whole: npt.NDArray[np.number]) -> bool:
        """Whether a ratio is one that this rule makes: a number of steps over 1, a fraction, or the whole total."""
        number = (whole == 1) & (part >= self.low)
        fraction = (part >= (self.low > 0)) & (part < whole) & (whole <= LARGEST_RATIO)
        return bool(np.all(number | fraction | ((part == whole) & (self.rank > 0))))

    def _convert_floats(self, caller: str, name: str, array: npt.NDArray[np.number], value: object) -> Ratio:
        """The ratios of numbers of which some are fractions; in a list, a 1.0 after a fraction is the whole total."""
        if array.ndim < self.rank:
            raise self._error(ValueError, caller, name, value, f"give a list: [{shown(value)}]")
        numbers = array.astype(np.float64)
        fractional = (numbers > 0) & (numbers < 1)
        listed = self.rank and fractional.ndim
        whole = (numbers == 1) & (np.logical_or.accumulate(fractional, axis=-1) if listed else False)
        if np.any((numbers == 1) & ~whole & self._unclear(fractional, value)):
            one = "[1]" if self.rank else f"{name}=1"
            raise self._error(ValueError, caller, name, value, f"write {one} for one step; the whole total is no part of it")
        if not np.any(fractional):
            return Rule.convert(self, caller, name, value)
        rows = (-1, numbers.shape[-1]) if listed else (1, -1)
        for row, ratios in zip(numbers.reshape(rows), (fractional | whole).reshape(rows), strict=True):
            # whether fractions rise among counts can be checked only when there is a total
            remedy = self._remedy_for(row[~ratios]) or (not_rising(row[ratios]) if self.increasing else None)
            if remedy is not None:
                raise self._error(ValueError, caller, name, value, remedy)
        decimals = np.asarray(array.astype(np.float32).astype(str), np.float64)  # as they are written
        numerator, denominator = np.vectorize(nearest_ratio, otypes=[np.int32, np.int32])(np.where(fractional, decimals, 0.5))
        if np.any(numerator == 0):
            raise self._error(ValueError, caller, name, value, f"the smallest fraction is 1/{LARGEST_RATIO}")
        numerator = np.where(fractional, numerator, np.where(whole, 2, numbers)).astype(np.int32)
        denominator = np.where(fractional, denominator, np.where(whole, 2, 1)).astype(np.int32)
        return Ratio(numerator[()], denominator[()])

    def _unclear(self, fractional: npt.NDArray[np.bool_], value: object) -> npt.NDArray[np.bool_]:
        """Where a 1 may be a step or the whole total: a float, alone or next to fractions."""
        given = np.array(value, object) if isinstance(value, list | tuple) else np.asarray(value, object)
        floats = np.vectorize(lambda one: not isinstance(one, int | np.integer), otypes=[bool])(given)
        alone = self.rank == 0 or fractional.shape[-1] == 1
        return np.asarray(floats & (True if alone else fractional.any(axis=-1, keepdims=True)))


TEN_THOUSANDTHS = 10_000


def _traced_fraction(value: jax.Array) -> Ratio:
    """The ratio of a traced fraction, clipped to [0, 1]: exact for whole ten-thousandths, otherwise the nearest one found."""
    value = jnp.clip(jax.lax.stop_gradient(value), 0, 1)
    parts = jnp.round(value * TEN_THOUSANDTHS)
    written = parts / TEN_THOUSANDTHS == value
    near = traced_ratio(jnp.maximum(value, 1 / LARGEST_RATIO))
    numerator = jnp.where(written, parts.astype(jnp.int32), near.numerator)
    denominator = jnp.where(written, TEN_THOUSANDTHS, near.denominator)
    common = jnp.maximum(jnp.gcd(numerator, denominator), 1)
    common = jnp.where(numerator == denominator, denominator // 2, common)  # 1/1 would be one step
    return Ratio(numerator // common, denominator // common)


def to_steps(length: Int | Ints | Ratio, total: Int) -> Any:
    """A length in steps: a fraction of `total` rounded up, anything else as it is.

    >>> print(to_steps(Ratio(np.int32(1), np.int32(100)), np.int32(10_050)))
    101
    """
    if not isinstance(length, Ratio):
        return length
    xp = array_module(*length, total)
    part, whole, steps = (np.asarray(one) if xp is np else one for one in (*length, total))
    fraction = xp.where(whole == 1, xp.zeros_like(part), part)  # over 1 it is a number of steps
    rounded = steps // whole * fraction + -(-(steps % whole * fraction) // whole)
    return xp.where(whole == 1, part, rounded)[()]


EPOCHS = "; lrax.steps_for(epochs=...) counts the steps of epochs"
LARGER_UNITS = (
    "plan in larger units, lrax.Clock(batch_size, unit=...).to_steps(schedule), "
    "or leave the length out: lrax.Constant has no end"
)
RATE = Rule("a finite number")
RATES = Rule("a list of at least one finite number", rank=1)
POSITIVE = Rule("a finite number above 0", low=0, open=True)
FRACTION = Rule("a fraction between 0 and 1", low=0, high=1, open=True)
STEPS = Rule(
    "a whole number of steps, at least 1", np.int32, 1, remedy="give an int such as 1000" + EPOCHS, beyond=LARGER_UNITS
)
DELAY = Rule("a whole number of steps, at least 0", np.int32, 0, remedy="give an int such as 100" + EPOCHS, beyond=LARGER_UNITS)
TIMES = Rule("a whole number of times, at least 1", np.int32, low=1, remedy="give an int such as 3")
OFFSET = Rule("a whole number of steps", np.int32, remedy="give an int", beyond=LARGER_UNITS)
INTEGER = Rule("an integer", np.int32)
BOUNDARIES = Rule(
    "a list of whole counts that rise strictly, none below 0",
    np.int32,
    low=0,
    rank=1,
    increasing=True,
    remedy="give a list of ints such as [300, 600]",
    beyond=LARGER_UNITS,
)
_OR_FRACTION = ", or a fraction of the total between 0 and 1"
STEPS_OR_FRACTION = LengthRule(
    STEPS.needs + _OR_FRACTION, np.int32, low=1, remedy="give an int such as 1000, or 0.1" + EPOCHS, beyond=LARGER_UNITS
)
DELAY_OR_FRACTION = LengthRule(
    DELAY.needs + _OR_FRACTION, np.int32, low=0, remedy="give an int such as 100, or 0.1" + EPOCHS, beyond=LARGER_UNITS
)
COUNTS_OR_FRACTIONS = LengthRule(
    "a list of counts, or of fractions of the total between 0 and 1, that rise strictly",
    np.int32,
    low=0,
    rank=1,
    increasing=True,
    remedy="give a list of ints such as [300, 600], or of fractions such as [0.3, 0.6]",
    beyond=LARGER_UNITS,
    reads="Sequence[int | float] | Array",
)
ENDS_OR_FRACTIONS = dataclasses.replace(COUNTS_OR_FRACTIONS, low=1)
TOTAL = dataclasses.replace(STEPS, remedy="leave it out to set it later: plan.with_total_steps(10_000)" + EPOCHS)

Rate: TypeAlias = Annotated[Converted[Number, Float], RATE]
"""A field that holds a learning rate, or any other finite number: a float32 leaf."""
Rates: TypeAlias = Annotated[Converted[Numbers, Floats], RATES]
"""A field that holds a list of learning rates: a 1-D float32 leaf."""
Positive: TypeAlias = Annotated[Converted[Number, Float], POSITIVE]
"""A field that holds a number above 0 (from 1.2e-38 on), such as a factor or a power: a float32 leaf."""
Fraction: TypeAlias = Annotated[Converted[Number, Float], FRACTION]
"""A field that holds a position inside a phase, 0 and 1 excluded: a float32 leaf."""
Steps: TypeAlias = Annotated[Converted[Whole, Int], STEPS]
"""A field that holds a length in steps, at least 1, an integer or a whole float: an int32 leaf."""
Delay: TypeAlias = Annotated[Converted[Whole, Int], DELAY]
"""A field that holds a length in steps that may be 0: an int32 leaf."""
Times: TypeAlias = Annotated[Converted[Whole, Int], TIMES]
Offset: TypeAlias = Annotated[Converted[Whole, Int], OFFSET]
"""A field that holds a number of steps of either sign: an int32 leaf."""
Integer: TypeAlias = Annotated[Converted[Whole, Int], INTEGER]
Boundaries: TypeAlias = Annotated[Converted[Wholes, Ints], BOUNDARIES]
"""A field that holds counts that rise, or none: a 1-D int32 leaf."""
LengthFactor: TypeAlias = Annotated[Converted[Number | Ratio, Ratio], RatioRule()]
"""A field that holds a positive factor of lengths: two int32 leaves, numerator and denominator."""
TimeFactor: TypeAlias = Annotated[Converted[Number | Ratio, Ratio], RatioRule(of_time=True)]
MaybeRate: TypeAlias = Annotated[Converted[Number | None, Float | None], Maybe(RATE)]
MaybePositive: TypeAlias = Annotated[Converted[Number | None, Float | None], Maybe(POSITIVE)]
MaybeSteps: TypeAlias = Annotated[Converted[Whole | None, Int | None], Maybe(STEPS)]
Part: TypeAlias = Annotated[Converted[Whole | None, Int | None], Maybe(DELAY, zero=True)]
"""The length of a part that may be left out: None, or the number 0."""
StepsOrFraction: TypeAlias = Annotated[Converted[Number | Ratio, Int | Ratio], STEPS_OR_FRACTION]
"""The length of a part, at least 1: in steps, or as a fraction of the total."""
DelayOrFraction: TypeAlias = Annotated[Converted[Number | Ratio, Int | Ratio], DELAY_OR_FRACTION]
"""The length of a part, which may be 0: in steps, or as a fraction of the total."""
MaybeDelayOrFraction: TypeAlias = Annotated[
    Converted[Number | Ratio | None, Int | Ratio | None], Maybe(DELAY_OR_FRACTION, zero=True)
]
EndsOrFractions: TypeAlias = Annotated[Converted[Numbers | Ratio, Ints | Ratio], ENDS_OR_FRACTIONS]
CountsOrFractions: TypeAlias = Annotated[Converted[Numbers | Ratio, Ints | Ratio], COUNTS_OR_FRACTIONS]
"""Counts that rise, or none: in steps, as fractions of the total, or both."""
Total: TypeAlias = Annotated[Converted[Whole | None, Int | None], Maybe(TOTAL)]
"""The total length in steps, or None for a plan that needs it."""


def path_of(keys: tuple[object, ...]) -> str:
    """The keys that lead to a leaf, joined by `/`, without the attribute `value` of a Flax NNX variable.

    An optimizer of NNX is initialized with variables and updated with arrays: their paths have to be the same.
    """
    if len(keys) > 1 and isinstance(keys[-1], jax.tree_util.GetAttrKey) and keys[-1].name == "value":
        keys = keys[:-1]
    return jax.tree_util.keystr(keys, simple=True, separator="/")
