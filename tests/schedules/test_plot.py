import jax
import jax.numpy as jnp
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


def halved(count):
    """A user's own function."""
    return jnp.exp2(-count.astype(jnp.float32))


def test_several_schedules_have_labels():
    """Schedules in a list or a dict each have a line and a label of their own."""
    schedules = [lrax.warmup_cosine(peak, warmup_steps=10, total_steps=100) for peak in (0.1, 0.2)]
    labels = [text.get_text() for text in lrax.plot(schedules).get_legend().get_texts()]
    assert len(set(labels)) == 2
    labels = [text.get_text() for text in lrax.plot({"one": schedules[0]}, 50).get_legend().get_texts()]
    assert labels == ["one"]
    labels = [text.get_text() for text in lrax.plot([halved, lrax.Constant(0.1)], 50).get_legend().get_texts()]
    assert labels == ["halved", "Constant(value=0.1)"]


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
    assert axes.figure.axes[-1].get_ylabel() == "start"  # a colour bar says what differs


def test_lines_that_differ_in_more_are_shaded_in_their_order():
    """Without one field that tells the lines apart there is no colour bar."""
    batch = jax.vmap(lambda peak: lrax.Cosine(peak, peak / 10, 50))(np.linspace(0.1, 1, 12))
    axes = lrax.plot(batch)
    assert len({line.get_color() for line in axes.lines}) == 12
    assert len(axes.figure.axes) == 1
    assert len(axes.get_legend().get_texts()) == 2  # the first and the last


def test_few_lines_are_told_apart_without_colours():
    """As many lines as have labels have a colour and dashes that no other one has."""
    lines = lrax.plot([lrax.Constant(rate) for rate in np.linspace(0.1, 1, 10)]).lines
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == 10


def test_jumps_are_steps():
    """A schedule that jumps is drawn as steps, one that does not as a line, however few the updates of its warm-up."""
    schedules = [
        lrax.MultiStep(0.1, 0.1, [40]),
        lrax.Cosine(0.1, 0.0, 100),
        lrax.warmup_cosine(0.1, warmup_steps=5, total_steps=100),
    ]
    assert [line.get_drawstyle() for line in lrax.plot(schedules).lines] == ["steps-post", "default", "default"]


def test_every_boundary_is_in_the_picture():
    """A picture of an endless kind goes a tenth past its last boundary."""
    counts, rates = lrax.plot(lrax.MultiStep(0.1, 0.1, [1876, 3283, 4221])).lines[0].get_data()
    assert counts[-1] == 4221 + 422
    assert len(set(rates.tolist())) == 4


@pytest.mark.parametrize(
    ("schedules", "label", "says"),
    [
        (lrax.Constant(0.1), None, "learning rate"),
        (lrax.one_cycle_momentum(0.85, 0.95, 500), None, "momentum"),
        ({"lr": lrax.Constant(0.1), "momentum": lrax.Constant(0.9)}, None, "value"),
        ({"mine": lrax.Constant(0.1), "theirs": lrax.Constant(0.9)}, None, "learning rate"),
        (lrax.Constant(0.1), "weight decay", "weight decay"),
    ],
)
def test_the_axis_says_what_is_drawn(schedules, label, says):
    """The axis of values is about rates, momenta, both, or what it is told."""
    assert lrax.plot(schedules, label=label).get_ylabel() == says


def test_a_momentum_is_not_squeezed():
    """The axis of a momentum does not begin at zero."""
    assert lrax.plot(lrax.one_cycle_momentum(0.85, 0.95, 500)).get_ylim()[0] > 0.8


def test_a_logarithmic_axis():
    """With `log` the axis of rates is logarithmic; a rate of zero is left out."""
    axes = lrax.plot(lrax.Linear(1.0, 0.0, 50), log=True)
    assert axes.get_yscale() == "log"
    axes.figure.canvas.draw()
