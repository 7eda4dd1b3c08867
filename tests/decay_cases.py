"""Examples of the kinds without a length, of tables and of functions."""

from typing import Any

import jax
import jax.numpy as jnp

import lrax
from schedule_case import Case


def by_square_root(scale: Any, count: jax.Array) -> jax.Array:
    """A user's own callable, whose numbers are leaves of a `Partial`."""
    return scale / jnp.sqrt(1 + count.astype(jnp.float32))


def plain(count: jax.Array) -> jax.Array:
    """A user's own callable without numbers."""
    return 0.1 / (1 + count.astype(jnp.float32))


DECAYS: dict[str, Case] = {
    "Constant": Case(lrax.Constant, {"value": 0.1}),
    "Exponential": Case(lrax.Exponential, {"start": 2.0, "factor": 0.9, "every": 10, "floor": 0.01}, (10, 502, 503)),
    "Function": Case(lambda: lrax.Function(plain), {}),
    "Function: with leaves": Case(
        lambda scale: lrax.Function(jax.tree_util.Partial(by_square_root, jnp.asarray(scale, jnp.float32))), {"scale": 0.1}
    ),
    "InverseSqrt": Case(lrax.InverseSqrt, {"start": 0.1, "timescale": 100.0}),
    "InverseTime": Case(lrax.schedules.InverseTime, {"start": 0.1, "timescale": 100.0}),
    "Knots": Case(
        lrax.schedules.Knots, {"values": [0.1, 0.5, 0.01], "counts": [0, 28, 96], "parts": [0.0, 0.25, 0.0]}, (28, 96)
    ),
    "MultiStep": Case(lrax.MultiStep, {"start": 1.0, "factor": 0.5, "boundaries": [250, 750, 900]}, (250, 750, 900)),
    "MultiStep: in shares": Case(
        lambda start, total_steps: lrax.MultiStep(start, 0.5, [100, 0.5, 0.75], total_steps),
        {"start": 1.0, "total_steps": 1000},
        (100, 500, 750),
    ),
    "Noise": Case(lrax.schedules.Noise, {"spread": 0.3, "seed": 5, "deviation": 1.0}),
    "Noise: uniform": Case(lambda spread, seed: lrax.schedules.Noise(spread, seed, mode="uniform"), {"spread": 0.3, "seed": 5}),
    "Piecewise": Case(lrax.Piecewise, {"values": [0.1, 1.0, 0.5], "counts": [5, 100, 200]}, (5, 100, 200)),
    "Piecewise: geometric": Case(
        lambda values, counts: lrax.Piecewise(values, counts, "geometric"),
        {"values": [0.1, 1.0, 0.5], "counts": [5, 100, 200]},
        (5, 100, 200),
    ),
    "PiecewiseConstant": Case(
        lrax.PiecewiseConstant, {"values": [1.0, 0.5, 0.2, 0.3], "boundaries": [250, 750, 900]}, (250, 750, 900)
    ),
    "PolynomialRestarts": Case(
        lrax.schedules.PolynomialRestarts, {"start": 1.0, "end": 0.01, "steps": 100, "power": 2.0}, (100, 200, 300)
    ),
    "Power": Case(lrax.schedules.Power, {"start": 4.6, "power": -0.51, "timescale": 2.0}),
    "Spline": Case(lrax.Spline, {"values": [0.1, 1.0, 0.5, 0.5, 0.2], "counts": [5, 100, 200, 250, 300]}, (5, 100, 200, 250)),
    "Spline: two values": Case(lrax.Spline, {"values": [0.1, 1.0], "counts": [5, 100]}, (5, 100)),
    "StepDecay": Case(lrax.StepDecay, {"start": 1.0, "factor": 0.5, "every": 250, "floor": 0.1}, (250, 500, 1000)),
    "Wave": Case(lrax.schedules.Wave, {"high": 0.1, "low": 0.001, "steps": 201, "waves": 4}, (26, 51, 101, 201)),
}
