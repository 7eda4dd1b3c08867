"""Lines as a small picture in a notebook: SVG, written here, so that it needs nothing."""

import html
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrax._pictures import plain

POINTS = 321
"""Counts of a line."""

MOST_LINES = 32
"""Up to so many lines are drawn."""

DECADES = 1e3
"""Rates above 0 of which the largest is so many times the smallest are drawn over their logarithms."""

LONG = 320
"""So much of a caption is shown."""

SHORT = 100
"""A schedule that ends after so few updates may be one of epochs."""

WIDTH, HEIGHT, LEFT, TOP, BELOW = 480, 160, 64, 12, 24
LIGHTNESS = (210, 225, 240, 255, 270, 285, 300, 315, 330, 360, 375, 390), (49, 61, 67, 65, 62, 57, 48, 50, 54, 56, 48, 41)
"""Hues, and how light each is at a luminance of 0.2 (WCAG), for which white and black are equally far."""

APART = 40
"""Numbers along the lower axis have so much room at least."""


def counts_shown(steps: int, marks: Sequence[int]) -> np.ndarray[Any, Any]:
    """The counts of a line, up to `steps`, at most `POINTS`: evenly, and both sides of each mark, where it may jump.

    >>> print(counts_shown(1000, [500])[158:162])
    [496 499 500 503]
    """
    sides = [count for mark in sorted(set(marks))[: POINTS // 8] for count in (mark - 1, mark) if 0 <= count <= steps]
    even = np.linspace(0, steps, POINTS - len(sides)).astype(np.int64)
    return np.unique(np.concatenate([even, np.array(sides, np.int64)]))


def drawing(
    counts: np.ndarray[Any, Any], lines: Sequence[np.ndarray[Any, Any]], marks: Sequence[int], caption: str, note: str = ""
) -> str:
    """Lines over the update count, with numbers at the ends of the upright axis and at the marks, and a caption.

    Where rates span decades the upright axis is logarithmic, and says so; where they change by little beside their height, it
    does not begin at zero.

    >>> print(drawing(np.arange(3), [np.array([0.0, 1.0, 0.5])], [2], "a < b")[-27:])
    <code>a &lt; b</code></div>
    """
    finite = np.concatenate([line[np.isfinite(line)] for line in lines] or [np.zeros(0)])
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))
    logarithmic = low > 0 and high > DECADES * low
    if not finite.size or not (logarithmic or (low > 0 and high - low < high / 4 and low < high)):
        low, high = min(0.0, low), max(0.0, high)
    scale = np.log if logarithmic else np.asarray
    bottom, last = TOP + HEIGHT, max(int(counts[-1]), 1)
    span = float(scale(high) - scale(low)) or 1.0
    paths = []
    for i, line in enumerate(lines):
        known = np.isfinite(line)
        places = [
            f"{LEFT + WIDTH * count / last:.1f},{bottom - HEIGHT * (scale(rate) - scale(low)) / span:.1f}"
            for count, rate in zip(counts[known], line[known].astype(np.float64), strict=True)
        ]
        paths.append(f'<polyline points="{" ".join(places)}" fill="none" stroke="{_colour(i, len(lines))}" stroke-width="2"/>')
    texts: list[tuple[float, int, str, str]] = [
        (LEFT - 6, TOP + 4, "end", _short(high)),
        (LEFT - 6, bottom + 4, "end", _short(low)),
    ]
    texts += [(LEFT + WIDTH * mark / last, bottom + 16, "middle", str(mark)) for mark in _apart(marks, last)]
    texts.append((LEFT + WIDTH + 8, bottom + 4, "start", "updates"))
    if logarithmic:
        texts.append((LEFT + 6, TOP + 4, "start", "logarithmic"))
    words = "".join(f'<text x="{x:.0f}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    ticks = "".join(f" M{LEFT + WIDTH * mark / last:.1f},{bottom} v4" for mark in _apart(marks, last))
    frame = f'<path d="M{LEFT},{TOP} V{bottom} H{LEFT + WIDTH}{ticks}" fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
    many = f"{len(lines)} lines, from the first in blue to the last in orange<br>" if len(lines) > 1 else ""
    caption = caption if len(caption) <= LONG else caption[: LONG - 3] + "..."
    said = f"<br><small>{html.escape(note)}</small>" if note else ""
    return (
        f'<div><svg width="{LEFT + WIDTH + 64}" height="{bottom + BELOW}" style="max-width: 100%" font-size="11" '
        f'font-family="sans-serif" fill="currentColor" role="img">'
        f"{frame}{''.join(paths)}{words}</svg><br>{many}<code>{html.escape(caption)}</code>{said}</div>"
    )


def hint(lengths: Sequence[Any]) -> str:
    """What is said of schedules that are all so short that their lengths may be meant in epochs; "" of others.

    >>> hint([100, None]), hint([10])
    ('', 'ends after 10 updates; if 10 epochs are meant: lrax.steps_for')
    """
    known = [int(length) for length in lengths if length is not None]
    if len(known) < len(lengths) or max(known, default=SHORT) >= SHORT:
        return ""
    return f"ends after {max(known)} updates; if {max(known)} epochs are meant: lrax.steps_for"


def _apart(marks: Sequence[int], last: int) -> list[int]:
    """Zero and the marks that leave room between their numbers, the last before the others."""
    shown = [0]
    for mark in itertools.chain(sorted(marks)[-1:], sorted(marks)):
        if 0 < mark <= last and all(WIDTH * abs(mark - other) >= APART * last for other in shown):
            shown.append(mark)
    return shown


def _short(rate: float) -> str:
    return plain(float(f"{rate:.3g}"))


def _colour(place: int, number: int) -> str:
    """Blue, and for several lines by way of purple and red to orange: all equally far from white and from black."""
    hue = 210 + 180 * place / max(number - 1, 1)
    return f"hsl({hue % 360:.0f},75%,{np.interp(hue, *LIGHTNESS):.0f}%)"
