"""Schedules from data: the dicts, lists, numbers and words that JSON and YAML are read as.

There is one way in. `from_json` is `from_config` of what the text holds, `to_json` writes what `from_config` reads, and both
check what a call would check. Nothing but known kinds is made: a configuration cannot run code.
"""

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lrax.fields._ratio import Ratio
from lrax.fields._rules import LARGEST, Choice, Static
from lrax.fields._value import Value, _fields, has_default
from lrax.fields._words import complain, did_you_mean, spelt
from lrax.schedules._base import Schedule
from lrax.schedules._clock import Clock
from lrax.schedules._elsewhere import made_by

VERSION = 1
"""The version of the format; a change that older readers would misread adds one."""


@spelt
def from_config(config: Mapping[str, Any], kinds: Iterable[type[Schedule]] = ()) -> Schedule:
    """The schedule that a configuration describes: its kind or recipe by name, its arguments, and schedules inside schedules.

    It is what a file of YAML, JSON or TOML is read as. `from_json` takes the same as text, and `json.loads(to_json(schedule))`
    is one too.

    Args:
      config: a mapping such as `{"kind": "wsd", "peak": 0.1, "warmup_steps": 0.01, "cooldown_steps": 0.2}`; what has a default
        may be left out, and so may the total length of a plan that waits for it.
      kinds: your own kinds that may be in it.

    Returns: a schedule, checked as when it is made by a call.

    Raises: ValueError for a kind or an argument that is not known (with what was meant), for one that is missing or out of
      range; TypeError for what is no mapping, an argument of a wrong type, and `kinds` that are none.

    >>> plan = from_config({"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": 0.05})
    >>> plan.over(10_000)
    warmup_cosine(peak=0.1, total_steps=10000, warmup_steps=0.05)
    >>> from_config({"kind": "Scale", "factor": 2, "schedule": {"kind": "Constant", "value": 0.1}})
    Scale(schedule=Constant(value=0.1), factor=2.0)
    """
    given: Any = config
    if not isinstance(given, Mapping):
        remedy = "from_json reads text" if isinstance(given, str) else ""
        raise complain(TypeError, "from_config", "config", "a dict: a `kind` and its arguments", config, remedy)
    try:
        return Reader("from_config", "config", kinds).document(config)
    except RecursionError as error:
        raise complain(ValueError, "from_config", "config", "of at most a few hundred levels", "a deeper one") from error


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
      owner, name: who is asked for what, for messages.
      known: the kinds that may be made, by name.
    """

    def __init__(self, owner: str, name: str, kinds: Iterable[type[Schedule]]) -> None:
        self.owner, self.name = owner, name
        self.known: dict[str, type[Value]] = {**own_kinds(), "Clock": Clock}
        for kind in kinds:
            if not isinstance(kind, type) or not issubclass(kind, Schedule):
                raise complain(TypeError, owner, "kinds", "a list of subclasses of lrax.Schedule", kind)
            if self.known.setdefault(kind.__name__, kind) is not kind:
                raise complain(ValueError, owner, "kinds", "kinds whose names differ, from lrax's too", kind)

    def document(self, data: Any) -> Schedule:
        """A schedule as `to_json` writes it, with the version of the format, or as one writes it by hand, without."""
        if isinstance(data, Mapping) and "kind" in data:
            return self.schedule(data, "schedule")
        if not isinstance(data, Mapping) or set(data) != {"lrax", "schedule"}:
            needs, remedy = "JSON with the two entries 'lrax' and 'schedule'", "or a schedule: its `kind` and its arguments"
            raise complain(ValueError, self.owner, self.name, needs, data, remedy)
        if data["lrax"] != VERSION:
            remedy = "install the lrax that wrote it"
            raise complain(ValueError, self.owner, "lrax", f"version {VERSION}", data["lrax"], remedy)
        return self.schedule(data["schedule"], "schedule")

    def schedule(self, data: Any, place: str) -> Schedule:
        """A value that must be a schedule."""
        value = self.value(data, place)
        if not isinstance(value, Schedule):
            raise complain(ValueError, self.owner, place, "a schedule", value)
        return value

    def value(self, data: Any, place: str) -> Value:
        """A schedule, or a clock, from its kind and arguments."""
        if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
            raise complain(ValueError, self.owner, place, "a schedule: an object with a `kind`", data)
        kind = self._kind(data["kind"], place)
        fields = {field: self._field(value, f"{place}.{field}") for field, value in data.items() if field != "kind"}
        self._check(kind, fields, place)
        try:
            return kind(**fields)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.owner}: `{place}`: {error}") from error

    def _kind(self, name: str, place: str) -> type[Value]:
        if name not in self.known or name == "Function":
            remedy = (
                made_by(name)
                or did_you_mean(name, self.known)
                or f"give your own kinds: {self.owner}({self.name}, kinds=[...])"
            )
            raise complain(ValueError, self.owner, f"{place}.kind", "the name of a kind", name, remedy)
        return self.known[name]

    def _check(self, kind: type[Value], fields: dict[str, Any], place: str) -> None:
        """Raises for an argument that is not known or is missing, and for a number that was read as text."""
        names = [field.name for field in _fields(kind)]
        for given, value in fields.items():
            if given not in names:
                remedy = did_you_mean(given, names) or "or it was written by a newer lrax"
                needs = f"a field of {kind.__name__} ({', '.join(names)})"
                raise complain(ValueError, self.owner, f"{place}.{given}", needs, given, remedy)
            if isinstance(value, str) and not isinstance(kind._rules[given], Choice | Static) and _is_number(value):
                remedy = "YAML takes 1e-3 for text: write 1.0e-3, and no quotes"
                raise complain(TypeError, self.owner, f"{place}.{given}", "a number", value, remedy)
        for field in _fields(kind):
            if field.name not in fields and not has_default(field):
                raise complain(ValueError, self.owner, f"{place}.{field.name}", f"given for a {kind.__name__}", None)

    def _field(self, data: Any, place: str) -> Any:
        """A field's value; its own rule makes the leaf."""
        if isinstance(data, Mapping):
            return self._ratio(data["ratio"], place) if set(data) == {"ratio"} else self.value(data, place)
        if isinstance(data, Sequence) and not isinstance(data, str):
            schedules = bool(data) and all(isinstance(part, Mapping) for part in data)
            return tuple(self.schedule(part, f"{place}[{i}]") for i, part in enumerate(data)) if schedules else list(data)
        return data

    def _ratio(self, data: Any, place: str) -> Ratio:
        try:
            numerator, denominator = (np.asarray(part) for part in data)
        except (TypeError, ValueError) as error:
            raise complain(ValueError, self.owner, place, "a ratio of two integers", data) from error
        for part in (numerator, denominator):
            if part.dtype.kind != "i" or (part < 1).any() or (part > LARGEST).any():
                raise complain(ValueError, self.owner, place, f"a ratio of integers from 1 to {LARGEST}", data)
        return Ratio(numerator.astype(np.int32)[()], denominator.astype(np.int32)[()])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
