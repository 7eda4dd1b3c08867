import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax

COUNTS = jnp.arange(20)


def train(schedule):
    """Gradient descent on a quadratic: the last loss and all losses."""

    def update(weight, count):
        return weight - schedule(count) * 2 * weight, weight**2

    _, losses = jax.lax.scan(update, jnp.ones(()), COUNTS)
    return {"final": losses[-1], "losses": losses}


def test_lanes_equal_separate_runs():
    """Every lane of a sweep equals the run of its schedule alone, for batched fields and for a list."""
    peaks = jnp.geomspace(1e-3, 0.4, 8)
    batch = jax.vmap(lambda peak: lrax.warmup_cosine(peak=peak, total_steps=20, warmup_steps=4))(peaks)
    metrics = lrax.sweep(train, batch)
    listed = lrax.sweep(train, [lrax.warmup_cosine(float(peak), 20, 4) for peak in peaks])
    assert metrics["losses"].shape == (8, 20)
    for lane, peak in enumerate(peaks):
        alone = train(lrax.warmup_cosine(float(peak), 20, 4))
        np.testing.assert_allclose(metrics["final"][lane], alone["final"], rtol=1e-5)
        np.testing.assert_allclose(listed["final"][lane], alone["final"], rtol=1e-5)


def test_lengths_may_differ():
    """Lengths are numbers like any other: schedules of different lengths run in one sweep."""
    schedules = [lrax.Cosine(0.3, 0.0, steps) for steps in (1, 5, 100)]
    metrics = lrax.sweep(train, schedules)
    np.testing.assert_allclose(metrics["final"], [train(schedule)["final"] for schedule in schedules], rtol=1e-5)


def test_a_diverging_lane_leaves_its_neighbours_alone():
    """A lane that ends in NaN does not change the others."""
    metrics = lrax.sweep(train, jax.vmap(lrax.Constant)(jnp.array([0.1, 3e38, 0.2])))
    assert not np.isfinite(metrics["final"][1])
    assert np.isfinite(metrics["final"][jnp.array([0, 2])]).all()


def test_one_trace_for_all():
    """A sweep traces the training function once."""
    traces = []

    def counted(schedule):
        traces.append(1)
        return train(schedule)["final"]

    lrax.sweep(counted, jax.vmap(lrax.Constant)(jnp.linspace(0.1, 0.2, 16)))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("error", "message", "schedules"),
    [
        (ValueError, "at least one schedule", []),
        (TypeError, r"`schedules\[1\]` must be a schedule", [lrax.Constant(0.1), 0.1]),
        (TypeError, "`schedules` must be a schedule", 0.1),
        (ValueError, "one leading axis", lrax.Constant(0.1)),
    ],
)
def test_bad_schedules_are_named(error, message, schedules):
    """What cannot be swept is an error that names the argument."""
    with pytest.raises(error, match=message):
        lrax.sweep(train, schedules)
