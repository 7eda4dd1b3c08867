"""Suggestions: pure functions of a curve, `(rates, losses) -> rate`, in NumPy, and in jnp under jit and vmap.

`losses[i]` is the loss after an update at `rates[i]`: `Curve.paired` pairs the two, because a range test measures each loss
before its own rate acts. Curves may be padded with NaN, and end at their first loss that is not finite. What a curve does not
support is NaN.

Peers leave out points at the ends of a curve before they read it: every rule but `edge` takes how many, `skip_begin` and
`skip_end`, 0 by default; what was skipped at the end stands before the first loss that is not finite.
"""

from typing import Any

import numpy as np

from lrax.fields._errors import argument_error, check_call
from lrax.finder._arrays import FEWEST, Scalar, as_curve, put, repeat, silent


def known(caller: str, rates: Any, losses: Any, skip_begin: int = 0, skip_end: int = 0) -> tuple[Any, Any, Any, Any]:
    """Namespace, rates and losses as float32, and how many points there are before the first that is not finite.

    Without the points that are skipped; those at the end are only not counted.
    """
    for name, skipped in (("skip_begin", skip_begin), ("skip_end", skip_end)):
        if not isinstance(skipped, int | np.integer) or isinstance(skipped, bool) or skipped < 0:
            raise argument_error(ValueError, caller, name, "a number of points, an integer of at least 0", skipped)
    xp, rates, losses = as_curve(caller, rates, losses)
    if skip_begin:
        xp, rates, losses = as_curve(caller, rates[skip_begin:], losses[skip_begin:])
    finite = xp.isfinite(rates) & xp.isfinite(losses)
    return xp, rates, losses, xp.maximum(xp.sum(xp.cumprod(finite.astype(xp.int32))) - skip_end, 0)


@silent
def steepest(rates: Any, losses: Any, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """The rate at which the loss falls steepest over the logarithm of the rate.

    The slope is the central difference, one-sided at both ends: on a geometric ramp that is where torch-lr-finder's marker
    stands. Noise makes slopes, so give it a smoothed curve.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      skip_begin, skip_end: how many points are left out at the ends; torch-lr-finder leaves out 10 and 5.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{steepest(rates, 1 / (1 + (rates / 0.01) ** 2)):.4f}")
    0.0100
    """
    xp, rates, losses, count = known("steepest", rates, losses, skip_begin, skip_end)
    places = xp.arange(rates.size)
    before, after = xp.maximum(places - 1, 0), xp.minimum(places + 1, xp.maximum(count - 1, 0))
    logs = xp.log(rates)
    rise = losses[after] - losses[before]
    slopes = xp.where((places < count) & (after > before), rise / (logs[after] - logs[before]), xp.inf)
    place = xp.argmin(slopes)
    return xp.float32(xp.where((count >= FEWEST) & (slopes[place] < 0), rates[place], xp.nan))


@silent
def steep(rates: Any, losses: Any, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """The rate before the steepest fall from one loss to the next, over the logarithm of the rate.

    As `steepest` with a forward difference, which is noisier, and stands half a rung lower.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      skip_begin, skip_end: how many points are left out at the ends; fastai leaves out a tenth and 5.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    Source: fastai's suggestion of that name.

    >>> print(steep(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.5, 1.0, 0.9, 0.9])))
    0.2
    """
    xp, rates, losses, count = known("steep", rates, losses, skip_begin, skip_end)
    logs = xp.log(rates)
    slopes = (losses[1:] - losses[:-1]) / (logs[1:] - logs[:-1])
    slopes = xp.where((xp.arange(rates.size - 1) < count - 1) & (logs[1:] > logs[:-1]), slopes, xp.inf)
    place = xp.argmin(slopes)
    return xp.float32(xp.where((count >= FEWEST) & (slopes[place] < 0), rates[place], xp.nan))


@silent
def suggestion(rates: Any, losses: Any, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """The rate at which the loss falls steepest over the rate itself, not its logarithm: low, where the ramp is geometric.

    The slope between neighbours is weighted so that it is exact for parabolas; at both ends it is one-sided.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      skip_begin, skip_end: how many points are left out at the ends; Lightning leaves out 10 and 1.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    Source: the method of that name of Lightning's finder. Its users ask for the logarithm (Lightning#21141).

    >>> print(suggestion(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.5, 1.0, 0.5, 0.4])))
    0.2
    """
    xp, rates, losses, count = known("suggestion", rates, losses, skip_begin, skip_end)
    places, last = xp.arange(rates.size), xp.maximum(count - 1, 1)
    left, right = xp.clip(places - 1, 0, last - 1), xp.minimum(places, last - 1)  # the intervals at both sides
    widths = rates[1:] - rates[:-1]
    slopes = (losses[1:] - losses[:-1]) / widths
    weight = xp.where(left == right, 0.5, widths[right] / (widths[left] + widths[right]))
    mixed = slopes[left] * weight + slopes[right] * (1 - weight)
    mixed = xp.where((places < count) & ~xp.isnan(mixed), mixed, xp.inf)
    place = xp.argmin(mixed)
    return xp.float32(xp.where((count >= FEWEST) & (mixed[place] < 0), rates[place], xp.nan))


@silent
def minimum(rates: Any, losses: Any, divisor: float = 10.0, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """A tenth of the rate at which the loss is lowest.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      divisor: what the rate at the minimum is divided by.
      skip_begin, skip_end: how many points are left out at the ends; fastai leaves out a tenth and 5.

    Returns: a rate, float32 of shape (); NaN if the first loss is the lowest or there are fewer than 5 points.

    Source: fastai's suggestion of that name.

    >>> print(minimum(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.0, 1.0, 2.0, 9.0])))
    0.04
    """
    xp, rates, losses, count = known("minimum", rates, losses, skip_begin, skip_end)
    place = xp.argmin(xp.where(xp.arange(rates.size) < count, losses, xp.inf))
    return xp.float32(xp.where((count >= FEWEST) & (place > 0), rates[place] / divisor, xp.nan))


@check_call
def edge(rates: Any, losses: Any) -> Scalar:
    """Half the rate at which the loss is lowest: as high as it goes while the loss still falls, and below divergence.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate, best smoothed.

    Returns: a rate, float32 of shape (); NaN if the first loss is the lowest or there are fewer than 5 points.

    Source: the reading of the range test in MXNet's tutorial "Learning Rate Finder", which picks 0.05 below an edge at 0.1.

    >>> print(edge(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.0, 1.0, 2.0, 9.0])))
    0.2
    """
    return minimum(rates, losses, divisor=2.0)


@silent
def valley(rates: Any, losses: Any, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """A rate half-way down the longest valley: the longest run of losses, not adjacent ones only, of which each is lower.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      skip_begin, skip_end: how many points are left out at the ends; fastai leaves out a tenth and 5.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    Source: fastai's suggestion of that name, after ESRI's.

    >>> print(valley(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 3.5, 2.0, 1.5, 0.9])))
    0.2
    """
    xp, rates, losses, count = known("valley", rates, losses, skip_begin, skip_end)
    places = xp.arange(rates.size)

    depths = xp.where(places < count, -losses, xp.inf)

    def extend(place: Any, runs: tuple[Any, Any]) -> tuple[Any, Any]:
        lengths, ends = runs
        longest = xp.searchsorted(ends, depths[place])  # of the runs before that this loss can go on
        return put(xp, lengths, place, (longest + 1).astype(places.dtype)), put(xp, ends, longest, depths[place])

    # how long the longest falling run to each place is, and the least depth at which a run of each length ends
    begun = xp.zeros_like(places), xp.full(rates.size, xp.inf, xp.float32)
    lengths = xp.where(places < count, repeat(xp, rates.size, extend, begun)[0], 0)
    end = xp.argmax(lengths)
    start = end - lengths[end]
    third = (end - start).astype(xp.float32) / 3
    place = start + third.astype(places.dtype) + (third / 2).astype(places.dtype)
    # a run that begins at the first loss starts at -1, which Python counts from the end: so do we
    place = xp.where(place < 0, place + count, place)
    return xp.float32(xp.where((count >= FEWEST) & (lengths[end] > 1), rates[place], xp.nan))


@silent
def slide(rates: Any, losses: Any, width: int = 15, threshold: float = 0.005, skip_begin: int = 0, skip_end: int = 0) -> Scalar:
    """Slides from the right to the first place where the slope is level over `width` points.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      width: points between the two slopes that are compared.
      threshold: slopes closer than this are level; in units of the loss.
      skip_begin, skip_end: how many points are left out at the ends; fastai leaves out a tenth and 5.

    Returns: a rate, float32 of shape (); NaN if there are no more than `width` points.

    Source: fastai's suggestion of that name.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{slide(rates, 1 / (1 + (rates / 0.1) ** 2)):.4f}")
    0.0004
    """
    xp, rates, losses, count = known("slide", rates, losses, skip_begin, skip_end)
    places = xp.arange(rates.size)
    last = xp.maximum(count - 1, 0)
    before, after = xp.maximum(places - 1, 0), xp.minimum(places + 1, last)
    slopes = (losses[after] - losses[before]) / xp.maximum(after - before, 1).astype(xp.float32)
    # counted from the right end, so that padding moves nothing
    right = xp.maximum(last - places, 0)
    left = right - width
    steep = (left >= 0) & (xp.abs(slopes[right] - slopes[xp.maximum(left, 0)]) > threshold)
    slid = xp.sum(xp.cumprod(steep.astype(xp.int32)))
    return xp.float32(
        xp.where((count >= FEWEST) & (count > width), rates[xp.maximum(last - width - xp.maximum(slid - 1, 0), 0)], xp.nan)
    )
