import functools
import itertools
import re
import warnings

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import lrax
from problems import enable_x64, linear_learner, linear_params, momentum, regression, same, squared_error

DATA = regression()
HELD_OUT = regression(seed=7)
KEY = jax.random.key(0)
RATES = [0.001, 0.01, 0.1, 50.0]


def run(learner=None, schedules=RATES, data=DATA, **options):
    """A race of constant rates on the linear problem."""
    listed = [lrax.Constant(rate) if isinstance(rate, float) else rate for rate in schedules]
    options = {"rungs": (16, 16), "batch_size": 8, "key": KEY, **options}
    return lrax.race(learner or linear_learner(), data, listed, **options)


def alone(schedule, steps):
    """The losses of one schedule, in a race alone."""
    return run(schedules=[schedule], rungs=steps).losses[0]


def conv_learner():
    """A small convolutional net on images of 8 x 8, and its data."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, images):
            return nn.Dense(3)(nn.relu(nn.Conv(4, (3, 3))(images)).mean((1, 2)))

    def loss_fn(params, batch):
        return optax.softmax_cross_entropy_with_integer_labels(Net().apply(params, batch[0]), batch[1]).mean()

    generator = np.random.default_rng(0)
    data = generator.normal(size=(32, 8, 8, 1)).astype(np.float32), generator.integers(0, 3, 32)
    return lrax.Learner.create(loss_fn, Net().init(KEY, data[0][:1]), optax.sgd), data


@pytest.mark.parametrize(
    "options", [{}, {"max_parallel": 1}, {"max_parallel": 3}, {"loop": "python"}, {"loop": "python", "max_parallel": 1}]
)
def test_every_execution_gives_the_same_race(options):
    """However many runs are trained at a time, and by either loop, losses, ranks and the winner's state agree to 1e-5."""
    plain, other = run(execution=lrax.Execution(max_parallel=4)), run(execution=lrax.Execution(**options))
    np.testing.assert_allclose(plain.losses, other.losses, rtol=1e-5)
    np.testing.assert_array_equal(plain.order, other.order)
    for a, b in zip(jax.tree.leaves(plain.state), jax.tree.leaves(other.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_lanes_see_the_same_start_and_the_same_batches():
    """Every run's first loss is that of the initial parameters on one batch, and each run equals a race of it alone."""
    result = run(keep=1.0, rungs=24)
    np.testing.assert_allclose(result.losses[:, 0], result.losses[0, 0])
    for i in range(3):
        np.testing.assert_allclose(result.losses[i], alone(RATES[i], 24), rtol=1e-5)


def test_the_best_go_on_with_their_states_and_counts():
    """A run that stays goes on where it was: its curve is that of one long run, schedules that change included."""
    schedules = [lrax.Cosine(0.1, 0.0, 32), lrax.Constant(0.001), lrax.warmup_cosine(0.05, warmup_steps=4, total_steps=32)]
    result = run(schedules=schedules, keep=0.6)
    assert list(result.rungs) == [2, 1, 2]
    assert np.isnan(result.losses[1, 16:]).all()
    np.testing.assert_allclose(result.losses[0], alone(schedules[0], 32), rtol=1e-4)
    np.testing.assert_allclose(result.losses[2], alone(schedules[2], 32), rtol=1e-4)
    assert result.steps_run == 3 * 16 + 2 * 16


def test_a_lane_that_diverges_is_out():
    """A run whose loss is not finite does not go on even where there is room, comes last, and leaves the others alone."""
    result = run(schedules=[0.01, 3e38, 0.1], keep=1.0)
    assert list(result.rungs) == [2, 1, 2]
    assert np.isinf(result.end_losses[1])
    assert result.order[-1] == 1
    assert result.winner in (0, 2)
    np.testing.assert_allclose(result.losses[2], alone(0.1, 32), rtol=1e-5)
    assert "diverged" in str(result)


def test_the_part_that_goes_on_is_that_of_all_runs_of_the_rung():
    """Runs that diverged leave their places to the others: of four with two that diverge, both others go on by half."""
    assert list(run(schedules=[0.01, 3e38, 0.1, 2e38], rungs=(4, 4)).rungs) == [2, 1, 2, 1]


def test_all_lanes_may_diverge():
    """If nothing trains, there is no best run and no state, and no error."""
    result = run(schedules=[3e38, 2e38])
    assert (result.winner, result.state, result.steps_run) == (None, None, 4)


def test_nothing_is_touched():
    """The learner's state is bit for bit what it was."""
    learner = linear_learner()
    before = jax.tree.map(np.array, learner.state)
    run(learner)
    assert same(before, learner.state)


def test_one_trace_for_each_number_of_lanes():
    """Rungs of 4, 2 and 1 runs trace the step once each, apart from the checks, and not again for other learning rates."""
    traces = []

    def loss_fn(params, batch):
        traces.append(1)
        return squared_error(params, batch)

    learner = lrax.Learner.create(loss_fn, linear_params(), optax.sgd)
    run(learner, rungs=(8, 8, 8), schedules=[0.01, 0.02, 0.03, 0.04], execution=lrax.Execution(max_parallel=4))
    first = len(traces)
    run(learner, rungs=(8, 8, 8), schedules=[0.011, 0.02, 0.03, 0.04], execution=lrax.Execution(max_parallel=4))
    checks = 1
    assert len(traces) - first <= checks
    assert first <= checks + 3


def test_convolutions_are_driven_from_the_host_on_the_cpu():
    """A convolutional net races one run at a time from the host, with the losses of the compiled program."""
    learner, data = conv_learner()
    options = {"rungs": 6, "batch_size": 8, "schedules": [0.01, 0.1]}
    result = run(learner, data=data, **options)
    assert "convolutions" in result.plan
    compiled = run(learner, data=data, execution=lrax.Execution(loop="scan"), **options)
    np.testing.assert_allclose(result.losses, compiled.losses, rtol=1e-4)


def test_iterables_and_samplers():
    """A sampler and an iterable of batches race as well; an iterable that ends for good ends the race."""
    sampled = run(data=lambda key: jax.tree.map(lambda leaf: leaf[:8], DATA), batch_size=None)
    batch = jax.tree.map(lambda leaf: leaf[:8], DATA)
    listed = run(data=[batch], batch_size=None, key=None)
    np.testing.assert_allclose(sampled.losses, listed.losses, rtol=1e-5)
    ended = run(data=itertools.repeat(batch, 20), batch_size=None, key=None)
    assert ended.losses.shape == (4, 20)
    np.testing.assert_allclose(ended.losses, listed.losses[:, :20], rtol=1e-5)


def test_a_race_and_a_sweep_mean_the_same_by_a_tail():
    """A run's end loss is `end_loss` of its rung, also where the fraction of the steps is whole but for its rounding."""
    result = run(rungs=25, tail=0.28)  # 7 steps: 25 * 0.28 is a little above
    fine = np.isfinite(result.end_losses)
    np.testing.assert_allclose(result.end_losses[fine], lrax.sweeps.end_loss(result.losses[fine], tail=0.28), rtol=1e-5)
    assert fine.sum() == 3


def test_a_tail_is_that_of_the_rung():
    """A run is ranked by the mean loss of the last part of the rung, not of all steps that it made."""
    result = run(schedules=RATES[:3], rungs=(16, 8), tail=0.5, keep=1.0)
    np.testing.assert_allclose(result.end_losses, result.losses[:, -4:].mean(axis=1), rtol=1e-5)


def test_progress_and_table(capsys):
    """A bar is shown when asked for, and the table has a line for every run and what it cost."""
    result = run(progress=True)
    assert "race: 100%" in capsys.readouterr().err
    lines = str(result).splitlines()
    assert len(lines) == 2 + 1 + 4 + 1
    assert lines[0].startswith("Best: peak 0.01: end loss ")
    assert lines[1] == "1 of 4 runs diverged"
    assert lines[3].startswith("*")
    heads = re.findall(r'<th style="text-align: (\w+)">(.*?)</th>', result._table().html())
    assert heads[1:] == [("left", "schedule"), *(("right", head) for head in ("peak", "end loss", "rungs")), ("left", "run")]
    assert lines[-1].startswith(f"{result.steps_run} steps in all")


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "`rungs` must be one or more", {"rungs": ()}),
        (ValueError, "`rungs` must be one or more", {"rungs": (4, 0)}),
        (ValueError, "`rungs` must be one or more", {"rungs": 2.5}),
        (ValueError, "`rungs` must be one or more", {"rungs": (4, True)}),
        (ValueError, "`keep` must be above 0", {"keep": 0.0}),
        (ValueError, "`keep` must be above 0", {"keep": "half"}),
        (ValueError, "`keep` must be above 0", {"keep": np.float32(1.5)}),
        (ValueError, "`tail` must be above 0", {"tail": 2.0}),
        (ValueError, "`key` must be given", {"key": None}),
        (ValueError, "`execution.donate` must be left out of race", {"execution": lrax.Execution(donate=True)}),
        (ValueError, "`loop` must be 'python'", {"data": [DATA], "batch_size": None, "execution": lrax.Execution(loop="scan")}),
        (ValueError, "`data` must be an iterable of at least one", {"data": [], "batch_size": None}),
    ],
)
def test_bad_arguments_are_named(error, message, options):
    """What cannot be raced is an error that names the argument, before anything runs."""
    with pytest.raises(error, match=message):
        run(**options)


def test_traced_schedules_are_refused():
    """Inside jit a race cannot choose who goes on: an error that says what to use."""
    with pytest.raises(TypeError, match=r"not traced.*lrax\.sweep"):
        jax.jit(lambda values: run(schedules=[lrax.Constant(values[0])]).end_losses)(np.ones(2, np.float32))


@pytest.mark.standard_promotion  # optax.MultiSteps mixes dtypes
def test_accumulation_and_transform():
    """Two batches to a step, and a function of every batch, by either loop."""

    def mean_of_two(rate):
        return optax.MultiSteps(optax.sgd(rate), 2)

    learner = lrax.Learner.create(squared_error, linear_params(), mean_of_two)
    options = {"rungs": (4, 4), "accumulate": 2, "transform": lambda batch: (batch[0], 2 * batch[1])}
    compiled, host = (run(learner, execution=lrax.Execution(loop=loop), **options) for loop in ("scan", "python"))
    assert compiled.losses.shape == (4, 8)
    np.testing.assert_allclose(compiled.losses, host.losses, rtol=1e-4)
    np.testing.assert_allclose(compiled.losses[:, 0], compiled.losses[0, 0])
    with pytest.raises(ValueError, match="`accumulate` must be 2"):
        run(learner)


def test_the_configuration_of_the_caller_holds_in_all_programs():
    """With x64 switched on around the call, runs that are trained in parallel train in float64, as one alone does."""
    with enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(np.float64), linear_params())
        data = tuple(np.asarray(array, np.float64) for array in DATA)
        learner = lrax.Learner.create(squared_error, params, lambda rate: optax.sgd(rate.astype(np.float64)))
        result = run(learner, data=data)
        found = lrax.find_lr(learner, data, batch_size=8, key=KEY, budget=40)
    assert {leaf.dtype for leaf in jax.tree.leaves(result.state)} == {np.dtype(np.float64)}
    assert found.peak is not None


def test_a_second_race_compiles_nothing(caplog):
    """Other rates go through the programs of the first race."""
    schedules = [[lrax.Constant(rate * factor) for rate in RATES[:3]] for factor in (1.0, 0.9)]
    learner = linear_learner()
    run(learner, schedules=schedules[0])
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run(learner, schedules=schedules[1])
    assert not [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]


def test_the_bar_counts_lanes_and_not_their_padding(capsys):
    """Three runs, two at a time: the last group is filled up, and the bar does not count that."""
    run(schedules=RATES[:3], rungs=8, execution=lrax.Execution(max_parallel=2), progress=True)
    assert "24/24" in capsys.readouterr().err


def test_the_bar_counts_fewer_runs_in_later_rungs(capsys):
    """Its total is the steps that will be made: all runs in the first rung, half of them in the next."""
    run(schedules=[0.01, 0.02, 0.03, 0.04], rungs=(8, 4), progress=True)
    shown = capsys.readouterr().err
    assert "40/40" in shown
    assert "/48" not in shown


def test_an_end_metric_is_that_of_the_last_rung():
    """Evaluations of rungs before do not count, whatever the tail is."""
    options = {"evaluation": lrax.Evaluation(lambda state: squared_error(state.params, DATA), every=2), "tail": 1.0}
    result = run(schedules=RATES[:2], rungs=(4, 4), keep=1.0, **options)
    np.testing.assert_array_equal(result.evaluated, [2, 4, 6, 8])
    np.testing.assert_allclose(result.end_metrics, result.evaluations[:, 2:].mean(axis=1), rtol=1e-6)


def accuracy(state):
    """The fraction of held-out targets that are met to 0.7: larger is better."""
    inputs, targets = HELD_OUT
    return jax.numpy.mean(jax.numpy.abs(inputs @ state.params["weight"] + state.params["bias"] - targets) < 0.7)


@pytest.mark.standard_promotion
def test_a_wrong_goal_is_warned_of():
    """A race that is judged by an accuracy with the wrong goal warns, and has the sentence below its table."""
    schedules = [lrax.warmup_cosine(peak, warmup_steps=4, total_steps=40) for peak in np.geomspace(1e-5, 0.3, 8)]
    options = {"rungs": [20, 20], "batch_size": 16, "schedules": schedules}
    learner = linear_learner(optax.sgd)
    words = "the metric of .* is worst where the loss is lowest: .* give goal='max'"
    with pytest.warns(UserWarning, match=f"^race: {words}") as caught:
        result = lrax.race(learner, DATA, key=KEY, evaluation=lrax.Evaluation(accuracy), **options)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert str(result).endswith("give goal='max'")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "goal=" not in str(run(learner, evaluation=lrax.Evaluation(accuracy, goal="max"), **options))


def test_data_that_end_with_a_rung():
    """A rung in which nothing was trained does not count."""
    batch = jax.tree.map(lambda leaf: leaf[:8], DATA)
    result = run(data=itertools.repeat(batch, 16), batch_size=None, key=None, schedules=RATES[:3])
    assert list(result.rungs) == [1, 1, 1]
    assert result.winner is not None


def test_the_best_of_an_earlier_rung_wins_if_all_others_diverge():
    """Where all that stayed diverge later, the best of those that were left has its state."""

    def step(state, batch, rate):
        blown = (rate > 0.5) & (state["count"] >= 10)
        return {"count": state["count"] + 1, "rate": rate}, jax.numpy.where(blown, np.nan, 1 - rate)

    learner = lrax.Learner({"count": jax.numpy.zeros((), np.int32), "rate": jax.numpy.float32(0)}, step)
    result = run(learner, schedules=[0.1, 0.2, 0.6, 0.7], rungs=(8, 8))
    assert result.winner == 1
    assert int(result.state["count"]) == 8


def test_runs_that_went_further_come_first():
    """The order is by rungs first: a run that went on is better than one that was left, also where losses rise later."""

    def step(state, batch, rate):
        return {"count": state["count"] + 1, "rate": rate}, rate + jax.numpy.where(state["count"] < 4, 0.0, 9.0)

    learner = lrax.Learner({"count": jax.numpy.zeros((), np.int32), "rate": jax.numpy.float32(0)}, step)
    result = run(learner, schedules=[0.4, 0.3, 0.2, 0.1], rungs=(4, 4))
    assert list(result.order) == [3, 2, 1, 0]
    assert result.scores[3] > result.scores[0]


def test_the_first_rung_needs_two_steps():
    """The loss of the first step is the same for all learning rates: a rung of one would rank by the order of the list."""
    with pytest.raises(ValueError, match="`rungs` must be at least 2 steps in the first rung"):
        run(rungs=(1, 8))


def test_data_that_end_are_said():
    """A race whose data end before its last rung says so, in a field and in its table."""
    result = run(data=iter([DATA] * 10), batch_size=None, key=None, rungs=(8, 8))
    assert result.ended
    assert "The data ended after 10 steps" in str(result)
    assert not run(rungs=(8, 8)).ended


def test_a_thousand_lanes_compile_small_programs(caplog):
    """No program has an argument for every run: stacking states of a thousand compiles a few small ones."""
    learner = linear_learner()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run(learner, schedules=list(np.geomspace(1e-4, 0.1, 200)), rungs=(4, 4))
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert len(compiled) < 30


@pytest.mark.parametrize("keep", [0.25, np.float32(0.25), np.float64(0.25), np.float16(0.25)])
def test_the_part_that_is_kept_may_be_any_number(keep):
    """A fraction may be NumPy's number; what rounding adds to it keeps no other run."""
    assert list(run(keep=keep, rungs=(4, 4)).rungs) == list(run(keep=0.25, rungs=(4, 4)).rungs)
    assert run(schedules=[0.01] * 10, keep=type(keep)(0.1), rungs=(4, 4)).steps_run == 10 * 4 + 4


def test_a_race_knows_where_its_rungs_ended():
    """The counts at which rungs ended are in the result, those that were not reached are not."""
    assert run(rungs=(8, 4)).ends == (8, 12)
    assert run(data=iter([DATA] * 10), batch_size=None, key=None, rungs=(8, 8, 8)).ends == (8, 10)


SCHEDULE = lrax.warmup_cosine(0.1, warmup_steps=4, total_steps=20)
BATCHES = [tuple(array[first : first + 8] for array in DATA) for first in range(0, 32, 8)]


def trained(tx, params, opt_state, steps):
    """A plain optax loop over the batches, from the first of `steps` to the last."""

    @jax.jit
    def step(params, opt_state, batch):
        changes, opt_state = tx.update(jax.grad(squared_error)(params, batch), opt_state, params)
        return optax.apply_updates(params, changes), opt_state

    for i in steps:
        params, opt_state = step(params, opt_state, BATCHES[i % 4])
    return params, opt_state


def winner(factory, opt_state=None, accumulate=1):
    """A race of six steps that `SCHEDULE` wins."""
    learner = lrax.Learner.create(squared_error, linear_params(), factory, opt_state=opt_state)
    result = lrax.race(learner, BATCHES, [lrax.Constant(1e-9), SCHEDULE], rungs=(4, 2), accumulate=accumulate)
    assert (result.winner, result.count) == (1, 6)
    return result


def clipped(lr):
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(lr))


def accumulated(lr):
    return optax.MultiSteps(momentum(lr), 2)


def decayed(lr):
    """Has another schedule next to that of the learning rate."""
    other = optax.scale_by_schedule(lrax.Linear(1.0, 0.5, steps=30))
    return optax.chain(optax.scale_by_adam(), other, optax.scale_by_learning_rate(lr))


def injected(lr):
    return optax.inject_hyperparams(optax.adam)(learning_rate=lr)


def grouped(schedule):
    return lrax.by_path(optax.adam, schedule, {"bias": 0.5})


GOES_ON = {
    "momentum": (momentum, momentum),
    "recorded after a race without": (optax.adam, functools.partial(lrax.recorded, optax.adam)),
    "injected after a race without": (optax.adam, injected),
    "groups": (grouped, grouped),
    "MultiSteps": (accumulated, accumulated),
}

ALSO_GOES_ON = {
    "sgd": (optax.sgd, optax.sgd),
    "a chain": (clipped, clipped),
    "two schedules": (decayed, decayed),
    "recorded in a chain": (
        clipped,
        lambda lr: optax.chain(optax.clip_by_global_norm(1.0), lrax.recorded(optax.adamw, lr)),
    ),
    "recorded sgd": (optax.sgd, functools.partial(lrax.recorded, optax.sgd)),
    "a race of recorded": (functools.partial(lrax.recorded, optax.adam), optax.adam),
    "injected": (injected, injected),
    "a race of injected": (injected, optax.adam),
}
CASES = [pytest.param(*case, id=name) for name, case in GOES_ON.items()]
CASES += [pytest.param(*case, id=name, marks=pytest.mark.slow) for name, case in ALSO_GOES_ON.items()]


@pytest.mark.standard_promotion  # of optax's optimizers
@pytest.mark.parametrize(("raced", "goes_on"), CASES)
def test_the_winner_goes_on_in_a_plain_optax_loop(raced, goes_on):
    """From the winner's state a plain loop with `optimizer(race.schedule)` is the run that never was in a race."""
    each = 2 if raced is accumulated else 1
    result = winner(raced, accumulate=each)
    tx = goes_on(result.schedule)
    params, opt_state = trained(tx, result.state.params, result.opt_state_for(tx), range(6 * each, 9 * each))
    whole = trained(tx, linear_params(), tx.init(linear_params()), range(9 * each))
    for a, b in zip(jax.tree.leaves((params, opt_state)), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.standard_promotion
@pytest.mark.parametrize("made_with", [0.01, SCHEDULE])
def test_after_a_race_from_the_middle_of_a_run_the_schedule_goes_on_where_the_race_ended(made_with):
    """The schedule's count is that of the race, and moments and other schedules keep the count of the whole run."""
    _, before = trained(decayed(made_with), linear_params(), decayed(made_with).init(linear_params()), range(5))
    result = winner(decayed, opt_state=before)
    adam, decay, lr = result.opt_state_for(decayed(result.schedule))
    assert (int(adam.count), int(decay.count), int(lr.count)) == (11, 11, 6)


@pytest.mark.standard_promotion
def test_a_loaded_race_goes_on_too(tmp_path):
    """A race that was saved and loaded has the same state for an optimizer."""
    result = winner(momentum)
    result.save(tmp_path / "race.npz")
    loaded = lrax.sweeps.RaceResult.load(tmp_path / "race.npz", result.state)
    tx = momentum(result.schedule)
    assert same(loaded.opt_state_for(tx), result.opt_state_for(tx))


@pytest.mark.standard_promotion
def test_a_state_with_other_names_goes_on_by_its_parts():
    """The parts of a state that a hand-written step trains are given by name; without them the error says so."""

    def step(state, batch, lr):
        loss, grads = jax.value_and_grad(squared_error)(state["weights"], batch)
        changes, moments = lrax.at_lr(momentum, lr).update(grads, state["moments"], state["weights"])
        return {"weights": optax.apply_updates(state["weights"], changes), "moments": moments}, loss

    learner = lrax.Learner({"weights": linear_params(), "moments": momentum(0.1).init(linear_params())}, step)
    result = lrax.race(learner, BATCHES, [SCHEDULE], rungs=6)
    tx = momentum(result.schedule)
    with pytest.raises(TypeError, match=r"`state` must be a state with the field `opt_state`.*give `opt_state`"):
        result.opt_state_for(tx)
    found = result.opt_state_for(tx, opt_state=result.state["moments"], params=result.state["weights"])
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(winner(momentum).opt_state_for(tx)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.standard_promotion
def test_what_a_winner_cannot_go_on_with():
    """Another optimizer, a factory, and a race that no one won are errors that say what to give."""
    result = winner(momentum)
    with pytest.raises(ValueError, match=r"`optimizer` must be the optimizer of the state.*its state has \[0\]\.count too"):
        result.opt_state_for(optax.adam(result.schedule))
    with pytest.raises(ValueError, match=r"`optimizer` must be the optimizer of the state.*its state has no \[0\]\.trace"):
        result.opt_state_for(optax.sgd(result.schedule))
    with pytest.raises(TypeError, match=r"`optimizer` must be an optax optimizer.*optax\.adam\(race\.schedule\)"):
        result.opt_state_for(momentum)
    lost = run(schedules=[3e38, 2e38])
    assert lost.count is None
    with pytest.raises(ValueError, match="`race` must be one with a winner"):
        lost.opt_state_for(momentum(0.1))
