"""Different learning rates for different parameters, by their path."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import optax

from lrax.fields._types import RATE
from lrax.fields._words import argument_error, check_call
from lrax.optimizers._places import REST
from lrax.optimizers._rated import OptimizerFactory
from lrax.optimizers._recorded import Scheduled, record, wrong_state
from lrax.schedules._algebra import Maximum, Scale
from lrax.schedules._base import Schedule, ScheduleRule
from lrax.schedules._decays import Constant


@check_call
def by_path(optimizer: OptimizerFactory, schedule: Any, groups: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
    r"""An optimizer whose learning rate differs between parameters: fine-tuning, layer-wise decay, frozen parts.

    The path of a parameter is its keys joined by `/`, such as `encoder/layer_0/kernel`. A parameter belongs to the first
    pattern that is found in its path; a parameter that no pattern matches follows `schedule` itself.

    Args:
      optimizer: `schedule -> optax.GradientTransformation`, such as `optax.adamw`; called once for each group.
      schedule: a schedule or a callable `count -> learning rate`.
      groups: by regular expression (`re.search`), one of: a number that multiplies the schedule; a dict of a `factor` that
        multiplies it, a `floor` below which the learning rate does not go (in the warm-up neither), or both; another schedule,
        which starts at step 0 like `schedule`; None for frozen parameters, which need no optimizer state. `lrax.layerwise`
        makes groups by depth, `lrax.theory.over_width` by width.

    Returns: an `optax.multi_transform`, whose labels are the patterns and `"rest"`. Each group records its learning rate, as
      `lrax.recorded` does: `lrax.group_lrs(opt_state)` returns all of them, `lrax.last_lr(opt_state, path=pattern)` one.
      `print(lrax.group_table(schedule, groups, params))` shows the group of each parameter.

    Raises: TypeError if `optimizer` is not a factory, or a value of `groups` is none of these; ValueError if a pattern is not a
      regular expression, or, from `init`, if no parameter belongs to it. `update` raises TypeError for the state of another
      optimizer or of other groups: see `lrax.convert_state`.

    >>> params = {"encoder": jnp.ones(2), "head": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}
    >>> tx = by_path(optax.sgd, lrax.Constant(1.0), {"^encoder/?": 0.1, "bias$": None})
    >>> updates, _ = tx.update(params, tx.init(params), params)
    >>> print(updates["encoder"], updates["head"]["kernel"], updates["head"]["bias"])
    [-0.1 -0.1] [-1. -1.] [0. 0.]
    """
    plans = group_schedules("by_path", schedule, groups)

    def transform(plan: Schedule | None) -> optax.GradientTransformation:
        return optax.set_to_zero() if plan is None else record("by_path", optimizer, plan)

    transforms = {label: transform(plan) for label, plan in plans.items()}
    inner = optax.multi_transform(transforms, lambda params: labels_of("by_path", params, groups))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        inside = getattr(state, "inner_states", {})
        frozen = [label for label, plan in plans.items() if plan is None]
        if set(inside) != set(transforms) or any(jax.tree.leaves(inside[label]) for label in frozen):
            needs = f"a state of by_path with the groups {', '.join(map(repr, transforms))}"
            raise wrong_state("by_path", state, needs + (f", {', '.join(map(repr, frozen))} frozen" if frozen else ""))
        return inner.update(updates, state, params, **extra)

    return Scheduled.made(inner.init, update, plans)


def group_schedules(caller: str, schedule: Any, groups: Mapping[str, Any]) -> dict[str, Schedule | None]:
    """The schedule of each group, `"rest"` first; None for what is frozen."""
    plan = ScheduleRule().convert(caller, "schedule", schedule)
    plans: dict[str, Schedule | None] = {REST: plan}
    for pattern, rate in groups.items():
        check_pattern(caller, pattern)
        plans[pattern] = None if rate is None else _group_schedule(caller, plan, f"groups[{pattern!r}]", rate)
    return plans


def labels_of(caller: str, params: Any, groups: Mapping[str, Any]) -> Any:
    """The label of each parameter's group, in the structure of the parameters; raises if a pattern names none."""
    named = jax.tree_util.tree_map_with_path(lambda keys, _: _label(path_of(keys), groups), params)
    used = set(jax.tree.leaves(named))
    for pattern in groups:
        if pattern not in used:
            paths = [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)]
            raise _names_nothing(caller, pattern, paths)
    return named


def check_pattern(caller: str, pattern: Any) -> None:
    """Raises ValueError if a pattern is no regular expression, or the label of what no pattern names."""
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise argument_error(ValueError, caller, "groups", "by regular expression", pattern, str(error)) from error
    if pattern == REST:
        raise argument_error(ValueError, caller, "groups", f"without the pattern {REST!r}", pattern, "write 'res[t]'")


def _names_nothing(caller: str, pattern: str, paths: list[str]) -> Exception:
    if any(re.search(pattern, path) for path in paths):
        remedy = "an earlier pattern takes all of its parameters"
    else:
        remedy = f"the paths are {', '.join(paths[:8])}" + (", ..." if len(paths) > 8 else "")
    return argument_error(ValueError, caller, "groups", "patterns that each name parameters", pattern, remedy)


def _group_schedule(caller: str, plan: Schedule, name: str, rate: Any) -> Schedule:
    if callable(rate):
        return ScheduleRule().convert(caller, name, rate)
    if not isinstance(rate, Mapping):
        return Scale(plan, RATE.convert(caller, name, rate))
    if not rate or set(rate) - {"factor", "floor"}:
        raise argument_error(ValueError, caller, name, "a dict of a `factor`, a `floor` or both", dict(rate))
    scaled = Scale(plan, RATE.convert(caller, f"{name}['factor']", rate["factor"])) if "factor" in rate else plan
    return Maximum(scaled, Constant(RATE.convert(caller, f"{name}['floor']", rate["floor"]))) if "floor" in rate else scaled


def path_of(keys: Any) -> str:
    """The keys that lead to a leaf, joined by `/`."""
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def _label(path: str, groups: Mapping[str, Any]) -> str:
    return next((pattern for pattern in groups if re.search(pattern, path)), REST)
