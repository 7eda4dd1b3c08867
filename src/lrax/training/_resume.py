"""The state of an optimizer that goes on where a learner is, in the form that the optimizer needs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import Shown, argument_error
from lrax.optimizers._difference import children
from lrax.optimizers._rates import Place, places_of
from lrax.optimizers._recorded import OptimizerFactory, RatedOptimizer
from lrax.schedules._base import Schedule


class Part(NamedTuple):
    """A leaf of an optimizer state.

    Attributes:
      key: its path without wrappers and labels of groups, so that moments have the same one with and without them.
      place: its path, its value, and the names next to it.
      is_own: whether it belongs to a wrapper, such as `recorded` or `optax.inject_hyperparams`, and not to what is inside.
    """

    key: tuple[str, ...]
    place: Place
    is_own: bool

    @property
    def is_schedule_count(self) -> bool:
        return self.place.is_schedule_count

    @property
    def is_recorded(self) -> bool:
        """Whether it describes the last step: it is next to a learning rate that `recorded` stored."""
        return {"lr", "step"} <= self.place.siblings


def resumed(
    caller: str, optimizer: Any, opt_state: Any, params: Any, count: int, schedule: Schedule, factory: OptimizerFactory | None
) -> Any:
    """The state of `optimizer` with the moments of `opt_state`, whose schedule goes on at `count`.

    Args:
      optimizer: an optax optimizer that was made with `schedule`.
      opt_state: a state of the same optimizer, made with a number or with a schedule; with or without `lrax.recorded`,
        `lrax.by_path` or `optax.inject_hyperparams` around it.
      params: the parameters.
      count: how many steps `schedule` has made. Other schedules in the optimizer go on where they are in `opt_state`.
      factory: what makes the optimizer in the learner, which tells its other schedules; None if it is not known.

    Raises: TypeError if `optimizer` is not an optimizer; ValueError if `opt_state` is not a state of it.
    """
    if not callable(getattr(optimizer, "init", None)):
        remedy = "give the optimizer that you go on with, such as optax.adam(race.schedule)"
        raise argument_error(TypeError, caller, "optimizer", "an optax optimizer", optimizer, remedy)
    fresh = optimizer.init(params)
    wanted, given = parts(caller, fresh), _by_key(parts(caller, opt_state))
    _check_same(caller, optimizer, wanted, given)
    others = _other_schedules(caller, factory, params, given, count)

    def leaf(part: Part) -> Any:
        found, value = _nearest(part, given.get(part.key, [])), part.place.value
        if part.is_schedule_count and not (part.key in others and found):
            return jnp.full_like(value, count)
        if found and not part.is_recorded:
            return found.place.value
        first, last = (schedule(moment).astype(value.dtype) for moment in (0, max(count - 1, 0)))
        is_rate = part.key[-2:] == (".hyperparams", "['learning_rate']") and np.array_equal(value, first)
        return last if is_rate else value

    leaves = [leaf(part) for part in wanted]
    for part, found in zip(wanted, leaves, strict=True):
        if np.shape(found) != np.shape(part.place.value):
            needs, shown = f"of the shape {np.shape(part.place.value)} at {part.place.path}", Shown(str(np.shape(found)))
            raise argument_error(ValueError, caller, "opt_state", needs, shown)
    return jax.tree.unflatten(jax.tree.structure(fresh), leaves)


def parts(caller: str, opt_state: Any) -> list[Part]:
    """The leaves of an optimizer state, in their order."""
    places = places_of(caller, opt_state)
    return [Part(key, place, is_own) for (key, is_own), place in zip(_keys(opt_state), places, strict=True)]


def _keys(node: Any, key: tuple[str, ...] = (), is_own: bool = False) -> Iterator[tuple[tuple[str, ...], bool]]:
    """For each leaf its path without wrappers and labels, and whether it belongs to a wrapper."""
    if jax.tree_util.all_leaves([node]):
        yield key, is_own
        return
    wraps = "inner_state" in getattr(node, "_fields", ())
    for name, child in children(node):
        if name == ".inner_state":
            yield from _keys(child, key, is_own)
        elif name == ".inner_states":
            for _, group in children(child):
                yield from _keys(group, key, is_own)
        else:
            yield from _keys(child, (*key, name), is_own or wraps)


def _by_key(found: Sequence[Part]) -> dict[tuple[str, ...], list[Part]]:
    by_key: dict[tuple[str, ...], list[Part]] = {}
    for part in found:
        by_key.setdefault(part.key, []).append(part)
    return by_key


def _nearest(part: Part, found: Sequence[Part]) -> Part | None:
    """Of the parts with the same key the one at the same place, or in the same group, or else the first."""
    same = [one for one in found if one.place.path == part.place.path]
    grouped = [one for one in found if one.place.group == part.place.group]
    return next(iter([*same, *grouped, *found]), None)


def _check_same(caller: str, optimizer: Any, wanted: Sequence[Part], given: Mapping[tuple[str, ...], Sequence[Part]]) -> None:
    """Raises ValueError if two states differ in more than counts of schedules and wrappers."""
    lacking = [part.key for part in wanted if not (part.is_own or part.is_schedule_count or part.key in given)]
    names = {part.key for part in wanted}
    left = [key for key, (part, *_) in given.items() if not (part.is_own or part.is_schedule_count or key in names)]
    if lacking or left:
        what = f"its state has {''.join(lacking[0])} too" if lacking else f"its state has no {''.join(left[0])}"
        needs = "the optimizer of the state, made with a schedule"
        raise argument_error(ValueError, caller, "optimizer", needs, optimizer, what)


def _other_schedules(
    caller: str, factory: OptimizerFactory | None, params: Any, given: Mapping[Any, Sequence[Part]], count: int
) -> set[tuple[str, ...]]:
    """The keys of the counts that other schedules than that of the learning rate are called with.

    They are there, too, when the optimizer is made with a number. If all counts are the same, there is nothing to tell.
    """
    counts = [part for found in given.values() for part in found if part.is_schedule_count]
    if all(int(part.place.value) == count for part in counts):
        return set()
    if factory is None:
        shown = Shown(", ".join(f"{part.place.path} = {int(part.place.value)}" for part in counts))
        remedy = "the state was not fresh: give the learner its `optimizer`, which tells the schedules in it"
        raise argument_error(ValueError, caller, "opt_state", f"a state after {count} steps", shown, remedy)
    try:
        plain = RatedOptimizer(factory, caller=caller).init(params)
    except (TypeError, ValueError):  # it takes only schedules, as `recorded` does
        return set()
    return {one.key for one in parts(caller, plain) if one.is_schedule_count and "hyperparams" not in one.place.siblings}
