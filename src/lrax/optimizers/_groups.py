"""Learning rates for groups of parameters."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
import optax

from lrax.fields._errors import Shown, Text, argument_error, check_call
from lrax.fields._rules import POSITIVE, RATE, STEPS, Number, PyTree, path_of
from lrax.optimizers._rates import REST, Scheduled
from lrax.optimizers._recorded import OptimizerFactory, check_factory, record, wrong_state
from lrax.schedules._base import RateFunction, Schedule, ScheduleRule
from lrax.schedules._combinators import Maximum, Product, Scale, Sequence
from lrax.schedules._decays import Constant
from lrax.schedules._phases import Hold
from lrax.schedules._recipes import warmed

GroupRule: TypeAlias = Number | Mapping[str, Number | RateFunction | OptimizerFactory] | RateFunction | None
"""What a group of parameters follows: a multiple, another schedule, nothing, or a dict of several of these; see `by_path`."""

PARTS = ("optimizer", "schedule", "factor", "floor", "frozen_steps", "warmup_steps")
"""The keys of a dict that says what a group of parameters follows."""


@check_call
def by_path(
    optimizer: OptimizerFactory, schedule: RateFunction, groups: Mapping[str, GroupRule]
) -> optax.GradientTransformationExtraArgs:
    r"""An optimizer whose learning rate differs between parameters: fine-tuning, layer-wise decay, frozen parts.

    The path of a parameter is its keys joined by `/`, such as `encoder/layer_0/kernel`. A parameter belongs to the first
    pattern that is found in its path; a parameter that matches no pattern follows `schedule` itself.

    Args:
      optimizer: `schedule -> optax.GradientTransformation`, such as `optax.adamw`; called once for each group.
      schedule: a schedule or a callable `count -> learning rate`.
      groups: by regular expression (`re.search`), one of: a number that multiplies the schedule; another schedule, which starts
        at step 0 like `schedule`; None for frozen parameters, which need no optimizer state; or a dict of any of these:
        `optimizer`, another factory for the group; `schedule`, another schedule; `factor`, a number that multiplies it;
        `floor`, the smallest learning rate, also in the warm-up; `frozen_steps`, for which the group has
        learning rate 0; `warmup_steps`, over which its learning rate then rises linearly. `lrax.layerwise` makes groups by
        depth, `lrax.theory.over_width` by width, and `lrax.matrices` gives the pattern of the weight matrices.

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

    The encoder of a fine-tuned model, frozen for 500 steps and then warmed up; and Muon for the matrices:

    >>> tx = by_path(optax.adamw, lrax.Constant(1e-3), {"encoder": {"factor": 0.1, "frozen_steps": 500, "warmup_steps": 100}})
    >>> tx = by_path(optax.adamw, lrax.Constant(1e-3), {"kernel$": {"optimizer": optax.contrib.muon, "factor": 20}})
    """
    plans = group_schedules("by_path", schedule, groups)
    factories = {pattern: _group_optimizer(f"groups[{pattern!r}]", rule) or optimizer for pattern, rule in groups.items()}

    def transform(label: str, plan: Schedule | None) -> optax.GradientTransformation:
        return optax.set_to_zero() if plan is None else record("by_path", factories.get(label, optimizer), plan)

    transforms = {label: transform(label, plan) for label, plan in plans.items()}
    inner = optax.multi_transform(transforms, lambda params: labels_of("by_path", params, groups))

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra: object) -> tuple[PyTree, PyTree]:
        inside = getattr(state, "inner_states", {})
        frozen = [label for label, plan in plans.items() if plan is None]
        if set(inside) != set(transforms) or any(jax.tree.leaves(inside[label]) for label in frozen):
            needs = f"a state of by_path with the groups {', '.join(map(repr, transforms))}"
            raise wrong_state("by_path", state, needs + (f", {', '.join(map(repr, frozen))} frozen" if frozen else ""))
        return inner.update(updates, state, params, **extra)

    return Scheduled.made(inner.init, update, plans)


def group_schedules(caller: str, schedule: RateFunction, groups: Mapping[str, GroupRule]) -> dict[str, Schedule | None]:
    """The schedule of each group, `"rest"` first; None for a frozen group."""
    plan = ScheduleRule().convert(caller, "schedule", schedule)
    plans: dict[str, Schedule | None] = {REST: plan}
    for pattern, rule in groups.items():
        check_pattern(caller, pattern)
        plans[pattern] = None if rule is None else _group_schedule(caller, plan, f"groups[{pattern!r}]", rule)
    return plans


def labels_of(caller: str, params: PyTree, groups: Mapping[str, object]) -> PyTree:
    """The label of each parameter's group, in the structure of the parameters; raises if a pattern matches none."""
    named = jax.tree_util.tree_map_with_path(lambda keys, _: _label(path_of(keys), groups), params)
    used = set(jax.tree.leaves(named))
    for pattern in groups:
        if pattern not in used:
            paths = [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)]
            raise _names_nothing(caller, pattern, paths)
    return named


def check_pattern(caller: str, pattern: str) -> None:
    """Raises ValueError if a pattern is not a regular expression, or is the label of parameters without a pattern."""
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


def _group_optimizer(name: str, rule: GroupRule) -> OptimizerFactory | None:
    """The factory of a group, if it has one."""
    if not isinstance(rule, Mapping) or "optimizer" not in rule:
        return None
    factory: Any = rule["optimizer"]
    check_factory("by_path", factory, f"{name}['optimizer']")
    return factory


def _group_schedule(caller: str, plan: Schedule, name: str, rule: GroupRule) -> Schedule:
    if callable(rule):
        return ScheduleRule().convert(caller, name, rule)
    if not isinstance(rule, Mapping):
        return Scale(plan, RATE.convert(caller, name, rule))
    if not rule or set(rule) - set(PARTS):
        raise argument_error(ValueError, caller, name, f"a dict of any of {', '.join(PARTS)}", dict(rule))

    def part(key: str, convert: Callable[[str, str, object], Any]) -> Any:
        return convert(caller, f"{name}[{key!r}]", rule[key]) if key in rule else None

    schedule = part("schedule", ScheduleRule().convert) or plan
    if (factor := part("factor", RATE.convert)) is not None:
        schedule = Scale(schedule, factor)
    if (floor := part("floor", RATE.convert)) is not None:
        schedule = Maximum(schedule, Constant(floor))
    frozen, warm = part("frozen_steps", STEPS.convert), part("warmup_steps", STEPS.convert)
    if frozen is None and warm is None:
        return schedule
    if frozen is None:
        return warmed(schedule, warm)
    climb = Constant(1.0) if warm is None else warmed(Constant(1.0), warm)
    return Product(schedule, Sequence(Hold(0.0, frozen), climb))


@check_call
def matrices(params: PyTree, exclude: str = "(?i)embed|head|unembed|lm_head") -> str:
    r"""The pattern of all weight matrices for `lrax.by_path`, for example to train them with Muon.

    Args:
      params: the parameters, or their shapes.
      exclude: regular expression (`re.search`) of paths that are left out although they are matrices; embeddings and heads.

    Returns: a regular expression that is found in the paths of those arrays of two dimensions, and in no others.

    Raises: ValueError if there are none.

    >>> layer = {"kernel": jnp.ones((4, 4)), "bias": jnp.ones(4)}
    >>> lrax.matrices({"embed": jnp.ones((9, 4)), "layer": layer, "head": jnp.ones((4, 9))})
    '^(layer/kernel)$'
    """
    try:
        left_out = re.compile(exclude)
    except (re.error, TypeError) as error:
        raise argument_error(ValueError, "matrices", "exclude", "a regular expression", exclude, str(error)) from error
    leaves = [(path_of(keys), leaf) for keys, leaf in jax.tree_util.tree_leaves_with_path(params)]
    found = [re.escape(path) for path, leaf in leaves if np.ndim(leaf) == 2 and not left_out.search(path)]
    if not found:
        remedy = f"the paths are {', '.join(path for path, _ in leaves[:8])}"
        raise argument_error(
            ValueError, "matrices", "params", "parameters with matrices outside `exclude`", Shown("none"), remedy
        )
    return f"^({'|'.join(found)})$"


def _label(path: str, groups: Mapping[str, object]) -> str:
    return next((pattern for pattern in groups if re.search(pattern, path)), REST)


@check_call
def layerwise(params: PyTree, layer: str, decay: Number, below: str | None = None) -> dict[str, GroupRule]:
    r"""Groups for `lrax.by_path` whose learning rates fall with depth: layer-wise decay, discriminative fine-tuning.

    Of n layers the last has `decay` times the learning rate, the one below it `decay` squared, the first `decay` to the power
    of n, and what is `below` the first `decay` to the power of n + 1. Parameters above the last layer keep the learning rate.
    The layers are those that the parameters have, in the order of their numbers.

    Args:
      params: the parameters, or their shapes.
      layer: regular expression with `{}` for the number of the layer, such as `"encoder/layer_{}/"`. It matches whole numbers
        only: `layer_1` is not found in `layer_12`.
      decay: the factor from one layer to the one below it, above 0, mostly from 0.5 to 1; a number, which may be traced.
      below: regular expression of the parameters below the first layer, such as `"embed"`.

    Returns: the multiple of each pattern, from the last layer down. Put patterns that take precedence first:
      `{"bias$": None, **layerwise(...)}`.

    Raises: ValueError if there is no `{}` in `layer`, or no parameter belongs to a layer, or `decay` is not above 0.

    Source: Howard & Ruder 2018, ULMFiT, section 3.2; Clark et al. 2020, ELECTRA.

    >>> params = {"embed": 0.0, "layer_0": {"w": 0.0}, "layer_1": {"w": 0.0}, "head": 0.0}
    >>> layerwise(params, "layer_{}/", 0.5, below="embed")
    {'layer_1/': 0.5, 'layer_0/': 0.25, 'embed': 0.125}
    """
    decay = POSITIVE.convert("layerwise", "decay", decay)
    decay = decay if isinstance(decay, jax.Array) else float(str(decay))  # as it was written
    if not isinstance(layer, str) or layer.count("{}") != 1:
        remedy = "such as 'encoder/layer_{}/'"
        raise argument_error(ValueError, "layerwise", "layer", "a pattern with one {} for the number", layer, remedy)
    try:
        finds = re.compile(layer.replace("{}", r"(?<![0-9])(?P<number>[0-9]+)(?![0-9])"))
    except re.error as error:
        raise argument_error(ValueError, "layerwise", "layer", "a regular expression", layer, str(error)) from error
    paths = [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)]
    numbers = {found["number"] for path in paths if (found := finds.search(path)) is not None}
    if not numbers:
        needs, remedy = "a pattern that names parameters", f"the paths are {', '.join(paths[:8])}"
        raise argument_error(ValueError, "layerwise", "layer", needs, layer, remedy)
    groups: dict[str, GroupRule] = {}
    for number in sorted(numbers, key=int, reverse=True):
        groups[_pattern(layer, number)] = decay ** (len(groups) + 1)
    return groups if below is None else {**groups, below: decay ** (len(groups) + 1)}


def _pattern(layer: str, number: str) -> str:
    """The pattern of one layer, which does not match a piece of a longer number."""
    before, after = layer.split("{}")
    left = "" if re.search(r"[A-Za-z_/]$", before) else "(?<![0-9])"
    right = "" if re.match(r"[A-Za-z_/$]", after) else "(?![0-9])"
    return f"{before}{left}{number}{right}{after}"


@check_call
def group_table(schedule: RateFunction, groups: Mapping[str, GroupRule], params: PyTree, count: int = 0) -> Text:
    """Each parameter with its group and its learning rate at a count, as `lrax.by_path` would train it.

    Args:
      schedule, groups: as for `lrax.by_path`.
      params: the parameters, or their shapes.
      count: the 0-based number of the step.

    Returns: lines of text in the order of the parameters; frozen parameters have the learning rate `-`.

    Raises: TypeError or ValueError as `lrax.by_path`, and if no parameter belongs to a pattern.

    >>> params = {"embed": 0.0, "layer_0": 0.0, "layer_1": 0.0, "head": {"bias": 0.0, "kernel": 0.0}}
    >>> groups = {"bias$": None, **lrax.layerwise(params, "layer_{}", 0.5, below="embed"), "head": {"floor": 0.02}}
    >>> print(group_table(lrax.Linear(0.1, 0.0, 100), groups, params, count=90))
    parameter    group             learning rate
    embed        embed                   0.00125
    head/bias    bias$                         -
    head/kernel  head                       0.02
    layer_0      layer_0(?![0-9])         0.0025
    layer_1      layer_1(?![0-9])          0.005
    """
    plans = group_schedules("group_table", schedule, groups)
    labels = jax.tree_util.tree_leaves_with_path(labels_of("group_table", params, groups))
    lrs = {label: "-" if plan is None else f"{float(np.asarray(plan(count))):.4g}" for label, plan in plans.items()}
    named = [(path_of(keys) or "(params)", label or "(rest)", lrs[label]) for keys, label in labels]
    rows = [("parameter", "group", "learning rate"), *named]
    paths, names, numbers = (max(map(len, column)) for column in zip(*rows, strict=True))
    return Text("\n".join(f"{path:{paths}}  {name:{names}}  {lr:>{numbers}}" for path, name, lr in rows))
