"""The state of a run goes on under other wrappers of lrax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.Linear(1.0, 0.0, steps=10)
WEIGHTS = {"body": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}, "head": jnp.array([1.0, 2.0])}
GROUPS = {"head": 0.1, "bias$": lrax.Constant(0.5)}


def wrapped(factory: Any, rate: Any = SCHEDULE) -> dict[str, Any]:
    """The same optimizer with and without wrappers."""
    return {
        "bare": factory(rate),
        "recorded": lrax.recorded(factory, SCHEDULE),
        "with norms": lrax.recorded(factory, SCHEDULE, norm="l2"),
        "groups": lrax.by_path(factory, SCHEDULE, {"head": 1.0, "bias$": 1.0}),
        "other groups": lrax.by_path(factory, SCHEDULE, {"body": 1.0}),
    }


def steps(tx: Any, state: Any, number: int) -> tuple[Any, Any]:
    """The changes of the last of some steps and the state after it."""
    for _ in range(number):
        changes, state = jax.jit(tx.update)(WEIGHTS, state, WEIGHTS)
    return changes, state


@pytest.mark.parametrize("old", wrapped(optax.adamw))
def test_a_converted_state_goes_on_bit_for_bit(old: str) -> None:
    """From each wrapper to each other one, the next step is that of the run that was not converted."""
    optimizers = wrapped(optax.adamw)
    _, state = steps(optimizers[old], optimizers[old].init(WEIGHTS), 2)
    want, _ = steps(optimizers[old], state, 1)
    for name, tx in optimizers.items():
        converted = lrax.convert_state(state, tx, WEIGHTS)
        assert jax.tree.structure(converted) == jax.tree.structure(tx.init(WEIGHTS)), name
        assert lrax.count_of(converted) == 2
        got, after = steps(tx, converted, 1)
        jax.tree.map(np.testing.assert_array_equal, got, want)
        if name != "bare":
            assert np.isnan(jax.tree.leaves(lrax.group_lrs(converted))).all()
            np.testing.assert_allclose(list(lrax.group_lrs(after).values()), SCHEDULE(2), rtol=1e-6)


def test_a_state_before_its_first_step_is_that_of_init() -> None:
    """Converted before anything was recorded, a state is the one that the optimizer itself begins with."""
    optimizers = wrapped(optax.adamw)
    begun = optimizers["bare"].init(WEIGHTS)
    for tx in optimizers.values():
        jax.tree.map(np.testing.assert_array_equal, lrax.convert_state(begun, tx, WEIGHTS), tx.init(WEIGHTS))


CHAINS: dict[str, Any] = {
    "sgd with momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "muon": optax.contrib.muon,
    "accumulating": lambda rate: optax.MultiSteps(optax.lion(rate), 2).gradient_transformation(),
    "injected": lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate, b1=0.8),
}


@pytest.mark.parametrize("name", CHAINS)
def test_inside_other_wrappers(name: str) -> None:
    """What is around and inside the wrapper of lrax stays as it is."""

    def around(inner: Any) -> Any:
        return optax.chain(optax.clip_by_global_norm(1.0), inner)

    bare = around(CHAINS[name](SCHEDULE))
    _, state = steps(bare, bare.init(WEIGHTS), 3)
    want, _ = steps(bare, state, 1)
    tx = around(lrax.by_path(CHAINS[name], SCHEDULE, {"head": 1.0}))
    got, _ = steps(tx, jax.jit(lambda state: lrax.convert_state(state, tx, WEIGHTS))(state), 1)
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_from_a_number_to_a_schedule() -> None:
    """A run that began with a number goes on with a schedule at its count; one that does not count needs the count."""
    bare = optax.adamw(0.1)
    _, state = steps(bare, bare.init(WEIGHTS), 3)
    tx = lrax.by_path(optax.adamw, SCHEDULE, GROUPS)
    converted = lrax.convert_state(state, tx, WEIGHTS)
    assert lrax.count_of(converted) == 3
    np.testing.assert_allclose(lrax.next_lr(converted, tx, "head"), 0.1 * SCHEDULE(3), rtol=1e-6)
    np.testing.assert_array_equal(converted.inner_states["head"].inner_state.inner_state[0].mu["head"], state[0].mu["head"])
    state, tx = optax.sgd(0.1, momentum=0.9).init(WEIGHTS), lrax.recorded(lambda rate: optax.sgd(rate, momentum=0.9), SCHEDULE)
    assert lrax.next_lr(lrax.convert_state(state, tx, WEIGHTS, count=4), tx) == SCHEDULE(4)
    with pytest.raises(ValueError, match=r"convert_state: `count` must be given where the state has no count, got None; give"):
        lrax.convert_state(state, tx, WEIGHTS)
    with pytest.raises(ValueError, match=r"`count` must be left out for a state that counts its steps, got 4"):
        lrax.convert_state(converted, lrax.recorded(optax.adamw, SCHEDULE), WEIGHTS, count=4)
    with pytest.raises(ValueError, match=r"`count` must be a whole number of steps, at least 0, got -1"):
        lrax.convert_state(state, tx, WEIGHTS, count=-1)


def test_freezing_and_thawing() -> None:
    """A group that becomes frozen loses its moments; one that is trained again gets fresh ones, which needs parameters."""
    tx, frozen = (lrax.by_path(optax.adam, SCHEDULE, {"head": factor}) for factor in (0.1, None))
    _, state = steps(tx, tx.init(WEIGHTS), 2)
    converted = lrax.convert_state(state, frozen, WEIGHTS)
    changes, after = steps(frozen, converted, 1)
    np.testing.assert_array_equal(changes["head"], np.zeros(2))
    assert list(lrax.group_lrs(after)) == ["rest"]
    again = lrax.convert_state(after, tx, WEIGHTS)
    assert lrax.count_of(again) == 3
    head, rest = (again.inner_states[label].inner_state.inner_state[0] for label in ("head", "rest"))
    np.testing.assert_array_equal(head.mu["head"], np.zeros(2))
    np.testing.assert_array_equal(
        rest.mu["body"]["bias"], after.inner_states["rest"].inner_state.inner_state[0].mu["body"]["bias"]
    )
    assert np.abs(steps(tx, again, 1)[0]["head"]).min() > 0
    with pytest.raises(
        TypeError, match=r"convert_state: `opt_state` must be the state of the same optimizer.*it has no .*head"
    ):
        lrax.convert_state(converted, tx, jax.eval_shape(lambda: WEIGHTS))


def test_states_that_do_not_fit_are_named() -> None:
    """The state of another optimizer, of other shapes, or of groups that disagree is an error that names the part."""
    tx = lrax.recorded(optax.sgd, SCHEDULE)
    with pytest.raises(
        TypeError, match=r"convert_state: `opt_state` must be the state of the same optimizer.* it has .*mu.* too"
    ):
        lrax.convert_state(optax.adam(SCHEDULE).init(WEIGHTS), tx, WEIGHTS)
    adam = lrax.recorded(optax.adam, SCHEDULE)
    with pytest.raises(TypeError, match=r"it has no \[0\]\.mu"):
        lrax.convert_state(optax.sgd(SCHEDULE).init(WEIGHTS), adam, WEIGHTS)
    with pytest.raises(ValueError, match=r"must be of the shape \(2,\) at .*mu\['head'\], got \(5,\)"):
        lrax.convert_state(optax.adam(SCHEDULE).init(WEIGHTS | {"head": jnp.ones(5)}), adam, WEIGHTS)
    groups = lrax.by_path(optax.adam, SCHEDULE, {"head": 0.1}).init(WEIGHTS)
    one = groups.inner_states["head"]
    groups.inner_states["head"] = optax.tree_utils.tree_set(one, count=jnp.int32(5))
    with pytest.raises(ValueError, match=r"must be of groups that agree at \[0\]\.count, got"):
        lrax.convert_state(groups, adam, WEIGHTS)
    with pytest.raises(TypeError, match=r"convert_state: `optimizer` must be an optax optimizer, .*; the state comes first"):
        lrax.convert_state(adam, groups, WEIGHTS)
