"""A race: all schedules train for a rung from the same start on the same batches, the best go on."""

import dataclasses
import functools
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lrax.fields._errors import any_traced, argument_error, check_call
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Lanes, as_lanes, check_lanes, take
from lrax.sweeps._race_folder import RaceFolder
from lrax.sweeps._race_result import RaceResult, contradiction
from lrax.sweeps._rungs import Standing
from lrax.sweeps._score import check_part, peak_rates
from lrax.training._core import Reason, Run, part_of
from lrax.training._driver import Execution, Source, Trainer, make_trainer
from lrax.training._evaluating import Evaluation
from lrax.training._learner import Learner, factory_of
from lrax.training._memory import check_mesh
from lrax.training._progress import progress_bar
from lrax.training._steps import check_learner


@check_call
def race(
    learner: Learner,
    data: Any,
    schedules: Schedule | Sequence[Schedule],
    *,
    rungs: int | Sequence[int],
    keep: float = 0.5,
    tail: float = 0.25,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    transform: Callable[[Any], Any] | None = None,
    accumulate: int = 1,
    lanes: int | None = None,
    loop: Literal["scan", "python"] | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = False,
    mesh: Mesh | None = None,
    axis: str = "lanes",
    evaluate: Callable[[Any], Any] | None = None,
    every: int | None = None,
    mode: Literal["min", "max"] = "min",
) -> RaceResult:
    """Trains with all schedules for a rung, keeps the best, and goes on with fewer.

    Every lane starts from the learner's state and sees the same batches, so that the schedule is all that differs. Those that
    go on keep their states. A lane whose loss was not finite is out. Nothing is touched: the learner's state is what it was.

    Args:
      learner: a state and its update.
      data: as for `lrax.find_lr`: arrays with `batch_size`, a sampler `key -> batch`, or an iterable of batches.
      schedules: one schedule some of whose fields have a leading axis, or a list of schedules of any kinds.
      rungs: updates of each rung; one number for a single rung, after which nothing more is trained.
      keep: the part of the lanes that goes on after a rung, in (0, 1], rounded up.
      tail: the part of a rung's updates whose mean loss ranks the lanes, in (0, 1]; see `lrax.sweeps.end_loss`.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays.
      transform, accumulate: as for `lrax.find_lr`.
      lanes: how many are trained at a time under vmap, the rest in turn; by default as many as is fast, and
        on an accelerator as many as fit its free memory four times.
      loop: `"scan"` runs a rung as one program, one compilation for each number of lanes; `"python"` calls the compiled
        update from Python, which is faster for convolutions on the CPU. By default what suits the data and the platform.
      folder: where the race is kept after each rung, in one file that is written whole or not at all. The same call again goes
        on after the last rung that ended. For arrays and samplers: an iterable cannot be read from where it was left.
      progress: shows a progress bar (needs tqdm).
      mesh: a device mesh of this process, over whose axis `axis` the lanes are divided.
      evaluate: a pure function `(state) -> metric`, one real number in `jnp`, of data that the lanes do not train on. It ranks
        the lanes in place of their losses: by its mean over the evaluations in a rung's tail. One that is not finite loses.
      every: updates from one evaluation to the next; a rung ends with one in any case, and by default it is the only one.
      mode: `"min"` where a smaller metric is better, `"max"` for an accuracy.

    Returns: a `RaceResult`. With an iterable that ends and cannot be iterated again, the race ends there.

    Raises: TypeError or ValueError for arguments that cannot be used, before anything runs.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> rates = lrax.Constant(jnp.array([0.001, 0.01, 0.1, 10.0]))
    >>> result = race(learner, jnp.ones((8, 3)), rates, rungs=(16, 16), batch_size=4, key=jax.random.key(0))
    >>> print(result.schedule, result.updates)
    Constant(value=0.1) 96
    """
    lengths = _check_rungs(rungs)
    if every is not None and evaluate is None:
        raise argument_error(ValueError, "race", "every", "left out where nothing is evaluated", every)
    evaluation = None if evaluate is None else Evaluation(evaluate, every, mode)
    keep, tail = check_part("race", "keep", keep), check_part("race", "tail", tail)
    check_lanes("race", lanes)
    batch = as_lanes("race", schedules)
    if any_traced(batch.schedules):
        remedy = "call race outside jit, or train inside it with lrax.sweep"
        raise argument_error(TypeError, "race", "schedules", "arrays, not traced", schedules, remedy)
    check_learner("race", learner, key)
    check_mesh("race", mesh, axis)
    if mesh is not None and jax.process_count() > 1:
        remedy = "divide the lanes of a sweep over several processes, or race in one"
        raise argument_error(ValueError, "race", "mesh", "left out where there are several processes", mesh, remedy)
    sizes = itertools.accumulate(lengths[1:], lambda size, _: part_of(size, keep), initial=batch.number)
    total = sum(size * length for size, length in zip(sizes, lengths, strict=True))
    with progress_bar(total * accumulate, "race", "batch", progress) as show:
        trainer = make_trainer(
            "race",
            [learner],
            Source(data, key, batch_size, transform, accumulate),
            capacity=sum(lengths),
            execution=Execution(loop, lanes, mesh=mesh, axis=axis),
            evaluation=evaluation,
            report=show,
        )
        state, shuffle = jax.tree.map(_as_array, trainer.states[0]), trainer.order(key)
        runs = [trainer.start(take(batch.schedules, lane), state=state, order=shuffle) for lane in range(batch.number)]
        plan = str(trainer.plan(runs))
        standing = Standing.first(batch.number)
        rules = lengths, keep, tail, accumulate
        kept = None if folder is None else RaceFolder.checked(folder, batch, trainer, runs[0], rules)
        if kept is not None:
            standing = kept.load(runs, standing, sum(lengths))
            show(sum(int(run.steps) for run in runs) * accumulate, loaded=True)
        keeping = (lambda now: None) if kept is None else functools.partial(kept.keep, runs)
        standing.run(trainer, runs, lengths, keep, tail, keeping)
    if not any(int(run.steps) for run in runs):
        raise argument_error(ValueError, "race", "data", "an iterable of at least one batch", data)
    result = dataclasses.replace(_result(batch, trainer, runs, standing, plan, tail), optimizer=factory_of(learner))
    if wrong := contradiction(result):
        warnings.warn(f"race: {wrong}", stacklevel=3)
    return result


def _result(batch: Lanes, trainer: Trainer, runs: list[Run], standing: Standing, plan: str, tail: float) -> RaceResult:
    scores, rungs, ends = standing.scores, standing.rungs, standing.ends
    order = np.lexsort((scores, -rungs, np.isinf(scores)))
    updates = [int(run.steps) for run in runs]
    losses = np.full((batch.number, max(updates)), np.nan, np.float32)
    for its, run in zip(losses, runs, strict=True):
        its[: len(run.losses)] = run.losses
    evaluator = trainer.evaluator
    counts, metrics = _evaluations([run.evaluations for run in runs])
    begun = [0, *ends]  # of each rung
    end_metrics = [run.end_metric(tail, begun[max(rung - 1, 0)]) for run, rung in zip(runs, rungs, strict=True)]
    return RaceResult(
        schedules=tuple(batch.one(lane) for lane in range(batch.number)),
        losses=losses,
        end_losses=standing.end_losses,
        rungs=rungs,
        peaks=np.asarray(peak_rates(batch.schedules)),
        order=order,
        updates=sum(updates),
        state=runs[order[0]].state if np.isfinite(scores[order[0]]) else None,
        plan=plan,
        ends=tuple(ends),
        ended=any(run.why is Reason.DATA_ENDED for run in runs),
        evaluated=counts,
        evaluations=metrics,
        end_metrics=None if evaluator is None else np.array(end_metrics, np.float32),
        mode="min" if evaluator is None else evaluator.goal,
        left_out=trainer.notes.left_out,
        fault=trainer.notes.fault,
    )


def _evaluations(rows: Sequence[np.ndarray[Any, Any]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The counts at which any lane was evaluated, rising, and the metrics of all lanes there; NaN where one was not."""
    counts = np.unique(np.concatenate([its[:, 0] for its in rows]))
    metrics = np.full((len(rows), len(counts)), np.nan, np.float32)
    for lane, its in enumerate(rows):
        metrics[lane, np.searchsorted(counts, its[:, 0])] = its[:, 1]
    return counts.astype(np.int32), metrics


def _as_array(leaf: Any) -> Any:
    """A leaf of a state; a Python number, as the step of a new `TrainState` is, as the array that an update makes of it."""
    return jnp.asarray(leaf) if isinstance(leaf, bool | int | float | complex) else leaf


def _check_rungs(rungs: Any) -> tuple[int, ...]:
    lengths = tuple(rungs) if isinstance(rungs, Iterable) else (rungs,)
    whole = all(isinstance(length, int | np.integer) and not isinstance(length, bool) and length > 0 for length in lengths)
    if not lengths or not whole:
        raise argument_error(ValueError, "race", "rungs", "one or more whole numbers of updates, each at least 1", rungs)
    if lengths[0] < 2:
        needs = "at least 2 updates in the first rung: the first loss is measured before any rate has acted"
        raise argument_error(ValueError, "race", "rungs", needs, rungs)
    return tuple(int(length) for length in lengths)
