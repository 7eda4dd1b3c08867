"""Interpolation curves."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from lrax.fields._rules import Choice
from lrax.schedules._intmath import power_complement, share

Shape: TypeAlias = Callable[..., jax.Array]


def linear(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """A straight line from `start` to `end`."""
    return start * left + end * done


def cosine(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """Half a cosine from `start` to `end`: both weights are squared sines."""
    falling, rising = jnp.sin(jnp.pi / 2 * left), jnp.sin(jnp.pi / 2 * done)
    return start * falling * falling + end * rising * rising


def polynomial(start: Any, end: Any, done: jax.Array, left: jax.Array, power: Any = 2.0) -> jax.Array:
    """A power of what is left."""
    falling, rising = power_complement(left, done, power)
    return start * falling + end * rising


def geometric(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """The same factor at every update; both ends must be above 0."""
    return _geometric(*(jnp.asarray(number, jnp.float32) for number in (start, end, done, left)))


@jax.custom_jvp
def _geometric(start: jax.Array, end: jax.Array, done: jax.Array, left: jax.Array) -> jax.Array:
    near_start = done < left  # the shorter way: half the exponent, half the error
    root = jnp.sqrt(end) / jnp.sqrt(start)  # the ratio itself may overflow
    return jnp.where(near_start, start, end) * jnp.power(root, 2 * jnp.where(near_start, done, -left))


@_geometric.defjvp
def _(numbers: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """The derivative of `start ** left * end ** done`, which is finite where that of a power of the ratio is not."""
    (start, end, done, left), (by_start, by_end, by_done, by_left) = numbers, tangents
    value = _geometric(start, end, done, left)
    slope = left / start * by_start + done / end * by_end + jnp.log(start) * by_left + jnp.log(end) * by_done
    return value, value * slope


def one_minus_sqrt(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """Falls as one minus the square root of what is done."""
    begun = done > 0
    root = jnp.where(begun, jnp.sqrt(jnp.where(begun, done, 1.0)), 0.0)  # a root has no gradient at 0
    return start * (left / (1 + root)) + end * root


def one_minus_square(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """Falls as one minus the square of what is done."""
    return start * (left * (1 + done)) + end * (done * done)


def rex(start: Any, end: Any, done: jax.Array, left: jax.Array, beta: Any = 0.5) -> jax.Array:
    """Falls as (1 - s) / (1 - s (1 - beta)): by what is left, beside beta times what is done."""
    whole = jnp.where(left > 0, left + beta * done, 1.0)  # what is not selected must not yield NaN
    rising = jnp.where(left > 0, beta * done / whole, 1.0)
    return start * (left / whole) + end * rising


def relaxation(start: Any, end: Any, done: jax.Array, left: jax.Array, ratio: Any = 0.1) -> jax.Array:
    """Falls exponentially, as if towards a rate beyond `end`."""
    ratio = jnp.maximum(jnp.asarray(ratio, jnp.float32), 2.0**-126)  # what is smaller counts as 0 and has no logarithm
    logarithm, drop = jnp.log(ratio), 1 - ratio
    falling, rising = ratio * jnp.expm1(-logarithm * left) / drop, -jnp.expm1(logarithm * done) / drop
    return start * jnp.where(left < 1, falling, 1.0) + end * jnp.where(done < 1, rising, 1.0)


def tanh(start: Any, end: Any, done: jax.Array, left: jax.Array, first: Any = -7.0, last: Any = 3.0) -> jax.Array:
    """Falls as a hyperbolic tangent from `first` to `last`: differences of tangents as products, without overflow."""
    span, here = jnp.maximum(last - first, 2.0**-60), first * left + last * done  # a span of 0 has no weights

    def weight(share: jax.Array, at: Any, beyond: jax.Array) -> jax.Array:
        bend = (1 + jnp.exp(-2 * jnp.abs(at))) / (1 + jnp.exp(-2 * jnp.abs(here)))
        return jnp.expm1(-2 * span * share) / jnp.expm1(-2 * span) * bend * jnp.exp(2 * beyond)

    falling = weight(left, first, jnp.maximum(first, 0) - jnp.maximum(here, 0))
    rising = weight(done, last, jnp.minimum(here, 0) - jnp.minimum(last, 0))
    return start * falling + end * rising


SHAPES: dict[str, Shape] = {
    "linear": linear,
    "cosine": cosine,
    "polynomial": polynomial,
    "geometric": geometric,
    "one_minus_sqrt": one_minus_sqrt,
    "one_minus_square": one_minus_square,
    "relaxation": relaxation,
    "rex": rex,
    "tanh": tanh,
}
"""The shapes by name, which is that of the phase; a shape with a number of its own has the default of the phase."""


def way(mode: str, power: Any, start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """The shape of that name from `start` to `end`; with a power, that of its way: the weight of `start` is raised to it."""
    if power is None:
        return SHAPES[mode](start, end, done, left)
    return raised(SHAPES[mode](1.0, 0.0, done, left), SHAPES[mode](0.0, 1.0, done, left), power, start, end)


def raised(falling: jax.Array, rising: jax.Array, power: Any, start: Any, end: Any) -> jax.Array:
    """From `start` to `end` by two weights that add up to 1, the first of them raised to a power."""
    falling, rising = power_complement(falling, rising, power)
    return start * falling + end * rising


def logarithm(count: jax.Array, steps: Any) -> tuple[jax.Array, jax.Array]:
    """`ln(1 + count) / ln(1 + steps)`, and 1 less that, each accurate where it nears zero; past the end they are 1 and 0."""
    whole = jnp.maximum(steps, 1)
    past = jnp.minimum(count, whole)
    reached, ahead = past.astype(jnp.float32), (whole - past).astype(jnp.float32)
    scale = jnp.log1p(whole.astype(jnp.float32))
    return share(jnp.log1p(reached), ahead, scale), share(jnp.log1p(ahead / (1 + reached)), reached, scale)


ShapeName: TypeAlias = Literal[
    "linear", "cosine", "polynomial", "geometric", "one_minus_sqrt", "one_minus_square", "relaxation", "rex", "tanh"
]
"""The names in `SHAPES`, as type checkers want them."""

Mode: TypeAlias = Annotated[ShapeName, Choice(tuple(SHAPES))]
"""A static field that holds the name of a shape."""
