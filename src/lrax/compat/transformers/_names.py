"""Transformers' schedules by the names that its trainer takes."""

from collections.abc import Callable, Mapping
from typing import Any

from lrax.compat._arguments import fitted
from lrax.compat.transformers import _cosines, _plateaus, _warmed
from lrax.fields._errors import argument_error, choice

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "linear": _warmed.get_linear_schedule_with_warmup,
    "cosine": _cosines.get_cosine_schedule_with_warmup,
    "cosine_with_restarts": _cosines.get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": _warmed.get_polynomial_decay_schedule_with_warmup,
    "constant": _warmed.get_constant_schedule,
    "constant_with_warmup": _warmed.get_constant_schedule_with_warmup,
    "inverse_sqrt": _warmed.get_inverse_sqrt_schedule,
    "reduce_lr_on_plateau": _plateaus.get_reduce_on_plateau_schedule,
    "cosine_with_min_lr": _cosines.get_cosine_with_min_lr_schedule_with_warmup,
    "cosine_warmup_with_min_lr": _cosines.get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    "warmup_stable_decay": _warmed.get_wsd_schedule,
    "greedy": _plateaus.get_greedy_schedule,
}
ALONE = ("constant", "reduce_lr_on_plateau", "greedy")
WITHOUT_TOTAL = ("constant_with_warmup", "inverse_sqrt")
"""Names that need no total length, and for which transformers does not use `scheduler_specific_kwargs`."""


@fitted
def get_scheduler(
    name: str,
    lr: Any,
    num_warmup_steps: Any = None,
    num_training_steps: Any = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The schedule of a name, such as `TrainingArguments(lr_scheduler_type="cosine")` gives.

    Args:
      name: `"linear"`, `"cosine"`, `"cosine_with_restarts"`, `"polynomial"`, `"constant"`, `"constant_with_warmup"`,
        `"inverse_sqrt"`, `"cosine_with_min_lr"`, `"cosine_warmup_with_min_lr"`, `"warmup_stable_decay"`; or
        `"reduce_lr_on_plateau"` or `"greedy"`, which are transformations.
      lr: the rate of the optimizer.
      num_warmup_steps, num_training_steps: in updates, where the schedule needs them.
      scheduler_specific_kwargs: further arguments of its function; as in transformers, they are not used for `"constant"`,
        `"constant_with_warmup"` and `"inverse_sqrt"`.

    Raises: ValueError for an unknown name or a length that is missing; TypeError for an argument that its function has not.

    >>> print(get_scheduler("linear", 1.0, 2, 6)(jnp.array([0, 2, 6])))
    [0. 1. 0.]
    """
    function = FUNCTIONS[choice("get_scheduler", "name", name, tuple(FUNCTIONS))]
    if name == "constant":
        return function(lr)
    given = {} if name in WITHOUT_TOTAL else dict(scheduler_specific_kwargs or {})
    needed = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    if name in ALONE:
        return function(lr, **given)
    if name in WITHOUT_TOTAL:
        del needed["num_training_steps"]
    for argument, value in needed.items():
        if value is None and not (name == "warmup_stable_decay" and argument == "num_training_steps"):
            raise argument_error(ValueError, "get_scheduler", argument, f"given for {name!r}", value)
    return function(lr, **needed, **given)
