"""What doctests may use without importing it: `jax`, `jnp`, `np`, `optax`, `lrax`, the names of its schedules and its top."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is imported

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, object]) -> None:
    """Fills the doctests' namespace."""
    for room in (lrax.schedules, lrax):
        doctest_namespace.update({name: getattr(room, name) for name in room.__all__})
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, optax=optax, lrax=lrax)
