"""The search policy: short runs placed one after the other."""

import math

import numpy as np
import pytest

from lrax.finder._policy import PRIOR, Beliefs, find_peak, ramp_steps, run_lengths
from lrax.finder._rules import center

RATES = np.geomspace(1e-7, 100.0, 100)
LOSSES = 0.5 + 0.5 / (1 + (RATES / 0.01) ** 2)


def bowl(best, low=0.2, over=0.4):
    """Runs whose loss is lowest at `best`, steeper above it, and that diverge far above it."""

    def train(peaks, steps):
        away = np.log10(np.asarray(peaks) / best)
        kept = np.exp(-np.where(away < 0, np.abs(away / 1.1) ** 1.5, (away / over) ** 2))
        return [float(loss) if far < 1 else math.inf for loss, far in zip(1 - (1 - low) * kept, away, strict=True)]

    return train


@pytest.mark.parametrize("budget", [100, 150, 300, 500, 1000])
def test_runs_take_the_budget(budget):
    """The ramp and the runs take the whole budget, and no run takes more than half of what the ramp leaves."""
    ramp = ramp_steps(budget)
    lengths = run_lengths(budget - ramp, 4000)
    assert ramp + sum(lengths) == budget
    assert max(lengths) <= (budget - ramp + 1) // 2
    assert lengths[1:] == sorted(lengths[1:])


@pytest.mark.parametrize("best", [0.004, 0.03, 0.2])
def test_finds_the_bottom(best):
    """Where the best peak does not depend on the length, the answer is at most three times lower, or 1.3 times higher."""
    answer = find_peak(RATES, LOSSES, 500, 600, bowl(best), scale_invariant=False)
    assert best / 3 < answer.peak < 1.3 * best
    assert answer.low < best < 1.2 * answer.high
    assert answer.steps == 500
    assert [run.steps for run in answer.runs] == [50, 50, 100, 200]


def test_follows_the_unit_of_the_learning_rate():
    """Learning rates that are ten times as high give an answer that is ten times as high."""
    once = find_peak(RATES, LOSSES, 300, 4000, bowl(0.03))
    tens = find_peak(10 * RATES, LOSSES, 300, 4000, bowl(0.3))
    np.testing.assert_allclose(np.array(tens[:3]) / np.array(once[:3]), 10.0, rtol=1e-6)


def test_does_not_depend_on_the_unit_of_the_loss():
    """Losses that are a thousand times as high give the same answer."""
    train = bowl(0.03)
    once = find_peak(RATES, LOSSES, 300, 4000, train)
    scaled = find_peak(RATES, 1000 * LOSSES, 300, 4000, lambda peaks, steps: [1000 * loss for loss in train(peaks, steps)])
    np.testing.assert_allclose(scaled[:4], once[:4], rtol=1e-6)


def test_reads_losses_below_zero():
    """Losses that pass 0 give an answer near the best peak."""
    train = bowl(0.03)
    answer = find_peak(RATES, LOSSES - 0.7, 500, 4000, lambda peaks, steps: [loss - 0.7 for loss in train(peaks, steps)], False)
    assert 0.03 / 10 < answer.peak < 0.03


def test_goes_down_where_runs_diverge():
    """If every run diverges, every run is lower than the one before, and the answer is lower than all."""
    answer = find_peak(RATES, LOSSES, 300, 4000, lambda peaks, steps: [math.inf for _ in peaks])
    peaks = [run.peak for run in answer.runs]
    assert peaks == sorted(peaks, reverse=True)
    assert answer.peak < peaks[-1]


def test_longer_runs_that_like_lower_peaks_lower_the_answer():
    """Where the best peak falls with the length of the runs, the answer is lower than where it does not."""

    def train(peaks, steps):
        return bowl(0.05 * (50 / steps) ** 0.8)(peaks, steps)

    assert find_peak(RATES, LOSSES, 500, 4000, train).peak < 0.7 * find_peak(RATES, LOSSES, 500, 4000, bowl(0.05)).peak


def test_a_ramp_without_a_fall_has_no_middle():
    """Flat and rising ramps have no middle, and the search still gives an answer."""
    assert math.isnan(center(RATES, np.ones(100)))
    assert math.isnan(center(RATES, 1 + RATES))
    assert math.isfinite(find_peak(RATES, np.ones(100), 300, 4000, bowl(0.03)).peak)


@pytest.mark.parametrize("times", [10.0, 30.0])
def test_leaves_the_plateau_above(times):
    """Runs that are all far too high, and end just below the first loss, do not pass for the best: the ramp fell further."""
    losses = np.where(RATES < 3e-3, 0.2 + 0.8 / (1 + RATES / 1e-4), 0.97)
    best = 2e-3 / times

    def train(peaks, steps):
        return [
            0.96 if peak > 2.5 * best else loss for peak, loss in zip(peaks, bowl(best, low=0.1)(peaks, steps), strict=True)
        ]

    assert find_peak(RATES, losses, 300, 320, train, scale_invariant=True).peak < 1.3 * best


def test_leaves_a_plateau_below():
    """Runs far below the best peak that do not fall send the search up, though the ramp fell a little there."""
    losses = np.where(RATES < 1e-3, 1 - 0.04 / (1 + (3e-5 / RATES) ** 2), 0.96)

    def train(peaks, steps):
        return [0.99 if peak < 3e-3 else loss for peak, loss in zip(peaks, bowl(0.03)(peaks, steps), strict=True)]

    answer = find_peak(RATES, losses, 500, 600, train, scale_invariant=False)
    assert 0.03 / 5 < answer.peak < 0.03


@pytest.mark.parametrize("best", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("blown", [math.inf, math.nan, 1e9])
def test_stays_below_an_edge(best, blown):
    """Where runs blow up right above the best peak, the answer is below it, and not far."""

    def train(peaks, steps):
        return [blown if peak > 1.1 * best else loss for peak, loss in zip(peaks, bowl(best)(peaks, steps), strict=True)]

    assert best / 5 < find_peak(RATES, LOSSES, 500, 600, train, scale_invariant=False).peak < 1.1 * best


@pytest.mark.parametrize("budget", [300, 500, 1000, 2500])
@pytest.mark.parametrize("edge", [0.03, 0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("scale_invariant", [True, False])
def test_the_answer_is_not_above_every_run_that_learnt(budget, edge, scale_invariant):
    """Where the loss falls up to an edge, the answer stays below the highest peak that did not diverge, at any length."""

    def train(peaks, steps):
        return [1 / (1 + (peak / 0.01) ** 0.7) if peak < edge else math.inf for peak in peaks]

    answer = find_peak(RATES, LOSSES, budget, 5000, train, scale_invariant=scale_invariant)
    assert answer.peak <= max(run.peak for run in answer.runs if run.loss < 1) * (1 + 1e-9)
    assert answer.low <= answer.peak <= edge


def test_more_steps_narrow_the_interval():
    """The interval is narrower after 1,000 steps than after 300, and never narrower than the drift of the plan's best peak."""
    widths = [math.log10(a.high / a.low) for a in (find_peak(RATES, LOSSES, b, 4000, bowl(0.03), True) for b in (300, 1000))]
    assert 2 * 1.28 * PRIOR.drift * 0.9 < widths[1] < widths[0]


def test_beliefs_on_both_sides_alike_have_an_interval_alike():
    """The ends of the interval are as far from the middle of three hypotheses as its two neighbours are alike."""
    away, ones = np.array([-1.0, 0.0, 1.0]), np.ones(3)
    beliefs = Beliefs(100, 1.0, 0.5, PRIOR, away - 2, 0 * ones, 0.3 * ones, ones, ones, 0 * ones)
    answer = beliefs.answer(0)
    assert math.log10(answer.low) + math.log10(answer.high) == pytest.approx(-4)
    assert answer.low < 0.01 < answer.high
