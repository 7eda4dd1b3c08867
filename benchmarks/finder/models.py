"""Models and losses of the tasks: plain functions of dictionaries of arrays.

Dense products only: convolutions are patches times a matrix, so that they batch over rates on any platform.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from finder.task import Batch, Params


def dense_start(key: jax.Array, sizes: tuple[int, ...], gain: float = 2.0) -> Params:
    """Dense layers: normal weights of variance gain / inputs (the last layer's 1 / inputs), biases 0."""
    params = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        key, draw = jax.random.split(key)
        variance = (gain if layer < len(sizes) - 2 else min(gain, 1.0)) / inputs
        params[f"w{layer}"] = jax.random.normal(draw, (inputs, outputs)) * variance**0.5
        params[f"b{layer}"] = jnp.zeros(outputs)
    return params


def normalise(x: jax.Array) -> jax.Array:
    """Layer norm over the last axis."""
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


def dense_net(params: Params, x: jax.Array, activation: Callable = jax.nn.relu, norm: Callable | None = None) -> jax.Array:
    """Dense layers with an activation, and a norm before it where one is given, between them."""
    layers = len(params) // 2
    for layer in range(layers):
        x = x @ params[f"w{layer}"] + params[f"b{layer}"]
        if layer < layers - 1:
            x = activation(x if norm is None else norm(x))
    return x


def patches(x: jax.Array, stride: int) -> jax.Array:
    """The 3 x 3 neighbourhoods of (batch, side, side, channels) as one last axis."""
    side = x.shape[1]
    shifts = [x[:, i : side - 2 + i : stride, j : side - 2 + j : stride] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifts, axis=-1)


def conv_start(key: jax.Array, side: int, channels: int) -> Params:
    """Two 3 x 3 convolutions (the second one with stride 2) and a dense layer."""
    first, second, last = jax.random.split(key, 3)
    end = (side - 2 - 2 + 1) // 2
    return {
        "first": jax.random.normal(first, (9, channels)) * (2 / 9) ** 0.5,
        "second": jax.random.normal(second, (9 * channels, channels)) * (2 / (9 * channels)) ** 0.5,
        "last": jax.random.normal(last, (end * end * channels, 10)) / (end * end * channels) ** 0.5,
        "bias": jnp.zeros(10),
    }


def conv_net(params: Params, x: jax.Array) -> jax.Array:
    """Class scores of square images given as rows."""
    side = round(x.shape[1] ** 0.5)
    x = x.reshape(-1, side, side, 1)
    x = jax.nn.relu(patches(x, 1) @ params["first"])
    x = jax.nn.relu(patches(x, 2) @ params["second"])
    return x.reshape(x.shape[0], -1) @ params["last"] + params["bias"]


def transformer_start(key: jax.Array, layers: int, width: int, length: int) -> Params:
    """A causal transformer with two heads over 64 characters."""
    shapes = {"embed": (64, width), "place": (length, width), "out": (width, 64)}
    for layer in range(layers):
        shapes |= {f"qkv{layer}": (width, 3 * width), f"mix{layer}": (width, width)}
        shapes |= {f"up{layer}": (width, 2 * width), f"down{layer}": (2 * width, width)}
    keys = jax.random.split(key, len(shapes))
    return {
        name: jax.random.normal(draw, shape) * (0.1 if name in ("embed", "place") else shape[0] ** -0.5)
        for draw, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def transformer(params: Params, codes: jax.Array, heads: int = 2) -> jax.Array:
    """Scores of the next character at every place."""
    batch, length = codes.shape
    x = params["embed"][codes] + params["place"]
    width = x.shape[-1]
    mask = jnp.tril(jnp.ones((length, length), bool))
    for layer in range((len(params) - 3) // 4):
        qkv = (normalise(x) @ params[f"qkv{layer}"]).reshape(batch, length, 3, heads, width // heads)
        scores = jnp.einsum("bihd,bjhd->bhij", qkv[:, :, 0], qkv[:, :, 1]) / (width // heads) ** 0.5
        attention = jax.nn.softmax(jnp.where(mask, scores, -1e9))
        mixed = jnp.einsum("bhij,bjhd->bihd", attention, qkv[:, :, 2]).reshape(batch, length, width)
        x = x + mixed @ params[f"mix{layer}"]
        x = x + jax.nn.gelu(normalise(x) @ params[f"up{layer}"]) @ params[f"down{layer}"]
    return normalise(x) @ params["out"]


def line(params: Params, x: jax.Array) -> jax.Array:
    """A linear map to one number."""
    return x @ params["slope"]


def cross_entropy(model: Callable, params: Params, batch: Batch) -> jax.Array:
    """Mean cross-entropy of integer classes."""
    return optax.softmax_cross_entropy_with_integer_labels(model(params, batch[0]), batch[1]).mean()


def next_character(params: Params, codes: jax.Array) -> jax.Array:
    """Mean cross-entropy of the next character."""
    return optax.softmax_cross_entropy_with_integer_labels(transformer(params, codes)[:, :-1], codes[:, 1:]).mean()


def gaussian(params: Params, batch: Batch) -> jax.Array:
    """Negative log-likelihood of a normal distribution whose mean and log deviation a net gives (can be negative)."""
    mean, log_deviation = jnp.moveaxis(dense_net(params, batch[0], jnp.tanh), -1, 0)
    return jnp.mean(0.5 * ((batch[1] - mean) * jnp.exp(-log_deviation)) ** 2 + log_deviation)


def squared(model: Callable, params: Params, batch: Batch) -> jax.Array:
    """Half the mean squared error."""
    return 0.5 * jnp.mean((model(params, batch[0]) - batch[1]) ** 2)
