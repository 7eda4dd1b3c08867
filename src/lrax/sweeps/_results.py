"""The results of sweeps and races: what won, by how much, and all numbers behind it."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import numpy.typing as npt
import optax

from lrax.fields._errors import argument_error, check_call, is_concrete, is_key
from lrax.fields._rules import PyTree
from lrax.schedules._base import Schedule
from lrax.schedules._display import labels
from lrax.sweeps import _plots
from lrax.sweeps._batch import Batch, as_batch, check_arrays, take
from lrax.sweeps._score import Margin, Score, Setting, check_score, default_scores, margin_of, peak_lrs, ranked, settings_of
from lrax.sweeps._tables import (
    BEST,
    ROWS,
    Table,
    end_of_range,
    exact,
    frame_of,
    lower_than,
    names_of,
    not_finite,
    notebook,
    number_columns,
    plain,
    ranges_of,
    schedule_rows,
    write_csv,
)
from lrax.training._batches import AGAIN, told
from lrax.training._evaluating import SIGNS, WRONG, contradicts
from lrax.training._resume import resumed
from lrax.training._storage import Path, by_path, checked, load, reason_of, restored, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """The result of a sweep. Runs with equal schedules are the seeds of one setting.

    Printed, it is a table; in a notebook, a table and a picture.

    Attributes:
      schedules: of each run.
      metrics: what the training function returned, NumPy arrays with a leading axis for the runs.
      scores: of each run, the lower the better, float64 of shape (runs,); NaN where it diverged.
      peaks: the highest learning rate of each schedule, float32 of shape (runs,).
      plan: how the runs were trained, as text.
      errors: of each run that failed, what it raised, as text with its traceback; only with `run_sweep(..., traced=False)`.
      steps: until which step each run was trained, int32 of shape (runs,); only of a race, `run_sweep(..., rungs=...)`.
      states: what the training function returned last, by run, for the runs of the best setting; only of a race. Not saved.
      others: of the other arguments those with one number for each run, by their paths: `{"others.0": array of shape (runs,)}`.
    """

    schedules: tuple[Schedule, ...]
    metrics: PyTree
    scores: npt.NDArray[np.float64]
    peaks: npt.NDArray[np.float32]
    plan: str = ""
    errors: Mapping[int, str] = dataclasses.field(default_factory=dict)
    steps: npt.NDArray[np.int32] | None = None
    states: Mapping[int, PyTree] = dataclasses.field(default_factory=dict)
    others: Mapping[str, np.ndarray[Any, Any]] = dataclasses.field(default_factory=dict)

    @staticmethod
    @check_call
    def create(schedules: Schedule | Sequence[Schedule], metrics: PyTree, score: Score | None = None) -> "SweepResult":
        """A result for metrics from anywhere.

        Args:
          schedules: a batch or a list, as for `lrax.sweep`.
          metrics: pytree of arrays with a leading axis for the runs.
          score: metrics of one run -> scalar; by default, where the metrics are one array, its `lrax.sweeps.end_loss`.

        Raises: TypeError or ValueError for schedules, metrics or a score that do not fit.

        >>> print(SweepResult.create(lrax.Constant(jnp.array([0.1, 0.2])), jnp.array([3.0, jnp.nan])))
        Best: peak 0.1: score 3; every other setting has a run that diverged
        1 of 2 runs diverged: their scores are not finite
           schedule             peak  score  runs
        *  Constant(value=0.1)   0.1      3  0
           Constant(value=0.2)   0.2      -  1     diverged
        """
        batch = as_batch("SweepResult.create", schedules)
        check_arrays("SweepResult.create", "metrics", metrics)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(metrics)]
        if not shapes or {shape[:1] for shape in shapes} != {(batch.runs,)}:
            needs = f"arrays with a leading axis of {batch.runs} runs"
            raise argument_error(ValueError, "SweepResult.create", "metrics", needs, shapes)
        check_score("SweepResult.create", score, jax.eval_shape(lambda tree: jax.tree.map(lambda leaf: leaf[0], tree), metrics))
        return sweep_result(batch, metrics, score, "")

    @property
    def diverged(self) -> npt.NDArray[np.bool_]:
        """Of each run, whether its score is not finite, bool of shape (runs,). Other metrics may hold NaN or inf."""
        return np.isnan(self.scores)

    @functools.cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The different schedules, in the order of their first runs."""
        return settings_of(self.schedules, self.peaks, self.scores, self.steps)

    @property
    def best(self) -> Setting | None:
        """The setting with the lowest score among those without a run that diverged; None if every setting has one.

        In a race, among those that were trained for the most steps.
        """
        return next(iter(ranked(self.settings)), None)

    @property
    def margin(self) -> Margin | None:
        """How far the best is ahead of the next; None if no other went as far without a run that diverged."""
        return margin_of(self.settings, self.scores)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values and NumPy arrays: schedules as text, metrics by their path."""
        metrics = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(self.metrics)}
        arrays = {name: getattr(self, name) for name in ("peaks", "scores", "diverged")}
        return {"schedules": list(map(repr, self.schedules)), **arrays, "metrics": metrics}

    def rows(self) -> list[dict[str, Any]]:
        """One row for each run in plain values; `to_frame` makes a pandas frame of them.

        Returns: dicts with `run`, `setting` (its index in `settings`), `place` (of its setting, 0 for the best), `class`,
          `schedule` (as text), `peak`, the fields of the schedules that are numbers or strings (`schedule.steps`), other
          arguments of the training function with one number for each run (`others.0`), `score` (NaN where it diverged),
          `diverged`, `steps` of a race, `error` if a run failed, and each metric that is one number for each run. Values that
          a run does not have are None.

        >>> SweepResult.create(lrax.Constant(jnp.array([0.25, 0.5])), np.array([3.0, 2.0])).rows()[1]["schedule"]
        'Constant(value=0.5)'
        """
        setting = {run: i for i, one in enumerate(self.settings) for run in one.runs}
        places = {i: place for place, i in enumerate(self._by_score())}
        rows = [
            {"run": run, "setting": setting[run], "place": places[setting[run]], **row}
            | {name: plain(column[run]) for name, column in self.others.items()}
            | {"score": float(self.scores[run]), "diverged": bool(self.diverged[run])}
            | ({"steps": int(self.steps[run])} if self.steps is not None else {})
            | ({"error": self.errors.get(run)} if self.errors else {})
            for run, row in enumerate(schedule_rows(self.schedules, self.peaks))
        ]
        for name, column in number_columns(self.metrics).items():
            name = f"metrics.{name}" if name in rows[0] else name or "metric"
            for row, value in zip(rows, column, strict=True):
                row[name] = exact(value)
        return rows

    def _by_score(self) -> list[int]:
        """The indices of the settings, the best first."""
        return sorted(range(len(self.settings)), key=lambda i: (-self.settings[i].steps, self.settings[i].score))

    def to_frame(self) -> "DataFrame":
        """`rows` as a pandas frame, one row for each run.

        Raises: ImportError if pandas is not installed.

        >>> frame = SweepResult.create(lrax.Constant(jnp.array([0.25, 0.5])), np.array([3.0, 2.0])).to_frame()
        >>> print(frame[["schedule.value", "score", "place"]])
           schedule.value  score  place
        0            0.25    3.0      1
        1            0.50    2.0      0
        """
        return frame_of("SweepResult.to_frame", self.rows())

    def to_csv(self, path: Path) -> None:
        """Writes `rows` to a file of comma-separated values, with a header, whole or not at all.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        write_csv("SweepResult.to_csv", path, self.rows())

    def save(self, path: Path) -> None:
        """Writes all of it to one file, whole or not at all; schedules as their JSON.

        Of a schedule without JSON, such as a function, only the name is saved.

        Args:
          path: the file; one that exists is replaced.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "states"}
        save("SweepResult.save", path, "SweepResult", content)

    @staticmethod
    @check_call
    def load(path: Path, custom_types: Iterable[type[Schedule]] = ()) -> "SweepResult":
        """Reads a file that `save` wrote: the same numbers, table and pictures.

        Args:
          path: the file.
          custom_types: your own schedule classes that may be in it.

        Returns: a result; metrics in dicts, lists and tuples come back in them, those in other containers in dicts by field. A
          schedule without JSON has its name, and raises TypeError when it is called.

        Raises: ValueError, with the file's name, if the file is not one that `save` wrote, is of a newer format, or was
          changed; TypeError or ValueError for `custom_types` that are not schedule classes.
        """

        def read(content: Mapping[str, object]) -> SweepResult:
            arrays = {"scores": "float[runs]", "peaks": "float[runs]", "steps": (None, "int[runs]")}
            parts = checked(content, schedules=tuple, plan=str, errors=dict, others=dict, **arrays)
            if not all(type(run) is int and isinstance(text, str) for run, text in parts["errors"].items()):
                raise ValueError("its `errors` are not texts by run")
            if {np.shape(column) for column in parts["others"].values()} - {(len(parts["peaks"]),)}:
                raise ValueError("its `others` are not a number for each run")
            _check_schedules(parts["schedules"], len(parts["peaks"]))
            if np.isinf(parts["scores"]).any():
                raise ValueError("its `scores` hold infinities")
            shapes = [np.shape(leaf)[:1] for leaf in jax.tree.leaves(content["metrics"])]
            if set(shapes) != {(len(parts["peaks"]),)}:
                raise ValueError("its `metrics` have no leading axis for the runs")
            return SweepResult(metrics=content["metrics"], **parts)

        return load("SweepResult.load", path, "SweepResult", read, custom_types)

    def __repr__(self) -> str:
        return f"<SweepResult: {len(self.schedules)} runs, {len(self.settings)} settings, {int(self.diverged.sum())} diverged>"

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return notebook(self._table, self.plot, repr(self))

    def _table(self) -> Table:
        """The best setting compared with the next, one row for each setting, then how it was run."""
        settings, best, seeds = self.settings, self.best, any(len(setting.runs) > 1 for setting in self.settings)
        schedules, peaks = [setting.schedule for setting in settings], [setting.peak for setting in settings]
        races, names = self.steps is not None, labels(schedules)
        rows = [
            ["", "schedule", "peak", *(["steps"] if races else []), "score", *(["low - high"] if seeds else []), "runs", ""]
        ]
        for i in sorted(self._by_score()[:ROWS]):
            one = settings[i]
            score = "-" if math.isinf(one.score) else f"{one.score:.4g}"
            span = ["-" if math.isnan(one.low) else f"{one.low:.4g} - {one.high:.4g}"] if seeds else []
            steps = [str(one.steps)] if races else []
            mark = BEST if one is best else ""
            rows.append([mark, names[i], f"{one.peak:.4g}", *steps, score, *span, ranges_of(one.runs), self._lost(one)])
        above = [self._verdict(dict(zip((one.runs for one in settings), names_of(schedules, peaks), strict=True)))]
        if diverged := int(self.diverged.sum()) - len(self.errors):
            above.append(f"{diverged} of {len(self.scores)} runs diverged: their scores are not finite")
        if self.errors:
            run, error = next(iter(self.errors.items()))
            above.append(f"{len(self.errors)} of {len(self.scores)} runs failed; run {run}: {error.partition(chr(10))[0]}")
        if best is not None:
            above += end_of_range(schedules, peaks, next(i for i, one in enumerate(settings) if one is best))
        below = [f"... and {len(settings) - ROWS} settings that are worse"] if len(settings) > ROWS else []
        ended = np.zeros(len(self.scores), bool) if self.steps is None else self.steps < self.steps.max()
        below += not_finite(self.metrics, self.diverged | ended) + (
            [f"{len(self.scores)} runs, {self.plan}"] if self.plan else []
        )
        return Table(above, rows, range(2, 5 if races else 4), below)

    def _lost(self, setting: Setting) -> str:
        """How many runs of a setting diverged or failed; "" if none did."""
        failed, runs = sum(run in self.errors for run in setting.runs), len(setting.runs)
        lost = {"diverged": setting.diverged - failed, "failed": failed}
        return ", ".join(f"{f'{number} of {runs} ' if runs > 1 else ''}{word}" for word, number in lost.items() if number)

    def _verdict(self, names: Mapping[tuple[int, ...], str]) -> str:
        """The best setting, and how it compares with the next: one sentence; `names` are those of settings, by their runs."""
        order, margin, lost = ranked(self.settings), self.margin, "diverged or failed" if self.errors else "diverged"
        if not order:
            return f"No best: every setting has a run that {lost}; {lower_than(self.peaks)}"
        best, seeds = names[order[0].runs], len(order[0].runs)
        by_median = "" if margin is None or margin.ahead >= 0 else " by the median"
        steps = f" after {order[0].steps} steps" if order[0].steps else ""
        median = f" (median of {seeds} seeds)" if seeds > 1 else ""
        text = f"Best{by_median}: {best}: score {order[0].score:.4g}{steps}{median}"
        if len(self.settings) == 1:
            return f"{text}; there is no other setting to compare it with"
        if len(order) == 1:
            return f"{text}; every other setting has a run that {lost}"
        other = names[order[1].runs]
        if margin is None:
            return f"{text}; the next ({other}) ended after {order[1].steps} steps, with score {order[1].score:.4g}"
        word, size = "lower" if margin.ahead >= 0 else "higher", f"{abs(margin.ahead):.4g}"
        if math.isnan(margin.error):
            difference = f"{word} than the next ({other}) by {size}" if margin.ahead else f"equal to the next ({other})"
            return f"{text}, {difference}; not tested: train several seeds of both"
        size = f"{size} ± {margin.error:.2g} in the mean over {margin.seeds} seeds"
        if margin.significant:
            return f"{text}, significantly {word} than the next ({other}) by {size}"
        return (
            f"{text}, not significantly different from the next ({other}): {word} by {size}; take either, or train more seeds"
        )

    @check_call
    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws scores over peak learning rates: a dot for each run, a line through the settings of each schedule class.

        Crosses are runs that diverged.

        Args:
          axes: where to draw; by default new axes.

        Raises: ImportError if matplotlib is not installed.
        """
        return _plots.plot_scores(self.settings, self.peaks, self.scores, axes)

    @check_call
    def plot_curves(self, axes: "Axes | None" = None, *, losses: Any = None) -> "Axes":
        """Draws the losses of every setting over the steps: running means, their median over seeds; the best in black.

        The colour shows the peak learning rate, the dashes show the schedule class. Of a few settings the losses themselves are
        drawn too. A line joins the losses that are finite, and ends where the first of its seeds has its last one.

        Args:
          axes: where to draw; by default new axes.
          losses: float (runs, steps); by default the only metric of that rank.

        Raises: ImportError if matplotlib is not installed; ValueError if not exactly one metric is a curve, or if `losses`
          do not fit the runs.
        """
        if losses is None:
            curves = [leaf for leaf in jax.tree.leaves(self.metrics) if np.ndim(leaf) == 2 and not is_key(leaf)]
            if len(curves) != 1:
                remedy = "give one metric, such as sweep.metrics['losses']"
                raise argument_error(ValueError, "plot_curves", "losses", "given unless one metric is a curve", None, remedy)
            losses = curves[0]
        if np.ndim(losses) != 2 or len(losses) != len(self.peaks):
            needs = f"one curve for each of {len(self.peaks)} runs"
            raise argument_error(ValueError, "plot_curves", "losses", needs, f"shape {np.shape(losses)}")
        return _plots.plot_settings(self.settings, np.asarray(losses, np.float64), axes)


def part_of_result(result: SweepResult, runs: Sequence[int]) -> SweepResult:
    """The result of some of the runs."""
    numbers = {run: i for i, run in enumerate(runs)}
    return SweepResult(
        tuple(result.schedules[run] for run in runs),
        take(result.metrics, np.array(runs)),
        result.scores[runs],
        result.peaks[runs],
        f"{result.plan}; a part of {len(result.schedules)} runs",
        {numbers[run]: text for run, text in result.errors.items() if run in numbers},
        others={name: column[list(runs)] for name, column in result.others.items()},
    )


def sweep_result(batch: Batch, metrics: PyTree, score: Score | None, plan: str) -> SweepResult:
    """The result for runs and a score that have been checked."""
    scores = np.array(default_scores(metrics) if score is None else jax.vmap(score)(metrics), np.float64)
    scores[~np.isfinite(scores)] = np.nan  # by the score alone: other metrics may be NaN where nothing was measured
    on_host = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), metrics)
    result = SweepResult(batch.each(), on_host, scores, np.asarray(peak_lrs(batch.schedules)), plan)
    return with_others(result, batch.others)


def with_others(result: SweepResult, others: PyTree) -> SweepResult:
    """The result with the other arguments of its runs."""
    return dataclasses.replace(result, others=number_columns(others, "others."))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RaceResult:
    """The result of a race.

    Printed, it is a table; in a notebook, a table and a picture.

    Attributes:
      schedules: of each run.
      losses: of every step of every run, measured before the step, float32 of shape (runs, steps); NaN where a run was not
        trained any more.
      end_losses: the end loss of each run's last rung, float32 of shape (runs,); infinite if it diverged: if a loss in that
        rung was not finite.
      rungs: how many rungs each run was in, int32 of shape (runs,).
      peaks: the highest learning rate of each schedule, float32 of shape (runs,).
      steps_run: how many steps were made in all, over all runs.
      state: the learner's state after the best run's last step; None if every run diverged.
      plan: how the runs were trained, as text.
      ends: the numbers of steps after which the rungs ended.
      ended: whether the data ended before the last rung did.
      evaluated: the numbers of steps after which runs were evaluated, int32 of shape (evaluations,); none without `evaluation`.
      evaluations: the metrics of every run there, float32 of shape (runs, evaluations); NaN where a run
        was not trained any more.
      end_metrics: the metrics that ranked the runs, of each run's last rung, float32 of shape (runs,); None without
        `evaluation`.
      goal: `"min"` if a smaller metric is better, `"max"` if a larger one is.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      fault: which batch holds a NaN or an infinity that made a loss not finite, as text; "" if none does.
      optimizer: the learner's optimizer factory, if it has one. It is not saved.

    Source: Jamieson & Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization.
    """

    schedules: tuple[Schedule, ...]
    losses: npt.NDArray[np.float32]
    end_losses: npt.NDArray[np.float32]
    rungs: npt.NDArray[np.int32]
    peaks: npt.NDArray[np.float32]
    steps_run: int
    state: PyTree
    plan: str
    ends: tuple[int, ...]
    ended: bool
    evaluated: npt.NDArray[np.int32]
    evaluations: npt.NDArray[np.float32]
    end_metrics: npt.NDArray[np.float32] | None
    goal: str
    left_out: int
    fault: str
    optimizer: Callable[[Any], optax.GradientTransformation] | None = None

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """What ranks the runs, the lower the better, float32 of shape (runs,); infinite for a run that diverged.

        End losses, or end metrics if runs were evaluated, with the other sign where a larger one is better.
        """
        if self.end_metrics is None:
            return self.end_losses
        signed = self.end_metrics if self.goal == "min" else -self.end_metrics
        return np.where(np.isfinite(signed) & np.isfinite(self.end_losses), signed, np.float32(np.inf))

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """The runs from best to worst: by rungs, then by score; those that diverged come last. int of shape (runs,)."""
        return np.lexsort((self.scores, -self.rungs, np.isinf(self.scores)))

    @property
    def winner(self) -> int | None:
        """The index of the best run, or None if every run diverged."""
        best = int(self.order[0])
        return best if np.isfinite(self.scores[best]) else None

    @property
    def schedule(self) -> Schedule | None:
        """The winner's schedule, ready to train with, or None if every run diverged."""
        return None if self.winner is None else self.schedules[self.winner]

    @property
    def count(self) -> int | None:
        """The steps that the winner has made: the count at which its schedule continues. None if every run diverged."""
        return None if self.winner is None else int(np.sum(~np.isnan(self.losses[self.winner])))

    @check_call
    def opt_state_for(
        self, optimizer: optax.GradientTransformation | optax.MultiSteps, opt_state: PyTree = None, params: PyTree = None
    ) -> PyTree:
        """The winner's optimizer state, for an optimizer that follows the winner's schedule: to train on with optax.

        Args:
          optimizer: the optimizer of the race, made with `race.schedule`: `optax.sgd(race.schedule, momentum=0.9)`, also inside
            a chain, `optax.MultiSteps`, `lrax.recorded`, `lrax.by_path` or `optax.inject_hyperparams`, whether the learner's
            optimizer was wrapped in it or not.
          opt_state, params: the winner's optimizer state and parameters; by default those fields of `race.state`.

        Returns: a state of `optimizer` with the winner's moments. The count of the schedule is `race.count`: races call
          schedules from count 0, also where the learner had been trained before. `lrax.recorded` has recorded no step yet.

        Raises: ValueError if every run diverged, or if `optimizer` is another one than that of the race; TypeError if
          `race.state` has no such fields.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.adam)
        >>> race = lrax.race(learner, [jnp.ones(3)], [lrax.Linear(0.1, 0.0, steps=8), lrax.Constant(1e-3)], rungs=(2, 2))
        >>> tx = optax.adam(race.schedule)
        >>> params, opt_state = race.state.params, race.opt_state_for(tx)
        >>> changes, opt_state = tx.update(jnp.ones(3), opt_state, params)
        >>> print(lrax.count_of(opt_state))
        5
        """
        caller = "RaceResult.opt_state_for"
        if self.schedule is None or self.count is None:
            raise argument_error(ValueError, caller, "race", "one with a winner", self, "every run diverged")
        for name, given in (("opt_state", opt_state), ("params", params)):
            if given is None and getattr(self.state, name, None) is None:
                remedy = f"give `{name}`, which is a part of race.state"
                raise argument_error(TypeError, caller, "state", f"a state with the field `{name}`", type(self.state), remedy)
        opt_state = self.state.opt_state if opt_state is None else opt_state
        params = self.state.params if params is None else params
        return resumed(caller, optimizer, opt_state, params, self.count, self.schedule, self.optimizer)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each run in plain values; `to_frame` makes a pandas frame of them.

        Returns: dicts with `run`, `place` (0 for the winner), `class`, `schedule` (as text), `peak`, the fields of the
          schedules that are numbers or strings (`schedule.steps`), `end_loss`, `end_metric` if runs were evaluated, `rungs` and
          `diverged`. Values that a run does not have are None.
        """
        places, metrics = np.argsort(self.order), self.end_metrics
        rows = []
        for run, row in enumerate(schedule_rows(self.schedules, self.peaks)):
            ends = {"end_loss": plain(self.end_losses[run])}
            ends |= {} if metrics is None else {"end_metric": plain(metrics[run])}
            lost = not math.isfinite(self.end_losses[run])
            rows.append({"run": run, "place": int(places[run]), **row, **ends, "rungs": int(self.rungs[run]), "diverged": lost})
        return rows

    def to_frame(self) -> "DataFrame":
        """`rows` as a pandas frame, one row for each run.

        Raises: ImportError if pandas is not installed.
        """
        return frame_of("RaceResult.to_frame", self.rows())

    def to_csv(self, path: Path) -> None:
        """Writes `rows` to a file of comma-separated values, with a header, whole or not at all.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        write_csv("RaceResult.to_csv", path, self.rows())

    def save(self, path: Path) -> None:
        """Writes all of it to one file, whole or not at all; schedules as their JSON, the state's arrays by path.

        Of a schedule without JSON, such as a function, only the name is saved.

        Args:
          path: the file; one that exists is replaced.

        Raises: OSError, with the file's name, if it cannot be written; ValueError if parts of the state are on other hosts.
        """
        if not all(map(is_concrete, jax.tree.leaves(self.state))):
            needs, remedy = "an array of this process, whole", "gather it first, or save dataclasses.replace(race, state=None)"
            raise argument_error(ValueError, "RaceResult.save", "state", needs, "parts on other hosts", remedy)
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "optimizer"}
        save("RaceResult.save", path, "RaceResult", {**content, "state": None if self.state is None else by_path(self.state)})

    @staticmethod
    @check_call
    def load(path: Path, state: PyTree = None, custom_types: Iterable[type[Schedule]] = ()) -> "RaceResult":
        """Reads a file that `save` wrote: the same numbers, table and pictures.

        Args:
          path: the file.
          state: a state with the structure, shapes and dtypes of the winner's, such as `learner.state`; the winner's numbers
            replace its own. Without it, the loaded result has no state.
          custom_types: your own schedule classes that may be in it.

        Raises: ValueError, with the file's name, if the file is not one that `save` wrote, is of a newer format, or was
          changed, or if `state` does not fit; TypeError or ValueError for `custom_types` that are not schedule classes.
        """
        result = load("RaceResult.load", path, "RaceResult", _read_race, custom_types)
        if state is None or result.state is None:
            return dataclasses.replace(result, state=None)
        try:
            return dataclasses.replace(result, state=restored(result.state, state))
        except ValueError as error:
            needs = "a state like the one that was saved, such as learner.state"
            remedy = f"the one in {path}: {reason_of(error)}"
            raise argument_error(ValueError, "RaceResult.load", "state", needs, list(by_path(state)), remedy) from error

    def __repr__(self) -> str:
        return f"<RaceResult: {len(self.schedules)} runs, {self.steps_run} steps, winner {self.schedule!r}>"

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return notebook(self._table, self.plot if self.end_metrics is None else self.plot_evaluations, repr(self))

    def _table(self) -> Table:
        """The winner, one row for each run, from best to worst, then how it was run."""
        metrics, finite, order, names = self.end_metrics, np.isfinite(self.end_losses), self.order, labels(self.schedules)
        rows = [["", "schedule", "peak", *([] if metrics is None else ["end metric"]), "end loss", "rungs", "run"]]
        for run in order[:ROWS]:
            loss = f"{self.end_losses[run]:.4g}" if finite[run] else "diverged"
            metric = [] if metrics is None else [f"{metrics[run]:.4g}" if finite[run] else "-"]
            mark = BEST if run == self.winner else ""
            rows.append([mark, names[run], f"{self.peaks[run]:.4g}", *metric, loss, str(self.rungs[run]), str(run)])
        above = [self._verdict()]
        if not finite.all():
            above.append(f"{(~finite).sum()} of {len(finite)} runs diverged")
        if self.ended:
            above.append(f"The data ended after {self.losses.shape[1]} steps, before the last rung did: {AGAIN}")
        if self.winner is not None:
            above += end_of_range(self.schedules, self.peaks.tolist(), self.winner)
        below = [f"... and {len(order) - ROWS} runs that are worse"] if len(order) > ROWS else []
        below.append(f"{self.steps_run} steps in all; {self.plan}{told(self.left_out, False, self.fault)}")
        return Table(above, rows, range(2, len(rows[0]) - 1), [*below, *filter(None, [contradiction(self)])])

    def _verdict(self) -> str:
        """The winner, and the next one that ran as long: one sentence."""
        what, ends = ("end loss", self.end_losses) if self.end_metrics is None else ("end metric", self.end_metrics)
        if self.winner is None:
            no_metric = "" if self.end_metrics is None else ", or has no finite metric"
            return f"No best: every run diverged{no_metric}; {lower_than(self.peaks)}"
        names, (first, *others) = names_of(self.schedules, self.peaks.tolist()), self.order
        text = f"Best: {names[first]}: {what} {ends[first]:.4g} after {self.count} steps"
        if not others:
            return f"{text}; there is no other run to compare it with"
        if not np.isfinite(self.scores[others[0]]):
            return f"{text}; every other run diverged"
        other, size = names[others[0]], abs(float(ends[first]) - float(ends[others[0]]))
        if self.rungs[others[0]] < self.rungs[first]:
            steps = self.ends[self.rungs[others[0]] - 1]
            return f"{text}; the next ({other}) ended after {steps} steps, with {ends[others[0]]:.4g}"
        if not size:
            return f"{text}, equal to the next ({other})"
        return f"{text}, {'lower' if self.goal == 'min' else 'higher'} than the next ({other}) by {size:.4g}"

    @check_call
    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws a running mean of the losses of every run, the winner in black, the others in the colour of their peaks.

        Dotted lines are the ends of rungs, circles the runs that did not go on, crosses those that diverged.

        Args:
          axes: where to draw; by default new axes.

        Raises: ImportError if matplotlib is not installed.
        """
        return _plots.plot_race(
            self.schedules, self.peaks, self.losses, self.end_losses, self.rungs, self.ends, self.winner, axes
        )

    @check_call
    def plot_evaluations(self, axes: "Axes | None" = None) -> "Axes":
        """Draws the metric of every run over steps, the winner in black, the others in the colour of their peaks.

        Args:
          axes: where to draw; by default new axes.

        Raises: ImportError if matplotlib is not installed; ValueError if runs were not evaluated.
        """
        if self.end_metrics is None:
            needs, remedy = "one whose runs were evaluated", "give lrax.race evaluation=, or draw the losses with plot"
            raise argument_error(ValueError, "RaceResult.plot_evaluations", "race", needs, self, remedy)
        return _plots.plot_evaluations(self.schedules, self.peaks, self.evaluated, self.evaluations, self.winner, axes)


def _read_race(content: Mapping[str, object]) -> RaceResult:
    """A race from the content of a file; its state is a dict by path."""
    arrays = {
        "losses": "float[runs,steps]",
        "evaluated": "int[evaluations]",
        "evaluations": "float[runs,evaluations]",
        "end_metrics": (None, "float[runs]"),
        "rungs": "int[runs]",
        **dict.fromkeys(("end_losses", "peaks"), "float[runs]"),
    }
    plain = {"steps_run": int, "left_out": int, "ended": bool, "plan": str, "fault": str, "goal": tuple(SIGNS)}
    parts = checked(content, schedules=tuple, ends=tuple, state=(None, dict), **arrays, **plain)
    _check_schedules(parts["schedules"], len(parts["peaks"]))
    ends, rungs = parts["ends"], parts["rungs"]
    if not ends or not all(type(end) is int for end in ends) or list(ends) != sorted({0, *ends})[1:]:
        raise ValueError("its `ends` do not rise from above 0")
    if parts["losses"].shape[1] != ends[-1]:
        raise ValueError("its `losses` do not go to the end of the last rung")
    if ((rungs < 0) | (rungs > len(ends))).any():
        raise ValueError("its `rungs` are more than there were")
    return RaceResult(**parts)


def contradiction(race: RaceResult) -> str:
    """A warning where the metric is worst at the lowest losses, over the evaluations of all runs; or ""."""
    if not race.evaluations.size:
        return ""
    places = np.clip(race.evaluated[:, None] + np.arange(-2, 3), 0, race.losses.shape[1] - 1)
    near = race.losses[:, places]
    finite = np.isfinite(near)
    measured = finite.any(axis=2)
    means = np.where(finite, near, 0).sum(axis=2)[measured] / finite.sum(axis=2)[measured]
    metrics = race.evaluations[measured]
    scores = metrics if race.goal == "min" else -metrics
    return WRONG[race.goal] if contradicts(float(np.median(race.losses[:, 0])), means, scores) else ""


def _check_schedules(schedules: tuple[object, ...], runs: int) -> None:
    """Raises ValueError if what a file has as schedules are not one for each run."""
    if not runs or len(schedules) != runs or not all(isinstance(schedule, Schedule) for schedule in schedules):
        raise ValueError("its `schedules` are not one for each run")
