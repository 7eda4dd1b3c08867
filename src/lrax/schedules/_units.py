"""Lengths in other units than updates, and rates for other batch sizes."""

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from lrax.fields._rules import LARGEST, whole_number
from lrax.fields._words import argument_error, check_call
from lrax.schedules._clock import Clock


@check_call
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
    accumulate: int = 1,
    flush: bool = False,
    clock: Clock | None = None,
) -> int:
    """A length in steps from a fraction of a total, epochs, examples or tokens.

    Rounds up to a whole number of steps, so that nothing that was asked for is left out; numbers are taken as they are
    written (0.1 of 1000 is 100). An epoch is a whole number of batches: with `drop_last` its last partial batch is dropped,
    otherwise it is one more batch. Takes concrete numbers: for a sweep over fractions, make an array of the lengths and give it
    to the schedule.

    With gradient accumulation, `accumulate` batches make a step, and the number of steps depends on the loop. In
    `optax.MultiSteps` the batches that are left over at the end of an epoch are carried into the next one, and those left over
    at the end of the run make no step: E epochs of n batches are `E * n // accumulate` steps. A loop such as the Trainer of
    transformers makes a step of what is left at the end of each epoch: `E * ceil(n / accumulate)` steps. That is
    `flush=True`.

    With a `clock`, whose batches may grow, it is the count at which so much was seen; epochs then follow each other without a
    gap. If the clock's batches are accumulated from smaller ones, give the size of these as `batch_size`, and epochs are
    counted as with `accumulate`. A fraction in a recipe (`wsd(0.1, 10_000, 0.01, 0.2)`) is rounded by the same rule.

    Args:
      fraction: of `total_steps`, from 0 to 1.
      epochs: passes through `dataset_size` examples in batches of `batch_size`.
      examples: in batches of `batch_size`.
      tokens: `example_tokens` an example, in batches of `batch_size`.
      total_steps: steps that `fraction` is of.
      dataset_size: examples in an epoch.
      batch_size: examples in a batch.
      example_tokens: tokens in an example.
      drop_last: whether an epoch ends with its last full batch.
      accumulate: batches a step, an integer of at least 1.
      flush: whether the batches that are left over at the end of an epoch make a step.
      clock: a `lrax.Clock` for examples, epochs and tokens. If it counts examples, tokens need `example_tokens`; if it counts
        tokens, they do not.

    Returns: an int, to be used as any `steps`.

    Raises: ValueError if not exactly one amount is given, what it refers to is missing, or a number is out of range.

    >>> steps_for(fraction=0.1, total_steps=1000)
    100
    >>> steps_for(epochs=4, dataset_size=60_000, batch_size=64)
    3752
    >>> for flush in (False, True):  # optax.MultiSteps(..., every_k_schedule=8), and a loop that flushes
    ...     print(steps_for(epochs=10, dataset_size=5_000, batch_size=32, accumulate=8, flush=flush))
    196
    200
    >>> steps_for(tokens=1e9, example_tokens=2048, batch_size=512)
    954
    >>> steps_for(tokens=1e9, example_tokens=2048, clock=lrax.Clock([256, 512], boundaries=[1000]))
    1454
    """
    amounts = {"fraction": fraction, "epochs": epochs, "examples": examples, "tokens": tokens}
    given = [name for name, amount in amounts.items() if amount is not None]
    if len(given) != 1:
        raise argument_error(ValueError, "steps_for", "fraction, epochs, examples, tokens", "exactly one amount", given)
    if fraction is not None and not 0 <= fraction <= 1:
        raise argument_error(ValueError, "steps_for", "fraction", "from 0 to 1", fraction)
    needed = functools.partial(_needed, given[0])
    times = needed("accumulate", accumulate)
    _check_unused(epochs is not None, fraction is not None, clock is not None, batch_size, drop_last, times, flush)
    if clock is not None and batch_size is None:
        return _by_clock(clock, given[0], amounts[given[0]], dataset_size, example_tokens)
    if epochs is not None:
        size, batch = needed("dataset_size", dataset_size), needed("batch_size", batch_size)
        batches = size // batch if drop_last else -(-size // batch)
        if clock is not None:
            return _accumulated(clock, batch, epochs, batches, flush)
        if flush:
            return rounded("epochs", epochs, Fraction(-(-batches // times)))
        return rounded("epochs", epochs, Fraction(batches), accumulate=times)
    if fraction is not None:
        return rounded("fraction", fraction, Fraction(needed("total_steps", total_steps)))
    size = needed("batch_size", batch_size) * times
    each = Fraction(1, size if tokens is None else size * needed("example_tokens", example_tokens))
    return rounded(given[0], amounts[given[0]], each)


def _needed(amount: str, name: str, value: Any) -> int:
    """A whole number that an amount needs; an int of any size."""
    if value is None:
        raise argument_error(ValueError, "steps_for", name, f"given with `{amount}`", value)
    return value if type(value) is int and value > 0 else whole_number("steps_for", name, value)


def _check_unused(
    epochs: bool, fraction: bool, clock: bool, batch_size: Any, drop_last: bool, accumulate: int, flush: bool
) -> None:
    """Raises ValueError for an argument that would have no meaning."""
    unused: dict[str, tuple[Any, str]] = {}
    if not epochs:
        unused |= {"flush": (flush, "where no `epochs` are counted")}
    if fraction:
        unused |= {"accumulate": (accumulate > 1, "where a `fraction` of steps is given")}
    if clock:
        unused |= {
            "fraction": (fraction, "where a `clock` is given"),
            "accumulate": (accumulate > 1, "where a `clock` is given; its batch sizes say how many batches make a step"),
        }
        if not epochs:
            unused |= {"batch_size": (batch_size is not None, "where a `clock` counts examples or tokens")}
        if batch_size is None:
            note = "where a `clock` is given without the `batch_size` of what is accumulated"
            unused |= {"drop_last": (drop_last, note), "flush": (flush, note)}
    for name, (given, where) in unused.items():
        if given:
            values = {"batch_size": batch_size, "accumulate": accumulate}
            raise argument_error(ValueError, "steps_for", name, f"left out {where}", values.get(name, True))


def _accumulated(clock: Clock, batch: int, epochs: Any, batches: int, flush: bool) -> int:
    """The steps of a number of epochs, where the clock says how many batches make a step."""
    sizes = np.asarray(clock.batch_sizes).tolist()
    if any(size % batch for size in sizes):
        remedy = "a step accumulates whole batches"
        raise argument_error(
            ValueError, "steps_for", "batch_size", f"a divisor of the clock's batch sizes {sizes}", batch, remedy
        )
    ends = [] if clock.boundaries is None else np.asarray(clock.boundaries).tolist()
    pieces = list(zip([size // batch for size in sizes], [*ends, math.inf], strict=True))
    if not flush:
        return within("epochs", epochs, _steps_in(pieces, 0, rounded("epochs", epochs, Fraction(batches), None), carry=True))
    left, steps = whole_number("steps_for", "epochs", epochs, low=0), 0
    while left and batches:
        if not ends or steps >= ends[-1]:  # all further epochs are alike
            steps += left * -(-batches // pieces[-1][0])
            break
        steps, left = _steps_in(pieces, steps, batches, carry=False), left - 1
    return within("epochs", epochs, steps)


def _steps_in(pieces: list[tuple[int, float]], steps: int, batches: int, carry: bool) -> int:
    """The steps after some more batches; batches that are left over make one more step, or are carried on."""
    for size, end in pieces:
        if steps < end and batches > 0:
            taken = int(min(batches // size if carry else -(-batches // size), end - steps))
            steps, batches = steps + taken, batches - taken * size
            if steps < end:
                break
    return steps


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
        raise argument_error(
            ValueError, "steps_for", name, f"from 0 to {LARGEST} updates", amount, "the clock's batches are too small"
        )
    return count


def rounded(
    name: str, amount: Any, each: Fraction, most: int | None = LARGEST, unit: str = "updates", accumulate: int = 1
) -> int:
    """`amount` times `each`, rounded up, and how often `accumulate` is in that; the amount is taken as it prints."""
    if isinstance(amount, str):
        raise argument_error(TypeError, "steps_for", name, "a finite number", amount)
    try:
        steps = math.ceil(Fraction(str(amount)) * each) // accumulate
    except ValueError as error:  # inf, nan, or no number
        raise argument_error(ValueError, "steps_for", name, "a finite number", amount) from error
    return within(name, amount, steps, most, unit)


def within(name: str, amount: Any, steps: int, most: int | None = LARGEST, unit: str = "updates") -> int:
    """A number of steps that is not below 0 nor above the most there can be."""
    if steps < 0 or (most is not None and steps > most):
        needs = "at least 0" if most is None else f"from 0 to {most} {unit}"
        raise argument_error(ValueError, "steps_for", name, needs, amount, f"it is {steps} {unit}")
    return steps


@check_call
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


@check_call
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
