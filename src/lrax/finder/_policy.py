"""The peak learning rate of a plan from a ramp and a few short runs, each a whole schedule of the plan's shape.

A run is described by how much of the possible fall of the loss it makes. That depends on how far its peak lies from the best
peak of its length, and the best peak moves with the length by a power. The best peak, the power, the growth of the fall with
the length and two widths are not known: a grid of hypotheses holds their probabilities. Every run is placed where the
hypotheses differ most about its outcome, and the answer is the peak of the lowest expected regret.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lrax.finder._rules import center, lowest_of

Array: TypeAlias = npt.NDArray[np.floating]
Train: TypeAlias = Callable[[Sequence[float], int], Sequence[float]]
"""`train(peaks, steps)` trains a whole schedule of the plan's shape at each peak, all from one state and on the same batches,
and returns the loss at the end of each: the mean of the last quarter, or of an evaluation; not finite where a run diverged."""

FEWEST = 33
"""The steps of the shortest runs where the budget allows more than one of this length."""

COVERED = 0.8
"""The probability of the interval."""

POWERS = {False: 0.0, True: 0.3, None: 0.15}
"""Best peaks fall with the length of a run to this power, by whether the optimizer is scale-invariant (None: not known).

The gradients of a run get smaller as it goes on, and with them the steps of SGD, but not those of Adam or Lion.
"""


@dataclasses.dataclass(frozen=True)
class Prior:
    """What is assumed before the first run; distances are in decades of the learning rate.

    Attributes:
      above: the best peak of a run of 100 steps over the middle of a ramp of 100 steps from 1e-7 to 100.
      pace: how much more that is for a ramp with ten times as many steps a decade.
      spread: the scale of the best peak of a run of 100 steps about that; its distribution is Student's.
      power_spread: the standard deviation of the power with which best peaks fall with the length of a run; see `POWERS`.
      drift: the standard deviation of the plan's best peak about what the power says.
      below, over: how far below and over the best peak a run makes 1/e of the fall.
      below_factors, over_factors: what these two are multiplied with, by hypothesis.
      edge: the same as `over` for runs that blew up, of which only the side is known.
      noise: the standard deviation of a run's fall about this description, as a fraction of the fall of the best run.
      tails: the degrees of freedom of both of Student's distributions.
      growth, growth_spread: the fall of the best run grows with its length to a power of this mean and standard deviation.
      most: how many times the largest fall that was seen the fall of the best run may be.
      aversion: the regret of a peak is the part of the fall that it misses, to this power.
    """

    above: float = 0.5
    pace: float = 0.4
    spread: float = 0.5
    power_spread: float = 0.35
    drift: float = 0.25
    below: float = 1.25
    over: float = 0.5
    below_factors: tuple[float, ...] = (0.7, 1.0, 1.4)
    over_factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    edge: float = 0.2
    noise: float = 0.1
    tails: float = 3.0
    growth: float = 0.3
    growth_spread: float = 0.15
    most: float = 3.0
    aversion: float = 2.0


PRIOR = Prior()
"""The constants that were chosen; `benchmarks/finder/README.md` says how."""


class ShortRun(NamedTuple):
    """A run: its peak learning rate, its steps, and the loss at its end."""

    peak: float
    steps: int
    loss: float


class Answer(NamedTuple):
    """What a search found.

    Attributes:
      peak: the peak learning rate for the plan.
      low, high: an interval that contains the best peak with a probability of 0.8.
      regret: the expected regret of the peak, in [0, 1].
      steps: the steps of the ramp and of all runs.
      runs: all runs in their order.
    """

    peak: float
    low: float
    high: float
    regret: float
    steps: int
    runs: tuple[ShortRun, ...]


def ramp_steps(budget: int) -> int:
    """The steps of the ramp: a third of a budget, at least 30 (or half of a small budget) and at most 100.

    >>> ramp_steps(40), ramp_steps(100), ramp_steps(150), ramp_steps(1000)
    (20, 33, 50, 100)
    """
    return min(max(budget // 3, min(30, budget // 2)), 100)


def run_lengths(steps: int, plan: int, fewest: int = FEWEST) -> list[int]:
    """The steps of each run, in their order: the last run takes half of what there is, the one before it half of the rest.

    No run is longer than a third of the plan, unless it is the only one; none is longer than the plan.

    >>> run_lengths(200, 4000), run_lengths(400, 4000), run_lengths(40, 300), run_lengths(400, 300)
    ([50, 50, 100], [50, 50, 100, 200], [40], [50, 50, 100, 100, 100])
    """
    lengths = []
    while steps >= 2 * fewest:
        lengths.append(min(steps // 2, max(plan // 3, fewest)))
        steps -= lengths[-1]
    return [min(one, plan) for one in reversed([*lengths, steps])] if steps > 0 else []


def find_peak(
    learning_rates: Array,
    losses: Array,
    budget: int,
    total_steps: int,
    train: Train,
    scale_invariant: bool | None = None,
    prior: Prior = PRIOR,
    known: Sequence[ShortRun] = (),
) -> Answer:
    """The peak learning rate for a plan.

    Args:
      learning_rates: of a ramp, up to where it stopped, float (n,), rising, > 0.
      losses: its losses, float (n,); not finite where it diverged.
      budget: the steps that ramp and runs may take together.
      total_steps: of the schedule that will be trained.
      train: trains short runs; see `Train`. It is called once for each run.
      scale_invariant: whether a step does not change with the scale of the gradients; None if this is not known.
      prior: the constants.
      known: runs that were made before, which the budget does not count.

    >>> def train(peaks, steps):  # the loss is lowest at 0.1
    ...     return [float(1 - 0.8 * np.exp(-4 * np.log10(peak / 0.1) ** 2)) for peak in peaks]
    >>> rates = np.geomspace(1e-7, 100, 100)
    >>> losses = 0.5 + 0.5 / (1 + (rates / 0.01) ** 2)
    >>> answer = find_peak(rates, losses, 500, 4000, train, scale_invariant=False)
    >>> print(f"{answer.peak:.2f} after {answer.steps} steps")
    0.05 after 500 steps
    """
    rates, losses = np.asarray(learning_rates, float), np.asarray(losses, float)
    beliefs = Beliefs.after_ramp(rates, losses, total_steps, scale_invariant, prior)
    for run in known:
        beliefs.learn(run)
    spent = len(rates)
    for steps in run_lengths(budget - spent, total_steps):
        peak = beliefs.next(steps)
        (loss,) = train([peak], steps)
        beliefs.learn(ShortRun(peak, steps, float(loss)))
        spent += steps
    return beliefs.answer(spent)


def student(deviations: Array, freedom: float) -> Array:
    """The logarithm of the density of Student's distribution, up to a constant."""
    return -(freedom + 1) / 2 * np.log1p(deviations**2 / freedom)


@dataclasses.dataclass
class Beliefs:
    """Hypotheses about the best peak, the power of the length, the growth and the two widths, and what is known of them.

    Attributes:
      plan: the steps of the plan.
      usual: the usual loss before training.
      lowest: the lowest loss of the ramp, a mean of five; the best run of 100 steps ends at least as low.
      prior: the constants.
      best: log10 of the best peak of a run of 100 steps, by hypothesis, float (hypotheses,).
      power: best peaks fall with the length to this power, float (hypotheses,).
      growth: the fall of the best run grows with the length to this power, float (hypotheses,).
      below, over: widths, float (hypotheses,).
      weights: log of the prior probability, up to a constant, float (hypotheses,).
      runs: all runs so far, in their order.
    """

    plan: int
    usual: float
    lowest: float
    prior: Prior
    best: Array
    power: Array
    growth: Array
    below: Array
    over: Array
    weights: Array
    runs: list[ShortRun] = dataclasses.field(default_factory=list)

    @classmethod
    def after_ramp(cls, rates: Array, losses: Array, plan: int, scale_invariant: bool | None, prior: Prior) -> "Beliefs":
        """What a ramp tells. One whose loss does not fall tells only where it stopped, for a wide prior below that."""
        middle, spread = float(center(rates, losses)), prior.spread
        if not math.isfinite(middle):
            middle, spread = float(rates[-1]) / 50, 2 * prior.spread
        pace = (len(rates) - 1) / max(math.log10(rates[-1] / rates[0]), 1e-9)
        middle = math.log10(middle) + prior.above + prior.pace * math.log10(pace / 11)
        first = losses[: max(5, min(len(losses) // 5, 20))]
        first = first[np.isfinite(first)]
        places = np.arange(-20, 21) / 5
        scores = np.array([-1.8, -0.9, 0.0, 0.9, 1.8])
        axes = (places, scores, np.array([-1.2, 0.0, 1.2]), np.log(prior.below_factors), np.log(prior.over_factors))
        away, score, grown, below, over = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        # Student's: small falls at low learning rates (plateaus) draw the middle of some ramps far too low.
        weights = student(away, prior.tails) - 0.5 * (score**2 + grown**2 + (below / 0.35) ** 2 + (over / 0.7) ** 2)
        power = POWERS[scale_invariant] + prior.power_spread * score
        growth = prior.growth + prior.growth_spread * grown
        widths = prior.below * np.exp(below), prior.over * np.exp(over)
        best, usual = middle + spread * away, float(np.median(first))
        return cls(plan, usual, lowest_of(losses), prior, best, power, growth, *widths, weights)

    def learn(self, run: ShortRun) -> None:
        """Takes a run into account; a loss that is not finite is infinite."""
        self.runs.append(run if math.isfinite(run.loss) else run._replace(loss=math.inf))

    def at(self, steps: int) -> Array:
        """log10 of the best peak of runs of this many steps, by hypothesis."""
        return self.best - self.power * math.log10(steps / 100)

    def kept(self, peaks: Any, steps: int) -> Array:
        """The part of the best run's fall that runs at these log10 peaks make, by hypothesis."""
        away = np.asarray(peaks)[..., None] - self.at(steps)
        return np.exp(-np.where(away < 0, (np.abs(away) / self.below) ** 1.5, (np.abs(away) / self.over) ** 2))

    def expected(self, run: ShortRun, top: float) -> Array:
        """The part of the best run's fall that a run should make, by hypothesis; runs that end above `top` blew up.

        A run that blew up was over the best peak, but how far is not known: on many tasks an edge comes right after it.
        """
        if run.loss <= top:
            return self.kept(math.log10(run.peak), run.steps)
        away = math.log10(run.peak) - self.at(run.steps)
        return np.exp(-((np.maximum(away, 0.0) / self.prior.edge) ** 2))

    def falls(self) -> Array:
        """How far the loss of the ramp and of every run fell: of its logarithm, unless a loss is not above 0."""
        losses = np.array([self.lowest, *(run.loss for run in self.runs)])
        finite = np.isfinite(losses)
        if self.usual > 0 and (losses[finite] > 0).all():
            falls = math.log(self.usual) - np.log(np.where(finite, np.maximum(losses, 1e-12 * self.usual), self.usual))
        else:
            falls = np.where(finite, self.usual - losses, 0.0)
        return np.maximum(falls, 0.0)

    def posterior(self) -> tuple[Array, Array]:
        """The probability of every hypothesis, and the fall of the best run of 100 steps under each."""
        prior, weights = self.prior, self.weights.copy()
        whole = np.ones_like(weights)
        if self.runs:
            lengths = np.array([run.steps for run in self.runs])[:, None] / 100
            ramp, *falls = self.falls()
            top = 2 * self.usual - min([self.lowest, self.usual, *(run.loss for run in self.runs)])
            seen = np.array(falls)[:, None] / lengths**self.growth
            kept = np.stack([self.expected(run, top) for run in self.runs])
            scale = np.maximum(seen.max(axis=0), max(ramp, 1e-9))
            fitted = (seen * kept).sum(axis=0) / np.maximum((kept**2).sum(axis=0), 1e-9)
            whole = np.clip(fitted, np.maximum(0.8 * scale, ramp), prior.most * scale)
            deviations = (seen - whole * kept) / (scale * prior.noise)
            # A run may fall less than it should for many reasons; that it falls much more has none.
            likely = np.where(deviations > 0, np.maximum(-0.5 * deviations**2, -30.0), student(deviations, prior.tails))
            weights += likely.sum(axis=0)
        probabilities = np.exp(weights - weights.max())
        return probabilities / probabilities.sum(), whole

    def next(self, steps: int) -> float:
        """The peak of the next run, of this many steps: where the hypotheses differ most about its fall.

        The first run is at the expected best peak.
        """
        probabilities, whole = self.posterior()
        best = self.at(steps)
        expected = probabilities @ best
        if not self.runs:
            return float(10**expected)
        spread = max(math.sqrt(probabilities @ (best - expected) ** 2), 0.15)
        peaks = expected + np.linspace(-1.6, 1.6, 13) * spread
        whole = whole * (steps / 100) ** self.growth
        falls = np.minimum(self.kept(peaks, steps) * whole / (probabilities @ whole), 1.4)
        variances = falls**2 @ probabilities - (falls @ probabilities) ** 2
        return float(10 ** peaks[int(np.argmax(variances))])

    def reach(self) -> float:
        """log10 of the highest peak of the plan that a run supports by the usual power: one that ended below the start."""
        power, ended = float(self.power.mean()), [run for run in self.runs if run.loss < self.usual]
        return max((math.log10(run.peak) - power * math.log10(self.plan / run.steps) for run in ended), default=math.inf)

    def answer(self, spent: int) -> Answer:
        """The peak of the lowest expected regret, and the interval.

        The peak is not above all runs that ended below the start: behind the last of them there may be an edge.
        """
        probabilities, _ = self.posterior()
        best = self.at(self.plan)
        # The drift, a normal distribution, is three points at -3**0.5, 0 and 3**0.5 standard deviations.
        shifts, parts = 3**0.5 * self.prior.drift * np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 1.0]) / 6
        answers = probabilities @ best + np.arange(-40, 41) / 25
        missed = [(1 - self.kept(answers - shift, self.plan)) ** self.prior.aversion @ probabilities for shift in shifts]
        expected = parts @ np.array(missed)
        places, chances = np.add.outer(shifts, best).ravel(), np.outer(parts, probabilities).ravel()
        order = np.argsort(places)
        summed = np.cumsum(chances[order]) - 0.5 * chances[order]
        low, high = np.interp([(1 - COVERED) / 2, (1 + COVERED) / 2], summed, places[order])
        peak = min(float(answers[int(np.argmin(expected))]), self.reach())
        low = np.minimum(low, peak)
        regret = float(np.interp(peak, answers, expected))
        return Answer(float(10**peak), float(10**low), float(10**high), regret, spent, tuple(self.runs))
