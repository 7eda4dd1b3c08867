"""The griffe extension that mkdocstrings runs over the source: docstrings as pages, and the signatures of kinds."""

import inspect
import pathlib
import re
import sys
from typing import Any

import griffe

import lrax

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from lrax_site import docstrings


class Docstrings(griffe.Extension):
    """The extension: rewrites each docstring when its object has been read."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Gives a kind its signature, which is made of its fields."""
        caller = docstrings.runtime(cls.canonical_path)
        if isinstance(caller, type) and issubclass(caller, lrax.Schedule) and "__init__" not in cls.members:
            cls.set_member("__init__", _init(caller, cls))

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Shows the value of a default that the source names, such as `BUDGET`, and all defaults as text without links."""
        caller = docstrings.runtime(func.canonical_path)
        for parameter in func.parameters:
            if parameter.default is not None:
                parameter.default = str(parameter.default)
            if callable(caller) and re.fullmatch(r"[A-Z][A-Z0-9_]*", str(parameter.default)):
                value = inspect.signature(caller).parameters[parameter.name].default
                parameter.default = repr(value) if isinstance(value, int | float) else f"{type(value).__name__}(...)"

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Makes a page of the docstring."""
        if obj.docstring is not None and not obj.is_module:
            obj.docstring.value = docstrings.as_markdown(obj.docstring.value, obj.canonical_path)


def _init(caller: type, cls: griffe.Class) -> griffe.Function:
    """The constructor of a kind as Python itself describes it."""
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    for parameter in inspect.signature(caller).parameters.values():
        default = "..." if parameter.default is ... else repr(parameter.default)  # needed, after what may be left out
        shown = {} if parameter.default is inspect.Parameter.empty else {"default": default}
        annotation = inspect.formatannotation(parameter.annotation).replace("jax.Array", "Array")
        annotation = re.sub(r"\b(?:lrax|collections|typing)(?:\.\w+)*\.(\w+)", r"\1", annotation)
        kind = griffe.ParameterKind[parameter.kind.name.lower()]
        parameters.append(griffe.Parameter(parameter.name, annotation=annotation, kind=kind, **shown))
    lines = {"lineno": cls.lineno, "endlineno": cls.endlineno}  # its source is that of the class
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=cls, **lines)
