"""Why a range test ended, and what to do about it."""

import enum


class Reason(enum.StrEnum):
    """Why a range test ended; the value reads as words, `remedy` says what to do.

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

    @property
    def remedy(self) -> str:
        """One sentence: what it means and what to do."""
        return REMEDIES[self]


REMEDIES = {
    Reason.COMPLETED: "the ramp ran to its end; if the loss still falls there, let it climb higher",
    Reason.DIVERGED: "the smoothed loss rose past the stop rule's threshold, which is how a range test should end",
    Reason.NON_FINITE: "a loss was not finite; at the first update, look at the data and the initial parameters",
    Reason.DATA_ENDED: "the iterable ended and could not be begun again; give a list or a loader, not a generator",
    Reason.FLAT: "the loss never fell by more than its noise; let the ramp climb higher, or give larger batches",
    Reason.TOO_SHORT: "too few updates were made to suggest a rate; start the ramp lower or give it more steps",
    Reason.INTERRUPTED: "the test was interrupted; what it had measured is kept",
}

RUNNING = -1
"""The code of a test that has not ended; a reason's code is its place in `Reason`."""

CODES = {reason: code for code, reason in enumerate(Reason)}
