"""How much of lrax one call goes through: different functions, their files, calls, and how deep they are nested.

    python benchmarks/hops.py

Counted by `sys.setprofile`, so the numbers are exact and the same on every machine; second calls, so that nothing is compiled.
"""

import pathlib
import sys
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from _machine import table

COMPREHENSIONS = {"<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>"}
FOLDER = str(pathlib.Path(lrax.__file__).parent)
KEY = jax.random.key(0)
DATA = np.ones((64, 3), np.float32)
RATES = lrax.Constant(np.float32([0.01, 0.1, 0.3]))


def hops(call: Callable[[], Any]) -> list[str]:
    """Functions, files, calls and depth of a call."""
    functions, depth, deepest, calls = set(), 0, 0, 0

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal depth, deepest, calls
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(FOLDER) or code.co_name in COMPREHENSIONS:
            return
        if event == "return":
            depth -= 1
            return
        functions.add(code)
        depth, calls = depth + 1, calls + 1
        deepest = max(deepest, depth)

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    files = {code.co_filename for code in functions}
    return [str(number) for number in (len(functions), len(files), calls, deepest)]


def loss_fn(params: jax.Array, batch: jax.Array) -> jax.Array:
    """A quadratic."""
    return jnp.mean((params - batch) ** 2)


def metric(state: Any) -> jax.Array:
    """The size of the parameters."""
    return jnp.mean(state.params**2)


def train(schedule: lrax.Schedule) -> jax.Array:
    """Twelve steps on a quadratic."""
    return jax.lax.scan(lambda weight, count: (weight - schedule(count) * 2 * weight, weight**2), 1.0, jnp.arange(12))[1]


def cases(folder: str) -> dict[str, Callable[[], Any]]:
    """The calls that are counted."""
    learner = lrax.Learner.create(loss_fn, jnp.zeros(3), optax.sgd)
    schedule = lrax.warmup_cosine(peak=0.3, warmup_steps=10, total_steps=100)
    names = (str(number) for number in range(100))
    return {
        "make `warmup_cosine`": lambda: lrax.warmup_cosine(peak=0.3, warmup_steps=10, total_steps=100),
        "trace `warmup_cosine(count)`": lambda: jax.jit(lambda count: schedule(count)).trace(3),
        "`find_lr` default": lambda: lrax.find_lr(learner, DATA, batch_size=16, key=KEY),
        "`run_sweep` with folder": lambda: lrax.run_sweep(train, RATES, folder=pathlib.Path(folder) / next(names)),
        "`race` with evaluation": lambda: lrax.race(
            learner, DATA, RATES, rungs=(4, 4), batch_size=16, key=KEY, evaluation=lrax.Evaluation(metric)
        ),
    }  # fmt: skip


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, call in cases(folder).items():
            call()
            rows.append([name, *hops(call)])
    print(table(["call", "functions", "files", "calls", "depth"], rows))


if __name__ == "__main__":
    main()
