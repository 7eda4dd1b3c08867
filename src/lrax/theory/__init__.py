"""What rates have to do with each other: bounds, ratios, and how far they hold. Pure functions of schedules and of curves."""

from lrax.theory._bound import best_scale, bound, rate_ratio

__all__ = ["best_scale", "bound", "rate_ratio"]
