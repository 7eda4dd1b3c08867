"""Schedules made of schedules: the tutorials' own numbers, boundaries, lengths."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax

MULTI_STEP = lrax.MultiStep(1.0, 0.5, [250, 750, 900])


def test_tutorial_warmup() -> None:
    """Tutorial 2: from 0 to 1 over 250 iterations, then the multi-step schedule from its own count 0."""
    schedule = lrax.Warmup(MULTI_STEP, 250)
    counts = jnp.array([0, 125, 250, 499, 500, 1000, 1150])
    np.testing.assert_allclose(schedule(counts), [0, 0.5, 1, 1, 0.5, 0.25, 0.125])


def test_tutorial_warmup_of_cosine() -> None:
    """Tutorial 4: cosine over 20 updates with 5 of warm-up."""
    schedule = lrax.Warmup(lrax.Cosine(0.5, 0.01, 15), 5)
    np.testing.assert_allclose(schedule(jnp.arange(6)), [0, 0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(schedule(jnp.array([20, 30])), [0.01, 0.01], rtol=1e-6)


def test_constant_warmup() -> None:
    """`start` until the schedule begins."""
    np.testing.assert_array_equal(lrax.Warmup(lrax.Constant(1.0), 3, 0.25, "constant")(jnp.arange(5)), [0.25] * 3 + [1] * 2)


def test_a_warmup_without_a_wasted_update() -> None:
    """The documented way to begin at the first rate above zero: skip count 0 of a warm-up one longer."""
    schedule = lrax.Shift(lrax.Warmup(lrax.Constant(1.0), 5), 1)
    np.testing.assert_allclose(schedule(jnp.arange(6)), [0.2, 0.4, 0.6, 0.8, 1, 1], rtol=1e-6)


def test_tutorial_cooldown() -> None:
    """Tutorial 2: the multi-step schedule, from iteration 1000 on down to 0.001 over 500, then 0.001."""
    schedule = lrax.Cooldown(MULTI_STEP, begin=1000, steps=500, end=0.001)
    want = [0.25, 0.125, 0.125 + (0.001 - 0.125) / 2, 0.001, 0.001]
    np.testing.assert_allclose(schedule(jnp.array([899, 1000, 1250, 1500, 9999])), want, rtol=1e-6)


def tutorial_cycle(phase: Any, length: int, length_factor: Any, value_factor: float, iteration: int) -> float:
    """Tutorial 2's loop: each cycle as long as the ceiling of the last one times the factor."""
    index, begun = 0, 0
    while begun + length <= iteration:
        begun, length, index = begun + length, math.ceil(length * length_factor), index + 1
    return float(phase(length, iteration - begun) * value_factor**index)


def test_tutorial_cycles() -> None:
    """Tutorial 2: triangles between 0.5 and 2 every 500; SGDR from 2 to 0.01, 250 iterations, then longer and lower."""
    iterations = np.arange(1, 1501)
    triangles = lrax.Shift(lrax.Cycle(lrax.Triangle(0.5, 2.0, 500)), 1)
    sgdr = lrax.Shift(lrax.Cycle(lrax.Cosine(2.0, 0.01, 250), 2, 0.5), 1)

    def triangle(length: int, at: int) -> float:
        return 0.5 + 1.5 * min(at, length - at) / (length / 2)

    def cosine(length: int, at: int) -> float:
        return 0.01 + 1.99 * (1 + math.cos(math.pi * at / length)) / 2

    want = [tutorial_cycle(triangle, 500, 1, 1.0, i) for i in iterations]
    np.testing.assert_allclose(triangles(jnp.asarray(iterations - 1)), want, rtol=1e-6)
    want = [tutorial_cycle(cosine, 250, 2, 0.5, i) for i in iterations]
    np.testing.assert_allclose(sgdr(jnp.asarray(iterations - 1)), want, rtol=1e-5)


def test_cycle_boundaries_are_exact() -> None:
    """Cycles whose lengths grow, shrink or stay begin where integer arithmetic says, to 2**31 - 1, traced lengths too."""
    begins = jax.jit(lambda steps, factor, counts: lrax.Cycle(lrax.Linear(1.0, 0.0, steps), factor)(counts))
    for steps in (1, 7, 250, 10**6):
        for numerator, denominator in ((6, 5), (11, 10), (2, 1), (3, 4), (1, 1), (101, 100)):
            length, begun, starts = steps, 0, []
            while begun < 2**31 and len(starts) < 200:
                starts.append(begun)
                begun, length = begun + length, -(-length * numerator // denominator)
            counts = np.array((starts[-8:] + starts[:8])[:16] + [0] * (16 - len(starts[-8:] + starts[:8])), np.int32)
            known = lrax.Cycle(lrax.Linear(1.0, 0.0, steps), numerator / denominator)
            np.testing.assert_array_equal(known(jnp.asarray(counts)), np.ones(16))
            traced = begins(jnp.int32(steps), jnp.float32(numerator / denominator), jnp.asarray(counts))
            np.testing.assert_array_equal(traced, np.ones(16))


def test_sequence_is_its_parts() -> None:
    """Each schedule runs from its own count 0; the last one holds its end."""
    parts = lrax.Linear(0.0, 1.0, 4), lrax.Hold(2.0, 3), lrax.Cosine(3.0, 0.0, 5)
    joined = np.concatenate([np.asarray(part(jnp.arange(part.length))) for part in parts])
    sequence = lrax.Sequence(*parts)
    np.testing.assert_array_equal(sequence(jnp.arange(12)), joined)
    assert sequence(12) == sequence(2**31 - 1) == 0.0
    assert sequence.length == 12


def test_sequence_may_end_without_end() -> None:
    """The last schedule may be endless; then the whole is."""
    sequence = lrax.Sequence(lrax.Linear(0.0, 1.0, 4), lrax.InverseSqrt(1.0))
    assert sequence.length is None
    np.testing.assert_allclose(sequence(jnp.array([4, 7])), [1.0, 0.5])


def test_shift() -> None:
    """A positive offset skips, a negative one holds the first rate; nothing wraps at the largest counts."""
    line = lrax.Linear(1.0, 0.0, 4)
    np.testing.assert_array_equal(lrax.Shift(line, 1)(jnp.arange(4)), [0.75, 0.5, 0.25, 0])
    np.testing.assert_array_equal(lrax.Shift(line, -2)(jnp.arange(4)), [1, 1, 1, 0.75])
    last = 2**31 - 1
    assert lrax.Shift(line, last)(last) == 0.0
    assert lrax.Shift(line, -last)(last) == 1.0
    assert (lrax.Shift(line, 1).length, lrax.Shift(line, -2).length, lrax.Shift(line, 9).length) == (3, 6, 0)


def test_scale_and_clip() -> None:
    """A multiple of a schedule, and one between two rates, keep its length."""
    line = lrax.Linear(0.0, 1.0, 4)
    np.testing.assert_array_equal(lrax.Scale(line, 2.0)(jnp.arange(5)), [0, 0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(lrax.Clip(line, 0.25, 0.5)(jnp.arange(5)), [0.25, 0.25, 0.5, 0.5, 0.5])
    assert lrax.Scale(line, 2.0).length == lrax.Clip(line, 0.0, 1.0).length == 4


@pytest.mark.parametrize("wrap", [lambda p: lrax.Scale(p, 0.5), lambda p: lrax.Clip(p, 0.0, 1.0), lambda p: lrax.Warmup(p, 2)])
def test_cycles_of_combinators_grow(wrap: Any) -> None:
    """A combinator of a phase can be resized with it."""
    cycle = lrax.Cycle(wrap(lrax.Linear(1.0, 0.0, 8)), 2)
    length = int(cycle.phase.length)
    assert cycle(length) == cycle.phase(0)
    assert cycle(3 * length) == cycle.phase(0)


@pytest.mark.parametrize("mode", ["linear", "cosine", "geometric", "one_minus_sqrt", "relaxation", "rex", "tanh"])
def test_a_warmup_is_a_cooldown_backwards(mode: str) -> None:
    """Every shape climbs as the mirror image of its fall."""
    up = lrax.Warmup(lrax.Constant(1.0), 10, 0.1, mode)(jnp.arange(11))
    down = lrax.Cooldown(lrax.Constant(1.0), 0, 10, 0.1, mode)(jnp.arange(11))
    np.testing.assert_allclose(up, down[::-1], rtol=1e-6)


def test_warmup_by_a_power() -> None:
    """A warm-up of another shape is a phase put first."""
    schedule = lrax.Sequence(lrax.schedules.Warp(lrax.Linear(0.0, 1.0, 4), 2.0), lrax.Constant(1.0))
    np.testing.assert_allclose(schedule(jnp.arange(6)), [0, 1 / 16, 1 / 4, 9 / 16, 1, 1], rtol=1e-6)


def test_warp_is_k_decay() -> None:
    """Timm's formula: half a cosine of (t / T) to the power k."""
    counts = np.arange(101)
    want = 0.01 + 0.5 * 0.29 * (1 + np.cos(np.pi * (counts / 100) ** 1.5))
    schedule = lrax.schedules.Warp(lrax.Cosine(0.3, 0.01, 100), 1.5)
    np.testing.assert_allclose(schedule(jnp.asarray(counts)), want, rtol=1e-5)
    assert schedule.length == 100
    assert lrax.Cycle(schedule, 2)(100) == schedule(0)


def test_repeat_then_something_else() -> None:
    """A repeat has a length, so a sequence can go on after it; lengths stop at 2**31 - 1."""
    repeated = lrax.Repeat(lrax.Linear(1.0, 0.0, 4), 3)
    assert repeated.length == 12
    sequence = lrax.Sequence(repeated, lrax.Constant(0.5))
    np.testing.assert_array_equal(sequence(jnp.array([8, 11, 12, 13])), [1, 0.25, 0.5, 0.5])
    assert lrax.Repeat(lrax.Linear(1.0, 0.0, 2**30), 5).length == 2**31 - 1


def test_stretch_counts_in_epochs() -> None:
    """A schedule by the epoch, run by the update."""
    schedule = lrax.Stretch(lrax.StepDecay(1.0, 0.5, every=2), every=100)
    np.testing.assert_array_equal(schedule(jnp.array([0, 199, 200, 399, 400])), [1, 1, 0.5, 0.5, 0.25])
    assert lrax.Stretch(lrax.Linear(0.0, 1.0, 10), 100).length == 1000
    assert lrax.Stretch(lrax.Constant(0.1), 100).length is None


def test_lengths_of_algebra() -> None:
    """As long as the longest part, endless if one is; traced lengths too."""
    short, long = lrax.Linear(0.0, 1.0, 5), lrax.Cosine(0.0, 1.0, 9)
    assert lrax.Sum(short, long).length == 9
    assert lrax.Product(short, lrax.Constant(1.0)).length is None
    assert jax.jit(lambda steps: lrax.Maximum(short, lrax.Hold(1.0, steps)).length)(7) == 7


def test_polynomial_restarts_is_keras_cycle() -> None:
    """Keras: the horizon is `decay_steps` times the ceiling of step / decay_steps, at least once."""
    schedule = lrax.schedules.PolynomialRestarts(0.1, 0.01, 100, 0.5)
    for count in (0, 1, 99, 100, 101, 150, 200, 250):
        horizon = 100 * max(1, math.ceil(count / 100))
        np.testing.assert_allclose(schedule(count), 0.09 * (1 - count / horizon) ** 0.5 + 0.01, rtol=1e-6)
