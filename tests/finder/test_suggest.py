import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.finder._fall import is_flat

RATES = np.geomspace(1e-7, 100, 250).astype(np.float32)
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "finder_rules.json").read_text())["curves"]
NAMES = ("steepest", "steep", "suggestion", "minimum", "edge", "valley", "slide", "fall")
RULES = {name: jax.jit(getattr(lrax.finder, name)) for name in NAMES}
PAD = np.full(37, np.nan, np.float32)


def valley(center, sharpness=2.0):
    """A loss that falls steepest over the log rate at `center` and explodes a decade and a half later."""
    return 1 / (1 + (RATES / center) ** sharpness) + (RATES / (30 * center)) ** 4


SKIPPED = {"suggestion": {"skip_begin": 10, "skip_end": 1}}
"""What Lightning leaves out; the others leave out 10 and 5 in the golden file."""


@pytest.mark.parametrize("name", ["steepest", "steep", "suggestion", "minimum", "valley", "slide"])
def test_peers_rules_leave_out_what_the_peers_do(name):
    """Without the points that a peer leaves out at the ends each rule gives the rate that the peer's own code gave."""
    rule = functools.partial(getattr(lrax.finder, name), **SKIPPED.get(name, {"skip_begin": 10, "skip_end": 5}))
    compiled = jax.jit(rule)
    for curve in GOLDEN:
        rates, losses = (np.array([float(x) for x in curve[key]], np.float32) for key in ("rates", "losses"))
        expected = curve["skipped"][name]
        np.testing.assert_allclose(rule(rates, losses), expected, rtol=1e-5)
        blown_up = np.concatenate([losses, np.full(200 - len(losses), np.nan, np.float32)])
        padded = np.concatenate([rates, np.full(200 - len(rates), 9.0, np.float32)])
        np.testing.assert_allclose(compiled(padded, blown_up), expected, rtol=1e-5)


def test_what_is_skipped_is_a_number_of_points():
    """A number of points that is none is named; one that leaves too few leaves no suggestion."""
    with pytest.raises(ValueError, match="valley: `skip_end` must be a number of points, an integer of at least 0, got -1"):
        lrax.finder.valley(RATES, valley(0.01), skip_end=-1)
    for name in ("steepest", "steep", "suggestion", "minimum", "valley", "slide"):
        assert np.isnan(getattr(lrax.finder, name)(RATES, valley(0.01), skip_begin=200, skip_end=46))
        assert np.isnan(getattr(lrax.finder, name)(RATES, valley(0.01), skip_begin=300))


@pytest.mark.parametrize("name", ["steepest", "steep", "minimum", "valley", "slide"])
def test_peers_rules_suggest_what_the_peers_do(name):
    """On stored curves each rule gives the rate that the peer's own code gave."""
    for curve in GOLDEN:
        rates, losses = (np.array([float(x) for x in curve[key]], np.float32) for key in ("rates", "losses"))
        size = 163 - len(rates) + 5
        padded = (np.concatenate([array, np.full(size, np.nan, np.float32)]) for array in (rates, losses))
        np.testing.assert_allclose(RULES[name](*padded), curve["suggested"][name], rtol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_padding_changes_nothing(name):
    """A curve padded with NaN gives the same suggestion."""
    losses = valley(0.01)
    padded = np.concatenate([RATES, PAD]), np.concatenate([losses, PAD])
    np.testing.assert_allclose(RULES[name](*padded), RULES[name](RATES, losses), rtol=1e-5)


@pytest.mark.parametrize("name", ["steepest", "minimum", "edge", "valley", "fall"])
def test_scale_and_offset_change_nothing(name):
    """The suggestion depends neither on the unit nor on the sign of the loss."""
    losses = valley(0.01, 1.0)
    np.testing.assert_allclose(RULES[name](RATES, 4 * losses - 8), RULES[name](RATES, losses), rtol=0.1)


@pytest.mark.parametrize("name", RULES)
def test_rules_vmap(name):
    """A batch of curves gives a batch of suggestions."""
    losses = np.stack([valley(0.01), valley(0.1)])
    together = jax.vmap(RULES[name], in_axes=(None, 0))(RATES, losses)
    np.testing.assert_allclose(together, [float(RULES[name](RATES, row)) for row in losses], rtol=1e-5)


@pytest.mark.parametrize("name", ["steepest", "minimum", "edge", "valley", "fall"])
@pytest.mark.parametrize("case", ["missing", "flat", "rising", "too short"])
def test_no_fall_is_nan(name, case):
    """No loss, a flat loss, a rising loss and too short a curve support no suggestion."""
    losses = {
        "missing": np.full(250, np.nan),
        "flat": np.ones(250),
        "rising": np.linspace(1, 9, 250),
        "too short": np.r_[1.0, 0.5, np.full(248, np.nan)],
    }[case]
    rates = np.where(np.isnan(losses), np.nan, RATES)
    assert np.isnan(float(RULES[name](rates, losses)))


@pytest.mark.parametrize("center", [1e-4, 1e-2, 1.0])
def test_steepest_is_where_the_slope_over_the_log_rate_is(center):
    """The rate of the steepest descent is found, within a step of the ramp, wherever the curve lies."""
    assert 0.9 < float(RULES["steepest"](RATES, valley(center))) / center < 1.1


@pytest.mark.parametrize("center", [1e-4, 1e-2, 1.0])
def test_the_default_moves_with_the_curve(center):
    """A curve shifted along the log axis shifts the suggestion by as much."""
    one = float(RULES["fall"](RATES, valley(center))) / center
    assert one == pytest.approx(float(RULES["fall"](RATES, valley(0.1))) / 0.1, rel=0.05)
    assert 1 < one < 30  # past the steepest point, before the explosion


def test_a_blow_up_does_not_reach_back():
    """Infinite losses after the valley give the suggestion that huge ones give."""
    losses = valley(0.01)
    exploded = np.where(losses > 1e3, np.inf, losses)
    np.testing.assert_allclose(RULES["fall"](RATES, exploded), RULES["fall"](RATES, losses), rtol=1e-5)


def test_flat_is_a_fall_within_the_noise():
    """A fall larger than the noise is not flat; most noise alone is."""
    generator = np.random.default_rng(0)
    noises = 0.05 * generator.normal(size=(40, 250)).astype(np.float32)
    flat = jax.jit(jax.vmap(is_flat, in_axes=(None, 0)))
    assert np.mean(flat(RATES, 1 + noises)) > 0.5
    assert not np.any(flat(RATES, valley(0.01) + noises))


def test_the_finished_curve_is_smoothed_without_lag():
    """Smoothing removes noise and moves no edge."""
    step = np.where(RATES < 0.01, 1.0, 0.0)
    middle = RATES[np.argmin(np.abs(np.asarray(jax.jit(lrax.finder.smooth)(RATES, step)) - 0.5))]
    assert 0.9 < middle / 0.01 < 1.1
    noise = np.random.default_rng(1).normal(size=250)
    assert np.std(lrax.finder.smooth(RATES, noise)) < 0.5 * np.std(noise)


@pytest.mark.parametrize("loss", [1.0, -3.0])
def test_debiased_mean_of_a_constant_is_the_constant(loss):
    """The bias-corrected average of a constant loss reads as the constant from the first update on."""
    weights = lrax.finder.DebiasedMean(0.98)(jnp.arange(20))
    mean = 0.0
    for weight in np.asarray(weights, np.float64):
        mean += weight * (loss - mean)
        assert mean == pytest.approx(loss, rel=1e-5)


def test_debiased_mean_is_the_average_divided_by_its_bias():
    """The recursion equals the exponential average from zero, divided by one minus past to the power of the count."""
    losses, past = np.random.default_rng(2).normal(size=30), 0.9
    weights = np.asarray(lrax.finder.DebiasedMean(past)(jnp.arange(30)), np.float64)
    average = mean = 0.0
    for i, (loss, weight) in enumerate(zip(losses, weights, strict=True)):
        average = past * average + (1 - past) * loss
        mean += weight * (loss - mean)
        assert mean == pytest.approx(average / (1 - past ** (i + 1)), rel=1e-4)
