"""Lanes that are evaluated beside their training: nothing changes in what trains, and the metric ranks them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.training._core import start
from problems import linear_learner, regression, same, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = tuple(map(jnp.asarray, regression()))
HELD_OUT = tuple(map(jnp.asarray, regression(seed=7)))
RATES = lrax.Constant(np.float32([0.001, 0.3, 0.01, 30.0, 0.1]))


def held_out(state):
    """The loss on data that nothing trains on."""
    return squared_error(state.params, HELD_OUT)


def norm(state):
    """How large the weights are."""
    return jnp.abs(state.params["weight"]).sum()


def small(state):
    """No number where the weights are large."""
    return jnp.where(norm(state) < 1, 0.0, jnp.nan)


def run(schedules=RATES, data=DATA, metric=None, every=None, goal="min", loop=None, max_parallel=None, **options):
    """A race of constant rates on the linear problem."""
    options = {"rungs": (10, 13), "batch_size": 8, "key": KEY, **options}
    options["evaluation"] = None if metric is None else lrax.Evaluation(metric, every, goal)
    options["execution"] = lrax.Execution(loop=loop, max_parallel=max_parallel)
    return lrax.race(linear_learner(), data, schedules, **options)


@pytest.mark.parametrize("options", [{}, {"max_parallel": 2}, {"loop": "python", "max_parallel": 1}, {"loop": "python"}])
def test_training_is_the_same_with_and_without(options):
    """Losses and the winner's state are bit for bit those of a race without evaluations, in each way to run it."""
    options = {"rungs": 23, **options}
    plain, evaluated = run(**options), run(metric=held_out, every=4, **options)
    assert plain.losses.tobytes() == evaluated.losses.tobytes()
    np.testing.assert_array_equal(evaluated.evaluated, [4, 8, 12, 16, 20, 23])
    assert evaluated.winner == np.argmin(evaluated.scores)
    assert np.isnan(plain.evaluations).size == 0
    if plain.winner == evaluated.winner:
        assert same(plain.state, evaluated.state)


def test_the_metric_is_that_of_the_state_after_so_many_updates():
    """An evaluation at a count is the metric of the state that a race of that length ends with, from either loop."""
    compiled, host = (run(metric=held_out, every=8, rungs=23, loop=loop) for loop in ("scan", "python"))
    np.testing.assert_allclose(compiled.evaluations, host.evaluations, rtol=1e-5)
    for place, count in enumerate((8, 16, 23)):
        alone = run([lrax.Constant(0.1)], rungs=count, loop="python", max_parallel=1)
        assert host.evaluations[4, place] == pytest.approx(float(held_out(alone.state)), rel=1e-5)


@pytest.mark.parametrize("parallel", [1, 5])
def test_a_lane_that_blew_up_is_evaluated_no_more(parallel):
    """The others go on in the same programs; what diverged has no metric there and an infinite score."""
    result = run(metric=held_out, every=20, rungs=100, max_parallel=parallel, loop="python")
    assert np.isinf(result.scores[3])
    assert np.isnan(result.evaluations[3, -1])
    assert np.isfinite(result.evaluations[0]).all()


def test_the_metric_ranks_the_lanes():
    """Who goes on and who wins is said by the metric's mean in the tail of a rung, the smaller or the larger the better."""
    smallest, largest = (run(metric=norm, every=5, goal=goal, rungs=(10, 10), loop="python") for goal in ("min", "max"))
    assert smallest.schedules[smallest.winner].value == np.float32(0.001)
    assert largest.schedules[largest.winner].value == np.float32(0.3)
    for result, sign in ((smallest, 1), (largest, -1)):
        np.testing.assert_array_equal(result.evaluated, [5, 10, 15, 20])
        np.testing.assert_allclose(result.end_metrics[result.winner], result.evaluations[result.winner, 3])
        np.testing.assert_allclose(result.scores[result.winner], sign * result.end_metrics[result.winner])
        assert np.isnan(result.evaluations[result.rungs == 1, 2:]).all()
    averaged = run(metric=norm, every=5, rungs=20, tail=0.5, loop="python")
    np.testing.assert_allclose(averaged.end_metrics[0], averaged.evaluations[0, 2:].mean(), rtol=1e-6)


def test_an_evaluation_where_the_last_rung_ended_is_not_in_the_next_one():
    """A lane that has made no update since the last rung has no metric in this one: that of the last rung's end is not its."""
    run = start(None, None)._replace(steps=np.int32(10), evaluations=np.float32([[5, 3.0], [10, 2.0]]))
    assert run.end_metric(0.25, since=5) == 2.0
    assert run.end_metric(1.0, since=0) == 2.5
    assert np.isnan(run.end_metric(1.0, since=10))


def test_by_default_a_rung_is_evaluated_where_it_ends():
    """Without `every` there is one evaluation a rung, for each of its lanes."""
    result = run(metric=held_out, loop="python")
    np.testing.assert_array_equal(result.evaluated, [10, 23])
    assert np.isfinite(result.evaluations[:, 1]).sum() == 3


def test_a_metric_that_is_no_number_loses():
    """Lanes whose metric is not finite come last, and nobody wins where all are so."""
    assert run(metric=small, rungs=10, loop="python").winner == 0
    nobody = run(metric=lambda state: jnp.inf * (1 + 0 * held_out(state)), rungs=10, loop="python")
    assert (nobody.winner, nobody.state) == (None, None)
    assert "No best: every run diverged, or has no finite metric" in str(nobody)


def test_an_iterable_that_ends_is_evaluated_where_it_ended():
    """Lanes of an iterable see the same batches with and without, and their last state counts."""
    batches = [tuple(array[i : i + 8] for array in DATA) for i in range(0, 64, 8)]
    options = {"data": (batch for batch in batches), "batch_size": None, "key": None, "rungs": 20}
    plain = run(**options)
    options["data"] = (batch for batch in batches)
    result = run(metric=held_out, every=5, **options)
    assert plain.losses.tobytes() == result.losses.tobytes()
    np.testing.assert_array_equal(result.evaluated, [5, 8])
    assert result.ended
    assert np.isfinite(result.scores).sum() == 5


def test_an_evaluation_is_one_more_program():
    """Whatever the number of lanes and evaluations, the metric is compiled once, and what trains as without it."""
    learner = lrax.Learner.create(
        lambda params, batch: squared_error(params, batch) * 2, linear_learner().state.params, nobodys
    )
    options = {"rungs": 24, "batch_size": 8, "key": KEY}
    lrax.race(learner, DATA, RATES, **options)
    with compilations() as compiled:
        lrax.race(learner, DATA, RATES, evaluation=lrax.Evaluation(lambda state: 3 * held_out(state), 4), **options)
    assert len(compiled) == 1
    with compilations() as compiled:
        lrax.race(learner, DATA, RATES, evaluation=lrax.Evaluation(lambda state: 3 * held_out(state), 8), **options)
    assert not compiled


def nobodys(rate):
    """An optimizer of these tests alone, so that nobody has compiled its programs."""
    return optax.sgd(rate, momentum=0.3)


def test_results_are_kept_shown_and_drawn(tmp_path):
    """A race from its folder, from its file, as rows, as a table and as a picture has what its lanes were evaluated to."""
    options = {"metric": held_out, "every": 5, "rungs": (10, 10), "loop": "python"}
    first, again = (run(folder=tmp_path / "race", **options) for _ in range(2))
    first.save(tmp_path / "race.npz")
    for other in (again, lrax.sweeps.RaceResult.load(tmp_path / "race.npz")):
        for name in ("evaluated", "evaluations", "end_metrics", "scores", "order"):
            np.testing.assert_array_equal(getattr(other, name), getattr(first, name))
        assert (other.goal, str(other).splitlines()[:3]) == ("min", str(first).splitlines()[:3])
    assert "end metric" in str(first)
    assert first.rows()[0]["end_metric"] == pytest.approx(first.end_metrics[0])
    assert len(first.plot_evaluations().lines) == 5
    assert "img" in first._repr_html_()
    with pytest.raises(ValueError, match="of one with other evaluation"):
        run(folder=tmp_path / "race", **{**options, "metric": lambda state: held_out(state) + 1})
    with pytest.raises(ValueError, match="`race` must be one whose runs were evaluated"):
        run(loop="python").plot_evaluations()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "loss"}, "`metric` must be a pure function"),
        ({"metric": lambda: 0.0}, "`metric` must be callable as"),
        ({"metric": lambda state: state.params["weight"]}, "`evaluation.metric` must be .* one real number.*it returned"),
        ({"metric": lambda state: float(held_out(state))}, "`evaluation.metric` must be .* in jnp.*it raised"),
        ({"metric": held_out, "every": 0}, "`every` must be an integer of at least 1"),
        ({"metric": held_out, "goal": "less"}, "`goal` must be one of 'min', 'max'"),
    ],
)
def test_what_cannot_be_used_is_named(options, message):
    """A bad argument is an error that names it, before anything runs."""
    with pytest.raises((TypeError, ValueError), match=f"(race|Evaluation): {message}"):
        run(**options)


def test_a_function_of_the_parameters_is_told_what_it_receives():
    """A metric that takes parameters, or names a field that is not there, is an error that names the state's fields."""

    def accuracy(params):
        return jnp.sum(params["weight"])

    received = r"metric\(state\) receives the learner's state, TrainingState with params, opt_state, aux, key"
    with pytest.raises(
        TypeError, match=rf"race: `evaluation.metric`.*{received}: give lambda state: accuracy\(state\.params\)"
    ):
        run(metric=accuracy)
    with pytest.raises(TypeError, match=rf"race: `evaluation.metric`.*{received}$"):
        run(metric=lambda state: state.parameters)
    state = {"weight": jnp.zeros(()), "seen": jnp.zeros(())}
    learner = lrax.Learner(state, lambda state, batch, lr: (jax.tree.map(lambda leaf: leaf - lr, state), state["weight"]))
    evaluation = lrax.Evaluation(lambda state: state["bias"])
    with pytest.raises(TypeError, match=r"it raised: 'bias'; metric\(state\) receives .*, dict with seen, weight"):
        lrax.race(learner, [jnp.zeros(())], [lrax.Constant(0.1)], rungs=2, evaluation=evaluation)
