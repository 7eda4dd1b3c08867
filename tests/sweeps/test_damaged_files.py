"""Files of sweeps and races that are damaged, foreign or hostile: named, or harmless."""

import copy
import dataclasses
import hashlib
import json
import pathlib
import pickle
import time
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.schedules._serialise import Reader
from lrax.sweeps import RaceResult, SweepResult, _race, _sweep
from lrax.training import _storage
from problems import linear_learner, regression
from small_sweep import PEAKS

NAME = "runs-00000-00003.lrax"


def typed(schedule):
    """Metrics of several dtypes."""
    return {"loss": schedule(jnp.arange(3)), "half": schedule(0).astype(jnp.bfloat16)}


def sweep(folder):
    """A sweep of four runs in one group."""
    execution = lrax.Execution(max_parallel=4)
    return lrax.run_sweep(typed, lrax.Constant(PEAKS), folder=folder, execution=execution, score=lambda m: m["loss"][0])


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


DAMAGED = rf"run_sweep: `folder` must hold whole files of a sweep, got .*{NAME}: .+; remove it"


@pytest.mark.parametrize("seed", range(2))
def test_flipped_bits_are_named(whole, tmp_path, seed):
    """Whichever bit of a file is flipped: an error that names the file."""
    for place in np.random.default_rng(seed).integers(0, 8 * len(whole), 15):
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        with pytest.raises(ValueError, match=DAMAGED):
            load(tmp_path, bytes(content))


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_cut_files_are_named(whole, tmp_path, length):
    """A file that was cut off is an error that names it."""
    with pytest.raises(ValueError, match=DAMAGED):
        load(tmp_path, whole[:length])


def sealed(header, payload=b""):
    """The bytes of a file with this header and these bytes of arrays, whose digest fits."""
    body = (header if isinstance(header, bytes) else json.dumps(header).encode()) + b"\n" + payload
    return body + hashlib.blake2b(body, digest_size=_storage.DIGEST).digest()


def opened(whole):
    """The header and the bytes of the arrays of a file."""
    line, _, rest = whole.partition(b"\n")
    return json.loads(line), rest[: -_storage.DIGEST]


def content_of(whole):
    """The kind of a file, and its content."""
    kind = opened(whole)[0]["lrax"]
    return kind, _storage.unpacked(kind, whole, Reader("test", "path", ()))


def changed(whole, **parts):
    """The file of a sweep with other parts, as if it had been written with them; None leaves one out."""
    kind, content = content_of(whole)
    metrics = {**content["content"]["metrics"], **{name: part for name, part in parts.items() if "[" in name}}
    inner = {**content["content"], **{name: part for name, part in parts.items() if "[" not in name}}
    inner["metrics"] = {name: part for name, part in metrics.items() if part is not None}
    return _storage.packed(kind, {**content, "content": {name: part for name, part in inner.items() if part is not None}})


FOREIGN = {
    "text": lambda whole: b"not a file of lrax",
    "a pickle": lambda whole: pickle.dumps({"lrax": "sweep"}),
    "no JSON": lambda whole: sealed(b'{"lrax": "'),
    "JSON that is a list": lambda whole: sealed([1]),
    "JSON too deep": lambda whole: sealed(b'{"lrax": "sweep", "content": ' + b"[" * 100_000),
    "another kind": lambda whole: sealed({"lrax": "race", "format": 1, "content": {}}),
    "a newer format": lambda whole: sealed({"lrax": "sweep", "format": 2, "content": {}}),
    "negative runs": lambda whole: changed(whole, runs=np.arange(-4, 0)),
    "runs out of range": lambda whole: changed(whole, runs=np.arange(1, 5)),
    "runs twice": lambda whole: changed(whole, runs=np.zeros(4, int)),
    "fractions of runs": lambda whole: changed(whole, runs=np.arange(4.0)),
    "runs of two axes": lambda whole: changed(whole, runs=np.arange(4)[None]),
    "fewer runs": lambda whole: changed(whole, runs=np.arange(3)),
    "empty runs": lambda whole: changed(whole, runs=np.arange(0)),
    "no runs": lambda whole: changed(whole, runs=None),
    "a metric that is missing": lambda whole: changed(whole, **{"['loss']": None}),
    "a metric of another shape": lambda whole: changed(whole, **{"['loss']": np.zeros((4, 2), np.float32)}),
    "a metric of another dtype": lambda whole: changed(whole, **{"['loss']": np.zeros((4, 3), np.int32)}),
    "a metric of float16 for bfloat16": lambda whole: changed(whole, **{"['half']": np.zeros(4, np.float16)}),
    "a metric that broadcasts": lambda whole: changed(whole, **{"['loss']": np.zeros((4, 1), np.float32)}),
    "a metric that is text": lambda whole: changed(whole, **{"['loss']": "text"}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named(whole, tmp_path, kind):
    """A file with the name of a file of a sweep that is not one is an error that names it, and stays where it is."""
    with pytest.raises(ValueError, match=DAMAGED):
        load(tmp_path, FOREIGN[kind](whole))
    assert (tmp_path / NAME).exists()


def test_what_cannot_be_read_is_named(tmp_path):
    """A folder of the name of a file is named as well."""
    (tmp_path / NAME).mkdir()
    with pytest.raises(ValueError, match=DAMAGED):
        sweep(tmp_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """By kind of file, its bytes, and what reads it from a path and looks at what it found."""
    folder = tmp_path_factory.mktemp("files")
    with jax.numpy_dtype_promotion("standard"), pytest.MonkeyPatch.context() as patch:
        begun, first, stored = [], _race._State.first, []
        patch.setattr(_race._State, "first", lambda *arguments: begun.append(first(*arguments)) or begun[-1])
        create = _storage.Folder.create
        patch.setattr(_storage.Folder, "create", lambda *arguments: stored.append(create(*arguments)) or stored[-1])
        rates = [lrax.Constant(0.01), lrax.Cosine(0.1, 0.0, 8), lrax.Constant(0.3)]
        evaluation = lrax.Evaluation(lambda state: state.params["bias"], every=1)
        learner, options = linear_learner(), {"batch_size": 8, "key": jax.random.key(0), "evaluation": evaluation}
        race = lrax.race(learner, regression(), rates, rungs=(2, 2), folder=folder, **options)
        race.save(folder / "race_result")
        metrics = {"loss": np.ones(4), "more": [np.ones((4, 2), np.float32).astype(jnp.bfloat16), (None, np.arange(4))]}
        metrics["key"] = jax.random.split(jax.random.key(0), 4)
        schedules = [
            lrax.Constant(0.1),
            lrax.wsd(0.1, warmup_steps=1, cooldown_steps=2, total_steps=9),
            lrax.MultiStep(0.1, 0.5, [3, 4]),
            lambda count: jnp.float32(1),
        ]
        SweepResult.create(schedules, metrics, lambda one: one["loss"]).save(folder / "sweep_result")
        programs, load = [], _sweep._load
        patch.setattr(_sweep, "_load", lambda folder, program: programs.append(program) or load(folder, program))
        sweep(folder)
    race_folder, sweep_folder = stored

    def read_folder(path):
        _sweep._load(dataclasses.replace(sweep_folder, path=path.parent), programs[0])

    def read_race_folder(path):
        there = dataclasses.replace(race_folder, path=path.parent)
        (found,) = there.load(path.name, lambda content: _race._read(content, begun[0]))
        assert set(found.going) <= {0, 1, 2}

    def read_race(path):
        found = RaceResult.load(path, learner.state)
        return str(found), found.rows(), found.schedule

    def read_sweep(path):
        found = SweepResult.load(path)
        return str(found), found.rows(), found.best, found.margin

    readers = {NAME: read_folder, "race.lrax": read_race_folder, "race_result": read_race, "sweep_result": read_sweep}
    return {name: ((folder / name).read_bytes(), reader) for name, reader in readers.items()}


FILES = [NAME, "race.lrax", "race_result", "sweep_result"]
DEEP = json.loads("[" * 900 + "]" * 900)
HOSTILE = [10**400, -(10**400), 2**63, -1, 0, 1.5, float("nan"), float("inf"), True, None, "", "x", "9" * 5000]
HOSTILE += [
    [],
    [[1]],
    {},
    DEEP,
    {"array": "float32", "shape": [1]},
    {"tuple": []},
    {"schedule": "{}"},
    {"name": "f", "number": 1},
]


def places(tree, path=()):
    """The paths of all parts of nested dicts, lists and tuples."""
    yield path
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
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
    lambda a: a.astype(np.float64) if a.dtype.kind in "iufb" else a.astype(np.float32),
    lambda a: a.astype(np.complex64) if a.dtype.kind in "iufb" else a,
    lambda a: a.astype(np.int32) if a.dtype.kind in "fb" else a.astype(np.uint64) if a.dtype.kind in "iu" else a,
    lambda a: np.full(a.shape, np.iinfo(a.dtype).max, a.dtype) if a.dtype.kind in "iu" else np.full(a.shape, np.nan),
    lambda a: np.full(a.shape, np.iinfo(a.dtype).min, a.dtype) if a.dtype.kind in "iu" else np.full(a.shape, np.inf),
    lambda a: np.zeros((2, 3, 4), np.float32),
    lambda a: "text",
    lambda a: None,
]


def other_content(whole, generator):
    """A file in which one array is another."""
    kind, content = content_of(whole)

    def mapped(tree, path, change):
        if not path:
            return change(tree)
        parts = dict(tree) if isinstance(tree, dict) else list(tree)
        parts[path[0]] = mapped(parts[path[0]], path[1:], change)
        return type(tree)(parts)

    def at(tree, path):
        return tree if not path else at(tree[path[0]], path[1:])

    arrays = [path for path in places(content) if isinstance(at(content, path), np.ndarray)]
    with np.errstate(all="ignore"):
        return _storage.packed(kind, mapped(content, arrays[generator.integers(len(arrays))], generator.choice(ARRAYS)))


def mutated(whole, generator):
    """A file that differs in one bit, in its length, in its JSON, in an array, or in bytes; often with a digest that fits."""
    drawn = generator.integers(6)
    if drawn == 0:
        begin, end = np.sort(generator.integers(len(whole), size=2))
        return [whole[:begin], whole[:begin] + whole[end:], whole[:end] + whole[begin:]][generator.integers(3)]
    if drawn == 1:
        header, payload = opened(whole)
        payload = bytearray(payload)
        for place in generator.integers(8 * len(payload), size=3):
            payload[place // 8] ^= 1 << (place % 8)
        return sealed(header, bytes(payload))
    if drawn < 4:
        return other_content(whole, generator)
    header, payload = opened(whole)
    return sealed(other_json(header, generator), payload)


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


@pytest.mark.parametrize("name", FILES)
def test_mutations_are_named_or_do_no_harm(name, files, tmp_path):
    """Whatever is changed in a file, also where its digest fits: an error of ours that names it, or a result that prints."""
    assert fuzz(name, *files[name], tmp_path, range(40)) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_many_mutations_are_named_or_do_no_harm(name, files, tmp_path):
    """The same for thousands of mutations."""
    assert fuzz(name, *files[name], tmp_path, range(1000, 3000)) >= 1000


def array(dtype="float32", shape=(4,)):
    """A header whose content describes one array."""
    return lambda kind: sealed(
        {"lrax": kind, "format": 1, "content": {"dict": [["x", {"array": dtype, "shape": shape}]]}}, bytes(16)
    )


CRAFTED = {
    "a huge shape": (array(shape=[10**12]), "longer than the file"),
    "a shape past every integer": (array(shape=[2**62, 2**62]), "longer than the file"),
    "a shape of no integers": (array(shape=[10**400]), "not made of lengths"),
    "a shape of many axes": (array(shape=[1] * 10**5), "not made of lengths"),
    "a negative shape": (array(shape=[-2, -2]), "not made of lengths"),
    "fewer bytes than there are": (array(shape=[3]), "not those that it describes"),
    "objects": (array("object"), "'object', not numbers"),
    "text": (array("str"), "'str', not numbers"),
    "dates": (array("datetime64[s]"), "not numbers"),
    "fields": (array("f4,f4"), "not numbers"),
    "items of no bytes": (array("void"), "not numbers"),
    "an unknown key": (
        lambda kind: sealed(
            {"lrax": kind, "format": 1, "content": {"dict": [["x", {"array": "uint32", "shape": [2], "key": "x"}]]}}, bytes(8)
        ),
        ".",
    ),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_files_that_claim_too_much_are_named(kind, files, tmp_path):
    """Time and memory are in proportion to the size of a file, whatever it says of itself, and no code in it is run."""
    make, words = CRAFTED[kind]
    for name, (whole, reader) in files.items():
        content = make(opened(whole)[0]["lrax"])
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
        with pytest.raises(ValueError, match=rf"RaceResult\.load: `state` must be .* its \['{part}'\] is"):
            RaceResult.load(tmp_path / "race", other)


def test_no_code_is_run(tmp_path):
    """A pickle in place of a file is refused, and not loaded."""

    class Harmful:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "harmed",)

    (tmp_path / NAME).write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match=DAMAGED):
        sweep(tmp_path)
    assert not (tmp_path / "harmed").exists()
