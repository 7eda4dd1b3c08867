"""What the schedules of other libraries are made of, in addition to the classes of lrax."""

import math
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Any

import numpy as np

from lrax.compat._arguments import KNOWN
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import LARGEST
from lrax.fields._types import DELAY
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Cycle, Sequence, Stretch, Until, Wave
from lrax.schedules._decays import Constant, Exponential, StepDecay
from lrax.schedules._phases import Cosine


def join(caller: str, name: str, schedules: Many[Any], boundaries: Many[Any]) -> Schedule:
    """Schedules one after the other, each from its own count 0, changing at `boundaries` whatever their lengths.

    >>> print(join("join", "boundaries", [Constant(0.1), Linear(1.0, 0.0, 10)], [5])(jnp.array([4, 5, 10])))
    [0.1 1.  0.5]
    """
    at = [DELAY.convert(caller, name, boundary) for boundary in boundaries]
    if len(at) != len(schedules) - 1:
        needs = f"one shorter than the list of schedules ({len(schedules)})"
        raise argument_error(ValueError, caller, name, needs, boundaries)
    begins = [np.int32(0), *at[:-1]]
    if any(is_concrete(begin) and is_concrete(end) and np.any(begin > end) for begin, end in zip(begins, at, strict=False)):
        raise argument_error(ValueError, caller, name, "counts in rising order, none below 0", boundaries, "sort them")
    parts = [Until(schedule, end - begin) for schedule, begin, end in zip(schedules[:-1], begins, at, strict=False)]
    return Sequence(*parts, schedules[-1])


def exponential(start: Any, factor: Any, every: Any = 1, floor: Any = 0.0) -> Exponential:
    """Multiplies by `factor` over every `every` steps; a Python float keeps the digits that float32 would lose.

    As a float32, 0.9999 is off by 2e-8, and its power to 100,000 by 2e-3. So the factor of about as many steps as halve (or
    double) the learning rate is stored, and their number: of all such numbers the one whose factor float32 rounds least.

    >>> print(exponential(0.1, 0.9999))
    Exponential(start=0.1, factor=0.522081, every=6499)
    """
    if not (isinstance(factor, float | int) and isinstance(every, int) and factor > 0 and factor != 1):
        return Exponential(start, factor, every, floor)
    most = max(1, min(round(abs(math.log(2) / math.log(factor))), LARGEST // every))
    best = min(range(most, max(most - TRIED, 0), -1), key=lambda times: lost(factor**times) / times)
    return Exponential(start, factor**best, every * best, floor)


TRIED = 512
"""The best of this many values of `every` is taken."""


def lost(factor: float) -> float:
    """What float32 loses of a factor, as a fraction of it."""
    return abs(float(np.float32(factor)) / factor - 1)


def step_decay(start: Any, factor: Any, every: Any, floor: Any = 0.0) -> Schedule:
    """Multiplies by `factor` every `every` steps; a Python float of which many are multiplied keeps its digits.

    Those are the factors near 1, and all above 1 that float32 rounds: of a learning rate that grows, nothing becomes too small
    to matter.

    >>> print(step_decay(0.1, 0.5, 30))
    StepDecay(start=0.1, factor=0.5, every=30)
    >>> print(step_decay(0.1, 0.99, 30))
    Stretch(schedule=Exponential(start=0.1, factor=0.6491026, every=43), every=30)
    """
    if isinstance(factor, float) and factor > 0.95 and lost(factor):
        return Stretch(exponential(start, factor, floor=floor), every)
    return StepDecay(start, factor, every, floor)


def wave(caller: str, high: Any, low: Any, steps: Any, cycles: Any = 0.5) -> Schedule:
    """A cosine wave for ever, `cycles` of it in `steps` steps, which must be concrete unless it is half a one.

    >>> print([f"{rate:.2f}" for rate in wave("wave", 1.0, 0.0, 10, cycles=0.4)(jnp.array([0, 10, 25]))])
    ['1.00', '0.10', '1.00']
    """
    if cycles == 0.5:
        return Cycle(Sequence(Cosine(high, low, steps), Cosine(low, high, steps)))
    for_all = KNOWN.convert(caller, "num_training_steps", steps)
    if np.ndim(for_all):
        raise argument_error(ValueError, caller, "num_training_steps", "one number where `num_cycles` is not 0.5", steps)
    turns = Fraction(float(cycles)) / int(for_all) % 1  # in a step; whole turns are not seen
    turns = min(turns, 1 - turns)  # nor is the direction
    if turns == 0:
        return Constant(high)
    times = math.ceil(1 / (turns * 2**30))  # so slow a wave may change every few steps: by less than float32 shows
    nearest = (1 / (turns * times)).limit_denominator(int((LARGEST - 1) * turns * times))
    slow = Wave(high, low, nearest.numerator, nearest.denominator)
    return slow if times == 1 else Stretch(slow, min(times, LARGEST))


def all_whole(first: int, factor: Fraction, number: int) -> bool:
    """Whether `number` lengths are whole, each `factor` times the one before.

    >>> all_whole(4, Fraction(3, 2), 3), all_whole(4, Fraction(3, 2), 4)
    (True, False)
    """
    return factor.denominator == 1 or first % factor.denominator ** min(number - 1, 32) == 0


def total_of(first: int, factor: Fraction, number: int) -> int:
    """The sum of `number` lengths, each `factor` times the one before and not rounded: rounded up, at most 2**31 - 1.

    >>> total_of(4, Fraction(3, 2), 4)
    33
    """
    if factor == 1 or number == 1:
        return min(first * number, LARGEST)
    if number * math.log(factor) > 64:
        return LARGEST
    if number > EXACT:  # the sum is not whole then, unless by chance
        return min(math.ceil(first * math.expm1(number * math.log(factor)) / float(factor - 1)), LARGEST)
    return min(math.ceil(first * (factor**number - 1) / (factor - 1)), LARGEST)


EXACT = 4096
"""Up to this many lengths are summed as integers, however many digits they have."""
