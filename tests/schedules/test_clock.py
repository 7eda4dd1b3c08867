"""Clocks: exact past 2**31, read by any schedule, and the past of a run stays what it was."""

import itertools
import pickle
import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax import schedules as kinds
from lrax.schedules._clock import Seen, divided
from schedule_case import rates, rates_at

LARGEST = 2**31 - 1
PIECES = 5


def drawn(number: int) -> list[tuple[list[int], list[int]]]:
    """Batch sizes, from 1 to the largest, and boundaries, from 0 to the largest."""
    draw = random.Random(0)
    sizes = [1, 7, 2**16 - 1, 2**16, 2**24 + 1, LARGEST]
    return [
        (
            [draw.choice([*sizes, draw.randrange(1, 2**31)]) for _ in range(PIECES)],
            sorted(draw.sample([0, 1, 2**16, LARGEST, *(draw.randrange(2**31) for _ in range(6))], PIECES - 1)),
        )
        for _ in range(number)
    ]


def seen_by(sizes: list[int], boundaries: list[int], count: int) -> int:
    """The sum, in Python's integers."""
    begins = [0, *boundaries]
    ends = [*boundaries, LARGEST + 1]
    return sum(size * max(min(count, end) - begin, 0) for size, begin, end in zip(sizes, begins, ends, strict=True))


def test_what_was_seen_is_exact() -> None:
    """For any sizes and boundaries, to the largest count: the sum, its units, and the first count that reaches it."""
    units = [1, 3, 2**16, 2**24 + 1, LARGEST]
    counts = [0, 1, 2**16, 2**30 + 7, LARGEST]

    @jax.jit
    @jax.vmap
    def found(sizes: jax.Array, boundaries: jax.Array, count: jax.Array, unit: jax.Array) -> tuple[Any, ...]:
        clock = lrax.Clock(sizes, boundaries, unit)
        seen = clock.seen(count)
        return seen, clock.time(count), clock.count_at(seen)

    cases = [(*case, count, unit) for case in drawn(30) for count, unit in itertools.product(counts, units)]
    seen, time, at = found(*(jnp.asarray(np.array(part), jnp.int32) for part in zip(*cases, strict=True)))
    for (sizes, boundaries, count, unit), whole, units_seen, first in zip(
        cases, seen.number().tolist(), np.asarray(time).tolist(), np.asarray(at).tolist(), strict=True
    ):
        want = seen_by(sizes, boundaries, count)
        assert whole == want
        assert units_seen == min(want // unit, LARGEST)
        assert first == count  # every update sees something


def test_between_two_updates() -> None:
    """One more than was seen is reached one update later; what is never reached has the largest count."""
    clock = lrax.Clock([256, 512], [1000])
    seen = np.array([0, 1, 256, 257, 256_000, 256_001, 2**62 - 1])
    np.testing.assert_array_equal(clock.count_at(seen), [0, 1, 1, 2, 1000, 1001, LARGEST])
    assert jax.jit(clock.count_at)(jnp.int32(257)) == 2
    assert int(jax.jit(clock.seen)(LARGEST)) == 256_000 + 512 * (LARGEST - 1000)
    np.testing.assert_array_equal(clock.batch_size(jnp.array([[0, 999], [1000, 1001]])), [[256, 256], [512, 512]])


def test_the_program_does_not_grow() -> None:
    """Three batch sizes or three thousand: the same program but for its shapes."""

    def equations(pieces: int) -> int:
        clock = lrax.Clock(list(range(1, pieces + 1)), list(range(1, pieces)), unit=7)
        return str(jax.make_jaxpr(lambda clock, count: clock.to_steps(lrax.Linear(1.0, 0.0, 10)).rate(count))(clock, 3)).count(
            "="
        )

    assert equations(3) == equations(3000)
    most = lrax.Clock(np.full(32_767, LARGEST), np.arange(1, 32_767))
    assert int(most.seen(LARGEST)) == LARGEST**2
    with pytest.raises(ValueError, match="Clock: `batch_sizes` must be a list of at most 32767"):
        lrax.Clock(np.full(32_768, 1), np.arange(1, 32_768))


PLANS = {
    "warmup_cosine": lrax.warmup_cosine(0.3, warmup_steps=0.1, total_steps=2000),
    "steps": lrax.MultiStep(0.3, 0.5, [300, 900]),
    "a callable": lrax.Function(lambda count: 0.1 / (1.0 + count.astype(jnp.float32))),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_change_half_way_keeps_the_past(plan: lrax.Schedule) -> None:
    """Up to the change each rate, one update at a time, is the old one bit for bit; from there on the plan runs faster."""
    run = jax.jit(lambda schedule, count: schedule(count))
    for scaling, factor in {"none": 1.0, "sqrt": 2.0, "linear": 4.0}.items():
        changed = lrax.Clock([256, 1024], boundaries=[500], unit=256).to_steps(plan, scaling)
        again = lrax.Clock([256, 1024, 512], boundaries=[500, 600], unit=256).to_steps(plan, scaling)
        for count in [0, 1, 7, 49, 50, 51, 199, 200, 201, 299, 300, 301, 498, 499]:
            assert run(changed, count) == run(again, count) == run(plan, count)
            assert changed(count) == plan(count)
        for count in [500, 550, 599]:
            assert run(again, count) == run(changed, count)
        np.testing.assert_allclose(run(changed, 560), factor * run(plan, 500 + 4 * 60), rtol=1e-6)


def test_lengths_and_totals_are_in_updates() -> None:
    """The length of a plan that is read by a clock is the update at which it is over, and `over` takes such a total."""
    clock = lrax.Clock([256, 1024], boundaries=[500], unit=256)
    assert clock.to_steps(lrax.Linear(1.0, 0.0, 2500)).length == 1000
    assert clock.to_steps(lrax.Constant(1.0)).length is None
    plan = clock.to_steps(lrax.wsd(0.1, warmup_steps=0.04, cooldown_steps=0.2))
    assert plan.with_total_steps(1000).schedule == lrax.wsd(0.1, warmup_steps=0.04, cooldown_steps=0.2, total_steps=2500)
    assert plan.with_total_steps(1000).length == 1000
    lengths = jax.jit(jax.vmap(lambda total: plan.with_total_steps(total).length))(jnp.array([400, 1000]))
    np.testing.assert_array_equal(lengths, [400, 1000])


def test_tokens_past_2_to_the_31() -> None:
    """A plan of 15 trillion tokens in updates of four million: its lengths in units, its ends at the right update."""
    clock = lrax.Clock([2**21, 2**22], boundaries=[10_000], unit=2**13)
    plan = clock.to_steps(lrax.wsd(3e-4, warmup_steps=clock.units(2e9), cooldown_steps=0.1, total_steps=clock.units(15e12)))
    last = lrax.steps_for(tokens=15e12, clock=clock)
    assert last == plan.length == 10_000 + -(-(15 * 10**12 - 10_000 * 2**21) // 2**22)
    got = np.asarray(rates(plan, jnp.array([0, 1_000_000, last - 1, last, LARGEST])))
    assert got[1] == np.float32(3e-4)
    assert 0 < got[2] < 3e-9
    assert got[3] == got[4] == 0
    with pytest.raises(ValueError, match=r"`amount` must be at most 2147483647 units, got .*; give the clock a larger unit"):
        lrax.Clock(2**22).units(15e12)


def megatron(schedule: list[tuple[int, int]], updates: int) -> list[int]:
    """The batch sizes of its step schedule: the last one whose threshold was consumed when an update begins."""
    consumed, sizes = 0, []
    for _ in range(updates):
        sizes.append([size for threshold, size in schedule if consumed >= threshold][-1])
        consumed += sizes[-1]
    return sizes


@pytest.mark.parametrize(
    "schedule",
    [
        [(0, 768), (10_000, 1536), (50_000, 3072)],
        [(int(-(-k * 20_000 // 47)), 32 + 32 * k) for k in range(48)],  # a linear ramp
        [(0, 100), (1, 200), (2, 300), (1000, 50)],  # one update goes past two thresholds
    ],
    ids=["steps", "ramp", "skipped"],
)
def test_sizes_by_what_was_seen(schedule: list[tuple[int, int]]) -> None:
    """A clock from amounts has the batch sizes of Megatron-LM's rule, update for update."""
    amounts, sizes = zip(*schedule, strict=True)
    clock = lrax.Clock.from_amounts(sizes, amounts[1:])
    assert np.asarray(rates_at(clock.batch_size, range(100))).tolist() == megatron(schedule, 100)


@pytest.mark.standard_promotion
def test_accumulation_is_a_clock() -> None:
    """`optax.MultiSteps` by the clock's batch size accumulates what the clock counts."""
    clock, micro = lrax.Clock([4, 8, 16], boundaries=[2, 3]), 4
    optimizer = optax.MultiSteps(
        optax.sgd(clock.to_steps(lrax.Linear(1.0, 0.0, 100))), every_k_schedule=lambda count: clock.batch_size(count) // micro
    )
    weight = jnp.float32(0)
    state, moved, seen = optimizer.init(weight), [], 0
    update = jax.jit(optimizer.update)
    for _ in range(1 + 1 + 2 + 4):
        step, state = update(jnp.float32(1), state)
        seen += micro
        if optimizer.has_updated(state):
            moved.append((seen, float(step)))
            assert int(clock.seen(state.gradient_step)) == seen
    np.testing.assert_allclose([step for _, step in moved], [-1.0, -0.96, -0.92, -0.84], rtol=1e-6)


def test_a_clock_is_a_value() -> None:
    """Equal by its numbers, shown as its call, pickled, saved inside a schedule, batched and mapped over."""
    clock = lrax.Clock([256, 512], boundaries=[1000], unit=256)
    assert clock == lrax.Clock(np.array([256, 512]), [1000], 256.0) != lrax.Clock([256, 512], boundaries=[1000])
    assert eval(repr(clock), {"Clock": lrax.Clock}) == clock == pickle.loads(pickle.dumps(clock))
    schedule = clock.to_steps(lrax.Constant(0.1), "sqrt")
    assert '"clock": {"kind": "Clock", "batch_sizes": [256, 512], "boundaries": [1000]' in lrax.to_json(schedule)
    assert lrax.from_json(lrax.to_json(schedule)) == schedule
    sizes = jnp.array([[256, 512], [256, 1024]])
    np.testing.assert_array_equal(jax.vmap(lambda size: lrax.Clock(size, [1000]).seen(1001).low)(sizes), [256_512, 257_024])
    assert jax.jit(lambda clock: clock.seen(5))(lrax.Clock(3)) == (0, 15)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: lrax.Clock([256, 512]), ValueError, "Clock: `batch_sizes` must be one longer than `boundaries` .0."),
        (lambda: lrax.Clock(256, [5]), ValueError, "Clock: `batch_sizes` must be one longer than `boundaries` .1."),
        (lambda: lrax.Clock(0), ValueError, "Clock: `batch_sizes` must be a batch size, or a list"),
        (lambda: lrax.Clock(256.5), ValueError, "Clock: `batch_sizes` must be"),
        (lambda: lrax.Clock("256"), TypeError, "Clock: `batch_sizes` must be"),
        (lambda: lrax.Clock([256, 512], [5], 0), ValueError, "Clock: `unit` must be a whole number"),
        (lambda: lrax.Clock(8).to_steps(lrax.Constant(0.1), "log"), ValueError, "Clocked: `scaling` must be one of"),
        (
            lambda: kinds.Clocked(lrax.Constant(0.1), 256),
            TypeError,
            "Clocked: `clock` must be a lrax.Clock, .*lrax.Clock.256.",
        ),
        (lambda: lrax.Clock.from_amounts([1, 2, 3], [5, 5]), ValueError, "`amounts.1.` must be a number above 5"),
        (lambda: lrax.Clock.from_amounts([1, 2], [5, 6]), ValueError, "`amounts` must be one shorter"),
        (lambda: lrax.Clock(8).count_at(-1), ValueError, "Clock.count_at: `seen` must be a number from 0 up to"),
        (lambda: lrax.Clock(8).count_at(float("inf")), ValueError, "Clock.count_at: `seen`"),
        (lambda: lrax.Clock(8).count_at("8"), TypeError, "Clock.count_at: `seen`"),
        (lambda: jax.jit(lrax.Clock(8).count_at)(1.5), TypeError, "Clock.count_at: `seen` .* a traced one is an integer"),
        (lambda: lrax.Clock(8).seen(1.5), TypeError, "Clock.seen: `count` must be an integer"),
        (lambda: lrax.steps_for(examples=5, batch_size=3, clock=lrax.Clock(8)), ValueError, "`batch_size` must be left out"),
        (lambda: lrax.steps_for(tokens=1e18, clock=lrax.Clock(8)), ValueError, "the clock's batches are too small"),
    ],
)
def test_bad_clocks(make: Any, error: type[Exception], says: str) -> None:
    """What is wrong with a clock, or with what it is asked, is said by name."""
    with pytest.raises(error, match=says):
        make()


def test_words() -> None:
    """A number in two words is shown as the number, outside jit; inside, its words are there to read."""
    assert repr(Seen(np.int32(3), np.int32(5))) == str(3 * 2**31 + 5)
    assert divided(Seen(jnp.int32(LARGEST), jnp.int32(LARGEST)), 1) == LARGEST
    with pytest.raises(TypeError, match="inside jit, read `high` and `low`"):
        jax.jit(lambda count: int(lrax.Clock(8).seen(count)))(3)
    with pytest.raises(TypeError, match="inside jit, read `high` and `low`"):
        jax.jit(lambda low: int(Seen(np.int32(0), low)))(3)


@pytest.mark.parametrize(
    ("amounts", "steps"),
    [
        ({"examples": 256_001}, 1001),
        ({"epochs": 2, "dataset_size": 60_000}, 469),
        ({"tokens": 256_000 * 2048 + 1, "example_tokens": 2048}, 1001),
        ({"tokens": 256_000}, 1000),
    ],
)
def test_steps_for_a_clock(amounts: dict[str, Any], steps: int) -> None:
    """Examples, epochs and tokens become the count at which so much was seen."""
    assert lrax.steps_for(**amounts, clock=lrax.Clock([256, 512], [1000])) == steps


def test_a_part_of_an_example_is_reached_with_the_whole() -> None:
    """An amount between two whole numbers is reached where the larger of them is."""
    assert [int(lrax.Clock(8).count_at(amount)) for amount in (7.5, 8, 8.5, 16.0, 16.25)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("total", [7, 8, 100])
def test_a_schedule_in_units_fits_a_total(total: int) -> None:
    """With a total it has as many whole units as that many steps see, so it is over by then, with a traced total too."""
    plan = lrax.Clock(3, unit=10).to_steps(lrax.Linear(1.0, 0.0, 50)).with_total_steps
    assert plan(total).schedule.steps == 3 * total // 10
    assert plan(total).length <= total
    assert jax.jit(lambda steps: plan(steps).length)(total) == plan(total).length


def test_units_are_rounded_up() -> None:
    """An amount that is not a whole number of units is one unit more."""
    assert lrax.Clock(3, unit=4).units(5) == 2
    assert lrax.Clock(3, unit=4).units(4) == 1
