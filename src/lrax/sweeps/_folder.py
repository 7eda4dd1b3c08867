"""Finished lanes in a folder: one plain .npz file for each group of lanes.

A file that cannot be written stops nothing: who has paid for a day of training wants its result, and an error that ends the
script would lose it. The lanes stay in memory and are in the result; a warning says at once what is wrong, while it can be
mended; and every group that ends later tries again, so that nothing but the mending is needed.
"""

import dataclasses
import json
import os
import pathlib
import threading
import warnings
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from lrax.fields._errors import argument_error
from lrax.sweeps import _files
from lrax.sweeps._batch import Lanes
from lrax.training._programs import callbacks, digest, program_digest

PATTERN = "lanes-*.npz"

DIFFERS: dict[str, str] = {
    "schedules": "other schedules",
    "others": "other arrays beside them",
    "training function": "another training function, precision or mesh",
    "version of JAX": "another version of JAX",
}
"""What is said about the parts of a fingerprint that differ."""


def fingerprint(lanes: Lanes, closed_jaxpr: Any, shared: Any) -> dict[str, str]:
    """What a sweep is: its schedules, what goes beside them, its program with the arrays it closes over, and JAX's version.

    Raises: ValueError if the program calls Python, of which nothing can be said.
    """
    if found := callbacks(closed_jaxpr):
        remedy = "what Python gives back cannot be told from what it gave last time: put it into arrays beside the schedules"
        raise argument_error(ValueError, "run_sweep", "folder", f"left out where `train` has a {found[0]}", "a folder", remedy)
    return {
        "schedules": digest(lanes.schedules),
        "others": digest(lanes.others),
        "training function": program_digest(closed_jaxpr) + digest(shared),
        "version of JAX": jax.__version__,
    }


@dataclasses.dataclass
class Folder:
    """Where the finished lanes of a sweep are kept.

    Attributes:
      path: the folder, which is there.
      identity: the fingerprint.
      metrics: names and arrays with the lane axis in front, filled by `load`.
    """

    path: pathlib.Path
    identity: dict[str, str]
    metrics: list[tuple[str, np.ndarray[Any, Any]]]

    def __post_init__(self) -> None:
        self._unsaved: list[tuple[np.ndarray[Any, Any], list[Any]]] = []
        self._problem = ""
        self._said = {""}
        self._lock = threading.Lock()

    def load(self) -> np.ndarray[Any, Any]:
        """Fills the metrics with what is in the folder; returns which lanes that is, bool of shape (lanes,).

        What a killed process left half-written is removed. Of several processes the first reads, and tells the others.

        Raises: ValueError if a file is of another sweep or cannot be read.
        """
        if jax.process_count() == 1:
            return self._load()
        problem, done = "", np.zeros(len(self.metrics[0][1]), bool)
        if jax.process_index() == 0:
            try:
                done = self._load()
            except ValueError as error:
                problem = str(error)
        text = np.zeros(1000, np.uint8)
        text[: len(problem.encode()[:1000])] = np.frombuffer(problem.encode()[:1000], np.uint8)
        text, done, *arrays = multihost_utils.broadcast_one_to_all((text, done, *(array for _, array in self.metrics)))
        if text.any():
            raise ValueError(bytes(text).rstrip(b"\0").decode(errors="replace"))
        for (_, array), told in zip(self.metrics, arrays, strict=True):
            array[...] = told
        return np.asarray(done)

    def keep(self, indices: np.ndarray[Any, Any], leaves: list[Any]) -> None:
        """Writes the metrics of some lanes, and of those that could not be written before. May be called by any thread."""
        if jax.process_index() == 0:
            with self._lock:
                self._unsaved.append((indices, leaves))
                self._write_unsaved()

    def warn(self) -> None:
        """Says why lanes could not be written, each reason once."""
        reason = self._problem.rpartition(": ")[2]
        if reason not in self._said:
            self._said.add(reason)
            remedy = "make room or mend it: every group of lanes that ends tries again. The sweep goes on, its result is whole"
            warnings.warn(f"run_sweep: `folder` could not be written, {self._problem}; {remedy}", RuntimeWarning, stacklevel=3)

    def close(self) -> None:
        """The last try; says which lanes are in no file."""
        with self._lock:
            self._write_unsaved()
        if self._unsaved:
            number = sum(len(indices) for indices, _ in self._unsaved)
            remedy = "they are in the result alone: keep it with SweepResult.save"
            warnings.warn(f"run_sweep: `folder` lacks {number} lanes, {self._problem}; {remedy}", RuntimeWarning, stacklevel=3)

    def _load(self) -> np.ndarray[Any, Any]:
        _files.clear(self.path, PATTERN)
        done = np.zeros(len(self.metrics[0][1]), bool)
        for path in sorted(self.path.glob(PATTERN)):
            try:
                found = _files.read(path)
                identity, indices = _header(found)
            except ValueError as error:
                raise ValueError(_foreign(path, error)) from error
            if identity != self.identity:
                other = [part for part in self.identity if identity.get(part) != self.identity[part]]
                raise ValueError(
                    f"run_sweep: `folder` must hold nothing or this very sweep, got {path} of another one "
                    f"({' and '.join(DIFFERS[part] for part in other) or 'another version'}); "
                    "give another folder, or remove its files"
                )
            try:
                if ((indices < 0) | (indices >= len(done))).any():
                    raise ValueError(f"its lanes are not among {len(done)}")
                parts = [_part(found, name, array, len(indices)) for name, array in self.metrics]
            except ValueError as error:
                raise ValueError(_foreign(path, error)) from error
            for (_, array), part in zip(self.metrics, parts, strict=True):
                array[indices] = part
            done[indices] = True
        return done

    def _write_unsaved(self) -> None:
        self._unsaved = [group for group in self._unsaved if not self._is_written(*group)]

    def _is_written(self, indices: np.ndarray[Any, Any], leaves: list[Any]) -> bool:
        path = self.path / f"lanes-{indices[0]:05d}-{indices[-1]:05d}.npz"
        named = {name: leaf for (name, _), leaf in zip(self.metrics, leaves, strict=True)}
        try:
            _files.write(path, _files.packed({"sweep": json.dumps(self.identity), "lanes": indices, **named}))
        except OSError as error:
            self._problem = f"{path}: {error.strerror or error}"
            return False
        return True


def checked_folder(caller: str, folder: Any) -> pathlib.Path:
    """The folder, made if it is not there.

    Raises: TypeError or ValueError if it is none, or cannot be written to: before a day of training, and not after it.
    """
    if not isinstance(folder, str | os.PathLike) or not str(folder):
        raise argument_error(TypeError, caller, "folder", "the path of a folder", folder)
    where = pathlib.Path(folder)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argument_error(
            ValueError, caller, "folder", "a folder that is there or can be made", folder, str(error)
        ) from error
    if not os.access(where, os.W_OK | os.X_OK):
        raise argument_error(ValueError, caller, "folder", "a folder that can be written to", folder)
    return where


def _foreign(path: pathlib.Path, error: ValueError) -> str:
    return f"run_sweep: `folder` holds {path}, which is no file of a sweep ({error}); remove it"


def _header(found: dict[str, np.ndarray[Any, Any]]) -> tuple[dict[str, str], np.ndarray[Any, Any]]:
    """The fingerprint in a file, and which lanes it holds."""
    if not {"sweep", "lanes"} <= set(found):
        raise ValueError("it lacks its lanes or its fingerprint")
    try:
        identity = json.loads(str(found["sweep"]))
    except (ValueError, RecursionError) as error:
        raise ValueError("its fingerprint is no JSON") from error
    indices = found["lanes"]
    if not isinstance(identity, dict):
        raise ValueError("its fingerprint is no table")
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or len(set(indices.tolist())) != len(indices) or not len(indices):
        raise ValueError("its lanes are no numbers")
    return identity, indices


def _part(found: dict[str, np.ndarray[Any, Any]], name: str, array: np.ndarray[Any, Any], lanes: int) -> Any:
    """One metric of the lanes in a file; NumPy stores what it does not know, such as bfloat16, as bytes."""
    part = found.get(name)
    if part is None:
        raise ValueError(f"it lacks {name}")
    bytes_alone = part.dtype.kind == array.dtype.kind == "V" and part.dtype.itemsize == array.dtype.itemsize
    if not (part.dtype == array.dtype or bytes_alone) or part.shape != (lanes, *array.shape[1:]):
        raise ValueError(f"its {name} is {part.dtype}{list(part.shape)}")
    return part.view(array.dtype)
