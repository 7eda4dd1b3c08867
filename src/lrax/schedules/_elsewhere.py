"""Names of other libraries' schedulers, for the message where one is given as the name of a schedule class."""

NAMES = {
    "torch": "SWALR ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR "
    "LinearLR MultiStepLR OneCycleLR OneCycleMomentum PolynomialLR ReduceLROnPlateau SequentialLR StepLR",
    "timm": "CosineLRScheduler MultiStepLRScheduler PlateauLRScheduler PolyLRScheduler StepLRScheduler TanhLRScheduler "
    "WSDLRScheduler",
    "transformers": "get_constant_schedule get_constant_schedule_with_warmup get_cosine_schedule_with_warmup "
    "get_cosine_with_hard_restarts_schedule_with_warmup get_cosine_with_min_lr_schedule_with_warmup "
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate get_greedy_schedule get_inverse_sqrt_schedule "
    "get_linear_schedule_with_warmup get_polynomial_decay_schedule_with_warmup get_reduce_on_plateau_schedule get_scheduler "
    "get_wsd_schedule",
    "keras": "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay",
    "mxnet": "CosineScheduler FactorScheduler MultiFactorScheduler PolyScheduler",
    "djl": "CosineTracker CyclicalTracker FactorTracker FixedTracker LinearTracker MultiFactorTracker PolynomialDecayTracker "
    "WarmUpTracker",
    "optax": "constant_schedule cosine_decay_schedule cosine_onecycle_schedule exponential_decay join_schedules "
    "linear_onecycle_schedule linear_schedule piecewise_constant_schedule piecewise_interpolate_schedule polynomial_schedule "
    "sgdr_schedule warmup_constant_schedule warmup_cosine_decay_schedule warmup_exponential_decay_schedule",
}
"""The functions of `lrax.compat`, which this package cannot import: by library."""


def made_by(name: str) -> str:
    """What makes a schedule from another library, and how it gets into a file; "" for a name of no library.

    >>> made_by("OneCycleLR")
    'lrax.compat.torch.OneCycleLR(...) makes it, and lrax.to_json writes what that returns'
    """
    library = next((library for library, names in NAMES.items() if name in names.split()), "")
    return f"lrax.compat.{library}.{name}(...) makes it, and lrax.to_json writes what that returns" if library else ""
