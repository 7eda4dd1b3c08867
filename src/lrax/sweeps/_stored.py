"""Sweeps and races in one file: arrays by name, and JSON that says what they are. No code is run by reading one."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete, is_key
from lrax.fields._value import is_batch
from lrax.schedules._base import Function, Schedule
from lrax.schedules._display import kind_of
from lrax.schedules._serialise import Reader, to_json
from lrax.sweeps._files import packed, read, reason_of, save
from lrax.sweeps._settings import first_lanes

FORMAT = 1
"""The version of the file; a change that older readers would misread adds one."""


@dataclasses.dataclass(frozen=True)
class Lost:
    """Stands for a schedule of which only the name was kept; those of one name are told apart by the lane they had first."""

    name: str
    lane: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "__qualname__", self.name)  # what tables and pictures call it

    def __call__(self, count: Any) -> Any:
        raise TypeError(f"{self.name}: a schedule that has no JSON was not saved, only its name; make it again")


def write_sweep(
    path: pathlib.Path, schedules: Sequence[Schedule], metrics: Any, scores: Any, diverged: Any, peaks: Any, plan: str
) -> None:
    """Writes a sweep; see `SweepResult.save`."""
    arrays: dict[str, Any] = {"scores": scores, "diverged": diverged, "peaks": peaks}
    header = {"plan": plan, "metrics": _write_tree(metrics, arrays)}
    _write("SweepResult", path, schedules, header, arrays)


def read_sweep(path: pathlib.Path, kinds: Iterable[type[Schedule]]) -> dict[str, Any]:
    """The fields of a sweep; see `SweepResult.load`."""
    reader = Reader("SweepResult.load", "path", kinds)
    found, header = _read("SweepResult", path)
    with _reading("SweepResult", path):
        schedules = _schedules(header, reader)
        shape = (len(schedules),)
        fields = {
            name: _checked(found, name, kind, shape) for name, kind in (("scores", "f"), ("diverged", "b"), ("peaks", "f"))
        }
        if (fields["diverged"] == np.isfinite(fields["scores"])).any():
            raise ValueError("its diverged runs are not those without a finite score")
        metrics = _read_tree(header["metrics"], found)
        if any(np.shape(leaf)[:1] != shape for leaf in jax.tree.leaves(metrics)):
            raise ValueError("its metrics have no leading axis for the runs")
        return {"schedules": schedules, "metrics": metrics, "plan": _typed(header, "plan", str), **fields}


def write_race(path: pathlib.Path, schedules: Sequence[Schedule], state: Any, plan: Any, **fields: Any) -> None:
    """Writes a race; see `RaceResult.save`."""
    if not all(map(is_concrete, jax.tree.leaves(state))):
        remedy = "gather it first, or save dataclasses.replace(race, state=None)"
        raise argument_error(
            ValueError, "RaceResult.save", "state", "an array of this process, whole", "parts on other hosts", remedy
        )
    arrays = {
        name: fields.pop(name) for name in ("losses", "end_losses", "rungs", "peaks", "order", "evaluated", "evaluations")
    }
    arrays["evaluations"] = arrays["evaluations"].reshape(len(schedules), -1)  # of none, whatever their shape
    end_metrics = fields.pop("end_metrics")
    arrays |= {} if end_metrics is None else {"end_metrics": end_metrics}
    places = jax.tree.leaves_with_path(state)
    header = {"plan": plan, **fields, "state": None if state is None else _places(state)}
    for i, (_, leaf) in enumerate(places):
        arrays[f"state/{i}"] = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    _write("RaceResult", path, schedules, header, arrays)


def read_race(path: pathlib.Path, state: Any, kinds: Iterable[type[Schedule]]) -> dict[str, Any]:
    """The fields of a race; see `RaceResult.load`."""
    reader = Reader("RaceResult.load", "path", kinds)
    found, header = _read("RaceResult", path)
    with _reading("RaceResult", path):
        schedules = _schedules(header, reader)
        lanes = len(schedules)
        fields: dict[str, Any] = {name: _checked(found, name, "f", (lanes,)) for name in ("end_losses", "peaks")}
        fields |= {name: _checked(found, name, "iu", (lanes,)) for name in ("rungs", "order")}
        fields["losses"] = _checked(found, "losses", "f", (lanes, *found["losses"].shape[1:2]))
        fields["evaluated"] = _checked(found, "evaluated", "iu", (found["evaluated"].size,))
        fields["evaluations"] = _checked(found, "evaluations", "f", (lanes, found["evaluated"].size))
        fields["end_metrics"] = _checked(found, "end_metrics", "f", (lanes,)) if "end_metrics" in found else None
        fields |= {"schedules": schedules, "ends": tuple(_typed({"ends": end}, "ends", int) for end in header["ends"])}
        plain = {"updates": int, "left_out": int, "ended": bool, "plan": str, "mode": str, "fault": str}
        fields |= {name: _typed(header, name, kind) for name, kind in plain.items()}
        if sorted(fields["order"].tolist()) != list(range(lanes)):
            raise ValueError("its order does not have each run once")
        if not fields["ends"] or list(fields["ends"]) != sorted({0, *fields["ends"]})[1:]:
            raise ValueError("its ends do not rise from above 0")
        if fields["losses"].shape[1] != fields["ends"][-1]:
            raise ValueError("its losses do not go to the end of the last rung")
        if ((fields["rungs"] < 0) | (fields["rungs"] > len(fields["ends"]))).any() or fields["mode"] not in ("min", "max"):
            raise ValueError("its rungs or its mode are those of no race")
        places = None if header["state"] is None else _typed(header, "state", list)
        saved = [found[f"state/{i}"] for i in range(len(places or ()))]
        if not all(isinstance(place, list) and [type(part) for part in place] == [str, str] for place in places or ()):
            raise ValueError("its state has no paths")
    return {**fields, "state": None if state is None or places is None else _state(path, state, places, saved)}


def _places(state: Any) -> list[list[str]]:
    """The path and the dtype of each leaf of a state."""
    leaves = jax.tree.leaves_with_path(state)
    return [[jax.tree_util.keystr(path), str(jax.dtypes.result_type(leaf))] for path, leaf in leaves]


def _state(path: pathlib.Path, like: Any, places: list[list[str]], saved: list[np.ndarray[Any, Any]]) -> Any:
    """The saved numbers in a state of the same structure."""
    own = _places(like)
    if [place for place, _ in own] != [place for place, _ in places]:
        needs = "a state like the one that was saved, such as learner.state"
        raise argument_error(
            ValueError, "RaceResult.load", "state", needs, [place for place, _ in own], f"it was saved in {path}"
        )
    leaves = []
    for leaf, (place, dtype), (_, wanted), array in zip(jax.tree.leaves(like), own, places, saved, strict=True):
        shape = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        kind = jax.dtypes.result_type(shape)
        if array.shape != np.shape(shape) or dtype != wanted or array.dtype.itemsize != kind.itemsize:
            needs = f"of the shapes and dtypes that were saved: {wanted[:60]}{list(array.shape)}"
            raise argument_error(ValueError, "RaceResult.load", f"state{place}", needs, leaf, f"it was saved in {path}")
        numbers = jnp.asarray(array.view(kind))
        leaves.append(jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf)) if is_key(leaf) else numbers)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _write(
    name: str, path: pathlib.Path, schedules: Sequence[Schedule], header: dict[str, Any], arrays: dict[str, Any]
) -> None:
    texts = [_schedule_text(schedule, lane) for lane, schedule in zip(first_lanes(schedules), schedules, strict=True)]
    whole = json.dumps({"lrax": name, "format": FORMAT, "schedules": texts, **header})
    save(f"{name}.save", path, packed({"header": whole, **arrays}))


def _read(name: str, path: pathlib.Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    with _reading(name, path):
        found = read(path)
        header = json.loads(str(found["header"]))
        kind, version = _typed(header, "lrax", str), _typed(header, "format", int)
    if kind != name or version > FORMAT:
        remedy = "a newer lrax wrote it: update lrax" if kind == name else f"it is a {kind[:60]}"
        raise _foreign(name, path, f"a {name} of format {FORMAT} or older", remedy)
    return found, header


@contextlib.contextmanager
def _reading(name: str, path: pathlib.Path) -> Iterator[None]:
    """What is raised while a file is read is an error that names the file: JAX and NumPy do not say what they may raise."""
    try:
        yield
    except Exception as error:
        raise _foreign(name, path, f"a file that {name}.save wrote", reason_of(error)) from error


def _foreign(name: str, path: pathlib.Path, needs: str, reason: str) -> ValueError:
    """An error that has the whole path, which `argument_error` would cut."""
    return ValueError(f"{name}.load: `path` must be {needs}, got {str(path)!r}; {reason}")


def _typed(header: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """An entry of a header, which must be of a type; a whole number is a count."""
    value: Any = header[name]
    if type(value) is not kind or (kind is int and not 0 <= value < 2**63):
        raise ValueError(f"its {name} is not {'a count' if kind is int else f'of type {kind.__name__}'}")
    return value


def _checked(found: dict[str, np.ndarray[Any, Any]], name: str, kinds: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if found[name].shape != shape or found[name].dtype.kind not in kinds:
        raise ValueError(f"its {name} is {found[name].dtype}{list(found[name].shape)}")
    return found[name]


def _schedule_text(schedule: Schedule, lane: int) -> dict[str, Any]:
    try:
        return {"json": to_json(schedule)}
    except (TypeError, ValueError):  # a function, or a number that is not finite
        function = getattr(schedule.function, "func", schedule.function) if isinstance(schedule, Function) else None
        return {"name": getattr(function, "__qualname__", kind_of(schedule)), "lane": lane}


def _schedules(header: dict[str, Any], reader: Reader) -> tuple[Schedule, ...]:
    made: dict[str, Schedule] = {}
    found = []
    for i, entry in enumerate(header["schedules"]):
        text = json.dumps(entry)
        try:
            made[text] = made[text] if text in made else _schedule(entry, reader)
        except Exception as error:
            raise ValueError(f"its schedule {i}: {reason_of(error)}") from error
        found.append(made[text])
    if not found:
        raise ValueError("it has no schedules")
    return tuple(found)


def _schedule(entry: dict[str, Any], reader: Reader) -> Schedule:
    """One schedule, or what stands for one that has no JSON."""
    if "json" not in entry:
        return Function(Lost(_typed(entry, "name", str), _typed(entry, "lane", int)))
    data = json.loads(_typed(entry, "json", str))
    schedule = None if _is_nested(data) else reader.document(data)  # a batch of many axes may be far larger than its text
    if schedule is None or is_batch(schedule):
        raise ValueError("it is a batch")
    return schedule


def _is_nested(data: Any) -> bool:
    """Whether there is a list in a list: what no field of one schedule is."""
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return any((isinstance(data, list) and isinstance(part, list)) or _is_nested(part) for part in parts)


def _write_tree(tree: Any, arrays: dict[str, Any]) -> Any:
    """What a pytree is made of, as JSON; its arrays go beside it."""
    if tree is None:
        return None
    if jax.tree_util.all_leaves([tree]):
        name, kind = f"metrics/{len(arrays)}", str(tree.dtype)
        if is_key(tree):
            kind, tree = f"key {jax.random.key_impl(tree)}", jax.random.key_data(tree)
        arrays[name] = np.asarray(tree)
        return {"array": name, "dtype": kind}
    if isinstance(tree, dict) and all(isinstance(key, str | int) for key in tree):
        return {"dict": [[key, _write_tree(part, arrays)] for key, part in tree.items()]}
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return {type(tree).__name__: [_write_tree(part, arrays) for part in tree]}
    fields = tree._asdict() if hasattr(tree, "_asdict") else _by_path(tree)
    return {"dict": [[key, _write_tree(part, arrays)] for key, part in fields.items()]}


def _by_path(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def _read_tree(plain: Any, found: dict[str, np.ndarray[Any, Any]]) -> Any:
    if plain is None:
        return None
    if set(plain) == {"array", "dtype"}:
        return _read_array(found[plain["array"]], _typed(plain, "dtype", str))
    ((container, parts),) = plain.items()
    if container == "dict":
        named = {key: _read_tree(part, found) for key, part in parts}
        if len(named) == len(parts) and {type(key) for key in named} <= {str, int}:
            return named
    elif container in ("list", "tuple"):
        made = [_read_tree(part, found) for part in parts]
        return made if container == "list" else tuple(made)
    raise ValueError("its metrics are not described")


def _read_array(array: np.ndarray[Any, Any], kind: str) -> Any:
    """One metric as it was: random keys and dtypes that NumPy does not know were kept as plain numbers."""
    if kind.startswith("key "):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=kind.removeprefix("key "))
    wanted = jnp.dtype(kind)
    if array.dtype.kind == wanted.kind == "V" and array.dtype.itemsize == wanted.itemsize:
        return array.view(wanted)
    if array.dtype.name != wanted.name or wanted.kind not in "biufc":
        raise ValueError(f"its metrics hold {array.dtype} in place of {kind[:60]}")
    return array
