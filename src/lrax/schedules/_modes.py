"""The words for shapes, as a field."""

from typing import Annotated, Literal, TypeAlias

from lrax.fields._rules import Choice
from lrax.schedules._shapes import SHAPES

ShapeName: TypeAlias = Literal[
    "linear", "cosine", "polynomial", "geometric", "one_minus_sqrt", "one_minus_square", "relaxation", "rex", "tanh"
]
"""The names in `SHAPES`, as type checkers want them."""

Mode: TypeAlias = Annotated[ShapeName, Choice(tuple(SHAPES))]
"""A static field that holds the name of a shape."""
