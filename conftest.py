"""What doctests may use without importing it: `jax`, `jnp`, `np`, `optax`, `lrax`, the names of its schedules and its top."""

import importlib.metadata
import os
import shutil
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is imported
# XLA spends little on programs that run once; `XLA_FLAGS= python -m pytest` compiles as it does by default
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    # unknown from jaxlib 0.11 on
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith(("0.7.", "0.8.", "0.9.", "0.10.")),
)

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

KEPT = os.environ.get("LRAX_TESTS_CACHE")
"""A folder for compiled programs that outlives the process. One process may use it at a time: JAX writes without a lock."""

CACHE = KEPT or tempfile.mkdtemp(prefix="lrax-tests-")
"""What a process of the tests has compiled and meets again in another test."""
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_unconfigure() -> None:
    """Leaves nothing behind that was not asked for."""
    if not KEPT:
        shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, object]) -> None:
    """Fills the doctests' namespace."""
    for room in (lrax.schedules, lrax):
        doctest_namespace.update({name: getattr(room, name) for name in room.__all__})
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, optax=optax, lrax=lrax)
