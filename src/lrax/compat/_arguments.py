"""Peers' arguments, checked by the rules in a function's annotations and reported under the peer's names."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lrax.fields._errors import Shown, argument_error, bind, is_concrete
from lrax.fields._rules import Rule
from lrax.fields._types import DELAY, RATE, STEPS
from lrax.fields._value import reads
from lrax.schedules._base import Schedule

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
