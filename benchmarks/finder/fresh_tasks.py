"""The tasks of the fresh half: frozen before any finder was run on them, and run once.

Nothing in lrax may be tuned on them. Who does so anyway moves them to the choose half and writes others.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from finder.data import mnist
from finder.fresh_data import cars, counts, entries, mislabelled, names, photograph, powers, spirals, tumours, wine
from finder.models import (
    cross_entropy,
    dense_net,
    dense_start,
    gaussian,
    line,
    next_character,
    normalise,
    patches,
    squared,
    transformer_start,
)
from finder.task import Batch, Params, Task, tasks


def batch_norm(x: jax.Array) -> jax.Array:
    """Normalisation over the batch, by the batch's own statistics."""
    return (x - x.mean(0)) * jax.lax.rsqrt(x.var(0) + 1e-5)


def pooled_start(key: jax.Array) -> Params:
    """Three 3 x 3 convolutions of 8, 12 and 16 channels, and a dense layer on their mean."""
    widths = (1, 8, 12, 16)
    keys = jax.random.split(key, 4)
    params = {
        f"conv{layer}": jax.random.normal(keys[layer], (9 * inputs, outputs)) * (2 / (9 * inputs)) ** 0.5
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths))
    }
    return params | {"last": jax.random.normal(keys[3], (16, 10)) / 4, "bias": jnp.zeros(10)}


def pooled_net(params: Params, x: jax.Array) -> jax.Array:
    """Class scores of square images given as rows: strides of 1, 2 and 2, and the mean over what places remain."""
    side = round(x.shape[1] ** 0.5)
    x = x.reshape(-1, side, side, 1)
    for layer in range(3):
        x = jax.nn.relu(patches(x, 1 if layer == 0 else 2) @ params[f"conv{layer}"])
    return x.mean((1, 2)) @ params["last"] + params["bias"]


def residual_start(key: jax.Array, width: int = 40, blocks: int = 2) -> Params:
    """Residual blocks that begin as almost nothing."""
    keys = jax.random.split(key, 2 * blocks + 2)
    params = {"in": jax.random.normal(keys[-2], (64, width)) / 8, "out": jax.random.normal(keys[-1], (width, 10)) / width**0.5}
    for block in range(blocks):
        params[f"up{block}"] = jax.random.normal(keys[2 * block], (width, 2 * width)) * (2 / width) ** 0.5
        params[f"down{block}"] = 0.01 * jax.random.normal(keys[2 * block + 1], (2 * width, width))
    return params


def residual_net(params: Params, x: jax.Array) -> jax.Array:
    """Class scores by residual blocks with a norm at the start of each."""
    x = x @ params["in"]
    for block in range((len(params) - 2) // 2):
        x = x + jax.nn.silu(normalise(x) @ params[f"up{block}"]) @ params[f"down{block}"]
    return x @ params["out"]


def poisson(params: Params, batch: Batch) -> jax.Array:
    """Negative log-likelihood of counts under a log-linear rate, without its constant (can be negative)."""
    scores = batch[0] @ params["slope"] + params["offset"]
    return jnp.mean(jnp.exp(scores) - batch[1] * scores)


def factors_start(key: jax.Array) -> Params:
    """Two thin matrices near zero, where the slope of their product vanishes."""
    left, right = jax.random.split(key)
    return {"left": 0.02 * jax.random.normal(left, (50, 4)), "right": 0.02 * jax.random.normal(right, (40, 4))}


def factors(params: Params, places: jax.Array) -> jax.Array:
    """Entries of the product of two thin matrices."""
    return jnp.sum(params["left"][places[:, 0]] * params["right"][places[:, 1]], axis=1)


def contrast(params: Params, images: jax.Array) -> jax.Array:
    """Cross-entropy of finding the left half of an image by its right half among those of the batch."""
    left, right = images.reshape(-1, 14, 14)[:, :, :7], images.reshape(-1, 14, 14)[:, :, 7:]

    def embed(side: str, half: jax.Array) -> jax.Array:
        part = {name.removeprefix(side): array for name, array in params.items() if name.startswith(side)}
        code = dense_net(part, half.reshape(half.shape[0], -1))
        return code * jax.lax.rsqrt(jnp.sum(code**2, -1, keepdims=True) + 1e-6)

    scores = embed("left", left) @ embed("right", right).T / 0.1
    return optax.softmax_cross_entropy_with_integer_labels(scores, jnp.arange(images.shape[0])).mean()


def contrast_start(key: jax.Array) -> Params:
    """A dense net for either half of the images."""
    nets = {side: dense_start(draw, (98, 48, 16)) for side, draw in zip(("left", "right"), jax.random.split(key), strict=True)}
    return {side + name: array for side, net in nets.items() for name, array in net.items()}


def dense(*sizes: int, gain: float = 2.0) -> Callable:
    """The start of a dense net."""
    return functools.partial(dense_start, sizes=sizes, gain=gain)


@functools.cache
def fresh_tasks() -> tuple[Task, ...]:
    """Fourteen tasks; the data are read when this is called."""
    nesterov = functools.partial(optax.sgd, momentum=0.9, nesterov=True)
    heavy = functools.partial(optax.sgd, momentum=0.95)
    decayed = functools.partial(optax.adamw, b2=0.95, weight_decay=0.1)
    relu_loss = functools.partial(cross_entropy, dense_net)
    batch_loss = functools.partial(cross_entropy, functools.partial(dense_net, norm=batch_norm))
    sigmoid_loss = functools.partial(cross_entropy, functools.partial(dense_net, activation=jax.nn.sigmoid))
    tanh_code = functools.partial(squared, functools.partial(dense_net, activation=jnp.tanh))
    pooled_loss, residual_loss = functools.partial(cross_entropy, pooled_net), functools.partial(cross_entropy, residual_net)
    line_loss, factor_loss = functools.partial(squared, line), functools.partial(squared, factors)
    characters = functools.partial(transformer_start, layers=2, width=32, length=20)
    photo = (photograph(), photograph())
    pixels = mnist()[0]
    plateau = dense(196, 40, 40, 10, gain=1.0)

    def zeros(size: int) -> Callable:
        return lambda key: {"slope": jnp.zeros(size), "offset": jnp.zeros(())}

    def small(size: int) -> Callable:
        return lambda key: {"slope": 0.01 * jax.random.normal(key, (size,))}

    rows = (
        ("softmax wine nesterov", dense(13, 3), relu_loss, wine(), 16, nesterov, 300, 0.1),
        ("softmax tumours lion", dense(30, 2), relu_loss, tumours(), 48, optax.lion, 350, 1e-4),
        ("mlp spirals rmsprop", dense(2, 64, 64, 3), relu_loss, spirals(), 128, optax.rmsprop, 600, 1e-3),
        ("mlp batch-norm mnist sgd", dense(196, 56, 56, 10), batch_loss, mnist(), 100, optax.sgd, 350, 0.1),
        ("sigmoid-plateau mnist heavy", plateau, sigmoid_loss, mnist(), 80, heavy, 500, 0.1),
        ("pooled conv mnist adamw", pooled_start, pooled_loss, mnist(), 24, optax.adamw, 350, 1e-3),
        ("residual mislabelled adam", residual_start, residual_loss, mislabelled(), 40, optax.adam, 450, 1e-3),
        ("transformer names adamw", characters, next_character, names(20), 12, decayed, 320, 1e-3),
        ("nll cars adam", dense(7, 24, 24, 2, gain=1.0), gaussian, cars(), 24, optax.adam, 400, 1e-3),
        ("poisson counts sgd", zeros(12), poisson, counts(), 64, optax.sgd, 400, 0.1),
        ("powers regression momentum", small(10), line_loss, powers(), 100, nesterov, 600, 0.1),
        ("factors-plateau entries momentum", factors_start, factor_loss, entries(), 250, nesterov, 500, 0.1),
        ("autoencoder photograph lion", dense(64, 20, 64, gain=1.0), tanh_code, photo, 64, optax.lion, 400, 1e-4),
        ("contrast mnist adam", contrast_start, contrast, pixels, 64, optax.adam, 320, 1e-3),
    )
    return tasks("fresh", rows)
