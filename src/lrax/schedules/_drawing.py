"""Lines as a small picture in a notebook: SVG, written here, so that it needs nothing."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

POINTS = 257
"""Counts of a line."""

MOST_LINES = 32
"""Up to so many lines are drawn."""

WIDTH, HEIGHT, LEFT, TOP, BELOW = 420, 150, 64, 10, 22


def drawing(counts: np.ndarray[Any, Any], lines: Sequence[np.ndarray[Any, Any]], caption: str) -> str:
    """Lines over the update count, with the numbers at the ends of both axes, and a caption.

    >>> print(drawing(np.arange(3), [np.array([0.0, 1.0, 0.5])], "a < b")[-27:])
    <code>a &lt; b</code></div>
    """
    finite = np.concatenate([line[np.isfinite(line)] for line in lines] or [np.zeros(1)])
    low, high = min(0.0, float(finite.min(initial=0))), max(0.0, float(finite.max(initial=0)))
    span, last = (high - low) or 1.0, max(int(counts[-1]), 1)
    paths = []
    for i, line in enumerate(lines):
        known = np.isfinite(line)
        places = [
            f"{LEFT + WIDTH * count / last:.1f},{TOP + HEIGHT * (high - rate) / span:.1f}"
            for count, rate in zip(counts[known], line[known], strict=True)
        ]
        color = f"hsl({240 - 200 * i // max(len(lines) - 1, 1)},60%,45%)"
        paths.append(f'<polyline points="{" ".join(places)}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    bottom, right = TOP + HEIGHT, LEFT + WIDTH
    texts = [
        (LEFT - 6, TOP + 4, "end", f"{high:.4g}"),
        (LEFT - 6, bottom + 4, "end", f"{low:.4g}"),
        (LEFT, bottom + 16, "start", "0"),
        (right, bottom + 16, "end", f"{last} updates"),
    ]
    words = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    frame = f'<path d="M{LEFT},{TOP} V{bottom} H{right}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
    return (
        f'<div><svg width="{right + 16}" height="{bottom + BELOW}" font-size="11" font-family="sans-serif" fill="currentColor">'
        f"{frame}{''.join(paths)}{words}</svg><br><code>{html.escape(caption)}</code></div>"
    )
