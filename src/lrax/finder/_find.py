"""The range test: train while the rate climbs, and read a rate off the curve."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_call, check_whole
from lrax.finder._by_group import check_groups, with_groups
from lrax.finder._conclude import found_in
from lrax.finder._curve import Curve, SuggestionRule, curve_of
from lrax.finder._fall import fall
from lrax.finder._heights import rates_of
from lrax.finder._named import check_rule
from lrax.finder._range_test import EVERY, Rule
from lrax.finder._result import FinderResult
from lrax.finder._rules import make_rules
from lrax.finder._runs import Rates, Start
from lrax.finder._search import RAMP, SHORT, Search
from lrax.finder._stop import TimesUsual
from lrax.schedules._base import ScheduleRule
from lrax.schedules._decays import Constant
from lrax.schedules._phases import Geometric
from lrax.training._core import Reason, Run, start
from lrax.training._driver import Execution, Interrupted, Source, make_trainer
from lrax.training._evaluating import WRONG, Evaluation
from lrax.training._learner import Learner
from lrax.training._probes import scale_invariant
from lrax.training._progress import progress_bar
from lrax.training._steps import check_learner

LOWEST, HIGHEST = 1e-7, 100.0
"""The ends of the default ramp."""

BUDGET = 450
"""The updates that `refine=True` may take."""

LATE = TimesUsual(factor=10.0)
"""The default stop rule stops late, because losses beyond the edge help to find it."""


@check_call
def find_lr(
    learner: Learner,
    data: Any,
    *,
    key: jax.Array | None = None,
    batch_size: int | None = None,
    ramp: Any = None,
    updates: int | None = None,
    rule: SuggestionRule | None = None,
    smoothing: Rule | None = None,
    stop: Rule | None = LATE,
    seeds: int = 1,
    initialize: Callable[[jax.Array], Learner] | None = None,
    refine: bool | int = False,
    plan: Any = None,
    transform: Callable[[Any], Any] | None = None,
    accumulate: int = 1,
    loop: Literal["scan", "python"] | None = None,
    donate: bool = False,
    progress: bool = False,
    evaluate: Callable[[Any], Any] | None = None,
    every: int | None = None,
    mode: Literal["min", "max"] = "min",
    groups: Sequence[str] | None = None,
    held: float = 0.0,
) -> FinderResult:
    """Trains while the rate climbs and suggests a rate: the learning-rate range test.

    Nothing is touched: the learner's state is bit for bit what it was, and nothing is written.

    By default a ramp of 100 updates from 1e-7 to 100 finds the decade in which the loss falls, and four short runs of 50
    updates around it, all from the learner's state, find which rate trains best: each is a whole schedule, warm-up and descent,
    because the best height of one that goes down to 0 hardly depends on how long it takes. With a `ramp`, a `rule` or `updates`
    of your own, and with `donate`, the ramp alone is run.

    Args:
      learner: a state and its update; `lrax.Learner.create`, or `lrax.flax` for Flax models.
      data: a pytree of arrays with a common leading axis, with `batch_size`; or a sampler `key -> batch`; or a Python iterable
        of batches, which is iterated again when it ends before the ramp does. Its batches may differ in shape and dtype: each
        of at most 32 shapes compiles a program. The last batch of a pass is left out if it has fewer examples than the
        first and is the same otherwise.
      key: random key that draws the batches; needed for arrays and samplers.
      batch_size: examples in a batch, for arrays. They are drawn without replacement, epoch after epoch; the last
        partial batch of an epoch is dropped, and a batch is never larger than the data.
      ramp: schedule of the rates, one an update, such as `lrax.Geometric(1e-6, 10.0, 169)`.
      updates: length of the test, an int; by default the ramp's length plus one, so that its end is reached. The default ramp
        is fitted to it.
      rule: `(rates, losses) -> rate`, such as `lrax.finder.steepest` or `lrax.finder.valley`; by default `lrax.finder.fall`.
      smoothing: count -> weight of the new loss in the smoothed one that the stop rule sees; by default a running mean with 0.3
        on the past.
      stop: run -> bool; by default where the smoothed loss passes ten times the usual loss of the start (the median of the
        ramp's first 20 losses; higher if these scatter more than that), after at least 20 steps. None for a test that
        runs to the ramp's end. A loss that is not finite always stops it.
      seeds: how many tests to run, on batches in other orders, side by side where that is faster; the suggestion is their
        median, and the band is wider where they disagree.
      initialize: `key -> learner`, to draw new parameters for every seed.
      refine: checks the suggestion by four longer runs closer around it, and takes the best: True for 450 updates, or how many
        updates they may take together, at least 100. More are better, up to a few hundred for each run.
      plan: the schedule that you are going to train with, of any height and length; the short runs have its shape. By default
        they are a cosine after a warm-up of a tenth. `found.schedule(plan)` is the plan at its best height.
      transform: a function of every batch: called on the host with the batches of an iterable (`jax.device_put`, say), inside
        the compiled program otherwise.
      accumulate: batches to one optimizer update, for learners that accumulate gradients (`optax.MultiSteps`); the ramp moves
        once an update, and the loss is the mean over its batches. The counts of `optax.MultiSteps` are checked for it, once,
        from the learner's state.
      loop: `"scan"` runs all updates in one program, `"python"` calls the compiled update from Python, which is faster for
        convolutions on the CPU. By default what suits the data and the platform; the curve is the same.
      donate: gives the memory of the learner's state away, for models that fit only once: one ramp is run, and the state cannot
        be used afterwards.
      progress: shows a progress bar (needs tqdm); run from the host.
      evaluate: a pure function `(state) -> metric`, one real number in `jnp`, of data that are not trained on. It is kept and
        drawn beside the losses, rules read it with `found.suggest(rule, of="evaluations")`, and it judges the short runs.
      every: updates from one evaluation to the next, by default 10; a ramp's last update is followed by one in any case.
      mode: `"min"` where a smaller metric is better, `"max"` for an accuracy.
      groups: patterns, as in `lrax.by_path`, such as `("encoder", "head")`: a parameter belongs to the first that is found in
        its path. After the test of all parameters comes one for each group, the others held; `found.groups` has them.
      held: the rate of the others; by default they stay as they are.

    Returns: the curves, why the test ended, and a suggestion, or None where the curves do not support one.

    Raises: TypeError or ValueError for data, a ramp or an update that cannot be used, before anything runs. An interrupt comes
      through with the result so far as its attribute `found`.

    >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
    >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    >>> found = find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))
    >>> print(f"{found.suggestion:.1f} by a ramp that {found.reason} and {len(found.runs[0].peaks)} short runs")
    0.9 by a ramp that diverged and 4 short runs
    """
    if groups is not None:
        check_groups(groups, held, donate)
        options = {"ramp": ramp, "updates": updates, "rule": rule, "smoothing": smoothing, "stop": stop, "seeds": seeds}
        options |= {"key": key, "batch_size": batch_size, "refine": refine, "transform": transform, "accumulate": accumulate}
        options |= {"loop": loop, "progress": progress, "every": every, "mode": mode, "plan": plan}
        one = functools.partial(find_lr, data=data, **options)
        return with_groups(one, learner, groups, held, initialize, evaluate)
    progressed = Progressed()
    if every is not None and evaluate is None:
        raise argument_error(ValueError, "find_lr", "every", "left out where nothing is evaluated", every)
    try:
        evaluation = None if evaluate is None else Evaluation(evaluate, EVERY if every is None else every, mode)
        runs = ramp is None and rule is None and updates is None and not donate
        check_finder(seeds, accumulate, rule, refine, loop, donate, progress)
        if updates is not None:
            check_whole("find_lr", "updates", updates)
        budget = BUDGET if refine is True else int(refine)
        planned = None if plan is None else rates_of("find_lr", "plan", ScheduleRule().convert("find_lr", "plan", plan), None)
        length = RAMP if runs else 250 if updates is None else updates
        fitted = Geometric(LOWEST, HIGHEST, max(length - 1, 1)) if ramp is None else ramp
        rules, length = make_rules("find_lr", fitted, updates, smoothing, stop, known_to_rise=ramp is None)
        search = Search(rules, length, fall if rule is None else rule, runs, budget, planned)
        if runs:  # as plain rates, so that one program runs ramps and runs of any shape
            rates = np.geomspace(LOWEST, HIGHEST, RAMP)
            search = dataclasses.replace(search, rules=rules._replace(schedule=Rates.of(rates, search.room)))
        progressed.search = search
        learners, keys = seeded(learner, key, seeds, initialize)
        with progress_bar(search.updates(seeds) * accumulate, "range test", "batch", progress) as show:
            trainer = make_trainer(
                "find_lr",
                learners,
                Source(data, keys[0], batch_size, transform, accumulate),
                capacity=search.room,
                execution=Execution("python" if progress and loop is None else loop, donate=donate),
                evaluation=evaluation,
                report=show,
            )
            invariant = scale_invariant(learners[0])
            progressed.search = search = dataclasses.replace(search, grows=None if invariant is None else not invariant)
            starts = [Start(state, trainer.order(its)) for state, its in zip(trainer.states, keys, strict=True)]
            again = starts[0]
            if budget and keys[0] is not None:
                again = again._replace(order=trainer.order(jax.random.fold_in(keys[0], 2)))
            progressed.found = search.run(trainer, starts, again, progressed.ended)
            if progressed.found.explanation.endswith(WRONG[mode]):
                warnings.warn(f"find_lr: {WRONG[mode]}", stacklevel=3)
            return progressed.found
    except KeyboardInterrupt as interrupt:
        last = interrupt.runs if isinstance(interrupt, Interrupted) else []
        partial = Interrupted(last, progressed.result(last))
        partial.add_note("lrax: the result so far is this exception's attribute `found`")
        raise partial from interrupt


@dataclasses.dataclass
class Progressed:
    """How far a search has come, for who interrupts it.

    Attributes:
      search: what is being done, once that is known.
      ended: the curves of the ramps, once they have ended.
      found: the result, once it is there.
    """

    search: Search | None = None
    ended: list[Curve] = dataclasses.field(default_factory=list)
    found: FinderResult | None = None

    def result(self, runs: Sequence[Run]) -> FinderResult:
        """What is known so far: the ramps if they have ended, or the curve that was being measured."""
        if self.found is not None:
            return self.found
        grows = None if self.search is None else self.search.grows
        if self.ended and self.search is not None:
            found = found_in(self.ended, [self.search.suggest(one) for one in self.ended])
            return dataclasses.replace(found, reason=Reason.INTERRUPTED, grows=grows)
        run = runs[0] if runs else start((), Constant(0.0))
        curve = curve_of(run, Reason.INTERRUPTED)
        found = found_in([curve], [None if self.search is None else self.search.suggest(curve)])
        return dataclasses.replace(found, grows=grows)


def check_finder(
    seeds: int,
    accumulate: int,
    rule: SuggestionRule | None,
    refine: bool | int,
    loop: str | None,
    donate: bool,
    progress: bool,
) -> None:
    """Raises for arguments that cannot be used, or not together."""
    check_whole("find_lr", "seeds", seeds)
    check_whole("find_lr", "accumulate", accumulate)
    if donate and (seeds > 1 or refine):
        remedy = "each needs the state again"
        raise argument_error(ValueError, "find_lr", "donate", "False with several seeds or refine", donate, remedy)
    if rule is not None:
        check_rule("find_lr", rule)
    if not isinstance(refine, bool):
        check_whole("find_lr", "refine", refine)
        if refine < 2 * SHORT:
            remedy = "give True for 450, or more: the longer the runs, the better"
            raise argument_error(ValueError, "find_lr", "refine", f"at least {2 * SHORT} updates for four runs", refine, remedy)
    if progress and loop == "scan":
        remedy = "leave it out: a bar is moved from the host"
        raise argument_error(ValueError, "find_lr", "loop", "'python' where `progress` is shown", loop, remedy)


def seeded(
    learner: Learner, key: jax.Array | None, seeds: int, initialize: Callable[[jax.Array], Learner] | None
) -> tuple[list[Learner], list[jax.Array | None]]:
    """The learner of each seed and the key that draws its batches."""
    check_learner("find_lr", learner, key)
    if key is None and initialize is not None:
        raise argument_error(ValueError, "find_lr", "key", "given with initializers", None, "give jax.random.key(0)")
    keys = [key] * seeds if key is None or seeds == 1 else list(jax.random.split(key, seeds))
    if initialize is None:
        return [learner] * seeds, keys
    return [initialize(jax.random.fold_in(each, 1)) for each in keys if each is not None], keys
