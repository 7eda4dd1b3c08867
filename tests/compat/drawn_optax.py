"""Arguments for the functions of `lrax.compat.optax`, and their formulas."""

from typing import Any

import jax.numpy as jnp
from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, length, power, share, signed, words


def hyperbola(value: float) -> Any:
    """A schedule to be joined, of optax or of lrax alike."""
    return lambda count: value / (1 + jnp.asarray(count, jnp.float32))


scales = st.dictionaries(st.integers(0, 50), st.floats(0.0, 3.0), max_size=4)
exponentials = {
    "transition_steps": st.integers(-1, 30),
    "decay_rate": st.one_of(st.just(0.0), st.floats(0.3, 1.2)),
    "transition_begin": st.integers(-2, 20),
    "staircase": st.booleans(),
    "end_value": st.one_of(st.none(), signed),
}
warm_cosine = {
    "init_value": signed,
    "peak_value": signed,
    "warmup_steps": delay,
    "decay_steps": st.integers(21, 50),
    "end_value": signed,
    "exponent": st.one_of(st.just(0.0), st.just(1.0), power),
}
OPTAX: dict[str, Drawn] = {
    "constant_schedule": Drawn({"value": signed}, lambda t, value: value),
    "polynomial_schedule": Drawn(
        {
            "init_value": signed,
            "end_value": signed,
            "power": st.one_of(st.just(0.0), st.just(1), power),
            "transition_steps": st.integers(-1, 40),
            "transition_begin": st.integers(-2, 20),
        },
        lambda t, transition_steps, transition_begin, **rest: f.optax_polynomial(
            t, steps=transition_steps, begin=transition_begin, **rest
        ),
    ),
    "linear_schedule": Drawn(
        {"init_value": signed, "end_value": signed, "transition_steps": st.integers(-1, 40), "transition_begin": delay},
        lambda t, init_value, end_value, transition_steps, transition_begin: f.optax_polynomial(
            t, init_value, end_value, 1.0, transition_steps, transition_begin
        ),
    ),
    "exponential_decay": Drawn({"init_value": signed, **exponentials}, f.optax_exponential),
    "cosine_decay_schedule": Drawn(
        {"init_value": signed, "decay_steps": length, "alpha": signed, "exponent": warm_cosine["exponent"]}, f.optax_cosine
    ),
    "warmup_constant_schedule": Drawn(
        {"init_value": signed, "peak_value": signed, "warmup_steps": st.integers(-1, 40)},
        lambda t, init_value, peak_value, warmup_steps: f.optax_polynomial(t, init_value, peak_value, 1.0, warmup_steps),
    ),
    "warmup_cosine_decay_schedule": Drawn(warm_cosine, f.optax_warmup_cosine),
    "warmup_exponential_decay_schedule": Drawn(
        {"init_value": signed, "peak_value": signed, "warmup_steps": delay, **exponentials}, f.optax_warmup_exponential
    ),
    "sgdr_schedule": Drawn(
        {"cosine_kwargs": st.lists(st.fixed_dictionaries(warm_cosine), min_size=1, max_size=3)}, f.optax_sgdr
    ),
    "join_schedules": Drawn(
        {
            "values": st.lists(signed, min_size=3, max_size=3),
            "boundaries": st.lists(length, min_size=2, max_size=2).map(sorted),
        },
        lambda t, values, boundaries: f.joined([lambda at, v=v: v / (1 + at) for v in values], boundaries, t),
        call=lambda drawn: {"boundaries": drawn["boundaries"], "schedules": [hyperbola(v) for v in drawn["values"]]},
    ),
    "piecewise_constant_schedule": Drawn(
        {"init_value": signed, "boundaries_and_scales": scales},
        lambda t, init_value, boundaries_and_scales: f.optax_table(t, init_value, boundaries_and_scales),
    ),
    "piecewise_interpolate_schedule": Drawn(
        {"interpolate_type": words(["linear", "cosine"]), "init_value": signed, "boundaries_and_scales": scales},
        lambda t, interpolate_type, init_value, boundaries_and_scales: f.optax_table(
            t, init_value, boundaries_and_scales, f.line if interpolate_type == "linear" else f.cosine
        ),
    ),
    "linear_onecycle_schedule": Drawn(
        {
            "transition_steps": st.integers(4, 40),
            "peak_value": signed,
            "pct_start": st.floats(0.0, 0.5),
            "pct_final": st.floats(0.5, 1.0),
            "div_factor": st.floats(1.5, 30.0),
            "final_div_factor": st.floats(1.5, 100.0),
        },
        lambda t, transition_steps, peak_value, pct_start, pct_final, div_factor, final_div_factor: f.optax_onecycle(
            t,
            transition_steps,
            peak_value,
            {pct_start: div_factor, pct_final: 1 / div_factor},
            1 / final_div_factor,
            div_factor,
            f.line,
        ),
    ),
    "cosine_onecycle_schedule": Drawn(
        {
            "transition_steps": st.integers(4, 40),
            "peak_value": signed,
            "pct_start": share,
            "div_factor": st.floats(1.5, 30.0),
            "final_div_factor": st.floats(1.5, 100.0),
        },
        lambda t, transition_steps, peak_value, pct_start, div_factor, final_div_factor: f.optax_onecycle(
            t,
            transition_steps,
            peak_value,
            {pct_start: div_factor},
            1 / (div_factor * final_div_factor),
            div_factor,
            f.cosine,
        ),
    ),
}
