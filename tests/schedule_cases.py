"""One example or more of every public schedule, by name."""

from combinator_cases import COMBINATORS
from decay_cases import DECAYS, plain
from phase_cases import PHASES, Noise, SquareRoot
from recipe_cases import RECIPES
from schedule_case import LARGEST, Case, rates

__all__ = ["CASES", "LARGEST", "Case", "Noise", "SquareRoot", "plain", "rates"]

CASES: dict[str, Case] = {**PHASES, **DECAYS, **COMBINATORS, **RECIPES}
