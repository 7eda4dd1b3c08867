import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from problems import (
    linear_learner,
    nothing,
    regression,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def find(ramp):
    """The range test by a ramp."""
    return lrax.find_lr(linear_learner(), DATA, batch_size=8, key=KEY, ramp=ramp)


@pytest.mark.parametrize(
    ("error", "message", "build"),
    [
        (ValueError, "`start` must be a finite number above 0, got 0", lambda: lrax.Geometric(0, 1.0, 10)),
        (ValueError, "`end` must be a finite number above 0, got -1", lambda: lrax.Geometric(1e-3, -1, 10)),
        (ValueError, "`ramp` must be a schedule of rising rates above 0", lambda: find(lrax.Geometric(1.0, 1e-3, 20))),
        (ValueError, "`ramp` must be a schedule of rising rates above 0", lambda: find(lrax.Linear(0.0, 1.0, 20))),
    ],
)
def test_bad_rates_are_named(error, message, build):
    """Rates that are zero, negative or in the wrong order are errors that name them."""
    with pytest.raises(error, match=message):
        build()


def test_rules_that_cannot_be_hashed():
    """A rule of one's own may be any callable."""

    class Lowest:
        __hash__ = None

        def __call__(self, rates, losses):
            return rates[int(np.nanargmin(losses))]

    found = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, rule=Lowest())
    assert found.suggestion is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stop": 3}, "`stop` must be a function run -> whether to stop"),
        ({"ramp": (1e-6, 1.0)}, r"`ramp` must be a schedule .*; give a schedule: lrax\.Geometric\(1e-06, 1\.0, steps\)$"),
        ({"smoothing": 0.3}, "`smoothing` must be a function count -> weight"),
        ({"rule": lambda rates: rates[0]}, r"`rule` must be callable as rule\(rates, losses\)"),
        ({"rule": lambda rates, losses: losses}, "`rule` must be a function .* -> one rate"),
        ({"ramp": lrax.Geometric(np.array([1e-4, 1e-3], np.float32), 1.0, 50)}, "`ramp` must be one schedule, not a batch"),
        ({"data": np.array(["a", "b"])}, "`data` must be arrays of numbers"),
        ({"data": lambda: DATA, "batch_size": None}, r"`data` must be batches, .*; call it: give data\(\)"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(options, message):
    """Each error names the argument and says what it must be."""
    with pytest.raises((TypeError, ValueError), match=message):
        lrax.find_lr(linear_learner(), **{"data": DATA, "batch_size": 16, "key": KEY, **options})


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, "`batch_size` must be given with arrays", {"batch_size": None}),
        (ValueError, "`batch_size` must be an integer of at least 1, got 0", {"batch_size": 0}),
        (TypeError, "`batch_size` must be an integer of at least 1, got 2.5", {"batch_size": 2.5}),
        (ValueError, "common leading axis", {"data": (np.zeros((4, 2)), np.zeros(5))}),
        (ValueError, "at least one example", {"data": (np.zeros((0, 3)), np.zeros(0))}),
        (TypeError, "`data` must be arrays where `batch_size` is given", {"data": ["a", "b"]}),
        (ValueError, "`key` must be given with arrays", {"key": None}),
        (TypeError, "`key` must be a random key, got 0", {"key": 0}),
        (ValueError, "`loop` must be 'python' where `progress` is shown", {"loop": "scan", "progress": True}),
        (
            ValueError,
            "`loop` must be one of 'scan', 'python', got 'pyhton'; did you mean 'python'",
            {"loop": "pyhton"},
        ),
        (TypeError, "`ramp` must be a schedule", {"ramp": 0.1}),
        (ValueError, "`updates` must be given where the ramp's length", {"ramp": lrax.Constant(0.1)}),
        (ValueError, "`updates` must be an integer of at least 1, got 0", {"updates": 0}),
        (TypeError, "`stop` must be a function", {"stop": 4}),
        (TypeError, "`learner` must be a lrax.Learner", {"learner": squared_error}),
    ],
)
def test_bad_arguments_are_named(error, message, change):
    """Each bad argument is an error that names it, before anything runs."""
    arguments = {"learner": linear_learner(), "data": DATA, "batch_size": 8, "key": KEY, **change}
    with pytest.raises(error, match=message):
        lrax.find_lr(arguments.pop("learner"), arguments.pop("data"), **arguments)


@pytest.mark.parametrize(
    ("error", "message", "update"),
    [
        (TypeError, r"must return \(state, loss\), got", lambda state, batch, rate: state),
        (ValueError, r"the loss must be a scalar, got shape \(3,\)", lambda state, batch, rate: (state, jnp.zeros(3))),
        (ValueError, "same structure", lambda state, batch, rate: ((state, state), jnp.float32(0))),
        (ValueError, r"state is int32\[\] instead of float32\[\]", lambda state, batch, rate: (jnp.int32(0), jnp.float32(0))),
    ],
)
def test_bad_updates_are_named(error, message, update):
    """An update that returns something else than a like state and a scalar loss is refused before it is compiled."""
    with pytest.raises(error, match=message):
        lrax.find_lr(lrax.Learner(jnp.zeros(()), update), nothing, key=KEY)


def test_inside_jit_the_pure_test_is_named():
    """`find_lr` under jit is an error that names `range_test`."""
    with pytest.raises(TypeError, match=r"use lrax\.range_test"):
        jax.jit(lambda key: lrax.find_lr(linear_learner(), DATA, batch_size=8, key=key).rates)(KEY)
