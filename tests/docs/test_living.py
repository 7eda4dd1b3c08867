"""The page on living with a schedule, executed."""

import inspect

import matplotlib as mpl
import optax
import pytest

from pages import python_blocks


@pytest.mark.skipif(
    "adam_learning_rate" not in inspect.signature(optax.contrib.muon).parameters,
    reason="the page shows a Muon with two learning rates, which this optax does not have",
)
@pytest.mark.standard_promotion
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Orbax's own imports
def test_the_page_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """The programs of docs/living.md run as one, and its assertions hold."""
    mpl.use("Agg")
    exec(compile(python_blocks("docs/living.md"), "docs/living.md", "exec"), {})
    assert "count" in capsys.readouterr().out
