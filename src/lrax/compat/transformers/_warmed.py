"""Transformers' schedules that are a warm-up and one thing more."""

from typing import Annotated, Any

from lrax.compat._arguments import KNOWN, KnownDelay, KnownSteps, NotNegative, Share, checked
from lrax.compat._parts import wave
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Delay, Positive, Rate, Steps
from lrax.fields._rules import Choice
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Until, Warmup
from lrax.schedules._decays import Constant, InverseSqrt
from lrax.schedules._phases import Cosine, Hold, Linear, OneMinusSqrt, Polynomial
from lrax.schedules._shapes import ShapeName

WORDS: dict[str, ShapeName] = {"linear": "linear", "cosine": "cosine", "1-sqrt": "one_minus_sqrt"}
Shape = Annotated[str, Choice(tuple(WORDS))]


@checked
def get_constant_schedule(lr: Rate) -> Schedule:
    """Stays at `lr`.

    >>> print(get_constant_schedule(0.1)(5))
    0.1
    """
    return Constant(lr)


@checked
def get_constant_schedule_with_warmup(lr: Rate, num_warmup_steps: Delay) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and stays there.

    Raises: ValueError if a number is out of range.

    >>> print(get_constant_schedule_with_warmup(1.0, 4)(jnp.array([0, 1, 4, 9])))
    [0.   0.25 1.   1.  ]
    """
    return Warmup(Constant(lr), num_warmup_steps)


@checked
def get_linear_schedule_with_warmup(lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls to 0 at count `num_training_steps` in another.

    Where the warm-up is as long as the whole, it ends in 0.

    Raises: ValueError if a number is out of range.

    >>> print(get_linear_schedule_with_warmup(1.0, 2, 6)(jnp.array([0, 1, 2, 3, 6, 9])))
    [0.   0.5  1.   0.75 0.   0.  ]
    """
    steps = num_training_steps - num_warmup_steps
    over = is_concrete(steps) and steps <= 0
    return (
        Warmup(Linear(lr, 0.0, steps), num_warmup_steps)
        if not over
        else Sequence(*([Linear(0.0, lr, num_warmup_steps)] if num_warmup_steps else []), Constant(0.0))
    )


@checked
def get_polynomial_decay_schedule_with_warmup(
    lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps, lr_end: Rate = 1e-7, power: Positive = 1.0
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls to `lr_end` as a power of what is left.

    Args:
      lr: the rate of the optimizer, above `lr_end`.
      num_warmup_steps: in updates.
      num_training_steps: the whole length in updates, above `num_warmup_steps`.
      lr_end: rate from the end on.
      power: exponent, > 0.

    Raises: ValueError if `lr_end` is not below `lr`, the warm-up is not shorter than the whole, or a number is out of range.

    >>> print(get_polynomial_decay_schedule_with_warmup(1.0, 2, 6, lr_end=0.0, power=2.0)(jnp.array([0, 2, 4, 6])))
    [0.   1.   0.25 0.  ]
    """
    caller = "get_polynomial_decay_schedule_with_warmup"
    if is_concrete(lr) and is_concrete(lr_end) and lr_end >= lr:
        raise argument_error(ValueError, caller, "lr_end", f"below `lr` ({lr})", lr_end, "lower it")
    steps = num_training_steps - num_warmup_steps
    if is_concrete(steps) and steps < 1:
        needs = f"above `num_warmup_steps` ({num_warmup_steps})"
        raise argument_error(
            ValueError, caller, "num_training_steps", needs, num_training_steps, "transformers divides by zero there"
        )
    return Warmup(Polynomial(lr, lr_end, steps, power), num_warmup_steps)


@checked
def get_inverse_sqrt_schedule(lr: Rate, num_warmup_steps: KnownDelay, timescale: Steps | None = None) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls as one over the square root of the count.

    Args:
      lr: the rate of the optimizer.
      num_warmup_steps: in updates.
      timescale: in updates; as long as the warm-up if None, and 10,000 if there is none.

    Raises: ValueError if a number is out of range.

    >>> print(get_inverse_sqrt_schedule(1.0, 2)(jnp.array([0, 1, 2, 8])))
    [0.  0.5 1.  0.5]
    """
    timescale = (num_warmup_steps or 10_000) if timescale is None else timescale
    return Warmup(InverseSqrt(lr, timescale * 1.0), num_warmup_steps)


@checked
def get_wsd_schedule(
    lr: Rate,
    num_warmup_steps: KnownDelay,
    num_decay_steps: KnownDelay,
    num_training_steps: KnownSteps | None = None,
    num_stable_steps: KnownDelay | None = None,
    warmup_type: Shape = "linear",
    decay_type: Shape = "cosine",
    min_lr_ratio: Share = 0.0,
    num_cycles: Annotated[NotNegative, KNOWN] = 0.5,
) -> Schedule:
    """Climbs from `min_lr_ratio * lr` to `lr`, stays there, and falls back, to stay again.

    Args:
      lr: the rate of the optimizer.
      num_warmup_steps, num_decay_steps: in updates.
      num_training_steps: the whole length in updates, which says how long the rate stays; or:
      num_stable_steps: how long it stays; it is the one that counts if both are given.
      warmup_type, decay_type: `"linear"`, `"cosine"` or `"1-sqrt"`.
      min_lr_ratio: part of `lr` at both ends.
      num_cycles: waves of the cosine decay; after it the rate is the last one, wherever the wave was.

    Raises: ValueError if neither length is given, the warm-up and the decay are longer than the whole, or a number is out of
      range.

    >>> print(get_wsd_schedule(1.0, 2, 4, 10, decay_type="linear")(jnp.array([0, 1, 2, 6, 7, 10])))
    [0.   0.5  1.   1.   0.75 0.  ]
    """
    caller = "get_wsd_schedule"
    if num_stable_steps is None:
        if num_training_steps is None:
            raise argument_error(ValueError, caller, "num_training_steps", "given, or `num_stable_steps`", num_training_steps)
        num_stable_steps = num_training_steps - num_warmup_steps - num_decay_steps
        if num_stable_steps < 0:
            needs = f"at least as long as warm-up and decay ({num_warmup_steps + num_decay_steps})"
            raise argument_error(ValueError, caller, "num_training_steps", needs, num_training_steps)
    low: Any = lr * min_lr_ratio
    parts: list[Schedule] = [Hold(lr, num_stable_steps)] if num_stable_steps else []
    if num_decay_steps:
        parts.append(_falls(lr, low, num_decay_steps, decay_type, num_cycles))
    mode = WORDS[warmup_type]
    if not parts and num_warmup_steps:  # the last rate comes at once
        return Sequence(Until(Warmup(Constant(lr), num_warmup_steps, low, mode), num_warmup_steps), Constant(low))
    return Warmup(Sequence(*parts, Constant(low)), num_warmup_steps, low, mode)


def _falls(lr: Any, low: Any, steps: int, decay_type: str, cycles: float) -> Schedule:
    """What comes after the stable part."""
    if decay_type == "cosine" and cycles == 0.5:
        return Cosine(lr, low, steps)
    if decay_type == "cosine":
        return Until(wave("get_wsd_schedule", lr, low, steps, cycles), steps)
    return Linear(lr, low, steps) if decay_type == "linear" else OneMinusSqrt(lr, low, steps)
