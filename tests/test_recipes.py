"""Recipes: the tutorials' own numbers, and totals that include the warm-up."""

import jax
import jax.numpy as jnp
import numpy as np

import lrax


def test_tutorial_one_cycle() -> None:
    """Tutorial 2: 0.1 to 0.5 and back over 500 iterations, then down to 0.001 over 750."""
    schedule = lrax.Shift(lrax.one_cycle(0.1, 0.5, 500, 750, 0.001), 1)
    want = [0.3, 0.5, 0.3, 0.1, (0.1 + 0.001) / 2, 0.001, 0.001]
    np.testing.assert_allclose(schedule(jnp.array([124, 249, 374, 499, 874, 1249, 1499])), want, rtol=1e-6)


def test_tutorial_one_cycle_alone() -> None:
    """Without a cool-down the low rate is held."""
    schedule = lrax.one_cycle(0.1, 0.5, 500)
    np.testing.assert_allclose(schedule(jnp.array([0, 250, 500, 999])), [0.1, 0.5, 0.1, 0.1], rtol=1e-6)


def test_warmup_cosine() -> None:
    """The first update moves, the peak is at `warmup_steps`, the end at `total_steps`."""
    schedule = lrax.warmup_cosine(0.3, total_steps=5000, warmup_steps=500)
    rates = schedule(jnp.arange(5002))
    assert rates[0] == np.float32(0.3 / 501)
    assert (rates.argmax(), rates.max()) == (500, np.float32(0.3))
    assert (rates[4999] > 0, rates[5000], rates[5001]) == (True, 0.0, 0.0)
    assert schedule.length == 5000


def test_wsd() -> None:
    """Up, flat, and down to the end at `total_steps`."""
    schedule = lrax.wsd(0.5, total_steps=100, warmup_steps=4, cooldown_steps=20)
    np.testing.assert_allclose(schedule(jnp.array([0, 4, 80, 90, 100, 200])), [0.1, 0.5, 0.5, 0.25, 0, 0], rtol=1e-6)


def test_cyclical_and_sgdr() -> None:
    """Triangles and cosines again and again, lower each time if asked."""
    np.testing.assert_allclose(lrax.cyclical(0.5, 2.0, 500)(jnp.array([0, 250, 500, 750])), [0.5, 2, 0.5, 2], rtol=1e-6)
    np.testing.assert_allclose(lrax.sgdr(2.0, 0.01, 250, 2, 0.5)(jnp.array([0, 250, 750])), [2, 1, 0.5], rtol=1e-6)


def test_recipes_take_traced_lengths() -> None:
    """Every argument may be traced, lengths included; too long a warm-up, which is then not seen, leaves one update."""
    rates = jax.jit(lambda total, warm: lrax.warmup_cosine(0.3, total, warm)(jnp.array([0, 4, 20])))
    np.testing.assert_allclose(rates(20, 4), lrax.warmup_cosine(0.3, 20, 4)(jnp.array([0, 4, 20])), rtol=1e-6)
    assert np.isfinite(rates(20, 50)).all()
