"""Schedules as JSON text, bit for bit; `_config` reads what is in it."""

import collections
import json
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._ratio import Ratio
from lrax.fields._value import MOST_LEVELS, _fields, decimal, identity, shortest
from lrax.fields._words import Shown, argument_error, check_call, shown
from lrax.schedules._base import Function, Schedule
from lrax.schedules._clock import Clock
from lrax.schedules._config import VERSION, Reader, own_kinds


@check_call
def to_json(schedule: Any) -> str:
    """A schedule as one line of JSON: its kind or recipe, its fields, and the version of the format.

    Numbers are written so that they come back bit for bit; batches and schedules inside schedules are written in full. A field
    that holds None is left out.

    Args:
      schedule: made of kinds of lrax or of your own; its numbers are known (no tracers) and finite.

    Returns: `{"lrax": 1, "schedule": {"kind": ..., field: value, ...}}`.

    Raises: TypeError for what is no schedule, for a plain callable (alone or inside a schedule), and under jit; ValueError
      for a number that is not finite, and for a kind of your own that has the name of one of lrax.

    >>> print(to_json(lrax.Cosine(start=0.1, end=0.0, steps=100)))
    {"lrax": 1, "schedule": {"kind": "Cosine", "start": 0.1, "end": 0.0, "steps": 100}}
    """
    if not isinstance(schedule, Schedule):
        remedy = "a function cannot be saved; make it a kind, a subclass of lrax.Schedule" if callable(schedule) else ""
        raise argument_error(TypeError, "to_json", "schedule", "a lrax.Schedule", schedule, remedy)
    return json.dumps({"lrax": VERSION, "schedule": _written(schedule, "schedule")}, allow_nan=False)


@check_call
def from_json(text: str, kinds: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that `to_json` wrote. Nothing but known kinds is made: the text cannot run code.

    Args:
      text: what `to_json` returned, or JSON like it written by hand, such as `{"kind": "warmup_cosine", "peak": 0.1, ...}`;
        fields that have a default may be left out.
      kinds: your own kinds that may be in it.

    Returns: a schedule whose fields are NumPy numbers and arrays, checked as when it was made.

    Raises: ValueError for text that is no such JSON, has a key twice or is nested too deep, for a version, kind or field
      that is not known, for a field that is missing or out of range, and for lists that make over 100,000 schedules;
      TypeError for what is no text, a field of a wrong type, and `kinds` that are none.

    >>> text = to_json(lrax.warmup_cosine(peak=0.1, total_steps=100, warmup_steps=9))
    >>> from_json(text)
    warmup_cosine(peak=0.1, total_steps=100, warmup_steps=9)
    >>> from_json('{"kind": "sgdr", "peak": 0.1, "end": 0.0, "cycle_steps": 10}')
    sgdr(peak=0.1, end=0.0, cycle_steps=10)
    """
    given: Any = text
    if not isinstance(given, str | bytes | bytearray):
        remedy = "from_config takes a dict" if isinstance(given, dict) else ""
        raise argument_error(TypeError, "from_json", "text", "text: JSON that to_json wrote", text, remedy)
    reader = Reader("from_json", "text", kinds)
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_int=_integer)
    except RecursionError:
        needs = f"JSON of at most {MOST_LEVELS} schedules inside each other"
        raise argument_error(ValueError, "from_json", "text", needs, text) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise argument_error(ValueError, "from_json", "text", "JSON that to_json wrote", text, str(error)) from error
    return reader.document(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; a key that is there twice would otherwise hide the first silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = collections.Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise argument_error(
            ValueError, "from_json", "text", "JSON whose keys are given once", Shown(f"{shown(repeated)} twice")
        )
    return found


def _integer(digits: str) -> int:
    """An integer of JSON; Python reads at most 4300 digits, and no field holds as many as these."""
    if len(digits) > MOST_DIGITS:
        raise argument_error(
            ValueError, "from_json", "text", f"JSON with integers of at most {MOST_DIGITS} digits", Shown(digits)
        )
    return int(digits)


MOST_DIGITS = 400


def _written(value: Any, place: str) -> Any:
    """A field's value as JSON data."""
    if isinstance(value, Schedule | Clock):
        return _written_schedule(value, place)
    if isinstance(value, tuple):
        return [_written(part, f"{place}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _written_numbers(value, place)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise argument_error(TypeError, "to_json", place, "a schedule, a number, an array of numbers, a word or a flag", value)


def _written_schedule(schedule: Schedule | Clock, place: str) -> dict[str, Any]:
    kind = type(schedule)
    if kind is Function:
        remedy = "write the function as a kind, a subclass of lrax.Schedule, and give it to from_json in `kinds`"
        raise argument_error(TypeError, "to_json", place, "made of kinds: a plain callable cannot be saved", schedule, remedy)
    if own_kinds().get(kind.__name__, kind) is not kind:
        raise argument_error(ValueError, "to_json", place, "of a kind with a name of its own", kind, "rename the kind")
    # what is None by default is left out, so that a field can be added without another version
    names = [
        field.name for field in _fields(schedule) if field.default is not None or getattr(schedule, field.name) is not None
    ]
    if "kind" in names:
        raise argument_error(ValueError, "to_json", place, "a kind without a field called `kind`", kind, "rename the field")
    return {"kind": kind.__name__, **{name: _written_field(schedule, name, place) for name in names}}


def _written_field(schedule: Schedule | Clock, name: str, place: str) -> Any:
    """A field as JSON data; a ratio as the number that becomes it, or its two integers where none does."""
    value, place = getattr(schedule, name), f"{place}.{name}"
    if not isinstance(value, Ratio):
        return _written(value, place)
    parts = [_written_numbers(part, place) for part in value]
    numbers = decimal(value).tolist()
    same = identity(schedule._rules[name].convert("to_json", place, numbers)) == identity(value)
    return numbers if same else {"ratio": parts}


def _written_numbers(value: Any, place: str) -> Any:
    """Integers as they are; float32 numbers as the shortest decimals that give them back."""
    if not is_concrete(value):
        raise argument_error(TypeError, "to_json", place, "known", value, "call to_json outside jit and vmap")
    array = np.asarray(value)
    if not np.isfinite(array).all():
        raise argument_error(ValueError, "to_json", place, "finite", value)
    return shortest(array).tolist()
