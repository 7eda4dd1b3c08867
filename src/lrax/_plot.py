"""Pictures. Needs matplotlib (the extra `plot`), which is imported only when something is drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax._check import complain
from lrax._lanes import longest_length, named_schedules

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrax.finder._result import Found

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
    if not isinstance(steps, int) or steps < 1:
        raise complain(ValueError, "plot", "steps", "an integer of at least 1", steps)
    axes = _axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    for i, (label, line) in enumerate(lines.items()):
        color = None if len(lines) <= MOST_LABELS else _shade(i / (len(lines) - 1))
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


def plot_found(found: "Found", axes: "Axes | None" = None) -> "Axes":
    """Draws loss over rate on logarithmic axes, with the suggestion marked; see `Found.plot`."""
    axes = _axes() if axes is None else axes
    from matplotlib.ticker import LogFormatter

    after = slice(1, None), slice(None, -1)  # a rate's effect is seen in the next loss
    losses, rates = found.losses[after[0]], found.rates[after[1]]
    axes.plot(rates, losses, ".", color="0.75", label="loss of a batch")
    axes.plot(rates, found.smoothed[after[0]], color="C0", label="smoothed")
    axes.set_xscale("log")
    finite = found.losses[np.isfinite(found.losses)]
    if finite.size and finite.min() > 0:
        axes.set_yscale("log")
        plain = LogFormatter(minor_thresholds=(2, 0.5))  # 2 and 3 rather than powers of ten
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(plain)
        axes.set_ylim(finite.min() * 0.8, max(finite[0] * 4, finite.min() * 1.3))
    elif finite.size:
        scale = max(finite[0] - finite.min(), abs(finite[0]), 1e-6)
        axes.set_ylim(finite.min() - 0.1 * scale, finite[0] + scale)
    if found.suggestion is not None:
        axes.axvline(found.suggestion, color="C3", linestyle="--", label=f"suggestion {found.suggestion:.3g}")
    axes.set_title(f"range test: {found.updates} updates, {found.reason}", fontsize="medium")
    axes.set_xlabel("rate")
    axes.set_ylabel("loss after an update at that rate")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return axes


def _shade(fraction: float) -> Any:
    """A colour between the ends of a map, for lines in an order."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](fraction)


def _axes() -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'lrax[plot]'") from error
    return plt.subplots(layout="constrained")[1]
