import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import (
    copied,
    enable_x64,
    linear_learner,
    linear_params,
    momentum,
    regression,
    same,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def ramp():
    """A short ramp."""
    return lrax.Geometric(1e-4, 0.1, 8)


@pytest.mark.parametrize("dtype", ["int32", "bfloat16", "float16"])
def test_parameters_of_other_dtypes(dtype):
    """Half-precision parameters are trained as they are; integers are refused when the learner is made."""
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), linear_params())
    if dtype == "int32":
        with pytest.raises(TypeError, match=r"`params\['bias'\]` must be a floating-point array, got int32"):
            lrax.Learner.create(squared_error, params, optax.sgd)
        return
    learner = lrax.Learner.create(squared_error, params, optax.sgd)
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


@pytest.mark.parametrize("driver", ["compiled", "host"])
def test_memory_that_two_leaves_share_is_not_donated(driver):
    """A state that holds one array twice cannot be given away; the error says what to do."""
    params = linear_params()

    def update(state, batch, rate):
        return jax.tree.map(lambda leaf: leaf - 0 * rate, state), jnp.float32(1)

    learner = lrax.Learner({"now": params, "mean": params}, update)
    with pytest.raises(ValueError, match=r"`donate` must be False where two leaves.*jnp\.copy"):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY, donate=True, driver=driver)


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


def test_another_hyperparameter_is_ramped_by_the_same_call():
    """A factory of momentum, say, makes the ramp one of momentum; the state stays what it was."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda decay: optax.sgd(0.01, momentum=decay))
    before = copied(learner.state)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Linear(0.05, 0.99, 60))
    assert found.updates > 20
    assert same(before, learner.state)
