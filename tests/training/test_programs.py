import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lrax.training import _programs


def scanned(state):
    """A loop that carries two arrays, reads a constant and gives back more than it carries."""
    constant = jnp.arange(6.0)

    def update(carry, row):
        weights, count = carry
        return (weights * row[0] + constant[0], count + 1), (weights, constant * count)

    return jax.lax.scan(update, state, jnp.ones((4, 5)))


STATE = (jnp.ones((3, 2)), jnp.zeros(()))


def test_the_state_of_a_scan_is_what_it_carries():
    """Constants, what is scanned over and what is stacked do not count; the state does, in every version of JAX."""
    assert _programs.loop_state_bytes(jax.make_jaxpr(scanned)(STATE)) == 4 * (6 + 1)
    assert _programs.loop_state_bytes(jax.make_jaxpr(jax.jit(lambda s: jax.vmap(scanned)(s)))(stacked(STATE))) == 8 * 4 * (
        6 + 1
    )


def stacked(tree):
    """Eight of each."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * 8), tree)


def test_the_state_of_a_while_is_what_it_carries():
    """Constants of the condition and of the body do not count."""

    def looped(limit, scale, state):
        return jax.lax.while_loop(lambda s: s[1] < limit, lambda s: (s[0] * scale[0], s[1] + 1), state)

    jaxpr = jax.make_jaxpr(looped)(3.0, jnp.ones(100), STATE)
    assert _programs.loop_state_bytes(jaxpr) == 4 * (6 + 1)


def test_the_largest_loop_counts_wherever_it_is():
    """A loop inside a loop inside a jitted function is found; keys have a size; a program without loops has no state."""

    def outer(state):
        return jax.lax.scan(lambda carry, _: (jax.jit(scanned)(carry)[0], None), state, None, length=2)

    assert _programs.loop_state_bytes(jax.make_jaxpr(outer)(STATE)) == 4 * (6 + 1)
    keys = jax.make_jaxpr(lambda key: jax.lax.scan(lambda k, _: (jax.random.split(k)[0], None), key, None, length=3))
    assert _programs.loop_state_bytes(keys(jax.random.key(0))) == 8
    assert _programs.loop_state_bytes(jax.make_jaxpr(jnp.sin)(1.0)) == 0


class Unknown:
    """An equation of a version of JAX that hides its program, or has it otherwise."""

    primitive, params, invars = jax.lax.scan_p, {}, ()

    def __init__(self, outvars):
        self.outvars = outvars


class Program:
    """A program of such equations."""

    consts = ()

    def __init__(self, *eqns):
        self.eqns = eqns


def test_what_a_scan_gives_back_bounds_an_unknown_state():
    """Where the program of a scan cannot be seen, all that it gives back is taken for its state; nothing raises."""
    scan = jax.make_jaxpr(scanned)(STATE).jaxpr.eqns[-1]
    assert _programs.loop_state_bytes(Program(Unknown(scan.outvars))) == 4 * (6 + 1) + 4 * 4 * (6 + 6)


def test_each_program_is_walked_once():
    """Functions that call one another twice at every level are walked once each, not once a path."""
    function = jnp.sin
    for _ in range(30):
        function = jax.jit(lambda x, inner=function: inner(x) + inner(x))
    assert sum(1 for _ in _programs.equations(jax.make_jaxpr(function)(1.0))) < 200


def digest(function):
    """The digest of a function of one number."""
    return _programs.program_digest(jax.jit(function).trace(jnp.float32(1)).jaxpr)


def test_digests_tell_programs_apart():
    """Programs made twice are equal; other arrays, numbers and equations, wherever they are, are not."""

    def make(data, scale=1.5):
        inner = jax.jit(lambda x: jnp.sum(jnp.asarray(data)) * x)
        return lambda x: scale * jax.lax.scan(lambda c, _: (inner(c), None), x, None, length=2)[0]

    data = np.arange(3, dtype=np.float32)
    assert digest(make(data)) == digest(make(data.copy()))
    others = [make(data + 1), make(data[::-1].copy()), make(data, 2.5), make(data.reshape(3, 1))]
    assert len({digest(other) for other in [make(data), *others]}) == 5


def test_digests_see_arrays_in_the_place_of_variables():
    """JAX may write an array into the equation that reads it, where its text says nothing of its numbers."""
    name = "jax_use_simplified_jaxpr_constants"
    before = getattr(jax.config, name, None)
    if before is None:
        pytest.skip("this version of JAX cannot")
    one, two = np.full(3, 1, np.float32), np.full(3, 2, np.float32)
    jax.config.update(name, True)
    try:
        made = [digest(lambda x: jnp.sum(one * x)), digest(lambda x: jnp.sum(two * x))]
    finally:
        jax.config.update(name, before)
    assert made[0] != made[1]


def test_callbacks_are_those_that_give_something():
    """What brings a value from Python is named; what only tells Python something is not."""
    value = jax.ShapeDtypeStruct((), np.float32)

    def told(x):
        jax.debug.callback(print, x)
        jax.debug.print("{}", x)
        return x

    def asked(x):
        return jax.lax.cond(x > 0, lambda x: jax.pure_callback(np.sin, value, x), told, x)

    assert _programs.callbacks(jax.make_jaxpr(told)(1.0)) == []
    assert _programs.callbacks(jax.make_jaxpr(asked)(1.0)) == ["pure_callback"]
