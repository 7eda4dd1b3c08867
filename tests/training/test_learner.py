import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import linear_params, momentum, regression, same, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

RATE = 0.05


def manual(optimizer, updates=3):
    """Parameters after some updates, written out by hand."""
    params, batch = linear_params(), regression()
    state = optimizer.init(params)
    for _ in range(updates):
        grads = jax.grad(squared_error)(params, batch)
        change, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, change)
    return params, state


def by_learner(learner, updates=3, rate=RATE):
    """Parameters after some updates of a learner."""
    state = learner.state
    for _ in range(updates):
        state, _ = jax.jit(learner.step)(state, regression(), jnp.float32(rate))
    return state


@pytest.mark.parametrize(
    "factory", [optax.sgd, momentum, optax.adamw, lambda rate: optax.chain(optax.clip(1.0), optax.adam(rate))]
)
def test_update_is_the_optimizer_s_own(factory):
    """A learner's updates equal those of the optimizer made with that rate."""
    expected, _ = manual(factory(RATE))
    got = by_learner(lrax.Learner.create(squared_error, linear_params(), factory)).params
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), got, expected)


@pytest.mark.parametrize("made_with", [0.3, optax.constant_schedule(0.3), "injected"])
def test_goes_on_from_a_state_of_any_structure(made_with):
    """States of an optimizer made with a number, with a schedule, or injected are taken as they are, momenta included."""
    factory = optax.inject_hyperparams(momentum) if made_with == "injected" else momentum
    optimizer = factory(0.3 if made_with == "injected" else made_with)
    params, opt_state = manual(optimizer)
    learner = lrax.Learner.create(squared_error, params, factory, opt_state=opt_state)
    got = by_learner(learner, updates=1)
    assert jax.tree.structure(got.opt_state) == jax.tree.structure(opt_state)

    grads = jax.grad(squared_error)(params, regression())
    trace = jax.tree.map(
        lambda g, t: g + 0.9 * t, grads, next(s for s in jax.tree.leaves(opt_state, is_leaf=is_trace) if is_trace(s)).trace
    )
    expected = jax.tree.map(lambda p, t: p - RATE * t, params, trace)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), got.params, expected)


def is_trace(node):
    """Whether a node is the momentum of SGD."""
    return isinstance(node, optax.TraceState)


def test_state_of_another_optimizer_is_refused():
    """A state that the factory cannot have made is a short error that says which part differs."""
    params = linear_params()

    def message(factory, optimizer, weights=params):
        with pytest.raises(ValueError, match=r"^Learner.create: `opt_state` must be a state of `op") as caught:
            lrax.Learner.create(squared_error, params, factory, opt_state=optimizer.init(weights))
        assert len(str(caught.value)) < 200
        return str(caught.value)

    assert "got another: it[0] is ScaleByAdamState instead of TraceState" in message(momentum, optax.adam(0.1))
    assert "it has 2 parts instead of 3" in message(optax.adamw, optax.chain(optax.clip(1.0), optax.adam(0.1)))
    schedule = optax.constant_schedule(0.1)
    assert "it[0] is TraceState instead of EmptyState" in message(optax.sgd, optax.sgd(schedule, momentum=0.9))
    others = {"weight": jnp.zeros(3), "scale": jnp.zeros(())}
    assert "it[0].mu['bias'] is missing" in message(optax.adam, optax.adam(schedule), others)


def test_a_replicated_state_is_refused():
    """A state with a leading axis of devices is an error that says how to take one of them."""
    params = linear_params()
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (params, optax.adam(0.1).init(params)))
    with pytest.raises(ValueError, match=r"`opt_state\[0\].count` must have the shape \(\), got \(2,\); .*unreplicate"):
        lrax.Learner.create(squared_error, both[0], optax.adam, opt_state=both[1])


INJECTED = {
    "adamw": optax.inject_hyperparams(optax.adamw),
    "with momentum": optax.inject_hyperparams(momentum),
    "in a chain": lambda rate: optax.chain(optax.clip(9.0), optax.inject_hyperparams(optax.adam)(learning_rate=rate)),
    "with a schedule for another number": lambda rate: optax.inject_hyperparams(optax.adam)(
        learning_rate=rate, b1=optax.constant_schedule(0.8)
    ),
    "in groups": lambda rate: optax.multi_transform(
        {"a": optax.inject_hyperparams(optax.sgd)(learning_rate=rate), "b": optax.sgd(rate)}, {"weight": "a", "bias": "b"}
    ),
    "accumulated": lambda rate: optax.MultiSteps(optax.inject_hyperparams(optax.sgd)(rate), 1).gradient_transformation(),
    "recorded": functools.partial(lrax.recorded, optax.inject_hyperparams(optax.adam)),
}


@pytest.mark.parametrize("factory", INJECTED.values(), ids=INJECTED)
def test_half_way_through_a_run_with_an_injected_schedule(factory):
    """A state of `inject_hyperparams` with a schedule is taken and keeps its structure; the update is at the rate given."""
    params, opt_state = manual(factory(lrax.Constant(0.3)))
    learner = lrax.Learner.create(squared_error, params, factory, opt_state=opt_state)
    got = by_learner(learner, updates=1)
    assert jax.tree.structure(got.opt_state) == jax.tree.structure(opt_state)
    change, _ = factory(lrax.Constant(RATE)).update(jax.grad(squared_error)(params, regression()), opt_state, params)
    expected = optax.apply_updates(params, change)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), got.params, expected)


def test_an_optimizer_instead_of_a_factory_is_refused():
    """An optimizer that has its rate already is an error that says what to give."""
    with pytest.raises(TypeError, match=r"`optimizer` must be a function learning_rate -> optimizer.*not optax\.sgd\(0\.1\)"):
        lrax.Learner.create(squared_error, linear_params(), optax.sgd(0.1))


@pytest.mark.parametrize(
    "factory", [optax.cosine_decay_schedule(0.1, 10), lambda rate: 2 * rate], ids=["a schedule", "a number"]
)
def test_a_function_that_makes_no_optimizer_is_refused(factory):
    """What a function returns that makes no optimizer is told, and not what it did with a schedule."""
    with pytest.raises(
        TypeError, match=r"Learner.create: `optimizer` must be a function learning_rate -> optax.GradientTransformation"
    ):
        lrax.Learner.create(squared_error, linear_params(), factory)


def test_any_hyperparameter_can_take_the_rate_s_place():
    """The factory's argument may be another hyper-parameter, and so may the injected one."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda decay: optax.sgd(RATE, momentum=decay))
    expected, _ = manual(optax.sgd(RATE, momentum=0.5))
    got = by_learner(learner, rate=0.5).params
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), got, expected)

    injected = optax.inject_hyperparams(optax.adamw)(RATE, weight_decay=0.1)
    params, opt_state = manual(injected)
    factory = functools.partial(optax.inject_hyperparams(optax.adamw), RATE)
    learner = lrax.Learner.create(
        squared_error, params, lambda decay: factory(weight_decay=decay), opt_state=opt_state, hyperparameter="weight_decay"
    )
    after = by_learner(learner, updates=1, rate=0.3).opt_state
    np.testing.assert_allclose(after.hyperparams["weight_decay"], 0.3, rtol=1e-6)
    np.testing.assert_allclose(after.hyperparams["learning_rate"], RATE, rtol=1e-6)


def test_key_and_auxiliary_state():
    """With a key every update gets a fresh one; with `aux` the loss returns the next auxiliary state."""

    def loss_fn(params, seen, batch, key):
        return jnp.sum(params) * 0 + jax.random.uniform(key), seen + 1

    learner = lrax.Learner.create(loss_fn, jnp.zeros(2), optax.sgd, aux=jnp.zeros((), jnp.int32), key=jax.random.key(0))
    state, first = learner.step(learner.state, None, jnp.float32(RATE))
    state, second = learner.step(state, None, jnp.float32(RATE))
    assert int(state.aux) == 2
    assert float(first) != float(second)


def test_equal_learners_share_a_trace():
    """Learners made twice from the same parts have equal updates, so a jitted function is traced once for both."""
    first, second = (lrax.Learner.create(squared_error, linear_params(), momentum) for _ in range(2))
    assert first.step == second.step
    assert hash(first.step) == hash(second.step)


def test_wrong_arity_is_refused():
    """An update that does not take three arguments is an error when the learner is made."""
    with pytest.raises(TypeError, match=r"`step` must be callable as \(state, batch, lr\) -> \(state, loss\)"):
        lrax.Learner(jnp.zeros(()), lambda state, batch: (state, 0.0))
    with pytest.raises(TypeError, match="`step` must be a function"):
        lrax.Learner(jnp.zeros(()), None)


def test_learner_is_a_pytree_of_its_state():
    """Flattening a learner gives the state's leaves; the update is structure."""
    learner = lrax.Learner.create(squared_error, linear_params(), optax.adam)
    assert same(jax.tree.leaves(learner), jax.tree.leaves(learner.state))
    doubled = jax.tree.map(lambda leaf: leaf * 2, learner)
    assert doubled.step is learner.step


def test_a_learner_says_in_a_line_what_it_trains():
    """The text of a learner names its loss, its optimizer and how much it trains, and holds no numbers of the state."""
    learner = lrax.Learner.create(squared_error, linear_params(), momentum)
    assert repr(learner) == "<Learner: squared_error by sgd(momentum=0.9), parameters: 4 numbers in 2 arrays>"
    update = learner.step
    assert repr(lrax.Learner(jnp.zeros(3), lambda state, batch, rate: (state, rate))) == (
        "<Learner: <lambda>, a state of 3 numbers in 1 array>"
    )
    assert jax.jit(lambda its: repr(its) and its.state)(learner) is not None
    assert repr(lrax.Learner(learner.state, update)) == repr(learner)


def test_an_optimizer_beside_an_update_is_checked():
    """What is given as the optimizer of a hand-written update must be a factory; `Learner.create` stores its own."""
    with pytest.raises(TypeError, match=r"Learner: `optimizer` must be a function learning_rate -> optimizer"):
        lrax.Learner(jnp.zeros(()), lambda state, batch, lr: (state, lr), optimizer=optax.sgd(0.1))
    assert lrax.Learner.create(squared_error, linear_params(), momentum).optimizer is momentum


def of_a_number(state, batch, lr):
    """Asks for the number of the learning rate."""
    return state - float(lr), jnp.sum(state)


def of_numpy(state, batch, lr):
    """Computes with NumPy."""
    return state - np.sqrt(np.asarray(lr)), jnp.sum(state)


def of_a_branch(state, batch, lr):
    """Decides by the learning rate."""
    return (state - lr if lr > 0.1 else state), jnp.sum(state)


@pytest.mark.parametrize("update", [of_a_number, of_numpy, of_a_branch])
def test_an_update_that_asks_for_the_number_of_the_learning_rate(update):
    """An update that fails on a traced learning rate is an error that says so, with what JAX said as its cause."""
    learner = lrax.Learner(jnp.zeros(()), update)
    with pytest.raises(
        TypeError, match=r"race: the learner's step must take a traced learning rate, .*compute with jnp"
    ) as caught:
        lrax.race(learner, [jnp.zeros(())], [lrax.Constant(0.1)], rungs=2)
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_update_that_asks_for_other_numbers():
    """Where an update asks for the number of its loss, the learning rate is not blamed."""
    learner = lrax.Learner(jnp.zeros(()), lambda state, batch, lr: (state - lr, float(state)))
    with pytest.raises(jax.errors.ConcretizationTypeError, match="The problem arose with the `float` function"):
        lrax.race(learner, [jnp.zeros(())], [lrax.Constant(0.1)], rungs=2)


def test_a_factory_that_asks_for_the_number_of_the_learning_rate():
    """A factory that fails on a traced learning rate, and takes no schedule either, is named with what to do."""
    with pytest.raises(TypeError, match=r"Learner.create: `optimizer` must be a function of a traced learning rate.*with jnp"):
        lrax.Learner.create(squared_error, linear_params(), lambda lr: optax.sgd(float(lr)))
