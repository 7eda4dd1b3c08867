"""PyTorch's schedulers that are made of others."""

from collections.abc import Sequence as Many
from typing import Any

from lrax.compat._arguments import checked
from lrax.compat._parts import join
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Rate
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Product, Scale


@checked
def SequentialLR(schedulers: Many[Any], milestones: Many[Any]) -> Schedule:
    """One schedule after the other, each from its own count 0, changing at the milestones.

    Args:
      schedulers: schedules, or callables `count -> rate`.
      milestones: counts in rising order, one less than there are schedules; traced ones are taken to rise.

    Raises: ValueError if `milestones` is unsorted or of another length.

    >>> from lrax.compat.torch import ConstantLR, ExponentialLR
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

    >>> from lrax.compat.torch import ConstantLR, StepLR
    >>> print(ChainedScheduler(2.0, [ConstantLR(2.0, 0.5, 2), StepLR(2.0, 3, 0.1)])(jnp.arange(4)))
    [1.  1.  2.  0.2]
    """
    if not schedulers:
        raise argument_error(ValueError, "ChainedScheduler", "schedulers", "at least one schedule", schedulers)
    if is_concrete(lr) and lr == 0:
        raise argument_error(
            ValueError, "ChainedScheduler", "lr", "not 0", lr, "give the rate that the schedules were made with"
        )
    first, *others = schedulers
    return Product(first, *(Scale(other, 1 / lr) for other in others)) if others else first
