"""Schedules as JSON, as configurations and in checkpoints."""

import collections
import inspect
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from flax import serialization

from lrax.fields._errors import NO_QUOTES, Shown, argument_error, check_call, did_you_mean, is_concrete, is_number_text, shown
from lrax.fields._rules import LARGEST, Choice, Ratio, RatioRule, Static
from lrax.fields._shares import LengthRule
from lrax.fields._types import Maybe
from lrax.fields._value import MOST_LEVELS, NEW_KIND, Value, _fields, decimal, has_default, identity, ranks, shortest
from lrax.schedules._base import Function, Schedule
from lrax.schedules._clock import Clock
from lrax.schedules._elsewhere import made_by

VERSION = 1
"""The version of the format; a change that older readers would misread adds one."""

MOST_CELLS = 100_000
"""A batch of more schedules than these has lists of that length, and is not broadcast from shorter ones."""

MOST_LETTERS = 100
"""Longer names are not compared with those that there are."""

KINDS_ELSEWHERE = ("type", "name", "_target_", "class_name", "class", "cls", "target", "scheduler", "kind")
"""What other libraries' files call the `kind`."""

ARGUMENTS = ("arguments", "args", "kwargs", "params", "parameters", "init_args", "_args_", "config")
"""What they call the arguments, where these are apart."""


@check_call
def from_config(config: Mapping[str, Any], kinds: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that a configuration describes: its kind or recipe by name, its arguments, and schedules inside schedules.

    It is what a file of YAML, JSON or TOML is read as. `from_json` takes the same as text, and `json.loads(to_json(schedule))`
    is one too.

    Args:
      config: a mapping such as `{"kind": "wsd", "peak": 0.1, "warmup_steps": 0.01, "cooldown_steps": 0.2}`, or an object with a
        method `to_dict`, such as a `ConfigDict`. What has a default may be left out, and so may the total length of a recipe.
      kinds: your own kinds that may be in it.

    Returns: a schedule, checked as when it is made by a call.

    Raises: ValueError for a kind or an argument that is not known (with what was meant), for one that is missing or out of
      range; TypeError for what is no mapping, an argument of a wrong type, and `kinds` that are none.

    >>> plan = from_config({"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": 0.05})
    >>> plan.with_total_steps(10_000)
    warmup_cosine(peak=0.1, total_steps=10000, warmup_steps=0.05)
    >>> from_config({"kind": "Scale", "factor": 2, "schedule": {"kind": "Constant", "value": 0.1}})
    Scale(schedule=Constant(value=0.1), factor=2.0)
    """
    return Reader("from_config", "config", kinds).document(config)


def own_kinds(kind: type[Schedule] = Schedule) -> dict[str, type[Schedule]]:
    """The kinds of lrax by name: those that its modules hold, not what an example in one of their docstrings made."""
    found: dict[str, type[Schedule]] = {}
    for below in kind.__subclasses__():
        if below.__module__.startswith("lrax.") and getattr(sys.modules[below.__module__], below.__name__, None) is below:
            own = {} if inspect.isabstract(below) else {below.__name__: below}
            found |= own | own_kinds(below)
    return found


class Reader:
    """Reads schedules from data.

    Attributes:
      caller, name: who is asked for what, for messages.
      known: the kinds that may be made, by name.
    """

    def __init__(self, caller: str, name: str, kinds: Iterable[type[Schedule]]) -> None:
        self.caller, self.name = caller, name
        self.known: dict[str, type[Value]] = {**own_kinds(), "Clock": Clock}
        for kind in kinds:
            if not isinstance(kind, type) or not issubclass(kind, Schedule):
                raise argument_error(TypeError, caller, "kinds", "a list of subclasses of lrax.Schedule", kind)
            if self.known.setdefault(kind.__name__, kind) is not kind:
                raise argument_error(ValueError, caller, "kinds", "kinds whose names differ, from lrax's too", kind)

    def document(self, data: Any) -> Schedule:
        """A schedule as `to_json` writes it, with the version of the format, or as one writes it by hand, without."""
        data = plain(data)
        if not isinstance(data, Mapping):
            if self.caller == "from_json":
                needs, remedy = "JSON with the two entries 'lrax' and 'schedule'", "or a schedule: its `kind` and its arguments"
                raise argument_error(ValueError, self.caller, self.name, needs, data, remedy)
            raise argument_error(
                TypeError, self.caller, self.name, "a dict: a `kind` and its arguments", data, _as_mapping(data)
            )
        if set(data) == {"lrax", "schedule"}:
            if type(data["lrax"]) is not int or data["lrax"] != VERSION:
                remedy = "install the lrax that wrote it"
                raise argument_error(ValueError, self.caller, "lrax", f"version {VERSION}", data["lrax"], remedy)
            data = data["schedule"]
        elif "kind" not in data and "schedule" in data:
            raise argument_error(
                ValueError,
                self.caller,
                self.name,
                "a schedule: a `kind` and its arguments",
                data,
                "give what is under `schedule`",
            )
        try:
            return self.schedule(data, "schedule")
        except RecursionError:
            needs = f"of at most {MOST_LEVELS} schedules inside each other"
            raise argument_error(ValueError, self.caller, self.name, needs, Shown("more")) from None

    def schedule(self, data: Any, place: str) -> Schedule:
        """A value that must be a schedule."""
        value = self.value(data, place)
        if not isinstance(value, Schedule):
            raise argument_error(ValueError, self.caller, place, "a schedule", value)
        return value

    def value(self, data: Any, place: str) -> Value:
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
            kind_of_error = TypeError if isinstance(error, TypeError) else ValueError  # a kind of yours may raise its own
            raise kind_of_error(f"{self.caller}: `{place}`: {error}") from error

    def _no_kind(self, data: Any, place: str) -> NoReturn:
        """Raises ValueError for what has no `kind`."""
        other = [key for key in data if str(key).lower() in KINDS_ELSEWHERE] if isinstance(data, Mapping) else []
        if other and "kind" not in data:
            needs, remedy = (
                "given: the key is `kind`",
                f"write `kind` for `{other[0]}`, and each argument by its name next to it",
            )
            raise argument_error(ValueError, self.caller, f"{place}.kind", needs, data, remedy)
        raise argument_error(ValueError, self.caller, place, "a schedule: an object with a `kind`", data)

    def _kind(self, name: str, place: str) -> type[Value]:
        if name == "Function":
            remedy = "a function cannot be in a file; write it as a kind, and give it in `kinds`"
            raise argument_error(ValueError, self.caller, f"{place}.kind", "the name of a kind", name, remedy)
        if name not in self.known:
            near = did_you_mean(name[:MOST_LETTERS], self.known.keys() - {"Function"})
            remedy = made_by(name) or near or f"give your own kinds: {self.caller}({self.name}, kinds=[...])"
            raise argument_error(ValueError, self.caller, f"{place}.kind", "the name of a kind", name, remedy)
        return self.known[name]

    def _check_names(self, kind: type[Value], given: dict[str, Any], place: str) -> None:
        """Raises for an argument that is not known or is missing, and for a number that was read as text."""
        names = [field.name for field in _fields(kind)]
        for name, value in given.items():
            if name not in names:
                remedy = did_you_mean(str(name)[:MOST_LETTERS], names) or "or it was written by a newer lrax"
                if name in ARGUMENTS:
                    remedy = "write each argument by its name, next to `kind`"
                needs = f"a field of {kind.__name__} ({', '.join(names)})"
                raise argument_error(ValueError, self.caller, f"{place}.{name}", needs, name, remedy)
            if not isinstance(kind._rules[name], Choice | Static) and is_number_text(value):
                needs = "a number" if isinstance(value, str) else "a list of numbers"
                raise argument_error(TypeError, self.caller, f"{place}.{name}", needs, value, NO_QUOTES)
        for field in _fields(kind):
            if field.name not in given and not has_default(field):
                raise argument_error(ValueError, self.caller, f"{place}.{field.name}", f"given for a {kind.__name__}", None)

    def _check_cells(self, kind: type[Value], fields: dict[str, Any], place: str) -> None:
        """Raises for lists that would be broadcast to far more numbers than were written."""
        shapes = [shape for name, value in fields.items() for shape in _axes(value, kind._rules[name])]
        try:
            cells = math.prod(np.broadcast_shapes(*shapes))
        except ValueError:  # they do not fit, which is said elsewhere
            return
        if cells > max([MOST_CELLS, *map(math.prod, shapes)]):
            needs = f"a batch of at most {MOST_CELLS} schedules"
            raise argument_error(
                ValueError, self.caller, place, needs, Shown(f"lists that make {cells}"), "give its lists one shape"
            )

    def _field(self, data: Any, place: str, rule: Any) -> Any:
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


def plain(data: Any) -> Any:
    """`data`; where it is no mapping but says how to become one, as a `ConfigDict` of ml_collections does, that."""
    to_dict = None if isinstance(data, Mapping | Value | type) else getattr(data, "to_dict", None)
    return to_dict() if callable(to_dict) else data


def _as_mapping(data: Any) -> str:
    """The remedy for a configuration that is no mapping."""
    if isinstance(data, str | bytes):
        return "from_json reads text"
    if isinstance(data, Sequence):
        return 'several schedules are {"kind": "Sequence", "schedules": [...]}'
    if data is None:
        return "the file, or this part of it, is empty"
    if isinstance(data, Schedule):
        return "it is a schedule already"
    return "give vars(config)" if hasattr(data, "__dict__") and not isinstance(data, type) else ""


def _axes(value: Any, rule: Any) -> list[tuple[int, ...]]:
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


def state_of(schedule: Schedule) -> dict[str, Any]:
    """The numbers of a schedule, each under its place in it; words and flags are left to the target.

    >>> state_of(lrax.Scale(lrax.Constant(0.5), 2)).keys()
    dict_keys(['schedule.value', 'factor'])
    """
    return {jax.tree_util.keystr(path)[1:]: leaf for path, leaf in jax.tree.leaves_with_path(schedule)}


def restored(schedule: Schedule, state: Mapping[str, Any]) -> Schedule:
    """`schedule` with the numbers of `state`; raises ValueError if they are of another kind of schedule."""
    names = list(state_of(schedule))
    if set(names) != set(state):
        needs = f"that of a schedule like {schedule!r}, with the entries {names}"
        raise argument_error(
            ValueError, "from_state_dict", "state", needs, list(state), "give a target of the kind that was saved"
        )
    again: Schedule = jax.tree.unflatten(jax.tree.structure(schedule), [state[name] for name in names])
    return again


def register(kind: type) -> None:
    """Tells Flax how to save the schedules of a kind."""
    if issubclass(kind, Schedule):
        registry: Any = serialization  # flax leaves it untyped
        registry.register_serialization_state(kind, state_of, restored, override=True)
        for below in kind.__subclasses__():
            register(below)


register(Schedule)
NEW_KIND.append(register)


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
