"""Factors of lengths as fractions of small integers, so that lengths can be multiplied exactly."""

import dataclasses
import fractions
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._rules import Rule
from lrax.fields._words import complain

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

    value = jax.lax.stop_gradient(value)
    zero = (value * 0).astype(jnp.int32)  # varies over devices as the value does, as the carry of a loop has to
    one = zero + 1
    start = (value, zero, one, one, zero, one > 0)
    found = jax.lax.fori_loop(0, 12, expand, start)
    return Ratio(jnp.maximum(found[2], 1), jnp.maximum(found[4], 1))
