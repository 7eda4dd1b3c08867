"""Ways from one rate to another in float64, by what is done and what is left."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np


def parts(count: int, steps: int) -> tuple[float, float]:
    """The fractions done and left."""
    past = min(count, steps)
    return past / steps, (steps - past) / steps


def power(base: float, exponent: float) -> float:
    """A power, infinite where float64 overflows."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def one_minus_power(base: float, rest: float, exponent: float) -> float:
    """`1 - base ** exponent` where `base + rest == 1`."""
    if base <= 0:
        return 1.0
    return -math.expm1(exponent * (math.log1p(-rest) if rest < 0.5 else math.log(base)))


def linear(start: float, end: float, done: float, left: float) -> float:
    """A straight line."""
    return start * left + end * done


def cosine(start: float, end: float, done: float, left: float) -> float:
    """(1 + cos(pi s)) / 2 is the squared sine of pi/2 (1 - s)."""
    return start * math.sin(math.pi / 2 * left) ** 2 + end * math.sin(math.pi / 2 * done) ** 2


def geometric(start: float, end: float, done: float, left: float) -> float:
    """A straight line of logarithms."""
    if not left:
        return end
    return start * math.exp(done * math.log(end / start))


def polynomial(start: float, end: float, done: float, left: float, exponent: float) -> float:
    """A power of what is left."""
    return start * left**exponent + end * one_minus_power(left, done, exponent)


def one_minus_sqrt(start: float, end: float, done: float, left: float) -> float:
    """1 - sqrt(s) is (1 - s) / (1 + sqrt(s))."""
    return start * left / (1 + math.sqrt(done)) + end * math.sqrt(done)


def one_minus_square(start: float, end: float, done: float, left: float) -> float:
    """1 - s ** 2 is (1 - s) (1 + s)."""
    return start * left * (1 + done) + end * done**2


def rex(start: float, end: float, done: float, left: float, beta: float = 0.5) -> float:
    """(1 - s) / (1 - s (1 - beta)), and what it leaves of 1."""
    return (start * left + end * beta * done) / (left + beta * done)


def relaxation(start: float, end: float, done: float, left: float, ratio: float = float(np.float32(0.1))) -> float:
    """(r ** s - r) / (1 - r), and what it leaves of 1."""
    falling = ratio * math.expm1(-left * math.log(ratio)) / (1 - ratio)
    return start * falling - end * math.expm1(done * math.log(ratio)) / (1 - ratio)


def tanh(start: float, end: float, done: float, left: float, first: float = -7.0, last: float = 3.0) -> float:
    """tanh(x) - tanh(y) is sinh(x - y) / (cosh(x) cosh(y))."""
    span, here = last - first, first * left + last * done
    falling = math.sinh(span * left) * math.cosh(first) / (math.sinh(span) * math.cosh(here))
    rising = math.sinh(span * done) * math.cosh(last) / (math.sinh(span) * math.cosh(here))
    return start * falling + end * rising


def square(start: float, end: float, done: float, left: float) -> float:
    """The polynomial of the shape's default power."""
    return polynomial(start, end, done, left, 2.0)


def raised(mode: str, exponent: float | None, start: float, end: float, done: float, left: float) -> float:
    """The shape of a name, the weight of whose start is raised to a power; the shape itself if that is None."""
    if exponent is None:
        return SHAPES[mode](start, end, done, left)
    falling, rising = SHAPES[mode](1.0, 0.0, done, left), SHAPES[mode](0.0, 1.0, done, left)
    return start * falling**exponent + end * one_minus_power(falling, rising, exponent)


def hyperbola(count: int, steps: int, horizon: int) -> tuple[float, float]:
    """The weights of the start and of the rate at the horizon, from whole numbers whose squares are exact."""
    past, rest = min(count, steps), horizon - steps
    first = math.sqrt(horizon**2 - rest**2) / horizon
    height = math.sqrt((horizon - past) ** 2 - rest**2) / horizon
    return rest**2 / horizon**2 / (1 + first) + height, past * (2 * horizon - past) / horizon**2 / (first + height)


def knot_slopes(values: list[float], counts: list[int]) -> list[float]:
    """The slopes of a monotone cubic at its knots (Fritsch & Butland; at both ends, the parabola through three knots)."""
    gaps = [after - before for before, after in itertools.pairwise(counts)]
    straight = [(b - a) / gap for (a, b), gap in zip(itertools.pairwise(values), gaps, strict=True)]
    if len(values) == 2:
        return straight * 2

    def inner(k: int) -> float:
        if straight[k - 1] * straight[k] <= 0:
            return 0.0
        first, second = 2 * gaps[k] + gaps[k - 1], gaps[k] + 2 * gaps[k - 1]
        return (first + second) / (first / straight[k - 1] + second / straight[k])

    def outer(near: float, far: float, gap: int, beyond: int) -> float:
        slope = ((2 * gap + beyond) * near - gap * far) / (gap + beyond)
        if slope * near <= 0:
            return 0.0
        return 3 * near if near * far <= 0 and abs(slope) > 3 * abs(near) else slope

    ends = outer(straight[0], straight[1], *gaps[:2]), outer(straight[-1], straight[-2], gaps[-1], gaps[-2])
    return [ends[0], *map(inner, range(1, len(straight))), ends[1]]


SHAPES: dict[str, Callable[..., float]] = {
    "linear": linear,
    "cosine": cosine,
    "polynomial": square,
    "geometric": geometric,
    "one_minus_sqrt": one_minus_sqrt,
    "one_minus_square": one_minus_square,
    "relaxation": relaxation,
    "rex": rex,
    "tanh": tanh,
}


def number(leaf: Any) -> Any:
    """A leaf as a Python number."""
    return np.asarray(leaf).item()


def hyperbolic(schedule: Any, count: int) -> float:
    """Two weights of two rates."""
    falling, rising = hyperbola(count, number(schedule.steps), number(schedule.horizon))
    return number(schedule.start) * falling + number(schedule.low) * rising


def exp_hyperbolic(schedule: Any, count: int) -> float:
    """Two weights of two logarithms."""
    _, rising = hyperbola(count, number(schedule.steps), number(schedule.horizon))
    return number(schedule.start) * math.exp(rising * math.log(number(schedule.low) / number(schedule.start)))


def spline(schedule: Any, count: int) -> float:
    """Hermite's cubic between two knots, by what is done and left of the piece."""
    values, counts = np.asarray(schedule.values).tolist(), np.asarray(schedule.counts).tolist()
    if not counts[0] <= count < counts[-1]:
        return values[0] if count < counts[0] else values[-1]
    k = sum(at <= count for at in counts) - 1
    s, left = parts(count - counts[k], counts[k + 1] - counts[k])
    climb = values[k + 1] - values[k]
    if not climb:
        return values[k]
    a, b = (slope * (counts[k + 1] - counts[k]) / climb for slope in knot_slopes(values, counts)[k : k + 2])
    falling = left * (b * s**2 + left**2 + (3 - a) * s * left)
    return values[k] * falling + values[k + 1] * s * (a * left**2 + s**2 + (3 - b) * s * left)
