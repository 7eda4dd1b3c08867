"""Rates that fall with depth: groups for `by_path`."""

import re
from typing import Any

import jax

from lrax.fields._types import POSITIVE
from lrax.fields._words import argument_error, check_call
from lrax.optimizers._groups import path_of


@check_call
def layerwise(params: Any, layer: str, decay: Any, below: str | None = None) -> dict[str, Any]:
    r"""Groups whose rates fall with depth, for `lrax.by_path`: layer-wise rate decay, discriminative fine-tuning.

    Of n layers the last has `decay` times the rate, the one below it `decay` squared, the first `decay` to the power of n, and
    what is `below` the first `decay` to the power of n + 1. The rest, which is above the last layer, has the rate itself.

    The layers are those that the parameters have, in the order of their numbers, so nothing is to be counted: a number too many
    or a last layer that is taken for the head is the mistake that such code is known for.

    Args:
      params: the parameters, or their shapes.
      layer: regular expression with `{}` in the place of the layer's number, such as `"encoder/layer_{}/"`. A number is taken
        whole: `layer_1` is not found in `layer_12`.
      decay: from one layer to the one below it, above 0, mostly from 0.5 to 1; a number, which may be traced.
      below: regular expression of what stands below the first layer, such as `"embed"`.

    Returns: by pattern, multiples of the rate, from the last layer down. Put patterns that shall win over them in front:
      `{"bias$": None, **layerwise(...)}`.

    Raises: ValueError if there is no `{}` in `layer`, or no parameter belongs to a layer, or `decay` is not above 0.

    Source: Howard & Ruder 2018, ULMFiT, section 3.2; Clark et al. 2020, ELECTRA.

    >>> params = {"embed": 0.0, "layer_0": {"w": 0.0}, "layer_1": {"w": 0.0}, "head": 0.0}
    >>> layerwise(params, "layer_{}/", 0.5, below="embed")
    {'layer_1/': 0.5, 'layer_0/': 0.25, 'embed': 0.125}
    """
    decay = POSITIVE.convert("layerwise", "decay", decay)
    decay = decay if isinstance(decay, jax.Array) else float(str(decay))  # as it was written
    if not isinstance(layer, str) or layer.count("{}") != 1:
        remedy = "such as 'encoder/layer_{}/'"
        raise argument_error(ValueError, "layerwise", "layer", "a pattern with one {} where the number stands", layer, remedy)
    try:
        finds = re.compile(layer.replace("{}", r"(?<![0-9])(?P<number>[0-9]+)(?![0-9])"))
    except re.error as error:
        raise argument_error(ValueError, "layerwise", "layer", "a regular expression", layer, str(error)) from error
    paths = [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)]
    numbers = {found["number"] for path in paths if (found := finds.search(path)) is not None}
    if not numbers:
        needs, remedy = "a pattern that names parameters", f"the paths are {', '.join(paths[:8])}"
        raise argument_error(ValueError, "layerwise", "layer", needs, layer, remedy)
    groups: dict[str, Any] = {}
    for number in sorted(numbers, key=int, reverse=True):
        groups[_pattern(layer, number)] = decay ** (len(groups) + 1)
    return groups if below is None else {**groups, below: decay ** (len(groups) + 1)}


def _pattern(layer: str, number: str) -> str:
    """The pattern of one layer; what would find a piece of a longer number is fenced off."""
    before, after = layer.split("{}")
    left = "" if re.search(r"[A-Za-z_/]$", before) else "(?<![0-9])"
    right = "" if re.match(r"[A-Za-z_/$]", after) else "(?![0-9])"
    return f"{before}{left}{number}{right}{after}"
