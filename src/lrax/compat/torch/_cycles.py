"""PyTorch's schedulers that come again."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from lrax.compat._arguments import checked
from lrax.compat._parts import exponential
from lrax.fields._given import Positive, Rate, Steps
from lrax.fields._rules import Choice, Rule
from lrax.schedules._base import CallableRule, Function, Schedule
from lrax.schedules._combinators import Cycle, Product, Sequence, Shift, Stretch, Sum
from lrax.schedules._decays import Constant
from lrax.schedules._phases import Cosine, Linear

TIMES = Rule("an integer, at least 1", np.int32, low=1, remedy="lrax.sgdr(length_factor=...) takes any number above 0")
Times = Annotated[int | Any, TIMES]


@checked
def CosineAnnealingLR(lr: Rate, T_max: Steps, eta_min: Rate = 0.0) -> Schedule:
    """Falls along half a cosine to `eta_min` at count `T_max`, and then climbs back to `lr` at `2 * T_max`, for ever.

    Args:
      lr: rate at count 0.
      T_max: in updates, an integer > 0.
      eta_min: rate at count `T_max`.

    Raises: ValueError if a number is out of range.

    >>> print([f"{rate:.2f}" for rate in CosineAnnealingLR(1.0, T_max=2)(jnp.arange(6))])
    ['1.00', '0.50', '0.00', '0.50', '1.00', '0.50']
    """
    return Cycle(Sequence(Cosine(lr, eta_min, T_max), Cosine(eta_min, lr, T_max)))


@checked
def CosineAnnealingWarmRestarts(lr: Rate, T_0: Steps, T_mult: Times = 1, eta_min: Rate = 0.0) -> Schedule:
    """Falls from `lr` to `eta_min` along half a cosine, again and again, each time `T_mult` times as long.

    Args:
      lr: rate at the start of each cycle.
      T_0: updates of the first cycle, an integer > 0.
      T_mult: an integer > 0.
      eta_min: what each cycle falls to.

    Raises: ValueError if a number is out of range.

    >>> print(CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2)(jnp.array([0, 2, 6, 14])))
    [1. 1. 1. 1.]
    """
    return Cycle(Cosine(lr, eta_min, T_0), T_mult)


@checked
def CyclicLR(
    base_lr: Rate,
    max_lr: Rate,
    step_size_up: Steps = 2000,
    step_size_down: Steps | None = None,
    mode: Annotated[str, Choice(("triangular", "triangular2", "exp_range"))] = "triangular",
    gamma: Positive = 1.0,
    scale_fn: Annotated[Callable[[Any], Any] | None, CallableRule()] = None,
    scale_mode: Annotated[str, Choice(("cycle", "iterations"))] = "cycle",
) -> Schedule:
    """Triangles between `base_lr` and `max_lr`, for ever, whose height may shrink.

    The momentum that goes with it is `CyclicLR(base_lr=max_momentum, max_lr=base_momentum, ...)`, all else alike.

    Args:
      base_lr: rate at the start of each cycle.
      max_lr: rate at the peak of the first cycle.
      step_size_up: updates of climbing.
      step_size_down: updates of falling; as many as of climbing if None.
      mode: `"triangular"`, `"triangular2"` (half the height each cycle) or `"exp_range"` (times `gamma` each update).
      gamma: factor of the height.
      scale_fn: factor of the height instead of that of `mode`: a function of the cycle (from 1) or of the count.
      scale_mode: `"cycle"` or `"iterations"`, which of the two.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> print(CyclicLR(1.0, 2.0, step_size_up=2, mode="triangular2")(jnp.arange(8)))
    [1.   1.5  2.   1.5  1.   1.25 1.5  1.25]
    """
    up, down = step_size_up, step_size_up if step_size_down is None else step_size_down
    if scale_fn is None and mode == "triangular":
        return Cycle(Sequence(Linear(base_lr, max_lr, up), Linear(max_lr, base_lr, down)))
    height = max_lr - base_lr
    triangle = Sequence(Linear(0.0, height, up), Linear(height, 0.0, down))
    if scale_fn is None and mode == "triangular2":
        return Sum(Constant(base_lr), Cycle(triangle, 1, 0.5))
    scale: Schedule = exponential(1.0, gamma) if scale_fn is None else Function(scale_fn)
    if scale_fn is not None and scale_mode == "cycle":
        scale = Stretch(Shift(scale, 1), up + down)
    return Sum(Constant(base_lr), Product(Cycle(triangle), scale))
