"""A range for each group of parameters: one ramp at a time, the others held."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from lrax.fields._errors import argument_error
from lrax.finder._result import FinderResult
from lrax.training._driver import Interrupted
from lrax.training._learner import Learner
from lrax.training._probes import in_group


def check_groups(groups: Any, held: Any, donate: bool) -> None:
    """Raises for groups that are no patterns, for a rate that is none, and where the state is given away."""
    if not isinstance(groups, Sequence | Mapping) or isinstance(groups, str) or not groups or len(set(groups)) < len(groups):
        raise argument_error(
            TypeError, "find_lr", "groups", 'different regular expressions, such as ("encoder", "head")', groups
        )
    if not isinstance(held, int | float) or not 0 <= held < float("inf"):
        raise argument_error(ValueError, "find_lr", "held", "a finite rate of at least 0", held)
    if donate:
        raise argument_error(ValueError, "find_lr", "donate", "False with groups", donate, "each needs the state again")


def with_groups(
    whole: Callable[..., FinderResult],
    learner: Learner,
    groups: Sequence[str],
    held: float,
    initialize: Callable[[jax.Array], Learner] | None,
    evaluate: Callable[[Any], Any] | None,
) -> FinderResult:
    """The result of a test of all parameters, and in it those of each group.

    Args:
      whole: runs a test of a learner, by its `initialize` and `evaluate`.
      learner, initialize, evaluate: what the test of all parameters is of.
      groups: patterns; a parameter belongs to the first that is found in its path.
      held: the rate of the others.
    """
    patterns, held = tuple(groups), float(held)
    learners = [in_group("find_lr", learner, patterns, i, held) for i in range(len(patterns))]  # complains before anything runs
    found = whole(learner, initialize=initialize, evaluate=evaluate)
    done: dict[str, FinderResult] = {}

    def drawn(number: int) -> Callable[[jax.Array], Learner] | None:
        if initialize is None:
            return None
        return lambda key: in_group("find_lr", initialize(key), patterns, number, held)

    judged = None if evaluate is None else lambda state: evaluate(state.inner)
    try:
        for number, (pattern, one) in enumerate(zip(patterns, learners, strict=True)):
            done[pattern] = whole(one, initialize=drawn(number), evaluate=judged)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(found=dataclasses.replace(found, groups=done)) from interrupt
    return dataclasses.replace(found, groups=done)
