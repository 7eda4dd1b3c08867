"""Lanes in a race: each trains with its own schedule, from one start on the same batches, as far as one asks of it.

Only an iterator cannot be read twice: lanes that enter later see later batches.

Who enters, how far it goes and who goes on is for those who hold the race to say: `lrax.race` keeps the best of a list, the
finder's `refine` lets others enter beside the best.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrax.schedules._base import Schedule
from lrax.training._engine import Lane, Rules
from lrax.training._reason import CODES, Reason
from lrax.training._runner import Runner, begin


@dataclasses.dataclass
class Racing:
    """The lanes of a race, by their names, which are integers.

    Attributes:
      runner: what trains them.
      state: where every lane begins.
      order: what everyone's batches are drawn by; None for an iterator.
      most: updates of a lane, at most.
      lanes: those that have entered.
    """

    runner: Runner
    state: Any
    order: Any
    most: int
    lanes: dict[int, Lane] = dataclasses.field(default_factory=dict)

    def enter(self, name: int, schedule: Schedule) -> None:
        """A new lane, before its first update."""
        self.lanes[name] = begin(self.state, Rules(schedule), self.order)

    def train(self, names: Sequence[int], until: int) -> None:
        """Trains these lanes until so many updates in all; those that have diverged stay as they are."""
        trained = self.runner.advance([self.lanes[name] for name in names], until, self.most)
        self.lanes.update(zip(names, trained, strict=True))

    def forget(self, name: int) -> None:
        """Frees the state of a lane that will not be trained any more."""
        self.lanes[name] = self.lanes[name]._replace(state=None)

    def updates(self, name: int) -> int:
        """How many updates a lane has made."""
        return int(self.lanes[name].carry.updates)

    def losses(self, name: int) -> np.ndarray[Any, Any]:
        """The losses of a lane's updates, float32 of shape (most,); NaN where none was made."""
        losses = np.full(self.most, np.nan, np.float32)
        made = self.lanes[name].rows[:, 1]
        losses[: len(made)] = made
        return losses

    def score(self, name: int, tail: float, since: int = 0) -> float:
        """What lanes are ranked by, the lower the better: `end_metric` if they are evaluated, else `end_loss`."""
        evaluating, loss = self.runner.evaluating, self.end_loss(name, tail, since)
        if evaluating is None or math.isinf(loss):
            return loss
        return evaluating.score(self.end_metric(name, tail, since))

    def end_metric(self, name: int, tail: float, since: int = 0) -> float:
        """The mean metric of a lane over that part of its updates since a count, or the last one; NaN if there is none."""
        counts, metrics = self.lanes[name].evaluations.T
        made = self.updates(name)
        inside = metrics[(counts > made - max(math.ceil(tail * (made - since)), 1)) & (counts > since)]
        return float(np.mean(inside, dtype=np.float64)) if len(inside) else math.nan

    def end_loss(self, name: int, tail: float, since: int = 0) -> float:
        """The mean loss of a lane over that part of its updates since a count; infinite if it has diverged or made none."""
        made = self.losses(name)[since : self.updates(name)]
        if int(self.lanes[name].carry.reason) == CODES[Reason.NON_FINITE] or not len(made):
            return math.inf
        return float(np.mean(made[-part_of(len(made), tail) :], dtype=np.float64))


def part_of(number: int, part: float) -> int:
    """That part of a number, rounded up, at least 1; what rounding has added to the part does not count.

    >>> part_of(100, 0.07), part_of(10, float(np.float32(0.1))), part_of(3, 0.5)
    (7, 1, 2)
    """
    return max(1, math.ceil(number * part * (1 - 1e-6)))
