"""Errors for arguments: which caller, which argument, which value, and the fix."""

import difflib
import functools
import html
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

NEEDS_NUMBERS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where a function asks for the number of a traced value, as `float(x)`, `np.log(x)` and `if x:` do."""


def is_traced(value: object) -> bool:
    """Whether `value` stands for an array of a program that is being traced."""
    return isinstance(value, jax.core.Tracer)


def any_traced(tree: Any) -> bool:
    """Whether any leaf of a pytree is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def is_key(leaf: Any) -> bool:
    """Whether an array, or the shape of one, is of random keys."""
    return jnp.issubdtype(jax.dtypes.result_type(leaf), jax.dtypes.prng_key)


def is_concrete(value: object) -> bool:
    """Whether the numbers in `value` can be read now: no tracer, and no part of it on another host."""
    if is_traced(value):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def as_array(value: Any) -> np.ndarray[Any, Any] | jax.Array:
    """`value` as an array of NumPy, or of JAX where it is one or says how to become one (variables of NNX and of Keras)."""
    if not isinstance(value, jax.Array) and callable(getattr(value, "__jax_array__", None)):
        value = value.__jax_array__()
    return value if isinstance(value, jax.Array) else np.asarray(value)


Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

ELSEWHERE: dict[str, list[str]] = {
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
"""What other libraries, and people, call what has another name here; the first that there is, is meant."""


def argument_error(error: type[Exception], caller: str, name: str, needs: str, value: object, remedy: str = "") -> Exception:
    """The one form of every message: who, which argument, what it must be, what it was, and what to do."""
    name = name if len(name) <= LONG_NAME else name[: LONG_NAME - 3] + "..."
    return error(f"{caller}: `{name}` must be {needs}, got {shown(value)}" + (f"; {remedy}" if remedy else ""))


LONG_NAME = 120
"""A longer name of an argument, or place in a file, is cut."""


def shown(value: object) -> str:
    """A value as it would be written, in at most 60 characters."""
    if isinstance(value, np.number):  # not as NumPy shows it
        value = float(str(value)) if isinstance(value, np.floating) else value.item()
    try:
        text = repr(value)
    except (
        ValueError,
        RecursionError,
    ):  # Python does not write integers of thousands of digits, nor lists of a thousand levels
        text = f"<a value of type {type(value).__name__} that is too long to show>"
    return text if len(text) <= 60 else text[:57] + "..."


NO_QUOTES = "YAML takes 1e-3 for text: write 1.0e-3, and no quotes"
"""The remedy for a number that is given as text."""


def is_number_text(value: object) -> bool:
    """Whether `value` is a number that is written as text, or a list that holds one, however deep."""
    found = [value]
    for part in found:  # which grows by the lists in it
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
    """What is raised where the package of an extra is not installed; `docs/install.md` gives the same command."""
    return ImportError(f"{what} needs {package}, the extra `{extra}`: python -m pip install '.[{extra}]' in a checkout of lrax")


def near(word: str, words: Collection[str]) -> str:
    """The one of `words` that was meant by a misspelt one, or by what it is called elsewhere; "" if none is near.

    >>> near("peak_value", ["peak", "end"]), near("num_iter", ["end", "steps"]), near("wramup_steps", ["steps", "warmup_steps"])
    ('peak', 'steps', 'warmup_steps')
    """
    known = [one for one in ELSEWHERE.get(word, []) if one in words]
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.7)
    pieces = set(word.lower().split("_"))
    shared = sorted((one for one in words if pieces & set(one.split("_"))), key=len)
    return next(iter([*known, *close, *shared, *difflib.get_close_matches(word, words, n=1)]), "")


def did_you_mean(word: str, words: Collection[str]) -> str:
    """A remedy that names what was meant, or "" where nothing is near."""
    meant = near(word, words)
    return f"did you mean {meant!r}?" if meant else ""


def bound(caller: str, signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, defaults included; a call that does not fit is told how it reads and what was meant.

    Raises: TypeError for an argument too many, twice or missing, and for one that there is not.
    """
    parameters = signature.parameters
    placed = dict(zip(parameters, args, strict=False))
    found = {name: one.default for name, one in parameters.items()} | placed | kwargs
    wrong = len(args) > len(placed) or len(found) > len(parameters) or placed.keys() & kwargs.keys()
    if wrong or any(needed(value) for value in found.values()):
        raise misfit(caller, signature, args, kwargs)
    return found


def check_call(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """`function`; a call of it that does not fit is told how it reads and what was meant, as `bound` does for kinds."""
    signature, caller = inspect.signature(function), function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        bind(caller, signature, args, kwargs)
        return function(*args, **kwargs)

    return call


def bind(caller: str, signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    """`signature.bind`, with words for a call that does not fit."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        raise misfit(caller, signature, args, kwargs) from None


LONG_CALL = 160
"""A call that is longer is told without its defaults."""


def misfit(caller: str, signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> TypeError:
    """What is said of a call that does not fit: what is wrong, what was meant, and how the call reads."""
    parameters = {name: one for name, one in signature.parameters.items() if name != "self"}
    args = args[len(signature.parameters) - len(parameters) :]
    by_place = [one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    named = {name: one for name, one in parameters.items() if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
    more = any(one.kind is one.VAR_POSITIONAL for one in parameters.values())
    call = f"it is {caller}{_reads(parameters)}"
    for name in kwargs:
        if name in [one.name for one in by_place[: len(args)]]:
            return TypeError(f"{caller}: `{name}` is given twice, by its place and by its name; {call}")
        if name not in named:
            placed = [one.name for one in by_place[: len(args)]]
            meant = near(name, [one for one in named if one not in placed and one not in kwargs] or list(named))
            hint = f"did you mean `{meant}`? " if meant else ""
            return TypeError(f"{caller}: there is no argument `{name}`; {hint}{call[0].upper() if hint else 'i'}{call[1:]}")
    if len(args) > len(by_place) and not more:
        takes = f"takes {len(by_place)} arguments{' by their place' if len(named) > len(by_place) else ''}"
        return TypeError(f"{caller}: {takes}, got {len(args)}; {call}")
    given = {*[one.name for one in by_place[: len(args)]], *kwargs}
    missing = [one.name for one in (*by_place, *named.values()) if needed(one.default) and one.name not in given]
    return TypeError(f"{caller}: `{missing[0]}` is missing; {call}" if missing else f"{caller}: {call}")


def needed(default: object) -> bool:
    """Whether a parameter of this default must be given: it has none, or one that says so after others that have theirs."""
    return default is inspect.Parameter.empty or default is ...


def _reads(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Parameters as one writes them, without their types; of many, their names."""
    plain = [one.replace(annotation=one.empty) for one in parameters.values()]
    whole = str(inspect.Signature(plain)).replace("=Ellipsis", "")
    if len(whole) <= LONG_CALL:
        return whole
    return str(inspect.Signature([one.replace(default=one.empty) for one in plain]))


def choice(caller: str, name: str, value: object, words: Sequence[str]) -> str:
    """`value` if it is one of `words`."""
    if not isinstance(value, str):
        raise argument_error(TypeError, caller, name, f"one of {', '.join(map(repr, words))}", value)
    if value not in words:
        raise argument_error(
            ValueError, caller, name, f"one of {', '.join(map(repr, words))}", value, did_you_mean(value, words)
        )
    return value


def check_whole(caller: str, name: str, value: Any) -> None:
    """Raises if a value is not an integer of at least 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise argument_error(TypeError, caller, name, "an integer of at least 1", value)
    if value < 1:
        raise argument_error(ValueError, caller, name, "an integer of at least 1", value)


def check_arity(caller: str, name: str, function: Callable[..., Any], signature: str, arguments: int) -> None:
    """Raises TypeError if `function` cannot be called with that many positional arguments."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError as error:
        raise argument_error(TypeError, caller, name, f"callable as {signature}", function, str(error)) from error
    except ValueError:  # some built-in callables have no signature to look at
        return


def plural(number: int, word: str) -> str:
    """A number of things.

    >>> print(plural(1, "update"), plural(2, "update"))
    1 update 2 updates
    """
    return f"{number} {word}" + ("" if number == 1 else "s")


def name_of(function: Any) -> str:
    """What a function is called: its own name, or that of what a partial holds with what it gives, or its class's.

    >>> from functools import partial
    >>> print(name_of(optax.sgd), name_of(partial(optax.sgd, momentum=0.9)))
    sgd sgd(momentum=0.9)
    """
    if name := getattr(function, "__name__", ""):
        return str(name)
    inner = getattr(function, "func", None)
    if inner is None:
        return type(function).__name__
    given = [repr(value) for value in function.args] + [f"{name}={value!r}" for name, value in function.keywords.items()]
    return f"{name_of(inner)}({', '.join(given)})" if given else name_of(inner)


class Shown:
    """Words in place of a value or a type whose own text is long or says nothing."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words


class Text(str):
    r"""Lines that a notebook and a prompt show as lines, without `print`.

    >>> Text("two\nlines")
    two
    lines
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="font-family: monospace">{html.escape(self)}</pre>'
