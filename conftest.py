"""What doctests may use without importing it: `jax`, `jnp`, `np`, `optax`, `lrax`, the names of its schedules and its top."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is imported

if (
    "JAX_COMPILATION_CACHE_DIR" not in os.environ
):  # what one process of this run has compiled, the others load: a quarter of its time
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="lrax-tests-")
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

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
