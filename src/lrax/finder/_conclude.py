"""What curves, suggestions and short runs amount to: a result, its reason and its band."""

import dataclasses
from collections.abc import Sequence

from lrax.finder._arrays import FEWEST
from lrax.finder._curve import Curve
from lrax.finder._result import FinderResult, combine
from lrax.finder._runs import Runs
from lrax.training._core import Reason

FIRST = 4.0, 5.0
"""How many times below and above a suggestion the best rates lie for four tasks in five, constant ones and peaks of cosines."""

REFINED = 3.0, 4.0
"""The same, of a suggestion that longer runs have refined."""

BEYOND = 3.0
"""How much further the best may lie where the best run was the last one tried, or where all runs ended about the same."""


def found_in(curves: Sequence[Curve], suggestions: Sequence[float | None], runs: tuple[Runs, ...] = ()) -> FinderResult:
    """What the curves of one or several seeds, and what each suggests, amount to."""
    suggestion, span = combine(suggestions)
    reasons = [curve.reason for curve in curves]
    reason = max(reasons, key=reasons.count)
    if suggestion is None and reason is Reason.COMPLETED and not runs:
        flat = sum(curve.supports_none() for curve in curves)
        if min(len(curve.rates) for curve in curves) <= FEWEST:
            reason = Reason.TOO_SHORT
        elif 2 * flat >= len(curves):  # else the curve falls, and the rule read nothing off it
            reason = Reason.FLAT
    if runs and suggestion is not None:
        span = around(span or (suggestion, suggestion), runs, FIRST)
    return FinderResult(tuple(curves), reason, suggestion, span, runs)


def refine(found: FinderResult, suggestion: float, runs: Runs) -> FinderResult:
    """A result with its suggestion replaced by what longer runs say."""
    band = around((suggestion, suggestion), (runs,), REFINED)
    return dataclasses.replace(found, suggestion=suggestion, band=band, refined=runs)


def around(span: tuple[float, float], runs: Sequence[Runs], times: tuple[float, float]) -> tuple[float, float]:
    """Where the best rate may lie, when suggestions span so much; further on a side where runs did not see an end of it."""
    lowest = any(one.flat or one.ranked[0] == one.ranked.min() for one in runs)
    highest = any(one.flat or one.ranked[-1] == one.ranked.min() for one in runs)
    lower, higher = times
    return span[0] / lower / (BEYOND if lowest else 1.0), span[1] * higher * (BEYOND if highest else 1.0)
