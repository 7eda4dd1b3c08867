"""Random compositions of all kinds, combinators and recipes against float64 formulas of their arguments."""

import inspect
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from compositions import AROUND, LARGEST, LEAVES, RECIPES, Draw, Plan, build
from problems import enable_x64
from public_names import public
from schedule_cases import rates

EVERY = {**LEAVES, **AROUND, **RECIPES}
COUNTS = np.array([0, 1, 2, 3, 5, 8, 10, 12, 13, 17, 20, 24, 29, 30, 37, 45, 59, 60, 75, 89, 100, 150, 1000, LARGEST], np.int32)


def check(plan: Plan, got: Any, said: str) -> None:
    """Every rate is within 2e-5 of the formula's, as a fraction of the largest one of the schedule."""
    want = np.array([plan.rate(int(count)) for count in COUNTS])
    scale = np.abs(want).max()
    wrong = np.flatnonzero(~(np.abs(np.asarray(got, np.float64) - want) <= 2e-5 * scale + 1e-30))
    assert not wrong.size, (
        f"{said}: at {COUNTS[wrong][:5]} {np.asarray(got)[wrong][:5]}, not {want[wrong][:5]}: {build(plan)!r}"
    )


def numbers_of(plan: Plan) -> list[Any]:
    """The numbers of a plan, in the order of its call; lists of both counts and shares are left as they are."""
    found: list[Any] = []
    build(plan, lambda value: value if _is_mixed(value) else found.append(value) or value)
    return found


def _is_mixed(value: Any) -> bool:
    """Whether a list has to be known: what is traced has one dtype, and no list without entries is traced."""
    return isinstance(value, list) and (not value or len({type(one) for one in value}) > 1)


def rebuilt(plan: Plan, numbers: list[Any]) -> Any:
    """The call of a plan with other numbers, which may be traced."""
    rest = iter(numbers)
    return build(plan, lambda value: value if _is_mixed(value) else next(rest))


def as_arrays(plan: Plan) -> list[Any]:
    """The numbers of a plan as arrays of JAX; a whole number stays one."""
    return [
        jnp.asarray(one, jnp.float32 if isinstance(np.ravel(one)[0].item(), float) else jnp.int32) for one in numbers_of(plan)
    ]


def try_plan(plan: Plan, said: str, everything: bool) -> None:
    """A plan in each of the ways that a schedule is used."""
    schedule = build(plan)
    check(plan, rates(schedule, jnp.asarray(COUNTS)), f"{said}, compiled")
    length = schedule.length
    assert (None if length is None else int(length)) == plan.length, f"{said}: length {length}, not {plan.length}: {schedule!r}"
    if not everything:
        return
    check(plan, schedule(jnp.asarray(COUNTS)), f"{said}, eager")
    traced = jax.jit(lambda numbers, counts: rebuilt(plan, numbers)(counts))
    check(plan, traced(as_arrays(plan), jnp.asarray(COUNTS)), f"{said}, with traced numbers")
    both = jax.vmap(lambda numbers: rebuilt(plan, numbers)(jnp.asarray(COUNTS)), axis_size=2)
    for row in jax.jit(both)([jnp.stack([one, one]) for one in as_arrays(plan)]):
        check(plan, row, f"{said}, vmapped")
    if "Function" not in repr(schedule) and "lambda" not in repr(schedule):
        assert lrax.from_json(lrax.to_json(schedule)) == schedule, said
        assert lrax.from_config(json.loads(lrax.to_json(schedule))) == schedule, said
    with enable_x64(True):
        check(plan, rates(build(plan), jnp.asarray(COUNTS.astype(np.int64))), f"{said}, with 64 bits")


def test_everything_public_is_drawn() -> None:
    """A kind, combinator or recipe that is not drawn fails; noise has no formula."""
    names = public()
    kinds = {n for n, v in names.items() if isinstance(v, type) and issubclass(v, lrax.Schedule) and not inspect.isabstract(v)}
    recipes = {n for n, v in names.items() if getattr(v, "__module__", "").endswith(("recipes", "_plan"))}
    assert (kinds | recipes) - EVERY.keys() == {"Noise"}


def test_a_few_compositions() -> None:
    """A few schedules inside schedules, drawn by a fixed seed, are their formulas."""
    for seed in range(8):
        try_plan(Draw(seed).plan(depth=seed % 4), f"seed {seed}", everything=False)


def test_numbers_that_are_traced() -> None:
    """So are they where every number of the call is traced, lengths and lists included."""
    for seed in (100, 101):
        plan = Draw(seed).plan(depth=2)
        traced = jax.jit(lambda numbers, counts, plan=plan: rebuilt(plan, numbers)(counts))
        check(plan, traced(as_arrays(plan), jnp.asarray(COUNTS)), f"seed {seed}")


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_each(name: str) -> None:
    """Every kind, combinator and recipe, drawn three times, in every way that it is used."""
    for seed in range(3):
        try_plan(EVERY[name](Draw(seed), 1), f"{name}, seed {seed}", everything=True)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 400, 10))
def test_many_compositions(start: int) -> None:
    """Hundreds of compositions of up to three levels, in every way that they are used."""
    for seed in range(start, start + 10):
        try_plan(Draw(1000 + seed).plan(depth=seed % 4), f"seed {1000 + seed}", everything=seed % 5 == 0)
