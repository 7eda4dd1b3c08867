"""A run that is killed and resumed has the rates of one that was not."""

import pathlib
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import lrax
from training_run import fresh, restore, save, schedule, train

pytestmark = [
    pytest.mark.standard_promotion,  # optax's Adam mixes dtypes
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Orbax's own imports
]

UPDATES = 30


def whole_run() -> tuple[Any, list[float]]:
    """The weights and the rates of a run that nothing interrupts."""
    plan = schedule()
    states, rates = zip(*train(plan, fresh(plan), UPDATES), strict=True)
    return states[-1], [float(rate) for rate in rates]


def resumed(folder: pathlib.Path) -> tuple[Any, list[float]]:
    """What is left of the run, from the newest checkpoint and the schedule that was saved beside it."""
    plan = lrax.from_json((folder / "schedule.json").read_text())
    state = restore(folder / "checkpoints", plan)
    states, rates = zip(*train(plan, state, UPDATES - int(lrax.count_of(state))), strict=True)
    return states[-1], [float(rate) for rate in rates]


def assert_same(folder: pathlib.Path, done: int) -> None:
    """The resumed run has the rest of the rates, and ends in the same state, bit for bit."""
    want, want_rates = whole_run()
    got, got_rates = resumed(folder)
    assert len(set(want_rates)) > UPDATES // 2
    assert got_rates == want_rates[done:]
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_a_checkpoint_goes_on(tmp_path: pathlib.Path) -> None:
    """Saved with Orbax after update 11, in the middle of a cycle, and restored into fresh objects: the same rates."""
    plan = schedule()
    (tmp_path / "schedule.json").write_text(lrax.to_json(plan))
    *_, (state, _) = train(plan, fresh(plan), 11)
    save(tmp_path / "checkpoints", state)
    assert_same(tmp_path, 11)


@pytest.mark.slow
def test_a_schedule_is_part_of_a_checkpoint(tmp_path: pathlib.Path) -> None:
    """A schedule's leaves can be checkpointed with the rest of a state."""
    state = fresh(schedule()) | {"plan": jax.tree.map(jnp.asarray, schedule())}  # Orbax takes arrays, not scalars of NumPy
    save(tmp_path / "checkpoints", state)
    with ocp.StandardCheckpointer() as checkpointer:
        plan = checkpointer.restore(tmp_path / "checkpoints" / "0", state)["plan"]
    assert type(plan) is lrax.Cycle
    jax.tree.map(np.testing.assert_array_equal, plan, schedule())
    np.testing.assert_array_equal(plan(np.arange(30)), schedule()(np.arange(30)))


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: pathlib.Path) -> None:
    """A process that is killed outright after its 7th checkpoint, resumed in another: the same rates."""
    script = pathlib.Path(__file__).parents[1] / "training_run.py"
    killed = subprocess.run([sys.executable, script, tmp_path, "7"], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    assert_same(tmp_path, 7)
