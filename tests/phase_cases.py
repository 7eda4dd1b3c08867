"""Examples of the phases, and of a user's own kinds."""

import jax
import jax.numpy as jnp

import lrax
from schedule_case import Case


class Roulette(lrax.Schedule):
    """A user's own kind: a rate that is drawn anew at every count, the same for the same seed."""

    low: lrax.fields.Rate
    high: lrax.fields.Rate
    seed: int = 0

    def rate(self, count: jax.Array) -> jax.Array:
        """Uniform between `low` and `high`."""
        key = jax.random.key(self.seed)
        draw = jnp.vectorize(lambda one: jax.random.uniform(jax.random.fold_in(key, one), dtype=jnp.float32))
        return self.low + (self.high - self.low) * draw(count)


class SquareRoot(lrax.Phase):
    """A user's own phase: fields and one formula."""

    peak: lrax.fields.Rate
    steps: lrax.fields.Steps

    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        """Falls as a square root."""
        return self.peak * jnp.where(left > 0, jnp.sqrt(left), 0.0)


PHASES: dict[str, Case] = {
    "Cosine": Case(lrax.Cosine, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Cosine: climbing": Case(lrax.Cosine, {"start": 0.0, "end": 0.1, "steps": 100}, (100,)),
    "ExpHyperbolic": Case(lrax.schedules.ExpHyperbolic, {"start": 0.1, "low": 1e-4, "steps": 100, "horizon": 250}, (100, 250)),
    "Geometric": Case(lrax.Geometric, {"start": 1e-6, "end": 10.0, "steps": 170}, (85, 170)),
    "Hold": Case(lrax.Hold, {"value": 0.1, "steps": 100}, (100,)),
    "Hyperbolic": Case(lrax.schedules.Hyperbolic, {"start": 0.1, "low": 0.001, "steps": 100, "horizon": 250}, (100, 250)),
    "Hyperbolic: to its horizon": Case(
        lambda start, steps: lrax.schedules.Hyperbolic(start, 0.0, steps, steps), {"start": 0.1, "steps": 100}, (100,)
    ),
    "Linear": Case(lrax.Linear, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Linear: to zero": Case(lrax.Linear, {"start": 0.1, "end": 0.0, "steps": 100}, (100,)),
    "OneMinusSqrt": Case(lrax.OneMinusSqrt, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "OneMinusSquare": Case(lrax.schedules.OneMinusSquare, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Polynomial": Case(lrax.Polynomial, {"start": 1.0, "end": 0.01, "steps": 1000, "power": 2.0}, (1000,)),
    "Polynomial: square root to zero": Case(lrax.Polynomial, {"start": 1.0, "end": 0.0, "steps": 1000, "power": 0.5}, (1000,)),
    "Relaxation": Case(lrax.schedules.Relaxation, {"start": 0.1, "end": 0.0, "steps": 100, "ratio": 0.1}, (100,)),
    "Rex": Case(lrax.schedules.Rex, {"start": 0.1, "end": 0.001, "steps": 100, "beta": 0.3}, (100,)),
    "Tanh": Case(lrax.schedules.Tanh, {"start": 0.1, "end": 0.001, "steps": 100, "first": -7.0, "last": 3.0}, (70, 100)),
    "Triangle": Case(lrax.Triangle, {"low": 1.0, "high": 2.0, "steps": 1000, "rise": 0.2}, (200, 1000)),
    "Triangle: one minus the square root": Case(
        lambda low, high, steps, rise: lrax.Triangle(low, high, steps, rise, "one_minus_sqrt"),
        {"low": 1.0, "high": 2.0, "steps": 1000, "rise": 0.25},
        (250, 1000),
    ),
    "Triangle: the peak between two updates, from zero": Case(
        lrax.Triangle, {"low": 0.0, "high": 2.0, "steps": 7, "rise": 0.5}, (3, 7)
    ),
    "a user's own kind": Case(lambda low, high: Roulette(low, high, seed=3), {"low": 0.1, "high": 0.2}),
    "a user's own phase": Case(SquareRoot, {"peak": 0.1, "steps": 100}, (100,)),
}
