"""Sweeps: many schedules through one training function, a group of lanes at a time, compiled once."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lrax.fields._errors import any_traced, argument_error, check_arity, check_call, is_key
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Lanes, as_lanes, check_lanes, shaped
from lrax.sweeps._folder import Folder, checked_folder, fingerprint
from lrax.sweeps._program import Program, Train, checked_metrics
from lrax.sweeps._result import SweepResult, outcome
from lrax.sweeps._score import Score, check_score
from lrax.training._memory import check_mesh, run_side_by_side
from lrax.training._progress import progress_bar


@check_call
def sweep(
    train: Train,
    schedules: Schedule | Sequence[Schedule],
    *others: Any,
    lanes: int | None = None,
    mesh: Mesh | None = None,
    axis: str = "lanes",
) -> Any:
    """Trains with many schedules side by side: one compiled program, one compilation.

    Args:
      train: a pure function that trains with one schedule and returns metrics, a pytree of arrays. What stands in `others`
        comes after the schedule: `train(schedule, *others)`, each without its leading axis. Large arrays that all lanes share
        are best bound with `jax.tree_util.Partial(train, data)`, which keeps them out of the compiled program.
      schedules: one schedule some of whose fields are arrays with a leading axis, or a list of schedules of any kinds.
      *others: pytrees of arrays with one leading axis, as long as the lanes are many; random keys, say.
      lanes: how many are trained at a time, the rest in turn; by default a number that fits the memory and is fast, see
        `lrax.run_sweep`, which says how many that was.
      mesh: a device mesh, over whose axis `axis` the lanes are divided; the same call on every process.

    Returns: the metrics, each with the lane axis in front; under `jit`, traced.

    Raises: TypeError if `schedules` holds something else than schedules; ValueError if there is none, or there is no common
      leading axis.

    >>> def train(schedule):
    ...     def update(weight, count):
    ...         return weight - schedule(count) * 2 * weight, weight**2
    ...     return jax.lax.scan(update, 1.0, jnp.arange(10))[1][-1]
    >>> print(sweep(train, lrax.Constant(jnp.array([0.0, 0.1, 0.5]))))
    [1.         0.01801439 0.        ]
    """
    batch = _checked("sweep", train, schedules, others, lanes, mesh, axis)
    if any_traced((batch.schedules, batch.others)):
        arguments = (batch.schedules, *batch.others)
        return jax.lax.map(
            lambda one: checked_metrics(train(*one)), arguments, batch_size=min(lanes or batch.number, batch.number)
        )
    program = Program(train, batch, lanes, mesh, axis)
    metrics = [np.zeros(shape.shape, shape.dtype) for _, shape in _outputs(program, batch.number)]
    for indices, leaves in finished(program, np.arange(batch.number)):
        for array, leaf in zip(metrics, leaves, strict=True):
            array[indices] = leaf
    return jax.tree.map(jnp.asarray, _restored(program, metrics))


@check_call
def run_sweep(
    train: Train,
    schedules: Schedule | Sequence[Schedule],
    *others: Any,
    score: Score | None = None,
    lanes: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = False,
    mesh: Mesh | None = None,
    axis: str = "lanes",
) -> SweepResult:
    """`lrax.sweep` for long sweeps: shows progress, outlives its process, and returns a table.

    Args:
      train, schedules, others, mesh, axis: as for `lrax.sweep`.
      score: metrics of one run -> scalar, the lower the better; by default, if the metrics are one array, its
        `lrax.sweeps.end_loss`. A run has diverged if its score is not finite. Other metrics may hold NaN or inf: they are kept.
      lanes: how many are trained at a time, the rest in turn. By default, on an accelerator, all that fit into nine tenths of
        its free memory; on the CPU, groups whose state fits the caches, one group a core, and single lanes for
        convolutions. `SweepResult.plan` says what it was and why.
      folder: where each finished group of lanes is saved, in one .npz file, written whole or not at all. The same call again
        loads what is there and runs the rest. Several processes may share it. If a file cannot be written, on a full disk, say,
        a RuntimeWarning says so, and the sweep goes on.
      progress: shows a progress bar (needs tqdm).

    Returns: a `SweepResult`: the metrics, and what they say of the schedules.

    Raises: TypeError or ValueError as `lrax.sweep`; ValueError if `score` does not give a scalar, or if `folder` holds files of
      another sweep (other schedules, others, training function or arrays in it, or another version of JAX) or damaged ones, if
      it cannot be written to, and if the training function gets values from Python (`jax.pure_callback`), of which nobody
      can know whether they are what they were.

    >>> def train(schedule):
    ...     def update(weight, count):
    ...         return weight - schedule(count) * 2 * weight, weight**2
    ...     return jax.lax.scan(update, 1.0, jnp.arange(12))[1]
    >>> print(run_sweep(train, lrax.Constant(jnp.array([0.01, 0.1, 2.0]))))  # doctest: +ELLIPSIS
    best: Constant(value=0.1), score 0.01231, lower than the runner-up, Constant(value=0.01), by 0.6557; not tested, ...
       schedule              peak rate      score  lanes
       Constant(value=0.01)       0.01      0.668  0
    *  Constant(value=0.1)         0.1    0.01231  1
       Constant(value=2.0)           2  1.175e+10  2
    3 lanes, ... at a time...
    """
    batch = _checked("run_sweep", train, schedules, others, lanes, mesh, axis)
    if any_traced((batch.schedules, batch.others)):
        remedy = "use lrax.sweep inside jit, which is pure"
        raise argument_error(TypeError, "run_sweep", "schedules", "arrays, not traced", schedules, remedy)
    program = Program(train, batch, lanes, mesh, axis)
    outputs = _outputs(program, batch.number)
    check_score("run_sweep", score, program.traced.out_info)
    metrics = [np.zeros(shape.shape, shape.dtype) for _, shape in outputs]
    named = [(f"metrics{name}", array) for (name, _), array in zip(outputs, metrics, strict=True)]
    kept = None
    if folder is not None:
        kept = Folder(checked_folder("run_sweep", folder), fingerprint(batch, program.traced.jaxpr, program.shared), named)
    done = np.zeros(batch.number, bool) if kept is None else kept.load()
    with progress_bar(batch.number, "sweep", "lane", progress) as show:
        show(int(done.sum()), loaded=True)
        for indices, leaves in finished(program, np.flatnonzero(~done), None if kept is None else kept.keep):
            for array, leaf in zip(metrics, leaves, strict=True):
                array[indices] = leaf
            show(len(indices))
            if kept is not None:
                kept.warn()
    if kept is not None:
        kept.close()
    return outcome(batch, _restored(program, metrics), score, str(program.plan))


def _checked(
    caller: str, train: Train, schedules: Any, others: tuple[Any, ...], lanes: int | None, mesh: Mesh | None, axis: str
) -> Lanes:
    batch = as_lanes(caller, schedules, others)
    if not callable(train):
        raise argument_error(TypeError, caller, "train", "a function schedule -> metrics", train)
    check_arity(caller, "train", train, f"train(schedule{', other' * len(others)})", 1 + len(others))
    check_lanes(caller, lanes)
    check_mesh(caller, mesh, axis)
    return batch


def finished(
    program: Program, todo: np.ndarray[Any, Any], keep: Callable[[np.ndarray[Any, Any], list[Any]], None] | None = None
) -> Iterator[tuple[np.ndarray[Any, Any], list[Any]]]:
    """Groups of lanes and their metrics, as they end; `keep` is given each before it is yielded."""
    groups = [todo[begin : begin + program.plan.runs] for begin in range(0, len(todo), program.plan.runs)]

    def run(group: tuple[np.ndarray[Any, Any], Any]) -> tuple[np.ndarray[Any, Any], list[Any]]:
        indices, arguments = group
        leaves = program.call(arguments, len(indices))
        if keep is not None:
            keep(indices, leaves)
        return indices, leaves

    arguments = ((indices, program.arguments(indices)) for indices in groups)
    yield from run_side_by_side(run, arguments, min(program.plan.programs, max(len(groups), 1)))


def _outputs(program: Program, count: int) -> list[tuple[str, jax.ShapeDtypeStruct]]:
    """The name, shape and dtype of each metric of all lanes, as it is held on the host."""

    def held(shape: Any) -> jax.ShapeDtypeStruct:
        if is_key(shape):
            shape = jax.eval_shape(jax.random.key_data, shape)
        return shaped((count, *shape.shape), shape.dtype)

    leaves = jax.tree.leaves_with_path(program.traced.out_info)
    if not leaves:
        raise ValueError("sweep: `train` must return metrics, a pytree of arrays, got one without arrays")
    return [(jax.tree_util.keystr(path), held(shape)) for path, shape in leaves]


def _restored(program: Program, metrics: list[np.ndarray[Any, Any]]) -> Any:
    """The metrics as the training function returns them."""
    shapes, structure = jax.tree.flatten(program.traced.out_info)

    def restore(array: Any, shape: Any) -> Any:
        if is_key(shape):
            kinds: list[Any] = []
            jax.eval_shape(lambda key: kinds.append(jax.random.key_impl(key)), shape)
            return jax.random.wrap_key_data(array, impl=kinds[0])
        return array

    return jax.tree.unflatten(structure, map(restore, metrics, shapes))
