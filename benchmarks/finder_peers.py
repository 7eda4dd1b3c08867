"""The range test of lrax and of its peers, each over its own framework's bare step, on the same nets, data, batch and updates.

    python benchmarks/finder_peers.py [--pairs 15] [--processes 5] [--tasks mlp lenet transformer] [--threads 1]

Peers are torch-lr-finder, Lightning's tuner and fastai's `lr_find`; one that cannot be imported gets a row that says so. The
whole process imports, builds, compiles and runs the test once. The time an update, and its ratio to the bare step, come from
processes in which everything is compiled and that take turns: in each turn a library runs its bare loop and its test, and the
order of both, and of the libraries, alternates. Printed are medians, with quartiles in brackets. Processor time is that of all
cores together: on a machine that others use it says more than the clock.
"""

import argparse
import importlib.metadata
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
from peers.tasks import TASKS, UPDATES, arrays
from peers.worker import ANSWER

LIBRARIES = {"lrax": "lrax", "torch_lr_finder": "torch-lr-finder", "lightning": "lightning", "fastai": "fastai"}
"""Module of `peers` -> distribution."""
CLOCK, CORES = 0, 1
"""Which of the seconds that a worker answers."""
HERE = pathlib.Path(__file__).parent
HEAD = (
    "net",
    "finder",
    "whole process, s",
    "÷ lrax",
    "the same in processor time",
    "of it imports, s",
    "bare step, ms",
    "range test, ms an update",
    "test ÷ its bare step",
    "the same in processor time",
)


class Worker:
    """A process of one library and task."""

    def __init__(self, library: str, task: str, data: pathlib.Path, threads: int, *once: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "peers.worker", library, task, str(data), *once],
            cwd=HERE,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def answer(self) -> dict[str, Any]:
        """The next answer, past whatever else the library prints."""
        for line in self.process.stdout or ():
            if ANSWER in line:
                return json.loads(line.partition(ANSWER)[2])
        self.errors.seek(0)
        raise RuntimeError((self.errors.read().strip().splitlines() or ["ended without a word"])[-1])

    def turn(self, order: tuple[str, str]) -> dict[str, Any]:
        """Seconds of both programs, run in this order."""
        print(*order, file=self.process.stdin, flush=True)
        return self.answer()

    def close(self) -> None:
        """Ends the process and waits for it."""
        if self.process.stdin:
            self.process.stdin.close()
        for _ in self.process.stdout or ():
            pass
        self.process.wait()
        self.errors.close()


def whole(library: str, task: str, data: pathlib.Path, threads: int) -> tuple[float, float, float]:
    """Seconds of the imports of a process that runs the test once, those from its start to its end, and those of all cores."""
    begun, spent = time.perf_counter(), of_children()
    worker = Worker(library, task, data, threads, "--once")
    imports = worker.answer()["imports"]
    worker.close()
    return imports, time.perf_counter() - begun, of_children() - spent


def of_children() -> float:
    """Seconds of all cores that the processes which have ended took."""
    used = os.times()
    return used.children_user + used.children_system


def quartiles(values: list[float], scale: float = 1.0, digits: int = 2) -> str:
    """Median (lower to upper quartile)."""
    low, middle, high = np.quantile(np.asarray(values) * scale, [0.25, 0.5, 0.75])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare(task: str, data: pathlib.Path, options: argparse.Namespace) -> list[list[str]]:
    """The rows of one net."""
    workers: dict[str, Worker] = {}
    missing: dict[str, str] = {}
    for library in LIBRARIES:
        worker = Worker(library, task, data, options.threads)
        try:
            worker.answer()
            workers[library] = worker
        except RuntimeError as error:
            missing[library] = str(error)
            worker.close()
    turns: dict[str, list[dict[str, Any]]] = {library: [] for library in workers}
    for turn in range(options.pairs):
        order = ("bare", "finder") if turn % 2 else ("finder", "bare")
        for library in list(workers) if turn % 4 < 2 else list(workers)[::-1]:
            turns[library].append(workers[library].turn(order))
    for worker in workers.values():
        worker.close()
    processes: dict[str, list[tuple[float, float, float]]] = {library: [] for library in workers}
    for turn in range(options.processes):
        for library in list(workers) if turn % 2 else list(workers)[::-1]:
            processes[library].append(whole(library, task, data, options.threads))
    return [
        [TASKS[task].shown, name_of(LIBRARIES[library]), *cells(turns[library], processes[library], processes["lrax"])]
        if library in workers
        else [TASKS[task].shown, name_of(LIBRARIES[library]), f"not measured: {missing[library]}", *[""] * (len(HEAD) - 3)]
        for library in LIBRARIES
    ]


def cells(turns: list[dict[str, Any]], processes: list[Any], ours: list[Any]) -> list[str]:
    """What a table says about one library."""
    imports, totals, _ = zip(*processes, strict=True)
    return [
        quartiles(totals),
        *(quartiles([own[at] / other[at] for own, other in zip(processes, ours, strict=True)]) for at in (1, 2)),
        f"{np.median(imports):.2f}",
        quartiles([turn["bare"][CLOCK] for turn in turns], 1e3 / UPDATES),
        quartiles([turn["finder"][CLOCK] for turn in turns], 1e3 / UPDATES),
        *(quartiles([turn["finder"][which] / turn["bare"][which] for turn in turns]) for which in (CLOCK, CORES)),
    ]


def name_of(distribution: str) -> str:
    """A library and its version."""
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution} (not installed)"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, help="turns of each library; default: %(default)s")
    parser.add_argument("--processes", type=int, default=5, help="whole processes of each library; default: %(default)s")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; where others run jobs, more are slower by far")
    options = parser.parse_args()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            path = pathlib.Path(folder) / f"{task}.npz"
            inputs, labels = arrays(task)
            np.savez(path, inputs=inputs, labels=labels)
            rows += compare(task, path, options)
            print(f"{task}: load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(f"{machine()}; {name_of('torch')}, threads: {options.threads}; {UPDATES} steps, {options.pairs} turns\n")
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
