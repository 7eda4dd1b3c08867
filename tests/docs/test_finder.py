"""The finder of another library in the terms of lrax, from docs/finder.md, executed."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest

import lrax
from pages import python_blocks


@pytest.mark.standard_promotion  # of optax's optimizers
def test_the_finder_of_another_library_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole call of fastai's finder runs, and suggests a learning rate on its ramp."""
    (source,) = [part for part in python_blocks("docs/finder.md").split("\n\n") if 'of="smoothed"' in part]
    inputs = jax.random.normal(jax.random.key(1), (256, 8))
    learner = lrax.Learner.create(lambda params, batch: jnp.mean((batch[0] @ params - batch[1]) ** 2), jnp.zeros(8), optax.adam)
    names = {"lrax": lrax, "jax": jax, "functools": functools, "learner": learner}
    exec(source, {**names, "images": inputs, "labels": inputs.sum(axis=1)})
    assert 1e-7 < float(capsys.readouterr().out) < 8.3
