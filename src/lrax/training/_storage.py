"""Results and unfinished work on disk: one file of plain data, written whole or not at all, and read without trust.

A file is one line of JSON, the bytes of its arrays one after the other (C order, little-endian), and a BLAKE2 digest of both.
The line says what the file is and describes nested dicts, lists, tuples, plain values, arrays and schedules. No code is run by
reading one, and every array is described once, so that time and memory are linear in the size of the file.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import re
import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_key
from lrax.fields._value import identity, is_batch
from lrax.schedules._base import Function, Schedule
from lrax.schedules._display import composition
from lrax.schedules._serialise import Reader, to_json
from lrax.training._core import placed
from lrax.training._remote import RemotePath, remote_path

FORMAT = 1
"""The version of the file; a change that older readers would misread adds one."""

DIGEST = 32
"""Bytes of the digest at the end of a file."""

STALE = 3600.0
"""Seconds after which a half-written file is a leftover of a process that was killed."""

KINDS = {"float": "f", "int": "i", "bool": "b"}
"""The kinds of NumPy's dtypes that a specification of `checked` names."""

Path = str | os.PathLike[str]
Read = TypeVar("Read")


def save(caller: str, path: Path, kind: str, content: Mapping[str, object]) -> None:
    """Writes a result to a file that the user named.

    Args:
      caller: the public function that saves, for errors: `"SweepResult.save"`.
      path: the file; one that exists is replaced.
      kind: what the file is, such as `"SweepResult"`; `load` refuses files of another kind.
      content: strings, numbers, bools, None, arrays, random keys and schedules, in dicts (keys: str or int), lists and tuples.
        Named tuples become dicts of their fields, and other pytrees dicts of their leaves by path.

    Raises: OSError, with the caller, the path and the remedy, if the file cannot be written; nothing is left of it then.
    """
    write_file(caller, path, packed(kind, content))


def write_file(caller: str, path: Path, data: bytes) -> None:
    """`write` whose error says who could not write."""
    try:
        write(pathlib.Path(path), data)
    except OSError as error:
        remedy = "make room there, or give another path"
        raise OSError(error.errno, f"{caller}: `path` could not be written: {error.strerror}; {remedy}", str(path)) from error


def load(
    caller: str, path: Path, kind: str, read: Callable[[dict[str, Any]], Read], custom_types: Iterable[type[Schedule]] = ()
) -> Read:
    """What `read` makes of the content of a file that `save` wrote.

    Args:
      caller, path, kind: as for `save`.
      read: takes the content, with the containers that were saved, NumPy arrays, keys and schedules. Whatever it raises is
        reported as a damaged file: use `checked` in it.
      custom_types: the user's own schedule classes that may be in the file.

    Raises: ValueError that names the file, if it is of another kind, of a newer format, damaged, or not as `read` expects;
      FileNotFoundError if there is none; TypeError for a path that is not one.
    """
    if not isinstance(path, str | os.PathLike):
        raise argument_error(TypeError, caller, "path", "a path", path)
    reader, file = Reader(caller, "path", custom_types), pathlib.Path(path)
    try:
        return read(unpacked(kind, file.read_bytes(), reader))
    except FileNotFoundError:
        raise
    except Exception as error:  # JAX, NumPy and `read` do not say what they may raise
        raise ValueError(f"{caller}: `path` must be a file of a {kind}, got {str(file)!r}: {reason_of(error)}") from error


def checked(content: Any, /, **specs: Any) -> dict[str, Any]:
    """The named parts of a saved dict, each as its specification says.

    A specification is a type (an `int` is a count, at least 0), None, a word, or the kind and the axes of an array, such as
    `"float[runs, steps, 3]"`: axes of one name have one length; the kinds are those of `KINDS`. A tuple lists alternatives.

    Raises: ValueError for the first part that is missing or different.

    >>> checked({"losses": np.zeros(3), "goal": "min", "more": 0}, losses="float[steps]", goal=("min", "max"))
    {'losses': array([0., 0., 0.]), 'goal': 'min'}
    """
    if not isinstance(content, dict):
        raise ValueError("it has no named parts")
    sizes: dict[str, int] = {}
    for name, spec in specs.items():
        if name not in content:
            raise ValueError(f"it lacks `{name}`")
        value, options = content[name], spec if isinstance(spec, tuple) else (spec,)
        if not any(_is_as(value, option, sizes) for option in options):
            found = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)[:60]
            needs = " or ".join(option.__name__ if isinstance(option, type) else str(option) for option in options)
            raise ValueError(f"its `{name}` must be {needs}, and is {found}")
    return {name: content[name] for name in specs}


def _is_as(value: Any, spec: Any, sizes: dict[str, int]) -> bool:
    """Whether a value is as one specification says; lengths of axes that are new are added to `sizes`."""
    if isinstance(spec, type):
        return type(value) is spec and (type(value) is not int or 0 <= value < 2**63)
    if not isinstance(spec, str) or "[" not in spec:
        return type(value) is type(spec) and value == spec
    kind, _, axes = spec.removesuffix("]").replace(" ", "").partition("[")
    names = axes.split(",")
    if not isinstance(value, np.ndarray) or value.dtype.kind not in KINDS[kind] or value.ndim != len(names):
        return False
    lengths = zip(names, value.shape, strict=True)
    return all(length == (int(name) if name.isdigit() else sizes.setdefault(name, length)) for name, length in lengths)


def by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by their paths: how a state of the user's own classes is saved; `restored` puts them back."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def restored(stored: dict[str, Any], like: Any) -> Any:
    """A pytree with the structure of `like` and the leaves that `by_path` stored: NumPy's or JAX's, as they are in `like`.

    Raises: ValueError, with the path of the leaf, if paths, shapes or dtypes differ.
    """
    wanted = by_path(like)
    if list(stored) != list(wanted) or not all(isinstance(leaf, np.ndarray | jax.Array) for leaf in stored.values()):
        raise ValueError(f"it has the arrays {list(stored)}, not {list(wanted)}")
    leaves = []
    for path, leaf in wanted.items():
        found, shape = stored[path], np.shape(leaf)
        dtype = leaf.dtype if hasattr(leaf, "dtype") else jax.dtypes.result_type(leaf)
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(f"its {path} is {found.dtype}{list(found.shape)}, not {dtype}{list(shape)}")
        leaves.append(placed(found) if isinstance(leaf, jax.Array) else found[()] if np.isscalar(leaf) else found)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


@dataclasses.dataclass
class Folder:
    """Unfinished work in a folder: files of one kind with one identity, by name.

    A file that cannot be written stops nothing: the result of a day of training must not be lost. A warning says at once what
    is wrong, while it can be mended, and every later `save` tries again.

    Attributes:
      caller: the public function whose argument `folder` it is, for errors.
      path: the folder, which exists; local or remote.
      kind: what its files are.
      identity: what the work is: texts, such as digests, by what they stand for ("schedules", "data").
    """

    caller: str
    path: pathlib.Path | RemotePath
    kind: str
    identity: dict[str, str]
    unsaved: dict[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    reported: set[str] = dataclasses.field(default_factory=set)

    @staticmethod
    def create(caller: str, folder: object, kind: str, identity: dict[str, str]) -> "Folder":
        """The folder, made if it is not there, without the half-written files of processes that were killed.

        Raises: TypeError or ValueError if it cannot be made or written to: before a day of training, and not after it.
        """
        if not isinstance(folder, str | os.PathLike) or not str(folder):
            raise argument_error(TypeError, caller, "folder", "the path of a folder", folder)
        if remote := remote_path(caller, str(folder)):
            return Folder(caller, remote, kind, identity)
        path = pathlib.Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            needs = "a folder that exists or can be made"
            raise argument_error(ValueError, caller, "folder", needs, folder, str(error)) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise argument_error(ValueError, caller, "folder", "a folder that can be written to", folder)
        for file in path.glob(f"*.lrax.{'?' * 8}.tmp"):
            with contextlib.suppress(OSError):  # another process may remove it first
                if file.is_file() and time.time() - file.stat().st_mtime > STALE:
                    file.unlink()
        return Folder(caller, path, kind, identity)

    def save(self, name: str, content: Mapping[str, object]) -> None:
        """Writes the file `name`, which ends in `.lrax`, and those that could not be written before."""
        self.unsaved[name] = content
        problem = self._write()
        if problem.rpartition(": ")[2] not in ("", *self.reported):
            self.reported.add(problem.rpartition(": ")[2])
            self._warn(f"could not be written, {problem}; make room or mend it: later files try again. The {self.kind} goes on")

    def close(self) -> None:
        """The last try; warns of files that could not be written."""
        if problem := self._write():
            self._warn(f"lacks {' and '.join(self.unsaved)}, {problem}; only the result has what is in it: save that")

    def _write(self) -> str:
        """Writes what is not saved yet; returns why something could not be written, or ""."""
        problem = ""
        for name in list(self.unsaved):
            try:
                content = {"identity": self.identity, "content": self.unsaved[name]}
                write(self.path / name, packed(self.kind, content))
                del self.unsaved[name]
            except OSError as error:
                problem = problem or f"{self.path / name}: {error.strerror or error}"
        return problem

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.caller}: `folder` {text}", RuntimeWarning, stacklevel=5)

    def load(self, pattern: str, read: Callable[[dict[str, Any]], Read]) -> list[Read]:
        """What `read` makes of each file whose name matches a pattern, in the order of their names.

        Raises: ValueError for a file that is damaged, of another kind, or of work with another identity.
        """
        files: Iterable[pathlib.Path | RemotePath] = self.path.glob(pattern)
        return [self._read(file, read) for file in sorted(files, key=str)]

    def _read(self, file: pathlib.Path | RemotePath, read: Callable[[dict[str, Any]], Read]) -> Read:
        reader, found = Reader(self.caller, "folder", ()), self.identity
        try:
            whole = checked(unpacked(self.kind, file.read_bytes(), reader), identity=dict, content=dict)
            found = whole["identity"]
            if found == self.identity:
                return read(whole["content"])
        except Exception as error:
            needs, reason = f"whole files of a {self.kind}", reason_of(error)
            raise ValueError(f"{self.caller}: `folder` must hold {needs}, got {file}: {reason}; remove it") from error
        others = " and ".join(part for part, value in self.identity.items() if found.get(part) != value) or "parts"
        raise ValueError(
            f"{self.caller}: `folder` must hold this {self.kind}, got {file} of one with other {others}; "
            "give another folder, or remove its files"
        )


def write(path: pathlib.Path | RemotePath, data: bytes) -> None:
    """Writes a file that others see whole or not at all; nothing is left of it where it raises OSError."""
    if isinstance(path, RemotePath):
        path.write_bytes(data)
        return
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def packed(kind: str, content: Mapping[str, object]) -> bytes:
    """The bytes of a file; see `save` for what it may hold."""
    arrays: list[bytes] = []
    names: dict[object, int] = {}
    header = {"lrax": kind, "format": FORMAT, "content": _description(dict(content), arrays, names)}
    body = b"".join([json.dumps(header).encode(), b"\n", *arrays])
    return body + hashlib.blake2b(body, digest_size=DIGEST).digest()


def unpacked(kind: str, data: bytes, reader: Reader) -> dict[str, Any]:
    """The content of a file of a kind. Raises ValueError, or what damaged JSON raises, if it is something else."""
    line, newline, _ = data.partition(b"\n")
    if not line.startswith(b'{"lrax": "') or not newline:
        raise ValueError("lrax did not write it, or it was cut off")
    body, digest = data[:-DIGEST], data[-DIGEST:]
    header = checked(json.loads(line), lrax=str, format=int, content=dict)
    if header["lrax"] != kind:
        raise ValueError(f"it is a {header['lrax'][:60]}")
    if header["format"] > FORMAT:
        raise ValueError(f"it has format {header['format']}, this lrax reads {FORMAT}: update lrax")
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise ValueError("it was cut off, or changed after it was written")
    unpacking = _Unpacking(memoryview(body)[len(line) + 1 :], reader)
    content = unpacking.value(header["content"])
    if len(unpacking.left) or not isinstance(content, dict):
        raise ValueError("its arrays are not those that it describes")
    return content


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, on one line that is not too long."""
    kind = "" if type(error) is ValueError and str(error) else type(error).__name__
    text = "; ".join(filter(None, str(error).splitlines()))
    return ": ".join(filter(None, (kind, text[:200] + "..." * (len(text) > 200))))


def _description(value: Any, arrays: list[bytes], names: dict[object, int]) -> Any:
    """A value as JSON; the bytes of its arrays are added to `arrays`, and schedules without JSON are numbered in `names`."""
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Schedule):
        return _schedule_description(value, names)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        key = isinstance(value, jax.Array) and is_key(value)
        implementation = {"key": str(jax.random.key_impl(value))} if key else {}
        array = np.asarray(jax.random.key_data(value) if key else value)
        arrays.append(array.astype(_dtype(array.dtype.name), copy=False).tobytes())
        return {"array": array.dtype.name, "shape": list(array.shape), **implementation}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict) and all(type(key) in (str, int) for key in value):
        return {"dict": [[key, _description(part, arrays, names)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_description(part, arrays, names) for part in value]}
    if jax.tree_util.all_leaves([value]):
        raise TypeError(f"{type(value).__name__} is not a value that a file can hold")
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(value)}
    return _description(named, arrays, names)


def _schedule_description(schedule: Schedule, names: dict[object, int]) -> dict[str, Any]:
    try:
        return {"schedule": to_json(schedule)}
    except (TypeError, ValueError):  # a function, or a number that is not finite
        number = names.setdefault(identity(schedule), len(names))
        return {"name": getattr(_function_of(schedule), "__qualname__", composition(schedule)), "number": number}


def _function_of(schedule: Schedule) -> object:
    """The user's function of a `Function`; None for other schedules."""
    return getattr(schedule.function, "func", schedule.function) if isinstance(schedule, Function) else None


@dataclasses.dataclass(frozen=True)
class Unsaved:
    """In place of a function that has no JSON; functions of one name that differed have different numbers."""

    name: str
    number: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "__qualname__", self.name)  # what tables and pictures call it

    def __call__(self, count: object) -> jax.Array:
        raise TypeError(f"{self.name}: only the name of this schedule was saved, for it has no JSON; make it again")


def unsaved_name(schedule: Schedule) -> str | None:
    """The name of a schedule of which a file had only that; None for one that can be called."""
    function = _function_of(schedule)
    return function.name if isinstance(function, Unsaved) else None


def _dtype(name: str) -> np.dtype[Any]:
    """A dtype of numbers by its name, NumPy's or such as bfloat16; raises ValueError for others."""
    dtype = jnp.dtype(name) if re.fullmatch(r"[a-z]+[0-9]\w*|bool", name) else np.dtype(object)
    if dtype.kind not in "biufcV" or dtype.name != name or not dtype.itemsize or dtype.type is np.void:
        raise ValueError(f"it holds {name[:60]!r}, not numbers")
    return dtype


@dataclasses.dataclass
class _Unpacking:
    """Values from their descriptions.

    Attributes:
      left: the bytes of the arrays that were not read yet.
      reader: of schedules.
      made: schedules by their JSON, so that a thousand equal ones are made once.
    """

    left: memoryview
    reader: Reader
    made: dict[str, Schedule] = dataclasses.field(default_factory=dict)

    def value(self, description: Any) -> Any:
        match description:
            case {"array": str(dtype), "shape": list(shape), "key": str(key)}:
                return jax.random.wrap_key_data(jnp.asarray(self._array(dtype, shape)), impl=key)
            case {"array": str(dtype), "shape": list(shape)}:
                return self._array(dtype, shape)
            case {"schedule": str(text)}:
                if text not in self.made:
                    self.made[text] = self.reader.document(json.loads(text))
                    if is_batch(self.made[text]):
                        raise ValueError("it holds a batch of schedules")
                return self.made[text]
            case {"name": str(name), "number": int(number)}:
                return Function(Unsaved(name, number))
            case {"dict": list(pairs)}:
                named = {key: self.value(part) for key, part in pairs if type(key) in (str, int)}
                if len(named) == len(pairs):
                    return named
            case {"list": list(parts)}:
                return [self.value(part) for part in parts]
            case {"tuple": list(parts)}:
                return tuple(self.value(part) for part in parts)
        if isinstance(description, dict | list):
            raise ValueError("it holds a value that is not described")
        return description

    def _array(self, name: str, shape: list[Any]) -> np.ndarray[Any, Any]:
        dtype = _dtype(name)
        if len(shape) > 32 or not all(type(length) is int and 0 <= length < 2**63 for length in shape):
            raise ValueError("it has an array whose shape is not made of lengths")
        size = math.prod(shape) * dtype.itemsize
        if size > len(self.left):
            raise ValueError("its arrays are longer than the file")
        array = np.frombuffer(self.left[:size], dtype).reshape(shape).copy()  # which owns its memory
        self.left = self.left[size:]
        return array
