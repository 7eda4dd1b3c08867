"""The mutation tool on a package of a few lines."""

import json
import pathlib
import subprocess
import sys

import pytest

TOOL = pathlib.Path(__file__).with_name("mutate.py")

PACKAGE = '''"""A toy."""


def larger(one: int, other: int) -> int:
    """The larger of two."""
    if one > other:
        return one
    return other


def digits(number: int) -> int:
    """How many digits a number has."""
    found = 0
    while number:
        number //= 10
        found += 1
    return found
'''

TESTS = '''import toy


def test_larger() -> None:
    """Passes with `>=` as well: both sides are then equal."""
    assert [toy.larger(1, 2), toy.larger(2, 1), toy.larger(2, 2)] == [2, 2, 2]


def test_digits() -> None:
    """Never ends if the sign of the step is wrong."""
    assert toy.digits(100) == 3
'''


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A project with one package and one file of tests."""
    root = tmp_path_factory.mktemp("toy")
    for path, text in {"src/toy/__init__.py": PACKAGE, "tests/test_toy.py": TESTS}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def run(root: pathlib.Path, line: int) -> dict[str, dict[str, object]]:
    """What became of each mutation of a line, by the line after it."""
    output = root / f"{line}.json"
    command = [sys.executable, TOOL, "--root", root, "--line", f"__init__.py:{line}", "--output", output]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return {one["mutation"]["after"]: one for one in json.loads(output.read_text())}


@pytest.mark.slow
def test_a_boundary_that_no_test_can_see_survives(toy: pathlib.Path) -> None:
    """A mutation that no test notices is reported as survived, with the file of tests that was run."""
    found = run(toy, 6)
    assert found["if one >= other:"]["status"] == "survived"
    assert found["if one >= other:"]["tests"] == ["tests/test_toy.py"]


@pytest.mark.slow
def test_a_wrong_answer_is_killed_by_the_test_that_says_so(toy: pathlib.Path) -> None:
    """A mutation that a test notices is reported as killed, with that test; one that never ends as timed out."""
    found = run(toy, 16)
    assert found["found += 2"]["status"] == "killed"
    assert found["found += 2"]["killers"][0][0] == "tests/test_toy.py::test_digits"
    assert {one["status"] for one in found.values()} == {"killed"}
    assert (toy / "src/toy/__init__.py").read_text() == PACKAGE


@pytest.mark.slow
def test_a_loop_that_never_ends_counts_as_timed_out(toy: pathlib.Path) -> None:
    """A mutation that keeps a test from ending is noticed, and reported apart."""
    assert run(toy, 15)["pass"]["status"] == "timed out"
