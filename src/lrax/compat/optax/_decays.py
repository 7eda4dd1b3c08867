"""Optax's schedules that decay."""

from typing import Any

import numpy as np

from lrax.compat._arguments import NotNegative, checked, pick
from lrax.compat._parts import exponential, step_decay
from lrax.fields._errors import is_concrete
from lrax.fields._given import Offset, Rate, Steps
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Clip, Maximum, Minimum, Shift
from lrax.schedules._decays import Constant
from lrax.schedules._phases import Cosine, CosinePower, Hold, Linear, Polynomial

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

    A `transition_steps` below 1 and a `power` of 0 leave `init_value` for ever; a `transition_begin` below 0 counts as 0.

    Raises: ValueError if a number is out of range.

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

    A `transition_steps` below 1 leaves `init_value` for ever; a `transition_begin` below 0 counts as 0.

    Raises: ValueError if a number is out of range.

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
    """Multiplies the rate by `decay_rate` over every `transition_steps` updates, from count `transition_begin` on.

    A `transition_steps` below 1 and a `decay_rate` of 0 leave `init_value` for ever; a `transition_begin` below 0 counts as 0.

    Args:
      init_value: rate up to count `transition_begin`.
      transition_steps: in updates.
      decay_rate: factor, at least 0.
      transition_begin: in updates.
      staircase: whether the rate changes only at multiples of `transition_steps`.
      end_value: a floor if `decay_rate` is below 1, a ceiling otherwise.

    Raises: ValueError if a number is out of range.

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

    Raises: ValueError if a number is out of range.

    >>> print(cosine_decay_schedule(1.0, decay_steps=2, alpha=0.1)(jnp.array([0, 2])))
    [1.  0.1]
    """
    return cosine(init_value, init_value * alpha, decay_steps, exponent)


def holds(condition: Any) -> bool:
    """Whether a condition is known to hold, everywhere."""
    return bool(is_concrete(condition) and np.all(np.asarray(condition)))


def _later(schedule: Schedule, begin: Any) -> Schedule:
    """A schedule that begins at count `begin`."""
    return schedule if holds(begin <= 0) else Shift(schedule, -pick(begin < 0, 0, begin))


def cosine(start: Any, end: Any, steps: Any, power: Any) -> Schedule:
    """Half a cosine to a power, which stays at `start` where that is 0."""
    if holds(power == 0):
        return Hold(start, steps)
    if holds(power == 1):
        return Cosine(start, end, steps)
    return CosinePower(start, pick(power == 0, start, end), steps, pick(power == 0, 1.0, power))
