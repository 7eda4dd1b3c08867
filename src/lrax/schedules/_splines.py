"""A smooth curve through values at counts."""

from typing import Any, final

import jax
import jax.numpy as jnp

from lrax.fields._shares import CountsOrShares, Total
from lrax.fields._types import Rates, default
from lrax.schedules._counting import fractions
from lrax.schedules._tables import Table, check_as_many, passed, picked


def divided(numerator: jax.Array, denominator: jax.Array, otherwise: float) -> jax.Array:
    """A quotient, and another number where it has none."""
    has = denominator != 0
    return jnp.where(has, numerator / jnp.where(has, denominator, 1.0), otherwise)


def inner_slope(here: jax.Array, beyond: jax.Array, own: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The slope at a knot between two pieces, as a multiple of that of one of them, and 3 less that; both are at least 0.

    `here` and `beyond` are the rises of that piece and of the other, `own` and `other` their shares of the length of both.
    The slope is the harmonic mean of theirs with weights `own + 1` and `other + 1`, and 0 where they differ in sign.
    """
    steep, shallow = here * other, beyond * own  # in proportion to the slopes
    level = (own + 1) * steep + (other + 1) * shallow
    same = here * jnp.sign(beyond) > 0
    slope = jnp.where(same, divided(3 * shallow, level, 0.0), 0.0)
    return slope, jnp.where(same, divided(3 * ((own + 1) * steep + other * shallow), level, 3.0), 3.0)


def outer_slope(here: jax.Array, beyond: jax.Array, own: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The slope at the first or last knot: that of the parabola through three knots, kept between 0 and 3."""
    steep, shallow = here * other, beyond * own
    steeper = own * jnp.abs(shallow) < 4 * jnp.abs(steep)  # elsewhere it is kept, at the end that the signs say
    kept = jnp.where(here * jnp.sign(beyond) > 0, 0.0, 3.0)
    slope = jnp.where(steeper, jnp.clip(1 + own - own * divided(shallow, jnp.where(steeper, steep, 0.0), 0.0), 0.0, 3.0), kept)
    return slope, 3 - slope


@final
class Spline(Table):
    r"""Leads through `values` at `counts` on a smooth curve that never overshoots; the first and the last are held.

    Between two knots it is the cubic with the values and the slopes there. The slope at a knot is the harmonic mean of those of
    the two straight pieces beside it, weighted by their lengths, and 0 where one climbs and the other falls or either is
    level: so the curve is monotone wherever the values are, and smooth (PCHIP).

    $$\eta(t) = v_k\, l\,(b s^2 + l^2 + (3 - a) s l) + v_{k+1}\, s\,(a l^2 + s^2 + (3 - b) s l), \quad
    s = \tfrac{t - c_k}{c_{k+1} - c_k} = 1 - l$$

    with a and b the slopes at both ends as multiples of that of the straight piece. The compiled size does not depend on the
    number of values. The value is within 16 float32 ulp of the formula; between the first two knots and between the last two,
    whose outer slope is a difference, of the larger of both values.

    Args:
      values: rates, one a count, at least two; shape (n,).
      counts: counts at which each value is reached, that rise strictly: in updates, integers >= 0, or as shares of the total,
        of which 1.0 after another is all; shape (n,). They may be traced.
      total_steps: the whole length in updates; None for the last of `counts`, or for a plan with shares that waits for it.

    Raises: ValueError if `counts` is unsorted or negative, or the two lists are not of one length.

    Source: Fritsch & Butland 1984, A method for constructing local monotone piecewise cubic interpolants; equals SciPy's
      `PchipInterpolator`.

    >>> print(Spline(values=[0.0, 1.0, 0.5, 0.5], counts=[0, 10, 20, 30])(jnp.array([0, 5, 10, 15, 25])))
    [0.      0.71875 1.      0.75    0.5    ]
    """

    values: Rates
    counts: CountsOrShares
    total_steps: Total = default(None)

    def check(self) -> None:
        check_as_many("Spline", self.values, self.counts, "counts")
        Table.check(self)

    def rate(self, count: jax.Array) -> jax.Array:
        counts = self.at()
        last = counts.shape[-1] - 2
        k = jnp.clip(passed(counts, count) - 1, 0, last)
        begin = picked(counts, k)
        done, left = fractions(jnp.maximum(count - begin, 0), picked(counts, k + 1) - begin)
        first_slope, first_rest = self._slope(counts, k, jnp.where(k > 0, k - 1, min(1, last)), k > 0)
        last_slope, last_rest = self._slope(counts, k, jnp.where(k < last, k + 1, max(last - 1, 0)), k < last)
        falling = left * (last_slope * done * done + left * left + first_rest * done * left)
        rising = done * (first_slope * left * left + done * done + last_rest * done * left)
        value, following = picked(self.values, k), picked(self.values, k + 1)
        rate = value * falling + following * rising
        between = jnp.clip(rate, jnp.minimum(value, following), jnp.maximum(value, following))
        return rate + jax.lax.stop_gradient(between - rate)  # rounding may take it an ulp beyond; gradients are the formula's

    def _slope(self, counts: Any, k: jax.Array, beside: jax.Array, inside: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The slope at one end of piece `k`, and 3 less that; `beside` is the piece that it depends on."""
        if counts.shape[-1] == 2:
            return jnp.ones_like(k, jnp.float32), jnp.full_like(k, 2, jnp.float32)
        here, beyond = (picked(self.values, piece + 1) - picked(self.values, piece) for piece in (k, beside))
        scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(here), jnp.abs(beyond)))
        here, beyond = divided(here, scale, 0.0), divided(beyond, scale, 0.0)  # only their ratio matters
        lengths = [picked(counts, piece + 1) - picked(counts, piece) for piece in (k, beside)]
        own, other = fractions(lengths[0], lengths[0] + lengths[1])
        pairs = zip(inner_slope(here, beyond, own, other), outer_slope(here, beyond, own, other), strict=True)
        inner, outer = (jnp.where(inside, *pair) for pair in pairs)
        return inner, outer

    @property
    def length(self) -> Any:
        return self.at()[..., -1] if self.total_steps is None else self.total_steps
