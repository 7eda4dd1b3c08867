"""Ten runs of 2,000 to 4,000 steps that were written after the search was finished, and that chose nothing.

Models, data, losses and optimizers are those of no other split, but for Lion, RMSprop, AdamW and SGD themselves.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_sample_image

from finder.data import digits, mnist, text
from finder.fresh_tasks import dense
from finder.models import dense_net, dense_start
from finder.task import Batch, Params, Task, tasks


def decayed_momentum(learning_rate: float) -> optax.GradientTransformation:
    """SGD with momentum and weight decay in the gradient, as in image classification."""
    return optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(learning_rate, momentum=0.9))


@functools.cache
def colours() -> tuple[jax.Array, jax.Array]:
    """Places and colours of the 107 x 160 pixels of a photograph."""
    image = load_sample_image("china.jpg")[::4, ::4] / 255.0
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape[:2]), indexing="ij")
    places = np.stack([rows, columns], axis=-1).reshape(-1, 2)
    return jnp.asarray(places, jnp.float32), jnp.asarray(image.reshape(-1, 3), jnp.float32)


def waves_start(key: jax.Array, width: int = 48) -> Params:
    """A net of sines over the plane, whose first layer has high frequencies."""
    params = dense_start(key, (2, width, width, 3), gain=2.0)
    return params | {"w0": 10 * params["w0"]}


def waves_loss(params: Params, batch: Batch) -> jax.Array:
    """The mean squared error of the colours."""
    return jnp.mean((dense_net(params, batch[0], jnp.sin) - batch[1]) ** 2)


@functools.cache
def neighbors() -> tuple[jax.Array, jax.Array]:
    """The eight characters around each of some, and that one."""
    windows = text("prose", 9)
    return jnp.delete(windows, 4, axis=1), windows[:, 4]


def vectors_start(key: jax.Array, width: int = 24) -> Params:
    """Vectors of the characters, in and out."""
    into, out = jax.random.split(key)
    return {"in": 0.1 * jax.random.normal(into, (64, width)), "out": 0.1 * jax.random.normal(out, (width, 64))}


def vectors_loss(params: Params, batch: Batch) -> jax.Array:
    """The cross-entropy of the character in the middle, from the mean vector of those around it."""
    scores = params["in"][batch[0]].mean(axis=1) @ params["out"]
    return optax.softmax_cross_entropy_with_integer_labels(scores, batch[1]).mean()


@functools.cache
def parity() -> tuple[jax.Array, jax.Array]:
    """4,000 rows of 20 signs, and the product of three of them."""
    signs = np.random.default_rng(61).choice([-1.0, 1.0], (4000, 20))
    return jnp.asarray(signs, jnp.float32), jnp.asarray(signs[:, 2] * signs[:, 7] * signs[:, 11], jnp.float32)


def parity_loss(params: Params, batch: Batch) -> jax.Array:
    """The logistic loss of a net with one output."""
    return jnp.mean(jax.nn.softplus(-batch[1] * dense_net(params, batch[0])[:, 0]))


@functools.cache
def pendulum() -> tuple[jax.Array, jax.Array]:
    """2,000 states of a pendulum (angle and speed) with noise, and the next seven, a fifth of a second apart."""
    random = np.random.default_rng(62)
    state = random.uniform(-2, 2, (2000, 2))
    path = []
    for step in range(1, 161):
        state = state + 0.01 * np.stack([state[:, 1], -np.sin(state[:, 0])], axis=1)
        path += [state] if step % 20 == 0 else []
    starts = path[0] + random.normal(0, 0.01, (2000, 2))
    return jnp.asarray(starts, jnp.float32), jnp.asarray(np.stack(path[1:], axis=1), jnp.float32)


def field_loss(params: Params, batch: Batch) -> jax.Array:
    """The mean squared error of the path that a learned field of velocities makes, in steps of Heun's method."""

    def step(state: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        velocity = dense_net(params, state, jnp.tanh)
        state = state + 0.1 * (velocity + dense_net(params, state + 0.2 * velocity, jnp.tanh))
        return state, state

    path = jax.lax.scan(step, batch[0], None, length=batch[1].shape[1])[1]
    return jnp.mean((path.swapaxes(0, 1) - batch[1]) ** 2)


@functools.cache
def heavy_tails() -> tuple[jax.Array, jax.Array]:
    """3,000 points of a smooth function of six numbers, with noise that has heavy tails."""
    random = np.random.default_rng(63)
    inputs = random.standard_normal((3000, 6))
    targets = np.sin(inputs[:, 0]) + inputs[:, 1] * inputs[:, 2] + 0.3 * random.standard_t(2, 3000)
    return jnp.asarray(inputs, jnp.float32), jnp.asarray(targets, jnp.float32)


def quantile_loss(params: Params, batch: Batch) -> jax.Array:
    """The pinball loss of three quantiles."""
    error, level = batch[1][:, None] - dense_net(params, batch[0], jax.nn.gelu), jnp.array([0.1, 0.5, 0.9])
    return jnp.mean(jnp.maximum(level * error, (level - 1) * error))


@functools.cache
def masked() -> tuple[jax.Array, jax.Array]:
    """The digits with half of the pixels hidden, the mask, and which pixels are bright: inputs and targets."""
    bright = np.asarray(digits()[0]) > 0.5
    seen = np.random.default_rng(64).random(bright.shape) < 0.5
    inputs = np.concatenate([(2.0 * bright - 1) * seen, seen], axis=1)
    return jnp.asarray(inputs, jnp.float32), jnp.asarray(bright, jnp.float32)


def pixels_loss(params: Params, batch: Batch) -> jax.Array:
    """The binary cross-entropy of all pixels."""
    return optax.sigmoid_binary_cross_entropy(dense_net(params, batch[0], jax.nn.silu), batch[1]).mean()


def hinge_loss(params: Params, batch: Batch) -> jax.Array:
    """The multi-class hinge loss, without a smooth end."""
    scores, true = dense_net(params, batch[0]), jax.nn.one_hot(batch[1], 10)
    margins = jnp.where(true > 0, -jnp.inf, scores - (scores * true).sum(axis=1, keepdims=True) + 1)
    return jnp.mean(jnp.maximum(margins.max(axis=1), 0))


def rows_start(key: jax.Array, width: int = 24) -> Params:
    """One layer of attention over the eight rows of a digit."""
    shapes = {"in": (8, width), "query": (width, width), "key": (width, width), "value": (width, width), "out": (width, 10)}
    draws = jax.random.split(key, len(shapes) + 1)
    drawn = {
        name: jax.random.normal(draw, shape) / shape[0] ** 0.5
        for draw, (name, shape) in zip(draws, shapes.items(), strict=False)
    }
    return drawn | {"place": 0.5 * jax.random.normal(draws[-1], (8, width))}


def rows_loss(params: Params, batch: Batch) -> jax.Array:
    """The cross-entropy of the digit, from the mean over its rows."""
    x = batch[0].reshape(-1, 8, 8) @ params["in"] + params["place"]
    scores = jnp.einsum("bid,bjd->bij", x @ params["query"], x @ params["key"]) / x.shape[-1] ** 0.5
    x = jnp.tanh(x + jax.nn.softmax(scores) @ (x @ params["value"]))
    return optax.softmax_cross_entropy_with_integer_labels(x.mean(axis=1) @ params["out"], batch[1]).mean()


def experts_start(key: jax.Array, experts: int = 4, width: int = 16) -> Params:
    """Small nets side by side, and a gate that mixes them."""
    gate, first, last = jax.random.split(key, 3)
    return {
        "gate": jax.random.normal(gate, (64, experts)) / 8,
        "first": jax.random.normal(first, (experts, 64, width)) / 8,
        "last": jax.random.normal(last, (experts, width, 10)) / width**0.5,
    }


def experts_loss(params: Params, batch: Batch) -> jax.Array:
    """The cross-entropy of the mixture."""
    hidden = jax.nn.relu(jnp.einsum("bi,eiw->ebw", batch[0], params["first"]))
    scores = jnp.einsum("ebw,ewo->beo", hidden, params["last"])
    mixed = (jax.nn.softmax(batch[0] @ params["gate"])[..., None] * scores).sum(axis=1)
    return optax.softmax_cross_entropy_with_integer_labels(mixed, batch[1]).mean()


@functools.cache
def ratings() -> tuple[jax.Array, jax.Array, jax.Array]:
    """20,000 ratings of 120 items by 200 people, from five hidden traits, with noise."""
    random = np.random.default_rng(65)
    people, items = random.integers(0, 200, 20_000), (120 * random.random(20_000) ** 2).astype(int)
    traits, looks = random.standard_normal((200, 5)), random.standard_normal((120, 5))
    marks = (traits[people] * looks[items]).sum(axis=1) / 5**0.5 + 0.3 * random.standard_normal(20_000)
    return jnp.asarray(people, jnp.int32), jnp.asarray(items, jnp.int32), jnp.asarray(marks, jnp.float32)


def ratings_start(key: jax.Array, width: int = 8) -> Params:
    """Vectors of people and items."""
    person, item = jax.random.split(key)
    return {"person": 0.3 * jax.random.normal(person, (200, width)), "item": 0.3 * jax.random.normal(item, (120, width))}


def ratings_loss(params: Params, batch: Batch) -> jax.Array:
    """The mean squared error of the products of vectors."""
    return jnp.mean(((params["person"][batch[0]] * params["item"][batch[1]]).sum(axis=1) - batch[2]) ** 2)


@functools.cache
def unseen_tasks() -> tuple[Task, ...]:
    """All ten."""
    rmsprop = functools.partial(optax.rmsprop, momentum=0.9)
    rows = (
        ("sine net colours adam", waves_start, waves_loss, colours(), 128, optax.adam, 3000, 1e-3),
        ("character vectors adagrad", vectors_start, vectors_loss, neighbors(), 64, optax.adagrad, 3000, 0.1),
        ("sparse parity momentum", dense(20, 64, 1), parity_loss, parity(), 64, decayed_momentum, 4000, 0.1),
        ("pendulum field rmsprop", dense(2, 24, 2), field_loss, pendulum(), 32, rmsprop, 2500, 1e-3),
        ("quantiles heavy tails adamw", dense(6, 32, 32, 3), quantile_loss, heavy_tails(), 32, optax.adamw, 2000, 1e-3),
        ("masked digits nadamw", dense(128, 48, 64), pixels_loss, masked(), 32, optax.nadamw, 3000, 1e-3),
        ("hinge mnist sgd", dense(196, 32, 10), hinge_loss, mnist(), 32, optax.sgd, 3000, 0.1),
        ("attention rows digits lion", rows_start, rows_loss, digits(), 32, optax.lion, 2500, 1e-4),
        ("experts digits adabelief", experts_start, experts_loss, digits(), 32, optax.adabelief, 2000, 1e-3),
        ("ratings factors momentum", ratings_start, ratings_loss, ratings(), 64, decayed_momentum, 4000, 0.1),
    )
    return tasks("unseen", rows)
