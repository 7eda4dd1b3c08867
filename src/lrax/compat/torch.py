"""PyTorch's `torch.optim.lr_scheduler`, number for number (PyTorch 2.13).

In place of the optimizer each function takes its learning rate, `lr`; `last_epoch` is left out (to begin later, use
`lrax.Shift`). The rate at `count` is the one of the update before which `scheduler.step()` was called `count` times. PyTorch
calculates most rates from the one before, in Python floats; here each is calculated from the count.

`MultiplicativeLR` is a product over all updates so far, no function of the count: give its closed form to `LambdaLR`.
`ReduceLROnPlateau` depends on the loss. The one-cycle policy and its momentum are in `lrax.compat._torch_one_cycle`.
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Many
from typing import Annotated, Any

import numpy as np

from lrax.compat._arguments import KNOWN, Factor, KnownDelay, Share, checked
from lrax.compat._parts import exponential, join, step_decay
from lrax.compat._torch_one_cycle import OneCycleLR, OneCycleMomentum
from lrax.fields._known import is_known
from lrax.fields._rules import Choice, Rule
from lrax.fields._types import Positive, Rate, Steps
from lrax.fields._words import complain
from lrax.schedules._algebra import Product, Scale, Sum
from lrax.schedules._base import CallableRule, Function, Schedule
from lrax.schedules._combinators import Sequence, Shift, Stretch
from lrax.schedules._cycles import Cycle
from lrax.schedules._decays import Constant, MultiStep
from lrax.schedules._phases import Cosine, Hold, Linear, Polynomial
from lrax.schedules._tables import PiecewiseConstant

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
    "SequentialLR",
    "StepLR",
]

MILESTONES = Rule("a list of counts, none below 0", np.int32, low=0, rank=1)


@checked
def LambdaLR(lr: Rate, lr_lambda: Annotated[Callable[[Any], Any], CallableRule()]) -> Schedule:
    """The rate times a function of the count, which is static under `jit`.

    Args:
      lr: the rate.
      lr_lambda: takes the count (an int32 array) and returns a factor, with `jnp` operations.

    Raises: TypeError if `lr_lambda` is not callable.

    >>> print(LambdaLR(0.1, lambda count: 1 / (1 + count))(3))
    0.025
    """
    return Scale(Function(lr_lambda), lr)


@checked
def StepLR(lr: Rate, step_size: Steps, gamma: Positive = 0.1) -> Schedule:
    """Multiplies the rate by `gamma` every `step_size` updates.

    Args:
      lr: rate of the first `step_size` updates.
      step_size: updates between changes, an integer > 0.
      gamma: factor, > 0.

    Raises: ValueError if a number is out of range.

    >>> print(StepLR(1.0, step_size=30, gamma=0.5)(jnp.array([29, 30, 60])))
    [1.   0.5  0.25]
    """
    return step_decay(lr, gamma, step_size)


@checked
def MultiStepLR(lr: Rate, milestones: Annotated[Many[int], KNOWN], gamma: Positive = 0.1) -> Schedule:
    """Multiplies the rate by `gamma` at each milestone: twice at one that is there twice.

    Args:
      lr: rate before the first milestone.
      milestones: counts, in any order; none if the list is empty.
      gamma: factor, > 0.

    Raises: ValueError if a number is out of range.

    >>> print(MultiStepLR(1.0, milestones=[80, 30, 80], gamma=0.5)(jnp.array([29, 30, 80])))
    [1.    0.5   0.125]
    """
    if not len(milestones):
        return Constant(lr)
    MILESTONES.convert("MultiStepLR", "milestones", list(milestones))
    at = sorted(Counter(milestones).items())
    if all(times == 1 for _, times in at):
        return MultiStep(lr, gamma, [count for count, _ in at])
    drops = [sum(times for _, times in at[:i]) for i in range(len(at) + 1)]
    return PiecewiseConstant([lr * gamma**drop for drop in drops], [count for count, _ in at])


@checked
def ConstantLR(lr: Rate, factor: Factor = 1 / 3, total_iters: KnownDelay = 5) -> Schedule:
    """The rate times `factor` for `total_iters` updates, and then the rate itself.

    With `total_iters=0` PyTorch never takes `factor` back, and neither does this.

    Args:
      lr: rate from count `total_iters` on.
      factor: in (0, 1].
      total_iters: in updates, an integer >= 0.

    Raises: ValueError if a number is out of range.

    >>> print(ConstantLR(1.0, factor=0.5, total_iters=4)(jnp.array([3, 4])))
    [0.5 1. ]
    """
    return Sequence(Hold(lr * factor, total_iters), Constant(lr)) if total_iters else Constant(lr * factor)


@checked
def LinearLR(lr: Rate, start_factor: Factor = 1 / 3, end_factor: Share = 1.0, total_iters: KnownDelay = 5) -> Schedule:
    """The rate times a factor that goes from `start_factor` to `end_factor` in a straight line, and stays there.

    With `total_iters=0` it stays at `start_factor`.

    Args:
      lr: the rate.
      start_factor: factor at count 0, in (0, 1].
      end_factor: factor from count `total_iters` on, in [0, 1].
      total_iters: in updates, an integer >= 0.

    Raises: ValueError if a number is out of range.

    >>> print(LinearLR(1.0, start_factor=0.5, total_iters=4)(jnp.array([0, 2, 4])))
    [0.5  0.75 1.  ]
    """
    return Linear(lr * start_factor, lr * end_factor, total_iters) if total_iters else Constant(lr * start_factor)


@checked
def ExponentialLR(lr: Rate, gamma: Positive) -> Schedule:
    """Multiplies the rate by `gamma` at every update; a `gamma` near 1 keeps the digits of its Python float.

    Args:
      lr: rate at count 0.
      gamma: factor, > 0.

    Raises: ValueError if a number is out of range.

    >>> print(ExponentialLR(1.0, gamma=0.5)(jnp.arange(3)))
    [1.   0.5  0.25]
    """
    return exponential(lr, gamma)


@checked
def PolynomialLR(lr: Rate, total_iters: KnownDelay = 5, power: Positive = 1.0) -> Schedule:
    """Falls to 0 as a power of what is left, and stays there; with `total_iters=0` it never falls.

    Args:
      lr: rate at count 0.
      total_iters: in updates, an integer >= 0.
      power: exponent, > 0.

    Raises: ValueError if a number is out of range.

    >>> print(PolynomialLR(1.0, total_iters=4, power=2.0)(jnp.arange(6)))
    [1.     0.5625 0.25   0.0625 0.     0.    ]
    """
    return Polynomial(lr, 0.0, total_iters, power) if total_iters else Constant(lr)


@checked
def CosineAnnealingLR(lr: Rate, T_max: Steps, eta_min: Rate = 0.0) -> Schedule:
    """Falls along half a cosine to `eta_min` at count `T_max`, and then climbs back to `lr` at `2 * T_max`, for ever.

    Args:
      lr: rate at count 0.
      T_max: in updates, an integer > 0.
      eta_min: rate at count `T_max`.

    Raises: ValueError if a number is out of range.

    >>> print([f"{rate:.2f}" for rate in CosineAnnealingLR(1.0, T_max=2)(jnp.arange(6))])
    ['1.00', '0.50', '0.00', '0.50', '1.00', '0.50']
    """
    return Cycle(Sequence(Cosine(lr, eta_min, T_max), Cosine(eta_min, lr, T_max)))


@checked
def CosineAnnealingWarmRestarts(lr: Rate, T_0: Steps, T_mult: Steps = 1, eta_min: Rate = 0.0) -> Schedule:
    """Falls from `lr` to `eta_min` along half a cosine, again and again, each time `T_mult` times as long.

    Args:
      lr: rate at the start of each cycle.
      T_0: updates of the first cycle, an integer > 0.
      T_mult: an integer > 0.
      eta_min: what each cycle falls to.

    Raises: ValueError if a number is out of range.

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
    scale_fn: Annotated[Callable[[Any], Any] | None, CallableRule()] = None,
    scale_mode: Annotated[str, Choice(("cycle", "iterations"))] = "cycle",
) -> Schedule:
    """Triangles between `base_lr` and `max_lr`, for ever, whose height may shrink.

    The momentum that goes with it is `CyclicLR(base_lr=max_momentum, max_lr=base_momentum, ...)`, all else alike.

    Args:
      base_lr: rate at the start of each cycle.
      max_lr: rate at the peak of the first cycle.
      step_size_up: updates of climbing.
      step_size_down: updates of falling; as many as of climbing if None.
      mode: `"triangular"`, `"triangular2"` (half the height each cycle) or `"exp_range"` (times `gamma` each update).
      gamma: factor of the height.
      scale_fn: factor of the height instead of that of `mode`: a function of the cycle (from 1) or of the count.
      scale_mode: `"cycle"` or `"iterations"`, which of the two.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> print(CyclicLR(1.0, 2.0, step_size_up=2, mode="triangular2")(jnp.arange(8)))
    [1.   1.5  2.   1.5  1.   1.25 1.5  1.25]
    """
    up, down = step_size_up, step_size_down or step_size_up
    if scale_fn is None and mode == "triangular":
        return Cycle(Sequence(Linear(base_lr, max_lr, up), Linear(max_lr, base_lr, down)))
    height = max_lr - base_lr
    triangle = Sequence(Linear(0.0, height, up), Linear(height, 0.0, down))
    if scale_fn is None and mode == "triangular2":
        return Sum(Constant(base_lr), Cycle(triangle, 1, 0.5))
    scale: Schedule = exponential(1.0, gamma) if scale_fn is None else Function(scale_fn)
    if scale_fn is not None and scale_mode == "cycle":
        scale = Stretch(Shift(scale, 1), up + down)
    return Sum(Constant(base_lr), Product(Cycle(triangle), scale))


@checked
def SWALR(
    lr: Rate, swa_lr: Rate, anneal_epochs: KnownDelay = 10, anneal_strategy: Annotated[str, Choice(("cos", "linear"))] = "cos"
) -> Schedule:
    """Goes from `lr` to `swa_lr` and stays there: `torch.optim.swa_utils.SWALR`.

    Args:
      lr: rate at count 0.
      swa_lr: rate from count `anneal_epochs` on.
      anneal_epochs: in updates (or whatever a step is), an integer >= 0.
      anneal_strategy: `"cos"` or `"linear"`.

    Raises: ValueError if a number is out of range.

    >>> print(SWALR(1.0, 0.5, anneal_epochs=4, anneal_strategy="linear")(jnp.array([0, 2, 4])))
    [1.   0.75 0.5 ]
    """
    phase = Cosine if anneal_strategy == "cos" else Linear
    return phase(lr, swa_lr, anneal_epochs) if anneal_epochs else Constant(swa_lr)


def SequentialLR(schedulers: Many[Any], milestones: Many[int]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the milestones.

    Args:
      schedulers: schedules, or callables `count -> rate`.
      milestones: counts in rising order, one less than there are schedules.

    Raises: ValueError if `milestones` is unsorted or of another length.

    >>> print(SequentialLR([ConstantLR(1.0, 0.5, 9), ExponentialLR(1.0, 0.5)], milestones=[2])(jnp.arange(5)))
    [0.5  0.5  1.   0.5  0.25]
    """
    return join("SequentialLR", "milestones", schedulers, milestones)


@checked
def ChainedScheduler(lr: Rate, schedulers: Many[Any]) -> Schedule:
    """Several schedules at once: the rate times each one's factor.

    That is what PyTorch does with the kinds that multiply the rate before: `StepLR`, `MultiStepLR`, `ConstantLR`, `LinearLR`,
    `ExponentialLR`, `PolynomialLR`, and `CosineAnnealingLR` with `eta_min=0` up to `T_max`.

    Args:
      lr: the rate of the optimizer, which each schedule was made with; not 0.
      schedulers: schedules, at least one.

    Raises: ValueError if `schedulers` is empty or `lr` is 0.

    >>> print(ChainedScheduler(2.0, [ConstantLR(2.0, 0.5, 2), StepLR(2.0, 3, 0.1)])(jnp.arange(4)))
    [1.  1.  2.  0.2]
    """
    if not schedulers:
        raise complain(ValueError, "ChainedScheduler", "schedulers", "at least one schedule", schedulers)
    if is_known(lr) and lr == 0:
        raise complain(ValueError, "ChainedScheduler", "lr", "not 0", lr, "give the rate that the schedules were made with")
    first, *others = schedulers
    return Product(first, *(Scale(other, 1 / lr) for other in others)) if others else first
