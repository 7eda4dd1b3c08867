"""What a range test found."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._engine import Carry
from lrax._reason import RUNNING, Reason
from lrax.finder._suggest import FEWEST, is_flat, smooth, steepest

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The outcome of a range test.

    Attributes:
      rates: the rate of each update that was made, float32 of shape (updates,).
      losses: the loss of each update, measured on its batch before its rate acted, float32 of shape (updates,).
      smoothed: the smoothed losses, float32 of shape (updates,).
      updates: how many updates were made.
      reason: why the test ended, or why it suggests nothing; `reason.remedy` says what to do.
      suggestion: a rate, or None.
    """

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    smoothed: np.ndarray[Any, Any]
    updates: int
    reason: Reason
    suggestion: float | None

    def __str__(self) -> str:
        rate = "no suggestion" if self.suggestion is None else f"suggested rate {self.suggestion:.3g}"
        return f"{rate} after {self.updates} updates ({self.reason}: {self.reason.remedy})"

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws loss over rate on logarithmic axes, with the suggestion marked. Needs matplotlib.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax._plot import plot_found

        return plot_found(self, axes)


def result(carry: Carry) -> Found:
    """What a test that stands at `carry` has found; one that has not ended was interrupted."""
    rates, losses, smoothed, count, code = jax.device_get(
        (carry.rates, carry.losses, carry.smooths, carry.updates, carry.reason)
    )
    updates = int(count)
    reason = Reason.INTERRUPTED if code == RUNNING else list(Reason)[code]
    suggestion = None
    if updates < FEWEST:
        reason = Reason.TOO_SHORT if reason is Reason.COMPLETED else reason
    elif bool(_is_flat(losses)):
        reason = Reason.FLAT if reason is Reason.COMPLETED else reason
    else:
        rate = float(_suggest(rates, losses))
        suggestion = None if np.isnan(rate) else rate
    return Found(rates[:updates], losses[:updates], smoothed[:updates], updates, reason, suggestion)


_is_flat = jax.jit(is_flat)
_suggest = jax.jit(lambda rates, losses: steepest(rates, smooth(rates, losses)))
