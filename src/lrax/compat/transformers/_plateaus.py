"""Transformers' schedules that watch a loss: transformations, not functions of the count."""

from typing import Any, Literal

import numpy as np
import optax

from lrax.compat._arguments import fitted
from lrax.compat._plateaus import least, plateau, tolerances
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._types import DELAY, POSITIVE
from lrax.optimizers._plateau import greedy


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
        mode=mode,
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
