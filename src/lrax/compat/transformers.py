"""The schedules of Hugging Face's transformers, number for number (transformers 5.24).

They multiply the optimizer's rate, which is the first argument here. Those that watch a loss (`get_reduce_on_plateau_schedule`,
`get_greedy_schedule`) return a transformation for the end of an `optax.chain`, which is given the value to watch.
`get_scheduler` takes the names that `TrainingArguments(lr_scheduler_type=...)` takes.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import optax

from lrax.compat._shared import (
    KNOWN,
    KnownDelay,
    KnownSteps,
    NotNegative,
    Share,
    after,
    checked,
    fitted,
    least,
    plateau,
    tolerances,
    wave,
)
from lrax.fields._errors import argument_error, choice, is_concrete
from lrax.fields._given import Delay, Positive, Rate, Steps
from lrax.fields._rules import Choice
from lrax.fields._types import DELAY, POSITIVE
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


@fitted
def get_reduce_on_plateau_schedule(
    lr: Any,
    mode: Literal["min", "max"] = "min",
    factor: Any = 0.1,
    patience: Any = 10,
    threshold: Any = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Any = 0,
    min_lr: Any = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau`: see `lrax.compat.torch.ReduceLROnPlateau`.

    >>> tx = optax.chain(optax.sgd(0.1), get_reduce_on_plateau_schedule(0.1, patience=3))
    """
    caller = "get_reduce_on_plateau_schedule"
    return plateau(caller, lr, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr)


@fitted
def get_greedy_schedule(
    lr: Any,
    mode: Literal["min", "max"] = "min",
    factor: Any = 0.95,
    patience: Any = 10,
    threshold: Any = 1e-6,
    threshold_mode: Literal["rel", "abs"] = "abs",
    cooldown: Any = 0,
    warmup: Any = 0,
    min_lr: Any = 1e-3,
    max_lr: Any = 1.0,
    reset_start: Any = 500,
) -> optax.GradientTransformationExtraArgs:
    """Transformers' `GreedyLR`, as `lrax.greedy` after an optimizer at the rate `lr`.

    Its smallest change `eps` is 0 here, and its streaming average (`smooth`) is not: average the value before it is given, or
    use `lrax.greedy(every=...)`. With `threshold_mode="rel"`, a value below 0 is compared as one above.

    Args:
      lr: the rate of the optimizer, from `min_lr` to `max_lr`.
      mode: `"min"` or `"max"`.
      factor: in (0, 1).
      patience: one judgement more, all of one sort, changes the rate; an integer >= 0.
      threshold, threshold_mode: the improvement that is needed.
      cooldown, warmup: judgements that are ignored after the rate was lowered, and after it was raised.
      min_lr, max_lr: bounds of the rate; `min_lr` above 0.
      reset_start: lowerings at `min_lr` after which all begins anew.

    Returns: a transformation whose `update` needs `value`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> tx = optax.chain(optax.sgd(0.1), get_greedy_schedule(0.1, patience=3))
    """
    caller = "get_greedy_schedule"
    relative, absolute = tolerances(caller, threshold, threshold_mode)
    lowest, max_lr = least(caller, lr, min_lr), POSITIVE.convert(caller, "max_lr", max_lr)
    if is_concrete(lr) and is_concrete(max_lr) and np.any(np.asarray(max_lr) < np.asarray(lr)):
        raise argument_error(ValueError, caller, "max_lr", f"at least `lr` ({lr})", max_lr, "raise it")
    return greedy(
        factor,
        DELAY.convert(caller, "patience", patience) + np.int32(1),
        goal="min" if choice(caller, "mode", mode, ("min", "max")) == "min" else "max",
        rtol=relative,
        atol=absolute,
        cooldown=cooldown,
        raise_cooldown=warmup,
        min_scale=lowest,
        max_scale=np.maximum(max_lr / np.float32(lr), np.float32(1))
        if is_concrete(lr) and is_concrete(max_lr)
        else max_lr / lr,
        restart=reset_start,
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


@fitted
def get_scheduler(
    name: str,
    lr: Any,
    num_warmup_steps: Any = None,
    num_training_steps: Any = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The schedule of a name, such as `TrainingArguments(lr_scheduler_type="cosine")` gives.

    Args:
      name: `"linear"`, `"cosine"`, `"cosine_with_restarts"`, `"polynomial"`, `"constant"`, `"constant_with_warmup"`,
        `"inverse_sqrt"`, `"cosine_with_min_lr"`, `"cosine_warmup_with_min_lr"`, `"warmup_stable_decay"`; or
        `"reduce_lr_on_plateau"` or `"greedy"`, which are transformations.
      lr: the rate of the optimizer.
      num_warmup_steps, num_training_steps: in updates, where the schedule needs them.
      scheduler_specific_kwargs: further arguments of its function; as in transformers, they are not used for `"constant"`,
        `"constant_with_warmup"` and `"inverse_sqrt"`.

    Raises: ValueError for an unknown name or a length that is missing; TypeError for an argument that its function has not.

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
