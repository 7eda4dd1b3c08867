"""What accuracy is measured on: every kind at four lengths, falling, climbing, and with an end at zero."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import lrax
import oracle
from lrax import schedules as kinds
from schedule_cases import LARGEST, rates

LENGTHS = (100, 100_000, 20_000_000, LARGEST)
ENDS = ((0.3, 0.001), (0.001, 0.3), (0.3, 0.0), (0.0, 0.3))
POSITIVE_ENDS = ((0.3, 1e-6), (1e-6, 10.0))


@dataclasses.dataclass(frozen=True)
class Measured:
    """A kind at one length.

    Attributes:
      make: the schedules, from a length.
      bound: how many float32 ulp of the value they may be from the float64 formula; from the schedule where it states so.
      changes: counts at which the formula changes, from a length.
    """

    make: Callable[[int], list[lrax.Schedule]]
    bound: float | Callable[[Any], float] = 8
    changes: Callable[[int], list[int]] = lambda steps: [steps]

    def counts(self, steps: int) -> np.ndarray:
        """Both ends, around every boundary, and at random."""
        random = np.random.default_rng(steps).integers(0, steps, 24, endpoint=True).tolist()
        near = [at + step for at in [0, *self.changes(steps), LARGEST] for step in (-2, -1, 0, 1, 2)]
        counts = [min(max(count, 0), LARGEST) for count in near + random]
        return np.array(counts + [0] * (96 - len(counts)), np.int32)

    def errors(self, steps: int) -> list[tuple[lrax.Schedule, float]]:
        """The schedules of this length, each with its worst error in ulp."""
        counts = self.counts(steps)
        return [(schedule, worst(schedule, rates(schedule, counts), counts)) for schedule in self.make(steps)]

    def bound_of(self, schedule: lrax.Schedule) -> float:
        """How large an error may be."""
        return self.bound(schedule) if callable(self.bound) else self.bound


def worst(schedule: lrax.Schedule, got: Any, counts: np.ndarray) -> float:
    """The largest error of `got` over `counts`, in ulp of the float64 value."""
    pairs = set(zip(np.asarray(got).tolist(), counts.tolist(), strict=True))
    return max(oracle.ulps(value, oracle.rate(schedule, count)) for value, count in pairs)


def between(kind: Callable[..., lrax.Schedule], *extra: Any, ends: Any = ENDS) -> Callable[[int], list[lrax.Schedule]]:
    """A phase from and to each of `ends`."""
    return lambda steps: [kind(start, end, steps, *extra) for start, end in ends]


def logarithm(schedule: Any) -> float:
    """The logarithm of the ratio of a schedule's ends."""
    return abs(math.log(float(schedule.end) / float(schedule.start)))


def bound_of_tanh(schedule: Any) -> float:
    """What the docstring of Tanh states."""
    return 8 + 2 * (abs(float(schedule.first)) + abs(float(schedule.last)))


def bound_of_warp(schedule: Any) -> float:
    """What the docstring of Warp states."""
    return 12 + float(schedule.power)


FACTORS = ("constant * linear_warmup * rsqrt_decay", "constant * rsqrt_normalized_decay * decay_every * cosine_decay")

MEASURED: dict[str, Measured] = {
    "Linear": Measured(between(lrax.Linear), 4),
    "Cosine": Measured(between(lrax.Cosine)),
    "Polynomial, power 0.5": Measured(between(lrax.Polynomial, 0.5), lambda s: 8 + float(s.power)),
    "Polynomial, power 2": Measured(between(lrax.Polynomial, 2.0), lambda s: 8 + float(s.power)),
    "Polynomial, power 3": Measured(between(lrax.Polynomial, 3.0), lambda s: 8 + float(s.power)),
    "Polynomial, power 10": Measured(between(lrax.Polynomial, 10.0), lambda s: 8 + float(s.power)),
    "Geometric": Measured(between(lrax.Geometric, ends=POSITIVE_ENDS), lambda s: 4 + logarithm(s) / 2),
    "Triangle": Measured(
        lambda n: [lrax.Triangle(*ends, n, rise) for ends in ENDS for rise in (0.5, 0.2, 0.9)],
        changes=lambda n: [n // 5, n // 2, int(n * 0.9), n],
    ),
    "StepDecay": Measured(
        lambda n: [lrax.StepDecay(0.3, factor, max(n // 7, 1)) for factor in (0.5, 0.9, 1.1)],
        4,
        lambda n: [n // 7 * k for k in range(1, 8)],
    ),
    "StepDecay, every step": Measured(lambda n: [lrax.StepDecay(0.3, 1 - 30 / n if n > 1e6 else 0.9, 1)], 4),
    "MultiStep": Measured(
        lambda n: [lrax.MultiStep(0.3, factor, [n // 5, n // 2, n - 1]) for factor in (0.1, 0.5)],
        4,
        lambda n: [n // 5, n // 2, n - 1],
    ),
    "Exponential": Measured(
        lambda n: [lrax.Exponential(0.3, factor, n) for factor in (0.1, 0.9, 1.5)],
        lambda s: 4 + abs(math.log(float(s.factor))),
    ),
    "Exponential, every step": Measured(
        lambda n: [lrax.Exponential(0.3, 1 - 30 / n if n > 1e6 else 0.9)], lambda s: 4 + abs(math.log(float(s.factor)))
    ),
    "InverseSqrt": Measured(lambda n: [lrax.InverseSqrt(0.3, timescale) for timescale in (1.0, float(n))], 4),
    "OneMinusSqrt": Measured(between(lrax.OneMinusSqrt)),
    "OneMinusSquare": Measured(between(kinds.OneMinusSquare)),
    "Rex": Measured(between(lrax.schedules.Rex)),
    "Relaxation": Measured(between(kinds.Relaxation), lambda s: 8 + abs(math.log(float(s.ratio)))),
    "Relaxation, ratio 1e-4": Measured(between(kinds.Relaxation, 1e-4), lambda s: 8 + abs(math.log(float(s.ratio)))),
    "Tanh": Measured(between(kinds.Tanh), bound_of_tanh),
    "Tanh, one side": Measured(between(kinds.Tanh, 1.0, 5.0), bound_of_tanh),
    "Warp, k = 0.5": Measured(lambda n: [kinds.Warp(lrax.Cosine(*ends, n), 0.5) for ends in ENDS], bound_of_warp),
    "Warp, k = 3": Measured(
        lambda n: [kinds.Warp(kind(*ends, n), 3.0) for kind in (lrax.Linear, lrax.Cosine) for ends in ENDS],
        bound_of_warp,
    ),
    "InverseTime": Measured(lambda n: [lrax.schedules.InverseTime(0.3, timescale) for timescale in (1.0, float(n))], 4),
    "Power": Measured(
        lambda n: [
            lrax.schedules.Power(4.6, power, timescale) for power in (-0.51, -2.0, 0.5) for timescale in (1.0, float(n))
        ],
        lambda s: 4 + 2 * abs(float(s.power)),
    ),
    "PolynomialRestarts": Measured(
        lambda n: [kinds.PolynomialRestarts(*ends, max(n // 7, 1), 2.0) for ends in ENDS],
        lambda s: 8 + float(s.power),
        lambda n: [n // 7 * k for k in (1, 2, 6)],
    ),
    "PiecewiseConstant": Measured(
        lambda n: [lrax.PiecewiseConstant([0.3, 0.2, 0.5, 0.0], [n // 5, n // 2, n - 1])],
        4,
        lambda n: [n // 5, n // 2, n - 1],
    ),
    "Piecewise, linear": Measured(
        lambda n: [lrax.Piecewise([0.0, 0.3, 0.1, 0.0], [3, n // 5, n // 2, n - 1])], 4, lambda n: [n // 5, n // 2, n - 1]
    ),
    "Piecewise, cosine": Measured(
        lambda n: [lrax.Piecewise([0.0, 0.3, 0.1, 0.0], [3, n // 5, n // 2, n - 1], "cosine")],
        changes=lambda n: [n // 5, n // 2, n - 1],
    ),
    "Piecewise, geometric": Measured(
        lambda n: [lrax.Piecewise([1e-4, 0.3, 0.1, 0.01], [3, n // 5, n // 2, n - 1], "geometric")],
        4 + math.log(3000) / 2,
        lambda n: [n // 5, n // 2, n - 1],
    ),
    "Repeat": Measured(
        lambda n: [lrax.Repeat(lrax.Cosine(*ends, max(n // 5, 1)), 3) for ends in ENDS],
        changes=lambda n: [n // 5 * k for k in (1, 2, 3)],
    ),
    "Repeat, in so many steps": Measured(
        lambda n: [lrax.Repeat(lrax.Cosine(*ends, 1), 3, n) for ends in ENDS], changes=lambda n: [n // 3, n // 3 * 2, n]
    ),
    "Wave": Measured(lambda n: [kinds.Wave(*ends, n, 3) for ends in ENDS], changes=lambda n: [n // 6 * k for k in range(1, 7)]),
    "Cycle, ends between two steps": Measured(
        lambda n: [lrax.Cycle(lrax.Cosine(*ends, max(n // 9, 1)), 1.1, 1.0, "none") for ends in ENDS],
        changes=lambda n: [n // 9, n // 9 * 21 // 10],
    ),
    "Stretch": Measured(
        lambda n: [lrax.Stretch(lrax.Linear(*ends, 10), max(n // 11, 1)) for ends in ENDS],
        4,
        lambda n: [n // 11 * k for k in (1, 2, 10)],
    ),
    "Sum, Product, Maximum, Minimum": Measured(
        lambda n: [
            kind(lrax.Linear(0.0, 1.0, n // 10), lrax.InverseSqrt(0.3), lrax.Cosine(0.3, 0.01, n))
            for kind in (lrax.Sum, lrax.Product, lrax.Maximum, lrax.Minimum)
        ],
        changes=lambda n: [n // 10, n],
    ),
    "Triangle, cosine": Measured(
        lambda n: [lrax.Triangle(*ends, n, rise, "cosine") for ends in ENDS for rise in (0.5, 0.2)],
        changes=lambda n: [n // 5, n // 2, n],
    ),
    "Sequence": Measured(
        lambda n: [lrax.Sequence(lrax.Linear(0.0, 0.3, n // 10), lrax.Hold(0.3, n // 2), lrax.Cosine(0.3, 0.0, n // 3))],
        changes=lambda n: [n // 10, n // 10 + n // 2, n // 10 + n // 2 + n // 3],
    ),
    "Cycle, same lengths": Measured(
        lambda n: [lrax.Cycle(lrax.Cosine(*ends, max(n // 9, 1)), 1, 0.9) for ends in ENDS],
        changes=lambda n: [n // 9 * k for k in (1, 2, 8)],
    ),
    "Cycle, growing": Measured(
        lambda n: [lrax.Cycle(lrax.Cosine(0.3, 0.0, max(n // 50, 1)), factor, 0.5) for factor in (2, 1.2)],
        changes=lambda n: [n // 50, n // 50 + n // 25, n // 50 + n // 25 + n // 25 * 2],
    ),
    "Cycle, shrinking": Measured(
        lambda n: [lrax.Cycle(lrax.Cosine(0.3, 0.0, max(n // 5, 1)), 0.75)], changes=lambda n: [n // 5, n // 5 + n * 3 // 20]
    ),
    "Warmup": Measured(
        lambda n: [
            lrax.Warmup(lrax.Cosine(0.3, 0.0, n - n // 10), n // 10, start, mode)
            for start in (0.0, 0.01)
            for mode in ("linear", "cosine", "one_minus_sqrt", "one_minus_square", "rex")
        ],
        changes=lambda n: [n // 10, n],
    ),
    "Cooldown": Measured(
        lambda n: [
            lrax.Cooldown(lrax.MultiStep(0.3, 0.5, [n // 3]), n // 2, n // 4, end, mode)
            for end in (0.0, 0.001)
            for mode in ("linear", "cosine", "one_minus_sqrt", "one_minus_square", "rex")
        ],
        changes=lambda n: [n // 3, n // 2, n // 2 + n // 4],
    ),
    "Shift": Measured(
        lambda n: [lrax.Shift(lrax.Linear(0.3, 0.0, n), offset) for offset in (1, 1000, -1000, -n)],
        4,
        changes=lambda n: [max(n - 1000, 0), 1000, n],
    ),
    "warmup_cosine": Measured(
        lambda n: [lrax.warmup_cosine(0.3, warmup_steps=n // 10, total_steps=n)], changes=lambda n: [n // 10, n]
    ),
    "one_cycle": Measured(
        lambda n: [lrax.one_cycle(0.1, 0.3, n // 2, n // 3, 0.0)], changes=lambda n: [n // 4, n // 2, n // 2 + n // 3]
    ),
    "wsd": Measured(
        lambda n: [
            lrax.wsd(0.3, warmup_steps=n // 10, cooldown_steps=n // 5, total_steps=n, end=0.0, mode=mode)
            for mode in ("linear", "cosine", "one_minus_sqrt")
        ],
        changes=lambda n: [n // 10, n - n // 5, n],
    ),
    "flat_cosine": Measured(lambda n: [lrax.flat_cosine(0.3, flat_steps=n // 2, total_steps=n)], changes=lambda n: [n // 2, n]),
    "warmup_inverse_sqrt": Measured(
        lambda n: [lrax.warmup_inverse_sqrt(0.3, n // 10, total_steps=n, cooldown_steps=n // 5)],
        changes=lambda n: [n // 10, n - n // 5, n],
    ),
    "noam": Measured(lambda n: [lrax.noam(512, n // 10)], changes=lambda n: [n // 10]),
    "one_cycle_two_phase": Measured(
        lambda n: [
            kinds.one_cycle_two_phase(0.01, 0.3, 0.0, warmup_steps=n // 3, total_steps=n, mode=mode)
            for mode in ("cosine", "linear")
        ],
        changes=lambda n: [n // 3, n],
    ),
    "cyclical, by its peak": Measured(
        lambda n: [lrax.cyclical(0.01, 0.3, n // 7, amplitude_factor=0.5)], changes=lambda n: [n // 14, n // 7, n // 7 * 2]
    ),
    "sgdr, with a warm-up": Measured(
        lambda n: [lrax.sgdr(0.3, 0.0, n // 7, factor, warmup_steps=n // 70) for factor in (1, 2)],
        changes=lambda n: [n // 70, n // 7, n // 7 + n // 70, n // 7 * 3],
    ),
    "Clocked": Measured(
        lambda n: [
            kinds.Clocked(lrax.Cosine(*ends, n), lrax.Clock([2**20, 3 * 2**20, 2**22], [n // 9, n // 4], 2**20), scaling)
            for ends in ENDS
            for scaling in ("sqrt", "linear")
        ],
        changes=lambda n: [n // 9, n // 4, n // 4 + (n - n // 9 - 3 * (n // 4 - n // 9)) // 4],
    ),
    "warmup_linear": Measured(
        lambda n: [lrax.warmup_linear(0.3, warmup_steps=0.1, total_steps=n)], 4, lambda n: [-(-n // 10), n]
    ),
    "wsd_s": Measured(
        lambda n: [
            lrax.wsd_s(
                0.3, ends=[n // 4, n // 2], warmup_steps=n // 10, cooldown_steps=n // 9, total_steps=n, end=0.001, mode=mode
            )
            for mode in ("linear", "cosine", "one_minus_sqrt")
        ],
        changes=lambda n: [n // 10, n // 4 - n // 9, n // 4, n // 2, n],
    ),
    "tri_stage": Measured(
        lambda n: [kinds.tri_stage(0.3, warmup_steps=n // 10, hold_steps=n // 2, total_steps=n)],
        4 + math.log(100) / 2,
        lambda n: [n // 10, n // 10 + n // 2, n],
    ),
    "warmup_power": Measured(
        lambda n: [kinds.warmup_power(0.02, n // 10, 128, 2**19, total_steps=n, cooldown_steps=n // 5)],
        8,
        lambda n: [n // 10, n - n // 5, n],
    ),
    "faded": Measured(
        lambda n: [
            kinds.faded(lrax.InverseSqrt(0.3), cooldown_steps=n // 5, total_steps=n, end_factor=0.0, mode=mode)
            for mode in ("linear", "cosine")
        ],
        changes=lambda n: [n - n // 5, n],
    ),
    "warmed": Measured(
        lambda n: [kinds.warmed(lrax.MultiStep(0.3, 0.5, [n // 20, n // 2]), n // 10, start) for start in (None, 0.0, 0.01)],
        changes=lambda n: [n // 20, n // 10, n // 2],
    ),
    "joined": Measured(
        lambda n: [kinds.joined([lrax.Linear(0.0, 0.3, n), lrax.Constant(0.3), lrax.Cosine(0.3, 0.0, n)], [n // 3, n // 2])],
        changes=lambda n: [n // 3, n // 2],
    ),
    "factors": Measured(
        lambda n: [kinds.factors(text, 0.5, n // 10, 0.9, n // 7, n // 3) for text in FACTORS],
        changes=lambda n: [n // 10, n // 7, n // 10 + n // 3],
    ),
}
