"""PyTorch's rule that watches a loss: a transformation, not a function of the count."""

from typing import Any, Literal

import optax

from lrax.compat._arguments import fitted
from lrax.compat._plateaus import plateau


@fitted
def ReduceLROnPlateau(
    lr: Any,
    mode: Literal["min", "max"] = "min",
    factor: Any = 0.1,
    patience: Any = 10,
    threshold: Any = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Any = 0,
    min_lr: Any = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's `ReduceLROnPlateau`, as `lrax.reduce_on_plateau` after an optimizer at the rate `lr`.

    Call `update` as often as PyTorch's `step` would be called, or use `lrax.reduce_on_plateau(every=...)`. PyTorch's smallest
    change `eps` is 0 here, and with `threshold_mode="rel"` a value below 0 is compared as one above, where PyTorch
    takes a slightly worse one for better.

    Args:
      lr: the rate of the optimizer.
      mode: `"min"` or `"max"`.
      factor: what the rate is multiplied by, in (0, 1).
      patience: one failure more lowers the rate, an integer >= 0.
      threshold, threshold_mode: the improvement that is needed.
      cooldown: judgements after a lowering that cannot count as failures.
      min_lr: the rate never falls below this; at most `lr`.

    Returns: a transformation whose `update` needs `value`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> tx = optax.chain(optax.sgd(0.1), ReduceLROnPlateau(0.1, patience=0, factor=0.5))
    >>> state = tx.init(jnp.zeros(()))
    >>> for loss in (1.0, 1.0):
    ...     update, state = tx.update(jnp.ones(()), state, value=loss)
    >>> print(update)
    -0.05
    """
    return plateau("ReduceLROnPlateau", lr, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr)
