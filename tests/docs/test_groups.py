"""The pages on groups of parameters and on two networks, executed."""

import inspect

import jax
import optax
import pytest

from pages import python_blocks


@pytest.mark.slow  # searches for two networks compile several programs
@pytest.mark.skipif(
    "adam_learning_rate" not in inspect.signature(optax.contrib.muon).parameters,
    reason="the page shows a Muon with two learning rates, which this optax does not have",
)
@pytest.mark.standard_promotion
@pytest.mark.parametrize("page", ["docs/groups.md", "docs/two_networks.md"])
def test_pages_run_as_they_stand(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of a page runs from its first line to its last, and its assertions hold."""
    with jax.numpy_rank_promotion("allow"):
        exec(compile(python_blocks(page), page, "exec"), {})
    assert "peak" in capsys.readouterr().out
