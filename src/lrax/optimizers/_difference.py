"""Where two pytrees differ, in a few words."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

MOST = 3
"""Differences that are named; of the others, their number."""


def difference(given: Any, wanted: Any) -> tuple[int, str]:
    """The first place where two pytrees differ in structure: how many nodes agree before it, and words.

    >>> difference((jnp.ones(2), optax.EmptyState()), (jnp.ones(2), optax.TraceState(jnp.ones(2))))
    (2, 'EmptyState at [1] in place of TraceState')
    """
    agreed = 0
    for found in _walk(given, wanted, "", changes=False):
        if found:
            return agreed, found
        agreed += 1
    return agreed, "another structure"


def differences(given: Any, wanted: Any, name: str = "") -> str:
    """All places where two pytrees differ, the first few in words: in structure, and in the shapes and dtypes of leaves.

    Args:
      name: what the pytree is called; every place begins with it.

    >>> print(differences({"a": jnp.ones(2), "c": 1.0}, {"a": jnp.ones(3), "b": 1.0}, "state"))
    state['b'] is missing, state['c'] is new, state['a'] changed from float32[3] to float32[2]
    """
    found = list(filter(None, _walk(given, wanted, name, changes=True)))
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more or f"another structure of {name or 'the pytree'}"


def children(node: Any) -> list[tuple[str, Any]]:
    """The children of a node, with the key that leads to each."""
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda inner: inner is not node)
    return [(jax.tree_util.keystr(path), child) for path, child in below if path]


def _walk(given: Any, wanted: Any, place: str, changes: bool) -> Iterator[str]:
    """An empty text for each node that agrees, and words for each that does not; below such a node nothing is compared.

    Args:
      changes: whether `wanted` became `given`: then leaves are compared too, and what came and went is named one by one.
    """
    where = f" at {place}" if place else ""
    kinds = _kind(given, changes), _kind(wanted, changes)
    if kinds[0] != kinds[1]:
        yield f"{place} changed from {kinds[1]} to {kinds[0]}" if changes else f"{kinds[0]}{where} in place of {kinds[1]}"
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


def _kind(node: Any, shapes: bool) -> str:
    """What a node is called: the name of its class, or an array with or without its shape and dtype."""
    if node is None:
        return "None"
    if not jax.tree_util.all_leaves([node]):
        return type(node).__name__
    return f"{jax.dtypes.result_type(node)}{list(np.shape(node))}" if shapes else "an array"


def _keys(children: dict[str, Any]) -> str:
    shown = ", ".join(list(children)[:4])
    return f"({shown}{', ...' if len(children) > 4 else ''})"
