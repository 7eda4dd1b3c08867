import copy
import dataclasses
import io
import json
import pathlib
import time
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.sweeps import RaceResult, SweepResult, _files
from lrax.sweeps._folder import Folder
from lrax.sweeps._race_folder import RaceFolder
from problems import linear_learner, regression
from small_sweep import PEAKS, run

NAME = "runs-00000-00003.npz"


def typed(schedule):
    """Metrics of several dtypes."""
    return {"loss": schedule(jnp.arange(3)), "half": schedule(0).astype(jnp.bfloat16)}


def sweep(folder):
    """A sweep of four runs in one group."""
    return lrax.run_sweep(typed, lrax.Constant(PEAKS), folder=folder, execution=lrax.Execution(max_parallel=4), score=lambda metrics: metrics["loss"][0])


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


def arrays_of(whole):
    """The arrays of a file, without their checksums."""
    with np.load(io.BytesIO(whole)) as file:
        return {name: file[name] for name in file.files if name != _files.SUMS}


def packed(arrays):
    """The bytes of a file of these arrays, with their checksums."""
    content = io.BytesIO()
    _files.packed(arrays)(content)
    return content.getvalue()


def changed(whole, **arrays):
    """The file with other arrays, as if it had been written so; None leaves one out."""
    return packed({name: array for name, array in {**arrays_of(whole), **arrays}.items() if array is not None})


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
    "runs that are negative": lambda whole: changed(whole, runs=np.arange(-4, 0)),
    "runs out of range": lambda whole: changed(whole, runs=np.arange(1, 5)),
    "runs twice": lambda whole: changed(whole, runs=np.zeros(4, int)),
    "runs that are fractions": lambda whole: changed(whole, runs=np.arange(4.0)),
    "runs of two axes": lambda whole: changed(whole, runs=np.arange(4)[None]),
    "fewer runs": lambda whole: changed(whole, runs=np.arange(3)),
    "runs that are empty": lambda whole: changed(whole, runs=np.arange(0)),
    "no runs": lambda whole: changed(whole, execution=lrax.Execution(max_parallel=None)),
    "a metric that is missing": lambda whole: changed(whole, **{"metrics['loss']": None}),
    "a metric of another shape": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 2), np.float32)}),
    "a metric of another dtype": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 3), np.int32)}),
    "a metric of wider bytes": lambda whole: changed(whole, **{"metrics['half']": np.zeros(4, "V4")}),
    "a metric that broadcasts": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 1), np.float32)}),
    "a metric of plain bytes": lambda whole: changed(whole, **{"metrics['loss']": np.zeros((4, 3), "V4")}),
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
    with pytest.raises(ValueError, match=rf"{NAME}, which is no file of a sweep \(.+\); remove it") as raised:
        load(tmp_path, FOREIGN[kind](whole))
    assert (tmp_path / NAME).exists()
    assert "checksums" not in str(raised.value) or kind.startswith("an ")
    assert "was changed" not in str(raised.value)


def test_what_was_edited_by_hand_is_named(whole, tmp_path):
    """Arrays that were changed and saved again, such as the numbers of the runs, do not fit the checksums in the file."""
    with np.load(io.BytesIO(whole)) as file:
        arrays = dict(file)
    for name, other in (("runs", arrays["runs"][::-1]), ("metrics['loss']", -arrays["metrics['loss']"])):
        content = io.BytesIO()
        np.savez(content, **{**arrays, name: other})
        with pytest.raises(ValueError, match=r"its array .* was changed after it was written") as raised:
            load(tmp_path, content.getvalue())
        assert repr(name) in str(raised.value)
    content = io.BytesIO()
    np.savez(content, **arrays)  # saved again as it was
    np.testing.assert_array_equal(load(tmp_path, content.getvalue()).metrics["half"], PEAKS.astype(jnp.bfloat16))


def test_pickles_are_not_loaded(tmp_path):
    """Nothing in a folder can run code."""

    class Harmful:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "harmed",)

    np.savez(tmp_path / NAME, sweep=np.array([Harmful()], object), runs=np.arange(4))
    with pytest.raises(ValueError, match="which is no file of a sweep"):
        sweep(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_what_cannot_be_read_is_said(tmp_path):
    """A folder of the name of a file is named as well."""
    (tmp_path / "runs-00000-00000.npz").mkdir()
    with pytest.raises(ValueError, match=r"runs-00000-00000\.npz, which is no file of a sweep"):
        run(folder=tmp_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """By kind of file, its name, its bytes, and what reads it from a path and looks at what it found."""
    folder = tmp_path_factory.mktemp("files")
    with jax.numpy_dtype_promotion("standard"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RaceFolder, "load", lambda kept, runs, standing, most: begun.append((kept, list(runs), standing)) or standing
        )
        begun = []
        rates = [lrax.Constant(0.01), lrax.Cosine(0.1, 0.0, 8), lrax.Constant(0.3)]
        options = {"batch_size": 8, "key": jax.random.key(0), "evaluate": lambda state: state.params["bias"], "every": 1}
        learner = linear_learner()
        race = lrax.race(learner, regression(), rates, rungs=(2, 2), folder=folder, **options)
    race.save(folder / "race_result.npz")
    metrics = {"loss": np.ones(4), "more": [np.ones((4, 2), np.float32).astype(jnp.bfloat16), (None, np.arange(4))]}
    metrics["key"] = jax.random.split(jax.random.key(0), 4)
    schedules = [lrax.Constant(0.1), lrax.wsd(0.1, 9, 1, 2), lrax.MultiStep(0.1, 0.5, [3, 4]), lambda count: jnp.float32(1)]
    SweepResult.create(schedules, metrics, lambda one: one["loss"]).save(folder / "sweep_result.npz")
    sweep(folder)
    kept, runs, standing = begun[0]
    identity = json.loads(str(arrays_of((folder / NAME).read_bytes())["sweep"]))

    def read_folder(path):
        arrays = [("metrics['half']", np.zeros(4, jnp.bfloat16)), ("metrics['loss']", np.zeros((4, 3), np.float32))]
        Folder(path.parent, identity, arrays).load()

    def read_race_folder(path):
        assert set(RaceFolder(path, kept.identity).load(list(runs), standing, 4).inside) <= {0, 1, 2}

    def read_race(path):
        found = RaceResult.load(path, learner.state)
        return str(found), found.rows(), found.schedule

    def read_sweep(path):
        found = SweepResult.load(path)
        return str(found), found.rows(), found.best, found.margin

    readers = {NAME: read_folder, "race.npz": read_race_folder, "race_result.npz": read_race, "sweep_result.npz": read_sweep}
    return {name: ((folder / name).read_bytes(), reader) for name, reader in readers.items()}


KINDS_OF_FILES = [NAME, "race.npz", "race_result.npz", "sweep_result.npz"]
DEEP = json.loads("[" * 900 + "]" * 900)
HOSTILE = [
    10**400,
    -(10**400),
    2**63,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "x",
    "9" * 5000,
    [],
    [[1]],
    {},
    DEEP,
]


def places(tree, path=()):
    """The paths of all parts of JSON data."""
    yield path
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def other_json(data, generator):
    """JSON data one part of which is another: hostile, gone, or there twice. Text of JSON inside is treated in the same way."""
    *way, last = list(places({"whole": data}))[1:][generator.integers(len(list(places({"whole": data}))) - 1)]
    whole = part = {"whole": copy.deepcopy(data)}
    for key in way:
        part = part[key]
    drawn = generator.integers(len(HOSTILE) + 3)
    if isinstance(part[last], str) and part[last].startswith("{") and drawn % 2:
        part[last] = json.dumps(other_json(json.loads(part[last]), generator))
    elif drawn < len(HOSTILE):
        part[last] = HOSTILE[drawn]
    elif isinstance(part, list) and drawn == len(HOSTILE):
        part.append(part[last])
    elif way:
        del part[last]
    return whole.get("whole")


ARRAYS = [
    lambda a: a[:0] if a.ndim else a.reshape(1),
    lambda a: a[..., None],
    lambda a: a.ravel(),
    lambda a: a.astype(np.float64) if a.dtype.kind in "iufb" else a,
    lambda a: a.astype(np.complex64) if a.dtype.kind in "iufb" else a,
    lambda a: a.astype("U5") if a.dtype.kind in "iufbU" else a,
    lambda a: np.full(a.shape, b"x", f"V{max(a.dtype.itemsize, 1)}"),
    lambda a: np.full(a.shape, np.iinfo(a.dtype).max, a.dtype) if a.dtype.kind in "iu" else np.full(a.shape, np.nan),
    lambda a: np.full(a.shape, np.iinfo(a.dtype).min, a.dtype) if a.dtype.kind in "iu" else np.full(a.shape, np.inf),
    lambda a: a.astype({"i": ">i8", "f": ">f8"}.get(a.dtype.kind, a.dtype)),
    lambda a: np.asfortranarray(a),
    lambda a: np.zeros((2, 3, 4), np.float32),
    lambda a: np.array("[" * 100_000),
    lambda a: None,
]


def mutated(whole, generator):
    """A file that differs in one bit, in its length, in an array or in its JSON; checksums fit where arrays differ."""
    drawn = generator.integers(6)
    if drawn == 0:
        place = generator.integers(8 * len(whole))
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        return bytes(content)
    if drawn == 1:
        begin, end = np.sort(generator.integers(len(whole), size=2))
        return [whole[:begin], whole[:begin] + whole[end:], whole[:end] + whole[begin:]][generator.integers(3)]
    arrays = arrays_of(whole)
    if drawn < 4:
        name = list(arrays)[generator.integers(len(arrays))]
        arrays[name] = ARRAYS[generator.integers(len(ARRAYS))](arrays[name])
        return packed({name: array for name, array in arrays.items() if array is not None})
    name = next(name for name in ("header", "race", "sweep") if name in arrays)
    return packed({**arrays, name: json.dumps(other_json(json.loads(str(arrays[name])), generator))})


def fuzz(name, whole, reader, folder, seeds):
    """How many mutations of a file were named; the others could be read and looked at."""
    named = 0
    for seed in seeds:
        (folder / name).write_bytes(mutated(whole, np.random.default_rng(seed)))
        try:
            reader(folder / name)
        except ValueError as error:
            assert name in str(error), seed  # noqa: PT017  # or nothing is raised
            assert len(str(error)) < 1000, seed  # noqa: PT017
            named += 1
    return named


@pytest.mark.parametrize("name", KINDS_OF_FILES)
def test_mutations_are_named_or_do_no_harm(name, files, tmp_path):
    """Whatever is changed in a file, also where its checksums fit: an error of ours that names it, or a result that prints."""
    assert fuzz(name, *files[name], tmp_path, range(100)) >= 50


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS_OF_FILES)
def test_many_mutations_are_named_or_do_no_harm(name, files, tmp_path):
    """The same for thousands of mutations."""
    assert fuzz(name, *files[name], tmp_path, range(1000, 3000)) >= 1000


def header(shape, descr="<f4", version=(1, 0)):
    """A .npy file that claims a shape and a dtype, and has sixteen bytes of numbers."""
    content = io.BytesIO()
    claims = {"descr": descr, "fortran_order": False, "shape": shape}
    (np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0)(content, claims)
    return content.getvalue() + bytes(16)


def twice(whole):
    """An archive with two arrays of one name."""
    content = io.BytesIO(whole)
    with zipfile.ZipFile(content, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr(file.namelist()[0], npy(np.zeros(3)))
    return content.getvalue()


def overlapping(whole):
    """An archive of a thousand arrays that are all the same bytes of the file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("0.npy", npy(np.zeros(100_000)))
        for number in range(1000):
            entry = copy.copy(file.filelist[0])
            entry.filename = f"{number + 1}.npy"
            file.filelist.append(entry)
    return content.getvalue()


def compressed(whole):
    """An archive of 100 MB of zeros that takes 100 kB."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file, file.open("header.npy", "w") as member:
        member.write(header((25_000_000,))[:-16])
        for _ in range(100):
            member.write(bytes(1_000_000))
    return content.getvalue()


def pickled(whole):
    """An archive with an array of objects."""
    content = io.BytesIO()
    np.savez(content, header=np.array([pathlib.Path("x")], object))
    return content.getvalue()


def raw_archive(content):
    """A function that makes an archive with one array of these bytes."""
    return lambda whole: archive(dict.fromkeys(("header.npy", "race.npy", "sweep.npy"), content))


CRAFTED = {
    "two arrays of one name": (twice, "it holds an array twice"),
    "arrays that overlap": (overlapping, "its arrays are larger than the file"),
    "a compressed array": (compressed, "its 'header.npy' is compressed"),
    "a pickled array": (pickled, "its 'header.npy' holds object, not numbers"),
    "a huge shape": (raw_archive(header((10**12,))), "is not as long as its shape"),
    "a shape past every integer": (raw_archive(header((2**62, 2**62))), "is not as long as its shape"),
    "a negative shape": (raw_archive(header((-2, -2))), "is not as long as its shape"),
    "items of no bytes": (raw_archive(header((10**12,), "|V0")), "holds .*, not numbers"),
    "a huge item": (raw_archive(header((), "<U500000000")), "is not as long as its shape"),
    "fields": (raw_archive(header((2,), [("a", "<f4"), ("b", "|O")])), "holds .*, not numbers"),
    "dates": (raw_archive(header((2,), "<M8[s]")), "holds .*, not numbers"),
    "a header that is code": (
        raw_archive(b"\x93NUMPY\x01\x00\x10\x00__import__('os')"),
        "'header.npy' has a header that cannot be read",
    ),
    "a header too deep": (
        raw_archive(b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000),
        "'header.npy' has a header that cannot be read",
    ),
    "a newer version": (raw_archive(b"\x93NUMPY\x03\x00" + header((4,))[8:]), "'header.npy' has a header that cannot be read"),
    "what is not an array": (lambda whole: archive({"header.txt": "x"}), "it holds 'header.txt', which is not an array"),
    "no checksums": (lambda whole: archive({"header.npy": npy(np.zeros(3))}), "it lacks its checksums"),
    "a list of checksums": (lambda whole: archive({"sums.npy": npy(np.array("[]"))}), "checksums are those of other arrays"),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_files_that_claim_too_much_are_named(kind, files, tmp_path):
    """Time and memory are in proportion to the size of a file, whatever it says of itself, and no code in it is run."""
    make, words = CRAFTED[kind]
    for name, (whole, reader) in files.items():
        content = make(whole)
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        begun = time.process_time()
        with pytest.raises(ValueError, match=words) as raised:
            reader(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert name in str(raised.value)
        assert time.process_time() - begun < 2
        assert peak < 20_000_000 + 3 * len(content)
        (tmp_path / name).unlink()


def test_a_state_of_another_dtype_is_not_reinterpreted(tmp_path):
    """Bits of a float32 are not read as an int32 of the same size: the leaf is named, and so is bfloat16 for float16."""
    race = lrax.race(linear_learner(), regression(), lrax.Constant(PEAKS[:2]), rungs=2, batch_size=8, key=jax.random.key(0))
    state = {"count": jnp.arange(3), "half": jnp.ones(2, jnp.bfloat16)}
    dataclasses.replace(race, state=state).save(tmp_path / "race")
    assert RaceResult.load(tmp_path / "race", jax.tree.map(jnp.zeros_like, state)).state["half"].dtype == jnp.bfloat16
    for part, dtype in (("count", jnp.float32), ("half", jnp.float16), ("count", jnp.uint32)):
        other = {**state, part: state[part].astype(dtype)}
        with pytest.raises(
            ValueError, match=rf"RaceResult\.load: `state\['{part}'\]` must be of the shapes and dtypes that were saved"
        ):
            RaceResult.load(tmp_path / "race", other)
