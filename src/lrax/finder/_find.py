"""`find_lr`: the peak learning rate for the schedule that will be trained, within a budget of steps."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_call
from lrax.fields._rules import whole_number
from lrax.finder._curve import Curve
from lrax.finder._policy import POWERS, find_peak, ramp_steps
from lrax.finder._range_test import EVERY, curve_from, execution_of, run_ramp, with_every
from lrax.finder._rescale import Plan, plan_of
from lrax.finder._result import NO_RUNS, Comparison, FinderResult, Runs
from lrax.finder._rules import FEWEST, center, start_level
from lrax.finder._stop import RunningMean, TimesMedian
from lrax.schedules._base import RateFunction
from lrax.schedules._phases import Linear
from lrax.schedules._recipes import warmup_cosine
from lrax.training._core import Reason, Run
from lrax.training._driver import Execution, Interrupted, Source, Trainer, make_trainer
from lrax.training._evaluating import Evaluation
from lrax.training._learner import Learner
from lrax.training._probes import in_group, scale_invariant
from lrax.training._progress import progress_bar
from lrax.training._steps import check_learner

STEPS, BUDGET, FEWEST_STEPS = 1_000, 500, 20
"""The steps of a plan that has no length; the budget by default, and the smallest one."""

LOWEST, HIGHEST = 1e-7, 100.0
"""The ends of the ramp."""

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
    frozen_lr: float = 0.0,
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
        fraction of the plan. More are better, up to a tenth of the plan.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.

    Other Args:
      evaluation: a `lrax.Evaluation` of the state on data that are not trained on. It replaces the losses of the short runs
        and is measured after their last step; on the ramp it is measured every 10 steps by default.
      groups: patterns, as in `lrax.by_path`, such as `("encoder", "head")`: a parameter belongs to the first that is found in
        its path. After the search for all parameters, each group is searched with the others frozen; see `found.groups`.
      frozen_lr: learning rate of the frozen parameters; by default they stay as they are.
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
    if schedule is None:  # its length is known, and not read, which would be one more program
        total_steps = STEPS if total_steps is None else whole_number("find_lr", "total_steps", total_steps)
        schedule = warmup_cosine(peak=1.0, total_steps=total_steps, warmup_steps=0.1)
    its = plan_of("find_lr", "schedule", schedule, total_steps, otherwise=STEPS)
    steps = _budget(budget, its.steps)
    execution = execution_of("find_lr", loop, progress)
    source = Source(data, key, batch_size, transform, accumulate)
    if compare is not None:
        _check_compare(compare, key)
    one = Search(learner, source, its, steps, execution, with_every(evaluation, EVERY), progress, compare)
    found = one.run() if groups is None else _with_groups(one, _checked_groups(groups, frozen_lr), float(frozen_lr))
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

    def run(self) -> FinderResult:
        """The ramp, the short runs, and what they amount to."""
        with progress_bar(self.budget * self.source.accumulate, "find_lr", "batch", self.progress) as show:
            trainer = make_trainer(
                "find_lr",
                [self.learner],
                self.source,
                capacity=self.budget,
                execution=self.execution,
                evaluation=self.evaluation,
                report=show,
            )
            invariant = scale_invariant(self.learner)
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
            short = ShortRuns(trainer, self.plan, trainer.order(self.source.key), POWERS[invariant])
            try:
                ramp = short.ramp(ramp_steps(self.budget))
                partial = dataclasses.replace(partial, curves=(ramp,))
                partial = self._concluded(short, partial)
                if self.compare is None or partial.peak is None:
                    return partial
                return self._compared(self.compare, short, partial, show)
            except Interrupted as interrupt:
                if not partial.curves:
                    partial = dataclasses.replace(partial, curves=(curve_from(trainer, interrupt.runs[0], Reason.INTERRUPTED),))
                interrupt.found = dataclasses.replace(partial, runs=short.runs())
                raise

    def _concluded(self, short: "ShortRuns", partial: FinderResult) -> FinderResult:
        """The result of the short runs that follow a ramp, if its loss shows where to make them."""
        (ramp,), trainer = partial.curves, short.trainer
        peak, interval, reason = None, None, ramp.reason
        # short runs are judged by the metric, where there is one: then the ramp is read by it, too
        rates, losses = ramp.extended("losses" if self.evaluation is None else "evaluations")
        if reason is not Reason.DATA_ENDED and not trainer.notes.fault and len(ramp.paired()[0]) > FEWEST:
            answer = find_peak(
                rates, losses, self.budget + len(rates) - len(ramp.losses), self.plan.steps, short, partial.scale_invariant
            )
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
        (own,), (its,) = short([peak * (self.plan.steps / steps) ** short.power], steps), other([1.0], steps)
        comparison = None if short.data_ended or other.data_ended else Comparison(steps, own, its, other.runs().steps_run)
        return dataclasses.replace(found, runs=short.runs(), comparison=comparison)

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
    """

    def __init__(self, trainer: Trainer, plan: Plan, order: object, power: float):
        self.trainer, self.plan, self.order, self.power = trainer, plan, order, power
        self.data_ended = False
        self._done: list[tuple[float, int, float, float, int]] = []

    def ramp(self, steps: int) -> Curve:
        """The curve of the ramp."""
        run = run_ramp(self.trainer, self._start(np.geomspace(LOWEST, HIGHEST, steps), LATE), steps)
        return curve_from(self.trainer, run, Reason.COMPLETED)

    def __call__(self, peaks: Sequence[float], steps: int) -> list[float]:
        """The scores of runs of `steps` with these peaks."""
        shape, trainer = self.plan.squeezed(steps), self.trainer
        # A run whose loss is not finite stops; no other, for a spike at the peak says little about the end. A stop rule
        # without a limit never stops; it is of the class of the ramp's, so that both share one program.
        starts = [self._start(peak * shape, TimesMedian()) for peak in peaks]
        trainer = trainer.evaluated_at_end()
        runs = (
            trainer.train(starts, steps) if trainer.reads_on else [run for one in starts for run in trainer.train([one], steps)]
        )
        scores = []
        for peak, run in zip(peaks, runs, strict=True):
            loss = run.end_loss(TAIL) if run.why is None else math.inf
            score = loss if trainer.evaluator is None or math.isinf(loss) else trainer.evaluator.score(run.end_metric(TAIL))
            scores.append(score)
            self.data_ended |= run.why is Reason.DATA_ENDED
            stands_for = peak * (steps / self.plan.steps) ** self.power
            self._done.append((stands_for, steps, loss, score, int(run.steps)))
        return scores

    def runs(self) -> Runs:
        """The runs that were made, by rising peaks."""
        if not self._done:
            return NO_RUNS
        peaks, steps, losses, scores, made = zip(*sorted(self._done), strict=True)
        lengths = np.array(steps, np.int32)
        return Runs(np.array(peaks, np.float32), lengths, np.array(losses, np.float32), np.array(scores, np.float32), sum(made))

    def _start(self, rates: npt.NDArray[np.floating], stop: TimesMedian) -> Run:
        padded = np.pad(np.asarray(rates, np.float32), (0, self.trainer.capacity - len(rates)), mode="edge")
        return self.trainer.start(Rates(padded), smoothing=RunningMean(), stop=stop, order=self.order)


def _checked_groups(groups: object, frozen_lr: object) -> tuple[str, ...]:
    if not isinstance(groups, Sequence) or isinstance(groups, str) or not groups or len(set(groups)) < len(groups):
        needs = 'different regular expressions, such as ("encoder", "head")'
        raise argument_error(TypeError, "find_lr", "groups", needs, groups)
    if not isinstance(frozen_lr, int | float) or not 0 <= frozen_lr < math.inf:
        raise argument_error(ValueError, "find_lr", "frozen_lr", "a finite learning rate of at least 0", frozen_lr)
    return tuple(groups)


def _with_groups(one: Search, patterns: tuple[str, ...], frozen_lr: float) -> FinderResult:
    """The result of a search for all parameters, and in it those of each group."""
    learners = [in_group("find_lr", one.learner, patterns, i, frozen_lr) for i in range(len(patterns))]  # checked before a run
    found, done = one.run(), dict[str, FinderResult]()
    evaluation = one.evaluation
    if evaluation is not None:
        metric = evaluation.metric
        evaluation = Evaluation(lambda state: metric(state.inner), evaluation.every, evaluation.goal)
    try:
        for pattern, learner in zip(patterns, learners, strict=True):
            done[pattern] = dataclasses.replace(one, learner=learner, evaluation=evaluation).run()
    except Interrupted as interrupt:
        interrupt.found = dataclasses.replace(found, groups=done)
        raise
    return dataclasses.replace(found, groups=done)
