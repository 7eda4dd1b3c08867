"""The critical rate: the smallest one at which an update raises the loss of its own batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from problems import linear_learner, momentum, regression, same

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
INPUTS = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
TARGETS = INPUTS @ np.arange(1, 7, dtype=np.float32)
CURVATURE = 2 * INPUTS.T @ INPUTS / 64
WHOLE = {"batch_size": 64, "key": KEY}


def squares(params, batch):
    """The mean squared error of a linear model."""
    inputs, targets = batch
    return jnp.mean((inputs @ params - targets) ** 2)


def gradient(params):
    """That of `squares` on all data."""
    return 2 * INPUTS.T @ (INPUTS @ params - TARGETS) / 64


def learner(optimizer=optax.sgd, loss=squares):
    """A learner of the least squares."""
    return lrax.Learner.create(loss, jnp.zeros(6), optimizer)


def test_on_a_quadratic_it_is_the_exact_one():
    """Of plain gradients on least squares it is 2 g'd / d'Hd, on every batch, and the state is what it was."""
    one = learner()
    before = jax.tree.map(np.array, one.state)
    critical = lrax.critical_lr(one, (INPUTS, TARGETS), **WHOLE)
    slope = gradient(np.zeros(6))
    np.testing.assert_allclose(critical.rates, 2 * slope @ slope / (slope @ CURVATURE @ slope), rtol=1e-3)
    assert critical.rate == float(critical) == np.sort(critical.rates)[2]
    assert critical.band == (critical.rates.min(), critical.rates.max())
    assert critical.reason == "found"
    assert critical.steps_run < 45
    assert same(before, one.state)


def test_each_batch_has_its_own_and_the_answer_is_their_median():
    """Batches of an iterable are measured one after the other, from the same state."""
    batches = [(INPUTS[i : i + 16], TARGETS[i : i + 16]) for i in range(0, 64, 16)]
    critical = lrax.critical_lr(learner(), batches, batches=4)
    for (inputs, targets), rate in zip(batches, critical.rates, strict=True):
        slope = -2 * inputs.T @ targets / 16
        curved = slope @ (2 * inputs.T @ inputs / 16) @ slope
        assert rate == pytest.approx(2 * slope @ slope / curved, rel=1e-3)
    assert critical.rate == np.sort(critical.rates)[1]


def test_with_momentum_it_is_read_from_a_warmed_state():
    """After small updates the direction is the momentum, by whose length the rate falls; the exact value again."""
    params, trace = np.zeros(6), np.zeros(6)
    for _ in range(20):
        trace = gradient(params) + 0.9 * trace
        params = params - 1e-3 * trace
    direction = gradient(params) + 0.9 * trace
    exact = 2 * gradient(params) @ direction / (direction @ CURVATURE @ direction)
    options = {**WHOLE, "batches": 1, "warm": 20}
    warmed = lrax.critical_lr(learner(momentum), (INPUTS, TARGETS), warm_rate=1e-3, **options)
    assert warmed.rate == pytest.approx(exact, rel=2e-3)
    assert warmed.band is None
    fresh = lrax.critical_lr(learner(momentum), (INPUTS, TARGETS), **WHOLE)
    assert fresh.rate > 5 * warmed.rate
    by_itself = lrax.critical_lr(learner(momentum), (INPUTS, TARGETS), **options)
    assert by_itself.rate == pytest.approx(warmed.rate, rel=0.2)


@pytest.mark.parametrize("start", [1e-6, 1.0, 1e3])
def test_with_adam_the_loss_rises_from_there_on(start):
    """Wherever the search starts, an update just below the rate lowers the loss, and one just above raises it."""
    one = learner(optax.adam)
    rate = lrax.critical_lr(one, (INPUTS, TARGETS), start=start, **WHOLE).rate
    for factor, rises in ((0.99, False), (1.01, True)):
        after = one.step(one.state, (INPUTS, TARGETS), jnp.float32(factor * rate))[0]
        assert (squares(after.params, (INPUTS, TARGETS)) > np.mean(TARGETS**2)) == rises


def test_both_losses_see_the_same_noise():
    """Random keys are for the second loss what they were for the first: a learner with dropout has its exact value."""

    def dropped(params, batch, key):
        return squares(params * jax.random.bernoulli(key, 0.5, (6,)), batch)

    one = lrax.Learner.create(dropped, jnp.zeros(6), optax.sgd, key=KEY)
    kept = np.asarray(jax.random.bernoulli(jax.random.split(KEY)[1], 0.5, (6,)))
    slope = gradient(np.zeros(6)) * kept
    critical = lrax.critical_lr(one, (INPUTS, TARGETS), **WHOLE)
    np.testing.assert_allclose(critical.rates, 2 * slope @ slope / (slope @ CURVATURE @ slope), rtol=1e-3)


def test_accumulated_gradients_are_one_update():
    """Over four batches that make one update it is the critical rate of the four as one batch."""
    accumulated = learner(lambda rate: optax.MultiSteps(optax.sgd(rate), 4).gradient_transformation())
    with pytest.raises(ValueError, match="critical_lr: `accumulate` must be 4"):
        lrax.critical_lr(accumulated, (INPUTS, TARGETS), batch_size=16, key=KEY)
    critical = lrax.critical_lr(accumulated, (INPUTS, TARGETS), batch_size=16, key=KEY, accumulate=4, batches=2)
    slope = gradient(np.zeros(6))
    np.testing.assert_allclose(critical.rates, 2 * slope @ slope / (slope @ CURVATURE @ slope), rtol=1e-3)


def of_losses(before, after, threshold=0.1):
    """A learner whose loss is `before` until an update at more than `threshold`, and `after` then."""

    def update(far, batch, rate):
        return jnp.maximum(far, rate), jnp.where(far > threshold, jnp.float32(after), jnp.float32(before))

    return lrax.Learner(jnp.zeros(()), update)


@pytest.mark.parametrize(
    ("case", "before", "after", "rate", "reason"),
    [
        ("a loss that rises", 1.0, 2.0, 0.1, "found"),
        ("one that is no number is raised", 1.0, np.nan, 0.1, "found"),
        ("an infinite one, too", 1.0, np.inf, 0.1, "found"),
        ("a negative loss", -1.0, -0.5, 0.1, "found"),
        ("a loss that only falls", 1.0, 0.5, np.inf, "never raised"),
        ("a rise by a rounding is none", 1.0, 1 + 2e-7, np.inf, "never raised"),
        ("no number at first", np.nan, 1.0, np.nan, "non-finite"),
    ],
)
def test_losses_of_every_kind_have_an_answer(case, before, after, rate, reason):
    """What no rate raises is infinite, what is not finite at first is no number, and the words say which."""
    critical = lrax.critical_lr(of_losses(before, after), lambda key: jnp.zeros(()), key=KEY)
    np.testing.assert_allclose(critical.rate, rate, rtol=0.03)
    assert critical.reason == reason
    assert reason in str(critical)
    assert critical.explanation in repr(critical)


def test_an_update_that_goes_uphill_has_none():
    """Where every rate raises the loss the critical rate is 0."""
    uphill = learner(lambda rate: optax.sgd(-rate))
    critical = lrax.critical_lr(uphill, (INPUTS, TARGETS), lowest=1e-4, **WHOLE)
    assert (critical.rate, critical.reason) == (0.0, "always raised")


def test_data_that_end_leave_what_was_measured():
    """A generator that yields two batches gives two rates, one that yields none gives no number and says so."""
    some = lrax.critical_lr(learner(), (batch for batch in [(INPUTS, TARGETS)] * 2))
    assert (some.rates.shape, some.reason) == ((2,), "found")
    for data, warm in (([], 0), ([], 3), ([(INPUTS, TARGETS)], 3)):
        none = lrax.critical_lr(learner(), (batch for batch in data), warm=warm)
        assert (np.isnan(none.rate), none.reason, none.band) == (True, "data ended", None)


def test_one_program_does_it_all():
    """Warm updates, ladder and halving are calls of one compiled program, and nothing of it is no number under debug_nans."""
    data = tuple(map(jnp.asarray, regression(48, 5)))
    one = lrax.Learner.create(lambda params, batch: squares(params, batch) ** 2, jnp.zeros(5), momentum)
    with jax.debug_nans(True), compilations() as compiled:
        critical = lrax.critical_lr(one, data, batch_size=16, key=KEY, warm=5, start=1e6)
    assert critical.reason == "found"
    assert len(compiled) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0.0}, "`start` must be a finite rate above 0, got 0.0"),
        ({"highest": np.inf}, "`highest` must be a finite rate above 0, got inf"),
        ({"start": 10.0, "highest": 1.0}, "`start` must be between lowest and highest, 1e-10 and 1.0, got 10.0"),
        ({"batches": 0}, "`batches` must be an integer of at least 1, got 0"),
        ({"warm": -1}, "`warm` must be an integer of at least 1, got -1"),
        ({"warm": 3, "warm_rate": "small"}, "`warm_rate` must be a finite rate above 0, got 'small'"),
        ({"key": None}, "`key` must be given with arrays and samplers"),
    ],
)
def test_what_cannot_be_used_is_named(options, message):
    """A bad argument is an error that names it, before anything runs."""
    with pytest.raises((TypeError, ValueError), match=f"critical_lr: {message}"):
        lrax.critical_lr(linear_learner(), regression(), **{"batch_size": 16, "key": KEY, **options})
