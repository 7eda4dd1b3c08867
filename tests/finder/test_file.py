"""Results on disk: what is saved is read back, and what is damaged is named."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

import lrax
from lrax.finder._result import _plain
from lrax.training._storage import save
from problems import linear_learner, regression, same, squared_error
from results import curve, found_at

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers


GROUP_RUNS = lrax.finder.GroupRuns(np.ones((2, 2), np.float32), np.ones(2, np.float32), 50, {"weight": 4.0}, 40, 0.5, 0.1, 340)


@pytest.fixture(scope="module")
def found():
    """A result that has all parts."""
    with jax.numpy_dtype_promotion("standard"):
        judge = lrax.Evaluation(lambda state: -squared_error(state.params, regression(seed=1)), goal="max")
        whole = lrax.find_lr(linear_learner(optax.sgd), regression(), batch_size=16, key=jax.random.key(0), evaluation=judge)
        return dataclasses.replace(
            whole, groups={"weight": 4.0}, group_runs=GROUP_RUNS, left_out=3, ended=True, fault="batch 2 holds NaN"
        )


def test_a_result_is_saved_and_loaded(found, tmp_path):
    """A result read back from its file has the same numbers, says the same and can be plotted; nothing else is left."""
    found.save(tmp_path / "found.lrax")
    again = lrax.FinderResult.load(tmp_path / "found.lrax")
    assert str(again) == str(found)
    assert (again.peak, again.interval, again.steps_run) == (found.peak, found.interval, found.steps_run)
    assert (again.left_out, again.ended, again.fault) == (3, True, "batch 2 holds NaN")
    assert (again.explanation, again.schedule) == (found.explanation, found.schedule)
    parts = lambda one: [one.curves[0].losses, one.curves[0].evaluations, one.runs.losses, one.runs.scores]  # noqa: E731
    assert same(parts(again), parts(found))
    assert (again.groups, again.group_runs.tried) == (found.groups, found.group_runs.tried)
    assert again.curves[0].suggest(lrax.finder.valley) == found.curves[0].suggest(lrax.finder.valley)
    again.plot()
    assert [path.name for path in tmp_path.iterdir()] == ["found.lrax"]


def test_losses_that_are_not_finite_come_back(tmp_path):
    """NaN and both infinities are stored, and so is a curve without steps."""
    losses = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    curves = tuple(curve(losses[:n], lrax.finder.Reason.INTERRUPTED) for n in (4, 0))
    found_at(None, curves=curves, reason=lrax.finder.Reason.INTERRUPTED).save(tmp_path / "found.lrax")
    again = lrax.FinderResult.load(tmp_path / "found.lrax")
    np.testing.assert_array_equal(again.curves[0].losses, losses)
    assert again.curves[1].learning_rates.shape == (0,)
    again.plot()


def function_plan(count):
    """From 1 straight down to 0 over 100 steps."""
    return 1.0 - count / 100


class Halved(lrax.Schedule):
    """Half of its learning rate."""

    value: lrax.fields.Rate

    def rate(self, count):
        """Always the same."""
        return self.value / 2 + 0 * count


def test_a_plan_that_was_a_function_is_given_again(tmp_path):
    """Without its function, a loaded result has its peak; `schedule` and `rescale` name the fix, which works."""
    path = tmp_path / "found.lrax"
    made = found_at(0.1, plan=lrax.Function(function_plan), total_steps=100)
    made.save(path)
    again = lrax.FinderResult.load(path)
    assert (again.peak, str(again)) == (0.1, str(made))
    for name, use in (("schedule", lambda: again.schedule), ("rescale", lambda: again.rescale(lrax.Constant(1.0), 100))):
        with pytest.raises(
            ValueError, match=rf"^FinderResult\.{name}: the plan was the function function_plan, .*load\(path, schedule="
        ):
            use()
    whole = lrax.FinderResult.load(path, schedule=function_plan)
    assert whole.schedule == made.schedule
    assert whole.rescale(lrax.Constant(1.0), 100) == made.rescale(lrax.Constant(1.0), 100)


def test_a_plan_of_ones_own_class_is_loaded_with_it(tmp_path):
    """`custom_types` names the class, as for other results."""
    path = tmp_path / "found.lrax"
    made = found_at(0.1, plan=Halved(1.0), total_steps=100)
    made.save(path)
    with pytest.raises(ValueError, match="Halved"):
        lrax.FinderResult.load(path)
    assert lrax.FinderResult.load(path, custom_types=[Halved]).schedule == made.schedule


def test_another_plan_than_the_saved_one_is_refused(tmp_path):
    """The peak is that of the plan in the file; the same plan may be given."""
    path = tmp_path / "found.lrax"
    made = found_at(0.1, plan=lrax.Cosine(1.0, 0.0, 100), total_steps=100)
    made.save(path)
    assert lrax.FinderResult.load(path, schedule=lrax.Cosine(1.0, 0.0, 100)).schedule == made.schedule
    with pytest.raises(ValueError, match=r"load: `schedule` must be the plan in the file, got Linear.* that is Cosine"):
        lrax.FinderResult.load(path, schedule=lrax.Linear(1.0, 0.0, 100))


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("curves", [[], {}, None, [3]]),
        ("reason", ["bored", 3]),
        ("peak", ["x", float("nan"), -0.1, 0, True]),
        ("interval", [[0.1], [0.1, 0.2, 0.3], [0.2, 0.1], ["a", "b"], 0.1, [0.1, float("inf")]]),
        ("plan", [None, "cosine"]),
        ("total_steps", [-1, "many", None]),
        ("runs", [None, {}, {"peaks": np.ones(2)}]),
        ("groups", [[], {"head": 3}]),
        ("group_runs", [3, {"factors": np.ones((2, 2), np.float32)}]),
        ("left_out", [-1, "1", True]),
        ("ended", [0, None]),
        ("fault", [None, 3]),
    ],
)
def test_a_damaged_part_is_named(found, tmp_path, part, values):
    """A part that is missing or of another type is a ValueError that names the file."""
    path, whole = tmp_path / "found.lrax", _plain(found)
    missing = {name: value for name, value in whole.items() if name != part}
    for content in (missing, *({**whole, part: value} for value in values)):
        save("test", path, "FinderResult", content)
        with pytest.raises(ValueError, match=r"FinderResult\.load: `path` must be a file of a FinderResult") as caught:
            lrax.FinderResult.load(path)
        assert str(path) in str(caught.value)


def test_a_curve_of_another_shape_is_named(found, tmp_path):
    """The arrays of a curve have one length, and its reason is one that there is."""
    path, whole = tmp_path / "found.lrax", _plain(found)
    (ramp,) = whole["curves"]
    for change in (
        {"losses": np.ones(3)},
        {"evaluations": np.ones((2, 3))},
        {"reason_code": 99},
        {"goal": "less"},
        {"smoothed": "x"},
    ):
        save("test", path, "FinderResult", {**whole, "curves": [{**ramp, **change}]})
        with pytest.raises(ValueError, match=r"FinderResult\.load: `path` must be a file of a FinderResult"):
            lrax.FinderResult.load(path)


def test_other_files_and_paths_are_named(tmp_path):
    """What is not a file of a result is a ValueError that names it; a path that is not one is a TypeError."""
    path = tmp_path / "other.lrax"
    for content in (b"", b"x", b"[]", b'{"lrax": "SweepResult"}'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"FinderResult\.load: `path` must be a file of a FinderResult") as caught:
            lrax.FinderResult.load(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        lrax.FinderResult.load(tmp_path / "none.lrax")
    with pytest.raises(TypeError, match=r"FinderResult\.load: `path` must be a path, got 3"):
        lrax.FinderResult.load(3)
