"""Makes mxnet.json with MXNet's own code. The module stands alone; nothing else of MXNet is loaded.

pip download mxnet==1.9.1 --no-deps && unzip -j mxnet-1.9.1-*.whl mxnet/lr_scheduler.py
python make_mxnet.py lr_scheduler.py
"""

import runpy
import sys
from typing import Any

from record import counts, write

PEER = runpy.run_path(sys.argv[1])

WARM = {"base_lr": 1.0, "warmup_steps": 25, "warmup_begin_lr": 0.1}
CONSTANT = {**WARM, "warmup_mode": "constant"}


def case(function: str, last: int, *marks: int, **arguments: Any) -> dict[str, Any]:
    """One case."""
    return {"function": function, "arguments": arguments, "counts": counts(last, *marks)}


CASES = [
    case("FactorScheduler", 120, 10, 20, step=10, factor=0.5, base_lr=0.3),
    case("FactorScheduler", 120, 10, 20, 30, step=10, factor=0.5, base_lr=0.3, stop_factor_lr=0.05),
    case("FactorScheduler", 40, 10, 20, step=10, factor=0.5, base_lr=0.001, stop_factor_lr=0.01),
    case("FactorScheduler", 120, 23, 24, 30, step=10, factor=0.5, **WARM),
    case("FactorScheduler", 120, 23, 24, 30, step=10, factor=0.9, stop_factor_lr=0.5, **CONSTANT),
    case("FactorScheduler", 60, 23, 24, 40, step=40, factor=0.5, base_lr=1e-3, stop_factor_lr=1e-2, warmup_steps=25),
    case("FactorScheduler", 5000, 2000, step=1, factor=0.999, base_lr=0.1, stop_factor_lr=1e-3),
    case("FactorScheduler", 20, 1, step=4, factor=0.5, warmup_steps=1, base_lr=0.7),
    case("MultiFactorScheduler", 100, 30, 60, 90, step=[30, 60, 90], factor=0.1, base_lr=0.1),
    case("MultiFactorScheduler", 100, 5, 24, 30, 60, step=[5, 24, 26, 60], factor=0.5, **WARM),
    case("MultiFactorScheduler", 100, 5, 24, 30, 60, step=[1, 60], factor=0.25, **CONSTANT),
    case("PolyScheduler", 100, 99, max_update=100, base_lr=0.2, pwr=2, final_lr=0.01),
    case("PolyScheduler", 100, 50, max_update=100),
    case("PolyScheduler", 100, 24, 25, 99, max_update=100, pwr=0.5, final_lr=0.01, **WARM),
    case("PolyScheduler", 100, 24, 25, max_update=100, pwr=1, **CONSTANT),
    case("PolyScheduler", 50, 20, 24, max_update=20, **WARM),
    case("CosineScheduler", 100, 99, max_update=100, base_lr=0.2, final_lr=0.01),
    case("CosineScheduler", 100, 50, 99, max_update=100),
    case("CosineScheduler", 100, 24, 25, 99, max_update=100, **WARM),
    case("CosineScheduler", 1000, 24, 25, 999, max_update=1000, final_lr=0.001, **CONSTANT),
    case("CosineScheduler", 50, 20, 24, max_update=20, **WARM),
]


def rates(case: dict[str, Any]) -> list[float]:
    """Update `count + 1` asks for a rate, and every update before has asked."""
    scheduler = PEER[case["function"]](**case["arguments"])
    found = [scheduler(number) for number in range(1, case["counts"][-1] + 2)]
    return [found[count] for count in case["counts"]]


write("mxnet", "MXNet 1.9.1, lr_scheduler.py, by make_mxnet.py", CASES, rates)
