"""Several schedules by name: what pictures and tables take, with batches taken apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lrax.fields._value import lanes, shortest
from lrax.fields._words import argument_error
from lrax.schedules._base import Function, Schedule, ScheduleRule, parts


def named_schedules(caller: str, schedules: Any | Sequence[Any] | Mapping[str, Any]) -> dict[str, Schedule]:
    """A schedule, a list of them or a dict of them, by label; each lane of a batch has a label of its own."""
    if callable(schedules):
        schedules = [schedules]
    if isinstance(schedules, Mapping):
        found: dict[str, Schedule] = {}
        for name, schedule in schedules.items():
            split = lanes(caller, ScheduleRule().convert(caller, name, schedule))
            found |= {
                name if len(split) == 1 else f"{name}: {label}": lane for label, lane in zip(labels(split), split, strict=True)
            }
        return found
    if not isinstance(schedules, Sequence) or isinstance(schedules, str) or not schedules:
        raise argument_error(
            TypeError, caller, "schedules", "a schedule, a list of them, or a dict of them by label", schedules
        )
    lines = [ScheduleRule().convert(caller, f"schedules[{i}]", schedule) for i, schedule in enumerate(schedules)]
    split_lines = [lane for line in lines for lane in lanes(caller, line)]
    return dict(zip(labels(split_lines), split_lines, strict=True))


def kind_of(schedule: Schedule) -> str:
    """What a schedule is made of, without its numbers.

    >>> kind_of(lrax.Warmup(lrax.Cosine(0.1, 0.0, 100), 10)), kind_of(lrax.Function(optax.constant_schedule(0.1)))
    ('Warmup(Cosine)', 'constant_schedule')
    """
    if isinstance(schedule, Function):
        function = getattr(schedule.function, "func", schedule.function)
        return str(getattr(function, "__qualname__", type(function).__name__)).partition(".<locals>")[0]
    inner = parts(schedule)
    return f"{type(schedule).__name__}({', '.join(map(kind_of, inner))})" if inner else type(schedule).__name__


LONG = 60
"""A schedule's call is shown up to this length."""


def labels(schedules: Sequence[Schedule]) -> list[str]:
    """Each schedule in short: its call; where calls are long and of one kind, its kind and the fields that differ.

    Where that does not tell them apart: what they are made of, and their place, counted from 1.

    >>> labels([lrax.warmup_cosine(peak, 20_000, warmup_steps=1000, end=1e-5) for peak in (0.1, 0.2)])
    ['warmup_cosine(peak=0.1)', 'warmup_cosine(peak=0.2)']
    """
    texts = [kind_of(schedule) if isinstance(schedule, Function) else repr(schedule) for schedule in schedules]
    if max(map(len, texts)) <= LONG and len(set(texts)) == len(texts):
        return texts
    groups: dict[str, list[int]] = {}
    for i, schedule in enumerate(schedules):
        groups.setdefault(str(jax.tree.structure(schedule)), []).append(i)
    found = dict(enumerate(texts))
    for group in groups.values():
        found |= zip(group, _short([schedules[i] for i in group], [texts[i] for i in group]), strict=True)
    names = list(found.values())
    return [name if names.count(name) == 1 else f"{name} {names[:i].count(name) + 1}" for i, name in enumerate(names)]


def _short(schedules: Sequence[Schedule], texts: Sequence[str]) -> list[str]:
    """A short label for each of several schedules of one kind."""
    if len(texts) == 1 and len(texts[0]) <= LONG:
        return list(texts)
    names, columns = differing(schedules)
    kind = type(schedules[0]).__name__
    if 0 < len(names) <= 3:
        rows = [", ".join(f"{name}={value:.4g}" for name, value in zip(names, row, strict=True)) for row in columns.T]
        return [f"{kind}({row})" for row in rows]
    whole = kind_of(schedules[0])
    return [whole if len(whole) <= LONG else whole[: LONG - 3] + "..."] * len(schedules)


def differing(schedules: Sequence[Schedule]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The names of the fields that differ between schedules of one kind, and their values, a row a field.

    No names if the schedules are of several kinds, or a field that differs is a list.

    >>> differing([lrax.Cosine(0.1, 0.0, 10), lrax.Cosine(0.2, 0.0, 10)])[0]
    ['start']
    """
    if len({str(jax.tree.structure(schedule)) for schedule in schedules}) > 1:
        return [], np.zeros((0, len(schedules)))
    leaves = [jax.tree.leaves_with_path(schedule) for schedule in schedules]
    columns = [column for column in zip(*leaves, strict=True) if len({np.asarray(leaf).tobytes() for _, leaf in column}) > 1]
    if not columns or any(np.ndim(leaf) for column in columns for _, leaf in column):
        return [], np.zeros((0, len(schedules)))
    paths = [jax.tree_util.keystr(column[0][0])[1:] for column in columns]
    values = np.array([[shortest(np.asarray(leaf)) for _, leaf in column] for column in columns], np.float64)
    last = [path.rpartition(".")[2] for path in paths]
    return [name if last.count(name) == 1 else path for name, path in zip(last, paths, strict=True)], values
