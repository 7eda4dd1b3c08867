"""PyTorch's one-cycle policy, whose peak may lie between two updates."""

import math
from typing import Annotated, Any

import numpy as np

from lrax.compat._arguments import KNOWN, KnownSteps, Share, checked
from lrax.fields._errors import argument_error
from lrax.fields._given import Positive, Rate
from lrax.fields._rules import Choice
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Sequence, Until
from lrax.schedules._decays import Constant
from lrax.schedules._shapes import ShapeName
from lrax.schedules._tables import Knots

WORDS: dict[str, ShapeName] = {"cos": "cosine", "linear": "linear"}
Strategy = Annotated[str, Choice(tuple(WORDS))]


@checked
def OneCycleLR(
    max_lr: Rate,
    total_steps: KnownSteps | None = None,
    epochs: KnownSteps | None = None,
    steps_per_epoch: KnownSteps | None = None,
    pct_start: Annotated[Share, KNOWN] = 0.3,
    anneal_strategy: Strategy = "cos",
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """Climbs to `max_lr` and falls to its last rate, which is held.

    The peak is at `pct_start * total_steps - 1`, often between two updates, and the end at `total_steps - 1`; a peak that would
    lie before count 0 is never seen. PyTorch raises an error after `total_steps` updates, where this holds.

    Args:
      max_lr: rate at the peak.
      total_steps: length in updates, an integer > 0; or:
      epochs, steps_per_epoch: two integers > 0, whose product is the length.
      pct_start: part of the length spent climbing, from 0 to 1.
      anneal_strategy: `"cos"` or `"linear"`.
      div_factor: the first rate is `max_lr / div_factor`.
      final_div_factor: the last rate is `max_lr / div_factor / final_div_factor`.
      three_phase: whether to fall as fast as to climb, to the first rate, before the fall to the last.

    Raises: ValueError if no length is given, the peak is at count 0 (PyTorch divides by zero), or a number is out of range.

    >>> print([f"{rate:.3f}" for rate in OneCycleLR(1.0, total_steps=10, pct_start=0.4)(jnp.array([0, 3, 9]))])
    ['0.040', '1.000', '0.000']
    """
    first = max_lr / div_factor
    rates = [first, max_lr, *([first] if three_phase else []), first / final_div_factor]
    return _cycle("OneCycleLR", rates, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase)


@checked
def OneCycleMomentum(
    total_steps: KnownSteps | None = None,
    epochs: KnownSteps | None = None,
    steps_per_epoch: KnownSteps | None = None,
    pct_start: Annotated[Share, KNOWN] = 0.3,
    anneal_strategy: Strategy = "cos",
    base_momentum: Rate = 0.85,
    max_momentum: Rate = 0.95,
    three_phase: bool = False,
) -> Schedule:
    """The momentum that `OneCycleLR` sets with `cycle_momentum`: it falls while the rate climbs.

    Args:
      total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase: see `OneCycleLR`.
      base_momentum: momentum at the peak of the rate.
      max_momentum: momentum at both ends.

    Raises: ValueError as `OneCycleLR`.

    >>> print([f"{rate:.2f}" for rate in OneCycleMomentum(total_steps=10, pct_start=0.4)(jnp.array([0, 3, 9]))])
    ['0.95', '0.85', '0.95']
    """
    values = [max_momentum, base_momentum, max_momentum, *([max_momentum] if three_phase else [])]
    return _cycle("OneCycleMomentum", values, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase)


def _cycle(
    caller: str,
    values: list[Any],
    total_steps: int | None,
    epochs: int | None,
    steps_per_epoch: int | None,
    pct_start: float,
    anneal_strategy: str,
    three_phase: bool,
) -> Schedule:
    """`values` at the ends of PyTorch's phases; a phase that would end before it begins is never entered."""
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            needs = "given, or `epochs` and `steps_per_epoch`"
            raise argument_error(ValueError, caller, "total_steps", needs, total_steps)
        total_steps = epochs * steps_per_epoch
    peak = float(pct_start * total_steps) - 1
    if peak == 0:
        remedy = "PyTorch divides by zero there; change it a little"
        raise argument_error(ValueError, caller, "pct_start", "such that the peak is not at count 0", pct_start, remedy)
    ends = [peak, *([float(2 * pct_start * total_steps) - 2] if three_phase else []), float(total_steps - 1)]
    knots = [(0.0, values[0])]
    for place, value in zip(ends, values[1:], strict=True):
        if place < 0:
            knots = [(place, value)]
        elif place > knots[-1][0] or len(knots) == 1:
            knots.append((place, value))
    if len(knots) == 1:  # a single update
        knots.append((knots[0][0] + 1, knots[0][1]))
    places = [place for place, _ in knots]
    whole = [math.floor(place) for place in places]
    part = [place - floor for place, floor in zip(places, whole, strict=True)]
    cycle = Knots([value for _, value in knots], whole, part, WORDS[anneal_strategy])
    if places[-1] <= total_steps - 1 or total_steps == 1:
        return cycle
    # the phase that goes down would end after the run, in which PyTorch makes no more steps
    return Sequence(Until(cycle, total_steps - 1), Constant(cycle(np.int32(total_steps - 1))))
