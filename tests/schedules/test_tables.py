"""Schedules given by lists: boundaries, and the size of the program."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import lrax
from schedule_case import rates_at


def test_piecewise_constant() -> None:
    """The next value begins at its boundary; from the last one on the last value stays."""
    schedule = lrax.PiecewiseConstant([0.1, 0.5, 0.2], [10, 20])
    np.testing.assert_array_equal(rates_at(schedule, [0, 9, 10, 19, 20, 2**31 - 1]), np.float32([0.1, 0.1, 0.5, 0.5, 0.2, 0.2]))


@pytest.mark.parametrize("mode", ["linear", "cosine", "geometric", "one_minus_sqrt", "tanh"])
def test_piecewise_passes_through_its_values(mode: str) -> None:
    """At each count its value, whatever the shape between; before the first and after the last it holds."""
    values, counts = [0.1, 1.0, 0.5, 0.2], [5, 10, 100, 1000]
    schedule = lrax.Piecewise(values, counts, mode)
    np.testing.assert_allclose(rates_at(schedule, [0, *counts, 5000]), [0.1, *values, 0.2], rtol=2e-7)
    assert schedule.length == 1000


def test_piecewise_is_optax_interpolation() -> None:
    """The same lines and cosines as optax between the same values."""
    counts = jnp.arange(40)
    for mode in ("linear", "cosine"):
        peer = optax.piecewise_interpolate_schedule(mode, 1.0, {10: 0.5, 30: 0.1})
        schedule = lrax.Piecewise([1.0, 0.5, 0.05], [0, 10, 30], mode)
        with jax.numpy_dtype_promotion("standard"):
            want = jax.jit(jax.vmap(peer))(counts)
        np.testing.assert_allclose(schedule(counts), want, rtol=1e-5)


def compiled_lines(schedule: lrax.Schedule) -> int:
    """Lines of the optimized program of a schedule, which is compiled here and not loaded: those read otherwise."""
    folder = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
        return len(jax.jit(lambda schedule, count: schedule(count)).lower(schedule, 0).compile().as_text().splitlines())
    finally:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()


@pytest.mark.parametrize(
    "make",
    {
        "MultiStep": lambda n: lrax.MultiStep(0.1, 0.9, np.arange(1, n + 1)),
        "PiecewiseConstant": lambda n: lrax.PiecewiseConstant(np.linspace(0.1, 1.0, n + 1), np.arange(1, n + 1)),
        "Piecewise": lambda n: lrax.Piecewise(np.linspace(0.1, 1.0, n), np.arange(1, n + 1), "cosine"),
        "Cycle": lambda n: lrax.Cycle(lrax.Cosine(1.0, 0.1, 100_000 // n), 1.1, 0.9),
        "Repeat": lambda n: lrax.Repeat(lrax.Cosine(1.0, 0.1, 10), n),
    }.values(),
)
def test_the_program_does_not_grow(make: object) -> None:
    """Ten or ten thousand boundaries or cycles: the same number of instructions."""
    assert compiled_lines(make(10)) == compiled_lines(make(10_000))


def test_knots_must_rise() -> None:
    """Places that do not rise, and lists that are not of one length, are refused."""
    with pytest.raises(
        ValueError, match=r"Knots: `counts` must be such that `counts \+ parts` rises strictly, got \[0.0, 3.5, 3.5\]"
    ):
        lrax.schedules.Knots([0.0, 1.0, 0.0], [0, 3, 3], [0.0, 0.5, 0.5])
    with pytest.raises(ValueError, match="Knots: `values` must be as long as `counts` and `parts`, at least two"):
        lrax.schedules.Knots([0.0, 1.0], [0, 3, 9], [0.0, 0.5, 0.5])
    early = lrax.schedules.Knots([1.0, 0.0], [-2, 2], [0.5, 0.5])
    np.testing.assert_allclose(rates_at(early, range(4)), [0.625, 0.375, 0.125, 0.0], rtol=1e-6)
    assert early.length == 3
