"""What continuous integration runs: its pins, paths, extras and commands are those of this repository."""

import hashlib
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

import lrax

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = ROOT / ".ci" / "oldest.txt"
WORKFLOWS = {path.name: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
SCRIPTS = {**WORKFLOWS, "run": (ROOT / ".ci" / "run").read_text()}


def version(text: str) -> str:
    """A version without its zeros and wildcards at the end: `1.26.*` and `1.26.0` are 1.26."""
    return re.sub(r"(\.0|\.\*)+$", "", text)


def versions(lines: list[str], sign: str) -> dict[str, str]:
    """The version of each library in lines such as `jax>=0.7`."""
    pairs = (line.partition(sign) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): version(number.strip()) for name, _, number in pairs}


def shell(command: str) -> str:
    """What a command prints, run in the root of the repository."""
    return subprocess.run(["bash", "-euc", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_the_oldest_libraries_are_the_minimums() -> None:
    """The pins are the lower ends of the ranges in pyproject.toml, for each library that lrax needs and for Flax."""
    minimums = versions([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["flax"]], ">=")
    pins = versions(PINS.read_text().splitlines(), "==")
    assert pins.pop("jaxlib") == minimums["jax"]
    assert pins == minimums
    assert set(pins) >= {"jax", "optax", "numpy", "flax"}


def test_both_legs_of_the_oldest_install_with_the_pins() -> None:
    """The script and the workflow read the one file of pins, and have no pins of their own."""
    (script,) = re.findall(r"^prepare oldest .*", SCRIPTS["run"], re.MULTILINE)
    (workflow,) = re.findall(r"if: matrix\.libraries == 'oldest'.*\n +run: (.*)", SCRIPTS["tests.yml"])
    assert script.removesuffix(" &").endswith("-e '.[test]' -c .ci/oldest.txt")
    assert workflow.endswith("-e '.[test]' -c .ci/oldest.txt")
    for name, text in SCRIPTS.items():
        assert not re.search(r"\b(jax|jaxlib|optax|numpy|flax)[=<>~]=", text), name


def test_the_pins_reach_pip() -> None:
    """What the script's `prepare` gives pip has the constraints in it."""
    (prepare,) = re.findall(r"^prepare\(\) \{.*?^\}", SCRIPTS["run"], re.MULTILINE | re.DOTALL)
    (line,) = re.findall(r"^prepare oldest .*", SCRIPTS["run"], re.MULTILINE)
    told = prepare.replace('".venv-$1/bin/python"', "echo").replace('"$2" -m venv', "true")
    assert shell(f"{told}\n{line.removesuffix(' &')}") == "-m pip install -q -e .[test] -c .ci/oldest.txt"


def test_paths_that_are_named_are_there() -> None:
    """Each file of the repository that a workflow or the script names exists."""
    found = set()
    for name, text in SCRIPTS.items():
        for path in re.findall(r"(?<![\w./-])(?:docs|src|tests|benchmarks|examples|\.ci)/[\w./-]+", text):
            assert (ROOT / path.rstrip(".")).exists(), (name, path)
            found.add(path)
    assert {"docs/build.sh", "docs/lrax_site/book.py", "src/lrax/_version.py", ".ci/oldest.txt"} <= found
    assert 'SHOTS = ROOT / "out" / "site"' in (ROOT / "tests" / "site" / "test_browser.py").read_text()
    assert "path: out/site" in SCRIPTS["tests.yml"]


def test_extras_that_are_installed_are_there() -> None:
    """Each extra in `.[extra]` is one of pyproject.toml."""
    extras = {extra for text in SCRIPTS.values() for found in re.findall(r"\.\[([\w,]+)\]", text) for extra in found.split(",")}
    assert {"test", "docs", "browser"} <= extras <= set(PROJECT["optional-dependencies"])


def test_commands_that_read_files_find_something() -> None:
    """The release's version and notes, and the README's test command, are found by the commands that look for them."""
    (read_version,) = re.findall(r"version=\$\((sed .*)\)", SCRIPTS["release.yml"])
    assert shell(read_version) == lrax.__version__
    (has_notes,) = re.findall(r"grep -q .* CHANGELOG\.md", SCRIPTS["release.yml"])
    (notes,) = re.findall(r"(awk .*) >notes\.md", SCRIPTS["release.yml"])
    assert shell(f"version={lrax.__version__}; {has_notes} && {notes}").startswith(f"## {lrax.__version__}")
    (test_command,) = re.findall(r"test_command=\$\((.*)\)", SCRIPTS["run"])
    assert "python" in shell(test_command)


def test_every_python_that_is_allowed_is_tested() -> None:
    """The oldest Python that is allowed runs with the oldest libraries, and each Python of the classifiers is in the matrix."""
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f'python: "{oldest}", libraries: oldest' in SCRIPTS["tests.yml"]
    (matrix,) = re.findall(r"python: (\[.*\])", SCRIPTS["tests.yml"])
    classified = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]
    assert set(classified) <= set(re.findall(r"\d\.\d+", matrix))
    assert oldest == classified[0]


def test_actions_are_pinned_by_commit() -> None:
    """Each action is named by a full commit, with its version in a comment: a tag can be moved."""
    uses = [line.strip() for text in WORKFLOWS.values() for line in text.splitlines() if "uses:" in line]
    assert len(uses) > 10
    for line in uses:
        assert re.search(r"uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$", line), line


def test_the_citation_file_has_this_version() -> None:
    """CITATION.cff names the version and the license of the package."""
    text = (ROOT / "CITATION.cff").read_text()
    assert f"version: {lrax.__version__}\n" in text
    assert f"license: {PROJECT['license']}\n" in text


def check_extras(metadata: str) -> None:
    """Every extra of a wheel, and every pair of them, names packages and extras that exist, each with a lowest version."""
    offered = set(re.findall(r"^Provides-Extra: (.*)$", metadata, re.MULTILINE))
    assert offered == set(PROJECT["optional-dependencies"])
    needed = [Requirement(line) for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)]
    for pair in itertools.combinations_with_replacement(sorted(offered), 2):
        chosen, wanted = {"", *pair}, set(pair)
        while wanted:  # `lrax[examples]` wants other extras of lrax
            name = wanted.pop()
            own = [one for one in needed if one.marker is not None and one.marker.evaluate({"extra": name})]
            wanted |= set().union(*(one.extras for one in own if one.name == "lrax")) - chosen
            chosen |= wanted
        assert chosen - {""} <= offered
        packages = [one for one in needed for name in chosen if one.marker is None or one.marker.evaluate({"extra": name})]
        bounds: dict[str, set[str]] = {}
        for one in packages:
            bounds.setdefault(one.name, set()).add(str(one.specifier))
        assert {"jax", "optax", "numpy"} <= set(bounds)
        assert all(bound.startswith(">=") for name, its in bounds.items() for bound in its if name != "lrax"), bounds


@pytest.mark.slow
def test_a_build_can_be_reproduced(tmp_path: pathlib.Path) -> None:
    """Two builds of the same tree give the same bytes, and the wheel alone works without extras."""
    digests = []
    for name in ("first", "second"):
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name).iterdir()})
    assert digests[0] == digests[1]
    assert sorted(name.rpartition(".")[2] for name in digests[0]) == ["gz", "whl"]
    (wheel,) = (tmp_path / "first").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        file.extractall(tmp_path / "alone")
        (metadata,) = [file.read(name).decode() for name in names if name.endswith("METADATA")]
    assert any(name.endswith("LICENSE") for name in names)
    assert not [name for name in names if not name.startswith(("lrax/", "lrax-"))]
    check_extras(metadata)
    program = "import lrax; print(lrax.__file__, lrax.warmup_cosine(peak=0.1, warmup_steps=10, total_steps=100)(50))"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "alone")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.startswith(str(tmp_path / "alone" / "lrax"))
