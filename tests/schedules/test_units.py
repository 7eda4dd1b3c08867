"""Lengths in other units, and rates for other batch sizes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
        ({"examples": 1e12, "batch_size": 5}, ValueError, "it is 200000000000 updates"),
        ({"epochs": "many", "dataset_size": 5, "batch_size": 5}, TypeError, "`epochs` must be a finite number"),
    ],
)
def test_bad_units(amounts: dict[str, Any], error: type[Exception], says: str) -> None:
    """Says which argument is missing or out of range."""
    with pytest.raises(error, match=f"steps_for: .*{says}|{says}"):
        lrax.steps_for(**amounts)


def test_batch_size_rules() -> None:
    """Four times the examples: four times the rate, or twice; arrays and traced sizes too."""
    assert lrax.linear_scaling(0.1, 1024) == 0.4
    assert lrax.sqrt_scaling(0.1, 1024) == 0.2
    sizes = jnp.array([256.0, 1024.0])
    np.testing.assert_allclose(jax.jit(lrax.linear_scaling)(0.1, sizes), [0.1, 0.4], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda size: lrax.sqrt_scaling(0.1, size))(sizes), [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(lrax.Scale(lrax.Constant(0.1), lrax.linear_scaling(1.0, 1024))(0), 0.4, rtol=1e-6)
