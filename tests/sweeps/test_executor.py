"""Sweeps on the workers of an executor, in parts, and of training functions in plain Python."""

import concurrent.futures
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.sweeps import _executor

PEAKS = np.geomspace(0.01, 1, 12).astype(np.float32)
EIGHT = lrax.Execution(max_parallel=4)


def train(data: Any, schedule: Any, key: Any) -> jax.Array:
    """A pure training function of a batch of numbers."""
    start = jax.random.normal(key, data.shape)

    def step(weights: Any, count: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda weights: jnp.mean((weights - data) ** 2))(weights)
        return weights - schedule(count) * grads, loss

    return jax.lax.scan(step, start, jnp.arange(20))[1]


def arguments() -> tuple[Any, Any, Any]:
    """A training function with its data, twelve schedules and as many keys."""
    return jax.tree_util.Partial(train, jnp.arange(3.0)), lrax.Constant(PEAKS), jax.random.split(jax.random.key(0), 12)


def by_hand(schedule: Any, seed: Any = 0) -> dict[str, float]:
    """A training function in plain Python: a loop that calls the schedule with Python's counts."""
    weight = 1.0 + float(seed)
    for count in range(10):
        weight -= float(schedule(count)) * 2 * weight
    if float(schedule(0)) > 0.9:
        raise FloatingPointError("the loss is too high")
    return {"loss": weight**2, "worker": float(os.getpid())}


def same(first: Any, second: Any) -> None:
    """The same results to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, first.metrics, second.metrics)
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.fixture(scope="module")
def pool() -> Any:
    """Two spawned processes."""
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def whole() -> Any:
    """The sweep in one process."""
    return lrax.run_sweep(*arguments(), execution=EIGHT)


@pytest.mark.slow
def test_workers_train_what_one_process_trains(pool: Any, whole: Any, tmp_path: pathlib.Path) -> None:
    """Groups on the workers of a process pool give the same bits, are saved, and are not trained again."""
    same(lrax.run_sweep(*arguments(), execution=EIGHT, executor=pool, folder=tmp_path), whole)
    assert len(list(tmp_path.glob("runs-*.lrax"))) == 3

    class Refused:
        def submit(self, *given: Any) -> Any:
            raise AssertionError("nothing is left to do")

    same(lrax.run_sweep(*arguments(), execution=EIGHT, executor=Refused(), folder=tmp_path), whole)


def test_threads_are_workers_too(whole: Any) -> None:
    """An executor of threads works in this process."""
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        same(lrax.run_sweep(*arguments(), execution=EIGHT, executor=threads), whole)


def test_parts_are_put_together_in_a_folder(whole: Any, tmp_path: pathlib.Path) -> None:
    """Each part trains its groups only; the call without a part loads them all and trains none."""
    for index in (1, 0):
        part = lrax.run_sweep(*arguments(), execution=EIGHT, folder=tmp_path, part=(index, 2))
        runs = np.arange(12).reshape(3, 4)[index::2].ravel()
        np.testing.assert_array_equal(part.metrics, whole.metrics[runs])
        assert len(part.schedules) == len(runs)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    same(lrax.run_sweep(*arguments(), execution=EIGHT, folder=tmp_path), whole)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"part": (2, 2), "folder": "x"}, ValueError, "`part` must be .index, count. with 0 <= index < count"),
        ({"part": 1, "folder": "x"}, TypeError, "`part` must be"),
        ({"part": (0, 2)}, ValueError, "`folder` must be given with `part`"),
        ({"executor": 4}, TypeError, "`executor` must be an executor with a method `submit`"),
        ({"retries": 2}, ValueError, "`retries` must be 0 unless traced=False"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], words: str, tmp_path: pathlib.Path) -> None:
    """Each wrong option is an error with its name, before anything is trained."""
    given = {name: tmp_path / value if name == "folder" else value for name, value in options.items()}
    with pytest.raises(error, match=words):
        lrax.run_sweep(*arguments(), **given)


def test_python_trainers_are_called_run_by_run(tmp_path: pathlib.Path) -> None:
    """A training function in plain Python gets one schedule at a time; a run that raises is marked, and the rest goes on."""
    schedules = [lrax.Constant(float(peak)) for peak in (0.05, 0.1, 1.0)]
    result = lrax.run_sweep(by_hand, schedules, np.arange(3), score=lambda one: one["loss"], traced=False, folder=tmp_path)
    want = [by_hand(schedules[i], i)["loss"] for i in range(2)]
    np.testing.assert_array_equal(result.metrics["loss"][:2], want)
    assert np.isnan(result.metrics["loss"][2])
    assert list(result.errors) == [2]
    assert "FloatingPointError: the loss is too high (by_hand, line" in result.errors[2]
    assert "1 of 3 runs failed; run 2: FloatingPointError" in str(result)
    again = lrax.run_sweep(by_hand, schedules, np.arange(3), score=lambda one: one["loss"], traced=False, folder=tmp_path)
    same(again, result)
    result.save(tmp_path / "result")
    assert lrax.sweeps.SweepResult.load(tmp_path / "result").errors == result.errors


def test_metrics_of_runs_keep_their_numbers() -> None:
    """Metrics of all runs have a dtype that holds those of each: integers, fractions, complex numbers and bfloat16."""

    def train(schedule: Any, run: int) -> dict[str, Any]:
        if run == 3:
            raise ValueError
        half = jnp.asarray(0.5, jnp.bfloat16)
        return {"epochs": 3, "loss": run / 2 if run else 0, "wave": 1j * run, "half": half}

    for runs in (3, 4):  # with 4, one fails
        schedules = [lrax.Constant(0.1)] * runs
        found = lrax.run_sweep(train, schedules, np.arange(runs), score=lambda one: one["loss"], traced=False).metrics
        nan = [np.nan] * (runs - 3)
        np.testing.assert_array_equal(found["epochs"], [3, 3, 3, *nan])
        np.testing.assert_array_equal(found["loss"], [0, 0.5, 1, *nan])
        np.testing.assert_array_equal(found["wave"], [0, 1j, 2j, *nan])
        np.testing.assert_array_equal(found["half"], [0.5, 0.5, 0.5, *nan])


def test_a_run_is_tried_again() -> None:
    """A run that raises at first is started again as often as `retries` says."""
    tries: list[float] = []

    def flaky(schedule: Any) -> float:
        tries.append(float(schedule(0)))
        if tries.count(tries[-1]) < 3:
            raise OSError("the file system is away")
        return tries[-1]

    schedules = [lrax.Constant(0.1), lrax.Constant(0.2)]
    result = lrax.run_sweep(flaky, schedules, traced=False, retries=2)
    assert not result.errors
    assert len(tries) == 6
    tries.clear()
    with pytest.raises(RuntimeError, match="all 2 runs failed; the first: OSError: the file system is away"):
        lrax.run_sweep(flaky, schedules, traced=False, retries=1)


def test_what_failed_is_trained_again_from_a_folder(tmp_path: pathlib.Path) -> None:
    """A second call with the folder trains the runs that failed, and no other."""
    called: list[float] = []

    def fails_at_first(schedule: Any) -> float:
        called.append(float(schedule(0)))
        if len(called) == 2:
            raise OSError("the disk is away")
        return called[-1]

    peaks = lrax.Constant(np.float32([0.25, 0.5, 0.75]))
    first, second = (lrax.run_sweep(fails_at_first, peaks, traced=False, folder=tmp_path) for _ in range(2))
    assert list(first.errors) == [1]
    assert not second.errors
    assert called == [0.25, 0.5, 0.75, 0.5]
    np.testing.assert_array_equal(second.metrics, [0.25, 0.5, 0.75])


def test_reports_are_curves() -> None:
    """A training function may report as it goes: the reports are its metrics; shorter runs end in NaN."""

    def reporting(schedule: Any, report: Any) -> None:
        for step in range(0, 30 if float(schedule(0)) < 0.15 else 20, 10):
            report(step, {"loss": float(schedule(step)) + 1 / (1 + step)})

    result = lrax.run_sweep(reporting, [lrax.Constant(0.1), lrax.Constant(0.2)], traced=False)
    assert result.metrics["loss"].shape == (2, 3)
    np.testing.assert_array_equal(np.isnan(result.metrics["loss"]), [[False] * 3, [False, False, True]])
    np.testing.assert_array_equal(result.metrics["step"][0], [0, 10, 20])
    assert result.best is not None
    assert result.best.peak == np.float32(0.1)


@pytest.mark.slow
def test_python_trainers_run_on_workers(pool: Any) -> None:
    """Runs are trained in the workers' processes, and an error names the run."""
    result = lrax.run_sweep(
        by_hand, [lrax.Constant(0.1)] * 6, np.arange(6), score=lambda one: one["loss"], traced=False, executor=pool
    )
    np.testing.assert_array_equal(result.metrics["loss"], [by_hand(lrax.Constant(0.1), i)["loss"] for i in range(6)])
    assert os.getpid() not in set(result.metrics["worker"])


@pytest.mark.slow
def test_the_job_goes_to_each_worker_once(pool: Any) -> None:
    """A hundred tasks send a job of ten megabytes once, not a hundred times."""
    data = np.random.default_rng(0).bytes(10_000_000)
    began = time.perf_counter()
    with _executor.workers("test", pool, lambda task: task + len(data)) as do:
        found = sorted(do({str(i): i for i in range(100)}))
    assert found == [i + 10_000_000 for i in range(100)]
    assert time.perf_counter() - began < 60
    assert _executor._jobs == {}  # nothing is read in this process


def test_an_error_on_a_worker_names_its_runs() -> None:
    """What a task raises reaches the caller, with the runs that it belongs to; what has not begun is cancelled."""

    def job(task: int) -> int:
        if task == 1:
            raise ZeroDivisionError("in the training")
        time.sleep(0.05)
        return task

    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with pytest.raises(ZeroDivisionError) as caught, _executor.workers("run_sweep", threads, job) as do:
            list(do({f"runs {i} to {i + 1}": i for i in range(50)}))
        began = time.perf_counter()
    assert caught.value.__notes__ == ["run_sweep: runs 1 to 2, on a worker of `executor`"]
    assert time.perf_counter() - began < 1.5  # 48 tasks of 0.05 s would take longer


def test_a_worker_without_the_file_is_sent_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot read the job's file gets the job with its next task."""
    monkeypatch.setattr(_executor, "_jobs", {})
    monkeypatch.setattr(_executor.pathlib.Path, "read_bytes", lambda path: (_ for _ in ()).throw(OSError("another machine")))
    with concurrent.futures.ThreadPoolExecutor(1) as threads, _executor.workers("test", threads, lambda task: task**2) as do:
        assert sorted(do({str(i): i for i in range(5)})) == [i**2 for i in range(5)]


@pytest.mark.slow
def test_dask_workers_that_are_killed_lose_nothing() -> None:
    """Three Dask workers that are killed at random in the course of sweeps and races: the results are those of one process.

    The script compares them, and counts the tasks that were begun again.
    """
    pytest.importorskip("distributed")
    script = pathlib.Path(__file__).parents[2] / "benchmarks" / "sweep_kills.py"
    command = [sys.executable, str(script), "--kills", "4", "--every", "6"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stderr
    assert "| in all |" in run.stdout
