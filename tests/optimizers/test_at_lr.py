"""An optimizer at one learning rate, on states that were made in any way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import linear_params, momentum, regression, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

LR = 0.05
SCHEDULE = lrax.warmup_cosine(0.3, warmup_steps=2, total_steps=10)


def chained(lr):
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(lr))


def accumulated(lr):
    return optax.MultiSteps(optax.adam(lr), 1)


def grouped(lr):
    return optax.multi_transform({"a": optax.adam(lr), "b": momentum(lr)}, {"weight": "a", "bias": "b"})


FORMS = {
    "a number": (momentum(0.3), momentum),
    "a number without a state": (optax.sgd(0.3), optax.sgd),
    "a schedule": (momentum(SCHEDULE), momentum),
    "an injected number": (optax.inject_hyperparams(optax.adam)(learning_rate=0.3), optax.inject_hyperparams(optax.adam)),
    "an injected schedule": (optax.inject_hyperparams(optax.adam)(SCHEDULE), optax.inject_hyperparams(optax.adam)),
    "a chain and a number": (chained(0.3), chained),
    "a chain and a schedule": (chained(SCHEDULE), chained),
    "MultiSteps and a number": (accumulated(0.3), accumulated),
    "MultiSteps and a schedule": (accumulated(SCHEDULE), accumulated),
    "groups and a number": (grouped(0.3), grouped),
    "groups and a schedule": (grouped(SCHEDULE), grouped),
    "recorded": (lrax.recorded(optax.adam, SCHEDULE), functools.partial(lrax.recorded, optax.adam)),
    "by_path": (lrax.by_path(optax.adam, SCHEDULE, {"bias": 0.5}), lambda lr: lrax.by_path(optax.adam, lr, {"bias": 0.5})),
}


@pytest.mark.parametrize(("made", "factory"), FORMS.values(), ids=FORMS)
def test_every_state_is_taken_and_keeps_its_structure(made, factory):
    """Two steps at a traced learning rate are those of the optimizer that was made with it, from a state of any structure."""

    @jax.jit
    def step(params, opt_state, lr):
        changes, opt_state = lrax.at_lr(factory, lr).update(jax.grad(squared_error)(params, regression()), opt_state, params)
        return optax.apply_updates(params, changes), opt_state

    def twice(params, opt_state, step):
        return step(*step(params, opt_state))

    init = made.init(linear_params())
    params, opt_state = twice(linear_params(), init, functools.partial(step, lr=jnp.float32(LR)))
    assert jax.tree.structure(opt_state) == jax.tree.structure(init)

    own = factory(lrax.Constant(LR))  # the same optimizer, which all of these factories make of a schedule

    @jax.jit
    def plain(params, opt_state):
        changes, opt_state = own.update(jax.grad(squared_error)(params, regression()), opt_state, params)
        return optax.apply_updates(params, changes), opt_state

    expected, _ = twice(linear_params(), own.init(linear_params()), plain)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), params, expected)


def test_a_state_of_its_own_and_no_parameters():
    """`init` makes a state that `update` takes, at a Python number too, and `update` needs no parameters."""
    tx = lrax.at_lr(optax.sgd, LR)
    params = linear_params()
    changes, _ = tx.update(params | {"bias": jnp.ones(())}, tx.init(params))
    assert changes["bias"] == np.float32(-LR)


def test_what_cannot_be_used_is_named():
    """A schedule, several numbers, an optimizer, and a state of another optimizer are errors that say what to give."""
    with pytest.raises(TypeError, match=r"at_lr: `learning_rate` must be a number.*optimizer\(schedule\)"):
        lrax.at_lr(optax.sgd, SCHEDULE)
    with pytest.raises(TypeError, match=r"at_lr: `learning_rate` must be a scalar, got shape \(2,\)"):
        lrax.at_lr(optax.sgd, jnp.ones(2))
    with pytest.raises(TypeError, match=r"at_lr: `optimizer` must be a function learning_rate -> optimizer"):
        lrax.at_lr(optax.sgd(0.1), 0.1)
    params = linear_params()
    with pytest.raises(
        ValueError, match=r"at_lr: `opt_state` must be a state of `optimizer`, got another: it.* ScaleByAdamState"
    ):
        lrax.at_lr(momentum, 0.1).update(params, optax.adam(0.1).init(params), params)


def test_a_state_that_fits_nowhere_is_compared_with_the_nearest():
    """Of the states that the optimizer may have, with a number or a schedule, the error compares with the one most alike."""
    factory = lambda lr: optax.chain(optax.scale_by_learning_rate(lr), optax.trace(0.9))  # noqa: E731
    params = linear_params()
    state = factory(SCHEDULE).init(params | {"more": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"a state of `optimizer`, got another: it\[1\]\.trace"):
        lrax.at_lr(factory, LR).update(params, state, params)
