"""Sweeps and races of training functions in plain Python: calls for each run, here or on the workers of an executor."""

import dataclasses
import inspect
import itertools
import pickle
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_arity, name_of
from lrax.fields._rules import PyTree, whole_number
from lrax.sweeps._batch import Batch, chosen_runs, rung_sizes, take
from lrax.sweeps._executor import Executor, Stopped, dumps, stop_if_cancelled, workers
from lrax.sweeps._results import SweepResult, part_of_result
from lrax.sweeps._score import Score, default_scores, peak_lrs, ranked, settings_of
from lrax.training._core import part_of
from lrax.training._programs import digest
from lrax.training._progress import progress_bar
from lrax.training._storage import Folder, Path, checked


class Leg(NamedTuple):
    """One call of the training function.

    Attributes:
      run: the run.
      rung: the number of the rung; 0 in a sweep.
      until: the step at which the rung ends; None in a sweep.
      state: what the call for the rung before returned, pickled; None in the first rung.
    """

    run: int
    rung: int
    until: int | None
    state: bytes | None


class Trained(NamedTuple):
    """What came of a call: metrics and, in a race, a pickled state; or the error that it raised, as text."""

    run: int
    rung: int
    metrics: PyTree
    state: bytes | None
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
    rungs: tuple[int, ...] | None,
    keep: float,
) -> SweepResult:
    """`run_sweep` with `traced=False`; see there."""
    reports = _check_trainer(train, batch, rungs is not None)
    retries = whole_number("run_sweep", "retries", retries, low=0)
    ends: list[int | None] = [None] if rungs is None else list(itertools.accumulate(rungs))
    stored = None if folder is None else Folder.create("run_sweep", folder, "sweep", _identity(train, batch, ends))
    loaded = {} if stored is None else {(one.run, one.rung): one for one in stored.load("run-*.lrax", _read) if not one.error}
    now = _Standing.first(batch, score, chosen_runs(batch.runs, 1, part).tolist())
    total = sum(rung_sizes(len(now.going), len(ends), keep))
    with (
        workers("run_sweep", executor, Trainer(train, batch, reports, retries)) as do,
        progress_bar(total, "sweep" if rungs is None else "race", "run", progress) as show,
    ):
        for rung, until in enumerate(ends):
            if rung:
                now.select(keep)
            found = [loaded[run, rung] for run in now.going if (run, rung) in loaded]  # what failed is trained again
            show(len(found), loaded=True)
            left = sorted(set(now.going) - {one.run for one in found})
            to = "" if until is None else f" until step {until}"
            for one in do({f"run {run}{to}": Leg(run, rung, until, now.states.get(run)) for run in left}):
                found.append(one)
                if stored is not None:
                    stored.save(f"run-{one.run:06d}-{one.rung}.lrax", _content(one))
                show(1)
            now.add(found, until)
    if stored is not None:
        stored.close()
    where = "one at a time" if executor is None else f"each on a worker of a {type(executor).__name__}"
    return now.result(where) if part is None else part_of_result(now.result(where), now.going)


@dataclasses.dataclass
class Trainer:
    """Trains one run, or a rung of it: the job of a worker.

    Attributes:
      train: the training function.
      batch: all runs.
      reports: whether it takes `report`.
      retries: how often a call that raised is made again.
    """

    train: Callable[..., PyTree]
    batch: Batch
    reports: bool
    retries: int

    def __call__(self, leg: Leg) -> Trained:
        error = ""
        for _ in range(self.retries + 1):
            try:
                return self._call(leg)
            except Stopped as stopped:
                return Trained(leg.run, leg.rung, None, None, str(stopped))
            except Exception as raised:  # whatever a run raises, the other runs go on
                error = _described(raised)
        return Trained(leg.run, leg.rung, None, None, error)

    def _call(self, leg: Leg) -> Trained:
        reported: list[tuple[int, dict[str, Any]]] = []

        def report(step: int, metrics: Any) -> None:
            stop_if_cancelled()
            reported.append((int(step), dict(metrics)))

        given: dict[str, Any] = {"report": report} if self.reports else {}
        if leg.until is not None:
            given |= {"until": leg.until, "state": None if leg.state is None else pickle.loads(leg.state)}
        returned = self.train(self.batch.one(leg.run), *take(self.batch.others, leg.run), **given)
        if leg.until is not None:
            if not reported:
                raise ValueError(f"nothing was reported until step {leg.until}: call report(step, metrics)")
            return Trained(leg.run, leg.rung, _columns(reported), dumps(returned), "")
        metrics = _columns(reported) if returned is None and reported else returned
        return Trained(leg.run, leg.rung, jax.tree.map(_as_numbers, metrics), None, "")


def _check_trainer(train: Callable[..., PyTree], batch: Batch, races: bool) -> bool:
    """Whether a training function takes `report`; raises if it cannot be called, or does not take what a race gives it."""
    if not callable(train):
        raise argument_error(TypeError, "run_sweep", "train", "a function schedule -> metrics", train)
    others = ", other" * len(batch.others)
    try:
        parameters = inspect.signature(train).parameters
    except (TypeError, ValueError):
        parameters = types.MappingProxyType({})
    lacking = [name for name in ("report", "until", "state") if name not in parameters]
    if races and lacking and not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        needs = f"a function train(schedule{others}, report, until, state) with `rungs`"
        raise argument_error(TypeError, "run_sweep", "train", needs, train, f"it has no {' and no '.join(lacking)}")
    if not races and "report" not in parameters:
        check_arity("run_sweep", "train", train, f"train(schedule{others})", 1 + len(batch.others))
    return races or "report" in parameters


def _described(raised: Exception) -> str:
    """An error as text: what and where, on one line, and its traceback without the frames of this file."""
    frames = raised.__traceback__
    last = traceback.extract_tb(frames)[-1]
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    summary = " ".join(f"{type(raised).__name__}: {raised} ({last.name}, line {last.lineno})".split())
    return f"{summary}\n\n{''.join(traceback.format_exception(type(raised), raised, frames))}"


def _columns(reported: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Reports as curves: the steps, and a value of each metric at each of them."""
    names = dict.fromkeys(name for _, metrics in reported for name in metrics)
    columns = {name: np.array([metrics.get(name, np.nan) for _, metrics in reported], np.float64) for name in names}
    return {**columns, "step": np.array([step for step, _ in reported], np.float64)}


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The curves of two rungs as one, with NaN where a metric was not reported."""
    sizes = [len(part["step"]) for part in (first, second)]
    parts = [
        {name: part.get(name, np.full(size, np.nan)) for name in first | second}
        for part, size in zip((first, second), sizes, strict=True)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _as_numbers(leaf: object) -> npt.NDArray[np.generic]:
    """A metric as a NumPy array; raises TypeError for what holds no numbers."""
    array = np.asarray(leaf)
    if array.dtype.kind == "V" and jnp.issubdtype(array.dtype, np.number):  # bfloat16 and others that NumPy does not know
        array = array.astype(np.float32)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"`train` must return numbers and arrays of numbers, got {leaf!r}")
    return array


@dataclasses.dataclass
class _Standing:
    """All runs after some rungs, or after a sweep.

    Attributes:
      batch: the runs.
      score: metrics of one run -> scalar.
      going: the runs that are trained next.
      peaks: of each run.
      scores: of each run, NaN where it has none.
      steps: until which step each run was trained; 0 in a sweep.
      metrics: of each run that has some.
      errors: of each run that failed.
      states: pickled, of the runs that go on, and of the next setting, which is the best should all that go on diverge.
    """

    batch: Batch
    score: Score | None
    going: list[int]
    peaks: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float64]
    steps: npt.NDArray[np.int32]
    metrics: dict[int, PyTree] = dataclasses.field(default_factory=dict)
    errors: dict[int, str] = dataclasses.field(default_factory=dict)
    states: dict[int, bytes] = dataclasses.field(default_factory=dict)

    @staticmethod
    def first(batch: Batch, score: Score | None, going: list[int]) -> "_Standing":
        """Before anything is trained."""
        peaks, scores = np.asarray(peak_lrs(batch.schedules)), np.full(batch.runs, np.nan)
        return _Standing(batch, score, going, peaks, scores, np.zeros(batch.runs, np.int32))

    def add(self, found: Sequence[Trained], until: int | None) -> None:
        """Takes what came of a rung."""
        for one in sorted(found, key=lambda one: one.run):
            self.scores[one.run] = np.nan
            if one.error:
                self.errors[one.run] = one.error
                continue
            before = self.metrics.get(one.run)
            self.metrics[one.run] = one.metrics if before is None else _joined(before, one.metrics)
            score = float((self.score or _default_score)(self.metrics[one.run]))
            self.scores[one.run] = score if np.isfinite(score) else np.nan
            if until is not None:
                self.steps[one.run] = until
            if one.state is not None:
                self.states[one.run] = one.state

    def select(self, keep: float) -> None:
        """Leaves the best settings of those that were trained last, each with all of its runs."""
        trained = set(self.going)
        settings = settings_of(self.batch.each(), self.peaks, self.scores, self.steps)
        number = part_of(sum(one.runs[0] in trained for one in settings), keep)
        best = ranked(settings)[: number + 1]
        self.going = sorted(run for one in best[:number] if trained.issuperset(one.runs) for run in one.runs)
        kept = {run for one in best for run in one.runs}
        self.states = {run: state for run, state in self.states.items() if run in kept}

    def result(self, where: str) -> SweepResult:
        """The result of all runs: those that failed at once, or belong to other parts, have NaN."""
        if not self.metrics:
            raise RuntimeError(f"run_sweep: all {len(self.errors)} runs failed; the first: {next(iter(self.errors.values()))}")
        first, *others = self.metrics.items()
        for run, metrics in others:
            if str(jax.tree.structure(metrics)) != str(jax.tree.structure(first[1])):
                raise ValueError(f"run_sweep: the metrics of run {run} have other parts than those of run {first[0]}")
        runs = list(self.metrics)
        metrics = jax.tree.map(
            lambda *leaves: _stacked(self.batch.runs, dict(zip(runs, leaves, strict=True))), *self.metrics.values()
        )
        steps = self.steps if self.steps.any() else None
        found = SweepResult(
            self.batch.each(), metrics, self.scores, self.peaks, where, dict(sorted(self.errors.items())), steps
        )
        states = {run: pickle.loads(self.states[run]) for run in (found.best.runs if self.states and found.best else ())}
        return dataclasses.replace(found, states=states)


def _default_score(metrics: PyTree) -> float:
    """The end loss of metrics that are one array, or a report of one metric."""
    reported = isinstance(metrics, dict) and "step" in metrics
    leaves = [leaf for name, leaf in metrics.items() if name != "step"] if reported else jax.tree.leaves(metrics)
    if len(leaves) != 1 or leaves[0].ndim > 1:
        needs, remedy = "given where `train` returns more than one number or curve", "score=lambda metrics: metrics['loss']"
        raise argument_error(ValueError, "run_sweep", "score", needs, None, remedy)
    return float(default_scores(leaves[0][None])[0])


def _stacked(runs: int, leaves: dict[int, npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """A leaf of all runs, at least float64 with NaN where a run has none; curves that are shorter end in NaN."""
    shapes = {leaf.shape for leaf in leaves.values()}
    if len({len(shape) for shape in shapes}) > 1 or len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(f"run_sweep: the metrics of the runs have shapes that do not fit: {sorted(shapes)}")
    shape = (max(shape[0] for shape in shapes), *next(iter(shapes))[1:]) if next(iter(shapes)) else ()
    dtypes = {leaf.dtype for leaf in leaves.values()}  # Python's 0 is an integer, where another run returned 0.5
    if len(leaves) == runs and len(shapes) == 1:
        found = np.empty((runs, *shape), np.result_type(*dtypes))
    else:
        found = np.full((runs, *shape), np.nan, np.result_type(*dtypes, np.float64))
    for run, leaf in leaves.items():
        found[(run, slice(len(leaf))) if shape else run] = leaf
    return found


def _identity(train: Callable[..., PyTree], batch: Batch, ends: Sequence[int | None]) -> dict[str, str]:
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
        "rungs": repr(ends),
    }


def _content(one: Trained) -> dict[str, Any]:
    """What came of a call, as a file holds it."""
    return {**one._asdict(), "state": None if one.state is None else np.frombuffer(one.state, np.int8)}


def _read(content: dict[str, Any]) -> Trained:
    """What came of a call, from its file."""
    parts = checked(content, run=int, rung=int, state=(None, "int[bytes]"), error=str)
    state = None if parts["state"] is None else parts["state"].tobytes()
    return Trained(parts["run"], parts["rung"], content["metrics"], state, parts["error"])
