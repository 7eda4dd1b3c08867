"""The promise in ulp: every kind against its float64 formula, at lengths to 2**31 - 1."""

import pytest

from accuracy_cases import LENGTHS, MEASURED, Measured
from accuracy_kinds import KINDS


@pytest.mark.parametrize("measured", [*MEASURED.values(), *KINDS.values()], ids=[*MEASURED, *KINDS])
def test_within_its_bound(measured: Measured) -> None:
    """At both ends, around every boundary and at random, rates are within the stated number of ulp of the formula."""
    for steps in LENGTHS:
        for schedule, error in measured.errors(steps):
            assert error <= measured.bound_of(schedule), f"{error:.1f} ulp at {steps} steps: {schedule}"
