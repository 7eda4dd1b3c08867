"""The places of an optimizer state: where its counts, learning rates and plateaus are."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._errors import argument_error, is_concrete
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
        """A count that a schedule is called with: optax's state for schedules holds nothing else, `inject_hyperparams` more."""
        beside = self.siblings - {"count"}
        return self.name == "count" and self.is_whole and (not beside or "hyperparams" in beside)

    @property
    def is_other_count(self) -> bool:
        """A count of steps for another purpose. Those of plateaus and of `optax.apply_every` start again and again."""
        starts_again = self.siblings & {"plateau_count", "grad_acc"}
        return self.name in ("count", "gradient_step") and self.is_whole and not starts_again

    @property
    def is_recorded(self) -> bool:
        """The learning rate of the last step, recorded by `recorded` together with the step."""
        return self.name == "rate" and "step" in self.siblings

    @property
    def hyperparameter(self) -> str:
        """The name of a learning rate in the hyper-parameters of `optax.inject_hyperparams`; "" elsewhere.

        Optimizers with two have, for example, `learning_rate` and `adam_learning_rate`.
        """
        *_, above, name = ["", *self.path.split("/")]
        return name if above == "hyperparams" and (name == "learning_rate" or name.endswith("_learning_rate")) else ""

    @property
    def is_rate(self) -> bool:
        return self.is_recorded or bool(self.hyperparameter)

    @property
    def is_plateau_scale(self) -> bool:
        """The scale of `reduce_on_plateau` (lrax's or optax's) or of `greedy`."""
        return self.name == "scale" and bool(self.siblings & {"plateau_count", "worse_count"})


def places_of(caller: str, opt_state: Any) -> list[Place]:
    """All leaves of a state. Flax NNX wraps each leaf: its `value` is left off."""
    if isinstance(opt_state, Schedule) or callable(opt_state):
        remedy = f"the state comes first: {caller}(opt_state, schedule)"
        raise argument_error(TypeError, caller, "opt_state", "an optimizer state", opt_state, remedy)
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


def at_path(places: Sequence[Place], path: str | None) -> list[Place]:
    """The places of the group `path`; where there is no such group, those with `path` in their names; all for None."""
    if path is None:
        return list(places)
    return [place for place in places if place.group == path] or [place for place in places if path in place.path]


def counts_in(places: Sequence[Place]) -> list[Place]:
    """The counts that schedules are called with; where there are none, those of the moments and of accumulation."""
    return [place for place in places if place.is_schedule_count] or [place for place in places if place.is_other_count]


def rates_in(places: Sequence[Place]) -> list[Place]:
    """The stored learning rates, without those inside another optimizer that records its own.

    A second one of an optimizer inside (`adam_learning_rate`) stays: the recorded one does not say what it is.
    """
    found = [place._replace(value=_reported(place, places)) for place in places if place.is_rate]
    inside = tuple(place.path.removesuffix("rate") + "inner_state/" for place in found if place.is_recorded)
    return [place for place in found if not place.path.startswith(inside) or place.hyperparameter.endswith("_learning_rate")]


def step_of(place: Place, places: Sequence[Place]) -> Any:
    """The 0-based number of the step that a recorded learning rate belongs to, -1 before the first."""
    return next(one.value for one in places if one.path == place.path.removesuffix("rate") + "step")


def _reported(place: Place, places: Sequence[Place]) -> Any:
    """A stored learning rate, NaN where no step is recorded yet."""
    if not place.is_recorded:
        return place.value
    step = step_of(place, places)
    namespace = np if is_concrete(step) and is_concrete(place.value) else jnp
    return namespace.where(namespace.asarray(step) < 0, namespace.float32(np.nan), namespace.asarray(place.value))


def freshness(place: Place, places: Sequence[Place]) -> tuple[Any, Any]:
    """Whether a stored learning rate is that of the last step, and whether it is that of another step.

    Both are False before the first step is recorded. Hyper-parameters have no step: they are taken as they are.
    """
    if not place.is_recorded:
        return True, False
    own, step = place.path.removesuffix("rate"), step_of(place, places)
    counts = counts_in([one for one in places if one.path.startswith((own + "inner_state/", own + "counter/"))])
    if not counts:
        return False, False
    count, agree = common(counts)
    known = is_concrete(step) and all(is_concrete(one.value) for one in counts)
    is_last = np.asarray(step) == np.asarray(count) - 1 if known else step == count - 1
    return agree & (step >= 0) & is_last, agree & (step >= 0) & ~is_last


def common(places: Sequence[Place]) -> tuple[jax.Array, Any]:
    """The first value of some places, and whether all have it; a NaN equals a NaN."""
    first, *others = (jnp.asarray(place.value) for place in places)
    if all(is_concrete(place.value) for place in places):
        return first, all(_same(np.asarray(first), np.asarray(other)) for other in others)
    equal = [(first == other) | ((first != first) & (other != other)) for other in others if other.shape == first.shape]
    return first, jnp.stack([*equal, jnp.ones_like(first, jnp.bool_)]).all(axis=0) & (len(equal) == len(others))


def _same(first: Any, other: Any) -> bool:
    return first.shape == other.shape and bool(np.all((first == other) | ((first != first) & (other != other))))


def plateau_scale(caller: str, places: Sequence[Place], path: str | None) -> jax.Array:
    """The product of the scales of the plateaus in a state; a group's own plateau does not scale other groups."""
    scales = [place for place in places if place.is_plateau_scale]
    grouped = [place for place in scales if place.group is not None]
    if path is not None:
        here = at_path(places, path)
        scales = [
            place for place in scales if any(place is one for one in here) or (place.group is None and _covers(place, here))
        ]
    elif grouped:
        remedy = "a piece of " + " or ".join(place.path for place in grouped)
        raise argument_error(
            ValueError, caller, "path", "given where groups of parameters have plateaus of their own", path, remedy
        )
    total = jnp.ones((), jnp.float32)
    for place in scales:
        total = total * jnp.asarray(place.value).astype(jnp.float32)
    return total


def _covers(scale: Place, places: Sequence[Place]) -> bool:
    """Whether a plateau is in a chain that contains all of some places."""
    chain = scale.path.split("/")[:-2]
    return all(place.path.split("/")[: len(chain)] == chain for place in places)
