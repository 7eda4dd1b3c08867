"""Where two pytrees differ."""

from collections.abc import Iterator

import jax
import numpy as np

from lrax.fields._types import PyTree

MOST = 3
"""How many differences are named; the others are counted."""


def difference(given: PyTree, wanted: PyTree) -> tuple[int, str]:
    """The first place where two pytrees differ in structure: how many nodes agree before it, and a description.

    >>> difference((jnp.ones(2), optax.EmptyState()), (jnp.ones(2), optax.TraceState(jnp.ones(2))))
    (2, 'EmptyState at [1] in place of TraceState')
    """
    agreed = 0
    for found in _walk(given, wanted, "", changes=False):
        if found:
            return agreed, found
        agreed += 1
    return agreed, "another structure"


def differences(given: PyTree, wanted: PyTree, name: str = "") -> str:
    """All differences of two pytrees in structure, shapes and dtypes, the first few described.

    Args:
      name: what the pytree is called; every place begins with it.

    >>> print(differences({"a": jnp.ones(2), "c": 1.0}, {"a": jnp.ones(3), "b": 1.0}, "state"))
    state['b'] is missing, state['c'] is new, state['a'] changed from float32[3] to float32[2]
    """
    found = list(filter(None, _walk(given, wanted, name, changes=True)))
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more or f"another structure of {name or 'the pytree'}"


def children(node: PyTree) -> list[tuple[str, PyTree]]:
    """The children of a node, with the key that leads to each."""
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda inner: inner is not node)
    return [(jax.tree_util.keystr(path), child) for path, child in below if path]


def _walk(given: PyTree, wanted: PyTree, place: str, changes: bool) -> Iterator[str]:
    """An empty text for each node that agrees, a description for each that does not; below such a node nothing is compared.

    Args:
      changes: whether `wanted` became `given`: then leaves are compared too, and all that is new or missing is named.
    """
    where = f" at {place}" if place else ""
    types = _type_of(given, changes), _type_of(wanted, changes)
    if types[0] != types[1]:
        yield f"{place} changed from {types[1]} to {types[0]}" if changes else f"{types[0]}{where} in place of {types[1]}"
        return
    mine, others = dict(children(given)), dict(children(wanted))
    if list(mine) != list(others):
        if changes and not isinstance(given, list | tuple):
            yield from [f"{place}{key} is missing" for key in others if key not in mine]
            yield from [f"{place}{key} is new" for key in mine if key not in others]
        elif changes:
            yield f"{place} changed from {len(others)} parts to {len(mine)}"
            return
        else:
            counts = f"{len(mine)} parts", f"{len(others)}"
            mine_shown, others_shown = (f"entries {_keys(mine)}", _keys(others)) if isinstance(given, dict) else counts
            yield f"{mine_shown}{where} in place of {others_shown}"
            return
    else:
        yield ""
    for key in others:
        if key in mine:
            yield from _walk(mine[key], others[key], place + key, changes)


def _type_of(node: PyTree, shapes: bool) -> str:
    """The class of a node, or its shape and dtype if it is an array."""
    if node is None:
        return "None"
    if not jax.tree_util.all_leaves([node]):
        return type(node).__name__
    return f"{jax.dtypes.result_type(node)}{list(np.shape(node))}" if shapes else "an array"


def _keys(children: dict[str, PyTree]) -> str:
    shown = ", ".join(list(children)[:4])
    return f"({shown}{', ...' if len(children) > 4 else ''})"
