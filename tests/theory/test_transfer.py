"""Rates carried over tokens, batch sizes and widths, and what weight decay has to do with them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax import theory


def test_batch_sizes_far_from_the_noise_scale() -> None:
    """Far below it the rules are linear and square root; far above, SGD's rate stays and Adam's falls as the root."""
    np.testing.assert_allclose(theory.over_batch(0.1, 64, 16, 1e9), lrax.linear_scaling(0.1, 64, 16), rtol=1e-6)
    np.testing.assert_allclose(theory.over_batch(0.1, 64, 16, 1e9, "adam"), lrax.sqrt_scaling(0.1, 64, 16), rtol=1e-6)
    np.testing.assert_allclose(theory.over_batch(0.1, 64e9, 16e9, 1.0), 0.1, rtol=1e-6)
    np.testing.assert_allclose(theory.over_batch(0.1, 64e9, 16e9, 1.0, "adam"), 0.05, rtol=1e-6)
    sizes = np.array([25, 50, 100, 200, 400])
    assert int(np.argmax(theory.over_batch(1.0, sizes, 1, 100, "adam"))) == 2
    assert theory.over_batch(0.1, 32, 16, np.inf) == 0.2
    with pytest.raises(ValueError, match="over_batch: `optimizer` must be one of 'sgd', 'adam', got 'lion'"):
        theory.over_batch(0.1, 32, 16, 100, "lion")  # type: ignore[arg-type]


def test_weight_decay_and_its_timescale() -> None:
    """A decay for a timescale has that timescale, and the tokens' law moves both as it was published."""
    np.testing.assert_allclose(theory.timescale(1e-3, theory.decay_for(0.15, 1e-3, 7000), 7000), 0.15)
    np.testing.assert_allclose(theory.over_tokens(0.3, 200, 20, 0.53), 0.3 * 10**-0.53)


@pytest.mark.standard_promotion
def test_decoupled_decay_is_the_same_for_every_peak() -> None:
    """With no gradient, AdamW shrinks the weights by the same part of them at every peak, and as the schedule falls."""

    def shrunk(peak: Any) -> jax.Array:
        tx = optax.adamw(lrax.Linear(peak, 0.0, 4), weight_decay=theory.decoupled(0.01, peak))
        state, weights, nothing = tx.init(jnp.ones(1)), jnp.ones(1), jnp.zeros(1)
        for _ in range(2):
            updates, state = tx.update(nothing, state, weights)
            weights = weights + updates
        return weights[0]

    np.testing.assert_allclose(jax.vmap(shrunk)(jnp.array([1e-3, 1e-1])), 0.99 * (1 - 0.0075), rtol=1e-6)


def test_the_noise_scale_of_known_noise() -> None:
    """Gradients of known mean and variance give both parts, and their ratio, to what so many batches can tell."""
    mean, spread = [1.0, -2.0, 0.0], [3.0, 1.0, 4.0]
    examples = np.random.default_rng(0).normal(mean, spread, (2000, 8, 3)).astype(np.float32)
    found = theory.noise_scale(lambda batch: {"w": batch.mean(0)}, examples)
    np.testing.assert_allclose(found.gradient, 5.0, rtol=0.1)
    np.testing.assert_allclose(found.noise, 26.0, rtol=0.1)
    np.testing.assert_allclose(found.scale, 26 / 5, rtol=0.12)


def test_pure_noise_has_an_infinite_noise_scale() -> None:
    """Where the mean gradient is smaller than its noise lets one see, the scale is infinite, not negative."""
    apart = jnp.array([[[1.0]], [[-1.0]]])
    found = theory.noise_scale(lambda batch: batch.mean(0), apart)
    assert found.scale == np.inf
    assert found.gradient < 0
    with pytest.raises(ValueError, match=r"noise_scale: `batches` must be arrays of shape \(n, examples, ...\)"):
        theory.noise_scale(lambda batch: batch, jnp.ones((1, 4)))
    with pytest.raises(TypeError, match=r"`gradient` must be a function batch -> gradients"):
        theory.noise_scale(jnp.ones(2), apart)  # type: ignore[arg-type]


def net(width: int) -> Any:
    """A transformer's shapes: two heads' worth of attention, a head that is not scaled, norms and biases."""
    shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.float32)  # noqa: E731
    return {
        "embed": shape(50, width),
        "query": shape(width, width // 8, 8),
        "merge": shape(width // 8, 8, width),
        "up": {"kernel": shape(width, 4 * width), "bias": shape(4 * width)},
        "norm": shape(width),
        "out": {"kernel": shape(width, 50), "bias": shape(50)},
    }


def test_multiples_of_mup() -> None:
    """By which axes grew, as table 3 of Tensor programs V has it; the same model needs none."""
    grown = {"query": 0.25, "merge": 0.25, "up/kernel": 0.25, "out/kernel": 0.25}
    ((pattern, multiple),) = theory.over_width(net(256), net(64)).items()
    assert multiple == 0.25
    assert set(pattern.removeprefix("^(").removesuffix(")$").split("|")) == set(grown)
    by_sgd = theory.over_width(net(256), net(64), "sgd")
    assert by_sgd == {"^(embed|norm|up/bias)$": 4.0, "^(out/kernel)$": 0.25}
    assert theory.over_width(net(64), net(64)) == {}


def test_the_first_axis_that_grew_counts() -> None:
    """Where axes grew by different factors, the multiple is one over the growth of the first of them."""
    wide, narrow = ({"a": jnp.ones(shape)} for shape in ((6, 8, 20), (6, 2, 4)))
    assert theory.over_width(wide, narrow) == {"^(a)$": 0.25}
    wide, narrow = ({"a": jnp.ones(shape)} for shape in ((15, 8), (3, 4)))
    assert theory.over_width(wide, narrow) == {"^(a)$": 0.2}
    assert theory.over_width(wide, narrow, "sgd") == {}


def test_a_model_may_grow_by_less_than_two() -> None:
    """Axes that all grew are in order however little they grew; where one shrank the call names the array."""
    wide, narrow = ({"a": jnp.ones(shape)} for shape in ((6, 3), (4, 2)))
    assert theory.over_width(wide, narrow) == {"^(a)$": 2 / 3}
    with pytest.raises(ValueError, match=r"`base_params at 'a'` must be smaller than \(6, 3\) on every axis"):
        theory.over_width(wide, {"a": jnp.ones((4, 4))})


def test_a_model_may_become_narrower() -> None:
    """From a wide model to a narrow one the multiples are the inverse."""
    assert set(theory.over_width(net(64), net(256)).values()) == {4.0}


def test_multiples_go_into_by_path() -> None:
    """What comes out are groups: each array moves by its multiple of the rate."""
    wide, narrow = ({"in": jnp.ones((2, w)), "hidden": jnp.ones((w, w))} for w in (8, 2))
    tx = lrax.by_path(optax.sgd, lrax.Constant(1.0), theory.over_width(wide, narrow))
    updates, _ = tx.update(wide, tx.init(wide), wide)
    np.testing.assert_allclose([updates["in"][0, 0], updates["hidden"][0, 0]], [-1, -0.25])


def test_models_that_do_not_fit_are_named() -> None:
    """Another structure, another rank, and arrays that grow and shrink at once are errors."""
    with pytest.raises(ValueError, match="over_width: `base_params` must be parameters of the same structure"):
        theory.over_width({"a": jnp.ones(2)}, {"b": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"`base_params at 'a'` must be of rank 1, got \(2, 2\)"):
        theory.over_width({"a": jnp.ones(2)}, {"a": jnp.ones((2, 2))})
    with pytest.raises(ValueError, match=r"smaller than \(4, 2\) on every axis"):
        theory.over_width({"a": jnp.ones((4, 2))}, {"a": jnp.ones((2, 4))})
