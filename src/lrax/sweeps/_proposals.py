"""Which shapes to try: points of a cube, by chance, on a grid, or closer and closer around the best."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from lrax.fields._errors import argument_error, check_whole

Points: TypeAlias = np.ndarray[Any, Any]


class Tried(NamedTuple):
    """What a proposal is told of the shapes that were tried so far.

    Attributes:
      points: where they stand in the cube, float64 of shape (tried, axes), each from 0 to 1.
      scores: each at its own best rate, the lower the better, infinite where it diverged, float64 of shape (tried,).
    """

    points: Points
    scores: Points


Propose: TypeAlias = Callable[[jax.Array, int, Tried], Points | None]
"""`(key, axes, tried) -> points` of shape (n, axes) to try next, each from 0 to 1; None ends the proposals."""


@dataclasses.dataclass(frozen=True)
class random_shapes:  # noqa: N801  # it is called as a function
    """Proposes shapes by chance, all at once.

    Args:
      number: of shapes, at least 1.

    >>> random_shapes(3)(jax.random.key(0), 2, Tried(np.zeros((0, 2)), np.zeros(0))).shape
    (3, 2)
    """

    number: int

    def __post_init__(self) -> None:
        check_whole("random_shapes", "number", self.number)

    def __call__(self, key: jax.Array, axes: int, tried: Tried) -> Points | None:
        """Points that are even by chance; None the second time."""
        return None if len(tried.scores) else np.asarray(jax.random.uniform(key, (self.number, axes)), np.float64)


@dataclasses.dataclass(frozen=True)
class grid_shapes:  # noqa: N801
    """Proposes all shapes of a grid, its ends included.

    Args:
      each: places on each axis, at least 1; with one, the middle.

    >>> print(grid_shapes(2)(jax.random.key(0), 2, Tried(np.zeros((0, 2)), np.zeros(0))))
    [[0. 0.]
     [0. 1.]
     [1. 0.]
     [1. 1.]]
    """

    each: int

    def __post_init__(self) -> None:
        check_whole("grid_shapes", "each", self.each)

    def __call__(self, key: jax.Array, axes: int, tried: Tried) -> Points | None:
        """All combinations; None the second time."""
        places = [0.5] if self.each == 1 else np.linspace(0, 1, self.each).tolist()
        return None if len(tried.scores) else np.array(list(itertools.product(places, repeat=axes)))


@dataclasses.dataclass(frozen=True)
class halving_shapes:  # noqa: N801
    """Proposes shapes by chance, then half as many around the best of them, half as far away, and so on.

    Args:
      number: of shapes in the first round, at least 1.
      rounds: at least 1; with `number` 64 and 3 rounds, 64 + 32 + 16 shapes are tried.

    >>> halving = halving_shapes(8, rounds=2)
    >>> first = halving(jax.random.key(0), 2, Tried(np.zeros((0, 2)), np.zeros(0)))
    >>> second = halving(jax.random.key(1), 2, Tried(first, np.sum(first, axis=1)))
    >>> print(first.shape, second.shape, second.mean() < first.mean())
    (8, 2) (4, 2) True
    """

    number: int
    rounds: int = 3

    def __post_init__(self) -> None:
        check_whole("halving_shapes", "number", self.number)
        check_whole("halving_shapes", "rounds", self.rounds)

    def __call__(self, key: jax.Array, axes: int, tried: Tried) -> Points | None:
        """Points of the next round; None after the last."""
        sizes = [max(1, self.number >> done) for done in range(self.rounds)]
        begun = list(itertools.accumulate(sizes, initial=0))
        if len(tried.scores) >= begun[-1]:
            return None
        done = begun.index(len(tried.scores))
        draws = np.asarray(jax.random.uniform(key, (sizes[done], axes)), np.float64)
        if not done:
            return draws
        best = tried.points[np.argsort(tried.scores, kind="stable")[: sizes[done]]]
        around = best[np.arange(sizes[done]) % max(1, sizes[done] // 2)]  # two around each of the best half
        return np.clip(around + (draws - 0.5) * 0.5**done, 0, 1)


def check_space(caller: str, space: Any) -> dict[str, Any]:
    """The space as it was given, each range or choice checked; raises for another."""
    needs = "a dict: name -> (low, high), or a list of choices"
    if not isinstance(space, Mapping) or not space:
        raise argument_error(TypeError, caller, "space", needs, space)
    for name, place in space.items():
        numbers = isinstance(place, tuple | list) and all(
            isinstance(one, int | float | np.number) and not isinstance(one, bool) and np.isfinite(one) for one in place
        )
        fits = len(place) == 2 and place[0] <= place[1] if isinstance(place, tuple) else bool(numbers and place)
        if not numbers or not fits:
            raise argument_error(ValueError, caller, f"space[{name!r}]", "(low, high) or a list of numbers", place)
    return dict(space)


def arguments_of(space: Mapping[str, Any], points: Points) -> dict[str, Points]:
    """The arguments at some points of the cube, each an array of shape (points,): whole numbers for whole ends.

    >>> print(arguments_of({"steps": (1, 9), "power": [0.5, 2.0]}, np.array([[0.0, 0.2], [1.0, 0.9]])))
    {'steps': array([1, 9], dtype=int32), 'power': array([0.5, 2. ], dtype=float32)}
    """
    found = {}
    for (name, place), part in zip(space.items(), points.T, strict=True):
        whole = all(isinstance(one, int | np.integer) for one in place)
        if isinstance(place, list):
            values = np.asarray(place)[np.minimum((part * len(place)).astype(int), len(place) - 1)]
        elif whole:  # each whole number has the same share of the axis
            values = np.minimum(place[0] + np.floor(part * (place[1] - place[0] + 1)), place[1])
        else:
            values = place[0] + part * (place[1] - place[0])
        found[name] = values.astype(np.int32 if whole else np.float32)
    return found
