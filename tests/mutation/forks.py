"""Runs pytest in forks of one process that has imported JAX, so that no run waits for imports."""

import contextlib
import ctypes
import dataclasses
import importlib
import importlib.util
import json
import os
import pathlib
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

CACHE_VARIABLE = "LRAX_TESTS_CACHE"
"""Names the folder of compiled programs to the root `conftest.py`."""

PRELOADED = (
    "numpy",
    "jax",
    "jax.numpy",
    "optax",
    "flax",
    "flax.nnx",
    "flax.linen",
    "matplotlib.pyplot",
    "chex",
    "tqdm",
    "scipy.optimize",
    "scipy.stats",
    "hypothesis",  # its plugin for pytest imports it at the end of each run, and rewrites it for assertions
    "pytest",
)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one run of pytest may take, in seconds.

    Attributes:
      cpu: processor time of the process that runs pytest.
      wall: time on the clock.
    """

    cpu: float
    wall: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one run of pytest ended.

    Attributes:
      passed: whether tests ran and all of them passed.
      timed_out: whether it was ended because it took too long.
      failed: the failures: the name of the test, or of the file that was not collected, and the last line of the error.
      seconds: time on the clock.
      cpu: processor time.
    """

    passed: bool
    timed_out: bool
    failed: list[tuple[str, str]]
    seconds: float
    cpu: float


class Failures:
    """A pytest plugin that collects the failures and counts the tests."""

    def __init__(self) -> None:
        self.failed: list[tuple[str, str]] = []
        self.passed = 0

    def pytest_collectreport(self, report: Any) -> None:
        self._note(report)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._note(report)
        self.passed += report.when == "call" and report.passed

    def _note(self, report: Any) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or [""]
            errors = [line for line in lines if line.startswith("E ")] or lines[-1:]
            self.failed.append((report.nodeid, errors[0][:200]))


def preload() -> None:
    """Imports what the tests import, without starting a JAX backend: its threads would not survive a fork."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")  # else a program's key depends on the cache's path
    for name in PRELOADED:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)


def run(
    tree: pathlib.Path,
    tests: Sequence[str],
    log: pathlib.Path,
    limits: Limits,
    cache: pathlib.Path | None = None,
    plugins: Callable[[], list[Any]] = list,
    options: Sequence[str] = ("-x",),
) -> Outcome:
    """Runs tests in a fork.

    Args:
      tree: the copy of the project to test.
      tests: files or names of tests, relative to `tree`.
      log: receives the output; the result is written next to it.
      cache: the folder of compiled programs, which the processes of both workers share.
      plugins: makes further plugins, in the fork. One that has `report()` adds what that returns to the result file.
    """
    answer = log.with_suffix(".json")
    answer.unlink(missing_ok=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            _prepare(tree, log, limits, cache)
            _test(tests, answer, plugins(), options)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    late, cpu = _wait(child, begun + limits.wall)
    for path in cache.glob(f"process-{child}-*") if cache else ():  # of a process that was ended
        shutil.rmtree(path, ignore_errors=True)
    seconds = time.monotonic() - begun
    if not answer.exists():
        return Outcome(False, late, [("", _last_line(log))], seconds, cpu)
    result = json.loads(answer.read_text())
    failed = [tuple(one) for one in result["failed"]]
    passed = result["code"] == 0
    return Outcome(passed, False, failed if passed or failed else [("", _last_line(log))], seconds, cpu)


def end_with_parent() -> None:
    """Has Linux end this process when the one that has started it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _prepare(tree: pathlib.Path, log: pathlib.Path, limits: Limits, cache: pathlib.Path | None) -> None:
    """Makes the fork a process of its own that works in `tree`."""
    os.setpgid(0, 0)  # a group, not a session: Linux gives each session its own part of the processor, however nice it is
    end_with_parent()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (round(limits.cpu) + 1, round(limits.cpu) + 6))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(tree)
    sys.path[:] = [str(tree / "src"), *(path for path in sys.path if path != str(pathlib.Path(__file__).parent))]
    os.environ["PYTHONPATH"] = str(tree / "src")
    if cache is not None:
        os.environ[CACHE_VARIABLE] = str(cache)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True


def _test(tests: Sequence[str], answer: pathlib.Path, plugins: list[Any], options: Sequence[str]) -> None:
    import pytest

    failures = Failures()
    common = ["-q", "-p", "no:cacheprovider", "-n", "0", "--tb=short", f"--rootdir={os.getcwd()}"]
    own = ["-W", "ignore:Module already imported", f"--basetemp={answer.with_suffix('')}-files"]
    code = pytest.main([*common, *own, *options, *tests], plugins=[failures, *plugins])
    sys.settrace(None)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:  # all of them are marked slow
        code = pytest.ExitCode.OK
    found = {"code": int(code), "failed": failures.failed, "passed": failures.passed}
    for plugin in plugins:
        found |= plugin.report()
    part = answer.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(answer)


def _wait(child: int, until: float) -> tuple[bool, float]:
    """Waits for a child; ends it and what it has started when it is late. Returns whether it was, and its processor time."""
    late, pause = False, 0.005
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > until and not late:
            late = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started
    late = late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    return late, usage.ru_utime + usage.ru_stime


def _last_line(log: pathlib.Path) -> str:
    """The last line of a log, which says most when no result was written."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"no test ran to its end: {lines[-1][:150] if lines else 'no output'}"
