"""Factors of lengths: ratios of small integers."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.fields._rules import Ratio, nearest_ratio, traced_ratio


@pytest.mark.parametrize("value", [1, 2, 0.5, 1.2, 1.1, 0.75, 3.5, 1.01, Fraction(7, 5), 1 / 3, 32768, 1 / 32768])
def test_length_factors_become_ratios(value: Any) -> None:
    """A number becomes the nearest ratio of small integers, the same one when it is traced."""
    numerator, denominator = nearest_ratio(float(value))
    assert abs(numerator / denominator - value) <= 1e-8 * value
    traced = jax.jit(traced_ratio)(jnp.float32(value))
    assert traced.numerator * denominator == traced.denominator * numerator
    assert lrax.Cycle(lrax.Hold(1.0, 5), Ratio(np.int32(6), np.int32(5))).length_factor == Ratio(6, 5)


@pytest.mark.parametrize("value", [(1 + 5**0.5) / 2, 2**0.5, 3**0.5, (5**0.5 - 1) / 2])
def test_a_traced_ratio_has_the_resolution_of_float32(value: float) -> None:
    """Numbers whose continued fractions converge slowly are as exact as others."""
    ratio = jax.jit(traced_ratio)(jnp.float32(value))
    assert int(ratio.numerator) / int(ratio.denominator) == pytest.approx(value, rel=2e-7)
