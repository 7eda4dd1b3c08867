import sys

import jax
import numpy as np
import pytest

import lrax
from lrax.schedules._display import labels
from lrax.sweeps import SweepResult
from problems import linear_learner, regression
from small_sweep import PEAKS, run

KEY = jax.random.key(0)


def test_the_table_shows_the_best_of_many():
    """A table of very many settings shows the best sixty and says how many more there are."""
    result = SweepResult.create(lrax.Constant(np.linspace(0.1, 1, 100, dtype=np.float32)), abs(np.linspace(-5, 1, 100)))
    lines = str(result).splitlines()
    assert len(lines) == 1 + 1 + 60 + 1
    assert "and 40 settings that are worse" in lines[-1]
    assert "worse" not in str(SweepResult.create(lrax.Constant(np.linspace(0.1, 1.0, 60)), np.arange(60.0)))


def test_plain_export():
    """The outcome goes into plain values and NumPy arrays, metrics by path."""
    exported = run().to_dict()
    assert set(exported) == {"schedules", "peaks", "scores", "diverged", "metrics"}
    assert exported["schedules"][3] == "Constant(value=0.05)"
    assert exported["metrics"][""].shape == (12, 20)
    assert all(isinstance(exported[name], np.ndarray) for name in ("peaks", "scores", "diverged"))


def test_recipes_are_told_apart():
    """Schedules whose calls are long or alike have labels of their own in the table."""
    rates = [lrax.warmup_cosine(0.1, warmup_steps=warmup, total_steps=12) for warmup in (2, 3)] + [
        lrax.wsd(0.1, warmup_steps=2, cooldown_steps=3, total_steps=12),
        lambda count: 0.1,
    ]
    result = SweepResult.create(rates, np.arange(4.0))
    lines = str(result).splitlines()
    assert len({line[3:40] for line in lines[2:6]}) == 4
    assert len(set(labels(result.schedules))) == 4
    assert repr(result) == "<SweepResult: 4 runs, 4 settings, 0 diverged>"


def test_labels_of_long_calls_have_what_differs():
    """Of calls that are too long for a column, the arguments that differ are shown, whatever else is in the list."""
    calls = [
        lrax.wsd(peak, warmup_steps=1_000, cooldown_steps=2_000, total_steps=10_000, end=1e-5, mode="one_minus_sqrt")
        for peak in (0.1, 0.2)
    ]
    assert labels([*calls, lrax.Constant(0.1)]) == ["wsd(peak=0.1)", "wsd(peak=0.2)", "Constant(value=0.1)"]


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([4.0, 3.0, 2.0, 1.0], "The best peak learning rate, 0.001, is the highest that was tried: try higher ones"),
        ([1.0, 2.0, 3.0, 4.0], "The best peak learning rate, 1e-05, is the lowest that was tried: try lower ones"),
        ([4.0, 1.0, 2.0, 3.0], None),
        ([3.0, 2.0, 1.0, np.nan], None),
        ([np.nan] * 4, None),
    ],
)
def test_a_best_rate_at_the_end_of_its_range_is_said(scores, words):
    """The table says so, with the direction to try; rates that diverged were tried."""
    text = str(SweepResult.create(lrax.Constant(np.geomspace(1e-5, 1e-3, 4)), np.array(scores)))
    assert (words in text) if words else ("that was tried" not in text)


def test_ends_are_those_of_a_class():
    """A class that was tried at other peaks does not widen the range of the best one's; two peaks are not a range."""
    constants, cosines = [lrax.Constant(r) for r in (0.1, 0.2, 0.3)], [lrax.Cosine(r, 0.0, 9) for r in (0.01, 1.0)]
    assert "0.3, is the highest" in str(SweepResult.create([*constants, *cosines], np.array([3.0, 2.0, 1.0, 5.0, 5.0])))
    assert "that was tried" not in str(SweepResult.create([*constants, *cosines], np.array([3.0, 2.0, 1.0, 5.0, 0.0])))


def test_peaks_that_are_equal_to_four_digits_are_one():
    """Rounding does not make a range of two learning rates."""
    assert "that was tried" not in str(
        SweepResult.create([lrax.Constant(r) for r in (0.1, 0.100001, 0.2)], np.array([3.0, 2.0, 1.0]))
    )


def test_a_race_says_it_too():
    """A winner at the end of its range is said by the race's table."""
    rates = [lrax.Constant(rate) for rate in (1e-5, 1e-4, 1e-3)]
    result = lrax.race(linear_learner(), regression(), rates, rungs=8, batch_size=8, key=KEY)
    assert "The best peak learning rate, 0.001, is the highest that was tried: try higher ones" in str(result)


def test_a_race_of_many_lanes_says_how_many_are_left_out():
    """A race's table of very many runs shows the best sixty and says how many more there are."""
    rates = [lrax.Constant(rate) for rate in np.geomspace(1e-5, 1e-1, 70)]
    result = lrax.race(linear_learner(), regression(), rates, rungs=4, batch_size=8, key=KEY)
    assert "... and 10 runs that are worse" in str(result)


class Marked(lrax.Schedule):
    """A schedule whose text is not HTML."""

    value: lrax.fields.Rate

    def rate(self, count):
        return self.value

    def __repr__(self):
        return f"<b>{self.value}"


def test_a_notebook_shows_table_and_picture():
    """A sweep in a notebook is a table, its best row in bold, and a picture; text in it is escaped."""
    html = SweepResult.create([lrax.Constant(0.1), Marked(0.1)], np.arange(2.0))._repr_html_()
    assert "&lt;b&gt;0.1" in html
    assert html.count("<tr") == 3
    assert html.count('<tr style="font-weight: bold">') == 1
    assert "data:image/png;base64," in html
    assert "<b>" not in html
    assert "Best: " in run()._repr_html_()


class Broken(lrax.Schedule):
    """A schedule whose text cannot be made."""

    value: lrax.fields.Rate

    def rate(self, count):
        return self.value

    def __repr__(self):
        raise RuntimeError("no text")


def test_a_notebook_shows_something_whatever_happens(monkeypatch):
    """Without matplotlib, or with a schedule that cannot be printed, the rest is shown."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    html = run()._repr_html_()
    assert "<table>" in html
    assert "img" not in html
    assert "SweepResult: 4 runs" in SweepResult.create([Broken(0.1)] * 4, np.full(4, np.nan))._repr_html_()


@pytest.mark.parametrize("peaks", [PEAKS[:1], PEAKS])
def test_all_lanes_may_diverge_in_a_notebook(peaks):
    """Nothing but diverged runs is still a table."""
    assert "No best" in SweepResult.create(lrax.Constant(peaks), np.full(len(peaks), np.nan))._repr_html_()


def test_metrics_that_are_no_numbers_are_named():
    """A leaf of text among the metrics is an error with its path."""
    metrics = {"loss": np.arange(2.0), "name": np.array(["a", "b"])}
    with pytest.raises(TypeError, match=r"^SweepResult.create: `metrics\['name'\]` must be a number or an array of numbers"):
        SweepResult.create(lrax.Constant(np.float32([0.1, 0.2])), metrics, score=lambda one: one["loss"])
