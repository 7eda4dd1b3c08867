"""One peak, and multiples of it for groups of parameters: found together, and checked against one learning rate."""

import dataclasses
import inspect
import itertools

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax
import pytest

import lrax
from compilations import compilations
from lrax.finder._factors import Pattern, search
from lrax.training._probes import in_groups
from problems import momentum

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = 1 + 0.1 * jax.random.normal(KEY, (64, 3))
SCALES = {"body": 1.0, "head": 100.0}


def loss_fn(params, batch):
    """Two bowls, one a hundred times as steep as the other."""
    return sum(scale * jnp.mean((params[name]["kernel"][None] - batch) ** 2) for name, scale in SCALES.items())


def learner(optimizer=momentum):
    """Trains both bowls."""
    return lrax.Learner.create(loss_fn, {name: {"kernel": jnp.zeros(3)} for name in SCALES}, optimizer)


PLAN = lrax.warmup_cosine(peak=1.0, total_steps=100, warmup_steps=0.1)


def find(one=None, data=DATA, **options):
    """A search for both groups."""
    options = {"batch_size": 4, "key": KEY, "groups": ("body", "head"), "budget": 900, **options}
    return lrax.find_lr(learner() if one is None else one, data, PLAN, **options)


@pytest.fixture(scope="module")
def found():
    """The result of the search."""
    with jax.numpy_dtype_promotion("standard"):
        return find()


def trained(peak, groups):
    """The loss after the whole plan with these groups."""
    schedule = lrax.Scale(PLAN, peak)
    params = learner().state.params
    tx = lrax.by_path(momentum, schedule, groups)

    def step(carry, batch):
        params, state = carry
        changes, state = tx.update(jax.grad(loss_fn)(params, batch), state, params)
        return (optax.apply_updates(params, changes), state), None

    batches = DATA[jax.random.randint(jax.random.key(7), (100, 4), 0, 64)]
    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), batches)
    return float(loss_fn(params, DATA))


def test_the_flat_group_gets_a_larger_multiple(found):
    """The multiples differ as the bowls do, are significant, and train better than one learning rate."""
    assert found.groups["body"] / found.groups["head"] > 5
    made = found.group_runs
    assert made.difference > 2 * made.noise
    assert made.check_steps > 20
    assert trained(found.peak, found.groups) < trained(found.peak, {"head": 1.0})
    assert lrax.by_path(optax.sgd, found.schedule, found.groups).init(learner().state.params)


def test_the_whole_search_stays_within_the_budget(found):
    """Ramp, short runs, runs with multiples and the check make at most the steps of the budget."""
    made = found.group_runs
    assert 600 < found.steps_run <= 900
    assert len(made.factors) == len(made.scores)
    assert made.steps_run + found.runs.steps_run + found.curves[0].steps_run == found.steps_run


@pytest.mark.parametrize("optimizer", [optax.adam, momentum, lambda lr: optax.inject_hyperparams(optax.adam)(learning_rate=lr)])
def test_each_group_makes_the_step_of_its_learning_rate(optimizer):
    """Parameters and moments of a group are those of a step at its learning rate; counts are those of any."""
    one = learner(optimizer)
    grouped, has_rest = in_groups("find_lr", one, ("body",))
    assert has_rest
    start = grouped.state._replace(factors=np.float32([1.0, 4.0]))
    state, loss = jax.jit(grouped.step)(start, DATA[:4], jnp.float32(0.1))
    (rest, expected), (body, _) = (one.step(one.state, DATA[:4], jnp.float32(lr)) for lr in (0.1, 0.4))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    leaves = zip(*map(jax.tree.leaves_with_path, (state.inner, rest, body)), strict=True)
    for (path, got), (_, plain), (_, larger) in leaves:
        np.testing.assert_allclose(got, larger if "body" in jax.tree_util.keystr(path) else plain, rtol=1e-6)


@pytest.mark.parametrize("kind", ["by_path", "multi_transform", "muon"])
def test_two_optimizers_in_one(kind):
    """Groups of an optimizer that has two inside make the steps of `by_path` with the same multiples."""
    params = {"w": jnp.eye(3), "b": jnp.ones(3)}
    loss = lambda params, batch: jnp.mean((batch @ params["w"] + params["b"][None]) ** 2)  # noqa: E731
    labels = {"w": "muon", "b": "adam"}
    factory = {
        "by_path": lambda lr: lrax.by_path(optax.adam, lr, {"w": {"optimizer": optax.contrib.muon}}),
        "multi_transform": lambda lr: optax.multi_transform({"muon": optax.contrib.muon(lr), "adam": optax.adam(lr)}, labels),
        "muon": optax.contrib.muon,
    }[kind]
    grouped, _ = in_groups("find_lr", lrax.Learner.create(loss, params, factory), ("w",))
    state = grouped.state._replace(factors=np.float32([1.0, 8.0]))
    step = jax.jit(grouped.step)
    for _ in range(2):
        state, _ = step(state, DATA[:8], jnp.float32(0.01))
    tx = lrax.by_path(optax.adam, lrax.Constant(0.01), {"w": {"optimizer": optax.contrib.muon, "factor": 8.0}})
    if kind == "muon":  # whose Adam is another
        if "adam_learning_rate" not in inspect.signature(optax.contrib.muon).parameters:
            pytest.skip("the Muon of this optax has one learning rate")
        tx = optax.contrib.muon(0.08, adam_learning_rate=0.01)
    opt_state = tx.init(params)
    for _ in range(2):
        changes, opt_state = tx.update(jax.grad(loss)(params, DATA[:8]), opt_state, params)
        params = optax.apply_updates(params, changes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state.inner.params, params)


def test_gradients_are_computed_once_for_all_groups():
    """Only what depends on the learning rate is mapped over groups: as many products as in one step."""
    loss = lambda params, batch: jnp.mean((jnp.tanh(batch @ params["w"]) @ params["v"]) ** 2)  # noqa: E731
    one = lrax.Learner.create(loss, {"w": jnp.ones((3, 5)), "v": jnp.ones((5, 2))}, optax.adam)
    grouped, _ = in_groups("find_lr", one, ("w", "v"))
    products = [str(jax.make_jaxpr(its.step)(its.state, DATA[:4], 0.1)).count("dot_general") for its in (one, grouped)]
    assert products[0] == products[1]


def test_multiples_that_are_not_significant_are_one():
    """Two bowls that are the same need no multiples: the result says so, and its peak is the common one."""
    same = lambda params, batch: sum(jnp.mean((leaf[None] - batch) ** 2) for leaf in jax.tree.leaves(params))  # noqa: E731
    one = lrax.Learner.create(same, {"body": jnp.zeros(3), "head": jnp.zeros(3)}, momentum)
    found = find(one, budget=600)
    assert found.groups == {"body": 1.0, "head": 1.0}
    assert "all are 1" in found.explanation
    assert "for all groups" in str(found)


def test_a_user_s_learner_the_rest_and_an_evaluation():
    """Without `params` in it, a whole state is grouped by its paths; the rest is a part, and the metric judges."""

    def step(state, batch, rate):
        loss, slope = jax.value_and_grad(loss_fn)(state, batch)
        return jax.tree.map(lambda one, its: one - rate * its, state, slope), loss

    one = lrax.Learner({name: {"kernel": jnp.zeros(3)} for name in SCALES}, step)
    found = find(one, groups=["head"], evaluation=lrax.Evaluation(lambda state: loss_fn(state, DATA)))
    assert found.groups["head"] < 0.5
    assert trained(found.peak, found.groups) < 0.1 * float(loss_fn(one.state, DATA))


def test_it_says_and_draws_the_learning_rate_of_each_group(found, tmp_path):
    """The text has the multiple and the learning rate, the picture a line for each; a file keeps all of it."""
    mpl.use("Agg")
    assert f"body at {found.groups['body']:g} times it" in str(found)
    assert "standard error" in found.explanation
    labels = found.plot().get_legend_handles_labels()[1]
    assert any(label.startswith("body ") for label in labels)
    found.save(tmp_path / "found.npz")
    again = lrax.finder.FinderResult.load(tmp_path / "found.npz")
    assert (again.groups, str(again), again.explanation) == (found.groups, str(found), found.explanation)
    np.testing.assert_array_equal(again.group_runs.factors, found.group_runs.factors)


def test_runs_with_multiples_share_programs():
    """Another search compiles nothing."""
    find(budget=300)
    with compilations() as compiled:
        find(budget=300)
    assert not compiled


def test_an_iterable_and_an_interrupt():
    """Batches of an iterable work; Ctrl-C in a run with multiples has the search for one peak in its result."""
    batches = [DATA[i : i + 4] for i in range(0, 64, 4)]
    assert set(find(data=batches, budget=300, batch_size=None, key=None).groups) == {"body", "head"}

    def interrupted():
        for count in itertools.count():
            if count == 140:
                raise KeyboardInterrupt
            yield DATA[:4]

    with pytest.raises(KeyboardInterrupt) as caught:
        find(data=interrupted(), budget=300, batch_size=None, key=None)
    assert len(caught.value.found.runs)


def test_the_pattern_search_follows_a_valley():
    """It finds a minimum that is far off on one axis, where the other axis is steep, in few points."""
    bowl = lambda points: [(one - 5) ** 2 + 4 * (other + 1) ** 2 + (one - 5) * (other + 1) for one, other in points]  # noqa: E731
    found = search(bowl, parts=2, evaluations=24)
    np.testing.assert_allclose(found.refined(), [5, -1], atol=0.6)
    flat = search(lambda points: [0.0 if any(point) else -1.0 for point in points], parts=3, evaluations=200)
    assert flat.best == (0, 0, 0)
    assert flat.common() == 0
    edge = search(lambda points: [np.inf if max(point) > 1 else -sum(point) for point in points], parts=2, evaluations=30)
    assert max(edge.best) <= 1
    assert Pattern(2).next(3) == [(0, 0), (1, 1), (-1, -1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": "head"}, "`groups` must be different regular expressions"),
        ({"groups": ()}, "`groups` must be different regular expressions"),
        ({"groups": ("head", "tail")}, "`groups` must be patterns that each name parameters, got 'tail'; the paths are body"),
        ({"groups": ("(",)}, "`groups` must be by regular expression"),
        ({"budget": 100}, "`budget` must be at least 230 steps for these groups, got 100"),
    ],
)
def test_what_cannot_be_used_is_named(options, message):
    """A bad argument is an error that names it, before anything runs."""
    with pytest.raises((TypeError, ValueError), match=f"find_lr: {message}".replace("(", r"\(")):
        find(**options)


def test_a_result_without_groups_has_none(found):
    """The fields of groups are empty where none were asked for."""
    plain = dataclasses.replace(found, groups={}, group_runs=None)
    assert "times it" not in str(plain)
    assert "multiples" not in plain.explanation
