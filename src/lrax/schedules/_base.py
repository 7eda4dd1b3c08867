"""The base of every schedule: a frozen pytree that is a function of the step count."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lrax.fields._errors import Shown, argument_error, shown
from lrax.fields._rules import LARGEST, STEPS, Converted, Int, Maybe, Whole, default
from lrax.fields._value import Value, parts_of
from lrax.schedules._intmath import as_count, fractions


def no_operator(sign: str, with_number: str, with_schedule: str = "") -> Any:
    """An operator that schedules do not have: it raises TypeError with the call to write."""

    def operator(self: "Schedule", *other: object) -> object:
        if not all(callable(one) or isinstance(one, int | float | np.number | np.ndarray | jax.Array) for one in other):
            return NotImplemented
        write = with_schedule if any(map(callable, other)) else with_number.format(*map(shown, other))
        raise TypeError(f"{type(self).__name__}: a schedule has no operator {sign}; write {write}")

    return operator


class Schedule(Value):
    """A learning rate as a function of the step count, and a pytree whose leaves are its numbers.

    A custom schedule is a subclass with annotated fields and one formula. Numbers are checked and stored as float32 or int32
    when a schedule is made. Each is a leaf, so a schedule goes through `jit`, `vmap`, `scan`, `jax.tree.map` and checkpoints
    like any other value, and all schedules of a class share a trace. A field that is an array with a leading axis makes a batch
    of schedules: called with one count, it gives a learning rate for each.

    Fields are annotated with `lrax.fields.Rate`, `lrax.fields.Steps`, `lrax.fields.Positive`, ..., with `lrax.ScheduleLike` for
    an inner schedule, or with `float`, `int`, `str` and `bool`; the last two are static. Type checkers want the default of one
    of `lrax.fields` as `= lrax.fields.default(0.0)`; without a type checker, and for `float` and `int`, a bare `= 0.0` does.

    A class raises ValueError for a number outside the range that its arguments state and for an unknown word, and TypeError for
    a value of a wrong type. Only further errors are listed below `Raises`.

    Two schedules are equal if they have the same class, words, and numbers of the same shape, dtype and bits. Equal schedules
    have one hash. A traced number equals itself only.

    >>> lrax.Cosine(0.1, 0, 100) == lrax.Cosine(start=0.1, end=0.0, steps=100) != lrax.Linear(0.1, 0.0, 100)
    True

    >>> class Warmed(Schedule):
    ...     peak: lrax.fields.Rate
    ...     timescale: lrax.fields.Rate
    ...
    ...     def rate(self, count):
    ...         return self.peak * -jnp.expm1(-(count + 1) / self.timescale)
    >>> print(f"{Warmed(peak=0.1, timescale=100)(99):.4f}")
    0.0632

    A random schedule draws from a seed and the count (see also `lrax.schedules.Noise`):

    >>> class Jitter(Schedule):
    ...     spread: lrax.fields.Rate
    ...     seed: int = 0
    ...
    ...     def rate(self, count):
    ...         key = jax.random.key(self.seed)
    ...         draw = lambda one: jax.random.uniform(jax.random.fold_in(key, one), (), jnp.float32, -1, 1)
    ...         return 1 + self.spread * jnp.vectorize(draw)(count)
    >>> noisy = Product(Cosine(start=0.1, end=0.0, steps=100), Jitter(spread=0.2))
    >>> print(noisy(50) == noisy(jnp.arange(100))[50])
    True
    """

    _shows_defaults: ClassVar[bool] = False

    def __call__(self, count: jax.typing.ArrayLike = default(...)) -> jax.Array:  # noqa: B008
        """The learning rate of step `count`.

        Args:
          count: 0-based number of the step, any integer dtype, a scalar or an array; a number below 0 counts as 0.

        Returns: float32, of the shape of `count` (broadcast against fields that are arrays).

        Raises: TypeError if `count` is not an integer, or not given.
        """
        given: object = count
        if given is ...:  # Keras calls a learning rate without arguments
            remedy = "a Keras optimizer takes lrax.keras.Schedule(schedule)"
            raise TypeError(f"{type(self).__name__}: `count`, the number of the step, is missing; {remedy}")
        return self.rate(as_count(type(self).__name__, count)).astype(jnp.float32)

    __array_ufunc__ = None  # NumPy leaves its operators to those of the schedule
    __mul__ = __rmul__ = no_operator("*", "lrax.Scale(schedule, {})", "lrax.Product(schedule, other)")
    __add__ = no_operator("+", "lrax.Sum(schedule, lrax.Constant({}))", "lrax.Sum(schedule, other)")
    __radd__ = no_operator(
        "+", "lrax.Sum(schedule, lrax.Constant({})), and lrax.Sum(*schedules) for sum(schedules)", "lrax.Sum(schedule, other)"
    )
    __sub__ = no_operator("-", "lrax.Sum(schedule, lrax.Constant(-{}))", "lrax.Sum(schedule, lrax.Scale(other, -1))")
    __rsub__ = no_operator(
        "-", "lrax.Sum(lrax.Constant({}), lrax.Scale(schedule, -1))", "lrax.Sum(other, lrax.Scale(schedule, -1))"
    )
    __truediv__ = no_operator("/", "lrax.Scale(schedule, 1 / {})", "lrax.Product(schedule, lambda count: 1 / other(count))")
    __rtruediv__ = no_operator(
        "/", "lambda count: {} / schedule(count)", "lrax.Product(other, lambda count: 1 / schedule(count))"
    )
    __pow__ = no_operator("**", "lambda count: schedule(count) ** {}", "lambda count: schedule(count) ** other(count)")
    __neg__ = no_operator("-", "lrax.Scale(schedule, -1)")
    __lt__ = __le__ = __gt__ = __ge__ = no_operator(
        "<", "lrax.Maximum(schedule, lrax.Constant({})) or lrax.Minimum", "lrax.Maximum(schedule, other) or lrax.Minimum"
    )

    @abc.abstractmethod
    def rate(self, count: jax.Array) -> jax.Array:
        """The formula: the learning rate at `count`, which is int32 and at least 0."""

    @property
    def needs_total_steps(self) -> bool:
        """Whether there are no learning rates before `with_total_steps` gives a total length."""
        return any(part.needs_total_steps for part in parts(self))

    @property
    def length(self) -> Int | None:
        """The total length in steps (int32), or None if the schedule has no end."""
        return None

    def resized(self, length: Int) -> "Schedule | None":
        """This schedule with another total length, for cycles and `with_total_steps`; None if it cannot change."""
        return None

    def with_total_steps(self, total_steps: Whole) -> "Schedule":
        """The same plan over another total length. A recipe without `total_steps` has learning rates only after this.

        Args:
          total_steps: the new length in steps, at least 1; concrete, traced or a batch.

        Returns: a schedule of that length. Fractions of the total move with it; numbers of steps stay.

        Raises: ValueError if the parts do not fit, or the schedule has no length that can change.

        >>> plan = lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=0.2)
        >>> plan.with_total_steps(10_000) == lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=0.2, total_steps=10_000)
        True
        """
        schedule = self.resized(STEPS.convert("with_total_steps", "total_steps", total_steps))
        if schedule is None:
            needs, remedy = "a recipe, a phase, or a schedule with one inside", "make it of parts that have their lengths"
            raise argument_error(ValueError, type(self).__name__, "with_total_steps", needs, self, remedy)
        return schedule

    @property
    def landmarks(self) -> list[int]:
        """Counts worth looking at, in any order, of one concrete schedule: where the formula changes, or little is left to see.

        Pictures and tables go as far as the last. By default the length, and those of the schedules in the fields.
        """
        found = [mark for part in parts(self) for mark in part.landmarks]
        length = self.length
        return found if length is None else [*(mark for mark in found if mark < length), int(length)]


class Phase(Schedule):
    """A schedule with a length: a formula over the fraction of it that is done. It holds its end from then on.

    A custom phase is a subclass with a field `steps` and one formula, `curve`. Lengths stay integers until they become the two
    fractions, so `curve` is exact at both ends if it is written with `left` near the end and `done` near the start. A traced
    length below 1 puts the phase at its end.

    >>> class SquareRoot(Phase):
    ...     peak: lrax.fields.Rate
    ...     steps: lrax.fields.Steps
    ...
    ...     def curve(self, done, left):
    ...         return self.peak * jnp.sqrt(left)
    >>> print(SquareRoot(peak=0.1, steps=100)(75))
    0.05
    """

    _required: ClassVar[tuple[str, ...]] = ("steps",)

    @abc.abstractmethod
    def curve(self, done: jax.Array, left: jax.Array) -> jax.Array:
        """The formula: the learning rate where the fraction `done` is past and `left` is ahead (float32; they add up to 1)."""

    def rate(self, count: jax.Array) -> jax.Array:
        return self.curve(*fractions(count, self.length))

    @property
    def length(self) -> Int:
        return getattr(self, "steps")  # noqa: B009  # each class declares it in its own place among its fields

    def resized(self, length: Int) -> "Phase":
        return dataclasses.replace(self, steps=length)  # type: ignore[call-arg]  # every phase has the field


def curve_of(schedule: Schedule) -> Callable[[jax.Array, jax.Array], jax.Array] | None:
    """The curve of a phase whose learning rate is its curve at a fraction of its length and nothing else; None otherwise."""
    return schedule.curve if isinstance(schedule, Phase) and type(schedule).rate is Phase.rate else None


def parts(schedule: Schedule) -> list[Schedule]:
    """The schedules in the fields of a schedule."""
    return [part for part in parts_of(schedule) if isinstance(part, Schedule)]


def length_of(schedule: Schedule) -> Int:
    """The length of a schedule that has one, as was checked."""
    length = schedule.length
    assert length is not None
    return length


def last_landmark(schedules: Iterable[Schedule]) -> int:
    """The last landmark of schedules, at most 2**31 - 1; 0 if there is none."""
    return min(max((mark for schedule in schedules for mark in schedule.landmarks), default=0), LARGEST)


class CallableRule:
    """A callable as a pytree: `Partial` holds a plain function as structure, without leaves."""

    reads = "Callable"

    def convert(self, caller: str, name: str, value: object) -> Any:
        if not callable(value) or isinstance(value, type):
            raise argument_error(TypeError, caller, name, "a function count -> learning rate", value)
        is_plain = jax.tree_util.all_leaves([value])
        return Partial(value) if is_plain else value  # type: ignore[no-untyped-call]  # jax leaves it untyped


class Function(Schedule):
    """Any callable `count -> learning rate` as a schedule; combinators wrap callables that are not schedules in this.

    A plain function is static under `jit` (another function makes another trace) and cannot be saved as JSON. A callable that
    is a pytree itself, such as `jax.tree_util.Partial`, keeps its leaves.

    Args:
      function: takes the count (int32) and returns the learning rate: one for all counts, or one for each.

    Raises: TypeError if `function` is not callable; ValueError in a call, if the learning rates do not fit the counts.

    >>> print(Function(lambda count: 0.1 / (count + 1))(3))
    0.025
    """

    function: Annotated[Any, CallableRule()]

    def rate(self, count: jax.Array) -> jax.Array:
        rate = jnp.asarray(self.function(count), jnp.float32)
        try:
            return jnp.broadcast_to(rate, jnp.broadcast_shapes(rate.shape, count.shape))
        except ValueError as error:
            needs = f"a function whose learning rates have the shape of the counts, {count.shape}"
            raise argument_error(ValueError, "Function", "function", needs, Shown(f"the shape {rate.shape}")) from error


class ScheduleRule:
    """A schedule, or a callable that becomes one."""

    reads = "Schedule | Callable"

    def convert(self, caller: str, name: str, value: object) -> Schedule:
        if isinstance(value, Schedule):
            return value
        if callable(value) and not isinstance(value, type):
            return Function(value)
        remedy = ""
        if isinstance(value, int | float):
            remedy = f"use lrax.Constant({value!r}) for a learning rate that does not change"
        elif isinstance(value, list | tuple) and any(map(callable, value)):
            unpack = f"unpack it: {caller}(*schedules)"
            remedy = unpack if name.startswith("schedules[") else "lrax.Sequence(*schedules) makes one of several"
        elif isinstance(value, list | tuple) and value and all(isinstance(one, int | float) for one in value):
            remedy = f"give a schedule: lrax.Geometric({value[0]}, {value[-1]}, steps)"
        raise argument_error(TypeError, caller, name, "a schedule or a function count -> learning rate", value, remedy)


class SchedulesRule:
    """A tuple of schedules."""

    reads = "Sequence[Schedule | Callable]"

    def convert(self, caller: str, name: str, value: object) -> tuple[Schedule, ...]:
        if not isinstance(value, list | tuple):
            raise argument_error(TypeError, caller, name, "a list of schedules", value)
        if not value:
            raise argument_error(ValueError, caller, name, "at least one schedule", value)
        return tuple(ScheduleRule().convert(caller, f"{name}[{i}]", part) for i, part in enumerate(value))


class RateFunction(Protocol):
    """What a type checker accepts for a schedule."""

    def __call__(self, count: Any, /) -> Any:
        """The learning rate of step `count`."""


ScheduleLike: TypeAlias = Annotated[Converted[RateFunction, Schedule], ScheduleRule()]
"""A field that holds a schedule; any callable `count -> learning rate` is wrapped in `lrax.Function`."""
Schedules: TypeAlias = Annotated[Converted[Sequence[RateFunction], tuple[Schedule, ...]], SchedulesRule()]
"""A field that holds one or more schedules, as a tuple."""
MaybeSchedule: TypeAlias = Annotated[Converted[RateFunction | None, Schedule | None], Maybe(ScheduleRule())]
"""A field that holds a schedule or None."""


class Wrapper(Schedule):
    """A schedule that changes one other schedule."""

    schedule: ScheduleLike

    @property
    def length(self) -> Int | None:
        return self.schedule.length

    def around(self, inner: Schedule | None) -> Schedule | None:
        """The same change of another schedule; None for None."""
        return None if inner is None else dataclasses.replace(self, schedule=inner)
