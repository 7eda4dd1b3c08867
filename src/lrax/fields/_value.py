"""Frozen pytrees: the base of schedules and of the finder's rules."""

import abc
import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any, ClassVar, dataclass_transform, get_args, get_origin

import jax
import numpy as np
from jax.tree_util import GetAttrKey, Partial, register_pytree_with_keys

from lrax.fields._ratio import RatioRule
from lrax.fields._rules import Choice, Rule, Static
from lrax.fields._types import RATE, Offset


def _fields(schedule: Any) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a kind or of one schedule, in their order."""
    return dataclasses.fields(schedule)


def _rule(cls: type, name: str, hint: Any) -> Any:
    """The rule that stands in an annotation."""
    if hint is float:
        return RATE
    if hint is int:
        return get_args(Offset)[1]
    if hint is str or hint is bool:
        return Static()
    for extra in getattr(hint, "__metadata__", ()):
        if hasattr(extra, "convert"):
            return extra
    raise TypeError(f"{cls.__name__}: annotate `{name}` with one of lrax.fields, lrax.ScheduleLike, float, int, str or bool")


def _register(cls: Any, leaves: list[str], static: list[str]) -> None:
    """Makes `cls` a pytree. Unflattening never runs `__init__`: it meets tracers, None and placeholders."""

    def flatten(self: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(self, name) for name in leaves), tuple(getattr(self, name) for name in static)

    def flatten_with_keys(self: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, structure = flatten(self)
        return tuple((GetAttrKey(name), child) for name, child in zip(leaves, children, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], children: Iterable[Any]) -> Any:
        self = object.__new__(cls)
        self.__dict__.update(zip(static, structure, strict=True))
        self.__dict__.update(zip(leaves, children, strict=True))
        return self

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


@dataclass_transform(frozen_default=True, eq_default=False)
class Value(abc.ABC):  # noqa: B024  # what is abstract is left to the kinds
    """A frozen dataclass whose fields are checked and stored by the rule in their annotation, and a pytree of its numbers.

    Subclasses take annotated fields and need no decorator. Numbers become leaves; words and flags are static. Two values are
    equal only if they are the same object; compare their leaves instead.
    """

    _rules: ClassVar[dict[str, Any]] = {}
    _required: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        hints = inspect.get_annotations(cls, eval_str=True)
        own = {name: _rule(cls, name, hint) for name, hint in hints.items() if get_origin(hint) is not ClassVar}  # type: ignore[comparison-overlap]
        cls._rules = {**cls._rules, **own}
        missing = [name for name in cls._required if name not in cls._rules]
        if missing and not inspect.isabstract(cls):
            raise TypeError(f"{cls.__name__}: a phase needs a field `{missing[0]}: lrax.fields.Steps`, its length in updates")
        names = [field.name for field in _fields(cls)]
        leaves = [name for name in names if not isinstance(cls._rules[name], Choice | Static)]
        static = [name for name in names if name not in leaves]
        _register(cls, leaves, static)

    def __post_init__(self) -> None:
        for name, rule in self._rules.items():
            object.__setattr__(self, name, rule.convert(type(self).__name__, name, getattr(self, name)))
        self.check()

    def check(self) -> None:  # noqa: B027  # most kinds have no condition between fields
        """What must hold between fields; a kind that has such conditions raises `ValueError` here. Called once, at the end."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{field.name}={_shown(getattr(self, field.name))}" for field in _fields(self))
        return f"{type(self).__name__}({fields})"


def _shown(value: Any) -> str:
    """A field as it would be written in a call."""
    if isinstance(value, jax.core.Tracer):
        return f"<{value.dtype}{list(value.shape)}>"
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        if value.size > 16 or not (isinstance(value, np.ndarray | np.generic) or value.is_fully_addressable):
            return f"<{value.dtype}{list(value.shape)}>"
        array = np.asarray(value)
        if array.dtype == np.float32:  # the shortest decimals that give these float32 numbers
            array = array.astype(str).astype(np.float64)
        return repr(array.tolist())
    if isinstance(value, Partial):
        return getattr(value.func, "__qualname__", repr(value.func))
    return repr(value)


def is_batch(value: Any) -> bool:
    """Whether a field of a value has more axes than one value's."""
    leaves = zip(jax.tree.leaves(value), ranks(value), strict=True)
    return any(rank is not None and np.ndim(leaf) > rank for leaf, rank in leaves)


def ranks(value: Any) -> list[int | None]:
    """The rank of each leaf of one value, None where it is not known: the leaves of a user's own callables."""
    if not isinstance(value, Value):
        return [None] * len(jax.tree.leaves(value))
    found: list[int | None] = []
    for name, rule in value._rules.items():
        field = getattr(value, name)
        if isinstance(rule, Static | Choice):
            continue
        if isinstance(rule, Rule | RatioRule):
            found += [rule.rank if isinstance(rule, Rule) else 0] * len(jax.tree.leaves(field))
        else:
            found += [rank for part in (field if isinstance(field, tuple) else (field,)) for rank in ranks(part)]
    return found
