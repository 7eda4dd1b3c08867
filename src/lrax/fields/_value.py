"""Frozen pytrees: the base of schedules and of the finder's rules."""

import abc
import bisect
import dataclasses
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_origin

import jax
import numpy as np
import numpy.typing as npt
from jax.tree_util import GetAttrKey, Partial, register_pytree_with_keys

from lrax.fields._errors import Shown, argument_error, bind, is_concrete, is_key, shown
from lrax.fields._rules import (
    INTEGER,
    RATE,
    Choice,
    Converter,
    Maybe,
    PyTree,
    Ratio,
    Rule,
    Static,
    nearest_ratio,
    nearest_time_factor,
)

NEW_CLASS_HOOKS: list[Callable[[type], None]] = []
"""Called with each new class. `lrax.flax` needs it: `flax.serialization` looks up the exact class, so each is registered."""


def _rule(cls: type, name: str, hint: object) -> Converter:
    """The rule in an annotation."""
    if hint is float:
        return RATE
    if hint is int:
        return INTEGER
    if hint is str or hint is bool:
        return Static()
    for extra in getattr(hint, "__metadata__", ()):
        if hasattr(extra, "convert"):
            rule: Converter = extra
            return rule
    raise TypeError(f"{cls.__name__}: annotate `{name}` with one of lrax.fields, lrax.ScheduleLike, float, int, str or bool")


def _register(cls: type, leaves: tuple[str, ...], static: tuple[str, ...]) -> None:
    """Makes `cls` a pytree. Unflattening never runs `__init__`: it meets tracers, None and placeholders."""
    keys = [GetAttrKey(name) for name in leaves]

    def flatten(self: Any) -> tuple[tuple[Any, ...], tuple[object, ...]]:
        field = vars(self).__getitem__
        return tuple(map(field, leaves)), tuple(map(field, static))

    def flatten_with_keys(self: Any) -> tuple[tuple[tuple[GetAttrKey, Any], ...], tuple[object, ...]]:
        field = vars(self).__getitem__
        return tuple(zip(keys, map(field, leaves), strict=True)), tuple(map(field, static))

    def unflatten(structure: Any, children: Iterable[Any]) -> Any:
        self: Any = object.__new__(cls)
        self.__dict__.update(zip(static, structure, strict=True))
        self.__dict__.update(zip(leaves, children, strict=True))
        return self

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def reads(rule: object) -> Shown:
    """The type of an argument in a few words, for the signature that an editor shows."""
    if isinstance(rule, Maybe):
        return Shown(f"{reads(rule.rule)} | None")
    if isinstance(rule, Choice):
        return Shown(f"Literal[{', '.join(map(repr, rule.words))}]" if len(rule.words) <= 4 else "str")
    if written := getattr(rule, "reads", ""):
        return Shown(written)
    if isinstance(rule, Rule):
        number = "int" if rule.dtype is np.int32 else "float"
        return Shown(f"Sequence[{number}] | Array" if rule.rank else f"{number} | Array")
    return Shown("Any")


def _give_init(cls: type["Value"]) -> None:
    """A constructor whose errors explain a wrong call, and whose signature can be read."""

    def __init__(self: Value, *args: object, **kwargs: object) -> None:  # noqa: N807  # it becomes the method of that name
        call = bind(cls.__name__, signature, args, kwargs)
        call.apply_defaults()
        fill(self, call.arguments, len(args))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=reads(cls._rules[field.name]),
        )
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]  # a dataclass by now
    ]
    signature = inspect.Signature(parameters)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    # the signature belongs to the function: one of the class would be found on its instances, which are callable themselves
    __init__.__signature__ = inspect.Signature([itself, *parameters])  # type: ignore[attr-defined]  # as inspect documents it
    cls.__init__ = __init__  # type: ignore[assignment, method-assign]


MOST_LEVELS = 32
"""How many values may be inside each other: Python's stack holds whatever is done with them."""


def parts_of(value: "Value") -> "list[Value]":
    """The values in the fields of a value."""
    found: list[Value] = []
    for name in value._rules:
        field = vars(value)[name]
        for part in field if isinstance(field, tuple) else (field,):
            if isinstance(part, Value):
                found.append(part)
    return found


def levels(value: "Value") -> int:
    """How many values are inside each other."""
    return 1 + max(map(levels, parts_of(value)), default=0)


def fill(self: "Value", given: Mapping[str, object], positional: int = 0) -> None:
    """Stores the fields, each as its rule converts it, and checks the conditions between them."""
    wrong = ""
    try:
        for wrong, rule in self._rules.items():
            object.__setattr__(self, wrong, rule.convert(type(self).__name__, wrong, given[wrong]))
        wrong = ""
        if levels(self) > MOST_LEVELS:
            remedy = "put them next to each other, as in lrax.Product(*schedules)"
            raise argument_error(ValueError, type(self).__name__, "schedule", f"of at most {MOST_LEVELS} levels", self, remedy)
        self.check()
    except (TypeError, ValueError) as error:
        pair = swapped(type(self), given, list(given)[:positional], wrong)
        if not pair:
            raise
        said = str(error).partition("; ")[0]
        order = f"`{pair[0]}` and `{pair[1]}` seem to be in each other's place: the order is {', '.join(given)}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{said}; {order}") from error


V = TypeVar("V", bound="Value")


def checked(value_class: type[V], *args: object, **fields: object) -> V:
    """`value_class(*args, **fields)`: the other way to build the parts of a recipe, next to `unchecked`."""
    return value_class(*args, **fields)


def unchecked(value_class: type[V], *args: object, **fields: object) -> V:
    """A value with fields that are stored as they are: numbers that were checked before, or cannot be, inside a trace."""
    self = object.__new__(value_class)
    named = {value_class._variadic: args} if value_class._variadic else dict(zip(value_class._rules, args, strict=False))
    vars(self).update({name: _narrow(value) for name, value in (named | fields).items()})
    if len(vars(self)) < len(value_class._rules):
        vars(self).update(_defaults(value_class) | vars(self))
    return self


NARROW = {"i": np.int32, "f": np.float32}
"""What Python's numbers and NumPy's wide ones become: NumPy widens int32 where a Python int is added to it, as JAX does not."""


def _narrow(value: object) -> object:
    """A number as it would be stored if it was checked."""
    if type(value) in (int, float) or (isinstance(value, np.ndarray | np.generic) and value.dtype.itemsize == 8):
        array = np.asarray(value)
        return array.astype(NARROW[array.dtype.kind])[()] if array.dtype.kind in NARROW else value
    return value


@functools.cache
def _defaults(value_class: type["Value"]) -> dict[str, object]:
    """The fields that have a default, converted."""
    fields = dataclasses.fields(value_class)  # type: ignore[arg-type]  # a dataclass
    return {
        field.name: value_class._rules[field.name].convert(value_class.__name__, field.name, field.default)
        for field in fields
        if field.default is not dataclasses.MISSING
    }


def swapped(cls: type["Value"], given: Mapping[str, object], places: list[str], wrong: str) -> tuple[str, str] | None:
    """Two positional arguments that were given in each other's place; `wrong` names the refused one, or "" if none alone is.

    They are found by trying: if the two are swapped there is no error, and both look like what they are then.
    """
    for one, other in itertools.combinations(places, 2):
        pair = (other, one) if wrong == other else (one, other)
        if wrong in ("", one, other) and _look_swapped(cls._rules, given, *pair, wrong):
            try:
                fill(object.__new__(cls), {**given, one: given[other], other: given[one]})
            except Exception:  # of the user's own rules and checks, too
                continue
            return pair
    return None


def _look_swapped(rules: Mapping[str, Converter], given: Mapping[str, Any], name: str, other: str, wrong: str) -> bool:
    """Whether the values of two arguments look like those of each other; `name` is the refused one, if one is.

    If neither is refused by itself, only two lengths can be swapped. Of two numbers one is a length and the other a rate.
    """
    rule, others = (one.rule if isinstance(one, Maybe) else one for one in (rules[name], rules[other]))
    value, candidate = given[name], given[other]
    if not isinstance(rule, Rule) or not isinstance(others, Rule):
        return bool(wrong)
    scalars = [isinstance(one, int | float | np.number) for one in (value, candidate)]
    if rule.rank or others.rank:
        if rule.dtype is not np.int32 or not wrong:
            return bool(wrong)
        return bool(value < 2) if scalars[0] else _are_counts(candidate) and not _are_counts(value)
    lengths = [one.dtype is np.int32 for one in (rule, others)]
    if not all(scalars) or not wrong or lengths[0] == lengths[1]:
        return all(scalars) and not wrong and all(lengths)
    rate, length = (value, candidate) if lengths[0] else (candidate, value)
    whole = length >= 2 if isinstance(length, int | np.integer) else length >= 10 and length == math.floor(length)
    return bool(whole and isinstance(rate, float | np.floating) and 0 <= rate < 1)


def _are_counts(value: Any) -> bool:
    """Whether a list holds whole numbers, as a list of counts does and one of learning rates hardly ever."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, jax.errors.TracerArrayConversionError):
        return False
    return bool(numbers.size and (numbers == np.floor(numbers)).all() and numbers.max() >= 2)


def _refuse(self: "Value", name: str, *value: object) -> None:
    """Raises where an attribute would be assigned or deleted."""
    said = f"{type(self).__name__}: `{name}` cannot be {'assigned' if value else 'deleted'}, because it is frozen"
    if name in self._rules and value:
        said += f"; dataclasses.replace(value, {name}={shown(*value)}) returns a changed copy of `value`"
    raise dataclasses.FrozenInstanceError(said)


@dataclass_transform(frozen_default=True, eq_default=False)
class Value(abc.ABC):  # noqa: B024  # subclasses have abstract methods
    """A frozen dataclass whose fields are checked and stored by the rule in their annotation, and a pytree of its numbers.

    Subclasses take annotated fields and need no decorator. Numbers become leaves; words and flags are static.

    Two values are equal if they have the same class, words and flags, and leaves of the same dtypes, shapes and bits. A traced
    number equals itself only. Equal values have one hash, so a value can be a key, and static under `jit`.

    A class with `init=False` uses the constructor of its base.
    """

    _rules: ClassVar[dict[str, Converter]] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _variadic: ClassVar[str] = ""
    _shows_defaults: ClassVar[bool] = True

    def __init_subclass__(cls, init: bool = True, **options: object) -> None:
        dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)(cls)
        hints = inspect.get_annotations(cls, eval_str=True)
        own = {name: _rule(cls, name, hint) for name, hint in hints.items() if get_origin(hint) is not ClassVar}  # type: ignore[comparison-overlap]
        cls._rules = {**cls._rules, **own}
        missing = [name for name in cls._required if name not in cls._rules]
        if missing and not inspect.isabstract(cls):
            raise TypeError(f"{cls.__name__}: a phase needs a field `{missing[0]}: lrax.fields.Steps`, its length in steps")
        static = tuple(name for name, rule in cls._rules.items() if isinstance(rule, Choice | Static))
        _register(cls, tuple(name for name in cls._rules if name not in static), static)
        if init and "__init__" not in vars(cls):
            _give_init(cls)
        cls.__setattr__ = cls.__delattr__ = _refuse  # type: ignore[method-assign, assignment]  # the dataclass's have no remedy
        for hook in NEW_CLASS_HOOKS:
            hook(cls)

    def check(self) -> None:  # noqa: B027  # most classes have no condition between fields
        """Raises `ValueError` if a condition between fields does not hold. Called once, at the end of construction."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return identity(self) == identity(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(identity(self))

    def __repr__(self) -> str:
        fields = [(field, getattr(self, field.name)) for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        texts = [
            f"{field.name}={_shown(value)}"
            for field, value in fields
            if self._shows_defaults or not self._is_default(field, value)
        ]
        return f"{type(self).__name__}({', '.join(texts)})"

    def _is_default(self, field: dataclasses.Field[object], value: object) -> bool:
        """Whether a field holds its default."""
        if field.default is dataclasses.MISSING or field.default is None or value is None:
            return value is field.default
        return identity(_defaults(type(self))[field.name]) == identity(value)


def identity(tree: PyTree) -> tuple[object, ...]:
    """The structure of a pytree and the bits of its leaves: the same for two pytrees if and only if they are equal."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *map(_bits, leaves)


def _bits(leaf: object) -> object:
    """A leaf as something to compare and to hash: the bits of a concrete number; a traced one equals itself only."""
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return leaf
    if not is_concrete(leaf):
        return "traced", id(leaf)
    array = np.asarray(jax.random.key_data(leaf) if isinstance(leaf, jax.Array) and is_key(leaf) else leaf)
    return str(leaf.dtype), array.shape, array.tobytes()


def shortest(array: npt.NDArray[np.number]) -> npt.NDArray[np.number]:
    """Float32 numbers as the float64 numbers with the shortest decimals that give them back; other numbers as they are."""
    if array.dtype != np.float32:
        return array
    decimal = array.astype(str).astype(np.float64)
    return np.where(decimal.astype(np.float32) == array, decimal, array.astype(np.float64))


def _shown(value: object) -> str:
    """A field as it would be written in a call."""
    if isinstance(value, Ratio):
        return _shown_ratio(value)
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        if value.dtype == jax.dtypes.float0:  # the gradient with respect to an integer: nothing
            return "<float0>"
        if not is_concrete(value) or value.size > 16:
            return f"<{value.dtype}{list(value.shape)}>"
        return repr(shortest(np.asarray(value)).tolist())
    if isinstance(value, Partial):
        return str(getattr(value.func, "__qualname__", repr(value.func)))
    return repr(value)


def _shown_ratio(ratio: Ratio) -> str:
    """A ratio as the shortest number that becomes it."""
    if all(map(is_concrete, ratio)) and np.size(ratio.numerator) <= 16:
        return repr(decimal(ratio).tolist())
    return f"<Ratio{list(np.shape(ratio.numerator))}>" if np.ndim(ratio.numerator) else repr(ratio)


def decimal(ratio: Ratio) -> npt.NDArray[np.number]:
    """A ratio as the float64 number with the fewest digits that becomes it; the quotient itself if none does."""

    def number(numerator: int, denominator: int) -> float:
        if denominator == 1:
            return int(numerator)
        parts = numerator, denominator
        decimals = [float(f"{numerator / denominator:.{digits}g}") for digits in range(1, 18)]
        first = bisect.bisect_left(decimals, True, key=lambda one: parts == nearest_ratio(one) == nearest_time_factor(one))
        return decimals[first] if first < len(decimals) else float(numerator / denominator)

    return np.asarray(np.vectorize(number, otypes=[object])(*ratio))


def is_batch(value: PyTree) -> bool:
    """Whether a field of a value has more axes than one value's."""
    leaves = zip(jax.tree.leaves(value), ranks(value), strict=True)
    return any(rank is not None and np.ndim(leaf) > rank for leaf, rank in leaves)


def ranks(value: PyTree) -> list[int | None]:
    """The rank of each leaf of one value; None for the leaves of a user's own callables, where it is unknown."""
    if not isinstance(value, Value):
        return [None] * len(jax.tree.leaves(value))
    found: list[int | None] = []
    for name, rule in value._rules.items():
        field, rule = getattr(value, name), rule.rule if isinstance(rule, Maybe) else rule
        if isinstance(rule, Static | Choice):
            continue
        if isinstance(rule, Rule) or isinstance(field, Ratio):
            found += [rule.rank if isinstance(rule, Rule) else 0] * len(jax.tree.leaves(field))
        else:
            found += [rank for part in (field if isinstance(field, tuple) else (field,)) for rank in ranks(part)]
    return found


def unbatch(caller: str, value: V) -> list[V]:
    """The values of a batch as a list; of a value that is not a batch, itself.

    >>> unbatch("plot", lrax.Linear(start=np.array([0.1, 0.2]), end=0.0, steps=10))
    [Linear(start=0.1, end=0.0, steps=10), Linear(start=0.2, end=0.0, steps=10)]
    """
    leaves, structure = jax.tree.flatten(value)
    extra = [0 if rank is None else np.ndim(leaf) - rank for leaf, rank in zip(leaves, ranks(value), strict=True)]
    sizes = {np.shape(leaf)[0] for leaf, axes in zip(leaves, extra, strict=True) if axes}
    if not sizes:
        return [value]
    if len(sizes) > 1 or max(extra) > 1:
        raise argument_error(ValueError, caller, "schedules", "of at most one leading axis, the same for all fields", value)
    return [
        jax.tree.unflatten(structure, [leaf[i] if axes else leaf for leaf, axes in zip(leaves, extra, strict=True)])
        for i in range(sizes.pop())
    ]
