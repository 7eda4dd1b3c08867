"""Schedules as tables, and batches taken apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.schedules._named import lanes
from schedule_cases import CASES, Case, plain

BENDS = {
    "warm-up and cool-down": (lrax.wsd(0.5, 1000, 100, 300), [0, 100, 700, 1000]),
    "steps": (lrax.StepDecay(1.0, 0.5, 250), [249, 250, 499, 500, 749, 750, 1000]),
    "a long one": (lrax.wsd(0.5, 1_000_000, 10_000, 300_000), [0, 10_000, 700_000, 1_000_000]),
    "a long one with jumps": (lrax.MultiStep(1.0, 0.5, [123_456, 1_234_567]), [123_455, 123_456, 1_234_566, 1_234_567]),
    "cycles": (lrax.sgdr(1.0, 0.0, 250), [249, 250, 749, 750]),
    "a triangle": (lrax.Triangle(0.0, 1.0, 1000, rise=0.3), [0, 300, 1000]),
}


def counts_of(text: str) -> list[int]:
    """The first column."""
    return [int(line.split()[0]) for line in text.splitlines() if line.split()[0].isdigit()]


@pytest.mark.parametrize(("schedule", "counts"), BENDS.values(), ids=BENDS)
def test_a_table_has_ends_and_bends(schedule: lrax.Schedule, counts: list[int]) -> None:
    """Both ends, where a schedule bends, and both sides of where it jumps, are in its table, to the update."""
    steps = None if schedule.length is not None else 2_000_000 if max(counts) > 1000 else 1000
    assert set(counts) <= set(counts_of(lrax.table(schedule, steps)))


@pytest.mark.parametrize("case", list(CASES.values())[::3], ids=list(CASES)[::3])
def test_a_table_has_the_schedule_s_rates(case: Case) -> None:
    """Every line is a count and its rate, counts rise, and there are about as many as were asked for."""
    schedule = case.build()
    text = lrax.table(schedule, 400, rows=10)
    counts = counts_of(text)
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (0, 400)
    assert 5 <= len(counts) <= 20
    rates = [float(line.split()[1]) for line in text.splitlines()[1:]]
    np.testing.assert_allclose(rates, np.broadcast_to(schedule(np.array(counts)), len(counts)), rtol=1e-4, atol=1e-9)


def test_several_schedules_have_columns() -> None:
    """A dict gives its labels to the columns; long labels go above them; functions and batches work."""
    text = lrax.table({"cosine": lrax.Cosine(1.0, 0.0, 10), "plain": plain}, rows=3)
    assert text.splitlines()[0].split() == ["count", "cosine", "plain"]
    batch = jax.vmap(lambda peak: lrax.Cosine(peak, 0.0, 10))(jnp.array([1.0, 2.0]))
    lines = lrax.table(batch, rows=3).splitlines()
    assert lines[1] == "[1] Cosine(start=2.0, end=0.0, steps=10)"
    assert lines[-1].split() == ["10", "0", "0"]


def test_lanes_of_every_kind_of_field() -> None:
    """Fields that are lists keep them; numbers that all lanes share stay; length factors are taken apart too."""
    batch = lrax.Cycle(lrax.Cosine(1.0, np.array([0.1, 0.2]), 10), length_factor=np.array([1.5, 2.0]))
    assert list(map(repr, lanes("table", batch))) == [
        repr(lrax.Cycle(lrax.Cosine(1.0, end, 10), factor)) for end, factor in ((0.1, 1.5), (0.2, 2.0))
    ]
    assert len(lanes("table", lrax.MultiStep(1.0, 0.5, [1, 2, 3]))) == 1
    two = lanes("table", lrax.Sequence(lrax.Hold(1.0, 5), lrax.MultiStep(1.0, 0.5, np.array([[1, 2, 3], [4, 5, 6]]))))
    assert [int(np.max(one.schedules[1].boundaries)) for one in two] == [3, 6]
    partial = lrax.Function(jax.tree_util.Partial(lambda scale, count: scale[0], jnp.ones(3)))
    assert len(lanes("table", partial)) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lrax.table(lrax.Constant(0.1), 0), ValueError, r"table: `steps` must be an integer from 1"),
        (lambda: lrax.table(lrax.Constant(0.1), rows=1), ValueError, r"table: `rows` must be an integer of at least 2"),
        (lambda: lrax.table(0.1), TypeError, r"table: `schedules` must be a schedule, a list of them, or a dict"),
        (lambda: lrax.table([]), TypeError, r"table: `schedules` must be a schedule, a list of them, or a dict"),
        (lambda: lrax.table([0.1]), TypeError, r"`schedules\[0\]` must be a schedule or a function.*lrax.Constant\(0.1\)"),
        (lambda: lrax.table(lrax.Constant(np.ones((2, 2)))), ValueError, r"of at most one leading axis"),
        (lambda: lrax.table(lrax.Linear(np.ones(2), np.ones(3), 9)), ValueError, r"of at most one leading axis"),
    ],
)
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    """What is no schedule, and numbers out of range, are errors that name them."""
    with pytest.raises(error, match=message):
        call()
