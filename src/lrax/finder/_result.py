"""What a range test found: curves, why it ended, and what they suggest."""

import dataclasses
import html
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lrax._pictures import inline, paragraph
from lrax.fields._errors import argument_error, check_call, name_of, plural
from lrax.finder._curve import SMOOTH, Curve, SuggestionRule
from lrax.finder._explain import contradiction, ended_too_soon, explain
from lrax.finder._fall import MOST, Crossed, crossed, fall
from lrax.finder._group_table import draw_groups, group_table, plot_groups
from lrax.finder._heights import POWERS, scaled
from lrax.finder._named import check_rule
from lrax.finder._runs import Runs
from lrax.schedules._base import Schedule
from lrax.training._batches import told
from lrax.training._core import Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FinderResult:
    """The outcome of a range test.

    Attributes:
      curves: a curve for each seed.
      reason: why the test ended, or why it suggests nothing; `explanation` says it with numbers, and what to do.
      suggestion: a rate for a run of some 500 updates, between the best that stays and the best peak of one that falls to 0; or
        None where the curves, and the short runs, do not support one. `schedule` gives the height for a run of yours.
      band: the rates between which the best may lie: of the tasks measured, it did for four in five. Wider than usual
        where seeds, or runs, do not agree. None where nothing was trained at the rates around, or without a suggestion.
      runs: the short runs of each seed that the suggestion was read from; none where a rule read it off a ramp.
      refined: the longer runs that it was refined by, if they were asked for.
      groups: by their patterns, what was found for each group of parameters with the others held, if groups were asked for.
      grows: whether twice the gradients make twice the update, as with SGD, or not, as with Adam and Lion: best rates move
        otherwise then, see `schedule`. None where that is not known, as for an update of your own.
      left_out: how many partial batches, each the last of a pass over an iterable, were left out.
      ended: whether the data ended before all steps were made.
      fault: which batch holds a NaN or an infinity that made its loss not finite, in words; "" if none does.

    Source: Smith 2015, Cyclical learning rates for training neural networks, section 3.3.
    """

    curves: tuple[Curve, ...]
    reason: Reason
    suggestion: float | None
    band: tuple[float, float] | None = None
    runs: tuple[Runs, ...] = ()
    refined: Runs | None = None
    groups: "Mapping[str, FinderResult]" = dataclasses.field(default_factory=dict)
    grows: bool | None = None
    left_out: int = 0
    ended: bool = False
    fault: str = ""

    @property
    def multiples(self) -> dict[str, float]:
        """What each group suggests over what all parameters together do: the `groups` of `lrax.by_path`.

        Groups that suggest nothing are left out, and follow the schedule itself there.
        """
        known = {pattern: one.suggestion for pattern, one in self.groups.items() if one.suggestion is not None}
        return {} if self.suggestion is None else {pattern: rate / self.suggestion for pattern, rate in known.items()}

    def schedule(self, shape: Any, total_steps: int | None = None) -> Schedule:
        """`shape`, whatever its height, at the height at which it should train best.

        Between shapes the height is translated by `lrax.theory.lr_ratio`, and between lengths a best rate falls with the
        length to the power of 0.4 (0.25 where `grows` is None). Where updates grow with the gradients, best rates stand near an
        edge: it is the square root of the ratio there, and the power is 0.15. `docs/finder.md` says how far it may be off.

        Args:
          shape: a schedule, or a callable `count -> rate`, whose rates are at least 0.
          total_steps: the updates of your run, an int; by default the length of `shape`. A recipe that waits for its total
            is given it.

        A schedule of more than a million steps is sampled at some 100,000 of them: see `lrax.theory.bound` for the error.

        Returns: the schedule with its learning rates multiplied by one number: of the same class where its fields can hold
          that, else as a `lrax.Scale` of it.

        Raises: ValueError if there is no suggestion, if no length is known, or if the rates are below 0 or all 0.

        >>> loss_fn = lambda params, batch: jnp.mean((params - batch) ** 2)
        >>> learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
        >>> found = lrax.find_lr(learner, jnp.ones((8, 3)), batch_size=4, key=jax.random.key(0))
        >>> constant = found.schedule(lrax.Constant(1.0), total_steps=10_000)
        >>> cosine = found.schedule(lrax.warmup_cosine(1.0, warmup_steps=1_000, total_steps=10_000))
        >>> print(f"{cosine.peak / constant.value:.1f} times as high")
        1.8 times as high
        """
        if self.suggestion is None:
            raise ValueError(f"FinderResult.schedule: find_lr made no suggestion ({self.reason}): {self.explanation}")
        return scaled(self.suggestion, shape, total_steps, POWERS[self.grows])

    @property
    def rates(self) -> np.ndarray[Any, Any]:
        """The rate of each update of the longest curve, float32 of shape (updates,)."""
        return self._longest().rates

    @property
    def losses(self) -> np.ndarray[Any, Any]:
        """The loss of each update, measured before its rate acted: the median over seeds, float32 of shape (updates,).

        `curves` has those of each seed.
        """
        return self._median("losses")

    @property
    def smoothed(self) -> np.ndarray[Any, Any]:
        """The smoothed loss of each update: the median over seeds, float32 of shape (updates,)."""
        return self._median("smoothed")

    @property
    def evaluations(self) -> np.ndarray[Any, Any]:
        """Where the longest curve was evaluated, float32 of shape (evaluations, 2): the rate before, and the metric."""
        return self._longest().evaluations

    @property
    def updates(self) -> int:
        """How many updates the longest curve has."""
        return len(self.rates)

    @property
    def steps_run(self) -> int:
        """How many updates were made in all, over all seeds, ramps, runs and groups."""
        ramps = sum(len(curve.rates) for curve in self.curves)
        runs = sum(runs.steps_run for runs in (*self.runs, *filter(None, [self.refined])))
        return ramps + runs + sum(group.steps_run for group in self.groups.values())

    @property
    def explanation(self) -> str:
        """Why the test ended, with the numbers of its curve, and what to do where there is something to do."""
        ended = sum(curve.reason is Reason.DATA_ENDED for curve in self.curves)
        short = f"; the data ended in {ended} of the tests" if ended and self.reason is not Reason.DATA_ENDED else ""
        last = (self.refined,) if self.refined else self.runs
        why = explain(self.reason, self.suggestion, self.curves, last, self.refined is not None, self.fault)
        too_soon = self.ended and self.reason is not Reason.DATA_ENDED
        notes = told(self.left_out, too_soon, self.fault)
        return why + short + notes + contradiction(self.curves, (*self.runs, *filter(None, [self.refined])))

    @check_call
    def suggest(
        self, rule: SuggestionRule, width: float = SMOOTH, of: Literal["losses", "evaluations"] = "losses"
    ) -> float | None:
        """What another rule suggests: the median over seeds, or None where most of the curves do not support one.

        Args:
          rule: `(rates, losses) -> rate`, such as `lrax.finder.steepest`.
          width: half the width, in decades, of the window of `lrax.finder.smooth` that the rule sees it under; 0 for none.
          of: what is read: the losses, or the `"evaluations"`, with the other sign where a larger metric is better.

        Raises: TypeError if `rule` is no function of two arguments or returns something else than one rate.
        """
        check_rule("FinderResult.suggest", rule)
        return combine([curve.suggest(rule, width, of) for curve in self.curves])[0]

    def __repr__(self) -> str:
        return f"<FinderResult: {self}>"

    def __str__(self) -> str:
        return self._first_line() + ("\n" + group_table(self.groups) if self.groups else "")

    def _first_line(self) -> str:
        peak = "" if self.suggestion is None else "; found.schedule(plan) has the peak for your schedule"
        return self._sentence() + peak

    def _sentence(self) -> str:
        rate = "no suggestion" if self.suggestion is None else f"suggested rate {self.suggestion:.3g}"
        band = f" (the best may lie from {self.band[0]:.2g} to {self.band[1]:.2g})" if self.band else ""
        seeds = f", {len(self.curves)} seeds," if len(self.curves) > 1 else ""
        why = self.explanation if self.runs and self.suggestion is not None else f"{self.reason}: {self.explanation}"
        return f"{rate}{band}{seeds} after {plural(self.steps_run, 'update')} ({why})"

    def _repr_html_(self) -> str:
        whole = inline(paragraph(self._first_line()), self.plot, self._sentence())
        if not self.groups:
            return whole
        table = group_table(self.groups)
        return whole + inline(f"<pre>{html.escape(table)}</pre>", lambda axes: draw_groups(self.groups, axes), table)

    @check_call
    def plot(self, axes: "Axes | None" = None, rules: Sequence[SuggestionRule] = ()) -> "Axes":
        """Draws loss over rate, with the suggestion, what it was read from, its band and other rules' marks. Needs matplotlib.

        Dots are losses, and the line is their mean over the rates around; where the loss blows up the line is the losses
        themselves. What lies above the axes, or is not finite, is marked at their upper edge. What `evaluate` gave is drawn on
        an axis of its own, at the right.

        Args:
          axes: where to draw; by default new axes.
          rules: other suggestion rules to mark, such as `(lrax.finder.steepest, lrax.finder.valley)`.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; TypeError if `rules` are not rules.
        """
        from lrax.finder._picture import Marks, plot_test

        if callable(rules):
            raise argument_error(
                TypeError, "FinderResult.plot", "rules", "a sequence of rules", rules, "give (lrax.finder.steepest,)"
            )
        for rule in rules:
            check_rule("FinderResult.plot", rule)
        others = [(name_of(rule), self.suggest(rule)) for rule in rules]
        unsure = self.suggestion is not None and not (self.runs or self.refined)
        too_soon = float(self.rates[-1]) if unsure and ended_too_soon(self._longest()) else None
        marks = Marks(self.suggestion, self.band, self._read_from(), others, too_soon, self.runs, self.refined)
        return plot_test(self.curves, marks, self._sentence(), axes)

    def plot_groups(self) -> "list[Axes]":
        """Draws a panel for each group of parameters into a new figure. Needs matplotlib.

        Returns: the axes, in the order of the groups.

        Raises: ImportError if matplotlib is not installed; ValueError if there are no groups.
        """
        return plot_groups(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to one plain JSON file, whole or not at all.

        Args:
          path: the file; one that exists is replaced.
        """
        from lrax.finder._file import write

        write(self, pathlib.Path(path))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "FinderResult":
        """Reads a file that `save` wrote: the same numbers, which can be suggested from and plotted again.

        Raises: OSError if there is no such file or it cannot be read; ValueError, which names the file and the part, if it is
          something else, of a newer format, or damaged; TypeError if `path` is not a path.
        """
        from lrax.finder._file import read

        if not isinstance(path, str | os.PathLike):
            raise argument_error(TypeError, "FinderResult.load", "path", "a path", path)
        return _made(read(pathlib.Path(path)))

    def _read_from(self) -> list[Crossed]:
        """Where each curve has made the share of its fall that the suggestion was read from; empty if it was not."""
        read = [fall(*curve.extended()) for curve in self.curves]
        known = [float(rate) if np.isfinite(rate) else None for rate in read]
        median = combine(known)[0]
        if self.runs or median is None or self.suggestion is None or not np.isclose(median, self.suggestion, rtol=1e-3):
            return []
        return [crossed(*curve.extended(), MOST) for curve in self.curves]

    def _longest(self) -> Curve:
        return max(self.curves, key=lambda curve: len(curve.rates))

    def _median(self, field: str) -> np.ndarray[Any, Any]:
        if len(self.curves) == 1:
            return getattr(self.curves[0], field)
        padded = np.full((len(self.curves), self.updates), np.nan, np.float32)
        for row, curve in zip(padded, self.curves, strict=True):
            row[: len(curve.rates)] = getattr(curve, field)
        return np.median(np.where(np.isnan(padded), np.inf, padded), axis=0)  # what has diverged counts as high


def _made(plain: dict[str, Any]) -> FinderResult:
    """A result of the parts that were read from a file."""
    return FinderResult(**{**plain, "groups": {pattern: _made(one) for pattern, one in plain["groups"].items()}})


def combine(suggestions: Sequence[float | None]) -> tuple[float | None, tuple[float, float] | None]:
    """The median of what each seed suggests and what they span; None if fewer than half of them suggest anything."""
    rates = [rate for rate in suggestions if rate is not None]
    if 2 * len(rates) < len(suggestions) or not rates:
        return None, None
    band = (min(rates), max(rates)) if len(suggestions) > 1 else None
    return float(np.exp(np.median(np.log(rates)))), band
