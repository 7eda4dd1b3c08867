"""PyTorch's plateau rule, which timm and transformers wrap, as lrax has it."""

from typing import Any, Literal

import numpy as np
import optax

from lrax.fields._errors import argument_error, choice, is_concrete
from lrax.fields._types import DELAY, POSITIVE, RATE
from lrax.optimizers._plateau import reduce_on_plateau


def plateau(
    caller: str,
    lr: Any,
    mode: Literal["min", "max"],
    factor: Any,
    patience: Any,
    threshold: Any,
    threshold_mode: str,
    cooldown: Any,
    min_lr: Any,
) -> optax.GradientTransformationExtraArgs:
    """`lrax.reduce_on_plateau` with PyTorch's arguments: it waits for one failure more than `patience`."""
    relative, absolute = tolerances(caller, threshold, threshold_mode)
    return reduce_on_plateau(
        factor,
        DELAY.convert(caller, "patience", patience) + np.int32(1),
        mode=mode,
        rtol=relative,
        atol=absolute,
        cooldown=cooldown,
        min_scale=least(caller, lr, min_lr),
    )


def tolerances(caller: str, threshold: Any, threshold_mode: str) -> tuple[Any, Any]:
    """The relative and the absolute improvement that is needed."""
    relative = choice(caller, "threshold_mode", threshold_mode, ("rel", "abs")) == "rel"
    return (threshold, 0.0) if relative else (0.0, threshold)


def least(caller: str, lr: Any, min_lr: Any) -> Any:
    """A floor of the rate as one of the scale."""
    lr, min_lr = POSITIVE.convert(caller, "lr", lr), RATE.convert(caller, "min_lr", min_lr)
    if is_concrete(lr) and is_concrete(min_lr) and np.any(np.asarray(min_lr) > np.asarray(lr)):
        raise argument_error(ValueError, caller, "min_lr", f"at most `lr` ({lr})", min_lr, "lower it")
    return min_lr / lr
