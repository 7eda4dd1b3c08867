"""What goes around every scheduler of timm: a warm-up, cycles, noise."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Annotated, Any

from lrax.compat._arguments import KNOWN
from lrax.compat._parts import all_whole, total_of
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import LARGEST, nearest_ratio, whole_number
from lrax.schedules._base import Schedule, has_curve
from lrax.schedules._combinators import Cycle, Product, Rounding, Sequence, Shift, Sum, Until, Warmup
from lrax.schedules._decays import Constant
from lrax.schedules._noise import Noise
from lrax.schedules._phases import Hold, Linear

NoiseRange = Annotated[int | Many[int] | None, KNOWN]


@dataclasses.dataclass(frozen=True)
class Around:
    """The arguments that all schedulers share; `caller` is the one whose they are."""

    caller: str
    lr: Any
    warmup_t: int
    warmup_lr_init: Any
    warmup_prefix: bool
    noise_range_t: int | Many[int] | None
    noise_pct: Any
    noise_std: Any
    noise_seed: Any

    def __call__(self, schedule: Schedule, reaches_first: bool = False) -> Schedule:
        """A schedule with its warm-up and its noise; `reaches_first`: the warm-up leads to where the schedule then is."""
        steps = self.warmup_t
        if steps:
            schedule = schedule if self.warmup_prefix else Shift(schedule, steps)
            if reaches_first and not self.warmup_prefix:
                schedule = Warmup(schedule, steps, start=self.warmup_lr_init)
            else:
                schedule = Sequence(Linear(self.warmup_lr_init, self.lr, steps), schedule)
        return schedule if self.noise_range_t is None else Product(schedule, self._noise(self.noise_range_t))

    def _noise(self, places: int | Many[int]) -> Schedule:
        begin, *end = places if isinstance(places, list | tuple) else (places,)
        if len(end) > 1:
            raise argument_error(ValueError, self.caller, "noise_range_t", "a count, or two", places)
        begin, *end = (whole_number(self.caller, "noise_range_t", place, low=0) for place in (begin, *end))
        noise: Schedule = Noise(self.noise_pct, self.noise_seed, self.noise_std)
        begin, last = max(begin, 1), end[0] if end else LARGEST
        if last <= begin:
            return Constant(1.0)
        noise = Shift(noise, begin)  # its own count is the run's
        return (
            Sequence(Hold(1.0, begin), Until(noise, last - begin), Constant(1.0)) if end else Sequence(Hold(1.0, begin), noise)
        )


def cycles(
    caller: str,
    phase: Callable[[Any, Any], Schedule],
    lr: Any,
    lr_min: Any,
    t_initial: int,
    cycle_mul: float,
    cycle_decay: Any,
    cycle_limit: int,
) -> Schedule:
    """A phase a number of times, each longer and beginning lower, and then `lr_min`.

    Args:
      caller: of the error.
      phase: makes the first cycle, from where it begins and where it ends.
      lr, lr_min: where it begins and ends.
      t_initial, cycle_mul, cycle_decay, cycle_limit: as timm has them.
    """
    by = Fraction(*nearest_ratio(float(cycle_mul)))
    rounding: Rounding = "nearest" if all_whole(t_initial, by, cycle_limit) else "none"
    falls = phase(lr, lr_min)
    if rounding == "none" and not has_curve(falls):
        remedy = "choose cycle_mul and t_initial so that the cycles have whole lengths, or leave out k_decay"
        raise argument_error(ValueError, caller, "cycle_mul", "such that no cycle ends between two counts", cycle_mul, remedy)
    again: Schedule = Cycle(falls, cycle_mul, rounding=rounding)
    if not is_concrete(cycle_decay) or cycle_decay != 1:
        again = Sum(
            Cycle(phase(lr, 0.0), cycle_mul, cycle_decay, rounding), Cycle(phase(0.0, lr_min), cycle_mul, rounding=rounding)
        )
    return Sequence(Until(again, total_of(t_initial, by, cycle_limit)), Constant(lr_min))
