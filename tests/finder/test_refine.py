import itertools

import jax
import numpy as np
import optax
import pytest

import lrax
from lrax.finder._heights import COSINE, POWERS, suggested
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
    assert plain.steps_run < found.steps_run <= plain.steps_run + 450
    tried = found.refined
    assert len(tried.peaks) == len(tried.losses) == 4
    assert tried.updates == 112
    best = tried.peaks[np.argmin(tried.losses)]
    assert 0.7 < tried.best / best < 1.4
    np.testing.assert_allclose(found.suggestion, suggested(tried.best, 112, COSINE, POWERS[True]), rtol=1e-6)
    assert "4 runs of 112 updates with peaks from" in str(found)


def test_refine_spends_what_it_may():
    """A number of updates is divided among four runs; one that is too small, or no number, is an error that says so."""
    found = lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, refine=240)
    assert found.refined.updates == 60
    assert found.refined.steps_run <= 240
    for bad in (99, 0, -5):
        with pytest.raises(ValueError, match=r"find_lr: `refine` must be .*at least"):
            lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, refine=bad)
    with pytest.raises(TypeError, match="find_lr: `refine` must be an integer"):
        lrax.find_lr(linear_learner(optax.sgd), DATA, batch_size=16, key=KEY, refine=450.5)


def test_an_interrupt_during_refine_keeps_the_ramps():
    """Ctrl-C in the runs comes through with what the ramp says; at the first batch, with an empty result."""
    batch = jax.tree.map(lambda leaf: leaf[:16], DATA)

    def interrupted(after):
        for count in itertools.count():
            if count == after:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(130), refine=True)
    assert caught.value.found.suggestion is not None
    assert caught.value.found.reason is lrax.finder.Reason.INTERRUPTED
    with pytest.raises(KeyboardInterrupt) as caught:
        lrax.find_lr(linear_learner(), interrupted(0))
    assert (caught.value.found.updates, caught.value.found.suggestion) == (0, None)
