"""Sweeps and races on three Dask workers that are killed at random: nothing is lost, and results are those of one process.

    python benchmarks/sweep_kills.py
    python benchmarks/sweep_kills.py --kills 5 --seed 1

Until that many workers were killed (SIGKILL), a sweep of a traced function, a race of a learner and a race of a training
function in plain Python take turns, each in a new folder. Prints a Markdown table. A task is a group of runs, or a rung of one
run; a start is a task that a worker has begun. A worker that is killed loses the task that it trains, and a result that the
caller has not fetched. Ends with an error if a result differs from that of one process, or if more than two tasks were begun
again for each worker that was killed. Needs dask[distributed].
"""

import _thread
import argparse
import functools
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import dask
import distributed
import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from _machine import machine

PEAKS = np.geomspace(0.01, 0.6, 16).astype(np.float32)


def train(data: Any, schedule: Any, key: Any) -> jax.Array:
    """Gradient descent from a random start, with work that takes a while."""

    def step(weights: Any, count: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda weights: jnp.mean((weights - data) ** 2))(weights)
        return weights - schedule(count) * grads, loss

    losses = jax.lax.scan(step, jax.random.normal(key, data.shape), jnp.arange(20))[1]
    total = jax.lax.fori_loop(0, 3000, lambda _, total: total + jnp.sum(jnp.sin(jnp.arange(2000.0) + total) * 1e-9), 0.0)
    return losses + total * 0


def trainer(schedule: Any, report: Callable[..., None], until: int, state: Any) -> tuple[int, float]:
    """The same in plain Python, for one number."""
    begun, weight = (0, 1.0) if state is None else state
    for count in range(begun, until):
        weight -= float(schedule(count)) * 2 * weight
        time.sleep(0.02)
        report(count, {"loss": weight**2})
    return until, weight


def traced_sweep(**options: Any) -> Any:
    """A sweep of a traced function: 8 groups."""
    bound, keys = jax.tree_util.Partial(train, jnp.arange(3.0)), jax.random.split(jax.random.key(0), len(PEAKS))
    found = lrax.run_sweep(bound, lrax.Constant(PEAKS), keys, execution=lrax.Execution(max_parallel=2), **options)
    return found.metrics, found.scores


def learner_race(**options: Any) -> Any:
    """A race of a learner: 4 + 2 + 1 groups."""
    learner = lrax.Learner.create(
        lambda params, batch: jnp.mean((params - batch) ** 2), jnp.zeros(3), functools.partial(optax.sgd, momentum=0.9)
    )
    given = {"rungs": (20, 20, 40), "batch_size": 8, "key": jax.random.key(1), "execution": lrax.Execution(max_parallel=4)}
    found = lrax.race(learner, jax.random.normal(jax.random.key(2), (64, 3)), lrax.Constant(PEAKS), **given, **options)
    return found.losses, found.order, jax.tree.leaves(found.state)


def trainer_race(**options: Any) -> Any:
    """A race of a training function in plain Python: 16 + 8 + 4 rungs of runs."""
    schedules = [lrax.Constant(float(peak)) for peak in PEAKS]
    found = lrax.run_sweep(trainer, schedules, traced=False, rungs=(20, 20, 40), **options)
    return found.metrics, found.scores, found.steps, found.states


WORK = {
    "sweep, traced": (traced_sweep, 8),
    "race of a learner": (learner_race, 7),
    "race, plain Python": (trainer_race, 28),
}
"""What is trained, and its number of tasks."""


PATIENT = {
    "distributed.comm.timeouts.connect": "300s",  # on a machine that is busy
    "distributed.comm.timeouts.tcp": "300s",
    # So long after each death a local cluster closes a worker's nanny if the worker is not there at that moment, even if it was
    # back in between and has died once more. No nanny is started again. So the wait must be longer than the whole script.
    "distributed.deploy.lost-worker-timeout": "7 days",
    "distributed.scheduler.allowed-failures": 1000,  # and a task that was on 4 workers that died
}
"""Dask's configuration for workers that are killed all the time."""


class Counting:
    """An executor whose workers write a line to a file when they begin a task."""

    def __init__(self, executor: Any, file: pathlib.Path) -> None:
        self.executor, self.file = executor, file

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Sends a task."""
        return self.executor.submit(counted, str(self.file), function, *arguments)

    def starts(self) -> int:
        """How many tasks were begun."""
        return len(self.file.read_bytes()) if self.file.exists() else 0


def counted(file: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """On a worker: one task."""
    with open(file, "ab") as lines:
        lines.write(b".")
    return function(*arguments)


class Killer:
    """Kills a random worker of a cluster every few seconds; interrupts the main thread when no worker can come back."""

    def __init__(self, cluster: Any, most: int, every: float, seed: int) -> None:
        self.kills, self._cluster, self._most, self._every = 0, cluster, most, every
        self._random, self._ended = np.random.default_rng(seed), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._random.uniform(0.5, 1.5) * self._every):
            nannies = list(self._cluster.workers.values())
            if not nannies:
                print("the cluster has given up all workers; its tasks would never end", file=sys.stderr, flush=True)
                _thread.interrupt_main()
                return
            processes = [one.process for one in nannies]  # a nanny whose worker dies before it runs gives up: leave those alone
            running = [one.process for one in processes if one and one.status == distributed.core.Status.running]
            workers = [one.pid for one in running if one]
            if workers and self.kills < self._most:
                os.kill(int(self._random.choice(workers)), signal.SIGKILL)
                self.kills += 1


def main() -> None:
    """Kills, compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--every", type=float, default=5, help="seconds between two, on average; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    dask.config.set(PATIENT)
    wanted = {name: work() for name, (work, _) in WORK.items()}
    rows = {name: np.zeros(5) for name in WORK}  # calls, tasks, starts, kills, seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
        Killer(cluster, options.kills, options.every, options.seed) as killer,
    ):
        number = 0
        while killer.kills < options.kills:
            for name, (work, tasks) in WORK.items():
                place = pathlib.Path(folder, str(number))
                executor = Counting(client.get_executor(retries=1000), place.with_suffix(".starts"))
                kills, began = killer.kills, time.perf_counter()
                jax.tree.map(np.testing.assert_array_equal, work(executor=executor, folder=place), wanted[name])
                rows[name] += [1, tasks, executor.starts(), killer.kills - kills, time.perf_counter() - began]
                number += 1
                print(f"{name}: {rows[name].round(1)}", file=sys.stderr, flush=True)
    print(f"{machine()}; 3 workers, a kill every {options.every:g} s\n")
    print("| work | calls | tasks | starts | begun again | workers killed | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (calls, tasks, starts, kills, seconds) in {**rows, "in all": sum(rows.values())}.items():
        print(f"| {name} | {calls:.0f} | {tasks:.0f} | {starts:.0f} | {starts - tasks:.0f} | {kills:.0f} | {seconds:.0f} |")
        assert 0 <= starts - tasks <= 2 * kills, "more was trained again than workers were killed"


if __name__ == "__main__":
    main()
