"""PyTorch's `torch.optim.lr_scheduler`, number for number (PyTorch 2.13).

In place of the optimizer each function takes its learning rate, `lr`; `last_epoch` is left out (to begin later, use
`lrax.Shift`). The rate at `count` is the one of the update before which `scheduler.step()` was called `count` times. PyTorch
calculates most rates from the one before, in Python floats; here each is calculated from the count.

`MultiplicativeLR` is a product over all updates so far, no function of the count: give its closed form to `LambdaLR`.
`ReduceLROnPlateau` depends on the loss:
it is a transformation for the end of an `optax.chain`.
"""

from lrax.compat.torch._cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR
from lrax.compat.torch._factors import SWALR, ConstantLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from lrax.compat.torch._one_cycle import OneCycleLR, OneCycleMomentum
from lrax.compat.torch._plateau import ReduceLROnPlateau
from lrax.compat.torch._together import ChainedScheduler, SequentialLR

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "OneCycleMomentum",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
