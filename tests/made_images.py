"""A made image data set in the files of the real one."""

import dataclasses
import gzip
import pathlib
import struct

import numpy as np
import pytest

TRAIN, TEST = 60, 20  # images in the made data set


def idx(magic: int, sizes: tuple[int, ...], data: bytes) -> bytes:
    """A gzipped IDX file."""
    return gzip.compress(struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data)


@dataclasses.dataclass(frozen=True)
class Source:
    """A folder of four made IDX files, and what is in them."""

    folder: pathlib.Path
    images: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


def use_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
