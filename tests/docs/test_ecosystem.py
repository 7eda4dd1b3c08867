"""The pages on other libraries, executed where those are installed: each section after the beginning of its page."""

import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import matplotlib as mpl
import pytest

import lrax
from pages import ROOT, python_blocks

REQUIRED = {
    "docs/logging.md": {
        "TensorBoard": ["tensorboardX"],
        "Weights & Biases": ["wandb"],
        "MLflow": ["mlflow"],
        "Trackio": ["trackio"],
        "Inside jit": [],
    },
    "docs/optuna.md": {"Ask, train, tell": ["optuna"], "Stop bad trials early": ["optuna"]},
}
"""The sections of a page with code, and the modules that each needs."""


def sections(page: str) -> tuple[str, dict[str, str]]:
    """The code above the first section of a page, and that of each section that has some."""
    beginning, *rest = re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE)
    code = {
        part.partition("\n")[0]: "\n".join(re.findall(r"```python\n(.*?)```", part, re.DOTALL)) for part in [beginning, *rest]
    }
    first, *others = code.items()
    return first[1], {title: source for title, source in others if source}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers write to a folder of the test, and nowhere else."""
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.mark.parametrize("page", REQUIRED)
def test_every_section_is_listed(page: str) -> None:
    """No section with code is left out."""
    assert set(sections(page)[1]) == set(REQUIRED[page])


@pytest.mark.slow
@pytest.mark.standard_promotion  # of optax's optimizers
@pytest.mark.filterwarnings("ignore")  # of the other libraries
@pytest.mark.parametrize(("page", "title"), [(page, title) for page, titles in REQUIRED.items() for title in titles])
def test_sections_run(page: str, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The code of a section runs after that of the beginning, where its library is installed."""
    for module in REQUIRED[page][title]:
        pytest.importorskip(module)
    beginning, others = sections(page)
    exec(compile(f"{beginning}\n{others[title]}", f"{page}: {title}", "exec"), {})


@pytest.mark.slow
@pytest.mark.standard_promotion
@pytest.mark.filterwarnings("ignore")
def test_data_loaders_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of the page on data loaders runs from its first line to its last."""
    pytest.importorskip("grain")
    exec(compile(python_blocks("docs/loaders.md"), "docs/loaders.md", "exec"), {})
    assert "Best: peak" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.standard_promotion
@pytest.mark.filterwarnings("ignore")
def test_a_loop_runs_and_goes_on_from_its_checkpoint(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page on training loops runs, and a run that is interrupted reports what an undisturbed one does, to the last bit."""
    pytest.importorskip("grain")
    names: dict[str, Any] = {}
    exec(compile(python_blocks("docs/own_loop.md"), "docs/own_loop.md", "exec"), names)
    assert "Best: peak" in capsys.readouterr().out
    schedule, whole, again = lrax.warmup_cosine(0.01, warmup_steps=0.1, total_steps=12), {}, {}
    names["train"](tmp_path / "whole", schedule, 0, 1, whole.__setitem__)

    def interrupt(step: int, metrics: dict[str, float]) -> None:
        again[step] = metrics
        if len(again) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        names["train"](tmp_path / "again", schedule, 0, 1, interrupt)
    calls: list[int] = []
    step = names["train_step"]
    names["train_step"] = lambda *given: calls.append(1) or step(*given)
    names["train"](tmp_path / "again", schedule, 0, 1, again.__setitem__)
    assert len(calls) == 4  # of twelve: those of the last epoch
    assert again == whole


@pytest.mark.slow  # three processes that import JAX
def test_a_race_on_processes_runs_and_goes_on(tmp_path: pathlib.Path) -> None:
    """The script of the page on training loops runs on two processes; a second call loads all from its folder."""
    (script,) = re.findall(r"```python title=\"(race\.py)\"\n(.*?)```", (ROOT / "docs" / "own_loop.md").read_text(), re.DOTALL)
    (tmp_path / script[0]).write_text(script[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "race.py", "results"]
    once, again = (
        subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, check=True).stdout for _ in range(2)
    )
    assert "Best: peak" in once
    assert again.splitlines()[0] == once.splitlines()[0]
