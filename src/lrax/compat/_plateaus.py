"""PyTorch's plateau rule, which timm and transformers wrap, as lrax has it."""

from typing import Any, Literal

import numpy as np
import optax

from lrax.fields._known import is_known
from lrax.fields._types import DELAY, POSITIVE, RATE
from lrax.fields._words import choice, complain
from lrax.optimizers._plateau import reduce_on_plateau


def plateau(
    owner: str,
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
    relative, absolute = tolerances(owner, threshold, threshold_mode)
    return reduce_on_plateau(
        factor,
        DELAY.convert(owner, "patience", patience) + np.int32(1),
        mode=mode,
        rtol=relative,
        atol=absolute,
        cooldown=cooldown,
        min_scale=least(owner, lr, min_lr),
    )


def tolerances(owner: str, threshold: Any, threshold_mode: str) -> tuple[Any, Any]:
    """The relative and the absolute improvement that is needed."""
    relative = choice(owner, "threshold_mode", threshold_mode, ("rel", "abs")) == "rel"
    return (threshold, 0.0) if relative else (0.0, threshold)


def least(owner: str, lr: Any, min_lr: Any) -> Any:
    """A floor of the rate as one of the scale."""
    lr, min_lr = POSITIVE.convert(owner, "lr", lr), RATE.convert(owner, "min_lr", min_lr)
    if is_known(lr) and is_known(min_lr) and np.any(np.asarray(min_lr) > np.asarray(lr)):
        raise complain(ValueError, owner, "min_lr", f"at most `lr` ({lr})", min_lr, "lower it")
    return min_lr / lr
