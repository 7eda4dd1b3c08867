"""Learning rates for JAX: schedules that are data, a learning-rate finder, and sweeps."""

from lrax._algebra import Clip, Maximum, Minimum, Product, Scale, Sum
from lrax._check import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Rates, Steps
from lrax._combinators import Cooldown, Sequence, Shift, Stretch, Warmup, Warp
from lrax._cooldown_phases import OneMinusSqrt, OneMinusSquare, Relaxation, Rex, Tanh
from lrax._cycles import Cycle, Repeat
from lrax._cyclic_recipes import cyclical, one_cycle, one_cycle_momentum, one_cycle_two_phase, sgdr
from lrax._decays import Constant, Exponential, InverseSqrt, InverseTime, MultiStep, PolynomialRestarts, Power, StepDecay
from lrax._groups import by_path
from lrax._json import from_json, to_json
from lrax._learner import Learner
from lrax._phases import Cosine, Geometric, Hold, Linear, Polynomial, Triangle
from lrax._plan import Extension, branch, extend
from lrax._plateau import reduce_on_plateau
from lrax._plot import plot
from lrax._rates import count_of, last_rate, next_rate, recorded
from lrax._reason import Reason
from lrax._recipes import flat_cosine, inverse_sqrt, noam, warmup_cosine, wsd
from lrax._schedule import Function, Phase, Schedule, ScheduleLike
from lrax._sweep import sweep
from lrax._tables import Piecewise, PiecewiseConstant
from lrax._text import table
from lrax._units import linear_scaling, sqrt_scaling, steps_for
from lrax._version import __version__
from lrax.finder import (
    Curve,
    DebiasedMean,
    Found,
    NeverStop,
    RunningMean,
    TimesBest,
    TimesFirst,
    edge,
    fall,
    find_lr,
    minimum,
    range_test,
    slide,
    smooth,
    steepest,
    valley,
)

__all__ = [
    "Boundaries",
    "Clip",
    "Constant",
    "Cooldown",
    "Cosine",
    "Curve",
    "Cycle",
    "DebiasedMean",
    "Delay",
    "Exponential",
    "Extension",
    "Found",
    "Fraction",
    "Function",
    "Geometric",
    "Hold",
    "InverseSqrt",
    "InverseTime",
    "Learner",
    "LengthFactor",
    "Linear",
    "Maximum",
    "Minimum",
    "MultiStep",
    "NeverStop",
    "Offset",
    "OneMinusSqrt",
    "OneMinusSquare",
    "Phase",
    "Piecewise",
    "PiecewiseConstant",
    "Polynomial",
    "PolynomialRestarts",
    "Positive",
    "Power",
    "Product",
    "Rate",
    "Rates",
    "Reason",
    "Relaxation",
    "Repeat",
    "Rex",
    "RunningMean",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Shift",
    "StepDecay",
    "Steps",
    "Stretch",
    "Sum",
    "Tanh",
    "TimesBest",
    "TimesFirst",
    "Triangle",
    "Warmup",
    "Warp",
    "__version__",
    "branch",
    "by_path",
    "count_of",
    "cyclical",
    "edge",
    "extend",
    "fall",
    "find_lr",
    "flat_cosine",
    "from_json",
    "inverse_sqrt",
    "last_rate",
    "linear_scaling",
    "minimum",
    "next_rate",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "one_cycle_two_phase",
    "plot",
    "range_test",
    "recorded",
    "reduce_on_plateau",
    "sgdr",
    "slide",
    "smooth",
    "sqrt_scaling",
    "steepest",
    "steps_for",
    "sweep",
    "table",
    "to_json",
    "valley",
    "warmup_cosine",
    "wsd",
]
