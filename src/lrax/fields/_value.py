"""Frozen pytrees: the base of schedules and of the finder's rules."""

import abc
import bisect
import dataclasses
import inspect
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, dataclass_transform, get_origin

import jax
import numpy as np
from jax.tree_util import GetAttrKey, Partial, register_pytree_with_keys

from lrax.fields._errors import Shown, argument_error, bound, is_concrete, is_key, shown
from lrax.fields._rules import Choice, Ratio, RatioRule, Rule, Static, nearest_ratio, nearest_time_factor
from lrax.fields._types import INTEGER, RATE, Maybe

NEW_KIND: list[Callable[[type], None]] = []
"""Called with every kind that is made from now on: for registries that go by the exact class, as `flax.serialization` does."""


def _fields(schedule: Any) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a kind or of one schedule, in their order."""
    return dataclasses.fields(schedule)


def has_default(field: dataclasses.Field[Any]) -> bool:
    """Whether a field may be left out; one that must be given after others that need not be has the default `...`."""
    return field.default is not dataclasses.MISSING and field.default is not ...


def _rule(cls: type, name: str, hint: Any) -> Any:
    """The rule that stands in an annotation."""
    if hint is float:
        return RATE
    if hint is int:
        return INTEGER
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


FEW = 4
"""More words than these to choose from are not listed in a signature."""


def reads(rule: Any) -> Shown:
    """The type of a field or an argument in a few words; what is exact is for the rule and for type checkers."""
    if isinstance(rule, Maybe):
        return Shown(f"{reads(rule.rule)} | None")
    if isinstance(rule, Rule) and not hasattr(rule, "reads"):
        number = "int" if rule.dtype is np.int32 else "float"
        return Shown(f"Sequence[{number}] | Array" if rule.rank else f"{number} | Array")
    if isinstance(rule, Choice):
        return Shown(f"Literal[{', '.join(map(repr, rule.words))}]" if len(rule.words) <= FEW else "str")
    named = {RatioRule: "float | Array"}
    return Shown(named.get(type(rule), getattr(rule, "reads", "Any")))


def _give_init(cls: Any) -> None:
    """A constructor that explains what is wrong with a call, with a signature that can be read.

    The signature belongs to the function: one of the class would be found on its instances, which are callables themselves.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # it becomes the method of that name
        fill(self, bound(cls.__name__, call, args, kwargs), len(args))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=reads(cls._rules[field.name]),
        )
        for field in _fields(cls)
    ]
    call = inspect.Signature(parameters)
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # as inspect documents it
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    cls.__init__ = __init__


MOST_LEVELS = 32
"""How many values may be inside each other: Python's stack holds what is done with them, whatever it is."""


def levels(value: Any) -> int:
    """How many values are inside each other."""
    fields = [vars(value)[name] for name in value._rules]
    inside = [part for field in fields for part in (field if isinstance(field, tuple) else (field,)) if isinstance(part, Value)]
    return 1 + max(map(levels, inside), default=0)


def fill(self: Any, given: dict[str, Any], by_place: int = 0) -> None:
    """Stores the fields, each as its rule has it, and checks what must hold between them."""
    wrong = ""
    try:
        for wrong, rule in self._rules.items():
            object.__setattr__(self, wrong, rule.convert(type(self).__name__, wrong, given[wrong]))
        wrong = ""
        if levels(self) > MOST_LEVELS:
            remedy = "put them side by side, as in lrax.Product(*schedules)"
            raise argument_error(ValueError, type(self).__name__, "schedule", f"of at most {MOST_LEVELS} levels", self, remedy)
        self.check()
    except (TypeError, ValueError) as error:
        pair = swapped(type(self), given, list(given)[:by_place], wrong)
        if not pair:
            raise
        said = str(error).partition("; ")[0]
        order = f"`{pair[0]}` and `{pair[1]}` seem to be in each other's place: the order is {', '.join(given)}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{said}; {order}") from error


def swapped(kind: type[Any], given: dict[str, Any], places: list[str], wrong: str) -> tuple[str, str] | None:
    """Two positional arguments that were given in each other's place: one is `wrong`, or any if all are right but together.

    They are found by trying: with the two swapped there is no error, and both look like what they are then.
    """
    for one, other in itertools.combinations(places, 2):
        if wrong in ("", one, other) and _look_swapped(
            kind._rules, given, *((other, one) if wrong == other else (one, other)), wrong
        ):
            try:
                fill(object.__new__(kind), {**given, one: given[other], other: given[one]})
            except Exception:  # of the user's own rules and checks, too
                continue
            return (one, other) if wrong in ("", one) else (other, one)
    return None


def _look_swapped(rules: dict[str, Any], given: dict[str, Any], name: str, other: str, wrong: str) -> bool:
    """Whether the values of two arguments look like those of each other's; `name` is the one that is wrong, if one is.

    Where none is wrong by itself, only two lengths can have been swapped. Of two numbers one is a length and the other a rate.
    """
    rule, others = (one.rule if isinstance(one, Maybe) else one for one in (rules[name], rules[other]))
    value, candidate = given[name], given[other]
    if not isinstance(rule, Rule) or not isinstance(others, Rule):
        return bool(wrong)
    scalars = [isinstance(one, int | float | np.number) for one in (value, candidate)]
    if rule.rank or others.rank:
        if rule.dtype is not np.int32 or not wrong:
            return bool(wrong)
        return value < 2 if scalars[0] else _are_counts(candidate) and not _are_counts(value)
    lengths = [one.dtype is np.int32 for one in (rule, others)]
    if not all(scalars) or not wrong or lengths[0] == lengths[1]:
        return all(scalars) and not wrong and all(lengths)
    rate, length = (value, candidate) if lengths[0] else (candidate, value)
    whole = length >= 2 if isinstance(length, int | np.integer) else length >= 10 and length == math.floor(length)
    return bool(whole and isinstance(rate, float | np.floating) and 0 <= rate < 1)


def _are_counts(value: Any) -> bool:
    """Whether a list holds whole numbers, as a list of counts does and one of rates hardly."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, jax.errors.TracerArrayConversionError):
        return False
    return bool(numbers.size and (numbers == np.floor(numbers)).all() and numbers.max() >= 2)


def _refuse(self: Any, name: str, *value: Any) -> None:
    """Raises where an attribute would be assigned or deleted."""
    said = f"{type(self).__name__}: `{name}` cannot be {'assigned' if value else 'deleted'}, because it is frozen"
    if name in self._rules and value:
        said += f"; dataclasses.replace(value, {name}={shown(*value)}) returns a changed copy of `value`"
    raise dataclasses.FrozenInstanceError(said)


def _is_length(rule: Any) -> bool:
    """Whether a field holds a number of updates."""
    rule = rule.rule if isinstance(rule, Maybe) else rule
    return isinstance(rule, Rule) and rule.dtype is np.int32 and rule.rank == 0


@dataclass_transform(frozen_default=True, eq_default=False)
class Value(abc.ABC):  # noqa: B024  # what is abstract is left to the kinds
    """A frozen dataclass whose fields are checked and stored by the rule in their annotation, and a pytree of its numbers.

    Subclasses take annotated fields and need no decorator. Numbers become leaves; words and flags are static.

    Two values are equal if they are of one kind, with the same words and flags, and with leaves of the same dtypes, shapes and
    bits, wherever the numbers are. Where a number is not known (under `jit`), it equals itself only. Equal values have
    one hash, so a value can be a key, and static under `jit`.
    """

    _rules: ClassVar[dict[str, Any]] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _shows_defaults: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)(cls)
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
        if "__init__" not in vars(cls):
            _give_init(cls)
        cls.__setattr__ = cls.__delattr__ = _refuse  # type: ignore[method-assign]  # in place of the dataclass's, which has no remedy
        for told in NEW_KIND:
            told(cls)

    def check(self) -> None:  # noqa: B027  # most kinds have no condition between fields
        """What must hold between fields; a kind that has such conditions raises `ValueError` here. Called once, at the end."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return identity(self) == identity(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(identity(self))

    def __repr__(self) -> str:
        fields = [(field, getattr(self, field.name)) for field in _fields(self)]
        texts = [
            f"{field.name}={_shown(value)}"
            for field, value in fields
            if self._shows_defaults or not self._is_default(field, value)
        ]
        return f"{type(self).__name__}({', '.join(texts)})"

    def _is_default(self, field: dataclasses.Field[Any], value: Any) -> bool:
        """Whether a field holds what it holds when it is left out."""
        if not has_default(field) or field.default is None or value is None:
            return value is field.default
        return identity(self._rules[field.name].convert("", field.name, field.default)) == identity(value)


def identity(tree: Any) -> tuple[Any, ...]:
    """What two pytrees share if and only if they are equal: their structure, and each leaf bit for bit."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *map(_bits, leaves)


def _bits(leaf: Any) -> Any:
    """A leaf as something to compare and to hash: the bits of a number that is known; what is not known is itself."""
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return leaf
    if not is_concrete(leaf):
        return "not known", id(leaf)
    array = np.asarray(jax.random.key_data(leaf) if isinstance(leaf, jax.Array) and is_key(leaf) else leaf)
    return str(leaf.dtype), array.shape, array.tobytes()


def shortest(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Float32 numbers as the float64 numbers with the shortest decimals that give them back; other numbers as they are."""
    if array.dtype != np.float32:
        return array
    decimal = array.astype(str).astype(np.float64)
    return np.where(decimal.astype(np.float32) == array, decimal, array.astype(np.float64))


def _shown(value: Any) -> str:
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
        return getattr(value.func, "__qualname__", repr(value.func))
    return repr(value)


def _shown_ratio(ratio: Ratio) -> str:
    """A ratio as the shortest number that becomes it."""
    if all(map(is_concrete, ratio)) and np.size(ratio.numerator) <= 16:
        return repr(decimal(ratio).tolist())
    return f"<Ratio{list(np.shape(ratio.numerator))}>" if np.ndim(ratio.numerator) else repr(ratio)


def decimal(ratio: Ratio) -> np.ndarray[Any, Any]:
    """A ratio as the float64 number with the fewest digits that becomes it; the quotient itself if none does."""

    def number(numerator: int, denominator: int) -> float:
        if denominator == 1:
            return int(numerator)
        parts = numerator, denominator
        decimals = [float(f"{numerator / denominator:.{digits}g}") for digits in range(1, 18)]
        first = bisect.bisect_left(decimals, True, key=lambda one: parts == nearest_ratio(one) == nearest_time_factor(one))
        return decimals[first] if first < len(decimals) else float(numerator / denominator)

    return np.asarray(np.vectorize(number, otypes=[object])(*ratio))


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
        field, rule = getattr(value, name), rule.rule if isinstance(rule, Maybe) else rule
        if isinstance(rule, Static | Choice):
            continue
        if isinstance(rule, Rule | RatioRule):
            found += [rule.rank if isinstance(rule, Rule) else 0] * len(jax.tree.leaves(field))
        else:
            found += [rank for part in (field if isinstance(field, tuple) else (field,)) for rank in ranks(part)]
    return found


def lanes(caller: str, value: Any) -> list[Any]:
    """The values of a batch, one after the other; a value that is no batch, alone.

    >>> lanes("plot", lrax.Linear(start=np.array([0.1, 0.2]), end=0.0, steps=10))
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
