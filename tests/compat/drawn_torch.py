"""Arguments for the functions of `lrax.compat.torch`, and their formulas."""

from typing import Any

import jax.numpy as jnp
from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, factor, length, positive, power, share, steps_of, words
from lrax.compat import torch


def drop(count: Any) -> Any:
    """A function of the user for `LambdaLR`."""
    return 1 / (1 + jnp.asarray(count, jnp.float32))


one_cycle = {
    "pct_start": st.floats(0.0, 0.5),
    "anneal_strategy": words(["cos", "linear"]),
    "three_phase": st.booleans(),
}


def peak_is_inside(arguments: dict[str, Any]) -> bool:
    """PyTorch divides by zero where a phase of its one-cycle policy has no length, and goes astray where one is negative."""
    steps, pct = arguments["total_steps"], arguments["pct_start"]
    ends = [pct * steps - 1, *([2 * pct * steps - 2] if arguments["three_phase"] else []), steps - 1]
    return all(after - before > 1e-3 for before, after in zip([0.0, *ends[:-1]], ends, strict=True))


TORCH: dict[str, Drawn] = {
    "LambdaLR": Drawn({"lr": positive}, lambda t, lr: lr / (1 + t), call=lambda drawn: {**drawn, "lr_lambda": drop}),
    "StepLR": Drawn(
        {"lr": positive, "step_size": length, "gamma": factor}, lambda t, lr, step_size, gamma: lr * gamma ** (t // step_size)
    ),
    "MultiStepLR": Drawn(
        {"lr": positive, "milestones": st.lists(st.integers(0, 50), max_size=4), "gamma": factor},
        lambda t, lr, milestones, gamma: lr * gamma ** steps_of(milestones, t),
    ),
    "ConstantLR": Drawn(
        {"lr": positive, "factor": factor, "total_iters": delay},
        lambda t, lr, factor, total_iters: lr * factor if t < total_iters or not total_iters else lr,
    ),
    "LinearLR": Drawn({"lr": positive, "start_factor": factor, "end_factor": share, "total_iters": delay}, f.torch_linear),
    "ExponentialLR": Drawn({"lr": positive, "gamma": st.floats(0.5, 1.05)}, lambda t, lr, gamma: lr * gamma**t),
    "PolynomialLR": Drawn(
        {"lr": positive, "total_iters": delay, "power": power},
        lambda t, lr, total_iters, power: lr * (1 - min(t, total_iters) / total_iters) ** power if total_iters else lr,
    ),
    "CosineAnnealingLR": Drawn(
        {"lr": positive, "T_max": length, "eta_min": positive}, lambda t, lr, T_max, eta_min: f.cosine(lr, eta_min, t / T_max)
    ),
    "CosineAnnealingWarmRestarts": Drawn(
        {"lr": positive, "T_0": length, "T_mult": st.integers(1, 3), "eta_min": positive}, f.torch_warm_restarts
    ),
    "CyclicLR": Drawn(
        {
            "base_lr": positive,
            "max_lr": positive,
            "step_size_up": st.integers(1, 20),
            "step_size_down": st.one_of(st.none(), st.integers(1, 20)),
            "mode": words(["triangular", "triangular2", "exp_range"]),
            "gamma": st.floats(0.9, 1.0),
        },
        f.torch_cyclic,
    ),
    "SWALR": Drawn(
        {"lr": positive, "swa_lr": positive, "anneal_epochs": delay, "anneal_strategy": words(["cos", "linear"])}, f.torch_swa
    ),
    "OneCycleLR": Drawn(
        {
            "max_lr": positive,
            "total_steps": st.integers(4, 60),
            "div_factor": st.floats(1.5, 30.0),
            "final_div_factor": st.floats(1.5, 100.0),
            **one_cycle,
        },
        lambda t, max_lr, div_factor, final_div_factor, three_phase, **rest: f.torch_one_cycle(
            t,
            [
                max_lr / div_factor,
                max_lr,
                *([max_lr / div_factor] if three_phase else []),
                max_lr / div_factor / final_div_factor,
            ],
            **rest,
        ),
        peak_is_inside,
    ),
    "OneCycleMomentum": Drawn(
        {"base_momentum": positive, "max_momentum": positive, "total_steps": st.integers(4, 60), **one_cycle},
        lambda t, base_momentum, max_momentum, three_phase, **rest: f.torch_one_cycle(
            t, [max_momentum, base_momentum, max_momentum, *([max_momentum] if three_phase else [])], **rest
        ),
        peak_is_inside,
    ),
    "SequentialLR": Drawn(
        {"lr": positive, "gamma": factor, "milestones": st.lists(delay, min_size=2, max_size=2).map(sorted)},
        lambda t, lr, gamma, milestones: f.joined(
            [lambda at: f.torch_linear(at, lr), lambda at: lr * gamma**at, lambda at: f.torch_linear(at, lr)], milestones, t
        ),
        call=lambda drawn: {
            "milestones": drawn["milestones"],
            "schedulers": [
                torch.LinearLR(drawn["lr"]),
                torch.ExponentialLR(drawn["lr"], drawn["gamma"]),
                torch.LinearLR(drawn["lr"]),
            ],
        },
    ),
    "ChainedScheduler": Drawn(
        {"lr": positive, "gamma": factor, "step_size": length},
        lambda t, lr, gamma, step_size: f.torch_linear(t, lr) * gamma ** (t // step_size),
        call=lambda drawn: {
            "lr": drawn["lr"],
            "schedulers": [torch.LinearLR(drawn["lr"]), torch.StepLR(drawn["lr"], drawn["step_size"], drawn["gamma"])],
        },
    ),
}
