import matplotlib as mpl
import pytest

from pages import python_blocks


@pytest.mark.parametrize("page", ["docs/sweeps.md", "docs/scaling.md"])
def test_pages_run_as_they_stand(page, capsys):
    """The Python of a page runs from its first line to its last."""
    mpl.use("Agg")
    exec(compile(python_blocks(page), page, "exec"), {})
