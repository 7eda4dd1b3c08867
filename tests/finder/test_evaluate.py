"""A metric beside the losses of a range test: kept, read by rules, drawn, and the judge of short runs."""

import contextlib
import itertools
import warnings

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from lrax.training._evaluating import contradicts
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


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_curves_are_the_same_with_and_without(loop):
    """Losses are bit for bit those of a test without evaluations, and so is where it stops; what blew up is not evaluated."""
    plain, found = find(loop=loop), find(loop=loop, evaluate=held_out, every=4)
    assert same(
        [plain.losses, plain.rates, plain.smoothed],
        [found.losses, found.rates, found.smoothed],
    )
    assert (plain.reason, plain.suggestion, plain.steps_run) == (found.reason, found.suggestion, found.steps_run)
    assert found.reason is Reason.DIVERGED
    rates, metrics = found.curves[0].evaluated()
    np.testing.assert_array_equal(rates, found.rates[3:-1:4])
    assert np.isfinite(metrics).all()
    assert len(plain.evaluations) == 0


def test_the_pure_test_measures_the_same_under_jit_and_vmap():
    """`range_test` has the finder's losses and metrics, also for several keys at once, and NaN where the test had stopped."""
    stop = lrax.finder.TimesFirst(10)
    found = find(evaluate=held_out, every=8, loop="python")
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
    low = find(evaluate=held_out, every=4, loop="python")
    high = find(evaluate=lambda state: -held_out(state), mode="max", every=4, loop="python")
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
    assert find(loop="python").suggest(lrax.finder.minimum, of="evaluations") is None
    with pytest.raises(ValueError, match="`of` must be one of 'losses', 'evaluations'"):
        low.suggest(lrax.finder.minimum, of="metrics")


def test_it_judges_the_short_runs():
    """The run whose last state has the best metric is the best one, whatever its loss; a ramp is evaluated as it goes."""
    smallest = lambda state: jnp.abs(state.params["weight"]).sum()  # noqa: E731
    options = {"batch_size": 16, "key": KEY, "loop": "python", "evaluate": smallest}
    for mode, sign in (("min", 1), ("max", -1)):
        with pytest.warns(UserWarning, match="goal='max'") if mode == "min" else contextlib.nullcontext():
            found = lrax.find_lr(linear_learner(optax.sgd), DATA, mode=mode, **options)
        (runs,) = found.runs
        assert np.isfinite(runs.scores).any()
        assert (sign * runs.scores[np.isfinite(runs.scores)] > 0).all()
        assert runs.peaks[np.argmin(runs.scores)] == pytest.approx(runs.best, rel=0.8)
        assert len(found.evaluations) == found.updates // 10
        place = int(np.argmin(runs.scores))
        metric = f"{sign * runs.scores[place]:.3g} (at a loss of {runs.losses[place]:.3g})"
        assert f"{runs.peaks[place]:.2g} did best by `evaluate`: {metric}" in str(found)
        if mode == "min":
            low = runs
    assert low.best == pytest.approx(low.peaks[0])
    assert low.at_end
    assert low.losses[0] > low.losses.min()


def accuracy(state):
    """The fraction of held-out targets that are met to 0.7: larger is better."""
    inputs, targets = HELD_OUT
    return jnp.mean(jnp.abs(inputs @ state.params["weight"] + state.params["bias"] - targets) < 0.7)


WRONG = "the metric of the evaluation is worst where the loss is lowest: .* give goal="


@pytest.mark.parametrize(("metric", "mode", "right"), [(accuracy, "min", "max"), (held_out, "max", "min")])
def test_a_metric_of_the_wrong_mode_is_said(metric, mode, right, tmp_path):
    """An accuracy without `mode="max"`, or a loss with it, is one warning and a sentence that name the right mode."""
    options = {"batch_size": 16, "key": KEY, "evaluate": metric}
    with pytest.warns(UserWarning, match=f"^find_lr: {WRONG}'{right}'") as caught:
        found = lrax.find_lr(linear_learner(optax.sgd), DATA, mode=mode, **options)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert f"give goal='{right}'" in found.explanation
    found.save(tmp_path / "found.json")
    assert lrax.FinderResult.load(tmp_path / "found.json").explanation == found.explanation
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "goal=" not in str(lrax.find_lr(linear_learner(optax.sgd), DATA, mode=right, **options))


def test_only_clear_evidence_contradicts():
    """Noise hardly ever contradicts the loss, and a constant, a noisy loss or one that rises late by overfitting never does."""
    fallen = np.array([0, 0, 0.03, 0.02, 0.09, 0.18, 0.67, 0, 0.94, 1, 0.37, 0.21])
    losses, generator = 2.5 - 2.3 * fallen, np.random.default_rng(0)
    judge = lambda scores: contradicts(2.5, losses, scores)  # noqa: E731
    draws = [generator.normal(size=fallen.size) for _ in range(300)]
    assert np.mean([judge(noise) for noise in draws]) < 0.02
    assert not any(judge(losses + noise) for noise in draws)
    assert not judge(np.ones(fallen.size))
    assert not judge(np.where(fallen > 0.9, 4.0, losses))  # overfitted where the training loss is lowest
    assert not judge(np.full(fallen.size, np.nan))
    assert all(judge(fallen + 0.03 * noise) for noise in draws)


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
    axes = find(evaluate=held_out, every=4, loop="python").plot()
    right = [other for other in axes.figure.axes if other is not axes]
    assert len(right) == 1
    assert len(right[0].lines[0].get_xdata()) > 10
    assert "evaluated (right axis)" in axes.get_legend_handles_labels()[1]
    assert len(find(loop="python").plot().figure.axes) == 1
