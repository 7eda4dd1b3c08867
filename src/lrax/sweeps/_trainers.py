"""Sweeps of training functions in plain Python: one call for each run, here or on the workers of an executor."""

import dataclasses
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_arity, name_of
from lrax.fields._rules import PyTree, whole_number
from lrax.sweeps._batch import Batch, chosen_runs, take
from lrax.sweeps._executor import Executor, run_tasks
from lrax.sweeps._results import SweepResult, part_of_result
from lrax.sweeps._score import Score, default_scores, peak_lrs
from lrax.training._programs import digest
from lrax.training._progress import progress_bar
from lrax.training._storage import Folder, Path, checked


class Trained(NamedTuple):
    """What came of a run: its metrics, or the error that it raised, as text."""

    metrics: PyTree
    error: str


def run_trainers(
    train: Callable[..., PyTree],
    batch: Batch,
    score: Score | None,
    folder: Path | None,
    progress: bool,
    executor: Executor | None,
    part: tuple[int, int] | None,
    retries: int,
) -> SweepResult:
    """`run_sweep` with `traced=False`; see there."""
    if not callable(train):
        raise argument_error(TypeError, "run_sweep", "train", "a function schedule -> metrics", train)
    reports = _takes_report(train)
    if not reports:
        check_arity("run_sweep", "train", train, f"train(schedule{', other' * len(batch.others)})", 1 + len(batch.others))
    retries = whole_number("run_sweep", "retries", retries, low=0)
    stored = None if folder is None else Folder.create("run_sweep", folder, "sweep", _identity(train, batch))
    loaded = [] if stored is None else stored.load("run-*.lrax", _read)
    done = {run: one for run, one in loaded if run < batch.runs and not one.error}  # what failed is trained again
    chosen = chosen_runs(batch.runs, 1, part).tolist()
    left = [run for run in chosen if run not in done]
    job = Trainer(train, batch, reports, retries)
    with progress_bar(len(chosen), "sweep", "run", progress) as show:
        show(len(chosen) - len(left), loaded=True)
        for run, one in _trained(job, left, executor):
            done[run] = one
            if stored is not None:
                stored.save(f"run-{run:06d}.lrax", {"run": run, "metrics": one.metrics, "error": one.error})
            show(1)
    if stored is not None:
        stored.close()
    where = "one at a time" if executor is None else f"each on a worker of a {type(executor).__name__}"
    result = _result(batch, {run: done[run] for run in chosen}, score, where)
    return result if part is None else part_of_result(result, chosen)


def _trained(job: "Trainer", runs: list[int], executor: Executor | None) -> Iterator[tuple[int, Trained]]:
    """Each run with what came of it, as it ends."""
    if executor is None:
        yield from ((run, job(run)) for run in runs)
    else:
        yield from run_tasks("run_sweep", executor, job, {run: f"run {run}" for run in runs})


@dataclasses.dataclass
class Trainer:
    """Trains one run: the job of a worker.

    Attributes:
      train: the training function.
      batch: all runs.
      reports: whether it takes `report`.
      retries: how often a run that raised is started again.
    """

    train: Callable[..., PyTree]
    batch: Batch
    reports: bool
    retries: int

    def __call__(self, run: int) -> Trained:
        error = ""
        for _ in range(self.retries + 1):
            reported: list[tuple[int, dict[str, Any]]] = []
            given = {"report": lambda step, metrics, to=reported: to.append((int(step), dict(metrics)))} if self.reports else {}
            schedule, others = self.batch.one(run), take(self.batch.others, run)
            try:
                metrics = self.train(schedule, *others, **given)
                metrics = _columns(reported) if metrics is None and reported else metrics
                return Trained(jax.tree.map(_as_numbers, metrics), "")
            except Exception as raised:  # whatever a run raises, the other runs go on
                last = traceback.extract_tb(raised.__traceback__)[-1]
                error = f"{type(raised).__name__}: {raised} ({last.name}, line {last.lineno})"
        return Trained(None, error)


def _takes_report(train: Callable[..., PyTree]) -> bool:
    """Whether a training function has a parameter `report`."""
    try:
        return "report" in inspect.signature(train).parameters
    except (TypeError, ValueError):
        return False


def _columns(reported: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Reports as curves: the steps, and a value of each metric at each of them."""
    names = dict.fromkeys(name for _, metrics in reported for name in metrics)
    columns = {name: np.array([metrics.get(name, np.nan) for _, metrics in reported], np.float64) for name in names}
    return {**columns, "step": np.array([step for step, _ in reported], np.float64)}


def _as_numbers(leaf: object) -> npt.NDArray[np.generic]:
    """A metric as a NumPy array; raises TypeError for what holds no numbers."""
    array = np.asarray(leaf)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"`train` must return numbers and arrays of numbers, got {leaf!r}")
    return array


def _result(batch: Batch, done: dict[int, Trained], score: Score | None, where: str) -> SweepResult:
    """The result of all runs: those that failed, or belong to other parts, have NaN."""
    good = {run: one.metrics for run, one in done.items() if not one.error}
    errors = {run: one.error for run, one in sorted(done.items()) if one.error}
    if not good:
        first = next(iter(errors.values()))
        raise RuntimeError(f"run_sweep: all {len(errors)} runs failed; the first: {first}")
    structures = {run: str(jax.tree.structure(metrics)) for run, metrics in good.items()}
    for run, structure in structures.items():
        if structure != next(iter(structures.values())):
            raise ValueError(f"run_sweep: the metrics of run {run} have other parts than those of run {next(iter(good))}")
    metrics = jax.tree.map(lambda *leaves: _stacked(batch.runs, dict(zip(good, leaves, strict=True))), *good.values())
    scores = np.full(batch.runs, np.nan)
    for run, one in good.items():
        scores[run] = _default_score(one) if score is None else float(score(one))
    scores[~np.isfinite(scores)] = np.nan
    peaks = np.asarray(peak_lrs(batch.schedules))
    return SweepResult(batch.each(), metrics, scores, peaks, where, errors)


def _default_score(metrics: PyTree) -> float:
    """The end loss of metrics that are one array, or a report of one metric."""
    reported = isinstance(metrics, dict) and "step" in metrics
    leaves = [leaf for name, leaf in metrics.items() if name != "step"] if reported else jax.tree.leaves(metrics)
    if len(leaves) != 1 or leaves[0].ndim > 1:
        needs, remedy = "given where `train` returns more than one number or curve", "score=lambda metrics: metrics['loss']"
        raise argument_error(ValueError, "run_sweep", "score", needs, None, remedy)
    return float(default_scores(leaves[0][None])[0])


def _stacked(runs: int, leaves: dict[int, npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """A leaf of all runs, float64 with NaN where a run has none; curves that are shorter end in NaN."""
    shapes = {leaf.shape for leaf in leaves.values()}
    if len({len(shape) for shape in shapes}) > 1 or len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(f"run_sweep: the metrics of the runs have shapes that do not fit: {sorted(shapes)}")
    shape = (max(shape[0] for shape in shapes), *next(iter(shapes))[1:]) if next(iter(shapes)) else ()
    whole = len(leaves) == runs and len(shapes) == 1
    found = np.full((runs, *shape), np.nan, next(iter(leaves.values())).dtype if whole else np.float64)
    for run, leaf in leaves.items():
        found[(run, slice(len(leaf))) if shape else run] = leaf
    return found


def _identity(train: Callable[..., PyTree], batch: Batch) -> dict[str, str]:
    """What a sweep of a training function in Python is, for its folder: a function is known by its name and text."""
    function = train
    while (inner := getattr(function, "func", None)) is not None:
        function = inner
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""
    arrays = [] if jax.tree_util.all_leaves([train]) else jax.tree.leaves(train)
    return {
        "schedules": digest(batch.schedules),
        "arguments (`others`)": digest(batch.others),
        "training function": f"{name_of(function)} {digest(np.frombuffer(text.encode(), np.uint8))} {digest(arrays)}",
    }


def _read(content: dict[str, Any]) -> tuple[int, Trained]:
    """A run from its file."""
    parts = checked(content, run=int, error=str)
    return parts["run"], Trained(content["metrics"], parts["error"])
