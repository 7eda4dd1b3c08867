"""The mutation tool on a package of a few lines."""

import importlib
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

TOOL = pathlib.Path(__file__).with_name("mutate.py")

MIXED = b'''"""Changes 1 + 1 < 2."""
import math

def kept(number: "dict[int, 2 < 3]") -> None:
    """More than 1 + 1."""
    assert number > 0
    raise ValueError(f"{number + 1} is above {1 + 2}", 3 * 4)

class Shown:
    def __repr__(self) -> str:
        return str(1 + 2)

def changed(low: int, high: int, values: list[int], part: float = 0.5) -> float:
    if low < high and not values[1:]:
        return math.floor(part) + max(values)
    return bounded(low, high)
'''

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


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool as a module; its files import each other by their bare names."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    return importlib.import_module("mutate")


def test_decisions_are_changed_and_messages_are_not(tool: Any) -> None:
    """Comparisons, arithmetic, constants and more are changed; docstrings, annotations, messages and display code stay."""
    found = tool.mutations("file.py", MIXED)
    assert {one.scope for one in found if one.text != "pass"} == {"changed"}
    for after in (
        "if low <= high and not values[1:]:",
        "if low < high or not values[1:]:",
        "if low < high and (values[1:]):",
        "if low < high and not values[2:]:",
        "return math.ceil(part) + max(values)",
        "return math.floor(part) - max(values)",
        "return math.floor(part) + min(values)",
        "return bounded(high, low)",
        "def changed(low: int, high: int, values: list[int], part: float = 1.0) -> float:",
        "pass",
    ):
        assert after in {one.after for one in found}


def test_a_group_finds_the_mutations_that_fail(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of mutations that are run together, exactly those that a test notices are killed, also if two fail the same test."""
    ones = tool.mutations("file.py", MIXED)[:7]
    noticed = {ones[1]: {"a.py::x"}, ones[4]: {"a.py::x", "b.py::y"}, ones[6]: {"b.py::y"}}

    def run(bench: Any, group: Any, chosen: Any, *options: str) -> Any:
        files = {one.file for one in chosen}
        failed = {name for one in group for name in noticed.get(one, ()) if name.partition("::")[0] in files}
        return tool.forks.Outcome(not failed, False, [(name, "") for name in sorted(failed)], 0.0, 0.0)

    monkeypatch.setattr(tool.Bench, "run", run)
    bench = tool.Bench(None, None, 0, frozenset())
    tests = [tool.Chosen(name, None, 1.0) for name in ("a.py", "b.py", "c.py")]
    killed = bench.settle(ones, tests)
    assert {one: {name for name, _ in outcome.failed} for one, outcome in killed.items()} == noticed


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
    """A mutation that a test notices is reported as killed, with that test, and the project itself is not changed."""
    found = run(toy, 16)
    assert found["found += 2"]["status"] == "killed"
    assert found["found += 2"]["killers"][0][0] == "tests/test_toy.py::test_digits"
    assert {one["status"] for one in found.values()} == {"killed"}
    assert (toy / "src/toy/__init__.py").read_text() == PACKAGE


@pytest.mark.slow
def test_a_loop_that_never_ends_counts_as_timed_out(toy: pathlib.Path) -> None:
    """A mutation that keeps a test from ending counts as noticed, and is reported separately."""
    assert run(toy, 15)["pass"]["status"] == "timed out"
