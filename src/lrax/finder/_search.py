"""What a finder does with its updates: one ramp, or a fast and a slow one, and short runs that check the suggestion."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lrax.finder._arrays import FEWEST
from lrax.finder._curve import Curve, SuggestionRule, curve_of
from lrax.finder._fall import COARSE, SLOW, center, fall, fall_twice, slow_ramp
from lrax.finder._result import Found, combine, found_in
from lrax.training._engine import Rules
from lrax.training._reason import Reason
from lrax.training._runner import Runner, begin


class Start(NamedTuple):
    """Where the tests of one seed begin: a state, and what its batches are drawn by, None for an iterator."""

    state: Any
    order: Any


@dataclasses.dataclass(frozen=True)
class Search:
    """How a finder looks for a rate.

    Attributes:
      rules: of the first ramp.
      length: updates of the first ramp.
      rule: what reads a rate off one ramp.
      twice: whether a slow ramp follows.
    """

    rules: Rules
    length: int
    rule: SuggestionRule
    twice: bool

    @property
    def updates(self) -> int:
        """How many updates a seed takes."""
        return COARSE + SLOW if self.twice else self.length

    def suggest(self, curve: Curve) -> float | None:
        """What the rule reads off one ramp; the default smooths by itself."""
        return curve.suggest(self.rule, 0.0) if self.rule is fall else curve.suggest(self.rule)

    def run(self, runner: Runner, starts: Sequence[Start], ended: list[Curve]) -> Found:
        """Runs the ramps and reads the suggestion; the fast curves are put into `ended` when they have ended."""
        fast = self._curves(runner, starts, [self.rules] * len(starts), self.length)
        ended += fast
        centers = [read(curve, center) for curve in fast] if self.twice else []
        middle = combine(centers)[0]
        if middle is None:
            return found_in(fast, [self.suggest(curve) for curve in fast])
        ramps = [slow_ramp(middle if place is None else place) for place in centers]
        slow = self._curves(runner, starts, [self.rules._replace(schedule=ramp) for ramp in ramps], SLOW)
        if min(len(curve.rates) for curve in slow) <= FEWEST:  # the data ended after the fast ramp
            return found_in(fast, [self.suggest(curve) for curve in fast])
        rates = [float(fall_twice(one.extended(), two.extended())) for one, two in zip(fast, slow, strict=True)]
        return found_in(slow, [rate if np.isfinite(rate) else None for rate in rates], fast)

    def _curves(self, runner: Runner, starts: Sequence[Start], rules: Sequence[Rules], updates: int) -> list[Curve]:
        """The curve of each seed by its own rules."""
        room = max(COARSE, SLOW) if self.twice else self.length  # one program for both ramps
        lanes = [begin(start.state, its, start.order) for start, its in zip(starts, rules, strict=True)]
        if runner.reads_on:  # seeds differ in their batches, so each reads on
            lanes = [lane for one in lanes for lane in runner.advance([one], updates, room)]
        else:
            lanes = runner.advance(lanes, updates, room)
        return [curve_of(lane, Reason.COMPLETED) for lane in lanes]


def read(curve: Curve, rule: Any) -> float | None:
    """What a rule reads off a curve, be it flat or not."""
    if len(curve.rates) <= FEWEST:
        return None
    rate = float(rule(*curve.extended()))
    return rate if np.isfinite(rate) else None
