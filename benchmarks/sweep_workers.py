"""A training function in plain Python here, on one Dask worker and on two: what sending a run costs, and what a worker adds.

    python benchmarks/sweep_workers.py
    python benchmarks/sweep_workers.py --turns 5

One function sleeps for a second, which other programs on the machine hardly disturb; the other computes in NumPy on one thread
for about half a second. The three ways take turns in one process; a ratio is the median of the ratios of turns, with the range.
Prints a Markdown table. Needs dask[distributed].
"""

import argparse
import contextlib
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


def sleeps(schedule: Any) -> float:
    """A run of a second that computes nothing."""
    time.sleep(1)
    return 0.0


def computes(schedule: Any) -> float:
    """Gradient descent in NumPy, element by element, which NumPy does on one thread."""
    weights, lr = np.linspace(-1, 1, 2000), float(schedule(0))
    for _ in range(30_000):
        weights -= lr * (np.tanh(weights) - 0.1)
    return float(np.mean(weights**2))


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
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(1 + options.turns):
                for way in list(ways) if turn % 2 else list(ways)[::-1]:
                    began = time.perf_counter()
                    lrax.run_sweep(train, SCHEDULES, traced=False, executor=ways[way])
                    times[way].append(time.perf_counter() - began)
                print(train.__name__, {way: round(taken[-1], 2) for way, taken in times.items()}, file=sys.stderr, flush=True)
            for way, other in (("one worker", "here"), ("two workers", "one worker")):
                ratios = sorted(a / b for a, b in zip(times[way][1:], times[other][1:], strict=True))
                median = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
                rows.append([train.__name__, way, f"{statistics.median(times[way][1:]):.2f}", other, median])
    print(f"{machine()}; {RUNS} runs, {options.turns} turns\n")
    print(table(["training function", "way", "s", "over", "ratio (range)"], rows))


if __name__ == "__main__":
    main()
