"""How far an update at a rate raises the loss of its own batch, and the rate from which on it does.

One program makes an update and measures the loss of its batch before and after. The host calls it: a few rates up or down a
ladder, then a few between the two that hold the answer, each known only when the one before is. So no loop is compiled, a
convolution is as fast as in training, and a search takes a dozen updates.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrax.training._batches import fault_of
from lrax.training._core import strong
from lrax.training._driver import Trainer
from lrax.training._programs import Program

STEP = 4.0
"""How far the rungs of the ladder are apart."""

HALVINGS = 5
"""How often the logarithm of what lies between two rungs is halved; what is left, 4 %, is crossed in a straight line."""

ROUNDING = 8.0
"""A rise of the loss by so many of its roundings is none."""


@dataclasses.dataclass
class Measuring:
    """Updates that are made to see what they do to the loss of their batches.

    Attributes:
      trainer: a learner's update and its data.
      order: what the batches are drawn by; None for an iterator.
      drawn: how many batches were drawn.
      waiting: batches that were drawn and not used.
      steps_run: how many updates were made.
    """

    trainer: Trainer
    order: Any
    drawn: int = 0
    waiting: list[Any] = dataclasses.field(default_factory=list)
    steps_run: int = 0

    def next(self) -> list[Any]:
        """The batches of the next update, or what they are drawn from; none if the data ended."""
        if self.waiting:
            given, self.waiting = self.waiting, []
            return given
        if self.trainer.steps is None:
            return []
        if self.trainer.reads_on:
            found = []
            for batch in itertools.islice(self.trainer.batches, self.trainer.accumulate):
                self.trainer.steps.of(batch, self.trainer.batches.place)  # an error says which batch it is
                found.append(batch)
            return found if len(found) == self.trainer.accumulate else []
        arrays, begun = jax.tree.leaves(self.trainer.batches), self.drawn
        self.drawn += self.trainer.accumulate
        return [(arrays, self.order, np.int32(count)) for count in range(begun, self.drawn)]

    def pair(self, state: Any, rate: float, sources: list[Any]) -> tuple[Any, Any, Any]:
        """The state after an update at a rate, and the mean loss of its batches before and after."""
        self.steps_run += 1
        seen, before, last = [], [], None
        for source in sources:
            seen.append(state)
            state, loss, last = self._call(state, rate, source)
            before.append(loss)
        if len(sources) == 1:
            return state, before[0], last
        still = [moved(state, old) for old in seen]
        after = [self._call(its, 0.0, source)[1] for its, source in zip(still, sources, strict=True)]
        return state, np.mean(jax.device_get(before)), np.mean(jax.device_get(after))

    def look_at(self, sources: list[Any]) -> None:
        """Notes where batches are not finite whose loss was not."""
        notes, last = self.trainer.notes, self.drawn
        if self.trainer.reads_on:
            numbers = range(self.trainer.batches.read - len(sources), self.trainer.batches.read)
            found = list(filter(None, map(self.trainer.batches.recent, numbers)))
        else:
            found = [
                (f"batch {number + 1}", self.trainer.fetch(self.order, number)) for number in range(last - len(sources), last)
            ]
        notes.fault = notes.fault or fault_of(found, [])

    def _call(self, state: Any, rate: float, source: Any) -> Any:
        assert self.trainer.steps is not None
        program, consts = self.trainer.steps.of(source if self.trainer.reads_on else None)
        return program.jitted(pair)(consts, state, np.float32(rate), source)

    def rise(self, state: Any, sources: list[Any]) -> Callable[[float], float]:
        """How far an update at a rate raises the loss: 0 for no more than rounding, infinite if it is not finite after it.

        NaN if it is not finite before.
        """

        def of(rate: float) -> float:
            before, after = jax.device_get(self.pair(state, rate, sources)[1:])
            if not math.isfinite(before):
                return math.nan
            epsilon = jnp.finfo(before.dtype).eps  # type: ignore[no-untyped-call]  # jax leaves it untyped
            rounding = ROUNDING * float(epsilon) * abs(float(before))
            change = float(after) - float(before)
            return 0.0 if 0 < change <= rounding else math.inf if math.isnan(change) else change

        return of


def pair(program: Program, consts: list[Any], state: Any, rate: jax.Array, source: Any) -> tuple[Any, jax.Array, jax.Array]:
    """An update, and the loss of its batch before and after; a state that blew up is not carried on, and no loss is NaN."""
    state = jax.tree.map(strong, state)
    new, before = program(consts, state, source, rate)
    _, after = program(consts, moved(new, state), source, jnp.zeros((), jnp.float32))
    finite = jnp.isfinite(before) & jnp.isfinite(after)
    state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), new, state)
    return state, *(jnp.where(jnp.isnan(loss), jnp.inf, loss) for loss in (before, after))


def moved(new: Any, old: Any) -> Any:
    """A state whose floating-point numbers are `new`: its random keys and its counts are the old ones."""

    def one(new: Any, old: Any) -> Any:
        return new if jnp.issubdtype(jax.dtypes.result_type(old), jnp.inexact) else old

    return jax.tree.map(one, new, old)


def crossing(rise: Callable[[float], float], start: float, lowest: float, highest: float) -> float:
    """The rate above which `rise` is above 0; infinite if it never is, 0 if it always is, NaN if it is NaN.

    >>> print(f"{crossing(lambda rate: rate * (rate - 0.3), 1e-3, 1e-10, 1e6):.4f}")
    0.2999
    """
    rate, change = start, rise(start)
    up = not change > 0
    low = high = (rate, change)
    while not math.isnan(change):
        low, high = ((rate, change), high) if not change > 0 else (low, (rate, change))
        if up == (change > 0):
            break
        if rate == (highest if up else lowest):
            return math.inf if up else 0.0
        rate = min(rate * STEP, highest) if up else max(rate / STEP, lowest)
        change = rise(rate)
    if math.isnan(change):
        return math.nan
    for _ in range(HALVINGS):
        rate = math.sqrt(low[0] * high[0])
        change = rise(rate)
        low, high = (low, (rate, change)) if change > 0 else ((rate, change), high)
    if math.isinf(high[1]):
        return math.sqrt(low[0] * high[0])
    return low[0] + (high[0] - low[0]) * -low[1] / (high[1] - low[1])
