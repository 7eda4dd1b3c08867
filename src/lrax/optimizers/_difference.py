"""Where two pytrees differ."""

from collections.abc import Iterator

import jax
import numpy as np

from lrax.fields._rules import PyTree

MOST = 3
"""How many differences are described; the others are counted."""


def differences(given: PyTree, wanted: PyTree, name: str = "") -> str:
    """The differences of two pytrees in structure, shapes and dtypes, the first few described.

    Args:
      name: what the pytree is called; every place begins with it.

    >>> print(differences({"a": jnp.ones(2), "c": 1.0}, {"a": jnp.ones(3), "b": 1.0}, "state"))
    state['b'] is missing, state['c'] is new, state['a'] is float32[2] instead of float32[3]
    """
    found = list(each_difference(given, wanted, name))
    more = f", and {len(found) - MOST} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more or f"another structure of {name or 'the pytree'}"


def children(node: PyTree) -> list[tuple[str, PyTree]]:
    """The children of a node, with the key that leads to each."""
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda inner: inner is not node)
    return [(jax.tree_util.keystr(path), child) for path, child in below if path]


def each_difference(given: PyTree, wanted: PyTree, place: str) -> Iterator[str]:
    """A description of each node that differs; nothing below it is compared."""
    found, expected = _description(given), _description(wanted)
    if found != expected:
        yield f"{place} is {found} instead of {expected}"
        return
    mine, others = dict(children(given)), dict(children(wanted))
    if isinstance(given, list | tuple) and len(mine) != len(others):
        yield f"{place} has {len(mine)} parts instead of {len(others)}"
        return
    yield from [f"{place}{key} is missing" for key in others if key not in mine]
    yield from [f"{place}{key} is new" for key in mine if key not in others]
    for key in others:
        if key in mine:
            yield from each_difference(mine[key], others[key], place + key)


def _description(node: PyTree) -> str:
    """The class of a node, or its shape and dtype if it is an array."""
    if node is None:
        return "None"
    if not jax.tree_util.all_leaves([node]):
        return type(node).__name__
    return f"{jax.dtypes.result_type(node)}{list(np.shape(node))}"
