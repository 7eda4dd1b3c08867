"""The places of an optimizer state: where its counts, rates and plateaus are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_known
from lrax.fields._words import complain
from lrax.schedules._base import Schedule

REST = "rest"
"""The label of the parameters that no pattern names."""


class Place(NamedTuple):
    """A leaf of an optimizer state, the names on the way to it joined by `/`, and the names of what stands beside it.

    `group` is the label of the group of parameters that it belongs to (of `optax.multi_transform`), None outside groups.
    """

    path: str
    group: str | None
    siblings: set[str]
    value: Any

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_whole(self) -> bool:
        return jnp.issubdtype(jnp.asarray(self.value).dtype, jnp.integer)

    @property
    def is_schedule_count(self) -> bool:
        """A count that a schedule is called with: optax's state for schedules holds nothing else, wrappers a rate."""
        beside = self.siblings - {"count"}
        return self.name == "count" and self.is_whole and (not beside or bool(beside & {"rate", "hyperparams"}))

    @property
    def is_other_count(self) -> bool:
        """A count of updates for other ends. Those of plateaus and of `optax.apply_every` start again and again."""
        starts_again = self.siblings & {"plateau_count", "grad_acc"}
        return self.name in ("count", "gradient_step") and self.is_whole and not starts_again

    @property
    def is_rate(self) -> bool:
        """The rate of the last update, kept by `recorded` or by `optax.inject_hyperparams`."""
        return (self.name == "rate" and "count" in self.siblings) or self.path.endswith("hyperparams/learning_rate")

    @property
    def is_next_rate(self) -> bool:
        return self.name == "next_rate" and "count" in self.siblings

    @property
    def is_plateau_scale(self) -> bool:
        return self.name == "scale" and "plateau_count" in self.siblings


def places_of(owner: str, opt_state: Any) -> list[Place]:
    """All leaves of a state. Flax NNX wraps each leaf: its `value` is left off."""
    if isinstance(opt_state, Schedule) or callable(opt_state):
        remedy = f"the state comes first: {owner}(opt_state, schedule)"
        raise complain(TypeError, owner, "opt_state", "an optimizer state", opt_state, remedy)
    found = [
        (jax.tree_util.keystr(keys, simple=True, separator="/").removesuffix("/value"), _group(keys), leaf)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(opt_state)
    ]
    children: dict[str, set[str]] = {}
    for path, _, _ in found:
        parts = path.split("/")
        for i, part in enumerate(parts):
            children.setdefault("/".join(parts[:i]), set()).add(part)
    return [Place(path, group, children[path.rpartition("/")[0]], leaf) for path, group, leaf in found]


def _group(keys: tuple[Any, ...]) -> str | None:
    names = [getattr(key, "name", getattr(key, "key", None)) for key in keys]
    return str(names[names.index("inner_states") + 1]) if "inner_states" in names[:-1] else None


def at_path(places: Sequence[Place], path: str) -> list[Place]:
    """The places of the group `path`; where there is no such group, those with `path` in their names."""
    return [place for place in places if place.group == path] or [place for place in places if path in place.path]


def counts_in(places: Sequence[Place]) -> list[Place]:
    """The counts that schedules are called with; where there are none, those of the moments and of accumulation."""
    return [place for place in places if place.is_schedule_count] or [place for place in places if place.is_other_count]


def outermost(places: Sequence[Place]) -> list[Place]:
    """Kept rates without those that stand inside another optimizer that keeps one."""
    owners = [place.path.removesuffix(place.name) for place in places if place.name != "learning_rate"]
    return [place for place in places if not any(place.path.startswith(owner + "inner_state/") for owner in owners)]


def common(places: Sequence[Place]) -> tuple[jax.Array, Any]:
    """The first value of some places, and whether all have it."""
    first, *others = (jnp.asarray(place.value) for place in places)
    if all(is_known(place.value) for place in places):
        return first, all(np.array_equal(np.asarray(first), np.asarray(other)) for other in others)
    equal = [first == other for other in others if other.shape == first.shape]
    return first, jnp.stack([*equal, jnp.ones_like(first, jnp.bool_)]).all(axis=0) & (len(equal) == len(others))


def plateau_scale(owner: str, places: Sequence[Place], path: str) -> jax.Array:
    """The product of the scales of the plateaus in a state; a group's own plateau is no part of other groups' rates."""
    scales = [place for place in places if place.is_plateau_scale]
    grouped = [place for place in scales if place.group is not None]
    if path:
        here = at_path(places, path)
        scales = [
            place for place in scales if any(place is one for one in here) or (place.group is None and _covers(place, here))
        ]
    elif grouped:
        remedy = "a piece of " + " or ".join(place.path for place in grouped)
        raise complain(ValueError, owner, "path", "given where groups of parameters have plateaus of their own", path, remedy)
    total = jnp.ones((), jnp.float32)
    for place in scales:
        total = total * jnp.asarray(place.value).astype(jnp.float32)
    return total


def _covers(scale: Place, places: Sequence[Place]) -> bool:
    """Whether a plateau stands in a chain that all of some places are in."""
    chain = scale.path.split("/")[:-2]
    return all(place.path.split("/")[: len(chain)] == chain for place in places)
