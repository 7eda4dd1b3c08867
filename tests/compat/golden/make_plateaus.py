"""Makes plateaus.json with PyTorch's, timm's and transformers' own code: rates by the values that are watched.

pip install torch==2.13.0 transformers==5.24.0 pyyaml && pip install --no-deps timm==1.0.31 && python make_plateaus.py
"""

import json
import random
import warnings
from typing import Any

import make_timm
import torch
import transformers.optimization as theirs
from record import HERE

warnings.filterwarnings("ignore")  # timm's is deprecated
RANDOM = random.Random(0)
FALLING = [round(2 ** (-i / 8) + 0.02 * RANDOM.random(), 3) for i in range(40)]
VALUES = FALLING + FALLING[20:10:-1] + [0.1] * 20 + [round(0.1 + 0.05 * RANDOM.random(), 3) for _ in range(30)]

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("torch", "ReduceLROnPlateau", {"lr": 0.1, "patience": 3}),
    ("torch", "ReduceLROnPlateau", {"lr": 0.1, "patience": 2, "factor": 0.5, "cooldown": 3, "min_lr": 0.02}),
    (
        "torch",
        "ReduceLROnPlateau",
        {"lr": 0.1, "patience": 1, "factor": 0.7, "threshold": 0.02, "threshold_mode": "abs", "mode": "max"},
    ),
    ("timm", "PlateauLRScheduler", {"lr": 0.1, "patience_t": 2, "decay_rate": 0.3, "mode": "min"}),
    ("timm", "PlateauLRScheduler", {"lr": 0.1, "patience_t": 4, "cooldown_t": 2, "lr_min": 0.001}),
    ("transformers", "get_reduce_on_plateau_schedule", {"lr": 0.1, "patience": 2, "factor": 0.7}),
    ("transformers", "get_greedy_schedule", {"lr": 0.1, "patience": 2}),
    (
        "transformers",
        "get_greedy_schedule",
        {"lr": 0.1, "patience": 1, "factor": 0.7, "cooldown": 2, "warmup": 3, "max_lr": 0.2},
    ),
    ("transformers", "get_greedy_schedule", {"lr": 0.1, "patience": 0, "factor": 0.5, "min_lr": 0.05, "reset_start": 3}),
    (
        "transformers",
        "get_greedy_schedule",
        {"lr": 0.1, "patience": 1, "factor": 0.5, "min_lr": 0.025, "mode": "max", "threshold": 0.01, "threshold_mode": "rel"},
    ),
]


def rates(peer: str, function: str, arguments: dict[str, Any]) -> list[float]:
    """The optimizer's rate after each value."""
    made = dict(arguments)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=made.pop("lr"))
    places = {"torch": torch.optim.lr_scheduler, "timm": make_timm.theirs.plateau_lr, "transformers": theirs}
    scheduler = getattr(places[peer], function)(optimizer, **made)
    getattr(scheduler, "lr_scheduler", scheduler).eps = 0.0  # their smallest change, which lrax has not
    found = []
    for epoch, value in enumerate(VALUES, 1):
        scheduler.step(epoch, value) if peer == "timm" else scheduler.step(value)
        found.append(float(f"{optimizer.param_groups[0]['lr']:.9g}"))
    return found


if __name__ == "__main__":
    cases = [
        {"peer": peer, "function": function, "arguments": arguments, "rates": rates(peer, function, arguments)}
        for peer, function, arguments in CASES
    ]
    lines = ",\n".join(map(json.dumps, cases))
    text = f'{{"made": "by make_plateaus.py", "values": {json.dumps(VALUES)}, "cases": [\n{lines}\n]}}\n'
    (HERE / "plateaus.json").write_text(text)
