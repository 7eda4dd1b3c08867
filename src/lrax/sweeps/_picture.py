"""Scores over rates, drawn; and what the pictures of sweeps and races share. matplotlib is imported when something is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax._pictures import ANSWER, GONE, in_order, legend_below, log_if_wide, look_of, new_axes, set_plain_log
from lrax.schedules._display import kind_of
from lrax.sweeps._settings import Setting, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIMES = 20
"""The axis goes up by so many times the spread of the better half of the scores, not to where rates barely stayed finite."""

MANY = 4
"""More kinds than these have a legend below the axes, not in front of the lines."""


def plot_scores(
    settings: Sequence[Setting], peaks: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], axes: "Axes | None" = None
) -> "Axes":
    """Draws scores over peak rates; see `SweepResult.plot`."""
    axes = new_axes() if axes is None else axes
    diverged = np.isnan(scores)
    kinds: dict[str, list[Setting]] = {}
    for setting in sorted(settings, key=lambda setting: setting.peak):
        kinds.setdefault(kind_of(setting.schedule), []).append(setting)
    for place, (kind, members) in enumerate(kinds.items()):
        look = look_of(place)
        shown = [setting for setting in members if np.isfinite(setting.score)]
        label = "median over seeds" if len(kinds) == 1 else kind
        axes.plot([setting.peak for setting in shown], [setting.score for setting in shown], **look, label=label)
        lanes = [lane for setting in members for lane in setting.lanes if not diverged[lane]]
        label = "lane" if len(kinds) == 1 else "_"
        axes.plot(peaks[lanes], scores[lanes], "o", color=look["color"], markersize=4, alpha=0.5, label=label)
    if diverged.any():
        top = axes.get_xaxis_transform()  # at the top, whatever the scores are
        axes.plot(peaks[diverged], [0.97] * diverged.sum(), "x", color=GONE, transform=top, label="diverged")
    if best := next(iter(ranked(settings)), None):
        axes.axvline(best.peak, color=ANSWER, linestyle="--", label=f"best {best.peak:.3g}")
    if (peaks > 0).all():
        set_plain_log(axes.xaxis)
    _set_score_axis(axes, scores[np.isfinite(scores)])
    axes.set_xlabel("peak rate")
    axes.set_ylabel("score")
    axes.grid(alpha=0.3)
    if len(kinds) > MANY:
        legend_below(axes, fontsize="x-small")
    else:
        axes.legend(fontsize="small")
    return axes


def _set_score_axis(axes: "Axes", scores: np.ndarray[Any, Any]) -> None:
    """A logarithmic axis where scores span much; one that what is absurdly high does not stretch."""
    if not scores.size:
        return
    low, middle, highest = (float(one) for one in (scores.min(), np.median(scores), scores.max()))
    if low > 0:
        top = 10 * middle * (middle / low) ** 3
        if log_if_wide(axes, np.minimum(scores, top)):
            axes.set_ylim(top=min(top, 1.5 * highest))
            return
    top = low + TIMES * (middle - low)
    if middle > low and highest > top:
        axes.set_ylim(low - 0.05 * (top - low), top)


def rate_colours(peaks: np.ndarray[Any, Any], diverged: np.ndarray[Any, Any]) -> Any:
    """Colours of rates, from low to high. Rates that diverged, and may be absurd, do not stretch them."""
    peaks = peaks if diverged.all() else peaks[~diverged]
    return in_order(float(peaks.min()), float(peaks.max()))
