"""What the picture of a range test shows, read off the axes."""

import functools
import sys

import jax
import matplotlib as mpl
import numpy as np
import pytest

import lrax
from lrax import _pictures
from lrax.finder import Curve, Reason
from lrax.finder._conclude import found_in, refine
from lrax.finder._fall import MOST, crossed
from problems import nothing, scripted

mpl.use("Agg")
import matplotlib.pyplot as plt

NOISE = np.random.default_rng(0).normal(size=400)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def curve(losses, reason=Reason.COMPLETED, low=1e-5, high=10.0):
    """A curve over rates that climb from `low` to `high`."""
    losses = np.asarray(losses, np.float32)
    return Curve(np.geomspace(low, high, len(losses)).astype(np.float32), losses, losses, reason)


def fall(updates=150, scale=1.0, shift=0.0):
    """A loss that falls from 2.4 to 0.4, noisily."""
    places = np.linspace(-8, 8, updates) + shift
    return scale * (0.4 + 2 / (1 + np.exp(places)) + 0.02 * NOISE[:updates])


def one(losses, reason=Reason.COMPLETED, rule=lrax.finder.fall):
    """A result of one ramp."""
    its = curve(losses, reason)
    return found_in([its], [its.suggest(rule, 0.0)])


def followed(count=1, refined=False):
    """A result of a ramp and of short runs for each seed."""
    curves = [curve(fall(100, shift=0.2 * i)) for i in range(count)]
    peaks, losses = np.array([0.01, 0.03, 0.1, 0.3], np.float32), np.array([2, 1, 0.5, np.inf], np.float32)
    runs = tuple(lrax.finder.Runs(peaks, losses + 0.1 * i, 50, 200, 0.1) for i in range(count))
    found = found_in(curves, [0.1 + 0.01 * i for i in range(count)], runs)
    return refine(found, 0.12, lrax.finder.Runs(peaks, losses / 2, 112, 448, 0.12)) if refined else found


def drawn(axes):
    """The lines of a picture by their labels."""
    return {line.get_label(): line for line in axes.get_lines()}


def labelled(axes, word):
    """The one line whose label has a word."""
    (line,) = [line for label, line in drawn(axes).items() if word in label]
    return line


def test_the_suggestion_is_marked():
    """A line stands at the suggestion, and the axis of rates is logarithmic; without a suggestion there is no line."""
    found = one(fall())
    axes = found.plot()
    assert axes.get_xscale() == "log"
    assert labelled(axes, "suggestion 0").get_xdata()[0] == found.suggestion
    flat = one(np.ones(90)).plot()
    assert not [label for label in drawn(flat) if "suggestion" in label]
    assert flat.get_legend().get_title().get_text() == "no suggestion"


@pytest.mark.parametrize("losses", [[np.nan], [0.0], np.linspace(-1, -5, 50)])
def test_what_a_test_measured_is_drawn(losses):
    """Results of negative, zero and missing losses are drawn on a plain axis."""
    found = lrax.find_lr(scripted(losses), nothing, key=jax.random.key(0))
    axes = found.plot()
    axes.figure.canvas.draw()
    assert axes.get_yscale() == "linear"


def test_what_the_suggestion_was_read_from_is_marked():
    """At 95 % of the fall of a ramp alone stands a mark; where runs followed, their ends do; none where a rule suggested."""
    found = one(fall())
    expected, axes = crossed(*found.curves[0].extended(), MOST), found.plot()
    np.testing.assert_allclose(labelled(axes, "95 %").get_xdata(), expected.rate)
    rates, line = labelled(axes, "smoothed").get_data()
    np.testing.assert_allclose(labelled(axes, "95 %").get_ydata(), np.interp(np.log(expected.rate), np.log(rates), line))
    assert not [label for label in drawn(one(fall(), rule=lrax.finder.minimum).plot()) if "%" in label]
    found = followed(refined=True)
    axes = found.plot()
    for word, runs in (("of 50 updates", found.runs[0]), ("of 112 updates", found.refined)):
        np.testing.assert_allclose(labelled(axes, word).get_xydata().T, (runs.peaks, runs.losses))
    assert found.runs[0].peaks[-1] in labelled(axes, "above the axes").get_xdata()  # the run that diverged
    assert not [label for label in drawn(axes) if "%" in label]


def test_a_ramp_that_ended_too_soon_shows_what_it_did_not_try():
    """Where the loss still fell at the ramp's end, what lies beyond is hatched, with the rate in words; else nothing is."""
    cut, whole = one(fall()[:78]).plot(), one(fall()).plot()
    hatched = [patch for patch in cut.patches if patch.get_hatch()]
    assert [patch.get_x() for patch in hatched] == [one(fall()[:78]).rates[-1]]
    assert "not tried: the ramp ended at" in hatched[0].get_label()
    assert not [patch for patch in whole.patches if patch.get_hatch()]


def test_the_line_follows_a_divergence():
    """Where the loss blows up the line is the losses themselves, on the axes as far as they go, and marked above them."""
    rise = np.geomspace(0.5, 300, 25)
    found = one([*fall(120), *rise], Reason.DIVERGED)
    axes = found.plot()
    line = labelled(axes, "smoothed").get_ydata()
    np.testing.assert_allclose(line[-15:], rise[-15:], rtol=1e-6)
    top = axes.get_ylim()[1]
    assert np.max(line[line < top]) > 2.4
    marked = labelled(axes, "above the axes").get_xdata()
    np.testing.assert_allclose(marked, found.rates[:-1][found.losses[1:] > top])


def test_losses_that_are_not_finite_are_marked():
    """A loss that is NaN or infinite stands at the upper edge, at its rate."""
    found = one([*fall(120), np.nan], Reason.NON_FINITE)
    np.testing.assert_allclose(labelled(found.plot(), "not finite").get_xdata(), found.rates[-2:-1])


def test_a_healthy_curve_is_not_cut():
    """Where nothing blows up, the axes hold all losses, and nothing is marked above them."""
    axes = one(fall()).plot()
    low, high = axes.get_ylim()
    assert low < fall().min() < fall().max() < high
    assert not [label for label in drawn(axes) if "above" in label]


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.0])
def test_any_sign_of_the_loss(scale):
    """Positive, negative and zero losses are drawn, with plain numbers at the ticks of the rates."""
    axes = one(scale * fall()).plot()
    axes.figure.canvas.draw()
    assert axes.get_yscale() == ("log" if scale > 0 else "linear")
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert "0.001" in ticks
    assert not any("$" in tick for tick in (*ticks, *(tick.get_text() for tick in axes.get_yticklabels())))


def test_rules_are_told_apart():
    """Every other rule has a colour and a style of its own, and one that suggests nothing is in the legend."""

    def gives_none(rates, losses):
        return None

    rules = (lrax.finder.steepest, functools.partial(lrax.finder.minimum, divisor=4.0), gives_none, lrax.finder.valley)
    axes = one(fall()).plot(rules=rules)
    lines = [labelled(axes, word) for word in ("suggestion 0", "steepest", "minimum(divisor=4.0)", "gives_none", "valley")]
    assert len({line.get_color() for line in lines}) == len({str(line._dash_pattern) for line in lines}) == 5
    assert labelled(axes, "gives_none").get_label() == "gives_none: no suggestion"
    assert {text.get_text() for text in axes.get_legend().get_texts()} >= {line.get_label() for line in lines}


def test_rules_that_are_none_are_named():
    """A rule that stands alone, or a name of one, is an error that says what to give."""
    found = one(fall())
    with pytest.raises(TypeError, match=r"`rules` must be a sequence of rules, .* give \(lrax\.finder\.steepest,\)"):
        found.plot(rules=lrax.finder.valley)
    with pytest.raises(TypeError, match=r"FinderResult\.plot: `rule` must be .* did you mean lrax\.finder\.valley"):
        found.plot(rules=("valley",))


@pytest.mark.parametrize(
    ("losses", "reason", "said"),
    [
        (2 + 0.02 * NOISE[:90], Reason.COMPLETED, "no suggestion after 90 updates (flat: the loss never fell"),
        ([2.0, 1.0], Reason.COMPLETED, "no suggestion after 2 updates (too short"),
        ([np.nan], Reason.NON_FINITE, "no suggestion after 1 update (non-finite: the very first loss"),
        ([], Reason.INTERRUPTED, "no suggestion after 0 updates (interrupted"),
        (fall()[:78], Reason.COMPLETED, "while the loss still fell"),
    ],
)
def test_the_title_says_why(losses, reason, said):
    """The title has the suggestion, or says that there is none, and why."""
    assert said in one(losses, reason).plot().get_title().replace("\n", " ")


def test_seeds_are_seen_over_the_dots():
    """Each seed's line lies above all dots, and the median is that of the lines at their own rates."""
    axes = followed(3).plot()
    lines = axes.get_lines()
    dots = [i for i, line in enumerate(lines) if line.get_linestyle() == "None" and line.get_marker() == "o"]
    seeds = [i for i, line in enumerate(lines) if line.get_color() == _pictures.SKY]
    assert len(dots) == 3
    assert len(seeds) == 3
    assert max(dots) < min(seeds)
    rates, median = labelled(axes, "median of the seeds").get_data()
    rows = [np.interp(np.log(rates), np.log(lines[i].get_xdata()), lines[i].get_ydata()) for i in seeds]
    np.testing.assert_allclose(median[5:-5], np.median(rows, axis=0)[5:-5], rtol=1e-5)


@pytest.mark.parametrize(("values", "scale"), [([1, 6], "log"), ([1, 4], "linear"), ([-1, 6], "linear"), ([np.nan], "linear")])
def test_wide_numbers_have_a_logarithmic_axis(values, scale):
    """Numbers above 0 that span more than a factor of five are drawn on a logarithmic axis, others on a plain one."""
    axes = _pictures.new_axes()
    assert _pictures.log_if_wide(axes, np.array([*values, np.inf])) == (scale == "log")
    assert axes.get_yscale() == scale


def test_a_notebook_shows_the_sentence_and_the_picture(monkeypatch):
    """In a notebook a result is its sentence and a picture; without matplotlib the sentence; nothing stays open."""
    found = one(fall())
    html = found._repr_html_()
    assert str(found) in html
    assert "data:image/png;base64," in html
    assert not plt.get_fignums()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert found._repr_html_() == f"<div><p>{found}</p></div>"
