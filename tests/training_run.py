"""A small training run that saves a checkpoint after every update and dies when told to; run as a script it is killed."""

import os
import pathlib
import signal
import sys
from typing import Any

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp

import lrax


def schedule() -> lrax.Schedule:
    """Warm restarts with a warm-up in each: every update has another rate."""
    return lrax.Cycle(lrax.Warmup(lrax.Cosine(0.3, 0.01, 7), 3), length_factor=1.5, value_factor=0.7)


def optimizer(plan: lrax.Schedule) -> optax.GradientTransformation:
    """Everything that has a state: Adam, a plateau, a recorded rate."""
    return optax.chain(lrax.recorded(optax.adam, plan), lrax.reduce_on_plateau(factor=0.5, patience=2, every=2))


def loss_fn(weights: jax.Array) -> jax.Array:
    """A valley with a floor, so that the plateau has work to do."""
    return jnp.maximum(jnp.sum(weights**2), 2.0)


def train(plan: lrax.Schedule, state: Any, updates: int) -> Any:
    """Yields the state and the rate after each update."""
    tx = optimizer(plan)

    @jax.jit
    def update(weights: jax.Array, opt_state: Any) -> tuple[Any, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_fn)(weights)
        changes, opt_state = tx.update(gradient, opt_state, weights, value=loss)
        return {"weights": optax.apply_updates(weights, changes), "opt_state": opt_state}, lrax.last_lr(opt_state)

    for _ in range(updates):
        state, rate = update(state["weights"], state["opt_state"])
        yield state, rate


def fresh(plan: lrax.Schedule) -> Any:
    """The state before the first update."""
    weights = jnp.array([3.0, -2.0, 1.0])
    return {"weights": weights, "opt_state": optimizer(plan).init(weights)}


def save(folder: pathlib.Path, state: Any) -> None:
    """One checkpoint more."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / str(int(lrax.count_of(state))), state)


def restore(folder: pathlib.Path, plan: lrax.Schedule) -> Any:
    """The newest complete checkpoint."""
    newest = max(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(folder / str(newest), fresh(plan))


def main(folder: pathlib.Path, killed_after: int) -> None:
    """Trains until it is killed."""
    plan = schedule()
    (folder / "schedule.json").write_text(lrax.to_json(plan))
    for state, _ in train(plan, fresh(plan), 100):
        save(folder / "checkpoints", state)
        if int(lrax.count_of(state)) == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
