"""Schedules as text, tables and pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import numpy.typing as npt

from lrax._pictures import colour_bar, in_order, legend_below, look_of, new_axes, rate_map, set_plain_log
from lrax.fields._errors import Text, argument_error, check_call
from lrax.fields._rules import LARGEST, whole_number
from lrax.fields._value import shortest, unbatch
from lrax.schedules._base import Function, RateFunction, Schedule, ScheduleRule, last_landmark, parts
from lrax.schedules._recipes import one_cycle_momentum

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def named_schedules(caller: str, schedules: object) -> dict[str, Schedule]:
    """A schedule, a list of them or a dict of them, by label; each schedule of a batch has its own label."""
    if callable(schedules):
        schedules = [schedules]
    if isinstance(schedules, Mapping):
        found: dict[str, Schedule] = {}
        for name, schedule in schedules.items():
            split = unbatch(caller, ScheduleRule().convert(caller, name, schedule))
            found |= {
                name if len(split) == 1 else f"{name}: {label}": one for label, one in zip(labels(split), split, strict=True)
            }
        return found
    if isinstance(schedules, str) or not isinstance(schedules, Sequence) or not schedules:
        raise argument_error(
            TypeError, caller, "schedules", "a schedule, a list of them, or a dict of them by label", schedules
        )
    lines = [ScheduleRule().convert(caller, f"schedules[{i}]", schedule) for i, schedule in enumerate(schedules)]
    split_lines = [one for line in lines for one in unbatch(caller, line)]
    return dict(zip(labels(split_lines), split_lines, strict=True))


def composition(schedule: Schedule) -> str:
    """The classes that a schedule is made of, without its numbers.

    >>> composition(lrax.Warmup(lrax.Cosine(0.1, 0.0, 100), 10)), composition(lrax.Function(optax.constant_schedule(0.1)))
    ('Warmup(Cosine)', 'constant_schedule')
    """
    if isinstance(schedule, Function):
        function = getattr(schedule.function, "func", schedule.function)
        return str(getattr(function, "__qualname__", type(function).__name__)).partition(".<locals>")[0]
    inner = parts(schedule)
    return f"{type(schedule).__name__}({', '.join(map(composition, inner))})" if inner else type(schedule).__name__


LONG = 60
"""The longest call that is a label."""


def labels(schedules: Sequence[Schedule]) -> list[str]:
    """A label for each schedule: its call; for long calls of one class, the class and the fields that differ.

    If these are not unique: the classes it is made of, and a number.

    >>> labels([lrax.warmup_cosine(peak, warmup_steps=1000, total_steps=20_000, end=1e-5) for peak in (0.1, 0.2)])
    ['warmup_cosine(peak=0.1)', 'warmup_cosine(peak=0.2)']
    """
    texts = [composition(schedule) if isinstance(schedule, Function) else repr(schedule) for schedule in schedules]
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
    """A short label for each of several schedules of one class."""
    if len(texts) == 1 and len(texts[0]) <= LONG:
        return list(texts)
    names, columns = differing(schedules)
    if 0 < len(names) <= 3:
        rows = [", ".join(f"{name}={value:.4g}" for name, value in zip(names, row, strict=True)) for row in columns.T]
        return [f"{type(schedules[0]).__name__}({row})" for row in rows]
    whole = composition(schedules[0])
    return [whole if len(whole) <= LONG else whole[: LONG - 3] + "..."] * len(schedules)


def differing(schedules: Sequence[Schedule]) -> tuple[list[str], npt.NDArray[np.number]]:
    """The names of the fields that differ between schedules of one class, and their values, a row for each field.

    No names if the schedules are of several classes, or a field that differs is a list.

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


POINTS = 256
"""Tables evaluate multiples of this number of counts, so that they share a compiled program."""

MOST_MARKS = 64
"""The most landmarks of a schedule that have lines."""

HEAD = 26
"""A longer label is in a legend above the columns."""

BAR = 32
"""Width of the longest bar, in characters."""


@check_call
def table(
    schedules: RateFunction | Sequence[RateFunction] | Mapping[str, RateFunction], steps: int | None = None, rows: int = 16
) -> Text:
    """The learning rates of one or more schedules as text, a line for each count.

    The counts are both ends, the landmarks of the schedules (both sides, where the learning rate jumps), and evenly spaced ones
    between. A single schedule has a bar next to each learning rate.

    Args:
      schedules: a schedule or any callable `count -> learning rate`; a list of them; or a dict of them by label. A batch of
        schedules (fields with a leading axis) has a column for each.
      steps: the last count; by default the last landmark: an end, a boundary, a few drops or cycles of an endless schedule
        (1000 if there are none).
      rows: about how many lines, an integer of at least 2; all landmarks are shown.

    Returns: lines of text, a `str` that a notebook and a prompt show as lines.

    Raises: TypeError if one is not a schedule; ValueError if `steps` is below 1 or `rows` below 2.

    >>> print(table(lrax.wsd(peak=0.5, warmup_steps=4, cooldown_steps=20, total_steps=100), rows=8))
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
    rows = whole_number("table", "rows", rows, 2)
    functions = [jax.jit(jax.vmap(line)) for line in lines.values()]
    found: set[int] = set()
    for function, line in zip(functions, lines.values(), strict=True):
        found |= boundaries(function, line, steps)
    even = np.linspace(0, steps, max(rows - len(found), 2)).astype(np.int64)
    counts = sorted(found | {int(count) for count in even})
    columns = [rates_at(function, np.array(counts)) for function in functions]
    heads = [label if len(label) <= HEAD else f"[{i}]" for i, label in enumerate(lines)] if len(lines) > 1 else ["rate"]
    legend = [f"{head} {label}" for head, label in zip(heads, lines, strict=True) if head not in (label, "rate")]
    cells = [["count", *map(str, counts)]]
    cells += [[head, *(f"{rate:.6g}" for rate in column)] for head, column in zip(heads, columns, strict=True)]
    widths = [max(map(len, column)) for column in cells]
    bars = [""] + [_bar(rate, columns[0].max()) if len(columns) == 1 else "" for rate in columns[0]]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in zip(*cells, strict=True)]
    return Text("\n".join([*legend, *(f"{line}  {bar}".rstrip() for line, bar in zip(text, bars, strict=True))]))


def boundaries(function: Callable[[npt.NDArray[np.int32]], jax.Array], schedule: Schedule, steps: int) -> set[int]:
    """The first landmarks of a schedule; for a jump, both sides."""
    marks = sorted({mark for mark in schedule.landmarks if 0 < mark <= steps})[:MOST_MARKS]
    if not marks:
        return set()
    around = np.maximum(np.array(marks)[:, None] + np.arange(-2, 1), 0)
    before, across = np.abs(np.diff(rates_at(function, around.ravel()).reshape(-1, 3))).T
    jumps = across > 4 * before
    return {*marks, *(mark - 1 for mark, jump in zip(marks, jumps, strict=True) if jump)}


def _bar(rate: float, largest: float) -> str:
    return "#" * round(BAR * rate / largest) if 0 < rate <= largest else ""


def rates_at(function: Callable[[npt.NDArray[np.int32]], jax.Array], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The learning rates at some counts."""
    padded = np.zeros(-(-counts.size // POINTS) * POINTS, np.int32)
    padded[: counts.size] = np.minimum(counts, LARGEST)
    return np.asarray(function(padded), np.float64)[: counts.size]


MOST_LABELS = 10
"""The most lines with distinct colours and labels; more are shaded by the field that differs, or in their order."""

MANY = 4
"""The most entries of a legend inside the axes; a longer one is below."""

JUMP, STILL = 0.05, 0.01
"""A line is drawn as steps if its largest change in one step is more than `JUMP` of its range, and half of all changes are less
than `STILL` of that."""


@check_call
def plot(
    schedules: RateFunction | Sequence[RateFunction] | Mapping[str, RateFunction],
    steps: int | None = None,
    axes: "Axes | None" = None,
    *,
    log: bool = False,
    label: str | None = None,
) -> "Axes":
    """Draws the learning rates of one or more schedules over the step count.

    Args:
      schedules: a schedule or any callable `count -> learning rate`; a list of them; or a dict of them by label. A batch of
        schedules (fields with a leading axis) is a line for each; of many lines, a colour bar shows the field that differs, or
        a legend the first and the last.
      steps: number of steps to draw; by default up to the last landmark (an end, a boundary, a few drops or cycles of an
        endless schedule) and a tenth more; 1000 if there are none.
      axes: where to draw; by default new axes.
      log: whether the axis of learning rates is logarithmic.
      label: of the axis; by default "learning rate", "momentum" for a schedule of that name or made by
        `lrax.one_cycle_momentum`, and "value" for both together.

    Returns: the axes.

    Raises: ImportError if matplotlib is not installed; TypeError if one is not a schedule.
    """
    lines = named_schedules("plot", schedules)
    if steps is None:
        last = last_landmark(lines.values())
        steps = min(last + max(last // 10, 1), LARGEST) if last else 1000
    steps = whole_number("plot", "steps", steps)
    axes = new_axes() if axes is None else axes
    counts = np.unique(np.linspace(0, steps, min(steps + 1, 4001)).astype(np.int64))
    few = len(lines) <= MOST_LABELS
    looks, unnamed = ([look_of(i) for i in range(len(lines))], False) if few else _shades(axes, list(lines.values()))
    for i, (look, (name, line)) in enumerate(zip(looks, lines.items(), strict=True)):
        rates = np.asarray(jax.jit(jax.vmap(line))(counts))
        labelled = few or (unnamed and i in (0, len(lines) - 1))
        axes.plot(
            counts, rates, label=name if labelled else "_", drawstyle="steps-post" if _jumps(rates) else "default", **look
        )
    quantities = {_quantity(name, line) for name, line in lines.items()}
    quantity = quantities.pop() if len(quantities) == 1 else "value"
    axes.set_xlabel("step")
    axes.set_ylabel(quantity if label is None else label)
    if log:
        set_plain_log(axes.yaxis)
    elif axes.get_ylim()[0] > 0 and quantity != "momentum":  # a momentum changes by a tenth of its size
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    axes.grid(alpha=0.3)
    if (len(lines) > 1 or isinstance(schedules, Mapping)) and axes.get_legend_handles_labels()[1]:
        if few and len(lines) > MANY:
            legend_below(axes, fontsize="x-small")
        else:
            axes.legend(fontsize="small")
    return axes


def _quantity(name: str, line: Schedule) -> str:
    """The quantity that a line shows."""
    return "momentum" if isinstance(line, one_cycle_momentum) or "momentum" in name.lower() else "learning rate"


def _jumps(rates: npt.NDArray[np.number]) -> bool:
    """Whether a line changes in jumps."""
    changes = np.abs(np.diff(rates[np.isfinite(rates)]))
    if not changes.size:
        return False
    return bool(changes.max() > JUMP * np.ptp(rates[np.isfinite(rates)]) and np.median(changes) < STILL * changes.max())


def _shades(axes: "Axes", lines: Sequence[Schedule]) -> tuple[list[dict[str, Any]], bool]:
    """A colour for each of many lines, by the one field that differs, with a colour bar; otherwise in their order, unnamed."""
    names, values = differing(lines)
    if len(names) != 1:
        return [{"color": rate_map()(i / (len(lines) - 1))} for i in range(len(lines))], True
    colours = in_order(float(values.min()), float(values.max()))
    colour_bar(axes, colours, names[0])
    return [{"color": colours.to_rgba(value)} for value in values[0]], False
