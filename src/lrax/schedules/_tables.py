"""Schedules given by lists: values between boundaries, or values to lead through."""

import dataclasses
from typing import Annotated, Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._rules import Rule
from lrax.fields._shares import CountsOrShares, Total, updates
from lrax.fields._types import Converted, Numbers, Rates, Wholes, default
from lrax.fields._value import decimal
from lrax.fields._words import argument_error
from lrax.schedules._base import Schedule
from lrax.schedules._counting import fractions
from lrax.schedules._modes import Mode
from lrax.schedules._shapes import SHAPES

PLACES = Rule("a list of whole counts", np.int32, rank=1)
PARTS = Rule("a list of numbers from 0 to 1", low=0, high=1, rank=1)


def passed(boundaries: Any, count: jax.Array) -> jax.Array:
    """How many of a rising list of boundaries are at or before `count`; of a batch of lists, for each.

    >>> print(passed(np.array([[10, 20], [5, 30]]), jnp.asarray(10)))
    [1 1]
    """
    if np.ndim(boundaries) == 1:
        return jnp.searchsorted(jnp.asarray(boundaries), count, side="right")
    return _passed(boundaries, count)


def picked(values: Any, index: jax.Array) -> jax.Array:
    """The number of a list that an index says; of a batch of lists, of each.

    >>> print(picked(np.array([[10, 20], [5, 30]]), jnp.array([1, 0])))
    [20  5]
    """
    return jnp.asarray(values)[index] if np.ndim(values) == 1 else _picked(values, index)


_passed = jnp.vectorize(lambda boundaries, count: jnp.searchsorted(boundaries, count, side="right"), signature="(n),()->()")
_picked = jnp.vectorize(lambda values, index: values[index], signature="(n),()->()")


class Table(Schedule):
    """A schedule that is given by a list of counts, which may be shares of `total_steps`.

    A kind is a subclass with a field `boundaries` or `counts`, and the field `total_steps`. One whose list has shares waits for
    its total, as recipes do.
    """

    @property
    def _list(self) -> Any:
        """The list as it was given."""
        return getattr(self, "boundaries" if "boundaries" in self._rules else "counts")

    @property
    def needs_total_steps(self) -> bool:
        """Whether there are no rates before `over` gives a total length."""
        return isinstance(self._list, Ratio) and self._total is None

    @property
    def _total(self) -> Any:
        return getattr(self, "total_steps")  # noqa: B009  # each kind declares it in its own place among its fields

    def at(self) -> Any:
        """The list in updates."""
        if self.needs_total_steps:
            remedy = "this plan waits for it: plan.with_total_steps(10_000)"
            raise argument_error(ValueError, type(self).__name__, "total_steps", "known before there is a rate", None, remedy)
        return counts_of(self._list, self._total)

    def check(self) -> None:
        if not self.needs_total_steps:
            check_rising(type(self).__name__, "boundaries" if "boundaries" in self._rules else "counts", self._list, self.at())

    @property
    def landmarks(self) -> list[int]:
        return [*np.asarray(self.at()).tolist(), *([] if self._total is None else [int(self._total)])]

    @property
    def length(self) -> Any:
        if self.needs_total_steps:
            self.at()
        return self._total

    def resized(self, length: Any) -> "Table | None":
        if self._total is None and not self.needs_total_steps:
            return None
        return dataclasses.replace(self, total_steps=length)  # type: ignore[call-arg]  # every kind has the field


def check_as_many(caller: str, values: Any, given: Any, name: str, more: int = 0) -> None:
    """Raises ValueError if there are not as many values as counts, and at least two between which something leads."""
    counts = jax.tree.leaves(given)[0].shape[-1]
    if values.shape[-1] != counts + more or (more == 0 and counts < 2):
        needs = f"one longer than `{name}` ({counts})" if more else f"at least two, as many as `{name}` ({counts})"
        raise argument_error(ValueError, caller, "values", needs, values)


def counts_of(given: Any, total: Any) -> Any:
    """A list of counts and shares, in updates."""
    if not isinstance(given, Ratio):
        return given
    return updates(given, np.expand_dims(total, -1) if is_concrete(total) else jnp.expand_dims(total, -1))


def check_rising(caller: str, name: str, given: Any, counts: Any) -> None:
    """Raises ValueError where shares and counts, once the total is there, are not in order."""
    if isinstance(given, Ratio) and is_concrete(counts) and np.any(np.diff(np.asarray(counts), axis=-1) < 0):
        raise argument_error(
            ValueError,
            caller,
            name,
            f"in order over this total, where they are {np.asarray(counts).tolist()}",
            decimal(given).tolist(),
        )


@final
class PiecewiseConstant(Table):
    r"""Stays at one value between each two boundaries.

    $$\eta(t) = values_k, \quad k = |\{b \in boundaries : b \le t\}|$$

    The compiled size does not depend on the number of boundaries.

    Args:
      values: rates, one more than there are boundaries; shape (n + 1,).
      boundaries: counts at which the next value begins, that rise strictly: in updates, integers >= 0, or as shares of the
        total; shape (n,), and n may be 0.
      total_steps: the whole length in updates; None for no end, or for a plan with shares that waits for it.

    Raises: ValueError if `boundaries` is unsorted or negative, or `values` is not one longer.

    >>> print(PiecewiseConstant(values=[1.0, 0.5, 0.2], boundaries=[250, 750])(jnp.array([249, 250, 750])))
    [1.  0.5 0.2]
    >>> print(PiecewiseConstant(values=[1.0, 0.5, 0.2], boundaries=[250, 0.75]).with_total_steps(1000)(jnp.array([249,
    250, 750])))
    [1.  0.5 0.2]
    """

    values: Rates
    boundaries: CountsOrShares
    total_steps: Total = default(None)

    def check(self) -> None:
        check_as_many("PiecewiseConstant", self.values, self.boundaries, "boundaries", 1)
        Table.check(self)

    def rate(self, count: jax.Array) -> jax.Array:
        return picked(self.values, passed(self.at(), count))


@final
class Piecewise(Table):
    r"""Leads through `values` at `counts`, with one shape between each two, and holds the first before and the last after.

    $$\eta(c_k) = v_k, \qquad \eta(t) = shape\!\left(v_k, v_{k+1}, \tfrac{t - c_k}{c_{k+1} - c_k}\right)
    \quad (c_k \le t < c_{k+1})$$

    The compiled size does not depend on the number of values.

    Args:
      values: rates, one a count, at least two; shape (n,).
      counts: counts at which each value is reached, that rise strictly: in updates, integers >= 0, or as shares of the total,
        of which 1.0 after another is all; shape (n,).
      mode: shape between them: `"linear"`, `"cosine"`, `"geometric"` (straight on a logarithmic axis; values above 0) or
        another (see `Cooldown`).
      total_steps: the whole length in updates; None for the last of `counts`, or for a plan with shares that waits for it.

    Raises: ValueError if `counts` is unsorted or negative, the two lists are not of one length, `mode` is unknown, or a value
      is not positive where `mode` is `"geometric"`.

    >>> print(Piecewise(values=[0.0, 1.0, 0.5], counts=[0, 10, 20])(jnp.array([5, 10, 15, 30])))
    [0.5  1.   0.75 0.5 ]
    >>> print(Piecewise(values=[0.0, 1.0, 0.5], counts=[0, 0.5, 1.0]).with_total_steps(20)(jnp.array([5, 10, 15, 30])))
    [0.5  1.   0.75 0.5 ]
    """

    values: Rates
    counts: CountsOrShares
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
    counts: Annotated[Converted[Wholes, jax.Array], PLACES]
    parts: Annotated[Converted[Numbers, jax.Array], PARTS]
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
    def length(self) -> Any:
        return jnp.maximum(self.counts[..., -1] + (self.parts[..., -1] > 0).astype(np.int32), 0)
