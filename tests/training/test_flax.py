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
import lrax.flax
import resnet
from problems import copied, momentum, regression, same

pytestmark = pytest.mark.standard_promotion  # of flax's layers and optax's optimizers

KEY = jax.random.key(0)
DATA = regression(features=4)


class Linen(nn.Module):
    """Dense, batch norm, dropout, dense."""

    @nn.compact
    def __call__(self, inputs, train=True):
        hidden = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(inputs))
        return nn.Dense(1)(nn.Dropout(0.2, deterministic=not train)(nn.relu(hidden)))[:, 0]


class StatsState(TrainState):
    """A train state with batch statistics."""

    batch_stats: dict


class Nnx(nnx.Module):
    """The same in NNX."""

    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs)
        self.dropout, self.last = nnx.Dropout(0.2, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, inputs):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(inputs)))))[:, 0]


def linen_loss(params, batch_stats, batch, key):
    """Mean squared error, and the new batch statistics."""
    variables = {"params": params, "batch_stats": batch_stats}
    predicted, changed = Linen().apply(variables, batch[0], mutable=["batch_stats"], rngs={"dropout": key})
    return jnp.mean((predicted - batch[1]) ** 2), changed["batch_stats"]


def nnx_loss(model, batch):
    """Mean squared error."""
    return jnp.mean((model(batch[0]) - batch[1]) ** 2)


def linen_state(tx):
    """A fresh train state."""
    variables = Linen().init(KEY, DATA[0], train=False)
    return StatsState.create(apply_fn=None, params=variables["params"], tx=tx, batch_stats=variables["batch_stats"])


@pytest.mark.parametrize("made_with", [1e-3, pytest.param(optax.constant_schedule(1e-3), marks=pytest.mark.slow), "injected"])
def test_a_train_state_is_tested_and_left_alone(made_with):
    """Parameters, batch statistics and optimizer state of a linen train state go in, and are bit for bit what they were."""
    factory = optax.inject_hyperparams(optax.adam) if made_with == "injected" else optax.adam
    state = linen_state(factory(1e-3 if made_with == "injected" else made_with))
    before = copied(state)
    learner = lrax.flax.from_train_state(state, linen_loss, factory, aux="batch_stats", key=KEY)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Geometric(1e-5, 10.0, 60))
    assert same(before, state)
    assert found.updates > 20
    after, _ = learner.update(learner.state, DATA, jnp.float32(0.1))
    assert not same(after.aux, state.batch_stats)


def test_half_way_through_a_run_the_run_goes_on_as_if_nothing_had_happened():
    """A run with a range test in the middle ends in the same parameters, bit for bit; the test starts where the run stands."""

    @jax.jit
    def step(state, key):
        (_, stats), grads = jax.value_and_grad(linen_loss, has_aux=True)(state.params, state.batch_stats, DATA, key)
        return state.apply_gradients(grads=grads, batch_stats=stats)

    def run(test):
        state = linen_state(optax.adam(lrax.warmup_cosine(0.01, 20, 4)))
        for i in range(10):
            if i == 5 and test:
                learner = lrax.flax.from_train_state(state, linen_loss, optax.adam, aux="batch_stats", key=KEY)
                found = lrax.find_lr(learner, [DATA], ramp=lrax.Geometric(1e-6, 1.0, 40))
                here, _ = linen_loss(state.params, state.batch_stats, DATA, jax.random.split(KEY)[1])
                np.testing.assert_allclose(found.losses[0], here, rtol=1e-5)
            state = step(state, jax.random.fold_in(KEY, i))
        return state

    assert same(run(test=True), run(test=False))


@pytest.mark.parametrize("fresh", [True, False])
def test_an_nnx_model_is_tested_and_left_alone(fresh):
    """An NNX model with batch norm and dropout, and its optimizer, are bit for bit what they were."""
    model = Nnx(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    before = copied(lrax.flax.pure((nnx.state(model), nnx.state(optimizer))))
    learner = lrax.flax.from_nnx(model, nnx_loss, optax.adam, state=None if fresh else optimizer)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Geometric(1e-5, 10.0, 60))
    assert found.updates > 20
    assert same(before, lrax.flax.pure((nnx.state(model), nnx.state(optimizer))))


def test_an_nnx_learner_s_update_is_the_optimizer_s():
    """One update of the learner gives the parameters and statistics that `nnx.Optimizer` gives."""
    model = Nnx(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, momentum(0.05), wrt=nnx.Param)
    learner = lrax.flax.from_nnx(model, nnx_loss, momentum, state=optimizer)
    after, loss = jax.jit(learner.update)(learner.state, DATA, jnp.float32(0.05))
    expected, grads = nnx.value_and_grad(nnx_loss)(model, DATA)
    optimizer.update(model, grads)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    close(loss, expected)
    jax.tree.map(close, after.params, lrax.flax.pure(nnx.state(model, nnx.Param)))
    jax.tree.map(close, after.aux["norm"], lrax.flax.pure(nnx.state(model, nnx.BatchStat))["norm"])


def test_learners_of_one_model_share_a_program():
    """Learners made twice of the same parts are equal where jit looks for a trace."""
    model = Nnx(nnx.Rngs(0))
    first, second = (lrax.flax.from_nnx(model, nnx_loss, optax.adam) for _ in range(2))
    assert first.update == second.update
    assert hash(first.update) == hash(second.update)


def test_what_is_no_state_is_refused():
    """Something that is no train state, a missing field, and something that is no module are errors that name it."""
    with pytest.raises(TypeError, match="`state` must be something with a field `params`"):
        lrax.flax.from_train_state(None, linen_loss, optax.adam)
    with pytest.raises(TypeError, match="`state` must be something with a field `stats`"):
        lrax.flax.from_train_state(linen_state(optax.adam(0.1)), linen_loss, optax.adam, aux="stats")
    with pytest.raises(TypeError, match=r"`model` must be an nnx\.Module"):
        lrax.flax.from_nnx(nnx.state(Nnx(nnx.Rngs(0))), nnx_loss, optax.adam)


class Stream(nnx.Module):
    """A model that gets its random stream from outside."""

    def __init__(self, rngs):
        self.dropout, self.last = nnx.Dropout(0.5), nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, inputs, rngs):
        return self.last(self.dropout(inputs, rngs=rngs))[:, 0]


def test_an_nnx_loss_with_a_key_and_metrics():
    """With `key` the loss gets a fresh key for the model's streams; with has_aux its metrics are dropped."""

    def loss_fn(model, batch, key):
        outputs = model(batch[0], nnx.Rngs(key))
        return jnp.mean((outputs - batch[1]) ** 2), outputs

    model = Stream(nnx.Rngs(0))
    learner = lrax.flax.from_nnx(model, loss_fn, optax.sgd, key=KEY, has_aux=True)
    update = jax.jit(learner.update)
    state, first = update(learner.state, DATA, jnp.float32(0.0))
    _, second = update(state, DATA, jnp.float32(0.0))
    assert first != second
    np.testing.assert_allclose(first, loss_fn(model, DATA, jax.random.split(KEY)[1])[0], rtol=1e-6)
    metrics = lrax.flax.from_nnx(model, loss_fn, optax.sgd, key=KEY)
    with pytest.raises(TypeError, match=r"from_nnx: `loss_fn` must return a scalar loss, .*; give has_aux=True"):
        metrics.update(metrics.state, DATA, 0.1)
    with pytest.raises(TypeError, match=r"from_nnx: `loss_fn` must be callable as loss_fn\(model, batch\)"):
        lrax.flax.from_nnx(model, loss_fn, optax.sgd)


class Synced(nn.Module):
    """A model whose batch norm averages over the devices of a named axis."""

    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(1)(nn.BatchNorm(use_running_average=False, axis_name="batch")(inputs))[:, 0]


def test_a_linen_model_with_a_named_axis():
    """The axis is named by three lines around the gradient; the update is that of the model without it."""

    def loss_fn(model, params, stats, batch):
        predicted, changed = model.apply({"params": params, "batch_stats": stats}, batch[0], mutable=["batch_stats"])
        return jnp.mean((predicted - batch[1]) ** 2), changed["batch_stats"]

    def named(loss, params, batch):
        once = jax.vmap(lambda _: jax.value_and_grad(loss, has_aux=True)(params, batch), out_axes=None, axis_name="batch")
        return once(jnp.zeros(1))

    class Plain(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            return nn.Dense(1)(nn.BatchNorm(use_running_average=False)(inputs))[:, 0]

    variables = Plain().init(KEY, DATA[0])
    state = StatsState.create(apply_fn=None, tx=optax.adam(0.1), **variables)
    results = []
    for model, options in ((Synced(), {"value_and_grad": named}), (Plain(), {})):
        loss = functools.partial(loss_fn, model)
        learner = lrax.flax.from_train_state(state, loss, optax.adam, aux="batch_stats", **options)
        results.append(learner.update(learner.state, DATA, jnp.float32(0.1)))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, *results)


def test_a_replicated_train_state_is_refused():
    """A train state with a leading axis of devices is an error that says how to take one of them."""
    state = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), linen_state(optax.adam(0.1)))
    with pytest.raises(ValueError, match=r"from_train_state: `state` must be one state.*unreplicate"):
        lrax.flax.from_train_state(state, linen_loss, optax.adam, aux="batch_stats", key=KEY)


def test_messages_name_the_function_that_was_called():
    """What is wrong with a loss, a state or an optimizer is said under the name of the function that the user called."""
    state = linen_state(optax.adam(0.1))
    with pytest.raises(ValueError, match=r"^from_train_state: `opt_state` must be a state of `optimizer`"):
        lrax.flax.from_train_state(state, linen_loss, momentum, aux="batch_stats", key=KEY)
    with pytest.raises(TypeError, match=r"^from_train_state: `loss_fn` must be callable as loss_fn\(params, batch\)"):
        lrax.flax.from_train_state(state, linen_loss, optax.adam)
    with pytest.raises(TypeError, match=r"^from_nnx: `optimizer` must be a function rate -> optimizer"):
        lrax.flax.from_nnx(Nnx(nnx.Rngs(0)), nnx_loss, optax.sgd(0.1))


@pytest.mark.slow
def test_resnet_runs_on_small_images():
    """ResNet-18 v2 with batch norm runs the range test for a few updates, and is left alone."""
    model = resnet.ResNet18(4, channels=1, classes=10, rngs=nnx.Rngs(0))
    images = jax.random.uniform(KEY, (32, 8, 8, 1))
    labels = jnp.arange(32) % 10
    before = copied(lrax.flax.pure(nnx.state(model)))
    learner = lrax.flax.from_nnx(model, resnet.loss_fn, momentum)
    found = lrax.find_lr(learner, (images, labels), batch_size=16, key=KEY, ramp=lrax.Geometric(1e-6, 1.0, 7))
    assert found.updates == 8
    assert np.isfinite(found.losses).all()
    assert same(before, lrax.flax.pure(nnx.state(model)))


class Keeping(nnx.Module):
    """A model that makes a variable when it is called."""

    def __init__(self, rngs):
        self.layer = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, inputs):
        self.seen = nnx.Variable(inputs.mean())
        return self.layer(inputs)[:, 0]


def test_a_variable_that_a_call_makes_is_named():
    """An NNX model that adds a variable when it is called is an error that names the variable and how to take it out."""
    learner = lrax.flax.from_nnx(Keeping(nnx.Rngs(0)), lambda model, batch: jnp.mean(model(batch[0]) ** 2), optax.sgd)
    with pytest.raises(
        ValueError, match=r"same structure: state\S*\['seen'\]\S* is new; .*nnx\.pop\(model, nnx\.Intermediate\)"
    ):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY)


def test_an_error_of_the_loss_of_a_model_has_a_note():
    """The note shows the call as `from_nnx` documents it."""
    learner = lrax.flax.from_nnx(Keeping(nnx.Rngs(0)), lambda model, batch: model.missing(batch), optax.sgd)
    with pytest.raises(AttributeError, match="missing") as caught:
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY)
    notes = [note for note in caught.value.__notes__ if note.startswith("lrax")]
    assert notes[0].startswith(
        "lrax: find_lr called loss_fn(model, batch), the `loss_fn` of from_nnx, with batch (float32[16, 4]"
    )
    assert len(notes) == 1
