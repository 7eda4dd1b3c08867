"""A search of shapes finds the best shape, each judged at its own best rate, and reports what fresh seeds say."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest

import lrax
from lrax.sweeps import Tried, grid_shapes, halving_shapes, random_shapes, search_shapes
from lrax.sweeps._proposals import arguments_of
from lrax.sweeps._shapes_result import Standing

STEPS = 40
RATES = [0.05, 0.1, 0.2]


def train(schedule: Any, key: jax.Array) -> jax.Array:
    """The expected loss of a noisy parabola, which is exact, with a little noise for the seed."""

    def update(moments: Any, count: jax.Array) -> Any:
        mean, variance = moments
        rate = schedule(count)
        return ((1 - rate) * mean, (1 - rate) ** 2 * variance + rate**2), None

    (mean, variance), _ = jax.lax.scan(update, (jnp.float32(3), jnp.float32(0)), jnp.arange(STEPS))
    return (mean**2 + variance) * (1 + 0.01 * jax.random.normal(key))


def shape(cooldown: Any) -> lrax.Schedule:
    return lrax.wsd(7.0, STEPS, 0, cooldown)  # the height does not matter


@pytest.fixture(scope="module")
def found() -> Any:
    beside = {"constant": lrax.Constant(1.0), "linear": lrax.Linear(1.0, 0.0, STEPS)}
    key = jax.random.key(0)
    return search_shapes(
        train, shape, {"cooldown": (1, 39)}, RATES, key=key, propose=grid_shapes(9), rungs=(1, 2), beside=beside
    )


def test_the_best_shape_is_found(found: Any) -> None:
    """Among the cool-downs of a noisy parabola, the one that a fine grid of rates and lengths has as the best."""
    key = jax.random.key(1)
    losses = jax.jit(jax.vmap(lambda c, h: train(lrax.Scale(shape(c), h / 7.0), key)))
    cooldowns, heights = np.meshgrid(found.arguments["cooldown"], np.geomspace(0.05, 0.5, 60), indexing="ij")
    exact = np.asarray(losses(cooldowns.ravel(), heights.ravel().astype(np.float32))).reshape(cooldowns.shape)
    best = int(exact.min(axis=1).argmin())
    assert abs(found.winner - best) <= 1  # neighbours differ by less than their noise
    np.testing.assert_allclose(found.schedule(0), heights[found.winner][exact[found.winner].argmin()], rtol=0.15)
    np.testing.assert_allclose(found.scores[found.winner], exact[found.winner].min(), rtol=0.03)
    assert found.schedule.length == STEPS


def test_each_is_judged_at_its_own_best_rate(found: Any) -> None:
    """The rate of a constant is below that of a straight fall, and both are finer than the rates that were given."""
    assert found.beside["constant"].peak < 0.7 * found.beside["linear"].peak
    assert len(found.beside["linear"].peaks) == len(RATES) + 4  # two rungs, each with two half-way
    assert not found.standings[found.winner].at_end


def test_it_tells_how_far_ahead(found: Any) -> None:
    """The table, the margin and the picture are those of fresh seeds."""
    ahead = found.ahead("constant")
    assert ahead.ahead > 0.3 * found.fresh["best"].mean()
    assert ahead.ahead > 2 * ahead.error
    assert abs(found.ahead("linear").ahead) < 0.1 * found.fresh["best"].mean()
    text = str(found)
    assert "with 8 fresh seeds" in text
    assert f"{found.runs} runs in all" in text
    assert text.count("\n*") == 1
    mpl.use("Agg")
    labels = [line.get_label() for line in found.plot().get_lines()]
    assert {"best", "constant", "linear"} <= set(labels)
    assert "<table>" in found._repr_html_()


def test_fresh_seeds_chose_nothing() -> None:
    """No score of the final comparison was among those that chose, all see the same seeds, and one program trains them all."""
    traces = []

    def luck(schedule: Any, key: jax.Array) -> jax.Array:
        traces.append(schedule)
        return jax.random.uniform(key) + 0 * schedule(0)

    result = search_shapes(
        luck, shape, {"cooldown": (1, 39)}, [0.1], key=jax.random.key(0), propose=4, rungs=(2, 2), beside={"one": shape(3)}
    )
    before = {score for standing in result.standings for score in standing.scores.ravel()}
    assert not before & set(result.fresh["best"])
    np.testing.assert_array_equal(result.fresh["best"], result.fresh["one"])
    assert result.ahead("one") == (0, 0)
    assert len(traces) == 1


def test_shapes_that_diverge_are_last() -> None:
    """A shape that diverges at every rate does not win, and the table says so."""
    fails = lambda schedule, key: jnp.where(schedule(0) > schedule(STEPS - 1), jnp.nan, 1.0) + 0 * jax.random.uniform(key)  # noqa: E731
    slope = lambda end: lrax.Linear(1.0, end, STEPS)  # noqa: E731
    result = search_shapes(
        fails, slope, {"end": [0.5, 1.0]}, [0.1], key=jax.random.key(0), propose=grid_shapes(2), rungs=(1,), fresh=2
    )
    assert result.winner == 1
    assert np.isinf(result.scores[0])
    assert "diverged" in str(result)


def test_a_shape_diverges_by_its_score_alone() -> None:
    """A metric that is not the score may be NaN; a curve that is measured at every other step has its end as the score."""

    def hollow(schedule: Any, key: jax.Array) -> Any:
        return {"loss": schedule(STEPS - 1) + jax.random.uniform(key), "return": jnp.full(3, jnp.nan)}

    def sparse(schedule: Any, key: jax.Array) -> Any:
        loss = schedule(STEPS - 1) + jax.random.uniform(key)
        return jnp.stack([loss, jnp.nan, loss, jnp.nan])

    options = {"key": jax.random.key(0), "propose": grid_shapes(2), "rungs": (1,), "fresh": 2}
    slope = lambda end: lrax.Linear(1.0, end, STEPS)  # noqa: E731
    found = search_shapes(hollow, slope, {"end": [0.5, 1.0]}, [0.1], score=lambda metrics: metrics["loss"], **options)
    assert np.isfinite(found.scores).all()
    again = search_shapes(sparse, slope, {"end": [0.5, 1.0]}, [0.1], **options)
    np.testing.assert_allclose(again.scores, found.scores, rtol=1e-6)


def test_proposals() -> None:
    """Random ones come once, a grid has its ends, halving goes to where scores are low, and the cube is never left."""
    nothing = Tried(np.zeros((0, 3)), np.zeros(0))
    key = jax.random.key(0)
    first = random_shapes(50)(key, 3, nothing)
    assert first.shape == (50, 3)
    assert random_shapes(50)(key, 3, Tried(first, np.zeros(50))) is None
    assert len(np.unique(grid_shapes(3)(key, 3, nothing), axis=0)) == 27
    halving, points = halving_shapes(32, rounds=4), np.zeros((0, 3))
    means = []
    while (
        more := halving(jax.random.fold_in(key, len(points)), 3, Tried(points, np.abs(points - 0.8).sum(axis=1)))
    ) is not None:
        assert ((more >= 0) & (more <= 1)).all()
        points = np.concatenate([points, more])
        means.append(np.abs(more - 0.8).sum(axis=1).mean())
    assert len(points) == 32 + 16 + 8 + 4
    assert means[3] < means[2] < means[1] < means[0]


def test_places_in_a_range_are_equally_likely() -> None:
    """Whole numbers and choices have equal parts of the axis, a range has its ends, a grid of one is the middle."""
    points = np.linspace(0, 1, 4001)[:, None]
    for place, want in (((3, 6), [3, 4, 5, 6]), ([9, 2, 7, 5], [9, 2, 7, 5])):
        values = arguments_of({"x": place}, points)["x"]
        assert [abs(int((values == one).sum()) - 1000) <= 1 for one in want] == [True] * 4
    np.testing.assert_allclose(arguments_of({"x": (0.5, 2.0)}, points[[0, 2000, 4000]])["x"], [0.5, 1.25, 2.0])
    np.testing.assert_array_equal(grid_shapes(1)(jax.random.key(0), 2, Tried(np.zeros((0, 2)), np.zeros(0))), [[0.5, 0.5]])


def standing(scores: Any) -> Standing:
    """A schedule that was tried at peaks 1, 4 and 16."""
    return Standing(np.ones(3, np.float32), 1.0, np.array([1.0, 4.0, 16.0]), np.array(scores, float))


def test_peaks_are_compared_by_all_of_their_seeds() -> None:
    """A peak with fewer seeds than another is not the best; new peaks are half-way to the neighbours, or beyond the end."""
    nan = np.nan
    one = standing([[0.0, nan], [2.0, 4.0], [3.0, 4.0]])
    np.testing.assert_array_equal(one.means, [np.inf, 3.0, 3.5])
    assert (one.best, one.seeds, one.at_end, one.near()) == (1, 2, False, [0, 1, 2])
    assert one.refine() == [1, 3]
    np.testing.assert_allclose(one.peaks, [1, 2, 4, 8, 16])
    assert one.near() == [1, 2, 3]
    low, high = standing([[1.0], [2.0], [3.0]]), standing([[3.0], [2.0], [1.0]])
    assert low.at_end
    assert high.at_end
    assert (low.refine(), high.refine()) == ([0, 2], [2, 4])
    np.testing.assert_allclose((low.peaks, high.peaks), ([0.25, 1, 2, 4, 16], [1, 4, 8, 16, 64]))


def test_the_order_is_by_seeds_and_the_error_that_of_a_mean(found: Any) -> None:
    """Shapes that came through more rungs are first, then those with lower scores; errors are of n - 1 degrees of freedom."""
    nan = np.nan
    scores = ([[1.0, nan]] * 3, [[5.0, 5.0]] * 3, [[2.0, nan]] * 3, [[4.0, 4.0]] * 3)
    np.testing.assert_array_equal(dataclasses.replace(found, standings=tuple(map(standing, scores))).order, [3, 1, 0, 2])
    apart = found.fresh["constant"] - found.fresh["best"]
    np.testing.assert_allclose(found.ahead("constant").error, np.std(apart, ddof=1) / np.sqrt(8))


def test_halving_comes_closer_by_halves() -> None:
    """Each round proposes two points around each of the best, up to 1/4, then 1/8, then 1/16 away on each axis."""
    halving, key = halving_shapes(64, rounds=4), jax.random.key(3)
    points = halving(key, 2, Tried(np.zeros((0, 2)), np.zeros(0)))
    for done, away in enumerate([1 / 4, 1 / 8, 1 / 16], 1):
        scores = np.abs(points - 0.5).sum(axis=1)
        more = halving(jax.random.fold_in(key, done), 2, Tried(points, scores))
        assert len(more) == 64 >> done
        best = points[np.argsort(scores, kind="stable")[: len(more) // 2]]
        apart = np.abs(more - np.concatenate([best, best])).max(axis=0)
        assert (apart <= away).all()
        assert (apart > 0.6 * away).all()
        points = np.concatenate([points, more])


def test_mistakes_are_named() -> None:
    """Spaces, rates, shapes and proposals that cannot be used are errors of ours."""
    search = functools.partial(search_shapes, train, shape, key=jax.random.key(0), rungs=(1,))
    for space, rates, message in (
        ({}, RATES, r"search_shapes: `space` must be a dict"),
        ({"cooldown": (3, 1)}, RATES, r"`space\['cooldown'\]` must be \(low, high\) or a list of numbers, got \(3, 1\)"),
        ({"cooldown": (1, 39)}, [0.2, 0.1], r"`rates` must be a list of rates above 0, rising"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            search(space, rates)
    space = {"cooldown": (1, 39)}
    with pytest.raises(ValueError, match=r"`propose` must be a function that gives points of shape \(n, 1\) in \[0, 1\]"):
        search(space, RATES, propose=lambda key, axes, tried: np.full((2, 1), 3.0))
    with pytest.raises(ValueError, match="`fresh` must be at least 2 seeds"):
        search(space, RATES, fresh=1)
    with pytest.raises(ValueError, match="`total_steps` must be given for shapes without an end"):
        search_shapes(train, lambda cooldown: lrax.Constant(1.0), space, RATES, key=jax.random.key(0))
    with pytest.raises(ValueError, match="`shape` must be a function whose schedules have finite rates"):
        search_shapes(
            train, lambda cooldown: lrax.Constant(-1.0), space, RATES, key=jax.random.key(0), total_steps=STEPS, propose=1
        )
