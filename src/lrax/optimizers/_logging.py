"""Learning rates as rows for loggers: TensorBoard, Weights & Biases, MLflow."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_call, is_concrete
from lrax.fields._rules import PyTree
from lrax.optimizers._rates import REST, FollowedBy, Scheduled, count_of, group_lrs
from lrax.schedules._base import ScheduleRule
from lrax.schedules._serialise import to_json


@check_call
def log_row(opt_state: PyTree, schedule: FollowedBy = None, *, plan: bool = False) -> dict[str, Any]:
    """What to log about the learning rates after a step.

    Args:
      opt_state: the state after the step, of any optax optimizer.
      schedule: as for `lrax.group_lrs`: needed if the learning rates are not in the state.
      plan: adds the schedules as JSON. Log them once, with the configuration of the run.

    Returns: a dict with

      - `step`: the 0-based number of the last step, -1 before the first.
      - `optim/learning_rate`: the learning rate that this step used. With parameter groups it is that of `"rest"`. Before the
        first step there is none.
      - `optim/learning_rate/<group>`: that of each other group that is trained, as `lrax.group_lrs` has it. Characters of the
        label that loggers refuse are left out: the group `"^head/"` is `head`.
      - `optim/schedule`, `optim/schedule/<group>`: with `plan=True`, what `lrax.to_json` makes of the schedules.

      Numbers are Python numbers, which waits for the step. Under jit, and of batched states, they are arrays.

    Raises: ValueError or TypeError as `lrax.group_lrs` and `lrax.count_of`; ValueError if `plan` is requested without
      `schedule`; TypeError if a schedule has no JSON.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> tx = lrax.by_path(optax.sgd, lrax.Linear(0.5, 0.0, steps=10), {"^head$": 0.1})
    >>> _, state = tx.update(params, tx.init(params), params)
    >>> log_row(state)
    {'step': 0, 'optim/learning_rate/head': 0.05, 'optim/learning_rate': 0.5}
    """
    step, used = _plain(count_of(opt_state) - 1), group_lrs(opt_state, schedule)
    row = {"step": step}
    if not isinstance(step, int) or step >= 0:  # of a traced state it is an array
        row |= {name: _plain(lr) for name, lr in _named("optim/learning_rate", used).items()}
    if plan and schedule is None:
        remedy = "give the schedule, or the optimizer that recorded or by_path returned"
        raise argument_error(ValueError, "log_row", "schedule", "given with plan=True", schedule, remedy)
    if plan:
        schedules: Any = schedule.schedules if isinstance(schedule, Scheduled) else schedule
        named = _named("optim/schedule", schedules if isinstance(schedules, Mapping) else {REST: schedules})
        convert = ScheduleRule().convert
        row |= {name: to_json(convert("log_row", "schedule", one)) for name, one in named.items() if one is not None}
    return row


def _named(key: str, by_label: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names that loggers accept: the key for the rest, the key and the label for other groups."""
    named: dict[str, Any] = {}
    for label, value in by_label.items():
        name = key if label == REST else f"{key}/{re.sub(r'[^0-9A-Za-z_./ -]+', '', label.replace('|', ' ')).strip('/ ')}"
        while name in named:
            name += "_"
        named[name] = value
    return named


def _plain(value: jax.Array) -> Any:
    """A concrete scalar as a Python number, a float32 as its shortest decimal."""
    if not is_concrete(value) or np.ndim(value):
        return value
    return float(str(np.float32(value))) if np.asarray(value).dtype.kind == "f" else int(value)
