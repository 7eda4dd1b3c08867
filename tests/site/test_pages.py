"""The pages that belong to the site alone are programs too."""

import jax
import matplotlib as mpl
import pytest

from pages import python_blocks


@pytest.mark.slow
@pytest.mark.standard_promotion  # of optax's optimizers
@pytest.mark.parametrize("page", ["docs/index.md", "docs/install.md", "docs/faq.md"])
def test_pages_run_as_they_stand(page: str) -> None:
    """The Python of a page runs from its first line to its last, and what it asserts holds."""
    mpl.use("Agg")
    with jax.numpy_rank_promotion("allow"):  # the losses of the page are a user's code
        exec(compile(python_blocks(page), page, "exec"), {})
