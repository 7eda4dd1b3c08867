"""The base of every schedule: a frozen pytree that is a function of the update count."""

import abc
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lrax.fields._errors import Shown, argument_error, shown
from lrax.fields._rules import LARGEST
from lrax.fields._types import STEPS, Converted, Maybe, Whole, default
from lrax.fields._value import Value, lanes
from lrax.schedules._drawing import MOST_LINES, POINTS, counts_shown, drawing, hint
from lrax.schedules._intmath import as_count, fractions


def no_operator(sign: str, with_number: str, with_schedule: str = "") -> Any:
    """An operator that schedules do not have: it raises TypeError with the call to write."""

    def operator(self: Any, *other: Any) -> Any:
        if not all(callable(one) or isinstance(one, int | float | np.number | np.ndarray | jax.Array) for one in other):
            return NotImplemented
        write = with_schedule if any(map(callable, other)) else with_number.format(*map(shown, other))
        raise TypeError(f"{type(self).__name__}: a schedule has no operator {sign}; write {write}")

    return operator


class Schedule(Value):
    """A learning rate as a function of the update count, and a pytree whose leaves are its numbers.

    A kind of schedule is a subclass with annotated fields and one formula. Numbers are checked and stored as float32 or int32
    when a schedule is made; each is a leaf, so a schedule goes through `jit`, `vmap`, `scan`, `jax.tree.map` and checkpoints
    like any other value, and two schedules of a kind share a trace whatever their numbers. A field given as an array with a
    leading axis makes a batch of schedules: called with one count, it gives a rate for each.

    Fields are annotated with `lrax.fields.Rate`, `lrax.fields.Steps`, `lrax.fields.Positive`, ... `lrax.ScheduleLike` for
    a schedule inside, or `float`, `int`, `str` and `bool`: the last two are static. Type checkers want a default of the former
    written as `= lrax.fields.default(0.0)`; without them, and for `float` and `int`, a bare `= 0.0` does.

    Two schedules are equal if they are of one kind and their fields are: same words, and numbers of the same shape, dtype and
    bits. Equal schedules have one hash. A number that is not known yet (under `jit`) equals itself only.

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

    Randomness of your own is a kind like any other if it is drawn from a seed and the count (see `lrax.schedules.Noise`):

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
        """The rate of update `count`.

        Args:
          count: 0-based number of the update, any integer dtype, a scalar or an array; what is below 0 counts as 0.

        Returns: float32, of the shape of `count` (broadcast against fields that are arrays).

        Raises: TypeError if `count` is not an integer, or not given.
        """
        given: Any = count
        if given is ...:  # Keras calls a learning rate without arguments
            remedy = "a Keras optimizer takes lrax.keras.Schedule(schedule)"
            raise TypeError(f"{type(self).__name__}: `count`, the number of the update, is missing; {remedy}")
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
        """The formula: the rate at `count`, which is int32 and at least 0."""

    @property
    def needs_total_steps(self) -> bool:
        """Whether there are no rates before `over` gives a total length."""
        return any(part.needs_total_steps for part in parts(self))

    @property
    def length(self) -> Any:
        """The total length in updates (int32), or None if the schedule has no end."""
        return None

    def resized(self, length: Any) -> "Schedule | None":
        """This schedule with another total length, for cycles and for `over`; None for a kind that cannot change it."""
        return None

    def with_total_steps(self, total_steps: Whole) -> "Schedule":
        """The same plan over another total length; the one way to make rates of a recipe that waits for its total.

        Args:
          total_steps: the new length in updates, at least 1; known, traced or a batch.

        Returns: a schedule of that length. What is a share of the total moves with it; what is a number of updates stays.

        Raises: ValueError if the parts do not fit, or for a kind whose length is not one number that could be another.

        >>> plan = lrax.wsd(0.1, warmup_steps=0.01, cooldown_steps=0.2)
        >>> plan.with_total_steps(10_000) == lrax.wsd(0.1, 10_000, 0.01, 0.2)
        True
        """
        schedule = self.resized(STEPS.convert("over", "total_steps", total_steps))
        if schedule is None:
            needs, remedy = "the total of a recipe or a phase", "make it of parts that have their lengths"
            raise argument_error(ValueError, type(self).__name__, "over(total_steps)", needs, self, remedy)
        return schedule

    @property
    def landmarks(self) -> list[int]:
        """Counts worth looking at, in any order: where the formula changes, or little is left to see. For one schedule, known.

        Pictures and tables go as far as the last. By default the length, and those of the schedules in the fields.
        """
        found = [mark for part in parts(self) for mark in part.landmarks]
        if self.length is None:
            return found
        return [*(mark for mark in found if mark < self.length), int(self.length)]

    def _repr_html_(self) -> str | None:
        """The schedule drawn, for notebooks; nothing where it cannot be: under `jit`, or with functions that fail."""
        try:
            lines = lanes("a schedule", self)
            steps = shown_steps(lines)
            marks = sorted({mark for line in lines[:MOST_LINES] for mark in line.landmarks}) or [steps]
            counts = counts_shown(steps, marks)
            padded = np.pad(counts, (0, POINTS - counts.size), mode="edge").astype(np.int32)
            rates = [np.asarray(_rates(line, padded))[: counts.size] for line in lines[:MOST_LINES]]
            return drawing(counts, rates, marks, repr(self), hint([line.length for line in lines]))
        except Exception:  # a notebook then shows the repr: what is displayed must never stop a cell
            return None


class Phase(Schedule):
    """A schedule with a length: a formula over the fraction of it that is done, which then holds its end for ever.

    A kind is a subclass that has a field `steps` among its fields and one formula, `curve`. Lengths stay integers until they
    become the two fractions, so `curve` is exact at both ends if it is written with `left` near the end and `done` near
    the start. A length below 1 that was not known when the phase was made puts the phase at its end.

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
        """The formula: the rate where the fraction `done` is past and `left` is ahead (float32; they add up to 1)."""

    def rate(self, count: jax.Array) -> jax.Array:
        return self.curve(*fractions(count, self.length))

    @property
    def length(self) -> Any:
        return getattr(self, "steps")  # noqa: B009  # each kind declares it in its own place among its fields

    def resized(self, length: Any) -> "Phase":
        return dataclasses.replace(self, steps=length)  # type: ignore[call-arg]  # every kind has the field


def has_curve(schedule: Schedule) -> bool:
    """Whether a schedule is a phase whose learning rate is its curve at a fraction of its length, and nothing else."""
    return isinstance(schedule, Phase) and type(schedule).rate is Phase.rate


@jax.jit
def _rates(schedule: Schedule, counts: jax.Array) -> jax.Array:
    return jax.vmap(schedule)(counts)


def parts(schedule: Schedule) -> list[Schedule]:
    """The schedules in the fields of a schedule."""
    fields = [getattr(schedule, name) for name in schedule._rules]
    return [
        part for field in fields for part in (field if isinstance(field, tuple) else (field,)) if isinstance(part, Schedule)
    ]


def last_landmark(schedules: Iterable[Schedule]) -> int:
    """The last landmark of schedules, at most 2**31 - 1; 0 if there is none."""
    return min(max((mark for schedule in schedules for mark in schedule.landmarks), default=0), LARGEST)


def shown_steps(schedules: Iterable[Schedule]) -> int:
    """How many updates a picture shows of schedules: all their landmarks and a tenth more, or 1000 where there are none."""
    last = last_landmark(schedules)
    return min(last + max(last // 10, 1), LARGEST) if last else 1000


class CallableRule:
    """A callable, as a pytree: `Partial` holds a plain function as structure, without leaves."""

    reads = "Callable"

    def convert(self, caller: str, name: str, value: Any) -> Any:
        if not callable(value) or isinstance(value, type):
            raise argument_error(TypeError, caller, name, "a function count -> rate", value)
        is_plain = jax.tree_util.all_leaves([value])
        return Partial(value) if is_plain else value  # type: ignore[no-untyped-call]  # jax leaves it untyped


class Function(Schedule):
    """Any callable `count -> rate` as a schedule; combinators wrap what is not a schedule in this.

    A plain function is static under `jit` (another function makes another trace) and cannot be saved as JSON. A callable that
    is a pytree itself, such as `jax.tree_util.Partial`, keeps its leaves.

    Args:
      function: takes the count (int32) and returns the rate: one, for all counts, or as many as there are counts.

    Raises: TypeError if `function` is not callable; ValueError when it is called, if its rates do not fit the counts.

    >>> print(Function(lambda count: 0.1 / (count + 1))(3))
    0.025
    """

    function: Annotated[Any, CallableRule()]

    def rate(self, count: jax.Array) -> jax.Array:
        rate = jnp.asarray(self.function(count), jnp.float32)
        try:
            return jnp.broadcast_to(rate, jnp.broadcast_shapes(rate.shape, count.shape))
        except ValueError as error:
            needs = f"a function whose rates have the shape of the counts, {count.shape}"
            raise argument_error(ValueError, "Function", "function", needs, Shown(f"rates of shape {rate.shape}")) from error


class ScheduleRule:
    """A schedule, or a callable that becomes one."""

    reads = "Schedule | Callable"

    def convert(self, caller: str, name: str, value: Any) -> Schedule:
        if isinstance(value, Schedule):
            return value
        if not callable(value) or isinstance(value, type):
            remedy = f"use lrax.Constant({value!r}) for a rate that does not change" if isinstance(value, int | float) else ""
            if isinstance(value, list | tuple) and any(map(callable, value)):
                unpack = f"unpack it: {caller}(*schedules)"
                remedy = unpack if name.startswith("schedules[") else "lrax.Sequence(*schedules) makes one of several"
            elif isinstance(value, list | tuple) and value and all(isinstance(one, int | float) for one in value):
                remedy = f"give a schedule: lrax.Geometric({value[0]}, {value[-1]}, steps)"
            raise argument_error(TypeError, caller, name, "a schedule or a function count -> rate", value, remedy)
        return Function(value)


class RateFunction(Protocol):
    """What may stand where a schedule can, in the eyes of a type checker."""

    def __call__(self, count: Any, /) -> Any:
        """The rate of update `count`."""


ScheduleLike: TypeAlias = Annotated[Converted[RateFunction, Schedule], ScheduleRule()]
"""A field that holds a schedule; any callable `count -> rate` is wrapped in `lrax.Function`."""


class _SchedulesRule:
    """A tuple of schedules."""

    def convert(self, caller: str, name: str, value: Any) -> tuple[Schedule, ...]:
        if not isinstance(value, list | tuple):
            raise argument_error(TypeError, caller, name, "a list of schedules", value)
        if not value:
            raise argument_error(ValueError, caller, name, "at least one schedule", value)
        return tuple(ScheduleRule().convert(caller, f"{name}[{i}]", part) for i, part in enumerate(value))


Schedules: TypeAlias = Annotated[Converted[Sequence[RateFunction], tuple[Schedule, ...]], _SchedulesRule()]
"""A field that holds one or more schedules, as a tuple."""
MaybeSchedule: TypeAlias = Annotated[Converted[RateFunction | None, Schedule | None], Maybe(ScheduleRule())]
"""A field that holds a schedule or None."""
