import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lrax.training._batches import random_keys, shuffled

KEYS = random_keys(jax.random.key(0))
EPOCHS = jnp.arange(24_000)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 65, 5000])
def test_every_epoch_is_a_permutation(length):
    """Each epoch's order holds every example once, also of lengths that are no power of two."""
    orders = jax.vmap(lambda epoch: shuffled(jnp.arange(length), length, KEYS, epoch))(jnp.arange(5))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(length), (5, length)))


def test_epochs_and_keys_differ():
    """Another epoch and another key give other orders, the same ones the same order."""
    draw = jax.jit(lambda key, epoch: shuffled(jnp.arange(100), 100, random_keys(key), epoch))
    orders = [tuple(np.asarray(draw(jax.random.key(seed), epoch))) for seed, epoch in itertools.product((0, 1), (0, 1))]
    assert len(set(orders)) == 4
    assert tuple(np.asarray(draw(jax.random.key(0), 0))) == orders[0]


@pytest.mark.parametrize("length", [3, 4, 5])
def test_all_orders_are_as_frequent(length):
    """Over many epochs every order of few examples comes up as often as any other: chi-squared within 4.5 deviations."""
    orders = jax.jit(jax.vmap(lambda epoch: shuffled(jnp.arange(length), length, KEYS, epoch)))(EPOCHS)
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    expected = len(EPOCHS) / math.factorial(length)
    freedom = math.factorial(length) - 1
    assert len(counts) == freedom + 1
    assert abs(((counts - expected) ** 2 / expected).sum() - freedom) < 4.5 * math.sqrt(2 * freedom)


def test_neighbours_part():
    """Where two neighbours go is as if drawn without replacement: their distance, modulo the length, is uniform."""
    pairs = jax.jit(jax.vmap(lambda epoch: shuffled(jnp.arange(2), 11, KEYS, epoch)))(EPOCHS)
    counts = np.bincount(np.asarray((pairs[:, 1] - pairs[:, 0]) % 11), minlength=11)
    expected = len(EPOCHS) / 10
    assert counts[0] == 0
    assert abs(((counts[1:] - expected) ** 2 / expected).sum() - 9) < 4.5 * math.sqrt(18)


def test_sorted_data_give_mixed_batches():
    """Batches of 64 from 5,000 sorted examples: their means spread as those of draws without replacement, within 10 %."""
    places = jnp.arange(64)
    chosen = jax.jit(jax.vmap(lambda epoch: shuffled(places, 5000, KEYS, epoch)))(EPOCHS[:4000])
    spread = np.asarray(chosen).mean(axis=1).std()
    assert spread == pytest.approx(math.sqrt((5000**2 - 1) / 12 / 64 * (5000 - 64) / 4999), rel=0.1)


def test_huge_data():
    """Two thousand million examples are shuffled as five are: different ones, all over the range."""
    chosen = np.asarray(shuffled(jnp.arange(10_000), 2**31 - 1, KEYS, 3))
    assert len(np.unique(chosen)) == 10_000
    assert chosen.min() >= 0
    assert np.histogram(chosen, bins=10, range=(0, 2**31 - 1))[0].min() > 900
