"""Lengths: whole floats are taken everywhere, nothing is rounded or truncated, and what is no number says so."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lrax
from lrax.compat import djl, mxnet, optax, torch
from lrax.fields._rules import whole_number
from schedule_cases import CASES, Case

COMPAT: dict[str, Callable[[Any], lrax.Schedule]] = {
    "optax.linear_schedule": lambda n: optax.linear_schedule(0.0, 1.0, n),
    "optax.exponential_decay": lambda n: optax.exponential_decay(1.0, n, 0.999),
    "optax.cosine_decay_schedule": lambda n: optax.cosine_decay_schedule(1.0, n),
    "optax.warmup_cosine_decay_schedule": lambda n: optax.warmup_cosine_decay_schedule(0.0, 1.0, n, 200),
    "optax.linear_onecycle_schedule": lambda n: optax.linear_onecycle_schedule(n, 1.0),
    "optax.join_schedules": lambda n: optax.join_schedules([lrax.Constant(0.1), lrax.Constant(0.2)], [n]),
    "optax.piecewise_constant_schedule": lambda n: optax.piecewise_constant_schedule(1.0, {n: 0.5}),
    "torch.StepLR": lambda n: torch.StepLR(1.0, n, 0.99),
    "torch.ConstantLR": lambda n: torch.ConstantLR(1.0, 0.5, n),
    "torch.MultiStepLR": lambda n: torch.MultiStepLR(1.0, [n, n]),
    "torch.OneCycleLR": lambda n: torch.OneCycleLR(1.0, n),
    "torch.SequentialLR": lambda n: torch.SequentialLR([lrax.Constant(0.1), lrax.Constant(0.2)], [n]),
    "torch.CyclicLR": lambda n: torch.CyclicLR(0.1, 1.0, n, mode="exp_range", gamma=0.99),
    "mxnet.FactorScheduler": lambda n: mxnet.FactorScheduler(n, 0.5, base_lr=1.0, warmup_steps=n),
    "mxnet.CosineScheduler": lambda n: mxnet.CosineScheduler(200, base_lr=1.0, warmup_steps=n),
    "mxnet.MultiFactorScheduler": lambda n: mxnet.MultiFactorScheduler([n], 0.5),
    "djl.FactorTracker": lambda n: djl.FactorTracker(1.0, 0.9, maxUpdates=n),
    "djl.CyclicalTracker": lambda n: djl.CyclicalTracker(0.1, 1.0, n),
    "djl.WarmUpTracker": lambda n: djl.WarmUpTracker(djl.FixedTracker(1.0), n),
}
COUNTS = np.array([0, 1, 139, 140, 141, 280, 2**31 - 1])


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A length, or each in a list of them, in another form; rates stay."""
    if isinstance(value, list):
        return [changed(part, change) for part in value]
    return change(value) if isinstance(value, int) else value


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.numbers], ids=[n for n, c in CASES.items() if c.numbers]
)
def test_whole_floats_are_lengths(case: Case) -> None:
    """Every length of every kind and recipe may be a float that is whole: of Python, NumPy or JAX."""
    want = repr(case.build())
    for change in (float, np.float32, np.float64, jnp.float32):
        numbers = {name: changed(number, change) for name, number in case.numbers.items()}
        assert repr(case.make(**numbers)) == want


@pytest.mark.parametrize("make", COMPAT.values(), ids=COMPAT)
def test_whole_floats_are_lengths_of_peers(make: Callable[[Any], lrax.Schedule]) -> None:
    """What the peers take as a length, or as a boundary, may be a whole float; it makes the same schedule."""
    want = repr(make(140))
    for number in (140.0, np.float32(140), np.float64(140), np.int64(140)):
        assert repr(make(number)) == want


WRONG = [140.5, np.float32(140.5), float("nan"), float("inf"), "140", True]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("make", COMPAT.values(), ids=COMPAT)
def test_other_lengths_of_peers_are_refused(make: Callable[[Any], lrax.Schedule], wrong: Any) -> None:
    """A length that is not whole, or no number, is an error of ours; nothing is truncated."""
    with pytest.raises((TypeError, ValueError), match=r"`\w+` must be .*, got"):
        make(wrong)


@pytest.mark.parametrize("wrong", [140.5, "140"])
def test_lengths_of_everything_else(wrong: Any) -> None:
    """Pictures, tables and units take lengths by the same rule."""
    with pytest.raises((TypeError, ValueError), match="table: `steps` must be an integer"):
        lrax.table(lrax.Constant(0.1), wrong)
    with pytest.raises((TypeError, ValueError), match="plot: `steps` must be an integer"):
        lrax.plot(lrax.Constant(0.1), wrong)
    with pytest.raises((TypeError, ValueError), match="steps_for: `batch_size` must be an integer"):
        lrax.steps_for(examples=1000, batch_size=wrong)
    with pytest.raises(TypeError, match="steps_for: `epochs` must be a finite number"):
        lrax.steps_for(epochs=str(wrong), dataset_size=10, batch_size=2)


def test_whole_floats_everywhere_else() -> None:
    """A table to 140.0 is one to 140, and so on."""
    assert lrax.table(lrax.Constant(0.1), 140.0) == lrax.table(lrax.Constant(0.1), 140)
    assert lrax.steps_for(fraction=0.1, total_steps=140.0) == 14
    assert repr(lrax.one_cycle(0.1, 1.0, 140, cooldown_steps=0.0)) == repr(lrax.one_cycle(0.1, 1.0, 140))
    assert whole_number("caller", "name", np.float32(140)) == 140


def test_traced_floats_are_no_lengths() -> None:
    """Whether a traced float is whole cannot be seen, so it is refused."""
    with pytest.raises(TypeError, match="Linear: `steps` must be a whole number of steps"):
        jax.jit(lambda steps: lrax.Linear(0.0, 1.0, steps)(0))(140.0)
    with pytest.raises(TypeError, match="join_schedules: `boundaries` must be a whole number of steps"):
        jax.jit(lambda n: optax.join_schedules([lrax.Constant(0.1), lrax.Constant(0.2)], [n])(0))(140.0)
