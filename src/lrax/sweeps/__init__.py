"""Sweeps and races: many schedules at once, on one device or many."""

from lrax.sweeps._batch import cross
from lrax.sweeps._race import race
from lrax.sweeps._race_result import Race
from lrax.sweeps._result import Sweep
from lrax.sweeps._run import run_sweep, sweep
from lrax.sweeps._score import end_loss
from lrax.sweeps._settings import Margin, Setting

__all__ = ["Margin", "Race", "Setting", "Sweep", "cross", "end_loss", "race", "run_sweep", "sweep"]
