"""The schedule that gradient norms ask for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.theory import refined


def test_norms_that_stay_give_the_straight_line() -> None:
    """The linear schedule, whatever the norm, the length and the measure."""
    for norms, norm in ((np.full(20, 3.0), "l2"), (np.full(4000, 1e-3), "l1")):
        schedule = refined(norms, 4000, norm=norm, peak=0.5)
        np.testing.assert_allclose(
            schedule(np.arange(0, 4001, 50)), lrax.Linear(0.5, 0.0, 4000)(np.arange(0, 4001, 50)), rtol=2e-4, atol=1e-6
        )


def test_it_is_the_formula_in_float64() -> None:
    """Without a filter, rates are w_t times the sum of the w that are left, scaled to 1, for both norms."""
    norms = np.random.default_rng(0).uniform(0.5, 2, 50)
    for norm, power in (("l2", 2), ("l1", 1)):
        weights = norms**-power
        want = weights * np.cumsum(weights[::-1])[::-1]
        np.testing.assert_allclose(refined(norms, norm=norm, smooth=0)(np.arange(50)), want / want.max(), rtol=1e-5)


def test_what_norms_ask_for() -> None:
    """Norms that fall at the start give a warm-up, norms that rise at the end a faster fall."""
    falling = np.linspace(5, 1, 20).tolist() + [1.0] * 180
    rates = refined(falling)(np.arange(200))
    assert rates[0] < 0.2
    assert 10 < int(np.argmax(rates)) < 40
    rising = [1.0] * 100 + np.linspace(1, 3, 100).tolist()
    assert refined(rising)(150) < 0.2 * lrax.Linear(1.0, 0.0, 200)(150)


def test_the_median_filter_takes_no_notice_of_spikes() -> None:
    """Single gradients that are a thousand times too large leave the schedule as it was; without the filter they do not."""
    norms = np.ones(200)
    spiked = norms.copy()
    spiked[[0, 50, 51, 120, 199]] = 1000
    np.testing.assert_allclose(refined(spiked)(np.arange(200)), refined(norms)(np.arange(200)), rtol=1e-5)
    assert refined(spiked, smooth=0)(50) < 1e-4


def test_smooth_is_the_width_of_the_filter() -> None:
    """A filter of a tenth of 200 norms is 21 wide, ends reflected: it takes no notice of 10 spikes in a row, and follows 11."""
    for spikes, noticed in ((10, False), (11, True)):
        norms = np.ones(200)
        norms[60 : 60 + spikes] = 1000
        found, plain = refined(norms, smooth=0.1)(np.arange(200)), refined(np.ones(200))(np.arange(200))
        assert bool(np.abs(found - plain).max() > 1e-3) == noticed
    norms = np.random.default_rng(0).uniform(0.5, 2, 40)
    mirrored = np.pad(norms, 4, mode="reflect")
    smoothed = np.array([np.median(mirrored[i : i + 9]) for i in range(40)])
    want = smoothed**-2.0 * np.cumsum(smoothed[::-1] ** -2.0)[::-1]
    np.testing.assert_allclose(refined(norms, smooth=0.2)(np.arange(40)), want / want.max(), rtol=1e-5)


def test_many_norms_are_taken_together_by_medians() -> None:
    """Of 4,000 norms each four neighbours become one: a single spike in each four is not seen."""
    norms = np.ones(4000)
    norms[4 * np.arange(1000) + np.arange(1000) % 4] = 1000
    want = lrax.Linear(1.0, 0.0, 4000)(np.arange(0, 4000, 100))
    np.testing.assert_allclose(refined(norms, smooth=0)(np.arange(0, 4000, 100)), want, rtol=1e-3)


def test_a_filter_may_be_as_wide_as_the_run() -> None:
    """`smooth=1` takes all norms together, as far as they reach."""
    np.testing.assert_allclose(refined([1.0, 1.0, 9.0, 1.0, 1.0], smooth=1)(np.arange(5)), [1, 0.8, 0.6, 0.4, 0.2], rtol=1e-6)


def test_norms_may_be_traced() -> None:
    """Under jit it is the same."""
    norms = jnp.linspace(2.0, 1.0, 30)
    np.testing.assert_allclose(jax.jit(lambda n: refined(n, 60)(jnp.int32(7)))(norms), refined(norms, 60)(7), rtol=1e-5)


def test_mistakes_are_named() -> None:
    """Norms of 0, too few updates and other norms say so."""
    with pytest.raises(
        ValueError, match=r"refined: `gradient_norms` must be norms of gradients, finite numbers above 0.*leave out"
    ):
        refined([1.0, 0.0])
    with pytest.raises(TypeError, match=r"`gradient_norms` must be norms"):
        refined(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"`total_steps` must be an integer of at least 3, got 2"):
        refined([1.0, 1.0, 1.0], 2)
    with pytest.raises(ValueError, match=r"`norm` must be one of 'l2', 'l1', got 'l3'"):
        refined([1.0], norm="l3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`smooth` must be a fraction of the run"):
        refined([1.0], smooth=2)
