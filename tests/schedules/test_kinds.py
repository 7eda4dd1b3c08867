"""Kinds that others have too: splines as SciPy's, noise, time that runs at a real factor, what is close to a limit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

import lrax
from lrax import schedules as kinds
from lrax.fields._rules import Ratio
from schedule_cases import rates, rates_at

RANDOM = np.random.default_rng(0)


def knots(number: int, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a kind at random counts: any, rising, falling, some alike, some of them 0."""
    values = RANDOM.uniform(0, 1, number)
    values = [values, np.sort(values), np.sort(values)[::-1], np.round(values * 3) / 3, np.sort(np.round(values * 3))][kind]
    return values.astype(np.float32), np.sort(RANDOM.choice(150, number, replace=False))


@pytest.mark.parametrize("number", [2, 3, 5, 9])
def test_a_spline_is_scipys(number: int) -> None:
    """Through any values at any counts, traced or not, the curve is SciPy's monotone cubic."""
    cases = [knots(number, kind) for kind in range(5) for _ in range(10)]
    counts = jnp.arange(150)
    drawn = jax.jit(jax.vmap(lambda values, at: jax.vmap(lrax.Spline(values, at))(counts)))
    got = drawn(
        *(
            jnp.asarray(np.stack(part), dtype)
            for part, dtype in zip(zip(*cases, strict=True), (jnp.float32, jnp.int32), strict=True)
        )
    )
    for one, (values, at) in zip(got, cases, strict=True):
        want = PchipInterpolator(at, values.astype(np.float64))(np.clip(counts, at[0], at[-1]))
        np.testing.assert_allclose(one, want, rtol=1e-6, atol=2e-7 * values.max())


def test_a_spline_does_not_overshoot() -> None:
    """Between two knots the rates lie between their values, for steep and for level pieces."""
    for kind in range(5):
        values, at = knots(9, kind)
        got = np.asarray(rates(lrax.Spline(values, at), jnp.arange(150)))
        for k in range(8):
            low, high = sorted(np.float32(values[k : k + 2]))
            piece = got[at[k] : at[k + 1] + 1]
            assert (piece >= low).all()
            assert (piece <= high).all()


def test_gradients_of_a_spline_are_those_of_its_formula() -> None:
    """The derivative by each value is the difference quotient of SciPy's curve."""
    values, at = np.array([0.1, 0.5, 0.6, 0.2, 0.15]), np.array([0, 10, 35, 60, 90])
    got = jax.jit(jax.vmap(jax.grad(lambda values, count: lrax.Spline(values, at)(count)), in_axes=(None, 0)))
    counts = np.array([3, 20, 50, 61, 80])
    step = 1e-6 * np.eye(5)
    want = [(PchipInterpolator(at, values + one)(counts) - PchipInterpolator(at, values - one)(counts)) / 2e-6 for one in step]
    np.testing.assert_allclose(
        got(jnp.asarray(values, jnp.float32), jnp.asarray(counts)), np.transpose(want), rtol=2e-4, atol=1e-5
    )


def test_noise_is_within_its_spread_and_as_distributed() -> None:
    """Factors lie around 1 within the spread, with the moments of their distribution; they differ by count and seed."""
    counts = jnp.arange(4000)
    uniform, wide, narrow = (
        np.asarray(rates(noise, counts)) - 1
        for noise in (
            kinds.Noise(0.2, 7, mode="uniform"),
            kinds.Noise(0.67, 7),
            kinds.Noise(1.0, 7, deviation=0.1),
        )
    )
    for drawn, spread, deviation in ((uniform, 0.2, 0.2 / 3**0.5), (wide, 0.67, 0.3677), (narrow, 1.0, 0.1)):
        assert np.abs(drawn).max() <= spread
        assert abs(drawn.mean()) < 4 * deviation / 4000**0.5
        assert drawn.std() == pytest.approx(deviation, rel=0.05)
        assert len(np.unique(drawn)) > 3900
        assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.07
    seeds = np.asarray(jax.jit(jax.vmap(lambda seed: kinds.Noise(0.2, seed)(5)))(jnp.arange(1000)))
    assert len(np.unique(seeds)) > 990
    assert seeds[7] == kinds.Noise(0.2, 7)(5)


def test_hyperbolas_begin_alike() -> None:
    """The first updates hardly depend on the length: a tenth of it in, a run differs by less than a percent from one ten
    times as long, where a cosine of those lengths differs by more than two.
    """
    short, long = (kinds.Hyperbolic(0.1, 0.0, steps, 1000)(10) for steps in (100, 1000))
    assert abs(short / long - 1) < 0.02 < abs(lrax.Cosine(0.1, 0.0, 100)(10) / lrax.Cosine(0.1, 0.0, 1000)(10) - 1)
    late = jax.jit(lambda steps, horizon: kinds.Hyperbolic(0.1, 0.0, steps, horizon)(jnp.array([0, 5, 9, 10])))
    np.testing.assert_allclose(late(10, 3), rates_at(kinds.Hyperbolic(0.1, 0.0, 10, 10), [0, 5, 9, 10]), rtol=1e-6)


@pytest.mark.parametrize("every", [1.5, 0.7, 1 / 3, 1.3579, 50_000.5, 3, 2**31 - 1])
def test_time_runs_at_a_real_factor(every: float) -> None:
    """At count t a stretched schedule is where the exact quotient says, up to the largest count; it ends where it must."""
    schedule: Any = lrax.Stretch(lrax.Hold(1.0, 10), every)
    up, down = int(schedule.every.numerator), int(schedule.every.denominator)
    assert abs(up / down - every) <= 2e-9 * every
    assert int(schedule.length) == min(-(-10 * up // down), 2**31 - 1)
    counts = [0, 1, 2, 3, 7, 99_999, 100_000, 100_001, 2**30, 2**31 - 1]
    seen = rates(lrax.Stretch(lrax.Function(lambda count: count), every), jnp.asarray(counts, jnp.int32))
    want = [np.float32(min(count * down // up, 2**31 - 1)) for count in counts]
    np.testing.assert_array_equal(seen, want)


def test_a_factor_of_time_may_be_traced() -> None:
    """A traced or batched factor, whole or not, gives what the known one gives."""
    counts = jnp.arange(40)

    def stretched(every: Any) -> jax.Array:
        return lrax.Stretch(lrax.Linear(1.0, 0.0, 10), every)(counts)

    for batch in (jnp.array([1.5, 2.0, 0.25]), jnp.array([1, 3, 70_000])):
        got = jax.jit(jax.vmap(stretched))(batch)
        for one, every in zip(got, batch.tolist(), strict=True):
            np.testing.assert_allclose(one, stretched(every), rtol=1e-6)  # two programs, one of them vmapped
    assert jax.jit(lambda every: lrax.Stretch(lrax.Linear(1.0, 0.0, 10), every)(5))(0) == 0.5  # below 1, as 1
    assert jax.jit(lambda steps: lrax.Stretch(lrax.Linear(1.0, 0.0, steps), 2).length)(-5) == 0  # below 0, as 0


def test_lengths_of_0_that_are_traced() -> None:
    """A length of 0 that arrives as a tracer leaves every new kind finite, at its end."""
    cases = {
        "Rex": lambda steps: lrax.schedules.Rex(0.1, 0.01, steps, 0.3),
        "Cooldown": lambda steps: lrax.Cooldown(lrax.Constant(0.1), 0, steps, 0.01, power=3),
        "Warmup": lambda steps: lrax.Warmup(lrax.Constant(0.01), steps, 0.1, "logarithmic", 2.0),
        "Hyperbolic": lambda steps: kinds.Hyperbolic(0.1, 0.01, steps, steps),
        "ExpHyperbolic": lambda steps: kinds.ExpHyperbolic(0.1, 0.01, steps, steps),
    }
    for name, kind in cases.items():
        first, second = jax.jit(jax.vmap(lambda steps, kind=kind: kind(steps)(jnp.array([0, 1, 5]))))(jnp.array([0, 5]))
        np.testing.assert_allclose(first[1:], [0.01, 0.01], rtol=1e-6, err_msg=name)
        assert np.isfinite(first).all(), name
        np.testing.assert_allclose(second[jnp.array([0, 2])], [0.1, 0.01], rtol=1e-6, err_msg=name)


def test_a_power_of_a_curve() -> None:
    """Modes "linear" and "cosine" with a power fall as that power of their curve; a climb is the mirror image."""
    counts = jnp.arange(12)
    for mode, falling in (("linear", lrax.Linear(1.0, 0.0, 10)), ("cosine", lrax.Cosine(1.0, 0.0, 10))):
        cooled: Any = lrax.Cooldown(lrax.Constant(0.3), 0, 10, 0.1, mode, 2.5)
        np.testing.assert_allclose(cooled(counts), 0.1 + 0.2 * np.asarray(falling(counts), np.float64) ** 2.5, rtol=1e-6)
    climbed = lrax.Warmup(lrax.Constant(0.3), 10, power=2.5)(counts)
    np.testing.assert_allclose(climbed, 0.3 * np.minimum(np.arange(12) / 10, 1) ** 2.5, rtol=1e-6)


MISTAKES = {
    "a power that no geometric way has": (
        lambda: lrax.Cooldown(lrax.Constant(0.1), 5, 5, 0.01, "geometric", 2.0),
        r"Cooldown: `power` must be left out in mode 'geometric', got 2.0",
    ),
    "a power of what is constant": (
        lambda: lrax.Warmup(lrax.Constant(0.1), 5, 0.01, "constant", 2.0),
        r"Warmup: `power` must be left out in mode 'constant'",
    ),
    "a horizon before the end": (
        lambda: kinds.Hyperbolic(0.1, 0.0, 100, 99),
        r"Hyperbolic: `horizon` must be at least `steps` \(100\), got 99",
    ),
    "knots of two lengths": (
        lambda: lrax.Spline([0.1, 0.2, 0.3], [1, 5]),
        r"Spline: `values` must be at least two, as many as",
    ),
    "time that does not pass": (
        lambda: lrax.Stretch(lrax.Constant(0.1), 0),
        r"Stretch: `every` must be a number of steps above 0",
    ),
    "time that runs back": (lambda: lrax.Stretch(lrax.Constant(0.1), -1.5), r"Stretch: `every` must be a number of steps"),
    "a ratio whose product is too large": (
        lambda: lrax.Stretch(lrax.Constant(0.1), Ratio(np.int32(100_001), np.int32(100_000))),
        r"Stretch: `every` must be a ratio of integers",
    ),
    "a ratio of lengths that is too large": (
        lambda: lrax.Cycle(lrax.Hold(0.1, 5), Ratio(np.int32(40_000), np.int32(1))),
        r"Cycle: `length_factor` must be a ratio of integers from 1 to 32768",
    ),
    "no distribution": (lambda: kinds.Noise(0.1, mode="cauchy"), r"Noise: `mode` must be one of 'normal', 'uniform'"),
    "a seed that is none": (lambda: kinds.Noise(0.1, seed=0.5), r"Noise: `seed` must be an integer"),
    "a seed past int32": (
        lambda: kinds.Noise(0.2, 2**31),
        r"Noise: `seed` must be an integer, got 2147483648; the largest is 2147483647$",
    ),
}


@pytest.mark.parametrize(("make", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(make: Any, says: str) -> None:
    """A bad number or word is named."""
    with pytest.raises((ValueError, TypeError), match=says):
        make()
