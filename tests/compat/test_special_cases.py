"""The peers' special cases: documented values of an argument that mean something else, known or traced."""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax import compat
from lrax.compat import djl, mxnet, torch, transformers
from lrax.compat import optax as ours
from schedule_cases import rates, rates_at

COUNTS = jnp.arange(6)
SPECIAL: dict[str, tuple[Callable[..., Any], str, Any, Any]] = {
    "a peak of 0 ends at 0": (
        lambda module, peak: module.warmup_cosine_decay_schedule(0.2, peak, 2, 4, end_value=-3.0),
        "rate",
        0.0,
        0.5,
    ),
    "no transition stays": (lambda module, steps: module.linear_schedule(0.5, 1.0, steps), "length", 0, 3),
    "a negative transition stays": (lambda module, steps: module.polynomial_schedule(0.5, 1.0, 2, steps), "length", -2, 3),
    "a power of 0 stays": (lambda module, power: module.polynomial_schedule(0.5, 1.0, power, 3), "rate", 0.0, 2.0),
    "a decay of 0 stays": (lambda module, rate: module.exponential_decay(1.0, 2, rate), "rate", 0.0, 0.5),
    "a decay over nothing stays": (lambda module, steps: module.exponential_decay(1.0, steps, 0.5), "length", 0, 2),
    "a decay of 0 has no floor": (
        lambda module, rate: module.exponential_decay(1.0, 2, rate, end_value=2.0),
        "rate",
        0.0,
        0.5,
    ),
    "a growth has a ceiling": (
        lambda module, rate: module.exponential_decay(1.0, 2, rate, end_value=1.5),
        "rate",
        2.0,
        0.5,
    ),
    "an exponent of 0 stays": (lambda module, power: module.cosine_decay_schedule(1.0, 4, 0.1, power), "rate", 0.0, 1.5),
    "a warm-up of 0 is none": (
        lambda module, steps: module.warmup_cosine_decay_schedule(0.2, 1.0, steps, 5),
        "length",
        0,
        2,
    ),
    "a beginning before 0 is 0": (
        lambda module, begin: module.exponential_decay(-1.0, 2, 0.5, transition_begin=begin),
        "length",
        -3,
        2,
    ),
    "a boundary at 0": (
        lambda module, at: module.join_schedules([module.constant_schedule(1.0), module.constant_schedule(2.0)], [at]),
        "length",
        0,
        3,
    ),
}


@pytest.mark.parametrize(("make", "what", "special", "usual"), SPECIAL.values(), ids=SPECIAL)
def test_special_cases(make: Callable[..., Any], what: str, special: Any, usual: Any) -> None:
    """Optax's special case holds for a number that is known, for one that is traced, and for one in a batch."""
    dtype = jnp.int32 if what == "length" else jnp.float32
    counts = np.arange(6)
    with jax.numpy_dtype_promotion("standard"):  # of optax
        want = [np.asarray(jax.vmap(make(optax, value))(counts), np.float32) for value in (special, usual)]
    for value, expected in zip((special, usual), want, strict=True):
        np.testing.assert_allclose(make(ours, value)(COUNTS), expected, rtol=1e-5, atol=1e-7)
    batch = jax.vmap(lambda value: make(ours, value)(COUNTS))(jnp.array([special, usual], dtype))
    np.testing.assert_allclose(batch, want, rtol=1e-5, atol=1e-7)


def test_a_batch_that_is_known() -> None:
    """Arrays of numbers make a batch of schedules, special ones among them."""
    batch = ours.polynomial_schedule(0.5, 1.0, np.array([0.0, 2.0]), np.array([3, 3]))
    np.testing.assert_allclose(
        jax.vmap(lambda one: one(COUNTS), in_axes=(jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, batch),))(batch),
        [ours.polynomial_schedule(0.5, 1.0, power, 3)(COUNTS) for power in (0, 2)],
        rtol=1e-6,
    )


def test_restarts_without_a_fall() -> None:
    """A cycle of `sgdr_schedule` whose exponent is 0 stays at its peak for its length."""
    cycle = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "decay_steps": 3, "exponent": 0.0}
    np.testing.assert_array_equal(ours.sgdr_schedule([cycle] * 2)(COUNTS), [0, 1, 1, 0, 1, 1])


@pytest.mark.parametrize("staircase", [False, True])
def test_rates_below_0(staircase: bool) -> None:
    """A negative first rate decays towards 0, as optax has it, known and traced."""
    want = jnp.stack([optax.exponential_decay(-1.0, 2, 0.5, staircase=staircase)(count) for count in range(6)])
    np.testing.assert_allclose(ours.exponential_decay(-1.0, 2, 0.5, staircase=staircase)(COUNTS), want, rtol=1e-6)
    traced = jax.jit(lambda rate: ours.exponential_decay(rate, 2, 0.5, staircase=staircase)(COUNTS))(-1.0)
    np.testing.assert_allclose(traced, want, rtol=1e-6)


@pytest.mark.parametrize("join", [ours.join_schedules, torch.SequentialLR])
def test_boundaries_may_be_traced(join: Callable[..., lrax.Schedule]) -> None:
    """As in optax's own joins; equal ones too."""
    parts = [lrax.Constant(1.0), lrax.Linear(2.0, 0.0, 2), lrax.Constant(3.0)]
    got = jax.jit(jax.vmap(lambda at: join(parts, [at[0], at[1]])(COUNTS)))(jnp.array([[1, 3], [2, 2]]))
    np.testing.assert_array_equal(got, [[1, 2, 1, 3, 3, 3], [1, 1, 3, 3, 3, 3]])


NONE: dict[str, tuple[Callable[[], object], str]] = {
    "an interpolation": (lambda: ours.piecewise_interpolate_schedule(None, 13.0, {}), "interpolate_type"),
    "a strategy": (lambda: torch.SWALR(1.0, 0.5, 4, anneal_strategy=None), "anneal_strategy"),
    "a mode": (lambda: torch.CyclicLR(1.0, 2.0, 2, mode=None, gamma=0.5), "mode"),
    "a warm-up's mode": (lambda: mxnet.FactorScheduler(10, 0.5, base_lr=1.0, warmup_steps=4, warmup_mode=None), "warmup_mode"),
    "a one-cycle's strategy": (lambda: torch.OneCycleLR(1.0, total_steps=10, anneal_strategy=None), "anneal_strategy"),
    "a tracker's mode": (lambda: djl.CyclicalTracker(1.0, 2.0, 2, mode=None), "mode"),
    "a rate": (lambda: ours.constant_schedule(None), "value"),
    "a length": (lambda: torch.StepLR(0.1, None), "step_size"),
    "schedules": (lambda: ours.join_schedules(None, [2]), "schedules"),
    "boundaries": (lambda: torch.SequentialLR([1.0, 2.0], None), "milestones"),
    "milestones": (lambda: torch.MultiStepLR(1.0, None), "milestones"),
    "arguments of parts": (lambda: ours.sgdr_schedule(None), "cosine_kwargs"),
    "a choice": (lambda: ours.exponential_decay(1.0, 2, 0.5, staircase=None), "staircase"),
}


@pytest.mark.parametrize(("make", "name"), NONE.values(), ids=NONE)
def test_none_is_refused(make: Callable[[], object], name: str) -> None:
    """None is no word and no number; only an argument that is optional takes it."""
    with pytest.raises(TypeError, match=rf"`{re.escape(name)}` must be .*, got None"):
        make()


def test_none_where_it_is_allowed() -> None:
    """Optional arguments may be None, as when they are left out."""
    assert repr(torch.CyclicLR(0.1, 1.0, 5, None)) == repr(torch.CyclicLR(0.1, 1.0, 5))
    assert repr(ours.exponential_decay(1.0, 2, 0.5, end_value=None)) == repr(ours.exponential_decay(1.0, 2, 0.5))
    assert repr(djl.FactorTracker(1.0, 0.5, None, None)) == repr(djl.FactorTracker(1.0, 0.5))


WAVES = [
    *((0, 3_000_000, 0.997), (100, 10_000, 0.70710678), (29, 31, 2.11516107), (0, 1000, math.pi / 2), (42, 823, 3.0437230338)),
    *((0, 50_000_000, 0.997), (0, 2**31 - 1, 0.3), (0, 100, 1e-9), (0, 100, 5e-324), (0, 7, 1e9 + 0.1), (3, 5, 3.0)),
]


@pytest.mark.parametrize(("warm", "steps", "cycles"), WAVES)
def test_waves_of_any_float(warm: int, steps: int, cycles: float) -> None:
    """A cosine of any number of cycles is exact within training and long after it, and is a few numbers whatever its length."""
    schedule = transformers.get_cosine_schedule_with_warmup(1.0, warm, steps, num_cycles=cycles)
    counts = [warm, warm + 1, steps // 2 + warm, steps - 1, steps, min(3 * steps, 2**31 - 1), 10**6, 10**8 + 3, 2**31 - 1]
    turns = [float(Fraction(cycles) * (count - warm) / (steps - warm) % 1) for count in counts]
    want = (1 + np.cos(2 * np.pi * np.array(turns))) / 2
    np.testing.assert_allclose(rates(schedule, np.array(counts, np.int32)), want, atol=1e-6)
    assert len(lrax.to_json(schedule)) < 300
    decays = transformers.get_wsd_schedule(1.0, warm, steps - warm, num_stable_steps=0, num_cycles=cycles)
    np.testing.assert_allclose(decays(warm + (steps - warm) // 2), schedule(warm + (steps - warm) // 2), atol=1e-7)


@pytest.mark.parametrize("gamma", [1.0001, 1.001, 1.01, 1.05, 1.3, 0.9999, 0.97])
def test_many_factors_near_1(gamma: float) -> None:
    """A staircase of many drops keeps the digits of a Python float, also where it climbs; so does a smooth decay."""
    count = min(int(abs(20 / math.log(gamma))), 1_000_000)
    for schedule in (
        torch.StepLR(1e-6, 1, gamma),
        torch.ExponentialLR(1e-6, gamma),
        compat.keras.ExponentialDecay(1e-6, 1, gamma, staircase=True),
        compat.timm.StepLRScheduler(1e-6, 1, gamma),
        ours.exponential_decay(1e-6, 1, gamma, staircase=True),
    ):
        np.testing.assert_allclose(schedule(count), 1e-6 * gamma**count, rtol=1e-6)
    np.testing.assert_allclose(torch.StepLR(1e-6, 1, 1.0001)(100_000), 0.0220155, rtol=1e-5)
    assert repr(torch.StepLR(1.0, 30, 1.5)) == "StepDecay(start=1.0, factor=1.5, every=30)"


def test_lrax_factors_near_1() -> None:
    """The documented staircase of a factor near 1 is right over a million steps, as `Exponential` with `every` is."""
    grows = lrax.Exponential(1e-6, 1.00001**69_315, every=69_315)
    np.testing.assert_allclose(grows(1_000_000), 1e-6 * 1.00001**1_000_000, rtol=2e-6)
    np.testing.assert_allclose(lrax.Stretch(grows, 3)(3_000_002), 1e-6 * 1.00001**1_000_000, rtol=2e-6)


@pytest.mark.parametrize("lb", [-0.5, -3.19, -5.0, -7.0])
def test_a_tangent_begins_at_its_rate(lb: float) -> None:
    """At count 0, or in the first epoch, timm's tangent is at `lr` itself; with a warm-up, where that begins."""
    schedule = compat.timm.TanhLRScheduler(1.0, 10, lb=lb)
    tangent = [(1 - math.tanh(lb * (1 - t / 10) + 3.0 * t / 10)) / 2 for t in range(10)]
    np.testing.assert_allclose(rates_at(schedule, range(10)), [1.0, *tangent[1:]], rtol=2e-6)
    np.testing.assert_allclose(rates_at(lrax.Stretch(schedule, 5), [0, 4, 5]), [1.0, 1.0, tangent[1]], rtol=2e-6)
    assert compat.timm.TanhLRScheduler(1.0, 10, lb=lb, warmup_t=3, warmup_lr_init=0.125)(0) == 0.125


def test_cycles_that_hardly_grow() -> None:
    """Cycles a little longer each are as the formulas of Keras and timm have them after thousands, and are a few numbers."""
    by, first, k = Fraction(1001, 1000), 100, 3000
    begin = first * (by**k - 1) / (by - 1)
    count = math.ceil(begin + first * by**k / 3)
    want = (1 + math.cos(math.pi * float((count - begin) / (first * by**k)))) / 2
    keras = compat.keras.CosineDecayRestarts(1.0, first, t_mul=1.001)
    timm = compat.timm.CosineLRScheduler(1.0, first, cycle_mul=1.001, cycle_limit=10**6)
    for schedule in (keras, timm):
        np.testing.assert_allclose(schedule(count), want, rtol=1e-5)
        assert len(lrax.to_json(schedule)) < 400
    few = compat.timm.CosineLRScheduler(1.0, 10, cycle_mul=1.5, cycle_limit=4)
    np.testing.assert_allclose(rates_at(few, [81, 82]), [(1 + math.cos(math.pi * (81 - 47.5) / 33.75)) / 2, 0.0], atol=1e-7)


def test_hard_restarts_of_any_length() -> None:
    """Restarts that end between two steps are exact for millions of steps, and are a few numbers."""
    schedule = transformers.get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 0, 3_000_001, num_cycles=997)
    counts = [0, 1, 3009, 3010, 1_500_000, 3_000_000, 3_000_001]
    want = [(1 + math.cos(math.pi * float(Fraction(997 * t, 3_000_001) % 1))) / 2 if t < 3_000_001 else 0.0 for t in counts]
    np.testing.assert_allclose(schedule(np.array(counts)), want, atol=1e-6)
    assert len(lrax.to_json(schedule)) < 300


def test_arguments_that_transformers_does_not_use() -> None:
    """`get_scheduler` leaves out the further arguments of the schedules that transformers leaves them out of."""
    for name in ("constant", "constant_with_warmup", "inverse_sqrt"):
        given = transformers.get_scheduler(name, 0.1, 10, 100, scheduler_specific_kwargs={"num_cycles": 2})
        assert given == transformers.get_scheduler(name, 0.1, 10, 100)
    with pytest.raises(TypeError, match="num_cycles"):
        transformers.get_scheduler("linear", 0.1, 10, 100, scheduler_specific_kwargs={"num_cycles": 2})


def test_noise_of_timm() -> None:
    """Timm's noise is drawn from a stream of lrax: within its bounds, from its range of counts on, the same for a seed."""
    plain = compat.timm.CosineLRScheduler(0.1, 4000)
    noisy = compat.timm.CosineLRScheduler(0.1, 4000, noise_range_t=[1000, 3000], noise_pct=0.2, noise_std=0.1, noise_seed=7)
    counts = np.arange(4000)
    factor = np.asarray(rates(noisy, counts)) / np.asarray(rates(plain, counts))
    np.testing.assert_allclose(factor[[*range(1000), *range(3000, 3990)]], 1.0, rtol=1e-5)
    assert np.abs(factor[1000:3000] - 1).max() < 0.2
    assert 0.08 < np.std(factor[1000:3000]) < 0.11  # a normal number of 0.1, drawn again beyond 0.2
    again = compat.timm.CosineLRScheduler(0.1, 4000, noise_range_t=1000, noise_pct=0.2, noise_std=0.1, noise_seed=7)
    assert again(2000) == noisy(2000)


def test_a_phase_of_one_cycle_that_would_end_after_the_run() -> None:
    """The learning rate stays where the last step of the run has it, whether it is traced or not."""
    arguments = {"total_steps": 97, "pct_start": 0.6, "three_phase": True, "anneal_strategy": "linear"}
    schedule = lrax.compat.torch.OneCycleLR(0.5, **arguments)
    np.testing.assert_allclose(rates_at(schedule, [95, 96, 97, 128]), [0.182797202797, *[0.174405594406] * 3], rtol=5e-7)
    traced = jax.jit(lambda max_lr: lrax.compat.torch.OneCycleLR(max_lr, **arguments)(97))
    np.testing.assert_allclose(traced(0.5), 0.174405594406, rtol=5e-7)
    assert lrax.from_json(lrax.to_json(schedule)) == schedule
