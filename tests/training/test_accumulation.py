import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from problems import (
    linear_params,
    regression,
    squared_error,
)

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

KEY = jax.random.key(0)
DATA = regression()


def test_accumulation_moves_the_ramp_once_an_update():
    """With gradients accumulated over four batches, the test takes four batches an update and records their mean loss."""
    learner = lrax.Learner.create(squared_error, linear_params(), lambda rate: optax.MultiSteps(optax.sgd(rate), 4))
    with pytest.raises(ValueError, match=r"`accumulate` must be 4, the batches of step 0 of the optax.MultiSteps"):
        lrax.find_lr(learner, DATA, batch_size=16, key=KEY)
    plain = lrax.Learner.create(squared_error, linear_params(), optax.sgd)
    options = {"key": KEY, "ramp": lrax.Geometric(1e-4, 0.1, 20)}
    whole = lrax.range_test(plain, DATA, batch_size=64, **options)
    for loop in ("scan", "python"):
        parts = lrax.range_test(learner, DATA, batch_size=16, accumulate=4, loop=loop, **options)
        assert parts.steps_run == whole.steps_run
        np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-3)  # an epoch of four batches is the whole data


def learner_of(factory):
    """A learner of the linear model with an optimizer."""
    return lrax.Learner.create(squared_error, linear_params(), factory)


def multi(k, **options):
    """A factory of SGD that accumulates."""
    return lambda rate: optax.MultiSteps(optax.sgd(rate), k, **options)


def chained(k):
    """A factory that accumulates deep inside."""

    def factory(rate):
        inner = optax.MultiSteps(optax.sgd(rate), k).gradient_transformation()
        return optax.chain(optax.clip(1.0), optax.multi_transform({"a": inner}, {"weight": "a", "bias": "a"}))

    return factory


def hand_written(k):
    """A learner whose update calls `optax.MultiSteps` itself."""

    def update(state, batch, rate):
        params, opt_state = state
        loss, grads = jax.value_and_grad(squared_error)(params, batch)
        updates, opt_state = optax.MultiSteps(optax.sgd(rate), k).update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    return lrax.Learner((linear_params(), optax.MultiSteps(optax.sgd(0.1), k).init(linear_params())), update)


def both(slow, fast):
    """A learner with two optimizers that accumulate."""
    each = {"slow": multi(slow), "fast": multi(fast)}

    def factory(rate):
        parts = {name: make(rate).gradient_transformation() for name, make in each.items()}
        return optax.multi_transform(parts, {"weight": "slow", "bias": "fast"})

    return learner_of(factory)


def half_way(k, batches):
    """A learner whose run stands inside a step."""
    fresh = learner_of(multi(k))
    state = fresh.state
    for _ in range(batches):
        state, _ = fresh.step(state, DATA, jnp.float32(0.1))
    return lrax.Learner(state, fresh.step)


CASES = {
    "one batch": (lambda: learner_of(multi(1)), 1, ()),
    "four": (lambda: learner_of(multi(4)), 4, (1, 8)),
    "in a chain and a group": (lambda: learner_of(chained(3)), 3, (2,)),
    "by hand": (lambda: hand_written(2), 2, (1,)),
    "two alike": (lambda: both(2, 2), 2, (4,)),
    "half-way through a step": (lambda: half_way(4, 2), 4, (2,)),
    "a number that changes": (lambda: learner_of(multi(lambda step: jnp.where(step < 3, 2, 4))), 2, (4,)),
    "one inside another": (
        lambda: learner_of(lambda rate: optax.MultiSteps(multi(2)(rate).gradient_transformation(), 3)),
        6,
        (3,),
    ),
    "one that skips": (lambda: learner_of(multi(2, should_skip_update_fn=optax.skip_not_finite)), 2, (3,)),
}


@pytest.mark.parametrize("case", CASES)
def test_accumulate_is_checked_by_the_counts_of_the_state(case):
    """The number of batches to a step passes, and each other one is refused with the one that was seen."""
    make, right, wrong = CASES[case]
    learner = make()
    options = {"batch_size": 16, "key": KEY, "ramp": lrax.Geometric(1e-4, 1e-3, 2)}
    assert lrax.range_test(learner, DATA, accumulate=right, **options).steps_run == 3
    for accumulate in wrong:
        with pytest.raises(ValueError, match=rf"range_test: `accumulate` must be {right}, the batches of.*got {accumulate};"):
            lrax.range_test(learner, DATA, accumulate=accumulate, **options)


def test_every_call_checks_it():
    """Races and critical rates, of arrays and of iterables, check it as well, and say at which place of the state."""
    learner, batches = learner_of(multi(4)), [DATA]
    message = r"`accumulate` must be 4, the batches of step 0 of the optax.MultiSteps at state.opt_state, got 3"
    with pytest.raises(ValueError, match="race: " + message):
        lrax.race(learner, batches, lrax.Constant(np.float32([0.1])), rungs=2, accumulate=3)
    with pytest.raises(ValueError, match="range_test: " + message):
        lrax.range_test(learner, DATA, batch_size=16, key=KEY, accumulate=3)


def test_accumulating_optimizers_that_differ_are_refused():
    """Of two in a state, the one that does not fit is named."""
    with pytest.raises(ValueError, match=r"`accumulate` must be 2, .*\['slow'\].*got 4"):
        lrax.find_lr(both(2, 4), DATA, batch_size=16, key=KEY, accumulate=4)


def test_what_cannot_be_judged_passes():
    """An optimizer that skips the batches at hand, or that the update does not call, is not judged."""
    skips = learner_of(multi(2, should_skip_update_fn=lambda updates, step, params: (jnp.bool_(True), {"skipped": True})))
    unused = optax.MultiSteps(optax.sgd(0.1), 2).init(linear_params())

    def update(state, batch, rate):
        loss, slope = jax.value_and_grad(squared_error)(state[0], batch)
        return (jax.tree.map(lambda leaf, by: leaf - rate * by, state[0], slope), state[1]), loss

    for learner in (skips, lrax.Learner((linear_params(), unused), update)):
        assert lrax.range_test(learner, DATA, batch_size=16, key=KEY, ramp=lrax.Geometric(1e-4, 1e-3, 2)).steps_run == 3


def test_accumulating_optimizers_are_checked_by_the_pure_test():
    """`range_test` checks it too: outside of programs, inside, and where the state, the data and the key are traced."""
    learner = learner_of(multi(2))
    options = {"batch_size": 16, "steps": 3}

    def test(state, data, key, accumulate):
        return lrax.range_test(lrax.Learner(state, learner.step), data, key=key, accumulate=accumulate, **options).steps_run

    made = jax.jit(test, static_argnums=3)(learner.state, DATA, KEY, 2)
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), learner.state)
    several = jax.jit(jax.vmap(lambda state: test(state, DATA, KEY, 2)))(states)
    assert (int(made), several.tolist()) == (3, [3, 3])
    for call in (test, jax.jit(test, static_argnums=3)):
        with pytest.raises(ValueError, match=r"range_test: `accumulate` must be 2, .*got 1"):
            call(learner.state, DATA, KEY, 1)
