"""Errors that come out of a user's function keep their type and say, in a note, which call of lrax called it and with what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.training._notes import shapes_of
from problems import linear_params, regression, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()
ARRAYS = {"batch_size": 16, "key": KEY}
PARAMS, BATCH = "params {'bias': float32[], 'weight': float32[3]}", "batch (float32[16, 3], float32[16])"


def created(loss_fn=squared_error, optimizer=optax.sgd, **options):
    """A learner of the linear model."""
    return lrax.Learner.create(loss_fn, linear_params(), optimizer, **options)


def fails(*args, **extra):
    """A function of a user with a mistake in it."""
    raise KeyError("mask")


def notes_of(call, error=KeyError):
    """The notes of lrax on the error that a call raises."""
    with pytest.raises(error) as caught:
        call()
    return [note for note in caught.value.__notes__ if note.startswith("lrax")]


def optimizer_that_fails(rate):
    """A factory of an optimizer with a mistake in it."""
    return optax.GradientTransformation(optax.sgd(rate).init, fails)


LEARNERS = {
    "loss": (lambda: created(fails), f"loss_fn(params, batch), the `loss_fn` of Learner.create, with {PARAMS} and {BATCH}"),
    "loss with all": (
        lambda: created(fails, aux=jnp.zeros(2), key=KEY),
        f"loss_fn(params, aux, batch, key), the `loss_fn` of Learner.create, with {PARAMS} and {BATCH}",
    ),
    "gradients": (
        lambda: created(value_and_grad=fails),
        f"value_and_grad(loss, params, batch), the `value_and_grad` of Learner.create, with {PARAMS} and {BATCH}",
    ),
    "loss in gradients": (
        lambda: created(fails, value_and_grad=lambda loss, params, batch: jax.value_and_grad(loss)(params, batch)),
        f"loss_fn(params, batch), the `loss_fn` of Learner.create, with {PARAMS} and {BATCH}",
    ),
    "update": (
        lambda: lrax.Learner(jnp.zeros(3), fails),
        f"step(state, batch, lr), the `step` of the learner, with state float32[3] and {BATCH}",
    ),
    "update that calls another": (
        lambda: lrax.Learner(created(fails).state, lambda *args: created(fails).step(*args)),
        f"loss_fn(params, batch), the `loss_fn` of Learner.create, with {PARAMS} and {BATCH}",
    ),
}


@pytest.mark.parametrize("case", LEARNERS)
@pytest.mark.parametrize("call", ["find_lr", "race", "range_test"])
def test_the_innermost_function_is_named_once(case, call):
    """Whatever is called, one note says which call of lrax it was, how the function was called and with what shapes."""
    make, told = LEARNERS[case]
    options = {"schedules": lrax.Constant(np.float32([0.1])), "rungs": 2} if call == "race" else {}
    assert notes_of(lambda: getattr(lrax, call)(make(), DATA, **ARRAYS, **options)) == [
        f"lrax: {call} called {told}, drawn from `data`"
    ]


def test_functions_of_data_and_optimizers_are_named():
    """A sampler, a transform and an optimizer with a mistake are named as what they were given as."""
    assert notes_of(lambda: lrax.find_lr(created(), fails, key=KEY)) == ["lrax: find_lr called data(key), the sampler `data`"]
    (note,) = notes_of(lambda: lrax.find_lr(created(), DATA, **ARRAYS, transform=fails))
    assert note == f"lrax: find_lr called transform(batch), the argument `transform`, with {BATCH}, drawn from `data`"
    (note,) = notes_of(lambda: lrax.race(created(), [DATA], lrax.Constant(np.float32([0.1])), rungs=2, transform=fails))
    assert note.endswith(
        "transform(batch), the argument `transform`, with batch (float32[64, 3], float32[64]), batch 1 of `data`"
    )
    (note,) = notes_of(lambda: lrax.find_lr(created(optimizer=optimizer_that_fails), DATA, **ARRAYS))
    assert note == f"lrax: find_lr called optimizer(learning_rate).update, the `optimizer` of Learner.create, with {PARAMS}"


def test_an_update_by_hand_has_a_note_too():
    """A learner's update that is called without any of these functions says that, in a program of the user's, too."""
    learner = created(fails)
    for update in (learner.step, jax.jit(learner.step)):
        (note,) = notes_of(lambda update=update: update(learner.state, DATA, 0.1))
        assert note.startswith("lrax: learner.step called loss_fn(params, batch), ")


def test_lists_of_numbers_are_pointed_at():
    """A batch that holds Python lists of numbers, which many losses cannot take, is told of."""
    (note,) = notes_of(lambda: lrax.find_lr(created(), [([[1.0, 2.0, 3.0]], [1.0])]), TypeError)
    assert note.endswith("; the batch holds lists of numbers: np.asarray makes arrays of them")


def test_errors_of_our_own_and_of_the_data_have_no_note():
    """What lrax itself refuses, and what an iterable raises, is as clear as it is."""
    for call, error in (
        (lambda: lrax.find_lr(created(lambda params, batch: batch[1]), DATA, **ARRAYS), ValueError),
        (lambda: lrax.find_lr(created(), (fails() for _ in range(3))), KeyError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert not [note for note in getattr(caught.value, "__notes__", ()) if note.startswith("lrax")]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (np.zeros((2, 3)), "float64[2, 3]"),
        (None, "None"),
        ((), "()"),
        ([1, 2.0, True], "[int, float, bool]"),
        (tuple(range(6)), "(int, int, int, int, ...)"),
        (optax.ScaleByAdamState(jnp.int32(0), {"a": 1}, ()), "ScaleByAdamState(count: int32[], mu: {'a': int}, nu: ())"),
        (KEY, "key<fry>[]"),
    ],
)
def test_shapes_are_told_in_short(tree, text):
    """A pytree is shown as it is arranged, its leaves as dtypes and shapes."""
    assert shapes_of(tree) == text


def test_shapes_of_a_large_model_are_cut_off():
    """However deep a pytree is, what is told of it fits into two lines."""
    deep = {"a": jnp.zeros(3)}
    for name in "bcdefghijklmnopq" * 4:
        deep = {name: deep, "z": jnp.zeros((3, 3))}
    assert len(shapes_of(deep)) <= 200
