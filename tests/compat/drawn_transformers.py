"""Arguments for the functions of `lrax.compat.transformers`, and their formulas."""

import math
from typing import Any

from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, positive, power, share, words

lengths = {"lr": positive, "num_warmup_steps": delay, "num_training_steps": st.integers(21, 60)}
cycles = st.one_of(st.sampled_from([0.5, 0.5, 1.0, 0.75, 1.3]), st.floats(0.01, 5.0))


def warmed(t: int, lr: float, steps: int, schedule: f.Rate) -> float:
    """A line from 0, and then a schedule from its own count 0."""
    return lr * t / steps if t < steps else schedule(t - steps)


def wave(t: float, high: float, low: float, steps: int, num_cycles: float) -> float:
    """Waves for ever."""
    return low + (high - low) * (1 + math.cos(2 * math.pi * num_cycles * t / steps)) / 2


def cosine(t: int, lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float, low: float = 0.0) -> float:
    """A line and a wave down to a part of the rate."""
    steps = num_training_steps - num_warmup_steps
    return warmed(t, lr, num_warmup_steps, lambda at: wave(at, lr, low * lr, steps, num_cycles))


def restarts(t: int, lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: int) -> float:
    """Half a cosine so many times."""

    def schedule(at: int) -> float:
        steps = num_training_steps - num_warmup_steps
        return f.cosine(lr, 0, num_cycles * at % steps / steps) if at < steps else 0.0

    return warmed(t, lr, num_warmup_steps, schedule)


def ahead(
    t: int,
    lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float,
    min_lr_rate: float,
    warmup_lr_rate: float | None,
) -> float:
    """One update ahead; the first rate may be given."""
    if t < num_warmup_steps and warmup_lr_rate is None:
        return lr * (t + 1) / num_warmup_steps
    if t < num_warmup_steps:
        return lr * f.line(warmup_lr_rate or 0.0, 1.0, t / max(1, num_warmup_steps - 1))
    return wave(t - num_warmup_steps + 1, lr, min_lr_rate * lr, num_training_steps - num_warmup_steps, num_cycles)


def wsd(
    t: int,
    lr: float,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_stable_steps: int,
    warmup_type: str,
    decay_type: str,
    min_lr_ratio: float,
    num_cycles: float,
) -> float:
    """A climb, a stable part and a fall, between the rate and a part of it."""
    shapes: dict[str, Any] = {
        "linear": lambda done: 1 - done,
        "cosine": lambda done: f.cosine(1, 0, done),
        "1-sqrt": lambda done: 1 - math.sqrt(done),
    }
    past = t - num_warmup_steps - num_stable_steps
    if t < num_warmup_steps:
        weight = shapes[warmup_type](1 - t / num_warmup_steps)
    elif past < 0:
        weight = 1.0
    elif past >= num_decay_steps:
        weight = 0.0
    else:
        done = past / num_decay_steps
        weight = wave(done, 1, 0, 1, num_cycles) if decay_type == "cosine" else shapes[decay_type](done)
    return lr * (min_lr_ratio + (1 - min_lr_ratio) * weight)


TRANSFORMERS: dict[str, Drawn] = {
    "get_constant_schedule": Drawn({"lr": positive}, lambda t, lr: lr),
    "get_constant_schedule_with_warmup": Drawn(
        {"lr": positive, "num_warmup_steps": delay},
        lambda t, lr, num_warmup_steps: warmed(t, lr, num_warmup_steps, lambda at: lr),
    ),
    "get_linear_schedule_with_warmup": Drawn(
        lengths,
        lambda t, lr, num_warmup_steps, num_training_steps: warmed(
            t, lr, num_warmup_steps, lambda at: lr * max(0.0, 1 - at / (num_training_steps - num_warmup_steps))
        ),
    ),
    "get_cosine_schedule_with_warmup": Drawn({**lengths, "num_cycles": cycles}, cosine),
    "get_cosine_with_hard_restarts_schedule_with_warmup": Drawn({**lengths, "num_cycles": st.integers(1, 4)}, restarts),
    "get_polynomial_decay_schedule_with_warmup": Drawn(
        {**lengths, "lr_end": st.floats(0.0, 0.009), "power": power},
        lambda t, lr, num_warmup_steps, num_training_steps, lr_end, power: warmed(
            t,
            lr,
            num_warmup_steps,
            lambda at: f.optax_polynomial(at, lr, lr_end, power, num_training_steps - num_warmup_steps),
        ),
    ),
    "get_inverse_sqrt_schedule": Drawn(
        {"lr": positive, "num_warmup_steps": delay, "timescale": st.one_of(st.none(), st.integers(1, 50))},
        lambda t, lr, num_warmup_steps, timescale: warmed(
            t, lr, num_warmup_steps, lambda at: lr / math.sqrt(1 + at / (timescale or num_warmup_steps or 10_000))
        ),
    ),
    "get_cosine_with_min_lr_schedule_with_warmup": Drawn(
        {**lengths, "num_cycles": cycles, "min_lr_rate": share},
        lambda t, min_lr_rate, **given: cosine(t, low=min_lr_rate, **given),
    ),
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate": Drawn(
        {**lengths, "num_cycles": cycles, "min_lr_rate": share, "warmup_lr_rate": st.one_of(st.none(), share)}, ahead
    ),
    "get_wsd_schedule": Drawn(
        {
            "lr": positive,
            "num_warmup_steps": delay,
            "num_decay_steps": delay,
            "num_stable_steps": delay,
            "warmup_type": words(["linear", "cosine", "1-sqrt"]),
            "decay_type": words(["linear", "cosine", "1-sqrt"]),
            "min_lr_ratio": share,
            "num_cycles": cycles,
        },
        wsd,
    ),
    "get_scheduler": Drawn(
        {**lengths, "name": words(["cosine", "cosine_with_min_lr"])},
        lambda t, name, **given: cosine(t, num_cycles=0.5, low=0.1 if "min" in name else 0.0, **given),
        call=lambda drawn: {**drawn, "scheduler_specific_kwargs": {"min_lr_rate": 0.1} if "min" in drawn["name"] else None},
    ),
}
