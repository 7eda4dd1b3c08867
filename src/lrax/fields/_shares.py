"""Lengths that may be a share of a total: a number of updates, or a fraction between 0 and 1 that waits for the total.

A share is kept as a fraction of two small integers, so that it is what was written (0.1 is a tenth, not a float32 near it), and
of every total it is a whole number of updates by one rule, rounded up, wherever the total is known. Where some of several
lengths are shares, the others are fractions over 1: numbers of updates. All of the total is 2/2.
"""

import dataclasses
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, as_array, is_concrete, shown
from lrax.fields._rules import LARGEST_RATIO, Ratio, Rule, nearest_ratio, traced_ratio
from lrax.fields._types import DELAY, EPOCHS, LARGER_UNITS, STEPS, Converted, Maybe, Number, Numbers, Whole

PARTS = 10_000
"""A traced share that is a whole number of ten-thousandths is taken as that; another as the nearest fraction that is found."""


@dataclasses.dataclass(frozen=True)
class LengthRule(Rule):
    """A length in updates (int32), or a share of a total (a `Ratio`), told apart by the type: a float below 1 is a share."""

    reads: str = "int | float | Array"

    def convert(self, caller: str, name: str, value: object) -> Any:
        if isinstance(value, Ratio):
            listed = np.ndim(value.numerator) >= self.rank and np.shape(value.numerator) == np.shape(value.denominator)
            if not listed or (all(map(is_concrete, value)) and not self._fits(*map(np.asarray, value))):
                raise argument_error(ValueError, caller, name, self.needs, value, self.remedy)
            return value
        try:
            array = as_array(value)
        except (ValueError, jax.errors.TracerArrayConversionError):  # a ragged list, or one that holds tracers
            return Rule.convert(self, caller, name, value)
        if not jnp.issubdtype(array.dtype, jnp.floating) or array.size == 0:
            return Rule.convert(self, caller, name, value)
        if not is_concrete(array):
            return _traced(jnp.asarray(array).astype(jnp.float32))
        return self._known(caller, name, np.asarray(array), value)

    def _fits(self, part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any]) -> bool:
        """Whether a fraction is one that this rule makes: a number of updates over 1, a part of the total, or all of it."""
        number = (whole == 1) & (part >= self.low)
        fraction = (part >= (self.low > 0)) & (part < whole) & (whole <= LARGEST_RATIO)
        return bool(np.all(number | fraction | ((part == whole) & (self.rank > 0))))

    def _known(self, caller: str, name: str, array: np.ndarray[Any, Any], value: object) -> Any:
        if array.ndim < self.rank:
            raise argument_error(ValueError, caller, name, self.needs, value, f"give a list: [{shown(value)}]")
        numbers = array.astype(np.float64)
        fractional = (numbers > 0) & (numbers < 1)
        whole = (numbers == 1) & self._after(fractional)
        if np.any((numbers == 1) & ~whole & self._unclear(fractional, value)):
            one = "[1]" if self.rank else f"{name}=1"
            raise argument_error(
                ValueError, caller, name, self.needs, value, f"write {one} for one update; the whole total is no part of it"
            )
        if not np.any(fractional):
            return Rule.convert(self, caller, name, value)
        for row, shares in zip(self._rows(numbers), self._rows(fractional | whole), strict=True):
            remedy = self._remedy_for(row[~shares])  # whether shares rise among counts is seen once there is a total
            steps = np.diff(row[shares]) if self.increasing else np.ones(1)
            remedy = remedy if steps.min(initial=1) > 0 else "sort it" if (steps < 0).any() else "drop the repeats"
            if remedy is not None:
                raise argument_error(ValueError, caller, name, self.needs, value, remedy)
        decimals = np.asarray(array.astype(np.float32).astype(str), np.float64)  # as they are written
        numerator, denominator = np.vectorize(nearest_ratio, otypes=[np.int32, np.int32])(np.where(fractional, decimals, 0.5))
        if np.any(numerator == 0):
            raise argument_error(ValueError, caller, name, self.needs, value, f"the smallest share is 1/{LARGEST_RATIO}")
        numerator = np.where(fractional, numerator, np.where(whole, 2, numbers)).astype(np.int32)
        denominator = np.where(fractional, denominator, np.where(whole, 2, 1)).astype(np.int32)
        return Ratio(numerator[()], denominator[()])

    def _rows(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The lists in a batch of lists; of numbers by themselves, one list of all."""
        return numbers.reshape(-1, numbers.shape[-1]) if self.rank else numbers.reshape(1, -1)

    def _after(self, fractional: np.ndarray[Any, Any]) -> Any:
        """Where a 1 is the whole total: in a list after a fraction, for there it can be no number of updates."""
        return np.logical_or.accumulate(fractional, axis=-1) if self.rank and fractional.ndim else False

    def _unclear(self, fractional: np.ndarray[Any, Any], value: object) -> Any:
        """Where a 1 may be an update or the whole total: a float, alone or beside fractions."""
        given = np.array(value, object) if isinstance(value, list | tuple) else np.asarray(value, object)
        floats = np.vectorize(lambda one: not isinstance(one, int | np.integer), otypes=[bool])(given)
        alone = self.rank == 0 or fractional.shape[-1] == 1
        return floats & (True if alone else fractional.any(axis=-1, keepdims=True))


def _traced(share: jax.Array) -> Ratio:
    """The fraction for a share that is known only at run time; one outside [0, 1] is brought to the nearer end."""
    share = jnp.clip(jax.lax.stop_gradient(share), 0, 1)
    parts = jnp.round(share * PARTS)
    written = parts / PARTS == share
    near = traced_ratio(jnp.maximum(share, 1 / LARGEST_RATIO))
    numerator = jnp.where(written, parts.astype(jnp.int32), near.numerator)
    denominator = jnp.where(written, PARTS, near.denominator)
    common = jnp.maximum(jnp.gcd(numerator, denominator), 1)
    common = jnp.where(numerator == denominator, denominator // 2, common)  # 1/1 would be one update
    return Ratio(numerator // common, denominator // common)


def updates(length: Any, total: Any) -> Any:
    """A length in updates: a share of `total` rounded up to a whole number, anything else as it is.

    >>> print(updates(Ratio(np.int32(1), np.int32(100)), np.int32(10_050)))
    101
    """
    if not isinstance(length, Ratio):
        return length
    part, whole = length
    array: Any = jnp
    if all(map(is_concrete, (part, whole, total))):
        array, part, whole, total = np, np.asarray(part), np.asarray(whole), np.asarray(total)
    share = array.where(whole == 1, array.zeros_like(part), part)  # over 1 is a number of updates
    rounded = total // whole * share + -(-(total % whole * share) // whole)
    return array.where(whole == 1, part, rounded)[()]


_SHARE = ", or a share of the total between 0 and 1"
STEPS_OR_SHARE = LengthRule(
    STEPS.needs + _SHARE, np.int32, low=1, remedy="give an int such as 1000, or 0.1" + EPOCHS, beyond=LARGER_UNITS
)
DELAY_OR_SHARE = LengthRule(
    DELAY.needs + _SHARE, np.int32, low=0, remedy="give an int such as 100, or 0.1" + EPOCHS, beyond=LARGER_UNITS
)
_LIST = LengthRule(
    "a list of counts, or of shares of the total between 0 and 1, that rise strictly",
    np.int32,
    low=0,
    rank=1,
    increasing=True,
    remedy="give a list of ints such as [300, 600], or of shares such as [0.3, 0.6]",
    beyond=LARGER_UNITS,
    reads="Sequence[int | float] | Array",
)
COUNTS_OR_SHARES = _LIST
ENDS_OR_SHARES = dataclasses.replace(_LIST, low=1)
TOTAL = Rule(
    STEPS.needs,
    np.int32,
    low=1,
    remedy="left out, the plan waits for `over(total_steps)`, and what follows is given by name" + EPOCHS,
    beyond=LARGER_UNITS,
)

StepsOrShare: TypeAlias = Annotated[Converted[Number | Ratio, Any], STEPS_OR_SHARE]
"""A field that holds the length of a part, at least 1: in updates, or as a share of the total."""
DelayOrShare: TypeAlias = Annotated[Converted[Number | Ratio, Any], DELAY_OR_SHARE]
"""A field that holds the length of a part, which may be 0: in updates, or as a share of the total."""
MaybeStepsOrShare: TypeAlias = Annotated[Converted[Number | Ratio | None, Any], Maybe(STEPS_OR_SHARE)]
MaybeDelayOrShare: TypeAlias = Annotated[Converted[Number | Ratio | None, Any], Maybe(DELAY_OR_SHARE, zero=True)]
"""The length of a part that may be left out: None, or the number 0, leaves it out."""
EndsOrShares: TypeAlias = Annotated[Converted[Numbers | Ratio, Any], ENDS_OR_SHARES]
"""A field that holds counts in rising order, at least 1, or none: in updates, or as shares of the total."""
CountsOrShares: TypeAlias = Annotated[Converted[Numbers | Ratio, Any], COUNTS_OR_SHARES]
"""A field that holds counts in rising order, or none: in updates, or as shares of the total, or both."""
Total: TypeAlias = Annotated[Converted[Whole | None, Any], Maybe(TOTAL)]
"""A field that holds the total length in updates, or None for a plan that waits for it."""
