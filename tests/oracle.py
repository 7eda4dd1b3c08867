"""Every kind's formula in plain Python: integers and float64, at the numbers a schedule has stored.

Counts and lengths stay Python integers, which never wrap, and a fraction is divided once. A difference that nearly cancels is
written as a product, so that float64 is exact enough to judge float32 by.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

import lrax
from lrax.schedules._combinators import Dips
from lrax.schedules._recipes import Recipe
from oracle_shapes import (
    SHAPES,
    cosine,
    exp_hyperbolic,
    geometric,
    hyperbolic,
    linear,
    number,
    one_minus_power,
    one_minus_sqrt,
    one_minus_square,
    parts,
    polynomial,
    power,
    raised,
    relaxation,
    rex,
    spline,
    tanh,
)


def rate(schedule: Any, count: int) -> float:
    """The rate of `schedule` at `count`; that of a recipe is the one of what it is made of."""
    if isinstance(schedule, Recipe):
        return rate(schedule.sample(), count)
    return FORMULAS[type(schedule)](schedule, count)


def ulps(got: Any, want: float) -> float:
    """How many float32 ulp of `want` lie between `got` and `want`; numbers below float32's smallest normal one are alike."""
    if abs(want) < 2.0**-126:
        return 0.0 if abs(got) < 2.0**-125 else math.inf
    if abs(want) >= 2.0**128:
        return 0.0 if math.isinf(got) else math.inf
    return abs(float(got) - want) / math.ldexp(1.0, math.frexp(want)[1] - 24)


def shaped(shape: Callable[..., float], *names: str) -> Callable[[Any, int], float]:
    """The formula of a phase from `start` to `end`, with further numbers by name."""

    def formula(schedule: Any, count: int) -> float:
        extra = [number(getattr(schedule, name)) for name in names]
        ends = number(schedule.start), number(schedule.end)
        return shape(*ends, *parts(count, number(schedule.steps)), *extra)

    return formula


def triangle(schedule: Any, count: int) -> float:
    """The position of the peak is a fraction, so its distance is taken in fractions."""
    steps, rise = number(schedule.steps), Fraction(number(schedule.rise))
    at, peak = min(count, steps), rise * number(schedule.steps)
    height = Fraction(at) / peak if at < peak else (steps - at) / (steps - peak)
    return SHAPES[schedule.mode](number(schedule.high), number(schedule.low), float(1 - height), float(height))


def stopped(schedule: Any, decayed: float) -> float:
    """Not past the floor, on the side of 0 that the start is on."""
    return (min if number(schedule.start) < 0 else max)(number(schedule.floor), decayed)


def step_decay(schedule: Any, count: int) -> float:
    """A whole power."""
    decayed = number(schedule.start) * power(number(schedule.factor), count // number(schedule.every))
    return stopped(schedule, decayed)


def exponential(schedule: Any, count: int) -> float:
    """A smooth power."""
    decayed = number(schedule.start) * power(number(schedule.factor), count / number(schedule.every))
    return stopped(schedule, decayed)


def multi_step(schedule: Any, count: int) -> float:
    """As many powers as boundaries are past."""
    drops = sum(boundary <= count for boundary in np.asarray(schedule.at()).tolist())
    return number(schedule.start) * power(number(schedule.factor), drops)


def inverse_sqrt(schedule: Any, count: int) -> float:
    """One over a square root."""
    return number(schedule.start) / math.sqrt(1 + count / number(schedule.timescale))


def polynomial_restarts(schedule: Any, count: int) -> float:
    """The horizon is the next multiple of `steps`."""
    steps = number(schedule.steps)
    horizon = steps * max(1, math.ceil(Fraction(count, steps)))
    ends = number(schedule.start), number(schedule.end)
    return polynomial(*ends, *parts(count, horizon), number(schedule.power))


def piecewise_constant(schedule: Any, count: int) -> float:
    """The value after as many boundaries as are past."""
    past = sum(boundary <= count for boundary in np.asarray(schedule.at()).tolist())
    return np.asarray(schedule.values).tolist()[past]


def piecewise(schedule: Any, count: int) -> float:
    """The shape between the last count reached and the next."""
    values, counts = np.asarray(schedule.values).tolist(), np.asarray(schedule.at()).tolist()
    if count < counts[0]:
        return values[0]
    for k in range(len(counts) - 1):
        if counts[k] <= count < counts[k + 1]:
            return SHAPES[schedule.mode](values[k], values[k + 1], *parts(count - counts[k], counts[k + 1] - counts[k]))
    return values[-1]


def repeat(schedule: Any, count: int) -> float:
    """The remainder, or the end."""
    if schedule.total_steps is not None:
        total, phase = number(schedule.total_steps), schedule.schedule
        past = count * number(schedule.times) % total if count < total else total
        return SHAPES[type(phase).__name__.lower()](number(phase.start), number(phase.end), *parts(past, total))
    size, times = length(schedule.schedule), number(schedule.times)
    return rate(schedule.schedule, count % size if count < times * size else size)


def warp(schedule: Any, count: int) -> float:
    """The shape of the phase at a power of what is done."""
    phase, exponent = schedule.phase, number(schedule.power)
    done, left = parts(count, number(phase.steps))
    shape = SHAPES[type(phase).__name__.lower()]
    return shape(number(phase.start), number(phase.end), done**exponent, one_minus_power(done, left, exponent))


def sequence(schedule: Any, count: int) -> float:
    """The first schedule that has not ended, the last one otherwise."""
    *others, last = schedule.schedules
    for part in others:
        if count < length(part):
            return rate(part, count)
        count -= length(part)
    return rate(last, count)


def length(schedule: Any) -> int:
    """The length in updates."""
    if isinstance(schedule, lrax.Sequence):
        return sum(map(length, schedule.schedules))
    if isinstance(schedule, lrax.Warmup):
        return number(schedule.warmup_steps) + length(schedule.schedule)
    if isinstance(schedule, lrax.Shift):
        return length(schedule.schedule) - number(schedule.offset)
    if isinstance(schedule, lrax.Cooldown):
        return number(schedule.begin) + number(schedule.steps)
    return number(schedule.steps)


def cycle(schedule: Any, count: int) -> float:
    """Cycles are counted one by one as long as their length changes, in whole numbers and fractions."""
    factor = Fraction(number(schedule.length_factor.numerator), number(schedule.length_factor.denominator))
    first, index, exact = length(schedule.phase), 0, Fraction(length(schedule.phase))
    warm = number(schedule.phase.warmup_steps) + 1 if isinstance(schedule.phase, lrax.Warmup) else 1
    least, past = max(number(schedule.min_steps), warm), Fraction(count)
    while past >= (size := max(math.floor(exact + Fraction(1, 2)) if schedule.rounding == "nearest" else exact, least)):
        following = math.ceil(exact * factor) if schedule.rounding == "each" else exact * factor
        if following == exact or (factor < 1 and size == least):
            index, past = index + past // size, past % size
            break
        index, past, exact = index + 1, past - size, following
    grown = power(number(schedule.value_factor), index)
    if schedule.rounding == "none":
        shape = SHAPES[type(schedule.phase).__name__.lower()]
        ends = number(schedule.phase.start), number(schedule.phase.end)
        return grown * shape(*ends, float(past / size), float(1 - past / size))
    phase = schedule.phase if size == first else schedule.phase.resized(np.int32(min(size, 2**31 - 1)))
    return grown * rate(phase, int(past))


def wave(schedule: Any, count: int) -> float:
    """The fraction of a wave, in whole numbers."""
    steps, waves = number(schedule.steps), number(schedule.waves)
    past = count * waves % steps
    done, left = (Fraction(2 * min(past, steps - past), steps), Fraction(abs(steps - 2 * past), steps))
    return cosine(number(schedule.high), number(schedule.low), float(done), float(left))


def knots(schedule: Any, count: int) -> float:
    """The shape between two places, at those that are stored."""
    values, parts = np.asarray(schedule.values).tolist(), np.asarray(schedule.parts, np.float64)
    places = (np.asarray(schedule.counts) + parts).tolist()
    i = sum(place <= count for place in places[1:-1])
    done, left = ((at - since) / (places[i + 1] - places[i]) for at, since in ((count, places[i]), (places[i + 1], count)))
    return SHAPES[schedule.mode](values[i], values[i + 1], *(min(max(part, 0.0), 1.0) for part in (done, left)))


def warmup(schedule: Any, count: int) -> float:
    """A shape up to the first rate."""
    steps, start = number(schedule.warmup_steps), number(schedule.start)
    if count >= steps:
        return rate(schedule.schedule, count - steps)
    if schedule.mode == "constant":
        return start
    mode, exponent, peak = schedule.mode, exponent_of(schedule), rate(schedule.schedule, 0)
    if mode == "logarithmic":
        whole = math.log1p(steps)
        return raised(
            "linear", exponent, peak, start, math.log1p((steps - count) / (1 + count)) / whole, math.log1p(count) / whole
        )
    done, left = parts(count, steps)
    return raised(mode, exponent, peak, start, left, done)  # the fall, run backwards


def exponent_of(schedule: Any) -> float | None:
    """The power of a way, if it has one."""
    return None if schedule.power is None else number(schedule.power)


def cooldown(schedule: Any, count: int) -> float:
    """A shape from the rate at `begin`."""
    begin = number(schedule.begin)
    if count < begin:
        return rate(schedule.schedule, count)
    last = rate(schedule.schedule, begin)
    shares = parts(count - begin, number(schedule.steps))
    return raised(schedule.mode, exponent_of(schedule), last, number(schedule.end), *shares)


def stretch(schedule: Any, count: int) -> float:
    """The floor of a quotient of whole numbers."""
    slower = count * number(schedule.every.denominator) // number(schedule.every.numerator)
    return rate(schedule.schedule, min(slower, 2**31 - 1))


def dips(schedule: Any, count: int) -> float:
    """A cool-down before the next end, the last one for ever."""
    ends, steps = np.asarray(schedule.ends).tolist(), number(schedule.steps)
    begin = next((end for end in ends if end > count), ends[-1]) - steps
    if count < begin:
        return rate(schedule.schedule, count)
    last = rate(schedule.schedule, begin)
    return SHAPES[schedule.mode](last, number(schedule.end), *parts(count - begin, steps))


def seen(clock: Any, count: int) -> int:
    """What a clock has seen: batch sizes times the updates that had them."""
    begins = [0, *([] if clock.boundaries is None else np.asarray(clock.boundaries).tolist())]
    ends = [*begins[1:], count]
    sizes = np.asarray(clock.batch_sizes).tolist()
    return sum(size * max(min(count, end) - begin, 0) for size, begin, end in zip(sizes, begins, ends, strict=True))


def clocked(schedule: Any, count: int) -> float:
    """The rate of the whole units that were seen, by the batch-size rule."""
    sizes, unit = np.asarray(schedule.clock.batch_sizes).tolist(), schedule.clock.unit
    base = sizes[0] if schedule.base_batch_size is None else number(schedule.base_batch_size)
    at = min(seen(schedule.clock, count) // (1 if unit is None else number(unit)), 2**31 - 1)
    size = seen(schedule.clock, count + 1) - seen(schedule.clock, count)
    return rate(schedule.schedule, at) * (size / base) ** number(schedule.scaling)


FORMULAS: dict[type, Callable[[Any, int], float]] = {
    lrax.Clip: lambda s, count: min(max(rate(s.schedule, count), number(s.low)), number(s.high)),
    lrax.schedules.Clocked: clocked,
    lrax.Constant: lambda s, count: number(s.value),
    lrax.Cooldown: cooldown,
    lrax.Cosine: shaped(cosine),
    lrax.Cycle: cycle,
    Dips: dips,
    lrax.schedules.ExpHyperbolic: exp_hyperbolic,
    lrax.Exponential: exponential,
    lrax.Geometric: shaped(geometric),
    lrax.Hold: lambda s, count: number(s.value),
    lrax.schedules.Hyperbolic: hyperbolic,
    lrax.InverseSqrt: inverse_sqrt,
    lrax.schedules.InverseTime: lambda s, count: number(s.start) / (1 + count / number(s.timescale)),
    lrax.schedules.Knots: knots,
    lrax.Linear: shaped(linear),
    lrax.Maximum: lambda s, count: max(rate(part, count) for part in s.schedules),
    lrax.Minimum: lambda s, count: min(rate(part, count) for part in s.schedules),
    lrax.MultiStep: multi_step,
    lrax.OneMinusSqrt: shaped(one_minus_sqrt),
    lrax.schedules.OneMinusSquare: shaped(one_minus_square),
    lrax.Piecewise: piecewise,
    lrax.PiecewiseConstant: piecewise_constant,
    lrax.Polynomial: shaped(polynomial, "power"),
    lrax.schedules.PolynomialRestarts: polynomial_restarts,
    lrax.schedules.Power: lambda s, count: number(s.start) * power(1 + count / number(s.timescale), number(s.power)),
    lrax.Product: lambda s, count: math.prod(rate(part, count) for part in s.schedules),
    lrax.schedules.Relaxation: shaped(relaxation, "ratio"),
    lrax.Repeat: repeat,
    lrax.schedules.Rex: shaped(rex, "beta"),
    lrax.Scale: lambda s, count: number(s.factor) * rate(s.schedule, count),
    lrax.Sequence: sequence,
    lrax.Shift: lambda s, count: rate(s.schedule, min(max(0, count + number(s.offset)), 2**31 - 1)),
    lrax.Spline: spline,
    lrax.StepDecay: step_decay,
    lrax.Stretch: stretch,
    lrax.Sum: lambda s, count: math.fsum(rate(part, count) for part in s.schedules),
    lrax.schedules.Tanh: shaped(tanh, "first", "last"),
    lrax.Triangle: triangle,
    lrax.schedules.Until: lambda s, count: rate(s.schedule, count),
    lrax.Warmup: warmup,
    lrax.schedules.Warp: warp,
    lrax.schedules.Wave: wave,
}
