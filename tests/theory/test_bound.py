"""The last-iterate bound: its values, its accuracy, its derivatives, and the ratios that follow from it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.theory import best_scale, bound, lr_ratio
from lrax.theory._bound import _long_terms, _tails, is_long, planned, sampled

UPDATES = 12


def terms(rates: Any, gradient: Any = 1.0) -> tuple[float, float]:
    """The formula in float64, for a distance of 1: the part that falls with the height, and the part that grows with it."""
    rates = np.asarray(rates, np.float64)
    last = np.flatnonzero(rates)[-1] + 1
    rates, norms = rates[:last], np.broadcast_to(np.asarray(gradient, np.float64), rates.shape)[:last]
    ahead = np.cumsum(rates[::-1])[::-1]
    noise = np.cumsum((rates**2 * norms**2)[::-1])[::-1]
    last_one = 0.5 * np.sum(rates[:-1] / ahead[1:] * noise[:-1] / ahead[:-1])
    return 0.5 / ahead[0], 0.5 * noise[0] / ahead[0] + last_one


def formula(rates: Any, gradient: Any = 1.0) -> float:
    return sum(terms(rates, gradient))


def shapes() -> np.ndarray[Any, Any]:
    """Rates of twelve updates, some of which are 0, one shape a row."""
    random = np.random.default_rng(0).uniform(0.01, 1, (4, UPDATES))
    random[1, 0] = 0  # the first
    random[2, -1] = 0  # the last
    random[3, 5] = 0  # one on the way
    only_one, all_but_one, tiny = np.zeros(UPDATES), np.ones(UPDATES), np.geomspace(1e-12, 1e-30, UPDATES)
    only_one[4], all_but_one[3:] = 0.5, 0
    return np.stack([*random, np.ones(UPDATES), only_one, all_but_one, tiny]).astype(np.float32)


@pytest.fixture(scope="module")
def value_and_slopes() -> Any:
    """The bound of many rows of rates, and its derivatives in them, in one program."""
    return jax.jit(jax.vmap(jax.value_and_grad(bound)))(shapes())


def test_it_is_the_formula_in_float64(value_and_slopes: Any) -> None:
    """Whatever updates have the rate 0, the first, the last, or all but one, they are left out, and the value is exact."""
    np.testing.assert_allclose(value_and_slopes[0], [formula(row) for row in shapes()], rtol=5e-7)


def test_derivatives_are_finite_and_right(value_and_slopes: Any) -> None:
    """The derivatives in the rates are finite everywhere, and those of the formula where it has them."""
    rows, slopes = shapes().astype(np.float64), value_and_slopes[1]
    assert np.isfinite(slopes).all()
    for row, slope in zip(rows[[0, 1, 3, 4]], slopes[jnp.array([0, 1, 3, 4])], strict=True):
        step = 1e-6 * np.eye(UPDATES)
        want = [(formula(row + one) - formula(np.abs(row - one))) / (2e-6 if row[i] else 1e-6) for i, one in enumerate(step)]
        inside = row > 0
        np.testing.assert_allclose(slope[inside], np.array(want)[inside], rtol=1e-4, atol=1e-5)


def test_one_update_and_none_that_moves() -> None:
    """One update is enough; of rates that are all 0 the bound is infinite and has finite derivatives."""
    assert bound(jnp.array([0.5])) == 0.5 / 0.5 + 0.5 * 0.5
    value, slopes = jax.value_and_grad(bound)(jnp.zeros(UPDATES))
    assert np.isinf(value)
    assert np.isfinite(slopes).all()


def fall(updates: int, steps: int, kind: str = "linear") -> np.ndarray[Any, Any]:
    """A rate of 1 that falls to 0 in the last so many updates."""
    left = np.minimum((updates - np.arange(updates)) / steps, 1)
    return (left if kind == "linear" else 0.5 - 0.5 * np.cos(np.pi * left)).astype(np.float32)


def warmed(updates: int, warmup: int, rest: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([(np.arange(1, warmup + 1) / warmup).astype(np.float32), rest(updates - warmup)])


def test_values_that_were_published() -> None:
    """The best heights and bounds of 400 updates are those that were computed elsewhere."""
    rates = jnp.stack([jnp.ones(400), fall(400, 400), fall(400, 400, "cosine"), fall(400, 80)])
    heights, least = jax.vmap(lambda row: (best_scale(row), bound(best_scale(row) * row)))(rates)
    np.testing.assert_allclose(heights, [0.018, 0.050, 0.048, 0.025], atol=5e-4)
    np.testing.assert_allclose(least, [0.1375, 0.1006, 0.1034, 0.1093], atol=6e-5)


def test_the_best_scale_is_the_best() -> None:
    """A little more or less is worse, and it is proportional to the distance over the gradients' norm."""
    rates = jnp.asarray(shapes()[0])
    best = best_scale(rates, distance=3.0, gradient=0.5)
    np.testing.assert_allclose(best, 6 * best_scale(rates), rtol=1e-6)
    values = jax.vmap(lambda height: bound(height * rates, distance=3.0, gradient=0.5))(best * jnp.array([0.98, 1.0, 1.02]))
    assert values[1] < values[0]
    assert values[1] < values[2]


def test_a_norm_for_each_update() -> None:
    """Norms that differ between updates weigh their noise."""
    norms = np.linspace(0.5, 2, UPDATES, dtype=np.float32)
    np.testing.assert_allclose(bound(jnp.asarray(shapes()[0]), gradient=norms), formula(shapes()[0], norms), rtol=5e-7)


def test_sums_of_long_runs_are_exact() -> None:
    """Each sum from a step to the end is the float64 one to two ulp, at a length that does not fill its rows."""
    numbers = np.random.default_rng(0).uniform(0, 1, 999_000).astype(np.float32)
    want = np.cumsum(numbers[::-1].astype(np.float64))[::-1]
    np.testing.assert_allclose(jax.jit(_tails)(numbers), want, rtol=2.4e-7)


def test_long_runs() -> None:
    """Of a cosine over a million updates float32 gives what float64 does."""
    rates = 0.01 * warmed(1_000_000, 100_000, lambda steps: fall(steps, steps, "cosine"))
    np.testing.assert_allclose(bound(rates), formula(rates), rtol=1e-6)


@pytest.mark.parametrize(("updates", "wsd", "cosine"), [(400, 1.4, 2.6), (3000, 1.62, 2.98), (10_000, 1.72, 3.16)])
def test_ratios_of_peaks(updates: int, wsd: float, cosine: float) -> None:
    """Peaks are told for each shape at height 1, whatever heights the rates have, and grow slowly with the length."""
    flat = np.ones(updates, np.float32)
    stable = warmed(updates, updates // 20, lambda steps: fall(steps, updates // 5))
    falling = warmed(updates, updates // 20, lambda steps: fall(steps, steps, "cosine"))
    np.testing.assert_allclose(lr_ratio(100 * flat, 7 * stable), wsd, rtol=0.015)
    np.testing.assert_allclose(lr_ratio(0.5 * flat, 0.01 * falling), cosine, rtol=0.015)
    np.testing.assert_allclose(lr_ratio(falling, stable) * lr_ratio(stable, falling), 1, rtol=1e-6)


def test_ratios_between_lengths() -> None:
    """The schedule that a rate is known for may have had another length."""
    found = lr_ratio(lrax.Constant(1.0), lrax.Constant(1.0), 400, from_steps=UPDATES)
    want, other = (np.sqrt(np.divide(*terms(np.ones(steps)))) for steps in (400, UPDATES))
    np.testing.assert_allclose(found, want / other, rtol=1e-6)


def warmed_as_the_recipe(warmup: int) -> np.ndarray[Any, Any]:
    count = np.arange(UPDATES)
    cosine = 0.5 + 0.5 * np.cos(np.pi * (count - warmup) / (UPDATES - warmup))
    return np.where(count < warmup, (count + 1) / (warmup + 1), cosine)


def test_recipes_are_mapped() -> None:
    """Many peaks and lengths of warm-up go through one program, lengths traced."""
    recipe = lambda warmup: bound(lrax.warmup_cosine(0.05, warmup_steps=warmup, total_steps=UPDATES), UPDATES)  # noqa: E731
    warmups = jnp.array([1, 5, 9])
    want = [formula(0.05 * warmed_as_the_recipe(int(one))) for one in warmups]
    np.testing.assert_allclose(jax.vmap(recipe)(warmups), want, rtol=1e-6)


def test_mistakes_are_named() -> None:
    """What is no schedule, no rates, no length and no norm says so."""
    with pytest.raises(
        ValueError, match=r"bound: `total_steps` must be a whole number of steps, got None; give it: the schedule"
    ):
        bound(lrax.Constant(0.1))
    with pytest.raises(
        TypeError,
        match=r"bound: `schedule` must be a schedule, a function count -> learning rate, or learning rates.*got 'cosine'",
    ):
        bound("cosine", 10)
    with pytest.raises(TypeError, match=r"(?s)`schedule` must be .*use jax.vmap for many"):
        bound(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"best_scale: `schedule` must be at least one learning rate, finite and none below 0"):
        best_scale(np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"bound: `schedule` must be at least one learning rate, finite and none below 0"):
        bound(np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match=r"`distance` must be a number above 0, got inf"):
        bound(np.ones(2), distance=np.inf)
    with pytest.raises(ValueError, match=r"`total_steps` must be left out, or the number of learning rates \(2\), got 3"):
        bound(np.ones(2), 3)
    with pytest.raises(ValueError, match=r"`distance` must be a number above 0, got 0"):
        bound(np.ones(2), distance=0)
    with pytest.raises(TypeError, match=r"`gradient` must be a number above 0, or one for each of 2 steps"):
        bound(np.ones(2), gradient=np.ones(3))


STEPS = 2**18
LONG = {
    "a short warm-up": (lrax.warmup_cosine(1.0, warmup_steps=10, total_steps=STEPS), 1e-5),
    "to zero": (lrax.Linear(1.0, 0.0, STEPS), 1e-5),
    "a narrow peak": (
        lrax.schedules.joined([lrax.Constant(0.01), lrax.Constant(1.0), lrax.Constant(0.01)], [1000, 1020]),
        1e-5,
    ),
    "late milestones": (lrax.MultiStep(1.0, 0.1, [1000, STEPS // 2, STEPS - 50]), 1e-5),
    "over before its end": (lrax.wsd(1.0, warmup_steps=0.01, cooldown_steps=100, total_steps=STEPS // 3), 1e-5),
    "many cycles": (lrax.cyclical(0.1, 1.0, 64), 2e-3),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_schedule_is_sampled_well_enough(name: str) -> None:
    """The terms of a sampled schedule are within the documented error of the float64 formula over every step."""
    schedule, error = LONG[name]
    highest, start, noise = map(float, _long_terms(schedule, STEPS))
    want = terms(np.asarray(planned("bound", "schedule", schedule, STEPS)))
    np.testing.assert_allclose([highest, start, noise], [1.0, *want], rtol=error)


def test_a_schedule_of_a_million_steps_is_not_sampled() -> None:
    """Up to 2**20 steps every step counts, and so does every step of a traced schedule."""
    assert not is_long(lrax.Constant(1.0), 2**20)
    assert is_long(lrax.Constant(1.0), 2**20 + 1)
    assert not jax.jit(lambda value: jnp.bool_(is_long(lrax.Constant(value), 2**20 + 1)))(1.0)


def test_the_longest_schedules_take_no_time() -> None:
    """At 2**31 - 1 steps the bound is that of the closed form, also under jit, where the schedule is concrete."""
    steps, distance, gradient = 2**31 - 1, 3.0, 0.5
    harmonic = np.log(steps - 1) + np.euler_gamma
    want = distance**2 / (2 * steps) + 0.5 * gradient**2 * (1 + harmonic)
    value = jax.jit(lambda distance, gradient: bound(lrax.Constant(1.0), steps, distance, gradient))(distance, gradient)
    assert float(value) == pytest.approx(want, rel=1e-5)
    ratio = float(lr_ratio(lrax.Constant(1.0), lrax.Constant(7.0), steps))
    assert ratio == pytest.approx(1.0)
    assert float(best_scale(lrax.Constant(0.0), steps)) == np.inf
    with pytest.raises(ValueError, match=r"bound: `total_steps`"):
        bound(lrax.Constant(1.0), steps + 1)


def test_cells_are_single_steps_at_both_ends_and_at_landmarks() -> None:
    """In the longest run too, a step at which the formula changes, and those next to it, have cells of their own."""
    steps, mark = 2_000_000_000, 777_777_777
    edges = np.cumsum(sampled(lrax.MultiStep(0.1, 0.5, [mark]), steps).widths)
    assert {1, mark - 1, mark, mark + 1, steps - 1, steps} <= set(edges.astype(int).tolist())
