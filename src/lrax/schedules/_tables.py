"""Schedules given by lists of numbers."""

import dataclasses
from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, array_module, is_concrete
from lrax.fields._rules import (
    Converted,
    CountsOrFractions,
    Floats,
    Int,
    Ints,
    Numbers,
    Rates,
    Ratio,
    Rule,
    Total,
    Wholes,
    default,
    to_steps,
)
from lrax.fields._value import decimal
from lrax.schedules._base import Schedule
from lrax.schedules._intmath import fractions
from lrax.schedules._shapes import SHAPES, Mode


def passed(boundaries: Ints, count: jax.Array) -> jax.Array:
    """How many of a rising list of boundaries are at or before `count`; of a batch of lists, for each.

    >>> print(passed(np.array([[10, 20], [5, 30]]), jnp.asarray(10)))
    [1 1]
    """
    if np.ndim(boundaries) == 1:
        return jnp.searchsorted(jnp.asarray(boundaries), count, side="right")
    return _passed(boundaries, count)


def picked(values: Floats | Ints, index: jax.Array) -> jax.Array:
    """The number of a list at an index; of a batch of lists, of each.

    >>> print(picked(np.array([[10, 20], [5, 30]]), jnp.array([1, 0])))
    [20  5]
    """
    return jnp.asarray(values)[index] if np.ndim(values) == 1 else _picked(values, index)


_passed = jnp.vectorize(lambda boundaries, count: jnp.searchsorted(boundaries, count, side="right"), signature="(n),()->()")
_picked = jnp.vectorize(lambda values, index: values[index], signature="(n),()->()")


def missing_total(caller: str) -> Exception:
    """The error for a plan without its total length."""
    remedy = "use plan.with_total_steps(10_000)"
    return argument_error(ValueError, caller, "total_steps", "set before there is a learning rate", None, remedy)


class Table(Schedule):
    """A schedule given by a list of counts, which may be fractions of `total_steps`.

    A subclass has a field `boundaries` or `counts`, and the field `total_steps`.
    """

    @property
    def _list(self) -> tuple[str, Ints | Ratio]:
        """The list as it was given, after its name."""
        name = "boundaries" if "boundaries" in self._rules else "counts"
        return name, getattr(self, name)

    @property
    def needs_total_steps(self) -> bool:
        return isinstance(self._list[1], Ratio) and self._total is None

    @property
    def _total(self) -> Int | None:
        return getattr(self, "total_steps")  # noqa: B009  # each class declares it in its own place among its fields

    def at(self) -> Ints:
        """The list in steps."""
        if self.needs_total_steps:
            raise missing_total(type(self).__name__)
        return counts_of(self._list[1], self._total)

    def check(self) -> None:
        if not self.needs_total_steps:
            check_rising(type(self).__name__, *self._list, self.at())

    @property
    def landmarks(self) -> list[int]:
        return [*np.asarray(self.at()).tolist(), *([] if self._total is None else [int(self._total)])]

    @property
    def length(self) -> Int | None:
        if self.needs_total_steps:
            raise missing_total(type(self).__name__)
        return self._total

    def resized(self, length: Int) -> "Table | None":
        if self._total is None and not self.needs_total_steps:
            return None
        return dataclasses.replace(self, total_steps=length)  # type: ignore[call-arg]  # every class has the field


def check_as_many(caller: str, values: Floats, given: Ints | Ratio, name: str, more: int = 0) -> None:
    """Raises ValueError if there are not as many values as counts, or `more`, and at least two to interpolate between."""
    counts = jax.tree.leaves(given)[0].shape[-1]
    if values.shape[-1] != counts + more or (more == 0 and counts < 2):
        needs = f"one longer than `{name}` ({counts})" if more else f"at least two, as many as `{name}` ({counts})"
        raise argument_error(ValueError, caller, "values", needs, values)


def counts_of(given: Ints | Ratio, total: Int | None) -> Ints:
    """A list of counts and fractions, in steps."""
    return to_steps(given, array_module(total).expand_dims(total, -1)) if isinstance(given, Ratio) else given


def check_rising(caller: str, name: str, given: Ints | Ratio, counts: Ints) -> None:
    """Raises ValueError if fractions and counts are not in order for this total."""
    if isinstance(given, Ratio) and is_concrete(counts) and np.any(np.diff(np.asarray(counts), axis=-1) < 0):
        needs = f"in order over this total, where they are {np.asarray(counts).tolist()}"
        raise argument_error(ValueError, caller, name, needs, decimal(given).tolist())


@final
class PiecewiseConstant(Table):
    r"""Stays at one value between each two boundaries.

    $$\eta(t) = values_k, \quad k = |\{b \in boundaries : b \le t\}|$$

    The compiled size does not depend on the number of boundaries.

    Args:
      values: learning rates, one more than there are boundaries; shape (n + 1,).
      boundaries: strictly increasing counts at which the next value begins: in steps, integers >= 0, or as fractions of
        the total; shape (n,), and n may be 0.
      total_steps: the whole length in steps; None for no end, or to set it later if there are fractions.

    Raises: ValueError if `boundaries` is unsorted or negative, or `values` is not one longer.

    >>> print(PiecewiseConstant(values=[1.0, 0.5, 0.2], boundaries=[250, 750])(jnp.array([249, 250, 750])))
    [1.  0.5 0.2]
    >>> plan = PiecewiseConstant(values=[1.0, 0.5, 0.2], boundaries=[250, 0.75])
    >>> print(plan.with_total_steps(1000)(jnp.array([249, 250, 750])))
    [1.  0.5 0.2]
    """

    values: Rates
    boundaries: CountsOrFractions
    total_steps: Total = default(None)

    def check(self) -> None:
        check_as_many("PiecewiseConstant", self.values, self.boundaries, "boundaries", 1)
        Table.check(self)

    def rate(self, count: jax.Array) -> jax.Array:
        return picked(self.values, passed(self.at(), count))


@final
class Piecewise(Table):
    r"""Connects `values` at `counts` by curves; holds the first value before them and the last value after them.

    $$\eta(c_k) = v_k, \qquad \eta(t) = shape\!\left(v_k, v_{k+1}, \tfrac{t - c_k}{c_{k+1} - c_k}\right)
    \quad (c_k \le t < c_{k+1})$$

    The compiled size does not depend on the number of values.

    Args:
      values: learning rates, one a count, at least two; shape (n,).
      counts: strictly increasing counts at which each value is reached: in steps, integers >= 0, or as fractions of the total,
        where 1.0 after another fraction is the whole total; shape (n,).
      mode: curve between them: `"linear"`, `"cosine"`, `"geometric"` (straight on a logarithmic axis; values above 0) or
        another (see `Cooldown`).
      total_steps: the whole length in steps; None for the last of `counts`, or to set it later if there are fractions.

    Raises: ValueError if `counts` is unsorted or negative, the two lists are not of one length, `mode` is unknown, or a value
      is not positive where `mode` is `"geometric"`.

    >>> print(Piecewise(values=[0.0, 1.0, 0.5], counts=[0, 10, 20])(jnp.array([5, 10, 15, 30])))
    [0.5  1.   0.75 0.5 ]
    >>> print(Piecewise(values=[0.0, 1.0, 0.5], counts=[0, 0.5, 1.0]).with_total_steps(20)(jnp.array([5, 10, 15, 30])))
    [0.5  1.   0.75 0.5 ]
    """

    values: Rates
    counts: CountsOrFractions
    mode: Mode = "linear"
    total_steps: Total = default(None)

    def check(self) -> None:
        check_as_many("Piecewise", self.values, self.counts, "counts")
        Table.check(self)
        if self.mode == "geometric" and is_concrete(self.values) and np.any(np.asarray(self.values) <= 0):
            raise argument_error(ValueError, "Piecewise", "values", "above 0 in mode 'geometric'", self.values)

    def rate(self, count: jax.Array) -> jax.Array:
        counts = self.at()
        piece = jnp.clip(passed(counts, count) - 1, 0, counts.shape[-1] - 2)
        begin, following = picked(counts, piece), picked(counts, piece + 1)
        done, left = fractions(jnp.maximum(count - begin, 0), following - begin)
        return SHAPES[self.mode](picked(self.values, piece), picked(self.values, piece + 1), done, left)

    @property
    def length(self) -> Any:
        return self.at()[..., -1] if self.total_steps is None else self.total_steps


PLACES = Rule("a list of whole counts", np.int32, rank=1)
PARTS = Rule("a list of numbers from 0 to 1", low=0, high=1, rank=1)


@final
class Knots(Schedule):
    r"""Passes through `values` at positions that may lie between two counts, with one curve between neighbors.

    $$\eta(t) = shape\!\left(v_i, v_{i+1}, \tfrac{t - k_i}{k_{i+1} - k_i}\right) \quad (k_i \le t < k_{i+1}), \qquad
    k_i = counts_i + parts_i$$

    The first value is held before the first position, the last one after the last. If all are counts, use `Piecewise`.

    Args:
      values: learning rates, one for each position, at least two; shape (n,).
      counts: the positions, rounded down, integers; below 0 is before the first step; shape (n,).
      parts: the fractions that were rounded away, from 0 to 1; shape (n,). `counts + parts` increases strictly.
      mode: curve between them: `"linear"`, `"cosine"` or another (see `Cooldown`).

    Raises: ValueError if the three lists differ in length, the positions do not increase, or `mode` is unknown.

    Source: PyTorch, `OneCycleLR`, whose peak is at `pct_start * total_steps - 1`.

    >>> print(Knots(values=[0.0, 3.0, 0.0], counts=[0, 1, 4], parts=[0.0, 0.5, 0.0])(jnp.arange(5)))
    [0.  2.  2.4 1.2 0. ]
    """

    values: Rates
    counts: Annotated[Converted[Wholes, Ints], PLACES]
    parts: Annotated[Converted[Numbers, Floats], PARTS]
    mode: Mode = "linear"

    def check(self) -> None:
        sizes = {np.shape(one)[-1] for one in (self.values, self.counts, self.parts)}
        if len(sizes) > 1 or max(sizes) < 2:
            needs = "as long as `counts` and `parts`, at least two"
            raise argument_error(ValueError, "Knots", "values", needs, self.values)
        if is_concrete(self.counts) and is_concrete(self.parts):
            places = np.asarray(self.counts, np.float64) + np.asarray(self.parts, np.float64)
            if np.any(np.diff(places, axis=-1) <= 0):
                raise argument_error(
                    ValueError, "Knots", "counts", "such that `counts + parts` rises strictly", places.tolist()
                )

    @property
    def landmarks(self) -> list[int]:
        places = zip(np.asarray(self.counts).tolist(), np.asarray(self.parts).tolist(), strict=True)
        return [max(count + (part > 0), 0) for count, part in places]

    def rate(self, count: jax.Array) -> jax.Array:
        counts, parts = jnp.broadcast_arrays(self.counts, self.parts)
        reached = counts + (parts > 0).astype(jnp.int32)
        i = jnp.clip(passed(reached, count) - 1, 0, self.values.shape[-1] - 2)
        (value, following), (here, there), (part, part_there) = (
            (picked(numbers, i), picked(numbers, i + 1)) for numbers in (self.values, counts, parts)
        )
        count = jnp.clip(count, counts[..., 0], reached[..., -1])
        span = (there - here).astype(jnp.float32) + (part_there - part)
        past = (count - here).astype(jnp.float32) - part
        ahead = (there - count).astype(jnp.float32) + part_there
        done, left = jnp.clip(past / span, 0, 1), jnp.clip(ahead / span, 0, 1)
        return SHAPES[self.mode](value, following, done, left)

    @property
    def length(self) -> Int | None:
        return jnp.maximum(self.counts[..., -1] + (self.parts[..., -1] > 0).astype(np.int32), 0)


def divided(numerator: jax.Array, denominator: jax.Array, otherwise: float) -> jax.Array:
    """A quotient, and `otherwise` where the denominator is 0."""
    has = denominator != 0
    return jnp.where(has, numerator / jnp.where(has, denominator, 1.0), otherwise)


def inner_slope(here: jax.Array, beyond: jax.Array, own: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The slope at a knot between two pieces, as a multiple of that of one of them, and 3 less that; both are at least 0.

    `here` and `beyond` are the rises of that piece and of the other, `own` and `other` their fractions of the length of both.
    The slope is the harmonic mean of the two slopes with weights `own + 1` and `other + 1`, and 0 where they differ in sign.
    """
    steep, shallow = here * other, beyond * own  # in proportion to the slopes
    level = (own + 1) * steep + (other + 1) * shallow
    same = here * jnp.sign(beyond) > 0
    slope = jnp.where(same, divided(3 * shallow, level, 0.0), 0.0)
    return slope, jnp.where(same, divided(3 * ((own + 1) * steep + other * shallow), level, 3.0), 3.0)


def outer_slope(here: jax.Array, beyond: jax.Array, own: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The slope at the first or last knot: that of the parabola through three knots, clipped to [0, 3]."""
    steep, shallow = here * other, beyond * own
    steeper = own * jnp.abs(shallow) < 4 * jnp.abs(steep)  # elsewhere it is clipped, at the end that the signs say
    clipped = jnp.where(here * jnp.sign(beyond) > 0, 0.0, 3.0)
    slope = jnp.where(
        steeper, jnp.clip(1 + own - own * divided(shallow, jnp.where(steeper, steep, 0.0), 0.0), 0.0, 3.0), clipped
    )
    return slope, 3 - slope


@final
class Spline(Table):
    r"""A smooth curve through `values` at `counts` that never overshoots; holds the first and the last value outside.

    Between two knots it is the cubic with the values and the slopes there. The slope at a knot is the harmonic mean of those of
    the two straight pieces next to it, weighted by their lengths, and 0 where one climbs and the other falls or either is
    level: so the curve is monotone wherever the values are, and smooth (PCHIP).

    $$\eta(t) = v_k\, l\,(b s^2 + l^2 + (3 - a) s l) + v_{k+1}\, s\,(a l^2 + s^2 + (3 - b) s l), \quad
    s = \tfrac{t - c_k}{c_{k+1} - c_k} = 1 - l$$

    with a and b the slopes at both ends as multiples of that of the straight piece. The compiled size does not depend on the
    number of values. The value is within 16 float32 ulp of the formula; between the first two knots and between the last two,
    whose outer slope is a difference, of the larger of both values.

    Args:
      values: learning rates, one a count, at least two; shape (n,).
      counts: strictly increasing counts at which each value is reached: in steps, integers >= 0, or as fractions of the total,
        where 1.0 after another fraction is the whole total; shape (n,). They may be traced.
      total_steps: the whole length in steps; None for the last of `counts`, or to set it later if there are fractions.

    Raises: ValueError if `counts` is unsorted or negative, or the two lists are not of one length.

    Source: Fritsch & Butland 1984, A method for constructing local monotone piecewise cubic interpolants; equals SciPy's
      `PchipInterpolator`.

    >>> print(Spline(values=[0.0, 1.0, 0.5, 0.5], counts=[0, 10, 20, 30])(jnp.array([0, 5, 10, 15, 25])))
    [0.      0.71875 1.      0.75    0.5    ]
    """

    values: Rates
    counts: CountsOrFractions
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

    def _slope(self, counts: Ints, k: jax.Array, neighbour: jax.Array, inside: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The slope at one end of piece `k`, and 3 less that; `neighbour` is the piece that it depends on."""
        if counts.shape[-1] == 2:
            return jnp.ones_like(k, jnp.float32), jnp.full_like(k, 2, jnp.float32)
        here, beyond = (picked(self.values, piece + 1) - picked(self.values, piece) for piece in (k, neighbour))
        scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(here), jnp.abs(beyond)))
        here, beyond = divided(here, scale, 0.0), divided(beyond, scale, 0.0)  # only their ratio matters
        lengths = [picked(counts, piece + 1) - picked(counts, piece) for piece in (k, neighbour)]
        own, other = fractions(lengths[0], lengths[0] + lengths[1])
        pairs = zip(inner_slope(here, beyond, own, other), outer_slope(here, beyond, own, other), strict=True)
        inner, outer = (jnp.where(inside, *pair) for pair in pairs)
        return inner, outer

    @property
    def length(self) -> Any:
        return self.at()[..., -1] if self.total_steps is None else self.total_steps
