"""Searches the shape of a schedule on tasks of the choose half, beside the best recipes.

    python benchmarks/shapes.py [--tasks NAME ...] [--shapes 64] [--fresh 32] [--picture FOLDER]

Shapes are lines through six knots: where the peak stands, where the rate begins, and what part of the knot before it each later
knot has. Every shape and every recipe is judged at its own best rate. What is printed as ahead or behind is measured with seeds
that chose neither a shape nor a rate, the same for all.
"""

import argparse
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from _machine import machine
from finder.known_tasks import choose_tasks
from finder.tables import tables_of
from finder.task import Task
from finder.training import train

SPACE = {
    "peak_at": (0.0, 0.4),
    "start": (0.0, 1.0),
    "first": (0.3, 1.0),
    "second": (0.3, 1.0),
    "third": (0.1, 1.0),
    "end": (0.0, 1.0),
}


def shape(steps: int) -> Any:
    """Lines from the start to the peak, through three knots that are even between it and the end, to the end."""

    def made(peak_at: Any, start: Any, first: Any, second: Any, third: Any, end: Any) -> lrax.Schedule:
        peak = 1 + jnp.int32(peak_at * (steps - 8))
        counts = [jnp.int32(0), peak, *(peak + (steps - peak) * i // 4 for i in (1, 2, 3)), jnp.int32(steps)]
        values = jnp.stack([jnp.float32(start), jnp.float32(1), first, first * second, first * second * third])
        return lrax.Piecewise(values=jnp.append(values, values[-1] * end), counts=jnp.stack(counts))

    return made


def recipes(steps: int) -> dict[str, lrax.Schedule]:
    """What people use, at height 1."""
    tenth, fifth = steps // 10, steps // 5
    return {
        "constant": lrax.Constant(1.0),
        "linear": lrax.Linear(1.0, 0.0, steps),
        "warm-up, linear": lrax.Warmup(lrax.Linear(1.0, 0.0, steps - tenth), tenth),
        "cosine": lrax.Cosine(1.0, 0.0, steps),
        "warm-up, cosine": lrax.warmup_cosine(1.0, steps, tenth),
        "wsd, 20 % linear": lrax.wsd(1.0, steps, tenth // 2, fifth),
        "wsd, 50 % 1-sqrt": lrax.wsd(1.0, steps, tenth // 2, steps // 2, mode="one_minus_sqrt"),
        "one-cycle": lrax.schedules.one_cycle_two_phase(0.04, 1.0, 0.0, steps, 3 * tenth),
        "rex": lrax.Rex(1.0, 0.0, steps),
    }


def search(task: Task, shapes: int, fresh: int) -> Any:
    """The search of one task, around its best constant rate."""
    table = tables_of([task])[task.name]
    best = table["rates"][int(np.argmin(table["constant"]))]

    def run(schedule: lrax.Schedule, key: jax.Array) -> jax.Array:
        start, stream = jax.random.split(key)
        params, _ = train(task, task.initialize(start), stream, schedule(jnp.arange(task.updates)))
        return task.loss_fn(params, task.judged)

    return lrax.search_shapes(
        run,
        shape(task.updates),
        SPACE,
        best * 2.0 ** np.arange(-1.5, 1.6),
        key=jax.random.key(2026),
        total_steps=task.updates,
        propose=lrax.sweeps.halving_shapes(shapes, rounds=4),
        rungs=(2, 4, 8),
        beside=recipes(task.updates),
        fresh=fresh,
    )


def main() -> None:
    """Searches on the tasks that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", default=["mlp mnist momentum", "transformer prose adamw"])
    parser.add_argument("--shapes", type=int, default=64)
    parser.add_argument("--fresh", type=int, default=32)
    parser.add_argument("--picture", type=pathlib.Path)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    for task in choose_tasks():
        if task.name in arguments.tasks:
            began = time.perf_counter()
            found = search(task, arguments.shapes, arguments.fresh)
            print(f"\n{task.name}, {task.updates} updates, {time.perf_counter() - began:.0f} s\n{found}", flush=True)
            if arguments.picture:
                found.plot().figure.savefig(arguments.picture / f"{task.name.replace(' ', '_')}.png", dpi=90)


if __name__ == "__main__":
    main()
