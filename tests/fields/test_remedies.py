"""A remedy is given where it is the cause, and it works."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax import schedules as kinds
from public_names import public

PLACE = "seem to be in each other's place"
NOT_SWAPPED: dict[str, Any] = {
    "a length of 0": lambda: lrax.Cosine(1.0, 0.0, 0),
    "a length of 0 after a large start": lambda: lrax.Cosine(10, 0.0, 0),
    "a length that is not whole": lambda: lrax.Linear(1.0, 0.0, 2.5),
    "a length that is too large": lambda: lrax.Linear(1.0, 1.0, 10**13),
    "a hold of 0": lambda: lrax.Hold(1.0, 0),
    "a hold of a half": lambda: lrax.Hold(1.0, 0.5),
    "every 0": lambda: lrax.StepDecay(1.0, 0.5, 0),
    "a cycle of 0": lambda: lrax.one_cycle(0.0, 1.0, 0),
    "a power that would be 0": lambda: lrax.Polynomial(1.0, 0.0, 0, 2),
    "two rates": lambda: lrax.Geometric(0.0, 1.0, 10),
    "a timescale of 0": lambda: lrax.InverseSqrt(0.1, 0),
    "two lengths of which one is 0": lambda: lrax.Cooldown(lrax.Constant(0.1), 10, 0, 0.0),
    "a warm-up as long as the run": lambda: lrax.warmup_cosine(0.1, 100, 100),
    "parts that do not fit in any order": lambda: lrax.wsd(0.1, 50, 60, 100),
    "a short warm-up as the peak": lambda: lrax.warmup_cosine(10, 100, 100),
    "counts that are no list, and a batch": lambda: lrax.MultiStep([0.1, 0.2], 0.5, 10),
    "counts that are unsorted beside values": lambda: lrax.Piecewise([0.1, 0.2], [5, 3]),
    "by name": lambda: lrax.warmup_cosine(peak=0.1, warmup_steps=5000, total_steps=500),
    "a negative length": lambda: lrax.Linear(100, 0.0, -0.1),
    "fractions for the total": lambda: lrax.wsd(0.1, 0.2, 0.1, 0.01),
}
SWAPPED: dict[str, tuple[Any, str, str]] = {
    "a rate and a length": (lambda: lrax.Cosine(1000, 0.0, 0.1), "steps", "start"),
    "a rate and a total": (lambda: lrax.warmup_cosine(5000, 500, 0.1), "total_steps", "peak"),
    "a factor and a length": (lambda: lrax.StepDecay(0.1, 1000, 0.5), "every", "factor"),
    "a rate and a length, a whole float": (lambda: lrax.Hold(1000.0, 0.1), "steps", "value"),
    "a warm-up and a total": (
        lambda: lrax.warmup_cosine(0.1, 5000, 500),
        "warmup_steps",
        "total_steps",
    ),
    "a warm-up and a total, with more parts": (
        lambda: lrax.wsd(0.1, 4000, 20, 10),
        "warmup_steps",
        "total_steps",
    ),
    "a list and a number": (lambda: lrax.MultiStep(0.1, [5, 10], 0.5), "boundaries", "factor"),
    "a list of shares and a number": (lambda: lrax.MultiStep(0.1, [0.6, 0.8], 0.5), "boundaries", "factor"),
    "counts and values": (lambda: lrax.Piecewise([0, 10, 20], [0.0, 1.0, 0.5]), "counts", "values"),
    "a schedule and a length": (lambda: lrax.Warmup(10, lrax.Constant(0.1)), "schedule", "warmup_steps"),
    "a word and a rate": (lambda: lrax.Cooldown(lrax.Constant(0.1), 5, 10, "linear", 0.0), "end", "mode"),
}


@pytest.mark.parametrize("call", NOT_SWAPPED.values(), ids=NOT_SWAPPED)
def test_no_swap_is_guessed_where_there_is_none(call: Any) -> None:
    """A value that is wrong in itself is not told as one in another's place."""
    with pytest.raises(ValueError, match="must be") as caught:
        call()
    assert PLACE not in str(caught.value)


@pytest.mark.parametrize(("call", "one", "other"), SWAPPED.values(), ids=SWAPPED)
def test_a_swap_is_named(call: Any, one: str, other: str) -> None:
    """Two positional arguments whose swap makes the call valid are named, with the order."""
    with pytest.raises((TypeError, ValueError), match=rf"`{one}` and `{other}` {PLACE}: the order is "):
        call()


BEYOND: dict[str, Any] = {
    "a length": lambda: lrax.Linear(3e-4, 0.0, 10**10),
    "a length as a float": lambda: lrax.Linear(3e-4, 0.0, 1e13),
    "past 64 bits": lambda: lrax.Hold(0.1, 2**70),
    "past what Python writes": lambda: lrax.Hold(0.1, 10**5000),
    "a total": lambda: lrax.warmup_cosine(0.1, warmup_steps=100, total_steps=5e9),
    "a part": lambda: lrax.warmup_cosine(0.1, warmup_steps=10**10, total_steps=100),
    "over": lambda: lrax.wsd(0.1, warmup_steps=0.1, cooldown_steps=0.1).with_total_steps(10**10),
    "a boundary": lambda: lrax.MultiStep(0.1, 0.1, [10, 10**10]),
    "a boundary past 64 bits": lambda: lrax.MultiStep(0.1, 0.1, [10, 2**70]),
    "compat": lambda: lrax.compat.optax.linear_schedule(0.1, 0.0, 10**10),
}


@pytest.mark.parametrize("call", BEYOND.values(), ids=BEYOND)
def test_lengths_past_int32_name_the_clock(call: Any) -> None:
    """A length that int32 does not hold is told how longer plans are written, and what needs no length."""
    said = r"must be .*; the largest is 2147483647; .*lrax\.Clock\(batch_size, unit=\.\.\.\).*leave the length out"
    with pytest.raises(ValueError, match=said):
        call()


LISTS: dict[str, tuple[Any, type[Exception], str]] = {
    "unsorted": ([5, 3], ValueError, "sort it$"),
    "unsorted and repeated": ([5, 5, 3], ValueError, "sort it$"),
    "repeated": ([3, 5, 5], ValueError, "drop the repeats$"),
    "negative": ([-1, 3], ValueError, "counts begin at [01]$"),
    "text": (["60", "80"], TypeError, "YAML takes 1e-3 for text: write 1.0e-3, and no quotes$"),
    "some text": ([60, "1e5"], TypeError, "YAML takes 1e-3 for text"),
    "None": (None, TypeError, r"give \[\] for none$"),
    "a number": (10, ValueError, r"give a list: \[10\]$"),
    "words": (["a"], TypeError, "give a list of ints such as"),
}


@pytest.mark.parametrize(("wrong", "error", "remedy"), LISTS.values(), ids=LISTS)
@pytest.mark.parametrize(
    "make",
    {
        "MultiStep": lambda wrong: lrax.MultiStep(0.1, 0.1, wrong),
        "PiecewiseConstant": lambda wrong: lrax.PiecewiseConstant([0.1, 0.2, 0.3], wrong),
        "Piecewise": lambda wrong: lrax.Piecewise([0.1, 0.2], wrong),
        "Spline": lambda wrong: lrax.Spline([0.1, 0.2], wrong),
        "joined": lambda wrong: kinds.joined([lrax.Constant(0.1)] * 3, wrong),
        "wsd_s": lambda wrong: lrax.wsd_s(0.1, ends=wrong, warmup_steps=0, cooldown_steps=1, total_steps=100),
        "compat.mxnet": lambda wrong: lrax.compat.mxnet.MultiFactorScheduler(wrong, 0.5),
    }.items(),
    ids=lambda one: one[0],
)
def test_a_wrong_list_hears_of_its_own_mistake(make: Any, wrong: Any, error: type[Exception], remedy: str) -> None:
    """What is said of a list of counts is what to do about this one."""
    with pytest.raises(error, match=rf"must be a list of .*, got .*; {remedy}"):
        make[1](wrong)


def test_text_for_numbers_is_told_everywhere() -> None:
    """A number as text, alone or inside a list, is told of quotes and of YAML."""
    for make in (
        lambda: lrax.Constant("3e-4"),
        lambda: lrax.Linear(0.1, 0.0, "1e5"),
        lambda: lrax.PiecewiseConstant(["1e-3", "1e-4"], [5]),
        lambda: lrax.Clock(["8", "16"], [5]),
        lambda: lrax.Cycle(lrax.Hold(0.1, 5), "2"),
        lambda: lrax.wsd(0.1, warmup_steps="0.1", cooldown_steps=0.2, total_steps=100),
        lambda: lrax.from_config({"kind": "PiecewiseConstant", "values": ["1e-3", "1e-4"], "boundaries": [5]}),
        lambda: lrax.from_config({"kind": "MultiStep", "start": 0.1, "factor": 0.1, "boundaries": ["1e5", "2e5"]}),
    ):
        with pytest.raises(TypeError, match=r"YAML takes 1e-3 for text: write 1.0e-3, and no quotes"):
            make()


def test_times_are_no_steps() -> None:
    """How often a schedule repeats is no length: nothing is said of epochs."""
    with pytest.raises(
        ValueError, match=r"Repeat: `times` must be a whole number of times, at least 1, got 0.5; give an int such"
    ):
        lrax.Repeat(lrax.Hold(0.1, 5), 0.5)


def test_a_float_count_under_jit_hears_of_astype() -> None:
    """A traced count that is a float is told what works under jit; one that is not traced, what is shortest."""
    schedule = lrax.Cosine(0.1, 0.0, 10)
    for count in (1.0, jnp.ones(3)):
        with pytest.raises(TypeError, match=r"`count` must be an integer.*; use count.astype\(jnp.int32\)"):
            jax.jit(schedule)(count)
    with pytest.raises(TypeError, match=r"use int\(count\)"):
        schedule(1.0)
    assert jax.jit(lambda count: schedule(count.astype(jnp.int32)))(5.0) == schedule(5)


@pytest.mark.parametrize(
    ("write", "value"),
    {
        "schedule * 2": 2,
        "2 * schedule": 2,
        "numpy.float32(2) * schedule": 2,
        "jnp.float32(2) * schedule": 2,
        "schedule * other": 0.5,
        "schedule + 1": 2,
        "1 + schedule": 2,
        "schedule + other": 1.5,
        "schedule - 1": 0,
        "3 - schedule": 2,
        "schedule - other": 0.5,
        "(lambda count: 3.0) - schedule": 2,
        "schedule / 4": 0.25,
        "schedule / other": 2,
        "4 / schedule": 4,
        "(lambda count: 3.0) / schedule": 3,
        "schedule ** 2": 1,
        "-schedule": -1,
        "max(schedule, 0.5)": 1,
        "max(other, schedule)": 1,
        "sum([schedule])": 1,
    }.items(),
    ids=str,
)
def test_operators_name_the_call(write: str, value: float) -> None:
    """An operator on schedules is a TypeError with the call to write, and that call is the schedule that was meant."""
    names = {"schedule": lrax.Constant(1.0), "other": lrax.Constant(0.5), "lrax": lrax, "numpy": np, "jnp": jnp}
    with pytest.raises(TypeError, match=r"a schedule has no operator .*; write ") as caught:
        eval(write, names)
    said = re.sub(r", and .*| or lrax.Minimum", "", str(caught.value).partition("; write ")[2])
    said = said.replace("Array(2., dtype=float32)", "2.0")
    if write.startswith(("(lambda", "max(other")):
        names["other"] = (lambda count: 3.0) if "lambda" in write else names["other"]
    assert eval(said, names)(0) == value


def test_other_operands_are_left_to_python() -> None:
    """What is neither a number nor a schedule has Python's own words."""
    with pytest.raises(TypeError, match="unsupported operand"):
        lrax.Constant(0.1) * None  # type: ignore[operator]


def test_an_assignment_names_replace() -> None:
    """A field that is assigned, of a schedule or of any other value, names the call that makes a changed copy."""
    for value, field, new in (
        (lrax.warmup_cosine(0.1, warmup_steps=5, total_steps=100), "peak", 0.2),
        (lrax.Clock(8), "unit", 4),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError, match=rf"dataclasses.replace\(value, {field}={new}\)") as caught:
            setattr(value, field, new)
        call = re.search(r"dataclasses\.replace\(.*?\)", str(caught.value))
        assert getattr(eval(call[0], {"dataclasses": dataclasses, "value": value}), field) == np.float32(new)
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot be deleted"):
            delattr(value, field)
        with pytest.raises(dataclasses.FrozenInstanceError, match="`anything` cannot be assigned"):
            value.anything = 1


def test_a_count_that_is_missing_names_keras() -> None:
    """A Keras optimizer calls a learning rate without arguments: the error names what it takes."""
    with pytest.raises(TypeError, match=r"Constant: `count`.* is missing; .*lrax\.keras\.Schedule\(schedule\)"):
        lrax.Constant(0.1)()


def test_long_values_are_shown_in_short() -> None:
    """A value that Python does not write out is still an error of lrax."""
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    for wrong in (10**5000, deep, [10**5000]):
        with pytest.raises((TypeError, ValueError), match=r"^MultiStep: `boundaries` must be .*, got "):
            lrax.MultiStep(0.1, 0.1, wrong)
        with pytest.raises((TypeError, ValueError), match=r"^Constant: `value` must be .*, got "):
            lrax.Constant(wrong)


def test_public_names_are_there() -> None:
    """The names in remedies are public."""
    assert {"Scale", "Sum", "Product", "Maximum", "Minimum", "Constant", "Clock"} <= set(lrax.__all__) <= set(public())
