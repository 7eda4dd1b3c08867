import io
import json
import pathlib
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from small_sweep import PEAKS, run

NAME = "lanes-00000-00003.npz"


def typed(schedule):
    """Metrics of several dtypes."""
    return {"loss": schedule(jnp.arange(3)), "half": schedule(0).astype(jnp.bfloat16)}


def sweep(folder):
    """A sweep of four lanes in one group."""
    return lrax.run_sweep(typed, lrax.Constant(PEAKS), folder=folder, lanes=4, score=lambda metrics: metrics["loss"][0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a file of that sweep."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(folder)
    return (folder / NAME).read_bytes()


def load(folder, content):
    """The sweep with a file of that content in its folder."""
    (folder / NAME).write_bytes(content)
    return sweep(folder)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_are_named_or_do_no_harm(whole, tmp_path, seed):
    """Whichever bit of a file is flipped: an error that names the file, or the right numbers."""
    generator, named = np.random.default_rng(seed), 0
    for place in generator.integers(0, 8 * len(whole), 40):
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        try:
            result = load(tmp_path, bytes(content))
        except ValueError as error:
            assert f"`folder` holds {tmp_path / NAME}, which is no file of a sweep" in str(error)  # noqa: PT017  # or nothing
            named += 1
        else:
            np.testing.assert_array_equal(result.metrics["loss"], np.repeat(PEAKS[:, None], 3, 1))
            np.testing.assert_array_equal(result.metrics["half"], PEAKS.astype(jnp.bfloat16))
    assert named >= 10


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_cut_files_are_named(whole, tmp_path, length):
    """A file that was cut off is an error that names it."""
    with pytest.raises(ValueError, match=rf"{NAME}, which is no file of a sweep"):
        load(tmp_path, whole[:length])


def changed(whole, **arrays):
    """The file with other arrays; None leaves one out."""
    with np.load(io.BytesIO(whole)) as file:
        kept = {name: file[name] for name in file.files} | arrays
    content = io.BytesIO()
    np.savez(content, **{name: array for name, array in kept.items() if array is not None})
    return content.getvalue()


FOREIGN = {
    "text": lambda whole: b"not a zip file",
    "an array": lambda whole: npy(np.arange(4)),
    "an empty archive": lambda whole: archive({}),
    "an archive of other things": lambda whole: archive({"notes.txt": "precious", "sweep.npy": "x"}),
    "JSON that is a list": lambda whole: changed(whole, sweep=json.dumps([1])),
    "JSON that is a number": lambda whole: changed(whole, sweep=json.dumps(1)),
    "JSON too deep": lambda whole: changed(whole, sweep="[" * 100_000),
    "no JSON": lambda whole: changed(whole, sweep="{"),
    "a fingerprint of numbers": lambda whole: changed(whole, sweep=np.arange(3)),
    "lanes that are negative": lambda whole: changed(whole, lanes=np.arange(-4, 0)),
    "lanes out of range": lambda whole: changed(whole, lanes=np.arange(1, 5)),
    "lanes twice": lambda whole: changed(whole, lanes=np.zeros(4, int)),
    "lanes that are fractions": lambda whole: changed(whole, lanes=np.arange(4.0)),
    "lanes of two axes": lambda whole: changed(whole, lanes=np.arange(4)[None]),
    "fewer lanes": lambda whole: changed(whole, lanes=np.arange(3)),
    "no lanes": lambda whole: changed(whole, lanes=None),
    "a metric that is missing": lambda whole: changed(whole, **{"metrics['loss']": None}),
    "a metric of another shape": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 2), np.float32)}),
    "a metric of another dtype": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 3), np.int32)}),
    "a metric of wider bytes": lambda whole: changed(whole, **{"metrics['half']": np.zeros(4, "V4")}),
    "a metric that broadcasts": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 1), np.float32)}),
}


def npy(array):
    """The bytes of a .npy file."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def archive(members):
    """The bytes of a zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named(whole, tmp_path, kind):
    """What has the name of a file of a sweep and is none is an error that names it, and stays where it is."""
    with pytest.raises(ValueError, match=rf"{NAME}, which is no file of a sweep \(.+\); remove it"):
        load(tmp_path, FOREIGN[kind](whole))
    assert (tmp_path / NAME).exists()


def test_pickles_are_not_loaded(tmp_path):
    """Nothing in a folder can run code."""

    class Harmful:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "harmed",)

    np.savez(tmp_path / NAME, sweep=np.array([Harmful()], object), lanes=np.arange(4))
    with pytest.raises(ValueError, match="which is no file of a sweep"):
        sweep(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_what_cannot_be_read_is_said(tmp_path):
    """A folder of the name of a file is named as well."""
    (tmp_path / "lanes-00000-00000.npz").mkdir()
    with pytest.raises(ValueError, match=r"lanes-00000-00000\.npz, which is no file of a sweep"):
        run(folder=tmp_path)
