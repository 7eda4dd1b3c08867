import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lrax import steepest
from lrax.finder import is_flat

RATES = np.geomspace(1e-5, 10, 121).astype(np.float32)


def valley(center, sharpness=2.0):
    """A loss that falls steepest over the log rate at `center` and explodes a decade and a half later."""
    return 1 / (1 + (RATES / center) ** sharpness) + (RATES / (30 * center)) ** 4


@pytest.mark.parametrize("center", [1e-3, 1e-2, 0.1])
def test_steepest_is_where_the_slope_over_the_log_rate_is(center):
    """The suggestion is the rate of the steepest descent, within a step of the ramp, wherever the curve lies."""
    found = float(steepest(RATES, valley(center)))
    assert 0.7 < found / center < 1.3


def test_a_rate_is_paired_with_the_next_loss():
    """Shifting the losses by one update shifts the suggestion by one step of the ramp."""
    losses = valley(0.01)
    later = np.concatenate([losses[:1], losses[:-1]])
    step = np.searchsorted(RATES, float(steepest(RATES, losses)))
    assert float(steepest(RATES, later)) == RATES[step + 1]


def test_padding_changes_nothing():
    """A curve padded with NaN gives the same suggestion."""
    losses = valley(0.01)
    pad = np.full(30, np.nan, np.float32)
    assert float(steepest(np.concatenate([RATES, pad]), np.concatenate([losses, pad]))) == float(steepest(RATES, losses))


def test_scale_and_offset_change_nothing():
    """The suggestion does not depend on the unit or the sign of the loss."""
    losses = valley(0.01)
    assert float(steepest(RATES, 7 * losses - 100)) == pytest.approx(float(steepest(RATES, losses)), rel=0.2)


@pytest.mark.parametrize(
    "losses", [np.full(121, np.nan), np.ones(121), np.linspace(1, 9, 121), np.r_[1.0, 0.5, np.full(119, np.nan)]]
)
def test_no_descent_is_nan(losses):
    """No loss, a flat loss, a rising loss and too short a curve support no suggestion."""
    assert np.isnan(float(steepest(RATES, losses)))


def test_vmaps():
    """A batch of curves gives a batch of suggestions."""
    losses = jnp.stack([valley(0.01), valley(0.1)])
    together = jax.jit(jax.vmap(steepest, in_axes=(None, 0)))(RATES, losses)
    np.testing.assert_allclose(together, [float(steepest(RATES, row)) for row in losses], rtol=1e-6)


def test_flat_is_a_fall_within_the_noise():
    """A fall larger than the noise is not flat; noise alone is."""
    noise = 0.05 * np.random.default_rng(0).normal(size=121)
    assert bool(is_flat(1 + noise))
    assert not bool(is_flat(valley(0.01) + noise))
