"""The classic range test: its ramp, smoothing, stop and curve, from the host and inside jit and vmap."""

import functools

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from problems import linear_learner, linear_params, nothing, regression, scripted, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def measure(losses, **options):
    """The curve of a scripted loss."""
    return lrax.range_test(scripted(losses), nothing, key=KEY, **options)


def test_the_ramp_is_the_tutorial_s():
    """By default the learning rate begins at 1e-6, grows by a tenth a step, and reaches 10 in 170 steps."""
    curve = measure([1.0])
    assert curve.steps_run == 170
    assert curve.learning_rates[0] == np.float32(1e-6)
    assert curve.learning_rates[-1] == np.float32(10)
    np.testing.assert_allclose(curve.learning_rates[1:] / curve.learning_rates[:-1], 1.1, rtol=1e-4)


def test_losses_are_measured_before_their_learning_rate_acts():
    """The first loss is that of the initial parameters, and each learning rate acts on the next loss."""
    curve = lrax.range_test(linear_learner(), DATA, batch_size=64, key=KEY)
    np.testing.assert_allclose(curve.losses[0], squared_error(linear_params(), DATA), rtol=1e-6)
    rates, losses = curve.paired()
    np.testing.assert_array_equal(rates, curve.learning_rates[:-1])
    np.testing.assert_array_equal(losses, curve.losses[1:])


def test_smoothing_and_stopping_are_the_tutorial_s():
    """The smoothed loss is the running mean with 0.3 on the past; the test stops when it passes twice the first loss."""
    losses = np.concatenate([np.linspace(1.0, 0.5, 30), np.linspace(0.5, 5.0, 40)]).astype(np.float32)
    mean, expected = losses[0], []
    for i, loss in enumerate(losses):
        mean = loss if i == 0 else 0.7 * loss + 0.3 * mean
        expected.append(mean)
        if mean > 2 * losses[0] and i + 1 >= 20:
            break
    curve = measure(losses, stop=lrax.finder.TimesFirst(2.0))
    assert curve.reason is Reason.DIVERGED
    assert curve.steps_run == len(expected)
    np.testing.assert_allclose(curve.smoothed, expected, rtol=1e-5)


def test_no_stop_before_the_twentieth_step():
    """A loss that is high at once stops the test at the 20th step and not before."""
    for stop in (lrax.finder.TimesFirst(2.0), lrax.finder.TimesMedian(2.0)):
        assert measure([*[1.0] * 12, 9.0], stop=stop).steps_run in (20, 21)


def test_without_a_stop_rule_the_ramp_runs_to_its_end():
    """`stop=None` stops nothing but a loss that is not finite."""
    losses = [*np.linspace(2.0, 1.0, 30), *[99.0] * 10]
    assert [measure(its, stop=None).steps_run for its in (losses, [*losses, np.inf])] == [170, 41]
    assert measure(losses).steps_run == 31


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_nan_stops_at_once(loop):
    """A loss that is not finite is the last one recorded, as it is, in either loop."""
    curve = measure([3.0, 2.0, 1.0, np.nan, 1.0], loop=loop)
    assert (curve.steps_run, curve.reason) == (4, Reason.NON_FINITE)
    assert np.isnan(curve.losses[3])
    assert np.isposinf(measure([3.0, np.inf, 1.0], loop=loop).losses[1])


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_both_loops_give_the_same_curve(batch_size):
    """One step, one stop: the compiled loop and the one in Python agree."""
    test = functools.partial(lrax.range_test, linear_learner(), DATA, batch_size=batch_size, key=KEY)
    scan, python = test(loop="scan"), test(loop="python")
    assert (scan.steps_run, scan.reason) == (python.steps_run, python.reason)
    np.testing.assert_allclose(scan.losses, python.losses, rtol=1e-3)
    np.testing.assert_array_equal(scan.learning_rates, python.learning_rates)


def test_it_vmaps_and_stops_with_its_last_run():
    """Under jit and vmap each curve is the one that it is alone, and ends in NaN behind its own stop."""
    learner = linear_learner()
    test = lambda key: lrax.range_test(learner, DATA, batch_size=16, key=key)  # noqa: E731
    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(test))(keys)
    assert together.losses.shape == (3, 170)
    for i, key in enumerate(keys):
        alone, one = test(key), jax.tree.map(lambda leaf, i=i: leaf[i], together)
        assert int(together.steps_run[i]) == alone.steps_run == one.steps_run
        np.testing.assert_allclose(one.made.losses, alone.losses, rtol=1e-4)
        assert np.isinf(together.losses[i][alone.steps_run :]).all()
        assert one.reason is alone.reason
        assert one.suggest(lrax.finder.steepest) == pytest.approx(alone.suggest(lrax.finder.steepest), rel=1e-3)
    with pytest.raises(ValueError, match=r"`losses` must be of shape \(steps,\).*take one: jax\.tree\.map"):
        together.suggest(lrax.finder.steepest)


def test_an_eager_range_test_compiles_once(caplog):
    """The second of two equal range tests outside jit compiles nothing, and gives the same losses."""
    learner = linear_learner()
    first = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        second = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    assert not [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    np.testing.assert_array_equal(first.losses, second.losses)


def test_other_numbers_make_no_other_trace():
    """Ramps, stop rules and smoothing are arguments of the compiled program."""
    traces = []

    def step(state, batch, rate):
        traces.append(1)
        return state * 0.9 - 0 * rate, state

    learner = lrax.Learner(jnp.ones(()), step)
    for end, factor, past in ((1.0, 2.0, 0.3), (5.0, 3.0, 0.5), (0.1, 4.0, 0.0)):
        ramp, stop = lrax.Geometric(1e-5, end, 40), lrax.finder.TimesFirst(factor)
        smoothing = lrax.finder.RunningMean(past)
        lrax.range_test(learner, nothing, key=KEY, ramp=ramp, stop=stop, smoothing=smoothing, loop="scan")
    # each call also traces abstractly, once, to check the step before compiling it
    assert len(traces) <= 3 + 2


def test_a_user_s_stop_rule_and_ramp():
    """A stop rule is any function of the run, a ramp any function of the count."""
    curve = measure([1.0], stop=lambda run: run.steps >= 33, ramp=lambda count: 0.1 * (count + 1), steps=50)
    assert curve.steps_run == 33
    np.testing.assert_allclose(curve.learning_rates[:3], [0.1, 0.2, 0.3], rtol=1e-6)


def test_an_epoch_draws_every_example_once():
    """Arrays are drawn without replacement, in another order each epoch; the last partial batch is dropped."""
    seen = []

    def step(state, batch, rate):
        jax.debug.callback(lambda batch: seen.append(np.array(batch)), batch, ordered=True)
        return state + 0 * rate, jnp.float32(1.0)

    lrax.range_test(lrax.Learner(jnp.zeros(()), step), jnp.arange(11), batch_size=3, key=KEY, steps=6)
    jax.effects_barrier()
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:6])  # what else the last block draws is dropped
    assert len(set(first)) == len(set(second)) == 9
    assert list(first) != list(second)


def test_iterables():
    """A list that is shorter than the ramp is read again without its smaller last batch; a generator that ends says so."""
    batches = [(DATA[0][i : i + 24], DATA[1][i : i + 24]) for i in range(0, 64, 24)]
    curve = lrax.range_test(linear_learner(), batches)
    assert curve.left_out > 0
    assert "partial last batch" in curve.explanation
    np.testing.assert_array_equal(curve.losses, lrax.range_test(linear_learner(), batches[:2]).losses)
    ended = lrax.range_test(linear_learner(), (DATA for _ in range(30)))
    assert (ended.steps_run, ended.reason) == (30, Reason.DATA_ENDED)
    assert "the data ended after 30 steps" in str(ended)
    assert lrax.range_test(linear_learner(), iter([])).steps_run == 0
    with pytest.raises(TypeError, match=r"(?s)`data` must be arrays or a sampler .*; call it outside jit and vmap"):
        jax.jit(lambda key: lrax.range_test(linear_learner(), batches, key=key))(KEY)


@pytest.mark.parametrize("steps", [7, None])
def test_the_ramp_takes_the_steps(steps):
    """The default ramp climbs from its first step to its last by the same factor, for any number of steps."""
    curve = measure([1.0], steps=steps, stop=None)
    np.testing.assert_allclose(curve.learning_rates, np.geomspace(1e-6, 10.0, steps or 170), rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_few_steps_are_too_short(steps):
    """A test of five steps or fewer has a curve that is drawn, and supports no suggestion."""
    curve = measure(np.linspace(2, 1, 10), steps=steps)
    assert (curve.steps_run, curve.suggest(lrax.finder.valley)) == (steps, None)
    assert "too few for a suggestion" in str(curve)
    curve.plot()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_parameters_of_any_floating_dtype(dtype):
    """Half-precision parameters are trained in their dtype, and the curve is float32."""
    learner = lrax.Learner.create(squared_error, linear_params(dtype=dtype), optax.sgd)
    curve = lrax.range_test(learner, tuple(jnp.asarray(array, dtype) for array in DATA), batch_size=32, key=KEY)
    assert curve.losses.dtype == np.float32
    assert curve.suggest(lrax.finder.loss_drop) is not None


def test_a_curve_is_drawn():
    """A curve has its line, its dots and other rules' marks; evaluations have their own axis; many are one picture."""
    mpl.use("Agg")
    evaluation = lrax.Evaluation(lambda state: squared_error(state.params, DATA), every=10)
    curve = lrax.range_test(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, evaluation=evaluation)
    axes = curve.plot(
        rules=(lrax.finder.valley, functools.partial(lrax.finder.minimum, divisor=4.0), lambda rates, losses: None)
    )
    labels = axes.get_legend_handles_labels()[1]
    assert [label for label in labels if label.startswith("valley 0.")]
    assert any("minimum(divisor=4.0)" in label for label in labels)
    assert any("no suggestion" in label for label in labels)
    assert len(axes.figure.axes) == 2
    test = lambda key: lrax.range_test(linear_learner(), DATA, batch_size=16, key=key)  # noqa: E731
    axes = jax.jit(jax.vmap(test))(jax.random.split(KEY, 2)).plot()
    assert len(axes.get_lines()) >= 4
    assert "data:image/png" in curve._repr_html_()


def test_names_of_rules_are_near():
    """A name where a rule is due is answered with the function of that name; a rule of other arguments is refused too."""
    curve = measure([*np.linspace(2, 1, 100), *np.linspace(1, 50, 70)])
    for rule, said in (
        ("valley", r"did you mean lrax\.finder\.valley"),
        ("lrax.finder.stepest", r"did you mean lrax\.finder\.steepest"),
        ("best", r"lrax\.finder has loss_drop, steepest"),
        (3, r"give lrax\.finder\.loss_drop"),
        (lambda rates: rates[0], r"callable as rule\(learning_rates, losses\)"),
        (lambda rates, losses: losses, "one learning rate"),
    ):
        with pytest.raises(TypeError, match=said):
            curve.suggest(rule)
    with pytest.raises(TypeError, match=r"`rules` must be a sequence of rules, .* give \(lrax\.finder\.steepest,\)"):
        curve.plot(rules=lrax.finder.valley)
    with pytest.raises(ValueError, match="`of` must be one of 'losses', 'evaluations'"):
        curve.suggest(lrax.finder.valley, of="metrics")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ramp": lrax.Geometric(1.0, 1e-3, 20)}, "`ramp` must be a schedule of rising learning rates above 0"),
        ({"ramp": lrax.Linear(0.0, 1.0, 20)}, "`ramp` must be a schedule of rising learning rates above 0"),
        ({"ramp": (1e-6, 1.0)}, r"`ramp` must be a schedule .*; give a schedule: lrax\.Geometric\(1e-06, 1\.0, steps\)$"),
        ({"ramp": lrax.Geometric(np.array([1e-4, 1e-3], np.float32), 1.0, 50)}, "`ramp` must be one schedule, not a batch"),
        ({"ramp": lrax.Constant(0.1)}, "`steps` must be given where the ramp's length"),
        ({"steps": 0}, "`steps` must be an integer of at least 1, got 0"),
        ({"stop": 3}, "`stop` must be a function run -> whether to stop"),
        ({"smoothing": 0.3}, "`smoothing` must be a function count -> weight"),
        ({"progress": True, "loop": "scan"}, "`loop` must be 'python' where `progress` is shown"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(options, message):
    """Each error names the caller and the argument, and says what it must be."""
    with pytest.raises((TypeError, ValueError), match=f"range_test: {message}"):
        lrax.range_test(linear_learner(), DATA, batch_size=16, key=KEY, **options)


def test_an_interrupt_keeps_the_curve():
    """Ctrl-C comes through with the curve so far as its attribute `found`."""

    def interrupted():
        yield from [DATA] * 12
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.range_test(linear_learner(), interrupted())
    assert (caught.value.found.steps_run, caught.value.found.reason) == (12, Reason.INTERRUPTED)
    assert "interrupted after 12 steps; what it had measured is kept" in str(caught.value.found)
