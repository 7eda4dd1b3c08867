"""Errors for arguments: which caller, which argument, which value, and the fix."""

import difflib
import functools
import html
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from types import ModuleType
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where a function asks for the number of a traced value, as `float(x)`, `np.log(x)` and `if x:` do."""


def is_traced(value: object) -> bool:
    """Whether `value` stands for an array of a program that is being traced."""
    return isinstance(value, jax.core.Tracer)


def any_traced(tree: object) -> bool:
    """Whether any leaf of a pytree is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def is_key(leaf: object) -> bool:
    """Whether an array, or the shape of one, is of random keys."""
    return jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def is_concrete(value: object) -> bool:
    """Whether the numbers in `value` can be read now: no tracer, and no part of it on another host."""
    return not isinstance(value, jax.core.Tracer) and (not isinstance(value, jax.Array) or value.is_fully_addressable)


def array_module(*values: object) -> ModuleType:
    """`numpy` where all numbers are concrete, so that nothing is compiled for them; `jax.numpy` elsewhere."""
    for value in values:
        if not is_concrete(value):
            return jnp
    return np


def as_array(value: object) -> npt.NDArray[np.generic] | jax.Array:
    """`value` as a NumPy array, or a JAX array if it is one or says how to become one (variables of NNX and of Keras)."""
    if isinstance(value, jax.Array):
        return value
    convert = getattr(value, "__jax_array__", None)
    if not callable(convert):
        return np.asarray(value)
    return jnp.asarray(convert())


Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

SYNONYMS: dict[str, list[str]] = {
    word: meant.split()
    for words, meant in (
        ("lr learning_rate max_lr rate value", "peak high start value"),
        ("base_lr init_lr init_value initial_learning_rate peak", "low start peak value"),
        ("alpha eta_min min_lr final", "end low floor"),
        ("num_steps num_iter max_iter iterations T_max epochs length total_iters", "total_steps cycle_steps steps updates"),
        ("decay_steps transition_steps step_size", "every steps total_steps"),
        ("gamma decay_rate decay", "factor value_factor"),
        ("milestones", "boundaries counts"),
        ("T_0 steps_per_cycle", "cycle_steps"),
        ("steps_per_decay", "every"),
        ("base_learning_rate", "value peak start"),
        ("T_mult", "length_factor"),
        ("pct_start", "rise"),
        ("shape anneal_strategy", "mode"),
        ("exp exponential", "geometric"),
        ("cos", "cosine"),
        ("poly quadratic", "polynomial"),
        ("sqrt 1-sqrt", "one_minus_sqrt"),
    )
    for word in words.split()
}
"""Arguments of other libraries, and the names of lrax for them, the likeliest first."""


def argument_error(error: type[Exception], caller: str, name: str, needs: str, value: object, remedy: str = "") -> Exception:
    """An error in the one form of all messages: caller, argument, what it must be, what it was, and the fix."""
    name = name if len(name) <= 120 else name[:117] + "..."  # a place in a file may be long
    return error(f"{caller}: `{name}` must be {needs}, got {shown(value)}" + (f"; {remedy}" if remedy else ""))


def shown(value: object) -> str:
    """A value as it would be written, in at most 60 characters."""
    if isinstance(value, np.number):  # not as NumPy shows it
        value = float(str(value)) if isinstance(value, np.floating) else value.item()
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits, lists of a thousand levels
        text = f"<a value of type {type(value).__name__} that is too long to show>"
    return text if len(text) <= 60 else text[:57] + "..."


NO_QUOTES = "YAML takes 1e-3 for text: write 1.0e-3, and no quotes"
"""The remedy for a number that is given as text."""


def is_number_text(value: object) -> bool:
    """Whether `value` is a number written as text, or a list that holds one, however deep."""
    found = [value]
    for part in found:  # the list grows by the parts of the lists in it
        if isinstance(part, list | tuple):
            found.extend(part)
        elif isinstance(part, str):
            try:
                float(part)
            except ValueError:
                continue
            return True
    return False


def missing_extra(what: str, package: str, extra: str) -> ImportError:
    """The error if the package of an extra is not installed; `docs/install.md` gives the same command."""
    return ImportError(f"{what} needs {package}, the extra `{extra}`: python -m pip install '.[{extra}]' in a checkout of lrax")


def near(word: str, words: Collection[str]) -> str:
    """The one of `words` that a misspelt word, or a name from another library, means; "" if none is near.

    >>> near("peak_value", ["peak", "end"]), near("num_iter", ["end", "steps"]), near("wramup_steps", ["steps", "warmup_steps"])
    ('peak', 'steps', 'warmup_steps')
    """
    known = [one for one in SYNONYMS.get(word, []) if one in words]
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.7)
    pieces = set(word.lower().split("_"))
    shared = sorted((one for one in words if pieces & set(one.split("_"))), key=len)
    return next(iter([*known, *close, *shared, *difflib.get_close_matches(word, words, n=1)]), "")


def did_you_mean(word: str, words: Collection[str]) -> str:
    """A remedy that names the nearest word, or ""."""
    meant = near(word, words)
    return f"did you mean {meant!r}?" if meant else ""


def check_call(function: Callable[Parameters, Returned], caller: str = "") -> Callable[Parameters, Returned]:
    """`function`, which raises a helpful TypeError if the arguments of a call do not match its signature."""
    signature, caller = inspect.signature(function), caller or function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        bind(caller, signature, args, kwargs)
        return function(*args, **kwargs)

    return call


def bind(
    caller: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]
) -> inspect.BoundArguments:
    """`signature.bind`, whose TypeError names the mistake, what was probably meant, and how the call reads."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        raise _mismatch(caller, signature, args, kwargs) from None


def _mismatch(caller: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]) -> TypeError:
    parameters = {name: one for name, one in signature.parameters.items() if name != "self"}
    args = args[len(signature.parameters) - len(parameters) :]
    positional = [one.name for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    named = [name for name, one in parameters.items() if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    given = positional[: len(args)]
    call = f"it is {caller}{_written(parameters)}"
    for name in kwargs:
        if name in given:
            return TypeError(f"{caller}: got multiple values for argument `{name}`; {call}")
        if name not in named:
            meant = near(name, [one for one in named if one not in given and one not in kwargs] or named)
            hint = f"did you mean `{meant}`? I" if meant else "i"
            return TypeError(f"{caller}: there is no argument `{name}`; {hint}{call[1:]}")
    if len(args) > len(positional) and not any(one.kind is one.VAR_POSITIONAL for one in parameters.values()):
        takes = f"takes {plural(len(positional), 'positional argument')} but {len(args)} were given"
        return TypeError(f"{caller}: {takes}; {call}")
    missing = [
        name
        for name in (*positional, *named)
        if parameters[name].default is inspect.Parameter.empty and name not in given and name not in kwargs
    ]
    return TypeError(f"{caller}: `{missing[0]}` is missing; {call}" if missing else f"{caller}: {call}")


def _written(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Parameters as one writes them, without types; of many, without defaults."""
    plain = [one.replace(annotation=one.empty) for one in parameters.values()]
    whole = str(inspect.Signature(plain))
    return whole if len(whole) <= 160 else str(inspect.Signature([one.replace(default=one.empty) for one in plain]))


def choice(caller: str, name: str, value: object, words: Sequence[str]) -> str:
    """`value` if it is one of `words`."""
    if not isinstance(value, str):
        raise argument_error(TypeError, caller, name, f"one of {', '.join(map(repr, words))}", value)
    if value not in words:
        raise argument_error(
            ValueError, caller, name, f"one of {', '.join(map(repr, words))}", value, did_you_mean(value, words)
        )
    return value


def check_arity(caller: str, name: str, function: Callable[..., object], signature: str, arguments: int) -> None:
    """Raises TypeError if `function` cannot be called with `arguments` positional arguments."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError as error:
        raise argument_error(TypeError, caller, name, f"callable as {signature}", function, str(error)) from error
    except ValueError:  # some built-in callables have no signature
        return


def plural(number: int, word: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def name_of(function: object) -> str:
    """The name of a function; of a partial with its arguments; of another callable that of its class.

    >>> from functools import partial
    >>> print(name_of(optax.sgd), name_of(partial(optax.sgd, momentum=0.9)))
    sgd sgd(momentum=0.9)
    """
    if name := getattr(function, "__name__", ""):
        return str(name)
    if not isinstance(function, functools.partial):
        return type(function).__name__
    given = [repr(value) for value in function.args] + [f"{name}={value!r}" for name, value in function.keywords.items()]
    return f"{name_of(function.func)}({', '.join(given)})" if given else name_of(function.func)


class Shown:
    """A text that stands for a value whose own repr is long or says nothing."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words


class Text(str):
    """Lines of text that a notebook and a prompt show as lines, without `print`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="font-family: monospace">{html.escape(self)}</pre>'
