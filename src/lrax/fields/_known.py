"""What is known now, and what only at run time: the only file that knows tracers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where a function asks for the number of a traced value, as `float(x)`, `np.log(x)` and `if x:` do."""


def is_traced(value: object) -> bool:
    """Whether `value` stands for an array of a program that is being traced."""
    return isinstance(value, jax.core.Tracer)


def any_traced(tree: Any) -> bool:
    """Whether any leaf of a pytree is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def is_key(leaf: Any) -> bool:
    """Whether an array, or the shape of one, is of random keys."""
    return jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def is_concrete(value: object) -> bool:
    """Whether the numbers in `value` can be read now: no tracer, and no part of it on another host."""
    if is_traced(value):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def as_array(value: Any) -> np.ndarray[Any, Any] | jax.Array:
    """`value` as an array of NumPy, or of JAX where it is one or says how to become one (variables of NNX and of Keras)."""
    if not isinstance(value, jax.Array) and callable(getattr(value, "__jax_array__", None)):
        value = value.__jax_array__()
    return value if isinstance(value, jax.Array) else np.asarray(value)
