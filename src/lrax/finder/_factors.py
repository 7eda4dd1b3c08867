"""Multiples of one learning rate for several groups of parameters, from short runs on common batches: a pattern search.

A point is a vector with the binary logarithm of the multiple of each part: of the groups, and of the parameters outside them.
The scores of all points can be compared, because their runs begin at the same state and see the same batches.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, ...]
Train: TypeAlias = Callable[[Sequence[Point]], Sequence[float]]
"""Trains a short run at each point, side by side, and returns their scores: lower is better, infinite where one diverged."""

FIRST, LAST = 2.0, 0.5
"""The first step of the search, a multiple of 4, and the last one, a multiple of 1.4."""

LEAST = 0.5
"""A part whose multiple is nearer to 1 than this has the common learning rate."""

ALONG = 1.0
"""How far the points are at which all parts have the same multiple."""

SHARES = (0.35, 0.4)
"""The fractions of a budget for the common learning rate and for the multiples; the check has the rest."""

ORDERS = 3
"""The orders of batches that the check runs on."""

CLEAR = 2.0
"""A difference that is more than this many standard errors is significant."""


def evaluations_for(parts: int) -> int:
    """How many points a search looks at.

    >>> evaluations_for(2), evaluations_for(3)
    (9, 12)
    """
    return 3 * parts + 3


@dataclasses.dataclass
class Pattern:
    """A pattern search over points.

    Attributes:
      parts: the length of a point.
      scores: of the points that were tried, in their order.
      step: the distance of the neighbors that are tried.
      ahead: points to try first, since moves like them have helped.
    """

    parts: int
    scores: dict[Point, float] = dataclasses.field(default_factory=dict)
    step: float = FIRST
    ahead: list[Point] = dataclasses.field(default_factory=list)

    @property
    def best(self) -> Point:
        """The point of the lowest score; the common learning rate of the search if nothing is better."""
        return min(self.scores, key=lambda point: self.scores[point])

    def next(self, number: int) -> list[Point]:
        """The next points, at most `number`; none if the last step has led nowhere."""
        if not self.scores:
            along = [shift * np.ones(self.parts) for shift in (0.0, ALONG, -ALONG)]
            return [_point(one) for one in along]
        while self.step >= LAST:
            center = np.array(self.best)
            moves = self.step * np.concatenate([np.eye(self.parts), -np.eye(self.parts)])
            candidates = [*self.ahead, *(_point(center + move) for move in moves)]
            new = [point for point in dict.fromkeys(candidates) if point not in self.scores]
            if new:
                return new[:number]
            self.step /= 2
        return []

    def learn(self, points: Sequence[Point], scores: Sequence[float]) -> None:
        """Takes scores into account."""
        before = self.best if self.scores else None
        new = dict(zip(points, scores, strict=True))
        self.scores.update(new)
        self.ahead = []
        if before is None:
            return
        better = sorted((point for point in points if new[point] < self.scores[before]), key=lambda point: new[point])
        moves = [np.subtract(point, before) for point in better]
        if len(moves) > 1:
            self.ahead.append(_point(np.add(before, sum(moves))))
        if moves:
            self.ahead.append(_point(np.add(self.best, moves[0])))

    def refined(self) -> Point:
        """The best point, between its neighbors by parabolas."""
        best, found = np.array(self.best), list(self.best)
        for i in range(self.parts):
            for step in (0.5, 1.0, 2.0):
                below, above = (_point(best + shift * step * np.eye(self.parts)[i]) for shift in (-1, 1))
                if below in self.scores and above in self.scores:
                    found[i] += step * vertex(self.scores[below], self.scores[self.best], self.scores[above])
                    break
        return _point(np.array(found))

    def common(self) -> float:
        """The best multiple where all parts have the same, as its binary logarithm."""
        scores = [self.scores[_point(shift * np.ones(self.parts))] for shift in (-ALONG, 0.0, ALONG)]
        middle = int(np.argmin(scores))
        return ALONG * (vertex(*scores) if middle == 1 else middle - 1.0)


def vertex(low: float, middle: float, high: float) -> float:
    """Where a parabola through values at -1, 0 and 1 is lowest, at most 0.5 away, if the middle is the lowest of the three."""
    bend = low - 2 * middle + high
    return float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5)) if math.isfinite(bend) and bend > 0 else 0.0


def search(train: Train, parts: int, evaluations: int) -> Pattern:
    """A search that has spent its evaluations.

    >>> def train(points):  # two bowls
    ...     return [(one - 3) ** 2 + (other + 1) ** 2 for one, other in points]
    >>> found = search(train, parts=2, evaluations=20)
    >>> found.refined()
    (3.0, -1.0)
    """
    found = Pattern(parts)
    while len(found.scores) < evaluations:
        points = found.next(min(parts + 1, evaluations - len(found.scores)))
        if not points:
            break
        found.learn(points, train(points))
    return found


def _point(values: np.ndarray) -> Point:
    return tuple(float(value) for value in np.round(values, 6))
