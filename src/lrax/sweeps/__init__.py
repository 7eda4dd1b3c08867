"""Sweeps, races and searches of shapes: many schedules at once, on one device or many."""

from lrax.sweeps._batch import grid
from lrax.sweeps._proposals import Propose, Tried, grid_shapes, halving_shapes, random_shapes
from lrax.sweeps._race import race
from lrax.sweeps._race_result import RaceResult
from lrax.sweeps._result import SweepResult
from lrax.sweeps._run import run_sweep, sweep
from lrax.sweeps._score import end_loss
from lrax.sweeps._settings import Margin, Setting
from lrax.sweeps._shapes import search_shapes
from lrax.sweeps._shapes_result import Shapes

__all__ = [
    "Margin",
    "Propose",
    "RaceResult",
    "Setting",
    "Shapes",
    "SweepResult",
    "Tried",
    "end_loss",
    "grid",
    "grid_shapes",
    "halving_shapes",
    "race",
    "random_shapes",
    "run_sweep",
    "search_shapes",
    "sweep",
]
