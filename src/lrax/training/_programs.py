"""Compiled programs that are shared by functions which do the same, and that keep none of the arrays those close over.

`jax.jit` knows a function by its identity: a loss that is written again in the next cell compiles again, and as long as a
jitted function lives, so do the arrays in its closure. Here a function is known by what it traces to. The arrays that it closes
over become arguments, so a program holds none of them and is the same for other data.

A program is kept for whoever traces to it next if it is all that it shows: no function of Python inside (a callback), no arrays
deeper in it (those of a jitted function in the function). What has such is kept as long as its caller lives.
"""

import collections
import functools
import threading
import types
import weakref
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from lrax.fields._errors import any_traced
from lrax.training._jaxprs import is_program, opened

FEW = 4
"""So many functions are kept for an caller."""

SHAPES = 32
"""Programs of one function, for different shapes, that are kept for an caller."""

MOST = 64
"""So many programs are kept for whoever traces to them next."""

RULES = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
"""Primitives whose other parameters are for derivatives, which do not matter to a program that is only run."""

QUICK = {"xla_backend_optimization_level": 1}
"""How XLA compiles on a CPU: in two thirds of the time, and updates measured no slower (`benchmarks/README.md`)."""

FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)


class Program:
    """What a function does, apart from the arrays that it closes over: `program(consts, *args)`.

    Its `jitted` functions are its own, so that they go when it goes.
    """

    def __init__(self, closed: Any, out_tree: Any) -> None:
        hollow = jax.extend.core.ClosedJaxpr(closed.jaxpr, [None] * len(closed.consts))  # from jax 0.11 on both are one
        self._jaxpr, self._out_tree = hollow.jaxpr, out_tree
        self._jitted: dict[Hashable, Any] = {}

    def __call__(self, consts: list[Any], *args: Any) -> Any:
        closed = jax.extend.core.ClosedJaxpr(self._jaxpr, consts)
        return jax.tree.unflatten(self._out_tree, jax.extend.core.jaxpr_as_fun(closed)(*jax.tree.leaves(args)))

    def jitted(self, function: Callable[..., Any], *static: Hashable, donated: int | None = None, inside: bool = False) -> Any:
        """`jax.jit` of `function(program, *static, ...)`.

        `donated` is the place of the argument whose memory is given away; `inside` says that it may be called while another
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
      outline: what it was told apart by.
      closed: its closed jaxpr.
      returned: what it returns, as shapes and dtypes.
    """

    program: Program
    consts: list[Any]
    outline: "Outline"
    closed: Any
    returned: Any

    def __call__(self, *args: Any) -> Any:
        """The function, compiled."""
        return self.program.jitted(_call, inside=any_traced((self.consts, args)))(self.consts, *args)


class Memory:
    """What is kept for one caller: functions that were traced for it, so that JAX knows them again, and the latest programs.

    These are the programs of the last function alone, one for each of the shapes that it was traced for.
    """

    def __init__(self) -> None:
        self._functions: list[Any] = []
        self._of: Any = None
        self.latest: list[Traced] = []

    def same(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function that was traced before and is equal to this one, or else this one."""
        known = next((one for one in self._functions if one == function), function)
        self._functions = [known, *(one for one in self._functions if one is not known)][:FEW]
        return known

    def keep(self, function: Callable[..., Any], traced: Traced) -> None:
        """Keeps a program; of those of another function than the one before, none."""
        same = self._of is function
        self._of = function
        self.latest = [traced, *(self.latest if same else [])][:SHAPES]


class Outline(NamedTuple):
    """What a traced program is told apart by.

    Attributes:
      key: equal for programs that do the same with equal arrays.
      consts: the arrays in it, those of the functions inside it included.
      whole: whether the key is all there is to it: no functions of Python, no arrays of functions inside it.
    """

    key: Hashable
    consts: list[Any]
    whole: bool

    def same(self, other: "Outline") -> bool:
        """Whether two programs do the same with the same arrays."""
        if self.key != other.key or len(self.consts) != len(other.consts):
            return False
        return all(a is b or bool(jnp.array_equal(a, b)) for a, b in zip(self.consts, other.consts, strict=True))


_shared: "collections.OrderedDict[Hashable, Program]" = collections.OrderedDict()
_memories: "weakref.WeakKeyDictionary[Any, Memory]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def trace(function: Callable[..., Any], *args: Any, caller: Any = None) -> Traced:
    """What `function(*args)` does, and the program that does it: one that is there already, if it can be.

    Args:
      function: a pure function of pytrees of arrays.
      args: arrays, or their shapes and dtypes.
      caller: who a program belongs to that cannot be shared; it is kept as long as its caller lives.
    """
    memory = None if caller is None else _memories.setdefault(caller, Memory())
    if memory is not None:
        function = memory.same(function)
    traced = jax.jit(function).trace(*args)
    closed: Any = traced.jaxpr
    out_tree: Any = jax.tree.structure(traced.out_info)
    latest = memory.latest if memory is not None else []
    for known in latest:
        if known.closed is closed and jax.tree.structure(known.returned) == out_tree:
            return known
    outline = outlined(closed, (jax.tree.structure(args), out_tree))
    found = Traced(_program(closed, out_tree, outline, latest), list(closed.consts), outline, closed, traced.out_info)
    if memory is not None:
        memory.keep(function, found)
    return found


def call(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` by one compiled program, shared by all functions that do the same; inside other programs, as it is."""
    return function(*args) if any_traced(args) else trace(function, *args)(*args)


def _program(closed: Any, out_tree: Any, outline: Outline, latest: list[Traced]) -> Program:
    with _lock:
        if outline.whole:
            if outline.key in _shared:
                _shared.move_to_end(outline.key)
            else:
                _shared[outline.key] = Program(closed, out_tree)
            if len(_shared) > MOST:
                _shared.popitem(last=False)
            return _shared[outline.key]
    return next((known.program for known in latest if known.outline.same(outline)), None) or Program(closed, out_tree)


def _call(program: Program, consts: list[Any], *args: Any) -> Any:
    return program(consts, *args)


def outlined(closed: Any, structure: Hashable = None) -> Outline:
    """What a closed jaxpr is told apart by: equations, parameters and literals, however its variables are called."""
    outline = _Outliner()
    key = structure, tuple((np.shape(const), str(jax.dtypes.result_type(const))) for const in closed.consts)
    nested = outline.of(closed.jaxpr)
    try:
        hash((key, nested))
    except TypeError:  # a parameter that is known by nothing but itself
        return Outline((key, id(closed)), [*closed.consts, *outline.consts], False)
    return Outline((key, nested), [*closed.consts, *outline.consts], outline.whole)


class _Outliner:
    """Walks a jaxpr."""

    def __init__(self) -> None:
        self.consts: list[Any] = []
        self.whole = True

    def of(self, jaxpr: Any) -> Hashable:
        names: dict[Any, int] = {}

        def named(atom: Any) -> Hashable:
            if isinstance(atom, Literal):
                value = np.asarray(atom.val)
                return "literal", str(atom.aval), value.tobytes()
            return names.setdefault(atom, len(names)), str(atom.aval)

        inputs = tuple(map(named, (*jaxpr.constvars, *jaxpr.invars)))
        equations = tuple(
            (
                equation.primitive.name,
                tuple(map(named, equation.invars)),
                self.parameters(equation),
                tuple(map(named, equation.outvars)),
            )
            for equation in jaxpr.eqns
        )
        self.whole = self.whole and not jaxpr.effects
        return inputs, equations, tuple(map(named, jaxpr.outvars))

    def parameters(self, equation: Any) -> Hashable:
        rules = equation.primitive.name in RULES
        self.whole = self.whole and "callback" not in equation.primitive.name
        return tuple(
            (name, self.value(value)) for name, value in sorted(equation.params.items()) if not rules or is_program(value)
        )

    def value(self, value: Any) -> Hashable:
        if is_program(value):
            consts = list(getattr(value, "consts", ()))
            self.consts += consts
            self.whole = self.whole and not consts
            return self.of(opened(value))
        if isinstance(value, list | tuple):
            return type(value).__name__, tuple(map(self.value, value))
        if isinstance(value, dict):
            return tuple((str(name), self.value(part)) for name, part in value.items())
        if isinstance(value, np.ndarray):
            return value.shape, str(value.dtype), value.tobytes()
        if isinstance(value, jax.Array):
            self.consts.append(value)
            self.whole = False
            return value.shape, str(value.dtype)
        if isinstance(value, float):
            return "float", repr(value)  # a NaN equals nothing
        if isinstance(value, FUNCTIONS):
            self.whole = False  # it may hold anything
        return type(value).__name__, value
