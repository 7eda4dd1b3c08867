"""The examples of docs/counting.md."""

import doctest
import pathlib

import jax.numpy as jnp
import optax

import lrax


def test_counting() -> None:
    """What the page shows is what is printed."""
    page = pathlib.Path(__file__).parents[2] / "docs" / "counting.md"
    results = doctest.testfile(str(page), module_relative=False, globs={"lrax": lrax, "jnp": jnp, "optax": optax})
    assert results.attempted == 40
    assert results.failed == 0
