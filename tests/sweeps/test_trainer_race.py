"""Races of training functions in plain Python, and races of learners, on the workers of an executor."""

import concurrent.futures
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

import lrax
from problems import linear_learner, regression, same

PEAKS = (0.02, 0.05, 0.1, 0.2, 0.3, 1.2)
SCHEDULES = [lrax.Linear(peak, 0.0, 80) for peak in PEAKS]
RUNGS = {"rungs": (10, 10, 20), "keep": 0.5}


def train(schedule: Any, report: Callable[..., None], until: int, state: Any) -> tuple[int, float]:
    """Gradient descent on w ** 2 in plain Python, which reports every other step."""
    begun, weight = (0, 1.0) if state is None else state
    for count in range(begun, until):
        weight -= float(schedule(count)) * 2 * weight
        if count % 2:
            report(count, {"loss": weight**2})
    return until, weight


def race(train: Callable[..., Any] = train, **options: Any) -> Any:
    """The race of these tests."""
    return lrax.run_sweep(train, SCHEDULES, traced=False, **{**RUNGS, **options})


def assert_same(found: Any, wanted: Any) -> None:
    """The same results to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, found.metrics, wanted.metrics)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    np.testing.assert_array_equal(found.steps, wanted.steps)
    assert found.states == wanted.states


@pytest.fixture(scope="module")
def whole() -> Any:
    """The race in one process."""
    return race()


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    """Two spawned processes."""
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_the_best_go_on_from_their_states(whole: Any) -> None:
    """Half of the runs go on after each rung, and their curves are those of one call for all steps."""
    assert sorted(whole.steps.tolist()) == [10, 10, 10, 20, 40, 40]
    reports: list[float] = []
    state = train(SCHEDULES[4], lambda step, metrics: reports.append(metrics["loss"]), 40, None)
    np.testing.assert_array_equal(whole.metrics["loss"][4], reports)
    np.testing.assert_array_equal(whole.metrics["step"][4], np.arange(1, 40, 2))
    assert whole.best.runs == (4,)
    assert whole.states == {4: state}
    gone = int(np.flatnonzero(whole.steps == 10)[0])
    np.testing.assert_array_equal(np.isnan(whole.metrics["loss"][gone]), [False] * 5 + [True] * 15)


def test_a_lower_score_after_fewer_steps_does_not_win() -> None:
    """Runs are compared after the same steps: losses that rise later do not bring back what was left out."""

    def rising(schedule: Any, report: Callable[..., None], until: int, state: Any) -> None:
        report(until, {"loss": float(schedule(0)) * until**3})

    result = race(rising)
    assert result.best.runs == (0,)
    assert result.scores[0] > result.scores[5]
    assert result.margin.ahead == pytest.approx(0.03 * 40**3)


def test_settings_go_on_with_all_seeds() -> None:
    """Runs with equal schedules are the seeds of one setting: they go on or out together."""

    def seeded(schedule: Any, seed: Any, report: Callable[..., None], until: int, state: Any) -> None:
        report(until, {"loss": float(schedule(0)) * (1 + 10 * int(seed == 1))})

    schedules, seeds = lrax.grid(SCHEDULES[:4], np.arange(3))
    result = lrax.run_sweep(seeded, schedules, seeds, traced=False, rungs=(5, 5))
    np.testing.assert_array_equal(result.steps, [10] * 6 + [5] * 6)
    assert set(result.states) == {0, 1, 2}
    assert result.margin.seeds == 3


def test_a_run_that_raises_is_out_and_the_rest_goes_on() -> None:
    """Its error has the traceback; what it had reported stays; if all that go on fail, the next best wins."""

    def failing(schedule: Any, report: Callable[..., None], until: int, state: Any) -> Any:
        if until == 20:
            raise FloatingPointError("a loss\nof two lines")
        return train(schedule, report, until, state)

    result = race(failing)
    assert len(result.errors) == 3
    run, error = next(iter(result.errors.items()))
    assert error.startswith("FloatingPointError: a loss of two lines (failing, line ")
    assert "in failing" in error
    assert "_trainers.py" not in error
    assert np.isfinite(result.metrics["loss"][run]).sum() == 5
    assert result.best.runs not in [(run,) for run in result.errors]
    assert result.best.steps == 10
    assert list(result.states) == list(result.best.runs)
    assert "3 of 6 runs failed; run" in str(result)
    assert str(result).count("  failed") == 3
    assert "Traceback" not in str(result)


def test_a_rung_is_tried_again_from_its_state() -> None:
    """With `retries` a rung that raised begins again where the rung began."""
    raised: list[int] = []

    def flaky(schedule: Any, report: Callable[..., None], until: int, state: Any) -> Any:
        after = train(schedule, report, until, state)
        if raised.count(until) < 1:
            raised.append(until)
            raise OSError("the file system is away")
        return after

    result = race(flaky, retries=1)
    assert raised == [10, 20, 40]
    assert not result.errors
    assert_same(result, race())


def test_what_reports_nothing_has_failed() -> None:
    """A rung without a report cannot be ranked."""
    with pytest.raises(RuntimeError, match="nothing was reported until step 10: call report"):
        race(lambda schedule, report, until, state: None)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        (
            {"train": lambda schedule, report: None},
            TypeError,
            r"until, state\) with `rungs`, got .*; it has no until and no state",
        ),
        ({"rungs": (4, 0)}, ValueError, "`rungs` must be one or more numbers of steps"),
        ({"keep": 0.0}, ValueError, "`keep` must be above 0"),
        ({"traced": True}, ValueError, "`rungs` must be None unless traced=False"),
        ({"part": (0, 2), "folder": "x"}, ValueError, "`part` must be left out with `rungs`"),
    ],
)
def test_bad_options_are_named(changed: dict[str, Any], error: type[Exception], words: str) -> None:
    """Each wrong option is an error with its name, before anything is trained."""
    with pytest.raises(error, match=words):
        lrax.run_sweep(**{"train": train, "schedules": SCHEDULES, "traced": False, **RUNGS, **changed})


def test_a_killed_race_goes_on_from_its_folder(whole: Any, tmp_path: pathlib.Path) -> None:
    """Runs and rungs that have ended are loaded and never trained again; runs that failed are."""
    calls: list[int] = []

    def counted(schedule: Any, report: Callable[..., None], until: int, state: Any) -> Any:
        calls.append(until)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return train(schedule, report, until, state)

    with pytest.raises(KeyboardInterrupt):
        race(counted, folder=tmp_path)
    assert len(list(tmp_path.glob("run-*.lrax"))) == 7
    assert_same(race(counted, folder=tmp_path), whole)
    assert calls == [10] * 6 + [20] * 4 + [40] * 2
    assert_same(race(counted, folder=tmp_path), whole)
    assert len(calls) == 12
    with pytest.raises(ValueError, match="of one with other rungs"):
        race(counted, folder=tmp_path, rungs=(10, 20))


def test_the_result_is_saved_without_states(whole: Any, tmp_path: pathlib.Path) -> None:
    """A race that was saved has the same table; states, which may be anything, are not in the file."""
    whole.save(tmp_path / "race")
    loaded = lrax.sweeps.SweepResult.load(tmp_path / "race")
    assert str(loaded) == str(whole)
    assert loaded.rows() == whole.rows()
    assert not loaded.states


@pytest.mark.slow
def test_workers_race_what_one_process_races(pool: Any, whole: Any, tmp_path: pathlib.Path) -> None:
    """Rungs on two processes give the same bits; their states travel."""
    assert_same(race(executor=pool, folder=tmp_path), whole)
    assert len(list(tmp_path.glob("run-*.lrax"))) == 11


CALLER = """
import sys, time
import lrax
from test_trainer_race import RUNGS, SCHEDULES, train

def slowly(*arguments, **given):
    time.sleep(0.2)
    return train(*arguments, **given)

result = lrax.run_sweep(slowly, SCHEDULES, traced=False, folder=sys.argv[1], **RUNGS)
print(result, result.metrics["loss"].tolist(), result.states)
"""


@pytest.mark.slow
def test_a_caller_that_is_killed_goes_on_from_the_folder(whole: Any, tmp_path: pathlib.Path) -> None:
    """After SIGKILL in the second rung, what had ended is loaded by the next caller, and the race is the same."""
    script, folder = tmp_path / "caller.py", tmp_path / "race"
    script.write_text(CALLER)
    paths = os.pathsep.join([str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1]), *sys.path])
    call: dict[str, Any] = {"args": [sys.executable, str(script), str(folder)], "env": {**os.environ, "PYTHONPATH": paths}}
    process = subprocess.Popen(**call)
    for _ in range(1200):
        if len(list(folder.glob("run-*.lrax"))) > 6:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    ended = {file.name: file.stat().st_mtime_ns for file in folder.glob("run-*.lrax")}
    assert 6 < len(ended) < 11
    found = subprocess.run(**call, capture_output=True, text=True, check=True, timeout=300).stdout
    assert found == f"{whole} {whole.metrics['loss'].tolist()} {whole.states}\n"
    assert {name: (folder / name).stat().st_mtime_ns for name in ended} == ended


BEGAN: list[float] = []
RUNNING, FINISHED = threading.Event(), threading.Event()


def endless(schedule: Any, report: Callable[..., None], until: int, state: Any) -> Any:
    """Trains the first run, and takes two minutes for the others; a function of this module, which threads share."""
    BEGAN.append(float(schedule(0)))
    if len(BEGAN) == 1:
        return train(schedule, report, until, state)
    for step in range(6000):
        time.sleep(0.02)
        report(step, {"loss": 1.0})
        RUNNING.set()
    FINISHED.set()
    return None


def test_ctrl_c_ends_running_work_and_keeps_what_ended(tmp_path: pathlib.Path) -> None:
    """After a KeyboardInterrupt of the caller, running calls end at their next report, and nothing else begins."""
    BEGAN.clear()
    RUNNING.clear()
    FINISHED.clear()
    main = threading.main_thread().ident
    watcher = threading.Thread(target=lambda: RUNNING.wait(100) and signal.pthread_kill(main, signal.SIGINT))
    watcher.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as threads, pytest.raises(KeyboardInterrupt):
            race(endless, executor=threads, folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    watcher.join()
    assert not FINISHED.is_set()
    assert len(BEGAN) == 2
    assert [file.name for file in tmp_path.glob("run-*")] == ["run-000000-0.lrax"]


RATES = lrax.Constant(np.geomspace(0.001, 3, 10).astype(np.float32))


@pytest.mark.standard_promotion
@pytest.mark.parametrize("loop", ["scan", "python"])
@pytest.mark.parametrize("evaluated", [False, True])
def test_a_learner_s_race_on_workers_is_that_of_one_process(loop: Any, evaluated: bool, tmp_path: pathlib.Path) -> None:
    """Groups on the workers, the last one padded, give the bits of one process with groups of that size."""
    evaluation = lrax.Evaluation(lambda state: state.params["bias"] ** 2, every=3) if evaluated else None
    options: dict[str, Any] = {"rungs": (5, 6, 7), "batch_size": 16, "key": jax.random.key(0), "evaluation": evaluation}
    options["execution"] = lrax.Execution(max_parallel=4, loop=loop)
    alone = lrax.race(linear_learner(), regression(), RATES, **options)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        found = lrax.race(linear_learner(), regression(), RATES, executor=threads, folder=tmp_path, **options)
    for name in ("losses", "end_losses", "rungs", "order", "ends", "steps_run", "evaluations"):
        np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    assert same(found.state, alone.state)
    assert str(found) == str(alone)
    again = lrax.race(linear_learner(), regression(), RATES, executor=Refused(), folder=tmp_path, **options)
    assert same(again.state, alone.state)


class Refused:
    """An executor that gets nothing to do."""

    def submit(self, *given: Any) -> Any:
        raise AssertionError("nothing is left to do")


def test_a_learner_s_race_on_workers_needs_data_that_can_be_drawn() -> None:
    """An iterable can be read in one place only."""
    with pytest.raises(ValueError, match="`executor` must be left out where the data is an iterable"):
        lrax.race(linear_learner(), iter([regression()]), RATES, rungs=4, executor=Refused())
