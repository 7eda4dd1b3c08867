"""Reasons never mislead: what is said of a test has its numbers, and a remedy only where there is something to do."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest

import lrax
from lrax.finder import Curve, Reason
from lrax.finder._conclude import found_in
from lrax.finder._explain import explain

mpl.use("Agg")
import matplotlib.pyplot as plt

ADVICE = ("give ", "let it", "look at", "start the", "check it", "try another", "may be")


def curve(losses, reason, low=1e-5, high=10.0):
    """A curve over rates that climb from `low` to `high`."""
    losses = np.asarray(losses, np.float32)
    return Curve(np.geomspace(low, high, len(losses)).astype(np.float32), losses, losses, reason)


def fall(updates=150, bottom=0.4):
    """A loss that falls from 2 to `bottom` in the middle."""
    places = np.linspace(-8, 8, updates)
    return bottom + (2 - bottom) / (1 + np.exp(places)) + 0.01 * np.sin(40 * places)


def told(losses, reason, rule=lrax.finder.fall, **ends):
    """What is said of a result of one curve."""
    one = curve(losses, reason, **ends)
    return str(found_in([one], [one.suggest(rule, 0.0)]))


def test_a_good_result_has_nothing_to_worry_about():
    """A suggestion after a whole fall, from a ramp alone, says how far the loss fell, and gives no advice."""
    text = told(fall(), Reason.COMPLETED)
    assert text.startswith("suggested rate ")
    assert "completed: the loss fell from 2" in text
    assert not any(word in text for word in ADVICE)


def test_a_ramp_that_ended_early_says_where():
    """If the loss still fell where the one ramp ended, the sentence has the rate and the loss there, and what to do."""
    text = told(fall()[:80], Reason.COMPLETED, high=0.02)
    assert "the ramp ended at rate 0.02 while the loss still fell, from 2 at first to 1." in text
    assert "let it climb higher" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_blow_up_after_good_updates_is_an_end_like_another(bad):
    """A loss that is not finite after a fall names the rate, and points neither at the data nor at the parameters."""
    text = told([*fall(), bad], Reason.NON_FINITE, high=10.0)
    assert "suggested rate" in text
    assert "was not finite after rate 9.12, which is one way a range test ends" in text
    assert not any(word in text for word in (*ADVICE, "initial parameters"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_first_loss_that_is_not_finite_points_at_the_data(bad):
    """Only a first loss that is not finite, which no rate has caused, sends one to the data and the initial parameters."""
    text, loss = told([bad], Reason.NON_FINITE), "NaN" if np.isnan(bad) else "inf"
    assert text == (
        f"no suggestion after 1 update (non-finite: the very first loss was {loss}, before any rate had acted: "
        "look at the data and the initial parameters)"
    )


@pytest.mark.parametrize(
    ("case", "losses", "reason", "ends", "said"),
    [
        (
            "flat, low",
            2 + 0.01 * np.sin(np.arange(90)),
            Reason.COMPLETED,
            {"high": 1e-3},
            "up to rate 0.001: let the ramp climb",
        ),
        ("flat, high", 2 + 0.01 * np.sin(np.arange(90)), Reason.COMPLETED, {}, "up to rate 10: give larger batches"),
        ("too short", [2.0, 1.5, 1.0], Reason.COMPLETED, {}, "3 updates are too few to read a rate off: give the ramp more"),
        ("one update", [2.0], Reason.COMPLETED, {}, "1 update is too few"),
        (
            "diverged at once",
            np.geomspace(1, 30, 20),
            Reason.DIVERGED,
            {"high": 2e-5},
            "after rate 1.93e-05: scale the inputs and the targets to about 1, or start the ramp lower",
        ),
        ("trained already", [*np.full(80, 0.11), 1, 9], Reason.DIVERGED, {}, "keep to rates well below that"),
        ("blew up soon", [2.0, 2.0, np.nan], Reason.NON_FINITE, {}, "after rate 0.01: start the ramp lower"),
        ("no batch", [], Reason.DATA_ENDED, {}, "the data ended before the first update"),
        ("few batches", [2.0, 2.0], Reason.DATA_ENDED, {}, "the data ended after 2 updates, at rate 10,"),
        ("interrupted", [2.0, 2.0], Reason.INTERRUPTED, {}, "interrupted after 2 updates; what it had measured is kept"),
        ("interrupted at once", [], Reason.INTERRUPTED, {}, "interrupted after 0 updates"),
    ],
)
def test_no_suggestion_says_why(case, losses, reason, ends, said):
    """Each result without a suggestion says why with numbers, and what to do."""
    text = told(losses, reason, **ends)
    assert text.startswith("no suggestion after ")
    assert said in text
    assert "as a range test should end" not in text


@pytest.mark.parametrize(
    ("losses", "rate", "said"),
    [
        (
            [2.0, 2.1, 2.05, np.nan],
            1e-7,
            "the loss of update 4 was NaN after rate 1.01e-07, which is hardly the cause: look at",
        ),
        (
            [2.0, 2.1, 2.05, np.inf],
            1e-7,
            "the loss of update 4 was inf after rate 1.01e-07, which is hardly the cause: look at",
        ),
        ([2.0, 2.1, 2.05, np.nan], 1e-2, "start the ramp lower"),
        ([2.0, 2.1, 90.0, np.nan], 1e-7, "start the ramp lower"),
        ([2.0, np.inf], 1e-7, "look at the batch of that update, and at the loss that it gives, or start the ramp lower"),
    ],
    ids=["NaN", "infinite", "at a high rate", "after a rise", "after the first update"],
)
def test_a_rate_that_is_too_low_to_matter_is_not_blamed(losses, rate, said):
    """A loss that stops at a tiny rate, without a rise before, points at its batch and at the loss, others at the ramp."""
    text = told(losses, Reason.NON_FINITE, low=rate, high=rate * 1.01)
    assert said in text
    assert ("lower" in said) == ("lower" in text)


def test_a_batch_that_is_at_fault_is_told_in_place_of_advice():
    """With a batch that holds a NaN there is no advice about rates or parameters, whether there were runs or not."""
    fault = "batch 4 holds NaN at [0]"
    for losses in ([np.nan], [2.0, np.nan], [2.0, 2.1, 2.05, np.nan]):
        text = str(dataclasses.replace(found_in([curve(losses, Reason.NON_FINITE)], [None]), fault=fault))
        assert text.endswith("NaN; batch 4 holds NaN at [0]: look at the data)") or "had acted; batch 4" in text
    runs_of = found_in([curve(fall(100), Reason.COMPLETED)], [None], (runs([np.inf] * 4, None),))
    text = str(dataclasses.replace(runs_of, fault=fault))
    assert "all ended at a loss that was not finite; batch 4 holds NaN at [0]: look at the data" in text
    assert "diverged" not in text


def test_a_rule_that_reads_nothing_is_not_called_flat():
    """If the loss falls and the rule gives nothing, the reason stays, and the text speaks of the rule."""
    one = curve(fall(), Reason.COMPLETED)
    found = found_in([one], [None])
    assert found.reason is Reason.COMPLETED
    assert "the loss fell from 2 to 0.401, but the rule reads no rate off such a curve: try another rule" in str(found)


def runs(losses, best=0.1):
    """Four short runs that end at these losses."""
    return lrax.finder.Runs(np.array([0.01, 0.03, 0.1, 0.3], np.float32), np.array(losses, np.float32), 50, 200, best)


def test_runs_tell_what_was_tried():
    """Runs that followed are told of: which were tried, and which ended lowest. A ramp that diverged is no worry."""
    text = str(found_in([curve(fall(100), Reason.DIVERGED)], [0.05], (runs([3, 1, 0.5, np.inf]),)))
    assert "4 runs of 50 updates with peaks from 0.01 to 0.3, of which 0.1 ended lowest, at a loss of 0.5" in text
    assert "diverged" not in text


@pytest.mark.parametrize(("losses", "side", "edge"), [([4, 3, 2, 1], "highest", "higher"), ([1, 2, 3, 4], "lowest", "lower")])
def test_a_best_run_at_the_end_is_said(losses, side, edge):
    """A best run that was the last one tried on its side is said, and widens the band on that side."""
    ramp = [curve(fall(100), Reason.COMPLETED)]
    found, usual = (found_in(ramp, [0.1], (runs(its),)) for its in (losses, [3, 1, 1, 3]))
    assert f"it was the {side} of them, so the best may lie {edge} yet: `refine=True` waits longer and looks there" in str(
        found
    )
    again = explain(found.reason, 0.1, ramp, found.runs, refined=True)
    assert again.endswith(f"so the best may lie {edge} yet: lrax.race at rates there tells")  # it has been refined
    wider = found.band[1] / usual.band[1], usual.band[0] / found.band[0]
    assert wider == (pytest.approx(3.0 if side == "highest" else 1.0), pytest.approx(3.0 if side == "lowest" else 1.0))


@pytest.mark.parametrize(("flat", "reason"), [(1, Reason.COMPLETED), (2, Reason.FLAT), (3, Reason.FLAT)])
def test_half_of_the_seeds_decide_whether_a_test_is_flat(flat, reason):
    """Without a suggestion, four completed ramps of which at least two are flat are flat together."""
    level = 2 + 0.01 * np.sin(np.arange(150))
    curves = [curve(level if i < flat else fall(), Reason.COMPLETED) for i in range(4)]
    assert found_in(curves, [None] * 4).reason is reason


def test_the_text_ends_with_the_way_to_a_schedule():
    """A suggestion is no peak for a schedule: the text says which call has it, the title of the picture does not."""
    found = found_in([curve(fall(), Reason.COMPLETED)], [0.1])
    assert str(found).endswith("; found.schedule(plan) has the peak for your schedule")
    assert "found.schedule" not in found.plot().get_title()
    assert "found.schedule" not in str(found_in([curve(fall(), Reason.COMPLETED)], [None]))


def test_a_tiny_learning_rate_points_at_the_scale():
    """Where the best run is near the lowest learning rate of the ramp, the remedy is the scale of the data."""
    ramp = [curve(fall(100), Reason.COMPLETED, low=1e-4)]
    scale = "scale the inputs and the targets to about 1"
    low = runs([1, 2, 3, 4], 0.01)
    assert scale not in str(found_in(ramp, [0.01], (low,)))
    tiny = dataclasses.replace(low, peaks=low.peaks / 10)
    assert str(found_in(ramp, [0.001], (tiny,))).count(scale) == 1


def test_runs_that_all_diverged_are_told():
    """If every run diverged there is no suggestion, and that is said."""
    found = found_in([curve(fall(100), Reason.COMPLETED)], [None], (runs([np.inf] * 4, None),))
    assert found.suggestion is None
    assert "4 runs of 50 updates with peaks from 0.01 to 0.3 all diverged: scale the inputs and the targets" in str(found)


def test_data_that_ended_in_some_of_the_tests_are_said():
    """If the data ended in one of the seeds, the text says so, whatever the others did."""
    curves = [curve(fall(), Reason.COMPLETED)] * 2 + [curve(fall()[:9], Reason.DATA_ENDED)]
    assert "; the data ended in 1 of the tests" in str(found_in(curves, [0.1, 0.1, None]))


def test_a_curve_without_updates_is_told():
    """A curve without updates is told of and drawn, whatever its reason and its suggestion."""
    for reason in Reason:
        for suggestion in (0.1, None):
            found = lrax.FinderResult((curve([], reason),), reason, suggestion)
            assert f"({reason}: " in str(found)
            assert found.plot().get_title()
            plt.close("all")
    assert "interrupted after 0 updates; what it had measured is kept" in str(found)


def test_names_of_rules_are_near():
    """A name where a rule is due is answered with the function of that name; a rule of other arguments is refused too."""
    found = found_in([curve(fall(), Reason.COMPLETED)], [0.1])
    with pytest.raises(
        TypeError, match=r"FinderResult.suggest: `rule` must be a function .* did you mean lrax\.finder\.valley"
    ):
        found.suggest("valley")
    with pytest.raises(TypeError, match=r"did you mean lrax\.finder\.steepest"):
        found.suggest("lrax.finder.stepest")
    with pytest.raises(TypeError, match=r"lrax\.finder has fall, steepest"):
        found.suggest("best")
    with pytest.raises(TypeError, match=r"give lrax\.finder\.fall"):
        found.suggest(3)
    with pytest.raises(TypeError, match=r"callable as rule\(rates, losses\)"):
        found.suggest(lambda rates: rates[0])
