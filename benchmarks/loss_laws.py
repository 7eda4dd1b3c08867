"""Laws of the loss on tasks of the choose half: fitted to two runs, asked for the ends of plans that they have not seen.

    python benchmarks/loss_laws.py [--tasks NAME ...] [--updates 800] [--seeds 8]

Fitted to a constant rate and to a cosine of one peak; asked for other plans of that peak, of the same length and twice as long.
An end is the mean training loss of the last twentieth of the updates over all seeds, its error in brackets.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from _machine import machine, table
from finder.known_tasks import choose_tasks
from finder.tables import tables_of
from finder.task import Task
from finder.training import curves

KINDS = ("annealing", "multi_power")


def plans(peak: float, updates: int) -> dict[str, tuple[lrax.Schedule, int]]:
    """Plans with their lengths; the first two are fitted."""
    tenth, fifth, twice = updates // 10, updates // 5, 2 * updates
    return {
        "constant": (lrax.Constant(peak), updates),
        "warm-up, cosine": (lrax.warmup_cosine(peak, updates, tenth), updates),
        "linear": (lrax.Linear(peak, 0.0, updates), updates),
        "wsd, 20 %": (lrax.wsd(peak, updates, tenth // 2, fifth), updates),
        "wsd, 50 %": (lrax.wsd(peak, updates, tenth // 2, updates // 2), updates),
        "wsd, 20 % 1-sqrt": (lrax.wsd(peak, updates, tenth // 2, fifth, mode="one_minus_sqrt"), updates),
        "constant, halved in the middle": (lrax.StepDecay(peak, 0.5, updates // 2), updates),
        "constant, twice as long": (lrax.Constant(peak), twice),
        "wsd, 20 %, twice as long": (lrax.wsd(peak, twice, tenth // 2, 2 * fifth), twice),
        "warm-up, cosine, twice as long": (lrax.warmup_cosine(peak, twice, tenth), twice),
    }


def online() -> Task:
    """What the laws are for, in small: linear regression whose spectrum is a power, with noise, no example seen twice."""
    spread = jnp.arange(1, 201.0) ** -0.75
    truth = jax.random.normal(jax.random.key(1), (200,)) * jnp.arange(1, 201.0) ** 0.25

    def sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        draw, noise = jax.random.split(key)
        inputs = spread * jax.random.normal(draw, (16, 200))
        return inputs, inputs @ truth + jax.random.normal(noise, (16,))

    def loss_fn(params: Any, batch: Any) -> jax.Array:
        return jnp.mean((batch[0] @ params["slope"] - batch[1]) ** 2)

    def zeros(key: jax.Array) -> Any:
        return {"slope": jnp.zeros(200)}

    return Task("online regression sgd", "choose", zeros, loss_fn, sample, optax.sgd, 800, 0.1, sample(jax.random.key(2)))


def measure(task: Task, peak: float, updates: int, seeds: int) -> None:
    """Trains, fits, asks and prints."""
    keys = jax.random.split(jax.random.key(2026), seeds)
    given = plans(peak, updates)
    losses = {}
    for length in (updates, 2 * updates):
        names = [name for name, (_, steps) in given.items() if steps == length]
        rates = jnp.stack([jnp.broadcast_to(given[name][0](jnp.arange(length)), (length,)) for name in names])
        losses |= dict(zip(names, np.asarray(curves(task, keys, rates), np.float64).swapaxes(0, 1), strict=True))
    fitted = list(given)[:2]
    runs = [(given[name][0], losses[name].mean(axis=0)) for name in fitted]
    began = time.perf_counter()
    laws = {kind: lrax.theory.fit_law(runs, kind) for kind in KINDS}
    spent = time.perf_counter() - began
    rows, errors = [], []
    for name, (schedule, length) in given.items():
        ends = losses[name][:, -length // 20 :].mean(axis=1)
        expected = [expected_end(laws[kind], schedule, length) for kind in KINDS]
        cells = [f"{value:.4f} ({100 * (value / ends.mean() - 1):+.1f} %)" for value in expected]
        label = f"{name} (fitted)" if name in fitted else name
        rows.append([label, f"{ends.mean():.4f} ({100 * ends.std(ddof=1) / seeds**0.5 / ends.mean():.1f} %)", *cells])
        if name not in fitted:
            errors.append([value / ends.mean() - 1 for value in [*expected, losses[fitted[0]][:, -updates // 20 :].mean()]])
    shown = np.array(errors)
    means = 100 * np.abs(shown).mean(axis=0)
    print(f"\n{task.name}, peak {peak:g}, {updates} updates, {seeds} seeds; both fits {spent:.1f} s\n")
    print(table(["plan", "measured end", *KINDS], rows))
    errors_of = f"{means[0]:.1f} %, {means[1]:.1f} %; the constant's end {means[2]:.1f} %"
    print(f"\nMean error on the {len(errors)} plans not fitted: {errors_of}.")
    best = [rows[2:][int(np.argmin([float(row[i].split()[0]) for row in rows[2:]]))][0] for i in (1, 2, 3)]
    print(f"Best of them: measured {best[0]}; expected {best[1]}, {best[2]}.", flush=True)


def expected_end(law: lrax.theory.LossLaw, schedule: lrax.Schedule, length: int) -> float:
    """The mean of the law over the last twentieth, as the measured end is."""
    counts, expected = law.curve(schedule, length)
    return float(np.interp(np.arange(length - length // 20, length) + 0.5, counts, expected).mean())


def main() -> None:
    """Measures the tasks that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", default=["online regression sgd", "mlp mnist momentum", "steep regression sgd"])
    parser.add_argument("--updates", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=8)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    if online().name in arguments.tasks:
        measure(online(), 0.1, arguments.updates, arguments.seeds)
    for task in choose_tasks():
        if task.name in arguments.tasks:
            known = tables_of([task])[task.name]
            peak = known["rates"][int(np.argmin(np.add(known["constant"], known["cosine"])))]
            measure(task, peak, arguments.updates, arguments.seeds)


if __name__ == "__main__":
    main()
