"""Runs of 2,000 to 20,000 steps in families that the other splits do not have: search rules may be tuned on the first half.

The two halves share no family: what was chosen on one says nothing about the other by likeness.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from finder.data import digits, linear, mnist, text
from finder.exact_tasks import fit_loss, line_loss, taught, zeros
from finder.fresh_data import mislabelled, photograph
from finder.fresh_tasks import batch_norm, dense, pooled_net, pooled_start, residual_net, residual_start
from finder.long_tasks import rows_of_digits
from finder.models import cross_entropy, dense_net, next_character, normalise, squared, transformer_start
from finder.task import Params, Task, tasks

momentum = functools.partial(optax.sgd, momentum=0.9)
nesterov = functools.partial(optax.sgd, momentum=0.9, nesterov=True)
relu_loss = functools.partial(cross_entropy, dense_net)
pooled_loss = functools.partial(cross_entropy, pooled_net)
residual_loss = functools.partial(cross_entropy, residual_net)
layer_norm_loss = functools.partial(cross_entropy, functools.partial(dense_net, norm=normalise))
batch_norm_loss = functools.partial(cross_entropy, functools.partial(dense_net, norm=batch_norm))


def clipped_adamw(learning_rate: float) -> optax.GradientTransformation:
    """AdamW behind a clip of the gradient's norm, with the second moment that language models use."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(learning_rate, b2=0.95, weight_decay=0.1))


def gated_start(key: jax.Array, inputs: int = 8, width: int = 24, outputs: int = 10) -> Params:
    """A recurrent net with one gate."""
    draws = jax.random.split(key, 5)
    return {
        "in": jax.random.normal(draws[0], (inputs, width)) / inputs**0.5,
        "on": jax.random.normal(draws[1], (width, width)) / width**0.5,
        "gate_in": jax.random.normal(draws[2], (inputs, width)) / inputs**0.5,
        "gate_on": jax.random.normal(draws[3], (width, width)) / width**0.5,
        "out": jax.random.normal(draws[4], (width, outputs)) / width**0.5,
    }


def gated(params: Params, x: jax.Array) -> jax.Array:
    """Class scores after the rows of (batch, rows, inputs) were read one after the other."""

    def read(state: jax.Array, row: jax.Array) -> tuple[jax.Array, None]:
        gate = jax.nn.sigmoid(row @ params["gate_in"] + state @ params["gate_on"] - 1.0)
        return state + gate * (jnp.tanh(row @ params["in"] + state @ params["on"]) - state), None

    begun = jnp.zeros((x.shape[0], params["on"].shape[0]))
    return jax.lax.scan(read, begun, x.swapaxes(0, 1))[0] @ params["out"]


gated_loss = functools.partial(cross_entropy, gated)


@functools.cache
def denoising() -> tuple[jax.Array, jax.Array]:
    """Patches of a photograph with noise, and the noise."""
    clean = photograph()
    noise = jnp.asarray(np.random.default_rng(41).standard_normal(clean.shape), jnp.float32)
    return clean + noise, noise


@functools.cache
def few(data: Callable, count: int, seed: int) -> tuple[jax.Array, ...]:
    """A few of the examples of a data set."""
    places = np.random.default_rng(seed).permutation(len(data()[0]))[:count]
    return tuple(array[places] for array in data())


@functools.cache
def family_tasks() -> tuple[Task, ...]:
    """Eight runs: attention, small data for many epochs, gates, denoising, linear models, sign updates of dense nets."""
    prose = functools.partial(transformer_start, layers=2, width=24, length=16)
    net = (16, 48, 48, 6)
    rows = (
        ("attention prose clipped adamw", prose, next_character, text("prose", 16), 12, clipped_adamw, 3000, 1e-3),
        ("attention program muon", prose, next_character, text("program", 16), 12, optax.contrib.muon, 2000, 2e-2),
        ("few digits many epochs adam", dense(64, 48, 10), relu_loss, few(digits, 300, 51), 25, optax.adam, 6000, 1e-3),
        ("few digits many epochs momentum", dense(64, 48, 10), relu_loss, few(digits, 300, 52), 25, momentum, 6000, 0.1),
        ("gated digits adamw", gated_start, gated_loss, rows_of_digits(), 32, optax.adamw, 3000, 1e-3),
        ("denoiser photograph adam", dense(64, 64, 64), fit_loss, denoising(), 48, optax.adam, 4000, 1e-3),
        (
            "ill squares nesterov",
            zeros(40),
            line_loss,
            linear(tuple(float(c) for c in np.geomspace(1e-3, 1, 40)), 0.1, 53),
            32,
            nesterov,
            20_000,
            0.1,
        ),
        ("dense teacher lion", dense(*net), fit_loss, taught(net, 2.0, 54), 32, optax.lion, 5000, 1e-4),
    )
    return tasks("family", rows)


@functools.cache
def family_report_tasks() -> tuple[Task, ...]:
    """Eight runs: convolutions, norms, label noise, residual blocks, images as targets, Muon on dense nets."""
    pixels = (mnist()[0], mnist()[0])
    rows = (
        ("long pooled conv mnist adamw", pooled_start, pooled_loss, mnist(), 32, optax.adamw, 2500, 1e-3),
        ("pooled conv mnist nesterov", pooled_start, pooled_loss, mnist(), 32, nesterov, 2500, 0.1),
        ("layer norm mnist momentum", dense(196, 48, 48, 10), layer_norm_loss, mnist(), 48, momentum, 5000, 0.1),
        ("batch norm mnist sgd", dense(196, 48, 48, 10), batch_norm_loss, mnist(), 48, optax.sgd, 5000, 0.1),
        ("label noise digits adam", dense(64, 64, 10), relu_loss, mislabelled(), 32, optax.adam, 8000, 1e-3),
        ("label noise digits lion", dense(64, 64, 10), relu_loss, mislabelled(), 32, optax.lion, 4000, 1e-4),
        ("residual digits rmsprop", residual_start, residual_loss, digits(), 32, optax.rmsprop, 4000, 1e-3),
        (
            "autoencoder mnist muon",
            dense(196, 32, 196),
            functools.partial(squared, dense_net),
            pixels,
            32,
            optax.contrib.muon,
            3000,
            2e-2,
        ),
    )
    return tasks("family-report", rows)
