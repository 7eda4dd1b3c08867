import itertools

import jax
import numpy as np
import optax
import pytest

import lrax
from problems import (
    linear_learner,
    regression,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def test_refine_checks_by_training():
    """Refining spends at most 450 updates more, says what they were, and ends at the best rate that it tried or beside it."""
    plain = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY)
    found = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, refine=True)
    assert plain.spent < found.spent <= plain.spent + 450
    tried = found.refined
    assert len(tried.rates) == len(tried.losses) >= 3
    best = tried.rates[np.argmin(tried.losses)]
    assert 0.7 < found.suggestion / best < 1.4
    assert "checked by" in str(found)


def test_an_interrupt_during_refine_keeps_the_ramps():
    """Ctrl-C in the short runs comes through with the whole result of the ramps; at the first batch, with an empty one."""
    batch = jax.tree.map(lambda leaf: leaf[:16], DATA)

    def interrupted(after):
        for count in itertools.count():
            if count == after:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(310), refine=True)
    assert caught.value.found.suggestion is not None
    assert len(caught.value.found.fast) == 1
    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(0))
    assert (caught.value.found.updates, caught.value.found.suggestion) == (0, None)
