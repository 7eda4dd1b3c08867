"""Checking a suggestion by training: short runs side by side at rates around it, from the same start on the same batches."""

import dataclasses

import jax
import numpy as np

from lrax._engine import Rules, begin
from lrax._phases import Geometric
from lrax._reason import RUNNING
from lrax.finder._result import Found, Refined
from lrax.finder._run import Lane, Runner
from lrax.finder._stop import NeverStop

BUDGET = 450
"""The updates that all short runs may take together."""

SHORT, LONG, MOST = 56, 150, 5
"""Updates of a first run and of the longest, and how many first runs there are at most."""


def refined(found: Found, runner: Runner, rules: Rules) -> Found:
    """`found` with its suggestion replaced by the best rate of short runs; as it is if it suggests nothing.

    Three runs a quarter of a decade apart, around 1.6 times the suggestion, which is low on purpose; while the best is
    outermost, one more half a decade further out; then the best and its neighbours go on until the budget is spent. A run is
    judged by the mean loss of its last quarter, and the rate is the bottom of the parabola through the three, over log rate.
    """
    if found.suggestion is None:
        return found
    runs = Runs(runner, rules, 1.6 * found.suggestion)
    runs.go((-1, 0, 1), SHORT)
    while len(runs.lanes) < MOST and runs.best() in (min(runs.lanes), max(runs.lanes)):
        runs.go((runs.best() + (2 if runs.best() == max(runs.lanes) else -2),), SHORT)
    three = (runs.best() - 1, runs.best(), runs.best() + 1)
    known = sum(place in runs.lanes for place in three)
    runs.go(three, min((BUDGET - (len(runs.lanes) - known) * SHORT) // 3, LONG))
    scores = [runs.score(place) for place in three]
    if not np.isfinite(scores).any():
        return found
    place = three[1] + vertex(*scores) if np.argmin(scores) == 1 else three[int(np.argmin(scores))]
    places = sorted(runs.lanes)
    tried = Refined(
        rates=np.array([runs.rate(place) for place in places], np.float32),
        losses=np.array([runs.score(place) for place in places], np.float32),
        spent=sum(int(lane.carry.updates) for lane in runs.lanes.values()),
    )
    return dataclasses.replace(found, suggestion=float(runs.rate(place)), refined=tried)


@dataclasses.dataclass
class Runs:
    """Short runs at constant rates, by their place: quarters of a decade from the middle."""

    runner: Runner
    rules: Rules
    middle: float
    lanes: dict[int, Lane] = dataclasses.field(default_factory=dict)

    def rate(self, place: float) -> float:
        """The rate at a place."""
        return self.middle * 10 ** (place / 4)

    def go(self, places: tuple[int, ...], limit: int) -> None:
        """Trains the runs at these places up to `limit` updates; what has not begun begins."""
        lanes = [self.lanes.get(place) or self._fresh(place) for place in places]
        lanes = [lane._replace(rules=lane.rules._replace(limit=np.int32(limit))) for lane in lanes]
        self.lanes.update(zip(places, self.runner.advance(lanes), strict=True))

    def score(self, place: int) -> float:
        """The mean loss of the last quarter of a run; infinite if it blew up."""
        carry = self.lanes[place].carry
        updates = int(carry.updates)
        if int(carry.reason) != RUNNING or updates == 0:
            return np.inf
        return float(np.mean(np.asarray(carry.losses)[updates - updates // 4 : updates]))

    def best(self) -> int:
        """The place of the lowest score."""
        return min(self.lanes, key=self.score)

    def _fresh(self, place: int) -> Lane:
        rate = self.rate(place)
        rules = self.rules._replace(ramp=Geometric(rate, rate, LONG), stop=NeverStop())
        key = self.runner.keys[0]
        return Lane(self.runner.states[0], begin(LONG), rules, None if key is None else jax.random.fold_in(key, 2))


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
