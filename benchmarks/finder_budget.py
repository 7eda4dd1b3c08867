"""Regret over budget: `lrax.find_lr`, grids of short runs, successive halving and range tests on runs of 2,000 to 20,000 steps.

    python benchmarks/finder_budget.py [--kept budget.jsonl] [--picture docs/images/finder/budget.png] [TASK ...]

The plan is the warm-up-cosine of `finder/tables.json`, so that every peak is looked up there. Grids and halving search nine (or
five) peaks, two decades on either side of the customary learning rate of the optimizer (0.001 for Adam and RMSprop, 0.0001 for
Lion, 0.1 for SGD, 0.02 for Muon). Their runs are whole warm-up-cosines from one start on the same batches, ranked by the mean
of the last quarter of the losses, and the best peak is taken as it is. Measurements are appended to `--kept`; a second call
continues there.
"""

import argparse
import functools
import json
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from _machine import machine, table
from finder.family_tasks import family_report_tasks, family_tasks
from finder.long_tasks import long_report_tasks, long_tasks
from finder.outcomes import find, rates
from finder.peers import PEERS
from finder.regret import log_regret, regret
from finder.tables import FILE, Table, shape
from finder.task import Task
from finder.training import update
from finder.unseen_tasks import unseen_tasks

FIXED, TENTH, HALF = (100, 200, 300, 500, 1000), "a tenth, 750 at least", "half of the plan"
COLUMNS = ("100", "200", "300", "500", TENTH, "1,000", HALF)
FAR = np.arange(-2, 2.01, 0.5)
"""The nine peaks, in decades from the customary learning rate."""
ETA, CAPACITY = 3, 100
"""The best of three runs of a rung go on; the steps of a range test, and room for at least that many."""
COSTLY = ("gated", "recurrent", "conv", "transformer")
"""Names of tasks that take long, which come last, in this order."""
Found = tuple[Any, Any]
"""The peaks of all seeds, NaN for none, and the steps that were made."""


def budgets(task: Task) -> dict[str, int]:
    """The steps of every column."""
    return {f"{fixed:,}": fixed for fixed in FIXED} | {TENTH: max(750, task.updates // 10), HALF: task.updates // 2}


@functools.partial(jax.jit, static_argnames="task")
def curves(task: Task, keys: jax.Array, rows: jax.Array, steps: jax.Array) -> jax.Array:
    """The first losses of runs at rates of shape (runs, capacity), as (seeds, runs, capacity): one program for every length."""

    def one(key: jax.Array, row: jax.Array) -> jax.Array:
        start, stream = jax.random.split(key)
        params = task.initialize(start)

        def body(count: jax.Array, carry: Any) -> Any:
            *carry, losses = carry
            *carry, loss = update(task, *carry, task.sample(jax.random.fold_in(stream, count)), row[count])
            return *carry, losses.at[count].set(loss)

        return jax.lax.fori_loop(0, steps, body, (params, task.optimizer(1.0).init(params), jnp.zeros(row.shape)))[-1]

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(keys, rows)


def train(task: Task, keys: jax.Array, rows: np.ndarray) -> np.ndarray:
    """The losses of runs at rates of shape (runs, steps), (seeds, runs, steps)."""
    count, steps = rows.shape
    padded = np.zeros((len(FAR), max(CAPACITY, task.updates // 4)), np.float32)  # the longest run is 3 / 7 of half a plan
    padded[:count, :steps] = rows
    return np.asarray(curves(task, keys, jnp.asarray(padded), jnp.int32(steps)))[:, :count, :steps]


def whole(task: Task, steps: int) -> np.ndarray:
    """Nine warm-up-cosines about the customary learning rate."""
    shapes = np.asarray(shape("cosine", max(steps, 10)))[:steps]  # which needs a step to warm up
    return task.usual_rate * 10.0 ** FAR[:, None] * shapes


def scores(losses: np.ndarray) -> np.ndarray:
    """The mean of the last quarter of each run, infinite after a loss that is not finite; shape (seeds, runs)."""
    ends = losses[..., -math.ceil(losses.shape[-1] / 4) :].mean(axis=-1)
    return np.where(np.isfinite(losses).all(axis=-1), ends, np.inf)


def of_lrax(task: Task, keys: jax.Array, budget: int) -> Found:
    """The peaks that `lrax.find_lr` finds."""
    found = [find(task, key, {"budget": budget}) for key in keys]
    return rates([one.peak for one in found]), [one.steps_run for one in found]


def grid(task: Task, keys: jax.Array, budget: int, every: int = 1) -> Found:
    """A grid of the nine peaks, or of every other one, that shares the budget among whole runs."""
    decades = FAR[::every]
    best = scores(train(task, keys, whole(task, budget // len(decades))[::every])).argmin(axis=1)
    return task.usual_rate * 10.0 ** decades[best], [budget // len(decades) * len(decades)] * len(keys)


def halving(task: Task, keys: jax.Array, budget: int) -> Found:
    """Nine runs; the best three of them go on after a ninth of the schedule, and the best one after a third.

    This is the ladder of ASHA. A run is the same up to where it stops, so all are trained to the end and read up to there.
    """
    least = budget // (ETA**2 + 2 * ETA * (ETA - 1))  # nine runs of it, three of twice as much more, one of six times
    losses, alive = train(task, keys, whole(task, least * ETA**2)), np.tile(np.arange(len(FAR)), (len(keys), 1))
    for rung in range(3):
        ranked = np.take_along_axis(scores(losses[..., : least * ETA**rung]), alive, axis=1).argsort(axis=1)
        alive = np.take_along_axis(alive, ranked, axis=1)[:, : max(alive.shape[1] // ETA, 1)]
    return task.usual_rate * 10.0 ** FAR[alive[:, 0]], [21 * least] * len(keys)


def of_peer(name: str, task: Task, keys: jax.Array, budget: int) -> Found:
    """The range test of another library."""
    (peer,) = (one for one in PEERS if one.name == name)
    losses = train(task, keys, peer.rates[None])[:, 0].astype(np.float64)
    with np.errstate(all="ignore"):  # blow-ups are part of a ramp
        return tuple(np.array([peer.suggest(peer.rates, row) for row in losses]).T)


def of_range_test(task: Task, keys: jax.Array, budget: int) -> Found:
    """The rule `loss_drop` on the range test of lrax."""
    found = []
    for start, stream in map(jax.random.split, keys):
        learner = lrax.Learner.create(task.loss_fn, task.initialize(start), task.optimizer)
        curve = lrax.range_test(learner, task.sample, key=stream)
        found.append((curve.suggest(lrax.finder.loss_drop), int(curve.steps_run)))
    return rates([peak for peak, _ in found]), [steps for _, steps in found]


LRAX, CUSTOMARY = "lrax.find_lr", "customary learning rate"
METHODS: dict[str, Callable[[Task, jax.Array, int], Found]] = {
    LRAX: of_lrax,
    "grid of 5 peaks": functools.partial(grid, every=2),
    "grid of 9 peaks": grid,
    "successive halving": halving,
}
POINTS: dict[str, Callable[[Task, jax.Array, int], Found]] = {
    CUSTOMARY: lambda task, keys, budget: ([task.usual_rate], [0]),
    **{name: functools.partial(of_peer, name) for name in ("fastai valley", "torch-lr-finder steepest")},
    "lrax.range_test, loss_drop": of_range_test,
}


class Kept:
    """The measurements so far, by task, method and budget, and the tables that they are judged by."""

    def __init__(self, path: pathlib.Path, known: dict[str, Table]):
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        self.path, self.known = path, known
        self.found = {(row["task"], row["method"], row["budget"]): row for row in rows}

    def measure(self, task: Task, keys: jax.Array) -> None:
        """Measures what is missing of a task, and appends it to the file."""
        todo = [(name, budget) for name in METHODS for budget in dict.fromkeys(budgets(task).values())]
        for name, budget in [*todo, *((name, 0) for name in POINTS)]:
            if (task.name, name, budget) in self.found:
                continue
            began = time.perf_counter()
            columns = (METHODS | POINTS)[name](task, keys, budget)
            peaks, steps = ([None if np.isnan(one) else float(f"{one:.4g}") for one in column] for column in columns)
            row = {"task": task.name, "method": name, "budget": budget, "peaks": peaks, "steps": steps}
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            self.found[task.name, name, budget] = row
            print(f"{task.name}: {name}, {budget}: {peaks}, {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)

    def regrets(self, tasks: list[Task], name: str, column: str = "", measure: Any = regret) -> np.ndarray:
        """The mean over the seeds, for each task."""
        rows = [self.found[one.name, name, budgets(one)[column] if column else 0] for one in tasks]
        return np.array([measure(self.known[row["task"]], "cosine", rates(row["peaks"])).mean() for row in rows])

    def steps(self, tasks: list[Task], name: str) -> float:
        """The mean number of steps of a method without a budget."""
        return float(np.mean([np.mean(self.found[one.name, name, 0]["steps"]) for one in tasks]))


def report(kept: Kept, tasks: list[Task]) -> None:
    """Prints the tables of some tasks: mean, worst."""

    def cell(regrets: np.ndarray) -> str:
        return f"{np.nanmean(regrets):.4f}, {np.nanmax(regrets):.3f}"

    rows = [[name, *(cell(kept.regrets(tasks, name, at)) for at in COLUMNS)] for name in METHODS]
    rows.append([f"{LRAX}, log regret", *(cell(kept.regrets(tasks, LRAX, at, log_regret)) for at in COLUMNS)])
    print(table(["method", *COLUMNS], rows), "", sep="\n")
    others = [[name, f"{kept.steps(tasks, name):.0f}", cell(kept.regrets(tasks, name))] for name in POINTS]
    print(table(["without a budget", "steps", "regret"], others), "", sep="\n")


def draw(kept: Kept, tasks: list[Task], path: pathlib.Path) -> None:
    """The picture: mean regret over the steps, one line for each method, on tasks that chose nothing."""
    import matplotlib.pyplot as plt

    from lrax._pictures import COLOURS, set_plain_log

    axes = plt.subplots(figsize=(6, 3.8), layout="constrained")[1]
    shown = [name for name in COLUMNS if name != TENTH]
    at = [float(np.exp(np.mean([np.log(budgets(one)[name]) for one in tasks]))) for name in shown]
    lines = {name: [kept.regrets(tasks, name, column).mean() for column in shown] for name in METHODS}
    lines[CUSTOMARY] = [kept.regrets(tasks, CUSTOMARY).mean()] * len(shown)
    colours, height = dict(zip(lines, (*COLOURS[: len(METHODS)], "0.35"), strict=True)), 0.0
    for name, means in sorted(lines.items(), key=lambda line: line[1][-1]):
        style = ":" if name == CUSTOMARY else "o-"
        axes.plot(at, means, style, color=colours[name], markersize=4, linewidth=2.5 if name == LRAX else 1.5)
        height = max(1.25 * height, means[-1])  # of the label, so that none is on another
        axes.text(at[-1] * 1.1, height, name, color=colours[name], va="center", fontsize=9)
    for name, marker in zip(list(POINTS)[1:], "^sD", strict=True):
        axes.plot(kept.steps(tasks, name), kept.regrets(tasks, name).mean(), marker, color="0.35", label=name)
    set_plain_log(axes.xaxis)
    set_plain_log(axes.yaxis)
    axes.set_xticks(at, [*shown[:-1], "half of\nthe plan"])
    axes.minorticks_off()
    axes.set(xlim=(75, at[-1] * 5), ylim=(0.02, 0.5), xlabel="steps of the search", ylabel="mean regret of the full run")
    axes.legend(fontsize=8, loc="upper right")
    axes.figure.savefig(path, dpi=100)


def main() -> None:
    """Measures what is missing, prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="by default all that have a table")
    parser.add_argument("--kept", type=pathlib.Path, default=pathlib.Path("budget.jsonl"))
    parser.add_argument("--picture", type=pathlib.Path)
    options = parser.parse_args()
    kept = Kept(options.kept, json.loads(FILE.read_text()))
    every = [*long_tasks(), *long_report_tasks(), *family_tasks(), *family_report_tasks(), *unseen_tasks()]
    tasks = [one for one in every if one.name in (options.tasks or kept.known)]
    tasks.sort(
        key=lambda task: (max([place for place, part in enumerate(COSTLY) if part in task.name], default=-1), task.updates)
    )
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(2026), seed))(jnp.arange(3))
    for task in tasks:
        kept.measure(task, keys)
    print(machine(), "", sep="\n")
    held_out = [one for one in tasks if one.half in ("family-report", "unseen")]
    for name, some in (("all", tasks), ("chose nothing", held_out)):
        if some:
            print(f"**{name}: {len(some)} tasks**\n")
            report(kept, some)
    lines = zip(tasks, np.transpose([kept.regrets(tasks, LRAX, at) for at in COLUMNS]), strict=True)
    print(table([LRAX, *COLUMNS], [[one.name, *(f"{value:.4f}" for value in row)] for one, row in lines]))
    if options.picture:
        draw(kept, held_out or tasks, options.picture)


if __name__ == "__main__":
    main()
