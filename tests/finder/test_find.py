import gc
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from problems import linear_learner, linear_params, nothing, regression, same, scripted, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


RAMP = lrax.Geometric(1e-6, 10.0, 169)
TUTORIAL = {"ramp": RAMP, "stop": lrax.finder.TimesFirst(2.0)}


def find(losses, **options):
    """The tutorial's range test of a scripted loss."""
    return lrax.find_lr(scripted(losses), nothing, key=KEY, **{**TUTORIAL, **options})


def test_the_pure_test_s_ramp_is_the_tutorial_s():
    """By default the rate of `range_test` starts at 1e-6, grows by a tenth an update, and reaches 10 in 170 updates."""
    curve = lrax.range_test(scripted([1.0]), nothing, key=KEY)
    assert (curve.made, curve.rates.shape) == (170, (170,))
    assert curve.rates[0] == np.float32(1e-6)
    assert curve.rates[-1] == np.float32(10)
    np.testing.assert_allclose(curve.rates[1:] / curve.rates[:-1], 1.1, rtol=1e-4)


def test_by_default_short_runs_follow_a_ramp():
    """A ramp of 100 updates from 1e-7 to 100, and four runs of 50 around where the loss fell, all from the same state."""
    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY)
    assert found.rates[0] == np.float32(1e-7)
    assert found.updates <= 100
    (runs,) = found.runs
    assert (runs.updates, len(runs.peaks)) == (50, 4)
    assert found.steps_run == found.updates + runs.steps_run <= 300
    assert runs.peaks[0] <= runs.best <= runs.peaks[-1]
    assert found.band[0] < found.suggestion < found.band[1]


def test_losses_are_measured_before_their_rate_acts():
    """The first loss is that of the initial parameters, and each rate is seen in the next loss."""
    found = lrax.find_lr(linear_learner(), DATA, batch_size=64, key=KEY)
    np.testing.assert_allclose(found.losses[0], squared_error(linear_params(), DATA), rtol=1e-6)


def test_smoothing_and_stopping_are_the_tutorial_s():
    """The smoothed loss is the running mean with 0.3 on the past; the test stops when it passes twice the first loss."""
    losses = np.concatenate([np.linspace(1.0, 0.5, 30), np.linspace(0.5, 5.0, 40)]).astype(np.float32)
    mean, expected = losses[0], []
    for i, loss in enumerate(losses):
        mean = loss if i == 0 else 0.7 * loss + 0.3 * mean
        expected.append(mean)
        if mean > 2 * losses[0] and i + 1 >= 20:
            break
    found = find(losses)
    assert found.reason is Reason.DIVERGED
    assert found.updates == len(expected)
    np.testing.assert_allclose(found.smoothed, expected, rtol=1e-5)


def test_no_stop_before_the_twentieth_update():
    """A loss that is high at once stops the test at the 20th update and not before."""
    assert find([1.0, 9.0]).updates == 20


def test_without_a_stop_rule_the_ramp_runs_to_its_end():
    """`stop=None` stops nothing but a loss that is not finite, in the finder and in the pure test; by default both stop."""
    losses = [*np.linspace(2.0, 1.0, 30), *[99.0] * 10]
    assert (find(losses, stop=None).updates, find([*losses, np.inf], stop=None).updates) == (170, 41)
    pure = {"ramp": RAMP, "key": KEY}
    assert lrax.range_test(scripted(losses), nothing, **pure, stop=None).made == 170
    assert (
        lrax.range_test(scripted(losses), nothing, **pure).made == find(losses, stop=lrax.finder.TimesFirst(2.0)).updates == 31
    )


@pytest.mark.parametrize(
    ("case", "losses", "reason", "suggests"),
    [
        ("NaN at once", [np.nan], Reason.NON_FINITE, False),
        ("infinite at once", [np.inf], Reason.NON_FINITE, False),
        ("NaN at the second update", [1.0, np.nan], Reason.NON_FINITE, False),
        ("NaN after a fall", [*np.geomspace(2.0, 0.1, 80), np.nan], Reason.NON_FINITE, True),
        ("never diverges", np.geomspace(2.0, 0.01, 170), Reason.COMPLETED, True),
        ("flat", [1.0], Reason.FLAT, False),
        ("zero", [0.0], Reason.FLAT, False),
        ("negative, falling, then rising", [*np.linspace(-1, -5, 100), *np.linspace(-5, 40, 70)], Reason.DIVERGED, True),
        ("negative, falling for ever", np.linspace(-1.0, -5.0, 170), Reason.COMPLETED, True),
        ("diverges at once", np.geomspace(1.0, 1e6, 170), Reason.DIVERGED, False),
    ],
)
def test_every_curve_ends_with_a_reason(case, losses, reason, suggests):
    """Whatever the loss does, the test ends, says why, and suggests a rate only where the curve supports one."""
    found = find(losses)
    assert (found.reason, found.suggestion is not None) == (reason, suggests)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == found.updates
    assert found.explanation in str(found)


def test_nan_stops_at_once():
    """A loss that is not finite is the last one recorded, as it is, on either loop."""
    for loop in ("scan", "python"):
        found = find([3.0, 2.0, 1.0, np.nan, 1.0], loop=loop)
        assert found.updates == 4
        assert np.isnan(found.losses[3])
        assert np.isposinf(find([3.0, np.inf, 1.0], loop=loop).losses[1])


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_both_loops_give_the_same_curve(batch_size):
    """One step, one stop: the compiled loop and the one in Python agree."""
    learner = linear_learner()
    compiled, host = (lrax.find_lr(learner, DATA, batch_size=batch_size, key=KEY, loop=d) for d in ("scan", "python"))
    assert (compiled.updates, compiled.reason) == (host.updates, host.reason)
    np.testing.assert_allclose(compiled.losses, host.losses, rtol=1e-3)
    np.testing.assert_allclose(compiled.rates, host.rates, rtol=1e-5)  # the slow ramp begins where the fast one's losses say


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_nothing_is_touched(loop):
    """The learner's state and the data are bit for bit what they were."""
    learner = linear_learner(optax.adam)
    data = tuple(jnp.asarray(array) for array in DATA)
    before = jax.tree.map(np.array, (learner.state, data))
    lrax.find_lr(learner, data, batch_size=8, key=KEY, loop=loop)
    gc.collect()
    assert same(before, (learner.state, data))


def test_an_epoch_draws_every_example_once():
    """Arrays are drawn without replacement, in another order each epoch; the last partial batch is dropped."""
    seen = []

    def update(state, batch, rate):
        jax.debug.callback(lambda batch: seen.append(np.array(batch)), batch, ordered=True)
        return state + 0 * rate, jnp.float32(1.0)

    lrax.find_lr(lrax.Learner(jnp.zeros(()), update), jnp.arange(11), batch_size=3, key=KEY, updates=6)
    jax.effects_barrier()
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:6])  # what else the last block draws is dropped
    assert len(set(first)) == len(set(second)) == 9
    assert list(first) != list(second)


def test_an_iterable_is_begun_again():
    """A list that is shorter than the ramp is read again; its smaller last batch is left out."""
    batches = [(DATA[0][i : i + 24], DATA[1][i : i + 24]) for i in range(0, 64, 24)]
    found = lrax.find_lr(linear_learner(), batches)
    assert found.updates > 20
    only_full = lrax.find_lr(linear_learner(), batches[:2])
    np.testing.assert_array_equal(found.losses, only_full.losses)


def test_a_generator_that_ends_is_said():
    """A generator cannot be begun again: the curve is what it gave, and the reason says so."""
    found = lrax.find_lr(linear_learner(), (DATA for _ in range(30)))
    assert (found.updates, found.reason) == (30, Reason.DATA_ENDED)
    found = lrax.find_lr(linear_learner(), iter([]))
    assert (found.updates, found.reason, found.suggestion) == (0, Reason.DATA_ENDED, None)


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


def test_an_interrupt_keeps_the_curve():
    """Ctrl-C comes through with the curve so far attached."""

    def interrupted():
        yield from itertools.repeat(DATA, 12)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted())
    assert (caught.value.found.updates, caught.value.found.reason) == (12, Reason.INTERRUPTED)
    assert caught.value.found.grows is True  # the height of a schedule needs it, also then


@pytest.mark.parametrize("updates", [1, 2, 4])
def test_few_updates_are_too_short(updates):
    """A test of fewer than five updates has a curve and no suggestion."""
    found = find(np.linspace(2, 1, 10), updates=updates)
    assert (found.updates, found.reason, found.suggestion) == (updates, Reason.TOO_SHORT, None)


def test_pure_range_test_vmaps_and_stops_with_its_last_lane():
    """Under vmap each lane's curve is the one it has alone, and no lane records past its own stop."""
    learner = linear_learner()

    def losses(key):
        return lrax.range_test(learner, DATA, batch_size=16, key=key)

    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(losses))(keys)
    for lane, key in enumerate(keys):
        alone = lrax.find_lr(learner, DATA, batch_size=16, key=key, **TUTORIAL)
        assert int(together.made[lane]) == alone.updates
        np.testing.assert_allclose(together.losses[lane][: alone.updates], alone.losses, rtol=1e-4)
        assert np.isposinf(together.losses[lane][alone.updates :]).all()


def test_other_numbers_make_no_other_trace():
    """Ramps, stop rules and smoothing are arguments of the compiled program."""
    traces = []

    def update(state, batch, rate):
        traces.append(1)
        return state * 0.9 - 0 * rate, state

    learner = lrax.Learner(jnp.ones(()), update)
    for end, factor, past in ((1.0, 2.0, 0.3), (5.0, 3.0, 0.5), (0.1, 4.0, 0.0)):
        ramp, stop = lrax.Geometric(1e-5, end, 40), lrax.finder.TimesFirst(factor)
        lrax.find_lr(learner, nothing, key=KEY, ramp=ramp, stop=stop, smoothing=lrax.finder.RunningMean(past), loop="scan")
    # each call also traces abstractly, once, to check the update before compiling it
    assert len(traces) <= 3 + 2


def test_a_user_s_stop_rule_and_ramp():
    """A stop rule is any function of the run, a ramp any function of the count."""
    found = find([1.0], stop=lambda run: run.steps >= 33, ramp=lambda count: 0.1 * (count + 1), updates=50)
    assert found.updates == 33
    np.testing.assert_allclose(found.rates[:3], [0.1, 0.2, 0.3], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_of_any_floating_dtype(dtype):
    """Half-precision parameters are trained in their dtype, and the curve is float32."""
    learner = lrax.Learner.create(squared_error, linear_params(dtype=dtype), optax.sgd)
    found = lrax.find_lr(learner, tuple(jnp.asarray(array, dtype) for array in DATA), batch_size=32, key=KEY)
    assert found.losses.dtype == np.float32
    assert found.suggestion is not None


def test_the_suggestion_trains():
    """A run at the suggested rate ends lower than runs at a hundredth and at a hundred times of it."""
    learner = linear_learner(optax.sgd)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY)

    @jax.jit
    def final(rate):
        def body(state, _):
            return learner.step(state, DATA, rate)

        return jax.lax.scan(body, learner.state, length=50)[1][-1]

    rates = jnp.float32(found.suggestion) * jnp.array([0.01, 1.0, 100.0])
    low, suggested, high = (float(final(rate)) for rate in rates)
    assert suggested < 0.5 * low
    assert not high < suggested


def test_progress_shows_a_bar(capsys):
    """A progress bar runs to the last update."""
    lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, progress=True, updates=30)
    assert "range test: 100%" in capsys.readouterr().err


def test_an_eager_range_test_compiles_once(caplog):
    """The second of two equal range tests outside jit compiles nothing."""
    learner = linear_learner()
    first = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        second = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    assert not [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    np.testing.assert_array_equal(first.losses, second.losses)


@pytest.mark.parametrize("state", ["absent", "closed"])
def test_without_a_standard_error_there_is_no_bar(monkeypatch, tmp_path, state):
    """Where nothing can be shown, as in a service, a search that was asked for a bar runs without one."""
    with (tmp_path / "log").open("w") as stream:
        pass
    monkeypatch.setattr(sys, "stderr", None if state == "absent" else stream)
    assert lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, progress=True).suggestion > 0
