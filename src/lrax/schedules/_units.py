"""Lengths in other units than updates, and rates for other batch sizes."""

import math
from fractions import Fraction
from typing import Any

from lrax.fields._rules import LARGEST, whole_number
from lrax.fields._words import complain, spelt
from lrax.schedules._clock import Clock


@spelt
def steps_for(
    *,
    fraction: float | None = None,
    epochs: float | None = None,
    examples: float | None = None,
    tokens: float | None = None,
    total_steps: int | None = None,
    dataset_size: int | None = None,
    batch_size: int | None = None,
    example_tokens: int | None = None,
    drop_last: bool = False,
    clock: Clock | None = None,
) -> int:
    """A length in updates from a fraction of a total, epochs, examples or tokens.

    Rounds up to a whole number of updates, so that nothing that was asked for is left out; numbers are taken as they are
    written (0.1 of 1000 is 100). An epoch is a whole number of updates: with `drop_last` its last partial batch is dropped,
    otherwise it is one more update. With gradient accumulation, `batch_size` is the number of examples an *update*. Takes
    numbers that are known: for a sweep over fractions, make an array of the lengths and hand it to the schedule.

    With a `clock`, whose batches may grow, it is the count at which so much was seen; epochs then follow each other without a
    gap. A share in a recipe (`wsd(0.1, 10_000, 0.01, 0.2)`) is rounded by the same rule.

    Args:
      fraction: of `total_steps`, from 0 to 1.
      epochs: passes through `dataset_size` examples in batches of `batch_size`.
      examples: in batches of `batch_size`.
      tokens: `example_tokens` an example, in batches of `batch_size`.
      total_steps: updates that `fraction` is of.
      dataset_size: examples in an epoch.
      batch_size: examples an update.
      example_tokens: tokens in an example.
      drop_last: whether an epoch ends with its last full batch.
      clock: a `lrax.Clock` instead of `batch_size`, for examples, epochs and tokens. If it counts examples, tokens need
        `example_tokens`; if it counts tokens, they do not.

    Returns: an int, to be used as any `steps`.

    Raises: ValueError if not exactly one amount is given, what it refers to is missing, or a number is out of range.

    >>> steps_for(fraction=0.1, total_steps=1000)
    100
    >>> steps_for(epochs=4, dataset_size=60_000, batch_size=64)
    3752
    >>> steps_for(tokens=1e9, example_tokens=2048, batch_size=512)
    954
    >>> steps_for(tokens=1e9, example_tokens=2048, clock=lrax.Clock([256, 512], boundaries=[1000]))
    1454
    """
    amounts = {"fraction": fraction, "epochs": epochs, "examples": examples, "tokens": tokens}
    given = [name for name, amount in amounts.items() if amount is not None]
    if len(given) != 1:
        raise complain(ValueError, "steps_for", "fraction, epochs, examples, tokens", "exactly one amount", given)
    if fraction is not None and not 0 <= fraction <= 1:
        raise complain(ValueError, "steps_for", "fraction", "from 0 to 1", fraction)
    if clock is not None:
        if fraction is not None or batch_size is not None or drop_last:
            unused = {"fraction": fraction, "batch_size": batch_size, "drop_last": drop_last or None}
            name = next(name for name, value in unused.items() if value is not None)
            raise complain(ValueError, "steps_for", name, "left out where a `clock` is given", unused[name])
        return _by_clock(clock, given[0], amounts[given[0]], dataset_size, example_tokens)

    def of(name: str, value: int | None) -> int:
        if value is None:
            raise complain(ValueError, "steps_for", name, f"given with `{given[0]}`", value)
        return whole_number("steps_for", name, value)

    if epochs is not None:
        size, batch = of("dataset_size", dataset_size), of("batch_size", batch_size)
        each = Fraction(size // batch if drop_last else -(-size // batch))
    elif fraction is not None:
        each = Fraction(of("total_steps", total_steps))
    else:
        size = of("batch_size", batch_size)
        each = Fraction(1, size if tokens is None else size * of("example_tokens", example_tokens))
    return rounded(given[0], amounts[given[0]], each)


def _by_clock(clock: Clock, name: str, amount: Any, dataset_size: Any, example_tokens: Any) -> int:
    """The count at which an amount was seen."""
    each = Fraction(1)
    if name == "epochs":
        each = Fraction(whole_number("steps_for", "dataset_size", dataset_size))
    elif name == "tokens" and example_tokens is not None:
        each = Fraction(1, whole_number("steps_for", "example_tokens", example_tokens))
    seen = rounded(name, amount, each, 2**62 - 1, "of them")
    count = int(clock.count_at(seen))
    if int(clock.seen(count)) < seen:
        raise complain(
            ValueError, "steps_for", name, f"from 0 to {LARGEST} updates", amount, "the clock's batches are too small"
        )
    return count


def rounded(name: str, amount: Any, each: Fraction, most: int = LARGEST, unit: str = "updates") -> int:
    """`amount` times `each`, rounded up; the amount is taken as the decimal number that it prints as."""
    if isinstance(amount, str):
        raise complain(TypeError, "steps_for", name, "a finite number", amount)
    try:
        steps = math.ceil(Fraction(str(amount)) * each)
    except ValueError as error:  # inf, nan, or no number
        raise complain(ValueError, "steps_for", name, "a finite number", amount) from error
    if not 0 <= steps <= most:
        raise complain(ValueError, "steps_for", name, f"from 0 to {most} {unit}", amount, f"it is {steps} {unit}")
    return steps


@spelt
def linear_scaling(rate: Any, batch_size: Any, base_batch_size: Any = 256) -> Any:
    """The linear rule for batch sizes: as many times the rate as there are times the examples.

    Args:
      rate: right for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples an update.
      base_batch_size: examples an update that `rate` was chosen for.

    Returns: `rate * batch_size / base_batch_size`; for a whole schedule, `Scale(schedule, linear_scaling(1.0, 1024))`.

    Source: Goyal et al. 2017, Accurate, large minibatch SGD.

    >>> linear_scaling(0.1, batch_size=1024)
    0.4
    """
    return rate * (batch_size / base_batch_size)


@spelt
def sqrt_scaling(rate: Any, batch_size: Any, base_batch_size: Any = 256) -> Any:
    """The square-root rule for batch sizes, the one for Adam and its kin.

    Args:
      rate: right for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples an update.
      base_batch_size: examples an update that `rate` was chosen for.

    Returns: `rate * (batch_size / base_batch_size) ** 0.5`.

    Source: Krizhevsky 2014, One weird trick; Malladi et al. 2022, On the SDEs and scaling rules for adaptive algorithms.

    >>> sqrt_scaling(0.1, batch_size=1024)
    0.2
    """
    return rate * (batch_size / base_batch_size) ** 0.5
