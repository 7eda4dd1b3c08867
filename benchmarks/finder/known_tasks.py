"""The tasks of the choose half, on which rules may be tuned, and of the report half, on which they may not."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from finder.data import diabetes, digits, linear, mapped, mnist, text, wave
from finder.models import (
    conv_net,
    conv_start,
    cross_entropy,
    dense_net,
    dense_start,
    gaussian,
    line,
    next_character,
    normalise,
    squared,
    transformer_start,
)
from finder.task import Task, tasks

momentum = functools.partial(optax.sgd, momentum=0.9)
relu_loss = functools.partial(cross_entropy, dense_net)
norm_loss = functools.partial(cross_entropy, functools.partial(dense_net, norm=normalise))
tanh_loss = functools.partial(cross_entropy, functools.partial(dense_net, activation=jnp.tanh))
conv_loss = functools.partial(cross_entropy, conv_net)
linear_loss = functools.partial(squared, functools.partial(dense_net, activation=lambda x: x))
line_loss = functools.partial(squared, line)
code_loss = functools.partial(squared, dense_net)


def dense(*sizes: int, gain: float = 2.0) -> Callable:
    """The start of a dense net."""
    return functools.partial(dense_start, sizes=sizes, gain=gain)


def slopes(size: int) -> Callable:
    """The start of a linear map."""
    return lambda key: {"slope": 0.01 * jax.random.normal(key, (size,))}


@functools.cache
def choose_tasks() -> tuple[Task, ...]:
    """Ten tasks; the data are read when this is called."""
    steep = linear(tuple(float(c) for c in np.geomspace(1e-3, 1, 30)), 0.05, 0)
    conv = functools.partial(conv_start, side=8, channels=8)
    small = functools.partial(transformer_start, layers=1, width=32, length=24)
    images = (mnist()[0], mnist()[0])
    plateau = dense(196, 32, 32, 32, 32, 10, gain=0.3)
    rows = (
        ("softmax digits sgd", dense(64, 10), relu_loss, digits(), 32, optax.sgd, 400, 0.1),
        ("mlp mnist momentum", dense(196, 48, 10), relu_loss, mnist(), 32, momentum, 400, 0.1),
        ("mlp-norm digits lion", dense(64, 48, 48, 10), norm_loss, digits(), 32, optax.lion, 300, 1e-4),
        ("conv digits adam", conv, conv_loss, digits(), 32, optax.adam, 300, 1e-3),
        ("transformer prose adamw", small, next_character, text("prose", 24), 16, optax.adamw, 300, 1e-3),
        ("nll diabetes adam", dense(10, 32, 2, gain=1.0), gaussian, diabetes(), 32, optax.adam, 500, 1e-3),
        ("steep regression sgd", slopes(30), line_loss, steep, 64, optax.sgd, 600, 0.1),
        ("tanh-plateau mnist momentum", plateau, tanh_loss, mnist(), 64, momentum, 400, 0.1),
        ("autoencoder mnist rmsprop", dense(196, 32, 196), code_loss, images, 32, optax.rmsprop, 300, 1e-3),
        ("deep mlp mnist adamw", dense(196, 32, 32, 32, 32, 10), relu_loss, mnist(), 128, optax.adamw, 300, 1e-3),
    )
    return tasks("choose", rows)


@functools.cache
def report_tasks() -> tuple[Task, ...]:
    """Eight tasks; the data are read when this is called."""
    steeper = linear(tuple(float(c) for c in np.geomspace(1e-2, 30, 20)), 0.2, 1)
    conv = functools.partial(conv_start, side=14, channels=6)
    deeper = functools.partial(transformer_start, layers=2, width=24, length=16)
    plateau = dense(196, 24, 24, 8, gain=0.02)
    rows = (
        ("softmax mnist adam", dense(196, 10), relu_loss, mnist(), 64, optax.adam, 400, 1e-3),
        ("mlp digits rmsprop", dense(64, 64, 64, 10), relu_loss, digits(), 32, optax.rmsprop, 300, 1e-3),
        ("mlp-norm mnist momentum", dense(196, 48, 48, 10), norm_loss, mnist(), 32, momentum, 400, 0.1),
        ("conv mnist sgd", conv, conv_loss, mnist(), 32, optax.sgd, 300, 0.1),
        ("transformer program lion", deeper, next_character, text("program", 16), 16, optax.lion, 300, 1e-4),
        ("nll wave momentum", dense(1, 32, 32, 2, gain=1.0), gaussian, wave(), 64, momentum, 500, 0.1),
        ("steeper regression momentum", slopes(20), line_loss, steeper, 32, momentum, 500, 0.1),
        ("linear-plateau mnist adam", plateau, linear_loss, mapped(), 32, optax.adam, 300, 1e-3),
    )
    return tasks("report", rows)
