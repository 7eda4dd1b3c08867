"""Examples of the recipes."""

import lrax
from schedule_case import Case

RECIPES: dict[str, Case] = {
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
    "cyclical: lower by the update": Case(
        lambda low, high, cycle_steps, factor: lrax.cyclical(
            low, high, cycle_steps, amplitude_factor=0.5, amplitude=lrax.Exponential(1.0, factor)
        ),
        {"low": 0.5, "high": 2.0, "cycle_steps": 500, "factor": 0.999},
        (250, 500, 1000),
    ),
    "extend": Case(
        lambda peak, total_steps, at: lrax.extend(
            lrax.warmup_cosine(peak, warmup_steps=100, total_steps=1000), total_steps, at
        ),
        {"peak": 0.1, "total_steps": 2500, "at": 600},
        (100, 600, 2500),
    ),
    "flat_cosine": Case(lrax.flat_cosine, {"peak": 0.1, "total_steps": 100, "flat_steps": 50, "end": 0.001}, (50, 100)),
    "warmup_inverse_sqrt": Case(
        lrax.warmup_inverse_sqrt,
        {"peak": 0.1, "warmup_steps": 100, "timescale": 50.0, "total_steps": 1000, "cooldown_steps": 600, "end": 0.001},
        (100, 400, 1000),
    ),
    "noam": Case(lrax.noam, {"model_size": 512, "warmup_steps": 4000, "factor": 2.0}, (3999,)),
    "one_cycle": Case(
        lrax.one_cycle,
        {"low": 0.1, "high": 0.5, "cycle_steps": 500, "cooldown_steps": 750, "end": 0.001},
        (250, 500, 1250),
    ),
    "one_cycle: cosine": Case(
        lambda low, high, cycle_steps, cooldown_steps, end, rise: lrax.one_cycle(
            low, high, cycle_steps, cooldown_steps, end, rise, "cosine"
        ),
        {"low": 0.1, "high": 0.5, "cycle_steps": 500, "cooldown_steps": 750, "end": 0.001, "rise": 0.3},
        (150, 500, 1250),
    ),
    "one_cycle: without a cool-down": Case(lrax.one_cycle, {"low": 0.1, "high": 0.5, "cycle_steps": 500}, (250, 500)),
    "one_cycle_momentum": Case(
        lrax.one_cycle_momentum, {"low": 0.85, "high": 0.95, "cycle_steps": 500, "rise": 0.3}, (150, 500)
    ),
    "one_cycle_two_phase": Case(
        lrax.schedules.one_cycle_two_phase,
        {"start": 0.01, "peak": 0.25, "end": 1e-5, "total_steps": 100, "warmup_steps": 30},
        (30, 100),
    ),
    "sgdr": Case(
        lrax.sgdr,
        {"peak": 2.0, "end": 0.01, "cycle_steps": 250, "length_factor": 2.0, "value_factor": 0.5},
        (250, 750),
    ),
    "sgdr: with a warm-up": Case(
        lrax.sgdr,
        {
            "peak": 2.0,
            "end": 0.01,
            "cycle_steps": 250,
            "length_factor": 2.0,
            "value_factor": 0.5,
            "warmup_steps": 20,
            "min_steps": 7,
        },
        (20, 250, 270, 750),
    ),
    "warmup_cosine": Case(lrax.warmup_cosine, {"peak": 0.5, "total_steps": 200, "warmup_steps": 4, "end": 0.01}, (4, 200)),
    "warmup_linear": Case(lrax.warmup_linear, {"peak": 0.5, "total_steps": 200, "warmup_steps": 4, "end": 0.01}, (4, 200)),
    "wsd": Case(
        lrax.wsd,
        {"peak": 0.5, "total_steps": 1000, "warmup_steps": 4, "cooldown_steps": 200, "end": 0.001},
        (4, 800, 1000),
    ),
    "warmup_cosine: from a start, the end held": Case(
        lrax.warmup_cosine,
        {"peak": 0.5, "total_steps": 200, "warmup_steps": 4, "end": 0.01, "start": 0.1, "end_steps": 40},
        (4, 160, 200),
    ),
    "wsd: without a cool-down": Case(
        lambda peak, total_steps, warmup_steps: lrax.wsd(
            peak, warmup_steps=warmup_steps, cooldown_steps=0, total_steps=total_steps
        ),
        {"peak": 0.5, "total_steps": 1000, "warmup_steps": 4},
        (4, 1000),
    ),
    "wsd: in shares": Case(
        lrax.wsd,
        {"peak": 0.5, "total_steps": 1000, "warmup_steps": 0.02, "cooldown_steps": 0.2, "end": 0.001},
        (20, 800, 1000),
    ),
    "factors": Case(
        lambda value, warmup_steps, factor, every, cycle_steps, model_size: lrax.schedules.factors(
            "constant*linear_warmup * rsqrt_normalized_decay * decay_every * cosine_decay * rsqrt_hidden_size",
            value,
            warmup_steps,
            factor,
            every,
            cycle_steps,
            model_size,
        ),
        {"value": 0.5, "warmup_steps": 10, "factor": 0.9, "every": 50, "cycle_steps": 200, "model_size": 512},
        (10, 50, 210),
    ),
    "warmed": Case(
        lambda start, boundaries, warmup_steps, start_factor: lrax.schedules.warmed(
            lrax.MultiStep(start, 0.5, boundaries), warmup_steps, start_factor
        ),
        {"start": 0.3, "boundaries": [50, 250], "warmup_steps": 100, "start_factor": 0.1},
        (50, 100, 250),
    ),
    "warmed: a share": Case(
        lambda peak, steps: lrax.schedules.warmed(lrax.Cosine(peak, 0.001, steps), 0.1), {"peak": 0.3, "steps": 200}, (20, 200)
    ),
    "faded": Case(
        lambda start, total_steps, cooldown_steps, end_factor: lrax.schedules.faded(
            lrax.InverseSqrt(start),
            cooldown_steps=cooldown_steps,
            total_steps=total_steps,
            end_factor=end_factor,
            mode="cosine",
        ),
        {"start": 0.3, "total_steps": 100, "cooldown_steps": 20, "end_factor": 0.1},
        (80, 100),
    ),
    "joined": Case(
        lambda start, end, boundaries: lrax.schedules.joined([lrax.Constant(start), lrax.Cosine(start, end, 50)], boundaries),
        {"start": 0.3, "end": 0.1, "boundaries": [20]},
        (20, 70),
    ),
    "warmup_power": Case(
        lrax.schedules.warmup_power,
        {
            "peak": 0.02,
            "warmup_steps": 100,
            "batch_size": 128.0,
            "step_tokens": 524_288.0,
            "amplitude": 4.6,
            "exponent": -0.51,
            "total_steps": 50_000,
            "cooldown_steps": 5_000,
            "end": 1e-4,
        },
        (100, 45_000, 50_000),
    ),
    "tri_stage": Case(
        lrax.schedules.tri_stage,
        {"peak": 0.5, "total_steps": 1000, "warmup_steps": 0.1, "hold_steps": 400, "start_factor": 0.01, "end_factor": 0.05},
        (100, 500, 1000),
    ),
    "wsd_s": Case(
        lrax.wsd_s,
        {"peak": 0.5, "total_steps": 1000, "ends": [300, 600], "warmup_steps": 4, "cooldown_steps": 100, "end": 0.001},
        (4, 200, 300, 1000),
    ),
    "wsd_s: in shares": Case(
        lrax.wsd_s,
        {"peak": 0.5, "total_steps": 1000, "ends": [0.25, 0.5], "warmup_steps": 0.01, "cooldown_steps": 0.1, "end": 0.001},
        (10, 150, 250, 1000),
    ),
}
