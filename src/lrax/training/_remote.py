"""Folders on object stores and other remote file systems, through fsspec."""

import contextlib
import dataclasses
import fnmatch
import re
from typing import Any

from lrax.fields._errors import argument_error, missing_extra


@dataclasses.dataclass(frozen=True)
class RemotePath:
    """A remote file or folder, with those methods of `pathlib.Path` that a folder of work needs.

    Attributes:
      url: such as `"s3://bucket/sweep"`.
      system: the file system of fsspec.
    """

    url: str
    system: Any

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(f"{self.url}/{name}", self.system)

    def glob(self, pattern: str) -> list["RemotePath"]:
        self.system.invalidate_cache()  # other processes write there
        names = (name.rpartition("/")[2] for name in self.system.ls(self.url, detail=False))
        return [self / name for name in names if fnmatch.fnmatchcase(name, pattern)]

    def read_bytes(self) -> bytes:
        return bytes(self.system.cat_file(self.url))

    def write_bytes(self, data: bytes) -> None:
        """Writes the file at its name at once: others see an object whole or not at all. Raises OSError."""
        try:
            self.system.pipe_file(self.url, data)
        except Exception as error:  # each file system has its own
            raise OSError(f"{type(error).__name__}: {error}") from error


def remote_path(caller: str, folder: str) -> RemotePath | None:
    """The folder at a URL, which can be written to; None if `folder` is a local path.

    Raises: ImportError if fsspec, or the package of the file system, is not installed; ValueError if it cannot be written to.
    """
    if re.match(r"[a-z][a-z0-9+]+:/(?!/)", folder):
        raise argument_error(ValueError, caller, "folder", "a URL as a string", folder, "pathlib.Path removes a slash of it")
    if "://" not in folder:
        return None
    try:
        import fsspec
    except ImportError as error:
        raise missing_extra(f"folder={folder!r}", "fsspec", "remote") from error
    needs = "a folder that can be written to"
    try:
        path = RemotePath(folder.rstrip("/"), fsspec.core.url_to_fs(folder)[0])
        with contextlib.suppress(Exception):  # object stores have no folders
            path.system.makedirs(path.url, exist_ok=True)
        (path / ".writable").write_bytes(b"")  # before a day of training
    except ImportError as error:
        raise ImportError(f"{caller}: `folder` {folder!r} needs another package: {error}") from error
    except (OSError, ValueError) as error:
        raise argument_error(ValueError, caller, "folder", needs, folder, str(error)) from error
    return path
