"""Arguments for the functions of `lrax.compat.timm`, and their formulas."""

import bisect
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, factor, positive, power, words

steps = st.integers(1, 40)
warm = {"warmup_t": delay, "warmup_lr_init": positive, "warmup_prefix": st.booleans()}
again = {
    "lr": positive,
    "t_initial": steps,
    "lr_min": st.floats(0.0, 0.5),
    "cycle_mul": st.sampled_from([1.0, 2.0, 1.5, 1.1]),
    "cycle_decay": factor,
    "cycle_limit": st.integers(1, 3),
    **warm,
}


def warmed(
    t: int,
    lr: float,
    schedule: f.Rate,
    warmup_t: int,
    warmup_lr_init: float,
    warmup_prefix: bool,
    reaches: float | None = None,
) -> float:
    """A line before the schedule, or over its beginning."""
    if t < warmup_t:
        return f.line(warmup_lr_init, lr if reaches is None else reaches, t / warmup_t)
    return schedule(t - warmup_t if warmup_prefix else t)


def cycled(
    t: int,
    lr: float,
    t_initial: int,
    lr_min: float,
    cycle_mul: float,
    cycle_decay: float,
    cycle_limit: int,
    weight: Callable[[float], float],
) -> float:
    """A weight of what is above `lr_min`, cycle by cycle; a cycle may end between two counts."""
    index, length, past = 0, Fraction(t_initial), Fraction(t)
    while past >= length:
        index, past, length = index + 1, past - length, length * Fraction(str(cycle_mul))
    return lr_min + (lr * cycle_decay**index - lr_min) * weight(float(past / length)) if index < cycle_limit else lr_min


def cycling(t: int, weight: Callable[[float], float], to_first: bool = False, **given: Any) -> float:
    """A schedule of cycles with its warm-up; at count 0 timm has not used its formula yet."""
    before = {name: given.pop(name) for name in warm}
    if t == 0 and not before["warmup_t"]:
        return given["lr"]

    def schedule(at: int) -> float:
        return cycled(at, weight=weight, **given)

    reaches = schedule(before["warmup_t"]) if to_first and not before["warmup_prefix"] else None
    return warmed(t, given["lr"], schedule, **before, reaches=reaches)


def whole_if_warped(arguments: dict[str, Any]) -> bool:
    """Cycles whose time runs as a power have to have whole lengths."""
    return arguments["k_decay"] == 1 or arguments["cycle_mul"] in (1.0, 2.0)


def wsd(
    t: int,
    lr: float,
    t_initial: int,
    decay_t: int,
    lr_min: float,
    stable_fn: str,
    stable_power: float,
    decay_fn: str,
    decay_power: float,
    decay_ratio: float,
    warmup_t: int,
    warmup_lr_init: float,
) -> float:
    """A line, a stable part, and a decay of what it is above `lr_min`."""
    if t < warmup_t:
        return f.line(warmup_lr_init, lr, t / warmup_t)
    t -= warmup_t
    stable = lr * {"constant": 1.0, "rsqrt": (1 + t / 7) ** -0.5, "power": (1 + t / 7) ** -stable_power}[stable_fn]
    done = min(max(t - (t_initial - decay_t), 0) / decay_t, 1.0)
    left = {
        "linear": 1 - done,
        "1-sqrt": 1 - math.sqrt(done),
        "cosine": f.cosine(1, 0, done),
        "power": 1 - done**decay_power,
        "exp": (decay_ratio**done - decay_ratio) / (1 - decay_ratio),
    }[decay_fn]
    return lr_min + (max(stable, lr_min) - lr_min) * left


TIMM: dict[str, Drawn] = {
    "CosineLRScheduler": Drawn(
        {**again, "k_decay": st.one_of(st.just(1.0), st.floats(0.5, 3.0))},
        lambda t, k_decay, **given: cycling(t, lambda done: f.cosine(1, 0, done**k_decay), **given),
        fits=whole_if_warped,
    ),
    "PolyLRScheduler": Drawn(
        {**again, "power": power, "k_decay": st.one_of(st.just(1.0), st.floats(0.5, 3.0))},
        lambda t, power, k_decay, **given: cycling(t, lambda done: (1 - done**k_decay) ** power, **given),
        fits=whole_if_warped,
    ),
    "TanhLRScheduler": Drawn(
        {**again, "lb": st.floats(-7.0, -0.1), "ub": st.floats(1.0, 4.0)},
        lambda t, lb, ub, **given: cycling(
            t, lambda done: (1 - math.tanh(lb * (1 - done) + ub * done)) / 2, to_first=True, **given
        ),
    ),
    "StepLRScheduler": Drawn(
        {"lr": positive, "decay_t": st.one_of(steps, st.sampled_from([2.5, 7.25])), "decay_rate": factor, **warm},
        lambda t, lr, decay_t, decay_rate, **before: warmed(t, lr, lambda at: lr * decay_rate ** (at // decay_t), **before),
    ),
    "MultiStepLRScheduler": Drawn(
        {"lr": positive, "decay_t": st.lists(st.integers(2, 50), max_size=4).map(sorted), "decay_rate": factor, **warm},
        lambda t, lr, decay_t, decay_rate, **before: warmed(
            t, lr, lambda at: lr * decay_rate ** bisect.bisect_right(decay_t, at + 1), **before
        ),
    ),
    "WSDLRScheduler": Drawn(
        {
            "lr": st.floats(0.5, 2.0),
            "t_initial": st.integers(20, 40),
            "decay_t": st.integers(1, 20),
            "lr_min": st.floats(0.0, 0.4),
            "stable_fn": words(["constant", "rsqrt", "power"]),
            "stable_power": st.floats(0.3, 1.5),
            "decay_fn": words(["linear", "1-sqrt", "cosine", "power", "exp"]),
            "decay_power": power,
            "decay_ratio": st.floats(0.05, 0.9),
            "warmup_t": delay,
            "warmup_lr_init": positive,
        },
        wsd,
        call=lambda drawn: {**drawn, "stable_timescale": 7.0},
    ),
}
