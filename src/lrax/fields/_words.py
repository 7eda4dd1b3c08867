"""What is said about bad input: one form of message, which names the owner, the argument, the value and the remedy."""

import difflib
import html
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

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
        ("T_0", "cycle_steps"),
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


def complain(error: type[Exception], owner: str, name: str, needs: str, value: object, remedy: str = "") -> Exception:
    """The one form of every message: who, which argument, what it must be, what it was, and what to do."""
    if isinstance(value, np.number):  # as it would be written, not as NumPy shows it
        value = float(str(value)) if isinstance(value, np.floating) else value.item()
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return error(f"{owner}: `{name}` must be {needs}, got {shown}" + (f"; {remedy}" if remedy else ""))


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


def bound(owner: str, signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, defaults included; a call that does not fit is told how it reads and what was meant.

    Raises: TypeError for an argument too many, twice or missing, and for one that there is not.
    """
    parameters = signature.parameters
    reads = ", ".join(name if one.default is one.empty else f"{name}={one.default!r}" for name, one in parameters.items())
    call = f"it is {owner}({reads})"
    if len(args) > len(parameters):
        raise TypeError(f"{owner}: takes {len(parameters)} arguments, got {len(args)}; {call}")
    given = dict(zip(parameters, args, strict=False))
    for name in kwargs:
        if name in given:
            raise TypeError(f"{owner}: `{name}` is given twice, by its place and by its name; {call}")
        if name not in parameters:
            meant = near(name, [one for one in parameters if one not in given and one not in kwargs] or list(parameters))
            hint = f"did you mean `{meant}`? " if meant else ""
            raise TypeError(f"{owner}: there is no argument `{name}`; {hint}{call[0].upper() if hint else 'i'}{call[1:]}")
    given |= kwargs
    for name, one in parameters.items():
        if name not in given and one.default is one.empty:
            raise TypeError(f"{owner}: `{name}` is missing; {call}")
    return {name: given.get(name, one.default) for name, one in parameters.items()}


def choice(owner: str, name: str, value: object, words: Sequence[str]) -> str:
    """`value` if it is one of `words`."""
    if not isinstance(value, str):
        raise complain(TypeError, owner, name, f"one of {', '.join(map(repr, words))}", value)
    if value not in words:
        raise complain(ValueError, owner, name, f"one of {', '.join(map(repr, words))}", value, did_you_mean(value, words))
    return value


def check_whole(owner: str, name: str, value: Any) -> None:
    """Raises if a value is not an integer of at least 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise complain(TypeError, owner, name, "an integer of at least 1", value)
    if value < 1:
        raise complain(ValueError, owner, name, "an integer of at least 1", value)


def check_arity(owner: str, name: str, function: Callable[..., Any], signature: str, arguments: int) -> None:
    """Raises TypeError if `function` cannot be called with that many positional arguments."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError as error:
        raise complain(TypeError, owner, name, f"callable as {signature}", function, str(error)) from error
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
