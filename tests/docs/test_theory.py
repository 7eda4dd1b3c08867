"""The pages on theory and on choosing, executed."""

import jax
import matplotlib as mpl
import pytest

from pages import python_blocks


@pytest.mark.slow
@pytest.mark.standard_promotion  # of optax's optimizers
@pytest.mark.parametrize("page", ["docs/theory.md", "docs/choosing.md"])
def test_pages_run_as_they_stand(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of a page runs from its first line to its last, and its assertions hold."""
    mpl.use("Agg")
    with jax.numpy_rank_promotion("allow"):  # the regression of the page is a user's code
        exec(compile(python_blocks(page), page, "exec"), {})
