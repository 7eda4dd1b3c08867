"""The promise in ulp: every kind against its float64 formula, at lengths to 2**31 - 1."""

import pytest

from accuracy_cases import LENGTHS, MEASURED, Measured
from accuracy_kinds import KINDS

SHORT = (1, 2, 3)
PHASES = {
    *("Linear", "Cosine", "Polynomial, power 0.5", "Polynomial, power 3", "Geometric", "Triangle", "OneMinusSqrt"),
    *("OneMinusSquare", "Rex", "Relaxation", "Tanh", "Tanh, one side", "Warp, k = 3", "Hyperbolic", "ExpHyperbolic"),
}
"""What may be of any length."""


@pytest.mark.parametrize(("name", "measured"), [*MEASURED.items(), *KINDS.items()], ids=[*MEASURED, *KINDS])
def test_within_its_bound(name: str, measured: Measured) -> None:
    """At both ends, around every boundary and at random, rates are within the stated number of ulp of the formula."""
    for steps in (*SHORT, *LENGTHS) if name in PHASES else LENGTHS:
        for schedule, error in measured.errors(steps):
            assert error <= measured.bound_of(schedule), f"{error:.1f} ulp at {steps} steps: {schedule}"
