"""Data of the fresh half: none of it is in the other two, but for the MNIST images."""

import functools
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
from mlxtend.data import autompg_data
from sklearn.datasets import load_breast_cancer, load_sample_image, load_wine

from finder.data import coded, digits


@functools.cache
def wine() -> tuple[jax.Array, jax.Array]:
    """178 wines: 13 standardised measurements, three classes."""
    inputs, classes = load_wine(return_X_y=True)
    return _standard(inputs), jnp.asarray(classes, jnp.int32)


@functools.cache
def tumours() -> tuple[jax.Array, jax.Array]:
    """569 tumours: 30 standardised measurements, two classes."""
    inputs, classes = load_breast_cancer(return_X_y=True)
    return _standard(inputs), jnp.asarray(classes, jnp.int32)


@functools.cache
def cars() -> tuple[jax.Array, jax.Array]:
    """392 cars: 7 standardised measurements, and miles a gallon, standardised."""
    inputs, targets = autompg_data()  # the last column is the name of the car
    return _standard(inputs[:, :7]), _standard(targets)


@functools.cache
def spirals() -> tuple[jax.Array, jax.Array]:
    """3,000 points on three interleaved spiral arms in the plane, and their arms."""
    random = np.random.default_rng(11)
    arms, along = random.integers(0, 3, 3000), random.uniform(0.2, 1, 3000)
    angles = 4 * along + arms * 2 * np.pi / 3 + 0.1 * random.standard_normal(3000)
    points = along[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return jnp.asarray(points, jnp.float32), jnp.asarray(arms, jnp.int32)


@functools.cache
def mislabelled() -> tuple[jax.Array, jax.Array]:
    """The digits, a quarter of whose classes are drawn anew."""
    images, classes = digits()
    random = np.random.default_rng(12)
    redrawn = np.where(random.random(len(classes)) < 0.25, random.integers(0, 10, len(classes)), classes)
    return images, jnp.asarray(redrawn, jnp.int32)


@functools.cache
def photograph() -> jax.Array:
    """6,000 grey patches of 8 x 8 from a photograph, as 64 numbers about 0."""
    grey = load_sample_image("flower.jpg").mean(axis=2) / 255.0
    random = np.random.default_rng(13)
    rows, columns = random.integers(0, grey.shape[0] - 8, 6000), random.integers(0, grey.shape[1] - 8, 6000)
    cut = np.stack([grey[row : row + 8, column : column + 8].ravel() for row, column in zip(rows, columns, strict=True)])
    return jnp.asarray((cut - cut.mean()) / cut.std(), jnp.float32)


@functools.cache
def powers() -> tuple[jax.Array, jax.Array]:
    """1,500 places in [-1, 1] as their first ten powers, nearly dependent columns, and a noisy curve over them."""
    random = np.random.default_rng(14)
    places = random.uniform(-1, 1, 1500)
    curve = np.sin(4 * places) + 0.3 * np.abs(places) + 0.03 * random.standard_normal(1500)
    return jnp.asarray(places[:, None] ** np.arange(10), jnp.float32), jnp.asarray(curve, jnp.float32)


@functools.cache
def counts() -> tuple[jax.Array, jax.Array]:
    """2,500 points of 12 correlated inputs and the counts that a log-linear rate gives."""
    random = np.random.default_rng(15)
    inputs = random.standard_normal((2500, 12)) @ (random.standard_normal((12, 12)) / 12**0.5)
    rates = np.exp(1.0 + np.clip(inputs @ (0.4 * random.standard_normal(12)), -3, 2))
    return jnp.asarray(inputs, jnp.float32), jnp.asarray(random.poisson(rates), jnp.float32)


@functools.cache
def entries() -> tuple[jax.Array, jax.Array]:
    """Rows, columns and values of all entries of a 50 x 40 matrix of rank three, with a little noise."""
    random = np.random.default_rng(16)
    matrix = random.standard_normal((50, 3)) @ random.standard_normal((3, 40)) + 0.1 * random.standard_normal((50, 40))
    rows, columns = np.indices(matrix.shape)
    return jnp.asarray(np.stack([rows.ravel(), columns.ravel()], axis=1)), jnp.asarray(matrix.ravel(), jnp.float32)


@functools.cache
def names(length: int) -> jax.Array:
    """Windows of `length` characters of the names of Unicode's characters, one after the other."""
    every = (unicodedata.name(chr(number), "") for number in range(0x20, 0x3000))
    return coded("\n".join(name for name in every if name), length)


def _standard(array: np.ndarray) -> jax.Array:
    return jnp.asarray((array - array.mean(axis=0)) / array.std(axis=0), jnp.float32)
