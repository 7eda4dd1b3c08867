"""Makes rows_keras.json, rows_timm.json and rows_transformers.json: rows of docs/migrating.md, run by the library itself.

pip install keras==3.15.1 jax && python make_migrating.py keras
pip install torch==2.13.0 pyyaml && pip install --no-deps timm==1.0.31 && python make_migrating.py timm
pip install torch==2.13.0 transformers==5.23.0 && python make_migrating.py transformers
"""

import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import re
import sys
import types
from typing import Any

from record import counts, write

TABLE = pathlib.Path(__file__).parents[3] / "docs" / "migrating.md"
MARKS = (10, 20, 25, 30, 50, 60, 70, 75, 80, 90)


def rows(library: str) -> list[str]:
    """What stands in the second column of the rows of a library."""
    return re.findall(rf"^\| {library} \| `([^`]+)` \|", TABLE.read_text(), re.MULTILINE | re.IGNORECASE)


def case(call: str) -> dict[str, Any]:
    """A row; where the library's cosine climbs back after the end, the comparison stops there."""
    climbs = "get_cosine" in call and "hard_restarts" not in call
    last = 99 if "warmup_lr_rate(" in call else 100
    return {"call": call, "counts": [count for count in counts(100, *MARKS) if not climbs or count <= last]}


def keras(case: dict[str, Any]) -> list[float]:
    """Keras's schedules are functions of the count; in float64 as far as Keras goes (its cosine stays float32)."""
    importlib.import_module("keras").config.set_floatx("float64")
    schedules = importlib.import_module("keras.optimizers.schedules")
    made = eval(case["call"], vars(schedules))
    return [float(made(count)) for count in case["counts"]]


def timm(case: dict[str, Any]) -> list[float]:
    """The optimizer's rate after `step_update(count)`; only its schedulers are loaded, so that torchvision is not needed."""
    if "timm" not in sys.modules:
        package = types.ModuleType("timm")
        package.__path__ = importlib.util.find_spec("timm").submodule_search_locations
        sys.modules["timm"] = package
    optimizer = optimizer_at(0.1)
    call = case["call"].removesuffix(")") + ", t_in_epochs=False)"
    made = eval(call, {**vars(importlib.import_module("timm.scheduler")), "optimizer": optimizer})
    found = [optimizer.param_groups[0]["lr"]]
    for count in range(1, case["counts"][-1] + 1):
        made.step_update(count)
        found.append(optimizer.param_groups[0]["lr"])
    return [found[count] for count in case["counts"]]


def transformers(case: dict[str, Any]) -> list[float]:
    """The optimizer's rate after `count` steps."""
    optimizer = optimizer_at(0.1)
    made = eval(case["call"], {**vars(importlib.import_module("transformers.optimization")), "optimizer": optimizer})
    found = []
    for _ in range(case["counts"][-1] + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return [found[count] for count in case["counts"]]


def optimizer_at(rate: float) -> Any:
    """An optimizer of PyTorch."""
    torch = importlib.import_module("torch")
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


if __name__ == "__main__":
    library = sys.argv[1]
    if library == "keras":
        os.environ.update(KERAS_BACKEND="jax", JAX_ENABLE_X64="1", JAX_PLATFORMS="cpu")
    made = f"{library} {importlib.metadata.version(library)}, by make_migrating.py"
    write(
        f"rows_{library}", made, map(case, rows(library)), {"keras": keras, "timm": timm, "transformers": transformers}[library]
    )
