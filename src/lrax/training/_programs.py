"""Programs: what a function traces to, compiled once for all functions that do the same.

`jax.jit` knows a function by its identity: a loss that is written again in the next cell compiles again, and as long as a
jitted function lives, so do the arrays in its closure. Here a function is known by the text of what it traces to. The arrays
that it closes over become arguments, so a program stores none of them and is the same for other data.

This file reads only those parts of a traced program that are public in `jax.extend.core`. It reads no parameter of an equation
by its name, since the names change with JAX's versions, and finds programs inside a program wherever a parameter has them.
"""

import collections
import functools
import hashlib
import math
import re
import threading
import types
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from lrax.fields._errors import any_traced, is_key
from lrax.fields._rules import PyTree

SHAPES = 32
"""Programs of one function, for different shapes, that are stored for a caller."""

MOST = 64
"""Programs that are stored for whoever traces to them next."""

FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)

QUICK = {"xla_backend_optimization_level": 1}
"""How XLA compiles on a CPU: in two thirds of the time, and steps measured no slower (`benchmarks/README.md`)."""


Consts: TypeAlias = list[jax.Array | npt.NDArray[np.generic]]
"""The arrays that a function closes over."""

AnyJaxpr: TypeAlias = ClosedJaxpr | Jaxpr


class Program:
    """What a function does, apart from the arrays that it closes over: `program(consts, *args)`.

    Its `jitted` functions are its own, so that they go when it goes.
    """

    def __init__(self, closed: ClosedJaxpr, out_tree: jax.tree_util.PyTreeDef) -> None:
        hollow = ClosedJaxpr(closed.jaxpr, [None] * len(closed.consts))  # from jax 0.11 on both are one
        self._jaxpr, self._out_tree = hollow.jaxpr, out_tree
        self._jitted: dict[Hashable, jax.stages.Wrapped] = {}

    def __call__(self, consts: Consts, *args: PyTree) -> PyTree:
        closed = ClosedJaxpr(self._jaxpr, consts)
        return jax.tree.unflatten(self._out_tree, jax.extend.core.jaxpr_as_fun(closed)(*jax.tree.leaves(args)))

    def jitted(
        self, function: Callable[..., PyTree], *static: Hashable, donated: int | None = None, inside: bool = False
    ) -> jax.stages.Wrapped:
        """`jax.jit` of `function(program, *static, ...)`.

        `donated` is the index of the argument whose memory is given away; `inside` says that it may be called while another
        function is traced, which then says how it is compiled.
        """
        config: Any = jax.config
        made = function, static, donated, inside, config.jax_debug_nans  # under which jit gives no memory away, then or later
        if made not in self._jitted:
            given = () if donated is None else (donated,)
            options = QUICK if jax.default_backend() == "cpu" and not inside else None
            called = functools.partial(function, self, *static)
            self._jitted[made] = jax.jit(called, donate_argnums=given, compiler_options=options)
        return self._jitted[made]


class Traced(NamedTuple):
    """A function that was traced.

    Attributes:
      program: what it does.
      consts: the arrays that it closes over.
      closed: its closed jaxpr.
      returned: what it returns, as shapes and dtypes.
    """

    program: Program
    consts: Consts
    closed: ClosedJaxpr
    returned: PyTree

    def __call__(self, *args: PyTree) -> PyTree:
        """The function, compiled."""
        return self.program.jitted(Program.__call__, inside=any_traced((self.consts, args)))(self.consts, *args)


_shared: "collections.OrderedDict[Hashable, Program]" = collections.OrderedDict()
_lock = threading.Lock()
_latest: "weakref.WeakKeyDictionary[object, tuple[Callable[..., PyTree], list[Traced]]]" = weakref.WeakKeyDictionary()
"""By caller the last function that was traced for it, so that JAX knows it again, and its programs for different shapes."""


def trace(function: Callable[..., PyTree], *args: PyTree, caller: object = None) -> Traced:
    """What `function(*args)` does, and the program that does it: one that is there already, if it can be.

    A program is shared if its text is all there is to it: no function of Python in it (a callback), no arrays deeper in it
    (those of a jitted function in the function). One that has such is stored as long as its caller lives.

    Args:
      function: a pure function of pytrees of arrays.
      args: arrays, or their shapes and dtypes.
    """
    known, programs = (None, []) if caller is None else _latest.get(caller, (None, []))
    function, programs = (known, programs) if known is not None and known == function else (function, [])
    traced = jax.jit(function).trace(*args)
    closed = traced.jaxpr
    structure: PyTree = jax.tree.structure((args, traced.out_info))
    same = next((one for one in programs if one.closed is closed), None)
    if same is not None and jax.tree.structure((args, same.returned)) == structure:
        return same
    found = Traced(_program(closed, structure, traced.out_info, programs), list(closed.consts), closed, traced.out_info)
    if caller is not None:
        _latest[caller] = function, [found, *programs][:SHAPES]
    return found


def call(function: Callable[..., PyTree], *args: PyTree) -> PyTree:
    """`function(*args)` by one compiled program, shared by all functions that do the same; inside other programs, as it is."""
    return function(*args) if any_traced(args) else trace(function, *args)(*args)


def _program(closed: ClosedJaxpr, structure: Hashable, returned: PyTree, programs: list[Traced]) -> Program:
    """The shared program of a text, or that of the caller that does the same with the same arrays, or a new one."""
    made = Program(closed, jax.tree.structure(returned))
    if _hides(closed):
        return next((one.program for one in programs if same_program(one.closed, closed)), made)
    key = structure, program_text(closed), tuple(map(str, closed.in_avals))
    with _lock:
        found = _shared[key] = _shared.pop(key, made)
        if len(_shared) > MOST:
            _shared.popitem(last=False)
        return found


def same_program(one: ClosedJaxpr, other: ClosedJaxpr) -> bool:
    """Whether two traced programs do the same with the same arrays."""
    if one is other:
        return True
    pairs = nested_consts(one), nested_consts(other)
    if str(one) != str(other) or list(map(len, pairs)) != [len(pairs[0])] * 2:  # with the addresses of callbacks
        return False
    return all(a is b or bool(jnp.array_equal(a, b, equal_nan=True)) for a, b in zip(*pairs, strict=True))


def equations(jaxpr: AnyJaxpr) -> Iterator[JaxprEqn]:
    """All equations of a program, open or closed, and of the programs inside it, each program once, outer ones first."""
    for program in programs_in(jaxpr):
        yield from opened(program).eqns


def programs_in(program: AnyJaxpr, seen: set[int] | None = None) -> Iterator[AnyJaxpr]:
    """A program and all that are inside it, open or closed, each once, in an order that is the same whenever the trace is."""
    seen = set() if seen is None else seen
    if id(opened(program)) in seen:
        return
    seen.add(id(opened(program)))
    yield program
    for equation in opened(program).eqns:
        for inner in inside(equation):
            yield from programs_in(inner, seen)


def inside(equation: JaxprEqn) -> list[AnyJaxpr]:
    """The programs that the parameters of an equation hold."""
    return [leaf for leaf in jax.tree.leaves(equation.params, is_leaf=_is_program) if _is_program(leaf)]


def _is_program(value: object) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)


def opened(program: AnyJaxpr) -> Jaxpr:
    """The open program in a closed one; from jax 0.11 on they are one class."""
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def nested_consts(closed: ClosedJaxpr) -> Consts:
    """The arrays that a program closes over, those of jitted functions inside it too, in a fixed order.

    An array may be the constant of a closed program, be in an equation in the place of a variable, or be a parameter.
    """
    found: Consts = []
    for program in programs_in(closed):
        found += getattr(program, "consts", ())
        for equation in opened(program).eqns:
            found += [place.val for place in equation.invars if isinstance(place, Literal)]
            found += [value for value in jax.tree.leaves(equation.params) if isinstance(value, jax.Array | np.ndarray)]
    return found


def _hides(closed: ClosedJaxpr) -> bool:
    """Whether a program has arrays or functions of Python in it that its text does not show."""
    if any(len(getattr(program, "consts", ())) for program in programs_in(closed) if program is not closed):
        return True
    for equation in equations(closed):
        if "callback" in equation.primitive.name or equation.effects or any(map(_is_array, equation.invars)):
            return True
        rule = equation.primitive.name.startswith(("custom_jvp_call", "custom_vjp_call"))  # whose functions are for derivatives
        values = [] if rule else jax.tree.leaves(equation.params)
        if any(isinstance(value, (jax.Array, np.ndarray, *FUNCTIONS)) for value in values):
            return True
    return False


def _is_array(place: object) -> bool:
    """Whether an array, and not a number, is written into an equation in the place of a variable."""
    return isinstance(place, Literal) and np.ndim(place.val) > 0


def callbacks(jaxpr: AnyJaxpr) -> list[str]:
    """The names of the equations that bring values from Python into a running program.

    What gives nothing back, such as `jax.debug.callback` or an `io_callback` that writes a log, changes no number.
    """
    calls = (equation for equation in equations(jaxpr) if "callback" in equation.primitive.name)
    return sorted({equation.primitive.name for equation in calls if equation.outvars})


def has_convolution(jaxpr: AnyJaxpr) -> bool:
    """Whether a program has a convolution, however deep."""
    return any(equation.primitive.name == "conv_general_dilated" for equation in equations(jaxpr))


def loop_state_bytes(jaxpr: AnyJaxpr) -> int:
    """The largest state that a loop of a program carries, in bytes.

    A `while` gives back its state. A `scan` gives back its state and then its stacked outputs, which have an axis more than
    inside; where that cannot be seen, all it gives back bounds its state.
    """
    sizes = [0]
    for equation in equations(jaxpr):
        carried = list(equation.outvars)
        if equation.primitive.name == "scan":
            inner: list[Var | Literal] = next(filter(None, (opened(found).outvars for found in inside(equation))), [])
            if len(inner) == len(carried):
                pairs = zip(carried, inner, strict=True)
                carried = [outer for outer, one in pairs if len(_shape(outer)) == len(_shape(one))]
        elif equation.primitive.name != "while":
            continue
        sizes.append(sum(math.prod(_shape(one)) * one.aval.dtype.itemsize for one in carried if hasattr(one.aval, "dtype")))
    return max(sizes)


def _shape(variable: Var | Literal) -> tuple[int, ...]:
    return tuple(getattr(variable.aval, "shape", ()))  # a token has none


def program_text(closed: ClosedJaxpr) -> str:
    """A traced program as text, without the addresses of functions in custom rules."""
    return re.sub(r"0x[0-9a-f]{6,}", "", str(closed))


def program_digest(closed: ClosedJaxpr) -> str:
    """What tells a program from every other one: its text and all arrays in it; not what `callbacks` would give it."""
    return hashlib.sha256((program_text(closed) + digest(nested_consts(closed))).encode()).hexdigest()


def digest(tree: PyTree) -> str:
    """What tells a pytree of arrays from every other one; of an array on several hosts, the parts at hand."""
    whole = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(tree))).encode())
    known: dict[int, bytes] = {}  # an array that many programs hold is read once
    leaves = jax.tree.leaves(tree)
    for leaf in leaves:
        if id(leaf) not in known:
            known[id(leaf)] = _digest_array(leaf)
        whole.update(known[id(leaf)])
    return whole.hexdigest()


def _digest_array(leaf: Any) -> bytes:
    leaf = jax.random.key_data(leaf) if is_key(leaf) else leaf
    divided = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
    found = hashlib.sha256()
    for part in [one.data for one in leaf.addressable_shards] if divided else [leaf]:
        part = np.asarray(part)
        found.update(f"{part.dtype}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).view(np.uint8).data if part.size else b"")
    return found.digest()


def reaches(program: ClosedJaxpr, inputs: Sequence[int], outputs: Sequence[int], carried: int = 0) -> bool:
    """Whether any of `outputs` of a traced program depends on any of `inputs`.

    Data are followed through the equations, and into functions that are called (`jit`, `checkpoint`, custom rules). Loops,
    branches and callbacks count as a dependence, so False is certain and True is not.

    Args:
      program: what `jax.make_jaxpr(function)(...)` or `jax.jit(function).trace(...).jaxpr` gives.
      inputs: indices of flat inputs.
      outputs: indices of flat outputs.
      carried: how many of the first outputs become the first inputs the next time the program is called: what reaches an output
        after any number of calls counts.

    >>> program = jax.make_jaxpr(lambda weight, rate: (weight * 2, rate * weight))(1.0, 0.1)
    >>> reaches(program, [1], [0]), reaches(program, [1], [1])
    (False, True)
    """
    given = [i in set(inputs) for i in range(len(program.jaxpr.invars))]
    while True:
        found = _dependent(program.jaxpr, given)
        grown = [one or (i < carried and found[i]) for i, one in enumerate(given)]
        if grown == given:
            return any(found[i] for i in outputs)
        given = grown


def _dependent(jaxpr: AnyJaxpr, given: Sequence[bool]) -> list[bool]:
    """For each output of a program whether it depends on one of its inputs that are `given`."""
    known = {variable for variable, one in zip(jaxpr.invars, given, strict=True) if one}
    for equation in jaxpr.eqns:
        inputs = [not isinstance(variable, Literal) and variable in known for variable in equation.invars]
        if not any(inputs):
            continue
        if equation.effects and not equation.primitive.name.startswith("debug"):
            return [True] * len(jaxpr.outvars)  # it may come back from where it was written to
        found = [True] * len(equation.outvars)
        loop = equation.primitive.name.startswith(("scan", "while", "cond", "reduce"))
        inner = [] if loop else list(map(opened, inside(equation)))
        if len(inner) == 1 and (len(inner[0].invars), len(inner[0].outvars)) == (len(inputs), len(found)):
            found = _dependent(inner[0], inputs)
        known |= {variable for variable, one in zip(equation.outvars, found, strict=True) if one}
    return [not isinstance(variable, Literal) and variable in known for variable in jaxpr.outvars]
