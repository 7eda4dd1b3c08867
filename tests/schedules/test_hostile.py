"""Texts and configurations that were not written by `to_json`: errors of lrax, in a time in proportion to their length."""

import argparse
import collections
import json
import random
import time
import types
from typing import Any

import numpy as np
import pytest

import lrax
from schedule_cases import CASES, Roulette, SquareRoot

CONSTANT = {"kind": "Constant", "value": 0.1}


class ConfigDict:
    """What `ml_collections.ConfigDict` is to a reader: no mapping, but `to_dict` makes one."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def to_dict(self) -> dict[str, Any]:
        return self.fields


def test_spellings_of_a_mapping() -> None:
    """Any mapping is a configuration, and so is what has `to_dict`, wherever in it."""
    want = lrax.Scale(lrax.Sum(lrax.Constant(0.1)), 2.0)
    inner = ConfigDict(**CONSTANT)
    for made in (
        dict,
        collections.OrderedDict,
        lambda fields: ConfigDict(**fields),
        types.MappingProxyType,
        collections.ChainMap,
    ):
        config = made({"kind": "Scale", "factor": 2, "schedule": made({"kind": "Sum", "schedules": (inner,)})})
        assert lrax.from_config(config) == want


SPELLINGS: dict[str, tuple[Any, type[Exception], str]] = {
    "a list": ([CONSTANT], TypeError, r'a dict: .*; several schedules are \{"kind": "Sequence", "schedules": \[...\]\}'),
    "a tuple": ((CONSTANT,), TypeError, "several schedules are"),
    "None": (None, TypeError, "got None; the file, or this part of it, is empty"),
    "a namespace": (argparse.Namespace(**CONSTANT), TypeError, r"give vars\(config\)"),
    "a schedule": (lrax.Constant(0.1), TypeError, "it is a schedule already"),
    "type": (
        {"type": "wsd", "peak": 0.1},
        ValueError,
        "`schedule.kind` must be given: the key is `kind`, got .*; write `kind` for `type`",
    ),
    "name and arguments": (
        {"name": "cosine", "warmup": 10, "arguments": [1e-5]},
        ValueError,
        "the key is `kind`, got .*; write `kind` for `name`, and each argument by its name next to it",
    ),
    "_target_": ({"_target_": "lrax.wsd", "peak": 0.1}, ValueError, "write `kind` for `_target_`"),
    "another case": ({"Kind": "Constant", "value": 0.1}, ValueError, "write `kind` for `Kind`"),
    "type, inside": (
        {"kind": "Scale", "factor": 1, "schedule": {"type": "Constant", "value": 1}},
        ValueError,
        "`schedule.schedule.kind` must be given: the key is `kind`",
    ),
    "arguments apart": (
        {"kind": "Constant", "arguments": [0.1]},
        ValueError,
        "write each argument by its name, next to `kind`",
    ),
    "one level too high": ({"schedule": CONSTANT, "model": {}}, ValueError, "give the value of `schedule`"),
    "keys that are no text": ({"kind": "Constant", 1: 2}, ValueError, "`schedule.1` must be a field of Constant"),
    "a kind that is no text": ({"kind": 5}, ValueError, "`schedule` must be a schedule: an object with a `kind`"),
    "a function": ({"kind": "Function"}, ValueError, "got 'Function'; a function cannot be in a file; write it as a class"),
    "a list for one": (
        {"kind": "Scale", "factor": 1, "schedule": [CONSTANT]},
        TypeError,
        "lrax.Sequence.* makes one of several",
    ),
    "a ratio for a number": (
        {"kind": "Constant", "value": {"ratio": [1, 2]}},
        ValueError,
        "`schedule.value` must be a number: only",
    ),
    "true for the version": ({"lrax": True, "schedule": CONSTANT}, ValueError, "`lrax` must be version 1, got True"),
    "a float for the version": ({"lrax": 1.0, "schedule": CONSTANT}, ValueError, "`lrax` must be version 1, got 1.0"),
    "text in a list": ({"kind": "PiecewiseConstant", "values": ["1e-3", 0.1], "boundaries": [1]}, TypeError, "YAML takes 1e-3"),
    "text in a nested list": (
        {"kind": "MultiStep", "start": 1, "factor": 1, "boundaries": [["1"]]},
        TypeError,
        "YAML takes 1e-3",
    ),
    "bytes": ({"kind": "Constant", "value": b"ab"}, TypeError, "must be a finite number, got b'ab'"),
    "a number of many digits": ({"kind": "Constant", "value": 10**5000}, ValueError, "`value` must be a finite number"),
}


@pytest.mark.parametrize(("config", "error", "says"), SPELLINGS.values(), ids=SPELLINGS)
def test_other_spellings_say_what_to_write(config: Any, error: type[Exception], says: str) -> None:
    """A configuration that is spelled as another library's hears how it is spelled here."""
    with pytest.raises(error, match=says):
        lrax.from_config(config)


def test_keys_are_given_once() -> None:
    """A key of JSON that is there twice is refused by name, wherever it is."""
    for text in (
        '{"kind": "Constant", "value": 1, "value": 2}',
        '{"kind": "Scale", "factor": 1, "schedule": {"kind": "A", "kind": "B"}}',
    ):
        with pytest.raises(
            ValueError, match=r"from_json: `text` must be JSON whose keys are given once, got '(value|kind)' twice"
        ):
            lrax.from_json(text)


GRID = {"peak": 0.1, "total_steps": [[1000]] * 8000, "warmup_steps": [10] * 8000}
COSTLY: dict[str, tuple[str, str]] = {
    "lists that multiply, in a recipe": (json.dumps({"kind": "warmup_cosine", **GRID}), "a batch of at most 100000 schedules"),
    "lists that multiply, between schedules": (
        json.dumps(
            {
                "kind": "Clip",
                "schedule": {"kind": "Linear", "start": [[0]] * 8000, "end": 0, "steps": 9},
                "low": 0,
                "high": [1] * 8000,
            }
        ),
        "a batch of at most 100000 schedules",
    ),
    "three lists that multiply": (
        json.dumps({"kind": "Linear", "start": [[[0]]] * 99, "end": [[[0]] * 99], "steps": [[[9] * 99]]}),
        "lists that make 970299; give its lists one shape",
    ),
    "many factors": (
        json.dumps({"kind": "factors", "text": "*".join(["constant"] * 100_000), "value": 1}),
        "at most 32 factors",
    ),
    "many digits": ('{"kind": "Constant", "value": ' + "1" * 100_000 + "}", "integers of at most 400 digits"),
    "a long kind": (json.dumps({"kind": "x" * 10**6}), "the name of a schedule class"),
    "a long key": (json.dumps(CONSTANT | {"x" * 10**6: 1}), "must be a field of Constant"),
    "deep lists": ('{"kind": "Constant", "value": ' + "[" * 900 + "1" + "]" * 900 + "}", "must be a finite number"),
}


@pytest.mark.parametrize(("text", "says"), COSTLY.values(), ids=COSTLY)
def test_what_would_cost_more_than_its_length_is_refused(text: str, says: str) -> None:
    """A short text cannot ask for much time or memory: it is refused at once, in few words."""
    begun = time.perf_counter()
    with pytest.raises((TypeError, ValueError), match=says) as caught:
        lrax.from_json(text)
    assert time.perf_counter() - begun < 2
    assert len(str(caught.value)) < 1000


def test_long_texts_take_their_time_and_no_more() -> None:
    """Ten thousand factors of lengths, numbers or schedules load and are shown in seconds."""
    many = np.linspace(0.5, 3, 10_000).tolist()
    begun = time.perf_counter()
    for config in (
        {"kind": "Cycle", "phase": {"kind": "Hold", "value": 1, "steps": 5}, "length_factor": many},
        {"kind": "Constant", "value": many},
        {"kind": "Sum", "schedules": [CONSTANT] * 2000},
        {"kind": "Cycle", "phase": _nested("Shift", {"offset": 1}, 25)},
        {
            "kind": "Sequence",  # a clock of another length each, of which none is compiled
            "schedules": [
                {
                    "kind": "Clocked",
                    "schedule": {"kind": "Linear", "start": 1, "end": 0, "steps": 5},
                    "clock": {"kind": "Clock", "batch_sizes": [1] * k, "boundaries": list(range(1, k))},
                }
                for k in range(1, 60)
            ],
        },
    ):
        schedule = lrax.from_json(json.dumps(config))
        assert len(repr(schedule)) < 60_000
    assert time.perf_counter() - begun < 20


def _nested(kind: str, fields: dict[str, Any], levels: int) -> dict[str, Any]:
    """One kind around another, around a line."""
    inner: dict[str, Any] = {"kind": "Linear", "start": 1, "end": 0, "steps": 100}
    for _ in range(levels):
        inner = {"kind": kind, "schedule": inner, **fields}
    return inner


NUMBERS: list[Any] = [0, 1, -1, 2, 0.5, 1.0, -0.5, 1e39, 1e-50, 2**31, 2**70, 10**350, [1], [0.5, 7], [1, [2]], [], [[]]]
RATIOS: list[Any] = [{"ratio": ratio} for ratio in ([1, 2], [0, 1], "x", [1], None, [[1, 2], [2, 3]])]
CLOCK = {"kind": "Clock", "batch_sizes": [8, 16], "boundaries": [5]}
PARTS: list[Any] = [CONSTANT, [CONSTANT], [CONSTANT, 1], CLOCK, {"kind": "Constant"}, {"kind": None}, {"": 1}, {}]
VALUES = [None, True, False, "", "x", "1e-3", "linear", ["a"], [None], *NUMBERS, *RATIOS, *PARTS]


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in nested data."""
    found = [path]
    for key, part in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += _places(part, (*path, key))
    return found


def _mutated(data: Any, draw: random.Random) -> Any:
    """Data with one thing replaced, removed, renamed, doubled or wrapped."""
    data = json.loads(json.dumps(data))
    path = draw.choice(_places(data)[1:])
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    key, change = path[-1], draw.randrange(6)
    if change <= 2:
        holder[key] = draw.choice(VALUES)
    elif change == 3:
        del holder[key]
    elif change == 4:
        holder[key] = draw.choice([[holder[key]], {"kind": "Scale", "factor": 2, "schedule": holder[key]}, [holder[key]] * 2])
    elif isinstance(holder, dict):
        holder[draw.choice(["kind", "peak", "steps", "schedule", "total_steps", "boundaries", "x"])] = holder.pop(key)
    return data


def _cut(text: str, draw: random.Random) -> str:
    """A text with a character removed, doubled or replaced."""
    at = draw.randrange(len(text))
    return text[:at] + draw.choice(["", text[at] * 2, draw.choice('{}[]":,0123456789.-eEaN \\')]) + text[at + 1 :]


def _read(text: str) -> tuple[Any, str]:
    """A schedule from a text, or what was said of it."""
    try:
        return lrax.from_json(text, custom_types=[Roulette, SquareRoot]), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


def _fuzz(seed: int, times: int) -> None:
    """Reads changed data and texts; whatever is read is a schedule that can be written again."""
    texts = [lrax.to_json(case.build()) for name, case in CASES.items() if "Function" not in name]
    draw = random.Random(seed)
    for turn in range(times):
        said = f"seed {seed}, turn {turn}"
        data = json.loads(draw.choice(texts))
        for _ in range(draw.randrange(1, 4)):
            data = _mutated(data, draw) if len(_places(data)) > 1 else data
        text = json.dumps(data) if draw.random() < 0.8 else _cut(json.dumps(data), draw)
        begun = time.perf_counter()
        schedule, refused = _read(text)
        assert schedule is not None or refused.startswith("from_json: "), f"{said}: {refused!r} of {text}"
        assert schedule is None or _read(lrax.to_json(schedule))[0] == schedule, f"{said}: {text}"
        assert time.perf_counter() - begun < 5, f"{said}: {text}"


def test_changed_texts_are_errors_of_lrax_or_schedules() -> None:
    """Valid texts with random changes are read, or refused in lrax's words; never another error, and never slowly."""
    _fuzz(seed=0, times=600)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_many_changed_texts(seed: int) -> None:
    """The same, of many more texts."""
    _fuzz(seed, times=2000)
