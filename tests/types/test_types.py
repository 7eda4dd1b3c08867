"""Type checkers take what users write, and report their mistakes."""

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
SCRIPTS = [HERE / "good_use.py", HERE / "mistakes.py"]

Reports = dict[str, dict[int, str]]
"""By script and line, what was reported."""


@functools.cache
def mypy_reports() -> Reports:
    """What mypy says, as strict as it can be."""
    options = ["--strict", "--follow-imports=silent", "--config-file=", "--disable-error-code=import-untyped"]
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-m", "mypy", *options, f"--cache-dir={folder}", *map(str, SCRIPTS)],
            capture_output=True,
            text=True,
            env={**os.environ, "MYPYPATH": str(SOURCE)},
        )
    found = re.findall(r"(\w+\.py):(\d+): error: (.*)", result.stdout)
    assert "checked 2 source files" in result.stdout, result.stdout + result.stderr
    return {script.name: {int(line): said for name, line, said in found if name == script.name} for script in SCRIPTS}


@functools.cache
def pyright_reports() -> Reports:
    """What pyright's own checks say; basedpyright is pyright with the Node.js that it runs on."""
    options = {"include": [*map(str, SCRIPTS)], "extraPaths": [str(SOURCE)], "typeCheckingMode": "standard"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(options))
        command = ["basedpyright", "--project", folder, "--pythonpath", sys.executable, "--outputjson"]
        result = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert result.stdout, result.stderr
    output = json.loads(result.stdout)
    assert output["summary"]["filesAnalyzed"] == len(SCRIPTS)
    found = [one for one in output["generalDiagnostics"] if one["severity"] == "error"]
    return {
        script.name: {one["range"]["start"]["line"] + 1: one["message"] for one in found if one["file"] == str(script)}
        for script in SCRIPTS
    }


every_checker = pytest.mark.parametrize(
    "reports",
    [
        pytest.param(
            reports, id=name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is not installed")
        )
        for name, reports in (("mypy", mypy_reports), ("basedpyright", pyright_reports))
    ],
)


@every_checker
def test_what_users_write_is_taken(reports: Callable[[], Reports]) -> None:
    """Schedules in optax, NumPy and JAX numbers, words, callables and own kinds are right in the eyes of both checkers."""
    assert reports()["good_use.py"] == {}


@every_checker
def test_mistakes_are_reported(reports: Callable[[], Reports]) -> None:
    """Each line of the script of mistakes is reported, and no other."""
    lines = (HERE / "mistakes.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.startswith(("lrax.", "print"))}
    assert set(reports()["mistakes.py"]) == wrong
