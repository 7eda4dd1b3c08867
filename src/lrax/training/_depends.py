"""Whether what a program returns depends on what it is given, read off its equations before anything runs."""

from collections.abc import Sequence
from typing import Any

from lrax.training._jaxprs import inside, opened

CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "checkpoint",
    "remat",
    "remat2",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
    "shard_map",
}
"""Primitives that call one program on their own inputs and return what it returns."""


def reaches(program: Any, inputs: Sequence[int], outputs: Sequence[int], carried: int = 0) -> bool:
    """Whether any of `outputs` of a traced program depends on any of `inputs`.

    Data are followed through the equations, and into calls, branches and scans. What cannot be followed (other primitives that
    hold programs, callbacks, arrays that are written in place) counts as a dependence, so False is certain and True is not. The
    derivative rules of a custom function are not looked at: they are no part of a program that runs.

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


def _dependent(jaxpr: Any, given: Sequence[bool]) -> list[bool]:
    """For each output of a program whether it depends on one of its inputs that are `given`."""
    known = {variable for variable, one in zip(jaxpr.invars, given, strict=True) if one}
    for equation in jaxpr.eqns:
        inputs = [_is_variable(variable) and variable in known for variable in equation.invars]
        if any(inputs):
            if equation.effects and not equation.primitive.name.startswith("debug"):
                return [True] * len(jaxpr.outvars)  # it may come back from where it was written to
            known |= {variable for variable, one in zip(equation.outvars, _through(equation, inputs), strict=True) if one}
    return [_is_variable(variable) and variable in known for variable in jaxpr.outvars]


def _through(equation: Any, inputs: list[bool]) -> list[bool]:
    """For each output of an equation whether it depends on one of its inputs."""
    inner, name = list(map(opened, inside(equation))), equation.primitive.name
    everything = [True] * len(equation.outvars)
    if name == "cond" and not inputs[0]:  # the first input says which branch
        inputs = inputs[1:]
    elif name not in CALLS | {"scan"} or len(inner) != 1:
        return everything
    if any((len(one.invars), len(one.outvars)) != (len(inputs), len(everything)) for one in inner):
        return everything
    if name == "scan":
        return _through_scan(inner[0], inputs)
    found = [_dependent(one, inputs) for one in inner]
    return [any(branches) for branches in zip(*found, strict=True)]


def _through_scan(body: Any, inputs: list[bool]) -> list[bool]:
    """The same for a scan, whose carry goes round: an output goes back to an input of its shape and dtype.

    Which one is not asked: equations of a scan say so by names that change between versions of JAX.
    """
    while True:
        found = _dependent(body, inputs)
        back = {_kind(variable) for variable, one in zip(body.outvars, found, strict=True) if one}
        grown = [one or _kind(variable) in back for variable, one in zip(body.invars, inputs, strict=True)]
        if grown == inputs:
            return found
        inputs = grown


def _kind(variable: Any) -> tuple[Any, Any]:
    return getattr(variable.aval, "shape", None), getattr(variable.aval, "dtype", None)


def _is_variable(variable: Any) -> bool:
    """Whether it stands for a value, and is no number written into the program."""
    return not hasattr(variable, "val")
