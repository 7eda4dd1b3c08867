"""Regret of lrax's finder and of its peers' on training tasks, as one Markdown table for each half of them.

    python benchmarks/finder_quality.py SPLIT|all [--tasks]

`finder/README.md` says how regret is defined, what the halves are and what they were used for. Tables that are missing from
`finder/tables.json` are measured first (minutes). Needs the extra `examples`, and scikit-learn for its data.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from _machine import machine, table
from finder.exact_tasks import exact_report_tasks, exact_tasks
from finder.family_tasks import family_report_tasks, family_tasks
from finder.fresh_tasks import fresh_tasks
from finder.known_tasks import choose_tasks, report_tasks
from finder.long_tasks import long_report_tasks, long_tasks
from finder.outcomes import OWN, SEEDS, Outcome, outcomes
from finder.regret import best_single, kinds_of, log_regret, over_best, regret
from finder.tables import Table, tables_of
from finder.unseen_tasks import unseen_tasks

HALVES = {
    "choose": choose_tasks,
    "report": report_tasks,
    "fresh": fresh_tasks,
    "exact": exact_tasks,
    "exact-report": exact_report_tasks,
    "long": long_tasks,
    "long-report": long_report_tasks,
    "family": family_tasks,
    "family-report": family_report_tasks,
    "unseen": unseen_tasks,
}
SHOWN = ("best single rate", "lrax (default)", "lrax (default)" + OWN, "lrax, budget=750" + OWN)
"""What the table of every task shows."""


def over_kinds(measure: Any, task: Table, outcome: Outcome) -> np.ndarray:
    """A measure's mean over seeds, of every schedule that the task was measured for."""
    return np.array([measure(task, kind, outcome.rates[kind]).mean() for kind in kinds_of(task)])


def decades_off(task: Table, outcome: Outcome) -> np.ndarray:
    """How many decades above the best single rate each suggestion lies, the middle of those for several; NaN for none."""
    rates = np.stack([outcome.rates[kind] for kind in kinds_of(task)])
    return np.log10(rates).mean(axis=0) - np.log10(best_single(task))


def covered(task: Table, outcome: Outcome) -> float:
    """The part of the seeds, and of a constant and a cosine, whose band has the best rate in it; NaN without bands."""
    if outcome.bands is None or np.isnan(outcome.bands).all():
        return np.nan
    best = [task["rates"][int(np.argmin(task[kind]))] for kind in ("constant", "cosine")]
    return float(np.mean([(outcome.bands[:, 0] <= one) & (one <= outcome.bands[:, 1]) for one in best]))


def rule_row(name: str, tasks: Sequence[Table], found: Sequence[Outcome]) -> list[str]:
    """The line of one rule: over all tasks of a half."""
    pairs = list(zip(tasks, found, strict=True))
    linear = np.array([over_kinds(regret, *pair).mean() for pair in pairs])
    logs = np.array([over_kinds(log_regret, *pair).mean() for pair in pairs])
    over = np.array([over_kinds(over_best, *pair).mean() for pair in pairs])
    off = np.concatenate([decades_off(*pair) for pair in pairs])
    spent = np.stack([outcome.steps_run for outcome in found])
    bands = [covered(*pair) for pair in pairs]
    return [
        name,
        f"{spent.mean():.0f} ({spent.max():.0f})",
        f"{linear.mean():.4f}",
        f"{linear.max():.3f}",
        "-" if np.isnan(logs).all() else f"{np.nanmean(logs):.3f}",
        "-" if np.isnan(over).all() else f"{np.nanmedian(over):.2f}",
        f"{np.nanmean(off):+.2f}",
        f"{np.nanmean(np.abs(off)):.2f}",
        f"{np.isnan(off).sum()}",
        "-" if np.isnan(bands).all() else f"{np.nanmean(bands):.0%}",
    ]


def task_row(name: str, task: Table, found: dict[str, Outcome]) -> list[str]:
    """The line of one task: regrets of a few rules, and how far off they are."""
    cells = [name, f"{best_single(task):.2g}"]
    for rule in SHOWN:
        cells.append(f"{over_kinds(regret, task, found[rule]).mean():.3f}")
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
        means = {rule: round(float(over_kinds(regret, tables[task.name], found[task.name][rule]).mean()), 3) for rule in SHOWN}
        print(f"{half}: {task.name}: {means}", file=sys.stderr, flush=True)
    names = list(found[tasks[0].name])
    rows = [rule_row(name, list(tables.values()), [each[name] for each in found.values()]) for name in names]
    print(f"\n### {half}: {len(tasks)} tasks, {SEEDS} seeds each ({time.perf_counter() - began:.0f} s)\n")
    head = [
        "rule",
        "updates: mean (most)",
        "mean",
        "worst task",
        "log mean",
        "loss over best",
        "off, decades",
        "distance",
        "none",
    ]
    print(table([*head, "best in band"], rows))
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
