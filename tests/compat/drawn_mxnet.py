"""Arguments for the functions of `lrax.compat.mxnet`, and their formulas."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, factor, length, positive, power, steps_of, words


def warmed(formula: Callable[..., float]) -> Callable[..., float]:
    """MXNet's warm-up before a formula of the update number."""

    def rate(t: int, base_lr: float, warmup_steps: int, warmup_begin_lr: float, warmup_mode: str, **rest: Any) -> float:
        if t + 1 < warmup_steps:
            return f.mxnet_warmup(t + 1, warmup_begin_lr, base_lr, warmup_steps, warmup_mode)
        return formula(t + 1, base_lr, warmup_steps, **rest)

    return rate


def begins_below(arguments: dict[str, Any]) -> bool:
    """MXNet's warm-ups climb, and its decays have a length."""
    return arguments["warmup_begin_lr"] <= arguments["base_lr"] and arguments.get("max_update") != arguments["warmup_steps"]


warmup = {
    "base_lr": positive,
    "warmup_steps": delay,
    "warmup_begin_lr": st.floats(0.0, 0.01),
    "warmup_mode": words(["linear", "constant"]),
}
MXNET: dict[str, Drawn] = {
    "FactorScheduler": Drawn(
        {"step": length, "factor": factor, "stop_factor_lr": st.floats(0.0, 0.3), **warmup},
        warmed(lambda n, base, _, step, factor, stop_factor_lr: f.mxnet_factor(n, int(step), factor, stop_factor_lr, base)),
        begins_below,
    ),
    "MultiFactorScheduler": Drawn(
        {"step": st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True).map(sorted), "factor": factor, **warmup},
        warmed(lambda n, base, _, step, factor: base * factor ** steps_of(step, n - 1)),
        begins_below,
    ),
    "PolyScheduler": Drawn(
        {"max_update": length, "pwr": power, "final_lr": positive, **warmup},
        warmed(
            lambda n, base, warmup_steps, max_update, pwr, final_lr: f.mxnet_decay(
                n, max_update, base, final_lr, warmup_steps, lambda done: (1 - done) ** pwr
            )
        ),
        begins_below,
    ),
    "CosineScheduler": Drawn(
        {"max_update": length, "final_lr": positive, **warmup},
        warmed(
            lambda n, base, warmup_steps, max_update, final_lr: f.mxnet_decay(
                n, max_update, base, final_lr, warmup_steps, lambda done: f.cosine(1.0, 0.0, done)
            )
        ),
        begins_below,
    ),
}
