"""Algebra and bounds, on numbers that hypothesis picks."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lrax
from schedule_cases import LARGEST, rates

few = settings(max_examples=15, derandomize=True, deadline=None)
positive = st.floats(2**-10, 10.0, width=32)
lengths = st.one_of(st.integers(1, 300), st.integers(1, LARGEST))
counts = st.lists(st.integers(0, LARGEST), min_size=8, max_size=8)

PHASES = {
    "Linear": lrax.Linear,
    "Cosine": lrax.Cosine,
    "Polynomial": lrax.Polynomial,
    "Geometric": lrax.Geometric,
    "OneMinusSqrt": lrax.OneMinusSqrt,
    "OneMinusSquare": lrax.schedules.OneMinusSquare,
    "Relaxation": lrax.schedules.Relaxation,
    "Rex": lrax.schedules.Rex,
    "Tanh": lrax.schedules.Tanh,
    "Hyperbolic": lambda start, end, steps: lrax.schedules.Hyperbolic(start, end, steps, steps),
    "ExpHyperbolic": lambda start, end, steps: lrax.schedules.ExpHyperbolic(start, end, steps, steps),
    "Spline": lambda start, end, steps: lrax.Spline([start, end], [0, steps]),
}
every_phase = pytest.mark.parametrize("kind", PHASES.values(), ids=PHASES)


def rates_of(schedule: Any, at: list[int]) -> np.ndarray:
    """The rates at 16 counts or fewer, by one program a kind."""
    padded = [min(count, LARGEST) for count in at] + [0] * (16 - len(at))
    return np.asarray(rates(schedule, jnp.asarray(padded, jnp.int32)))[: len(at)]


@every_phase
@few
@given(start=positive, end=positive, steps=lengths, at=counts)
def test_a_phase_stays_between_its_ends(kind: Any, start: float, end: float, steps: int, at: list[int]) -> None:
    """Start at 0, end from `steps` on, in between between them (to rounding), and in order."""
    got = rates_of(kind(start, end, steps), [0, steps, LARGEST, *sorted(at)])
    slack = 2e-6 * max(start, end)
    assert got[0] == np.float32(start)
    assert got[1] == got[2] == np.float32(end)
    assert (got >= min(start, end) - slack).all()
    assert (got <= max(start, end) + slack).all()
    direction = np.sign(end - start)
    assert (direction * np.diff(got[3:]) >= -slack).all()


@every_phase
@few
@given(start=positive, end=positive, at=st.integers(0, 10_000))
def test_a_phase_is_continuous(kind: Any, start: float, end: float, at: int) -> None:
    """Neighbouring counts of a long phase have neighbouring rates; a square root is the steepest."""
    before, after = rates_of(kind(start, end, 10_000), [at, at + 1])
    assert abs(after - before) <= 0.0101 * abs(end - start) + 2e-6 * max(start, end)


@few
@given(steps=st.tuples(lengths, lengths, lengths), at=counts, start=positive)
def test_sequence_equals_its_parts(steps: tuple[int, int, int], at: list[int], start: float) -> None:
    """At every count the sequence is the part that the count falls in, at its own count."""
    parts = lrax.Linear(start, 1.0, steps[0]), lrax.Hold(2.0, steps[1]), lrax.Cosine(3.0, 0.1, steps[2])
    begins = [0, steps[0], steps[0] + steps[1]]
    at = [min(count, LARGEST) for begin in begins for count in (begin - 1, begin) if count >= 0] + at
    got = rates_of(lrax.Sequence(*parts), at)
    for count, rate in zip(at, got, strict=True):
        part = max(k for k in range(3) if begins[k] <= count)
        np.testing.assert_allclose(rate, rates_of(parts[part], [count - begins[part]])[0], rtol=1e-6)


@few
@given(steps=lengths, at=counts, start=positive, end=positive)
def test_a_cycle_with_factors_one_is_periodic(steps: int, at: list[int], start: float, end: float) -> None:
    """A cycle at a count is its phase at the remainder, and so is the next cycle."""
    phase = lrax.Cosine(start, end, steps)
    got = rates_of(lrax.Cycle(phase), at + [count - steps if count >= steps else count for count in at])
    want = rates_of(phase, [count % steps for count in at])
    np.testing.assert_allclose(got, np.concatenate([want, want]), rtol=1e-6)


@few
@given(steps=st.integers(1, 10_000), times=st.integers(1, 10_000), at=counts)
def test_repeat_is_a_cycle_that_ends(steps: int, times: int, at: list[int]) -> None:
    """Before its last end a repeat is a cycle, from then on the end of its phase."""
    phase = lrax.Linear(0.3, 0.1, steps)
    got, cycle = rates_of(lrax.Repeat(phase, times), at), rates_of(lrax.Cycle(phase), at)
    np.testing.assert_allclose(got, np.where(np.array(at) < steps * times, cycle, np.float32(0.1)), rtol=1e-6)


@few
@given(low=positive, high=positive, steps=lengths, at=counts)
def test_algebra(low: float, high: float, steps: int, at: list[int]) -> None:
    """Sums, products, maxima, minima, scales and clips are what NumPy says."""
    first, second = lrax.Cosine(low, high, steps), lrax.InverseSqrt(high)
    a, b = rates_of(first, at), rates_of(second, at)
    pairs = {lrax.Sum: a + b, lrax.Product: a * b, lrax.Maximum: np.maximum(a, b), lrax.Minimum: np.minimum(a, b)}
    for kind, want in pairs.items():
        np.testing.assert_allclose(rates_of(kind(first, second), at), want, rtol=1e-6)
    np.testing.assert_allclose(rates_of(lrax.Scale(first, 0.3), at), a * np.float32(0.3), rtol=1e-6)
    bounds = sorted([np.float32(0.5), np.float32(low)])
    np.testing.assert_allclose(rates_of(lrax.Clip(first, *bounds), at), np.clip(a, *bounds), rtol=1e-6)
