"""Forms of a run that recipes accept: what ends before the run does, what is left out, and what is over a schedule."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax import schedules as kinds
from schedule_case import rates_at

COUNTS = jnp.arange(130)


@pytest.mark.parametrize(
    ("recipe", "phase"), [(lrax.warmup_cosine, lrax.Cosine), (lrax.warmup_linear, lrax.Linear)], ids=["cosine", "linear"]
)
def test_a_decay_that_is_over_before_the_run(recipe: Any, phase: Any) -> None:
    """`end_steps` holds the end: the decay of a shorter run, and the length of the whole one, in updates or as a share."""
    want = recipe(0.1, 10, 80, 0.01)(COUNTS)
    for given in (20, 20.0, 0.2):
        held = recipe(0.1, 10, 100, 0.01, end_steps=given)
        np.testing.assert_allclose(held(COUNTS), want, rtol=1e-6)
        assert held.length == 100
    plan = recipe(0.1, warmup_steps=0.1, end=0.01, end_steps=0.2)
    assert plan.with_total_steps(100) == recipe(0.1, 0.1, 100, 0.01, end_steps=0.2)
    for none in (0, 0.0, None):
        assert recipe(0.1, 10, 100, 0.01, end_steps=none) == recipe(0.1, 10, 100, 0.01)
    traced = jax.jit(lambda held: recipe(0.1, 10, 100, 0.01, end_steps=held)(COUNTS))
    np.testing.assert_allclose(traced(20), want, rtol=1e-6)
    np.testing.assert_allclose(traced(0), recipe(0.1, 10, 100, 0.01)(COUNTS), rtol=1e-6)
    with pytest.raises(ValueError, match=r"`end_steps` must be less than what is left of `total_steps` \(90\), got 90"):
        recipe(0.1, 10, 100, end_steps=90)


@pytest.mark.parametrize(
    "recipe", [lrax.warmup_cosine, lrax.warmup_linear, lambda peak, warm, *a, **k: lrax.wsd(peak, warm, 30, *a, **k)]
)
def test_a_warm_up_from_a_rate(recipe: Any) -> None:
    """`start` is the rate of the first update, and the peak comes at the same count as without."""
    plain, started = recipe(0.1, 10, 100), recipe(0.1, 10, 100, start=0.05)
    np.testing.assert_allclose(rates_at(started, range(11)), np.linspace(0.05, 0.1, 11), rtol=1e-6)
    np.testing.assert_array_equal(started(COUNTS)[10:], plain(COUNTS)[10:])
    assert recipe(0.1, 10, 100, start=0.0)(0) == 0
    assert plain(0) > 0


def test_no_cool_down() -> None:
    """A cool-down of no update is none: `wsd` stays at its peak, `faded` does not fade, `flat_cosine` is not flat first."""
    want = np.minimum(np.arange(1, 131) / 5 * 0.1, 0.1)
    for none in (0, 0.0, np.int32(0)):
        np.testing.assert_allclose(lrax.wsd(0.1, warmup_steps=4, cooldown_steps=none, total_steps=10)(COUNTS), want, rtol=1e-6)
    assert lrax.wsd(0.1, warmup_steps=4, cooldown_steps=0, total_steps=10).length == 10
    np.testing.assert_allclose(
        jax.jit(lambda none: lrax.wsd(0.1, warmup_steps=4, cooldown_steps=none, total_steps=10)(COUNTS))(0), want, rtol=1e-6
    )
    assert lrax.wsd(0.1, warmup_steps=np.array([0, 5]), cooldown_steps=np.array([0, 10]), total_steps=100)(95).tolist() == [
        np.float32(0.1),
        np.float32(0.05),
    ]
    decay = lrax.Cosine(0.1, 0.0, 50)
    np.testing.assert_array_equal(kinds.faded(decay, cooldown_steps=0, total_steps=100)(COUNTS), decay(COUNTS))
    np.testing.assert_array_equal(lrax.flat_cosine(0.1, flat_steps=0, total_steps=50)(COUNTS), decay(COUNTS))


def test_a_run_that_ends_in_its_warm_up_is_told_what_to_write() -> None:
    """A warm-up as long as the run, or longer, names the call for such a run, which works."""
    for total, steps in ((100, 100), (10, 500)):
        said = (
            rf"`warmup_steps` must be less .*; a run that ends in its warm-up is lrax.Warmup\(lrax.Constant\(peak\), {steps}\)"
        )
        for recipe in (lrax.warmup_cosine, lrax.warmup_linear):
            with pytest.raises(ValueError, match=said):
                recipe(peak=0.1, total_steps=total, warmup_steps=steps)
        with pytest.raises(ValueError, match=said):
            lrax.wsd(0.1, warmup_steps=steps, cooldown_steps=1, total_steps=total)
        assert lrax.Warmup(lrax.Constant(0.1), steps)(steps) == np.float32(0.1)


def test_a_warm_up_over_a_schedule_leaves_it_where_it_is() -> None:
    """`warmed` multiplies: from the end of the warm-up on the rates are the schedule's own, and its milestones are kept."""
    drops = lrax.MultiStep(0.02, 0.1, [20, 90])
    for steps, start in ((30, None), (30, 0.001), (30, 0.0), (0, None)):
        schedule = kinds.warmed(drops, steps, start)
        first = 1 / (steps + 1) if start is None else start
        factor = np.minimum(first + (1 - first) * np.arange(130) / max(steps, 1), 1) if steps else np.ones(130)
        np.testing.assert_allclose(schedule(COUNTS), factor * np.asarray(drops(COUNTS), np.float64), rtol=1e-5)
        np.testing.assert_array_equal(schedule(COUNTS)[steps:], drops(COUNTS)[steps:])
    assert kinds.warmed(drops, 5).length is None
    assert kinds.warmed(lrax.Cosine(0.1, 0.0, 50), 5).length == 50
    np.testing.assert_allclose(kinds.warmed(drops, 10, 0.0, power=4)(5), 0.02 * 0.5**4, rtol=1e-6)  # darknet's
    assert rates_at(kinds.warmed(lambda count: 0.1, 4), range(3)).shape == (3,)


def test_a_warm_up_over_a_plan() -> None:
    """A share of a warm-up is of the schedule's length, which the plan may wait for."""
    plan = kinds.warmed(lrax.MultiStep(0.02, 0.1, [0.6, 0.8]), 0.1)
    assert plan.needs_total_steps
    assert lrax.from_json(lrax.to_json(plan)) == plan
    want = kinds.warmed(lrax.MultiStep(0.02, 0.1, [60, 80]), 10)
    np.testing.assert_array_equal(plan.with_total_steps(100)(COUNTS), want(COUNTS))
    assert plan.with_total_steps(1000).with_total_steps(100) == plan.with_total_steps(100)
    assert plan.with_total_steps(100).length == 100
    with pytest.raises(ValueError, match=r"use plan\.with_total_steps"):
        plan(0)
    with pytest.raises(ValueError, match=r"warmed: `warmup_steps` must be a number of steps, .* no length, got 0.1"):
        kinds.warmed(lrax.InverseSqrt(0.1), 0.1)
