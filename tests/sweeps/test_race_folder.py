"""A race that outlives its process, and one that is divided over a mesh."""

import functools
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from devices import xla_flags
from lrax.sweeps import _race
from lrax.training import _storage
from problems import linear_learner, nothing, regression, same, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()
RATES = lrax.Constant(np.float32([0.001, 0.01, 0.1, 0.3, 30.0]))


def run(folder=None, **changed):
    """The race of these tests."""
    options = {"rungs": (5, 6, 7), "batch_size": 16, "key": KEY, "folder": folder}
    return lrax.race(**{"learner": linear_learner(), "data": DATA, "schedules": RATES, **options, **changed})


def assert_same_race(one, other):
    """All numbers of two races, bit for bit."""
    for name in ("losses", "end_losses", "rungs", "order", "ends", "steps_run"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert same(one.state, other.state)


@pytest.mark.parametrize("ended", [1, 2, 3])
@pytest.mark.parametrize("loop", ["scan", "python"])
def test_a_race_goes_on_after_the_last_rung_that_ended(ended, loop, tmp_path, monkeypatch):
    """What is interrupted in a rung and begun again is, bit for bit, the race that was not; no rung is run twice."""
    trained, train = [], _race._rung

    def stopping(trainer, now, *arguments):
        if len(now.ends) == ended and not trained.count("stopped"):
            trained.append("stopped")
            raise KeyboardInterrupt
        trained.append(len(now.ends))
        return train(trainer, now, *arguments)

    monkeypatch.setattr(_race, "_rung", stopping)
    if ended < 3:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, execution=lrax.Execution(loop=loop))
    else:
        run(tmp_path, execution=lrax.Execution(loop=loop))
    result = run(tmp_path, execution=lrax.Execution(loop=loop))
    assert [rung for rung in trained if rung != "stopped"] == [0, 1, 2]
    assert_same_race(result, run(execution=lrax.Execution(loop=loop)))


def test_states_of_every_kind_come_back(tmp_path):
    """Random keys, bfloat16 and integers in a state are what they were."""

    def loss_fn(params, batch, key):
        return squared_error(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params), batch) * jax.random.uniform(key)

    params = {"weight": jnp.zeros(3, jnp.bfloat16), "bias": jnp.zeros((), jnp.bfloat16)}
    learner = lrax.Learner.create(loss_fn, params, optax.adam, key=KEY)
    first = run(tmp_path, learner=learner)
    assert_same_race(run(tmp_path, learner=learner), first)


def test_a_state_that_begins_with_a_python_number_comes_back(tmp_path):
    """A step that is a Python number before the first step, as in a new `TrainState`, is the array that it became."""

    def train(state, batch, lr):
        weight, step = state
        return (weight - lr * (weight - jnp.mean(batch[1])), step + 1), jnp.mean((weight - batch[1]) ** 2)

    learner = lrax.Learner((jnp.zeros(()), 0), train)
    first = run(tmp_path, learner=learner)
    assert first.state[1] == 18
    assert_same_race(run(tmp_path, learner=learner), first)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schedules": lrax.Constant(np.float32([0.001, 0.01, 0.1, 0.3, 20.0]))}, "other schedules"),
        ({"data": (DATA[0] + 1, DATA[1])}, "other data"),
        ({"key": jax.random.key(1)}, "other data or key"),
        ({"keep": 0.6}, "other rungs, `keep`, `tail` or `accumulate`"),
        ({"learner": linear_learner(functools.partial(optax.sgd, momentum=0.5))}, "other learner"),
    ],
    ids=["schedules", "data", "key", "keep", "learner"],
)
def test_another_race_s_folder_is_refused(changed, said, tmp_path):
    """A folder goes on with the very race that is in it, and says what differs."""
    run(tmp_path)
    with pytest.raises(ValueError, match=rf"race: `folder` must hold this race, got .*race.lrax.*{said}"):
        run(tmp_path, **changed)


def held(array):
    """A loss that closes over an array, the sampler, its metric and what is done to its batches, in the same way."""
    inner = jax.jit(lambda: jnp.asarray(array, jnp.float32).sum())
    return {
        "loss": lrax.Learner.create(lambda params, batch: (params - inner()) ** 2 + 0 * batch.mean(), jnp.zeros(()), optax.sgd),
        "bound loss": lrax.Learner.create(
            jax.tree_util.Partial(lambda bound, params, batch: (params - bound.sum()) ** 2 + 0 * batch.mean(), array),
            jnp.zeros(()),
            optax.sgd,
        ),
        "sampler": lambda key: inner() * jax.random.normal(key, (4,)),
        "bound sampler": jax.tree_util.Partial(
            lambda bound, key: jnp.asarray(bound)[jax.random.randint(key, (2,), 0, 3)], array
        ),
        "evaluation": lrax.Evaluation(lambda state: state.params * inner()),
        "bound evaluation": lrax.Evaluation(functools.partial(lambda bound, state: state.params * bound.sum(), array)),
        "transform": lambda batch: batch * inner(),
    }


PARTS = {
    "loss": ("learner", "other learner"),
    "bound loss": ("learner", "other learner"),
    "sampler": ("data", "other learner"),  # batches are drawn in the program of the step
    "bound sampler": ("data", "other learner"),
    "evaluation": ("evaluation", "other evaluation"),
    "bound evaluation": ("evaluation", "other evaluation"),
    "transform": ("transform", "other learner"),
}


@pytest.mark.parametrize("part", PARTS)
def test_arrays_in_each_part_of_a_race_count(part, tmp_path):
    """Other numbers that the loss, sampler, metric or transform holds are another race; a copy of them is the same."""
    argument, words = PARTS[part]
    learner = lrax.Learner.create(lambda params, batch: (params - batch.mean()) ** 2, jnp.zeros(()), optax.sgd)
    options = {"learner": learner, "data": lambda key: jax.random.normal(key, (4,)), "batch_size": None, "rungs": 2}
    array = np.arange(3, dtype=np.float32)
    options = {**options, "schedules": lrax.Constant(np.float32([0.1, 0.2]))}
    first = run(tmp_path, **{**options, argument: held(array)[part]})
    assert_same_race(run(tmp_path, **{**options, argument: held(array.copy())[part]}), first)
    with pytest.raises(ValueError, match=rf"this race, got .*race.lrax.*{words}"):
        run(tmp_path, **{**options, argument: held(array + 1)[part]})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": (DATA[0].astype(np.float16), DATA[1])}, "other learner"),
        ({"data": (DATA[0][::-1], DATA[1])}, "other data"),
        ({"batch_size": 8}, "other learner"),
        ({"schedules": lrax.Linear(RATES.value, RATES.value, 18)}, "other schedules"),
        ({"schedules": [lrax.Constant(rate) for rate in RATES.value[::-1]]}, "other schedules"),
        ({"rungs": (5, 6, 8)}, "other rungs"),
        ({"tail": 0.5}, "other rungs, `keep`, `tail` or `accumulate`"),
        ({"evaluation": lrax.Evaluation(lambda state: state.params["bias"], every=2)}, "other evaluation"),
    ],
    ids=["dtype", "order", "batch size", "class", "order of schedules", "rungs", "tail", "evaluation"],
)
def test_a_race_is_known_by_all_of_it(changed, words, one_race):
    """The dtype and order of the data, the class and order of schedules, the rungs and how they are ranked count."""
    with pytest.raises(ValueError, match=rf"this race, got .*race.lrax.*{words}"):
        run(one_race, **changed)


@pytest.fixture(scope="module")
def one_race(tmp_path_factory):
    """A folder with the race of these tests."""
    with jax.numpy_dtype_promotion("standard"):
        run(folder := tmp_path_factory.mktemp("race"))
    return folder


def outcome(folder):
    """The race, or the name of the file that the error names."""
    try:
        return run(folder)
    except ValueError as error:
        return "race.lrax" if "race.lrax" in str(error) else str(error)


def test_damaged_files_are_named(tmp_path):
    """Whatever bit of the file flips, the race is the same or the file is named."""
    first, path = run(tmp_path), tmp_path / "race.lrax"
    whole, generator, named = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        found = outcome(tmp_path)
        if isinstance(found, str):
            named += 1
            assert found == "race.lrax"
        else:
            assert_same_race(found, first)
    assert named > 5


def test_an_iterable_cannot_be_resumed(tmp_path):
    """A folder is refused where the data cannot be read from where they were left."""
    with pytest.raises(ValueError, match="race: `folder` must be left out where the data is an iterable"):
        run(tmp_path, data=[DATA], batch_size=None, key=None)


def test_a_full_disk_loses_no_race(tmp_path, monkeypatch):
    """A file that cannot be written is a warning; the race goes on to its result."""

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_storage, "write", full)
    with pytest.warns(RuntimeWarning) as caught:
        result = run(tmp_path)
    first, *_, last = (str(one.message) for one in caught)
    assert re.search(r"^race: `folder` could not be written, .*No space left.*later files try again", first)
    assert re.search(r"^race: `folder` lacks race\.lrax, .*only the result has what is in it", last)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_race(result, run())


def test_samplers_are_resumed_too(tmp_path):
    """A sampler is known by its program."""
    learner = lrax.Learner.create(lambda params, batch: (params - 1) ** 2 + batch, jnp.zeros(()), optax.sgd)
    settings = {"learner": learner, "data": nothing, "batch_size": None}
    assert_same_race(run(tmp_path, **settings), run(tmp_path, **settings))


@pytest.mark.parametrize(
    ("mesh", "said"), [("mesh", "`mesh` must be a jax.sharding.Mesh"), (3, "`mesh` must be")], ids=["word", "number"]
)
def test_what_is_not_a_mesh_is_refused(mesh, said):
    """A mesh is a mesh."""
    with pytest.raises(TypeError, match=said):
        run(execution=lrax.Execution(mesh=mesh))


MESH = """
import functools, pathlib, sys
import jax, numpy as np, optax
sys.path.insert(0, {tests!r})
import lrax
from problems import linear_learner, regression
assert jax.device_count() == 4
options = dict(rungs=(5, 6, 7), batch_size=16, key=jax.random.key(0))
for rates in (np.geomspace(1e-3, 0.3, 5), np.geomspace(1e-3, 0.3, 8)):
    schedules = lrax.Constant(np.float32(rates))
    for shape, names in (((4,), ("runs",)), ((2, 2), ("runs", "data"))):
        mesh = jax.sharding.Mesh(np.array(jax.devices()).reshape(shape), names)
        for loop in ("scan", "python"):
            execution = lrax.Execution(loop=loop, mesh=mesh)
            divided = lrax.race(linear_learner(), regression(), schedules, execution=execution, **options)
            alone = lrax.race(linear_learner(), regression(), schedules, **options)
            np.testing.assert_allclose(divided.losses, alone.losses, rtol=1e-5)
            np.testing.assert_array_equal(divided.order, alone.order)
            np.testing.assert_allclose(divided.state.params["weight"], alone.state.params["weight"], rtol=1e-5)
    assert "divided over the 2 places of axis 'runs'" in divided.plan
print("equal")
"""


@pytest.mark.slow
def test_lanes_divided_over_a_mesh_are_the_lanes():
    """On four devices the race is the one of one device, with both loops, also where runs do not fill the mesh."""
    tests = str(pathlib.Path(__file__).parents[1])
    flags = {"XLA_FLAGS": xla_flags(4), "JAX_PLATFORMS": "cpu"}
    script = textwrap.dedent(MESH.format(tests=tests))
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | flags, capture_output=True, text=True)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
