"""Optax's `optax.schedules`, number for number (optax 0.2.8), with lengths and rates that may be traced and vmapped.

A schedule of optax can itself stand wherever lrax takes one; these are pytrees, exact at long lengths, and of constant size.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.compat._arguments import KNOWN, NotNegative, checked
from lrax.compat._optax_tables import (
    cosine_onecycle_schedule,
    linear_onecycle_schedule,
    piecewise_constant_schedule,
    piecewise_interpolate_schedule,
)
from lrax.compat._parts import exponential, join, step_decay
from lrax.fields._known import is_known
from lrax.fields._types import Delay, Offset, Positive, Rate, Steps
from lrax.fields._words import complain
from lrax.schedules._algebra import Maximum, Minimum
from lrax.schedules._base import Phase, Schedule
from lrax.schedules._combinators import Sequence, Shift
from lrax.schedules._decays import Constant
from lrax.schedules._exact import power_complement
from lrax.schedules._phases import Cosine, Linear, Polynomial

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


@final
class CosinePower(Phase):
    r"""Falls from `start` to `end` along a power of half a cosine, then holds `end`.

    $$\eta(s) = end + (start - end)\left(\tfrac{1 + \cos \pi s}{2}\right)^{power}, \quad s = count / steps$$

    Args:
      start: rate at count 0.
      end: rate from count `steps` on.
      steps: length in updates, an integer > 0.
      power: exponent, > 0.

    Raises: ValueError if `steps` or `power` is not positive, or a rate is not finite.

    >>> print(f"{CosinePower(start=1.0, end=0.0, steps=2, power=2.0)(1):.4f}")
    0.2500
    """

    start: Rate
    end: Rate
    steps: Steps
    power: Positive

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        falling, rising = jnp.sin(jnp.pi / 2 * left), jnp.sin(jnp.pi / 2 * done)
        remaining, complement = power_complement(falling * falling, rising * rising, self.power)
        return self.start * remaining + self.end * complement


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
    if _is_zero(power) or _is_over(transition_steps):
        return Constant(init_value)
    if isinstance(power, int | float) and power == 1:
        return _later(Linear(init_value, end_value, transition_steps), transition_begin)
    return _later(Polynomial(init_value, end_value, transition_steps, power), transition_begin)


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
      end_value: a floor if `decay_rate` (which may then not be traced) is below 1, a ceiling otherwise.

    Raises: ValueError if a number is out of range.

    >>> print(exponential_decay(1.0, transition_steps=2, decay_rate=0.25, end_value=0.2)(jnp.arange(4)))
    [1.   0.5  0.25 0.2 ]
    """
    if _is_zero(decay_rate) or _is_over(transition_steps):
        return Constant(init_value)
    decay = (
        step_decay(init_value, decay_rate, transition_steps)
        if staircase
        else exponential(init_value, decay_rate, transition_steps)
    )
    delayed = _later(decay, transition_begin)
    if end_value is None:
        return delayed
    KNOWN.convert("exponential_decay", "decay_rate", decay_rate)
    return (Maximum if decay_rate < 1 else Minimum)(delayed, Constant(end_value))


@checked
def cosine_decay_schedule(init_value: Rate, decay_steps: Steps, alpha: Rate = 0.0, exponent: NotNegative = 1.0) -> Schedule:
    """Falls from `init_value` to `alpha * init_value` along half a cosine, or a power of it, and stays there.

    Raises: ValueError if a number is out of range.

    >>> print(cosine_decay_schedule(1.0, decay_steps=2, alpha=0.1)(jnp.array([0, 2])))
    [1.  0.1]
    """
    return _cosine(init_value, init_value * alpha, decay_steps, exponent)


@checked
def warmup_constant_schedule(init_value: Rate, peak_value: Rate, warmup_steps: Offset) -> Schedule:
    """Goes from `init_value` to `peak_value` in a straight line, and stays there: `linear_schedule`.

    Raises: ValueError if a number is out of range.

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

    Where `peak_value` is 0 it ends at 0, whatever `end_value` is.

    Args:
      init_value: rate at count 0.
      peak_value: rate at count `warmup_steps`.
      warmup_steps: in updates.
      decay_steps: the whole length in updates, warm-up *included*.
      end_value: rate from count `decay_steps` on.
      exponent: of the cosine.

    Raises: ValueError if `decay_steps` is not above `warmup_steps`, or a number is out of range.

    >>> print(warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=4)(jnp.array([0, 1, 2, 4])))
    [0.  0.5 1.  0. ]
    """
    steps = decay_steps - warmup_steps
    if is_known(steps) and np.any(np.asarray(steps) <= 0):
        remedy = "it is the whole length, warm-up included"
        raise complain(
            ValueError,
            "warmup_cosine_decay_schedule",
            "decay_steps",
            f"above `warmup_steps` ({warmup_steps})",
            decay_steps,
            remedy,
        )
    end = 0.0 if _is_zero(peak_value) else end_value
    return _warmed(init_value, peak_value, warmup_steps, _cosine(peak_value, end, steps, exponent))


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
    """Climbs from `init_value` to `peak_value`, and then decays as `exponential_decay`, from its own count 0.

    Args:
      init_value: rate at count 0.
      peak_value: rate at count `warmup_steps`, if `end_value` allows it.
      warmup_steps: in updates; the other lengths *exclude* it.
      transition_steps, decay_rate, transition_begin, staircase, end_value: see `exponential_decay`.

    Raises: ValueError if a number is out of range.

    >>> print(warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5)(jnp.arange(5)))
    [0.   0.5  1.   0.5  0.25]
    """
    decay = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return _warmed(init_value, peak_value, warmup_steps, decay)


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """One `warmup_cosine_decay_schedule` after the other; where they follow a rule, `lrax.sgdr` is smaller.

    Args:
      cosine_kwargs: the arguments of each.

    Raises: ValueError if there is none, or a number is out of range.

    >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
    >>> print(sgdr_schedule([cycle, {**cycle, "peak_value": 0.5}])(jnp.array([0, 1, 3, 4, 6])))
    [0.  1.  0.  0.5 0. ]
    """
    return Sequence(*(warmup_cosine_decay_schedule(**kwargs) for kwargs in cosine_kwargs))


def join_schedules(schedules: Many[Any], boundaries: Many[int]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the boundaries whatever their lengths.

    Args:
      schedules: schedules, or callables `count -> rate`, optax's included.
      boundaries: counts in rising order, one less than there are schedules.

    Raises: ValueError if `boundaries` is unsorted or of another length.

    >>> print(join_schedules([constant_schedule(0.5), linear_schedule(1.0, 0.0, 4)], [2])(jnp.arange(5)))
    [0.5  0.5  1.   0.75 0.5 ]
    """
    return join("join_schedules", "boundaries", schedules, boundaries)


def _is_over(steps: Any) -> bool:
    """Whether a length is known to be below 1."""
    return bool(is_known(steps) and np.all(np.asarray(steps) < 1))


def _is_zero(value: Any) -> bool:
    """Whether a number is known to be 0."""
    return bool(is_known(value) and np.all(np.asarray(value) == 0))


def _later(schedule: Schedule, begin: Any) -> Schedule:
    """A schedule that begins at count `begin`."""
    if is_known(begin):
        return Shift(schedule, -begin) if begin > 0 else schedule
    return Shift(schedule, -jnp.maximum(begin, 0))


def _cosine(start: Any, end: Any, steps: Any, power: Any) -> Schedule:
    if _is_zero(power):
        return Constant(start)
    return Cosine(start, end, steps) if is_known(power) and power == 1 else CosinePower(start, end, steps, power)


def _warmed(start: Any, peak: Any, warmup_steps: Any, schedule: Schedule) -> Schedule:
    return schedule if _is_zero(warmup_steps) else Sequence(Linear(start, peak, warmup_steps), schedule)
