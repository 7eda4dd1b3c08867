"""Which parameter has which rate, as a table."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lrax.fields._words import Text, check_call
from lrax.optimizers._groups import group_schedules, labels_of, path_of


@check_call
def group_table(schedule: Any, groups: Mapping[str, Any], params: Any, count: int = 0) -> Text:
    """Each parameter with its group and its rate at a count, as `lrax.by_path` would train it.

    Args:
      schedule, groups: as for `lrax.by_path`.
      params: the parameters, or their shapes.
      count: the 0-based number of the update.

    Returns: lines of text, in the order of the parameters, a `str` that a notebook and a prompt show as lines; a frozen
      parameter has the rate `-`.

    Raises: TypeError or ValueError as `lrax.by_path`, and if no parameter belongs to a pattern.

    >>> params = {"embed": 0.0, "layer_0": 0.0, "layer_1": 0.0, "head": {"bias": 0.0, "kernel": 0.0}}
    >>> groups = {"bias$": None, **lrax.layerwise(params, "layer_{}", 0.5, below="embed"), "head": {"floor": 0.02}}
    >>> print(group_table(lrax.Linear(0.1, 0.0, 100), groups, params, count=90))
    parameter    group                rate
    embed        embed             0.00125
    head/bias    bias$                   -
    head/kernel  head                 0.02
    layer_0      layer_0(?![0-9])   0.0025
    layer_1      layer_1(?![0-9])    0.005
    """
    plans = group_schedules("group_table", schedule, groups)
    labels = jax.tree_util.tree_leaves_with_path(labels_of("group_table", params, groups))
    rates = {label: "-" if plan is None else f"{float(np.asarray(plan(count))):.4g}" for label, plan in plans.items()}
    named = [(path_of(keys) or "(params)", label or "(rest)", rates[label]) for keys, label in labels]
    rows = [("parameter", "group", "rate"), *named]
    paths, names, numbers = (max(map(len, column)) for column in zip(*rows, strict=True))
    return Text("\n".join(f"{path:{paths}}  {name:{names}}  {rate:>{numbers}}" for path, name, rate in rows))
