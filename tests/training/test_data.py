import jax
import numpy as np
import pytest

import lrax
from lrax.finder import Reason
from problems import (
    linear_learner,
    linear_params,
    regression,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def ramp():
    """A short ramp."""
    return lrax.Geometric(1e-4, 0.1, 8)


def test_one_example():
    """A single example is a batch of its own."""
    found = lrax.find_lr(linear_learner(), (DATA[0][:1], DATA[1][:1]), batch_size=1, key=KEY)
    assert found.peak is not None


def test_a_batch_larger_than_the_data_is_the_data():
    """A batch size above the number of examples trains on all of them in every update."""
    together, larger = (lrax.range_test(linear_learner(), DATA, batch_size=size, key=KEY, ramp=ramp()) for size in (64, 999))
    np.testing.assert_array_equal(together.losses, larger.losses)


def test_empty_data():
    """No example is an error before anything runs; an iterable without batches is a result that says so."""
    with pytest.raises(ValueError, match="at least one example"):
        lrax.find_lr(linear_learner(), (DATA[0][:0], DATA[1][:0]), batch_size=8, key=KEY)
    assert lrax.find_lr(linear_learner(), []).reason is Reason.DATA_ENDED


def test_a_transform_is_applied_to_every_batch():
    """A per-batch transform acts inside the program on drawn batches and on the host on an iterable's."""
    options = {"ramp": lrax.Geometric(1e-4, 0.1, 9)}
    doubled = (DATA[0], 2 * DATA[1])
    for data, more in ((DATA, {"batch_size": 64, "key": KEY}), ([DATA], {})):
        found = lrax.range_test(linear_learner(), data, transform=lambda batch: (batch[0], 2 * batch[1]), **options, **more)
        np.testing.assert_allclose(found.losses[0], squared_error(linear_params(), doubled), rtol=1e-5)
