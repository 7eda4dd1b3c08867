import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from problems import enable_x64

COUNTS = jnp.arange(20)


def train(schedule):
    """Gradient descent on a quadratic: the last loss and all losses."""

    def update(weight, count):
        return weight - schedule(count) * 2 * weight, weight**2

    _, losses = jax.lax.scan(update, jnp.ones(()), COUNTS)
    return {"final": losses[-1], "losses": losses}


def test_lanes_equal_separate_runs():
    """Every run of a sweep equals the run of its schedule alone, for batched fields and for a list."""
    peaks = jnp.geomspace(1e-3, 0.4, 8)
    batch = jax.vmap(lambda peak: lrax.warmup_cosine(peak=peak, warmup_steps=4, total_steps=20))(peaks)
    metrics = lrax.sweep(train, batch)
    listed = lrax.sweep(train, [lrax.warmup_cosine(float(peak), warmup_steps=4, total_steps=20) for peak in peaks])
    assert metrics["losses"].shape == (8, 20)
    for run, peak in enumerate(peaks):
        alone = train(lrax.warmup_cosine(float(peak), warmup_steps=4, total_steps=20))
        np.testing.assert_allclose(metrics["final"][run], alone["final"], rtol=1e-5)
        np.testing.assert_allclose(listed["final"][run], alone["final"], rtol=1e-5)


def test_lengths_may_differ():
    """Lengths are numbers like any other: schedules of different lengths run in one sweep."""
    schedules = [lrax.Cosine(0.3, 0.0, steps) for steps in (1, 5, 100)]
    metrics = lrax.sweep(train, schedules)
    np.testing.assert_allclose(metrics["final"], [train(schedule)["final"] for schedule in schedules], rtol=1e-5)


def test_a_diverging_lane_leaves_its_neighbours_alone():
    """A run that ends in NaN does not change the others."""
    metrics = lrax.sweep(train, jax.vmap(lrax.Constant)(jnp.array([0.1, 3e38, 0.2])))
    assert not np.isfinite(metrics["final"][1])
    assert np.isfinite(metrics["final"][jnp.array([0, 2])]).all()


def test_one_trace_for_all():
    """A sweep traces the training function once."""
    traces = []

    def counted(schedule):
        traces.append(1)
        return train(schedule)["final"]

    lrax.sweep(counted, jax.vmap(lrax.Constant)(jnp.linspace(0.1, 0.2, 16)))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("error", "message", "schedules"),
    [
        (ValueError, "at least one schedule", []),
        (TypeError, r"`schedules\[1\]` must be a schedule", [lrax.Constant(0.1), 0.1]),
        (TypeError, "`schedules` must be a schedule", 0.1),
        (ValueError, "one leading axis", lrax.Constant(0.1)),
    ],
)
def test_bad_schedules_are_named(error, message, schedules):
    """What cannot be swept is an error that names the argument."""
    with pytest.raises(error, match=message):
        lrax.sweep(train, schedules)


PEAKS = np.geomspace(1e-3, 0.4, 7).astype(np.float32)


def test_some_fields_only_may_be_batched():
    """Fields that are the same in all runs need no leading axis; a list inside a schedule is not taken for one."""
    schedules = lrax.MultiStep(PEAKS, factor=0.5, boundaries=[5, 10, 15])
    metrics = lrax.sweep(train, schedules)
    listed = lrax.sweep(train, [lrax.MultiStep(peak, 0.5, [5, 10, 15]) for peak in PEAKS])
    np.testing.assert_allclose(metrics["losses"], listed["losses"], rtol=1e-6)
    inner = lrax.Warmup(lrax.Cosine(PEAKS, 0.0, 20), 4)
    assert lrax.sweep(train, inner)["final"].shape == (7,)


def test_classes_may_differ():
    """A list of different classes is one sweep, each run as if it were alone; a callable counts as a class."""
    schedules = [
        lrax.Constant(0.1),
        lrax.Cosine(0.3, 0.0, 20),
        lrax.Constant(0.2),
        lrax.MultiStep(0.3, 0.5, [5, 10]),
        lrax.MultiStep(0.3, 0.5, [5]),
        lambda count: 0.1 / (count + 1).astype(jnp.float32),
    ]
    for runs in (1, 4, 6):
        metrics = lrax.sweep(train, schedules, execution=lrax.Execution(max_parallel=runs))
        for run, schedule in enumerate(schedules):
            np.testing.assert_allclose(metrics["losses"][run], train(schedule)["losses"], rtol=1e-5)


def test_a_length_may_be_asked_of_mixed_classes():
    """A training function that reads the schedule's length gets that of its run, or None if one class has none."""
    lengths = lrax.sweep(lambda schedule: jnp.asarray(schedule.length), [lrax.Cosine(1, 0, 5), lrax.Linear(0, 1, 9)])
    assert list(lengths) == [5, 9]
    none = lrax.sweep(lambda s: jnp.asarray(s.length is None), [lrax.Cosine(1, 0, 5), lrax.Constant(1)])
    assert none.all()


def noisy(schedule, key):
    """Gradient descent on a noisy quadratic."""
    start = jax.random.normal(key) + 3

    def update(weight, count):
        return weight - schedule(count) * 2 * weight, weight**2

    return jax.lax.scan(update, start, COUNTS)[1]


def test_keys_and_other_pytrees_are_swept_too():
    """Other arguments are divided among the runs as the schedules are; one schedule may take many keys."""
    keys = jax.random.split(jax.random.key(0), 7)
    together = lrax.sweep(noisy, lrax.Constant(PEAKS), keys)
    for run in range(7):
        np.testing.assert_allclose(together[run], noisy(lrax.Constant(PEAKS[run]), keys[run]), rtol=1e-5)
    assert lrax.sweep(noisy, lrax.Constant(0.1), keys).shape == (7, 20)
    pytree = {"scale": np.arange(7.0), "shift": (np.arange(7, dtype=np.float32),)}
    added = lrax.sweep(lambda s, other: s(0) + other["scale"] + other["shift"][0], lrax.Constant(PEAKS), pytree)
    np.testing.assert_allclose(added, PEAKS + 2 * np.arange(7), rtol=1e-6)


def test_cross_is_every_schedule_with_every_key():
    """`grid` makes a run of every pair, the schedule moving slowest; lists stay lists."""
    keys = jax.random.split(jax.random.key(0), 3)
    schedules, crossed = lrax.grid(lrax.Constant(PEAKS), keys)
    np.testing.assert_array_equal(schedules.value, np.repeat(PEAKS, 3))
    np.testing.assert_array_equal(jax.random.key_data(crossed[4]), jax.random.key_data(keys[1]))
    listed, _ = lrax.grid([lrax.Constant(0.1), lrax.Cosine(1, 0, 5)], keys)
    assert [type(schedule).__name__ for schedule in listed] == ["Constant"] * 3 + ["Cosine"] * 3
    with pytest.raises(ValueError, match="`others` must be arrays with one leading axis"):
        lrax.grid(lrax.Constant(PEAKS), 3)


@pytest.mark.parametrize("runs", [1, 2, 3, 7, 100, None])
def test_any_number_of_lanes_at_a_time(runs):
    """However many runs are trained at a time, the metrics are the same to 1e-6, and the training function is traced once."""
    traces = []

    def counted(schedule):
        traces.append(1)
        return train(schedule)

    metrics = lrax.sweep(counted, lrax.Constant(PEAKS), execution=lrax.Execution(max_parallel=runs))
    np.testing.assert_allclose(
        metrics["losses"],
        lrax.sweep(train, lrax.Constant(PEAKS), execution=lrax.Execution(max_parallel=7))["losses"],
        rtol=1e-6,
    )
    assert len(traces) == 1


@pytest.mark.parametrize("runs", [1, 3])
def test_one_compilation_for_all_groups(runs, caplog):
    """A sweep in groups compiles its program once, and a second sweep with other numbers not at all."""

    def fresh(schedule):
        return train(schedule)["final"]

    with jax.log_compiles(True):
        lrax.sweep(fresh, lrax.Constant(PEAKS), execution=lrax.Execution(max_parallel=runs))
        lrax.sweep(fresh, lrax.Constant(PEAKS * 2), execution=lrax.Execution(max_parallel=runs))
    compiled = [record for record in caplog.records if "Finished XLA compilation of jit(group)" in record.getMessage()]
    assert len(compiled) == 1


@pytest.mark.parametrize("call", [lrax.sweep, lrax.run_sweep])
def test_what_trains_is_a_function(call):
    """The number that a training function has returned is not a training function."""
    with pytest.raises(TypeError, match=rf"^{call.__name__}: `train` must be a function schedule -> metrics, got 0.5"):
        call(0.5, lrax.Constant(PEAKS))


def test_a_sweep_under_jit():
    """Inside a program that is traced, a sweep is part of that program, `max_parallel` runs at a time."""
    for runs in (None, 3):
        execution = lrax.Execution(max_parallel=runs)
        inside = jax.jit(lambda peaks, given=execution: lrax.sweep(train, lrax.Constant(peaks), execution=given)["final"])(
            PEAKS
        )
        np.testing.assert_allclose(inside, lrax.sweep(train, lrax.Constant(PEAKS))["final"], rtol=1e-6)


def test_metrics_of_any_dtype():
    """Metrics keep their structure and dtypes: bfloat16, integers, booleans, keys."""

    def typed(schedule):
        rate = schedule(0)
        return rate.astype(jnp.bfloat16), {"step": jnp.int8(3), "key": jax.random.key(0)}, rate > 0.1

    rate, inner, flag = lrax.sweep(typed, lrax.Constant(PEAKS), execution=lrax.Execution(max_parallel=2))
    assert (rate.dtype, inner["step"].dtype, flag.dtype) == (jnp.bfloat16, jnp.int8, jnp.bool_)
    assert inner["key"].shape == (7,)
    np.testing.assert_array_equal(jax.random.key_data(inner["key"][0]), jax.random.key_data(jax.random.key(0)))


def test_double_precision():
    """With x64, metrics of float64 come back as they are, from the side-by-side programs too."""
    with enable_x64(True):
        doubled = lrax.sweep(lambda s, x: s(0).astype(jnp.float64) + x, lrax.Constant(PEAKS), np.arange(7.0) * 1e-12)
    assert doubled.dtype == np.float64
    np.testing.assert_allclose(np.asarray(doubled) - PEAKS, np.arange(7) * 1e-12, atol=1e-16)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (TypeError, "`train` must be callable as", (np.arange(7),), {}),
        (TypeError, "`execution` must be an lrax.Execution", (), {"execution": 8}),
        (ValueError, "`execution.loop` must be left out of sweep", (), {"execution": lrax.Execution(loop="scan")}),
    ],
)
def test_bad_options_are_named(error, message, arguments, options):
    """Options that make no sense are errors that name the argument."""
    with pytest.raises(error, match=message):
        lrax.sweep(train, lrax.Constant(PEAKS), *arguments, **options)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "Execution: `max_parallel` must be an integer of at least 1, got 0", {"max_parallel": 0}),
        (TypeError, "Execution: `max_parallel` must be an integer of at least 1, got True", {"max_parallel": True}),
        (ValueError, "did you mean 'python'", {"loop": "pyton"}),
        (TypeError, "Execution: `mesh` must be a jax.sharding.Mesh, got 3", {"mesh": 3}),
    ],
)
def test_executions_that_cannot_be_used_are_named(error, message, options):
    """An option that is not one is an error when the `Execution` is made."""
    with pytest.raises(error, match=message):
        lrax.Execution(**options)


def test_others_of_another_length_are_named():
    """Other arguments must have one entry for each run."""
    with pytest.raises(ValueError, match=r"`others\[0\]` must be arrays with one leading axis, one entry for each run \(7\)"):
        lrax.sweep(noisy, lrax.Constant(PEAKS), np.arange(6))
    with pytest.raises(ValueError, match=r"`others\[0\]` must be .*; make an array of the list with jnp.asarray"):
        lrax.sweep(noisy, lrax.Constant(PEAKS), [1, 2, 3, 4, 5, 6, 7])


def test_arrays_of_a_partial_are_shared():
    """What a `jax.tree_util.Partial` holds is an argument that all runs share: other arrays make no other program."""
    traces = []

    def scaled(scale, schedule):
        traces.append(1)
        return scale * train(schedule)["losses"]

    for factor in (1.0, 2.0):
        bound = jax.tree_util.Partial(scaled, jnp.full(20, factor))
        losses = lrax.sweep(bound, lrax.Constant(PEAKS), execution=lrax.Execution(max_parallel=3))
        np.testing.assert_allclose(losses, factor * lrax.sweep(train, lrax.Constant(PEAKS))["losses"], rtol=1e-6)
    assert len(traces) == 1


def test_a_single_callable_is_swept():
    """A list of one callable, which has no numbers, is a run like any other."""
    assert lrax.sweep(lambda schedule: schedule(np.arange(3)), [lambda count: 0.1]).shape == (1, 3)


@pytest.mark.parametrize(
    ("schedules", "error", "message"),
    [
        (
            [lrax.Constant(0.1), lrax.Constant(np.array([0.1, 0.2]))],
            ValueError,
            r"`schedules\[1\]` must be one schedule",
        ),
        (
            [lrax.Constant(0.1), lambda count: "a"],
            TypeError,
            r"`schedules\[1\]` must be a function count -> learning rate, in jnp",
        ),
        ([lambda count: jnp.ones(2)], ValueError, r"`schedules\[0\]` must be a function count -> one learning rate"),
    ],
)
def test_what_a_list_cannot_hold_is_named(schedules, error, message):
    """Batches, and functions that give no rate, are an error that names their place in the list."""
    with pytest.raises(error, match=message):
        lrax.sweep(lambda schedule: schedule(0), schedules)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("text", "`train` must be a function whose metrics are arrays, got 'text'"),
        ({"loss": 1.0, "name": "x"}, r"`train` must be a function whose metrics are arrays at \['name'\], got 'x'"),
        (object(), "`train` must be a function whose metrics are arrays, got <object"),
        (None, "`train` must return metrics, a pytree of arrays, got one without arrays"),
    ],
)
def test_what_is_not_a_metric_is_named(metrics, message):
    """What a training function returns and cannot is an error that names it and its place, under jit too."""
    with pytest.raises((TypeError, ValueError), match=message):
        lrax.sweep(lambda schedule: metrics, lrax.Constant(PEAKS))


@pytest.mark.parametrize("other", ["text", ["a"] * 7, np.array(["a"] * 7), object(), np.sin, [1, "a"]])
def test_other_arguments_must_be_numbers(other):
    """Text, objects and functions as other arguments are errors that name their path; so are those in a Partial."""
    with pytest.raises(TypeError, match=r"`others\[0\].*` must be a number or an array of numbers"):
        lrax.sweep(noisy, lrax.Constant(PEAKS), other)
    with pytest.raises(TypeError, match=r"`train.*` must be a number or an array of numbers"):
        lrax.sweep(jax.tree_util.Partial(lambda bound, schedule: schedule(0), other), lrax.Constant(PEAKS))
