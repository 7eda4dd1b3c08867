"""Rates that rise and fall with a metric, against the rule written down in plain Python."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

RANDOM = np.random.default_rng(0)
FALLING = np.round(2 ** -(np.arange(80) / 8) + 0.01 * RANDOM.normal(size=80), 3)
VALUES = {
    "falls, then flat": np.maximum(FALLING, 0.2),
    "negative and falling": -np.cumsum(RANDOM.uniform(0, 1, 80)),
    "flat": np.full(80, 1.0),
    "noise": RANDOM.normal(size=80),
    "breaks": np.where(np.arange(80) % 7 == 3, np.nan, FALLING),
    "falls, rises, falls": np.concatenate([FALLING[:20], FALLING[:20][::-1], FALLING[:40]]),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "short": {"patience": 2},
    "max": {"patience": 3, "goal": "max"},
    "tolerances": {"patience": 2, "rtol": 0.1, "atol": 0.01},
    "cool-downs": {"patience": 2, "cooldown": 4, "raise_cooldown": 2, "factor": 0.5},
    "bounds": {"patience": 1, "min_scale": 0.3, "max_scale": 2.0, "factor": 0.5},
    "restarts": {"patience": 1, "min_scale": 0.25, "factor": 0.5, "restart": 3, "cooldown": 1},
    "means": {"patience": 1, "every": 4},
    "means without what is missing": {"patience": 1, "every": 4, "nonfinite": "skip", "goal": "max"},
}


def scales(values: Any, **settings: Any) -> Any:
    """The scale after each value, in one compiled scan."""
    tx = lrax.greedy(**settings)

    def update(state: Any, value: Any) -> tuple[Any, Any]:
        updates, state = tx.update(jnp.float32(1.0), state, value=value)
        return state, (updates, state.scale)

    moved, kept = jax.lax.scan(update, tx.init(None), jnp.asarray(values, jnp.float32))[1]
    return jnp.where(moved == kept, kept, jnp.nan)  # a value is judged before its own update


def oracle(
    values: Any,
    factor: float = 0.95,
    patience: int = 11,
    goal: str = "min",
    rtol: float = 0.0,
    atol: float = 1e-6,
    every: int = 1,
    cooldown: int = 0,
    raise_cooldown: int = 0,
    min_scale: float = 0.01,
    max_scale: float = 10.0,
    restart: int | None = None,
    nonfinite: str = "count",
) -> list[float]:
    """The rule as the docstring says it."""
    scale, best, good, bad, cooling, stuck, window, found = 1.0, None, 0, 0, 0, 0, [], []
    for value in values:
        window.append(float(value))
        if len(window) == every:
            numbers = [number for number in window if math.isfinite(number)]
            usable = bool(numbers) and (nonfinite == "skip" or len(numbers) == len(window))
            window = []
            if usable or nonfinite == "count":
                mean = sum(numbers) / max(len(numbers), 1) * (1 if goal == "min" else -1)
                if cooling:
                    cooling, good, bad = cooling - 1, 0, 0
                elif usable and (best is None or mean < best - rtol * abs(best) - atol):
                    best, good, bad = mean, good + 1, 0
                else:
                    good, bad = 0, bad + 1
                if good >= patience:
                    scale, good, cooling, stuck = min(scale / factor, max_scale), 0, raise_cooldown, 0
                elif bad >= patience:
                    scale, bad, cooling = max(scale * factor, min_scale), 0, cooldown
                    stuck += scale <= min_scale
                    if restart is not None and scale <= min_scale and stuck >= restart:
                        scale, best, stuck = 1.0, None, 0
        found.append(scale)
    return found


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_rule(settings: dict[str, Any]) -> None:
    """For losses and accuracies of every sign, with gaps and without, the scale is that of the rule."""
    values = np.stack(list(VALUES.values())).astype(np.float32)
    got = jax.jit(jax.vmap(lambda values: scales(values, **settings)))(values)
    for name, one, want in zip(VALUES, got, values, strict=True):
        np.testing.assert_allclose(one, oracle(want, **settings), rtol=1e-5, err_msg=name)
    assert any(len(np.unique(one)) > 2 for one in np.asarray(got))


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"rtol": 0.0, "atol": 0.0}, [1.0, 1.0, 1.0, 1.0]),
        ({"rtol": 0.25, "atol": 0.25, "goal": "max"}, [1.0, 1.5, 1.5, 1.5]),
    ],
    ids=["equal", "both"],
)
def test_an_improvement_is_more_than_the_tolerance(settings: dict[str, Any], values: list[float]) -> None:
    """A value that is better by exactly the tolerance, or equal without one, lowers the scale."""
    np.testing.assert_array_equal(scales(values, factor=0.5, patience=1, **settings), [2, 1, 0.5, 0.25])


def test_cool_downs_and_restarts_are_exact() -> None:
    """Each cool-down ignores exactly its checks; the lowering that reaches `min_scale` is the first of `restart`."""
    got = scales(np.ones(8), factor=0.5, patience=1, cooldown=2, raise_cooldown=1, min_scale=0.25)
    np.testing.assert_array_equal(got, [2, 2, 1, 1, 1, 0.5, 0.5, 0.5])
    got = scales(np.ones(7), factor=0.5, patience=1, min_scale=0.5, restart=2)
    np.testing.assert_array_equal(got, [2, 1, 0.5, 1, 2, 1, 0.5])


def test_every_number_can_be_traced_and_vmapped() -> None:
    """A batch of settings gives what each gives alone, from one compiled program."""
    values = VALUES["falls, rises, falls"].astype(np.float32)
    numbers = {
        "factor": jnp.array([0.5, 0.9]),
        "patience": jnp.array([1, 3]),
        "rtol": jnp.array([0.0, 0.1]),
        "atol": jnp.array([0.1, 0.0]),
        "every": jnp.array([1, 2]),
        "cooldown": jnp.array([2, 0]),
        "raise_cooldown": jnp.array([0, 1]),
        "min_scale": jnp.array([0.25, 0.5]),
        "max_scale": jnp.array([4.0, 1.5]),
        "restart": jnp.array([2, 5]),
    }
    got = jax.jit(jax.vmap(lambda numbers: scales(values, **numbers)))(numbers)
    for i in range(2):
        want = oracle(values, **{name: number[i].item() for name, number in numbers.items()})
        np.testing.assert_allclose(got[i], want, rtol=1e-5)


def test_it_goes_with_any_schedule_and_dtype() -> None:
    """After an optimizer with a schedule, an update is the schedule's rate times the scale, in the updates' own dtype."""
    schedule = lrax.Linear(1.0, 0.0, steps=10)
    tx = optax.chain(optax.sgd(schedule), lrax.greedy(factor=0.5, patience=1))
    state, update = tx.init(jnp.ones((), jnp.bfloat16)), jax.jit(tx.update)
    for count in range(4):
        moved, state = update(jnp.ones((), jnp.bfloat16), state, value=-float(count))
        assert moved.dtype == jnp.bfloat16
        np.testing.assert_allclose(np.float32(moved), -float(schedule(count)) * min(2.0 ** (count + 1), 10), rtol=1e-2)
    assert {leaf.dtype for leaf in state[1]} == {np.dtype("float32"), np.dtype("int32")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1.0}, r"greedy: `factor` must be a number between 0 and 1, both excluded, got 1.0"),
        ({"max_scale": 0.5}, r"`max_scale` must be a finite number, at least 1"),
        ({"restart": 0}, r"`restart` must be a whole number of reductions"),
        ({"restart": 5, "min_scale": 0.0}, r"`min_scale` must be above 0 where `restart` is given"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    """A setting out of range is an error that names it."""
    with pytest.raises(ValueError, match=message):
        lrax.greedy(**settings)
