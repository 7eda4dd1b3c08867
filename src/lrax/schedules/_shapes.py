"""Interpolation curves: from `start` to `end` over the fractions that are done and left."""

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

import jax
import jax.numpy as jnp

from lrax.fields._rules import Choice, Float, Int
from lrax.schedules._intmath import fraction_of, power_complement

Number: TypeAlias = Float | float
Shape: TypeAlias = Callable[..., jax.Array]


def linear(start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """A straight line from `start` to `end`."""
    return start * left + end * done


def cosine(start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """Half a cosine from `start` to `end`: both weights are squared sines."""
    falling, rising = jnp.sin(jnp.pi / 2 * left), jnp.sin(jnp.pi / 2 * done)
    return start * falling * falling + end * rising * rising


def polynomial(start: Number, end: Number, done: jax.Array, left: jax.Array, power: Number = 2.0) -> jax.Array:
    """A power of the fraction that is left."""
    falling, rising = power_complement(left, done, power)
    return start * falling + end * rising


def geometric(start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """The same factor in every step; both ends must be above 0."""
    return _geometric(*(jnp.asarray(number, jnp.float32) for number in (start, end, done, left)))


@jax.custom_jvp
def _geometric(start: jax.Array, end: jax.Array, done: jax.Array, left: jax.Array) -> jax.Array:
    near_start = done < left  # from the nearer end: half the exponent, half the error
    root = jnp.sqrt(end) / jnp.sqrt(start)  # the ratio itself may overflow
    return jnp.where(near_start, start, end) * jnp.power(root, 2 * jnp.where(near_start, done, -left))


@_geometric.defjvp
def _(numbers: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    """The derivative of `start ** left * end ** done`, which is finite where that of a power of the ratio is not."""
    (start, end, done, left), (by_start, by_end, by_done, by_left) = numbers, tangents
    value = _geometric(start, end, done, left)
    slope = left / start * by_start + done / end * by_end + jnp.log(start) * by_left + jnp.log(end) * by_done
    return value, value * slope


def one_minus_sqrt(start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """One minus the square root of the fraction that is done."""
    begun = done > 0
    root = jnp.where(begun, jnp.sqrt(jnp.where(begun, done, 1.0)), 0.0)  # a root has no gradient at 0
    return start * (left / (1 + root)) + end * root


def one_minus_square(start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """One minus the square of the fraction that is done."""
    return start * (left * (1 + done)) + end * (done * done)


def rex(start: Number, end: Number, done: jax.Array, left: jax.Array, beta: Number = 0.5) -> jax.Array:
    """(1 - s) / (1 - s (1 - beta)): `left` to `beta` times `done`."""
    whole = jnp.where(left > 0, left + beta * done, 1.0)  # no NaN where it is not selected
    rising = jnp.where(left > 0, beta * done / whole, 1.0)
    return start * (left / whole) + end * rising


def relaxation(start: Number, end: Number, done: jax.Array, left: jax.Array, ratio: Number = 0.1) -> jax.Array:
    """An exponential, as if towards a learning rate beyond `end`."""
    ratio = jnp.maximum(jnp.asarray(ratio, jnp.float32), 2.0**-126)  # a smaller one counts as 0 and has no logarithm
    logarithm, drop = jnp.log(ratio), 1 - ratio
    falling, rising = ratio * jnp.expm1(-logarithm * left) / drop, -jnp.expm1(logarithm * done) / drop
    return start * jnp.where(left < 1, falling, 1.0) + end * jnp.where(done < 1, rising, 1.0)


def tanh(start: Number, end: Number, done: jax.Array, left: jax.Array, first: Number = -7.0, last: Number = 3.0) -> jax.Array:
    """A hyperbolic tangent from `first` to `last`: differences of tangents as products, without overflow."""
    span, here = jnp.maximum(last - first, 2.0**-60), first * left + last * done  # a span of 0 has no weights

    def weight(fraction: jax.Array, at: Number, beyond: jax.Array) -> jax.Array:
        bend = (1 + jnp.exp(-2 * jnp.abs(at))) / (1 + jnp.exp(-2 * jnp.abs(here)))
        return jnp.expm1(-2 * span * fraction) / jnp.expm1(-2 * span) * bend * jnp.exp(2 * beyond)

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
"""The curves by the name of their phase; another number of a curve has the default of the phase."""


def interpolate(mode: str, power: Number | None, start: Number, end: Number, done: jax.Array, left: jax.Array) -> jax.Array:
    """The curve `mode` from `start` to `end`; with a power, the weight of `start` is raised to it."""
    if power is None:
        return SHAPES[mode](start, end, done, left)
    falling, rising = power_complement(SHAPES[mode](1.0, 0.0, done, left), SHAPES[mode](0.0, 1.0, done, left), power)
    return start * falling + end * rising


def logarithm(count: jax.Array, steps: Int) -> tuple[jax.Array, jax.Array]:
    """`ln(1 + count) / ln(1 + steps)`, and 1 less that, each accurate where it nears zero; past the end they are 1 and 0."""
    whole = jnp.maximum(steps, 1)
    past = jnp.minimum(count, whole)
    reached, ahead = past.astype(jnp.float32), (whole - past).astype(jnp.float32)
    scale = jnp.log1p(whole.astype(jnp.float32))
    return fraction_of(jnp.log1p(reached), ahead, scale), fraction_of(jnp.log1p(ahead / (1 + reached)), reached, scale)


ShapeName: TypeAlias = Literal[
    "linear", "cosine", "polynomial", "geometric", "one_minus_sqrt", "one_minus_square", "relaxation", "rex", "tanh"
]
"""The names in `SHAPES` for type checkers."""

Mode: TypeAlias = Annotated[ShapeName, Choice(tuple(SHAPES))]
"""A static field that holds the name of a curve."""
