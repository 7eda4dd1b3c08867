"""timm's schedulers that drop, at counts or by a loss."""

import itertools
from collections.abc import Sequence as Many
from typing import Annotated, Any, Literal

import optax

from lrax.compat._arguments import KNOWN, KnownDelay, checked, fitted
from lrax.compat._parts import exponential, step_decay
from lrax.compat._plateaus import plateau
from lrax.compat.timm._around import Around, NoiseRange
from lrax.compat.torch import MultiStepLR
from lrax.fields._errors import argument_error
from lrax.fields._given import Offset, Positive, Rate
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Stretch


@checked
def StepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Positive, KNOWN],
    decay_rate: Positive = 1.0,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the rate by `decay_rate` every `decay_t` updates.

    Args:
      lr: the rate of the optimizer.
      decay_t: updates between changes, > 0; need not be whole.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, warmup_prefix: see `CosineLRScheduler`; mind the default of the last.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range.

    >>> print(StepLRScheduler(1.0, decay_t=2.5, decay_rate=0.5)(jnp.array([2, 3, 4, 5])))
    [1.   0.5  0.5  0.25]
    """
    whole = decay_t == int(decay_t)
    falls = step_decay(lr, decay_rate, int(decay_t)) if whole else Stretch(exponential(lr, decay_rate), decay_t)
    return Around(
        "StepLRScheduler",
        lr,
        warmup_t,
        warmup_lr_init,
        warmup_prefix,
        noise_range_t,
        noise_pct,
        noise_std,
        noise_seed,
    )(falls)


@checked
def MultiStepLRScheduler(
    lr: Rate,
    decay_t: Annotated[Many[int], KNOWN],
    decay_rate: Positive = 1.0,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    warmup_prefix: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Multiplies the rate by `decay_rate` one update before each milestone.

    Args:
      lr: the rate of the optimizer.
      decay_t: the milestones, rising.
      decay_rate: factor, > 0.
      warmup_t, warmup_lr_init, warmup_prefix: see `CosineLRScheduler`; mind the default of the last.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if the milestones are unsorted or a number is out of range.

    >>> print(MultiStepLRScheduler(1.0, decay_t=[2, 4], decay_rate=0.5)(jnp.arange(5)))
    [1.   0.5  0.5  0.25 0.25]
    """
    if any(after < before for before, after in itertools.pairwise(decay_t)):
        raise argument_error(ValueError, "MultiStepLRScheduler", "decay_t", "counts in rising order", decay_t, "sort them")
    first = 0 if warmup_t else 1  # at count 0 of a run timm has not called its formula yet
    falls = MultiStepLR(lr, [max(at - 1, first) for at in decay_t], decay_rate)
    return Around(
        "MultiStepLRScheduler",
        lr,
        warmup_t,
        warmup_lr_init,
        warmup_prefix,
        noise_range_t,
        noise_pct,
        noise_std,
        noise_seed,
    )(falls)


@fitted
def PlateauLRScheduler(
    lr: Any,
    decay_rate: Any = 0.1,
    patience_t: Any = 10,
    threshold: Any = 1e-4,
    cooldown_t: Any = 0,
    lr_min: Any = 0.0,
    mode: Literal["min", "max"] = "max",
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau` under timm's names; mind the default of `mode`.

    For its warm-up give the optimizer an `lrax.Warmup`, for its noise a product with `lrax.schedules.Noise`.

    Args:
      lr: the rate of the optimizer.
      decay_rate, patience_t, threshold, cooldown_t, lr_min, mode: see `lrax.compat.torch.ReduceLROnPlateau`.

    Returns: a transformation whose `update` needs `value`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> tx = optax.chain(optax.sgd(0.1), PlateauLRScheduler(0.1, patience_t=3))
    """
    return plateau("PlateauLRScheduler", lr, mode, decay_rate, patience_t, threshold, "rel", cooldown_t, lr_min)
