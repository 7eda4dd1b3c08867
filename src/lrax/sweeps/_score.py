"""Scores and peaks of runs, the settings that they are seeds of, and how certain a ranking is."""

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, check_call
from lrax.fields._rules import PyTree
from lrax.fields._value import identity
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Either
from lrax.training._core import part_of

Score: TypeAlias = Callable[[Any], Any]
"""Metrics of one run -> a scalar, the lower the better."""


@check_call
def end_loss(losses: npt.ArrayLike, tail: float = 0.25) -> jax.Array:
    """The loss at the end of a run: the mean over the last quarter of its steps.

    A mean, so that a learning rate at which the loss jumps pays for the jumps; over many steps, because one batch says little.

    A NaN between two losses is a step at which nothing was measured, as in a validation loss of every fifth step. It is left
    out. If nothing was measured in the tail, the last measured loss counts. At the end of a run as many NaNs in a row are left
    out as there are between two losses. If there are more of them, the run diverged, and so it did with an infinite loss in the
    tail: the result is then not finite.

    Args:
      losses: float (..., steps), at least one step; or a scalar, which is its own end.
      tail: the fraction of the steps that is averaged, in (0, 1].

    Returns: float of shape (...).

    Raises: ValueError if `tail` is not in (0, 1], or if there are no steps.

    >>> print(end_loss(jnp.array([9.0, 5.0, 2.0, 1.0, 3.0, 2.0, 2.0, 1.0])))
    1.5
    >>> print(end_loss(jnp.array([9.0, jnp.nan, 4.0, jnp.nan])), end_loss(jnp.array([9.0, 4.0, jnp.nan, jnp.nan])))
    4.0 nan
    """
    tail = check_fraction("end_loss", "tail", tail)
    losses = jnp.asarray(losses)
    if losses.ndim == 0:
        return losses
    if not losses.shape[-1]:
        raise argument_error(ValueError, "end_loss", "losses", "the losses of at least one step", f"shape {losses.shape}")
    return jnp.mean(losses, axis=-1, where=_counted(jnp, losses, tail))


def _counted(xp: ModuleType, losses: Any, tail: float) -> Any:
    """Which losses of shape (..., steps) the end loss is the mean of, in NumPy or `jnp`."""
    steps = losses.shape[-1]
    places, measured = xp.broadcast_to(xp.arange(steps), losses.shape), ~xp.isnan(losses)
    found = xp.sort(xp.where(measured, places, -1), axis=-1)  # -1 for each NaN, then the places of the losses, rising
    last = found[..., -1:]
    gaps = xp.where(found[..., :-1] >= 0, xp.diff(found, axis=-1) - 1, 0)  # the NaNs between each two losses
    trailing = steps - 1 - last
    ended = trailing <= xp.max(gaps, axis=-1, keepdims=True, initial=0)
    inside = places >= xp.minimum(last, steps - part_of(steps, tail))
    return xp.where(ended, measured & inside, True)  # all, NaNs included, where the run diverged


def check_fraction(caller: str, name: str, value: object) -> float:
    """A fraction as a Python float; raises if it is not a number in (0, 1]."""
    if not isinstance(value, int | float | np.floating | np.integer) or isinstance(value, bool) or not 0 < value <= 1:
        raise argument_error(ValueError, caller, name, "above 0 and at most 1", value)
    return float(value)


def default_scores(metrics: PyTree) -> npt.NDArray[np.float64]:
    """The end loss of each run of metrics that are one array, in float64: what float32 cannot hold has not diverged."""
    losses = np.asarray(jax.tree.leaves(metrics)[0]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # a score that is not finite is a result, not a warning
        return losses if losses.ndim == 1 else np.mean(losses, axis=1, where=_counted(np, losses, 0.25))


def check_score(caller: str, score: Score | None, metrics: PyTree) -> None:
    """Raises if the metrics of one run, given as shapes, have no scalar score."""
    shapes = jax.tree.leaves(metrics)
    if score is None and (len(shapes) != 1 or len(shapes[0].shape) > 1):
        remedy = "give score=lambda metrics: metrics['loss'], say; it sees the metrics of one run"
        raise argument_error(ValueError, caller, "score", "given unless the metrics are one number or one curve", None, remedy)
    if score is None and 0 in shapes[0].shape:
        needs = "a function whose metrics hold a loss"
        raise argument_error(ValueError, caller, "train", needs, f"metrics of shape {shapes[0].shape}")
    needs = "a function: metrics of one run -> real scalar, in jnp"
    if score is not None and not callable(score):
        raise argument_error(TypeError, caller, "score", needs, score)
    try:
        result = jax.eval_shape(lambda one: end_loss(jax.tree.leaves(one)[0]) if score is None else score(one), metrics)
    except Exception as error:  # whatever the function raises
        raise argument_error(TypeError, caller, "score", needs, score, str(error).strip().partition("\n")[0]) from error
    real = jnp.floating, jnp.integer
    if getattr(result, "shape", None) != () or not any(jnp.issubdtype(result.dtype, dtype) for dtype in real):
        raise argument_error(TypeError, caller, "score", needs, result)


def peak_lr(schedule: Schedule) -> jax.Array:
    """The highest learning rate of a schedule, to four millionths of its length; of an endless one, in 1000 steps."""
    if isinstance(schedule, Either):
        return jax.lax.switch(schedule.index, [lambda one=one: peak_lr(one) for one in schedule.options])
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


peak_lrs = jax.jit(jax.vmap(peak_lr))


class Setting(NamedTuple):
    """One schedule of a sweep with all its runs: its seeds.

    Attributes:
      schedule: the schedule.
      peak: its highest learning rate.
      runs: the runs that were trained with it.
      score: the median of their scores; infinite if one of them diverged.
      low, high: the least and the greatest of their finite scores, NaN if there is none.
      diverged: how many of them diverged.
      steps: until which step all of them were trained; 0 but for a race of `run_sweep`.
    """

    schedule: Schedule
    peak: float
    runs: tuple[int, ...]
    score: float
    low: float
    high: float
    diverged: int
    steps: int = 0


class Margin(NamedTuple):
    """How far the best setting is ahead of the next.

    Attributes:
      ahead: the score of the next setting minus that of the best: the mean of the differences, seed by seed.
      error: its standard error over the seeds, NaN for one seed.
      seeds: how many seeds each has.
      significant: whether Student's t-test tells the two apart at the level of 5 %; paired where both have as many seeds. It
        does not correct for the number of settings.
    """

    ahead: float
    error: float
    seeds: int

    @property
    def significant(self) -> bool:
        from scipy import special  # which takes longer to import than the rest of lrax

        if self.seeds < 2:
            return False
        return abs(self.ahead) > float(special.stdtrit(self.seeds - 1, 0.975)) * self.error


def settings_of(
    schedules: Sequence[Schedule],
    peaks: npt.NDArray[np.float32],
    scores: npt.NDArray[np.floating],
    steps: npt.NDArray[np.int32] | None = None,
) -> tuple[Setting, ...]:
    """The different schedules of all runs, in the order of their first runs."""
    groups: dict[object, list[int]] = {}
    for run, schedule in enumerate(schedules):
        groups.setdefault(identity(schedule), []).append(run)

    def setting(runs: list[int]) -> Setting:
        finite = scores[runs][np.isfinite(scores[runs])]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
        score = float(np.median(finite)) if finite.size == len(runs) else math.inf
        made = 0 if steps is None else int(steps[runs].min())
        return Setting(schedules[runs[0]], float(peaks[runs[0]]), tuple(runs), score, low, high, len(runs) - finite.size, made)

    return tuple(map(setting, groups.values()))


def ranked(settings: Sequence[Setting]) -> list[Setting]:
    """The settings without a run that diverged, from best to worst: by steps, then by score."""
    finite = (setting for setting in settings if math.isfinite(setting.score))
    return sorted(finite, key=lambda setting: (-setting.steps, setting.score))


def margin_of(settings: Sequence[Setting], scores: npt.NDArray[np.floating]) -> Margin | None:
    """How far the best is ahead of the next; None if there is no other without a run that diverged after as many steps."""
    best = ranked(settings)[:2]
    if len(best) < 2 or best[0].steps != best[1].steps:
        return None
    first, second = (scores[list(setting.runs)] for setting in best)
    if len(first) == len(second):  # the same seeds in the same order: what is common to both drops out
        differences = second - first
        error = float(np.std(differences, ddof=1) / math.sqrt(len(first))) if len(first) > 1 else math.nan
        return Margin(float(np.mean(differences)), error, len(first))
    spread = [np.var(part, ddof=1) / len(part) if len(part) > 1 else math.nan for part in (first, second)]
    return Margin(float(np.mean(second) - np.mean(first)), float(np.sqrt(sum(spread))), min(len(first), len(second)))
