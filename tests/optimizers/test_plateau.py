"""Reduce on plateau, against the rule written down in plain Python."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

RANDOM = np.random.default_rng(0)
FALLING = np.round(2 ** -(np.arange(60) / 8) + 0.02 * RANDOM.normal(size=60), 3)
VALUES = {
    "falls, then flat": np.maximum(FALLING, 0.3),
    "negative and falling": -np.cumsum(RANDOM.uniform(0, 1, 60)),
    "negative and flat": np.full(60, -1.0),
    "crosses zero": 3 - 0.21 * np.arange(60),
    "noise": RANDOM.normal(size=60),
    "breaks": np.where(np.arange(60) % 7 == 3, np.nan, FALLING),
    "infinite": np.where(np.arange(60) % 11 == 5, -np.inf, FALLING),
    "never a number": np.full(60, np.nan),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults but for patience": {"patience": 3},
    "max": {"patience": 3, "goal": "max"},
    "relative": {"patience": 2, "rtol": 0.1},
    "absolute": {"patience": 2, "rtol": 0.0, "atol": 0.15},
    "cool-down": {"patience": 2, "cooldown": 4, "factor": 0.5},
    "floor": {"patience": 1, "min_scale": 0.3, "factor": 0.5},
    "means": {"patience": 2, "every": 4},
    "means without what is missing": {"patience": 2, "every": 4, "nonfinite": "skip", "goal": "max"},
    "skip": {"patience": 3, "nonfinite": "skip"},
}


def scales(values: Any, **settings: Any) -> Any:
    """The scale after each value, in one compiled scan."""
    tx = lrax.reduce_on_plateau(**settings)

    def update(state: Any, value: Any) -> tuple[Any, Any]:
        updates, state = tx.update(jnp.float32(1.0), state, value=value)
        return state, (updates, state.scale)

    moved, kept = jax.lax.scan(update, tx.init(None), jnp.asarray(values, jnp.float32))[1]
    return jnp.where(moved == kept, kept, jnp.nan)  # a value is judged before its own update


def oracle(
    values: Any,
    factor: float = 0.1,
    patience: int = 10,
    goal: str = "min",
    rtol: float = 1e-4,
    atol: float = 0.0,
    every: int = 1,
    cooldown: int = 0,
    min_scale: float = 0.0,
    nonfinite: str = "count",
) -> list[float]:
    """The rule as the docstring says it."""
    scale, best, bad, cooling, window, found = 1.0, None, 0, 0, [], []
    for value in values:
        window.append(float(value))
        if len(window) == every:
            numbers = [number for number in window if math.isfinite(number)]
            complete = len(numbers) == len(window)
            window = []
            if numbers or nonfinite == "count":
                mean = sum(numbers) / max(len(numbers), 1)
                usable = complete or nonfinite == "skip"
                gain = None if best is None else (best - mean if goal == "min" else mean - best)
                better = usable and (gain is None or gain > rtol * abs(best or 0.0) + atol)
                best = mean if better else best
                if cooling:
                    cooling, bad = cooling - 1, 0
                else:
                    bad = 0 if better else bad + 1
                    if bad >= patience:
                        scale, bad, cooling = max(scale * factor, min_scale), 0, cooldown
        found.append(scale)
    return found


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_rule(settings: dict[str, Any]) -> None:
    """For losses and accuracies of every sign, with gaps and without, the scale is that of the rule."""
    values = np.stack(list(VALUES.values())).astype(np.float32)
    got = jax.vmap(lambda values: scales(values, **settings))(values)
    for name, one, want in zip(VALUES, got, values, strict=True):
        np.testing.assert_allclose(one, oracle(want, **settings), rtol=1e-5, atol=1e-37, err_msg=name)


def test_negative_losses() -> None:
    """A negative loss that falls keeps its rate; one that is flat loses it: optax's rule gets both wrong."""
    falling, flat = -1 - 0.001 * np.arange(50), np.full(50, -1.0)
    assert scales(falling, patience=5)[-1] == 1
    np.testing.assert_allclose(scales(flat, patience=5, factor=0.5)[5:12], [0.5] * 5 + [0.25] * 2)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"rtol": 0.0, "atol": 0.0}, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ({"rtol": 0.0, "atol": 0.25}, [1.0, 0.75, 0.75, 0.75, 0.75]),
        ({"rtol": 0.25, "atol": 0.0}, [-1.0, -1.25, -1.25, -1.25, -1.25]),
        ({"rtol": 0.25, "atol": 0.25, "goal": "max"}, [1.0, 1.5, 1.5, 1.5, 1.5]),
    ],
    ids=["equal", "absolute", "relative", "both"],
)
def test_an_improvement_is_more_than_the_tolerance(settings: dict[str, Any], values: list[float]) -> None:
    """A value that is better by exactly the tolerance, or equal without one, is not an improvement."""
    np.testing.assert_array_equal(scales(values, factor=0.5, patience=2, **settings), [1, 1, 0.5, 0.5, 0.25])
    more = [values[0], *np.nextafter(np.float32(values[1:]), np.float32(np.sign(values[1] - values[0]) or -1) * 9)]
    np.testing.assert_array_equal(scales(more, factor=0.5, patience=2, **settings), [1, 1, 1, 0.5, 0.5])


@pytest.mark.parametrize(("drop", "scale"), [(1.5e-4, 1.0), (0.5e-4, 0.5)])
def test_a_drop_counts_by_default_from_a_ten_thousandth_on(drop: float, scale: float) -> None:
    """Without settings of the tolerance, a loss must fall by more than 1e-4 of its value."""
    assert scales([1.0, 1.0 - drop], factor=0.5, patience=1)[-1] == scale
    assert scales([100.0, 100.0 * (1.0 - drop)], factor=0.5, patience=1)[-1] == scale


def test_the_last_check_of_a_cool_down_is_ignored_and_the_next_is_not() -> None:
    """With `cooldown=2` and `patience=1` the scale is lowered at every third check."""
    got = scales(np.ones(8), factor=0.5, patience=1, cooldown=2)
    np.testing.assert_array_equal(got, [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])


def test_every_number_can_be_traced_and_vmapped() -> None:
    """A batch of settings gives what each gives alone, from one compiled program."""
    values = VALUES["noise"].astype(np.float32)
    numbers = {
        "factor": jnp.array([0.1, 0.5, 0.9]),
        "patience": jnp.array([1, 2, 5]),
        "rtol": jnp.array([0.0, 0.1, 1e-4]),
        "atol": jnp.array([0.1, 0.0, 0.0]),
        "every": jnp.array([1, 3, 2]),
        "cooldown": jnp.array([0, 2, 1]),
        "min_scale": jnp.array([0.0, 0.01, 0.5]),
    }
    got = jax.jit(jax.vmap(lambda numbers: scales(values, **numbers)))(numbers)
    for i in range(3):
        want = oracle(values, **{name: number[i].item() for name, number in numbers.items()})
        np.testing.assert_allclose(got[i], want, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtypes_stay(dtype: Any) -> None:
    """The updates keep their dtype, and the state is float32 and int32 whatever it is."""
    tx = lrax.reduce_on_plateau(patience=1)
    state = tx.init(jnp.ones(3, dtype))
    for value in (1.0, np.float64(1.0), jnp.ones((), dtype)):
        updates, state = tx.update(jnp.ones(3, dtype), state, value=value)
        assert updates.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {np.dtype("float32"), np.dtype("int32")}
    np.testing.assert_allclose(state.scale, 0.01, rtol=1e-6)


def test_a_state_saved_and_restored_goes_on() -> None:
    """Half the values, the state as NumPy arrays, and the other half give what all of them give; buffers can be donated."""
    tx, values = lrax.reduce_on_plateau(patience=2, every=3, cooldown=1), VALUES["noise"]
    update = jax.jit(lambda state, value: tx.update(jnp.float32(1.0), state, value=value)[1], donate_argnums=0)
    state, found = tx.init(None), []
    for i, value in enumerate(values):
        if i == 31:
            state = jax.tree.map(np.array, state)
        state = update(state, value)
        found.append(float(state.scale))
    np.testing.assert_array_equal(np.float32(found), scales(values, patience=2, every=3, cooldown=1))


def test_it_goes_with_any_schedule() -> None:
    """After an optimizer with a schedule, an update is the schedule's rate times the scale."""
    schedule = lrax.Linear(1.0, 0.0, steps=10)
    tx = optax.chain(optax.sgd(schedule), lrax.reduce_on_plateau(factor=0.5, patience=1))
    state, update = tx.init(jnp.ones(())), jax.jit(tx.update)
    for count in range(6):
        moved, state = update(jnp.ones(()), state, jnp.ones(()), value=1.0)
        np.testing.assert_allclose(moved, -schedule(count) * 0.5**count, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1.0}, r"reduce_on_plateau: `factor` must be a number between 0 and 1, both excluded, got 1.0"),
        ({"patience": 0}, r"`patience` must be a whole number of checks, at least 1"),
        ({"goal": "mean"}, r"`goal` must be one of 'min', 'max'"),
        ({"rtol": -1.0}, r"`rtol` must be a finite number, at least 0"),
        ({"cooldown": -1}, r"`cooldown` must be a whole number of checks"),
        ({"min_scale": 2.0}, r"`min_scale` must be a number from 0 to 1"),
        ({"nonfinite": "raise"}, r"`nonfinite` must be one of 'count', 'skip'"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    """A setting out of range is an error that names it."""
    with pytest.raises(ValueError, match=message):
        lrax.reduce_on_plateau(**settings)


def test_the_value_is_needed() -> None:
    """An update without a value, or with more than one, says so."""
    tx = lrax.reduce_on_plateau()
    with pytest.raises(TypeError, match=r"`value` must be given to update, got None; call tx.update"):
        tx.update(jnp.ones(()), tx.init(None))
    with pytest.raises(ValueError, match=r"`value` must be a scalar"):
        tx.update(jnp.ones(()), tx.init(None), value=jnp.ones(3))
