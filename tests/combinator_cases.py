"""Examples of the kinds that are made of schedules."""

import jax.numpy as jnp

import lrax
from schedule_case import Case

COMBINATORS: dict[str, Case] = {
    "Clip": Case(
        lambda low, high, steps: lrax.Clip(lrax.Linear(0.0, 1.0, steps), low, high),
        {"low": 0.2, "high": 0.6, "steps": 10},
        (2, 6, 10),
    ),
    "Clocked": Case(
        lambda start, end, steps, batch_sizes, boundaries, scaling: lrax.schedules.Clocked(
            lrax.Cosine(start, end, steps), lrax.Clock(batch_sizes, boundaries, unit=256), scaling
        ),
        {"start": 0.1, "end": 0.001, "steps": 100, "batch_sizes": [256, 1000], "boundaries": [50], "scaling": 0.5},
        (50, 63),
    ),
    "Clocked: by tokens": Case(
        lambda start, steps, batch_size: lrax.Clock(jnp.asarray(batch_size)[..., None]).to_steps(
            lrax.Linear(start, 0.0, steps)
        ),
        {"start": 0.1, "steps": 1_000_000, "batch_size": 4096},
        (244, 245),
    ),
    "Cooldown": Case(
        lambda start, begin, steps, end: lrax.Cooldown(lrax.Constant(start), begin, steps, end),
        {"start": 0.1, "begin": 1000, "steps": 500, "end": 0.001},
        (1000, 1500),
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
    "Cooldown: a power": Case(
        lambda start, begin, steps, power: lrax.Cooldown(lrax.Constant(start), begin, steps, 0.0, "cosine", power),
        {"start": 0.1, "begin": 1000, "steps": 500, "power": 0.7},
        (1000, 1500),
    ),
    "Cycle: growing": Case(
        lambda start, steps, length_factor: lrax.Cycle(lrax.Cosine(start, 0.0, steps), length_factor, 0.5),
        {"start": 2.0, "steps": 250, "length_factor": 2.0},
        (250, 750),
    ),
    "Cycle: each length from the one before": Case(
        lambda start, steps, length_factor: lrax.Cycle(lrax.Cosine(start, 0.1, steps), length_factor, rounding="each"),
        {"start": 2.0, "steps": 25, "length_factor": 1.1},
        (25, 53, 84),
    ),
    "Cycle: ends between two steps": Case(
        lambda start, steps, length_factor: lrax.Cycle(lrax.Cosine(start, 0.1, steps), length_factor, 0.9, "none"),
        {"start": 2.0, "steps": 25, "length_factor": 1.1},
        (25, 53, 83),
    ),
    "Cycle: shrinking to a smallest length": Case(
        lambda start, steps, min_steps: lrax.Cycle(lrax.Linear(start, 0.1, steps), 0.9, min_steps=min_steps),
        {"start": 2.0, "steps": 25, "min_steps": 7},
        (25, 48, 68, 200),
    ),
    "Cycle: same lengths": Case(
        lambda start, end, steps, value_factor: lrax.Cycle(lrax.Cosine(start, end, steps), 1, value_factor),
        {"start": 2.0, "end": 0.01, "steps": 250, "value_factor": 0.5},
        (250, 500),
    ),
    "Cycle: shrinking, with a warm-up": Case(
        lambda peak, steps, warmup_steps, length_factor: lrax.Cycle(
            lrax.Warmup(lrax.Linear(peak, 0.1, steps), warmup_steps), length_factor
        ),
        {"peak": 1.0, "steps": 90, "warmup_steps": 10, "length_factor": 0.8},
        (10, 100, 110, 180),
    ),
    "Extension": Case(
        lambda start, steps, begin, total_steps: lrax.schedules.Extension(lrax.Cosine(start, 0.001, steps), begin, total_steps),
        {"start": 0.1, "steps": 100, "begin": 60, "total_steps": 190},
        (60, 190),
    ),
    "Extension: holding": Case(
        lambda peak, steps, begin, total_steps: lrax.schedules.Extension(
            lrax.wsd(peak, warmup_steps=4, cooldown_steps=20, total_steps=steps, end=0.001), begin, total_steps, mode="hold"
        ),
        {"peak": 0.1, "steps": 100, "begin": 60, "total_steps": 190},
        (4, 60, 170, 190),
    ),
    "Maximum": Case(
        lambda start, floor: lrax.Maximum(lrax.InverseSqrt(start), lrax.Constant(floor)), {"start": 1.0, "floor": 0.1}, (99,)
    ),
    "Minimum": Case(
        lambda end, steps, start: lrax.Minimum(lrax.Linear(0.0, end, steps), lrax.InverseSqrt(start)),
        {"end": 1.0, "steps": 100, "start": 1.0},
        (20, 100),
    ),
    "Product": Case(
        lambda start, end, steps: lrax.Product(lrax.InverseSqrt(start), lrax.Linear(1.0, end, steps)),
        {"start": 0.1, "end": 0.01, "steps": 100},
        (100,),
    ),
    "Repeat": Case(
        lambda start, steps, times: lrax.Repeat(lrax.Cosine(start, 0.001, steps), times),
        {"start": 0.1, "steps": 100, "times": 3},
        (100, 200, 300),
    ),
    "Repeat: in so many steps": Case(
        lambda start, times, total_steps: lrax.Repeat(lrax.Cosine(start, 0.001, 1), times, total_steps),
        {"start": 0.1, "times": 3, "total_steps": 100},
        (34, 67, 100),
    ),
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
    "Stretch": Case(
        lambda start, steps, every: lrax.Stretch(lrax.Cosine(start, 0.001, steps), every),
        {"start": 0.1, "steps": 10, "every": 50},
        (50, 100, 500),
    ),
    "Stretch: not whole": Case(
        lambda start, steps: lrax.Stretch(lrax.Cosine(start, 0.001, steps), 1.5), {"start": 0.1, "steps": 100}, (75, 150)
    ),
    "Sum": Case(
        lambda low, start, steps: lrax.Sum(lrax.Constant(low), lrax.Cosine(start, 0.0, steps)),
        {"low": 0.1, "start": 0.3, "steps": 100},
        (100,),
    ),
    "Until": Case(lambda high, steps: lrax.schedules.Until(lrax.Constant(high), steps), {"high": 0.1, "steps": 100}, (100,)),
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
    "Warmup: logarithmic": Case(
        lambda start, peak, warmup_steps: lrax.Warmup(lrax.Constant(peak), warmup_steps, start, "logarithmic"),
        {"start": 0.01, "peak": 1.0, "warmup_steps": 50},
        (50,),
    ),
    "Warmup: a power": Case(
        lambda peak, warmup_steps, power: lrax.Warmup(lrax.Constant(peak), warmup_steps, 0.0, "linear", power),
        {"peak": 1.0, "warmup_steps": 50, "power": 2.5},
        (50,),
    ),
    "Warmup: of none": Case(
        lambda peak, warmup_steps: lrax.Warmup(lrax.InverseSqrt(peak), warmup_steps), {"peak": 1.0, "warmup_steps": 0}
    ),
    "Warmup: relaxation": Case(
        lambda peak, warmup_steps: lrax.Warmup(lrax.Constant(peak), warmup_steps, 0.0, "relaxation"),
        {"peak": 1.0, "warmup_steps": 50},
        (50,),
    ),
    "Warp": Case(
        lambda start, steps, power: lrax.schedules.Warp(lrax.Cosine(start, 0.001, steps), power),
        {"start": 0.1, "steps": 100, "power": 1.5},
        (100,),
    ),
}
