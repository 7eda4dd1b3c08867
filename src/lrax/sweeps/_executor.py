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
from typing import Any, Protocol, TypeAlias, TypeVar

from lrax.fields._errors import argument_error

try:
    import cloudpickle as pickler  # type: ignore[import-untyped]  # lambdas, and functions of a notebook or a script
except ImportError:
    pickler = pickle

Task = TypeVar("Task")
Result = TypeVar("Result")


GROUPS = 16
"""On the workers of an executor runs are divided into at least this many groups, unless `max_parallel` is given."""


class Executor(Protocol):
    """What an executor must do: `submit` a call and return a future, as `concurrent.futures.Executor` says."""

    def submit(self, function: Callable[..., object], /, *arguments: object) -> futures.Future[object]:
        """Schedules a call."""


Tasks: TypeAlias = Callable[[Mapping[str, Task]], Iterator[Result]]
"""Does tasks, each by the words that an error has for it, such as "runs 8 to 15"; yields their results as they end."""


class Missing(str):
    """What a worker answers that has neither the job nor a file that it can read it from."""


class Stopped(BaseException):
    """Ends a task whose caller has ended; not an Exception, so that a training function does not catch it by mistake."""


_jobs: dict[str, Callable[[object], object]] = {}
_lock = threading.Lock()
_task = threading.local()  # the task of a thread: the file of its job, if this machine has it


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
    _task.file = path if os.path.exists(path) else None
    try:
        return job(task)
    finally:
        _task.file = None


def stop_if_cancelled() -> None:
    """On a worker, inside a task: raises `Stopped` if the caller has removed the job's file, where this machine has it."""
    file = getattr(_task, "file", None)
    if file is not None and not os.path.exists(file):
        raise Stopped("the caller has ended")


def check_executor(caller: str, executor: object) -> None:
    """Raises unless something can take work."""
    if not callable(getattr(executor, "submit", None)):
        remedy = "such as concurrent.futures.ProcessPoolExecutor(), dask's client.get_executor() or a submitit executor"
        raise argument_error(TypeError, caller, "executor", "an executor with a method `submit`", executor, remedy)


@contextlib.contextmanager
def workers(caller: str, executor: Executor | None, job: Callable[[Task], Result]) -> Iterator[Tasks[Task, Result]]:
    """A function that does tasks: here without an executor, else on its workers.

    The job is written to a temporary file, which workers on this machine read once. A worker that cannot read it gets the job
    with its next task. If something raises, or the caller stops, what has not begun is cancelled.

    Args:
      caller: whose argument `executor` is.
      executor: takes the work, if there is one.
      job: does one task. It is pickled, by cloudpickle if that is installed.

    Raises: TypeError for a job that cannot be pickled. What a task raises has a note with its words.
    """
    if executor is None:
        yield lambda tasks: map(job, tasks.values())
        return
    data = _pickled(caller, job)
    digest = hashlib.sha256(data).hexdigest()
    waiting = _Waiting()
    with tempfile.TemporaryDirectory(prefix="lrax-") as folder:
        path = os.path.join(folder, "job.pkl")
        pathlib.Path(path).write_bytes(data)

        def do(tasks: Mapping[str, Task]) -> Iterator[Result]:
            for words, task in tasks.items():
                waiting.add(executor.submit(work, digest, path, None, task), words)
            for future, words in waiting:
                try:
                    result: Any = future.result()
                except BaseException as error:
                    error.add_note(f"{caller}: {words}, on a worker of `executor`")
                    raise
                if isinstance(result, Missing):
                    waiting.add(executor.submit(work, digest, path, data, tasks[words]), words)
                else:
                    yield result

        try:
            yield do
        finally:  # here, because a generator ends when nothing refers to it, which an error with its traceback does
            waiting.cancel()


def _pickled(caller: str, job: object) -> bytes:
    try:
        return dumps(job)
    except Exception as error:
        remedy = "" if pickler is not pickle else "; python -m pip install cloudpickle, or define it in a module"
        raise TypeError(
            f"{caller}: the training function cannot be sent to the workers of `executor`: {error}{remedy}"
        ) from error


def dumps(value: object) -> bytes:
    """A value pickled, by cloudpickle if that is installed."""
    data: bytes = pickler.dumps(value)
    return data


class _Waiting:
    """Futures with the words of their tasks, in the order in which they end."""

    def __init__(self) -> None:
        self._tasks: dict[Any, str] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._polled: set[Any] = set()  # jobs of submitit are futures without callbacks

    def add(self, future: Any, words: str) -> None:
        self._tasks[future] = words
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(self._ended.put)
        else:
            self._polled.add(future)

    def __iter__(self) -> Iterator[tuple[Any, str]]:
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
        self._tasks.clear()
