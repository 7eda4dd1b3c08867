"""Schedules saved as JSON and loaded again."""

import json
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lrax
from schedule_cases import CASES, Case, Roulette, SquareRoot, plain

SAVABLE = {name: case for name, case in CASES.items() if "Function" not in name}


def assert_same(left: Any, right: Any) -> None:
    """The same kinds with the same leaves, bit for bit, dtypes and shapes included."""
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.mark.parametrize("case", SAVABLE.values(), ids=SAVABLE)
def test_there_and_back(case: Case) -> None:
    """Every kind comes back from JSON bit for bit, with other numbers too."""
    for variant in (0, 7):
        schedule = case.build(variant)
        text = lrax.to_json(schedule)
        assert_same(lrax.from_json(text, custom_types=[Roulette, SquareRoot]), schedule)
        assert_same(pickle.loads(pickle.dumps(schedule)), schedule)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_float32_comes_back(values: list[float]) -> None:
    """Any float32, from the smallest subnormal to the largest number, and minus zero, is read as it was written."""
    schedule = lrax.Constant(np.array(values, np.float32))
    assert_same(lrax.from_json(lrax.to_json(schedule)), schedule)


def test_batches_come_back() -> None:
    """Fields with leading axes, of rates, lengths, boundaries and length factors, keep their shapes."""
    batch = jax.vmap(lambda peak, steps: lrax.sgdr(peak, 0.0, steps))(jnp.geomspace(1e-3, 1, 6), jnp.arange(1, 7))
    for schedule in (
        batch,
        lrax.Cycle(lrax.Cosine(1.0, 0.0, 10), length_factor=np.array([1.5, 2.0])),
        lrax.MultiStep(1.0, 0.5, np.array([[1, 2], [3, 2**31 - 1]])),
        lrax.Linear(np.zeros((2, 3)), 1.0, np.full((2, 1), 9)),
    ):
        assert_same(lrax.from_json(lrax.to_json(schedule)), schedule)


def test_the_format() -> None:
    """The text is plain JSON with kind, fields and version, and stays readable: this one is of version 1."""
    text = '{"lrax": 1, "schedule": {"kind": "Scale", "schedule": {"kind": "Hold", "value": 0.1, "steps": 5}, "factor": 2.0}}'
    assert lrax.to_json(lrax.Scale(lrax.Hold(0.1, 5), 2)) == text
    assert_same(lrax.from_json(text), lrax.Scale(lrax.Hold(0.1, 5), 2))
    cycle = '{"lrax":1,"schedule":{"kind":"Cycle","phase":{"kind":"Linear","start":1,"end":0,"steps":9},"length_factor":1.5}}'
    assert_same(lrax.from_json(cycle), lrax.Cycle(lrax.Linear(1.0, 0.0, 9), 1.5))


def test_recipes_are_written_by_name() -> None:
    """A recipe is saved as its call, and a call can be written by hand, alone or inside; what is left out has its default."""
    recipe = lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100)
    call = '{"kind": "warmup_cosine", "peak": 0.1, "warmup_steps": 10, "total_steps": 100, "end": 0.0}'
    assert lrax.to_json(recipe) == f'{{"lrax": 1, "schedule": {call}}}'
    assert lrax.from_json('{"kind": "warmup_cosine", "peak": 0.1, "total_steps": 100, "warmup_steps": 10}') == recipe
    assert lrax.from_json(f'{{"kind": "Scale", "factor": 2, "schedule": {call}}}') == lrax.Scale(recipe, 2)
    cycles = lrax.cyclical(0.1, 0.3, 500, amplitude=lrax.Exponential(1.0, 0.999))
    assert lrax.from_json(lrax.to_json(cycles)) == cycles


@pytest.mark.parametrize("text", ["[" * 100_000, '{"kind": "Scale", "factor": 2, "schedule": ' * 5000 + "1" + "}" * 5000])
def test_deep_text_is_refused(text: str) -> None:
    """Text that is nested too deep to be read is a ValueError, as any other bad text."""
    with pytest.raises(ValueError, match=r"from_json: `text` must be .*of at most 32 schedules inside each other"):
        lrax.from_json(text)


@pytest.mark.parametrize("text", [None, 3, {"kind": "Constant", "value": 1}])
def test_what_is_no_text_is_refused(text: object) -> None:
    """What is no text is a TypeError that says so."""
    with pytest.raises(TypeError, match="from_json: `text` must be text"):
        lrax.from_json(text)  # type: ignore[arg-type]


GOOD = {"kind": "Cosine", "start": 0.1, "end": 0.0, "steps": 100}
BAD: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", r"`text` must be JSON that to_json wrote"),
    "other JSON": ("[1]", r"with the two entries 'lrax' and 'schedule'"),
    "another version": (json.dumps({"lrax": 2, "schedule": GOOD}), r"`lrax` must be version 1, got 2; install the lrax that"),
    "no schedule": (3, r"`schedule` must be a schedule: an object with a `kind`, got 3"),
    "an unknown kind": (
        GOOD | {"kind": "Cosin"},
        r"`schedule.kind` must be the name of a schedule class, got 'Cosin'; did you mean",
    ),
    "a kind of the user": (GOOD | {"kind": "Roulette"}, r"got 'Roulette'; give custom classes: from_json\(text, custom_types="),
    "a function": ({"kind": "Function", "function": "f"}, r"must be the name of a schedule class, got 'Function'"),
    "an abstract kind": (GOOD | {"kind": "Phase"}, r"must be the name of a schedule class, got 'Phase'"),
    "an unknown field": (GOOD | {"ends": 1}, r"`schedule.ends` must be a field of Cosine \(start, end, steps\), got 'ends'"),
    "another library's field": (GOOD | {"eta_min": 1}, r"got 'eta_min'; did you mean 'end'"),
    "a misspelt recipe": ({"kind": "warmup_cosin"}, r"got 'warmup_cosin'; did you mean 'warmup_cosine'"),
    "a recipe's mistake": (
        {"kind": "warmup_cosine", "peak": 0.1, "total_steps": 10, "warmup_steps": 10},
        r"from_json: `schedule`: warmup_cosine: `warmup_steps` must be less than",
    ),
    "a missing field": ({"kind": "Hold", "value": 1.0}, r"`schedule.steps` must be given for a Hold, got None"),
    "a bad number": (GOOD | {"steps": 0}, r"from_json: `schedule`: Cosine: `steps` must be a whole number of steps"),
    "a number that is none": (GOOD | {"end": float("nan")}, r"Cosine: `end` must be a finite number"),
    "an inner mistake": ({"kind": "Scale", "schedule": GOOD | {"kind": "X"}, "factor": 1}, r"`schedule.schedule.kind` must be"),
    "a bad ratio": (
        {"kind": "Cycle", "phase": GOOD, "length_factor": {"ratio": [0, 5]}},
        r"`schedule.length_factor` must be a ratio of integers from 1 to 2147483647",
    ),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_bad_text_is_named(data: Any, message: str) -> None:
    """Text that is not what to_json writes is an error that says where and what to do."""
    text = data if isinstance(data, str) else json.dumps({"lrax": 1, "schedule": data})
    with pytest.raises(ValueError, match=message):
        lrax.from_json(text)


def test_a_wrong_type_is_named() -> None:
    """A word where a number belongs is a TypeError that names the place."""
    with pytest.raises(TypeError, match=r"from_json: `schedule`: Cosine: `start` must be a finite number, got 'high'"):
        lrax.from_json(json.dumps({"lrax": 1, "schedule": GOOD | {"start": "high"}}))


@pytest.mark.parametrize("schedule", [lrax.Function(plain), lrax.Warmup(plain, 10)], ids=["alone", "inside"])
def test_functions_cannot_be_saved(schedule: lrax.Schedule) -> None:
    """A plain callable, alone or inside a schedule, is refused with the remedy."""
    with pytest.raises(TypeError, match=r"a callable cannot be saved.*custom_types"):
        lrax.to_json(schedule)


def test_what_cannot_be_written_is_named() -> None:
    """No schedule, a tracer, and a number that is not finite are refused by name."""
    with pytest.raises(TypeError, match=r"`schedule` must be a lrax.Schedule.*a function cannot be saved"):
        lrax.to_json(plain)
    with pytest.raises(TypeError, match=r"`schedule.value` must be concrete.*outside jit"):
        jax.jit(lambda value: lrax.to_json(lrax.Constant(value)))(0.1)
    with pytest.raises(ValueError, match=r"`schedule.value` must be finite"):
        lrax.to_json(jax.tree.map(lambda leaf: leaf * np.float32("inf"), lrax.Constant(0.1)))


def test_names_of_kinds() -> None:
    """A user's kind needs a name of its own, and `kinds` takes kinds."""
    mine = type("Hold", (lrax.Schedule,), {"rate": lambda self, count: count, "__module__": "mine"})
    with pytest.raises(ValueError, match=r"of a class whose name is not one of lrax"):
        lrax.to_json(mine())
    docstring = type("Mine", (lrax.Schedule,), {"rate": lambda self, count: count, "__module__": "lrax.schedules._base"})
    like_it = type("Mine", (lrax.Schedule,), {"rate": lambda self, count: count, "__module__": "mine"})
    assert lrax.from_json(lrax.to_json(like_it()), custom_types=[like_it]) == like_it()  # what an example defines takes no name
    del docstring
    with pytest.raises(ValueError, match=r"`custom_types` must be classes whose names are unique"):
        lrax.from_json(lrax.to_json(lrax.Constant(0.1)), custom_types=[mine])
    with pytest.raises(TypeError, match=r"`custom_types` must be a list of subclasses"):
        lrax.from_json(lrax.to_json(lrax.Constant(0.1)), custom_types=[Roulette(0.1, 0.2)])  # type: ignore[list-item]
