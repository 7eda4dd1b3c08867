"""Tasks whose loss can fall to nothing: noise-free, or with more parameters than examples. Rules were made on six."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from finder.data import digits, linear, mnist
from finder.fresh_tasks import dense, factors, factors_start
from finder.models import cross_entropy, dense_net, dense_start, line, squared
from finder.task import Task, tasks

momentum = functools.partial(optax.sgd, momentum=0.9)
relu_loss = functools.partial(cross_entropy, dense_net)
line_loss = functools.partial(squared, line)
factor_loss = functools.partial(squared, factors)
fit_loss = functools.partial(squared, dense_net)
tanh_fit = functools.partial(squared, functools.partial(dense_net, activation=jnp.tanh))
linear_fit = functools.partial(squared, functools.partial(dense_net, activation=lambda x: x))


def zeros(size: int) -> Callable:
    """The start of a linear map at nothing."""
    return lambda key: {"slope": jnp.zeros(size)}


@functools.cache
def squares(low: float, size: int, count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """Points of a linear map without noise, its inputs' variances from `low` to 1."""
    inputs, targets = linear(tuple(float(c) for c in np.geomspace(low, 1, size)), 0.0, seed)
    return inputs[:count], targets[:count]


@functools.cache
def taught(sizes: tuple[int, ...], gain: float, seed: int) -> tuple[jax.Array, jax.Array]:
    """2,048 normal inputs and what a net that is not trained makes of them."""
    draw, start = jax.random.split(jax.random.key(seed))
    inputs = jax.random.normal(draw, (2048, sizes[0]))
    return inputs, dense_net(dense_start(start, sizes, gain), inputs)


@functools.cache
def few_digits(count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """Fewer images of digits than a net has parameters."""
    places = np.random.default_rng(seed).permutation(1797)[:count]
    return digits()[0][places], digits()[1][places]


@functools.cache
def smooth_wave() -> tuple[jax.Array, jax.Array]:
    """1,000 points of a wave without noise."""
    places = np.random.default_rng(3).uniform(-2, 2, (1000, 1))
    return jnp.asarray(places, jnp.float32), jnp.asarray(np.sin(2 * places) * np.exp(-np.abs(places)), jnp.float32)


@functools.cache
def blobs(seed: int) -> tuple[jax.Array, jax.Array]:
    """Four classes of 30 dimensions that lie apart."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 4, 1200)
    points = 3 * random.standard_normal((4, 30))[classes] / np.sqrt(3) + random.standard_normal((1200, 30))
    return jnp.asarray(points, jnp.float32), jnp.asarray(classes, jnp.int32)


@functools.cache
def low_rank(seed: int) -> tuple[jax.Array, jax.Array]:
    """All entries of a matrix of rank four."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((50, 4)) @ random.standard_normal((4, 40)) / 2
    places = np.stack(np.meshgrid(np.arange(50), np.arange(40), indexing="ij"), -1).reshape(-1, 2)
    return jnp.asarray(places, jnp.int32), jnp.asarray(matrix.reshape(-1), jnp.float32)


@functools.cache
def exact_tasks() -> tuple[Task, ...]:
    """Six tasks on which rules may be tuned."""
    net = (16, 64, 10)
    rows = (
        ("least squares sgd", zeros(20), line_loss, squares(0.5, 20, 256, 5), 64, optax.sgd, 300, 0.1),
        ("ill squares momentum", zeros(20), line_loss, squares(0.01, 20, 2000, 6), 64, momentum, 500, 0.1),
        ("teacher adam", dense(*net), fit_loss, taught(net, 2.0, 7), 64, optax.adam, 400, 1e-3),
        ("few digits sgd", dense(64, 64, 10), relu_loss, few_digits(200, 8), 20, optax.sgd, 500, 0.1),
        (
            "deep linear rmsprop",
            dense(12, 32, 32, 4, gain=1.0),
            linear_fit,
            taught((12, 4), 1.0, 9),
            32,
            optax.rmsprop,
            400,
            1e-3,
        ),
        ("wave adamw", dense(1, 64, 64, 1), tanh_fit, smooth_wave(), 50, optax.adamw, 500, 1e-3),
    )
    return tasks("exact", rows)


@functools.cache
def exact_report_tasks() -> tuple[Task, ...]:
    """Eight tasks on which they may not."""
    net, deep = (16, 64, 10), (24, 48, 48, 6)
    pixels = mnist()[0][:400]
    rows = (
        ("least squares adam", zeros(20), line_loss, squares(0.5, 20, 256, 15), 64, optax.adam, 300, 1e-3),
        ("ill squares sgd", zeros(30), line_loss, squares(0.003, 30, 2000, 16), 32, optax.sgd, 600, 0.1),
        ("teacher sgd", dense(*net), fit_loss, taught(net, 2.0, 17), 64, optax.sgd, 400, 0.1),
        ("teacher momentum", dense(*deep), tanh_fit, taught(deep, 2.0, 18), 32, momentum, 500, 0.1),
        ("blobs lion", dense(30, 24, 4), relu_loss, blobs(19), 48, optax.lion, 300, 1e-4),
        ("low rank adam", factors_start, factor_loss, low_rank(20), 250, optax.adam, 500, 1e-3),
        ("few digits momentum", dense(64, 48, 48, 10), relu_loss, few_digits(300, 21), 30, momentum, 400, 0.1),
        ("few images rmsprop", dense(196, 96, 196), fit_loss, (pixels, pixels), 40, optax.rmsprop, 500, 1e-3),
    )
    return tasks("exact-report", rows)
