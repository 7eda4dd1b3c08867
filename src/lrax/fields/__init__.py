"""Field types for custom schedules: `peak: lrax.fields.Rate`."""

from lrax.fields._rules import Boundaries, Delay, Fraction, LengthFactor, Offset, Positive, Rate, Rates, Steps, default

__all__ = ["Boundaries", "Delay", "Fraction", "LengthFactor", "Offset", "Positive", "Rate", "Rates", "Steps", "default"]
