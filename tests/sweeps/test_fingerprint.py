import functools

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from small_sweep import PEAKS, train

RATES = lrax.Constant(np.array([0.1, 0.2, 0.3], np.float32))
ANOTHER = "must hold this sweep, got .* of one with other training function, precision or mesh; give another folder"


@pytest.mark.parametrize("changed", ["schedules", "arguments", "training function", "array in it"])
def test_files_of_another_sweep_are_refused(changed, tmp_path):
    """A folder with files of another sweep is refused before anything runs, and the message says what differs."""
    seeds = jax.random.split(jax.random.key(0), 4)
    scale = np.ones(1, np.float32)
    lrax.run_sweep(lambda s, k: train(s, k) * scale, lrax.Constant(PEAKS), seeds, folder=tmp_path)
    rates, other = PEAKS, lambda s, k: train(s, k) * scale
    if changed == "schedules":
        rates = PEAKS / 2
    elif changed == "arguments":
        seeds = jax.random.split(jax.random.key(1), 4)
    elif changed == "training function":
        other = lambda s, k: train(s, k) * scale + 1  # noqa: E731
    else:
        scale = np.zeros(1, np.float32)
        changed = "training function"
    with pytest.raises(ValueError, match=rf"of one with other {changed}.*; give another folder"):
        lrax.run_sweep(other, lrax.Constant(rates), seeds, folder=tmp_path)


def jitted_loss(data):
    """A jitted loss that closes over its data."""

    @jax.jit
    def loss(x):
        return jnp.sum(jnp.asarray(data)) * x

    return lambda schedule: loss(schedule(0))


def validation_score(data):
    """A loss under grad, and the same, jitted, as a score on held-out data."""
    held_out = jnp.asarray(data)

    @jax.jit
    def loss(weight, examples):
        return jnp.mean((weight - examples) ** 2)

    def trained(schedule):
        def update(weight, count):
            return weight - schedule(count) * jax.grad(loss)(weight, jnp.ones(4)), None

        weight, _ = jax.lax.scan(update, jnp.zeros(()), jnp.arange(5))
        return loss(weight, held_out)

    return trained


def jitted_validation(data):
    """A jitted function of the parameters alone."""
    validate = jax.jit(lambda weight: jnp.mean((weight - jnp.asarray(data)) ** 2))
    return lambda schedule: validate(schedule(0))


def jitted_update(data):
    """A jitted update that is called in a scan."""

    @jax.jit
    def update(weight, rate):
        return weight - rate * jnp.mean(weight - jnp.asarray(data))

    def trained(schedule):
        return jax.lax.scan(lambda weight, count: (update(weight, schedule(count)), weight), 0.0, jnp.arange(5))[1]

    return trained


def deeper(wrap):
    """A jitted function inside what `wrap` makes of it."""

    def make(data):
        inner = jax.jit(lambda x: jnp.sum(jnp.asarray(data)) * x)
        return lambda schedule: wrap(inner)(schedule(0))

    return make


def custom(data):
    """A function with a derivative of its own, whose rule holds the data."""

    @jax.custom_vjp
    def loss(x):
        return x

    loss.defvjp(lambda x: (x, None), lambda _, slope: (slope * jnp.sum(jnp.asarray(data)),))
    return lambda schedule: jax.grad(loss)(schedule(0))


STALE = {
    "a jitted loss": jitted_loss,
    "a jitted loss of held-out data": validation_score,
    "a jitted validation": jitted_validation,
    "a jitted update in a scan": jitted_update,
    "a plain closure": lambda data: lambda schedule: jnp.sum(jnp.asarray(data)) * schedule(0),
    "jit in jit": deeper(lambda inner: jax.jit(lambda x: inner(x) + 1)),
    "jit in checkpoint": deeper(jax.checkpoint),
    "jit in cond": deeper(lambda inner: lambda x: jax.lax.cond(x > 0, inner, lambda x: x, x)),
    "jit in while": deeper(lambda inner: lambda x: jax.lax.while_loop(lambda x: x < 1, lambda x: inner(x) + 1, x)),
    "jit in vmap": deeper(lambda inner: lambda x: jax.vmap(inner)(x[None])[0]),
    "a custom derivative": custom,
}


@pytest.mark.parametrize("array", [jnp.asarray, np.asarray], ids=["jax", "numpy"])
@pytest.mark.parametrize("script", STALE)
def test_data_anywhere_in_the_program_count(script, array, tmp_path):
    """Other data behind the same code is another sweep, wherever the data are closed over; the same data is the same."""
    make, data = STALE[script], np.arange(4, dtype=np.float32)
    first = lrax.run_sweep(make(array(data)), RATES, folder=tmp_path)
    again = lrax.run_sweep(make(array(data.copy())), RATES, folder=tmp_path)
    np.testing.assert_array_equal(first.metrics, again.metrics)
    with pytest.raises(ValueError, match=ANOTHER):
        lrax.run_sweep(make(array(data + 1)), RATES, folder=tmp_path)


def test_random_keys_in_a_jitted_function_count(tmp_path):
    """Another key inside a jitted function is another sweep."""

    def make(seed):
        key = jax.random.key(seed)
        noise = jax.jit(lambda x: x + jax.random.normal(key))
        return lambda schedule: noise(schedule(0))

    lrax.run_sweep(make(0), RATES, folder=tmp_path)
    lrax.run_sweep(make(0), RATES, folder=tmp_path)
    with pytest.raises(ValueError, match=ANOTHER):
        lrax.run_sweep(make(1), RATES, folder=tmp_path)


def called_back(call):
    """A training function that gets a value from Python."""
    value = jax.ShapeDtypeStruct((), np.float32)
    return lambda schedule: jax.jit(lambda x: call(lambda y: np.float32(2 * y), value, x))(schedule(0))


@pytest.mark.parametrize(
    ("name", "call"), [("pure_callback", jax.pure_callback), ("io_callback", jax.experimental.io_callback)]
)
def test_what_python_gives_is_refused(name, call, tmp_path):
    """What a callback holds cannot be told from what it held last time: a folder is refused, with words that say why."""
    with pytest.raises(ValueError, match=rf"`folder` must be left out where `train` has a {name}.*values from Python"):
        lrax.run_sweep(called_back(call), RATES, folder=tmp_path, execution=lrax.Execution(max_parallel=1))
    assert not list(tmp_path.iterdir())


def test_what_python_is_only_told_is_taken(tmp_path):
    """A callback that gives nothing back, for a log, changes no number, and a folder is taken."""
    told = []

    def logged(schedule):
        jax.debug.callback(lambda rate: told.append(float(rate)), schedule(0))
        return schedule(0)

    lrax.run_sweep(logged, RATES, folder=tmp_path, execution=lrax.Execution(max_parallel=1))
    jax.effects_barrier()
    assert len(told) == 3
    lrax.run_sweep(logged, RATES, folder=tmp_path, execution=lrax.Execution(max_parallel=1))
    jax.effects_barrier()
    assert len(told) == 3


def scaled(data, schedule):
    """A training function that takes its data as an argument."""
    return jnp.sum(data.astype(jnp.float32)) * schedule(0)


class Scaling:
    """A training function that holds its data."""

    def __init__(self, data):
        self.data = data

    def __call__(self, schedule):
        return scaled(self.data, schedule)

    method = __call__


@jax.tree_util.register_pytree_node_class
class Node(Scaling):
    """The same as a pytree, whose data is a leaf."""

    def tree_flatten(self):
        return (self.data,), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


BOUND = {
    "Partial": lambda data: jax.tree_util.Partial(scaled, data),
    "Partial by keyword": lambda data: jax.tree_util.Partial(lambda schedule, data: scaled(data, schedule), data=data),
    "Partial of a dict": lambda data: jax.tree_util.Partial(lambda held, schedule: scaled(held["x"], schedule), {"x": data}),
    "Partial of a jitted function": lambda data: jax.tree_util.Partial(jax.jit(scaled), data),
    "Partial of a Partial": lambda data: jax.tree_util.Partial(
        jax.tree_util.Partial(lambda a, b, s: a * scaled(b, s), 2.0), data
    ),
    "Partial of a Python number": lambda data: jax.tree_util.Partial(lambda number, s: number * s(0), float(data[1])),
    "functools.partial": lambda data: functools.partial(scaled, data),
    "functools.partial of a Partial": lambda data: functools.partial(jax.tree_util.Partial(scaled, data)),
    "an object that is called": Scaling,
    "a method": lambda data: Scaling(data).method,
    "a pytree that is called": Node,
}


@pytest.mark.parametrize("kind", BOUND)
def test_data_bound_to_the_training_function_count(kind, tmp_path):
    """Other data that is bound, however it is, is another sweep; a copy of it, and the same data in NumPy, is the same."""
    make, data = BOUND[kind], jnp.arange(4, dtype=jnp.float32)
    first = lrax.run_sweep(make(data), RATES, folder=tmp_path)
    for same in (data.copy(), np.asarray(data)):
        np.testing.assert_array_equal(lrax.run_sweep(make(same), RATES, folder=tmp_path).metrics, first.metrics)
    with pytest.raises(ValueError, match=ANOTHER):
        lrax.run_sweep(make(data + 1), RATES, folder=tmp_path)


@pytest.mark.parametrize("kind", ["Partial", "functools.partial"])
@pytest.mark.parametrize("other", [lambda a: a.astype(jnp.float16), lambda a: a[:, None], lambda a: a[:3], lambda a: -a[::-1]])
def test_the_dtype_shape_and_order_of_data_count(kind, other, tmp_path):
    """The same numbers in another dtype, shape or order, or some of them, are other data."""
    data = jnp.arange(4, dtype=jnp.float32)
    lrax.run_sweep(BOUND[kind](data), RATES, folder=tmp_path)
    with pytest.raises(ValueError, match=ANOTHER):
        lrax.run_sweep(BOUND[kind](other(data)), RATES, folder=tmp_path)


def first_rate(schedule):
    """A training function that asks for one learning rate alone."""
    return schedule(0)


@pytest.mark.parametrize(
    "other",
    [
        lrax.Cosine(RATES.value, 0.0, 100),
        lrax.Linear(RATES.value, 0.0, 101),
        [lrax.Linear(rate, 0.0, 100) for rate in RATES.value[::-1]],
        [lrax.Linear(RATES.value[0], 0.0, 100), *[lrax.Cosine(rate, 0.0, 100) for rate in RATES.value[1:]]],
    ],
    ids=["class", "length", "order", "classes"],
)
def test_schedules_count_even_if_the_metrics_are_the_same(other, tmp_path):
    """Another schedule is another sweep, also where the training function asks for what the two have in common."""
    lrax.run_sweep(first_rate, lrax.Linear(RATES.value, 0.0, 100), folder=tmp_path)
    with pytest.raises(ValueError, match="of one with other schedules"):
        lrax.run_sweep(first_rate, other, folder=tmp_path)


@pytest.mark.parametrize(
    "change", [lambda a: a.astype(np.int8), lambda a: a + 1, lambda a: {"a": a}], ids=["dtype", "values", "structure"]
)
def test_arrays_next_to_the_schedules_count(change, tmp_path):
    """They count even if the training function does not use them; NumPy's int64 is what JAX makes of it."""
    others = np.arange(3, dtype=np.int32)
    for same in (others, np.arange(3, dtype=np.int64), jnp.arange(3, dtype=jnp.int32)):
        lrax.run_sweep(lambda schedule, other: schedule(0), RATES, same, folder=tmp_path)
    with pytest.raises(ValueError, match=r"of one with other arguments \(`others`\)"):
        lrax.run_sweep(lambda schedule, other: schedule(0), RATES, change(others), folder=tmp_path)
