"""Learning rates for JAX: schedules that are data, a learning-rate finder, and sweeps.

These are the everyday names. Others are in `lrax.schedules` (all schedules and recipes), `lrax.finder` (rules, smoothing,
stops), `lrax.sweeps` (results), `lrax.theory` (bounds and transfer rules), `lrax.fields` (for custom schedules), `lrax.compat`
(schedulers of other libraries), `lrax.flax` and `lrax.keras` (learners from their models).
"""

import difflib as _difflib
import importlib as _importlib
import types as _types
import typing as _typing

from lrax import fields as fields
from lrax import finder as finder
from lrax import schedules as schedules
from lrax import sweeps as sweeps
from lrax import theory as theory
from lrax._version import __version__
from lrax.citing._cite import citation
from lrax.finder import FinderResult, find_lr, range_test
from lrax.optimizers._groups import by_path, group_table, layerwise, matrices
from lrax.optimizers._logging import log_row
from lrax.optimizers._plateau import greedy, reduce_on_plateau
from lrax.optimizers._rates import count_of, group_lrs, last_lr, next_lr
from lrax.optimizers._recorded import at_lr, convert_state, recorded
from lrax.schedules._base import Function, Phase, Schedule, ScheduleLike
from lrax.schedules._check import check
from lrax.schedules._clock import Clock, linear_scaling, sqrt_scaling, steps_for
from lrax.schedules._combinators import (
    Clip,
    Cooldown,
    Cycle,
    Maximum,
    Minimum,
    Product,
    Repeat,
    Scale,
    Sequence,
    Shift,
    Stretch,
    Sum,
    Warmup,
)
from lrax.schedules._decays import (
    Constant,
    Exponential,
    InverseSqrt,
    MultiStep,
    StepDecay,
)
from lrax.schedules._display import plot, table
from lrax.schedules._phases import Cosine, Geometric, Hold, Linear, OneMinusSqrt, Polynomial, Triangle
from lrax.schedules._plan import branch, extend
from lrax.schedules._recipes import (
    cyclical,
    flat_cosine,
    noam,
    one_cycle,
    one_cycle_momentum,
    sgdr,
    warmup_cosine,
    warmup_inverse_sqrt,
    warmup_linear,
    wsd,
    wsd_s,
)
from lrax.schedules._serialise import from_config, from_json, to_json
from lrax.schedules._tables import Piecewise, PiecewiseConstant, Spline
from lrax.sweeps import grid, race, run_sweep, sweep
from lrax.training._driver import Execution
from lrax.training._evaluating import Evaluation
from lrax.training._learner import Learner

__all__ = [
    "Clip",
    "Clock",
    "Constant",
    "Cooldown",
    "Cosine",
    "Cycle",
    "Evaluation",
    "Execution",
    "Exponential",
    "FinderResult",
    "Function",
    "Geometric",
    "Hold",
    "InverseSqrt",
    "Learner",
    "Linear",
    "Maximum",
    "Minimum",
    "MultiStep",
    "OneMinusSqrt",
    "Phase",
    "Piecewise",
    "PiecewiseConstant",
    "Polynomial",
    "Product",
    "Repeat",
    "Scale",
    "Schedule",
    "ScheduleLike",
    "Sequence",
    "Shift",
    "Spline",
    "StepDecay",
    "Stretch",
    "Sum",
    "Triangle",
    "Warmup",
    "__version__",
    "at_lr",
    "branch",
    "by_path",
    "check",
    "citation",
    "convert_state",
    "count_of",
    "cyclical",
    "extend",
    "find_lr",
    "flat_cosine",
    "from_config",
    "from_json",
    "greedy",
    "grid",
    "group_lrs",
    "group_table",
    "last_lr",
    "layerwise",
    "linear_scaling",
    "log_row",
    "matrices",
    "next_lr",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "plot",
    "race",
    "range_test",
    "recorded",
    "reduce_on_plateau",
    "run_sweep",
    "sgdr",
    "sqrt_scaling",
    "steps_for",
    "sweep",
    "table",
    "to_json",
    "warmup_cosine",
    "warmup_inverse_sqrt",
    "warmup_linear",
    "wsd",
    "wsd_s",
]

if _typing.TYPE_CHECKING:
    from lrax import compat as compat
    from lrax import flax as flax
    from lrax import keras as keras

_LAZY = ("compat", "flax", "keras")
"""Packages that are imported when they are first used; `flax` and `keras` need an extra."""

_PACKAGES = ("fields", "finder", "schedules", "sweeps", "theory", *_LAZY)
"""The public packages."""


def __getattr__(name: str) -> _types.ModuleType:
    if name in _LAZY:
        try:
            return _importlib.import_module(f"lrax.{name}")
        except ImportError as error:  # `help`, `inspect`, `hasattr` and doctest take nothing but an AttributeError
            raise AttributeError(str(error), name=name) from error
    packages = (schedules, finder, sweeps, theory, fields)
    public = {one: f"{package.__name__}.{one}" for package in packages for one in package.__all__}
    public |= {one: f"lrax.{one}" for one in __all__}
    hint = f"; it is {public[name]}" if name in public else ""
    if not hint and not name.startswith("_"):
        plain = {one.lower().replace("_", ""): one for one in public}
        close = _difflib.get_close_matches(name.lower().replace("_", ""), plain, n=1, cutoff=0.8)
        hint = f"; did you mean {public[plain[close[0]]]}?" if close else ""
    raise AttributeError(f"module 'lrax' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    private = [name for name in globals() if name.startswith("__")]
    return sorted({*private, *__all__, *_PACKAGES})
