"""Rates by the path of a parameter, and schedules for other hyper-parameters."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import lrax

pytestmark = pytest.mark.standard_promotion  # optax's Adam mixes dtypes

SCHEDULE = lrax.Linear(1.0, 0.0, steps=10)
WEIGHTS = {"body": {"layer_0": jnp.ones(2), "layer_1": jnp.ones(2)}, "head": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}


def moved(tx: Any, updates: int) -> Any:
    """The last of some updates, and the state after it."""
    state = tx.init(WEIGHTS)
    for _ in range(updates):
        changes, state = jax.jit(tx.update)(WEIGHTS, state, WEIGHTS)
    return changes, state


def test_factors_schedules_and_frozen_parts() -> None:
    """A number multiplies the schedule, a schedule replaces it, None freezes, the first pattern that fits wins."""
    groups = {"bias$": None, "layer_0": 0.25, "^body": 0.5, "^head": lrax.Constant(3.0)}
    changes, state = moved(lrax.by_path(optax.sgd, SCHEDULE, groups), 3)
    np.testing.assert_allclose(changes["body"]["layer_0"], -0.25 * SCHEDULE(2) * np.ones(2))
    np.testing.assert_allclose(changes["body"]["layer_1"], -0.5 * SCHEDULE(2) * np.ones(2))
    np.testing.assert_allclose(changes["head"]["kernel"], -3 * np.ones(2))
    np.testing.assert_array_equal(changes["head"]["bias"], np.zeros(2))
    want = {"layer_0": 0.25 * SCHEDULE(2), "^body": 0.5 * SCHEDULE(2), "^head": 3.0, "rest": SCHEDULE(2)}
    assert lrax.group_lrs(state).keys() == want.keys()
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), lrax.group_lrs(state), want)


def test_the_rest_follows_the_schedule() -> None:
    """What no pattern names is trained as if there were none."""
    tx = optax.adamw(SCHEDULE)
    want = moved(tx, 3)[0]["body"]
    got = moved(lrax.by_path(optax.adamw, SCHEDULE, {"^head": 0.1}), 3)[0]["body"]
    jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.mark.parametrize("factory", [optax.adamw, functools.partial(lrax.recorded, optax.adamw)], ids=["plain", "recorded"])
def test_groups_tell_their_rates(factory: Any) -> None:
    """Each group's last and next rate are its own, with the base schedule and without, outside jit and inside."""
    tx = lrax.by_path(factory, SCHEDULE, {"^head": 0.1, "layer_1": lrax.Constant(3.0)})
    state = moved(tx, 2)[1]
    wants = {"rest": SCHEDULE, "^head": lrax.Scale(SCHEDULE, 0.1), "head": lrax.Scale(SCHEDULE, 0.1), "layer_1": lambda _: 3.0}
    for call in (lambda function: function, jax.jit):
        for path, want in wants.items():
            for schedule in (None, SCHEDULE, tx):
                last = call(functools.partial(lrax.last_lr, schedule=schedule, path=path))(state)
                np.testing.assert_allclose(last, want(1), rtol=1e-6)
            for schedule in (want, tx):
                following = call(functools.partial(lrax.next_lr, schedule=schedule, path=path))(state)
                np.testing.assert_allclose(following, want(2), rtol=1e-6)
    assert lrax.count_of(state) == 2
    assert lrax.next_lr(state, SCHEDULE) == SCHEDULE(2)


def test_a_plateau_after_the_groups_counts_in() -> None:
    """A plateau in a chain with the groups multiplies every group's rate; one of another optimizer multiplies none."""
    tx = optax.chain(lrax.by_path(optax.sgd, SCHEDULE, {"^head": 0.1}), lrax.reduce_on_plateau(factor=0.5, patience=1))
    state = tx.init(WEIGHTS)
    for _ in range(2):
        _, state = tx.update(WEIGHTS, state, WEIGHTS, value=1.0)
    want = {"^head": 0.05 * SCHEDULE(1), "rest": 0.5 * SCHEDULE(1)}
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), lrax.group_lrs(state), want)
    other = {"one": moved(lrax.recorded(optax.sgd, SCHEDULE), 1)[1], "two": state}
    assert lrax.last_lr(other, path="one") == SCHEDULE(0)


def test_rates_of_a_state_without_groups() -> None:
    """A state that stores its learning rate has one entry; one that stores none needs the schedule."""
    assert lrax.group_lrs(moved(lrax.recorded(optax.adamw, SCHEDULE), 1)[1]) == {"rest": SCHEDULE(0)}
    state = optax.adamw(SCHEDULE).init(WEIGHTS)
    with pytest.raises(ValueError, match=r"^group_lrs: `opt_state` must hold a learning rate, got none"):
        lrax.group_lrs(state)
    assert lrax.group_lrs(state, SCHEDULE) == {"rest": SCHEDULE(0)}


def test_several_learning_rates_are_listed() -> None:
    """`last_lr` of a state with several learning rates lists them and names `group_lrs`."""
    state = moved(lrax.by_path(optax.sgd, SCHEDULE, {"^head": 0.1}), 2)[1]
    with pytest.raises(
        ValueError,
        match=r"last_lr: `path` must be .* '\^head' = 0.09.*, 'rest' = 0.9.*, got None; lrax.group_lrs\(opt_state\)",
    ):
        lrax.last_lr(state)
    with pytest.raises(ValueError, match=r"next_lr: `path` must be the label of one trained group, 'rest' or '\^head'"):
        lrax.next_lr(state, lrax.by_path(optax.sgd, SCHEDULE, {"^head": 0.1}))


OTHER = lrax.Linear(0.1, 0.0, steps=10)
MATRICES = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
HAS_BOTH = "adam_learning_rate" in inspect.signature(optax.contrib.muon).parameters  # not in the oldest optax
MUON = functools.partial(optax.contrib.muon, adam_learning_rate=OTHER)


def injected(learning_rate: Any) -> Any:
    return optax.inject_hyperparams(optax.contrib.muon)(learning_rate=learning_rate, adam_learning_rate=OTHER)


TWO = {
    "muon": lambda: MUON(SCHEDULE),
    "recorded muon": lambda: lrax.recorded(MUON, SCHEDULE),
    "injected muon": lambda: injected(SCHEDULE),
    "recorded, injected muon": lambda: lrax.recorded(injected, SCHEDULE),
    "plain groups": lambda: optax.partition(
        {"muon": optax.sgd(SCHEDULE), "adam": optax.adam(OTHER)}, lambda params: {"w": "muon", "b": "adam"}
    ),
    "recorded and injected groups": lambda: optax.partition(
        {
            "muon": lrax.recorded(optax.sgd, SCHEDULE),
            "adam": optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.adam)(learning_rate=OTHER)),
        },
        lambda params: {"w": "muon", "b": "adam"},
    ),
}
STORED = {"injected muon", "recorded, injected muon", "recorded and injected groups"}


@pytest.mark.parametrize("name", TWO)
def test_two_learning_rates(name: str) -> None:
    """Both learning rates of Muon and of a partition are reported by group: from the state, or with a dict of schedules."""
    if name.endswith("muon") and not HAS_BOTH:
        pytest.skip("the Muon of this optax has one learning rate")
    tx = TWO[name]()
    update = jax.jit(tx.update)
    _, state = update(MATRICES, tx.init(MATRICES), MATRICES)
    _, state = update(MATRICES, state, MATRICES)
    want = {"adam": OTHER(1), "muon": SCHEDULE(1)}
    for function in (lrax.group_lrs, jax.jit(lrax.group_lrs)) if name in STORED else ():
        got = function(state)
        assert list(got) == ["adam", "muon"]
        np.testing.assert_allclose(list(got.values()), list(want.values()), rtol=1e-6)
    if name in STORED:
        with pytest.raises(ValueError, match=r"choose one of the learning rates .* lrax.group_lrs\(opt_state\) returns all"):
            lrax.last_lr(state)
    else:
        with pytest.raises(ValueError, match=r"^group_lrs: `schedule` must be given for the groups .*: 'adam', 'muon'"):
            lrax.group_lrs(state)
        with pytest.raises(ValueError, match=r"^group_lrs: .*'muon'"):
            lrax.group_lrs(state, {"adam": OTHER})
        got = lrax.group_lrs(state, {"adam": OTHER, "muon": SCHEDULE})
        np.testing.assert_allclose([got["adam"], got["muon"]], list(want.values()), rtol=1e-6)
    np.testing.assert_allclose(lrax.next_lr(state, {"adam": OTHER, "muon": SCHEDULE}, "adam"), OTHER(2), rtol=1e-6)


@pytest.mark.skipif(not HAS_BOTH, reason="the Muon of this optax has one learning rate")
def test_a_plain_learning_rate_among_three_groups_is_nobody_s() -> None:
    """Next to Muon's learning rates and a group with its own, `learning_rate` could be either's: give a schedule."""
    third = {"third": optax.inject_hyperparams(optax.sgd)(learning_rate=0.3), "frozen": optax.set_to_zero()}
    tx = optax.chain(injected(SCHEDULE), optax.partition(third, {"w": "third", "b": "frozen"}))
    state = tx.init(MATRICES)
    with pytest.raises(ValueError, match=r"^group_lrs: `schedule` must be given for the groups .*: 'muon', got None"):
        lrax.group_lrs(state)
    assert lrax.group_lrs(state, {"muon": SCHEDULE})["third"] == np.float32(0.3)


def test_one_schedule_for_all_groups() -> None:
    """One schedule given to `group_lrs` is that of all groups; that of `recorded` is not, for it is one of several."""
    state = moved(optax.contrib.muon(SCHEDULE), 1)[1]
    assert lrax.group_lrs(state, SCHEDULE) == {"adam": SCHEDULE(0), "muon": SCHEDULE(0)}
    tx = lrax.recorded(optax.contrib.muon, SCHEDULE)
    with pytest.raises(ValueError, match=r"group_lrs: `schedule` must be given for the groups .*: 'adam', 'muon'"):
        lrax.group_lrs(moved(tx, 1)[1], tx)
    with pytest.raises(ValueError, match=r"by the labels of the state's groups, 'adam', 'muon', got 'matrices'"):
        lrax.group_lrs(state, {"matrices": SCHEDULE})


def test_several_states_have_their_places_as_names() -> None:
    """The states of two networks in one collection are one entry each."""
    one, two = (moved(lrax.recorded(optax.sgd, schedule), 2)[1] for schedule in (SCHEDULE, OTHER))
    got = lrax.group_lrs({"generator": one, "critic": two})
    np.testing.assert_allclose([got["generator"], got["critic"]], [SCHEDULE(1), OTHER(1)], rtol=1e-6)


def test_frozen_for_a_while() -> None:
    """A group whose learning rate is 0 at first keeps its parameters, while its count and Adam's moments run."""
    held = lrax.Sequence(lrax.Hold(0.0, 2), lrax.Linear(0.5, 0.0, 4))
    tx = lrax.by_path(optax.adam, SCHEDULE, {"^body": held})
    changes, state = moved(tx, 2)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(changes["body"]))
    assert np.all(changes["head"]["kernel"])
    assert lrax.next_lr(state, tx, "^body") == held(2) == 0.5
    changes, _ = tx.update(WEIGHTS, state, WEIGHTS)
    want, _ = moved(optax.adam(held), 3)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), changes["body"], want["body"])


def test_a_group_with_the_empty_name() -> None:
    """The pattern `""` takes what is left: its learning rate is its own, not that of the whole, and it has a name."""
    groups = {"^head": 0.1, "": 0.5}
    tx = lrax.by_path(optax.sgd, SCHEDULE, groups)
    state = moved(tx, 2)[1]
    got = lrax.group_lrs(state)
    np.testing.assert_allclose([got["^head"], got[""]], [0.1 * SCHEDULE(1), 0.5 * SCHEDULE(1)], rtol=1e-6)
    np.testing.assert_allclose(lrax.last_lr(state, path=""), 0.5 * SCHEDULE(1), rtol=1e-6)
    np.testing.assert_allclose(lrax.next_lr(state, tx, path=""), 0.5 * SCHEDULE(2), rtol=1e-6)
    with pytest.raises(ValueError, match="choose one of the learning rates"):
        lrax.last_lr(state)
    rows = [row.split() for row in lrax.group_table(SCHEDULE, groups, WEIGHTS).splitlines()]
    assert rows[1] == ["body/layer_0", "(rest)", "0.5"]
    assert lrax.group_table(SCHEDULE, {"": 0.5}, jnp.ones(2)).splitlines()[1].split() == ["(params)", "(rest)", "0.5"]


def test_a_state_of_other_groups_is_named() -> None:
    """Other groups, groups that become frozen, and the state of the bare optimizer are errors that say how to convert it."""
    groups = {"^head": 0.1}
    states = {
        "bare": optax.adam(SCHEDULE).init(WEIGHTS),
        "recorded": lrax.recorded(optax.adam, SCHEDULE).init(WEIGHTS),
        "other groups": lrax.by_path(optax.adam, SCHEDULE, {"^body": 0.1}).init(WEIGHTS),
        "frozen": lrax.by_path(optax.adam, SCHEDULE, {"^head": None}).init(WEIGHTS),
    }
    tx, message = (
        lrax.by_path(optax.adam, SCHEDULE, groups),
        r"by_path: `opt_state` must be a state of by_path.*convert_state\(",
    )
    for state in states.values():
        with pytest.raises(TypeError, match=message):
            tx.update(WEIGHTS, state, WEIGHTS)
    with pytest.raises(TypeError, match=r"'rest', '\^head', '\^head' frozen, got .*convert_state\("):
        lrax.by_path(optax.adam, SCHEDULE, {"^head": None}).update(WEIGHTS, tx.init(WEIGHTS), WEIGHTS)


def test_factors_and_floors() -> None:
    """A group's rate is its factor of the schedule, and does not go below its floor; the others' do."""
    groups = {"bias$": {"factor": 0.5, "floor": 0.4}, "kernel$": {"floor": 0.95}, "layer_0": {"factor": 2.0}}
    _, state = moved(lrax.by_path(optax.sgd, SCHEDULE, groups), 4)  # the last rate of the schedule is 0.7
    want = {"bias$": 0.4, "kernel$": 0.95, "layer_0": 1.4, "rest": 0.7}
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), lrax.group_lrs(state), want)


def test_layerwise_rates_are_not_off_by_one() -> None:
    """The last layer is one decay below the head, the first as many as there are layers, embeddings one more: electra#51."""
    params = {"embed": 0.0, "task_head": 0.0} | {f"layer_{i}": {"w": 0.0, "b": 0.0} for i in range(12)}
    groups = lrax.layerwise(params, "layer_{}/", 0.5, below="^embed")
    assert groups == {**{f"layer_{i}/": 0.5 ** (12 - i) for i in reversed(range(12))}, "^embed": 0.5**13}
    weights = jax.tree.map(jnp.asarray, params)
    tx = lrax.by_path(optax.sgd, lrax.Constant(1.0), groups)
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, weights), tx.init(weights))
    got = [-updates["task_head"], *(-updates[f"layer_{i}"]["w"] for i in (11, 10, 1, 0)), -updates["embed"]]
    np.testing.assert_allclose(got, [1, 0.5, 0.25, 0.5**11, 0.5**12, 0.5**13])


def test_layers_are_known_by_their_whole_number() -> None:
    """`layer_1` takes nothing of `layer_12`, numbers may begin at 1, have zeros in front, or be keys of their own."""
    flat = dict.fromkeys(("block1", "block2", "block12"), 0.0)
    groups = lrax.layerwise(flat, "block{}", 0.5)
    labels = [row.split()[1:] for row in lrax.group_table(lrax.Constant(1.0), groups, flat).splitlines()[1:]]
    assert [rate for _, rate in labels] == ["0.125", "0.5", "0.25"]  # block1, block12, block2
    assert lrax.layerwise({"h_01": 0.0, "h_10": 0.0}, "h_{}$", 0.5) == {"h_10$": 0.5, "h_01$": 0.25}
    assert lrax.layerwise({"blocks": [0.0, 0.0]}, "^blocks/{}$", 0.5) == {"^blocks/1$": 0.5, "^blocks/0$": 0.25}
    with pytest.raises(ValueError, match=r"layerwise: `layer` must be a pattern with one {} for the number, got 'layer'"):
        lrax.layerwise(flat, "layer", 0.5)
    with pytest.raises(
        ValueError, match=r"`layer` must be a pattern that names parameters, got 'h_{}'; the paths are block1, block12"
    ):
        lrax.layerwise(flat, "h_{}", 0.5)
    with pytest.raises(ValueError, match=r"layerwise: `decay` must be a finite number above 0"):
        lrax.layerwise(flat, "block{}", 0.0)


def test_the_table_is_what_is_trained() -> None:
    """The table's rates are those of the groups' states at that count."""
    groups = {"bias$": None, "layer_0": 0.25, "^head": lrax.Constant(3.0)}
    _, state = moved(lrax.by_path(optax.sgd, SCHEDULE, groups), 3)
    rates = {label: f"{rate:.4g}" for label, rate in lrax.group_lrs(state).items()} | {"bias$": "-"}
    rows = [row.split() for row in lrax.group_table(SCHEDULE, groups, WEIGHTS, count=2).splitlines()[1:]]
    assert [path for path, *_ in rows] == ["body/layer_0", "body/layer_1", "head/bias", "head/kernel"]
    assert all(rate == rates[label] for _, label, rate in rows)
    with pytest.raises(ValueError, match=r"group_table: `groups` must be patterns that each name parameters, got 'heat'"):
        lrax.group_table(SCHEDULE, {"heat": 0.1}, WEIGHTS)


def test_paths_of_flax_models() -> None:
    """The paths of Flax Linen and NNX parameters read as the models are written."""

    class Net(nnx.Module):
        def __init__(self) -> None:
            self.body = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
            self.head = nnx.Linear(2, 1, rngs=nnx.Rngs(1))

    model = Net()
    optimizer = nnx.Optimizer(model, lrax.by_path(optax.sgd, SCHEDULE, {"^body/kernel": None}), wrt=nnx.Param)
    before = model.body.kernel[...], model.head.kernel[...]
    optimizer.update(model, nnx.grad(lambda model: model.head(model.body(jnp.ones((1, 2)))).sum())(model))
    np.testing.assert_array_equal(model.body.kernel[...], before[0])
    assert not np.array_equal(model.head.kernel[...], before[1])

    params = linen.Dense(3).init(jax.random.key(0), jnp.ones((1, 2)))["params"]
    tx = lrax.by_path(optax.sgd, SCHEDULE, {"^kernel$": None})
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_array_equal(updates["kernel"], np.zeros((2, 3)))


def test_mistakes_are_named() -> None:
    """A pattern that names nothing, or is none, and what is no rate, are errors."""
    with pytest.raises(ValueError, match=r"`groups` must be patterns that each name.*'heat'; the paths are body/layer_0, body"):
        lrax.by_path(optax.sgd, SCHEDULE, {"heat": 0.1}).init(WEIGHTS)
    with pytest.raises(ValueError, match=r"got 'layer_0'; an earlier pattern takes all"):
        lrax.by_path(optax.sgd, SCHEDULE, {"body": 0.1, "layer_0": 0.2}).init(WEIGHTS)
    with pytest.raises(ValueError, match=r"by_path: `groups` must be by regular expression, got '\('"):
        lrax.by_path(optax.sgd, SCHEDULE, {"(": 0.1})
    with pytest.raises(ValueError, match=r"without the pattern 'rest'"):
        lrax.by_path(optax.sgd, SCHEDULE, {"rest": 0.1})
    with pytest.raises(TypeError, match=r"`groups\['head'\]` must be a finite number, got 'low'"):
        lrax.by_path(optax.sgd, SCHEDULE, {"head": "low"})
    with pytest.raises(
        ValueError,
        match=r"`groups\['head'\]` must be a dict of any of optimizer, schedule, .*, got {'low': 1}",
    ):
        lrax.by_path(optax.sgd, SCHEDULE, {"head": {"low": 1}})
    with pytest.raises(TypeError, match=r"by_path: `optimizer` must be a function learning_rate -> optimizer"):
        lrax.by_path(optax.sgd(0.1), SCHEDULE, {"head": 0.1})


def test_schedules_for_other_hyperparameters() -> None:
    """inject_hyperparams in float32 takes schedules for momentum, decay and betas, also where parameters are bfloat16."""
    factory = optax.inject_hyperparams(optax.adamw, hyperparam_dtype=jnp.float32)
    decay, beta = lrax.Cosine(0.1, 0.0, steps=10), lrax.Linear(0.85, 0.95, steps=10)
    tx = factory(learning_rate=SCHEDULE, weight_decay=decay, b1=beta, b2=0.999)
    weights = jnp.ones(3, jnp.bfloat16)
    state = tx.init(weights)
    for _ in range(4):
        _, state = tx.update(weights, state, weights)
    got = dict(state.hyperparams)
    assert {value.dtype for value in got.values()} == {np.dtype("float32")}
    want = {"learning_rate": SCHEDULE(3), "weight_decay": decay(3), "b1": beta(3)}
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), {name: got[name] for name in want}, want)
    assert got["b2"] == np.float32(0.999)  # 1.0 without hyperparam_dtype: optax#1414
    assert lrax.last_lr(state) == SCHEDULE(3)


def test_patterns_name_the_variables_of_nnx_without_their_value() -> None:
    """`nnx.Optimizer` gives variables at init and arrays at update: patterns that end at a name fit both."""

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.mid, self.head = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 1, rngs=rngs)

    model = Net(nnx.Rngs(0))
    params = nnx.state(model, nnx.Param)
    assert lrax.matrices(params, exclude="head") == "^(mid/kernel)$"
    wide = nnx.state(Net(nnx.Rngs(1)), nnx.Param)
    assert lrax.theory.over_width(wide, params) == {}
    assert "mid/kernel   kernel$" in str(lrax.group_table(SCHEDULE, {"kernel$": 0.5}, params, count=0))
    for pattern in ("kernel$", "^(mid/kernel|head/kernel)$", lrax.matrices(params, exclude="none")):
        before = jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
        tx = nnx.Optimizer(model, lrax.by_path(optax.sgd, lrax.Constant(0.1), {pattern: 0.5}), wrt=nnx.Param)
        tx.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
        moved = jax.tree.map(lambda old, new: float((old - new).mean()), before, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
        for layer in ("mid", "head"):
            np.testing.assert_allclose([moved[layer]["kernel"], moved[layer]["bias"]], [0.05, 0.1], rtol=1e-5)
    mapping = {"attention": {"value": jnp.ones(2), "query": jnp.ones(2)}}  # a name of the user's own stays
    assert "attention/value" in str(lrax.group_table(SCHEDULE, {"value$": 0.5}, mapping, count=0))
