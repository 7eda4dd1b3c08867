"""PyTorch's `torch.optim.lr_scheduler`, number for number (PyTorch 2.13).

In place of the optimizer each function takes its learning rate, `lr`; `last_epoch` is left out (to begin later, use
`lrax.Shift`). The value at `count` is the learning rate of the step before which `scheduler.step()` was called `count` times.
PyTorch calculates most learning rates from the one before, in Python floats; here each is calculated from the count.

`MultiplicativeLR` is a product over all steps so far, which is not a function of the count: give its closed form to `LambdaLR`.
`ReduceLROnPlateau` depends on the loss: it is a transformation for the end of an `optax.chain`.
"""

import math
from collections import Counter
from collections.abc import Sequence as Many
from typing import Annotated

import numpy as np
import optax

from lrax.compat._shared import (
    CONCRETE,
    ConcreteDelay,
    ConcreteFraction,
    ConcreteSteps,
    Delay,
    Factor,
    Fractional,
    Goal,
    Positive,
    Rate,
    Steps,
    Threshold,
    checked,
    exponential,
    holds,
    join,
    plateau,
    step_decay,
)
from lrax.fields._errors import argument_error
from lrax.fields._rules import Choice, Number, Rule, Whole
from lrax.schedules._base import CallableRule, Function, RateFunction, Schedule
from lrax.schedules._combinators import Cycle, Product, Scale, Sequence, Shift, Stretch, Sum, Until
from lrax.schedules._decays import Constant, MultiStep
from lrax.schedules._phases import Cosine, Hold, Linear, Polynomial
from lrax.schedules._shapes import ShapeName
from lrax.schedules._tables import Knots, PiecewiseConstant

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "OneCycleMomentum",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

MILESTONES = Rule("a list of counts, none below 0", np.int32, low=0, rank=1)
TIMES = Rule("an integer, at least 1", np.int32, low=1, remedy="lrax.sgdr(length_factor=...) takes any number above 0")
SHAPES: dict[str, ShapeName] = {"cos": "cosine", "linear": "linear"}
Strategy = Annotated[str, Choice(tuple(SHAPES))]


@checked
def LambdaLR(lr: Rate, lr_lambda: Annotated[RateFunction, CallableRule()]) -> Schedule:
    """The learning rate times `lr_lambda`, a function of the count with `jnp` operations, which is static under `jit`.

    >>> print(LambdaLR(0.1, lambda count: 1 / (1 + count))(3))
    0.025
    """
    return Scale(Function(lr_lambda), lr)


@checked
def StepLR(lr: Rate, step_size: Steps, gamma: Positive = 0.1) -> Schedule:
    """Multiplies the learning rate by `gamma`, above 0, every `step_size` steps, an integer above 0.

    >>> print(StepLR(1.0, step_size=30, gamma=0.5)(jnp.array([29, 30, 60])))
    [1.   0.5  0.25]
    """
    return step_decay(lr, gamma, step_size)


@checked
def MultiStepLR(lr: Rate, milestones: Annotated[Many[int], CONCRETE], gamma: Positive = 0.1) -> Schedule:
    """Multiplies the learning rate by `gamma` at each milestone: twice at one that is listed twice.

    Args:
      lr: learning rate before the first milestone.
      milestones: counts, in any order; none if the list is empty.
      gamma: factor, > 0.

    >>> print(MultiStepLR(1.0, milestones=[80, 30, 80], gamma=0.5)(jnp.array([29, 30, 80])))
    [1.    0.5   0.125]
    """
    if not len(milestones):
        return Constant(lr)
    at = sorted(Counter(MILESTONES.convert("MultiStepLR", "milestones", list(milestones)).tolist()).items())
    if all(times == 1 for _, times in at):
        return MultiStep(lr, gamma, [count for count, _ in at])
    drops = [sum(times for _, times in at[:i]) for i in range(len(at) + 1)]
    return PiecewiseConstant([lr * gamma**drop for drop in drops], [count for count, _ in at])


@checked
def ConstantLR(lr: Rate, factor: Factor = 1 / 3, total_iters: ConcreteDelay = 5) -> Schedule:
    """The learning rate times `factor`, in (0, 1], for `total_iters` steps, and then the learning rate itself.

    With `total_iters=0` PyTorch never takes `factor` back, and neither does this. (As a later part of a `SequentialLR` PyTorch
    then uses `lr` itself; give `lrax.Constant(lr)` there.)

    >>> print(ConstantLR(1.0, factor=0.5, total_iters=4)(jnp.array([3, 4])))
    [0.5 1. ]
    """
    return Sequence(Hold(lr * factor, total_iters), Constant(lr)) if total_iters else Constant(lr * factor)


@checked
def LinearLR(lr: Rate, start_factor: Factor = 1 / 3, end_factor: Fractional = 1.0, total_iters: ConcreteDelay = 5) -> Schedule:
    """The learning rate times a factor that goes from `start_factor` to `end_factor` in a straight line, and stays there.

    The factors are in (0, 1] and [0, 1]. It takes `total_iters` steps; with `total_iters=0` it stays at `start_factor`.

    >>> print(LinearLR(1.0, start_factor=0.5, total_iters=4)(jnp.array([0, 2, 4])))
    [0.5  0.75 1.  ]
    """
    return Linear(lr * start_factor, lr * end_factor, total_iters) if total_iters else Constant(lr * start_factor)


@checked
def ExponentialLR(lr: Rate, gamma: Positive) -> Schedule:
    """Multiplies the learning rate by `gamma`, above 0, at every step; one near 1 keeps the digits of its Python float.

    >>> print(ExponentialLR(1.0, gamma=0.5)(jnp.arange(3)))
    [1.   0.5  0.25]
    """
    return exponential(lr, gamma)


@checked
def PolynomialLR(lr: Rate, total_iters: ConcreteDelay = 5, power: Positive = 1.0) -> Schedule:
    """Falls to 0 in `total_iters` steps as a power of what is left, and stays there; with `total_iters=0` it never falls.

    >>> print(PolynomialLR(1.0, total_iters=4, power=2.0)(jnp.arange(6)))
    [1.     0.5625 0.25   0.0625 0.     0.    ]
    """
    return Polynomial(lr, 0.0, total_iters, power) if total_iters else Constant(lr)


@checked
def SWALR(lr: Rate, swa_lr: Rate, anneal_epochs: ConcreteDelay = 10, anneal_strategy: Strategy = "cos") -> Schedule:
    """Goes from `lr` to `swa_lr` in `anneal_epochs` steps and stays there: `torch.optim.swa_utils.SWALR`.

    The shape `anneal_strategy` is `"cos"` or `"linear"`. A step is whatever PyTorch's `step` is called for.

    >>> print(SWALR(1.0, 0.5, anneal_epochs=4, anneal_strategy="linear")(jnp.array([0, 2, 4])))
    [1.   0.75 0.5 ]
    """
    phase = Cosine if anneal_strategy == "cos" else Linear
    return phase(lr, swa_lr, anneal_epochs) if anneal_epochs else Constant(swa_lr)


@checked
def CosineAnnealingLR(lr: Rate, T_max: Steps, eta_min: Rate = 0.0) -> Schedule:
    """Falls along half a cosine to `eta_min` at count `T_max`, and then climbs back to `lr` at `2 * T_max`, without end.

    >>> print([f"{lr:.2f}" for lr in CosineAnnealingLR(1.0, T_max=2)(jnp.arange(6))])
    ['1.00', '0.50', '0.00', '0.50', '1.00', '0.50']
    """
    return Cycle(Sequence(Cosine(lr, eta_min, T_max), Cosine(eta_min, lr, T_max)))


@checked
def CosineAnnealingWarmRestarts(lr: Rate, T_0: Steps, T_mult: Annotated[Whole, TIMES] = 1, eta_min: Rate = 0.0) -> Schedule:
    """Falls from `lr` to `eta_min` along half a cosine, in `T_0` steps, then in `T_mult` times as many, and so on.

    Both are integers above 0.

    >>> print(CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2)(jnp.array([0, 2, 6, 14])))
    [1. 1. 1. 1.]
    """
    return Cycle(Cosine(lr, eta_min, T_0), T_mult)


@checked
def CyclicLR(
    base_lr: Rate,
    max_lr: Rate,
    step_size_up: Steps = 2000,
    step_size_down: Steps | None = None,
    mode: Annotated[str, Choice(("triangular", "triangular2", "exp_range"))] = "triangular",
    gamma: Positive = 1.0,
    scale_fn: Annotated[RateFunction | None, CallableRule()] = None,
    scale_mode: Annotated[str, Choice(("cycle", "iterations"))] = "cycle",
) -> Schedule:
    """Triangles between `base_lr` and `max_lr`, without end, whose amplitude may shrink.

    The momentum that goes with it is `CyclicLR(base_lr=max_momentum, max_lr=base_momentum, ...)`, all else equal.

    Args:
      base_lr: learning rate at the start of each cycle.
      max_lr: learning rate at the peak of the first cycle.
      step_size_up, step_size_down: steps of climbing and of falling; None: as many as of climbing.
      mode: `"triangular"`, `"triangular2"` (half the amplitude each cycle) or `"exp_range"` (times `gamma` each step).
      gamma: factor of the amplitude.
      scale_fn: factor of the amplitude instead of that of `mode`: a function of the cycle (from 1) or of the count.
      scale_mode: `"cycle"` or `"iterations"`, which of the two.

    >>> print(CyclicLR(1.0, 2.0, step_size_up=2, mode="triangular2")(jnp.arange(8)))
    [1.   1.5  2.   1.5  1.   1.25 1.5  1.25]
    """
    up, down = step_size_up, step_size_up if step_size_down is None else step_size_down
    if scale_fn is None and mode == "triangular":
        return Cycle(Sequence(Linear(base_lr, max_lr, up), Linear(max_lr, base_lr, down)))
    amplitude = max_lr - base_lr
    triangle = Sequence(Linear(0.0, amplitude, up), Linear(amplitude, 0.0, down))
    if scale_fn is None and mode == "triangular2":
        return Sum(Constant(base_lr), Cycle(triangle, 1, 0.5))
    scale: Schedule = exponential(1.0, gamma) if scale_fn is None else Function(scale_fn)
    if scale_fn is not None and scale_mode == "cycle":
        scale = Stretch(Shift(scale, 1), up + down)
    return Sum(Constant(base_lr), Product(Cycle(triangle), scale))


@checked
def OneCycleLR(
    max_lr: Rate,
    total_steps: ConcreteSteps | None = None,
    epochs: ConcreteSteps | None = None,
    steps_per_epoch: ConcreteSteps | None = None,
    pct_start: ConcreteFraction = 0.3,
    anneal_strategy: Strategy = "cos",
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """Climbs to `max_lr` and falls to its last learning rate, where it stays.

    The peak is at `pct_start * total_steps - 1`, often between two steps, and the end at `total_steps - 1`; a peak before count
    0 is never seen. PyTorch raises an error after `total_steps` steps.

    Args:
      max_lr: learning rate at the peak.
      total_steps: length in steps, an integer > 0; or:
      epochs, steps_per_epoch: two integers > 0, whose product is the length.
      pct_start: fraction of the length before the peak, from 0 to 1.
      anneal_strategy: `"cos"` or `"linear"`.
      div_factor: the first learning rate is `max_lr / div_factor`.
      final_div_factor: the last learning rate is `max_lr / div_factor / final_div_factor`.
      three_phase: whether to fall as fast as to climb, to the first learning rate, before the fall to the last.

    Raises: ValueError if no length is given, or the peak is at count 0 (PyTorch divides by zero).

    >>> print([f"{lr:.3f}" for lr in OneCycleLR(1.0, total_steps=10, pct_start=0.4)(jnp.array([0, 3, 9]))])
    ['0.040', '1.000', '0.000']
    """
    first = max_lr / div_factor
    lrs = [first, max_lr, *([first] if three_phase else []), first / final_div_factor]
    steps = _total("OneCycleLR", total_steps, epochs, steps_per_epoch)
    return _one_cycle("OneCycleLR", lrs, steps, pct_start, SHAPES[anneal_strategy], three_phase)


@checked
def OneCycleMomentum(
    total_steps: ConcreteSteps | None = None,
    epochs: ConcreteSteps | None = None,
    steps_per_epoch: ConcreteSteps | None = None,
    pct_start: ConcreteFraction = 0.3,
    anneal_strategy: Strategy = "cos",
    base_momentum: Rate = 0.85,
    max_momentum: Rate = 0.95,
    three_phase: bool = False,
) -> Schedule:
    """The momentum that `OneCycleLR` sets with `cycle_momentum`: it falls while the learning rate climbs.

    Args:
      total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase: see `OneCycleLR`.
      base_momentum: momentum at the peak of the learning rate.
      max_momentum: momentum at both ends.

    Raises: ValueError as `OneCycleLR`.

    >>> print([f"{value:.2f}" for value in OneCycleMomentum(total_steps=10, pct_start=0.4)(jnp.array([0, 3, 9]))])
    ['0.95', '0.85', '0.95']
    """
    values = [max_momentum, base_momentum, max_momentum, *([max_momentum] if three_phase else [])]
    steps = _total("OneCycleMomentum", total_steps, epochs, steps_per_epoch)
    return _one_cycle("OneCycleMomentum", values, steps, pct_start, SHAPES[anneal_strategy], three_phase)


def _total(caller: str, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise argument_error(ValueError, caller, "total_steps", "given, or `epochs` and `steps_per_epoch`", total_steps)
    return epochs * steps_per_epoch


def _one_cycle(
    caller: str, values: list[Number], total_steps: int, pct_start: float, shape: ShapeName, three_phase: bool
) -> Schedule:
    """`values` at the ends of PyTorch's phases; a phase that would end before it begins is never entered."""
    peak = float(pct_start * total_steps) - 1
    if peak == 0:
        remedy = "PyTorch divides by zero there; change it a little"
        raise argument_error(ValueError, caller, "pct_start", "such that the peak is not at count 0", pct_start, remedy)
    ends = [peak, *([float(2 * pct_start * total_steps) - 2] if three_phase else []), float(total_steps - 1)]
    knots = [(0.0, values[0])]
    for place, value in zip(ends, values[1:], strict=True):
        if place < 0:
            knots = [(place, value)]
        elif place > knots[-1][0] or len(knots) == 1:
            knots.append((place, value))
    if len(knots) == 1:  # a single step
        knots.append((knots[0][0] + 1, knots[0][1]))
    places = [place for place, _ in knots]
    whole = [math.floor(place) for place in places]
    part = [place - floor for place, floor in zip(places, whole, strict=True)]
    cycle = Knots([value for _, value in knots], whole, part, shape)
    if places[-1] <= total_steps - 1 or total_steps == 1:
        return cycle
    # the last phase would end after the run, where PyTorch makes no more steps
    return Sequence(Until(cycle, total_steps - 1), Constant(cycle(np.int32(total_steps - 1))))


@checked
def SequentialLR(schedulers: Many[RateFunction], milestones: Many[Whole]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the milestones.

    Args:
      schedulers: schedules, or callables `count -> learning rate`.
      milestones: counts in rising order, one less than there are schedules; traced ones are assumed to rise.

    Raises: ValueError if `milestones` is unsorted or of another length.

    >>> print(SequentialLR([ConstantLR(1.0, 0.5, 9), ExponentialLR(1.0, 0.5)], milestones=[2])(jnp.arange(5)))
    [0.5  0.5  1.   0.5  0.25]
    """
    return join("SequentialLR", "milestones", schedulers, milestones)


@checked
def ChainedScheduler(lr: Rate, schedulers: Many[RateFunction]) -> Schedule:
    """Several schedules at once: the learning rate times the factor of each.

    That is what PyTorch does with those that multiply the previous learning rate: `StepLR`, `MultiStepLR`, `ConstantLR`,
    `LinearLR`, `ExponentialLR`, `PolynomialLR`, and `CosineAnnealingLR` with `eta_min=0` up to `T_max`.

    Args:
      lr: learning rate of the optimizer, which each schedule was made with; not 0.
      schedulers: schedules, at least one.

    Raises: ValueError if `schedulers` is empty or `lr` is 0.

    >>> print(ChainedScheduler(2.0, [ConstantLR(2.0, 0.5, 2), StepLR(2.0, 3, 0.1)])(jnp.arange(4)))
    [1.  1.  2.  0.2]
    """
    if not schedulers:
        raise argument_error(ValueError, "ChainedScheduler", "schedulers", "at least one schedule", schedulers)
    if holds(lr == 0):
        remedy = "give the learning rate that the schedules were made with"
        raise argument_error(ValueError, "ChainedScheduler", "lr", "not 0", lr, remedy)
    first, *others = schedulers
    return Product(first, *(Scale(other, 1 / lr) for other in others))


@checked
def ReduceLROnPlateau(
    lr: Positive,
    mode: Goal = "min",
    factor: Rate = 0.1,
    patience: Delay = 10,
    threshold: Rate = 1e-4,
    threshold_mode: Threshold = "rel",
    cooldown: Delay = 0,
    min_lr: Rate = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau`, as `lrax.reduce_on_plateau` after an optimizer at the learning rate `lr`.

    Call `update` as often as PyTorch's `step` would be called, or use `lrax.reduce_on_plateau(every=...)`. PyTorch's smallest
    change `eps` is 0 here. With `threshold_mode="rel"`, values below 0 are compared as those above, where PyTorch takes a
    slightly worse one for better.

    Args:
      lr: learning rate of the optimizer.
      mode: `"min"` or `"max"`.
      factor: what the learning rate is multiplied by, in (0, 1).
      patience: one failure more reduces the learning rate, an integer >= 0.
      threshold, threshold_mode: the improvement that is needed.
      cooldown: checks after a reduction that cannot count as failures.
      min_lr: the smallest learning rate, at most `lr`.

    Returns: a transformation whose `update` needs `value`.

    >>> tx = optax.chain(optax.sgd(0.1), ReduceLROnPlateau(0.1, patience=0, factor=0.5))
    >>> state = tx.init(jnp.zeros(()))
    >>> for loss in (1.0, 1.0):
    ...     update, state = tx.update(jnp.ones(()), state, value=loss)
    >>> print(update)
    -0.05
    """
    return plateau("ReduceLROnPlateau", lr, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr)
