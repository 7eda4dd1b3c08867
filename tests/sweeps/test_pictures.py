import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lrax
from lrax._pictures import BLACK
from lrax.sweeps import SweepResult
from problems import linear_learner, regression
from small_sweep import PEAKS, run

mpl.use("Agg")
MANY = np.geomspace(1e-3, 1, 12).astype(np.float32)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def legend(axes):
    """The texts of a legend."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def shown(axes):
    """The labels of the ticks inside the axes, drawn."""
    axes.figure.draw_without_rendering()
    low, high = sorted(axes.get_xlim())
    return [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]


def test_scores():
    """Scores are drawn over peaks with the best marked, a line for each class; the ticks are plain numbers."""
    axes = run().plot()
    assert axes.get_xscale() == "log"
    assert {"best 0.1", "diverged"} <= set(legend(axes))
    schedules = [
        lrax.Constant(0.1),
        lrax.Constant(0.2),
        lrax.wsd(0.1, warmup_steps=2, cooldown_steps=3, total_steps=12),
        lambda count: 0.1,
    ]
    assert len({line.get_color() for line in SweepResult.create(schedules, np.arange(4.0)).plot().lines}) >= 3
    axes = SweepResult.create(lrax.Constant(MANY), np.arange(12.0)).plot()
    assert {"0.001", "0.01", "0.1"} <= set(shown(axes))
    SweepResult.create(lrax.Constant(PEAKS), np.full(4, np.nan)).plot()


def test_scores_of_many_classes():
    """However many classes there are, no two of their lines look the same, and the legend is below the axes."""
    schedules = [
        lrax.Constant(0.1),
        *(one(0.1, 0.0, 12) for one in (lrax.Linear, lrax.Cosine, lrax.OneMinusSqrt, lrax.schedules.OneMinusSquare)),
    ]
    schedules += [
        lrax.wsd(0.1, warmup_steps=2, cooldown_steps=3, total_steps=12),
        lrax.Cycle(lrax.Cosine(0.1, 0.0, 4)),
        lrax.Cycle(lrax.Linear(0.1, 0.0, 4)),
    ]
    axes = SweepResult.create(schedules, np.arange(8.0)).plot()
    looks = {line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.lines if line.get_marker() == "None"}
    assert len(looks) == 9
    assert len(set(looks.values())) == 9
    axes.figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0


def test_an_absurd_score_does_not_stretch_the_axis():
    """Where one run barely stayed finite the others can still be distinguished; nothing is cut where all are near."""
    scores = np.array([0.52, 0.50, 0.53, 0.56, 1.4])
    bottom, top = SweepResult.create(lrax.Constant(np.geomspace(0.01, 1, 5)), scores).plot().get_ylim()
    assert bottom < 0.50
    assert 0.56 < top < 1.2
    assert SweepResult.create(lrax.Constant(np.geomspace(0.01, 1, 4)), scores[:4]).plot().get_ylim()[1] > 0.56
    finite = np.array([0.33, 0.4, 0.6, 0.97, 1e9, 1e30])  # blown up, and still finite
    assert SweepResult.create(lrax.Constant(np.geomspace(0.01, 1, 6)), finite).plot().get_ylim()[1] < 1000
    wide = np.array([1e-6, 1e-4, 1e-2, 0.5, 1.0])
    assert SweepResult.create(lrax.Constant(np.geomspace(0.01, 1, 5)), wide).plot().get_ylim()[1] > 1.0


@pytest.mark.parametrize("ends", [(0.3, 0.5), (0.1, 1), (1e-3, 1), (1e-6, 1), (0.39, 0.41)])
def test_ticks_are_plain_numbers_and_enough(ends):
    """However short a logarithmic axis is, it has two numbers at least, none of them a power of ten in mathematics."""
    axes = SweepResult.create(lrax.Constant(np.geomspace(*ends, 5)), np.arange(5.0)).plot()
    ticks = shown(axes)
    assert len(ticks) >= 2
    assert all("$" not in tick for tick in ticks)


def test_curves_of_a_few_settings():
    """A line a setting, the losses themselves faint behind it, each named in the legend, the best in black."""
    result = run()
    axes = result.plot_curves()
    assert len(axes.lines) == 12 + 4
    assert "best: 0.1" in legend(axes)
    assert len(legend(axes)) == 4
    best = next(line for line in axes.lines if line.get_label() == "best: 0.1")
    assert best.get_color() == BLACK
    np.testing.assert_allclose(best.get_ydata(), np.median(np.asarray(result.metrics)[6:9], axis=0), rtol=1e-6)


def test_curves_of_many_settings():
    """Many settings have a colour bar for their peaks; schedule classes have their own dashes; no colour is faint on white."""
    schedules = [lrax.Constant(rate) for rate in MANY] + [lrax.Cosine(rate, 0.0, 5) for rate in MANY]
    axes = SweepResult.create(schedules, 1 + np.arange(24.0)[:, None] * np.ones(5)).plot_curves()
    assert legend(axes) == ["best: Constant 0.001", "Constant", "Cosine"]
    assert len(axes.figure.axes) == 2
    assert len({line.get_linestyle() for line in axes.lines}) == 2
    for line in axes.lines:
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in mpl.colors.to_rgb(line.get_color())
        )
        assert 1.05 / (0.05 + 0.2126 * red + 0.7152 * green + 0.0722 * blue) > 1.8  # contrast to white, WCAG


def test_curves_that_cannot_be_told_are_named():
    """Metrics without a curve, and losses of other runs, are errors that name the argument."""
    with pytest.raises(ValueError, match="`losses` must be one curve for each of 12 runs"):
        run().plot_curves(losses=np.ones(12))
    with pytest.raises(ValueError, match="`losses` must be given"):
        SweepResult.create(lrax.Constant(PEAKS), np.ones(4)).plot_curves()


@pytest.mark.parametrize("losses", [np.ones((4, 1)), np.full((4, 3), np.nan), -np.ones((4, 3)), np.zeros((4, 200))])
def test_curves_of_any_numbers(losses):
    """One update, nothing finite, negative losses and zeros are drawn."""
    SweepResult.create(lrax.Constant(PEAKS), losses).plot_curves().figure.draw_without_rendering()


def test_curves_with_gaps_are_drawn_through_them():
    """A metric of every third step is a line through what was measured; it ends where a seed has its last value."""
    curve, gap = np.full((4, 12), np.nan), np.nan
    curve[:, ::3] = [[5, 4, 3, 2], [5, 3, 2, 1], [5, 9, gap, gap], [gap, gap, gap, gap]]
    axes = SweepResult.create([lrax.Constant(rate) for rate in (0.1, 0.2, 0.3, 0.3)], curve).plot_curves()
    one, best, lost = (line.get_ydata() for line in axes.lines if line.get_linewidth() > 1)
    np.testing.assert_allclose(one, [5, 14 / 3, 13 / 3, 4, 11 / 3, 10 / 3, 3, 8 / 3, 7 / 3, 2, gap, gap])
    np.testing.assert_allclose(best[9:], [1, gap, gap])
    assert np.isnan(lost).all()
    faint = [line for line in axes.lines if line.get_alpha() == 0.15]
    np.testing.assert_array_equal(faint[0].get_xdata(), [0, 3, 6, 9])
    np.testing.assert_array_equal(faint[0].get_ydata(), [5, 4, 3, 2])
    axes.figure.draw_without_rendering()


def race(rates, rungs=(8, 8, 16), **options):
    """A race of constant rates on the linear problem."""
    schedules = [lrax.Constant(rate) for rate in rates]
    return lrax.race(linear_learner(), regression(), schedules, rungs=rungs, batch_size=8, key=jax.random.key(0), **options)


def test_a_race():
    """Rungs are marked with their runs, those that did not go on with a circle where they left, the winner is black."""
    result = race([0.001, 0.003, 0.01, 0.03, 0.1, 3e38])
    axes = result.plot()
    winner = next(line for line in axes.lines if line.get_label().startswith("winner"))
    assert winner.get_color() == BLACK
    assert winner.get_label() == f"winner: peak {result.peaks[result.winner]:.3g}"
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [7.5, 15.5]
    assert [text.get_text() for text in axes.texts] == ["6 runs", "3 runs", "2 runs"]
    out = next(line for line in axes.lines if line.get_label() == "did not go on")
    assert sorted(out.get_xdata()) == [7, 7, 15]
    assert "diverged" in legend(axes)
    axes.figure.draw_without_rendering()


def test_every_race_is_drawn():
    """One rung, one run, runs that all diverge, mixed classes and a race that was loaded."""
    for result in (race([0.1], rungs=4), race([3e38, 2e38]), race([0.1, 0.1])):
        result.plot().figure.draw_without_rendering()
        shown = result._repr_html_()
        assert "<table>" in shown
        assert "data:image" in shown
    mixed = lrax.race(
        linear_learner(),
        regression(),
        [lrax.Constant(0.1), lrax.Cosine(0.1, 0.0, 8)],
        rungs=8,
        batch_size=8,
        key=jax.random.key(0),
    )
    assert {"Constant", "Cosine"} <= set(legend(mixed.plot()))
