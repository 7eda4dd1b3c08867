"""Sweeps and races as text."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from lrax.schedules._named import kind_of

if TYPE_CHECKING:
    from lrax.sweeps._race_result import Race
    from lrax.sweeps._result import Sweep

LONG = 60
"""A schedule's call is shown up to this length."""

ROWS = 60
"""A table shows this many settings; of more, the best."""


def sweep_table(sweep: "Sweep") -> str:
    """One row a setting, then the best and its margin, then how it was run."""
    settings, best = sweep.settings, sweep.best
    shown = settings
    if len(settings) > ROWS:
        kept = sorted(range(len(settings)), key=lambda i: settings[i].score)[:ROWS]
        shown = tuple(settings[i] for i in sorted(kept))
    seeds = any(len(setting.lanes) > 1 for setting in settings)
    header = ["", "schedule", "peak rate", "score", *(["low - high"] if seeds else []), "lanes", ""]
    names = dict(zip((setting.lanes for setting in settings), labels([s.schedule for s in settings]), strict=True))
    rows = []
    for setting in shown:
        score = "-" if math.isinf(setting.score) else f"{setting.score:.4g}"
        span = "-" if math.isnan(setting.low) else f"{setting.low:.4g} - {setting.high:.4g}"
        of = f"{setting.diverged} of {len(setting.lanes)} " if len(setting.lanes) > 1 else ""
        mark = "*" if best is not None and setting.lanes == best.lanes else ""
        diverged = f"{of}diverged" if setting.diverged else ""
        spans = [span] if seeds else []
        rows.append([mark, names[setting.lanes], f"{setting.peak:.4g}", score, *spans, ranges(setting.lanes), diverged])
    lines = align([header, *rows], right=(2, 3))
    if len(settings) > ROWS:
        lines.append(f"... and {len(settings) - ROWS} settings that are worse")
    lines.append(_verdict(sweep, names))
    if sweep.plan:
        lines.append(f"{len(sweep.schedules)} lanes, {sweep.plan}")
    return "\n".join(lines)


def _verdict(sweep: "Sweep", names: Mapping[Any, str]) -> str:
    best, margin = sweep.best, sweep.margin
    if best is None:
        return "no best: every setting has a lane that diverged"
    text = f"best: {names[best.lanes]}, score {best.score:.4g}"
    if margin is None:
        return text + ("; every other diverged" if len(sweep.settings) > 1 else "")
    if math.isnan(margin.error):
        return f"{text}, {margin.ahead:.4g} ahead of the next"
    sure = "" if margin.ahead > 2 * margin.error else ": not to be told apart"
    return f"{text}, {margin.ahead:.4g} ± {margin.error:.2g} ahead of the next over {margin.seeds} seeds{sure}"


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


def labels(schedules: Sequence[Any]) -> list[str]:
    """Each schedule in short: its call; where calls are long and of one kind, its kind and the fields that differ.

    Where that does not tell them apart: what they are made of, and their place.

    >>> labels([lrax.warmup_cosine(peak, 2000, 100) for peak in (0.1, 0.2)])
    ['Shift(schedule.schedule.start=0.1)', 'Shift(schedule.schedule.start=0.2)']
    """
    texts = [repr(schedule) for schedule in schedules]
    if max(map(len, texts)) <= LONG and len(set(texts)) == len(texts):
        return texts
    if len({str(jax.tree.structure(schedule)) for schedule in schedules}) == 1:
        leaves = [jax.tree.leaves_with_path(schedule) for schedule in schedules]
        columns = [
            column for column in zip(*leaves, strict=True) if len({np.asarray(leaf).tobytes() for _, leaf in column}) > 1
        ]
        if 0 < len(columns) <= 3 and all(np.ndim(leaf) == 0 for column in columns for _, leaf in column):
            fields = [[f"{jax.tree_util.keystr(path)[1:]}={leaf:.4g}" for path, leaf in column] for column in columns]
            return [
                f"{type(one).__name__}({', '.join(row)})" for one, row in zip(schedules, zip(*fields, strict=True), strict=True)
            ]
    kinds = [kind_of(schedule) for schedule in schedules]
    short = [kind if len(kind) <= LONG else kind[: LONG - 3] + "..." for kind in kinds]
    return [
        text if len(text) <= LONG and texts.count(text) == 1 else f"{kind} [{i}]"
        for i, (text, kind) in enumerate(zip(texts, short, strict=True))
    ]


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


def race_table(race: "Race") -> str:
    """One row a lane, from best to worst, then what was spent."""
    rows = [["", "schedule", "peak rate", "end loss", "rungs", "lane"]]
    names = labels(race.schedules)
    for lane in race.order[:ROWS]:
        loss = f"{race.end_losses[lane]:.4g}" if math.isfinite(race.end_losses[lane]) else "diverged"
        mark = "*" if lane == race.best else ""
        rows.append([mark, names[lane], f"{race.peaks[lane]:.4g}", loss, str(race.rungs[lane]), str(lane)])
    lines = align(rows, right=(2, 3, 4))
    ended = [f"the data ended after {race.losses.shape[1]} updates, before the last rung did"] if race.ended else []
    return "\n".join([*lines, *ended, f"{race.updates} updates in all; {race.plan}"])
