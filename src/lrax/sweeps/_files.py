"""Plain files: written whole or not at all, and read without trust."""

import contextlib
import hashlib
import io
import json
import math
import os
import pathlib
import re
import secrets
import socket
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import numpy as np

TRIES = 3
"""How often a file is written, should another process take it for a leftover."""

STALE = 3600.0
"""Seconds after which a half-written file is a leftover, whoever wrote it."""

PARTIAL = re.compile(r".+\.(?P<host>[^.]*)\.(?P<process>\d+)\.[0-9a-f]+\.tmp")
"""The name of a half-written file: its own, then the host and the process that writes it, and chance."""


SUMS = "sums"
"""The name of the array that holds the checksums of the others, as JSON: what is changed by hand later does not fit them."""

KINDS = "biufcUV"
"""Kinds of dtypes that a file may hold: numbers, text, and plain bytes of numbers that NumPy does not know."""

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""How headers of .npy files are read, by version. They are read as literals: nothing in them is run."""


def packed(arrays: Mapping[str, Any]) -> Callable[[IO[bytes]], Any]:
    """A function that writes arrays by name into an open file. What NumPy does not know, such as bfloat16, becomes bytes."""

    def fill(file: IO[bytes]) -> None:
        held = {name: np.asarray(array) for name, array in arrays.items()}
        held[SUMS] = np.array(json.dumps({name: _checksum(array) for name, array in held.items()}))
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in held.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    return fill


def save(caller: str, path: pathlib.Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """`write` for a file that a user asked for.

    Raises: OSError that says who, which file, and what to do; nothing is left of the file then.
    """
    try:
        write(path, fill)
    except OSError as error:
        remedy = "make room there, or give another path"
        raise OSError(error.errno, f"{caller}: `path` could not be written: {error.strerror}; {remedy}", str(path)) from error


def write(path: pathlib.Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Writes a file by a function of it; whoever reads sees the whole file or none.

    Raises: OSError if it cannot be written; nothing is left of it then.
    """
    for attempt in range(TRIES):
        host = socket.gethostname().replace(".", "-")
        partial = path.with_name(f"{path.name}.{host}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with partial.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            return
        except FileNotFoundError:  # another process has cleared it away
            if attempt == TRIES - 1:
                raise
        finally:
            partial.unlink(missing_ok=True)


def read(path: pathlib.Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a file by name, in time and memory in proportion to its size, whatever it claims about itself.

    Raises: ValueError, with what is wrong, if it cannot be read, or is not what `packed` wrote.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, path.stat().st_size)
            found = {one.filename.removesuffix(".npy"): _array(one.filename, archive.read(one)) for one in members}
        _check_sums(found)
    except Exception as error:  # what damaged bytes raise in zipfile, zlib and NumPy is not documented
        raise ValueError(reason_of(error)) from error
    return found


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, on one line that is not too long."""
    if isinstance(error, KeyError):
        error = ValueError(f"it lacks {error}")
    kind = "" if type(error) is ValueError and str(error) else type(error).__name__
    text = "; ".join(filter(None, str(error).splitlines()))
    return ": ".join(filter(None, (kind, text[:200] + "..." * (len(text) > 200))))


def _check_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raises if the members of an archive are not arrays, each once, as long as they say, which take no more than the file."""
    names = [one.filename for one in members]
    for one in members:
        if not one.filename.endswith(".npy"):
            raise ValueError(f"it holds {one.filename[:60]!r}, which is not an array")
        if one.compress_type != zipfile.ZIP_STORED or one.file_size != one.compress_size:
            raise ValueError(f"its {one.filename[:60]!r} is compressed")
    if len(set(names)) < len(names):
        raise ValueError("it holds an array twice")
    if sum(one.file_size for one in members) > size:  # some overlap, or go on behind the end
        raise ValueError("its arrays are larger than the file")


def _array(name: str, content: bytes) -> np.ndarray[Any, Any]:
    """The array of a .npy file, which must be as long as its header says."""
    file = io.BytesIO(content)
    try:
        shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # of NumPy's and Python's parsers
        raise ValueError(f"its {name!r} has a header that cannot be read ({reason_of(error)})") from error
    if dtype.kind not in KINDS or dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise ValueError(f"its {name!r} holds {dtype}, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"its {name!r} is not as long as its shape {shape} says")
    flat = np.frombuffer(content, dtype, offset=file.tell()) if math.prod(shape) else np.zeros(0, dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").astype(
        dtype.newbyteorder("=")
    )  # a copy, which owns its memory


def _check_sums(found: dict[str, np.ndarray[Any, Any]]) -> None:
    """Takes the checksums out of the arrays of a file; raises if an array is not the one that was written."""
    if SUMS not in found:
        raise ValueError("it lacks its checksums")
    sums = json.loads(str(found.pop(SUMS)))
    if not isinstance(sums, dict) or set(sums) != set(found):
        raise ValueError("its checksums are those of other arrays")
    for name, array in found.items():
        if sums[name] != _checksum(array):
            raise ValueError(f"its array {name!r} was changed after it was written")


def _checksum(array: np.ndarray[Any, Any]) -> str:
    """What tells an array from others, the same before it is written and after it was read."""
    dtype = f"V{array.dtype.itemsize}" if array.dtype.kind == "V" else array.dtype.name
    found = hashlib.blake2b(f"{dtype}{array.shape}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")
    return found.hexdigest()


def clear(folder: pathlib.Path, pattern: str) -> None:
    """Removes the half-written files, named `pattern` and an ending, of processes that are dead, or that are old."""
    for path in folder.glob(f"{pattern}.*.tmp"):
        with contextlib.suppress(OSError):  # it may be gone, or be somebody else's
            if path.is_file() and not path.is_symlink() and _is_leftover(path):
                path.unlink()


def _is_leftover(path: pathlib.Path) -> bool:
    if time.time() - path.stat().st_mtime > STALE:
        return True
    named = PARTIAL.fullmatch(path.name)
    if named is None or named["host"] != socket.gethostname().replace(".", "-") or os.name != "posix":
        return False
    try:
        os.kill(int(named["process"]), 0)  # asks whether it is there, and does nothing to it
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False  # there, but of another user; or no number of a process
    return False
