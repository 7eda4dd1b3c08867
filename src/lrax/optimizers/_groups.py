"""Different rates for different parameters, by their path."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import optax

from lrax.fields._types import RATE
from lrax.fields._words import complain, spelt
from lrax.optimizers._places import REST
from lrax.optimizers._rated import OptimizerFactory
from lrax.optimizers._recorded import record
from lrax.schedules._algebra import Scale
from lrax.schedules._base import Schedule, ScheduleRule


@spelt
def by_path(optimizer: OptimizerFactory, schedule: Any, groups: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
    r"""An optimizer whose rate differs between parameters: discriminative fine-tuning, layer-wise decay, frozen parts.

    A parameter's path is its keys joined by `/`, such as `encoder/layer_0/kernel`. It belongs to the first pattern that is
    found in it; what no pattern names follows `schedule` itself.

    Args:
      optimizer: `schedule -> optax.GradientTransformation`, such as `optax.adamw`; called once a group.
      schedule: a schedule or a callable `count -> rate`.
      groups: by regular expression (`re.search`): a number that multiplies the schedule, another schedule, or None for
        parameters that stay as they are and need no optimizer state.

    Returns: an `optax.multi_transform`, whose labels are the patterns and `"rest"`. Each group keeps its rates, as
      `lrax.recorded` does: `lrax.last_rate(opt_state, path=pattern)` tells a group's own, `lrax.group_rates(opt_state)` all.

    Raises: TypeError if `optimizer` is not a factory, or a value of `groups` no number, schedule or None; ValueError if a
      pattern is no regular expression, or, from `init`, if no parameter belongs to it.

    >>> params = {"encoder": jnp.ones(2), "head": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}
    >>> tx = by_path(optax.sgd, lrax.Constant(1.0), {"^encoder/?": 0.1, "bias$": None})
    >>> updates, _ = tx.update(params, tx.init(params), params)
    >>> print(updates["encoder"], updates["head"]["kernel"], updates["head"]["bias"])
    [-0.1 -0.1] [-1. -1.] [0. 0.]
    """
    plan = ScheduleRule().convert("by_path", "schedule", schedule)
    transforms = {REST: record("by_path", optimizer, plan)}
    for pattern, rate in groups.items():
        _check_pattern(pattern)
        trained = None if rate is None else record("by_path", optimizer, _group_schedule(plan, pattern, rate))
        transforms[pattern] = optax.set_to_zero() if trained is None else trained

    def labels(params: Any) -> Any:
        named = jax.tree_util.tree_map_with_path(lambda keys, _: _label(keys, groups), params)
        used = set(jax.tree.leaves(named))
        for pattern in groups:
            if pattern not in used:
                raise _names_nothing(pattern, [_path(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)])
        return named

    return optax.multi_transform(transforms, labels)


def _check_pattern(pattern: Any) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise complain(ValueError, "by_path", "groups", "by regular expression", pattern, str(error)) from error
    if pattern == REST:
        raise complain(ValueError, "by_path", "groups", f"without the pattern {REST!r}", pattern, "write 'res[t]'")


def _names_nothing(pattern: str, paths: list[str]) -> Exception:
    if any(re.search(pattern, path) for path in paths):
        remedy = "an earlier pattern takes all of its parameters"
    else:
        remedy = f"the paths are {', '.join(paths[:8])}" + (", ..." if len(paths) > 8 else "")
    return complain(ValueError, "by_path", "groups", "patterns that each name parameters", pattern, remedy)


def _group_schedule(plan: Schedule, pattern: str, rate: Any) -> Schedule:
    if callable(rate):
        return ScheduleRule().convert("by_path", f"groups[{pattern!r}]", rate)
    return Scale(plan, RATE.convert("by_path", f"groups[{pattern!r}]", rate))


def _path(keys: Any) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def _label(keys: Any, groups: Mapping[str, Any]) -> str:
    path = _path(keys)
    return next((pattern for pattern in groups if re.search(pattern, path)), REST)
