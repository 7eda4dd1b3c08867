"""Shares of a total, and plans that wait for theirs."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.fields._rules import Ratio, to_steps
from lrax.schedules._recipes import Recipe
from public_names import public
from schedule_case import rates_at

LARGEST = 2**31 - 1
WAITING: dict[str, Recipe] = {
    "warmup_cosine": lrax.warmup_cosine(0.1, warmup_steps=0.05),
    "warmup_linear": lrax.warmup_linear(0.1, warmup_steps=0.05),
    "wsd": lrax.wsd(0.1, warmup_steps=10, cooldown_steps=0.2, mode="cosine"),
    "wsd_s": lrax.wsd_s(0.1, ends=[0.25, 0.5], warmup_steps=0.01, cooldown_steps=0.1),
    "flat_cosine": lrax.flat_cosine(0.1, flat_steps=0.7),
    "inverse_sqrt": lrax.warmup_inverse_sqrt(0.1, 0.01, cooldown_steps=0.2),
    "inverse_sqrt, endless": lrax.warmup_inverse_sqrt(0.1, 0.01),
    "one_cycle_two_phase": lrax.schedules.one_cycle_two_phase(0.01, 0.1, 0.0, warmup_steps=0.3),
    "tri_stage": lrax.schedules.tri_stage(0.1, warmup_steps=0.1, hold_steps=0.4),
    "power": lrax.schedules.warmup_power(0.02, 0.01, 128, 2**19, cooldown_steps=0.1),
    "faded": lrax.schedules.faded(lrax.InverseSqrt(0.1), cooldown_steps=0.1),
}
LISTS: dict[str, Any] = {
    "MultiStep": lrax.MultiStep(0.1, 0.5, [0.6, 0.8]),
    "MultiStep, with a count": lrax.MultiStep(0.1, 0.5, [7, 0.6, 0.8]),
    "PiecewiseConstant": lrax.PiecewiseConstant([0.1, 0.5, 0.2], [0.25, 0.7]),
    "Piecewise": lrax.Piecewise([0.0, 0.5, 0.1], [0, 0.3, 1.0], "cosine"),
    "Spline": lrax.Spline([0.1, 0.5, 0.2], [2, 0.3, 1]),
    "joined": lrax.schedules.joined([lrax.Constant(0.1), lrax.Cosine(0.5, 0.1, 50), lrax.Constant(0.2)], [0.1, 0.9]),
}
WAITING |= LISTS
every_plan = pytest.mark.parametrize("plan", WAITING.values(), ids=WAITING)


@every_plan
def test_a_plan_waits_for_its_total(plan: Recipe) -> None:
    """One plan serves every length: given early, late, traced or as a batch, the total makes the same schedule."""
    with pytest.raises(
        ValueError, match=rf"{type(plan).__name__}: `total_steps` must be set .*plan.with_total_steps\(10_000\)"
    ):
        plan(0)
    with pytest.raises(ValueError, match="`total_steps` must be set"):
        _ = plan.length
    given = {name: getattr(plan, name) for name in plan._rules}
    assert plan.needs_total_steps
    counts = jnp.array([0, 1, 10, 50, 99, 100, 500, 999, 1000, 5000])
    totals = [400, 1000]
    want = [type(plan)(**{**given, "total_steps": total})(counts) for total in totals]
    for total, row in zip(totals, want, strict=True):
        np.testing.assert_array_equal(plan.with_total_steps(total)(counts), row)
        assert (
            plan.with_total_steps(7 * total).with_total_steps(total)
            == plan.with_total_steps(total)
            == dataclasses.replace(plan, total_steps=total)
        )
    traced = jax.jit(jax.vmap(lambda total: plan.with_total_steps(total)(counts)))(jnp.array(totals))
    np.testing.assert_allclose(traced, want, rtol=1e-6, atol=1e-9)
    assert lrax.from_json(lrax.to_json(plan)) == plan
    assert eval(repr(plan), public()) == plan
    assert "total_steps" not in repr(plan)


RESOLVED: dict[str, tuple[lrax.Schedule, lrax.Schedule]] = {
    "MultiStep": (lrax.MultiStep(0.1, 0.5, [0.6, 0.8]), lrax.MultiStep(0.1, 0.5, [601, 801])),
    "mixed": (lrax.MultiStep(0.1, 0.5, [100, 0.5, 900, 1.0]), lrax.MultiStep(0.1, 0.5, [100, 501, 900, 1001])),
    "PiecewiseConstant": (
        lrax.PiecewiseConstant([0.1, 0.5, 0.2], [0.25, 0.7]),
        lrax.PiecewiseConstant([0.1, 0.5, 0.2], [251, 701]),
    ),
    "Piecewise": (lrax.Piecewise([0.0, 0.5, 0.1], [0, 0.3, 1]), lrax.Piecewise([0.0, 0.5, 0.1], [0, 301, 1001])),
    "Spline": (lrax.Spline([0.0, 0.5, 0.1], [0, 0.3, 1.0]), lrax.Spline([0.0, 0.5, 0.1], [0, 301, 1001])),
    "joined": (
        lrax.schedules.joined([lrax.Constant(0.1), lrax.Cosine(0.5, 0.1, 50)], [0.1]),
        lrax.schedules.joined([lrax.Constant(0.1), lrax.Cosine(0.5, 0.1, 50)], [101]),
    ),
    "wsd_s, ends in counts": (
        lrax.wsd_s(1.0, ends=[130, 250], warmup_steps=0, cooldown_steps=0.1),
        lrax.wsd_s(1.0, ends=[130, 250], warmup_steps=0, cooldown_steps=101, total_steps=1001),
    ),
    "wsd_s, ends in both": (
        lrax.wsd_s(1.0, ends=[0.25, 300], warmup_steps=0.05, cooldown_steps=2),
        lrax.wsd_s(1.0, ends=[251, 300], warmup_steps=51, cooldown_steps=2, total_steps=1001),
    ),
    "scaled": (lrax.Scale(lrax.MultiStep(0.1, 0.5, [0.6]), 2), lrax.Scale(lrax.MultiStep(0.1, 0.5, [601]), 2)),
}


@pytest.mark.parametrize(("plan", "want"), RESOLVED.values(), ids=RESOLVED)
def test_a_list_of_shares_is_one_of_counts(plan: lrax.Schedule, want: lrax.Schedule) -> None:
    """Milestones as shares of a total are the counts that the shares are of it, rounded up, and the total is the length."""
    assert plan.needs_total_steps
    assert not want.needs_total_steps
    counts = [0, 99, 100, 101, 102, 250, 251, 300, 301, 500, 501, 600, 601, 700, 701, 800, 801, 899, 900, 1000, 1001]
    made = plan.with_total_steps(1001)
    np.testing.assert_array_equal(rates_at(made, counts), rates_at(want, counts))
    assert int(made.length) == 1001
    assert not made.needs_total_steps


def test_all_of_the_total_in_a_list() -> None:
    """After a fraction 1 is the whole total, as an int and as a float; [1] and [1.0, 2.0] are updates, as before."""
    for one in (1, 1.0):
        assert lrax.Piecewise([0, 1, 0], [0, 0.5, one]).with_total_steps(10).at().tolist() == [0, 5, 10]
    assert lrax.MultiStep(0.1, 0.5, [1]).at().tolist() == [1]
    assert lrax.MultiStep(0.1, 0.5, [1.0, 2.0]).at().tolist() == [1, 2]
    assert lrax.MultiStep(0.1, 0.5, [1, 0.5]).with_total_steps(10).at().tolist() == [1, 5]
    assert lrax.MultiStep(0.1, 0.5, [20_000_001, 0.5]).with_total_steps(10**9).at().tolist() == [20_000_001, 5 * 10**8]
    plan = lrax.MultiStep(0.1, 0.5, [3, 0.5, 1])
    assert lrax.from_json(lrax.to_json(plan)) == plan
    assert '"boundaries": [3, 0.5, 1.0]' in lrax.to_json(plan)


def test_lists_in_batches_and_traced() -> None:
    """A batch of lists of shares, a batch of totals, and traced shares are the separate schedules."""
    plan = lrax.MultiStep(0.1, 0.5, [0.6, 0.8])
    assert plan.with_total_steps(np.array([100, 200]))(70).tolist() == [
        plan.with_total_steps(100)(70),
        plan.with_total_steps(200)(70),
    ]
    both = lrax.MultiStep(0.1, 0.5, [[0.6, 0.8], [0.5, 70]], 100)(65)
    assert both.tolist() == [plan.with_total_steps(100)(65), lrax.MultiStep(0.1, 0.5, [50, 70])(65)]
    traced = jax.jit(lambda shares: lrax.MultiStep(0.1, 0.5, shares, 100)(jnp.array([59, 60, 80])))
    np.testing.assert_array_equal(traced(jnp.array([0.6, 0.8])), rates_at(plan.with_total_steps(100), [59, 60, 80]))
    lengths = lrax.warmup_cosine(0.1, warmup_steps=[0.1, 20.0], total_steps=100)
    assert lengths(jnp.array([10, 20])).tolist() == [np.float32(0.1)] * 2


def test_no_milestone_is_a_list_of_none() -> None:
    """An empty list of counts is accepted wherever a list of counts is."""
    counts = jnp.array([0, 5, 99])
    empty = {
        lrax.MultiStep(0.1, 0.5, []): lrax.Constant(0.1),
        lrax.PiecewiseConstant([0.1], []): lrax.Constant(0.1),
        lrax.schedules.joined([lrax.Cosine(0.1, 0.0, 9)], []): lrax.Cosine(0.1, 0.0, 9),
        lrax.wsd_s(0.1, ends=[], warmup_steps=5, cooldown_steps=10, total_steps=100): lrax.wsd(
            0.1, warmup_steps=5, cooldown_steps=10, total_steps=100
        ),
        lrax.Clock([8], []).to_steps(lrax.Cosine(0.1, 0.0, 99)): lrax.Clock(8).to_steps(lrax.Cosine(0.1, 0.0, 99)),
        lrax.from_config({"kind": "MultiStep", "start": 0.1, "factor": 0.5, "boundaries": []}): lrax.Constant(0.1),
    }
    for schedule, want in empty.items():
        np.testing.assert_array_equal(schedule(counts), want(counts))
    assert lrax.Clock([8], []).batch_size(3) == 8
    assert int(lrax.Clock([8], []).seen(3)) == 24


def test_an_endless_recipe_does_not_wait() -> None:
    """Where nothing needs a total there are rates without one."""
    assert lrax.warmup_inverse_sqrt(0.1, 100)(100) == np.float32(0.1)
    assert lrax.schedules.warmup_power(0.02, 100, 128, 2**19)(100) == np.float32(0.02)


@pytest.mark.parametrize("share", [0.1, 0.01, 0.2, 1 / 3, 0.5, 0.999, 0.0001, 0.7, 0.123])
def test_a_share_is_what_was_written_rounded_up(share: float) -> None:
    """A share of any total is that of `steps_for`, known or traced, in Python's, NumPy's or JAX's numbers."""
    totals = [1, 2, 3, 10, 99, 1000, 10_050, 10**6, 2**24 + 1, 10**9, LARGEST]
    fraction = Fraction(1, 3) if share == 1 / 3 else Fraction(str(share))
    want = [math.ceil(total * fraction) for total in totals]
    for number in (share, np.float32(share), np.float64(share), jnp.float32(share)):
        length = lrax.warmup_cosine(0.1, warmup_steps=number).warmup_steps
        assert [int(to_steps(length, np.int32(total))) for total in totals] == want
    traced = jax.jit(lambda share, total: to_steps(lrax.warmup_cosine(0.1, warmup_steps=share).warmup_steps, total))
    assert traced(share, jnp.array(totals)).tolist() == want
    if share != 1 / 3:
        assert [lrax.steps_for(fraction=share, total_steps=total) for total in totals] == want


def test_which_is_meant() -> None:
    """An int and a whole float from 2.0 on are updates, a float below 1 is a share, 0 and 0.0 are none, 1.0 is asked about."""
    number = lrax.warmup_cosine(0.1, warmup_steps=20, total_steps=1000)
    assert (
        lrax.warmup_cosine(0.1, warmup_steps=20.0, total_steps=1000)
        == number
        != lrax.warmup_cosine(0.1, warmup_steps=0.02, total_steps=1000)
    )
    np.testing.assert_array_equal(
        rates_at(lrax.warmup_cosine(0.1, warmup_steps=0.02, total_steps=1000), range(30)), rates_at(number, range(30))
    )
    assert lrax.warmup_cosine(0.1, warmup_steps=0.0, total_steps=1000) == lrax.warmup_cosine(
        0.1, warmup_steps=0, total_steps=1000
    )
    assert lrax.warmup_cosine(0.1, warmup_steps=1, total_steps=1000).warmup_steps == 1
    assert repr(lrax.sgdr(0.1, 0.0, 250, warmup_steps=0.1)) == "sgdr(peak=0.1, end=0.0, cycle_steps=250, warmup_steps=0.1)"
    np.testing.assert_array_equal(lrax.sgdr(0.1, 0.0, 250, warmup_steps=0.1)(25), np.float32(0.1))
    batch = lrax.warmup_cosine(0.1, warmup_steps=np.array([0.0, 0.02, 0.1]), total_steps=1000)
    peaks = jax.vmap(lambda one, count: one(count), in_axes=(jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, batch), 0))
    np.testing.assert_array_equal(peaks(batch, jnp.array([0, 20, 100])), np.full(3, np.float32(0.1)))


def test_traced_shares() -> None:
    """A traced float is a share; one outside [0, 1] is brought to the nearer end, and one update is left at least."""
    rate = jax.jit(jax.vmap(lambda share: lrax.warmup_cosine(0.1, warmup_steps=share, total_steps=100)(50)))
    want = [
        lrax.warmup_cosine(0.1, warmup_steps=0, total_steps=100)(50),
        lrax.warmup_cosine(0.1, warmup_steps=0.5, total_steps=100)(50),
    ]
    np.testing.assert_allclose(
        rate(jnp.array([-1.0, 0.0, 0.5, 1.0, 7.0])), [want[0], *want, 51 / 101 * 0.1, 51 / 101 * 0.1], 1e-6
    )


BAD: dict[str, tuple[Any, str]] = {
    "one": (
        lambda: lrax.wsd(0.1, warmup_steps=1.0, cooldown_steps=0.2, total_steps=100),
        "wsd: `warmup_steps` .* got 1.0; write warmup_steps=1 for one step",
    ),
    "more than all": (
        lambda: lrax.wsd(0.1, warmup_steps=0.5, cooldown_steps=0.6, total_steps=100),
        r"wsd: `cooldown_steps` .* left of the total \(0.5\), got 0.6",
    ),
    "more than all, waiting": (lambda: lrax.wsd(0.1, warmup_steps=0.5, cooldown_steps=0.6), r"`cooldown_steps` .* got 0.6"),
    "too long for this total": (
        lambda: lrax.wsd(0.1, warmup_steps=50, cooldown_steps=0.6).with_total_steps(100),
        "`cooldown_steps` must",
    ),
    "no whole": (
        lambda: lrax.wsd(0.1, warmup_steps=10.5, cooldown_steps=20, total_steps=100),
        "wsd: `warmup_steps` must be .* or a fraction of the total .* got 10.5",
    ),
    "a list out of order": (lambda: lrax.MultiStep(0.1, 0.5, [0.8, 0.6]), "MultiStep: `boundaries` .*; sort it"),
    "a list that repeats": (lambda: lrax.MultiStep(0.1, 0.5, [0.6, 0.6]), "MultiStep: `boundaries` .*; drop the repeats"),
    "a share for a list": (lambda: lrax.MultiStep(0.1, 0.5, 0.6), r"MultiStep: `boundaries` .*; give a list: \[0.6\]"),
    "neither a share nor whole": (lambda: lrax.MultiStep(0.1, 0.5, [0.6, 80.5]), "80.5 is not whole: round it"),
    "a negative share": (lambda: lrax.MultiStep(0.1, 0.5, [-0.6, 0.8]), "counts begin at 0"),
    "one before shares": (lambda: lrax.MultiStep(0.1, 0.5, [1.0, 0.8]), r"write \[1\] for one step"),
    "one alone in a list": (lambda: lrax.MultiStep(0.1, 0.5, [1.0]), r"write \[1\] for one step"),
    "out of order over this total": (
        lambda: lrax.MultiStep(0.1, 0.5, [0.6, 80]).with_total_steps(1000),
        r"MultiStep: `boundaries` must be in order over this total, where they are \[600, 80\], got \[0.6, 80\]",
    ),
    "joined out of order over this total": (
        lambda: lrax.schedules.joined([lrax.Constant(0.1)] * 3, [0.6, 80]).with_total_steps(1000),
        r"joined: `boundaries` must be in order over this total, where they are \[600, 80\]",
    ),
    "no shares and no total": (
        lambda: lrax.MultiStep(0.1, 0.5, [60, 80]).with_total_steps(100),
        "MultiStep: `with_total_steps` must be",
    ),
    "ends too near, waiting": (
        lambda: lrax.wsd_s(0.1, ends=[0.5, 0.6], warmup_steps=0, cooldown_steps=0.3),
        r"distance between ends \(0.1 of the total\)",
    ),
    "ends too near for this total": (
        lambda: lrax.wsd_s(0.1, ends=[13, 25], warmup_steps=0, cooldown_steps=0.1).with_total_steps(500),
        r"distance between ends \(12\)",
    ),
    "tiny": (
        lambda: lrax.warmup_cosine(0.1, warmup_steps=1e-6, total_steps=100),
        "got 1e-06; the smallest fraction is 1/32768",
    ),
    "a ratio of numbers too large": (
        lambda: lrax.from_config({"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": {"ratio": [1, 40_000]}}),
        "warmup_cosine: `warmup_steps` must be",
    ),
    "a ratio above 1": (
        lambda: lrax.warmup_cosine(0.1, warmup_steps=Ratio(np.int32(3), np.int32(2)), total_steps=100),
        "`warmup_steps` must be",
    ),
    "a share in the place of the total": (
        lambda: lrax.wsd(0.1, warmup_steps=0.2, cooldown_steps=0.1, total_steps=0.01),
        "wsd: `total_steps` .* set it later",
    ),
    "not given": (
        lambda: lrax.wsd(0.1, warmup_steps=0.1),
        r"`cooldown_steps` is missing; it is wsd\(peak, warmup_steps, cool",
    ),
    "no total to give": (lambda: lrax.StepDecay(0.1, 0.5, 30).with_total_steps(100), "StepDecay: `with_total_steps` must be"),
    "a bad total": (
        lambda: lrax.warmup_cosine(0.1, warmup_steps=5).with_total_steps(0.5),
        "with_total_steps: `total_steps` must be a whole number",
    ),
    "extended": (
        lambda: lrax.extend(lrax.wsd(0.1, warmup_steps=0.1, cooldown_steps=0.1), 100, 5),
        "`total_steps` must be set",
    ),
    "an end before the peak": (
        lambda: lrax.wsd_s(0.1, ends=[10], warmup_steps=5, cooldown_steps=6, total_steps=100),
        "wsd_s: `cooldown_steps` .* at most .* .5.",
    ),
    "an end past the total": (
        lambda: lrax.wsd_s(0.1, ends=[10, 100], warmup_steps=0, cooldown_steps=6, total_steps=100),
        "wsd_s: `ends` must be rising, and less than .*100",
    ),
    "ends that fall": (
        lambda: lrax.wsd_s(0.1, ends=[0.5, 0.2], warmup_steps=0, cooldown_steps=6, total_steps=100),
        "wsd_s: `ends` must be a list of counts, or of fractions",
    ),
}


@pytest.mark.parametrize(("make", "says"), BAD.values(), ids=BAD)
def test_shares_that_do_not_fit_say_so(make: Any, says: str) -> None:
    """What is no share, or does not fit, is an error that names it."""
    with pytest.raises((TypeError, ValueError), match=says):
        make()


def test_a_sweep_over_lengths() -> None:
    """A plan is a value, so a sweep gives each lane its own length, or its own plan."""

    def train(schedule: lrax.Schedule) -> jax.Array:
        return jax.lax.fori_loop(0, 40, lambda count, total: total + schedule(count), 0.0)

    plan = lrax.warmup_linear(0.1, warmup_steps=0.1)
    lengths = lrax.sweep(train, plan.with_total_steps(jnp.array([20, 40])))
    both = lrax.sweep(train, [plan.with_total_steps(20), lrax.warmup_linear(0.1, warmup_steps=2, total_steps=20)])
    np.testing.assert_allclose(lengths, [1.0, 2.0], atol=0.1)
    np.testing.assert_allclose(both, [lengths[0]] * 2, rtol=1e-6)


def test_traced_ends() -> None:
    """Ends that are traced, in counts and as shares, are those that are known."""
    want = rates_at(lrax.wsd_s(1.0, ends=[25, 50], warmup_steps=5, cooldown_steps=10, total_steps=100), range(100))
    for ends in (jnp.array([25, 50]), jnp.array([0.25, 0.5])):
        traced = jax.jit(
            lambda ends: lrax.wsd_s(1.0, ends=ends, warmup_steps=5, cooldown_steps=10, total_steps=100)(jnp.arange(100))
        )(ends)
        np.testing.assert_allclose(traced, want, rtol=1e-6, atol=1e-9)
        waiting = jax.jit(
            lambda ends: lrax.wsd_s(1.0, ends=ends, warmup_steps=5, cooldown_steps=10).with_total_steps(100)(jnp.arange(100))
        )
        np.testing.assert_allclose(waiting(ends), want, rtol=1e-6, atol=1e-9)


def test_a_total_reaches_plans_inside() -> None:
    """`with_total_steps` of a sum, a product or a faded schedule gives the total to the plans inside that need it."""
    plan, whole = (lrax.warmup_cosine(0.1, warmup_steps=0.1, total_steps=total) for total in (None, 100))
    counts = jnp.array([0, 10, 50, 99, 100])
    for around in (
        lambda inner: lrax.Product(lrax.InverseSqrt(1.0), inner),
        lambda inner: lrax.Sum(inner, lrax.Constant(0.1)),
        lambda inner: lrax.schedules.faded(inner, cooldown_steps=0.2, total_steps=100),
        lambda inner: lrax.Scale(lrax.Maximum(inner, lrax.Constant(0.01)), 2.0),
    ):
        assert around(plan).needs_total_steps
        assert around(plan).with_total_steps(100) == around(whole)
        np.testing.assert_array_equal(around(plan).with_total_steps(100)(counts), around(whole)(counts))
    with pytest.raises(ValueError, match="Sum: `with_total_steps` must be"):
        lrax.Sum(lrax.Linear(0.1, 0.0, 10), lrax.Constant(0.1)).with_total_steps(100)


def test_no_cool_down_of_an_endless_decay() -> None:
    """A cool-down of no steps, with a total or without, leaves the decay as it is; a total is its length."""
    endless = lrax.warmup_inverse_sqrt(0.1, 100)
    for none in (None, 0, 0.0, np.int32(0)):
        assert lrax.warmup_inverse_sqrt(0.1, 100, cooldown_steps=none) == endless
        ends = lrax.warmup_inverse_sqrt(0.1, 100, cooldown_steps=none, total_steps=1000)
        assert ends.length == 1000
        np.testing.assert_array_equal(rates_at(ends, [0, 100, 900]), rates_at(endless, [0, 100, 900]))
