"""An evaluation next to the losses: measured on a ramp, read by rules, drawn, and the judge of short runs."""

import itertools
import warnings

import jax
import jax.numpy as jnp
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


def measure(data=DATA, metric=None, every=None, goal="min", **options):
    """A range test of the linear problem, with an evaluation if there is a metric."""
    options = {"ramp": RAMP, "batch_size": 16, "key": KEY, "stop": lrax.finder.TimesMedian(10.0), **options}
    evaluation = None if metric is None else lrax.Evaluation(metric, every, goal)
    return lrax.range_test(linear_learner(optax.sgd), data, evaluation=evaluation, **options)


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_curves_are_the_same_with_and_without(loop):
    """Losses are bit for bit those without evaluations, and so is where it stops; a state that diverged is not evaluated."""
    plain, curve = measure(loop=loop), measure(loop=loop, metric=held_out, every=4)
    parts = lambda one: [one.losses, one.learning_rates, one.smoothed]  # noqa: E731
    assert same(parts(plain), parts(curve))
    assert plain.reason is curve.reason is Reason.DIVERGED
    rates, metrics = curve.evaluations.T
    np.testing.assert_array_equal(rates, curve.learning_rates[3:-1:4])
    assert np.isfinite(metrics).all()
    assert len(plain.evaluations) == 0


def test_it_is_the_same_under_jit_and_vmap():
    """Inside jit and vmap a range test has the same losses and metrics, also for several keys at once."""
    options = {"batch_size": 16, "ramp": RAMP, "evaluation": lrax.Evaluation(held_out, every=8)}
    test = lambda key: lrax.range_test(linear_learner(optax.sgd), DATA, key=key, **options)  # noqa: E731
    both = jax.jit(jax.vmap(test))(jnp.stack([KEY, jax.random.key(5)]))
    one, alone = jax.tree.map(lambda leaf: leaf[0], both).made, test(KEY)
    np.testing.assert_allclose(one.losses, alone.losses, rtol=1e-4)
    np.testing.assert_allclose(one.evaluations, alone.evaluations, rtol=1e-4)
    assert len(one.evaluations) > 5
    assert not np.array_equal(both.losses[0], both.losses[1])


def test_rules_read_the_evaluations():
    """A rule is given learning rates and metrics, negated where a larger one is better, and NaN behind a divergence."""
    low = measure(metric=held_out, every=4, loop="python")
    high = measure(metric=lambda state: -held_out(state), goal="max", every=4, loop="python")
    seen = []
    low.suggest(lambda *curve: seen.append(curve), 0.0, of="evaluations")
    ((rates, metrics),) = seen
    number = len(low.evaluations)
    np.testing.assert_array_equal(np.stack([rates[:number], metrics[:number]], axis=1), low.evaluations)
    assert len(rates) > number
    assert np.isnan(metrics[number:]).all()
    suggested = low.suggest(lrax.finder.minimum, of="evaluations")
    assert suggested == pytest.approx(high.suggest(lrax.finder.minimum, of="evaluations"))
    assert suggested == pytest.approx(low.suggest(lrax.finder.minimum), rel=3)
    assert measure(loop="python").suggest(lrax.finder.minimum, of="evaluations") is None


def test_it_judges_the_short_runs():
    """The run whose last state has the best metric is the best one, whatever its loss; a ramp is evaluated as it goes."""
    smallest = lambda state: jnp.abs(state.params["weight"]).sum()  # noqa: E731
    best = []
    for goal, sign in (("min", 1), ("max", -1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a small weight is not what training is for
            evaluation = lrax.Evaluation(smallest, goal=goal)
            found = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, evaluation=evaluation)
        runs = found.runs
        assert (sign * runs.scores[np.isfinite(runs.scores)] > 0).all()
        assert not same(runs.scores, runs.losses)
        assert len(found.curves[0].evaluations) == found.curves[0].steps_run // 10
        metric = f"{sign * runs.scores[runs.best]:.3g} (at a loss of {runs.losses[runs.best]:.3g})"
        assert f"the best by the evaluation, {metric}, was at {runs.peaks[runs.best]:.2g}" in found.explanation
        best.append(runs.best)
        axes = found.plot()  # markers are metrics, on the axis at the right; the legend has them too
        (right,) = [other for other in axes.figure.axes if other is not axes]
        drawn = [line.get_xydata() for line in right.get_lines() if "ends of runs" in line.get_label()]
        assert {tuple(point) for line in drawn for point in line} == set(zip(runs.peaks, sign * runs.scores, strict=True))
        assert len([text for text in axes.get_legend().get_texts() if "ends of runs" in text.get_text()]) == len(drawn)
    assert best[0] != best[1]


def accuracy(state):
    """The fraction of held-out targets that are met to 0.7: larger is better."""
    inputs, targets = HELD_OUT
    return jnp.mean(jnp.abs(inputs @ state.params["weight"] + state.params["bias"] - targets) < 0.7)


WRONG = "the metric of the evaluation is worst where the loss is lowest: .* give goal="


@pytest.mark.parametrize(("metric", "goal", "right"), [(accuracy, "min", "max"), (held_out, "max", "min")])
def test_a_metric_of_the_wrong_goal_is_said(metric, goal, right, tmp_path):
    """An accuracy without `goal="max"`, or a loss with it, is one warning and a sentence that name the right goal."""
    options = {"batch_size": 16, "key": KEY, "budget": 500}
    with pytest.warns(UserWarning, match=f"^find_lr: {WRONG}'{right}'") as caught:
        found = lrax.find_lr(linear_learner(optax.sgd), DATA, evaluation=lrax.Evaluation(metric, goal=goal), **options)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert f"give goal='{right}'" in found.explanation
    found.save(tmp_path / "found.lrax")
    assert lrax.FinderResult.load(tmp_path / "found.lrax").explanation == found.explanation
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = lrax.find_lr(linear_learner(optax.sgd), DATA, evaluation=lrax.Evaluation(metric, goal=right), **options)
        assert "goal=" not in found.explanation


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
        measure(interrupted(), batch_size=None, key=None, metric=held_out, every=10)
    curve = caught.value.found
    np.testing.assert_allclose(curve.learning_rates, np.asarray(jax.vmap(RAMP)(np.arange(27))), rtol=1e-6)


def test_short_runs_are_evaluated_at_their_end_alone():
    """However often the ramp is evaluated, each short run of a search is once: nothing else of it is used."""
    calls = []

    def counted(state):
        jax.debug.callback(lambda: calls.append(1))
        return held_out(state)

    found = lrax.find_lr(
        linear_learner(), DATA, batch_size=16, key=KEY, budget=100, evaluation=lrax.Evaluation(counted, every=2)
    )
    jax.effects_barrier()
    assert len(calls) == len(found.curves[0].evaluations) + len(found.runs)
