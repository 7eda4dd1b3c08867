"""Phases: the tutorials' own numbers, and the ends."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from schedule_case import rates_at

FALLING = {
    "Linear": lrax.Linear(0.3, 0.01, 100),
    "Cosine": lrax.Cosine(0.3, 0.01, 100),
    "Polynomial": lrax.Polynomial(0.3, 0.01, 100),
    "Geometric": lrax.Geometric(0.3, 0.01, 100),
}


@pytest.mark.parametrize("phase", FALLING.values(), ids=FALLING)
def test_the_rule_card(phase: Any) -> None:
    """At count 0 the start, at `steps` the end, held for ever, and never up on the way down."""
    np.testing.assert_array_equal(rates_at(phase, [0, 100, 101, 10_000, 2**31 - 1]), np.float32([0.3] + [0.01] * 4))
    assert (np.diff(rates_at(phase, range(102))) <= 0).all()


def test_tutorial_polynomial() -> None:
    """Tutorial 1: a quadratic falls from 0.998 at iteration 1 to 0 at iteration 1000, and stays."""
    schedule = lrax.Shift(lrax.Polynomial(1.0, 0.0, 1000, power=2), 1)  # counted from 1
    np.testing.assert_allclose(rates_at(schedule, [0, 999, 1499]), [0.998001, 0.0, 0.0], rtol=1e-6)


def test_tutorial_cosine() -> None:
    """Tutorials 1 and 2: half a cosine from 2 to 1 over 1000 iterations, 1 ever after."""
    schedule = lrax.Shift(lrax.Cosine(2.0, 1.0, 1000), 1)
    iterations = np.arange(1, 1501)
    want = [1 + (1 + math.cos(min(i, 1000) * math.pi / 1000)) / 2 for i in iterations]
    np.testing.assert_allclose(schedule(jnp.asarray(iterations - 1)), want, rtol=1e-6)


def test_tutorial_slanted_triangle() -> None:
    """Tutorial 2: from 1 to 2 in 200 iterations and back to 1 in 800, then 1."""
    schedule = lrax.Shift(lrax.Triangle(1.0, 2.0, 1000, rise=0.2), 1)
    np.testing.assert_allclose(rates_at(schedule, [99, 199, 599, 999, 1499]), [1.5, 2.0, 1.5, 1.0, 1.0], rtol=1e-6)


def test_triangle_with_its_peak_between_updates() -> None:
    """Where the peak lies between two updates, both sides stay on their lines."""
    np.testing.assert_allclose(
        rates_at(lrax.Triangle(0.0, 1.0, 5), range(7)), [0, 0.4, 0.8, 0.8, 0.4, 0, 0], rtol=1e-6, atol=1e-9
    )


def test_hold() -> None:
    """A constant with a length."""
    hold = lrax.Hold(0.1, 10)
    np.testing.assert_array_equal(rates_at(hold, [0, 10, 99]), np.full(3, np.float32(0.1)))
    assert hold.length == 10


def test_geometric_is_the_ramp_of_a_range_test() -> None:
    """From 1e-6 to 10 in 169 equal factors."""
    ramp = np.asarray(rates_at(lrax.Geometric(1e-6, 10.0, 169), range(170)), np.float64)
    np.testing.assert_allclose(ramp[1:] / ramp[:-1], 1e7 ** (1 / 169), rtol=1e-5)
