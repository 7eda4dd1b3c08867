"""What a sweep found: a table, the best schedule with its margin, pictures, plain exports."""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_key
from lrax.fields._words import complain
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Either, Lanes, as_lanes, shaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Score: TypeAlias = Callable[[Any], Any]
"""Metrics of one lane -> a scalar, the lower the better."""


def end_loss(losses: Any, tail: float = 0.25) -> jax.Array:
    """The loss at the end of a run: the mean over the last quarter of its updates.

    A mean, because a rate at which the loss jumps about is to be charged for its jumps; over many updates, because one batch
    says little. A loss that is not finite makes it not finite.

    Args:
      losses: float (..., updates), or a scalar, which is its own end.
      tail: the part of the updates that is looked at, in (0, 1].

    Returns: float of shape (...).

    Raises: ValueError if `tail` is not in (0, 1].

    >>> print(end_loss(jnp.array([9.0, 5.0, 2.0, 1.0, 3.0, 2.0, 2.0, 1.0])))
    1.5
    """
    if not 0 < tail <= 1:
        raise complain(ValueError, "end_loss", "tail", "above 0 and at most 1", tail)
    losses = jnp.asarray(losses)
    if losses.ndim == 0:
        return losses
    return jnp.mean(losses[..., -math.ceil(losses.shape[-1] * tail) :], axis=-1)


class Setting(NamedTuple):
    """One schedule of a sweep with all its lanes: its seeds.

    Attributes:
      schedule: the schedule.
      peak: its highest rate.
      lanes: the lanes that were trained with it.
      score: the median of its lanes' scores; infinite if one of them diverged.
      low, high: the least and the greatest of its finite scores, NaN if there is none.
      diverged: how many of its lanes diverged.
    """

    schedule: Schedule
    peak: float
    lanes: tuple[int, ...]
    score: float
    low: float
    high: float
    diverged: int


class Margin(NamedTuple):
    """How far the best setting is ahead of the next.

    Attributes:
      ahead: the next one's score less the best one's: the mean of the differences, seed by seed.
      error: its standard error over the seeds, NaN for one seed.
      seeds: how many seeds each has.
    """

    ahead: float
    error: float
    seeds: int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The outcome of a sweep. Lanes that were trained with equal schedules are the seeds of one setting.

    Attributes:
      schedules: one a lane.
      metrics: what the training function returned, NumPy arrays with the lane axis in front.
      scores: of each lane, the lower the better, float64 of shape (lanes,); NaN where it diverged.
      diverged: of each lane, whether its score or any number in its metrics is not finite, bool of shape (lanes,).
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
    def create(schedules: Any, metrics: Any, score: Score | None = None) -> "Sweep":
        """A table of metrics from anywhere.

        Args:
          schedules: a batch or a list, as for `lrax.sweep`.
          metrics: pytree of arrays with the lane axis in front.
          score: metrics of one lane -> scalar; by default, where the metrics are one array, its `lrax.sweeps.end_loss`.

        Raises: TypeError or ValueError for schedules, metrics or a score that do not fit.

        >>> print(Sweep.create(lrax.Constant(jnp.array([0.1, 0.2])), jnp.array([3.0, jnp.nan])))
           schedule             peak rate  score  lanes
        *  Constant(value=0.1)        0.1      3  0
           Constant(value=0.2)        0.2      -  1      diverged
        best: Constant(value=0.1), score 3; every other diverged
        """
        lanes = as_lanes("Sweep.create", schedules)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(metrics)]
        if not shapes or {shape[:1] for shape in shapes} != {(lanes.number,)}:
            raise complain(ValueError, "Sweep.create", "metrics", f"arrays with {lanes.number} lanes in front", shapes)
        one = jax.tree.map(lambda leaf: shaped(np.shape(leaf)[1:], leaf.dtype), metrics)
        check_score("Sweep.create", score, one)
        return outcome(lanes, metrics, score, "")

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The different schedules, in the order of their first lanes."""
        groups: dict[Any, list[int]] = {}
        for lane, schedule in enumerate(self.schedules):
            leaves = tuple((np.shape(leaf), np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(schedule))
            groups.setdefault((jax.tree.structure(schedule), leaves), []).append(lane)
        return tuple(self._setting(tuple(lanes)) for lanes in groups.values())

    def _setting(self, lanes: tuple[int, ...]) -> Setting:
        scores, diverged = self.scores[list(lanes)], int(self.diverged[list(lanes)].sum())
        finite = scores[np.isfinite(scores)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
        score = math.inf if diverged else float(np.median(finite))
        return Setting(self.schedules[lanes[0]], float(self.peaks[lanes[0]]), lanes, score, low, high, diverged)

    @property
    def best(self) -> Setting | None:
        """The setting with the lowest score of those none of whose lanes diverged; None if all have one that did."""
        ranked = self._ranked()
        return ranked[0] if ranked else None

    @property
    def margin(self) -> Margin | None:
        """How far the best is ahead of the next; None if there is no other without a lane that diverged."""
        ranked = self._ranked()
        if len(ranked) < 2:
            return None
        first, second = (self.scores[list(setting.lanes)] for setting in ranked[:2])
        if len(first) == len(second):  # the same seeds in the same order: what is common to both drops out
            differences = second - first
            error = float(np.std(differences, ddof=1) / math.sqrt(len(first))) if len(first) > 1 else math.nan
            return Margin(float(np.mean(differences)), error, len(first))
        spread = [np.var(scores, ddof=1) / len(scores) if len(scores) > 1 else math.nan for scores in (first, second)]
        return Margin(float(np.mean(second) - np.mean(first)), float(np.sqrt(sum(spread))), min(len(first), len(second)))

    def _ranked(self) -> list[Setting]:
        settings = [setting for setting in self.settings if math.isfinite(setting.score)]
        return sorted(settings, key=lambda setting: setting.score)

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

    def __repr__(self) -> str:
        return f"<Sweep: {len(self.schedules)} lanes, {len(self.settings)} settings, {int(self.diverged.sum())} diverged>"

    def __str__(self) -> str:
        from lrax.sweeps._table import sweep_table

        return sweep_table(self)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draws scores over peak rates: a dot a lane, a line through the settings of each kind, a cross for what diverged.

        Args:
          axes: where to draw; by default new axes.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.sweeps._picture import plot_scores

        return plot_scores(self, axes)

    def plot_curves(self, axes: "Axes | None" = None, *, losses: Any = None) -> "Axes":
        """Draws a running mean of the losses of every lane over the updates, the colour by its peak rate.

        Args:
          axes: where to draw; by default new axes.
          losses: float (lanes, updates); by default the only metric of that rank.

        Returns: the axes.

        Raises: ImportError if matplotlib is not installed; ValueError if it cannot be told which metric is the curve, or if
          `losses` are none of these lanes.
        """
        from lrax.sweeps._picture import plot_curves

        if losses is None:
            curves = [leaf for leaf in jax.tree.leaves(self.metrics) if np.ndim(leaf) == 2]
            if len(curves) != 1:
                remedy = "give one metric, such as sweep.metrics['losses']"
                raise complain(ValueError, "plot_curves", "losses", "given unless one metric is a curve", None, remedy)
            losses = curves[0]
        if np.ndim(losses) != 2 or len(losses) != len(self.peaks):
            needs = f"one curve for each of {len(self.peaks)} lanes"
            raise complain(ValueError, "plot_curves", "losses", needs, f"shape {np.shape(losses)}")
        return plot_curves(np.asarray(losses), self.peaks, axes)


def outcome(lanes: Lanes, metrics: Any, score: Score | None, plan: str) -> Sweep:
    """The outcome for lanes and a score that have been checked."""
    scores = np.array(jax.vmap(default_score if score is None else score)(metrics), np.float64)
    diverged = ~np.isfinite(scores)
    for leaf in jax.tree.leaves(metrics):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            diverged |= ~_finite(leaf).reshape(lanes.number, -1).all(axis=1)
    scores[diverged] = np.nan
    peaks = np.asarray(peak_rates(lanes.schedules))
    schedules = tuple(lanes.one(lane) for lane in range(lanes.number))
    held = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), metrics)
    return Sweep(schedules, held, scores, diverged, peaks, plan)


def _finite(leaf: Any) -> np.ndarray[Any, Any]:
    """Which numbers are finite; NumPy knows no bfloat16, and JAX would cut float64 down."""
    array = np.asarray(leaf)
    return np.isfinite(array) if array.dtype.kind in "fc" else np.asarray(jnp.isfinite(leaf))


def default_score(metrics: Any) -> Any:
    """The end loss of metrics that are one array."""
    return end_loss(jax.tree.leaves(metrics)[0])


def check_score(owner: str, score: Score | None, metrics: Any) -> None:
    """Raises if the metrics of one lane, given as shapes, have no scalar score."""
    shapes = jax.tree.leaves(metrics)
    if score is None and (len(shapes) != 1 or len(shapes[0].shape) > 1):
        remedy = "give score=lambda metrics: metrics['loss'], say; it sees the metrics of one lane"
        raise complain(ValueError, owner, "score", "given unless the metrics are one number or one curve", None, remedy)
    if score is None and 0 in shapes[0].shape:
        raise complain(
            ValueError, owner, "train", "a function whose metrics hold a loss", f"metrics of shape {shapes[0].shape}"
        )
    needs = "a function: metrics of one lane -> real scalar, in jnp"
    if score is not None and not callable(score):
        raise complain(TypeError, owner, "score", needs, score)
    try:
        result = jax.eval_shape(default_score if score is None else score, metrics)
    except Exception as error:  # whatever the function raises
        raise complain(TypeError, owner, "score", needs, score, str(error).strip().partition("\n")[0]) from error
    kinds = jnp.floating, jnp.integer
    if getattr(result, "shape", None) != () or not any(jnp.issubdtype(result.dtype, kind) for kind in kinds):
        raise complain(TypeError, owner, "score", needs, result)


def peak_rate(schedule: Schedule) -> jax.Array:
    """The highest rate of a schedule, to a quarter of a millionth of its length; of an endless one, in 1000 updates."""
    if isinstance(schedule, Either):
        return jax.lax.switch(schedule.index, [lambda kind=kind: peak_rate(kind) for kind in schedule.kinds])
    length = jnp.asarray(1000 if schedule.length is None else schedule.length, jnp.int32)
    cells = 512
    places = jnp.arange(cells, dtype=jnp.int32)
    width = length // cells  # integers: products with the length would wrap
    coarse = jnp.append(places * width + places * (length % cells) // cells, length)
    middle = coarse[jnp.argmax(jax.vmap(schedule)(coarse))]
    low = jnp.maximum(middle - width - 1, 0)
    step = (jnp.minimum(middle, length - width - 1) + width + 1 - low) // cells + 1
    fine = jnp.minimum(low + places * step, length)
    return jnp.maximum(jnp.max(jax.vmap(schedule)(coarse)), jnp.max(jax.vmap(schedule)(fine)))


peak_rates = jax.jit(jax.vmap(peak_rate))
