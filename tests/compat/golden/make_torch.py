"""Makes torch.json with PyTorch's own code.

pip install torch==2.13.0    # the CPU build
python make_torch.py
"""

import warnings
from typing import Any

import torch
from record import counts, write
from torch.optim import lr_scheduler, swa_utils

warnings.filterwarnings("ignore")  # PyTorch's own use of deprecated arguments


def case(function: str, last: int, *marks: int, **arguments: Any) -> dict[str, Any]:
    """One case."""
    return {"function": function, "arguments": arguments, "counts": counts(last, *marks)}


def part(function: str, **arguments: Any) -> dict[str, Any]:
    """A scheduler inside another."""
    return {"function": function, "arguments": {"lr": 0.1, **arguments}}


ONE = {"max_lr": 0.5, "total_steps": 97}
CYCLE = {"base_lr": 0.1, "max_lr": 0.6, "step_size_up": 16}
MOMENTUM = {"base_momentum": 0.85, "max_momentum": 0.95}

CASES = [
    case("LambdaLR", 50, lr=0.1, lr_lambda="lambda count: 1 / (1 + count)"),
    case("StepLR", 100, 30, 60, 90, lr=0.1, step_size=30),
    case("StepLR", 40, 7, 14, lr=0.3, step_size=7, gamma=0.5),
    case("StepLR", 1500, 3, 6, lr=0.3, step_size=3, gamma=0.99),
    case("MultiStepLR", 100, 30, 80, lr=0.1, milestones=[30, 80]),
    case("MultiStepLR", 100, 30, 80, lr=0.1, milestones=[80, 30, 30, 0], gamma=0.5),
    case("ConstantLR", 20, 5, lr=0.1),
    case("ConstantLR", 20, 12, lr=0.1, factor=0.25, total_iters=12),
    case("ConstantLR", 20, lr=0.1, factor=0.25, total_iters=0),
    case("LinearLR", 20, 5, lr=0.1),
    case("LinearLR", 50, 40, lr=0.1, start_factor=1.0, end_factor=0.0, total_iters=40),
    case("LinearLR", 20, lr=0.1, start_factor=0.5, total_iters=0),
    case("ExponentialLR", 100, lr=0.1, gamma=0.9),
    case("ExponentialLR", 6000, lr=0.1, gamma=0.999),
    case("PolynomialLR", 20, 5, lr=0.1),
    case("PolynomialLR", 60, 50, lr=0.1, total_iters=50, power=2.5),
    case("PolynomialLR", 20, lr=0.1, total_iters=0),
    case("CosineAnnealingLR", 130, 30, 60, 90, 120, lr=0.1, T_max=30),
    case("CosineAnnealingLR", 130, 30, 60, 90, 120, lr=0.1, T_max=30, eta_min=0.02),
    case("CosineAnnealingLR", 10, lr=0.1, T_max=1, eta_min=0.02),
    case("CosineAnnealingWarmRestarts", 100, 20, 40, lr=0.1, T_0=20),
    case("CosineAnnealingWarmRestarts", 160, 10, 30, 70, 150, lr=0.1, T_0=10, T_mult=2, eta_min=0.001),
    case("CyclicLR", 120, 16, 32, 48, **CYCLE),
    case("CyclicLR", 120, 16, 20, 36, 40, **CYCLE, step_size_down=4),
    case("CyclicLR", 120, 16, 32, 48, **CYCLE, mode="triangular2"),
    case("CyclicLR", 120, 16, 32, 48, **CYCLE, mode="exp_range", gamma=0.99),
    case("CyclicLR", 9000, 2000, 4000, 8000, base_lr=1e-3, max_lr=6e-3, mode="exp_range", gamma=0.9994),
    case("CyclicLR", 120, 16, 32, 48, **CYCLE, scale_fn="lambda cycle: 1 / cycle"),
    case("CyclicLR", 120, 16, 32, **CYCLE, scale_fn="lambda count: 1 / (1 + count)", scale_mode="iterations"),
    case("OneCycleLR", 96, 28, 29, max_lr=0.5, epochs=97, steps_per_epoch=1),
    case("OneCycleLR", 99, 28, 29, max_lr=0.5, total_steps=100),
    case("OneCycleLR", 96, 28, 56, **ONE, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0),
    case("OneCycleLR", 96, 23, 47, **ONE, pct_start=0.25, three_phase=True),
    case("OneCycleLR", 96, 57, **ONE, pct_start=0.6, three_phase=True, anneal_strategy="linear"),
    case("OneCycleLR", 96, **ONE, pct_start=0.0),
    case("OneCycleLR", 96, **ONE, pct_start=0.007),
    case("OneCycleLR", 96, **ONE, pct_start=1.0),
    case("OneCycleLR", 96, **ONE, pct_start=0.007, three_phase=True),
    case("OneCycleLR", 0, max_lr=0.5, total_steps=1),
    case("OneCycleMomentum", 96, 28, total_steps=97, **MOMENTUM),
    case("OneCycleMomentum", 96, 23, 47, total_steps=97, pct_start=0.25, three_phase=True, anneal_strategy="linear"),
    case("SWALR", 20, 10, lr=0.1, swa_lr=0.05),
    case("SWALR", 20, 5, lr=0.1, swa_lr=0.2, anneal_epochs=5, anneal_strategy="linear"),
    case("SWALR", 20, lr=0.1, swa_lr=0.2, anneal_epochs=0),
    case(
        "SequentialLR",
        80,
        20,
        50,
        milestones=[20, 50],
        schedulers=[
            part("LinearLR", start_factor=0.1, total_iters=20),
            part("CosineAnnealingLR", T_max=30),
            part("ExponentialLR", gamma=0.9),
        ],
    ),
    case(
        "SequentialLR",
        80,
        10,
        milestones=[10],
        schedulers=[part("ConstantLR", factor=0.1, total_iters=20), part("CosineAnnealingWarmRestarts", T_0=15, T_mult=2)],
    ),
    case(
        "ChainedScheduler",
        80,
        10,
        20,
        40,
        lr=0.1,
        schedulers=[
            part("LinearLR", start_factor=0.25, total_iters=10),
            part("StepLR", step_size=20, gamma=0.5),
            part("ExponentialLR", gamma=0.98),
        ],
    ),
]


def scheduler(optimizer: Any, function: str, arguments: dict[str, Any]) -> Any:
    """A scheduler, with the ones inside it."""
    made = {name: value for name, value in arguments.items() if name != "lr"}
    for name in ("lr_lambda", "scale_fn"):
        if name in made:
            made[name] = eval(made[name])
    if function == "OneCycleMomentum":
        return lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, **made)
    if "schedulers" in made:
        made["schedulers"] = [scheduler(optimizer, one["function"], one["arguments"]) for one in made["schedulers"]]
    if function == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(**made)
    return getattr(swa_utils if function == "SWALR" else lr_scheduler, function)(optimizer, **made)


def rates(case: dict[str, Any]) -> list[float]:
    """What stands in the optimizer after `count` calls of `step`; past its end one-cycle raises, and its last is repeated."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=case["arguments"].get("lr", 0.1), momentum=0.9)
    made = scheduler(optimizer, case["function"], case["arguments"])
    shown = "momentum" if case["function"] == "OneCycleMomentum" else "lr"
    found = []
    for _ in range(case["counts"][-1] + 1):
        found.append(optimizer.param_groups[0][shown])
        optimizer.step()
        if not case["function"].startswith("OneCycle") or made.last_epoch < made.total_steps - 1:
            made.step()
    return [found[count] for count in case["counts"]]


write("torch", f"PyTorch {torch.__version__}, by make_torch.py", CASES, rates)
