"""The state of an optimizer, converted into that of the same optimizer with other wrappers of lrax."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import Shown, any_traced, argument_error, check_call
from lrax.fields._rules import Rule
from lrax.optimizers._difference import children
from lrax.optimizers._rates import common, counts_in, places_of
from lrax.optimizers._recorded import RecordedState

COUNT = Rule("a whole number of steps, at least 0", np.int32, low=0, remedy="give an int such as 1000")


@check_call
def convert_state(opt_state: Any, optimizer: Any, params: Any, count: Any = None) -> Any:
    """The state of a run, for the same optimizer with `recorded` or `by_path` around it, without them, or with other groups.

    Call it once, before the first step with the new optimizer. Moments and counts are taken over as they are. Where the
    learning rates are the same, the run goes on bit for bit.

    Args:
      opt_state: the state to convert, such as that of `optax.adamw(schedule)` or of `optax.adamw(0.1)`.
      optimizer: the new optimizer, such as `lrax.recorded(optax.adamw, schedule)`, also inside chains and other wrappers that
        `opt_state` has too.
      params: the parameters, or their shapes.
      count: the number of steps made, for a state that does not count them, such as that of `optax.sgd(0.1)`.

    Returns: a state of `optimizer`. Its `recorded` parts have recorded no step yet, and moments of frozen groups are left out.

    Raises: TypeError if `opt_state` is the state of another optimizer, with the first parts that differ; ValueError if it does
      not count its steps and `count` is not given, if a shape differs, or if groups that become one have different values.

    >>> params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    >>> _, state = optax.adamw(0.1).update(params, optax.adamw(0.1).init(params), params)
    >>> tx = lrax.by_path(optax.adamw, lrax.Linear(0.1, 0.0, steps=10), {"head": 0.5})
    >>> state = convert_state(state, tx, params)
    >>> print(lrax.count_of(state), f"{lrax.next_lr(state, tx, path='head'):.3f}")
    1 0.045
    """
    if not callable(getattr(optimizer, "init", None)):
        raise argument_error(TypeError, "convert_state", "optimizer", "an optax optimizer", optimizer, "the state comes first")
    wanted = jax.eval_shape(optimizer.init, params)
    parts = list(_parts(wanted))
    given: dict[str, list[Any]] = {}
    for part in _parts(opt_state):
        if not part.is_own:
            given.setdefault(part.name, []).append(part.leaf)
    names = {part.name for part in parts if not part.is_own}
    lacking = [part.name for part in parts if not part.is_own and not part.is_count and part.name not in given]
    left = [] if _has_frozen(wanted) else [name for name in given if name not in names and not name.endswith("count")]
    if lacking or left:
        difference = f"it has no {lacking[0]}" if lacking else f"it has {left[0]} too"
        needs = "the state of the same optimizer, with other wrappers of lrax or none"
        raise argument_error(TypeError, "convert_state", "opt_state", needs, Shown(type(opt_state).__name__), difference)
    steps = _steps_made(opt_state, count)
    leaves = [_taken(part, given.get(part.name, []), steps) for part in parts]
    return jax.tree.unflatten(jax.tree.structure(wanted), leaves)


def _steps_made(opt_state: Any, count: Any) -> Any:
    """The number of steps that a state has made; None if its parts have different ones."""
    counts = counts_in(places_of("convert_state", opt_state))
    if counts and count is not None:
        raise argument_error(ValueError, "convert_state", "count", "left out for a state that counts its steps", count)
    if not counts:
        return None if count is None else COUNT.convert("convert_state", "count", count)
    first, agree = common(counts)
    return first if agree is not False else None


def _taken(part: "_Part", given: list[Any], steps: Any) -> Any:
    """The leaf of the new state: that of the old one, or the value before a step is recorded."""
    shape, dtype = part.leaf.shape, part.leaf.dtype
    if part.is_count and not given:
        if steps is None:
            needs, remedy = "given where the state has no count", "give the number of steps made, such as count=1000"
            raise argument_error(ValueError, "convert_state", "count", needs, steps, remedy)
        return jnp.asarray(steps, dtype)
    if part.is_own:
        before = {".rate": 0, ".step": -1, ".gradient_norm": jnp.nan}
        return jnp.full(shape, next(value for name, value in before.items() if part.name.endswith(name)), dtype)
    if any(np.shape(leaf) != shape for leaf in given):
        needs = f"of the shape {shape} at {part.name}"
        raise argument_error(ValueError, "convert_state", "opt_state", needs, Shown(str(np.shape(given[0]))))
    if not any_traced(given) and any(not np.array_equal(given[0], leaf) for leaf in given[1:]):
        values = Shown(" and ".join(str(np.asarray(leaf)) for leaf in given))
        raise argument_error(ValueError, "convert_state", "opt_state", f"of groups that agree at {part.name}", values)
    return given[0]


class _Part(NamedTuple):
    """A leaf of a state: the names on the way to it without the wrappers of lrax, and whether it is one of their own."""

    name: str
    leaf: Any
    is_own: bool

    @property
    def is_count(self) -> bool:
        return self.name.endswith(".count") and jnp.issubdtype(jnp.result_type(self.leaf), jnp.integer)


def _parts(node: Any, name: str = "", is_own: bool = False) -> Iterator[_Part]:
    """The leaves of a state in the order of `jax.tree.leaves`."""
    if jax.tree_util.all_leaves([node]):
        yield _Part(name, node, is_own)
    elif _is_by_path(node):
        for label in sorted(node.inner_states):
            yield from _parts(node.inner_states[label].inner_state, name, is_own)
    elif isinstance(node, RecordedState):
        for key, child in children(node):
            yield from _parts(child, *((name, is_own) if key == ".inner_state" else (name + key, True)))
    else:
        for key, child in children(node):
            yield from _parts(child, name + key, is_own)


def _is_by_path(node: Any) -> bool:
    """Whether a node is what `by_path` makes: groups that are recorded or frozen."""
    groups = getattr(node, "inner_states", {})
    kinds = {type(getattr(group, "inner_state", None)) for group in groups.values()}
    return RecordedState in kinds and kinds <= {RecordedState, optax.EmptyState}


def _has_frozen(state: Any) -> bool:
    """Whether a state is, or contains, one of `by_path` with a frozen group."""
    nodes = jax.tree.leaves(state, is_leaf=_is_by_path)
    frozen = optax.MaskedState(optax.EmptyState())
    return any(frozen in node.inner_states.values() for node in nodes if _is_by_path(node))
