"""Work on the workers of an executor of `concurrent.futures`: a local process pool, Dask, submitit, MPI or Ray.

Scheduling, retries and lost workers are the executor's part. This module sends the job to each worker once, and the tasks.
"""

import concurrent.futures as futures
import contextlib
import hashlib
import os
import pathlib
import pickle
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from lrax.fields._errors import argument_error

try:
    import cloudpickle as pickler  # type: ignore[import-untyped]  # lambdas, and functions of a notebook or a script
except ImportError:
    pickler = pickle

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """What an executor must do: `submit` a call and return a future, as `concurrent.futures.Executor` says."""

    def submit(self, function: Callable[..., object], /, *arguments: object) -> futures.Future[object]:
        """Schedules a call."""


class Missing(str):
    """What a worker answers that has neither the job nor a file that it can read it from."""


_jobs: dict[str, Callable[[object], object]] = {}
_lock = threading.Lock()


def work(digest: str, path: str, data: bytes | None, task: object) -> object:
    """On a worker: does one task. The job is in memory after the first, else in the file, else in `data`."""
    with _lock:
        if digest not in _jobs:
            if data is None:
                try:
                    data = pathlib.Path(path).read_bytes()
                except OSError:
                    return Missing(digest)
                if hashlib.sha256(data).hexdigest() != digest:
                    return Missing(digest)
            _jobs.clear()  # a worker holds the data of one sweep at a time
            _jobs[digest] = pickle.loads(data)  # from the caller, who could run any code here anyhow
        job = _jobs[digest]
    return job(task)


def check_executor(caller: str, executor: object) -> None:
    """Raises unless something can take work."""
    if not callable(getattr(executor, "submit", None)):
        remedy = "such as concurrent.futures.ProcessPoolExecutor(), dask's client.get_executor() or a submitit executor"
        raise argument_error(TypeError, caller, "executor", "an executor with a method `submit`", executor, remedy)


def run_tasks(
    caller: str,
    executor: Executor,
    job: Callable[[Task], Result],
    tasks: Mapping[Task, str],
) -> Iterator[tuple[Task, Result]]:
    """Does all tasks on an executor, and yields each with its result as it ends.

    The job is written to a temporary file, which workers on this machine read once. A worker that cannot read it gets the job
    with its next task. If something raises, or the caller stops, what has not begun is cancelled.

    Args:
      caller: whose argument `executor` is.
      executor: takes the work.
      job: does one task. It is pickled, by cloudpickle if that is installed.
      tasks: what is to be done, each with words for an error: "runs 8 to 15".

    Raises: what a task raised, with a note that names it; TypeError for a job that cannot be pickled.
    """
    try:
        data = pickler.dumps(job)
    except Exception as error:
        remedy = "" if pickler is not pickle else "; python -m pip install cloudpickle, or define it in a module"
        raise TypeError(
            f"{caller}: the training function cannot be sent to the workers of `executor`: {error}{remedy}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory(prefix="lrax-") as folder:
        path = os.path.join(folder, "job.pkl")
        pathlib.Path(path).write_bytes(data)
        waiting = _Waiting()
        try:
            for task in tasks:
                waiting.add(executor.submit(work, digest, path, None, task), task)
            for future, task in waiting:
                try:
                    result = future.result()
                except BaseException as error:
                    error.add_note(f"{caller}: {tasks[task]}, on a worker of `executor`")
                    raise
                if isinstance(result, Missing):
                    waiting.add(executor.submit(work, digest, path, data, task), task)
                else:
                    yield task, result
        finally:
            waiting.cancel()


class _Waiting:
    """Futures with their tasks, in the order in which they end."""

    def __init__(self) -> None:
        self._tasks: dict[Any, Any] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._polled: set[Any] = set()  # jobs of submitit are futures without callbacks

    def add(self, future: Any, task: object) -> None:
        self._tasks[future] = task
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(self._ended.put)
        else:
            self._polled.add(future)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        while self._tasks:
            future = self._next()
            yield future, self._tasks.pop(future)

    def _next(self) -> Any:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._ended.get(timeout=0.1)
            for future in self._polled:
                if future.done():
                    self._polled.remove(future)
                    return future

    def cancel(self) -> None:
        for future in self._tasks:
            with contextlib.suppress(Exception):
                future.cancel()
