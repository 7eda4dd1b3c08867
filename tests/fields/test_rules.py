"""Bad input: an error that names the class, the argument and the remedy, and nothing half-built."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.fields._shares import DELAY_OR_SHARE, ENDS_OR_SHARES, STEPS_OR_SHARE, TOTAL
from lrax.fields._types import Maybe
from lrax.schedules._base import MaybeSchedule
from lrax.schedules._clock import SCALING
from lrax.schedules._recipe import Recipe
from schedule_cases import CASES

RATES = {
    "a string": ("0.1", TypeError),
    "None": (None, TypeError),
    "a bool": (True, TypeError),
    "NaN": (math.nan, ValueError),
    "infinity": (-math.inf, ValueError),
    "too large for float32": (1e39, ValueError),
    "too large for float64": (10**400, ValueError),
    "a complex number": (1j, TypeError),
    "a list of words": (["a"], TypeError),
    "a ragged list": ([[1.0], [1.0, 2.0]], TypeError),
    "an empty list": ([], ValueError),
    "an array with NaN": (np.array([0.1, np.nan]), ValueError),
    "a jax array with NaN": (jnp.array([0.1, jnp.nan]), ValueError),
}
LENGTHS = {
    "negative": (-1, ValueError),
    "zero": (0, ValueError),
    "a float that is not whole": (140.5, ValueError),
    "an array of such floats": (jnp.array([1.0, 1.5]), ValueError),
    "NaN": (math.nan, ValueError),
    "too large": (2**31, ValueError),
    "past 64 bits": (2**70, ValueError),
    "a string": ("10", TypeError),
    "None": (None, TypeError),
    "a bool": (True, TypeError),
    "an array with a zero": (np.array([3, 0]), ValueError),
}
POSITIVE = RATES | {
    "negative": (-0.5, ValueError),
    "zero": (0, ValueError),
    "below float32": (1e-50, ValueError),
    "subnormal": (1e-38, ValueError),
}
FRACTION = POSITIVE | {"one": (1.0, ValueError), "above one": (1.5, ValueError)}
FACTOR = POSITIVE | {"too large": (40_000, ValueError)}
DELAY = {name: bad for name, bad in LENGTHS.items() if "zero" not in name}
OFFSET = {name: bad for name, bad in DELAY.items() if name != "negative"}
BOUNDARIES = {
    "empty": ([], ValueError),
    "unsorted": ([5, 3], ValueError),
    "repeated": ([5, 5], ValueError),
    "negative": ([-1, 3], ValueError),
    "a number": (5, ValueError),
    "floats that are not whole": ([1.0, 2.5], ValueError),
    "words": (["a"], TypeError),
    "None": (None, TypeError),
    "too large": ([1, 2**31], ValueError),
}
LIST = {
    "empty": ([], ValueError),
    "a number": (0.5, ValueError),
    "words": (["a", "b"], TypeError),
    "NaN": ([0.1, math.nan], ValueError),
    "None": (None, TypeError),
}
SCHEDULE = {"a number": (0.1, TypeError), "a class": (lrax.Linear, TypeError), "None": (None, TypeError)}
MODE = {"unknown": ("linaer", ValueError), "None": (None, TypeError), "a number": (1, TypeError)}
FUNCTION = {"a number": (0.1, TypeError), "a class": (lrax.Linear, TypeError)}

PHASE = {"start": 1.0, "end": 0.1, "steps": 10}
BY_RULE = {
    id(rule.__metadata__[0]): bad
    for rule, bad in (
        (lrax.fields.Rate, RATES),
        (lrax.fields.Positive, POSITIVE),
        (lrax.fields.Fraction, FRACTION),
        (lrax.fields.Rates, LIST),
        (lrax.fields.Steps, LENGTHS),
        (lrax.fields.Delay, DELAY),
        (lrax.fields.Offset, OFFSET),
        (lrax.fields.Boundaries, BOUNDARIES),
        (lrax.fields.LengthFactor, FACTOR),
        (lrax.ScheduleLike, SCHEDULE),
    )
} | {id(MaybeSchedule.__metadata__[0].rule): SCHEDULE, id(STEPS_OR_SHARE): LENGTHS, id(DELAY_OR_SHARE): DELAY}
BY_RULE |= {id(TOTAL): LENGTHS, id(ENDS_OR_SHARES): BOUNDARIES, id(SCALING): RATES | {"a string": ("log", ValueError)}}
GOOD: dict[type[lrax.Schedule], dict[str, Any]] = {
    lrax.Clip: {"schedule": lrax.Constant(0.1), "low": 0.0, "high": 1.0},
    lrax.Constant: {"value": 0.1},
    lrax.Cooldown: {"schedule": lrax.Constant(0.1), "begin": 5, "steps": 10, "end": 0.0, "mode": "linear"},
    lrax.Cosine: PHASE,
    lrax.Cycle: {"phase": lrax.Cosine(**PHASE), "length_factor": 1, "value_factor": 1.0},
    lrax.Exponential: {"start": 1.0, "factor": 0.9, "every": 1, "floor": 0.1},
    lrax.Function: {"function": abs},
    lrax.Geometric: PHASE,
    lrax.Hold: {"value": 0.1, "steps": 10},
    lrax.InverseSqrt: {"start": 1.0, "timescale": 1.0},
    lrax.InverseTime: {"start": 1.0, "timescale": 1.0},
    lrax.Linear: PHASE,
    lrax.MultiStep: {"start": 1.0, "factor": 0.5, "boundaries": [1, 2]},
    lrax.OneMinusSqrt: PHASE,
    lrax.OneMinusSquare: PHASE,
    lrax.Piecewise: {"values": [1.0, 0.5], "counts": [3, 9], "mode": "linear"},
    lrax.PiecewiseConstant: {"values": [1.0, 0.5, 0.1], "boundaries": [1, 2]},
    lrax.Polynomial: PHASE | {"power": 2.0},
    lrax.PolynomialRestarts: PHASE | {"power": 2.0},
    lrax.Power: {"start": 1.0, "power": -0.5, "timescale": 1.0},
    lrax.Relaxation: PHASE | {"ratio": 0.1},
    lrax.Repeat: {"schedule": lrax.Linear(**PHASE), "times": 3},
    lrax.Rex: PHASE,
    lrax.Scale: {"schedule": lrax.Constant(0.1), "factor": 0.5},
    lrax.Shift: {"schedule": lrax.Constant(0.1), "offset": 1},
    lrax.StepDecay: {"start": 1.0, "factor": 0.5, "every": 10, "floor": 0.1},
    lrax.Stretch: {"schedule": lrax.Constant(0.1), "every": 10},
    lrax.Tanh: PHASE | {"first": -7.0, "last": 3.0},
    lrax.Triangle: {"low": 0.1, "high": 1.0, "steps": 10, "rise": 0.5, "mode": "linear"},
    lrax.Warmup: {"schedule": lrax.Constant(0.1), "warmup_steps": 5, "start": 0.0, "mode": "linear"},
    lrax.Extension: {"schedule": lrax.Linear(1.0, 0.1, 10), "begin": 5, "total_steps": 20, "mode": "stretch"},
    lrax.Warp: {"phase": lrax.Linear(**PHASE), "power": 2.0},
}
for made in (case.build() for case in CASES.values()):
    if isinstance(made, Recipe | lrax.Clocked):
        GOOD[type(made)] = {name: getattr(made, name) for name in made._rules}
VARIADIC = {lrax.Maximum, lrax.Minimum, lrax.Product, lrax.Sequence, lrax.Sum}


def bad_fields() -> list[Any]:
    """Every bad value of every field of every kind."""
    cases = []
    for kind, good in GOOD.items():
        for field, rule in kind._rules.items():
            optional = isinstance(rule, Maybe)
            values = BY_RULE.get(id(rule.rule if optional else rule)) or (MODE if field == "mode" else FUNCTION)
            values = {name: bad for name, bad in values.items() if not optional or bad[0] is not None}
            cases += [pytest.param(kind, field, *bad, id=f"{kind.__name__}-{field}-{name}") for name, bad in values.items()]
        assert kind._rules.keys() == good.keys()
    return cases


@pytest.mark.parametrize(("kind", "field", "bad", "error"), bad_fields())
def test_a_bad_field(kind: type[lrax.Schedule], field: str, bad: Any, error: type[Exception]) -> None:
    """The message names the class and the argument and says what it must be; the good arguments alone are accepted."""
    kind(**GOOD[kind])
    with pytest.raises(error, match=rf"^{kind.__name__}: `{field}` must be .*, got "):
        kind(**{**GOOD[kind], field: bad})


def test_every_kind_is_tried() -> None:
    """No public kind is left out above."""
    public = [getattr(lrax, name) for name in lrax.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, lrax.Schedule)}  # recipes are kinds too
    assert kinds - {lrax.Schedule, lrax.Phase} == GOOD.keys() | VARIADIC


@pytest.mark.parametrize(
    ("make", "says"),
    {
        "a sequence of nothing": (lambda: lrax.Sequence(), "Sequence: `schedules` must be at least one schedule"),
        "an endless schedule first": (
            lambda: lrax.Sequence(lrax.Constant(1.0), lrax.Hold(1.0, 5)),
            r"Sequence: `schedules\[0\]` must be a schedule with a length, got .*; put it last",
        ),
        "a cycle of an endless one": (
            lambda: lrax.Cycle(lrax.Constant(1.0)),
            "Cycle: `phase` must be a schedule with a length, got .*; give it a phase such as Cosine",
        ),
        "a length that cannot change": (
            lambda: lrax.Cycle(lrax.Sequence(lrax.Hold(1.0, 5)), length_factor=2),
            "Cycle: `length_factor` must be 1 for a Sequence",
        ),
        "a sum of nothing": (lambda: lrax.Sum(), "Sum: `schedules` must be at least one schedule"),
        "a sum of a number": (lambda: lrax.Sum(abs, 0.1), r"Sum: `schedules\[1\]` must be a schedule .*; use lrax.Constant"),
        "a tanh that goes back": (
            lambda: lrax.Tanh(1.0, 0.0, 10, first=3.0, last=-7.0),
            "Tanh: `last` must be above `first`, .*; swap them",
        ),
        "too few values": (
            lambda: lrax.PiecewiseConstant([1.0, 0.5], [5, 9]),
            r"PiecewiseConstant: `values` must be one longer than `boundaries` \(2\)",
        ),
        "values without counts": (
            lambda: lrax.Piecewise([1.0, 0.5], [5, 9, 11]),
            r"Piecewise: `values` must be at least two, as many as `counts` \(3\)",
        ),
        "one value": (lambda: lrax.Piecewise([1.0], [5]), "Piecewise: `values` must be at least two"),
        "zero on a logarithmic axis": (
            lambda: lrax.Piecewise([0.0, 1.0], [0, 5], "geometric"),
            "Piecewise: `values` must be above 0 in mode 'geometric'",
        ),
        "a geometric warm-up from zero": (
            lambda: lrax.Warmup(abs, 5, mode="geometric"),
            "Warmup: `start` must be above 0 in mode 'geometric', .*; use mode 'relaxation'",
        ),
        "a geometric cool-down to zero": (
            lambda: lrax.Cooldown(abs, 5, 5, 0.0, mode="geometric"),
            "Cooldown: `end` must be above 0 in mode 'geometric'",
        ),
        "a warp of an endless schedule": (
            lambda: lrax.Warp(lrax.Constant(1.0), 2.0),
            "Warp: `phase` must be a phase with a curve, .*; use Linear",
        ),
        "a warp of a triangle": (lambda: lrax.Warp(lrax.Triangle(0.0, 1.0, 5), 2.0), "Warp: `phase` must be a phase with"),
        "a repeat of an endless schedule": (
            lambda: lrax.Repeat(lrax.Constant(1.0), 2),
            "Repeat: `schedule` must be a schedule with a length, .*; give it a phase",
        ),
        "one length of two": (
            lambda: lrax.inverse_sqrt(0.1, 10, total_steps=100),
            "inverse_sqrt: `cooldown_steps` must be given with `total_steps`, .*; give both or neither",
        ),
        "a height and a value factor": (
            lambda: lrax.cyclical(0.1, 0.5, 10, value_factor=0.5, height_factor=0.5),
            "cyclical: `value_factor` must be left out where the height changes",
        ),
        "a string as a low rate": (
            lambda: lrax.cyclical("0.1", 0.5, 10, height_factor=0.5),
            "cyclical: `low` must be a finite number",
        ),
        "a model without a size": (lambda: lrax.noam(0, 4000), "noam: `model_size` must be a finite number above 0"),
        "a flat part that is all": (lambda: lrax.flat_cosine(0.1, 100, 100), "flat_cosine: `flat_steps` must be less than"),
        "bounds the wrong way round": (lambda: lrax.Clip(abs, 1.0, 0.5), "Clip: `low` must be at most `high`, .*; swap them"),
        "a floor above the start": (
            lambda: lrax.StepDecay(0.1, 0.5, 10, floor=0.2),
            "StepDecay: `floor` must be at most `start`, .*; lower it",
        ),
        "a floor above an exponential's start": (
            lambda: lrax.Exponential(0.1, 0.5, floor=0.2),
            "Exponential: `floor` must be at most `start`",
        ),
        "a factor below its smallest": (lambda: lrax.Cycle(lrax.Hold(1.0, 5), 1e-9), "Cycle: `length_factor` must be at least"),
        "a cool-down without an end": (lambda: lrax.one_cycle(0.1, 0.5, 500, 750), "one_cycle: `end` must be a rate where"),
        "an end without a cool-down": (
            lambda: lrax.one_cycle(0.1, 0.5, 500, end=0.1),
            "one_cycle: `cooldown_steps` must be above 0 where `end` is given",
        ),
        "nothing left after the warm-up": (
            lambda: lrax.warmup_cosine(0.1, 100, 100),
            r"warmup_cosine: `warmup_steps` must be less than what is left of `total_steps` \(100\), got 100",
        ),
        "nothing left between": (
            lambda: lrax.wsd(0.1, 100, 50, 50),
            r"wsd: `cooldown_steps` must be less than",
        ),
        "a total that is not whole": (
            lambda: lrax.warmup_cosine(0.1, 100.5, 10),
            "warmup_cosine: `total_steps` must be a whole number",
        ),
        "a negative warm-up": (
            lambda: lrax.warmup_cosine(0.1, 100, -3),
            "warmup_cosine: `warmup_steps` must be a whole number",
        ),
        "a warm-up that is not whole": (
            lambda: lrax.warmup_cosine(0.1, 100, 10.5),
            "warmup_cosine: `warmup_steps` must be a whole number",
        ),
        "a negative cool-down": (lambda: lrax.wsd(0.1, 100, 5, -5), "wsd: `cooldown_steps` must be a whole number"),
    }.values(),
)
def test_bad_combinations(make: Any, says: str) -> None:
    """What must hold between arguments is said by name, with the remedy."""
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_nothing_is_half_built() -> None:
    """A constructor that raises leaves no object behind."""
    kept: list[Any] = []

    class Kept(lrax.Phase):
        value: lrax.fields.Rate
        steps: lrax.fields.Steps

        def __new__(cls, *_: Any, **__: Any) -> Any:
            self = object.__new__(cls)
            kept.append(self)
            return self

        def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
            return self.value * left

    with pytest.raises(ValueError, match="Kept: `steps`"):
        Kept(value=0.1, steps=-1)
    assert not isinstance(vars(kept[0]).get("steps"), np.int32)


def test_traced_numbers_are_checked_for_their_dtype() -> None:
    """Under jit a float length is refused as anywhere; a bad value is not seen, and puts a phase at its end."""
    with pytest.raises(TypeError, match="Linear: `steps`"):
        jax.jit(lambda steps: lrax.Linear(0.0, 1.0, steps)(0))(10.0)
    for steps in (0, -5):
        assert jax.jit(lambda steps: lrax.Linear(0.0, 1.0, steps)(0))(steps) == 1.0
