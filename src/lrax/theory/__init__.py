"""How learning rates depend on the schedule, the length, the batch size and the width: bounds, ratios and transfer rules."""

from lrax.theory._bound import best_scale, bound, lr_ratio, refined
from lrax.theory._lr_law import LRLaw, fit_lr_law
from lrax.theory._transfer import NoiseScale, decay_for, decoupled, noise_scale, over_batch, over_tokens, over_width, timescale

__all__ = [
    "LRLaw",
    "NoiseScale",
    "best_scale",
    "bound",
    "decay_for",
    "decoupled",
    "fit_lr_law",
    "lr_ratio",
    "noise_scale",
    "over_batch",
    "over_tokens",
    "over_width",
    "refined",
    "timescale",
]
