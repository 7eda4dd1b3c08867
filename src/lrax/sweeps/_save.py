"""Finished lanes on disk: one plain .npz file for each group of lanes, written whole or not at all."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import zipfile
from typing import Any

import jax
import numpy as np

from lrax.fields._known import is_key
from lrax.sweeps._batch import Lanes
from lrax.training._programs import program_text

PATTERN = "lanes-*.npz"

DIFFERS: dict[str, str] = {
    "schedules": "other schedules",
    "others": "other arrays beside them",
    "training function": "another training function, precision or mesh",
    "version of JAX": "another version of JAX",
}
"""What is said about the parts of a fingerprint that differ."""


def fingerprint(lanes: Lanes, closed_jaxpr: Any, shared: Any) -> dict[str, str]:
    """What a sweep is: its schedules, what goes beside them, its program with the arrays it closes over, and JAX's version."""
    text = program_text(closed_jaxpr)
    return {
        "schedules": _digest(lanes.schedules),
        "others": _digest(lanes.others),
        "training function": hashlib.sha256((text + _digest((closed_jaxpr.consts, shared))).encode()).hexdigest(),
        "version of JAX": jax.__version__,
    }


def load(
    folder: pathlib.Path, identity: dict[str, str], metrics: list[tuple[str, np.ndarray[Any, Any]]]
) -> np.ndarray[Any, Any]:
    """Fills `metrics` with what is in `folder`; returns which lanes that is, bool of shape (lanes,).

    Args:
      folder: made if it is not there; what a killed process left half-written is removed.
      identity: the fingerprint.
      metrics: names and arrays with the lane axis in front.

    Raises: ValueError if a file is of another sweep or cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    done = np.zeros(len(metrics[0][1]), bool)
    for path in sorted(folder.glob(PATTERN)):
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(np.load(path, allow_pickle=False))
                found, indices = json.loads(str(file["sweep"])), file["lanes"]
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise ValueError(
                    f"run_sweep: `folder` holds {path}, which is no file of a sweep ({error}); remove it"
                ) from error
            if found != identity:
                other = [part for part in identity if found.get(part) != identity[part]]
                raise ValueError(
                    f"run_sweep: `folder` must hold nothing or this very sweep, got {path} of another one "
                    f"({' and '.join(DIFFERS[part] for part in other)}); give another folder, or remove its files"
                )
            for name, array in metrics:
                array[indices] = file[name].view(array.dtype)  # NumPy stores bfloat16 as bytes
            done[indices] = True
    return done


def save(folder: pathlib.Path, identity: dict[str, str], indices: np.ndarray[Any, Any], metrics: dict[str, Any]) -> None:
    """Writes the metrics of some lanes; whoever reads sees the whole file or none."""
    name = f"lanes-{indices[0]:05d}-{indices[-1]:05d}.npz"
    temporary = folder / f"{name}.{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, sweep=np.array(json.dumps(identity)), lanes=indices, **metrics)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / name)


def _digest(tree: Any) -> str:
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(tree))).encode())
    for leaf in jax.tree.leaves(tree):
        if is_key(leaf):
            leaf = jax.random.key_data(leaf)
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:  # the parts at hand, in their order
            parts = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        else:
            parts = [np.asarray(leaf)]
        for part in parts:
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
    return digest.hexdigest()
