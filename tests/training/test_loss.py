"""Losses of every form, optimizers that need the loss, gradients of one's own, and what cannot be trained."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import lrax
from problems import linear_params, regression, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

BATCH = regression()
RATE = jnp.float32(0.05)


def normalized_sam(rate):
    """Sharpness-aware minimisation in one update."""
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    return optax.contrib.sam(optax.sgd(rate), adversary, opaque_mode=True)


NEEDY = {
    "lrax.reduce_on_plateau": lambda rate: optax.chain(optax.adam(rate), lrax.reduce_on_plateau(patience=500)),
    "optax's reduce_on_plateau": lambda rate: optax.chain(optax.adam(rate), optax.contrib.reduce_on_plateau(patience=500)),
    "accumulated": lambda rate: optax.MultiSteps(optax.chain(optax.adam(rate), lrax.reduce_on_plateau(patience=500)), 2),
    "polyak_sgd": optax.polyak_sgd,
    "momo": optax.contrib.momo,
    "lbfgs": optax.lbfgs,
    "backtracking": lambda rate: optax.chain(optax.sgd(rate), optax.scale_by_backtracking_linesearch(15)),
    "sam": normalized_sam,
    "sam in a chain": lambda rate: optax.chain(optax.clip(1.0), normalized_sam(rate)),
    "sam recorded": functools.partial(lrax.recorded, normalized_sam),
    "sophia": optax.contrib.sophia,
}


def written_out(factory, params):
    """Parameters after one update, with the extra arguments that optax's documentation gives each optimizer."""
    optimizer = factory(RATE)
    value, grads = jax.value_and_grad(squared_error)(params, BATCH)

    def value_fn(params):
        return squared_error(params, BATCH)

    known = {"value": value, "grad": grads, "value_fn": value_fn}
    if factory is optax.contrib.sophia:
        known = {"obj_fn": value_fn}
    elif "sam" in getattr(factory, "__name__", ""):
        known = {"grad_fn": lambda params, _: jax.grad(squared_error)(params, BATCH)}
    change, _ = optimizer.update(grads, optimizer.init(params), params, **known)
    return optax.apply_updates(params, change)


@pytest.mark.parametrize("factory", [optax.polyak_sgd, optax.contrib.momo, optax.lbfgs, normalized_sam, optax.contrib.sophia])
def test_optimizers_that_need_the_loss_get_it(factory):
    """An update of the learner is that of the optimizer with the loss, its gradient and its function given by hand."""
    learner = lrax.Learner.create(squared_error, linear_params(), factory)
    got, _ = jax.jit(learner.step)(learner.state, BATCH, RATE)
    expected = written_out(factory, linear_params())
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got.params, expected)


QUICK = ("lrax.reduce_on_plateau", "accumulated", "polyak_sgd", "sam recorded")


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NEEDY])
def test_they_are_range_tested(name):
    """The finder trains with them, alone and in chains."""
    learner = lrax.Learner.create(squared_error, linear_params(), NEEDY[name])
    accumulate = 2 if name == "accumulated" else 1
    ramp = lrax.Geometric(1e-4, 1.0, 25)
    found = lrax.range_test(learner, BATCH, batch_size=16, key=jax.random.key(0), ramp=ramp, accumulate=accumulate)
    assert found.steps_run > 5
    assert found.losses[5] != found.losses[0]


def test_the_loss_function_given_is_that_of_the_update():
    """What a line search calls has the update's own auxiliary state, batch and key: at the parameters it gives `value`."""
    seen = []

    def spy(rate):
        def update(grads, state, params, *, value, value_fn, grad, **_):
            seen.append((value, value_fn(params), grad, grads))
            return jax.tree.map(lambda leaf: -rate * leaf, grads), state

        return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    def loss_fn(params, aux, batch, key):
        return squared_error(params, batch) + aux + jax.random.uniform(key), aux + 1

    learner = lrax.Learner.create(loss_fn, linear_params(), spy, aux=jnp.float32(3.0), key=jax.random.key(0))
    _, loss = learner.step(learner.state, BATCH, RATE)
    value, again, grad, grads = seen[-1]
    assert value == again == loss
    assert grad is grads


def test_losses_with_metrics():
    """With has_aux the metrics are dropped; with aux too, the loss returns (loss, (aux, metrics))."""

    def with_metrics(params, batch):
        return squared_error(params, batch), {"accuracy": jnp.ones(3)}

    def with_both(params, aux, batch):
        return squared_error(params, batch), (aux + 1, "any metrics")

    plain = lrax.Learner.create(squared_error, linear_params(), optax.sgd)
    expected, loss = plain.step(plain.state, BATCH, RATE)
    for loss_fn, options in ((with_metrics, {}), (with_both, {"aux": jnp.int32(0)})):
        learner = lrax.Learner.create(loss_fn, linear_params(), optax.sgd, has_aux=True, **options)
        got, got_loss = learner.step(learner.state, BATCH, RATE)
        assert got_loss == loss
        jax.tree.map(np.testing.assert_array_equal, got.params, expected.params)
    assert got.aux == 1


@pytest.mark.parametrize(
    ("loss_fn", "options", "error", "message"),
    [
        (lambda params, batch: (jnp.zeros(()), 1.0), {}, TypeError, r"got \(float32\[\], float\); give has_aux=True, and wha"),
        (lambda params, batch: batch[1] * params["bias"], {}, ValueError, r"got float32\[16\]; average it .*: loss.mean\(\)"),
        (lambda params, batch: None, {}, TypeError, r"got None; return the loss alone"),
        (lambda params, batch: {"loss": 0.0}, {}, TypeError, r"got \{'loss': float\}; return the loss alone"),
        (lambda params, batch: jnp.int32(3), {}, TypeError, r"got int32\[\]; make it a float"),
        (lambda params, batch: params["bias"] * 1j, {}, TypeError, r"got complex64\[\]; take its real part"),
        (lambda params, batch: jnp.zeros(()), {"has_aux": True}, TypeError, r"with `has_aux`.* \(loss, metrics\), got float32"),
        (
            lambda params, aux, batch: jnp.zeros(()),
            {"aux": 0.0},
            TypeError,
            r"with `aux`, .* return \(loss, aux\), got float32",
        ),
        (
            lambda params, aux, batch: (jnp.zeros(()), aux),
            {"aux": 0.0, "has_aux": True},
            TypeError,
            r"with `aux and has_aux`, `loss_fn` must return \(loss, \(aux, metrics\)\)",
        ),
    ],
    ids=["metrics", "per example", "None", "a dict", "an integer", "complex", "no metrics", "no aux", "one of two"],
)
def test_what_is_no_loss_is_named(loss_fn, options, error, message):
    """What a loss function returns in place of the loss is an error that says what it was and what to do."""
    learner = lrax.Learner.create(loss_fn, linear_params(), optax.sgd, **options)
    with pytest.raises(error, match=r"Learner.create: .*" + message):
        lrax.find_lr(learner, BATCH, batch_size=16, key=jax.random.key(0))


def test_gradients_of_one_s_own():
    """`value_and_grad` takes the place of jax.value_and_grad, with an auxiliary state and without."""

    def halved(loss, params, batch):
        found, grads = jax.value_and_grad(loss)(params, batch)
        return found, jax.tree.map(lambda leaf: leaf / 2, grads)

    def with_aux(loss, params, batch):
        found, grads = jax.value_and_grad(loss, has_aux=True)(params, batch)
        return found, jax.tree.map(lambda leaf: leaf / 2, grads)

    plain = lrax.Learner.create(squared_error, linear_params(), optax.sgd)
    expected, loss = plain.step(plain.state, BATCH, RATE / 2)
    one = lrax.Learner.create(squared_error, linear_params(), optax.sgd, value_and_grad=halved)
    two = lrax.Learner.create(
        lambda params, aux, batch: (squared_error(params, batch), aux + 1),
        linear_params(),
        optax.sgd,
        aux=jnp.int32(0),
        value_and_grad=with_aux,
    )
    for learner in (one, two):
        got, got_loss = learner.step(learner.state, BATCH, RATE)
        assert got_loss == loss
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), got.params, expected.params)
    assert got.aux == 1
    with pytest.raises(TypeError, match=r"`value_and_grad` must be callable as value_and_grad\(loss, params, batch\)"):
        lrax.Learner.create(squared_error, linear_params(), optax.sgd, value_and_grad=jax.value_and_grad(squared_error))
    alone = lrax.Learner.create(squared_error, linear_params(), optax.sgd, value_and_grad=lambda loss, p, batch: loss(p, batch))
    with pytest.raises(TypeError, match=r"`value_and_grad` must return \(loss, gradients\), got float32\[\]"):
        alone.step(alone.state, BATCH, RATE)


class Tensor:
    """A tensor of another library."""

    def __array__(self, dtype=None, copy=None):
        return np.zeros(3, dtype)


LINEN = nn.Dense(1)
STATE = TrainState.create(apply_fn=None, params=linear_params(), tx=optax.sgd(0.1))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"weight": jnp.zeros(3), "step": jnp.int32(0)},
            r"`params\['step'\]` must be a floating-point array, got int32; .*`aux`",
        ),
        ({"weight": jnp.zeros(3), "count": 3}, r"`params\['count'\]` must be a floating-point array, got int32"),
        ({"mask": np.ones(3, bool)}, r"`params\['mask'\]` must be a floating-point array, got bool"),
        ({"key": jax.random.key(0)}, r"`params\['key'\]` must be an array of numbers"),
        ([jnp.zeros(3), jnp.tanh], r"`params\[1\]` must be an array, .*; train the arrays and close over the rest: .*eqx.part"),
        ({"name": "dense"}, r"`params\['name'\]` must be an array, got 'dense'"),
        ({"names": np.array(["dense"])}, r"`params\['names'\]` must be an array of numbers"),
        ({"weight": Tensor()}, r"`params\['weight'\]` must be an array"),
        (LINEN, r"`params` must be a pytree of arrays, got a flax Dense; give model.init\(key, inputs\)\['params'\]"),
        (STATE, r"`params` must be a pytree of arrays, got a flax TrainState; give it to lrax.flax.from_train_state"),
        (
            nnx.Linear(3, 1, rngs=nnx.Rngs(0)),
            r"`params` must be a pyt.* got a flax Linear; give the model itself to lrax.flax.from_n",
        ),
        (
            {"net": [nnx.Linear(3, 1, rngs=nnx.Rngs(0))]},
            r"`params\['net'\]\[0\]` must be a pytree of arrays, got a flax Linear",
        ),
    ],
    ids=[
        *["integer", "Python int", "bool", "random key", "function", "word", "words", "tensor"],
        *["linen module", "train state", "NNX module", "NNX module inside"],
    ],
)
def test_what_cannot_be_trained_is_named(params, message):
    """A leaf that is no floating-point array, and a model, are errors with their place and remedy when a learner is made."""
    with pytest.raises(TypeError, match="Learner.create: " + message):
        lrax.Learner.create(lambda params, batch: 0.0, params, optax.sgd)


def test_numbers_of_python_and_numpy_are_trained():
    """A float is a parameter, of Python, NumPy or JAX, in any floating dtype."""
    params = {"a": 0.5, "b": np.float32(1.0), "c": np.ones(2), "d": jnp.ones(2, jnp.bfloat16), "none": None}
    learner = lrax.Learner.create(lambda params, batch: params["a"] ** 2, params, optax.sgd)
    state, _ = learner.step(learner.state, None, RATE)
    np.testing.assert_allclose(state.params["a"], 0.45, rtol=1e-6)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lrax.Constant(0.1), r"-> optimizer, .*; give the optimizer's function, such as optax.sgd, not a schedule"),
        (optax.constant_schedule(0.1), r"-> optax.GradientTransformation, .*; it returned float; give optax.sgd"),
        (
            optax.sgd(0.1),
            r"-> optimizer, .*; give optax.sgd or functools.partial\(optax.sgd, momentum=0.9\), not optax.sgd\(0.1\)",
        ),
    ],
    ids=["a schedule", "a schedule of optax", "an optimizer"],
)
def test_what_is_no_factory_is_named(factory, message):
    """A schedule or an optimizer where the factory belongs is an error that says what to give."""
    with pytest.raises(TypeError, match=r"Learner.create: `optimizer` must be a function learning_rate " + message):
        lrax.Learner.create(squared_error, linear_params(), factory)
