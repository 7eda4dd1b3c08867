import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from small_sweep import PEAKS, run, train


def test_settings_group_their_seeds():
    """Lanes with equal schedules are the seeds of one setting; the best is the one with the lowest median."""
    result = run()
    assert [setting.lanes for setting in result.settings] == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
    assert result.best.lanes == (6, 7, 8)
    assert float(result.best.peak) == np.float32(0.1)
    expected = np.median([np.asarray(result.metrics)[lane, -5:].mean() for lane in (6, 7, 8)])
    np.testing.assert_allclose(result.best.score, expected, rtol=1e-5)


def test_a_diverged_lane_is_marked_and_does_not_matter():
    """Lanes with numbers that are not finite are marked, have no score, and are neither the best nor in the margin."""
    result = run()
    assert list(result.diverged) == [False] * 9 + [True] * 3
    assert np.isnan(result.scores[9:]).all()
    assert np.isfinite(result.scores[:9]).all()
    assert result.settings[3].diverged == 3
    half = lrax.sweeps.Sweep.create(lrax.Constant(np.float32([0.1, 0.1, 0.2])), np.array([np.nan, 0.0, 5.0]))
    assert half.best.lanes == (2,)
    assert "1 of 2 diverged" in str(half)


def test_the_margin_is_paired_over_seeds():
    """What is common to a seed drops out of the margin's error."""
    schedules, seeds = lrax.cross(lrax.Constant(np.float32([0.1, 0.2])), np.arange(5.0))
    scores = np.asarray(seeds) * 10 + np.repeat([0.0, 1.0], 5) + np.tile([0, 0.01, -0.01, 0.02, -0.02], 2)
    margin = lrax.sweeps.Sweep.create(schedules, scores).margin
    assert margin.seeds == 5
    np.testing.assert_allclose((margin.ahead, margin.error), (1.0, 0.0), atol=1e-9)
    noisy = lrax.sweeps.Sweep.create(schedules, np.repeat([0.0, 0.1], 5) + np.array([1, -1, 1, -1, 0, -1, 1, -1, 1, 0]))
    assert "not to be told apart" in str(noisy)
    behind = lrax.sweeps.Sweep.create(schedules, np.array([1.0, 2, 3, 9, 9, 2, 2, 2, 20, 20]))  # the best is so by its median
    assert "score 2, 4.4 ± 2.7 behind the next in the mean over 5 seeds: not to be told apart" in str(behind)


def test_all_lanes_may_diverge():
    """If nothing trains, the table says so and there is no best."""
    result = lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.full(4, np.nan))
    assert (result.best, result.margin) == (None, None)
    assert "no best" in str(result)


def test_score_chooses_the_metric():
    """A score is a function of one lane's metrics; where it is needed and missing, that is said before anything runs."""

    def both(schedule):
        losses = train(schedule, jax.random.key(0))
        return {"losses": losses, "last": losses[-1]}

    result = lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["last"])
    np.testing.assert_allclose(result.scores[:3], result.metrics["last"][:3])
    with pytest.raises(ValueError, match="`score` must be given unless"):
        lrax.run_sweep(both, lrax.Constant(PEAKS))
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one lane -> real scalar"):
        lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["losses"])


def test_peak_rates():
    """The peak of a schedule is found wherever it is, for long schedules, endless ones and mixed kinds."""
    schedules = [
        lrax.warmup_cosine(0.3, 2_000_000_000, 1_000_003),
        lrax.Triangle(0.1, 0.7, 12_345, rise=0.123),
        lrax.InverseSqrt(0.5),
        lrax.Constant(0.2),
    ]
    result = lrax.sweeps.Sweep.create(schedules, np.zeros(4))
    np.testing.assert_allclose(result.peaks, [0.3, 0.7, 0.5, 0.2], rtol=1e-3)


def test_end_loss():
    """The end loss is the mean of the last quarter, of at least one update, and refuses another part of nothing."""
    assert float(lrax.sweeps.end_loss(jnp.array([4.0]))) == 4.0
    assert float(lrax.sweeps.end_loss(jnp.arange(10.0), tail=1.0)) == 4.5
    with pytest.raises(ValueError, match="`tail` must be above 0"):
        lrax.sweeps.end_loss(jnp.ones(3), tail=0)


@pytest.mark.parametrize("score", ["loss", lambda metrics: np.median(metrics), lambda metrics: "x", lambda metrics: 1j])
def test_scores_that_are_none_are_named(score):
    """A score that is no function of traced metrics to a real scalar is an error that names it."""
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one lane -> real scalar, in jnp"):
        lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.ones((4, 3), np.float32), score=score)


def test_large_float64_scores_are_finite():
    """What float32 cannot hold has not diverged."""
    assert not lrax.sweeps.Sweep.create(lrax.Constant(PEAKS), np.array([1e300, 1.0, 2.0, 3.0])).diverged.any()


@pytest.mark.parametrize("tail", [np.float32(0.25), np.float16(0.25), np.float64(0.25), 0.25])
def test_parts_are_numbers_of_any_kind(tail):
    """A part of the updates may be NumPy's number, as it comes out of a grid."""
    assert float(lrax.sweeps.end_loss(jnp.arange(8.0), tail=tail)) == 6.5


@pytest.mark.parametrize("tail", ["quarter", None, True, float("nan"), 0, 2])
def test_parts_that_are_none_are_named(tail):
    """What is no number in (0, 1] is an error that names the argument."""
    with pytest.raises(ValueError, match="`tail` must be above 0 and at most 1"):
        lrax.sweeps.end_loss(jnp.ones(3), tail=tail)
