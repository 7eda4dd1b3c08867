import dataclasses
import functools
import json
import pathlib
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.finder._rules import center, is_flat
from results import curve

RATES = np.geomspace(1e-7, 100, 250).astype(np.float32)
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "finder_rules.json").read_text())["curves"]
NAMES = ("steepest", "steep", "suggestion", "minimum", "edge", "valley", "slide", "loss_drop")
RULES = {name: getattr(lrax.finder, name) for name in NAMES}
PAD = np.full(37, np.nan, np.float32)


def valley(center, sharpness=2.0):
    """A loss that drops steepest over the log rate at `center` and explodes a decade and a half later."""
    return 1 / (1 + (RATES / center) ** sharpness) + (RATES / (30 * center)) ** 4


SKIPPED = {"suggestion": {"skip_begin": 10, "skip_end": 1}}
"""What Lightning leaves out; the others leave out 10 and 5 in the golden file."""


@pytest.mark.parametrize("name", ["steepest", "steep", "suggestion", "minimum", "valley", "slide"])
def test_other_libraries_rules_leave_out_as_the_libraries_do(name):
    """Without the points that a library leaves out at the ends each rule gives the rate that the library's own code gave."""
    rule = functools.partial(getattr(lrax.finder, name), **SKIPPED.get(name, {"skip_begin": 10, "skip_end": 5}))
    for stored in GOLDEN:
        rates, losses = (np.array([float(x) for x in stored[key]], np.float32) for key in ("rates", "losses"))
        expected = stored["skipped"][name]
        np.testing.assert_allclose(rule(rates, losses), expected, rtol=1e-5)
        blown_up = np.concatenate([losses, np.full(200 - len(losses), np.nan, np.float32)])
        padded = np.concatenate([rates, np.full(200 - len(rates), 9.0, np.float32)])
        np.testing.assert_allclose(rule(padded, blown_up), expected, rtol=1e-5)


def test_what_is_skipped_is_a_number_of_points():
    """A number of points that is none is named; one that leaves too few leaves no suggestion."""
    with pytest.raises(ValueError, match="valley: `skip_end` must be a number of points, an integer of at least 0, got -1"):
        lrax.finder.valley(RATES, valley(0.01), skip_end=-1)
    for name in ("steepest", "steep", "suggestion", "minimum", "valley", "slide"):
        assert np.isnan(getattr(lrax.finder, name)(RATES, valley(0.01), skip_begin=200, skip_end=46))
        assert np.isnan(getattr(lrax.finder, name)(RATES, valley(0.01), skip_begin=300))


@pytest.mark.parametrize("name", ["steepest", "steep", "minimum", "valley", "slide"])
def test_other_libraries_rules_suggest_as_the_libraries_do(name):
    """On stored curves each rule gives the rate that the library's own code gave."""
    for stored in GOLDEN:
        rates, losses = (np.array([float(x) for x in stored[key]], np.float32) for key in ("rates", "losses"))
        size = 163 - len(rates) + 5
        padded = (np.concatenate([array, np.full(size, np.nan, np.float32)]) for array in (rates, losses))
        np.testing.assert_allclose(RULES[name](*padded), stored["suggested"][name], rtol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_padding_changes_nothing(name):
    """A curve padded with NaN gives the same suggestion."""
    losses = valley(0.01)
    padded = np.concatenate([RATES, PAD]), np.concatenate([losses, PAD])
    np.testing.assert_allclose(RULES[name](*padded), RULES[name](RATES, losses), rtol=1e-5)


@pytest.mark.parametrize("name", ["steepest", "minimum", "edge", "valley", "loss_drop"])
def test_scale_and_offset_change_nothing(name):
    """The suggestion depends neither on the unit nor on the sign of the loss."""
    losses = valley(0.01, 1.0)
    np.testing.assert_allclose(RULES[name](RATES, 4 * losses - 8), RULES[name](RATES, losses), rtol=0.1)


@pytest.mark.parametrize("name", ["steepest", "minimum", "edge", "valley", "loss_drop"])
@pytest.mark.parametrize("case", ["missing", "flat", "rising", "too short"])
def test_no_drop_is_nan(name, case):
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
    one = float(RULES["loss_drop"](RATES, valley(center))) / center
    assert one == pytest.approx(float(RULES["loss_drop"](RATES, valley(0.1))) / 0.1, rel=0.05)
    assert 1 < one < 30  # past the steepest point, before the explosion


def test_a_blow_up_does_not_reach_back():
    """Infinite losses after the valley give the suggestion that huge ones give."""
    losses = valley(0.01)
    exploded = np.where(losses > 1e3, np.inf, losses)
    np.testing.assert_allclose(RULES["loss_drop"](RATES, exploded), RULES["loss_drop"](RATES, losses), rtol=1e-5)


def test_flat_is_a_drop_within_the_noise():
    """A drop larger than the noise is not flat; most noise alone is."""
    generator = np.random.default_rng(0)
    noises = 0.05 * generator.normal(size=(40, 250)).astype(np.float32)
    assert np.mean([is_flat(RATES, 1 + noise) for noise in noises]) > 0.5
    assert not np.any([is_flat(RATES, valley(0.01) + noise) for noise in noises])


def test_the_finished_curve_is_smoothed_without_lag():
    """Smoothing removes noise and moves no edge."""
    step = np.where(RATES < 0.01, 1.0, 0.0)
    middle = RATES[np.argmin(np.abs(np.asarray(lrax.finder.smooth(RATES, step)) - 0.5))]
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


@pytest.mark.parametrize("rates", [np.geomspace(1e-7, 100, 1500), np.full(1500, 0.1)])
def test_long_curves_are_averaged_in_parts(rates):
    """A curve whose weights are made a few rows at a time has the mean that all weights at once give."""
    losses = np.random.default_rng(1).uniform(1, 2, size=1500)
    places = np.log10(rates)
    weights = np.maximum(1 - np.abs(places[:, None] - places[None, :]) / 0.2, 0)
    expected = weights @ losses / weights.sum(axis=1)
    np.testing.assert_allclose(lrax.finder.smooth(rates, losses, 0.2), expected, rtol=2e-5)


def test_rules_compile_nothing(caplog):
    """Rules, smoothing and suggestions of arrays, NumPy's or JAX's, of a length never seen, compile no program."""
    rates, losses = np.geomspace(1e-7, 100, 83), np.linspace(2, 1, 83)
    placed, one = (jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)), curve(losses)
    with jax.log_compiles(), caplog.at_level("DEBUG"):
        for rule in (*RULES.values(), center):
            assert isinstance(rule(rates, losses), np.float32)
            assert isinstance(rule(*placed), np.float32)
            one.suggest(rule)
        one.smooth()
        assert isinstance(lrax.finder.smooth(*placed), np.ndarray)
    assert not [record for record in caplog.records if "ompil" in record.getMessage()]


def test_a_traced_curve_is_named():
    """A rule inside jit is an error that says where to read the curve."""
    with pytest.raises(TypeError, match=r"valley: `learning_rates and losses` must be arrays, not traced.*return the curve"):
        jax.jit(lrax.finder.valley)(RATES, valley(0.01))


def test_a_user_s_rule_is_given_numpy_arrays():
    """A user's rule may index, loop and branch: it sees NumPy arrays of one length."""
    seen = []

    def rule(rates, losses):
        seen.append((rates, losses))
        return rates[np.nanargmin(losses)] if losses[0] > 0 else None

    assert curve(np.linspace(2, 1, 60), low=1e-4, high=1.0).suggest(rule) == pytest.approx(0.85, rel=0.1)
    (rates, losses) = seen[0]
    assert type(rates) is type(losses) is np.ndarray
    assert rates.shape == losses.shape == (59,)


@pytest.mark.parametrize("points", range(5))
def test_an_empty_or_short_curve_is_nan(points):
    """Curves of fewer than five points support no suggestion, under any rule; they have a smoothed curve."""
    rates, losses = np.geomspace(0.01, 1, points), np.linspace(2, 1, points)
    for rule in RULES.values():
        assert np.isnan(rule(rates, losses))
    assert is_flat(rates, losses)
    assert np.isfinite(lrax.finder.smooth(rates, losses)).sum() == points
    assert curve(losses).suggest(lrax.finder.steepest) is None
    assert [len(part) for part in curve(losses).smooth()] == [max(points - 1, 0)] * 2


@pytest.mark.parametrize("shapes", [((4,), (5,)), ((2, 8), (2, 8)), ((), ())])
def test_shapes_that_are_not_a_curve_are_named(shapes):
    """Learning rates and losses of two lengths, or a batch of them, are an error that says what to do."""
    rates, losses = map(np.ones, shapes)
    for rule in (lrax.finder.steepest, lrax.finder.loss_drop, lrax.finder.valley, lrax.finder.smooth):
        with pytest.raises(ValueError, match=r"`learning_rates and losses` must be arrays of shape \(n,\) each.*each curve"):
            rule(rates, losses)


def test_a_width_of_nothing_is_named():
    """A window without a width is an error."""
    with pytest.raises(ValueError, match="smooth: `width` must be a number of decades above 0, got 0"):
        lrax.finder.smooth(RATES, valley(0.01), 0)


@pytest.mark.parametrize("name", ["loss_drop", "smooth", "valley"])
def test_memory_is_linear_in_the_length(name):
    """16,000 steps take a few megabytes."""
    rule, rates = getattr(lrax.finder, name), np.geomspace(1e-7, 100, 16_000).astype(np.float32)
    losses = (1 / (1 + rates)).astype(np.float32)
    tracemalloc.start()
    rule(rates, losses)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6


def test_what_the_stop_rule_saw_is_read_as_other_libraries_read_it():
    """`of="smoothed"` gives a rule each learning rate with the smoothed loss of its own step, up to one that is not finite."""
    losses = valley(1e-5)[:120].astype(np.float32) + 0.01 * np.random.default_rng(0).normal(size=120).astype(np.float32)
    its = curve(losses)
    averages, average = [], 0.0
    for k, loss in enumerate(losses):
        average = 0.98 * average + 0.02 * loss
        averages.append(average / (1 - 0.98 ** (k + 1)))
    smoothed = np.array(averages, np.float32)
    its = dataclasses.replace(its, smoothed=smoothed)
    rule = functools.partial(lrax.finder.valley, skip_begin=10, skip_end=5)
    want = lrax.finder.valley(its.learning_rates[10:-5], smoothed[10:-5])
    assert its.suggest(rule, of="smoothed") == pytest.approx(float(want))
    assert its.suggest(rule, of="smoothed") != its.suggest(rule)
    seen = []
    smoothed[100] = np.nan
    its.suggest(lambda *both: seen.append(both), of="smoothed")
    np.testing.assert_array_equal(seen[0], (its.learning_rates[:100], smoothed[:100]))
    with pytest.raises(ValueError, match=r"Curve\.suggest: `of` must be one of 'losses', 'evaluations', 'smoothed'"):
        its.suggest(rule, of="smooth")


def test_a_curve_of_other_things_than_arrays_can_be_shown():
    """`jax.tree.map` may put shapes, functions or None in the place of arrays: such a curve prints, and raises nothing."""
    its = curve(valley(1e-5)[:60])
    assert repr(jax.tree.map(jnp.shape, its)) == "<Curve: losses (60,)>"
    assert "losses" in str(jax.tree.map(lambda _: None, its))
