"""The default rule: where the loss has made most of its fall, whatever the sign and the scale of the loss.

Derivatives and the edge of divergence scatter with every batch; the rate at which a share of the whole fall is made scatters
least, and needs no unit. What remains is the bias between problems, which a slow ramp around the fall and its width correct:
where the fall is gradual a run is limited by time, and a higher rate would still help; where it is abrupt, a plateau was left.
"""

from typing import Any

import jax
import jax.numpy as jnp

from lrax.schedules._phases import Geometric

COARSE, SLOW = 100, 150
"""The updates of the fast ramp over all rates, and of the slow one around the fall."""


def fall(rates: Any, losses: Any) -> jax.Array:
    """The rate from one ramp: 0.7 of the rate at which the loss has made 95 % of its fall.

    Args:
      rates: float (n,), rising, > 0, from rates too low to change anything.
      losses: float (n,), the loss after an update at that rate; one that is not finite counts as a blow-up. Curves may be
        padded with NaN rates.

    Returns: a rate, float32 of shape (); NaN if the loss does not fall by more than its noise.

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(f"{fall(rates, 1 / (1 + (rates / 0.01) ** 2)):.2f}")
    0.04
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    return 0.7 * crossings(rates, losses, *level(rates, losses), (0.95,), 0.55)[0]


def is_flat(rates: Any, losses: Any) -> jax.Array:
    """Whether the loss never falls by more than its noise.

    >>> rates = jnp.geomspace(1e-7, 100.0, 250)
    >>> print(is_flat(rates, jnp.ones(250)), is_flat(rates, 1 / (1 + rates)))
    True False
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    return jnp.isnan(crossings(rates, losses, *level(rates, losses), (0.95,), 0.55)[0])


def center(rates: Any, losses: Any) -> jax.Array:
    """Where a fast ramp has the action: the rate at 75 % of the fall. Half the noise will do, for the slow ramp decides."""
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    base, noise = level(rates, losses)
    return crossings(rates, losses, base, noise / 2, (0.75,), 0.55)[0]


def slow_ramp(center: float) -> Geometric:
    """The second ramp: 2.25 decades in `SLOW` updates, a little less than one of them below `center`.

    A plateau shows a small early fall in the fast ramp, so the ramp goes well beyond.
    """
    return Geometric(center / 8, center / 8 * 10**2.25, SLOW - 1)


def fall_twice(fast: tuple[Any, Any], slow: tuple[Any, Any]) -> jax.Array:
    r"""The rate from two ramps, $r_{95} \sqrt{r_{95} / r_{25}} / 3.1$.

    $r_{25}$ and $r_{95}$ are the rates at which the slow ramp has made 25 % and 95 % of its fall, below the level that the fast
    one began at.

    Args:
      fast: rates and losses of the fast ramp.
      slow: rates and losses of the slow ramp.

    Returns: a rate, float32 of shape (); NaN if the loss does not fall by more than its noise.
    """
    base, noise = level(*fast)
    quarter, most = crossings(*slow, base, noise, (0.25, 0.95), 0.2)
    return most * jnp.sqrt(most / quarter) / 3.1


def level(rates: Any, losses: Any) -> tuple[jax.Array, jax.Array]:
    """The loss before anything was learnt, and the smallest fall below it that is more than noise.

    Both are read off the first two decades of the rates: their median, and twice the standard error that the median of so many
    losses and a mean of twenty have together.
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    early = jnp.where((rates <= 100 * rates[0]) & jnp.isfinite(losses), losses, jnp.nan)
    base = jnp.nanmedian(early)
    deviation = 1.5 * jnp.nanmedian(jnp.abs(early - base)) + 1e-5 * jnp.abs(base)
    measured = jnp.sum(jnp.isfinite(early)).astype(jnp.float32)
    return base, 2 * deviation * jnp.sqrt(1.57 / measured + 1 / 20)


def capped_mean(rates: jax.Array, losses: jax.Array, base: jax.Array, width: float) -> jax.Array:
    """The losses under a triangle of `width` decades to either side, after blow-ups are cut half a fall above `base`.

    A loss that is not finite is a blow-up; where a rate is NaN there is nothing, and the mean is infinite. The fall is measured
    down to the fourth smallest loss, so that three lucky batches do not set the scale.
    """
    known = jnp.isfinite(rates)
    high = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
    lowest = jnp.sort(high)[min(3, losses.size - 1)]
    capped = jnp.minimum(high, base + 0.5 * jnp.maximum(base - lowest, 0))
    decades = jnp.log10(jnp.where(known, rates, 1.0))
    weights = jnp.where(known[None, :], jnp.maximum(1 - jnp.abs(decades[:, None] - decades[None, :]) / width, 0), 0.0)
    return jnp.where(known, weights @ capped / jnp.maximum(jnp.sum(weights, axis=1), 1e-6), jnp.inf)


def crossings(
    rates: Any, losses: Any, base: jax.Array, noise: jax.Array, fractions: tuple[float, ...], width: float
) -> jax.Array:
    """The rates at which the loss has made these fractions of its fall below `base`; NaN if the fall is no more than noise.

    The fall is where the loss passes its half for the last time before its bottom. A smaller fraction is passed just before
    that, a larger one just after: noise on the way there moves neither, nor do bumps on a wide and flat bottom.
    """
    rates, losses = jnp.asarray(rates, jnp.float32), jnp.asarray(losses, jnp.float32)
    mean = capped_mean(rates, losses, base, width)
    decades, bottom, places = jnp.log10(rates), jnp.min(mean), jnp.arange(rates.size)
    lowest = jnp.argmin(mean)
    fallen = (base - mean) / jnp.maximum(base - bottom, 1e-30)
    half = jnp.max(jnp.where((fallen < 0.5) & (places < lowest), places, 0))

    def crossing(fraction: float) -> jax.Array:
        before = jnp.max(jnp.where((fallen < fraction) & (places <= half), places, 0))
        after = jnp.argmax((fallen >= fraction) & (places > half)) - 1
        place = jnp.maximum(before if fraction <= 0.5 else after, 0)
        part = (fraction - fallen[place]) / jnp.maximum(fallen[place + 1] - fallen[place], 1e-30)
        return 10 ** (decades[place] + (decades[place + 1] - decades[place]) * jnp.clip(part, 0, 1))

    falls = (base - bottom > noise) & (lowest > 0)  # a curve that is lowest at its start only rises
    return jnp.where(falls, jnp.stack([crossing(fraction) for fraction in fractions]), jnp.nan)
