"""Folders at URLs, through fsspec: the memory file system, and a store that cannot rename."""

import pathlib
import sys
from typing import Any, ClassVar

import fsspec
import jax
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import lrax
from problems import linear_learner, regression
from small_sweep import PEAKS, train

SINGLE = lrax.Execution(max_parallel=1)


class Store(MemoryFileSystem):
    """An object store: an object appears whole under its name, and nothing is renamed, copied or appended to."""

    protocol: ClassVar[Any] = ("store",)
    full = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if Store.full:
            raise RuntimeError("the quota is used up")
        super().pipe_file(path, value, mode, **kwargs)

    def cp_file(self, *given: Any, **options: Any) -> None:
        raise NotImplementedError

    mv = rename = makedirs = mkdir = cp_file


fsspec.register_implementation("store", Store, clobber=True)


@pytest.fixture(params=["memory", "store"])
def folder(request: pytest.FixtureRequest) -> Any:
    """A URL below which there is nothing."""
    url = f"{request.param}://bucket/{request.function.__name__}"
    yield url
    system, path = fsspec.core.url_to_fs(url)
    if system.exists(path):
        system.rm(path, recursive=True)


def names(folder: str) -> list[str]:
    """The files in a remote folder."""
    system, path = fsspec.core.url_to_fs(folder)
    return sorted(name.rpartition("/")[2] for name in system.glob(f"{path}/*.lrax"))


def swept(folder: Any, **options: Any) -> Any:
    """A sweep of four runs, one at a time."""
    seeds = jax.random.split(jax.random.key(0), 4)
    return lrax.run_sweep(train, lrax.Constant(PEAKS), seeds, execution=SINGLE, folder=folder, **options)


def test_a_sweep_goes_on_from_a_remote_folder(folder: str, tmp_path: pathlib.Path) -> None:
    """Parts write to a URL, and the whole sweep loads them and trains what is missing: the results of a local folder."""
    swept(folder, part=(1, 2))
    assert names(folder) == ["runs-00001-00001.lrax", "runs-00003-00003.lrax"]
    whole, local = swept(folder + "/"), swept(tmp_path / "local")
    np.testing.assert_array_equal(whole.metrics, local.metrics)
    system, path = fsspec.core.url_to_fs(folder)
    for name in names(folder):
        assert system.cat_file(f"{path}/{name}") == (tmp_path / "local" / name).read_bytes()
    system.pipe_file(f"{path}/runs-00002-00002.lrax", b"half a file")
    with pytest.raises(ValueError, match=rf"`folder` must hold whole files of a sweep, got {folder}/runs-00002-00002.lrax"):
        swept(folder)


def test_python_trainers_have_remote_folders_too(folder: str) -> None:
    """A run that was trained is not trained again; one that failed is."""
    calls = []

    def by_hand(schedule: Any) -> float:
        calls.append(float(schedule(0)))
        if len(calls) == 2:
            raise OSError("away")
        return calls[-1]

    schedules = [lrax.Constant(peak) for peak in (0.1, 0.2)]
    for _ in range(2):
        result = lrax.run_sweep(by_hand, schedules, traced=False, folder=folder)
    assert calls == pytest.approx([0.1, 0.2, 0.2])
    assert not result.errors


def test_a_race_goes_on_from_a_remote_folder(folder: str) -> None:
    """A race that was stopped after a rung goes on from the URL."""
    options: Any = {"batch_size": 8, "key": jax.random.key(0), "rungs": (4, 4)}
    rates = lrax.Constant(np.float32([0.001, 0.01, 0.1]))
    whole = lrax.race(linear_learner(), regression(), rates, **options)
    for _ in range(2):
        found = lrax.race(linear_learner(), regression(), rates, folder=folder, **options)
        np.testing.assert_array_equal(found.losses, whole.losses)
    assert names(folder) == ["race.lrax"]


def test_a_full_store_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written warns and is tried again; a store that is full at the start is an error."""
    seen = []

    def fill(schedule: Any) -> float:
        seen.append(monkeypatch.setattr(Store, "full", len(seen) == 0))
        return float(schedule(0))

    with pytest.warns(
        RuntimeWarning, match="could not be written, store://bucket/full/run-000000-0.lrax: RuntimeError: the quota"
    ):
        lrax.run_sweep(fill, [lrax.Constant(0.1), lrax.Constant(0.2)], traced=False, folder="store://bucket/full")
    assert names("store://bucket/full") == ["run-000000-0.lrax", "run-000001-0.lrax"]
    monkeypatch.setattr(Store, "full", True)
    with pytest.raises(
        ValueError, match="`folder` must be a folder that can be written to, got 'store://x'; RuntimeError: the q"
    ):
        swept("store://x")


@pytest.mark.parametrize(
    ("folder", "error", "words"),
    [
        ("nothing://x", ValueError, "`folder` must be .*'nothing://x'; Protocol not known: nothing"),
        (pathlib.Path("s3://bucket/sweep"), ValueError, "`folder` must be a URL as a string, got 's3:/bucket/sweep'"),
        ("dropbox://x", ImportError, "run_sweep: `folder` 'dropbox://x' needs another package"),
    ],
)
def test_urls_that_cannot_be_opened_are_named(folder: Any, error: type[Exception], words: str) -> None:
    """An unknown protocol, a URL that pathlib changed, and a protocol whose package is missing."""
    with pytest.raises(error, match=words):
        swept(folder)


def test_without_fsspec_a_url_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that installs the extra."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"folder='memory://x' needs fsspec, the extra `remote`"):
        swept("memory://x")
