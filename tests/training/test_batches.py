"""Where batches come from: what is drawn, what is left out, what is refused."""

import functools
import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

import lrax
from compilations import compilations
from lrax.training import _steps
from lrax.training._batches import Stream, _is_explicit
from problems import linear_learner, regression, squared_error

KEY = jax.random.key(0)


def mean_learner():
    """A learner whose loss is about the mean of its batch."""
    return lrax.Learner.create(lambda params, batch: (params - jnp.mean(batch)) ** 2, jnp.zeros(()), optax.sgd)


def batch_of(examples, length, dtype="float32", seed=0):
    """Sequences of one length and a target for each."""
    generator = np.random.default_rng(seed + examples + length)
    inputs = (
        generator.integers(-3, 4, size=(examples, length)) if dtype == "int32" else generator.normal(size=(examples, length))
    )
    return {"x": inputs.astype(dtype), "y": generator.normal(size=examples).astype(np.float32)}


def pooled(params, batch):
    """A loss whose mean over a sequence divides by its length; a mask, where there is one, counts."""
    x = jnp.atleast_1d(batch["x"]).astype(jnp.float32)
    weight = batch.get("mask", jnp.ones(x.shape))
    return jnp.mean((params * jnp.mean(x * weight, axis=-1) - batch["y"]) ** 2)


LEARNER = lrax.Learner.create(pooled, jnp.ones(()), optax.sgd)

SHAPES = {
    "other lengths": [batch_of(4, 10), batch_of(4, 40), batch_of(4, 20), batch_of(4, 80)],
    "a token budget": [batch_of(8, 16), batch_of(2, 64), batch_of(4, 32)],
    "a small first batch": [batch_of(2, 8), batch_of(8, 8, seed=1), batch_of(8, 8, seed=2)],
    "a small one in the middle": [batch_of(8, 8), batch_of(2, 8), batch_of(8, 8, seed=2)],
    "other dtypes": [batch_of(4, 8), batch_of(4, 8, "int32"), batch_of(4, 8, "float16")],
    "a key in one batch alone": [batch_of(4, 8), batch_of(4, 8) | {"mask": np.tri(4, 8, dtype=np.float32)}],
    "numbers and arrays": [{"x": 2.0, "y": 1.0}, {"x": np.float32(2), "y": 3}, batch_of(4, 8)],
}


jitted = functools.cache(jax.jit)


def by_hand(learner, batches, rates):
    """The losses of `learner.step`, batch after batch."""
    state, losses, step = learner.state, [], jitted(learner.step)
    for i, rate in enumerate(rates):
        state, loss = step(state, batches[i % len(batches)], jnp.float32(rate))
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize("case", SHAPES)
def test_batches_of_other_shapes_train_as_by_hand(case):
    """Batches that differ in shape, dtype or structure give the losses that `learner.step` gives, batch after batch."""
    batches = SHAPES[case]
    found = lrax.range_test(LEARNER, batches, ramp=lrax.Geometric(0.01, 0.3, 7))
    np.testing.assert_allclose(found.losses, by_hand(LEARNER, batches, found.learning_rates), rtol=2e-5)
    assert found.left_out == 0


@pytest.mark.standard_promotion  # of optax.MultiSteps
def test_runs_side_by_side_see_other_shapes_too():
    """In a race every run, alone or in a group, trains on each batch as it is; so does an optimizer that accumulates them."""
    batches, rates = SHAPES["a token budget"], np.float32([0.05, 0.1, 0.2])
    for together in (1, 3):
        result = lrax.race(LEARNER, batches, lrax.Constant(rates), rungs=5, execution=lrax.Execution(max_parallel=together))
        for rate, losses in zip(rates, result.losses, strict=True):
            np.testing.assert_allclose(losses, by_hand(LEARNER, batches, [rate] * 5), rtol=2e-5)
    twice = lrax.Learner.create(pooled, jnp.ones(()), lambda rate: optax.MultiSteps(optax.sgd(rate), 2))
    result = lrax.race(twice, batches, lrax.Constant(rates[:1]), rungs=4, accumulate=2)
    hand = np.reshape(by_hand(twice, batches, [rates[0]] * 8), (4, 2)).mean(axis=1)
    np.testing.assert_allclose(result.losses[0], hand, rtol=2e-5)


def test_a_program_is_compiled_once_for_each_shape():
    """Batches of a shape that was seen before compile nothing, in the same call or in the next one."""
    learner = lrax.Learner.create(lambda params, batch: pooled(params, batch) + 1, jnp.ones(()), optax.sgd)
    options = {"ramp": lrax.Geometric(0.01, 0.1, 5)}
    lrax.range_test(learner, SHAPES["a token budget"][:1], **options)
    with compilations() as compiled:
        lrax.range_test(learner, SHAPES["a token budget"], **options)
    assert len(compiled) == 2
    with compilations() as compiled:
        lrax.range_test(learner, [*SHAPES["a token budget"], batch_of(2, 64)], **options)
    assert not compiled


def test_programs_that_cannot_be_shared_are_kept_for_every_shape():
    """A loss with a jitted function that closes over an array compiles once for each shape, also over several calls."""
    big = jnp.arange(3.0)
    inner = jax.jit(lambda params: jnp.sum(big) * params)
    learner = lrax.Learner.create(lambda params, batch: pooled(inner(params), batch), jnp.ones(()), optax.sgd)
    options = {"ramp": lrax.Geometric(0.01, 0.1, 5)}
    lrax.range_test(learner, SHAPES["a token budget"], **options)
    with compilations() as compiled:
        lrax.range_test(learner, SHAPES["a token budget"], **options)
    assert not compiled


def test_too_many_shapes_are_refused(monkeypatch):
    """A shape beyond the most is an error that names the batch and says what to do."""
    monkeypatch.setattr(_steps, "MOST", 3)
    learner = lrax.Learner(jnp.zeros(()), lambda state, batch, rate: (state + rate, jnp.sum(batch)))
    with pytest.raises(ValueError, match=r"race: `data` must be batches of at most 3 .*float32\[4\] as batch 4; pad.*buckets"):
        lrax.race(learner, [np.ones(i, np.float32) for i in range(1, 6)], lrax.Constant(np.float32([0.1])), rungs=40)


def test_a_partial_last_batch_is_left_out_and_counted():
    """The last batch of each pass is left out if it is smaller than the first and else the same; results say how many were."""
    batches = [batch_of(8, 8), batch_of(8, 8, seed=1), batch_of(3, 8)]
    result = lrax.race(LEARNER, batches, lrax.Constant(np.float32([0.1])), rungs=6)
    np.testing.assert_allclose(result.losses[0], by_hand(LEARNER, batches[:2], [0.1] * 6), rtol=2e-5)
    assert result.left_out == 2
    assert "2 partial last batches were left out" in str(result)
    found = lrax.range_test(LEARNER, batches, ramp=lrax.Geometric(0.01, 0.1, 3))
    assert (found.left_out, found.steps_run) == (1, 4)
    assert "; 1 partial last batch was left out" in str(found)
    assert "left out" not in str(lrax.range_test(LEARNER, batches[:2], ramp=lrax.Geometric(0.01, 0.1, 3)))


@pytest.mark.parametrize(
    ("last", "left_out"),
    [(batch_of(3, 8), 1), (batch_of(3, 4), 0), (batch_of(3, 8, "int32"), 0), (batch_of(9, 8), 0), ({"x": 1.0, "y": 1.0}, 0)],
    ids=["partial", "shorter as well", "of another dtype", "larger", "numbers"],
)
def test_what_counts_as_partial(last, left_out):
    """Only a batch that differs in nothing but fewer examples is partial."""
    stream = Stream("test", [batch_of(8, 8), last])
    given = list(itertools.islice(stream, 4 - 2 * left_out))
    next(stream)
    assert stream.notes.left_out == 2 * left_out
    assert len([batch for batch in given if batch is last]) == 2 - 2 * left_out


def test_a_transform_that_pads_leaves_nothing_out():
    """Batches are compared after their transform, so that a padded last batch is trained on."""

    def padded(batch):
        missing = 8 - len(batch["y"])
        return {"x": np.pad(batch["x"], ((0, missing), (0, 0))), "y": np.pad(batch["y"], (0, missing))}

    batches = [batch_of(8, 8), batch_of(3, 8)]
    result = lrax.race(LEARNER, batches, lrax.Constant(np.float32([0.1])), rungs=4, transform=padded)
    np.testing.assert_allclose(result.losses[0], by_hand(LEARNER, list(map(padded, batches)), [0.1] * 4), rtol=2e-5)
    assert result.left_out == 0


@pytest.mark.parametrize("call", ["find_lr", "race", "range_test"])
def test_a_state_whose_shape_follows_the_batch_is_named(call):
    """The error names the call, the leaf, the number of the batch, its shapes and those of the first."""

    def update(state, batch, rate):
        return {"weight": state["weight"] + rate, "last": batch[:, 0]}, jnp.sum(batch)

    learner = lrax.Learner({"weight": jnp.zeros(()), "last": jnp.zeros(4)}, update)
    data = [np.ones((4, 2), np.float32), np.ones((6, 2), np.float32)]
    options = {"schedules": lrax.Constant(np.float32([0.1])), "rungs": 4} if call == "race" else {}
    message = (
        rf"{call}: .*keep the state's shapes and dtypes: state\['last'\] is float32\[6\] instead of float32\[4\]; "
        r"this was batch 2 of `data`, float32\[6, 2\], where the first was float32\[4, 2\]"
    )
    with pytest.raises(ValueError, match=message):
        getattr(lrax, call)(learner, data, **options)


def test_an_error_of_the_loss_says_which_batch_it_was():
    """A batch that the loss cannot take raises the loss's own error, with a note on that batch and the first."""
    batches = [batch_of(4, 8), {"y": np.ones(4, np.float32)}]
    with pytest.raises(KeyError, match="x") as caught:
        lrax.find_lr(LEARNER, batches)
    (note,) = [note for note in caught.value.__notes__ if note.startswith("lrax")]
    assert "batch {'y': float32[4]}, batch 2 of `data`, where the first was {'x': float32[4, 8], 'y': float32[4]}" in note


def test_random_keys_are_data_like_others():
    """Typed random keys beside the arrays are drawn with their examples."""

    def loss_fn(params, batch):
        x, keys = batch
        return jnp.mean((params - x - jax.vmap(lambda key: jax.random.uniform(key))(keys)) ** 2)

    learner = lrax.Learner.create(loss_fn, jnp.zeros(()), optax.sgd)
    data = jnp.ones(8), jax.random.split(KEY, 8)
    assert lrax.find_lr(learner, data, batch_size=4, key=KEY).steps_run > 5
    assert lrax.race(learner, data, lrax.Constant(np.float32([0.1, 0.2])), rungs=5, batch_size=4, key=KEY).winner is not None


@pytest.mark.parametrize(
    ("leaf", "shown"), [(object(), "<object"), ("text", "'text'"), (np.array(["a"]), "array")], ids=["object", "word", "words"]
)
def test_what_is_no_array_is_named(leaf, shown):
    """A batch that holds something else than numbers is refused by the place in it, with a way out."""
    with pytest.raises(TypeError, match=rf"find_lr: `data\[1\]` must be an array of numbers, got {shown}.*transform"):
        lrax.find_lr(mean_learner(), [(np.ones(3), leaf)])


DATA = regression()
BATCHES = [tuple(array[i : i + 16] for array in DATA) for i in range(0, 64, 16)]


@pytest.mark.parametrize(
    "data",
    [lambda: zip(*(array.reshape(4, 16, -1).squeeze() for array in DATA), strict=True), lambda: iter([*BATCHES * 16][:62])],
    ids=["zip", "iterator of a list"],
)
def test_a_ramp_that_the_data_ended_has_no_peak(data):
    """A one-shot iterable that ends in the ramp, even in its drop, gives no peak and no schedule, and says what to do."""
    found = lrax.find_lr(linear_learner(), data())
    assert (found.peak, found.ended) == (None, True)
    assert found.reason is lrax.finder.Reason.DATA_ENDED
    assert "give a list or a loader that can be iterated again" in str(found)
    with pytest.raises(ValueError, match=r"FinderResult.rescale: find_lr found no peak .data ended.: the data ended after"):
        found.rescale(lrax.Constant(1.0), total_steps=100)


def test_data_that_end_in_the_runs_are_said():
    """Where the ramp is whole and the runs after it are not, there is no peak, and the result says why."""
    found = lrax.find_lr(linear_learner(), itertools.islice(itertools.cycle(BATCHES), 130))
    assert (found.peak, len(found.runs), found.ended) == (None, 0, True)
    assert "the data ended in the short runs and could not be iterated again: give a list or a loader" in str(found)
    race = lrax.race(linear_learner(), iter(BATCHES), lrax.Constant(np.float32([0.1])), rungs=9)
    assert "before the last rung did: give a list or a loader that can be iterated again" in str(race)


MISTAKES = {
    "batches, and a size": (BATCHES, {"batch_size": 16}, r"arrays .* got a list of 4 batches; leave out `batch_size`"),
    "batches of other lengths, and a size": (
        [(DATA[0][:, : 2 + i], DATA[1]) for i in range(2)],
        {"batch_size": 16},
        r"arrays .* got a list of 2 batches; leave out `batch_size`",
    ),
    "batches of one array": ([DATA[0]] * 3, {"batch_size": 64}, r"arrays .* got a list of 3 batches; leave out `batch_size`"),
    "one batch, and a size": ([DATA], {"batch_size": 64}, r"arrays .* got a list of 1 batches; leave out `batch_size`"),
    "lists of numbers": (
        ([[1.0, 2.0]], [1.0]),
        {"batch_size": 1},
        r"arrays .*; make arrays of lists of numbers with np.asarray",
    ),
    "a list of labels": (
        (DATA[0], [1.0] * 64),
        {"batch_size": 8},
        r"arrays .*; make arrays of lists of numbers with np.asarray",
    ),
    "a loader, and a size": (iter(BATCHES), {"batch_size": 16}, r"arrays .*; leave `batch_size` out"),
    "a function of nothing": (lambda: BATCHES, {}, r"batches, .* not a function of nothing, .*; call it: give data\(\)"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_data_given_the_wrong_way_are_told(case):
    """Each mistake is named with what to do, before a key is asked for."""
    data, options, message = MISTAKES[case]
    with pytest.raises(TypeError, match=f"(?s)find_lr: `data` must be {message}"):
        lrax.find_lr(linear_learner(), data, **options)


def test_a_generator_function_is_to_be_called():
    """A function that makes a generator is no sampler, with a key or without, and as a partial function."""

    def batches(key=None, size=16):
        yield from BATCHES

    for data in (batches, functools.partial(batches, size=8)):
        with pytest.raises(TypeError, match=r"find_lr: `data` must be .*not a generator function.*call it: give data\(\)"):
            lrax.find_lr(linear_learner(), data, key=KEY)


def test_a_list_of_arrays_is_data():
    """Arrays in a list, with more examples than a batch has, are data as in a tuple."""

    def loss_fn(params, batch):
        return squared_error(params, batch)

    learner = lrax.Learner.create(loss_fn, linear_learner().state.params, optax.sgd)
    options = {"batch_size": 16, "key": KEY, "ramp": lrax.Geometric(0.01, 0.1, 5)}
    one, other = (lrax.range_test(learner, data, **options) for data in (list(DATA), DATA))
    np.testing.assert_array_equal(one.losses, other.losses)


def with_nan(arrays, place=(40, 2), value=np.nan):
    """Data with one number replaced."""
    inputs = arrays[0].copy()
    inputs[place] = value
    return inputs, arrays[1]


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_a_nan_in_the_data_is_named(loop):
    """One NaN in the data ends a ramp with the batch that holds it, and not with advice about the rates."""
    found = lrax.find_lr(linear_learner(), with_nan(DATA), batch_size=16, key=KEY, loop=loop)
    assert found.peak is None
    assert found.fault == f"batch {found.steps_run} holds NaN at [0]"
    assert f"the loss of step {found.steps_run} was NaN; {found.fault}: look at the data" in str(found)
    assert "lower" not in str(found)
    assert np.isnan(found.curves[0].losses[-1])
    everywhere = lrax.find_lr(linear_learner(), (DATA[0] * np.nan, DATA[1]), batch_size=16, key=KEY, loop=loop)
    assert "the very first loss was NaN, before any learning rate had acted; batch 1 holds NaN at [0]" in str(everywhere)


@pytest.mark.standard_promotion  # of optax.MultiSteps
def test_a_nan_in_a_batch_of_an_iterable_is_named():
    """The batch is named by its number in the iterable, in each call, with accumulation and with an infinity, too."""
    bad = [*BATCHES[:3], with_nan(BATCHES[3], (5, 0), np.inf)]
    found = lrax.find_lr(linear_learner(), bad)
    assert found.fault == "batch 4 holds inf at [0]"
    later = [*BATCHES * 2, bad[3]]
    result = lrax.race(linear_learner(), later, lrax.Constant(np.float32([0.01, 0.1])), rungs=12)
    assert result.fault == "batch 9 holds inf at [0]"
    assert "batch 9 holds inf at [0]: look at the data" in str(result)
    none = tuple(array[:0] for array in DATA)
    assert lrax.find_lr(linear_learner(), [*BATCHES, none, BATCHES[0]]).fault == "batch 5 holds no numbers at [0]"
    learner = lrax.Learner.create(
        squared_error, linear_learner().state.params, lambda rate: optax.MultiSteps(optax.sgd(rate), 2)
    )
    assert lrax.find_lr(learner, bad, accumulate=2).fault == "batch 4 holds inf at [0]"


def test_data_that_end_a_ramp_in_its_drop_give_no_peak():
    """Where a batch that holds a NaN ends the ramp there is no peak, also if the loss had dropped before."""
    data = [BATCHES[i % 4] for i in range(62)] + [with_nan(BATCHES[0], (3, 1))]
    found = lrax.find_lr(linear_learner(), data)
    assert (found.peak, len(found.runs)) == (None, 0)
    assert found.fault == "batch 63 holds NaN at [0]"
    assert f"the loss of step {found.steps_run} was NaN; batch 63 holds" in str(found)


def test_numbers_that_a_mask_hides_are_not_blamed():
    """What is not finite in a batch whose loss is finite is not the cause in the next one; the loss is named instead."""

    def loss_fn(params, batch):
        x, number = batch
        return jnp.mean(jnp.where(jnp.isnan(x), 0.0, x - params) ** 2) + jnp.where(number == 5, jnp.nan, 0.0)

    learner = lrax.Learner.create(loss_fn, jnp.zeros(()), optax.sgd)
    batches = [(np.float32([1, np.nan, 2]), np.int32(i)) for i in range(8)]
    found = lrax.find_lr(learner, batches)
    assert (found.steps_run, found.fault) == (6, "")
    masked = [(np.float32([1, np.nan if i % 2 else 3, 2]), np.int32(i)) for i in range(8)]
    assert lrax.find_lr(learner, masked).fault == ""
    assert "the loss of step 6 was NaN after learning rate 2.31e-07, which is hardly the cause" in str(found)
    assert "start the ramp lower" not in str(found)


def test_a_loss_that_explodes_is_not_blamed_on_the_data():
    """Where losses rise before one is not finite, the ramp is blamed, however low its rates are."""
    learner = lrax.Learner.create(lambda params, batch: jnp.sum((1e7 * params - batch) ** 2) * 1e9, jnp.ones(2), optax.sgd)
    found = lrax.find_lr(learner, [np.zeros(2, np.float32)])
    assert (found.peak, found.fault) == (None, "")
    assert "scale the inputs" in str(found)


@pytest.mark.parametrize(("spread", "explicit"), [("explicit", True), ("auto", True), (None, False)])
def test_one_explicit_axis_is_enough(spread, explicit):
    """An array that is divided over a mesh with an axis that is not automatic has to be gathered, whichever axis divides it."""
    mesh = AbstractMesh((2, 2), ("explicit", "auto"), axis_types=(AxisType.Explicit, AxisType.Auto))
    leaf = types.SimpleNamespace(sharding=NamedSharding(mesh, PartitionSpec(spread)))  # this process has one device
    assert _is_explicit(leaf) == explicit
