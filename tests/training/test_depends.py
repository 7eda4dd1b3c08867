"""What reaches what in a traced program."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lrax
from lrax.training._programs import reaches
from problems import linear_params, regression, squared_error

pytestmark = pytest.mark.standard_promotion  # of optax's optimizers

ONE = jnp.float32(1.0)


def found(function, *args):
    """For each flat output of a function whether its last argument reaches it."""
    program = jax.make_jaxpr(function)(*args)
    last = len(program.jaxpr.invars) - 1
    return [reaches(program, [last], [i]) for i in range(len(program.jaxpr.outvars))]


def scanned(state, rate):
    """A scan that carries a weight and a counter, and moves the weight at the rate."""

    def step(carry, x):
        weight, count = carry
        return (weight - rate * x, count + 1), count

    return jax.lax.scan(step, (state, jnp.int32(0)), jnp.ones(3, jnp.float32))


def late(state, rate):
    """A scan in which the rate reaches the last part of the carry only after going round twice."""

    def step(carry, _):
        first, second, third = carry
        return (first * rate, first[None] + second, second[None, :] + third), None

    return jax.lax.scan(step, (state, jnp.ones(1), jnp.ones((1, 1))), None, length=3)[0]


@jax.custom_jvp
def custom(x, y):
    """A function with a derivative rule of its own that mentions both of its inputs."""
    return x * 2


custom.defjvp(lambda primals, tangents: (custom(*primals), tangents[0] * primals[1]))


@jax.custom_vjp
def reversed_(x, y):
    """The same backwards."""
    return x * 2, y


reversed_.defvjp(lambda x, y: (reversed_(x, y), (x, y)), lambda kept, grads: (grads[0] * kept[1], grads[1]))


@jax.jit
def jitted(state, rate):
    """A function of both inside jit, and one of the state alone."""
    return state * rate, state * 2


def host(state, rate):
    """What a callback writes down cannot be followed."""
    jax.experimental.io_callback(lambda value: None, None, rate)
    return state + jax.experimental.io_callback(lambda: np.float32(1), jax.ShapeDtypeStruct((), jnp.float32))


def printed(state, rate):
    """What is printed goes nowhere."""
    jax.debug.print("{}", rate)
    return state * 2


CASES = {
    "arithmetic": (lambda state, rate: (state * 2, state * rate, rate), [False, True, True]),
    "a constant": (lambda state, rate: (1.0, state), [False, False]),
    "jit": (jitted, [True, False]),
    "scan": (scanned, [True, True, True]),
    "scan, after going round": (late, [True, True, True]),
    "cond, in a branch": (
        lambda state, rate: jax.lax.cond(state > 0, lambda: (state * rate, state), lambda: (state, state + 1)),
        [True, True],
    ),
    "cond, by the branch taken": (lambda state, rate: jax.lax.cond(rate > 0, lambda: state, lambda: state + 1), [True]),
    "switch": (lambda state, rate: jax.lax.switch(jnp.int32(state), [lambda: rate, lambda: state]), [True]),
    "while": (lambda state, rate: jax.lax.while_loop(lambda x: x < 3, lambda x: x + rate, state), [True]),
    "custom_jvp": (lambda state, rate: (custom(state, rate), custom(rate, state)), [False, True]),
    "custom_vjp": (lambda state, rate: reversed_(state, rate), [False, True]),
    "a gradient": (lambda state, rate: (jax.grad(custom)(rate, rate), jax.grad(custom)(rate, state)), [True, False]),
    "checkpoint": (lambda state, rate: jax.checkpoint(lambda a, b: (a * 2, b * 2))(state, rate), [False, True]),
    "stopped": (lambda state, rate: jax.lax.stop_gradient(rate), [True]),
    "a callback": (host, [True]),
    "a print": (printed, [False]),
}


@pytest.mark.parametrize("name", CASES)
def test_data_are_followed(name):
    """Each output depends on the last input where data flow from one to the other; loops and branches count as a whole."""
    function, want = CASES[name]
    assert found(function, ONE, ONE) == want


def test_what_goes_round_is_followed():
    """A value that waits in the state for the next call reaches what it is used for then; one that is only kept does not."""
    delayed = jax.make_jaxpr(lambda weight, waiting, rate: (weight - waiting, rate))(ONE, ONE, ONE)
    assert not reaches(delayed, [2], [0])
    assert reaches(delayed, [2], [0], carried=2)
    kept = jax.make_jaxpr(lambda weight, waiting, rate: (weight - 1, rate))(ONE, ONE, ONE)
    assert not reaches(kept, [2], [0], carried=2)
    assert reaches(kept, [2], [1], carried=2)


OPTIMIZERS = {
    "adam": (optax.adam, True),
    "adam, ignoring": (lambda rate: optax.adam(1e-2), False),
    "groups": (lambda rate: lrax.by_path(optax.sgd, rate, {"bias": 0.1}), True),
    "groups of constants": (lambda rate: lrax.by_path(optax.sgd, lrax.Constant(0.1), {"bias": 0.1}), False),
    "recorded": (functools.partial(lrax.recorded, optax.sgd), True),
    "recorded, ignoring": (lambda rate: lrax.recorded(lambda _: optax.sgd(0.1), rate), False),
    "injected": (optax.inject_hyperparams(optax.sgd), True),
    "accumulated": (lambda rate: optax.MultiSteps(optax.adam(rate), 2), True),
    "a line search": (optax.lbfgs, True),
    "clipped and masked": (lambda rate: optax.chain(optax.clip(1.0), optax.masked(optax.adam(rate), True)), True),
    "one group frozen, the other constant": (
        lambda rate: optax.multi_transform({"a": optax.set_to_zero(), "b": optax.adam(0.1)}, {"weight": "a", "bias": "b"}),
        False,
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("wrap", [lambda update: update, jax.jit], ids=["plain", "jitted"])
def test_the_rate_of_a_learner(name, wrap):
    """The rate reaches the parameters of an optimizer that is made with it, and of no other, also inside jit."""
    factory, want = OPTIMIZERS[name]
    learner = lrax.Learner.create(squared_error, linear_params(), factory)
    program = jax.jit(wrap(learner.step)).trace(learner.state, regression(), ONE).jaxpr
    leaves = len(jax.tree.leaves(learner.state))
    params = range(len(jax.tree.leaves(learner.state.params)))
    assert reaches(program, [len(program.jaxpr.invars) - 1], params, leaves) == want


def test_a_rate_that_only_the_loss_sees():
    """An update that uses the rate for nothing but its loss does not depend on it."""

    def update(state, batch, rate):
        return state * 0.9, jnp.sum(state) * rate

    program = jax.jit(update).trace(jnp.zeros(3), None, ONE).jaxpr
    assert not reaches(program, [1], [0], carried=1)
    assert reaches(program, [1], [1], carried=1)
