"""Schedules in Keras, and learners from Keras models."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import copied, momentum, regression, same

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.standard_promotion,  # of Keras and optax
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras's variables
]

KEY = jax.random.key(0)
INPUTS, TARGETS = (array.reshape(64, -1) for array in regression(features=4))
SCHEDULE = lrax.warmup_cosine(peak=0.01, warmup_steps=4, total_steps=24)


@pytest.fixture(autouse=True)
def _ranks():
    """Keras's layers add biases to matrices."""
    with jax.numpy_rank_promotion("allow"):
        yield


def net():
    """Dense with a regularizer, batch norm, dropout, dense; the same at every call."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )


def values(model):
    """The values of a model's variables."""
    return [np.array(variable.value) for variable in model.variables]


def fitted(rate):
    """A model after two epochs at a rate or a schedule, and the losses."""
    model = net()
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    history = model.fit(INPUTS, TARGETS, batch_size=16, epochs=2, verbose=0, shuffle=False)
    return model, history.history["loss"]


def test_a_schedule_trains_and_is_saved_with_the_model(tmp_path):
    """In fit it gives the losses of Keras's own schedule; saved and loaded it is the same schedule, at the same count."""
    cosine = lrax.Cosine(0.01, 0.0, 24)
    model, losses = fitted(lrax.keras.Schedule(cosine))
    _, theirs = fitted(keras.optimizers.schedules.CosineDecay(0.01, 24))
    np.testing.assert_allclose(losses, theirs, rtol=1e-5)
    np.testing.assert_allclose(model.optimizer.learning_rate, cosine(8), rtol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert int(again.iterations) == 8
    np.testing.assert_allclose(again.learning_rate, cosine(8), rtol=1e-6)


def test_a_schedule_s_configuration_is_its_json():
    """get_config and from_config go by the schedule's JSON."""
    config = lrax.keras.Schedule(SCHEDULE).get_config()
    assert config == {"schedule": lrax.to_json(SCHEDULE)}
    again = lrax.keras.Schedule.from_config(config)
    np.testing.assert_array_equal(again.schedule(np.arange(30)), SCHEDULE(np.arange(30)))
    plain = lrax.keras.Schedule(lambda count: 0.1 / (count + 1))
    np.testing.assert_allclose(plain(3), 0.025)
    with pytest.raises(TypeError, match="a callable cannot be saved"):
        plain.get_config()
    with pytest.raises(TypeError, match=r"lrax\.keras\.Schedule: `schedule` must be a schedule or a function count -> "):
        lrax.keras.Schedule(0.1)


def test_a_bare_schedule_names_what_keras_takes():
    """A schedule of lrax as a Keras learning rate, which Keras calls without a count, is told of `lrax.keras.Schedule`."""
    optimizer = keras.optimizers.SGD(lrax.Constant(0.1))
    with pytest.raises(TypeError, match=r"Constant: `count`.* is missing; .*lrax\.keras\.Schedule\(schedule\)"):
        _ = optimizer.learning_rate


def test_a_model_is_tested_and_left_alone():
    """A model with batch norm, dropout and a regularizer is range-tested and is bit for bit what it was."""
    model = net()
    before = values(model)
    learner = lrax.keras.from_keras(model, "mse", optax.adam)
    found = lrax.range_test(learner, (INPUTS, TARGETS), batch_size=16, key=KEY, ramp=lrax.Geometric(1e-5, 1.0, 30))
    assert found.steps_run > 20
    assert same(before, values(model))


def test_an_update_is_keras_s_own():
    """One update gives the loss, the parameters, the statistics and the seeds that Keras's train step gives."""
    model = net()
    learner = lrax.keras.from_keras(model, keras.losses.MeanSquaredError(), momentum)
    state, loss = jax.jit(learner.step)(learner.state, (INPUTS, TARGETS), jnp.float32(0.05))
    seeds = copied(learner.state.aux)
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
    expected = model.train_on_batch(INPUTS, TARGETS)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for got, variables in ((state.params, model.trainable_variables), (state.aux, model.non_trainable_variables)):
        for mine, theirs in zip(got, variables, strict=True):
            np.testing.assert_allclose(mine, np.array(theirs.value), rtol=1e-4, atol=1e-6)
    assert not same(seeds, state.aux)


def test_weights_and_losses_of_one_s_own():
    """A third part of a batch weighs the examples, and a function (targets, outputs) is a loss."""
    model = net()
    learner = lrax.keras.from_keras(model, keras.losses.MeanSquaredError(), optax.sgd)
    one, two = (learner.step(learner.state, (INPUTS, TARGETS, weight * np.ones(64, np.float32)), 0.1)[1] for weight in (1, 2))
    own = lrax.keras.from_keras(model, lambda targets, outputs: (targets - outputs) ** 2, optax.sgd)
    np.testing.assert_allclose(own.step(own.state, (INPUTS, TARGETS), 0.1)[1], one, rtol=1e-6)
    assert two > 1.5 * one
    with pytest.raises(TypeError, match=r"from_keras: `batch` must be \(inputs, targets\) or \(inputs, targets, weights\)"):
        learner.step(learner.state, INPUTS, 0.1)


def test_what_is_no_model_is_named():
    """No model, one that is not built, an optimizer of Keras, and a Keras model given to Learner.create, are errors."""
    with pytest.raises(TypeError, match=r"from_keras: `model` must be a keras\.Model"):
        lrax.keras.from_keras(keras.layers.Dense(1), "mse", optax.adam)
    with pytest.raises(ValueError, match=r"from_keras: `model` must be built"):
        lrax.keras.from_keras(keras.Sequential([keras.layers.Dense(1)]), "mse", optax.adam)
    for optimizer in (keras.optimizers.Adam, keras.optimizers.Adam(0.1)):
        with pytest.raises(TypeError, match=r"from_keras: `optimizer` must be of optax, .*; give optax\.adam"):
            lrax.keras.from_keras(net(), "mse", optimizer)
    with pytest.raises(ValueError, match=r"from_keras: `opt_state` must be a state of `optimizer`"):
        lrax.keras.from_keras(net(), "mse", optax.adam, opt_state=momentum(0.1).init([jnp.zeros(3)]))
    with pytest.raises(TypeError, match=r"Learner\.create: `params` must be a pytree of arrays, got a keras Seq.*from_keras"):
        lrax.Learner.create(lambda params, batch: 0.0, net(), optax.adam)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ("sys.modules['keras'] = None", "lrax.keras needs keras, the extra `keras`: python -m pip install '.[keras]'"),
        (
            "sys.modules['keras'] = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: 'torch'))",
            "lrax.keras needs Keras on JAX, got the backend 'torch': set KERAS_BACKEND=jax",
        ),
        ("os.environ['KERAS_BACKEND'] = 'abacus'", "lrax.keras needs Keras on JAX: set KERAS_BACKEND=jax in the environment"),
        (
            "sys.modules['tensorflow'] = None; os.environ['KERAS_BACKEND'] = 'tensorflow'",
            "lrax.keras needs Keras on JAX: set KERAS_BACKEND=jax in the environment before Keras is imported",
        ),
    ],
    ids=["missing", "another backend", "an unknown backend", "another backend that is missing"],
)
def test_without_keras_on_jax_it_is_told_what_to_do(setup, message):
    """Where Keras is missing or runs on another backend, `lrax.keras` says so by name, and `import lrax` needs neither."""
    tried = ("lrax.keras", "AttributeError"), ("import lrax.keras", "ImportError"), ("from lrax import keras", "ImportError")
    lines = [f"try:\n    {line}\nexcept {error} as error:\n    print(error)" for line, error in tried]
    program = "\n".join(["import os, sys, types", setup, "import lrax", *lines])
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.count(message) == 3


def test_importing_lrax_imports_no_keras():
    """`import lrax` costs nothing of Keras, and Keras on JAX brings neither PyTorch nor TensorFlow."""
    program = (
        "import sys, lrax\nassert 'keras' not in sys.modules\nlrax.keras\nprint({'torch', 'tensorflow'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
