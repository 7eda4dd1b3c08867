"""A change of plan leaves the past alone and ends where it should."""

import fractions
import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.schedules._intmath import multiply_divide
from schedule_cases import CASES, Case, each, rates_at

LARGEST = 2**31 - 1
ENDING = {name: case for name, case in CASES.items() if getattr(case.build(), "length", None) is not None}


@each(ENDING)
@pytest.mark.parametrize("mode", ["stretch", pytest.param("hold", marks=pytest.mark.slow)])
def test_extend_keeps_the_past_and_ends_at_the_end(case: Case, mode: str) -> None:
    """Whatever has a length can be extended: equal up to `at`, at its old end at the new one, and it stays there."""
    plan = case.build()
    length = int(plan.length)
    at = length // 2
    longer = lrax.extend(plan, total_steps=2 * length + 7, at=at, mode=mode)
    past = np.linspace(0, at, 16).astype(np.int32)
    np.testing.assert_array_max_ulp(np.asarray(longer(past)), np.asarray(plan(past)), maxulp=2)
    ends = np.array([2 * length + 7, 2 * length + 8] + [LARGEST] * 14)
    np.testing.assert_allclose(longer(ends), np.full(16, plan(np.full(16, length))), rtol=1e-6)
    assert int(longer.length) == 2 * length + 7


def test_the_past_is_the_same_bit_for_bit() -> None:
    """Evaluated one count at a time, as a training loop does, no rate of the past changes at all."""
    plan = lrax.warmup_cosine(0.5, warmup_steps=5, total_steps=60, end=0.01)
    changed = [lrax.extend(plan, 100, at=30), lrax.extend(plan, 100, at=30, mode="hold"), lrax.branch(plan, 40, at=30)]
    for count in range(31):
        assert {float(new(count)) for new in changed} == {float(plan(count))}


def test_a_stretched_line_is_a_line() -> None:
    """The rest of a straight line, stretched, is the straight line to the new end."""
    longer = lrax.extend(lrax.Linear(1.0, 0.0, steps=100), total_steps=1050, at=50)
    np.testing.assert_allclose(rates_at(longer, range(50, 1051)), np.linspace(0.5, 0, 1001), rtol=1e-5, atol=1e-7)


def test_a_held_rest_is_the_old_rest() -> None:
    """With `hold` a warmup-stable-decay schedule stays stable for longer, and its cool-down keeps its length."""
    plan = lrax.wsd(0.1, warmup_steps=10, cooldown_steps=200, total_steps=1000)
    longer = lrax.extend(plan, total_steps=1500, at=700, mode="hold")
    want = lrax.wsd(0.1, warmup_steps=10, cooldown_steps=200, total_steps=1500)
    np.testing.assert_allclose(rates_at(longer, range(1600)), rates_at(want, range(1600)), rtol=1e-6, atol=1e-9)


def test_extending_twice() -> None:
    """A plan that was changed can be changed again."""
    plan = lrax.extend(lrax.Cosine(1.0, 0.0, steps=100), total_steps=200, at=50)
    again = lrax.branch(lrax.extend(plan, total_steps=300, at=120), total_steps=200, at=150)
    np.testing.assert_array_equal(rates_at(again, range(121)), rates_at(plan, range(121)))
    assert again(200) == 0


def test_an_infinite_neighbour_spoils_no_finite_value() -> None:
    """Where a count of the new plan meets one of the old plan, its value is the old one, whatever follows."""
    explodes = lrax.schedules.Until(lambda count: jnp.where(count > 6, jnp.inf, 0.5), 10)
    longer = lrax.extend(explodes, total_steps=18, at=2)
    assert longer(10) == 0.5  # count 10 is the old count 6, exactly
    assert longer(11) == np.inf


@pytest.mark.parametrize("mode", ["stretch", "hold"])
def test_nothing_is_left_to_extend(mode: Any) -> None:
    """From its end on a schedule is held, whenever the new run ends; so is its gradient."""
    value, slope = jax.value_and_grad(lambda end: lrax.schedules.Extension(lrax.Linear(1.0, end, 10), 15, 15, mode)(20))(0.25)
    assert (value, slope) == (0.25, 1.0)


@pytest.mark.parametrize("length", [10**5, 2 * 10**7, LARGEST - 10**6])
def test_long_extensions_are_exact(length: int) -> None:
    """Near the largest lengths the position is exact: a line stays within a few float32 ulp of the exact rational value."""
    begin, total = length // 3, length + 10**6 - 7
    longer = lrax.extend(lrax.Linear(1.0, 0.0, steps=length), total_steps=total, at=begin)
    counts = np.unique([begin, begin + 1, total - 1, total, *np.random.default_rng(0).integers(begin, total, 200)])
    for count, got in zip(counts, np.asarray(longer(counts)), strict=True):
        position = begin + fractions.Fraction(int(count) - begin) * (length - begin) / (total - begin)
        np.testing.assert_allclose(got, float(1 - position / length), rtol=8 * 2**-23)


def test_multiply_divide() -> None:
    """Quotients and remainders of 62-bit products are those of Python's integers."""
    draw = random.Random(0)
    cases = [(LARGEST, LARGEST, LARGEST), (LARGEST, LARGEST - 1, LARGEST), (0, 0, 1), (1, 1, 1), (5, 0, 3)]
    for _ in range(300):
        divisor = draw.randint(1, 2 ** draw.randint(1, 31) - 1)
        cases.append((draw.randint(0, 2 ** draw.randint(1, 31) - 1), draw.randint(0, divisor), divisor))
    a, b, divisor = (np.array(column, np.int32) for column in zip(*cases, strict=True))
    quotient, remainder = jax.jit(multiply_divide)(a, b, divisor)
    want = [divmod(x * y, z) for x, y, z in cases]
    np.testing.assert_array_equal(quotient, [q for q, _ in want])
    np.testing.assert_array_equal(remainder, [r for _, r in want])


def test_branches_of_one_run() -> None:
    """Each branch leaves the stable phase at its own count, for a batch of them too."""
    stable = lrax.Warmup(lrax.Constant(0.1), 10)
    branches = jax.vmap(lambda at: lrax.branch(stable, at + 50, at))(jnp.array([100, 200]))
    got = jax.vmap(lambda one: one(jnp.array([99, 125, 150, 199, 225, 250])))(branches)
    np.testing.assert_allclose(got, [[0.1, 0.05, 0, 0, 0, 0], [0.1, 0.1, 0.1, 0.1, 0.05, 0]], rtol=1e-6, atol=1e-8)


PLAN = lrax.Cosine(1.0, 0.1, steps=100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: lrax.extend(PLAN, 100, at=50), r"extend: `total_steps` must be more than the 100 of the plan so far, got 100"),
        (lambda: lrax.extend(PLAN, 200, at=100), r"extend: `at` must be before the end of the plan, which is at 100"),
        (lambda: lrax.extend(PLAN, 200, at=-1), r"`begin` must be a whole number of steps, at least 0, got -1"),
        (
            lambda: lrax.extend(lrax.Constant(0.1), 200, at=1),
            r"a schedule with a length.*an endless schedule needs no",
        ),
        (lambda: lrax.extend(PLAN, 200, at=1, mode="slow"), r"`mode` must be one of 'stretch', 'hold'"),
        (lambda: lrax.branch(PLAN, 50, at=50), r"branch: `total_steps` must be more than `at` \(50\)"),
        (lambda: lrax.branch(PLAN, 200, at=150), r"branch: `at` must be before the end of the plan, which is at 100"),
        (
            lambda: lrax.branch(PLAN, 80, at=50, end=0.9),
            r"branch: `end` must be at most the learning rate .* 50.*does not climb",
        ),
    ],
)
def test_plans_that_make_no_sense(change: Any, message: str) -> None:
    """A change that would shorten, climb or come too late is an error that says so."""
    with pytest.raises(ValueError, match=message):
        change()


def test_a_branch_that_stays() -> None:
    """A cool-down may end at the learning rate that it begins at."""
    stable = lrax.Warmup(lrax.Constant(0.5), 10)
    np.testing.assert_array_equal(rates_at(lrax.branch(stable, 120, at=100, end=0.5), [100, 110, 120]), [0.5] * 3)
