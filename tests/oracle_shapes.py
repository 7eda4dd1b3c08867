"""Ways from one rate to another in float64, by what is done and what is left."""

import math
from collections.abc import Callable

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


def rex(start: float, end: float, done: float, left: float) -> float:
    """(1 - s) / (1 - s / 2), and what it leaves of 1."""
    return start * left / (1 - done / 2) + end * (done / 2) / (1 - done / 2)


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
