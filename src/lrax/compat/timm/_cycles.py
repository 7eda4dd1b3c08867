"""timm's schedulers that may come again: cosine, power, hyperbolic tangent."""

import math
from typing import Annotated, Any

from lrax.compat._arguments import KNOWN, KnownDelay, KnownRate, KnownSteps, NotNegative, checked
from lrax.compat.timm._around import Around, NoiseRange, cycles
from lrax.fields._given import Offset, Positive, Rate
from lrax.fields._rules import LARGEST_RATIO, Rule
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Shift, Warp
from lrax.schedules._phases import Cosine, Hold, Polynomial, Tanh

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
