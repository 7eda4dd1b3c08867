"""The core and its driver: blocks of steps, few programs, nothing stored."""

import dataclasses
import functools
import gc
import types
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.training._core import BLOCK, Reason, record, start, step, train
from lrax.training._driver import Execution, Source, make_trainer
from problems import linear_learner, nothing, regression

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def deep_learner(layers=8):
    """A learner whose state has many leaves, everything in it written again."""
    params = [{"weight": 0.1 * jnp.ones((3, 3)), "bias": jnp.zeros(3)} for _ in range(layers)]

    def loss_fn(params, batch):
        x, y = batch
        for layer in params:
            x = jax.nn.relu(x @ layer["weight"] + layer["bias"][None])  # has a rule of its own for derivatives
        x = jnp.where(x > 1e9, jnp.nan, x)  # a number in the program that equals nothing
        return jnp.mean((jax.nn.logsumexp(x, axis=1) - y) ** 2)

    return lrax.Learner.create(loss_fn, params, functools.partial(optax.adam, b1=0.8))


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_a_first_search_compiles_few_programs_and_the_next_none(loop):
    """At most 5 programs from `Learner.create` to the suggestion, whatever the leaves; none when all is written again."""
    jax.clear_caches()  # of what other tests have compiled
    deep_learner()  # what jnp itself compiles to make the parameters
    with compilations() as first:
        found = lrax.find_lr(deep_learner(), DATA, batch_size=7, key=KEY, loop=loop)
    of_any_plan = {"jit(_built)", "jit(_rates)"}  # compiled once in a process, by the test that comes first
    assert len([name for name in first if name not in of_any_plan]) <= 5
    with compilations() as second:
        again = lrax.find_lr(deep_learner(), DATA, batch_size=7, key=KEY, loop=loop)
    assert not second
    np.testing.assert_array_equal(found.curves[0].losses, again.curves[0].losses)


def test_other_data_in_a_closure_are_the_same_program():
    """What a loss closes over is no part of the program: other numbers compile nothing and are the ones that count."""

    def search(target):
        def loss_fn(params, batch):
            return jnp.mean(((params - target)[None] - batch) ** 2)

        return lrax.find_lr(lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd), jnp.zeros((8, 3)), batch_size=4, key=KEY)

    one, two = jnp.ones(3), 2 * jnp.ones(3)
    first = search(one)
    with compilations() as compiled:
        second = search(two)
    assert not compiled
    np.testing.assert_allclose([one.curves[0].losses[0] for one in (first, second)], [1.0, 4.0])


def loss_of(big, inner=False):
    """A loss that closes over an array, itself or in a jitted function."""

    def part(params):
        return jnp.mean((params[None] - big) ** 2)

    part = jax.jit(part) if inner else part
    return lambda params, batch: part(params) + jnp.mean(batch)


@pytest.mark.parametrize("loop", ["scan", "python"])
@pytest.mark.parametrize("inner", [False, True], ids=["plain", "in a jitted function"])
def test_nothing_is_kept_of_what_a_loss_closes_over(loop, inner):
    """After the last reference is gone, the arrays of a loss, a sampler and a transform are freed, as far as JAX frees them."""

    def search(big):
        learner = lrax.Learner.create(loss_of(big, inner), jnp.zeros(3), optax.sgd)
        return lrax.range_test(learner, lambda key: big[:2] * 0, key=KEY, steps=20, loop=loop).losses[0]

    def plain(big):
        return jax.jit(jax.value_and_grad(loss_of(big, inner)))(jnp.zeros(3), big[:2] * 0)[0]

    def kept_by(use):
        references, found = [], []
        for number in range(3):
            big = jnp.full((100, 3), float(number))
            references.append(weakref.ref(big))
            found.append(float(use(big)))
            del big
        gc.collect()
        assert found == [0.0, 1.0, 4.0]
        return sum(reference() is not None for reference in references)

    assert kept_by(search) <= kept_by(plain)


def test_healthy_runs_pass_with_debug_nans():
    """Updates that are not made hold no NaN, so searches, range tests and races run with `jax_debug_nans`."""
    learner = linear_learner()
    rates = lrax.Constant(np.float32([0.01, 0.1, 0.2]))
    with jax.debug_nans(True):
        for loop in ("scan", "python"):
            assert lrax.find_lr(learner, DATA, batch_size=16, key=KEY, loop=loop).peak > 0
        assert lrax.find_lr(learner, [DATA]).peak > 0
        curve = jax.jit(lambda key: lrax.range_test(learner, DATA, batch_size=16, key=key))(KEY)
        assert curve.steps_run > 20
        assert lrax.race(learner, DATA, rates, rungs=(5, 6), batch_size=16, key=KEY).winner is not None


def counted(state, batch, rate):
    """One more, whatever the rate is; the loss is how many there were."""
    return state + 1 + (0 * rate).astype(state.dtype), state.astype(jnp.float32)


def counting_learner():
    """A learner whose state says how many updates it saw and whose loss is the count."""
    return lrax.Learner(jnp.zeros((), jnp.int32), counted)


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("loop", ["scan", "python"])
def test_a_block_that_is_not_needed_whole_changes_nothing(length, loop):
    """The state is that of exactly so many updates, and the curve has as many, wherever in a block they end."""
    result = lrax.race(
        counting_learner(), lambda key: jnp.zeros(2), lrax.Constant(0.1 * np.ones(2, np.float32)), rungs=(2, length), key=KEY,
        keep=1.0, execution=lrax.Execution(loop=loop),
    )  # fmt: skip
    assert int(result.state) == 2 + length
    np.testing.assert_array_equal(result.losses[0], np.arange(2 + length))


def test_an_execution_is_checked_where_it_is_made():
    """A loop that there is not, and a number of runs below 1, are refused by name."""
    with pytest.raises(ValueError, match=r"^Execution: `loop` must be one of 'scan', 'python', got 'scna'"):
        Execution(loop="scna")
    with pytest.raises(ValueError, match=r"^Execution: `max_parallel` must be an integer of at least 1, got 0"):
        Execution(max_parallel=0)


@pytest.mark.parametrize(("runs", "together"), [(1, 4), (4, 4), (5, 8)])
def test_runs_are_divided_over_the_places_of_a_mesh(runs, together):
    """Each place of the axis has as many runs as the others: the last ones are filled up."""
    trainer = make_trainer("test", [linear_learner()], Source(DATA, KEY, 8), capacity=4)
    mesh = types.SimpleNamespace(shape={"x": 4, "y": 3})  # this process has one device
    spread = dataclasses.replace(trainer, execution=types.SimpleNamespace(mesh=mesh, axis="x"))
    planned = spread.plan([trainer.start(lrax.Constant(0.1), order=trainer.order(KEY))] * runs)
    assert (planned.runs, planned.programs) == (together, 1)


@pytest.mark.parametrize("loop", ["scan", "python"])
@pytest.mark.parametrize("stop", ["a loss that is NaN", "the stop rule"])
def test_a_stopped_run_keeps_the_state_that_it_stopped_with(loop, stop):
    """What blew up is not carried on: the update that stops a lane does not move its state, and none moves it afterwards."""
    bad = jnp.nan if "NaN" in stop else 9.0
    learner = lrax.Learner(jnp.zeros(()), lambda state, batch, rate: (state + 1 + 0 * rate, jnp.where(state < 3, 1.0, bad)))
    source = Source(lambda key: jnp.zeros(2), KEY)
    trainer = make_trainer("test", [learner], source, capacity=6 + 2 * BLOCK, execution=Execution(loop))
    rule = jax.tree_util.Partial(lambda run: run.loss > 5)
    first = trainer.start(lrax.Constant(0.1), stop=rule, order=trainer.order(KEY))
    runs = [first]
    for until in (6, 6 + 2 * BLOCK):
        runs = trainer.train(runs, until)
        (run,) = runs
        assert (float(run.state), int(run.steps)) == (3.0, 4)
        assert run.why is Reason.NON_FINITE or "rule" in stop
    group = trainer.train([first] * 2, 9)
    assert [float(run.state) for run in group] == [3.0, 3.0]


def test_the_lowest_loss_of_a_run_is_of_the_smoothed_ones():
    """A stop rule sees as `lowest` the lowest smoothed loss: one lucky batch does not set it."""
    script = jnp.float32([4.0, 0.0, 4.0, 4.0])
    run = start(None, lrax.Constant(0.1), smoothing=lambda count: jnp.float32(0.5))
    for loss in script:
        run = record(run, jnp.float32(0.1), loss)
    np.testing.assert_allclose([run.lowest, run.smoothed, run.first], [2.0, 3.5, 4.0])


def test_accumulation_over_blocks():
    """With several batches to an update the loss of an update is their mean, on both loops, at any length."""

    def find(loop):
        learner = lrax.Learner(jnp.zeros(()), counted)
        ramp = lrax.Geometric(1e-3, 1e-2, BLOCK + 2)
        return lrax.range_test(learner, lambda key: jnp.zeros(2), key=KEY, ramp=ramp, accumulate=3, loop=loop, stop=None)

    compiled, host = find("scan"), find("python")
    np.testing.assert_allclose(compiled.losses, 1 + 3 * np.arange(BLOCK + 3))
    np.testing.assert_array_equal(compiled.losses, host.losses)
    np.testing.assert_array_equal(compiled.learning_rates, host.learning_rates)


def test_debug_nans_leave_no_trace():
    """A program that was first made under `jax_debug_nans`, where JAX gives no memory away, gives it away afterwards."""

    def find(donate):
        learner = lrax.Learner(jnp.ones(5), lambda state, batch, rate: (state * (1 - rate), jnp.sum(state**2)))
        lrax.range_test(learner, nothing, key=KEY, ramp=lrax.Geometric(1e-4, 1e-2, 9), donate=donate)
        return learner.state.is_deleted()

    with jax.debug_nans(True):
        find(donate=True)
    assert find(donate=True)


def halved(state, batch, lr):
    """A weight that shrinks, whose loss is its square; the batch is a random number that moves it."""
    return state - lr * 2 * state + 0.01 * batch, state**2


def normal(order, number):
    """The random number of a batch."""
    return jax.random.normal(jax.random.fold_in(order, number))


def pure(lr, key, until=9, capacity=9, **options):
    """One pure run with a stop rule."""
    run = start(jnp.float32(1), lrax.Constant(lr), order=key, stop=lrax.finder.TimesFirst(2.0, 3), **options)
    return train(halved, run, normal, until, capacity=capacity)


RATES = jnp.array([0.1, 0.3, 0.5, 2.0])


def test_the_core_is_pure():
    """A run may be trained under jit, vmap and scan, and a stack of runs as one: each is the run that it is alone."""
    alone = [pure(lr, KEY) for lr in RATES]
    mapped = jax.jit(jax.vmap(lambda lr: pure(lr, KEY)))(RATES)
    scanned = jax.lax.scan(lambda _, lr: (None, pure(lr, KEY)), None, RATES)[1]
    begun = jax.vmap(lambda lr: start(jnp.float32(1), lrax.Constant(lr), stop=lrax.finder.TimesFirst(2.0, 3)))(RATES)
    stack = begun._replace(order=KEY, history=None, evaluations=None)
    stacked = train(halved, stack, normal, 9, capacity=9, same_batches=True)
    for i, run in enumerate(alone):
        for other in (mapped, scanned, stacked):
            np.testing.assert_allclose(other.history[i], run.history, rtol=1e-5)
            assert (int(other.steps[i]), int(other.reason[i])) == (int(run.steps), int(run.reason))
            np.testing.assert_allclose(other.state[i], run.state, rtol=1e-5)
    assert [run.why for run in alone] == [None, None, None, Reason.DIVERGED]


def test_a_run_goes_on_where_it_was():
    """Trained in parts, or step by step, a run is the one that is trained at once, bit for bit; a `history` is of one call."""
    whole = pure(0.1, KEY)
    half = pure(0.1, KEY, until=4, capacity=9)
    rest = train(halved, half, normal, 9, capacity=9)
    np.testing.assert_array_equal(np.concatenate([half.history[:4], rest.history[:5]]), whole.history)
    assert np.isinf(half.history[4:]).all()
    assert rest.state == whole.state
    one = start(jnp.float32(1), lrax.Constant(0.1), order=KEY)
    for number in range(9):
        one = jax.jit(step, static_argnums=0)(halved, one, normal(KEY, number), 9)
    np.testing.assert_allclose(one.state, whole.state, rtol=1e-6)


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_an_interrupt_brings_the_runs_so_far(loop):
    """A KeyboardInterrupt in a callback of the driver comes out with what was measured before it, and without states."""
    done = []

    def report(batches):
        done.append(batches)
        if sum(done) >= 6:
            raise KeyboardInterrupt

    learner = lrax.Learner(jnp.zeros((), jnp.int32), counted)
    source = Source(lambda key: jnp.zeros(2), KEY)
    trainer = make_trainer("test", [learner], source, capacity=8, execution=Execution(loop), report=report)
    runs = trainer.train([trainer.start(lrax.Constant(0.1), order=trainer.order(KEY))], 4)
    with pytest.raises(KeyboardInterrupt) as caught:
        trainer.train(runs, 8)
    (run,) = caught.value.runs
    assert run.losses.tolist() == list(range(6 if loop == "python" else 4))
