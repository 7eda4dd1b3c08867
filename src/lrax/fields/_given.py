"""The annotations of `lrax.fields` for the arguments of functions that check them: what is given is what is read."""

from typing import Annotated, TypeAlias

from lrax.fields._types import BOUNDARIES, DELAY, OFFSET, POSITIVE, RATE, RATES, STEPS, Number, Numbers, Whole, Wholes

Rate: TypeAlias = Annotated[Number, RATE]
Rates: TypeAlias = Annotated[Numbers, RATES]
Positive: TypeAlias = Annotated[Number, POSITIVE]
Steps: TypeAlias = Annotated[Whole, STEPS]
Delay: TypeAlias = Annotated[Whole, DELAY]
Offset: TypeAlias = Annotated[Whole, OFFSET]
Boundaries: TypeAlias = Annotated[Wholes, BOUNDARIES]
