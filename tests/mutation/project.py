"""The project that is tested: its copies, the files of its tests, and what is known of each of them."""

import compileall
import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import forks
import measure

WORKERS = 2
ELSEWHERE = "tests/site/", "tests/types/", "tests/notebook/"
"""Tests that run other programs (the site, type checkers, a notebook), which the tracer does not see."""

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "site", "dist", "build", "out", "node_modules")
MEASURING = forks.Limits(cpu=1500, wall=3600)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is known of a file of tests.

    Attributes:
      seconds: processor time of the whole file under the tracer, which bounds that of a later run.
      lines: the lines that run, for each file of the package.
      collected: the functions that run while the file is imported and collected, as "file:first line".
      tests: the functions that each test calls.
      costs: processor time of each test.
      failed: the tests that fail without a mutation.
    """

    seconds: float
    lines: dict[str, set[int]]
    collected: set[str]
    tests: dict[str, set[str]]
    costs: dict[str, float]
    failed: set[str]


@dataclasses.dataclass(frozen=True)
class Project:
    """A project with one package in `src` and its tests in `tests`."""

    root: pathlib.Path

    @functools.cached_property
    def package(self) -> str:
        """The name of the package."""
        (name,) = [path.name for path in (self.root / "src").iterdir() if (path / "__init__.py").exists()]
        return name

    @property
    def source(self) -> pathlib.Path:
        """The folder of the package."""
        return self.root / "src" / self.package

    @property
    def cache(self) -> pathlib.Path:
        """What is kept from one call to the next; git ignores it."""
        return self.root / ".cache" / "mutation"

    def copied(self, number: int) -> "Project":
        """A fresh copy, in which files may be mutated."""
        tree = self.cache / f"tree{number}"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.root, tree, ignore=IGNORED)
        compileall.compile_dir(tree / "src", quiet=2)
        return Project(tree)

    @property
    def programs(self) -> pathlib.Path:
        """The compiled programs."""
        folder = self.cache / "programs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log(self, number: int) -> pathlib.Path:
        """The output of the last run of a worker."""
        return self.cache / f"worker{number}.log"

    def digest(self, name: str) -> str:
        """A digest of one file of tests and of everything but the files of tests."""
        return hashlib.sha256((self._shared + (self.root / name).read_text()).encode()).hexdigest()[:16]

    @functools.cached_property
    def _shared(self) -> str:
        files = [path for folder in ("src", "tests") for path in sorted((self.root / folder).rglob("*.py"))]
        here = pathlib.Path(__file__).parent
        chosen = [path for path in files if not path.name.startswith("test_") and path.parent.name != here.name]
        digest = hashlib.sha256()
        for path in [*chosen, *self.root.glob("*.toml"), *self.root.glob("conftest.py"), pathlib.Path(measure.__file__)]:
            digest.update(path.read_bytes())
        return digest.hexdigest()


class Files:
    """A pytest plugin that notes the files of the collected tests."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def pytest_collection_finish(self, session: Any) -> None:
        """Notes each file once."""
        self.files = sorted({item.nodeid.partition("::")[0] for item in session.items})

    def report(self) -> dict[str, Any]:
        """The files."""
        return {"files": self.files}


def test_files(project: Project) -> list[str]:
    """The files of the default run of the tests, files with doctests included."""
    log = project.log(0)
    outcome = forks.run(project.root, [], log, MEASURING, plugins=lambda: [Files()], options=["--collect-only"])
    if not outcome.passed:
        raise RuntimeError(f"the tests could not be collected: {outcome.failed}; see {log}")
    without = (f"tests/{pathlib.Path(__file__).parent.name}/", *ELSEWHERE)
    return [name for name in json.loads(log.with_suffix(".json").read_text())["files"] if not name.startswith(without)]


_here: tuple[Project, int]  # what the worker process works on


class Workers:
    """Processes with a copy of the project each. They last, because copies take time."""

    def __init__(self, project: Project, workers: int = WORKERS) -> None:
        context = multiprocessing.get_context("fork")
        numbers = context.SimpleQueue()
        for number in range(workers):
            numbers.put(number)
        self.project = project
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (project, numbers))

    def run(self, task: Callable[..., Any], given: list[Any]) -> Iterator[tuple[Any, Any]]:
        """Pairs of an argument and what `task(project, copy, number, argument)` returned for it, as they are finished."""
        futures = {self.pool.submit(_do, self.project, task, one): one for one in given}
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()


def _begin(project: Project, numbers: Any) -> None:
    """Gives a worker process its number and its copy."""
    global _here
    forks.end_with_parent()
    number = numbers.get()
    _here = project.copied(number), number


def _do(project: Project, task: Callable[..., Any], argument: Any) -> Any:
    copy, number = _here
    return task(project, copy, number, argument)


def _trace(project: Project, copy: Project, number: int, name: str) -> dict[str, Any]:
    """Runs one file of tests under the tracer."""
    log = project.log(number)
    outcome = forks.run(copy.root, [name], log, MEASURING, project.programs, lambda: [measure.Tracer(copy.source)], ())
    found = log.with_suffix(".json")
    return {"outcome": dataclasses.asdict(outcome), **(json.loads(found.read_text()) if found.exists() else {})}


def measured(project: Project, workers: Workers, say: Callable[[str], None]) -> dict[str, Measured]:
    """What is known of each file of tests. What was measured before and has not changed since is read from the cache."""
    folder = project.cache / "measured"
    folder.mkdir(parents=True, exist_ok=True)
    names = test_files(project)
    paths = {name: folder / f"{name.replace('/', '.')}.{project.digest(name)}.json" for name in names}
    missing = [name for name, path in paths.items() if not path.exists()]
    for done, (name, result) in enumerate(workers.run(_trace, missing), 1):
        paths[name].write_text(json.dumps({"traced": result}))
        failed = ", ".join(sorted({test for test, _ in result["outcome"]["failed"]}))
        say(
            f"measured {done}/{len(missing)} {name}: {result['outcome']['cpu']:.1f} s"
            + (f", fails: {failed}" if failed else "")
        )
    return {name: _measured(json.loads(path.read_text())["traced"]) for name, path in paths.items()}


def _measured(found: dict[str, Any]) -> Measured:
    return Measured(
        seconds=found["outcome"]["cpu"],
        lines={name: set(lines) for name, lines in found.get("lines", {}).items()},
        collected=set(found.get("collected", ())),
        tests={name: set(called) for name, called in found.get("tests", {}).items()},
        costs=found.get("seconds", {}),
        failed={name for name, _ in found["outcome"]["failed"]},
    )
