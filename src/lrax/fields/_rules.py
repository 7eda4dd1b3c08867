"""What a field may hold, and what is said about bad input.

A `Rule` turns what a user wrote into a leaf of fixed dtype (float32 or int32), or raises an error that names the caller, the
argument, the value and the remedy. A length may be a float if it is whole (140.0); nothing is rounded. Values that are only
known at run time (tracers, arrays that live on other hosts) are checked for their dtype alone; each kind documents what it
does with a bad one.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_concrete
from lrax.fields._words import NO_QUOTES, argument_error, choice, is_number_text, shown

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
