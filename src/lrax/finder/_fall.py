"""The default rule: where the loss has made most of its fall, whatever the sign and the scale of the loss.

Derivatives and the edge of divergence scatter with every batch; the rate at which a share of the whole fall is made scatters
least, and needs no unit. What remains is the bias between problems, which a slow ramp around the fall and its width correct:
where the fall is gradual a run is limited by time, and a higher rate would still help; where it is abrupt, a plateau was left.
"""

from typing import Any, NamedTuple

from lrax.finder._arrays import FEWEST, Scalar, as_curve, median, namespace, silent, window_means
from lrax.schedules._phases import Geometric

COARSE, SLOW = 100, 150
"""The updates of the fast ramp over all rates, and of the slow one around the fall."""

QUARTER, MOST = 0.25, 0.95
"""The shares of the fall whose rates are read."""

WIDE, NARROW = 0.55, 0.2
"""Half the windows, in decades, under which a ramp over all rates is read, and one around the fall."""


class Crossed(NamedTuple):
    """Where a curve has made some shares of its fall: rates, and losses, float32 of shape (shares,); NaN for none."""

    rates: Any
    losses: Any


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
    return namespace(rates, losses).float32(0.7 * crossed_once(rates, losses).rates[0])


@silent
def is_flat(rates: Any, losses: Any) -> Any:
    """Whether the loss never falls by more than its noise.

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(is_flat(rates, jnp.ones(250)), is_flat(rates, 1 / (1 + rates)))
    True False
    """
    return namespace(rates, losses).isnan(crossed_once(rates, losses).rates[0])


@silent
def center(rates: Any, losses: Any) -> Scalar:
    """Where a fast ramp has the action: the rate at 75 % of the fall. Half the noise will do, for the slow ramp decides."""
    xp, rates, losses = as_curve("center", rates, losses)
    base, noise = level(xp, rates, losses)
    return xp.float32(crossings(xp, rates, losses, base, noise / 2, (0.75,), WIDE).rates[0])


def slow_ramp(center: float) -> Geometric:
    """The second ramp: 2.25 decades in `SLOW` updates, a little less than one of them below `center`.

    A plateau shows a small early fall in the fast ramp, so the ramp goes well beyond.
    """
    return Geometric(center / 8, center / 8 * 10**2.25, SLOW - 1)


@silent
def fall_twice(fast: tuple[Any, Any], slow: tuple[Any, Any]) -> Scalar:
    r"""The rate from two ramps, $r_{95} \sqrt{r_{95} / r_{25}} / 3.1$.

    $r_{25}$ and $r_{95}$ are the rates at which the slow ramp has made 25 % and 95 % of its fall, below the level that the fast
    one began at.

    Args:
      fast: rates and losses of the fast ramp.
      slow: rates and losses of the slow ramp.

    Returns: a rate, float32 of shape (); NaN if the loss does not fall by more than its noise.
    """
    xp = namespace(fast, slow)
    quarter, most = crossed_twice(fast, slow).rates
    return xp.float32(most * xp.sqrt(most / quarter) / 3.1)


@silent
def crossed_once(rates: Any, losses: Any) -> Crossed:
    """What `fall` reads: where the loss has made 95 % of its fall."""
    xp, rates, losses = as_curve("fall", rates, losses)
    return crossings(xp, rates, losses, *level(xp, rates, losses), (MOST,), WIDE)


@silent
def crossed_twice(fast: tuple[Any, Any], slow: tuple[Any, Any]) -> Crossed:
    """What `fall_twice` reads: where the slow ramp has made 25 % and 95 % of its fall."""
    xp = namespace(fast, slow)
    base, noise = level(xp, *as_curve("fall_twice", *fast)[1:])
    return crossings(xp, *as_curve("fall_twice", *slow)[1:], base, noise, (QUARTER, MOST), NARROW)


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


def crossings(xp: Any, rates: Any, losses: Any, base: Any, noise: Any, fractions: tuple[float, ...], width: float) -> Crossed:
    """Where the loss has made these fractions of its fall below `base`; NaN if the fall is no more than noise.

    The fall is where the loss passes its half for the last time before its bottom. A smaller fraction is passed just before
    that, a larger one just after: noise on the way there moves neither, nor do bumps on a wide and flat bottom.
    """
    depths = mean_depths(xp, rates, losses, base, width)
    whole, lowest, places = xp.max(depths), xp.argmax(depths), xp.arange(rates.size)
    fallen = depths / xp.maximum(whole, 1e-30)
    half = xp.max(xp.where((fallen < 0.5) & (places < lowest), places, 0))

    def crossing(fraction: float) -> Any:
        before = xp.max(xp.where((fallen < fraction) & (places <= half), places, 0))
        after = xp.argmax((fallen >= fraction) & (places > half)) - 1
        place = xp.maximum(before if fraction <= 0.5 else after, 0)
        part = (fraction - fallen[place]) / xp.maximum(fallen[place + 1] - fallen[place], 1e-30)
        return rates[place] * (rates[place + 1] / rates[place]) ** xp.clip(part, 0, 1)

    # a curve that is lowest at its start only rises
    falls = (whole > noise) & (lowest > 0) & (xp.sum(xp.isfinite(rates)) >= FEWEST)
    heights = xp.stack([base - fraction * whole for fraction in fractions])
    crossed = xp.stack([crossing(fraction) for fraction in fractions])
    return Crossed(xp.where(falls, crossed, xp.nan), xp.where(falls, heights, xp.nan))
