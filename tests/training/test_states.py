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
    assert found.curves[0].losses.dtype == np.float32
    assert found.peak is not None


def test_sixty_four_bits():
    """With x64 on, float64 parameters are trained as float64 and the curve is float32."""
    with enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), linear_params())
        data = tuple(jnp.asarray(array, jnp.float64) for array in DATA)
        learner = lrax.Learner.create(squared_error, params, momentum)
        for loop in ("scan", "python"):
            found = lrax.find_lr(learner, data, batch_size=32, key=jax.random.key(0), loop=loop)
            assert found.curves[0].losses.dtype == np.float32
            assert found.peak is not None


def test_donation_gives_the_state_away():
    """With `donate` the learner's arrays are used up, and the curve is the same."""
    kept = lrax.range_test(linear_learner(), DATA, batch_size=16, key=KEY, ramp=ramp())
    for loop in ("scan", "python"):
        learner = lrax.Learner.create(squared_error, jax.tree.map(jnp.copy, linear_params()), momentum)
        given = lrax.range_test(learner, DATA, batch_size=16, key=KEY, ramp=ramp(), donate=True, loop=loop)
        np.testing.assert_allclose(given.losses, kept.losses, rtol=1e-5)
        assert learner.state.params["weight"].is_deleted()


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_memory_that_two_leaves_share_is_not_donated(loop):
    """A state that holds one array twice cannot be given away; the error says what to do."""
    params = linear_params()

    def update(state, batch, rate):
        return jax.tree.map(lambda leaf: leaf - 0 * rate, state), jnp.float32(1)

    learner = lrax.Learner({"now": params, "mean": params}, update)
    with pytest.raises(ValueError, match=r"`donate` must be False where two leaves.*jnp\.copy"):
        lrax.range_test(learner, DATA, batch_size=16, key=KEY, donate=True, loop=loop)


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
    lrax.range_test(given, DATA, batch_size=16, key=KEY, donate=True)
    with pytest.raises(ValueError, match="a run with donate=True has given it away"):
        lrax.find_lr(given, DATA, batch_size=16, key=KEY)


def test_parameter_groups_keep_their_ratios():
    """With a factory that gives each group its own multiple of the rate, all groups ramp."""
    labels = {"weight": "slow", "bias": "fast"}

    def factory(rate):
        return optax.multi_transform({"slow": optax.sgd(0.1 * rate), "fast": optax.sgd(rate)}, labels)

    learner = lrax.Learner.create(squared_error, linear_params(), factory)
    state, _ = learner.step(learner.state, DATA, jnp.float32(0.1))
    grads = jax.grad(squared_error)(linear_params(), DATA)
    np.testing.assert_allclose(state.params["weight"], -0.01 * grads["weight"], rtol=1e-5)
    np.testing.assert_allclose(state.params["bias"], -0.1 * grads["bias"], rtol=1e-5)
    assert lrax.find_lr(learner, DATA, batch_size=16, key=KEY).peak is not None


def test_another_hyperparameter_is_ramped_by_the_same_call():
    """A factory of momentum, say, makes the ramp one of momentum; the state stays what it was."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda decay: optax.sgd(0.01, momentum=decay))
    before = copied(learner.state)
    found = lrax.range_test(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Linear(0.05, 0.99, 60))
    assert found.steps_run > 20
    assert same(before, learner.state)


def summing(state, batch, rate):
    """An update of a weight that adds up its losses in a leaf beside it."""
    weight, total, steps = state
    loss, slope = jax.value_and_grad(lambda weight: jnp.mean((weight - batch) ** 2))(weight)
    return (weight - rate.astype(slope.dtype) * slope, total + loss, steps + 1), loss


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("total", [0, 0.0, jnp.asarray(0), jnp.asarray(0.0)], ids=["int", "float", "weak int", "weak float"])
def test_leaves_that_begin_as_numbers_are_promoted_as_in_a_scan(total, dtype):
    """A leaf that begins as a Python number, or weakly typed, gets the dtype that the update gives it."""
    data = jnp.ones((8, 1), dtype)
    learner = lrax.Learner((jnp.zeros((), dtype), total, 0), summing)
    options = {"rungs": 4, "batch_size": 8, "key": KEY}
    for loop in ("scan", "python"):
        result = lrax.race(learner, data, lrax.Constant(np.float32([0.1])), execution=lrax.Execution(loop=loop), **options)
        assert result.state[1].dtype == dtype
        assert (result.state[2].dtype, int(result.state[2])) == (jnp.int32, 4)
        assert float(result.state[1]) == pytest.approx(result.losses[0].sum(), rel=0.02)
    assert learner.state[1] is total


def test_promotion_goes_as_far_as_it_must():
    """A number that another promoted number is added to is promoted in turn, in every call."""

    def update(state, batch, rate):
        (first, second, third, weight), loss = state, jnp.mean(batch)
        return (first + second, second + third, third + loss, weight - rate), loss

    learner = lrax.Learner((0, 0, 0, jnp.zeros(())), update)
    result = lrax.race(learner, [np.ones(2, np.float32)], lrax.Constant(np.float32([0.1])), rungs=3)
    assert [float(leaf) for leaf in result.state[:3]] == [1.0, 3.0, 3.0]
    assert lrax.range_test(learner, [np.ones(2, np.float32)], steps=5).steps_run == 5
    made = jax.jit(lambda key: lrax.range_test(learner, lambda key: jnp.ones(2), key=key, steps=5))(KEY).steps_run
    assert int(made) == 5


@pytest.mark.parametrize(
    ("first", "after", "message"),
    [
        (0, lambda loss: loss > 0, r"state\['extra'\] is bool\[\] instead of int32\[\]"),
        (0.0, lambda loss: jnp.stack([loss] * 2), r"state\['extra'\] is float32\[2\] instead of float32\[\]"),
        (np.float32(0), lambda loss: loss.astype(jnp.float16), r"state\['extra'\] is float16\[\] instead of float32\[\]"),
        (0, lambda loss: None, r"state\['extra'\] is None instead of int32\[\]"),
        (0, lambda loss: (loss, loss), r"state\['extra'\] is tuple instead of int32\[\]"),
    ],
    ids=["a flag", "a vector", "a strong number", "nothing", "two"],
)
def test_what_a_scan_refuses_is_refused(first, after, message):
    """A leaf that changes in another way than a weak dtype is named with what it was and what it became."""

    def update(state, batch, rate):
        loss = jnp.mean(batch)
        return {"weight": state["weight"] - rate * loss, "extra": after(loss)}, loss

    learner = lrax.Learner({"weight": jnp.zeros(()), "extra": first}, update)
    with pytest.raises(ValueError, match="find_lr: the learner's step must .*state.*: " + message):
        lrax.find_lr(learner, [np.ones(2, np.float32)])


def test_a_changed_structure_names_what_differs():
    """Of a state with another structure the first few differences are named by their places, and nothing else."""

    def update(state, batch, rate):
        layers = {f"layer{i}": {"kernel": leaf["kernel"] - rate} for i, leaf in enumerate(state["layers"].values())}
        layers["layer0"]["seen"] = batch
        return {"layers": layers, "rng": jnp.zeros(3), "step": state["step"]}, jnp.mean(batch)

    layers = {f"layer{i}": {"kernel": jnp.zeros((3, 3))} for i in range(30)}
    learner = lrax.Learner({"layers": layers, "stats": jnp.zeros(2), "step": 0, "rng": jnp.zeros(2)}, update)
    with pytest.raises(ValueError, match="must return a state of the same structure: ") as caught:
        lrax.find_lr(learner, [np.ones(2, np.float32)])
    told = str(caught.value).partition("structure: ")[2]
    assert told.split(", ") == [
        "state['stats'] is missing",
        "state['layers']['layer0']['seen'] is new",
        "state['rng'] is float32[3] instead of float32[2]",
    ]


def test_many_differences_are_counted():
    """More than three differences are three and a number."""

    def update(state, batch, rate):
        return {name: jnp.stack([leaf - rate] * 2) for name, leaf in state.items()}, jnp.mean(batch)

    learner = lrax.Learner({name: jnp.zeros(()) for name in "abcde"}, update)
    with pytest.raises(ValueError, match=r"state\['c'\] is float32\[2\] instead of float32\[\], and 2 more$"):
        lrax.find_lr(learner, [np.ones(2, np.float32)])
