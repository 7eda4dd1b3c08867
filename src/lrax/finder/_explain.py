"""Why a test ended and what to do, in one sentence with the numbers of its curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lrax.fields._errors import plural
from lrax.finder._arrays import FEWEST
from lrax.finder._curve import Curve
from lrax.finder._runs import Runs
from lrax.training._batches import AGAIN
from lrax.training._core import Reason
from lrax.training._driver import is_rising
from lrax.training._evaluating import SIGNS, WRONG, contradicts

LOW = 1.0
"""A ramp that ends below this rate may well have to climb higher."""

TINY = 1e-5
"""A rate up to this one does not make a loss infinite or NaN that the rates just below it have not moved."""

SOON = 100.0
"""A ramp that ends before it has climbed so many times its first rate began too high."""

SCALE = "scale the inputs and the targets to about 1"
"""What helps where every learning rate is too high or too low."""

FIRST_LOSSES = 20
"""The losses of a ramp whose median is the loss before anything was learnt."""

GAINED = 0.05
"""A loss that made more of its fall than this in the last tenth of the ramp's decades still fell where the ramp ended."""


def explain(
    reason: Reason,
    suggestion: float | None,
    curves: Sequence[Curve],
    runs: Sequence[Runs] = (),
    refined: bool = False,
    fault: str = "",
) -> str:
    """Why a test ended and what to do about it, without a full stop.

    Args:
      reason: why it ended, or why it suggests nothing.
      suggestion: a rate, or None.
      curves: those of the seeds; the longest that ended for `reason` is told of.
      runs: the short runs that the suggestion was read from, if there were any.
      refined: whether they are those that refined it.
      fault: which batch holds numbers that are not finite, if one does; then no other cause is named.
    """
    curve = max(curves, key=lambda one: (one.reason is reason, len(one.rates)))
    if reason is Reason.INTERRUPTED:
        return f"it was interrupted after {plural(len(curve.rates), 'update')}; what it had measured is kept"
    if runs:
        return of_runs(suggestion, runs, refined, curve, fault)
    return without(reason, curve, fault) if suggestion is None else with_suggestion(reason, curve)


def contradiction(curves: Sequence[Curve], runs: Sequence[Runs]) -> str:
    """What is added where the metric of `evaluate` is worst at the lowest loss, on ramps and at the ends of runs; else ""."""
    starts, losses, scores = [], [], []
    for curve in curves:
        rates, means = curve.smooth()
        known = np.isfinite(means)
        at, metrics = curve.evaluated()
        if known.any() and len(at):
            starts.append(float(np.median(curve.losses[:FIRST_LOSSES])))
            losses.append(np.interp(np.log(at), np.log(rates[known]), means[known]))
            scores.append(SIGNS[curve.mode] * metrics)
    for one in runs:
        if one.scores is not None:
            losses.append(one.losses)
            scores.append(one.scores)
    wrong = starts and contradicts(float(np.median(starts)), np.concatenate(losses), np.concatenate(scores))
    return f"; {WRONG[curves[0].mode]}" if wrong else ""


def of_runs(suggestion: float | None, runs: Sequence[Runs], refined: bool, ramp: Curve, fault: str = "") -> str:
    """What short runs say, those of several seeds together."""
    lowest, highest = min(one.peaks[0] for one in runs), max(one.peaks[-1] for one in runs)
    many = f"{plural(sum(len(one.peaks) for one in runs), 'run')} of {runs[0].updates} updates with peaks from"
    tried = f"{many} {lowest:.2g} to {highest:.2g}"
    if suggestion is None and fault:
        return f"{tried} all ended at a loss that was not finite"
    if suggestion is None:
        return f"{tried} all diverged: {SCALE}, or let the ramp climb slower"
    best = min(runs, key=lambda one: float(one.ranked.min()))
    place = int(best.ranked.argmin())
    told = f"{tried}, of which {float(best.peaks[place]):.2g} ended lowest, at a loss of {best.losses[place]:.3g}"
    if best.scores is not None:
        metric = f"{SIGNS[ramp.mode] * best.scores[place]:.3g} (at a loss of {best.losses[place]:.3g})"
        told = f"{tried}, of which {float(best.peaks[place]):.2g} did best by `evaluate`: {metric}"
    further = "lrax.race at rates there tells" if refined else "`refine=True` waits longer and looks there"
    if all(one.flat for one in runs):
        told = f"{told}; all ended about the same, as on a plateau or in noise: {further}"
    elif sum(one.at_end for one in runs) * 2 > len(runs):
        side, edge = ("highest", "higher") if place else ("lowest", "lower")
        told = f"{told}; it was the {side} of them, so the best may lie {edge} yet: {further}"
    tiny = len(ramp.rates) and best.peaks[place] < SOON * ramp.rates[0]
    return f"{told}; so low a learning rate is a sign of large inputs or targets: {SCALE}" if tiny else told


def with_suggestion(reason: Reason, curve: Curve) -> str:
    """The story of a ramp alone that suggests a rate."""
    first, lowest, last = levels(curve)
    fell = f"the loss fell from {first:.3g} to {lowest:.3g}"
    if reason is Reason.DIVERGED:
        return f"{fell}, and rose past the stop rule's limit at rate {blown(curve):.3g}, as a range test should end"
    if reason is Reason.NON_FINITE:
        return f"{fell}, and was not finite after rate {blown(curve):.3g}, which is one way a range test ends"
    if ended_too_soon(curve):
        return (
            f"the ramp ended at rate {curve.rates[-1]:.3g} while the loss still fell, from {first:.3g} at first to {last:.3g} "
            "there: let it climb higher, for this suggestion may be too low"
        )
    return fell


def without(reason: Reason, curve: Curve, fault: str = "") -> str:
    """Why a test suggests nothing, and what to do."""
    updates = len(curve.rates)
    if reason is Reason.DATA_ENDED:
        return data_ended(curve)
    if reason is Reason.NON_FINITE and updates:
        at_once = not np.isfinite(curve.losses[0])
        when = f"the very first loss was {loss_word(curve)}, before any rate had acted"
        when = when if at_once else f"the loss of update {updates} was {loss_word(curve)}"
        if fault:
            return when
        if at_once:
            return f"{when}: look at the data and the initial parameters"
        if blown(curve) <= TINY and not is_rising(curve.losses):
            small = f"{when} after rate {blown(curve):.3g}, which is {'hardly' if updates > 2 else 'seldom'} the cause"
            lower = ", or start the ramp lower" if updates == 2 else ""  # one finite loss does not tell whether it has risen
            return f"{small}: look at the batch of that update, and at the loss that it gives{lower}"
    if updates <= FEWEST:
        blew_up = f" before a loss that was not finite, after rate {blown(curve):.3g}: start the ramp lower"
        remedy = blew_up if reason is Reason.NON_FINITE else f" to read a rate off: give the ramp more than {FEWEST + 1}"
        return f"{plural(updates, 'update')} {'is' if updates == 1 else 'are'} too few{remedy}"
    if reason is not Reason.FLAT and not curve.supports_none():
        first, lowest, _ = levels(curve)
        return f"the loss fell from {first:.3g} to {lowest:.3g}, but the rule reads no rate off such a curve: try another rule"
    never = f"the loss never fell by more than its noise below {levels(curve)[0]:.3g}"
    if reason in (Reason.DIVERGED, Reason.NON_FINITE):
        end = "diverged" if reason is Reason.DIVERGED else "was not finite"
        soon = blown(curve) < SOON * curve.rates[0]
        larger = (
            "give larger batches, or keep to rates well below that: a model that is trained already has little left to gain"
        )
        return (
            f"{never} before it {end} after rate {blown(curve):.3g}: {f'{SCALE}, or start the ramp lower' if soon else larger}"
        )
    highest = float(curve.rates[-1])
    remedy = "let the ramp climb higher, or give larger batches" if highest < LOW else "give larger batches or a longer ramp"
    return f"{never} up to rate {highest:.3g}: {remedy}, and see that the loss depends on what is trained"


def loss_word(curve: Curve) -> str:
    """The last loss, which is not finite, as it was: NaN, inf or -inf."""
    return "NaN" if np.isnan(curve.losses[-1]) else str(curve.losses[-1])


def levels(curve: Curve) -> tuple[float, float, float]:
    """The first loss, the lowest and the last, of the smoothed curve; the first as measured where there is no more."""
    means = curve.smooth()[1]
    means = means[np.isfinite(means)]
    if not len(means):
        first = float(curve.losses[0]) if len(curve.losses) else np.nan
        return first, first, first
    return float(means[0]), float(np.min(means)), float(means[-1])


def ended_too_soon(curve: Curve) -> bool:
    """Whether the ramp ran to its end and the loss still fell there."""
    return curve.reason is Reason.COMPLETED and still_falls(curve)


def still_falls(curve: Curve) -> bool:
    """Whether a fair part of the fall was made in the last tenth of the ramp's decades."""
    rates, means = curve.smooth()
    known = np.isfinite(means)
    rates, means = rates[known], means[known]
    if len(means) < FEWEST:
        return False
    early = rates < rates[-1] * (rates[0] / rates[-1]) ** 0.1
    before = np.min(means[early], initial=np.inf)
    return bool(before - means[-1] > GAINED * (means[0] - means[-1]))


def blown(curve: Curve) -> Any:
    """The last rate that acted before the last loss was measured."""
    return curve.rates[-2:][0] if len(curve.rates) else np.nan


def data_ended(curve: Curve) -> str:
    """What is said of data that ended."""
    updates = len(curve.rates)
    where = f"after {plural(updates, 'update')}, at rate {curve.rates[-1]:.3g}," if updates else "before the first update"
    return f"the data ended {where} and could not be iterated again: {AGAIN}"
