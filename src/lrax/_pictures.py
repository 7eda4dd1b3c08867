"""What pictures share: axes, colours, ticks, and how they stand in a notebook.

Needs matplotlib (the extra `plot`), imported only when something is drawn.
"""

import base64
import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
)
"""Colours that people who see colours differently can tell apart. Source: Okabe & Ito 2008, "Color Universal Design"."""

STYLES: tuple[Any, ...] = ("-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 4)))
"""Lines that can be told apart without colours, beside the plain and the dashed one."""

WIDE = 5.0
"""Numbers above 0 of which the largest is so many times the smallest get a logarithmic axis."""


def shade(fraction: float) -> Any:
    """A colour between the ends of a map, for lines in an order."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](fraction)


def new_axes() -> "Axes":
    """Axes of a new figure, which pyplot knows.

    Raises: ImportError if matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'lrax[plot]'") from error
    return plt.subplots(layout="constrained")[1]


def set_plain_log(axis: Any) -> None:
    """Makes the scale of `axes.xaxis` or `axes.yaxis` logarithmic, with plain numbers at its ticks, such as 0.01."""
    from matplotlib.ticker import LogLocator, NullFormatter

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if axis.axis_name == "y" else LogLocator())  # losses span few decades
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def log_if_wide(axes: "Axes", values: np.ndarray[Any, Any]) -> bool:
    """Makes the upright axis logarithmic if all finite values are above 0 and span more than `WIDE`; returns whether it did."""
    finite = np.asarray(values)[np.isfinite(values)]
    wide = bool(finite.size and finite.min() > 0 and finite.max() > WIDE * finite.min())
    if wide:
        set_plain_log(axes.yaxis)
    return wide


def set_loss_axis(axes: "Axes", losses: np.ndarray[Any, Any], above: float) -> float:
    """Sets the upright axis to what is of interest in losses that may have blown up; returns its upper end.

    Args:
      axes: whose axis to set.
      losses: all that are drawn; they may hold what is not finite.
      above: a loss up to which the axis goes if the losses do, such as a few times the first one.
    """
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return np.inf
    low, high = float(finite.min()), float(min(finite.max(), max(above, finite.min())))
    if log_if_wide(axes, np.clip(finite, None, high)):
        bottom, top = low / 1.25, high * 1.25
    else:
        room = 0.06 * (high - low) or 0.1 * max(abs(high), 1e-6)
        bottom, top = low - room, high + room
    axes.set_ylim(bottom, top)
    return top


def inline(text: str, draw: Callable[["Axes"], Any] | None = None) -> str:
    """HTML for a notebook: `text`, and what `draw` draws as a picture if matplotlib is there and nothing goes wrong."""
    return f"<div><p>{html.escape(text)}</p>{'' if draw is None else _inline_png(draw)}</div>"


def _inline_png(draw: Callable[["Axes"], Any]) -> str:
    try:
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained", dpi=144)  # not of pyplot, which would show it a second time
        draw(figure.add_subplot())
        written = io.BytesIO()
        figure.savefig(written, format="png")
    except Exception:  # a notebook shows the text, whatever a picture lacks
        return ""
    data = base64.b64encode(written.getvalue()).decode()
    return f'<img style="max-width: 640px" src="data:image/png;base64,{data}">'
