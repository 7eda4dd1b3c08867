"""Schedulers of other libraries, number for number, made of lrax's schedules, under their own names and arguments.

One module for each library: `djl`, `keras`, `mxnet`, `optax`, `timm`, `torch` and `transformers`. None of them imports the
library. The value of a schedule at `count` is the learning rate of the library's step number `count + 1`, in every detail.
Schedules can be vmapped, saved and passed into `jit`. Learning rates may be traced; lengths, and whatever decides how a
schedule is put together, must be concrete where a function says so. Every function raises ValueError for a number that is out
of range or an unknown word, and TypeError for a call that does not fit. Schedulers that react to a loss (`ReduceLROnPlateau`
and similar ones) are transformations for the end of an `optax.chain`. `docs/migrating.md` has a table for further libraries.
"""

import importlib as _importlib
import types as _types
import typing as _typing

if _typing.TYPE_CHECKING:
    from lrax.compat import djl, keras, mxnet, optax, timm, torch, transformers

__all__ = ["djl", "keras", "mxnet", "optax", "timm", "torch", "transformers"]


def __getattr__(name: str) -> _types.ModuleType:
    if name in __all__:
        return _importlib.import_module(f"lrax.compat.{name}")
    raise AttributeError(f"module 'lrax.compat' has no attribute {name!r}", name=name)
