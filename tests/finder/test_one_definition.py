"""Every rule is one definition: in NumPy where the numbers are known, in jnp where they are traced."""

import re
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.finder._fall import center, is_flat
from problems import enable_x64

POINTS = 96
NAMES = ("steepest", "steep", "suggestion", "minimum", "edge", "valley", "slide", "fall")
RULES = {name: getattr(lrax.finder, name) for name in NAMES}
RULES["center"] = center
COMPILED = {name: jax.jit(rule) for name, rule in RULES.items()}
BATCHED = {name: jax.jit(jax.vmap(rule)) for name, rule in RULES.items()}


def random_curves(number, seed=0):
    """Rates and losses, float32 (number, POINTS): falls of every place, scale and sign, noise, blow-ups, NaN padding."""
    generator = np.random.default_rng(seed)
    all_rates, all_losses = np.empty((2, number, POINTS), np.float32)
    for rates, losses in zip(all_rates, all_losses, strict=True):
        rates[:] = np.geomspace(1e-7, 100, POINTS)
        middle, width = 10 ** generator.uniform(-5, 0), generator.uniform(0.5, 3)
        curve = 1 / (1 + (rates / middle) ** width) + (rates / (30 * middle)) ** generator.uniform(1, 4)
        curve += generator.choice([0, 0.01, 0.1, 0.5]) * generator.normal(size=POINTS) - generator.choice([0, 0, 3])
        losses[:] = curve * 10 ** generator.uniform(-3, 3)
        if generator.random() < 0.3:
            losses[generator.integers(0, POINTS) :] = generator.choice([np.nan, np.inf])
        if generator.random() < 0.3:
            unknown = generator.integers(0, POINTS)
            rates[unknown:] = losses[unknown:] = np.nan
    return all_rates, all_losses


RATES, LOSSES = random_curves(400)


@pytest.mark.parametrize("name", RULES)
def test_numpy_jit_and_vmap_give_the_same_numbers(name):
    """On many curves NumPy, jit and vmap give the same float32 to some ulp; where a fall is shallow, to some more."""
    host = np.array([RULES[name](rates, losses) for rates, losses in zip(RATES, LOSSES, strict=True)])
    traced = np.asarray(BATCHED[name](RATES, LOSSES))
    alone = np.array([COMPILED[name](rates, losses) for rates, losses in zip(RATES[:40], LOSSES[:40], strict=True)])
    assert host.dtype == traced.dtype == np.float32
    assert 50 < np.isfinite(host).sum() < len(host)
    for one, other in ((traced, host), (alone, host[:40])):
        np.testing.assert_allclose(one, other, rtol=5e-5)
        apart = np.abs(one / other - 1)
        assert np.nanmedian(apart) < 1e-6


def test_the_smoothed_curve_is_the_same_everywhere():
    """The smoother, too; and padding a curve with NaN changes nothing of it."""
    host = np.array([lrax.finder.smooth(rates, losses, 0.2) for rates, losses in zip(RATES, LOSSES, strict=True)])
    traced = jax.jit(jax.vmap(lambda rates, losses: lrax.finder.smooth(rates, losses, 0.2)))(RATES, LOSSES)
    scale = np.nanmax(np.where(np.isfinite(LOSSES), np.abs(LOSSES), np.nan), axis=1, keepdims=True, initial=1e-30)
    ulp = np.spacing(np.nanmax(np.abs(np.log10(RATES))).astype(np.float32))  # to which logarithms of rates are known
    np.testing.assert_allclose(
        traced / scale, host / scale, atol=2 * ulp / 0.2
    )  # a weight is the distance of two over the width
    padding = np.full(200, np.nan, np.float32)
    padded = lrax.finder.smooth(np.concatenate([RATES[0], padding]), np.concatenate([LOSSES[0], padding]), 0.2)
    np.testing.assert_allclose(padded[:POINTS], host[0], rtol=1e-6)


@pytest.mark.parametrize("rates", [np.geomspace(1e-7, 100, 1500), np.full(1500, 0.1)])
def test_long_curves_are_averaged_in_parts(rates):
    """A curve whose weights are made a few rows at a time has the mean that all weights at once give."""
    losses = np.random.default_rng(1).uniform(1, 2, size=1500)
    places = np.log10(rates)
    weights = np.maximum(1 - np.abs(places[:, None] - places[None, :]) / 0.2, 0)
    expected = weights @ losses / weights.sum(axis=1)
    np.testing.assert_allclose(lrax.finder.smooth(rates, losses, 0.2), expected, rtol=2e-5)
    np.testing.assert_allclose(jax.jit(lambda *curve: lrax.finder.smooth(*curve, 0.2))(rates, losses), expected, rtol=2e-5)


def test_what_is_known_compiles_nothing(caplog):
    """Rules, smoothing and suggestions of known arrays, NumPy's or JAX's, of a length never seen, compile no program."""
    rates, losses = np.geomspace(1e-7, 100, 83), np.linspace(2, 1, 83)
    placed = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    curve = lrax.finder.Curve(*(array.astype(np.float32) for array in (rates, losses, losses)), lrax.finder.Reason.DIVERGED)
    with jax.log_compiles(), caplog.at_level("DEBUG"):
        for rule in RULES.values():
            assert isinstance(rule(rates, losses), np.float32)
            assert isinstance(rule(*placed), np.float32)
            curve.suggest(rule)
        curve.smooth()
        assert isinstance(lrax.finder.smooth(*placed), np.ndarray)
    assert not [record for record in caplog.records if "ompil" in record.getMessage()]


def test_a_user_s_rule_is_given_numpy_arrays():
    """A rule of one's own may index, loop and branch: it sees NumPy arrays of one length."""
    seen = []

    def rule(rates, losses):
        seen.append((rates, losses))
        return rates[np.nanargmin(losses)] if losses[0] > 0 else None

    found = lrax.FinderResult((curve_of(np.linspace(2, 1, 60)),), lrax.finder.Reason.COMPLETED, None)
    assert found.suggest(rule) == pytest.approx(0.85, rel=0.1)
    (rates, losses) = seen[0]
    assert type(rates) is type(losses) is np.ndarray
    assert rates.shape == losses.shape == (59,)


def curve_of(losses):
    """A curve over rates from 1e-4 to 1."""
    losses = np.asarray(losses, np.float32)
    rates = np.geomspace(1e-4, 1, len(losses)).astype(np.float32)
    return lrax.finder.Curve(rates, losses, losses, lrax.finder.Reason.COMPLETED)


@pytest.mark.parametrize("points", range(5))
def test_an_empty_or_short_curve_is_nan(points):
    """Curves of fewer than five points support no suggestion, under any rule, known or traced; they have a smoothed curve."""
    rates, losses = np.geomspace(0.01, 1, points), np.linspace(2, 1, points)
    for rule in RULES.values():
        assert np.isnan(rule(rates, losses))
    for name in ("steepest", "valley", "fall") if points in (0, 4) else ():
        assert np.isnan(COMPILED[name](rates.astype(np.float32), losses.astype(np.float32)))
    assert is_flat(rates, losses)
    assert np.isfinite(lrax.finder.smooth(rates, losses)).sum() == points
    curve = curve_of(losses)
    assert curve.suggest(lrax.finder.steepest) is None
    assert [len(part) for part in curve.smooth()] == [max(points - 1, 0)] * 2


@pytest.mark.parametrize("shapes", [((4,), (5,)), ((2, 8), (2, 8)), ((), ())])
def test_shapes_that_are_no_curve_are_named(shapes):
    """Rates and losses of two lengths, or a batch of them, are an error that says what to do."""
    rates, losses = map(np.ones, shapes)
    for rule in (lrax.finder.steepest, lrax.finder.fall, lrax.finder.valley, lrax.finder.smooth):
        with pytest.raises(ValueError, match=r"`rates and losses` must be arrays of shape \(n,\) each.*vmap"):
            rule(rates, losses)


def test_a_width_of_nothing_is_named():
    """A window without a width is an error."""
    with pytest.raises(ValueError, match="smooth: `width` must be a number of decades above 0, got 0"):
        lrax.finder.smooth(RATES[0], LOSSES[0], 0)


@pytest.mark.parametrize("name", ["fall", "smooth", "valley"])
def test_memory_is_linear_in_the_length(name):
    """16,000 updates take a few megabytes on the host, and nothing in the traced program is as large as their square."""
    rule, points = getattr(lrax.finder, name), 16_000
    rates = np.geomspace(1e-7, 100, points).astype(np.float32)
    losses = (1 / (1 + rates)).astype(np.float32)
    tracemalloc.start()
    rule(rates, losses)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6
    shapes = re.findall(r"(?:f|i|u|bool)\d*\[([\d,]+)\]", str(jax.make_jaxpr(rule)(rates, losses)))
    assert max(np.prod([int(size) for size in shape.split(",")], dtype=float) for shape in shapes) < points**2 / 100


def test_sixty_four_bits_change_nothing():
    """With x64 on, the traced rules give the float32 numbers that they give without."""
    with enable_x64(True):
        for name in RULES:
            traced = jax.jit(lambda *curve, rule=RULES[name]: rule(*curve))(RATES[0], LOSSES[0])
            assert traced.dtype == jnp.float32
            np.testing.assert_allclose(traced, RULES[name](RATES[0], LOSSES[0]), rtol=5e-5)
