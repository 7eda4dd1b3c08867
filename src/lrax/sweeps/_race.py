"""A race: all schedules train for a rung from the same start on the same batches, the best go on."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import any_traced, argument_error, check_call
from lrax.fields._rules import PyTree
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Batch, as_batch, check_execution, check_rungs, rung_sizes, take
from lrax.sweeps._executor import GROUPS, Executor, Tasks, check_executor, workers
from lrax.sweeps._results import RaceResult, contradiction
from lrax.sweeps._score import check_fraction, peak_lrs
from lrax.sweeps._tables import ranges_of
from lrax.training._core import PROGRESS, Reason, Run, part_of, placed
from lrax.training._driver import Execution, Source, Trainer, make_trainer
from lrax.training._evaluating import Evaluation
from lrax.training._learner import Learner, factory_of
from lrax.training._memory import even
from lrax.training._programs import callbacks, digest, program_digest
from lrax.training._progress import progress_bar
from lrax.training._steps import check_learner
from lrax.training._storage import Folder, Path, by_path, checked, restored


@check_call
def race(
    learner: Learner,
    data: PyTree,
    schedules: Schedule | Sequence[Schedule],
    *,
    rungs: int | Sequence[int],
    keep: float = 0.5,
    tail: float = 0.25,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    transform: Callable[[PyTree], PyTree] | None = None,
    accumulate: int = 1,
    evaluation: Evaluation | None = None,
    execution: Execution | None = None,
    folder: Path | None = None,
    progress: bool = False,
    executor: Executor | None = None,
) -> RaceResult:
    """Trains with all schedules for some steps, a rung, keeps the best, and continues with fewer.

    Every run starts from the learner's state and sees the same batches, so they differ only by their schedules. Runs that
    continue keep their states. A run whose loss was not finite is out. Nothing is mutated: the learner's state stays as it is.

    Args:
      learner: a state and its step.
      data: as for `lrax.find_lr`: arrays with `batch_size`, a sampler `key -> batch`, or an iterable of batches.
      schedules: one schedule with a leading axis in some of its fields, or a list of schedules of any classes.
      rungs: steps of each rung; one number for a single rung, after which nothing more is trained.
      keep: the fraction of the runs that continues after a rung, in (0, 1], rounded up.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays.

    Other Args:
      tail: the fraction of a rung's steps whose mean loss ranks the runs, in (0, 1]; see `lrax.sweeps.end_loss`.
      transform, accumulate: as for `lrax.find_lr`.
      evaluation: ranks the runs by a metric in place of their losses: by its mean over the evaluations in a rung's tail. A rung
        ends with an evaluation in any case. A run whose metric is not finite is out.
      execution: `lrax.Execution(max_parallel=8)` trains 8 runs at a time, the rest in turn; by default as many as is fast, and
        on an accelerator as many as fit its free memory four times. `loop="scan"` runs a rung as one program, `"python"` calls
        the compiled step, which is faster for convolutions on the CPU. `mesh` and `axis` divide the runs over a device mesh,
        also one of several processes, which make the same call.
      folder: where the race is saved after each rung, in one file that is written whole or not at all. The same call again goes
        on after the last rung that ended. For arrays and samplers, which can be read from any step on, and in one process. A
        local path, or a URL that fsspec opens, such as `"s3://bucket/race"`, as for `lrax.run_sweep`.
      progress: shows a progress bar (needs tqdm).
      executor: trains the groups of runs of each rung on its workers, as for `lrax.run_sweep`; the states travel with them. The
        results are those of one process with the same `max_parallel`. For arrays and samplers.

    Returns: a `RaceResult`. With an iterable that ends and cannot be iterated again, the race ends there.

    Raises: TypeError or ValueError for arguments that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> schedules = lrax.Constant(jnp.array([0.001, 0.01, 0.1, 10.0]))
    >>> result = race(learner, jnp.ones((8, 3)), schedules, rungs=(16, 16), batch_size=4, key=jax.random.key(0))
    >>> print(result.schedule, result.steps_run)
    Constant(value=0.1) 96
    """
    lengths = _check_rungs(rungs)
    keep, tail = check_fraction("race", "keep", keep), check_fraction("race", "tail", tail)
    batch = _check_schedules(schedules)
    check_learner("race", learner, key)
    execution = _check_places(execution, folder, executor)
    total = sum(size * length for size, length in zip(rung_sizes(batch.runs, len(lengths), keep), lengths, strict=True))
    source = Source(data, key, batch_size, transform, accumulate)
    options: dict[str, Any] = {"capacity": sum(lengths), "execution": execution, "evaluation": evaluation}
    with (
        progress_bar(total * accumulate, "race", "batch", progress) as show,
        workers("race", executor, _Group(learner, source, options)) as do,
    ):
        trainer = make_trainer("race", [learner], source, report=show, **options)
        if executor is not None and trainer.reads_on:
            needs, remedy = (
                "left out where the data is an iterable",
                "give arrays or a sampler, which every worker can draw from",
            )
            raise argument_error(ValueError, "race", "executor", needs, executor, remedy)
        now = _State.first(trainer, batch, trainer.order(key))
        plan, stored = str(trainer.plan(now.runs)), None
        if folder is not None:
            identity = _identity(trainer, batch, trainer.order(key), (lengths, keep, tail, accumulate))
            stored = Folder.create("race", folder, "race", identity)
            now = next(iter(stored.load(FILE, lambda content: _read(content, now))), now)
            show(sum(int(run.steps) for run in now.runs) * accumulate, loaded=True)
        for length in lengths[len(now.ends) :]:
            if now.over:
                break
            now = _rung(trainer, now, length, keep, tail, None if executor is None else do)
            if stored is not None:
                stored.save(FILE, _content(now))
        if stored is not None:
            stored.close()
    if not now.ends:
        raise argument_error(ValueError, "race", "data", "an iterable of at least one batch", data)
    result = dataclasses.replace(_result(trainer, batch, now, tail, plan), optimizer=factory_of(learner))
    if wrong := contradiction(result):
        warnings.warn(f"race: {wrong}", stacklevel=3)
    return result


def _check_rungs(rungs: object) -> tuple[int, ...]:
    lengths = check_rungs("race", rungs)
    if lengths[0] < 2:
        needs = "at least 2 steps in the first rung: the first loss is measured before any learning rate has acted"
        raise argument_error(ValueError, "race", "rungs", needs, rungs)
    return lengths


def _check_schedules(schedules: Schedule | Sequence[Schedule]) -> Batch:
    batch = as_batch("race", schedules)
    if any_traced(batch.schedules):
        remedy = "call race outside jit, or train inside it with lrax.sweep"
        raise argument_error(TypeError, "race", "schedules", "arrays, not traced", schedules, remedy)
    return batch


def _check_places(execution: Execution | None, folder: Path | None, executor: Executor | None) -> Execution:
    """The execution, checked with where the race is saved and which workers train it."""
    execution = check_execution("race", execution, "donate")
    if folder is not None and execution.mesh is not None and jax.process_count() > 1:
        needs, remedy = "left out where there are several processes", "a sweep over several processes can be saved"
        raise argument_error(ValueError, "race", "folder", needs, folder, remedy)
    if executor is not None:
        check_executor("race", executor)
        check_execution("race", execution, "mesh")
    return execution


@dataclasses.dataclass
class _Group:
    """The job of a worker: trains the runs of one group for a rung, with programs that are compiled for the first."""

    learner: Learner
    source: Source
    options: Mapping[str, Any]
    _trainer: Trainer | None = None

    def __call__(self, task: tuple[int, list[Run], int]) -> tuple[int, list[Run], str]:
        number, runs, until = task
        if self._trainer is None:
            self._trainer = make_trainer("race", [self.learner], self.source, **self.options)
        execution = dataclasses.replace(self._trainer.execution, max_parallel=len(runs))
        trainer = dataclasses.replace(self._trainer, execution=execution)
        after = [jax.device_get(run) for run in trainer.train(runs, until)]
        return number, after, trainer.notes.fault


def _on_workers(do: Tasks[Any, Any], trainer: Trainer, now: "_State", until: int) -> list[Run]:
    """`Trainer.train` for the runs that go on, a group at a time on each worker."""
    most = trainer.execution.max_parallel or -(-len(now.going) // GROUPS)
    size = even(len(now.going), most)
    groups = [now.going[i : i + size] for i in range(0, len(now.going), size)]
    tasks = {}
    for number, group in enumerate(groups):
        runs = [now.runs[i] for i in group]
        runs += runs[-1:] * (size - len(runs))  # as in one process, whose groups have one size
        tasks[f"runs {ranges_of(group)} until step {until}"] = number, runs, until
    found: dict[int, Run] = {}
    for number, runs, fault in do(tasks):
        found |= zip(groups[number], runs, strict=False)
        trainer.notes.fault = trainer.notes.fault or fault
        trainer.report((until - max(now.ends, default=0)) * trainer.accumulate * len(groups[number]))
    return [found[i] for i in now.going]


@dataclasses.dataclass(frozen=True)
class _State:
    """A race after some of its rungs.

    Attributes:
      runs: all of them; those that do not go on have no learner's state.
      going: the indices of those that go on.
      spare: the best of those that were left, which wins should all that go on diverge; None if there is none.
      rungs: how many rungs each run was in, int32 of shape (runs,).
      ends: the steps after which rungs ended.
      over: whether there is no other rung: the data ended, or no run is left.
    """

    runs: tuple[Run, ...]
    going: tuple[int, ...]
    spare: int | None
    rungs: npt.NDArray[np.int32]
    ends: tuple[int, ...]
    over: bool

    @staticmethod
    def first(trainer: Trainer, batch: Batch, order: PyTree) -> "_State":
        """Before the first rung."""
        runs = tuple(trainer.start(take(batch.schedules, i), order=order) for i in range(batch.runs))
        return _State(runs, tuple(range(batch.runs)), None, np.zeros(batch.runs, np.int32), (), over=False)


def _rung(trainer: Trainer, now: _State, length: int, keep: float, tail: float, do: Tasks[Any, Any] | None = None) -> _State:
    """The race after one more rung, trained here or by what does tasks on workers."""
    begun, runs, rungs = max(now.ends, default=0), list(now.runs), now.rungs.copy()
    until, group = begun + length, [runs[i] for i in now.going]
    after = trainer.train(group, until) if do is None else _on_workers(do, trainer, now, until)
    for i, run in zip(now.going, after, strict=True):
        runs[i] = run
    made = max(int(runs[i].steps) for i in now.going) - begun
    if not made:
        return dataclasses.replace(now, runs=tuple(runs), over=True)
    rungs[list(now.going)] += 1
    scores = {i: np.float32(trainer.score(runs[i], tail, begun)) for i in now.going}
    ranked = sorted((i for i in now.going if np.isfinite(scores[i])), key=lambda i: scores[i])
    kept = part_of(len(now.going), keep)
    spare = ranked[kept] if len(ranked) > kept else now.spare
    going = tuple(sorted(ranked[:kept]))
    runs = [run if i in (*going, spare) else run._replace(state=None) for i, run in enumerate(runs)]
    return _State(tuple(runs), going, spare, rungs, (*now.ends, begun + made), over=made < length or not going)


def _result(trainer: Trainer, batch: Batch, now: _State, tail: float, plan: str) -> RaceResult:
    runs, begun = now.runs, [0, *now.ends]
    since = [begun[max(int(rung) - 1, 0)] for rung in now.rungs]  # where each run's last rung began
    losses = np.full((batch.runs, now.ends[-1]), np.nan, np.float32)
    for row, run in zip(losses, runs, strict=True):
        row[: len(run.losses)] = run.losses
    evaluated = np.unique(np.concatenate([run.evaluations[:, 0] for run in runs]))
    evaluations = np.full((batch.runs, len(evaluated)), np.nan, np.float32)
    for row, run in zip(evaluations, runs, strict=True):
        row[np.searchsorted(evaluated, run.evaluations[:, 0])] = run.evaluations[:, 1]
    end_metrics = [run.end_metric(tail, start) for run, start in zip(runs, since, strict=True)]
    result = RaceResult(
        schedules=batch.each(),
        losses=losses,
        end_losses=np.array([run.end_loss(tail, start) for run, start in zip(runs, since, strict=True)], np.float32),
        rungs=now.rungs,
        peaks=np.asarray(peak_lrs(batch.schedules)),
        steps_run=sum(int(run.steps) for run in runs),
        state=None,
        plan=plan,
        ends=now.ends,
        ended=any(run.why is Reason.DATA_ENDED for run in runs),
        evaluated=evaluated.astype(np.int32),
        evaluations=evaluations,
        end_metrics=None if trainer.evaluator is None else np.array(end_metrics, np.float32),
        goal="min" if trainer.evaluator is None else trainer.evaluator.goal,
        left_out=trainer.notes.left_out,
        fault=trainer.notes.fault,
    )
    if result.winner is None:
        return result
    return dataclasses.replace(result, state=jax.tree.map(placed, runs[result.winner].state))  # a worker's is in NumPy


FILE = "race.lrax"


def _identity(trainer: Trainer, batch: Batch, order: PyTree, rules: tuple[object, ...]) -> dict[str, str]:
    """What a race is, for a folder; raises for data that cannot be read again, and for a step or metric that calls Python."""
    evaluator = trainer.evaluator
    if trainer.reads_on:
        needs, remedy = "left out where the data is an iterable", "give arrays or a sampler, which can be read from any step on"
        raise argument_error(ValueError, "race", "folder", needs, "a folder", remedy)
    assert trainer.steps is not None  # only an iterable may yield nothing
    closed = trainer.steps.first.closed
    if found := callbacks(closed) or (evaluator and callbacks(evaluator.metric.closed)):
        needs, remedy = f"left out where the step or the metric has a {found[0]}", "values from Python may be others next time"
        raise argument_error(ValueError, "race", "folder", needs, "a folder", remedy)
    metric = "" if evaluator is None else repr((evaluator.every, evaluator.goal, program_digest(evaluator.metric.closed)))
    return {
        "schedules": digest(batch.schedules),
        "learner, or arrays in it": digest(trainer.states[0]) + program_digest(closed),
        "data or key": digest((jax.tree.leaves(trainer.batches), order)),
        "rungs, `keep`, `tail` or `accumulate`": repr(rules),
        "evaluation": metric,
        "version of JAX": jax.__version__,
    }


def _content(now: _State) -> dict[str, object]:
    """A race as a file holds it."""
    runs = [{"run": by_path(_bare(run)), "history": run.history, "evaluations": run.evaluations} for run in now.runs]
    plain = {"runs": runs, "rungs": now.rungs, "spare": now.spare, "over": now.over}
    return {**plain, "going": np.array(now.going, np.int32), "ends": np.array(now.ends, np.int32)}


def _bare(run: Run) -> Run:
    """A run without what its race says anyway, and without the arrays whose length changes."""
    return run._replace(schedule=None, smoothing=None, stop=None, order=None, history=None, evaluations=None)  # type: ignore[arg-type]


def _read(content: dict[str, Any], first: _State) -> _State:
    """The race in a file, whose runs are those of `first`; raises ValueError for anything else."""
    arrays = {"rungs": "int[runs]", "going": "int[going]", "ends": "int[ends]"}
    parts = checked(content, runs=list, spare=(None, int), over=bool, **arrays)
    going, ends, rungs = tuple(parts["going"].tolist()), tuple(parts["ends"].tolist()), parts["rungs"]
    with_state, number = {*going, *([] if parts["spare"] is None else [parts["spare"]])}, len(first.runs)
    if not ends or [0, *ends] != sorted({0, *ends}) or list(going) != sorted(set(going)):
        raise ValueError("its `going` or its `ends` do not rise")
    if len(parts["runs"]) != number or len(rungs) != number or rungs.dtype != np.int32 or not with_state <= set(range(number)):
        raise ValueError(f"its `runs`, `rungs`, `going` or `spare` are not those of {number} runs")
    if ((rungs < 0) | (rungs > len(ends))).any():
        raise ValueError("its `rungs` are more than there were")
    pairs = enumerate(zip(parts["runs"], first.runs, strict=True))
    runs = tuple(_read_run(stored, run, i in with_state, ends[-1]) for i, (stored, run) in pairs)
    return _State(runs, going, parts["spare"], rungs, ends, parts["over"])


def _read_run(content: object, first: Run, has_state: bool, most: int) -> Run:
    parts = checked(content, run=dict, history="float[steps, 3]", evaluations="float[evaluations, 2]")
    bare = restored(parts["run"], _bare(first if has_state else first._replace(state=None)))
    history, evaluations = parts["history"], parts["evaluations"]
    if len(history) != int(bare.steps) or len(history) > most or {history.dtype, evaluations.dtype} != {np.dtype(np.float32)}:
        raise ValueError("its `history` or its `evaluations` have another length or dtype")
    changed = {name: getattr(bare, name) for name in ("state", *PROGRESS)}
    return first._replace(**changed, history=history, evaluations=evaluations)
