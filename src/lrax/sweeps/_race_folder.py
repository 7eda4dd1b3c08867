"""A race in a folder: one file, replaced whole after each rung, from which the same race goes on."""

import dataclasses
import json
import pathlib
import warnings
from typing import Any

import jax
import numpy as np

from lrax.fields._errors import argument_error, is_key
from lrax.sweeps import _files
from lrax.sweeps._batch import Lanes
from lrax.sweeps._folder import checked_folder
from lrax.sweeps._rungs import Standing
from lrax.training._core import PROGRESS, Run
from lrax.training._driver import Trainer
from lrax.training._programs import callbacks, digest, program_digest

NAME = "race.npz"

DIFFERS = {
    "schedules": "other schedules",
    "learner": "another learner, or arrays in it",
    "data": "other data, or another key",
    "race": "other rungs, or another way to keep lanes",
    "evaluations": "lanes that are evaluated in another way",
    "version of JAX": "another version of JAX",
}
"""What is said about the parts of an identity that differ."""


@dataclasses.dataclass
class RaceFolder:
    """Where a race is kept.

    Attributes:
      path: the file.
      identity: what the race is: its schedules, learner, data, rungs and evaluations, and JAX's version.
    """

    path: pathlib.Path
    identity: dict[str, str]

    @staticmethod
    def checked(folder: Any, batch: Lanes, trainer: Trainer, first: Run, rules: Any) -> "RaceFolder":
        """The folder, made if need be.

        Raises: ValueError for data or a learner that cannot be known again.
        """
        metric = trainer.evaluator
        if trainer.reads_on:
            remedy = "an iterable cannot be read again from where it was left: give arrays or a sampler"
            raise argument_error(ValueError, "race", "folder", "left out where the data is an iterable", folder, remedy)
        if found := callbacks(trainer.closed) or (metric and callbacks(metric.metric.closed)):
            remedy = "what Python gives back cannot be told from what it gave last time"
            raise argument_error(
                ValueError, "race", "folder", f"left out where the update, or `evaluate`, has a {found[0]}", folder, remedy
            )
        identity = {
            "schedules": digest(batch.schedules),
            "learner": digest(first.state) + program_digest(trainer.closed),
            "data": digest((jax.tree.leaves(trainer.batches), first.order)),
            "race": repr(rules),
            "evaluations": "" if metric is None else repr((metric.every, metric.goal, program_digest(metric.metric.closed))),
            "version of JAX": jax.__version__,
        }
        return RaceFolder(checked_folder("race", folder) / NAME, identity)

    def keep(self, runs: list[Run], standing: Standing) -> None:
        """Writes how the race stands; what cannot be written is a warning, and the next rung tries again."""
        plain = {name: value for name, value in vars(standing).items() if not isinstance(value, np.ndarray)}
        states: list[int] = []
        arrays: dict[str, Any] = {name: getattr(standing, name) for name in ("end_losses", "scores", "rungs")}
        for lane, its in enumerate(runs):
            arrays |= {f"{lane}/rows": its.history, f"{lane}/evaluations": its.evaluations} | {
                f"{lane}/{name}": getattr(its, name) for name in PROGRESS
            }
            if its.state is not None:
                states.append(lane)
                arrays |= {f"{lane}/state/{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(its.state))}
        arrays["race"] = np.array(json.dumps({"identity": self.identity, "standing": plain, "states": states}))
        try:
            _files.write(self.path, _files.packed(arrays))
        except OSError as error:
            remedy = "make room or mend it: the next rung tries again. The race goes on, its result is whole"
            warnings.warn(f"race: `folder` could not be written, {self.path}: {error.strerror}; {remedy}", RuntimeWarning, 3)

    def load(self, runs: list[Run], standing: Standing, most: int) -> Standing:
        """How the race stands by the file, and the lanes put where they were; `standing` if there is no file.

        Raises: ValueError if the file is of another race, or cannot be read.
        """
        _files.clear(self.path.parent, NAME)
        if not self.path.exists():
            return standing
        try:
            found = _files.read(self.path)
            header = json.loads(str(found["race"]))
            identity = dict(header["identity"])
        except Exception as error:
            raise self._foreign(error) from error
        if identity != self.identity:
            other = " and ".join(words for part, words in DIFFERS.items() if identity.get(part) != self.identity[part])
            raise ValueError(
                f"race: `folder` must hold nothing or this very race, got {self.path} of another one "
                f"({other or 'another version'}); give another folder, or remove the file"
            )
        try:
            states = set(header["states"])
            after = [_lane(found, lane, its, lane in states, most) for lane, its in enumerate(runs)]
            now = _standing(header["standing"], found, len(runs), states)
        except Exception as error:
            raise self._foreign(error) from error
        runs[:] = after
        return now

    def _foreign(self, error: Exception) -> ValueError:
        reason = _files.reason_of(error)
        return ValueError(f"race: `folder` holds {self.path}, which is no whole file of a race ({reason}); remove it")


def _standing(plain: dict[str, Any], found: dict[str, np.ndarray[Any, Any]], number: int, states: set[int]) -> Standing:
    """How the race stands, with every entry checked."""
    arrays: dict[str, Any] = {name: found[name] for name in ("end_losses", "scores", "rungs")}
    now = Standing(**plain, **arrays)
    first = Standing.first(number)
    for name in ("end_losses", "scores", "rungs"):
        array, like = getattr(now, name), getattr(first, name)
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            raise ValueError(f"its {name} are {array.dtype}{list(array.shape)}")
    counts = [now.ended, now.begun, *now.inside, *now.ends, *([] if now.spare is None else [now.spare])]
    if type(now.over) is not bool or any(type(count) is not int or not 0 <= count < 2**31 for count in counts):
        raise ValueError("its standing holds other things than counts")
    if not {*now.inside, *([] if now.spare is None else [now.spare])} <= states <= set(range(number)):
        raise ValueError("its lanes are not those that have states")
    if now.inside != sorted(set(now.inside)) or now.ends != sorted(set(now.ends)) or now.begun != max(now.ends, default=0):
        raise ValueError("its lanes or its rungs are not in order")
    return now


def _lane(found: dict[str, Any], number: int, lane: Any, has_state: bool, most: int) -> Any:
    """A lane as it was kept, after at most so many updates."""
    carry = {name: _like(found[f"{number}/{name}"], getattr(lane, name)) for name in PROGRESS}
    rows, evaluations = found[f"{number}/rows"], found[f"{number}/evaluations"]
    if rows.shape != (int(carry["steps"]), 3) or len(rows) > most or evaluations.shape[1:] != (2,):
        raise ValueError("a curve of another length")
    if {rows.dtype, evaluations.dtype} != {np.dtype(np.float32)}:
        raise ValueError("a curve of another dtype")
    leaves, structure = jax.tree.flatten(lane.state)
    state = [_like(found[f"{number}/state/{i}"], leaf) for i, leaf in enumerate(leaves)] if has_state else None
    state = None if state is None else jax.tree.unflatten(structure, state)
    return lane._replace(state=state, history=rows, evaluations=evaluations, **carry)


def _plain(leaf: Any) -> np.ndarray[Any, Any]:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _like(array: np.ndarray[Any, Any], leaf: Any) -> Any:
    """An array of a file as the leaf that it was: of its shape and dtype, a random key if that is what it was."""
    wanted = _plain(leaf)
    if array.dtype.kind == wanted.dtype.kind == "V":  # NumPy keeps bfloat16 and the like as bytes
        array = array.view(wanted.dtype)
    if array.shape != wanted.shape or array.dtype != wanted.dtype:
        raise ValueError(f"an array of {array.dtype}{array.shape} where {wanted.dtype}{wanted.shape} belongs")
    if is_key(leaf):
        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=jax.random.key_impl(leaf))
    return array[()] if isinstance(leaf, np.generic) else jax.numpy.asarray(array) if isinstance(leaf, jax.Array) else array
