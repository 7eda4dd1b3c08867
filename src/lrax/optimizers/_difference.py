"""Where two pytrees differ, in a few words."""

from typing import Any

import jax


def difference(given: Any, wanted: Any) -> tuple[int, str]:
    """The first place where two pytrees differ in structure: how many nodes agree before it, and words.

    >>> difference((jnp.ones(2), optax.EmptyState()), (jnp.ones(2), optax.TraceState(jnp.ones(2))))
    (2, 'EmptyState at [1] in place of TraceState')
    """
    found, agreed = _walk(given, wanted, "")
    return agreed, found or "another structure"


def _walk(given: Any, wanted: Any, place: str) -> tuple[str, int]:
    mine, others = children(given), children(wanted)
    where = f" at {place}" if place else ""
    if _kind(given) != _kind(wanted):
        return f"{_kind(given)}{where} in place of {_kind(wanted)}", 0
    if [key for key, _ in mine] != [key for key, _ in others]:
        if isinstance(given, dict):
            return f"entries {_keys(mine)}{where} in place of {_keys(others)}", 0
        return f"{len(mine)} parts{where} in place of {len(others)}", 0
    agreed = 1
    for (key, child), (_, other) in zip(mine, others, strict=True):
        found, below = _walk(child, other, place + key)
        agreed += below
        if found:
            return found, agreed
    return "", agreed


def children(node: Any) -> list[tuple[str, Any]]:
    """The children of a node, with the key that leads to each."""
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda inner: inner is not node)
    return [(jax.tree_util.keystr(path), child) for path, child in below if path]


def _kind(node: Any) -> str:
    is_leaf = jax.tree_util.all_leaves([node])
    return "an array" if is_leaf else type(node).__name__


def _keys(below: list[tuple[str, Any]]) -> str:
    shown = ", ".join(key for key, _ in below[:4])
    return f"({shown}{', ...' if len(below) > 4 else ''})"
