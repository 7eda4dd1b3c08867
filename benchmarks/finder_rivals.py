"""Optimizers that need no learning rate, at equal total steps: Prodigy, D-Adaptation, DoWG and schedule-free AdamW.

    python benchmarks/finder_rivals.py [TASK ...]

Each task of Adam's family with 2,000 to 8,000 steps is trained by its own optimizer at the peak that `lrax.find_lr` suggests
for a warm-up-cosine of N steps (read from the task's table), and by each other optimizer for N steps and the search's besides.
Regret is relative to the best peak of the table, so it is below 0 where an optimizer ends lower than that. `compare` is what
`find_lr(compare=...)` says of Prodigy after the search: whether it is right about the whole runs.
"""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lrax
from _machine import machine, table
from finder.family_tasks import family_report_tasks, family_tasks
from finder.long_tasks import long_report_tasks, long_tasks
from finder.regret import regret
from finder.tables import FILE, SEEDS, shape
from finder.task import Task
from finder.training import train

BUDGET = 500
KEYS = jax.vmap(lambda seed: jax.random.key(1000 + seed))(jnp.arange(SEEDS))  # those of the tables


def down(steps: int) -> jax.Array:
    """Straight down to 0."""
    return jnp.linspace(1.0, 0.0, steps, endpoint=False)


@dataclasses.dataclass(frozen=True)
class Rival:
    """An optimizer, its learning rates over a run, and what is judged of its state."""

    optimizer: Callable[[Any], optax.GradientTransformation]
    rates: Callable[[int], jax.Array]
    judged: Callable[[Any, Any], Any] = lambda state, params: params


RIVALS = {
    "Prodigy, straight down": Rival(optax.contrib.prodigy, down),
    "D-Adaptation (AdamW), straight down": Rival(optax.contrib.dadapt_adamw, down),
    "DoWG": Rival(lambda rate: optax.chain(optax.contrib.dowg(), optax.scale(rate)), jnp.ones),
    "schedule-free AdamW, 0.0025": Rival(
        lambda rate: optax.contrib.schedule_free_adamw(rate),
        lambda steps: 0.0025 * jnp.minimum((jnp.arange(steps) + 1) / (steps // 20), 1.0),
        optax.contrib.schedule_free_eval_params,
    ),
    "Adam, cosine from 0.001": Rival(optax.adam, lambda steps: 1e-3 * shape("cosine", steps)),
}


@functools.partial(jax.jit, static_argnames=("task", "rival", "steps"))
def ends(task: Task, rival: Rival, steps: int) -> jax.Array:
    """The loss on the judged examples after a run, for every seed."""
    other = dataclasses.replace(task, optimizer=rival.optimizer)

    def one(key: jax.Array) -> jax.Array:
        start, stream = jax.random.split(key)
        params, state = train(other, task.initialize(start), stream, rival.rates(steps), with_state=True)[0]
        return task.loss_fn(rival.judged(state, params), task.judged)

    return jax.vmap(one)(KEYS)


def found(task: Task, key: jax.Array) -> lrax.FinderResult:
    """A search from another start, on other batches."""
    start, stream = jax.random.split(key)
    params = task.initialize(start)
    other = lrax.Learner.create(task.loss_fn, params, optax.contrib.prodigy)
    learner = lrax.Learner.create(task.loss_fn, params, task.optimizer)
    return lrax.find_lr(learner, task.sample, key=stream, total_steps=task.updates, budget=BUDGET, compare=other)


def main() -> None:
    """Prints a row for each task, and the means."""
    known, rows, values = json.loads(FILE.read_text()), [], []
    every = [*long_tasks(), *long_report_tasks(), *family_tasks(), *family_report_tasks()]
    for task in every:
        given = sys.argv[1:] or [one.name for one in every if one.name in known and one.name.endswith((" adam", " adamw"))]
        if task.name not in given:
            continue
        its, names = known[task.name], list(RIVALS)
        best, first = min(its["cosine"]), its["initial"]
        searches = [found(task, jax.random.fold_in(jax.random.key(2027), seed)) for seed in range(SEEDS)]
        own = regret(its, "cosine", np.array([float(one) for one in searches])).mean()
        losses = {name: np.asarray(ends(task, rival, task.updates + BUDGET)) for name, rival in RIVALS.items()}
        capped = {name: np.where(np.isfinite(loss), np.minimum(loss, first), first).mean() for name, loss in losses.items()}
        others = [(capped[name] - best) / (first - best) for name in names]
        said = [one.comparison.other < one.comparison.own for one in searches if one.comparison]
        values.append([own, *others])
        right = sum(one == (others[0] < own) for one in said)
        rows.append([task.name, f"{task.updates:,}", *(f"{one:.4f}" for one in values[-1]), f"{right} of {len(said)}"])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    array = np.array(values)
    rows.append(["**mean**", "", *(f"{one:.4f}" for one in array.mean(axis=0)), ""])
    rows.append(["**worst**", "", *(f"{one:.4f}" for one in array.max(axis=0)), ""])
    rows.append(
        ["*not worse than lrax by 0.001*", "", "", *(f"{np.mean(one <= array[:, 0] + 1e-3):.0%}" for one in array.T[1:]), ""]
    )
    print(machine(), "", table(["task", "steps", "lrax", *RIVALS, "`compare` is right"], rows), sep="\n")


if __name__ == "__main__":
    main()
