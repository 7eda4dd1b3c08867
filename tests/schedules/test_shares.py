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
from lrax.fields._ratio import Ratio
from lrax.fields._shares import updates
from lrax.schedules._recipe import Recipe
from public_names import public
from schedule_case import rates

LARGEST = 2**31 - 1
WAITING: dict[str, Recipe] = {
    "warmup_cosine": lrax.warmup_cosine(0.1, warmup_steps=0.05),
    "warmup_linear": lrax.warmup_linear(0.1, warmup_steps=0.05),
    "wsd": lrax.wsd(0.1, warmup_steps=10, cooldown_steps=0.2, mode="cosine"),
    "wsd_s": lrax.wsd_s(0.1, ends=[0.25, 0.5], warmup_steps=0.01, cooldown_steps=0.1),
    "flat_cosine": lrax.flat_cosine(0.1, flat_steps=0.7),
    "inverse_sqrt": lrax.inverse_sqrt(0.1, 0.01, cooldown_steps=0.2),
    "inverse_sqrt, endless": lrax.inverse_sqrt(0.1, 0.01),
    "one_cycle_two_phase": lrax.schedules.one_cycle_two_phase(0.01, 0.1, 0.0, warmup_steps=0.3),
    "tri_stage": lrax.schedules.tri_stage(0.1, warmup_steps=0.1, hold_steps=0.4),
    "power": lrax.schedules.power(0.02, 0.01, 128, 2**19, cooldown_steps=0.1),
    "faded": lrax.schedules.faded(lrax.InverseSqrt(0.1), cooldown_steps=0.1),
}
every_plan = pytest.mark.parametrize("plan", WAITING.values(), ids=WAITING)


@every_plan
def test_a_plan_waits_for_its_total(plan: Recipe) -> None:
    """One plan serves every length: given early, late, traced or as a batch, the total makes the same schedule."""
    with pytest.raises(ValueError, match=rf"{type(plan).__name__}: `total_steps` must be known .*plan.over\(10_000\)"):
        plan(0)
    with pytest.raises(ValueError, match="`total_steps` must be known"):
        _ = plan.length
    given = {name: getattr(plan, name) for name in plan._rules}
    counts = jnp.array([0, 1, 10, 50, 99, 100, 500, 999, 1000, 5000])
    totals = [400, 1000]
    want = [rates(type(plan)(**{**given, "total_steps": total}), counts) for total in totals]
    for total, row in zip(totals, want, strict=True):
        np.testing.assert_array_equal(rates(plan.over(total), counts), row)
        assert plan.over(7 * total).over(total) == plan.over(total) == dataclasses.replace(plan, total_steps=total)
    traced = jax.jit(jax.vmap(lambda total: plan.over(total)(counts)))(jnp.array(totals))
    np.testing.assert_allclose(traced, want, rtol=1e-6, atol=1e-9)
    assert lrax.from_json(lrax.to_json(plan)) == plan
    assert eval(repr(plan), public()) == plan
    assert "total_steps" not in repr(plan)


def test_an_endless_recipe_does_not_wait() -> None:
    """Where nothing needs a total there are rates without one."""
    assert lrax.inverse_sqrt(0.1, 100)(100) == np.float32(0.1)
    assert lrax.schedules.power(0.02, 100, 128, 2**19)(100) == np.float32(0.02)


@pytest.mark.parametrize("share", [0.1, 0.01, 0.2, 1 / 3, 0.5, 0.999, 0.0001, 0.7, 0.123])
def test_a_share_is_what_was_written_rounded_up(share: float) -> None:
    """A share of any total is that of `steps_for`, known or traced, in Python's, NumPy's or JAX's numbers."""
    totals = [1, 2, 3, 10, 99, 1000, 10_050, 10**6, 2**24 + 1, 10**9, LARGEST]
    fraction = Fraction(1, 3) if share == 1 / 3 else Fraction(str(share))
    want = [math.ceil(total * fraction) for total in totals]
    for number in (share, np.float32(share), np.float64(share), jnp.float32(share)):
        length = lrax.warmup_cosine(0.1, warmup_steps=number).warmup_steps
        assert [int(updates(length, np.int32(total))) for total in totals] == want
    traced = jax.jit(lambda share, total: updates(lrax.warmup_cosine(0.1, warmup_steps=share).warmup_steps, total))
    assert traced(share, jnp.array(totals)).tolist() == want
    if share != 1 / 3:
        assert [lrax.steps_for(fraction=share, total_steps=total) for total in totals] == want


def test_which_is_meant() -> None:
    """An int and a whole float from 2.0 on are updates, a float below 1 is a share, 0 and 0.0 are none, 1.0 is asked about."""
    number = lrax.warmup_cosine(0.1, 1000, 20)
    assert lrax.warmup_cosine(0.1, 1000, 20.0) == number != lrax.warmup_cosine(0.1, 1000, 0.02)
    np.testing.assert_array_equal(lrax.warmup_cosine(0.1, 1000, 0.02)(jnp.arange(30)), number(jnp.arange(30)))
    assert lrax.warmup_cosine(0.1, 1000, 0.0) == lrax.warmup_cosine(0.1, 1000, 0)
    assert lrax.warmup_cosine(0.1, 1000, 1).warmup_steps == 1
    assert repr(lrax.sgdr(0.1, 0.0, 250, warmup_steps=0.1)) == "sgdr(peak=0.1, end=0.0, cycle_steps=250, warmup_steps=0.1)"
    np.testing.assert_array_equal(lrax.sgdr(0.1, 0.0, 250, warmup_steps=0.1)(25), np.float32(0.1))
    batch = lrax.warmup_cosine(0.1, 1000, np.array([0.0, 0.02, 0.1]))
    peaks = jax.vmap(lambda one, count: one(count), in_axes=(jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, batch), 0))
    np.testing.assert_array_equal(peaks(batch, jnp.array([0, 20, 100])), np.full(3, np.float32(0.1)))


def test_traced_shares() -> None:
    """A traced float is a share; one outside [0, 1] is brought to the nearer end, and one update is left at least."""
    rate = jax.jit(jax.vmap(lambda share: lrax.warmup_cosine(0.1, 100, share)(50)))
    want = [lrax.warmup_cosine(0.1, 100, 0)(50), lrax.warmup_cosine(0.1, 100, 0.5)(50)]
    np.testing.assert_allclose(
        rate(jnp.array([-1.0, 0.0, 0.5, 1.0, 7.0])), [want[0], *want, 51 / 101 * 0.1, 51 / 101 * 0.1], 1e-6
    )


BAD: dict[str, tuple[Any, str]] = {
    "one": (lambda: lrax.wsd(0.1, 100, 1.0, 0.2), "wsd: `warmup_steps` .* got 1.0; write warmup_steps=1 for one update"),
    "more than all": (lambda: lrax.wsd(0.1, 100, 0.5, 0.6), r"wsd: `cooldown_steps` .* left of the total \(0.5\), got 0.6"),
    "more than all, waiting": (lambda: lrax.wsd(0.1, warmup_steps=0.5, cooldown_steps=0.6), r"`cooldown_steps` .* got 0.6"),
    "too long for this total": (lambda: lrax.wsd(0.1, warmup_steps=50, cooldown_steps=0.6).over(100), "`cooldown_steps` must"),
    "no whole": (lambda: lrax.wsd(0.1, 100, 10.5, 20), "wsd: `warmup_steps` must be .* or a share of the total .* got 10.5"),
    "both in one list": (lambda: lrax.warmup_cosine(0.1, 100, [0.1, 20.0]), "all are shares, or none is"),
    "tiny": (lambda: lrax.warmup_cosine(0.1, 100, 1e-6), "got 1e-06; the smallest share is 1/32768"),
    "a ratio of numbers too large": (
        lambda: lrax.from_config({"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": {"ratio": [1, 40_000]}}),
        "warmup_cosine: `warmup_steps` must be",
    ),
    "a ratio above 1": (lambda: lrax.warmup_cosine(0.1, 100, Ratio(np.int32(3), np.int32(2))), "`warmup_steps` must be"),
    "a share in the place of the total": (lambda: lrax.wsd(0.1, 0.01, 0.2, 0.1), "wsd: `total_steps` .* by name"),
    "not given": (
        lambda: lrax.wsd(0.1, warmup_steps=0.1),
        r"`cooldown_steps` is missing; it is wsd\(peak, total_steps=None, w",
    ),
    "no total to give": (lambda: lrax.StepDecay(0.1, 0.5, 30).over(100), "StepDecay: `over.total_steps.` must be"),
    "a bad total": (lambda: lrax.warmup_cosine(0.1, warmup_steps=5).over(0.5), "over: `total_steps` must be a whole number"),
    "extended": (
        lambda: lrax.extend(lrax.wsd(0.1, warmup_steps=0.1, cooldown_steps=0.1), 100, 5),
        "`total_steps` must be known",
    ),
    "an end before the peak": (lambda: lrax.wsd_s(0.1, 100, [10], 5, 6), "wsd_s: `cooldown_steps` .* at most .* .5."),
    "an end past the total": (
        lambda: lrax.wsd_s(0.1, 100, [10, 100], 0, 6),
        "wsd_s: `ends` must be rising, and less than .*100",
    ),
    "ends that fall": (lambda: lrax.wsd_s(0.1, 100, [0.5, 0.2], 0, 6), "wsd_s: `ends` must be a list of counts, or of shares"),
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
    lengths = lrax.sweep(train, plan.over(jnp.array([20, 40])))
    both = lrax.sweep(train, [plan.over(20), lrax.warmup_linear(0.1, 20, 2)])
    np.testing.assert_allclose(lengths, [1.0, 2.0], atol=0.1)
    np.testing.assert_allclose(both, [lengths[0]] * 2, rtol=1e-6)
