"""What arguments are drawn from, and how a function of `lrax.compat` is tried."""

import dataclasses
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

positive = st.floats(0.01, 2.0)
signed = st.one_of(positive, st.floats(-2.0, -0.01), st.just(0.0))
factor = st.floats(0.05, 1.0)
share = st.floats(0.0, 1.0)
power = st.floats(0.3, 4.0)
length = st.one_of(st.integers(1, 40), st.integers(1, 40).map(float))
delay = st.integers(0, 20)
words = st.sampled_from


@dataclasses.dataclass(frozen=True)
class Drawn:
    """How a function is tried.

    Attributes:
      arguments: by name, what each may be.
      formula: the rate at a count for some arguments.
      fits: whether some arguments go together.
      call: the arguments of the function itself, where they are not those of the formula.
    """

    arguments: dict[str, Any]
    formula: Callable[..., float]
    fits: Callable[[dict[str, Any]], bool] = lambda arguments: True
    call: Callable[[dict[str, Any]], dict[str, Any]] = lambda arguments: arguments


def steps_of(milestones: list[int], t: int) -> int:
    """How many of them are past."""
    return sum(at <= t for at in milestones)
