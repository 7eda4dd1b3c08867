"""Lanes that are trained abreast: their states stacked into one, and taken apart again."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.training._engine import Axes, Carry, Lane

FEW = 16
"""So many states are stacked by one program: one with an argument for each of a thousand would compile for a minute."""


def moved(lane: Lane, state: Any, carry: Carry, rows: np.ndarray[Any, Any]) -> Lane:
    """A lane after more updates, with what they measured."""
    made = int(carry.updates) - int(lane.carry.updates)
    return lane._replace(state=state, carry=carry, rows=np.concatenate([lane.rows, rows[:made]]))


def grouped(lanes: list[Lane], size: int, axes: Axes) -> Lane:
    """Lanes stacked, the last repeated to make `size`; their order stays one if they share it."""
    if axes is Axes.ALONE:
        return lanes[0]
    filled = [*lanes, *[lanes[-1]] * (size - len(lanes))]
    order = lanes[0].order if axes is Axes.SAME_BATCHES else _stacked([lane.order for lane in filled])
    states, carries, rules = ([getattr(lane, part) for lane in filled] for part in ("state", "carry", "rules"))
    return Lane(_stacked(states), _stacked(carries), _stacked(rules), order)


def _stacked(trees: list[Any]) -> Any:
    """Pytrees with a leading axis: on the host if they are there, else by programs of few arguments, which compile fast."""
    if all(isinstance(leaf, np.ndarray | np.generic) for leaf in jax.tree.leaves(trees)):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    if len(trees) <= FEW:
        return _stack(trees)
    return _join([_stacked(trees[begin : begin + FEW]) for begin in range(0, len(trees), FEW)])


def split(group: Any, size: int) -> list[Any]:
    """The lanes of a group that has run: their states on the device, their carries and rows on the host."""
    return [jax.tree.map(lambda leaf, i=i: leaf[i], group) for i in range(size)]


@jax.jit
def _stack(trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def _join(trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)
