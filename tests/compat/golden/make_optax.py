"""Makes optax.json with optax's own code, in float64, so that its float32 does not stand between the two.

pip install optax==0.2.8 jax==0.10.2
JAX_ENABLE_X64=1 python make_optax.py
"""

from typing import Any

import jax.numpy as jnp
import optax
from record import counts, write


def case(function: str, last: int, *marks: int, **arguments: Any) -> dict[str, Any]:
    """One case; keys of tables are written as text."""
    return {"function": function, "arguments": arguments, "counts": counts(last, *marks)}


WARM = {"init_value": 0.05, "peak_value": 0.5, "warmup_steps": 20}
EXPONENTIAL = {"init_value": 0.5, "transition_steps": 20, "decay_rate": 0.8}
ROUND = {"init_value": 0.0, "peak_value": 0.5, "warmup_steps": 10, "decay_steps": 40, "end_value": 0.05}

CASES = [
    case("constant_schedule", 10, value=0.1),
    case("polynomial_schedule", 60, 10, 50, init_value=0.5, end_value=0.05, power=2, transition_steps=40, transition_begin=10),
    case("polynomial_schedule", 40, 39, init_value=0.05, end_value=0.5, power=0.5, transition_steps=40),
    case("polynomial_schedule", 10, init_value=0.5, end_value=0.1, power=0, transition_steps=5),
    case("polynomial_schedule", 10, init_value=0.5, end_value=0.1, power=2, transition_steps=0),
    case("linear_schedule", 60, 40, init_value=0.5, end_value=0.0, transition_steps=40, transition_begin=-5),
    case("linear_schedule", 10, init_value=0.5, end_value=0.0, transition_steps=-1),
    case("piecewise_constant_schedule", 60, 10, 40, init_value=0.5, boundaries_and_scales={"40": 0.1, "10": 2.0}),
    case("piecewise_constant_schedule", 60, 10, init_value=0.5, boundaries_and_scales={"0": 0.5, "10": 0.0}),
    case("piecewise_constant_schedule", 10, init_value=0.5),
    case(
        "piecewise_interpolate_schedule",
        60,
        10,
        40,
        interpolate_type="linear",
        init_value=0.5,
        boundaries_and_scales={"10": 2.0, "40": 0.1},
    ),
    case(
        "piecewise_interpolate_schedule",
        60,
        10,
        40,
        interpolate_type="cosine",
        init_value=0.5,
        boundaries_and_scales={"0": 0.5, "10": 2.0, "40": 0.0},
    ),
    case("piecewise_interpolate_schedule", 10, interpolate_type="cosine", init_value=0.5),
    case("exponential_decay", 100, 20, 40, **EXPONENTIAL),
    case("exponential_decay", 100, 20, 30, 50, **EXPONENTIAL, staircase=True, transition_begin=10),
    case("exponential_decay", 100, 20, 40, **EXPONENTIAL, end_value=0.3),
    case("exponential_decay", 10, 1, **EXPONENTIAL, end_value=0.7),
    case("exponential_decay", 100, init_value=0.1, transition_steps=10, decay_rate=1.2, end_value=0.3),
    case("exponential_decay", 6000, init_value=0.1, transition_steps=1, decay_rate=0.999),
    case("exponential_decay", 10, init_value=0.1, transition_steps=5, decay_rate=0.0),
    case("exponential_decay", 10, init_value=0.1, transition_steps=0, decay_rate=0.5),
    case("cosine_decay_schedule", 100, 50, 99, init_value=0.5, decay_steps=100),
    case("cosine_decay_schedule", 100, 50, 99, init_value=0.5, decay_steps=100, alpha=0.1),
    case("cosine_decay_schedule", 100, 50, 99, init_value=0.5, decay_steps=100, alpha=0.1, exponent=2.0),
    case("cosine_decay_schedule", 100, 50, 99, init_value=0.5, decay_steps=100, exponent=0.5),
    case("linear_onecycle_schedule", 97, 29, 82, transition_steps=97, peak_value=0.5),
    case("linear_onecycle_schedule", 3, transition_steps=3, peak_value=0.5),
    case("linear_onecycle_schedule", 1, transition_steps=1, peak_value=0.5),
    case("linear_onecycle_schedule", 97, transition_steps=97, peak_value=0.5, pct_start=0.2, pct_final=0.4, div_factor=5.0),
    case("cosine_onecycle_schedule", 97, 29, transition_steps=97, peak_value=0.5),
    case("cosine_onecycle_schedule", 97, 48, transition_steps=97, peak_value=0.5, pct_start=0.5, final_div_factor=10.0),
    case("cosine_onecycle_schedule", 2, transition_steps=2, peak_value=0.5),
    case("warmup_constant_schedule", 40, 20, **WARM),
    case("warmup_cosine_decay_schedule", 100, 20, 99, **WARM, decay_steps=100, end_value=0.01),
    case("warmup_cosine_decay_schedule", 100, 20, 99, **WARM, decay_steps=100, exponent=1.5),
    case("warmup_cosine_decay_schedule", 60, init_value=0.1, peak_value=0.5, warmup_steps=0, decay_steps=50),
    case(
        "warmup_cosine_decay_schedule", 60, 10, init_value=0.1, peak_value=0.0, warmup_steps=10, decay_steps=50, end_value=0.3
    ),
    case("warmup_exponential_decay_schedule", 100, 20, 50, **WARM, transition_steps=30, decay_rate=0.5, transition_begin=5),
    case("warmup_exponential_decay_schedule", 100, 20, 50, **WARM, transition_steps=30, decay_rate=0.5, staircase=True),
    case("warmup_exponential_decay_schedule", 100, 20, 50, **WARM, transition_steps=30, decay_rate=0.5, end_value=0.1),
    case("sgdr_schedule", 100, 40, 50, 65, cosine_kwargs=[ROUND, {**ROUND, "peak_value": 0.25, "decay_steps": 25}]),
    case(
        "join_schedules",
        60,
        10,
        30,
        boundaries=[10, 30],
        schedules=[
            {"function": "linear_schedule", "arguments": {"init_value": 0.0, "end_value": 0.5, "transition_steps": 20}},
            {"function": "constant_schedule", "arguments": {"value": 0.3}},
            {"function": "cosine_decay_schedule", "arguments": {"init_value": 0.5, "decay_steps": 20}},
        ],
    ),
]


def schedule(case: dict[str, Any]) -> Any:
    """A schedule, with the ones inside it."""
    made = dict(case["arguments"])
    if "schedules" in made:
        made["schedules"] = [schedule(one) for one in made["schedules"]]
    if "boundaries_and_scales" in made:
        made["boundaries_and_scales"] = {int(count): scale for count, scale in made["boundaries_and_scales"].items()}
    return getattr(optax.schedules, case["function"])(**made)


def rates(case: dict[str, Any]) -> list[float]:
    """The schedule at each count."""
    made = schedule(case)
    return [float(made(jnp.asarray(count))) for count in case["counts"]]


write("optax", f"optax {optax.__version__} in float64, by make_optax.py", CASES, rates)
