"""How much a chosen rate loses against the best one of the task's table."""

from typing import Any

import numpy as np

from finder.tables import KINDS, Table

Array = np.ndarray[Any, Any]


def regret(table: Table, kind: str, rates: Array) -> Array:
    """(loss at the rate - best loss) / (loss before training - best loss), between the rates of the table on a log axis.

    0 is the best rate, 1 is as if nothing had been trained; no suggestion is 1.
    """
    losses = np.minimum(table[kind], table["initial"])
    share = (losses - losses.min()) / (table["initial"] - losses.min())
    usable = np.isfinite(rates) & (rates > 0)
    between = np.interp(np.log10(np.where(usable, rates, 1)), np.log10(table["rates"]), share)
    return np.where(usable, between, 1.0)


def best_single(table: Table) -> float:
    """The rate whose mean regret over both schedules is the least."""
    grid = 10.0 ** np.arange(-6, 2, 0.01)
    return float(grid[np.mean([regret(table, kind, grid) for kind in KINDS], axis=0).argmin()])
