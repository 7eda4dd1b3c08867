"""Axes, colours, ticks and legends of all pictures, and how a notebook shows them.

The answer of a picture (a suggestion, a best peak) is a dashed line in `ANSWER`, the best of many curves is black, what
diverged is in `GONE`, separate lines have `COLOURS`, and ordered learning rates the map `rate_map`.

Needs matplotlib (the extra `plot`), imported only when something is drawn.
"""

import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrax.fields._errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis, XAxis, YAxis
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap

# Colours that people with colour blindness distinguish: Okabe & Ito 2008, "Color Universal Design".
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
BLUE, RED, PURPLE = "#0072b2", "#d55e00", "#cc79a7"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
"""Of separate lines: those that have no other meaning."""
ANSWER, GONE = RED, "0.35"
"""Of what a picture is drawn for, and of what diverged or left the axes."""
STYLES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 4)))
"""Dashes that differ without colours, in addition to the plain and the dashed line."""
SIZE = (6.0, 3.6)
"""Inches of a picture in a notebook and in the documentation."""
WIDE = 5.0
"""Positive numbers whose largest is more than this many times the smallest get a logarithmic axis."""


def look_of(place: int) -> dict[str, Any]:
    """The colour of one of a few lines; when colours are used up they repeat with other dashes."""
    again, colour = divmod(place, len(COLOURS))
    styles = ("-", *STYLES)
    return {"color": COLOURS[colour], "linestyle": styles[again % len(styles)]}


def rate_map() -> "Colormap":
    """Colours from low to high: a map without its pale end, which is faint on white."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("rates", colormaps["plasma"](np.linspace(0.0, 0.82, 64)))


def in_order(low: float, high: float) -> "ScalarMappable":
    """Colours for numbers between two, by their logarithms if they are positive and far apart."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    return ScalarMappable((LogNorm if low > 0 and high > WIDE * low else Normalize)(low, high), rate_map())


def colour_bar(axes: "Axes", colours: "ScalarMappable", label: str) -> None:
    """A bar next to the axes that shows which number has which colour; none if all have the same."""
    from matplotlib.colors import LogNorm

    low, high = colours.get_clim()
    if low is not None and high is not None and low < high:
        bar = axes.figure.colorbar(colours, ax=axes, label=label)
        if isinstance(colours.norm, LogNorm):
            plain_ticks(bar.ax.yaxis)


def new_axes() -> "Axes":
    """Axes of a new figure of pyplot; raises ImportError if matplotlib is not installed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing_extra("plotting", "matplotlib", "plot") from error
    return plt.subplots(layout="constrained")[1]


def set_plain_log(axis: "XAxis | YAxis") -> None:
    """Makes the scale of `axes.xaxis` or `axes.yaxis` logarithmic, with plain numbers at its ticks, such as 0.01."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    plain_ticks(axis)


def plain_ticks(axis: "Axis") -> None:
    """Plain numbers such as 0.03 on a logarithmic axis, in place of powers of ten, and enough of them on a short one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    class Spaced(LogLocator):
        """As many numbers in a decade as fit."""

        def tick_values(self, vmin: float, vmax: float) -> "Sequence[float]":
            decades = abs(math.log10(vmax / vmin)) if vmin > 0 and vmax > 0 else 9.0
            self.set_params(
                subs=(1,) if decades > 4 else (1, 3) if decades > 2 else (1, 2, 5) if decades > 0.8 else range(1, 10)
            )
            return super().tick_values(vmin, vmax)

    axis.set_major_locator(Spaced())
    axis.set_major_formatter(FuncFormatter(lambda value, place: plain(value)))
    axis.set_minor_formatter(NullFormatter())


def plain(value: float) -> str:
    """A number without leading zeros of its exponent.

    >>> print(plain(0.03), plain(1e-7), plain(1e30))
    0.03 1e-7 1e30
    """
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def log_if_wide(axes: "Axes", values: npt.NDArray[np.number]) -> bool:
    """Makes the upright axis logarithmic if all finite values are positive and span more than `WIDE`; returns whether."""
    finite = np.asarray(values)[np.isfinite(values)]
    wide = bool(finite.size and finite.min() > 0 and finite.max() > WIDE * finite.min())
    if wide:
        set_plain_log(axes.yaxis)
    return wide


def set_loss_axis(axes: "Axes", losses: npt.NDArray[np.number], above: float) -> float:
    """Fits the upright axis to losses that may have diverged, with losses up to `above`; returns its upper end."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return np.inf
    low, high = float(finite.min()), float(min(finite.max(), max(above, finite.min())))
    if log_if_wide(axes, np.clip(finite, None, high)):
        bottom, top = low / 1.25, high * 1.25
    else:
        margin = 0.06 * (high - low) or 0.1 * max(abs(high), 1e-6)
        bottom, top = low - margin, high + margin
    axes.set_ylim(bottom, top)
    return top


def legend_below(axes: "Axes", **options: Any) -> None:
    """A legend of two columns under the label of the lower axis, whatever the size of the figure."""
    from matplotlib.transforms import ScaledTranslation

    place = axes.transAxes + ScaledTranslation(0, -34 / 72, axes.figure.dpi_scale_trans)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=place, ncols=2, **options)


def paragraph(text: str) -> str:
    """Text as HTML."""
    return f"<p>{html.escape(text)}</p>"


def inline(shown: str, draw: Callable[["Axes"], object], says: str) -> str:
    """HTML for a notebook, and below it what `draw` draws without its title; only the HTML if that fails.

    `says` describes the picture for people who do not see it.
    """
    return f"<div>{shown}{_png(draw, says)}</div>"


def _png(draw: Callable[["Axes"], object], says: str) -> str:
    try:
        from matplotlib.figure import Figure

        figure = Figure(figsize=SIZE, layout="constrained", dpi=2 * 96)  # not of pyplot, which would show it a second time
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title("")
        written = io.BytesIO()
        figure.savefig(written, format="png", facecolor="white")
    except Exception:  # a notebook shows the text, whatever a picture lacks
        return ""
    data, style = base64.b64encode(written.getvalue()).decode(), f"width: {96 * SIZE[0]:.0f}px; max-width: 100%"
    return f'<img alt="{html.escape(says)}" style="{style}" src="data:image/png;base64,{data}">'
