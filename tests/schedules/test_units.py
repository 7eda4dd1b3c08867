"""Lengths in other units, and rates for other batch sizes."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax


@pytest.mark.parametrize(
    ("amounts", "steps"),
    [
        ({"fraction": 0.1, "total_steps": 1000}, 100),
        ({"fraction": 0.07, "total_steps": 100}, 7),
        ({"fraction": 1 / 3, "total_steps": 100}, 34),
        ({"fraction": 0, "total_steps": 100}, 0),
        ({"fraction": 1, "total_steps": 2**31 - 1}, 2**31 - 1),
        ({"epochs": 4, "dataset_size": 60_000, "batch_size": 64}, 3752),
        ({"epochs": 7, "dataset_size": 60_000, "batch_size": 64}, 6566),
        ({"epochs": 4, "dataset_size": 60_000, "batch_size": 64, "drop_last": True}, 3748),
        ({"epochs": 0.5, "dataset_size": 1000, "batch_size": 10}, 50),
        ({"examples": 1001, "batch_size": 10}, 101),
        ({"examples": np.int64(1000), "batch_size": np.int32(10)}, 100),
        ({"tokens": 10**12, "example_tokens": 4096, "batch_size": 1024}, 238419),
        ({"tokens": 1e12, "example_tokens": 4096, "batch_size": 1024}, 238419),
    ],
)
def test_steps_for(amounts: dict[str, Any], steps: int) -> None:
    """Rounds up, takes 0.07 as seven hundredths, and counts a partial batch as an update unless it is dropped."""
    got = lrax.steps_for(**amounts)
    assert got == steps
    assert type(got) is int


@pytest.mark.parametrize(
    ("amounts", "error", "says"),
    [
        ({}, ValueError, "must be exactly one amount"),
        ({"epochs": 1, "tokens": 1}, ValueError, "must be exactly one amount, got .'epochs', 'tokens'."),
        ({"fraction": 1.5, "total_steps": 10}, ValueError, "`fraction` must be from 0 to 1"),
        ({"fraction": 0.5}, ValueError, "`total_steps` must be given with `fraction`"),
        ({"epochs": 1, "batch_size": 5}, ValueError, "`dataset_size` must be given with `epochs`"),
        ({"examples": 1, "batch_size": 0}, ValueError, "`batch_size` must be an integer of at least 1"),
        ({"examples": 1, "batch_size": 2.5}, ValueError, "`batch_size` must be an integer"),
        ({"examples": float("nan"), "batch_size": 5}, ValueError, "`examples` must be a finite number"),
        ({"examples": -5, "batch_size": 5}, ValueError, "`examples` must be from 0"),
        ({"examples": 1e12, "batch_size": 5}, ValueError, "it is 200000000000 steps"),
        ({"epochs": "many", "dataset_size": 5, "batch_size": 5}, TypeError, "`epochs` must be a finite number"),
    ],
)
def test_bad_units(amounts: dict[str, Any], error: type[Exception], says: str) -> None:
    """Says which argument is missing or out of range."""
    with pytest.raises(error, match=f"steps_for: .*{says}|{says}"):
        lrax.steps_for(**amounts)


def made_by_multi_steps(batches: int, every: Any) -> int:
    """How many steps `optax.MultiSteps` makes of so many batches."""
    optimizer = optax.MultiSteps(optax.sgd(0.1), every)
    state = optimizer.init(jnp.float32(0))

    def run(state: Any) -> Any:
        return jax.lax.scan(
            lambda state, _: (optimizer.update(jnp.float32(1), state, jnp.float32(0))[1], None), state, length=batches
        )[0]

    return int(jax.jit(run)(state).gradient_step)


@pytest.mark.standard_promotion
@pytest.mark.parametrize(
    ("size", "batch", "k", "epochs", "drop_last"),
    [(100, 8, 4, 3, False), (5000, 32, 8, 10, False), (1000, 8, 4, 3, True), (37, 5, 3, 2.5, False), (64, 8, 8, 1, False)],
)
def test_steps_of_multi_steps(size: int, batch: int, k: int, epochs: float, drop_last: bool) -> None:
    """With `accumulate` the length is the number of steps that `optax.MultiSteps` makes, with a clock of that size too."""
    batches = math.ceil(epochs * (size // batch if drop_last else math.ceil(size / batch)))
    amounts = {"epochs": epochs, "dataset_size": size, "batch_size": batch, "drop_last": drop_last}
    made = made_by_multi_steps(batches, k)
    assert lrax.steps_for(**amounts, accumulate=k) == made
    assert lrax.steps_for(**amounts, clock=lrax.Clock(batch * k)) == made


@pytest.mark.standard_promotion
@pytest.mark.parametrize(("epochs", "boundaries"), [(3, [4, 9]), (7, [4, 9]), (1, [1, 2]), (2, [100, 101]), (0, [1, 2])])
def test_steps_of_multi_steps_that_grow(epochs: int, boundaries: list[int]) -> None:
    """A clock of accumulated batches counts the steps of `MultiSteps` with that clock, and of a loop that flushes."""
    clock = lrax.Clock([16, 24, 80], boundaries)
    amounts = {"epochs": epochs, "dataset_size": 100, "batch_size": 8, "clock": clock}
    if epochs:
        made = made_by_multi_steps(epochs * 13, lambda count: clock.batch_size(count) // 8)
        assert lrax.steps_for(**amounts) == made
    steps = 0
    for _ in range(epochs):
        batches = 13
        while batches > 0:
            batches -= int(clock.batch_size(steps)) // 8
            steps += 1
    assert lrax.steps_for(**amounts, flush=True) == steps


def test_a_loop_that_flushes() -> None:
    """With `flush` each epoch ends with a step of what is left, as the Trainer of transformers counts."""
    random = np.random.default_rng(0)
    for _ in range(50):
        size, batch, k, epochs = (int(random.integers(1, most)) for most in (100_000, 64, 16, 10))
        amounts = {"epochs": epochs, "dataset_size": size, "batch_size": batch, "accumulate": k}
        batches = math.ceil(size / batch)
        assert lrax.steps_for(**amounts, flush=True) == epochs * math.ceil(batches / k)
        assert lrax.steps_for(**amounts) == epochs * batches // k
    assert lrax.steps_for(epochs=3, dataset_size=2**80, batch_size=2**50, accumulate=7) == 3 * 2**30 // 7
    assert lrax.steps_for(epochs=3, dataset_size=2**80, batch_size=2**50, accumulate=7, flush=True) == 3 * -(-(2**30) // 7)
    assert lrax.steps_for(examples=1001, batch_size=10, accumulate=10) == 11
    grows = lrax.Clock([2**20, 2**30], [5])
    assert lrax.steps_for(epochs=4, dataset_size=2**50, batch_size=2**10, clock=grows) == 5 + (2**42 - 5 * 2**10) // 2**20


@pytest.mark.parametrize(
    ("amounts", "says"),
    [
        ({"fraction": 0.5, "total_steps": 9, "accumulate": 2}, "`accumulate` must be left out where a `fraction`"),
        ({"examples": 5, "batch_size": 2, "flush": True}, "`flush` must be left out where no `epochs` are counted"),
        ({"epochs": 1, "dataset_size": 9, "clock": lrax.Clock(8), "flush": True}, "`flush` must be left out where a `clock`"),
        (
            {"epochs": 1, "dataset_size": 9, "clock": lrax.Clock(8), "accumulate": 2},
            "`accumulate` must be left out where a `cl",
        ),
        (
            {"epochs": 1, "dataset_size": 9, "clock": lrax.Clock(8), "batch_size": 3},
            "`batch_size` must be a divisor of the clo",
        ),
        ({"epochs": 1, "dataset_size": 9, "batch_size": 2, "accumulate": 0}, "`accumulate` must be an integer of at least 1"),
    ],
)
def test_bad_accumulation(amounts: dict[str, Any], says: str) -> None:
    """An argument that would have no meaning is refused."""
    with pytest.raises(ValueError, match=f"steps_for: {says}"):
        lrax.steps_for(**amounts)


def test_batch_size_rules() -> None:
    """Four times the examples: four times the rate, or twice; arrays and traced sizes too."""
    assert lrax.linear_scaling(0.1, 1024) == 0.4
    assert lrax.sqrt_scaling(0.1, 1024) == 0.2
    sizes = jnp.array([256.0, 1024.0])
    np.testing.assert_allclose(jax.jit(lrax.linear_scaling)(0.1, sizes), [0.1, 0.4], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda size: lrax.sqrt_scaling(0.1, size))(sizes), [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(lrax.Scale(lrax.Constant(0.1), lrax.linear_scaling(1.0, 1024))(0), 0.4, rtol=1e-6)
