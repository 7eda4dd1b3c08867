"""Laws of the loss: how far a schedule brings it, fitted to curves of a few runs, for plans that were not run.

In NumPy and float64: five or seven numbers are fitted to a few hundred, which is done before a program would be compiled.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lrax.fields._errors import argument_error, choice
from lrax.theory._bound import planned

PLACES = 64
"""A run is seen as so many stretches of its updates, or as its updates where there are fewer."""

WIDE = 0.03
"""Where a curve is off by more than this part of the loss, it pulls no harder: it may be a spike."""

BROAD = 1.5
"""What is expected of the logarithm of each number before the fit: a normal distribution so broad, around where fits begin."""

LARGE = 8.0
"""Logarithms of a law's numbers stay within this: beyond, a number has no effect, or stands for another."""

Array = np.ndarray[Any, Any]


class Stretches(NamedTuple):
    """A run seen in stretches: arrays of shape (stretches,); rates in the law's unit, areas and times in the longest run's
    length.

    Attributes:
      rates: the mean rate of each.
      falls: by how much it is below the one before; 0 up to the highest, for a warm-up is no annealing.
      area: the sum of the rates before each.
      time: the time before each.
      counts: the updates that were made before each, and at the end, int64 of shape (stretches + 1,).
    """

    rates: Array
    falls: Array
    area: Array
    time: Array
    counts: Array


class Moments(NamedTuple):
    """Moments of a run: the sum of the rates, the time, and the stretch that each is in; arrays of shape (moments,)."""

    area: Array
    time: Array
    stretch: Array


@dataclasses.dataclass(frozen=True, eq=False)
class LossLaw:
    """A law of the loss that was fitted by `lrax.theory.fit_law`.

    Attributes:
      kind: `"annealing"` or `"multi_power"`.
      parameters: the numbers of the law by their letters in the formulas of `fit_law`, for rates in parts of `unit` and sums of
        them in parts of `updates`.
      unit: the highest rate that it was fitted to.
      updates: the longest run that it was fitted to.
      error: how far its curves are from those that it was fitted to: the root of the mean square, as a part of the loss.
    """

    kind: Literal["annealing", "multi_power"]
    parameters: dict[str, float]
    unit: float
    updates: int
    error: float

    def curve(self, schedule: Any, total_steps: int | None = None) -> tuple[Array, Array]:
        """The losses that the law expects of a plan.

        Args:
          schedule, total_steps: as for `lrax.theory.bound`.

        Returns: counts of updates, int64, evenly spaced, the last that of the whole plan, and the loss after so many, float64;
          both of shape (places,), at most 64.
        """
        run = stretches(_rates("LossLaw.curve", schedule, total_steps), self.unit, self.updates)
        return run.counts[1:], LAWS[self.kind].value(np.array(list(self.parameters.values())), run, _ends(run))

    def end(self, schedule: Any, total_steps: int | None = None) -> float:
        """The loss that the law expects at the end of a plan, to compare plans that were not run.

        Args:
          schedule, total_steps: as for `lrax.theory.bound`.
        """
        return float(self.curve(schedule, total_steps)[1][-1])


class Law(NamedTuple):
    """A law: the letters of its numbers, its value, and where a fit begins (each combination is tried)."""

    letters: tuple[str, ...]
    value: Callable[[Array, Stretches, Moments], Array]
    starts: tuple[tuple[float, ...], ...]


def _annealing(numbers: Array, run: Stretches, moments: Moments) -> Array:
    floor, scale, power, gain, memory = numbers
    ago = np.maximum(moments.time[:, None] - run.time, 0)
    annealed = -memory * np.expm1(-ago / memory)  # what a fall has brought so far: the sum of what is left of it
    return _power(moments.area, floor, scale, power) - gain * (_past(run, moments) * annealed).sum(axis=1)


def _multi_power(numbers: Array, run: Stretches, moments: Moments) -> Array:
    floor, scale, power, gain, slow, decay, bend = numbers
    since = np.maximum(moments.area[:, None] - run.area, 0)
    moved = bend * since * np.maximum(run.rates, 1e-6) ** -decay
    return _power(moments.area, floor, scale, power) + gain * (_past(run, moments) * np.expm1(-slow * np.log1p(moved))).sum(
        axis=1
    )


def _power(area: Array, floor: float, scale: float, power: float) -> Array:
    return floor + scale * np.maximum(area, 1e-9) ** -power


def _past(run: Stretches, moments: Moments) -> Array:
    """The falls of the stretches up to each moment, (moments, stretches)."""
    return run.falls * (np.arange(len(run.falls)) <= moments.stretch[:, None])


LAWS: dict[str, Law] = {
    "annealing": Law(("L0", "A", "alpha", "C", "memory"), _annealing, ((0.5, 0.9), (0.3,), (0.5,), (0.3,), (0.03, 0.3))),
    "multi_power": Law(
        ("L0", "A", "alpha", "B", "beta", "gamma", "C"),
        _multi_power,
        ((0.5, 0.9), (0.3,), (0.5,), (0.3,), (0.5,), (0.5,), (3.0, 30.0)),
    ),
}
"""Losses in a start are in parts of the last loss of the first run."""


def fit_law(
    runs: Sequence[tuple[Any, Any]], kind: Literal["annealing", "multi_power"] = "multi_power", *, skip: float = 0.1
) -> LossLaw:
    r"""Fits a law of the loss to the curves of a few runs, to say where plans that were not run would end.

    `"annealing"`: $L = L_0 + A\, S_1^{-\alpha} - C\, S_2$ with $S_1$ the sum of the rates so far and $S_2 = \sum_i \sum_{k \le
    i} (\eta_{k-1} - \eta_k) \lambda^{i-k}$, what has been annealed; `memory` is $1 / (1 - \lambda)$. Five numbers.

    `"multi_power"`: $L = L_0 + A\, S_1^{-\alpha} - B \sum_k (\eta_{k-1} - \eta_k)\, G(\eta_k^{-\gamma} S_k)$ with
    $G(x) = 1 - (C x + 1)^{-\beta}$ and $S_k$ the sum of the rates since update $k$. Seven numbers.

    Both were found for language models that see each token once, each for one model, batch size and peak. Fit one run that does
    not fall and one that falls slowly, such as a cosine: a short cool-down does not tell how long a fall is remembered. Ask for
    plans of peaks near theirs and up to a few times as long. No law knows of divergence: one promises the best of rates that
    blow up.

    Args:
      runs: pairs of a schedule (or rates) and the losses of the run's updates, above 0, shape (updates,): noisy ones do.
      kind: which law.
      skip: the first part of each run that is left out: warm-up, and the first fall, which is no power.

    Returns: a `LossLaw`.

    Raises: TypeError or ValueError for runs that cannot be fitted.

    Source: Tissue, Wang & Wang 2024, Scaling law with learning rate annealing (arXiv 2408.11029); Luo et al. 2025, A
      multi-power law for loss curve prediction across learning rate schedules (arXiv 2503.12811). Fitted by the Huber loss of
      logarithms, as there, with Levenberg and Marquardt's method from several starts, on stretches of each run.

    >>> rates = [lrax.Constant(0.1), lrax.Linear(0.1, 0.0, 1000)]
    >>> losses = [1 + 2 * np.arange(1, 1001.0) ** -0.5, 1 + 2 * np.arange(1, 1001.0) ** -0.5 - np.linspace(0, 0.04, 1000)]
    >>> law = fit_law(list(zip(rates, losses)), "annealing")
    >>> print(f"{law.end(rates[0], 1000):.2f} {law.end(rates[1]):.2f}")
    1.06 1.02
    """
    law = LAWS[choice("fit_law", "kind", kind, tuple(LAWS))]
    if not isinstance(skip, int | float) or not 0 <= skip < 1:
        raise argument_error(ValueError, "fit_law", "skip", "a part of a run, from 0 up to 1", skip)
    given = _checked(runs)
    unit, updates = max(rates.max() for rates, _ in given), max(len(rates) for rates, _ in given)
    seen = [stretches(rates, unit, updates) for rates, _ in given]
    middles = [_middles(run) for run in seen]
    level = given[0][1][-len(given[0][1]) // 10 :].mean()
    means = [
        np.add.reduceat(losses, run.counts[:-1]) / np.diff(run.counts) for (_, losses), run in zip(given, seen, strict=True)
    ]
    used = [run.counts[1:] > skip * run.counts[-1] for run in seen]

    def residuals(logarithms: Array) -> Array:
        numbers = np.exp(logarithms)
        parts = []
        for run, moments, mean, use in zip(seen, middles, means, used, strict=True):
            value = np.maximum(law.value(numbers, run, moments), 1e-3)
            parts.append((np.log(value) - np.log(mean / level))[use] / np.sqrt(use.sum()))
        return np.concatenate(parts)

    starts = np.log(list(itertools.product(*law.starts)))
    stretches_used = sum(use.sum() for use in used)
    best, error = starts[0], 0.01
    for _ in range(2):  # the noise is known after the first, and with it what a number that the curves do not tell may cost
        row = error / np.sqrt(stretches_used / len(seen)) / BROAD
        best = _best_fit(functools.partial(_expecting, residuals, row, starts.mean(axis=0)), starts)
        error = float(np.sqrt((residuals(best) ** 2).sum() / len(seen)))
    numbers = np.exp(best)
    for i, letter in enumerate(law.letters):
        numbers[i] *= level if letter in ("L0", "A", "B") or (letter == "C" and kind == "annealing") else 1
    return LossLaw(kind, dict(zip(law.letters, numbers.tolist(), strict=True)), float(unit), int(updates), error)


def _expecting(residuals: Callable[[Array], Array], row: float, centre: Array, logarithms: Array) -> Array:
    """Residuals, and how far the numbers are from what was expected of them."""
    return np.append(residuals(logarithms), row * (logarithms - centre))


def _best_fit(residuals: Callable[[Array], Array], starts: Array) -> Array:
    fits = [levenberg_marquardt(residuals, start) for start in starts]
    return min(fits, key=lambda fit: huber(residuals(fit), WIDE / np.sqrt(len(residuals(fit)))))


def levenberg_marquardt(residuals: Callable[[Array], Array], start: Array, most: int = 80) -> Array:
    """The least Huber loss of some residuals, near a start: reweighted squares, steps damped until they help."""
    place, damping = start, 1e-2
    now = residuals(place)
    wide = WIDE / np.sqrt(len(now))
    for _ in range(most):
        weight = np.sqrt(np.minimum(1, wide / np.maximum(np.abs(now), 1e-300)))
        slopes = np.stack([(residuals(place + step) - now) / 1e-5 for step in 1e-5 * np.eye(len(place))], axis=1)
        slopes = weight[:, None] * slopes
        square, pull = slopes.T @ slopes, slopes.T @ (weight * now)
        before = huber(now, wide)
        for _ in range(8):
            step = np.linalg.solve(square + damping * np.diag(np.diag(square) + 1e-9), -pull)
            there = np.clip(place + np.clip(step, -1, 1), -LARGE, LARGE)
            then = residuals(there)
            if huber(then, wide) < before:
                damping = max(damping / 5, 1e-9)
                break
            damping = min(damping * 4, 1e9)
        else:
            return place
        done = before - huber(then, wide) < 1e-5 * before
        place, now = there, then
        if done:
            return place
    return place


def huber(residuals: Array, wide: float) -> float:
    """Half the squares of what is small, and what grows in proportion beyond."""
    size = np.abs(residuals)
    return float(np.where(size < wide, 0.5 * size**2, wide * (size - 0.5 * wide)).sum())


def stretches(rates: Array, unit: float, updates: int) -> Stretches:
    """A run's rates in stretches, at most `PLACES`."""
    number = min(PLACES, len(rates))
    counts = np.arange(number + 1) * len(rates) // number
    each = np.diff(counts)
    means = np.add.reduceat(rates, counts[:-1]) / each / unit
    falls = np.append(0, -np.diff(means)) * (np.arange(number) > int(np.argmax(means >= 0.999 * means.max())))
    area = np.cumsum(np.append(0, means * each)) / updates
    return Stretches(means, falls, area[:-1], counts[:-1] / updates, counts)


def _middles(run: Stretches) -> Moments:
    area, time = np.append(run.area, _ends(run).area[-1]), np.append(run.time, _ends(run).time[-1])
    return Moments((area[1:] + area[:-1]) / 2, (time[1:] + time[:-1]) / 2, np.arange(len(run.area)))


def _ends(run: Stretches) -> Moments:
    each = np.diff(run.counts)
    length = run.time[1] / each[0] if len(each) > 1 else 1 / each[0]  # of one update
    return Moments(run.area + run.rates * each * length, run.counts[1:] * length, np.arange(len(each)))


def _rates(caller: str, schedule: Any, total_steps: Any) -> Array:
    rates = np.asarray(planned(caller, "schedule", schedule, total_steps), np.float64)
    if not np.isfinite(rates).all() or (rates < 0).any() or not (rates > 0).any():
        raise argument_error(ValueError, caller, "schedule", "of finite rates, none below 0 and one above", schedule)
    return rates


def _checked(runs: Any) -> list[tuple[Array, Array]]:
    needs = "a list of pairs (schedule, losses)"
    if not isinstance(runs, Sequence) or not runs or any(not isinstance(run, Sequence) or len(run) != 2 for run in runs):
        raise argument_error(TypeError, "fit_law", "runs", needs, runs)
    found = []
    for i, (schedule, losses) in enumerate(runs):
        curve = np.asarray(losses, np.float64)
        if curve.ndim != 1 or len(curve) < 20 or not (np.isfinite(curve) & (curve > 0)).all():
            needs = "at least 20 losses, finite and above 0, shape (updates,)"
            raise argument_error(ValueError, "fit_law", f"runs[{i}][1]", needs, losses, "leave out runs that diverged")
        found.append((_rates("fit_law", schedule, len(curve)), curve))
    return found
