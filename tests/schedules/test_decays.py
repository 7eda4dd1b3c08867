"""Endless kinds: the tutorials' own numbers, and what happens at a boundary."""

import jax.numpy as jnp
import numpy as np

import lrax
from schedule_case import rates_at


def test_tutorial_step_decay() -> None:
    """Tutorial 1: 1 for the first 250 updates, halved every 250; count 249 is the 250th update, so no shift is needed."""
    schedule = lrax.StepDecay(1.0, 0.5, 250)
    np.testing.assert_array_equal(rates_at(schedule, [0, 249, 250, 499, 500, 1499]), [1, 1, 0.5, 0.5, 0.25, 0.5**5])


def test_step_decay_has_a_floor() -> None:
    """The rate stops at its floor, exactly."""
    schedule = lrax.StepDecay(1.0, 0.5, 10, floor=0.2)
    np.testing.assert_array_equal(rates_at(schedule, [20, 30, 10**9]), np.float32([0.25, 0.2, 0.2]))


def test_tutorial_multi_step() -> None:
    """Tutorial 1: halved after the 250th, 750th and 900th update; epochs 4, 7 and 9 of 938 updates, by a tenth."""
    schedule = lrax.MultiStep(1.0, 0.5, [250, 750, 900])
    counts = jnp.array([249, 250, 749, 750, 899, 900])
    np.testing.assert_array_equal(schedule(counts), [1, 0.5, 0.5, 0.25, 0.25, 0.125])
    epochs = lrax.MultiStep(0.03, 0.1, [3752, 6566, 8442])(938 * jnp.arange(10))
    np.testing.assert_allclose(epochs, [0.03] * 4 + [0.003] * 3 + [0.0003] * 2 + [0.00003], rtol=1e-6)


def test_tutorial_factor() -> None:
    """Tutorial 4: the rate is multiplied by 0.9 at every update, from 2, and never falls below 0.01."""
    schedule, want = lrax.Exponential(2.0, 0.9, floor=0.01), 2.0
    for rate in rates_at(schedule, range(100)).tolist():
        np.testing.assert_allclose(rate, want, rtol=2e-6)
        want = max(0.01, want * 0.9)


def test_tutorial_square_root() -> None:
    """Tutorial 4: 0.1 times one over the square root of t + 1."""
    np.testing.assert_allclose(rates_at(lrax.InverseSqrt(0.1), range(30)), 0.1 * (np.arange(30) + 1) ** -0.5, rtol=1e-6)


def test_half_life() -> None:
    """A factor of a half over `every` updates is a half-life, also where it is no power of the update."""
    schedule = lrax.Exponential(1.0, 0.5, every=10_000_000)
    np.testing.assert_allclose(rates_at(schedule, [5_000_000, 10_000_000, 30_000_000]), [0.5**0.5, 0.5, 0.125], rtol=1e-6)


def test_boundaries_at_the_largest_counts() -> None:
    """Step kinds change at the count itself, also next to 2**31 - 1."""
    last = 2**31 - 1
    counts = jnp.array([last - 2, last - 1, last])
    np.testing.assert_array_equal(lrax.MultiStep(1.0, 0.5, [last - 1])(counts), [1, 0.5, 0.5])
    np.testing.assert_array_equal(lrax.StepDecay(1.0, 0.5, last)(counts), [1, 1, 0.5])
