"""Where batches come from: what is drawn, what is left out, what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

KEY = jax.random.key(0)


def mean_learner():
    """A learner whose loss is about the mean of its batch."""
    return lrax.Learner.create(lambda params, batch: (params - jnp.mean(batch)) ** 2, jnp.zeros(()), optax.sgd)


def test_a_stream_whose_first_batch_is_the_largest_is_told():
    """A stream of smaller batches for ever ends in an error that names both sizes, instead of being read for ever."""

    def stream():
        yield np.ones((32, 3), np.float32)
        yield from itertools.repeat(np.ones((16, 3), np.float32))

    with pytest.raises(
        ValueError, match=r"find_lr: `data` must be batches of one size: the first has 32 examples.*16 examples"
    ):
        lrax.find_lr(mean_learner(), stream())


def test_random_keys_are_data_like_others():
    """Typed random keys beside the arrays are drawn with their examples."""

    def loss_fn(params, batch):
        x, keys = batch
        return jnp.mean((params - x - jax.vmap(lambda key: jax.random.uniform(key))(keys)) ** 2)

    learner = lrax.Learner.create(loss_fn, jnp.zeros(()), optax.sgd)
    data = jnp.ones(8), jax.random.split(KEY, 8)
    assert lrax.find_lr(learner, data, batch_size=4, key=KEY).updates > 5
    assert lrax.race(learner, data, lrax.Constant(np.float32([0.1, 0.2])), rungs=5, batch_size=4, key=KEY).winner is not None


@pytest.mark.parametrize(
    ("leaf", "shown"), [(object(), "<object"), ("text", "'text'"), (np.array(["a"]), "array")], ids=["object", "word", "words"]
)
def test_what_is_no_array_is_named(leaf, shown):
    """A batch that holds something else than numbers is refused by the place in it, with a way out."""
    with pytest.raises(TypeError, match=rf"find_lr: `data\[1\]` must be an array of numbers, got {shown}.*transform"):
        lrax.find_lr(mean_learner(), [(np.ones(3), leaf)])
