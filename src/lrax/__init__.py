"""Learning rates for JAX: schedules that are data, a learning-rate finder, and sweeps."""

from lrax._check import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Steps
from lrax._combinators import Clip, Cooldown, Cycle, Scale, Sequence, Shift, Warmup
from lrax._decays import Constant, Exponential, InverseSqrt, MultiStep, StepDecay
from lrax._phases import Cosine, Geometric, Hold, Linear, Polynomial, Triangle
from lrax._recipes import cyclical, one_cycle, sgdr, warmup_cosine, wsd
from lrax._schedule import Function, Phase, Schedule, ScheduleLike
from lrax._version import __version__

__all__ = [
    "Boundaries",
    "Clip",
    "Constant",
    "Cooldown",
    "Cosine",
    "Cycle",
    "Delay",
    "Exponential",
    "Fraction",
    "Function",
    "Geometric",
    "Hold",
    "InverseSqrt",
    "LengthFactor",
    "Linear",
    "MultiStep",
    "Offset",
    "Phase",
    "Polynomial",
    "Positive",
    "Rate",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Shift",
    "StepDecay",
    "Steps",
    "Triangle",
    "Warmup",
    "__version__",
    "cyclical",
    "one_cycle",
    "sgdr",
    "warmup_cosine",
    "wsd",
]
