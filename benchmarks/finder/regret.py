"""How much a chosen rate loses against the best one of the task's table."""

from typing import Any

import numpy as np

from finder.tables import KINDS, Table

Array = np.ndarray[Any, Any]

LOWEST = 1e-12
"""Losses below this are nothing; their logarithms would be of rounding."""


def kinds_of(table: Table) -> list[str]:
    """The schedules that a table was measured for."""
    return [kind for kind in KINDS if kind in table]


def regret(table: Table, kind: str, rates: Array) -> Array:
    """(loss at the rate - best loss) / (loss before training - best loss), between the rates of the table on a log axis.

    0 is the best rate, 1 is as if nothing had been trained; no suggestion is 1.
    """
    losses = np.minimum(table[kind], table["initial"])
    return read(table, (losses - losses.min()) / (table["initial"] - losses.min()), rates)


def log_regret(table: Table, kind: str, rates: Array) -> Array:
    """The same of the logarithms of the losses; NaN where a loss is not above 0."""
    losses = np.minimum(table[kind], table["initial"])
    if losses.min() < 0:
        return np.full(np.shape(rates), np.nan)
    logs = np.log(np.maximum(losses, LOWEST))
    first = np.log(table["initial"])
    return read(table, (logs - logs.min()) / (first - logs.min()), rates)


def over_best(table: Table, kind: str, rates: Array) -> Array:
    """The loss at the rate over the best loss; NaN where that is not above 0."""
    losses = np.minimum(table[kind], table["initial"])
    if losses.min() < LOWEST:
        return np.full(np.shape(rates), np.nan)
    return read(table, losses / losses.min(), rates, table["initial"] / losses.min())


def read(table: Table, values: Array, rates: Array, none: float = 1.0) -> Array:
    """Values of the table between its rates; `none` where there is no rate."""
    usable = np.isfinite(rates) & (rates > 0)
    between = np.interp(np.log10(np.where(usable, rates, 1)), np.log10(table["rates"]), values)
    return np.where(usable, between, none)


def best_single(table: Table) -> float:
    """The rate whose mean regret over the schedules is the least."""
    grid = 10.0 ** np.arange(-6, 2, 0.01)
    return float(grid[np.mean([regret(table, kind, grid) for kind in kinds_of(table)], axis=0).argmin()])
