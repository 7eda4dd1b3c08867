"""What a range test found: curves, why it ended, and what they suggest."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import inline
from lrax.fields._words import complain
from lrax.finder._arrays import FEWEST
from lrax.finder._curve import SMOOTH, Curve, SuggestionRule
from lrax.finder._explain import explain, plural
from lrax.finder._fall import Crossed, crossed_once, crossed_twice, fall, fall_twice
from lrax.finder._named import check_rule, name_of
from lrax.training._reason import Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Found:
    """The outcome of a range test.

    Attributes:
      curves: a curve for each seed.
      reason: why the test ended, or why it suggests nothing; `explanation` says it with numbers, and what to do.
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
        """The loss of each update, measured before its rate acted: the median over seeds, float32 of shape (updates,).

        A second ramp begins where the first one says, so seeds may differ in their rates: `curves` has each with its own.
        """
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

    @property
    def explanation(self) -> str:
        """Why the test ended, with the numbers of its curve, and what to do where there is something to do."""
        ended = sum(curve.reason is Reason.DATA_ENDED for curve in (*self.curves, *self.fast))
        short = f"; the data ended in {ended} of the tests" if ended and self.reason is not Reason.DATA_ENDED else ""
        checked = self.refined is not None
        return explain(self.reason, self.suggestion, self.curves, self.fast, checked=checked) + short

    def suggest(self, rule: SuggestionRule, width: float = SMOOTH) -> float | None:
        """What another rule suggests: the median over seeds, or None where most of the curves do not support one.

        Where there were two ramps the rule is given the fast one, which spans the whole range.

        Args:
          rule: `(rates, losses) -> rate`, such as `lrax.finder.steepest`.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.

        Raises: TypeError if `rule` is no function of two arguments or returns something else than one rate.
        """
        check_rule("Found.suggest", rule)
        return combine([curve.suggest(rule, width) for curve in self.fast or self.curves])[0]

    def __repr__(self) -> str:
        return f"<Found: {self}>"

    def __str__(self) -> str:
        rate = "no suggestion" if self.suggestion is None else f"suggested rate {self.suggestion:.3g}"
        band = f" ({self.band[0]:.2g} to {self.band[1]:.2g} over {len(self.curves)} seeds)" if self.band else ""
        checked = f", checked by {len(self.refined.rates)} short runs" if self.refined else ""
        if self.refined and self.band and self.suggestion and not self.band[0] <= self.suggestion <= self.band[1]:
            checked += ", which went beyond what the seeds span,"
        return f"{rate}{band}{checked} after {plural(self.spent, 'update')} ({self.reason}: {self.explanation})"

    def _repr_html_(self) -> str:
        return inline(str(self), self.plot)

    def plot(self, axes: "Axes | None" = None, rules: Sequence[SuggestionRule] = ()) -> "Axes":
        """Draws loss over rate, with the suggestion, what it was read from, its band and other rules' marks. Needs matplotlib.

        Dots are losses, and the line is their mean over the rates around; where the loss blows up the line is the losses
        themselves. What lies above the axes, or is not finite, is marked at their upper edge.

        Args:
          axes: where to draw; by default new axes.
          rules: other suggestion rules to mark, such as `(lrax.finder.steepest, lrax.finder.valley)`.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; TypeError if `rules` are not rules.
        """
        from lrax.finder._picture import Marks, plot_test

        if callable(rules):
            raise complain(TypeError, "Found.plot", "rules", "a sequence of rules", rules, "give (lrax.finder.steepest,)")
        for rule in rules:
            check_rule("Found.plot", rule)
        others = [(name_of(rule), self.suggest(rule)) for rule in rules]
        return plot_test(self.curves, self.fast, Marks(self.suggestion, self.band, self._read_from(), others), str(self), axes)

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

        Raises: OSError if there is no such file; ValueError, which names the file and its part, if it is something else, of a
          newer format, or damaged.
        """
        from lrax.finder._file import read

        plain = read(pathlib.Path(path))
        refined = plain.pop("refined")
        return Found(**plain, refined=None if refined is None else Refined(**refined))

    def _read_from(self) -> list[Crossed]:
        """Where each curve has made the shares of its fall that the suggestion was read from; empty if another rule read it."""
        if self.fast and len(self.fast) == len(self.curves):
            pairs = [(one.extended(), two.extended()) for one, two in zip(self.fast, self.curves, strict=True)]
            read, crossed = [fall_twice(*pair) for pair in pairs], [crossed_twice(*pair) for pair in pairs]
        else:
            read = [fall(*curve.extended()) for curve in self.curves]
            crossed = [crossed_once(*curve.extended()) for curve in self.curves]
        known = [float(rate) if np.isfinite(rate) else None for rate in read]
        median = combine(known)[0]
        if median is None or self.suggestion is None or not np.isclose(median, self.suggestion, rtol=1e-3):
            return []
        return [its for its, rate in zip(crossed, known, strict=True) if rate is not None]

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


def found_in(curves: Sequence[Curve], suggestions: Sequence[float | None], fast: Sequence[Curve] = ()) -> Found:
    """What the curves of one or several seeds, and what each suggests, amount to."""
    suggestion, band = combine(suggestions)
    reasons = [curve.reason for curve in curves]
    reason = max(reasons, key=reasons.count)
    if suggestion is None and reason is Reason.COMPLETED:
        flat = sum(curve.supports_none() for curve in curves)
        if min(len(curve.rates) for curve in curves) <= FEWEST:
            reason = Reason.TOO_SHORT
        elif fast or 2 * flat >= len(curves):  # else the curve falls, and the rule read nothing off it
            reason = Reason.FLAT
    return Found(tuple(curves), reason, suggestion, band, tuple(fast))


def combine(suggestions: Sequence[float | None]) -> tuple[float | None, tuple[float, float] | None]:
    """The median of what each seed suggests and the band they span; None if fewer than half of them suggest anything."""
    rates = [rate for rate in suggestions if rate is not None]
    if 2 * len(rates) < len(suggestions) or not rates:
        return None, None
    band = (min(rates), max(rates)) if len(suggestions) > 1 else None
    return float(np.exp(np.median(np.log(rates)))), band
