"""Numbers at the edge: parts of length 0, powers that overflow, rates below 0, and gradients there."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
import oracle
from lrax.compat import optax, torch

COUNTS = jnp.arange(8)


def three(first: int, second: int) -> list[Any]:
    """What holds 1, 2 and then 3, with boundaries at two counts, in several ways."""
    holds = [lrax.Constant(float(value)) for value in (1, 2, 3)]
    return [optax.join_schedules(holds, [first, second]), torch.SequentialLR(holds, [first, second])]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 2), (2, 2), (2, 5), (5, 5)])
def test_a_part_of_length_0_is_skipped(first: int, second: int) -> None:
    """Of equal boundaries the last one counts, and what is before them is untouched."""
    want = np.where(np.arange(8) < first, 1.0, np.where(np.arange(8) < second, 2.0, 3.0))
    for schedule in three(first, second):
        np.testing.assert_array_equal(schedule(COUNTS), want)
    joined = jax.jit(lambda at: optax.join_schedules([lrax.Constant(1.0), lrax.Constant(2.0), lrax.Constant(3.0)], at)(COUNTS))
    np.testing.assert_array_equal(joined(jnp.array([first, second])), want)


def test_a_hold_of_length_0_is_skipped() -> None:
    """A length of 0 that arrives as a tracer, alone or in a batch, leaves the parts around it as they are."""

    def rates(steps: Any) -> jax.Array:
        return lrax.Sequence(lrax.Linear(0.0, 1.0, 3), lrax.Hold(1.0, steps), lrax.Linear(1.0, 0.0, 3))(COUNTS)

    third = np.float32(1) / 3
    want = [[0, third, 2 * third, 1, 2 * third, third, 0, 0], [0, third, 2 * third, 1, 1, 2 * third, third, 0]]
    np.testing.assert_allclose(jax.vmap(rates)(jnp.array([0, 1])), want, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(rates)(-5), want[0], rtol=1e-6)
    shifted = lrax.Sequence(lrax.Hold(1.0, 2), lrax.Shift(lrax.Linear(2.0, 2.5, 3), 3), lrax.Constant(3.0))
    np.testing.assert_array_equal(shifted(COUNTS), [1, 1, 3, 3, 3, 3, 3, 3])


@pytest.mark.parametrize("steps", [0, -3])
@pytest.mark.parametrize("rise", [0.1, 0.5, 0.9])
def test_a_triangle_of_length_0_is_at_its_end(steps: int, rise: float) -> None:
    """A length below 1 that arrives as a tracer puts a triangle at its end, as any phase."""
    counts = jnp.array([0, 1, 5, 2**31 - 1])
    lengths = jnp.array([steps, 10])
    got = jax.vmap(lambda n: lrax.Triangle(0.1, 1.0, n, rise)(counts))(lengths)
    np.testing.assert_array_equal(got[0], np.full(4, np.float32(0.1)))
    np.testing.assert_array_equal(got[1], lrax.Triangle(0.1, 1.0, 10, rise)(counts))
    assert jax.jit(lambda n: lrax.one_cycle(0.1, 1.0, n)(0))(steps) == np.float32(0.1)


def bound_of(schedule: Any) -> float:
    """What the docstring of a kind states, in ulp."""
    stated: dict[type, Callable[[Any], float]] = {
        lrax.Geometric: lambda s: 4 + abs(math.log(s.end) - math.log(s.start)) / 2,
        lrax.schedules.Relaxation: lambda s: 8 + abs(math.log(s.ratio)),
        lrax.Exponential: lambda s: 4 + abs(math.log(s.factor)),
        lrax.schedules.Power: lambda s: 4 + 2 * abs(s.power),
        lrax.schedules.Tanh: lambda s: 8 + 2 * (abs(s.first) + abs(s.last)),
    }
    return float(stated.get(type(schedule), lambda s: 4.0)(schedule))


FINITE: dict[str, tuple[lrax.Schedule, list[int]]] = {
    "no rate times a power that overflows": (lrax.StepDecay(0.0, 2.0, 1), [200, 2**31 - 1]),
    "a small rate that grows": (lrax.StepDecay(1e-37, 2.0, 1), [0, 130, 200, 249]),
    "a large rate that falls": (lrax.StepDecay(1e30, 0.5, 1), [0, 130, 200, 220]),
    "a smooth power that overflows": (lrax.Exponential(0.0, 2.0), [200]),
    "a small rate that grows smoothly": (lrax.Exponential(1e-37, 3.0, 2), [0, 180, 301]),
    "many boundaries": (lrax.MultiStep(0.0, 10.0, list(range(1, 60))), [60]),
    "steps of a factor that is large": (lrax.MultiStep(2e-38, 1e15, [1, 2, 3, 4]), [0, 1, 3, 4]),
    "cycles that grow": (lrax.Cycle(lrax.Linear(0.0, 1e-30, 10), 1, 2.0), [1280, 1285, 2005]),
    "a ramp over all of float32": (lrax.Geometric(1e-25, 1e25, 10), [0, 1, 5, 9, 10]),
    "and back": (lrax.Geometric(1e25, 1e-25, 10), [0, 1, 5, 9, 10]),
    "a tiny timescale": (lrax.InverseSqrt(1.0, 2e-38), [0, 1, 100, 2**31 - 1]),
    "a tiny timescale of a large rate": (lrax.schedules.InverseTime(1e10, 2e-38), [0, 1, 100, 2**31 - 1]),
    "a tiny timescale to a power": (lrax.schedules.Power(1.0, -0.51, 2e-38), [0, 1, 100, 2**31 - 1]),
    "the smallest ratio": (lrax.schedules.Relaxation(1.0, 0.5, 10, 1.2e-38), [0, 1, 5, 9, 10]),
    "a short piece of a tangent": (lrax.schedules.Tanh(1.0, 0.0, 2, 0.0, 1e-4), [0, 1, 2]),
    "a shorter one": (lrax.schedules.Tanh(1.0, 0.25, 8, 0.5, 0.5 + 2e-7), list(range(9))),
    "a rate below 0": (lrax.Exponential(-1.0, 0.5), [0, 1, 2, 100]),
    "a floor below 0": (lrax.StepDecay(-1.0, 0.5, 3, -0.2), [0, 3, 6, 9, 12]),
}


@pytest.mark.parametrize(("schedule", "at"), FINITE.values(), ids=FINITE)
def test_finite_where_the_formula_is(schedule: lrax.Schedule, at: list[int]) -> None:
    """Where the formula is a float32 number, the rate is it, to the bound that the kind states."""
    for count, got in zip(at, np.asarray(schedule(np.array(at))), strict=True):
        want = oracle.rate(schedule, count)
        assert oracle.ulps(got, want) <= bound_of(schedule), (count, got, want)


GRADIENTS: dict[str, tuple[Callable[..., jax.Array], tuple[float, ...]]] = {
    "StepDecay": (lambda start, factor: lrax.StepDecay(start, factor, 1)(200), (0.0, 2.0)),
    "Exponential": (lambda start, factor: lrax.Exponential(start, factor)(200), (0.0, 2.0)),
    "a slow one": (lambda start, factor: lrax.Exponential(start, factor)(2**31 - 1), (0.0, 1.000001)),
    "Cycle": (lambda end, factor: lrax.Cycle(lrax.Linear(0.0, end, 10), 1, factor)(1280), (1.0, 2.0)),
    "Geometric": (lambda start, end: lrax.Geometric(start, end, 10)(3), (1e-12, 1e12)),
    "Tanh": (lambda first, last: lrax.schedules.Tanh(1.0, 0.0, 4, first, last)(1), (0.0, 1e-4)),
    "Relaxation": (lambda ratio: lrax.schedules.Relaxation(1.0, 0.0, 10, ratio)(5), (1e-30,)),
}


@pytest.mark.parametrize(("rate", "numbers"), GRADIENTS.values(), ids=GRADIENTS)
def test_gradients_at_the_edge_are_finite(rate: Callable[..., jax.Array], numbers: tuple[float, ...]) -> None:
    """Also where a power alone would overflow."""
    assert np.isfinite(jax.jit(jax.grad(rate, tuple(range(len(numbers)))))(*numbers)).all()


def test_the_gradient_of_a_ramp_is_that_of_its_formula() -> None:
    """The derivatives of `start ** left * end ** done`, first and second."""
    start, end, done = 1e-3, 2.0, 0.3

    def rate(start: Any, end: Any) -> jax.Array:
        return lrax.Geometric(start, end, 10)(3)

    value = start ** (1 - done) * end**done
    np.testing.assert_allclose(jax.grad(rate)(start, end), (1 - done) * value / start, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(rate, 1)(start, end), done * value / end, rtol=1e-5)
    np.testing.assert_allclose(jax.hessian(rate)(start, end), -done * (1 - done) * value / start**2, rtol=1e-5)
    assert jax.grad(lambda power: lrax.schedules.Warp(lrax.Geometric(start, end, 10), power)(3))(1.0) == pytest.approx(
        value * done * math.log(done) * math.log(end / start), rel=1e-4
    )


def test_a_floor_below_0_mirrors_one_above() -> None:
    """Rates below 0 decay towards 0 and stop at their floor; traced ones too."""
    for kind in (lrax.StepDecay, lrax.Exponential):
        above, below = kind(1.0, 0.5, 2, 0.2), kind(-1.0, 0.5, 2, -0.2)
        np.testing.assert_array_equal(below(COUNTS), -above(COUNTS))
        traced = jax.jit(lambda start, kind=kind: kind(start, 0.5, 2, -0.2)(COUNTS))
        np.testing.assert_array_equal(traced(-1.0), below(COUNTS))
        with pytest.raises(ValueError, match=f"{kind.__name__}: `floor` must be at least a `start` below 0, .*; raise it"):
            kind(-0.1, 0.5, 2, -0.2)
