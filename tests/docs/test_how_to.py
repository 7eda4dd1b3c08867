"""The lines of docs/how-to.md, executed."""

import re

import jax
import matplotlib as mpl
import pytest

from pages import ROOT, python_blocks


@pytest.mark.standard_promotion  # of optax's optimizers
def test_every_line_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The programs of the page run, then each line of its tables."""
    mpl.use("Agg")
    names: dict[str, object] = {}
    lines = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", (ROOT / "docs" / "how-to.md").read_text(), re.MULTILINE)
    assert len(lines) >= 40
    with jax.numpy_rank_promotion("allow"):  # the network of the page is a user's code
        for source in [python_blocks("docs/how-to.md"), *lines]:
            exec(compile(source, source, "exec"), names)
    assert "learning_rate" in capsys.readouterr().out
