"""Where a ramp's loss has made most of its fall, whatever the sign and the scale of the loss.

Derivatives and the edge of divergence scatter with every batch; the rate at which a share of the whole fall is made scatters
least, and needs no unit.
"""

from typing import Any, NamedTuple

from lrax.finder._arrays import FEWEST, Scalar, as_curve, median, namespace, silent, window_means

CENTER, MOST = 0.75, 0.95
"""The shares of the fall whose rates are read: to run around, and for a suggestion from the ramp alone."""

WIDE = 0.55
"""Half the window, in decades, under which a ramp is read."""


class Crossed(NamedTuple):
    """Where a curve has made a share of its fall: a rate and a loss, float32 of shape (); NaN for none."""

    rate: Any
    loss: Any


@silent
def fall(rates: Any, losses: Any) -> Scalar:
    """The rate from one ramp: 0.7 of the rate at which the loss has made 95 % of its fall.

    Args:
      rates: float (n,), rising, > 0, from rates too low to change anything.
      losses: float (n,), the loss after an update at that rate; one that is not finite counts as a blow-up. Curves may be
        padded with NaN rates.

    Returns: a rate, float32 of shape (); NaN if the loss does not fall by more than its noise or there are fewer than 5 points.

    Raises: ValueError if the two are not of one shape (n,).

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(f"{fall(rates, 1 / (1 + (rates / 0.01) ** 2)):.2f}")
    0.04
    """
    return namespace(rates, losses).float32(0.7 * crossed(rates, losses, MOST).rate)


@silent
def is_flat(rates: Any, losses: Any) -> Any:
    """Whether the loss never falls by more than its noise.

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(is_flat(rates, jnp.ones(250)), is_flat(rates, 1 / (1 + rates)))
    True False
    """
    return namespace(rates, losses).isnan(crossed(rates, losses, MOST).rate)


@silent
def center(rates: Any, losses: Any) -> Scalar:
    """Where a ramp has the action: the rate at 75 % of the fall. Half the noise will do, for short runs decide."""
    return namespace(rates, losses).float32(crossed(rates, losses, CENTER, 0.5).rate)


@silent
def crossed(rates: Any, losses: Any, share: float, trust: float = 1.0) -> Crossed:
    """Where the loss has made a share of its fall, which must be more than `trust` times the noise."""
    xp, rates, losses = as_curve("fall", rates, losses)
    base, noise = level(xp, rates, losses)
    return crossing(xp, rates, losses, (base, noise), share, trust)


def level(xp: Any, rates: Any, losses: Any) -> tuple[Any, Any]:
    """The loss before anything was learnt, and the smallest fall below it that is more than noise.

    Both are read off the first two decades of the rates: their median, and twice the standard error that the median of so many
    losses and a mean of twenty have together.
    """
    early = (rates <= 100 * rates[0]) & xp.isfinite(losses)
    base = median(xp, losses, early)
    deviation = 1.5 * median(xp, xp.abs(losses - base), early) + 1e-5 * xp.abs(base)
    measured = xp.sum(early).astype(xp.float32)
    return base, 2 * deviation * xp.sqrt(1.57 / measured + 1 / 20)


def mean_depths(xp: Any, rates: Any, losses: Any, base: Any, width: float) -> Any:
    """How far below `base` the losses lie, under a triangle of `width` decades to either side; blow-ups are cut above it.

    A loss that is not finite is a blow-up; where a rate is NaN there is nothing, and the depth is minus infinity. What lies
    higher than half a fall above `base` is cut there; the fall is measured down to the fourth smallest loss, so that three
    lucky batches do not set the scale. Depths are averaged, and not losses, so that nothing is rounded where a fall is small
    beside the loss.
    """
    known = xp.isfinite(rates)
    depths = xp.where(xp.isfinite(losses), base - losses, -xp.inf)
    whole = xp.maximum(xp.sort(depths)[-4], 0)
    return xp.where(known, window_means(xp, rates, known, xp.maximum(depths, -0.5 * whole), width), -xp.inf)


def crossing(xp: Any, rates: Any, losses: Any, level: tuple[Any, Any], share: float, trust: float) -> Crossed:
    """Where the loss has made this share, 50 % or more, of its fall below its first level; NaN if that is lost in the noise.

    The bottom is the last place that is as deep as the deepest but for half the noise: a lucky batch at a rate too low to do
    anything is no bottom. The fall is where the loss passes its half for the last time before that, and the share is passed
    just after it, so that bumps on a wide and flat bottom do not move it.
    """
    base, noise = level
    depths = mean_depths(xp, rates, losses, base, WIDE)
    whole, places = xp.max(depths), xp.arange(rates.size)
    lowest = xp.max(xp.where(depths >= whole - xp.minimum(noise / 2, whole / 4), places, 0))
    fallen = depths / xp.maximum(whole, 1e-30)
    half = xp.max(xp.where((fallen < 0.5) & (places < lowest), places, 0))
    place = xp.maximum(xp.argmax((fallen >= share) & (places > half)) - 1, 0)
    part = (share - fallen[place]) / xp.maximum(fallen[place + 1] - fallen[place], 1e-30)
    rate = rates[place] * (rates[place + 1] / rates[place]) ** xp.clip(part, 0, 1)
    # a curve that is lowest at its start only rises
    falls = (whole > trust * noise) & (xp.argmax(depths) > 0) & (xp.sum(xp.isfinite(rates)) >= FEWEST)
    return Crossed(xp.where(falls, rate, xp.nan), xp.where(falls, base - share * whole, xp.nan))
