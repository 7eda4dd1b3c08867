"""The learning-rate finder: the range test, its rules, suggestions and results."""

from lrax.finder._critical import Critical, critical_lr
from lrax.finder._curve import Curve
from lrax.finder._fall import fall
from lrax.finder._find import find_lr
from lrax.finder._range_test import Measured, range_test
from lrax.finder._result import FinderResult
from lrax.finder._runs import Runs
from lrax.finder._smooth import DebiasedMean, RunningMean, smooth
from lrax.finder._stop import NeverStop, TimesBest, TimesFirst
from lrax.finder._suggest import edge, minimum, slide, steep, steepest, suggestion, valley
from lrax.training._core import Reason

__all__ = [
    "Critical",
    "Curve",
    "DebiasedMean",
    "FinderResult",
    "Measured",
    "NeverStop",
    "Reason",
    "RunningMean",
    "Runs",
    "TimesBest",
    "TimesFirst",
    "critical_lr",
    "edge",
    "fall",
    "find_lr",
    "minimum",
    "range_test",
    "slide",
    "smooth",
    "steep",
    "steepest",
    "suggestion",
    "valley",
]
