"""A metric beside the losses of a range test: kept, read by rules, drawn, and the judge of short runs."""

import itertools

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from problems import linear_learner, regression, same, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()
HELD_OUT = tuple(map(jnp.asarray, regression(seed=7)))
RAMP = lrax.Geometric(1e-5, 10.0, 99)


def held_out(state):
    """The loss on data that nothing trains on."""
    return squared_error(state.params, HELD_OUT)


def find(data=DATA, **options):
    """One ramp over the linear problem."""
    options = {"ramp": RAMP, "batch_size": 16, "key": KEY, **options}
    return lrax.find_lr(linear_learner(optax.sgd), data, **options)


@pytest.mark.parametrize("driver", ["compiled", "host"])
def test_curves_are_the_same_with_and_without(driver):
    """Losses are bit for bit those of a test without evaluations, and so is where it stops; what blew up is not evaluated."""
    plain, found = find(driver=driver), find(driver=driver, evaluate=held_out, every=4)
    assert same(
        [plain.losses, plain.rates, plain.smoothed],
        [found.losses, found.rates, found.smoothed],
    )
    assert (plain.reason, plain.suggestion, plain.spent) == (found.reason, found.suggestion, found.spent)
    assert found.reason is Reason.DIVERGED
    rates, metrics = found.curves[0].evaluated()
    np.testing.assert_array_equal(rates, found.rates[3:-1:4])
    assert np.isfinite(metrics).all()
    assert len(plain.evaluations) == 0


def test_the_pure_test_measures_the_same_under_jit_and_vmap():
    """`range_test` has the finder's losses and metrics, also for several keys at once, and NaN where the test had stopped."""
    stop = lrax.finder.TimesFirst(10)
    found = find(evaluate=held_out, every=8, driver="host")
    test = lambda key: lrax.range_test(  # noqa: E731
        linear_learner(optax.sgd), DATA, key=key, batch_size=16, ramp=RAMP, stop=stop, evaluate=held_out, every=8
    )
    both = jax.jit(jax.vmap(test))(jnp.stack([KEY, jax.random.key(5)]))
    one = jax.tree.map(lambda leaf: leaf[0], both)
    np.testing.assert_allclose(one.losses[: int(one.made)], found.losses, rtol=1e-4)
    np.testing.assert_array_equal(one.evaluated, [*range(8, 100, 8), 100])
    known = len(found.evaluations)
    np.testing.assert_allclose(one.evaluations[:known], found.evaluations[:, 1], rtol=1e-4)
    assert np.isnan(one.evaluations[known:]).all()
    assert not np.array_equal(both.losses[0], both.losses[1])


def test_rules_read_the_evaluations():
    """A rule is given the rates and metrics, the sign turned where a larger one is better, and NaN behind a blow-up."""
    low = find(evaluate=held_out, every=4, driver="host")
    high = find(evaluate=lambda state: -held_out(state), mode="max", every=4, driver="host")
    seen = []
    low.suggest(lambda *curve: seen.append(curve), 0.0, of="evaluations")
    ((rates, metrics),) = seen
    np.testing.assert_array_equal(rates[: len(low.evaluations)], low.evaluations[:, 0])
    np.testing.assert_array_equal(metrics[: len(low.evaluations)], low.evaluations[:, 1])
    assert len(rates) > len(low.evaluations)
    assert np.isnan(metrics[len(low.evaluations) :]).all()
    suggested = low.suggest(lrax.finder.minimum, of="evaluations")
    assert suggested == pytest.approx(high.suggest(lrax.finder.minimum, of="evaluations"))
    assert suggested == pytest.approx(low.suggest(lrax.finder.minimum), rel=3)
    assert find(driver="host").suggest(lrax.finder.minimum, of="evaluations") is None
    with pytest.raises(ValueError, match="`of` must be one of 'losses', 'evaluations'"):
        low.suggest(lrax.finder.minimum, of="metrics")


def test_it_judges_the_short_runs():
    """The run whose last state has the best metric is the best one, whatever its loss; a ramp is evaluated as it goes."""
    smallest = lambda state: jnp.abs(state.params["weight"]).sum()  # noqa: E731
    options = {"batch_size": 16, "key": KEY, "driver": "host", "evaluate": smallest}
    for mode, sign in (("min", 1), ("max", -1)):
        found = lrax.find_lr(linear_learner(optax.sgd), DATA, mode=mode, **options)
        (runs,) = found.runs
        assert np.isfinite(runs.scores).any()
        assert (sign * runs.scores[np.isfinite(runs.scores)] > 0).all()
        assert runs.peaks[np.argmin(runs.scores)] == pytest.approx(runs.best, rel=0.8)
        assert len(found.evaluations) == found.updates // 10
        assert "did best by `evaluate`" in str(found)
    low = lrax.find_lr(linear_learner(optax.sgd), DATA, **options).runs[0]
    assert low.best == pytest.approx(low.peaks[0])
    assert low.at_end
    assert low.losses[0] > low.losses.min()


def test_an_interrupt_keeps_what_was_measured_between_evaluations():
    """Ctrl-C gives the whole curve up to it, though its run was halted to be evaluated."""
    batch = jax.tree.map(lambda leaf: leaf[:16], DATA)

    def interrupted():
        for count in itertools.count():
            if count == 27:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt) as caught:
        find(interrupted(), batch_size=None, key=None, evaluate=held_out, every=10)
    curve = caught.value.found.curves[0]
    np.testing.assert_allclose(curve.rates, np.asarray(jax.vmap(RAMP)(np.arange(27))), rtol=1e-6)


def test_it_is_drawn_at_the_right():
    """The picture has a second axis with the metrics, and a word in the legend."""
    mpl.use("Agg")
    axes = find(evaluate=held_out, every=4, driver="host").plot()
    right = [other for other in axes.figure.axes if other is not axes]
    assert len(right) == 1
    assert len(right[0].lines[0].get_xdata()) > 10
    assert "evaluated (right axis)" in axes.get_legend_handles_labels()[1]
    assert len(find(driver="host").plot().figure.axes) == 1
