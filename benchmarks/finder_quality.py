"""Regret of lrax's finder and of its peers' on training tasks, as one Markdown table for each half of them.

    python benchmarks/finder_quality.py choose|report|fresh|all [--tasks]

`finder/README.md` says how regret is defined, what the halves are and what they were used for. Tables that are missing from
`finder/tables.json` are measured first (minutes). Needs the extra `examples`, and scikit-learn for its data.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from _machine import machine, table
from finder.fresh_tasks import fresh_tasks
from finder.known_tasks import choose_tasks, report_tasks
from finder.outcomes import SEEDS, Outcome, outcomes
from finder.regret import best_single, regret
from finder.tables import Table, tables_of

HALVES = {"choose": choose_tasks, "report": report_tasks, "fresh": fresh_tasks}
SHOWN = ("best single rate", "lrax (default)", "lrax, refine=True")
"""What the table of every task shows."""


def regrets(task: Table, outcome: Outcome) -> tuple[float, float]:
    """Mean regret over seeds as a constant rate, and as the peak of a warm-up-cosine."""
    return float(regret(task, "constant", outcome.constant).mean()), float(regret(task, "cosine", outcome.cosine).mean())


def decades_off(task: Table, outcome: Outcome) -> np.ndarray:
    """How many decades above the best single rate each suggestion lies; NaN for none. Of two suggestions, their middle."""
    return np.log10(outcome.constant * outcome.cosine) / 2 - np.log10(best_single(task))


def rule_row(name: str, tasks: Sequence[Table], found: Sequence[Outcome]) -> list[str]:
    """The line of one rule: over all tasks of a half."""
    each = np.array([regrets(task, outcome) for task, outcome in zip(tasks, found, strict=True)])
    off = np.stack([decades_off(task, outcome) for task, outcome in zip(tasks, found, strict=True)])
    spent = np.stack([outcome.spent for outcome in found])
    usable = np.isfinite(off)
    known = off[usable]
    scatter = np.mean([row[good].std() for row, good in zip(off, usable, strict=True) if good.any()])
    return [
        name,
        f"{spent.mean():.0f} ({spent.max():.0f})",
        f"{each[:, 0].mean():.3f}",
        f"{each[:, 1].mean():.3f}",
        f"{each.mean():.4f}",
        f"{each.mean(axis=1).max():.3f}",
        f"{known.mean():+.2f}",
        f"{np.abs(known).mean():.2f}",
        f"{scatter:.2f}",
        f"{(~usable).sum()}",
    ]


def task_row(name: str, task: Table, found: dict[str, Outcome]) -> list[str]:
    """The line of one task: regrets of a few rules, and how far off they are."""
    cells = [name, f"{best_single(task):.2g}"]
    for rule in SHOWN:
        cells.append(f"{np.mean(regrets(task, found[rule])):.3f}")
        if rule != SHOWN[0]:
            cells.append(" ".join(f"{off:+.2f}" if np.isfinite(off) else "none" for off in decades_off(task, found[rule])))
    return cells


def judge(half: str, by_task: bool) -> None:
    """Prints the table of one half."""
    began = time.perf_counter()
    tasks = HALVES[half]()
    tables = tables_of(tasks)
    found = {}
    for task in tasks:
        found[task.name] = outcomes(task, tables[task.name])
        means = {rule: round(float(np.mean(regrets(tables[task.name], found[task.name][rule]))), 3) for rule in SHOWN}
        print(f"{half}: {task.name}: {means}", file=sys.stderr, flush=True)
    names = list(found[tasks[0].name])
    rows = [rule_row(name, list(tables.values()), [each[name] for each in found.values()]) for name in names]
    print(f"\n### {half}: {len(tasks)} tasks, {SEEDS} seeds each ({time.perf_counter() - began:.0f} s)\n")
    head = ["rule", "updates: mean (most)", "constant", "cosine", "mean", "worst task"]
    print(table([*head, "off, decades", "distance", "scatter", "none"], rows))
    if by_task:
        off = [column for rule in SHOWN[1:] for column in (rule, "off in each seed, decades")]
        lines = [task_row(name, tables[name], found[name]) for name in tables]
        print("\n" + table(["task", "best single rate", "its regret", *off], lines))


def main() -> None:
    """Judges the halves that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=[*HALVES, "all"])
    parser.add_argument("--tasks", action="store_true", help="a second table: every task")
    arguments = parser.parse_args()
    print(machine())
    for half in HALVES if arguments.half == "all" else (arguments.half,):
        judge(half, arguments.tasks)


if __name__ == "__main__":
    main()
