"""timm's schedulers, number for number (timm 1.0.31), where they count updates: `t_in_epochs=False`.

In place of the optimizer each function takes its learning rate, `lr`. The value at `count` is the learning rate after
`step_update(count)`. For schedulers that count epochs, put the result in `lrax.Stretch(schedule, every=steps_per_epoch)`.
These details are timm's: without `warmup_prefix` the warm-up covers the beginning of the schedule (and climbs to a learning
rate that it may jump down from); a milestone of `MultiStepLRScheduler` comes one step early; `TanhLRScheduler` stops short of
both ends, but uses `lr` itself at count 0, before its first formula.

All functions but `PlateauLRScheduler`, a transformation for the end of an `optax.chain`, take these arguments:

- `warmup_t`, `warmup_lr_init`: the length of the warm-up in steps, and the learning rate that it starts from.
- `warmup_prefix`: whether the schedule begins after the warm-up, or the warm-up covers its beginning.
- `noise_range_t`: the count from which learning rates are noisy, or two: from the first and before the second.
- `noise_pct`: how far a noisy learning rate may be from itself, as a fraction of it; `noise_std` is its standard deviation.
- `noise_seed`: of `lrax.schedules.Noise`, another random stream than timm's with the same distribution. It depends on the seed
  and the count. There is no noise at count 0, where timm has not drawn yet.
"""

import itertools
import math
from collections.abc import Callable
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Annotated, TypeAlias

import optax

from lrax.compat._shared import (
    CONCRETE,
    ConcreteDelay,
    ConcreteRate,
    ConcreteSteps,
    Delay,
    Goal,
    NotNegative,
    Offset,
    Positive,
    Rate,
    check_order,
    checked,
    exponential,
    holds,
    plateau,
    step_decay,
)
from lrax.compat.torch import MultiStepLR
from lrax.fields._errors import argument_error
from lrax.fields._rules import LARGEST, LARGEST_RATIO, Choice, Number, Rule, Whole, nearest_ratio, whole_number
from lrax.schedules._base import Schedule, curve_of
from lrax.schedules._combinators import Cycle, Maximum, Product, Sequence, Shift, Stretch, Sum, Until, Warmup, Warp
from lrax.schedules._decays import Constant, InverseSqrt, Noise, Power
from lrax.schedules._intmath import Rounding
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

Mul: TypeAlias = Annotated[float, CONCRETE, Rule(f"a number from 1 to {LARGEST_RATIO}", low=1, high=LARGEST_RATIO)]
Ratio: TypeAlias = Annotated[Number, Rule("a number between 0 and 1, both excluded", low=0, high=1, open=True)]
NoiseRange: TypeAlias = Annotated[int | Many[int] | None, CONCRETE]
Ends: TypeAlias = Callable[[Number, Number], Schedule]
"""What makes a phase of its start and its end."""


@checked
def CosineLRScheduler(
    lr: Rate,
    t_initial: ConcreteSteps,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: ConcreteSteps = 1,
    warmup_t: ConcreteDelay = 0,
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
      lr: learning rate of the optimizer.
      t_initial: steps of the first cycle, an integer > 0.
      lr_min: learning rate at the end of each cycle.
      cycle_mul: the length of each cycle over that of the one before, at least 1, as `length_factor` of `lrax.Cycle`. Cycles
        may end between two steps, unless `k_decay` is given.
      cycle_decay: the start of each cycle over that of the one before, > 0.
      cycle_limit: how many cycles, an integer > 0.
      warmup_t, warmup_lr_init, warmup_prefix, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`.
      k_decay: the power of the time that is done, > 0.

    >>> print([f"{lr:.2f}" for lr in CosineLRScheduler(1.0, 4, cycle_limit=2, cycle_decay=0.5)(jnp.arange(0, 10, 2))])
    ['1.00', '0.50', '0.50', '0.25', '0.00']
    """
    falls = _cycles(
        "CosineLRScheduler",
        lambda start, end: _warped(Cosine(start, end, t_initial), k_decay),
        *(lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit),
    )
    warmed = _warmed(falls, lr, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy("CosineLRScheduler", warmed, noise_range_t, noise_pct, noise_std, noise_seed)


@checked
def PolyLRScheduler(
    lr: Rate,
    t_initial: ConcreteSteps,
    power: Positive = 0.5,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: ConcreteSteps = 1,
    warmup_t: ConcreteDelay = 0,
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
      power: exponent, > 0.
      lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit, k_decay: see `CosineLRScheduler`.
      warmup_t, warmup_lr_init, warmup_prefix, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`.

    >>> print(PolyLRScheduler(1.0, 4, power=2.0)(jnp.arange(6)))
    [1.     0.5625 0.25   0.0625 0.     0.    ]
    """
    falls = _cycles(
        "PolyLRScheduler",
        lambda start, end: _warped(Polynomial(start, end, t_initial, power), k_decay),
        *(lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit),
    )
    warmed = _warmed(falls, lr, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy("PolyLRScheduler", warmed, noise_range_t, noise_pct, noise_std, noise_seed)


@checked
def TanhLRScheduler(
    lr: Rate,
    t_initial: ConcreteSteps,
    lb: ConcreteRate = -7.0,
    ub: ConcreteRate = 3.0,
    lr_min: NotNegative = 0.0,
    cycle_mul: Mul = 1.0,
    cycle_decay: Positive = 1.0,
    cycle_limit: ConcreteSteps = 1,
    warmup_t: ConcreteDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = False,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Falls from about `lr` to about `lr_min` along a hyperbolic tangent, `cycle_limit` times, and then stays at `lr_min`.

    Args:
      lb, ub: arguments of the tangent at the first and the last count of a cycle, rising.
      lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit: see `CosineLRScheduler`.
      warmup_t, warmup_lr_init, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`.
      warmup_prefix: whether the schedule begins after the warm-up; otherwise the warm-up leads to where the schedule then is.

    >>> print([f"{lr:.3f}" for lr in TanhLRScheduler(1.0, 10)(jnp.array([0, 7, 9, 10]))])
    ['1.000', '0.500', '0.018', '0.000']
    """
    first, last = (1 / (1 + math.exp(2 * float(at))) for at in (lb, ub))  # (1 - tanh) / 2

    def phase(start: Number, end: Number) -> Schedule:
        begins, stops = (start * part + end * (1 - part) for part in (first, last))
        return Tanh(begins, stops, t_initial, lb, ub)

    falls = _cycles("TanhLRScheduler", phase, lr, lr_min, t_initial, cycle_mul, cycle_decay, cycle_limit)
    if warmup_t and not warmup_prefix:
        warmed: Schedule = Warmup(Shift(falls, warmup_t), warmup_t, start=warmup_lr_init)
    else:
        warmed = _warmed(falls, lr, warmup_t, warmup_lr_init, warmup_prefix)
    schedule = _noisy("TanhLRScheduler", warmed, noise_range_t, noise_pct, noise_std, noise_seed)
    return schedule if warmup_t else Sequence(Hold(lr, 1), Shift(schedule, 1))  # timm sets `lr` before its first formula


@checked
def StepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Positive, CONCRETE],
    decay_rate: Positive = 1.0,
    warmup_t: ConcreteDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the learning rate by `decay_rate` every `decay_t` steps.

    Args:
      lr: learning rate of the optimizer.
      decay_t: steps between changes, > 0; need not be whole.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`.
      warmup_prefix: the same; mind its default.

    >>> print(StepLRScheduler(1.0, decay_t=2.5, decay_rate=0.5)(jnp.array([2, 3, 4, 5])))
    [1.   0.5  0.5  0.25]
    """
    whole = decay_t == int(decay_t)
    falls = step_decay(lr, decay_rate, int(decay_t)) if whole else Stretch(exponential(lr, decay_rate), decay_t)
    warmed = _warmed(falls, lr, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy("StepLRScheduler", warmed, noise_range_t, noise_pct, noise_std, noise_seed)


@checked
def MultiStepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Many[int], CONCRETE],
    decay_rate: Positive = 1.0,
    warmup_t: ConcreteDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the learning rate by `decay_rate` one step before each milestone.

    Args:
      lr: learning rate of the optimizer.
      decay_t: the milestones, rising.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`.
      warmup_prefix: the same; mind its default.

    Raises: ValueError if the milestones are unsorted.

    >>> print(MultiStepLRScheduler(1.0, decay_t=[2, 4], decay_rate=0.5)(jnp.arange(5)))
    [1.   0.5  0.5  0.25 0.25]
    """
    if any(after < before for before, after in itertools.pairwise(decay_t)):
        raise argument_error(ValueError, "MultiStepLRScheduler", "decay_t", "counts in rising order", decay_t, "sort them")
    first = 0 if warmup_t else 1  # at count 0 of a run timm has not called its formula yet
    falls = MultiStepLR(lr, [max(at - 1, first) for at in decay_t], decay_rate)
    warmed = _warmed(falls, lr, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy("MultiStepLRScheduler", warmed, noise_range_t, noise_pct, noise_std, noise_seed)


@checked
def WSDLRScheduler(
    lr: Rate,
    t_initial: ConcreteSteps,
    decay_t: ConcreteSteps,
    lr_min: NotNegative = 0.0,
    stable_fn: Annotated[str, Choice(("constant", "rsqrt", "power"))] = "constant",
    stable_timescale: Positive | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Annotated[str, Choice(("linear", "1-sqrt", "cosine", "power", "exp"))] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Ratio = 0.1,
    warmup_t: ConcreteDelay = 0,
    warmup_lr_init: Rate = 0.0,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Climbs to `lr`, stays there or falls slowly, and falls to `lr_min` at last, where it stays.

    Args:
      lr: learning rate of the optimizer, at least `lr_min`.
      t_initial: length of the stable part and the decay together, without the warm-up.
      decay_t: length of the decay, at most `t_initial`.
      lr_min: the last learning rate.
      stable_fn: `"constant"`, `"rsqrt"` or `"power"`, the latter two of 1 + t / `stable_timescale`.
      stable_timescale: in steps; as long as the warm-up if None.
      stable_power: exponent of the stable `"power"`, > 0.
      decay_fn: `"linear"`, `"1-sqrt"`, `"cosine"`, `"power"` (1 less a power of what is done) or `"exp"`; for your own
        function multiply the stable part with your own phase.
      decay_power: exponent of the decay `"power"`.
      decay_ratio: what the exponential of `"exp"` leaves.
      warmup_t, warmup_lr_init, noise_range_t, noise_pct, noise_std, noise_seed: see `lrax.compat.timm`; the warm-up always
        comes before the rest.

    >>> print(WSDLRScheduler(1.0, t_initial=6, decay_t=4, decay_fn="linear", warmup_t=2)(jnp.arange(9)))
    [0.   0.5  1.   1.   1.   0.75 0.5  0.25 0.  ]
    """
    caller = "WSDLRScheduler"
    check_order(caller, "decay_t", decay_t, "at most", t_initial, "t_initial")
    check_order(caller, "lr_min", lr_min, "at most", lr, "lr")
    stable_t = t_initial - decay_t

    def falls(start: Number, end: Number) -> Schedule:
        phases: dict[str, Callable[[], Schedule]] = {
            "linear": lambda: Linear(start, end, decay_t),
            "1-sqrt": lambda: OneMinusSqrt(start, end, decay_t),
            "cosine": lambda: Cosine(start, end, decay_t),
            "power": lambda: Warp(Linear(start, end, decay_t), decay_power),
            "exp": lambda: Relaxation(start, end, decay_t, decay_ratio),
        }
        return Sequence(*([Hold(start, stable_t)] if stable_t else []), phases[decay_fn]())

    scale = stable_timescale if stable_timescale is not None else warmup_t * 1.0
    if stable_fn == "constant":
        schedule = falls(lr, lr_min)
    elif holds(scale == 0):
        raise argument_error(ValueError, caller, "stable_timescale", "given where there is no warm-up", stable_timescale)
    else:
        slow = InverseSqrt(lr, scale) if stable_fn == "rsqrt" else Power(lr, -stable_power, scale)
        if holds(lr_min == 0):
            schedule = Product(slow, falls(1.0, 0.0))
        else:
            schedule = Sum(Product(Maximum(slow, Constant(lr_min)), falls(1.0, 0.0)), falls(0.0, lr_min))
    warmed = _warmed(schedule, lr, warmup_t, warmup_lr_init, prefix=True)
    return _noisy(caller, warmed, noise_range_t, noise_pct, noise_std, noise_seed)


@checked
def PlateauLRScheduler(
    lr: Positive,
    decay_rate: Rate = 0.1,
    patience_t: Delay = 10,
    threshold: Rate = 1e-4,
    cooldown_t: Delay = 0,
    lr_min: Rate = 0.0,
    mode: Goal = "max",
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau` under timm's names; mind the default of `mode`.

    For its warm-up give the optimizer an `lrax.Warmup`, for its noise a product with `lrax.schedules.Noise`.

    Args:
      lr: learning rate of the optimizer.
      decay_rate, patience_t, threshold, cooldown_t, lr_min, mode: see `lrax.compat.torch.ReduceLROnPlateau`.

    Returns: a transformation whose `update` needs `value`.

    >>> tx = optax.chain(optax.sgd(0.1), PlateauLRScheduler(0.1, patience_t=3))
    """
    return plateau("PlateauLRScheduler", lr, mode, decay_rate, patience_t, threshold, "rel", cooldown_t, lr_min)


def _warmed(schedule: Schedule, lr: Number, steps: int, start: Number, prefix: bool) -> Schedule:
    """A schedule after a warm-up, or with its beginning covered by one."""
    return Sequence(Linear(start, lr, steps), schedule if prefix else Shift(schedule, steps)) if steps else schedule


def _noisy(
    caller: str, schedule: Schedule, places: int | Many[int] | None, fraction: Number, std: Number, seed: Whole
) -> Schedule:
    """A schedule with noise from the first place on, and before the second if there is one."""
    if places is None:
        return schedule
    begin, *end = places if isinstance(places, list | tuple) else (places,)
    if len(end) > 1:
        raise argument_error(ValueError, caller, "noise_range_t", "a count, or two", places)
    begin, *end = (whole_number(caller, "noise_range_t", place, low=0) for place in (begin, *end))
    begin, last = max(begin, 1), end[0] if end else LARGEST
    if last <= begin:
        return Product(schedule, Constant(1.0))
    noise: Schedule = Shift(Noise(fraction, seed, std), begin)  # its own count is the run's
    parts = [Until(noise, last - begin), Constant(1.0)] if end else [noise]
    return Product(schedule, Sequence(Hold(1.0, begin), *parts))


def _warped(phase: Schedule, power: Number) -> Schedule:
    """A phase whose time runs as a power; itself where that is 1."""
    return phase if isinstance(power, int | float) and power == 1 else Warp(phase, power)


def _cycles(
    caller: str,
    phase: Ends,
    lr: Number,
    lr_min: Number,
    t_initial: int,
    cycle_mul: float,
    cycle_decay: Number,
    cycle_limit: int,
) -> Schedule:
    """A phase a number of times, each longer and beginning lower, and then `lr_min`."""
    by = Fraction(*nearest_ratio(float(cycle_mul)))
    # cycles of whole lengths end at counts, others where they end; the power only bounds the size of the integers
    whole = by.denominator == 1 or t_initial % by.denominator ** min(cycle_limit - 1, 32) == 0
    rounding: Rounding = "nearest" if whole else "none"
    falls = phase(lr, lr_min)
    if rounding == "none" and curve_of(falls) is None:
        remedy = "choose cycle_mul and t_initial so that the cycles have whole lengths, or leave out k_decay"
        raise argument_error(ValueError, caller, "cycle_mul", "such that no cycle ends between two counts", cycle_mul, remedy)
    again: Schedule = Cycle(falls, cycle_mul, rounding=rounding)
    if not holds(cycle_decay == 1):
        start = Cycle(phase(lr, 0.0), cycle_mul, cycle_decay, rounding)
        again = Sum(start, Cycle(phase(0.0, lr_min), cycle_mul, rounding=rounding))
    return Sequence(Until(again, _total_of(t_initial, by, cycle_limit)), Constant(lr_min))


EXACT = 4096
"""Up to this many lengths are summed as integers, however many digits they have."""


def _total_of(first: int, factor: Fraction, number: int) -> int:
    """The sum of `number` lengths, each `factor` times the one before and not rounded: rounded up, at most 2**31 - 1.

    >>> _total_of(4, Fraction(3, 2), 4)
    33
    """
    if factor == 1 or number == 1:
        return min(first * number, LARGEST)
    if number * math.log(factor) > 64:
        return LARGEST
    if number > EXACT:  # the sum is not whole then, unless by chance
        return min(math.ceil(first * math.expm1(number * math.log(factor)) / float(factor - 1)), LARGEST)
    return min(math.ceil(first * (factor**number - 1) / (factor - 1)), LARGEST)
