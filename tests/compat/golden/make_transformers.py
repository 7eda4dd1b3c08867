"""Makes transformers.json with transformers' own code.

pip install torch==2.13.0 transformers==5.24.0 && python make_transformers.py
"""

import importlib.metadata
from typing import Any

import torch
import transformers.optimization as theirs
from record import counts, write

LENGTHS = {"num_warmup_steps": 10, "num_training_steps": 100}


def case(function: str, last: int, *marks: int, lr: float = 0.1, **arguments: Any) -> dict[str, Any]:
    """One case; where a cosine climbs back after the end, so does this."""
    return {"function": f"get_{function}", "arguments": {"lr": lr, **arguments}, "counts": counts(last, 10, *marks)}


def named(name: str, last: int, **arguments: Any) -> dict[str, Any]:
    """A case by the name that the trainer takes."""
    return {"function": "get_scheduler", "arguments": {"name": name, "lr": 0.1, **arguments}, "counts": counts(last, 10)}


CASES = [
    case("constant_schedule", 20),
    case("constant_schedule_with_warmup", 20, num_warmup_steps=10),
    case("constant_schedule_with_warmup", 20, num_warmup_steps=0),
    case("linear_schedule_with_warmup", 100, **LENGTHS),
    case("linear_schedule_with_warmup", 30, num_warmup_steps=10, num_training_steps=10),
    case("linear_schedule_with_warmup", 30, num_warmup_steps=0, num_training_steps=20),
    case("cosine_schedule_with_warmup", 100, 55, **LENGTHS),
    case("cosine_schedule_with_warmup", 250, 100, **LENGTHS, num_cycles=1.5),
    case("cosine_schedule_with_warmup", 250, 100, **LENGTHS, num_cycles=0.4),
    case("cosine_schedule_with_warmup", 250, 100, num_warmup_steps=3, num_training_steps=80, num_cycles=0.7),
    case("cosine_schedule_with_warmup", 50, **LENGTHS, num_cycles=0),
    case("cosine_with_hard_restarts_schedule_with_warmup", 100, 40, 70, **LENGTHS, num_cycles=3),
    case("cosine_with_hard_restarts_schedule_with_warmup", 100, 32, 33, 55, 77, 78, **LENGTHS, num_cycles=4),
    case("cosine_with_hard_restarts_schedule_with_warmup", 60, num_warmup_steps=0, num_training_steps=50),
    case("polynomial_decay_schedule_with_warmup", 100, **LENGTHS),
    case("polynomial_decay_schedule_with_warmup", 100, **LENGTHS, lr_end=0.001, power=2.5),
    case("inverse_sqrt_schedule", 200, num_warmup_steps=10),
    case("inverse_sqrt_schedule", 200, num_warmup_steps=0),
    case("inverse_sqrt_schedule", 200, num_warmup_steps=10, timescale=40),
    case("cosine_with_min_lr_schedule_with_warmup", 150, 100, **LENGTHS, min_lr=0.01),
    case("cosine_with_min_lr_schedule_with_warmup", 150, 100, **LENGTHS, min_lr_rate=0.2, num_cycles=1.25),
    case("cosine_with_min_lr_schedule_with_warmup_lr_rate", 150, 99, **LENGTHS, min_lr_rate=0.1),
    case("cosine_with_min_lr_schedule_with_warmup_lr_rate", 150, 99, **LENGTHS, min_lr=0.01, warmup_lr_rate=0.2),
    case(
        "cosine_with_min_lr_schedule_with_warmup_lr_rate",
        50,
        num_warmup_steps=1,
        num_training_steps=40,
        min_lr=0.01,
        warmup_lr_rate=0.2,
    ),
    case(
        "cosine_with_min_lr_schedule_with_warmup_lr_rate",
        50,
        num_warmup_steps=0,
        num_training_steps=40,
        min_lr=0.01,
        num_cycles=1.0,
    ),
    case("wsd_schedule", 100, 80, **LENGTHS, num_decay_steps=20),
    case("wsd_schedule", 100, 80, **LENGTHS, num_decay_steps=20, warmup_type="1-sqrt", decay_type="1-sqrt", min_lr_ratio=0.1),
    case("wsd_schedule", 100, 50, 70, num_warmup_steps=10, num_decay_steps=20, num_stable_steps=40, decay_type="linear"),
    case("wsd_schedule", 100, 80, **LENGTHS, num_decay_steps=20, warmup_type="cosine", num_cycles=1.25, min_lr_ratio=0.05),
    case("wsd_schedule", 30, num_warmup_steps=10, num_decay_steps=0, num_training_steps=10, min_lr_ratio=0.05),
    named("linear", 100, **LENGTHS),
    named("cosine", 100, **LENGTHS),
    named("cosine_with_restarts", 100, **LENGTHS, scheduler_specific_kwargs={"num_cycles": 2}),
    named("polynomial", 100, **LENGTHS, scheduler_specific_kwargs={"power": 2.0}),
    named("constant", 20),
    named("constant_with_warmup", 20, num_warmup_steps=10),
    named("inverse_sqrt", 50, num_warmup_steps=10),
    named("cosine_with_min_lr", 100, **LENGTHS, scheduler_specific_kwargs={"min_lr": 0.01}),
    named("cosine_warmup_with_min_lr", 99, **LENGTHS, scheduler_specific_kwargs={"min_lr": 0.01}),
    named("warmup_stable_decay", 100, **LENGTHS, scheduler_specific_kwargs={"num_decay_steps": 20}),
]


def rates(case: dict[str, Any]) -> list[float]:
    """The optimizer's rate after `count` steps."""
    arguments = dict(case["arguments"])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=arguments.pop("lr"))
    made = getattr(theirs, case["function"])(optimizer=optimizer, **arguments)
    found = []
    for _ in range(case["counts"][-1] + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return [found[count] for count in case["counts"]]


if __name__ == "__main__":
    version = importlib.metadata.version("transformers")
    write("transformers", f"transformers {version}, by make_transformers.py", CASES, rates)
