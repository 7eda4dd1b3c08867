import os
import pathlib
import socket
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

import lrax
from devices import xla_flags

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "sweep_many_devices.py"
SMALL = ["--rates", "6", "--seeds", "2", "--steps", "40"]
CALM = 80  # updates of the range test: up to a rate of 0.01
STABLE = 8
"""Runs of the small example whose rates are not so high that rounding grows into another run."""


def train(schedule, key):
    """Gradient descent on a noisy quadratic: all losses."""
    start = 3 + jax.random.normal(key)
    return jax.lax.scan(lambda w, count: (w - schedule(count) * 2 * w, w**2), start, jnp.arange(20))[1]


def command(*arguments, devices=1):
    """A Python process on so many CPU devices, as what `subprocess` takes."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": xla_flags(devices)}
    return {"args": [sys.executable, *map(str, arguments)], "env": environment, "text": True}


def output(*arguments, devices=1):
    """What such a process prints; it must end well."""
    run = subprocess.run(**command(*arguments, devices=devices), capture_output=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_mesh_of_one_device_changes_nothing():
    """A sweep over the axis of a mesh gives what a sweep without one gives, in groups of any size."""
    mesh = Mesh(np.array(jax.devices()[:1]), ("runs",))
    rates, keys = lrax.Constant(np.linspace(0.01, 0.3, 5, dtype=np.float32)), jax.random.split(jax.random.key(0), 5)
    for runs in (None, 1, 2):
        over = lrax.sweep(train, rates, keys, execution=lrax.Execution(max_parallel=runs, mesh=mesh))
        np.testing.assert_allclose(over, lrax.sweep(train, rates, keys), rtol=1e-6)
    bound = jax.tree_util.Partial(lambda scale, *rest: scale * train(*rest), np.float32(2))
    np.testing.assert_allclose(lrax.sweep(bound, rates, keys, execution=lrax.Execution(mesh=mesh)), 2 * over, rtol=1e-6)


def test_a_mesh_that_cannot_be_used_is_named():
    """An axis that is not there, and a mesh whose axes the compiler may not divide, are errors."""
    rates, devices = lrax.Constant(np.float32([0.1, 0.2])), np.array(jax.devices()[:1])
    with pytest.raises(ValueError, match="`axis` must be an axis of the mesh, 'data', got 'runs'"):
        lrax.sweep(lambda schedule: schedule(0), rates, execution=lrax.Execution(mesh=Mesh(devices, ("data",))))
    explicit = Mesh(devices, ("runs",), axis_types=(jax.sharding.AxisType.Explicit,))
    with pytest.raises(ValueError, match=r"`mesh` must be a mesh whose axes are Auto"):
        lrax.sweep(lambda schedule: schedule(0), rates, execution=lrax.Execution(mesh=explicit))


EIGHT = textwrap.dedent(
    """
    import functools, re
    import jax, jax.numpy as jnp, numpy as np, optax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    import lrax
    from lrax.sweeps._batch import as_batch
    from lrax.sweeps._sweep import Program

    assert jax.device_count() == 8
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(64, 16)).astype(np.float32)
    targets = (inputs @ generator.normal(size=16)).astype(np.float32)
    devices = np.array(jax.devices())
    runs_only, both = Mesh(devices, ("runs",)), Mesh(devices.reshape(4, 2), ("runs", "data"))

    def loss_fn(params, batch, divided=None):
        x, y = batch if divided is None else jax.lax.with_sharding_constraint(batch, divided)
        return jnp.mean((jnp.tanh(x @ params["hidden"]) @ params["last"] - y) ** 2)

    def params():
        return {"hidden": jnp.eye(16), "last": jnp.full(16, 0.1)}

    def learner(divided=None):
        return lrax.Learner.create(functools.partial(loss_fn, divided=divided), params(), optax.adam)

    def train(data, schedule, key, divided=None):
        one = learner(divided)

        def step(state, count):
            chosen = jax.random.randint(jax.random.fold_in(key, count), (16,), 0, 64)
            return one.step(state, jax.tree.map(lambda leaf: leaf[chosen], data), schedule(count))

        return jax.lax.scan(step, one.state, jnp.arange(30))[1]

    data = inputs, targets
    rates = [lrax.Constant(rate) if i % 2 else lrax.Cosine(rate, 0.0, 30) for i, rate in enumerate(np.geomspace(1e-4, 0.1, 11))]
    keys = jax.random.split(jax.random.key(0), 11)
    alone = lrax.sweep(jax.tree_util.Partial(train, data), rates, keys)

    # Runs over an axis: 11 over 8 and over 4 devices, all at a time and in groups; nothing is exchanged but the metrics.
    bound = jax.tree_util.Partial(train, data)
    for mesh in (runs_only, both):
        for runs in (None, 8):
            over = lrax.sweep(bound, rates, keys, execution=lrax.Execution(max_parallel=runs, mesh=mesh))
            np.testing.assert_allclose(over, alone, rtol=1e-5)
    program = Program(bound, as_batch("sweep", rates, (keys,)), lrax.Execution(mesh=runs_only))
    text = program._compiled.as_text()
    assert not re.search("all-reduce|all-to-all|collective-permute|reduce-scatter", text)

    # A range test, its batch divided over the data axis, parameters whole or divided.
    divided = NamedSharding(both, P("data"))
    everywhere = NamedSharding(both, P())
    ramp = lrax.Geometric(1e-6, 0.01, 60)  # past that, rounding grows into another run
    plain = lrax.range_test(learner(), data, batch_size=16, key=jax.random.key(1), ramp=ramp)
    for spec in (P(), P("data")):
        sharded = jax.device_put(params(), NamedSharding(both, spec))
        over = lrax.Learner.create(functools.partial(loss_fn, divided=divided), sharded, optax.adam)
        for loop in ("scan", "python"):
            put = jax.device_put(data, divided)
            key = jax.device_put(jax.random.key(1), everywhere)
            found = lrax.range_test(over, put, batch_size=16, key=key, ramp=ramp, loop=loop)
            assert (found.steps_run, found.reason) == (plain.steps_run, plain.reason)
            np.testing.assert_allclose(found.losses, plain.losses, rtol=1e-4)

        # A race over the same divisions, its runs batched in one program or one by one.
        options = {"rungs": (10, 10), "batch_size": 16}
        alone_race = lrax.race(learner(), data, lrax.Constant(np.geomspace(1e-4, 0.1, 4)), key=jax.random.key(1), **options)
        for runs in (None, 1):
            options["execution"] = lrax.Execution(max_parallel=runs)
            raced = lrax.race(over, put, lrax.Constant(np.geomspace(1e-4, 0.1, 4)), key=key, **options)
            assert "side by side" not in raced.plan
            np.testing.assert_allclose(raced.losses, alone_race.losses, rtol=1e-4)
            np.testing.assert_array_equal(raced.order, alone_race.order)

    # Programs that exchange data run one at a time, also where only the loss knows that they do; Explicit axes are refused.
    weights = jax.device_put(np.ones((64, 4), np.float32), NamedSharding(runs_only, P("runs")))
    closing = lrax.Learner.create(lambda p, b: loss_fn(p, b) + 1e-6 * jnp.sum(weights @ jnp.ones(4)), params(), optax.adam)
    raced = lrax.race(closing, data, lrax.Constant(np.geomspace(1e-4, 0.1, 4)), rungs=4, batch_size=16, key=jax.random.key(1))
    assert "side by side" not in raced.plan
    explicit = Mesh(devices, ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    try:
        lrax.find_lr(learner(), jax.device_put(data, NamedSharding(explicit, P("data"))), batch_size=16, key=jax.random.key(1))
    except ValueError as error:
        assert "`data` must be arrays that are divided over a mesh whose axes are Auto" in str(error)
    else:
        raise AssertionError("data on Explicit axes are taken")

    # Both at once.
    split = jax.tree_util.Partial(functools.partial(train, divided=divided), jax.device_put(data, divided))
    np.testing.assert_allclose(lrax.sweep(split, rates, keys, execution=lrax.Execution(mesh=both)), alone, rtol=1e-4)
    print("all equal")
    """
)


@pytest.mark.slow
def test_eight_devices_equal_one():
    """On 8 devices, divided runs equal undivided ones to 1e-5, divided batches and parameters to 1e-4, and both together."""
    assert output("-c", EIGHT, devices=8) == "all equal\n"


def two_processes(*arguments):
    """The example in two processes of two devices each, over loopback; what each printed, and how each ended."""
    return in_two(lambda address: [EXAMPLE, *SMALL, "--coordinator", address, "--processes", 2, *arguments, "--process"])


def in_two(arguments):
    """What `arguments` says of an address, in two processes of two devices each: what each printed, and how each ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        shared = arguments(f"127.0.0.1:{probe.getsockname()[1]}")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen(**command(*shared, process, devices=2), **pipes) for process in (0, 1)]
    try:
        return [(*process.communicate(timeout=300), process.returncode) for process in running]
    finally:
        for process in running:
            process.kill()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """The same script in two processes gives the curve and the losses of one process to 1e-4; a second run loads them.

    Runs and batches are both divided. The highest rates are left out: there rounding grows into another run.
    """
    output(EXAMPLE, *SMALL, "--out", tmp_path / "one.npz")
    options = ["--out", tmp_path / "two.npz", "--folder", tmp_path / "kept", "--data-places", 2]
    (printed, errors, status), (silent, other_errors, other) = two_processes(*options)
    assert (status, other) == (0, 0), errors + other_errors
    assert "2 processes, 4 devices: {'runs': 2, 'data': 2}" in printed
    assert "peak" not in silent
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        np.testing.assert_allclose(two["losses"][:CALM], one["losses"][:CALM], rtol=1e-4)
        np.testing.assert_allclose(two["scores"][:STABLE], one["scores"][:STABLE], rtol=1e-4)
        np.testing.assert_allclose(two["metrics"][:STABLE], one["metrics"][:STABLE], rtol=1e-4)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    (again, errors, status), _ = two_processes(*options)
    assert status == 0, errors
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    table = slice(printed.index("schedule"), None)
    assert again[again.index("schedule") :] == printed[table]
    ended = two_processes(*options, "--seeds", "1")
    assert all(status != 0 and "of one with other schedules" in errors for _, errors, status in ended)


RACE = textwrap.dedent(
    """
    import functools, sys
    import jax, jax.numpy as jnp, numpy as np, optax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

    address, process = sys.argv[1], int(sys.argv[2])
    if address:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, 2, process)
    import lrax

    mesh = Mesh(np.array(jax.devices()), ("runs",))
    everywhere = NamedSharding(mesh, P())
    data = jax.device_put(np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32), everywhere)
    learner = lrax.Learner.create(
        lambda params, batch: jnp.mean((params - batch) ** 2), jnp.zeros(3), functools.partial(optax.sgd, momentum=0.9)
    )
    learner = jax.device_put(learner, everywhere)
    key = jax.jit(lambda: jax.random.key(1), out_shardings=everywhere)()
    schedules = lrax.Constant(np.float32([0.001, 0.01, 0.1, 0.3, 0.5, 1e20]))
    given = {"rungs": (4, 4, 8), "batch_size": 16, "key": key}
    for loop, evaluation in (("scan", None), ("python", lrax.Evaluation(lambda state: jnp.sum(state.params**2), every=3))):
        execution = lrax.Execution(mesh=mesh, loop=loop)
        race = lrax.race(learner, data, schedules, evaluation=evaluation, execution=execution, **given)
        print(race, race.losses.tolist(), jax.device_get(race.state.params).tolist())
    if address:
        try:
            lrax.race(learner, data, schedules, execution=execution, folder="x", **given)
        except ValueError as error:
            assert "`folder` must be left out where there are several processes" in str(error)
    """
)


@pytest.mark.slow
def test_a_race_over_two_processes_equals_one():
    """A race over a mesh of two processes is, in each of them, that of one process with as many devices."""
    alone = output("-c", RACE, "", 0, devices=4)
    for printed, errors, status in in_two(lambda address: ["-c", RACE, address]):
        assert status == 0, errors
        assert "\n".join(line for line in printed.splitlines() if "peer ranks" not in line) == alone.strip()
