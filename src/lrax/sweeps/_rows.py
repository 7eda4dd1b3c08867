"""Sweeps and races as plain rows, for pandas or a file of comma-separated values."""

import csv
import io
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from lrax.fields._errors import is_key
from lrax.schedules._display import kind_of
from lrax.sweeps._files import save
from lrax.sweeps._settings import Setting


def sweep_rows(
    schedules: Sequence[Any],
    settings: Sequence[Setting],
    peaks: np.ndarray[Any, Any],
    scores: np.ndarray[Any, Any],
    diverged: np.ndarray[Any, Any],
    metrics: Any,
) -> list[dict[str, Any]]:
    """A row a lane; see `SweepResult.rows`."""
    place = {lane: i for i, setting in enumerate(settings) for lane in setting.lanes}
    rows = [
        {
            "lane": lane,
            "setting": place[lane],
            "kind": kind_of(schedule),
            "schedule": repr(schedule),
            "peak": _decimal(peaks[lane]),
            "score": float(scores[lane]),
            "diverged": bool(diverged[lane]),
        }
        for lane, schedule in enumerate(schedules)
    ]
    for path, leaf in jax.tree.leaves_with_path(metrics):
        if np.ndim(leaf) == 1 and not is_key(leaf):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "metric"
            name = f"metrics.{name}" if name in rows[0] else name
            for row, value in zip(rows, np.asarray(leaf), strict=True):
                row[name] = value.item() if isinstance(value.item(), bool | int | float | complex) else float(value)
    return rows


def race_rows(
    schedules: Sequence[Any],
    peaks: np.ndarray[Any, Any],
    end_losses: np.ndarray[Any, Any],
    rungs: np.ndarray[Any, Any],
    order: np.ndarray[Any, Any],
    end_metrics: np.ndarray[Any, Any] | None = None,
) -> list[dict[str, Any]]:
    """A row a lane; see `RaceResult.rows`."""
    places = np.argsort(order)
    return [
        {
            "lane": lane,
            "place": int(places[lane]),
            "kind": kind_of(schedule),
            "schedule": repr(schedule),
            "peak": _decimal(peaks[lane]),
            "end_loss": _decimal(end_losses[lane]),
            **({} if end_metrics is None else {"end_metric": _decimal(end_metrics[lane])}),
            "rungs": int(rungs[lane]),
            "diverged": not math.isfinite(end_losses[lane]),
        }
        for lane, schedule in enumerate(schedules)
    ]


def write_csv(caller: str, path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows under a header, whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    save(caller, path, lambda file: file.write(text.getvalue().encode()))


def _decimal(value: Any) -> float:
    """A float32 as the shortest decimal that is it: 0.1, not 0.10000000149.

    >>> _decimal(np.float32(0.1))
    0.1
    """
    return float(str(value))
