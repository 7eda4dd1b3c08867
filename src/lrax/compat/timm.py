"""timm's schedulers, number for number (timm 1.0.31), where they count updates: `t_in_epochs=False`.

In place of the optimizer each function takes its learning rate, `lr`. The rate at `count` is the one after
`step_update(count)`. For schedulers that count epochs, put the result in `lrax.Stretch(schedule, every=updates_per_epoch)`.
What is theirs, and kept:
without `warmup_prefix` the warm-up covers the beginning of the schedule (and climbs to a rate that it may jump down from); a
milestone of `MultiStepLRScheduler` comes one early; `TanhLRScheduler` stops short of both ends, but uses `lr` itself at count
0, before its first formula.

Noise is another random stream than timm's: normal numbers of the same standard deviation and the same bounds, which depend on
`noise_seed` and the count, drawn by `lrax.schedules.Noise`. There is none at count 0, where timm has not drawn yet.

`PlateauLRScheduler` is a transformation for the end of an `optax.chain`.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Annotated, Any, Literal

import optax

from lrax.compat._shared import (
    KNOWN,
    KnownDelay,
    KnownRate,
    KnownSteps,
    NotNegative,
    all_whole,
    at_most,
    checked,
    exponential,
    fitted,
    plateau,
    step_decay,
    total_of,
)
from lrax.compat.torch import MultiStepLR
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Offset, Positive, Rate
from lrax.fields._rules import LARGEST, LARGEST_RATIO, Choice, Rule, nearest_ratio, whole_number
from lrax.schedules._base import Schedule, has_curve
from lrax.schedules._combinators import Cycle, Maximum, Product, Rounding, Sequence, Shift, Stretch, Sum, Until, Warmup, Warp
from lrax.schedules._decays import Constant, InverseSqrt, Power
from lrax.schedules._noise import Noise
from lrax.schedules._phases import Cosine, Hold, Linear, OneMinusSqrt, Polynomial, Relaxation, Tanh

__all__ = [
    "CosineLRScheduler",
    "MultiStepLRScheduler",
    "PlateauLRScheduler",
    "PolyLRScheduler",
    "StepLRScheduler",
    "TanhLRScheduler",
    "WSDLRScheduler",
]


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


Mul = Annotated[Any, KNOWN, Rule(f"a number from 1 to {LARGEST_RATIO}", low=1, high=LARGEST_RATIO)]


@checked
def CosineLRScheduler(
    lr: Rate,
    t_initial: KnownSteps,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: KnownSteps = 1,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
    k_decay: Positive = 1.0,
) -> Schedule:
    """Falls from `lr` to `lr_min` along half a cosine, `cycle_limit` times, and stays there.

    Args:
      lr: the rate of the optimizer.
      t_initial: updates of the first cycle, an integer > 0.
      lr_min: what each cycle falls to.
      cycle_mul: how many times as long each cycle is as the one before, at least 1, as `length_factor` of `lrax.Cycle`. Cycles
        may end between two steps, unless `k_decay` is given.
      cycle_decay: how many times as high each begins, > 0.
      cycle_limit: how many there are, an integer > 0.
      warmup_t: updates of the warm-up.
      warmup_lr_init: where it begins.
      warmup_prefix: whether the schedule begins after it; otherwise it covers the beginning.
      noise_range_t: the count from which rates are noisy, or two: from the first and before the second.
      noise_pct: how far a rate may be from itself, as a part of it.
      noise_std, noise_seed: of the noise.
      k_decay: the power of the time that is done, > 0.

    Raises: ValueError if a number is out of range.

    >>> print([f"{rate:.2f}" for rate in CosineLRScheduler(1.0, 4, cycle_limit=2, cycle_decay=0.5)(jnp.arange(0, 10, 2))])
    ['1.00', '0.50', '0.50', '0.25', '0.00']
    """
    caller = "CosineLRScheduler"

    def phase(start: Any, end: Any) -> Schedule:
        return _warped(Cosine(start, end, t_initial), k_decay)

    around = Around(caller, lr, warmup_t, warmup_lr_init, warmup_prefix, noise_range_t, noise_pct, noise_std, noise_seed)
    return around(cycles(caller, phase, lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit))


@checked
def PolyLRScheduler(
    lr: Rate,
    t_initial: KnownSteps,
    power: Positive = 0.5,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: KnownSteps = 1,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
    k_decay: Positive = 1.0,
) -> Schedule:
    """Falls from `lr` to `lr_min` as a power of what is left, `cycle_limit` times, and stays there.

    Args:
      lr, t_initial, lr_min: see `CosineLRScheduler`.
      power: exponent, > 0.
      cycle_mul, cycle_decay, cycle_limit, warmup_t, warmup_lr_init, warmup_prefix: see `CosineLRScheduler`.
      noise_range_t, noise_pct, noise_std, noise_seed, k_decay: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range.

    >>> print(PolyLRScheduler(1.0, 4, power=2.0)(jnp.arange(6)))
    [1.     0.5625 0.25   0.0625 0.     0.    ]
    """
    caller = "PolyLRScheduler"

    def phase(start: Any, end: Any) -> Schedule:
        return _warped(Polynomial(start, end, t_initial, power), k_decay)

    around = Around(caller, lr, warmup_t, warmup_lr_init, warmup_prefix, noise_range_t, noise_pct, noise_std, noise_seed)
    return around(cycles(caller, phase, lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit))


@checked
def TanhLRScheduler(
    lr: Rate,
    t_initial: KnownSteps,
    lb: KnownRate = -7.0,
    ub: KnownRate = 3.0,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: KnownSteps = 1,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Falls from about `lr` to about `lr_min` along a hyperbolic tangent, `cycle_limit` times, and then stays at `lr_min`.

    Args:
      lr, t_initial, lr_min: see `CosineLRScheduler`.
      lb, ub: arguments of the tangent at the first and the last count of a cycle, rising.
      cycle_mul, cycle_decay, cycle_limit, warmup_t, warmup_lr_init: see `CosineLRScheduler`.
      warmup_prefix: whether the schedule begins after the warm-up; otherwise it leads to where the schedule then is.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range.

    >>> print([f"{rate:.3f}" for rate in TanhLRScheduler(1.0, 10)(jnp.array([0, 7, 9, 10]))])
    ['1.000', '0.500', '0.018', '0.000']
    """
    caller = "TanhLRScheduler"
    first, last = (1 / (1 + math.exp(2 * float(at))) for at in (lb, ub))  # (1 - tanh) / 2

    def phase(start: Any, end: Any) -> Schedule:
        begins, stops = (start * part + end * (1 - part) for part in (first, last))
        return Tanh(begins, stops, t_initial, lb, ub)

    around = Around(caller, lr, warmup_t, warmup_lr_init, warmup_prefix, noise_range_t, noise_pct, noise_std, noise_seed)
    schedule = around(cycles(caller, phase, lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit), reaches_first=True)
    return schedule if warmup_t else Sequence(Hold(lr, 1), Shift(schedule, 1))  # timm sets `lr` before its first formula


def _is_one(number: Any) -> bool:
    """Whether a number is a Python 1."""
    return isinstance(number, int | float) and number == 1


def _warped(phase: Schedule, power: Any) -> Schedule:
    """A phase whose time runs as a power; itself where that is 1."""
    return phase if _is_one(power) else Warp(phase, power)


@checked
def StepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Positive, KNOWN],
    decay_rate: Positive = 1.0,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the rate by `decay_rate` every `decay_t` updates.

    Args:
      lr: the rate of the optimizer.
      decay_t: updates between changes, > 0; need not be whole.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, warmup_prefix: see `CosineLRScheduler`; mind the default of the last.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range.

    >>> print(StepLRScheduler(1.0, decay_t=2.5, decay_rate=0.5)(jnp.array([2, 3, 4, 5])))
    [1.   0.5  0.5  0.25]
    """
    whole = decay_t == int(decay_t)
    falls = step_decay(lr, decay_rate, int(decay_t)) if whole else Stretch(exponential(lr, decay_rate), decay_t)
    return Around(
        "StepLRScheduler",
        lr,
        warmup_t,
        warmup_lr_init,
        warmup_prefix,
        noise_range_t,
        noise_pct,
        noise_std,
        noise_seed,
    )(falls)


@checked
def MultiStepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Many[int], KNOWN],
    decay_rate: Positive = 1.0,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the rate by `decay_rate` one update before each milestone.

    Args:
      lr: the rate of the optimizer.
      decay_t: the milestones, rising.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, warmup_prefix: see `CosineLRScheduler`; mind the default of the last.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if the milestones are unsorted or a number is out of range.

    >>> print(MultiStepLRScheduler(1.0, decay_t=[2, 4], decay_rate=0.5)(jnp.arange(5)))
    [1.   0.5  0.5  0.25 0.25]
    """
    if any(after < before for before, after in itertools.pairwise(decay_t)):
        raise argument_error(ValueError, "MultiStepLRScheduler", "decay_t", "counts in rising order", decay_t, "sort them")
    first = 0 if warmup_t else 1  # at count 0 of a run timm has not called its formula yet
    falls = MultiStepLR(lr, [max(at - 1, first) for at in decay_t], decay_rate)
    return Around(
        "MultiStepLRScheduler",
        lr,
        warmup_t,
        warmup_lr_init,
        warmup_prefix,
        noise_range_t,
        noise_pct,
        noise_std,
        noise_seed,
    )(falls)


@fitted
def PlateauLRScheduler(
    lr: Any,
    decay_rate: Any = 0.1,
    patience_t: Any = 10,
    threshold: Any = 1e-4,
    cooldown_t: Any = 0,
    lr_min: Any = 0.0,
    mode: Literal["min", "max"] = "max",
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau` under timm's names; mind the default of `mode`.

    For its warm-up give the optimizer an `lrax.Warmup`, for its noise a product with `lrax.schedules.Noise`.

    Args:
      lr: the rate of the optimizer.
      decay_rate, patience_t, threshold, cooldown_t, lr_min, mode: see `lrax.compat.torch.ReduceLROnPlateau`.

    Returns: a transformation whose `update` needs `value`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> tx = optax.chain(optax.sgd(0.1), PlateauLRScheduler(0.1, patience_t=3))
    """
    return plateau("PlateauLRScheduler", lr, mode, decay_rate, patience_t, threshold, "rel", cooldown_t, lr_min)


Ratio = Annotated[Any, Rule("a number between 0 and 1, both excluded", low=0, high=1, open=True)]


@checked
def WSDLRScheduler(
    lr: Rate,
    t_initial: KnownSteps,
    decay_t: KnownSteps,
    lr_min: NotNegative = 0.0,
    stable_fn: Annotated[str, Choice(("constant", "rsqrt", "power"))] = "constant",
    stable_timescale: Positive | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Annotated[str, Choice(("linear", "1-sqrt", "cosine", "power", "exp"))] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Ratio = 0.1,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Climbs to `lr`, stays there or falls slowly, and falls to `lr_min` at last, where it stays.

    Args:
      lr: the rate of the optimizer, at least `lr_min`.
      t_initial: length of the stable part and the decay together, without the warm-up.
      decay_t: length of the decay, at most `t_initial`.
      lr_min: the last rate.
      stable_fn: `"constant"`, `"rsqrt"` or `"power"`, the latter two of 1 + t / `stable_timescale`.
      stable_timescale: in updates; as long as the warm-up if None.
      stable_power: how fast `"power"` falls, > 0.
      decay_fn: `"linear"`, `"1-sqrt"`, `"cosine"`, `"power"` (1 less a power of what is done) or `"exp"`; for a function of
        your own multiply the stable part with a phase of your own.
      decay_power: exponent of `"power"`.
      decay_ratio: what an exponential of that ratio leaves, for `"exp"`.
      warmup_t, warmup_lr_init: see `CosineLRScheduler`; the warm-up always comes before.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> print(WSDLRScheduler(1.0, t_initial=6, decay_t=4, decay_fn="linear", warmup_t=2)(jnp.arange(9)))
    [0.   0.5  1.   1.   1.   0.75 0.5  0.25 0.  ]
    """
    caller = "WSDLRScheduler"
    at_most(caller, "decay_t", decay_t, t_initial, "`t_initial`")
    at_most(caller, "lr_min", lr_min, lr, "`lr`")
    stable_t = t_initial - decay_t

    def falls(start: Any, end: Any) -> Schedule:
        phases: dict[str, Callable[[], Schedule]] = {
            "linear": lambda: Linear(start, end, decay_t),
            "1-sqrt": lambda: OneMinusSqrt(start, end, decay_t),
            "cosine": lambda: Cosine(start, end, decay_t),
            "power": lambda: Warp(Linear(start, end, decay_t), decay_power),
            "exp": lambda: Relaxation(start, end, decay_t, decay_ratio),
        }
        return Sequence(*([Hold(start, stable_t)] if stable_t else []), phases[decay_fn]())

    around = Around(caller, lr, warmup_t, warmup_lr_init, True, noise_range_t, noise_pct, noise_std, noise_seed)
    if stable_fn == "constant":
        return around(falls(lr, lr_min))
    scale = stable_timescale if stable_timescale is not None else warmup_t * 1.0
    if is_concrete(scale) and scale == 0:
        raise argument_error(ValueError, caller, "stable_timescale", "given where there is no warm-up", stable_timescale)
    slow = InverseSqrt(lr, scale) if stable_fn == "rsqrt" else Power(lr, -stable_power, scale)
    if is_concrete(lr_min) and lr_min == 0:
        return around(Product(slow, falls(1.0, 0.0)))
    return around(Sum(Product(Maximum(slow, Constant(lr_min)), falls(1.0, 0.0)), falls(0.0, lr_min)))
