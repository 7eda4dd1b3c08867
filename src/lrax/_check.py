"""What is said about bad input, and the only file that knows tracers.

A `Rule` turns what a user wrote into a leaf of fixed dtype (float32 or int32), or raises an error that names the owner, the
argument, the value and the remedy. Values that are only known at run time (tracers, arrays that live on other hosts) are
checked for their dtype alone; each kind documents what it does with a bad one.
"""

import dataclasses
import difflib
import fractions
import math
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

LARGEST = 2**31 - 1
"""The largest count and the largest length, in updates."""

LARGEST_RATIO = 32768
"""The largest numerator and denominator of a `Ratio`: their product times anything below it stays within int32."""


def is_traced(value: object) -> bool:
    """Whether `value` stands for an array of a program that is being traced."""
    return isinstance(value, jax.core.Tracer)


def any_traced(tree: Any) -> bool:
    """Whether any leaf of a pytree is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def is_key(leaf: Any) -> bool:
    """Whether an array, or the shape of one, is of random keys."""
    return jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def is_known(value: object) -> bool:
    """Whether the numbers in `value` can be read now: no tracer, and no part of it on another host."""
    if is_traced(value):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def complain(error: type[Exception], owner: str, name: str, needs: str, value: object, remedy: str = "") -> Exception:
    """The one form of every message: who, which argument, what it must be, what it was, and what to do."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return error(f"{owner}: `{name}` must be {needs}, got {shown}" + (f"; {remedy}" if remedy else ""))


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
      increasing: whether the numbers along the last axis must rise strictly.
    """

    needs: str
    dtype: type[np.float32] | type[np.int32] = np.float32
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    remedy: str = ""
    rank: int = 0
    increasing: bool = False

    def convert(self, owner: str, name: str, value: object) -> Any:
        """`value` as a leaf: a NumPy scalar or array, or a jax array where it was one."""
        array = self._as_array(owner, name, value)
        if array.ndim < self.rank or array.size == 0:
            raise complain(ValueError, owner, name, self.needs, value, self.remedy)
        if is_known(array):
            self._check_values(owner, name, np.asarray(array), value)
        leaf = array.astype(self.dtype)
        return leaf[()] if isinstance(leaf, np.ndarray) else leaf

    def _as_array(self, owner: str, name: str, value: object) -> np.ndarray[Any, Any] | jax.Array:
        mistake = complain(TypeError, owner, name, self.needs, value, self.remedy)
        if isinstance(value, int) and not isinstance(value, bool) and self.dtype is np.float32:
            value = float(value) if abs(value) < 2**1023 else math.inf  # NumPy knows integers of 64 bits only
        try:
            array = value if isinstance(value, jax.Array) else np.asarray(value)
        except ValueError as error:  # a ragged list
            raise mistake from error
        except jax.errors.TracerArrayConversionError:  # a list that holds tracers
            array = jnp.asarray(value)
        if array.size == 0 and not isinstance(value, np.ndarray | jax.Array):
            return array  # an empty list has no dtype of its own; its shape is what is wrong
        wanted = jnp.integer if self.dtype is np.int32 else jnp.number
        if not jnp.issubdtype(array.dtype, wanted) or jnp.issubdtype(array.dtype, jnp.complexfloating):
            if array.dtype == object and isinstance(value, int) and self.dtype is np.int32:  # past 64 bits
                raise complain(ValueError, owner, name, self.needs, value, f"the largest length is {LARGEST}")
            raise mistake
        return array

    def _check_values(self, owner: str, name: str, array: np.ndarray[Any, Any], value: object) -> None:
        mistake = complain(ValueError, owner, name, self.needs, value, self.remedy)
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, which is refused
            stored = array.astype(np.float64) if self.dtype is np.int32 else array.astype(np.float32)
        if not np.isfinite(stored).all():
            raise mistake
        outside = (stored <= self.low) | (stored >= self.high) if self.open else (stored < self.low) | (stored > self.high)
        if outside.any():
            raise mistake
        if self.dtype is np.int32 and (np.abs(stored) > LARGEST).any():
            raise complain(ValueError, owner, name, self.needs, value, f"the largest length is {LARGEST}")
        if self.increasing and (np.diff(stored, axis=-1) <= 0).any():
            raise mistake


class Ratio(NamedTuple):
    """A factor as a fraction of two int32 numbers of at most 32768, so that lengths can be multiplied by it exactly."""

    numerator: Any
    denominator: Any

    def __repr__(self) -> str:
        if isinstance(self.numerator, np.int32) and isinstance(self.denominator, np.int32):
            return f"{self.numerator / self.denominator:.6g}"
        return f"Ratio({self.numerator!r}, {self.denominator!r})"


@dataclasses.dataclass(frozen=True)
class RatioRule:
    """A field that holds a positive factor of lengths: a number becomes its nearest ratio of small integers."""

    def convert(self, owner: str, name: str, value: object) -> Ratio:
        if isinstance(value, Ratio):
            return value
        if isinstance(value, fractions.Fraction):
            value = float(value)
        factor = Rule("a positive number of at most 32768", low=0, open=True, high=LARGEST_RATIO + 1)
        leaf = factor.convert(owner, name, value)
        if not is_known(leaf):
            return traced_ratio(leaf)
        nearest = np.vectorize(nearest_ratio, otypes=[np.int32, np.int32])
        numerator, denominator = nearest(np.asarray(value, dtype=np.float64))
        if not np.all(numerator):
            raise complain(ValueError, owner, name, "at least 1/32768", value)
        return Ratio(numerator[()], denominator[()])


def nearest_ratio(value: float) -> tuple[int, int]:
    """The nearest fraction to `value` with numerator and denominator of at most 32768.

    >>> nearest_ratio(1.2)
    (6, 5)
    """
    limit = LARGEST_RATIO if value <= 1 else max(1, int(LARGEST_RATIO / value))
    nearest = fractions.Fraction(value).limit_denominator(limit)
    return nearest.numerator, nearest.denominator


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

    zero, one = jnp.zeros_like(value, jnp.int32), jnp.ones_like(value, jnp.int32)
    start = (jax.lax.stop_gradient(value), zero, one, one, zero, jnp.ones_like(value, jnp.bool_))
    found = jax.lax.fori_loop(0, 12, expand, start)
    return Ratio(jnp.maximum(found[2], 1), jnp.maximum(found[4], 1))


@dataclasses.dataclass(frozen=True)
class Choice:
    """A static field that holds one of a few words."""

    words: tuple[str, ...]

    def convert(self, owner: str, name: str, value: object) -> str:
        return choice(owner, name, value, self.words)


@dataclasses.dataclass(frozen=True)
class Static:
    """A static field: any hashable value, compared when jit looks for a trace."""

    def convert(self, owner: str, name: str, value: object) -> object:
        try:
            hash(value)
        except TypeError as error:
            raise complain(TypeError, owner, name, "hashable, because it is static under jit", value) from error
        return value


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A field that holds any pytree, as it is."""

    def convert(self, owner: str, name: str, value: object) -> object:
        return value


def choice(owner: str, name: str, value: object, words: Sequence[str]) -> str:
    """`value` if it is one of `words`."""
    if not isinstance(value, str):
        raise complain(TypeError, owner, name, f"one of {', '.join(map(repr, words))}", value)
    if value not in words:
        close = difflib.get_close_matches(value, words, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else ""
        raise complain(ValueError, owner, name, f"one of {', '.join(map(repr, words))}", value, remedy)
    return value


def as_count(owner: str, value: Any) -> jax.Array:
    """`value`, the number of an update, as int32 in [0, 2**31 - 1]: what lies outside is brought to the nearer end."""
    if isinstance(value, int) and not isinstance(value, bool):
        return jnp.asarray(min(max(value, 0), LARGEST), jnp.int32)
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise complain(TypeError, owner, "count", "an integer, the 0-based number of the update", value, "use int(count)")
    if isinstance(array, np.ndarray):
        return jnp.asarray(np.clip(array, 0, min(LARGEST, np.iinfo(array.dtype).max)).astype(np.int32))
    return jnp.clip(array, 0, min(LARGEST, int(np.iinfo(array.dtype).max))).astype(jnp.int32)


RATE = Rule("a finite number")
POSITIVE = Rule("a finite number above 0", low=0, open=True)
STEPS = Rule("a whole number of updates, at least 1", np.int32, low=1, remedy="give an int such as 1000")
DELAY = Rule("a whole number of updates, at least 0", np.int32, low=0, remedy="give an int such as 100")

Rate: TypeAlias = Annotated[Any, RATE]
"""A field that holds a rate, or any other finite number: a float32 leaf."""
Rates: TypeAlias = Annotated[Any, Rule("a list of at least one finite number", rank=1)]
"""A field that holds a list of rates: a 1-D float32 leaf."""
Positive: TypeAlias = Annotated[Any, POSITIVE]
"""A field that holds a number above 0, such as a factor or a power: a float32 leaf."""
Fraction: TypeAlias = Annotated[Any, Rule("a fraction between 0 and 1", low=0, high=1, open=True)]
"""A field that holds a position inside a phase, 0 and 1 left out: a float32 leaf."""
Steps: TypeAlias = Annotated[Any, STEPS]
"""A field that holds a length in updates, at least 1: an int32 leaf."""
Delay: TypeAlias = Annotated[Any, DELAY]
"""A field that holds a length in updates that may be 0: an int32 leaf."""
Offset: TypeAlias = Annotated[Any, Rule("a whole number of updates", np.int32, remedy="give an int")]
"""A field that holds a number of updates of either sign: an int32 leaf."""
Boundaries: TypeAlias = Annotated[
    Any,
    Rule(
        "a list of at least one count, rising strictly, none below 0",
        np.int32,
        low=0,
        rank=1,
        increasing=True,
        remedy="sort it and drop repeats",
    ),
]
"""A field that holds counts in rising order: a 1-D int32 leaf."""
LengthFactor: TypeAlias = Annotated[Any, RatioRule()]
"""A field that holds a positive factor of lengths: two int32 leaves, numerator and denominator."""


def check_whole(owner: str, name: str, value: Any) -> None:
    """Raises if a value is not an integer of at least 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise complain(TypeError, owner, name, "an integer of at least 1", value)
    if value < 1:
        raise complain(ValueError, owner, name, "an integer of at least 1", value)
