"""What may not stand in a field, by its rule, and good arguments of every kind."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

import lrax
from lrax.fields._rules import (
    COUNTS_OR_FRACTIONS,
    DELAY_OR_FRACTION,
    ENDS_OR_FRACTIONS,
    INTEGER,
    STEPS_OR_FRACTION,
    TIMES,
    TOTAL,
    TimeFactor,
)
from lrax.schedules._base import MaybeSchedule
from lrax.schedules._clock import SCALING
from lrax.schedules._recipes import Recipe
from lrax.schedules._tables import PARTS, PLACES
from schedule_cases import CASES

RATES = {
    "a string": ("0.1", TypeError),
    "None": (None, TypeError),
    "a bool": (True, TypeError),
    "NaN": (math.nan, ValueError),
    "infinity": (-math.inf, ValueError),
    "too large for float32": (1e39, ValueError),
    "too large for float64": (10**400, ValueError),
    "a complex number": (1j, TypeError),
    "a list of words": (["a"], TypeError),
    "a ragged list": ([[1.0], [1.0, 2.0]], TypeError),
    "an empty list": ([], ValueError),
    "an array with NaN": (np.array([0.1, np.nan]), ValueError),
    "a jax array with NaN": (jnp.array([0.1, jnp.nan]), ValueError),
}
LENGTHS = {
    "negative": (-1, ValueError),
    "zero": (0, ValueError),
    "a float that is not whole": (140.5, ValueError),
    "an array of such floats": (jnp.array([1.0, 1.5]), ValueError),
    "NaN": (math.nan, ValueError),
    "too large": (2**31, ValueError),
    "past 64 bits": (2**70, ValueError),
    "a string": ("10", TypeError),
    "None": (None, TypeError),
    "a bool": (True, TypeError),
    "an array with a zero": (np.array([3, 0]), ValueError),
}
POSITIVE = RATES | {
    "negative": (-0.5, ValueError),
    "zero": (0, ValueError),
    "below float32": (1e-50, ValueError),
    "subnormal": (1e-38, ValueError),
}
FRACTION = POSITIVE | {"one": (1.0, ValueError), "above one": (1.5, ValueError)}
FACTOR = POSITIVE | {"too large": (40_000, ValueError)}
TIME = POSITIVE | {"too large": (2**31, ValueError)}
DELAY = {name: bad for name, bad in LENGTHS.items() if "zero" not in name}
OFFSET = {name: bad for name, bad in DELAY.items() if name != "negative"}
BOUNDARIES = {
    "lists, one of them empty": ([[], [1]], TypeError),
    "unsorted": ([5, 3], ValueError),
    "repeated": ([5, 5], ValueError),
    "negative": ([-1, 3], ValueError),
    "a number": (5, ValueError),
    "floats that are not whole": ([1.0, 2.5], ValueError),
    "words": (["a"], TypeError),
    "None": (None, TypeError),
    "too large": ([1, 2**31], ValueError),
}
LIST = {
    "empty": ([], ValueError),
    "a number": (0.5, ValueError),
    "words": (["a", "b"], TypeError),
    "NaN": ([0.1, math.nan], ValueError),
    "None": (None, TypeError),
}
SCHEDULE = {"a number": (0.1, TypeError), "a class": (lrax.Linear, TypeError), "None": (None, TypeError)}
MODE = {"unknown": ("linaer", ValueError), "None": (None, TypeError), "a number": (1, TypeError)}
FUNCTION = {"a number": (0.1, TypeError), "a class": (lrax.Linear, TypeError)}

PHASE = {"start": 1.0, "end": 0.1, "steps": 10}
BY_RULE = {
    id(rule.__metadata__[0]): bad
    for rule, bad in (
        (lrax.fields.Rate, RATES),
        (lrax.fields.Positive, POSITIVE),
        (lrax.fields.Fraction, FRACTION),
        (lrax.fields.Rates, LIST),
        (lrax.fields.Steps, LENGTHS),
        (lrax.fields.Delay, DELAY),
        (lrax.fields.Offset, OFFSET),
        (lrax.fields.Boundaries, BOUNDARIES),
        (lrax.fields.LengthFactor, FACTOR),
        (TimeFactor, TIME),
        (lrax.ScheduleLike, SCHEDULE),
    )
} | {id(MaybeSchedule.__metadata__[0].rule): SCHEDULE, id(STEPS_OR_FRACTION): LENGTHS, id(DELAY_OR_FRACTION): DELAY}
BY_RULE |= {
    id(TOTAL): LENGTHS,
    id(INTEGER): OFFSET,
    id(ENDS_OR_FRACTIONS): BOUNDARIES,
    id(COUNTS_OR_FRACTIONS): BOUNDARIES,
    id(TIMES): LENGTHS,
    id(SCALING): RATES | {"a string": ("log", ValueError)},
    id(PLACES): {"a number": (5, ValueError), "not whole": ([1.0, 2.5], ValueError), "words": (["a", "b"], TypeError)},
    id(PARTS): LIST | {"above 1": ([0.0, 1.5], ValueError), "below 0": ([-0.5, 0.5], ValueError)},
}
GOOD: dict[type[lrax.Schedule], dict[str, Any]] = {
    lrax.Clip: {"schedule": lrax.Constant(0.1), "low": 0.0, "high": 1.0},
    lrax.Constant: {"value": 0.1},
    lrax.Cooldown: {"schedule": lrax.Constant(0.1), "begin": 5, "steps": 10, "end": 0.0, "mode": "linear", "power": 2.0},
    lrax.Cosine: PHASE,
    lrax.Cycle: {"phase": lrax.Cosine(**PHASE), "length_factor": 1, "value_factor": 1.0, "rounding": "none", "min_steps": 1},
    lrax.schedules.ExpHyperbolic: {"start": 1.0, "low": 0.1, "steps": 10, "horizon": 20},
    lrax.Exponential: {"start": 1.0, "factor": 0.9, "every": 1, "floor": 0.1},
    lrax.Function: {"function": abs},
    lrax.Geometric: PHASE,
    lrax.Hold: {"value": 0.1, "steps": 10},
    lrax.schedules.Hyperbolic: {"start": 1.0, "low": 0.1, "steps": 10, "horizon": 20},
    lrax.InverseSqrt: {"start": 1.0, "timescale": 1.0},
    lrax.schedules.InverseTime: {"start": 1.0, "timescale": 1.0},
    lrax.Linear: PHASE,
    lrax.MultiStep: {"start": 1.0, "factor": 0.5, "boundaries": [1, 2], "total_steps": 5},
    lrax.schedules.Noise: {"spread": 0.1, "seed": 1, "deviation": 1.0, "mode": "normal"},
    lrax.OneMinusSqrt: PHASE,
    lrax.schedules.OneMinusSquare: PHASE,
    lrax.Piecewise: {"values": [1.0, 0.5], "counts": [3, 9], "mode": "linear", "total_steps": 10},
    lrax.PiecewiseConstant: {"values": [1.0, 0.5, 0.1], "boundaries": [1, 2], "total_steps": 5},
    lrax.Polynomial: PHASE | {"power": 2.0},
    lrax.schedules.PolynomialRestarts: PHASE | {"power": 2.0},
    lrax.schedules.Power: {"start": 1.0, "power": -0.5, "timescale": 1.0},
    lrax.schedules.Relaxation: PHASE | {"ratio": 0.1},
    lrax.Repeat: {"schedule": lrax.Linear(**PHASE), "times": 3, "total_steps": 20},
    lrax.schedules.Rex: PHASE | {"beta": 0.5},
    lrax.Scale: {"schedule": lrax.Constant(0.1), "factor": 0.5},
    lrax.Shift: {"schedule": lrax.Constant(0.1), "offset": 1},
    lrax.Spline: {"values": [1.0, 0.5], "counts": [3, 9], "total_steps": 10},
    lrax.StepDecay: {"start": 1.0, "factor": 0.5, "every": 10, "floor": 0.1},
    lrax.Stretch: {"schedule": lrax.Constant(0.1), "every": 10},
    lrax.schedules.Tanh: PHASE | {"first": -7.0, "last": 3.0},
    lrax.Triangle: {"low": 0.1, "high": 1.0, "steps": 10, "rise": 0.5, "mode": "linear"},
    lrax.Warmup: {"schedule": lrax.Constant(0.1), "warmup_steps": 5, "start": 0.0, "mode": "linear", "power": 2.0},
    lrax.schedules.Extension: {"schedule": lrax.Linear(1.0, 0.1, 10), "begin": 5, "total_steps": 20, "mode": "stretch"},
    lrax.schedules.Knots: {"values": [1.0, 0.5], "counts": [3, 9], "parts": [0.0, 0.5], "mode": "linear"},
    lrax.schedules.Until: {"schedule": lrax.Constant(0.1), "steps": 10},
    lrax.schedules.Wave: {"high": 1.0, "low": 0.1, "steps": 10, "waves": 3},
    lrax.schedules.Warp: {"phase": lrax.Linear(**PHASE), "power": 2.0},
}
for made in (case.build() for case in CASES.values()):
    if isinstance(made, Recipe | lrax.schedules.Clocked):
        GOOD[type(made)] = {name: getattr(made, name) for name in made._rules}
VARIADIC = {lrax.Maximum, lrax.Minimum, lrax.Product, lrax.Sequence, lrax.Sum}
