"""What a finder does with everything that can go wrong: the table of docs/finder.md, a row a case."""

import functools
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from problems import (
    copied,
    enable_x64,
    linear_learner,
    linear_params,
    momentum,
    nothing,
    regression,
    same,
    scripted,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()
NOISE = np.random.default_rng(0).normal(size=250)
FALL = np.concatenate([np.ones(120), np.linspace(1, 0.2, 60), np.geomspace(0.2, 100, 70)])

CASES = {
    "NaN at the first update": ([np.nan], Reason.NON_FINITE, False),
    "NaN in the middle": ([*FALL[:170], np.nan], Reason.NON_FINITE, True),
    "NaN at the last update": ([*np.minimum(FALL, 0.9)[:249], np.nan], Reason.NON_FINITE, True),
    "+inf at the first update": ([np.inf], Reason.NON_FINITE, False),
    "+inf in the middle": ([*FALL[:170], np.inf], Reason.NON_FINITE, True),
    "negative losses": (FALL - 3, Reason.DIVERGED, True),
    "losses of exactly 0": ([0.0], Reason.FLAT, False),
    "flat": ([1.0], Reason.FLAT, False),
    "already diverged": (np.geomspace(1, 1e30, 250), Reason.DIVERGED, False),
    "never diverges": (np.minimum(FALL, 0.9), Reason.COMPLETED, True),
    "noise larger than the trend": (1 + NOISE - 0.001 * np.arange(250), Reason.COMPLETED, None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rule", [lrax.finder.fall, lrax.finder.steepest])
def test_every_curve_ends_with_a_result_and_a_reason(name, rule):
    """Whatever the losses, one ramp ends with a result, its reason, and a suggestion only where there is one to make."""
    losses, reason, suggests = CASES[name]
    found = lrax.find_lr(scripted(losses), nothing, key=KEY, rule=rule)
    if suggests is not None:  # else it may suggest a rate, or find the curve flat
        assert found.reason is reason
        assert (found.suggestion is not None) == suggests
    assert found.reason.remedy in str(found)
    assert len(found.rates) == len(found.losses) == found.updates == len(found.smoothed)


@pytest.mark.parametrize("name", CASES)
def test_the_default_ends_too(name):
    """The two ramps of the default end with a result and a reason on the same losses."""
    losses, _, _ = CASES[name]
    found = lrax.find_lr(scripted(losses), nothing, key=KEY, refine=True)
    assert isinstance(found.reason, Reason)
    assert found.suggestion is None or found.suggestion > 0


@pytest.mark.parametrize("updates", [1, 2, 5])
def test_a_few_updates(updates):
    """Tests of one, two and five updates end as too short."""
    found = lrax.find_lr(linear_learner(), DATA, batch_size=8, key=KEY, ramp=lrax.Geometric(1e-3, 1.0, 4), updates=updates)
    assert (found.updates, found.reason, found.suggestion) == (updates, Reason.TOO_SHORT, None)
    found.plot()


def test_one_example():
    """A single example is a batch of its own."""
    found = lrax.find_lr(linear_learner(), (DATA[0][:1], DATA[1][:1]), batch_size=1, key=KEY)
    assert found.suggestion is not None


def test_a_batch_larger_than_the_data_is_the_data():
    """A batch size above the number of examples trains on all of them in every update."""
    together, larger = (lrax.find_lr(linear_learner(), DATA, batch_size=size, key=KEY, ramp=ramp()) for size in (64, 999))
    np.testing.assert_array_equal(together.losses, larger.losses)


def ramp():
    """A short ramp."""
    return lrax.Geometric(1e-4, 0.1, 8)


def test_empty_data():
    """No example is an error before anything runs; an iterable without batches is a result that says so."""
    with pytest.raises(ValueError, match="at least one example"):
        lrax.find_lr(linear_learner(), (DATA[0][:0], DATA[1][:0]), batch_size=8, key=KEY)
    assert lrax.find_lr(linear_learner(), []).reason is Reason.DATA_ENDED


@pytest.mark.parametrize("dtype", ["int32", "bfloat16", "float16"])
def test_parameters_of_other_dtypes(dtype):
    """Half-precision parameters are trained as they are; integers are refused by JAX's own words, before anything runs."""
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), linear_params())
    learner = lrax.Learner.create(squared_error, params, optax.sgd)
    if dtype == "int32":
        with pytest.raises(TypeError, match=r"real- or complex-valued inputs|float"):
            lrax.find_lr(learner, DATA, batch_size=8, key=KEY)
        return
    data = tuple(array.astype(dtype) for array in map(jnp.asarray, DATA))
    found = lrax.find_lr(learner, data, batch_size=32, key=KEY)
    assert found.losses.dtype == np.float32
    assert found.suggestion is not None


def test_sixty_four_bits():
    """With x64 on, float64 parameters are trained as float64 and the curve is float32."""
    with enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), linear_params())
        data = tuple(jnp.asarray(array, jnp.float64) for array in DATA)
        learner = lrax.Learner.create(squared_error, params, momentum)
        for driver in ("compiled", "host"):
            found = lrax.find_lr(learner, data, batch_size=32, key=jax.random.key(0), driver=driver)
            assert found.losses.dtype == np.float32
            assert found.suggestion is not None


@pytest.mark.parametrize(
    ("error", "message", "build"),
    [
        (ValueError, "`start` must be a finite number above 0, got 0", lambda: lrax.Geometric(0, 1.0, 10)),
        (ValueError, "`end` must be a finite number above 0, got -1", lambda: lrax.Geometric(1e-3, -1, 10)),
        (ValueError, "`ramp` must be a schedule of rising rates above 0", lambda: find(lrax.Geometric(1.0, 1e-3, 20))),
        (ValueError, "`ramp` must be a schedule of rising rates above 0", lambda: find(lrax.Linear(0.0, 1.0, 20))),
    ],
)
def test_bad_rates_are_named(error, message, build):
    """Rates that are zero, negative or in the wrong order are errors that name them."""
    with pytest.raises(error, match=message):
        build()


def find(ramp):
    """The range test by a ramp."""
    return lrax.find_lr(linear_learner(), DATA, batch_size=8, key=KEY, ramp=ramp)


def test_seeds_give_a_band():
    """Several seeds give as many curves, a median and the band that they span; re-drawn parameters give other first losses."""

    def initialize(key):
        params = {"weight": jax.random.normal(key, (3,)), "bias": jnp.zeros(())}
        return lrax.Learner.create(squared_error, params, momentum)

    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, seeds=4, initialize=initialize)
    assert len(found.curves) == len(found.fast) == 4
    assert found.band[0] <= found.suggestion <= found.band[1]
    assert len({float(curve.losses[0]) for curve in found.curves}) == 4
    axes = found.plot(rules=(lrax.finder.steepest, lrax.finder.valley, lrax.finder.minimum))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("band" in label for label in labels)
    assert any("steepest" in label for label in labels)


def test_lanes_and_turns_give_the_same_seeds():
    """Seeds side by side in one program and one after the other from the host agree."""
    options = {"batch_size": 16, "key": KEY, "seeds": 3, "ramp": lrax.Geometric(1e-5, 10.0, 60)}
    side, turn = (lrax.find_lr(linear_learner(), DATA, driver=driver, **options) for driver in ("compiled", "host"))
    for one, other in zip(side.curves, turn.curves, strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)


def test_refine_checks_by_training():
    """Refining spends at most 450 updates more, says what they were, and ends at the best rate that it tried or beside it."""
    plain = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY)
    found = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, refine=True)
    assert plain.spent < found.spent <= plain.spent + 450
    tried = found.refined
    assert len(tried.rates) == len(tried.losses) >= 3
    best = tried.rates[np.argmin(tried.losses)]
    assert 0.7 < found.suggestion / best < 1.4
    assert "checked by" in str(found)


def test_accumulation_moves_the_ramp_once_an_update():
    """With gradients accumulated over four batches, the test takes four batches an update and records their mean loss."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda rate: optax.MultiSteps(optax.sgd(rate), 4))
    with pytest.raises(ValueError, match="`accumulate` must be above 1 where the optimizer accumulates"):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY)
    plain = lrax.Learner.create(squared_error, linear_params(), optax.sgd)
    options = {"key": KEY, "ramp": lrax.Geometric(1e-4, 0.1, 20)}
    whole = lrax.find_lr(plain, DATA, batch_size=64, **options)
    for driver in ("compiled", "host"):
        parts = lrax.find_lr(learner, DATA, batch_size=16, accumulate=4, driver=driver, **options)
        assert parts.updates == whole.updates
        np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-3)  # an epoch of four batches is the whole data


def test_parameter_groups_keep_their_ratios():
    """With a factory that gives each group its own multiple of the rate, all groups ramp."""
    labels = {"weight": "slow", "bias": "fast"}

    def factory(rate):
        return optax.multi_transform({"slow": optax.sgd(0.1 * rate), "fast": optax.sgd(rate)}, labels)

    learner = lrax.Learner.create(squared_error, linear_params(), factory)
    state, _ = learner.update(learner.state, DATA, jnp.float32(0.1))
    grads = jax.grad(squared_error)(linear_params(), DATA)
    np.testing.assert_allclose(state.params["weight"], -0.01 * grads["weight"], rtol=1e-5)
    np.testing.assert_allclose(state.params["bias"], -0.1 * grads["bias"], rtol=1e-5)
    assert lrax.find_lr(learner, DATA, batch_size=16, key=KEY).suggestion is not None


def test_a_transform_is_applied_to_every_batch():
    """A per-batch transform acts inside the program on drawn batches and on the host on an iterable's."""
    options = {"ramp": lrax.Geometric(1e-4, 0.1, 9)}
    doubled = (DATA[0], 2 * DATA[1])
    for data, more in ((DATA, {"batch_size": 64, "key": KEY}), ([DATA], {})):
        found = lrax.find_lr(linear_learner(), data, transform=lambda batch: (batch[0], 2 * batch[1]), **options, **more)
        np.testing.assert_allclose(found.losses[0], squared_error(linear_params(), doubled), rtol=1e-5)


def test_donation_gives_the_state_away():
    """With `donate` the learner's arrays are used up, and the curve is the same; several runs from them are refused."""
    kept = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, ramp=ramp())
    for driver in ("compiled", "host"):
        learner = lrax.Learner.create(squared_error, jax.tree.map(jnp.copy, linear_params()), momentum)
        given = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, ramp=ramp(), donate=True, driver=driver)
        np.testing.assert_allclose(given.losses, kept.losses, rtol=1e-5)
        assert learner.state.params["weight"].is_deleted()
    with pytest.raises(ValueError, match="`donate` must be False with several seeds"):
        lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, seeds=2, donate=True)


def test_a_result_is_saved_and_loaded(tmp_path):
    """A result read back from its file has the same numbers, suggests the same and can be plotted; other files are refused."""
    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, seeds=2, refine=True)
    found.save(tmp_path / "found.json")
    again = lrax.Found.load(tmp_path / "found.json")
    assert str(again) == str(found)
    assert (again.suggestion, again.band, again.spent) == (found.suggestion, found.band, found.spent)
    assert same([c.losses for c in again.curves], [c.losses for c in found.curves])
    assert again.suggest(lrax.finder.valley) == found.suggest(lrax.finder.valley)
    again.plot()
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
    (tmp_path / "other.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match=r"`path` must be a file that Found\.save wrote"):
        lrax.Found.load(tmp_path / "other.json")
    (tmp_path / "newer.json").write_text('{"lrax": "Found", "format": 99}')
    with pytest.raises(ValueError, match="update lrax"):
        lrax.Found.load(tmp_path / "newer.json")


def test_another_hyperparameter_is_ramped_by_the_same_call():
    """A factory of momentum, say, makes the ramp one of momentum; the state stays what it was."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda decay: optax.sgd(0.01, momentum=decay))
    before = copied(learner.state)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Linear(0.05, 0.99, 60))
    assert found.updates > 20
    assert same(before, learner.state)


def test_the_table_in_the_docs_names_every_case():
    """docs/finder.md has a row for each case of this file's table, with its reason."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "finder.md").read_text().partition("## It never fails")[2]
    for name, (_, reason, suggests) in CASES.items():
        row = re.search(rf"^\| {re.escape(name)} \| (.*?) \|", page, flags=re.MULTILINE)
        assert row, name
        assert suggests is None or str(reason) in row.group(1), name


def test_an_interrupt_during_refine_keeps_the_ramps():
    """Ctrl-C in the short runs comes through with the whole result of the ramps; at the first batch, with an empty one."""
    batch = jax.tree.map(lambda leaf: leaf[:16], DATA)

    def interrupted(after):
        for count in itertools.count():
            if count == after:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(310), refine=True)
    assert caught.value.found.suggestion is not None
    assert len(caught.value.found.fast) == 1
    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(0))
    assert (caught.value.found.updates, caught.value.found.suggestion) == (0, None)


def test_seeds_share_an_update():
    """An `initialize` whose learners have updates of their own is an error: one of them would train all seeds."""

    def initialize(key):
        own = jax.random.uniform(key)
        return lrax.Learner(jnp.zeros(()), lambda state, batch, rate: (state, own + 0 * state))

    with pytest.raises(ValueError, match="`initialize` must be a function whose learners have one update"):
        lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, seeds=2, initialize=initialize)


def test_an_initializer_may_make_its_optimizer():
    """Learners whose loss and optimizer are made in `initialize` have the same update, made several times: that is no error."""

    def initialize(key):
        loss_fn = functools.partial(squared_error)
        return lrax.Learner.create(loss_fn, linear_params(), functools.partial(optax.sgd, momentum=0.9))

    options = {"batch_size": 16, "key": KEY, "seeds": 2}
    found = lrax.find_lr(linear_learner(), DATA, initialize=initialize, **options)
    same_everywhere = lrax.find_lr(initialize(KEY), DATA, **options)
    np.testing.assert_array_equal(found.losses, same_everywhere.losses)


def test_keys_of_other_implementations():
    """With `rbg` keys, too, a seed draws the same batches on its own and beside others."""
    key = jax.random.key(0, impl="rbg")
    options = {"batch_size": 16, "key": key, "seeds": 3, "ramp": lrax.Geometric(1e-4, 0.1, 30)}
    compiled, host = (lrax.find_lr(linear_learner(), DATA, driver=driver, **options) for driver in ("compiled", "host"))
    for one, other in zip(compiled.curves, host.curves, strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)


def test_an_eager_range_test_compiles_once(caplog):
    """The second of two equal range tests outside jit compiles nothing."""
    learner = linear_learner()
    first = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        second = lrax.range_test(learner, DATA, batch_size=16, key=KEY)
    assert not [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    np.testing.assert_array_equal(first.losses, second.losses)


def test_accumulating_optimizers_are_seen_by_the_pure_test():
    """`range_test`, as `find_lr`, refuses an optimizer that accumulates where the test does not know."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda rate: optax.MultiSteps(optax.sgd(rate), 2))
    with pytest.raises(ValueError, match="`accumulate` must be above 1"):
        lrax.range_test(learner, DATA, batch_size=16, key=KEY)


@pytest.mark.parametrize("driver", ["compiled", "host"])
def test_memory_that_two_leaves_share_is_not_donated(driver):
    """A state that holds one array twice cannot be given away; the error says what to do."""
    params = linear_params()
    learner = lrax.Learner({"now": params, "mean": params}, lambda state, batch, rate: (state, jnp.float32(1)))
    with pytest.raises(ValueError, match=r"`donate` must be False where two leaves.*jnp\.copy"):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY, donate=True, driver=driver)


def test_rules_that_cannot_be_hashed():
    """A rule of one's own may be any callable."""

    class Lowest:
        __hash__ = None

        def __call__(self, rates, losses):
            return rates[int(np.nanargmin(losses))]

    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, rule=Lowest())
    assert found.suggestion is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stop": 3}, "`stop` must be a function carry -> whether to stop"),
        ({"smoothing": 0.3}, "`smoothing` must be a function count -> weight"),
        ({"rule": lambda rates: rates[0]}, r"`rule` must be callable as rule\(rates, losses\)"),
        ({"rule": lambda rates, losses: losses}, "`rule` must be a function .* -> one rate"),
        ({"ramp": lrax.Geometric(np.array([1e-4, 1e-3], np.float32), 1.0, 50)}, "`ramp` must be one schedule, not a batch"),
        ({"data": np.array(["a", "b"])}, "`data` must be arrays of numbers"),
        ({"data": lambda: DATA, "batch_size": None}, r"`data` must be callable as a sampler: data\(key\) -> batch"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(options, message):
    """Each error names the argument and says what it must be."""
    with pytest.raises((TypeError, ValueError), match=message):
        lrax.find_lr(linear_learner(), **{"data": DATA, "batch_size": 16, "key": KEY, **options})


def test_learners_that_cannot_be_used_are_named():
    """A loss that is none, a complex one, and a state that was given away: each error says what to do."""
    with pytest.raises(TypeError, match="`loss_fn` must be a function"):
        lrax.Learner.create(None, linear_params(), optax.sgd)
    with pytest.raises(TypeError, match=r"`loss_fn` must be callable as loss_fn\(params, batch\)"):
        lrax.Learner.create(lambda params: 0.0, linear_params(), optax.sgd)
    complex_one = lrax.Learner(jnp.zeros(()), lambda state, batch, rate: (state, jnp.complex64(1)))
    with pytest.raises(TypeError, match="the loss must be real"):
        lrax.find_lr(complex_one, DATA, batch_size=16, key=KEY)
    given = lrax.Learner.create(squared_error, jax.tree.map(jnp.copy, linear_params()), optax.sgd)
    lrax.find_lr(given, DATA, batch_size=16, key=KEY, donate=True)
    with pytest.raises(ValueError, match="a run with donate=True has given it away"):
        lrax.find_lr(given, DATA, batch_size=16, key=KEY)


def test_seeds_whose_data_ended_are_said():
    """If the data end in one of several tests, the text says so, whatever the others did."""
    found = lrax.find_lr(linear_learner(), (DATA for _ in range(120)), seeds=3, ramp=lrax.Geometric(1e-6, 10.0, 49))
    assert found.reason is not lrax.finder.Reason.DATA_ENDED
    assert "the data ended in 1 of the tests" in str(found)
