"""Suggestions: pure functions of a curve, `(rates, losses) -> rate`, in jnp, so that they jit and vmap.

Curves may be padded with NaN at their end. What a curve does not support is NaN. The loss of update `i` is measured before
rate `i` acts, so what rate `i` did is seen in the loss of update `i + 1`: every rule pairs the two.
"""

from typing import Any

import jax
import jax.numpy as jnp

FEWEST = 5
"""A curve of fewer updates supports no suggestion."""


def pair(rates: Any, losses: Any) -> tuple[jax.Array, jax.Array]:
    """Each rate with the loss measured after it acted; NaN where either is missing, or where a loss is not finite."""
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    after = jnp.where(jnp.isfinite(losses[1:]), losses[1:], jnp.nan)
    return jnp.where(jnp.isnan(after), jnp.nan, rates[:-1]), after


def smooth(rates: Any, losses: Any, width: float = 0.5) -> jax.Array:
    """A finished curve without its noise and without lag: a mean over the rates within `width` decades to either side.

    The weights fall in a straight line with the distance on the logarithmic axis. What is above twice the first loss's distance
    from the lowest is cut there first, so that an explosion does not reach back into the curve before it.

    Args:
      rates: float (n,), > 0.
      losses: float (n,); what is not finite has no weight.
      width: half the width of the window, in decades.

    Returns: float32 (n,), NaN where a rate or the loss itself is missing.

    >>> print(smooth(jnp.geomspace(1e-3, 1.0, 5), jnp.array([3.0, 3.0, 3.0, 1.0, 1.0]), width=1.0))
    [3.        3.        2.6666665 1.3333334 1.       ]
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    known = jnp.isfinite(losses) & jnp.isfinite(rates)
    places = jnp.log10(jnp.where(known, rates, 1.0))
    first = losses[jnp.argmax(known)]
    lowest = jnp.min(jnp.where(known, losses, jnp.inf))
    capped = jnp.where(known, jnp.minimum(losses, lowest + 2 * (first - lowest)), 0.0)
    weights = jnp.where(known[None, :], jnp.maximum(1 - jnp.abs(places[:, None] - places[None, :]) / width, 0), 0.0)
    means = (weights @ capped) / jnp.maximum(jnp.sum(weights, axis=1), 1e-9)
    return jnp.where(known, means, jnp.nan)


def steepest(rates: Any, losses: Any) -> jax.Array:
    """The rate at which the loss falls steepest over the logarithm of the rate, safely below where it stops falling.

    Only the part of the curve before its minimum counts, and the suggestion is at most half the rate at the minimum.

    Args:
      rates: float (n,), rising, > 0.
      losses: float (n,), best smoothed; `losses[i]` is measured before `rates[i]` acts.

    Returns: a rate, float32 of shape (); NaN if the loss falls nowhere or there are fewer than 5 updates.

    Source: the usual reading of the range test of Smith 2015.

    >>> rates = jnp.geomspace(1e-4, 1.0, 41)
    >>> losses = 1 / (1 + (rates / 0.01) ** 2) + 10 * rates**2
    >>> print(f"{steepest(rates, losses):.4f}")
    0.0079
    """
    rates, after = pair(rates, losses)
    enough = jnp.sum(~jnp.isnan(after)) >= FEWEST - 1
    logs = jnp.log(rates)
    slopes = (after[2:] - after[:-2]) / (logs[2:] - logs[:-2])
    slopes = jnp.concatenate([jnp.array([jnp.nan]), slopes, jnp.array([jnp.nan])])
    lowest = jnp.argmin(jnp.where(jnp.isnan(after), jnp.inf, after))
    slopes = jnp.where(jnp.isnan(slopes) | (jnp.arange(slopes.size) > lowest), jnp.inf, slopes)
    place = jnp.argmin(slopes)
    found = jnp.minimum(rates[place], rates[lowest] / 2)
    return jnp.where(enough & (slopes[place] < 0), found, jnp.nan)


def is_flat(losses: Any) -> jax.Array:
    """Whether a loss never falls by more than its noise: twice the typical change from one update to the next.

    Means of five updates are compared. The typical change is the median of the absolute differences, so neither a steep part
    nor an explosion counts as noise.

    >>> print(is_flat(jnp.ones(20)), is_flat(jnp.linspace(1.0, 0.5, 20)))
    True False
    """
    losses = jnp.asarray(losses, jnp.float32)
    losses = jnp.where(jnp.isfinite(losses), losses, jnp.nan)
    means = jnp.convolve(losses, jnp.full(FEWEST, 1 / FEWEST, jnp.float32), mode="valid")
    fall = means[0] - jnp.nanmin(means)
    noise = jnp.nanmedian(jnp.abs(jnp.diff(losses)))
    return ~(fall > 2 * noise) | ~(fall > 1e-4 * jnp.abs(means[0]))
