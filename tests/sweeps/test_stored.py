import collections
import csv
import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.sweeps import RaceResult, SweepResult
from problems import linear_learner, regression
from small_sweep import PEAKS, run

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def race():
    """A small race and its learner."""
    learner = linear_learner()
    rates = lrax.Constant(np.float32([0.001, 0.01, 0.1, 3e38]))
    return lrax.race(learner, regression(), rates, rungs=(8, 8), batch_size=8, key=KEY), learner


def test_a_sweep_comes_back(tmp_path):
    """A sweep that was saved and loaded has the same numbers, table, rows and pictures."""
    result = run()
    result.save(tmp_path / "sweep")
    loaded = SweepResult.load(tmp_path / "sweep")
    for field in ("metrics", "scores", "diverged", "peaks"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(result, field))
    assert str(loaded) == str(result)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]
    assert loaded.best.runs == result.best.runs
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(*map(jax.tree.leaves, (loaded.schedules, result.schedules)), strict=True)
    )


Pair = collections.namedtuple("Pair", "first second")


def test_metrics_of_any_kind_come_back(tmp_path):
    """Containers, dtypes and keys come back; named tuples and other containers as dicts by field."""
    metrics = {
        "half": jnp.arange(4).astype(jnp.bfloat16),
        "keys": jax.random.split(KEY, 4),
        "list": [np.arange(4), (np.ones((4, 2)), None)],
        "named": Pair(np.arange(4.0), {}),
        "count": {3: np.array([True, False, True, False])},
    }
    SweepResult.create(lrax.Constant(PEAKS), metrics, lambda one: one["list"][0]).save(tmp_path / "sweep")
    loaded = SweepResult.load(tmp_path / "sweep").metrics
    assert loaded["half"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(jax.random.key_data(loaded["keys"]), jax.random.key_data(metrics["keys"]))
    np.testing.assert_array_equal(loaded["list"][1][0], np.ones((4, 2)))
    assert loaded["list"][1][1] is None
    assert isinstance(loaded["list"], list)
    assert isinstance(loaded["list"][1], tuple)
    np.testing.assert_array_equal(loaded["named"]["first"], np.arange(4.0))
    np.testing.assert_array_equal(loaded["count"][3], metrics["count"][3])


def test_metrics_in_containers_of_others_come_back_by_path(tmp_path):
    """What another library registered as a pytree is read without that library: as a dict of its leaves by path."""
    held = jax.tree_util.Partial(print, np.arange(4.0), last=np.ones(4))
    SweepResult.create(lrax.Constant(PEAKS), held, lambda one: jax.tree.leaves(one)[0]).save(tmp_path / "sweep")
    loaded = SweepResult.load(tmp_path / "sweep")
    np.testing.assert_array_equal(jax.tree.leaves(loaded.metrics)[0], np.arange(4.0))
    assert isinstance(loaded.metrics, dict)


def test_schedules_without_json_print_as_they_did(tmp_path):
    """Of a function the name is saved: it has its label and its seeds, and a call of it is an error that says why."""
    one, other = (lambda count, rate=rate: jnp.float32(rate) for rate in (0.1, 0.2))
    schedules = [one, other, one, optax.constant_schedule(0.3), lrax.Warmup(one, 3), lrax.Constant(0.1)]
    result = SweepResult.create(schedules, np.arange(6.0))
    result.save(tmp_path / "sweep")
    loaded = SweepResult.load(tmp_path / "sweep")
    assert [setting.runs for setting in loaded.settings] == [(0, 2), (1,), (3,), (4,), (5,)]
    assert repr(loaded.schedules[1]) == repr(result.schedules[1])
    assert [row["class"] for row in loaded.rows()] == [row["class"] for row in result.rows()]
    with pytest.raises(TypeError, match="only the name of this schedule was saved"):
        loaded.schedules[1](0)
    loaded.save(tmp_path / "again")
    assert str(SweepResult.load(tmp_path / "again")) == str(loaded)


class Own(lrax.Schedule):
    """A custom schedule."""

    value: lrax.fields.Rate

    def rate(self, count):
        return jnp.broadcast_to(self.value, count.shape)


def test_own_kinds_are_asked_for(tmp_path):
    """A custom schedule is given to `load`, and named if it is not."""
    SweepResult.create([Own(0.1), Own(0.2)], np.arange(2.0)).save(tmp_path / "sweep")
    assert isinstance(SweepResult.load(tmp_path / "sweep", custom_types=(Own,)).schedules[0], Own)
    with pytest.raises(ValueError, match=r"SweepResult\.load.*Own"):
        SweepResult.load(tmp_path / "sweep")


def test_metrics_that_are_not_finite_come_back(tmp_path):
    """NaN and inf in a metric that is not the score are the same from a folder and from a file, and so is who diverged."""

    def sparse(schedule):
        return {"loss": schedule(0) - 0.05, "m": jnp.array([jnp.nan, jnp.inf, -jnp.inf, 1.0]) * jnp.ones(4)}

    options = {"score": lambda metrics: jnp.log(metrics["loss"]), "folder": tmp_path / "sweep"}
    first, again = (lrax.run_sweep(sparse, lrax.Constant(PEAKS), **options) for _ in range(2))
    first.save(tmp_path / "file")
    for result in (first, again, SweepResult.load(tmp_path / "file")):
        np.testing.assert_array_equal(result.metrics["m"], np.float32([[np.nan, np.inf, -np.inf, 1]] * 4))
        np.testing.assert_array_equal(result.diverged, [True, True, False, False])  # log of what is not above 0
        assert str(result) == str(first)
        assert result.best.runs == (2,)
    assert "metrics['m'] is not finite at 3 of 4 steps" in str(first)


def test_what_is_not_a_schedule_class_is_named(tmp_path):
    """A mistake in `custom_types` is reported as such, and not as a damaged file."""
    SweepResult.create(lrax.Constant(PEAKS), np.arange(4.0)).save(tmp_path / "sweep")
    with pytest.raises(TypeError, match=r"SweepResult\.load: `\w+` must be a list of subclasses of lrax\.Schedule, got 3"):
        SweepResult.load(tmp_path / "sweep", custom_types=(3,))


def test_a_race_comes_back(race, tmp_path):
    """A race has the same numbers, table and picture; its state comes back into one like it."""
    result, learner = race
    result.save(tmp_path / "race.npz")
    loaded = RaceResult.load(tmp_path / "race.npz")
    for field in ("losses", "end_losses", "rungs", "peaks", "order"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(result, field))
    assert (str(loaded), loaded.ends, loaded.ended, loaded.winner) == (str(result), result.ends, result.ended, result.winner)
    assert loaded.state is None
    state = RaceResult.load(tmp_path / "race.npz", learner.state).state
    assert jax.tree.structure(state) == jax.tree.structure(result.state)
    jax.tree.map(np.testing.assert_array_equal, state, result.state)


@pytest.mark.parametrize("state", [{"weight": jnp.zeros(3)}, jnp.zeros(3)])
def test_a_state_that_does_not_fit_is_named(race, tmp_path, state):
    """A state of another structure is an error that says which one is wanted."""
    race[0].save(tmp_path / "race")
    with pytest.raises(ValueError, match=r"RaceResult\.load: `state` must be a state like the one that was saved"):
        RaceResult.load(tmp_path / "race", state)


def test_a_state_of_another_shape_is_named(race, tmp_path):
    """A state of other shapes is an error that names the leaf."""
    race[0].save(tmp_path / "race")
    other = jax.tree.map(lambda leaf: jnp.zeros((2, *leaf.shape), leaf.dtype), race[1].state)
    with pytest.raises(
        ValueError,
        match=r"RaceResult\.load: `state` must be a state like the one .* its \.params\['bias'\] is float32\[\]",
    ):
        RaceResult.load(tmp_path / "race", other)


def test_states_with_keys_come_back(race, tmp_path):
    """Random keys and bfloat16 in a state come back."""
    state = {"key": KEY, "half": jnp.ones(3, jnp.bfloat16)}
    dataclasses.replace(race[0], state=state).save(tmp_path / "race")
    like = {"key": jax.random.key(7), "half": jnp.zeros(3, jnp.bfloat16)}
    loaded = RaceResult.load(tmp_path / "race", like).state
    np.testing.assert_array_equal(jax.random.key_data(loaded["key"]), jax.random.key_data(KEY))
    assert loaded["half"].dtype == jnp.bfloat16


def test_damaged_files_are_named(race, tmp_path):
    """Whichever bit of a file is flipped: an error that names the file, or the right numbers; the same for files cut off."""
    run().save(tmp_path / "sweep")
    race[0].save(tmp_path / "race")
    generator = np.random.default_rng(0)
    for name, load, right in (("sweep", SweepResult.load, run().peaks), ("race", RaceResult.load, race[0].peaks)):
        whole = (tmp_path / name).read_bytes()
        damaged = [whole[:cut] for cut in (0, 10, -1)]
        for place in generator.integers(0, 8 * len(whole), 60):
            content = bytearray(whole)
            content[place // 8] ^= 1 << (place % 8)
            damaged.append(bytes(content))
        named = 0
        for content in damaged:
            (tmp_path / "damaged").write_bytes(content)
            try:
                found = load(tmp_path / "damaged")
            except ValueError as error:
                assert "damaged" in str(error)  # noqa: PT017  # or nothing
                named += 1
            else:
                np.testing.assert_array_equal(found.peaks, right)
        assert named > 30


def test_files_of_other_results_are_named(race, tmp_path):
    """A race is not a sweep, and a file of a newer format says so."""
    race[0].save(tmp_path / "race")
    with pytest.raises(
        ValueError, match=r"SweepResult\.load: `path` must be a file of a SweepResult, got .*: it is a RaceResult"
    ):
        SweepResult.load(tmp_path / "race")
    with pytest.raises(FileNotFoundError, match="missing"):
        RaceResult.load(tmp_path / "missing")


def test_rows_and_csv(race, tmp_path):
    """Rows are plain values, one a run, with those metrics that are numbers; a file of them can be read back."""
    metrics = {"loss": np.arange(4.0), "score": np.arange(4), "curve": np.ones((4, 3)), "half": jnp.ones(4, jnp.bfloat16)}
    result = SweepResult.create(lrax.Constant(PEAKS), metrics, lambda one: one["loss"])
    rows = result.rows()
    assert list(rows[1]) == [
        *("run", "setting", "place", "class", "schedule", "peak", "schedule.value", "score", "diverged"),
        *("half", "loss", "metrics.score"),
    ]
    assert (rows[1]["peak"], rows[1]["loss"], rows[1]["half"], rows[1]["metrics.score"]) == (0.05, 1.0, 1.0, 1)
    assert all(isinstance(value, int | float | str) for row in rows for value in row.values())
    assert [row["setting"] for row in run().rows()] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    keys = SweepResult.create(
        lrax.Constant(PEAKS), {"key": jax.random.split(KEY, 4), "a": {"b": np.ones(4)}}, lambda one: one["a"]["b"]
    )
    assert list(keys.rows()[0])[9:] == ["a.b"]
    result.to_csv(tmp_path / "sweep.csv")
    with (tmp_path / "sweep.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["peak"]) for row in read] == [row["peak"] for row in rows]
    rows = race[0].rows()
    assert [row["place"] for row in sorted(rows, key=lambda row: row["end_loss"])] == [0, 1, 2, 3]
    assert [row["diverged"] for row in rows] == [False, False, False, True]
    moved = dataclasses.replace(race[0], end_losses=np.float32([3, 1, 2, np.inf]), rungs=np.ones(4, np.int32))
    assert [row["place"] for row in moved.rows()] == [2, 0, 1, 3]
    race[0].to_csv(tmp_path / "race.csv")
    with pytest.raises(OSError, match=r"RaceResult\.to_csv: `path` could not be written: No such file"):
        race[0].to_csv(tmp_path / "nowhere" / "race.csv")


def test_rows_have_the_fields_and_the_other_arguments():
    """Each field is a column, also of schedules inside others; a class without it, and all of an absent field, have None."""
    schedules = [
        lrax.warmup_cosine(0.25, warmup_steps=0.1, total_steps=100),
        lrax.Warmup(lrax.Cosine(0.5, 0.0, 90), 10),
        lrax.Sequence(lrax.Hold(0.5, 3), lrax.MultiStep(0.5, 0.1, [4])),
    ]
    others = np.arange(3), {"decay": np.float32([0.1, 0.2, 0.3]), "vector": np.ones((3, 2))}

    def train(schedule, seed, other):
        return {"loss": jnp.where(seed == 1, jnp.inf, schedule(0)), "decay": other["decay"]}

    result = lrax.run_sweep(train, schedules, *others, score=lambda one: one["loss"])
    rows = result.rows()
    assert len({tuple(row) for row in rows}) == 1
    fields = [{name: value for name, value in row.items() if "schedule." in name and value is not None} for row in rows]
    first = {"peak": 0.25, "warmup_steps": 0.1, "total_steps": 100, "end": 0.0}
    inner = {
        "schedule.start": 0.5,
        "schedule.end": 0.0,
        "schedule.steps": 90,
        "warmup_steps": 10,
        "start": 0.0,
        "mode": "linear",
    }
    assert fields[:2] == [{f"schedule.{name}": value for name, value in found.items()} for found in (first, inner)]
    assert fields[2]["schedule.schedules.0.steps"] == 3
    assert [(row["others.0"], row["others.1.decay"]) for row in rows] == [(0, 0.1), (1, 0.2), (2, 0.3)]
    assert [row["place"] for row in rows] == [0, 2, 1]
    assert [row["decay"] for row in rows] == [float(np.float32(decay)) for decay in (0.1, 0.2, 0.3)]


def test_frames_are_the_rows(race, tmp_path):
    """A frame has a column for each part of the rows, with the dtypes of the numbers, whole numbers with holes too."""
    pandas = pytest.importorskip("pandas")
    schedules = [lrax.Constant(0.1), lrax.Cosine(0.2, 0.0, 9), lrax.Constant(0.3)]

    def train(schedule, seed):
        if seed == 2:
            raise OSError("away")
        return {"loss": 1.0, "good": True}

    result = lrax.run_sweep(train, schedules, np.arange(3), score=lambda one: one["loss"], traced=False)
    frame = result.to_frame()
    assert list(frame) == list(result.rows()[0])
    kinds = {"run": "int64", "schedule.steps": "Int64", "schedule.value": "float64", "others.0": "int64", "diverged": "bool"}
    assert {name: str(frame.dtypes[name]) for name in kinds} == kinds
    assert frame["schedule.steps"].tolist() == [pandas.NA, 9, pandas.NA]
    assert frame["error"].isna().tolist() == [True, True, False]
    assert frame["error"][2].startswith("OSError: away")
    part = lrax.run_sweep(
        train, schedules, np.arange(3), score=lambda one: one["loss"], traced=False, folder=tmp_path / "parts", part=(1, 2)
    )
    assert part.to_frame()["others.0"].tolist() == [1]
    result.save(tmp_path / "sweep")
    pandas.testing.assert_frame_equal(SweepResult.load(tmp_path / "sweep").to_frame(), frame)
    ranked = race[0].to_frame()
    assert str(ranked.dtypes["diverged"]) == "bool"
    assert ranked.sort_values("place")["run"].tolist() == race[0].order.tolist()


def test_rows_of_a_race_in_python_have_their_steps():
    """In a race of trainers the place goes by the steps first, as in the table."""

    def trainer(schedule, report, until, state):
        report(until - 1, {"loss": float(schedule(0))})

    schedules = [lrax.Constant(peak) for peak in (0.3, 0.1, 0.2, 0.4)]
    rows = lrax.run_sweep(trainer, schedules, traced=False, rungs=(2, 2)).rows()
    assert [row["steps"] for row in rows] == [2, 4, 4, 2]
    assert [row["place"] for row in rows] == [2, 0, 1, 3]


def test_without_pandas_a_frame_is_an_error(race, monkeypatch):
    """Without pandas the error has the command that installs it, and what returns the same without it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"RaceResult\.to_frame needs pandas: python -m pip install pandas; `rows` returns"):
        race[0].to_frame()


def test_one_metric_has_a_name():
    """Metrics that are one array of numbers are a column of their own."""
    assert SweepResult.create(lrax.Constant(PEAKS), np.arange(4.0)).rows()[2]["metric"] == 2.0
