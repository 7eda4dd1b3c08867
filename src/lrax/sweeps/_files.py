"""Plain files: written whole or not at all, and read without trust."""

import contextlib
import os
import pathlib
import re
import secrets
import socket
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

TRIES = 3
"""How often a file is written, should another process take it for a leftover."""

STALE = 3600.0
"""Seconds after which a half-written file is a leftover, whoever wrote it."""

PARTIAL = re.compile(r".+\.(?P<host>[^.]*)\.(?P<process>\d+)\.[0-9a-f]+\.tmp")
"""The name of a half-written file: its own, then the host and the process that writes it, and chance."""


def packed(arrays: Mapping[str, Any]) -> Callable[[IO[bytes]], Any]:
    """A function that writes arrays by name into an open file. What NumPy does not know, such as bfloat16, becomes bytes."""

    def fill(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

    return fill


def save(owner: str, path: pathlib.Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """`write` for a file that a user asked for.

    Raises: OSError that says who, which file, and what to do; nothing is left of the file then.
    """
    try:
        write(path, fill)
    except OSError as error:
        remedy = "make room there, or give another path"
        raise OSError(error.errno, f"{owner}: `path` could not be written: {error.strerror}; {remedy}", str(path)) from error


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
    """The arrays of a file by name.

    Raises: ValueError, with what is wrong, if it cannot be read.
    """
    try:
        with path.open("rb") as file:  # NumPy would leave a damaged one open
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise TypeError("not a zip file")
            with found:
                return {name: found[name] for name in found.files}
    except Exception as error:  # what damaged bytes raise in zipfile, zlib and NumPy is written down nowhere
        raise ValueError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


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
