"""Sweeps and races as tables of text."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lrax.schedules._named import kind_of
from lrax.sweeps._settings import Setting, end_of_range, margin_of, ranked

LONG = 60
"""A schedule's call is shown up to this length."""

ROWS = 60
"""A table shows this many settings; of more, the best."""


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
        mark = "*" if best is not None and setting.lanes == best.lanes else ""
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
    return f"{text}, {margin.ahead:.4g} ± {margin.error:.2g} ahead of the next over {margin.seeds} seeds{sure}"


def race_table(
    schedules: Sequence[Any], peaks: np.ndarray[Any, Any], end_losses: np.ndarray[Any, Any], rungs: Any, order: Any, spent: str
) -> Table:
    """One row a lane, from best to worst, then what was spent."""
    rows = [["", "schedule", "peak rate", "end loss", "rungs", "lane"]]
    names, finite = labels(schedules), np.isfinite(end_losses)
    for place, lane in enumerate(order[:ROWS]):
        loss = f"{end_losses[lane]:.4g}" if finite[lane] else "diverged"
        mark = "*" if place == 0 and finite[lane] else ""
        rows.append([mark, names[lane], f"{peaks[lane]:.4g}", loss, str(rungs[lane]), str(lane)])
    notes = [f"... and {len(order) - ROWS} lanes that are worse"] if len(order) > ROWS else []
    notes += range_note(schedules, peaks.tolist(), int(order[0])) if finite[order[0]] else ["no best: every lane diverged"]
    return Table(rows, (2, 3, 4), [*notes, spent])


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


def labels(schedules: Sequence[Any]) -> list[str]:
    """Each schedule in short: its call; where calls are long, what differs between those of one name.

    Where that does not tell them apart: what they are made of, and their place.

    >>> labels([lrax.PiecewiseConstant([0.1, low], list(range(100, 101))) for low in (0.05, 0.01)])[0]
    'PiecewiseConstant(values=[0.1, 0.05], boundaries=[100])'
    """
    texts = [repr(schedule) for schedule in schedules]
    groups: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        groups.setdefault(text.partition("(")[0], []).append(i)
    found = list(texts)
    for members in groups.values():
        short = _told_apart([schedules[i] for i in members], [texts[i] for i in members])
        for i, label in zip(members, short, strict=True):
            found[i] = label
    return [label if found.count(label) == 1 else f"{label} [{i}]" for i, label in enumerate(found)]


def _told_apart(schedules: Sequence[Any], texts: Sequence[str]) -> list[str]:
    """Labels of schedules whose calls have one name; they may be the same where nothing short tells them apart."""
    ways: tuple[Callable[[], Sequence[str]], ...] = (
        lambda: texts,
        lambda: _differing_arguments(texts),
        lambda: _differing_leaves(schedules),
    )
    for shorten in ways:
        found = shorten()
        if found and max(map(len, found)) <= LONG and len(set(found)) == len(found):
            return list(found)
    kinds = [kind_of(schedule) for schedule in schedules]
    return [kind if len(kind) <= LONG else kind[: LONG - 3] + "..." for kind in kinds]


def _differing_arguments(texts: Sequence[str]) -> list[str]:
    """Calls with those arguments that are not the same in all; none if they are no calls with the same arguments.

    >>> _differing_arguments(["f(x=[1, 2], y=g(1, 2))", "f(x=[1, 3], y=g(1, 2))"])
    ['f(x=[1, 2])', 'f(x=[1, 3])']
    """
    calls = [_call(text) for text in texts]
    if len({tuple(call) for call in calls}) != 1 or not calls[0]:
        return []
    names = [name for name in calls[0] if len({call[name] for call in calls}) > 1]
    return [f"{texts[0].partition('(')[0]}({', '.join(f'{name}={call[name]}' for name in names)})" for call in calls]


def _call(text: str) -> dict[str, str]:
    """The arguments of a call, `name(argument=value, ...)`, as text; none for other text."""
    inside, parts, depth = text.partition("(")[2][:-1], [""], 0
    for sign in inside:
        depth += (sign in "([{<") - (sign in ")]}>")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    pairs = [part.strip().partition("=") for part in parts]
    return {name: value for name, _, value in pairs} if all(sign for _, sign, _ in pairs) else {}


def _differing_leaves(schedules: Sequence[Any]) -> list[str]:
    """Kinds with those numbers, by their paths, that are not the same in all; none if there are many, or kinds differ."""
    if len({str(jax.tree.structure(schedule)) for schedule in schedules}) != 1:
        return []
    leaves = [jax.tree.leaves_with_path(schedule) for schedule in schedules]
    columns = [column for column in zip(*leaves, strict=True) if len({np.asarray(leaf).tobytes() for _, leaf in column}) > 1]
    if not 0 < len(columns) <= 3 or any(np.ndim(leaf) for column in columns for _, leaf in column):
        return []
    fields = [[f"{jax.tree_util.keystr(path)[1:]}={leaf:.4g}" for path, leaf in column] for column in columns]
    return [f"{type(one).__name__}({', '.join(row)})" for one, row in zip(schedules, zip(*fields, strict=True), strict=True)]


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
