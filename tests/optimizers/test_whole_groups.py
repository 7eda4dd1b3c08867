"""Groups of `by_path` with an optimizer, a freeze and a warm-up of their own, and the pattern of weight matrices."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lrax

PARAMS = {
    "embed": {"table": jnp.ones((6, 4))},
    "layer": {"kernel": jnp.full((4, 4), 0.5), "bias": jnp.ones(4)},
    "head": {"kernel": jnp.ones((4, 6))},
}
PLAN = lrax.warmup_cosine(peak=0.1, warmup_steps=4, total_steps=40)

pytestmark = pytest.mark.standard_promotion  # Muon mixes dtypes


def trained(tx: Any, steps: int) -> list[Any]:
    """The parameters before each step, and after the last."""
    params, state, found = PARAMS, tx.init(PARAMS), [PARAMS]
    update = jax.jit(tx.update)
    for _ in range(steps):
        grads = jax.tree.map(lambda leaf: jnp.sin(3 * leaf) + 0.1, params)
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
        found.append(params)
    return [*found, state]


def test_a_group_is_frozen_for_a_while_and_then_warmed_up() -> None:
    """Until `frozen_steps` no bit of the group changes; then its learning rate rises over `warmup_steps`."""
    groups = {"^layer": {"factor": 0.5, "frozen_steps": 5, "warmup_steps": 4}}
    tx = lrax.by_path(optax.adam, PLAN, groups)
    *params, state = trained(tx, 12)
    for step in range(5):
        jax.tree.map(np.testing.assert_array_equal, params[step + 1]["layer"], PARAMS["layer"])
        assert not np.array_equal(params[step + 1]["head"]["kernel"], params[step]["head"]["kernel"])
    assert not np.array_equal(params[6]["layer"]["kernel"], PARAMS["layer"]["kernel"])
    lrs = lrax.group_lrs(state)
    np.testing.assert_allclose(lrs["^layer"], 0.5 * PLAN(11), rtol=1e-6)
    (plan,) = [lrax.optimizers._groups.group_schedules("test", PLAN, groups)["^layer"]]
    gate = np.array(plan(jnp.arange(12))) / (0.5 * np.array(PLAN(jnp.arange(12))))
    np.testing.assert_allclose(gate, [0, 0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1], rtol=1e-5, atol=1e-7)
    assert "0.05" in str(lrax.group_table(lrax.Constant(0.1), groups, PARAMS, count=20))


def test_a_freeze_without_a_warm_up_ends_at_once() -> None:
    """`frozen_steps` alone is a step from 0 to the schedule, at that count."""
    tx = lrax.by_path(optax.sgd, lrax.Constant(0.1), {"^layer": {"frozen_steps": 3}})
    *params, _ = trained(tx, 4)
    np.testing.assert_array_equal(params[3]["layer"]["bias"], PARAMS["layer"]["bias"])
    np.testing.assert_allclose(params[4]["layer"]["bias"], 1 - 0.1 * (np.sin(3.0) + 0.1), rtol=1e-6)


def test_each_group_has_its_optimizer() -> None:
    """Muon for the matrices and Adam for the rest train as the two do alone."""
    pattern = lrax.matrices(PARAMS)
    assert pattern == "^(layer/kernel)$"
    muon = lambda lr: optax.contrib.muon(lr)  # noqa: E731  # a factory of a user
    tx = lrax.by_path(optax.adam, PLAN, {pattern: {"optimizer": muon, "factor": 2.0}})
    *params, state = trained(tx, 6)
    both = optax.multi_transform(
        {"muon": optax.contrib.muon(lrax.Scale(PLAN, 2.0)), "adam": optax.adam(PLAN)},
        {"embed": {"table": "adam"}, "layer": {"kernel": "muon", "bias": "adam"}, "head": {"kernel": "adam"}},
    )
    *want, _ = trained(both, 6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params[-1], want[-1])
    assert {label: round(float(lr), 4) for label, lr in lrax.group_lrs(state).items()} == pytest.approx(
        {"rest": round(float(PLAN(5)), 4), pattern: round(2 * float(PLAN(5)), 4)}, abs=2e-4
    )


def test_a_group_takes_a_schedule_with_a_factor_and_a_floor() -> None:
    """`schedule`, `factor` and `floor` are put together in this order."""
    rule = {"schedule": lrax.Linear(start=1.0, end=0.0, steps=10), "factor": 0.5, "floor": 0.1}
    plan = lrax.optimizers._groups.group_schedules("test", PLAN, {"layer": rule})["layer"]
    np.testing.assert_allclose(plan(jnp.array([0, 5, 9, 20])), [0.5, 0.25, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ({"frozen": 3}, ValueError, r"`groups\['layer'\]` must be a dict of any of optimizer, schedule, factor"),
        ({}, ValueError, "a dict of any of"),
        ({"frozen_steps": 0}, ValueError, r"`groups\['layer'\]\['frozen_steps'\]` must be"),
        ({"frozen_steps": 2.5}, ValueError, "frozen_steps"),
        ({"warmup_steps": -1}, ValueError, "warmup_steps"),
        (
            {"optimizer": optax.sgd(0.1)},
            TypeError,
            r"`groups\['layer'\]\['optimizer'\]` must be a function learning_rate -> optimizer",
        ),
        ({"schedule": 0.1}, TypeError, r"`groups\['layer'\]\['schedule'\]` must be a schedule"),
    ],
)
def test_wrong_rules_are_named(rule: dict[str, Any], error: type[Exception], words: str) -> None:
    """A wrong part of a rule is an error with its place."""
    with pytest.raises(error, match=words):
        lrax.by_path(optax.adam, PLAN, {"layer": rule})


def test_matrices_are_found_by_shape() -> None:
    """Two-dimensional weights outside embeddings and heads, whatever characters their paths have; shapes will do."""
    params = {"a.b": jnp.ones((2, 2)), "ab": jnp.ones(2), "axb": {"c(1)": jnp.ones((3, 3))}, "wte_embed": jnp.ones((2, 2))}
    shapes = jax.eval_shape(lambda: params)
    tx = lrax.by_path(optax.sgd, lrax.Constant(1.0), {lrax.matrices(shapes): 0.5})
    updates, _ = tx.update(params, tx.init(params), params)
    assert float(updates["a.b"][0, 0]) == float(updates["axb"]["c(1)"][0, 0]) == -0.5
    assert float(updates["ab"][0]) == float(updates["wte_embed"][0, 0]) == -1
    with pytest.raises(ValueError, match="matrices: `params` must be parameters with matrices outside `exclude`"):
        lrax.matrices({"bias": jnp.ones(3)})
    assert lrax.matrices({"head": jnp.ones((2, 2))}, exclude="^$") == "^(head)$"


GROUPS = {
    "^embed": None,
    "^layer/kernel": {"optimizer": optax.contrib.muon, "factor": 2.0},
    "^layer/bias": {"schedule": lrax.Linear(1.0, 0.0, 10), "factor": 0.5, "floor": 0.1, "frozen_steps": 3, "warmup_steps": 4},
}
"""Every kind of rule; the head is the rest."""


def want(step: int) -> dict[str, Any]:
    """The learning rates of a step."""
    bias = max(0.5 * (1 - step / 10), 0.1) * min(max(step - 2, 0) / 5, 1)
    return {"^layer/bias": bias, "^layer/kernel": 2 * float(PLAN(step)), "rest": float(PLAN(step))}


def assert_rates(state: Any, step: int) -> None:
    """A state has the learning rates of that step as its last ones."""
    rates = lrax.group_lrs(state)
    np.testing.assert_allclose([rates[label] for label in want(step)], list(want(step).values()), rtol=1e-5, atol=1e-7)
    for label, lr in want(step).items():
        np.testing.assert_allclose(lrax.last_lr(state, path=label), lr, rtol=1e-5, atol=1e-7)


def test_rates_of_all_rules_are_read_from_the_state_and_shown() -> None:
    """`group_lrs`, `last_lr`, `next_lr` and `group_table` agree, at a frozen step, in the warm-up and after it."""
    tx = lrax.by_path(optax.adam, PLAN, GROUPS)
    for steps in (2, 5, 9):
        state = trained(tx, steps)[-1]
        assert_rates(state, steps - 1)
        for label, lr in want(steps).items():
            np.testing.assert_allclose(lrax.next_lr(state, tx, path=label), lr, rtol=1e-5, atol=1e-7)
        table = str(lrax.group_table(PLAN, GROUPS, PARAMS, count=steps)).splitlines()
        rows = {row.split()[0]: row.split()[-1] for row in table}
        assert rows["embed/table"] == "-"
        np.testing.assert_allclose(float(rows["layer/bias"]), want(steps)["^layer/bias"], rtol=1e-3)


def test_a_checkpoint_of_all_rules_goes_on(tmp_path: Any) -> None:
    """Restored from Orbax into a fresh state, in the middle of a freeze, training goes on bit for bit."""
    ocp = pytest.importorskip("orbax.checkpoint")
    tx = lrax.by_path(optax.adam, PLAN, GROUPS)
    update = jax.jit(tx.update)
    *params, state = trained(tx, 2)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        again = checkpointer.restore(tmp_path / "state", tx.init(PARAMS))
    jax.tree.map(np.testing.assert_array_equal, again, state)
    one, other = (update(PARAMS, its, params[-1]) for its in (state, again))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert_rates(other[1], 2)


def test_the_plans_of_all_rules_are_json() -> None:
    """The schedule of each group, as the optimizer has it, is the same after `to_json` and `from_json`."""
    tx = lrax.by_path(optax.adam, PLAN, GROUPS)
    counts = jnp.arange(40)
    for plan in filter(None, tx.schedules.values()):
        np.testing.assert_array_equal(lrax.from_json(lrax.to_json(plan))(counts), plan(counts))


def test_sharded_states_of_all_rules() -> None:
    """On a mesh, moments are laid out as the parameters, the learning rates everywhere; both are the same as without."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), "all")
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None))
    tx = lrax.by_path(optax.adam, PLAN, GROUPS)
    placed = jax.device_put(PARAMS, split)
    changes, state = jax.jit(tx.update)(placed, jax.jit(tx.init)(placed), placed)
    plain, other = jax.jit(tx.update)(PARAMS, tx.init(PARAMS), PARAMS)
    jax.tree.map(np.testing.assert_array_equal, (changes, state), (plain, other))
    assert changes["layer"]["kernel"].sharding.is_equivalent_to(split, 2)
    assert_rates(state, 0)


@pytest.mark.skipif(
    flax.__version__.startswith("0.11."), reason="its optimizer takes no state without arrays, as frozen groups have"
)
def test_an_nnx_optimizer_with_all_rules() -> None:
    """`nnx.Optimizer` trains the groups, and its state has their learning rates."""

    class Net(nnx.Module):
        def __init__(self) -> None:
            self.embed = nnx.Embed(6, 4, rngs=nnx.Rngs(0))
            self.layer = nnx.Linear(4, 4, rngs=nnx.Rngs(1))
            self.head = nnx.Linear(4, 2, use_bias=False, rngs=nnx.Rngs(2))

        def __call__(self, x: Any) -> Any:
            return self.head(jnp.tanh(self.layer(self.embed(x))))

    model = Net()
    groups = GROUPS | {"^layer/kernel": {"optimizer": optax.sgd, "factor": 2.0}}  # older versions of Flax take no Muon
    optimizer = nnx.Optimizer(model, lrax.by_path(optax.adam, PLAN, groups), wrt=nnx.Param)
    before = [np.asarray(one[...]) for one in (model.embed.embedding, model.layer.bias, model.layer.kernel)]
    for _ in range(3):
        optimizer.update(model, nnx.grad(lambda model: (model(jnp.arange(6)) ** 2).sum())(model))
    np.testing.assert_array_equal(model.embed.embedding[...], before[0])
    np.testing.assert_array_equal(model.layer.bias[...], before[1])
    assert not np.array_equal(model.layer.kernel[...], before[2])
    assert_rates(optimizer.opt_state, 2)


def test_freezes_are_in_a_sweep() -> None:
    """The rules work where the schedule is one of a batch: each run has its peak, and the same freeze."""
    steps, params = 4, {"layer": {"bias": jnp.ones(2)}, "head": jnp.ones(2)}
    groups = {"^layer": {"factor": 0.5, "frozen_steps": 3}}

    def train(schedule: lrax.Schedule) -> Any:
        tx = lrax.by_path(optax.sgd, schedule, groups)

        def step(state: Any, _: Any) -> Any:
            _, state = tx.update(params, state, params)
            return state, lrax.group_lrs(state)

        return jax.lax.scan(step, tx.init(params), length=steps)[1]

    rates = lrax.sweep(train, lrax.Constant(jnp.array([0.1, 0.2])))
    np.testing.assert_allclose(rates["^layer"], [[0, 0, 0, 0.05], [0, 0, 0, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(rates["rest"], [[0.1] * 4, [0.2] * 4], rtol=1e-6)
