"""Schedules in flax.serialization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization

import lrax
import lrax.flax  # by which Flax knows schedules
from schedule_cases import CASES, Case

KINDS = {name.split(":")[0]: case for name, case in reversed(CASES.items())}


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_there_and_back(case: Case) -> None:
    """A schedule of any kind, yours included, comes back from bytes into a target of its kind, bit for bit."""
    schedule, target = case.build(7), case.build(0)
    saved = serialization.to_bytes({"schedule": schedule, "step": 3})
    assert serialization.from_bytes({"schedule": target, "step": 0}, saved) == {"schedule": schedule, "step": 3}


def test_batches_and_kinds_made_later() -> None:
    """A batch keeps its shapes, and a kind that is made after `import lrax.flax` is known too."""
    batch = jax.vmap(lambda peak: lrax.sgdr(peak, 0.0, 10))(jnp.geomspace(0.1, 1, 5))
    assert serialization.from_bytes(batch, serialization.to_bytes(batch)) == batch

    class Later(lrax.Schedule):
        value: lrax.fields.Rate

        def rate(self, count: jax.Array) -> jax.Array:
            return self.value * jnp.ones_like(count, jnp.float32)

    assert serialization.from_bytes(Later(0.1), serialization.to_bytes(Later(0.5))) == Later(0.5)


def test_another_kind_is_refused() -> None:
    """Numbers of another kind of schedule are an error that says what was wanted."""
    state = serialization.to_state_dict(lrax.Constant(0.1))
    assert {name: np.asarray(leaf).tolist() for name, leaf in state.items()} == {"value": float(np.float32(0.1))}
    with pytest.raises(ValueError, match=r"`state` must be that of a schedule like Cosine.*give a target of the class"):
        serialization.from_state_dict(lrax.Cosine(0.1, 0.0, 10), state)
