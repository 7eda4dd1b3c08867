"""Sweeps: many schedules through one training function, compiled once, as many runs at a time as is fast."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

from lrax.fields._errors import any_traced, argument_error, check_arity, check_call, is_key
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import (
    Batch,
    as_batch,
    check_arrays,
    check_execution,
    check_part,
    check_rungs,
    chosen_runs,
    take,
    warn_of_plans,
)
from lrax.sweeps._executor import GROUPS, Executor, check_executor, workers
from lrax.sweeps._results import SweepResult, part_of_result, sweep_result, with_others
from lrax.sweeps._score import Score, check_fraction, check_score
from lrax.sweeps._trainers import run_trainers
from lrax.training._driver import Execution
from lrax.training._memory import Plan, even, fit, is_placed, needed_bytes, plan, put, run_side_by_side, spans_devices, spec
from lrax.training._programs import callbacks, digest, program_digest
from lrax.training._progress import progress_bar
from lrax.training._storage import Folder, Path, checked

Train: TypeAlias = Callable[..., Any]
"""`(schedule, *others) -> metrics`: a pure function that trains."""

Finished: TypeAlias = tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]
"""Some runs, and the leaves of their metrics."""


@check_call
def sweep(
    train: Train,
    schedules: Schedule | Sequence[Schedule],
    *others: Any,
    execution: Execution | None = None,
) -> Any:
    """Trains with many schedules in parallel: one compiled program, one compilation.

    Args:
      train: a pure function that trains with one schedule and returns metrics, a pytree of arrays. Items of `others` come after
        the schedule: `train(schedule, *others)`, each without its leading axis. Bind large arrays that all runs share with
        `jax.tree_util.Partial(train, data)`, which keeps them out of the compiled program.
      schedules: one schedule with a leading axis in some of its fields, or a list of schedules of any classes.
      *others: pytrees of arrays with one leading axis, one entry for each run; random keys, say.
      execution: `lrax.Execution(max_parallel=8)` trains 8 runs at a time, the rest in turn; by default a number that fits the
        memory and is fast, see `lrax.run_sweep`. `Execution(mesh=mesh, axis="runs")` divides the runs over that axis of a
        device mesh; the same call on every process.

    Returns: the metrics, each with a leading axis for the runs; under `jit`, traced.

    Raises: TypeError if `schedules` contains anything but schedules; ValueError if there is none, or there is no common
      leading axis.

    >>> def train(schedule):
    ...     def step(weight, count):
    ...         return weight - schedule(count) * 2 * weight, weight**2
    ...     return jax.lax.scan(step, 1.0, jnp.arange(10))[1][-1]
    >>> print(sweep(train, lrax.Constant(jnp.array([0.0, 0.1, 0.5]))))
    [1.         0.01801439 0.        ]
    """
    execution = check_execution("sweep", execution, "loop", "donate")
    batch = _checked("sweep", train, schedules, others)
    arguments = (batch.schedules, *batch.others)
    if any_traced(arguments):
        at_a_time = min(execution.max_parallel or batch.runs, batch.runs)
        return jax.lax.map(lambda one: _checked_metrics(train(*one)), arguments, batch_size=at_a_time)
    program = Program(train, batch, execution)
    for finished in program.run(np.arange(batch.runs)):
        program.store(*finished)
    return jax.tree.map(jnp.asarray, program.result())


@check_call
def run_sweep(
    train: Train,
    schedules: Schedule | Sequence[Schedule],
    *others: Any,
    score: Score | None = None,
    execution: Execution | None = None,
    folder: Path | None = None,
    progress: bool = False,
    executor: Executor | None = None,
    part: tuple[int, int] | None = None,
    traced: bool = True,
    retries: int = 0,
    rungs: int | Sequence[int] | None = None,
    keep: float = 0.5,
) -> SweepResult:
    """`lrax.sweep` for long sweeps: on many workers, with progress, a folder that keeps finished runs, and a table.

    Args:
      train, schedules, others: as for `lrax.sweep`.
      score: metrics of one run -> scalar, the lower the better; by default, if the metrics are one array, its
        `lrax.sweeps.end_loss`. A run has diverged if its score is not finite. Other metrics may hold NaN or inf.

    Other Args:
      execution: as for `lrax.sweep`. By default, on an accelerator, as many runs at a time as fit into nine tenths of its free
        memory; on the CPU, groups whose state fits the caches, one group for each core, and single runs for convolutions.
        `SweepResult.plan` says what it was and why.
      folder: where each finished group of runs is saved, in one file, written whole or not at all. The same call again
        loads what is there and trains the rest. Several processes may share it. If a file cannot be written, on a full disk,
        say, a RuntimeWarning says so, and the sweep continues. A local path, or a URL that fsspec opens, such as
        `"s3://bucket/sweep"` (the extra `remote`, and the package of the file system).
      progress: shows a progress bar (needs tqdm).
      executor: trains the groups of runs on its workers: a `concurrent.futures.ProcessPoolExecutor` (with the start method
        "spawn"), Dask's `client.get_executor()`, a submitit or `mpi4py.futures` executor. Each worker compiles the program
        once. The results are those of one process with the same `max_parallel`. Functions of a script need cloudpickle.
      part: `(index, count)` trains every `count`-th group only, for an array of jobs that share a `folder`: the call without
        `part` then loads them all. The result has the runs of this part.
      traced: False for a training function in plain Python, with loaders, checkpoints and any framework: it is called with one
        schedule at a time, and may take a keyword `report`, a function `(step, metrics)`. It returns a pytree of numbers and
        arrays, or None if it reports. A run that raises does not stop the others; `SweepResult.errors` has its error.
      retries: how often a run that raised is started again, if `traced=False`.
      rungs: makes the sweep a race, if `traced=False`: the steps of each rung. `train(schedule, *others, report, until, state)`
        trains to step `until` and returns its state: anything that can be pickled, such as the path of its checkpoint. The next
        call for the run has it as `state`, which is None at first. After a rung the best settings go on, each with all of its
        runs, ranked by the score of what they have reported so far. To race an `lrax.Learner`, use `lrax.race`.
      keep: the fraction of the settings that goes on after a rung, in (0, 1], rounded up.

    Returns: a `SweepResult`: the metrics, and what they say about the schedules.

    Raises: TypeError or ValueError as `lrax.sweep`; ValueError if `score` does not return a scalar; if `folder` cannot be
      written to, or holds damaged files or those of another sweep (other schedules, others, training function or arrays in it,
      or another version of JAX); and if the training function gets values from Python (`jax.pure_callback`), which may be
      others the next time.

    >>> def train(schedule):
    ...     def step(weight, count):
    ...         return weight - schedule(count) * 2 * weight, weight**2
    ...     return jax.lax.scan(step, 1.0, jnp.arange(12))[1]
    >>> print(run_sweep(train, lrax.Constant(jnp.array([0.01, 0.1, 2.0]))))  # doctest: +ELLIPSIS
    Best: peak 0.1: score 0.01231, lower than the next (peak 0.01) by 0.6557; not tested: train several seeds of both
       schedule              peak      score  runs
       Constant(value=0.01)  0.01      0.668  0
    *  Constant(value=0.1)    0.1    0.01231  1
       Constant(value=2.0)      2  1.175e+10  2
    3 runs, ... at a time...
    """
    execution = check_execution("run_sweep", execution, "loop", "donate")
    part = check_part("run_sweep", part, folder)
    if executor is not None:
        check_executor("run_sweep", executor)
        check_execution("run_sweep", execution, "mesh")
    if not traced:
        check_execution("run_sweep", execution, "mesh", "max_parallel")
        batch = as_batch("run_sweep", schedules, others)
        result = run_trainers(train, batch, score, folder, progress, executor, part, retries, *_race_of(rungs, keep, part))
        return with_others(result, take(batch.others, chosen_runs(batch.runs, 1, part)))
    if retries or rungs is not None:
        name, value, needs = ("retries", retries, "0") if retries else ("rungs", rungs, "None")
        raise argument_error(ValueError, "run_sweep", name, f"{needs} unless traced=False", value)
    batch = _checked("run_sweep", train, schedules, others)
    if any_traced((batch.schedules, batch.others)):
        remedy = "use lrax.sweep inside jit, which is pure"
        raise argument_error(TypeError, "run_sweep", "schedules", "arrays, not traced", schedules, remedy)
    warn_of_plans("run_sweep", batch, stacklevel=3)
    program = Program(train, batch, execution, here=executor is None)
    check_score("run_sweep", score, program.traced.out_info)
    chosen = chosen_runs(batch.runs, program.plan.runs, part)
    stored = None if folder is None else Folder.create("run_sweep", folder, "sweep", _identity(batch, program))
    done = np.zeros(batch.runs, bool) if stored is None else _load(stored, program)
    left = chosen[~done[chosen]]
    finished = program.run(left) if executor is None else _on_workers(executor, train, batch, program.plan.runs, left)
    with contextlib.closing(finished), progress_bar(len(chosen), "sweep", "run", progress) as show:
        show(int(done[chosen].sum()), loaded=True)
        for runs, leaves in finished:
            program.store(runs, leaves)
            if stored is not None and jax.process_index() == 0:
                content = {"runs": runs, "metrics": dict(zip(program.metrics, leaves, strict=True))}
                stored.save(f"runs-{runs[0]:05d}-{runs[-1]:05d}.lrax", content)
            show(len(runs))
    if stored is not None:
        stored.close()
    result = sweep_result(batch, program.result(), score, str(program.plan))
    return result if part is None else part_of_result(result, chosen.tolist())


def _race_of(rungs: Any, keep: float, part: object) -> tuple[tuple[int, ...] | None, float]:
    """The rungs of a race of training functions in Python, None without, and the fraction that goes on after each."""
    if rungs is None:
        return None, 1.0
    if part is not None:
        needs, remedy = "left out with `rungs`", "runs of all parts are compared after a rung: use executor="
        raise argument_error(ValueError, "run_sweep", "part", needs, part, remedy)
    return check_rungs("run_sweep", rungs), check_fraction("run_sweep", "keep", keep)


def _on_workers(executor: Executor, train: Train, batch: Batch, size: int, runs: np.ndarray[Any, Any]) -> Generator[Finished]:
    """Trains runs on the workers of an executor, a group at a time for each; yields groups as they end."""
    groups = [runs[i : i + size] for i in range(0, len(runs), size)]
    with workers("run_sweep", executor, _Group(train, batch, size)) as do:
        yield from do({f"runs {group[0]} to {group[-1]}": group for group in groups})


@dataclasses.dataclass
class _Group:
    """The job of a worker: trains the runs of one group, with a program that is compiled for the first."""

    train: Train
    batch: Batch
    size: int
    _program: "Program | None" = None

    def __call__(self, runs: np.ndarray[Any, Any]) -> Finished:
        if self._program is None:
            self._program = Program(self.train, self.batch, Execution(max_parallel=self.size))
        return self._program.group(runs)


def _checked(caller: str, train: Train, schedules: object, others: tuple[Any, ...]) -> Batch:
    batch = as_batch(caller, schedules, others)
    if not callable(train):
        raise argument_error(TypeError, caller, "train", "a function schedule -> metrics", train)
    check_arity(caller, "train", train, f"train(schedule{', other' * len(others)})", 1 + len(others))
    return batch


class Program:
    """A training function with the runs of a batch: traced when made, compiled once for a number of runs.

    Attributes:
      runs: how many runs there are.
      traced: the program of one run.
      plan: how many runs are trained at a time.
      shared: what all runs share: the leaves of a training function that is a pytree, such as a `jax.tree_util.Partial`.
      metrics: the leaves of the metrics of all runs by their paths, NumPy arrays; random keys as their data.
    """

    def __init__(self, train: Train, batch: Batch, execution: Execution, here: bool = True) -> None:
        self.runs, self._batch, self._mesh, self._axis = batch.runs, batch, execution.mesh, execution.axis
        self.shared, self._function = _parts(train, self._mesh)
        arguments = (batch.schedules, *batch.others)
        self.traced = _jitted(self._function).trace(self.shared, *jax.eval_shape(functools.partial(take, runs=0), arguments))
        devices = 1 if self._mesh is None else self._mesh.shape[self._axis]
        places = -(-batch.runs // devices)
        if execution.max_parallel is not None:
            self.plan = Plan(min(-(-execution.max_parallel // devices), places) * devices, 1, "as given")
        else:
            one_program = spans_devices((self.shared, batch.others, self.traced.jaxpr.consts))
            self.plan = plan(self.traced.jaxpr.jaxpr, places, one_program)
            if self._mesh is not None:
                self.plan = Plan(self.plan.runs * devices, 1, f"over {devices} places of the mesh axis {self._axis!r}")
        if here:
            self._compiled = self._compile()
            if execution.max_parallel is None:
                self._fit(devices)
        elif execution.max_parallel is None:
            # the workers' memory is not known: groups are small, so that all workers have some
            self.plan = self.plan._replace(runs=min(self.plan.runs, -(-batch.runs // GROUPS)))
        shapes = jax.tree.leaves_with_path(jax.eval_shape(_without_keys, self.traced.out_info))
        if not shapes:
            raise ValueError("sweep: `train` must return metrics, a pytree of arrays, got one without arrays")
        self.metrics = {jax.tree_util.keystr(path): np.zeros((batch.runs, *one.shape), one.dtype) for path, one in shapes}

    def _fit(self, devices: int) -> None:
        """Takes fewer runs at a time, and compiles again, if what was compiled needs more memory than there is."""
        fitting = fit(self.plan, needed_bytes(self._compiled))
        if fitting.runs < self.plan.runs:
            self.plan = fitting._replace(runs=max(devices, even(self.runs, fitting.runs) // devices * devices))
            self._compiled = self._compile()
        self.plan = self.plan._replace(programs=fitting.programs)

    def run(self, runs: np.ndarray[Any, Any]) -> Generator[Finished]:
        """Trains some runs; yields groups of them with the leaves of their metrics, as they end."""
        size = self.plan.runs
        groups = ((group, self._arguments(group)) for group in (runs[i : i + size] for i in range(0, len(runs), size)))
        yield from run_side_by_side(lambda group: self._call(*group), groups, self.plan.programs)

    def group(self, runs: np.ndarray[Any, Any]) -> Finished:
        """Trains the runs of one group."""
        return self._call(runs, self._arguments(runs))

    def store(self, runs: np.ndarray[Any, Any], leaves: Sequence[np.ndarray[Any, Any]]) -> None:
        """Puts the metrics of some runs in their places."""
        for array, leaf in zip(self.metrics.values(), leaves, strict=True):
            array[runs] = leaf

    def result(self) -> Any:
        """The metrics as the training function returns them, with a leading axis for the runs."""
        shapes, structure = jax.tree.flatten(self.traced.out_info)

        def restored(array: np.ndarray[Any, Any], shape: Any) -> Any:
            if not is_key(shape):
                return array
            names: list[Any] = []
            jax.eval_shape(lambda key: names.append(jax.random.key_impl(key)), shape)
            return jax.random.wrap_key_data(jnp.asarray(array), impl=names[0])

        return jax.tree.unflatten(structure, map(restored, self.metrics.values(), shapes))

    def _arguments(self, runs: np.ndarray[Any, Any]) -> Any:
        """What one call takes for these runs; the last is repeated where there are fewer than the program is for."""
        padded = np.minimum(np.arange(self.plan.runs), len(runs) - 1)
        chosen = take((self._batch.schedules, *self._batch.others), runs[padded])
        return put(take(chosen, 0) if self._is_single else chosen, self._mesh, self._axis)

    def _call(self, runs: np.ndarray[Any, Any], arguments: Any) -> Finished:
        leaves = jax.tree.leaves(jax.device_get(self._compiled(self.shared, *arguments)))
        return runs, [leaf[None] if self._is_single else leaf[: len(runs)] for leaf in leaves]

    @property
    def _is_single(self) -> bool:
        return self.plan.runs == 1 and self._mesh is None

    def _compile(self) -> Any:
        function = _grouped(self._function, self.plan.runs, self._mesh, self._axis)
        return function.lower(self.shared, *self._arguments(np.arange(min(self.plan.runs, self._batch.runs)))).compile()


@dataclasses.dataclass(frozen=True)
class _Parted:
    """A training function whose own arrays are its first argument; equal for equal parts, so that programs are shared."""

    train: Train | None
    structure: Any

    def __call__(self, shared: Any, *arguments: Any) -> Any:
        train: Any = self.train if self.structure is None else jax.tree.unflatten(self.structure, shared)
        return _checked_metrics(train(*arguments))


def _checked_metrics(metrics: Any) -> Any:
    """What a training function returned; raises if a leaf is not an array."""
    for path, leaf in jax.tree.leaves_with_path(metrics):
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
            place = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise argument_error(TypeError, "sweep", "train", f"a function whose metrics are arrays{place}", leaf)
    return metrics


def _parts(train: Train, mesh: Mesh | None) -> tuple[list[Any], _Parted]:
    """The arrays of a training function, on the mesh if there is one, and the rest of it."""
    if jax.tree_util.all_leaves([train]):
        return [], _Parted(train, None)
    check_arrays("sweep", "train", train)
    leaves, structure = jax.tree.flatten(train)
    return [leaf if is_placed(leaf) else put(leaf, mesh) for leaf in leaves], _Parted(None, structure)


@functools.lru_cache(maxsize=8)
def _jitted(function: _Parted) -> Any:
    """The training function under jit: traced once, whatever it is mapped over."""
    return jax.jit(function)


@functools.lru_cache(maxsize=8)
def _grouped(function: _Parted, runs: int, mesh: Mesh | None, axis: str) -> Any:
    """The program of a number of runs. On a mesh each place trains its own runs, and every process gets all metrics."""
    one = _jitted(function)

    def group(shared: Any, *arguments: Any) -> Any:
        def plain(*arguments: Any) -> Any:
            return _without_keys(one(shared, *arguments))

        if runs > (1 if mesh is None else mesh.shape[axis]):
            return jax.vmap(plain)(*arguments)
        if mesh is None:
            return plain(*arguments)
        metrics = plain(*take(arguments, 0))  # one run for each place: a vmap over one would slow convolutions down
        return jax.tree.map(lambda leaf: leaf[None], metrics)

    if mesh is None:
        return jax.jit(group)

    def divided(shared: Any, *arguments: Any) -> Any:
        specs = (spec(), *[spec(axis)] * len(arguments))
        local = jax.shard_map(group, mesh=mesh, in_specs=specs, out_specs=spec(axis), axis_names={axis}, check_vma=False)
        return local(shared, *arguments)

    return jax.jit(divided, out_shardings=NamedSharding(mesh, spec()))


def _without_keys(tree: Any) -> Any:
    """Metrics with random keys as their data, which can be put on other processes and into NumPy."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


def _identity(batch: Batch, program: Program) -> dict[str, str]:
    """What a sweep is: its schedules, other arguments, training function with the arrays it closes over, and JAX's version.

    Raises: ValueError if the training function calls Python, whose values may be others the next time.
    """
    closed = program.traced.jaxpr
    if found := callbacks(closed):
        remedy = "values from Python may be others the next time: put them into arrays that are swept with the schedules"
        raise argument_error(ValueError, "run_sweep", "folder", f"left out where `train` has a {found[0]}", "a folder", remedy)
    return {
        "schedules": digest(batch.schedules),
        "arguments (`others`)": digest(batch.others),
        "training function, precision or mesh": program_digest(closed) + digest(program.shared),
        "version of JAX": jax.__version__,
    }


def _load(folder: Folder, program: Program) -> np.ndarray[Any, Any]:
    """Stores the metrics that are in the folder; returns which runs that is, bool of shape (runs,).

    Of several processes the first reads, and sends what it read to the others.

    Raises: ValueError if a file is of another sweep or cannot be read.
    """
    metrics, problem, done = program.metrics, "", np.zeros(program.runs, bool)
    if jax.process_index() == 0:
        try:
            for runs, leaves in folder.load("runs-*.lrax", lambda content: _read(content, metrics)):
                program.store(runs, leaves)
                done[runs] = True
        except ValueError as error:
            if jax.process_count() == 1:
                raise
            problem = str(error)
    if jax.process_count() == 1:
        return done
    text = np.frombuffer(problem.encode()[:1000].ljust(1000, b"\0"), np.uint8)
    text, done, *arrays = multihost_utils.broadcast_one_to_all((text, done, *metrics.values()))
    if text.any():
        raise ValueError(bytes(text).rstrip(b"\0").decode(errors="replace"))
    program.store(np.arange(len(done)), arrays)
    return np.asarray(done)


def _read(content: dict[str, Any], metrics: Mapping[str, np.ndarray[Any, Any]]) -> Finished:
    """The runs in a file, and the leaves of their metrics, which must be like `metrics`."""
    parts, runs = checked(content, runs="int[runs]", metrics=dict), content["runs"]
    number = len(next(iter(metrics.values())))
    if not len(runs) or len(set(runs.tolist())) < len(runs) or ((runs < 0) | (runs >= number)).any():
        raise ValueError(f"its `runs` are not different ones of {number}")
    for name, array in metrics.items():
        leaf = parts["metrics"].get(name)
        if not isinstance(leaf, np.ndarray) or leaf.shape != (len(runs), *array.shape[1:]) or leaf.dtype != array.dtype:
            raise ValueError(f"its `metrics` have another {name}")
    return runs, [parts["metrics"][name] for name in metrics]
