"""Ways from one rate to another: each a weight of the start that falls from 1 to 0, and a weight of the end that climbs.

A shape takes `(start, end, done, left)`, where `done + left == 1`. Both weights are written so that they keep their accuracy
where they near zero, which is why each shape has two formulas; at the ends they are exactly 0 and 1.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from lrax.schedules._exact import power_complement

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


def rex(start: Any, end: Any, done: jax.Array, left: jax.Array) -> jax.Array:
    """Falls as (1 - s) / (1 - s / 2)."""
    return start * (2 * left / (1 + left)) + end * (done / (1 + left))


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
