"""Sweeps and races as tables of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.schedules._display import labels
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
      verdict: a line above, "" for none.
    """

    rows: list[list[str]]
    right: tuple[int, ...]
    notes: list[str]
    verdict: str = ""

    def __str__(self) -> str:
        return "\n".join([*([self.verdict] if self.verdict else []), *align(self.rows, self.right), *self.notes])


def sweep_table(settings: Sequence[Setting], scores: np.ndarray[Any, Any], metrics: Any, plan: str) -> Table:
    """The best setting compared with the runner-up, one row for each setting, then what to know and how it was run."""
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
    if best is not None:
        place = next(i for i, setting in enumerate(settings) if setting is best)
        notes += range_note([setting.schedule for setting in settings], [setting.peak for setting in settings], place)
    diverged = np.isnan(scores)
    if diverged.any() and best is not None:
        notes.append(f"{diverged.sum()} of {len(scores)} runs diverged: their scores are not finite")
    notes += not_finite_notes(metrics, diverged)
    if plan:
        notes.append(f"{len(scores)} lanes, {plan}")
    return Table(rows, (2, 3), notes, _verdict(settings, scores, names))


def not_finite_notes(metrics: Any, diverged: np.ndarray[Any, Any]) -> list[str]:
    """A line for each metric with numbers that are not finite in runs that did not diverge; in all runs if all diverged."""
    notes = []
    chosen = ~diverged if not diverged.all() else diverged
    for path, leaf in jax.tree.leaves_with_path(metrics):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact) or not np.size(leaf):
            continue
        lacking = ~_finite(leaf)[chosen].reshape(chosen.sum(), -1)
        each, size = lacking.sum(axis=1), lacking.shape[1]
        if each.any():
            up_to = "" if (each == each[0]).all() else "up to "
            what = "steps" if np.ndim(leaf) == 2 else "numbers"
            where = f" at {up_to}{each.max()} of {size} {what}" if np.ndim(leaf) > 1 else ""
            runs = f" in {(each > 0).sum()} of {len(each)} runs" if not each.all() or np.ndim(leaf) == 1 else ""
            notes.append(f"metrics{jax.tree_util.keystr(path)} is not finite{where}{runs}")
    return notes


def _finite(leaf: Any) -> np.ndarray[Any, Any]:
    """Which numbers are finite; NumPy may not know the dtype, such as bfloat16, and JAX would cut float64 down."""
    array = np.asarray(leaf)
    return np.isfinite(array) if array.dtype.kind in "fc" else np.asarray(jnp.isfinite(leaf))


def _verdict(settings: Sequence[Setting], scores: np.ndarray[Any, Any], names: Mapping[Any, str]) -> str:
    """Which setting is the best, and how it compares with the runner-up: one sentence."""
    order, margin = ranked(settings), margin_of(settings, scores)
    if not order:
        return "no best: every setting has a run that diverged, whose score is not finite"
    median = f" (median of {len(order[0].lanes)} seeds)" if len(order[0].lanes) > 1 else ""
    best = "best" if margin is None or margin.ahead >= 0 else "best by the median"
    text = f"{best}: {names[order[0].lanes]}, score {order[0].score:.4g}{median}"
    if margin is None:
        return text + ("; every other setting has a run that diverged" if len(settings) > 1 else "")
    other, size = names[order[1].lanes], f"{abs(margin.ahead):.4g}"
    word = "lower" if margin.ahead >= 0 else "higher"
    if math.isnan(margin.error):
        return f"{text}, {word} than the runner-up, {other}, by {size}; not tested, for that takes several seeds"
    size = f"by {size} ± {margin.error:.2g} in the mean over {margin.seeds} seeds"
    if abs(margin.ahead) > 2 * margin.error:
        return f"{text}, significantly {word} than the runner-up, {other}, {size}"
    return f"{text}, not significantly different from the runner-up, {other}: {word} {size}"


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
    """What to do if the best peak learning rate is at an end of those that were tried."""
    end = end_of_range(schedules, peaks, best)
    direction = {"highest": "higher", "lowest": "lower", None: ""}[end]
    return [f"the best peak learning rate, {peaks[best]:.4g}, is the {end} that was tried: try {direction} ones"] if end else []


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
