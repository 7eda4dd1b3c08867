"""MXNet's `lr_scheduler`, number for number (MXNet 1.9.1).

MXNet counts steps from 1 before it asks for a learning rate, so the value at `count` is `scheduler(count + 1)`, of a
scheduler that was asked for every step before. An optimizer that gets both a scheduler and a `learning_rate` overwrites the
scheduler's `base_lr`: `FactorScheduler` and `MultiFactorScheduler` then climb to the old one and continue from the new one, the
others ignore it. Give the learning rate that you mean as `base_lr`.
"""

from typing import Annotated, Any

from lrax.compat._shared import (
    Boundaries,
    ConcreteDelay,
    ConcreteSteps,
    Factor,
    Positive,
    Rate,
    Steps,
    check_order,
    checked,
    step_decay,
)
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._rules import Choice, Number
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Shift, Warmup
from lrax.schedules._decays import Constant, MultiStep
from lrax.schedules._phases import Cosine, Hold, Linear, Polynomial

__all__ = ["CosineScheduler", "FactorScheduler", "MultiFactorScheduler", "PolyScheduler"]


Mode = Annotated[str, Choice(("linear", "constant"))]


@checked
def FactorScheduler(
    step: Steps,
    factor: Factor = 1.0,
    stop_factor_lr: Rate = 1e-8,
    base_lr: Rate = 0.01,
    warmup_steps: ConcreteDelay = 0,
    warmup_begin_lr: Rate = 0.0,
    warmup_mode: Mode = "linear",
) -> Schedule:
    """Multiplies the learning rate by `factor` every `step` steps, down to `stop_factor_lr`.

    The warm-up does not delay the decay: after 25 steps of warm-up with `step=10` it begins two drops down. A `base_lr` below
    `stop_factor_lr` is *raised* to it at the first drop.

    Args:
      step: steps between drops, an integer > 0.
      factor: what the learning rate is multiplied by, in (0, 1].
      stop_factor_lr: a drop does not go below this learning rate.
      base_lr: learning rate before the first drop, and the top of the warm-up.
      warmup_steps: steps of warm-up, an integer >= 0; the first one is one part of `warmup_steps` up already.
      warmup_begin_lr: learning rate that the warm-up starts from, at most `base_lr`.
      warmup_mode: `"linear"`, or `"constant"` for `warmup_begin_lr` throughout.

    Raises: ValueError if `factor` is above 1, or `warmup_begin_lr` above `base_lr`.

    >>> print(FactorScheduler(step=10, factor=0.5, base_lr=1.0, warmup_steps=25)(jnp.array([0, 23, 24])))
    [0.04 0.96 0.25]
    """
    if is_concrete(base_lr) and is_concrete(stop_factor_lr) and base_lr < stop_factor_lr:
        decay: Schedule = Sequence(Hold(base_lr, step), Constant(stop_factor_lr))
    else:
        decay = step_decay(base_lr, factor, step, stop_factor_lr)
    return _unshifted("FactorScheduler", decay, base_lr, warmup_steps, warmup_begin_lr, warmup_mode)


@checked
def MultiFactorScheduler(
    step: Boundaries,
    factor: Factor = 1.0,
    base_lr: Rate = 0.01,
    warmup_steps: ConcreteDelay = 0,
    warmup_begin_lr: Rate = 0.0,
    warmup_mode: Mode = "linear",
) -> Schedule:
    """Multiplies the learning rate by `factor` after the steps in `step`, numbers from 1; see `FactorScheduler`.

    The warm-up does not delay them.

    >>> print(MultiFactorScheduler(step=[2, 4], factor=0.5, base_lr=1.0)(jnp.arange(6)))
    [1.   1.   0.5  0.5  0.25 0.25]
    """
    if is_concrete(step) and min(step) < 1:
        raise argument_error(ValueError, "MultiFactorScheduler", "step", "step numbers from 1 on", step, "leave out 0")
    decay = MultiStep(base_lr, factor, step)
    return _unshifted("MultiFactorScheduler", decay, base_lr, warmup_steps, warmup_begin_lr, warmup_mode)


@checked
def PolyScheduler(
    max_update: ConcreteSteps,
    base_lr: Rate = 0.01,
    pwr: Positive = 2,
    final_lr: Rate = 0.0,
    warmup_steps: ConcreteDelay = 0,
    warmup_begin_lr: Rate = 0.0,
    warmup_mode: Mode = "linear",
) -> Schedule:
    """Falls as a power of what is left, from `base_lr` to `final_lr` at step `max_update`, and stays there.

    A `max_update` below `warmup_steps` keeps `base_lr`.

    Args:
      max_update: the number of the step (from 1) that has `final_lr`, warm-up included.
      base_lr: learning rate at step number `warmup_steps`.
      pwr: exponent, > 0.
      final_lr: the last learning rate.
      warmup_steps, warmup_begin_lr, warmup_mode: see `FactorScheduler`.

    Raises: ValueError if `max_update` equals `warmup_steps` (MXNet divides by zero), or `warmup_begin_lr` is above `base_lr`.

    >>> print(PolyScheduler(max_update=4, base_lr=1.0)(jnp.arange(5)))
    [0.5625 0.25   0.0625 0.     0.    ]
    """
    steps = _decay_steps("PolyScheduler", max_update, warmup_steps)
    decay = Polynomial(base_lr, final_lr, steps, pwr) if steps else Constant(base_lr)
    return _shifted("PolyScheduler", decay, base_lr, warmup_steps, warmup_begin_lr, warmup_mode)


@checked
def CosineScheduler(
    max_update: ConcreteSteps,
    base_lr: Rate = 0.01,
    final_lr: Rate = 0.0,
    warmup_steps: ConcreteDelay = 0,
    warmup_begin_lr: Rate = 0.0,
    warmup_mode: Mode = "linear",
) -> Schedule:
    """Falls along half a cosine from `base_lr` to `final_lr` at step `max_update`; see `PolyScheduler`.

    >>> print([f"{lr:.3f}" for lr in CosineScheduler(max_update=4, base_lr=1.0)(jnp.arange(5))])
    ['0.854', '0.500', '0.146', '0.000', '0.000']
    """
    steps = _decay_steps("CosineScheduler", max_update, warmup_steps)
    decay = Cosine(base_lr, final_lr, steps) if steps else Constant(base_lr)
    return _shifted("CosineScheduler", decay, base_lr, warmup_steps, warmup_begin_lr, warmup_mode)


def _decay_steps(caller: str, max_update: int, warmup_steps: int) -> int:
    """The length of the decay alone; 0 if there is none."""
    if max_update == warmup_steps:
        raise argument_error(ValueError, caller, "max_update", f"more than `warmup_steps` ({warmup_steps})", max_update)
    return int(max(max_update - warmup_steps, 0))


def _unshifted(caller: str, decay: Schedule, base_lr: Number, warmup_steps: int, begin: Number, mode: str) -> Schedule:
    """A warm-up of step numbers below `warmup_steps`, and the decay as if there had been none."""
    check_order(caller, "warmup_begin_lr", begin, "at most", base_lr, "base_lr")
    if not warmup_steps:
        return decay
    climb = Linear(begin, base_lr, warmup_steps) if mode == "linear" else Hold(begin, warmup_steps)
    return Shift(Sequence(climb, Shift(decay, int(warmup_steps) - 1)), 1)


def _shifted(caller: str, decay: Schedule, base_lr: Number, warmup_steps: int, begin: Number, mode: Any) -> Schedule:
    """A warm-up of step numbers below `warmup_steps`, and then the decay from its start."""
    check_order(caller, "warmup_begin_lr", begin, "at most", base_lr, "base_lr")
    return Shift(Warmup(decay, warmup_steps, begin, mode), 1)
