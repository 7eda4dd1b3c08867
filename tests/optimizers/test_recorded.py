"""A recorded optimizer is the optimizer with its schedule, and tells its rates."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.Linear(1.0, 0.0, steps=10)
WARMED = lrax.warmup_cosine(peak=0.5, total_steps=20, warmup_steps=4)
WEIGHTS = {"body": jnp.ones(2), "head": jnp.ones(3)}

FACTORIES: dict[str, Any] = {
    "adamw": optax.adamw,
    "sgd with momentum": functools.partial(optax.sgd, momentum=0.9),
    "lion": optax.lion,
    "injected": lambda rate: optax.inject_hyperparams(optax.sgd)(learning_rate=rate),
    "injected with another schedule": lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate, b1=SCHEDULE),
    "MultiSteps": lambda rate: optax.MultiSteps(optax.sgd(rate), 2).gradient_transformation(),
    "MultiSteps as it is": lambda rate: optax.MultiSteps(optax.adam(rate), 2),
    "skips what is not finite": lambda rate: optax.apply_if_finite(optax.sgd(rate), 5),
    "schedule-free": lambda rate: optax.contrib.schedule_free(optax.sgd(rate), rate),
    "a number-only optimizer, injected": lambda rate: optax.inject_hyperparams(optax.rprop)(learning_rate=rate),
}
UPDATED = {"MultiSteps": 2, "MultiSteps as it is": 2}
"""Optimizer updates after five batches, where they are not five."""


def run(tx: Any, weights: Any, updates: int) -> tuple[list[Any], Any]:
    """The changes of some updates, compiled, and the state after them."""
    state, update, changes = tx.init(weights), jax.jit(tx.update), []
    for i in range(updates):
        grads = jax.tree.map(lambda leaf, i=i: leaf * (0.1 + 0.2 * i), weights)
        change, state = update(grads, state, weights)
        changes.append(change)
    return changes, state


@pytest.mark.parametrize("name", FACTORIES)
def test_it_is_the_optimizer_with_its_schedule(name: str) -> None:
    """The updates are those of `optimizer(schedule)`, bit for bit, and the rates kept are the schedule's."""
    got, state = run(lrax.recorded(FACTORIES[name], WARMED), WEIGHTS, 5)
    want, _ = run(FACTORIES[name](WARMED), WEIGHTS, 5)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    done = UPDATED.get(name, 5)
    assert lrax.count_of(state) == done
    np.testing.assert_allclose(lrax.last_rate(state), WARMED(done - 1), rtol=1e-6)
    np.testing.assert_allclose(lrax.next_rate(state), WARMED(done), rtol=1e-6)


@pytest.mark.parametrize("factory", [optax.sgd, functools.partial(optax.sgd, momentum=0.9), optax.adam, optax.lion])
def test_the_same_in_bfloat16(factory: Any) -> None:
    """With bfloat16 parameters the updates are bfloat16 and the same, bit for bit, and the rate stays float32."""
    weights = jax.random.normal(jax.random.key(0), (1000,), jnp.bfloat16)
    schedule = lrax.Constant(0.001234)
    got, state = run(lrax.recorded(factory, schedule), weights, 3)
    want, _ = run(factory(schedule), weights, 3)
    assert got[0].dtype == jnp.bfloat16
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert lrax.last_rate(state) == np.float32(0.001234)


def test_accumulation_around_it() -> None:
    """Inside MultiSteps an update's rate is that of its own count."""
    _, state = run(optax.MultiSteps(lrax.recorded(optax.sgd, SCHEDULE), 2), WEIGHTS, 5)
    assert lrax.count_of(state) == 2
    np.testing.assert_allclose(lrax.last_rate(state), SCHEDULE(1), rtol=1e-6)


def test_an_update_that_is_skipped_is_no_update() -> None:
    """A gradient that is not finite, skipped inside, moves neither the count nor the rate."""
    tx = lrax.recorded(lambda rate: optax.apply_if_finite(optax.sgd(rate), 5), SCHEDULE)
    state = tx.init(WEIGHTS)
    for gradient in (1.0, np.nan, 1.0):
        change, state = tx.update(jax.tree.map(lambda leaf, g=gradient: leaf * g, WEIGHTS), state, WEIGHTS)
    np.testing.assert_allclose(change["body"], -SCHEDULE(1) * np.ones(2))
    assert lrax.count_of(state) == 2
    assert lrax.last_rate(state) == SCHEDULE(1)


def test_parts_that_count_differently_have_no_one_rate() -> None:
    """Where counts inside differ the updates are still right, and the rate is NaN rather than one of them."""

    def factory(rate: Any) -> Any:
        slow = optax.MultiSteps(optax.sgd(rate), 2).gradient_transformation()
        return optax.multi_transform({"slow": slow, "fast": optax.sgd(rate)}, {"body": "slow", "head": "fast"})

    changes, state = run(lrax.recorded(factory, SCHEDULE), WEIGHTS, 4)
    jax.tree.map(np.testing.assert_array_equal, changes, run(factory(SCHEDULE), WEIGHTS, 4)[0])
    assert np.isnan(state.rate)


def test_it_passes_more_arguments_on() -> None:
    """What an optimizer takes besides, such as the value of the loss, reaches it."""
    tx = lrax.recorded(lambda rate: optax.chain(optax.sgd(rate), lrax.reduce_on_plateau(patience=1)), SCHEDULE)
    state = tx.init(WEIGHTS)
    for _ in range(2):
        _, state = tx.update(WEIGHTS, state, WEIGHTS, value=1.0)
    np.testing.assert_allclose(lrax.last_rate(state), 0.1 * SCHEDULE(1), rtol=1e-6)


def test_an_optimizer_that_ignores_its_rate_counts_its_own_updates() -> None:
    """Where nothing inside counts, the calls of update do."""
    _, state = run(lrax.recorded(lambda rate: optax.sgd(0.1), SCHEDULE), WEIGHTS, 3)
    assert lrax.count_of(state) == 3


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (optax.sgd(0.1), r"recorded: `optimizer` must be a function rate -> optimizer"),
        (SCHEDULE, r"give the optimizer's function, such as optax.sgd, not a schedule"),
        (lambda rate: 0.1, r"must be a function rate -> optax.GradientTransformation, .*; it returned float"),
        (lambda rate: optax.sgd(2 * rate), r"must be a function that takes a schedule.*inject_hyperparams\(optimizer\)"),
    ],
    ids=["an optimizer", "a schedule", "no optimizer", "numbers only"],
)
def test_mistakes_are_named(factory: Any, message: str) -> None:
    """What makes no optimizer of a schedule is an error that says what to give."""
    with pytest.raises(TypeError, match=message):
        lrax.recorded(factory, SCHEDULE)


def test_an_optimizer_that_takes_only_numbers_is_named_late() -> None:
    """Some fail with a schedule only when they meet parameters, or gradients."""
    with pytest.raises(TypeError, match=r"recorded: `optimizer` must be a function that takes a schedule"):
        lrax.recorded(optax.rprop, SCHEDULE).init(WEIGHTS)
    polyak = lrax.recorded(optax.polyak_sgd, SCHEDULE)
    with pytest.raises(TypeError, match=r"recorded: `optimizer` must be a function that takes a schedule"):
        polyak.update(WEIGHTS, polyak.init(WEIGHTS), WEIGHTS, value=1.0)


def test_recorded_around_groups() -> None:
    """Around groups it tells the rate of the whole, and each group its own."""
    tx = lrax.recorded(lambda rate: lrax.by_path(optax.sgd, rate, {"head": 0.1}), SCHEDULE)
    _, state = run(tx, WEIGHTS, 2)
    np.testing.assert_allclose([lrax.last_rate(state), lrax.next_rate(state)], [SCHEDULE(1), SCHEDULE(2)], rtol=1e-6)
    rates = lrax.group_rates(state)
    np.testing.assert_allclose([rates["head"], rates["rest"]], [0.1 * SCHEDULE(1), SCHEDULE(1)], rtol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_it_keeps_the_norm_of_the_gradients(norm: Any) -> None:
    """Asked for, the norm of the last update's gradients is in the state, in float32, and the updates are what they were."""
    weights = {"body": jnp.array([3.0, -4.0], jnp.bfloat16), "head": jnp.zeros(3)}
    tx = lrax.recorded(optax.sgd, SCHEDULE, norm=norm)
    assert np.isnan(tx.init(weights).gradient_norm)
    changes, state = run(tx, weights, 2)
    np.testing.assert_allclose(
        state.gradient_norm, 0.3 * {"l2": 5, "l1": 7}[norm], rtol=1e-2
    )  # gradients are 0.3 of the weights
    assert state.gradient_norm.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, changes, run(optax.sgd(SCHEDULE), weights, 2)[0])
    _, large = tx.update(jnp.full(2, 1e30), tx.init(jnp.ones(2)))
    np.testing.assert_allclose(large.gradient_norm, {"l2": 2**0.5 * 1e30, "l1": 2e30}[norm], rtol=1e-6)


def test_norms_make_a_schedule() -> None:
    """The norms of a scanned run are what lrax.theory.refined takes."""
    tx = lrax.recorded(optax.sgd, lrax.Constant(0.1), norm="l2")

    def update(carry: Any, _: None) -> Any:
        weights, state = carry
        changes, state = tx.update(weights, state)
        return (optax.apply_updates(weights, changes), state), state.gradient_norm

    _, norms = jax.lax.scan(update, (jnp.ones(3), tx.init(jnp.ones(3))), None, length=20)
    np.testing.assert_allclose(norms, 3**0.5 * 0.9 ** np.arange(20), rtol=1e-5)
    assert lrax.theory.refined(norms, total_steps=40).length == 40
    with pytest.raises(ValueError, match="recorded: `norm` must be one of 'l2', 'l1', got 'max'"):
        lrax.recorded(optax.sgd, SCHEDULE, norm="max")  # type: ignore[arg-type]
