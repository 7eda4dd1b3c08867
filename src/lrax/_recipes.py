"""Named compositions: functions that only put kinds together. Every argument may be traced, so recipes can be vmapped."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from lrax._check import DELAY, STEPS, complain, is_known
from lrax._combinators import Cycle, Sequence, Shift, Warmup
from lrax._phases import Cosine, Hold, Linear, Triangle
from lrax._schedule import Schedule


def remaining(owner: str, total_steps: Any, **used: Any) -> Any:
    """`total_steps` less the lengths in `used`, which must leave at least one update (if traced, one is left)."""
    left = STEPS.convert(owner, "total_steps", total_steps)
    for name, given in used.items():
        steps = DELAY.convert(owner, name, given)
        known = is_known(left) and is_known(steps)
        if known and np.any(np.asarray(steps) >= np.asarray(left)):
            needs = f"less than what is left of `total_steps` ({left})"
            raise complain(ValueError, owner, name, needs, given, "`total_steps` is the whole length, warm-up included")
        left = np.asarray(left) - np.asarray(steps) if known else jnp.maximum(left - steps, 1)
    return left


def warmup_cosine(peak: Any, total_steps: Any, warmup_steps: Any, end: Any = 0.0) -> Schedule:
    """Climbs in a straight line to `peak`, then falls to `end` along half a cosine, and holds it.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate at count `warmup_steps`.
      total_steps: the whole length in updates, warm-up included.
      warmup_steps: length of the warm-up in updates, an integer >= 0, less than `total_steps`.
      end: rate from count `total_steps` on.

    Returns: a schedule made of `Shift`, `Warmup` and `Cosine`.

    Raises: ValueError if `warmup_steps` is not less than `total_steps`, or a number is out of range.

    >>> schedule = warmup_cosine(peak=0.5, total_steps=20, warmup_steps=4)
    >>> print(schedule(jnp.array([0, 2, 4, 20])))
    [0.1 0.3 0.5 0. ]
    """
    steps = remaining("warmup_cosine", total_steps, warmup_steps=warmup_steps)
    return Shift(Warmup(Cosine(peak, end, steps), warmup_steps + 1), 1)


def one_cycle(low: Any, high: Any, cycle_steps: Any, cooldown_steps: Any = 0, end: Any = None) -> Schedule:
    """One triangle from `low` to `high` and back, then a straight cool-down to `end`, which is held.

    Args:
      low: rate at count 0 and at count `cycle_steps`.
      high: rate half-way through the cycle.
      cycle_steps: length of the triangle in updates.
      cooldown_steps: length of the cool-down in updates; 0 for none, then `low` is held.
      end: rate from count `cycle_steps + cooldown_steps` on.

    Returns: a `Triangle`, or a `Sequence` of it and a `Linear`.

    Raises: ValueError if only one of `cooldown_steps` and `end` is given, or a number is out of range.

    Source: Smith & Topin 2017, Super-convergence.

    >>> schedule = one_cycle(low=0.1, high=0.5, cycle_steps=500, cooldown_steps=750, end=0.001)
    >>> print(schedule(jnp.array([0, 250, 500, 1250])))
    [0.1   0.5   0.1   0.001]
    """
    triangle = Triangle(low, high, cycle_steps)
    if isinstance(cooldown_steps, int) and cooldown_steps == 0:
        if end is not None:
            raise complain(
                ValueError, "one_cycle", "cooldown_steps", "above 0 where `end` is given", 0, "give its length in updates"
            )
        return triangle
    if end is None:
        raise complain(ValueError, "one_cycle", "end", "a rate where `cooldown_steps` is given", None, "give the last rate")
    return Sequence(triangle, Linear(low, end, cooldown_steps))


def cyclical(low: Any, high: Any, cycle_steps: Any, value_factor: Any = 1.0, rise: Any = 0.5) -> Schedule:
    """Triangles between `low` and `high`, for ever.

    Args:
      low: rate at the start of each cycle.
      high: rate at the peak of the first cycle.
      cycle_steps: length of a cycle in updates: twice the "step size" of the paper.
      value_factor: what both rates are multiplied by from cycle to cycle.
      rise: fraction of a cycle spent climbing.

    Returns: a `Cycle` of a `Triangle`.

    Raises: ValueError if a number is out of range.

    Source: Smith 2015, Cyclical learning rates for training neural networks.

    >>> print(cyclical(low=0.5, high=2.0, cycle_steps=500)(jnp.array([0, 250, 500, 750])))
    [0.5 2.  0.5 2. ]
    """
    return Cycle(Triangle(low, high, cycle_steps, rise), 1, value_factor)


def sgdr(peak: Any, end: Any, cycle_steps: Any, length_factor: Any = 2, value_factor: Any = 1.0) -> Schedule:
    """Cosine decay with warm restarts: from `peak` to `end`, again and again, each cycle longer than the last.

    Args:
      peak: rate at the start of the first cycle.
      end: rate that the first cycle falls to.
      cycle_steps: length of the first cycle in updates.
      length_factor: what the length is multiplied by from cycle to cycle, rounded up.
      value_factor: what both rates are multiplied by from cycle to cycle.

    Returns: a `Cycle` of a `Cosine`.

    Raises: ValueError if a number is out of range.

    Source: Loshchilov & Hutter 2017, SGDR.

    >>> print(sgdr(peak=2.0, end=0.0, cycle_steps=250, value_factor=0.5)(jnp.array([0, 250, 750])))
    [2.  1.  0.5]
    """
    return Cycle(Cosine(peak, end, cycle_steps), length_factor, value_factor)


def wsd(peak: Any, total_steps: Any, warmup_steps: Any, cooldown_steps: Any, end: Any = 0.0) -> Schedule:
    """Warm-up, stable, decay: climbs to `peak`, stays there, and falls to `end` in a straight line, which is held.

    The first update has a rate already: `peak / (warmup_steps + 1)`.

    Args:
      peak: rate from count `warmup_steps` to count `total_steps - cooldown_steps`.
      total_steps: the whole length in updates.
      warmup_steps: length of the warm-up in updates, an integer >= 0.
      cooldown_steps: length of the fall in updates, an integer > 0.
      end: rate from count `total_steps` on.

    Returns: a schedule made of `Shift`, `Warmup`, `Sequence`, `Hold` and `Linear`.

    Raises: ValueError if warm-up and cool-down leave no update of `total_steps`, or a number is out of range.

    Source: Hu et al. 2024, MiniCPM, section 4.

    >>> print(wsd(peak=0.5, total_steps=100, warmup_steps=4, cooldown_steps=20)(jnp.array([0, 4, 80, 90, 100])))
    [0.1  0.5  0.5  0.25 0.  ]
    """
    steps = remaining("wsd", total_steps, warmup_steps=warmup_steps, cooldown_steps=cooldown_steps)
    return Shift(Warmup(Sequence(Hold(peak, steps), Linear(peak, end, cooldown_steps)), warmup_steps + 1), 1)
