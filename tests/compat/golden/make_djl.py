"""Makes djl.json. DJL is Java: these are its formulas, not its code. Java's float and double are NumPy's float32 and float64.

python make_djl.py    # needs NumPy alone
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from record import counts, write

f32 = np.float32
FOREVER = 2**31 - 1
Tracker = Callable[[int], Any]


def half_up(number: float) -> int:
    """Java's Math.round."""
    return math.floor(float(number) + 0.5)


def fixed_tracker(value: float) -> Tracker:
    """Tracker.fixed."""
    return lambda n: f32(value)


def factor_tracker(baseValue: float, factor: float, minValue: float | None = None, maxUpdates: int | None = None) -> Tracker:
    """A power of the number of the update."""
    base, by = f32(baseValue), f32(factor)
    last = FOREVER if maxUpdates is None else maxUpdates
    if minValue is not None:
        last = half_up(math.log(f32(minValue) / base) / math.log(by))
    return lambda n: f32(float(base) * float(by) ** min(n, last))


def multi_factor_tracker(baseValue: float, steps: list[int], factor: float = 1.0) -> Tracker:
    """Multiplied in float32, once for each step that is past."""

    def value(n: int) -> Any:
        rate = f32(baseValue)
        for step in steps:
            rate = rate * f32(factor) if n > step else rate
        return rate

    return value


def cosine_tracker(baseValue: float, maxUpdates: int, finalValue: float = 0.01) -> Tracker:
    """Half a cosine, whose cosine alone is a double."""
    base, final = f32(baseValue), f32(finalValue)
    half = (base - final) / f32(2)
    return lambda n: final if n > maxUpdates else final + half * (f32(1) + f32(math.cos(math.pi * n / maxUpdates)))


def linear_tracker(
    baseValue: float,
    slope: float,
    maxValue: float | None = None,
    minValue: float | None = None,
    maxUpdates: int | None = None,
) -> Tracker:
    """A straight line."""
    base, each = f32(baseValue), f32(slope)
    last = FOREVER if maxUpdates is None else maxUpdates
    if maxValue is not None:
        last = half_up((f32(maxValue) - base) / each)
    if minValue is not None:
        last = -half_up((base - f32(minValue)) / each)
    return lambda n: base + f32(min(n, last)) * each


def polynomial_decay_tracker(baseValue: float, endLearningRate: float, decaySteps: int, power: float = 1.0) -> Tracker:
    """A power of what is left, in double."""
    base, end = f32(baseValue), f32(endLearningRate)

    def value(n: int) -> Any:
        step = max(0, min(n, decaySteps))
        return f32(float(base - end) * (1.0 - step / decaySteps) ** float(f32(power)) + float(end))

    return value


def cyclical_tracker(
    baseValue: float = 0.001,
    maxValue: float = 0.006,
    stepSizeUp: int = 2000,
    stepSizeDown: int = 0,
    mode: str = "TRIANGULAR",
    gamma: float = 1.0,
    scaleFunction: str | None = None,
    scaleModeCycle: bool = True,
) -> Tracker:
    """Triangles, whose place in the cycle is a float32 difference."""
    base, top, total = f32(baseValue), f32(maxValue), stepSizeUp + (stepSizeDown or stepSizeUp)
    ratio = f32(stepSizeUp) / f32(total)
    scales: dict[str, Callable[[int], Any]] = {
        "TRIANGULAR": lambda cycle: f32(1),
        "TRIANGULAR2": lambda cycle: f32(1 / 2.0 ** (cycle - 1)),
        "EXP_RANGE": lambda n: f32(float(f32(gamma)) ** n),
    }
    custom = eval(scaleFunction) if scaleFunction else None
    by_cycle = scaleModeCycle if custom else mode != "EXP_RANGE"
    scale = custom or scales[mode]

    def value(n: int) -> Any:
        cycle = math.floor(f32(1) + f32(n) / f32(total))
        x = f32(1) + f32(n) / f32(total) - f32(cycle)
        height = x / ratio if x < ratio else (x - f32(1)) / (ratio - f32(1))
        return base + (top - base) * height * f32(scale(cycle if by_cycle else n))

    return value


def warm_up_tracker(
    mainTracker: dict[str, Any], warmUpSteps: int = 0, warmUpBeginValue: float = 0.0, warmUpMode: str = "LINEAR"
) -> Tracker:
    """Begins the main tracker at its update 0."""
    main, begin = tracker(mainTracker), f32(warmUpBeginValue)

    def value(n: int) -> Any:
        if n >= warmUpSteps:
            return main(n - warmUpSteps)
        return begin + (main(0) - begin) * f32(n) / f32(warmUpSteps) if warmUpMode == "LINEAR" else begin

    return value


PEER = {
    "FixedTracker": fixed_tracker,
    "FactorTracker": factor_tracker,
    "MultiFactorTracker": multi_factor_tracker,
    "CosineTracker": cosine_tracker,
    "LinearTracker": linear_tracker,
    "PolynomialDecayTracker": polynomial_decay_tracker,
    "CyclicalTracker": cyclical_tracker,
    "WarmUpTracker": warm_up_tracker,
}


def tracker(case: dict[str, Any]) -> Tracker:
    """The tracker of a case."""
    return PEER[case["function"]](**case["arguments"])


def case(function: str, last: int, *marks: int, **arguments: Any) -> dict[str, Any]:
    """One case."""
    return {"function": function, "arguments": arguments, "counts": counts(last, *marks)}


def main_of(function: str, **arguments: Any) -> dict[str, Any]:
    """A tracker inside another."""
    return {"function": function, "arguments": arguments}


CASES = [
    case("FixedTracker", 10, value=0.1),
    case("FactorTracker", 100, baseValue=0.5, factor=0.9),
    case("FactorTracker", 60, 9, 10, baseValue=0.5, factor=0.8, maxUpdates=10),
    case("FactorTracker", 60, 15, 16, 17, baseValue=1.0, factor=0.9, minValue=0.18),
    case("FactorTracker", 60, 13, 14, 15, baseValue=1.0, factor=0.9, minValue=0.22),
    case("FactorTracker", 60, baseValue=0.5, factor=0.8, maxUpdates=0),
    case("MultiFactorTracker", 100, 30, 60, baseValue=0.1, steps=[30, 60], factor=0.1),
    case("CosineTracker", 100, 50, 99, baseValue=0.5, maxUpdates=100),
    case("CosineTracker", 100, 50, baseValue=0.5, maxUpdates=100, finalValue=0.0),
    case("LinearTracker", 100, baseValue=0.1, slope=0.01),
    case("LinearTracker", 100, baseValue=5.0, slope=-0.01),
    case("LinearTracker", 40, 2, 3, 4, baseValue=0.0, slope=0.3, maxValue=1.0),
    case("LinearTracker", 40, 1, 2, 3, baseValue=1.0, slope=-0.25, minValue=0.375),
    case("LinearTracker", 40, 10, baseValue=1.0, slope=-0.05, maxUpdates=10),
    case("LinearTracker", 10, baseValue=1.0, slope=-0.5, maxUpdates=0),
    case("PolynomialDecayTracker", 100, 50, 99, baseValue=0.5, endLearningRate=0.01, decaySteps=100),
    case("PolynomialDecayTracker", 100, 50, 99, baseValue=0.5, endLearningRate=0.01, decaySteps=100, power=2.5),
    case("CyclicalTracker", 8100, 1999, 2000, 3999, 4000),
    case("CyclicalTracker", 120, 19, 20, 49, 50, baseValue=0.1, maxValue=0.6, stepSizeUp=20, stepSizeDown=30),
    case("CyclicalTracker", 120, 15, 16, 31, 32, baseValue=0.1, maxValue=0.6, stepSizeUp=16, mode="TRIANGULAR2"),
    case("CyclicalTracker", 120, 15, 31, baseValue=0.1, maxValue=0.6, stepSizeUp=16, mode="EXP_RANGE", gamma=0.99),
    case("CyclicalTracker", 120, 15, 31, baseValue=0.1, maxValue=0.6, stepSizeUp=16, scaleFunction="lambda cycle: 1 / cycle"),
    case(
        "CyclicalTracker",
        120,
        15,
        31,
        baseValue=0.1,
        maxValue=0.6,
        stepSizeUp=16,
        scaleFunction="lambda n: 1 / (1 + n)",
        scaleModeCycle=False,
    ),
    case("WarmUpTracker", 60, 19, 20, mainTracker=main_of("FactorTracker", baseValue=0.5, factor=0.9), warmUpSteps=20),
    case(
        "WarmUpTracker",
        140,
        19,
        50,
        119,
        mainTracker=main_of("CosineTracker", baseValue=0.5, maxUpdates=100, finalValue=0.1),
        warmUpSteps=20,
        warmUpBeginValue=0.05,
        warmUpMode="CONSTANT",
    ),
    case(
        "WarmUpTracker",
        140,
        19,
        49,
        79,
        mainTracker=main_of("MultiFactorTracker", baseValue=0.5, steps=[30, 60], factor=0.5),
        warmUpSteps=20,
        warmUpBeginValue=0.05,
    ),
]


def rates(case: dict[str, Any]) -> list[float]:
    """The update `count + 1` asks for a value."""
    value = tracker(case)
    return [float(value(count + 1)) for count in case["counts"]]


write("djl", "DJL's formulas (not its code) in NumPy's float32, by make_djl.py", CASES, rates)
