"""Schedules inside each other: up to one stated depth everything works, and deeper ones are refused."""

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax import schedules as kinds
from lrax.fields._value import MOST_LEVELS

LEAF = lrax.Linear(0.1, 0.0, 10)
AROUND: dict[str, Any] = {
    "Clip": lambda inner: lrax.Clip(inner, 0.0, 1.0),
    "Clocked": lambda inner: lrax.Clock([8, 16], [5], 8).to_steps(inner),
    "Cooldown": lambda inner: lrax.Cooldown(inner, 5, 5, 0.0),
    "Cooldown of a Cycle": lambda inner: lrax.Cooldown(lrax.Cycle(inner), 5, 5, 0.0),
    "cyclical": lambda inner: lrax.cyclical(0.1, 0.2, 10, amplitude=inner),
    "Extension": lambda inner: kinds.Extension(inner, 3, int(inner.length) + 2),
    "Extension that holds": lambda inner: kinds.Extension(inner, 3, int(inner.length) + 2, "hold"),
    "faded": lambda inner: kinds.faded(inner, cooldown_steps=5, total_steps=10),
    "joined": lambda inner: kinds.joined([inner, LEAF], [5]),
    "Product": lambda inner: lrax.Product(inner, LEAF),
    "Repeat": lambda inner: lrax.Repeat(inner, 2),
    "Scale": lambda inner: lrax.Scale(inner, 0.9),
    "Sequence": lambda inner: lrax.Sequence(lrax.Hold(0.1, 2), inner),
    "Shift": lambda inner: lrax.Shift(inner, 1),
    "Stretch": lambda inner: lrax.Stretch(inner, 1.5),
    "Warmup": lambda inner: lrax.Warmup(inner, 2),
}
every_combinator = pytest.mark.parametrize(
    "around",
    [
        pytest.param(make, id=name, marks=() if name in ("Sequence", "Shift") else pytest.mark.slow)
        for name, make in AROUND.items()
    ],
)


def grow(made: list[Any], around: Any) -> None:
    """Adds schedules, each around the last, one more than can be."""
    for _ in range(MOST_LEVELS + 1):
        made.append(around(made[-1]))


def deepest(around: Any) -> lrax.Schedule:
    """As many of one combinator inside each other as can be made."""
    made = [LEAF]
    with pytest.raises(ValueError, match=f"must be of at most {MOST_LEVELS} levels"):
        grow(made, around)
    return made[-1]


@every_combinator
def test_what_can_be_made_can_be_used(around: Any) -> None:
    """The deepest schedule is shown, saved, copied, compared, hashed, measured, drawn and traced."""
    schedule = deepest(around)
    assert eval(repr(schedule), {**vars(kinds), **vars(lrax)}) == schedule
    assert lrax.from_json(lrax.to_json(schedule)) == schedule
    for again in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), jax.tree.map(lambda leaf: leaf, schedule)):
        assert again == schedule
        assert hash(again) == hash(schedule)
    assert schedule.landmarks
    assert schedule.length is None or schedule.length >= 0
    jax.make_jaxpr(jax.vmap(lambda schedule, count: schedule(count), (None, 0)))(schedule, jnp.arange(3))


def test_the_depth_is_said_wherever_it_is_passed() -> None:
    """Past the stated depth a call, a text and a configuration are refused at once, with the remedy."""
    with pytest.raises(ValueError, match=rf"Scale: .* of at most {MOST_LEVELS} levels, got .*; put them next to each other"):
        lrax.Scale(deepest(AROUND["Scale"]), 0.9)
    inner = '{"kind": "Constant", "value": 0.1}'
    for levels in (MOST_LEVELS, 300, 30_000):
        text = '{"kind": "Scale", "factor": 2, "schedule": ' * levels + inner + "}" * levels
        with pytest.raises(ValueError, match=rf"of at most {MOST_LEVELS} "):
            lrax.from_json(text)
    config: Any = {"kind": "Constant", "value": 0.1}
    for levels in range(1, 3000):
        config = {"kind": "Scale", "factor": 2, "schedule": config}
        if levels in (MOST_LEVELS, 300, 2999):
            with pytest.raises(ValueError, match=rf"of at most {MOST_LEVELS} "):
                lrax.from_config(config)


def test_a_length_is_asked_for_once_a_level() -> None:
    """The length of schedules inside each other takes a time in proportion to their number."""
    asked = []

    class Counted(lrax.Phase):
        steps: lrax.fields.Steps

        def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
            return left

        @property
        def length(self) -> Any:
            asked.append(1)
            return self.steps

    for around in AROUND.values():
        schedule: lrax.Schedule = Counted(100)
        for _ in range(5):
            schedule = around(schedule)
        asked.clear()
        _ = schedule.length
        assert len(asked) <= 2, around


def test_shift_has_its_length() -> None:
    """Known, traced and in batches the length of a shift is what is left of it, or longer by what it waits."""
    for offset, want in ((3, 7), (0, 10), (-4, 14), (20, 0)):
        assert lrax.Shift(LEAF, offset).length == want
        assert jax.jit(lambda offset: lrax.Shift(LEAF, offset).length)(offset) == want
    np.testing.assert_array_equal(lrax.Shift(LEAF, np.array([3, -4])).length, [7, 14])
    assert isinstance(lrax.Shift(LEAF, 3).length, np.int32)
