"""A schedule as a table of text: its ends, where it bends or jumps, and some of what is between."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lrax.fields._rules import LARGEST, whole_number
from lrax.fields._words import Text, argument_error, check_call
from lrax.schedules._base import Schedule, last_landmark
from lrax.schedules._named import named_schedules

POINTS = 2049
"""Counts that are looked at together, one compiled program for all of them."""

MOST_MARKS = 64
"""Up to so many landmarks of a schedule have their lines."""

HEAD = 26
"""A longer label stands above the columns, with a number for its column."""

BAR = 32
"""Width of the longest bar, in characters."""


@check_call
def table(schedules: Any | Sequence[Any] | Mapping[str, Any], steps: int | None = None, rows: int = 16) -> Text:
    """The rates of one or more schedules as text, a line a count.

    The counts are both ends, where a schedule has its largest rate, where it bends or jumps (for a jump, both sides), and
    evenly spaced ones between. A single schedule has a bar beside each rate.

    Args:
      schedules: a schedule or any callable `count -> rate`; a list of them; or a dict of them by label. A batch of schedules
        (fields with a leading axis) has a column a lane.
      steps: the last count; by default the last landmark of any: an end, a boundary, a few drops or cycles of what is endless
        (1000 if there are none).
      rows: about how many lines, an integer of at least 2; the boundaries of lists are all shown.

    Returns: lines of text, a `str` that a notebook and a prompt show as lines.

    Raises: TypeError for something that is no schedule; ValueError if `steps` is below 1 or `rows` below 2.

    >>> print(table(lrax.wsd(peak=0.5, total_steps=100, warmup_steps=4, cooldown_steps=20), rows=8))
    count  rate
        0   0.1  ######
        4   0.5  ################################
       25   0.5  ################################
       50   0.5  ################################
       75   0.5  ################################
       80   0.5  ################################
      100     0
    """
    lines = named_schedules("table", schedules)
    steps = steps if steps is not None else last_landmark(lines.values()) or 1000
    steps = whole_number("table", "steps", steps, 1, LARGEST)
    if not isinstance(rows, int) or rows < 2:
        raise argument_error(ValueError, "table", "rows", "an integer of at least 2", rows)
    functions = [jax.jit(jax.vmap(line)) for line in lines.values()]
    found = {count for function in functions for count in changes(function, steps, rows // (2 * len(functions)))}
    for function, line in zip(functions, lines.values(), strict=True):
        found |= boundaries(function, line, steps)
    even = np.linspace(0, steps, max(rows - len(found), 2)).astype(np.int64)
    counts = sorted(found | {int(count) for count in even})
    columns = [_rates(function, np.array(counts)) for function in functions]
    heads = [label if len(label) <= HEAD else f"[{i}]" for i, label in enumerate(lines)] if len(lines) > 1 else ["rate"]
    legend = [f"{head} {label}" for head, label in zip(heads, lines, strict=True) if head not in (label, "rate")]
    cells = [["count", *map(str, counts)]]
    cells += [[head, *(f"{rate:.6g}" for rate in column)] for head, column in zip(heads, columns, strict=True)]
    widths = [max(map(len, column)) for column in cells]
    bars = [""] + [_bar(rate, columns[0].max()) if len(columns) == 1 else "" for rate in columns[0]]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in zip(*cells, strict=True)]
    return Text("\n".join([*legend, *(f"{line}  {bar}".rstrip() for line, bar in zip(text, bars, strict=True))]))


def boundaries(function: Callable[[Any], Any], schedule: Schedule, steps: int) -> set[int]:
    """The first landmarks of a schedule, where something may be too slight or too dense to be found; for a jump, both sides."""
    marks = sorted({mark for mark in schedule.landmarks if 0 < mark <= steps})[:MOST_MARKS]
    if not marks:
        return set()
    around = np.maximum(np.array(marks)[:, None] + np.arange(-2, 1), 0)
    before, across = np.abs(np.diff(_rates(function, around.ravel()).reshape(-1, 3))).T
    jumps = across > 4 * before
    return {*marks, *(mark - 1 for mark, jump in zip(marks, jumps, strict=True) if jump)}


def _bar(rate: float, largest: float) -> str:
    return "#" * round(BAR * rate / largest) if 0 < rate <= largest else ""


def _rates(function: Callable[[Any], Any], counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The rates at some counts, padded so that every call has one shape."""
    padded = np.zeros(max(POINTS, counts.size), np.int32)
    padded[: counts.size] = np.minimum(counts, LARGEST)
    return np.asarray(function(padded), np.float64)[: counts.size]


def changes(function: Callable[[Any], Any], steps: int, most: int) -> list[int]:
    """At most so many places up to `steps` where a rate bends or jumps, found by looking; for a jump, both its sides.

    A place is where the slope changes far more than around it; longer schedules are looked at from afar first. What is too
    slight for float32 rates to show is left out.
    """
    stride = -(-steps // (POINTS - 3))
    counts = stride * np.arange(POINTS)
    rates = _rates(function, counts)
    spread = np.ptp(rates[counts <= steps])
    if not np.isfinite(spread):
        return []
    bend = _bends(rates)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(bend, 3), 7)
    peaks = (bend >= around.max(axis=1)) & (bend > 1e-4 * spread) & (bend > 4 * np.maximum(around[:, 0], around[:, 6]))
    places = sorted(np.flatnonzero(peaks & (counts <= steps)), key=lambda i: -bend[i])[:most]
    found = {count for i in places for count in _refined(function, int(counts[i]), stride)}
    within = rates[counts <= steps]
    found.add(int(counts[np.argmax(within >= within.max() - 1e-6 * spread)]))
    return sorted(count for count in found if 0 <= count <= steps)


def _refined(function: Callable[[Any], Any], count: int, stride: int) -> list[int]:
    """A bend seen near `count` from afar, to the update, or as near as float32 rates show it."""
    while stride > 1:
        low = max(count - 2 * stride, 0)
        finer = -(-4 * stride // (POINTS - 3))
        counts = low + finer * np.arange(POINTS)
        rates = _rates(function, counts)
        bend = _bends(rates)
        if bend.max() < 8 * np.spacing(np.float32(np.abs(rates).max())):
            return [count]
        count, stride = int(counts[np.argmax(bend)]), finer
    near = max(count - 1, 0) + np.arange(3)
    bend = _bends(_rates(function, max(count - 2, 0) + np.arange(5)))[1:-1] if count >= 2 else np.ones(3)
    return [int(one) for one, size in zip(near, bend, strict=True) if one == count or (count >= 2 and size > bend.max() / 2)]


def _bends(rates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How much the slope changes at each point; nothing at the two ends."""
    return np.pad(np.abs(np.diff(rates, 2)), 1)
