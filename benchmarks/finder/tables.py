"""What training a task ends at, for a fine grid of rates: kept in `tables.json`, and filled in where it is missing.

A coarse grid (two rates a decade, 1e-6 to 100) finds the best decade; a fine one (ten a decade) covers one and a half decades
on either side of it (one decade for runs of more than a thousand updates, whose coarse grid has one seed). Every rate is
trained from the same start on the same batches, with three seeds: as a constant, as the peak of a warm-up-cosine (a tenth
warm-up, then down to 0), and, for tasks that came later, of a warm-up-stable-decay (the last fifth straight down to 0).
A run that ends above its start counts as its start.
"""

import json
import pathlib
import sys
import time
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from finder.task import Task
from finder.training import final_losses

FILE = pathlib.Path(__file__).with_name("tables.json")
KINDS = ("constant", "cosine", "wsd")
SEEDS = 3
Table = dict[str, Any]


def shape(kind: str, updates: int) -> jax.Array:
    """The rate of every update as a part of the peak."""
    if kind == "constant":
        return jnp.ones(updates)
    count, warmup = jnp.arange(updates), updates // 10
    if kind == "wsd":  # a fifth of the run goes straight down
        return jnp.minimum(jnp.minimum((count + 1) / warmup, 1.0), (updates - count) / (updates - updates * 4 // 5))
    falling = 0.5 + 0.5 * jnp.cos(jnp.pi * (count - warmup) / (updates - warmup))
    return jnp.where(count < warmup, (count + 1) / warmup, falling)


def ends(task: Task, grid: np.ndarray, seeds: int = SEEDS) -> tuple[dict[str, np.ndarray], float]:
    """Mean final loss at each rate under both schedules, and before training."""
    shapes = jnp.stack([shape(kind, task.updates) for kind in KINDS])
    rates = (shapes[:, None] * jnp.asarray(grid, jnp.float32)[:, None]).reshape(-1, task.updates)
    found, starts = zip(*(final_losses(task, jax.random.key(1000 + seed), rates) for seed in range(seeds)), strict=True)
    pairs = [(np.asarray(end), float(start)) for end, start in zip(found, starts, strict=True)]
    capped = np.stack([np.where(np.isfinite(end), np.minimum(end, start), start) for end, start in pairs])
    means = capped.mean(axis=0).reshape(len(KINDS), len(grid))
    return dict(zip(KINDS, means, strict=True)), float(np.mean([start for _, start in pairs]))


def measure(task: Task) -> Table:
    """The task's table: rates, mean final losses of both schedules, loss before training."""
    coarse = 10.0 ** np.arange(-6, 2.01, 0.5)
    long = task.updates > 1000
    rough, _ = ends(task, coarse, 1 if long else SEEDS)
    middle = np.mean([np.log10(coarse[rough[kind].argmin()]) for kind in KINDS])
    fine = 10.0 ** (round(middle, 1) + (np.arange(-1.0, 1.01, 0.1) if long else np.arange(-1.5, 1.51, 0.1)))
    finer, first = ends(task, fine)
    apart = (coarse < fine[0] / 1.05) | (coarse > fine[-1] * 1.05)
    rates = np.concatenate([coarse[apart], fine])
    order = rates.argsort()
    table = {"half": task.half, "updates": task.updates, "initial": round(first, 5)}
    table["rates"] = [float(f"{rate:.4g}") for rate in rates[order]]
    for kind in KINDS:
        means = np.concatenate([rough[kind][apart], finer[kind]])[order]
        table[kind] = [float(f"{mean:.5g}") for mean in means]
    return table


def tables_of(tasks: Iterable[Task]) -> dict[str, Table]:
    """The tables of these tasks, measured and written down where the file does not have them."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    tasks = tuple(tasks)
    for task in tasks:
        if task.name not in kept:
            began = time.perf_counter()
            kept[task.name] = measure(task)
            print(f"table of {task.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(table)}" for name, table in kept.items())
            FILE.write_text("{\n" + rows + "\n}\n")
    return {task.name: kept[task.name] for task in tasks}
