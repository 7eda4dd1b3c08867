"""What a finder does with its updates: a ramp, and short runs around where its loss falls."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrax.finder._arrays import FEWEST
from lrax.finder._conclude import found_in, refine
from lrax.finder._curve import Curve, SuggestionRule, curve_of
from lrax.finder._fall import center, fall
from lrax.finder._heights import POWERS, raced, ratio_of, shape_of, suggested
from lrax.finder._result import FinderResult, combine
from lrax.finder._runs import FEW, Runs, Start, race
from lrax.finder._stop import TimesUsual
from lrax.training._core import Reason, Run
from lrax.training._driver import Trainer

RAMP, SHORT = 100, 50
"""The updates of the ramp over all rates, and of each of the short runs that follow it."""

ABOVE = 10**0.5
"""The best peak of a short run over the rate at 75 % of the ramp's fall: the median of the tasks that the rule was made on."""

AROUND, FINER = (-2, 0, 2), (-1, 0, 1)
"""Where the first runs of a test are, and those that refine it, in quarters of a decade."""

FIRST = 20
"""The first losses of a ramp, which tell how high the loss usually is before anything is learnt."""

HIGHER, OUT = (0, 2), (0, 4)
"""Where those that refine it are if the highest of those before was the best, and if none of them has left the plateau."""


@dataclasses.dataclass(frozen=True)
class Search:
    """How a finder looks for a rate.

    Attributes:
      rules: of the ramp.
      length: updates of the ramp.
      rule: what reads a rate off a ramp that no runs follow.
      runs: whether short runs follow.
      refine: updates of the longer runs that check the suggestion; 0 for none.
      plan: the rates of the schedule whose shape runs have; None for a cosine after a warm-up.
      grows: whether updates grow with the gradients; None if that is not known.
    """

    rules: Run
    length: int
    rule: SuggestionRule
    runs: bool
    refine: int = 0
    plan: np.ndarray[Any, Any] | None = None
    grows: bool | None = None

    @property
    def longer(self) -> int:
        """Updates of a run that refines."""
        return self.refine // FEW

    @functools.cached_property
    def _ratio(self) -> float:
        return ratio_of(self.plan)

    @property
    def room(self) -> int:
        """Updates of the longest of all its runs: one program has room for each."""
        return max(self.length, SHORT if self.runs else 0, self.longer)

    def updates(self, seeds: int) -> int:
        """How many updates it takes, at most."""
        return seeds * (self.length + (FEW * SHORT if self.runs else 0)) + FEW * self.longer

    def suggest(self, curve: Curve) -> float | None:
        """What the rule reads off a ramp; the default smooths by itself. Nothing where the data ended before the ramp did."""
        if curve.reason is Reason.DATA_ENDED:
            return None
        return curve.suggest(self.rule, 0.0) if self.rule is fall else curve.suggest(self.rule)

    def run(self, trainer: Trainer, starts: Sequence[Start], again: Start, ended: list[Curve]) -> FinderResult:
        """Runs the ramps, and what follows; the curves of the ramps are put into `ended` when they have ended.

        Args:
          again: where the runs that refine begin.
        """
        curves = self._curves(trainer, starts)
        ended += curves
        found = self._followed(trainer, starts, curves) if self.runs else None
        if found is None:
            found = found_in(curves, [None if trainer.notes.fault else self.suggest(curve) for curve in curves])
        found = dataclasses.replace(found, grows=self.grows)
        found = self._refined(trainer, again, found) if self.longer and found.suggestion is not None else found
        return dataclasses.replace(found, **dataclasses.asdict(trainer.notes))

    def _curves(self, trainer: Trainer, starts: Sequence[Start]) -> list[Curve]:
        """The curve of each seed."""
        lanes = [self.rules._replace(state=start.state, order=start.order) for start in starts]
        if trainer.reads_on:  # seeds differ in their batches, so each reads on
            lanes = [lane for one in lanes for lane in self._ramps(trainer, [one])]
        else:
            lanes = self._ramps(trainer, lanes)
        mode = "min" if trainer.evaluator is None else trainer.evaluator.goal
        return [curve_of(lane, Reason.COMPLETED, mode) for lane in lanes]

    def _ramps(self, trainer: Trainer, lanes: list[Run]) -> list[Run]:
        """Runs of the ramp to its end; the default stop rule is told the usual loss as soon as the first losses are there.

        The halt that this takes adds no evaluation: up to the last one before it they are made as always, and from there none.
        """
        if isinstance(self.rules.stop, TimesUsual):
            halt, every = min(int(self.rules.stop.min_updates), self.length), trainer.evaluator and trainer.evaluator.every
            if every:
                lanes = trainer.train(lanes, halt - halt % every)
            if halt < self.length:
                lanes = trainer.without_evaluation().train(lanes, halt)
                lanes = [judged(lane, lane.losses) for lane in lanes]
        return trainer.train(lanes, self.length)

    def _followed(self, trainer: Trainer, starts: Sequence[Start], curves: list[Curve]) -> FinderResult | None:
        """What short runs around the fall of each seed's ramp suggest; None where the data have ended."""
        centers = [read(curve, center) for curve in curves]
        middle = combine(centers)[0]
        if middle is None or trainer.notes.fault:  # then the data ended the ramp, and not its rates
            return found_in(curves, [None] * len(curves))
        middles = [ABOVE * (middle if place is None else place) for place in centers]
        quiet = [losses_to(curve, middle if place is None else place) for curve, place in zip(curves, centers, strict=True)]
        runs = self._race(trainer, starts, middles, SHORT, AROUND, [judged(self.rules, losses) for losses in quiet])
        return None if runs is None else found_in(curves, [self._suggested(one) for one in runs], tuple(runs))

    def _refined(self, trainer: Trainer, again: Start, found: FinderResult) -> FinderResult:
        """The suggestion replaced by what longer runs around it say, unless they say nothing."""
        assert found.suggestion is not None
        middle = raced(found.suggestion, self.longer, self._ratio, POWERS[self.grows])
        rules = judged(self.rules, losses_to(found.curves[0], found.suggestion))
        runs = self._race(trainer, [again], [middle], self.longer, first_of(found.runs), [rules])
        suggestion = None if runs is None else self._suggested(runs[0])
        if runs is None or suggestion is None:
            return found
        return refine(found, suggestion, runs[0])

    def _race(
        self,
        trainer: Trainer,
        starts: Sequence[Start],
        middles: Sequence[float],
        updates: int,
        first: tuple[int, ...],
        rules: Sequence[Run],
    ) -> list[Runs] | None:
        if not trainer.reads_on:
            return race(trainer, starts, middles, shape_of(self.plan, updates), first, rules, self.room)
        found = []
        for start, middle, its in zip(starts, middles, rules, strict=True):  # each seed on batches of its own
            runs = race(trainer, [start], [middle], shape_of(self.plan, updates), first, [its], self.room)
            if runs is None:
                return None
            found += runs
        return found

    def _suggested(self, runs: Runs) -> float | None:
        return None if runs.best is None else suggested(runs.best, runs.updates, self._ratio, POWERS[self.grows])


def judged(rules: Run, losses: np.ndarray[Any, Any]) -> Run:
    """The rules of a run from the state of a ramp with these losses: the default stop rule compares with the first of them."""
    return rules._replace(stop=rules.stop.from_losses(losses)) if isinstance(rules.stop, TimesUsual) else rules


def losses_to(curve: Curve, rate: float) -> np.ndarray[Any, Any]:
    """The losses of a ramp up to a rate, and the first ones in any case."""
    return curve.losses[: max(np.searchsorted(curve.rates, rate), FIRST)]


def first_of(before: tuple[Runs, ...]) -> tuple[int, ...]:
    """Where the first runs that refine are, for how those before them have ended, one for each seed."""
    if not before:
        return FINER
    if all(runs.flat for runs in before):
        return OUT
    return HIGHER if 2 * sum(runs.climbs for runs in before) > len(before) else FINER


def read(curve: Curve, rule: Any) -> float | None:
    """What a rule reads off a curve, be it flat or not."""
    if len(curve.rates) <= FEWEST:
        return None
    rate = float(rule(*curve.extended()))
    return rate if np.isfinite(rate) else None
