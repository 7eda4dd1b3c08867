"""Writes docs/api.txt: each public name with its parameters, one line each, so that a change shows in review."""

import enum
import importlib
import inspect
import pathlib
import types

PACKAGES = ("lrax", "lrax.schedules", "lrax.fields", "lrax.finder", "lrax.sweeps", "lrax.theory", "lrax.flax")
COMPAT = ("djl", "keras", "mxnet", "optax", "timm", "torch", "transformers")
FILE = pathlib.Path(__file__).parent / "api.txt"


def parameters(thing: object) -> str:
    """The parameters of a function or class: names, `=` where there is a default."""
    if isinstance(thing, enum.EnumType):
        return f"({', '.join(map(str, thing.__members__))})"  # its signature differs between versions of Python
    try:
        found = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    names, starred = [], False
    for one in found:
        if one.kind is one.KEYWORD_ONLY and not starred:
            names.append("*")
        starred = starred or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        prefix = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        names.append(f"{prefix}{one.name}{'' if one.default is one.empty else '='}")
    return f"({', '.join(names)})"


def members(name: str, thing: object) -> list[str]:
    """A name, and the public methods and properties of a class."""
    lines = [f"{name}{parameters(thing) if callable(thing) else ''}"]
    if isinstance(thing, type):
        for attribute, value in sorted(vars(thing).items()):
            plain = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if attribute.startswith("_") or not isinstance(plain, types.FunctionType | property):
                continue
            lines.append(f"{name}.{attribute}{parameters(plain) if callable(plain) else ''}")
    return lines


def listing() -> str:
    """All public names, in order; a name that is public in `lrax` and in one of its packages has one line for each."""
    lines = []
    for package in (*PACKAGES, *(f"lrax.compat.{name}" for name in COMPAT)):
        module = importlib.import_module(package)
        for name in sorted(module.__all__):
            lines += members(f"{package}.{name}", getattr(module, name))
    return "\n".join(dict.fromkeys(lines)) + "\n"


if __name__ == "__main__":
    FILE.write_text(listing())
