"""Learning rates for JAX: schedules that are data, a learning-rate finder, and sweeps."""

from lrax._check import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Steps
from lrax._combinators import Clip, Cooldown, Cycle, Scale, Sequence, Shift, Warmup
from lrax._decays import Constant, Exponential, InverseSqrt, MultiStep, StepDecay
from lrax._learner import Learner
from lrax._phases import Cosine, Geometric, Hold, Linear, Polynomial, Triangle
from lrax._plot import plot
from lrax._reason import Reason
from lrax._recipes import cyclical, one_cycle, sgdr, warmup_cosine, wsd
from lrax._schedule import Function, Phase, Schedule, ScheduleLike
from lrax._sweep import sweep
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
    "Found",
    "Fraction",
    "Function",
    "Geometric",
    "Hold",
    "InverseSqrt",
    "Learner",
    "LengthFactor",
    "Linear",
    "MultiStep",
    "NeverStop",
    "Offset",
    "Phase",
    "Polynomial",
    "Positive",
    "Rate",
    "Reason",
    "RunningMean",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Shift",
    "StepDecay",
    "Steps",
    "TimesBest",
    "TimesFirst",
    "Triangle",
    "Warmup",
    "__version__",
    "cyclical",
    "edge",
    "fall",
    "find_lr",
    "minimum",
    "one_cycle",
    "plot",
    "range_test",
    "sgdr",
    "slide",
    "smooth",
    "steepest",
    "sweep",
    "valley",
    "warmup_cosine",
    "wsd",
]
