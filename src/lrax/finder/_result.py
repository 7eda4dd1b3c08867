"""What `lrax.find_lr` returns: one peak learning rate, how sure it is, and the curves and runs that it was read from."""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from lrax._pictures import inline, paragraph
from lrax.fields._errors import argument_error, check_call, plural
from lrax.finder._curve import SCALE, SOON, Curve, why_nothing
from lrax.finder._factors import CLEAR
from lrax.finder._rescale import Plan, plan_of
from lrax.finder._rules import is_ordered
from lrax.schedules._base import Function, RateFunction, Schedule
from lrax.training._batches import AGAIN, told
from lrax.training._core import Reason
from lrax.training._evaluating import SIGNS, WRONG, contradicts
from lrax.training._storage import checked, load, save, unsaved_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = 20
"""The median of this many first losses of a ramp is the loss before anything was learnt."""

FLAT = 0.05
"""A loss that has made less than this part of its size has not left its plateau."""

UNBOUNDED = 100.0
"""A loss that dropped by more than this many times its start (its size, or its scatter) has no lower bound."""

NO_BOUND = "the loss has no lower bound that training could reach, so the lowest one says little: give `evaluation` a metric"
ORDERED = (
    "batches that follow each other have similar losses before training, as in sorted data, of which short runs see a part: "
    "shuffle the data, or give `evaluation` on all of it"
)
NEGATIVE = "the loss is negative: if it is a surrogate, such as that of a policy gradient, judge by `evaluation`"


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """Short runs of a search: whole schedules of the plan's shape from one state on common batches, by rising peaks.

    Attributes:
      peaks: the peak of the full plan that each run supports, float32 of shape (runs,). The run's own peak is higher where best
        peaks fall with the length.
      steps: the length of each run, int32 of shape (runs,).
      losses: the mean loss at the end of each, float32 of shape (runs,); infinite where a run diverged.
      scores: the scores that rank the runs, float32 of shape (runs,), lower is better: their losses; or with an evaluation
        the metric after the last step, negated for `goal="max"`; infinite where a run diverged.
      steps_run: how many steps were made in all: a run that diverges stops.
    """

    peaks: npt.NDArray[np.float32]
    steps: npt.NDArray[np.int32]
    losses: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    steps_run: int

    def __len__(self) -> int:
        return len(self.peaks)

    @property
    def best(self) -> int:
        """The place of the best run."""
        return int(np.argmin(self.scores))


class Comparison(NamedTuple):
    """How the plan at its peak and a learner whose optimizer needs no learning rate end, from one state on the same batches.

    Attributes:
      steps: the length of both runs.
      own: the score of the plan, as in `Runs.scores`: lower is better.
      other: the score of the learner that was given as `compare`, trained from 1 straight down to 0.
      steps_run: how many steps the other made.
    """

    steps: int
    own: float
    other: float
    steps_run: int


NOTHING = np.zeros(0, np.float32)
NO_RUNS = Runs(NOTHING, np.zeros(0, np.int32), NOTHING, NOTHING, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class GroupRuns:
    """Short runs with multiples of one learning rate for groups of parameters, and their check against the common one.

    Attributes:
      factors: the multiples of the common learning rate in each run, float32 of shape (runs, 1 + groups): of the parameters in
        no group, then of each group.
      scores: the scores that rank the runs, float32 of shape (runs,), lower is better, as `Runs.scores`; all on common batches.
      steps: the length of each.
      tried: by pattern, the multiples that were checked.
      check_steps: the length of the runs of the check; 0 without one, where no multiple was better than 1.
      difference: the score of the common learning rate minus that of the multiples, the mean over three orders of batches;
        minus infinity if a run of the check diverged.
      noise: its standard error.
      steps_run: how many steps were made in all.
    """

    factors: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    steps: int
    tried: Mapping[str, float]
    check_steps: int = 0
    difference: float = 0.0
    noise: float = 0.0
    steps_run: int = 0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FinderResult:
    """The peak learning rate for a schedule, and the measurements behind it.

    Attributes:
      peak: the peak learning rate for the plan, or None where the test does not support one; `explanation` says why.
      interval: where the best peak may be, with a probability of 80 %; wider if the runs do not show one of its ends.
      plan: the schedule that you are going to train with, as you passed it.
      total_steps: its length in steps.
      reason: why the ramp ended, or why there is no peak.
      curves: the ramp, a `Curve`; several ramps if several were run.
      runs: the short runs, a `Runs`.
      groups: by their patterns, what the learning rate of each group of parameters is multiplied with, if groups were asked
        for: the `groups` of `lrax.by_path`. All 1 if they were not better than one learning rate by more than the noise.
      group_runs: what they were read from, a `GroupRuns`.
      comparison: how a learner without a learning rate trains in comparison, a `Comparison`, if `compare` was given.
      scale_invariant: whether a step does not change with the scale of the gradients, as with Adam and Lion, unlike SGD; None
        where that is not known, as for your own step function. Best peaks move differently, see `rescale`.
      budget: the steps that the search was allowed.
      evaluated: whether an evaluation judged the runs; `curves[0].goal` is its goal.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      ended: whether the data ended before all steps were made.
      fault: which batch holds a NaN or an infinity that made its loss not finite; "" if none does.

    Source: Smith 2015, Cyclical learning rates for training neural networks, section 3.3, for the ramp.
    """

    peak: float | None
    interval: tuple[float, float] | None
    plan: Schedule
    total_steps: int
    reason: Reason
    curves: tuple[Curve, ...]
    runs: Runs = NO_RUNS
    groups: Mapping[str, float] = dataclasses.field(default_factory=dict)
    group_runs: GroupRuns | None = None
    comparison: Comparison | None = None
    scale_invariant: bool | None = None
    budget: int = 0
    evaluated: bool = False
    left_out: int = 0
    ended: bool = False
    fault: str = ""

    @property
    def schedule(self) -> Schedule:
        """The plan at its peak learning rate, ready to train: of its own class where its fields can hold that, else a `Scale`.

        Raises: ValueError if there is no peak.
        """
        peak = self._known_peak("schedule")
        with jax.ensure_compile_time_eval():  # it may be read inside jit
            return self._plan("schedule").at(peak)

    def rescale(self, schedule: RateFunction, total_steps: int | None = None) -> Schedule:
        """Another plan at its peak learning rate, by theory from the peak of this one.

        The reason: a bound on the last iterate (`lrax.theory.lr_ratio`) says how the best peaks of two shapes compare; for an
        optimizer that is not scale-invariant it is the square root of the ratio, since best peaks are near an edge there. With
        the length the best peak falls to the power of 0.3 (scale-invariant), 0 (not) or 0.15 (not known). The answer is less
        sure than that of a search for the other plan.

        Args:
          schedule: a schedule, or a callable `count -> learning rate`, of at least 0; its own peak is ignored.
          total_steps: the length of the run, an int; by default the length of `schedule`.

        Returns: the schedule with its learning rates multiplied by one number: of the same class where its fields can hold
          that, else as a `lrax.Scale` of it.

        Raises: ValueError if there is no peak, if no length is known, or if the learning rates are below 0 or all 0.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
        >>> found = lrax.find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))
        >>> constant = found.rescale(lrax.Constant(1.0), total_steps=1_000)
        >>> print(f"{found.peak / constant.value:.1f} times as high")
        1.7 times as high
        """
        peak = self._known_peak("rescale")

        def rescaled() -> Schedule:
            other = plan_of("FinderResult.rescale", "schedule", schedule, total_steps)
            return other.at(other.peak_from(self._plan("rescale"), peak, self.scale_invariant))

        try:
            return rescaled()
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            # inside jit: evaluated on the spot. Elsewhere it is not, because JAX 0.7 has no loops there.
            with jax.ensure_compile_time_eval():
                return rescaled()

    @property
    def steps_run(self) -> int:
        """How many steps were made in all: ramps, short runs, groups and the comparison."""
        ramps = sum(int(curve.steps_run) for curve in self.curves)
        compared = self.comparison.steps_run if self.comparison else 0
        return ramps + self.runs.steps_run + compared + (0 if self.group_runs is None else self.group_runs.steps_run)

    @property
    def explanation(self) -> str:
        """What the answer was read from and how sure it is, with numbers; what to do next where there is something to do."""
        ramp = self.curves[0]
        if self.reason is Reason.INTERRUPTED:
            why = f"it was interrupted after {plural(self.steps_run, 'step')}; what it had measured is kept"
        elif not len(self.runs):
            ended = self.reason is Reason.DATA_ENDED and ramp.reason is not Reason.DATA_ENDED
            why = (
                f"the data ended in the short runs and could not be iterated again: {AGAIN}"
                if ended
                else why_nothing(ramp, False)
            )
        else:
            why = self._of_runs(ramp)
        doubts = self.doubts() or [NEGATIVE] * (not self.evaluated and self._start()[0] < 0)
        notes = told(self.left_out, self.ended and self.reason is not Reason.DATA_ENDED, self.fault)
        return why + self._of_groups() + notes + "".join(f"; {text}" for text in doubts)

    def _of_groups(self) -> str:
        """What the runs with multiples of the learning rate say."""
        made = self.group_runs
        if made is None:
            return ""
        if not made.check_steps:
            tried = plural(len(made.scores), "run")
            return f"; no multiples for groups were better than one learning rate, in {tried} of {made.steps} steps: all are 1"
        its = ", ".join(f"{factor:g} for {pattern or '(rest)'}" for pattern, factor in made.tried.items())
        if math.isinf(made.difference):
            return f"; with the multiples {its}, a run of {made.check_steps} steps diverged, so all are 1"
        ends = f"end {abs(made.difference):.2g} (standard error {made.noise:.2g})"
        ends += " lower" if made.difference > 0 else " higher"
        words = f"; with the multiples {its}, runs of {made.check_steps} steps {ends} than with one learning rate"
        if all(factor == 1 for factor in self.groups.values()) and made.difference <= CLEAR * made.noise:
            return f"{words}: that is not significant, so all are 1; a larger budget makes longer runs"
        idle = [pattern or "(rest)" for pattern, factor in self.groups.items() if factor == 1 != made.tried[pattern]]
        words += f"; that of {', '.join(idle)} is not significant, so it is 1" if idle else ""
        less = {
            pattern or "(rest)": factor for pattern, factor in self.groups.items() if factor not in (1, made.tried[pattern])
        }
        if less:  # multiples are relative to the other parameters, whose learning rate was another one in these runs
            kept = ", ".join(f"{factor:g} for {pattern}" for pattern, factor in less.items())
            words += f"; that the other parameters need a lower or higher one is not significant, so they do not change: {kept}"
        return words

    def _of_runs(self, ramp: Curve) -> str:
        """What the short runs say."""
        runs, lengths = self.runs, f"{self.runs.steps.min()} to {self.runs.steps.max()}"
        steps = lengths if runs.steps.min() < runs.steps.max() else str(runs.steps.max())
        tried = f"{plural(len(runs), 'run')} of {steps} steps with peaks from {runs.peaks[0]:.2g} to {runs.peaks[-1]:.2g}"
        best, loss = float(runs.peaks[runs.best]), float(runs.losses[runs.best])
        if self.peak is None:
            if not np.isfinite(loss) and self.fault:
                return f"{tried} all ended at a loss that was not finite"
            return f"{tried} all diverged: {SCALE}" if self._has_diverged() else f"{why_nothing(ramp, False)}; nor in {tried}"
        said = f"{tried}: the lowest loss at the end, {loss:.3g}, was at {best:.2g}"
        if self.evaluated:
            metric = SIGNS[ramp.goal] * float(runs.scores[runs.best])
            said = f"{tried}: the best by the evaluation, {metric:.3g} (at a loss of {loss:.3g}), was at {best:.2g}"
        if self.peak < best / 2:
            said += "; the answer is lower, because a peak that is too high costs more than one that is too low"
        said += f"; {self._compared(self.comparison)}" if self.comparison else ""
        longer = 2 * self.budget < self.total_steps
        more = f"budget={2 * self.budget} makes longer runs" if longer else "lrax.race compares whole runs"
        if self.budget >= self.total_steps:
            said += f"; for {self.total_steps} steps the search costs as much as whole runs: compare some by lrax.run_sweep"
        elif self._on_plateau():
            said += f"; no run has left the plateau that it began on: {more}"
        elif len({*runs.steps.tolist()}) == 1 and runs.best in (0, len(runs) - 1):
            side, beyond = ("highest", "higher") if runs.best else ("lowest", "lower")
            said += f"; it was the {side} of them, so the best may be {beyond}: {more}"
        else:
            said += f"; for a narrower interval, {more}"
        tiny = len(ramp.learning_rates) and best < SOON * ramp.learning_rates[0]
        return f"{said}; a peak that low is a sign of large inputs or targets: {SCALE}" if tiny else said

    def _compared(self, made: Comparison) -> str:
        """Which of the plan and the learner without a learning rate is better, by how much of the drop of the loss."""
        steps, own, other, _ = made
        if not math.isfinite(other):
            return f"the run of `compare` diverged within {steps} steps"
        sign = SIGNS[self.curves[0].goal] if self.evaluated else 1
        ends = f"{sign * other:.3g} after {steps} steps and this plan at its peak at {sign * own:.3g}"
        drop = self._start()[0] - min(own, other)
        part = "" if self.evaluated or not drop > 0 else f" by {abs(own - other) / drop:.1%} of the drop of the loss"
        return f"`compare` ends at {ends}: {'`compare`' if other < own else 'the plan'} is better{part} in runs this short"

    def _on_plateau(self) -> bool:
        """Whether even the best short run ends at about the loss of the start."""
        start = self._start()[0]
        return len(self.runs) > 0 and start - float(self.runs.losses[self.runs.best]) < FLAT * abs(start)

    def _has_diverged(self) -> bool:
        """Whether the losses at the ends of all runs are above those of the start."""
        start, scatter = self._start()
        return not float(self.runs.losses.min()) <= start + scatter

    def _start(self) -> tuple[float, float]:
        """The loss before anything was learnt, and how far the first losses are above it."""
        first = self.curves[0].losses[:FIRST]
        first = first[np.isfinite(first)]
        return (float(np.median(first)), float(np.ptp(first))) if len(first) else (math.nan, math.nan)

    def doubts(self) -> list[str]:
        """What `find_lr` warns of: a loss without a bound, sorted data, or a metric that is worst where the loss is lowest."""
        if self.evaluated:
            return [WRONG[self.curves[0].goal]] if self._is_contradicted() else []
        start, scatter = self._start()
        losses = np.concatenate([self.runs.losses, *(curve.losses for curve in self.curves)])
        lowest = float(losses[np.isfinite(losses)].min(initial=math.inf))
        doubts = [NO_BOUND] if lowest < 0 and start - lowest > UNBOUNDED * max(abs(start), scatter) else []
        return doubts + [ORDERED] * is_ordered(*self.curves[0].extended())

    def _is_contradicted(self) -> bool:
        """Whether the metric is worst where the loss is lowest, on the ramp and at the ends of runs."""
        losses, scores = [self.runs.losses], [self.runs.scores]
        for curve in self.curves:
            rates, means = curve.smooth()
            finite = np.isfinite(means)
            at, metrics = curve.made.evaluations.T
            if finite.any() and len(at):
                losses.append(np.interp(np.log(at), np.log(rates[finite]), means[finite]))
                scores.append(SIGNS[curve.goal] * metrics)
        return contradicts(self._start()[0], np.concatenate(losses), np.concatenate(scores))

    def __float__(self) -> float:
        return math.nan if self.peak is None else self.peak

    def __repr__(self) -> str:
        return f"<FinderResult: {self._headline()}>"

    def __str__(self) -> str:
        return f"{self._headline()} ({self.steps_run} steps run)"

    @property
    def title(self) -> str:
        """The answer alone: the peak learning rate for which plan."""
        name = "the schedule" if isinstance(self.plan, Function) else type(self.plan).__name__
        peak = "" if self.peak is None else f" {self.peak:.3g}"
        return f"peak learning rate{peak} for {name} of {self.total_steps:,} steps"

    def _headline(self) -> str:
        if self.peak is None:
            return f"no {self.title} ({self.reason}: {self.explanation})"
        interval = f", 80 % interval {self.interval[0]:.2g} to {self.interval[1]:.2g}" if self.interval else ""
        plateau = ", but no run has left the plateau that it began on" if self._on_plateau() else ""
        return self.title + interval + self._multiples() + plateau

    def _multiples(self) -> str:
        """The learning rates of groups, as a part of a sentence."""
        moved = {pattern: factor for pattern, factor in self.groups.items() if factor != 1}
        if not moved or self.peak is None:
            return ", for all groups" if self.groups else ""
        return "; " + ", ".join(f"{name or '(rest)'} at {one:g} times it, {self.peak * one:.2g}" for name, one in moved.items())

    def _repr_html_(self) -> str:
        text = f"{self._headline()} ({self.steps_run} steps run)"
        return inline(paragraph(text) + paragraph(self.explanation), self.plot, text)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws the ramp and the ends of the short runs over the peak learning rate, and marks `peak`. Needs matplotlib.

        The learning rates of groups are marked, too.

        Dots are the losses of the ramp, markers the end losses of the short runs at the plan's peak that they stand for; with
        an evaluation, their metrics, on the axis at the right.
        `Curve.plot` of `curves[0]` draws the ramp alone, with other suggestion rules.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.finder._picture import plot_search

        title = self.title if self.peak is not None else f"no {self.title} ({self.reason})"
        metrics = SIGNS[self.curves[0].goal] * self.runs.scores
        ends = self.runs.peaks, metrics if self.evaluated else self.runs.losses
        curves = [curve.made for curve in self.curves]
        moved = {name or "(rest)": factor for name, factor in self.groups.items() if factor != 1}
        groups = {} if self.peak is None else {name: self.peak * factor for name, factor in moved.items()}
        return plot_search(curves, ends, self.evaluated, self.runs.steps, self.peak, self.interval, groups, title, axes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole result to one file, or nothing.

        Args:
          path: the file; one that exists is replaced.

        Raises: OSError if it cannot be written.
        """
        save("FinderResult.save", path, "FinderResult", _plain(self))

    @staticmethod
    @check_call
    def load(
        path: str | os.PathLike[str], schedule: RateFunction | None = None, custom_types: Iterable[type[Schedule]] = ()
    ) -> "FinderResult":
        """Reads a file that `save` wrote.

        Args:
          path: the file.
          schedule: the plan, if it was a function: a file has only its name. Without it, the loaded result has its peak, but
            `schedule` and `rescale` raise an error.
          custom_types: your own schedule classes that may be in it.

        Raises: FileNotFoundError if there is no such file; ValueError, which names the file and the part, if it is something
          else, of a newer format, or damaged, or if it has another plan than `schedule`; TypeError if `path` is not a path;
          TypeError or ValueError for `custom_types` that are not schedule classes.
        """
        found = load("FinderResult.load", path, "FinderResult", _result_from, custom_types)
        if schedule is None:
            return found
        plan = plan_of("FinderResult.load", "schedule", schedule, found.total_steps).schedule
        if unsaved_name(found.plan) is None and plan != found.plan:
            raise argument_error(
                ValueError, "FinderResult.load", "schedule", "the plan in the file", plan, f"that is {found.plan}"
            )
        return dataclasses.replace(found, plan=plan)

    def _plan(self, name: str) -> Plan:
        function = unsaved_name(self.plan)
        if function is not None:
            remedy = "give it to `load`: FinderResult.load(path, schedule=...)"
            raise ValueError(
                f"FinderResult.{name}: the plan was the function {function}, and a file has only its name; {remedy}"
            )
        return plan_of("FinderResult", "plan", self.plan, self.total_steps)

    def _known_peak(self, name: str) -> float:
        if self.peak is None:
            raise ValueError(f"FinderResult.{name}: find_lr found no peak ({self.reason}): {self.explanation}")
        return self.peak


CURVE = {"learning_rates": "float[steps]", "losses": "float[steps]", "smoothed": "float[steps]"}
RUNS = {"peaks": "float[runs]", "steps": "int[runs]", "losses": "float[runs]", "scores": "float[runs]", "steps_run": int}
COMPARISON = {"steps": int, "own": float, "other": float, "steps_run": int}
GROUP_RUNS = {"factors": "float[runs, parts]", "scores": "float[runs]", "steps": int, "tried": dict, "steps_run": int}
GROUP_RUNS |= {"check_steps": int, "difference": float, "noise": float}
"""The parts of these in a file."""


def _plain(found: FinderResult) -> dict[str, object]:
    """A result as a nest of what a file can hold."""
    fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    curves = [{**dataclasses.asdict(curve.made), "reason_code": int(curve.reason_code)} for curve in found.curves]
    group_runs = None if found.group_runs is None else dataclasses.asdict(found.group_runs)
    parts = {"groups": dict(found.groups), "group_runs": group_runs}
    interval = None if found.interval is None else list(found.interval)
    runs = dataclasses.asdict(found.runs)
    parts |= {"comparison": None if found.comparison is None else found.comparison._asdict()}
    return {**fields, **parts, "curves": curves, "runs": runs, "interval": interval, "reason": str(found.reason)}


def _result_from(content: object) -> FinderResult:
    """The result of the content of a file."""
    goals: tuple[Literal["min"], Literal["max"]] = ("min", "max")
    parts = checked(
        content,
        peak=(None, float),
        interval=(None, list),
        total_steps=int,
        reason=tuple(map(str, Reason)),
        curves=list,
        runs=dict,
        groups=dict,
        comparison=(None, dict),
        group_runs=(None, dict),
        scale_invariant=(None, bool),
        budget=int,
        evaluated=bool,
        left_out=int,
        ended=bool,
        fault=str,
    )
    plan = content["plan"] if isinstance(content, dict) and "plan" in content else None
    if not parts["curves"] or not isinstance(plan, Schedule):
        raise ValueError("it has no curves, or no plan")
    curves = []
    for one in parts["curves"]:
        its = checked(one, **CURVE, evaluations="float[n, two]", reason_code=int, goal=goals, left_out=int, fault=str)
        if its["evaluations"].shape[1] != 2 or its["reason_code"] >= len(Reason):
            raise ValueError("its `curves` are not those of a range test")
        curves.append(Curve(**{**its, "reason_code": np.int32(its["reason_code"])}))
    interval = parts["interval"] and tuple(map(_lr, parts["interval"]))
    if interval and (len(interval) != 2 or interval[0] > interval[1]):
        raise ValueError("its `interval` is not two learning rates, the lower first")
    peak = None if parts["peak"] is None else _lr(parts["peak"])
    compared = parts["comparison"] and Comparison(**checked(parts["comparison"], **COMPARISON))
    groups, runs = _multiples_of(parts["groups"]), Runs(**checked(parts["runs"], **RUNS))
    group_runs = None
    if parts["group_runs"] is not None:
        group_runs = GroupRuns(**checked(parts["group_runs"], **GROUP_RUNS))
        group_runs = dataclasses.replace(group_runs, tried=_multiples_of(group_runs.tried))
    made = {"plan": plan, "peak": peak, "interval": interval, "curves": tuple(curves), "groups": groups, "runs": runs}
    made |= {"group_runs": group_runs, "comparison": compared, "reason": Reason(parts["reason"])}
    return FinderResult(**{**parts, **made})


def _multiples_of(content: Mapping[str, float]) -> dict[str, float]:
    """The multiples by group of a file."""
    return {str(pattern): _lr(factor) for pattern, factor in content.items()}


def _lr(value: object) -> float:
    if not isinstance(value, float) or not 0 < np.float32(value) < np.inf:
        raise ValueError(f"it has the learning rate {value!r:.40}")
    return value
