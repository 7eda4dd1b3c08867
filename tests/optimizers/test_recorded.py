"""A recorded optimizer is the optimizer with its schedule, and one count decides its learning rate."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.Linear(1.0, 0.0, steps=10)
WARMED = lrax.warmup_cosine(peak=0.5, warmup_steps=4, total_steps=20)
WEIGHTS = {"body": jnp.ones(2), "head": jnp.ones(3)}

FACTORIES: dict[str, Any] = {
    "adamw": optax.adamw,
    "sgd with momentum": functools.partial(optax.sgd, momentum=0.9),
    "lion": optax.lion,
    "injected": lambda rate: optax.inject_hyperparams(optax.sgd)(learning_rate=rate),
    "injected with another schedule": lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate, b1=SCHEDULE),
    "MultiSteps": lambda rate: optax.MultiSteps(optax.sgd(rate), 2).gradient_transformation(),
    "MultiSteps as it is": lambda rate: optax.MultiSteps(optax.adam(rate), 2),
    "skips what is not finite": lambda rate: optax.apply_if_finite(optax.sgd(rate), 5),
    "schedule-free": lambda rate: optax.contrib.schedule_free(optax.sgd(rate), rate),
    "a number-only optimizer, injected": lambda rate: optax.inject_hyperparams(optax.rprop)(learning_rate=rate),
}
UPDATED = {"MultiSteps": 2, "MultiSteps as it is": 2}
"""Optimizer updates after five batches, where they are not five."""


def run(tx: Any, weights: Any, updates: int) -> tuple[list[Any], Any]:
    """The changes of some updates, compiled, and the state after them."""
    state, update, changes = tx.init(weights), jax.jit(tx.update), []
    for i in range(updates):
        grads = jax.tree.map(lambda leaf, i=i: leaf * (0.1 + 0.2 * i), weights)
        change, state = update(grads, state, weights)
        changes.append(change)
    return changes, state


@pytest.mark.parametrize("name", FACTORIES)
def test_it_is_the_optimizer_with_its_schedule(name: str) -> None:
    """The updates are those of `optimizer(schedule)`, bit for bit, and the rates kept are the schedule's."""
    got, state = run(lrax.recorded(FACTORIES[name], WARMED), WEIGHTS, 5)
    want, _ = run(FACTORIES[name](WARMED), WEIGHTS, 5)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    done = UPDATED.get(name, 5)
    assert lrax.count_of(state) == done
    np.testing.assert_allclose(lrax.last_lr(state), WARMED(done - 1), rtol=1e-6)
    np.testing.assert_allclose(lrax.next_lr(state, WARMED), WARMED(done), rtol=1e-6)


@pytest.mark.parametrize("factory", [optax.sgd, functools.partial(optax.sgd, momentum=0.9), optax.adam, optax.lion])
def test_the_same_in_bfloat16(factory: Any) -> None:
    """With bfloat16 parameters the updates are bfloat16 and the same, bit for bit, and the rate stays float32."""
    weights = jax.random.normal(jax.random.key(0), (1000,), jnp.bfloat16)
    schedule = lrax.Constant(0.001234)
    got, state = run(lrax.recorded(factory, schedule), weights, 3)
    want, _ = run(factory(schedule), weights, 3)
    assert got[0].dtype == jnp.bfloat16
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert lrax.last_lr(state) == np.float32(0.001234)


def test_accumulation_around_it() -> None:
    """Inside MultiSteps an update's rate is that of its own count."""
    _, state = run(optax.MultiSteps(lrax.recorded(optax.sgd, SCHEDULE), 2), WEIGHTS, 5)
    assert lrax.count_of(state) == 2
    np.testing.assert_allclose(lrax.last_lr(state), SCHEDULE(1), rtol=1e-6)


def test_an_update_that_is_skipped_is_no_update() -> None:
    """A gradient that is not finite, skipped inside, moves neither the count nor the rate."""
    tx = lrax.recorded(lambda rate: optax.apply_if_finite(optax.sgd(rate), 5), SCHEDULE)
    state = tx.init(WEIGHTS)
    for gradient in (1.0, np.nan, 1.0):
        change, state = tx.update(jax.tree.map(lambda leaf, g=gradient: leaf * g, WEIGHTS), state, WEIGHTS)
    np.testing.assert_allclose(change["body"], -SCHEDULE(1) * np.ones(2))
    assert lrax.count_of(state) == 2
    assert lrax.last_lr(state) == SCHEDULE(1)


def test_parts_that_count_differently_have_no_one_rate() -> None:
    """Where counts inside differ the updates are still right, and the rate is NaN rather than one of them."""

    def factory(rate: Any) -> Any:
        slow = optax.MultiSteps(optax.sgd(rate), 2).gradient_transformation()
        return optax.multi_transform({"slow": slow, "fast": optax.sgd(rate)}, {"body": "slow", "head": "fast"})

    changes, state = run(lrax.recorded(factory, SCHEDULE), WEIGHTS, 4)
    jax.tree.map(np.testing.assert_array_equal, changes, run(factory(SCHEDULE), WEIGHTS, 4)[0])
    assert np.isnan(state.lr)


def test_it_passes_more_arguments_on() -> None:
    """What an optimizer takes besides, such as the value of the loss, reaches it."""
    tx = lrax.recorded(lambda rate: optax.chain(optax.sgd(rate), lrax.reduce_on_plateau(patience=1)), SCHEDULE)
    state = tx.init(WEIGHTS)
    for _ in range(2):
        _, state = tx.update(WEIGHTS, state, WEIGHTS, value=1.0)
    np.testing.assert_allclose(lrax.last_lr(state), 0.1 * SCHEDULE(1), rtol=1e-6)


def test_an_optimizer_that_ignores_its_rate_counts_its_own_updates() -> None:
    """Where nothing inside counts, the calls of update do."""
    _, state = run(lrax.recorded(lambda rate: optax.sgd(0.1), SCHEDULE), WEIGHTS, 3)
    assert lrax.count_of(state) == 3


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (optax.sgd(0.1), r"recorded: `optimizer` must be a function learning_rate -> optimizer"),
        (SCHEDULE, r"give the optimizer's function, such as optax.sgd, not a schedule"),
        (lambda rate: 0.1, r"must be a function learning_rate -> optax.GradientTransformation, .*; it returned float"),
        (lambda rate: optax.sgd(2 * rate), r"must be a function that takes a schedule.*inject_hyperparams\(optimizer\)"),
    ],
    ids=["an optimizer", "a schedule", "no optimizer", "numbers only"],
)
def test_mistakes_are_named(factory: Any, message: str) -> None:
    """What makes no optimizer of a schedule is an error that says what to give."""
    with pytest.raises(TypeError, match=message):
        lrax.recorded(factory, SCHEDULE)


def test_an_optimizer_that_takes_only_numbers_is_named_late() -> None:
    """Some fail with a schedule only when they meet parameters, or gradients."""
    with pytest.raises(TypeError, match=r"recorded: `optimizer` must be a function that takes a schedule"):
        lrax.recorded(optax.rprop, SCHEDULE).init(WEIGHTS)
    polyak = lrax.recorded(optax.polyak_sgd, SCHEDULE)
    with pytest.raises(TypeError, match=r"recorded: `optimizer` must be a function that takes a schedule"):
        polyak.update(WEIGHTS, polyak.init(WEIGHTS), WEIGHTS, value=1.0)


def test_recorded_around_groups() -> None:
    """Around groups it tells the rate of the whole, and each group its own."""
    tx = lrax.recorded(lambda rate: lrax.by_path(optax.sgd, rate, {"head": 0.1}), SCHEDULE)
    _, state = run(tx, WEIGHTS, 2)
    np.testing.assert_allclose([lrax.last_lr(state), lrax.next_lr(state, tx)], [SCHEDULE(1), SCHEDULE(2)], rtol=1e-6)
    rates = lrax.group_lrs(state)
    np.testing.assert_allclose([rates["head"], rates["rest"]], [0.1 * SCHEDULE(1), SCHEDULE(1)], rtol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_it_keeps_the_norm_of_the_gradients(norm: Any) -> None:
    """Asked for, the norm of the last update's gradients is in the state, in float32, and the updates are what they were."""
    weights = {"body": jnp.array([3.0, -4.0], jnp.bfloat16), "head": jnp.zeros(3)}
    tx = lrax.recorded(optax.sgd, SCHEDULE, norm=norm)
    assert tx.init(weights).gradient_norm == 0
    changes, state = run(tx, weights, 2)
    np.testing.assert_allclose(
        state.gradient_norm, 0.3 * {"l2": 5, "l1": 7}[norm], rtol=1e-2
    )  # gradients are 0.3 of the weights
    assert state.gradient_norm.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, changes, run(optax.sgd(SCHEDULE), weights, 2)[0])
    _, large = tx.update(jnp.full(2, 1e30), tx.init(jnp.ones(2)))
    np.testing.assert_allclose(large.gradient_norm, {"l2": 2**0.5 * 1e30, "l1": 2e30}[norm], rtol=1e-6)


def test_norms_make_a_schedule() -> None:
    """The norms of a scanned run are what lrax.theory.refined takes."""
    tx = lrax.recorded(optax.sgd, lrax.Constant(0.1), norm="l2")

    def update(carry: Any, _: None) -> Any:
        weights, state = carry
        changes, state = tx.update(weights, state)
        return (optax.apply_updates(weights, changes), state), state.gradient_norm

    _, norms = jax.lax.scan(update, (jnp.ones(3), tx.init(jnp.ones(3))), None, length=20)
    np.testing.assert_allclose(norms, 3**0.5 * 0.9 ** np.arange(20), rtol=1e-5)
    assert lrax.theory.refined(norms, total_steps=40).length == 40
    with pytest.raises(ValueError, match="recorded: `norm` must be one of 'l2', 'l1', got 'max'"):
        lrax.recorded(optax.sgd, SCHEDULE, norm="max")  # type: ignore[arg-type]


MATRICES = {"body": jnp.ones((2, 3)), "head": jnp.array([1.0, 2.0, 3.0])}
MOVABLE: dict[str, Any] = {
    "sgd": optax.sgd,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "lion": optax.lion,
    "muon": optax.contrib.muon,
    "chain": lambda rate: optax.chain(optax.clip(1.0), optax.scale_by_adam(), optax.scale_by_learning_rate(rate)),
}


def with_count(state: Any, count: int) -> Any:
    """A state with every count set, as optax sets it."""
    return optax.tree_utils.tree_set(state, count=jnp.int32(count))


def after_a_moved_count(tx: Any) -> tuple[Any, Any]:
    """One step, the count set to 7, and another step: its changes and the state after it."""
    update = jax.jit(tx.update)
    _, state = update(MATRICES, tx.init(MATRICES), MATRICES)
    return update(MATRICES, with_count(state, 7), MATRICES)


@pytest.mark.parametrize("name", MOVABLE)
def test_a_count_set_by_hand_takes_effect_at_once(name: str) -> None:
    """After `tree_set(state, count=7)` the next step is that of the bare optimizer at count 7, in groups too."""
    factory = MOVABLE[name]
    plain, _ = after_a_moved_count(factory(SCHEDULE))
    tenth, _ = after_a_moved_count(factory(lrax.Scale(SCHEDULE, 0.1)))
    got, state = after_a_moved_count(lrax.recorded(factory, SCHEDULE))
    jax.tree.map(np.testing.assert_array_equal, got, plain)
    np.testing.assert_allclose(
        [lrax.count_of(state), lrax.last_lr(state), lrax.next_lr(state, SCHEDULE)], [8, SCHEDULE(7), SCHEDULE(8)], rtol=1e-6
    )
    tx = lrax.by_path(factory, SCHEDULE, {"head": 0.1})
    got, state = after_a_moved_count(tx)
    jax.tree.map(np.testing.assert_array_equal, got, {"body": plain["body"], "head": tenth["head"]})
    rates = [*lrax.group_lrs(state).values(), lrax.next_lr(state, tx, "head")]
    np.testing.assert_allclose(rates, [0.1 * SCHEDULE(7), SCHEDULE(7), 0.1 * SCHEDULE(8)], rtol=1e-6)


def test_a_learning_rate_of_another_step_is_not_reported() -> None:
    """Where the count was moved after the last step, the recorded learning rate is refused with its step, or NaN under jit."""
    tx = lrax.recorded(optax.sgd, SCHEDULE)
    _, state = run(tx, WEIGHTS, 3)
    np.testing.assert_allclose(
        [lrax.last_lr(state), lrax.last_lr(state, lrax.Constant(9.0))], [SCHEDULE(2), SCHEDULE(2)], rtol=1e-6
    )
    moved = with_count(state, 7)
    for function, caller in ((lrax.last_lr, "last_lr"), (lrax.group_lrs, "group_lrs")):
        with pytest.raises(
            ValueError, match=rf"^{caller}: .* got the learning rate of step 2; its count was changed since: make"
        ):
            function(moved)
        assert np.isnan(jax.tree.leaves(jax.jit(function)(moved))[0])
    np.testing.assert_allclose([lrax.last_lr(moved, SCHEDULE), jax.jit(lrax.last_lr)(moved, SCHEDULE)], SCHEDULE(6), rtol=1e-6)
    np.testing.assert_allclose(lrax.last_lr(moved, tx), SCHEDULE(6), rtol=1e-6)
    np.testing.assert_allclose([lrax.count_of(moved), lrax.next_lr(moved, tx)], [7, SCHEDULE(7)], rtol=1e-6)
    back = with_count(moved, 3)
    np.testing.assert_allclose(lrax.last_lr(back), SCHEDULE(2), rtol=1e-6)
    runs = jax.tree.map(lambda *leaves: jnp.stack(leaves), state, moved)
    with pytest.raises(ValueError, match=r"of step \[2 2\]"):
        lrax.last_lr(runs)
    np.testing.assert_allclose(lrax.last_lr(runs, SCHEDULE), [SCHEDULE(2), SCHEDULE(6)], rtol=1e-6)


def test_before_the_first_step_nothing_is_reported() -> None:
    """A fresh state has no learning rate of a last step, wherever its count is set; with a schedule it is the schedule's."""
    tx = lrax.recorded(optax.sgd, SCHEDULE)
    for state in (tx.init(WEIGHTS), with_count(tx.init(WEIGHTS), 1), with_count(tx.init(WEIGHTS), 7)):
        assert np.isnan(lrax.last_lr(state))
        assert np.isnan(lrax.group_lrs(state)["rest"])
    np.testing.assert_allclose(lrax.last_lr(state, SCHEDULE), SCHEDULE(6), rtol=1e-6)
    assert np.isnan(lrax.group_lrs(lrax.by_path(optax.sgd, SCHEDULE, {"head": 0.1}).init(WEIGHTS))["head"])


@pytest.mark.parametrize("norm", [None, "l2"])
def test_another_plan_on_resume_is_right_at_once(norm: Any) -> None:
    """With an old state, the new optimizer's next learning rate is what its next step uses; the last one is what was used."""
    _, state = run(lrax.recorded(optax.sgd, SCHEDULE, norm=norm), WEIGHTS, 3)
    tx = lrax.recorded(optax.sgd, lrax.Scale(WARMED, 0.1), norm=norm)
    following = lrax.next_lr(state, tx)
    np.testing.assert_allclose([lrax.last_lr(state), lrax.last_lr(state, tx)], SCHEDULE(2), rtol=1e-6)
    changes, state = jax.jit(tx.update)(WEIGHTS, state, WEIGHTS)
    np.testing.assert_allclose(changes["body"], -following * WEIGHTS["body"], rtol=1e-6)
    np.testing.assert_allclose([following, lrax.last_lr(state)], 0.1 * WARMED(3), rtol=1e-6)


def test_other_multiples_on_resume_are_right_at_once() -> None:
    """New multiples and another schedule for old groups are what the next learning rates of the new optimizer say."""
    _, state = run(lrax.by_path(optax.sgd, SCHEDULE, {"head": 0.5}), WEIGHTS, 3)
    tx = lrax.by_path(optax.sgd, WARMED, {"head": 0.01})
    following = {path: lrax.next_lr(state, tx, path) for path in ("head", "rest")}
    np.testing.assert_allclose([following["head"], following["rest"]], [0.01 * WARMED(3), WARMED(3)], rtol=1e-6)
    np.testing.assert_allclose(lrax.group_lrs(state, tx)["head"], 0.5 * SCHEDULE(2), rtol=1e-6)
    changes, _ = tx.update(WEIGHTS, state, WEIGHTS)
    np.testing.assert_allclose(changes["head"], -following["head"] * WEIGHTS["head"], rtol=1e-6)
    np.testing.assert_allclose(changes["body"], -following["rest"] * WEIGHTS["body"], rtol=1e-6)


def test_a_state_that_is_put_in_goes_on() -> None:
    """The bare optimizer's state in a fresh `RecordedState` decides the learning rate, and no other one is reported."""
    _, plain = run(optax.adam(SCHEDULE), WEIGHTS, 3)
    tx = lrax.recorded(optax.adam, SCHEDULE)
    state = tx.init(WEIGHTS)._replace(inner_state=plain)
    np.testing.assert_allclose([lrax.count_of(state), lrax.next_lr(state, tx)], [3, SCHEDULE(3)], rtol=1e-6)
    assert np.isnan(lrax.last_lr(state))
    np.testing.assert_allclose(lrax.last_lr(tx.update(WEIGHTS, state, WEIGHTS)[1]), SCHEDULE(3), rtol=1e-6)


def test_the_one_count_of_an_optimizer_that_has_none() -> None:
    """Where nothing inside counts, the counter in the state does, and can be set like any count."""
    tx = lrax.recorded(lambda rate: optax.sgd(0.1, momentum=0.9), SCHEDULE)
    _, state = run(tx, WEIGHTS, 2)
    _, state = tx.update(WEIGHTS, with_count(state, 7), WEIGHTS)
    np.testing.assert_allclose(
        [lrax.count_of(state), lrax.last_lr(state), lrax.next_lr(state, tx)], [8, SCHEDULE(7), SCHEDULE(8)], rtol=1e-6
    )


def test_a_step_that_is_not_made_leaves_the_learning_rate() -> None:
    """Batches that are accumulated inside, and gradients that are skipped around it, leave the last step's learning rate."""
    tx = lrax.recorded(lambda rate: optax.MultiSteps(optax.sgd(rate), 2), SCHEDULE)
    _, state = run(tx, WEIGHTS, 1)
    assert np.isnan(lrax.last_lr(state))
    _, state = run(tx, WEIGHTS, 5)
    _, state = lrax.recorded(lambda rate: optax.MultiSteps(optax.sgd(rate), 3), WARMED).update(WEIGHTS, state, WEIGHTS)
    assert lrax.count_of(state) == 2
    np.testing.assert_allclose(lrax.last_lr(state), SCHEDULE(1), rtol=1e-6)
    tx = optax.apply_if_finite(lrax.recorded(optax.sgd, SCHEDULE), 5)
    _, state = run(tx, WEIGHTS, 2)
    _, state = tx.update(jax.tree.map(lambda leaf: leaf * jnp.nan, WEIGHTS), state, WEIGHTS)
    assert lrax.count_of(state) == 2
    np.testing.assert_allclose(lrax.last_lr(state), SCHEDULE(1), rtol=1e-6)


def test_inside_transformations_of_jax() -> None:
    """Runs under vmap, steps under scan and a program on a mesh record the learning rates of their own schedules."""

    def train(peak: jax.Array) -> Any:
        tx = lrax.recorded(optax.adam, lrax.Linear(peak, 0.0, steps=10))
        init = tx.init(WEIGHTS)
        return jax.lax.scan(lambda state, _: (tx.update(WEIGHTS, state, WEIGHTS)[1], None), init, None, length=3)[0]

    peaks = jnp.array([1.0, 0.5])
    states = jax.jit(jax.vmap(train))(peaks)
    np.testing.assert_allclose(lrax.last_lr(states), 0.8 * peaks, rtol=1e-6)
    mesh = jax.make_mesh((1,), ("data",))
    spec = jax.sharding.PartitionSpec()
    state = jax.jit(jax.shard_map(train, mesh=mesh, in_specs=spec, out_specs=spec))(peaks[0])
    np.testing.assert_allclose(lrax.last_lr(state), 0.8, rtol=1e-6)


def test_the_state_of_another_optimizer_is_named() -> None:
    """The bare optimizer's state is an error that names the function and the call that converts it."""
    tx = lrax.recorded(optax.adamw, SCHEDULE)
    with pytest.raises(
        TypeError, match=r"recorded: `opt_state` must be a state of recorded, got tuple; .*lrax.convert_state\("
    ):
        jax.jit(tx.update)(WEIGHTS, optax.adamw(SCHEDULE).init(WEIGHTS), WEIGHTS)
    with pytest.raises(TypeError, match=r"next_lr: `schedule` must be .*, got another; .* not a chain"):
        lrax.next_lr(tx.init(WEIGHTS), optax.chain(optax.clip(1.0), tx))
    with pytest.raises(TypeError, match=r"recorded: `opt_state` must be a state whose count is an integer"):
        tx.update(WEIGHTS, optax.tree_utils.tree_set(tx.init(WEIGHTS), count=jnp.float32(2)), WEIGHTS)


def test_a_fresh_state_has_no_nan() -> None:
    """With `jax_debug_nans`, an optimizer that records starts, also where a first batch makes no step."""
    tx = lrax.recorded(lambda rate: optax.MultiSteps(optax.sgd(rate), 2), SCHEDULE, norm="l2")
    with jax.debug_nans(True):
        _, state = run(tx, WEIGHTS, 1)
        _, state = jax.jit(tx.update)(WEIGHTS, lrax.convert_state(state, tx, WEIGHTS), WEIGHTS)
        assert lrax.last_lr(state) == SCHEDULE(0)
