"""What a search of shapes found: the best, a table, a picture."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lrax.schedules._base import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.sweeps._table import Table

SHOWN = 12
"""A table and a picture show this many shapes, the best."""


@dataclasses.dataclass
class Standing:
    """How a schedule stands in a search.

    Attributes:
      rates: of its updates, the highest 1, float32 of shape (updates,).
      highest: the rate that they were divided by.
      peaks: its highest rates that were tried, rising, float64 of shape (rates,).
      scores: at each peak with each seed, float64 of shape (rates, seeds): infinite where it diverged, NaN where it was not
        trained.
    """

    rates: np.ndarray[Any, Any]
    highest: float
    peaks: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any]

    @property
    def seeds(self) -> int:
        """With how many seeds it was trained at its best peak."""
        return int((~np.isnan(self.scores)).sum(axis=1).max())

    @property
    def means(self) -> np.ndarray[Any, Any]:
        """The mean score at each peak that was trained with all of its seeds; infinite elsewhere."""
        whole = (~np.isnan(self.scores)).sum(axis=1) == self.seeds
        sums = np.where(np.isnan(self.scores), 0, self.scores).sum(axis=1)
        return np.where(whole, sums / max(self.seeds, 1), math.inf)

    @property
    def best(self) -> int:
        """The place of its best peak."""
        return int(np.argmin(self.means))

    @property
    def score(self) -> float:
        """The mean score at its best peak; infinite if every peak diverged."""
        return float(self.means[self.best])

    @property
    def peak(self) -> float:
        """Its best peak."""
        return float(self.peaks[self.best])

    @property
    def at_end(self) -> bool:
        """Whether its best peak is the lowest or the highest of those that were tried."""
        return self.best in (0, len(self.peaks) - 1)

    def near(self) -> list[int]:
        """The places of the best peak and of its neighbours, which had all seeds that it had."""
        return [place for place in range(len(self.peaks)) if abs(place - self.best) <= 1]

    def refine(self) -> list[int]:
        """Puts new peaks half-way to the neighbours of the best, or beyond it where it has none; returns their places."""
        best, peaks = self.best, self.peaks
        step = (peaks[1] / peaks[0] if best == 0 else peaks[best] / peaks[best - 1]) if len(peaks) > 1 else 2.0
        below = math.sqrt(peaks[best] * peaks[best - 1]) if best else peaks[best] / step
        above = math.sqrt(peaks[best] * peaks[best + 1]) if best + 1 < len(peaks) else peaks[best] * step
        places = [best, best + 1]
        self.peaks = np.insert(peaks, places, [below, above])
        self.scores = np.insert(self.scores, places, np.nan, axis=0)
        return [best, best + 2]


class Ahead(NamedTuple):
    """How far the best shape is ahead of another schedule with the fresh seeds.

    Attributes:
      ahead: the other's score less the best shape's, the mean of the differences, seed by seed.
      error: its standard error.
    """

    ahead: float
    error: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Shapes:
    """The outcome of a search of shapes. Printed, it is a table; in a notebook, a table and a picture.

    Attributes:
      arguments: by name, those of all shapes, each an array of shape (shapes,).
      standings: how each shape stands: its peaks, its scores, its rates.
      beside: the same for the schedules that were compared with.
      winner: the place of the best shape, as the seeds of the search have it.
      schedule: the best shape at its best peak, ready to train with.
      fresh: the scores with seeds that chose nothing, by name, `"best"` for the best shape, float64 of shape (seeds,).
      runs: how many runs were made.
    """

    arguments: dict[str, np.ndarray[Any, Any]]
    standings: tuple[Standing, ...]
    beside: dict[str, Standing]
    winner: int
    schedule: Schedule
    fresh: dict[str, np.ndarray[Any, Any]]
    runs: int

    @property
    def scores(self) -> np.ndarray[Any, Any]:
        """The score of each shape at its own best rate with the seeds it was given, float64 of shape (shapes,)."""
        return np.array([standing.score for standing in self.standings])

    @property
    def order(self) -> np.ndarray[Any, Any]:
        """The shapes from best to worst: by how many seeds they came through, then by score."""
        return np.lexsort((self.scores, np.array([-standing.seeds for standing in self.standings])))

    def ahead(self, name: str) -> Ahead:
        """How far the best shape is ahead of a schedule of `beside`, with the fresh seeds.

        Raises: KeyError if there is none of that name.
        """
        with np.errstate(invalid="ignore"):
            apart = self.fresh[name] - self.fresh["best"]
            return Ahead(float(apart.mean()), float(apart.std(ddof=1) / math.sqrt(len(apart))))

    def __repr__(self) -> str:
        return f"<Shapes: {len(self.standings)} shapes, {self.runs} runs, best {self.schedule!r}>"

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        from lrax.sweeps._html import html

        return html(self._table, self.plot, repr(self))

    def _table(self) -> "Table":
        from lrax.sweeps._table import Table

        rows = [["", *self.arguments, "best peak", "score", "seeds"]]
        for place in self.order[:SHOWN]:
            values = [f"{values[place]:.4g}" for values in self.arguments.values()]
            rows.append(["*" if place == self.winner else "", *values, *_cells(self.standings[place])])
        for name, standing in self.beside.items():
            rows.append(["", name, *[""] * (len(self.arguments) - 1), *_cells(standing)])
        left = len(self.standings) - SHOWN
        notes = [f"... and {left} shapes that are worse"] if left > 0 else []
        seeds = len(self.fresh["best"])
        notes.append(f"with {seeds} fresh seeds: {_spread(self.fresh['best'])}, the best shape, and")
        notes += [f"  {_spread(self.fresh[name])}, {name}: {_difference(self.ahead(name))}" for name in self.beside]
        notes[-1] = notes[-1].removesuffix(", and")
        if self.standings[self.winner].at_end:
            notes.append("the best shape's best rate stands at an end of those that were tried: try more")
        notes.append(f"{self.runs} runs in all")
        return Table(rows, tuple(range(1, len(rows[0]))), notes)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws the best shapes at their best peaks: the winner in red, the others the fainter the worse, the rest dashed.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax._pictures import ANSWER, STYLES, in_order, new_axes

        axes = new_axes() if axes is None else axes
        colours = in_order(0, SHOWN)
        shown = [place for place in self.order[:SHOWN] if np.isfinite(self.standings[place].score) and place != self.winner]
        for i, place in reversed(list(enumerate(shown))):
            one = self.standings[place]
            name = "next best" if i == 0 else "_"
            axes.plot(one.peak * one.rates, color=colours.to_rgba(i), alpha=0.6, linewidth=1, label=name)
        for (name, one), style in zip(self.beside.items(), STYLES * len(self.beside), strict=False):
            axes.plot(one.peak * one.rates, color="0.5", linestyle=style, label=name)
        best = self.standings[self.winner]
        axes.plot(best.peak * best.rates, color=ANSWER, linewidth=2, label="best")
        axes.set_xlabel("update")
        axes.set_ylabel("rate")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        return axes


def _cells(standing: Standing) -> list[str]:
    score = f"{standing.score:.4g}" if math.isfinite(standing.score) else "diverged"
    return [f"{standing.peak:.4g}{' (end)' if standing.at_end else ''}", score, str(standing.seeds)]


def _spread(scores: np.ndarray[Any, Any]) -> str:
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).sum())} of {len(scores)} diverged"
    return f"{scores.mean():.4g} ± {scores.std(ddof=1) / math.sqrt(len(scores)):.2g}"


def _difference(ahead: Ahead) -> str:
    if not math.isfinite(ahead.ahead):
        return "not to be compared"
    sure = "" if abs(ahead.ahead) > 2 * ahead.error else ", not significantly different"
    word = "behind by" if ahead.ahead >= 0 else "ahead by"
    return f"{word} {abs(ahead.ahead):.3g} ± {ahead.error:.2g}{sure}"
