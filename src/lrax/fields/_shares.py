"""Lengths that may be a share of a total: a number of updates, or a fraction between 0 and 1 that waits for the total.

A share is kept as a fraction of two small integers, so that it is what was written (0.1 is a tenth, not a float32 near it), and
of every total it is a whole number of updates by one rule, rounded up, wherever the total is known.
"""

import dataclasses
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_known
from lrax.fields._ratio import LARGEST_RATIO, Ratio, nearest_ratio, traced_ratio
from lrax.fields._rules import Rule
from lrax.fields._types import DELAY, EPOCHS, LARGER_UNITS, STEPS, Held, Maybe, Number, Numbers, Whole
from lrax.fields._words import complain

PARTS = 10_000
"""A traced share that is a whole number of ten-thousandths is taken as that; another as the nearest fraction that is found."""


@dataclasses.dataclass(frozen=True)
class LengthRule(Rule):
    """A length in updates (int32), or a share of a total (a `Ratio`), told apart by the type: a float below 1 is a share."""

    reads: str = "int | float | Array"

    def convert(self, owner: str, name: str, value: object) -> Any:
        if isinstance(value, Ratio):
            if all(map(is_known, value)) and not self._fits(*map(np.asarray, value)):
                raise complain(ValueError, owner, name, self.needs, value, self.remedy)
            return value
        try:
            array = as_array(value)
        except (ValueError, jax.errors.TracerArrayConversionError):  # a ragged list, or one that holds tracers
            return Rule.convert(self, owner, name, value)
        if not jnp.issubdtype(array.dtype, jnp.floating) or array.size == 0:
            return Rule.convert(self, owner, name, value)
        if not is_known(array):
            return _traced(jnp.asarray(array).astype(jnp.float32))
        return self._known(owner, name, np.asarray(array).astype(np.float32), value)

    def _fits(self, part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any]) -> bool:
        """Whether a fraction is one that this rule makes."""
        return bool(np.all((part >= (self.low > 0)) & (part < whole) & (whole <= LARGEST_RATIO)))

    def _known(self, owner: str, name: str, numbers: np.ndarray[Any, Any], value: object) -> Any:
        if np.any(numbers == 1):
            remedy = f"write {name}=1 for one update; the whole total is no part of it"
            raise complain(ValueError, owner, name, self.needs, value, remedy)
        if not np.any((numbers > 0) & (numbers < 1)):
            return Rule.convert(self, owner, name, value)
        if numbers.ndim < self.rank or (self.increasing and np.any(np.diff(numbers, axis=-1) <= 0)):
            raise complain(ValueError, owner, name, self.needs, value, self.remedy)
        if np.any((numbers < 0) | (numbers > 1)):
            raise complain(ValueError, owner, name, self.needs, value, "in one list all are shares, or none is")
        decimals = np.asarray(numbers.astype(str), np.float64)  # as they are written
        numerator, denominator = np.vectorize(nearest_ratio, otypes=[np.int32, np.int32])(decimals)
        if np.any((numerator == 0) & ((decimals > 0) | (self.low > 0))):
            raise complain(ValueError, owner, name, self.needs, value, f"the smallest share is 1/{LARGEST_RATIO}")
        return Ratio(numerator[()], denominator[()])


def _traced(share: jax.Array) -> Ratio:
    """The fraction for a share that is known only at run time; one outside [0, 1] is brought to the nearer end."""
    share = jnp.clip(jax.lax.stop_gradient(share), 0, 1)
    parts = jnp.round(share * PARTS)
    written = parts / PARTS == share
    near = traced_ratio(jnp.maximum(share, 1 / LARGEST_RATIO))
    numerator = jnp.where(written, parts.astype(jnp.int32), near.numerator)
    denominator = jnp.where(written, PARTS, near.denominator)
    common = jnp.maximum(jnp.gcd(numerator, denominator), 1)
    return Ratio(numerator // common, denominator // common)


def updates(length: Any, total: Any) -> Any:
    """A length in updates: a share of `total` rounded up to a whole number, anything else as it is.

    >>> print(updates(Ratio(np.int32(1), np.int32(100)), np.int32(10_050)))
    101
    """
    if not isinstance(length, Ratio):
        return length
    part, whole = length
    if all(map(is_known, (part, whole, total))):
        part, whole, total = (np.asarray(number) for number in (part, whole, total))
    return total // whole * part + -(-(total % whole * part) // whole)


_SHARE = ", or a share of the total between 0 and 1"
STEPS_OR_SHARE = LengthRule(STEPS.needs + _SHARE, np.int32, low=1, remedy="give an int such as 1000, or 0.1" + EPOCHS, beyond=LARGER_UNITS)
DELAY_OR_SHARE = LengthRule(DELAY.needs + _SHARE, np.int32, low=0, remedy="give an int such as 100, or 0.1" + EPOCHS, beyond=LARGER_UNITS)
ENDS_OR_SHARES = LengthRule(
    "a list of counts, or of shares of the total between 0 and 1, that rise strictly",
    np.int32,
    low=1,
    rank=1,
    increasing=True,
    remedy="give a list of ints such as [300, 600], or [0.3, 0.6]",
    beyond=LARGER_UNITS,
    reads="Sequence[int | float] | Array",
)
TOTAL = Rule(
    STEPS.needs,
    np.int32,
    low=1,
    remedy="left out, the plan waits for `over(total_steps)`, and what follows is given by name" + EPOCHS,
    beyond=LARGER_UNITS,
)

StepsOrShare: TypeAlias = Annotated[Held[Number | Ratio, Any], STEPS_OR_SHARE]
"""A field that holds the length of a part, at least 1: in updates, or as a share of the total."""
DelayOrShare: TypeAlias = Annotated[Held[Number | Ratio, Any], DELAY_OR_SHARE]
"""A field that holds the length of a part, which may be 0: in updates, or as a share of the total."""
MaybeStepsOrShare: TypeAlias = Annotated[Held[Number | Ratio | None, Any], Maybe(STEPS_OR_SHARE)]
MaybeDelayOrShare: TypeAlias = Annotated[Held[Number | Ratio | None, Any], Maybe(DELAY_OR_SHARE, zero=True)]
"""The length of a part that may be left out: None, or the number 0, leaves it out."""
EndsOrShares: TypeAlias = Annotated[Held[Numbers | Ratio, Any], ENDS_OR_SHARES]
"""A field that holds counts in rising order: in updates, or as shares of the total."""
Total: TypeAlias = Annotated[Held[Whole | None, Any], Maybe(TOTAL)]
"""A field that holds the total length in updates, or None for a plan that waits for it."""
