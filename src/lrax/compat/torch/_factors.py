"""PyTorch's schedulers that multiply the rate, and those that go somewhere and stay."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Many
from typing import Annotated, Any

import numpy as np

from lrax.compat._arguments import KNOWN, Factor, KnownDelay, Share, checked
from lrax.compat._parts import exponential, step_decay
from lrax.fields._given import Positive, Rate, Steps
from lrax.fields._rules import Choice, Rule
from lrax.schedules._base import CallableRule, Function, Schedule
from lrax.schedules._combinators import Scale, Sequence
from lrax.schedules._decays import Constant, MultiStep
from lrax.schedules._phases import Cosine, Hold, Linear, Polynomial
from lrax.schedules._tables import PiecewiseConstant

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
    at = sorted(Counter(MILESTONES.convert("MultiStepLR", "milestones", list(milestones)).tolist()).items())
    if all(times == 1 for _, times in at):
        return MultiStep(lr, gamma, [count for count, _ in at])
    drops = [sum(times for _, times in at[:i]) for i in range(len(at) + 1)]
    return PiecewiseConstant([lr * gamma**drop for drop in drops], [count for count, _ in at])


@checked
def ConstantLR(lr: Rate, factor: Factor = 1 / 3, total_iters: KnownDelay = 5) -> Schedule:
    """The rate times `factor` for `total_iters` updates, and then the rate itself.

    With `total_iters=0` PyTorch never takes `factor` back, and neither does this. (As a later part of a `SequentialLR` PyTorch
    then uses `lr` itself; give `lrax.Constant(lr)` there.)

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
