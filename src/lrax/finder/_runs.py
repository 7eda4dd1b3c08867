"""Short runs around a middle: whole schedules, warm-up and descent, squeezed into a few updates, and how they end.

What falls at the end of a run does not need a translation: the best peak of a schedule that goes down to 0 hardly depends on
how long it takes, while the best rate of one that stays does, because what its noise leaves behind has had no time to show.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrax.training._core import Reason, Run
from lrax.training._driver import Trainer
from lrax.training._evaluating import Evaluator

FEW = 4
"""How many runs there are: three, and a fourth beyond the best or between the best and the better of its neighbours."""

TAIL = 0.15
"""The part of a run's last losses whose mean is its score."""

FLAT = 0.05
"""Runs that end so close to one another, as a part of the highest, have not left the plateau that they began on."""

STEP = 0.25
"""Rates lie on a grid of so many decades around the middle."""


class Start(NamedTuple):
    """Where the tests of one seed begin: a state, and what its batches are drawn by, None for an iterator."""

    state: Any
    order: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """Rates one after the other, as a schedule: ramps and runs of all shapes are one program.

    Attributes:
      rates: of each update, float32 of shape (updates,); the last stays.
    """

    rates: np.ndarray[Any, Any]

    def __call__(self, count: Any) -> jax.Array:
        return jnp.asarray(self.rates)[jnp.minimum(count, self.rates.shape[0] - 1)]

    @staticmethod
    def of(rates: np.ndarray[Any, Any], room: int) -> "Rates":
        """Rates in an array of `room`."""
        return Rates(np.pad(np.asarray(rates, np.float32), (0, room - len(rates)), mode="edge"))


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """Short runs from one start on the same batches, each at another height of one schedule, and how they ended.

    Attributes:
      peaks: the highest rate of each, rising, float32 of shape (runs,).
      losses: the mean loss at the end of each, float32 of shape (runs,); infinite where a run diverged.
      updates: of a whole run.
      steps_run: the updates of all.
      best: the peak at which the end is lowest, between those that were tried; None if all diverged.
      scores: what they are ranked by, the lower the better, float32 of shape (runs,): the metric of `evaluate` after the last
        update, or minus the metric with `mode="max"`; infinite where a run diverged. None where their losses rank them.
    """

    peaks: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    updates: int
    steps_run: int
    best: float | None
    scores: np.ndarray[Any, Any] | None = None

    @property
    def ranked(self) -> np.ndarray[Any, Any]:
        """What ranks the runs, the lower the better."""
        return self.losses if self.scores is None else self.scores

    @property
    def at_end(self) -> bool:
        """Whether the best was the lowest or the highest that was tried."""
        return int(np.argmin(self.ranked)) in (0, len(self.ranked) - 1)

    @property
    def climbs(self) -> bool:
        """Whether the highest was the best."""
        return int(np.argmin(self.ranked)) == len(self.ranked) - 1

    @property
    def flat(self) -> bool:
        """Whether all ended about the same."""
        return are_flat(self.ranked)


def race(
    trainer: Trainer,
    starts: Sequence[Start],
    middles: Sequence[float],
    shape: np.ndarray[Any, Any],
    first: tuple[int, ...],
    rules: Sequence[Run],
    room: int,
) -> list[Runs] | None:
    """Short runs of each seed around its middle; None if the data ended in one of them.

    Some first, evenly apart; then one after the other: as far beyond the best if it is outermost, else half-way between the
    best and the better of its neighbours, or beyond that neighbour where nothing lies between. Where all ended about the same,
    as on a plateau, twice as far up, or half-way to the neighbour above.

    Args:
      first: the places of the first, in quarters of a decade above the middle.
      shape: the rates of a run as parts of its highest, float32 of shape (updates,).
      rules: the smoothing and the stop rule of the runs of each seed.
      room: what the program has room for; the updates of a run at most.

    If the trainer evaluates runs, the metric after a run's last update ranks it, and is asked for nowhere else.
    """
    trainer = trainer.evaluated_at_end()
    seeds = [Seed(start, middle, its, trainer.evaluator) for start, middle, its in zip(starts, middles, rules, strict=True)]
    for places in (first, *[None] * (FEW - len(first))):
        entries = [
            (seed, place, seed.begin(Rates.of(seed.peak(place) * shape, room)))
            for seed in seeds
            for place in ([seed.next(first[1] - first[0])] if places is None else places)
        ]
        for group in [entries] if trainer.reads_on else _by_place(entries, len(seeds)):
            trained = trainer.train([run for _, _, run in group], len(shape))
            for (seed, place, _), run in zip(group, trained, strict=True):
                seed.lanes[place] = run._replace(state=None)
        if any(run.why is Reason.DATA_ENDED for seed in seeds for run in seed.lanes.values()):
            return None
    return [seed.runs(len(shape)) for seed in seeds]


def _by_place(entries: list[Any], seeds: int) -> list[list[Any]]:
    """As many lanes at a time as there are seeds: the program of the ramps runs them too."""
    each = len(entries) // seeds
    return [entries[i::each] for i in range(each)]


@dataclasses.dataclass
class Seed:
    """The runs of one seed, by their place on the grid."""

    start: Start
    middle: float
    rules: Run
    judge: Evaluator | None = None
    lanes: dict[int, Run] = dataclasses.field(default_factory=dict)

    def peak(self, place: float) -> float:
        """The highest rate of the run at a place."""
        return self.middle * 10 ** (STEP * place)

    def begin(self, rates: Rates) -> Run:
        """A run before its first update."""
        return self.rules._replace(state=self.start.state, schedule=rates, order=self.start.order)

    def score(self, place: int) -> float:
        """What ranks a run, the lower the better: its metric, if it is evaluated, or its end loss; infinite if it diverged."""
        loss, evaluations = self.loss(place), self.lanes[place].evaluations
        if self.judge is None or math.isinf(loss):
            return loss
        return self.judge.score(float(evaluations[-1, 1])) if len(evaluations) else math.inf

    def loss(self, place: int) -> float:
        """The mean loss at the end of a run; infinite if it diverged."""
        run = self.lanes[place]
        return run.end_loss(TAIL) if run.why is None else math.inf

    def next(self, wide: int) -> int:
        """Where one more run tells most; on a plateau, higher."""
        tried = sorted(self.lanes)
        best = min(tried, key=self.score)
        flat = are_flat([score for score in map(self.score, tried) if math.isfinite(score)])
        if best == tried[0] or not math.isfinite(self.score(best)):
            return tried[0] - wide
        if best == tried[-1]:
            return best + wide * (2 if flat else 1)
        below, above = (tried[tried.index(best) + side] for side in (-1, 1))
        near, far = (above, below) if flat or self.score(above) < self.score(below) else (below, above)
        between = [place for place in ((best + near) // 2, (best + far) // 2) if place not in tried]
        return between[0] if between else near + (near - best)

    def runs(self, updates: int) -> Runs:
        """What the runs amount to."""
        places = sorted(self.lanes)
        scores = [self.score(place) for place in places]
        lowest = bottom(places, scores)
        return Runs(
            np.array([self.peak(place) for place in places], np.float32),
            np.array([self.loss(place) for place in places], np.float32),
            updates,
            sum(int(run.steps) for run in self.lanes.values()),
            None if lowest is None else self.peak(lowest),
            None if self.judge is None else np.array(scores, np.float32),
        )


def are_flat(scores: Sequence[float] | np.ndarray[Any, Any]) -> bool:
    """Whether there are scores, all finite, that lie within a twentieth of the highest of them."""
    return bool(len(scores) and np.isfinite(scores).all() and np.ptp(scores) <= FLAT * np.max(np.abs(scores)))


def bottom(places: Sequence[int], scores: Sequence[float]) -> float | None:
    """Where the parabola through the lowest score and its two neighbours has its bottom, half-way to either at most.

    Scores above 0 are read on a logarithmic scale. A neighbour that diverged counts as twice as far above the lowest as the
    other would be at its distance. Without two neighbours it is the place of the lowest; None if all diverged.

    >>> bottom([-2, 0, 2], [4.0, 1.0, 4.0]), bottom([0, 1, 2], [3.0, 2.0, 1.0]), bottom([0, 1], [float("inf")] * 2)
    (0.0, 2, None)
    """
    i = int(np.argmin(scores))
    if not math.isfinite(scores[i]):
        return None
    if not 0 < i < len(places) - 1:
        return places[i]
    left, right = places[i] - places[i - 1], places[i + 1] - places[i]
    three = np.array(scores[i - 1 : i + 2])
    below, _, above = np.log(three) - np.log(three[1]) if three[1] > 0 else three - three[1]
    if not math.isfinite(below) and not math.isfinite(above):
        return places[i]
    above = above if math.isfinite(above) else 2 * below * right / left
    below = below if math.isfinite(below) else 2 * above * left / right
    if left * above + right * below <= 0:
        return places[i]
    moved = 0.5 * (right**2 * below - left**2 * above) / (left * above + right * below)
    return float(places[i] + moved)  # at most half-way, for both rises are at least 0
