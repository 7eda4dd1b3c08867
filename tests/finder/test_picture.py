"""What the pictures of a search and of a range test show, read off the axes."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

import lrax
from lrax import _pictures
from lrax.finder import Reason
from results import curve, found_at, runs

mpl.use("Agg")
import matplotlib.pyplot as plt

NOISE = np.random.default_rng(0).normal(size=400)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drop(steps=150, scale=1.0):
    """A loss that drops from 2.4 to 0.4, noisily."""
    return scale * (0.4 + 2 / (1 + np.exp(np.linspace(-8, 8, steps))) + 0.02 * NOISE[:steps])


def labelled(axes, word):
    """The one line whose label has a word."""
    (line,) = [line for line in axes.get_lines() if word in line.get_label()]
    return line


def test_one_number_is_marked():
    """One line is at the peak, the interval is shaded, the ends of runs are drawn; the title is one short line."""
    found = found_at(0.05, losses=drop(100), runs=runs([2, 1, 0.5, np.inf]))
    axes = found.plot()
    assert axes.get_xscale() == "log"
    assert labelled(axes, "peak 0.05").get_xdata()[0] == found.peak
    assert [patch.get_x() for patch in axes.patches] == [found.interval[0]]
    np.testing.assert_allclose(labelled(axes, "of 50 steps").get_xydata().T, (found.runs.peaks, found.runs.losses))
    assert found.runs.peaks[-1] in labelled(axes, "above the axes").get_xdata()  # the run that diverged
    assert axes.get_title() == "peak learning rate 0.05 for warmup_cosine of 1,000 steps"


def test_without_a_peak_there_is_no_line():
    """Without a peak the title says so, with the reason."""
    axes = found_at(None, losses=np.ones(90), reason=Reason.FLAT).plot()
    assert axes.get_title() == "no peak learning rate for warmup_cosine of 1,000 steps (flat)"
    assert not [line for line in axes.get_lines() if line.get_label().startswith("peak")]


def test_runs_of_several_lengths_are_told_apart():
    """Runs of two lengths are two lines, each with its own marker and label."""
    two = runs([2, 1, 0.5, 0.7])
    two.steps[2:] = 100
    axes = found_at(0.05, runs=two).plot()
    assert labelled(axes, "of 50 steps").get_marker() != labelled(axes, "of 100 steps").get_marker()
    assert len(labelled(axes, "of 100 steps").get_xdata()) == 2


def test_the_line_follows_a_divergence():
    """Where the loss diverges the line is the losses themselves, on the axes as far as they go, and marked above them."""
    rise = np.geomspace(0.5, 300, 25)
    one = curve([*drop(120), *rise], Reason.DIVERGED)
    axes = one.plot()
    line = labelled(axes, "smoothed").get_ydata()
    np.testing.assert_allclose(line[-15:], rise[-15:], rtol=1e-6)
    top = axes.get_ylim()[1]
    assert np.max(line[line < top]) > 2.4
    np.testing.assert_allclose(labelled(axes, "above the axes").get_xdata(), one.learning_rates[:-1][one.losses[1:] > top])


def test_losses_that_are_not_finite_are_marked():
    """A loss that is NaN or infinite is at the upper edge, at its learning rate."""
    one = curve([*drop(120), np.nan], Reason.NON_FINITE)
    np.testing.assert_allclose(labelled(one.plot(), "not finite").get_xdata(), one.learning_rates[-2:-1])


def test_a_healthy_curve_is_not_clipped():
    """Where nothing diverges, the axes hold all losses, and nothing is marked above them."""
    axes = curve(drop()).plot()
    low, high = axes.get_ylim()
    assert low < drop().min() < drop().max() < high
    assert not [line for line in axes.get_lines() if "above" in line.get_label()]


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.0])
def test_any_sign_of_the_loss(scale):
    """Positive, negative and zero losses are drawn, with plain numbers at the ticks of the learning rates."""
    axes = curve(scale * drop()).plot()
    axes.figure.canvas.draw()
    assert axes.get_yscale() == ("log" if scale > 0 else "linear")
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert "0.001" in ticks
    assert not any("$" in tick for tick in (*ticks, *(tick.get_text() for tick in axes.get_yticklabels())))


def test_rules_are_told_apart():
    """Every rule has its own colour and style, and one that suggests nothing is in the legend."""

    def gives_none(rates, losses):
        return None

    axes = curve(drop()).plot(rules=(lrax.finder.steepest, gives_none, lrax.finder.valley))
    lines = [labelled(axes, word) for word in ("steepest", "gives_none", "valley")]
    assert len({line.get_color() for line in lines}) == len({str(line._dash_pattern) for line in lines}) == 3
    assert labelled(axes, "gives_none").get_label() == "gives_none: no suggestion"
    assert {text.get_text() for text in axes.get_legend().get_texts()} >= {line.get_label() for line in lines}


@pytest.mark.parametrize(("values", "scale"), [([1, 6], "log"), ([1, 4], "linear"), ([-1, 6], "linear"), ([np.nan], "linear")])
def test_wide_numbers_have_a_logarithmic_axis(values, scale):
    """Numbers above 0 that span more than a factor of five are drawn on a logarithmic axis, others on a plain one."""
    axes = _pictures.new_axes()
    assert _pictures.log_if_wide(axes, np.array([*values, np.inf])) == (scale == "log")
    assert axes.get_yscale() == scale


def test_a_notebook_shows_the_text_and_the_picture(monkeypatch):
    """In a notebook a result is its text and a picture; without matplotlib the text; nothing stays open."""
    for one in (found_at(0.05, runs=runs([2, 1, 0.5, 3])), curve(drop())):
        text = one._repr_html_()
        assert str(one) in text
        assert one.explanation in text
        assert "data:image/png;base64," in text
        assert not plt.get_fignums()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert one._repr_html_() == f"<div><p>{one}</p></div>"
