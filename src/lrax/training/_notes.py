"""Notes on errors that come out of a user's function: which call of lrax called it, how, and with what shapes.

The error itself stays what it is. A note is added where the function is called, and only to an error that has none yet.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from lrax.fields._rules import PyTree
from lrax.optimizers._difference import children

PREFIX = "lrax: "
"""How every note begins."""

MOST, LONGEST = 4, 200
"""Parts of a node, and characters, that the shapes of a pytree are cut off at."""


class Caller(NamedTuple):
    """Who calls the functions of a learner.

    Attributes:
      name: of the function of lrax that the user has called.
      source: a description of where its batch comes from.
    """

    name: str = "learner.step"
    source: str = ""


_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("lrax_caller", default=Caller())  # noqa: B039  # immutable


@contextlib.contextmanager
def called_by(name: str, source: str) -> Iterator[None]:
    """Functions of a learner are called by `name` in here, with a batch from `source`."""
    token = _caller.set(Caller(name, source))
    try:
        yield
    finally:
        _caller.reset(token)


@contextlib.contextmanager
def calling(form: str, origin: str, **arguments: PyTree) -> Iterator[None]:
    """Adds a note to an error that the user's function raises, unless it has one.

    Args:
      form: how the function is called, such as `loss_fn(params, batch)`.
      origin: which argument it was, such as "`loss_fn` of Learner.create".
      arguments: what it was called with, by name; their shapes are shown.
    """
    try:
        yield
    except Exception as error:
        if not any(str(note).startswith(PREFIX) for note in getattr(error, "__notes__", ())):
            error.add_note(_note(form, origin, arguments))
        raise


def _note(form: str, origin: str, arguments: dict[str, PyTree]) -> str:
    caller = _caller.get()
    given = " and ".join(f"{name} {shapes_of(value)}" for name, value in arguments.items())
    from_where = f", {caller.source}" if caller.source and "batch" in arguments else ""
    lists = _has_number_lists(arguments.get("batch"))
    remedy = "; the batch holds lists of numbers: np.asarray makes arrays of them" if lists else ""
    return f"{PREFIX}{caller.name} called {form}, the {origin}{', with ' * bool(given)}{given}{from_where}{remedy}"


def shapes_of(tree: PyTree) -> str:
    """The shapes and dtypes of a pytree's leaves, arranged as they are in it; cut off where it is long.

    >>> print(shapes_of({"x": np.zeros((32, 8)), "y": (jnp.zeros(32, jnp.int32), 1.0)}))
    {'x': float64[32, 8], 'y': (int32[32], float)}
    """
    text = _shapes(tree)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _shapes(node: PyTree) -> str:
    if hasattr(node, "shape") and hasattr(node, "dtype"):
        return f"{node.dtype}{list(node.shape)}"
    below = [] if node is None or jax.tree_util.all_leaves([node]) else children(node)
    named = not isinstance(node, list) and (not isinstance(node, tuple) or hasattr(node, "_fields"))
    parts = [f"{key.strip('[].')}: {_shapes(child)}" if named else _shapes(child) for key, child in below[:MOST]]
    inside = ", ".join([*parts, *["..."] * (len(below) > MOST)])
    if isinstance(node, dict):
        return f"{{{inside}}}"
    if isinstance(node, list):
        return f"[{inside}]"
    name = "" if type(node) is tuple else type(node).__name__
    return f"{name}({inside})" if below or not name else "None" if node is None else name


def _has_number_lists(tree: PyTree) -> bool:
    """Whether a pytree holds a list of several numbers, which JAX takes for as many arrays."""
    found: list[bool] = []

    def look(node: PyTree) -> bool:
        leaves = jax.tree.leaves(node) if isinstance(node, list) else []
        found.append(len(leaves) > 1 and all(np.ndim(leaf) == 0 for leaf in leaves))
        return False

    jax.tree.leaves(tree, is_leaf=look)
    return any(found)
