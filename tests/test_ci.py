"""What continuous integration runs: its pins, paths, extras and commands are those of this repository."""

import pathlib
import re
import subprocess
import tomllib

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
