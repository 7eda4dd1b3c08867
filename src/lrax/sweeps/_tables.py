"""Results as tables: text, HTML and files of comma-separated values, all from the same rows."""

import csv
import dataclasses
import html
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax._pictures import inline
from lrax.fields._errors import is_key
from lrax.fields._rules import PyTree, Ratio
from lrax.fields._value import shortest
from lrax.schedules._base import Schedule
from lrax.schedules._display import composition, labels
from lrax.training._storage import Path, write_file

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS = 60
"""A table shows this many rows; of more, the best."""

BEST = "*"
"""Marks the row of the best."""


class Table(NamedTuple):
    """A table with lines of text above and below it.

    Attributes:
      above: the verdict first.
      rows: of cells; the first is the header.
      right: the columns that are aligned to the right.
      below: lines.
    """

    above: list[str]
    rows: list[list[str]]
    right: range
    below: list[str]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = []
        for row in self.rows:
            cells = (f"{cell:{'>' if i in self.right else '<'}{widths[i] or 1}}" for i, cell in enumerate(row))
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*self.above, *lines, *self.below])

    def html(self) -> str:
        """The same as HTML, the best row in bold."""

        def row(cells: list[str], tag: str) -> str:
            sides = ("right" if i in self.right else "left" for i in range(len(cells)))
            made = (f'<{tag} style="text-align: {s}">{html.escape(c)}</{tag}>' for c, s in zip(cells, sides, strict=True))
            strong = ' style="font-weight: bold"' if cells[0] == BEST else ""
            return f"<tr{strong}>{''.join(made)}</tr>"

        head, *rows = self.rows
        above, below = ("".join(f"<p>{html.escape(line)}</p>" for line in lines) for lines in (self.above, self.below))
        body = "".join(row(cells, "td") for cells in rows)
        return f"{above}<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>{below}"


def notebook(table: Callable[[], Table], draw: Callable[[Any], object], otherwise: str) -> str:
    """A table and a picture as HTML. What cannot be made is left out: a notebook shows its result whatever happens."""
    try:
        shown = table().html()
    except Exception:  # whatever a user's schedule raises in its repr
        shown = f"<pre>{html.escape(otherwise)}</pre>"
    return inline(shown, draw, otherwise)


def names_of(schedules: Sequence[Schedule], peaks: Sequence[float]) -> list[str]:
    """Schedules in a sentence: by their peaks, and as much more as tells them apart.

    >>> names_of([lrax.Constant(0.1), lrax.Cosine(0.1, 0.0, 9)], [0.1, 0.1])
    ['peak 0.1, Constant', 'peak 0.1, Cosine']
    """
    classes = list(map(composition, schedules))
    names = [f"peak {peak:.4g}" for peak in peaks]
    if len(set(classes)) > 1:
        names = [f"{name}, {one}" for name, one in zip(names, classes, strict=True)]
    if len(set(names)) < len(names):
        names = [f"peak {peak:.4g}, {label}" for peak, label in zip(peaks, labels(schedules), strict=True)]
    return names


def end_of_range(schedules: Sequence[Schedule], peaks: Sequence[float], best: int) -> list[str]:
    """What to do if the best peak is the highest or the lowest of its schedule class; two peaks are not a range.

    >>> end_of_range([lrax.Constant(lr) for lr in (0.1, 0.2, 0.3)], [0.1, 0.2, 0.3], best=2)
    ['The best peak learning rate, 0.3, is the highest that was tried: try higher ones']
    """
    same = composition(schedules[best])
    tried = sorted({float(f"{peak:.4g}") for one, peak in zip(schedules, peaks, strict=True) if composition(one) == same})
    found = float(f"{peaks[best]:.4g}")
    if len(tried) < 3 or tried[0] < found < tried[-1]:
        return []
    end, direction = ("highest", "higher") if found == tried[-1] else ("lowest", "lower")
    return [f"The best peak learning rate, {found:.4g}, is the {end} that was tried: try {direction} ones"]


def lower_than(peaks: npt.ArrayLike) -> str:
    """What to do if no run can be used.

    >>> lower_than([0.1, 0.2])
    'try peak learning rates below 0.1'
    """
    return f"try peak learning rates below {np.min(peaks):.4g}"


def not_finite(metrics: PyTree, diverged: npt.NDArray[np.bool_]) -> list[str]:
    """A line for each metric with numbers that are not finite in runs that did not diverge; in all runs if all diverged."""
    notes = []
    chosen = ~diverged if not diverged.all() else diverged
    for path, leaf in jax.tree.leaves_with_path(metrics):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact) or not np.size(leaf):
            continue
        array = np.asarray(leaf)  # NumPy may not know the dtype, such as bfloat16, and JAX would cut float64 down
        finite = np.isfinite(array) if array.dtype.kind in "fc" else np.asarray(jnp.isfinite(leaf))
        lacking = ~finite[chosen].reshape(chosen.sum(), -1)
        each, size = lacking.sum(axis=1), lacking.shape[1]
        if each.any():
            up_to = "" if (each == each[0]).all() else "up to "
            what = "steps" if np.ndim(leaf) == 2 else "numbers"
            where = f" at {up_to}{each.max()} of {size} {what}" if np.ndim(leaf) > 1 else ""
            runs = f" in {(each > 0).sum()} of {len(each)} runs" if not each.all() or np.ndim(leaf) == 1 else ""
            notes.append(f"metrics{jax.tree_util.keystr(path)} is not finite{where}{runs}")
    return notes


def ranges_of(numbers: Sequence[int]) -> str:
    """Numbers in short.

    >>> ranges_of((0, 1, 2, 5))
    '0-2, 5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def schedule_rows(schedules: Sequence[Schedule], peaks: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """For each schedule its class, text, peak, and its fields that are a number or a string; None for those of other classes.

    >>> schedule_rows([lrax.Constant(0.1), lrax.Cosine(0.2, 0.0, 9)], np.float32([0.1, 0.2]))[1]["schedule.steps"]
    9
    """
    fields = [dict(_fields(schedule, "schedule")) for schedule in schedules]
    names = dict.fromkeys(name for one in fields for name, value in one.items() if value is not None)
    return [
        {"class": composition(schedule), "schedule": repr(schedule), "peak": plain(peak)}
        | {name: one.get(name) for name in names}
        for schedule, peak, one in zip(schedules, peaks, fields, strict=True)
    ]


def _fields(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The numbers and strings in a schedule, by their paths."""
    if isinstance(value, Ratio):
        yield name, float(repr(value))
    elif isinstance(value, Schedule):
        for field in dataclasses.fields(value):
            yield from _fields(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from _fields(part, f"{name}.{i}")
    elif isinstance(value, str):
        yield name, value
    elif isinstance(value, jax.Array | np.ndarray | np.generic) and not np.shape(value):
        yield name, plain(value)


def number_columns(tree: PyTree, prefix: str = "") -> dict[str, np.ndarray[Any, Any]]:
    """The leaves with one number for each run, by their paths."""
    columns = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        if np.ndim(leaf) == 1 and not is_key(leaf):
            columns[prefix + jax.tree_util.keystr(path, simple=True, separator=".")] = np.asarray(leaf)
    return columns


def plain(value: Any) -> Any:
    """A number as Python has it; a float32 as the shortest decimal that is it: 0.1, not 0.10000000149."""
    return exact(shortest(np.asarray(value)))


def exact(value: Any) -> Any:
    """A number as Python has it."""
    number = value.item()
    return number if isinstance(number, bool | int | float | complex) else float(value)  # such as bfloat16


def frame_of(caller: str, rows: Sequence[dict[str, Any]]) -> "DataFrame":
    """Rows as a pandas frame; integers and bools stay what they are in columns that some runs do not have."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{caller} needs pandas: python -m pip install pandas; `rows` returns the same as dicts") from error
    frame = pandas.DataFrame(rows)
    for name in frame:
        types = {type(row[name]) for row in rows}
        for number, dtype in ((bool, "boolean"), (int, "Int64"), (float, "float64")):
            if types == {number, type(None)}:
                frame[name] = pandas.array([row[name] for row in rows], dtype=dtype)
    return frame


def write_csv(caller: str, path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Writes rows under a header, whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_file(caller, path, text.getvalue().encode())
