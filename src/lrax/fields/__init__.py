"""What may stand in a field of a kind of your own: `peak: lrax.fields.Rate`."""

from lrax.fields._types import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Rates, Steps, default

__all__ = ["Boundaries", "Delay", "Fraction", "LengthFactor", "Offset", "Positive", "Rate", "Rates", "Steps", "default"]
