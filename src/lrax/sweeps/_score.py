"""What is read off a run: its score, and the peak of its schedule."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, check_call
from lrax.schedules._base import Schedule
from lrax.sweeps._batch import Either
from lrax.training._core import part_of

Score: TypeAlias = Callable[[Any], Any]
"""Metrics of one lane -> a scalar, the lower the better."""


@check_call
def end_loss(losses: Any, tail: float = 0.25) -> jax.Array:
    """The loss at the end of a run: the mean over the last quarter of its steps.

    A mean, so that a learning rate at which the loss jumps about pays for the jumps; over many steps, because one batch says
    little.

    A NaN between two losses is a step at which nothing was measured, as in a validation loss of every fifth step. It is left
    out. If nothing was measured in the tail, the last loss that was measured counts. At the end of a run as many NaNs in a row
    are left out as there are between two losses. More of them say that the run diverged, and so does an infinite loss in the
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
    tail = check_part("end_loss", "tail", tail)
    losses = jnp.asarray(losses)
    if losses.ndim == 0:
        return losses
    if not losses.shape[-1]:
        raise argument_error(ValueError, "end_loss", "losses", "the losses of at least one step", f"shape {losses.shape}")
    return jnp.mean(losses, axis=-1, where=_counted(jnp, losses, tail))


def _counted(xp: Any, losses: Any, tail: float) -> Any:
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


def check_part(caller: str, name: str, value: Any) -> float:
    """A part of something as a Python float; raises if it is no number in (0, 1]."""
    number = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        raise argument_error(ValueError, caller, name, "above 0 and at most 1", value)
    return float(value)


def default_scores(metrics: Any) -> np.ndarray[Any, Any]:
    """The end loss of each lane of metrics that are one array, in float64: what float32 cannot hold has not diverged."""
    losses = np.asarray(jax.tree.leaves(metrics)[0]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # a score that is not finite is an answer, and no warning
        return losses if losses.ndim == 1 else np.mean(losses, axis=1, where=_counted(np, losses, 0.25))


def check_score(caller: str, score: Score | None, metrics: Any) -> None:
    """Raises if the metrics of one lane, given as shapes, have no scalar score."""
    shapes = jax.tree.leaves(metrics)
    if score is None and (len(shapes) != 1 or len(shapes[0].shape) > 1):
        remedy = "give score=lambda metrics: metrics['loss'], say; it sees the metrics of one lane"
        raise argument_error(ValueError, caller, "score", "given unless the metrics are one number or one curve", None, remedy)
    if score is None and 0 in shapes[0].shape:
        raise argument_error(
            ValueError, caller, "train", "a function whose metrics hold a loss", f"metrics of shape {shapes[0].shape}"
        )
    needs = "a function: metrics of one lane -> real scalar, in jnp"
    if score is not None and not callable(score):
        raise argument_error(TypeError, caller, "score", needs, score)
    try:
        result = jax.eval_shape(lambda one: end_loss(jax.tree.leaves(one)[0]) if score is None else score(one), metrics)
    except Exception as error:  # whatever the function raises
        raise argument_error(TypeError, caller, "score", needs, score, str(error).strip().partition("\n")[0]) from error
    kinds = jnp.floating, jnp.integer
    if getattr(result, "shape", None) != () or not any(jnp.issubdtype(result.dtype, kind) for kind in kinds):
        raise argument_error(TypeError, caller, "score", needs, result)


def peak_rate(schedule: Schedule) -> jax.Array:
    """The highest learning rate of a schedule, to four millionths of its length; of an endless one, in 1000 steps."""
    if isinstance(schedule, Either):
        return jax.lax.switch(schedule.index, [lambda kind=kind: peak_rate(kind) for kind in schedule.kinds])
    length = jnp.asarray(1000 if schedule.length is None else schedule.length, jnp.int32)
    cells = 512
    places = jnp.arange(cells, dtype=jnp.int32)
    width = length // cells  # integers: products with the length would wrap
    coarse = jnp.append(places * width + places * (length % cells) // cells, length)
    rates = jax.vmap(schedule)(coarse)
    middle = coarse[jnp.argmax(rates)]
    low = jnp.maximum(middle - width - 1, 0)
    step = (jnp.minimum(middle, length - width - 1) + width + 1 - low) // cells + 1
    fine = jnp.minimum(low + places * step, length)
    return jnp.maximum(jnp.max(rates), jnp.max(jax.vmap(schedule)(fine)))


peak_rates = jax.jit(jax.vmap(peak_rate))
