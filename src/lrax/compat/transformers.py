"""The schedules of Hugging Face's transformers, number for number (transformers 5.24).

They multiply the optimizer's learning rate, which is the first argument here, `lr`. `num_warmup_steps` and
`num_training_steps`, the whole length, are in steps. Schedules that react to a loss (`get_reduce_on_plateau_schedule`,
`get_greedy_schedule`) are transformations for the end of an `optax.chain`. `get_scheduler` takes the names of
`TrainingArguments(lr_scheduler_type=...)`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import optax

from lrax.compat._shared import (
    ConcreteDelay,
    ConcreteNumber,
    ConcreteSteps,
    Delay,
    Fractional,
    Goal,
    NotNegative,
    Positive,
    Rate,
    Steps,
    Threshold,
    after,
    check_order,
    checked,
    min_scale,
    plateau,
    tolerances,
    wave,
)
from lrax.fields._errors import argument_error, choice, is_concrete
from lrax.fields._rules import Choice, Number, Whole
from lrax.optimizers._plateau import greedy
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Repeat, Sequence, Shift, Until, Warmup
from lrax.schedules._decays import Constant, InverseSqrt
from lrax.schedules._phases import Cosine, Hold, Linear, OneMinusSqrt, Polynomial
from lrax.schedules._shapes import ShapeName

__all__ = [
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_greedy_schedule",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_reduce_on_plateau_schedule",
    "get_scheduler",
    "get_wsd_schedule",
]

SHAPES: dict[str, ShapeName] = {"linear": "linear", "cosine": "cosine", "1-sqrt": "one_minus_sqrt"}
Shape = Annotated[str, Choice(tuple(SHAPES))]


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

    >>> print(get_constant_schedule_with_warmup(1.0, 4)(jnp.array([0, 1, 4, 9])))
    [0.   0.25 1.   1.  ]
    """
    return Warmup(Constant(lr), num_warmup_steps)


@checked
def get_linear_schedule_with_warmup(lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls to 0 at count `num_training_steps` in another.

    Where the warm-up is as long as the whole, it ends in 0.

    >>> print(get_linear_schedule_with_warmup(1.0, 2, 6)(jnp.array([0, 1, 2, 3, 6, 9])))
    [0.   0.5  1.   0.75 0.   0.  ]
    """
    steps = num_training_steps - num_warmup_steps
    if not is_concrete(steps) or steps > 0:
        return Warmup(Linear(lr, 0.0, steps), num_warmup_steps)
    return Sequence(Linear(0.0, lr, num_warmup_steps), Constant(0.0))


@checked
def get_polynomial_decay_schedule_with_warmup(
    lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps, lr_end: Rate = 1e-7, power: Positive = 1.0
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls to `lr_end` as a power of what is left.

    Raises: ValueError if `lr_end` is not below `lr`, or the warm-up is not shorter than the whole.

    >>> print(get_polynomial_decay_schedule_with_warmup(1.0, 2, 6, lr_end=0.0, power=2.0)(jnp.array([0, 2, 4, 6])))
    [0.   1.   0.25 0.  ]
    """
    caller, steps, remedy = (
        "get_polynomial_decay_schedule_with_warmup",
        num_training_steps,
        "transformers divides by zero there",
    )
    check_order(caller, "lr_end", lr_end, "below", lr, "lr")
    check_order(caller, "num_training_steps", steps, "above", num_warmup_steps, "num_warmup_steps", remedy)
    return Warmup(Polynomial(lr, lr_end, steps - num_warmup_steps, power), num_warmup_steps)


@checked
def get_inverse_sqrt_schedule(lr: Rate, num_warmup_steps: ConcreteDelay, timescale: Steps | None = None) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and falls as one over the square root of the count.

    The `timescale` is in steps; None: as long as the warm-up, or 10,000 without one.

    >>> print(get_inverse_sqrt_schedule(1.0, 2)(jnp.array([0, 1, 2, 8])))
    [0.  0.5 1.  0.5]
    """
    timescale = (num_warmup_steps or 10_000) if timescale is None else timescale
    return Warmup(InverseSqrt(lr, timescale * 1.0), num_warmup_steps)


@checked
def get_wsd_schedule(
    lr: Rate,
    num_warmup_steps: ConcreteDelay,
    num_decay_steps: ConcreteDelay,
    num_training_steps: ConcreteSteps | None = None,
    num_stable_steps: ConcreteDelay | None = None,
    warmup_type: Shape = "linear",
    decay_type: Shape = "cosine",
    min_lr_ratio: Fractional = 0.0,
    num_cycles: ConcreteNumber = 0.5,
) -> Schedule:
    """Climbs from `min_lr_ratio * lr` to `lr`, stays there, and falls back.

    Args:
      lr: learning rate of the optimizer.
      num_warmup_steps, num_decay_steps: in steps.
      num_training_steps: the whole length in steps; or:
      num_stable_steps: the length of the stable part, which counts if both are given.
      warmup_type, decay_type: `"linear"`, `"cosine"` or `"1-sqrt"`.
      min_lr_ratio: fraction of `lr` at both ends.
      num_cycles: waves of the cosine decay; after it the learning rate is the last one, wherever the wave was.

    Raises: ValueError if neither length is given, or the warm-up and the decay are longer than the whole.

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
    low = lr * min_lr_ratio
    parts: list[Schedule] = [Hold(lr, num_stable_steps)] if num_stable_steps else []
    if num_decay_steps:
        parts.append(_falls(lr, low, num_decay_steps, decay_type, num_cycles))
    mode = SHAPES[warmup_type]
    if not parts and num_warmup_steps:  # the last learning rate comes at once
        return Sequence(Until(Warmup(Constant(lr), num_warmup_steps, low, mode), num_warmup_steps), Constant(low))
    return Warmup(Sequence(*parts, Constant(low)), num_warmup_steps, low, mode)


def _falls(lr: Number, low: Number, steps: int, decay_type: str, cycles: float) -> Schedule:
    """What comes after the stable part."""
    if decay_type == "cosine" and cycles == 0.5:
        return Cosine(lr, low, steps)
    if decay_type == "cosine":
        return Until(wave("get_wsd_schedule", lr, low, steps, cycles), steps)
    return Linear(lr, low, steps) if decay_type == "linear" else OneMinusSqrt(lr, low, steps)


@checked
def get_cosine_schedule_with_warmup(
    lr: Rate, num_warmup_steps: Delay, num_training_steps: Steps, num_cycles: ConcreteNumber = 0.5
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and then follows a cosine wave, `num_cycles` of it up to the end.

    The wave has no end: 0.5 cycles fall to 0, and climb back after it. Other numbers of cycles need concrete lengths.

    >>> print([f"{lr:.2f}" for lr in get_cosine_schedule_with_warmup(1.0, 2, 6)(jnp.array([0, 1, 2, 4, 6, 10]))])
    ['0.00', '0.50', '1.00', '0.50', '0.00', '1.00']
    """
    return _waved("get_cosine_schedule_with_warmup", lr, 0.0, num_warmup_steps, num_training_steps, num_cycles)


@checked
def get_cosine_with_hard_restarts_schedule_with_warmup(
    lr: Rate, num_warmup_steps: ConcreteDelay, num_training_steps: ConcreteSteps, num_cycles: ConcreteSteps = 1
) -> Schedule:
    """Climbs from 0 to `lr` in a straight line, and then falls to 0 along half a cosine `num_cycles` times; it stays at 0.

    Where a cycle of transformers ends between two counts, so does this.

    >>> halves = get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 0, 8, num_cycles=2)
    >>> print([f"{lr:.2f}" for lr in halves(jnp.array([0, 2, 4, 6, 8]))])
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
    num_cycles: ConcreteNumber = 0.5,
    min_lr: NotNegative | None = None,
    min_lr_rate: Fractional | None = None,
) -> Schedule:
    """`get_cosine_schedule_with_warmup` that falls to `min_lr`, or to `min_lr_rate` times `lr`: give one of the two.

    >>> print(get_cosine_with_min_lr_schedule_with_warmup(1.0, 2, 6, min_lr_rate=0.25)(jnp.array([0, 2, 6])))
    [0.   1.   0.25]
    """
    caller = "get_cosine_with_min_lr_schedule_with_warmup"
    low = _low(caller, lr, min_lr, min_lr_rate)
    return _waved(caller, lr, low, num_warmup_steps, num_training_steps, num_cycles)


@checked
def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    lr: Rate,
    num_warmup_steps: ConcreteDelay,
    num_training_steps: Steps,
    num_cycles: ConcreteNumber = 0.5,
    min_lr: NotNegative | None = None,
    min_lr_rate: Fractional | None = None,
    warmup_lr_rate: Fractional | None = None,
) -> Schedule:
    """`get_cosine_with_min_lr_schedule_with_warmup`, one step ahead: its first learning rate is not 0, its last comes early.

    The first one is `warmup_lr_rate` times `lr`; None: 1 / `num_warmup_steps` of it.

    >>> ahead = get_cosine_with_min_lr_schedule_with_warmup_lr_rate(1.0, 4, 8, min_lr_rate=0.0)
    >>> print([f"{lr:.2f}" for lr in ahead(jnp.array([0, 1, 3, 5, 7]))])
    ['0.25', '0.50', '1.00', '0.50', '0.00']
    """
    caller = "get_cosine_with_min_lr_schedule_with_warmup_lr_rate"
    low = _low(caller, lr, min_lr, min_lr_rate)
    falls = wave(caller, lr, low, after(num_warmup_steps, num_training_steps), num_cycles)
    if warmup_lr_rate is None or not num_warmup_steps:
        return Shift(Warmup(falls, num_warmup_steps), 1)
    if num_warmup_steps == 1:  # transformers never reaches the peak
        return Sequence(Hold(lr * warmup_lr_rate, 1), Shift(falls, 1))
    return Warmup(falls, num_warmup_steps - 1, start=lr * warmup_lr_rate)


def _waved(caller: str, lr: Number, low: Number, warmup_steps: Whole, steps: Whole, cycles: Number) -> Schedule:
    """A warm-up and a wave."""
    return Warmup(wave(caller, lr, low, after(warmup_steps, steps), cycles), warmup_steps)


def _low(caller: str, lr: Number, min_lr: Number | None, fraction: Number | None) -> Number:
    """The lowest learning rate, given as such or as a fraction of the highest."""
    if min_lr is not None and fraction is None:
        return min_lr
    if fraction is not None and min_lr is None:
        return lr * fraction
    raise argument_error(ValueError, caller, "min_lr", "given, or `min_lr_rate`, and not both", min_lr)


@checked
def get_reduce_on_plateau_schedule(
    lr: Positive,
    mode: Goal = "min",
    factor: Rate = 0.1,
    patience: Delay = 10,
    threshold: Rate = 1e-4,
    threshold_mode: Threshold = "rel",
    cooldown: Delay = 0,
    min_lr: Rate = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau`: see `lrax.compat.torch.ReduceLROnPlateau`.

    >>> tx = optax.chain(optax.sgd(0.1), get_reduce_on_plateau_schedule(0.1, patience=3))
    """
    caller = "get_reduce_on_plateau_schedule"
    return plateau(caller, lr, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr)


@checked
def get_greedy_schedule(
    lr: Positive,
    mode: Goal = "min",
    factor: Rate = 0.95,
    patience: Delay = 10,
    threshold: Rate = 1e-6,
    threshold_mode: Threshold = "abs",
    cooldown: Delay = 0,
    warmup: Delay = 0,
    min_lr: Rate = 1e-3,
    max_lr: Positive = 1.0,
    reset_start: Delay = 500,
) -> optax.GradientTransformationExtraArgs:
    """Transformers' `GreedyLR`, as `lrax.greedy` after an optimizer at the learning rate `lr`.

    Its smallest change `eps` is 0 here, and there is no streaming average (`smooth`): average the value yourself, or use
    `lrax.greedy(every=...)`. With `threshold_mode="rel"`, values below 0 are compared as those above.

    Args:
      lr: learning rate of the optimizer, from `min_lr` to `max_lr`.
      mode: `"min"` or `"max"`.
      factor: in (0, 1).
      patience: one equal check more changes the learning rate; an integer >= 0.
      threshold, threshold_mode: the improvement that is needed.
      cooldown, warmup: checks that are ignored after a reduction, and after an increase.
      min_lr, max_lr: bounds of the learning rate; `min_lr` above 0.
      reset_start: reductions at `min_lr` after which all begins anew.

    Returns: a transformation whose `update` needs `value`.

    >>> tx = optax.chain(optax.sgd(0.1), get_greedy_schedule(0.1, patience=3))
    """
    caller = "get_greedy_schedule"
    lowest = min_scale(caller, lr, min_lr)
    check_order(caller, "max_lr", max_lr, "at least", lr, "lr", "raise it")
    concrete = is_concrete(lr) and is_concrete(max_lr)
    return greedy(
        factor,
        patience + 1,
        goal=mode,
        cooldown=cooldown,
        raise_cooldown=warmup,
        min_scale=lowest,
        max_scale=np.maximum(np.float32(max_lr) / np.float32(lr), np.float32(1)) if concrete else max_lr / lr,
        restart=reset_start,
        **tolerances(threshold, threshold_mode),
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "cosine_with_restarts": get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": get_polynomial_decay_schedule_with_warmup,
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
    "inverse_sqrt": get_inverse_sqrt_schedule,
    "reduce_lr_on_plateau": get_reduce_on_plateau_schedule,
    "cosine_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup,
    "cosine_warmup_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    "warmup_stable_decay": get_wsd_schedule,
    "greedy": get_greedy_schedule,
}
ALONE = ("constant", "reduce_lr_on_plateau", "greedy")
WITHOUT_TOTAL = ("constant_with_warmup", "inverse_sqrt")
"""Names that need no total length, and for which transformers does not use `scheduler_specific_kwargs`."""


@checked
def get_scheduler(
    name: str,
    lr: Rate,
    num_warmup_steps: Delay | None = None,
    num_training_steps: Delay | None = None,
    scheduler_specific_kwargs: Mapping[str, object] | None = None,
) -> Any:
    """The schedule of a name, such as `TrainingArguments(lr_scheduler_type="cosine")` gives.

    Args:
      name: `"linear"`, `"cosine"`, `"cosine_with_restarts"`, `"polynomial"`, `"constant"`, `"constant_with_warmup"`,
        `"inverse_sqrt"`, `"cosine_with_min_lr"`, `"cosine_warmup_with_min_lr"`, `"warmup_stable_decay"`; or
        `"reduce_lr_on_plateau"` or `"greedy"`, which are transformations.
      lr: learning rate of the optimizer.
      num_warmup_steps, num_training_steps: in steps, where the schedule needs them.
      scheduler_specific_kwargs: further arguments of its function; as in transformers, they are not used for `"constant"`,
        `"constant_with_warmup"` and `"inverse_sqrt"`.

    Raises: ValueError for an unknown name or a missing length; TypeError for an argument that its function does not have.

    >>> print(get_scheduler("linear", 1.0, 2, 6)(jnp.array([0, 2, 6])))
    [0. 1. 0.]
    """
    function = FUNCTIONS[choice("get_scheduler", "name", name, tuple(FUNCTIONS))]
    if name == "constant":
        return function(lr)
    given = {} if name in WITHOUT_TOTAL else dict(scheduler_specific_kwargs or {})
    needed = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    if name in ALONE:
        return function(lr, **given)
    if name in WITHOUT_TOTAL:
        del needed["num_training_steps"]
    for argument, value in needed.items():
        if value is None and not (name == "warmup_stable_decay" and argument == "num_training_steps"):
            raise argument_error(ValueError, "get_scheduler", argument, f"given for {name!r}", value)
    return function(lr, **needed, **given)
