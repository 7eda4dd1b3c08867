"""Runs of 2,000 to 10,000 updates: what a finder of a few hundred updates says of them. Rules were made on the first half."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from finder.data import digits, mnist, text
from finder.exact_tasks import fit_loss, taught
from finder.fresh_data import names
from finder.fresh_tasks import dense
from finder.models import conv_net, conv_start, cross_entropy, dense_net, next_character, squared, transformer_start
from finder.task import Batch, Params, Task, tasks

momentum = functools.partial(optax.sgd, momentum=0.9)
relu_loss = functools.partial(cross_entropy, dense_net)
conv_loss = functools.partial(cross_entropy, conv_net)
code_loss = functools.partial(squared, dense_net)


def recurrent_start(inputs: int, width: int, outputs: int) -> Callable:
    """A recurrent net whose state nearly keeps its length."""

    def start(key: jax.Array) -> Params:
        first, second, third = jax.random.split(key, 3)
        return {
            "in": jax.random.normal(first, (inputs, width)) / inputs**0.5,
            "on": jnp.linalg.qr(jax.random.normal(second, (width, width)))[0] * 0.95,
            "out": jax.random.normal(third, (width, outputs)) / width**0.5,
            "bias": jnp.zeros(width),
        }

    return start


def recurrent(params: Params, x: jax.Array) -> jax.Array:
    """Class scores after the rows of (batch, rows, inputs) were read one after the other."""

    def read(state: jax.Array, row: jax.Array) -> tuple[jax.Array, None]:
        return jnp.tanh(row @ params["in"] + state @ params["on"] + params["bias"]), None

    begun = jnp.zeros((x.shape[0], params["on"].shape[0]))
    return jax.lax.scan(read, begun, x.swapaxes(0, 1))[0] @ params["out"]


def recurrent_loss(params: Params, batch: Batch) -> jax.Array:
    """Mean cross-entropy of a recurrent net."""
    return cross_entropy(recurrent, params, batch)


@functools.cache
def rows_of_digits() -> tuple[jax.Array, jax.Array]:
    """Images of digits as eight rows of eight."""
    return digits()[0].reshape(-1, 8, 8), digits()[1]


@functools.cache
def noisy_taught() -> tuple[jax.Array, jax.Array]:
    """What a net that is not trained makes of normal inputs, and noise."""
    inputs, targets = taught((16, 32, 4), 2.0, 30)
    noise = np.random.default_rng(31).standard_normal(targets.shape)
    return inputs, targets + jnp.asarray(0.3 * noise, jnp.float32)


@functools.cache
def long_tasks() -> tuple[Task, ...]:
    """Four runs on which rules may be tuned."""
    prose = functools.partial(transformer_start, layers=1, width=24, length=16)
    pixels = (mnist()[0], mnist()[0])
    rows = (
        ("long mlp digits momentum", dense(64, 32, 10), relu_loss, digits(), 32, momentum, 4000, 0.1),
        (
            "long recurrent digits lion",
            recurrent_start(8, 24, 10),
            recurrent_loss,
            rows_of_digits(),
            32,
            optax.lion,
            3000,
            1e-4,
        ),
        ("long transformer prose adamw", prose, next_character, text("prose", 16), 12, optax.adamw, 2000, 1e-3),
        ("long autoencoder mnist adam", dense(196, 24, 196), code_loss, pixels, 32, optax.adam, 2500, 1e-3),
    )
    return tasks("long", rows)


@functools.cache
def long_report_tasks() -> tuple[Task, ...]:
    """Six runs on which they may not."""
    conv = functools.partial(conv_start, side=8, channels=6)
    check_call = functools.partial(transformer_start, layers=1, width=24, length=16)
    rows = (
        ("long conv digits sgd", conv, conv_loss, digits(), 32, optax.sgd, 2000, 0.1),
        (
            "long recurrent digits rmsprop",
            recurrent_start(8, 24, 10),
            recurrent_loss,
            rows_of_digits(),
            32,
            optax.rmsprop,
            3000,
            1e-3,
        ),
        ("long transformer names adam", check_call, next_character, names(16), 12, optax.adam, 2000, 1e-3),
        ("long softmax mnist momentum", dense(196, 10), relu_loss, mnist(), 32, momentum, 10_000, 0.1),
        ("long noisy teacher adamw", dense(16, 32, 4), fit_loss, noisy_taught(), 32, optax.adamw, 6000, 1e-3),
        ("long teacher sgd", dense(16, 32, 4), fit_loss, taught((16, 32, 4), 2.0, 32), 32, optax.sgd, 5000, 0.1),
    )
    return tasks("long-report", rows)
