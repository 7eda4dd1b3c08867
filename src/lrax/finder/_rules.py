"""Suggestion rules: functions of a finished curve, `(learning_rates, losses) -> learning rate`, in NumPy.

`losses[i]` is the loss after a step at `learning_rates[i]`. A range test measures each loss before its own learning rate acts,
so `Curve.paired` shifts one against the other. A curve may be padded with NaN, and ends at its first loss that is not finite.
Where a curve does not support a suggestion, the result is NaN. The rules of other libraries can leave out points at both ends.
"""

import difflib
import functools
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from lrax.fields._errors import any_traced, argument_error, check_arity, check_call

FEWEST = 5
"""A curve of fewer points supports no suggestion."""

ELEMENTS = 2**17
"""Weights of a mean that are in memory at a time; few enough to stay in a processor's cache."""

CENTER, MOST = 0.75, 0.95
"""Fractions of a ramp's loss drop: where short runs begin, and for a suggestion from the ramp alone."""

WIDE = 0.55
"""Half the window, in decades, under which the drop of a ramp is read."""

Numbers = npt.NDArray[np.float32]
Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def _quiet(rule: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """A rule that checks its call, and in which NumPy does not warn of infinities and NaN: rules take care of both."""

    @functools.wraps(rule)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        with np.errstate(all="ignore"):
            return rule(*args, **kwargs)

    return check_call(call)


def _as_curve(caller: str, learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Both as float32 of at least `FEWEST` points; a shorter curve is padded with NaN."""
    if any_traced((learning_rates, losses)):
        remedy = "return the curve of lrax.range_test from jit or vmap, and read it there"
        raise argument_error(TypeError, caller, "learning_rates and losses", "arrays, not traced", losses, remedy)
    rates, losses = np.asarray(learning_rates, np.float32), np.asarray(losses, np.float32)
    if rates.ndim != 1 or rates.shape != losses.shape:
        needs, remedy = "arrays of shape (n,) each", "call the rule for each curve of a batch"
        raise argument_error(ValueError, caller, "learning_rates and losses", needs, (rates.shape, losses.shape), remedy)
    missing = np.full(max(FEWEST - rates.size, 0), np.nan, np.float32)
    return np.concatenate([rates, missing]), np.concatenate([losses, missing])


def _points(
    caller: str, learning_rates: npt.ArrayLike, losses: npt.ArrayLike, skip_begin: int = 0, skip_end: int = 0
) -> tuple[Numbers, Numbers]:
    """The points of a curve before its first loss that is not finite, without those that are skipped."""
    for name, skipped in (("skip_begin", skip_begin), ("skip_end", skip_end)):
        if not isinstance(skipped, int | np.integer) or isinstance(skipped, bool) or skipped < 0:
            raise argument_error(ValueError, caller, name, "a number of points, an integer of at least 0", skipped)
    rates, losses = _as_curve(caller, learning_rates, losses)
    bad = np.flatnonzero(~(np.isfinite(rates) & np.isfinite(losses))[skip_begin:])
    end = skip_begin + int(bad[0]) if len(bad) else len(rates)
    kept = slice(skip_begin, max(end - skip_end, skip_begin))
    return rates[kept], losses[kept]


def _lowest_slope(rates: Numbers, slopes: Numbers) -> np.float32:
    """The learning rate of the most negative slope, NaN if none is negative."""
    slopes = np.where(np.isnan(slopes), np.inf, slopes)
    place = int(np.argmin(slopes))
    return np.float32(rates[place] if slopes[place] < 0 else np.nan)


@_quiet
def steepest(learning_rates: npt.ArrayLike, losses: npt.ArrayLike, skip_begin: int = 0, skip_end: int = 0) -> np.float32:
    """The learning rate at which the loss drops steepest over the logarithm of the learning rate.

    The slope is the central difference, one-sided at both ends: on a geometric ramp this is torch-lr-finder's suggestion. Give
    it a smoothed curve, because noise makes slopes.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      skip_begin, skip_end: points to leave out at the ends; torch-lr-finder leaves out 10 and 5.

    Returns: float32; NaN if the loss never drops or there are fewer than 5 points.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{steepest(rates, 1 / (1 + (rates / 0.01) ** 2)):.4f}")
    0.0100
    """
    rates, losses = _points("steepest", learning_rates, losses, skip_begin, skip_end)
    if len(rates) < FEWEST:
        return np.float32(np.nan)
    before, after = np.maximum(np.arange(len(rates)) - 1, 0), np.minimum(np.arange(len(rates)) + 1, len(rates) - 1)
    logs = np.log(rates)
    return _lowest_slope(rates, (losses[after] - losses[before]) / (logs[after] - logs[before]))


@_quiet
def steep(learning_rates: npt.ArrayLike, losses: npt.ArrayLike, skip_begin: int = 0, skip_end: int = 0) -> np.float32:
    """The learning rate before the steepest drop from one loss to the next, over the logarithm of the learning rate.

    This is `steepest` with a forward difference: it is noisier, and half a step of the ramp lower.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      skip_begin, skip_end: points to leave out at the ends; fastai leaves out a tenth and 5.

    Returns: float32; NaN if the loss never drops or there are fewer than 5 points.

    Source: fastai's suggestion of that name.

    >>> print(steep(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.5, 1.0, 0.9, 0.9])))
    0.2
    """
    rates, losses = _points("steep", learning_rates, losses, skip_begin, skip_end)
    if len(rates) < FEWEST:
        return np.float32(np.nan)
    steps = np.diff(np.log(rates))
    return _lowest_slope(rates, np.where(steps > 0, np.diff(losses) / steps, np.inf))


@_quiet
def suggestion(learning_rates: npt.ArrayLike, losses: npt.ArrayLike, skip_begin: int = 0, skip_end: int = 0) -> np.float32:
    """The learning rate at which the loss drops steepest over the learning rate itself; low on a geometric ramp.

    The slope between neighbours is weighted so that it is exact for parabolas; at both ends it is one-sided.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      skip_begin, skip_end: points to leave out at the ends; Lightning leaves out 10 and 1.

    Returns: float32; NaN if the loss never drops or there are fewer than 5 points.

    Source: the method of that name of Lightning's finder. Its users ask for the logarithm (Lightning#21141).

    >>> print(suggestion(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.5, 1.0, 0.5, 0.4])))
    0.2
    """
    rates, losses = _points("suggestion", learning_rates, losses, skip_begin, skip_end)
    if len(rates) < FEWEST:
        return np.float32(np.nan)
    widths = np.diff(rates)
    slopes = np.diff(losses) / widths
    weights = widths[1:] / (widths[:-1] + widths[1:])
    inside = slopes[:-1] * weights + slopes[1:] * (1 - weights)
    return _lowest_slope(rates, np.concatenate([slopes[:1], inside, slopes[-1:]]))


@_quiet
def minimum(
    learning_rates: npt.ArrayLike, losses: npt.ArrayLike, divisor: float = 10.0, skip_begin: int = 0, skip_end: int = 0
) -> np.float32:
    """A tenth of the learning rate at which the loss is lowest.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      divisor: the learning rate at the minimum is divided by it.
      skip_begin, skip_end: points to leave out at the ends; fastai leaves out a tenth and 5.

    Returns: float32; NaN if the first loss is the lowest or there are fewer than 5 points.

    Source: fastai's suggestion of that name.

    >>> print(minimum(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.0, 1.0, 2.0, 9.0])))
    0.04
    """
    rates, losses = _points("minimum", learning_rates, losses, skip_begin, skip_end)
    place = int(np.argmin(losses)) if len(losses) >= FEWEST else 0
    return np.float32(rates[place] / divisor if place else np.nan)


@_quiet
def edge(learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> np.float32:
    """Half the learning rate at which the loss is lowest: close to the edge of divergence.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each, best smoothed.

    Returns: float32; NaN if the first loss is the lowest or there are fewer than 5 points.

    Source: MXNet's tutorial "Learning Rate Finder", which picks 0.05 below an edge at 0.1.

    >>> print(edge(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.0, 1.0, 2.0, 9.0])))
    0.2
    """
    return minimum(learning_rates, losses, divisor=2.0)


@_quiet
def valley(learning_rates: npt.ArrayLike, losses: npt.ArrayLike, skip_begin: int = 0, skip_end: int = 0) -> np.float32:
    """A learning rate half-way down the longest valley: the longest subsequence of losses of which each is lower.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      skip_begin, skip_end: points to leave out at the ends; fastai leaves out a tenth and 5.

    Returns: float32; NaN if the loss never drops or there are fewer than 5 points.

    Source: fastai's suggestion of that name, after ESRI's.

    >>> print(valley(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 3.5, 2.0, 1.5, 0.9])))
    0.2
    """
    rates, losses = _points("valley", learning_rates, losses, skip_begin, skip_end)
    # lengths[i]: of the longest falling subsequence that ends at i; ends[k]: the least depth at which one of k + 1 losses ends
    lengths, ends = np.zeros(len(losses), int), np.full(len(losses), np.inf, np.float32)
    for place, depth in enumerate(-losses):
        longest = int(np.searchsorted(ends, depth))
        lengths[place], ends[longest] = longest + 1, depth
    if len(rates) < FEWEST or lengths.max() < 2:
        return np.float32(np.nan)
    end = int(np.argmax(lengths))
    start = end - int(lengths[end])  # -1 where it begins at the first loss: a negative place counts from the end, as in fastai
    third = np.float32(end - start) / 3
    return np.float32(rates[start + int(third) + int(third / 2)])


@_quiet
def slide(
    learning_rates: npt.ArrayLike,
    losses: npt.ArrayLike,
    width: int = 15,
    threshold: float = 0.005,
    skip_begin: int = 0,
    skip_end: int = 0,
) -> np.float32:
    """Slides from the right to the first place where the slope is level over `width` points.

    Args:
      learning_rates, losses: float (n,): rising learning rates > 0, and the loss after a step at each.
      width: points between the two slopes that are compared.
      threshold: slopes closer than this are level; in units of the loss.
      skip_begin, skip_end: points to leave out at the ends; fastai leaves out a tenth and 5.

    Returns: float32; NaN if there are no more than `width` points.

    Source: fastai's suggestion of that name.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{slide(rates, 1 / (1 + (rates / 0.1) ** 2)):.4f}")
    0.0004
    """
    rates, losses = _points("slide", learning_rates, losses, skip_begin, skip_end)
    if len(rates) < FEWEST or len(rates) <= width:
        return np.float32(np.nan)
    slopes = np.gradient(losses).astype(np.float32)
    steep = np.abs(slopes[width:] - slopes[:-width])[::-1] > threshold  # from the right
    slid = int(np.argmin(steep)) if not steep.all() else len(steep)
    return np.float32(rates[len(rates) - 1 - width - max(slid - 1, 0)])


@_quiet
def smooth(learning_rates: npt.ArrayLike, losses: npt.ArrayLike, width: float = 0.5) -> Numbers:
    """A finished curve without its noise and without lag: a mean over the learning rates within `width` decades.

    The weights decrease linearly with the distance on the logarithmic axis. Losses are clipped at twice the first losses (the
    median of the first tenth of them, of at least five), measured above the lowest: so a divergence does not reach back.

    Args:
      learning_rates: float (n,), > 0.
      losses: float (n,); a loss that is not finite has no weight.
      width: half the width of the window, in decades, > 0.

    Returns: float32 (n,), NaN where a learning rate or a loss is missing. Memory is linear in n.

    Raises: ValueError if the two do not have one shape (n,), or `width` is not above 0.

    >>> smoothed = smooth(jnp.geomspace(1e-3, 1.0, 5), jnp.array([3.0, 3.0, 3.0, 1.0, 1.0]), width=1.0)
    >>> print(" ".join(f"{loss:.2f}" for loss in smoothed))
    3.00 3.00 2.67 1.33 1.00
    """
    if not width > 0:
        raise argument_error(ValueError, "smooth", "width", "a number of decades above 0", width)
    rates, losses = _as_curve("smooth", learning_rates, losses)
    finite = np.isfinite(losses) & np.isfinite(rates)
    means = _window_means(rates, finite, np.minimum(losses, clip_level(rates, losses)), width)
    return np.where(finite, means, np.float32(np.nan))[: np.size(learning_rates)]


def clip_level(rates: Numbers, losses: Numbers) -> float:
    """Where `smooth` clips the losses of a curve; NaN if none is finite."""
    finite = losses[np.isfinite(losses) & np.isfinite(rates)]
    if not finite.size:
        return np.nan
    lowest = finite.min()
    return float(lowest + 2 * (np.median(finite[: max(5, len(finite) // 10)]) - lowest))


def _window_means(rates: Numbers, finite: npt.NDArray[np.bool_], values: Numbers, width: float) -> Numbers:
    """At each learning rate the mean of the finite values under a triangle of `width` decades to either side.

    The rows of weights are made a few at a time, so that memory does not grow with the square of the length.
    """
    places = (np.log10(np.where(finite, rates, 1.0)) / width).astype(np.float32)
    counted, weighable = finite.astype(np.float32), np.where(finite, values, np.float32(0))
    size, parts = max(1, ELEMENTS // len(rates)), []
    for begin in range(0, len(rates), size):
        rows = places[begin : begin + size]
        near = np.flatnonzero(finite & (places >= rows.min() - 1) & (places <= rows.max() + 1))
        weights = np.maximum(1 - np.abs(rows[:, None] - places[near]), 0) * counted[near]
        parts.append((weights * weighable[near]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-6))
    return np.concatenate(parts).astype(np.float32)


@_quiet
def loss_drop(learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> np.float32:
    """0.7 of the learning rate at which the loss has made 95 % of its drop.

    Slopes and the edge of divergence vary with every batch. A fraction of the whole drop varies least, and has no unit.

    Args:
      learning_rates: float (n,), rising, > 0, from values too low to change anything.
      losses: float (n,), the loss after a step at that learning rate; one that is not finite counts as a divergence.

    Returns: float32; NaN if the loss does not drop by more than its noise or there are fewer than 5 points.

    Raises: ValueError if the two do not have one shape (n,).

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(f"{loss_drop(rates, 1 / (1 + (rates / 0.01) ** 2)):.2f}")
    0.04
    """
    return np.float32(0.7 * dropped("loss_drop", learning_rates, losses, MOST))


@_quiet
def is_flat(learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> bool:
    """Whether the loss never drops by more than its noise.

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(is_flat(rates, jnp.ones(250)), is_flat(rates, 1 / (1 + rates)))
    True False
    """
    return bool(np.isnan(dropped("is_flat", learning_rates, losses, MOST)))


@_quiet
def center(learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> np.float32:
    """The learning rate at 75 % of the drop. A drop of half the noise is enough, because short runs decide."""
    return np.float32(dropped("center", learning_rates, losses, CENTER, trust=0.5))


def lowest_of(losses: npt.NDArray[np.floating]) -> float:
    """The lowest mean of five losses of a ramp that are next to each other."""
    means = np.convolve(np.where(np.isfinite(losses), losses, np.inf), np.full(5, 0.2), "valid")
    return float(means[np.isfinite(means)].min(initial=np.inf))


def is_ordered(learning_rates: npt.ArrayLike, losses: npt.ArrayLike) -> bool:
    """Whether batches that follow each other have similar losses before a ramp has changed anything, as sorted data have.

    The losses up to a 300th of the center, 20 of them at least, without a straight line and without what such learning rates
    could have done, which is proportional to their sum. For shuffled data the correlation of neighbours is about normal with
    a deviation of 1 over the square root of their number; on 192 ramps of shuffled data it was at most 2.3 of these. With a
    scatter of less than 2 % of the drop, even the smallest trend would be a correlation.
    """
    rates, losses = (each.astype(np.float64) for each in _as_curve("is_ordered", learning_rates, losses))
    number = max(int((rates <= center(rates, losses) / 300).sum()), 20)
    first = losses[:number]
    if len(first) < number or not np.isfinite(first).all():
        return False
    moved = np.cumsum(rates[:number])
    trends = np.stack([np.ones(number), np.linspace(0, 1, number), moved / moved[-1]], axis=1)
    apart = first - trends @ np.linalg.lstsq(trends, first, rcond=None)[0]
    drop = float(np.median(first)) - lowest_of(losses)
    if apart.std() <= 0.02 * max(drop, 0.0) or apart.std() <= 1e-4 * np.abs(first).max():
        return False
    return bool(apart[1:] @ apart[:-1] > 3.5 / math.sqrt(number) * (apart @ apart))


def dropped(caller: str, learning_rates: npt.ArrayLike, losses: npt.ArrayLike, fraction: float, trust: float = 1.0) -> float:
    """The learning rate at this fraction, 50 % or more, of the loss drop; NaN if the drop is not above `trust` times the noise.

    The bottom is the last place that is as deep as the deepest but for half the noise: a lucky batch at a learning rate that is
    too low to do anything is not the bottom. The loss passes half of its drop for the last time before that, and the fraction
    just after it, so that bumps on a wide and flat bottom do not move the answer.
    """
    rates, losses = _as_curve(caller, learning_rates, losses)
    base, noise = start_level(rates, losses)
    depths = _mean_depths(rates, losses, base)
    whole, places = depths.max(), np.arange(len(rates))
    if not whole > trust * noise or np.argmax(depths) == 0 or np.isfinite(rates).sum() < FEWEST:
        return math.nan  # lowest at its start: it only rises
    lowest = places[depths >= whole - min(noise / 2, whole / 4)].max()
    fallen = depths / max(whole, np.float32(1e-30))
    half = places[(fallen < 0.5) & (places < lowest)].max(initial=0)
    place = max(int(np.argmax((fallen >= fraction) & (places > half))) - 1, 0)
    part = (fraction - fallen[place]) / max(fallen[place + 1] - fallen[place], np.float32(1e-30))
    return float(rates[place] * (rates[place + 1] / rates[place]) ** np.clip(part, 0, 1))


def start_level(rates: Numbers, losses: Numbers) -> tuple[float, float]:
    """The loss before anything was learnt, and the smallest drop below it that is more than noise.

    Both are read off the first two decades: their median, and twice the standard error of a median of as many losses together
    with a mean of twenty.
    """
    early = losses[(rates <= 100 * rates[0]) & np.isfinite(losses)]
    if not early.size:
        return np.nan, np.nan
    base = np.median(early)
    deviation = 1.5 * np.median(np.abs(early - base)) + 1e-5 * np.abs(base)
    return float(base), float(2 * deviation * np.sqrt(1.57 / early.size + 1 / 20))


def _mean_depths(rates: Numbers, losses: Numbers, base: float) -> Numbers:
    """How far below `base` the losses are, averaged under a window; minus infinity where there is no learning rate.

    What is higher than half a drop above `base` is clipped there. The drop is measured down to the fourth smallest loss, so
    that three lucky batches do not set the scale. Depths are averaged, not losses, so that a drop that is small next to the
    loss is not rounded away.
    """
    depths = np.where(np.isfinite(losses), np.float32(base) - losses, np.float32(-np.inf))
    whole = max(np.sort(depths)[-4], np.float32(0))
    means = _window_means(rates, np.isfinite(rates), np.maximum(depths, -0.5 * whole), WIDE)
    return np.where(np.isfinite(rates), means, np.float32(-np.inf))


RULES = {rule.__name__: rule for rule in (loss_drop, steepest, steep, suggestion, valley, slide, minimum, edge)}
"""The rules of lrax by their names."""


def check_rule(caller: str, rule: object) -> None:
    """Raises TypeError if a rule cannot be called as `rule(learning_rates, losses)`."""
    if callable(rule):
        check_arity(caller, "rule", rule, "rule(learning_rates, losses)", 2)
        return
    remedy = "give lrax.finder.loss_drop, for example"
    if isinstance(rule, str):
        close = difflib.get_close_matches(rule.rpartition(".")[2], RULES, n=1)
        remedy = f"did you mean lrax.finder.{close[0]}, the function?" if close else f"lrax.finder has {', '.join(RULES)}"
    raise argument_error(TypeError, caller, "rule", "a function (learning_rates, losses) -> learning rate", rule, remedy)
