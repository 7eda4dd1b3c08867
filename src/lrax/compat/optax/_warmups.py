"""Optax's schedules that are put together of others: warm-ups, restarts, joins."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from typing import Any

import numpy as np

from lrax.compat._arguments import NotNegative, checked, pick
from lrax.compat._parts import join
from lrax.compat.optax._decays import cosine, exponential_decay, holds, linear_schedule
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Delay, Offset, Rate, Steps
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence
from lrax.schedules._phases import Linear


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
    if is_concrete(steps) and np.any(np.asarray(steps) <= 0):
        remedy = "it is the whole length, warm-up included"
        raise argument_error(
            ValueError,
            "warmup_cosine_decay_schedule",
            "decay_steps",
            f"above `warmup_steps` ({warmup_steps})",
            decay_steps,
            remedy,
        )
    end = pick(peak_value == 0, 0.0, end_value)
    return _warmed(init_value, peak_value, warmup_steps, cosine(peak_value, end, steps, exponent))


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


@checked
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


@checked
def join_schedules(schedules: Many[Any], boundaries: Many[Any]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the boundaries whatever their lengths.

    Args:
      schedules: schedules, or callables `count -> rate`, optax's included.
      boundaries: counts in rising order, one less than there are schedules; traced ones are taken to rise.

    Raises: ValueError if `boundaries` is unsorted or of another length.

    >>> print(join_schedules([Constant(0.5), linear_schedule(1.0, 0.0, 4)], [2])(jnp.arange(5)))
    [0.5  0.5  1.   0.75 0.5 ]
    """
    return join("join_schedules", "boundaries", schedules, boundaries)


def _warmed(start: Any, peak: Any, warmup_steps: Any, schedule: Schedule) -> Schedule:
    return schedule if holds(warmup_steps == 0) else Sequence(Linear(start, peak, warmup_steps), schedule)
