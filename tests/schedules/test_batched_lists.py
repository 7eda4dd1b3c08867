"""Batches of what is given by lists, and callables that ignore their count: called with one count and with many."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax import schedules as kinds

LINE = lrax.Linear(1.0, 0.0, 10)
BATCHES: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "MultiStep": (
        lambda boundaries: lrax.MultiStep(1.0, 0.5, boundaries),
        [{"boundaries": [1, 5]}, {"boundaries": [2, 6]}],
    ),
    "MultiStep, with all": (
        lrax.MultiStep,
        [{"start": 1.0, "factor": 0.5, "boundaries": [1, 5]}, {"start": 2.0, "factor": 0.1, "boundaries": [2, 6]}],
    ),
    "MultiStep, of no boundaries": (
        lambda start, boundaries: lrax.MultiStep(start, 0.5, boundaries),
        [{"start": 1.0, "boundaries": []}] * 2,
    ),
    "PiecewiseConstant": (
        lrax.PiecewiseConstant,
        [{"values": [1.0, 2.0, 3.0], "boundaries": [1, 5]}, {"values": [4.0, 5.0, 6.0], "boundaries": [2, 6]}],
    ),
    "PiecewiseConstant, values alone": (
        lambda values: lrax.PiecewiseConstant(values, [1, 5]),
        [{"values": [1.0, 2.0, 3.0]}, {"values": [4.0, 5.0, 6.0]}],
    ),
    "Piecewise": (
        lambda values, counts: lrax.Piecewise(values, counts, "cosine"),
        [{"values": [1.0, 2.0], "counts": [1, 5]}, {"values": [4.0, 5.0], "counts": [2, 6]}],
    ),
    "Spline": (
        lrax.Spline,
        [{"values": [1.0, 2.0, 5.0], "counts": [1, 5, 7]}, {"values": [4.0, 5.0, 3.0], "counts": [2, 6, 9]}],
    ),
    "Spline, counts alone": (lambda counts: lrax.Spline([1.0, 2.0], counts), [{"counts": [1, 5]}, {"counts": [2, 6]}]),
    "Knots": (
        lambda values, counts, parts: kinds.Knots(values, counts, parts),
        [
            {"values": [1.0, 2.0], "counts": [0, 4], "parts": [0.0, 0.5]},
            {"values": [4.0, 5.0], "counts": [0, 5], "parts": [0.25, 0.5]},
        ],
    ),
    "joined": (
        lambda boundaries: kinds.joined([LINE, lrax.Constant(0.5), LINE], boundaries),
        [{"boundaries": [1, 5]}, {"boundaries": [2, 6]}],
    ),
    "wsd_s": (
        lambda ends: lrax.wsd_s(0.1, ends=ends, warmup_steps=1, cooldown_steps=2, total_steps=20),
        [{"ends": [4, 9]}, {"ends": [5, 8]}],
    ),
    "Clocked": (
        lambda sizes, boundaries: lrax.Clock(sizes, boundaries).to_steps(LINE, "sqrt"),
        [{"sizes": [1, 2], "boundaries": [3]}, {"sizes": [3, 4], "boundaries": [4]}],
    ),
    "Clocked, sizes alone": (
        lambda sizes: lrax.Clock(sizes, [3], unit=2).to_steps(LINE),
        [{"sizes": [1, 2]}, {"sizes": [3, 4]}],
    ),
    "Clocked, one size": (lambda sizes: lrax.Clock(sizes).to_steps(LINE, "linear", 2), [{"sizes": [1]}, {"sizes": [3]}]),
    "Warmup of one": (
        lambda boundaries: lrax.Warmup(lrax.MultiStep(1.0, 0.5, boundaries), 2),
        [{"boundaries": [1, 5]}, {"boundaries": [2, 6]}],
    ),
}


@pytest.mark.parametrize(("make", "settings"), BATCHES.values(), ids=BATCHES)
def test_a_batch_of_lists_is_called_as_any_batch(make: Any, settings: list[dict[str, Any]]) -> None:
    """One count gives a rate for each; as many counts as there are schedules, each its own; the length is one for each."""
    batch = make(**{name: np.array([one[name] for one in settings]) for name in settings[0]})
    each = [make(**one) for one in settings]
    for count in (0, 1, 3, 5, 8, 30):
        np.testing.assert_allclose(batch(count), [one(count) for one in each], rtol=1e-6)
    np.testing.assert_allclose(batch(jnp.array([3, 5])), [each[0](3), each[1](5)], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda batch, count: batch(count))(batch, 3), batch(3), rtol=1e-6)
    lengths = [one.length for one in each]
    if lengths[0] is None:
        assert batch.length is None
    else:
        np.testing.assert_array_equal(np.broadcast_to(batch.length, 2), lengths)


def test_a_batch_of_clocks_reads_as_each() -> None:
    """What a batch of clocks says of sizes, of what was seen and of counts is what each says."""
    clock = lrax.Clock([[1, 2], [3, 4]], [[3], [4]], unit=2)
    each = [lrax.Clock([1, 2], [3], unit=2), lrax.Clock([3, 4], [4], unit=2)]
    for count in (0, 3, 4, 50):
        assert clock.batch_size(count).tolist() == [int(one.batch_size(count)) for one in each]
        assert clock.seen(count).number().tolist() == [int(one.seen(count)) for one in each]
        assert clock.time(count).tolist() == [int(one.time(count)) for one in each]
        assert clock.count_at(count).tolist() == [int(one.count_at(count)) for one in each]


def test_a_clock_is_measured_without_a_program() -> None:
    """The length of a plan that is read by a clock whose numbers are known is found in NumPy, and is the one that JAX finds."""
    for sizes, boundaries, unit in (
        ([3, 5], [7], 2),
        ([2**30, 2**31 - 1], [5], 2**20),
        ([1], None, None),
        ([4, 1, 9], [2, 3], 3),
    ):
        clock = lrax.Clock(sizes, boundaries, unit)
        for steps in (1, 7, 1000, 2**31 - 1):
            got = clock.to_steps(lrax.Linear(1.0, 0.0, steps)).length
            assert isinstance(got, np.int32)
            assert got == jax.jit(lambda clock, steps: clock.to_steps(lrax.Linear(1.0, 0.0, steps)).length)(clock, steps)


@pytest.mark.parametrize("ignores", [lambda count: 0.1, lambda count: jnp.float32(0.1), lambda count: np.array(0.1)])
def test_a_callable_that_ignores_its_count(ignores: Any) -> None:
    """A function with one rate for all counts has the shape of the counts, alone and in whatever wraps it."""
    around = (
        lrax.Function,
        lambda one: lrax.Scale(one, 1.0),
        lambda one: lrax.Shift(one, 3),
        lambda one: lrax.Stretch(one, 2),
        lambda one: lrax.Product(one, lambda count: 1.0),
        lambda one: lrax.Sum(one, one),
        lambda one: lrax.Clip(one, 0.0, 1.0),
        lambda one: lrax.Warmup(one, 2),
        lambda one: lrax.Clock(8).to_steps(one),
        lambda one: kinds.joined([one, one], [2]),
    )
    for make in around:
        assert make(ignores)(5).shape == ()
        assert make(ignores)(jnp.arange(3)).shape == (3,)
        assert make(ignores)(jnp.zeros((2, 3), jnp.int32)).shape == (2, 3)


def test_rates_that_do_not_fit_their_counts() -> None:
    """A function whose rates have another shape than its counts is named; one that makes a batch for one count is not."""
    with pytest.raises(ValueError, match=r"Function: `function` must be .* shape of the counts, \(2,\), got the shape \(3,\)"):
        lrax.Function(lambda count: jnp.ones(3))(jnp.arange(2))
    assert lrax.Function(lambda count: jnp.ones(3))(5).shape == (3,)
