"""What is known now, and what only at run time: the only file that knows tracers."""

from typing import Any

import jax
import jax.numpy as jnp


def is_traced(value: object) -> bool:
    """Whether `value` stands for an array of a program that is being traced."""
    return isinstance(value, jax.core.Tracer)


def any_traced(tree: Any) -> bool:
    """Whether any leaf of a pytree is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def is_key(leaf: Any) -> bool:
    """Whether an array, or the shape of one, is of random keys."""
    return jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def is_known(value: object) -> bool:
    """Whether the numbers in `value` can be read now: no tracer, and no part of it on another host."""
    if is_traced(value):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable
