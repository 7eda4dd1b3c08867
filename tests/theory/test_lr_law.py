"""`fit_lr_law`: a power law of the best learning rate, from the rows of sweeps."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.theory import fit_lr_law

TOKENS, WIDTHS = (1e6, 4e6, 1.6e7), (64, 256, 1024)


def synthetic(seed: int, noise: float, exponents: tuple[float, float] = (-0.3, -0.8), seeds: int = 2) -> list[dict[str, Any]]:
    """Rows of sweeps whose best learning rates follow a law, with noise on the losses and on the best learning rates."""
    random = np.random.default_rng(seed)
    rows = []
    for tokens, width in itertools.product(TOKENS, WIDTHS):
        best = (
            math.log10(0.01)
            + exponents[0] * math.log10(tokens / 1e6)
            + exponents[1] * math.log10(width / 64)
            + random.normal(0, noise)
        )
        for lr in np.geomspace(1e-5, 1, 31):
            loss = 2 + 0.5 * (math.log10(lr) - best) ** 2 if math.log10(lr) < best + 0.8 else math.nan
            rows += [
                {"tokens": tokens, "width": width, "peak": lr, "score": loss + random.normal(0, 1e-3)} for _ in range(seeds)
            ]
    return rows


def test_exponents_of_a_law_are_found() -> None:
    """Without noise the exponents, the base and a prediction are those of the law."""
    law = fit_lr_law(synthetic(0, 0.0), over=("tokens", "width"))
    assert law.exponents == pytest.approx({"tokens": -0.3, "width": -0.8}, abs=0.02)
    assert "quantile" not in repr(law)
    want = 0.01 * 4**-0.3 * 2**-0.8
    found = law.predict(tokens=4e6, width=128)
    assert found.learning_rate == pytest.approx(want, rel=0.05)
    assert found.low < want < found.high
    assert all(low < value < high for (low, high), value in zip(law.intervals.values(), (-0.3, -0.8), strict=True))


def test_intervals_hold_as_often_as_they_say() -> None:
    """Over 60 noisy sets of sweeps, the 90 % intervals hold the truth in 80 to 98 % of cases; predictions do too."""
    held, predicted = [], []
    for seed in range(60):
        law = fit_lr_law(synthetic(seed, 0.1, seeds=1), over=("tokens", "width"))
        held += [low < truth < high for (low, high), truth in zip(law.intervals.values(), (-0.3, -0.8), strict=True)]
        new = 0.01 * 16**-0.3 * 4**-0.8 * 10 ** np.random.default_rng(1000 + seed).normal(0, 0.1)
        found = law.predict(tokens=1.6e7, width=256)
        predicted.append(found.low < new < found.high)
    assert 0.8 <= np.mean(held) <= 0.98
    assert 0.8 <= np.mean(predicted) <= 0.99


def test_one_wrong_sweep_does_not_move_the_law() -> None:
    """A combination whose best learning rate is a decade off moves an exponent by less than plain least squares does."""
    rows = synthetic(1, 0.0)
    for row in rows:
        if (row["tokens"], row["width"]) == (1.6e7, 1024):
            row["peak"] *= 10
    law = fit_lr_law(rows, over=("tokens", "width"))
    plain = np.linalg.lstsq(
        np.array([[1, math.log10(one.sizes["tokens"]), math.log10(one.sizes["width"])] for one in law.optima]),
        np.log10([one.learning_rate for one in law.optima]),
        rcond=None,
    )[0]
    assert abs(law.exponents["tokens"] + 0.3) < 0.6 * abs(plain[1] + 0.3)


def test_extrapolation_is_refused_or_warned_of() -> None:
    """More than a factor of ten outside the sweeps is an error, and a warning where it is asked for."""
    law = fit_lr_law(synthetic(0, 0.0), over=("tokens", "width"))
    law.predict(tokens=1.6e8, width=64)
    with pytest.raises(ValueError, match=r"LRLaw.predict: `tokens` must be within a factor of 10 .* extrapolate=True"):
        law.predict(tokens=1.7e8, width=64)
    with pytest.warns(UserWarning, match="may not hold"):
        far = law.predict(tokens=1e10, width=64, extrapolate=True)
    near = law.predict(tokens=1.6e7, width=64)
    assert far.high / far.low > near.high / near.low
    with pytest.raises(TypeError, match="one number each for tokens, width"):
        law.predict(tokens=1e6)


def test_what_says_nothing_is_left_out_and_named() -> None:
    """Sweeps that end at their best, or diverge, are left out of the fit, listed, and named if too few are left."""
    rows = [row for row in synthetic(0, 0.0) if not (row["tokens"] == 1e6 and row["width"] == 64 and row["peak"] > 0.005)]
    law = fit_lr_law(rows, over=("tokens", "width"))
    (one,) = [one for one in law.optima if one.left_out]
    assert one.sizes == {"tokens": 1e6, "width": 64}
    assert "highest learning rate" in one.left_out
    assert "left out: tokens 1e+06, width 64" in str(law)
    with pytest.raises(ValueError, match="4 or more combinations of sizes, got 1 combination; left out: every run diverged"):
        fit_lr_law(
            [
                row | {"score": math.nan if row["width"] > 64 or row["tokens"] > 1e6 else row["score"]}
                for row in rows[:0] + synthetic(0, 0)
            ],
            over=("tokens", "width"),
        )
    with pytest.raises(ValueError, match="sizes that do not all change together"):
        fit_lr_law([row | {"depth": row["width"] * 2.0} for row in synthetic(0, 0.0)], over=("width", "depth"))
    with pytest.raises(KeyError, match="has no 'depth'"):
        fit_lr_law(synthetic(0, 0.0), over="depth")
    with pytest.raises(ValueError, match="`tokens` must be a finite number above 0, got -1"):
        fit_lr_law([{"tokens": -1, "peak": 0.1, "score": 1.0}], over="tokens")


@pytest.mark.slow
@pytest.mark.standard_promotion
def test_a_law_of_a_real_sweep_predicts_another_size() -> None:
    """Fitted over three widths and three lengths of an MLP with Adam, the law predicts a width that it has not seen."""
    inputs = jax.random.normal(jax.random.key(0), (512, 16))
    teacher = jax.random.normal(jax.random.key(1), (16, 4)) / 4
    targets = jnp.tanh(inputs @ teacher)

    def rows(width: int, steps: int) -> list[dict[str, float]]:
        def train(schedule: Any, key: jax.Array) -> jax.Array:
            keys = jax.random.split(key, 3)
            params = {
                "a": jax.random.normal(keys[0], (16, width)) / 4,
                "b": jax.random.normal(keys[1], (width, 4)) / width**0.5,
            }

            def loss(params: Any, i: jax.Array) -> jax.Array:
                return jnp.mean((jax.nn.relu(inputs[i] @ params["a"]) @ params["b"] - targets[i]) ** 2)

            tx = optax.adam(schedule)

            def step(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
                params, state = carry
                value, grads = jax.value_and_grad(loss)(params, jax.random.randint(key, (32,), 0, 512))
                updates, state = tx.update(grads, state, params)
                return (optax.apply_updates(params, updates), state), value

            losses = jax.lax.scan(step, (params, tx.init(params)), jax.random.split(keys[2], steps))[1]
            return jnp.mean(losses[-steps // 10 :])

        peaks = jnp.geomspace(1e-4, 1.0, 17)
        found = []
        for seed in range(2):
            schedules = jax.vmap(lambda peak: lrax.Linear(start=peak, end=0.0, steps=steps))(peaks)
            losses = jax.vmap(lambda schedule: train(schedule, jax.random.key(seed)))(schedules)  # noqa: B023  # used at once
            found += [
                {"width": width, "steps": steps, "peak": float(peak), "score": float(loss)}
                for peak, loss in zip(peaks, losses, strict=True)
            ]
        return found

    given = [row for width in (16, 64, 256) for steps in (100, 200, 400) for row in rows(width, steps)]
    law = fit_lr_law(given, over=("width", "steps"))
    found = law.predict(width=128, steps=300)
    means: dict[float, list[float]] = {}
    for row in rows(128, 300):
        means.setdefault(row["peak"], []).append(row["score"])
    peaks = np.array(sorted(means))
    losses = np.array([np.mean(means[peak]) for peak in peaks])
    at = np.interp(math.log(found.learning_rate), np.log(peaks), losses)
    assert law.exponents["width"] < 0
    assert at < 1.1 * np.nanmin(losses)
    assert np.interp(math.log(found.learning_rate / 5), np.log(peaks), losses) > 1.25 * at  # it matters
