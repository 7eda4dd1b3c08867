"""What rates have to do with each other: bounds, ratios, and how far they hold. Pure functions of schedules and of curves."""

from lrax.theory._bound import best_scale, bound, lr_ratio, refined
from lrax.theory._laws import LossLaw, fit_law
from lrax.theory._lr_law import LRLaw, fit_lr_law
from lrax.theory._transfer import NoiseScale, decay_for, decoupled, noise_scale, over_batch, over_tokens, over_width, timescale

__all__ = [
    "LRLaw",
    "LossLaw",
    "NoiseScale",
    "best_scale",
    "bound",
    "decay_for",
    "decoupled",
    "fit_law",
    "fit_lr_law",
    "lr_ratio",
    "noise_scale",
    "over_batch",
    "over_tokens",
    "over_width",
    "refined",
    "timescale",
]
