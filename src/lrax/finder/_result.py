"""What a range test found: curves, why it ended, and what they suggest."""

import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._words import complain
from lrax.finder._fall import is_flat
from lrax.finder._smooth import smooth
from lrax.finder._suggest import FEWEST
from lrax.training._engine import Lane
from lrax.training._reason import RUNNING, Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SuggestionRule = Callable[[Any, Any], Any]
"""`(rates, losses) -> rate`, in jnp, NaN for none: `lrax.finder.fall`, `lrax.finder.steepest`, ... or your own."""

SMOOTH = 0.2
"""Half the width, in decades, of the window under which curves are drawn and rules see them."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """What one lane of a range test measured.

    Attributes:
      rates: the rate of each update that was made, float32 of shape (updates,).
      losses: the loss of each update, measured on its batch before its rate acted, float32 of shape (updates,).
      smoothed: the losses as the stop rule saw them, float32 of shape (updates,).
      reason: why this lane ended.
    """

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    smoothed: np.ndarray[Any, Any]
    reason: Reason

    def __repr__(self) -> str:
        return f"<Curve: {len(self.rates)} updates, {self.reason}>"

    def paired(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Each rate with the loss after its update, which is that of the next one; shape (updates - 1,) each."""
        return self.rates[:-1], self.losses[1:]

    def extended(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The pairs, where the loss blew up with a decade of blow-ups behind them, padded with NaN to a size that recurs."""
        rates, losses = self.paired()
        if self.reason in (Reason.DIVERGED, Reason.NON_FINITE) and len(rates) > 1:
            factor = max(rates[-1] / rates[-2], 1.01)
            more = rates[-1] * factor ** np.arange(1, 1 + math.ceil(math.log(10) / math.log(factor)))
            rates = np.concatenate([rates, more.astype(np.float32)])
        size = max(-(-len(rates) // 64) * 64, 320)  # so that few programs are compiled: one for the default's ramps
        padding = np.full(size - len(losses), np.nan, np.float32)
        return np.concatenate([rates, padding[: size - len(rates)]]), np.concatenate([losses, padding])

    def smooth(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The pairs with `lrax.finder.smooth` over the losses."""
        rates, losses = self.paired()
        return rates, np.asarray(smooth(rates, losses, SMOOTH)) if len(rates) else losses

    def suggest(self, rule: SuggestionRule, width: float = SMOOTH) -> float | None:
        """The rate that `rule` reads off this curve, or None where the curve is too short or flat for any.

        Args:
          rule: `(rates, losses) -> rate`.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.
        """
        rates, losses = self.extended()
        if len(self.rates) <= FEWEST:
            return None
        read = unless_flat(rule)(rates, losses, _smooth(rates, losses, width) if width else losses)
        if read is not None and np.shape(read) != ():
            needs = "a function (rates, losses) -> one rate, or NaN or None for none"
            raise complain(TypeError, "suggest", "rule", needs, f"shape {np.shape(read)}")
        rate = math.nan if read is None else float(read)
        return rate if np.isfinite(rate) and rate > 0 else None


def unless_flat(rule: SuggestionRule) -> Callable[[Any, Any, Any], Any]:
    """`(rates, losses, smoothed) -> rate`, NaN for a flat curve; rules of lrax as one program, those of others as they are."""
    if getattr(rule, "__module__", "").startswith("lrax."):
        return _compiled(rule)
    return lambda rates, losses, smoothed: math.nan if bool(_is_flat(rates, losses)) else rule(rates, smoothed)


@functools.cache
def _compiled(rule: SuggestionRule) -> Callable[[Any, Any, Any], Any]:
    return jax.jit(lambda rates, losses, smoothed: jnp.where(is_flat(rates, losses), jnp.nan, rule(rates, smoothed)))


_is_flat, _smooth = jax.jit(is_flat), jax.jit(smooth)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found:
    """The outcome of a range test.

    Attributes:
      curves: a curve for each seed.
      reason: why the test ended, or why it suggests nothing; `reason.remedy` says what to do.
      suggestion: a rate, or None where the curves do not support one.
      band: the rates between which the suggestions of the seeds lie, lowest and highest; None for a single seed.
      fast: the curves of the fast ramps that showed where to look, where there were two.
      refined: the short runs that the suggestion was checked by, if any were asked for.
    """

    curves: tuple[Curve, ...]
    reason: Reason
    suggestion: float | None
    band: tuple[float, float] | None = None
    fast: tuple[Curve, ...] = ()
    refined: "Refined | None" = None

    @property
    def constant(self) -> float | None:
        """The suggestion for a rate that stays: 0.8 times `suggestion`, which is between the two."""
        return None if self.suggestion is None else 0.8 * self.suggestion

    @property
    def peak(self) -> float | None:
        """The suggestion for the peak of a schedule that falls, such as `warmup_cosine`: 1.25 times `suggestion`."""
        return None if self.suggestion is None else 1.25 * self.suggestion

    @property
    def rates(self) -> np.ndarray[Any, Any]:
        """The rate of each update of the longest curve, float32 of shape (updates,)."""
        return self._longest().rates

    @property
    def losses(self) -> np.ndarray[Any, Any]:
        """The loss of each update, measured before its rate acted: the median over seeds, float32 of shape (updates,)."""
        return self._median("losses")

    @property
    def smoothed(self) -> np.ndarray[Any, Any]:
        """The smoothed loss of each update: the median over seeds, float32 of shape (updates,)."""
        return self._median("smoothed")

    @property
    def updates(self) -> int:
        """How many updates the longest curve has."""
        return len(self.rates)

    @property
    def spent(self) -> int:
        """How many updates were made in all, over all seeds and the short runs that refined the suggestion."""
        return sum(len(curve.rates) for curve in (*self.fast, *self.curves)) + (self.refined.spent if self.refined else 0)

    def suggest(self, rule: SuggestionRule, width: float = SMOOTH) -> float | None:
        """What another rule suggests: the median over seeds, or None where most of the curves do not support one.

        Where there were two ramps the rule is given the fast one, which spans the whole range.

        Args:
          rule: `(rates, losses) -> rate`, such as `lrax.finder.steepest`.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.
        """
        return combine([curve.suggest(rule, width) for curve in self.fast or self.curves])[0]

    def __repr__(self) -> str:
        return f"<Found: {self}>"

    def __str__(self) -> str:
        rate = "no suggestion" if self.suggestion is None else f"suggested rate {self.suggestion:.3g}"
        band = f" ({self.band[0]:.2g} to {self.band[1]:.2g} over {len(self.curves)} seeds)" if self.band else ""
        checked = f", checked by {len(self.refined.rates)} short runs" if self.refined else ""
        if self.refined and self.band and self.suggestion and not self.band[0] <= self.suggestion <= self.band[1]:
            checked += ", which went beyond what the seeds span,"
        ended = sum(curve.reason is Reason.DATA_ENDED for curve in (*self.curves, *self.fast))
        short = f"; the data ended in {ended} of the tests" if ended and self.reason is not Reason.DATA_ENDED else ""
        return f"{rate}{band}{checked} after {self.spent} updates ({self.reason}: {self.reason.remedy}{short})"

    def plot(self, axes: "Axes | None" = None, rules: Sequence[SuggestionRule] = ()) -> "Axes":
        """Draws loss over rate on logarithmic axes, with the suggestion, its band and other rules' marks. Needs matplotlib.

        Args:
          axes: where to draw; by default new axes.
          rules: other suggestion rules to mark, such as `(lrax.finder.steepest, lrax.finder.valley)`.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.finder._picture import plot_found

        return plot_found(self, axes, rules)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to one plain JSON file, whole or not at all.

        Args:
          path: the file; one that exists is replaced.
        """
        from lrax.finder._file import write

        write(self, pathlib.Path(path))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Found":
        """Reads a file that `save` wrote: the same numbers, which can be suggested from and plotted again.

        Raises: ValueError if the file is something else, or of a newer format.
        """
        from lrax.finder._file import read

        return read(pathlib.Path(path))

    def _longest(self) -> Curve:
        return max(self.curves, key=lambda curve: len(curve.rates))

    def _median(self, field: str) -> np.ndarray[Any, Any]:
        if len(self.curves) == 1:
            return getattr(self.curves[0], field)
        padded = np.full((len(self.curves), self.updates), np.nan, np.float32)
        for row, curve in zip(padded, self.curves, strict=True):
            row[: len(curve.rates)] = getattr(curve, field)
        return np.median(np.where(np.isnan(padded), np.inf, padded), axis=0)  # what has diverged counts as high


@dataclasses.dataclass(frozen=True, eq=False)
class Refined:
    """Short runs at rates around a suggestion, and how they ended.

    Attributes:
      rates: the rates that were tried, rising, float32 of shape (runs,).
      losses: a robust end loss of each, float32 of shape (runs,); infinite where a run diverged.
      spent: how many updates the runs took.
    """

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    spent: int


def curve_of(lane: Lane, otherwise: Reason) -> Curve:
    """The curve of a test that stands at `lane`, and why it ended: `otherwise` if it has not stopped."""
    code = int(lane.carry.reason)
    rates, losses, smoothed = lane.rows.T.copy()
    return Curve(rates, losses, smoothed, otherwise if code == RUNNING else list(Reason)[code])


def found_in(curves: Sequence[Curve], suggestions: Sequence[float | None], fast: Sequence[Curve] = ()) -> Found:
    """What the curves of one or several seeds, and what each suggests, amount to."""
    suggestion, band = combine(suggestions)
    reasons = [curve.reason for curve in curves]
    reason = max(reasons, key=reasons.count)
    if suggestion is None and reason is Reason.COMPLETED:
        shortest = min(len(curve.rates) for curve in curves)
        reason = Reason.TOO_SHORT if shortest <= FEWEST else Reason.FLAT
    return Found(tuple(curves), reason, suggestion, band, tuple(fast))


def combine(suggestions: Sequence[float | None]) -> tuple[float | None, tuple[float, float] | None]:
    """The median of what each seed suggests and the band they span; None if fewer than half of them suggest anything."""
    rates = [rate for rate in suggestions if rate is not None]
    if 2 * len(rates) < len(suggestions) or not rates:
        return None, None
    band = (min(rates), max(rates)) if len(suggestions) > 1 else None
    return float(np.exp(np.median(np.log(rates)))), band
