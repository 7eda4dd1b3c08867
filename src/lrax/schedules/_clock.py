"""A clock: how much a run has seen at an update whose batches grow, and schedules that are read by it."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._rules import LARGEST, Rule, whole_number
from lrax.fields._types import BOUNDARIES, Converted, Maybe, MaybePositive, Number, Whole, Wholes, default
from lrax.fields._value import Value
from lrax.fields._words import argument_error, check_call, choice
from lrax.schedules._base import Schedule, ScheduleLike
from lrax.schedules._counting import as_count
from lrax.schedules._seen import Seen, as_seen, divided, product, reached, total, whole_amount
from lrax.schedules._tables import passed, picked

MOST_PIECES = 32_767
"""Up to so many batch sizes are added exactly."""


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
BatchSizes: TypeAlias = Annotated[Converted[Whole | Wholes, jax.Array], SIZES]
MaybeBoundaries: TypeAlias = Annotated[Converted[Wholes | None, Any], Maybe(BOUNDARIES)]
Unit: TypeAlias = Annotated[Converted[Whole | None, Any], Maybe(UNIT)]


@final
class Clock(Value):
    r"""How much was seen at each update of a run whose batches may change: exactly, up to 2**62.

    $$seen(t) = \sum_{i < t} batch\_size(i)$$

    What it counts is up to you: a batch size in examples makes it count examples, one in tokens makes it count tokens.
    Accumulation that changes is the same thing, for an update is what the optimizer does with all that was accumulated. Its
    numbers are leaves, and nothing compiled grows with the number of batch sizes.

    Args:
      batch_sizes: what an update sees, one whole number, or a list; shape (n,).
      boundaries: counts of updates at which the next batch size begins, rising, one fewer; None for one size.
      unit: what one count of a schedule stands for that is read by this clock, a whole number of what is counted; None is 1.
        If it divides the batch sizes nothing is rounded; otherwise such a schedule is at the last whole unit.

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
        """A clock whose batch sizes begin where so much was seen, as Megatron-LM and OLMo-core have it.

        Args:
          batch_sizes: what an update sees, whole numbers that are known.
          amounts: what is seen before each next batch size begins, rising, one fewer; it begins at the first update that
            starts with at least so much.
          unit: as for the clock.

        Raises: ValueError if an amount is not above the one before. A size that one update goes past has no update.

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
            else:  # one update went past two amounts
                kept[-1] = size
        return cls(kept, boundaries[1:] or None, unit)

    def batch_size(self, count: jax.typing.ArrayLike) -> jax.Array:
        """What update `count` sees (int32), of the shape of `count`."""
        count = as_count("Clock.batch_size", count)
        return picked(self.batch_sizes, count * 0 if self.boundaries is None else passed(self.boundaries, count))

    def seen(self, count: jax.typing.ArrayLike) -> Seen:
        """What was seen before update `count`, in the first `count` updates: two int32 words; `int(...)` makes one number."""
        return _seen(self.batch_sizes, self.boundaries, as_count("Clock.seen", count))

    def count_at(self, seen: Any) -> jax.Array:
        """The first count (int32) at which at least so much was seen; 2**31 - 1 if none is.

        Args:
          seen: a number that is known (1e12 is taken as written), what `seen` gives, or a traced integer.
        """
        return _count_at(self.batch_sizes, self.boundaries, as_seen("Clock.count_at", "seen", seen))

    def units(self, amount: float) -> int:
        """How many counts of a schedule that is read by this clock an amount is, rounded up: a length for its plan.

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
        """Where a schedule that is read by this clock is at update `count`: what was seen in units, rounded down (int32)."""
        seen = self.seen(count)
        if self.unit is None:
            return jnp.where(seen.high > 0, LARGEST, seen.low)
        return divided(seen, self.unit)

    @check_call
    def read(
        self, schedule: Any, scaling: float | Literal["none", "sqrt", "linear"] = "none", base_batch_size: Any = None
    ) -> "Clocked":
        """A schedule that is planned in units of this clock, as a function of the update count: `lrax.schedules.Clocked`."""
        return Clocked(schedule, self, scaling, base_batch_size)


def _amounts(sizes: Any, boundaries: Any, count: jax.Array) -> Seen:
    """The sum of each batch size times the updates before `count` that had it."""
    sizes = jnp.maximum(jnp.asarray(sizes), 0)
    changes = jnp.zeros(0, jnp.int32) if boundaries is None else jnp.asarray(boundaries)
    none, most = (jnp.full((*changes.shape[:-1], 1), number, jnp.int32) for number in (0, LARGEST))
    begins, ends = jnp.concatenate([none, changes], axis=-1), jnp.concatenate([changes, most], axis=-1)
    shape = jnp.broadcast_shapes((*count.shape, 1), begins.shape)
    counts, begins, ends = (jnp.broadcast_to(one, shape) for one in (jnp.expand_dims(count, -1), begins, ends))
    return total(sizes, jnp.clip(counts - begins, 0, jnp.maximum(ends - begins, 0)))


def known_amounts(sizes: Any, boundaries: Any, count: Any) -> np.ndarray[Any, Any]:
    """`_amounts` of numbers that are known, in NumPy's int64: at most 2**62, and nothing is compiled."""
    changes = np.zeros(0, np.int64) if boundaries is None else boundaries.astype(np.int64)
    none, most = (np.full((*changes.shape[:-1], 1), number) for number in (0, LARGEST))
    begins, ends = np.concatenate([none, changes], axis=-1), np.concatenate([changes, most], axis=-1)
    steps = np.clip(np.asarray(count, np.int64)[..., None] - begins, 0, np.maximum(ends - begins, 0))
    return (np.maximum(sizes, 0).astype(np.int64) * steps).sum(axis=-1)


def known_count_at(sizes: Any, boundaries: Any, seen: np.ndarray[Any, Any]) -> Any:
    """`_count_at` of numbers that are known."""
    low = np.zeros_like(known_amounts(sizes, boundaries, 0) + seen)
    high = low + LARGEST
    for _ in range(31):
        middle = low + (high - low) // 2
        there = known_amounts(sizes, boundaries, middle) >= seen
        low, high = np.where(there, low, middle + 1), np.where(there, middle, high)
    return high.astype(np.int32)[()]


_seen = jax.jit(_amounts)  # so that a call outside jit is one program


@jax.jit  # so that a call outside jit finds the compiled loop again
def _count_at(sizes: Any, boundaries: Any, seen: Seen) -> jax.Array:
    """By halving: what was seen only grows."""
    low = jnp.zeros(jnp.shape(seen.low), jnp.int32) + seen.low * 0

    def halve(_: jax.Array, between: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = between
        middle = low + (high - low) // 2
        there = reached(_amounts(sizes, boundaries, middle), seen)
        return jnp.where(there, low, middle + 1), jnp.where(there, middle, high)

    varying = _amounts(sizes, boundaries, low).low * 0  # varies over devices as all that the loop meets does
    return jax.lax.fori_loop(0, 31, halve, (low + varying, low + varying + LARGEST))[1]


class ClockRule:
    """A clock."""

    reads = "Clock"

    def convert(self, caller: str, name: str, value: Any) -> Clock:
        if not isinstance(value, Clock):
            raise argument_error(TypeError, caller, name, "a lrax.Clock", value, "lrax.Clock(256) is one for batches of 256")
        return value


POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


class ScalingRule(Rule):
    """An exponent, or the word for one."""

    reads = "float | str | Array"

    def convert(self, caller: str, name: str, value: object) -> Any:
        if isinstance(value, str):
            value = POWERS[choice(caller, name, value, tuple(POWERS))]
        return Rule.convert(self, caller, name, value)


SCALING = ScalingRule("an exponent, or 'none', 'sqrt' or 'linear'")
Scaling: TypeAlias = Annotated[Converted[Number | Literal["none", "sqrt", "linear"], jax.Array], SCALING]


@final
class Clocked(Schedule):
    r"""A schedule that is planned in examples or tokens, as a function of the update count: read by a clock.

    $$\eta(t) = schedule\!\left(\lfloor seen(t) / unit \rfloor\right) \cdot
    \left(\tfrac{batch\_size(t)}{base\_batch\_size}\right)^{scaling}$$

    With `unit` the batch size that a plan in updates was made for, the plan stays as it is, and bigger batches go through it
    faster: a run whose batch size changes half-way keeps its past rates bit for bit.

    Args:
      schedule: a schedule or a callable whose counts are units of the clock.
      clock: a `Clock`; made by `clock.to_steps(schedule)`.
      scaling: the exponent of the batch-size rule, or its name: `"none"` (0), `"sqrt"` (0.5, for Adam and its kin) or
        `"linear"` (1).
      base_batch_size: the batch size that the rates were chosen for; the clock's first if None.

    Raises: TypeError if `clock` is no clock; ValueError if `scaling` is unknown or not finite, or a size not positive.

    >>> plan = lrax.Linear(start=1.0, end=0.0, steps=1000)  # for batches of 256
    >>> bigger = Clock([256, 1024], boundaries=[500], unit=256)  # four times as many from update 500 on
    >>> print(bigger.read(plan, scaling="sqrt")(jnp.array([500, 600, 625])), bigger.read(plan).length)
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
        if all(isinstance(leaf, np.generic | np.ndarray) for leaf in (units, one, *jax.tree.leaves(clock))):
            return known_count_at(clock.batch_sizes, clock.boundaries, units.astype(np.int64) * one)
        return self.clock.count_at(product(*jnp.broadcast_arrays(units, one)))

    def resized(self, length: Any) -> "Clocked | None":
        clock, unit = self.clock, np.int32(1) if self.clock.unit is None else self.clock.unit
        if all(isinstance(leaf, np.generic | np.ndarray) for leaf in (length, *jax.tree.leaves(clock))):
            time: Any = np.minimum(known_amounts(clock.batch_sizes, clock.boundaries, length) // unit, LARGEST).astype(np.int32)
        else:
            time = clock.time(length)
        inner = self.schedule.resized((np if isinstance(time, np.generic | np.ndarray) else jnp).maximum(time, 1))
        return None if inner is None else dataclasses.replace(self, schedule=inner)
