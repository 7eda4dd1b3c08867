"""Counting steps in other units: examples, tokens, epochs."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lrax.fields._errors import argument_error, array_module, check_call, choice
from lrax.fields._rules import (
    BOUNDARIES,
    LARGEST,
    Converted,
    Float,
    Int,
    Ints,
    Maybe,
    MaybePositive,
    Number,
    Rule,
    Whole,
    Wholes,
    default,
    whole_number,
)
from lrax.fields._value import Value
from lrax.schedules._base import RateFunction, Schedule, ScheduleLike, Wrapper
from lrax.schedules._intmath import Seen, as_count, as_seen, divided, product, reached, total, whole_amount
from lrax.schedules._tables import passed, picked

MOST_PIECES = 32_767
"""The most batch sizes that are added exactly."""


@dataclasses.dataclass(frozen=True)
class SizesRule(Rule):
    """One batch size, or a list of them."""

    reads: str = "int | Sequence[int] | Array"

    def convert(self, caller: str, name: str, value: object) -> Any:
        try:
            alone = np.ndim(value) == 0  # type: ignore[arg-type]  # whatever it is
        except (ValueError, jax.errors.TracerArrayConversionError):  # a ragged list, or one that holds tracers
            alone = False
        return Rule.convert(
            self, caller, name, jnp.reshape(value, 1) if alone and isinstance(value, jax.Array) else [value] if alone else value
        )


SIZES = SizesRule("a batch size, or a list of them, whole numbers of at least 1", np.int32, low=1, rank=1)
UNIT = Rule("a whole number of examples or tokens, at least 1", np.int32, low=1)
BatchSizes: TypeAlias = Annotated[Converted[Whole | Wholes, Ints], SIZES]
MaybeBoundaries: TypeAlias = Annotated[Converted[Wholes | None, Ints | None], Maybe(BOUNDARIES)]
Unit: TypeAlias = Annotated[Converted[Whole | None, Int | None], Maybe(UNIT)]


@final
class Clock(Value):
    r"""The exact amount of data before each step of a run whose batch size may change, up to 2**62.

    $$seen(t) = \sum_{i < t} batch\_size(i)$$

    It counts examples if the batch sizes are in examples, and tokens if they are in tokens. With gradient accumulation, a batch
    size is the amount of one optimizer step. Its numbers are leaves, and nothing compiled grows with the number of sizes.

    Args:
      batch_sizes: examples or tokens in a step, one whole number, or a list; shape (n,).
      boundaries: increasing counts at which the next batch size begins, one fewer than `batch_sizes`; None for one size.
      unit: how many examples or tokens one count of a converted schedule means, a whole number; None is 1. If it divides the
        batch sizes, nothing is rounded; otherwise the schedule is evaluated at the last whole unit.

    Raises: ValueError if `boundaries` is not one shorter than `batch_sizes`, or a number is out of range.

    >>> clock = Clock(batch_sizes=[256, 512], boundaries=[1000])
    >>> clock.seen(1000), clock.seen(3000), clock.count_at(1_280_000)
    (256000, 1280000, Array(3000, dtype=int32))
    """

    batch_sizes: BatchSizes
    boundaries: MaybeBoundaries = default(None)
    unit: Unit = default(None)

    _shows_defaults = False

    def check(self) -> None:
        pieces = np.shape(self.batch_sizes)[-1]
        wanted = 1 if self.boundaries is None else np.shape(self.boundaries)[-1] + 1
        if pieces != wanted:
            needs = f"one longer than `boundaries` ({wanted - 1})"
            raise argument_error(
                ValueError, "Clock", "batch_sizes", needs, self.batch_sizes, "the first size begins at count 0"
            )
        if pieces > MOST_PIECES:
            raise argument_error(ValueError, "Clock", "batch_sizes", f"a list of at most {MOST_PIECES}", self.batch_sizes)

    @classmethod
    @check_call
    def from_amounts(cls, batch_sizes: Sequence[int], amounts: Sequence[float], unit: int | None = None) -> "Clock":
        """A clock whose batch sizes begin at given amounts, as in Megatron-LM and OLMo-core.

        Args:
          batch_sizes: examples or tokens in a step, concrete whole numbers.
          amounts: the amount after which each next batch size begins, rising, one fewer; it begins at the first step that
            starts with at least that.
          unit: as for the clock.

        Raises: ValueError if an amount is not above the one before. A size that one step goes past has no step.

        >>> Clock.from_amounts([768, 1536], [250e9 / 4096])  # "0:768 250B:1536", in sequences of 4096 tokens
        Clock(batch_sizes=[768, 1536], boundaries=[79473])
        """
        caller = "Clock.from_amounts"
        sizes = [whole_number(caller, f"batch_sizes[{i}]", size) for i, size in enumerate(batch_sizes)]
        if len(amounts) != len(sizes) - 1:
            raise argument_error(ValueError, caller, "amounts", f"one shorter than `batch_sizes` ({len(sizes)})", amounts)
        kept, boundaries, seen, before = sizes[:1], [0], 0, 0
        for i, (size, amount) in enumerate(zip(sizes[1:], amounts, strict=True)):
            whole = whole_amount(amount)
            if whole is None or whole <= before:
                raise argument_error(ValueError, caller, f"amounts[{i}]", f"a number above {before}", amount)
            before, more = whole, max(-(-(whole - seen) // kept[-1]), 0)
            if more:
                seen += more * kept[-1]
                boundaries.append(boundaries[-1] + more)
                kept.append(size)
            else:  # one step went past two amounts
                kept[-1] = size
        return cls(kept, boundaries[1:] or None, unit)

    def batch_size(self, count: jax.typing.ArrayLike) -> jax.Array:
        """The batch size of step `count` (int32), of the shape of `count`."""
        count = as_count("Clock.batch_size", count)
        return picked(self.batch_sizes, count * 0 if self.boundaries is None else passed(self.boundaries, count))

    def seen(self, count: jax.typing.ArrayLike) -> Seen:
        """The amount seen in the first `count` steps: two int32 words; `int(...)` makes one number."""
        return _seen(self.batch_sizes, self.boundaries, as_count("Clock.seen", count))

    def count_at(self, seen: Number | Seen) -> jax.Array:
        """The first count (int32) at which at least this amount was seen; 2**31 - 1 if none is.

        Args:
          seen: a concrete number (1e12 is taken as written), the result of `seen`, or a traced integer.
        """
        return _count_at(self.batch_sizes, self.boundaries, as_seen("Clock.count_at", "seen", seen))

    def units(self, amount: float) -> int:
        """An amount in units, rounded up: a length for a schedule that this clock reads.

        Raises: ValueError if that is more than 2**31 - 1.

        >>> Clock(2**22, unit=2**12).units(1e12)
        244140625
        """
        unit = 1 if self.unit is None else whole_number("Clock.units", "unit", self.unit)
        seen = int(as_seen("Clock.units", "amount", amount))
        if -(-seen // unit) > LARGEST:
            remedy = f"give the clock a larger unit, such as the number of tokens in an example; it is {unit}"
            raise argument_error(ValueError, "Clock.units", "amount", f"at most {LARGEST} units", amount, remedy)
        return -(-seen // unit)

    def time(self, count: jax.typing.ArrayLike) -> jax.Array:
        """The amount seen before step `count` in units, rounded down (int32): the count of a schedule that this clock reads."""
        seen = self.seen(count)
        if self.unit is None:
            return jnp.where(seen.high > 0, LARGEST, seen.low)
        return divided(seen, self.unit)

    @check_call
    def to_steps(
        self,
        schedule: RateFunction,
        scaling: float | Literal["none", "sqrt", "linear"] = "none",
        base_batch_size: Number | None = None,
    ) -> "Clocked":
        """A schedule planned in units of this clock, as a function of the step count: `lrax.schedules.Clocked`."""
        return Clocked(schedule, self, scaling, base_batch_size)


def _amounts(sizes: Ints, boundaries: Ints | None, count: jax.Array) -> Seen:
    """The sum of each batch size times its steps before `count`."""
    sizes = jnp.maximum(jnp.asarray(sizes), 0)
    changes = jnp.zeros(0, jnp.int32) if boundaries is None else jnp.asarray(boundaries)
    none, most = (jnp.full((*changes.shape[:-1], 1), number, jnp.int32) for number in (0, LARGEST))
    begins, ends = jnp.concatenate([none, changes], axis=-1), jnp.concatenate([changes, most], axis=-1)
    shape = jnp.broadcast_shapes((*count.shape, 1), begins.shape)
    counts, begins, ends = (jnp.broadcast_to(one, shape) for one in (jnp.expand_dims(count, -1), begins, ends))
    return total(sizes, jnp.clip(counts - begins, 0, jnp.maximum(ends - begins, 0)))


def concrete_amounts(sizes: Ints, boundaries: Ints | None, count: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """`_amounts` of concrete numbers, in NumPy's int64: at most 2**62, and nothing is compiled."""
    changes = np.zeros(0, np.int64) if boundaries is None else np.asarray(boundaries, np.int64)
    none, most = (np.full((*changes.shape[:-1], 1), number) for number in (0, LARGEST))
    begins, ends = np.concatenate([none, changes], axis=-1), np.concatenate([changes, most], axis=-1)
    steps = np.clip(np.asarray(count, np.int64)[..., None] - begins, 0, np.maximum(ends - begins, 0))
    return (np.maximum(np.asarray(sizes, np.int64), 0) * steps).sum(axis=-1)


def concrete_count_at(sizes: Ints, boundaries: Ints | None, seen: npt.NDArray[np.int64]) -> npt.NDArray[np.int32] | np.int32:
    """`_count_at` of concrete numbers."""
    low = np.zeros_like(concrete_amounts(sizes, boundaries, 0) + seen)
    high = low + LARGEST
    for _ in range(31):
        middle = low + (high - low) // 2
        there = concrete_amounts(sizes, boundaries, middle) >= seen
        low, high = np.where(there, low, middle + 1), np.where(there, middle, high)
    return high.astype(np.int32)[()]


_seen = jax.jit(_amounts)  # so that a call outside jit is one program


@jax.jit  # so that a call outside jit finds the compiled loop again
def _count_at(sizes: Ints, boundaries: Ints | None, seen: Seen) -> jax.Array:
    """By bisection: the amount seen only grows."""
    low = jnp.zeros(jnp.shape(seen.low), jnp.int32) + seen.low * 0

    def halve(_: jax.Array, between: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = between
        middle = low + (high - low) // 2
        there = reached(_amounts(sizes, boundaries, middle), seen)
        return jnp.where(there, low, middle + 1), jnp.where(there, middle, high)

    varying = _amounts(sizes, boundaries, low).low * 0  # varies over devices as everything in the loop does
    return jax.lax.fori_loop(0, 31, halve, (low + varying, low + varying + LARGEST))[1]


class ClockRule:
    """A clock."""

    reads = "Clock"

    def convert(self, caller: str, name: str, value: object) -> Clock:
        if not isinstance(value, Clock):
            raise argument_error(TypeError, caller, name, "a lrax.Clock", value, "lrax.Clock(256) is one for batches of 256")
        return value


POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


class ScalingRule(Rule):
    """An exponent, or the name of one."""

    reads = "float | str | Array"

    def convert(self, caller: str, name: str, value: object) -> Any:
        if isinstance(value, str):
            value = POWERS[choice(caller, name, value, tuple(POWERS))]
        return Rule.convert(self, caller, name, value)


SCALING = ScalingRule("an exponent, or 'none', 'sqrt' or 'linear'")
Scaling: TypeAlias = Annotated[Converted[Number | Literal["none", "sqrt", "linear"], Float], SCALING]


@final
class Clocked(Wrapper):
    r"""A schedule in examples or tokens, which a clock converts to a function of the step count.

    $$\eta(t) = schedule\!\left(\lfloor seen(t) / unit \rfloor\right) \cdot
    \left(\tfrac{batch\_size(t)}{base\_batch\_size}\right)^{scaling}$$

    If `unit` is the batch size of a plan in steps, the plan stays as it is, and larger batches go through it faster. A run
    whose batch size changes half-way keeps its past learning rates bit for bit.

    Args:
      schedule: a schedule or a callable whose counts are units of the clock.
      clock: a `Clock`; made by `clock.to_steps(schedule)`.
      scaling: the exponent of the batch-size rule, or its name: `"none"` (0), `"sqrt"` (0.5, for Adam and similar optimizers)
        or `"linear"` (1).
      base_batch_size: the batch size that the learning rates were chosen for; the clock's first if None.

    Raises: TypeError if `clock` is not a clock; ValueError if `scaling` is unknown or not finite, or a size not positive.

    >>> plan = lrax.Linear(start=1.0, end=0.0, steps=1000)  # for batches of 256
    >>> bigger = Clock([256, 1024], boundaries=[500], unit=256)  # four times as many from step 500 on
    >>> print(bigger.to_steps(plan, scaling="sqrt")(jnp.array([500, 600, 625])), bigger.to_steps(plan).length)
    [1.  0.2 0. ] 625
    """

    schedule: ScheduleLike
    clock: Annotated[Converted[Clock, Clock], ClockRule()]
    scaling: Scaling = default(0.0)
    base_batch_size: MaybePositive = default(None)

    def rate(self, count: jax.Array) -> jax.Array:
        base = jnp.asarray(self.clock.batch_sizes)[..., 0] if self.base_batch_size is None else self.base_batch_size
        sizes = jnp.maximum(self.clock.batch_size(count), 1).astype(jnp.float32)
        ratio = sizes / jnp.maximum(jnp.asarray(base).astype(jnp.float32), 2.0**-126)
        return self.schedule.rate(self.clock.time(count)) * jnp.power(ratio, self.scaling)

    @property
    def landmarks(self) -> list[int]:
        unit = 1 if self.clock.unit is None else int(self.clock.unit)
        marks = [int(self.clock.count_at(mark * unit)) for mark in self.schedule.landmarks]
        return marks + ([] if self.clock.boundaries is None else np.asarray(self.clock.boundaries).tolist())

    @property
    def length(self) -> Any:
        units = self.schedule.length
        if units is None:
            return None
        one, clock = np.int32(1) if self.clock.unit is None else self.clock.unit, self.clock
        if array_module(units, one, *jax.tree.leaves(clock)) is np:
            return concrete_count_at(clock.batch_sizes, clock.boundaries, np.asarray(units, np.int64) * np.asarray(one))
        return self.clock.count_at(product(*jnp.broadcast_arrays(units, one)))

    def resized(self, length: Int) -> Schedule | None:
        clock, unit = self.clock, np.int32(1) if self.clock.unit is None else self.clock.unit
        if array_module(length, *jax.tree.leaves(clock)) is np:
            time: Any = np.minimum(
                concrete_amounts(clock.batch_sizes, clock.boundaries, length) // np.asarray(unit), LARGEST
            ).astype(np.int32)
        else:
            time = clock.time(length)
        return self.around(self.schedule.resized(array_module(time).maximum(time, 1)))


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

    Rounds up to a whole number of steps; numbers are taken as they are written (0.1 of 1000 is 100). An epoch is a whole number
    of batches: with `drop_last` its last partial batch is dropped, otherwise it is one more batch. Takes concrete numbers.

    With gradient accumulation, `accumulate` batches make a step. `optax.MultiSteps` carries the batches that are left over at
    the end of an epoch into the next one: E epochs of n batches are `E * n // accumulate` steps. With `flush=True` they make a
    step, as in the Trainer of transformers: `E * ceil(n / accumulate)` steps.

    With a `clock`, it is the count at which this amount has been seen; epochs are then not rounded to whole batches. If
    the clock's batches are accumulated from smaller ones, give their size as `batch_size`, and epochs are counted as with
    `accumulate`.

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


def _needed(amount: str, name: str, value: object) -> int:
    """A whole number that an amount needs, of any size."""
    if value is None:
        raise argument_error(ValueError, "steps_for", name, f"given with `{amount}`", value)
    return value if type(value) is int and value > 0 else whole_number("steps_for", name, value)


def _check_unused(
    epochs: bool, fraction: bool, clock: bool, batch_size: int | None, drop_last: bool, accumulate: int, flush: bool
) -> None:
    """Raises ValueError for an argument without a meaning here."""
    unused: dict[str, tuple[object, str]] = {}
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


def _accumulated(clock: Clock, batch: int, epochs: float, batches: int, flush: bool) -> int:
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


def _by_clock(clock: Clock, name: str, amount: object, dataset_size: object, example_tokens: object) -> int:
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
            ValueError, "steps_for", name, f"from 0 to {LARGEST} steps", amount, "the clock's batches are too small"
        )
    return count


def rounded(
    name: str, amount: object, each: Fraction, most: int | None = LARGEST, unit: str = "steps", accumulate: int = 1
) -> int:
    """`amount` times `each`, rounded up, then divided by `accumulate`; the amount is taken as it prints."""
    if isinstance(amount, str):
        raise argument_error(TypeError, "steps_for", name, "a finite number", amount)
    try:
        steps = math.ceil(Fraction(str(amount)) * each) // accumulate
    except ValueError as error:  # inf, nan, or no number
        raise argument_error(ValueError, "steps_for", name, "a finite number", amount) from error
    return within(name, amount, steps, most, unit)


def within(name: str, amount: object, steps: int, most: int | None = LARGEST, unit: str = "steps") -> int:
    """A number of steps that is not below 0 nor above the most there can be."""
    if steps < 0 or (most is not None and steps > most):
        needs = "at least 0" if most is None else f"from 0 to {most} {unit}"
        raise argument_error(ValueError, "steps_for", name, needs, amount, f"it is {steps} {unit}")
    return steps


@check_call
def linear_scaling(rate: Number, batch_size: Number, base_batch_size: Number = 256) -> Any:
    """The linear rule for batch sizes: the learning rate grows in proportion.

    Args:
      rate: learning rate for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples in a step.
      base_batch_size: examples in a step that `rate` was chosen for.

    Returns: `rate * batch_size / base_batch_size`; for a whole schedule, `Scale(schedule, linear_scaling(1.0, 1024))`.

    Source: Goyal et al. 2017, Accurate, large minibatch SGD.

    >>> linear_scaling(0.1, batch_size=1024)
    0.4
    """
    return rate * (batch_size / base_batch_size)


@check_call
def sqrt_scaling(rate: Number, batch_size: Number, base_batch_size: Number = 256) -> Any:
    """The square-root rule for batch sizes, for Adam and its kin.

    Args:
      rate: learning rate for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples in a step.
      base_batch_size: examples in a step that `rate` was chosen for.

    Returns: `rate * (batch_size / base_batch_size) ** 0.5`.

    Source: Krizhevsky 2014, One weird trick; Malladi et al. 2022, On the SDEs and scaling rules for adaptive algorithms.

    >>> sqrt_scaling(0.1, batch_size=1024)
    0.2
    """
    return rate * (batch_size / base_batch_size) ** 0.5
