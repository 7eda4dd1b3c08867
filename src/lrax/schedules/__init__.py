"""Every kind of schedule, combinator and recipe; those of every day are at the top of `lrax` too.

A schedule is a rate as a function of the update count. Here are also their plans, text, JSON and picture.
"""

from lrax.schedules._algebra import Clip, Maximum, Minimum, Product, Scale, Sum
from lrax.schedules._base import Function, Phase, Schedule, ScheduleLike
from lrax.schedules._clock import Clock, Clocked
from lrax.schedules._combinators import Cooldown, Sequence, Until, Warmup
from lrax.schedules._cooldown_phases import OneMinusSqrt, OneMinusSquare, Relaxation, Rex, Tanh
from lrax.schedules._cycles import Cycle, Repeat, Wave
from lrax.schedules._cyclic_recipes import cyclical, one_cycle, one_cycle_momentum, one_cycle_two_phase, sgdr
from lrax.schedules._decays import (
    Constant,
    Exponential,
    InverseSqrt,
    InverseTime,
    MultiStep,
    PolynomialRestarts,
    Power,
    StepDecay,
)
from lrax.schedules._hyperbolic import ExpHyperbolic, Hyperbolic
from lrax.schedules._joining_recipes import factors, faded, joined, warmed
from lrax.schedules._noise import Noise
from lrax.schedules._phases import Cosine, CosinePower, Geometric, Hold, Linear, Polynomial, Triangle
from lrax.schedules._plan import Extension, branch, extend
from lrax.schedules._recipes import flat_cosine, inverse_sqrt, noam, warmup_cosine, warmup_linear, wsd
from lrax.schedules._splines import Spline
from lrax.schedules._staged_recipes import power, tri_stage, wsd_s
from lrax.schedules._tables import Knots, Piecewise, PiecewiseConstant
from lrax.schedules._time import Shift, Stretch, Warp

__all__ = [
    "Clip",
    "Clock",
    "Clocked",
    "Constant",
    "Cooldown",
    "Cosine",
    "CosinePower",
    "Cycle",
    "ExpHyperbolic",
    "Exponential",
    "Extension",
    "Function",
    "Geometric",
    "Hold",
    "Hyperbolic",
    "InverseSqrt",
    "InverseTime",
    "Knots",
    "Linear",
    "Maximum",
    "Minimum",
    "MultiStep",
    "Noise",
    "OneMinusSqrt",
    "OneMinusSquare",
    "Phase",
    "Piecewise",
    "PiecewiseConstant",
    "Polynomial",
    "PolynomialRestarts",
    "Power",
    "Product",
    "Relaxation",
    "Repeat",
    "Rex",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Shift",
    "Spline",
    "StepDecay",
    "Stretch",
    "Sum",
    "Tanh",
    "Triangle",
    "Until",
    "Warmup",
    "Warp",
    "Wave",
    "branch",
    "cyclical",
    "extend",
    "factors",
    "faded",
    "flat_cosine",
    "inverse_sqrt",
    "joined",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "one_cycle_two_phase",
    "power",
    "sgdr",
    "tri_stage",
    "warmed",
    "warmup_cosine",
    "warmup_linear",
    "wsd",
    "wsd_s",
]
