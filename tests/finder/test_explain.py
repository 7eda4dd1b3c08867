"""Explanations never mislead: they have numbers, and a remedy only where there is something to do."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest

import lrax
from lrax.finder import Reason
from results import curve, drop, found_at, runs

mpl.use("Agg")
import matplotlib.pyplot as plt

ADVICE = ("give ", "let it", "look at", "start the", "check it", "try another", "may be")
SCALE = "scale the inputs and the targets to about 1"


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_good_curve_has_nothing_to_worry_about():
    """A whole drop says how far the loss dropped, and gives no advice."""
    text = str(curve(drop(150), Reason.COMPLETED))
    assert text.startswith("range test of 150 steps (completed: the loss dropped from 2 to 0.4")
    assert not any(word in text for word in ADVICE)


def test_a_ramp_that_ended_early_says_where():
    """If the loss still dropped at the end of the ramp, the text has the learning rate and the loss there, and a remedy."""
    text = str(curve(drop(150)[:80], Reason.COMPLETED, high=0.02))
    assert "the ramp ended at learning rate 0.02 while the loss still dropped, from 2 at first to 1." in text
    assert "let it climb higher" in text


@pytest.mark.parametrize(("gained", "still"), [(0.03, False), (0.08, True)])
def test_a_ramp_ended_early_if_its_end_made_a_fair_part_of_the_drop(gained, still):
    """A twentieth of the drop in the last tenth of the decades is the limit."""
    place = np.linspace(0, 1, 200)
    losses = 2 - np.interp(place, [0, 0.9, 1], [0, 1 - gained, 1])
    assert ("while the loss still dropped" in str(curve(losses, Reason.COMPLETED))) == still


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_divergence_after_good_steps_is_an_end_like_another(bad):
    """A loss that is not finite after a drop names the learning rate, and points neither at the data nor at the parameters."""
    text = str(curve([*drop(150), bad], Reason.NON_FINITE))
    assert "was not finite after learning rate 9.12, which is one way a range test ends" in text
    assert not any(word in text for word in (*ADVICE, "initial parameters"))


@pytest.mark.parametrize(
    ("losses", "reason", "ends", "said"),
    [
        (2 + 0.01 * np.sin(np.arange(90)), Reason.COMPLETED, {"high": 1e-3}, "up to learning rate 0.001: let the ramp climb"),
        (2 + 0.01 * np.sin(np.arange(90)), Reason.COMPLETED, {}, "up to learning rate 10: give larger batches"),
        ([2.0, 1.5, 1.0], Reason.COMPLETED, {}, "3 steps are too few for a suggestion: give the ramp more"),
        ([2.0], Reason.COMPLETED, {}, "1 step is too few"),
        (np.geomspace(1, 30, 20), Reason.DIVERGED, {"high": 2e-5}, f"learning rate 1.93e-05: {SCALE}, or start the ramp lower"),
        ([*np.full(80, 0.11), 1, 9], Reason.DIVERGED, {}, "use learning rates far below"),
        ([2.0, 2.0, np.nan], Reason.NON_FINITE, {}, "after learning rate 0.01: start the ramp lower"),
        ([], Reason.DATA_ENDED, {}, "the data ended before the first step"),
        ([2.0, 2.0], Reason.DATA_ENDED, {}, "the data ended after 2 steps, at learning rate"),
        ([2.0, 2.0], Reason.INTERRUPTED, {}, "interrupted after 2 steps; what it had measured is kept"),
        ([np.nan], Reason.NON_FINITE, {}, "the very first loss was NaN, before any learning rate had acted: look at the data"),
        ([np.inf], Reason.NON_FINITE, {}, "the very first loss was inf, before any learning rate had acted: look at the data"),
    ],
)
def test_no_answer_says_why(losses, reason, ends, said):
    """Each curve that supports no suggestion says why with numbers, and what to do; so does a result without a peak."""
    one = curve(losses, reason, **ends)
    assert said in str(one)
    found = found_at(None, curves=(one,), reason=reason)
    assert str(found).startswith("no peak learning rate for warmup_cosine of 1,000 steps (")
    assert "start the ramp lower" not in str(found)


@pytest.mark.parametrize(
    ("losses", "rate", "said"),
    [
        ([2.0, 2.1, 2.05, np.nan], 1e-7, "the loss of step 4 was NaN after learning rate 1.01e-07, which is hardly the cause"),
        ([2.0, 2.1, 2.05, np.inf], 1e-7, "the loss of step 4 was inf after learning rate 1.01e-07, which is hardly the cause"),
        ([2.0, 2.1, 2.05, np.nan], 1e-2, "start the ramp lower"),
        ([2.0, 2.1, 90.0, np.nan], 1e-7, "start the ramp lower"),
        ([2.0, np.inf], 1e-7, "look at the batch of that step, and at the loss that it gives, or start the ramp lower"),
    ],
    ids=["NaN", "infinite", "at a high learning rate", "after a rise", "after the first step"],
)
def test_a_learning_rate_that_is_too_low_to_matter_is_not_blamed(losses, rate, said):
    """A loss that stops at a tiny learning rate, without a rise before, points at its batch; others at the ramp."""
    text = str(curve(losses, Reason.NON_FINITE, low=rate, high=rate * 1.01))
    assert said in text
    assert ("lower" in said) == ("lower" in text)


def test_a_batch_that_is_at_fault_is_told_in_place_of_advice():
    """With a batch that holds a NaN there is no advice about learning rates or parameters, with runs or without."""
    fault = "batch 4 holds NaN at [0]"
    for losses in ([np.nan], [2.0, np.nan], [2.0, 2.1, 2.05, np.nan]):
        one = curve(losses, Reason.NON_FINITE, fault=fault)
        found = found_at(None, curves=(one,), reason=Reason.NON_FINITE, fault=fault)
        for text in (str(one), found.explanation):
            assert "; batch 4 holds NaN at [0]: look at the data" in text
            assert "initial parameters" not in text
    text = str(found_at(None, runs=runs([np.inf] * 4), fault=fault))
    assert "all ended at a loss that was not finite; batch 4 holds NaN at [0]: look at the data" in text
    assert "diverged" not in text


def test_one_line_leads():
    """The text of a result is one line: its peak, for which plan, the interval and the cost."""
    found = found_at(0.0512, runs=runs([3, 1, 0.5, np.inf]))
    assert str(found) == (
        "peak learning rate 0.0512 for warmup_cosine of 1,000 steps, 80 % interval 0.013 to 0.26 (300 steps run)"
    )
    assert repr(found).startswith("<FinderResult: peak learning rate 0.0512")
    assert "for the schedule of" in str(dataclasses.replace(found, plan=lrax.Function(lambda count: 1.0)))


def test_runs_tell_what_was_tried():
    """The explanation says which runs were tried, which ended lowest, and what a narrower interval costs."""
    found = found_at(0.1, runs=runs([3, 1, 0.5, np.inf]), curves=(curve(drop(), Reason.DIVERGED),))
    text = found.explanation
    assert text.startswith("4 runs of 50 steps with peaks from 0.01 to 0.3: the lowest loss at the end, 0.5, was at 0.1")
    assert text.endswith("for a narrower interval, budget=600 makes longer runs")
    assert dataclasses.replace(found, budget=700).explanation.endswith("lrax.race compares whole runs")
    assert "diverged" not in text


@pytest.mark.parametrize(("losses", "side", "beyond"), [([4, 3, 2, 1], "highest", "higher"), ([1, 2, 3, 4], "lowest", "lower")])
def test_a_best_run_at_the_end_is_said(losses, side, beyond):
    """A best run that was the last one tried on its side is said, with the budget that settles it."""
    text = found_at(0.1, runs=runs(losses)).explanation
    assert f"it was the {side} of them, so the best may be {beyond}: budget=600 makes longer runs" in text


def test_a_plateau_is_said():
    """Runs that all ended about where they began are on a plateau, or lost in noise."""
    text = found_at(0.1, runs=runs([2.0, 1.99, 1.98, 1.99])).explanation
    assert "no run has left the plateau that it began on: budget=600 makes longer runs" in text
    on, off = (str(found_at(0.1, runs=runs([2.0, 1.99, low, 1.99]))) for low in (1.98, 0.5))
    assert ", but no run has left the plateau that it began on (" in on
    assert "plateau" not in off


def test_a_search_that_costs_whole_runs_says_so():
    """Where the plan is not longer than the budget, the answer is to train whole runs."""
    found = found_at(0.1, runs=runs([2, 1, 0.5, 0.7]))
    assert "costs as much as whole runs" not in found.explanation
    text = dataclasses.replace(found, total_steps=found.budget).explanation
    assert text.endswith("for 300 steps the search costs as much as whole runs: compare some by lrax.run_sweep")
    flat = found_at(None, runs=runs([2.0, 1.99, 1.98, 1.99]), losses=2 + 0.01 * np.sin(np.arange(90)))
    assert "never dropped by more than its noise" in flat.explanation
    assert "; nor in 4 runs of 50 steps with peaks from 0.01 to 0.3" in flat.explanation


def test_runs_that_all_diverged_are_told():
    """If every run diverged there is no peak, and that is said."""
    text = str(found_at(None, runs=runs([np.inf] * 4)))
    assert f"4 runs of 50 steps with peaks from 0.01 to 0.3 all diverged: {SCALE}" in text


def test_a_tiny_learning_rate_points_at_the_scale():
    """Where the best run is near the lowest learning rate of the ramp, the remedy is the scale of the data."""
    ramp = (curve(drop(), Reason.COMPLETED, low=1e-4),)
    assert SCALE not in found_at(0.01, curves=ramp, runs=runs([2, 1, 3, 4])).explanation
    tiny = runs([2, 1, 3, 4], peaks=(0.001, 0.003, 0.01, 0.03))
    assert found_at(0.001, curves=ramp, runs=tiny).explanation.count(SCALE) == 1


def test_a_curve_without_steps_is_told():
    """A curve without steps is told of and drawn, whatever its reason."""
    for reason in Reason:
        one = curve([], reason)
        assert f"({reason}: " in str(one)
        one.plot()
        assert found_at(None, curves=(one,), reason=reason).plot().get_title().startswith("no peak learning rate")


def test_multiples_that_change_with_the_other_parameters_are_explained():
    """Where the other parameters keep their learning rate after all, the text says why a multiple is another one."""
    made = lrax.finder.GroupRuns(np.ones((9, 2), np.float32), np.ones(9, np.float32), 40, {"^embed": 6.7}, 50, 0.13, 0.06)
    found = dataclasses.replace(found_at(0.1, runs=runs([2, 1, 0.5, 0.7])), groups={"^embed": 1.7}, group_runs=made)
    assert "with the multiples 6.7 for ^embed, runs of 50 steps end 0.13" in found.explanation
    assert (
        "that the other parameters need a lower or higher one is not significant, so they do not change: 1.7"
        in found.explanation
    )
    assert "do not change" not in dataclasses.replace(found, groups={"^embed": 6.7}).explanation
