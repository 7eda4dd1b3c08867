"""Peers' rules that watch a value: the rates that their own code gave, value for value (see golden/make_plateaus.py)."""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lrax import compat

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "plateaus.json").read_text())
CASES = {f"{case['peer']}-{case['function']}-{i}": case for i, case in enumerate(GOLDEN["cases"])}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_matches_the_peer(case: dict[str, Any]) -> None:
    """The rate after each value is the peer's, from one compiled scan."""
    tx = getattr(getattr(compat, case["peer"]), case["function"])(**case["arguments"])

    def update(state: Any, value: Any) -> tuple[Any, Any]:
        moved, state = tx.update(jnp.float32(case["arguments"]["lr"]), state, value=value)
        return state, moved

    got = jax.jit(lambda values: jax.lax.scan(update, tx.init(None), values)[1])(jnp.asarray(GOLDEN["values"], jnp.float32))
    np.testing.assert_allclose(got, case["rates"], rtol=3e-6)
    assert len(set(case["rates"])) > 2


@pytest.mark.parametrize(
    ("peer", "function", "arguments", "says"),
    [
        ("torch", "ReduceLROnPlateau", {"min_lr": 0.2}, "ReduceLROnPlateau: `min_lr` must be at most `lr`"),
        ("torch", "ReduceLROnPlateau", {"threshold_mode": "relative"}, "`threshold_mode` must be one of 'rel', 'abs'"),
        ("timm", "PlateauLRScheduler", {"lr_min": 0.2}, "PlateauLRScheduler: `min_lr` must be at most `lr`"),
        ("transformers", "get_greedy_schedule", {"max_lr": 0.05}, "get_greedy_schedule: `max_lr` must be at least `lr`"),
        ("transformers", "get_greedy_schedule", {"patience": -1}, "get_greedy_schedule: `patience` must be"),
    ],
)
def test_mistakes(peer: str, function: str, arguments: dict[str, Any], says: str) -> None:
    """A mistake names the peer's function and argument."""
    with pytest.raises(ValueError, match=says):
        getattr(getattr(compat, peer), function)(0.1, **arguments)
