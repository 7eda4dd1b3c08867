"""Results of the finder, made by hand."""

import numpy as np

import lrax
from lrax.finder import Curve, FinderResult, Reason, Runs
from lrax.training._core import CODES


def curve(losses, reason=Reason.COMPLETED, low=1e-5, high=10.0, **parts):
    """A curve over learning rates that climb from `low` to `high`."""
    losses = np.asarray(losses, np.float32)
    rates = np.geomspace(low, high, len(losses)).astype(np.float32)
    evaluations = parts.pop("evaluations", np.zeros((0, 2), np.float32))
    return Curve(rates, losses, losses, evaluations, np.int32(CODES[reason]), **parts)


def drop(steps=100, bottom=0.4, noise=0.01):
    """A loss that drops from 2 to `bottom` in the middle."""
    places = np.linspace(-8, 8, steps)
    return bottom + (2 - bottom) / (1 + np.exp(places)) + noise * np.sin(40 * places)


def runs(losses, steps=50, peaks=(0.01, 0.03, 0.1, 0.3)):
    """Short runs that end at these losses."""
    losses = np.array(losses, np.float32)
    return Runs(np.array(peaks, np.float32), np.full(len(losses), steps, np.int32), losses, losses, steps * len(losses))


def found_at(peak, losses=None, reason=None, **parts):
    """A result at a peak."""
    ramp = curve(drop() if losses is None else losses, Reason.COMPLETED if reason is None else reason)
    if reason is None:
        reason = Reason.TOO_SHORT if len(ramp.losses) <= 5 else Reason.COMPLETED
    interval = None if peak is None else (peak / 4, peak * 5)
    whole = {"plan": lrax.warmup_cosine(1.0, total_steps=1000, warmup_steps=100), "total_steps": 1000, "budget": 300}
    return FinderResult(**{"peak": peak, "interval": interval, "reason": reason, "curves": (ramp,), **whole, **parts})
