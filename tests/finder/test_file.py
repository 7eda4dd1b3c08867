"""Results on disk: what is saved is read back, and what is damaged is named."""

import copy
import dataclasses
import functools
import json
import operator
import pathlib
import re
import time

import jax
import numpy as np
import optax
import pytest

import lrax
from lrax.finder._file import to_plain
from problems import linear_learner, regression, same, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers


@pytest.fixture(scope="module")
def found():
    """A result that has all parts."""
    with jax.numpy_dtype_promotion("standard"):
        options = {"batch_size": 16, "key": jax.random.key(0), "seeds": 2, "refine": True}
        held_out = lambda state: -squared_error(state.params, regression(seed=1))  # noqa: E731
        whole = lrax.find_lr(linear_learner(optax.sgd), regression(), evaluate=held_out, mode="max", **options)
        return dataclasses.replace(whole, groups={"weight": whole}, left_out=3, ended=True, fault="batch 2 holds NaN")


def test_a_result_is_saved_and_loaded(found, tmp_path):
    """A result read back from its file has the same numbers, suggests the same and can be plotted; nothing else is left."""
    found.save(tmp_path / "found.json")
    again = lrax.FinderResult.load(tmp_path / "found.json")
    assert str(again) == str(found)
    assert (again.suggestion, again.band, again.steps_run) == (found.suggestion, found.band, found.steps_run)
    assert (again.left_out, again.ended, again.fault) == (3, True, "batch 2 holds NaN")
    assert same([c.losses for c in again.curves], [c.losses for c in found.curves])
    assert same([one.losses for one in (*again.runs, again.refined)], [one.losses for one in (*found.runs, found.refined)])
    assert same([c.evaluations for c in again.curves], [c.evaluations for c in found.curves])
    assert (again.curves[0].mode, len(again.evaluations)) == ("max", found.updates // 10)
    assert (str(again.groups["weight"]), again.multiples) == (str(found.groups["weight"]), found.multiples)
    assert again.suggest(lrax.finder.valley) == found.suggest(lrax.finder.valley)
    again.plot()
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_losses_that_are_not_finite_come_back(tmp_path):
    """NaN and both infinities are kept, and so is a curve without updates."""
    losses = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    curves = tuple(
        lrax.finder.Curve(np.full(n, 0.1, np.float32), losses[:n], losses[:n], lrax.finder.Reason.INTERRUPTED) for n in (4, 0)
    )
    lrax.FinderResult(curves, lrax.finder.Reason.INTERRUPTED, None).save(tmp_path / "found.json")
    again = lrax.FinderResult.load(tmp_path / "found.json")
    np.testing.assert_array_equal(again.curves[0].losses, losses)
    assert again.curves[1].rates.shape == (0,)
    again.plot()


REMOVED = object()
DAMAGES = {
    "curves": [REMOVED, [], {}, None, [3]],
    "curves[0].rates": [REMOVED, 1.0, ["x"], [None], [[1.0]], [True], [-1.0], ["nan"], [10**400], [0.1, 0.2]],
    "curves[0].losses": [REMOVED, {}, ["x"], [1e300]],
    "curves[1].smoothed": [REMOVED, "nan", [{}]],
    "curves[1].reason": [REMOVED, "bored", 3, None],
    "curves[0].evaluations": [REMOVED, 3, []],
    "curves[0].evaluations.rates": [REMOVED, [0.1], [-0.1]],
    "curves[0].evaluations.metrics": [REMOVED, ["x"]],
    "curves[0].evaluations.mode": [REMOVED, "less", None],
    "runs": [REMOVED, 3, None, [None]],
    "runs[0].losses": [REMOVED, "x"],
    "runs[1].best": [REMOVED, "x", -0.1],
    "reason": [REMOVED, "bored", ["flat"]],
    "suggestion": [REMOVED, "x", "nan", -0.1, 0, [0.1], True],
    "band": [REMOVED, [0.1], [0.1, 0.2, 0.3], [0.2, 0.1], ["a", "b"], {"low": 1}, 0.1, [0.1, "inf"]],
    "refined": [REMOVED, 3, []],
    "refined.peaks": [REMOVED, [], [0.1], [-1.0]],
    "refined.updates": [REMOVED, 0, "many"],
    "refined.steps_run": [REMOVED, 1.5, "many", -1, True, 10**400],
    "left_out": [REMOVED, -1, "1", True],
    "ended": [REMOVED, 0, None],
    "fault": [REMOVED, None, 3],
    "groups": [REMOVED, [], {"head": 3}],
    "groups.weight.curves": [REMOVED, []],
    "format": [REMOVED, "1", None, 0, 1.0],
}


@pytest.mark.parametrize("place", DAMAGES)
def test_a_damaged_part_is_named(found, tmp_path, place):
    """A part that is missing or of another kind is a ValueError that names the file and the part."""
    path = tmp_path / "found.json"
    found.save(path)
    whole = json.loads(path.read_text())
    *parents, last = place.replace("[", ".").replace("]", "").split(".")
    for value in DAMAGES[place]:
        plain = copy.deepcopy(whole)
        holder = plain
        for name in parents:
            holder = holder[int(name) if name.isdigit() else name]
        last_one = int(last) if last.isdigit() else last
        if value is REMOVED:
            del holder[last_one]
        else:
            holder[last_one] = value
        path.write_text(json.dumps(plain))
        with pytest.raises(ValueError, match=r"FinderResult\.load: `path` must be") as caught:
            lrax.FinderResult.load(path)
        assert str(path) in str(caught.value)
        assert f"`{re.split(r'[.[]', place)[0]}" in str(caught.value)
        assert value is not REMOVED or f"`{place}` is missing" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"3",
        b"[]",
        b'{"format": 1}',
        b'{"lrax": "SweepResult"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"lrax": "FinderResult"',
    ],
)
def test_other_files_are_named(tmp_path, content):
    """What is no file of a result is a ValueError that names it; a file that is not there is the system's own error."""
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`path` must be a file that FinderResult\.save wrote, got 'other\.json'") as caught:
        lrax.FinderResult.load(path)
    assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        lrax.FinderResult.load(tmp_path / "none.json")


def test_other_paths_are_named(tmp_path):
    """A directory is a ValueError that names it, and what is not a path is a TypeError."""
    with pytest.raises(ValueError, match="is a directory"):
        lrax.FinderResult.load(tmp_path)
    with pytest.raises(TypeError, match=r"FinderResult\.load: `path` must be a path, got 3"):
        lrax.FinderResult.load(3)


def test_groups_in_groups_are_refused(found, tmp_path):
    """However deep groups are nested, the answer is the error of the first level."""
    path = tmp_path / "found.json"
    whole = json.loads(json.dumps(to_plain(found)))
    nested = whole["groups"]["weight"]
    for _ in range(300):
        nested = {**whole["groups"]["weight"], "groups": {"weight": nested}}
    path.write_text(json.dumps({**whole, "lrax": "FinderResult", "format": 1, "groups": {"weight": nested}}))
    with pytest.raises(ValueError, match=r"`groups\.weight\.groups` must be empty in a group"):
        lrax.FinderResult.load(path)


VALUES = [
    None,
    True,
    -1,
    0,
    1e-50,
    1e300,
    10**400,
    -(10**400),
    "nan",
    "NaN",
    "inf",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
]


def places(plain, place=()):
    """The places of all values of a JSON document, innermost last."""
    pairs = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [place, *(found for name, value in pairs for found in places(value, (*place, name)))]


def changed(plain, generator):
    """A document with some values replaced, removed, repeated or nested, as text; or with its text cut or a byte changed."""
    plain = copy.deepcopy(plain)
    for _ in range(generator.integers(1, 3)):
        *parents, last = (all_places := places(plain)[1:])[generator.integers(len(all_places))]
        holder = functools.reduce(operator.getitem, parents, plain)
        match generator.integers(4):
            case 0:
                del holder[last]
            case 1:
                holder[last] = [holder[last]] * 2
            case _:
                holder[last] = VALUES[generator.integers(len(VALUES))]
    text = json.dumps(plain).encode()
    match generator.integers(8):
        case 0:
            return text[: generator.integers(len(text))]
        case 1:
            text = bytearray(text)
            text[generator.integers(len(text))] = generator.integers(256)
            return bytes(text)
    return text


def test_no_change_of_a_file_raises_another_error(found, tmp_path):
    """Of 600 random changes of a file each is refused with the file and a reason, or gives a result that can be used."""
    generator, path = np.random.default_rng(0), tmp_path / "found.json"
    found.save(path)
    whole = json.loads(path.read_text())
    for curve in (*whole["curves"], *whole["groups"]["weight"]["curves"]):  # a small file has more of each kind of change
        curve.update({name: curve[name][::20] for name in ("rates", "losses", "smoothed")})
    loaded, refused = 0, []
    for _ in range(600):
        path.write_bytes(changed(whole, generator))
        try:
            again = lrax.FinderResult.load(path)
        except ValueError as error:
            refused.append(str(error))
            continue
        loaded += 1
        assert str(again)
        again.suggest(lrax.finder.valley)
        if again.suggestion is not None:
            assert again.schedule(lrax.Linear(1.0, 0.0, 100)).start > 0
    assert 10 < loaded < 300
    assert all(error.startswith("FinderResult.load: `path` must be a") and str(path) in error for error in refused)


@pytest.mark.slow
def test_time_is_linear_in_the_size(tmp_path):
    """A file of ten times as many numbers takes about ten times as long."""

    def seconds(number):
        rates = np.geomspace(1e-6, 1, number).astype(np.float32)
        curve = lrax.finder.Curve(rates, rates, rates, lrax.finder.Reason.COMPLETED)
        lrax.FinderResult((curve,), lrax.finder.Reason.COMPLETED, 0.1).save(tmp_path / "found.json")
        begun = time.process_time()
        lrax.FinderResult.load(tmp_path / "found.json")
        return time.process_time() - begun

    assert seconds(200_000) < 30 * seconds(20_000)


def test_newer_files_are_named(tmp_path):
    """A file of a newer format says to update lrax."""
    (tmp_path / "newer.json").write_text('{"lrax": "FinderResult", "format": 99}')
    with pytest.raises(ValueError, match="update lrax"):
        lrax.FinderResult.load(tmp_path / "newer.json")


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(found, tmp_path, monkeypatch):
    """If writing fails half-way, its error comes through, the file is what it was, and nothing half-written stays."""
    path = tmp_path / "found.json"
    path.write_text("before")
    write_text = pathlib.Path.write_text

    def full(self, text, **options):
        write_text(self, text[:100], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        found.save(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"found.json": "before"}
