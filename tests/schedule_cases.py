"""One example or more of every public schedule, by name."""

from typing import Any

import pytest

from combinator_cases import COMBINATORS
from decay_cases import DECAYS, plain
from phase_cases import PHASES, Roulette, SquareRoot
from recipe_cases import RECIPES
from schedule_case import LARGEST, Case, rates

__all__ = ["CASES", "LARGEST", "Case", "Roulette", "SquareRoot", "plain", "rates", "sampled"]

CASES: dict[str, Case] = {**PHASES, **DECAYS, **COMBINATORS, **RECIPES}


def sampled(cases: dict[str, Case], every: int = 8) -> Any:
    """A parametrization over cases by name for tests that take long: most are slow, a few are run every time."""
    params = [
        pytest.param(case, id=name, marks=pytest.mark.slow if i % every else ()) for i, (name, case) in enumerate(cases.items())
    ]
    return pytest.mark.parametrize("case", params)
