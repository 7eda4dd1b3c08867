"""The sweep that the tests of results share: gradient descent on a noisy quadratic, four rates, three seeds."""

import jax
import jax.numpy as jnp
import numpy as np

import lrax

COUNTS = jnp.arange(20)
PEAKS = np.array([0.001, 0.05, 0.1, 3e38], np.float32)


def train(schedule, key):
    """Gradient descent on a noisy quadratic: all losses."""
    start = 3 + 0.1 * jax.random.normal(key)

    def update(weight, count):
        return weight - schedule(count) * 2 * weight, weight**2

    return jax.lax.scan(update, start, COUNTS)[1]


def run(**options):
    """Four rates, three seeds each; the largest diverges."""
    seeds = jax.random.split(jax.random.key(0), 3)
    return lrax.run_sweep(train, *lrax.grid(lrax.Constant(PEAKS), seeds), **options)
