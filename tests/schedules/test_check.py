"""`lrax.check`: what people find too late about a schedule."""

import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.schedules._check import SURE, warn_of

pytestmark = pytest.mark.standard_promotion  # Optax's schedules mix int32 and float32

SCHEDULES: dict[str, tuple[Callable[[], Any], int, dict[str, Any], list[str]]] = {
    # public configurations: schedules of Optax, Flax's examples, PyTorch recipes and others, with one fault each
    "optax's warm-up cosine starts at 0": (
        lambda: optax.warmup_cosine_decay_schedule(0.0, 0.1, 500, 9_000),
        9_000,
        {},
        ["zero_start"],
    ),
    "a cosine for ten times the run": (lambda: optax.cosine_decay_schedule(0.1, 90_000), 9_000, {}, ["unfinished"]),
    "epochs for steps in a cosine": (
        lambda: optax.cosine_decay_schedule(0.1, 90),
        35_100,
        {"dataset_size": 50_000, "batch_size": 128},
        ["epochs"],
    ),
    "epochs for steps in milestones": (
        lambda: optax.piecewise_constant_schedule(0.1, {30: 0.1, 60: 0.1, 80: 0.1}),
        35_100,
        {},
        ["epochs"],
    ),
    "a milestone after the end": (
        lambda: optax.piecewise_constant_schedule(0.1, {32_000: 0.1, 48_000: 0.1}),
        40_000,
        {},
        ["milestone_after_end"],
    ),
    "a cosine that climbs back": (
        lambda: lambda count: 0.05 * (1 + jnp.cos(jnp.pi * count / 1_000)),
        1_000,
        {},
        ["rises_after_end"],
    ),
    "a linear decay below 0": (lambda: lambda count: 0.1 * (1 - count / 800), 1_000, {}, ["negative"]),
    "a warm-up longer than the run": (
        lambda: optax.linear_schedule(0.0, 0.1, 10_000),
        1_000,
        {},
        ["zero_start", "rising_at_end"],
    ),
    "a warm-up of other length": (
        lambda: lrax.warmup_cosine(peak=0.1, warmup_steps=100, total_steps=1_000),
        1_000,
        {"warmup_steps": 10},
        ["warmup"],
    ),
    "a decay that is over half way": (lambda: optax.linear_schedule(0.1, 0.0, 500), 1_000, {}, ["finished_early"]),
    "a join that jumps": (
        lambda: optax.join_schedules([optax.linear_schedule(0.01, 0.02, 100), optax.constant_schedule(0.1)], [100]),
        1_000,
        {},
        ["jump"],
    ),
    "a join that drops to 0": (
        lambda: optax.join_schedules([optax.constant_schedule(0.1), optax.constant_schedule(0.0)], [900]),
        1_000,
        {},
        ["finished_early", "jump"],
    ),
    "a plan that is a fifth too long": (
        lambda: lrax.warmup_cosine(1e-3, warmup_steps=100, total_steps=6_000),
        5_000,
        {},
        ["unfinished"],
    ),
    "optax's, a tenth too long": (
        lambda: optax.warmup_cosine_decay_schedule(1e-5, 1e-3, 100, 5_500),
        5_000,
        {},
        ["unfinished"],
    ),
    "one that ends above 0 and is a tenth too long": (
        lambda: lrax.warmup_cosine(1e-3, warmup_steps=100, total_steps=5_500, end=1e-4),
        5_000,
        {},
        ["unfinished"],
    ),
    "a plan that is a fifth too short": (
        lambda: lrax.wsd(1e-3, warmup_steps=100, cooldown_steps=0.2, total_steps=4_100),
        5_000,
        {},
        ["finished_early"],
    ),
    "one that ends above 0 and is a fifth too short": (
        lambda: lrax.warmup_cosine(1e-3, warmup_steps=100, total_steps=4_100, end=1e-4),
        5_000,
        {},
        ["finished_early"],
    ),
    "a plan that is a step too long": (lambda: lrax.warmup_cosine(1e-3, warmup_steps=100, total_steps=5_001), 5_000, {}, []),
    "optax's, a step too short": (lambda: optax.warmup_cosine_decay_schedule(1e-5, 1e-3, 100, 4_999), 5_000, {}, []),
    "a warm-up whose peak is held": (lambda: lrax.Linear(1e-5, 1e-3, 500), 5_000, {}, []),
    "another number of epochs": (
        lambda: lrax.Linear(start=0.1, end=0.0, steps=1_000),
        1_000,
        {"dataset_size": 1_000, "batch_size": 10, "epochs": 5},
        ["length"],
    ),
    "a NaN": (lambda: lambda count: 0.1 / (count - 7) * 0 + jnp.where(count == 7, jnp.nan, 0.1), 100, {}, ["not_finite"]),
    "nothing but 0": (lambda: optax.constant_schedule(0.0), 100, {}, ["zero"]),
    "python's own branches": (lambda: lambda count: 0.1 if count < 50 else 0.001, 100, {}, ["jump"]),
    "restarts": (
        lambda: lrax.sgdr(peak=0.1, end=0.0, cycle_steps=100, length_factor=1),
        1_000,
        {},
        ["jump", "rises_after_end"],
    ),
    # what is right
    "lrax's warm-up cosine": (
        lambda: lrax.warmup_cosine(peak=0.1, warmup_steps=500, total_steps=9_000),
        9_000,
        {"warmup_steps": 500},
        [],
    ),
    "a schedule in three parts": (
        lambda: lrax.wsd(peak=0.1, warmup_steps=0.01, cooldown_steps=0.2, total_steps=100_000),
        100_000,
        {},
        [],
    ),
    "drops by ten": (lambda: lrax.MultiStep(start=0.1, factor=0.1, boundaries=[500, 750]), 1_000, {}, []),
    "an inverse square root": (lambda: lrax.InverseSqrt(start=0.1, timescale=100), 10_000, {}, []),
    "an exponential": (lambda: optax.exponential_decay(0.1, 100, 0.9), 2_000, {}, []),
    "one step": (lambda: lrax.Constant(0.1), 1, {}, []),
    "the longest run": (lambda: lrax.Linear(start=0.1, end=0.0, steps=2**31 - 1), 2**31 - 1, {}, []),
    "a milestone at the end of the longest run": (lambda: lrax.MultiStep(0.1, 0.1, [2**31 - 1]), 2**31 - 1, {}, []),
    "data that fit": (
        lambda: lrax.Linear(start=0.1, end=0.0, steps=1_173),
        1_173,
        {"dataset_size": 50_000, "batch_size": 128, "epochs": 3},
        [],
    ),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_each_fault_is_found_and_nothing_else(case: str) -> None:
    """A schedule with a fault gets the code of this fault; one without gets none."""
    make, total, given, codes = SCHEDULES[case]
    report = lrax.check(make(), total, **given)
    assert [one.code for one in report] == codes, report
    assert report.ok == (not codes)
    assert len(report) == len(codes)
    assert all(str(one.message) in str(report) for one in report)


def test_faults_are_placed_at_their_step() -> None:
    """A finding has the step at which the schedule does it, in long runs too."""
    drop = optax.piecewise_constant_schedule(0.1, {123_457: 0.001})
    assert {one.code: one.step for one in lrax.check(drop, 10**6)} == {"jump": 123_457, "finished_early": 123_457}
    (late,) = lrax.check(lrax.MultiStep(start=0.1, factor=0.1, boundaries=[61_007]), 40_000)
    assert (late.code, late.step) == ("milestone_after_end", 61_007)


def test_wrong_arguments_are_named() -> None:
    """Each bad argument is an error with its name."""
    with pytest.raises(TypeError, match="check: `schedule` must be"):
        lrax.check(0.1, 100)
    with pytest.raises(ValueError, match="check: `total_steps` must be"):
        lrax.check(lrax.Constant(0.1), 0)
    with pytest.raises(ValueError, match="check: `batch_size` must be given"):
        lrax.check(lrax.Constant(0.1), 10, dataset_size=100)
    with pytest.raises(ValueError, match="check: `epochs` must be"):
        lrax.check(lrax.Constant(0.1), 10, dataset_size=100, batch_size=10, epochs=-1)


def test_findings_are_marked_in_a_picture(tmp_path: pathlib.Path) -> None:
    """Each finding has a numbered mark, and the end of the run a line."""
    axes = lrax.check(optax.cosine_decay_schedule(0.1, 90_000), 9_000).plot()
    labels = axes.get_legend_handles_labels()[1]
    assert "end of the run" in labels
    assert any("unfinished" in label for label in labels)


def test_a_schedule_under_jit_is_refused_by_jax() -> None:
    """A schedule whose numbers are traced cannot be checked: JAX's own error is not hidden."""
    with pytest.raises(Exception, match=r"Trac|concrete"):
        jax.jit(lambda peak: lrax.check(lrax.Constant(peak), 10).total_steps)(0.1)


def test_epochs_for_steps_are_answered_with_the_factor() -> None:
    """Where the data are known the text has the number of steps in an epoch, to multiply by."""
    given = {"total_steps": 35_100, "dataset_size": 50_000, "batch_size": 128}
    (finding,) = lrax.check(optax.cosine_decay_schedule(0.1, 90), **given)
    assert finding.message.endswith("multiply them by the steps in an epoch (391)")


def test_the_last_learning_rate_is_told_as_a_part_of_the_whole_plans_peak() -> None:
    """A plan whose peak comes after the run ends low in it, although its last step is the highest of the run."""
    report = lrax.check(lrax.warmup_cosine(1e-3, warmup_steps=900, total_steps=1_000), 500)
    assert [one.code for one in report] == ["rising_at_end", "unfinished"]
    assert "0.0005549, 0.56 times the peak" in str(report)


def test_a_warm_up_of_another_length_than_was_meant_is_named() -> None:
    """A warm-up that is longer than the run is told with the length of the run, and with the length that was meant."""
    schedule = lrax.warmup_cosine(1e-3, warmup_steps=600, total_steps=1_000)
    assert "not reached within 400 steps, and not after the 100 steps of `warmup_steps`; shorten" in str(
        lrax.check(schedule, 400, warmup_steps=100)
    )
    assert "not reached within 400 steps; shorten" in str(lrax.check(schedule, 400))


def test_a_warning_begins_where_a_fifth_of_the_run_is_left() -> None:
    """`find_lr` and `run_sweep` warn of a decay that has ended four fifths of the way, and not of one that ends later."""
    counts = np.arange(1_000)
    for steps, warns in ((800, True), (801, False)):
        schedule = lrax.Linear(0.1, 0.0, steps)
        values = np.asarray(jax.vmap(schedule)(counts))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert warn_of("here", schedule, 1_000, counts, values, SURE, 1) == warns
        assert len(caught) == warns
