"""Sweeps and races in one file: arrays by name, and JSON that says what they are. No code is run by reading one."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_key, is_known
from lrax.fields._words import complain
from lrax.schedules._base import Function, Schedule
from lrax.schedules._json import from_json, to_json
from lrax.schedules._named import kind_of
from lrax.sweeps._files import packed, read, save
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
    """Writes a sweep; see `Sweep.save`."""
    arrays: dict[str, Any] = {"scores": scores, "diverged": diverged, "peaks": peaks}
    header = {"plan": plan, "metrics": _write_tree(metrics, arrays)}
    _write("Sweep", path, schedules, header, arrays)


def read_sweep(path: pathlib.Path, kinds: Iterable[type[Schedule]]) -> dict[str, Any]:
    """The fields of a sweep; see `Sweep.load`."""
    found, header = _read("Sweep", path)
    try:
        lanes = len(header["schedules"])
        fields = {
            name: _checked(found, name, kind, (lanes,)) for name, kind in (("scores", "f"), ("diverged", "b"), ("peaks", "f"))
        }
        metrics = _read_tree(header["metrics"], found)
        if any(np.shape(leaf)[:1] != (lanes,) for leaf in jax.tree.leaves(metrics)):
            raise ValueError("metrics without a lane axis")
        return {"schedules": _schedules(header, kinds), "metrics": metrics, "plan": str(header["plan"]), **fields}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _unreadable("Sweep", path, error) from error


def write_race(path: pathlib.Path, schedules: Sequence[Schedule], state: Any, plan: Any, **fields: Any) -> None:
    """Writes a race; see `Race.save`."""
    if not all(map(is_known, jax.tree.leaves(state))):
        remedy = "gather it first, or save dataclasses.replace(race, state=None)"
        raise complain(ValueError, "Race.save", "state", "an array of this process, whole", "parts on other hosts", remedy)
    arrays = {
        name: fields.pop(name) for name in ("losses", "end_losses", "rungs", "peaks", "order", "evaluated", "evaluations")
    }
    arrays["evaluations"] = arrays["evaluations"].reshape(len(schedules), -1)  # of none, whatever their shape
    end_metrics = fields.pop("end_metrics")
    arrays |= {} if end_metrics is None else {"end_metrics": end_metrics}
    places = jax.tree.leaves_with_path(state)
    header = {"plan": plan, **fields, "state": None if state is None else [jax.tree_util.keystr(place) for place, _ in places]}
    for i, (_, leaf) in enumerate(places):
        arrays[f"state/{i}"] = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    _write("Race", path, schedules, header, arrays)


def read_race(path: pathlib.Path, state: Any, kinds: Iterable[type[Schedule]]) -> dict[str, Any]:
    """The fields of a race; see `Race.load`."""
    found, header = _read("Race", path)
    try:
        lanes = len(header["schedules"])
        fields: dict[str, Any] = {name: _checked(found, name, "f", (lanes,)) for name in ("end_losses", "peaks")}
        fields |= {name: _checked(found, name, "iu", (lanes,)) for name in ("rungs", "order")}
        fields["losses"] = _checked(found, "losses", "f", (lanes, found["losses"].shape[-1]))
        if sorted(fields["order"].tolist()) != list(range(lanes)):
            raise ValueError("an order that is none")
        fields["evaluated"] = _checked(found, "evaluated", "iu", (found["evaluated"].size,))
        fields["evaluations"] = _checked(found, "evaluations", "f", (lanes, found["evaluated"].size))
        fields["end_metrics"] = _checked(found, "end_metrics", "f", (lanes,)) if "end_metrics" in found else None
        plain: dict[str, Any] = {name: int(header[name]) for name in ("updates", "left_out")}
        plain |= {"ended": bool(header["ended"])} | {name: str(header[name]) for name in ("plan", "mode", "fault")}
        ends = tuple(int(end) for end in header["ends"])
        fields |= {"schedules": _schedules(header, kinds), "ends": ends, **plain}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _unreadable("Race", path, error) from error
    if state is None or header["state"] is None:
        return {**fields, "state": None}
    return {**fields, "state": _state(state, header["state"], found)}


def _state(like: Any, places: list[str], found: dict[str, np.ndarray[Any, Any]]) -> Any:
    """The saved numbers in a state of the same structure."""
    own = jax.tree.leaves_with_path(like)
    if [jax.tree_util.keystr(place) for place, _ in own] != places:
        needs = "a state like the one that was saved, such as learner.state"
        raise complain(ValueError, "Race.load", "state", needs, [jax.tree_util.keystr(place) for place, _ in own])
    leaves = []
    for i, (place, leaf) in enumerate(own):
        shape = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        array = found.get(f"state/{i}", np.zeros(0))
        if array.shape != np.shape(shape) or array.dtype.itemsize != jax.dtypes.result_type(shape).itemsize:
            needs = f"of the shapes and dtypes that were saved: {array.dtype}{list(array.shape)}"
            raise complain(ValueError, "Race.load", f"state{jax.tree_util.keystr(place)}", needs, leaf)
        numbers = jnp.asarray(array.view(jax.dtypes.result_type(shape)))
        leaves.append(jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf)) if is_key(leaf) else numbers)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _write(
    name: str, path: pathlib.Path, schedules: Sequence[Schedule], header: dict[str, Any], arrays: dict[str, Any]
) -> None:
    texts = [_schedule_text(schedule, lane) for lane, schedule in zip(first_lanes(schedules), schedules, strict=True)]
    whole = json.dumps({"lrax": name, "format": FORMAT, "schedules": texts, **header})
    save(f"{name}.save", path, packed({"header": whole, **arrays}))


def _read(name: str, path: pathlib.Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    try:
        found = read(path)
        header = json.loads(str(found["header"]))
        kind, version = header["lrax"], int(header["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(name, path, error) from error
    if kind != name or version > FORMAT:
        remedy = "a newer lrax wrote it: update lrax" if kind == name else f"it is a {kind}"
        raise complain(ValueError, f"{name}.load", "path", f"a {name} of format {FORMAT} or older", str(path), remedy)
    return found, header


def _unreadable(name: str, path: pathlib.Path, error: Exception) -> Exception:
    return complain(ValueError, f"{name}.load", "path", f"a file that {name}.save wrote", str(path), str(error))


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


def _schedules(header: dict[str, Any], kinds: Iterable[type[Schedule]]) -> tuple[Schedule, ...]:
    kinds = tuple(kinds)
    made: dict[str, Schedule] = {}

    def read_one(entry: dict[str, Any]) -> Schedule:
        return from_json(entry["json"], kinds) if "json" in entry else Function(Lost(str(entry["name"]), int(entry["lane"])))

    for entry in header["schedules"]:
        text = json.dumps(entry)
        made[text] = made[text] if text in made else read_one(entry)
    return tuple(made[json.dumps(entry)] for entry in header["schedules"])


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
    if "array" in plain:
        kind, array = plain["dtype"], found[plain["array"]]
        if kind.startswith("key "):
            return jax.random.wrap_key_data(jnp.asarray(array), impl=kind.removeprefix("key "))
        return array.view(jnp.dtype(kind)) if array.dtype.kind == "V" else array
    if "dict" in plain:
        return {key: _read_tree(part, found) for key, part in plain["dict"]}
    parts = [_read_tree(part, found) for part in plain.get("tuple", plain.get("list", ()))]
    return tuple(parts) if "tuple" in plain else parts
