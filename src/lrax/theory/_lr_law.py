"""A power law of the best learning rate over tokens, width, batch size or other sizes, fitted to your own sweeps."""

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from lrax.fields._errors import Shown, argument_error, check_call, plural

Floats: TypeAlias = npt.NDArray[np.float64]

REACH = 10.0
"""A law may be used up to this factor outside the sizes that it was fitted to."""

OUTLIER = 0.15
"""Decades. A group whose best learning rate is further from the law counts linearly, not quadratically (Huber's loss)."""

FEWEST_SPREAD = 0.03
"""Decades. The least spread of best learning rates that is believed, where a few groups happen to fit almost exactly."""


class Optimum(NamedTuple):
    """The best learning rate at one combination of sizes.

    Attributes:
      sizes: the sizes, such as `{"tokens": 1e9, "width": 512}`.
      learning_rate: where a parabola through the mean losses over log learning rate is lowest.
      left_out: why the law does not use it, or an empty string.
    """

    sizes: dict[str, float]
    learning_rate: float
    left_out: str


class Predicted(NamedTuple):
    """A learning rate with a 90 % interval.

    Attributes:
      learning_rate: what the law says.
      low, high: the ends of the interval for the best learning rate of one more sweep at these sizes.
    """

    learning_rate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class LRLaw:
    """A power law `learning_rate = base * product(size / reference) ** exponent`, made by `lrax.theory.fit_lr_law`.

    Attributes:
      exponents: the exponent of each size.
      intervals: a 90 % interval of each exponent.
      base: the learning rate at the reference sizes.
      reference: the geometric mean of each size over the sweeps.
      ranges: the smallest and the largest of each size.
      optima: the best learning rate of each combination of sizes, with those that the fit left out.
      spread: the standard deviation of log10 of the best learning rates around the law, in decades.
    """

    exponents: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    base: float
    reference: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    optima: tuple[Optimum, ...]
    spread: float
    _covariance: Floats = dataclasses.field(repr=False)
    _quantile: float = dataclasses.field(repr=False)

    def predict(self, *, extrapolate: bool = False, **sizes: float) -> Predicted:
        """The best learning rate at other sizes.

        Args:
          extrapolate: whether sizes may lie more than a factor of ten outside those of the sweeps; a warning then says so.
          sizes: a number for each size of the law.

        Returns: the learning rate, and a 90 % interval that includes the spread of single sweeps.

        Raises: TypeError for other sizes than those of the law; ValueError for one that is not above 0, or that is more than a
          factor of ten outside the sweeps without `extrapolate=True`.
        """
        if set(sizes) != set(self.exponents):
            raise argument_error(TypeError, "LRLaw.predict", "sizes", f"one number each for {', '.join(self.exponents)}", sizes)
        row = [1.0]
        for name in self.exponents:
            size, (low, high) = _positive("LRLaw.predict", name, sizes[name]), self.ranges[name]
            if not low / REACH <= size <= high * REACH:
                needs = f"within a factor of {REACH:g} of the sweeps, {low:g} to {high:g}"
                if not extrapolate:
                    remedy = "sweep nearer to it, or give extrapolate=True"
                    raise argument_error(ValueError, "LRLaw.predict", name, needs, size, remedy)
                warnings.warn(f"LRLaw.predict: `{name}` is not {needs}, got {size:g}; the law may not hold there", stacklevel=2)
            row.append(math.log10(size / self.reference[name]))
        point = np.array(row)
        middle = math.log10(self.base) + float(point[1:] @ list(self.exponents.values()))
        width = self._quantile * math.sqrt(self.spread**2 + float(point @ self._covariance @ point))
        return Predicted(10**middle, 10 ** (middle - width), 10 ** (middle + width))

    def __str__(self) -> str:
        powers = " * ".join(f"({name} / {self.reference[name]:.3g})^{value:.2f}" for name, value in self.exponents.items())
        used = [one for one in self.optima if not one.left_out]
        lines = [
            f"learning rate = {self.base:.3g} * {powers}, from {plural(len(used), 'sweep')}, spread {self.spread:.2f} decades"
        ]
        lines += [f"  exponent of {name}: {low:.2f} to {high:.2f} (90 %)" for name, (low, high) in self.intervals.items()]
        lines += [f"  left out: {_words(one.sizes)}: {one.left_out}" for one in self.optima if one.left_out]
        return "\n".join(lines)


@check_call
def fit_lr_law(
    rows: Iterable[Mapping[str, object]],
    over: str | Sequence[str],
    *,
    learning_rate: str = "peak",
    loss: str = "score",
) -> LRLaw:
    """Fits a power law of the best learning rate to the rows of sweeps.

    At each combination of sizes, losses are averaged over seeds. A parabola through the lowest mean and its two neighbours on
    either side gives the best learning rate. A combination with fewer than three learning rates, or whose lowest mean is at the
    end of them, is left out. The law is linear in logarithms; it is fitted by least squares with Huber's loss (SciPy).

    Args:
      rows: a dict for each run, such as those of `SweepResult.rows()` with the sizes added: `{"tokens": 1e9, **row}`.
      over: the names of the sizes, such as `("tokens", "width")`; each value above 0.
      learning_rate: the name of the learning rate in a row, above 0.
      loss: the name of the loss in a row, lower is better; a NaN or infinite loss is a run that diverged.

    Returns: an `LRLaw`: its `predict` gives a learning rate and an interval at other sizes.

    Raises: KeyError for a name that a row does not have; ValueError for values that are not above 0, for too few combinations
      of sizes, or for sizes that always change together.

    Source: Bjorck, Benhaim, Chaudhary, Wei & Song 2025, Scaling optimal LR across token horizons, section 4, for one size.

    >>> rows = [
    ...     {"tokens": tokens, "peak": lr, "score": math.log10(lr / 0.01 * (tokens / 1e6) ** 0.3) ** 2}
    ...     for tokens in (1e6, 4e6, 1.6e7, 6.4e7) for lr in np.geomspace(1e-4, 1e-1, 13)
    ... ]
    >>> law = lrax.theory.fit_lr_law(rows, over="tokens")
    >>> print(f"{law.exponents['tokens']:.3f}, {law.predict(tokens=1e8).learning_rate:.5f}")
    -0.300, 0.00251
    """
    names = (over,) if isinstance(over, str) else tuple(over)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise argument_error(TypeError, "fit_lr_law", "over", "the names of one or more sizes", over)
    optima = _optima([dict(row) for row in rows], names, learning_rate, loss)
    used = [one for one in optima if not one.left_out]
    logs = np.log10([[one.sizes[name] for name in names] for one in used]).reshape(-1, len(names))
    design = np.column_stack([np.ones(len(used)), logs - logs.mean(axis=0)]) if used else np.zeros((0, len(names) + 1))
    if len(used) > len(names) and np.linalg.matrix_rank(design, tol=1e-6) < design.shape[1]:
        needs, remedy = "sizes that do not all change together", "sweep one size while another stays the same"
        raise argument_error(ValueError, "fit_lr_law", "over", needs, names, remedy)
    if len(used) < len(names) + 2:
        reasons = {one.left_out for one in optima if one.left_out}
        got = Shown(plural(len(used), "combination") + (f"; left out: {'; '.join(sorted(reasons))}" if reasons else ""))
        needs = f"sweeps at {len(names) + 2} or more combinations of sizes"
        raise argument_error(ValueError, "fit_lr_law", "rows", needs, got, "run sweeps at more sizes")
    from scipy import optimize, special  # which take longer to import than the rest of lrax

    target = np.log10([one.learning_rate for one in used])
    begin = np.linalg.lstsq(design, target, rcond=None)[0]
    fitted = optimize.least_squares(lambda x: design @ x - target, begin, loss="huber", f_scale=OUTLIER)
    freedom = len(used) - design.shape[1]
    spread = max(math.sqrt(2 * fitted.cost / freedom), FEWEST_SPREAD)
    covariance = spread**2 * np.linalg.inv(design.T @ design)
    quantile = float(special.stdtrit(freedom, 0.95))
    errors = quantile * np.sqrt(np.diag(covariance))[1:]
    exponents = {name: float(value) for name, value in zip(names, fitted.x[1:], strict=True)}
    return LRLaw(
        exponents=exponents,
        intervals={
            name: (value - error, value + error) for (name, value), error in zip(exponents.items(), errors, strict=True)
        },
        base=float(10 ** fitted.x[0]),
        reference={name: float(10**value) for name, value in zip(names, logs.mean(axis=0), strict=True)},
        ranges={
            name: (float(10 ** column.min()), float(10 ** column.max())) for name, column in zip(names, logs.T, strict=True)
        },
        optima=tuple(optima),
        spread=spread,
        _covariance=covariance,
        _quantile=quantile,
    )


def _optima(rows: Sequence[Mapping[str, object]], names: Sequence[str], learning_rate: str, loss: str) -> list[Optimum]:
    """The best learning rate of each combination of sizes."""
    groups: dict[tuple[float, ...], dict[float, list[float]]] = {}
    for number, row in enumerate(rows):
        for name in (*names, learning_rate, loss):
            if name not in row:
                raise KeyError(f"fit_lr_law: row {number} of `rows` has no {name!r}, it has {sorted(row)}")
        sizes = tuple(_positive("fit_lr_law", name, row[name]) for name in names)
        lr = _positive("fit_lr_law", learning_rate, row[learning_rate])
        groups.setdefault(sizes, {}).setdefault(lr, []).append(_number("fit_lr_law", loss, row[loss]))
    return [_optimum(dict(zip(names, sizes, strict=True)), losses) for sizes, losses in sorted(groups.items())]


def _optimum(sizes: dict[str, float], losses: Mapping[float, Sequence[float]]) -> Optimum:
    """Where a parabola over log learning rate is lowest, through the lowest mean loss and two neighbours on either side."""
    lrs = np.array(sorted(losses))
    means = np.array([np.mean(losses[lr]) for lr in lrs])
    means[~np.isfinite(means)] = np.inf
    best = int(np.argmin(means))
    left_out = ""
    if not np.isfinite(means[best]):
        return Optimum(sizes, math.nan, "every run diverged")
    if len(lrs) < 3:
        left_out = "fewer than three learning rates"
    elif best in (0, len(lrs) - 1):
        left_out = f"the lowest loss is at the {'lowest' if best == 0 else 'highest'} learning rate, {lrs[best]:.3g}"
    elif not np.isfinite(means[best + 1]):
        left_out = f"the next higher learning rate diverged: try some between {lrs[best]:.3g} and {lrs[best + 1]:.3g}"
    if left_out:
        return Optimum(sizes, float(lrs[best]), left_out)
    near = np.arange(max(best - 2, 0), min(best + 3, len(lrs)))
    near = near[np.isfinite(means[near])]
    x = np.log10(lrs[near] / lrs[best])
    curvature, slope, _ = np.polyfit(x, means[near], 2)
    low, high = np.log10(lrs[best - 1] / lrs[best]), np.log10(lrs[best + 1] / lrs[best])
    vertex = -slope / (2 * curvature) if curvature > 0 else 0.0
    return Optimum(sizes, float(lrs[best] * 10 ** np.clip(vertex, low, high)), "")


def _number(caller: str, name: str, value: object) -> float:
    """A value of a row as a float."""
    try:
        return float(value)  # type: ignore[arg-type]  # what float refuses is the error below
    except (TypeError, ValueError) as error:
        raise argument_error(TypeError, caller, name, "a number", value) from error


def _positive(caller: str, name: str, value: object) -> float:
    """A value of a row that must be above 0."""
    number = _number(caller, name, value)
    if not 0 < number < math.inf:
        raise argument_error(ValueError, caller, name, "a finite number above 0", value)
    return number


def _words(sizes: Mapping[str, float]) -> str:
    """Sizes as text: `tokens 1e+09, width 512`."""
    return ", ".join(f"{name} {size:g}" for name, size in sizes.items())
