"""Sweeps and races as tables of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lrax.schedules._named import labels
from lrax.sweeps._settings import Setting, end_of_range, margin_of, ranked

ROWS = 60
"""A table shows this many settings; of more, the best."""

BEST = "*"
"""Marks the row of the best."""


class Table(NamedTuple):
    """What is printed.

    Attributes:
      rows: of cells; the first is the header.
      right: the columns that are set to the right.
      notes: lines below.
    """

    rows: list[list[str]]
    right: tuple[int, ...]
    notes: list[str]

    def __str__(self) -> str:
        return "\n".join([*align(self.rows, self.right), *self.notes])


def sweep_table(settings: Sequence[Setting], scores: np.ndarray[Any, Any], plan: str) -> Table:
    """One row a setting, then the best and its margin, then how it was run."""
    best = next(iter(ranked(settings)), None)
    shown = settings
    if len(settings) > ROWS:
        kept = sorted(range(len(settings)), key=lambda i: settings[i].score)[:ROWS]
        shown = tuple(settings[i] for i in sorted(kept))
    seeds = any(len(setting.lanes) > 1 for setting in settings)
    header = ["", "schedule", "peak rate", "score", *(["low - high"] if seeds else []), "lanes", ""]
    names = dict(zip((setting.lanes for setting in settings), labels([s.schedule for s in settings]), strict=True))
    rows = [header]
    for setting in shown:
        score = "-" if math.isinf(setting.score) else f"{setting.score:.4g}"
        span = "-" if math.isnan(setting.low) else f"{setting.low:.4g} - {setting.high:.4g}"
        of = f"{setting.diverged} of {len(setting.lanes)} " if len(setting.lanes) > 1 else ""
        mark = BEST if best is not None and setting.lanes == best.lanes else ""
        diverged = f"{of}diverged" if setting.diverged else ""
        spans = [span] if seeds else []
        rows.append([mark, names[setting.lanes], f"{setting.peak:.4g}", score, *spans, ranges(setting.lanes), diverged])
    notes = [f"... and {len(settings) - ROWS} settings that are worse"] if len(settings) > ROWS else []
    notes.append(_verdict(settings, scores, names))
    if best is not None:
        place = next(i for i, setting in enumerate(settings) if setting is best)
        notes += range_note([setting.schedule for setting in settings], [setting.peak for setting in settings], place)
    if plan:
        notes.append(f"{len(scores)} lanes, {plan}")
    return Table(rows, (2, 3), notes)


def _verdict(settings: Sequence[Setting], scores: np.ndarray[Any, Any], names: Mapping[Any, str]) -> str:
    best, margin = next(iter(ranked(settings)), None), margin_of(settings, scores)
    if best is None:
        return "no best: every setting has a lane that diverged"
    text = f"best: {names[best.lanes]}, score {best.score:.4g}"
    if margin is None:
        return text + ("; every other diverged" if len(settings) > 1 else "")
    if math.isnan(margin.error):
        return f"{text}, {margin.ahead:.4g} ahead of the next"
    sure = "" if margin.ahead > 2 * margin.error else ": not to be told apart"
    ahead = "ahead of the next" if margin.ahead >= 0 else "behind the next in the mean"
    return f"{text}, {abs(margin.ahead):.4g} ± {margin.error:.2g} {ahead} over {margin.seeds} seeds{sure}"


def race_table(
    schedules: Sequence[Any],
    peaks: np.ndarray[Any, Any],
    ends: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None],
    won: bool,
    rungs: Any,
    order: Any,
    spent: str,
) -> Table:
    """One row a lane, from best to worst, then what was spent; `ends` are the lanes' end losses and end metrics, if any."""
    losses, metrics = ends
    extra = [] if metrics is None else ["end metric"]
    rows = [["", "schedule", "peak rate", *extra, "end loss", "rungs", "lane"]]
    names, finite = labels(schedules), np.isfinite(losses)
    for place, lane in enumerate(order[:ROWS]):
        loss = f"{losses[lane]:.4g}" if finite[lane] else "diverged"
        metric = [] if metrics is None else [f"{metrics[lane]:.4g}" if finite[lane] else "-"]
        mark = BEST if place == 0 and won else ""
        rows.append([mark, names[lane], f"{peaks[lane]:.4g}", *metric, loss, str(rungs[lane]), str(lane)])
    notes = [f"... and {len(order) - ROWS} lanes that are worse"] if len(order) > ROWS else []
    lost = "no best: every lane diverged" + ("" if metrics is None else ", or has no finite metric")
    notes += range_note(schedules, peaks.tolist(), int(order[0])) if won else [lost]
    return Table(rows, tuple(range(2, len(rows[0]) - 1)), [*notes, spent])


def range_note(schedules: Sequence[Any], peaks: Sequence[float], best: int) -> list[str]:
    """What to do where the best rate stands at an end of what was tried."""
    end = end_of_range(schedules, peaks, best)
    direction = {"highest": "higher", "lowest": "lower", None: ""}[end]
    return [f"the best peak rate, {peaks[best]:.4g}, is the {end} that was tried: try {direction} ones"] if end else []


def align(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows as lines, their columns two spaces apart.

    >>> align([["a", "b"], ["1", "22"]], right=[1])
    ['a   b', '1  22']
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    widths[0] = max(widths[0], 1)
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def ranges(lanes: Sequence[int]) -> str:
    """Numbers in short.

    >>> ranges((0, 1, 2, 5))
    '0-2, 5'
    """
    parts: list[list[int]] = []
    for lane in lanes:
        if parts and lane == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], lane]
        else:
            parts.append([lane])
    return ", ".join("-".join(map(str, part)) for part in parts)
