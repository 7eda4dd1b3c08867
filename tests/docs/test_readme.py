import re
import subprocess
import sys

import matplotlib as mpl
import pytest

from pages import ROOT, python_blocks

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_readme_runs_as_it_stands(capsys):
    """The README's program runs from its first line to its last, and finds the peak that the page shows."""
    mpl.use("Agg")
    names = {}
    exec(compile(python_blocks("README.md"), "README.md", "exec"), names)
    assert "peak learning rate" in capsys.readouterr().out
    shown = re.search(r"^peak learning rate (\S+) for", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert names["found"].peak == pytest.approx(float(shown[1]), rel=0.3)  # other versions of JAX round differently
    assert names["losses"].shape == (32,)


def test_both_first_screens_show_the_same():
    """The README and the first page of the site have the same ten lines, which print the same line."""
    blocks = [
        re.findall(r"```(python|text)\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        for page in ("README.md", "docs/index.md")
    ]
    assert blocks[0][:2] == blocks[1]
    assert len(blocks[1][0][1].split("\n\n")[1].splitlines()) + 1 <= 10


def test_ci_ends_with_the_readme_s_test_command():
    """`.ci/run` takes its last command from the README, where it stands exactly once."""
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.endswith("-m pytest")]
    assert len(lines) == 1
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith('eval "$test_command"')


@pytest.mark.slow
def test_the_main_job_runs(tmp_path):
    """The example finds a rate, trains, prints its table and draws two pictures."""
    command = [sys.executable, ROOT / "examples" / "find_and_train.py", "--updates", "20", "--out", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "peak learning rate" in run.stdout
    assert re.search(r"one-cycle +\d\.\d+ +\d+\.\d %", run.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {"range_test.png", "schedules.png"}
    assert "training: 100%" in run.stderr


def test_data_that_cannot_be_had_ends_in_one_line(tmp_path):
    """A missing data set ends the example with status 1 and one line that says how to get it."""
    command = [sys.executable, ROOT / "examples" / "find_and_train.py", "--dataset", "fashion_mnist", "--source", tmp_path]
    run = subprocess.run([*command, "--cache", tmp_path / "cache"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert len(run.stderr.strip().splitlines()) == 1
    assert "dataset-fashion-mnist" in run.stderr
