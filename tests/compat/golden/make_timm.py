"""Makes timm.json with timm's own code.

pip install torch==2.13.0 pyyaml && pip install --no-deps timm==1.0.31 && python make_timm.py
"""

import importlib
import importlib.metadata
import importlib.util
import sys
import types
from typing import Any

import torch
from record import counts, write

# only its schedulers are loaded, so that torchvision is not needed
package = types.ModuleType("timm")
package.__path__ = importlib.util.find_spec("timm").submodule_search_locations
sys.modules["timm"] = package
theirs = importlib.import_module("timm.scheduler")


def case(function: str, last: int, *marks: int, lr: float = 0.1, **arguments: Any) -> dict[str, Any]:
    """One case."""
    return {"function": f"{function}LRScheduler", "arguments": {"lr": lr, **arguments}, "counts": counts(last, *marks)}


WARM = {"warmup_t": 10, "warmup_lr_init": 0.001}
AGAIN = {"t_initial": 10, "lr_min": 0.001, "cycle_mul": 2.0, "cycle_decay": 0.5, "cycle_limit": 3}

CASES = [
    case("Cosine", 100, 50, t_initial=100, lr_min=0.001),
    case("Cosine", 100, 10, t_initial=100, **WARM, warmup_prefix=True),
    case("Cosine", 100, 10, t_initial=100, **WARM),
    case("Cosine", 100, 25, 50, 75, t_initial=25, cycle_limit=3, lr_min=0.001),
    case("Cosine", 100, 25, 50, 75, t_initial=25, cycle_limit=3, lr_min=0.001, cycle_decay=0.3, **WARM),
    case("Cosine", 100, 10, 30, 70, **AGAIN),
    case("Cosine", 100, 25, 26, 62, 63, t_initial=25, cycle_mul=1.5, cycle_limit=2, cycle_decay=0.5, lr_min=0.01),
    case("Cosine", 100, 50, t_initial=100, k_decay=2.0),
    case("Cosine", 100, 10, 30, 70, **AGAIN, k_decay=1.5),
    case("Poly", 100, t_initial=100, lr_min=0.001),
    case("Poly", 100, 10, 30, 70, **AGAIN, power=2.0),
    case("Poly", 100, 10, t_initial=100, k_decay=2.0, **WARM, warmup_prefix=True),
    case("Tanh", 100, 70, t_initial=100),
    case("Tanh", 100, 10, 40, 70, t_initial=30, lb=-5.0, ub=2.0, cycle_limit=3, cycle_decay=0.5, lr_min=0.001, **WARM),
    case("Tanh", 100, 10, t_initial=60, **WARM, warmup_prefix=True),
    case("Step", 100, 30, 60, 90, decay_t=30, decay_rate=0.5),
    case("Step", 100, 10, 40, decay_t=30, decay_rate=0.5, **WARM),
    case("Step", 100, 10, 30, decay_t=30, decay_rate=0.5, **WARM, warmup_prefix=False),
    case("Step", 40, 2, 3, 7, 8, decay_t=2.5, decay_rate=0.9),
    case("Step", 20, 5, decay_t=5),
    case("MultiStep", 100, 30, 60, decay_t=[30, 60], decay_rate=0.5),
    case("MultiStep", 100, 30, decay_t=[1, 30, 30], decay_rate=0.5),
    case("MultiStep", 100, 10, 11, 40, decay_t=[1, 30], decay_rate=0.5, **WARM),
    case("MultiStep", 100, 10, 29, decay_t=[5, 30], decay_rate=0.5, **WARM, warmup_prefix=False),
    case("WSD", 100, 10, 80, t_initial=90, decay_t=20, warmup_t=10),
    case("WSD", 100, 70, 90, t_initial=90, decay_t=20, decay_fn="exp", lr_min=0.001, decay_ratio=0.3),
    case("WSD", 100, 10, 80, t_initial=90, decay_t=20, warmup_t=10, stable_fn="rsqrt", decay_fn="linear"),
    case(
        "WSD",
        100,
        10,
        80,
        t_initial=90,
        decay_t=20,
        warmup_t=10,
        stable_fn="power",
        stable_power=1.5,
        stable_timescale=4.0,
        decay_fn="cosine",
        lr_min=0.004,
    ),
    case("WSD", 40, t_initial=30, decay_t=30, decay_fn="power", decay_power=2.0, lr_min=0.001),
]


def rates(case: dict[str, Any]) -> list[float]:
    """The optimizer's rate after `step_update(count)`."""
    arguments = dict(case["arguments"])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments.pop("lr"))
    made = getattr(theirs, case["function"])(optimizer, **arguments, t_in_epochs=False)
    found = [optimizer.param_groups[0]["lr"]]
    for count in range(1, case["counts"][-1] + 1):
        made.step_update(count)
        found.append(optimizer.param_groups[0]["lr"])
    return [found[count] for count in case["counts"]]


if __name__ == "__main__":
    write("timm", f"timm {importlib.metadata.version('timm')}, by make_timm.py", CASES, rates)
