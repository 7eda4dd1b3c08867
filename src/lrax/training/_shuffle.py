"""A shuffle that is never written down: which examples a batch holds is computed when the batch is drawn.

`jax.random.permutation` sorts, which on a CPU takes 2 ms for 5,000 examples, once an epoch: as long as ten updates of a small
net. And for a million examples, of which a range test sees 16,000, it takes half a second. The shuffle here takes a
microsecond a batch, whatever the number of examples.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import is_concrete

ROUNDS = 32
"""An example that no round moves, and a pair that every round moves together, have a probability of 2 to the power of -32."""


def random_keys(key: jax.Array) -> Any:
    """What shuffles are made of: uint32 of shape (ROUNDS, 2), mixed from the words of a random key.

    On the host, without a program of JAX, unless the key is traced; the numbers are the same.
    """
    data = jax.random.key_data(key)
    words = np.asarray(data) if is_concrete(data) else data
    bits = np.arange(2 * ROUNDS, dtype=np.uint32) * np.uint32(0x9E3779B9)
    for word in words.reshape(-1):
        bits = _mixed(_mixed(bits ^ word) + np.uint32(0x85EBCA6B))
    return bits.reshape(ROUNDS, 2)


def shuffled(places: jax.Array, length: int, keys: Any, epoch: jax.Array) -> jax.Array:
    """Which of `length` examples stand at these places of an epoch's order: a permutation, another one every epoch.

    The swap-or-not shuffle: in every round all places are paired by a random pivot, and a random bit says of each pair
    whether it swaps.

    Args:
      places: integers below `length`, of any shape.
      length: how many examples there are, up to 2**31 - 1.
      keys: from `random_keys`.
      epoch: an integer.

    Returns: int32 of the shape of `places`.

    Source: Hoang, Morris & Rogaway 2012, An enciphering scheme based on a card shuffle.

    >>> keys = random_keys(jax.random.key(0))
    >>> print(shuffled(jnp.arange(8), 8, keys, 0), shuffled(jnp.arange(8), 8, keys, 1))
    [7 5 6 0 3 1 4 2] [0 3 6 2 7 4 5 1]
    """
    size = jnp.uint32(length)

    def swap_or_not(place: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        pivot = key[0] % size
        partner = jnp.where(place > pivot, pivot + (size - place), pivot - place)
        swaps = _mixed(jnp.maximum(place, partner) ^ key[1]) >> 31
        return jnp.where(swaps == 1, partner, place), None

    epoch_keys = _mixed(keys ^ _mixed(jnp.asarray(epoch).astype(jnp.uint32)))
    return jax.lax.scan(swap_or_not, jnp.asarray(places).astype(jnp.uint32), epoch_keys)[0].astype(jnp.int32)


def _mixed(bits: Any) -> Any:
    """Every bit of a uint32 spread over all of its bits, one to one; Wellons 2018, Prospecting for hash functions."""
    bits = (bits ^ (bits >> 16)) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * np.uint32(0x846CA68B)
    return bits ^ (bits >> 16)
