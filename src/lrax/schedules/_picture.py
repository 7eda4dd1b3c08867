"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._pictures import new_axes, shade
from lrax.fields._rules import whole_number
from lrax.schedules._base import Schedule, shown_steps
from lrax.schedules._cyclic_recipes import one_cycle_momentum
from lrax.schedules._named import differing, named_schedules

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_LABELS = 10
"""Up to so many lines have colours and labels of their own; more are shaded by what differs, or in their order."""


def plot(
    schedules: Any | Sequence[Any] | Mapping[str, Any],
    steps: int | None = None,
    axes: "Axes | None" = None,
    *,
    log: bool = False,
    label: str | None = None,
) -> "Axes":
    """Draws the rates of one or more schedules over the update count.

    Args:
      schedules: a schedule or any callable `count -> rate`; a list of them; or a dict of them by label. A batch of schedules
        (fields with a leading axis) is drawn as a line a lane; where there are many, a colour bar tells what differs.
      steps: how many updates to draw; by default up to the last landmark of any (an end, a boundary, a few drops or cycles of
        what is endless), and a tenth more to show what is held; 1000 if there are none.
      axes: where to draw; by default new axes.
      log: whether the axis of rates is logarithmic.
      label: what the axis of rates says; by default "rate", "momentum" for what is named so or made by
        `lrax.one_cycle_momentum`, and "value" for both together.

    Returns: the axes.

    Raises: ImportError if matplotlib is not installed; TypeError for something that is no schedule.
    """
    lines = named_schedules("plot", schedules)
    if steps is None:
        steps = shown_steps(lines.values())
    steps = whole_number("plot", "steps", steps)
    axes = new_axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    colors = [None] * len(lines) if len(lines) <= MOST_LABELS else _shades(axes, list(lines.values()))
    for color, (name, line) in zip(colors, lines.items(), strict=True):
        axes.plot(counts, np.asarray(jax.jit(jax.vmap(line))(counts)), label=name, drawstyle="steps-post", color=color)
    quantities = {_quantity(name, line) for name, line in lines.items()}
    quantity = quantities.pop() if len(quantities) == 1 else "value"
    axes.set_xlabel("update count")
    axes.set_ylabel(quantity if label is None else label)
    if log:
        axes.set_yscale("log")
    elif axes.get_ylim()[0] > 0 and quantity != "momentum":  # a momentum's way is a tenth of its height
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.grid(alpha=0.3)
    if (len(lines) > 1 or isinstance(schedules, Mapping)) and len(lines) <= MOST_LABELS:
        axes.legend(fontsize="small")
    return axes


def _quantity(name: str, line: Schedule) -> str:
    """What a line is about."""
    return "momentum" if isinstance(line, one_cycle_momentum) or "momentum" in name.lower() else "rate"


def _shades(axes: "Axes", lines: Sequence[Schedule]) -> list[Any]:
    """A colour for each of many lines: by the one field that differs, with a colour bar, or else in their order."""
    names, values = differing(lines)
    if len(names) != 1:
        return [shade(i / (len(lines) - 1)) for i in range(len(lines))]
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    low, high = float(values.min()), float(values.max())
    norm = LogNorm(low, high) if low > 0 and high > 10 * low else Normalize(low, high)
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label=names[0])
    return [shade(float(norm(value))) for value in values[0]]
