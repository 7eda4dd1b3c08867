"""What may stand in a field: annotations that each carry a rule.

An annotation has two sides. What a type checker and an editor see is a `Converted`: a number or an array may be given, and
an array
is read. What a kind sees is the rule beside it, which turns the one into the other.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import jax
import numpy as np

from lrax.fields._rules import Ratio, RatioRule, Rule

Given = TypeVar("Given", contravariant=True)
Read = TypeVar("Read", covariant=True)


class Converted(Generic[Given, Read]):
    """What a type checker makes of a field: a descriptor that takes one type and gives another. None is ever made.

    A union of both types would not do: whatever NumPy array it holds makes the type of every product with it wrong.
    """

    def __get__(self, caller: Any, kind: Any = None, /) -> Read:
        raise NotImplementedError

    def __set__(self, caller: Any, value: Given, /) -> None:
        raise NotImplementedError


def default(value: Any) -> Any:
    """`value`, for a field that has one: `end: lrax.fields.Rate = lrax.fields.default(0.0)`.

    Type checkers would take a bare `0.0` for the field itself, which is more than a number. A field that must be given all the
    same, after one that need not be, has `default(...)`.
    """
    return value


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A field that may hold None.

    Attributes:
      rule: for whatever else it holds.
      zero: whether the number 0 means None; an array or a traced 0 does not.
    """

    rule: Any
    zero: bool = False

    def convert(self, caller: str, name: str, value: object) -> Any:
        nothing = value is None or (self.zero and isinstance(value, int | float) and value == 0 and value is not False)
        return None if nothing else self.rule.convert(caller, name, value)


PyTree: TypeAlias = Any
"""A pytree whose structure is not known to type checkers."""
Number: TypeAlias = float | np.number[Any] | np.ndarray[Any, Any] | jax.Array
Whole: TypeAlias = int | np.integer[Any] | np.ndarray[Any, Any] | jax.Array
Numbers: TypeAlias = Sequence[Number] | Sequence[Sequence[Number]] | np.ndarray[Any, Any] | jax.Array
Wholes: TypeAlias = Sequence[Whole] | Sequence[Sequence[Whole]] | np.ndarray[Any, Any] | jax.Array

EPOCHS = "; lrax.steps_for(epochs=...) counts the updates of epochs"
LARGER_UNITS = (
    "plan in larger units, lrax.Clock(batch_size, unit=...).to_steps(schedule), "
    "or leave the length out: lrax.Constant has no end"
)
RATE = Rule("a finite number")
RATES = Rule("a list of at least one finite number", rank=1)
POSITIVE = Rule("a finite number above 0", low=0, open=True)
FRACTION = Rule("a fraction between 0 and 1", low=0, high=1, open=True)
STEPS = Rule(
    "a whole number of updates, at least 1", np.int32, low=1, remedy="give an int such as 1000" + EPOCHS, beyond=LARGER_UNITS
)
DELAY = Rule(
    "a whole number of updates, at least 0", np.int32, low=0, remedy="give an int such as 100" + EPOCHS, beyond=LARGER_UNITS
)
TIMES = Rule("a whole number of times, at least 1", np.int32, low=1, remedy="give an int such as 3")
OFFSET = Rule("a whole number of updates", np.int32, remedy="give an int", beyond=LARGER_UNITS)
INTEGER = Rule("an integer", np.int32)
BOUNDARIES = Rule(
    "a list of whole counts that rise strictly, none below 0",
    np.int32,
    low=0,
    rank=1,
    increasing=True,
    remedy="give a list of ints such as [300, 600]",
    beyond=LARGER_UNITS,
)

Rate: TypeAlias = Annotated[Converted[Number, jax.Array], RATE]
"""A field that holds a rate, or any other finite number: a float32 leaf."""
Rates: TypeAlias = Annotated[Converted[Numbers, jax.Array], RATES]
"""A field that holds a list of rates: a 1-D float32 leaf."""
Positive: TypeAlias = Annotated[Converted[Number, jax.Array], POSITIVE]
"""A field that holds a number above 0 (from 1.2e-38 on), such as a factor or a power: a float32 leaf."""
Fraction: TypeAlias = Annotated[Converted[Number, jax.Array], FRACTION]
"""A field that holds a position inside a phase, 0 and 1 left out: a float32 leaf."""
Steps: TypeAlias = Annotated[Converted[Whole, jax.Array], STEPS]
"""A field that holds a length in updates, at least 1, an integer or a float that is whole: an int32 leaf."""
Delay: TypeAlias = Annotated[Converted[Whole, jax.Array], DELAY]
"""A field that holds a length in updates that may be 0: an int32 leaf."""
Times: TypeAlias = Annotated[Converted[Whole, jax.Array], TIMES]
"""A field that holds how often something happens, at least once: an int32 leaf."""
Offset: TypeAlias = Annotated[Converted[Whole, jax.Array], OFFSET]
"""A field that holds a number of updates of either sign: an int32 leaf."""
Boundaries: TypeAlias = Annotated[Converted[Wholes, jax.Array], BOUNDARIES]
"""A field that holds counts in rising order, or none: a 1-D int32 leaf."""
LengthFactor: TypeAlias = Annotated[Converted[Number | Ratio, Ratio], RatioRule()]
"""A field that holds a positive factor of lengths: two int32 leaves, numerator and denominator."""
TimeFactor: TypeAlias = Annotated[Converted[Number | Ratio, Ratio], RatioRule(of_time=True)]
"""A field that holds a number of updates above 0 that need not be whole: two int32 leaves, numerator and denominator."""

MaybeRate: TypeAlias = Annotated[Converted[Number | None, jax.Array | None], Maybe(RATE)]
MaybePositive: TypeAlias = Annotated[Converted[Number | None, jax.Array | None], Maybe(POSITIVE)]
MaybeSteps: TypeAlias = Annotated[Converted[Whole | None, jax.Array | None], Maybe(STEPS)]
Part: TypeAlias = Annotated[Converted[Whole | None, jax.Array | None], Maybe(DELAY, zero=True)]
"""A length of a part that may be left out: None, or the number 0, leaves it out."""
