"""Schedules combined count by count: multiplied, added, compared, kept in bounds."""

import dataclasses
import functools
import operator
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from lrax.fields._known import is_concrete
from lrax.fields._types import Rate
from lrax.fields._value import fill
from lrax.fields._words import argument_error, check_call
from lrax.schedules._base import RateFunction, Schedule, ScheduleLike, Schedules


def fill_with(self: Any, schedules: tuple[RateFunction, ...]) -> None:
    """The constructor of a kind that takes schedules one after the other; by name too, for `dataclasses.replace`."""
    fill(self, {"schedules": schedules})


def shown(self: Any) -> str:
    """The `repr` of such a kind."""
    return f"{type(self).__name__}({', '.join(map(repr, self.schedules))})"


def longest(schedules: tuple[Schedule, ...]) -> Any:
    """The length of the longest schedule; None if one has no end."""
    lengths = [schedule.length for schedule in schedules]
    if any(length is None for length in lengths):
        return None
    known = all(isinstance(length, np.generic | np.ndarray) for length in lengths)
    return functools.reduce(np.maximum if known else jnp.maximum, lengths)


@final
class Sum(Schedule):
    r"""The sum of schedules.

    $$\eta(t) = \sum_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> rate`, each at its own rate of the same count.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Sum(Constant(0.1), Linear(start=0.0, end=1.0, steps=10))(5))
    0.6
    """

    schedules: Schedules

    @check_call
    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill_with(self, parts or schedules)

    __repr__ = shown

    def rate(self, count: jax.Array) -> jax.Array:
        return functools.reduce(operator.add, (schedule.rate(count) for schedule in self.schedules))

    @property
    def length(self) -> Any:
        return longest(self.schedules)


@final
class Product(Schedule):
    r"""The product of schedules: one rate times factors that change.

    $$\eta(t) = \prod_i schedule_i(t)$$

    Cycles whose height decays by the update, or by any function of their index, are products (see `lrax.cyclical`).

    Args:
      *schedules: one or more schedules or callables `count -> rate`, each at its own rate of the same count.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Product(InverseSqrt(0.1), Linear(start=1.0, end=0.0, steps=6))(3))
    0.025
    """

    schedules: Schedules

    @check_call
    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill_with(self, parts or schedules)

    __repr__ = shown

    def rate(self, count: jax.Array) -> jax.Array:
        return functools.reduce(operator.mul, (schedule.rate(count) for schedule in self.schedules))

    @property
    def length(self) -> Any:
        return longest(self.schedules)


@final
class Maximum(Schedule):
    r"""The largest rate of several schedules.

    $$\eta(t) = \max_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> rate`, each at its own rate of the same count.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Maximum(Constant(0.05), InverseSqrt(0.1))(jnp.array([0, 99])))
    [0.1  0.05]
    """

    schedules: Schedules

    @check_call
    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill_with(self, parts or schedules)

    __repr__ = shown

    def rate(self, count: jax.Array) -> jax.Array:
        return functools.reduce(jnp.maximum, (schedule.rate(count) for schedule in self.schedules))

    @property
    def length(self) -> Any:
        return longest(self.schedules)


@final
class Minimum(Schedule):
    r"""The smallest rate of several schedules.

    $$\eta(t) = \min_i schedule_i(t)$$

    Args:
      *schedules: one or more schedules or callables `count -> rate`, each at its own rate of the same count.

    Raises: ValueError if there is none; TypeError if one is not a schedule.

    >>> print(Minimum(Linear(start=0.0, end=1.0, steps=10), InverseSqrt(1.0))(jnp.array([1, 24])))
    [0.1 0.2]
    """

    schedules: Schedules

    @check_call
    def __init__(self, *parts: RateFunction, schedules: tuple[RateFunction, ...] = ()) -> None:
        fill_with(self, parts or schedules)

    __repr__ = shown

    def rate(self, count: jax.Array) -> jax.Array:
        return functools.reduce(jnp.minimum, (schedule.rate(count) for schedule in self.schedules))

    @property
    def length(self) -> Any:
        return longest(self.schedules)


@final
class Scale(Schedule):
    r"""A schedule times a factor.

    $$\eta(t) = factor \cdot schedule(t)$$

    Args:
      schedule: a schedule or a callable `count -> rate`.
      factor: any finite number.

    Raises: ValueError if `factor` is not finite.

    >>> print(Scale(Constant(0.1), factor=0.5)(0))
    0.05
    """

    schedule: ScheduleLike
    factor: Rate

    def rate(self, count: jax.Array) -> jax.Array:
        return self.factor * self.schedule.rate(count)

    @property
    def length(self) -> Any:
        return self.schedule.length

    def resized(self, length: Any) -> "Scale | None":
        inner = self.schedule.resized(length)
        return None if inner is None else dataclasses.replace(self, schedule=inner)


@final
class Clip(Schedule):
    r"""A schedule kept between two rates.

    $$\eta(t) = \min(high, \max(low, schedule(t)))$$

    Args:
      schedule: a schedule or a callable `count -> rate`.
      low, high: the smallest and the largest rate.

    Raises: ValueError if a bound is not finite or `low` is above `high`.

    >>> print(Clip(Linear(start=0.0, end=1.0, steps=10), low=0.2, high=0.6)(jnp.array([0, 5, 10])))
    [0.2 0.5 0.6]
    """

    schedule: ScheduleLike
    low: Rate
    high: Rate

    def check(self) -> None:
        if is_concrete(self.low) and is_concrete(self.high) and np.any(np.asarray(self.low) > np.asarray(self.high)):
            raise argument_error(ValueError, "Clip", "low", "at most `high`", self.low, "swap them")

    def rate(self, count: jax.Array) -> jax.Array:
        return jnp.clip(self.schedule.rate(count), self.low, self.high)

    @property
    def length(self) -> Any:
        return self.schedule.length

    def resized(self, length: Any) -> "Clip | None":
        inner = self.schedule.resized(length)
        return None if inner is None else dataclasses.replace(self, schedule=inner)
