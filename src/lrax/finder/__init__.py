"""The learning-rate finder: the peak for a plan, the range test, its rules and results."""

from lrax.finder._curve import Curve
from lrax.finder._find import find_lr
from lrax.finder._range_test import range_test
from lrax.finder._result import FinderResult, GroupRuns, Runs
from lrax.finder._rules import edge, loss_drop, minimum, slide, smooth, steep, steepest, suggestion, valley
from lrax.finder._stop import DebiasedMean, RunningMean, TimesBest, TimesFirst, TimesMedian
from lrax.training._core import Reason

__all__ = [
    "Curve",
    "DebiasedMean",
    "FinderResult",
    "GroupRuns",
    "Reason",
    "RunningMean",
    "Runs",
    "TimesBest",
    "TimesFirst",
    "TimesMedian",
    "edge",
    "find_lr",
    "loss_drop",
    "minimum",
    "range_test",
    "slide",
    "smooth",
    "steep",
    "steepest",
    "suggestion",
    "valley",
]
