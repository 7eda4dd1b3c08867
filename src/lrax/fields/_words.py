"""What is said about bad input: one form of message, which names the owner, the argument, the value and the remedy."""

import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def complain(error: type[Exception], owner: str, name: str, needs: str, value: object, remedy: str = "") -> Exception:
    """The one form of every message: who, which argument, what it must be, what it was, and what to do."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return error(f"{owner}: `{name}` must be {needs}, got {shown}" + (f"; {remedy}" if remedy else ""))


def choice(owner: str, name: str, value: object, words: Sequence[str]) -> str:
    """`value` if it is one of `words`."""
    if not isinstance(value, str):
        raise complain(TypeError, owner, name, f"one of {', '.join(map(repr, words))}", value)
    if value not in words:
        close = difflib.get_close_matches(value, words, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else ""
        raise complain(ValueError, owner, name, f"one of {', '.join(map(repr, words))}", value, remedy)
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
