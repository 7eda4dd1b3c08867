"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._pictures import colour_bar, in_order, legend_below, look_of, new_axes, rate_map, set_plain_log
from lrax.fields._rules import whole_number
from lrax.fields._words import check_call
from lrax.schedules._base import Schedule, shown_steps
from lrax.schedules._cyclic_recipes import one_cycle_momentum
from lrax.schedules._named import differing, named_schedules

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_LABELS = 10
"""Up to so many lines have colours and labels of their own; more are shaded by what differs, or in their order."""

MANY = 4
"""More entries of a legend than these stand below the axes, not in front of the lines."""

JUMP, STILL = 0.05, 0.01
"""A line is drawn as steps if it somewhere changes in one update by more than this part of its height, and by less than that
part of this change in most of them."""


@check_call
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
        (fields with a leading axis) is drawn as a line a lane; where there are many, a colour bar tells what differs, or a
        legend the first and the last.
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
    few = len(lines) <= MOST_LABELS
    looks, unnamed = ([look_of(i) for i in range(len(lines))], False) if few else _shades(axes, list(lines.values()))
    for i, (look, (name, line)) in enumerate(zip(looks, lines.items(), strict=True)):
        rates = np.asarray(jax.jit(jax.vmap(line))(counts))
        told = few or (unnamed and i in (0, len(lines) - 1))
        axes.plot(counts, rates, label=name if told else "_", drawstyle="steps-post" if _jumps(rates) else "default", **look)
    quantities = {_quantity(name, line) for name, line in lines.items()}
    quantity = quantities.pop() if len(quantities) == 1 else "value"
    axes.set_xlabel("update count")
    axes.set_ylabel(quantity if label is None else label)
    if log:
        set_plain_log(axes.yaxis)
    elif axes.get_ylim()[0] > 0 and quantity != "momentum":  # a momentum's way is a tenth of its height
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.grid(alpha=0.3)
    if (len(lines) > 1 or isinstance(schedules, Mapping)) and axes.get_legend_handles_labels()[1]:
        if few and len(lines) > MANY:
            legend_below(axes, fontsize="x-small")
        else:
            axes.legend(fontsize="small")
    return axes


def _quantity(name: str, line: Schedule) -> str:
    """What a line is about."""
    return "momentum" if isinstance(line, one_cycle_momentum) or "momentum" in name.lower() else "rate"


def _jumps(rates: np.ndarray[Any, Any]) -> bool:
    """Whether a line jumps and stays, as steps do."""
    changes = np.abs(np.diff(rates[np.isfinite(rates)]))
    if not changes.size:
        return False
    return bool(changes.max() > JUMP * np.ptp(rates[np.isfinite(rates)]) and np.median(changes) < STILL * changes.max())


def _shades(axes: "Axes", lines: Sequence[Schedule]) -> tuple[list[dict[str, Any]], bool]:
    """A colour for each of many lines, by the one field that differs, with a colour bar; or else in their order, unnamed."""
    names, values = differing(lines)
    if len(names) != 1:
        return [{"color": rate_map()(i / (len(lines) - 1))} for i in range(len(lines))], True
    colours = in_order(float(values.min()), float(values.max()))
    colour_bar(axes, colours, names[0])
    return [{"color": colours.to_rgba(value)} for value in values[0]], False
