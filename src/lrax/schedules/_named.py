"""Several schedules by name: what pictures and tables take, with batches taken apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lrax.fields._value import ranks
from lrax.fields._words import complain
from lrax.schedules._base import Function, Schedule, ScheduleRule


def named_schedules(owner: str, schedules: Any | Sequence[Any] | Mapping[str, Any]) -> dict[str, Schedule]:
    """A schedule, a list of them or a dict of them, by label; each lane of a batch has a label of its own."""
    if callable(schedules):
        schedules = [schedules]
    if isinstance(schedules, Mapping):
        found: dict[str, Schedule] = {}
        for name, schedule in schedules.items():
            parts = lanes(owner, ScheduleRule().convert(owner, name, schedule))
            found |= {name if len(parts) == 1 else f"{name} [{i}]": lane for i, lane in enumerate(parts)}
        return found
    if not isinstance(schedules, Sequence) or isinstance(schedules, str) or not schedules:
        raise complain(TypeError, owner, "schedules", "a schedule, a list of them, or a dict of them by label", schedules)
    lines = [ScheduleRule().convert(owner, f"schedules[{i}]", schedule) for i, schedule in enumerate(schedules)]
    split_lines = [lane for line in lines for lane in lanes(owner, line)]
    return dict(zip(_labels(split_lines), split_lines, strict=True))


def longest_length(schedules: Iterable[Schedule]) -> int | None:
    """The longest length; None if all are endless."""
    return max((int(schedule.length) for schedule in schedules if schedule.length is not None), default=None)


def kind_of(schedule: Schedule) -> str:
    """What a schedule is made of, without its numbers.

    >>> kind_of(lrax.warmup_cosine(0.1, 100, 10)), kind_of(lrax.Function(optax.constant_schedule(0.1)))
    ('Shift(Warmup(Cosine))', 'constant_schedule')
    """
    if isinstance(schedule, Function):
        function = getattr(schedule.function, "func", schedule.function)
        return str(getattr(function, "__qualname__", type(function).__name__)).partition(".<locals>")[0]
    fields = [getattr(schedule, name) for name in schedule._rules]
    inner = [
        part for field in fields for part in (field if isinstance(field, tuple) else (field,)) if isinstance(part, Schedule)
    ]
    return f"{type(schedule).__name__}({', '.join(map(kind_of, inner))})" if inner else type(schedule).__name__


def lanes(owner: str, schedule: Schedule) -> list[Schedule]:
    """The schedules of a batch, one after the other; a schedule that is no batch, alone.

    >>> lanes("plot", lrax.Linear(start=np.array([0.1, 0.2]), end=0.0, steps=10))
    [Linear(start=0.1, end=0.0, steps=10), Linear(start=0.2, end=0.0, steps=10)]
    """
    leaves, structure = jax.tree.flatten(schedule)
    extra = [0 if rank is None else np.ndim(leaf) - rank for leaf, rank in zip(leaves, ranks(schedule), strict=True)]
    sizes = {np.shape(leaf)[0] for leaf, axes in zip(leaves, extra, strict=True) if axes}
    if not sizes:
        return [schedule]
    if len(sizes) > 1 or max(extra) > 1:
        raise complain(ValueError, owner, "schedules", "of at most one leading axis, the same for all fields", schedule)
    return [
        jax.tree.unflatten(structure, [leaf[i] if axes else leaf for leaf, axes in zip(leaves, extra, strict=True)])
        for i in range(sizes.pop())
    ]


def _labels(schedules: Sequence[Schedule]) -> list[str]:
    """A short label for each schedule: its call, or its kind and its place in the list."""
    calls = [repr(schedule) for schedule in schedules]
    return [
        call if len(call) <= 60 and calls.count(call) == 1 else f"{type(schedule).__name__} [{i}]"
        for i, (call, schedule) in enumerate(zip(calls, schedules, strict=True))
    ]
