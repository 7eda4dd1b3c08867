import jax
import numpy as np
import optax
import pytest

import lrax
from problems import (
    linear_params,
    regression,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def test_accumulation_moves_the_ramp_once_an_update():
    """With gradients accumulated over four batches, the test takes four batches an update and records their mean loss."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda rate: optax.MultiSteps(optax.sgd(rate), 4))
    with pytest.raises(ValueError, match="`accumulate` must be above 1 where the optimizer accumulates"):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY)
    plain = lrax.Learner.create(squared_error, linear_params(), optax.sgd)
    options = {"key": KEY, "ramp": lrax.Geometric(1e-4, 0.1, 20)}
    whole = lrax.find_lr(plain, DATA, batch_size=64, **options)
    for driver in ("compiled", "host"):
        parts = lrax.find_lr(learner, DATA, batch_size=16, accumulate=4, driver=driver, **options)
        assert parts.updates == whole.updates
        np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-3)  # an epoch of four batches is the whole data


def test_accumulating_optimizers_are_seen_by_the_pure_test():
    """`range_test`, as `find_lr`, refuses an optimizer that accumulates where the test does not know."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda rate: optax.MultiSteps(optax.sgd(rate), 2))
    with pytest.raises(ValueError, match="`accumulate` must be above 1"):
        lrax.range_test(learner, DATA, batch_size=16, key=KEY)
