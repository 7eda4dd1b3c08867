"""The one file format. Damaged files are in tests/sweeps/test_damaged_files.py."""

import collections
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.training import _storage
from lrax.training._storage import by_path, checked, load, restored, save

Pair = collections.namedtuple("Pair", "first second")


def test_content_of_any_kind_comes_back(tmp_path):
    """Plain values, arrays of any dtype and byte order, random keys and schedules come back in their containers."""
    content = {
        "plain": [None, True, 3, 1.5, float("inf"), "text", {}],
        "arrays": (np.arange(3, dtype=">f8"), jnp.ones(2, jnp.bfloat16), np.float32(2), np.zeros((0, 3)), np.array([True])),
        "key": jax.random.split(jax.random.key(0), 3),
        "schedules": (lrax.Constant(0.1), lrax.wsd(0.1, warmup_steps=1, cooldown_steps=2, total_steps=9)),
        3: Pair(1, np.arange(2)),
    }
    save("Test.save", tmp_path / "file", "Test", content)
    found = load("Test.load", tmp_path / "file", "Test", lambda content: content)
    assert found["plain"] == content["plain"]
    for one, other in zip(found["arrays"], content["arrays"], strict=True):
        np.testing.assert_array_equal(one.astype(np.float32), np.asarray(other).astype(np.float32))
        assert (one.shape, one.dtype.name) == (np.shape(other), np.asarray(other).dtype.name)
        assert one.flags.writeable
    np.testing.assert_array_equal(jax.random.key_data(found["key"]), jax.random.key_data(content["key"]))
    assert repr(found["schedules"]) == repr(content["schedules"])
    assert (found[3]["first"], list(found[3]["second"])) == (1, [0, 1])


@pytest.mark.parametrize("value", [object(), np.array(["a"]), np.array([object()]), np.datetime64("2020-01-01")])
def test_what_a_file_cannot_hold_is_refused(value, tmp_path):
    """Objects, text in arrays and dates are refused before anything is written."""
    with pytest.raises((TypeError, ValueError)):
        save("Test.save", tmp_path / "file", "Test", {"x": value})
    assert not list(tmp_path.iterdir())


PARTS = {"losses": np.zeros((2, 3), np.float32), "peaks": np.ones(2), "goal": "min", "steps": 3, "best": None}


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ({"losses": "float[runs,steps]", "peaks": "float[steps]"}, r"its `peaks` must be float\[steps\], and is float64\[2\]"),
        ({"losses": "float[runs,4]"}, r"its `losses` must be float\[runs,4\], and is float32\[2, 3\]"),
        ({"losses": "int[runs,steps]"}, "its `losses` must be int"),
        ({"goal": ("max", "other")}, "its `goal` must be max or other, and is 'min'"),
        ({"steps": str}, "its `steps` must be str, and is 3"),
        ({"best": float}, "its `best` must be float, and is None"),
        ({"missing": int}, "it lacks `missing`"),
    ],
)
def test_parts_that_differ_are_named(specs, words):
    """The error names the part, what it must be and what it is."""
    fits = {"losses": "float[runs, 3]", "peaks": "float[runs]", "goal": ("min", "max"), "steps": int, "best": (None, float)}
    assert list(checked(PARTS, **fits)) == list(fits)
    with pytest.raises(ValueError, match=words):
        checked(PARTS, **specs)


def test_a_pytree_is_restored_against_its_structure(tmp_path):
    """Leaves come back by path as arrays of the kind that they were, and another structure is refused."""
    tree = Pair({"a": jnp.ones(2)}, (np.float32(3), np.arange(2), jax.random.key(1)))
    save("Test.save", tmp_path / "file", "Test", by_path(tree))
    found = load("Test.load", tmp_path / "file", "Test", lambda content: restored(content, tree))
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    assert list(map(type, jax.tree.leaves(found))) == list(map(type, jax.tree.leaves(tree)))
    with pytest.raises(ValueError, match=r"Test\.load: `path` must be a file of a Test, got .*: it has the arrays"):
        load("Test.load", tmp_path / "file", "Test", lambda content: restored(content, tree._replace(second=1)))


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """All bytes are handed to the system before they are forced to the disk, and the file gets its name after that."""
    sizes, path = [], tmp_path / "small"
    monkeypatch.setattr(_storage.os, "fsync", lambda descriptor: sizes.append((os.fstat(descriptor).st_size, path.exists())))
    _storage.write(path, b"five!")
    assert sizes == [(5, False)]
    assert path.read_bytes() == b"five!"
