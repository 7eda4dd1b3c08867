"""Schedules as tables, and batches taken apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.fields._value import unbatch
from lrax.schedules._display import labels
from schedule_cases import CASES, Case, plain, sampled

BENDS = {
    "warm-up and cool-down": (lrax.wsd(0.5, warmup_steps=100, cooldown_steps=300, total_steps=1000), [0, 100, 700, 1000]),
    "steps": (lrax.StepDecay(1.0, 0.5, 250), [249, 250, 499, 500, 749, 750, 1000]),
    "a long one": (
        lrax.wsd(0.5, warmup_steps=10_000, cooldown_steps=300_000, total_steps=1_000_000),
        [0, 10_000, 700_000, 1_000_000],
    ),
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


@sampled(CASES)
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


LIST = [50, 51, 900, 1876, 3283, 4221]
INNER = lrax.MultiStep(0.1, 0.9999, LIST)  # each drop too slight to be seen from afar
ENDLESS = {
    "MultiStep": (INNER, 0, 1),
    "PiecewiseConstant": (lrax.PiecewiseConstant(1 - np.arange(7) / 1e4, LIST), 0, 1),
    "Scale": (lrax.Scale(INNER, 3), 0, 1),
    "Shift": (lrax.Shift(INNER, 40), -40, 1),
    "Shift: later": (lrax.Shift(INNER, -40), 40, 1),
    "Stretch": (lrax.Stretch(INNER, 100), 0, 100),
    "Warmup": (lrax.Warmup(INNER, 70), 70, 1),
    "Sequence": (lrax.Sequence(lrax.Hold(1.0, 50), lrax.Cosine(1.0, 0.1, 20), INNER), 70, 1),
    "Product": (lrax.Product(lrax.Constant(1.0), INNER), 0, 1),
}


@pytest.mark.parametrize(("schedule", "add", "times"), ENDLESS.values(), ids=ENDLESS)
def test_every_boundary_of_an_endless_kind(schedule: lrax.Schedule, add: int, times: int) -> None:
    """A table goes as far as the last boundary, and has both sides of each, wherever the list is inside."""
    counts = counts_of(lrax.table(schedule))
    at = [count * times + add for count in LIST]
    assert counts[-1] == at[-1]
    assert {*at, *(count - 1 for count in at)} <= set(counts)


@pytest.mark.parametrize(
    ("schedule", "last"),
    {
        "StepDecay": (lrax.StepDecay(0.1, 0.5, 3000), 18_000),
        "Cycle": (lrax.sgdr(0.1, 0.0, 250), 250 + 500 + 1000 + 2000),
        "PolynomialRestarts": (lrax.schedules.PolynomialRestarts(0.1, 0.0, 3000), 12_000),
        "Warmup": (lrax.Warmup(lrax.Constant(0.1), 4000), 8000),
        "Cooldown": (lrax.Cooldown(INNER, 1000, 50, 0.0), 1050),
        "Repeat": (lrax.Repeat(lrax.Cosine(0.1, 0.0, 300), 5), 1500),
        "Constant": (lrax.Constant(0.1), 1000),
        "Function": (lrax.Function(plain), 1000),
    }.values(),
)
def test_how_far_a_table_goes(schedule: lrax.Schedule, last: int) -> None:
    """A few drops, cycles or restarts of what is endless; 1000 updates where nothing is known."""
    assert counts_of(lrax.table(schedule))[-1] == last


def test_a_table_shows_itself() -> None:
    """At a prompt and in a notebook a table is lines of text, and it is a `str`."""
    text = lrax.table(lrax.Linear(1.0, 0.0, 10), rows=3)
    assert isinstance(text, str)
    assert repr(text) == str(text)
    assert text._repr_html_() == f'<pre style="font-family: monospace">{text}</pre>'


def test_labels() -> None:
    """A label is a short call, or what differs within a kind, or what it is made of; no two are the same."""
    peaks = [lrax.warmup_cosine(peak, warmup_steps=2_000, total_steps=40_000, end=1e-5) for peak in (0.1, 0.2)]
    deep = [lrax.Shift(lrax.Warmup(lrax.Cosine(peak, 1e-5, 40_000), 100), 1) for peak in (0.1, 0.2)]
    lists = [lrax.MultiStep(0.1, 0.5, list(range(first, 15 + first))) for first in (1, 2)]
    assert labels([*peaks, *deep, *lists, lrax.Constant(0.1)]) == [
        "warmup_cosine(peak=0.1)",
        "warmup_cosine(peak=0.2)",
        "Shift(start=0.1)",
        "Shift(start=0.2)",
        "MultiStep 1",
        "MultiStep 2",
        "Constant(value=0.1)",
    ]


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
    assert list(map(repr, unbatch("table", batch))) == [
        repr(lrax.Cycle(lrax.Cosine(1.0, end, 10), factor)) for end, factor in ((0.1, 1.5), (0.2, 2.0))
    ]
    assert len(unbatch("table", lrax.MultiStep(1.0, 0.5, [1, 2, 3]))) == 1
    two = unbatch("table", lrax.Sequence(lrax.Hold(1.0, 5), lrax.MultiStep(1.0, 0.5, np.array([[1, 2, 3], [4, 5, 6]]))))
    assert [int(np.max(one.schedules[1].boundaries)) for one in two] == [3, 6]
    partial = lrax.Function(jax.tree_util.Partial(lambda scale, count: scale[0], jnp.ones(3)))
    assert len(unbatch("table", partial)) == 1


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


def test_a_long_label_is_above_the_columns() -> None:
    """A label of up to 26 characters heads its column; a longer one is explained above, by the number of the column."""
    heads = [lrax.table({"x" * length: lrax.Constant(0.1), "other": lrax.Constant(0.2)}).splitlines() for length in (26, 27)]
    assert heads[0][0].split() == ["count", "x" * 26, "other"]
    assert "x" * 27 in heads[1][0]
    assert any(line.split() == ["count", "[0]", "other"] for line in heads[1])
