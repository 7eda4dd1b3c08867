import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import (
    linear_learner,
    linear_params,
    momentum,
    regression,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def test_seeds_give_a_band():
    """Several seeds give as many curves and runs, a median and a band; re-drawn parameters give other first losses."""

    def initialize(key):
        params = {"weight": jax.random.normal(key, (3,)), "bias": jnp.zeros(())}
        return lrax.Learner.create(squared_error, params, momentum)

    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, seeds=4, initialize=initialize)
    assert len(found.curves) == len(found.runs) == 4
    assert found.band[0] <= found.suggestion <= found.band[1]
    assert len({float(curve.losses[0]) for curve in found.curves}) == 4
    axes = found.plot(rules=(lrax.finder.steepest, lrax.finder.valley, lrax.finder.minimum))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("the best may lie" in label for label in labels)
    assert any("steepest" in label for label in labels)


def test_lanes_and_turns_give_the_same_seeds():
    """Seeds side by side in one program and one after the other from the host agree."""
    options = {"batch_size": 16, "key": KEY, "seeds": 3, "ramp": lrax.Geometric(1e-5, 10.0, 60)}
    side, turn = (lrax.find_lr(linear_learner(), DATA, loop=loop, **options) for loop in ("scan", "python"))
    for one, other in zip(side.curves, turn.curves, strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)


def test_seeds_share_an_update():
    """An `initialize` whose learners have updates of their own is an error: one of them would train all seeds."""

    def initialize(key):
        own = jax.random.uniform(key)
        return lrax.Learner(jnp.zeros(()), lambda state, batch, rate: (state + 0 * rate, own + 0 * state))

    with pytest.raises(ValueError, match="`initialize` must be a function whose learners have one step function"):
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
    compiled, host = (lrax.find_lr(linear_learner(), DATA, loop=loop, **options) for loop in ("scan", "python"))
    for one, other in zip(compiled.curves, host.curves, strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)


def test_seeds_whose_data_ended_are_said():
    """If the data end in one of several tests, the text says so, whatever the others did."""
    found = lrax.find_lr(linear_learner(), (DATA for _ in range(120)), seeds=3, ramp=lrax.Geometric(1e-6, 10.0, 49))
    assert found.reason is not lrax.finder.Reason.DATA_ENDED
    assert "the data ended in 1 of the tests" in str(found)
