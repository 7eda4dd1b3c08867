"""Small problems that the tests train on; made once, so that their compiled programs are shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax

enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # before jax 0.8
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
    """A learner whose loss at update i is `losses[i]`, whatever the rate (which is used); the last one is repeated."""
    script = jnp.asarray(losses, jnp.float32)

    def update(count, batch, rate):
        return count + 1 + (0 * rate).astype(jnp.int32), script[jnp.minimum(count, script.size - 1)]

    return lrax.Learner(jnp.zeros((), jnp.int32), update)


def nothing(key):
    """A sampler of empty batches."""
    return jnp.zeros(())


def copied(tree):
    """The leaves of a pytree as NumPy arrays of their own; random keys as their data."""
    return [np.array(jax.random.key_data(leaf) if is_key(leaf) else leaf) for leaf in jax.tree.leaves(tree)]


def is_key(leaf):
    """Whether an array is a random key."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def same(first, second):
    """Whether two pytrees are bit for bit the same."""
    return all(a.tobytes() == b.tobytes() for a, b in zip(copied(first), copied(second), strict=True))
