"""Stop rules: their formulas, and a default that healthy data do not trigger."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.finder import Reason, TimesMedian
from lrax.training._core import start
from problems import linear_learner, nothing, regression, same, scripted, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression(512)
LATE = TimesMedian(10.0)


def run_of(smoothed, first, lowest, steps=50):
    """A run after 50 steps."""
    return start((), lrax.Constant(0.1))._replace(
        smoothed=jnp.float32(smoothed), first=jnp.float32(first), lowest=jnp.float32(lowest), steps=jnp.int32(steps)
    )


@pytest.mark.parametrize(
    ("rule", "first", "lowest", "limit"),
    [
        (lrax.finder.TimesFirst(2.0), 3.0, 1.0, 6.0),
        (lrax.finder.TimesFirst(3.0), -1.0, -5.0, 7.0),  # it dropped by 4, which is more than 1
        (lrax.finder.TimesBest(4.0), 3.0, 1.0, 4.0),
        (lrax.finder.TimesBest(4.0), 21.0, 1.0, 7.0),  # a tenth of the drop of 20 is more than 1
        (lrax.finder.TimesBest(5.0), 10.0, 0.0, 4.0),
        (TimesMedian(10.0, 20, 2.0, 1.0), 0.1, 1.0, 20.0),
        (TimesMedian(10.0, 20, 2.0, 5.0), 0.1, 1.0, 47.0),  # losses scatter by more than their median
        (TimesMedian(3.0, 20, -1.0, 0.5), 0.1, -5.0, 7.0),
    ],
)
def test_a_rule_stops_above_its_formula(rule, first, lowest, limit):
    """Each rule stops just above the loss that its formula says, not just below it, and never before its first step."""
    stops = functools.partial(run_of, first=first, lowest=lowest)
    assert not rule(stops(limit - 0.01))
    assert rule(stops(limit + 0.01))
    assert not rule(stops(limit + 0.01, steps=5))


def test_the_median_is_robust():
    """The threshold is a median, scatter is kept, and a ramp that diverges at once is measured by its beginning."""

    def numbers(losses):
        rule, traced = LATE.from_losses(np.float32(losses)), jax.jit(LATE.from_losses)(np.float32(losses))
        assert (rule.median, rule.spread) == (traced.median, traced.spread)
        return float(rule.median), float(rule.spread)

    assert numbers([0.01, *[1.0] * 19]) == (1.0, 0.0)
    assert numbers([*[0.25, 0.5] * 5, 4.5, *[0.25] * 9]) == (0.25, 4.25)
    assert numbers([*[1.0] * 12, *np.geomspace(2, 1e6, 8)]) == (1.0, 0.0)
    assert not LATE(run_of(3e38, 0.0, 0.0))


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_divergence_is_noticed_as_early(loop):
    """On a loss without noise the default stops where a multiple of the first loss would, also during the first steps."""
    for losses in (np.concatenate([np.linspace(1, 0.5, 60), np.geomspace(0.5, 1e4, 40)]), np.geomspace(1, 1e9, 100)):
        default, first = (
            lrax.range_test(scripted(losses), nothing, key=KEY, loop=loop, steps=100, stop=stop)
            for stop in (LATE, lrax.finder.TimesFirst(10.0))
        )
        assert default.reason is first.reason is Reason.DIVERGED
        assert abs(default.steps_run - first.steps_run) <= 1


@pytest.mark.parametrize(("where", "every"), [("scan", 8), ("python", 30), ("jit", 8), ("jit", 30)])
def test_reading_the_median_changes_nothing_else(where, every):
    """Losses are those of a test that never stops, and it is evaluated where such a test is; also inside jit."""
    evaluation = lrax.Evaluation(lambda state: squared_error(state.params, tuple(map(jnp.asarray, DATA))), every)
    options = {"batch_size": 16, "evaluation": evaluation, "steps": 170}
    test = lambda stop, **more: lrax.range_test(linear_learner(), DATA, key=KEY, stop=stop, **options, **more)  # noqa: E731
    never = test(None, loop="python" if where == "python" else "scan")
    if where == "jit":
        jitted = jax.jit(lambda key: lrax.range_test(linear_learner(), DATA, key=key, stop=LATE, **options))(KEY)
        found = jitted.made
        np.testing.assert_allclose(found.losses, never.losses[: found.steps_run], rtol=1e-4)
        np.testing.assert_allclose(found.evaluations, never.evaluations[: len(found.evaluations)], rtol=1e-4)
    else:
        found = test(LATE, loop=where)
        assert same(found.losses, never.losses[: found.steps_run])
        assert same(found.evaluations, never.evaluations[: len(found.evaluations)])
    assert found.reason is Reason.DIVERGED
    assert len(found.evaluations) > 1
