"""One example or more of every public schedule: how it is made, its numbers, and the counts where its formula changes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from lrax.compat._parts import Until
from lrax.compat._torch_one_cycle import Knots
from lrax.compat.optax import CosinePower

LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Case:
    """An example of a kind or a recipe.

    Attributes:
      make: builds the schedule from `numbers`.
      numbers: every number of the schedule that may vary, by name.
      changes: counts at which the formula changes.
    """

    make: Callable[..., lrax.Schedule]
    numbers: dict[str, Any]
    changes: tuple[int, ...] = ()

    def build(self, variant: int = 0) -> lrax.Schedule:
        """The schedule, with other numbers for each variant."""
        return self.make(**self.numbers_of(variant))

    def numbers_of(self, variant: int) -> dict[str, Any]:
        """The numbers of a variant: lengths grow by one at a time, rates by a thousandth."""
        varied = {name: _vary(number, variant) for name, number in self.numbers.items()}
        if "length_factor" in varied:  # a ratio of small integers
            varied["length_factor"] = self.numbers["length_factor"] + variant / 2
        return varied

    @property
    def counts(self) -> np.ndarray:
        """Both ends, both sides of each change, and far past: 16 of them."""
        near = [at + step for at in self.changes for step in (-1, 0, 1)]
        found = sorted({0, 1, *(count for count in near if count >= 0), 100_000, LARGEST})
        return np.array(found + [LARGEST] * (16 - len(found)), np.int32)  # one shape for all: fewer programs


def _vary(number: Any, variant: int) -> Any:
    if isinstance(number, list):
        return [_vary(part, variant) for part in number]
    return number + variant if isinstance(number, int) else number * (1 + 0.001 * variant)


def by_square_root(scale: Any, count: jax.Array) -> jax.Array:
    """A user's own callable, whose numbers are leaves of a `Partial`."""
    return scale / jnp.sqrt(1 + count.astype(jnp.float32))


def plain(count: jax.Array) -> jax.Array:
    """A user's own callable without numbers."""
    return 0.1 / (1 + count.astype(jnp.float32))


class Noise(lrax.Schedule):
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


CASES: dict[str, Case] = {
    "Clip": Case(
        lambda low, high, steps: lrax.Clip(lrax.Linear(0.0, 1.0, steps), low, high),
        {"low": 0.2, "high": 0.6, "steps": 10},
        (2, 6, 10),
    ),
    "Constant": Case(lrax.Constant, {"value": 0.1}),
    "Cooldown": Case(
        lambda start, begin, steps, end: lrax.Cooldown(lrax.Constant(start), begin, steps, end),
        {"start": 0.1, "begin": 1000, "steps": 500, "end": 0.001},
        (1000, 1500),
    ),
    "Cosine": Case(lrax.Cosine, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Cosine: climbing": Case(lrax.Cosine, {"start": 0.0, "end": 0.1, "steps": 100}, (100,)),
    "Cycle: same lengths": Case(
        lambda start, end, steps, value_factor: lrax.Cycle(lrax.Cosine(start, end, steps), 1, value_factor),
        {"start": 2.0, "end": 0.01, "steps": 250, "value_factor": 0.5},
        (250, 500),
    ),
    "Cycle: growing": Case(
        lambda start, steps, length_factor: lrax.Cycle(lrax.Cosine(start, 0.0, steps), length_factor, 0.5),
        {"start": 2.0, "steps": 250, "length_factor": 2.0},
        (250, 750),
    ),
    "Cycle: shrinking, with a warm-up": Case(
        lambda peak, steps, warmup_steps, length_factor: lrax.Cycle(
            lrax.Warmup(lrax.Linear(peak, 0.1, steps), warmup_steps), length_factor
        ),
        {"peak": 1.0, "steps": 90, "warmup_steps": 10, "length_factor": 0.8},
        (10, 100, 110, 180),
    ),
    "Exponential": Case(lrax.Exponential, {"start": 2.0, "factor": 0.9, "every": 10, "floor": 0.01}, (10, 502, 503)),
    "Extension": Case(
        lambda start, steps, begin, total_steps: lrax.Extension(lrax.Cosine(start, 0.001, steps), begin, total_steps),
        {"start": 0.1, "steps": 100, "begin": 60, "total_steps": 190},
        (60, 190),
    ),
    "Extension: holding": Case(
        lambda peak, steps, begin, total_steps: lrax.Extension(
            lrax.wsd(peak, steps, 4, 20, 0.001), begin, total_steps, mode="hold"
        ),
        {"peak": 0.1, "steps": 100, "begin": 60, "total_steps": 190},
        (4, 60, 170, 190),
    ),
    "Function": Case(lambda: lrax.Function(plain), {}),
    "Function: with leaves": Case(
        lambda scale: lrax.Function(jax.tree_util.Partial(by_square_root, jnp.asarray(scale, jnp.float32))), {"scale": 0.1}
    ),
    "Geometric": Case(lrax.Geometric, {"start": 1e-6, "end": 10.0, "steps": 170}, (85, 170)),
    "Hold": Case(lrax.Hold, {"value": 0.1, "steps": 100}, (100,)),
    "InverseSqrt": Case(lrax.InverseSqrt, {"start": 0.1, "timescale": 100.0}),
    "Linear": Case(lrax.Linear, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Linear: to zero": Case(lrax.Linear, {"start": 0.1, "end": 0.0, "steps": 100}, (100,)),
    "MultiStep": Case(lrax.MultiStep, {"start": 1.0, "factor": 0.5, "boundaries": [250, 750, 900]}, (250, 750, 900)),
    "Polynomial": Case(lrax.Polynomial, {"start": 1.0, "end": 0.01, "steps": 1000, "power": 2.0}, (1000,)),
    "Polynomial: square root to zero": Case(lrax.Polynomial, {"start": 1.0, "end": 0.0, "steps": 1000, "power": 0.5}, (1000,)),
    "Scale": Case(
        lambda start, steps, factor: lrax.Scale(lrax.Cosine(start, 0.0, steps), factor),
        {"start": 0.3, "steps": 100, "factor": 0.5},
        (100,),
    ),
    "Sequence": Case(
        lambda peak, warmup_steps, steps: lrax.Sequence(
            lrax.Linear(0.0, peak, warmup_steps), lrax.Hold(peak, 5), lrax.Cosine(peak, 0.0, steps)
        ),
        {"peak": 0.1, "warmup_steps": 10, "steps": 90},
        (10, 15, 105),
    ),
    "Shift": Case(
        lambda end, steps, offset: lrax.Shift(lrax.Linear(0.0, end, steps), offset),
        {"end": 1.0, "steps": 10, "offset": 1},
        (9,),
    ),
    "Shift: later": Case(
        lambda end, steps, offset: lrax.Shift(lrax.Linear(0.5, end, steps), offset),
        {"end": 1.0, "steps": 10, "offset": -1000},
        (1000, 1010),
    ),
    "StepDecay": Case(lrax.StepDecay, {"start": 1.0, "factor": 0.5, "every": 250, "floor": 0.1}, (250, 500, 1000)),
    "Triangle": Case(lrax.Triangle, {"low": 1.0, "high": 2.0, "steps": 1000, "rise": 0.2}, (200, 1000)),
    "Triangle: the peak between two updates, from zero": Case(
        lrax.Triangle, {"low": 0.0, "high": 2.0, "steps": 7, "rise": 0.5}, (3, 7)
    ),
    "Warmup": Case(
        lambda start, factor, warmup_steps: lrax.Warmup(lrax.MultiStep(1.0, factor, [250, 750, 900]), warmup_steps, start),
        {"start": 0.01, "factor": 0.5, "warmup_steps": 250},
        (250, 500),
    ),
    "Warmup: constant": Case(
        lambda start, peak, warmup_steps: lrax.Warmup(lrax.Constant(peak), warmup_steps, start, "constant"),
        {"start": 0.1, "peak": 1.0, "warmup_steps": 5},
        (5,),
    ),
    "Warmup: cosine": Case(
        lambda peak, warmup_steps: lrax.Warmup(lrax.Constant(peak), warmup_steps, 0.0, "cosine"),
        {"peak": 1.0, "warmup_steps": 50},
        (50,),
    ),
    "Warmup: of none": Case(
        lambda peak, warmup_steps: lrax.Warmup(lrax.InverseSqrt(peak), warmup_steps), {"peak": 1.0, "warmup_steps": 0}
    ),
    "branch": Case(
        lambda peak, total_steps, at, end: lrax.branch(lrax.Warmup(lrax.Constant(peak), 10), total_steps, at, end),
        {"peak": 0.1, "total_steps": 120, "at": 100, "end": 0.001},
        (10, 100, 120),
    ),
    "cyclical": Case(
        lrax.cyclical,
        {"low": 0.5, "high": 2.0, "cycle_steps": 500, "value_factor": 0.9, "rise": 0.4},
        (200, 500, 1000),
    ),
    "extend": Case(
        lambda peak, total_steps, at: lrax.extend(lrax.warmup_cosine(peak, 1000, 100), total_steps, at),
        {"peak": 0.1, "total_steps": 2500, "at": 600},
        (100, 600, 2500),
    ),
    "one_cycle": Case(
        lrax.one_cycle,
        {"low": 0.1, "high": 0.5, "cycle_steps": 500, "cooldown_steps": 750, "end": 0.001},
        (250, 500, 1250),
    ),
    "one_cycle: without a cool-down": Case(lrax.one_cycle, {"low": 0.1, "high": 0.5, "cycle_steps": 500}, (250, 500)),
    "sgdr": Case(
        lrax.sgdr,
        {"peak": 2.0, "end": 0.01, "cycle_steps": 250, "length_factor": 2.0, "value_factor": 0.5},
        (250, 750),
    ),
    "warmup_cosine": Case(lrax.warmup_cosine, {"peak": 0.5, "total_steps": 200, "warmup_steps": 4, "end": 0.01}, (4, 200)),
    "wsd": Case(
        lrax.wsd,
        {"peak": 0.5, "total_steps": 1000, "warmup_steps": 4, "cooldown_steps": 200, "end": 0.001},
        (4, 800, 1000),
    ),
    "Cooldown: geometric": Case(
        lambda start, begin, steps, end: lrax.Cooldown(lrax.InverseSqrt(start), begin, steps, end, "geometric"),
        {"start": 0.1, "begin": 1000, "steps": 500, "end": 0.001},
        (1000, 1500),
    ),
    "Cooldown: one minus the square root": Case(
        lambda start, begin, steps: lrax.Cooldown(lrax.Constant(start), begin, steps, 0.0, "one_minus_sqrt"),
        {"start": 0.1, "begin": 1000, "steps": 500},
        (1000, 1500),
    ),
    "InverseTime": Case(lrax.InverseTime, {"start": 0.1, "timescale": 100.0}),
    "Maximum": Case(
        lambda start, floor: lrax.Maximum(lrax.InverseSqrt(start), lrax.Constant(floor)), {"start": 1.0, "floor": 0.1}, (99,)
    ),
    "Minimum": Case(
        lambda end, steps, start: lrax.Minimum(lrax.Linear(0.0, end, steps), lrax.InverseSqrt(start)),
        {"end": 1.0, "steps": 100, "start": 1.0},
        (20, 100),
    ),
    "OneMinusSqrt": Case(lrax.OneMinusSqrt, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "OneMinusSquare": Case(lrax.OneMinusSquare, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
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
        lrax.PolynomialRestarts, {"start": 1.0, "end": 0.01, "steps": 100, "power": 2.0}, (100, 200, 300)
    ),
    "Power": Case(lrax.Power, {"start": 4.6, "power": -0.51, "timescale": 2.0}),
    "Product": Case(
        lambda start, end, steps: lrax.Product(lrax.InverseSqrt(start), lrax.Linear(1.0, end, steps)),
        {"start": 0.1, "end": 0.01, "steps": 100},
        (100,),
    ),
    "Relaxation": Case(lrax.Relaxation, {"start": 0.1, "end": 0.0, "steps": 100, "ratio": 0.1}, (100,)),
    "Repeat": Case(
        lambda start, steps, times: lrax.Repeat(lrax.Cosine(start, 0.001, steps), times),
        {"start": 0.1, "steps": 100, "times": 3},
        (100, 200, 300),
    ),
    "Rex": Case(lrax.Rex, {"start": 0.1, "end": 0.001, "steps": 100}, (100,)),
    "Stretch": Case(
        lambda start, steps, every: lrax.Stretch(lrax.Cosine(start, 0.001, steps), every),
        {"start": 0.1, "steps": 10, "every": 50},
        (50, 100, 500),
    ),
    "Sum": Case(
        lambda low, start, steps: lrax.Sum(lrax.Constant(low), lrax.Cosine(start, 0.0, steps)),
        {"low": 0.1, "start": 0.3, "steps": 100},
        (100,),
    ),
    "Tanh": Case(lrax.Tanh, {"start": 0.1, "end": 0.001, "steps": 100, "first": -7.0, "last": 3.0}, (70, 100)),
    "Triangle: one minus the square root": Case(
        lambda low, high, steps, rise: lrax.Triangle(low, high, steps, rise, "one_minus_sqrt"),
        {"low": 1.0, "high": 2.0, "steps": 1000, "rise": 0.25},
        (250, 1000),
    ),
    "Warmup: relaxation": Case(
        lambda peak, warmup_steps: lrax.Warmup(lrax.Constant(peak), warmup_steps, 0.0, "relaxation"),
        {"peak": 1.0, "warmup_steps": 50},
        (50,),
    ),
    "Warp": Case(
        lambda start, steps, power: lrax.Warp(lrax.Cosine(start, 0.001, steps), power),
        {"start": 0.1, "steps": 100, "power": 1.5},
        (100,),
    ),
    "cyclical: lower by the update": Case(
        lambda low, high, cycle_steps, factor: lrax.cyclical(
            low, high, cycle_steps, height_factor=0.5, height=lrax.Exponential(1.0, factor)
        ),
        {"low": 0.5, "high": 2.0, "cycle_steps": 500, "factor": 0.999},
        (250, 500, 1000),
    ),
    "flat_cosine": Case(lrax.flat_cosine, {"peak": 0.1, "total_steps": 100, "flat_steps": 50, "end": 0.001}, (50, 100)),
    "inverse_sqrt": Case(
        lrax.inverse_sqrt,
        {"peak": 0.1, "warmup_steps": 100, "timescale": 50.0, "total_steps": 1000, "cooldown_steps": 600, "end": 0.001},
        (100, 400, 1000),
    ),
    "noam": Case(lrax.noam, {"model_size": 512, "warmup_steps": 4000, "factor": 2.0}, (3999,)),
    "one_cycle: cosine": Case(
        lambda low, high, cycle_steps, cooldown_steps, end, rise: lrax.one_cycle(
            low, high, cycle_steps, cooldown_steps, end, rise, "cosine"
        ),
        {"low": 0.1, "high": 0.5, "cycle_steps": 500, "cooldown_steps": 750, "end": 0.001, "rise": 0.3},
        (150, 500, 1250),
    ),
    "one_cycle_momentum": Case(
        lrax.one_cycle_momentum, {"low": 0.85, "high": 0.95, "cycle_steps": 500, "rise": 0.3}, (150, 500)
    ),
    "one_cycle_two_phase": Case(
        lrax.one_cycle_two_phase,
        {"start": 0.01, "peak": 0.25, "end": 1e-5, "total_steps": 100, "warmup_steps": 30},
        (30, 100),
    ),
    "sgdr: with a warm-up": Case(
        lrax.sgdr,
        {"peak": 2.0, "end": 0.01, "cycle_steps": 250, "length_factor": 2.0, "value_factor": 0.5, "warmup_steps": 20},
        (20, 250, 270, 750),
    ),
    "a user's own kind": Case(lambda low, high: Noise(low, high, seed=3), {"low": 0.1, "high": 0.2}),
    "a user's own phase": Case(SquareRoot, {"peak": 0.1, "steps": 100}, (100,)),
    "CosinePower of lrax.compat": Case(CosinePower, {"start": 0.1, "end": 0.01, "steps": 100, "power": 2.0}, (100,)),
    "Until of lrax.compat": Case(lambda high, steps: Until(lrax.Constant(high), steps), {"high": 0.1, "steps": 100}, (100,)),
    "Knots of lrax.compat": Case(
        Knots, {"values": [0.1, 0.5, 0.01], "whole": [0, 28, 96], "part": [0.0, 0.25, 0.0], "steps": 96}, (28, 96)
    ),
}


@jax.jit
def rates(schedule: lrax.Schedule, counts: jax.Array) -> jax.Array:
    """The rates at `counts`: one compiled function a kind for all tests."""
    return jax.vmap(schedule)(counts)
