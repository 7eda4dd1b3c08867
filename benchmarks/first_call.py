"""What a first `find_lr` spends its time on, and what a second process spends with JAX's persistent compilation cache.

    python benchmarks/first_call.py [--processes 5] [--tasks mlp lenet transformer]

Each process imports, builds the learner and searches once with the defaults. JAX says how long it traced, lowered and compiled,
and how many programs; the rest is Python, data and the updates themselves. The second search of the same process shows what
remains.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from _machine import machine, table
from peers.tasks import TASKS, arrays

HERE = pathlib.Path(__file__).parent
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
HEAD = (
    "net",
    "cache",
    "whole process, s",
    "trace",
    "lower",
    "XLA's compilation",
    "share",
    "programs",
    "second search",
)


def once(task: str, path: str) -> None:
    """One process: prints its seconds."""
    begun = time.perf_counter()
    import jax
    import jax.monitoring

    import lrax
    from peers.with_lrax import Runs

    seconds: dict[str, float] = dict.fromkeys((*EVENTS.values(), "programs"), 0.0)

    def listen(event: str, duration: float, **_: Any) -> None:
        if event in EVENTS:
            seconds[EVENTS[event]] += duration
            seconds["programs"] += EVENTS[event] == "compile"

    jax.monitoring.register_event_duration_secs_listener(listen)
    with np.load(path) as file:
        runs = Runs(task, (file["inputs"], file["labels"]))
    search(lrax, runs, jax.random.key(2))
    seconds["first"] = time.perf_counter() - begun
    kept = dict(seconds)
    begun = time.perf_counter()
    search(lrax, runs, jax.random.key(3))
    kept["second"] = time.perf_counter() - begun
    if seconds["programs"] != kept["programs"]:
        raise RuntimeError("the second search compiled")
    print(json.dumps(kept))


def search(lrax: Any, runs: Any, key: Any) -> Any:
    """The default search of a task."""
    return lrax.find_lr(runs.learner, runs.data, batch_size=runs.task.batch, key=key)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=5, help="of each kind; default: %(default)s")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--once", nargs=2, metavar=("TASK", "DATA"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(*options.once)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            path = pathlib.Path(folder) / f"{task}.npz"
            inputs, labels = arrays(task)
            np.savez(path, inputs=inputs, labels=labels)
            cache = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/{task}", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
            cached = cache | {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
            run(task, path, cached)  # fills it
            answers: dict[str, list[dict[str, float]]] = {"none": [], "filled": []}
            for _ in range(options.processes):
                for name, extra in (("none", {}), ("filled", cached)):
                    answers[name].append(run(task, path, extra))
            rows += [[TASKS[task].shown, name, *cells(its)] for name, its in answers.items()]
    print(f"{machine()}; {options.processes} processes of each kind in turn, medians in seconds\n")
    print(table(HEAD, rows))


def run(task: str, path: pathlib.Path, extra: dict[str, str]) -> dict[str, float]:
    """The seconds of one process, from its start to its end."""
    begun = time.perf_counter()
    command = [sys.executable, "-W", "ignore", __file__, "--once", task, str(path)]
    done = subprocess.run(command, cwd=HERE, env=os.environ | extra, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    answer = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "whole": time.perf_counter() - begun - answer["second"]}


def cells(answers: list[dict[str, float]]) -> list[str]:
    """What a table says about one kind of process."""
    middle = {name: float(np.median([answer[name] for answer in answers])) for name in answers[0]}
    share = np.median([answer["compile"] / answer["whole"] for answer in answers])
    times = [f"{middle[name]:.2f}" for name in ("whole", "trace", "lower", "compile")]
    return [*times, f"{share:.0%}", f"{middle['programs']:.0f}", f"{middle['second']:.2f}"]


if __name__ == "__main__":
    main()
