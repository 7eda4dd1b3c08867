"""Very many runs of an empty training function through a local Dask cluster: what a run costs the caller.

    python benchmarks/sweep_many.py
    python benchmarks/sweep_many.py --runs 2000 8000

Each line is a separate process: the caller of a sweep on two workers. Runs of a traced function are trained in groups of 100;
a training function in plain Python is a task for each run. Seconds are those of the clock. Processor seconds and memory (the
highest resident set, less that before the sweep) are those of the caller alone, which has Dask's scheduler in it. Prints a
Markdown table. Needs dask[distributed].
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import dask
import distributed
import numpy as np

import lrax
from _machine import machine, table


def traced(schedule: Any) -> Any:
    """Trains nothing."""
    return schedule(0)


def plain(schedule: Any) -> float:
    """Trains nothing, in plain Python."""
    return 0.0


def memory() -> float:
    """The highest resident set of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way: str, runs: int) -> None:
    """One sweep; prints its numbers as JSON."""
    schedules = lrax.Constant(np.geomspace(1e-4, 1, runs).astype(np.float32))
    options = {"execution": lrax.Execution(max_parallel=100)} if way == "traced" else {"traced": False}
    function = traced if way == "traced" else plain
    dask.config.set({"distributed.comm.timeouts.connect": "300s", "distributed.comm.timeouts.tcp": "300s"})  # a busy machine
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        lrax.run_sweep(function, lrax.Constant(np.ones(200, np.float32)), executor=executor, **options)  # compiles
        before, worked, began = memory(), time.process_time(), time.perf_counter()
        lrax.run_sweep(function, schedules, executor=executor, **options)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
    print(json.dumps([seconds, worked, memory() - before]))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000], help="default: %(default)s")
    parser.add_argument("--ways", nargs="+", default=["traced", "plain"], choices=["traced", "plain"], help="default: both")
    parser.add_argument("--one", action="store_true", help="measure in this process, and print JSON")
    options = parser.parse_args()
    if options.one:
        measure(options.ways[0], options.runs[0])
        return
    rows = []
    for way in options.ways:
        for runs in options.runs:
            command = [sys.executable, __file__, "--one", "--ways", way, "--runs", str(runs)]
            found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            seconds, worked, size = json.loads(found)
            each = [f"{1e3 * seconds / runs:.3g}", f"{1e3 * worked / runs:.3g}", f"{1e3 * size / runs:.3g}"]
            rows.append([way, f"{runs:,}", f"{seconds:.1f}", *each])
            print(rows[-1], file=sys.stderr, flush=True)
    print(f"{machine()}\n")
    print(table(["training function", "runs", "s", "ms per run", "caller's processor, ms per run", "memory, kB per run"], rows))


if __name__ == "__main__":
    main()
