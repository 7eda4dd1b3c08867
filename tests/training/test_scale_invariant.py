"""Whether steps are scale invariant, for optimizers of every class, and what that changes."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest

import lrax
from compilations import compilations
from lrax.training._probes import in_groups, scale_invariant
from problems import linear_learner, regression

DATA, KEY = regression(), jax.random.key(0)
PARAMS = {"kernel": jnp.ones((3, 300)), "bias": jnp.zeros(3, jnp.bfloat16), "scale": jnp.ones(())}


def loss_fn(params, batch):
    return sum(jnp.sum(leaf.astype(jnp.float32) ** 2) for leaf in jax.tree.leaves(params))


def clipped(optimizer):
    return lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optimizer(rate))


def labelled(rate):
    """Refuses parameters that are not of this model."""
    labels = {"kernel": "fast", "bias": "slow", "scale": "slow"}
    return optax.multi_transform({"fast": optax.sgd(rate), "slow": optax.sgd(rate / 10)}, labels)


OPTIMIZERS = {
    "sgd": (optax.sgd, False),
    "momentum": (functools.partial(optax.sgd, momentum=0.9, nesterov=True), False),
    "clipped sgd": (clipped(optax.sgd), False),
    "sgd with decay": (lambda rate: optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(rate)), False),
    "injected sgd": (optax.inject_hyperparams(optax.sgd), False),
    "labelled sgd": (labelled, False),
    "sgd and a plateau": (lambda rate: optax.chain(optax.sgd(rate), optax.contrib.reduce_on_plateau()), False),
    "adam": (optax.adam, True),
    "adamw": (optax.adamw, True),
    "clipped adam": (clipped(optax.adam), True),
    "lion": (optax.lion, True),
    "rmsprop": (optax.rmsprop, True),
    "lamb": (optax.lamb, True),
    "muon": (optax.contrib.muon, True),
    "lbfgs": (optax.lbfgs, None),
    "nothing": (lambda rate: optax.set_to_zero(), None),
}


@pytest.mark.parametrize(("optimizer", "expected"), OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.standard_promotion
def test_of_optimizers(optimizer, expected):
    """It is asked of the optimizer, whatever it is made of; where it cannot be said, nothing is raised."""
    learner = lrax.Learner.create(loss_fn, PARAMS, optimizer)
    assert scale_invariant(learner) is expected
    assert scale_invariant(in_groups("find_lr", learner, ("kernel",))[0]) is expected


def test_of_updates_of_one_s_own():
    """Of an update that is a plain function it is not known."""
    assert scale_invariant(lrax.Learner(jnp.zeros(()), lambda weight, batch, rate: (weight - rate, weight))) is None


def test_it_is_asked_once():
    """One small program; the same optimizer written again, of another model, needs none."""
    learner = lrax.Learner.create(loss_fn, PARAMS, lambda rate: optax.sgd(rate, momentum=0.7))
    with compilations() as first:
        scale_invariant(learner)
    again = lrax.Learner.create(loss_fn, {"kernel": jnp.ones((2, 7))}, lambda rate: optax.sgd(rate, momentum=0.7))
    with compilations() as second:
        scale_invariant(again)
    assert len(first) <= 1
    assert not second


@pytest.mark.parametrize(("optimizer", "expected"), [(optax.sgd, False), (optax.adam, True), (labelled, False)])
@pytest.mark.standard_promotion
def test_of_a_hand_written_update_with_its_optimizer(optimizer, expected):
    """Of a hand-written update it is known from the optimizer that the learner is given, whatever its state is called."""

    def update(state, batch, lr):
        params, opt_state = state["weights"], state["moments"]
        grads = jax.grad(loss_fn)(params, batch)
        changes, opt_state = lrax.at_lr(optimizer, lr).update(grads, opt_state, params)
        return {"weights": optax.apply_updates(params, changes), "moments": opt_state}, loss_fn(params, batch)

    state = {"moments": optimizer(0.1).init(PARAMS), "key": KEY, "weights": PARAMS}
    assert scale_invariant(lrax.Learner(state, update, optimizer=optimizer)) is expected
    assert scale_invariant(lrax.Learner(state, update)) is None


@pytest.mark.standard_promotion
def test_the_finder_knows_the_optimizer_of_a_hand_written_update():
    """`found.scale_invariant` of a hand-written step with `optimizer=` is that of `Learner.create`."""
    created = linear_learner(optax.sgd)
    found = lrax.find_lr(
        lrax.Learner(created.state, lambda *args: created.step(*args), optax.sgd), DATA, batch_size=16, key=KEY
    )
    assert found.scale_invariant is False
