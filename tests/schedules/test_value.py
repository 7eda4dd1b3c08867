"""Schedules as values: equal by what they hold, shown as the call that makes them, told what is wrong with a call."""

import dataclasses
import inspect
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.schedules._serialise import built_in_types
from problems import linear_learner
from public_names import public
from schedule_cases import CASES, Case, Roulette, SquareRoot, plain

RECIPES = {
    "warmup_cosine": lrax.warmup_cosine(1e-3, warmup_steps=469, total_steps=4690),
    "warmup_cosine with an end": lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100, end=1e-5),
    "wsd": lrax.wsd(0.3, warmup_steps=10, cooldown_steps=200, total_steps=1000, mode="one_minus_sqrt"),
    "flat_cosine": lrax.flat_cosine(0.1, flat_steps=50, total_steps=100),
    "inverse_sqrt": lrax.warmup_inverse_sqrt(0.1, 100),
    "inverse_sqrt with a cool-down": lrax.warmup_inverse_sqrt(0.1, 100, 50, 1000, 600, 0.001),
    "noam": lrax.noam(512, 4000),
    "one_cycle": lrax.one_cycle(0.1, 0.7, 500),
    "one_cycle with a cool-down": lrax.one_cycle(0.1, 0.7, 500, 250, 0.001, 0.3, "cosine"),
    "one_cycle_two_phase": lrax.schedules.one_cycle_two_phase(0.01, 0.25, 1e-5, warmup_steps=30, total_steps=100),
    "one_cycle_momentum": lrax.one_cycle_momentum(0.85, 0.95, 500),
    "cyclical": lrax.cyclical(0.1, 0.3, 500, 0.9),
    "cyclical with an amplitude": lrax.cyclical(0.1, 0.3, 500, amplitude=lrax.Exponential(1.0, 0.999)),
    "sgdr": lrax.sgdr(0.1, 0.0, 250, 1.2),
    "sgdr with a warm-up": lrax.sgdr(0.1, 0.01, 250, 1, 0.5, 20),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_shows_its_call(recipe: lrax.Schedule) -> None:
    """What is shown begins with the recipe's name and makes the same schedule, bit for bit; so do lanes of a batch of it."""
    assert repr(recipe).startswith(type(recipe).__name__ + "(")
    assert eval(repr(recipe), public()) == recipe
    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), recipe)
    assert eval(repr(batch), public()) == batch
    lane = jax.tree.map(lambda leaf: leaf[1], jax.tree.map(jnp.asarray, batch))
    assert repr(lane) == repr(recipe)
    assert eval(repr(lane), public()) == lane


def test_numbers_are_shown_as_one_writes_them() -> None:
    """What is left out of a call is left out of what is shown, and numbers are the shortest that come back."""
    assert repr(RECIPES["warmup_cosine"]) == "warmup_cosine(peak=0.001, warmup_steps=469, total_steps=4690)"
    assert repr(lrax.Constant(np.float32(0.01))) == repr(lrax.Constant(jnp.float32(0.01))) == "Constant(value=0.01)"
    assert (
        repr(lrax.Cycle(lrax.Hold(1.0, 3), 32767 / 32766)) == "Cycle(phase=Hold(value=1.0, steps=3), length_factor=1.000030519)"
    )


@pytest.mark.parametrize("case", [case for name, case in CASES.items() if "Function" not in name])
def test_every_kind_shows_its_call(case: Case) -> None:
    """What any kind shows makes the same schedule, bit for bit."""
    schedule = case.build(3)
    assert eval(repr(schedule), public() | built_in_types() | {"Roulette": Roulette, "SquareRoot": SquareRoot}) == schedule


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_equal_by_value(case: Case) -> None:
    """Schedules made twice, of NumPy's or JAX's numbers, are equal and have one hash; other numbers make another schedule."""
    one, two, other = case.build(), jax.tree.map(jnp.asarray, case.build()), case.build(1)
    assert one == two
    assert hash(one) == hash(two)
    if case.numbers:
        assert one != other
        assert len({one, two, other}) == 2


def test_equality_needs_kind_words_shapes_and_numbers() -> None:
    """Another kind, word, shape or bit makes another schedule, and so does anything that is no schedule."""
    linear = lrax.Linear(0.1, 0.0, 100)
    assert linear == lrax.Linear(np.float64(0.1), 0, 100.0 if False else 100)
    assert lrax.Constant(1) == lrax.Constant(1.0)
    others = [lrax.Cosine(0.1, 0.0, 100), lrax.Linear(0.1, 0.0, 101), lrax.Linear([0.1], 0.0, 100), "linear", None]
    assert all(linear != other for other in others)
    assert lrax.Warmup(plain, 5) != lrax.Warmup(plain, 5, mode="cosine")
    assert lrax.Warmup(plain, 5) == lrax.Warmup(plain, 5)


def test_traced_numbers_equal_themselves_only() -> None:
    """Under jit a schedule equals itself and one with the same traced numbers, and no other."""

    def compared(value: jax.Array) -> tuple[bool, ...]:
        one = lrax.Constant(value)
        return one == one, one == dataclasses.replace(one), one == lrax.Constant(value + 0), one == lrax.Constant(0.1)

    said: list[Any] = []
    jax.jit(lambda value: said.append(compared(value)))(0.1)
    assert said == [(True, True, False, False)]


def test_a_schedule_can_be_static() -> None:
    """As a static argument of jit, equal schedules share a trace and others do not."""
    chex.clear_trace_counter()
    rate = jax.jit(chex.assert_max_traces(lambda schedule, count: schedule(count), n=2), static_argnums=0)
    assert rate(lrax.Constant(1), 3) == rate(lrax.Constant(1.0), 3) == 1.0
    assert rate(lrax.Constant(2.0), 3) == 2.0


def test_learners_are_compared_by_identity() -> None:
    """Two learners are equal only if they are one: their states are big, and go on."""
    one, two = linear_learner(), linear_learner()
    assert one == one
    assert one != two
    assert len({one, two, one}) == 2


def test_a_recipe_s_numbers_are_its_arguments() -> None:
    """An argument can be read, replaced and given as a batch; everything that depends on it follows."""
    schedule = lrax.warmup_cosine(0.3, warmup_steps=4, total_steps=20)
    assert schedule.peak == np.float32(0.3)
    longer = dataclasses.replace(schedule, total_steps=40)
    assert longer == lrax.warmup_cosine(0.3, warmup_steps=4, total_steps=40)
    assert longer.length == 40
    batch = lrax.warmup_cosine(jnp.array([0.1, 0.2]), warmup_steps=4, total_steps=20)
    axes = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, batch)
    rates = jax.vmap(lambda schedule: schedule(7), in_axes=(axes,))(batch)
    np.testing.assert_allclose(
        rates, [lrax.warmup_cosine(peak, warmup_steps=4, total_steps=20)(7) for peak in (0.1, 0.2)], rtol=1e-6
    )


def test_a_lane_that_no_call_would_make_is_as_under_jit() -> None:
    """A batch may hold a warm-up that is too long; its lane does outside jit what it does inside, and shows itself."""
    batch = jax.vmap(lambda warm: lrax.warmup_cosine(0.3, warmup_steps=warm, total_steps=20))(jnp.array([4, 50]))
    lane = jax.tree.map(lambda leaf: leaf[1], batch)
    assert lane(4) == jax.jit(lambda lane: lane(4))(lane)
    assert lane.length == 51
    assert "warmup_steps=50" in repr(lane)


MISTAKES: dict[str, tuple[Any, str]] = {
    "a word of another kind": (
        lambda: lrax.Cosine(peak=0.1, end=0.0, steps=10),
        r"Cosine: there is no argument `peak`; did you mean `start`\? It is Cosine\(start, end, steps\)",
    ),
    "optax's word": (lambda: lrax.warmup_cosine(peak_value=0.1, total_steps=9, warmup_steps=1), "did you mean `peak`"),
    "a longer word": (lambda: lrax.warmup_cosine(0.1, 10, 100, end_lr=0.1), "`end_lr`; did you mean `end`"),
    "a finder's word": (lambda: lrax.Cosine(0.1, 0.0, num_iter=100), "`num_iter`; did you mean `steps`"),
    "a slip": (lambda: lrax.wsd(0.1, wramup_steps=9, cooldown_steps=9, total_steps=100), "did you mean `warmup_steps`"),
    "nothing near": (lambda: lrax.Constant(0.1, colour=3), r"no argument `colour`; it is Constant\(value\)|It is Constant"),
    "one missing": (lambda: lrax.Cosine(0.1, 0.0), r"Cosine: `steps` is missing; it is Cosine\(start, end, steps\)"),
    "one too many": (
        lambda: lrax.Constant(0.1, 3),
        r"takes 1 positional argument but 2 were given; it is Constant\(value\)",
    ),
    "one twice": (lambda: lrax.Cosine(0.1, 0.0, 9, start=1), "Cosine: got multiple values for argument `start`"),
    "a wrong order": (
        lambda: lrax.MultiStep(0.1, [4, 7, 9], 0.1),
        "`boundaries` and `factor` seem to be in each other's place: the order is start, factor, boundaries",
    ),
    "a list to unpack": (lambda: lrax.Sequence([plain, plain]), r"unpack it: Sequence\(\*schedules\)"),
    "a short word for a shape": (
        lambda: lrax.wsd(0.1, warmup_steps=9, cooldown_steps=9, total_steps=100, mode="exp"),
        "did you mean 'geometric'",
    ),
    "a misspelt shape": (lambda: lrax.Warmup(plain, 5, mode="linaer"), "did you mean 'linear'"),
    "a number for a schedule": (lambda: lrax.Warmup(0.1, 5), r"use lrax.Constant\(0.1\)"),
    "a part of an epoch": (lambda: lrax.warmup_cosine(0.1, warmup_steps=1.5, total_steps=10), r"lrax.steps_for\(epochs=...\)"),
}


@pytest.mark.parametrize(("call", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_call_is_told_what_was_meant(call: Any, says: str) -> None:
    """A call that does not fit says how it reads, and names what is near what was written."""
    with pytest.raises((TypeError, ValueError), match=says):
        call()


@pytest.mark.parametrize("kind", [lrax.Cosine, lrax.warmup_cosine, lrax.MultiStep, lrax.Warmup, lrax.Sequence, lrax.cyclical])
def test_signatures_are_short(kind: Any) -> None:
    """What an editor shows of a call has names, defaults and a word or two for each type, in one or two lines."""
    assert len(str(inspect.signature(kind))) < 300
    assert "Rule" not in str(inspect.signature(kind))
    assert str(inspect.signature(lrax.Cosine)) == "(start: float | Array, end: float | Array, steps: int | Array)"
    assert list(inspect.signature(lrax.Constant(0.1)).parameters) == ["count"]


def test_gradients_are_shown() -> None:
    """The gradient with respect to a length, which has none, is shown as JAX calls it."""
    slope = jax.grad(lambda schedule: schedule(3), allow_int=True)(lrax.Cosine(1.0, 0.0, 10))
    assert repr(slope).endswith("steps=<float0>)")
