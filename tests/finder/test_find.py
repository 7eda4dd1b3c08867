"""`find_lr`: one answer for the schedule that will be trained, within a budget of steps."""

import functools
import gc
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.finder import Reason
from lrax.finder._rules import is_ordered
from problems import linear_learner, nothing, regression, same, scripted, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()
find = functools.partial(lrax.find_lr, linear_learner(), DATA, batch_size=16, key=KEY)


def test_everything_agrees_with_one_number():
    """The peak is the schedule's, the text's and the picture's, and lies in the interval."""
    found = find()
    assert float(found.schedule.peak) == pytest.approx(found.peak, rel=1e-6)
    assert (found.schedule.total_steps, found.total_steps) == (1000, 1000)
    assert str(found).startswith(f"peak learning rate {found.peak:.3g} for warmup_cosine of 1,000 steps, 80 % interval ")
    assert float(f"{found.peak:.3g}") == found.peak == float(found)
    (line,) = [line for line in found.plot().get_lines() if line.get_label().startswith("peak ")]
    assert line.get_xdata()[0] == found.peak
    assert found.interval[0] < found.peak < found.interval[1]
    assert found.rescale(lrax.warmup_cosine(7.0, total_steps=1000, warmup_steps=0.1)) == found.schedule


@pytest.mark.parametrize("budget", [20, 50, 100, 300, 700])
def test_the_budget_counts_every_step(budget):
    """The ramp and all short runs together take at most the budget; a larger one makes more or longer runs."""
    found = find(budget=budget)
    assert found.steps_run == found.curves[0].steps_run + found.runs.steps_run <= max(budget, 40)
    assert len(found.runs) >= (1 if budget < 100 else 2)
    assert found.peak is not None


def test_a_loss_that_never_drops_is_flat():
    """Where no learning rate changes the loss there is no peak, for this reason."""
    found = lrax.find_lr(scripted([1.0]), nothing, key=KEY)
    assert (found.peak, found.reason) == (None, Reason.FLAT)


def test_a_budget_may_be_a_fraction_of_the_plan():
    """A float below 1 is a fraction of the plan's steps."""
    assert find(lrax.Linear(1.0, 0.0, 5_000), budget=0.1).budget == 500


@pytest.mark.parametrize(
    ("schedule", "total_steps", "steps"),
    [
        (None, None, 1000),
        (None, 250, 250),
        (lrax.wsd(1.0, total_steps=3_000, warmup_steps=100, cooldown_steps=0.2), None, 3_000),
        (lrax.Constant(5.0), None, 1000),
        (lrax.Constant(5.0), 700, 700),
        (lambda count: 1.0 / (1 + count), None, 1000),
    ],
)
def test_the_plan_has_a_length(schedule, total_steps, steps):
    """A plan has its own length, or the one that is given, or 1,000 steps; `found.schedule` has the peak."""
    found = find(schedule, total_steps=total_steps, budget=60)
    assert found.total_steps == steps
    assert float(jnp.max(found.schedule(np.arange(steps)))) == pytest.approx(found.peak, rel=1e-5)


def test_short_runs_have_the_shape_of_the_plan():
    """The runs of a constant plan stay at their peak, and do not come down as those of a cosine."""
    seen = []

    def step(state, batch, rate):
        jax.debug.callback(lambda rate: seen.append(float(rate)), rate, ordered=True)
        return state - rate * 0.1, jnp.exp(state)

    for plan, flat in ((lrax.Constant(1.0), True), (lrax.Cosine(1.0, 0.0, 1000), False)):
        seen.clear()
        found = lrax.find_lr(lrax.Learner(jnp.zeros(()), step), nothing, plan, key=KEY, loop="python")
        jax.effects_barrier()
        last = np.array(seen[-int(found.runs.steps[-1]) :])
        assert (last.min() > 0.99 * last.max()) == flat


def test_the_peak_trains_best():
    """On a quadratic the plan at its peak ends lower than plans of a tenth of it and of ten times."""
    learner = linear_learner(optax.sgd)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, total_steps=200, budget=500)

    @jax.jit
    def final(factor):
        def body(state, count):
            return learner.step(state, DATA, factor * found.schedule(count))

        return jax.lax.scan(body, learner.state, jnp.arange(200))[1][-1]

    low, best, high = (float(final(factor)) for factor in (0.1, 1.0, 10.0))
    assert best < 1.01 * low
    assert not high < best


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_nothing_is_mutated(loop):
    """The learner's state and the data are bit for bit what they were."""
    learner = linear_learner(optax.adam)
    data = tuple(jnp.asarray(array) for array in DATA)
    before = jax.tree.map(np.array, (learner.state, data))
    lrax.find_lr(learner, data, batch_size=8, key=KEY, loop=loop)
    gc.collect()
    assert same(before, (learner.state, data))


def test_both_loops_give_the_same_answer():
    """The compiled loop and the one in Python agree, and a call gives the same answer again."""
    scan, python, again = find(loop="scan"), find(loop="python"), find(loop="scan")
    assert scan.peak == again.peak == pytest.approx(python.peak, rel=0.02)
    np.testing.assert_array_equal(scan.runs.losses, again.runs.losses)


def test_all_programs_are_one():
    """The ramp and the runs, whatever their shape, are run by one program: a second search compiles nothing."""
    plan = lrax.wsd(1.0, total_steps=1000, warmup_steps=100, cooldown_steps=200)
    find(plan)
    with compilations() as compiled:
        find(plan)
    assert not compiled


def test_iterables():
    """Batches that begin again give runs too; where they end, that is said, and there is no peak."""
    batches = [jax.tree.map(lambda leaf, i=i: leaf[16 * i : 16 * i + 16], DATA) for i in range(4)]
    assert len(lrax.find_lr(linear_learner(), batches).runs) >= 2
    for number, said in ((0, "before the first step"), (30, "after 30 steps"), (150, "in the short runs")):
        found = lrax.find_lr(linear_learner(), (batches[i % 4] for i in range(number)))
        assert (found.peak, found.reason) == (None, Reason.DATA_ENDED)
        assert f"the data ended {said}" in str(found)


def test_an_error_of_the_iterator_comes_through():
    """An iterable that raises in the middle raises its own error, and the state is intact."""

    def failing():
        yield from itertools.repeat(DATA, 5)
        raise OSError("disk on fire")

    learner = linear_learner()
    before = jax.tree.map(np.array, learner.state)
    with pytest.raises(OSError, match="disk on fire"):
        lrax.find_lr(learner, failing())
    assert same(before, learner.state)


@pytest.mark.parametrize(("steps", "ramp"), [(12, 12), (110, None)])
def test_an_interrupt_keeps_what_was_measured(steps, ramp):
    """Ctrl-C comes through with the ramp so far, or the ramp and the runs that had ended."""

    def interrupted():
        yield from itertools.repeat(DATA, steps)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted())
    found = caught.value.found
    assert (found.peak, found.reason, found.scale_invariant) == (None, Reason.INTERRUPTED, False)
    assert ramp is None or found.curves[0].steps_run == ramp
    assert "interrupted" in str(found)


def test_progress_shows_a_bar(capsys):
    """A progress bar runs to the last step."""
    find(progress=True)
    assert "find_lr: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["absent", "closed"])
def test_without_a_standard_error_there_is_no_bar(monkeypatch, tmp_path, state):
    """Where nothing can be shown, as in a service, a search that was asked for a bar runs without one."""
    with (tmp_path / "log").open("w") as stream:
        pass
    monkeypatch.setattr(sys, "stderr", None if state == "absent" else stream)
    assert find(progress=True).peak > 0


@pytest.mark.parametrize(("batch_size", "optimizer"), [(1, optax.adam), (1, optax.sgd), (2, optax.adam), (4, optax.sgd)])
def test_small_batches_have_an_answer(batch_size, optimizer):
    """With one to four examples a batch every seed has an answer, and its ramp reaches learning rates that learn."""
    learner, data = linear_learner(optimizer), regression(512)
    for seed in range(4):
        found = lrax.find_lr(learner, data, batch_size=batch_size, key=jax.random.key(seed))
        assert found.peak is not None, str(found)
        assert found.curves[0].learning_rates[-1] > 0.003


def test_heavy_tails_have_an_answer_or_the_reason():
    """Losses whose noise has no variance give an answer, or a text that says that the drop is lost in the noise."""
    noise = np.random.default_rng(0).standard_cauchy(size=2000).astype(np.float32)

    def sampler(key):
        return jnp.asarray(noise)[jax.random.randint(key, (4,), 0, noise.size)]

    loss_fn = lambda params, batch: jnp.mean(jnp.abs(params - 1 - batch))  # noqa: E731
    for seed in range(4):
        found = lrax.find_lr(lrax.Learner.create(loss_fn, jnp.zeros(()), optax.adam), sampler, key=jax.random.key(seed))
        assert found.peak is not None or "noise" in str(found), str(found)


def test_a_loss_without_a_bound_is_warned_of():
    """Where a training loss drops without a bound, the run that diverges wins: that is a warning. A likelihood is none."""
    game = lrax.Learner.create(lambda params, batch: -jnp.sum(params**2), jnp.ones(2), optax.sgd)
    with pytest.warns(UserWarning, match="^find_lr: the loss has no lower bound .* give `evaluation`") as caught:
        found = lrax.find_lr(game, lambda key: jnp.zeros(1), key=KEY)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert "no lower bound" in found.explanation
    likelihood = lrax.Learner.create(lambda params, batch: params**2 - 3.0, jnp.ones(()), optax.sgd)
    assert "the loss is negative" in lrax.find_lr(likelihood, lambda key: jnp.zeros(1), key=KEY).explanation


def in_classes(order):
    """Batches of 16 of a mixture of twelve clusters, and a learner that tells them apart."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 80)
    inputs = (random.normal(size=(12, 8))[labels] + 0.5 * random.normal(size=(960, 8))).astype(np.float32)
    places = np.arange(960) if order == "sorted" else random.permutation(960)
    batches = [(inputs[at], labels[at]) for at in places.reshape(-1, 16)]

    def loss_fn(weights, batch):
        return optax.softmax_cross_entropy_with_integer_labels(batch[0] @ weights, batch[1]).mean()

    weights = random.normal(size=(8, 12)).astype(np.float32)
    return lrax.Learner.create(loss_fn, jnp.asarray(weights), optax.sgd), batches


def test_sorted_data_are_warned_of():
    """Batches in the order of their classes are warned of, unless all data judge; shuffled ones are not."""
    learner, batches = in_classes("sorted")
    with pytest.warns(UserWarning, match="^find_lr: batches that follow each other have similar losses .* shuffle the data"):
        found = lrax.find_lr(learner, batches)
    assert "shuffle the data" in found.explanation
    everything = jax.tree.map(lambda *parts: np.concatenate(parts), *batches)
    judge = lrax.Evaluation(lambda state: learner.step(state, everything, 0.0)[1])
    assert "shuffle" not in lrax.find_lr(learner, batches, evaluation=judge).explanation
    assert "shuffle" not in lrax.find_lr(*in_classes("shuffled")).explanation


def test_chance_and_trends_are_not_an_order():
    """Of independent losses, with a trend or with what a ramp does to them, at most one in a thousand looks sorted."""
    random, rates = np.random.default_rng(0), np.geomspace(1e-7, 100, 100)
    drop = 1 - 0.8 / (1 + (0.03 / rates) ** 2) + (rates > 3)
    ramps = drop + random.uniform(0.03, 0.3, (1000, 1)) * random.normal(size=(1000, 100))
    assert (
        sum(is_ordered(rates, ramp + trend) for ramp, trend in zip(ramps, np.outer(range(1000), rates > 0), strict=True)) <= 1
    )
    rising = np.linspace(0, 0.5, 100)  # as the weight of a loss does
    assert not is_ordered(rates, drop + rising)
    assert not any(is_ordered(rates, ramp + rising) for ramp in ramps[:100])
    assert not is_ordered(rates, np.ones(100))
    assert not is_ordered(rates[:10], drop[:10])


@pytest.mark.parametrize("goal", [None, "max"])
def test_an_optimizer_without_a_learning_rate_is_compared(goal, tmp_path):
    """Both ends are those of runs by hand on the same batches; which is better is said, with the steps that it cost."""
    other = linear_learner(optax.contrib.prodigy)
    batches = [(DATA[0][at], DATA[1][at]) for at in np.arange(64).reshape(4, 16)]
    judge = None if goal is None else lrax.Evaluation(lambda state: -squared_error(state.params, DATA), goal=goal)
    run = functools.partial(lrax.find_lr, linear_learner(optax.adam), batches, total_steps=1000, budget=300, evaluation=judge)
    found, alone = run(compare=other), run()
    assert (found.peak, found.interval, alone.comparison) == (alone.peak, alone.interval, None)
    steps, own, its, steps_run = found.comparison
    assert (steps, steps_run) == (found.runs.steps.max(), steps)
    assert found.steps_run == alone.steps_run + 2 * steps
    state, losses, step = other.state, [], jax.jit(other.step)
    for i in range(steps):
        state, loss = step(state, batches[i % 4], 1 - i / steps)
        losses.append(float(loss))
    expected = np.mean(losses[-steps // 4 :]) if goal is None else float(squared_error(state.params, DATA))
    assert its == pytest.approx(expected, rel=1e-3)
    better = "the plan is better" if own < its else "`compare` is better"
    assert better in found.explanation
    found.save(tmp_path / "found.lrax")
    assert lrax.FinderResult.load(tmp_path / "found.lrax").comparison == found.comparison


def test_a_comparison_that_diverges_is_said():
    """A learner that diverges ends at infinity; one that is not a learner is named."""
    wild = lrax.Learner.create(squared_error, linear_learner().state.params, lambda lr: optax.sgd(1e6 * lr))
    found = find(compare=wild)
    assert found.comparison.other == np.inf
    assert "the run of `compare` diverged" in found.explanation
    with pytest.raises(TypeError, match=r"find_lr: `compare` must be a lrax.Learner, .* optax.contrib.prodigy"):
        find(compare=optax.contrib.prodigy)


def test_a_batch_with_a_nan_is_named():
    """A batch that holds a NaN is named, and no peak is given."""
    inputs, targets = regression()
    inputs = inputs.copy()
    inputs[5] = np.nan
    found = lrax.find_lr(linear_learner(), (inputs, targets), batch_size=16, key=KEY)
    assert found.peak is None
    assert found.fault in str(found)
    assert "NaN" in found.fault
    assert "look at the data" in found.explanation


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "`batch_size` must be given with arrays", {"batch_size": None}),
        (ValueError, "`batch_size` must be an integer of at least 1, got 0", {"batch_size": 0}),
        (ValueError, "`batch_size` must be an integer of at least 1, got 2.5", {"batch_size": 2.5}),
        (ValueError, "common leading axis", {"data": (np.zeros((4, 2)), np.zeros(5))}),
        (ValueError, "at least one example", {"data": (np.zeros((0, 3)), np.zeros(0))}),
        (TypeError, "`data` must be arrays where `batch_size` is given", {"data": ["a", "b"]}),
        (TypeError, "`data` must be arrays of numbers", {"data": np.array(["a", "b"])}),
        (TypeError, r"`data` must be batches, .*; call it: give data\(\)", {"data": lambda: DATA, "batch_size": None}),
        (ValueError, "`key` must be given with arrays", {"key": None}),
        (TypeError, "`key` must be a random key, got 0", {"key": 0}),
        (ValueError, "`loop` must be 'python' where `progress` is shown", {"loop": "scan", "progress": True}),
        (ValueError, "`loop` must be one of 'scan', 'python', got 'scna'; did you mean 'scan'", {"loop": "scna"}),
        (TypeError, "`schedule` must be a schedule", {"schedule": 0.1}),
        (ValueError, "`schedule` must be a schedule with learning rates above 0", {"schedule": lrax.Linear(1.0, -1.0, 10)}),
        (ValueError, "`schedule` must be a schedule with learning rates above 0", {"schedule": lrax.Constant(0.0)}),
        (ValueError, "find_lr: `total_steps`", {"total_steps": 0}),
        (TypeError, "find_lr: `total_steps`", {"total_steps": "long"}),
        (ValueError, "`budget` must be at least 20 steps, got 10; give an int such as 300", {"budget": 10}),
        (TypeError, "`budget` must be a number of steps or a fraction of the plan, got 2.5", {"budget": 2.5}),
        (TypeError, "`learner` must be a lrax.Learner", {"learner": squared_error}),
    ],
)
def test_bad_arguments_are_named(error, message, change):
    """Each bad argument is an error that names the caller and the argument, before anything runs."""
    arguments = {"learner": linear_learner(), "data": DATA, "batch_size": 8, "key": KEY, **change}
    with pytest.raises(error, match=message) as caught:
        lrax.find_lr(arguments.pop("learner"), arguments.pop("data"), **arguments)
    assert "find_lr" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message", "step"),
    [
        (TypeError, r"must return \(state, loss\), got", lambda state, batch, rate: state),
        (ValueError, r"the loss must be a scalar, got shape \(3,\)", lambda state, batch, rate: (state, jnp.zeros(3))),
        (ValueError, "same structure", lambda state, batch, rate: ((state, state), jnp.float32(0))),
        (ValueError, r"state is int32\[\] instead of float32\[\]", lambda state, batch, rate: (jnp.int32(0), jnp.float32(0))),
    ],
)
def test_bad_step_functions_are_named(error, message, step):
    """A step function that returns something else than a like state and a scalar loss is refused before it is compiled."""
    with pytest.raises(error, match=message):
        lrax.find_lr(lrax.Learner(jnp.zeros(()), step), nothing, key=KEY)
    with pytest.raises(error, match=message):
        jax.jit(lambda key: lrax.range_test(lrax.Learner(jnp.zeros(()), step), nothing, key=key))(KEY)


def test_inside_jit_the_pure_test_is_named():
    """`find_lr` under jit is an error that names `range_test`."""
    with pytest.raises(TypeError, match=r"use lrax\.range_test"):
        jax.jit(lambda key: lrax.find_lr(linear_learner(), DATA, batch_size=8, key=key).peak)(KEY)


def test_rare_events_do_not_look_like_divergence():
    """Where one batch in eight has a rare example and a loss twenty times as high, a ramp reaches its end."""
    losses = np.where(np.random.default_rng(0).random(100) < 0.125, 0.4, 0.02)
    losses[0] = 0.02
    assert lrax.find_lr(scripted(losses), nothing, key=KEY).curves[0].steps_run == 100
