"""Multiples of the rate for a model that grew wider: μP, from the shapes of two models."""

import re
from typing import Any, Literal

import jax
import numpy as np

from lrax.fields._words import argument_error, choice


def over_width(params: Any, base_params: Any, optimizer: Literal["adam", "sgd"] = "adam") -> dict[str, float]:
    r"""Groups for `lrax.by_path` under which the best rate of a narrow model is that of a wide one.

    Each array is judged by which of its axes grew, and by how much: $r$ is the growth of the first that did.

    | axes that grew | such as | Adam | SGD |
    | --- | --- | --- | --- |
    | none | | 1 | 1 |
    | the last one alone | the first layer, embeddings, biases, norms | 1 | r |
    | one, not the last | the last layer | 1/r | 1/r |
    | two or more | hidden layers, attention | 1/r | 1 |

    It is half of μP: the other half is the start. The last layer must begin with 1/r of the usual standard deviation (or with
    zeros), attention must divide by the size of a head, not its root; then rates were carried from widths of 256 to 4,096 and
    more. Depth, batch size and length are not carried, and with weight decay tuned by `decoupled` much of the gain has been
    found without μP (arXiv 2510.19093).

    Args:
      params: the parameters of the wide model, or their shapes (`jax.eval_shape`); kernels as JAX has them, (inputs, outputs).
      base_params: those of the narrow model that the rate was found for: the same tree.
      optimizer: `"adam"` for all whose updates do not depend on the size of the gradient, or `"sgd"`.

    Returns: by pattern, the multiple of the parameters that it names; those whose multiple is 1 are left to the rest.

    Raises: ValueError if the two are not of one structure, or an array shrinks on one axis and grows on another.

    Source: Yang, Hu et al. 2022, Tensor programs V (arXiv 2203.03466), table 3.

    >>> def shapes(width):
    ...     return {"in": jnp.zeros((8, width)), "hidden": jnp.zeros((width, width)), "out": jnp.zeros((width, 10))}
    >>> over_width(shapes(1024), shapes(256))
    {'^(hidden|out)$': 0.25}
    """
    choice("over_width", "optimizer", optimizer, ("adam", "sgd"))
    wide, narrow = (jax.tree_util.tree_leaves_with_path(tree) for tree in (params, base_params))
    if [path for path, _ in wide] != [path for path, _ in narrow]:
        needs = "parameters of the same structure as `params`"
        raise argument_error(ValueError, "over_width", "base_params", needs, jax.tree.structure(base_params))
    found: dict[float, list[str]] = {}
    for (path, leaf), (_, base) in zip(wide, narrow, strict=True):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        multiple = _multiple(name, np.shape(leaf), np.shape(base), optimizer)
        if multiple != 1:
            found.setdefault(multiple, []).append(re.escape(name))
    return {f"^({'|'.join(names)})$": multiple for multiple, names in found.items()}


def _multiple(name: str, shape: tuple[int, ...], base: tuple[int, ...], optimizer: str) -> float:
    if len(shape) != len(base):
        raise argument_error(ValueError, "over_width", f"base_params at {name!r}", f"of rank {len(shape)}", base)
    growth = [now / before if before else 1.0 for now, before in zip(shape, base, strict=True)]
    grew = [axis for axis, factor in enumerate(growth) if factor != 1]
    if any(growth[axis] > 1 for axis in grew) and any(growth[axis] < 1 for axis in grew):
        raise argument_error(ValueError, "over_width", f"base_params at {name!r}", f"smaller than {shape} on every axis", base)
    if not grew:
        return 1.0
    if grew == [len(shape) - 1]:
        return growth[-1] if optimizer == "sgd" else 1.0
    return 1.0 if optimizer == "sgd" and len(grew) > 1 else 1 / growth[grew[0]]
