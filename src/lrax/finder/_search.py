"""What a finder does with its updates: one ramp, or a fast and a slow one, and short runs that check the suggestion."""

import dataclasses
from typing import Any

import jax
import numpy as np

from lrax._engine import Rules
from lrax.finder._fall import COARSE, SLOW, center, fall, fall_twice, slow_ramp
from lrax.finder._result import Curve, Found, SuggestionRule, combine, curve_of, found_in
from lrax.finder._run import Runner
from lrax.finder._suggest import FEWEST


@dataclasses.dataclass(frozen=True)
class Search:
    """How a finder looks for a rate.

    Attributes:
      rules: of the first ramp.
      length: of the curves.
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
        return COARSE + SLOW if self.twice else int(self.rules.limit)

    def suggest(self, curve: Curve) -> float | None:
        """What the rule reads off one ramp; the default smooths by itself."""
        return curve.suggest(self.rule, 0.0) if self.rule is fall else curve.suggest(self.rule)

    def run(self, runner: Runner) -> Found:
        """Runs the ramps and reads the suggestion."""
        seeds = len(runner.states)
        length = max(COARSE, SLOW) if self.twice else self.length  # one program for both ramps
        fast = [curve_of(carry) for carry in runner.ramps([self.rules] * seeds, length)]
        centers = [read(curve, center_of) for curve in fast] if self.twice else []
        middle = combine(centers)[0]
        if middle is None:
            return found_in(fast, [self.suggest(curve) for curve in fast])
        ramps = [slow_ramp(middle if place is None else place) for place in centers]
        rules = [self.rules._replace(ramp=ramp, limit=np.int32(SLOW)) for ramp in ramps]
        slow = [curve_of(carry) for carry in runner.ramps(rules, length)]
        if min(len(curve.rates) for curve in slow) <= FEWEST:  # the data ended after the fast ramp
            return found_in(fast, [self.suggest(curve) for curve in fast])
        rates = [float(from_both(one.extended(), two.extended())) for one, two in zip(fast, slow, strict=True)]
        return found_in(slow, [rate if np.isfinite(rate) else None for rate in rates], fast)


def read(curve: Curve, rule: Any) -> float | None:
    """What a rule reads off a curve, be it flat or not."""
    if len(curve.rates) <= FEWEST:
        return None
    rate = float(rule(*curve.extended()))
    return rate if np.isfinite(rate) else None


center_of, from_both = jax.jit(center), jax.jit(fall_twice)
