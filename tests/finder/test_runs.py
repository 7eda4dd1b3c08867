"""Short runs: which are tried, what is read off their ends, and the height of a schedule that follows."""

import functools
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.finder._heights import COSINE, POWERS, REFERENCE, raced, rates_of, ratio_of, shape_of, suggested
from lrax.finder._rescaled import rescaled
from lrax.finder._runs import Seed, Start, bottom
from lrax.finder._search import FINER, HIGHER, OUT, first_of
from lrax.schedules import Scale
from lrax.training._core import start
from problems import linear_learner, regression
from schedule_cases import CASES, sampled

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def seed(scores, wide=2):
    """A seed whose runs ended at these losses, by place; infinite is a run that diverged."""
    its = Seed(Start(None, None), 1.0, start(None, None))
    for place, score in scores.items():
        rows = np.full((50, 3), score, np.float32)
        reason = np.int32(-1 if np.isfinite(score) else 0)
        its.lanes[place] = start(None, None)._replace(steps=np.int32(50), reason=reason, history=rows)
    return its


@pytest.mark.parametrize(
    ("scores", "wide", "expected"),
    [
        ({-2: 3.0, 0: 2.0, 2: 1.0}, 2, 4),  # still falling: beyond
        ({-2: 1.0, 0: 2.0, 2: 3.0}, 2, -4),
        ({-2: 3.0, 0: 1.0, 2: 2.0}, 2, 1),  # between the best and its better neighbour
        ({-2: 2.0, 0: 1.0, 2: np.inf}, 2, -1),
        ({-1: 2.0, 0: 1.0, 1: 3.0}, 1, -2),  # nothing lies between: beyond that neighbour
        ({-2: np.inf, 0: np.inf, 2: np.inf}, 2, -4),  # too high, all of them
        ({-2: 2.31, 0: 2.30, 2: 2.29}, 2, 6),  # on a plateau: twice as far
        ({-2: 2.31, 0: 2.30, 2: np.inf}, 2, 1),
    ],
)
def test_one_more_run_goes_where_it_tells_most(scores, wide, expected):
    """The fourth run goes beyond an outermost best, else beside the best on its better side."""
    assert seed(scores).next(wide) == expected


def test_runs_that_refine_go_where_those_before_them_point():
    """They lie closely around the middle; climb if the highest was best; and far up if no run has left the plateau."""
    falls, climbs, flat = ({-2: 2.0, 0: 1.0, 2: 3.0}, {-2: 3.0, 0: 2.0, 2: 1.0}, {-2: 2.31, 0: 2.29, 2: 2.3})
    before = [tuple(seed(scores).runs(50) for scores in seeds) for seeds in ([], [falls], [climbs], [flat], [climbs, falls])]
    assert [first_of(runs) for runs in before] == [FINER, FINER, HIGHER, OUT, FINER]


def test_a_plateau_is_waited_out():
    """Where short runs end on a plateau, the band is wide and the result says so; `refine` finds rates that leave it."""

    def update(way, batch, rate):  # a small fall at once, the large one where the rates add up to 20; rates above 3 blow up
        loss = 1 - 0.01 * jnp.tanh(100 * way) - 0.99 * jax.nn.sigmoid(way - 20)
        return way + rate, jnp.where(rate > 3, jnp.inf, loss)

    find = functools.partial(lrax.find_lr, lrax.Learner(jnp.zeros(()), update), lambda key: jnp.zeros(1), key=KEY)
    early, late = find(), find(refine=True)
    assert early.runs[0].flat
    assert early.band[1] / early.band[0] > 100
    assert "all ended about the same, as on a plateau" in early.explanation
    assert not late.refined.flat
    assert late.refined.ranked.min() < 0.1
    assert 0.3 < late.refined.best < 3


def test_the_bottom_lies_between_the_runs():
    """The bottom of a parabola through uneven places is found; it is never nearer to a neighbour than to the best."""
    places = [-4, -1, 0]
    assert bottom(places, [-((x + 1.5) ** 2) * -1 - 5 for x in places]) == pytest.approx(-1.5)
    assert bottom([-2, 0, 2], [1.1, 1.0, np.inf]) < 0
    assert bottom([-2, 0, 2], [np.inf, 1.0, 1.1]) > 0
    assert -1 <= bottom([-2, 0, 2], [1.0 + 1e-9, 1.0, 50.0]) < 0
    assert bottom([-2, 0, 2], [1.0, 1.0, 1.0]) == -2
    assert bottom([0, 2], [2.0, 1.0]) == 2
    uneven = [([0, 4, 5], [100, 1, 1.0001], 4.5), ([0, 4, 5], [1.0001, 1, 100], 2), ([0, 1, 5], [100, 1, 1.0001], 3)]
    for places, scores, half_way in uneven:
        assert bottom(places, scores) == pytest.approx(half_way, abs=1e-3)


def test_the_best_run_trains_best():
    """On a quadratic the suggestion's cosine ends lower than one three times as high or a third as high."""
    learner = linear_learner(optax.sgd)
    found = lrax.find_lr(learner, DATA, batch_size=16, key=KEY)
    peak = found.runs[0].best

    def end(peak):
        rules = np.asarray(lrax.warmup_cosine(peak, warmup_steps=5, total_steps=50)(np.arange(50)))
        state = learner.state
        for i, rate in enumerate(rules):
            batch = jax.tree.map(lambda leaf, i=i: leaf[16 * (i % 4) : 16 * (i % 4) + 16], DATA)
            state, _ = step(state, batch, rate)
        return float(step(state, DATA, 0.0)[1])

    step = jax.jit(learner.step)
    assert end(peak) < min(end(peak / 3), end(3 * peak))


def test_all_programs_are_one():
    """The ramp and the runs, whatever their shape, are run by one program: rates are arrays."""
    plan = lrax.wsd(1.0, warmup_steps=100, cooldown_steps=200, total_steps=1000)
    ratio_of(rates_of("find_lr", "plan", plan, None))  # the theory's programs, which are no part of the search
    first = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY)
    with compilations() as compiled:
        again = lrax.find_lr(linear_learner(), DATA, batch_size=16, key=KEY, plan=plan)
    assert not compiled
    assert first.suggestion != again.suggestion


def test_the_runs_of_an_iterator():
    """Batches from an iterable that begins again give runs too; where they end, the ramp alone is read, and that is said."""
    batches = [jax.tree.map(lambda leaf, i=i: leaf[16 * i : 16 * i + 16], DATA) for i in range(4)]
    found = lrax.find_lr(linear_learner(), batches)
    assert len(found.runs[0].peaks) == 4
    found = lrax.find_lr(linear_learner(), (batches[i % 4] for i in range(120)))
    assert found.runs == ()
    assert found.suggestion is not None


def test_the_ratio_of_a_cosine_is_that_of_the_theory():
    """The constant for the default shape is what `lr_ratio` says of it at the reference length."""
    cosine = lrax.warmup_cosine(1.0, warmup_steps=REFERENCE // 10, total_steps=REFERENCE)
    assert float(lrax.theory.lr_ratio(lrax.Constant(1.0), cosine)) == pytest.approx(COSINE, rel=0.02)
    assert ratio_of(rates_of("find_lr", "plan", cosine, None)) == pytest.approx(COSINE, rel=0.02)


def test_a_plan_is_squeezed_into_a_run():
    """A plan's shape keeps its parts and has 1 as its highest rate, whatever the plan's height and length."""
    shape = shape_of(
        rates_of("find_lr", "plan", lrax.wsd(7.0, warmup_steps=2_000, cooldown_steps=3_000, total_steps=10_000), None), 50
    )
    assert shape.max() == 1
    np.testing.assert_allclose(shape[10:34], 1, rtol=1e-6)
    assert shape[0] < 0.1
    assert shape[-1] < 0.05
    assert raced(suggested(0.3, 50, 2.0, POWERS[True]), 50, 2.0, POWERS[True]) == pytest.approx(0.3)


def test_the_height_of_a_schedule():
    """`schedule` scales any shape of any height; shapes stand to each other as the theory says, and longer runs lower."""
    curve = lrax.finder.Curve(*(np.ones(3, np.float32),) * 3, lrax.finder.Reason.COMPLETED)
    found = lrax.FinderResult((curve,), lrax.finder.Reason.COMPLETED, 0.1)
    constant = found.schedule(lrax.Constant(5.0), 500)
    assert float(constant(0)) == pytest.approx(0.1 / 1.6)
    for height in (1e-4, 30.0):
        cosine = found.schedule(lrax.warmup_cosine(height, warmup_steps=50, total_steps=500))
        assert float(jnp.max(cosine(np.arange(500)))) == pytest.approx(0.1 / 1.6 * COSINE, rel=0.02)
    longer = found.schedule(lrax.Constant(1.0), total_steps=8_000)
    assert float(constant(0) / longer(0)) == pytest.approx(2.0)
    waiting, whole = (
        lrax.wsd(1.0, warmup_steps=0.05, cooldown_steps=0.2),
        lrax.wsd(1.0, warmup_steps=0.05, cooldown_steps=0.2, total_steps=8_000),
    )
    assert found.schedule(waiting, 8_000) == found.schedule(whole)
    milestones = lrax.MultiStep(1.0, 0.1, [0.6, 0.8])
    assert found.schedule(milestones, 8_000) == found.schedule(milestones.with_total_steps(8_000))


@sampled(CASES)
def test_a_schedule_has_its_own_peak(case):
    """A schedule times a number has the class that it had where its fields can hold that, and is within 4 ulp of `Scale`."""
    schedule = case.make(**case.numbers)
    steps = min(int(schedule.length or 2000), 5000)
    found, plain, counts = rescaled(schedule, 0.0193, steps), Scale(schedule, 0.0193), np.arange(steps + 10, dtype=np.int32)
    one, other = (np.asarray(jax.jit(lambda each: each(counts))(each)) for each in (found, plain))
    np.testing.assert_allclose(one, other, rtol=4 * 2.0**-23, atol=2.0**-23 * np.abs(other).max())
    unscalable = lrax.Function | lrax.schedules.Noise | lrax.schedules.warmup_power
    kept = type(schedule).__module__.startswith("lrax.") and not isinstance(schedule, unscalable)
    assert isinstance(found, Scale) != kept


def test_the_peak_is_seen():
    """`found.schedule` reads like the call that one would have written, and a scaled schedule is scaled again inside."""
    curve = lrax.finder.Curve(*(np.ones(3, np.float32),) * 3, lrax.finder.Reason.COMPLETED)
    found = lrax.FinderResult((curve,), lrax.finder.Reason.COMPLETED, 0.1)
    schedule = found.schedule(lrax.warmup_cosine(1.0, warmup_steps=50, total_steps=500, end=0.25))
    assert repr(schedule).startswith("warmup_cosine(peak=0.")
    assert schedule.end == pytest.approx(float(schedule.peak) / 4)
    assert found.schedule(Scale(lrax.Cosine(1.0, 0.0, 500), 3.0)) == found.schedule(lrax.Cosine(1.0, 0.0, 500))
    assert isinstance(found.schedule(lambda count: 1.0, 500), Scale)


def test_the_length_of_a_plan_costs_nothing():
    """The longest plans there are take a moment and little memory, and have the peak that the law of lengths gives."""
    curve = lrax.finder.Curve(*(np.ones(3, np.float32),) * 3, lrax.finder.Reason.COMPLETED)
    found = lrax.FinderResult((curve,), lrax.finder.Reason.COMPLETED, 0.1)
    tracemalloc.start()
    lengths = np.array([2**19, 2**30, 2**31 - 1])
    peaks = [float(found.schedule(lrax.Linear(1.0, 0.0, int(steps))).start) for steps in lengths]
    plan = rates_of("find_lr", "plan", lrax.Linear(1.0, 0.0, 2**31 - 1), None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100e6
    ratios = [float(lrax.theory.lr_ratio(lrax.Constant(1.0), lrax.Linear(1.0, 0.0, int(steps)))) for steps in lengths]
    expected = 0.1 * (500 / lengths) ** 0.25 * np.array(ratios) / 1.6
    np.testing.assert_allclose(peaks, expected, rtol=1e-5)
    whole = rates_of("find_lr", "plan", lrax.Linear(1.0, 0.0, 2**19), None)
    np.testing.assert_allclose(shape_of(plan, 50), shape_of(whole, 50), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "options", "error", "said"),
    [
        (lrax.Constant(1.0), {}, ValueError, "total_steps"),
        (lrax.Constant(0.0), {"total_steps": 10}, ValueError, "`shape` must be a schedule with rates above 0"),
        (lrax.Linear(1.0, -1.0, 10), {}, ValueError, "FinderResult.schedule: `shape`"),
        (lrax.Constant(1.0), {"total_steps": 0}, ValueError, "total_steps"),
        ("cosine", {}, TypeError, "FinderResult.schedule: `shape`"),
    ],
)
def test_a_shape_that_has_no_height_is_named(shape, options, error, said):
    """A schedule without a length, without rates above 0, or none at all is an error that names the argument."""
    curve = lrax.finder.Curve(*(np.ones(3, np.float32),) * 3, lrax.finder.Reason.COMPLETED)
    found = lrax.FinderResult((curve,), lrax.finder.Reason.COMPLETED, 0.1)
    with pytest.raises(error, match=said):
        found.schedule(shape, **options)
    if error is ValueError:
        none = lrax.FinderResult((curve,), lrax.finder.Reason.TOO_SHORT, None)
        with pytest.raises(
            ValueError, match=r"^FinderResult\.schedule: find_lr made no suggestion \(too short\): 3 updates are"
        ):
            none.schedule(lrax.Constant(1.0), 10)


def test_a_plan_that_cannot_be_run_is_named():
    """A plan without a length, or that is none, is an error before anything runs."""
    search = functools.partial(lrax.find_lr, linear_learner(), DATA, batch_size=16, key=KEY)
    with pytest.raises(ValueError, match="find_lr: `total_steps`"):
        search(plan=lrax.Constant(1.0))
    with pytest.raises(TypeError, match="find_lr: `plan`"):
        search(plan="cosine")
