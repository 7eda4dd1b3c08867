"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._pictures import new_axes, shade
from lrax.fields._rules import whole_number
from lrax.schedules._named import longest_length, named_schedules

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_LABELS = 10
"""Up to so many lines have colours and labels of their own; more are shaded in their order."""


def plot(
    schedules: Any | Sequence[Any] | Mapping[str, Any],
    steps: int | None = None,
    axes: "Axes | None" = None,
    *,
    log: bool = False,
) -> "Axes":
    """Draws the rates of one or more schedules over the update count.

    Args:
      schedules: a schedule or any callable `count -> rate`; a list of them; or a dict of them by label. A batch of schedules
        (fields with a leading axis) is drawn as a line a lane.
      steps: how many updates to draw; by default the longest length, a tenth more to show what is held, or 1000 if all are
        endless.
      axes: where to draw; by default new axes.
      log: whether the axis of rates is logarithmic.

    Returns: the axes.

    Raises: ImportError if matplotlib is not installed; TypeError for something that is no schedule.
    """
    lines = named_schedules("plot", schedules)
    if steps is None:
        length = longest_length(lines.values())
        steps = length + max(length // 10, 1) if length else 1000
    steps = whole_number("plot", "steps", steps)
    axes = new_axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    for i, (label, line) in enumerate(lines.items()):
        color = None if len(lines) <= MOST_LABELS else shade(i / (len(lines) - 1))
        axes.plot(counts, np.asarray(jax.jit(jax.vmap(line))(counts)), label=label, drawstyle="steps-post", color=color)
    axes.set_xlabel("update count")
    axes.set_ylabel("rate")
    if log:
        axes.set_yscale("log")
    elif axes.get_ylim()[0] > 0:
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.grid(alpha=0.3)
    if (len(lines) > 1 or isinstance(schedules, Mapping)) and len(lines) <= MOST_LABELS:
        axes.legend(fontsize="small")
    return axes
