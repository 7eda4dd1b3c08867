"""Optax's schedules that are given by tables: factors at boundaries, and the one-cycle policies made of them."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any, Literal

from lrax.compat._arguments import KNOWN, KnownSteps, NotNegative, checked
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Positive, Rate
from lrax.fields._rules import Choice, whole_number
from lrax.schedules._base import Schedule
from lrax.schedules._decays import Constant
from lrax.schedules._tables import Piecewise, PiecewiseConstant


@checked
def piecewise_constant_schedule(init_value: Rate, boundaries_and_scales: Mapping[int, Any] | None = None) -> Schedule:
    """Multiplies the rate by a factor of its own at each boundary.

    Args:
      init_value: rate before the first boundary.
      boundaries_and_scales: count -> factor, each at least 0; none if None.

    Raises: ValueError if a boundary or a factor is below 0.

    >>> print(piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})(jnp.arange(6)))
    [1.   1.   0.5  0.5  0.05 0.05]
    """
    boundaries, values = _table("piecewise_constant_schedule", init_value, boundaries_and_scales)
    return PiecewiseConstant(values, boundaries) if boundaries else Constant(init_value)


@checked
def piecewise_interpolate_schedule(
    interpolate_type: Annotated[Literal["linear", "cosine"], Choice(("linear", "cosine"))],
    init_value: Rate,
    boundaries_and_scales: Mapping[int, Any] | None = None,
) -> Schedule:
    """Leads from value to value, each the one before times a factor, reached at its boundary; the last is held.

    Args:
      interpolate_type: `"linear"` or `"cosine"`.
      init_value: rate at count 0.
      boundaries_and_scales: count -> factor, each at least 0; none if None. One at count 0 changes the rate at once.

    Raises: ValueError if a boundary or a factor is below 0, or `interpolate_type` unknown.

    >>> print(piecewise_interpolate_schedule("linear", 1.0, {2: 0.5, 4: 0.0})(jnp.arange(6)))
    [1.   0.75 0.5  0.25 0.   0.  ]
    """
    boundaries, values = _table("piecewise_interpolate_schedule", init_value, boundaries_and_scales)
    if boundaries and boundaries[0] == 0:  # it takes the place of the first value
        boundaries, values = boundaries[1:], values[1:]
    return Piecewise(values, [0, *boundaries], interpolate_type) if boundaries else Constant(values[0])


@checked
def linear_onecycle_schedule(
    transition_steps: KnownSteps,
    peak_value: Rate,
    pct_start: Annotated[NotNegative, KNOWN] = 0.3,
    pct_final: Annotated[NotNegative, KNOWN] = 0.85,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Schedule:
    """Climbs to `peak_value`, falls to the first rate, and from there to the last one, in straight lines.

    The counts are rounded down. Where that makes two of them one, the later phase takes both: a short cycle may begin at its
    peak, or have none.

    Args:
      transition_steps: the whole length in updates.
      peak_value: rate at count `int(pct_start * transition_steps)`.
      pct_start, pct_final: parts of the length at which the peak and the first rate are reached.
      div_factor: the first rate is `peak_value / div_factor`.
      final_div_factor: the last rate is `peak_value / div_factor / final_div_factor`.

    Raises: ValueError if a number is out of range.

    >>> print(linear_onecycle_schedule(10, 1.0, 0.2, 0.8, div_factor=4.0)(jnp.array([0, 2, 8])))
    [0.25 1.   0.25]
    """
    scales = {int(pct_start * transition_steps): div_factor, int(pct_final * transition_steps): 1 / div_factor}
    return piecewise_interpolate_schedule("linear", peak_value / div_factor, {**scales, transition_steps: 1 / final_div_factor})


@checked
def cosine_onecycle_schedule(
    transition_steps: KnownSteps,
    peak_value: Rate,
    pct_start: Annotated[NotNegative, KNOWN] = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Schedule:
    """Climbs to `peak_value` and falls to the last rate, along half a cosine each.

    Args:
      transition_steps, peak_value, pct_start, div_factor, final_div_factor: see `linear_onecycle_schedule`.

    Raises: ValueError if a number is out of range.

    >>> print(cosine_onecycle_schedule(10, 1.0, pct_start=0.2, div_factor=4.0)(jnp.array([0, 2])))
    [0.25 1.  ]
    """
    scales = {int(pct_start * transition_steps): div_factor, int(transition_steps): 1 / (div_factor * final_div_factor)}
    return piecewise_interpolate_schedule("cosine", peak_value / div_factor, scales)


def _table(caller: str, init_value: Any, scales: Mapping[int, Any] | None) -> tuple[list[int], list[Any]]:
    """The boundaries in order, and the value before, between and after them."""
    given = {whole_number(caller, "boundaries_and_scales", at, low=0): scale for at, scale in (scales or {}).items()}
    table = dict(sorted(given.items()))
    if any(is_concrete(scale) and scale < 0 for scale in table.values()):
        raise argument_error(ValueError, caller, "boundaries_and_scales", "factors of at least 0", scales)
    return list(table), list(accumulate(table.values(), lambda value, scale: value * scale, initial=init_value))
