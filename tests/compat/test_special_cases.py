"""The peers' special cases: documented values of an argument that mean something else, known or traced."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.compat import djl, mxnet, torch
from lrax.compat import optax as ours

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
        want = [np.asarray(jax.jit(jax.vmap(make(optax, value)))(counts), np.float32) for value in (special, usual)]
    for value, rates in zip((special, usual), want, strict=True):
        np.testing.assert_allclose(make(ours, value)(COUNTS), rates, rtol=1e-5, atol=1e-7)
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
