"""Schedules given by lists: values between boundaries, or values to lead through."""

from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._rules import Rule
from lrax.fields._types import Boundaries, Held, Numbers, Rates, Wholes
from lrax.fields._words import complain
from lrax.schedules._base import Schedule
from lrax.schedules._counting import fractions
from lrax.schedules._modes import Mode
from lrax.schedules._shapes import SHAPES

PLACES = Rule("a list of whole counts", np.int32, rank=1)
PARTS = Rule("a list of numbers from 0 to 1", low=0, high=1, rank=1)


@final
class PiecewiseConstant(Schedule):
    r"""Stays at one value between each two boundaries.

    $$\eta(t) = values_k, \quad k = |\{b \in boundaries : b \le t\}|$$

    The compiled size does not depend on the number of boundaries.

    Args:
      values: rates, one more than there are boundaries; shape (n + 1,).
      boundaries: counts at which the next value begins, integers >= 0 that rise strictly, at least one; shape (n,).

    Raises: ValueError if `boundaries` is empty, unsorted or negative, or `values` is not one longer.

    >>> print(PiecewiseConstant(values=[1.0, 0.5, 0.2], boundaries=[250, 750])(jnp.array([249, 250, 750])))
    [1.  0.5 0.2]
    """

    values: Rates
    boundaries: Boundaries

    def check(self) -> None:
        if self.values.shape[-1] != self.boundaries.shape[-1] + 1:
            needs = f"one longer than `boundaries` ({self.boundaries.shape[-1]})"
            raise complain(ValueError, "PiecewiseConstant", "values", needs, self.values)

    @property
    def landmarks(self) -> list[int]:
        return np.asarray(self.boundaries).tolist()

    def rate(self, count: jax.Array) -> jax.Array:
        return jnp.asarray(self.values)[jnp.searchsorted(jnp.asarray(self.boundaries), count, side="right")]


@final
class Piecewise(Schedule):
    r"""Leads through `values` at `counts`, with one shape between each two, and holds the first before and the last after.

    $$\eta(c_k) = v_k, \qquad \eta(t) = shape\!\left(v_k, v_{k+1}, \tfrac{t - c_k}{c_{k+1} - c_k}\right)
    \quad (c_k \le t < c_{k+1})$$

    The compiled size does not depend on the number of values.

    Args:
      values: rates, one a count, at least two; shape (n,).
      counts: counts at which each value is reached, integers >= 0 that rise strictly; shape (n,).
      mode: shape between them: `"linear"`, `"cosine"`, `"geometric"` (straight on a logarithmic axis; values above 0) or
        another (see `Cooldown`).

    Raises: ValueError if `counts` is unsorted or negative, the two lists are not of one length, `mode` is unknown, or a value
      is not positive where `mode` is `"geometric"`.

    >>> print(Piecewise(values=[0.0, 1.0, 0.5], counts=[0, 10, 20])(jnp.array([5, 10, 15, 30])))
    [0.5  1.   0.75 0.5 ]
    """

    values: Rates
    counts: Boundaries
    mode: Mode = "linear"

    def check(self) -> None:
        if self.values.shape[-1] < 2 or self.values.shape[-1] != self.counts.shape[-1]:
            needs = f"at least two, as many as `counts` ({self.counts.shape[-1]})"
            raise complain(ValueError, "Piecewise", "values", needs, self.values)
        if self.mode == "geometric" and is_known(self.values) and np.any(np.asarray(self.values) <= 0):
            raise complain(ValueError, "Piecewise", "values", "above 0 in mode 'geometric'", self.values)

    @property
    def landmarks(self) -> list[int]:
        return np.asarray(self.counts).tolist()

    def rate(self, count: jax.Array) -> jax.Array:
        values, counts = jnp.asarray(self.values), jnp.asarray(self.counts)
        piece = jnp.clip(jnp.searchsorted(counts, count, side="right") - 1, 0, len(counts) - 2)
        begin, following = counts[piece], counts[piece + 1]
        done, left = fractions(jnp.maximum(count - begin, 0), following - begin)
        return SHAPES[self.mode](values[piece], values[piece + 1], done, left)

    @property
    def length(self) -> Any:
        return self.counts[..., -1]


@final
class Knots(Schedule):
    r"""Leads through `values` at places that may lie between two counts, with one shape between each two.

    $$\eta(t) = shape\!\left(v_i, v_{i+1}, \tfrac{t - k_i}{k_{i+1} - k_i}\right) \quad (k_i \le t < k_{i+1}), \qquad
    k_i = counts_i + parts_i$$

    The first value is held before the first place, the last one after the last. For places that are counts use `Piecewise`.

    Args:
      values: learning rates, one for each place, at least two; shape (n,).
      counts: the places, rounded down, integers; one below 0 is a place before the first step; shape (n,).
      parts: what was rounded away, from 0 to 1; shape (n,). `counts + parts` rises strictly.
      mode: shape between them: `"linear"`, `"cosine"` or another (see `Cooldown`).

    Raises: ValueError if the three lists are not of one length, the places do not rise, or `mode` is unknown.

    Source: PyTorch, `OneCycleLR`, whose peak is at `pct_start * total_steps - 1`.

    >>> print(Knots(values=[0.0, 3.0, 0.0], counts=[0, 1, 4], parts=[0.0, 0.5, 0.0])(jnp.arange(5)))
    [0.  2.  2.4 1.2 0. ]
    """

    values: Rates
    counts: Annotated[Held[Wholes, jax.Array], PLACES]
    parts: Annotated[Held[Numbers, jax.Array], PARTS]
    mode: Mode = "linear"

    def check(self) -> None:
        sizes = {np.shape(one)[-1] for one in (self.values, self.counts, self.parts)}
        if len(sizes) > 1 or max(sizes) < 2:
            needs = "as long as `counts` and `parts`, at least two"
            raise complain(ValueError, "Knots", "values", needs, self.values)
        if is_known(self.counts) and is_known(self.parts):
            places = np.asarray(self.counts, np.float64) + np.asarray(self.parts, np.float64)
            if np.any(np.diff(places, axis=-1) <= 0):
                raise complain(ValueError, "Knots", "counts", "such that `counts + parts` rises strictly", places.tolist())

    @property
    def landmarks(self) -> list[int]:
        places = zip(np.asarray(self.counts).tolist(), np.asarray(self.parts).tolist(), strict=True)
        return [max(count + (part > 0), 0) for count, part in places]

    def rate(self, count: jax.Array) -> jax.Array:
        values, counts, parts = jnp.asarray(self.values), jnp.asarray(self.counts), jnp.asarray(self.parts)
        reached = counts + (parts > 0).astype(jnp.int32)
        i = jnp.clip(jnp.searchsorted(reached, count, side="right") - 1, 0, len(values) - 2)
        count = jnp.clip(count, counts[0], reached[-1])
        span = (counts[i + 1] - counts[i]).astype(jnp.float32) + (parts[i + 1] - parts[i])
        past = (count - counts[i]).astype(jnp.float32) - parts[i]
        ahead = (counts[i + 1] - count).astype(jnp.float32) + parts[i + 1]
        done, left = jnp.clip(past / span, 0, 1), jnp.clip(ahead / span, 0, 1)
        return SHAPES[self.mode](values[i], values[i + 1], done, left)

    @property
    def length(self) -> Any:
        return jnp.maximum(self.counts[..., -1] + (self.parts[..., -1] > 0).astype(np.int32), 0)
