"""Learning rates and counts read from optimizer states."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from lrax.fields._errors import Shown, argument_error, check_call, is_concrete
from lrax.fields._rules import PyTree, path_of
from lrax.schedules._base import RateFunction, Schedule, ScheduleRule

FollowedBy: TypeAlias = RateFunction | optax.GradientTransformation | Mapping[str, RateFunction | None] | None
"""What a run follows: a schedule, the optimizer that `recorded` or `by_path` returned, or schedules by group label."""
REST = "rest"
"""The label of the parameters that no pattern names."""


Flag: TypeAlias = bool | np.bool_ | npt.NDArray[np.bool_] | jax.Array
"""A condition, which may be traced."""


class Scheduled(optax.GradientTransformationExtraArgs):  # type: ignore[misc]  # optax has no types for mypy
    """A transformation that knows its schedules, as `recorded` and `by_path` return it.

    Attributes:
      schedules: one schedule, or one for each label of a group, None for a frozen group.
    """

    schedules: Schedule | Mapping[str, Schedule | None] | None = None

    @staticmethod
    def made(
        init: Callable[[PyTree], PyTree],
        update: Callable[..., tuple[PyTree, PyTree]],
        schedules: Schedule | Mapping[str, Schedule | None],
    ) -> "Scheduled":
        """The transformation of two functions."""
        transformation = Scheduled(init, update)
        transformation.schedules = schedules
        return transformation


class Place(NamedTuple):
    """A leaf of an optimizer state.

    Attributes:
      path: the names on the way to it, joined by `/`.
      group: the label of its group of parameters (of `optax.multi_transform`), None outside groups.
      siblings: the names of the leaves and nodes next to it.
      value: the leaf.
    """

    path: str
    group: str | None
    siblings: set[str]
    value: jax.Array

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_integer(self) -> bool:
        return bool(jnp.issubdtype(jnp.asarray(self.value).dtype, jnp.integer))

    @property
    def is_schedule_count(self) -> bool:
        """A count that a schedule is called with: optax's state for schedules holds nothing else, `inject_hyperparams` more."""
        others = self.siblings - {"count"}
        return self.name == "count" and self.is_integer and (not others or "hyperparams" in others)

    @property
    def is_other_count(self) -> bool:
        """A count of steps for another purpose. Those of plateaus and of `optax.apply_every` start again and again."""
        starts_again = self.siblings & {"plateau_count", "grad_acc"}
        return self.name in ("count", "gradient_step") and self.is_integer and not starts_again

    @property
    def is_recorded(self) -> bool:
        """The learning rate of the last step, recorded by `recorded` together with the step."""
        return self.name == "lr" and "step" in self.siblings

    @property
    def hyperparameter(self) -> str:
        """The name of a learning rate in the hyper-parameters of `optax.inject_hyperparams`; "" elsewhere.

        Optimizers with two have, for example, `learning_rate` and `adam_learning_rate`.
        """
        *_, above, name = ["", *self.path.split("/")]
        return name if above == "hyperparams" and (name == "learning_rate" or name.endswith("_learning_rate")) else ""

    @property
    def is_lr(self) -> bool:
        return self.is_recorded or bool(self.hyperparameter)

    @property
    def is_plateau_scale(self) -> bool:
        """The scale of `reduce_on_plateau` (lrax's or optax's) or of `greedy`."""
        return self.name == "scale" and "plateau_count" in self.siblings


def places_of(caller: str, opt_state: object) -> list[Place]:
    """All leaves of a state, without the `value` of the variables that Flax NNX wraps them in."""
    if isinstance(opt_state, Schedule) or callable(opt_state):
        remedy = f"the state comes first: {caller}(opt_state, schedule)"
        raise argument_error(TypeError, caller, "opt_state", "an optimizer state", opt_state, remedy)
    found = [(path_of(keys), _group(keys), leaf) for keys, leaf in jax.tree_util.tree_leaves_with_path(opt_state)]
    children: dict[str, set[str]] = {}
    for path, _, _ in found:
        parts = path.split("/")
        for i, part in enumerate(parts):
            children.setdefault("/".join(parts[:i]), set()).add(part)
    return [Place(path, group, children[path.rpartition("/")[0]], leaf) for path, group, leaf in found]


def _group(keys: tuple[object, ...]) -> str | None:
    names = [getattr(key, "name", getattr(key, "key", None)) for key in keys]
    return str(names[names.index("inner_states") + 1]) if "inner_states" in names[:-1] else None


def at_path(places: Sequence[Place], path: str | None) -> list[Place]:
    """The places of the group `path`; if there is no such group, those with `path` in their names; all for None."""
    if path is None:
        return list(places)
    return [place for place in places if place.group == path] or [place for place in places if path in place.path]


def counts_in(places: Sequence[Place]) -> list[Place]:
    """The counts that schedules are called with; if there are none, those of moments and of accumulation."""
    return [place for place in places if place.is_schedule_count] or [place for place in places if place.is_other_count]


def lrs_in(places: Sequence[Place]) -> list[Place]:
    """The stored learning rates, without those inside another optimizer that records its own.

    A second one inside (`adam_learning_rate`) stays, because the recorded one does not stand for it. Before the first step a
    recorded learning rate is NaN.
    """
    found = [place._replace(value=_reported(place, places)) for place in places if place.is_lr]
    inside = tuple(place.path.removesuffix("lr") + "inner_state/" for place in found if place.is_recorded)
    return [place for place in found if not place.path.startswith(inside) or place.hyperparameter.endswith("_learning_rate")]


def step_of(place: Place, places: Sequence[Place]) -> jax.Array:
    """The 0-based step of a recorded learning rate, -1 before the first."""
    return next(one.value for one in places if one.path == place.path.removesuffix("lr") + "step")


def _reported(place: Place, places: Sequence[Place]) -> jax.Array:
    """A stored learning rate, NaN if no step is recorded yet."""
    if not place.is_recorded:
        return place.value
    step = step_of(place, places)
    namespace = np if is_concrete(step) and is_concrete(place.value) else jnp
    return namespace.where(namespace.asarray(step) < 0, namespace.float32(np.nan), namespace.asarray(place.value))


def freshness(place: Place, places: Sequence[Place]) -> tuple[Flag, Flag]:
    """Whether a stored learning rate is that of the last step, and whether it is that of another step.

    Both are False before the first step. Hyper-parameters have no step and count as those of the last one.
    """
    if not place.is_recorded:
        return True, False
    own, step = place.path.removesuffix("lr"), step_of(place, places)
    counts = counts_in([one for one in places if one.path.startswith((own + "inner_state/", own + "counter/"))])
    if not counts:
        return False, False
    count, agree = common(counts)
    known = is_concrete(step) and all(is_concrete(one.value) for one in counts)
    is_last = np.asarray(step) == np.asarray(count) - 1 if known else step == count - 1
    return agree & (step >= 0) & is_last, agree & (step >= 0) & ~is_last


def common(places: Sequence[Place]) -> tuple[jax.Array, Flag]:
    """The first value of some places, and whether all are equal; a NaN equals a NaN."""
    first, *others = (jnp.asarray(place.value) for place in places)
    if all(is_concrete(place.value) for place in places):
        return first, all(_same(np.asarray(first), np.asarray(other)) for other in others)
    equal = [(first == other) | ((first != first) & (other != other)) for other in others if other.shape == first.shape]
    return first, jnp.stack([*equal, jnp.ones_like(first, jnp.bool_)]).all(axis=0) & (len(equal) == len(others))


def _same(first: npt.NDArray[np.number], other: npt.NDArray[np.number]) -> bool:
    return first.shape == other.shape and bool(np.all((first == other) | ((first != first) & (other != other))))


def plateau_scale(caller: str, places: Sequence[Place], path: str | None) -> jax.Array:
    """The product of the scales of the plateaus in a state; the plateau of a group does not scale other groups."""
    scales = [place for place in places if place.is_plateau_scale]
    grouped = [place for place in scales if place.group is not None]
    if path is not None:
        here = at_path(places, path)
        scales = [
            place for place in scales if any(place is one for one in here) or (place.group is None and _covers(place, here))
        ]
    elif grouped:
        remedy = "a piece of " + " or ".join(place.path for place in grouped)
        needs = "given for a state with a plateau in a group of parameters"
        raise argument_error(ValueError, caller, "path", needs, path, remedy)
    factors = (jnp.asarray(place.value).astype(jnp.float32) for place in scales)
    return math.prod(factors, start=jnp.ones((), jnp.float32))


def _covers(scale: Place, places: Sequence[Place]) -> bool:
    """Whether a plateau is in a chain that contains all of some places."""
    chain = scale.path.split("/")[:-2]
    return all(place.path.split("/")[: len(chain)] == chain for place in places)


@check_call
def last_lr(opt_state: PyTree, schedule: FollowedBy = None, path: str | None = None) -> jax.Array:
    """The learning rate of the last step of a run.

    If the state stores a learning rate, that is the answer, whatever `schedule` gives: states of `lrax.recorded`, of
    `lrax.by_path`, and of `optax.inject_hyperparams` with a `learning_rate`. Otherwise it is that of the schedule at the last
    count. A `reduce_on_plateau` (lrax's or optax's) or a `greedy` in the state multiplies it by its scale.

    Args:
      opt_state: a state of any optax optimizer. With gradient accumulation (`optax.MultiSteps`) a step is an optimizer update,
        not a batch.
      schedule: the schedule of the run; a callable `count -> learning rate`; the optimizer that `recorded` or `by_path`
        returned, itself and not one around it; or a dict of schedules by group label.
      path: the group of parameters, for a state with several learning rates: a label of `lrax.by_path` or of
        `optax.multi_transform`, such as `"head"`; or part of the path of a place in the state.

    Returns: float32, a scalar (or of the shape of the state's counts). Before the first step it is NaN, or the schedule's first
      value if there is a `schedule`. Under jit it is also NaN where values in the state would raise an error here.

    Raises: ValueError if the state has neither a learning rate nor a count for `schedule`; if it has several that differ; or if
      the recorded learning rate is not that of the last step, because the count was changed since, and there is no `schedule`.
      TypeError if `opt_state` is not a state.

    >>> schedule = lrax.Linear(0.5, 0.0, steps=10)
    >>> tx = optax.adamw(schedule)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), jnp.zeros(2))
    >>> print(last_lr(state, schedule), next_lr(state, schedule))
    0.5 0.45
    """
    places = places_of("last_lr", opt_state)
    here = at_path(places, path)
    return _last("last_lr", lrs_in(here), here, places, schedule, path)


@check_call
def next_lr(opt_state: PyTree, schedule: FollowedBy, path: str | None = None) -> jax.Array:
    """The learning rate of the next step of a run: the schedule at the state's count.

    A plateau in the state multiplies it by its present scale; the next value may reduce that.

    Args:
      opt_state, path: see `last_lr`.
      schedule: the schedule of the next step, in any form that `last_lr` accepts. For a group of `by_path` give the optimizer,
        which knows the multiple of the group, or the group's own schedule.

    Returns: float32, a scalar (or of the shape of the state's counts). Under jit, NaN where the state's counts differ.

    Raises: ValueError if there is no count in the state, or there are several that differ, which the message lists; or if there
      are several schedules and `path` does not choose one. TypeError if `opt_state` is not a state.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> tx = lrax.by_path(optax.adamw, lrax.Linear(0.5, 0.0, steps=10), {"head": 2.0})
    >>> print(next_lr(tx.init(params), tx, path="head"))
    1.0
    """
    places = places_of("next_lr", opt_state)
    here = at_path(places, path)
    count, agree = _agreed("next_lr", "count", counts_in(here), places, path)
    lr = _followed("next_lr", schedule, here, path)(count)
    return jnp.where(agree, lr * plateau_scale("next_lr", places, path), jnp.nan)


@check_call
def group_lrs(opt_state: PyTree, schedule: FollowedBy = None) -> dict[str, jax.Array]:
    """The learning rate of the last step for each group of parameters, for a log.

    Args:
      opt_state: a state of `lrax.by_path`, of `optax.multi_transform`, of an optimizer with two learning rates such as
        `optax.contrib.muon`, or of any optimizer.
      schedule: needed for groups whose learning rate is not in the state: one schedule that all follow, a dict of schedules by
        label, such as `{"muon": schedule, "adam": other}`, or the optimizer that `by_path` returned. States of `lrax.by_path`,
        of `lrax.recorded` and of `optax.inject_hyperparams` hold their learning rates.

    Returns: by label, float32 as `last_lr` returns it. Frozen groups have no entry. The hyper-parameters `learning_rate` and
      `adam_learning_rate` of an injected `optax.contrib.muon` are those of its groups `"muon"` and `"adam"`. A state without
      groups has one entry, `"rest"`; a collection of several states has one for each, by its path.

    Raises: ValueError if the learning rate of a group is not in the state and `schedule` has none for it, and as `last_lr`;
      TypeError if `opt_state` is not a state.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> tx = lrax.by_path(optax.adamw, lrax.Constant(0.5), {"head": 0.1})
    >>> _, state = tx.update(params, tx.init(params), params)
    >>> print({label: f"{lr:.2f}" for label, lr in group_lrs(state).items()})
    {'head': '0.05', 'rest': '0.50'}
    """
    caller = "group_lrs"
    places = places_of(caller, opt_state)
    labels = sorted({place.group for place in places if place.group is not None and (place.is_lr or place.name == "count")})
    stored = _stored(places, labels)
    lacking = [label for label in labels if label not in stored]
    schedules = _by_label(caller, schedule, labels)
    if unknown := [label for label in lacking if schedules.get(label) is None]:
        needs = f"given for the groups that store no learning rate: {', '.join(map(repr, unknown))}"
        remedy = f"give a dict by label such as {{{unknown[0]!r}: schedule}}, or wrap each group's optimizer in lrax.recorded"
        raise argument_error(ValueError, caller, "schedule", needs, schedule, remedy)
    found = {}
    for name in sorted({*stored, *lacking}):
        lrs = stored.get(name, [])
        path = name if name in labels else next((place.group for place in lrs), None)
        found[name] = _last(caller, lrs, at_path(places, path), places, schedules.get(name), path)
    return found


@check_call
def count_of(opt_state: PyTree, path: str | None = None) -> jax.Array:
    """How many steps an optimizer state has made, which is the count of the next one.

    Args:
      opt_state, path: see `last_lr`.

    Returns: int32, a scalar (or of the shape of the state's counts). Under jit, -1 where the state's counts differ.

    Raises: ValueError if there is no count in the state, or there are several that differ, which the message lists; TypeError
      if `opt_state` is not a state.

    >>> tx = optax.adam(0.1)
    >>> _, state = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))
    >>> print(count_of(state))
    1
    """
    places = places_of("count_of", opt_state)
    count, agree = _agreed("count_of", "count", counts_in(at_path(places, path)), places, path)
    return jnp.where(agree, count, -1)


def _stored(places: Sequence[Place], labels: Sequence[str]) -> dict[str, list[Place]]:
    """The stored learning rates by their names in a log; without groups and without any, an empty list as `"rest"`."""
    stored: dict[str, list[Place]] = {}
    whole: list[Place] = []
    for label in (*labels, None):
        for place in lrs_in([place for place in places if place.group == label]):
            second = place.hyperparameter.removesuffix("learning_rate").removesuffix("_")
            if second or label is not None:
                stored.setdefault("/".join(filter(None, (label, second))), []).append(place)
            else:
                whole.append(place)
    lacking = [label for label in labels if label not in stored]
    if not labels:
        for place in whole:
            above = place.path.removesuffix(place.name).removesuffix("hyperparams/").strip("/")
            stored[above if len(whole) > 1 else REST] = [place]
        return stored or {REST: []}
    if len(lacking) == 1 and len(labels) > 1 and all(stored[label][0].group is None for label in labels if label in stored):
        stored[lacking[0]] = whole  # `learning_rate` next to `adam_learning_rate`, of the groups "muon" and "adam"
    return {name: lrs for name, lrs in stored.items() if lrs}


def _by_label(caller: str, schedule: FollowedBy, labels: Sequence[str]) -> Mapping[str, RateFunction | None]:
    """The schedule of each group; the key is `"rest"` for a state without groups."""
    if isinstance(schedule, Scheduled):
        if isinstance(schedule.schedules, Mapping):
            return schedule.schedules
        return {} if labels else {REST: schedule.schedules}  # groups inside `recorded` may follow other schedules
    if not isinstance(schedule, Mapping):
        return {} if schedule is None else dict.fromkeys(labels or [REST], schedule)
    if strangers := [label for label in schedule if label not in (labels or [REST])]:
        needs = f"by the labels of the state's groups, {', '.join(map(repr, labels or [REST]))}"
        raise argument_error(ValueError, caller, "schedule", needs, strangers[0])
    return schedule


def _last(
    caller: str, lrs: Sequence[Place], here: Sequence[Place], places: Sequence[Place], schedule: object, path: str | None
) -> jax.Array:
    """The learning rate of the last step: the stored one if it is that of the last step, otherwise the schedule's."""
    scale = plateau_scale(caller, places, path)
    if schedule is None:
        value, holds = _agreed(caller, "learning rate", lrs, places, path)
        _check_fresh(caller, lrs, places)
    else:
        value, holds = common(lrs) if lrs else (jnp.float32(jnp.nan), False)
    for place in lrs:
        holds = holds & freshness(place, places)[0]
    value = value.astype(jnp.float32) * scale
    if schedule is None:
        return jnp.where(holds, value, jnp.nan)
    if is_concrete(holds) and np.all(holds):
        return value
    count, agree = _agreed(caller, "count", counts_in(here), places, path)
    planned = _followed(caller, schedule, here, path)(count - 1) * scale
    return jnp.where(holds, value, jnp.where(agree, planned, jnp.nan))


def _check_fresh(caller: str, lrs: Sequence[Place], places: Sequence[Place]) -> None:
    """Raises if a recorded learning rate is not that of the last step."""
    for place in lrs:
        _, stale = freshness(place, places)
        if is_concrete(stale) and np.any(stale):
            given = Shown(f"the learning rate of step {np.asarray(step_of(place, places))}")
            needs, remedy = "a state that recorded its last step", "its count was changed since: make a step first"
            raise argument_error(ValueError, caller, "opt_state", needs, given, remedy + ", or give the schedule")


def _followed(caller: str, schedule: object, here: Sequence[Place], path: str | None) -> Schedule:
    """The schedule that the places at `path` follow."""
    if isinstance(schedule, Scheduled):
        schedule = schedule.schedules
    elif isinstance(schedule, optax.GradientTransformation | optax.MultiSteps):
        needs = "a schedule, or an optimizer that knows its own"
        remedy = "give what recorded or by_path returned, itself and not a chain or another wrapper of it"
        raise argument_error(TypeError, caller, "schedule", needs, Shown("another"), remedy)
    if not isinstance(schedule, Mapping):
        return ScheduleRule().convert(caller, "schedule", schedule)
    trained = {label: one for label, one in schedule.items() if one is not None}
    labels = set(trained) if path is None else {path} if path in schedule else {place.group for place in here} & set(schedule)
    if len(labels) != 1 or not labels <= set(trained):
        needs = f"the label of one trained group, {' or '.join(map(repr, trained))}"
        raise argument_error(ValueError, caller, "path", needs, path)
    return ScheduleRule().convert(caller, "schedule", trained[labels.pop()])


def _agreed(
    caller: str, what: str, found: Sequence[Place], places: Sequence[Place], path: str | None
) -> tuple[jax.Array, Flag]:
    """The value of the places that were found, and whether they all have it; under jit the second is traced."""
    if not found:
        raise _missing(caller, what, places, path)
    value, agree = common(found)
    if agree is False:
        names = [repr(place.group) if place.group is not None and place.is_lr else place.path for place in found]
        shown = ", ".join(f"{name} = {np.asarray(place.value)!s}" for name, place in zip(names, found, strict=True))
        remedy = "lrax.group_lrs(opt_state) returns all" if what == "learning rate" else ""
        raise argument_error(ValueError, caller, "path", f"given to choose one of the {what}s {shown}", path, remedy)
    return value, agree


def _missing(caller: str, what: str, places: Sequence[Place], path: str | None) -> Exception:
    """The error for a state without a learning rate or a count, in all of it or at `path`."""
    is_lr = what == "learning rate"
    where, remedy = "", "wrap the optimizer in lrax.recorded"
    groups = list(dict.fromkeys(repr(place.group) for place in places if place.group is not None))
    if is_lr:
        remedy += ", or give the schedule"
    if is_lr and groups and caller != "group_lrs":
        remedy += f"; lrax.group_lrs(opt_state, schedules) returns those of the groups {', '.join(groups)}"
    if path is not None:
        where = f" at a place with {path!r} in it"
        others = [place for place in places if place.is_lr] if is_lr else counts_in(places)
        names = list(dict.fromkeys(place.path if place.group is None else repr(place.group) for place in others))
        remedy = f"there is one at {', '.join(names[:8])}" if names else remedy
    return ValueError(f"{caller}: `opt_state` must hold a {what}{where}, got none; {remedy}")
