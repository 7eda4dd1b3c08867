"""Plans that are surely wrong: `find_lr` and `run_sweep` say so once, at no cost for plans that are right."""

import warnings

import jax
import jax.numpy as jnp
import optax
import pytest

import lrax
from compilations import compilations
from lrax.finder._find import STEPS
from lrax.finder._rescale import plan_of

WRONG = {
    "the decay ends at step 9,000": (lrax.warmup_cosine(0.1, warmup_steps=0.1, total_steps=9_000), 1_000),
    "after the run has ended": (lrax.MultiStep(0.1, factor=0.1, boundaries=[6_000, 8_000]), 1_000),
    "rises to the last step": (lrax.Warmup(lrax.Constant(0.1), warmup_steps=2_000), 1_000),
    "counted in epochs": (lrax.Cosine(0.1, 0.0, steps=40), 1_000),
    "almost nothing": (lrax.Cosine(0.1, 0.0, steps=500), 1_000),
}
RIGHT = [
    lrax.warmup_cosine(0.1, total_steps=1_000, warmup_steps=0.1),
    lrax.wsd(0.1, total_steps=1_000, warmup_steps=0.1, cooldown_steps=0.2),
    lrax.Constant(0.1),
    lrax.InverseSqrt(0.1),
    lrax.MultiStep(0.1, factor=0.1, boundaries=[600, 800]),
    lrax.sgdr(0.1, 0.0, cycle_steps=100),
    lrax.Linear(0.1, 0.0, steps=1_000),
    optax.cosine_decay_schedule(0.1, 1_000),
    lrax.warmup_cosine(0.1, total_steps=500_000, warmup_steps=0.1),
]


pytestmark = pytest.mark.standard_promotion  # optax's schedules


def warned(schedule, total_steps):
    """The messages about a plan."""
    plan = plan_of("find_lr", "schedule", schedule, total_steps, otherwise=STEPS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan.warn_of_mistakes("find_lr", stacklevel=1)
    assert {one.category for one in caught} <= {lrax.schedules.ScheduleWarning}
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("words", WRONG)
def test_a_plan_that_is_surely_wrong_is_named(words):
    """One warning, with what is wrong, where, and the call that says more."""
    (message,) = warned(*WRONG[words])
    assert words in message
    assert message.startswith("find_lr: ")
    assert "lrax.check(schedule, 1000)" in message


@pytest.mark.parametrize("schedule", RIGHT, ids=lambda plan: type(plan).__name__)
def test_a_plan_that_is_right_costs_nothing(schedule):
    """No warning, and no program that was not there."""
    total = schedule.total_steps if isinstance(schedule, lrax.warmup_cosine) else 1_000
    total = int(total)
    warned(schedule, total)
    with compilations() as compiled:
        assert warned(schedule, total) == []
    assert not compiled


def test_the_finder_and_sweeps_warn():
    """Both calls give the warning, from the caller's line, and a filter silences it."""
    one = lrax.Learner.create(lambda params, batch: jnp.mean((params[None] - batch) ** 2), jnp.zeros(3), optax.sgd)
    options = {"batch_size": 4, "key": jax.random.key(0), "budget": 20, "total_steps": 100}
    with pytest.warns(lrax.schedules.ScheduleWarning, match="lengths were probably counted in epochs") as caught:
        lrax.find_lr(one, jnp.ones((8, 3)), lrax.Cosine(0.1, 0.0, steps=5), **options)
    assert caught[0].filename == __file__
    train = lambda schedule: schedule(jnp.arange(5))  # noqa: E731
    plans = [lrax.Linear(0.1, 0.0, 10), lrax.Linear(0.1, -0.1, 10)]
    with pytest.warns(
        lrax.schedules.ScheduleWarning, match=r"run_sweep: `schedules\[1\]`: the learning rate is negative"
    ) as caught:
        lrax.run_sweep(train, plans, score=jnp.min)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=lrax.schedules.ScheduleWarning)
        lrax.run_sweep(train, plans, score=jnp.min)
        lrax.run_sweep(train, plans[:1], score=jnp.min)
