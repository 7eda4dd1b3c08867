"""What the doctests may use without importing it: `jax`, `jnp`, `np`, `optax`, `lrax` and the public names of lrax."""

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
    doctest_namespace.update({name: getattr(lrax, name) for name in lrax.__all__})
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, optax=optax, lrax=lrax)
