"""Transformers' cosines: all but the one with restarts climb back after the end."""

from typing import Annotated, Any

from lrax.compat._arguments import KNOWN, KnownDelay, KnownSteps, NotNegative, Share, after, checked
from lrax.compat._parts import wave
from lrax.fields._errors import argument_error
from lrax.fields._given import Delay, Rate, Steps
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Repeat, Sequence, Shift, Warmup
from lrax.schedules._phases import Cosine, Hold

Cycles = Annotated[NotNegative, KNOWN]


@checked
def get_cosine_schedule_with_warmup(
    lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps, num_cycles: Cycles = 0.5
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and then follows a cosine wave, for ever.

    Args:
      lr: the rate of the optimizer.
      num_warmup_steps: in updates.
      num_training_steps: the whole length in updates, at which `num_cycles` waves are over.
      num_cycles: 0.5 falls to 0 at the end, and climbs back after it. Another number needs lengths that are known.

    Raises: ValueError if a number is out of range.

    >>> print([f"{rate:.2f}" for rate in get_cosine_schedule_with_warmup(1.0, 2, 6)(jnp.array([0, 1, 2, 4, 6, 10]))])
    ['0.00', '0.50', '1.00', '0.50', '0.00', '1.00']
    """
    return _waved("get_cosine_schedule_with_warmup", lr, 0.0, num_warmup_steps, num_training_steps, num_cycles)


@checked
def get_cosine_with_hard_restarts_schedule_with_warmup(
    lr: Rate, num_warmup_steps: KnownDelay, num_training_steps: KnownSteps, num_cycles: KnownSteps = 1
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and then falls to 0 along half a cosine `num_cycles` times; 0 is held.

    Args:
      lr: the rate of the optimizer.
      num_warmup_steps: in updates.
      num_training_steps: the whole length in updates. Where a cycle ends between two counts, so does this.
      num_cycles: how many, an integer > 0.

    Raises: ValueError if a number is out of range.

    >>> halves = get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 0, 8, num_cycles=2)
    >>> print([f"{rate:.2f}" for rate in halves(jnp.array([0, 2, 4, 6, 8]))])
    ['1.00', '0.50', '1.00', '0.50', '0.00']
    """
    steps = after(num_warmup_steps, num_training_steps)
    falls = Cosine(lr, 0.0, -(-steps // num_cycles))
    return Warmup(Repeat(falls, num_cycles, steps if steps % num_cycles else None), num_warmup_steps)


@checked
def get_cosine_with_min_lr_schedule_with_warmup(
    lr: Rate,
    num_warmup_steps: Delay,
    num_training_steps: Steps,
    num_cycles: Cycles = 0.5,
    min_lr: NotNegative | None = None,
    min_lr_rate: Share | None = None,
) -> Schedule:
    """`get_cosine_schedule_with_warmup` that falls to `min_lr`, or to `min_lr_rate` times `lr`.

    Args:
      lr, num_warmup_steps, num_training_steps, num_cycles: see `get_cosine_schedule_with_warmup`.
      min_lr, min_lr_rate: one of the two.

    Raises: ValueError if neither or both of the last two are given, or a number is out of range.

    >>> print(get_cosine_with_min_lr_schedule_with_warmup(1.0, 2, 6, min_lr_rate=0.25)(jnp.array([0, 2, 6])))
    [0.   1.   0.25]
    """
    caller = "get_cosine_with_min_lr_schedule_with_warmup"
    low = _low(caller, lr, min_lr, min_lr_rate)
    return _waved(caller, lr, low, num_warmup_steps, num_training_steps, num_cycles)


@checked
def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    lr: Rate,
    num_warmup_steps: KnownDelay,
    num_training_steps: Steps,
    num_cycles: Cycles = 0.5,
    min_lr: NotNegative | None = None,
    min_lr_rate: Share | None = None,
    warmup_lr_rate: Share | None = None,
) -> Schedule:
    """`get_cosine_with_min_lr_schedule_with_warmup`, one update ahead: its first rate is not 0, and its last comes one early.

    Args:
      lr, num_warmup_steps, num_training_steps, num_cycles: see `get_cosine_schedule_with_warmup`.
      min_lr, min_lr_rate: one of the two.
      warmup_lr_rate: the first rate is so much of `lr`; 1 / `num_warmup_steps` if None.

    Raises: ValueError if neither or both of `min_lr` and `min_lr_rate` are given, or a number is out of range.

    >>> ahead = get_cosine_with_min_lr_schedule_with_warmup_lr_rate(1.0, 4, 8, min_lr_rate=0.0)
    >>> print([f"{rate:.2f}" for rate in ahead(jnp.array([0, 1, 3, 5, 7]))])
    ['0.25', '0.50', '1.00', '0.50', '0.00']
    """
    caller = "get_cosine_with_min_lr_schedule_with_warmup_lr_rate"
    low = _low(caller, lr, min_lr, min_lr_rate)
    falls = wave(caller, lr, low, after(num_warmup_steps, num_training_steps), num_cycles)
    if warmup_lr_rate is None or not num_warmup_steps:
        return Shift(Warmup(falls, num_warmup_steps), 1)
    if num_warmup_steps == 1:  # theirs never reaches the top
        return Sequence(Hold(lr * warmup_lr_rate, 1), Shift(falls, 1))
    return Warmup(falls, num_warmup_steps - 1, start=lr * warmup_lr_rate)


def _waved(caller: str, lr: Any, low: Any, warmup_steps: Any, steps: Any, cycles: Any) -> Schedule:
    """A warm-up and a wave."""
    return Warmup(wave(caller, lr, low, after(warmup_steps, steps), cycles), warmup_steps)


def _low(caller: str, lr: Any, rate: Any, share: Any) -> Any:
    """The lowest rate, given as such or as a part of the highest."""
    if (rate is None) == (share is None):
        raise argument_error(ValueError, caller, "min_lr", "given, or `min_lr_rate`, and not both", rate)
    return lr * share if rate is None else rate
