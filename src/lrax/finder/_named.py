"""The rules by their names: what a rule is called in a legend, and what is said of a rule that is none."""

import difflib
from typing import Any

from lrax.fields._errors import argument_error, check_arity
from lrax.finder._fall import fall
from lrax.finder._suggest import edge, minimum, slide, steep, steepest, suggestion, valley

RULES = {rule.__name__: rule for rule in (fall, steepest, steep, suggestion, valley, slide, minimum, edge)}
"""The rules that lrax has."""


def check_rule(caller: str, rule: Any) -> None:
    """Raises TypeError if a rule cannot be called as `rule(rates, losses)`; a name of lrax's gets the function's address."""
    if callable(rule):
        check_arity(caller, "rule", rule, "rule(rates, losses)", 2)
        return
    remedy = "give lrax.finder.fall, say"
    if isinstance(rule, str):
        close = difflib.get_close_matches(rule.rpartition(".")[2], RULES, n=1)
        remedy = f"did you mean lrax.finder.{close[0]}, the function?" if close else f"lrax.finder has {', '.join(RULES)}"
    raise argument_error(TypeError, caller, "rule", "a function (rates, losses) -> rate", rule, remedy)
