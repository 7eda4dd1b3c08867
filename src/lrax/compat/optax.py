"""Optax's `optax.schedules`, number for number (optax 0.2.8), with lengths and learning rates that may be traced and vmapped.

You can use a schedule of optax wherever lrax takes one. These are pytrees, exact at long lengths, and of constant size.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from itertools import accumulate
from typing import Annotated, Any, Literal

import numpy as np

from lrax.compat._shared import (
    ConcreteNumber,
    ConcreteSteps,
    Delay,
    NotNegative,
    Offset,
    Positive,
    Rate,
    Steps,
    check_order,
    checked,
    exponential,
    holds,
    join,
    pick,
    step_decay,
)
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Choice, Number, Whole, whole_number
from lrax.schedules._base import RateFunction, Schedule
from lrax.schedules._combinators import Clip, Cooldown, Maximum, Minimum, Sequence, Shift
from lrax.schedules._decays import Constant
from lrax.schedules._phases import Cosine, Hold, Linear, Polynomial
from lrax.schedules._tables import Piecewise, PiecewiseConstant

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]

UNBOUNDED = float(np.finfo(np.float32).max)


@checked
def constant_schedule(value: Rate) -> Schedule:
    """Stays at `value`.

    >>> print(constant_schedule(0.1)(5))
    0.1
    """
    return Constant(value)


@checked
def polynomial_schedule(
    init_value: Rate, end_value: Rate, power: NotNegative, transition_steps: Offset, transition_begin: Offset = 0
) -> Schedule:
    """Goes from `init_value` to `end_value` as a power of what is left, from count `transition_begin` on.

    A `transition_steps` below 1 and a `power` of 0 keep `init_value`; a `transition_begin` below 0 counts as 0.

    >>> print(polynomial_schedule(1.0, 0.0, power=2, transition_steps=4, transition_begin=1)(jnp.arange(6)))
    [1.     1.     0.5625 0.25   0.0625 0.    ]
    """
    stays = (power == 0) | (transition_steps < 1)
    if holds(stays):
        return Constant(init_value)
    end, steps = pick(stays, init_value, end_value), pick(transition_steps < 1, 1, transition_steps)
    if holds(power == 1):
        return _later(Linear(init_value, end, steps), transition_begin)
    return _later(Polynomial(init_value, end, steps, pick(power == 0, 1.0, power)), transition_begin)


@checked
def linear_schedule(init_value: Rate, end_value: Rate, transition_steps: Offset, transition_begin: Offset = 0) -> Schedule:
    """Goes from `init_value` to `end_value` in a straight line, from count `transition_begin` on.

    A `transition_steps` below 1 keeps `init_value`; a `transition_begin` below 0 counts as 0.

    >>> print(linear_schedule(0.0, 1.0, transition_steps=4)(jnp.array([0, 1, 9])))
    [0.   0.25 1.  ]
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


@checked
def exponential_decay(
    init_value: Rate,
    transition_steps: Offset,
    decay_rate: NotNegative,
    transition_begin: Offset = 0,
    staircase: bool = False,
    end_value: Rate | None = None,
) -> Schedule:
    """Multiplies by `decay_rate` over every `transition_steps` steps, from count `transition_begin` on.

    A `transition_steps` below 1 and a `decay_rate` of 0 keep `init_value`; a `transition_begin` below 0 counts as 0.

    Args:
      init_value: learning rate up to count `transition_begin`.
      transition_steps, transition_begin: in steps.
      decay_rate: factor, at least 0.
      staircase: whether it changes only at multiples of `transition_steps`.
      end_value: a lower bound if `decay_rate` is below 1, an upper bound otherwise.

    >>> print(exponential_decay(1.0, transition_steps=2, decay_rate=0.25, end_value=0.2)(jnp.arange(4)))
    [1.   0.5  0.25 0.2 ]
    """
    stays = (decay_rate == 0) | (transition_steps < 1)
    if holds(stays):
        return Constant(init_value)
    factor, steps = pick(stays, 1.0, decay_rate), pick(transition_steps < 1, 1, transition_steps)
    delayed = _later((step_decay if staircase else exponential)(init_value, factor, steps), transition_begin)
    if end_value is None:
        return delayed
    if is_concrete(factor) and not np.ndim(factor):
        return (Maximum if factor < 1 else Minimum)(delayed, Constant(end_value))
    low = pick(stays | (factor >= 1), -UNBOUNDED, end_value)
    return Clip(delayed, low, pick(stays | (factor < 1), UNBOUNDED, end_value))


@checked
def cosine_decay_schedule(init_value: Rate, decay_steps: Steps, alpha: Rate = 0.0, exponent: NotNegative = 1.0) -> Schedule:
    """Falls from `init_value` to `alpha * init_value` along half a cosine, or a power of it, and stays there.

    >>> print(cosine_decay_schedule(1.0, decay_steps=2, alpha=0.1)(jnp.array([0, 2])))
    [1.  0.1]
    """
    return _cosine(init_value, init_value * alpha, decay_steps, exponent)


@checked
def warmup_constant_schedule(init_value: Rate, peak_value: Rate, warmup_steps: Offset) -> Schedule:
    """Goes from `init_value` to `peak_value` in a straight line, and stays there: `linear_schedule`.

    >>> print(warmup_constant_schedule(0.0, 1.0, warmup_steps=4)(jnp.array([0, 1, 9])))
    [0.   0.25 1.  ]
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


@checked
def warmup_cosine_decay_schedule(
    init_value: Rate,
    peak_value: Rate,
    warmup_steps: Delay,
    decay_steps: Steps,
    end_value: Rate = 0.0,
    exponent: NotNegative = 1.0,
) -> Schedule:
    """Climbs from `init_value` to `peak_value`, and falls to `end_value` along half a cosine, or a power of it.

    If `peak_value` is 0 it ends at 0, whatever `end_value` is.

    Args:
      init_value: learning rate at count 0.
      peak_value: learning rate at count `warmup_steps`.
      warmup_steps: in steps.
      decay_steps: the whole length in steps, warm-up *included*.
      end_value: learning rate from count `decay_steps` on.
      exponent: of the cosine.

    Raises: ValueError if `decay_steps` is not above `warmup_steps`.

    >>> print(warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=4)(jnp.array([0, 1, 2, 4])))
    [0.  0.5 1.  0. ]
    """
    caller, remedy = "warmup_cosine_decay_schedule", "it is the whole length, warm-up included"
    check_order(caller, "decay_steps", decay_steps, "above", warmup_steps, "warmup_steps", remedy)
    end = pick(peak_value == 0, 0.0, end_value)
    return _warmed(init_value, peak_value, warmup_steps, _cosine(peak_value, end, decay_steps - warmup_steps, exponent))


@checked
def warmup_exponential_decay_schedule(
    init_value: Rate,
    peak_value: Rate,
    warmup_steps: Delay,
    transition_steps: Offset,
    decay_rate: NotNegative,
    transition_begin: Offset = 0,
    staircase: bool = False,
    end_value: Rate | None = None,
) -> Schedule:
    """Climbs from `init_value` to `peak_value` in `warmup_steps` steps, and then decays as `exponential_decay`.

    The decay begins at its own count 0, so the other lengths *exclude* the warm-up.

    >>> print(warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5)(jnp.arange(5)))
    [0.   0.5  1.   0.5  0.25]
    """
    decay = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return _warmed(init_value, peak_value, warmup_steps, decay)


@checked
def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """One `warmup_cosine_decay_schedule` after the other; where they follow a rule, `lrax.sgdr` is smaller.

    Args:
      cosine_kwargs: the arguments of each.

    Raises: ValueError if there is none.

    >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
    >>> print(sgdr_schedule([cycle, {**cycle, "peak_value": 0.5}])(jnp.array([0, 1, 3, 4, 6])))
    [0.  1.  0.  0.5 0. ]
    """
    return Sequence(*(warmup_cosine_decay_schedule(**kwargs) for kwargs in cosine_kwargs))


@checked
def join_schedules(schedules: Many[RateFunction], boundaries: Many[Whole]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the boundaries whatever their lengths.

    Args:
      schedules: schedules, or callables `count -> learning rate`, optax's included.
      boundaries: counts in rising order, one less than there are schedules; traced ones are assumed to rise.

    Raises: ValueError if `boundaries` is unsorted or of another length.

    >>> print(join_schedules([Constant(0.5), linear_schedule(1.0, 0.0, 4)], [2])(jnp.arange(5)))
    [0.5  0.5  1.   0.75 0.5 ]
    """
    return join("join_schedules", "boundaries", schedules, boundaries)


@checked
def piecewise_constant_schedule(init_value: Rate, boundaries_and_scales: Mapping[int, Number] | None = None) -> Schedule:
    """Multiplies the learning rate by a factor at each boundary; `boundaries_and_scales` maps counts to factors, at least 0.

    >>> print(piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})(jnp.arange(6)))
    [1.   1.   0.5  0.5  0.05 0.05]
    """
    boundaries, values = _table("piecewise_constant_schedule", init_value, boundaries_and_scales)
    return PiecewiseConstant(values, boundaries) if boundaries else Constant(init_value)


@checked
def piecewise_interpolate_schedule(
    interpolate_type: Annotated[Literal["linear", "cosine"], Choice(("linear", "cosine"))],
    init_value: Rate,
    boundaries_and_scales: Mapping[int, Number] | None = None,
) -> Schedule:
    """Interpolates between values, each the one before times a factor, reached at its boundary; the last one stays.

    Args:
      interpolate_type: `"linear"` or `"cosine"`.
      init_value: learning rate at count 0.
      boundaries_and_scales: count -> factor, each at least 0; none if None. One at count 0 changes the first value.

    Raises: ValueError if a boundary or a factor is below 0.

    >>> print(piecewise_interpolate_schedule("linear", 1.0, {2: 0.5, 4: 0.0})(jnp.arange(6)))
    [1.   0.75 0.5  0.25 0.   0.  ]
    """
    boundaries, values = _table("piecewise_interpolate_schedule", init_value, boundaries_and_scales)
    if boundaries and boundaries[0] == 0:  # it takes the place of the first value
        boundaries, values = boundaries[1:], values[1:]
    return Piecewise(values, [0, *boundaries], interpolate_type) if boundaries else Constant(values[0])


@checked
def linear_onecycle_schedule(
    transition_steps: ConcreteSteps,
    peak_value: Rate,
    pct_start: ConcreteNumber = 0.3,
    pct_final: ConcreteNumber = 0.85,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Schedule:
    """Climbs to `peak_value`, falls to the first learning rate, and from there to the last one, in straight lines.

    The counts are rounded down. Where that makes two of them one, the later phase takes both: a short cycle may begin at its
    peak, or have none.

    Args:
      transition_steps: the whole length in steps.
      peak_value: learning rate at count `int(pct_start * transition_steps)`.
      pct_start, pct_final: fractions of the length at which the peak and the first learning rate are reached.
      div_factor: the first learning rate is `peak_value / div_factor`.
      final_div_factor: the last learning rate is `peak_value / div_factor / final_div_factor`.

    >>> print(linear_onecycle_schedule(10, 1.0, 0.2, 0.8, div_factor=4.0)(jnp.array([0, 2, 8])))
    [0.25 1.   0.25]
    """
    scales = {int(pct_start * transition_steps): div_factor, int(pct_final * transition_steps): 1 / div_factor}
    return piecewise_interpolate_schedule("linear", peak_value / div_factor, {**scales, transition_steps: 1 / final_div_factor})


@checked
def cosine_onecycle_schedule(
    transition_steps: ConcreteSteps,
    peak_value: Rate,
    pct_start: ConcreteNumber = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Schedule:
    """Climbs to `peak_value` and falls to the last learning rate, along half a cosine each; see `linear_onecycle_schedule`.

    >>> print(cosine_onecycle_schedule(10, 1.0, pct_start=0.2, div_factor=4.0)(jnp.array([0, 2])))
    [0.25 1.  ]
    """
    scales = {int(pct_start * transition_steps): div_factor, int(transition_steps): 1 / (div_factor * final_div_factor)}
    return piecewise_interpolate_schedule("cosine", peak_value / div_factor, scales)


def _later(schedule: Schedule, begin: Whole) -> Schedule:
    """A schedule that begins at count `begin`."""
    return schedule if holds(begin <= 0) else Shift(schedule, -pick(begin < 0, 0, begin))


def _warmed(start: Number, peak: Number, warmup_steps: Whole, schedule: Schedule) -> Schedule:
    return schedule if holds(warmup_steps == 0) else Sequence(Linear(start, peak, warmup_steps), schedule)


def _cosine(start: Number, end: Number, steps: Whole, power: Number) -> Schedule:
    """Half a cosine to a power, which stays at `start` where that is 0."""
    if holds(power == 0):
        return Hold(start, steps)
    if holds(power == 1):
        return Cosine(start, end, steps)
    return Cooldown(Constant(start), 0, steps, pick(power == 0, start, end), "cosine", pick(power == 0, 1.0, power))


def _table(caller: str, init_value: Number, scales: Mapping[int, Number] | None) -> tuple[list[int], list[Number]]:
    """The boundaries in order, and the value before, between and after them."""
    given = {whole_number(caller, "boundaries_and_scales", at, low=0): scale for at, scale in (scales or {}).items()}
    table = dict(sorted(given.items()))
    if any(is_concrete(scale) and scale < 0 for scale in table.values()):
        raise argument_error(ValueError, caller, "boundaries_and_scales", "factors of at least 0", scales)
    return list(table), list(accumulate(table.values(), lambda value, scale: value * scale, initial=init_value))
