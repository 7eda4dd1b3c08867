"""Between plans: peaks of other shapes and lengths, and schedules written with other learning rates."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.finder._rescale import plan_of, rescaled
from lrax.schedules import Scale
from results import found_at
from schedule_cases import CASES, rates_at, sampled


def test_a_plan_is_squeezed_into_a_run():
    """A plan's shape keeps its parts and has 1 as its peak, whatever the plan's peak and length."""
    plan = plan_of("find_lr", "schedule", lrax.wsd(7.0, total_steps=10_000, warmup_steps=2_000, cooldown_steps=3_000), None)
    shape = plan.squeezed(50)
    assert (shape.max(), plan.highest, plan.steps) == (1, 7.0, 10_000)
    np.testing.assert_allclose(shape[10:34], 1, rtol=1e-6)
    assert shape[0] < 0.1
    assert shape[-1] < 0.05


def test_other_shapes_and_lengths():
    """Shapes relate as the theory says; longer runs have lower peaks where the optimizer is scale-invariant."""
    cosine, constant = lrax.Cosine(1.0, 0.0, 500), lrax.Constant(5.0)
    for invariant, power, exponent in ((True, 0.3, 1.0), (False, 0.0, 0.5), (None, 0.15, 1.0)):
        found = found_at(0.1, plan=cosine, total_steps=500, scale_invariant=invariant)
        ratio = float(lrax.theory.lr_ratio(cosine, constant, 500)) ** exponent
        assert float(found.rescale(constant, 500)(0)) == pytest.approx(0.1 * ratio, rel=1e-3)
        longer = found.rescale(lrax.Cosine(3.0, 0.0, 8_000))
        assert float(longer(0)) == pytest.approx(0.1 / 16**power, rel=1e-3)
        assert found.rescale(cosine) == found.schedule
    recipe, whole = (lrax.wsd(1.0, total_steps=n, warmup_steps=0.05, cooldown_steps=0.2) for n in (None, 8_000))
    assert found.rescale(recipe, 8_000) == found.rescale(whole)
    milestones = lrax.MultiStep(1.0, 0.1, [0.6, 0.8])
    assert found.rescale(milestones, 8_000) == found.rescale(milestones.with_total_steps(8_000))


@sampled(CASES)
def test_a_schedule_has_its_own_peak(case):
    """A schedule times a number has the class that it had where its fields can hold that, and is within 4 ulp of `Scale`."""
    schedule = case.make(**case.numbers)
    steps = min(int(schedule.length or 2000), 5000)
    found, plain = rescaled(schedule, 0.0193, steps), Scale(schedule, 0.0193)
    one, other = (rates_at(each, np.linspace(0, steps + 10, 128).astype(int)) for each in (found, plain))
    np.testing.assert_allclose(one, other, rtol=4 * 2.0**-23, atol=2.0**-23 * np.abs(other).max())
    unscalable = lrax.Function | lrax.schedules.Noise | lrax.schedules.warmup_power
    kept = type(schedule).__module__.startswith("lrax.") and not isinstance(schedule, unscalable)
    assert isinstance(found, Scale) != kept


def test_the_schedule_reads_like_the_call():
    """`found.schedule` reads like the call that one would have written; a scaled schedule is scaled again inside."""
    found = found_at(0.1, plan=lrax.warmup_cosine(1.0, total_steps=500, warmup_steps=50, end=0.25), total_steps=500)
    assert repr(found.schedule).startswith("warmup_cosine(peak=0.1, ")
    assert found.schedule.end == pytest.approx(0.025)
    assert found.rescale(Scale(lrax.Cosine(1.0, 0.0, 500), 3.0)) == found.rescale(lrax.Cosine(1.0, 0.0, 500))
    assert isinstance(found.rescale(lambda count: 1.0, 500), Scale)
    assert float(jax.jit(lambda count: found.schedule(count))(50)) == pytest.approx(0.1)


def test_the_length_of_a_plan_costs_nothing():
    """The longest plans there are take a moment and little memory."""
    found = found_at(0.1, scale_invariant=True)
    lengths = np.array([2**19, 2**30, 2**31 - 1])
    tracemalloc.start()
    peaks = [float(found.rescale(lrax.Cosine(1.0, 0.0, int(steps)))(0)) for steps in lengths]
    plan = plan_of("find_lr", "schedule", lrax.Linear(1.0, 0.0, 2**31 - 1), None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100e6
    np.testing.assert_allclose(np.array(peaks) / peaks[0], (lengths[0] / lengths) ** 0.3, rtol=0.02)
    whole = plan_of("find_lr", "schedule", lrax.Linear(1.0, 0.0, 2**19), None)
    np.testing.assert_allclose(plan.squeezed(50), whole.squeezed(50), atol=1e-4)


@pytest.mark.parametrize(
    ("schedule", "options", "error", "said"),
    [
        (lrax.Constant(1.0), {}, ValueError, "total_steps"),
        (lrax.Constant(0.0), {"total_steps": 10}, ValueError, "`schedule` must be a schedule with learning rates above 0"),
        (lrax.Linear(1.0, -1.0, 10), {}, ValueError, "FinderResult.rescale: `schedule`"),
        (lrax.Constant(1.0), {"total_steps": 0}, ValueError, "total_steps"),
        ("cosine", {}, TypeError, "FinderResult.rescale: `schedule`"),
    ],
)
def test_a_schedule_without_a_peak_is_named(schedule, options, error, said):
    """A schedule without a length, without learning rates above 0, or none at all is an error that names the argument."""
    with pytest.raises(error, match=said):
        found_at(0.1).rescale(schedule, **options)


def test_without_a_peak_there_is_no_schedule():
    """A result without a peak says why where its schedule is asked for."""
    none = found_at(None, losses=[2.0, 1.5, 1.0])
    for read in (lambda: none.schedule, lambda: none.rescale(lrax.Constant(1.0), 10)):
        with pytest.raises(ValueError, match=r"^FinderResult\.\w+: find_lr found no peak \(too short\): 3 steps are"):
            read()
    assert jnp.isnan(float(none))


def test_the_same_plan_at_another_peak_is_the_same_schedule():
    """A plan that differs by its peak only gets the peak that was found, to the last bit."""
    peaks = [float(f"{peak:.3g}") for peak in np.geomspace(1e-3, 1, 30)]
    for peak, other in zip(peaks, [7.0, 0.3, 1e-3] * 10, strict=True):
        found = found_at(peak)
        assert found.rescale(lrax.warmup_cosine(other, total_steps=1000, warmup_steps=100)) == found.schedule
