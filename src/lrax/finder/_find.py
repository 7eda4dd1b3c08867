"""`find_lr`: the peak learning rate for the schedule that will be trained, within a budget of steps."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_call
from lrax.fields._rules import PyTree, whole_number
from lrax.finder._curve import Curve
from lrax.finder._factors import CLEAR, LEAST, ORDERS, SHARES, Point, evaluations_for, search
from lrax.finder._policy import POWERS, ShortRun, find_peak, ramp_steps
from lrax.finder._range_test import EVERY, curve_from, execution_of, run_ramp, with_every
from lrax.finder._rescale import Plan, plan_of
from lrax.finder._result import NO_RUNS, Comparison, FinderResult, GroupRuns, Runs
from lrax.finder._rules import FEWEST, center, start_level
from lrax.finder._stop import RunningMean, TimesMedian
from lrax.schedules._base import RateFunction
from lrax.schedules._phases import Linear
from lrax.schedules._recipes import warmup_cosine
from lrax.training._core import Reason, Run
from lrax.training._driver import Execution, Interrupted, Source, Trainer, make_trainer
from lrax.training._evaluating import Evaluation
from lrax.training._learner import Learner
from lrax.training._probes import in_groups, scale_invariant
from lrax.training._progress import progress_bar
from lrax.training._steps import check_learner

STEPS, BUDGET, FEWEST_STEPS = 1_000, 500, 20
"""The steps of a plan that has no length; the budget by default, and the smallest one."""

LOWEST, HIGHEST = 1e-7, 100.0
"""The ends of the ramp."""

FEWEST_RUN = 10
"""The steps of the shortest run with multiples of the learning rate."""

TAIL = 0.25
"""The part of a run's last losses whose mean is its end loss."""

LATE = TimesMedian(factor=10.0)
"""The stop rule of ramps. It stops late, because losses beyond the edge help to find it."""


@check_call
def find_lr(
    learner: Learner,
    data: object,
    schedule: RateFunction | None = None,
    *,
    total_steps: int | None = None,
    budget: int | float = BUDGET,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    evaluation: Evaluation | None = None,
    groups: Sequence[str] | None = None,
    compare: Learner | None = None,
    transform: Callable[[object], object] | None = None,
    accumulate: int = 1,
    loop: Literal["scan", "python"] | None = None,
    progress: bool = False,
) -> FinderResult:
    """Finds the peak learning rate for the schedule that you are going to train with.

    A ramp finds the decade in which the loss drops. Short runs around it, all from the learner's state and on the same batches,
    find which peak trains best: each is your whole schedule, squeezed into a few steps. Nothing is mutated: the learner's state
    is bit for bit what it was, and nothing is written.

    Args:
      learner: a state and its step function; `lrax.Learner.create`, or `lrax.flax` for Flax models.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`; or a Python iterable
        of batches, which is iterated again when it ends before the search does. Its batches may differ in shape and dtype; each
        of at most 32 shapes compiles a program. The last batch of a pass is left out if it has fewer examples than the
        first and is the same otherwise.
      schedule: the schedule that you are going to train with. Its peak may be any number. By default `lrax.warmup_cosine`.
      total_steps: the length of the plan, an int; by default that of `schedule`, or 1,000 where it has none.
      budget: the steps of the whole search, ramp and short runs together: an int of at least 20, or a float below 1 for a
        fraction of the plan. A larger budget makes longer runs, which helps on most tasks, but not with noisy labels.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.

    Other Args:
      evaluation: a `lrax.Evaluation` of the state on data that are not trained on. It replaces the losses of the short runs
        and is measured after their last step; on the ramp it is measured every 10 steps by default.
      groups: patterns, as in `lrax.by_path`, such as `("encoder", "head")`: a parameter belongs to the first that is found in
        its path. Each gets a multiple of the learning rate, `found.groups`, found together by short runs within the budget and
        checked against one common learning rate; a multiple that is not significant is 1. Give a budget of 1,000 or more.
      compare: another learner of the same loss, whose optimizer needs no learning rate, such as `optax.contrib.prodigy`. After
        the search it is trained from 1 straight down to 0 over the steps of the longest short run, and so is your plan at
        the peak that was found: 2 runs in addition to the budget. `found.comparison` has both ends.
      transform: a function of every batch: called on the host with the batches of an iterable (`jax.device_put`, say), inside
        the compiled program otherwise.
      accumulate: batches to one optimizer step, for learners that accumulate gradients (`optax.MultiSteps`); the learning rate
        changes once a step, and the loss is the mean over its batches.
      loop: `"scan"` runs all steps in one program, `"python"` calls the compiled step from Python, which is faster for
        convolutions on the CPU. The default depends on the data and the platform; the answer is the same.
      progress: shows a progress bar (needs tqdm).

    Returns: a `lrax.FinderResult`: `found.peak`, `found.schedule` at that peak, `found.interval`, `found.plot()`. `found.peak`
      is None where the test does not support one, and `found.explanation` says why.

    Raises: TypeError or ValueError for data, a schedule or a step function that cannot be used, before anything runs. An
      interrupt has the result so far as its attribute `found`.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> found = find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0), total_steps=500)
    >>> print(f"{found.peak:.1f}: {found.schedule}")
    1.2: warmup_cosine(peak=1.24, warmup_steps=0.1, total_steps=500)
    """
    check_learner("find_lr", learner, key)
    given = schedule is not None
    if schedule is None:  # its length is known, and not read, which would be one more program
        total_steps = STEPS if total_steps is None else whole_number("find_lr", "total_steps", total_steps)
        schedule = warmup_cosine(peak=1.0, total_steps=total_steps, warmup_steps=0.1)
    its = plan_of("find_lr", "schedule", schedule, total_steps, otherwise=STEPS)
    if given:
        its.warn_of_mistakes("find_lr", stacklevel=3)
    steps = _budget(budget, its.steps)
    execution = execution_of("find_lr", loop, progress)
    source = Source(data, key, batch_size, transform, accumulate)
    if compare is not None:
        _check_compare(compare, key)
    patterns = None if groups is None else _checked_groups(groups)
    found = Search(learner, source, its, steps, execution, with_every(evaluation, EVERY), progress, compare, patterns).run()
    for text in found.doubts():
        warnings.warn(f"find_lr: {text}", stacklevel=3)
    return found


def _check_compare(compare: object, key: object) -> None:
    if not isinstance(compare, Learner):
        remedy = "make it as lrax.Learner.create(loss_fn, params, optax.contrib.prodigy)"
        raise argument_error(TypeError, "find_lr", "compare", "a lrax.Learner", compare, remedy)
    check_learner("find_lr", compare, key)


def _budget(budget: int | float, total_steps: int) -> int:
    """The steps of a search."""
    if isinstance(budget, float) and 0 < budget < 1:
        return max(math.ceil(budget * total_steps), FEWEST_STEPS)
    remedy = "give an int such as 300, or a float below 1 for a fraction of the plan"
    if isinstance(budget, bool) or not isinstance(budget, int | np.integer):
        raise argument_error(TypeError, "find_lr", "budget", "a number of steps or a fraction of the plan", budget, remedy)
    if budget < FEWEST_STEPS:
        raise argument_error(ValueError, "find_lr", "budget", f"at least {FEWEST_STEPS} steps", budget, remedy)
    return int(budget)


Factors: TypeAlias = npt.NDArray[np.floating]
"""What the learning rates of all parts are multiplied with, shape (parts,)."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """Learning rates one after the other, as a schedule: ramps and runs of all shapes share one program."""

    rates: npt.NDArray[np.float32]

    def __call__(self, count: jax.Array) -> jax.Array:
        return jnp.asarray(self.rates)[jnp.minimum(count, self.rates.shape[0] - 1)]


@dataclasses.dataclass(frozen=True)
class Search:
    """One search: its learner and data, the plan, and the budget of steps."""

    learner: Learner
    source: Source
    plan: Plan
    budget: int
    execution: Execution
    evaluation: Evaluation | None
    progress: bool
    compare: Learner | None = None
    groups: tuple[str, ...] | None = None

    def run(self) -> FinderResult:
        """The ramp, the short runs, and what they amount to; and the same for groups of parameters."""
        learner, evaluation, has_rest = self.learner, self.evaluation, True
        if self.groups is not None:
            learner, has_rest = in_groups("find_lr", learner, self.groups)
            least = math.ceil(FEWEST_RUN * evaluations_for(len(self.groups) + has_rest) / SHARES[1] / 10) * 10
            if self.budget < least:
                raise argument_error(ValueError, "find_lr", "budget", f"at least {least} steps for these groups", self.budget)
            metric = None if evaluation is None else evaluation.metric
            if metric is not None and evaluation is not None:
                evaluation = Evaluation(lambda state: metric(state.inner), evaluation.every, evaluation.goal)
        with progress_bar(self.budget * self.source.accumulate, "find_lr", "batch", self.progress) as show:
            trainer = make_trainer(
                "find_lr",
                [learner],
                self.source,
                capacity=self.budget,
                execution=self.execution,
                evaluation=evaluation,
                report=show,
            )
            invariant = scale_invariant(learner)
            partial = FinderResult(
                peak=None,
                interval=None,
                plan=self.plan.schedule,
                total_steps=self.plan.steps,
                reason=Reason.INTERRUPTED,
                curves=(),
                scale_invariant=invariant,
                budget=self.budget,
                evaluated=self.evaluation is not None,
            )
            short = ShortRuns(trainer, self.plan, trainer.order(self.source.key), POWERS[invariant], has_rest)
            try:
                common = self.budget if self.groups is None else int(SHARES[0] * self.budget)
                ramp = short.ramp(ramp_steps(common))
                partial = dataclasses.replace(partial, curves=(ramp,))
                partial = self.concluded(short, partial, common)
                if self.groups is not None and partial.peak is not None:
                    partial = GroupSearch(self, short, self.groups).run(partial)
                if self.compare is None or partial.peak is None:
                    return partial
                return self._compared(self.compare, short, partial, show)
            except Interrupted as interrupt:
                if not partial.curves:
                    partial = dataclasses.replace(partial, curves=(curve_from(trainer, interrupt.runs[0], Reason.INTERRUPTED),))
                interrupt.found = dataclasses.replace(partial, runs=short.runs())
                raise

    def concluded(self, short: "ShortRuns", partial: FinderResult, budget: int) -> FinderResult:
        """The result of the short runs that follow a ramp, if its loss shows where to make them; and of those made before."""
        (ramp,), trainer = partial.curves, short.trainer
        peak, interval, reason = None, None, ramp.reason
        # short runs are judged by the metric, where there is one: then the ramp is read by it, too
        rates, losses = ramp.extended("losses" if self.evaluation is None else "evaluations")
        if reason is not Reason.DATA_ENDED and not trainer.notes.fault and len(ramp.paired()[0]) > FEWEST:
            budget, known = budget + len(rates) - len(ramp.losses), short.known()
            answer = find_peak(rates, losses, budget, self.plan.steps, short, partial.scale_invariant, known=known)
            if short.data_ended:
                reason = Reason.DATA_ENDED
            elif math.isfinite(answer.peak) and self._is_supported(ramp, short.runs()):
                peak = float(f"{answer.peak:.3g}")  # so that it is printed everywhere as the number that it is
                interval = answer.low, answer.high
        if peak is None and reason is Reason.COMPLETED:
            reason = Reason.TOO_SHORT if len(ramp.losses) <= FEWEST else Reason.FLAT
        runs = NO_RUNS if short.data_ended else short.runs()
        notes = dataclasses.asdict(trainer.notes)
        return dataclasses.replace(partial, peak=peak, interval=interval, reason=reason, runs=runs, **notes)

    def _compared(self, learner: Learner, short: "ShortRuns", found: FinderResult, show: Callable[[int], None]) -> FinderResult:
        """The result, and in it how the plan at its peak and the learner without a learning rate train over the same steps."""
        steps, peak = int(found.runs.steps.max()), float(found)
        trainer = make_trainer(
            "find_lr",
            [learner],
            self.source,
            capacity=steps,
            execution=self.execution,
            evaluation=self.evaluation,
            report=show,
        )
        down = plan_of("find_lr", "schedule", Linear(1.0, 0.0, steps), steps)
        other = ShortRuns(trainer, down, trainer.order(self.source.key), 0.0)
        factors = np.array([1.0, *found.groups.values()], np.float32)
        if self.groups is None:
            (own,) = short([peak * (self.plan.steps / steps) ** short.power], steps)
        else:
            (own,) = short.with_factors(peak, steps, [factors], None)
        (its,) = other([1.0], steps)
        comparison = None if short.data_ended or other.data_ended else Comparison(steps, own, its, other.runs().steps_run)
        groups = found.group_runs and dataclasses.replace(found.group_runs, steps_run=short.steps_with_factors)
        return dataclasses.replace(found, runs=short.runs(), comparison=comparison, group_runs=groups)

    def _is_supported(self, ramp: Curve, runs: Runs) -> bool:
        """Whether runs did not all diverge, and the loss drops by more than its noise on the ramp or in a run."""
        first = ramp.losses[: int(LATE.min_steps)]
        limit = LATE.from_losses(first[np.isfinite(first)]).limit
        base, noise = start_level(*ramp.paired())
        lowest = runs.losses.min(initial=np.inf)
        return bool(lowest <= limit and (np.isfinite(center(*ramp.extended())) or lowest < base - noise))


class ShortRuns:
    """Trains whole schedules of a plan's shape for a search, and records them. Runs and ramp are one program, in turn.

    Attributes:
      trainer: trains.
      plan: whose shape they have.
      order: what all their batches are drawn by.
      power: best peaks fall with the length to this power.
      data_ended: whether the data ended in one of them.
      steps_with_factors: the steps of runs with factors that differ.
      has_rest: whether there are parameters outside the groups.
    """

    def __init__(self, trainer: Trainer, plan: Plan, order: object, power: float, has_rest: bool = True):
        self.trainer, self.plan, self.order, self.power, self.has_rest = trainer, plan, order, power, has_rest
        self.data_ended, self.steps_with_factors = False, 0
        self._done: list[tuple[float, int, float, float, int]] = []

    def ramp(self, steps: int) -> Curve:
        """The curve of the ramp."""
        run = run_ramp(self.trainer, self._start(np.geomspace(LOWEST, HIGHEST, steps), LATE), steps)
        return curve_from(self.trainer, run, Reason.COMPLETED)

    def __call__(self, peaks: Sequence[float], steps: int) -> list[float]:
        """The scores of runs of `steps` with these peaks."""
        shape = self.plan.squeezed(steps)
        # A run whose loss is not finite stops; no other, for a spike at the peak says little about the end. A stop rule
        # without a limit never stops; it is of the class of the ramp's, so that both share one program.
        starts = [self._start(peak * shape, TimesMedian()) for peak in peaks]
        found = self.train(starts, steps, side_by_side=self.trainer.reads_on)
        for peak, (loss, score, made) in zip(peaks, found, strict=True):
            self._done.append((peak * (steps / self.plan.steps) ** self.power, steps, loss, score, made))
        return [score for _, score, _ in found]

    def with_factors(self, peak: float, steps: int, factors: Sequence[Factors], order: object, width: int = 1) -> list[float]:
        """The scores of runs of `steps` at a peak of the plan, each with its factors for the groups.

        Args:
          width: how many are trained side by side, by one program; 1 for one after the other.
        """
        shape = self.plan.squeezed(steps) * peak * (self.plan.steps / steps) ** self.power
        state, trainer = self.trainer.states[0], self.trainer
        starts = [self._start(shape, TimesMedian(), state._replace(factors=one), order) for one in factors]
        if width > 1 and not trainer.python:
            starts += starts[-1:] * (width - len(starts))
        found = self.train(starts, steps, side_by_side=width > 1 or trainer.reads_on)[: len(factors)]
        for one, (loss, score, made) in zip(factors, found, strict=True):
            if (one[-1] == one[1 - self.has_rest :]).all():  # one learning rate for all parameters
                self._done.append((peak * float(one[-1]), steps, loss, score, made))
            else:
                self.steps_with_factors += made
        return [score for _, score, _ in found]

    def train(self, starts: list[Run], steps: int, side_by_side: bool) -> list[tuple[float, float, int]]:
        """The end losses of runs, their scores, and the steps that they made."""
        trainer = self.trainer.evaluated_at_end()
        runs = trainer.train(starts, steps) if side_by_side else [run for one in starts for run in trainer.train([one], steps)]
        found = []
        for run in runs:
            loss, score = (run.end_loss(TAIL), trainer.score(run, TAIL)) if run.why is None else (math.inf, math.inf)
            self.data_ended |= run.why is Reason.DATA_ENDED
            found.append((loss, score, int(run.steps)))
        return found

    def known(self) -> list[ShortRun]:
        """The runs that were made at one learning rate for all parameters, as the search for a peak knows them."""
        return [ShortRun(at * (self.plan.steps / steps) ** self.power, steps, score) for at, steps, _, score, _ in self._done]

    def runs(self) -> Runs:
        """The runs that were made at one learning rate for all parameters, by rising peaks."""
        if not self._done:
            return NO_RUNS
        peaks, steps, losses, scores, made = zip(*sorted(self._done), strict=True)
        lengths = np.array(steps, np.int32)
        return Runs(np.array(peaks, np.float32), lengths, np.array(losses, np.float32), np.array(scores, np.float32), sum(made))

    def _start(self, rates: npt.NDArray[np.floating], stop: TimesMedian, state: PyTree = None, order: PyTree = None) -> Run:
        padded = np.pad(np.asarray(rates, np.float32), (0, self.trainer.capacity - len(rates)), mode="edge")
        order = self.order if order is None else order
        return self.trainer.start(Rates(padded), state=state, smoothing=RunningMean(), stop=stop, order=order)


@dataclasses.dataclass
class GroupSearch:
    """The search for multiples of a peak, one for each group of parameters, after that for the peak.

    Attributes:
      search: the whole.
      short: trains runs.
      patterns: of the groups.
      best: the best point so far and its score.
    """

    search: Search
    short: ShortRuns
    patterns: tuple[str, ...]
    best: tuple[Point, float] | None = None

    @property
    def parts(self) -> int:
        """The length of a point: the groups, and the parameters outside them if there are any."""
        return len(self.patterns) + self.short.has_rest

    def run(self, found: FinderResult) -> FinderResult:
        """The result with multiples, all 1 if the check does not confirm them."""
        assert found.peak is not None
        planned = int(SHARES[1] * self.search.budget)
        steps = min(planned // evaluations_for(self.parts), self.search.plan.steps)
        evaluations = planned // steps
        if self.short.trainer.reads_on:  # each round has the best point again
            evaluations = max(evaluations * (self.parts + 1) // (self.parts + 2), 3)
        pattern = search(functools.partial(self._scores, found.peak, steps), self.parts, evaluations)
        common = pattern.common()
        tried: Factors = np.array(pattern.refined()) - common
        tried[np.abs(tried) < LEAST] = 0
        scores = np.array(list(pattern.scores.values()), np.float32)
        points = np.stack([self.factors(point) for point in pattern.scores])
        made = GroupRuns(points, scores, steps, dict(zip(self.patterns, self.relative(tried)[1], strict=True)))
        if tried.any():
            left = self.search.budget - found.steps_run - steps * len(scores)
            tried, made = self._checked(found.peak, common, tried, left, made)
        ratio, multiples = self.relative(tried)
        found = self.search.concluded(self.short, found, 0)  # by all runs at one learning rate
        made = dataclasses.replace(made, steps_run=self.short.steps_with_factors)
        groups = dict(zip(self.patterns, multiples, strict=True))
        if found.peak is None or found.interval is None:
            return found
        interval = found.interval[0] * ratio, found.interval[1] * ratio
        peak = float(f"{found.peak * ratio:.3g}")
        return dataclasses.replace(found, peak=peak, interval=interval, groups=groups, group_runs=made)

    def _scores(self, peak: float, steps: int, points: Sequence[Point]) -> list[float]:
        """The scores of points. Those of an iterable, whose batches are others in every round, are relative to the best."""
        again = [self.best] if self.best is not None and self.short.trainer.reads_on else []
        factors = [self.factors(point) for point in [*(point for point, _ in again), *points]]
        scores = self.short.with_factors(peak, steps, factors, None, width=self.parts + 1)
        for _, score in again:
            shift = score - scores.pop(0)
            scores = [one + shift if math.isfinite(shift) else one for one in scores]
        self.best = min(
            [*([] if self.best is None else [self.best]), *zip(points, scores, strict=True)], key=lambda one: one[1]
        )
        return scores

    def _checked(self, peak: float, common: float, tried: Factors, left: int, made: GroupRuns) -> tuple[Factors, GroupRuns]:
        """The multiples that runs on other orders of batches confirm."""
        moved = np.flatnonzero(tried)
        others = [np.where(np.arange(len(tried)) == i, 0, tried) for i in moved] if len(moved) > 1 else []
        steps = max(1, min(left // (2 * ORDERS + len(others)), self.search.plan.steps))
        trainer, key = self.short.trainer, self.search.source.key
        scores = []
        for number in range(ORDERS):
            order = None if key is None or trainer.reads_on else trainer.order(jax.random.fold_in(key, number + 1))
            points = [np.zeros_like(tried), tried, *(others if number == 0 else [])]
            scores.append(self.short.with_factors(peak * 2**common, steps, [self.factors(one) for one in points], order))
        if not np.isfinite(np.concatenate(scores)).all():
            return np.zeros_like(tried), dataclasses.replace(made, check_steps=steps, difference=-math.inf)
        gains = np.array([one[0] - one[1] for one in scores])
        scatter = float(np.std(gains, ddof=1))
        made = dataclasses.replace(made, check_steps=steps, difference=float(gains.mean()), noise=scatter / ORDERS**0.5)
        if not made.difference > CLEAR * made.noise:
            return np.zeros_like(tried), made
        losses = np.array(scores[0][2:]) - scores[0][1]
        idle = [moved[i] for i in np.argsort(losses)[:-1] if not losses[i] > CLEAR * scatter]
        return np.where(np.isin(np.arange(len(tried)), idle), 0, tried), made

    def factors(self, point: Sequence[float] | Factors) -> Factors:
        """The factors of a state of `in_groups`."""
        return np.concatenate([np.ones(1 - self.short.has_rest), 2.0 ** np.asarray(point)]).astype(np.float32)

    def relative(self, point: Factors) -> tuple[float, list[float]]:
        """A point as a multiple of the peak, which the parameters outside the groups have, and those of the groups over it."""
        first, *others = self.factors(point).tolist()
        return first, [float(f"{one / first:.2g}") for one in others]


def _checked_groups(groups: object) -> tuple[str, ...]:
    if not isinstance(groups, Sequence) or isinstance(groups, str) or not groups or len(set(groups)) < len(groups):
        needs = 'different regular expressions, such as ("encoder", "head")'
        raise argument_error(TypeError, "find_lr", "groups", needs, groups)
    return tuple(groups)
