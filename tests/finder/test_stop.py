"""Stop rules: their formulas, and a default that healthy data do not trigger."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.finder import Reason
from lrax.finder._find import LATE
from lrax.finder._stop import TimesUsual
from lrax.training._core import start
from problems import linear_learner, nothing, regression, same, scripted, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression(512)
NOISE = np.random.default_rng(0)


def after(smoothed, first, lowest, steps=50):
    """A run after 50 steps."""
    run = start(None, None)
    return run._replace(
        smoothed=jnp.float32(smoothed), first=jnp.float32(first), lowest=jnp.float32(lowest), steps=jnp.int32(steps)
    )


@pytest.mark.parametrize(
    ("rule", "first", "lowest", "limit"),
    [
        (lrax.finder.TimesFirst(2.0), 3.0, 1.0, 6.0),
        (lrax.finder.TimesFirst(3.0), -1.0, -5.0, 7.0),  # it fell by 4, which is more than 1
        (lrax.finder.TimesBest(4.0), 3.0, 1.0, 4.0),
        (lrax.finder.TimesBest(4.0), 21.0, 1.0, 7.0),  # a tenth of the fall of 20 is more than 1
        (lrax.finder.TimesBest(5.0), 10.0, 0.0, 4.0),
        (TimesUsual(10.0, 20, 2.0, 1.0), 0.1, 1.0, 20.0),
        (TimesUsual(10.0, 20, 2.0, 5.0), 0.1, 1.0, 47.0),  # losses scatter by more than their usual height
        (TimesUsual(3.0, 20, -1.0, 0.5), 0.1, -5.0, 7.0),
    ],
)
def test_a_rule_stops_above_its_formula(rule, first, lowest, limit):
    """Each rule stops just above the loss that its formula says, not just below it, and never before its first step."""
    stops = functools.partial(after, first=first, lowest=lowest)
    assert not rule(stops(limit - 0.01))
    assert rule(stops(limit + 0.01))
    assert not rule(stops(limit + 0.01, steps=5))


def test_the_usual_loss_is_robust():
    """The usual loss is a median, scatter is kept, and a ramp that diverges at once is measured by its beginning."""
    usual = lambda losses: (lambda rule: (float(rule.usual), float(rule.spread)))(LATE.from_losses(np.float32(losses)))  # noqa: E731
    assert usual([0.01, *[1.0] * 19]) == (1.0, 0.0)
    assert usual([*[0.25, 0.5] * 5, 4.5, *[0.25] * 9]) == (0.25, 4.25)
    assert usual([*[1.0] * 12, *np.geomspace(2, 1e6, 8)]) == (1.0, 0.0)
    assert usual([*[1.0] * 20, 3.0, np.inf]) == (1.0, 2.0)
    assert LATE.from_losses(np.float32([np.inf])) == LATE
    assert not LATE(after(3e38, 0.0, 0.0))


@pytest.mark.parametrize("batch_size", [1, 8])
def test_small_batches_have_a_suggestion(batch_size):
    """The first batch of a small size may have a tenth of the usual loss: ramp and runs go on, for every one of 12 seeds."""
    learner = linear_learner(optax.adam)
    find = functools.partial(lrax.find_lr, learner, DATA, batch_size=batch_size)
    found = [find(key=jax.random.key(seed)) for seed in range(12)]
    assert [one.suggestion for one in found if one.suggestion is None] == []
    assert all(one.rates[-1] > 0.01 for one in found)


def test_rare_events_do_not_look_like_divergence():
    """Where one batch in eight has a rare example and a loss twenty times as high, a ramp reaches rates that learn."""
    losses = np.where(NOISE.random(100) < 0.125, 0.4, 0.02)
    losses[0] = 0.02
    found = lrax.find_lr(scripted(losses), nothing, key=KEY)
    assert found.updates == 100


@pytest.mark.parametrize("loop", ["scan", "python"])
def test_divergence_is_noticed_as_early(loop):
    """On a loss without noise the default stops where ten times the first loss would, also in the middle of the first steps."""
    for losses in (np.concatenate([np.linspace(1, 0.5, 60), np.geomspace(0.5, 1e4, 40)]), np.geomspace(1, 1e9, 100)):
        default, first = (
            lrax.find_lr(scripted(losses), nothing, key=KEY, loop=loop, updates=100, **options)
            for options in ({}, {"stop": lrax.finder.TimesFirst(10.0)})
        )
        assert default.reason is first.reason is Reason.DIVERGED
        assert abs(default.updates - first.updates) <= 1


@pytest.mark.parametrize("loop", ["scan", "python"])
@pytest.mark.parametrize("every", [8, 30])
def test_reading_the_usual_loss_changes_nothing_else(loop, every):
    """Losses are bit for bit those of a test that never stops, and it is evaluated where such a test is."""
    held_out = lambda state: squared_error(state.params, tuple(map(jnp.asarray, DATA)))  # noqa: E731
    options = {"batch_size": 16, "key": KEY, "loop": loop, "evaluate": held_out, "every": every, "updates": 100}
    found, never = (lrax.find_lr(linear_learner(optax.sgd), DATA, stop=stop, **options) for stop in (LATE, None))
    assert found.reason is Reason.DIVERGED
    assert same(found.losses, never.losses[: found.updates])
    kept = len(found.evaluations)
    assert kept > 1
    assert same(found.evaluations, never.evaluations[:kept])
