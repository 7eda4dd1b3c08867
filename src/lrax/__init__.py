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
from lrax._version import __version__
from lrax.finder import Found, NeverStop, RunningMean, TimesFirst, find_lr, range_test, steepest
from lrax.sweeps import Margin, Race, Setting, Sweep, cross, end_loss, race, run_sweep, sweep

__all__ = [
    "Boundaries",
    "Clip",
    "Constant",
    "Cooldown",
    "Cosine",
    "Cycle",
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
    "Margin",
    "MultiStep",
    "NeverStop",
    "Offset",
    "Phase",
    "Polynomial",
    "Positive",
    "Race",
    "Rate",
    "Reason",
    "RunningMean",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Setting",
    "Shift",
    "StepDecay",
    "Steps",
    "Sweep",
    "TimesFirst",
    "Triangle",
    "Warmup",
    "__version__",
    "cross",
    "cyclical",
    "end_loss",
    "find_lr",
    "one_cycle",
    "plot",
    "race",
    "range_test",
    "run_sweep",
    "sgdr",
    "steepest",
    "sweep",
    "warmup_cosine",
    "wsd",
]
