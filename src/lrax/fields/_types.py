"""What may stand in a field: annotations that each carry a rule."""

from typing import Annotated, Any, TypeAlias

import numpy as np

from lrax.fields._ratio import RatioRule
from lrax.fields._rules import Rule

RATE = Rule("a finite number")
POSITIVE = Rule("a finite number above 0", low=0, open=True)
STEPS = Rule("a whole number of updates, at least 1", np.int32, low=1, remedy="give an int such as 1000")
DELAY = Rule("a whole number of updates, at least 0", np.int32, low=0, remedy="give an int such as 100")

Rate: TypeAlias = Annotated[Any, RATE]
"""A field that holds a rate, or any other finite number: a float32 leaf."""
Rates: TypeAlias = Annotated[Any, Rule("a list of at least one finite number", rank=1)]
"""A field that holds a list of rates: a 1-D float32 leaf."""
Positive: TypeAlias = Annotated[Any, POSITIVE]
"""A field that holds a number above 0 (from 1.2e-38 on), such as a factor or a power: a float32 leaf."""
Fraction: TypeAlias = Annotated[Any, Rule("a fraction between 0 and 1", low=0, high=1, open=True)]
"""A field that holds a position inside a phase, 0 and 1 left out: a float32 leaf."""
Steps: TypeAlias = Annotated[Any, STEPS]
"""A field that holds a length in updates, at least 1, an integer or a float that is whole: an int32 leaf."""
Delay: TypeAlias = Annotated[Any, DELAY]
"""A field that holds a length in updates that may be 0: an int32 leaf."""
Offset: TypeAlias = Annotated[Any, Rule("a whole number of updates", np.int32, remedy="give an int")]
"""A field that holds a number of updates of either sign: an int32 leaf."""
Boundaries: TypeAlias = Annotated[
    Any,
    Rule(
        "a list of at least one count, rising strictly, none below 0",
        np.int32,
        low=0,
        rank=1,
        increasing=True,
        remedy="sort it and drop repeats",
    ),
]
"""A field that holds counts in rising order: a 1-D int32 leaf."""
LengthFactor: TypeAlias = Annotated[Any, RatioRule()]
"""A field that holds a positive factor of lengths: two int32 leaves, numerator and denominator."""
