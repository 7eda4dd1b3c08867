"""Why a range test ended."""

import enum


class Reason(enum.StrEnum):
    """Why a range test ended; the value reads as words. What to do depends on the curve: `FinderResult.explanation` says it.

    >>> print(Reason.NON_FINITE)
    non-finite
    """

    COMPLETED = "completed"
    DIVERGED = "diverged"
    NON_FINITE = "non-finite"
    DATA_ENDED = "data ended"
    FLAT = "flat"
    TOO_SHORT = "too short"
    INTERRUPTED = "interrupted"


RUNNING = -1
"""The code of a test that has not ended; a reason's code is its place in `Reason`."""

CODES = {reason: code for code, reason in enumerate(Reason)}
