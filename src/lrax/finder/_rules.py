"""What a range test is run by: a ramp, a smoother, a stop rule."""

from typing import Any

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_whole, is_concrete
from lrax.fields._value import is_batch
from lrax.finder._smooth import RunningMean
from lrax.finder._stop import NeverStop
from lrax.schedules._base import CallableRule, Schedule, ScheduleRule
from lrax.training._core import Run, start


def make_rules(
    caller: str, ramp: Any, updates: int | None, smoothing: Any, stop: Any, known_to_rise: bool = False
) -> tuple[Run, int]:
    """A run without a state that a test is run by, and the number of its updates. A ramp of our own need not be looked at."""
    ramp = ScheduleRule().convert(caller, "ramp", ramp)
    if is_batch(ramp):
        raise argument_error(ValueError, caller, "ramp", "one schedule, not a batch", ramp, "vmap lrax.range_test over ramps")
    if updates is None:
        if ramp.length is None or not is_concrete(ramp.length) or np.ndim(ramp.length):
            raise argument_error(ValueError, caller, "updates", "given where the ramp's length is not one known number", None)
        updates = int(ramp.length) + 1
    check_whole(caller, "updates", updates)
    if not known_to_rise:
        check_rising(caller, ramp, int(updates))
    for name, rule, needs in (
        ("smoothing", smoothing, "a function count -> weight of the new loss, such as lrax.finder.RunningMean(0.3)"),
        ("stop", stop, "a function run -> whether to stop, such as lrax.finder.TimesFirst(2.0)"),
    ):
        if rule is not None and not callable(rule):
            raise argument_error(TypeError, caller, name, needs, rule)
    wrap = CallableRule()
    smoothing = wrap.convert(caller, "smoothing", RunningMean() if smoothing is None else smoothing)
    stop = wrap.convert(caller, "stop", NeverStop() if stop is None else stop)
    return start((), ramp, smoothing=smoothing, stop=stop), int(updates)


def check_rising(caller: str, ramp: Schedule, updates: int) -> None:
    """Raises if the rates of a ramp whose numbers are known do not rise or are not above 0."""
    if not all(is_concrete(leaf) and np.ndim(leaf) == 0 for leaf in jax.tree.leaves(ramp)):
        return
    with jax.ensure_compile_time_eval():
        rates = np.asarray(_rates(ramp, np.arange(updates, dtype=np.int32)))
    if not (rates > 0).all() or (np.diff(rates) < 0).any():
        remedy = "give lrax.Geometric(1e-6, 10.0, steps), the lower rate first"
        raise argument_error(ValueError, caller, "ramp", "a schedule of rising rates above 0", ramp, remedy)


@jax.jit
def _rates(ramp: Schedule, counts: Any) -> jax.Array:
    return ramp(counts)
