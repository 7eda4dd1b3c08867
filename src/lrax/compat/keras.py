"""Keras's `keras.optimizers.schedules`, number for number (Keras 3.15).

Their counts are lrax's. `lrax.keras` has learners of Keras models.
"""

from lrax.compat._shared import (
    Boundaries,
    ConcreteRate,
    Delay,
    NotNegative,
    Positive,
    Rate,
    Rates,
    Steps,
    checked,
    exponential,
    holds,
    step_decay,
)
from lrax.fields._errors import argument_error, array_module, as_array
from lrax.fields._rules import LARGEST_RATIO
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Cycle, Stretch, Sum, Warmup
from lrax.schedules._decays import Constant, InverseTime, PolynomialRestarts
from lrax.schedules._intmath import Rounding
from lrax.schedules._phases import Cosine, Polynomial
from lrax.schedules._tables import PiecewiseConstant as Table

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


@checked
def ExponentialDecay(
    initial_learning_rate: Rate, decay_steps: Steps, decay_rate: Positive, staircase: bool = False
) -> Schedule:
    """Multiplies the learning rate by `decay_rate`, above 0, over every `decay_steps` steps.

    With `staircase` it changes only at multiples of `decay_steps`.

    >>> print(ExponentialDecay(1.0, decay_steps=2, decay_rate=0.25)(jnp.arange(3)))
    [1.   0.5  0.25]
    """
    return (step_decay if staircase else exponential)(initial_learning_rate, decay_rate, decay_steps)


@checked
def PiecewiseConstantDecay(boundaries: Boundaries, values: Rates) -> Schedule:
    """Stays at one value up to each boundary; the next begins *after* it.

    Args:
      boundaries: counts, rising strictly, at least one.
      values: learning rates, one more than there are boundaries.

    >>> print(PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])(jnp.arange(6)))
    [1.  1.  1.  0.5 0.5 0.1]
    """
    counts = as_array(boundaries)
    return Table(values, array_module(counts).add(counts, 1))


@checked
def PolynomialDecay(
    initial_learning_rate: Rate,
    decay_steps: Steps,
    end_learning_rate: Rate = 1e-4,
    power: Positive = 1.0,
    cycle: bool = False,
) -> Schedule:
    """Goes to `end_learning_rate` in `decay_steps` steps, as a power of what is left, and stays there; mind the default.

    With `cycle` the horizon moves on by `decay_steps` whenever it is reached.

    >>> print(PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.0, power=2.0)(jnp.arange(6)))
    [1.     0.5625 0.25   0.0625 0.     0.    ]
    """
    return (PolynomialRestarts if cycle else Polynomial)(initial_learning_rate, end_learning_rate, decay_steps, power)


@checked
def InverseTimeDecay(
    initial_learning_rate: Rate, decay_steps: Steps, decay_rate: Positive, staircase: bool = False
) -> Schedule:
    """Divides the learning rate by one plus `decay_rate`, above 0, for every `decay_steps` steps.

    With `staircase` it changes only at multiples of `decay_steps`.

    >>> print(InverseTimeDecay(1.0, decay_steps=2, decay_rate=2.0)(jnp.array([0, 1, 3])))
    [1.   0.5  0.25]
    """
    if staircase:
        return Stretch(InverseTime(initial_learning_rate, 1 / decay_rate), decay_steps)
    return InverseTime(initial_learning_rate, decay_steps * 1.0 / decay_rate)


@checked
def CosineDecay(
    initial_learning_rate: Rate,
    decay_steps: Steps,
    alpha: NotNegative = 0.0,
    warmup_target: Rate | None = None,
    warmup_steps: Delay = 0,
) -> Schedule:
    """Falls to a fraction of the first learning rate along half a cosine, and stays there; climbs to a target first, if any.

    Args:
      initial_learning_rate: learning rate at count 0.
      decay_steps: in steps, warm-up *excluded*, an integer > 0.
      alpha: the last learning rate, as a fraction of the one that the cosine begins at.
      warmup_target: the end of a straight climb; None: there is no warm-up, whatever `warmup_steps` is.
      warmup_steps: in steps.

    >>> warmed = CosineDecay(0.0, decay_steps=2, alpha=0.1, warmup_target=1.0, warmup_steps=2)
    >>> print([f"{lr:.2f}" for lr in warmed(jnp.arange(5))])
    ['0.00', '0.50', '1.00', '0.55', '0.10']
    """
    top = initial_learning_rate if warmup_target is None else warmup_target
    falls = Cosine(top, alpha * top, decay_steps)
    return falls if warmup_target is None else Warmup(falls, warmup_steps, start=initial_learning_rate)


@checked
def CosineDecayRestarts(
    initial_learning_rate: Rate,
    first_decay_steps: Steps,
    t_mul: ConcreteRate = 2.0,
    m_mul: Positive = 1.0,
    alpha: NotNegative = 0.0,
) -> Schedule:
    """Falls to a fraction of the first learning rate along half a cosine, again and again.

    Args:
      initial_learning_rate: learning rate at count 0.
      first_decay_steps: steps of the first cycle, an integer > 0.
      t_mul: the length of each cycle over that of the one before, at least 1, as `length_factor` of `lrax.Cycle`. Where that
        makes lengths that are not whole, a cycle ends between two steps.
      m_mul: the start of each cycle over that of the one before, > 0.
      alpha: the end of each cycle, as a fraction of the first learning rate; `m_mul` does not change it.

    Raises: TypeError for a traced `t_mul`.

    >>> print([f"{lr:.2f}" for lr in CosineDecayRestarts(1.0, 2, m_mul=0.5)(jnp.array([0, 1, 2, 4, 6]))])
    ['1.00', '0.50', '0.50', '0.25', '0.25']
    """
    if t_mul < 1:
        raise argument_error(
            ValueError, "CosineDecayRestarts", "t_mul", "at least 1", t_mul, "what shrinks ends, and Keras then gives NaN"
        )
    if t_mul > LARGEST_RATIO:
        raise argument_error(ValueError, "CosineDecayRestarts", "t_mul", f"at most {LARGEST_RATIO}", t_mul, "use CosineDecay")
    first, low = initial_learning_rate, alpha * initial_learning_rate
    rounding: Rounding = "nearest" if t_mul == int(t_mul) else "none"
    if as_array(m_mul).ndim == 0 and holds(m_mul == 1):
        return Cycle(Cosine(first, low, first_decay_steps), t_mul, rounding=rounding)
    return Sum(Constant(low), Cycle(Cosine(first - low, 0.0, first_decay_steps), t_mul, m_mul, rounding))
