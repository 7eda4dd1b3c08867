"""Laws of the loss: what obeys one is fitted, and plans that were not seen are told."""

from typing import Any

import numpy as np
import pytest

import lrax
from lrax.theory import LossLaw, fit_law

STEPS = 2000
PEAK = 0.1
PLANS: dict[str, Any] = {
    "constant": lrax.Constant(PEAK),
    "wsd": lrax.wsd(PEAK, STEPS, 100, 400),
    "linear": lrax.Linear(PEAK, 0.0, STEPS),
    "cosine": lrax.warmup_cosine(PEAK, STEPS, 100),
}


def annealed(rates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The annealing law, update by update, as it was published; without annealing in the warm-up."""
    falls = np.append(0, -np.diff(rates)) / PEAK
    falls[: int(np.argmax(rates))] = 0
    momentum, gained, found = 0.0, 0.0, []
    for fall in falls:
        momentum = 0.995 * momentum + fall
        gained += momentum
        found.append(gained)
    return 1.0 + 0.8 * np.cumsum(rates / PEAK / STEPS) ** -0.4 - 0.0015 * np.array(found)


def multi_power(rates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The multi-power law as it was published: each fall's gain by the rates since."""
    rates = rates / PEAK
    falls, area = np.append(0, -np.diff(rates)), np.cumsum(rates) / STEPS
    falls[: int(np.argmax(rates))] = 0
    gained = np.zeros(STEPS)
    for k in np.flatnonzero(falls):
        since = area[k:] - (area[k - 1] if k else 0)
        gained[k:] += falls[k] * (1 - (1 + 20 * np.maximum(rates[k], 1e-6) ** -0.5 * since) ** -0.6)
    return 0.9 + 0.6 * area**-0.3 - 0.3 * gained


@pytest.fixture(
    scope="module", params=[("annealing", annealed), ("multi_power", multi_power)], ids=["annealing", "multi_power"]
)
def fitted(request: pytest.FixtureRequest) -> Any:
    """A law that is fitted to two noisy curves that obey it, and what its curves truly are."""
    kind, true = request.param
    random = np.random.default_rng(0)
    curves = {name: true(np.asarray(plan(np.arange(STEPS)), np.float64)) for name, plan in PLANS.items()}
    runs = [(PLANS[name], curves[name] * np.exp(0.05 * random.standard_normal(STEPS))) for name in ("constant", "cosine")]
    return fit_law(runs, kind), curves


def test_plans_that_were_not_seen_are_told(fitted: Any) -> None:
    """Of curves that obey a law, the ends of other plans are told to about a per cent, from noise of five times that."""
    law, curves = fitted
    for name, plan in PLANS.items():
        np.testing.assert_allclose(law.end(plan, STEPS), curves[name][-1], rtol=0.015)
    assert law.error < 0.02


def test_a_curve_ends_with_the_plan(fitted: Any) -> None:
    """A curve has counts to the end of the plan, and follows what is true on the way."""
    law, curves = fitted
    counts, losses = law.curve(PLANS["wsd"])
    assert counts[-1] == STEPS
    late = counts > STEPS // 5
    np.testing.assert_allclose(losses[late], curves["wsd"][counts[late] - 1], rtol=0.015)
    assert np.isfinite(law.end(lrax.Constant(PEAK), 3 * STEPS))
    assert law.end(lrax.Constant(PEAK), 3 * STEPS) < law.end(lrax.Constant(PEAK), STEPS)


def test_spikes_pull_little() -> None:
    """A few losses that are a hundred times too large move the law by less than a per cent."""
    clean = [(PLANS[name], annealed(np.asarray(PLANS[name](np.arange(STEPS)), np.float64))) for name in ("constant", "cosine")]
    spiked = [(plan, losses.copy()) for plan, losses in clean]
    spiked[0][1][[700, 1500]] *= 100
    one, other = (fit_law(runs, "annealing").end(PLANS["linear"]) for runs in (clean, spiked))
    np.testing.assert_allclose(one, other, rtol=0.01)


def test_what_is_skipped_does_not_count() -> None:
    """Losses in the first part of each run, as long as `skip` says, leave the law as it is; twenty losses are enough."""
    plan = lrax.Linear(PEAK, 0.0, 20)
    losses = 1 + 0.5 * np.arange(1, 21.0) ** -0.5
    odd = np.where(np.arange(20) < 9, 7.0, losses)
    one, other = (fit_law([(plan, curve)], "annealing", skip=0.5) for curve in (losses, odd))
    assert one.parameters == other.parameters
    assert fit_law([(plan, odd)], "annealing", skip=0).parameters != one.parameters


def test_a_law_is_a_value() -> None:
    """It has the numbers of its formula, and may be made from them again."""
    law = LossLaw("annealing", {"L0": 1.0, "A": 0.5, "alpha": 0.5, "C": 0.0, "memory": 0.1}, 0.1, 100, 0.0)
    np.testing.assert_allclose(law.end(lrax.Constant(0.1), 100), 1.5)
    np.testing.assert_allclose(law.end(lrax.Constant(0.1), 400), 1.25)


@pytest.mark.parametrize("kind", ["annealing", "multi_power"])
def test_a_law_is_its_formula(kind: Any) -> None:
    """A curve is the formula of `fit_law` for any numbers: each fall counts from the step that it is made at."""
    numbers = {
        "annealing": {"L0": 1.0, "A": 0.8, "alpha": 0.4, "C": 0.3, "memory": 0.2},
        "multi_power": {"L0": 0.9, "A": 0.6, "alpha": 0.3, "B": 0.3, "beta": 0.6, "gamma": 0.5, "C": 20.0},
    }[kind]
    rates = np.array([0.5, 1.0, 1.0, 0.8, 0.5, 0.5, 0.2, 0.1])  # one step a stretch
    counts, losses = LossLaw(kind, numbers, 1.0, len(rates), 0.0).curve(rates)
    falls, area, time = np.append(0, np.maximum(-np.diff(rates), 0)), np.cumsum(rates) / 8, np.arange(1, 9) / 8
    want = numbers["L0"] + numbers["A"] * area ** -numbers["alpha"]
    for step in range(len(rates)):
        for k in range(step + 1):
            if kind == "annealing":
                memory = numbers["memory"]
                want[step] -= numbers["C"] * falls[k] * memory * (1 - np.exp(-(time[step] - k / 8) / memory))
            else:
                moved = numbers["C"] * (area[step] - (area[k] - rates[k] / 8)) * rates[k] ** -numbers["gamma"]
                want[step] -= numbers["B"] * falls[k] * (1 - (1 + moved) ** -numbers["beta"])
    np.testing.assert_array_equal(counts, np.arange(1, 9))
    np.testing.assert_allclose(losses, want, rtol=1e-6)


def test_mistakes_are_named() -> None:
    """Runs that cannot be fitted are errors of ours."""
    with pytest.raises(TypeError, match=r"fit_law: `runs` must be a list of pairs \(schedule, losses\)"):
        fit_law([lrax.Constant(0.1)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"`runs\[0\]\[1\]` must be at least 20 losses.*leave out runs that diverged"):
        fit_law([(lrax.Constant(0.1), np.full(30, np.nan))])
    with pytest.raises(ValueError, match=r"`kind` must be one of 'annealing', 'multi_power'"):
        fit_law([(lrax.Constant(0.1), np.ones(30))], "power")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`skip` must be a part of a run"):
        fit_law([(lrax.Constant(0.1), np.ones(30))], skip=1)
    with pytest.raises(ValueError, match=r"`schedule` must be of finite rates, none below 0 and one above"):
        fit_law([(lrax.Constant(0.0), np.ones(30))])
