import functools
from typing import NamedTuple

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
    found = lrax.range_test(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Geometric(1e-5, 10.0, 60))
    assert same(before, state)
    assert found.steps_run > 20
    after, _ = learner.step(learner.state, DATA, jnp.float32(0.1))
    assert not same(after.aux, state.batch_stats)


def test_half_way_through_a_run_the_run_goes_on_as_if_nothing_had_happened():
    """A run with a range test in the middle ends in the same parameters, bit for bit; the test starts where the run stands."""

    @jax.jit
    def step(state, key):
        (_, stats), grads = jax.value_and_grad(linen_loss, has_aux=True)(state.params, state.batch_stats, DATA, key)
        return state.apply_gradients(grads=grads, batch_stats=stats)

    def run(test):
        state = linen_state(optax.adam(lrax.warmup_cosine(0.01, warmup_steps=4, total_steps=20)))
        for i in range(10):
            if i == 5 and test:
                learner = lrax.flax.from_train_state(state, linen_loss, optax.adam, aux="batch_stats", key=KEY)
                found = lrax.range_test(learner, [DATA], ramp=lrax.Geometric(1e-6, 1.0, 40))
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
    found = lrax.range_test(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Geometric(1e-5, 10.0, 60))
    assert found.steps_run > 20
    assert same(before, lrax.flax.pure((nnx.state(model), nnx.state(optimizer))))


def test_an_nnx_learner_s_update_is_the_optimizer_s():
    """One update of the learner gives the parameters and statistics that `nnx.Optimizer` gives."""
    model = Nnx(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, momentum(0.05), wrt=nnx.Param)
    learner = lrax.flax.from_nnx(model, nnx_loss, momentum, state=optimizer)
    after, loss = jax.jit(learner.step)(learner.state, DATA, jnp.float32(0.05))
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
    assert first.step == second.step
    assert hash(first.step) == hash(second.step)


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
    update = jax.jit(learner.step)
    state, first = update(learner.state, DATA, jnp.float32(0.0))
    _, second = update(state, DATA, jnp.float32(0.0))
    assert first != second
    np.testing.assert_allclose(first, loss_fn(model, DATA, jax.random.split(KEY)[1])[0], rtol=1e-6)
    metrics = lrax.flax.from_nnx(model, loss_fn, optax.sgd, key=KEY)
    with pytest.raises(TypeError, match=r"from_nnx: `loss_fn` must return a scalar loss, .*; give has_aux=True"):
        metrics.step(metrics.state, DATA, 0.1)
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
        results.append(learner.step(learner.state, DATA, jnp.float32(0.1)))
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
    with pytest.raises(TypeError, match=r"^from_nnx: `optimizer` must be a function learning_rate -> optimizer"):
        lrax.flax.from_nnx(Nnx(nnx.Rngs(0)), nnx_loss, optax.sgd(0.1))


@pytest.mark.slow
def test_resnet_runs_on_small_images():
    """ResNet-18 v2 with batch norm runs the range test for a few updates, and is left alone."""
    model = resnet.ResNet18(4, channels=1, classes=10, rngs=nnx.Rngs(0))
    images = jax.random.uniform(KEY, (32, 8, 8, 1))
    labels = jnp.arange(32) % 10
    before = copied(lrax.flax.pure(nnx.state(model)))
    learner = lrax.flax.from_nnx(model, resnet.loss_fn, momentum)
    found = lrax.range_test(learner, (images, labels), batch_size=16, key=KEY, ramp=lrax.Geometric(1e-6, 1.0, 7))
    assert found.steps_run == 8
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


def stats_step(state, batch, key):
    """A train step as examples of Flax have it: batch statistics, and dropout keys by the step."""

    def loss_fn(params):
        return linen_loss(params, state.batch_stats, batch, jax.random.fold_in(key, state.step))

    (loss, stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=stats), {"loss": loss, "accuracy": jnp.float32(0)}


def chained(lr):
    return optax.chain(optax.clip_by_global_norm(1.0), momentum(lr))


def accumulated(lr):
    return optax.MultiSteps(momentum(lr), 2)


SCHEDULE = lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100)
MADE_WITH = {
    "a number": (momentum(1e-3), momentum),
    "a schedule": (momentum(SCHEDULE), momentum),
    "an injected number": (optax.inject_hyperparams(momentum)(1e-3), optax.inject_hyperparams(momentum)),
    "a chain": (chained(1e-3), chained),
    "MultiSteps": (accumulated(1e-3), accumulated),
    "recorded": (lrax.recorded(momentum, SCHEDULE), functools.partial(lrax.recorded, momentum)),
}


ALWAYS = ("a number", "MultiSteps", "recorded")


@pytest.mark.parametrize(
    ("tx", "factory"),
    [pytest.param(*made, id=name, marks=() if name in ALWAYS else pytest.mark.slow) for name, made in MADE_WITH.items()],
)
def test_a_train_step_of_linen_is_taken_as_it_is(tx, factory):
    """However the optimizer was made, a jitted step that donates its state makes the step of `from_train_state`, in the middle
    of a run, and the caller's state is what it was.
    """
    step = jax.jit(functools.partial(stats_step, key=KEY), donate_argnums=0)
    state, _ = step(linen_state(tx), DATA)
    before = copied(state)
    learner = lrax.flax.from_train_step(state, step, factory)
    after, loss = learner.step(learner.state, DATA, jnp.float32(0.05))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert after.step == 2
    assert same(before, state)

    def loss_fn(params, stats, batch):
        return linen_loss(params, stats, batch, jax.random.fold_in(KEY, 1))

    other = lrax.flax.from_train_state(state, loss_fn, factory, aux="batch_stats")
    expected, expected_loss = jax.jit(other.step)(other.state, DATA, jnp.float32(0.05))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, (after.params, after.opt_state, loss), (expected.params, expected.opt_state, expected_loss))
    jax.tree.map(close, after.batch_stats, expected.aux)


def test_a_train_step_in_the_finder_and_in_a_race():
    """The finder measures how the optimizer grows, and the winner's train state goes on with the winner's schedule."""
    learner = lrax.flax.from_train_step(linen_state(optax.adam(1e-3)), functools.partial(stats_step, key=KEY), optax.adam)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY, budget=40)
    assert found.curves[0].steps_run > 10
    assert found.scale_invariant is True
    race = lrax.race(learner, [DATA], [lrax.Constant(1e-9), SCHEDULE], rungs=(3, 1))
    tx = optax.adam(race.schedule)
    state = race.state.replace(tx=tx, opt_state=race.opt_state_for(tx))
    after, _ = stats_step(state, DATA, KEY)
    assert (int(after.step), int(lrax.count_of(after.opt_state))) == (5, 5)


class Metrics(NamedTuple):
    """Metrics of a step."""

    loss: jax.Array
    accuracy: jax.Array


LINEAR = TrainState.create(apply_fn=None, params={"weight": jnp.zeros(4)}, tx=optax.sgd(0.1))


def linear_step(state, batch):
    """The new state, and the loss."""
    loss, grads = jax.value_and_grad(lambda params: jnp.mean((batch[0] @ params["weight"] - batch[1]) ** 2))(state.params)
    return state.apply_gradients(grads=grads), loss


ZERO = jnp.float32(0)
RETURNS = {
    "the loss": (lambda state, loss: (state, loss), {}),
    "the state last": (lambda state, loss: (loss, state), {}),
    "more outputs": (lambda state, loss: [state, loss, jnp.zeros(3), "name"], {}),
    "a dict": (lambda state, loss: (state, {"accuracy": ZERO, "loss": loss}), {}),
    "a named tuple": (lambda state, loss: (state, Metrics(loss, ZERO)), {}),
    "another name": (lambda state, loss: (state, ZERO, {"xent": loss}), {"loss": "xent"}),
    "a function": (
        lambda state, loss: (state, ZERO, {"train": {"xent": loss}}),
        {"loss": lambda all_: all_[2]["train"]["xent"]},
    ),
}


@pytest.mark.parametrize(("returns", "options"), RETURNS.values(), ids=RETURNS)
def test_the_loss_is_found_in_what_a_train_step_returns(returns, options):
    """The loss is the only scalar, or what has its name, or what a function picks."""
    learner = lrax.flax.from_train_step(LINEAR, lambda state, batch: returns(*linear_step(state, batch)), optax.sgd, **options)
    after, loss = learner.step(learner.state, DATA, jnp.float32(0.5))
    np.testing.assert_allclose(loss, np.mean(DATA[1] ** 2), rtol=1e-6)
    np.testing.assert_allclose(after.params["weight"], DATA[0].T @ DATA[1] / len(DATA[1]), rtol=1e-4)


def ignoring(state, batch):
    """Makes its update with an optimizer from outside."""
    loss, grads = jax.value_and_grad(lambda params: jnp.mean((batch[0] @ params["weight"] - batch[1]) ** 2))(state.params)
    return state.replace(params=optax.apply_updates(state.params, grads)), loss


BAD_STEPS = {
    "names": (
        lambda *args: (linear_step(*args)[0], {"xent": ZERO, "l2": ZERO}),
        "got 'loss'; give one of 'xent', 'l2', or a function",
    ),
    "two scalars": (lambda *args: (*linear_step(*args), ZERO), r"it returned float32\[\], float32\[\] besides the state"),
    "no loss": (lambda *args: linear_step(*args)[0], "it returned nothing besides the state: return the loss, too"),
    "no scalar": (lambda *args: (linear_step(*args)[0], {"loss": jnp.zeros(4)}), r"got float32\[4\] for 'loss'; average it"),
    "no state": (lambda *args: linear_step(*args)[1], r"`train_step` must be a function that returns the new state"),
    "another optimizer": (ignoring, "`train_step` must be a step with the optimizer in its state"),
    "another optimizer, jitted": (jax.jit(ignoring), "`train_step` must be a step with the optimizer in its state"),
}


@pytest.mark.parametrize(("step", "message"), BAD_STEPS.values(), ids=BAD_STEPS)
def test_a_train_step_that_cannot_be_used_is_told_why(step, message):
    """A loss that is not found names what is there, and a step that ignores its optimizer is an error."""
    learner = lrax.flax.from_train_step(LINEAR, lambda state, batch: step(state, batch), optax.sgd)
    with pytest.raises((TypeError, ValueError), match=f"^from_train_step: .*{message}"):
        learner.step(learner.state, DATA, jnp.float32(0.1))


def test_arguments_of_from_train_step_are_named():
    """What is not a train state, a step of other arguments, and another optimizer are errors that name them."""
    make = lrax.flax.from_train_step
    with pytest.raises(TypeError, match=r"^from_train_step: `state` must be something with the fields `tx` and `opt_state`"):
        make({"params": jnp.zeros(3)}, linear_step, optax.sgd)
    with pytest.raises(TypeError, match=r"^from_train_step: `train_step` must be callable as train_step\(state, batch\)"):
        make(LINEAR, stats_step, optax.sgd)
    with pytest.raises(TypeError, match=r"^from_train_step: `optimizer` must be a function learning_rate -> optimizer"):
        make(LINEAR, linear_step, optax.sgd(0.1))
    with pytest.raises(TypeError, match=r"^from_train_step: `loss` must be a name, or a function"):
        make(LINEAR, linear_step, optax.sgd, loss=1)
    with pytest.raises(ValueError, match=r"^from_train_step: `state` must be one state.*unreplicate"):
        make(jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), LINEAR), linear_step, optax.sgd)
    assert repr(make(LINEAR, linear_step, optax.sgd)).startswith("<Learner: linear_step by sgd, a state of ")
    other = make(LINEAR, linear_step, momentum)
    with pytest.raises(ValueError, match=r"^from_train_step: `opt_state` must be a state of `optimizer`"):
        other.step(other.state, DATA, 0.1)
    model = Nnx(nnx.Rngs(0))
    with pytest.raises(TypeError, match=r"^from_train_step: `state` must be NNX objects with one nnx.Optimizer, got 0 of them"):
        make((model, model), nnx_step, optax.adam)
    with pytest.raises(TypeError, match=r"`train_step` must be callable as train_step\(model, optimizer, batch\)"):
        make((model, model), linear_step, optax.adam)


def nnx_step(model, optimizer, batch):
    """A train step as examples of NNX have it."""
    loss, grads = nnx.value_and_grad(nnx_loss)(model, batch)
    optimizer.update(model, grads)
    return loss


def nnx_objects(tx):
    """A model and its optimizer."""
    model = Nnx(nnx.Rngs(0))
    return model, nnx.Optimizer(model, tx, wrt=nnx.Param)


@pytest.mark.parametrize(
    ("tx", "step"),
    [(momentum(1e-3), nnx.jit(nnx_step)), (momentum(SCHEDULE), nnx_step)],
    ids=["a number, jitted", "a schedule"],
)
def test_a_train_step_of_nnx_is_taken_as_it_is(tx, step):
    """A step that changes a model and its optimizer makes the step of `from_nnx`; the caller's objects are what they were."""
    model, optimizer = nnx_objects(tx)
    before = copied(lrax.flax.pure((nnx.state(model), nnx.state(optimizer))))
    learner = lrax.flax.from_train_step((model, optimizer), step, momentum)
    after, loss = learner.step(learner.state, DATA, jnp.float32(0.05))
    other = lrax.flax.from_nnx(model, nnx_loss, momentum, state=optimizer)
    expected, expected_loss = jax.jit(other.step)(other.state, DATA, jnp.float32(0.05))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    close(loss, expected_loss)
    jax.tree.map(close, after[0]["first"], expected.params["first"])
    close(after[0]["norm"]["mean"], expected.aux["norm"]["mean"])
    assert optimizer.tx is tx
    assert same(before, lrax.flax.pure((nnx.state(model), nnx.state(optimizer))))


def test_the_objects_of_a_train_step_take_the_winner_s_state():
    """After a race of a step with metrics, the winner's state goes into the objects, whose optimizer goes on at its count."""
    model, optimizer = nnx_objects(optax.adam(lrax.Constant(1e-3)))
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))

    @nnx.jit
    def without_loss(model, optimizer, metrics, batch):
        metrics.update(loss=nnx_step(model, optimizer, batch))

    def step(model, optimizer, metrics, batch):
        metrics.reset()
        without_loss(model, optimizer, metrics, batch)
        return metrics.compute()

    learner = lrax.flax.from_train_step([model, optimizer, metrics], step, optax.adam)
    race = lrax.race(learner, [DATA], [lrax.Constant(1e-9), SCHEDULE], rungs=(3, 1))
    np.testing.assert_allclose(race.losses[0, 0], race.losses[1, 0])
    nnx.update((model, optimizer, metrics), race.state)
    optimizer.tx = optax.adam(race.schedule)
    nnx_step(model, optimizer, DATA)
    assert (race.count, int(lrax.count_of(optimizer.opt_state))) == (4, 5)

    def outside(model, _, batch):
        return nnx_step(model, optimizer, batch)

    learner = lrax.flax.from_train_step((model, optimizer), outside, optax.adam)
    with pytest.raises(ValueError, match=r"`train_step` must be a function that changes only its arguments"):
        learner.step(learner.state, DATA, 0.1)


class Holding(nnx.Module):
    """A linear model with a variable of any value."""

    def __init__(self, value, kind=nnx.Variable):
        self.dense, self.held = nnx.Linear(4, 1, rngs=nnx.Rngs(0)), kind(value)

    def __call__(self, inputs):
        return self.dense(inputs)[:, 0]


class Counting(Holding):
    """Changes its variable in every call."""

    def __call__(self, inputs):
        changed = jax.tree.map(lambda leaf: leaf + 1, lrax.flax.raw(self.held))
        self.held.set_value(changed) if lrax.flax.RAW else setattr(self.held, "value", changed)
        return super().__call__(inputs)


VALUES = {
    "a tuple": (jnp.zeros(()), jnp.zeros(3)),
    "a dict": {"count": jnp.zeros(()), "inside": {"total": jnp.zeros(2)}},
    "a list with None": [None, {"total": (jnp.zeros(2),)}],
    "None": None,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_variables_may_hold_any_value(value):
    """A variable with a tuple, a dict or nothing goes through a race, and back into the model as the steps left it."""
    model = Counting(value)
    before = copied(lrax.flax.pure(nnx.state(model)))
    learner = lrax.flax.from_nnx(model, nnx_loss, optax.adam)
    race = lrax.race(learner, [DATA], [lrax.Constant(0.01), lrax.Constant(0.1)], rungs=(2, 1))
    assert same(before, lrax.flax.pure(nnx.state(model)))
    nnx.update(model, race.state.params, race.state.aux)
    held = lrax.flax.raw(model.held)
    assert jax.tree.structure(held) == jax.tree.structure(value)
    assert all(np.all(leaf == 3) for leaf in jax.tree.leaves(held))


def test_a_parameter_may_be_a_dict():
    """A parameter with several arrays is trained, with the state of its optimizer."""

    def loss_fn(model, batch):
        held = lrax.flax.raw(model.held)
        return jnp.mean((model(batch[0]) * held["scale"] + held["shift"] - batch[1]) ** 2)

    model = Holding({"scale": jnp.ones(()), "shift": jnp.zeros(())}, nnx.Param)
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param) if lrax.flax.RAW else None  # Flax 0.11 makes none
    learner = lrax.flax.from_nnx(model, loss_fn, optax.adam, state=optimizer)
    after, _ = jax.jit(learner.step)(learner.state, DATA, jnp.float32(0.25))
    np.testing.assert_allclose(np.abs(lrax.flax.raw(after.params["held"])["shift"]), 0.25, rtol=1e-3)  # a first step of Adam


class Seen(nnx.Variable):
    """A type of variable that is not known to Flax."""


class Sowing(Holding):
    """Keeps what it saw, as a value sown or as a variable made in the call."""

    def __call__(self, inputs):
        if self.held_kind is nnx.Intermediate:
            self.sow(nnx.Intermediate, "seen", jnp.mean(inputs))
        else:
            self.seen = self.held_kind(jnp.mean(inputs))
        return super().__call__(inputs)

    held_kind = nnx.Intermediate


class Assigning(Sowing):
    """The same with a type of its own."""

    held_kind = Seen


def popping(kind):
    """A loss that removes the variables of a type after use."""

    def loss_fn(model, batch):
        loss = nnx_loss(model, batch)
        return loss + 0 * sum(map(jnp.sum, jax.tree.leaves(nnx.pop(model, kind))))

    return loss_fn


@pytest.mark.filterwarnings("ignore:.*sow:DeprecationWarning")
@pytest.mark.parametrize("is_called", [False, True])
@pytest.mark.parametrize("loss_fn", [nnx_loss, popping(nnx.Intermediate)], ids=["left", "popped"])
def test_models_that_sow(loss_fn, is_called):
    """Sown values are no part of the state, whether the loss removes them or not, and the model was called before or not."""
    model = Sowing(jnp.zeros(()))
    if is_called:
        model(DATA[0])
    before = copied(lrax.flax.pure(nnx.state(model)))
    learner = lrax.flax.from_nnx(model, loss_fn, optax.sgd)
    after = jax.eval_shape(learner.step, learner.state, DATA, jnp.float32(0.1))
    assert jax.tree.structure(after[0]) == jax.tree.structure(learner.state)
    assert set(after[0].aux) == {"held"}
    assert same(before, lrax.flax.pure(nnx.state(model)))


def test_variables_that_come_and_go_are_named():
    """A variable of another type that a step adds or removes is an error that names it; kept or removed, it works."""

    def race(loss_fn, is_called):
        model = Assigning(jnp.zeros(()))
        if is_called:
            model(DATA[0])
        lrax.race(lrax.flax.from_nnx(model, loss_fn, optax.sgd), [DATA], [SCHEDULE], rungs=2)

    with pytest.raises(ValueError, match=r"\['seen'\]\S* is new; .* nnx\.pop"):
        race(nnx_loss, is_called=False)
    with pytest.raises(ValueError, match=r"\['seen'\]\S* is missing; .* before the learner is made"):
        race(popping(Seen), is_called=True)
    race(nnx_loss, is_called=True)
    race(popping(Seen), is_called=False)
