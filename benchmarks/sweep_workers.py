"""A training function in plain Python here, on one Dask worker and on two: what sending a run costs, and what a worker adds.

    python benchmarks/sweep_workers.py
    python benchmarks/sweep_workers.py --turns 5

One function sleeps for a second, which other programs on the machine hardly disturb; the other computes in NumPy on one thread
for about half a second. The three ways take turns in one process; a ratio is the median of the ratios of turns, with the range.
The second ratio is that of the processor seconds of the busiest worker: what the first would be if each worker had a core for
itself, which it has not on a busy machine. Prints a Markdown table. Needs dask[distributed].
"""

import argparse
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import dask
import distributed
import numpy as np

import lrax
from _machine import machine, table

RUNS = 8
SCHEDULES = lrax.Constant(np.geomspace(1e-3, 0.1, RUNS).astype(np.float32))


def sleeps(schedule: Any) -> dict[str, float]:
    """A run of a second that computes nothing."""
    time.sleep(1)
    return {"worker": os.getpid(), "work": 0.0}


def computes(schedule: Any) -> dict[str, float]:
    """Gradient descent in NumPy, element by element, which NumPy does on one thread."""
    began, weights, lr = time.process_time(), np.linspace(-1, 1, 2000), float(schedule(0))
    for _ in range(30_000):
        weights -= lr * (np.tanh(weights) - 0.1)
    return {"worker": os.getpid(), "work": time.process_time() - began}


@contextlib.contextmanager
def dask_executor(workers: int) -> Iterator[Any]:
    """An executor with this many workers."""
    with (
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    dask.config.set({"distributed.comm.timeouts.connect": "300s", "distributed.comm.timeouts.tcp": "300s"})  # a busy machine
    rows = []
    with dask_executor(1) as one, dask_executor(2) as two:
        ways = {"here": None, "one worker": one, "two workers": two}
        for train in (sleeps, computes):
            times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for turn in range(1 + options.turns):
                for way in list(ways) if turn % 2 else list(ways)[::-1]:
                    began = time.perf_counter()
                    found = lrax.run_sweep(train, SCHEDULES, traced=False, executor=ways[way], score=lambda run: run["work"])
                    seconds, metrics = time.perf_counter() - began, found.metrics
                    work = np.bincount(np.unique(metrics["worker"], return_inverse=True)[1], metrics["work"])
                    times[way].append((seconds, max(work)))
                print(
                    train.__name__, {way: np.round(taken[-1], 2) for way, taken in times.items()}, file=sys.stderr, flush=True
                )
            for way, other in (("one worker", "here"), ("two workers", "one worker")):
                row = [train.__name__, way, f"{statistics.median(seconds for seconds, _ in times[way][1:]):.2f}", other]
                for theirs, ours in zip(np.transpose(times[way][1:]), np.transpose(times[other][1:]), strict=True):
                    ratios = theirs / ours if all(ours) else []
                    row.append(f"{np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})" if len(ratios) else "")
                rows.append(row)
    print(f"{machine()}; {RUNS} runs, {options.turns} turns\n")
    print(table(["training function", "way", "s", "over", "ratio (range)", "busiest worker's processor"], rows))


if __name__ == "__main__":
    main()
