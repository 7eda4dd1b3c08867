"""Small problems that the tests train on; made once, so that their compiled programs are shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax

momentum = functools.partial(optax.sgd, momentum=0.9)


def squared_error(params, batch):
    """Mean squared error of a linear model with a bias."""
    inputs, targets = batch
    return jnp.mean((inputs @ params["weight"] + params["bias"] - targets) ** 2)


def regression(examples=64, features=3, seed=0):
    """Inputs and targets of a noisy linear problem."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(examples, features)).astype(np.float32)
    targets = inputs @ np.arange(1, features + 1, dtype=np.float32) + 0.1 * generator.normal(size=examples).astype(np.float32)
    return inputs, targets.astype(np.float32)


def linear_params(features=3, dtype=jnp.float32):
    """Zero parameters of the linear model."""
    return {"weight": jnp.zeros(features, dtype), "bias": jnp.zeros((), dtype)}


def linear_learner(optimizer=momentum):
    """A learner of the linear model."""
    return lrax.Learner.create(squared_error, linear_params(), optimizer)


def scripted(losses):
    """A learner whose loss at update i is `losses[i]`, whatever the rate; the last one is repeated."""
    script = jnp.asarray(losses, jnp.float32)

    def update(count, batch, rate):
        return count + 1, script[jnp.minimum(count, script.size - 1)]

    return lrax.Learner(jnp.zeros((), jnp.int32), update)


def nothing(key):
    """A sampler of empty batches."""
    return jnp.zeros(())


def same(first, second):
    """Whether two pytrees are bit for bit the same."""
    leaves = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in leaves)
