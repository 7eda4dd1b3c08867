"""The learning-rate finder: the range test, its rules, suggestions and results."""

from lrax.finder._find import find_lr, range_test
from lrax.finder._result import Found
from lrax.finder._stop import NeverStop, RunningMean, TimesFirst
from lrax.finder._suggest import is_flat, smooth, steepest

__all__ = ["Found", "NeverStop", "RunningMean", "TimesFirst", "find_lr", "is_flat", "range_test", "smooth", "steepest"]
