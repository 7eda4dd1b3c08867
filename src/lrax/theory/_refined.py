"""The schedule that the gradient norms of a past run ask for."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import as_array, is_concrete
from lrax.fields._rules import whole_number
from lrax.fields._words import argument_error, choice
from lrax.schedules._tables import Piecewise

KNOTS = 1000
"""A refined schedule leads through at most this many rates."""


def refined(
    gradient_norms: Any,
    total_steps: int | None = None,
    *,
    norm: Literal["l2", "l1"] = "l2",
    smooth: float = 0.1,
    peak: Any = 1.0,
) -> Piecewise:
    r"""The schedule that is best in theory for a run whose gradients have these norms.

    $$w_t = G_t^{-2}, \qquad \eta_t \propto w_t \sum_{p \ge t} w_p$$ with $w_t = G_t^{-1}$ for `"l1"`, scaled to a highest rate
    of `peak`. Norms that stay the same give the straight line to 0; norms that fall at the start give a warm-up, norms that
    rise towards the end a faster fall.

    It was derived for convex losses and is right for the norms of the *next* run, of which those of the last are a guess: make
    it from a run of the same model and data. A run whose gradients vanish (a loss near 0) asks for rates that climb to
    the end, which is a sign that the theory does not fit, not a schedule to train with.

    Args:
      gradient_norms: of the updates of a run, or of every so many, at equal distances; above 0, shape (n,). States of
        `lrax.recorded(..., norm="l2")` keep the one of the last update.
      total_steps: the length of the new run in updates, at least n; by default n.
      norm: how they were measured: `"l2"`, which is for SGD, or `"l1"`, the sum of the sizes, which is for Adam and its kin.
      smooth: the width of the median filter that goes over the norms first, as a part of the run, from 0 (none) to 1.
      peak: the highest rate.

    Returns: a `Piecewise` through one rate for each norm, and 0 at count `total_steps`. More than 1,000 norms are first taken
      together by the medians of neighbours. The norms and `peak` may be traced.

    Raises: TypeError or ValueError if an argument is none of these.

    Source: Defazio, Cutkosky, Mehta & Mishchenko 2023, When, why and how much? Adaptive learning rate scheduling by refinement
      (arXiv 2310.07831), algorithms 1 and 2. There the sum begins after $t$, so that the last update has the rate 0; here it
      begins at $t$, so that `Linear` is what the straight line is.

    >>> print(refined(np.full(5, 3.0)))
    Piecewise(values=[1.0, 0.8, 0.6, 0.4, 0.2, 0.0], counts=[0, 1, 2, 3, 4, 5])
    """
    norms = as_array(gradient_norms)
    needs = "norms of gradients, finite numbers above 0 of shape (n,)"
    if norms.ndim != 1 or norms.dtype.kind not in "iuf" or not norms.size:
        raise argument_error(TypeError, "refined", "gradient_norms", needs, gradient_norms)
    if is_concrete(norms) and not np.all((np.asarray(norms) > 0) & np.isfinite(norms)):
        raise argument_error(
            ValueError, "refined", "gradient_norms", needs, gradient_norms, "leave out updates that were skipped"
        )
    if not isinstance(smooth, int | float) or not 0 <= smooth <= 1:
        raise argument_error(ValueError, "refined", "smooth", "a part of the run, from 0 to 1", smooth)
    steps = whole_number("refined", "total_steps", norms.size if total_steps is None else total_steps, norms.size)
    power = {"l2": 2, "l1": 1}[choice("refined", "norm", norm, ("l2", "l1"))]
    knots = min(norms.size, KNOTS)
    values = peak * _shape(jnp.asarray(norms, jnp.float32), knots, max(int(smooth * knots) // 2, 0), power)
    counts = np.arange(knots + 1, dtype=np.int64) * steps // knots
    return Piecewise(values=values, counts=counts.astype(np.int32))


def _shape(norms: jax.Array, knots: int, half: int, power: int) -> jax.Array:
    """The rate at each knot, the highest 1, and a 0 at the end."""
    if norms.size > knots:
        places = np.arange(knots) * norms.size // knots
        each = math.ceil(norms.size / knots)
        norms = jnp.median(norms[np.minimum(places[:, None] + np.arange(each), norms.size - 1)], axis=1)
    if half:
        beside = np.abs(np.arange(knots)[:, None] + np.arange(-half, half + 1))  # reflected at both ends
        beside = np.where(beside >= knots, np.maximum(2 * knots - 2 - beside, 0), beside)
        norms = jnp.median(norms[beside], axis=1)
    weights = (norms / jnp.min(norms)) ** -power  # at most 1, so that nothing overflows
    rates = weights * jnp.cumsum(weights[::-1])[::-1]
    return jnp.append(rates / jnp.max(rates), jnp.float32(0))
