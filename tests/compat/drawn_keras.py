"""Arguments for the functions of `lrax.compat.keras`, and their formulas."""

import math

from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, factor, positive, power, share

steps = st.integers(1, 40)
first = {"initial_learning_rate": positive, "decay_steps": steps}


def time(t: int, decay_steps: int, staircase: bool) -> float:
    """Counts in units of `decay_steps`."""
    return t // decay_steps if staircase else t / decay_steps


def polynomial(
    t: int, initial_learning_rate: float, decay_steps: int, end_learning_rate: float, power: float, cycle: bool
) -> float:
    """A power of what is left to the horizon, which may move on."""
    horizon = decay_steps * max(math.ceil(t / decay_steps), 1) if cycle else decay_steps
    return f.optax_polynomial(t, initial_learning_rate, end_learning_rate, power, horizon)


def restarts(t: int, initial_learning_rate: float, first_decay_steps: int, t_mul: float, m_mul: float, alpha: float) -> float:
    """Cycles one by one; alpha is a part of the first rate."""
    begin, length, height = 0.0, float(first_decay_steps), 1.0
    while t >= begin + length - 1e-9:
        begin, length, height = begin + length, length * t_mul, height * m_mul
    return initial_learning_rate * f.cosine(alpha + (1 - alpha) * height, alpha, (t - begin) / length)


def cosine(
    t: int, initial_learning_rate: float, decay_steps: int, alpha: float, warmup_target: float | None, warmup_steps: int
) -> float:
    """A line, if there is a target, and half a cosine."""
    if warmup_target is not None and t < warmup_steps:
        return f.line(initial_learning_rate, warmup_target, t / warmup_steps)
    top, t = (initial_learning_rate, t) if warmup_target is None else (warmup_target, t - warmup_steps)
    return f.cosine(top, alpha * top, min(t, decay_steps) / decay_steps)


KERAS: dict[str, Drawn] = {
    "ExponentialDecay": Drawn(
        {**first, "decay_rate": st.floats(0.3, 1.1), "staircase": st.booleans()},
        lambda t, initial_learning_rate, decay_steps, decay_rate, staircase: (
            initial_learning_rate * decay_rate ** time(t, decay_steps, staircase)
        ),
    ),
    "PiecewiseConstantDecay": Drawn(
        {
            "boundaries": st.lists(st.integers(0, 60), min_size=3, max_size=3, unique=True).map(sorted),
            "values": st.lists(positive, min_size=4, max_size=4),
        },
        lambda t, boundaries, values: values[sum(at < t for at in boundaries)],
    ),
    "PolynomialDecay": Drawn({**first, "end_learning_rate": positive, "power": power, "cycle": st.booleans()}, polynomial),
    "InverseTimeDecay": Drawn(
        {**first, "decay_rate": st.floats(0.1, 3.0), "staircase": st.booleans()},
        lambda t, initial_learning_rate, decay_steps, decay_rate, staircase: (
            initial_learning_rate / (1 + decay_rate * time(t, decay_steps, staircase))
        ),
    ),
    "CosineDecay": Drawn(
        {**first, "alpha": share, "warmup_target": st.one_of(st.none(), positive), "warmup_steps": delay}, cosine
    ),
    "CosineDecayRestarts": Drawn(
        {
            "initial_learning_rate": positive,
            "first_decay_steps": steps,
            "t_mul": st.sampled_from([1.0, 2.0, 3.0, 1.5, 1.25, 1.05, 1.001]),
            "m_mul": factor,
            "alpha": share,
        },
        restarts,
    ),
}
