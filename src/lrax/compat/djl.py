"""DJL's `ai.djl.training.tracker`, number for number (it is Java: checked against its formulas in float32, not its code).

DJL counts steps from 1 before it asks for a value, so the value at `count` is `getNewValue(count + 1)`. The arguments are
those of the builders without their `set` or `opt`. DJL stores its numbers as float32, as lrax does, and what it derives from
them when a tracker is built (how many steps lead to a minimum) is derived here in float32 too. Values differ from DJL's in
the last digits, because it also calculates in float32. For `FixedPerVarTracker`, one learning rate for each parameter, use one
`FixedTracker` for each label of `optax.multi_transform`.
"""

import math
from typing import Annotated, Any

import numpy as np

from lrax.compat._shared import (
    CONCRETE,
    Boundaries,
    ConcreteDelay,
    ConcreteRate,
    ConcreteSteps,
    Delay,
    Factor,
    Positive,
    Rate,
    Steps,
    check_order,
    checked,
)
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import POSITIVE, Choice, Number, Static
from lrax.schedules._base import Function, RateFunction, Schedule
from lrax.schedules._combinators import Cycle, Product, Sequence, Shift, Stretch, Sum, Warmup
from lrax.schedules._decays import Constant, Exponential, MultiStep
from lrax.schedules._phases import Cosine, Linear, Polynomial

__all__ = [
    "CosineTracker",
    "CyclicalTracker",
    "FactorTracker",
    "FixedTracker",
    "LinearTracker",
    "MultiFactorTracker",
    "PolynomialDecayTracker",
    "WarmUpTracker",
]

FOREVER = 2**31 - 1


@checked
def FixedTracker(value: Rate) -> Schedule:
    """Stays at `value`: `Tracker.fixed`.

    >>> print(FixedTracker(0.1)(5))
    0.1
    """
    return Shift(Constant(value), 1)


@checked
def FactorTracker(
    baseValue: Positive, factor: Factor, minValue: ConcreteRate | None = None, maxUpdates: ConcreteDelay | None = None
) -> Schedule:
    """Multiplies the learning rate by `factor` at every step, for `maxUpdates` of them.

    The first learning rate is `baseValue * factor`. `minValue` is another way to give `maxUpdates`, not a lower bound: the
    nearest whole number of steps that lead to it, so the last learning rate may be above or below.

    Args:
      baseValue: the learning rate before the first step.
      factor: in (0, 1].
      minValue: about where to stop; below `baseValue`.
      maxUpdates: how many steps change the learning rate; all if neither is given.

    Raises: ValueError if both `minValue` and `maxUpdates` are given.

    >>> print(FactorTracker(baseValue=1.0, factor=0.5, minValue=0.2)(jnp.arange(4)))  # 0.25 is nearer to 0.2 than 0.125
    [0.5  0.25 0.25 0.25]
    """
    _only_one("FactorTracker", minValue=minValue, maxUpdates=maxUpdates)
    by, steps = float(np.float32(factor)), maxUpdates
    if minValue is not None:
        CONCRETE.convert("FactorTracker", "baseValue", baseValue)
        check_order("FactorTracker", "minValue", minValue, "below", baseValue, "baseValue")
        POSITIVE.convert("FactorTracker", "minValue", minValue)
        if by == 1:
            raise argument_error(ValueError, "FactorTracker", "factor", "below 1 where `minValue` is given", factor)
        steps = math.floor(math.log(np.float32(minValue) / np.float32(baseValue)) / math.log(by) + 0.5)
    floor = 0.0 if steps is None else baseValue * by**steps
    return Shift(Exponential(baseValue, factor, floor=floor), 1)


@checked
def MultiFactorTracker(baseValue: Rate, steps: Boundaries, factor: Factor = 1.0) -> Schedule:
    """Multiplies the learning rate by `factor`, in (0, 1], after the steps in `steps`.

    They are step numbers (from 1), two or more, rising strictly.

    >>> print(MultiFactorTracker(baseValue=1.0, steps=[2, 4], factor=0.5)(jnp.arange(6)))
    [1.   1.   0.5  0.5  0.25 0.25]
    """
    if is_concrete(steps) and (len(steps) < 2 or min(steps) < 1):
        raise argument_error(ValueError, "MultiFactorTracker", "steps", "two or more step numbers from 1 on", steps)
    return Shift(Shift(MultiStep(baseValue, factor, steps), -1), 1)


@checked
def CosineTracker(baseValue: Positive, maxUpdates: Steps, finalValue: Rate = 0.01) -> Schedule:
    """Falls along half a cosine from `baseValue`, before the first step, to `finalValue` at step number `maxUpdates`.

    It stays there. `finalValue` must be below `baseValue`; mind its default.

    >>> print([f"{lr:.3f}" for lr in CosineTracker(baseValue=1.0, maxUpdates=4, finalValue=0.0)(jnp.arange(5))])
    ['0.854', '0.500', '0.146', '0.000', '0.000']
    """
    check_order("CosineTracker", "finalValue", finalValue, "below", baseValue, "baseValue")
    return Shift(Cosine(baseValue, finalValue, maxUpdates), 1)


@checked
def LinearTracker(
    baseValue: Rate,
    slope: ConcreteRate,
    maxValue: ConcreteRate | None = None,
    minValue: ConcreteRate | None = None,
    maxUpdates: ConcreteDelay | None = None,
) -> Schedule:
    """Adds `slope` to the learning rate at every step, for `maxUpdates` of them.

    `minValue` and `maxValue` are other ways to give `maxUpdates`: the nearest whole number of steps that lead there, so the
    last learning rate may be above or below.

    Args:
      baseValue: the learning rate before the first step.
      slope: what each step adds, not 0.
      maxValue: about where a learning rate that climbs stops; above `baseValue`.
      minValue: about where a learning rate that falls stops; below `baseValue`.
      maxUpdates: how many steps change the learning rate; all if none of the three is given.

    Raises: ValueError if more than one of the last three is given, or `slope` is 0 or leads away.

    >>> print(LinearTracker(baseValue=1.0, slope=-0.25, minValue=0.4)(jnp.arange(3)))  # 2 steps are nearer than 3
    [0.75 0.5  0.5 ]
    """
    _only_one("LinearTracker", maxValue=maxValue, minValue=minValue, maxUpdates=maxUpdates)
    each, steps = np.float32(slope), FOREVER if maxUpdates is None else maxUpdates
    if each == 0:
        raise argument_error(ValueError, "LinearTracker", "slope", "not 0", slope, "use FixedTracker")
    for name, limit in {"maxValue": maxValue, "minValue": minValue}.items():
        if limit is not None:
            CONCRETE.convert("LinearTracker", "baseValue", baseValue)
            distance = np.float32(limit) - np.float32(baseValue)
            if distance * each <= 0:
                needs = "on the side of `baseValue` that `slope` leads to"
                raise argument_error(ValueError, "LinearTracker", name, needs, limit, "change the sign of `slope`")
            ratio = float(distance / each)
            steps = math.floor(ratio + 0.5) if each > 0 else -math.floor(0.5 - ratio)  # Java rounds halves up
    if not steps:
        return FixedTracker(baseValue)
    return Shift(Linear(baseValue, baseValue + steps * float(each), steps), 1)


@checked
def PolynomialDecayTracker(baseValue: Rate, endLearningRate: Rate, decaySteps: Steps, power: Positive = 1.0) -> Schedule:
    """Goes to `endLearningRate` as a power of what is left, and stays there from step number `decaySteps` on.

    >>> print(PolynomialDecayTracker(baseValue=1.0, endLearningRate=0.0, decaySteps=4, power=2.0)(jnp.arange(5)))
    [0.5625 0.25   0.0625 0.     0.    ]
    """
    return Shift(Polynomial(baseValue, endLearningRate, decaySteps, power), 1)


@checked
def CyclicalTracker(
    baseValue: Positive = 0.001,
    maxValue: Positive = 0.006,
    stepSizeUp: ConcreteSteps = 2000,
    stepSizeDown: ConcreteDelay = 0,
    mode: Annotated[str, Choice(("TRIANGULAR", "TRIANGULAR2", "EXP_RANGE"))] = "TRIANGULAR",
    gamma: Factor = 1.0,
    scaleFunction: Annotated[RateFunction | None, Static()] = None,
    scaleModeCycle: Annotated[bool, Static()] = True,
) -> Schedule:
    """Triangles between `baseValue` and `maxValue`, without end, whose amplitude may shrink.

    Args:
      baseValue: the lowest learning rate, of step number 0 and of each multiple of the cycle.
      maxValue: the highest learning rate of the first cycle.
      stepSizeUp, stepSizeDown: steps of climbing and of falling; 0: as many as of climbing.
      mode: `"TRIANGULAR"`, `"TRIANGULAR2"` (half the amplitude each cycle) or `"EXP_RANGE"` (times `gamma` each step).
      gamma: factor of the amplitude, in (0, 1].
      scaleFunction: factor of the amplitude instead of that of `mode`, a function of the cycle or of the step (from 1).
      scaleModeCycle: whether `scaleFunction` takes the cycle.

    Raises: ValueError if `baseValue` is above `maxValue`.

    >>> print(CyclicalTracker(1.0, 2.0, stepSizeUp=2, mode="TRIANGULAR2")(jnp.arange(8)))
    [1.5  2.   1.5  1.   1.25 1.5  1.25 1.  ]
    """
    check_order("CyclicalTracker", "baseValue", baseValue, "at most", maxValue, "maxValue", "swap them")
    steps = int(stepSizeUp), int(stepSizeDown or stepSizeUp)
    if scaleFunction is None and mode == "TRIANGULAR":
        return Shift(Cycle(_triangle(baseValue, maxValue, *steps)), 1)
    unit = Cycle(
        _triangle(0.0, maxValue - baseValue, *steps), 1, 0.5 if scaleFunction is None and mode == "TRIANGULAR2" else 1.0
    )
    if scaleFunction is not None:
        scale = Function(scaleFunction)
        by_cycle = Stretch(Shift(scale, 1), sum(steps))
        return Shift(Sum(Constant(baseValue), Product(unit, by_cycle if scaleModeCycle else scale)), 1)
    if mode == "TRIANGULAR2":
        return Shift(Sum(Constant(baseValue), unit), 1)
    return Shift(Sum(Constant(baseValue), Product(unit, Exponential(1.0, gamma))), 1)


@checked
def WarmUpTracker(
    mainTracker: Schedule,
    warmUpSteps: Delay = 0,
    warmUpBeginValue: Rate = 0.0,
    warmUpMode: Annotated[str, Choice(("LINEAR", "CONSTANT"))] = "LINEAR",
) -> Schedule:
    """Leads to the main tracker's value at step number 0, and then follows it from there: every tracker is delayed.

    Args:
      mainTracker: a schedule made by a function of this module.
      warmUpSteps: steps of warm-up; step number `warmUpSteps` has the main tracker's value at 0.
      warmUpBeginValue: learning rate that the warm-up starts from.
      warmUpMode: `"LINEAR"`, or `"CONSTANT"` for `warmUpBeginValue` throughout.

    Raises: TypeError if `mainTracker` was not made here.

    >>> main = PolynomialDecayTracker(baseValue=1.0, endLearningRate=0.0, decaySteps=2)
    >>> print(WarmUpTracker(main, warmUpSteps=4)(jnp.arange(6)))
    [0.25 0.5  0.75 1.   0.5  0.  ]
    """
    if not isinstance(mainTracker, Shift):  # each function shifts its tracker by one, from DJL's count to lrax's
        raise argument_error(TypeError, "WarmUpTracker", "mainTracker", "a schedule made by lrax.compat.djl", mainTracker)
    mode: Any = warmUpMode.lower()
    return Shift(Warmup(mainTracker.schedule, warmUpSteps, warmUpBeginValue, mode), 1)


def _triangle(low: Number, high: Number, up: int, down: int) -> Schedule:
    return Sequence(Linear(low, high, up), Linear(high, low, down))


def _only_one(caller: str, **limits: object) -> None:
    """Raises ValueError if more than one of the limits is given."""
    given = [name for name, limit in limits.items() if limit is not None]
    if len(given) > 1:
        raise argument_error(ValueError, caller, given[1], f"left out where `{given[0]}` is given", limits[given[1]])
