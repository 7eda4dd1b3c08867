"""timm's warm-up, stable part and decay."""

from collections.abc import Callable
from typing import Annotated, Any

from lrax.compat._arguments import KnownDelay, KnownSteps, NotNegative, at_most, checked
from lrax.compat.timm._around import Around, NoiseRange
from lrax.fields._errors import argument_error, is_concrete
from lrax.fields._given import Offset, Positive, Rate
from lrax.fields._rules import Choice, Rule
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Maximum, Product, Sequence, Sum, Warp
from lrax.schedules._decays import Constant, InverseSqrt, Power
from lrax.schedules._phases import Cosine, Hold, Linear, OneMinusSqrt, Relaxation

Ratio = Annotated[Any, Rule("a number between 0 and 1, both excluded", low=0, high=1, open=True)]


@checked
def WSDLRScheduler(
    lr: Rate,
    t_initial: KnownSteps,
    decay_t: KnownSteps,
    lr_min: NotNegative = 0.0,
    stable_fn: Annotated[str, Choice(("constant", "rsqrt", "power"))] = "constant",
    stable_timescale: Positive | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Annotated[str, Choice(("linear", "1-sqrt", "cosine", "power", "exp"))] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Ratio = 0.1,
    warmup_t: KnownDelay = 0,
    warmup_lr_init: Rate = 0.0,
    noise_range_t: NoiseRange = None,
    noise_pct: Positive = 0.67,
    noise_std: Positive = 1.0,
    noise_seed: Offset = 42,
) -> Schedule:
    """Climbs to `lr`, stays there or falls slowly, and falls to `lr_min` at last, where it stays.

    Args:
      lr: the rate of the optimizer, at least `lr_min`.
      t_initial: length of the stable part and the decay together, without the warm-up.
      decay_t: length of the decay, at most `t_initial`.
      lr_min: the last rate.
      stable_fn: `"constant"`, `"rsqrt"` or `"power"`, the latter two of 1 + t / `stable_timescale`.
      stable_timescale: in updates; as long as the warm-up if None.
      stable_power: how fast `"power"` falls, > 0.
      decay_fn: `"linear"`, `"1-sqrt"`, `"cosine"`, `"power"` (1 less a power of what is done) or `"exp"`; for a function of
        your own multiply the stable part with a phase of your own.
      decay_power: exponent of `"power"`.
      decay_ratio: what an exponential of that ratio leaves, for `"exp"`.
      warmup_t, warmup_lr_init: see `CosineLRScheduler`; the warm-up always comes before.
      noise_range_t, noise_pct, noise_std, noise_seed: see `CosineLRScheduler`.

    Raises: ValueError if a number is out of range or a word unknown.

    >>> print(WSDLRScheduler(1.0, t_initial=6, decay_t=4, decay_fn="linear", warmup_t=2)(jnp.arange(9)))
    [0.   0.5  1.   1.   1.   0.75 0.5  0.25 0.  ]
    """
    caller = "WSDLRScheduler"
    at_most(caller, "decay_t", decay_t, t_initial, "`t_initial`")
    at_most(caller, "lr_min", lr_min, lr, "`lr`")
    stable_t = t_initial - decay_t

    def falls(start: Any, end: Any) -> Schedule:
        phases: dict[str, Callable[[], Schedule]] = {
            "linear": lambda: Linear(start, end, decay_t),
            "1-sqrt": lambda: OneMinusSqrt(start, end, decay_t),
            "cosine": lambda: Cosine(start, end, decay_t),
            "power": lambda: Warp(Linear(start, end, decay_t), decay_power),
            "exp": lambda: Relaxation(start, end, decay_t, decay_ratio),
        }
        return Sequence(*([Hold(start, stable_t)] if stable_t else []), phases[decay_fn]())

    around = Around(caller, lr, warmup_t, warmup_lr_init, True, noise_range_t, noise_pct, noise_std, noise_seed)
    if stable_fn == "constant":
        return around(falls(lr, lr_min))
    scale = stable_timescale if stable_timescale is not None else warmup_t * 1.0
    if is_concrete(scale) and scale == 0:
        raise argument_error(ValueError, caller, "stable_timescale", "given where there is no warm-up", stable_timescale)
    slow = InverseSqrt(lr, scale) if stable_fn == "rsqrt" else Power(lr, -stable_power, scale)
    if is_concrete(lr_min) and lr_min == 0:
        return around(Product(slow, falls(1.0, 0.0)))
    return around(Sum(Product(Maximum(slow, Constant(lr_min)), falls(1.0, 0.0)), falls(0.0, lr_min)))
