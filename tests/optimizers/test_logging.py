"""Rows for loggers."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.Linear(0.5, 0.0, 10)
PARAMS = {"body": jnp.ones(2), "head": jnp.ones(3)}


def after(tx: Any, steps: int) -> Any:
    """The state after some steps."""
    state = tx.init(PARAMS)
    for _ in range(steps):
        _, state = tx.update(PARAMS, state, PARAMS)
    return state


def test_a_row_has_the_learning_rate_that_the_step_used() -> None:
    """After step k the row has its number and the schedule at k, from the schedule or from the state."""
    for steps in (1, 4):
        want = {"step": steps - 1, "optim/learning_rate": float(str(SCHEDULE(steps - 1)))}
        assert lrax.log_row(after(optax.adamw(SCHEDULE), steps), SCHEDULE) == want
        assert lrax.log_row(after(lrax.recorded(optax.adamw, SCHEDULE), steps)) == want
    assert all(type(value) in (int, float) for value in want.values())


def test_before_the_first_step_no_learning_rate_was_used() -> None:
    """A row of a new state has the step -1 and the plan, and no learning rate, whichever optimizer has made it."""
    for tx in (optax.adamw(SCHEDULE), lrax.recorded(optax.adamw, SCHEDULE), optax.MultiSteps(optax.adamw(SCHEDULE), 2)):
        assert lrax.log_row(after(tx, 0), SCHEDULE) == {"step": -1}
    assert set(lrax.log_row(after(optax.adamw(SCHEDULE), 0), SCHEDULE, plan=True)) == {"step", "optim/schedule"}


def test_a_plateau_counts() -> None:
    """The learning rate is the one that was used, which a plateau has scaled, not that of the plan."""
    tx = optax.chain(lrax.recorded(optax.sgd, SCHEDULE), lrax.reduce_on_plateau(factor=0.5, patience=1))
    state = tx.init(PARAMS)
    for _ in range(4):
        _, state = tx.update(PARAMS, state, PARAMS, value=jnp.float32(1))
    row = lrax.log_row(state)
    assert row["optim/learning_rate"] == pytest.approx(float(lrax.last_lr(state)))
    assert row["optim/learning_rate"] < 0.9 * float(SCHEDULE(3))


def test_groups_have_names_that_loggers_take() -> None:
    """Each group has an entry, the rest the plain one; signs of regular expressions are left out, and names stay different."""
    groups = {"^head$": 0.1, "^(head|body)": 2.0}
    tx = lrax.by_path(optax.sgd, SCHEDULE, groups)
    row = lrax.log_row(after(tx, 2), tx, plan=True)
    assert row["optim/learning_rate/head"] == pytest.approx(0.045)
    assert row["optim/learning_rate/head body"] == pytest.approx(0.9)
    assert lrax.from_json(row["optim/schedule/head"])(1) == np.float32(0.1) * SCHEDULE(1)
    assert json.loads(row["optim/schedule"])["schedule"]["kind"] == "Linear"
    tx = lrax.by_path(optax.sgd, SCHEDULE, {"^head": 0.1, "head|body": None})
    assert set(lrax.log_row(after(tx, 1))) == {"step", "optim/learning_rate", "optim/learning_rate/head"}
    same = {"rest": SCHEDULE, "a": SCHEDULE, "^a": SCHEDULE}
    transforms = {label: optax.sgd(SCHEDULE) for label in same}
    tx = optax.multi_transform(transforms, {"body": "a", "head": "^a"})
    row = lrax.log_row(after(tx, 1), same, plan=True)
    assert {"optim/learning_rate/a", "optim/learning_rate/a_", "optim/schedule/a", "optim/schedule/a_"} <= set(row)


def test_rows_inside_jit_are_arrays() -> None:
    """In a compiled loop the rows of all steps come back as arrays, by the same names."""
    tx = lrax.recorded(optax.sgd, SCHEDULE)

    def step(state: Any, _: Any) -> Any:
        _, state = tx.update(PARAMS, state, PARAMS)
        return state, lrax.log_row(state)

    rows = jax.jit(lambda state: jax.lax.scan(step, state, length=5)[1])(tx.init(PARAMS))
    np.testing.assert_array_equal(rows["step"], np.arange(5))
    np.testing.assert_allclose(rows["optim/learning_rate"], SCHEDULE(np.arange(5)), rtol=1e-6)


def test_what_cannot_be_logged_is_named() -> None:
    """A plan needs a schedule, and one with JSON; a state without learning rates needs a schedule."""
    state = after(lrax.recorded(optax.sgd, SCHEDULE), 1)
    with pytest.raises(ValueError, match="log_row: `schedule` must be given with plan=True"):
        lrax.log_row(state, plan=True)
    with pytest.raises(TypeError, match="a callable cannot be saved"):
        lrax.log_row(state, lambda count: 0.1, plan=True)
    with pytest.raises(ValueError, match="`opt_state` must hold a"):
        lrax.log_row(after(optax.adamw(0.1), 1))
