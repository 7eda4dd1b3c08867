"""Schedules from data: the dicts, lists, numbers and words that JSON and YAML are read as.

There is one way in. `from_json` is `from_config` of what the text holds, `to_json` writes what `from_config` reads, and both
check what a call would check. Nothing but known kinds is made: a configuration cannot run code.
"""

import inspect
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from lrax.fields._ratio import Ratio, RatioRule
from lrax.fields._rules import LARGEST, Choice, Static
from lrax.fields._shares import LengthRule
from lrax.fields._types import Maybe
from lrax.fields._value import MOST_LEVELS, Value, _fields, has_default, ranks
from lrax.fields._words import NO_QUOTES, Shown, argument_error, check_call, did_you_mean, is_number_text
from lrax.schedules._base import Schedule
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
