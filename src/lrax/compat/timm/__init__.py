"""timm's schedulers, number for number (timm 1.0.31), where they count updates: `t_in_epochs=False`.

In place of the optimizer each function takes its learning rate, `lr`. The rate at `count` is the one after
`step_update(count)`. For schedulers that count epochs, put the result in `lrax.Stretch(schedule, every=updates_per_epoch)`.
What is theirs, and kept:
without `warmup_prefix` the warm-up covers the beginning of the schedule (and climbs to a rate that it may jump down from); a
milestone of `MultiStepLRScheduler` comes one early; `TanhLRScheduler` stops short of both ends, but uses `lr` itself at count
0, before its first formula.

Noise is another random stream than timm's: normal numbers of the same standard deviation and the same bounds, which depend on
`noise_seed` and the count, drawn by `lrax.schedules.Noise`. There is none at count 0, where timm has not drawn yet.

`PlateauLRScheduler` is a transformation for the end of an `optax.chain`.
"""

from lrax.compat.timm._cycles import CosineLRScheduler, PolyLRScheduler, TanhLRScheduler
from lrax.compat.timm._steps import MultiStepLRScheduler, PlateauLRScheduler, StepLRScheduler
from lrax.compat.timm._wsd import WSDLRScheduler

__all__ = [
    "CosineLRScheduler",
    "MultiStepLRScheduler",
    "PlateauLRScheduler",
    "PolyLRScheduler",
    "StepLRScheduler",
    "TanhLRScheduler",
    "WSDLRScheduler",
]
