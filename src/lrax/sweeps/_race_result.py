"""What a race found."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from lrax.schedules._base import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Race:
    """The outcome of a race.

    Attributes:
      schedules: one a lane.
      losses: of every update of every lane, measured before its rate acted, float32 of shape (lanes, updates); NaN where a lane
        was not trained any more.
      end_losses: the end loss of each lane's last rung, float32 of shape (lanes,); infinite if it diverged: if a loss in that
        rung was not finite.
      rungs: how many rungs each lane was in, int of shape (lanes,).
      peaks: the highest rate of each lane's schedule, float32 of shape (lanes,).
      order: the lanes from best to worst: by rungs, then by end loss; those that diverged come last.
      updates: how many updates were made in all, over all lanes.
      state: the learner's state after the best lane's last update; None if every lane diverged.
      plan: how the lanes were run, in words.
      ended: whether the data ended before the last rung did.
    """

    schedules: tuple[Schedule, ...]
    losses: np.ndarray[Any, Any]
    end_losses: np.ndarray[Any, Any]
    rungs: np.ndarray[Any, Any]
    peaks: np.ndarray[Any, Any]
    order: np.ndarray[Any, Any]
    updates: int
    state: Any
    plan: str
    ended: bool = False

    @property
    def best(self) -> int | None:
        """The winner's lane, or None if every lane diverged."""
        return int(self.order[0]) if np.isfinite(self.end_losses[self.order[0]]) else None

    def __repr__(self) -> str:
        return f"<Race: {len(self.schedules)} lanes, {self.updates} updates, best lane {self.best}>"

    def __str__(self) -> str:
        from lrax.sweeps._table import race_table

        return race_table(self)

    def plot_curves(self, axes: "Axes | None" = None) -> "Axes":
        """Draws a running mean of the losses of every lane, the colour by its peak rate. Needs matplotlib.

        Raises: ImportError if matplotlib is not installed.
        """
        from lrax.sweeps._picture import plot_curves

        return plot_curves(self.losses, self.peaks, axes)
