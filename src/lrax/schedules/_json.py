"""Schedules as JSON text, and back, bit for bit."""

import dataclasses
import inspect
import json
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._ratio import LARGEST_RATIO, Ratio
from lrax.fields._value import _fields, shortest
from lrax.fields._words import complain, did_you_mean, spelt
from lrax.schedules._base import Function, Schedule

VERSION = 1
"""The version of the format; a change that older readers would misread adds one."""


@spelt
def to_json(schedule: Any) -> str:
    """A schedule as one line of JSON: its kind or recipe, its fields, and the version of the format.

    Numbers are written so that they come back bit for bit; batches and schedules inside schedules are written in full.

    Args:
      schedule: made of kinds of lrax or of your own; its numbers are known (no tracers) and finite.

    Returns: `{"lrax": 1, "schedule": {"kind": ..., field: value, ...}}`.

    Raises: TypeError for what is no schedule, for a plain callable (alone or inside a schedule), and under jit; ValueError
      for a number that is not finite and for a kind of your own that has the name of one of lrax.

    >>> print(to_json(lrax.Cosine(start=0.1, end=0.0, steps=100)))
    {"lrax": 1, "schedule": {"kind": "Cosine", "start": 0.1, "end": 0.0, "steps": 100}}
    """
    if not isinstance(schedule, Schedule):
        remedy = "a function cannot be saved; make it a kind, a subclass of lrax.Schedule" if callable(schedule) else ""
        raise complain(TypeError, "to_json", "schedule", "a lrax.Schedule", schedule, remedy)
    return json.dumps({"lrax": VERSION, "schedule": _written(schedule, "schedule")}, allow_nan=False)


@spelt
def from_json(text: str, kinds: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that `to_json` wrote. Nothing but known kinds is made: the text cannot run code.

    Args:
      text: what `to_json` returned, or JSON like it written by hand, such as `{"kind": "warmup_cosine", "peak": 0.1, ...}`;
        fields that have a default may be left out.
      kinds: your own kinds that may be in it.

    Returns: a schedule whose fields are NumPy numbers and arrays, checked as when it was made.

    Raises: ValueError for text that is no such JSON or nested too deep, for a version, kind or field that is not known, for a
      field that is missing or out of range; TypeError for what is no text, a field of a wrong type, and `kinds` that are none.

    >>> text = to_json(lrax.warmup_cosine(peak=0.1, total_steps=100, warmup_steps=9))
    >>> from_json(text)
    warmup_cosine(peak=0.1, total_steps=100, warmup_steps=9)
    >>> from_json('{"kind": "sgdr", "peak": 0.1, "end": 0.0, "cycle_steps": 10}')
    sgdr(peak=0.1, end=0.0, cycle_steps=10)
    """
    known = _known_kinds(kinds)
    given: Any = text
    if not isinstance(given, str | bytes | bytearray):
        remedy = "json.dumps makes text of a dict" if isinstance(given, dict) else ""
        raise complain(TypeError, "from_json", "text", "text: JSON that to_json wrote", text, remedy)
    try:
        return _read_document(json.loads(text), text, known)
    except RecursionError as error:
        raise complain(ValueError, "from_json", "text", "JSON of at most a few hundred levels", text) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise complain(ValueError, "from_json", "text", "JSON that to_json wrote", text, str(error)) from error


def _read_document(data: Any, text: object, known: dict[str, type[Schedule]]) -> Schedule:
    if isinstance(data, dict) and "kind" in data:  # written by hand
        return _read_schedule(data, "schedule", known)
    if not isinstance(data, dict) or set(data) != {"lrax", "schedule"}:
        raise complain(ValueError, "from_json", "text", "JSON with the two entries 'lrax' and 'schedule'", text)
    if data["lrax"] != VERSION:
        raise complain(ValueError, "from_json", "lrax", f"version {VERSION}", data["lrax"], "install the lrax that wrote it")
    return _read_schedule(data["schedule"], "schedule", known)


def _own_kinds(kind: type[Schedule] = Schedule) -> dict[str, type[Schedule]]:
    """The kinds of lrax by name."""
    found: dict[str, type[Schedule]] = {}
    for below in kind.__subclasses__():
        if below.__module__.startswith("lrax."):
            own = {} if inspect.isabstract(below) else {below.__name__: below}
            found |= own | _own_kinds(below)
    return found


def _known_kinds(kinds: Iterable[type[Schedule]]) -> dict[str, type[Schedule]]:
    """The kinds of lrax, and those that were given."""
    known = _own_kinds()
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, Schedule):
            raise complain(TypeError, "from_json", "kinds", "a list of subclasses of lrax.Schedule", kind)
        if known.setdefault(kind.__name__, kind) is not kind:
            raise complain(ValueError, "from_json", "kinds", "kinds whose names differ, from lrax's too", kind)
    return known


def _written(value: Any, place: str) -> Any:
    """A field's value as JSON data."""
    if isinstance(value, Schedule):
        return _written_schedule(value, place)
    if isinstance(value, Ratio):
        return {"ratio": [_written(part, place) for part in value]}
    if isinstance(value, tuple):
        return [_written(part, f"{place}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _written_numbers(value, place)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise complain(TypeError, "to_json", place, "a schedule, a number, an array of numbers, a word or a flag", value)


def _written_schedule(schedule: Schedule, place: str) -> dict[str, Any]:
    kind = type(schedule)
    if kind is Function:
        remedy = "write the function as a kind, a subclass of lrax.Schedule, and give it to from_json in `kinds`"
        raise complain(TypeError, "to_json", place, "made of kinds: a plain callable cannot be saved", schedule, remedy)
    if _own_kinds().get(kind.__name__, kind) is not kind:
        raise complain(ValueError, "to_json", place, "of a kind with a name of its own", kind, "rename the kind")
    names = [field.name for field in _fields(schedule)]
    if "kind" in names:
        raise complain(ValueError, "to_json", place, "a kind without a field called `kind`", kind, "rename the field")
    return {"kind": kind.__name__, **{name: _written(getattr(schedule, name), f"{place}.{name}") for name in names}}


def _written_numbers(value: Any, place: str) -> Any:
    """Integers as they are; float32 numbers as the shortest decimals that give them back."""
    if not is_known(value):
        raise complain(TypeError, "to_json", place, "known", value, "call to_json outside jit and vmap")
    array = np.asarray(value)
    if not np.isfinite(array).all():
        raise complain(ValueError, "to_json", place, "finite", value)
    return shortest(array).tolist()


def _read_schedule(data: Any, place: str, known: dict[str, type[Schedule]]) -> Schedule:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise complain(ValueError, "from_json", place, "a schedule: an object with a `kind`", data)
    name = data["kind"]
    if name not in known or name == "Function":
        remedy = did_you_mean(name, known) or "give your own kinds: from_json(text, kinds=[...])"
        raise complain(ValueError, "from_json", f"{place}.kind", "the name of a kind", name, remedy)
    kind = known[name]
    fields = {field: _read(value, f"{place}.{field}", known) for field, value in data.items() if field != "kind"}
    names = [field.name for field in _fields(kind)]
    for given in fields:
        if given not in names:
            remedy = did_you_mean(given, names) or "or it was written by a newer lrax"
            needs = f"a field of {name} ({', '.join(names)})"
            raise complain(ValueError, "from_json", f"{place}.{given}", needs, given, remedy)
    for field in _fields(kind):
        if field.name not in fields and field.default is dataclasses.MISSING:
            raise complain(ValueError, "from_json", f"{place}.{field.name}", f"given for a {name}", None)
    try:
        return kind(**fields)
    except TypeError as error:
        raise TypeError(f"from_json: `{place}`: {error}") from error
    except ValueError as error:
        raise ValueError(f"from_json: `{place}`: {error}") from error


def _read(data: Any, place: str, known: dict[str, type[Schedule]]) -> Any:
    """A field's value from JSON data; its own rule makes the leaf."""
    if isinstance(data, dict) and set(data) == {"ratio"}:
        return _read_ratio(data["ratio"], place)
    if isinstance(data, dict):
        return _read_schedule(data, place, known)
    if isinstance(data, list) and data and all(isinstance(part, dict) for part in data):
        return tuple(_read_schedule(part, f"{place}[{i}]", known) for i, part in enumerate(data))
    return data


def _read_ratio(data: Any, place: str) -> Ratio:
    try:
        numerator, denominator = (np.asarray(part) for part in data)
    except (TypeError, ValueError) as error:
        raise complain(ValueError, "from_json", place, "a ratio of two integers", data) from error
    for part in (numerator, denominator):
        if part.dtype.kind != "i" or (part < 1).any() or (part > LARGEST_RATIO).any():
            raise complain(ValueError, "from_json", place, f"a ratio of integers from 1 to {LARGEST_RATIO}", data)
    return Ratio(numerator.astype(np.int32)[()], denominator.astype(np.int32)[()])
