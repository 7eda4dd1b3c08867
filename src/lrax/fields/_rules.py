"""What a field may hold, and what is said about bad input.

A `Rule` turns what a user wrote into a leaf of fixed dtype (float32 or int32), or raises an error that names the owner, the
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

from lrax.fields._known import as_array, is_known
from lrax.fields._words import choice, complain

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
            array = as_array(value)
        except ValueError as error:  # a ragged list
            raise mistake from error
        except jax.errors.TracerArrayConversionError:  # a list that holds tracers
            array = jnp.asarray(value)
        if array.size == 0 and not isinstance(value, np.ndarray | jax.Array):
            return array  # an empty list has no dtype of its own; its shape is what is wrong
        wanted = jnp.integer if self.dtype is np.int32 and not is_known(array) else jnp.number
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
        if self.open and self.low == 0 and ((stored > 0) & (stored < SMALLEST)).any():
            raise complain(ValueError, owner, name, self.needs, value, f"what is below {SMALLEST:.2g} counts as 0 in float32")
        outside = (stored <= self.low) | (stored >= self.high) if self.open else (stored < self.low) | (stored > self.high)
        if outside.any():
            raise mistake
        if self.dtype is np.int32 and (np.abs(stored) > LARGEST).any():
            raise complain(ValueError, owner, name, self.needs, value, f"the largest length is {LARGEST}")
        if self.dtype is np.int32 and (stored != np.floor(stored)).any():
            raise mistake
        if self.increasing and (np.diff(stored, axis=-1) <= 0).any():
            raise mistake


def whole_number(owner: str, name: str, value: Any, low: int = 1, high: float = math.inf) -> int:
    """`value` as a Python integer: a number that is known and whole, such as 140 or 140.0.

    >>> whole_number("plot", "steps", 140.0)
    140
    """
    needs = f"an integer of at least {low}" if high == math.inf else f"an integer from {low} to {high}"
    array = as_array(value)
    if array.ndim or not is_known(array) or array.dtype.kind not in "iuf":
        raise complain(TypeError, owner, name, needs, value)
    number = array.item()
    if not math.isfinite(number) or number != math.floor(number) or not low <= number <= high:
        raise complain(ValueError, owner, name, needs, value)
    return int(number)


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
