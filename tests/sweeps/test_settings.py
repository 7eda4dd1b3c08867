import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.sweeps._score import peak_lrs
from small_sweep import PEAKS, run, train


def test_settings_group_their_seeds():
    """Runs with equal schedules are the seeds of one setting; the best is the one with the lowest median."""
    result = run()
    assert [setting.runs for setting in result.settings] == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
    assert result.best.runs == (6, 7, 8)
    assert float(result.best.peak) == np.float32(0.1)
    expected = np.median([np.asarray(result.metrics)[run, -5:].mean() for run in (6, 7, 8)])
    np.testing.assert_allclose(result.best.score, expected, rtol=1e-5)


def test_a_diverged_lane_is_marked_and_does_not_matter():
    """Runs with numbers that are not finite are marked, have no score, and are neither the best nor in the margin."""
    result = run()
    assert list(result.diverged) == [False] * 9 + [True] * 3
    assert np.isnan(result.scores[9:]).all()
    assert np.isfinite(result.scores[:9]).all()
    assert result.settings[3].diverged == 3
    half = lrax.sweeps.SweepResult.create(lrax.Constant(np.float32([0.1, 0.1, 0.2])), np.array([np.nan, 0.0, 5.0]))
    assert half.best.runs == (2,)
    assert "1 of 2 diverged" in str(half)


def test_the_margin_is_paired_over_seeds():
    """What is common to a seed drops out of the margin's error."""
    schedules, seeds = lrax.grid(lrax.Constant(np.float32([0.1, 0.2])), np.arange(5.0))
    scores = np.asarray(seeds) * 10 + np.repeat([0.0, 1.0], 5) + np.tile([0, 0.01, -0.01, 0.02, -0.02], 2)
    margin = lrax.sweeps.SweepResult.create(schedules, scores).margin
    assert margin.seeds == 5
    np.testing.assert_allclose((margin.ahead, margin.error), (1.0, 0.0), atol=1e-9)
    noisy = lrax.sweeps.SweepResult.create(schedules, np.repeat([0.0, 0.1], 5) + np.array([1, -1, 1, -1, 0, -1, 1, -1, 1, 0]))
    assert "not significantly different" in str(noisy)


def test_a_margin_of_unequal_seeds():
    """With other numbers of seeds the difference is that of the means, and the error that of two independent means."""
    rates = [lrax.Constant(0.1)] * 2 + [lrax.Constant(0.2)] * 4
    result = lrax.sweeps.SweepResult.create(rates, np.array([1.0, 2.0, 2.0, 3.0, 4.0, 7.0]))
    np.testing.assert_allclose(result.margin, (2.5, np.sqrt(0.5 / 2 + np.var([2, 3, 4, 7], ddof=1) / 4), 2))
    assert [(one.low, one.high) for one in result.settings] == [(1.0, 2.0), (2.0, 7.0)]


def test_settings_differ_by_class_and_numbers():
    """Equal numbers in another class, and other numbers in the same class, make another setting."""
    rates = [lrax.Linear(0.1, 0.0, 9), lrax.Cosine(0.1, 0.0, 9), lrax.Linear(0.1, 0.0, 8), lrax.Linear(0.1, 0.0, 9)]
    result = lrax.sweeps.SweepResult.create(rates, np.arange(4.0))
    assert [setting.runs for setting in result.settings] == [(0, 3), (1,), (2,)]


def test_all_lanes_may_diverge():
    """If nothing trains, the table says so and there is no best."""
    result = lrax.sweeps.SweepResult.create(lrax.Constant(PEAKS), np.full(4, np.nan))
    assert (result.best, result.margin) == (None, None)
    assert "No best" in str(result)


def test_score_chooses_the_metric():
    """A score is a function of one run's metrics; where it is needed and missing, that is said before anything runs."""

    def both(schedule):
        losses = train(schedule, jax.random.key(0))
        return {"losses": losses, "last": losses[-1]}

    result = lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["last"])
    np.testing.assert_allclose(result.scores[:3], result.metrics["last"][:3])
    with pytest.raises(ValueError, match="`score` must be given unless"):
        lrax.run_sweep(both, lrax.Constant(PEAKS))
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one run -> real scalar"):
        lrax.run_sweep(both, lrax.Constant(PEAKS), score=lambda metrics: metrics["losses"])


def test_peak_lrs():
    """The peak of a schedule is found wherever it is, for long schedules, endless ones and mixed classes."""
    schedules = [
        lrax.warmup_cosine(0.3, warmup_steps=1_000_003, total_steps=2_000_000_000),
        lrax.Triangle(0.1, 0.7, 12_345, rise=0.123),
        lrax.InverseSqrt(0.5),
        lrax.Constant(0.2),
    ]
    result = lrax.sweeps.SweepResult.create(schedules, np.zeros(4))
    np.testing.assert_allclose(result.peaks, [0.3, 0.7, 0.5, 0.2], rtol=1e-3)


def test_the_peak_of_an_endless_schedule_is_that_of_a_thousand_steps():
    """A peak at step 900 is found; of one at step 2000, the learning rate after half of the warm-up counts."""
    schedules = [lrax.Warmup(lrax.Constant(0.3), steps) for steps in (900, 2000)]
    np.testing.assert_allclose(lrax.sweeps.SweepResult.create(schedules, np.zeros(2)).peaks, [0.3, 0.15], rtol=2e-3)


def test_peak_lrs_are_fine():
    """The step of the peak is found to four millionths of the length, whichever side of it falls faster, and at both ends."""
    rises = np.float32([0.0301, 0.1234, 0.4999, 0.7301, 0.9702])
    for steps in (10_001, 1_234_567, 2_000_000_000):
        found = peak_lrs(lrax.Triangle(np.zeros(5, np.float32), np.ones(5, np.float32), np.full(5, steps), rise=rises))
        np.testing.assert_array_less(1 - found, (4e-6 + 1 / steps) / np.minimum(rises, 1 - rises) + 1e-6)
        ends = peak_lrs(lrax.Linear(np.float32([0, 1]), np.float32([1, 0]), np.full(2, steps)))
        np.testing.assert_array_equal(ends, 1)


def test_end_loss():
    """The end loss is the mean of the last quarter, of at least one step, and refuses another fraction."""
    assert float(lrax.sweeps.end_loss(jnp.array([4.0]))) == 4.0
    assert float(lrax.sweeps.end_loss(jnp.arange(10.0), tail=1.0)) == 4.5
    with pytest.raises(ValueError, match="`tail` must be above 0"):
        lrax.sweeps.end_loss(jnp.ones(3), tail=0)


@pytest.mark.parametrize("score", ["loss", lambda metrics: np.median(metrics), lambda metrics: "x", lambda metrics: 1j])
def test_what_is_not_a_score_is_named(score):
    """A score that is not a function of traced metrics to a real scalar is an error that names it."""
    with pytest.raises(TypeError, match="`score` must be a function: metrics of one run -> real scalar, in jnp"):
        lrax.sweeps.SweepResult.create(lrax.Constant(PEAKS), np.ones((4, 3), np.float32), score=score)


def test_large_float64_scores_are_finite():
    """What float32 cannot hold has not diverged."""
    assert not lrax.sweeps.SweepResult.create(lrax.Constant(PEAKS), np.array([1e300, 1.0, 2.0, 3.0])).diverged.any()


@pytest.mark.parametrize("tail", [np.float32(0.25), np.float16(0.25), np.float64(0.25), 0.25])
def test_fractions_are_numbers_of_any_type(tail):
    """A fraction may be NumPy's number, as it comes out of a grid."""
    assert float(lrax.sweeps.end_loss(jnp.arange(8.0), tail=tail)) == 6.5


@pytest.mark.parametrize("tail", ["quarter", None, True, float("nan"), 0, 2])
def test_what_is_not_a_fraction_is_named(tail):
    """What is not a number in (0, 1] is an error that names the argument."""
    with pytest.raises(ValueError, match="`tail` must be above 0 and at most 1"):
        lrax.sweeps.end_loss(jnp.ones(3), tail=tail)


NAN, INF = np.nan, np.inf
HOLLOW = {
    "a return where episodes end": np.array([NAN, NAN, 1.0, NAN, NAN, NAN], np.float32),
    "validation at every third step": np.array([0.5, NAN, NAN, 0.4, NAN, NAN], np.float32),
    "a running best that begins at inf": np.array([INF, 3, 2, 2, 2, 1], np.float32),
    "the logarithm of the count": np.array([-INF, 0, 0.7, 1.1, 1.4, 1.6], np.float32),
    "a half": np.array([NAN, 1, 1, 1, 1, 1], np.float16),
    "a brain float": np.array([NAN, 1, 1, 1, 1, 1], jnp.bfloat16),
    "one number": np.float32(NAN),
    "a complex number": np.complex64(complex(0, INF)),
    "a table": np.array([[NAN, 1.0]] * 3, np.float32),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("kind", HOLLOW)
def test_a_metric_that_is_not_the_score_may_be_not_finite(kind):
    """With a score, a run diverges by that alone; a metric with NaN or inf stays, and the table says where it is so."""

    def hollow(schedule):
        loss = (1 - schedule(0)) ** 2
        return {"loss": loss, "deep": [{"other": jnp.asarray(HOLLOW[kind])}], "done": loss > 0, "steps": jnp.int32(7)}

    rates = lrax.Constant(np.float32([0.1, 0.9, 2e38]))
    result = lrax.run_sweep(hollow, rates, score=lambda metrics: metrics["loss"], execution=lrax.Execution(max_parallel=3))
    assert list(result.diverged) == [False, False, True]
    assert result.best.runs == (1,)
    kept = result.metrics["deep"][0]["other"]
    assert kept.dtype == np.asarray(HOLLOW[kind]).dtype
    np.testing.assert_array_equal(kept[1].astype(complex), np.asarray(HOLLOW[kind]).astype(complex))
    lines = [line for line in str(result).splitlines() if "is not finite" in line]
    assert len(lines) == (kind != "nothing")
    assert all(line.startswith("metrics['deep'][0]['other'] is not finite") for line in lines)
    assert "1 of 3 runs diverged" in str(result)
    assert [row["diverged"] for row in result.rows()] == [False, False, True]


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ([[NAN, 1, NAN], [NAN, 1, NAN]], "metrics['m'] is not finite at 2 of 3 steps"),
        ([[NAN, 1, NAN], [1, 1, INF]], "metrics['m'] is not finite at up to 2 of 3 steps"),
        ([[NAN, 1, NAN], [1, 1, 1]], "metrics['m'] is not finite at up to 2 of 3 steps in 1 of 2 runs"),
        ([NAN, 1], "metrics['m'] is not finite in 1 of 2 runs"),
        ([[[NAN], [1]], [[NAN], [1]]], "metrics['m'] is not finite at 1 of 2 numbers"),
    ],
)
def test_where_a_metric_is_not_finite_is_said(metric, words):
    """The line has the path of the metric, how many steps lack it, and in how many runs."""
    metrics = {"loss": np.array([1.0, 2.0]), "m": np.array(metric)}
    text = str(lrax.sweeps.SweepResult.create(lrax.Constant(PEAKS[:2]), metrics, lambda one: one["loss"]))
    assert words in text.splitlines()


def test_a_metric_is_not_blamed_for_runs_that_diverged():
    """Metrics of runs that diverged are NaN as a rule: nothing is said of them, unless no run is left."""
    metrics = {"loss": np.array([1.0, NAN]), "curve": np.array([[1.0, 1.0], [1.0, NAN]])}
    create = lambda peaks, some: lrax.sweeps.SweepResult.create(lrax.Constant(peaks), some, lambda one: one["loss"])  # noqa: E731
    assert "metrics" not in str(create(PEAKS[:2], metrics))
    lost = str(create(PEAKS[:1], jax.tree.map(lambda leaf: leaf[1:], metrics)))
    assert lost.startswith("No best: every setting has a run that diverged")
    assert "metrics['curve'] is not finite at 1 of 2 steps" in lost


CURVES = {
    "validation at every third step": ([NAN, 4, NAN, NAN, 2, NAN, NAN, 1, NAN, NAN], 1.0),
    "nothing measured in the tail": ([9, NAN, NAN, NAN, NAN, 3, NAN, NAN, NAN, NAN], 3.0),
    "a running best that begins at inf": ([INF, INF, 4, 4, 3, 3, 3, 2, 2, 2], 2.0),
    "the logarithm of the count": ([-INF, 0, 1, 2, 3, 4, 5, 6, 6, 6], 6.0),
    "a batch that was skipped": ([5, 4, 3, 2, 1, 1, 1, 1, NAN, 3], 2.0),
    "it ended in NaN": ([5, 4, 3, 2, 1, 1, 1, 1, 1, NAN], NAN),
    "it ended in NaN after a batch that was skipped": ([5, NAN, 3, 2, 1, 1, 1, 1, NAN, NAN], NAN),
    "it ended in NaN after a late start": ([NAN, NAN, NAN, 2, 1, 1, 1, 1, 1, NAN], NAN),
    "one loss alone": ([NAN, NAN, NAN, NAN, NAN, NAN, NAN, 1, NAN, NAN], NAN),
    "an infinite loss in the tail": ([5, 4, 3, 2, 1, 1, 1, 1, INF, 1], INF),
    "two of them": ([5, 4, 3, 2, 1, 1, 1, INF, -INF, 1], NAN),
    "all NaN": ([NAN] * 10, NAN),
    "all fine": ([9, 9, 9, 9, 9, 9, 9, 1, 2, 3], 2.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16, np.float64])
def test_gaps_in_a_curve_are_not_its_end(dtype):
    """NaN between losses is left out of the default score; more in a row at the end than between losses is a divergence."""
    curves, ends = (np.array(part) for part in zip(*CURVES.values(), strict=True))
    result = lrax.sweeps.SweepResult.create([lrax.Constant(0.1)] * len(curves), curves.astype(dtype))
    np.testing.assert_allclose(result.scores, np.where(np.isinf(ends), NAN, ends))
    np.testing.assert_array_equal(result.diverged, ~np.isfinite(ends))
    if dtype != np.float64:
        found = lrax.sweeps.end_loss(jnp.asarray(curves.astype(dtype)))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(np.float32), ends)


def test_end_loss_of_gaps_has_a_gradient():
    """The gradient is that of the mean of the losses that count, and 0 elsewhere."""
    slope = jax.grad(lambda losses: lrax.sweeps.end_loss(losses, tail=0.5))(jnp.array([1.0, NAN, 2.0, NAN, 3.0, NAN]))
    np.testing.assert_array_equal(slope, [0, 0, 0, 0, 1, 0])


def test_end_loss_of_no_steps_is_named():
    """A curve without steps has no end."""
    with pytest.raises(ValueError, match=r"end_loss: `losses` must be the losses of at least one step, got 'shape \(3, 0\)'"):
        lrax.sweeps.end_loss(jnp.zeros((3, 0)))


@pytest.mark.parametrize("dtype", [np.int32, bool])
def test_curves_of_whole_numbers_are_scored(dtype):
    """Errors that are counted, and whether there is one, have an end like losses."""
    result = lrax.sweeps.SweepResult.create(lrax.Constant(PEAKS[:2]), np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype))
    assert (list(result.scores), result.best.runs) == ([1.0, 0.0], (1,))


def verdict(scores, seeds):
    """The first line of a sweep of Constant(0.1), Constant(0.2), ..., with so many seeds each."""
    peaks = np.float32([0.1, 0.2, 0.3])[: len(scores) // seeds]
    schedules, _ = lrax.grid(lrax.Constant(peaks), np.arange(seeds))
    return str(lrax.sweeps.SweepResult.create(schedules, np.array(scores, float))).splitlines()[0]


ONE, TWO = "peak 0.1", "peak 0.2"


@pytest.mark.parametrize(
    ("scores", "seeds", "words"),
    [
        (
            [1, 2, 3, 5, 6, 7.3],
            3,
            f"Best: {ONE}: score 2 (median of 3 seeds), significantly lower than the next ({TWO}) by 4.1 ± 0.1 in the "
            "mean over 3 seeds",
        ),
        (
            [1, 2, 3, 1, 3, 3],
            3,
            f"Best: {ONE}: score 2 (median of 3 seeds), not significantly different from the next ({TWO}): lower by "
            "0.3333 ± 0.33 in the mean over 3 seeds; take either, or train more seeds",
        ),
        (
            [1, 2, 3, 9, 9, 2, 2, 2, 20, 20],
            5,
            f"Best by the median: {TWO}: score 2 (median of 5 seeds), not significantly different from the next ({ONE}): "
            "higher by 4.4 ± 2.7 in the mean over 5 seeds; take either, or train more seeds",
        ),
        (
            [1.0] * 12 + [0.9] * 7 + [9.0] * 5,
            12,
            f"Best by the median: {TWO}: score 0.9 (median of 12 seeds), significantly higher than the next ({ONE}) "
            "by 3.275 ± 1.2 in the mean over 12 seeds",
        ),
        ([2, 1], 1, f"Best: {TWO}: score 1, lower than the next ({ONE}) by 1; not tested: train several seeds of both"),
        ([1, NAN, 2, 2], 2, f"Best: {TWO}: score 2 (median of 2 seeds); every other setting has a run that diverged"),
        ([1, 1], 1, f"Best: {ONE}: score 1, equal to the next ({TWO}); not tested: train several seeds of both"),
        ([1], 1, f"Best: {ONE}: score 1; there is no other setting to compare it with"),
        ([1, NAN], 2, "No best: every setting has a run that diverged; try peak learning rates below 0.1"),
    ],
)
def test_the_verdict_is_the_first_line(scores, seeds, words):
    """It names the best and the runner-up, their mean difference, over how many seeds, and whether it is significant."""
    assert verdict(scores, seeds) == words


def test_a_difference_is_significant_by_students_test():
    """Few seeds need a larger difference: 4.3 standard errors with three, 12.7 with two; one seed tests nothing."""
    margin = lrax.sweeps.Margin
    assert [margin(4.2, 1.0, 3).significant, margin(4.4, 1.0, 3).significant] == [False, True]
    assert [margin(-12.6, 1.0, 2).significant, margin(-12.8, 1.0, 2).significant] == [False, True]
    assert [margin(2.0, 1.0, 100).significant, margin(1.9, 1.0, 100).significant] == [True, False]
    assert not margin(5.0, math.nan, 1).significant
    random = np.random.default_rng(0)
    found = []
    for _ in range(200):
        result = lrax.sweeps.SweepResult.create(lrax.Constant(np.repeat([0.1, 0.2], 3)), random.normal(size=6))
        found.append(result.margin.significant)
    assert np.mean(found) < 0.1  # of pure noise; 0.16 with two standard errors
