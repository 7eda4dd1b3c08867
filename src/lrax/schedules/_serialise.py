"""Schedules as JSON and as configurations."""

import collections
import dataclasses
import inspect
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from lrax.fields._errors import NO_QUOTES, Shown, argument_error, check_call, did_you_mean, is_concrete, is_number_text, shown
from lrax.fields._rules import LARGEST, Choice, Converter, LengthRule, Maybe, Ratio, RatioRule, Static
from lrax.fields._value import MOST_LEVELS, Value, decimal, identity, ranks, shortest
from lrax.schedules._base import Function, Schedule
from lrax.schedules._clock import Clock

VERSION = 1
"""The version of the format; a change that older readers would misread adds one."""

MOST_CELLS = 100_000
"""The most schedules in a batch that is broadcast from shorter lists."""

TYPE_KEYS = ("type", "name", "_target_", "class_name", "class", "cls", "target", "scheduler", "kind")
"""The key of the schedule class in the files of other libraries."""

ARGUMENTS = ("arguments", "args", "kwargs", "params", "parameters", "init_args", "_args_", "config")
"""The key of the arguments there, if they are apart."""


@check_call
def from_config(config: Mapping[str, object], custom_types: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that a configuration describes: a class or recipe by name, its arguments, and schedules inside schedules.

    A file of YAML, JSON or TOML is read as a configuration, and so is `json.loads(to_json(schedule))`. `from_json` takes text.

    Args:
      config: a mapping such as `{"kind": "wsd", "peak": 0.1, "warmup_steps": 0.01, "cooldown_steps": 0.2}`, or an object with a
        method `to_dict`, such as a `ConfigDict`. Arguments with a default may be left out.
      custom_types: custom schedule classes that may be in it.

    Returns: a schedule, checked as when it is made by a call.

    Raises: ValueError for an unknown `kind` or argument, and for one that is missing or out of range; TypeError for something
      that is not a mapping, an argument of a wrong type, and `custom_types` that are not schedule classes.

    >>> plan = from_config({"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": 0.05})
    >>> plan.with_total_steps(10_000)
    warmup_cosine(peak=0.1, warmup_steps=0.05, total_steps=10000)
    >>> from_config({"kind": "Scale", "factor": 2, "schedule": {"kind": "Constant", "value": 0.1}})
    Scale(schedule=Constant(value=0.1), factor=2.0)
    """
    return Reader("from_config", "config", custom_types).document(config)


def built_in_types(base: type[Schedule] = Schedule) -> dict[str, type[Schedule]]:
    """The schedule classes of lrax by name: those in its modules, not those of examples in docstrings."""
    found: dict[str, type[Schedule]] = {}
    for cls in base.__subclasses__():
        if cls.__module__.startswith("lrax.") and getattr(sys.modules[cls.__module__], cls.__name__, None) is cls:
            found |= ({} if inspect.isabstract(cls) else {cls.__name__: cls}) | built_in_types(cls)
    return found


class Reader:
    """Reads schedules from data.

    Attributes:
      caller, name: the function and its argument, for messages.
      known: the classes that may be made, by name.
    """

    def __init__(self, caller: str, name: str, custom_types: Iterable[type[Schedule]]) -> None:
        self.caller, self.name = caller, name
        self.known: dict[str, type[Value]] = {**built_in_types(), "Clock": Clock}
        for cls in custom_types:
            if not isinstance(cls, type) or not issubclass(cls, Schedule):
                raise argument_error(TypeError, caller, "custom_types", "a list of subclasses of lrax.Schedule", cls)
            if self.known.setdefault(cls.__name__, cls) is not cls:
                raise argument_error(ValueError, caller, "custom_types", "classes whose names are unique, in lrax too", cls)

    def document(self, data: object) -> Schedule:
        """A schedule as `to_json` writes it, with the version of the format, or as written by hand, without."""
        data = plain(data)
        if not isinstance(data, Mapping):
            if self.caller == "from_json":
                needs, remedy = "JSON with the two entries 'lrax' and 'schedule'", "or a schedule: its `kind` and its arguments"
                raise argument_error(ValueError, self.caller, self.name, needs, data, remedy)
            needs = "a dict: a `kind` and its arguments"
            raise argument_error(TypeError, self.caller, self.name, needs, data, _as_mapping(data))
        if set(data) == {"lrax", "schedule"}:
            if type(data["lrax"]) is not int or data["lrax"] != VERSION:
                remedy = "install the lrax that wrote it"
                raise argument_error(ValueError, self.caller, "lrax", f"version {VERSION}", data["lrax"], remedy)
            data = data["schedule"]
        elif "kind" not in data and "schedule" in data:
            needs, remedy = "a schedule: a `kind` and its arguments", "give the value of `schedule`"
            raise argument_error(ValueError, self.caller, self.name, needs, data, remedy)
        try:
            return self.schedule(data, "schedule")
        except RecursionError:
            needs = f"of at most {MOST_LEVELS} schedules inside each other"
            raise argument_error(ValueError, self.caller, self.name, needs, Shown("more")) from None

    def schedule(self, data: object, place: str) -> Schedule:
        """A value that must be a schedule."""
        value = self.value(data, place)
        if not isinstance(value, Schedule):
            raise argument_error(ValueError, self.caller, place, "a schedule", value)
        return value

    def value(self, data: object, place: str) -> Value:
        """A schedule, or a clock, from its kind and arguments."""
        if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
            self._no_kind(data, place)
        kind = self._kind(data["kind"], place)
        given = {name: value for name, value in data.items() if name != "kind"}
        self._check_names(kind, given, place)
        fields = {name: self._field(plain(value), f"{place}.{name}", kind._rules[name]) for name, value in given.items()}
        self._check_cells(kind, fields, place)
        try:
            return kind(**fields)
        except (TypeError, ValueError) as error:
            base = TypeError if isinstance(error, TypeError) else ValueError  # a custom class may raise its own
            raise base(f"{self.caller}: `{place}`: {error}") from error

    def _no_kind(self, data: object, place: str) -> NoReturn:
        """Raises ValueError for data without a `kind`."""
        keys = list(data) if isinstance(data, Mapping) else []
        other = [key for key in keys if str(key).lower() in TYPE_KEYS]
        if other and "kind" not in keys:
            remedy = f"write `kind` for `{other[0]}`, and each argument by its name next to it"
            raise argument_error(ValueError, self.caller, f"{place}.kind", "given: the key is `kind`", data, remedy)
        raise argument_error(ValueError, self.caller, place, "a schedule: an object with a `kind`", data)

    def _kind(self, name: str, place: str) -> type[Value]:
        if name == "Function":
            remedy = "a function cannot be in a file; write it as a class, and give it in `custom_types`"
            raise argument_error(ValueError, self.caller, f"{place}.kind", "the name of a schedule class", name, remedy)
        if name not in self.known:
            near = did_you_mean(name[:100], self.known.keys() - {"Function"})
            remedy = near or f"give custom classes: {self.caller}({self.name}, custom_types=[...])"
            raise argument_error(ValueError, self.caller, f"{place}.kind", "the name of a schedule class", name, remedy)
        return self.known[name]

    def _check_names(self, kind: type[Value], given: dict[str, object], place: str) -> None:
        """Raises for an argument that is unknown or missing, and for a number that was read as text."""
        names = list(kind._rules)
        for name, value in given.items():
            if name not in names:
                remedy = did_you_mean(str(name)[:100], names) or "or it was written by a newer lrax"
                if name in ARGUMENTS:
                    remedy = "write each argument by its name, next to `kind`"
                needs = f"a field of {kind.__name__} ({', '.join(names)})"
                raise argument_error(ValueError, self.caller, f"{place}.{name}", needs, name, remedy)
            if not isinstance(kind._rules[name], Choice | Static) and is_number_text(value):
                needs = "a number" if isinstance(value, str) else "a list of numbers"
                raise argument_error(TypeError, self.caller, f"{place}.{name}", needs, value, NO_QUOTES)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass
            if field.name not in given and field.default is dataclasses.MISSING:
                raise argument_error(ValueError, self.caller, f"{place}.{field.name}", f"given for a {kind.__name__}", None)

    def _check_cells(self, kind: type[Value], fields: dict[str, object], place: str) -> None:
        """Raises for lists that would be broadcast to far more numbers than were written."""
        shapes = [shape for name, value in fields.items() for shape in _axes(value, kind._rules[name])]
        try:
            cells = math.prod(np.broadcast_shapes(*shapes))
        except ValueError:  # they do not fit, about which a rule says more
            return
        if cells > max([MOST_CELLS, *map(math.prod, shapes)]):
            needs = f"a batch of at most {MOST_CELLS} schedules"
            raise argument_error(
                ValueError, self.caller, place, needs, Shown(f"lists that make {cells}"), "give its lists one shape"
            )

    def _field(self, data: object, place: str, rule: Converter) -> object:
        """A field's value; its own rule makes the leaf."""
        if isinstance(data, Mapping):
            if set(data) == {"ratio"}:
                if not isinstance(rule.rule if isinstance(rule, Maybe) else rule, RatioRule | LengthRule):
                    raise argument_error(
                        ValueError, self.caller, place, "a number: only lengths and their factors are ratios", data
                    )
                return self._ratio(data["ratio"], place)
            return self.value(data, place)
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            data = [plain(part) for part in data]
            schedules = bool(data) and all(isinstance(part, Mapping) for part in data)
            return tuple(self.schedule(part, f"{place}[{i}]") for i, part in enumerate(data)) if schedules else data
        return data

    def _ratio(self, data: Any, place: str) -> Ratio:
        try:
            numerator, denominator = (np.asarray(part) for part in data)
        except (TypeError, ValueError) as error:
            raise argument_error(ValueError, self.caller, place, "a ratio of two integers", data) from error
        if numerator.shape != denominator.shape:
            raise argument_error(ValueError, self.caller, place, "a ratio of two integers, or of two lists of one shape", data)
        for part in (numerator, denominator):
            if part.dtype.kind != "i" or (part < 1).any() or (part > LARGEST).any():
                raise argument_error(ValueError, self.caller, place, f"a ratio of integers from 1 to {LARGEST}", data)
        return Ratio(numerator.astype(np.int32)[()], denominator.astype(np.int32)[()])


def plain(data: object) -> object:
    """`data`, or the mapping that its method `to_dict` returns, as that of a `ConfigDict` of ml_collections does."""
    to_dict = None if isinstance(data, Mapping | Value | type) else getattr(data, "to_dict", None)
    return to_dict() if callable(to_dict) else data


def _as_mapping(data: object) -> str:
    """The remedy for a configuration that is not a mapping."""
    if isinstance(data, str | bytes):
        return "from_json reads text"
    if isinstance(data, Sequence):
        return 'several schedules are {"kind": "Sequence", "schedules": [...]}'
    if data is None:
        return "the file, or this part of it, is empty"
    if isinstance(data, Schedule):
        return "it is a schedule already"
    return "give vars(config)" if hasattr(data, "__dict__") and not isinstance(data, type) else ""


def _axes(value: Any, rule: object) -> list[tuple[int, ...]]:
    """The leading axes of the numbers in a field: those of a batch."""
    if isinstance(value, Value | tuple) and not isinstance(value, Ratio):
        return [shape for part in (value if isinstance(value, tuple) else (value,)) for shape in _leaf_axes(part)]
    rule = rule.rule if isinstance(rule, Maybe) else rule
    try:
        shape = np.shape(value.numerator if isinstance(value, Ratio) else value)
    except ValueError:  # a ragged list, which is refused by its rule
        return []
    return [shape[: len(shape) - getattr(rule, "rank", 0)]]


def _leaf_axes(value: Value) -> list[tuple[int, ...]]:
    leaves = zip(jax.tree.leaves(value), ranks(value), strict=True)
    return [np.shape(leaf)[: np.ndim(leaf) - (rank or 0)] for leaf, rank in leaves]


@check_call
def to_json(schedule: Schedule) -> str:
    """A schedule as one line of JSON: its class or recipe, its fields, and the version of the format.

    Numbers are written so that they come back bit for bit; batches and schedules inside schedules are written in full. A field
    that holds None is left out.

    Args:
      schedule: made of classes of lrax or custom ones; its numbers are concrete and finite.

    Returns: `{"lrax": 1, "schedule": {"kind": ..., field: value, ...}}`.

    Raises: TypeError for something that is not a schedule, for a plain callable (alone or inside a schedule), and under jit;
      ValueError for a number that is not finite, and for a custom class with the name of one of lrax.

    >>> print(to_json(lrax.Cosine(start=0.1, end=0.0, steps=100)))
    {"lrax": 1, "schedule": {"kind": "Cosine", "start": 0.1, "end": 0.0, "steps": 100}}
    """
    given: object = schedule
    if not isinstance(given, Schedule):
        remedy = "a function cannot be saved; make it a subclass of lrax.Schedule" if callable(given) else ""
        raise argument_error(TypeError, "to_json", "schedule", "a lrax.Schedule", given, remedy)
    return json.dumps({"lrax": VERSION, "schedule": _written(given, "schedule")}, allow_nan=False)


@check_call
def from_json(text: str, custom_types: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that `to_json` wrote. Only known classes are made: the text cannot run code.

    Args:
      text: what `to_json` returned, or JSON like it written by hand, such as `{"kind": "warmup_cosine", "peak": 0.1, ...}`;
        fields that have a default may be left out.
      custom_types: custom schedule classes that may be in it.

    Returns: a schedule whose fields are NumPy numbers and arrays, checked as when it was made.

    Raises: ValueError for text that is not such JSON, has a key twice or is nested too deeply, for an unknown version, `kind`
      or field, for a field that is missing or out of range, and for lists that make over 100,000 schedules; TypeError for
      something that is not text, a field of a wrong type, and `custom_types` that are not schedule classes.

    >>> text = to_json(lrax.warmup_cosine(peak=0.1, warmup_steps=9, total_steps=100))
    >>> from_json(text)
    warmup_cosine(peak=0.1, warmup_steps=9, total_steps=100)
    >>> from_json('{"kind": "sgdr", "peak": 0.1, "end": 0.0, "cycle_steps": 10}')
    sgdr(peak=0.1, end=0.0, cycle_steps=10)
    """
    given: object = text
    if not isinstance(given, str | bytes | bytearray):
        remedy = "from_config takes a dict" if isinstance(given, dict) else ""
        raise argument_error(TypeError, "from_json", "text", "text: JSON that to_json wrote", text, remedy)
    reader = Reader("from_json", "text", custom_types)
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_int=_integer)
    except RecursionError:
        needs = f"JSON of at most {MOST_LEVELS} schedules inside each other"
        raise argument_error(ValueError, "from_json", "text", needs, text) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise argument_error(ValueError, "from_json", "text", "JSON that to_json wrote", text, str(error)) from error
    return reader.document(data)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; a repeated key would otherwise hide the first silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = collections.Counter(name for name, _ in pairs).most_common(1)[0][0]
        needs = "JSON whose keys are given once"
        raise argument_error(ValueError, "from_json", "text", needs, Shown(f"{shown(repeated)} twice"))
    return found


def _integer(digits: str) -> int:
    """An integer of JSON; Python reads at most 4300 digits, and no field holds as many as these."""
    if len(digits) > MOST_DIGITS:
        needs = f"JSON with integers of at most {MOST_DIGITS} digits"
        raise argument_error(ValueError, "from_json", "text", needs, Shown(digits))
    return int(digits)


MOST_DIGITS = 400


def _written(value: object, place: str) -> object:
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


def _written_schedule(schedule: Schedule | Clock, place: str) -> dict[str, object]:
    kind = type(schedule)
    if kind is Function:
        remedy = "write it as a subclass of lrax.Schedule, and give that to from_json in `custom_types`"
        raise argument_error(
            TypeError, "to_json", place, "made of schedule classes: a callable cannot be saved", schedule, remedy
        )
    if built_in_types().get(kind.__name__, kind) is not kind:
        raise argument_error(ValueError, "to_json", place, "of a class whose name is not one of lrax", kind, "rename the class")
    # a field that is None by default is left out, so that one can be added without another version
    fields = dataclasses.fields(schedule)
    names = [field.name for field in fields if field.default is not None or getattr(schedule, field.name) is not None]
    if "kind" in names:
        raise argument_error(ValueError, "to_json", place, "a class without a field called `kind`", kind, "rename the field")
    return {"kind": kind.__name__, **{name: _written_field(schedule, name, place) for name in names}}


def _written_field(schedule: Schedule | Clock, name: str, place: str) -> object:
    """A field as JSON data; a ratio as the number that becomes it, or its two integers where none does."""
    value, place = getattr(schedule, name), f"{place}.{name}"
    if not isinstance(value, Ratio):
        return _written(value, place)
    parts = [_written_numbers(part, place) for part in value]
    numbers = decimal(value).tolist()
    same = identity(schedule._rules[name].convert("to_json", place, numbers)) == identity(value)
    return numbers if same else {"ratio": parts}


def _written_numbers(value: object, place: str) -> object:
    """Integers as they are; float32 numbers as the shortest decimals that give them back."""
    if not is_concrete(value):
        raise argument_error(TypeError, "to_json", place, "concrete", value, "call to_json outside jit and vmap")
    array = np.asarray(value)
    if not np.isfinite(array).all():
        raise argument_error(ValueError, "to_json", place, "finite", value)
    return shortest(array).tolist()
