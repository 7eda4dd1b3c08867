"""`lrax.compat` with arguments drawn at random: the peers' formulas in float64, and optax itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compat.drawn import Drawn
from compat.drawn_djl import DJL
from compat.drawn_keras import KERAS
from compat.drawn_mxnet import MXNET
from compat.drawn_optax import OPTAX
from compat.drawn_timm import TIMM
from compat.drawn_torch import TORCH
from compat.drawn_transformers import TRANSFORMERS
from lrax import compat
from schedule_cases import rates

PEERS = {
    "optax": OPTAX,
    "torch": TORCH,
    "mxnet": MXNET,
    "djl": DJL,
    "keras": KERAS,
    "timm": TIMM,
    "transformers": TRANSFORMERS,
}
WATCHING = {"ReduceLROnPlateau", "PlateauLRScheduler", "get_reduce_on_plateau_schedule", "get_greedy_schedule"}
COUNTS = np.arange(64)
few = settings(max_examples=10, derandomize=True, deadline=None)
every_function = pytest.mark.parametrize(
    ("function", "drawn"),
    [
        pytest.param(getattr(getattr(compat, peer), name), drawn, id=f"{peer}-{name}")
        for peer, functions in PEERS.items()
        for name, drawn in functions.items()
    ],
)


pytestmark = pytest.mark.slow


def assert_near(got: Any, want: Any, rtol: float) -> None:
    """Equal to some digits of the value, or to the last ones of the largest."""
    np.testing.assert_allclose(np.asarray(got), want, rtol=rtol, atol=2e-7 * max(np.abs(want).max(), 1e-3))


@pytest.mark.parametrize("peer", PEERS)
def test_every_function_is_drawn(peer: str) -> None:
    """A function of the count without arguments to draw would be tried by hand only."""
    assert PEERS[peer].keys() == set(getattr(compat, peer).__all__) - WATCHING


@every_function
@few
@given(data=st.data())
def test_equals_its_formula(function: Callable[..., Any], drawn: Drawn, data: Any) -> None:
    """Whatever the arguments, the rates are those of the peer's formula in float64."""
    arguments = data.draw(st.fixed_dictionaries(drawn.arguments))
    assume(drawn.fits(arguments))
    got = rates(function(**drawn.call(arguments)), jnp.asarray(COUNTS, jnp.int32))
    assert_near(got, np.array([drawn.formula(int(t), **arguments) for t in COUNTS]), 1e-5)


@pytest.mark.parametrize("name", OPTAX)
@pytest.mark.standard_promotion
@few
@given(data=st.data())
def test_equals_optax(name: str, data: Any) -> None:
    """The same arguments to optax's own function give the same rates, to its float32 arithmetic."""
    arguments = data.draw(st.fixed_dictionaries(OPTAX[name].arguments))
    theirs = getattr(optax.schedules, name)(**OPTAX[name].call(arguments))
    # outside jit, because a compiled count / steps may be above 1, and its power NaN
    want = np.asarray(jax.vmap(theirs)(jnp.asarray(COUNTS, jnp.int32)), np.float64) * np.ones(len(COUNTS))
    got = rates(getattr(compat.optax, name)(**OPTAX[name].call(arguments)), jnp.asarray(COUNTS, jnp.int32))
    np.testing.assert_allclose(got, want, rtol=3e-5, atol=2e-6 * max(np.abs(want).max(), 1e-3))
