"""What doctests may use without importing it: `jax`, `jnp`, `np`, `optax`, `lrax`, the names of its schedules and its top."""

import contextlib
import gc
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Iterator

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

MADE = "" if "LRAX_TESTS_CACHE" in os.environ else tempfile.mkdtemp(prefix="lrax-tests-")
SHARED = os.environ.setdefault("LRAX_TESTS_CACHE", MADE)
"""Compiled programs, for all processes of a run, and for later runs if the variable names a folder."""

OWN = tempfile.mkdtemp(prefix=f"process-{os.getpid()}-", dir=SHARED)
"""The programs that this process reads and writes. JAX writes without a lock, so processes exchange whole files."""
jax.config.update("jax_compilation_cache_dir", OWN)
jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # else a program's key depends on its folder
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _exchange_programs() -> None:
    for source, target in ((OWN, SHARED), (SHARED, OWN)):
        for name in {*os.listdir(source)} - {*os.listdir(target)}:
            if name.endswith("-cache"):
                with contextlib.suppress(OSError):  # another process was first
                    os.link(os.path.join(source, name), os.path.join(target, name))


@pytest.fixture(autouse=True, scope="module")
def _programs() -> Iterator[None]:
    """Takes programs of other processes before each file of tests."""
    _exchange_programs()
    yield
    _exchange_programs()


def pytest_collection_finish() -> None:
    """Searches for garbage less often: what was imported stays."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_unconfigure() -> None:
    """Leaves nothing behind that was not asked for."""
    shutil.rmtree(MADE or OWN, ignore_errors=True)


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, object]) -> None:
    """Fills the doctests' namespace."""
    for room in (lrax.schedules, lrax):
        doctest_namespace.update({name: getattr(room, name) for name in room.__all__})
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, optax=optax, lrax=lrax)
