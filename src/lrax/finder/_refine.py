"""Checking a suggestion by training: a race of constant rates around it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from lrax.finder._result import Found, Refined
from lrax.schedules._decays import Constant
from lrax.training._racing import Racing
from lrax.training._runner import Runner

BUDGET = 450
"""The updates that all short runs may take together."""

SHORT, LONG, MOST = 56, 150, 5
"""Updates of a first run and of the longest, and how many first runs there are at most."""


def refined(found: Found, runner: Runner, state: Any, key: jax.Array | None) -> Found:
    """`found` with its suggestion replaced by the winner of a race of constant rates; as it is if it suggests nothing.

    Three lanes a quarter of a decade apart, around 1.6 times the suggestion, which is low on purpose; while the best is
    outermost, one more enters half a decade further out; then the best and its neighbours go on until the budget is spent. A
    lane is judged by the mean loss of its last quarter, and the rate is the bottom of the parabola through the three, over log
    rate.
    """
    if found.suggestion is None:
        return found
    racing = Racing(runner, state, runner.order(None if key is None else jax.random.fold_in(key, 2)), LONG)
    places = Places(racing, 1.6 * found.suggestion)
    places.train((-1, 0, 1), SHORT)
    while len(places.tried()) < MOST and (best := places.best()) in (places.tried()[0], places.tried()[-1]):
        places.train((best + (2 if best == places.tried()[-1] else -2),), SHORT)
    three = (places.best() - 1, places.best(), places.best() + 1)
    tried = places.tried()
    known = sum(place in tried for place in three)
    places.train(three, min((BUDGET - (len(tried) - known) * SHORT) // 3, LONG))
    scores = [places.score(place) for place in three]
    if not np.isfinite(scores).any():
        return found
    place = three[1] + vertex(*scores) if np.argmin(scores) == 1 else three[int(np.argmin(scores))]
    race = Refined(
        rates=np.array([places.rate(place) for place in places.tried()], np.float32),
        losses=np.array([places.score(place) for place in places.tried()], np.float32),
        spent=sum(map(racing.updates, places.tried())),
    )
    return dataclasses.replace(found, suggestion=float(places.rate(place)), refined=race)


@dataclasses.dataclass
class Places:
    """Rates by their place, quarters of a decade from the middle, and the lanes that train at them."""

    racing: Racing
    middle: float

    def rate(self, place: float) -> float:
        """The rate at a place."""
        return self.middle * 10 ** (place / 4)

    def train(self, places: Sequence[int], until: int) -> None:
        """Trains at these places until so many updates; what has not begun begins."""
        for place in places:
            if place not in self.racing.lanes:
                self.racing.enter(place, Constant(self.rate(place)))
        self.racing.train(places, until)

    def score(self, place: int) -> float:
        """The mean loss of the last quarter of a run; infinite if it blew up."""
        return self.racing.end_loss(place, 0.25)

    def tried(self) -> list[int]:
        """The places, rising."""
        return sorted(self.racing.lanes)

    def best(self) -> int:
        """The place of the lowest score."""
        return min(self.tried(), key=self.score)


def vertex(left: float, middle: float, right: float) -> float:
    """Where the parabola through three places has its bottom, from the middle one, the lowest; between -1/2 and 1/2.

    A run that blew up counts as twice as far above the middle as the other neighbour is.

    >>> vertex(2.0, 1.0, 2.0), vertex(3.0, 1.0, float("inf"))
    (0.0, -0.16666666666666666)
    """
    below, above = left - middle, right - middle
    below = below if np.isfinite(below) else 2 * above if np.isfinite(above) else 1.0
    above = above if np.isfinite(above) else 2 * below
    return 0.5 * (below - above) / (below + above) if below + above > 0 else 0.0
