"""What rates have to do with each other: bounds, ratios, and how far they hold. Pure functions of schedules and of curves."""

from lrax.theory._bound import best_scale, bound, lr_ratio
from lrax.theory._laws import LossLaw, fit_law
from lrax.theory._noise import NoiseScale, noise_scale
from lrax.theory._refined import refined
from lrax.theory._transfer import decay_for, decoupled, over_batch, over_tokens, timescale
from lrax.theory._width import over_width

__all__ = [
    "LossLaw",
    "NoiseScale",
    "best_scale",
    "bound",
    "decay_for",
    "decoupled",
    "fit_law",
    "lr_ratio",
    "noise_scale",
    "over_batch",
    "over_tokens",
    "over_width",
    "refined",
    "timescale",
]
