"""Training tasks whose parameters fall into groups, for `groups.py`: small enough for two cores, a few hundred steps each."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from finder import data, models

KEY = jax.random.key(20)


@dataclasses.dataclass(frozen=True, eq=False)
class GroupTask:
    """A learner, its data, and what judges a run of it.

    Attributes:
      name: model and optimizer in a few words.
      groups: the patterns of the groups.
      learner: key -> learner.
      sample: key -> batch.
      metric: state -> what a run is judged by, lower is better.
      evaluated: whether the search is given the metric, since the loss does not say it.
      steps: the length of the run.
    """

    name: str
    groups: tuple[str, ...]
    learner: Callable[[jax.Array], lrax.Learner]
    sample: Callable[[jax.Array], Any]
    metric: Callable[[Any], jax.Array]
    evaluated: bool = False
    steps: int = 300


def of_arrays(arrays: Any, size: int, loss_fn: Callable) -> tuple[Callable, Callable]:
    """A sampler of `size` random examples, and the mean loss of a state over up to 1,024 fixed ones."""
    count = len(jax.tree.leaves(arrays)[0])
    chosen = np.random.default_rng(1).permutation(count)[:1024]

    def sample(key: jax.Array) -> Any:
        places = jax.random.randint(key, (size,), 0, count)
        return jax.tree.map(lambda array: array[places], arrays)

    judged = jax.tree.map(lambda array: array[chosen], arrays)
    return sample, lambda state: loss_fn(state.params, judged)


def muon_and_adam(params: Any) -> Callable:
    """The factory of Muon for matrices and Adam for the rest, both at one learning rate."""
    pattern = lrax.matrices(params, exclude="embed|place|out|w0|w3")
    return lambda lr: lrax.by_path(optax.adam, lr, {pattern: {"optimizer": optax.contrib.muon}})


def muon_transformer() -> GroupTask:
    """A transformer over characters, Muon for its matrices."""
    start = functools.partial(models.transformer_start, layers=1, width=16, length=16)
    params = start(KEY)
    factory = muon_and_adam(params)
    sample, metric = of_arrays(data.text("english", 16), 16, models.next_character)
    groups = (lrax.matrices(params, exclude="embed|place|out|w0|w3"),)
    learner = lambda key: lrax.Learner.create(models.next_character, start(key), factory)  # noqa: E731
    return GroupTask("transformer, Muon and Adam", groups, learner, sample, metric)


def muon_mlp() -> GroupTask:
    """An MLP on digits, Muon for its inner matrices."""
    start = functools.partial(models.dense_start, sizes=(64, 32, 32, 32, 10))
    loss_fn = functools.partial(models.cross_entropy, models.dense_net)
    params = start(KEY)
    factory = muon_and_adam(params)
    sample, metric = of_arrays(data.digits(), 32, loss_fn)
    groups = (lrax.matrices(params, exclude="w0|w3"),)
    learner = lambda key: lrax.Learner.create(loss_fn, start(key), factory)  # noqa: E731
    return GroupTask("MLP, Muon and Adam", groups, learner, sample, metric)


@functools.cache
def pretrained() -> Any:
    """An MLP that was trained on the digits below 5."""
    images, classes = data.digits()
    few = np.flatnonzero(np.asarray(classes) < 5)
    loss_fn = functools.partial(models.cross_entropy, models.dense_net)
    sample, _ = of_arrays((images[few], classes[few]), 32, loss_fn)
    learner = lrax.Learner.create(loss_fn, models.dense_start(KEY, (64, 64, 64, 5)), optax.adam)
    body = lambda state, key: (learner.step(state, sample(key), 0.003)[0], None)  # noqa: E731
    return jax.jit(lambda: jax.lax.scan(body, learner.state, jax.random.split(KEY, 500))[0].params)()


def others() -> Any:
    """The digits from 5 on."""
    images, classes = data.digits()
    few = np.flatnonzero(np.asarray(classes) >= 5)
    return images[few], classes[few] - 5


def fine_tuned(optimizer: Callable, name: str) -> GroupTask:
    """A pretrained body and a new head, on digits that it has not seen."""
    loss_fn = lambda params, batch: models.cross_entropy(models.dense_net, {**params["body"], **params["head"]}, batch)  # noqa: E731
    sample, metric = of_arrays(others(), 32, loss_fn)

    def start(key: jax.Array) -> Any:
        old = pretrained()
        body = {name: old[name] for name in ("w0", "b0", "w1", "b1")}
        return {"body": body, "head": {"w2": jax.random.normal(key, (64, 5)) / 8, "b2": jnp.zeros(5)}}

    learner = lambda key: lrax.Learner.create(loss_fn, start(key), optimizer)  # noqa: E731
    return GroupTask(f"fine-tuned MLP, {name}", ("^body", "^head"), learner, sample, metric, steps=200)


def lora() -> GroupTask:
    """Low-rank changes of a pretrained net, and a new head."""
    rank = 4

    def loss_fn(params: Any, batch: Any) -> jax.Array:
        old = pretrained()
        new = {f"w{i}": old[f"w{i}"] + params[f"w{i}"]["a"] @ params[f"w{i}"]["b"] for i in (0, 1)}
        whole = {**old, **new, "w2": params["head"], "b2": jnp.zeros(5)}
        return models.cross_entropy(models.dense_net, whole, batch)

    def start(key: jax.Array) -> Any:
        one, two, three = jax.random.split(key, 3)
        first = {"a": jax.random.normal(one, (64, rank)) / 8, "b": jnp.zeros((rank, 64))}
        second = {"a": jax.random.normal(two, (64, rank)) / 8, "b": jnp.zeros((rank, 64))}
        return {"w0": first, "w1": second, "head": jax.random.normal(three, (64, 5)) / 8}

    pretrained()
    sample, metric = of_arrays(others(), 32, loss_fn)
    learner = lambda key: lrax.Learner.create(loss_fn, start(key), optax.adam)  # noqa: E731
    return GroupTask("LoRA, Adam", ("/a$", "/b$"), learner, sample, metric, steps=200)


@functools.cache
def words(context: int) -> jax.Array:
    """Windows of words of a long English text as numbers below 500, the commonest first; rare ones share the last."""
    import collections
    import pydoc_data.topics
    import re

    found = re.findall(r"[a-z]+|[.,:;()]", "".join(map(str, pydoc_data.topics.topics.values())).lower())[:20_000]
    common = {word: i for i, (word, _) in enumerate(collections.Counter(found).most_common(499))}
    codes = np.array([common.get(word, 499) for word in found], np.int32)
    return jnp.asarray(np.lib.stride_tricks.sliding_window_view(codes, context + 1).copy())


def embeddings(optimizer: Callable, name: str) -> GroupTask:
    """The next word after four, by an embedding and an MLP."""
    context, width = 4, 16

    def loss_fn(params: Any, batch: jax.Array) -> jax.Array:
        inputs = params["embed"][batch[:, :-1]].reshape(batch.shape[0], -1)
        hidden = jax.nn.relu(inputs @ params["body"]["w"] + params["body"]["b"])
        scores = hidden @ params["body"]["out"]
        return optax.softmax_cross_entropy_with_integer_labels(scores, batch[:, -1]).mean()

    def start(key: jax.Array) -> Any:
        one, two, three = jax.random.split(key, 3)
        body = {"w": jax.random.normal(two, (context * width, 32)) / 8, "b": jnp.zeros(32)}
        body["out"] = jax.random.normal(three, (32, 500)) / 32**0.5 / 4
        return {"embed": 0.02 * jax.random.normal(one, (500, width)), "body": body}

    sample, metric = of_arrays(words(context), 64, loss_fn)
    learner = lambda key: lrax.Learner.create(loss_fn, start(key), optimizer)  # noqa: E731
    return GroupTask(f"embeddings and body, {name}", ("^embed", "^body"), learner, sample, metric)


def gan() -> GroupTask:
    """A generator of points on a ring, and its critic; judged by the energy distance to fixed points of the ring."""

    def ring(key: jax.Array, number: int) -> jax.Array:
        one, two = jax.random.split(key)
        angles = jax.random.uniform(one, (number,), maxval=2 * jnp.pi)
        return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1) + 0.05 * jax.random.normal(two, (number, 2))

    net = functools.partial(models.dense_net, activation=jax.nn.leaky_relu)

    def generator_loss(generator: Any, critic: Any, noise: jax.Array) -> jax.Array:
        return jax.nn.softplus(-net(critic, net(generator, noise))).mean()

    def critic_loss(critic: Any, generator: Any, real: jax.Array, noise: jax.Array) -> jax.Array:
        fake = net(generator, noise)
        return jax.nn.softplus(-net(critic, real)).mean() + jax.nn.softplus(net(critic, fake)).mean()

    optimizer = functools.partial(optax.adam, b1=0.5)

    def step(state: Any, batch: Any, lr: jax.Array) -> Any:
        generator, critic = state["generator"], state["critic"]
        loss, slope = jax.value_and_grad(critic_loss)(critic["params"], generator["params"], *batch)
        changes, critic_state = lrax.at_lr(optimizer, lr).update(slope, critic["opt_state"])
        other, slope = jax.value_and_grad(generator_loss)(generator["params"], critic["params"], batch[1])
        moved, generator_state = lrax.at_lr(optimizer, lr).update(slope, generator["opt_state"])
        critic = {"params": optax.apply_updates(critic["params"], changes), "opt_state": critic_state}
        generator = {"params": optax.apply_updates(generator["params"], moved), "opt_state": generator_state}
        return {"generator": generator, "critic": critic}, loss + other

    def learner(key: jax.Array) -> lrax.Learner:
        state = {}
        for name, sizes in (("generator", (4, 32, 32, 2)), ("critic", (2, 32, 32, 1))):
            key, draw = jax.random.split(key)
            params = models.dense_start(draw, sizes)
            state[name] = {"params": params, "opt_state": optimizer(0.0).init(params)}
        return lrax.Learner(state, step, optimizer=optimizer)

    def sample(key: jax.Array) -> Any:
        one, two = jax.random.split(key)
        return ring(one, 64), jax.random.normal(two, (64, 4))

    real, noise = ring(KEY, 512), jax.random.normal(jax.random.key(21), (512, 4))

    def apart(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.sqrt(((x[:, None] - y[None]) ** 2).sum(-1) + 1e-9).mean()

    def metric(state: Any) -> jax.Array:
        fake = net(state["generator"]["params"], noise)
        return 2 * apart(real, fake) - apart(real, real) - apart(fake, fake)

    return GroupTask("GAN, Adam", ("^generator", "^critic"), learner, sample, metric, evaluated=True, steps=400)


TASKS: dict[str, Callable[[], GroupTask]] = {
    "transformer": muon_transformer,
    "mlp": muon_mlp,
    "tuned": functools.partial(fine_tuned, functools.partial(optax.sgd, momentum=0.9), "momentum"),
    "tuned-adam": functools.partial(fine_tuned, optax.adam, "Adam"),
    "lora": lora,
    "embed": functools.partial(embeddings, optax.adam, "Adam"),
    "embed-sgd": functools.partial(embeddings, functools.partial(optax.sgd, momentum=0.9), "momentum"),
    "gan": gan,
}
