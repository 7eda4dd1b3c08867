"""Suggestions: pure functions of a curve, `(rates, losses) -> rate`, in jnp, so that they jit and vmap.

`losses[i]` is the loss after an update at `rates[i]`: `Curve.paired` pairs the two, because a range test measures each loss
before its own rate acts. Curves may be padded with NaN, and end at their first loss that is not finite. What a curve does not
support is NaN.
"""

from typing import Any

import jax
import jax.numpy as jnp

FEWEST = 5
"""A curve of fewer points supports no suggestion."""


def known(rates: Any, losses: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rates and losses as float32, and how many points there are before the first that is not finite."""
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    finite = jnp.isfinite(rates) & jnp.isfinite(losses)
    return rates, losses, jnp.sum(jnp.cumprod(finite.astype(jnp.int32)))


def steepest(rates: Any, losses: Any) -> jax.Array:
    """The rate at which the loss falls steepest over the logarithm of the rate.

    The slope is the central difference, one-sided at both ends: on a geometric ramp that is where torch-lr-finder's marker
    stands. Noise makes slopes, so give it a smoothed curve.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{steepest(rates, 1 / (1 + (rates / 0.01) ** 2)):.4f}")
    0.0100
    """
    rates, losses, count = known(rates, losses)
    places = jnp.arange(rates.size)
    before, after = jnp.maximum(places - 1, 0), jnp.minimum(places + 1, jnp.maximum(count - 1, 0))
    logs = jnp.log(rates)
    rise = losses[after] - losses[before]
    slopes = jnp.where((places < count) & (after > before), rise / (logs[after] - logs[before]), jnp.inf)
    place = jnp.argmin(slopes)
    return jnp.where((count >= FEWEST) & (slopes[place] < 0), rates[place], jnp.nan)


def minimum(rates: Any, losses: Any, divisor: float = 10.0) -> jax.Array:
    """A tenth of the rate at which the loss is lowest.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      divisor: what the rate at the minimum is divided by.

    Returns: a rate, float32 of shape (); NaN if the first loss is the lowest or there are fewer than 5 points.

    Source: fastai's suggestion of that name.

    >>> print(minimum(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 2.0, 1.0, 2.0, 9.0])))
    0.04
    """
    rates, losses, count = known(rates, losses)
    place = jnp.argmin(jnp.where(jnp.arange(rates.size) < count, losses, jnp.inf))
    return jnp.where((count >= FEWEST) & (place > 0), rates[place] / divisor, jnp.nan)


def edge(rates: Any, losses: Any) -> jax.Array:
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


def valley(rates: Any, losses: Any) -> jax.Array:
    """A rate half-way down the longest valley: the longest run of losses, not adjacent ones only, of which each is lower.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 points.

    Source: fastai's suggestion of that name, after ESRI's.

    >>> print(valley(jnp.array([0.1, 0.2, 0.4, 0.8, 1.6]), jnp.array([3.0, 3.5, 2.0, 1.5, 0.9])))
    0.2
    """
    rates, losses, count = known(rates, losses)
    places = jnp.arange(rates.size)

    def extend(place: jax.Array, lengths: jax.Array) -> jax.Array:  # lengths of the longest falling runs that end at each place
        higher = (places < place) & (losses > losses[place])
        return lengths.at[place].set(1 + jnp.max(jnp.where(higher, lengths, 0), initial=0))

    lengths = jax.lax.fori_loop(0, rates.size, extend, jnp.ones(rates.size, jnp.int32))
    lengths = jnp.where(places < count, lengths, 0)
    end = jnp.argmax(lengths)
    start = end - lengths[end]
    third = (end - start).astype(jnp.float32) / 3
    place = start + third.astype(jnp.int32) + (third / 2).astype(jnp.int32)
    # a run that begins at the first loss starts at -1, which Python counts from the end: so do we
    place = jnp.where(place < 0, place + count, place)
    return jnp.where((count >= FEWEST) & (lengths[end] > 1), rates[place], jnp.nan)


def slide(rates: Any, losses: Any, width: int = 15, threshold: float = 0.005) -> jax.Array:
    """Slides from the right to the first place where the slope is level over `width` points.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), the loss after an update at that rate.
      width: points between the two slopes that are compared.
      threshold: slopes closer than this are level; in units of the loss.

    Returns: a rate, float32 of shape (); NaN if there are no more than `width` points.

    Source: fastai's suggestion of that name.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> print(f"{slide(rates, 1 / (1 + (rates / 0.1) ** 2)):.4f}")
    0.0004
    """
    rates, losses, count = known(rates, losses)
    places = jnp.arange(rates.size)
    last = jnp.maximum(count - 1, 0)
    before, after = jnp.maximum(places - 1, 0), jnp.minimum(places + 1, last)
    slopes = (losses[after] - losses[before]) / jnp.maximum(after - before, 1).astype(jnp.float32)
    # counted from the right end, so that padding moves nothing
    right = jnp.maximum(last - places, 0)
    left = right - width
    steep = (left >= 0) & (jnp.abs(slopes[right] - slopes[jnp.maximum(left, 0)]) > threshold)
    slid = jnp.sum(jnp.cumprod(steep.astype(jnp.int32)))
    return jnp.where(count > width, rates[jnp.maximum(last - width - jnp.maximum(slid - 1, 0), 0)], jnp.nan)
