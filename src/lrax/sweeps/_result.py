"""What a sweep found: the best schedule with its margin, a table, pictures, files."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_call, is_key
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Lanes, as_lanes, check_arrays, shaped
from lrax.sweeps._score import Score, check_score, default_scores, peak_rates
from lrax.sweeps._settings import Margin, Setting, margin_of, ranked, settings_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.sweeps._table import Table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """The outcome of a sweep. Lanes that were trained with equal schedules are the seeds of one setting.

    Printed, it is a table; in a notebook, a table and a picture.

    Attributes:
      schedules: one a lane.
      metrics: what the training function returned, NumPy arrays with the lane axis in front.
      scores: of each lane, the lower the better, float64 of shape (lanes,); NaN where it diverged.
      diverged: of each lane, whether its score is not finite, bool of shape (lanes,). Other metrics may hold NaN or inf.
      peaks: of each lane, the highest rate of its schedule, float32 of shape (lanes,).
      plan: how the lanes were run, in words.
    """

    schedules: tuple[Schedule, ...]
    metrics: Any
    scores: np.ndarray[Any, Any]
    diverged: np.ndarray[Any, Any]
    peaks: np.ndarray[Any, Any]
    plan: str = ""

    @staticmethod
    @check_call
    def create(schedules: Any, metrics: Any, score: Score | None = None) -> "SweepResult":
        """A table of metrics from anywhere.

        Args:
          schedules: a batch or a list, as for `lrax.sweep`.
          metrics: pytree of arrays with the lane axis in front.
          score: metrics of one lane -> scalar; by default, where the metrics are one array, its `lrax.sweeps.end_loss`.

        Raises: TypeError or ValueError for schedules, metrics or a score that do not fit.

        >>> print(SweepResult.create(lrax.Constant(jnp.array([0.1, 0.2])), jnp.array([3.0, jnp.nan])))
        best: Constant(value=0.1), score 3; every other setting has a run that diverged
           schedule             peak rate  score  lanes
        *  Constant(value=0.1)        0.1      3  0
           Constant(value=0.2)        0.2      -  1      diverged
        1 of 2 runs diverged: their scores are not finite
        """
        lanes = as_lanes("SweepResult.create", schedules)
        check_arrays("SweepResult.create", "metrics", metrics)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(metrics)]
        if not shapes or {shape[:1] for shape in shapes} != {(lanes.number,)}:
            raise argument_error(
                ValueError, "SweepResult.create", "metrics", f"arrays with {lanes.number} lanes in front", shapes
            )
        one = jax.tree.map(lambda leaf: shaped(np.shape(leaf)[1:], jax.dtypes.result_type(leaf)), metrics)
        check_score("SweepResult.create", score, one)
        return outcome(lanes, metrics, score, "")

    @functools.cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The different schedules, in the order of their first lanes."""
        return settings_of(self.schedules, self.peaks, self.scores, self.diverged)

    @property
    def best(self) -> Setting | None:
        """The setting with the lowest score among those without a run that diverged; None if every setting has one."""
        return next(iter(ranked(self.settings)), None)

    @property
    def margin(self) -> Margin | None:
        """How far the best is ahead of the next; None if there is no other without a lane that diverged."""
        return margin_of(self.settings, self.scores)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values and NumPy arrays: schedules as text, metrics by their path."""
        metrics = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(self.metrics)}
        return {
            "schedules": [repr(schedule) for schedule in self.schedules],
            "peaks": self.peaks,
            "scores": self.scores,
            "diverged": self.diverged,
            "metrics": metrics,
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row a lane in plain values, for `pandas.DataFrame(sweep.rows())`.

        Returns: dicts with `lane`, `setting` (the place of its setting), `kind`, `schedule` (as text), `peak`, `score` (NaN where
          it diverged), `diverged`, and each metric that is one number a lane.

        >>> print(SweepResult.create(lrax.Constant(jnp.array([0.25, 0.5])), {"loss": np.array([3.0, 2.0])}, lambda m: m["loss"]).rows()[1])
        {'lane': 1, 'setting': 1, 'kind': 'Constant', 'schedule': 'Constant(value=0.5)', 'peak': 0.5, 'score': 2.0, 'diverged': False, 'loss': 2.0}
        """  # noqa: E501  # what is printed is one line
        from lrax.sweeps._rows import sweep_rows

        return sweep_rows(self.schedules, self.settings, self.peaks, self.scores, self.diverged, self.metrics)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes `rows` to a file of comma-separated values, with a header, whole or not at all.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        from lrax.sweeps._rows import write_csv

        write_csv("SweepResult.to_csv", pathlib.Path(path), self.rows())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to one plain .npz file, whole or not at all; schedules as their JSON.

        Of a schedule that has none, such as a function, its name is kept.

        Args:
          path: the file; one that exists is replaced.

        Raises: OSError, with the file's name, if it cannot be written.
        """
        from lrax.sweeps._stored import write_sweep

        write_sweep(pathlib.Path(path), **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @staticmethod
    @check_call
    def load(path: str | os.PathLike[str], kinds: Iterable[type[Schedule]] = ()) -> "SweepResult":
        """Reads a file that `save` wrote: the same numbers, table and pictures.

        Args:
          path: the file.
          kinds: your own kinds of schedules that may be in it.

        Returns: a sweep; metrics in dicts, lists and tuples come back in them, those in other containers in dicts by field. A
          schedule that had no JSON has its name, and raises TypeError when it is asked for a rate.

        Raises: ValueError, with the file's name, if the file is something else, of a newer format, or was changed after it was
          written; TypeError or ValueError for `kinds` that are not schedule classes.
        """
        from lrax.sweeps._stored import read_sweep

        return SweepResult(**read_sweep(pathlib.Path(path), kinds))

    def __repr__(self) -> str:
        return f"<SweepResult: {len(self.schedules)} lanes, {len(self.settings)} settings, {int(self.diverged.sum())} diverged>"

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        from lrax.sweeps._html import html

        return html(self._table, self.plot, repr(self))

    def _table(self) -> "Table":
        from lrax.sweeps._table import sweep_table

        return sweep_table(self.settings, self.scores, self.metrics, self.plan)

    @check_call
    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws scores over peak rates: a dot a lane, a line through the settings of each kind, a cross for what diverged.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.sweeps._picture import plot_scores

        return plot_scores(self.settings, self.peaks, self.scores, axes)

    @check_call
    def plot_curves(self, axes: "Axes | None" = None, *, losses: Any = None) -> "Axes":
        """Draws the losses of every setting over the updates: running means, their median over seeds; the best in black.

        The colour is that of the peak rate, the dashes are those of the kind. Of a few settings the losses themselves are drawn
        too. A line joins the losses that are finite, and ends where the first of its seeds has its last one.

        Args:
          axes: where to draw; by default new axes.
          losses: float (lanes, updates); by default the only metric of that rank.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; ValueError if it cannot be told which metric is the curve, or if
          `losses` are none of these lanes.
        """
        from lrax.sweeps._curves import plot_curves

        if losses is None:
            curves = [leaf for leaf in jax.tree.leaves(self.metrics) if np.ndim(leaf) == 2 and not is_key(leaf)]
            if len(curves) != 1:
                remedy = "give one metric, such as sweep.metrics['losses']"
                raise argument_error(ValueError, "plot_curves", "losses", "given unless one metric is a curve", None, remedy)
            losses = curves[0]
        if np.ndim(losses) != 2 or len(losses) != len(self.peaks):
            needs = f"one curve for each of {len(self.peaks)} lanes"
            raise argument_error(ValueError, "plot_curves", "losses", needs, f"shape {np.shape(losses)}")
        return plot_curves(self.settings, np.asarray(losses, np.float64), axes)


def outcome(lanes: Lanes, metrics: Any, score: Score | None, plan: str) -> SweepResult:
    """The outcome for lanes and a score that have been checked."""
    scores = np.array(default_scores(metrics) if score is None else jax.vmap(score)(metrics), np.float64)
    diverged = ~np.isfinite(scores)  # by the score alone: other metrics may be NaN where nothing was measured
    scores[diverged] = np.nan
    peaks = np.asarray(peak_rates(lanes.schedules))
    schedules = tuple(lanes.one(lane) for lane in range(lanes.number))
    held = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), metrics)
    return SweepResult(schedules, held, scores, diverged, peaks, plan)
