"""What the files of the libraries share: argument checks, and parts that schedules are made of."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from fractions import Fraction
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import Shown, argument_error, bind, choice, is_concrete
from lrax.fields._rules import LARGEST, Rule
from lrax.fields._types import DELAY, POSITIVE, RATE, STEPS, Number, Whole
from lrax.fields._value import reads
from lrax.optimizers._plateau import reduce_on_plateau
from lrax.schedules._base import Schedule
from lrax.schedules._combinators import Cycle, Sequence, Stretch, Until, Wave
from lrax.schedules._decays import Constant, Exponential, StepDecay
from lrax.schedules._phases import Cosine

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

NotNegative: TypeAlias = Annotated[Any, Rule("a finite number, at least 0", low=0)]
"""An argument that holds a number that may be 0."""


class _Known:
    """Says that an argument decides how a schedule is put together."""

    def convert(self, caller: str, name: str, value: Any) -> Any:
        if not is_concrete(value):
            raise argument_error(
                TypeError, caller, name, "known when the schedule is made", value, "give a Python number, not a tracer"
            )
        return value


KNOWN = _Known()
KnownSteps: TypeAlias = Annotated[Any, KNOWN, STEPS]
"""An argument that holds a length of at least 1, which may not be traced."""
KnownDelay: TypeAlias = Annotated[Any, KNOWN, DELAY]
"""An argument that holds a length of at least 0, which may not be traced."""
KnownRate: TypeAlias = Annotated[Any, KNOWN, RATE]
"""An argument that holds a rate, which may not be traced."""
Factor: TypeAlias = Annotated[Any, Rule("a number above 0, at most 1", low=2.0**-126, high=1)]
"""An argument that holds a factor of rates that do not grow."""
Share: TypeAlias = Annotated[Any, Rule("a number from 0 to 1", low=0, high=1)]
"""An argument that holds a part of something, all and nothing included."""


MOMENTUM = "leave it out; the momentum is a schedule of its own, "
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


def is_optimizer(value: Any) -> bool:
    """Whether an argument is an optimizer of some library: an object that is no number, word, list or function."""
    if isinstance(value, optax.GradientTransformation):
        return True
    plain = (int, float, complex, str, bytes, list, tuple, Mapping, np.ndarray, np.generic, jax.Array, type(None))
    return not isinstance(value, plain) and not callable(value)


def fitting(function: Callable[..., Any], signature: inspect.Signature, args: Any, kwargs: Any) -> inspect.BoundArguments:
    """`signature.bind`; a call that was copied from code for another library is answered with what to change."""
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


def fitted(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function`; a call that does not fit is answered with how it reads, or with what to change in one from elsewhere."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        fitting(function, signature, args, kwargs)
        return function(*args, **kwargs)

    return wrapper


def checked(function: Callable[Arguments, Schedule]) -> Callable[Arguments, Schedule]:
    """`function`, whose arguments are checked first: by the rules in their annotations; None only where one allows it.

    Rates are handed on as they are, because a Python float has more digits than a float32; lengths as whole numbers.
    """
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    rules = {name: _rules(hints.get(name)) for name in signature.parameters}
    optional = {name for name in signature.parameters if hints.get(name, Any) is Any or _allows_none(hints[name])}

    @functools.wraps(function)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Schedule:
        bound = fitting(function, signature, args, kwargs)
        for name, value in bound.arguments.items():
            if value is None and name not in optional and all(rule is KNOWN for rule in rules[name]):
                needed = signature.parameters[name].default is inspect.Parameter.empty
                remedy = "" if needed else "leave it out for what it is by default"
                raise argument_error(TypeError, function.__name__, name, "given", value, remedy)
            for rule in () if value is None and name in optional else rules[name]:
                bound.arguments[name] = _handed_on(rule, rule.convert(function.__name__, name, value), value)
        return function(*bound.args, **bound.kwargs)

    shown = [one.replace(annotation=_shown(one, rules[one.name])) for one in signature.parameters.values()]
    wrapper.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]  # as inspect documents it
    return wrapper


def _shown(parameter: inspect.Parameter, rules: tuple[Any, ...]) -> Any:
    """The type of an argument in a few words; what is exact is for the rules and for type checkers."""
    if not rules:
        return parameter.annotation
    told = next((str(one) for one in map(reads, rules) if str(one) != "Any"), "Any")
    return Shown(f"{told} | None" if parameter.default is None else told)


def _handed_on(rule: Any, leaf: Any, value: Any) -> Any:
    """What a function gets: a length as an integer, anything else as it was given."""
    if not isinstance(rule, Rule) or rule.dtype is not np.int32:
        return value
    return int(leaf) if is_concrete(leaf) and not np.ndim(leaf) else leaf


def _allows_none(hint: Any) -> bool:
    """Whether an annotation, or the type that one is about, has None among its alternatives."""
    return hint is type(None) or any(_allows_none(part) for part in get_args(hint))


def _rules(hint: Any) -> tuple[Any, ...]:
    """The rules in an annotation, or in one of its alternatives."""
    return tuple(rule for part in (hint, *get_args(hint)) for rule in getattr(part, "__metadata__", ()))


def pick(condition: Any, this: Any, that: Any) -> Any:
    """`this` where a condition holds, which may be traced or an array, and `that` elsewhere."""
    return jnp.where(condition, this, that) if np.ndim(condition) or not is_concrete(condition) else this if condition else that


def at_most(caller: str, name: str, value: Any, limit: Any, limit_name: str, remedy: str = "lower it") -> None:
    """Raises ValueError if `value` is above `limit`, where both are known."""
    if is_concrete(value) and is_concrete(limit) and np.any(np.asarray(value) > np.asarray(limit)):
        raise argument_error(ValueError, caller, name, f"at most {limit_name}", value, remedy)


def after(warmup_steps: Any, steps: Any) -> Any:
    """What is left of a length after a warm-up, at least 1."""
    rest = steps - warmup_steps
    return max(rest, 1) if isinstance(rest, int) else jnp.maximum(rest, 1)


def plateau(
    caller: str,
    lr: Number,
    mode: str,
    factor: Number,
    patience: Whole,
    threshold: Number,
    threshold_mode: str,
    cooldown: Whole,
    min_lr: Number,
) -> optax.GradientTransformationExtraArgs:
    """`lrax.reduce_on_plateau` with PyTorch's arguments: it waits for one failure more than `patience`."""
    relative, absolute = tolerances(caller, threshold, threshold_mode)
    return reduce_on_plateau(
        factor,
        DELAY.convert(caller, "patience", patience) + np.int32(1),
        goal="min" if choice(caller, "mode", mode, ("min", "max")) == "min" else "max",
        rtol=relative,
        atol=absolute,
        cooldown=cooldown,
        min_scale=least(caller, lr, min_lr),
    )


def tolerances(caller: str, threshold: Number, threshold_mode: str) -> tuple[Number, Number]:
    """The relative and the absolute improvement that is needed."""
    relative = choice(caller, "threshold_mode", threshold_mode, ("rel", "abs")) == "rel"
    return (threshold, 0.0) if relative else (0.0, threshold)


def least(caller: str, lr: Any, min_lr: Any) -> Any:
    """A floor of the rate as one of the scale."""
    lr, min_lr = POSITIVE.convert(caller, "lr", lr), RATE.convert(caller, "min_lr", min_lr)
    if is_concrete(lr) and is_concrete(min_lr) and np.any(np.asarray(min_lr) > np.asarray(lr)):
        raise argument_error(ValueError, caller, "min_lr", f"at most `lr` ({lr})", min_lr, "lower it")
    return min_lr / lr


def join(caller: str, name: str, schedules: Many[Any], boundaries: Many[Any]) -> Schedule:
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


def exponential(start: Any, factor: Any, every: Any = 1, floor: Any = 0.0) -> Exponential:
    """Multiplies by `factor` over every `every` steps; a Python float keeps the digits that float32 would lose.

    As a float32, 0.9999 is off by 2e-8, and its power to 100,000 by 2e-3. So the factor of about as many steps as halve (or
    double) the learning rate is stored, and their number: of all such numbers the one whose factor float32 rounds least.

    >>> print(exponential(0.1, 0.9999))
    Exponential(start=0.1, factor=0.522081, every=6499)
    """
    if not (isinstance(factor, float | int) and isinstance(every, int) and factor > 0 and factor != 1):
        return Exponential(start, factor, every, floor)
    most = max(1, min(round(abs(math.log(2) / math.log(factor))), LARGEST // every))
    best = min(range(most, max(most - TRIED, 0), -1), key=lambda times: lost(factor**times) / times)
    return Exponential(start, factor**best, every * best, floor)


TRIED = 512
"""The best of this many values of `every` is taken."""


def lost(factor: float) -> float:
    """What float32 loses of a factor, as a fraction of it."""
    return abs(float(np.float32(factor)) / factor - 1)


def step_decay(start: Any, factor: Any, every: Any, floor: Any = 0.0) -> Schedule:
    """Multiplies by `factor` every `every` steps; a Python float of which many are multiplied keeps its digits.

    Those are the factors near 1, and all above 1 that float32 rounds: of a learning rate that grows, nothing becomes too small
    to matter.

    >>> print(step_decay(0.1, 0.5, 30))
    StepDecay(start=0.1, factor=0.5, every=30)
    >>> print(step_decay(0.1, 0.99, 30))
    Stretch(schedule=Exponential(start=0.1, factor=0.6491026, every=43), every=30)
    """
    if isinstance(factor, float) and factor > 0.95 and lost(factor):
        return Stretch(exponential(start, factor, floor=floor), every)
    return StepDecay(start, factor, every, floor)


def wave(caller: str, high: Any, low: Any, steps: Any, cycles: Any = 0.5) -> Schedule:
    """A cosine wave for ever, `cycles` of it in `steps` steps, which must be concrete unless it is half a one.

    >>> print([f"{rate:.2f}" for rate in wave("wave", 1.0, 0.0, 10, cycles=0.4)(jnp.array([0, 10, 25]))])
    ['1.00', '0.10', '1.00']
    """
    if cycles == 0.5:
        return Cycle(Sequence(Cosine(high, low, steps), Cosine(low, high, steps)))
    for_all = KNOWN.convert(caller, "num_training_steps", steps)
    if np.ndim(for_all):
        raise argument_error(ValueError, caller, "num_training_steps", "one number where `num_cycles` is not 0.5", steps)
    turns = Fraction(float(cycles)) / int(for_all) % 1  # in a step; whole turns are not seen
    turns = min(turns, 1 - turns)  # nor is the direction
    if turns == 0:
        return Constant(high)
    times = math.ceil(1 / (turns * 2**30))  # so slow a wave may change every few steps: by less than float32 shows
    nearest = (1 / (turns * times)).limit_denominator(int((LARGEST - 1) * turns * times))
    slow = Wave(high, low, nearest.numerator, nearest.denominator)
    return slow if times == 1 else Stretch(slow, min(times, LARGEST))


def all_whole(first: int, factor: Fraction, number: int) -> bool:
    """Whether `number` lengths are whole, each `factor` times the one before.

    >>> all_whole(4, Fraction(3, 2), 3), all_whole(4, Fraction(3, 2), 4)
    (True, False)
    """
    return factor.denominator == 1 or first % factor.denominator ** min(number - 1, 32) == 0


def total_of(first: int, factor: Fraction, number: int) -> int:
    """The sum of `number` lengths, each `factor` times the one before and not rounded: rounded up, at most 2**31 - 1.

    >>> total_of(4, Fraction(3, 2), 4)
    33
    """
    if factor == 1 or number == 1:
        return min(first * number, LARGEST)
    if number * math.log(factor) > 64:
        return LARGEST
    if number > EXACT:  # the sum is not whole then, unless by chance
        return min(math.ceil(first * math.expm1(number * math.log(factor)) / float(factor - 1)), LARGEST)
    return min(math.ceil(first * (factor**number - 1) / (factor - 1)), LARGEST)


EXACT = 4096
"""Up to this many lengths are summed as integers, however many digits they have."""
