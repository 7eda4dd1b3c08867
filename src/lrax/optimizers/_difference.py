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
    for found in _walk(given, wanted, "", leaves=False):
        if found:
            return agreed, found
        agreed += 1
    return agreed, "another structure"


def differences(given: Any, wanted: Any, name: str = "") -> str:
    """All places where two pytrees differ, the first few in words: in structure, and in the shapes and dtypes of leaves.

    Args:
      name: what the pytree is called; every place begins with it.

    >>> print(differences({"a": jnp.ones(2), "c": 1.0}, {"a": jnp.ones(3), "b": 1.0}, "state"))
    state['b'] is missing, state['c'] is new, float32[2] at state['a'] in place of float32[3]
    """
    found = list(filter(None, _walk(given, wanted, name, leaves=True)))
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more or f"another structure of {name or 'the pytree'}"


def children(node: Any) -> list[tuple[str, Any]]:
    """What is one level below a node, with the key that leads there."""
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda inner: inner is not node)
    return [(jax.tree_util.keystr(path), child) for path, child in below if path]


def _walk(given: Any, wanted: Any, place: str, leaves: bool) -> Iterator[str]:
    """An empty text for each node that agrees, and words for each that does not; below such a node nothing is compared."""
    where = f" at {place}" if place else ""
    kinds = _kind(given, leaves), _kind(wanted, leaves)
    if kinds[0] != kinds[1]:
        yield f"{kinds[0]}{where} in place of {kinds[1]}"
        return
    mine, others = dict(children(given)), dict(children(wanted))
    if list(mine) != list(others) and not isinstance(given, dict):
        yield f"{len(mine)} parts{where} in place of {len(others)}"
        return
    changed = [f"{place}{key} is missing" for key in others if key not in mine]
    changed += [f"{place}{key} is new" for key in mine if key not in others]
    yield from changed or [""]
    for key in others:
        if key in mine:
            yield from _walk(mine[key], others[key], place + key, leaves)


def _kind(node: Any, leaves: bool) -> str:
    """What a node is called: the name of its class, or an array with or without its shape and dtype."""
    if node is None:
        return "None"
    if not jax.tree_util.all_leaves([node]):
        return type(node).__name__
    return f"{jax.dtypes.result_type(node)}{list(np.shape(node))}" if leaves else "an array"
