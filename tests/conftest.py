"""Every test runs with strict dtype promotion and without rank promotion; warnings are errors (pyproject.toml)."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """JAX refuses to mix dtypes and ranks without being told."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
