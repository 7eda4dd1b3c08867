"""What the files of the libraries share: argument checks, and parts that schedules are made of."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Annotated, Any, Literal, ParamSpec, TypeAlias, TypeVar, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from lrax.fields._errors import Shown, argument_error, bind, is_concrete
from lrax.fields._rules import (
    BOUNDARIES,
    DELAY,
    LARGEST,
    OFFSET,
    POSITIVE,
    RATE,
    RATES,
    STEPS,
    Choice,
    Converter,
    Number,
    Numbers,
    Rule,
    Whole,
    Wholes,
)
from lrax.fields._value import reads
from lrax.optimizers._plateau import reduce_on_plateau
from lrax.schedules._base import RateFunction, Schedule
from lrax.schedules._combinators import Cycle, Sequence, Stretch, Until, Wave
from lrax.schedules._decays import Constant, Exponential, StepDecay
from lrax.schedules._phases import Cosine

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class _Concrete:
    """The rule of an argument that decides how a schedule is put together, and may not be traced."""

    def convert(self, caller: str, name: str, value: object) -> object:
        if not is_concrete(value):
            needs, remedy = "known when the schedule is made", "give a Python number, not a tracer"
            raise argument_error(TypeError, caller, name, needs, value, remedy)
        return value


# Annotations of arguments. Unlike those of fields, what a function reads is what it was given.
CONCRETE = _Concrete()
NOT_NEGATIVE = Rule("a finite number, at least 0", low=0)
FRACTIONAL = Rule("a number from 0 to 1", low=0, high=1)
Rate: TypeAlias = Annotated[Number, RATE]
Rates: TypeAlias = Annotated[Numbers, RATES]
Positive: TypeAlias = Annotated[Number, POSITIVE]
NotNegative: TypeAlias = Annotated[Number, NOT_NEGATIVE]
Factor: TypeAlias = Annotated[Number, Rule("a number above 0, at most 1", low=2.0**-126, high=1)]
Fractional: TypeAlias = Annotated[Number, FRACTIONAL]
Steps: TypeAlias = Annotated[Whole, STEPS]
Delay: TypeAlias = Annotated[Whole, DELAY]
Offset: TypeAlias = Annotated[Whole, OFFSET]
Boundaries: TypeAlias = Annotated[Wholes, BOUNDARIES]
ConcreteRate: TypeAlias = Annotated[Number, CONCRETE, RATE]
ConcreteSteps: TypeAlias = Annotated[int, CONCRETE, STEPS]
ConcreteDelay: TypeAlias = Annotated[int, CONCRETE, DELAY]
ConcreteNumber: TypeAlias = Annotated[float, CONCRETE, NOT_NEGATIVE]
ConcreteFraction: TypeAlias = Annotated[float, CONCRETE, FRACTIONAL]
Goal: TypeAlias = Annotated[Literal["min", "max"], Choice(("min", "max"))]
Threshold: TypeAlias = Annotated[Literal["rel", "abs"], Choice(("rel", "abs"))]

MOMENTUM = "leave it out; the momentum has its own schedule, "
ELSEWHERE = {
    "last_epoch": "leave it out, because a schedule has no state; lrax.Shift(schedule, last_epoch + 1) is one that is resumed",
    "verbose": "leave it out; lrax.table(schedule) shows the learning rates",
    "cycle_momentum": MOMENTUM + "lrax.compat.torch.OneCycleMomentum",
    "base_momentum": MOMENTUM + "lrax.compat.torch.OneCycleMomentum",
    "max_momentum": MOMENTUM + "lrax.compat.torch.OneCycleMomentum",
    "t_in_epochs": "leave it out; lrax.Stretch(schedule, every=steps_per_epoch) is a schedule that counts epochs",
    "noise_type": "leave it out; the noise is normal",
    "initialize": "leave it out; a schedule changes no optimizer",
    "eps": "leave it out; the smallest change is 0",
    "name": "leave it out; a schedule has no name",
}
"""Arguments of other libraries that no function here takes, and what to do instead."""
OF_CYCLES = MOMENTUM + "CyclicLR(base_lr=max_momentum, max_lr=base_momentum, ...)"
WITH_OPTIMIZERS = ("lrax.compat.torch", "lrax.compat.timm", "lrax.compat.transformers")
"""The libraries whose functions take an optimizer first."""


def checked(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function`, whose arguments are first checked by the rules in their annotations; None only where one allows it.

    Lengths become whole numbers. Other numbers stay as they are, because a Python float has more digits than a float32.
    """
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    rules = {name: _rules(hints.get(name)) for name in signature.parameters}
    optional = {name for name in signature.parameters if _allows_none(hints[name])}

    @functools.wraps(function)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        bound = _bound(function, signature, args, kwargs)
        for name, value in bound.arguments.items():
            if value is None and name in optional:
                continue
            if value is None and all(rule is CONCRETE for rule in rules[name]):
                needed = signature.parameters[name].default is inspect.Parameter.empty
                remedy = "" if needed else "leave it out for its default"
                raise argument_error(TypeError, function.__name__, name, "given", value, remedy)
            for rule in rules[name]:
                leaf: Any = rule.convert(function.__name__, name, value)
                if isinstance(rule, Rule) and rule.dtype is np.int32:
                    bound.arguments[name] = int(leaf) if is_concrete(leaf) and not np.ndim(leaf) else leaf
        return function(*bound.args, **bound.kwargs)

    shown = [one.replace(annotation=_shown(one, rules[one.name])) for one in signature.parameters.values()]
    wrapper.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]  # as inspect documents it
    return wrapper


def _bound(
    function: Callable[..., object], signature: inspect.Signature, args: tuple[object, ...], kwargs: dict[str, object]
) -> inspect.BoundArguments:
    """`signature.bind`; the error for a call that was copied from code for another library says what to change."""
    caller, names = function.__name__, list(signature.parameters)
    call = f"; it is {caller}({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
    if function.__module__.startswith(WITH_OPTIMIZERS) and ("optimizer" in kwargs or any(map(is_optimizer, args))):
        instead = ", and give its learning rate as `lr`" if "lr" in names else ""
        given = "the schedule is given to an optimizer, as in optax.sgd(schedule)"
        raise TypeError(f"{caller}: leave the optimizer out{instead}: {given}{call}")
    for name in kwargs:
        if name in ELSEWHERE and name not in names:
            remedy = OF_CYCLES if caller == "CyclicLR" and "momentum" in name else ELSEWHERE[name]
            raise TypeError(f"{caller}: there is no argument `{name}`: {remedy}{call}")
    return bind(function.__qualname__, signature, args, kwargs)


def is_optimizer(value: object) -> bool:
    """Whether an argument is an optimizer of some library: an object that is not a number, word, list or function."""
    if isinstance(value, optax.GradientTransformation):
        return True
    plain = (int, float, complex, str, bytes, list, tuple, Mapping, np.ndarray, np.generic, jax.Array, type(None))
    return not isinstance(value, plain) and not callable(value)


def _shown(parameter: inspect.Parameter, rules: tuple[object, ...]) -> object:
    """The type of an argument in a few words."""
    if not rules:
        return parameter.annotation
    read = next((str(one) for one in map(reads, rules) if str(one) != "Any"), "Any")
    return Shown(f"{read} | None" if parameter.default is None else read)


def _allows_none(hint: object) -> bool:
    """Whether an annotation has None among its alternatives."""
    return hint is type(None) or any(_allows_none(part) for part in get_args(hint))


def _rules(hint: object) -> tuple[Converter, ...]:
    """The rules in an annotation, or in one of its alternatives."""
    return tuple(rule for part in (hint, *get_args(hint)) for rule in getattr(part, "__metadata__", ()))


def holds(condition: object) -> bool:
    """Whether a condition is concrete and holds everywhere."""
    return bool(is_concrete(condition) and np.all(np.asarray(condition)))


def pick(condition: npt.ArrayLike, this: Number, that: Number) -> Any:
    """`this` where a condition holds, which may be traced or an array, and `that` elsewhere."""
    concrete = is_concrete(condition) and not np.ndim(condition)
    return (this if condition else that) if concrete else jnp.where(jnp.asarray(condition), this, that)


WRONG = {"at most": np.greater, "below": np.greater_equal, "at least": np.less, "above": np.less_equal}
"""What is wrong of a value and its limit, for each relation that they should have."""


def check_order(
    caller: str, name: str, value: object, relation: str, limit: object, limit_name: str, remedy: str = "lower it"
) -> None:
    """Raises ValueError if `value` and `limit` are concrete and not in this relation, a key of `WRONG`."""
    if is_concrete(value) and is_concrete(limit) and np.any(WRONG[relation](np.asarray(value), np.asarray(limit))):
        raise argument_error(ValueError, caller, name, f"{relation} `{limit_name}` ({limit})", value, remedy)


def after(warmup_steps: Whole, steps: Whole) -> Whole:
    """What is left of a length after a warm-up, at least 1."""
    rest = steps - warmup_steps
    return max(rest, 1) if isinstance(rest, int) else jnp.maximum(rest, 1)


def plateau(
    caller: str,
    lr: Number,
    mode: Literal["min", "max"],
    factor: Number,
    patience: Whole,
    threshold: Number,
    threshold_mode: str,
    cooldown: Whole,
    min_lr: Number,
) -> optax.GradientTransformationExtraArgs:
    """`lrax.reduce_on_plateau` with PyTorch's arguments: it waits for one failure more than `patience`."""
    floor, tolerance = min_scale(caller, lr, min_lr), tolerances(threshold, threshold_mode)
    return reduce_on_plateau(factor, patience + 1, goal=mode, cooldown=cooldown, min_scale=floor, **tolerance)


def tolerances(threshold: Number, threshold_mode: str) -> dict[str, Any]:
    """The improvement that is needed, as arguments of `lrax.reduce_on_plateau`."""
    return {"rtol": threshold, "atol": 0.0} if threshold_mode == "rel" else {"rtol": 0.0, "atol": threshold}


def min_scale(caller: str, lr: Number, min_lr: Number) -> Number:
    """The smallest learning rate as a fraction of the first."""
    check_order(caller, "min_lr", min_lr, "at most", lr, "lr")
    return min_lr / lr


def join(caller: str, name: str, schedules: Many[RateFunction], boundaries: Many[Whole]) -> Schedule:
    """Schedules one after the other, each from its own count 0, changing at `boundaries` whatever their lengths.

    >>> print(join("join", "boundaries", [Constant(0.1), Linear(1.0, 0.0, 10)], [5])(jnp.array([4, 5, 10])))
    [0.1 1.  0.5]
    """
    at = [DELAY.convert(caller, name, boundary) for boundary in boundaries]
    if len(at) != len(schedules) - 1:
        needs = f"one shorter than the list of schedules ({len(schedules)})"
        raise argument_error(ValueError, caller, name, needs, boundaries)
    begins = [np.int32(0), *at[:-1]]
    if any(is_concrete(begin) and is_concrete(end) and np.any(begin > end) for begin, end in zip(begins, at, strict=False)):
        raise argument_error(ValueError, caller, name, "counts in rising order, none below 0", boundaries, "sort them")
    parts = [Until(schedule, end - begin) for schedule, begin, end in zip(schedules[:-1], begins, at, strict=False)]
    return Sequence(*parts, schedules[-1])


TRIED = 512
"""`exponential` takes the best of this many values of `every`."""


def exponential(start: Number, factor: Number, every: Whole = 1, floor: Number = 0.0) -> Exponential:
    """Multiplies by `factor` over every `every` steps; a Python float keeps the digits that float32 would lose.

    As a float32, 0.9999 is off by 2e-8, and its power to 100,000 by 2e-3. So the factor of about as many steps as halve (or
    double) the learning rate is stored, and their number: of all such numbers the one whose factor float32 rounds least.

    >>> print(exponential(0.1, 0.9999))
    Exponential(start=0.1, factor=0.522081, every=6499)
    """
    if not (isinstance(factor, float | int) and isinstance(every, int) and factor > 0 and factor != 1):
        return Exponential(start, factor, every, floor)
    most = max(1, min(round(abs(math.log(2) / math.log(factor))), LARGEST // every))
    best = min(range(most, max(most - TRIED, 0), -1), key=lambda times: _lost(factor**times) / times)
    return Exponential(start, factor**best, every * best, floor)


def _lost(factor: float) -> float:
    """What float32 loses of a factor, as a fraction of it."""
    return abs(float(np.float32(factor)) / factor - 1)


def step_decay(start: Number, factor: Number, every: Whole, floor: Number = 0.0) -> Schedule:
    """Multiplies by `factor` every `every` steps; a Python float that is multiplied many times keeps its digits.

    Those are the factors near 1, and all above 1 that float32 rounds, because a growing learning rate never becomes too small
    to matter.

    >>> print(step_decay(0.1, 0.5, 30))
    StepDecay(start=0.1, factor=0.5, every=30)
    >>> print(step_decay(0.1, 0.99, 30))
    Stretch(schedule=Exponential(start=0.1, factor=0.6491026, every=43), every=30)
    """
    if isinstance(factor, float) and factor > 0.95 and _lost(factor):
        return Stretch(exponential(start, factor, floor=floor), every)
    return StepDecay(start, factor, every, floor)


def wave(caller: str, high: Number, low: Number, steps: Whole, cycles: Number = 0.5) -> Schedule:
    """An endless cosine wave, `cycles` of it in `steps` steps, which must be concrete unless it is half a one.

    >>> print([f"{lr:.2f}" for lr in wave("wave", 1.0, 0.0, 10, cycles=0.4)(jnp.array([0, 10, 25]))])
    ['1.00', '0.10', '1.00']
    """
    if cycles == 0.5:
        return Cycle(Sequence(Cosine(high, low, steps), Cosine(low, high, steps)))
    number: Any = CONCRETE.convert(caller, "num_training_steps", steps)
    if np.ndim(number):
        raise argument_error(ValueError, caller, "num_training_steps", "one number where `num_cycles` is not 0.5", steps)
    turns = Fraction(float(cycles)) / int(number) % 1  # in a step; whole turns make no difference
    turns = min(turns, 1 - turns)  # nor does the direction
    if turns == 0:
        return Constant(high)
    times = math.ceil(1 / (turns * 2**30))  # so slow a wave may change every few steps: by less than float32 shows
    nearest = (1 / (turns * times)).limit_denominator(int((LARGEST - 1) * turns * times))
    slow = Wave(high, low, nearest.numerator, nearest.denominator)
    return slow if times == 1 else Stretch(slow, min(times, LARGEST))
