"""What one lane of a range test measured, and what rules read off it: plain NumPy, so nothing is compiled."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from lrax.fields._errors import argument_error, choice
from lrax.finder._arrays import FEWEST
from lrax.finder._fall import is_flat
from lrax.finder._smooth import smooth
from lrax.training._core import Reason, Run

SuggestionRule = Callable[[Any, Any], Any]
"""`(rates, losses) -> rate`, NaN for none: `lrax.finder.fall`, `lrax.finder.steepest`, ... or your own, in NumPy or jnp."""

SMOOTH = 0.2
"""Half the width, in decades, of the window under which curves are drawn and rules see them."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """What one lane of a range test measured.

    Attributes:
      rates: the rate of each update that was made, float32 of shape (updates,).
      losses: the loss of each update, measured on its batch before its rate acted, float32 of shape (updates,). The last one is
        NaN or infinite where that ended the test.
      smoothed: the losses as the stop rule saw them, float32 of shape (updates,).
      reason: why this lane ended.
      evaluations: where it was evaluated, float32 of shape (evaluations, 2): the rate of the update before, and the metric.
      mode: `"min"` if a smaller metric is better, `"max"` if a larger one is.
    """

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    smoothed: np.ndarray[Any, Any]
    reason: Reason
    evaluations: np.ndarray[Any, Any] = dataclasses.field(default_factory=lambda: np.zeros((0, 2), np.float32))
    mode: str = "min"

    def __repr__(self) -> str:
        return f"<Curve: {len(self.rates)} updates, {self.reason}>"

    def paired(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Each rate with the loss after its update, which is that of the next one; shape (updates - 1,) each."""
        return self.rates[:-1], self.losses[1:]

    def evaluated(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The rates after which it was evaluated, and the metrics, shape (evaluations,) each."""
        rates, metrics = self.evaluations.T
        return rates, metrics

    def extended(self, of: str = "losses") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The pairs, and where the loss blew up a decade of blow-ups behind them: rates whose losses are NaN.

        `of="evaluations"` pairs rates and metrics, with the other sign where a larger one is better.
        """
        rates, losses = self.paired() if of == "losses" else self.evaluated()
        losses = -losses if of == "evaluations" and self.mode == "max" else losses
        if self.reason not in (Reason.DIVERGED, Reason.NON_FINITE) or len(rates) < 2:
            return rates, losses
        factor = max(rates[-1] / rates[-2], 1.01)
        more = rates[-1] * factor ** np.arange(1, 1 + math.ceil(math.log(10) / math.log(factor)))
        blown_up = np.full(len(more), np.nan, np.float32)
        return np.concatenate([rates, more.astype(np.float32)]), np.concatenate([losses, blown_up])

    def smooth(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The pairs with `lrax.finder.smooth` over the losses."""
        rates, losses = self.paired()
        return rates, smooth(rates, losses, SMOOTH)

    def supports_none(self, of: str = "losses") -> bool:
        """Whether it is too short or too flat for any suggestion."""
        points = len(self.rates) if of == "losses" else len(self.evaluations)
        return points <= FEWEST or bool(is_flat(*self.extended(of)))

    def suggest(
        self, rule: SuggestionRule, width: float = SMOOTH, of: Literal["losses", "evaluations"] = "losses"
    ) -> float | None:
        """The rate that `rule` reads off this curve, or None where the curve is too short or flat for any.

        Args:
          rule: `(rates, losses) -> rate`; it is given NumPy arrays, float32 of shape (n,), with NaN losses where the loss was
            not finite, and for a decade behind the end of a curve that blew up.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.
          of: what is read: the losses, or the `"evaluations"`, with the other sign where a larger metric is better.
        """
        choice("suggest", "of", of, ("losses", "evaluations"))
        if self.supports_none(of):
            return None
        rates, losses = self.extended(of)
        read = rule(rates, smooth(rates, losses, width) if width else losses)
        if read is not None and np.shape(read) != ():
            needs = "a function (rates, losses) -> one rate, or NaN or None for none"
            raise argument_error(TypeError, "suggest", "rule", needs, f"shape {np.shape(read)}")
        rate = math.nan if read is None else float(read)
        return rate if np.isfinite(rate) and rate > 0 else None


def curve_of(run: Run, otherwise: Reason, mode: str = "min") -> Curve:
    """The curve of a test, and why it ended: `otherwise` if it has not stopped."""
    rates, losses, smoothed = run.history.T.copy()
    if run.is_nan and len(losses):
        losses[-1] = np.nan  # which the engine counts as infinite
    counts, metrics = run.evaluations.T
    evaluations = np.stack([rates[counts.astype(np.int64) - 1], metrics], axis=1)
    return Curve(rates, losses, smoothed, run.why or otherwise, evaluations, mode)
