"""Bad input: an error that names the class, the argument and the remedy, and nothing half-built."""

from typing import Any

import jax
import numpy as np
import pytest

import lrax
from field_cases import BY_RULE, FUNCTION, GOOD, MODE, VARIADIC
from lrax import schedules as kinds
from lrax.fields import _rules
from lrax.fields._rules import Maybe, Rule
from public_names import public


def bad_fields() -> list[Any]:
    """Every bad value of every rule in one class, and one bad value of every field of every class: rules share their code."""
    cases, tried = [], set()
    for kind, good in GOOD.items():
        for field, rule in kind._rules.items():
            optional = isinstance(rule, Maybe)
            one = rule.rule if optional else rule
            values = BY_RULE.get(id(one)) or (MODE if field == "mode" else FUNCTION)
            names = [name for name, bad in values.items() if not optional or bad[0] is not None]
            names = names[:1] if (id(one), optional) in tried else names
            tried.add((id(one), optional))
            cases += [pytest.param(kind, field, *values[name], id=f"{kind.__name__}-{field}-{name}") for name in names]
        assert kind._rules.keys() == good.keys()
    return cases


RULES = {name: rule for name, rule in vars(_rules).items() if isinstance(rule, Rule)}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_bounds_are_tight(rule: Rule) -> None:
    """The value at a closed bound, or just inside an open one, is accepted; the one beyond is refused."""
    for bound, beyond in ((rule.low, -1), (rule.high, 1)):
        if not np.isfinite(bound):
            continue
        number = rule.dtype(bound)
        if rule.dtype is np.int32:
            inside, outside = number, number + beyond
        else:
            inside = np.nextafter(number, np.float32(-beyond * np.inf)) if rule.open else number
            outside = number if rule.open else np.nextafter(number, np.float32(beyond * np.inf))
        inside = np.float32(_rules.SMALLEST) if rule.open and bound == 0 else inside  # a smaller number counts as 0
        listed = (lambda one: [one]) if rule.rank else (lambda one: one)
        assert np.ravel(rule.convert("caller", "name", listed(inside))).tolist() == [inside]
        with pytest.raises(ValueError, match=r"caller: `name` must be .*, got "):
            rule.convert("caller", "name", listed(outside))


@pytest.mark.parametrize(("kind", "field", "bad", "error"), bad_fields())
def test_a_bad_field(kind: type[lrax.Schedule], field: str, bad: Any, error: type[Exception]) -> None:
    """The message names the class and the argument and says what it must be; the good arguments alone are accepted."""
    kind(**GOOD[kind])
    with pytest.raises(error, match=rf"^{kind.__name__}: `{field}` must be .*, got "):
        kind(**{**GOOD[kind], field: bad})


def test_every_kind_is_tried() -> None:
    """No public kind is left out above."""
    found = {kind for kind in public().values() if isinstance(kind, type) and issubclass(kind, lrax.Schedule)}
    assert found - {lrax.Schedule, lrax.Phase} == GOOD.keys() | VARIADIC


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
            lambda: kinds.Tanh(1.0, 0.0, 10, first=3.0, last=-7.0),
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
            lambda: kinds.Warp(lrax.Constant(1.0), 2.0),
            "Warp: `phase` must be a phase with a curve, .*; use Linear",
        ),
        "a warp of a triangle": (
            lambda: kinds.Warp(lrax.Triangle(0.0, 1.0, 5), 2.0),
            "Warp: `phase` must be a phase with",
        ),
        "a repeat of an endless schedule": (
            lambda: lrax.Repeat(lrax.Constant(1.0), 2),
            "Repeat: `schedule` must be a schedule with a length, .*; give it a phase",
        ),
        "an amplitude and a value factor": (
            lambda: lrax.cyclical(0.1, 0.5, 10, value_factor=0.5, amplitude_factor=0.5),
            "cyclical: `value_factor` must be left out where the amplitude changes",
        ),
        "a string as a low rate": (
            lambda: lrax.cyclical("0.1", 0.5, 10, amplitude_factor=0.5),
            "cyclical: `low` must be a finite number",
        ),
        "a model without a size": (lambda: lrax.noam(0, 4000), "noam: `model_size` must be a finite number above 0"),
        "a flat part that is all": (
            lambda: lrax.flat_cosine(0.1, flat_steps=100, total_steps=100),
            "flat_cosine: `flat_steps` must be less than",
        ),
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
        "a cool-down without an end": (
            lambda: lrax.one_cycle(0.1, 0.5, 500, 750),
            "`end` must be a learning rate where",
        ),
        "an end without a cool-down": (
            lambda: lrax.one_cycle(0.1, 0.5, 500, end=0.1),
            "one_cycle: `cooldown_steps` must be above 0 where `end` is given",
        ),
        "nothing left after the warm-up": (
            lambda: lrax.warmup_cosine(0.1, warmup_steps=100, total_steps=100),
            r"warmup_cosine: `warmup_steps` must be less than what is left of `total_steps` \(100\), got 100",
        ),
        "nothing left between": (
            lambda: lrax.wsd(0.1, warmup_steps=50, cooldown_steps=50, total_steps=100),
            r"wsd: `cooldown_steps` must be less than",
        ),
        "a total that is not whole": (
            lambda: lrax.warmup_cosine(0.1, warmup_steps=10, total_steps=100.5),
            "warmup_cosine: `total_steps` must be a whole number",
        ),
        "a negative warm-up": (
            lambda: lrax.warmup_cosine(0.1, warmup_steps=-3, total_steps=100),
            "warmup_cosine: `warmup_steps` must be a whole number",
        ),
        "a warm-up that is not whole": (
            lambda: lrax.warmup_cosine(0.1, warmup_steps=10.5, total_steps=100),
            "warmup_cosine: `warmup_steps` must be a whole number",
        ),
        "a negative cool-down": (
            lambda: lrax.wsd(0.1, warmup_steps=5, cooldown_steps=-5, total_steps=100),
            "wsd: `cooldown_steps` must be a whole number",
        ),
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
