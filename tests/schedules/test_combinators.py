"""Schedules made of schedules: the tutorials' own numbers, boundaries, lengths."""

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
import oracle
from lrax.fields._rules import Ratio
from lrax.schedules._combinators import find_cycle, find_real_cycle, real_fractions
from schedule_case import rates_at

MULTI_STEP = lrax.MultiStep(1.0, 0.5, [250, 750, 900])


def test_tutorial_warmup() -> None:
    """Tutorial 2: from 0 to 1 over 250 iterations, then the multi-step schedule from its own count 0."""
    schedule = lrax.Warmup(MULTI_STEP, 250)
    counts = jnp.array([0, 125, 250, 499, 500, 1000, 1150])
    np.testing.assert_allclose(schedule(counts), [0, 0.5, 1, 1, 0.5, 0.25, 0.125])


def test_tutorial_warmup_of_cosine() -> None:
    """Tutorial 4: cosine over 20 updates with 5 of warm-up."""
    schedule = lrax.Warmup(lrax.Cosine(0.5, 0.01, 15), 5)
    np.testing.assert_allclose(rates_at(schedule, range(6)), [0, 0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(rates_at(schedule, [20, 30]), [0.01, 0.01], rtol=1e-6)


def test_constant_warmup() -> None:
    """`start` until the schedule begins."""
    np.testing.assert_array_equal(
        rates_at(lrax.Warmup(lrax.Constant(1.0), 3, 0.25, "constant"), range(5)), [0.25] * 3 + [1] * 2
    )


def test_a_warmup_without_a_wasted_update() -> None:
    """The documented way to begin at the first rate above zero: skip count 0 of a warm-up one longer."""
    schedule = lrax.Shift(lrax.Warmup(lrax.Constant(1.0), 5), 1)
    np.testing.assert_allclose(rates_at(schedule, range(6)), [0.2, 0.4, 0.6, 0.8, 1, 1], rtol=1e-6)


def test_tutorial_cooldown() -> None:
    """Tutorial 2: the multi-step schedule, from iteration 1000 on down to 0.001 over 500, then 0.001."""
    schedule = lrax.Cooldown(MULTI_STEP, begin=1000, steps=500, end=0.001)
    want = [0.25, 0.125, 0.125 + (0.001 - 0.125) / 2, 0.001, 0.001]
    np.testing.assert_allclose(rates_at(schedule, [899, 1000, 1250, 1500, 9999]), want, rtol=1e-6)


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


@pytest.mark.parametrize("factor", [1.1, 0.9, 1.5])
def test_tutorial_cycles_of_any_factor(factor: float) -> None:
    """`rounding="each"` gives the tutorial's own loop for factors whose lengths are not whole, growing and shrinking."""
    cycle = lrax.Cycle(lrax.Linear(1.0, 0.0, 50), factor, 0.9, rounding="each")
    exact = Fraction(str(factor))  # 50 * 1.1 is 55.000000000000007 in Python
    want = [tutorial_cycle(lambda length, at: 1 - at / length, 50, exact, 0.9, i) for i in range(800)]
    np.testing.assert_allclose(rates_at(cycle, range(800)), want, rtol=2e-6, atol=1e-7)


def cycles_of(length: int, factor: Fraction, least: int, rounding: str, most: int) -> tuple[list[int], list[int]]:
    """Where cycles begin and how long they are, in Python's integers: up to the largest count, or until lengths stay."""
    begins, sizes, begun, exact = [], [], 0, Fraction(length)
    while begun < 2**31 and len(begins) < most:
        size = max(math.floor(exact + Fraction(1, 2)), least) if rounding == "nearest" else int(exact)
        begins.append(begun)
        sizes.append(min(size, 2**31 - 1))
        begun, before = begun + size, exact
        exact = exact * factor if rounding == "nearest" else Fraction(max(math.ceil(exact * factor), least))
        if exact == before or (factor < 1 and size == least):
            break
    return begins, sizes


find_cycles = jax.jit(jax.vmap(find_cycle, in_axes=(0, None, None, None, None)), static_argnames="rounding")
AWKWARD = [(10, 1.05), (10, 1.1), (5, 1.1), (100, 1.01), (10, 0.95), (100, 0.99), (3000, 0.5), (250, 1.2), (2**30, 0.9999)]


@pytest.mark.parametrize("rounding", ["nearest", "each"])
def test_cycle_lengths_are_exact(rounding: Any) -> None:
    """Every cycle begins and ends where Python's integers say, to count 2**31 - 1 and over hundreds of cycles, traced too."""
    random = np.random.default_rng(0)
    drawn = [(int(10 ** random.uniform(0, 9)), Fraction(*map(int, random.integers(1, 32768, 2)))) for _ in range(10)]
    near = [(int(10 ** random.uniform(0, 4)), 1 + Fraction(int(random.choice([-1, 1])), int(q))) for q in range(2, 999, 99)]
    halves = [(2**k, Fraction(3, 2)) for k in range(1, 31, 7)] + [(5**k, Fraction(6, 5)) for k in (1, 5, 13)]
    for length, given in [*AWKWARD, *drawn, *near, *halves]:
        factor = Fraction(str(given)) if isinstance(given, float) else given
        least = int(random.choice([1, 1 + length // 3]))
        begins, sizes = cycles_of(length, factor, least, rounding, 700)
        shown = sorted({*range(min(8, len(begins))), *random.integers(0, len(begins), 12).tolist(), len(begins) - 1})
        places = [(begins[k] + at, k, at, sizes[k]) for k in shown for at in (0, sizes[k] - 1) if begins[k] + at < 2**31]
        counts, *want = np.array(places + places[:1] * (48 - len(places))).T
        ratio = Ratio(jnp.int32(factor.numerator), jnp.int32(factor.denominator))
        got = find_cycles(jnp.asarray(counts, jnp.int32), jnp.int32(length), ratio, jnp.int32(least), rounding)
        np.testing.assert_array_equal(np.array(got), np.array(want), err_msg=f"{length} {factor} {least}")


def test_cycle_starts_are_peaks() -> None:
    """A cycle whose factor is a number, concrete, traced or in a batch, is at its peak where a cycle begins."""
    factors = np.array([1.05, 1.1, 0.9, 1.0])
    starts = [(cycles_of(20, Fraction(str(factor)), 1, "nearest", 30)[0] * 30)[:30] for factor in factors]
    begins = jax.jit(jax.vmap(lambda factor, counts: lrax.Cycle(lrax.Linear(1.0, 0.0, 20), factor)(counts)))
    np.testing.assert_array_equal(begins(jnp.asarray(factors, jnp.float32), jnp.array(starts)), np.ones((4, 30)))
    for factor, counts in zip(factors, starts, strict=True):
        np.testing.assert_array_equal(lrax.Cycle(lrax.Linear(1.0, 0.0, 20), factor)(jnp.array(counts)), np.ones(30))
    batch = lrax.Cycle(lrax.Linear(1.0, 0.0, np.array([20, 30])), np.array([1.1, 2.0]))
    np.testing.assert_array_equal(batch(20), [1.0, np.float32(1 / 3)])


find_real_cycles = jax.jit(jax.vmap(find_real_cycle, in_axes=(0, None, None, None)))


def test_cycles_between_two_steps_are_exact() -> None:
    """With `rounding="none"` cycles begin and last as fractions do; one that begins at a count begins there."""
    random = np.random.default_rng(1)
    drawn = [(int(10 ** random.uniform(0, 6)), Fraction(*map(int, random.integers(1, 32768, 2)))) for _ in range(6)]
    for length, factor in [(10, Fraction(3, 2)), (4096, Fraction(5, 4)), (7, Fraction(21, 20)), (50, Fraction(9, 10)), *drawn]:
        begins, sizes = [Fraction(0)], [Fraction(length)]
        while len(begins) < 300 and begins[-1] < 2**31 and sizes[-1] > 3:
            begins.append(begins[-1] + sizes[-1])
            sizes.append(max(sizes[-1] * factor, Fraction(3)))
        last = min(2**31, begins[-1])
        around = [math.ceil(begin) + step for begin in begins[:8] + begins[-8:] for step in (-1, 0)]
        counts = [min(max(count, 0), math.ceil(last) - 1) for count in around]
        ratio = Ratio(jnp.int32(factor.numerator), jnp.int32(factor.denominator))
        counts += counts[:1] * (32 - len(counts))
        index, past, whole = find_real_cycles(jnp.array(counts, jnp.int32), jnp.int32(length), ratio, jnp.int32(3))
        done, left = real_fractions(past, whole)
        for at, count in enumerate(counts):
            k = sum(begin <= count for begin in begins) - 1
            assert index[at] == k, (length, factor, count)
            want = float((count - begins[k]) / sizes[k])
            assert oracle.ulps(done[at], want) <= 4
            assert oracle.ulps(left[at], float(1 - (count - begins[k]) / sizes[k])) <= 4


def test_short_cycles() -> None:
    """Cycles that shrink stay at `min_steps`, or at their warm-up and one step more, and still reach their peak."""
    shrinking = lrax.Cycle(lrax.Linear(1.0, 0.0, 100), 0.5, min_steps=10)
    np.testing.assert_allclose(rates_at(shrinking, [187, 188, 197, 198, 10**6 + 8]), [1 / 13, 1, 0.1, 1, 1], rtol=1e-5)
    ones = lrax.Cycle(lrax.Linear(1.0, 0.0, 8), 0.5, 0.9)
    np.testing.assert_allclose(rates_at(ones, [14, 15, 16]), 0.9 ** np.array([3.0, 4, 5]), rtol=1e-6)  # as documented
    for phase in (lrax.Warmup(lrax.Linear(1.0, 0.0, 90), 10), lrax.warmup_cosine(1.0, warmup_steps=10, total_steps=100)):
        warmed = lrax.Cycle(phase, 0.5)
        late = rates_at(warmed, range(10**6, 10**6 + 11))
        assert late.max() == 1.0
        assert warmed(10**6 + 11) == late[0]
    assert lrax.Cycle(phase, 0.5).landmarks == [100, 150, 175, 188]
    parts = lrax.Cycle(lrax.wsd(1.0, warmup_steps=0.02, cooldown_steps=0.2, total_steps=100), 0.5)
    late = rates_at(parts, range(10**6, 10**6 + 6))  # a step for each part
    np.testing.assert_array_equal(late[:3], late[3:])
    assert late.min() < late.max() == 1.0


def test_cycle_landmarks() -> None:
    """The marks of a cycle are the counts at which it begins anew, however lengths are rounded."""
    phase = lrax.Linear(1.0, 0.0, 10)
    assert lrax.Cycle(phase, 1.05).landmarks == [10, 21, 32, 44]
    assert lrax.Cycle(phase, 1.05, rounding="each").landmarks == [10, 21, 33, 46]
    assert lrax.Cycle(phase, 1.05, rounding="none").landmarks == [10, 21, 32, 44]
    assert lrax.Cycle(phase, 0.5, min_steps=4).landmarks == [10, 15, 19, 23]
    assert lrax.Repeat(phase, 40).landmarks == [*range(10, 151, 10), 400]  # at most 16


def test_cycle_mistakes() -> None:
    """A smallest length above the first, and a rounding that a phase cannot have, are refused with what to do."""
    with pytest.raises(ValueError, match=r"Cycle: `min_steps` must be at most the first length \(10\), got 20"):
        lrax.Cycle(lrax.Linear(1.0, 0.0, 10), 0.5, min_steps=20)
    with pytest.raises(ValueError, match=r"Cycle: `rounding` must be 'nearest' or 'each' for a Warmup, got 'none'; only a"):
        lrax.Cycle(lrax.Warmup(lrax.Linear(1.0, 0.0, 10), 2), 1.5, rounding="none")
    with pytest.raises(ValueError, match=r"Cycle: `rounding` must be one of .*'each'.*, got 'up'"):
        lrax.Cycle(lrax.Linear(1.0, 0.0, 10), 1.5, rounding="up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Repeat: `schedule` must be a phase with a curve where `total_steps` is given"):
        lrax.Repeat(lrax.Warmup(lrax.Linear(1.0, 0.0, 10), 2), 3, 25)


def test_cycle_arguments_are_kept() -> None:
    """The rounding and the smallest length are shown, saved and read, and left out where they are the default."""
    cycle = lrax.Cycle(lrax.Linear(1.0, 0.0, 10), 0.95, rounding="each", min_steps=4)
    assert repr(cycle) == "Cycle(phase=Linear(start=1.0, end=0.0, steps=10), length_factor=0.95, rounding='each', min_steps=4)"
    assert lrax.from_json(lrax.to_json(cycle)) == cycle == eval(repr(cycle), vars(lrax))
    config = {"kind": "Cycle", "phase": {"kind": "Linear", "start": 1.0, "end": 0.0, "steps": 10}, "min_steps": 4}
    assert repr(lrax.from_config(config)) == "Cycle(phase=Linear(start=1.0, end=0.0, steps=10), min_steps=4)"
    assert [leaf.dtype for leaf in jax.tree.leaves(cycle)][-1] == np.int32


def test_repeat_in_so_many_steps() -> None:
    """Seven cycles in 100 steps are at each hundredth where fractions say, and then hold the end; another total moves them."""
    seven = lrax.Repeat(lrax.Linear(1.0, 0.0, 1), 7, 100)
    want = [1 - float(Fraction(7 * t, 100) % 1) for t in range(100)] + [0.0, 0.0]
    np.testing.assert_allclose(rates_at(seven, range(102)), want, rtol=1e-6)
    assert seven.length == 100
    assert seven.with_total_steps(300)(299) == lrax.Repeat(lrax.Linear(1.0, 0.0, 5), 7, 300)(299) < 0.03
    large = lrax.Repeat(lrax.Linear(1.0, 0.0, 1), 997, 2**31 - 1)
    counts = [2**31 - 2, 2**30, 10**9 + 7]
    want = [float(1 - Fraction(997 * t, 2**31 - 1) % 1) for t in counts]
    np.testing.assert_allclose(large(np.array(counts)), want, rtol=1e-6)


def test_wave() -> None:
    """A wave is at its top, its middle and its bottom where whole numbers say, at any count."""
    wave = lrax.schedules.Wave(2.0, 0.0, steps=5, waves=2)
    np.testing.assert_array_equal(rates_at(wave, [0, 5, 10**9, 2**31 - 3]), [2.0] * 4)
    slow = lrax.schedules.Wave(2.0, 0.0, steps=2**31 - 2)
    np.testing.assert_allclose(rates_at(slow, [2**30 - 1, 2**29, 2**31 - 2]), [0.0, 1.0, 2.0], rtol=1e-6)
    counts = np.random.default_rng(2).integers(0, 2**31, 64)
    odd = lrax.schedules.Wave(1.0, 0.25, steps=2_037_111_334, waves=677)
    want = [oracle.rate(odd, int(count)) for count in counts]
    np.testing.assert_allclose(odd(counts), want, rtol=1e-6)


def test_sequence_is_its_parts() -> None:
    """Each schedule runs from its own count 0; the last one holds its end."""
    parts = lrax.Linear(0.0, 1.0, 4), lrax.Hold(2.0, 3), lrax.Cosine(3.0, 0.0, 5)
    joined = np.concatenate([np.asarray(rates_at(part, range(part.length))) for part in parts])
    sequence = lrax.Sequence(*parts)
    np.testing.assert_array_equal(rates_at(sequence, range(12)), joined)
    assert sequence(12) == sequence(2**31 - 1) == 0.0
    assert sequence.length == 12


def test_sequence_may_end_without_end() -> None:
    """The last schedule may be endless; then the whole is."""
    sequence = lrax.Sequence(lrax.Linear(0.0, 1.0, 4), lrax.InverseSqrt(1.0))
    assert sequence.length is None
    np.testing.assert_allclose(rates_at(sequence, [4, 7]), [1.0, 0.5])


def test_shift() -> None:
    """A positive offset skips, a negative one holds the first rate; nothing wraps at the largest counts."""
    line = lrax.Linear(1.0, 0.0, 4)
    np.testing.assert_array_equal(rates_at(lrax.Shift(line, 1), range(4)), [0.75, 0.5, 0.25, 0])
    np.testing.assert_array_equal(rates_at(lrax.Shift(line, -2), range(4)), [1, 1, 1, 0.75])
    last = 2**31 - 1
    assert lrax.Shift(line, last)(last) == 0.0
    assert lrax.Shift(line, -last)(last) == 1.0
    assert (lrax.Shift(line, 1).length, lrax.Shift(line, -2).length, lrax.Shift(line, 9).length) == (3, 6, 0)


def test_scale_and_clip() -> None:
    """A multiple of a schedule, and one between two rates, keep its length."""
    line = lrax.Linear(0.0, 1.0, 4)
    np.testing.assert_array_equal(rates_at(lrax.Scale(line, 2.0), range(5)), [0, 0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(rates_at(lrax.Clip(line, 0.25, 0.5), range(5)), [0.25, 0.25, 0.5, 0.5, 0.5])
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
    up = rates_at(lrax.Warmup(lrax.Constant(1.0), 10, 0.1, mode), range(11))
    down = rates_at(lrax.Cooldown(lrax.Constant(1.0), 0, 10, 0.1, mode), range(11))
    np.testing.assert_allclose(up, down[::-1], rtol=1e-6)


def test_warmup_by_a_power() -> None:
    """A warm-up of another shape is a phase put first."""
    schedule = lrax.Sequence(lrax.schedules.Warp(lrax.Linear(0.0, 1.0, 4), 2.0), lrax.Constant(1.0))
    np.testing.assert_allclose(rates_at(schedule, range(6)), [0, 1 / 16, 1 / 4, 9 / 16, 1, 1], rtol=1e-6)


def test_warp_is_k_decay() -> None:
    """Timm's formula: half a cosine of (t / T) to the power k."""
    counts = np.arange(101)
    want = 0.01 + 0.5 * 0.29 * (1 + np.cos(np.pi * (counts / 100) ** 1.5))
    schedule = lrax.schedules.Warp(lrax.Cosine(0.3, 0.01, 100), 1.5)
    np.testing.assert_allclose(schedule(jnp.asarray(counts)), want, rtol=1e-5)
    assert schedule.length == 100
    assert lrax.Cycle(schedule, 2)(100) == schedule(0)


def test_repeats_of_one_step() -> None:
    """A schedule of one step begins anew at every step, and its end is held."""
    np.testing.assert_array_equal(rates_at(lrax.Repeat(lrax.Linear(1.0, 0.0, 1), 3), range(6)), [1, 1, 1, 0, 0, 0])


def test_repeat_then_something_else() -> None:
    """A repeat has a length, so a sequence can go on after it; lengths stop at 2**31 - 1."""
    repeated = lrax.Repeat(lrax.Linear(1.0, 0.0, 4), 3)
    assert repeated.length == 12
    sequence = lrax.Sequence(repeated, lrax.Constant(0.5))
    np.testing.assert_array_equal(rates_at(sequence, [8, 11, 12, 13]), [1, 0.25, 0.5, 0.5])
    assert lrax.Repeat(lrax.Linear(1.0, 0.0, 2**30), 5).length == 2**31 - 1


def test_stretch_counts_in_epochs() -> None:
    """A schedule by the epoch, run by the update."""
    schedule = lrax.Stretch(lrax.StepDecay(1.0, 0.5, every=2), every=100)
    np.testing.assert_array_equal(rates_at(schedule, [0, 199, 200, 399, 400]), [1, 1, 0.5, 0.5, 0.25])
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
