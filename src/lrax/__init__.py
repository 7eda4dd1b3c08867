"""Learning rates for JAX: schedules that are data, a learning-rate finder, and sweeps."""

from lrax._check import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Steps
from lrax._combinators import Clip, Cooldown, Cycle, Scale, Sequence, Shift, Warmup
from lrax._decays import Constant, Exponential, InverseSqrt, MultiStep, StepDecay
from lrax._groups import by_path
from lrax._json import from_json, to_json
from lrax._learner import Learner
from lrax._phases import Cosine, Geometric, Hold, Linear, Polynomial, Triangle
from lrax._plan import Extension, branch, extend
from lrax._plateau import reduce_on_plateau
from lrax._plot import plot
from lrax._rates import count_of, last_rate, next_rate, recorded
from lrax._reason import Reason
from lrax._recipes import cyclical, one_cycle, sgdr, warmup_cosine, wsd
from lrax._schedule import Function, Phase, Schedule, ScheduleLike
from lrax._sweep import sweep
from lrax._text import table
from lrax._version import __version__
from lrax.finder import Found, NeverStop, RunningMean, TimesFirst, find_lr, range_test, steepest

__all__ = [
    "Boundaries",
    "Clip",
    "Constant",
    "Cooldown",
    "Cosine",
    "Cycle",
    "Delay",
    "Exponential",
    "Extension",
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
    "TimesFirst",
    "Triangle",
    "Warmup",
    "__version__",
    "branch",
    "by_path",
    "count_of",
    "cyclical",
    "extend",
    "find_lr",
    "from_json",
    "last_rate",
    "next_rate",
    "one_cycle",
    "plot",
    "range_test",
    "recorded",
    "reduce_on_plateau",
    "sgdr",
    "steepest",
    "sweep",
    "table",
    "to_json",
    "warmup_cosine",
    "wsd",
]
