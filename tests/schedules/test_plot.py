import jax
import matplotlib as mpl
import numpy as np
import pytest

import lrax

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_a_line_has_the_schedule_s_rates():
    """The line of a schedule passes through its rates, and goes a tenth past its end."""
    axes = lrax.plot(lrax.Cosine(1.0, 0.0, 100))
    counts, rates = axes.lines[0].get_data()
    assert (counts[0], counts[-1]) == (0, 110)
    np.testing.assert_allclose(rates[50], 0.5, rtol=1e-5)


def test_several_schedules_have_labels():
    """Schedules in a list or a dict each have a line and a label of their own."""
    schedules = [lrax.warmup_cosine(peak, 100, 10) for peak in (0.1, 0.2)]
    labels = [text.get_text() for text in lrax.plot(schedules).get_legend().get_texts()]
    assert len(set(labels)) == 2
    labels = [text.get_text() for text in lrax.plot({"one": schedules[0]}, 50).get_legend().get_texts()]
    assert labels == ["one"]


def test_bad_arguments_are_named():
    """What is no schedule, and a length that is none, is an error that names it."""
    with pytest.raises(TypeError, match="a schedule or a function"):
        lrax.plot([0.1])
    with pytest.raises(ValueError, match="`steps` must be an integer of at least 1"):
        lrax.plot(lrax.Constant(0.1), 0)


def test_a_batch_is_drawn_lane_by_lane():
    """Each lane of a batch is a line: with labels if they are few, in shades if they are many."""
    few, many = (jax.vmap(lambda peak: lrax.Cosine(peak, 0.0, 50))(np.linspace(0.1, 1, n)) for n in (3, 32))
    axes = lrax.plot(few)
    assert len(axes.lines) == len(axes.get_legend().get_texts()) == 3
    axes = lrax.plot(many)
    assert len(axes.lines) == len({line.get_color() for line in axes.lines}) == 32
    assert axes.get_legend() is None


def test_a_logarithmic_axis():
    """With `log` the axis of rates is logarithmic; a rate of zero is left out."""
    axes = lrax.plot(lrax.Linear(1.0, 0.0, 50), log=True)
    assert axes.get_yscale() == "log"
    axes.figure.canvas.draw()
