"""Recipes: the tutorials' own numbers, and totals that include the warm-up."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import enable_x64
from schedule_case import rates_at


def test_tutorial_one_cycle() -> None:
    """Tutorial 2: 0.1 to 0.5 and back over 500 iterations, then down to 0.001 over 750."""
    schedule = lrax.Shift(lrax.one_cycle(0.1, 0.5, 500, 750, 0.001), 1)
    want = [0.3, 0.5, 0.3, 0.1, (0.1 + 0.001) / 2, 0.001, 0.001]
    np.testing.assert_allclose(rates_at(schedule, [124, 249, 374, 499, 874, 1249, 1499]), want, rtol=1e-6)


def test_tutorial_one_cycle_alone() -> None:
    """Without a cool-down the low rate is held."""
    schedule = lrax.one_cycle(0.1, 0.5, 500)
    np.testing.assert_allclose(rates_at(schedule, [0, 250, 500, 999]), [0.1, 0.5, 0.1, 0.1], rtol=1e-6)


def test_warmup_cosine() -> None:
    """The first update moves, the peak is at `warmup_steps`, the end at `total_steps`."""
    schedule = lrax.warmup_cosine(0.3, warmup_steps=500, total_steps=5000)
    rates = rates_at(schedule, range(5002))
    assert rates[0] == np.float32(0.3 / 501)
    assert (rates.argmax(), rates.max()) == (500, np.float32(0.3))
    assert (rates[4999] > 0, rates[5000], rates[5001]) == (True, 0.0, 0.0)
    assert schedule.length == 5000


def test_wsd() -> None:
    """Up, flat, and down to the end at `total_steps`."""
    schedule = lrax.wsd(0.5, warmup_steps=4, cooldown_steps=20, total_steps=100)
    np.testing.assert_allclose(rates_at(schedule, [0, 4, 80, 90, 100, 200]), [0.1, 0.5, 0.5, 0.25, 0, 0], rtol=1e-6)


def test_cyclical_and_sgdr() -> None:
    """Triangles and cosines again and again, lower each time if asked."""
    np.testing.assert_allclose(rates_at(lrax.cyclical(0.5, 2.0, 500), [0, 250, 500, 750]), [0.5, 2, 0.5, 2], rtol=1e-6)
    np.testing.assert_allclose(rates_at(lrax.sgdr(2.0, 0.01, 250, 2, 0.5), [0, 250, 750]), [2, 1, 0.5], rtol=1e-6)


def test_wsd_with_every_shape() -> None:
    """Each cool-down shape leads from the peak to the end."""
    for mode in ("linear", "cosine", "polynomial", "one_minus_sqrt", "one_minus_square", "relaxation", "rex", "tanh"):
        rates = rates_at(
            lrax.wsd(0.5, warmup_steps=4, cooldown_steps=20, total_steps=100, end=0.0, mode=mode), [4, 80, 90, 100]
        )
        np.testing.assert_allclose(rates[jnp.array([0, 1, 3])], [0.5, 0.5, 0.0])
        assert 0 < rates[2] < 0.5


def test_cyclical_policies() -> None:
    """triangular2 halves the height every cycle, exp_range decays it by the update, and any function of the cycle scales it."""
    counts = np.arange(3000)
    cycle, height = counts // 500, np.minimum(counts % 500, 500 - counts % 500) / 250
    policies = {
        "triangular2": (lrax.cyclical(1.0, 2.0, 500, amplitude_factor=0.5), 0.5**cycle),
        "exp_range": (lrax.cyclical(1.0, 2.0, 500, amplitude=lrax.Exponential(1.0, 0.999)), 0.999**counts),
        "of the cycle": (
            lrax.cyclical(1.0, 2.0, 500, amplitude=lrax.Stretch(lambda k: 1 / (1 + k.astype(jnp.float32)), 500)),
            1 / (1 + cycle),
        ),
    }
    for schedule, scale in policies.values():
        np.testing.assert_allclose(schedule(jnp.asarray(counts)), 1 + height * scale, rtol=1e-5)


def test_one_cycle_with_cosines_and_its_momentum() -> None:
    """Three phases of cosines; the momentum is lowest where the rate is highest."""
    rate = lrax.one_cycle(0.1, 0.5, 500, 750, 0.001, rise=0.3, mode="cosine")
    momentum = lrax.one_cycle_momentum(0.85, 0.95, 500, rise=0.3, mode="cosine")
    counts = jnp.arange(501)
    assert rate(counts).argmax() == momentum(counts).argmin() == 150
    np.testing.assert_allclose(rates_at(rate, [0, 75, 150, 325, 500, 1250]), [0.1, 0.3, 0.5, 0.3, 0.1, 0.001], rtol=1e-6)
    np.testing.assert_allclose((0.95 - momentum(counts)) / 0.1, (rate(counts) - 0.1) / 0.4, rtol=0, atol=1e-5)


def test_one_cycle_two_phase() -> None:
    """Up to the peak at `warmup_steps`, down to the end at `total_steps`; straight lines if asked."""
    cosine = lrax.schedules.one_cycle_two_phase(0.01, 0.25, 0.0, warmup_steps=30, total_steps=100)
    np.testing.assert_allclose(rates_at(cosine, [0, 15, 30, 65, 100, 200]), [0.01, 0.13, 0.25, 0.125, 0, 0], rtol=1e-6)
    line = lrax.schedules.one_cycle_two_phase(0.0, 0.3, 0.1, warmup_steps=30, total_steps=100, mode="linear")
    np.testing.assert_allclose(rates_at(line, [0, 10, 30, 65, 100]), [0, 0.1, 0.3, 0.2, 0.1], rtol=1e-6)


def test_inverse_sqrt_and_noam() -> None:
    """The Transformer's formula at step t = count + 1; a cool-down leads to the end at `total_steps`."""
    steps = np.arange(1, 20_000, 37)
    want = 512**-0.5 * np.minimum(steps**-0.5, steps * 4000**-1.5)
    np.testing.assert_allclose(lrax.noam(512, 4000)(jnp.asarray(steps - 1)), want, rtol=1e-6)
    schedule = lrax.warmup_inverse_sqrt(0.1, 100, timescale=50, total_steps=1000, cooldown_steps=600, end=0.001)
    at = 0.1 / np.sqrt(1 + 300 / 50)
    np.testing.assert_allclose(
        rates_at(schedule, [0, 100, 400, 700, 1000]), [0.1 / 101, 0.1, at, (at + 0.001) / 2, 0.001], rtol=1e-6
    )


def test_flat_cosine() -> None:
    """Flat, then half a cosine."""
    np.testing.assert_allclose(
        rates_at(lrax.flat_cosine(0.1, flat_steps=50, total_steps=100), [0, 50, 75, 100]), [0.1, 0.1, 0.05, 0], rtol=1e-6
    )


def test_warm_restarts_with_a_warmup_each() -> None:
    """Each cycle climbs for the same number of updates, then falls; its length, warm-up included, doubles."""
    schedule = lrax.sgdr(1.0, 0.0, 10, 2, 0.5, warmup_steps=3)
    np.testing.assert_allclose(rates_at(schedule, [0, 1, 2, 3]), [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(rates_at(schedule, [10, 11, 12, 13, 30, 33]), [0.125, 0.25, 0.375, 0.5, 0.0625, 0.25])
    assert 0 < schedule(29) < 0.01


def test_recipes_take_traced_lengths() -> None:
    """Every argument may be traced, lengths included; too long a warm-up, which is then not seen, leaves one update."""
    rates = jax.jit(lambda total, warm: lrax.warmup_cosine(0.3, warmup_steps=warm, total_steps=total)(jnp.array([0, 4, 20])))
    np.testing.assert_allclose(
        rates(20, 4), rates_at(lrax.warmup_cosine(0.3, warmup_steps=4, total_steps=20), [0, 4, 20]), rtol=1e-6
    )
    assert np.isfinite(rates(20, 50)).all()


def test_tri_stage_is_fairseq_s() -> None:
    """Its three stages from the ratio of phases and the scales of the peak, then its final rate."""
    total, ratio, peak, first, last = 1000, (0.1, 0.4, 0.5), 0.3, 0.02, 0.05
    warm, hold, decay = (int(total * part) for part in ratio)
    steps = np.arange(1200)
    want = np.select(
        [steps < warm, steps < warm + hold, steps <= total],
        [peak * (first + (1 - first) * steps / warm), peak, peak * np.exp(np.log(last) * (steps - warm - hold) / decay)],
        peak * last,
    )
    schedule = lrax.schedules.tri_stage(peak, *ratio[:2], total, start_factor=first, end_factor=last)
    np.testing.assert_allclose(schedule(jnp.asarray(steps)), want, rtol=2e-6)


def test_power_is_the_papers() -> None:
    """At a count, the power of the tokens that were seen, capped; the warm-up leads to it, the cool-down from it to the end."""
    batch, tokens = 64, 64 * 4096
    schedule = lrax.schedules.warmup_power(0.02, 1000, batch, tokens, total_steps=100_000, cooldown_steps=0.1, end=0.0)
    counts = np.array([1000, 5000, 20_000, 90_000])
    want = np.minimum(0.02, batch * 4.6 * (counts * float(tokens)) ** -0.51)
    np.testing.assert_allclose(schedule(jnp.asarray(counts)), want, rtol=2e-5)
    assert want[-1] < 0.02
    np.testing.assert_allclose(rates_at(schedule, [499, 95_000, 100_000]), [want[0] * 500 / 1001, want[-1] / 2, 0], rtol=2e-5)


def test_power_by_a_clock() -> None:
    """Read by a clock whose unit is what a count stands for, it is the same power of the tokens for any batch size."""
    one = lrax.schedules.warmup_power(1.0, 0, 1, 2**16)
    for size in (2**16, 2**18):
        got = lrax.Clock(size, unit=2**16).to_steps(one)(2**20 // (size // 2**16))
        np.testing.assert_allclose(got, one(2**20), rtol=1e-6)


def test_wsd_s_comes_back() -> None:
    """Before each end it falls, at the end it is at the peak again, and at the last one it stays; any number of ends."""
    schedule = lrax.wsd_s(1.0, ends=[100, 200], warmup_steps=10, cooldown_steps=50, total_steps=400)
    np.testing.assert_allclose(
        rates_at(schedule, [0, 10, 50, 75, 99, 100, 150, 175, 200, 350, 375, 400, 500]),
        [1 / 11, 1, 1, 0.5, 0.02, 1, 1, 0.5, 1, 1, 0.5, 0, 0],
        rtol=1e-5,
    )
    assert schedule.length == 400
    program = [
        str(
            jax.make_jaxpr(lrax.wsd_s(1.0, ends=np.arange(9, n) * 9, warmup_steps=1, cooldown_steps=2, total_steps=10**6).rate)(
                3
            )
        ).count("=")
        for n in (20, 2000)
    ]
    assert program[0] == program[1]


def test_faded_follows_where_a_cool_down_leads_straight() -> None:
    """A cool-down that multiplies is the schedule times what is left of it; then its end is held."""
    decay = lrax.InverseSqrt(1.0)
    schedule = lrax.schedules.faded(decay, cooldown_steps=20, total_steps=100, end_factor=0.1)
    counts = np.array([0, 79, 80, 90, 100])
    want = np.asarray(decay(jnp.asarray(counts))) * [1, 1, 1, 0.55, 0.1]
    np.testing.assert_allclose(schedule(jnp.asarray(counts)), want, rtol=1e-5)
    assert schedule(1000) == schedule(100)


def test_joined_at_boundaries_of_ones_own() -> None:
    """Each part runs from its own count 0, whatever its length, as optax's join does; a boundary may be traced."""
    parts = [lrax.Linear(0.0, 1.0, 10), lrax.Constant(0.5), lrax.Cosine(0.5, 0.0, 20)]
    counts = jnp.arange(60)
    want = jax.vmap(optax.join_schedules(parts, [5, 30]))(counts)
    np.testing.assert_allclose(lrax.schedules.joined(parts, [5, 30])(counts), want, rtol=1e-6)
    np.testing.assert_allclose(
        jax.jit(lambda at: lrax.schedules.joined(parts, at)(counts))(jnp.array([5, 30])), want, rtol=1e-6
    )
    with pytest.raises(ValueError, match=r"joined: `boundaries` must be one shorter than `schedules` \(3\)"):
        lrax.schedules.joined(parts, [5])


def test_parts_are_not_checked_inside_a_trace() -> None:
    """Tracing a recipe builds its parts without their checks: at most 60 calls of functions of lrax."""
    schedule, calls = lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100), []

    def profile(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(lrax.__path__[0]):
            calls.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        jax.jit(lambda count: schedule(count)).trace(jnp.int32(3))
    finally:
        sys.setprofile(None)
    assert 0 < len(calls) <= 60


def test_parts_of_recipes_have_narrow_numbers() -> None:
    """With 64 bits on, and with any NumPy, a recipe makes its parts of int32 and float32: it has the same learning rates."""
    plans = [
        lrax.sgdr(peak=0.9, end=0.1, cycle_steps=35, length_factor=1, warmup_steps=3),
        lrax.warmup_cosine(peak=0.1, warmup_steps=4, total_steps=40),
        lrax.warmup_inverse_sqrt(peak=0.1, warmup_steps=4, total_steps=60, cooldown_steps=5),
        lrax.schedules.warmup_power(0.1, 4, 8, 16, total_steps=40, cooldown_steps=5),
        lrax.wsd_s(peak=0.1, ends=[20, 40], warmup_steps=4, cooldown_steps=5, total_steps=60),
    ]
    want = [np.asarray(rates_at(plan, range(60))) for plan in plans]
    with enable_x64(True):
        for plan, rates in zip(plans, want, strict=True):
            np.testing.assert_allclose(rates_at(plan, range(60)), rates, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(jax.jit(plan)(jnp.arange(60)), rates, rtol=1e-6, atol=1e-9)
