"""Learning rates for groups that are found together, compared with one common learning rate, at equal total steps.

python benchmarks/groups.py [--tasks transformer,gan] [--starts 3] [--times 4]

For each task and start: `lrax.find_lr` with the budget for one learning rate; the same with `groups=`; and a grid of four times
four learning rates, whose runs share the budget. Then each answer trains the whole plan from the same start, on the same
batches, which no search has seen.
"""

import argparse
import functools
import time
import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

import lrax
from _machine import machine, table
from group_tasks import TASKS, GroupTask
from lrax.training._probes import GroupState, in_groups

GRID = 4
SPANS = {False: (1e-3, 1.0), True: (1e-4, 0.1)}
"""The ends of the grid, by whether steps are scale-invariant."""

Answer = tuple[float, Sequence[float]]
"""A peak, and the factor of each group."""


def plan_of(task: GroupTask, steps: int) -> lrax.Schedule:
    """The shape of every run."""
    return lrax.warmup_cosine(peak=1.0, total_steps=steps, warmup_steps=0.1)


@functools.cache
def program(task: GroupTask) -> Callable:
    """A run of any length, for any start, learning rates and factors: (state, keys, lrs, steps) -> metric."""
    grouped, _ = in_groups("benchmark", task.learner(jax.random.key(0)), task.groups)

    def run(state: GroupState, key: jax.Array, lrs: jax.Array, steps: jax.Array) -> jax.Array:
        def body(count: jax.Array, state: GroupState) -> GroupState:
            return grouped.step(state, task.sample(jax.random.fold_in(key, count)), lrs[count])[0]

        return task.metric(jax.lax.fori_loop(0, steps, body, state).inner)

    return jax.jit(run)


def ends(task: GroupTask, learner: lrax.Learner, key: jax.Array, steps: int, answers: Sequence[Answer]) -> np.ndarray:
    """The metrics after a run of `steps` with each answer, from one state and on the same batches; shape (answers,)."""
    state = in_groups("benchmark", learner, task.groups)[0].state
    shape = np.zeros(task.steps, np.float32)
    shape[:steps] = plan_of(task, steps)(jnp.arange(steps))
    run = program(task)
    found = [
        float(run(state._replace(factors=np.float32([1.0, *factors])), key, np.float32(peak) * shape, np.int32(steps)))
        for peak, factors in answers
    ]
    return np.where(np.isfinite(found), found, np.inf)


def searched(task: GroupTask, start: int, budget: int, groups: bool) -> tuple[Answer, lrax.FinderResult]:
    """What `find_lr` answers."""
    evaluation = lrax.Evaluation(task.metric) if task.evaluated else None
    learner, key = task.learner(jax.random.key(start)), jax.random.key(100 + start)
    found = lrax.find_lr(
        learner,
        task.sample,
        plan_of(task, task.steps),
        budget=budget,
        key=key,
        evaluation=evaluation,
        groups=task.groups if groups else None,
    )
    ones = [1.0] * len(task.groups)
    return (found.peak or 1e-3, list(found.groups.values()) or ones), found


def gridded(task: GroupTask, start: int, budget: int, invariant: bool) -> Answer:
    """The best of a grid of learning rates of both parts; its runs have as many steps as the budget has for each."""
    learner, key = task.learner(jax.random.key(start)), jax.random.key(200 + start)
    lrs = np.geomspace(*SPANS[invariant], GRID)
    pairs = [(one, other) for one in lrs for other in lrs]
    rest = in_groups("benchmark", learner, task.groups)[1]
    answers = [(float(other), [one / other]) if rest else (1.0, [one, other]) for one, other in pairs]
    return answers[int(np.argmin(ends(task, learner, key, min(budget // len(pairs), task.steps), answers)))]


def measured(task: GroupTask, starts: int, times: int) -> list[str]:
    """A row of the table."""
    rows, texts, budget = [], [], times * task.steps
    for start in range(starts):
        common, _ = searched(task, start, budget, groups=False)
        groups, found = searched(task, start, budget, groups=True)
        grid = gridded(task, start, budget, bool(found.scale_invariant))
        learner = task.learner(jax.random.key(start))
        rows.append(ends(task, learner, jax.random.key(300 + start), task.steps, [common, groups, grid]))
        texts.append(", ".join(f"{one:g}" for one in groups[1]))
        print("  ", task.name, start, rows[-1].round(4), texts[-1], grid, flush=True)
        made = found.group_runs
        if made is not None:
            print("     ", made.steps, made.check_steps, f"{made.difference:.4f} {made.noise:.4f}", made.tried, flush=True)
    losses = np.array(rows)
    gains = losses[:, 0] - losses[:, 1]
    noise = float(np.std(gains, ddof=1) / len(gains) ** 0.5)
    cells = [f"{mean:.4g}" for mean in losses.mean(axis=0)]
    return [task.name, *cells, f"{gains.mean():+.3g}", f"{noise:.1g}", "; ".join(texts)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--times", type=int, default=4, help="the budget over the length of the plan")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(machine())
    rows = []
    for name in options.tasks.split(","):
        begun = time.process_time()
        rows.append(measured(TASKS[name](), options.starts, options.times))
        print(" ", rows[-1], f"{time.process_time() - begun:.0f} s", flush=True)
    print(table(["task", "one learning rate", "groups", "grid", "gain", "its noise", "multiples"], rows))


if __name__ == "__main__":
    main()
