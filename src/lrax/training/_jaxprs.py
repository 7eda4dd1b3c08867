"""Traced programs, looked at from outside: their equations, the arrays in them, and what tells one from another.

What a program is made of is known here; only the outline of `_programs`, by which programs are known again, walks by itself.
It reads what `jax.extend.core` makes public, and no parameter of an equation by its name: those change with JAX's versions.
Programs inside are found wherever a parameter holds them.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from lrax.fields._errors import is_key


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations of a program, open or closed, and of the programs inside it, each program once, outer ones first."""
    for program in programs(jaxpr):
        yield from program.eqns


def programs(jaxpr: Any) -> Iterator[Any]:
    """A program and all that are inside it, open, each once, in an order that is the same whenever the trace is."""
    return (opened(found) for found in _held(jaxpr, set()))


def nested_consts(closed_jaxpr: Any) -> list[Any]:
    """The arrays that a program closes over, those of jitted functions inside it too, in a fixed order.

    An array may be the constant of a closed program, stand in an equation in the place of a variable, or be a parameter.
    """
    found: list[Any] = []
    for program in _held(closed_jaxpr, set()):
        found += getattr(program, "consts", ())
        for equation in opened(program).eqns:
            found += [place.val for place in equation.invars if isinstance(place, Literal)]
            found += [value for value in jax.tree.leaves(equation.params) if isinstance(value, jax.Array | np.ndarray)]
    return found


def callbacks(jaxpr: Any) -> list[str]:
    """The names of the equations that bring values from Python into a running program.

    What gives nothing back, such as `jax.debug.callback` or an `io_callback` that writes a log, changes no number.
    """
    calls = (equation for equation in equations(jaxpr) if "callback" in equation.primitive.name)
    return sorted({equation.primitive.name for equation in calls if equation.outvars})


def program_text(closed_jaxpr: Any) -> str:
    """A traced program as text, without the addresses of functions in custom rules."""
    return re.sub(r"0x[0-9a-f]{6,}", "", str(closed_jaxpr))


def program_digest(closed_jaxpr: Any) -> str:
    """What tells a program from every other one: its text and all arrays in it; not what `callbacks` would give it."""
    return hashlib.sha256((program_text(closed_jaxpr) + digest(nested_consts(closed_jaxpr))).encode()).hexdigest()


def digest(tree: Any) -> str:
    """What tells a pytree of arrays from every other one; of an array on several hosts, the parts at hand."""
    whole = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(tree))).encode())
    known: dict[int, bytes] = {}  # an array that many programs hold is read once
    leaves = jax.tree.leaves(tree)
    for leaf in leaves:
        if id(leaf) not in known:
            known[id(leaf)] = _digest_array(leaf)
        whole.update(known[id(leaf)])
    return whole.hexdigest()


def has_convolution(jaxpr: Any) -> bool:
    """Whether a program has a convolution, however deep."""
    return any(equation.primitive.name == "conv_general_dilated" for equation in equations(jaxpr))


def loop_state_bytes(jaxpr: Any) -> int:
    """The largest state that a loop of a program carries, in bytes.

    A `while` gives back its state. A `scan` gives back its state and then its stacked outputs, which have an axis more than
    inside; where that cannot be seen, all it gives back bounds its state.
    """
    sizes = [0]
    for equation in equations(jaxpr):
        carried = list(equation.outvars)
        if equation.primitive.name == "scan":
            inner: list[Any] = next(filter(None, (opened(found).outvars for found in inside(equation))), [])
            if len(inner) == len(carried):
                carried = [outer for outer, one in zip(carried, inner, strict=True) if _rank(outer) == _rank(one)]
        elif equation.primitive.name != "while":
            continue
        sizes.append(sum(map(_bytes, carried)))
    return max(sizes)


def _held(program: Any, seen: set[int]) -> Iterator[Any]:
    """A program and those inside it, open or closed as they are held."""
    if id(opened(program)) in seen:
        return
    seen.add(id(opened(program)))
    yield program
    for equation in opened(program).eqns:
        for inner in inside(equation):
            yield from _held(inner, seen)


def inside(equation: Any) -> list[Any]:
    """The programs that the parameters of an equation hold."""
    return [leaf for leaf in jax.tree.leaves(equation.params, is_leaf=is_program) if is_program(leaf)]


def is_program(value: Any) -> bool:
    """Whether a parameter of an equation is a program, open or closed."""
    return isinstance(value, ClosedJaxpr | Jaxpr)


def opened(program: Any) -> Any:
    """The open program in a closed one; from jax 0.11 on they are one class."""
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def _rank(variable: Any) -> int:
    return len(getattr(variable.aval, "shape", ()))


def _bytes(variable: Any) -> int:
    """The size of a variable; what has no shape or dtype, such as a token, has none."""
    shape, dtype = getattr(variable.aval, "shape", None), getattr(variable.aval, "dtype", None)
    return 0 if shape is None or dtype is None else math.prod(shape) * int(dtype.itemsize)


def _digest_array(leaf: Any) -> bytes:
    if is_key(leaf):
        leaf = jax.random.key_data(leaf)
    whole = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
    parts = [np.asarray(shard.data) for shard in leaf.addressable_shards] if whole else [np.asarray(leaf)]
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{part.dtype}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
    return found.digest()
