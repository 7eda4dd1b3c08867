"""Peers' rules, each with the peer's own ramp, smoothing, stop and margins, on the raw losses of a whole ramp.

Where a peer's rule is one of lrax's (those are tested against the peers' own code), lrax's is called. Two kindnesses: a slope
that is not finite is passed over, where some peers would choose it; an empty record is no suggestion, where some would raise.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import lrax

Array = np.ndarray[Any, Any]
steepest, valley, slide = lrax.finder.steepest, lrax.finder.valley, lrax.finder.slide
minimum, edge = lrax.finder.minimum, lrax.finder.edge


@dataclasses.dataclass(frozen=True)
class Peer:
    """A peer's rule with the ramp that the peer runs.

    Attributes:
      name: the peer, and the rule where it has several.
      rates: of every update, if nothing stops it.
      suggest: (rates, losses) -> (rate or NaN, updates made before the peer stops).
    """

    name: str
    rates: Array
    suggest: Callable[[Array, Array], tuple[float, int]]


def geometric(start: float, end: float, updates: int) -> Array:
    """Rates from `start` to `end`, both included, in equal ratios."""
    return start * (end / start) ** (np.arange(updates) / (updates - 1))


def averaged(losses: Array, past: float, first: bool = False, late: int = 0) -> Array:
    """Exponential average: begun at the first loss, or divided by 1 - past^(k + 1 + late)."""
    average, averages = (losses[0] if first else 0.0), np.empty(len(losses))
    for k, loss in enumerate(losses):
        average = past * average + (1 - past) * loss
        averages[k] = average if first else average / (1 - past ** (k + 1 + late))
    return averages


def recorded(losses: Array, times: float, skip: int = 0) -> int:
    """How many losses are on record when the first one exceeds `times` the best so far; that one is recorded too."""
    passes = losses > times * np.fmin.accumulate(losses)
    passes[:skip] = False
    return int(passes.argmax()) + 1 if passes.any() else len(losses)


def read(rule: Callable[..., Any], rates: Array, losses: Array) -> float:
    """What one of lrax's rules reads off a curve."""
    return float(rule(rates, losses))


def torch_lr_finder(rates: Array, losses: Array) -> tuple[float, int]:
    """torch-lr-finder: steepest slope of averages of 0.95, stop at 5 times the best, first 10 and last 5 dropped."""
    smooth = averaged(losses, 0.95, first=True)
    count = recorded(smooth, 5.0)
    return read(steepest, rates[10 : max(count - 5, 10)], smooth[10 : max(count - 5, 10)]), count


def fastai(rule: Callable[[Array, Array], float]) -> Callable[[Array, Array], tuple[float, int]]:
    """A rule of fastai: averages of 0.98, stop at 4 times the best; first tenth, last 5, and NaN dropped."""

    def suggest(rates: Array, losses: Array) -> tuple[float, int]:
        smooth = averaged(losses, 0.98)
        count, begin = recorded(smooth, 4.0), len(losses) // 10
        seen = smooth[begin : max(count - 5, begin)]
        seen = seen[: int(np.isnan(seen).argmax())] if np.isnan(seen).any() else seen
        return rule(rates[begin : begin + len(seen)], seen), count

    return suggest


def steep(rates: Array, losses: Array) -> float:
    """The lowest forward difference over log rate: fastai's steep."""
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return lowest(rates, slopes)


def lightning(rates: Array, losses: Array) -> tuple[float, int]:
    """Lightning: steepest slope over the rate itself, late-debiased averages of 0.98, stop at 4 times the best."""
    smooth = averaged(losses, 0.98, late=1)
    count = recorded(smooth, 4.0, skip=2)
    seen = slice(10, max(count - 1, 10))
    enough = count - 11 > 1
    return (lowest(rates[seen], np.gradient(smooth[seen], rates[seen])) if enough else math.nan), count


def neural_prophet(rates: Array, losses: Array) -> tuple[float, int]:
    """NeuralProphet: Lightning's averages under a Hamming window of a tenth of the ramp, steepest slope, no stop."""
    smooth = averaged(losses, 0.98, late=1)
    count = int(np.isfinite(smooth).cumprod().sum())
    if count < 12:
        return math.nan, len(losses)
    half = -(-len(losses) // 10) // 2
    window = np.hamming(2 * half + 1)
    filled = np.pad(np.where(np.arange(len(smooth)) < count, smooth, smooth[count - 1]), half, mode="edge")
    wide = np.convolve(filled, window / window.sum(), mode="valid")
    return read(steepest, rates[10 : count - 1], wide[10 : count - 1]), len(losses)


def tutorial(rates: Array, losses: Array) -> tuple[float, int]:
    """MXNet's tutorial: half the rate at the minimum of the running mean; stop at twice the first loss, or at NaN."""
    smooth = averaged(losses, 0.3, first=True)
    stops = (smooth > 2 * losses[0]) & (np.arange(len(losses)) >= 19) | ~np.isfinite(smooth)
    count = int(stops.argmax()) + 1 if stops.any() else len(losses)
    return read(edge, rates[:count], smooth[:count]), count


def lowest(rates: Array, slopes: Array) -> float:
    """The rate at the lowest finite slope; NaN if there is none."""
    finite = np.isfinite(slopes)
    return float(rates[np.where(finite, slopes, np.inf).argmin()]) if finite.any() else math.nan


def _lrax(rule: Callable[..., Any]) -> Callable[[Array, Array], tuple[float, int]]:
    return fastai(lambda rates, losses: read(rule, rates, losses))


_FASTAI = 1e-7 * (10 / 1e-7) ** (np.arange(100) / 100)  # i / N: it never reaches its end
_LIGHTNING = 1e-8 * 1e8 ** (np.r_[0, np.arange(2, 101)] / 100)  # the first step is skipped
PEERS = (
    Peer("torch-lr-finder steepest", geometric(1e-7, 100, 100), torch_lr_finder),
    Peer("fastai steep", _FASTAI, fastai(steep)),
    Peer("fastai slide", _FASTAI, _lrax(slide)),
    Peer("fastai valley", _FASTAI, _lrax(valley)),
    Peer("fastai minimum", _FASTAI, _lrax(minimum)),
    Peer("Lightning", _LIGHTNING, lightning),
    Peer("NeuralProphet", geometric(1e-6, 10, 242), neural_prophet),
    Peer("MXNet tutorial: minimum over two", 1e-6 * 1.1 ** np.arange(190), tutorial),
)
