"""What is my rate: out of every kind of optimizer state, outside and inside jit."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.warmup_cosine(peak=0.5, warmup_steps=4, total_steps=20)
WEIGHTS = {"body": jnp.ones(2), "head": jnp.ones(3)}
LABELS = {"body": "slow", "head": "fast"}

OPTIMIZERS = {
    "sgd": optax.sgd(SCHEDULE),
    "adamw": optax.adamw(SCHEDULE),
    "adafactor": optax.adafactor(SCHEDULE),
    "chain": optax.chain(optax.clip(1.0), optax.scale_by_adam(), optax.scale_by_learning_rate(SCHEDULE)),
    "a rate that is not in the state": optax.adam(0.1),
    "inject_hyperparams": optax.inject_hyperparams(optax.adamw)(learning_rate=SCHEDULE),
    "multi_transform": optax.multi_transform({"slow": optax.sgd(SCHEDULE), "fast": optax.adam(SCHEDULE)}, LABELS),
    "a count that starts again": optax.chain(optax.apply_every(3), optax.sgd(SCHEDULE)),
    "another count": optax.chain(optax.ema(0.9), optax.sgd(SCHEDULE)),
    "recorded": lrax.recorded(optax.adamw, SCHEDULE),
    "recorded, nothing else in the state": lrax.recorded(optax.sgd, SCHEDULE),
    "schedule-free": optax.contrib.schedule_free(optax.rmsprop(SCHEDULE), learning_rate=0.1),
}


def assert_rate(got: Any, want: Any) -> None:
    """Two programs may contract multiplications and additions differently: equal to a few float32 ulp."""
    np.testing.assert_array_max_ulp(np.asarray(got), np.asarray(want), maxulp=4)


def after(tx: Any, updates: int) -> Any:
    """The state after a number of updates."""
    state, update = tx.init(WEIGHTS), jax.jit(lambda state: tx.update(WEIGHTS, state, WEIGHTS)[1])
    for _ in range(updates):
        state = update(state)
    return state


@pytest.mark.parametrize("tx", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_last_and_next_rate(tx: Any) -> None:
    """After three updates the last rate is that of count 2 and the next that of count 3, outside and inside jit."""
    state = after(tx, 3)
    assert int(lrax.count_of(state)) == 3
    for call in (lambda function: function, jax.jit):
        assert_rate(call(functools.partial(lrax.last_lr, schedule=SCHEDULE))(state), SCHEDULE(2))
        assert_rate(call(functools.partial(lrax.next_lr, schedule=SCHEDULE))(state), SCHEDULE(3))


@pytest.mark.parametrize("tx", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_before_the_first_update(tx: Any) -> None:
    """Before the first update both are the first rate."""
    state = tx.init(WEIGHTS)
    assert lrax.last_lr(state, SCHEDULE) == lrax.next_lr(state, SCHEDULE) == SCHEDULE(0)


@pytest.mark.parametrize("inner", [optax.adamw(SCHEDULE), lrax.recorded(optax.sgd, SCHEDULE), optax.sgd(0.1)])
def test_accumulation_counts_updates(inner: Any) -> None:
    """With MultiSteps the count is that of optimizer updates, not of batches."""
    for batches, updates in ((3, 0), (4, 1), (9, 2)):
        state = after(optax.MultiSteps(inner, 4), batches)
        assert int(lrax.count_of(state)) == updates
        assert lrax.next_lr(state, SCHEDULE) == SCHEDULE(updates)


@pytest.mark.parametrize("tx", ["recorded", "inject_hyperparams"])
def test_the_state_alone_tells(tx: str) -> None:
    """A state that keeps its rate needs no schedule, outside and inside jit."""
    state = after(OPTIMIZERS[tx], 3)
    assert_rate(lrax.last_lr(state), SCHEDULE(2))
    assert_rate(jax.jit(lrax.last_lr)(state), SCHEDULE(2))


@pytest.mark.parametrize(
    ("plateau", "scale"),
    [(lrax.reduce_on_plateau, 0.25), (optax.contrib.reduce_on_plateau, 0.25), (lrax.greedy, 0.5)],
    ids=["lrax", "optax", "greedy"],
)
def test_a_plateau_counts_in(plateau: Any, scale: float) -> None:
    """The scale of a plateau multiplies the last and the next learning rate, with the schedule and without."""
    tx = optax.chain(lrax.recorded(optax.sgd, SCHEDULE), plateau(factor=0.5, patience=1))
    state = tx.init(WEIGHTS)
    for _ in range(3):
        _, state = tx.update(WEIGHTS, state, WEIGHTS, value=1.0)
    np.testing.assert_allclose(lrax.last_lr(state), scale * SCHEDULE(2), rtol=1e-6)
    np.testing.assert_allclose(lrax.last_lr(state, SCHEDULE), scale * SCHEDULE(2), rtol=1e-6)
    np.testing.assert_allclose(lrax.next_lr(state, SCHEDULE), scale * SCHEDULE(3), rtol=1e-6)


def test_a_path_where_counts_differ() -> None:
    """Counts that differ are an error that lists them; a path chooses; under jit, without one, the rate is NaN."""
    groups = {"slow": optax.MultiSteps(optax.sgd(SCHEDULE), 2).gradient_transformation(), "fast": optax.adam(SCHEDULE)}
    state = after(optax.multi_transform(groups, LABELS), 4)
    with pytest.raises(ValueError, match=r"next_lr: `path` must be given to choose one of the counts .* = 4.* = 2"):
        lrax.next_lr(state, SCHEDULE)
    assert lrax.next_lr(state, SCHEDULE, "slow") == SCHEDULE(2)
    assert_rate(jax.jit(lambda state: lrax.last_lr(state, SCHEDULE, "fast"))(state), SCHEDULE(3))
    assert np.isnan(jax.jit(lambda state: lrax.last_lr(state, SCHEDULE))(state))
    assert jax.jit(lrax.count_of)(state) == -1


def test_a_plateau_of_one_group_needs_a_path() -> None:
    """A plateau that belongs to one group of parameters says nothing of the others."""
    groups = {"slow": optax.sgd(SCHEDULE), "fast": optax.chain(optax.sgd(SCHEDULE), lrax.reduce_on_plateau())}
    state = optax.multi_transform(groups, LABELS).init(WEIGHTS)
    with pytest.raises(ValueError, match="a plateau in a group of parameters"):
        lrax.next_lr(state, SCHEDULE)
    assert lrax.next_lr(state, SCHEDULE, "fast") == lrax.next_lr(state, SCHEDULE, "slow") == SCHEDULE(0)


def test_lanes() -> None:
    """States of runs trained side by side give a rate a lane, inside vmap and outside."""
    tx = optax.adamw(SCHEDULE)
    states = jax.vmap(lambda _: tx.init(WEIGHTS))(jnp.arange(3))
    np.testing.assert_array_equal(lrax.next_lr(states, SCHEDULE), np.full(3, SCHEDULE(0)))
    np.testing.assert_array_equal(jax.vmap(lambda state: lrax.next_lr(state, SCHEDULE))(states), np.full(3, SCHEDULE(0)))


def test_flax_nnx() -> None:
    """The state of an NNX optimizer works as it is."""
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adamw(SCHEDULE), wrt=nnx.Param)
    gradients = nnx.grad(lambda model: model(jnp.ones((1, 2))).sum())(model)
    optimizer.update(model, gradients)
    assert lrax.last_lr(optimizer.opt_state, SCHEDULE) == SCHEDULE(0)
    assert lrax.next_lr(optimizer.opt_state, SCHEDULE) == SCHEDULE(1)


def test_what_is_not_there_is_named() -> None:
    """A state without a count or a rate, and what is no factory, are errors that say what to do."""
    with pytest.raises(ValueError, match=r"`opt_state` must hold a count, got none; wrap the optimizer in lrax.recorded"):
        lrax.next_lr(optax.sgd(0.1).init(WEIGHTS), SCHEDULE)
    with pytest.raises(
        ValueError, match=r"must hold a learning rate, got none; wrap the optimizer in lrax.recorded, or give the sch"
    ):
        lrax.last_lr(optax.adam(SCHEDULE).init(WEIGHTS))
    with pytest.raises(ValueError, match="a place with 'heat' in it"):
        lrax.last_lr(optax.adam(SCHEDULE).init(WEIGHTS), SCHEDULE, "heat")


def test_a_path_that_is_not_there_lists_the_places() -> None:
    """A misspelt path is an error that says where counts and rates are."""
    state = lrax.by_path(optax.adamw, SCHEDULE, {"head": 0.1}).init(WEIGHTS)
    with pytest.raises(ValueError, match=r"a count at a place with 'heat' in it, got none; there is one at 'head', 'rest'"):
        lrax.next_lr(state, SCHEDULE, "heat")
    with pytest.raises(
        ValueError, match=r"a learning rate at a place with 'heat' in it, got none; there is one at 'head', 'rest'"
    ):
        lrax.last_lr(state, path="heat")
    with pytest.raises(ValueError, match=r"there is one at 2/count$"):
        lrax.count_of(optax.adamw(SCHEDULE).init(WEIGHTS), "heat")


@pytest.mark.parametrize("function", [lrax.last_lr, lrax.next_lr], ids=["last_lr", "next_lr"])
def test_swapped_arguments_are_named(function: Any) -> None:
    """The schedule in the state's place is an error that gives the order."""
    with pytest.raises(TypeError, match=r"must be an optimizer state, .*; the state comes first: \w+_lr\(opt_state, schedule"):
        function(SCHEDULE, optax.adam(SCHEDULE).init(WEIGHTS))
