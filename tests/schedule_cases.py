"""One example or more of every public schedule, by name."""

from typing import Any

import pytest

from combinator_cases import COMBINATORS
from decay_cases import DECAYS, plain
from phase_cases import PHASES, Roulette, SquareRoot
from recipe_cases import RECIPES
from schedule_case import LARGEST, TRACED, Case, rates, rates_at

__all__ = [
    "CASES",
    "KINDS",
    "LARGEST",
    "TRACED",
    "Case",
    "Roulette",
    "SquareRoot",
    "each",
    "plain",
    "rates",
    "rates_at",
    "sampled",
]

CASES: dict[str, Case] = {**PHASES, **DECAYS, **COMBINATORS, **RECIPES}


KINDS = {name.split(":")[0]: case for name, case in reversed(CASES.items())}
"""One case of every kind and recipe, the first."""


def each(cases: dict[str, Case] = CASES) -> Any:
    """A parametrization over cases by name: the first of each kind is run every time, its variants are slow."""
    first = {name.split(":")[0]: name for name in reversed(cases)}.values()
    params = [pytest.param(case, id=name, marks=() if name in first else pytest.mark.slow) for name, case in cases.items()]
    return pytest.mark.parametrize("case", params)


def sampled(cases: dict[str, Case], every: int = 8) -> Any:
    """A parametrization over cases by name for tests that take long: most are slow, a few are run every time."""
    params = [
        pytest.param(case, id=name, marks=pytest.mark.slow if i % every else ()) for i, (name, case) in enumerate(cases.items())
    ]
    return pytest.mark.parametrize("case", params)
