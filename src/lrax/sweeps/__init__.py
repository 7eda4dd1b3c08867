"""Sweeps and races: many schedules at once, on one device or many."""

from lrax.sweeps._batch import grid
from lrax.sweeps._race import race
from lrax.sweeps._results import RaceResult, SweepResult
from lrax.sweeps._score import Margin, Setting, end_loss
from lrax.sweeps._sweep import run_sweep, sweep

__all__ = [
    "Margin",
    "RaceResult",
    "Setting",
    "SweepResult",
    "end_loss",
    "grid",
    "race",
    "run_sweep",
    "sweep",
]
